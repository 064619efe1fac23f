// Clustering: points around centroids, exactly.
import CSatchel
import Foundation

/// Exactness against speed.
public struct KMeansMode: OpenConstant {
    /// The library's `SATCHEL_KMEANS_*`.
    public let rawValue: Int32
    /// Wraps a constant of the library.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// Every iteration is Lloyd's, over all points.
    public static let exact = Self(SATCHEL_KMEANS_EXACT)
    /// Samples first and stops early.
    public static let fast = Self(SATCHEL_KMEANS_FAST)

    /// `exact` or `fast`.
    public var description: String { name([.exact: "exact", .fast: "fast"]) }
}

/// What clustering makes small or large.
public struct KMeansObjective: OpenConstant {
    /// The library's `SATCHEL_KMEANS_*`.
    public let rawValue: Int32
    /// Wraps a constant of the library.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// Least squared distance to the mean.
    public static let euclidean = Self(SATCHEL_KMEANS_EUCLIDEAN)
    /// Greatest inner product with the mean's direction.
    public static let innerProduct = Self(SATCHEL_KMEANS_INNER_PRODUCT)

    /// `euclidean` or `inner_product`.
    public var description: String {
        name([.euclidean: "euclidean", .innerProduct: "inner_product"])
    }
}

/// Where the first centroids come from.
public struct KMeansInit: OpenConstant {
    /// The library's `SATCHEL_INIT_*`.
    public let rawValue: Int32
    /// Wraps a constant of the library.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// ``KMeansOptions/initial``.
    public static let given = Self(SATCHEL_INIT_GIVEN)
    /// Rows drawn alike.
    public static let random = Self(SATCHEL_INIT_RANDOM)
    /// Rows drawn by squared distance to those drawn before.
    public static let plusPlus = Self(SATCHEL_INIT_PLUS_PLUS)
    /// The same in few passes.
    public static let parallel = Self(SATCHEL_INIT_PARALLEL)

    /// `random`, `plus_plus` and so on.
    public var description: String {
        name([
            .given: "given", .random: "random", .plusPlus: "plus_plus", .parallel: "parallel",
        ])
    }
}

/// Why a clustering stopped.
public struct KMeansStop: OpenConstant {
    /// The library's `SATCHEL_STOP_*`.
    public let rawValue: Int32
    /// Wraps a constant of the library.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// All iterations were done.
    public static let iterations = Self(SATCHEL_STOP_ITERATIONS)
    /// No label changed.
    public static let unchanged = Self(SATCHEL_STOP_UNCHANGED)
    /// The centroids moved no farther than the tolerance.
    public static let tolerance = Self(SATCHEL_STOP_TOLERANCE)

    /// `iterations`, `unchanged` or `tolerance`.
    public var description: String {
        name([
            .iterations: "iterations", .unchanged: "unchanged", .tolerance: "tolerance",
        ])
    }
}

/// How points are clustered. What is left `nil` is the library's default.
public struct KMeansOptions: Sendable {
    /// At most; 0: only seeding and labels.
    public var iterations: Int?
    /// What is made small or large.
    public var objective: KMeansObjective?
    /// Exactness against speed.
    public var mode: KMeansMode?
    /// Where the first centroids come from.
    public var start: KMeansInit?
    /// The first centroids, row after row: k rows.
    public var initial: [Float] = []
    /// Stops when the centroids move no farther.
    public var tolerance: Double?
    /// Same seed, same result.
    public var seed: UInt64?
    /// Bytes of working memory.
    public var memoryBudget: UInt64?
    /// Threads at most.
    public var threads: Int?
    /// Called after each pass, on a thread of the package.
    public var progress: (@Sendable (KMeansProgress) -> Void)?

    /// All defaults.
    public init() {}

    func raw(_ scratch: Scratch, _ cancel: OpaquePointer) throws -> satchel_kmeans_options {
        var raw = defaults(satchel_kmeans_options_init)
        raw.iterations = try orNone(iterations, "iterations")
        raw.objective = objective?.rawValue ?? 0
        raw.mode = mode?.rawValue ?? 0
        raw.`init` = start?.rawValue ?? 0
        raw.initial = scratch.array(initial)
        raw.tolerance = tolerance ?? 0
        raw.seed = seed ?? 0
        raw.memory_budget = memoryBudget ?? 0
        raw.threads = try orDefault(threads, "threads")
        if let progress {
            raw.progress_user = scratch.object(KMeansTarget(progress))
            raw.progress = { user, progress in
                guard let user else { return 0 }
                Unmanaged<KMeansTarget>.fromOpaque(user).takeUnretainedValue()
                    .report(KMeansProgress(progress.pointee))
                return 0
            }
        }
        raw.cancel = cancel
        return raw
    }
}

private final class KMeansTarget: Sendable {
    let report: @Sendable (KMeansProgress) -> Void
    init(_ report: @escaping @Sendable (KMeansProgress) -> Void) { self.report = report }
}

/// How far a clustering is.
public struct KMeansProgress: Sendable, Hashable {
    /// 0: seeding; then 1 to `iterations`; then final labels.
    public let iteration: Int
    /// At most.
    public let iterations: Int
    /// Points whose label changed.
    public let moved: Int
    /// Root of the summed squared movement of the centroids.
    public let shift: Double
    /// Since the beginning.
    public let elapsedMilliseconds: Int

    init(_ raw: satchel_kmeans_progress) {
        iteration = Int(raw.iteration)
        iterations = Int(raw.iterations)
        moved = Int(raw.moved)
        shift = raw.shift
        elapsedMilliseconds = Int(raw.elapsed_ms)
    }
}

/// Points around centroids.
public struct KMeans: Sendable {
    /// Row after row: (k, dimension).
    public let centroids: [Float]
    /// Of each point: the index of its centroid.
    public let labels: [Int32]
    /// Sum of the squared distances, or inner products, to them.
    public let inertia: Double
    /// Done.
    public let iterations: Int
    /// Why it stopped.
    public let stop: KMeansStop
    /// Clusters without a point in the end.
    public let empty: Int
    /// Pairs of point and centroid scored in int8.
    public let products: Int
    /// Pairs scored in double precision.
    public let rechecks: Int
    /// Working memory held at most.
    public let memoryBytes: UInt64
    /// Spent seeding.
    public let seedMilliseconds: Int
    /// Spent iterating.
    public let iterateMilliseconds: Int
    /// Spent on final labels.
    public let finalMilliseconds: Int

    /// K when none is given: the whole number nearest to the root of the number of points.
    public static func defaultCount(for points: Int) -> Int {
        Int(satchel_kmeans_default_k(UInt64(points)))
    }

    /// Clusters points: same bits on every machine, for any number of threads.
    ///
    /// - Parameters:
    ///   - points: In memory, in a file or from a function.
    ///   - count: Clusters; `nil`: by the number of points.
    ///   - options: Settings.
    ///   - context: Threads and limits; `nil`: the shared one.
    public static func cluster(
        _ points: KMeansPoints, into count: Int? = nil, options: KMeansOptions = KMeansOptions(),
        context: Context? = nil
    ) async throws -> KMeans {
        let k = count ?? defaultCount(for: points.count)
        guard k > 0 else {
            throw SatchelError(
                .invalidArgument, "\(k) clusters of \(points.count) points; ask for at least 1")
        }
        // Before an array is made that no memory holds.
        let (size, tooLarge) = k.multipliedReportingOverflow(by: points.dimension)
        guard !tooLarge, k <= points.count else {
            throw SatchelError(
                .invalidArgument, "\(k) clusters of \(points.count) points; ask for at most as many")
        }
        if !options.initial.isEmpty, options.initial.count != size {
            throw SatchelError(
                .invalidArgument,
                "initial holds \(options.initial.count) numbers; there must be \(k) rows of "
                    + "\(points.dimension)")
        }
        let context = try context ?? Context.shared()
        return try await cancellable(context.handle) { cancel in
            let scratch = Scratch()
            var raw = try options.raw(scratch, cancel)
            var centroids = [Float](repeating: 0, count: size)
            var labels = [Int32](repeating: 0, count: points.count)
            let info = try withExtendedLifetime(scratch) {
                try context.handle.use { owner in
                    try points.use(scratch) { given in
                        try filled {
                            satchel_kmeans(
                                owner, given, k, &centroids, &labels, $0, $1, &raw, $2)
                        }
                    }
                }
            }
            return KMeans(
                centroids: centroids, labels: labels, inertia: info.inertia,
                iterations: Int(info.iterations), stop: KMeansStop(rawValue: info.stop),
                empty: Int(info.empty), products: Int(info.products), rechecks: Int(info.rechecks),
                memoryBytes: info.memory_bytes, seedMilliseconds: Int(info.seed_ms),
                iterateMilliseconds: Int(info.iterate_ms), finalMilliseconds: Int(info.final_ms))
        }
    }

    /// As ``cluster(_:into:options:context:)``, of points in memory that stand row after row.
    public static func cluster(
        _ points: [Float], dimension: Int, into count: Int? = nil,
        options: KMeansOptions = KMeansOptions(), context: Context? = nil
    ) async throws -> KMeans {
        try await cluster(
            KMeansPoints(points, dimension: dimension), into: count, options: options,
            context: context)
    }

    /// Labels points by their nearest of given centroids, which stand row after row.
    public static func assign(
        _ points: KMeansPoints, to centroids: [Float], options: KMeansOptions = KMeansOptions(),
        context: Context? = nil
    ) async throws -> (labels: [Int32], distances: [Double]) {
        let k = try KMeansPoints(centroids, dimension: points.dimension).count
        let context = try context ?? Context.shared()
        return try await cancellable(context.handle) { cancel in
            let scratch = Scratch()
            var raw = try options.raw(scratch, cancel)
            var labels = [Int32](repeating: 0, count: points.count)
            var distances = [Double](repeating: 0, count: points.count)
            try withExtendedLifetime(scratch) {
                try context.handle.use { owner in
                    try points.use(scratch) { given in
                        try check {
                            satchel_kmeans_assign(
                                owner, given, k, centroids, &labels, &distances, &raw, $0)
                        }
                    }
                }
            }
            return (labels, distances)
        }
    }

    /// As ``assign(_:to:options:context:)``, of points in memory that stand row after row.
    public static func assign(
        _ points: [Float], dimension: Int, to centroids: [Float],
        options: KMeansOptions = KMeansOptions(), context: Context? = nil
    ) async throws -> (labels: [Int32], distances: [Double]) {
        try await assign(
            KMeansPoints(points, dimension: dimension), to: centroids, options: options,
            context: context)
    }
}
