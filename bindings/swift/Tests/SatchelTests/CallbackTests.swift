// Embedders, readers and generators written in Swift.
import Foundation
import Satchel
import Testing

struct Refused: Error, Equatable { let why: String }

@Suite struct CallbackTests {
    let folder: Folder

    init() throws { folder = try Folder() }

    struct FailingEmbedder: Embedder {
        let id = "failing"
        let dimension = 8
        let maxTokens = 64
        let failure: any Error & Sendable

        func embed(_ texts: [String], role: EmbeddingRole) async throws -> [[Float]] { throw failure }
    }

    struct WrongEmbedder: Embedder {
        let id = "wrong"
        let dimension = 8
        let maxTokens = 64
        let rows: Int
        let width: Int

        func embed(_ texts: [String], role: EmbeddingRole) async throws -> [[Float]] {
            Array(repeating: Array(repeating: 1, count: width), count: rows)
        }
    }

    @Test func vectorsAreUnitVectors() async throws {
        let model = try await Model(embedder: WordEmbedder())
        #expect(model.info.dimension == 64)
        #expect(model.info.maxTokens == 128)
        let vectors = try await model.embed(["a lease", "", "a\0b"])
        #expect(vectors.count == 3)
        for vector in vectors {
            #expect(abs(vector.reduce(0) { $0 + $1 * $1 } - 1) < 1e-4)
        }
        #expect(try await model.embed([String]()) == [])
        #expect(await error { _ = try await model.tokenize("x") }?.code == .unsupported)
        #expect(model.piece(of: 0) == nil)
    }

    @Test func whatAnEmbedderThrowsIsCarried() async throws {
        let model = try await Model(embedder: FailingEmbedder(failure: Refused(why: "offline")))
        let failure = await error { _ = try await model.embed("x") }
        #expect(failure?.code == .callback)
        #expect(failure?.underlying as? Refused == Refused(why: "offline"))
        // The document stays, found by keyword.
        let store = try await Store(path: folder.path("a.satchel"), embedder: model)
        #expect(await error { try await store.add(id: "a", text: "The harbour") }?.code == .callback)
        #expect(try await store.search("harbour", mode: .keyword).count == 1)
        let stopped = try await Model(embedder: FailingEmbedder(failure: CancellationError()))
        await #expect(throws: CancellationError.self) { try await stopped.embed("x") }
    }

    @Test func vectorsOfTheWrongShapeAreRefused() async throws {
        for (rows, width) in [(0, 8), (2, 8), (1, 7), (1, 0)] {
            let model = try await Model(embedder: WrongEmbedder(rows: rows, width: width))
            let failure = await error { _ = try await model.embed("x") }
            #expect(failure?.code == .callback)
            #expect((failure?.underlying as? SatchelError)?.message.contains("length 8") == true)
        }
        let zero = WrongEmbedder(rows: 1, width: 8)
        #expect(try await Model(embedder: zero).embed("x").allSatisfy { abs($0 - 0.35355) < 1e-4 })
    }

    final class Counted: Embedder, @unchecked Sendable {
        nonisolated(unsafe) static var alive = 0
        static let lock = NSLock()
        let words = WordEmbedder()
        var id: String { words.id }
        var dimension: Int { words.dimension }
        var maxTokens: Int { words.maxTokens }

        init() { Self.lock.withLock { Self.alive += 1 } }
        deinit { Self.lock.withLock { Self.alive -= 1 } }

        func embed(_ texts: [String], role: EmbeddingRole) async throws -> [[Float]] {
            try await words.embed(texts, role: role)
        }
    }

    @Test func embeddersAreLetGo() async throws {
        do {
            let store = try await Store(
                path: folder.path("a.satchel"), embedder: Model(embedder: Counted()))
            try await store.addNotes()
            _ = try await store.search("lease")
            #expect(Counted.lock.withLock { Counted.alive } == 1)
        }
        try await eventually("the embedder is let go") { Counted.lock.withLock { Counted.alive } == 0 }
    }

    struct SlideReader: Reader {
        let id = "slides"
        let mediaTypes = ["application/x-slides"]
        let fileExtensions = ["slides"]

        func read(_ data: Data, mediaType: String) async throws -> [ReaderPart] {
            let text = String(decoding: data, as: UTF8.self)
            if text.hasPrefix("?") { throw SatchelError(.unsupported, "not mine") }
            if text.hasPrefix("!") { throw Refused(why: "löchrig") }
            var parts: [ReaderPart] = [.title("Slides"), .heading(level: 1, "All")]
            for (index, slide) in text.components(separatedBy: "---").enumerated() {
                parts += [.slide(index + 1), .text(slide + "\n\n")]
            }
            return parts
        }
    }

    @Test func readersGiveTextAndPlaces() async throws {
        let store = try await Store(path: folder.path("a.satchel"))
        try await store.add(reader: SlideReader())
        try await store.add(
            id: "talk.slides", data: Data("The harbour is deep.---The anchor is heavy.".utf8))
        #expect(try await store.documents().first?.title == "Slides")
        let hit = try #require(try await store.search("anchor").first)
        #expect(hit.heading == "All")
        #expect(hit.page != nil)
        let failure = await error { try await store.add(id: "bad.slides", data: Data("!".utf8)) }
        #expect(failure?.code == .callback)
        #expect(failure?.message.contains("löchrig") == true)
        #expect(failure?.underlying as? Refused == Refused(why: "löchrig"))
        try folder.write("talks/good.slides", "One.---Two.")
        try folder.write("talks/bad.slides", "!")
        let report = try await store.sync(path: folder.path("talks")).collect()
        #expect(report.summary?.added == 1)
        #expect(report.problems.map(\.documentID) == ["talks/bad.slides"])
        #expect(report.problems.first?.message.contains("löchrig") == true)
    }
}
