// Text from a language model: from a prompt, or as the next message of a conversation.
import CSatchel
import Foundation

/// What happens when prompt and answer fill a generator's context.
public struct Overflow: OpenConstant {
    /// The library's `SATCHEL_OVERFLOW_*`.
    public let rawValue: Int32
    /// Wraps a constant of the library.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// The answer ends, or does not begin where there is no room for it.
    public static let error = Self(SATCHEL_OVERFLOW_ERROR)
    /// The answer goes on; what stands farthest back is forgotten.
    public static let shift = Self(SATCHEL_OVERFLOW_SHIFT)

    /// `error` or `shift`.
    public var description: String { name([.error: "error", .shift: "shift"]) }
}

/// How a text is generated. What is left `nil` is the library's default.
public struct GenerateOptions: Sendable {
    /// Tokens of the answer at most; -1: as many as fit.
    public var maxTokens: Int?
    /// Read special tokens spelled in a prompt as such. Messages of a chat are text always.
    public var trustPrompt = false
    /// How far from the likeliest token to go.
    public var temperature: Float?
    /// Only so many of the likeliest tokens.
    public var topK: Int?
    /// Only the likeliest that together reach this share.
    public var topP: Float?
    /// Only those at least this times as likely as the likeliest.
    public var minP: Float?
    /// Only those nearest to the entropy that reach this share.
    public var typicalP: Float?
    /// Divides the weight of what was said.
    public var repetition: Float?
    /// Taken off for each time a token was said.
    public var frequency: Float?
    /// Taken off once for a token that was said.
    public var presence: Float?
    /// Tokens back that penalties see; -1: all.
    public var penaltyWindow: Int?
    /// Same seed, prompt, build and machine, same text.
    public var seed: UInt64?
    /// Added to the logits of tokens, by id; minus infinity: never.
    public var biases: [Int32: Float] = [:]
    /// The text ends before the first of these that comes.
    public var stop: [String] = []
    /// A JSON Schema that the text must validate against.
    public var schema: String?
    /// A grammar in GBNF that the text must match.
    public var grammar: String?
    /// What happens when the context is full.
    public var overflow: Overflow?
    /// Neither read nor write the context's cache folder.
    public var noSavedKV = false

    /// All defaults.
    public init(maxTokens: Int? = nil, temperature: Float? = nil, seed: UInt64? = nil) {
        self.maxTokens = maxTokens
        self.temperature = temperature
        self.seed = seed
    }

    func raw(_ scratch: Scratch, _ cancel: OpaquePointer) throws -> satchel_generate_options {
        var raw = defaults(satchel_generate_options_init)
        raw.max_tokens = try orDefault(maxTokens, "maxTokens")
        raw.trust_prompt = flag(trustPrompt)
        raw.temperature = orDefault(temperature)
        raw.top_k = try orDefault(topK, "topK")
        raw.top_p = orDefault(topP)
        raw.min_p = orDefault(minP)
        raw.typical_p = orDefault(typicalP)
        raw.repetition = orDefault(repetition)
        raw.frequency = orDefault(frequency)
        raw.presence = orDefault(presence)
        raw.penalty_window = try orDefault(penaltyWindow, "penaltyWindow")
        raw.seed = seed ?? 0
        let sorted = biases.sorted { $0.key < $1.key }
        raw.bias_tokens = scratch.array(sorted.map(\.key))
        raw.biases = scratch.array(sorted.map(\.value))
        raw.bias_count = sorted.count
        raw.stop = try scratch.strings(stop, "a stop string")
        raw.stop_count = stop.count
        raw.schema = try scratch.maybe(schema, "the schema")
        raw.grammar = try scratch.maybe(grammar, "the grammar")
        raw.overflow = overflow?.rawValue ?? 0
        raw.no_saved_kv = flag(noSavedKV)
        raw.cancel = cancel
        return raw
    }

    /// What a generator of the app is asked for.
    init(_ raw: satchel_generate_options) {
        maxTokens = known(raw.max_tokens, not: 0)
        trustPrompt = raw.trust_prompt != 0
        temperature = given(raw.temperature)
        topK = known(raw.top_k, not: 0)
        topP = given(raw.top_p)
        minP = given(raw.min_p)
        typicalP = given(raw.typical_p)
        repetition = given(raw.repetition)
        frequency = given(raw.frequency)
        presence = given(raw.presence)
        penaltyWindow = known(raw.penalty_window, not: 0)
        seed = raw.seed == 0 ? nil : raw.seed
        if let tokens = raw.bias_tokens, let values = raw.biases {
            for index in 0..<raw.bias_count { biases[tokens[index]] = values[index] }
        }
        if let texts = raw.stop { stop = (0..<raw.stop_count).map { swift(texts[$0]) } }
        schema = raw.schema.map { swift($0) }
        grammar = raw.grammar.map { swift($0) }
        overflow = raw.overflow == 0 ? nil : Overflow(rawValue: raw.overflow)
        noSavedKV = raw.no_saved_kv != 0
    }
}

/// How the next message of a conversation is made. What is left `nil` is the library's default.
public struct ChatOptions: Sendable {
    /// How it is generated.
    public var generate = GenerateOptions()
    /// A JSON array of tools for the model's template.
    public var tools: String?
    /// A JSON object for the model's template: `{"enable_thinking": false}`.
    public var variables: String?
    /// The last message is the assistant's, and is gone on with.
    public var continueAnswer = false

    /// All defaults.
    public init(generate: GenerateOptions = GenerateOptions()) { self.generate = generate }
}

extension Model {
    /// The text that follows a prompt.
    public func generate(
        _ prompt: String, options: GenerateOptions = GenerateOptions()
    ) -> GenerationStream {
        GenerationStream(of: self, read: { GenerationEvent.read($0) }) { model, scratch, cancel in
            let raw = scratch.value(try options.raw(scratch, cancel))
            var stream: OpaquePointer?
            try withText(prompt) { text, length in
                try check { satchel_generate(&stream, model, text, length, raw, $0) }
            }
            return stream
        }
    }

    /// The next message of a conversation. Give the whole conversation each time: what the model has read
    /// of it before is not computed again.
    public func chat(
        _ messages: [ChatMessage], options: ChatOptions = ChatOptions()
    ) -> GenerationStream {
        chat(json: Result { try JSON.text(messages) }, options)
    }

    /// As ``chat(_:options:)``, with messages in JSON as the model's template wants them: for tools and
    /// what else a template knows.
    public func chat(json: String, options: ChatOptions = ChatOptions()) -> GenerationStream {
        chat(json: .success(json), options)
    }

    private func chat(
        json: Result<String, any Error>, _ options: ChatOptions
    ) -> GenerationStream {
        GenerationStream(of: self, read: { GenerationEvent.read($0) }) { model, scratch, cancel in
            var raw = defaults(satchel_chat_options_init)
            raw.generate = scratch.value(try options.generate.raw(scratch, cancel))
            raw.tools = try scratch.maybe(options.tools, "the tools")
            raw.variables = try scratch.maybe(options.variables, "the variables")
            raw.continue_answer = flag(options.continueAnswer)
            let held = scratch.value(raw)
            var stream: OpaquePointer?
            try withText(try json.get()) { text, length in
                try check { satchel_chat(&stream, model, text, length, held, $0) }
            }
            return stream
        }
    }
}

// MARK: - Looking at a generator

/// What opening a model would take.
public struct ModelNeed: Sendable, Hashable {
    /// What it does.
    public let kind: ModelKind
    /// Room for prompt and answer that it would have.
    public let contextTokens: Int
    /// Size of the file, or of all its parts.
    public let fileBytes: UInt64
    /// Of that, read for one token.
    public let weightBytes: UInt64
    /// Held beside the file, with one context full.
    public let memoryBytes: UInt64
    /// Of that, for keys and values.
    public let kvBytes: UInt64
}

/// How well a generator foresees a text.
public struct Perplexity: Sendable, Hashable {
    /// Tokens that were scored.
    public let tokens: Int
    /// e to the `nll`.
    public let perplexity: Double
    /// Mean negative log likelihood of a token, in nats.
    public let nll: Double
    /// The same for a byte of text, in bits.
    public let bitsPerByte: Double
    /// What it took.
    public let elapsedMilliseconds: Int
}

extension Model {
    /// What opening a file would take, before it is opened.
    public static func measure(
        path: String, options: ModelOptions = ModelOptions(), context: Context? = nil
    ) async throws -> ModelNeed {
        let context = try context ?? Context.shared()
        return try await cancellable(context.handle) { cancel in
            let scratch = Scratch()
            var raw = try options.raw(scratch, cancel)
            let file = try scratch.string(path, "the path")
            let need = try withExtendedLifetime(scratch) {
                try context.handle.use { owner in
                    try filled { satchel_model_measure(owner, file, $0, $1, &raw, $2) }
                }
            }
            return ModelNeed(
                kind: ModelKind(rawValue: need.kind), contextTokens: Int(need.context_tokens),
                fileBytes: need.file_bytes, weightBytes: need.weight_bytes,
                memoryBytes: need.memory_bytes, kvBytes: need.kv_bytes)
        }
    }

    /// The text of token ids.
    ///
    /// - Parameters:
    ///   - tokens: Of the model's vocabulary.
    ///   - special: Spell special tokens instead of leaving them out.
    public func detokenize(_ tokens: [Int32], special: Bool = false) async throws -> String {
        try await call { model, _ in
            var bytes: [CChar] = []
            while true {
                var length = 0
                try check {
                    satchel_model_detokenize(
                        model, tokens, tokens.count, flag(special), &bytes, bytes.count, &length,
                        $0)
                }
                if length <= bytes.count {
                    return bytes.withUnsafeBytes {
                        String(decoding: $0.prefix(length), as: UTF8.self)
                    }
                }
                bytes = [CChar](repeating: 0, count: length)
            }
        }
    }

    /// For each token, how the model weighs every token of its vocabulary as the next:
    /// (tokens, vocabulary).
    public func logits(_ tokens: [Int32]) async throws -> [[Float]] {
        let width = info.vocabularySize
        return try await call { model, cancel in
            var rows = [Float](repeating: 0, count: tokens.count * width)
            try check {
                satchel_model_logits(model, tokens, tokens.count, &rows, cancel, $0)
            }
            return split(rows, width)
        }
    }

    /// How well the model foresees a text.
    public func perplexity(
        of text: String, progress: (@Sendable (WorkProgress) -> Void)? = nil
    ) async throws -> Perplexity {
        try await call { model, cancel in
            let scratch = Scratch()
            let target = progress.map { scratch.object(ProgressTarget($0)) }
            let raw = try withExtendedLifetime(scratch) {
                try withText(text) { text, length in
                    try filled {
                        satchel_model_perplexity(
                            model, text, length, $0, $1, ProgressTarget.function, target, cancel, $2)
                    }
                }
            }
            return Perplexity(
                tokens: Int(raw.tokens), perplexity: raw.perplexity, nll: raw.nll,
                bitsPerByte: raw.bits_per_byte, elapsedMilliseconds: Int(raw.elapsed_ms))
        }
    }
}
