// What several tests share: a temporary folder, embedders and generators that are known exactly.
import Foundation
import Satchel
import Testing

/// A folder that goes with the object.
final class Folder: Sendable {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory
            .appendingPathComponent("satchel-swift-\(UUID().uuidString)", isDirectory: true)
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    func path(_ name: String) -> String { url.appendingPathComponent(name).path }

    func write(_ name: String, _ text: String) throws {
        let file = url.appendingPathComponent(name)
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
    }
}

/// Models that the library's build makes, tiny and of random weights; nil where it has made none.
enum MadeModel {
    static let embedder = ProcessInfo.processInfo.environment["SATCHEL_TEST_MODEL"]
    static let generator = ProcessInfo.processInfo.environment["SATCHEL_TEST_GENERATOR"]
}

/// Words to directions by a fixed hash: texts that share words are near.
struct WordEmbedder: Embedder, TokenCounting, VocabularyCoverage {
    var id = "words"
    var dimension = 64
    var maxTokens = 128

    func embed(_ texts: [String], role: EmbeddingRole) async throws -> [[Float]] {
        texts.map(vector)
    }

    func countTokens(of text: String) async throws -> Int { words(text).count + 2 }

    func coverage(of text: String) async throws -> Float { 1 }

    private func words(_ text: String) -> [String] {
        text.lowercased().split { !$0.isLetter && !$0.isNumber }.map(String.init)
    }

    private func vector(_ text: String) -> [Float] {
        var vector = [Float](repeating: 0, count: dimension)
        vector[0] = 0.1  // an empty text has a direction, too
        for word in words(text) {
            var hash: UInt64 = 14_695_981_039_346_656_037
            for byte in word.utf8 { hash = (hash ^ UInt64(byte)) &* 1_099_511_628_211 }
            vector[Int(hash % UInt64(dimension - 1)) + 1] += 1
        }
        let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return vector.map { $0 / length }
    }
}

/// Waits until it is opened. Ends with `CancellationError` when its task is cancelled.
actor Gate {
    private var isOpen = false
    private(set) var arrivals = 0

    func open() { isOpen = true }

    func pass() async throws {
        arrivals += 1
        while !isOpen { try await Task.sleep(nanoseconds: 1_000_000) }
    }
}

/// An embedder whose queries wait at a gate, so that a call stays inside the library.
struct GatedEmbedder: Embedder {
    let gate: Gate
    var words = WordEmbedder()
    var id: String { words.id }
    var dimension: Int { words.dimension }
    var maxTokens: Int { words.maxTokens }

    func embed(_ texts: [String], role: EmbeddingRole) async throws -> [[Float]] {
        if role == .query { try await gate.pass() }
        return try await words.embed(texts, role: role)
    }
}

/// Says what it was told to say.
struct ScriptedGenerator: Generator {
    var id = "script"
    var contextTokens = 4096
    let pieces: [String]
    var pause: UInt64 = 0

    func generate(
        _ request: GeneratorRequest
    ) async throws -> AsyncThrowingStream<String, any Error> {
        AsyncThrowingStream { continuation in
            let task = Task {
                do {
                    for piece in pieces {
                        if pause > 0 { try await Task.sleep(nanoseconds: pause) }
                        continuation.yield(piece)
                    }
                    continuation.finish()
                } catch {
                    continuation.finish(throwing: error)
                }
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }
}

/// Waits for something that happens on other threads; fails after a long time.
func eventually(
    _ what: Comment, _ condition: () async throws -> Bool,
    at place: SourceLocation = #_sourceLocation
) async throws {
    for _ in 0..<30_000 {
        if try await condition() { return }
        try await Task.sleep(nanoseconds: 1_000_000)
    }
    Issue.record(what, sourceLocation: place)
}

/// The error that the work throws.
func error(
    of work: () async throws -> Void, at place: SourceLocation = #_sourceLocation
) async -> SatchelError? {
    do {
        try await work()
        Issue.record("nothing was thrown", sourceLocation: place)
    } catch let error as SatchelError {
        return error
    } catch {
        Issue.record("threw \(error)", sourceLocation: place)
    }
    return nil
}

let lease = """
    # Lease

    The lease ends on 31 May 2027. Notice must be given three months before.

    ## Repairs

    The landlord pays for repairs of the roof. The tenant pays for broken windows.
    """

extension Store {
    /// A few documents to find.
    func addNotes() async throws {
        try await add(
            id: "home/lease.md", text: lease,
            options: AddOptions(
                title: "Lease", metadata: ["kind": "contract", "year": 2024, "tags": ["home", "money"]],
                mediaType: "text/markdown"))
        try await add(
            id: "bread.txt", text: "Knead the dough for ten minutes. Bake it at 230 degrees. 🍞 naïve",
            options: AddOptions(metadata: ["kind": "recipe", "year": 2020]))
        try await add(id: "bike.txt", text: "The bicycle's chain was oiled in March.")
    }
}
