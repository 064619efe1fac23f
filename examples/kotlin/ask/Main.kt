// Reads a folder into a store and answers a question from it, with citations:
//
//     ask STORE FOLDER QUESTION
import dev.satchel.CitationEvent
import dev.satchel.Store
import dev.satchel.TokenEvent
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.runBlocking

fun main(args: Array<String>) = runBlocking {
    Store.open(args[0]).use { store ->
        store.sync(args[1]).collect()
        store.ask(args[2]).collect { event ->
            if (event is TokenEvent) print(event.text)
            if (event is CitationEvent) print(" [${event.documentId}]")
        }
    }
    println()
}
