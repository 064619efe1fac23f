// Blocking calls as coroutines: on threads of our own, cancelled with the job.
package dev.satchel.internal

import dev.satchel.CancelSignal
import dev.satchel.CancelledException
import dev.satchel.EventStream
import kotlinx.coroutines.CoroutineDispatcher
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.asCoroutineDispatcher
import kotlinx.coroutines.awaitCancellation
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.cancellable
import kotlinx.coroutines.flow.channelFlow
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext
import java.util.concurrent.SynchronousQueue
import java.util.concurrent.ThreadPoolExecutor
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicInteger

internal object Work {
    private val number = AtomicInteger()

    /**
     * As many threads as calls block, none when none does. No limit: a call may wait for an app's
     * generator that itself waits for another call, and a limit would let them wait for ever.
     */
    private val threads = ThreadPoolExecutor(
        0, Int.MAX_VALUE, 10, TimeUnit.SECONDS, SynchronousQueue(),
    ) { work -> Thread(work, "satchel-${number.incrementAndGet()}").apply { isDaemon = true } }

    val dispatcher: CoroutineDispatcher = threads.asCoroutineDispatcher()

    /**
     * Runs [work] on a thread of ours. Cancelling the job cancels the signal at once and waits for the
     * work to end, which it then does within the time of one token or batch: what the work uses may be
     * freed when this returns.
     */
    suspend fun <T> run(work: suspend (CancelSignal) -> T): T = coroutineScope {
        val signal = CancelSignal()
        // Unconfined: the signal is cancelled by the very thread that cancels the job.
        val watcher = launch(Dispatchers.Unconfined, CoroutineStart.UNDISPATCHED) {
            try {
                awaitCancellation()
            } finally {
                signal.cancel()
            }
        }
        try {
            withContext(dispatcher) { work(signal) }
        } catch (cancelled: CancelledException) {
            ensureActive()
            throw cancelled
        } finally {
            watcher.cancel()
        }
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
        run { signal ->
            open(signal).use { stream ->
                for (event in stream) send(event)
            }
        }
    }.cancellable() // events that lie ready are dropped too
}
