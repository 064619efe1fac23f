package dev.satchel

import dev.satchel.internal.Request

/** Gives points to cluster, wherever they come from. */
public fun interface PointReader {
    /**
     * Rows [first] to `first + count - 1`, one behind the other. Called in several passes, blocking, on the
     * thread that clusters; asked for the same row it gives the same numbers. Throwing ends the work.
     */
    public fun read(first: Long, count: Int): FloatArray
}

/** Where the points of a clustering come from: rows of [dimension] numbers each. */
public class KMeansPoints private constructor(
    /** How many there are. */
    public val count: Long,
    /** Numbers in each. */
    public val dimension: Int,
    @get:JvmSynthetic internal val values: FloatArray?,
    private val path: String?,
    private val offset: Long,
    @get:JvmSynthetic internal val reader: PointReader?,
) {
    @JvmSynthetic
    internal fun write(to: Request): Request =
        to.long(count).int(dimension).text(path).long(offset).flag(reader != null)

    /** Names places. */
    public companion object {
        /** Points in memory, row after row. */
        @JvmStatic
        public fun of(values: FloatArray, dimension: Int): KMeansPoints =
            KMeansPoints(rowsOf(values, dimension), dimension, values, null, 0, null)

        /**
         * [count] points in a file, row after row as little-endian floats, from byte [offset] on. It is read in
         * blocks.
         */
        @JvmStatic
        @JvmOverloads
        public fun file(path: String, count: Long, dimension: Int, offset: Long = 0): KMeansPoints =
            KMeansPoints(count, dimension, null, path, offset, null)

        /** [count] points that [reader] gives. */
        @JvmStatic
        public fun read(count: Long, dimension: Int, reader: PointReader): KMeansPoints =
            KMeansPoints(count, dimension, null, null, 0, reader)
    }
}

/** How many rows of [dimension] numbers [values] are. */
internal fun rowsOf(values: FloatArray, dimension: Int): Long {
    if (dimension < 1 || values.size % dimension != 0) {
        throw InvalidArgumentException("${values.size} values are no rows of $dimension")
    }
    return (values.size / dimension).toLong()
}
