// Streams of the library as asynchronous sequences.
import CSatchel
import Foundation

/// The events of an answer, a sync or a generated text, one by one.
///
/// Nothing happens before the first event is asked for; from then on the work goes on as events are
/// pulled, on threads of the package. Leaving the loop ends the work where it stands, cancelling the
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

/// One run of a stream: the C handle, who is inside it, and whether it is over.
private final class Pull<Element: Sendable>: @unchecked Sendable {
    private let source: StreamSource<Element>
    private let watch: StreamSource<Element>.Watch?
    private let lock = NSLock()
    private var cancel: CancelHandle?
    private var isPulling = false
    private var isOver = false
    // Touched by the one thread that pulls, or, when nobody does, by the one that closes.
    private var opened: StreamSource<Element>.Opened?

    init(_ source: StreamSource<Element>) {
        self.source = source
        watch = source.watch?()
    }

    func next() async throws -> Element? {
        if Task.isCancelled {
            guard end() else { return nil }
            throw CancellationError()
        }
        guard let cancel = try begin() else { return nil }
        let element = try await withTaskCancellationHandler {
            try await offPool { try self.pull(cancel) }
        } onCancel: {
            cancel.fire()
        }
        if let watch, let element { await watch(element) }
        return element
    }

    func close() { end() }

    /// nil if the stream is over.
    private func begin() throws -> CancelHandle? {
        lock.lock()
        defer { lock.unlock() }
        if isOver { return nil }
        if isPulling {
            throw SatchelError(.busy, "another task is waiting for the next event of this stream")
        }
        let cancel = try self.cancel ?? CancelHandle(source.context)
        self.cancel = cancel
        isPulling = true
        return cancel
    }

    private func pull(_ cancel: CancelHandle) throws -> Element? {
        do {
            let made = try opened ?? source.open(cancel.pointer)
            opened = made
            while true {
                var event = satchel_event()
                try check {
                    satchel_stream_next(made.stream, &event, MemoryLayout<satchel_event>.size, $0)
                }
                let element = try source.read(event)
                let last = event.kind == Int32(SATCHEL_EVENT_DONE)
                if last || element != nil {
                    return leave(over: last) ? element : nil
                }
            }
        } catch {
            // To whoever closed it the stream simply ended.
            if leave(over: true) { throw error }
            return nil
        }
    }

    /// False if the stream was closed meanwhile.
    private func leave(over: Bool) -> Bool {
        lock.lock()
        let wasOver = isOver
        isOver = isOver || over
        isPulling = false
        let stream = isOver ? opened : nil
        if isOver {
            opened = nil
            cancel = nil
        }
        lock.unlock()
        Self.close(stream)
        return !wasOver
    }

    /// Ends the stream from outside. False if it was over already.
    @discardableResult
    private func end() -> Bool {
        lock.lock()
        let wasOver = isOver
        isOver = true
        let pulling = isPulling ? cancel : nil
        var stream: StreamSource<Element>.Opened?
        if !isPulling {
            stream = opened
            opened = nil
            cancel = nil
        }
        lock.unlock()
        pulling?.fire()  // whoever pulls closes it
        if let stream {
            let leaving = Leaving(opened: stream)
            CallThreads.shared.submit { Self.close(leaving.opened) }
        }
        return !wasOver
    }

    private struct Leaving: @unchecked Sendable { let opened: StreamSource<Element>.Opened }

    private static func close(_ opened: StreamSource<Element>.Opened?) {
        guard let opened else { return }
        var stream: OpaquePointer? = opened.stream
        withExtendedLifetime(opened.keep) { satchel_stream_close(&stream) }
    }
}
