// The notes: one store, one embedder, and a language model where the system has one.
import Combine
import Foundation
import Satchel

#if canImport(SatchelFoundationModels)
import SatchelFoundationModels
#endif
#if canImport(SatchelPDF)
import SatchelPDF
#endif

#if os(iOS)
import UIKit
#endif

@MainActor
final class Library: ObservableObject {
    @Published private(set) var notes: [Document] = []
    @Published private(set) var found: [Hit] = []
    @Published private(set) var pending = 0
    @Published var failure: String?

    private var store: Store?
    private var generator: Model?
    private var indexing: Task<Void, Never>?

    /// Opens the store, if it is not open.
    func open() async {
        guard store == nil else { return }
        await trying {
            let folder = try FileManager.default.url(
                for: .applicationSupportDirectory, in: .userDomainMask, appropriateFor: nil,
                create: true)
            // The embedder comes with the app. Without it search goes by keyword.
            let file = Bundle.main.url(forResource: "embedder", withExtension: "gguf")
            var embedder: Model?
            if let file { embedder = try await Model(url: file) }
            let opened = try await Store(
                url: folder.appendingPathComponent("notes.satchel"), embedder: embedder)
            #if canImport(PDFKit)
            try await opened.add(reader: PDFReader())
            #endif
            store = opened
            generator = try await Self.systemGenerator()
            try await reload()
        }
        index()
    }

    /// Lets go of the store: what is running ends at its next step, what was committed stays.
    func leave() {
        #if os(iOS)
        // The system waits this long before it suspends the app: time to close.
        let task = UIApplication.shared.beginBackgroundTask()
        #endif
        indexing?.cancel()
        let leaving = store
        store = nil
        Task {
            await leaving?.closeAndWait()
            #if os(iOS)
            UIApplication.shared.endBackgroundTask(task)
            #endif
        }
    }

    /// Saves a note. It is found by keyword at once, by meaning a little later.
    func save(id: String, title: String, text: String) async {
        await trying {
            var options = AddOptions(title: title, mediaType: "text/markdown")
            options.deferEmbedding = true
            try await store?.add(id: id, text: text, options: options)
            try await reload()
        }
        index()
    }

    func delete(_ note: Document) async {
        await trying {
            try await store?.remove(id: note.id)
            try await reload()
        }
    }

    /// Brings in a file that the person has picked.
    func bring(_ file: URL) async {
        await trying {
            let allowed = file.startAccessingSecurityScopedResource()
            defer { if allowed { file.stopAccessingSecurityScopedResource() } }
            let handle = try FileHandle(forReadingFrom: file)
            defer { try? handle.close() }
            try await store?.add(id: file.lastPathComponent, fileDescriptor: handle.fileDescriptor)
            try await reload()
        }
    }

    func text(of note: Document) async -> String {
        (try? await store?.text(of: note.id)) ?? ""
    }

    /// Search as you type: cancelled by the next letter.
    func search(_ query: String) async {
        do {
            found = try await store?.search(query, limit: 20).hits ?? []
        } catch is CancellationError {
            return
        } catch {
            failure = error.localizedDescription
        }
    }

    /// A new conversation about the notes.
    func conversation() -> Conversation? {
        store.map { Conversation(about: $0, generator: generator) }
    }

    // Vectors for what has none, in slices, so that leaving never waits long.
    private func index() {
        indexing?.cancel()
        indexing = Task(priority: .utility) { [weak self] in
            while !Task.isCancelled, let store = self?.store, store.model != nil {
                guard let left = try? await store.maintain(milliseconds: 200) else { return }
                self?.pending = left
                if left == 0 { return }
            }
        }
    }

    private func reload() async throws {
        notes = try await store?.documents().sorted { $0.modified > $1.modified } ?? []
    }

    private func trying(_ work: () async throws -> Void) async {
        do {
            try await work()
        } catch is CancellationError {
        } catch {
            failure = error.localizedDescription
        }
    }

    private static func systemGenerator() async throws -> Model? {
        #if canImport(FoundationModels)
        if #available(iOS 26.0, macOS 26.0, *), SystemGenerator.isAvailable {
            return try await Model(generator: SystemGenerator())
        }
        #endif
        return nil
    }
}
