"""What the benchmarks beside Python peers share: the peers' Python and threads, their BLAS at its
best, timing in turn, tables, and an objective that is computed in the same way for all."""
import functools
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("SATCHEL_CACHE") or Path.home() / ".cache" / "satchel")
PYTHON = CACHE / "peers" / "venv" / "bin" / "python"
#: Tried against what the peers' OpenBLAS chooses by itself: a wheel's OpenBLAS does not know every
#: CPU, and is several times slower on one that it takes for an old one.
CORES = {"x86_64": ("SkylakeX", "Haswell", "Zen"), "aarch64": ("NEOVERSEN1", "ARMV8")}
AVX2 = {"FAISS_SIMD_LEVEL": "AVX2", "FAISS_OPT_LEVEL": "AVX2", "OPENBLAS_CORETYPE": "Haswell"}
PAUSE = 0.25  # seconds before each measurement: threads of the one before stop spinning

PROBE = """
import time, faiss, numpy, threadpoolctl
x = numpy.random.default_rng(0).standard_normal((20000, 384), dtype=numpy.float32)
index = faiss.IndexFlatL2(384)
index.add(x[:1024])
best = 9e9
for _ in range(6):
    start = time.perf_counter()
    index.search(x, 1)
    best = min(best, time.perf_counter() - start)
core = [i["architecture"] for i in threadpoolctl.threadpool_info()
        if i["internal_api"] == "openblas" and "faiss" in i["filepath"]]
print(core[0] if core else "-", best)
"""


def environment(build, threads, core=None, more=()):
    """For the peers' Python with Satchel of the build folder `build`. Nothing that the caller's
    environment says of BLAS counts."""
    out = {name: value for name, value in os.environ.items()
           if not name.startswith(("OPENBLAS_", "OMP_", "GOMP_", "MKL_", "FAISS_"))}
    library = Path(build).resolve() / "libsatchel.so"
    if not library.exists():
        sys.exit(f"no {library}: give a build folder")
    out.update(SATCHEL_LIBRARY=str(library), PYTHONDONTWRITEBYTECODE="1", HF_HUB_OFFLINE="1",
               OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(threads),
               PYTHONPATH=f"{ROOT / 'bindings' / 'python'}:{ROOT / 'bench'}")
    if core:
        out["OPENBLAS_CORETYPE"] = core
    out.update(more)
    return out


@functools.lru_cache(None)
def fastest_core(build, threads):
    """The OPENBLAS_CORETYPE with which FAISS is fastest, None: its own choice. Says what it tried."""
    tried = []
    for core in (None, *CORES.get(platform.machine(), ())):
        done = subprocess.run([str(PYTHON), "-c", PROBE], env=environment(build, threads, core),
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if done.returncode == 0:
            name, took = done.stdout.split()
            tried.append((float(took), core, name))
    if not tried:
        sys.exit("faiss-cpu does not run")
    said = ", ".join(f"{name}{'' if core else ' (its own choice)'} {took * 1e3:.0f} ms"
                     for took, core, name in tried)
    best = min(tried)
    print(f"BLAS core of the peers: {best[2]}, the fastest of {said}\n", flush=True)
    return best[1]


def run_self(build, threads, arguments, avx2=False, blas=True):
    """This program again, under the peers' Python, with the BLAS core at its best (if `blas`) or
    everything held to AVX2. Returns the exit status."""
    if not PYTHON.exists():
        sys.exit("no peers: scripts/setup --peers")
    core = None if avx2 or not blas else fastest_core(str(build), threads)
    env = environment(build, threads, core, AVX2 if avx2 else {})
    program = str(Path(sys.argv[0]).resolve())
    return subprocess.run([str(PYTHON), program, *arguments], env=env).returncode


def machine():
    name = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
                 if line.startswith("model name")), platform.machine())
    return f"{name}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"


def roofs(build, threads, level="best"):
    """GFLOP/s of fused multiply-adds, Gop/s of int8 products and GB/s of reading memory, of all
    threads; 0: not known."""
    program = Path(build) / "bench" / "roof"
    if not program.exists():
        sys.exit(f"no {program}: configure the build with -Dbench=true")
    said = subprocess.run([str(program), str(threads), level], text=True, stdout=subprocess.PIPE,
                          check=True).stdout.split()
    return float(said[0]), float(said[1]), float(said[2])


def roof(build, threads, level):
    """The first two of roofs()."""
    return roofs(build, threads, level)[:2]


def in_turn(sides, rounds):
    """Runs every function once a round, one after the other. `sides`: name -> function that returns
    an object with .seconds. Returns name -> (the fastest's object, the median of the seconds)."""
    found = {name: [] for name in sides}
    for _ in range(rounds):
        for name, run in sides.items():
            time.sleep(PAUSE)
            found[name].append(run())
    return {name: (min(runs, key=lambda run: run.seconds),
                   statistics.median(run.seconds for run in runs)) for name, runs in found.items()}


def table(columns, rows):
    """A table in Markdown: the first column to the left, the others to the right."""
    print("| " + " | ".join(columns) + " |")
    print("|---" + "|---:" * (len(columns) - 1) + "|")
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print(flush=True)


def nearest(points, centroids):
    """Labels and squared distances in float64. Candidates come from a matrix product; the distance to
    the one chosen is computed from the difference."""
    import numpy as np

    wide = centroids.astype(np.float64)
    norms = (wide * wide).sum(1)
    labels = np.empty(len(points), np.int64)
    squares = np.empty(len(points))
    for begin in range(0, len(points), 8192):
        rows = points[begin:begin + 8192].astype(np.float64)
        scores = rows @ wide.T
        scores *= -2
        scores += norms
        best = scores.argmin(1)
        labels[begin:begin + len(rows)] = best
        rows -= wide[best]
        squares[begin:begin + len(rows)] = (rows * rows).sum(1)
    return labels, squares


def objective(points, centroids):
    """Sum of squared distances of all points to their nearest centroid."""
    return float(nearest(points, centroids)[1].sum())
