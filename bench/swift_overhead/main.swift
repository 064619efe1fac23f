// What Swift adds to C: searches, and tokens of a stream, through both in turn, in one process, on the same
// store and model.
//
//     SATCHEL_BENCH=1 swift run -c release swift_overhead EMBEDDER.gguf [SEARCHES] [TOKENS]
//
// Searches are hybrid, with the embedder given. A search in Swift runs on a thread of the binding's, and
// waking a sleeping thread costs what it costs in any language: beside it stands C on another thread. The stream's generator is a table in C that says a word
// each time it is asked, so that next to nothing but the way of a token is measured. Prints times by the
// clock and of the processors; a run in which a search finds nothing ends with an error.
import CSatchel
import Dispatch
import Foundation
import Satchel

struct Failure: Error { let what: String }

/// Time by the clock, and of the processors by all threads: the second does not depend on what else runs.
struct Times {
    var wall: [Double] = []
    var processor: [Double] = []

    mutating func add(_ work: () async throws -> Void) async rethrows {
        let begin = (now(CLOCK_MONOTONIC), now(CLOCK_PROCESS_CPUTIME_ID))
        try await work()
        wall.append(now(CLOCK_MONOTONIC) - begin.0)
        processor.append(now(CLOCK_PROCESS_CPUTIME_ID) - begin.1)
    }

    private func now(_ clock: clockid_t) -> Double {
        var time = timespec()
        clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }

func report(_ what: String, _ c: Times, _ swift: Times, each: Int = 1) {
    func line(_ how: String, _ c: Double, _ swift: Double) {
        print(
            String(
                format: "%@, %@: C %.2f µs, Swift %.2f µs: %+.2f µs, %+.2f %%", what, how, c * 1e6,
                swift * 1e6, (swift - c) * 1e6, 100 * (swift / c - 1)))
    }
    let count = Double(each)
    line("clock, median", median(c.wall) / count, median(swift.wall) / count)
    line("clock, mean", mean(c.wall) / count, mean(swift.wall) / count)
    line("processors, mean", mean(c.processor) / count, mean(swift.processor) / count)
}

func require(_ status: satchel_status) throws {
    if status != SATCHEL_OK { throw Failure(what: String(cString: satchel_status_name(status))) }
}

/// A search in C that reads all that the binding reads.
func searchInC(_ store: OpaquePointer, _ query: String) throws -> Int {
    var results: OpaquePointer?
    var options = satchel_search_options()
    satchel_search_options_init(&options, MemoryLayout<satchel_search_options>.size)
    try require(query.withCString { satchel_search(&results, store, $0, &options, nil) })
    defer { satchel_results_close(&results) }
    let count = satchel_results_count(results!)
    var hit = zeroed(satchel_hit.self)
    var range = satchel_range()
    for index in 0..<count {
        try require(
            satchel_results_get(results!, index, &hit, MemoryLayout<satchel_hit>.size, nil))
        for match in 0..<hit.match_count {
            try require(satchel_results_get_match(results!, index, match, &range, nil))
        }
    }
    return count
}

/// A thread that waits for searches, as a C program has one that must not keep its interface waiting.
final class OtherThread: @unchecked Sendable {
    private let asked = DispatchSemaphore(value: 0), answered = DispatchSemaphore(value: 0)
    private var work: (() throws -> Int)?
    private var result: Result<Int, any Error> = .success(0)

    init() {
        Thread.detachNewThread { [self] in
            while true {
                asked.wait()
                guard let work else { return }
                result = Result { try work() }
                answered.signal()
            }
        }
    }

    func run(_ work: (() throws -> Int)?) throws -> Int {
        self.work = work
        asked.signal()
        guard work != nil else { return 0 }
        answered.wait()
        return try result.get()
    }
}

func searches(_ model: String, _ count: Int) async throws {
    let context = try Context.shared()
    let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("satchel-bench-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let store = try await Store(
        path: folder.appendingPathComponent("a.satchel").path,
        embedder: Model(path: model, context: context))
    let words = ["harbour", "lease", "dough", "bicycle", "anchor", "roof", "window", "chain"]
    for number in 0..<500 {
        let text = (0..<40).map { words[(number * 7 + $0 * $0 * 3 + number / 8) % 8] }
        try await store.add(
            id: "note \(number)", text: "Note \(number). " + text.joined(separator: " ") + ".")
    }
    var c = Times(), there = Times(), swift = Times()
    let other = OtherThread()
    func some(_ found: Int) throws {
        if found == 0 { throw Failure(what: "nothing found") }
    }
    var order = [0, 1, 2]
    for round in 0..<count {
        let query = "\(words[round % 8]) \(words[(round / 8) % 8])"
        // What ran just before matters, on the same core or the other one: each as often.
        order.shuffle()
        for way in order {
            switch way {
            case 0:
                try await c.add { try some(store.withRaw { try searchInC($0, query) }) }
            case 1:
                try await there.add {
                    try some(store.withRaw { raw in try other.run { try searchInC(raw, query) } })
                }
            default:
                try await swift.add { try await some(store.search(query).count) }
            }
        }
    }
    _ = try other.run(nil)
    report("a search of \(count)", c, swift)
    report("a search of \(count), beside C on another thread", there, swift)
}

/// The generator: the run counts what is left to say.
func generator(_ context: OpaquePointer) throws -> OpaquePointer {
    var table = zeroed(satchel_generator.self)
    table.struct_size = MemoryLayout<satchel_generator>.size
    table.context_tokens = 1 << 20
    table.begin = { _, request, run in
        let left = UnsafeMutablePointer<Int32>.allocate(capacity: 1)
        left.pointee = request.pointee.max_tokens
        run.pointee = UnsafeMutableRawPointer(left)
        return satchel_status(SATCHEL_OK)
    }
    table.next = { _, run, text, length in
        let left = run!.assumingMemoryBound(to: Int32.self)
        left.pointee -= 1
        text.pointee = word
        length.pointee = left.pointee < 0 ? 0 : 5
        return satchel_status(SATCHEL_OK)
    }
    table.end = { _, run in run!.deallocate() }
    var made: OpaquePointer?
    try "word".withCString { id in
        table.id = id
        try require(satchel_model_from_generator(&made, context, &table, nil))
    }
    return made!
}

nonisolated(unsafe) let word = UnsafePointer<CChar>(strdup("word ")!)
let messages = #"[{"role":"user","content":"Speak."}]"#

func streamInC(_ model: OpaquePointer, _ tokens: Int) throws -> Int {
    var generate = satchel_generate_options()
    satchel_generate_options_init(&generate, MemoryLayout<satchel_generate_options>.size)
    generate.max_tokens = Int32(tokens)
    var options = satchel_chat_options()
    satchel_chat_options_init(&options, MemoryLayout<satchel_chat_options>.size)
    var stream: OpaquePointer?
    try withUnsafePointer(to: generate) { held in
        options.generate = held
        try require(satchel_chat(&stream, model, messages, messages.utf8.count, &options, nil))
    }
    defer { satchel_stream_close(&stream) }
    var event = zeroed(satchel_event.self)
    var count = 0
    repeat {
        try require(satchel_stream_next(stream!, &event, MemoryLayout<satchel_event>.size, nil))
        if event.token != nil { count += 1 }
    } while event.kind != Int32(SATCHEL_EVENT_DONE)
    return count
}

func stream(_ tokens: Int) async throws {
    let context = try Context.shared()
    let model = try Model(raw: context.withRaw(generator), context: context)
    var options = ChatOptions()
    options.generate.maxTokens = tokens
    var c = Times(), swift = Times()
    var countC = 0, countSwift = 0
    for _ in 0..<30 {
        try await c.add { countC = try model.withRaw { try streamInC($0, tokens) } }
        try await swift.add {
            countSwift = 0
            for try await event in model.chat(json: messages, options: options) {
                if case .token = event { countSwift += 1 }
            }
        }
    }
    guard countC == countSwift, countC > 0 else {
        throw Failure(what: "\(countC) tokens in C, \(countSwift) in Swift")
    }
    report("a token of \(countC)", c, swift, each: countC)
}

let given = CommandLine.arguments
guard given.count > 1 else {
    print("usage: swift_overhead EMBEDDER.gguf [SEARCHES] [TOKENS]")
    exit(2)
}
// Off the main actor, as an app's own work is.
try await Task.detached {
    print("Satchel \(SatchelLibrary.version), \(try Context.shared().cpuName)")
    try await stream(given.count > 3 ? Int(given[3])! : 1000)
    try await searches(given[1], given.count > 2 ? Int(given[2])! : 10_000)
}.value
