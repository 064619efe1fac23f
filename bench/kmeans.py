#!/usr/bin/env python3
"""k-means beside faiss-cpu, scikit-learn and SuperKMeans.

    bench/kmeans.py BUILD [--group NAME ...] [--data FOLDER] [--threads N] [--rounds N] [--divide N]
                    [--peers-only] [--cpu-time]

BUILD is a build folder with -Dbench=true. Needs the peers (scripts/setup --peers). Each group of
rows is one process in which all sides run in turn, on the same data, with the same initial
centroids, iterations and threads, over all points; the labels that belong to the final centroids
are part of the time on every side. The fastest round counts, the median stands beside it. --data
holds the text collections whose embeddings serve as real points (see vectors.py; needed once).
--divide makes everything smaller, to try the program out. --cpu-time, with --threads 1, counts
the time on the CPU instead: for a machine that is busy with other work.

Columns: `iteration` is the time of one (training time over iterations; scikit-learn does not tell
its final pass apart, so there it is the whole over iterations + 1). `ratio` is the side's time
over Satchel's. `objective` is the float64 sum of squared distances to the nearest returned
centroid, as a difference from FAISS's. `effective` counts 2 N K D for every iteration and the
final pass as if nothing were skipped, `multiplied` the int8 products that were computed, both as
a share of what the cores reach in registers with int8 (measured in the same run). `rechecks` are
distances computed in double, for a point in a pass.

The peers' BLAS runs with the core type that is fastest here. In the group avx2 both sides are
held to AVX2: Satchel by cpu_level, FAISS by FAISS_SIMD_LEVEL, its BLAS by the Haswell core type.
"""
import argparse
import sys
import time
from dataclasses import dataclass
from typing import Optional

import beside

HUGE = 10 ** 9
CLOCK = time.perf_counter  # or CPU time, see --cpu-time


@dataclass
class Run:
    seconds: float  # all: training and the final labels
    final: Optional[float]  # of these the final pass; None: not known
    iterations: int  # done; 0: cannot be counted
    centroids: object
    products: int = 0  # point-centroid pairs scored in int8
    rechecks: int = 0  # in double

    @property
    def iteration(self):
        if self.iterations == 0:
            return ""
        each = (self.seconds / (self.iterations + 1) if self.final is None
                else (self.seconds - self.final) / self.iterations)
        return f"{each * 1e3:.1f}"


# ---------------------------------------------------------------- sides


def satchel_side(context, points, initial, iterations, mode="exact"):
    import satchel

    def run():
        start = CLOCK()
        made = satchel.kmeans(points, len(initial), init=initial, iterations=iterations, mode=mode,
                              context=context)
        seconds = CLOCK() - start
        final = made.info.final_ms / 1e3 if CLOCK is time.perf_counter else None
        return Run(seconds, final, made.iterations, made.centroids, made.info.products,
                   made.info.rechecks)
    return run


def faiss_side(points, initial, iterations, threads):
    import faiss

    def run():
        faiss.omp_set_num_threads(threads)
        k, dimension = initial.shape
        start = CLOCK()
        it = faiss.Kmeans(dimension, k, niter=iterations, seed=1, nredo=1,
                          max_points_per_centroid=HUGE, min_points_per_centroid=1)
        it.train(points, init_centroids=initial)
        trained = CLOCK()
        it.index.search(points, 1)
        end = CLOCK()
        return Run(end - start, end - trained, iterations, it.centroids)
    return run


def sklearn_side(points, initial, iterations, threads):
    import warnings

    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    def run():
        with threadpool_limits(threads), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it stopped before it converged
            start = CLOCK()
            it = KMeans(len(initial), init=initial, n_init=1, max_iter=iterations, tol=0,
                        algorithm="lloyd").fit(points)
            return Run(CLOCK() - start, None, it.n_iter_, it.cluster_centers_)
    return run


def superkmeans_side(points, k, iterations, threads, **options):
    from superkmeans import SuperKMeans

    def run():
        it = SuperKMeans(k, points.shape[1], n_threads=threads, **options)
        start = CLOCK()
        centroids = it.train(points)
        trained = CLOCK()
        it.assign(points, centroids)
        exact = CLOCK()
        final = exact - trained
        if options.get("sampling_fraction") == 1.0:  # it knows all points: a faster way
            it.assign_training_points(points, centroids)
            final = min(final, CLOCK() - exact)
        counted = 0 if options.get("hierarchical") else iterations
        return Run(trained - start + final, final, counted, centroids)
    return run


# ---------------------------------------------------------------- groups


@dataclass
class Cell:
    kind: str  # "real", "synthetic" (overlapping groups of unlike size) or "blobs" (make_blobs)
    count: int
    dimension: int
    k: int
    iterations: int


def both_lengths(kind):
    return [Cell(kind, 100_000, 384, 1024, 10), Cell(kind, 100_000, 384, 1024, 25)]


GROUPS = {
    "real": both_lengths("real"),
    "synthetic": both_lengths("synthetic"),
    "blobs": both_lengths("blobs"),
    "k": [Cell("real", 100_000, 384, 100, 10), Cell("real", 100_000, 384, 4096, 10)],
    "dimension": [Cell("synthetic", 100_000, 128, 1024, 10),
                  Cell("synthetic", 100_000, 768, 1024, 10)],
    "large": [Cell("synthetic", 1_000_000, 128, 1000, 10)],
    "superkmeans": [Cell("real", 100_000, 384, 1024, 10),
                    Cell("synthetic", 100_000, 384, 1024, 10)],
    "avx2": both_lengths("real") + both_lengths("synthetic"),
}


def points_of(cell, options):
    import vectors

    if cell.kind == "real":
        return vectors.repeated(vectors.embeddings(options.data), cell.count)
    make = vectors.blobs if cell.kind == "blobs" else vectors.synthetic
    return make(cell.count, cell.dimension)


def sides_of(group, cell, context, points, initial, options):
    threads, iterations = options.threads, cell.iterations
    sides = {"faiss-cpu": faiss_side(points, initial, iterations, threads)}
    if group == "superkmeans":
        every = dict(iters=iterations, hierarchical=False, early_termination=False,
                     sampling_fraction=1.0, max_points_per_cluster=HUGE)
        for name, more in (("all points, no early stop", every), ("defaults", {}),
                           ("hierarchical", {"hierarchical": True})):
            sides["superkmeans, " + name] = superkmeans_side(points, cell.k, iterations, threads,
                                                             **more)
    elif group != "avx2":
        sides["scikit-learn lloyd"] = sklearn_side(points, initial, iterations, threads)
    if not options.peers_only:
        sides["**Satchel**"] = satchel_side(context, points, initial, iterations)
        if group == "superkmeans":
            sides["**Satchel, fast**"] = satchel_side(context, points, initial, iterations, "fast")
    return sides


def measure(group, options):
    """The child: one group."""
    import satchel
    import vectors

    level = "avx2" if group == "avx2" else None
    context = satchel.Context(threads=options.threads, cpu_level=level)
    floats, ints = beside.roof(options.build, options.threads, context.cpu)
    print(f"### {group}\n\n{beside.machine()}; threads: {options.threads}"
          f"{', CPU time' * options.cpu_time}; level {context.cpu}; in registers {floats:.0f} "
          f"GFLOP/s float, {ints:.0f} Gop/s int8; {options.rounds} rounds, the fastest (median)\n",
          flush=True)
    rows, points, before = [], None, None
    for cell in GROUPS[group]:
        cell.count, cell.k = cell.count // options.divide, max(1, cell.k // options.divide)
        shape = (cell.kind, cell.count, cell.dimension)
        if shape != before:
            points, before = points_of(cell, options), shape
        initial = vectors.first_centroids(points, cell.k)
        sides = sides_of(group, cell, context, points, initial, options)
        found = beside.in_turn(sides, options.rounds)
        rows += report(cell, found, points, ints)
    beside.table(["points", "side", "s (median)", "final pass ms", "iterations", "iteration ms",
                  "ratio", "objective", "effective", "multiplied", "rechecks"], rows)


def report(cell, found, points, ints):
    ours = found.get("**Satchel**")
    base = beside.objective(points, found["faiss-cpu"][0].centroids)
    rows = []
    for name, (run, median) in found.items():
        value = beside.objective(points, run.centroids)
        work = 2.0 * cell.dimension / run.seconds * 1e-9
        pairs = cell.count * cell.k * (run.iterations + 1)
        exact = name == "**Satchel**" and ints > 0
        rows.append([
            f"{cell.kind} {cell.count:,} × {cell.dimension}, K={cell.k}", name,
            f"{run.seconds:.3f} ({median:.3f})",
            "" if run.final is None else f"{run.final * 1e3:.0f}",
            run.iterations or "", run.iteration,
            f"{run.seconds / ours[0].seconds:.2f}" if ours else "",
            f"{value:.6g}" if name == "faiss-cpu" else f"{100 * (value / base - 1):+.3f} %",
            f"{100 * work * pairs / ints:.0f} %" if exact else "",
            f"{100 * work * run.products / ints:.0f} %" if exact else "",
            f"{run.rechecks / cell.count / (run.iterations + 1):.2f}" if exact else ""])
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--group", action="append", choices=list(GROUPS))
    parser.add_argument("--data", default=str(beside.ROOT.parent / "shared" / "data"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--divide", type=int, default=1)
    parser.add_argument("--peers-only", action="store_true")
    parser.add_argument("--cpu-time", action="store_true")
    parser.add_argument("--child", help=argparse.SUPPRESS, choices=list(GROUPS))
    options = parser.parse_args()
    if options.cpu_time and options.threads != 1:
        parser.error("--cpu-time needs --threads 1: threads that wait for each other spin")
    if options.child:
        global CLOCK
        CLOCK = time.process_time if options.cpu_time else time.perf_counter
        measure(options.child, options)
        return 0
    failed = 0
    for group in options.group or GROUPS:
        failed |= beside.run_self(options.build, options.threads, [*sys.argv[1:], "--child", group],
                                  avx2=group == "avx2")
    return failed


if __name__ == "__main__":
    sys.exit(main())
