// Embedders of the app's own.
import CSatchel
import Foundation

/// Text to vectors, by the app: a platform framework, another runtime.
///
/// ```swift
/// let model = try await Model(embedder: MyEmbedder())
/// let store = try await Store(path: "notes.satchel", embedder: model)
/// ```
///
/// The library asks for one batch at a time. Its thread waits while the method runs on Swift's pool; a
/// cancelled call cancels the method's task.
public protocol Embedder: Sendable {
    /// Names model and settings: vectors of two ids are never compared.
    var id: String { get }
    /// Length of the vectors.
    var dimension: Int { get }
    /// Longest text it reads, in tokens, special ones included.
    var maxTokens: Int { get }

    /// One vector of ``dimension`` numbers for each text, of length 1.
    func embed(_ texts: [String], role: EmbeddingRole) async throws -> [[Float]]
}

/// An embedder or generator that can count tokens. For others the library estimates.
public protocol TokenCounting: Sendable {
    /// Tokens of the text without truncation, special ones included.
    func countTokens(of text: String) async throws -> Int
}

/// An embedder that can say how far it knows the words of a text.
public protocol VocabularyCoverage: Sendable {
    /// Share of the text's letters that the vocabulary knows: 0 to 1.
    func coverage(of text: String) async throws -> Float
}

/// An embedder as the table that C calls. It owns itself until the library calls `destroy`.
final class EmbedderTable: Sendable {
    private let embedder: any Embedder
    private let dimension: Int

    private init(_ embedder: any Embedder) {
        self.embedder = embedder
        dimension = embedder.dimension
    }

    static func open(_ embedder: any Embedder, _ context: Context) throws -> Handle {
        let scratch = Scratch()
        let table = EmbedderTable(embedder)
        var raw = zeroed(satchel_embedder.self)
        raw.struct_size = MemoryLayout<satchel_embedder>.size
        raw.id = try scratch.string(embedder.id, "the embedder's id")
        raw.dimension = try orDefault(embedder.dimension, "dimension")
        raw.max_tokens = try orDefault(embedder.maxTokens, "maxTokens")
        if embedder is any TokenCounting {
            raw.count_tokens = { user, text, length, count in
                countTokens(EmbedderTable.of(user).embedder, text, length, count)
            }
        }
        if embedder is any VocabularyCoverage {
            raw.coverage = { user, text, length, share in
                guard let covers = EmbedderTable.of(user).embedder as? any VocabularyCoverage else {
                    return satchel_status(SATCHEL_CALLBACK)
                }
                let given = swift(text, length)
                return answering {
                    share.pointee = try awaiting { try await covers.coverage(of: given) }
                }
            }
        }
        raw.embed = { user, role, texts, count, out, cancel in
            EmbedderTable.of(user).embed(role, texts, count, out, cancel)
        }
        raw.destroy = { user in Unmanaged<EmbedderTable>.fromOpaque(user!).release() }
        raw.user = Unmanaged.passRetained(table).toOpaque()
        var made: OpaquePointer?
        try withExtendedLifetime(scratch) {
            try context.handle.use { owner in
                // Destroys the table also when it fails.
                try check { satchel_model_from_embedder(&made, owner, &raw, $0) }
            }
        }
        return Model.handle(made!)
    }

    private static func of(_ user: UnsafeMutableRawPointer?) -> EmbedderTable {
        Unmanaged<EmbedderTable>.fromOpaque(user!).takeUnretainedValue()
    }

    private func embed(
        _ role: Int32, _ texts: UnsafePointer<satchel_text>, _ count: Int,
        _ out: UnsafeMutablePointer<Float>, _ cancel: OpaquePointer?
    ) -> satchel_status {
        let given = (0..<count).map { swift(texts[$0].data, texts[$0].length) }
        return answering {
            let vectors = try awaiting(cancel: cancel) { [embedder] in
                try await embedder.embed(given, role: EmbeddingRole(rawValue: role))
            }
            guard vectors.count == count, vectors.allSatisfy({ $0.count == dimension }) else {
                throw SatchelError(
                    .callback,
                    "the embedder '\(embedder.id)' gave \(vectors.count) vectors of lengths "
                        + "\(Set(vectors.map(\.count)).sorted()) for \(count) texts; there must be "
                        + "one of length \(dimension) for each")
            }
            for (row, vector) in vectors.enumerated() {
                vector.withUnsafeBufferPointer {
                    (out + row * dimension).update(from: $0.baseAddress!, count: dimension)
                }
            }
        }
    }
}

// MARK: - For all tables

/// Runs a callback's work and answers with a status; what it throws is kept for the caller.
func answering(_ work: () throws -> Void) -> satchel_status {
    do {
        try work()
        return satchel_status(SATCHEL_OK)
    } catch {
        return CallbackError.status(error)
    }
}

func countTokens(
    _ counter: any Sendable, _ text: UnsafePointer<CChar>, _ length: Int,
    _ count: UnsafeMutablePointer<Int>
) -> satchel_status {
    guard let counts = counter as? any TokenCounting else {
        return satchel_status(SATCHEL_CALLBACK)
    }
    let given = swift(text, length)
    return answering { count.pointee = try awaiting { try await counts.countTokens(of: given) } }
}
