package dev.satchel

import dev.satchel.internal.Callback
import dev.satchel.internal.GivenCancel
import dev.satchel.internal.Reply
import dev.satchel.internal.Request
import dev.satchel.internal.readMessages
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.async
import kotlinx.coroutines.cancel
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.channels.ChannelResult
import kotlinx.coroutines.channels.ReceiveChannel
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.asFlow
import kotlinx.coroutines.flow.buffer
import kotlinx.coroutines.flow.produceIn
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeoutOrNull
import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.atomic.AtomicInteger

/** A message of a conversation. */
public class ChatMessage(
    /** "system", "user" or "assistant". */
    public val role: String,
    public val content: String,
) {
    override fun toString(): String = "$role: $content"
}

/** What a [Generator] is asked for. What it cannot honour it ignores; the library finds stop strings. */
public class GeneratorRequest internal constructor(
    public val messages: List<ChatMessage>,
    /** Of the answer; null: as many as fit. */
    public val maxTokens: Int?,
    /** Whether the last message is the assistant's, and is gone on with. */
    public val continuesAnswer: Boolean,
    public val temperature: Float,
    public val seed: Long,
    /** 0: all. */
    public val topK: Int,
    /** 0: all. */
    public val topP: Float,
    /** 0: all. */
    public val minP: Float,
    /** 0: all. */
    public val typicalP: Float,
    /** 0: off. */
    public val repetition: Float,
    public val frequency: Float,
    public val presence: Float,
    /** 0: the generator's own; -1: all. */
    public val penaltyWindow: Int,
    /** Added to the logits of tokens. */
    public val biases: Map<Int, Float>,
    public val schema: String?,
    public val grammar: String?,
    public val stop: List<String>,
)

/**
 * A language model of the app's own: a platform's, another runtime's, a server on the device. The flow is
 * collected on [Dispatchers.Default]; it is cancelled when the answer is.
 */
public interface Generator {
    /** Names model and settings. */
    public val id: String

    /** Room for prompt and answer; at least 256. */
    public val contextTokens: Int

    /** Whether [countTokens] is there; else the library estimates. */
    public val countsTokens: Boolean get() = false

    /** Tokens of a text. */
    public fun countTokens(text: String): Int = 0

    /** The answer, piece by piece. */
    public fun generate(request: GeneratorRequest): Flow<String>
}

/** A [Generator] for Java: an iterator whose `next` may block. */
public abstract class BlockingGenerator : Generator {
    /** The answer, piece by piece. */
    public abstract fun pieces(request: GeneratorRequest): Iterator<String>

    final override fun generate(request: GeneratorRequest): Flow<String> =
        Iterable { pieces(request) }.asFlow()
}

internal class GeneratorCallback(private val generator: Generator) : Callback() {
    private class Run(val scope: CoroutineScope, val pieces: ReceiveChannel<String>, val cancel: GivenCancel)

    private val numbers = AtomicInteger()
    private val runs = ConcurrentHashMap<Int, Run>()

    override fun answer(operation: Int, asked: Reply, reply: Request) {
        when (operation) {
            COUNT_TOKENS -> reply.long(generator.countTokens(asked.string()).toLong())
            BEGIN -> reply.int(begin(asked))
            NEXT -> next(runs.getValue(asked.int()))?.let { reply.raw(it.toByteArray(Charsets.UTF_8)) }
            END -> runs.remove(asked.int())?.scope?.cancel()
        }
    }

    private fun begin(asked: Reply): Int {
        val messages = readMessages(asked.string())
        val maxTokens = asked.int().takeIf { it > 0 }
        val continues = asked.flag()
        val cancel = GivenCancel(asked.long())
        // Arguments are evaluated in the order in which they stand, which is that of the request.
        val request = GeneratorRequest(
            messages, maxTokens, continues, asked.float(), asked.long(), asked.int(), asked.float(), asked.float(),
            asked.float(), asked.float(), asked.float(), asked.float(), asked.int(),
            asked.list { asked.int() to asked.float() }.toMap(), asked.text(), asked.text(),
            asked.list { asked.string() },
        )
        val scope = CoroutineScope(Dispatchers.Default + Job())
        val pieces = generator.generate(request).buffer(Channel.BUFFERED).produceIn(scope)
        val number = numbers.incrementAndGet()
        runs[number] = Run(scope, pieces, cancel)
        return number
    }

    /** The next piece that says anything; null at the end. */
    private fun next(run: Run): String? {
        while (true) {
            val ready = run.pieces.tryReceive()
            val got = when {
                ready.isSuccess || ready.isClosed -> ready
                else -> wait(run)
            }
            got.exceptionOrNull()?.let { throw it }
            val piece = got.getOrNull() ?: return null
            if (piece.isNotEmpty()) return piece
        }
    }

    /**
     * Waits for a piece, and looks now and then whether the answer was cancelled: C has no other way to say
     * so. What waits for the piece is not what the time limit ends, or a piece that comes just then is lost.
     */
    private fun wait(run: Run): ChannelResult<String> = runBlocking {
        val piece = async(start = CoroutineStart.UNDISPATCHED) { run.pieces.receiveCatching() }
        while (withTimeoutOrNull(POLL_MILLIS) { piece.join() } == null) {
            if (run.cancel.isFired) throw CancelledException("the answer was cancelled")
        }
        piece.await()
    }

    private companion object {
        const val POLL_MILLIS = 10L
    }
}
