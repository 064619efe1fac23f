// Contexts: threads, memory limit, cache folder and log that models and stores share.
import CSatchel
import Foundation

/// The library that is in use.
public enum SatchelLibrary {
    /// Its version: `0.1.0`.
    public static var version: String { swift(satchel_version()) }

    /// Whether it is at least this version.
    public static func isAtLeast(_ major: Int, _ minor: Int = 0, _ patch: Int = 0) -> Bool {
        satchel_version_at_least(Int32(major), Int32(minor), Int32(patch)) != 0
    }

    /// Whether this build has a part: `encoder`, `faiss`, `generator`, `html`, `kmeans`,
    /// `markdown`, `stemmers`.
    public static func has(_ feature: String) -> Bool { satchel_has_feature(feature) != 0 }
}

/// How grave a line of the log is.
public struct LogLevel: OpenConstant {
    /// The library's `SATCHEL_LOG_*`.
    public let rawValue: Int32
    /// Wraps a constant of the library.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// Something failed.
    public static let error = Self(SATCHEL_LOG_ERROR)
    /// Something is not as it should be.
    public static let warning = Self(SATCHEL_LOG_WARNING)
    /// What is being done.
    public static let info = Self(SATCHEL_LOG_INFO)
    /// How it is done.
    public static let debug = Self(SATCHEL_LOG_DEBUG)

    /// `error`, `warning`, `info` or `debug`.
    public var description: String {
        name([
            .error: "error", .warning: "warning", .info: "info", .debug: "debug",
        ])
    }
}

/// Settings of a ``Context``. What is left `nil` is the library's default.
public struct ContextOptions: Sendable {
    /// Threads to compute on.
    public var threads: Int?
    /// A ceiling for the instruction set, as the library's `SATCHEL_CPU_*`: for tests and measurements.
    public var cpuLevel: Int32?
    /// Bytes that the library may allocate.
    public var memoryLimit: UInt64?
    /// Folder where generators save what they have read, so that it need not be read again. All in it is
    /// derived; what prompts said can be read from it.
    public var cacheDirectory: URL?
    /// Bytes in the cache folder at most.
    public var cacheLimit: UInt64?
    /// Nothing is saved with less free on the volume.
    public var cacheFreeFloor: UInt64?
    /// Called with messages of the library, from any thread. It must not call Satchel.
    public var log: (@Sendable (LogLevel, String) -> Void)?
    /// The least grave messages that `log` gets.
    public var logLevel: LogLevel?
    /// Lets messages hold paths, ids and text.
    public var logsContent = false

    /// All defaults.
    public init() {}
}

/// Threads, limits and log for models and stores.
///
/// Most apps need none of their own: models and stores share ``shared()`` unless they are given one.
public final class Context: Sendable {
    let handle: Handle

    /// Opens a context. No thread is started before it is needed.
    public init(_ options: ContextOptions = ContextOptions()) throws {
        let scratch = Scratch()
        var raw = defaults(satchel_context_options_init)
        raw.threads = try orDefault(options.threads, "threads")
        raw.cpu_level = options.cpuLevel ?? 0
        raw.memory_limit = options.memoryLimit ?? 0
        raw.cache_dir = try scratch.maybe(options.cacheDirectory.map(path(of:)), "cacheDirectory")
        raw.cache_limit = options.cacheLimit ?? 0
        raw.cache_free_floor = options.cacheFreeFloor ?? 0
        raw.log_level = options.logLevel?.rawValue ?? 0
        raw.log_content = flag(options.logsContent)
        if let log = options.log {
            raw.log_user = LogTarget.keep(log)
            raw.log = { user, level, message in
                LogTarget.of(user)?.log(LogLevel(rawValue: level), swift(message))
            }
        }
        var made: OpaquePointer?
        try withExtendedLifetime(scratch) {
            try check { satchel_context_open(&made, &raw, $0) }
        }
        handle = Handle(made!, "the context") { satchel_context_close($0) }
    }

    /// The context that models and stores share unless they are given one. Made when first asked for.
    public static func shared() throws -> Context { try SharedContext.it.get() }

    /// Name of the instruction-set level in use: `avx512`, `neon`.
    public var cpuName: String {
        handle.useIfOpen { swift(satchel_context_cpu_name($0)) } ?? ""
    }

    /// The instruction-set level in use, as the library's `SATCHEL_CPU_*`.
    public var cpuLevel: Int32 { handle.useIfOpen { satchel_context_cpu_level($0) } ?? 0 }

    /// Threads it computes on.
    public var threads: Int { handle.useIfOpen { Int(satchel_context_threads($0)) } ?? 0 }

    /// Bytes that the library holds now, and held at most.
    public var memory: (now: UInt64, peak: UInt64) {
        var now: UInt64 = 0, peak: UInt64 = 0
        _ = handle.useIfOpen { satchel_context_memory($0, &now, &peak) }
        return (now, peak)
    }

    /// Deletes all that generators saved in the cache folder, for an app that must forget: what a removed
    /// document said can be read from it. Call it when no generator runs; a model remembers its last run
    /// until the next one or its close.
    public func clearCache() throws {
        try handle.use { context in
            try check { satchel_context_clear_cache(context, $0) }
        }
    }

    /// Closes it; models and stores opened on it go on. Never waits. Optional: a context that is let go
    /// of closes itself.
    public func close() { handle.close() }
}

/// The context of those that were given none.
private final class SharedContext: @unchecked Sendable {
    static let it = SharedContext()

    private let lock = NSLock()
    private var context: Context?

    func get() throws -> Context {
        lock.lock()
        defer { lock.unlock() }
        if let context, !context.handle.isClosed { return context }
        let made = try Context()
        context = made
        return made
    }
}

/// A log closure that C points to. Kept for good: models and stores may keep a context open in the
/// library long after its Swift object has gone, and the library does not say when it has ended.
private final class LogTarget: Sendable {
    let log: @Sendable (LogLevel, String) -> Void

    private final class Kept: @unchecked Sendable {
        private let lock = NSLock()
        private var targets: [LogTarget] = []

        func add(_ target: LogTarget) {
            lock.lock()
            targets.append(target)
            lock.unlock()
        }
    }

    private static let kept = Kept()

    private init(_ log: @escaping @Sendable (LogLevel, String) -> Void) { self.log = log }

    static func keep(_ log: @escaping @Sendable (LogLevel, String) -> Void)
        -> UnsafeMutableRawPointer
    {
        let target = LogTarget(log)
        kept.add(target)
        return Unmanaged.passUnretained(target).toOpaque()
    }

    static func of(_ user: UnsafeMutableRawPointer?) -> LogTarget? {
        user.map { Unmanaged<LogTarget>.fromOpaque($0).takeUnretainedValue() }
    }
}
