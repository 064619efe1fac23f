// What the tests share: a list of them that prints TAP, folders, fakes.
package dev.satchel.test

import dev.satchel.Context
import dev.satchel.ContextOptions
import dev.satchel.Embedder
import dev.satchel.Generator
import dev.satchel.GeneratorRequest
import dev.satchel.Role
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.runBlocking
import java.io.File
import java.util.concurrent.atomic.AtomicInteger
import kotlin.math.sqrt

/** Tests by name, run in order; each gets an empty folder. */
class Suite(private val folder: File) {
    private var number = 0
    var failed = 0
        private set

    fun test(name: String, body: suspend (File) -> Unit) {
        number++
        val own = File(folder, "$number").apply { mkdirs() }
        try {
            runBlocking { body(own) }
            println("ok $number - $name")
        } catch (wrong: Throwable) {
            failed++
            println("not ok $number - $name")
            wrong.stackTraceToString().lines().take(40).forEach { println("#   $it") }
        }
        System.out.flush()
        own.deleteRecursively()
    }

    fun end() = println("1..$number")
}

fun <T> equal(expected: T, got: T) {
    if (expected != got) throw AssertionError("expected: $expected\ngot: $got")
}

fun holds(fact: Boolean, what: () -> String = { "it does not hold" }) {
    if (!fact) throw AssertionError(what())
}

/** Runs [body], which must throw a [T], and gives that. */
inline fun <reified T : Throwable> throws(body: () -> Unit): T {
    try {
        body()
    } catch (thrown: Throwable) {
        if (thrown is T) return thrown
        throw AssertionError("expected ${T::class.java.name}", thrown)
    }
    throw AssertionError("expected ${T::class.java.name}, nothing was thrown")
}

fun File.of(name: String): String = File(this, name).path

fun oneThread(configure: ContextOptions.() -> Unit = {}): Context =
    Context(ContextOptions().apply { threads = 1 }.apply(configure))

/** The embedder of tests/conformance/README.md. */
open class FakeEmbedder : Embedder {
    override val id = "conformance"
    override val dimension = 32
    override val maxTokens = 64
    override val countsTokens = true

    override fun countTokens(text: String): Int = (text.toByteArray().size + 3) / 4 + 2

    override fun embed(texts: List<String>, role: Role, cancelled: () -> Boolean): List<FloatArray> =
        texts.map(::vector)

    private fun vector(text: String): FloatArray {
        val counts = DoubleArray(dimension)
        var before = 0
        for (each in text.toByteArray()) {
            val byte = each.toInt() and 255
            counts[(7 * byte + 3 * before) % dimension] += 1.0
            before = byte
        }
        if (text.isEmpty()) counts[0] = 1.0
        val length = sqrt(counts.sumOf { it * it })
        return FloatArray(dimension) { (counts[it] / length).toFloat() }
    }
}

/** The generator of tests/conformance/README.md, which says the same each time, and fails at null. */
class FakeGenerator(private val pieces: List<String?>) : Generator {
    override val id = "script"
    override val contextTokens = 2048
    override val countsTokens = true

    override fun countTokens(text: String): Int = (text.toByteArray().size + 3) / 4

    override fun generate(request: GeneratorRequest): Flow<String> = flow {
        pieces.forEach { emit(it ?: throw IllegalStateException("the script fails here")) }
    }
}

/** A generator that never ends, and counts how many of its answers are under way. */
class EndlessGenerator : Generator {
    val running = AtomicInteger()
    override val id = "endless"
    override val contextTokens = 1 shl 20

    override fun generate(request: GeneratorRequest): Flow<String> = flow {
        running.incrementAndGet()
        try {
            while (true) emit("word ")
        } finally {
            running.decrementAndGet()
        }
    }
}
