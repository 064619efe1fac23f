// Questions: answers with citations, by quoting or by a language model.
import CSatchel
import Foundation

/// How a question is answered. What is left `nil` is the library's default.
public struct AskOptions: Sendable {
    /// Extractive or generated; else generated with a generator, extractive without.
    public var mode: AnswerMode?
    /// How passages are found.
    public var searchMode: SearchMode?
    /// Passages looked at.
    public var passages: Int?
    /// Extractive: sentences quoted at most.
    public var maxSentences: Int?
    /// Which documents to look at.
    public var filter: Filter?
    /// Confidence below which it refuses; negative: never refuse.
    public var refusalThreshold: Float?
    /// Generated: how the answer is generated; `nil`: as suits answers.
    public var generate: GenerateOptions?
    /// Generated: the conversation before the question, oldest first.
    public var history: [ChatMessage] = []
    /// Generated: the prompt in JSON; `docs/prompts.md` describes it.
    public var prompt: String?
    /// Generated: tokens of the prompt at most.
    public var contextTokens: Int?

    /// All defaults.
    public init() {}

    func raw(_ scratch: Scratch, _ cancel: OpaquePointer) throws -> satchel_ask_options {
        var raw = defaults(satchel_ask_options_init)
        raw.mode = mode?.rawValue ?? 0
        raw.search_mode = searchMode?.rawValue ?? 0
        raw.k = try orDefault(passages, "passages")
        raw.max_sentences = try orDefault(maxSentences, "maxSentences")
        raw.filter = try scratch.maybe(filter?.json, "the filter")
        raw.refusal_threshold = orDefault(refusalThreshold)
        if let generate { raw.generate = scratch.value(try generate.raw(scratch, cancel)) }
        if !history.isEmpty { raw.history = try scratch.maybe(JSON.text(history), "history") }
        raw.prompt = try scratch.maybe(prompt, "the prompt")
        raw.context_tokens = try orDefault(contextTokens, "contextTokens")
        raw.cancel = cancel
        return raw
    }

    /// The library's own prompt, as JSON: a beginning for one of the app's.
    public static var defaultPrompt: String { swift(satchel_prompt_default()) }
}

extension Store {
    /// Answers a question from the documents.
    ///
    /// - Parameters:
    ///   - question: Plain text.
    ///   - generator: Answers in its own words and cites; `nil`: sentences of the documents are quoted.
    ///   - options: Settings.
    public func ask(
        _ question: String, generator: Model? = nil, options: AskOptions = AskOptions()
    ) -> AnswerStream {
        AnswerStream(of: self, read: { try AnswerEvent.read($0) }) { store, scratch, cancel in
            var raw = try options.raw(scratch, cancel)
            let text = try scratch.string(question, "the question")
            var stream: OpaquePointer?
            try generator.use { model in
                raw.generator = model
                let held = scratch.value(raw)
                try check { satchel_ask(&stream, store, text, held, $0) }
            }
            return stream
        }
    }

    /// Searches, and writes the messages for a language model that the app runs itself. Give
    /// ``AskOptions/contextTokens``, unless a generator is given whose tokens count.
    public func prepare(
        _ question: String, generator: Model? = nil, options: AskOptions = AskOptions()
    ) async throws -> PreparedQuestion {
        try await call { [context] store, cancel in
            let scratch = Scratch()
            var raw = try options.raw(scratch, cancel)
            let text = try scratch.string(question, "the question")
            var made: OpaquePointer?
            try withExtendedLifetime(scratch) {
                try generator.use { model in
                    raw.generator = model
                    try check { satchel_ask_prepare(&made, store, text, &raw, $0) }
                }
            }
            return try PreparedQuestion(made!, context)
        }
    }
}

/// A passage as the messages of a prepared question show it.
public struct Passage: Sendable, Hashable {
    /// Index into ``PreparedQuestion/results``.
    public let hit: Int
    /// What is shown of it: a range of the document's text.
    public let range: TextRange
}

/// A question that the app's own language model is to answer: messages with numbered passages.
///
/// ```swift
/// let question = try await store.prepare("When does the lease end?", options: options)
/// for try await event in question.events(from: session.streamResponse(to: question.messages)) { … }
/// ```
public final class PreparedQuestion: Sendable {
    private let handle: Handle
    private let context: Context
    private let turn = NSLock()  // the library allows one thread at a time
    /// For the model.
    public let messages: [ChatMessage]
    /// The same as JSON.
    public let messagesJSON: String
    /// What the messages show, by their numbers in them less one.
    public let passages: [Passage]
    /// The passages found, also those that did not fit.
    public let results: SearchResults
    /// Counted by the generator, or estimated.
    public let promptTokens: Int
    /// Why ``Store/ask(_:generator:options:)`` would refuse; `nil`: it would not.
    public let refused: Reason?
    /// How far the evidence supports an answer: 0 to 1.
    public let confidence: Float

    fileprivate init(_ made: OpaquePointer, _ context: Context) throws {
        let handle = Handle(made, "the prepared question") { satchel_prepared_close($0) }
        self.handle = handle
        self.context = context
        let raw = try filled { satchel_prepared_get_info(made, $0, $1, $2) }
        messagesJSON = swift(raw.messages, raw.messages_length)
        messages = try JSONDecoder().decode([ChatMessage].self, from: Data(messagesJSON.utf8))
        promptTokens = Int(raw.prompt_tokens)
        refused = raw.refused == 0 ? nil : Reason(rawValue: raw.refused)
        confidence = raw.confidence
        results = try SearchResults(satchel_prepared_results(made))
        passages = try (0..<Int(raw.passages)).map { index in
            let passage = try filled { satchel_prepared_get_passage(made, index + 1, $0, $1, $2) }
            return Passage(hit: Int(passage.hit), range: TextRange(passage.range))
        }
    }

    /// The events that are new in the model's text so far. The last one is always `done`.
    ///
    /// - Parameters:
    ///   - text: All of the model's text so far, only ever longer.
    ///   - isFinal: The text is complete: what was held back comes, too.
    public func resolve(_ text: String, isFinal: Bool = false) async throws -> [AnswerEvent] {
        try Task.checkCancellation()
        return try await offPool { [self] in
            turn.lock()
            defer { turn.unlock() }
            return try handle.use { prepared in
                var stream: OpaquePointer?
                try withText(text) { bytes, length in
                    try check {
                        satchel_prepared_resolve(
                            &stream, prepared, bytes, length, flag(isFinal), $0)
                    }
                }
                defer { satchel_stream_close(&stream) }
                var events: [AnswerEvent] = []
                while true {
                    let event = try filled { satchel_stream_next(stream!, $0, $1, $2) }
                    if let made = try AnswerEvent.read(event) { events.append(made) }
                    if event.kind == Int32(SATCHEL_EVENT_DONE) { return events }
                }
            }
        }
    }

    /// The events of an answer whose text comes piece by piece.
    public func events<Pieces: AsyncSequence>(from pieces: Pieces) -> PreparedEvents<Pieces>
    where Pieces.Element == String {
        PreparedEvents(question: self, pieces: pieces)
    }

    /// Closes it. Never waits. Optional: it closes itself when it is let go of.
    public func close() { handle.close() }
}

/// The events of an answer that the app's own model writes piece by piece. To be looped over once.
public struct PreparedEvents<Pieces: AsyncSequence>: AsyncSequence
where Pieces.Element == String {
    /// Events of an answer.
    public typealias Element = AnswerEvent

    let question: PreparedQuestion
    let pieces: Pieces

    /// Begins to pull pieces.
    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(question: question, pieces: pieces.makeAsyncIterator())
    }

    /// Pulls a piece when the events of those before have been handed out.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let question: PreparedQuestion
        var pieces: Pieces.AsyncIterator
        private var text = ""
        private var events: ArraySlice<AnswerEvent> = []
        private var isOver = false

        init(question: PreparedQuestion, pieces: Pieces.AsyncIterator) {
            self.question = question
            self.pieces = pieces
        }

        /// The next event, nil after the last.
        public mutating func next() async throws -> AnswerEvent? {
            while events.isEmpty, !isOver {
                if let piece = try await pieces.next() {
                    text += piece
                } else {
                    isOver = true
                }
                events = try await question.resolve(text, isFinal: isOver)[...]
                // Of the whole answer there is one end.
                if !isOver, case .done? = events.last { events.removeLast() }
            }
            return events.popFirst()
        }
    }
}
