#!/usr/bin/env python3
"""What Python adds to C: searches, and tokens of a stream, through both in random order, in one process,
on the same store and model. Searches are hybrid, with the embedder given. C reads all hits and matches;
Python reads id, score and text of each hit, and, in a second way, all that a hit has.

    python_overhead.py BUILD EMBEDDER.gguf [--searches 10000] [--tokens 1000]

BUILD is a build folder with libsatchel.so.0 in it. A run in which a search finds nothing, or the tokens
differ, ends with an error. The C side is overhead.c, compiled here.
"""
import argparse
import ctypes
import dataclasses
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORDS = ["harbour", "lease", "dough", "bicycle", "anchor", "roof", "window", "chain"]


class Time(ctypes.Structure):
    """overhead_time"""
    _fields_ = [("clock", ctypes.c_int64), ("processors", ctypes.c_int64)]


def native(work, library):
    """overhead.c as a library beside the one that the binding has loaded."""
    made = work / "liboverhead.so"
    subprocess.run([*os.environ.get("CC", "cc").split(), "-O2", "-shared", "-fPIC", "-pthread",
                    "-I", ROOT, "-I", ROOT / "sdk/include", "-o", made,
                    ROOT / "bench/overhead.c", library,
                    f"-Wl,-rpath,{library.parent}"], check=True)
    c = ctypes.CDLL(str(made))
    c.overhead_search.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32,
                                  ctypes.POINTER(Time)]
    c.overhead_generator.argtypes = [ctypes.c_void_p]
    c.overhead_generator.restype = ctypes.c_void_p
    c.overhead_stream.argtypes = [ctypes.c_void_p, ctypes.c_int32, ctypes.POINTER(Time)]
    return c


def timed(taken, work):
    """Runs `work`, which gives how much there was of it, as C takes its own time."""
    processors = time.process_time_ns()
    clock = time.perf_counter_ns()
    count = work()
    taken.clock = time.perf_counter_ns() - clock
    taken.processors = time.process_time_ns() - processors
    return count


def in_turn(warm, rounds, expected, ways):
    """Runs the ways once a round, in random order: what ran just before matters. A way is given the
    number of the round and a Time, and returns how much there was. Gives the times of each."""
    order = random.Random(1)
    found = {name: [] for name in ways}
    for number in range(-warm, rounds):
        for name in order.sample(list(ways), len(ways)):
            taken = Time()
            count = ways[name](number + warm, taken)
            if count != (expected or count) or not count:
                sys.exit(f"{name}: {count}")
            if number >= 0:
                found[name].append((taken.clock, taken.processors))
    return found


def report(what, found, each=1):
    base, *others = found
    for other in others:
        for how, of, column in (("clock, median", statistics.median, 0),
                                ("clock, mean", statistics.fmean, 0),
                                ("processors, mean", statistics.fmean, 1)):
            a, b = (of([times[column] for times in found[name]]) / each / 1000
                    for name in (base, other))
            print(f"{what}, {how}: {base} {a:.2f} µs, {other} {b:.2f} µs: "
                  f"{b - a:+.2f} µs, {100 * (b / a - 1):+.2f} %", flush=True)


def streams(satchel, c, most):
    from satchel._context import default_context

    with default_context()._handle as context:
        pointer = c.overhead_generator(context)
    model = satchel.Model.__new__(satchel.Model)
    model._take(ctypes.c_void_p(pointer), default_context())

    def in_c(_, taken):
        with model._handle as handle:
            return c.overhead_stream(handle, most, ctypes.byref(taken))

    def in_python(_, taken):
        return timed(taken, lambda: sum(1 for _ in model.chat("Speak.", max_tokens=most)))

    report(f"a token of {most}", in_turn(20, 60, most, {"C": in_c, "Python": in_python}), most)


def searches(satchel, c, path, times, folder):
    with satchel.Model(path) as embedder, satchel.Store(folder / "a.satchel", embedder) as store:
        for number in range(500):
            text = " ".join(WORDS[(number * 7 + i * i * 3 + number // 8) % 8] for i in range(40))
            store.add_text(f"note {number}", f"Note {number}. {text}.")

        def query(number):
            return f"{WORDS[number % 8]} {WORDS[number // 8 % 8]}"

        def in_c(number, taken):
            with store._handle as handle:
                return c.overhead_search(handle, query(number).encode(), 0, ctypes.byref(taken))

        def shown(number, taken):
            text = query(number)
            return timed(taken, lambda: len(
                [(hit.document_id, hit.score, hit.text) for hit in store.search(text)]))

        def whole(number, taken):
            text = query(number)
            return timed(taken, lambda: len(
                [tuple(getattr(hit, name) for name in fields) for hit in store.search(text)]))

        fields = [field.name for field in dataclasses.fields(satchel.Hit)
                  if not field.name.startswith("_")]
        report(f"a search of {times}",
               in_turn(min(500, times // 2), times, None,
                       {"C": in_c, "Python": shown, "Python, every field and match": whole}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--searches", type=int, default=10000)
    parser.add_argument("--tokens", type=int, default=1000)
    options = parser.parse_args()
    library = (options.build / "libsatchel.so.0").resolve()
    os.environ["SATCHEL_LIBRARY"] = str(library)
    sys.path.insert(0, str(ROOT / "bindings/python"))
    sys.dont_write_bytecode = True
    import satchel

    with tempfile.TemporaryDirectory() as work:
        c = native(Path(work), library)
        print(f"Satchel {satchel.version()}, {satchel.Context().cpu}, "
              f"Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f}", flush=True)
        streams(satchel, c, options.tokens)
        searches(satchel, c, options.model, options.searches, Path(work))


if __name__ == "__main__":
    main()
