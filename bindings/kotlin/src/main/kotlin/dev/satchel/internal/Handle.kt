// Handles of C objects, guarded against use after and during closing; cancelling.
package dev.satchel.internal

import dev.satchel.CancelSignal
import dev.satchel.ClosedException
import dev.satchel.Context
import java.util.concurrent.locks.ReentrantLock
import kotlin.concurrent.withLock

/**
 * A C object and who is inside a call on it. C forbids closing a handle during a call, so [close] lets
 * new calls throw, cancels those that run, and waits until the last has returned. If the closing thread
 * is itself inside a call (a callback closes its store), it cannot wait: the last call out closes.
 */
internal class Handle(
    val context: Context,
    private val pointer: Long,
    private val what: String,
    private val release: NativeMethod,
) : AutoCloseable {
    /** A call that runs. */
    class Use(val thread: Thread, val cancel: NativeCancel?)

    private val lock = ReentrantLock()
    private val idle = lock.newCondition()
    private val uses = ArrayList<Use>(2)
    private var closed = false
    private var released = false

    init {
        context.retain()
    }

    fun enter(cancel: NativeCancel?): Use = lock.withLock {
        if (closed) throw ClosedException("$what is closed")
        Use(Thread.currentThread(), cancel).also { uses.add(it) }
    }

    fun leave(use: Use) {
        val last = lock.withLock {
            uses.remove(use)
            if (uses.isEmpty()) idle.signalAll()
            mayRelease()
        }
        if (last) destroy()
    }

    /** Runs [work] with the C object, which stays open meanwhile. */
    inline fun <T> use(cancel: NativeCancel? = null, work: (pointer: Long) -> T): T {
        val use = enter(cancel)
        try {
            return work(address)
        } finally {
            leave(use)
        }
    }

    /** To be read inside a call only. */
    val address: Long get() = pointer

    val isClosed: Boolean get() = lock.withLock { closed }

    override fun close() {
        val running = lock.withLock {
            closed = true
            uses.mapNotNull { it.cancel }
        }
        running.forEach { it.fire() }
        val mine = lock.withLock {
            val self = Thread.currentThread()
            while (uses.isNotEmpty() && uses.none { it.thread === self }) idle.awaitUninterruptibly()
            mayRelease()
        }
        if (mine) destroy()
    }

    /** Under the lock: whether the caller is to release the object. True only once. */
    private fun mayRelease(): Boolean {
        if (!closed || released || uses.isNotEmpty()) return false
        released = true
        return true
    }

    private fun destroy() {
        Request(8).long(pointer).send(release)
        context.release()
    }
}

/** A cancel handle of C, for one call or stream. */
internal class NativeCancel(private val context: Context) : AutoCloseable {
    private var pointer = 0L

    init {
        val on = context.retain()
        try {
            pointer = Request(8).long(on).send(Native::cancelOpen).long()
        } finally {
            if (pointer == 0L) context.release()
        }
    }

    /** To be read by the one who closes. */
    val address: Long get() = pointer

    @Synchronized
    fun fire() {
        if (pointer != 0L) Request(8).long(pointer).send(Native::cancelFire)
    }

    @Synchronized
    override fun close() {
        if (pointer == 0L) return
        Request(8).long(pointer).send(Native::cancelClose)
        pointer = 0
        context.release()
    }
}

/** Runs [work] with a cancel handle, which [signal] fires. */
internal inline fun <T> withCancel(context: Context, signal: CancelSignal?, work: (NativeCancel) -> T): T {
    val cancel = NativeCancel(context)
    try {
        signal?.add(cancel)
        return work(cancel)
    } finally {
        signal?.remove(cancel)
        cancel.close()
    }
}

/** Runs [work] with the C object and a cancel handle, which [signal] and closing fire. */
internal inline fun <T> Handle.cancellable(signal: CancelSignal?, work: (pointer: Long, cancel: Long) -> T): T =
    withCancel(context, signal) { cancel -> use(cancel) { work(it, cancel.address) } }
