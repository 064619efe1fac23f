// Text, statuses, files, callbacks, models: what the scenarios of all languages do not reach.
package dev.satchel.test

import dev.satchel.AddOptions
import dev.satchel.AnswerDone
import dev.satchel.AskOptions
import dev.satchel.BusyException
import dev.satchel.CallbackException
import dev.satchel.CancelSignal
import dev.satchel.CancelledException
import dev.satchel.ChatMessage
import dev.satchel.CitationEvent
import dev.satchel.ClosedException
import dev.satchel.Context
import dev.satchel.Filter
import dev.satchel.GenerateOptions
import dev.satchel.Generator
import dev.satchel.GeneratorRequest
import dev.satchel.Gguf
import dev.satchel.InvalidArgumentException
import dev.satchel.InvalidTextException
import dev.satchel.KMeans
import dev.satchel.KMeansPoints
import dev.satchel.KMeansOptions
import dev.satchel.KMeansListener
import dev.satchel.LogLevel
import dev.satchel.Logger
import dev.satchel.Model
import dev.satchel.ModelKind
import dev.satchel.ModelOptions
import dev.satchel.NotFoundException
import dev.satchel.Reader
import dev.satchel.ReaderOutput
import dev.satchel.Role
import dev.satchel.Satchel
import dev.satchel.SatchelException
import dev.satchel.SearchMode
import dev.satchel.SearchOptions
import dev.satchel.Status
import dev.satchel.Store
import dev.satchel.StoreOptions
import dev.satchel.TokenEvent
import dev.satchel.TopicsOptions
import dev.satchel.UnsupportedException
import dev.satchel.WrongModelException
import dev.satchel.internal.Json
import dev.satchel.internal.Native
import dev.satchel.internal.Request
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.filterIsInstance
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.flowOf
import kotlinx.coroutines.flow.last
import kotlinx.coroutines.flow.toList
import java.io.File
import java.io.FileInputStream
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.Collections
import java.util.concurrent.locks.LockSupport

private class FailingGenerator : Generator {
    override val id = "failing"
    override val contextTokens = 2048

    override fun generate(request: GeneratorRequest): Flow<String> = flow {
        emit("one ")
        throw IllegalStateException("the model fell over 😀")
    }
}

private class PickyReader : Reader {
    val seen: MutableList<String> = Collections.synchronizedList(ArrayList())
    override val id = "picky"
    override val mediaTypes = listOf("text/plain")

    override fun read(mediaType: String, data: ByteArray, output: ReaderOutput) {
        seen.add(String(data))
        when {
            "pass" in String(data) -> throw UnsupportedException("not mine")
            "fail" in String(data) -> throw IllegalStateException("no way")
            else -> {
                output.heading(1, "Über 😀")
                output.text("read: " + String(data))
            }
        }
    }
}

private fun descriptor(stream: FileInputStream): Int {
    // What ParcelFileDescriptor.getFd() gives on Android.
    val field = java.io.FileDescriptor::class.java.getDeclaredField("fd")
    field.isAccessible = true
    return field.getInt(stream.fd)
}

fun basics(suite: Suite, model: File?) {
    suite.test("the library tells its version, features and prompt") {
        holds(Satchel.version.matches(Regex("""\d+\.\d+\.\d+""")))
        holds(Satchel.isAtLeast(0, 1) && !Satchel.isAtLeast(1000))
        holds(Satchel.has("generator") && !Satchel.has("teleport"))
        holds(Json.read(Satchel.defaultPrompt) is Map<*, *>)
    }
    suite.test("every status of the library has its exception, and no other") {
        for (code in -64..-1) {
            val name = Request().int(code).send(Native::statusName).string()
            val status = Status.entries.firstOrNull { it.code == code }
            equal(if (name == "SATCHEL_UNKNOWN") null else name, status?.let { "SATCHEL_${it.name}" })
            val thrown = SatchelException.of(code, 7, "why", null)
            if (status == null) {
                equal(Status.UNKNOWN, thrown.status)
                continue
            }
            val expected = status.name.split('_').joinToString("") { it.lowercase().replaceFirstChar(Char::uppercase) }
            equal("dev.satchel.${expected}Exception", thrown.javaClass.name)
            val told = thrown.run { listOf(this.status, this.code, osCode, message, statusName) }
            equal(listOf(status, code, 7, "why", name), told)
        }
    }
    suite.test("texts keep emoji and NUL, in all directions") { folder ->
        val context = oneThread()
        val text = "before\u0000after 😀🏳️‍🌈 \uFFFD é \u0800 end"
        Store.open(folder.of("😀.satchel"), context = context).use { store ->
            val given = mapOf("k" to listOf("😀", "\u0001\"\\"), "n" to 2.5, "b" to true)
            store.add("id 😀", text, AddOptions().apply { title = "Ü😀"; metadata = given })
            equal(text, store.text("id 😀"))
            equal(text.toByteArray().toList(), store.textBytesBlocking("id 😀").toList())
            equal(listOf(0, 'a'.code).map { it.toByte() }, store.textBytesBlocking("id 😀", 6, 2).toList())
            val document = store.documents().single()
            equal("Ü😀", document.title)
            equal(mapOf("k" to listOf("😀", "\u0001\"\\"), "n" to 2.5, "b" to true), document.metadata)
            val hit = store.search("after").first()
            equal("after", hit.matches.first().of(text))
            equal(text, hit.text)
            holds(File(folder, "😀.satchel").exists())
        }
    }
    suite.test("half a character is refused, and so is a NUL in an id") { folder ->
        Store.open(folder.of("a.satchel"), context = oneThread()).use { store ->
            equal(Status.INVALID_TEXT, throws<InvalidTextException> { store.add("a", "x\uD83D") }.status)
            throws<InvalidTextException> { store.add("a", "\uDE00x") }
            throws<InvalidArgumentException> { store.add("a\u0000b", "x") }
            equal(0L, store.stats().documents)
        }
    }
    suite.test("failures carry code, message and the system's number") { folder ->
        val options = StoreOptions().apply { mustExist = true }
        val failure = throws<NotFoundException> { Store.open(folder.of("none/a.satchel"), options) }
        equal(Status.NOT_FOUND.code, failure.code)
        holds("none/a.satchel" in failure.message!!) { failure.message!! }
        equal(2, throws<SatchelException> { Model.open(folder.of("none.gguf")) }.osCode)
    }
    suite.test("what is closed says so") { folder ->
        val context = oneThread()
        val store = Store.open(folder.of("a.satchel"), context = context)
        val stream = store.askBlocking("x")
        store.close()
        store.close()
        throws<ClosedException> { store.search("x") }
        equal(Status.CLOSED, throws<ClosedException> { store.statsBlocking() }.status)
        holds(stream.last() is AnswerDone) // its own reference
        stream.close()
        throws<ClosedException> { store.askBlocking("x") }
        context.close()
        throws<ClosedException> { context.memory }
    }
    suite.test("files are added by descriptor, bytes by array and by direct buffer") { folder ->
        Store.open(folder.of("a.satchel"), context = oneThread()).use { store ->
            val file = File(folder, "f.txt").apply { writeText("skip this: lobsters live here") }
            FileInputStream(file).use { store.addFile("whole.txt", descriptor(it)) }
            FileInputStream(file).use { store.addFile("part.txt", descriptor(it), 11, 8) }
            equal("lobsters", store.text("part.txt"))
            val bytes = "# Crabs\n\nwalk sideways".toByteArray()
            store.add("a.md", bytes)
            store.addBlocking("b.md", ByteBuffer.allocateDirect(bytes.size).apply { put(bytes); flip() })
            equal("Crabs", store.documents(Filter.path("b.md")).single().title)
            equal(store.text("a.md"), store.text("b.md"))
            throws<IllegalArgumentException> { store.addBlocking("c", ByteBuffer.wrap(bytes)) }
        }
    }
    suite.test("filters are built") { folder ->
        Store.open(folder.of("a.satchel"), context = oneThread()).use { store ->
            store.add("n/a", "apples", AddOptions().apply { metadata = mapOf("by" to "ann", "year" to 2020) })
            store.add("n/b", "apples", AddOptions().apply { metadata = mapOf("by" to "bob", "year" to 2023) })
            store.add("m/c", "apples")
            suspend fun found(filter: Filter) =
                store.search("apples", SearchOptions().apply { this.filter = filter }).map { it.documentId }.sorted()
            equal(listOf("n/a", "n/b"), found(Filter.path("n/*")))
            equal(listOf("n/a"), found(Filter.metadata("by", "ann", "eve")))
            equal(listOf("n/b"), found(Filter.range("year", 2021.0, null)))
            equal(listOf("m/c", "n/b"), found(!Filter.metadata("by", "ann")))
            val old = Filter.all(Filter.path("n/*"), Filter.range("year", null, 2021.0))
            equal(listOf("m/c", "n/a"), found(Filter.any(Filter.path("m/*"), old)))
        }
    }
    suite.test("readers read, pass on and fail") { folder ->
        val reader = PickyReader()
        Store.open(folder.of("a.satchel"), context = oneThread()).use { store ->
            store.addReader(reader)
            store.add("a.txt", "mine".toByteArray())
            equal("read: mine", store.text("a.txt"))
            equal("Über 😀", store.search("mine").first().heading)
            store.add("b.txt", "pass".toByteArray())
            equal("pass", store.text("b.txt"))
            val failure = throws<CallbackException> { store.add("c.txt", "fail".toByteArray()) }
            equal("no way", failure.cause?.message)
            holds("no way" in failure.message!!) { failure.message!! }
            equal(listOf("mine", "pass", "fail"), reader.seen)
        }
    }
    suite.test("an embedder is asked, and its failure is the cause") { folder ->
        val context = oneThread()
        var fail = false
        val embedder = object : FakeEmbedder() {
            override fun embed(texts: List<String>, role: Role, cancelled: () -> Boolean): List<FloatArray> {
                holds(!cancelled())
                if (fail) throw IllegalStateException("no vectors today")
                return super.embed(texts, role, cancelled)
            }
        }
        Model.of(embedder, context).use { model ->
            equal(ModelKind.EMBEDDER, model.info.kind)
            equal(listOf(32, 32), model.embed(listOf("one 😀", "two\u0000")).map { it.size })
            Store.open(folder.of("a.satchel"), StoreOptions().apply { this.embedder = model }).use { store ->
                store.add("a", "some words")
                equal(SearchMode.HYBRID, store.search("words").mode)
                fail = true
                equal("no vectors today", throws<CallbackException> { store.search("words") }.cause?.message)
                fail = false
                equal(1, store.search("words").size)
                store.add("b", "later", AddOptions().apply { deferEmbedding = true })
                equal(1L, store.stats().chunksPending)
                equal(0L, store.maintain())
                val topics = store.topics(TopicsOptions().apply { count = 1 })
                equal(2L, topics.chunks)
                equal(32, topics.topics.single().centroid.size)
                equal(emptyList<String>(), store.verify())
            }
        }
    }
    suite.test("a callback that calls back is told BUSY") { folder ->
        val context = oneThread()
        var store: Store? = null
        var seen: Throwable? = null
        val embedder = object : FakeEmbedder() {
            override fun embed(texts: List<String>, role: Role, cancelled: () -> Boolean): List<FloatArray> {
                store?.let { seen = throws<BusyException> { it.searchBlocking("x") } }
                return super.embed(texts, role, cancelled)
            }
        }
        Store.open(folder.of("a.satchel"), StoreOptions().apply { this.embedder = Model.of(embedder, context) }).use {
            store = it
            it.add("a", "words")
            holds(seen is BusyException)
            store = null
        }
    }
    suite.test("a callback may close the store it serves") { folder ->
        val context = oneThread()
        var store: Store? = null
        val embedder = object : FakeEmbedder() {
            override fun embed(texts: List<String>, role: Role, cancelled: () -> Boolean): List<FloatArray> {
                store?.close()
                return super.embed(texts, role, cancelled)
            }
        }
        store = Store.open(folder.of("a.satchel"), StoreOptions().apply { this.embedder = Model.of(embedder, context) })
        try {
            store.add("a", "words")
        } catch (cancelled: CancelledException) {
            // closing cancels the call
        }
        throws<ClosedException> { store.stats() }
    }
    suite.test("a generator answers, cites, and its failure is the cause") { folder ->
        val context = oneThread()
        Store.open(folder.of("a.satchel"), context = context).use { store ->
            store.add("bread", "Bread needs flour, water and salt.")
            val options = AskOptions().apply {
                generator = Model.of(FakeGenerator(listOf("It needs ", "flour [1", "]. 😀")), context)
                refusalThreshold = -1f
                history = listOf(ChatMessage("user", "Hello \"you\" 😀"), ChatMessage("assistant", "Hi"))
                generate = GenerateOptions().apply { maxTokens = 50; stop = listOf("###"); temperature = 0.5f }
            }
            val events = store.ask("What does bread need?", options).toList()
            equal("It needs flour [1]. 😀", events.filterIsInstance<TokenEvent>().joinToString("") { it.text })
            equal(listOf("bread"), events.filterIsInstance<CitationEvent>().map { it.documentId })
            options.generator = Model.of(FailingGenerator(), context)
            val failure = throws<CallbackException> { store.ask("bread?", options).toList() }
            equal("the model fell over 😀", failure.cause?.message)
        }
    }
    suite.test("a generator of the app's own serves chat and generate") {
        Model.of(FakeGenerator(listOf("a", "b", "c")), oneThread()).use { model ->
            equal("custom", model.info.architecture)
            val done = model.chat(listOf(ChatMessage("user", "hi"))).last()
            holds(done is AnswerDone)
            equal("abc", model.generate("hi").filterIsInstance<TokenEvent>().toList().joinToString(""))
        }
    }
    suite.test("no piece of a slow generator is lost") {
        val generator = object : Generator {
            override val id = "slow"
            override val contextTokens = 2048

            // Pieces that come about when the binding looks whether it was cancelled.
            override fun generate(request: GeneratorRequest): Flow<String> = flow {
                repeat(60) {
                    LockSupport.parkNanos(9_000_000L + it * 40_000L)
                    emit("$it ")
                }
            }
        }
        Model.of(generator, oneThread()).use { model ->
            val said = model.generate("hi").filterIsInstance<TokenEvent>().toList().joinToString("")
            equal((0 until 60).joinToString("") { "$it " }, said)
        }
    }
    suite.test("a prepared question takes its answer in pieces, cut within a character too") { folder ->
        Store.open(folder.of("a.satchel"), context = oneThread()).use { store ->
            store.add("bread", "Bread needs flour, water and salt.")
            val options = AskOptions().apply { contextTokens = 2000; refusalThreshold = -1f }
            store.prepare("What does bread need?", options).use { question ->
                equal(listOf("system", "user"), question.messages.map { it.role })
                equal(1, question.passages.size)
                val events = question.events(flowOf("Flour \uD83D", "\uDE00", " [1].")).toList()
                equal("Flour 😀 [1].", events.filterIsInstance<TokenEvent>().joinToString("") { it.text })
                equal(1, events.count { it is CitationEvent })
                equal(1, events.count { it is AnswerDone })
            }
        }
    }
    suite.test("a log function is told, and stays as long as what may log") { folder ->
        val told = Collections.synchronizedList(ArrayList<String>())
        val context = oneThread {
            logger = Logger { level, message -> told.add("$level $message") }
            logLevel = LogLevel.DEBUG
        }
        val store = Store.open(folder.of("a.satchel"), context = context)
        context.close()
        store.add("a", "words")
        store.close()
    }
    suite.test("a signal ends blocking calls, before and while they run") { folder ->
        Store.open(folder.of("a.satchel"), context = oneThread()).use { store ->
            store.add("a", "words")
            val signal = CancelSignal().apply { cancel() }
            throws<CancelledException> { store.searchBlocking("words", signal = signal) }
            equal(1, store.searchBlocking("words", signal = CancelSignal()).size)
        }
    }
    suite.test("k-means says how far it is, and assigns") {
        val points = FloatArray(400) { (it % 20).toFloat() + (it / 200) * 100 }
        val made = KMeans.clusterBlocking(KMeansPoints.of(points, 2), 2, context = oneThread())
        equal(listOf(200, 4), listOf(made.labels.size, made.centroids.size))
        val again = KMeans.assign(KMeansPoints.of(points, 2), made.centroids)
        equal(made.labels.toList(), again.labels.toList())
        equal(14L, KMeans.defaultCount(200))
        throws<InvalidArgumentException> { KMeans.clusterBlocking(KMeansPoints.of(points, 3), 2) }
    }
    suite.test("k-means reads points from a file, and from where the app has them") { folder ->
        val points = FloatArray(400) { (it % 20).toFloat() + (it / 200) * 100 }
        val seen = ArrayList<Int>()
        val options = KMeansOptions().apply { progress = KMeansListener { seen.add(it.iteration) }; tolerance = 1e-12 }
        val context = oneThread()
        val expected = KMeans.cluster(KMeansPoints.of(points, 2), 2, options, context).centroids.toList()
        holds(seen.size > 1) { "$seen" }
        val bytes = ByteBuffer.allocate(8 + 1600).order(ByteOrder.LITTLE_ENDIAN)
        bytes.position(8)
        bytes.asFloatBuffer().put(points)
        val file = File(folder, "rows").apply { writeBytes(bytes.array()) }
        equal(expected, KMeans.cluster(KMeansPoints.file(file.path, 200, 2, 8), 2, options, context).centroids.toList())
        val read = KMeansPoints.read(200, 2) { first, count ->
            points.copyOfRange(first.toInt() * 2, first.toInt() * 2 + count * 2)
        }
        equal(expected, KMeans.cluster(read, 2, options, context).centroids.toList())
        val short = KMeansPoints.read(200, 2) { _, _ -> FloatArray(3) }
        val failure = throws<CallbackException> { KMeans.cluster(short, 2, options, context) }
        holds("3 numbers instead of" in failure.cause!!.message!!)
        throws<NotFoundException> { KMeans.cluster(KMeansPoints.file(folder.of("none"), 200, 2), 2, options, context) }
    }
    if (model != null) {
        suite.test("a model from a file embeds, tokenizes and says what it is") {
            Model.open(model.path, ModelOptions().apply { warm = true }).use {
                equal(ModelKind.EMBEDDER, it.info.kind)
                holds(it.tokenize("hello").isNotEmpty() && it.token(0) != null && it.token(1 shl 30) == null)
                equal(it.info.dimension, it.embed(listOf("hello")).single().size)
                throws<WrongModelException> { it.generateBlocking("x").use { stream -> stream.last() } }
                throws<WrongModelException> { it.detokenize(intArrayOf(1)) }
                throws<WrongModelException> { it.logits(intArrayOf(1)) }
                throws<WrongModelException> { it.perplexity("some words") }
            }
            equal(model.length(), Model.measure(model.path).fileBytes)
            val read = Gguf.read(model.path)
            holds(read.run { keys.isNotEmpty() && tensors.isNotEmpty() && fileBytes == model.length() })
            equal(setOf(0), read.tensors.filter { it.type == "F32" }.map { it.typeId }.toSet())
            FileInputStream(model).use { file -> Model.open(descriptor(file)).close() }
        }
    }
    suite.test("Java calls it") { folder -> equal("", Caller.run(folder.path)) }
    suite.test("the shared context is one") {
        holds(Context.shared() === Context.shared() && Context.shared().threads > 0)
    }
}
