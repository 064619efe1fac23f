// Models: text to vectors, text to text.
import CSatchel
import Foundation

/// What a model does.
public struct ModelKind: OpenConstant {
    /// The library's `SATCHEL_MODEL_*`.
    public let rawValue: Int32
    /// Wraps a constant of the library.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// Text to vectors.
    public static let embedder = Self(SATCHEL_MODEL_EMBEDDER)
    /// Text to text.
    public static let generator = Self(SATCHEL_MODEL_GENERATOR)

    /// `embedder` or `generator`.
    public var description: String { name([.embedder: "embedder", .generator: "generator"]) }
}

/// How the vectors of a text's tokens become one.
public struct Pooling: OpenConstant {
    /// The library's `SATCHEL_POOLING_*`.
    public let rawValue: Int32
    /// Wraps a constant of the library.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// Their mean.
    public static let mean = Self(SATCHEL_POOLING_MEAN)
    /// The first of them.
    public static let cls = Self(SATCHEL_POOLING_CLS)
    /// The last of them.
    public static let last = Self(SATCHEL_POOLING_LAST)

    /// `mean`, `cls` or `last`.
    public var description: String { name([.mean: "mean", .cls: "cls", .last: "last"]) }
}

/// How a generator holds the keys and values of the tokens it has read.
public struct KVType: OpenConstant {
    /// The library's `SATCHEL_KV_*`.
    public let rawValue: Int32
    /// Wraps a constant of the library.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// Half precision.
    public static let f16 = Self(SATCHEL_KV_F16)
    /// Half the memory of `f16`, a little less exact.
    public static let q8 = Self(SATCHEL_KV_Q8_0)
    /// Single precision.
    public static let f32 = Self(SATCHEL_KV_F32)

    /// `f16`, `q8` or `f32`.
    public var description: String { name([.f16: "f16", .q8: "q8", .f32: "f32"]) }
}

/// What a text is embedded for.
public struct EmbeddingRole: OpenConstant {
    /// The library's `SATCHEL_ROLE_*`.
    public let rawValue: Int32
    /// Wraps a constant of the library.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// To be found.
    public static let document = Self(SATCHEL_ROLE_DOCUMENT)
    /// To find with.
    public static let query = Self(SATCHEL_ROLE_QUERY)

    /// `document` or `query`.
    public var description: String { name([.document: "document", .query: "query"]) }
}

/// An adapter that is put on a generator's weights.
public struct Adapter: Sendable, Hashable {
    /// A LoRA adapter in GGUF.
    public var path: String
    /// How strongly it counts: for all adapters of a model, or for none.
    public var scale: Float?

    /// An adapter at full strength, unless a scale is given.
    public init(path: String, scale: Float? = nil) {
        self.path = path
        self.scale = scale
    }
}

/// Settings of a ``Model``. What is left `nil` is as the file says, or the library's default. Settings of
/// the kind that the file is not have no effect.
public struct ModelOptions: Sendable {
    /// Embedders: put before queries.
    public var queryPrefix: String?
    /// Embedders: put before documents.
    public var documentPrefix: String?
    /// Embedders: how the vectors of tokens become one.
    public var pooling: Pooling?
    /// Embedders: longest text read, in tokens.
    public var maxTokens: Int?
    /// Embedders: numbers in a vector, its first so many, scaled to length 1 again. For models that are
    /// trained for it.
    public var dimension: Int?
    /// Generators: room for prompt and answer, in tokens.
    public var contextTokens: Int?
    /// Generators: how read tokens are held.
    public var kvType: KVType?
    /// Generators: put on the weights.
    public var adapters: [Adapter] = []
    /// Generators: a template in Jinja instead of the file's own.
    public var chatTemplate: String?
    /// Read all weights now, so that the first answer does not wait for storage.
    public var warm = false
    /// Called while `warm` reads, on a thread of the package.
    public var progress: (@Sendable (WorkProgress) -> Void)?

    /// All defaults.
    public init() {}

    func raw(_ scratch: Scratch, _ cancel: OpaquePointer) throws -> satchel_model_options {
        var raw = defaults(satchel_model_options_init)
        raw.query_prefix = try scratch.maybe(queryPrefix, "queryPrefix")
        raw.document_prefix = try scratch.maybe(documentPrefix, "documentPrefix")
        raw.pooling = pooling?.rawValue ?? 0
        raw.max_tokens = try orDefault(maxTokens, "maxTokens")
        raw.dimension = try orDefault(dimension, "dimension")
        raw.context_tokens = try orDefault(contextTokens, "contextTokens")
        raw.kv_type = kvType?.rawValue ?? 0
        raw.adapters = try scratch.strings(adapters.map(\.path), "an adapter's path")
        let scales = adapters.compactMap(\.scale)
        guard scales.isEmpty || scales.count == adapters.count else {
            throw SatchelError(
                .invalidArgument, "give a scale for each of the adapters, or for none")
        }
        raw.adapter_scales = scratch.array(scales)
        raw.adapter_count = adapters.count
        raw.chat_template = try scratch.maybe(chatTemplate, "chatTemplate")
        raw.warm = flag(warm)
        raw.cancel = cancel
        if let progress {
            raw.progress_user = scratch.object(ProgressTarget(progress))
            raw.progress = ProgressTarget.function
        }
        return raw
    }
}

/// A progress closure that C points to.
final class ProgressTarget: Sendable {
    let report: @Sendable (WorkProgress) -> Void

    init(_ report: @escaping @Sendable (WorkProgress) -> Void) { self.report = report }

    static let function: satchel_progress_function = { user, progress in
        guard let user else { return 0 }
        let target = Unmanaged<ProgressTarget>.fromOpaque(user).takeUnretainedValue()
        target.report(WorkProgress(progress.pointee))
        return 0
    }
}

/// What a model says of itself.
public struct ModelInfo: Sendable, Hashable {
    /// From the file; may be empty.
    public let name: String
    /// `bert`, `qwen3`; `custom` for one of the app's own.
    public let architecture: String
    /// Names what it makes.
    public let fingerprint: String
    /// That of most weights: `F16`, `Q8_0`; empty if not known.
    public let weightType: String
    /// Length of an embedder's vectors.
    public let dimension: Int
    /// Longest text of an embedder; ``contextTokens`` of a generator.
    public let maxTokens: Int
    /// Tokens it knows; 0 if not known.
    public let vocabularySize: Int
    /// Weights; 0 if not known.
    public let parameterCount: Int
    /// Of all parts; 0 if not known.
    public let fileBytes: Int
    /// What it does.
    public let kind: ModelKind
    /// Room for prompt and answer of a generator as opened.
    public let contextTokens: Int
    /// Tokens a generator was trained for; 0 if not known.
    public let trainedContext: Int
    /// Layers of a generator; 0 if not known.
    public let layers: Int
    /// Whether it can chat.
    public let hasChatTemplate: Bool
    /// Read for one token, from the mapped file.
    public let weightBytes: UInt64
    /// Held beside the file, with one context full.
    public let memoryBytes: UInt64
    /// Of that, for each token of the context.
    public let kvBytesPerToken: UInt64

    init(_ raw: satchel_model_info) {
        name = swift(raw.name)
        architecture = swift(raw.architecture)
        fingerprint = swift(raw.fingerprint)
        weightType = swift(raw.weight_type)
        dimension = Int(raw.dimension)
        maxTokens = Int(raw.max_tokens)
        vocabularySize = Int(raw.vocabulary_size)
        parameterCount = Int(raw.parameter_count)
        fileBytes = Int(raw.file_bytes)
        kind = ModelKind(rawValue: raw.kind)
        contextTokens = Int(raw.context_tokens)
        trainedContext = Int(raw.trained_context)
        layers = Int(raw.layers)
        hasChatTemplate = raw.has_chat_template != 0
        weightBytes = raw.weight_bytes
        memoryBytes = raw.memory_bytes
        kvBytesPerToken = raw.kv_bytes_a_token
    }
}

/// A model from a GGUF file, or one of the app's own: an embedder or a generator.
///
/// It may be used from many tasks at once, and closes itself when it is let go of.
public final class Model: Sendable, Callable {
    let handle: Handle
    /// Where it gets its threads and limits from.
    public let context: Context
    /// What it says of itself.
    public let info: ModelInfo

    init(_ handle: Handle, _ context: Context) throws {
        self.handle = handle
        self.context = context
        info = try handle.use { model in
            let raw = try filled { satchel_model_get_info(model, $0, $1, $2) }
            return ModelInfo(raw)
        }
    }

    /// Opens a GGUF file by mapping it.
    ///
    /// - Parameters:
    ///   - path: The file; of a model in parts, the first.
    ///   - options: Settings.
    ///   - context: Threads and limits; `nil`: the shared one.
    public convenience init(
        path: String, options: ModelOptions = ModelOptions(), context: Context? = nil
    ) async throws {
        let context = try context ?? Context.shared()
        let opened = try await cancellable(context.handle) { cancel in
            try Model.open(options, cancel, context) { owner, raw, made, scratch in
                let file = try scratch.string(path, "the path")
                try check { satchel_model_open(&made, owner, file, &raw, $0) }
            }
        }
        try self.init(opened, context)
    }

    /// Opens a GGUF file at a file URL.
    public convenience init(
        url: URL, options: ModelOptions = ModelOptions(), context: Context? = nil
    ) async throws {
        try await self.init(path: Satchel.path(of: url), options: options, context: context)
    }

    /// Opens a GGUF file, or part of a file, from a descriptor, which stays the caller's.
    ///
    /// - Parameters:
    ///   - fileDescriptor: Open for reading.
    ///   - offset: Where the model begins.
    ///   - length: Its bytes; 0: to the end.
    ///   - options: Settings.
    ///   - context: Threads and limits; `nil`: the shared one.
    public convenience init(
        fileDescriptor: Int32, offset: UInt64 = 0, length: UInt64 = 0,
        options: ModelOptions = ModelOptions(), context: Context? = nil
    ) async throws {
        let context = try context ?? Context.shared()
        let opened = try await cancellable(context.handle) { cancel in
            try Model.open(options, cancel, context) { owner, raw, made, _ in
                try check {
                    satchel_model_open_fd(&made, owner, fileDescriptor, offset, length, &raw, $0)
                }
            }
        }
        try self.init(opened, context)
    }

    /// A model from an embedder of the app's own.
    public convenience init(embedder: any Embedder, context: Context? = nil) async throws {
        let context = try context ?? Context.shared()
        let opened = try await offPool { try EmbedderTable.open(embedder, context) }
        try self.init(opened, context)
    }

    private static func open(
        _ options: ModelOptions, _ cancel: OpaquePointer, _ context: Context,
        _ call: (OpaquePointer, inout satchel_model_options, inout OpaquePointer?, Scratch) throws
            -> Void
    ) throws -> Handle {
        let scratch = Scratch()
        var raw = try options.raw(scratch, cancel)
        var made: OpaquePointer?
        try withExtendedLifetime(scratch) {
            try context.handle.use { try call($0, &raw, &made, scratch) }
        }
        return Model.handle(made!)
    }

    static func handle(_ made: OpaquePointer) -> Handle {
        Handle(made, "the model") { satchel_model_close($0) }
    }

    /// Closes it: calls that are inside end first; stores and streams that use it go on. Never waits.
    /// Optional: a model that is let go of closes itself.
    public func close() { handle.close() }

    /// Closes it, and returns when the library has let go of it.
    public func closeAndWait() async { await handle.closeAndWait() }

    // MARK: What it does

    /// Vectors of length 1, one for each text.
    public func embed(_ texts: [String], role: EmbeddingRole = .document) async throws -> [[Float]] {
        let dimension = info.dimension
        return try await call { model, cancel in
            let scratch = Scratch()
            let given = texts.map { scratch.text($0) }
            var rows = [Float](repeating: 0, count: texts.count * dimension)
            try withExtendedLifetime(scratch) {
                try check {
                    satchel_model_embed(model, role.rawValue, given, given.count, &rows, cancel, $0)
                }
            }
            return split(rows, dimension)
        }
    }

    /// The vector of one text.
    public func embed(_ text: String, role: EmbeddingRole = .document) async throws -> [Float] {
        try await embed([text], role: role)[0]
    }

    /// Token ids of a text, special tokens included, without truncation.
    public func tokenize(_ text: String) async throws -> [Int32] {
        try await call { model, _ in
            var ids: [Int32] = []
            while true {
                var count = 0
                try withText(text) { bytes, length in
                    try check {
                        satchel_model_tokenize(model, bytes, length, &ids, ids.count, &count, $0)
                    }
                }
                if count <= ids.count { return Array(ids.prefix(count)) }
                ids = [Int32](repeating: 0, count: count)
            }
        }
    }

    /// The vocabulary's piece for a token id, as the file spells it; `nil` if there is none.
    public func piece(of token: Int32) -> String? {
        let found = handle.useIfOpen { satchel_model_token($0, token).map { String(cString: $0) } }
        return found ?? nil
    }
}

extension Optional where Wrapped == Model {
    /// Runs a call with the model in use, or with nil where there is none.
    func use(_ body: (OpaquePointer?) throws -> Void) throws {
        if let self { try self.handle.use { try body($0) } } else { try body(nil) }
    }
}
