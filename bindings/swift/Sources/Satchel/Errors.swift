// What calls throw: the library's status, the system's error number and a message, typed.
import CSatchel
import Foundation

/// Why a call failed.
///
/// Every call of this package throws either a `SatchelError` or, when its task was cancelled,
/// `CancellationError`.
public struct SatchelError: Error, Sendable, CustomStringConvertible, LocalizedError {
    /// What kind of failure it was: a constant of the library that never changes its meaning.
    ///
    /// Versions to come may add codes, so a `switch` over one needs a `default`.
    public struct Code: OpenConstant {
        /// The library's `satchel_status`, negative; positive for the codes of this package.
        public let rawValue: Int32

        /// Wraps a status of the library.
        public init(rawValue: Int32) { self.rawValue = rawValue }

        /// A size or a value that the call does not take.
        public static let invalidArgument = Self(SATCHEL_INVALID_ARGUMENT)
        /// No memory could be had.
        public static let outOfMemory = Self(SATCHEL_OUT_OF_MEMORY)
        /// The context's memory limit would be passed; the message names the need.
        public static let memoryLimit = Self(SATCHEL_MEMORY_LIMIT)
        /// Reading or writing failed; ``SatchelError/osCode`` says why.
        public static let io = Self(SATCHEL_IO)
        /// No such file, document or key.
        public static let notFound = Self(SATCHEL_NOT_FOUND)
        /// It is there already.
        public static let exists = Self(SATCHEL_EXISTS)
        /// No space left; nothing was lost.
        public static let diskFull = Self(SATCHEL_DISK_FULL)
        /// The system refused access.
        public static let permission = Self(SATCHEL_PERMISSION)
        /// Locked by data protection or another program; not damaged.
        public static let locked = Self(SATCHEL_LOCKED)
        /// Another writer is at work, or a callback calls back.
        public static let busy = Self(SATCHEL_BUSY)
        /// The work was stopped. Calls of this package throw `CancellationError` instead.
        public static let cancelled = Self(SATCHEL_CANCELLED)
        /// The file's bytes contradict its format.
        public static let damaged = Self(SATCHEL_DAMAGED)
        /// Valid, but this build or version cannot do it.
        public static let unsupported = Self(SATCHEL_UNSUPPORTED)
        /// Written by a newer version of the format.
        public static let tooNew = Self(SATCHEL_TOO_NEW)
        /// The file is something else.
        public static let notAStore = Self(SATCHEL_NOT_A_STORE)
        /// The model's kind, dimension or fingerprint does not fit.
        public static let wrongModel = Self(SATCHEL_WRONG_MODEL)
        /// Not valid UTF-8.
        public static let invalidText = Self(SATCHEL_INVALID_TEXT)
        /// The filter's JSON, key or operator is wrong; the message says where.
        public static let invalidFilter = Self(SATCHEL_INVALID_FILTER)
        /// The metadata is not a flat object.
        public static let invalidMetadata = Self(SATCHEL_INVALID_METADATA)
        /// Larger than a documented limit.
        public static let limit = Self(SATCHEL_LIMIT)
        /// Over a fifth of a synced folder's documents would be removed; see
        /// ``SyncOptions/allowRemovals``.
        public static let confirmRemovals = Self(SATCHEL_CONFIRM_REMOVALS)
        /// An embedder, generator or reader of the app failed; see ``SatchelError/underlying``.
        public static let callback = Self(SATCHEL_CALLBACK)
        /// The object was made before the process forked.
        public static let forked = Self(SATCHEL_FORKED)
        /// The store is open for reading only.
        public static let readOnly = Self(SATCHEL_READ_ONLY)
        /// The call needs a model that is not there.
        public static let noModel = Self(SATCHEL_NO_MODEL)
        /// A bug in Satchel; please report the message.
        public static let `internal` = Self(SATCHEL_INTERNAL)
        /// The object was closed. A code of this package; the library has none for it.
        public static let closed = Self(rawValue: 1)

        /// The constant's name in the library: `SATCHEL_NOT_FOUND`.
        public var description: String {
            self == .closed ? "CLOSED" : String(cString: satchel_status_name(rawValue))
        }
    }

    /// What kind of failure it was.
    public let code: Code
    /// The system's error number (`errno`) where the system was at fault, else 0.
    public let osCode: Int32
    /// English for developers: what went wrong, where, and what to do.
    public let message: String
    /// What the app's embedder, generator or reader threw, if that was the reason.
    public let underlying: (any Error)?

    /// Makes an error, for embedders, generators and readers to throw.
    public init(
        _ code: Code, _ message: String, osCode: Int32 = 0, underlying: (any Error)? = nil
    ) {
        self.code = code
        self.osCode = osCode
        self.message = message
        self.underlying = underlying
    }

    /// The code's name and the message.
    public var description: String { "\(code): \(message)" }
    /// The message, for whoever shows `localizedDescription`.
    public var errorDescription: String? { message }
}

/// A set of constants that versions to come may add to.
///
/// They compare like the cases of an enumeration: `case .keyword:` works in a `switch`, which needs a
/// `default`.
public protocol OpenConstant: RawRepresentable, Hashable, Sendable, CustomStringConvertible
where RawValue == Int32 {
    /// Wraps a constant of the library.
    init(rawValue: Int32)
}

extension OpenConstant {
    // Constants of anonymous C enums come into Swift as Int.
    init(_ constant: Int) { self.init(rawValue: Int32(constant)) }

    /// What this version calls it; the number of one that it does not know.
    func name(_ names: [Self: String]) -> String { names[self] ?? String(rawValue) }
}

// MARK: - Calling

/// Calls the library and throws what it reports.
@inline(__always)
func check(_ call: (UnsafeMutablePointer<satchel_error>) -> satchel_status) throws {
    // Written by the library on failure only, so not even zeroed before.
    try withUnsafeTemporaryAllocation(of: satchel_error.self, capacity: 1) { failure in
        let status = call(failure.baseAddress!)
        if status != SATCHEL_OK { throw made(status, failure.baseAddress!) }
    }
}

private func made(
    _ status: satchel_status, _ failure: UnsafeMutablePointer<satchel_error>
) -> any Error {
    let code = SatchelError.Code(rawValue: status)
    let thrown = CallbackError.take()
    if code == .cancelled { return CancellationError() }
    let message = withUnsafeBytes(of: &failure.pointee.message) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    return SatchelError(
        code, message, osCode: failure.pointee.os_code,
        underlying: code == .callback ? thrown : nil)
}

/// What a callback threw, kept for the call that this thread is in. Callbacks run on the thread of
/// their call, so the thread is where the two meet.
enum CallbackError {
    private static let key = "satchel.callback.error"

    private struct Kept { let error: any Error }

    static func keep(_ error: any Error) {
        Thread.current.threadDictionary[key] = Kept(error: error)
    }

    static func take() -> (any Error)? {
        let dictionary = Thread.current.threadDictionary
        guard let kept = dictionary[key] as? Kept else { return nil }
        dictionary.removeObject(forKey: key)
        return kept.error
    }

    /// The status for the library, and the error kept for the caller.
    static func status(_ error: any Error) -> satchel_status {
        if error is CancellationError { return satchel_status(SATCHEL_CANCELLED) }
        keep(error)
        guard let own = error as? SatchelError, own.code.rawValue < 0 else {
            return satchel_status(SATCHEL_CALLBACK)
        }
        return own.code == .unsupported ? own.code.rawValue : satchel_status(SATCHEL_CALLBACK)
    }
}
