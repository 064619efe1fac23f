// A thousand times each: streams that are cancelled, handles that are closed during calls. No crash, and
// afterwards the library holds not a byte more than before.
import Foundation
import Satchel
import Testing

@Suite(.serialized) struct RaceTests {
    static let rounds = 1000
    let folder: Folder
    let context: Context

    init() throws {
        folder = try Folder()
        context = try Context()
    }

    /// A number that is the same in every run and different in every round.
    func mixed(_ round: Int) -> UInt64 {
        var number = UInt64(round) &* 0x9e37_79b9_7f4a_7c15
        number = (number ^ (number >> 30)) &* 0xbf58_476d_1ce4_e5b9
        return number ^ (number >> 27)
    }

    /// Waits for nothing, or for a few hundred microseconds.
    func pause(_ round: Int) async {
        let microseconds = mixed(round) % 400
        if microseconds < 100 { await Task.yield() } else { try? await Task.sleep(nanoseconds: microseconds * 1000) }
    }

    func settles(_ before: UInt64) async throws {
        try await eventually("the library still holds \(context.memory.now) bytes, before \(before)") {
            context.memory.now <= before
        }
    }

    /// Runs the work on a store, and sees that closing it gives back all that the work took.
    func withStore(_ work: (Store) async throws -> Void) async throws {
        let model = try await Model(embedder: WordEmbedder(), context: context)
        var before: UInt64 = 0
        for round in 0..<2 {
            let store = try await Store(path: folder.path("a.satchel"), embedder: model)
            if round == 0 {
                try await store.addNotes()
                _ = try await store.ask("When does the lease end?").collect()
            } else {
                try await work(store)
            }
            await store.closeAndWait()
            if round == 0 { before = context.memory.now } else { try await settles(before) }
        }
    }

    @Test func cancelledStreams() async throws {
        try await withStore { store in try await cancelStreams(of: store) }
    }

    func cancelStreams(of store: Store) async throws {
        let ask = {
            @Sendable in try await store.ask("When does the lease end?").collect()
        }
        var cancelled = 0, finished = 0
        for round in 0..<Self.rounds {
            let task = Task { try await ask() }
            await pause(round)
            task.cancel()
            do {
                #expect(try await task.value.text.contains("31 May 2027"))
                finished += 1
            } catch is CancellationError {
                cancelled += 1
            }
        }
        #expect(cancelled + finished == Self.rounds)
        #expect(cancelled > 0)
        #expect(try await ask().text.contains("31 May 2027"))
    }

    /// Texts of a generator in Swift: cancelled, left and closed in the middle, by turns.
    @Test func cancelledGenerations() async throws {
        let words = (0..<20).map { "word \($0) " }
        let model = try await Model(
            generator: ScriptedGenerator(pieces: words, pause: 20_000), context: context)
        let chat = { @Sendable in model.chat([ChatMessage(.user, "Speak.")]) }
        let whole = try await chat().collect().text
        #expect(whole == words.joined())
        let before = context.memory.now
        var ended = (cancelled: 0, finished: 0)
        for round in 0..<Self.rounds {
            let iterator = chat().makeAsyncIterator()
            let task = Task {
                var text = ""
                while let event = try await iterator.next() {
                    if case .token(let token) = event { text += token.text }
                }
                return text
            }
            await pause(round)
            if round % 3 == 0 { iterator.close() } else { task.cancel() }
            do {
                #expect(whole.hasPrefix(try await task.value))
                ended.finished += 1
            } catch is CancellationError {
                ended.cancelled += 1
            }
        }
        #expect(ended.cancelled + ended.finished == Self.rounds)
        #expect(ended.cancelled > 0)
        #expect(try await chat().collect().text == whole)
        try await settles(before)
    }

    @Test func leftStreams() async throws {
        try await withStore { store in
            for round in 0..<Self.rounds {
                var left = Int(mixed(round) % 4)
                for try await _ in store.ask("When does the lease end?") {
                    left -= 1
                    if left < 0 { break }
                }
            }
        }
    }

    @Test func closedDuringCalls() async throws {
        let model = try await Model(embedder: WordEmbedder(), context: context)
        let first = try await Store(path: folder.path("a.satchel"), embedder: model)
        try await first.addNotes()
        _ = try await first.search("lease")
        await first.closeAndWait()
        let before = context.memory.now
        var closed = 0
        for round in 0..<Self.rounds {
            let store = try await Store(path: folder.path("a.satchel"), embedder: model)
            async let search: Void = tolerating { _ = try await store.search("lease") }
            async let answer: Void = tolerating { _ = try await store.ask("Who pays?").collect() }
            if round % 2 == 0 { await pause(round) }
            store.close()
            let iterator = store.ask("lease?").makeAsyncIterator()
            async let pulled: Void = tolerating { _ = try await iterator.next() }
            iterator.close()
            for one in [try await search, try await answer, try await pulled] { _ = one }
            closed += 1
        }
        #expect(closed == Self.rounds)
        try await settles(before)
    }

    @Test func modelsClosedDuringCalls() async throws {
        _ = try await Model(embedder: WordEmbedder(), context: context).embed("warm")
        try await eventually("the model is let go") { context.memory.now < 1 << 20 }
        let before = context.memory.now
        for round in 0..<Self.rounds {
            let model = try await Model(embedder: WordEmbedder(), context: context)
            async let vectors: Void = tolerating { _ = try await model.embed("a lease") }
            if round % 2 == 0 { await pause(round) }
            model.close()
            try await vectors
        }
        try await settles(before)
    }

    /// Closed and cancelled is fine; anything else is not.
    func tolerating(_ work: @Sendable () async throws -> Void) async throws {
        do { try await work() } catch let error as SatchelError where error.code == .closed {
        } catch is CancellationError {}
    }
}

/// Faults on purpose, to see that a sanitizer finds them; tests/swift/run.py asks for them.
@Suite(.enabled(if: ProcessInfo.processInfo.environment["SATCHEL_FAULTS"] != nil))
struct FaultTests {
    nonisolated(unsafe) static var counter = 0
    nonisolated(unsafe) static var block: UnsafeMutableRawPointer?

    @Test func aLeakAndARace() {
        Self.block = .allocate(byteCount: 1000, alignment: 8)
        Self.block = nil
        let done = DispatchSemaphore(value: 0)
        for _ in 0..<2 {
            Thread.detachNewThread {
                for _ in 0..<100_000 { Self.counter += 1 }
                done.signal()
            }
        }
        for _ in 0..<2 { done.wait() }
    }
}
