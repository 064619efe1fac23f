#!/usr/bin/env python3
"""The store's vector index beside FAISS's own IVF-SQ8, usearch and hnswlib.

    bench/vector_index.py BUILD [--count N] [--queries N] [--recall R] [--rounds N] [--threads N]
                          [--data FOLDER] [--folder FOLDER]

BUILD is a build folder with -Dbench=true; needs the peers (scripts/setup --peers). The vectors
are real embeddings, repeated with noise (vectors.py); the queries are others of the same kind.
Satchel's are in a store, put there through an embedder that looks them up (index_bench): its
build reads them from the store, chooses centroids, encodes, and writes and publishes the file,
all of which counts. FAISS has the same number of lists.

Builds take --threads threads. Searches take one: Satchel's go through the store one query at a
time and read the hits' texts, the peers get all queries in one call. Each peer's setting is the
first of a rising series that reaches --recall, Satchel's default stands beside such a one. Recall
is that of the 10 best by inner product in float.
"""
import argparse
import glob
import os
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import Callable, List

import beside

K = 10
SEARCH_THREADS = 1


@dataclass
class Side:
    name: str
    build: float  # seconds
    size: int  # bytes of the index
    settings: List[int]  # rising
    setting_name: str
    search: Callable  # setting -> (seconds, row numbers (queries, K))
    floats: bool = False  # the vectors in full are within `size`


# ---------------------------------------------------------------- Satchel


class Store:
    """index_bench in a process."""

    def __init__(self, options, files, threads):
        self.out = files["out"]
        self.child = subprocess.Popen(
            [os.path.join(options.build, "bench", "index_bench"), str(threads), files["store"],
             files["vectors"], files["queries"], str(options.dimension), files["out"]],
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, command):
        self.child.stdin.write(command + "\n")
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        if not line:
            sys.exit("index_bench failed")
        return [float(word) for word in line.split()]

    def search(self):
        import numpy as np

        seconds, *self.microseconds = self.ask(f"search {K}")
        return seconds, np.fromfile(self.out, np.int64).reshape(-1, K)

    def close(self):
        self.child.stdin.close()
        self.child.wait()


def index_file(files):
    found = glob.glob(files["store"] + "-index-*")
    if len(found) != 1:
        sys.exit(f"index files: {found}")
    return found[0]


def lists_of(path):
    with open(path, "rb") as file:
        return struct.unpack_from("<II", file.read(56), 48)[1]


def fill(options, files):
    store = Store(options, files, options.threads)
    store.ask("open 0 0")
    seconds = store.ask("fill")[0]
    store.close()
    return seconds


def build_satchel(options, files):
    """A new index of a store that has none. Returns seconds."""
    for path in glob.glob(files["store"] + "-index-*"):
        os.remove(path)
    store = Store(options, files, options.threads)
    store.ask("open 0 0")
    seconds = store.ask("build")[0]
    store.close()
    return seconds


def satchel_side(options, files, build):
    path = index_file(files)
    store = Store(options, files, SEARCH_THREADS)
    state = {"probes": None}

    def search(probes):
        if state["probes"] != probes:
            store.ask(f"open 0 {probes}")
            store.ask(f"search {K}")  # loads what the first search loads, and checks lists
            state["probes"] = probes
        return store.search()
    lists = lists_of(path)
    side = Side("**Satchel**", build, os.path.getsize(path),
                [p for p in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128, 256) if p <= lists],
                "probes", search)
    return side, store


# ---------------------------------------------------------------- peers


def build_faiss(points, lists):
    import faiss

    start = time.perf_counter()
    index = faiss.index_factory(points.shape[1], f"IVF{lists},SQ8", faiss.METRIC_INNER_PRODUCT)
    index.train(points)
    index.add(points)
    return time.perf_counter() - start, index


def faiss_sides(points, queries, index, build):
    import faiss

    def searcher(chosen):
        def search(probes, keep=points):  # `refined` has no copy of them
            faiss.omp_set_num_threads(SEARCH_THREADS)
            index.nprobe = probes
            start = time.perf_counter()
            found = chosen.search(queries, K)[1]
            return time.perf_counter() - start, found
        return search
    size = len(faiss.serialize_index(index))
    refined = faiss.IndexRefineFlat(index, faiss.swig_ptr(points))
    refined.k_factor = 4
    probes = [p for p in (1, 2, 4, 8, 16, 32, 64, 128, 256) if p <= index.nlist]
    return [Side(f"faiss-cpu IVF{index.nlist},SQ8", build, size, probes, "nprobe", searcher(index)),
            Side(f"faiss-cpu IVF{index.nlist},SQ8, float re-rank of {4 * K}", build,
                 size + points.nbytes, probes, "nprobe", searcher(refined), True)]


def usearch_side(points, queries, threads):
    import numpy as np
    from usearch.index import Index

    start = time.perf_counter()
    index = Index(ndim=points.shape[1], metric="ip")
    index.add(np.arange(len(points)), points, threads=threads)
    build = time.perf_counter() - start

    def search(expansion):
        index.expansion_search = expansion
        begin = time.perf_counter()
        found = index.search(queries, K, threads=SEARCH_THREADS).keys
        return time.perf_counter() - begin, np.asarray(found, np.int64)
    kind = str(index.dtype).rsplit(".", 1)[-1].lower()
    return Side(f"usearch, {kind}, connectivity {index.connectivity}", build, index.serialized_length,
                [16, 32, 64, 128, 256, 512, 1024], "expansion", search, kind == "f32")


def hnswlib_side(points, queries, threads):
    import hnswlib
    import numpy as np

    start = time.perf_counter()
    index = hnswlib.Index("ip", points.shape[1])
    index.init_index(len(points), M=16, ef_construction=200, random_seed=1)
    index.add_items(points, np.arange(len(points)), num_threads=threads)
    build = time.perf_counter() - start

    def search(ef):
        index.set_ef(ef)
        begin = time.perf_counter()
        found = index.knn_query(queries, K, num_threads=SEARCH_THREADS)[0]
        return time.perf_counter() - begin, found.astype(np.int64)
    with tempfile.NamedTemporaryFile() as file:
        index.save_index(file.name)
        size = os.path.getsize(file.name)
    return Side("hnswlib, M 16, ef_construction 200", build, size, [16, 32, 64, 128, 256, 512, 1024],
                "ef", search, True)


# ---------------------------------------------------------------- the run


def true_best(points, queries):
    """(queries, K) row numbers: candidates in float, their order in float64."""
    import numpy as np

    best = np.empty((len(queries), K), np.int64)
    for begin in range(0, len(queries), 100):
        part = queries[begin:begin + 100]
        scores = part @ points.T
        near = np.argpartition(-scores, 4 * K, axis=1)[:, :4 * K]
        exact = np.einsum("qkd,qd->qk", points[near].astype(np.float64), part.astype(np.float64))
        order = np.argsort(-exact, axis=1, kind="stable")[:, :K]
        best[begin:begin + len(part)] = np.take_along_axis(near, order, 1)
    return best


def recall(found, best):
    return sum(len(set(a) & set(b)) for a, b in zip(found.tolist(), best.tolist())) / best.size


def first_setting(side, best, wanted):
    """The first setting that reaches the recall, else the last."""
    for setting in side.settings:
        reached = recall(side.search(setting)[1], best)
        if reached >= wanted:
            break
    return setting, reached


def measure(options, folder):
    import faiss
    import numpy as np
    import vectors

    base = vectors.embeddings(options.data)
    options.dimension = base.shape[1]
    points = vectors.repeated(base, options.count)
    mixed = np.random.default_rng(4).permutation(base)
    queries = vectors.repeated(mixed, options.queries, seed=7)
    files = {name: os.path.join(folder, name) for name in ("store", "vectors", "queries", "out")}
    points.tofile(files["vectors"])
    queries.tofile(files["queries"])
    best = true_best(points, queries)
    print(f"{beside.machine()}; {options.count:,} × {options.dimension}, {options.queries:,} queries; "
          f"builds on {options.threads} threads, searches on {SEARCH_THREADS}; faiss {faiss.__version__}\n",
          flush=True)

    print(f"store filled in {fill(options, files):.1f} s", file=sys.stderr, flush=True)
    ours, theirs, clustering = [], [], 0.0
    for _ in range(options.rounds):
        time.sleep(beside.PAUSE)
        ours.append(build_satchel(options, files))
        lists = lists_of(index_file(files))
        faiss.omp_set_num_threads(options.threads)
        time.sleep(beside.PAUSE)
        seconds, index = build_faiss(points, lists)
        theirs.append(seconds)
    print("builds, s: Satchel " + ", ".join(f"{s:.2f}" for s in ours) + "; faiss-cpu "
          + ", ".join(f"{s:.2f}" for s in theirs)
          + f"; ratio of the fastest {min(theirs) / min(ours):.2f}\n", flush=True)

    first, store = satchel_side(options, files, min(ours))
    sides = [first, *faiss_sides(points, queries, index, min(theirs)),
             usearch_side(points, queries, options.threads),
             hnswlib_side(points, queries, options.threads)]
    chosen = [(first, 0, recall(first.search(0)[1], best))]
    chosen += [(side, *first_setting(side, best, options.recall)) for side in sides]
    times = [[] for _ in chosen]
    for _ in range(options.rounds):
        for (side, setting, _), taken in zip(chosen, times):
            side.search(setting)  # back in the caches
            time.sleep(beside.PAUSE)
            taken.append(side.search(setting)[0])
    first.search(0)
    typical = store.microseconds
    held = store.ask("memory")
    store.close()
    rows = [[side.name, f"{side.build:.1f}", f"{side.setting_name} {setting or 'by default'}",
             f"{reached:.4f}", f"{options.queries / min(taken):,.0f}", f"{side.size / 1e6:.0f}",
             "yes" if side.floats else "no"]
            for (side, setting, reached), taken in zip(chosen, times)]
    beside.table(["index", "build s", "setting", "recall@10", "queries/s", "MB",
                  "float vectors within"], rows)
    print(f"Satchel, by default: a query {typical[0]:.0f} µs in the median, {typical[1]:.0f} µs at "
          f"99 %; the library holds {held[0] / 1e6:.0f} MB beside the mapped index; {lists} lists; the "
          f"store with text and float vectors {os.path.getsize(files['store']) / 1e6:.0f} MB")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--count", type=int, default=500_000)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--recall", type=float, default=0.98)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", default=str(beside.ROOT.parent / "shared" / "data"))
    parser.add_argument("--folder")
    options = parser.parse_args()
    if os.environ.get("SATCHEL_BENCH_INNER") != "1":
        os.environ["SATCHEL_BENCH_INNER"] = "1"
        return beside.run_self(options.build, options.threads, sys.argv[1:])
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="satchel-index-") as folder:
        measure(options, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
