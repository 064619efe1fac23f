// Runs all tests; prints TAP. Arguments: the scenarios, a folder to work in, a small embedding model.
// Without the races if the property dev.satchel.test.races is false.
package dev.satchel.test

import java.io.File
import kotlin.system.exitProcess

fun main(args: Array<String>) {
    val suite = Suite(File(args[1]))
    conformance(suite, File(args[0]))
    calls(suite)
    basics(suite, args.getOrNull(2)?.let(::File))
    if (System.getProperty("dev.satchel.test.races") != "false") races(suite)
    suite.end()
    exitProcess(if (suite.failed > 0) 1 else 0)
}
