package dev.satchel

import dev.satchel.internal.Callback
import dev.satchel.internal.Reply
import dev.satchel.internal.Request

/** Takes what a [Reader] finds in a file, in the order of the text. */
public class ReaderOutput internal constructor(private val reply: Request) {
    private fun part(kind: Int, number: Long, text: String?) {
        reply.int(kind).long(number)
        if (text == null) reply.int(-1) else reply.bytes(text.toByteArray(Charsets.UTF_8))
    }

    /** Adds text. Paragraphs are separated by an empty line. */
    public fun text(text: String): Unit = part(0, 0, text)

    /** Sets the title, if the one who adds the document gave none. */
    public fun title(title: String): Unit = part(-1, 0, title)

    /** What follows stands on this page, from 1. */
    public fun page(number: Int): Unit = part(1, number.toLong(), null)

    /** What follows stands on this slide, from 1. */
    public fun slide(number: Int): Unit = part(2, number.toLong(), null)

    /** What follows stands under this heading, of level 1 to 6. */
    public fun heading(level: Int, heading: String): Unit = part(3, level.toLong(), heading)

    /** What follows is said at this time of a recording. */
    public fun time(milliseconds: Long): Unit = part(4, milliseconds, null)
}

/**
 * A reader of the app's own: the bytes of a file to text. Called on the thread that adds or syncs. It
 * throws [UnsupportedException] to let the next reader try; what else it throws is why the file failed.
 */
public interface Reader {
    /** "pdfbox" */
    public val id: String

    /** "application/pdf" */
    public val mediaTypes: List<String>

    /** Without dots: "pdf". */
    public val extensions: List<String> get() = emptyList()

    /** Reads a file. */
    public fun read(mediaType: String, data: ByteArray, output: ReaderOutput)
}

internal class ReaderCallback(private val reader: Reader) : Callback() {
    override fun answer(operation: Int, asked: Reply, reply: Request) =
        reader.read(asked.string(), asked.bytes(), ReaderOutput(reply))
}
