// Readers of the app's own: the bytes of a file to text.
import CSatchel
import Foundation

/// What a reader makes of a file, piece by piece.
public enum ReaderPart: Sendable, Hashable {
    /// Text. Paragraphs are separated by an empty line.
    case text(String)
    /// From here on the text lies on this page, counted from 1.
    case page(Int)
    /// From here on the text lies on this slide, counted from 1.
    case slide(Int)
    /// A heading of level 1 to 6 stands here.
    case heading(level: Int, String)
    /// From here on the text is heard at this time.
    case time(milliseconds: Int)
    /// The document's title, if whoever added it gave none.
    case title(String)
}

/// Turns the bytes of a file into text with places, by the app. See ``Store/add(reader:)``.
public protocol Reader: Sendable {
    /// Names it.
    var id: String { get }
    /// What it reads: `application/pdf`.
    var mediaTypes: [String] { get }
    /// The same as file extensions, without dots.
    var fileExtensions: [String] { get }

    /// The parts of a file in order. Throw ``SatchelError`` with ``SatchelError/Code/unsupported`` to let
    /// the next reader try; any other error is reported, and a sync goes on with the next file.
    func read(_ data: Data, mediaType: String) async throws -> [ReaderPart]
}

extension Store {
    /// Registers a reader for this store's adds and syncs. Later ones go first, the library's own come
    /// last.
    public func add(reader: any Reader) async throws {
        try await call { store, _ in try ReaderTable.add(reader, to: store) }
    }
}

/// A reader as the table that C calls. It owns itself until the library calls `destroy`.
private final class ReaderTable: Sendable {
    private let reader: any Reader

    private init(_ reader: any Reader) { self.reader = reader }

    static func add(_ reader: any Reader, to store: OpaquePointer) throws {
        let scratch = Scratch()
        var raw = zeroed(satchel_reader.self)
        raw.struct_size = MemoryLayout<satchel_reader>.size
        raw.id = try scratch.string(reader.id, "the reader's id")
        raw.media_types = try scratch.string(
            reader.mediaTypes.joined(separator: " "), "mediaTypes")
        raw.extensions = try scratch.maybe(
            reader.fileExtensions.joined(separator: " "), "fileExtensions")
        raw.read = { user, type, data, length, sink, message, size in
            let table = Unmanaged<ReaderTable>.fromOpaque(user!).takeUnretainedValue()
            return table.read(swift(type), data, length, sink, message, size)
        }
        raw.destroy = { user in Unmanaged<ReaderTable>.fromOpaque(user!).release() }
        raw.user = Unmanaged.passRetained(ReaderTable(reader)).toOpaque()
        try withExtendedLifetime(scratch) {
            // Destroys the table also when it fails.
            try check { satchel_store_add_reader(store, &raw, $0) }
        }
    }

    private func read(
        _ type: String, _ data: UnsafeRawPointer, _ length: Int,
        _ sink: UnsafePointer<satchel_reader_sink>, _ message: UnsafeMutablePointer<CChar>,
        _ size: Int
    ) -> satchel_status {
        let bytes = Data(bytes: data, count: length)
        do {
            let parts = try awaiting { [reader] in try await reader.read(bytes, mediaType: type) }
            for part in parts {
                let status = handOver(part, sink.pointee)
                if status != SATCHEL_OK { return status }
            }
            return satchel_status(SATCHEL_OK)
        } catch {
            write((error as? SatchelError)?.message ?? "\(error)", message, size)
            return CallbackError.status(error)
        }
    }

    private func handOver(_ part: ReaderPart, _ sink: satchel_reader_sink) -> satchel_status {
        switch part {
        case .text(let text): return withText(text) { sink.text(sink.sink, $0, $1) }
        case .title(let text): return withText(text) { sink.title(sink.sink, $0, $1) }
        case .page(let number): return locate(SATCHEL_LOCATOR_PAGE, number, nil, sink)
        case .slide(let number): return locate(SATCHEL_LOCATOR_SLIDE, number, nil, sink)
        case .time(let milliseconds): return locate(SATCHEL_LOCATOR_TIME, milliseconds, nil, sink)
        case .heading(let level, let label):
            return locate(SATCHEL_LOCATOR_HEADING, level, label, sink)
        }
    }

    private func locate(
        _ kind: Int, _ number: Int, _ label: String?, _ sink: satchel_reader_sink
    ) -> satchel_status {
        var place = zeroed(satchel_locator.self)
        place.kind = Int32(kind)
        place.number = Int64(number)
        guard let label else { return sink.locate(sink.sink, &place) }
        return label.replacingOccurrences(of: "\0", with: " ").withCString { text in
            place.label = text
            return sink.locate(sink.sink, &place)
        }
    }

    /// At most `size` bytes with the NUL, not cut within a character.
    private func write(_ text: String, _ message: UnsafeMutablePointer<CChar>, _ size: Int) {
        guard size > 0 else { return }
        var length = 0
        for character in text.replacingOccurrences(of: "\0", with: " ").unicodeScalars {
            let bytes = Array(String(character).utf8)
            guard length + bytes.count < size else { break }
            for byte in bytes {
                message[length] = CChar(bitPattern: byte)
                length += 1
            }
        }
        message[length] = 0
    }
}
