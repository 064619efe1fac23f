package dev.satchel

import dev.satchel.internal.Callback
import dev.satchel.internal.GivenCancel
import dev.satchel.internal.Reply
import dev.satchel.internal.Request

/**
 * An embedder of the app's own: a platform's, another runtime's. Its methods are called one at a time, on
 * the thread that is inside a call of Satchel, which is never the main thread unless the app
 * blocks it. They must not call the store or model that waits for them.
 */
public interface Embedder {
    /** Names model and settings; another id means other vectors. */
    public val id: String

    /** Values of a vector. */
    public val dimension: Int

    /** Longest text it reads, in tokens; at least 16. */
    public val maxTokens: Int

    /** Whether [countTokens] is there; else the library estimates. */
    public val countsTokens: Boolean get() = false

    /** Tokens of a text without truncation. */
    public fun countTokens(text: String): Int = 0

    /** Whether [coverage] is there; else 1 is taken. */
    public val knowsCoverage: Boolean get() = false

    /** Share of the text's letters, 0 to 1, that the vocabulary knows. */
    public fun coverage(text: String): Float = 1f

    /** A vector of length 1 for each text. On long work look at [cancelled] and throw [CancelledException]. */
    public fun embed(texts: List<String>, role: Role, cancelled: () -> Boolean): List<FloatArray>
}

internal class EmbedderCallback(private val embedder: Embedder) : Callback() {
    override fun answer(operation: Int, asked: Reply, reply: Request) {
        when (operation) {
            COUNT_TOKENS -> reply.long(embedder.countTokens(asked.string()).toLong())
            COVERAGE -> reply.float(embedder.coverage(asked.string()))
            EMBED -> {
                val role = if (asked.int() == Role.QUERY.code) Role.QUERY else Role.DOCUMENT
                val cancel = GivenCancel(asked.long())
                val texts = asked.list { asked.string() }
                val vectors = embedder.embed(texts, role) { cancel.isFired }
                check(vectors.size == texts.size && vectors.all { it.size == embedder.dimension }) {
                    "embedder ${embedder.id}: expected ${texts.size} vectors of ${embedder.dimension} values"
                }
                vectors.forEach { reply.rawFloats(it) }
            }
        }
    }
}
