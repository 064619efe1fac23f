// Cancelling and closing at any moment, a thousand times each, and what is left behind: nothing.
package dev.satchel.test

import dev.satchel.AskOptions
import dev.satchel.CancelledException
import dev.satchel.ChatMessage
import dev.satchel.ClosedException
import dev.satchel.Context
import dev.satchel.EventStream
import dev.satchel.Model
import dev.satchel.SatchelException
import dev.satchel.Store
import dev.satchel.StoreOptions
import dev.satchel.TokenEvent
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import java.io.File
import java.lang.management.ManagementFactory
import java.util.concurrent.CountDownLatch
import java.util.concurrent.atomic.AtomicInteger
import java.util.concurrent.atomic.AtomicReference
import javax.management.ObjectName
import kotlin.concurrent.thread
import kotlin.random.Random

private const val TIMES = 1000

/** Global references of native code, as the Java machine counts them itself. */
private fun globalReferences(): Int {
    System.gc()
    val dump = ManagementFactory.getPlatformMBeanServer().invoke(
        ObjectName("com.sun.management:type=DiagnosticCommand"), "threadPrint", arrayOf<Any?>(null),
        arrayOf("[Ljava.lang.String;"),
    ) as String
    return Regex("""JNI global refs: (\d+)""").find(dump)!!.groupValues[1].toInt()
}

private val talk = listOf(ChatMessage("user", "Speak."))

/** Waits for what ends on other threads. */
private suspend fun eventually(fact: () -> Boolean) {
    repeat(500) { if (fact()) return else delay(10) }
    holds(fact()) { "it never came to be" }
}

fun races(suite: Suite) {
    suite.test("$TIMES streams are cancelled at any moment") {
        val context = oneThread()
        val generator = EndlessGenerator()
        Model.of(generator, context).use { model ->
            val random = Random(1)
            repeat(TIMES) {
                val tokens = AtomicInteger()
                val job = background.launch {
                    model.chat(talk).collect { if (it is TokenEvent) tokens.incrementAndGet() }
                }
                when (it % 3) {
                    0 -> while (tokens.get() < it % 7) Thread.onSpinWait()
                    1 -> Thread.sleep(0, random.nextInt(400_000))
                }
                job.cancel()
                job.join()
                // The stream is closed when the job has ended, and the generator knows soon.
                holds(job.isCancelled)
            }
            eventually { generator.running.get() == 0 }
            holds(model.chat(talk).first { it is TokenEvent } is TokenEvent)
            equal(5, model.chat(talk).take(5).toList().size)
        }
        eventually { generator.running.get() == 0 }
    }
    suite.test("$TIMES stores are closed during calls") { folder ->
        val context = oneThread()
        val embedder = Model.of(FakeEmbedder(), context)
        val options = StoreOptions().apply { this.embedder = embedder }
        val path = folder.of("a.satchel")
        Store.openBlocking(path, options).use { store ->
            repeat(50) { store.addBlocking("note $it", "Note $it about words, harbours and bread.") }
        }
        val random = Random(2)
        var ended = 0
        repeat(TIMES) { round ->
            val store = Store.openBlocking(path, options)
            val wrong = AtomicReference<Throwable?>()
            val ready = CountDownLatch(2)
            val callers = List(2) { caller ->
                thread {
                    ready.countDown()
                    try {
                        while (true) {
                            when ((round + caller) % 3) {
                                0 -> store.searchBlocking("harbours")
                                1 -> store.askBlocking("Where is bread?").use { it.toList() }
                                else -> store.documentsBlocking()
                            }
                        }
                    } catch (closed: ClosedException) {
                        // as it should be
                    } catch (cancelled: CancelledException) {
                        // as it should be
                    } catch (other: Throwable) {
                        wrong.set(other)
                    }
                }
            }
            ready.await()
            Thread.sleep(0, random.nextInt(600_000))
            store.close()
            callers.forEach { it.join() }
            wrong.get()?.let { throw it }
            ended++
        }
        equal(TIMES, ended)
        embedder.close()
        context.close()
    }
    suite.test("$TIMES streams are closed by another thread during next") {
        val context = oneThread()
        val generator = EndlessGenerator()
        val model = Model.of(generator, context)
        val random = Random(3)
        repeat(TIMES) {
            val stream: EventStream<*> = model.chatBlocking(talk)
            val end = AtomicReference<Throwable?>()
            val reader = thread {
                try {
                    while (stream.next() != null) { }
                } catch (thrown: Throwable) {
                    end.set(thrown)
                }
            }
            Thread.sleep(0, random.nextInt(300_000))
            stream.close()
            reader.join()
            val thrown = end.get()
            holds(thrown is ClosedException || thrown is CancelledException) { "ended with $thrown" }
        }
        model.close()
        eventually { generator.running.get() == 0 }
    }
    suite.test("nothing is left behind: global references and memory") { folder ->
        fun round(number: Int, context: Context) = runBlocking {
            val embedder = Model.of(FakeEmbedder(), context)
            val generator = Model.of(FakeGenerator(listOf("words [1].")), context)
            Store.open(folder.of("a.satchel"), StoreOptions().apply { this.embedder = embedder }).use { store ->
                store.addReader(object : dev.satchel.Reader {
                    override val id = "r"
                    override val mediaTypes = listOf("x/y")
                    override fun read(mediaType: String, data: ByteArray, output: dev.satchel.ReaderOutput) =
                        output.text("read")
                })
                store.add("d.y", ByteArray(9), dev.satchel.AddOptions().apply { mediaType = "x/y" })
                store.add("d", "words of round $number")
                store.search("words")
                store.ask("words?", AskOptions().apply { this.generator = generator; refusalThreshold = -1f }).toList()
                store.ask("words?").first()
                store.prepare("words?", AskOptions().apply { contextTokens = 1000 }).close()
                try {
                    store.text("none")
                } catch (expected: SatchelException) {
                    // its message and its way here leave nothing either
                }
                store.sync(folder.apply { File(this, "f.txt").writeText("file $number") }.path).toList()
            }
            embedder.close()
            generator.close()
        }
        val context = oneThread { logger = dev.satchel.Logger { _, _ -> } }
        repeat(5) { round(it, context) }
        val references = globalReferences()
        val memory = context.memory
        repeat(200) { round(it, context) }
        // A few come and go with the machine's own threads; a leak would leave one for each round.
        val now = globalReferences()
        holds(now < references + 50) { "$references global references before, $now after" }
        equal(memory, context.memory)
        context.close()
    }
}

private val background = CoroutineScope(Dispatchers.Default)
