// Streams as asynchronous sequences: order, ending early, cancelling, closing.
import Foundation
import Satchel
import Testing

@Suite struct StreamTests {
    let folder: Folder

    init() throws { folder = try Folder() }

    func store(_ embedder: (any Embedder)? = nil) async throws -> Store {
        let store = try await Store(
            path: folder.path("a.satchel"), embedder: Model(embedder: embedder ?? WordEmbedder()))
        try await store.addNotes()
        return store
    }

    @Test func answersWithCitations() async throws {
        let store = try await store()
        var kinds: [String] = []
        for try await event in store.ask("When does the lease end?") {
            switch event {
            case .mode(let mode):
                kinds.append("mode")
                #expect(mode.mode == .extractive)
                #expect(mode.reason == .noGenerator)
            case .hits(let hits):
                kinds.append("hits")
                #expect(hits.first?.documentID == "home/lease.md")
            case .token: kinds.append("token")
            case .citation(let citation):
                kinds.append("citation")
                #expect(citation.isVerified)
            case .refusal: kinds.append("refusal")
            case .progress: kinds.append("progress")
            case .done: kinds.append("done")
            }
        }
        #expect(kinds.prefix(2) == ["mode", "hits"])
        #expect(kinds.last == "done")
        #expect(kinds.contains("token") && kinds.contains("citation"))

        let answer = try await store.ask("When does the lease end?").collect()
        #expect(answer.text.contains("31 May 2027"))
        let citation = try #require(answer.citations.first)
        let text = try await store.text(of: citation.documentID)
        let quoted = text[try #require(citation.source.range(in: text))]
        #expect(quoted == answer.text[try #require(citation.answer.range(in: answer.text))])
        #expect(answer.refusal == nil)
        #expect(answer.hits[citation.hit].documentID == citation.documentID)
    }

    @Test func refusesWhatItDoesNotKnow() async throws {
        let store = try await store()
        let answer = try await store.ask("zyx wvu").collect()
        #expect(answer.text.isEmpty)
        #expect(answer.refusal != nil)
        var options = AskOptions()
        options.mode = .generated
        #expect(
            await error { _ = try await store.ask("lease?", options: options).collect() }?.code
                == .noModel)
    }

    @Test func eachLoopAsksAnew() async throws {
        let store = try await store()
        let stream = store.ask("When does the lease end?")
        let first = try await stream.collect()
        let second = try await stream.collect()
        #expect(first.text == second.text)
        // The end stays the end.
        let iterator = store.ask("When does the lease end?").makeAsyncIterator()
        while try await iterator.next() != nil {}
        #expect(try await iterator.next() == nil)
    }

    @Test func leavingTheLoopEndsTheSync() async throws {
        for number in 0..<50 { try folder.write("notes/\(number).txt", "Note number \(number).") }
        let store = try await store()
        for try await event in store.sync(path: folder.path("notes")) {
            if case .progress = event { break }
        }
        // Only one sync at a time: the next would be told that the store is busy.
        try await eventually("the left sync still holds the store") {
            do {
                try await store.sync(path: folder.path("notes")).collect()
                return true
            } catch let error as SatchelError where error.code == .busy {
                return false
            }
        }
        #expect(try await store.stats().documents == 53)
    }

    @Test func anErrorEndsTheSequence() async throws {
        let store = try await store()
        let iterator = store.sync(path: folder.path("no such folder")).makeAsyncIterator()
        #expect(await error { _ = try await iterator.next() } != nil)
        #expect(try await iterator.next() == nil)
    }

    @Test func cancellingStopsACallThatIsInside() async throws {
        let gate = Gate()
        let store = try await store(GatedEmbedder(gate: gate))
        let search = Task { try await store.search("lease", mode: .vector) }
        try await eventually("the embedder is asked") { await gate.arrivals == 1 }
        search.cancel()
        await #expect(throws: CancellationError.self) { try await search.value }

        let answer = Task { try await store.ask("When does the lease end?").collect() }
        try await eventually("the embedder is asked") { await gate.arrivals == 2 }
        answer.cancel()
        await #expect(throws: CancellationError.self) { try await answer.value }

        let late = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await store.search("lease")
        }
        await #expect(throws: CancellationError.self) { try await late.value }
        await gate.open()
        #expect(try await store.search("lease").first?.documentID == "home/lease.md")
    }

    @Test func cancelledSequenceIsOver() async throws {
        let gate = Gate()
        let store = try await store(GatedEmbedder(gate: gate))
        let iterator = store.ask("When does the lease end?").makeAsyncIterator()
        let pulling = Task { try await iterator.next() }
        try await eventually("the embedder is asked") { await gate.arrivals == 1 }
        #expect(await error { _ = try await iterator.next() }?.code == .busy)
        pulling.cancel()
        await #expect(throws: CancellationError.self) { try await pulling.value }
        #expect(try await iterator.next() == nil)
    }

    @Test func closingDoesNotWait() async throws {
        let gate = Gate()
        let store = try await store(GatedEmbedder(gate: gate))
        let iterator = store.ask("When does the lease end?").makeAsyncIterator()
        let pulling = Task { try await iterator.next() }
        try await eventually("the embedder is asked") { await gate.arrivals == 1 }
        // The gate is shut: were this to wait for the call, it would wait for good.
        iterator.close()
        store.close()
        #expect(try await pulling.value == nil)
    }

    @Test func callsInsideOutliveClose() async throws {
        let gate = Gate()
        let store = try await store(GatedEmbedder(gate: gate))
        let search = Task { try await store.search("lease", mode: .vector) }
        try await eventually("the embedder is asked") { await gate.arrivals == 1 }
        store.close()
        #expect(await error { _ = try await store.search("lease") }?.code == .closed)
        await gate.open()
        #expect(try await search.value.first?.documentID == "home/lease.md")
        await store.closeAndWait()
    }

    /// More calls than Swift's pool has threads, all inside the library at once, each waiting for Swift
    /// code: were they on the pool, that code could never run.
    @Test func callsLeaveThePoolFree() async throws {
        let calls = max(16, 4 * ProcessInfo.processInfo.activeProcessorCount)
        let gate = Gate()
        let stores = try await withThrowingTaskGroup(of: Store.self) { group in
            for number in 0..<calls {
                group.addTask {
                    let model = try await Model(embedder: GatedEmbedder(gate: gate))
                    let store = try await Store(path: folder.path("\(number).satchel"), embedder: model)
                    try await store.add(id: "a", text: "The harbour is deep.")
                    return store
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        try await withThrowingTaskGroup(of: Int.self) { group in
            for store in stores {
                group.addTask { try await store.search("harbour", mode: .vector).count }
            }
            try await eventually("all calls are inside at once") { await gate.arrivals == calls }
            await gate.open()
            for try await count in group { #expect(count == 1) }
        }
    }
}
