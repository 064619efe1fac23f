package dev.satchel

import dev.satchel.internal.Handle
import dev.satchel.internal.Native
import dev.satchel.internal.ProgressCallback
import dev.satchel.internal.Reply
import dev.satchel.internal.Request
import dev.satchel.internal.Work
import dev.satchel.internal.cancellable
import dev.satchel.internal.coded
import dev.satchel.internal.generationEvents
import dev.satchel.internal.writeMessages
import kotlinx.coroutines.flow.Flow

/** Is told how far long work is, on the thread that does it. Throwing ends the work. */
public fun interface ProgressListener {
    /** Called now and then. */
    public fun onProgress(progress: Progress)
}

/** A LoRA adapter in GGUF, and how strongly it counts. */
public class Adapter @JvmOverloads constructor(public val path: String, public val scale: Float? = null)

/** How a model is opened. What is null is as the file says, or left to the library. */
public class ModelOptions {
    /** Embedders: what stands before a query. */
    public var queryPrefix: String? = null

    /** Embedders: what stands before a document. */
    public var documentPrefix: String? = null

    /** Embedders: how one vector is made of many. */
    public var pooling: Pooling? = null

    /** Embedders: the longest text, in tokens. */
    public var maxTokens: Int? = null

    /** Embedders: values of a vector, its first so many. */
    public var dimension: Int? = null

    /** Generators: room for prompt and answer. */
    public var contextTokens: Int? = null

    /** Generators: how keys and values are held. */
    public var kvType: KVType? = null

    /** Generators: LoRA adapters. */
    public var adapters: List<Adapter> = emptyList()

    /** Generators: Jinja, instead of the file's own. */
    public var chatTemplate: String? = null

    /** Whether all weights are read now, so that the first answer does not wait for storage. */
    public var warm: Boolean = false

    /** Is told how far [warm] is. */
    public var progress: ProgressListener? = null

    @JvmSynthetic
    internal fun write(to: Request, cancel: Long): Request {
        // Without a scale the library's own counts, which it gives where no array stands.
        val scales = if (adapters.all { it.scale == null }) {
            FloatArray(0)
        } else {
            FloatArray(adapters.size) {
                requireNotNull(adapters[it].scale) { "give a scale to all adapters, or to none" }
            }
        }
        return to.text(queryPrefix).text(documentPrefix).int(pooling?.code).int(maxTokens)
            .int(contextTokens).int(kvType?.code).texts(adapters.map { it.path }).floats(scales)
            .text(chatTemplate).flag(warm).int(dimension).long(cancel)
    }
}

/** What a model says of itself. */
public class ModelInfo internal constructor(reply: Reply) {
    /** From the file; may be "". */
    public val name: String = reply.string()

    /** "bert", "qwen3"; "custom" for one of the app's. */
    public val architecture: String = reply.string()

    /** Names what it makes. */
    public val fingerprint: String = reply.string()

    /** "Q8_0"; "" if unknown. */
    public val weightType: String = reply.string()

    /** Of an embedder's vectors. */
    public val dimension: Int = reply.int()

    /** Longest text of an embedder; [contextTokens] of a generator. */
    public val maxTokens: Int = reply.int()

    /** 0 if unknown, as the numbers below. */
    public val vocabularySize: Long = reply.long()
    public val parameterCount: Long = reply.long()
    public val fileBytes: Long = reply.long()
    public val kind: ModelKind = coded(reply.int(), ModelKind.UNKNOWN)

    /** Of a generator: room for prompt and answer, as opened. */
    public val contextTokens: Int = reply.int()

    /** Of a generator: tokens it was trained for. */
    public val trainedContext: Int = reply.int()

    /** Of a generator. */
    public val layers: Int = reply.int()

    /** Whether [Model.chat] can serve. */
    public val hasChatTemplate: Boolean = reply.flag()

    /** Of a generator: read for one token, from the mapped file. */
    public val weightBytes: Long = reply.long()

    /** Of a generator: held beside the file, with one context full. */
    public val memoryBytes: Long = reply.long()

    /** Of that, for each token of the context. */
    public val kvBytesPerToken: Long = reply.long()
}

/** What opening a file would take. */
public class ModelNeed internal constructor(reply: Reply) {
    public val kind: ModelKind = coded(reply.int(), ModelKind.UNKNOWN)

    /** It would have; 0 for an embedder. */
    public val contextTokens: Int = reply.int()
    public val fileBytes: Long = reply.long()

    /** Of that, read for one token; mapped, so the system may drop it again. */
    public val weightBytes: Long = reply.long()

    /** Held beside the file, with one context full. */
    public val memoryBytes: Long = reply.long()

    /** Of that, for keys and values. */
    public val kvBytes: Long = reply.long()
}

/**
 * An embedder or a generator: from a GGUF file, or of the app's own. It may be used from many threads.
 * Stores and streams that use it keep it alive: it may be closed before them.
 */
public class Model internal constructor(
    /** What it was opened on. */
    public val context: Context,
    pointer: Long,
) : AutoCloseable {
    @get:JvmSynthetic
    internal val handle = Handle(context, pointer, "the model", Native::modelClose)

    /** What it says of itself. */
    public val info: ModelInfo
        get() = handle.use { ModelInfo(Request(8).long(it).send(Native::modelInfo)) }

    /** Vectors of length 1, one for each text. */
    public suspend fun embed(texts: List<String>, role: Role = Role.DOCUMENT): List<FloatArray> =
        Work.run { embedBlocking(texts, role, it) }

    /** As [embed], blocking. */
    @JvmOverloads
    public fun embedBlocking(
        texts: List<String>,
        role: Role = Role.DOCUMENT,
        signal: CancelSignal? = null,
    ): List<FloatArray> = handle.cancellable(signal) { model, cancel ->
        val reply = Request().long(model).long(cancel).int(role.code).texts(texts).send(Native::modelEmbed)
        reply.rows(reply.int())
    }

    /** Token ids of a text, without truncation. */
    public fun tokenize(text: String): IntArray =
        handle.use { Request().long(it).text(text).send(Native::modelTokenize).ints() }

    /** The vocabulary's piece for a token id, as the file spells it; null if there is none. */
    public fun token(token: Int): String? =
        handle.use { Request(16).long(it).int(token).send(Native::modelToken).text() }

    /** The text of tokens. Special tokens are left out, or spelled if [special] is set. */
    @JvmOverloads
    public fun detokenize(tokens: IntArray, special: Boolean = false): String =
        handle.use { Request().long(it).flag(special).ints(tokens).send(Native::modelDetokenize).string() }

    /** Scores of all tokens of the vocabulary, behind each of the tokens given. */
    public suspend fun logits(tokens: IntArray): List<FloatArray> = Work.run { logitsBlocking(tokens, it) }

    /** As [logits], blocking. */
    @JvmOverloads
    public fun logitsBlocking(tokens: IntArray, signal: CancelSignal? = null): List<FloatArray> =
        handle.cancellable(signal) { model, cancel ->
            val reply = Request().long(model).long(cancel).ints(tokens).send(Native::modelLogits)
            reply.rows(reply.int())
        }

    /** How well a generator foresees a text. */
    public suspend fun perplexity(text: String, progress: ProgressListener? = null): Perplexity =
        Work.run { perplexityBlocking(text, progress, it) }

    /** As [perplexity], blocking. */
    @JvmOverloads
    public fun perplexityBlocking(
        text: String,
        progress: ProgressListener? = null,
        signal: CancelSignal? = null,
    ): Perplexity = handle.cancellable(signal) { model, cancel ->
        val reply = Request().long(model).long(cancel).text(text)
            .send(Native::modelPerplexity, callback = progress?.let(::ProgressCallback))
        Perplexity(reply.long(), reply.double(), reply.double(), reply.double(), reply.long())
    }

    /** Goes on with a prompt. */
    public fun generate(prompt: String, options: GenerateOptions = GenerateOptions()): Flow<GenerationEvent> =
        Work.flow { generateBlocking(prompt, options, it) }

    /** As [generate], blocking. */
    @JvmOverloads
    public fun generateBlocking(
        prompt: String,
        options: GenerateOptions = GenerateOptions(),
        signal: CancelSignal? = null,
    ): EventStream<GenerationEvent> = EventStream(context, signal, generationEvents) { cancel ->
        handle.use {
            options.write(Request().long(it).long(cancel).text(prompt)).send(Native::generate).long()
        }
    }

    /** Answers a conversation: give all of it each time. */
    public fun chat(messages: List<ChatMessage>, options: ChatOptions = ChatOptions()): Flow<GenerationEvent> =
        Work.flow { chatBlocking(messages, options, it) }

    /** As [chat], blocking. */
    @JvmOverloads
    public fun chatBlocking(
        messages: List<ChatMessage>,
        options: ChatOptions = ChatOptions(),
        signal: CancelSignal? = null,
    ): EventStream<GenerationEvent> = chatJsonBlocking(writeMessages(messages), options, signal)

    /** As [chat], blocking, of messages in JSON: what else the model's template knows may stand in them. */
    @JvmOverloads
    public fun chatJsonBlocking(
        messages: String,
        options: ChatOptions = ChatOptions(),
        signal: CancelSignal? = null,
    ): EventStream<GenerationEvent> = EventStream(context, signal, generationEvents) { cancel ->
        handle.use {
            val request = Request().long(it).long(cancel).text(messages).text(options.tools)
                .text(options.variables).flag(options.continueAnswer)
            options.generate.write(request).send(Native::chat).long()
        }
    }

    /** Cancels calls on the model and waits for them. Stores and streams that use it go on. */
    override fun close(): Unit = handle.close()

    /** Opens models. */
    public companion object {
        /** Opens a GGUF file by mapping it, which returns at once. */
        public suspend fun open(
            path: String,
            options: ModelOptions = ModelOptions(),
            context: Context = Context.shared(),
        ): Model = Work.open { openBlocking(path, options, context, it) }

        /** As [open], blocking. */
        @JvmStatic
        @JvmOverloads
        public fun openBlocking(
            path: String,
            options: ModelOptions = ModelOptions(),
            context: Context = Context.shared(),
            signal: CancelSignal? = null,
        ): Model = opened(path, -1, 0, 0, options, context, signal)

        /**
         * Opens [length] bytes at [offset] of an open descriptor; 0: to the end. The caller keeps the
         * descriptor: of an Android asset, of the Storage Access Framework.
         */
        public suspend fun open(
            fileDescriptor: Int,
            offset: Long = 0,
            length: Long = 0,
            options: ModelOptions = ModelOptions(),
            context: Context = Context.shared(),
        ): Model = Work.open { opened(null, fileDescriptor, offset, length, options, context, it) }

        /** As [open] from a descriptor, blocking. */
        @JvmStatic
        @JvmOverloads
        public fun openBlocking(
            fileDescriptor: Int,
            offset: Long = 0,
            length: Long = 0,
            options: ModelOptions = ModelOptions(),
            context: Context = Context.shared(),
            signal: CancelSignal? = null,
        ): Model = opened(null, fileDescriptor, offset, length, options, context, signal)

        private fun opened(
            path: String?,
            descriptor: Int,
            offset: Long,
            length: Long,
            options: ModelOptions,
            context: Context,
            signal: CancelSignal?,
        ): Model = context.cancellable(signal) { pointer, cancel ->
            val request = Request().long(pointer).text(path).int(descriptor).long(offset).long(length)
            val callback = options.progress?.let(::ProgressCallback)
            Model(context, options.write(request, cancel).send(Native::modelOpen, callback = callback).long())
        }

        /** A model from the app's own embedder. */
        @JvmStatic
        @JvmOverloads
        public fun of(embedder: Embedder, context: Context = Context.shared()): Model = context.use {
            val request = Request().long(it).text(embedder.id).int(embedder.dimension)
                .int(embedder.maxTokens).flag(embedder.countsTokens).flag(embedder.knowsCoverage)
            Model(context, request.send(Native::modelFromEmbedder, callback = EmbedderCallback(embedder)).long())
        }

        /** A model from the app's own generator. */
        @JvmStatic
        @JvmOverloads
        public fun of(generator: Generator, context: Context = Context.shared()): Model = context.use {
            val request = Request().long(it).text(generator.id).int(generator.contextTokens)
                .flag(generator.countsTokens)
            Model(context, request.send(Native::modelFromGenerator, callback = GeneratorCallback(generator)).long())
        }

        /** What a file would take, known without reading weights. */
        @JvmStatic
        @JvmOverloads
        public fun measure(
            path: String,
            options: ModelOptions = ModelOptions(),
            context: Context = Context.shared(),
        ): ModelNeed = context.use {
            ModelNeed(options.write(Request().long(it).text(path), 0).send(Native::modelMeasure))
        }
    }
}
