package dev.satchel

import dev.satchel.internal.KMeansCallback
import dev.satchel.internal.Native
import dev.satchel.internal.NativeMethod
import dev.satchel.internal.Reply
import dev.satchel.internal.Request
import dev.satchel.internal.Work
import dev.satchel.internal.coded

/** How far a clustering is. */
public class KMeansProgress internal constructor(
    public val iteration: Int,
    public val iterations: Int,
    /** Points whose label changed in this iteration. */
    public val moved: Long,
    /** Root of the summed squared movement of the centroids. */
    public val shift: Double,
    public val elapsedMillis: Long,
)

/** Is told how far a clustering is. */
public fun interface KMeansListener {
    /** Called after each pass over the points. Throwing ends the work. */
    public fun onProgress(progress: KMeansProgress)
}

/** How points are clustered. What is null is left to the library. */
public class KMeansOptions {
    /** At most; -1: none, only seeding and labels. */
    public var iterations: Int? = null
    public var objective: KMeansObjective? = null
    public var mode: KMeansMode? = null
    public var init: KMeansInit? = null

    /** Centroids to begin with, one behind the other. */
    public var initial: FloatArray? = null

    /** 0: until no label changes. */
    public var tolerance: Double? = null
    public var seed: Long? = null

    /** Bytes of working memory. */
    public var memoryBudget: Long? = null
    public var threads: Int? = null
    public var progress: KMeansListener? = null
}

/** Points grouped around centroids: exact, and the same on every machine. */
public class KMeans internal constructor(reply: Reply) {
    /** Sum of squared distances (or inner products) of points to their centroids. */
    public val inertia: Double = reply.double()
    public val iterations: Int = reply.int()
    public val stop: KMeansStop = coded(reply.int(), KMeansStop.UNKNOWN)

    /** Clusters without a point in the end. */
    public val empty: Long = reply.long()

    /** Pairs scored in int8. */
    public val products: Long = reply.long()

    /** Pairs scored in double. */
    public val rechecks: Long = reply.long()

    /** Working memory held at most. */
    public val memoryBytes: Long = reply.long()
    public val seedMillis: Long = reply.long()
    public val iterateMillis: Long = reply.long()
    public val finalMillis: Long = reply.long()

    /** One behind the other. */
    public val centroids: FloatArray = reply.floats()

    /** For each point, the index of its centroid. */
    public val labels: IntArray = reply.ints()

    /** The nearest centroids of points, and how far they are. */
    public class Assignment internal constructor(reply: Reply) {
        public val labels: IntArray = reply.ints()

        /** Squared distances, or inner products. */
        public val distances: DoubleArray = reply.doubles()
    }

    /** Clusters points. */
    public companion object {
        /** The number of clusters when none is given. */
        @JvmStatic
        public fun defaultCount(points: Long): Long =
            Request(8).long(points).send(Native::kmeansDefaultK).long()

        /** Clusters points. */
        public suspend fun cluster(
            points: KMeansPoints,
            count: Int? = null,
            options: KMeansOptions = KMeansOptions(),
            context: Context = Context.shared(),
        ): KMeans = Work.run { clusterBlocking(points, count, options, context, it) }

        /** As [cluster], blocking. */
        @JvmStatic
        @JvmOverloads
        public fun clusterBlocking(
            points: KMeansPoints,
            count: Int? = null,
            options: KMeansOptions = KMeansOptions(),
            context: Context = Context.shared(),
            signal: CancelSignal? = null,
        ): KMeans = KMeans(
            send(Native::kmeans, points, count?.toLong(), options.initial, options, context, signal),
        )

        /** Labels points by their nearest centroid, by the same score as [cluster]. */
        public suspend fun assign(
            points: KMeansPoints,
            centroids: FloatArray,
            options: KMeansOptions = KMeansOptions(),
            context: Context = Context.shared(),
        ): Assignment = Work.run { assignBlocking(points, centroids, options, context, it) }

        /** As [assign], blocking. */
        @JvmStatic
        @JvmOverloads
        public fun assignBlocking(
            points: KMeansPoints,
            centroids: FloatArray,
            options: KMeansOptions = KMeansOptions(),
            context: Context = Context.shared(),
            signal: CancelSignal? = null,
        ): Assignment = Assignment(
            send(
                Native::kmeansAssign, points, rowsOf(centroids, points.dimension), centroids, options, context, signal,
            ),
        )

        private fun send(
            method: NativeMethod,
            points: KMeansPoints,
            count: Long?,
            centroids: FloatArray?,
            options: KMeansOptions,
            context: Context,
            signal: CancelSignal?,
        ): Reply = context.cancellable(signal) { pointer, cancel ->
            val request = points.write(Request().long(pointer)).long(count ?: defaultCount(points.count))
                .int(options.iterations).int(options.objective?.code).int(options.mode?.code)
                .int(options.init?.code).double(options.tolerance).long(options.seed)
                .long(options.memoryBudget).int(options.threads).long(cancel)
                .floats(centroids ?: FloatArray(0)).flag(options.progress != null)
            request.send(method, points.values, KMeansCallback(options.progress, points))
        }
    }
}
