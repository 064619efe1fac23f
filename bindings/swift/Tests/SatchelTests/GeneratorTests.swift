// Generators written in Swift: answers in their words, citations, cancelling, conversations.
import Foundation
import Satchel
import Testing

@Suite struct GeneratorTests {
    let folder: Folder

    init() throws { folder = try Folder() }

    func store() async throws -> Store {
        let store = try await Store(
            path: folder.path("a.satchel"), embedder: Model(embedder: WordEmbedder()))
        try await store.addNotes()
        return store
    }

    @Test func chatGoesThroughTheTable() async throws {
        let model = try await Model(generator: ScriptedGenerator(pieces: ["Hel", "lo", " 🍞", "!"]))
        #expect(model.info.kind == .generator)
        #expect(model.info.contextTokens == 4096)
        let stream = model.chat([ChatMessage(.system, "Be brief."), ChatMessage(.user, "Hi")])
        let made = try await stream.collect()
        #expect(made.text == "Hello 🍞!")
        #expect(made.summary?.finish == .end)
        #expect(try await model.chat(json: #"[{"role": "user", "content": "Hi"}]"#).collect().text == "Hello 🍞!")
        #expect(await error { _ = try await model.chat(json: "{").collect() }?.code == .invalidArgument)
        var options = ChatOptions()
        options.generate.stop = ["lo"]
        let stopped = try await model.chat([ChatMessage(.user, "Hi")], options: options).collect()
        #expect(stopped.text == "Hel")
        #expect(stopped.summary?.finish == .stop)
        #expect(await error { _ = try await model.embed("x") }?.code == .wrongModel)
    }

    @Test func answersInItsOwnWords() async throws {
        let store = try await store()
        let script = ScriptedGenerator(pieces: ["It ends on ", "31 May 2027 ", "[1]."])
        let model = try await Model(generator: script)
        let answer = try await store.ask("When does the lease end?", generator: model).collect()
        #expect(answer.mode?.mode == .generated)
        #expect(answer.mode?.reason == .generator)
        #expect(answer.text == "It ends on 31 May 2027 [1].")
        #expect(answer.citations.map(\.documentID) == ["home/lease.md"])
        #expect(answer.refusal == nil)
    }

    struct Remembering: Generator {
        final class Seen: @unchecked Sendable {
            private let lock = NSLock()
            private var requests: [GeneratorRequest] = []
            func add(_ request: GeneratorRequest) { lock.withLock { requests.append(request) } }
            var all: [GeneratorRequest] { lock.withLock { requests } }
        }
        let id = "remembering"
        let contextTokens = 4096
        let seen = Seen()

        func generate(
            _ request: GeneratorRequest
        ) async throws -> AsyncThrowingStream<String, any Error> {
            seen.add(request)
            return AsyncThrowingStream {
                $0.yield("Answer \(seen.all.count) [1].")
                $0.finish()
            }
        }
    }

    @Test func conversationsRemember() async throws {
        let generator = Remembering()
        let conversation = Conversation(about: try await store(), generator: try await Model(generator: generator))
        _ = try await conversation.ask("When does the lease end?").collect()
        #expect(await conversation.history.map(\.content) == ["When does the lease end?", "Answer 1 [1]."])
        // One that was left is not remembered.
        for try await event in await conversation.ask("Who pays for the roof?") {
            if case .token = event { break }
        }
        #expect(await conversation.history.count == 2)
        _ = try await conversation.ask("Who pays for windows of the lease?").collect()
        #expect(await conversation.history.count == 4)
        let last = try #require(generator.seen.all.last)
        // Its numbers meant other passages.
        #expect(last.messages.contains(ChatMessage(.assistant, "Answer 1.")))
        #expect(last.messages.contains { $0.role == .user && $0.content.contains("windows") })
        await conversation.forget()
        #expect(await conversation.history.isEmpty)
    }

    @Test func whatIsAskedForArrives() async throws {
        let generator = Remembering()
        let model = try await Model(generator: generator)
        var options = ChatOptions()
        options.generate = GenerateOptions(maxTokens: 7, temperature: 0.5, seed: 3)
        options.generate.topK = 5
        options.generate.topP = 0.75
        options.generate.biases = [4: 0.5, 9: -.infinity]
        options.generate.stop = ["one", "two"]
        options.generate.schema = #"{"type": "object"}"#
        options.generate.overflow = .shift
        options.continueAnswer = true
        let messages = [ChatMessage(.user, "Hi"), ChatMessage(.assistant, "Hel")]
        _ = try await model.chat(messages, options: options).collect()
        let request = try #require(generator.seen.all.last)
        #expect(request.messages == messages)
        #expect(request.maxTokens == 7)
        #expect(request.continuesAnswer)
        let asked = request.options
        #expect(asked.temperature == 0.5 && asked.seed == 3 && asked.topK == 5 && asked.topP == 0.75)
        #expect(asked.biases == [4: 0.5, 9: -.infinity])
        #expect(asked.stop == ["one", "two"])
        #expect(asked.schema == #"{"type": "object"}"#)
        #expect(asked.overflow == .shift)
        #expect(asked.minP == nil && asked.grammar == nil && !asked.trustPrompt && !asked.noSavedKV)

        _ = try await model.chat([ChatMessage(.user, "Hi")]).collect()
        let plain = try #require(generator.seen.all.last)
        #expect(!plain.continuesAnswer)
        #expect(plain.options.temperature == nil && plain.options.stop.isEmpty)
    }

    struct Failing: Generator {
        let id = "failing"
        let contextTokens = 4096
        let atOnce: Bool

        func generate(
            _ request: GeneratorRequest
        ) async throws -> AsyncThrowingStream<String, any Error> {
            if atOnce { throw Refused(why: "no") }
            return AsyncThrowingStream {
                $0.yield("Hel")
                $0.finish(throwing: Refused(why: "gone"))
            }
        }
    }

    @Test func whatAGeneratorThrowsIsCarried() async throws {
        for (atOnce, why) in [(true, "no"), (false, "gone")] {
            let model = try await Model(generator: Failing(atOnce: atOnce))
            let failure = await error { _ = try await model.chat([ChatMessage(.user, "Hi")]).collect() }
            #expect(failure?.code == .callback)
            #expect(failure?.underlying as? Refused == Refused(why: why))
        }
    }

    /// Never says anything, and says when it was cancelled.
    struct Silent: Generator {
        final class State: @unchecked Sendable {
            private let lock = NSLock()
            private var counts = (begun: 0, ended: 0)
            func begin() { lock.withLock { counts.begun += 1 } }
            func end() { lock.withLock { counts.ended += 1 } }
            var now: (begun: Int, ended: Int) { lock.withLock { counts } }
        }
        let id = "silent"
        let contextTokens = 4096
        let state = State()

        func generate(
            _ request: GeneratorRequest
        ) async throws -> AsyncThrowingStream<String, any Error> {
            state.begin()
            return AsyncThrowingStream { continuation in
                continuation.yield("One ")
                continuation.onTermination = { _ in state.end() }
            }
        }
    }

    @Test func cancellingReachesTheGenerator() async throws {
        let generator = Silent()
        let model = try await Model(generator: generator)
        let task = Task { try await model.chat([ChatMessage(.user, "Hi")]).collect() }
        try await eventually("the generator is asked") { generator.state.now.begun == 1 }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        try await eventually("the generator's task is cancelled") { generator.state.now.ended == 1 }
        // Left in the middle, too.
        for try await event in model.chat([ChatMessage(.user, "Hi")]) {
            if case .token = event { break }
        }
        try await eventually("the generator's task is cancelled") { generator.state.now.ended == 2 }
    }

    @Test func theAppsOwnModelAnswers() async throws {
        let store = try await store()
        var options = AskOptions()
        options.contextTokens = 2000
        let question = try await store.prepare("When does the lease end?", options: options)
        #expect(question.messages.last?.role == .user)
        #expect(!question.passages.isEmpty)
        #expect(question.refused == nil)
        #expect(question.promptTokens > 0)
        let shown = question.results[question.passages[0].hit]
        #expect(shown.documentID == "home/lease.md")
        let pieces = AsyncStream<String> {
            for piece in ["It ends on ", "31 May 2027", " [1].", " Good."] { $0.yield(piece) }
            $0.finish()
        }
        var text = "", citations: [Citation] = [], last = ""
        for try await event in question.events(from: pieces) {
            switch event {
            case .mode(let mode): #expect(mode.mode == .external)
            case .token(let token): text += token.text
            case .citation(let citation): citations.append(citation)
            case .done: last = "done"
            default: break
            }
        }
        #expect(text == "It ends on 31 May 2027 [1]. Good.")
        #expect(citations.map(\.documentID) == ["home/lease.md"])
        #expect(last == "done")
        #expect(await error { _ = try await question.resolve("another") }?.code == .invalidArgument)
        #expect(await error { _ = try await store.prepare("lease?") }?.code == .invalidArgument)
        #expect(AskOptions.defaultPrompt.hasPrefix("{"))
    }
}
