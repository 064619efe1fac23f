#!/usr/bin/env python3
"""k-means of a file larger than the memory it may use, beside the same points in memory.

    bench/kmeans_out_of_core.py BUILD [--count N] [--dimension D] [-k K] [--iterations N]
                                [--budget MIB] [--rounds N] [--threads N] [--folder FOLDER]

Writes the points (default 4,000,000 × 128 floats, 2 GB) to a file in a temporary folder, under
--folder if given, and deletes it in the end. Each run is a process of its own: from the file
within a memory budget, and from memory after reading the whole file, in turn. The file lies in
the page cache throughout. Anonymous memory is RssAnon of /proc, sampled every 10 ms from outside;
what the interpreter, NumPy and the library hold before the run is its baseline. Labels and
centroids of all runs are compared bit for bit.
"""
import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time

import beside

LIMIT = 256  # MiB of anonymous memory


def anonymous(process):
    """RssAnon in bytes; 0 when it is gone."""
    try:
        with open(f"/proc/{process}/status", encoding="ascii") as file:
            for line in file:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) << 10
    except OSError:
        pass
    return 0


# ---------------------------------------------------------------- the child


def child(options):
    """One run; says "ready" with its baseline, waits for a line, then says what came out."""
    import numpy as np
    import satchel

    context = satchel.Context(threads=options.threads)
    initial = np.load(options.initial)
    arguments = dict(init=initial, iterations=options.iterations, context=context)
    points = options.file
    if options.child == "memory":
        points = np.fromfile(options.file, np.float32).reshape(-1, options.dimension)
    else:
        arguments.update(dimension=options.dimension, memory_budget=options.budget << 20)
    print(json.dumps({"baseline": anonymous(os.getpid()), "level": context.cpu}), flush=True)
    sys.stdin.readline()
    start = time.perf_counter()
    made = satchel.kmeans(points, options.k, **arguments)
    seconds = time.perf_counter() - start
    print(json.dumps({
        "seconds": seconds, "iterations": made.iterations, "inertia": made.inertia,
        "working": made.info.memory_bytes, "library": context.memory()[1],
        "labels": hashlib.sha256(made.labels).hexdigest(),
        "centroids": hashlib.sha256(made.centroids).hexdigest()}), flush=True)


# ---------------------------------------------------------------- the parent


def run(kind, options, file, initial):
    command = [sys.executable, __file__, options.build, "--child", kind, "--file", file,
               "--initial", initial]
    for name in ("dimension", "iterations", "budget", "threads"):
        command += [f"--{name}", str(getattr(options, name))]
    process = subprocess.Popen([*command, "-k", str(options.k)], text=True, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    found = json.loads(process.stdout.readline() or sys.exit("the run failed"))
    process.stdin.write("go\n")
    process.stdin.flush()
    peak = 0
    while process.poll() is None:
        peak = max(peak, anonymous(process.pid))
        time.sleep(0.01)
    if process.returncode:
        sys.exit("the run failed")
    found.update(json.loads(process.stdout.readline()), peak=peak)
    return found


def write_points(path, options):
    import numpy as np
    import vectors

    k, rng = options.k, np.random.default_rng(3)
    picks = np.sort(rng.choice(min(options.count, vectors.BLOCK), k, replace=False))
    with open(path, "wb") as file:
        for number, rows in enumerate(vectors.synthetic_blocks(options.count, options.dimension)):
            if number == 0:
                initial = rows[picks].copy()
            file.write(rows.data)
    return initial


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--count", type=int, default=4_000_000)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("-k", type=int, default=1000)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--budget", type=int, default=192, help="memory_budget in MiB")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder")
    for name in ("--child", "--file", "--initial"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return child(options)
    if os.environ.get("SATCHEL_BENCH_INNER") != "1":
        os.environ["SATCHEL_BENCH_INNER"] = "1"
        return beside.run_self(options.build, options.threads, sys.argv[1:], blas=False)

    import numpy as np

    with tempfile.TemporaryDirectory(dir=options.folder, prefix="satchel-points-") as folder:
        file, initial = os.path.join(folder, "points.f32"), os.path.join(folder, "initial.npy")
        np.save(initial, write_points(file, options))
        found = {"memory": [], "file": []}
        for _ in range(options.rounds):
            for kind, runs in found.items():
                runs.append(run(kind, options, file, initial))
        size = os.path.getsize(file)
    report(options, size, found)


def report(options, size, found):
    mib = 1 << 20
    print(f"{beside.machine()}; level {found['file'][0]['level']}; {options.threads} threads; "
          f"{options.count:,} × {options.dimension} floats ({size / 1e9:.2f} GB), K={options.k}, budget "
          f"{options.budget} MiB; the fastest of {options.rounds}\n")
    best = {kind: min(runs, key=lambda r: r["seconds"]) for kind, runs in found.items()}
    peaks = {kind: max(r["peak"] - r["baseline"] for r in runs) for kind, runs in found.items()}
    rows = [[kind, f"{it['seconds']:.2f}", it["iterations"],
             f"{it['seconds'] / best['memory']['seconds']:.2f}", f"{it['baseline'] / mib:.0f}",
             f"{peaks[kind] / mib:.0f}", f"{it['working'] / mib:.0f}", f"{it['library'] / mib:.0f}"]
            for kind, it in best.items()]
    beside.table(["points in", "s", "iterations", "of the time in memory", "anonymous MiB before",
                  "at most, beyond that", "memory_bytes MiB", "allocated MiB"], rows)
    bits = {(r["labels"], r["centroids"], r["inertia"]) for runs in found.values() for r in runs}
    print(f"same bits in all {2 * options.rounds} runs: {'yes' if len(bits) == 1 else 'NO'}; "
          f"anonymous memory {'within' if peaks['file'] <= LIMIT * mib else 'OVER'} {LIMIT} MiB")


if __name__ == "__main__":
    sys.exit(main())
