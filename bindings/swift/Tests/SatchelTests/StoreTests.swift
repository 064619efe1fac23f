// Stores: documents in, passages out, errors as the library gives them.
import Foundation
import Satchel
import Testing

@Suite struct StoreTests {
    let folder: Folder

    init() throws { folder = try Folder() }

    func store(_ embedder: (any Embedder)? = nil) async throws -> Store {
        guard let embedder else { return try await Store(path: folder.path("a.satchel")) }
        return try await Store(
            path: folder.path("a.satchel"), embedder: Model(embedder: embedder))
    }

    @Test func libraryIsTheOneInstalled() {
        #expect(SatchelLibrary.isAtLeast(0, 1, 0))
        #expect(!SatchelLibrary.isAtLeast(999))
        #expect(SatchelLibrary.version.split(separator: ".").count == 3)
        #expect(SatchelLibrary.has("encoder"))
        #expect(!SatchelLibrary.has("teleport"))
    }

    @Test func findsByKeyword() async throws {
        let store = try await store()
        try await store.addNotes()
        let found = try await store.search("lease ends")
        #expect(found.mode == .keyword)
        let hit = try #require(found.first)
        #expect(hit.documentID == "home/lease.md")
        #expect(hit.title == "Lease")
        #expect(hit.metadata["kind"] == "contract")
        #expect(hit.metadata["year"] == 2024)
        #expect(hit.metadata["tags"] == ["home", "money"])
        #expect(hit.vectorScore == nil)
        #expect(!hit.matches.isEmpty)
        #expect(hit.text.contains(hit.snippet))
    }

    @Test func findsByMeaningWithAnEmbedderOfItsOwn() async throws {
        let store = try await store(WordEmbedder())
        try await store.addNotes()
        let found = try await store.search("bake dough", mode: .hybrid)
        #expect(found.mode == .hybrid)
        #expect(found.first?.documentID == "bread.txt")
        #expect(try #require(found.first?.vectorScore) > 0)
        #expect(try await store.stats().chunksPending == 0)
        #expect(store.model?.info.kind == .embedder)
        #expect(store.model?.info.architecture == "custom")
    }

    @Test func offsetsCountInTheText() async throws {
        let store = try await store()
        try await store.addNotes()
        for query in ["dough", "naïve", "roof", "windows"] {
            let hit = try #require(try await store.search(query).first)
            let text = try await store.text(of: hit.documentID)
            #expect(String(text[try #require(hit.range.range(in: text))]) == hit.text)
            #expect((text as NSString).substring(with: hit.range.nsRange) == hit.text)
            for match in hit.matches {
                let bytes = Array(text.utf8)[match.utf8]
                #expect(String(decoding: bytes, as: UTF8.self) == (text as NSString).substring(with: match.nsRange))
            }
        }
    }

    @Test func textKeepsWhatWasGiven() async throws {
        let store = try await store()
        let text = "a\0b 👩‍👩‍👧 \u{301} \r\n end"
        try await store.add(id: "odd", text: text)
        #expect(Array(try await store.text(of: "odd").utf8) == Array(text.utf8))
        try await store.add(id: "empty", text: "")
        #expect(try await store.text(of: "empty") == "")
    }

    @Test func defaultsAreTheLibrarys() async throws {
        let store = try await store()
        for number in 0..<30 { try await store.add(id: "\(number)", text: "the same word") }
        #expect(try await store.search("word").count == 10)
        #expect(try await store.search("word", limit: 25).count == 25)
    }

    @Test func filters() async throws {
        let store = try await store()
        try await store.addNotes()
        func ids(_ filter: Filter) async throws -> [String] {
            try await store.documents(filter: filter).map(\.id)
        }
        #expect(try await ids(.path("home/*")) == ["home/lease.md"])
        #expect(try await ids(.path("home/*", "bike.txt")) == ["bike.txt", "home/lease.md"])
        #expect(try await ids(.metadata("kind", is: "recipe")) == ["bread.txt"])
        #expect(try await ids(.metadata("kind", in: ["recipe", "contract"])).count == 2)
        #expect(try await ids(.metadata("tags", is: "money")) == ["home/lease.md"])
        #expect(try await ids(.metadata("year", in: 2019..<2024)) == ["bread.txt"])
        #expect(try await ids(.metadata("kind", exists: false)) == ["bike.txt"])
        #expect(try await ids(!.metadata("kind", exists: true)) == ["bike.txt"])
        #expect(try await ids(.all(.mediaType("text/markdown"), .title("Lease"))) == ["home/lease.md"])
        #expect(try await ids(.any(.path("bike*"), .path("bread*"))) == ["bike.txt", "bread.txt"])
        #expect(try await ids(.modified(since: .distantPast)).count == 3)
        #expect(try await ids(.modified(before: Date(timeIntervalSince1970: 0))) == [])
        #expect(try await ids(#"{"path": "b*"}"#) == ["bike.txt", "bread.txt"])
        // What a user typed stays within its string.
        #expect(try await ids(.title("\"}, {\"")) == [])
        let failure = await error { _ = try await ids(#"{"titel": "x"}"#) }
        #expect(failure?.code == .invalidFilter)
        #expect(failure?.message.contains("titel") == true)
    }

    @Test func documentsAndState() async throws {
        let store = try await store()
        try await store.addNotes()
        let stats = try await store.stats()
        #expect(stats.documents == 3)
        #expect(!stats.hasModel)
        #expect(try await store.documents(limit: 1, offset: 1).map(\.id) == ["bread.txt"])
        try await store.remove(id: "bike.txt")
        #expect(try await store.documents().count == 2)
        #expect(await error { try await store.remove(id: "bike.txt") }?.code == .notFound)
        #expect(try await store.verify() == [])
        try await store.backup(to: folder.path("copy.satchel"))
        let copy = try await Store(path: folder.path("copy.satchel"))
        #expect(try await copy.documents().count == 2)
        #expect(await error { try await store.backup(to: folder.path("copy.satchel")) }?.code == .exists)
    }

    @Test func bytesAndDescriptors() async throws {
        let store = try await store()
        try await store.add(id: "page.html", data: Data("<title>T</title><p>Sell the harbour".utf8))
        #expect(try await store.search("harbour").first?.title == "T")
        try await store.add(id: "nothing.txt", data: Data())
        try folder.write("file.txt", "xxThe anchor is rusty.")
        let file = try FileHandle(forReadingFrom: folder.url.appendingPathComponent("file.txt"))
        try await store.add(id: "file.txt", fileDescriptor: file.fileDescriptor, offset: 2)
        #expect(try await store.text(of: "file.txt") == "The anchor is rusty.")
        try file.close()
    }

    @Test func errorsCarryCodeAndMessage() async throws {
        let missing = folder.path("no/such.satchel")
        var options = StoreOptions()
        options.mustExist = true
        let failure = await error { _ = try await Store(path: missing, options: options) }
        #expect(failure?.code == .notFound)
        #expect(failure?.message.contains("such.satchel") == true)
        #expect(failure?.code.description == "SATCHEL_NOT_FOUND")
        #expect(failure?.localizedDescription == failure?.message)

        try folder.write("text.satchel", String(repeating: "no store ", count: 1000))
        let other = await error { _ = try await Store(path: folder.path("text.satchel")) }
        #expect(other?.code == .notAStore)

        let store = try await store()
        #expect(await error { try await store.add(id: "a\0b", text: "x") }?.code == .invalidArgument)
        #expect(await error { try await store.add(id: "", text: "x") }?.code == .invalidArgument)
        #expect(await error { _ = try await store.search("x", mode: .vector) }?.code == .noModel)
        #expect(await error { _ = try await store.search("x", limit: -1) }?.code == .invalidArgument)
        #expect(await error { _ = try await store.search("x", limit: .max) }?.code == .invalidArgument)
        var new = AddOptions()
        new.mustBeNew = true
        try await store.add(id: "a", text: "x", options: new)
        #expect(await error { try await store.add(id: "a", text: "y", options: new) }?.code == .exists)
        let none = await error { _ = try await Model(path: folder.path("none.gguf")) }
        #expect(none?.code == .notFound)
        #expect(none?.osCode == ENOENT)
        #expect(
            await error { _ = try await Model(path: folder.path("text.satchel")) }?.code == .damaged)
    }

    @Test func closedIsClosed() async throws {
        let store = try await store()
        try await store.addNotes()
        await store.closeAndWait()
        #expect(await error { _ = try await store.search("lease") }?.code == .closed)
        #expect(await error { _ = try await store.ask("lease?").collect() }?.code == .closed)
        store.close()
        await store.closeAndWait()
        // The file is free: its journal has gone with the last connection.
        #expect(!FileManager.default.fileExists(atPath: folder.path("a.satchel-wal")))
    }

    @Test func syncsAFolder() async throws {
        try folder.write("notes/a.md", lease)
        try folder.write("notes/b.txt", "The bicycle's chain was oiled.")
        try folder.write("notes/c.txt", String(repeating: "long ", count: 1000))
        var options = SyncOptions()
        options.maxFileBytes = 2000
        let store = try await store(WordEmbedder())
        var files: [String] = []
        var summary: SyncSummary?
        for try await event in store.sync(path: folder.path("notes"), options: options) {
            switch event {
            case .file(let file): files.append("\(file.change) \(file.documentID)")
            case .progress(let progress): #expect(progress.done >= 0)
            case .done(let done): summary = done
            }
        }
        #expect(files.contains("added notes/a.md"))
        #expect(files.contains("added notes/b.txt"))
        #expect(summary?.added == 2)
        #expect(try await store.stats().chunksPending == 0)
        let roots = try await store.roots()
        #expect(roots.map(\.name) == ["notes"])
        #expect(roots.map(\.documents) == [2])
        #expect(roots.first?.path.hasSuffix("notes") == true)
        let url = folder.url.appendingPathComponent("notes")
        let report = try await store.sync(folder: url, options: options).collect()
        #expect(report.summary?.unchanged == 2)
        #expect(report.summary?.skipped == 1)
        #expect(report.problems.map(\.documentID) == ["notes/c.txt"])
        #expect(report.problems.first?.failure == .limit)
        #expect(throws: SatchelError.self) {
            try store.sync(folder: #require(URL(string: "https://example.org/notes")))
        }
    }

    @Test func embedsLater() async throws {
        let store = try await store(WordEmbedder())
        var options = AddOptions()
        options.deferEmbedding = true
        try await store.add(id: "a", text: "The harbour is deep.", options: options)
        #expect(try await store.stats().chunksPending == 1)
        #expect(try await store.maintain() == 0)
        #expect(try await store.search("harbour", mode: .vector).count == 1)
    }

    @Test func topicsAndClusters() async throws {
        let store = try await store(WordEmbedder())
        try await store.addNotes()
        var options = TopicsOptions()
        options.count = 2
        let topics = try await store.topics(options)
        #expect(topics.count == 2)
        #expect(topics.reduce(0) { $0 + $1.chunks } == topics.chunks)
        #expect(topics[0].centroid.count == 64)
        #expect(topics[0].documents.first.map { $0.chunks > 0 } == true)

        let points: [Float] = [0, 0, 0, 1, 10, 10, 10, 11]
        let made = try await KMeans.cluster(points, dimension: 2, into: 2)
        #expect(made.labels[0] == made.labels[1] && made.labels[2] == made.labels[3])
        #expect(made.labels[0] != made.labels[2])
        #expect(made.inertia == 1)
        let assigned = try await KMeans.assign([9, 9], dimension: 2, to: made.centroids)
        #expect(assigned.labels == [made.labels[2]])
        #expect(KMeans.defaultCount(for: 100) == 10)
        #expect(
            await error { _ = try await KMeans.cluster([1, 2, 3], dimension: 2) }?.code
                == .invalidArgument)
        #expect(
            await error { _ = try await KMeans.cluster([.nan, 2], dimension: 2, into: 1) }?.code
                == .invalidArgument)
    }

    @Test func clustersFromMemoryAFileAndAFunction() async throws {
        let places: [Int] = (0..<600).map { number in
            let within = number * 7919 % 101
            return number / 200 * 300 + within
        }
        let points = places.map { Float($0) }
        let little = points.map { $0.bitPattern.littleEndian }
        let file = folder.url.appendingPathComponent("points.f32")
        let bytes = little.withUnsafeBufferPointer { Data(buffer: $0) }
        try (Data("head".utf8) + bytes).write(to: file)
        let sources = [
            try KMeansPoints(points, dimension: 3),
            try KMeansPoints(path: file.path, count: 200, dimension: 3, offset: 4),
            try KMeansPoints(count: 200, dimension: 3) { rows, out in
                _ = out.update(fromContentsOf: points[rows.lowerBound * 3..<rows.upperBound * 3])
            },
        ]
        let made = try await KMeans.cluster(points, dimension: 3, into: 4)
        #expect(Set(made.labels).count == 4)
        for source in sources {
            let same = try await KMeans.cluster(source, into: 4)
            #expect(same.labels == made.labels && same.centroids == made.centroids)
            #expect(same.inertia == made.inertia && same.stop == made.stop)
            let assigned = try await KMeans.assign(source, to: made.centroids)
            #expect(assigned.labels == made.labels)
        }
        let failing = try KMeansPoints(count: 9, dimension: 1) { _, _ in throw Refused(why: "gone") }
        let failure = await error { _ = try await KMeans.cluster(failing, into: 2) }
        #expect(failure?.code == .callback)
        #expect(failure?.underlying as? Refused == Refused(why: "gone"))
        let short = try KMeansPoints(path: file.path, count: 201, dimension: 3, offset: 4)
        #expect(await error { _ = try await KMeans.cluster(short, into: 2) }?.code == .damaged)
        #expect(
            await error { _ = try await KMeans.cluster(sources[0], into: 201) }?.code
                == .invalidArgument)
        #expect(await error { _ = try KMeansPoints(count: -1, dimension: 1) { _, _ in } } != nil)
    }

    @Test func contextsCountAndLog() async throws {
        final class Lines: @unchecked Sendable {
            let lock = NSLock()
            var lines: [String] = []
            func add(_ line: String) { lock.withLock { lines.append(line) } }
        }
        let lines = Lines()
        var options = ContextOptions()
        options.threads = 1
        options.log = { lines.add("\($0): \($1)") }
        options.logLevel = .debug
        let context = try Context(options)
        #expect(context.threads == 1)
        #expect(!context.cpuName.isEmpty)
        let store = try await Store(path: folder.path("b.satchel"), context: context)
        try await store.addNotes()
        #expect(context.memory.now > 0)
        #expect(context.memory.peak >= context.memory.now)

        options.memoryLimit = 1 << 20
        let small = try Context(options)
        let points = [Float](repeating: 1, count: 1 << 20)
        let failure = await error {
            _ = try await KMeans.cluster(points, dimension: 16, into: 1 << 15, context: small)
        }
        #expect(failure?.code == .memoryLimit)
    }
}
