package dev.satchel

import dev.satchel.internal.Request

/** How text is generated. What is null is left to the library. */
public class GenerateOptions {
    /** Tokens of the answer at most; -1: as many as fit. */
    public var maxTokens: Int? = null

    /** Whether special tokens spelled in a prompt of [Model.generate] are read as such. */
    public var trustPrompt: Boolean = false

    /** 0 takes the likeliest token each time. */
    public var temperature: Float? = null

    /** Only the k likeliest. */
    public var topK: Int? = null

    /** The likeliest that together reach this share. */
    public var topP: Float? = null

    /** Those at least this times as likely as the likeliest. */
    public var minP: Float? = null

    /** Those nearest to the entropy that reach this share. */
    public var typicalP: Float? = null

    /** Divides the weight of what was said. */
    public var repetition: Float? = null

    /** Taken off for each time a token was said. */
    public var frequency: Float? = null

    /** Taken off once. */
    public var presence: Float? = null

    /** Tokens back that penalties see; -1: all. */
    public var penaltyWindow: Int? = null

    /** The same seed gives the same text. */
    public var seed: Long? = null

    /** Added to the logits of tokens; negative infinity: never. */
    public var biases: Map<Int, Float> = emptyMap()

    /** The answer ends before the first of these strings. */
    public var stop: List<String> = emptyList()

    /** JSON Schema that the answer must validate against; see docs/generate.md. */
    public var schema: String? = null

    /** Or a grammar in GBNF that it must match. */
    public var grammar: String? = null

    /** What to do when the context is full. */
    public var overflow: Overflow? = null

    /** Neither read nor write the context's cache folder. */
    public var noSavedKV: Boolean = false

    @JvmSynthetic
    internal fun write(to: Request): Request {
        val biased = biases.entries.toList()
        return to.int(maxTokens).flag(trustPrompt).float(temperature).int(topK).float(topP)
            .float(minP).float(typicalP).float(repetition).float(frequency).float(presence)
            .int(penaltyWindow).long(seed).ints(IntArray(biased.size) { biased[it].key })
            .floats(FloatArray(biased.size) { biased[it].value }).texts(stop).text(schema)
            .text(grammar).int(overflow?.code).flag(noSavedKV)
    }
}

/** How a conversation is answered. */
public class ChatOptions {
    public var generate: GenerateOptions = GenerateOptions()

    /** JSON array for the model's template. */
    public var tools: String? = null

    /** JSON object for the model's template: {"enable_thinking": false}. */
    public var variables: String? = null

    /** Whether the last message is the assistant's, and is gone on with. */
    public var continueAnswer: Boolean = false
}

/** How well a generator foresees a text. */
public class Perplexity internal constructor(
    /** Scored: all but the first. */
    public val tokens: Long,
    /** Mean of -ln p over them, in nats. */
    public val nll: Double,
    public val perplexity: Double,
    public val bitsPerByte: Double,
    public val elapsedMillis: Long,
)
