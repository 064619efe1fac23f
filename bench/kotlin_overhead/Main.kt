// What Kotlin adds to C: searches, and tokens of a stream, through both in turn, in one process, on the same
// store and model. Searches are hybrid, with the embedder given. A run in which a search finds
// nothing, or the tokens differ, ends with an error. Started by run.py.
//
// A suspending search runs on a thread of the binding's, and waking a sleeping thread costs what it costs
// in any language: beside it stands a search in C on another thread.
package dev.satchel.bench

import dev.satchel.ChatMessage
import dev.satchel.ChatOptions
import dev.satchel.Context
import dev.satchel.Model
import dev.satchel.NativeLoader
import dev.satchel.Satchel
import dev.satchel.SearchResults
import dev.satchel.Store
import dev.satchel.StoreOptions
import dev.satchel.TokenEvent
import dev.satchel.internal.Handle
import kotlinx.coroutines.runBlocking
import java.io.File
import kotlin.random.Random

internal object Bench {
    @JvmStatic external fun search(store: Long, query: String, elsewhere: Boolean): Long

    @JvmStatic external fun generator(context: Long): Long

    @JvmStatic external fun stream(model: Long, most: Int, counted: IntArray): Long
}

private fun median(values: LongArray): Double = values.sorted()[values.size / 2] / 1000.0

private fun mean(values: LongArray): Double = values.average() / 1000

private fun report(what: String, c: LongArray, other: LongArray, name: String = "Kotlin", each: Int = 1) {
    for ((how, of) in listOf<Pair<String, (LongArray) -> Double>>("median" to ::median, "mean" to ::mean)) {
        val (a, b) = of(c) / each to of(other) / each
        println("%s, %s: C %.2f µs, %s %.2f µs: %+.2f µs, %+.2f %%".format(what, how, a, name, b, b - a, 100 * (b / a - 1)))
    }
}

private fun handle(of: Any): Handle =
    of.javaClass.getDeclaredField("handle").apply { isAccessible = true }.get(of) as Handle

private fun searches(model: String, times: Int, folder: File) {
    val words = listOf("harbour", "lease", "dough", "bicycle", "anchor", "roof", "window", "chain")
    val embedder = Model.openBlocking(model)
    Store.openBlocking(File(folder, "a.satchel").path, StoreOptions().apply { this.embedder = embedder }).use { store ->
        for (number in 0 until 500) {
            val text = (0 until 40).joinToString(" ") { words[(number * 7 + it * it * 3 + number / 8) % 8] }
            store.addBlocking("note $number", "Note $number. $text.")
        }
        val c = LongArray(times)
        val blocking = LongArray(times)
        val elsewhere = LongArray(times)
        val suspended = LongArray(times)
        val order = Random(1)
        val warm = minOf(2000, times / 2)
        for (round in -warm until times) {
            val query = "${words[(round + warm) % 8]} ${words[(round + warm) / 8 % 8]}"
            val ways = listOf<Pair<LongArray, () -> Long>>(
                c to { handle(store).use { Bench.search(it, query, false) } },
                blocking to { timed { store.searchBlocking(query) } },
                elsewhere to { handle(store).use { Bench.search(it, query, true) } },
                suspended to { timed { runBlocking { store.search(query) } } },
            )
            // What ran just before matters, on the same core or the other one: each as often.
            for ((taken, way) in ways.shuffled(order)) {
                val time = way()
                check(time > 0) { "nothing found" }
                if (round >= 0) taken[round] = time
            }
        }
        report("a search of $times, blocking", c, blocking)
        report("a search of $times, suspending, beside C on another thread", elsewhere, suspended)
        report("a search of $times, C on another thread beside C", c, elsewhere, "C there")
    }
}

private fun timed(search: () -> SearchResults): Long {
    val begin = System.nanoTime()
    val found = search().size
    return if (found > 0) System.nanoTime() - begin else -1
}

private fun streams(most: Int) {
    val context = Context.shared()
    val model = Model(context, context.use { Bench.generator(it) })
    val options = ChatOptions().apply { generate.maxTokens = most }
    val talk = listOf(ChatMessage("user", "Speak."))
    val rounds = 60
    val c = LongArray(rounds)
    val blocking = LongArray(rounds)
    val flow = LongArray(rounds)
    val counted = IntArray(1)
    for (round in -20 until rounds) {
        val inC = handle(model).use { Bench.stream(it, most, counted) }
        var tokens = 0
        val begin = System.nanoTime()
        model.chatBlocking(talk, options).use { for (event in it) if (event is TokenEvent) tokens++ }
        val middle = System.nanoTime()
        var collected = 0
        runBlocking { model.chat(talk, options).collect { if (it is TokenEvent) collected++ } }
        val end = System.nanoTime()
        check(tokens == counted[0] && collected == tokens && tokens > 0) { "${counted[0]}, $tokens, $collected tokens" }
        if (round < 0) continue
        c[round] = inC
        blocking[round] = middle - begin
        flow[round] = end - middle
    }
    report("a token of ${counted[0]}, blocking", c, blocking, each = counted[0])
    report("a token of ${counted[0]}, as a flow", c, flow, each = counted[0])
}

fun main(args: Array<String>) {
    NativeLoader.load()
    System.load(File(args[1], "libbench.so").path)
    println("Satchel ${Satchel.version}, ${Context.shared().cpuName}, Java ${System.getProperty("java.version")}")
    streams(1000)
    searches(args[0], args[2].toInt(), File(args[1]))
}
