// Looking into a store: its documents, its roots, its state.
import CSatchel
import Foundation

/// A document of a store.
public struct Document: Sendable, Hashable, Identifiable {
    /// Names it.
    public let id: String
    /// Its title.
    public let title: String
    /// Its metadata as JSON.
    public let metadataJSON: String
    /// What kind of file it is.
    public let mediaType: String
    /// Size of its text in bytes of UTF-8.
    public let textBytes: Int
    /// Passages it was cut into.
    public let chunks: Int
    /// Of them, with a vector.
    public let chunksEmbedded: Int
    /// When it was last changed.
    public let modified: Date
    /// Why the last sync could not read it; `nil`: it could.
    public let failure: String?

    /// Its metadata.
    public var metadata: Metadata { JSON.metadata(metadataJSON) }

    init(_ raw: satchel_document) {
        id = swift(raw.id)
        title = swift(raw.title)
        metadataJSON = swift(raw.metadata)
        mediaType = swift(raw.media_type)
        textBytes = Int(raw.text_bytes)
        chunks = Int(raw.chunks)
        chunksEmbedded = Int(raw.chunks_embedded)
        modified = Date(timeIntervalSince1970: Double(raw.modified_ms) / 1000)
        failure = raw.failure.map { String(cString: $0) }
    }
}

/// What a store holds.
public struct StoreStats: Sendable, Hashable {
    /// Documents.
    public let documents: Int
    /// Passages.
    public let chunks: Int
    /// Of them, with a vector of the store's embedder.
    public let chunksEmbedded: Int
    /// Of them, still without one.
    public let chunksPending: Int
    /// Text in bytes of UTF-8.
    public let textBytes: Int
    /// Size of the store, its journal and its vector index.
    public let fileBytes: Int
    /// Files that could not be read at the last sync.
    public let failures: Int
    /// Of the store's format.
    public let formatVersion: Int
    /// Whether it was opened with an embedder.
    public let hasModel: Bool
    /// Length of the embedder's vectors; 0 without.
    public let dimension: Int

    init(_ raw: satchel_store_stats) {
        documents = Int(raw.documents)
        chunks = Int(raw.chunks)
        chunksEmbedded = Int(raw.chunks_embedded)
        chunksPending = Int(raw.chunks_pending)
        textBytes = Int(raw.text_bytes)
        fileBytes = Int(raw.file_bytes)
        failures = Int(raw.failures)
        formatVersion = Int(raw.format_version)
        hasModel = raw.has_model != 0
        dimension = Int(raw.dimension)
    }
}

/// A folder that was synced into a store.
public struct Root: Sendable, Hashable {
    /// Its name in the store.
    public let name: String
    /// Where it was last synced from.
    public let path: String
    /// Documents from it.
    public let documents: Int
}

extension Store {
    /// The documents, by id.
    ///
    /// - Parameters:
    ///   - filter: Only those that pass it.
    ///   - limit: At most so many; `nil`: all.
    ///   - offset: Leaving out so many at the beginning.
    public func documents(
        filter: Filter? = nil, limit: Int? = nil, offset: Int = 0
    ) async throws -> [Document] {
        try await call { store, _ in
            let scratch = Scratch()
            var raw = defaults(satchel_list_options_init)
            raw.filter = try scratch.maybe(filter?.json, "the filter")
            raw.limit = Int64(limit ?? 0)
            raw.offset = Int64(offset)
            var list: OpaquePointer?
            try withExtendedLifetime(scratch) {
                try check { satchel_store_list(&list, store, &raw, $0) }
            }
            defer { satchel_documents_close(&list) }
            return try (0..<satchel_documents_count(list!)).map { index in
                let document = try filled { satchel_documents_get(list!, index, $0, $1, $2) }
                return Document(document)
            }
        }
    }

    /// The stored text of a document, in which the offsets of hits count.
    public func text(of id: String) async throws -> String {
        try await call { store, _ in
            let scratch = Scratch()
            let name = try scratch.string(id, "the id")
            return try withExtendedLifetime(scratch) {
                var length: Int64 = 0
                try check { satchel_document_text(store, name, 0, nil, 0, &length, $0) }
                while true {
                    var written: Int64 = 0
                    var bytes = [CChar](repeating: 0, count: Int(length) + 1)
                    try check {
                        satchel_document_text(store, name, 0, &bytes, Int(length), &written, $0)
                    }
                    if written <= length {
                        return bytes.withUnsafeBytes {
                            String(decoding: $0.prefix(Int(written)), as: UTF8.self)
                        }
                    }
                    length = written  // it was replaced by a longer one meanwhile
                }
            }
        }
    }

    /// The folders that were synced into the store.
    public func roots() async throws -> [Root] {
        try await call { store, _ in
            var roots: [Root] = []
            while true {
                var name = [CChar](repeating: 0, count: 1 << 10)
                var path = [CChar](repeating: 0, count: 1 << 12)
                var documents: Int64 = 0
                do {
                    try check {
                        satchel_store_get_root(
                            store, roots.count, &name, name.count, &path, path.count, &documents,
                            $0)
                    }
                } catch let error as SatchelError where error.code == .notFound {
                    return roots
                }
                roots.append(
                    Root(name: swift(name), path: swift(path), documents: Int(documents)))
            }
        }
    }

    /// What the store holds.
    public func stats() async throws -> StoreStats {
        try await call { store, _ in
            let raw = try filled { satchel_store_get_stats(store, $0, $1, $2) }
            return StoreStats(raw)
        }
    }

    /// Checks the whole store, and returns the problems found: none if it is sound.
    public func verify() async throws -> [String] {
        try await call { store, cancel in
            let found = Problems(cancel)
            var count: Int64 = 0
            try check {
                satchel_store_verify(
                    store,
                    { user, problem in
                        let found = Unmanaged<Problems>.fromOpaque(user!).takeUnretainedValue()
                        found.list.append(swift(problem))
                        return satchel_cancel_fired(found.cancel)
                    }, Unmanaged.passUnretained(found).toOpaque(), &count, $0)
            }
            return withExtendedLifetime(found) { found.list }
        }
    }

    /// Copies the store as it is now into a new file.
    public func backup(to path: String) async throws {
        try await call { store, cancel in
            let scratch = Scratch()
            let file = try scratch.string(path, "the path")
            try withExtendedLifetime(scratch) {
                try check { satchel_store_backup(store, file, cancel, $0) }
            }
        }
    }
}

private final class Problems {
    var list: [String] = []
    let cancel: OpaquePointer

    init(_ cancel: OpaquePointer) { self.cancel = cancel }
}
