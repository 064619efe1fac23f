// Suspending calls: their threads, their cancel handles, and cancelling and closing at every stage of one.
package dev.satchel.test

import dev.satchel.CancelSignal
import dev.satchel.CancelledException
import dev.satchel.ClosedException
import dev.satchel.Context
import dev.satchel.Model
import dev.satchel.Role
import dev.satchel.Store
import dev.satchel.StoreOptions
import dev.satchel.TextRange
import dev.satchel.internal.Native
import dev.satchel.internal.NativeCancel
import dev.satchel.internal.Reply
import dev.satchel.internal.Request
import dev.satchel.internal.Threads
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.job
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext
import java.io.File
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicInteger
import java.util.concurrent.atomic.AtomicReference
import kotlin.concurrent.thread
import kotlin.coroutines.cancellation.CancellationException
import kotlin.random.Random

private val NativeCancel.isFired: Boolean get() = Request(8).long(address).send(Native::cancelFired).flag()

/** Where [held], it stays in each call until that is cancelled, which it counts. */
private class HoldingEmbedder : FakeEmbedder() {
    @Volatile
    var held = false
    val calls = AtomicInteger()
    val cancels = AtomicInteger()
    val begun = CountDownLatch(1)

    override fun embed(texts: List<String>, role: Role, cancelled: () -> Boolean): List<FloatArray> {
        calls.incrementAndGet()
        if (held) {
            begun.countDown()
            while (!cancelled()) Thread.sleep(1)
            Thread.sleep(20) // who does not wait for the end is ahead of it
            cancels.incrementAndGet()
        }
        return super.embed(texts, role, cancelled)
    }
}

private fun storeOf(folder: File, embedder: FakeEmbedder, context: Context = oneThread()): Store {
    val options = StoreOptions().apply { this.embedder = Model.of(embedder, context) }
    return Store.openBlocking(folder.of("a.satchel"), options).apply { addBlocking("a", "words of a harbour") }
}

private fun runs(work: () -> Unit): Thread {
    val ran = AtomicReference<Thread>()
    val done = CountDownLatch(1)
    Threads.execute {
        work()
        ran.set(Thread.currentThread())
        done.countDown()
    }
    holds(done.await(10, TimeUnit.SECONDS)) { "it was not run" }
    return ran.get()
}

private fun asleep(thread: Thread): Thread {
    repeat(1000) { if (thread.state == Thread.State.TIMED_WAITING) return thread else Thread.sleep(1) }
    throw AssertionError("the thread is ${thread.state}")
}

fun calls(suite: Suite) {
    suite.test("as many threads run as calls block, and the last one that did runs next") {
        val count = 100
        val all = CountDownLatch(count)
        val ended = CountDownLatch(count)
        repeat(count) {
            Threads.execute {
                all.countDown()
                all.await() // for ever, if there were fewer threads
                ended.countDown()
            }
        }
        holds(ended.await(10, TimeUnit.SECONDS)) { "${all.count} of $count threads are missing" }
        val first = asleep(runs { })
        repeat(10) { equal(first, asleep(runs { })) }
        // A callback may leave its thread interrupted: it sleeps all the same, and the next call is not.
        equal(first, asleep(runs { Thread.currentThread().interrupt() }))
        equal(first, runs { holds(!Thread.currentThread().isInterrupted) })
    }
    suite.test("a cancel handle serves again, unless it was fired") {
        val context = oneThread()
        val first = NativeCancel(context, reusable = true)
        val address = first.address
        first.close()
        val second = NativeCancel(context, reusable = true)
        equal(address, second.address)
        // Who had it before has it no more.
        first.fire()
        first.close()
        holds(!second.isFired)
        val other = NativeCancel(context, reusable = true)
        holds(other.address != second.address)
        other.close()
        second.fire()
        holds(second.isFired)
        second.close()
        val left = List(20) { NativeCancel(context, reusable = true) }
        holds(left.none { it.isFired })
        left.forEach { it.close() }
        val once = NativeCancel(context, reusable = false)
        val held = context.memory
        once.close()
        holds(context.memory < held) { "a handle that C may hold was kept" }
        context.close()
    }
    suite.test("a signal reaches all that it was given and that still run") {
        val context = oneThread()
        val signal = CancelSignal()
        val cancels = List(3) { NativeCancel(context, reusable = true).also(signal::add) }
        signal.remove(cancels[1])
        signal.remove(cancels[1])
        signal.cancel()
        equal(listOf(true, false, true), cancels.map { it.isFired })
        val late = NativeCancel(context, reusable = true).also(signal::add)
        holds(late.isFired)
        (cancels + late).forEach {
            signal.remove(it)
            it.close()
        }
        context.close()
    }
    suite.test("matches are ranges, near and far") {
        val within = TextRange(70_000, 90_000, 60_000, 80_000)
        val near = Request().int(2).flag(true)
        listOf(1, 2, 3, 4, 65_535, 65_534, 255, 256).forEach { near.raw(byteArrayOf(it.toByte(), (it shr 8).toByte())) }
        val read = Reply(near.int(7).toByteArray())
        equal(
            listOf(TextRange(70_001, 70_002, 60_003, 60_004), TextRange(135_535, 135_534, 60_255, 60_256)),
            read.ranges(within).toList(),
        )
        equal(7, read.int())
        val far = Request().int(1).flag(false).long(5_000_000_000).long(5_000_000_001).long(9).long(10).int(8)
        val other = Reply(far.toByteArray())
        equal(listOf(TextRange(5_000_000_000, 5_000_000_001, 9, 10)), other.ranges(within).toList())
        equal(8, other.int())
        throws<IndexOutOfBoundsException> { Reply(near.toByteArray()).ranges(within)[2] }
    }
    suite.test("a search whose job was cancelled before it does not begin") { folder ->
        val embedder = HoldingEmbedder()
        storeOf(folder, embedder).use { store ->
            val before = embedder.calls.get()
            coroutineScope {
                launch {
                    currentCoroutineContext().job.cancel()
                    throws<CancellationException> { store.search("words") }
                }
            }
            equal(before, embedder.calls.get())
            equal(1, store.search("words").size)
        }
    }
    suite.test("a search is cancelled by the thread that cancels, and ends before its job") { folder ->
        val embedder = HoldingEmbedder()
        storeOf(folder, embedder).use { store ->
            embedder.held = true
            coroutineScope {
                // Of one thread, which is the one that cancels and waits: nothing is dispatched meanwhile.
                val search = launch(start = CoroutineStart.UNDISPATCHED) { store.search("words") }
                embedder.begun.await()
                search.cancel()
                repeat(1000) { if (embedder.cancels.get() == 0) Thread.sleep(1) }
                equal(1, embedder.cancels.get())
                search.join()
                holds(search.isCancelled)
            }
            coroutineScope {
                val search = launch(Dispatchers.Default) { store.search("words") }
                while (embedder.calls.get() < 3) Thread.sleep(1)
                search.cancelAndJoin()
                equal(2, embedder.cancels.get())
            }
            embedder.held = false
            equal(1, store.search("words").size)
        }
    }
    suite.test("closing a store ends a search that is suspended, and waits for it") { folder ->
        val embedder = HoldingEmbedder()
        val store = storeOf(folder, embedder)
        embedder.held = true
        coroutineScope {
            val search = async(Dispatchers.Default) { throws<CancelledException> { store.search("words") } }
            embedder.begun.await()
            val others = List(2) { thread { store.close() } }
            store.close()
            equal(1, embedder.cancels.get())
            others.forEach { it.join() }
            search.await()
            throws<ClosedException> { store.search("words") }
        }
    }
    suite.test("a closing thread that is interrupted waits all the same, and stays so") { folder ->
        val embedder = HoldingEmbedder()
        val store = storeOf(folder, embedder)
        embedder.held = true
        val search = thread { throws<CancelledException> { store.searchBlocking("words") } }
        embedder.begun.await()
        val seen = AtomicReference<Pair<Int, Boolean>>()
        thread {
            Thread.currentThread().interrupt()
            store.close()
            seen.set(embedder.cancels.get() to Thread.currentThread().isInterrupted)
        }.join()
        search.join()
        equal(1 to true, seen.get())
    }
    suite.test("searches that are cancelled at any moment leave the next ones alone") { folder ->
        val context = oneThread()
        storeOf(folder, FakeEmbedder(), context).use { store ->
            val random = Random(4)
            var whole = 0
            repeat(1000) { round ->
                coroutineScope {
                    val found = AtomicInteger()
                    val search = launch(if (round % 2 == 0) Dispatchers.Default else Dispatchers.Unconfined) {
                        found.set(store.search("words").size)
                    }
                    val until = System.nanoTime() + random.nextInt(300_000)
                    while (System.nanoTime() < until) Thread.onSpinWait()
                    search.cancelAndJoin()
                    whole += found.get()
                    equal(1, store.search("words").size)
                    equal(1, store.searchBlocking("words").size)
                }
            }
            println("# $whole of 1000 had ended before")
        }
    }
    suite.test("a search resumes where its coroutine runs") { folder ->
        storeOf(folder, FakeEmbedder()).use { store ->
            val here = Thread.currentThread()
            store.search("words")
            equal(here, Thread.currentThread())
            withContext(Dispatchers.Unconfined) {
                store.search("words")
                holds(Thread.currentThread().name.startsWith("satchel-")) { Thread.currentThread().name }
                // On a thread of the package's own: a call from there needs another one.
                equal(1, store.search("words").size)
            }
        }
    }
}
