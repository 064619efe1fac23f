// The notes: a store in the app's files, kept by a view model.
package dev.satchel.notes

import android.app.Application
import android.net.Uri
import android.provider.OpenableColumns
import androidx.lifecycle.AndroidViewModel
import androidx.lifecycle.viewModelScope
import dev.satchel.AddOptions
import dev.satchel.AnswerEvent
import dev.satchel.CitationEvent
import dev.satchel.RefusalEvent
import dev.satchel.SatchelException
import dev.satchel.Store
import dev.satchel.TokenEvent
import kotlinx.coroutines.Deferred
import kotlinx.coroutines.ExperimentalCoroutinesApi
import kotlinx.coroutines.Job
import kotlinx.coroutines.async
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.update
import kotlinx.coroutines.launch
import java.io.File

/** What the screen shows. */
data class Notes(
    val documents: List<String> = emptyList(),
    val answer: String = "",
    val sources: List<String> = emptyList(),
    val refused: Boolean = false,
    val asking: Boolean = false,
    val problem: String? = null,
)

@OptIn(ExperimentalCoroutinesApi::class)
class Library(app: Application) : AndroidViewModel(app) {
    private val store: Deferred<Store> =
        viewModelScope.async { Store.open(File(app.filesDir, "notes.satchel").path) }
    private val state = MutableStateFlow(Notes())
    private var asking: Job? = null
    val notes: StateFlow<Notes> = state

    init {
        viewModelScope.launch { guarded { list() } }
    }

    private suspend fun guarded(work: suspend () -> Unit) {
        try {
            work()
        } catch (failure: SatchelException) {
            state.update { it.copy(problem = failure.message) }
        }
    }

    private suspend fun list() {
        val titles = store.await().documents().map { it.title }
        state.update { it.copy(documents = titles, problem = null) }
    }

    /** Adds a file that the user picked, read by descriptor: it need not be copied. */
    fun add(uri: Uri) {
        viewModelScope.launch {
            guarded {
                val resolver = getApplication<Application>().contentResolver
                val name = resolver.query(uri, arrayOf(OpenableColumns.DISPLAY_NAME), null, null, null)?.use {
                    if (it.moveToFirst()) it.getString(0) else null
                } ?: uri.lastPathSegment ?: "note"
                resolver.openFileDescriptor(uri, "r")?.use { file ->
                    val options = AddOptions().apply {
                        title = name
                        mediaType = resolver.getType(uri)?.takeIf { it.startsWith("text/") }
                    }
                    store.await().addFile(name, file.fd, options = options)
                }
                list()
            }
        }
    }

    /** Asks; a question that is still being answered is given up. */
    fun ask(question: String) {
        asking?.cancel()
        asking = viewModelScope.launch {
            state.update { it.copy(answer = "", sources = emptyList(), refused = false, asking = true) }
            guarded { store.await().ask(question).collect(::show) }
            state.update { it.copy(asking = false) }
        }
    }

    private fun show(event: AnswerEvent) = state.update {
        when (event) {
            is TokenEvent -> it.copy(answer = it.answer + event.text)
            is CitationEvent -> it.copy(sources = (it.sources + event.title).distinct())
            is RefusalEvent -> it.copy(refused = true)
            else -> it
        }
    }

    override fun onCleared() {
        // Not on the main thread: closing waits for a call that is running.
        val opened = store
        Thread { if (opened.isCompleted && !opened.isCancelled) opened.getCompleted().close() }.start()
    }
}
