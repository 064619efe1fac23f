// Models from files: embedders and generators that the library's build made for tests.
import Foundation
import Satchel
import Testing

@Suite struct ModelTests {
    let folder: Folder

    init() throws { folder = try Folder() }

    @Test(.enabled(if: MadeModel.embedder != nil)) func aRealModelFromAFile() async throws {
        let path = try #require(MadeModel.embedder)
        let model = try await Model(path: path)
        #expect(model.info.kind == .embedder)
        #expect(model.info.architecture == "bert")
        let vector = try await model.embed("a lease")
        #expect(vector.count == model.info.dimension)
        let tokens = try await model.tokenize("lease")
        #expect(tokens.count >= 3)
        #expect(model.piece(of: tokens[0]) != nil)
        #expect(model.piece(of: -1) == nil)
        let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        let same = try await Model(fileDescriptor: file.fileDescriptor)
        #expect(same.info.fingerprint == model.info.fingerprint)
        #expect(try await same.embed("a lease") == vector)
    }

    @Test(.enabled(if: MadeModel.embedder != nil)) func vectorsCanBeCut() async throws {
        let path = try #require(MadeModel.embedder)
        let whole = try await Model(path: path).embed("a lease")
        var options = ModelOptions()
        options.dimension = 8
        let model = try await Model(path: path, options: options)
        #expect(model.info.dimension == 8)
        let cut = try await model.embed(["a lease", "bread"])
        #expect(cut.map(\.count) == [8, 8])
        let length = whole.prefix(8).reduce(0) { $0 + $1 * $1 }.squareRoot()
        for (part, all) in zip(cut[0], whole) { #expect(abs(part - all / length) < 1e-5) }
        options.dimension = whole.count + 1
        #expect(
            await error { _ = try await Model(path: path, options: options) }?.code
                == .invalidArgument)
    }

    @Test(.enabled(if: MadeModel.embedder != nil)) func poolingIsAsAskedFor() async throws {
        let path = try #require(MadeModel.embedder)
        var vectors: [[Float]] = []
        for pooling in [Pooling.mean, .cls, .last] {
            var options = ModelOptions()
            options.pooling = pooling
            vectors.append(try await Model(path: path, options: options).embed("a lease"))
        }
        #expect(Set(vectors).count == 3)
    }

    @Test(.enabled(if: MadeModel.embedder != nil)) func filesAreLookedInto() async throws {
        let path = try #require(MadeModel.embedder)
        let file = try await GGUF.inspect(path: path)
        #expect(file.keys.contains { $0.name == "general.architecture" && $0.value == "\"bert\"" })
        #expect(file.tensors.count > 0)
        #expect(file.tensors.allSatisfy { !$0.shape.isEmpty && !$0.type.isEmpty })
        #expect(file.tensors.allSatisfy { ($0.typeID == 0) == ($0.type == "F32") })
        let need = try await Model.measure(path: path)
        #expect(need.kind == .embedder)
        #expect(need.fileBytes > 0)
    }

    @Test(.enabled(if: MadeModel.generator != nil)) func aRealGenerator() async throws {
        let model = try await Model(path: #require(MadeModel.generator))
        #expect(model.info.kind == .generator)
        let options = GenerateOptions(maxTokens: 4)
        let made = try await model.generate("hello", options: options).collect()
        #expect(try await model.generate("hello", options: options).collect().text == made.text)
        let tokens = try await model.tokenize("hello hello")
        #expect(try await model.detokenize(tokens) == "hello hello")
        let rows = try await model.logits(tokens)
        #expect(rows.map(\.count) == tokens.map { _ in model.info.vocabularySize })
        #expect(rows.joined().allSatisfy { $0.isFinite })
        let scored = try await model.perplexity(of: "hello hello")
        #expect(scored.tokens == tokens.count - 1)
        #expect(abs(scored.perplexity - exp(scored.nll)) < 1e-6 * scored.perplexity)
    }

    @Test(.enabled(if: MadeModel.generator != nil)) func clearingTheCacheForgets() async throws {
        let path = try #require(MadeModel.generator)
        try folder.write("cache/notes.txt", "not the library's")
        var options = ContextOptions()
        options.cacheDirectory = folder.url.appendingPathComponent("cache")
        let context = try Context(options)

        func files() throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: folder.path("cache"))
        }
        // A model of its own each time: it remembers nothing but what lies in the folder.
        func cached() async throws -> Int {
            let model = try await Model(path: path, context: context)
            let prompt = String(repeating: "hello ", count: 100)
            let made = try await model.generate(prompt, options: GenerateOptions(maxTokens: 4))
                .collect()
            await model.closeAndWait()
            return try #require(made.summary?.cachedTokens)
        }
        for _ in 0..<2 {
            #expect(try await cached() == 0)
            #expect(try files().count > 1)
            #expect(try await cached() > 0)
            try context.clearCache()
            #expect(try files() == ["notes.txt"])
        }
        try Context().clearCache()  // saves nothing: there is nothing to do
        context.close()
        #expect(await error { try context.clearCache() }?.code == .closed)
    }
}
