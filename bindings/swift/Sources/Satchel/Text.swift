// Ranges of text, metadata and filters.
import CSatchel
import Foundation

/// A half-open range of a text, in bytes of its UTF-8 and in UTF-16 units beside.
public struct TextRange: Sendable, Hashable {
    /// In bytes of UTF-8.
    public let utf8: Range<Int>
    /// In UTF-16 units, as `NSString`, Java and JavaScript count.
    public let utf16: Range<Int>

    /// Makes a range from both of its forms.
    public init(utf8: Range<Int>, utf16: Range<Int>) {
        self.utf8 = utf8
        self.utf16 = utf16
    }

    init(_ raw: satchel_range) {
        // A range that the library leaves zero, or of an earlier version, is empty, never a trap.
        utf8 = Int(raw.start)..<max(Int(raw.start), Int(raw.end))
        utf16 = Int(raw.start_utf16)..<max(Int(raw.start_utf16), Int(raw.end_utf16))
    }

    /// For attributed strings and text views.
    public var nsRange: NSRange { NSRange(location: utf16.lowerBound, length: utf16.count) }

    /// The range in a string that holds the whole text; `nil` if it does not reach that far.
    public func range(in text: String) -> Range<String.Index>? {
        let view = text.utf8
        guard let from = view.index(view.startIndex, offsetBy: utf8.lowerBound, limitedBy: view.endIndex),
            let to = view.index(from, offsetBy: utf8.count, limitedBy: view.endIndex)
        else { return nil }
        return from..<to
    }
}

/// A value of a document's metadata.
public enum MetadataValue: Sendable, Hashable, Codable {
    /// Text.
    case string(String)
    /// A number.
    case number(Double)
    /// True or false.
    case boolean(Bool)
    /// Several texts: tags.
    case strings([String])

    /// Reads one of the four kinds.
    public init(from decoder: any Decoder) throws {
        let one = try decoder.singleValueContainer()
        if let value = try? one.decode(Bool.self) {
            self = .boolean(value)
        } else if let value = try? one.decode(Double.self) {
            self = .number(value)
        } else if let value = try? one.decode(String.self) {
            self = .string(value)
        } else {
            self = .strings(try one.decode([String].self))
        }
    }

    /// Writes the plain value.
    public func encode(to encoder: any Encoder) throws {
        var one = encoder.singleValueContainer()
        switch self {
        case .string(let value): try one.encode(value)
        case .number(let value):
            // Whole numbers without a fraction.
            if let whole = Int64(exactly: value) { try one.encode(whole) } else { try one.encode(value) }
        case .boolean(let value): try one.encode(value)
        case .strings(let value): try one.encode(value)
        }
    }
}

extension MetadataValue: ExpressibleByStringLiteral, ExpressibleByFloatLiteral,
    ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral
{
    /// `"Ada"`.
    public init(stringLiteral value: String) { self = .string(value) }
    /// `0.5`.
    public init(floatLiteral value: Double) { self = .number(value) }
    /// `1911`.
    public init(integerLiteral value: Int) { self = .number(Double(value)) }
    /// `true`.
    public init(booleanLiteral value: Bool) { self = .boolean(value) }
    /// `["draft", "private"]`.
    public init(arrayLiteral elements: String...) { self = .strings(elements) }
}

/// Facts about a document, which filters can ask for.
public typealias Metadata = [String: MetadataValue]

enum JSON {
    static func text(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    /// Metadata as the library stores it; empty if it is not what it promises.
    static func metadata(_ text: String) -> Metadata {
        guard !text.isEmpty, text != "{}" else { return [:] }
        return (try? JSONDecoder().decode(Metadata.self, from: Data(text.utf8))) ?? [:]
    }
}

/// What documents a search, an answer or a list looks at.
///
/// Filters are made from parts, or written as the library's JSON, which `docs/filters.md` describes:
///
/// ```swift
/// let filter: Filter = .all(.path("notes/*"), .metadata("author", in: ["Ines", "Olu"]))
/// let same: Filter = #"{"path": "notes/*", "meta.author": ["Ines", "Olu"]}"#
/// ```
public struct Filter: Sendable, Hashable, ExpressibleByStringLiteral {
    /// The filter as the library takes it.
    public let json: String

    /// A filter in JSON.
    public init(json: String) { self.json = json }

    /// A filter in JSON.
    public init(stringLiteral value: String) { json = value }

    private init(_ key: String, _ value: Value) {
        json = "{\(Self.quoted(key)):\(value.json)}"
    }

    /// Documents whose id matches one of the patterns: `*` stands for any characters.
    public static func path(_ patterns: String...) -> Filter { Filter("path", .strings(patterns)) }

    /// Documents with this title.
    public static func title(_ title: String) -> Filter { Filter("title", .string(title)) }

    /// Documents of this media type: `text/markdown`.
    public static func mediaType(_ type: String) -> Filter { Filter("media_type", .string(type)) }

    /// Documents that came from a synced folder of this name.
    public static func root(_ name: String) -> Filter { Filter("root", .string(name)) }

    /// Documents modified at or after a moment.
    public static func modified(since moment: Date) -> Filter {
        Filter("modified", .operators([("gte", .number(moment.timeIntervalSince1970 * 1000))]))
    }

    /// Documents modified before a moment.
    public static func modified(before moment: Date) -> Filter {
        Filter("modified", .operators([("lt", .number(moment.timeIntervalSince1970 * 1000))]))
    }

    /// Documents whose metadata has this value, or has it among its strings.
    public static func metadata(_ key: String, is value: MetadataValue) -> Filter {
        Filter("meta.\(key)", Value(value))
    }

    /// Documents whose metadata has one of these values.
    public static func metadata(_ key: String, in values: [MetadataValue]) -> Filter {
        Filter("meta.\(key)", .list(values.map(Value.init)))
    }

    /// Documents whose metadata has a number in this range.
    public static func metadata(_ key: String, in range: Range<Double>) -> Filter {
        Filter(
            "meta.\(key)",
            .operators([("gte", .number(range.lowerBound)), ("lt", .number(range.upperBound))]))
    }

    /// Documents whose metadata has a value for this key, or has none.
    public static func metadata(_ key: String, exists: Bool) -> Filter {
        Filter("meta.\(key)", .operators([("exists", .boolean(exists))]))
    }

    /// Documents that pass every one of these.
    public static func all(_ filters: Filter...) -> Filter { joined("and", filters) }

    /// Documents that pass at least one of these.
    public static func any(_ filters: Filter...) -> Filter { joined("or", filters) }

    /// Documents that do not pass this one.
    public static prefix func ! (filter: Filter) -> Filter {
        Filter(json: "{\"not\":\(filter.json)}")
    }

    private static func joined(_ word: String, _ filters: [Filter]) -> Filter {
        Filter(json: "{\"\(word)\":[\(filters.map(\.json).joined(separator: ","))]}")
    }

    // Strings go through the encoder: nothing a user typed can end a JSON string.
    private static func quoted(_ text: String) -> String {
        (try? JSON.text(text)) ?? "\"\""
    }

    private indirect enum Value {
        case string(String), number(Double), boolean(Bool), strings([String]), list([Value])
        case operators([(String, Value)])

        init(_ value: MetadataValue) {
            switch value {
            case .string(let text): self = .string(text)
            case .number(let number): self = .number(number)
            case .boolean(let truth): self = .boolean(truth)
            case .strings(let texts): self = .strings(texts)
            }
        }

        var json: String {
            switch self {
            case .string(let text): Filter.quoted(text)
            case .number(let number):
                Int64(exactly: number).map { String($0) } ?? (number.isFinite ? "\(number)" : "null")
            case .boolean(let truth): truth ? "true" : "false"
            case .strings(let texts): "[\(texts.map(Filter.quoted).joined(separator: ","))]"
            case .list(let values): "[\(values.map(\.json).joined(separator: ","))]"
            case .operators(let pairs):
                "{\(pairs.map { "\(Filter.quoted($0.0)):\($0.1.json)" }.joined(separator: ","))}"
            }
        }
    }
}
