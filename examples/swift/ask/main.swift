// Answers a question from a folder of notes, with citations: by quoting them, or, with a generator, in
// its own words. How to build it: ../README.md.
import Foundation
import Satchel

let given = CommandLine.arguments
guard given.count >= 4 else {
    print("usage: ask STORE FOLDER QUESTION [EMBEDDER.gguf [GENERATOR.gguf]]")
    exit(2)
}
let embedder = given.count > 4 ? try await Model(path: given[4]) : nil
let generator = given.count > 5 ? try await Model(path: given[5]) : nil

let store = try await Store(path: given[1], embedder: embedder)
try await store.sync(path: given[2]).collect()
for try await event in store.ask(given[3], generator: generator) {
    if case .token(let token) = event { write(token.text) }
    if case .citation(let citation) = event { write(" [\(citation.documentID)]") }
    if case .refusal(let refusal) = event { write("The notes do not say (\(refusal.reason)).") }
}
write("\n")

/// To the standard output at once, as the answer grows.
func write(_ text: String) { FileHandle.standardOutput.write(Data(text.utf8)) }
