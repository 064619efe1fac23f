// Blocking calls as coroutines: on threads of our own, cancelled with the job.
package dev.satchel.internal

import dev.satchel.CancelSignal
import dev.satchel.CancelledException
import dev.satchel.EventStream
import kotlinx.coroutines.CoroutineDispatcher
import kotlinx.coroutines.Job
import kotlinx.coroutines.asCoroutineDispatcher
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.cancellable
import kotlinx.coroutines.flow.channelFlow
import kotlinx.coroutines.withContext
import java.util.concurrent.SynchronousQueue
import java.util.concurrent.ThreadPoolExecutor
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicInteger
import kotlin.coroutines.suspendCoroutine

internal object Work {
    private val number = AtomicInteger()

    /**
     * As many threads as calls block, none when none does. No limit: a call may wait for an app's
     * generator that itself waits for another call, and a limit would let them wait for ever.
     */
    private val threads = ThreadPoolExecutor(
        0, Int.MAX_VALUE, 10, TimeUnit.SECONDS, SynchronousQueue(),
    ) { work -> Thread(work, "satchel-${number.incrementAndGet()}").apply { isDaemon = true } }

    private val dispatcher: CoroutineDispatcher = threads.asCoroutineDispatcher()

    /**
     * Runs [work] with a signal that is cancelled with the caller's job, at once, by the very thread that
     * cancels it. No scope and no coroutine of its own: they would cost more than a short search's hits.
     */
    private suspend inline fun <T> hooked(work: (CancelSignal) -> T): T {
        val job = currentCoroutineContext()[Job]
        job?.ensureActive()
        val signal = CancelSignal()
        // A child without work ends where its parent is cancelled.
        val hook = Job(job)
        hook.invokeOnCompletion { cause -> if (cause != null) signal.cancel() }
        try {
            val made = work(signal)
            job?.ensureActive()
            return made
        } catch (cancelled: CancelledException) {
            job?.ensureActive()
            throw cancelled
        } finally {
            hook.complete()
        }
    }

    /**
     * Runs [work] on a thread of ours. When the job is cancelled it waits for the work to end, which it then
     * does within the time of one token or batch: what the work uses may be freed when this returns.
     */
    suspend fun <T> run(work: (CancelSignal) -> T): T = hooked { signal ->
        suspendCoroutine { caller -> threads.execute { caller.resumeWith(runCatching { work(signal) }) } }
    }

    /** As [run], for what must be closed if the job is cancelled just when it was opened. */
    suspend fun <T : AutoCloseable> open(work: (CancelSignal) -> T): T {
        var made: T? = null
        try {
            return run { signal -> work(signal).also { made = it } }
        } catch (failure: Throwable) {
            made?.close()
            throw failure
        }
    }

    /** A stream's events, each collection from a stream of its own, which is closed when it ends. */
    fun <E : Any> flow(open: (CancelSignal) -> EventStream<E>): Flow<E> = channelFlow {
        hooked { signal ->
            withContext(dispatcher) {
                open(signal).use { stream ->
                    for (event in stream) send(event)
                }
            }
        }
    }.cancellable() // events that lie ready are dropped too
}
