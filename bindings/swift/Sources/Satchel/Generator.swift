// Generators of the app's own: messages to text.
import CSatchel
import Foundation

/// Who speaks in a conversation.
public struct ChatRole: RawRepresentable, Hashable, Sendable, Codable, ExpressibleByStringLiteral {
    /// As the model's template knows it.
    public let rawValue: String
    /// A role by its name.
    public init(rawValue: String) { self.rawValue = rawValue }
    /// A role by its name.
    public init(stringLiteral value: String) { rawValue = value }

    /// Sets the stage.
    public static let system: ChatRole = "system"
    /// The person.
    public static let user: ChatRole = "user"
    /// The model.
    public static let assistant: ChatRole = "assistant"
}

/// A message of a conversation.
public struct ChatMessage: Sendable, Hashable, Codable {
    /// Who speaks.
    public var role: ChatRole
    /// What is said. Special tokens spelled in it are plain text.
    public var content: String

    /// A message.
    public init(_ role: ChatRole, _ content: String) {
        self.role = role
        self.content = content
    }
}

/// What a generator of the app is asked for.
public struct GeneratorRequest: Sendable {
    /// The conversation.
    public let messages: [ChatMessage]
    /// Tokens of the answer at most; `nil`: as many as fit.
    public let maxTokens: Int?
    /// The last message is the assistant's, and is gone on with.
    public let continuesAnswer: Bool
    /// Sampling, schema and the rest. What the generator cannot honour it ignores; the library itself finds
    /// stop strings.
    public let options: GenerateOptions

    init(_ raw: satchel_generator_request) throws {
        let json = Data(swift(raw.messages, raw.messages_length).utf8)
        messages = try JSONDecoder().decode([ChatMessage].self, from: json)
        maxTokens = raw.max_tokens < 0 ? nil : Int(raw.max_tokens)
        continuesAnswer = raw.continue_answer != 0
        options = GenerateOptions(raw.options.pointee)
    }
}

/// Text from messages, by the app: a platform's language model, another runtime, a server on the device.
///
/// ```swift
/// let model = try await Model(generator: MyGenerator())
/// for try await event in store.ask("When does the lease end?", generator: model) { … }
/// ```
///
/// An answer that is left or cancelled cancels the task in which the pieces are made.
public protocol Generator: Sendable {
    /// The pieces of an answer; `AsyncThrowingStream<String, any Error>` will do.
    associatedtype Pieces: AsyncSequence where Pieces.Element == String

    /// Names model and settings.
    var id: String { get }
    /// Room for prompt and answer in tokens; at least 256.
    var contextTokens: Int { get }

    /// The answer, piece by piece, new text only each time.
    func generate(_ request: GeneratorRequest) async throws -> Pieces
}

extension Model {
    /// A model from a generator of the app's own.
    public convenience init(generator: any Generator, context: Context? = nil) async throws {
        let context = try context ?? Context.shared()
        let opened = try await offPool { try GeneratorTable.open(generator, context) }
        try self.init(opened, context)
    }
}

/// A generator as the table that C calls. It owns itself until the library calls `destroy`.
private final class GeneratorTable: Sendable {
    private let generator: any Generator

    private init(_ generator: any Generator) { self.generator = generator }

    static func open(_ generator: any Generator, _ context: Context) throws -> Handle {
        let scratch = Scratch()
        var raw = zeroed(satchel_generator.self)
        raw.struct_size = MemoryLayout<satchel_generator>.size
        raw.id = try scratch.string(generator.id, "the generator's id")
        raw.context_tokens = try orDefault(generator.contextTokens, "contextTokens")
        if generator is any TokenCounting {
            raw.count_tokens = { user, text, length, count in
                countTokens(GeneratorTable.of(user).generator, text, length, count)
            }
        }
        raw.begin = { user, request, run in
            answering {
                let asked = try GeneratorRequest(request.pointee)
                let started = GeneratorRun.start(
                    GeneratorTable.of(user).generator, asked, request.pointee.cancel)
                run.pointee = Unmanaged.passRetained(started).toOpaque()
            }
        }
        raw.next = { _, run, text, length in
            let run = Unmanaged<GeneratorRun>.fromOpaque(run!).takeUnretainedValue()
            return answering {
                let piece = try run.next()
                text.pointee = piece.text
                length.pointee = piece.length
            }
        }
        raw.end = { _, run in
            let run = Unmanaged<GeneratorRun>.fromOpaque(run!).takeRetainedValue()
            run.end()
        }
        raw.destroy = { user in Unmanaged<GeneratorTable>.fromOpaque(user!).release() }
        raw.user = Unmanaged.passRetained(GeneratorTable(generator)).toOpaque()
        var made: OpaquePointer?
        try withExtendedLifetime(scratch) {
            try context.handle.use { owner in
                // Destroys the table also when it fails.
                try check { satchel_model_from_generator(&made, owner, &raw, $0) }
            }
        }
        return Model.handle(made!)
    }

    private static func of(_ user: UnsafeMutableRawPointer?) -> GeneratorTable {
        Unmanaged<GeneratorTable>.fromOpaque(user!).takeUnretainedValue()
    }
}

/// One answer being made: a task fills a queue, the library's thread empties it.
private final class GeneratorRun: @unchecked Sendable {
    private let lock = NSLock()
    private let filled = DispatchSemaphore(value: 0)  // once for each piece, and for the end
    private var pieces: [String] = []
    private var taken = 0
    private var outcome: Result<Void, any Error>?
    private var task: Task<Void, Never>?
    private let cancel: OpaquePointer?
    private var current: UnsafeMutableBufferPointer<CChar>?  // lives until the next call

    private init(_ cancel: OpaquePointer?) { self.cancel = cancel }

    deinit { current?.deallocate() }

    static func start(
        _ generator: any Generator, _ request: GeneratorRequest, _ cancel: OpaquePointer?
    ) -> GeneratorRun {
        let run = GeneratorRun(cancel)
        run.task = Task {
            do {
                try await run.fill(from: generator, request)
                run.finish(.success(()))
            } catch {
                run.finish(.failure(error))
            }
        }
        return run
    }

    private func fill(from generator: some Generator, _ request: GeneratorRequest) async throws {
        for try await piece in try await generator.generate(request) where !piece.isEmpty {
            put(piece)
            try Task.checkCancellation()
        }
    }

    private func put(_ piece: String) {
        lock.lock()
        pieces.append(piece)
        lock.unlock()
        filled.signal()
    }

    private func finish(_ result: Result<Void, any Error>) {
        lock.lock()
        outcome = result
        lock.unlock()
        filled.signal()
    }

    /// Length 0 at the end.
    func next() throws -> (text: UnsafePointer<CChar>?, length: Int) {
        while filled.wait(timeout: .now() + .milliseconds(10)) == .timedOut {
            if let cancel, satchel_cancel_fired(cancel) != 0 {
                end()
                throw CancellationError()
            }
        }
        lock.lock()
        let piece = taken < pieces.count ? pieces[taken] : nil
        if piece != nil { taken += 1 } else { filled.signal() }  // the end stays the end
        let outcome = self.outcome
        lock.unlock()
        guard let piece else {
            try outcome?.get()
            return (nil, 0)
        }
        current?.deallocate()
        current = withText(piece) { bytes, length in
            let copy = UnsafeMutableBufferPointer<CChar>.allocate(capacity: length)
            _ = copy.initialize(from: UnsafeBufferPointer(start: bytes, count: length))
            return copy
        }
        return (current!.baseAddress.map { UnsafePointer($0) }, current!.count)
    }

    func end() { task?.cancel() }
}
