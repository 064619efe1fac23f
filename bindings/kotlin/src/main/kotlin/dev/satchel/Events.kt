// What streams tell. New kinds of events of a later library are passed over.
package dev.satchel

import dev.satchel.internal.metadataOf

/** An event of an answer: mode, hits, then tokens and citations, or a refusal, then done. */
public sealed interface AnswerEvent

/** An event of a text that a model generates: progress, tokens, done. */
public sealed interface GenerationEvent

/** An event of a sync: progress and files, then done. */
public sealed interface SyncEvent

/** How a question will be answered, and why so. */
public class ModeEvent internal constructor(
    public val mode: AnswerMode,
    public val reason: Reason,
    /** The search that served. */
    public val searchMode: SearchMode,
) : AnswerEvent

/** The passages found. */
public class HitsEvent internal constructor(public val results: SearchResults) : AnswerEvent

/** The next piece of a text. */
public class TokenEvent internal constructor(
    public val text: String,
    /** The id of its last token; null if there is none or it is unknown. */
    public val token: Int?,
) : AnswerEvent, GenerationEvent {
    override fun toString(): String = text
}

/** What a range of the answer rests on. */
public class CitationEvent internal constructor(
    /** Range of the answer so far. */
    public val answer: TextRange,
    public val documentId: String,
    public val title: String,
    public val heading: String,
    public val chunk: Long,
    /** Range of the document's text that is quoted or cited. */
    public val source: TextRange,
    /** Index into the results of [HitsEvent]. */
    public val hit: Int,
    /** Whether the answer's range, or all that is quoted in it, stands in the source to the letter. */
    public val isVerified: Boolean,
    /** Comparable within one answer only. */
    public val score: Float,
    /** From 1; null if unknown. */
    public val page: Int?,
    /** Milliseconds from the start of a recording; null if unknown. */
    public val timeMillis: Long?,
) : AnswerEvent

/** The documents do not support an answer. */
public class RefusalEvent internal constructor(
    public val reason: Reason,
    /** 0 to 1: how far they support the best one. */
    public val confidence: Float,
    public val threshold: Float,
) : AnswerEvent

/** How far long work is. */
public class Progress internal constructor(
    public val phase: Phase,
    /** Files, chunks, passes, steps, bytes or tokens, by the phase. */
    public val done: Long,
    /** Of these; null if unknown yet. */
    public val total: Long?,
    public val bytesDone: Long,
    public val bytesTotal: Long,
    /** In this phase. */
    public val elapsedMillis: Long,
) : AnswerEvent, GenerationEvent, SyncEvent

/** A file that a sync added, changed, removed, passed over or could not read. */
public class FileEvent internal constructor(
    public val change: FileChange,
    public val status: Status,
    /** Absolute; "" for a removal. */
    public val path: String,
    public val documentId: String,
    /** "" unless it failed or was passed over. */
    public val message: String,
    public val bytes: Long,
    public val chunks: Long,
) : SyncEvent

/** The end of an answer or a generated text. */
public class AnswerDone internal constructor(
    public val elapsedMillis: Long,
    public val hits: Long,
    /** Quoted, or citations. */
    public val sentences: Long,
    public val searchMillis: Long,
    public val answerMillis: Long,
    public val confidence: Float,
    /** Of the prompt; null where the generator does not say. */
    public val promptTokens: Long?,
    /** Of them, read earlier: nothing was computed for them. */
    public val cachedTokens: Long?,
    public val generatedTokens: Long?,
    /** Until the first token. */
    public val prefillMillis: Long,
    public val generateMillis: Long,
    public val finish: FinishReason,
) : AnswerEvent, GenerationEvent

/** The end of a sync: files by what became of them, and where the time went. */
public class SyncDone internal constructor(
    public val elapsedMillis: Long,
    public val added: Long,
    public val changed: Long,
    public val removed: Long,
    public val renamed: Long,
    public val unchanged: Long,
    public val failed: Long,
    public val skipped: Long,
    public val chunks: Long,
    public val chunksEmbedded: Long,
    public val chunksReused: Long,
    public val bytes: Long,
    public val readMillis: Long,
    public val keywordMillis: Long,
    public val embedMillis: Long,
    public val writeMillis: Long,
) : SyncEvent

/** A passage that a search found. */
public class Hit internal constructor(
    public val documentId: String,
    public val title: String,
    /** "Guide > Install"; "" if none. */
    public val heading: String,
    public val text: String,
    /** Of the document's text. */
    public val range: TextRange,
    /** The part to show: within [range], around the best matches. */
    public val snippetRange: TextRange,
    /** Names the chunk in its store. */
    public val chunk: Long,
    /** Higher is better; comparable within one result only. */
    public val score: Float,
    /** BM25; 0 if no word matches. */
    public val keywordScore: Float,
    /** Cosine; null if not scored. */
    public val vectorScore: Float?,
    /** From 1; null if unknown. */
    public val page: Int?,
    public val metadataJson: String,
    /** Milliseconds from the start of a recording; null if unknown. */
    public val timeMillis: Long?,
    /** Bytes in the source file; null if unknown. */
    public val sourceStart: Long?,
    public val sourceEnd: Long?,
    /** Where words of the query stand in the document's text. */
    public val matches: List<TextRange>,
) {
    /** The text of [snippetRange]. */
    public val snippet: String
        get() = text.substring(
            snippetRange.startUtf16 - range.startUtf16,
            snippetRange.endUtf16 - range.startUtf16,
        )

    /** The document's metadata: strings, numbers, booleans and lists of strings. */
    public val metadata: Map<String, Any?> get() = metadataOf(metadataJson)

    override fun toString(): String = "$documentId $range"
}

/** What a search found, best first. */
public class SearchResults internal constructor(
    /** The mode that served: [SearchMode.KEYWORD] for a hybrid search without vectors. */
    public val mode: SearchMode,
    public val hits: List<Hit>,
) : Iterable<Hit> {
    /** How many hits there are. */
    public val size: Int get() = hits.size

    /** The hit at an index. */
    public operator fun get(index: Int): Hit = hits[index]

    override fun iterator(): Iterator<Hit> = hits.iterator()
}
