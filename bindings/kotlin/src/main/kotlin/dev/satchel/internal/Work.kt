// Blocking calls as coroutines: on threads of our own, cancelled with the job.
package dev.satchel.internal

import dev.satchel.CancelSignal
import dev.satchel.CancelledException
import dev.satchel.EventStream
import kotlinx.coroutines.CancellableContinuation
import kotlinx.coroutines.Job
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.cancellable
import kotlinx.coroutines.flow.channelFlow
import kotlinx.coroutines.suspendCancellableCoroutine
import kotlinx.coroutines.withContext
import java.util.concurrent.atomic.AtomicReference
import kotlin.coroutines.Continuation
import kotlin.coroutines.cancellation.CancellationException
import kotlin.coroutines.resume
import kotlin.coroutines.suspendCoroutine

internal object Work {
    /**
     * A call on a thread of ours. It is itself what the thread runs and what the job calls when it is cancelled, at
     * once and on the thread that cancels it: what a short search touches besides its hits costs as much as they do.
     * Its value is null while it runs and nobody waits, then who waits, then [ENDED].
     */
    private class Call<T>(private val work: (CancelSignal) -> T) :
        AtomicReference<Any?>(), Runnable, (Throwable?) -> Unit {
        private val signal = CancelSignal()
        private var result: Result<T>? = null // set before ENDED is

        override fun run() {
            val made = runCatching { work(signal) }
            result = made
            val waiting = getAndSet(ENDED)
            @Suppress("UNCHECKED_CAST")
            when (waiting) {
                is CancellableContinuation<*> -> (waiting as CancellableContinuation<T>).resumeWith(made)
                is Continuation<*> -> (waiting as Continuation<Unit>).resume(Unit)
            }
        }

        /** Gives [caller] what the work makes. */
        fun await(caller: CancellableContinuation<T>) {
            caller.invokeOnCancellation(this)
            if (!compareAndSet(null, caller)) caller.resumeWith(checkNotNull(result))
        }

        /** The job was cancelled. */
        override fun invoke(cause: Throwable?) = signal.cancel()

        /** Returns when the work has ended, also in a job that was cancelled; the caller gets nothing any more. */
        suspend fun join() = suspendCoroutine {
            val waiting = get()
            if (waiting === ENDED || !compareAndSet(waiting, it)) it.resume(Unit)
        }
    }

    private val ENDED = Any()

    /**
     * Runs [work] on a thread of ours, with a signal that is cancelled with the caller's job. When that happens it
     * waits for the work to end, which it then does within the time of one token or batch: what the work uses may be
     * freed when this returns.
     */
    suspend fun <T> run(work: (CancelSignal) -> T): T {
        currentCoroutineContext().ensureActive()
        val call = Call(work)
        Threads.execute(call) // first of all: the rest is done while it runs
        try {
            return suspendCancellableCoroutine { call.await(it) }
        } catch (cancelled: CancellationException) {
            call.join()
            throw cancelled
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

    /** Runs [work] with a signal that is cancelled with the caller's job, at once, by the thread that cancels it. */
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

    /** A stream's events, each collection from a stream of its own, which is closed when it ends. */
    fun <E : Any> flow(open: (CancelSignal) -> EventStream<E>): Flow<E> = channelFlow {
        hooked { signal ->
            withContext(Threads) {
                open(signal).use { stream ->
                    for (event in stream) send(event)
                }
            }
        }
    }.cancellable() // events that lie ready are dropped too
}
