// Between Swift values and C: memory that options point to, and strings out of the library.
import CSatchel
import Foundation

/// Memory for what C options point to; freed with the object.
final class Scratch {
    private var blocks: [UnsafeMutableRawPointer] = []
    private var objects: [AnyObject] = []

    deinit { for block in blocks { block.deallocate() } }

    /// A NUL-terminated copy. A string with a NUL inside is an error: C would see only its beginning.
    func string(_ text: String, _ what: String) throws -> UnsafePointer<CChar> {
        var text = text
        return try text.withUTF8 { bytes in
            guard !bytes.contains(0) else {
                throw SatchelError(.invalidArgument, "\(what) holds a NUL character; take it out")
            }
            let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count + 1)
            bytes.withMemoryRebound(to: CChar.self) { chars in
                if let first = chars.baseAddress { copy.update(from: first, count: chars.count) }
            }
            copy[bytes.count] = 0
            blocks.append(UnsafeMutableRawPointer(copy))
            return UnsafePointer(copy)
        }
    }

    /// As above; nil for nil.
    func maybe(_ text: String?, _ what: String) throws -> UnsafePointer<CChar>? {
        try text.map { try string($0, what) }
    }

    /// A copy of the array; nil for an empty one.
    func array<T: BitwiseCopyable>(_ values: [T]) -> UnsafePointer<T>? {
        guard !values.isEmpty else { return nil }
        let copy = UnsafeMutablePointer<T>.allocate(capacity: values.count)
        copy.initialize(from: values, count: values.count)
        blocks.append(UnsafeMutableRawPointer(copy))
        return UnsafePointer(copy)
    }

    func strings(_ texts: [String], _ what: String) throws -> UnsafePointer<UnsafePointer<CChar>?>? {
        try array(texts.map { try string($0, what) })
    }

    /// A text with its length; NUL is a character like others.
    func text(_ text: String) -> satchel_text {
        withText(text) { bytes, length in
            let copy = UnsafeMutablePointer<CChar>.allocate(capacity: max(length, 1))
            copy.update(from: bytes, count: length)
            blocks.append(UnsafeMutableRawPointer(copy))
            return satchel_text(data: copy, length: length)
        }
    }

    /// An object for a callback's `user`.
    func object(_ object: AnyObject) -> UnsafeMutableRawPointer {
        objects.append(object)
        return Unmanaged.passUnretained(object).toOpaque()
    }

    /// A copy of a C struct that another points to.
    func value<T>(_ value: T) -> UnsafePointer<T> {
        let copy = UnsafeMutablePointer<T>.allocate(capacity: 1)
        copy.initialize(to: value)
        blocks.append(UnsafeMutableRawPointer(copy))
        return UnsafePointer(copy)
    }
}

/// A C struct of zeros. Swift offers none of its own where a struct has pointers that may not be NULL:
/// here the library, or the next lines, fill them in.
@inline(__always)
package func zeroed<T>(_ type: T.Type) -> T {
    withUnsafeTemporaryAllocation(of: T.self, capacity: 1) { one in
        memset(one.baseAddress!, 0, MemoryLayout<T>.size)
        return one[0]
    }
}

/// Options with the library's defaults: `defaults(satchel_ask_options_init)`.
func defaults<T>(_ initialize: (UnsafeMutablePointer<T>, Int) -> Void) -> T {
    var options = zeroed(T.self)
    initialize(&options, MemoryLayout<T>.size)
    return options
}

/// A struct that the library fills in: `filled { satchel_model_get_info(model, $0, $1, $2) }`.
@inline(__always)
func filled<T>(
    _ call: (UnsafeMutablePointer<T>, Int, UnsafeMutablePointer<satchel_error>) -> satchel_status
) throws -> T {
    var made = zeroed(T.self)
    try check { call(&made, MemoryLayout<T>.size, $0) }
    return made
}

// The library takes 0 for "the default"; what a caller leaves out is nil here.

func orDefault(_ value: Int?, _ what: String) throws -> Int32 {
    guard let value else { return 0 }
    guard let fits = Int32(exactly: value) else {
        throw SatchelError(.invalidArgument, "\(what) is \(value); it must fit 32 bits")
    }
    return fits
}

/// As above where 0 means none at all, which is -1 in C.
func orNone(_ value: Int?, _ what: String) throws -> Int32 {
    value == 0 ? -1 : try orDefault(value, what)
}

func orDefault(_ value: Float?) -> Float { value ?? 0 }

/// The other way round: nil for 0.
func given(_ value: Float) -> Float? { value == 0 ? nil : value }

func flag(_ value: Bool) -> Int32 { value ? 1 : 0 }

/// A C string, or "" for NULL.
func swift(_ text: UnsafePointer<CChar>?) -> String { text.map { String(cString: $0) } ?? "" }

/// Text with a length beside it.
func swift(_ text: UnsafePointer<CChar>?, _ length: Int) -> String {
    guard let text, length > 0 else { return "" }
    return String(decoding: UnsafeRawBufferPointer(start: text, count: length), as: UTF8.self)
}

/// nil for the value that stands for "unknown".
func known<T: BinaryInteger>(_ value: T, not unknown: T) -> Int? {
    value == unknown ? nil : Int(value)
}

/// Numbers that stand row after row, as rows.
func split(_ numbers: [Float], _ width: Int) -> [[Float]] {
    stride(from: 0, to: numbers.count, by: max(width, 1)).map { Array(numbers[$0..<$0 + width]) }
}

/// Passes a text's UTF-8 and its length in bytes.
func withText<R>(_ text: String, _ body: (UnsafePointer<CChar>, Int) throws -> R) rethrows -> R {
    var text = text
    return try text.withUTF8 { bytes in
        try bytes.withMemoryRebound(to: CChar.self) { chars in
            // An empty string may have no address at all.
            guard let first = chars.baseAddress else { return try body("", 0) }
            return try body(first, chars.count)
        }
    }
}

/// Where a file is, for the library: the URL's path as the file system spells it.
func path(of url: URL) throws -> String {
    guard url.isFileURL else {
        throw SatchelError(.invalidArgument, "\(url) is not a file URL; Satchel reads local files")
    }
    return url.path
}
