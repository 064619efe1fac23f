// The scenarios that every language runs, with identical results: tests/conformance/README.md.
import Foundation
import Satchel
import Testing

private struct Scenario: Decodable, Sendable, CustomTestStringConvertible {
    let name: String
    let steps: [JSONValue]
    var testDescription: String { name }

    static func all() throws -> [Scenario] {
        let beside = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../../../tests/conformance/scenarios.json")
        let path = ProcessInfo.processInfo.environment["SATCHEL_SCENARIOS"] ?? beside.path
        let file = try Data(contentsOf: URL(fileURLWithPath: path))
        return try JSONDecoder().decode([String: [Scenario]].self, from: file)["scenarios"] ?? []
    }
}

/// The embedder that the scenarios describe.
private struct ConformanceEmbedder: Embedder, TokenCounting {
    let id = "conformance"
    let dimension = 32
    let maxTokens = 64

    func countTokens(of text: String) async throws -> Int { (text.utf8.count + 3) / 4 + 2 }

    func embed(_ texts: [String], role: EmbeddingRole) async throws -> [[Float]] {
        texts.map { text in
            var counts = [Double](repeating: 0, count: dimension)
            var before = 0
            for byte in text.utf8.map(Int.init) {
                counts[(7 * byte + 3 * before) % dimension] += 1
                before = byte
            }
            if text.isEmpty { counts[0] = 1 }
            let length = counts.reduce(0) { $0 + $1 * $1 }.squareRoot()
            return counts.map { Float($0 / length) }
        }
    }
}

/// The generator that the scenarios describe.
private struct ConformanceGenerator: Generator, TokenCounting {
    let id = "script"
    let contextTokens = 2048
    let pieces: [String?]  // nil: it fails here

    func countTokens(of text: String) async throws -> Int { (text.utf8.count + 3) / 4 }

    func generate(
        _ request: GeneratorRequest
    ) async throws -> AsyncThrowingStream<String, any Error> {
        AsyncThrowingStream { continuation in
            for piece in pieces {
                guard let piece else {
                    return continuation.finish(throwing: Refused(why: "by script"))
                }
                continuation.yield(piece)
            }
            continuation.finish()
        }
    }
}

private struct UnknownStep: Error { let name: String }

/// A scenario's folder, context and store.
private final class Run {
    let folder: Folder
    let context: Context
    var store: Store?
    var prepared: PreparedQuestion?

    init() throws {
        folder = try Folder()
        var options = ContextOptions()
        options.threads = 1
        context = try Context(options)
    }

    func step(_ step: JSONValue) async throws -> JSONValue {
        do {
            return .object(try await result(of: step))
        } catch let error as SatchelError {
            return .object(["error": name(error.code)])
        } catch is CancellationError {
            return .object(["error": .string("CANCELLED")])
        }
    }

    private func name(_ code: SatchelError.Code) -> JSONValue {
        .string(code.description.replacingOccurrences(of: "SATCHEL_", with: ""))
    }

    private func open() throws -> Store { try #require(store) }

    private func text(_ step: JSONValue, _ key: String) throws -> String {
        try #require(step[key]?.string, "the step has no '\(key)'")
    }

    private func data(_ step: JSONValue) throws -> Data {
        guard let hex = step["hex"]?.string else { return Data(try text(step, "text").utf8) }
        let digits = Array(hex)
        return Data(
            stride(from: 0, to: digits.count, by: 2).compactMap {
                UInt8(String(digits[$0...$0 + 1]), radix: 16)
            })
    }

    private func result(of step: JSONValue) async throws -> [String: JSONValue] {
        switch try text(step, "do") {
        case "write":
            let file = folder.url.appendingPathComponent(try text(step, "name"))
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try data(step).write(to: file)
            return [:]
        case "damage":
            let file = folder.url.appendingPathComponent(try text(step, "name"))
            var bytes = try Data(contentsOf: file)
            let at = try #require(step["offset"]?.int)
            let new = try data(step)
            bytes.replaceSubrange(at..<at + new.count, with: new)
            try bytes.write(to: file)
            return [:]
        case "delete":
            try FileManager.default.removeItem(
                at: folder.url.appendingPathComponent(try text(step, "name")))
            return [:]
        case "open": return try await openStore(step)
        case "close":
            await store?.closeAndWait()
            return [:]
        case "add_text", "add_bytes": return try await add(step)
        case "remove":
            try await open().remove(id: text(step, "id"))
            return [:]
        case "text": return ["text": .string(try await open().text(of: text(step, "id")))]
        case "list": return try await list(step)
        case "stats":
            let stats = try await open().stats()
            return [
                "documents": .int(stats.documents), "chunks": .int(stats.chunks),
                "chunks_embedded": .int(stats.chunksEmbedded),
                "chunks_pending": .int(stats.chunksPending),
            ]
        case "search": return try await search(step)
        case "ask": return try await ask(step)
        case "prepare": return try await prepare(step)
        case "resolve":
            let question = try #require(prepared)
            let events = try await question.resolve(
                text(step, "text"), isFinal: step["final"]?.bool ?? false)
            return ["events": .array(events.compactMap(told))]
        case "sync": return try await sync(step)
        case "verify": return ["problems": .int(try await open().verify().count)]
        case "backup":
            try await open().backup(to: folder.path(text(step, "to")))
            return [:]
        case "open_model":
            _ = try await Model(path: folder.path(text(step, "path")), context: context)
            return [:]
        case "kmeans": return try await kmeans(step)
        case let other: throw UnknownStep(name: other)
        }
    }

    private func openStore(_ step: JSONValue) async throws -> [String: JSONValue] {
        var options = StoreOptions()
        options.readOnly = step["read_only"]?.bool ?? false
        options.mustExist = step["must_exist"]?.bool ?? false
        options.chunkTokens = step["chunk_tokens"]?.int
        var model: Model?
        if step["embedder"]?.bool == true {
            model = try await Model(embedder: ConformanceEmbedder(), context: context)
        }
        store = try await Store(
            path: folder.path(text(step, "path")), embedder: model, options: options,
            context: context)
        return [:]
    }

    private func add(_ step: JSONValue) async throws -> [String: JSONValue] {
        var options = AddOptions(
            title: step["title"]?.string, mediaType: step["media_type"]?.string)
        options.mustBeNew = step["must_be_new"]?.bool ?? false
        options.metadataJSON = step["metadata"]?.description
        if step["do"] == .string("add_text") {
            try await open().add(id: text(step, "id"), text: text(step, "text"), options: options)
        } else {
            try await open().add(id: text(step, "id"), data: data(step), options: options)
        }
        return [:]
    }

    private func filter(_ step: JSONValue) -> Filter? {
        step["filter"].map { Filter(json: $0.description) }
    }

    private func list(_ step: JSONValue) async throws -> [String: JSONValue] {
        let documents = try await open().documents(filter: filter(step))
        return [
            "documents": .array(
                documents.map {
                    .object([
                        "id": .string($0.id), "title": .string($0.title),
                        "media_type": .string($0.mediaType), "text_bytes": .int($0.textBytes),
                        "chunks": .int($0.chunks),
                    ])
                })
        ]
    }

    private func mode<T: OpenConstant>(_ known: [T], _ name: String?) throws -> T? {
        try name.map { name in try #require(known.first { $0.description == name }) }
    }

    private func search(_ step: JSONValue) async throws -> [String: JSONValue] {
        let found = try await open().search(
            text(step, "query"), limit: step["k"]?.int,
            mode: mode([SearchMode.keyword, .vector, .hybrid], step["mode"]?.string),
            filter: filter(step))
        return [
            "mode": .string(found.mode.description),
            "hits": .array(
                found.map {
                    .object([
                        "id": .string($0.documentID), "title": .string($0.title),
                        "heading": .string($0.heading), "range": span($0.range),
                        "snippet": span($0.snippetRange), "text": .string($0.text),
                        "page": .int($0.page ?? 0), "matches": .array($0.matches.map(span)),
                    ])
                }),
        ]
    }

    private func askOptions(_ step: JSONValue) throws -> AskOptions {
        var options = AskOptions()
        options.mode = try mode([AnswerMode.extractive, .generated], step["mode"]?.string)
        options.searchMode = try mode(
            [SearchMode.keyword, .vector, .hybrid], step["search_mode"]?.string)
        options.passages = step["k"]?.int
        options.filter = filter(step)
        options.maxSentences = step["max_sentences"]?.int
        options.refusalThreshold = step["threshold"]?.number.map { Float($0) }
        options.contextTokens = step["context_tokens"]?.int
        return options
    }

    private func ask(_ step: JSONValue) async throws -> [String: JSONValue] {
        var generator: Model?
        if let pieces = step["pieces"]?.array {
            generator = try await Model(
                generator: ConformanceGenerator(pieces: pieces.map(\.string)),
                context: context)
        }
        let stream = try open().ask(
            text(step, "question"), generator: generator, options: askOptions(step))
        let after = step["cancel_after"]?.int
        // A task of its own, to be cancelled alone.
        let (events, failure) = await Task { @Sendable in
            var events: [JSONValue] = []
            do {
                for try await event in stream {
                    guard let told = told(event) else { continue }
                    events.append(told)
                    if events.count == after { withUnsafeCurrentTask { $0?.cancel() } }
                }
                return (events, nil as (any Error)?)
            } catch {
                return (events, error)
            }
        }.value
        var result: [String: JSONValue] = ["events": .array(events)]
        if let failure = failure as? SatchelError {
            result["error"] = name(failure.code)
        } else if failure != nil {
            result["error"] = .string("CANCELLED")
        }
        return result
    }

    private func prepare(_ step: JSONValue) async throws -> [String: JSONValue] {
        let question = try await open().prepare(text(step, "question"), options: askOptions(step))
        prepared = question
        return [
            "passages": .int(question.passages.count),
            "refused": .string(question.refused?.description ?? "none"),
        ]
    }

    private func sync(_ step: JSONValue) async throws -> [String: JSONValue] {
        var options = SyncOptions()
        options.root = step["root"]?.string
        options.allowRemovals = step["allow_removals"]?.bool ?? false
        var files: [JSONValue] = []
        var result: [String: JSONValue] = [:]
        do {
            for try await event in try open().sync(
                path: folder.path(text(step, "folder")), options: options)
            {
                switch event {
                case .file(let file):
                    let status = file.failure.map(name) ?? .string("OK")
                    files.append(
                        .array([.string(file.documentID), .string(file.change.description), status]))
                case .done(let done):
                    result["done"] = .array(
                        [
                            done.added, done.changed, done.removed, done.renamed, done.unchanged,
                            done.failed, done.skipped,
                        ].map(JSONValue.int))
                case .progress: break
                }
            }
        } catch let error as SatchelError {
            result["error"] = name(error.code)
        }
        result["files"] = .array(files)
        return result
    }

    private func kmeans(_ step: JSONValue) async throws -> [String: JSONValue] {
        let points = try #require(step["points"]?.array).map { $0.array?.compactMap(\.number) ?? [] }
        var options = KMeansOptions()
        options.iterations = step["iterations"]?.int
        let initial = step["initial"]?.array?.flatMap { $0.array?.compactMap(\.number) ?? [] } ?? []
        options.initial = initial.map { Float($0) }
        let made = try await KMeans.cluster(
            points.flatMap { $0 }.map { Float($0) }, dimension: points.first?.count ?? 0,
            into: #require(step["k"]?.int), options: options, context: context)
        return [
            "labels": .array(made.labels.map { .int(Int($0)) }),
            "iterations": .int(made.iterations), "stop": .string(made.stop.description),
        ]
    }
}

/// A range as the scenarios tell it.
private func span(_ range: TextRange) -> JSONValue {
    .array(
        [
            range.utf8.lowerBound, range.utf8.upperBound, range.utf16.lowerBound,
            range.utf16.upperBound,
        ].map(JSONValue.int))
}

/// An event as the scenarios tell it.
private func told(_ event: AnswerEvent) -> JSONValue? {
    switch event {
    case .mode(let mode):
        return .array(
            ["mode", mode.mode.description, mode.reason.description, mode.searchMode.description]
                .map(JSONValue.string))
    case .hits(let hits): return .array([.string("hits"), .int(hits.count)])
    case .token(let token): return .array([.string("token"), .string(token.text)])
    case .citation(let citation):
        return .array([
            .string("citation"), .string(citation.documentID), .int(citation.hit),
            span(citation.answer), span(citation.source), .bool(citation.isVerified),
        ])
    case .refusal(let refusal):
        return .array([.string("refusal"), .string(refusal.reason.description)])
    case .done(let done): return .array([.string("done"), .int(done.hits), .int(done.sentences)])
    case .progress: return nil
    }
}

@Suite struct ConformanceTests {
    @Test func thereAreScenarios() throws {
        #expect(try Scenario.all().count > 10)
    }

    @Test(arguments: (try? Scenario.all()) ?? [])
    fileprivate func scenario(_ scenario: Scenario) async throws {
        let run = try Run()
        for (number, step) in scenario.steps.enumerated() {
            let got = try await run.step(step)
            let fits = step["expect"].map { got.has($0) } ?? (got["error"] == nil)
            try #require(
                fits,
                """
                step \(number + 1), \(step["do"] ?? .null)
                expected: \(step["expect"] ?? .null)
                got: \(got)
                """)
        }
    }
}
