package dev.satchel

import dev.satchel.internal.Json

/**
 * A half-open range of a text: in bytes of its UTF-8, [start] to [end], and in UTF-16 units, which is what
 * [String] counts in, [startUtf16] to [endUtf16].
 */
public class TextRange(
    public val start: Long,
    public val end: Long,
    public val startUtf16: Int,
    public val endUtf16: Int,
) {
    /** The part of [text] that it names. */
    public fun of(text: String): String = text.substring(startUtf16, endUtf16)

    override fun equals(other: Any?): Boolean = other is TextRange && start == other.start && end == other.end &&
        startUtf16 == other.startUtf16 && endUtf16 == other.endUtf16

    override fun hashCode(): Int = start.hashCode() * 31 + end.hashCode()

    override fun toString(): String = "$start..$end"
}

/** Chooses documents: see docs/filters.md. */
public class Filter private constructor(
    /** The filter as the library reads it. */
    public val json: String,
) {
    /** Documents that this does not choose. */
    public operator fun not(): Filter = Filter("""{"not":$json}""")

    override fun toString(): String = json

    /** Makes filters. */
    public companion object {
        private fun pair(key: String, value: Any?) = Filter(Json.write(mapOf(key to value)))

        /** A filter in the library's own words. */
        @JvmStatic
        public fun json(json: String): Filter = Filter(json)

        /** Documents whose id matches a pattern: "notes/" and "*" behind it. */
        @JvmStatic
        public fun path(pattern: String): Filter = pair("path", pattern)

        /** Documents with one of these values under a key of their metadata. */
        @JvmStatic
        public fun metadata(key: String, vararg values: Any): Filter = pair("meta.$key", values.asList())

        /** Documents with a number under a key of their metadata, from [from], below [below]. */
        @JvmStatic
        public fun range(key: String, from: Double?, below: Double?): Filter =
            pair("meta.$key", buildMap { if (from != null) put("gte", from); if (below != null) put("lt", below) })

        /** Documents that all of the filters choose. */
        @JvmStatic
        public fun all(vararg filters: Filter): Filter =
            Filter(filters.joinToString(",", """{"and":[""", "]}") { it.json })

        /** Documents that any of the filters chooses. */
        @JvmStatic
        public fun any(vararg filters: Filter): Filter =
            Filter(filters.joinToString(",", """{"or":[""", "]}") { it.json })
    }
}
