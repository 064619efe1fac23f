// What a search finds.
import CSatchel
import Foundation

/// How passages are found.
public struct SearchMode: OpenConstant {
    /// The library's `SATCHEL_SEARCH_*`.
    public let rawValue: Int32
    /// Wraps a constant of the library.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// By words.
    public static let keyword = Self(SATCHEL_SEARCH_KEYWORD)
    /// By meaning; needs an embedder.
    public static let vector = Self(SATCHEL_SEARCH_VECTOR)
    /// By both; by words alone without an embedder, which the results say.
    public static let hybrid = Self(SATCHEL_SEARCH_HYBRID)

    /// `keyword`, `vector` or `hybrid`.
    public var description: String {
        name([
            .keyword: "keyword", .vector: "vector", .hybrid: "hybrid",
        ])
    }
}

/// A passage of a document that fits a query.
public struct Hit: Sendable, Hashable, Identifiable {
    /// Names the passage in its store; never used again. The same as `chunk`.
    public var id: Int64 { chunk }
    /// The document it is from.
    public let documentID: String
    /// The document's title.
    public let title: String
    /// The headings above it: `Guide > Install`; empty if there are none.
    public let heading: String
    /// The passage.
    public let text: String
    /// Where it stands in the document's text.
    public let range: TextRange
    /// The part to show, around the best matches: a range of the document's text.
    public let snippetRange: TextRange
    /// Where terms of the query stand in the document's text.
    public let matches: [TextRange]
    /// Names the passage in its store; never used again.
    public let chunk: Int64
    /// Higher is better; comparable within one result only.
    public let score: Float
    /// BM25; 0 if no term matches.
    public let keywordScore: Float
    /// Cosine; `nil` if not scored.
    public let vectorScore: Float?
    /// Page or slide, counted from 1, where known.
    public let page: Int?
    /// Place in a recording in milliseconds, where known.
    public let timeMilliseconds: Int?
    /// Bytes in the source file, where known.
    public let sourceRange: Range<Int>?
    /// The document's metadata as JSON.
    public let metadataJSON: String

    /// The document's metadata.
    public var metadata: Metadata { JSON.metadata(metadataJSON) }

    /// The part of the passage to show, around the best matches.
    public var snippet: String {
        let utf8 = text.utf8
        let from = max(0, snippetRange.utf8.lowerBound - range.utf8.lowerBound)
        let to = max(from, snippetRange.utf8.upperBound - range.utf8.lowerBound)
        return String(decoding: utf8.dropFirst(from).prefix(to - from), as: UTF8.self)
    }

    init(_ results: OpaquePointer, _ index: Int) throws {
        let raw = try filled { satchel_results_get(results, index, $0, $1, $2) }
        documentID = swift(raw.document_id)
        title = swift(raw.title)
        heading = swift(raw.heading)
        text = swift(raw.text, raw.text_length)
        range = TextRange(raw.range)
        snippetRange = TextRange(raw.snippet)
        var matches: [TextRange] = []
        matches.reserveCapacity(raw.match_count)
        for match in 0..<raw.match_count {
            var place = zeroed(satchel_range.self)
            try check { satchel_results_get_match(results, index, match, &place, $0) }
            matches.append(TextRange(place))
        }
        self.matches = matches
        chunk = raw.chunk
        score = raw.score
        keywordScore = raw.keyword_score
        vectorScore = raw.vector_score.isNaN ? nil : raw.vector_score
        page = known(raw.page, not: 0)
        timeMilliseconds = known(raw.time_ms, not: -1)
        sourceRange =
            raw.source_start < 0
            ? nil : Int(raw.source_start)..<max(Int(raw.source_start), Int(raw.source_end))
        metadataJSON = swift(raw.metadata)
    }
}

/// The passages that fit best, best first.
public struct SearchResults: Sendable, RandomAccessCollection {
    /// The passages.
    public let hits: [Hit]
    /// The mode that served: `keyword` for a hybrid search without vectors.
    public let mode: SearchMode

    /// Always 0.
    public var startIndex: Int { hits.startIndex }
    /// The number of hits.
    public var endIndex: Int { hits.endIndex }
    /// A hit by its rank.
    public subscript(index: Int) -> Hit { hits[index] }

    /// Copies what the library's results hold.
    init(_ results: OpaquePointer) throws {
        mode = SearchMode(rawValue: satchel_results_mode(results))
        hits = try (0..<satchel_results_count(results)).map { try Hit(results, $0) }
    }
}

extension Store {
    /// The passages that fit a query best.
    ///
    /// - Parameters:
    ///   - query: Plain text; there is no query syntax.
    ///   - limit: Hits wanted; `nil` is the library's default.
    ///   - mode: How; `nil`: hybrid with an embedder, else by keyword.
    ///   - filter: Which documents to look at.
    public func search(
        _ query: String, limit: Int? = nil, mode: SearchMode? = nil, filter: Filter? = nil
    ) async throws -> SearchResults {
        try await call { store, cancel in
            let scratch = Scratch()
            var raw = defaults(satchel_search_options_init)
            raw.k = try orDefault(limit, "limit")
            raw.mode = mode?.rawValue ?? 0
            raw.filter = try scratch.maybe(filter?.json, "the filter")
            raw.cancel = cancel
            let text = try scratch.string(query, "the query")
            var results: OpaquePointer?
            try withExtendedLifetime(scratch) {
                try check { satchel_search(&results, store, text, &raw, $0) }
            }
            defer { satchel_results_close(&results) }
            return try SearchResults(results!)
        }
    }
}
