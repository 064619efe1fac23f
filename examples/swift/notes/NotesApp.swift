// A notes app that answers questions: the app, and what it does when it goes to the background.
import SwiftUI

@main
struct NotesApp: App {
    @StateObject private var library = Library()
    @Environment(\.scenePhase) private var phase

    var body: some Scene {
        WindowGroup {
            ContentView()
                .environmentObject(library)
                .task { await library.open() }
        }
        .onChange(of: phase) { phase in
            // iOS ends apps that hold a file lock in the background: let go of the store.
            switch phase {
            case .active: Task { await library.open() }
            case .background: library.leave()
            default: break
            }
        }
    }
}
