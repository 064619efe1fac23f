// What the documents of a store are about.
import CSatchel
import Foundation

/// How topics are made. What is left `nil` is the library's default.
public struct TopicsOptions: Sendable {
    /// Topics at most.
    public var count: Int?
    /// Words in a label at most.
    public var words: Int?
    /// Sentences that show a topic at most; 0: none.
    public var sentences: Int?
    /// Of the clustering at most.
    public var iterations: Int?
    /// Trade exactness for speed.
    public var mode: KMeansMode?
    /// Same store, options and seed: same topics.
    public var seed: UInt64?
    /// Which documents to look at.
    public var filter: Filter?
    /// Called as the work goes on, on a thread of the package.
    public var progress: (@Sendable (WorkProgress) -> Void)?

    /// All defaults.
    public init() {}

    func raw(_ scratch: Scratch, _ cancel: OpaquePointer) throws -> satchel_topics_options {
        var raw = defaults(satchel_topics_options_init)
        raw.k = try orDefault(count, "count")
        raw.words = try orDefault(words, "words")
        raw.sentences = try orNone(sentences, "sentences")
        raw.iterations = try orDefault(iterations, "iterations")
        raw.mode = mode?.rawValue ?? 0
        raw.seed = seed ?? 0
        raw.filter = try scratch.maybe(filter?.json, "the filter")
        if let progress {
            raw.progress_user = scratch.object(ProgressTarget(progress))
            raw.progress = ProgressTarget.function
        }
        raw.cancel = cancel
        return raw
    }
}

/// A document with passages in a topic.
public struct TopicDocument: Sendable, Hashable, Identifiable {
    /// Names it.
    public let id: String
    /// Its title.
    public let title: String
    /// Its passages in this topic.
    public let chunks: Int
    /// Its passages in all topics.
    public let chunksInAll: Int
}

/// A sentence that shows what a topic is about.
public struct TopicSentence: Sendable, Hashable {
    /// As it stands in its document.
    public let text: String
    /// The document it is from.
    public let documentID: String
    /// The document's title.
    public let title: String
    /// The headings above it; empty if there are none.
    public let heading: String
    /// Names the passage in its store.
    public let chunk: Int64
    /// Where it stands in the document's text.
    public let range: TextRange
    /// Cosine with the topic's centroid.
    public let score: Float
    /// Page or slide, counted from 1, where known.
    public let page: Int?
    /// Place in a recording in milliseconds, where known.
    public let timeMilliseconds: Int?
}

/// Passages about the same thing.
public struct Topic: Sendable, Hashable {
    /// Its most telling words: `lease, deposit, rent`.
    public let label: String
    /// The same, one by one.
    public let words: [String]
    /// Passages in it.
    public let chunks: Int
    /// Of all passages grouped.
    public let share: Double
    /// Mean cosine of its passages with the centroid.
    public let cohesion: Double
    /// Its direction, of length 1.
    public let centroid: [Float]
    /// Most passages first.
    public let documents: [TopicDocument]
    /// Nearest to the centroid first.
    public let sentences: [TopicSentence]
}

/// Topics, largest first, and what they were made of.
public struct Topics: Sendable, RandomAccessCollection {
    /// The topics.
    public let topics: [Topic]
    /// Passages grouped.
    public let chunks: Int
    /// Passages left out, because they have no vector yet; see ``Store/maintain(milliseconds:)``.
    public let pending: Int
    /// Documents with a passage among those grouped.
    public let documents: Int
    /// Of the clustering that was kept.
    public let iterations: Int
    /// Spent reading vectors.
    public let readMilliseconds: Int
    /// Spent grouping them.
    public let clusterMilliseconds: Int
    /// Spent on labels and sentences.
    public let describeMilliseconds: Int

    /// Always 0.
    public var startIndex: Int { topics.startIndex }
    /// The number of topics.
    public var endIndex: Int { topics.endIndex }
    /// A topic, the largest at 0.
    public subscript(index: Int) -> Topic { topics[index] }

    init(_ raw: OpaquePointer) throws {
        let info = try filled { satchel_topics_get_info(raw, $0, $1, $2) }
        chunks = Int(info.chunks)
        pending = Int(info.pending)
        documents = Int(info.documents)
        iterations = Int(info.iterations)
        readMilliseconds = Int(info.read_ms)
        clusterMilliseconds = Int(info.cluster_ms)
        describeMilliseconds = Int(info.describe_ms)
        let dimension = Int(info.dimension)
        topics = try (0..<satchel_topics_count(raw)).map { try Self.topic(raw, $0, dimension) }
    }

    private static func topic(_ raw: OpaquePointer, _ index: Int, _ dimension: Int) throws -> Topic {
        let topic = try filled { satchel_topics_get(raw, index, $0, $1, $2) }
        let words = topic.words
        let centroid = topic.centroid
        return Topic(
            label: swift(topic.label),
            words: words.map { words in (0..<topic.word_count).map { swift(words[$0]) } } ?? [],
            chunks: Int(topic.chunks), share: topic.share, cohesion: topic.cohesion,
            centroid: centroid.map { Array(UnsafeBufferPointer(start: $0, count: dimension)) } ?? [],
            documents: try (0..<topic.document_count).map { try document(raw, index, $0) },
            sentences: try (0..<topic.sentence_count).map { try sentence(raw, index, $0) })
    }

    private static func document(
        _ raw: OpaquePointer, _ index: Int, _ number: Int
    ) throws -> TopicDocument {
        let document = try filled { satchel_topics_get_document(raw, index, number, $0, $1, $2) }
        return TopicDocument(
            id: swift(document.id), title: swift(document.title), chunks: Int(document.chunks),
            chunksInAll: Int(document.chunks_all))
    }

    private static func sentence(
        _ raw: OpaquePointer, _ index: Int, _ number: Int
    ) throws -> TopicSentence {
        let sentence = try filled { satchel_topics_get_sentence(raw, index, number, $0, $1, $2) }
        return TopicSentence(
            text: swift(sentence.text, sentence.length), documentID: swift(sentence.document_id),
            title: swift(sentence.title), heading: swift(sentence.heading), chunk: sentence.chunk,
            range: TextRange(sentence.range), score: sentence.score,
            page: known(sentence.page, not: 0), timeMilliseconds: known(sentence.time_ms, not: -1))
    }
}

extension Store {
    /// What the documents are about: their passages grouped by meaning, the largest group first, each
    /// with a label and a few sentences in the documents' own words. Needs an embedder.
    public func topics(_ options: TopicsOptions = TopicsOptions()) async throws -> Topics {
        try await call { store, cancel in
            let scratch = Scratch()
            var raw = try options.raw(scratch, cancel)
            var made: OpaquePointer?
            try withExtendedLifetime(scratch) {
                try check { satchel_store_topics(&made, store, &raw, $0) }
            }
            defer { satchel_topics_close(&made) }
            return try Topics(made!)
        }
    }
}
