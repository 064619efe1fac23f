// A conversation about the documents of a store, which remembers what was said.
import Foundation

/// A conversation about the documents of a store.
///
/// It remembers questions and answers, so that a question may lean on those before it. An answer is
/// remembered when it has been read to its end; one that was left, cancelled or refused is not.
///
/// ```swift
/// let conversation = Conversation(about: store, generator: model)
/// for try await event in await conversation.ask("When does the lease end?") { … }
/// for try await event in await conversation.ask("And who pays for the repairs?") { … }
/// ```
public actor Conversation {
    private let store: Store
    private let generator: Model?
    private let options: AskOptions
    /// Questions and answers so far, oldest first.
    public private(set) var history: [ChatMessage]

    /// A conversation. Messages of ``AskOptions/history`` come first.
    public init(about store: Store, generator: Model? = nil, options: AskOptions = AskOptions()) {
        self.store = store
        self.generator = generator
        self.options = options
        history = options.history
    }

    /// Asks the next question.
    public func ask(_ question: String) -> AnswerStream {
        var options = options
        options.history = history
        var source = store.ask(question, generator: generator, options: options).source
        source.watch = { [weak self] in
            let answer = AnswerSoFar()
            return { [weak self] event in
                if let text = answer.see(event) { await self?.remember(question, text) }
            }
        }
        return AnswerStream(source: source)
    }

    /// Forgets what was said.
    public func forget() { history = options.history }

    private func remember(_ question: String, _ answer: String) {
        history += [ChatMessage(.user, question), ChatMessage(.assistant, answer)]
    }
}

/// Puts an answer together as its events go by. Events of a stream come one at a time.
private final class AnswerSoFar: @unchecked Sendable {
    private var text = ""
    private var isRefused = false

    /// The whole answer, at the last event of one that was not refused.
    func see(_ event: AnswerEvent) -> String? {
        switch event {
        case .token(let token): text += token.text
        case .refusal: isRefused = true
        case .done: return isRefused || text.isEmpty ? nil : text
        default: break
        }
        return nil
    }
}
