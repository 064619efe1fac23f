// Where the points of a clustering come from.
import CSatchel

/// Points to cluster: rows of one length, in memory, in a file or from a function.
public struct KMeansPoints: Sendable {
    /// Writes the rows of a range, one behind the other. Asked for the same row it gives the same numbers.
    public typealias Read = @Sendable (
        _ rows: Range<Int>, _ out: UnsafeMutableBufferPointer<Float>
    ) throws -> Void

    private enum Source: Sendable {
        case memory([Float])
        case file(String, UInt64)
        case function(Read)
    }

    /// How many there are.
    public let count: Int
    /// Numbers in each.
    public let dimension: Int
    private let source: Source

    /// Points in memory, row after row.
    public init(_ values: [Float], dimension: Int) throws {
        guard dimension > 0, values.count % dimension == 0 else {
            throw SatchelError(
                .invalidArgument, "\(values.count) numbers are no rows of \(dimension)")
        }
        try self.init(values.count / dimension, dimension, .memory(values))
    }

    /// Points in a file, row after row as little-endian numbers of 32 bits. It is read in blocks.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - count: Rows in it.
    ///   - dimension: Numbers in a row.
    ///   - offset: Bytes before the first row.
    public init(path: String, count: Int, dimension: Int, offset: UInt64 = 0) throws {
        try self.init(count, dimension, .file(path, offset))
    }

    /// Points that a function gives, on a thread of the package, in several passes.
    ///
    /// - Parameters:
    ///   - count: How many.
    ///   - dimension: Numbers in each.
    ///   - read: Writes some of them. What it throws ends the work.
    public init(count: Int, dimension: Int, read: @escaping Read) throws {
        try self.init(count, dimension, .function(read))
    }

    private init(_ count: Int, _ dimension: Int, _ source: Source) throws {
        guard count >= 0, dimension > 0 else {
            throw SatchelError(.invalidArgument, "\(count) rows of \(dimension) are no points")
        }
        self.count = count
        self.dimension = dimension
        self.source = source
    }

    private final class ReadTarget: Sendable {
        let dimension: Int
        let read: Read

        init(_ dimension: Int, _ read: @escaping Read) {
            self.dimension = dimension
            self.read = read
        }
    }

    func use<T>(
        _ scratch: Scratch, _ body: (UnsafePointer<satchel_points>) throws -> T
    ) throws -> T {
        var points = zeroed(satchel_points.self)
        points.struct_size = MemoryLayout<satchel_points>.size
        points.count = UInt64(count)
        points.dimension = try orDefault(dimension, "dimension")
        switch source {
        case .memory(let values):
            return try values.withUnsafeBufferPointer {
                points.rows = $0.baseAddress
                return try body(&points)
            }
        case .file(let path, let offset):
            points.path = try scratch.string(path, "the path")
            points.offset = offset
        case .function(let read):
            points.user = scratch.object(ReadTarget(dimension, read))
            points.read = { user, first, count, out in
                let target = Unmanaged<ReadTarget>.fromOpaque(user!).takeUnretainedValue()
                let from = Int(first)
                return answering {
                    try target.read(
                        from..<from + count,
                        UnsafeMutableBufferPointer(start: out, count: count * target.dimension))
                }
            }
        }
        return try body(&points)
    }
}
