// What streams yield: events of answers, of generated texts and of syncs.
import CSatchel
import Foundation

// MARK: - Constants

/// How a question is answered.
public struct AnswerMode: OpenConstant {
    /// The library's `SATCHEL_ANSWER_*`.
    public let rawValue: Int32
    /// Wraps a constant of the library.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// By sentences quoted from the documents.
    public static let extractive = Self(SATCHEL_ANSWER_EXTRACTIVE)
    /// By a language model, in its own words.
    public static let generated = Self(SATCHEL_ANSWER_GENERATED)
    /// By a model that the app runs itself; see ``PreparedQuestion``.
    public static let external = Self(SATCHEL_ANSWER_EXTERNAL)

    /// `extractive`, `generated` or `external`.
    public var description: String {
        name([
            .extractive: "extractive", .generated: "generated", .external: "external",
        ])
    }
}

/// Why an answer is made the way it is, or refused.
public struct Reason: OpenConstant {
    /// The library's `SATCHEL_REASON_*`.
    public let rawValue: Int32
    /// Wraps a constant of the library.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// The options asked for this mode.
    public static let requested = Self(SATCHEL_REASON_REQUESTED)
    /// No language model is there.
    public static let noGenerator = Self(SATCHEL_REASON_NO_GENERATOR)
    /// Refusal: no document, or none passes the filter.
    public static let emptyStore = Self(SATCHEL_REASON_EMPTY_STORE)
    /// Refusal: nothing matches the question.
    public static let noEvidence = Self(SATCHEL_REASON_NO_EVIDENCE)
    /// Refusal: something matches, but too weakly.
    public static let weakEvidence = Self(SATCHEL_REASON_WEAK_EVIDENCE)
    /// The evidence is from keywords alone.
    public static let noEmbedder = Self(SATCHEL_REASON_NO_EMBEDDER)
    /// A language model is there.
    public static let generator = Self(SATCHEL_REASON_GENERATOR)
    /// Refusal: the language model found no answer in the passages.
    public static let declined = Self(SATCHEL_REASON_DECLINED)

    /// `weak_evidence` and so on.
    public var description: String {
        name([
            .requested: "requested", .noGenerator: "no_generator", .emptyStore: "empty_store",
            .noEvidence: "no_evidence", .weakEvidence: "weak_evidence",
            .noEmbedder: "no_embedder", .generator: "generator", .declined: "declined",
        ])
    }
}

/// What long work is at.
public struct Phase: OpenConstant {
    /// The library's `SATCHEL_PHASE_*`.
    public let rawValue: Int32
    /// Wraps a constant of the library.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// Sync: looking for files.
    public static let scan = Self(SATCHEL_PHASE_SCAN)
    /// Sync: reading files; what was read is found by keyword.
    public static let keywords = Self(SATCHEL_PHASE_KEYWORDS)
    /// Sync: making vectors.
    public static let embed = Self(SATCHEL_PHASE_EMBED)
    /// Topics: reading vectors.
    public static let load = Self(SATCHEL_PHASE_LOAD)
    /// Topics: grouping.
    public static let cluster = Self(SATCHEL_PHASE_CLUSTER)
    /// Topics: labels and sentences.
    public static let describe = Self(SATCHEL_PHASE_DESCRIBE)
    /// Opening a model: reading its weights.
    public static let warm = Self(SATCHEL_PHASE_WARM)
    /// Generating: reading the prompt.
    public static let prefill = Self(SATCHEL_PHASE_PREFILL)

    /// `scan`, `keywords` and so on.
    public var description: String {
        name([
            .scan: "scan", .keywords: "keywords", .embed: "embed", .load: "load",
            .cluster: "cluster", .describe: "describe", .warm: "warm", .prefill: "prefill",
        ])
    }
}

/// What a sync did with a file.
public struct FileChange: OpenConstant {
    /// The library's `SATCHEL_FILE_*`.
    public let rawValue: Int32
    /// Wraps a constant of the library.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// It is new.
    public static let added = Self(SATCHEL_FILE_ADDED)
    /// Its content is new.
    public static let changed = Self(SATCHEL_FILE_CHANGED)
    /// It was seen to be gone.
    public static let removed = Self(SATCHEL_FILE_REMOVED)
    /// It could not be read; the sync goes on.
    public static let failed = Self(SATCHEL_FILE_FAILED)
    /// Nothing reads it, or it is too large.
    public static let skipped = Self(SATCHEL_FILE_SKIPPED)
    /// The same content under a new name.
    public static let renamed = Self(SATCHEL_FILE_RENAMED)

    /// `added`, `changed` and so on.
    public var description: String {
        name([
            .added: "added", .changed: "changed", .removed: "removed", .failed: "failed",
            .skipped: "skipped", .renamed: "renamed",
        ])
    }
}

/// Why a generated text ended.
public struct FinishReason: OpenConstant {
    /// The library's `SATCHEL_FINISH_*`.
    public let rawValue: Int32
    /// Wraps a constant of the library.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// Nothing was generated.
    public static let none = Self(SATCHEL_FINISH_NONE)
    /// The model said so, or schema or grammar allow no more.
    public static let end = Self(SATCHEL_FINISH_END)
    /// The most tokens that were asked for.
    public static let length = Self(SATCHEL_FINISH_LENGTH)
    /// A stop string.
    public static let stop = Self(SATCHEL_FINISH_STOP)
    /// The context is full.
    public static let context = Self(SATCHEL_FINISH_CONTEXT)

    /// `end`, `length` and so on.
    public var description: String {
        name([
            .none: "none", .end: "end", .length: "length", .stop: "stop", .context: "context",
        ])
    }
}

// MARK: - Events

/// How a question will be answered, and why.
public struct ModeEvent: Sendable, Hashable {
    /// How.
    public let mode: AnswerMode
    /// Why.
    public let reason: Reason
    /// The search mode that served.
    public let searchMode: SearchMode

    init(_ raw: satchel_event_mode) {
        mode = AnswerMode(rawValue: raw.mode)
        reason = Reason(rawValue: raw.reason)
        searchMode = SearchMode(rawValue: raw.search_mode)
    }
}

/// The next piece of an answer.
public struct TokenEvent: Sendable, Hashable {
    /// Whole characters.
    public let text: String
    /// The id of its last token; `nil` if there is none or it is not known.
    public let token: Int?

    init(_ raw: satchel_event_token) {
        text = swift(raw.text, raw.length)
        token = known(raw.token, not: -1)
    }
}

/// What a range of an answer rests on.
public struct Citation: Sendable, Hashable {
    /// The range of the answer so far.
    public let answer: TextRange
    /// The document it is from.
    public let documentID: String
    /// The document's title.
    public let title: String
    /// The headings above it; empty if there are none.
    public let heading: String
    /// Names the passage in its store.
    public let chunk: Int64
    /// The range of the document's text that is quoted or cited.
    public let source: TextRange
    /// Index into the hits.
    public let hit: Int
    /// Whether the answer's range equals the source's text byte for byte.
    public let isVerified: Bool
    /// Comparable within one answer only.
    public let score: Float
    /// Page or slide, counted from 1, where known.
    public let page: Int?
    /// Place in a recording in milliseconds, where known.
    public let timeMilliseconds: Int?

    init(_ raw: satchel_event_citation) {
        answer = TextRange(raw.answer)
        documentID = swift(raw.document_id)
        title = swift(raw.title)
        heading = swift(raw.heading)
        chunk = raw.chunk
        source = TextRange(raw.source)
        hit = Int(raw.hit)
        isVerified = raw.verified != 0
        score = raw.score
        page = known(raw.page, not: 0)
        timeMilliseconds = known(raw.time_ms, not: -1)
    }
}

/// The documents do not support an answer.
public struct Refusal: Sendable, Hashable {
    /// Why.
    public let reason: Reason
    /// How far the evidence supports the best answer: 0 to 1.
    public let confidence: Float
    /// What it would have had to reach.
    public let threshold: Float

    init(_ raw: satchel_event_refusal) {
        reason = Reason(rawValue: raw.reason)
        confidence = raw.confidence
        threshold = raw.threshold
    }
}

/// How far long work has come.
public struct WorkProgress: Sendable, Hashable {
    /// What it is at.
    public let phase: Phase
    /// Files, passages, passes, steps, bytes or tokens, by the phase.
    public let done: Int
    /// Of so many; `nil`: not known yet.
    public let total: Int?
    /// Bytes of files that were read.
    public let bytesDone: Int
    /// Of so many.
    public let bytesTotal: Int
    /// In this phase.
    public let elapsedMilliseconds: Int

    init(_ raw: satchel_event_progress) {
        phase = Phase(rawValue: raw.phase)
        done = Int(raw.done)
        total = known(raw.total, not: -1)
        bytesDone = Int(raw.bytes_done)
        bytesTotal = Int(raw.bytes_total)
        elapsedMilliseconds = Int(raw.elapsed_ms)
    }
}

/// What a sync did with a file.
public struct FileEvent: Sendable, Hashable {
    /// What.
    public let change: FileChange
    /// Why it failed or was skipped; `nil` otherwise.
    public let failure: SatchelError.Code?
    /// The file's path; empty for a removal.
    public let path: String
    /// The document it became.
    public let documentID: String
    /// Why it failed or was skipped; empty otherwise.
    public let message: String
    /// Its size.
    public let bytes: Int
    /// Passages it was cut into.
    public let chunks: Int

    init(_ raw: satchel_event_file) {
        change = FileChange(rawValue: raw.change)
        failure = raw.status == SATCHEL_OK ? nil : SatchelError.Code(rawValue: raw.status)
        path = swift(raw.path)
        documentID = swift(raw.document_id)
        message = swift(raw.message)
        bytes = Int(raw.bytes)
        chunks = Int(raw.chunks)
    }
}

/// What an answer or a generated text cost.
public struct AnswerSummary: Sendable, Hashable {
    /// From the first event to the last.
    public let elapsedMilliseconds: Int
    /// Passages found.
    public let hits: Int
    /// Sentences quoted.
    public let sentences: Int
    /// Spent searching.
    public let searchMilliseconds: Int
    /// Spent answering.
    public let answerMilliseconds: Int
    /// How far the evidence supports the answer: 0 to 1.
    public let confidence: Float
    /// Tokens of the prompt; `nil` where the generator does not say.
    public let promptTokens: Int?
    /// Of them, read earlier: nothing was computed for them.
    public let cachedTokens: Int?
    /// Tokens generated.
    public let generatedTokens: Int?
    /// Until the first token.
    public let prefillMilliseconds: Int
    /// From there on.
    public let generateMilliseconds: Int
    /// Why the text ended.
    public let finish: FinishReason

    init(_ raw: satchel_event_done) {
        elapsedMilliseconds = Int(raw.elapsed_ms)
        hits = Int(raw.hits)
        sentences = Int(raw.sentences)
        searchMilliseconds = Int(raw.search_ms)
        answerMilliseconds = Int(raw.answer_ms)
        confidence = raw.confidence
        promptTokens = known(raw.prompt_tokens, not: -1)
        cachedTokens = known(raw.cached_tokens, not: -1)
        generatedTokens = known(raw.generated_tokens, not: -1)
        prefillMilliseconds = Int(raw.prefill_ms)
        generateMilliseconds = Int(raw.generate_ms)
        finish = FinishReason(rawValue: raw.finish)
    }
}

/// What a sync did, and where the time went.
public struct SyncSummary: Sendable, Hashable {
    /// From the first event to the last.
    public let elapsedMilliseconds: Int
    /// New files.
    public let added: Int
    /// Files with new content.
    public let changed: Int
    /// Files that are gone.
    public let removed: Int
    /// Files with a new name.
    public let renamed: Int
    /// Files that were left alone.
    public let unchanged: Int
    /// Files that could not be read.
    public let failed: Int
    /// Files that nothing reads, or that are too large.
    public let skipped: Int
    /// Passages that the files were cut into.
    public let chunks: Int
    /// Of them, embedded in this sync.
    public let chunksEmbedded: Int
    /// Of them, with a vector from earlier.
    public let chunksReused: Int
    /// Bytes of files that were read.
    public let bytes: Int
    /// Spent reading files.
    public let readMilliseconds: Int
    /// Spent on keywords.
    public let keywordMilliseconds: Int
    /// Spent embedding.
    public let embedMilliseconds: Int
    /// Spent writing.
    public let writeMilliseconds: Int

    init(_ raw: satchel_event_done) {
        elapsedMilliseconds = Int(raw.elapsed_ms)
        added = Int(raw.added)
        changed = Int(raw.changed)
        removed = Int(raw.removed)
        renamed = Int(raw.renamed)
        unchanged = Int(raw.unchanged)
        failed = Int(raw.failed)
        skipped = Int(raw.skipped)
        chunks = Int(raw.chunks)
        chunksEmbedded = Int(raw.chunks_embedded)
        chunksReused = Int(raw.chunks_reused)
        bytes = Int(raw.bytes)
        readMilliseconds = Int(raw.read_ms)
        keywordMilliseconds = Int(raw.keyword_ms)
        embedMilliseconds = Int(raw.embed_ms)
        writeMilliseconds = Int(raw.write_ms)
    }
}

/// An event of an answer, in this order: mode, hits, then progress, tokens and citations as the answer
/// grows, or a refusal, then done. Versions to come may add events, so a `switch` wants a `default`.
public enum AnswerEvent: Sendable {
    /// How the question will be answered, and why.
    case mode(ModeEvent)
    /// The passages found.
    case hits(SearchResults)
    /// A language model is reading them.
    case progress(WorkProgress)
    /// The next piece of the answer.
    case token(TokenEvent)
    /// What a range of the answer rests on.
    case citation(Citation)
    /// The documents do not support an answer.
    case refusal(Refusal)
    /// The last event.
    case done(AnswerSummary)

    static func read(_ event: satchel_event) throws -> AnswerEvent? {
        if let token = event.token { return .token(TokenEvent(token.pointee)) }
        if let citation = event.citation { return .citation(Citation(citation.pointee)) }
        if let progress = event.progress { return .progress(WorkProgress(progress.pointee)) }
        if let mode = event.mode { return .mode(ModeEvent(mode.pointee)) }
        if let hits = event.hits { return .hits(try SearchResults(hits)) }
        if let refusal = event.refusal { return .refusal(Refusal(refusal.pointee)) }
        if let done = event.done { return .done(AnswerSummary(done.pointee)) }
        return nil
    }
}

/// An event of a text that a language model writes.
public enum GenerationEvent: Sendable {
    /// The model is reading the prompt.
    case progress(WorkProgress)
    /// The next piece of the text.
    case token(TokenEvent)
    /// The last event.
    case done(AnswerSummary)

    static func read(_ event: satchel_event) -> GenerationEvent? {
        if let token = event.token { return .token(TokenEvent(token.pointee)) }
        if let progress = event.progress { return .progress(WorkProgress(progress.pointee)) }
        if let done = event.done { return .done(AnswerSummary(done.pointee)) }
        return nil
    }
}

/// An event of a sync.
public enum SyncEvent: Sendable {
    /// How far it has come.
    case progress(WorkProgress)
    /// What was done with a file.
    case file(FileEvent)
    /// The last event.
    case done(SyncSummary)

    static func read(_ event: satchel_event) -> SyncEvent? {
        if let progress = event.progress { return .progress(WorkProgress(progress.pointee)) }
        if let file = event.file { return .file(FileEvent(file.pointee)) }
        if let done = event.done { return .done(SyncSummary(done.pointee)) }
        return nil
    }
}

// MARK: - Read to the end

/// The events of an answer.
public typealias AnswerStream = EventStream<AnswerEvent>
/// The events of a text that a language model writes.
public typealias GenerationStream = EventStream<GenerationEvent>
/// The events of a sync.
public typealias SyncStream = EventStream<SyncEvent>

/// An answer that was read to its end.
public struct Answer: Sendable {
    /// The whole answer; empty if it was refused.
    public let text: String
    /// What it rests on.
    public let citations: [Citation]
    /// Why it was refused; `nil`: answered.
    public let refusal: Refusal?
    /// The passages found.
    public let hits: [Hit]
    /// How it was answered, and why.
    public let mode: ModeEvent?
    /// What it cost.
    public let summary: AnswerSummary?
}

extension EventStream where Element == AnswerEvent {
    /// Pulls to the end and puts the answer together.
    public func collect() async throws -> Answer {
        var text = ""
        var citations: [Citation] = []
        var refusal: Refusal?
        var hits: [Hit] = []
        var mode: ModeEvent?
        var summary: AnswerSummary?
        for try await event in self {
            switch event {
            case .token(let token): text += token.text
            case .citation(let citation): citations.append(citation)
            case .hits(let found): hits = found.hits
            case .refusal(let given): refusal = given
            case .mode(let chosen): mode = chosen
            case .done(let done): summary = done
            case .progress: break
            }
        }
        return Answer(
            text: text, citations: citations, refusal: refusal, hits: hits, mode: mode,
            summary: summary)
    }
}

/// A text that a language model wrote.
public struct GeneratedText: Sendable {
    /// The whole text.
    public let text: String
    /// What it cost.
    public let summary: AnswerSummary?
}

extension EventStream where Element == GenerationEvent {
    /// Pulls to the end and puts the text together.
    public func collect() async throws -> GeneratedText {
        var text = ""
        var summary: AnswerSummary?
        for try await event in self {
            switch event {
            case .token(let token): text += token.text
            case .done(let done): summary = done
            case .progress: break
            }
        }
        return GeneratedText(text: text, summary: summary)
    }
}

/// What a sync did.
public struct SyncReport: Sendable {
    /// The counts.
    public let summary: SyncSummary?
    /// The files that could not be read, or that nothing reads.
    public let problems: [FileEvent]
}

extension EventStream where Element == SyncEvent {
    /// Pulls to the end.
    ///
    /// - Parameter progress: Called as the sync goes on.
    @discardableResult
    public func collect(
        progress: (@Sendable (WorkProgress) -> Void)? = nil
    ) async throws -> SyncReport {
        var summary: SyncSummary?
        var problems: [FileEvent] = []
        for try await event in self {
            switch event {
            case .progress(let made): progress?(made)
            case .file(let file): if file.failure != nil { problems.append(file) }
            case .done(let done): summary = done
            }
        }
        return SyncReport(summary: summary, problems: problems)
    }
}
