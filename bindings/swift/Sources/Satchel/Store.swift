// Stores: documents in, passages and answers out.
import CSatchel
import Foundation

/// Settings of a ``Store``. What is left `nil` is the library's default.
public struct StoreOptions: Sendable {
    /// Never write; also for read-only media.
    public var readOnly = false
    /// Throw ``SatchelError/Code/notFound`` instead of making the file.
    public var mustExist = false
    /// Target size of a passage in tokens.
    public var chunkTokens: Int?

    /// All defaults.
    public init() {}
}

/// Settings of an added document. What is left `nil` is the library's default.
public struct AddOptions: Sendable {
    /// Its title; else the reader's, or the last part of the id.
    public var title: String?
    /// Facts that filters can ask for.
    public var metadata: Metadata = [:]
    /// The same as the library's JSON, instead of `metadata`.
    public var metadataJSON: String?
    /// What kind of file it is: `text/markdown`. It chooses the reader.
    public var mediaType: String?
    /// When it was last changed; else now.
    public var modified: Date?
    /// Make it found by keyword now, by meaning at ``Store/maintain(milliseconds:)``.
    public var deferEmbedding = false
    /// Throw ``SatchelError/Code/exists`` instead of replacing a document of the same id.
    public var mustBeNew = false

    /// All defaults.
    public init(title: String? = nil, metadata: Metadata = [:], mediaType: String? = nil) {
        self.title = title
        self.metadata = metadata
        self.mediaType = mediaType
    }

    // The media type is not in it: C takes that in two ways.
    fileprivate func raw(_ scratch: Scratch, _ cancel: OpaquePointer) throws -> satchel_add_options {
        var raw = defaults(satchel_add_options_init)
        raw.title = try scratch.maybe(title, "the title")
        let json = try metadataJSON ?? (metadata.isEmpty ? nil : JSON.text(metadata))
        raw.metadata = try scratch.maybe(json, "the metadata")
        raw.modified_ms = modified.map { Int64($0.timeIntervalSince1970 * 1000) } ?? 0
        raw.defer_embedding = flag(deferEmbedding)
        raw.must_be_new = flag(mustBeNew)
        raw.cancel = cancel
        return raw
    }
}

/// Settings of a sync. What is left `nil` is the library's default.
public struct SyncOptions: Sendable {
    /// Name of the folder in the store; else its own name.
    public var root: String?
    /// Never remove documents whose files are gone.
    public var keepMissing = false
    /// Go on also when more than a fifth of the folder's documents would be removed.
    public var allowRemovals = false
    /// Stop after keywords; vectors come at ``Store/maintain(milliseconds:)``.
    public var deferEmbedding = false
    /// Files and folders whose name starts with a dot, too.
    public var includeHidden = false
    /// Pass over larger files.
    public var maxFileBytes: Int?

    /// All defaults.
    public init() {}
}

/// A store: one file with the text and the index of documents.
///
/// It may be used from many tasks at once. Calls run on threads of the package, never on Swift's own
/// pool, and a cancelled task stops them.
///
/// ```swift
/// let model = try await Model(path: "all-minilm-l6-v2-q8_0.gguf")
/// let store = try await Store(path: "notes.satchel", embedder: model)
/// try await store.sync(folder: notes).collect()
/// for try await event in store.ask("When does the lease end?") {
///     if case .token(let token) = event { print(token.text, terminator: "") }
/// }
/// ```
public final class Store: Sendable, Callable {
    let handle: Handle
    /// Where it gets its threads and limits from.
    public let context: Context
    /// The embedder; `nil` for keywords alone.
    public let model: Model?

    /// Opens or makes a store.
    ///
    /// - Parameters:
    ///   - path: The file. SQLite puts two more beside it while the store is open.
    ///   - embedder: Makes vectors of passages; `nil`: search by keyword.
    ///   - options: Settings.
    ///   - context: Threads and limits; `nil`: the embedder's, or the shared one.
    public init(
        path: String, embedder: Model? = nil, options: StoreOptions = StoreOptions(),
        context: Context? = nil
    ) async throws {
        let context = try context ?? embedder?.context ?? Context.shared()
        let opened = try await offPool {
            let scratch = Scratch()
            var raw = defaults(satchel_store_options_init)
            raw.read_only = flag(options.readOnly)
            raw.must_exist = flag(options.mustExist)
            raw.chunk_tokens = try orDefault(options.chunkTokens, "chunkTokens")
            let file = try scratch.string(path, "the path")
            var made: OpaquePointer?
            try withExtendedLifetime(scratch) {
                try context.handle.use { owner in
                    try embedder.use { model in
                        raw.model = model
                        try check { satchel_store_open(&made, owner, file, &raw, $0) }
                    }
                }
            }
            return Handle(made!, "the store") { satchel_store_close($0) }
        }
        handle = opened
        self.context = context
        model = embedder
    }

    /// Opens or makes a store at a file URL.
    public convenience init(
        url: URL, embedder: Model? = nil, options: StoreOptions = StoreOptions(),
        context: Context? = nil
    ) async throws {
        try await self.init(
            path: Satchel.path(of: url), embedder: embedder, options: options, context: context)
    }

    /// Closes it: calls that are inside end first, later ones throw ``SatchelError/Code/closed``. Never
    /// waits. Optional: a store that is let go of closes itself.
    public func close() { handle.close() }

    /// Closes it, and returns when the file has been let go of: for whoever moves or deletes the file
    /// next. Streams of the store must have ended.
    public func closeAndWait() async { await handle.closeAndWait() }

    // MARK: Documents in

    /// Adds or replaces a document. On return it is committed and found.
    ///
    /// - Parameters:
    ///   - id: Names it: 1 to 1,024 bytes without control characters.
    ///   - text: Offsets of hits count in this very text.
    ///   - options: Title, metadata and more.
    public func add(id: String, text: String, options: AddOptions = AddOptions()) async throws {
        try await add(id, options) { store, name, type, raw in
            raw.media_type = type
            try withText(text) { text, length in
                try check { satchel_store_add_text(store, name, text, length, &raw, $0) }
            }
        }
    }

    private func add(
        _ id: String, _ options: AddOptions,
        _ body: @escaping @Sendable (
            _ store: OpaquePointer, _ name: UnsafePointer<CChar>, _ type: UnsafePointer<CChar>?,
            _ raw: inout satchel_add_options
        ) throws -> Void
    ) async throws {
        try await call { store, cancel in
            let scratch = Scratch()
            var raw = try options.raw(scratch, cancel)
            let name = try scratch.string(id, "the id")
            let type = try scratch.maybe(options.mediaType, "mediaType")
            try withExtendedLifetime(scratch) { try body(store, name, type, &raw) }
        }
    }

    /// Adds or replaces a document from the bytes of a file. The media type, else the id's extension, else
    /// the bytes choose the reader.
    public func add(id: String, data: Data, options: AddOptions = AddOptions()) async throws {
        try await add(id, options) { store, name, type, raw in
            try data.withUnsafeBytes { bytes in
                try check {
                    satchel_store_add_bytes(
                        store, name, type, bytes.baseAddress, bytes.count, &raw, $0)
                }
            }
        }
    }

    /// Adds or replaces a document from an open file, which stays the caller's.
    ///
    /// - Parameters:
    ///   - id: Names it.
    ///   - fileDescriptor: Open for reading.
    ///   - offset: Where to begin.
    ///   - length: Bytes; 0: to the end.
    ///   - options: Title, metadata and more.
    public func add(
        id: String, fileDescriptor: Int32, offset: UInt64 = 0, length: UInt64 = 0,
        options: AddOptions = AddOptions()
    ) async throws {
        try await add(id, options) { store, name, type, raw in
            try check {
                satchel_store_add_fd(store, name, type, fileDescriptor, offset, length, &raw, $0)
            }
        }
    }

    /// Removes a document.
    public func remove(id: String) async throws {
        try await call { store, _ in
            let scratch = Scratch()
            let name = try scratch.string(id, "the id")
            try withExtendedLifetime(scratch) {
                try check { satchel_store_remove(store, name, $0) }
            }
        }
    }

    /// Brings a named root in line with a folder or one file: only what has changed is read, and documents
    /// whose files are gone are removed. Ids are `root/relative/path`.
    ///
    /// The work happens while the events are pulled; leaving early loses at most the last batch.
    public func sync(path: String, options: SyncOptions = SyncOptions()) -> SyncStream {
        SyncStream(of: self, read: { SyncEvent.read($0) }) { store, scratch, cancel in
            var raw = defaults(satchel_sync_options_init)
            raw.root = try scratch.maybe(options.root, "root")
            raw.keep_missing = flag(options.keepMissing)
            raw.allow_removals = flag(options.allowRemovals)
            raw.defer_embedding = flag(options.deferEmbedding)
            raw.include_hidden = flag(options.includeHidden)
            raw.max_file_bytes = Int64(options.maxFileBytes ?? 0)
            raw.cancel = cancel
            let folder = try scratch.string(path, "the path")
            var stream: OpaquePointer?
            try check { satchel_store_sync(&stream, store, folder, &raw, $0) }
            return stream
        }
    }

    /// As ``sync(path:options:)``, for a file URL.
    public func sync(folder: URL, options: SyncOptions = SyncOptions()) throws -> SyncStream {
        sync(path: try Satchel.path(of: folder), options: options)
    }

    /// Does what was put off: embeds what is pending, keeps the vector index that a large store has beside it, and
    /// gives free space back. A sync ends with the same.
    ///
    /// - Parameter milliseconds: Stops after so long, and the next call goes on; `nil`: when all is done.
    /// - Returns: How many passages are still pending, and at least 1 while the index is not finished: call again until it is 0.
    @discardableResult
    public func maintain(milliseconds: Int? = nil) async throws -> Int {
        try await call { store, cancel in
            var pending: Int64 = 0
            try check {
                satchel_store_maintain(store, Int64(milliseconds ?? 0), cancel, &pending, $0)
            }
            return Int(pending)
        }
    }
}
