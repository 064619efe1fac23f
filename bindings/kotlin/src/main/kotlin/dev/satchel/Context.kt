package dev.satchel

import dev.satchel.internal.LogCallback
import dev.satchel.internal.Native
import dev.satchel.internal.Reply
import dev.satchel.internal.Request
import dev.satchel.internal.Work
import dev.satchel.internal.withCancel
import java.util.concurrent.atomic.AtomicBoolean

/** The library itself. */
public object Satchel {
    /** Its version: "0.1.0". */
    @JvmStatic
    public val version: String get() = Request(0).send(Native::version).string()

    /** Whether it is at least this version. */
    @JvmStatic
    @JvmOverloads
    public fun isAtLeast(major: Int, minor: Int = 0, patch: Int = 0): Boolean =
        Request(12).int(major).int(minor).int(patch).send(Native::versionAtLeast).flag()

    /**
     * Whether it was built with a feature: "encoder", "faiss", "generator", "html", "kmeans", "markdown",
     * "stemmers".
     */
    @JvmStatic
    public fun has(feature: String): Boolean = Request().text(feature).send(Native::hasFeature).flag()

    /** The prompt that questions are asked with: JSON, see docs/prompts.md. */
    @JvmStatic
    public val defaultPrompt: String get() = Request(0).send(Native::promptDefault).string()
}

/** Takes messages for developers. It must not call Satchel; it may be called from any thread. */
public fun interface Logger {
    /** Takes one message. */
    public fun log(level: LogLevel, message: String)
}

/** How a [Context] works. What is null is left to the library. */
public class ContextOptions {
    /** Threads that compute; 1 starts none. */
    public var threads: Int? = null

    /** A ceiling of the processor's abilities, SATCHEL_CPU_*: for tests and measurements. */
    public var cpuLevel: Int? = null

    /** Bytes that Satchel may hold at most. */
    public var memoryLimit: Long? = null

    /** Takes messages for developers. */
    public var logger: Logger? = null

    /** How much the logger is told. */
    public var logLevel: LogLevel? = null

    /** Whether messages may hold paths, ids and text of the user's. */
    public var logContent: Boolean = false

    /** Folder where generators save what they have read; the app's cache folder is one. */
    public var cacheDirectory: String? = null

    /** Bytes in it at most. */
    public var cacheLimit: Long? = null

    /** Nothing is saved with less free on the volume. */
    public var cacheFreeFloor: Long? = null
}

/**
 * Memory, threads and limits that models and stores share. An app needs one, and has it without asking:
 * [shared] serves where none is given. It may be closed before what was opened on it.
 */
public class Context @JvmOverloads constructor(options: ContextOptions = ContextOptions()) : AutoCloseable {
    private val pointer: Long
    private val log: Long
    private val closed = AtomicBoolean()

    // Cancel handles that no call has just now, the last used last; also the lock of the next two.
    private val spare = LongArray(SPARES)
    private var spares = 0

    // The context itself until it is closed, what is open on it, and calls: the last to go closes the C
    // object, and then nothing can log any more.
    private var users = 1

    init {
        val reply = Request().int(options.threads).int(options.cpuLevel).long(options.memoryLimit)
            .int(options.logLevel?.code).flag(options.logContent).text(options.cacheDirectory)
            .long(options.cacheLimit).long(options.cacheFreeFloor)
            .send(Native::contextOpen, callback = options.logger?.let(::LogCallback))
        pointer = reply.long()
        log = reply.long()
    }

    private class Info(reply: Reply) {
        val memory = reply.long()
        val memoryPeak = reply.long()
        val threads = reply.int()
        val cpuLevel = reply.int()
        val cpuName = reply.string()
    }

    private val info: Info get() = use { Info(Request(8).long(it).send(Native::contextInfo)) }

    /** Bytes that Satchel holds now. */
    public val memory: Long get() = info.memory

    /** Bytes that Satchel held at most. */
    public val memoryPeak: Long get() = info.memoryPeak

    /** Threads that compute. */
    public val threads: Int get() = info.threads

    /** The processor's abilities in use, SATCHEL_CPU_*. */
    public val cpuLevel: Int get() = info.cpuLevel

    /** Their name: "avx512", "dotprod". */
    public val cpuName: String get() = info.cpuName

    /**
     * Deletes all that generators saved in [ContextOptions.cacheDirectory], by this process or another. Call it when
     * none runs: what one saves meanwhile may stay.
     */
    public suspend fun clearCache(): Unit = Work.run { clearCacheBlocking() }

    /** As [clearCache], blocking. */
    public fun clearCacheBlocking(): Unit = use {
        Request(8).long(it).send(Native::contextClearCache)
        Unit
    }

    /** Nothing more can be opened on it. What is open stays so; the last of it to be closed frees the context. */
    override fun close() {
        if (closed.compareAndSet(false, true)) release()
    }

    /** Keeps the C object alive for what is open on it, also when the context was closed meanwhile. */
    @JvmSynthetic
    internal fun retain(): Long = synchronized(spare) { hold() }

    private fun hold(): Long {
        if (users == 0) throw ClosedException("the context is closed")
        users++
        return pointer
    }

    @JvmSynthetic
    internal fun release() {
        if (synchronized(spare) { --users != 0 }) return
        while (spares > 0) Request(8).long(spare[--spares]).send(Native::cancelClose)
        Request(8).long(pointer).send(Native::contextClose)
        if (log != 0L) Request(8).long(log).send(Native::callbackRelease)
    }

    /** A cancel handle of C, which keeps the context alive; with [reusable] perhaps one that served before. */
    @JvmSynthetic
    internal fun openCancel(reusable: Boolean): Long {
        synchronized(spare) {
            hold()
            if (reusable && spares > 0) return spare[--spares]
        }
        try {
            return Request(8).long(pointer).send(Native::cancelOpen).long()
        } catch (failure: Throwable) {
            release()
            throw failure
        }
    }

    /** Closes a cancel handle, or keeps it for another call: if [reusable], nobody fired it and C has let go of it. */
    @JvmSynthetic
    internal fun closeCancel(cancel: Long, reusable: Boolean) {
        val kept = reusable && synchronized(spare) {
            (spares < SPARES).also { if (it) spare[spares++] = cancel }
        }
        if (!kept) Request(8).long(cancel).send(Native::cancelClose)
        release()
    }

    /** Runs [work] with the C object. */
    @JvmSynthetic
    internal inline fun <T> use(work: (pointer: Long) -> T): T {
        if (isClosed) throw ClosedException("the context is closed")
        val pointer = retain()
        try {
            return work(pointer)
        } finally {
            release()
        }
    }

    /** As [use], with a cancel handle that [signal] fires. */
    @JvmSynthetic
    internal inline fun <T> cancellable(signal: CancelSignal?, work: (pointer: Long, cancel: Long) -> T): T =
        use { pointer -> withCancel(this, signal, reusable = false) { work(pointer, it.address) } }

    @get:JvmSynthetic
    internal val isClosed: Boolean get() = closed.get()

    /** The context of those that are given none. */
    public companion object {
        // As many as calls of an app may well run at once.
        private const val SPARES = 8

        private val common by lazy { Context() }

        /** A context with the library's defaults, opened at first use and never closed. */
        @JvmStatic
        public fun shared(): Context = common
    }
}
