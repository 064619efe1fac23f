// The list of notes, search as you type, and a note being written.
import Satchel
import SwiftUI
import UniformTypeIdentifiers

struct ContentView: View {
    @EnvironmentObject private var library: Library
    @State private var query = ""
    @State private var isAsking = false
    @State private var isBringing = false

    var body: some View {
        NavigationStack {
            List {
                if query.isEmpty {
                    ForEach(library.notes) { note in
                        NavigationLink(note.title) { NoteView(note: note) }
                    }
                    .onDelete { rows in
                        let gone = rows.map { library.notes[$0] }
                        Task { for note in gone { await library.delete(note) } }
                    }
                } else {
                    ForEach(library.found) { HitRow(hit: $0) }
                }
            }
            .overlay { if library.notes.isEmpty && query.isEmpty { Text("No notes yet") } }
            .navigationTitle("Notes")
            .searchable(text: $query)
            .task(id: query) { await library.search(query) }
            .safeAreaInset(edge: .bottom) {
                if library.pending > 0 {
                    Text("Reading \(library.pending) passages…").font(.footnote)
                }
            }
            .toolbar {
                Button("Ask", systemImage: "questionmark.bubble") { isAsking = true }
                Button("Add a file", systemImage: "doc.badge.plus") { isBringing = true }
                NavigationLink {
                    NoteView(note: nil)
                } label: {
                    Label("New note", systemImage: "square.and.pencil")
                }
            }
            .sheet(isPresented: $isAsking) { AskView(conversation: library.conversation()) }
            .fileImporter(
                isPresented: $isBringing, allowedContentTypes: [.pdf, .plainText, .html]
            ) { picked in
                if case .success(let file) = picked { Task { await library.bring(file) } }
            }
            .alert(
                "Something went wrong",
                isPresented: .init(
                    get: { library.failure != nil }, set: { if !$0 { library.failure = nil } })
            ) {
            } message: {
                Text(library.failure ?? "")
            }
        }
    }
}

/// A passage with what was looked for set in bold.
struct HitRow: View {
    let hit: Hit

    var body: some View {
        VStack(alignment: .leading) {
            Text(hit.title).font(.headline)
            Text(marked).lineLimit(4)
        }
    }

    private var marked: AttributedString {
        var text = AttributedString(hit.snippet)
        for match in hit.matches {
            // Matches count in the document; the snippet begins within it.
            let from = match.utf16.lowerBound - hit.snippetRange.utf16.lowerBound
            let range = NSRange(location: from, length: match.utf16.count)
            guard from >= 0, let place = Range(range, in: hit.snippet),
                let marked = Range(place, in: text)
            else { continue }
            text[marked].inlinePresentationIntent = .stronglyEmphasized
        }
        return text
    }
}

struct NoteView: View {
    @EnvironmentObject private var library: Library
    @Environment(\.dismiss) private var dismiss
    let note: Document?
    @State private var title = ""
    @State private var text = ""

    var body: some View {
        VStack {
            TextField("Title", text: $title).font(.title2)
            TextEditor(text: $text)
        }
        .padding()
        .task {
            guard let note else { return }
            title = note.title
            text = await library.text(of: note)
        }
        .toolbar {
            Button("Save") {
                Task {
                    let id = note?.id ?? "notes/\(UUID().uuidString)"
                    await library.save(id: id, title: title.isEmpty ? "Untitled" : title, text: text)
                    dismiss()
                }
            }
        }
    }
}
