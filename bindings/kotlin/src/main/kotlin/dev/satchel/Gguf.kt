package dev.satchel

import dev.satchel.internal.Native
import dev.satchel.internal.Reply
import dev.satchel.internal.Request

/** What is in a GGUF file, whether or not it can be opened as a model. */
public class Gguf internal constructor(reply: Reply) {
    /** A key and its value. */
    public class Key internal constructor(reply: Reply) {
        public val name: String = reply.string()

        /** "string", "u32", "array of i32" */
        public val type: String = reply.string()

        /** JSON; of a long string or array the beginning. */
        public val value: String = reply.string()

        /** Bytes of a string, elements of an array; else 1. */
        public val count: Long = reply.long()

        /** Whether [value] is not all of it. */
        public val isCut: Boolean = reply.flag()

        /** File it is in, from 0. */
        public val part: Int = reply.int()
    }

    /** A tensor. */
    public class Tensor internal constructor(reply: Reply) {
        public val name: String = reply.string()

        /** "Q8_0"; "?" if unknown. */
        public val type: String = reply.string()

        /** As the file has it. */
        public val typeId: Int = reply.int()

        /** The first runs fastest. */
        public val shape: List<Long> = reply.list { reply.long() }
        public val bytes: Long = reply.long()
        public val offset: Long = reply.long()

        /** File it is in, from 0. */
        public val part: Int = reply.int()
    }

    /** Of the format. */
    public val version: Int = reply.int()

    /** Files that the model is split into. */
    public val parts: Int = reply.int()
    public val fileBytes: Long = reply.long()
    public val tensorBytes: Long = reply.long()
    public val parameterCount: Long = reply.long()
    public val keys: List<Key> = reply.list { Key(reply) }
    public val tensors: List<Tensor> = reply.list { Tensor(reply) }

    /** Reads files. */
    public companion object {
        /** Reads a file's keys and list of tensors. [limit]: elements and bytes of a value shown at most; -1: all. */
        @JvmStatic
        @JvmOverloads
        public fun read(path: String, limit: Long? = null, context: Context = Context.shared()): Gguf =
            context.use { Gguf(Request().long(it).text(path).long(limit).send(Native::ggufRead)) }
    }
}
