// The scenarios that every language runs, with identical results: tests/conformance/README.md.
package dev.satchel.test

import dev.satchel.AddOptions
import dev.satchel.AnswerDone
import dev.satchel.AnswerEvent
import dev.satchel.AnswerMode
import dev.satchel.AskOptions
import dev.satchel.CitationEvent
import dev.satchel.FileEvent
import dev.satchel.Filter
import dev.satchel.HitsEvent
import dev.satchel.KMeans
import dev.satchel.KMeansOptions
import dev.satchel.KMeansPoints
import dev.satchel.ModeEvent
import dev.satchel.Model
import dev.satchel.PreparedQuestion
import dev.satchel.Progress
import dev.satchel.RefusalEvent
import dev.satchel.SatchelException
import dev.satchel.SearchMode
import dev.satchel.SearchOptions
import dev.satchel.Status
import dev.satchel.Store
import dev.satchel.StoreOptions
import dev.satchel.SyncDone
import dev.satchel.SyncOptions
import dev.satchel.TextRange
import dev.satchel.TokenEvent
import dev.satchel.internal.Json
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.async
import kotlinx.coroutines.cancel
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.collect
import java.io.File
import java.io.RandomAccessFile

private typealias Step = Map<String, Any?>

private fun Enum<*>.told(): String = name.lowercase()

private fun TextRange.told(): List<Any?> = listOf(start, end, startUtf16.toLong(), endUtf16.toLong())

private fun AnswerEvent.told(): List<Any?>? = when (this) {
    is ModeEvent -> listOf("mode", mode.told(), reason.told(), searchMode.told())
    is HitsEvent -> listOf("hits", results.size.toLong())
    is TokenEvent -> listOf("token", text)
    is CitationEvent -> listOf("citation", documentId, hit.toLong(), answer.told(), source.told(), isVerified)
    is RefusalEvent -> listOf("refusal", reason.told())
    is AnswerDone -> listOf("done", hits, sentences)
    is Progress -> null
}

private class Conformance(private val folder: File) : AutoCloseable {
    private val context = oneThread()
    private var store: Store? = null
    private var prepared: PreparedQuestion? = null
    private val open = ArrayList<AutoCloseable>()

    private fun <T : AutoCloseable> T.kept(): T = also { open.add(it) }

    override fun close() {
        open.asReversed().forEach { it.close() }
        context.close()
    }

    suspend fun step(step: Step): Map<String, Any?> = try {
        result(step)
    } catch (failure: SatchelException) {
        mapOf("error" to failure.status.name)
    }

    private fun Step.text(key: String): String = get(key) as String

    private fun Step.optional(key: String): String? = get(key) as String?

    private fun Step.flag(key: String): Boolean = get(key) as Boolean? ?: false

    private fun Step.int(key: String): Int? = (get(key) as Number?)?.toInt()

    private fun Step.data(): ByteArray = optional("hex")?.chunked(2)?.map { it.toInt(16).toByte() }?.toByteArray()
        ?: text("text").toByteArray()

    private fun Step.filter(): Filter? = get("filter")?.let { Filter.json(Json.write(it)) }

    private inline fun <reified T : Enum<T>> Step.constant(key: String): T? =
        optional(key)?.let { enumValueOf<T>(it.uppercase()) }

    private fun store(): Store = checkNotNull(store)

    private suspend fun result(step: Step): Map<String, Any?> {
        when (step["do"]) {
            "write" -> File(folder, step.text("name")).run {
                parentFile.mkdirs()
                writeBytes(step.data())
            }
            "damage" -> RandomAccessFile(File(folder, step.text("name")), "rw").use {
                it.seek(step.int("offset")!!.toLong())
                it.write(step.data())
            }
            "delete" -> check(File(folder, step.text("name")).delete())
            "open" -> open(step)
            "close" -> store().close()
            "add_text" -> store().add(step.text("id"), step.text("text"), addOptions(step))
            "add_bytes" -> store().add(step.text("id"), step.data(), addOptions(step))
            "remove" -> store().remove(step.text("id"))
            "text" -> return mapOf("text" to store().text(step.text("id")))
            "list" -> return mapOf(
                "documents" to store().documents(step.filter()).map {
                    mapOf(
                        "id" to it.id, "title" to it.title, "media_type" to it.mediaType,
                        "text_bytes" to it.textBytes, "chunks" to it.chunks,
                    )
                },
            )
            "stats" -> return store().stats().let {
                mapOf(
                    "documents" to it.documents, "chunks" to it.chunks,
                    "chunks_embedded" to it.chunksEmbedded, "chunks_pending" to it.chunksPending,
                )
            }
            "search" -> return search(step)
            "ask" -> return ask(step)
            "prepare" -> return store().prepare(step.text("question"), askOptions(step)).kept().let {
                prepared = it
                mapOf("passages" to it.passages.size.toLong(), "refused" to (it.refused?.told() ?: "none"))
            }
            "resolve" -> return mapOf(
                "events" to checkNotNull(prepared).resolve(step.text("text"), step.flag("final"))
                    .mapNotNull { it.told() },
            )
            "sync" -> return sync(step)
            "verify" -> return mapOf("problems" to store().verify().size.toLong())
            "backup" -> store().backup(folder.of(step.text("to")))
            "open_model" -> Model.open(folder.of(step.text("path")), context = context).kept()
            "kmeans" -> return kmeans(step)
            else -> throw AssertionError("unknown step ${step["do"]}")
        }
        return emptyMap()
    }

    private suspend fun open(step: Step) {
        val options = StoreOptions().apply {
            readOnly = step.flag("read_only")
            mustExist = step.flag("must_exist")
            chunkTokens = step.int("chunk_tokens")
            if (step.flag("embedder")) embedder = Model.of(FakeEmbedder(), context).kept()
        }
        store = Store.open(folder.of(step.text("path")), options, context).kept()
    }

    private fun addOptions(step: Step) = AddOptions().apply {
        title = step.optional("title")
        metadataJson = step["metadata"]?.let { Json.write(it) }
        mediaType = step.optional("media_type")
        mustBeNew = step.flag("must_be_new")
    }

    private suspend fun search(step: Step): Map<String, Any?> {
        val found = store().search(
            step.text("query"),
            SearchOptions().apply {
                mode = step.constant<SearchMode>("mode")
                limit = step.int("k")
                filter = step.filter()
            },
        )
        return mapOf(
            "mode" to found.mode.told(),
            "hits" to found.map { hit ->
                mapOf(
                    "id" to hit.documentId, "title" to hit.title, "heading" to hit.heading,
                    "range" to hit.range.told(), "snippet" to hit.snippetRange.told(), "text" to hit.text,
                    "page" to (hit.page ?: 0).toLong(), "matches" to hit.matches.map { it.told() },
                )
            },
        )
    }

    private fun askOptions(step: Step) = AskOptions().apply {
        mode = step.constant<AnswerMode>("mode")
        searchMode = step.constant<SearchMode>("search_mode")
        passages = step.int("k")
        filter = step.filter()
        maxSentences = step.int("max_sentences")
        refusalThreshold = (step["threshold"] as Number?)?.toFloat()
        contextTokens = step.int("context_tokens")
    }

    private suspend fun ask(step: Step): Map<String, Any?> {
        val options = askOptions(step)
        (step["pieces"] as List<*>?)?.let { pieces ->
            options.generator = Model.of(FakeGenerator(pieces.map { it as String? }), context).kept()
        }
        val after = step.int("cancel_after")
        val events = ArrayList<Any?>()
        var error: String? = null
        try {
            coroutineScope {
                async {
                    store().ask(step.text("question"), options).collect { event ->
                        event.told()?.let { events.add(it) }
                        if (events.size == after) this.cancel()
                    }
                }.await()
            }
        } catch (failure: SatchelException) {
            error = failure.status.name
        } catch (cancelled: CancellationException) {
            error = Status.CANCELLED.name
        }
        return buildMap { put("events", events); if (error != null) put("error", error) }
    }

    private suspend fun sync(step: Step): Map<String, Any?> {
        val options = SyncOptions().apply {
            root = step.optional("root")
            allowRemovals = step.flag("allow_removals")
        }
        val files = ArrayList<Any?>()
        val result = HashMap<String, Any?>()
        try {
            store().sync(folder.of(step.text("folder")), options).collect { event ->
                when (event) {
                    is FileEvent -> files.add(listOf(event.documentId, event.change.told(), event.status.name))
                    is SyncDone -> result["done"] = event.run {
                        listOf(added, changed, removed, renamed, unchanged, failed, skipped)
                    }
                    is Progress -> Unit
                }
            }
        } catch (failure: SatchelException) {
            result["error"] = failure.status.name
        }
        result["files"] = files
        return result
    }

    private fun floats(rows: Any?): FloatArray = (rows as List<*>? ?: emptyList<Any?>())
        .flatMap { row -> (row as List<*>).map { (it as Number).toFloat() } }.toFloatArray()

    private suspend fun kmeans(step: Step): Map<String, Any?> {
        val points = step["points"] as List<*>
        val made = KMeans.cluster(
            KMeansPoints.of(floats(points), (points[0] as List<*>).size), step.int("k"),
            KMeansOptions().apply {
                iterations = step.int("iterations")
                initial = step["initial"]?.let { floats(it) }
            },
            context,
        )
        return mapOf(
            "labels" to made.labels.map { it.toLong() }, "iterations" to made.iterations.toLong(),
            "stop" to made.stop.told(),
        )
    }
}

fun conformance(suite: Suite, file: File) {
    val all = (Json.read(file.readText()) as Map<*, *>)["scenarios"] as List<*>
    suite.test("there are scenarios") { holds(all.size > 10) }
    for (scenario in all.map { it as Map<*, *> }) {
        suite.test("conformance: ${scenario["name"]}") { folder ->
            Conformance(folder).use { run ->
                (scenario["steps"] as List<*>).forEachIndexed { index, each ->
                    @Suppress("UNCHECKED_CAST")
                    val step = each as Step
                    val got = run.step(step)
                    val expected = step["expect"] as Map<*, *>? ?: emptyMap<Any?, Any?>()
                    val fits = expected.all { (key, value) -> got[key] == value } &&
                        ("error" in expected || "error" !in got)
                    holds(fits) { "step ${index + 1}, ${step["do"]}\nexpected: $expected\ngot: $got" }
                }
            }
        }
    }
}
