// Threads that blocking calls of coroutines run on.
package dev.satchel.internal

import kotlinx.coroutines.CoroutineDispatcher
import java.util.concurrent.TimeUnit
import java.util.concurrent.locks.LockSupport
import kotlin.coroutines.CoroutineContext

/**
 * As many threads as calls block, none when none does. No limit: a call may wait for an app's generator that
 * itself waits for another call, and a limit would let them wait for ever.
 *
 * The thread that became idle last runs next: its stack and what it needs are the likeliest to be in a
 * processor's cache still, which a search's streaming through a model leaves little in. The others are left to
 * end.
 */
internal object Threads : CoroutineDispatcher() {
    private val IDLE_NANOS = TimeUnit.SECONDS.toNanos(10)

    private var top: Worker? = null
    private var number = 0

    override fun dispatch(context: CoroutineContext, block: Runnable) = execute(block)

    /** Runs [work] at once, on a thread that does nothing else meanwhile. */
    fun execute(work: Runnable) {
        val idle = take(work)
        if (idle != null) {
            LockSupport.unpark(idle)
        } else {
            Worker(work, synchronized(this) { ++number }).start()
        }
    }

    @Synchronized
    private fun take(work: Runnable): Worker? {
        val worker = top ?: return null
        top = worker.next
        worker.next = null
        worker.work = work
        return worker
    }

    @Synchronized
    private fun give(worker: Worker) {
        worker.work = null
        worker.next = top
        top = worker
    }

    /** Whether it is idle still, and now nobody can find it any more. */
    @Synchronized
    private fun end(worker: Worker): Boolean {
        if (worker.work != null) return false
        top = top.without(worker)
        return true
    }

    private class Worker(first: Runnable, number: Int) : Thread("satchel-$number"), Link<Worker> {
        /** The idle one beneath. Changed under the lock. */
        override var next: Worker? = null

        /** What to run; null while it is idle. Changed under the lock. */
        @Volatile
        var work: Runnable? = first

        init {
            isDaemon = true
        }

        override fun run() {
            do {
                work?.run()
                give(this)
            } while (hasMore())
        }

        /** Sleeps until there is something to run, or for long enough. */
        private fun hasMore(): Boolean {
            val end = System.nanoTime() + IDLE_NANOS
            while (work == null) {
                val left = end - System.nanoTime()
                if (left <= 0 && end(this)) return false
                LockSupport.parkNanos(this, left)
                interrupted() // by a callback: else it would never sleep again
            }
            return true
        }
    }
}
