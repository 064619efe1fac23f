// Questions and answers: streamed, with citations that show what they rest on.
import Satchel
import SwiftUI

struct AskView: View {
    let conversation: Conversation?
    @Environment(\.dismiss) private var dismiss
    @State private var turns: [Turn] = []
    @State private var question = ""
    @State private var answering: Task<Void, Never>?

    struct Turn: Identifiable {
        let id = UUID()
        let question: String
        var answer = ""
        var note = ""
        var citations: [Citation] = []
    }

    var body: some View {
        NavigationStack {
            List(turns) { turn in
                VStack(alignment: .leading, spacing: 8) {
                    Text(turn.question).font(.headline)
                    Text(turn.answer)
                    if !turn.note.isEmpty { Text(turn.note).foregroundStyle(.secondary) }
                    ForEach(Array(turn.citations.enumerated()), id: \.offset) { number, citation in
                        Label(
                            [citation.title, citation.heading].filter { !$0.isEmpty }
                                .joined(separator: ", "),
                            systemImage: citation.isVerified ? "checkmark.seal" : "\(min(number + 1, 50)).circle"
                        )
                        .font(.footnote)
                    }
                }
            }
            .navigationTitle("Ask")
            .toolbar { Button("Done") { dismiss() } }
            .safeAreaInset(edge: .bottom) {
                HStack {
                    TextField("What do you want to know?", text: $question).onSubmit(ask)
                    if answering == nil {
                        Button("Ask", action: ask).disabled(question.isEmpty)
                    } else {
                        Button("Stop") { answering?.cancel() }
                    }
                }
                .padding()
                .background(.bar)
            }
        }
        // Leaving ends the answer: nothing is computed for nobody.
        .onDisappear { answering?.cancel() }
    }

    private func ask() {
        guard let conversation, answering == nil, !question.isEmpty else { return }
        let asked = question
        question = ""
        turns.append(Turn(question: asked))
        let index = turns.count - 1
        answering = Task {
            do {
                for try await event in await conversation.ask(asked) {
                    switch event {
                    case .token(let token):
                        turns[index].note = ""
                        turns[index].answer += token.text
                    case .citation(let citation): turns[index].citations.append(citation)
                    case .refusal: turns[index].note = "Your notes do not say."
                    case .progress(let progress):
                        turns[index].note = "Reading \(progress.done) of \(progress.total ?? 0)…"
                    default: break
                    }
                }
            } catch is CancellationError {
                turns[index].note = "Stopped."
            } catch {
                turns[index].note = error.localizedDescription
            }
            answering = nil
        }
    }
}
