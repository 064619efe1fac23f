package dev.satchel

import dev.satchel.internal.NativeCancel
import dev.satchel.internal.links
import dev.satchel.internal.without

/**
 * Ends blocking calls and streams that were given it, from any thread: they throw [CancelledException]
 * within the time of one token or one batch. Once cancelled it stays so. Coroutines need none: there the
 * job is cancelled.
 */
public class CancelSignal {
    private var cancelled = false
    private var running: NativeCancel? = null

    /** Whether [cancel] was called. */
    public val isCancelled: Boolean
        @Synchronized get() = cancelled

    /** Cancels what runs with this signal, and what will. */
    @Synchronized
    public fun cancel() {
        cancelled = true
        running.links().forEach { it.fire() }
    }

    @JvmSynthetic
    @Synchronized
    internal fun add(cancel: NativeCancel) {
        cancel.next = running
        running = cancel
        if (cancelled) cancel.fire()
    }

    @JvmSynthetic
    @Synchronized
    internal fun remove(cancel: NativeCancel) {
        running = running.without(cancel)
    }
}
