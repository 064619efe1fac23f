package dev.satchel

import dev.satchel.internal.LogCallback
import dev.satchel.internal.Native
import dev.satchel.internal.Reply
import dev.satchel.internal.Request
import dev.satchel.internal.Work
import dev.satchel.internal.withCancel
import java.util.concurrent.atomic.AtomicBoolean
import java.util.concurrent.atomic.AtomicInteger

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

    // The context itself until it is closed, what is open on it, and calls: the last to go closes the C
    // object, and then nothing can log any more.
    private val users = AtomicInteger(1)

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
    internal fun retain(): Long {
        while (true) {
            val now = users.get()
            if (now == 0) throw ClosedException("the context is closed")
            if (users.compareAndSet(now, now + 1)) return pointer
        }
    }

    @JvmSynthetic
    internal fun release() {
        if (users.decrementAndGet() != 0) return
        Request(8).long(pointer).send(Native::contextClose)
        if (log != 0L) Request(8).long(log).send(Native::callbackRelease)
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
        use { pointer -> withCancel(this, signal) { work(pointer, it.address) } }

    @get:JvmSynthetic
    internal val isClosed: Boolean get() = closed.get()

    /** The context of those that are given none. */
    public companion object {
        private val common by lazy { Context() }

        /** A context with the library's defaults, opened at first use and never closed. */
        @JvmStatic
        public fun shared(): Context = common
    }
}
