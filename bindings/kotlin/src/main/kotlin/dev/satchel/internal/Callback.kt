// Kotlin code that C calls: all of it through one method, Callback.call, which never throws.
package dev.satchel.internal

import dev.satchel.CancelledException
import dev.satchel.Logger
import dev.satchel.LogLevel
import dev.satchel.KMeansListener
import dev.satchel.KMeansPoints
import dev.satchel.KMeansProgress
import dev.satchel.ProgressListener
import dev.satchel.SatchelException
import dev.satchel.Status
import dev.satchel.UnsupportedException
import kotlin.coroutines.cancellation.CancellationException

/**
 * What a callback threw, kept for the call that this thread is in: callbacks run on the thread of their
 * call, so the thread is where the two meet.
 */
internal object Thrown {
    private val kept = ThreadLocal<Throwable?>()

    fun keep(thrown: Throwable) = kept.set(thrown)

    fun take(status: Int): Throwable? {
        val thrown = kept.get() ?: return null
        kept.remove()
        return thrown.takeIf { status == Status.CALLBACK.code || status == Status.CANCELLED.code }
    }
}

/** The one class that C knows. */
internal abstract class Callback {
    /** Called by C, by this name. What it throws becomes a status, and the cause of what the caller sees. */
    fun call(operation: Int, request: ByteArray): ByteArray {
        val reply = Request(32).int(0)
        return try {
            answer(operation, Reply(request), reply)
            reply.toByteArray()
        } catch (cancelled: CancellationException) {
            Request(8).int(Status.CANCELLED.code).toByteArray()
        } catch (cancelled: CancelledException) {
            Request(8).int(Status.CANCELLED.code).toByteArray()
        } catch (thrown: Throwable) {
            Thrown.keep(thrown)
            val status =
                if (thrown is UnsupportedException || (thrown as? SatchelException)?.status == Status.UNSUPPORTED) {
                    Status.UNSUPPORTED
                } else {
                    Status.CALLBACK
                }
            val message = thrown.message ?: thrown.javaClass.name
            Request().int(status.code).bytes(message.toByteArray()).toByteArray()
        }
    }

    /** Reads what is asked for, and writes the answer behind the status. */
    protected abstract fun answer(operation: Int, asked: Reply, reply: Request)

    companion object {
        // As in jni/callbacks.c.
        const val PROGRESS = 1
        const val KMEANS_PROGRESS = 2
        const val PROBLEM = 3
        const val LOG = 4
        const val COUNT_TOKENS = 5
        const val COVERAGE = 6
        const val EMBED = 7
        const val BEGIN = 8
        const val NEXT = 9
        const val END = 10
        const val READ = 11
        const val POINTS = 12
    }
}

internal class ProgressCallback(private val listener: ProgressListener) : Callback() {
    override fun answer(operation: Int, asked: Reply, reply: Request) = listener.onProgress(asked.progress())
}

/** Is called for what there is: a listener, points that are read. */
internal class KMeansCallback(private val listener: KMeansListener?, private val points: KMeansPoints) : Callback() {
    override fun answer(operation: Int, asked: Reply, reply: Request) {
        if (operation == POINTS) {
            val first = asked.long()
            val count = asked.int()
            val rows = points.reader?.read(first, count) ?: FloatArray(0)
            check(rows.size == count * points.dimension) {
                "points from $first on: ${rows.size} numbers instead of $count rows of ${points.dimension}"
            }
            reply.rawFloats(rows)
        } else {
            listener?.onProgress(
                KMeansProgress(asked.int(), asked.int(), asked.long(), asked.double(), asked.long()),
            )
        }
    }
}

internal class ProblemCallback(private val report: (String) -> Unit) : Callback() {
    override fun answer(operation: Int, asked: Reply, reply: Request) = report(asked.string())
}

internal class LogCallback(private val logger: Logger) : Callback() {
    override fun answer(operation: Int, asked: Reply, reply: Request) =
        logger.log(coded(asked.int(), LogLevel.UNKNOWN), asked.string())
}

/** A cancel handle of C that a callback was given, valid while the callback runs. */
internal class GivenCancel(private val pointer: Long) {
    val isFired: Boolean get() = pointer != 0L && Request(8).long(pointer).send(Native::cancelFired).flag()
}
