// Where blocking calls run: on threads of our own, never on Swift's cooperative pool. A call may
// itself wait for Swift code (an app's embedder), which needs that pool free.
import CSatchel
import Foundation

#if canImport(Darwin)
import Darwin
#endif

/// Threads for blocking calls. A call gets a waiting thread if there is one, else a new one, so that
/// no call ever waits for another to end; a thread that nobody needs for a while ends.
///
/// Not a dispatch queue: where the system has no workqueues these share one small set of threads with
/// Swift's own pool, which blocked calls would use up.
final class CallThreads: @unchecked Sendable {
    static let shared = CallThreads()

    typealias Job = @Sendable () -> Void

    private let lock = NSLock()
    private var waiting: [CallThread] = []  // last come, first served: its cache is warm

    /// Runs the job soon, on a thread of its own.
    func submit(_ job: @escaping Job) {
        #if canImport(Darwin)
        // As urgent as the task that waits for it.
        let urgency = qos_class_self()
        let work: Job = {
            if urgency != QOS_CLASS_UNSPECIFIED { pthread_set_qos_class_self_np(urgency, 0) }
            job()
        }
        #else
        let work = job
        #endif
        lock.lock()
        let idle = waiting.popLast()
        lock.unlock()
        if let idle { idle.run(work) } else { CallThread(work, of: self).start() }
    }

    fileprivate func wait(_ thread: CallThread) {
        lock.lock()
        waiting.append(thread)
        lock.unlock()
    }

    /// True if nobody has taken the thread meanwhile; it is then not given another job.
    fileprivate func retire(_ thread: CallThread) -> Bool {
        lock.lock()
        defer { lock.unlock() }
        guard let index = waiting.firstIndex(where: { $0 === thread }) else { return false }
        waiting.remove(at: index)
        return true
    }
}

private final class CallThread: @unchecked Sendable {
    private static let patience = DispatchTimeInterval.seconds(5)

    private let owner: CallThreads
    private let wake = DispatchSemaphore(value: 0)
    private var job: CallThreads.Job?  // handed over through `wake`

    init(_ job: @escaping CallThreads.Job, of owner: CallThreads) {
        self.owner = owner
        self.job = job
    }

    func start() {
        let thread = Thread { self.loop() }
        thread.name = "satchel"
        thread.stackSize = 1 << 20
        thread.start()
    }

    func run(_ job: @escaping CallThreads.Job) {
        self.job = job
        wake.signal()
    }

    private func loop() {
        while let work = job {
            job = nil
            #if canImport(Darwin)
            autoreleasepool(invoking: work)
            #else
            work()
            #endif
            _ = CallbackError.take()
            owner.wait(self)
            if wake.wait(timeout: .now() + Self.patience) == .timedOut, !owner.retire(self) {
                wake.wait()  // somebody took this thread just now: the job is on its way
            }
        }
    }
}

/// A result on its way from another thread to the task that waits for it. It goes through a lock, not through
/// the continuation: a continuation resumed before its task waits leaves no order that the thread sanitizer
/// could see, and races of our own would be lost among the false ones.
final class HandOver<T: Sendable>: @unchecked Sendable {
    private let lock = NSLock()
    private var result: Result<T, any Error>?
    private var waiting: UnsafeContinuation<Void, Never>?

    /// Passes itself to `body`, which sees to it that somebody resumes it once, and waits for that. What
    /// `body` begins is under way while the waiting is set up.
    static func wait(_ body: (HandOver) -> Void) async throws -> T {
        let given = HandOver()
        body(given)
        await withUnsafeContinuation { waiting in
            given.lock.lock()
            let ended = given.result != nil
            if !ended { given.waiting = waiting }
            given.lock.unlock()
            if ended { waiting.resume() }
        }
        return try given.take()
    }

    func resume(with result: Result<T, any Error>) {
        lock.lock()
        self.result = result
        let waiting = self.waiting
        lock.unlock()
        waiting?.resume()
    }

    private func take() throws -> T {
        lock.lock()
        let result = self.result
        lock.unlock()
        return try result!.get()
    }
}

/// Runs blocking work off the cooperative pool.
func offPool<T: Sendable>(_ work: @escaping @Sendable () throws -> T) async throws -> T {
    try await HandOver.wait { waiting in
        CallThreads.shared.submit { waiting.resume(with: Result(catching: work)) }
    }
}

/// Runs blocking work that a cancelled task stops: `work` gets a cancel handle for its options.
func cancellable<T: Sendable>(
    _ context: Handle, _ work: @escaping @Sendable (OpaquePointer) throws -> T
) async throws -> T {
    try Task.checkCancellation()
    let cancel = try CancelHandle(context)
    return try await withTaskCancellationHandler {
        try await offPool { try work(cancel.pointer) }
    } onCancel: {
        cancel.fire()
    }
}

// MARK: - Handles

/// A pointer that may go to another thread: what it points to is safe to use there.
struct Movable: @unchecked Sendable {
    let pointer: OpaquePointer
}

/// A handle of the library with an in-use guard: closing it while calls are inside lets them end
/// first, and a call that comes later is told so. Closing never waits.
final class Handle: @unchecked Sendable {
    typealias Close = @Sendable (UnsafeMutablePointer<OpaquePointer?>) -> Void

    private let name: String
    private let closeHandle: Close
    private let lock = NSLock()
    private var pointer: OpaquePointer?
    private var users = 0
    private var isClosing = false
    private var isGone = false
    private var waiting: [UnsafeContinuation<Void, Never>] = []

    /// Takes the pointer over. `name` is for messages: "the store".
    init(_ pointer: OpaquePointer, _ name: String, close: @escaping Close) {
        self.pointer = pointer
        self.name = name
        self.closeHandle = close
    }

    deinit {
        if let pointer { Self.closeLater(Movable(pointer: pointer), closeHandle) {} }
    }

    /// Runs a call on the handle, which stays open meanwhile.
    func use<T>(_ body: (OpaquePointer) throws -> T) throws -> T {
        guard let pointer = enter() else {
            throw SatchelError(.closed, "\(name) is closed; open it again")
        }
        defer { leave() }
        return try body(pointer)
    }

    /// As `use`, but nil instead of an error.
    func useIfOpen<T>(_ body: (OpaquePointer) -> T) -> T? {
        guard let pointer = enter() else { return nil }
        defer { leave() }
        return body(pointer)
    }

    var isClosed: Bool {
        lock.lock()
        defer { lock.unlock() }
        return isClosing
    }

    func close() {
        lock.lock()
        isClosing = true
        lock.unlock()
        closeIfUnused()
    }

    /// Closes, and returns when the library has let go of everything.
    func closeAndWait() async {
        close()
        await withUnsafeContinuation { continuation in
            lock.lock()
            let gone = isGone
            if !gone { waiting.append(continuation) }
            lock.unlock()
            if gone { continuation.resume() }
        }
    }

    private func enter() -> OpaquePointer? {
        lock.lock()
        defer { lock.unlock() }
        guard !isClosing, let pointer else { return nil }
        users += 1
        return pointer
    }

    private func leave() {
        lock.lock()
        users -= 1
        let last = isClosing && users == 0
        lock.unlock()
        if last { closeIfUnused() }
    }

    private func closeIfUnused() {
        lock.lock()
        let taken = isClosing && users == 0 ? pointer : nil
        if taken != nil { pointer = nil }
        lock.unlock()
        guard let taken else { return }
        Self.closeLater(Movable(pointer: taken), closeHandle) { [self] in
            lock.lock()
            isGone = true
            let told = waiting
            waiting = []
            lock.unlock()
            for continuation in told { continuation.resume() }
        }
    }

    // Closing may join threads and write to disk.
    private static func closeLater(
        _ movable: Movable, _ close: @escaping Close, then: @escaping @Sendable () -> Void
    ) {
        CallThreads.shared.submit {
            var pointer: OpaquePointer? = movable.pointer
            close(&pointer)
            then()
        }
    }
}

/// What has a handle on a context: a model, a store.
protocol Callable: Sendable {
    var handle: Handle { get }
    var context: Context { get }
}

extension Callable {
    /// Runs a call of the library on the handle, off the pool; a cancelled task stops it.
    func call<T: Sendable>(
        _ body: @escaping @Sendable (_ handle: OpaquePointer, _ cancel: OpaquePointer) throws -> T
    ) async throws -> T {
        try await cancellable(context.handle) { [handle] cancel in
            try handle.use { try body($0, cancel) }
        }
    }
}

/// A cancel handle, for the length of one call or stream.
final class CancelHandle: @unchecked Sendable {
    let pointer: OpaquePointer
    private let context: Handle

    init(_ context: Handle) throws {
        var made: OpaquePointer?
        try context.use { owner in try check { satchel_cancel_open(&made, owner, $0) } }
        self.context = context
        self.pointer = made!
    }

    func fire() { satchel_cancel_fire(pointer) }

    deinit {
        // While the context is in use this is not its last reference, so closing only frees memory.
        let movable = Movable(pointer: pointer)
        let closed: Void? = context.useIfOpen { _ in
            var pointer: OpaquePointer? = movable.pointer
            satchel_cancel_close(&pointer)
        }
        if closed == nil {
            CallThreads.shared.submit {
                var pointer: OpaquePointer? = movable.pointer
                satchel_cancel_close(&pointer)
            }
        }
    }
}

// MARK: - Swift code inside a call

/// Runs async code for a callback of the library, on the cooperative pool, while this thread (one of
/// ours) waits. A fired cancel handle cancels the task and ends the wait at once.
func awaiting<T: Sendable>(
    cancel: OpaquePointer? = nil, _ work: @escaping @Sendable () async throws -> T
) throws -> T {
    let outcome = Outcome<T>()
    let task = Task { outcome.set(await result(of: work)) }
    while true {
        if let result = outcome.wait(milliseconds: cancel == nil ? nil : 10) {
            return try result.get()
        }
        if let cancel, satchel_cancel_fired(cancel) != 0 {
            task.cancel()
            throw CancellationError()
        }
    }
}

private func result<T>(of work: () async throws -> T) async -> Result<T, any Error> {
    do { return .success(try await work()) } catch { return .failure(error) }
}

private final class Outcome<T: Sendable>: @unchecked Sendable {
    private let done = DispatchSemaphore(value: 0)
    private var result: Result<T, any Error>?  // handed over through `done`

    func set(_ result: Result<T, any Error>) {
        self.result = result
        done.signal()
    }

    func wait(milliseconds: Int?) -> Result<T, any Error>? {
        guard let milliseconds else {
            done.wait()
            return result
        }
        return done.wait(timeout: .now() + .milliseconds(milliseconds)) == .success ? result : nil
    }
}
