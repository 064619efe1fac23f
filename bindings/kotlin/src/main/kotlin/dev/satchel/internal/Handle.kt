// Handles of C objects, guarded against use after and during closing; cancelling.
package dev.satchel.internal

import dev.satchel.CancelSignal
import dev.satchel.ClosedException
import dev.satchel.Context
import java.util.concurrent.CountDownLatch

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
    /** A call that runs, and the one that began before it. */
    class Use(val thread: Thread, val cancel: NativeCancel?, override var next: Use?) : Link<Use>

    // Under the lock, which is the handle itself: a call touches nothing but it and its own Use.
    private var uses: Use? = null
    private var closed = false
    private var released = false
    private var idle: CountDownLatch? = null // of those who close it and wait

    init {
        context.retain()
    }

    @Synchronized
    fun enter(cancel: NativeCancel?): Use {
        if (closed) throw ClosedException("$what is closed")
        return Use(Thread.currentThread(), cancel, uses).also { uses = it }
    }

    fun leave(use: Use) {
        if (remove(use)) destroy()
    }

    /** Whether the caller is to release the object. */
    @Synchronized
    private fun remove(use: Use): Boolean {
        uses = uses.without(use)
        if (uses == null) idle?.countDown()
        return mayRelease()
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

    val isClosed: Boolean @Synchronized get() = closed

    override fun close() {
        val running = synchronized(this) {
            closed = true
            uses.links().toList()
        }
        // Not under the lock: who ends meanwhile is not held up, and its handle says that it has ended.
        running.forEach { it.cancel?.fire() }
        synchronized(this) {
            val self = Thread.currentThread()
            val waits = uses != null && uses.links().none { it.thread === self }
            if (waits) idle ?: CountDownLatch(1).also { idle = it } else null
        }?.awaitUninterruptibly()
        if (synchronized(this) { mayRelease() }) destroy()
    }

    /** Under the lock: whether the caller is to release the object. True only once. */
    private fun mayRelease(): Boolean {
        if (!closed || released || uses != null) return false
        released = true
        return true
    }

    private fun destroy() {
        Request(8).long(pointer).send(release)
        context.release()
    }
}

private fun CountDownLatch.awaitUninterruptibly() {
    var interrupted = false
    while (true) {
        try {
            await()
            break
        } catch (again: InterruptedException) {
            interrupted = true
        }
    }
    if (interrupted) Thread.currentThread().interrupt()
}

/**
 * A cancel handle of C, for one call or stream. With [reusable] C keeps no hold of it behind the call, so that it
 * may serve another one, unless it was fired.
 */
internal class NativeCancel(private val context: Context, private val reusable: Boolean) :
    AutoCloseable, Link<NativeCancel> {
    private var pointer = context.openCancel(reusable)
    private var fired = false

    /** The one that its signal was given before it. Of the signal. */
    override var next: NativeCancel? = null

    /** To be read by the one who closes. */
    val address: Long get() = pointer

    @Synchronized
    fun fire() {
        if (pointer == 0L) return
        fired = true
        Request(8).long(pointer).send(Native::cancelFire)
    }

    @Synchronized
    override fun close() {
        if (pointer == 0L) return
        context.closeCancel(pointer, reusable && !fired)
        pointer = 0
    }
}

/** Runs [work] with a cancel handle, which [signal] fires. */
internal inline fun <T> withCancel(
    context: Context,
    signal: CancelSignal?,
    reusable: Boolean,
    work: (NativeCancel) -> T,
): T {
    val cancel = NativeCancel(context, reusable)
    try {
        signal?.add(cancel)
        return work(cancel)
    } finally {
        signal?.remove(cancel)
        cancel.close()
    }
}

/**
 * Runs [work] with the C object and a cancel handle, which [signal] and closing fire. With [kept], what the work
 * makes may hold the cancel handle.
 */
internal inline fun <T> Handle.cancellable(
    signal: CancelSignal?,
    kept: Boolean = false,
    work: (pointer: Long, cancel: Long) -> T,
): T = withCancel(context, signal, !kept) { cancel -> use(cancel) { work(it, cancel.address) } }
