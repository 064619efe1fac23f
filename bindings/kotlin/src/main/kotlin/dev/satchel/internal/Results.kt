// Results and events read from replies.
package dev.satchel.internal

import dev.satchel.AnswerDone
import dev.satchel.AnswerEvent
import dev.satchel.AnswerMode
import dev.satchel.CitationEvent
import dev.satchel.FileChange
import dev.satchel.FileEvent
import dev.satchel.FinishReason
import dev.satchel.GenerationEvent
import dev.satchel.Hit
import dev.satchel.HitsEvent
import dev.satchel.ModeEvent
import dev.satchel.Phase
import dev.satchel.Progress
import dev.satchel.Reason
import dev.satchel.RefusalEvent
import dev.satchel.SearchMode
import dev.satchel.SearchResults
import dev.satchel.Status
import dev.satchel.SyncDone
import dev.satchel.SyncEvent
import dev.satchel.TokenEvent

/** A document's metadata: what is no object is none. */
internal fun metadataOf(json: String): Map<String, Any?> {
    @Suppress("UNCHECKED_CAST")
    return Json.read(json) as? Map<String, Any?> ?: emptyMap()
}

private fun Reply.hit(): Hit {
    val range = range()
    return Hit(
        string(), string(), string(), string(), range, range(), long(), float(), float(),
        float().takeUnless { it.isNaN() }, int().takeIf { it > 0 }, string(), long().takeIf { it >= 0 },
        long().takeIf { it >= 0 }, long().takeIf { it >= 0 }, ranges(range),
    )
}

internal fun Reply.results(): SearchResults = SearchResults(coded(int(), SearchMode.UNKNOWN), list { hit() })

/** How the events of a stream are read; null: one of a kind that this stream has none of. */
internal fun interface EventReader<E> {
    fun read(kind: Int, reply: Reply): E?
}

// SATCHEL_EVENT_*
private const val MODE = 1
private const val HITS = 2
private const val TOKEN = 3
private const val CITATION = 4
private const val REFUSAL = 5
private const val PROGRESS = 6
private const val FILE = 7
internal const val DONE = 8

private fun Reply.token() = TokenEvent(string(), int().takeIf { it >= 0 })

private class Numbers(reply: Reply) {
    val all = LongArray(25) { reply.long() }
    val confidence = reply.float()
    val finish = coded(reply.int(), FinishReason.UNKNOWN)

    fun answer() = AnswerDone(
        all[0], all[16], all[17], all[18], all[19], confidence, all[20].takeIf { it >= 0 },
        all[21].takeIf { it >= 0 }, all[22].takeIf { it >= 0 }, all[23], all[24], finish,
    )

    fun sync() = SyncDone(
        all[0], all[1], all[2], all[3], all[4], all[5], all[6], all[7], all[8], all[9], all[10],
        all[11], all[12], all[13], all[14], all[15],
    )
}

internal val answerEvents: EventReader<AnswerEvent> = EventReader { kind, it ->
    when (kind) {
        MODE -> ModeEvent(
            coded(it.int(), AnswerMode.UNKNOWN), coded(it.int(), Reason.UNKNOWN),
            coded(it.int(), SearchMode.UNKNOWN),
        )
        HITS -> HitsEvent(it.results())
        TOKEN -> it.token()
        CITATION -> CitationEvent(
            it.range(), it.string(), it.string(), it.string(), it.long(), it.range(), it.int(),
            it.flag(), it.float(), it.int().takeIf { page -> page > 0 },
            it.long().takeIf { time -> time >= 0 },
        )
        REFUSAL -> RefusalEvent(coded(it.int(), Reason.UNKNOWN), it.float(), it.float())
        PROGRESS -> it.progress()
        DONE -> Numbers(it).answer()
        else -> null
    }
}

internal val generationEvents: EventReader<GenerationEvent> = EventReader { kind, it ->
    when (kind) {
        TOKEN -> it.token()
        PROGRESS -> it.progress()
        DONE -> Numbers(it).answer()
        else -> null
    }
}

internal val syncEvents: EventReader<SyncEvent> = EventReader { kind, it ->
    when (kind) {
        PROGRESS -> it.progress()
        FILE -> FileEvent(
            coded(it.int(), FileChange.UNKNOWN), Status.of(it.int()), it.string(), it.string(),
            it.string(), it.long(), it.long(),
        )
        DONE -> Numbers(it).sync()
        else -> null
    }
}

internal fun Reply.progress(): Progress =
    Progress(coded(int(), Phase.UNKNOWN), long(), long().takeIf { it >= 0 }, long(), long(), long())
