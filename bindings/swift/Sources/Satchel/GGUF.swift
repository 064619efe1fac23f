// Looking into GGUF files without opening them as models.
import CSatchel
import Foundation

/// What is in a GGUF file, whether or not it can be opened as a model.
public struct GGUF: Sendable {
    /// A key of the file.
    public struct Key: Sendable, Hashable {
        /// `general.architecture`.
        public let name: String
        /// `string`, `u32`, `array of i32`.
        public let type: String
        /// In JSON; of a long string or array the beginning.
        public let value: String
        /// Bytes of a string, elements of an array; else 1.
        public let count: Int
        /// Whether `value` is not all of it.
        public let isCut: Bool
        /// File it is in, from 0.
        public let part: Int
    }

    /// A tensor of the file.
    public struct Tensor: Sendable, Hashable {
        /// `blk.0.attn_q.weight`.
        public let name: String
        /// `Q8_0`; `?` if it is not known.
        public let type: String
        /// The type's number in the file.
        public let typeID: Int
        /// The first runs fastest.
        public let shape: [Int]
        /// Its size; 0 if the type is not known.
        public let bytes: Int
        /// In its file; 0 if the type is not known.
        public let offset: Int
        /// File it is in, from 0.
        public let part: Int
    }

    /// Of the format.
    public let version: Int
    /// Files that the model is split into.
    public let parts: Int
    /// Of all parts.
    public let fileBytes: Int
    /// Of that, weights.
    public let tensorBytes: Int
    /// Elements of all tensors.
    public let parameterCount: Int
    /// In the file's order.
    public let keys: [Key]
    /// In the file's order.
    public let tensors: [Tensor]

    /// Reads the keys and the list of tensors; of a model in parts, of all parts.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - limit: Elements of an array and bytes of a string to show at most; `nil`: a few.
    ///   - context: Limits; `nil`: the shared one.
    public static func inspect(
        path: String, limit: Int? = nil, context: Context? = nil
    ) async throws -> GGUF {
        let context = try context ?? Context.shared()
        return try await offPool {
            let scratch = Scratch()
            let file = try scratch.string(path, "the path")
            var opened: OpaquePointer?
            try withExtendedLifetime(scratch) {
                try context.handle.use { owner in
                    try check { satchel_gguf_open(&opened, owner, file, $0) }
                }
            }
            defer { satchel_gguf_close(&opened) }
            return try GGUF(opened!, limit ?? 0)
        }
    }

    private init(_ file: OpaquePointer, _ limit: Int) throws {
        let info = try filled { satchel_gguf_get_info(file, $0, $1, $2) }
        version = Int(info.version)
        parts = Int(info.parts)
        fileBytes = Int(info.file_bytes)
        tensorBytes = Int(info.tensor_bytes)
        parameterCount = Int(info.parameter_count)
        keys = try (0..<Int(info.key_count)).map { index in
            let key = try filled { satchel_gguf_get_key(file, index, limit, $0, $1, $2) }
            return Key(
                name: swift(key.name), type: swift(key.type),
                value: swift(key.value, key.value_length), count: Int(key.count),
                isCut: key.cut != 0, part: Int(key.part))
        }
        tensors = try (0..<Int(info.tensor_count)).map { index in
            let tensor = try filled { satchel_gguf_get_tensor(file, index, $0, $1, $2) }
            let shape = [tensor.shape.0, tensor.shape.1, tensor.shape.2, tensor.shape.3]
            return Tensor(
                name: swift(tensor.name), type: swift(tensor.type), typeID: Int(tensor.type_id),
                shape: shape.prefix(Int(tensor.rank)).map(Int.init), bytes: Int(tensor.bytes),
                offset: Int(tensor.offset), part: Int(tensor.part))
        }
    }
}
