// What Kotlin adds to C: searches, and tokens of a stream, through both in random order, in one process, on
// the same store and model. Searches are hybrid, with the embedder given. A run in which a search finds
// nothing, or the tokens differ, ends with an error. Started by run.py.
//
// A suspending search runs on a thread of the binding's, and waking a sleeping thread costs what it costs
// in any language: beside it stands a search in C on another thread. All rounds, of whatever way, run in one
// coroutine on the main thread: an app calls from a coroutine that runs already, so making one with an event
// loop for each search would measure `runBlocking`. What runs on another thread runs on another processor: left
// alone, the kernel leaves it on the same one in anything from a fifth to two thirds of the calls, by the way and
// by the run, and waking a processor takes longer than all that is compared here.
package dev.satchel.bench

import dev.satchel.ChatMessage
import dev.satchel.ChatOptions
import dev.satchel.Context
import dev.satchel.Model
import dev.satchel.NativeLoader
import dev.satchel.Satchel
import dev.satchel.Store
import dev.satchel.StoreOptions
import dev.satchel.TokenEvent
import dev.satchel.internal.Handle
import kotlinx.coroutines.flow.count
import kotlinx.coroutines.runBlocking
import java.io.File
import java.lang.management.ManagementFactory
import kotlin.random.Random

internal object Bench {
    @JvmStatic external fun search(store: Long, query: String, elsewhere: Boolean, taken: LongArray): Int

    @JvmStatic external fun generator(context: Long): Long

    @JvmStatic external fun stream(model: Long, most: Int, taken: LongArray): Int

    /** Where a thread of this process may run, and those that it starts; 0 is the one that calls. */
    @JvmStatic external fun pin(thread: Int, processor: Int)

    /** Java's own counts in steps of 10 ms. */
    @JvmStatic external fun processors(): Long
}

/** A way to do the work: gives how much there was of it, and its time by the clock and of the processors. */
private class Way(val name: String, rounds: Int, private val work: suspend (Int, LongArray) -> Int) {
    val clock = LongArray(rounds)
    private val processors = LongArray(rounds)
    private val taken = LongArray(2)

    suspend fun run(number: Int, round: Int, expected: Int?) {
        val count = work(number, taken)
        check(count > 0 && (expected == null || count == expected)) { "$name: $count" }
        if (round < 0) return
        clock[round] = taken[0]
        processors[round] = taken[1]
    }

    fun numbers(each: Int): List<Pair<String, Double>> = listOf(
        "clock, median" to clock.sorted()[clock.size / 2].toDouble(),
        "clock, mean" to clock.average(),
        "processors, mean" to processors.average(),
    ).map { (how, value) -> how to value / 1000 / each }
}

/** As C takes its own time. */
private inline fun timed(taken: LongArray, work: () -> Int): Int {
    val processors = Bench.processors()
    val clock = System.nanoTime()
    val count = work()
    taken[0] = System.nanoTime() - clock
    taken[1] = Bench.processors() - processors
    return count
}

/** Each round in random order: what ran just before matters, on the same core or the other one. */
private suspend fun inTurn(warm: Int, rounds: Int, expected: Int?, ways: List<Way>) {
    val order = Random(1)
    for (round in -warm until rounds) {
        for (way in ways.shuffled(order)) way.run(round + warm, round, expected)
    }
}

private fun report(what: String, c: Way, other: Way, each: Int = 1) {
    for ((one, two) in c.numbers(each).zip(other.numbers(each))) {
        val (a, b) = one.second to two.second
        println(
            "%s, %s: %s %.2f µs, %s %.2f µs: %+.2f µs, %+.2f %%"
                .format(what, one.first, c.name, a, other.name, b, b - a, 100 * (b / a - 1)),
        )
    }
}

private fun handle(of: Any): Handle =
    of.javaClass.getDeclaredField("handle").apply { isAccessible = true }.get(of) as Handle

private suspend fun searches(model: String, times: Int, folder: File) {
    val words = listOf("harbour", "lease", "dough", "bicycle", "anchor", "roof", "window", "chain")
    val embedder = Model.openBlocking(model)
    Store.openBlocking(File(folder, "a.satchel").path, StoreOptions().apply { this.embedder = embedder }).use { store ->
        for (number in 0 until 500) {
            val text = (0 until 40).joinToString(" ") { words[(number * 7 + it * it * 3 + number / 8) % 8] }
            store.addBlocking("note $number", "Note $number. $text.")
        }
        fun query(number: Int) = "${words[number % 8]} ${words[number / 8 % 8]}"
        val c = Way("C", times) { number, taken -> handle(store).use { Bench.search(it, query(number), false, taken) } }
        val there = Way("C on another thread", times) { number, taken ->
            handle(store).use { Bench.search(it, query(number), true, taken) }
        }
        val blocking = Way("Kotlin", times) { number, taken ->
            val query = query(number)
            timed(taken) { store.searchBlocking(query).size }
        }
        val suspended = Way("suspending", times) { number, taken ->
            val query = query(number)
            timed(taken) { store.search(query).size }
        }
        Bench.pin(0, 1)
        there.run(0, -1, null)
        suspended.run(0, -1, null)
        for (thread in File("/proc/self/task").listFiles().orEmpty()) {
            if (File(thread, "comm").readText().startsWith("satchel-")) Bench.pin(thread.name.toInt(), 1)
        }
        Bench.pin(0, 0)
        // Java compiles for good what has run some thousand times; rounds before that do not count.
        inTurn(minOf(6000, times), times, null, listOf(c, there, blocking, suspended))
        report("a search of $times", c, blocking)
        report("a search of $times", there, suspended)
        report("a search of $times", c, there)
    }
}

private suspend fun streams(most: Int) {
    val context = Context.shared()
    val model = Model(context, context.use { Bench.generator(it) })
    val options = ChatOptions().apply { generate.maxTokens = most }
    val talk = listOf(ChatMessage("user", "Speak."))
    val rounds = 60
    val c = Way("C", rounds) { _, taken -> handle(model).use { Bench.stream(it, most, taken) } }
    val blocking = Way("Kotlin", rounds) { _, taken ->
        timed(taken) { model.chatBlocking(talk, options).use { stream -> stream.count { it is TokenEvent } } }
    }
    val flow = Way("a flow", rounds) { _, taken ->
        timed(taken) { model.chat(talk, options).count { it is TokenEvent } }
    }
    inTurn(20, rounds, most, listOf(c, blocking, flow))
    report("a token of $most", c, blocking, most)
    report("a token of $most", c, flow, most)
}

fun main(args: Array<String>) {
    NativeLoader.load()
    System.load(File(args[1], "libbench.so").path)
    println(
        "Satchel ${Satchel.version}, ${Context.shared().cpuName}, Java ${System.getProperty("java.version")}, " +
            "load ${ManagementFactory.getOperatingSystemMXBean().systemLoadAverage}",
    )
    runBlocking {
        streams(1000)
        searches(args[0], args[2].toInt(), File(args[1]))
    }
}
