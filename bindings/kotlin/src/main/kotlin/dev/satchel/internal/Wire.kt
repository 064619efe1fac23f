// Requests to the native methods and their replies: little-endian numbers, texts as UTF-8 with length.
package dev.satchel.internal

import dev.satchel.SatchelException
import dev.satchel.Status
import dev.satchel.TextRange
import java.nio.ByteBuffer
import java.nio.ByteOrder

/**
 * The UTF-8 of a text. Java's own encoder writes '?' for half a character; that would change what is
 * stored without a word, so it is refused.
 */
internal fun utf8(text: String): ByteArray {
    var index = 0
    while (index < text.length) {
        val unit = text[index++]
        if (!unit.isSurrogate()) continue
        if (unit.isLowSurrogate() || index == text.length || !text[index].isLowSurrogate()) {
            throw SatchelException.of(
                Status.INVALID_TEXT.code, 0,
                "the text is not valid UTF-16: half a character at unit ${index - 1}", null,
            )
        }
        index++
    }
    return text.toByteArray(Charsets.UTF_8)
}

/** What a native method is asked, written field by field in the order in which it reads them. */
internal class Request(capacity: Int = 160) {
    private var bytes = ByteArray(capacity)
    private var length = 0

    private fun room(size: Int): Int {
        val at = length
        if (size > bytes.size - at) {
            val most = Int.MAX_VALUE - 16
            if (size > most - at) throw OutOfMemoryError("a request of over 2 GiB")
            bytes = bytes.copyOf(maxOf(at + size, if (at < most / 2) at * 2 else most))
        }
        length = at + size
        return at
    }

    fun int(value: Int): Request {
        val at = room(4)
        bytes[at] = value.toByte()
        bytes[at + 1] = (value shr 8).toByte()
        bytes[at + 2] = (value shr 16).toByte()
        bytes[at + 3] = (value shr 24).toByte()
        return this
    }

    fun long(value: Long): Request = int(value.toInt()).int((value shr 32).toInt())

    fun float(value: Float): Request = int(value.toRawBits())

    fun double(value: Double): Request = long(value.toRawBits())

    fun flag(value: Boolean): Request = int(if (value) 1 else 0)

    // What is null is zero in C, which means the default there: no default is repeated here.
    fun int(value: Int?): Request = int(value ?: 0)

    fun long(value: Long?): Request = long(value ?: 0L)

    fun float(value: Float?): Request = float(value ?: 0f)

    fun double(value: Double?): Request = double(value ?: 0.0)

    /** A text, with a NUL behind it for C. */
    fun text(value: String?): Request = if (value == null) int(-1) else bytes(utf8(value))

    fun bytes(value: ByteArray): Request {
        int(value.size)
        val at = room(value.size + 1)
        value.copyInto(bytes, at)
        bytes[at + value.size] = 0
        return this
    }

    /** Bytes without their length, as the last of a callback's reply. */
    fun raw(value: ByteArray): Request {
        val at = room(value.size)
        value.copyInto(bytes, at)
        return this
    }

    fun texts(values: List<String>): Request {
        int(values.size)
        values.forEach { text(it) }
        return this
    }

    private fun numbers(count: Int): ByteBuffer {
        val at = room(Math.multiplyExact(count, 4))
        return ByteBuffer.wrap(bytes, at, count * 4).order(ByteOrder.LITTLE_ENDIAN)
    }

    fun ints(values: IntArray): Request {
        int(values.size).numbers(values.size).asIntBuffer().put(values)
        return this
    }

    fun floats(values: FloatArray): Request = int(values.size).rawFloats(values)

    /** Without their number, as the last of a callback's reply. */
    fun rawFloats(values: FloatArray): Request {
        numbers(values.size).asFloatBuffer().put(values)
        return this
    }

    /** What was written, for replies of callbacks. */
    fun toByteArray(): ByteArray = if (length == bytes.size) bytes else bytes.copyOf(length)

    /** Calls [method]; throws what it reports. */
    fun send(method: NativeMethod, data: Any? = null, callback: Callback? = null): Reply {
        val reply = Reply(method.call(bytes, length, data, callback))
        val status = reply.int()
        if (status != 0) {
            throw SatchelException.of(status, reply.int(), reply.string(), Thrown.take(status))
        }
        return reply
    }
}

/** What a native method replies, or what it calls Kotlin with. */
internal class Reply(private val bytes: ByteArray) {
    private var at = 0

    val rest: Int get() = bytes.size - at

    fun int(): Int {
        val from = at
        at = from + 4
        return (bytes[from].toInt() and 255) or ((bytes[from + 1].toInt() and 255) shl 8) or
            ((bytes[from + 2].toInt() and 255) shl 16) or (bytes[from + 3].toInt() shl 24)
    }

    /** Without a sign. */
    fun short(): Int {
        val from = at
        at = from + 2
        return (bytes[from].toInt() and 255) or ((bytes[from + 1].toInt() and 255) shl 8)
    }

    fun long(): Long = (int().toLong() and 0xFFFFFFFFL) or (int().toLong() shl 32)

    fun float(): Float = Float.fromBits(int())

    fun double(): Double = Double.fromBits(long())

    fun flag(): Boolean = int() != 0

    fun text(): String? {
        val length = int()
        if (length <= 0) return if (length < 0) null else ""
        val from = at
        at = from + length
        return String(bytes, from, length, Charsets.UTF_8)
    }

    /** A text that is never NULL in C. */
    fun string(): String = text().orEmpty()

    fun bytes(): ByteArray {
        val length = int()
        val from = at
        at = from + length
        return bytes.copyOfRange(from, at)
    }

    private fun buffer(): ByteBuffer {
        val length = int()
        val from = at
        at = from + length
        return ByteBuffer.wrap(bytes, from, length).order(ByteOrder.LITTLE_ENDIAN)
    }

    fun floats(): FloatArray {
        val buffer = buffer().asFloatBuffer()
        return FloatArray(buffer.remaining()).also { buffer.get(it) }
    }

    fun ints(): IntArray {
        val buffer = buffer().asIntBuffer()
        return IntArray(buffer.remaining()).also { buffer.get(it) }
    }

    fun doubles(): DoubleArray {
        val buffer = buffer().asDoubleBuffer()
        return DoubleArray(buffer.remaining()).also { buffer.get(it) }
    }

    /** Rows of [width] values, one behind the other. */
    fun rows(width: Int): List<FloatArray> {
        val all = floats()
        return List(if (width > 0) all.size / width else 0) { all.copyOfRange(it * width, (it + 1) * width) }
    }

    fun range(): TextRange {
        val start = long()
        val end = long()
        return TextRange(start, end, long().toInt(), long().toInt())
    }

    /**
     * Ranges [within] another, made when they are looked at: a search has hundreds, and few are. Most lie in 8
     * bytes, counted from the start of that.
     */
    fun ranges(within: TextRange): List<TextRange> {
        val count = int()
        val near = flag()
        val from = at
        at = from + count * if (near) NEAR_BYTES else RANGE_BYTES
        return if (count == 0) emptyList() else Ranges(bytes, from, count, within.takeIf { near })
    }

    private class Ranges(
        private val bytes: ByteArray,
        private val from: Int,
        override val size: Int,
        private val within: TextRange?,
    ) : AbstractList<TextRange>(), RandomAccess {
        override fun get(index: Int): TextRange {
            if (index < 0 || index >= size) throw IndexOutOfBoundsException("$index of $size")
            val reply = Reply(bytes)
            if (within == null) {
                reply.at = from + index * RANGE_BYTES
                return reply.range()
            }
            reply.at = from + index * NEAR_BYTES
            // Arguments are evaluated in the order in which they stand.
            return TextRange(
                within.start + reply.short(), within.start + reply.short(),
                within.startUtf16 + reply.short(), within.startUtf16 + reply.short(),
            )
        }
    }

    private companion object {
        const val RANGE_BYTES = 32
        const val NEAR_BYTES = 8
    }

    inline fun <T> list(element: () -> T): List<T> {
        val count = int()
        return ArrayList<T>(count).apply { repeat(count) { add(element()) } }
    }
}
