package dev.satchel.internal

import dev.satchel.Coded
import kotlin.enums.enumEntries

/** The constant with a number of the library's, or [unknown]. */
internal inline fun <reified T> coded(code: Int, unknown: T): T where T : Enum<T>, T : Coded =
    enumEntries<T>().firstOrNull { it.code == code } ?: unknown
