// Streams of the library as asynchronous sequences.
import CSatchel
import Foundation

/// The events of an answer, a sync or a generated text, one by one.
///
/// Nothing happens before the first event is asked for; from then on the work goes on on a thread of the
/// package, at most a few events ahead of the loop. Leaving the loop ends the work where it stands, cancelling the
/// task ends it within a token and throws `CancellationError`. Each loop over the same sequence does
/// the work anew.
public struct EventStream<Element: Sendable>: AsyncSequence, Sendable {
    let source: StreamSource<Element>

    /// Begins the work anew.
    public func makeAsyncIterator() -> Iterator { Iterator(source) }

    /// Pulls events. One task at a time may ask for the next.
    public final class Iterator: AsyncIteratorProtocol, Sendable {
        private let pull: Pull<Element>

        init(_ source: StreamSource<Element>) { pull = Pull(source) }

        // Never waits: what is left to do is done by a thread of the package.
        deinit { pull.close() }

        /// The next event, nil after the last.
        public func next() async throws -> Element? { try await pull.next() }

        /// Ends the work where it stands; what was committed stays. Never waits. A `next()` that
        /// another task is waiting for returns nil.
        public func close() { pull.close() }
    }
}

extension EventStream {
    /// The events of a stream of the library. `open` is called for each run, off the pool, with the owner's
    /// handle in use; what the options point to lies in the scratch, which lives as long as the stream.
    init(
        of owner: some Callable, read: @escaping @Sendable (satchel_event) throws -> Element?,
        open: @escaping @Sendable (
            _ owner: OpaquePointer, _ scratch: Scratch, _ cancel: OpaquePointer
        ) throws -> OpaquePointer?
    ) {
        let handle = owner.handle
        source = StreamSource(
            context: owner.context.handle,
            open: { cancel in
                let scratch = Scratch()
                let stream = try handle.use { try open($0, scratch, cancel) }
                return .init(stream: stream!, keep: scratch)
            }, read: read)
    }
}

/// How a stream is opened and how its events are read.
struct StreamSource<Element: Sendable>: Sendable {
    struct Opened {
        let stream: OpaquePointer
        let keep: Scratch?  // what its options point to
    }

    let context: Handle
    /// Opens the stream, stopped by the cancel handle given.
    let open: @Sendable (_ cancel: OpaquePointer) throws -> Opened
    /// nil for an event that this version does not know.
    let read: @Sendable (satchel_event) throws -> Element?
    /// Made for each run, and shown its events before they are handed out.
    var watch: (@Sendable () -> Watch)?

    typealias Watch = @Sendable (Element) async -> Void
}

/// One run of a stream. A thread pulls events from the library and puts them into a small buffer, from
/// which the task takes them: where they come fast, few of them make one wait for the other.
private final class Pull<Element: Sendable>: @unchecked Sendable {
    private typealias Waiter = HandOver<Element?>

    // So many events are fetched before they are asked for, at most.
    private static var ahead: Int { 16 }

    private let source: StreamSource<Element>
    private let watch: StreamSource<Element>.Watch?

    private let lock = NSLock()
    private var cancel: CancelHandle?
    private var buffer: [Element] = []
    private var taken = 0  // of the buffer
    private var outcome: Result<Void, any Error>?  // of the library's stream, behind the buffer
    private var waiter: Waiter?
    private var isPulling = false
    private var isOver = false  // to the task
    // Touched by the one thread that pulls, or, when none does, by whoever closes.
    private var opened: StreamSource<Element>.Opened?

    init(_ source: StreamSource<Element>) {
        self.source = source
        watch = source.watch?()
    }

    // MARK: The task's side

    func next() async throws -> Element? {
        if Task.isCancelled {
            guard end() else { return nil }
            throw CancellationError()
        }
        guard let cancel = try handle() else { return nil }
        let element: Element?
        if let ready = takeReady() {
            element = ready
        } else {
            element = try await withTaskCancellationHandler {
                try await Waiter.wait { wait($0) }
            } onCancel: {
                cancel.fire()
            }
        }
        if let watch, let element { await watch(element) }
        return element
    }

    func close() { end() }

    /// What stops the stream; nil if it is over.
    private func handle() throws -> CancelHandle? {
        lock.lock()
        defer { lock.unlock() }
        if isOver { return nil }
        if let cancel { return cancel }
        let made = try CancelHandle(source.context)
        cancel = made
        return made
    }

    private func takeReady() -> Element? {
        lock.lock()
        let element = waiter == nil ? popped() : nil
        let more = element != nil && pullsMore()
        lock.unlock()
        if more { pullLater() }
        return element
    }

    private func wait(_ task: Waiter) {
        lock.lock()
        var answer: Result<Element?, any Error>?
        if waiter != nil {
            let busy = "another task is waiting for the next event of this stream"
            answer = .failure(SatchelError(.busy, busy))
        } else if isOver {
            answer = .success(nil)
        } else if let element = popped() {
            answer = .success(element)
        } else if let outcome {
            isOver = true
            answer = outcome.map { nil }
        } else {
            waiter = task
        }
        let more = pullsMore()
        lock.unlock()
        if more { pullLater() }
        if let answer { task.resume(with: answer) }
    }

    /// Ends the stream from outside. False if it was over already.
    @discardableResult
    private func end() -> Bool {
        lock.lock()
        let wasOver = isOver
        isOver = true
        let pulling = isPulling ? cancel : nil
        let waiting = waiter
        waiter = nil
        let leaving = isPulling ? nil : opened.map { Leaving(opened: $0) }
        if !isPulling { opened = nil }
        cancel = nil
        buffer = []
        taken = 0
        lock.unlock()
        pulling?.fire()  // the thread that pulls closes the stream
        waiting?.resume(with: .success(nil))
        if let leaving { CallThreads.shared.submit { Self.close(leaving.opened) } }
        return !wasOver
    }

    // Under the lock.
    private func popped() -> Element? {
        guard !isOver, taken < buffer.count else { return nil }
        let element = buffer[taken]
        taken += 1
        if taken == buffer.count {
            buffer.removeAll(keepingCapacity: true)
            taken = 0
        }
        return element
    }

    // Under the lock: true if the caller is to start a thread, after unlocking.
    private func pullsMore() -> Bool {
        guard !isPulling, !isOver, outcome == nil, buffer.isEmpty else { return false }
        isPulling = true
        return true
    }

    // MARK: The thread's side

    private func pullLater() {
        CallThreads.shared.submit { self.pull() }
    }

    private func pull() {
        while true {
            var element: Element?
            var end: Result<Void, any Error>?
            do {
                guard let opened = try opened ?? open() else { return leave() }
                self.opened = opened
                let event = try filled { satchel_stream_next(opened.stream, $0, $1, $2) }
                element = try source.read(event)
                if event.kind == Int32(SATCHEL_EVENT_DONE) { end = .success(()) }
            } catch {
                end = .failure(error)
            }
            if !hand(over: element, end) { return leave() }
        }
    }

    /// nil if the stream was closed before it began.
    private func open() throws -> StreamSource<Element>.Opened? {
        lock.lock()
        let cancel = self.cancel
        lock.unlock()
        guard let cancel else { return nil }
        return try source.open(cancel.pointer)
    }

    /// False if there is no more to pull for now.
    private func hand(over element: Element?, _ end: Result<Void, any Error>?) -> Bool {
        lock.lock()
        outcome = end
        var told: Waiter?
        var answer: Result<Element?, any Error> = .success(element)
        if isOver {
            // Nobody is there to be told.
        } else if element != nil || end != nil, let waiting = waiter {
            waiter = nil
            told = waiting
            if element == nil, let end {
                isOver = true
                answer = end.map { nil }
            }
        } else if let element {
            buffer.append(element)
        }
        let goesOn = !isOver && end == nil && buffer.count < Self.ahead
        lock.unlock()
        told?.resume(with: answer)
        return goesOn
    }

    /// The thread goes; the stream stays open if there is more to pull.
    private func leave() {
        lock.lock()
        isPulling = false
        let leaving = isOver || outcome != nil ? opened : nil
        if leaving != nil { opened = nil }
        // The task may have emptied the buffer, or begun to wait, meanwhile.
        let more = pullsMore()
        lock.unlock()
        Self.close(leaving)
        if more { pullLater() }
    }

    private struct Leaving: @unchecked Sendable { let opened: StreamSource<Element>.Opened }

    private static func close(_ opened: StreamSource<Element>.Opened?) {
        guard let opened else { return }
        var stream: OpaquePointer? = opened.stream
        withExtendedLifetime(opened.keep) { satchel_stream_close(&stream) }
    }
}
