// JSON as metadata, messages and filters need it: no dependency, no reflection.
package dev.satchel.internal

import dev.satchel.ChatMessage

internal fun writeMessages(messages: List<ChatMessage>): String =
    Json.write(messages.map { mapOf("role" to it.role, "content" to it.content) })

internal fun readMessages(json: String): List<ChatMessage> = (Json.read(json) as? List<*>).orEmpty().map {
    val message = it as? Map<*, *>
    ChatMessage(message?.get("role") as? String ?: "", message?.get("content") as? String ?: "")
}

/** Objects are maps, arrays lists; numbers are Long where they are whole, else Double. */
internal object Json {
    fun write(value: Any?): String = StringBuilder().also { write(it, value) }.toString()

    private fun write(out: StringBuilder, value: Any?) {
        when (value) {
            null -> out.append("null")
            is Boolean -> out.append(value)
            is Number -> {
                val number = value.toDouble()
                require(!number.isNaN() && !number.isInfinite()) { "$number is no number of JSON" }
                out.append(value)
            }
            is CharSequence -> quote(out, value)
            is Map<*, *> -> {
                out.append('{')
                value.entries.forEachIndexed { index, (key, each) ->
                    if (index > 0) out.append(',')
                    quote(out, key.toString())
                    out.append(':')
                    write(out, each)
                }
                out.append('}')
            }
            is Iterable<*> -> {
                out.append('[')
                value.forEachIndexed { index, each ->
                    if (index > 0) out.append(',')
                    write(out, each)
                }
                out.append(']')
            }
            else -> throw IllegalArgumentException("${value.javaClass.name} has no form in JSON")
        }
    }

    private fun quote(out: StringBuilder, text: CharSequence) {
        out.append('"')
        for (unit in text) {
            when {
                unit == '"' || unit == '\\' -> out.append('\\').append(unit)
                unit < ' ' -> out.append("\\u").append(unit.code.toString(16).padStart(4, '0'))
                else -> out.append(unit)
            }
        }
        out.append('"')
    }

    /** Throws [IllegalArgumentException] where it is no JSON, or nested over 64 deep. */
    fun read(text: String): Any? = Parser(text).document()

    private class Parser(private val text: String) {
        private var at = 0

        fun document(): Any? {
            val value = value(0)
            space()
            if (at != text.length) wrong()
            return value
        }

        private fun wrong(): Nothing = throw IllegalArgumentException("no JSON at character $at")

        private fun space() {
            while (at < text.length && text[at] in " \t\r\n") at++
        }

        private fun take(sign: Char): Boolean {
            space()
            if (at == text.length || text[at] != sign) return false
            at++
            return true
        }

        private fun expect(sign: Char) {
            if (!take(sign)) wrong()
        }

        private fun word(word: String, value: Any?): Any? {
            if (!text.startsWith(word, at)) wrong()
            at += word.length
            return value
        }

        private fun value(depth: Int): Any? {
            if (depth > 64) wrong()
            space()
            if (at == text.length) wrong()
            return when (text[at]) {
                '{' -> objects(depth)
                '[' -> array(depth)
                '"' -> string()
                't' -> word("true", true)
                'f' -> word("false", false)
                'n' -> word("null", null)
                else -> number()
            }
        }

        private fun objects(depth: Int): Map<String, Any?> {
            expect('{')
            val map = LinkedHashMap<String, Any?>()
            if (take('}')) return map
            do {
                space()
                val key = string()
                expect(':')
                map[key] = value(depth + 1)
            } while (take(','))
            expect('}')
            return map
        }

        private fun array(depth: Int): List<Any?> {
            expect('[')
            val list = ArrayList<Any?>()
            if (take(']')) return list
            do list.add(value(depth + 1)) while (take(','))
            expect(']')
            return list
        }

        private fun string(): String {
            expect('"')
            val out = StringBuilder()
            while (true) {
                if (at == text.length) wrong()
                val unit = text[at++]
                if (unit == '"') return out.toString()
                out.append(if (unit == '\\') escape() else unit)
            }
        }

        private fun escape(): Char {
            if (at == text.length) wrong()
            return when (val unit = text[at++]) {
                'n' -> '\n'
                't' -> '\t'
                'r' -> '\r'
                'b' -> '\b'
                'f' -> '\u000C'
                '"', '\\', '/' -> unit
                'u' -> {
                    if (at + 4 > text.length) wrong()
                    val code = text.substring(at, at + 4).toIntOrNull(16) ?: wrong()
                    at += 4
                    code.toChar()
                }
                else -> wrong()
            }
        }

        private fun number(): Number {
            val from = at
            while (at < text.length && text[at] in "+-.0123456789eE") at++
            val digits = text.substring(from, at)
            return digits.toLongOrNull() ?: digits.toDoubleOrNull() ?: wrong()
        }
    }
}
