// Notes that answer questions: one screen.
package dev.satchel.notes

import android.os.Bundle
import androidx.activity.ComponentActivity
import androidx.activity.compose.rememberLauncherForActivityResult
import androidx.activity.compose.setContent
import androidx.activity.result.contract.ActivityResultContracts
import androidx.compose.foundation.layout.Arrangement
import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.Row
import androidx.compose.foundation.layout.fillMaxSize
import androidx.compose.foundation.layout.padding
import androidx.compose.foundation.layout.safeDrawingPadding
import androidx.compose.foundation.lazy.LazyColumn
import androidx.compose.foundation.lazy.items
import androidx.compose.material3.Button
import androidx.compose.material3.LinearProgressIndicator
import androidx.compose.material3.MaterialTheme
import androidx.compose.material3.OutlinedTextField
import androidx.compose.material3.Text
import androidx.compose.runtime.Composable
import androidx.compose.runtime.collectAsState
import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.saveable.rememberSaveable
import androidx.compose.runtime.setValue
import androidx.compose.ui.Modifier
import androidx.compose.ui.unit.dp
import androidx.lifecycle.viewmodel.compose.viewModel

class MainActivity : ComponentActivity() {
    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContent { MaterialTheme { NotesScreen() } }
    }
}

@Composable
fun NotesScreen(library: Library = viewModel()) {
    val notes by library.notes.collectAsState()
    var question by rememberSaveable { mutableStateOf("") }
    val pick = rememberLauncherForActivityResult(ActivityResultContracts.OpenMultipleDocuments()) { picked ->
        picked.forEach(library::add)
    }
    Column(
        Modifier.fillMaxSize().safeDrawingPadding().padding(16.dp),
        verticalArrangement = Arrangement.spacedBy(12.dp),
    ) {
        OutlinedTextField(question, { question = it }, label = { Text("Ask your notes") })
        Row(horizontalArrangement = Arrangement.spacedBy(12.dp)) {
            Button({ library.ask(question) }, enabled = question.isNotBlank()) { Text("Ask") }
            Button({ pick.launch(arrayOf("text/*")) }) { Text("Add notes") }
        }
        if (notes.asking) LinearProgressIndicator()
        if (notes.refused) Text("Your notes do not say.")
        if (notes.answer.isNotEmpty()) Text(notes.answer, style = MaterialTheme.typography.bodyLarge)
        notes.sources.forEach { Text("from $it", style = MaterialTheme.typography.bodySmall) }
        notes.problem?.let { Text(it, color = MaterialTheme.colorScheme.error) }
        LazyColumn { items(notes.documents) { Text(it) } }
    }
}
