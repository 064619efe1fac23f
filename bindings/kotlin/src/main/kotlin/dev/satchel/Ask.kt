package dev.satchel

import dev.satchel.internal.Handle
import dev.satchel.internal.Native
import dev.satchel.internal.Reply
import dev.satchel.internal.Request
import dev.satchel.internal.Work
import dev.satchel.internal.answerEvents
import dev.satchel.internal.coded
import dev.satchel.internal.readMessages
import dev.satchel.internal.results
import dev.satchel.internal.writeMessages
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow

/** How a search is done. What is null is left to the library. */
public class SearchOptions {
    public var mode: SearchMode? = null

    /** Hits wanted. */
    public var limit: Int? = null

    public var filter: Filter? = null
}

/** How a question is answered. What is null is left to the library. */
public class AskOptions {
    public var mode: AnswerMode? = null
    public var searchMode: SearchMode? = null

    /** Passages looked at. */
    public var passages: Int? = null

    /** Extractive: sentences quoted at most. */
    public var maxSentences: Int? = null

    public var filter: Filter? = null

    /** Evidence below this confidence is refused; negative: never. */
    public var refusalThreshold: Float? = null

    /** A language model that answers in its own words. */
    public var generator: Model? = null

    /** How it does. */
    public var generate: GenerateOptions? = null

    /** Earlier messages, oldest first. */
    public var history: List<ChatMessage> = emptyList()

    /** JSON, see docs/prompts.md. */
    public var prompt: String? = null

    /** Tokens of the prompt at most. */
    public var contextTokens: Int? = null

    @JvmSynthetic
    internal fun write(to: Request, generator: Long, cancel: Long): Request {
        to.int(mode?.code).int(searchMode?.code).int(passages).int(maxSentences).text(filter?.json)
            .float(refusalThreshold).long(generator)
            .text(if (history.isEmpty()) null else writeMessages(history)).text(prompt)
            .int(contextTokens).long(cancel).flag(generate != null)
        return generate?.write(to) ?: to
    }

    /** Runs [work] with the generator's C object, or 0. */
    @JvmSynthetic
    internal inline fun <T> withGenerator(work: (Long) -> T): T {
        val model = generator ?: return work(0)
        return model.handle.use { work(it) }
    }
}

/** A passage that the messages of a [PreparedQuestion] show. */
public class Passage internal constructor(
    /** Index into the results. */
    public val hit: Int,
    /** Of the document's text: what the messages show of it. */
    public val range: TextRange,
)

/**
 * A question for a model that the app runs itself: have [messages] answered, and give what comes back to
 * [events] or [resolve], which find the citations in it. For one thread at a time.
 */
public class PreparedQuestion internal constructor(private val context: Context, reply: Reply) : AutoCloseable {
    private val handle = Handle(context, reply.long(), "the prepared question", Native::preparedClose)

    /** The messages as JSON. */
    public val messagesJson: String = reply.string()

    /** Counted or estimated. */
    public val promptTokens: Long = reply.long()

    /** Why [Store.ask] would refuse; null: it would not. */
    public val refused: Reason? = coded(reply.int(), Reason.UNKNOWN).takeIf { it != Reason.NONE }

    /** 0 to 1. */
    public val confidence: Float = reply.float()

    /** The search that served. */
    public val searchMode: SearchMode = coded(reply.int(), SearchMode.UNKNOWN)

    /** The passages found, also those that did not fit. */
    public val results: SearchResults = reply.results()

    /** Those in the messages, which number them from 1. */
    public val passages: List<Passage> = reply.list { Passage(reply.long().toInt(), reply.range()) }

    /** What the model is to answer. */
    public val messages: List<ChatMessage> get() = readMessages(messagesJson)

    /**
     * The events that are new: [text] is what the model has said so far, all of it each time. When it is
     * [final], what was held back comes too. The last event is [AnswerDone] each time.
     */
    @JvmOverloads
    public fun resolve(text: String, final: Boolean = false): List<AnswerEvent> =
        EventStream(context, null, answerEvents) {
            handle.use { Request().long(it).text(text).flag(final).send(Native::preparedResolve).long() }
        }.use { it.toList() }

    /** The events of an answer that comes in pieces. */
    public fun events(pieces: Flow<String>): Flow<AnswerEvent> = flow {
        val text = StringBuilder()
        pieces.collect { piece ->
            text.append(piece)
            // Half a character is whole with the next piece.
            val whole = if (text.isNotEmpty() && text.last().isHighSurrogate()) text.length - 1 else text.length
            val said = text.substring(0, whole)
            Work.run { resolve(said) }.forEach { if (it !is AnswerDone) emit(it) }
        }
        Work.run { resolve(text.toString(), true) }.forEach { emit(it) }
    }

    override fun close(): Unit = handle.close()
}
