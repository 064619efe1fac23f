package dev.satchel

import dev.satchel.internal.DONE
import dev.satchel.internal.EventReader
import dev.satchel.internal.Handle
import dev.satchel.internal.Native
import dev.satchel.internal.NativeCancel
import dev.satchel.internal.Request

/**
 * The events of an answer, a generated text or a sync, as blocking calls: the work happens inside
 * [next]. For one thread at a time; [close] and the signal may come from any. Close it when done, also
 * in the middle: that ends the work.
 */
public class EventStream<E : Any> internal constructor(
    private val context: Context,
    signal: CancelSignal?,
    private val reader: EventReader<E>,
    open: (cancel: Long) -> Long,
) : Iterable<E>, AutoCloseable {
    private val signal = signal
    private val cancel = NativeCancel(context, reusable = false)
    private val handle: Handle

    // Written and read by the thread that iterates.
    private var ended = false

    init {
        try {
            signal?.add(cancel)
            handle = Handle(context, open(cancel.address), "the stream", Native::streamClose)
        } catch (failure: Throwable) {
            signal?.remove(cancel)
            cancel.close()
            throw failure
        }
    }

    /** The next event, or null behind the last. After a failure every call throws it. */
    public fun next(): E? {
        while (!ended) {
            val reply = handle.use(cancel) { Request(8).long(it).send(Native::streamNext) }
            val kind = reply.int()
            ended = kind == DONE
            reader.read(kind, reply)?.let { return it }
        }
        return null
    }

    /** The events that are left. It does not begin anew. */
    override fun iterator(): Iterator<E> = object : AbstractIterator<E>() {
        override fun computeNext() {
            val event = this@EventStream.next()
            if (event == null) done() else setNext(event)
        }
    }

    /** Ends the work where it stands; what was committed stays. Waits for a [next] that is running. */
    override fun close() {
        handle.close()
        signal?.remove(cancel)
        cancel.close()
    }
}
