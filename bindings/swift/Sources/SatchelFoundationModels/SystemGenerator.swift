// The system's language model as a generator, where the system has one.
#if canImport(FoundationModels)
import Foundation
import FoundationModels
import Satchel

/// Apple's on-device language model as a generator.
///
/// ```swift
/// let model = try await Model(generator: SystemGenerator())
/// for try await event in store.ask("When does the lease end?", generator: model) { … }
/// ```
///
/// Ask ``isAvailable`` first: the model may be switched off, missing, or still being downloaded.
@available(iOS 26.0, macOS 26.0, visionOS 26.0, *)
public struct SystemGenerator: Generator {
    /// Names the system's model.
    public let id = "apple.foundationmodels.default"
    /// Room for prompt and answer: what the system's model has.
    public let contextTokens: Int

    /// A generator over the system's model.
    ///
    /// - Parameter contextTokens: Room for prompt and answer of the system's model.
    public init(contextTokens: Int = 4096) { self.contextTokens = contextTokens }

    /// Whether the system's model can be used now.
    public static var isAvailable: Bool { SystemLanguageModel.default.availability == .available }

    /// The answer, piece by piece.
    public func generate(
        _ request: GeneratorRequest
    ) async throws -> AsyncThrowingStream<String, any Error> {
        let system = request.messages.filter { $0.role == .system }.map(\.content)
        let rest = request.messages.filter { $0.role != .system }
        let session = LanguageModelSession(instructions: system.joined(separator: "\n\n"))
        // A session knows no roles beside the prompt: earlier messages are told as such.
        let prompt =
            rest.count == 1
            ? rest[0].content
            : rest.map { "\($0.role.rawValue): \($0.content)" }.joined(separator: "\n\n")
        let options = GenerationOptions(
            sampling: request.options.temperature == nil ? .greedy : nil,
            temperature: request.options.temperature.map { Double($0) },
            maximumResponseTokens: request.maxTokens)
        return AsyncThrowingStream { continuation in
            let task = Task {
                do {
                    var given = ""
                    // The system hands over the text so far; a generator gives what is new.
                    for try await snapshot in session.streamResponse(to: prompt, options: options) {
                        let text = snapshot.content
                        guard text.hasPrefix(given) else { continue }
                        continuation.yield(String(text.dropFirst(given.count)))
                        given = text
                    }
                    continuation.finish()
                } catch {
                    continuation.finish(throwing: error)
                }
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }
}
#endif
