#!/usr/bin/env python3
"""Prefill and decode beside llama.cpp (llama-cpp-python), interleaved: the same file, tokens and
threads, keys and values as halves on both sides.

    bench/generate.py BUILD [--threads N] [--types q4_0,q4_k,q8_0] [--contexts 0,2048] [--rounds N]
                      [--prompt N] [--decode N] [--level NAME] [--cpu-time] [--ours-only]

BUILD is a build folder with -Dbench=true. Needs the peers (scripts/setup --peers) and re-executes
itself with their Python. The model has random weights in Qwen3 0.6B's shape, its types mixed as
llama-quantize mixes them: q4_k is a Q4_K_M file. Both sides are processes that wait while the other
runs. llama.cpp runs with and without flash attention, the faster one counts. Each round runs every
side once, in turn; the best round counts, the median stands beside it. --cpu-time compares CPU time of
all threads instead, for machines that are busy with other work.

Shares: of int8 products in registers (prefill), of reading memory with as many threads (decode; keys
and values count).
"""
import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import beside

ROOT = beside.ROOT
MODEL = "qwen3-0.6b"
NAMES = {"q4_0": "Q4_0", "q4_k": "Q4_K_M", "q8_0": "Q8_0"}


# ------------------------------------------------------------------ sides

class Side:
    """A process that answers lines "prefill COUNT" and "decode CONTEXT COUNT" with two times."""

    def __init__(self, command):
        self.child = subprocess.Popen(command, text=True, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE)
        self.about = self.child.stdout.readline().split()
        if not self.about:
            sys.exit(f"{command[0]} does not start")

    def run(self, line):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()
        wall, cpu = self.child.stdout.readline().split()
        return Times(float(wall), float(cpu))

    def close(self):
        self.child.stdin.close()
        self.child.wait()


class Times:
    by_cpu = False

    def __init__(self, wall, cpu):
        self.wall, self.cpu = wall, cpu

    @property
    def seconds(self):
        return self.cpu if self.by_cpu else self.wall


def peer(path, threads, capacity, flash):
    """The child: llama.cpp as generate_bench."""
    import ctypes

    from llama_cpp import llama_cpp as api

    silent = api.llama_log_callback(lambda level, text, user: None)
    api.llama_log_set(silent, ctypes.c_void_p(0))
    options = api.llama_model_default_params()
    options.n_gpu_layers = 0
    model = api.llama_model_load_from_file(path.encode(), options)
    options = api.llama_context_default_params()
    options.n_ctx, options.flash_attn_type = capacity, flash
    options.n_threads = options.n_threads_batch = threads
    context = api.llama_init_from_model(model, options)
    if not context:
        sys.exit("llama.cpp does not load the file")
    memory, length = api.llama_get_memory(context), 0
    print("llama.cpp", flush=True)

    def feed(begin, end):
        for at in range(begin, end, options.n_batch):
            count = min(options.n_batch, end - at)
            batch = api.llama_batch_init(count, 0, 1)
            batch.n_tokens = count
            for i in range(count):
                batch.token[i], batch.pos[i] = 3 + 7919 * (at + i) % 50000, at + i
                batch.n_seq_id[i], batch.seq_id[i][0] = 1, 0
                batch.logits[i] = i == count - 1
            if api.llama_decode(context, batch):
                sys.exit("llama_decode fails")
            api.llama_synchronize(context)
            api.llama_batch_free(batch)

    for line in sys.stdin:
        words = line.split()
        decode = words[0] == "decode"
        begin = int(words[1]) if decode else 0
        end, step = begin + int(words[-1]), 1 if decode else int(words[1])
        if length < begin:
            feed(length, begin)
        api.llama_memory_seq_rm(memory, 0, begin, -1)
        start = time.perf_counter(), time.process_time()
        for at in range(begin, end, step):
            feed(at, min(at + step, end))
        print(f"{time.perf_counter() - start[0]:.6f} {time.process_time() - start[1]:.6f}",
              flush=True)
        length = end


# ------------------------------------------------------------------ the file

def make_file(kind):
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    import make_model

    path = beside.CACHE / "bench" / f"{MODEL}-{kind}.gguf"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}")
        make_model.make(MODEL, part, kind, mixed=True)
        part.rename(path)
    return path


def operations(tokens):
    """Multiplications and additions of the products with weights and of attention, of a prompt."""
    import make_model

    m = make_model.spec(MODEL)
    wide = m["heads"] * m["head"]
    weights = m["dimension"] * (2 * wide + 2 * m["kv_heads"] * m["head"] + 3 * m["ffn"])
    seen = tokens * (tokens + 1) // 2
    return (2 * (m["layers"] * (weights * tokens + 2 * seen * wide)
                 + m["vocabulary"] * m["dimension"]))


def kv_bytes(length):
    import make_model

    m = make_model.spec(MODEL)
    return m["layers"] * 2 * m["kv_heads"] * m["head"] * 2 * length


# ------------------------------------------------------------------ measuring

def measure(options, kind, roofs):
    path, capacity = make_file(kind), max(options.contexts + [options.prompt]) + options.decode
    capacity = (capacity + 255) // 256 * 256
    level = [options.level] if options.level else []
    sides = {"ours": Side([str(Path(options.build) / "bench" / "generate_bench"),
                           str(options.threads), str(path), str(capacity), *level])}
    for name, flash in (() if options.ours_only else (("plain", 0), ("flash", 1))):
        sides[name] = Side([sys.executable, __file__, "--peer", str(path), str(options.threads),
                            str(capacity), str(flash)])
    weights, rows = int(sides["ours"].about[1]), []
    jobs = [("prefill", f"prefill {options.prompt}", options.prompt)]
    jobs += [(f"decode at {n}", f"decode {n} {options.decode}", options.decode)
             for n in options.contexts]
    for name, line, tokens in jobs:
        for side in sides.values():
            side.run(line.replace(f" {options.decode}", " 4") if name != "prefill" else line)
        found = beside.in_turn({side: lambda side=side: sides[side].run(line) for side in sides},
                               options.rounds)
        best, median = found.pop("ours")
        if name == "prefill":
            rate = operations(tokens) / best.seconds * 1e-9
            share, unit = rate / roofs[1], "Gop/s"
        else:
            context = int(line.split()[1])
            read = weights + kv_bytes(context + options.decode / 2)
            rate, unit = read * tokens / best.seconds * 1e-9, "GB/s"
            share = rate / roofs[2]
        if options.cpu_time:
            rate, share = rate * options.threads, share * options.threads
        row = [f"{NAMES[kind]}, {name}", f"{tokens / best.seconds:.1f} ({tokens / median:.1f})"]
        if found:
            other, (theirs, middle) = min(found.items(), key=lambda item: item[1][0].seconds)
            row += [f"{tokens / theirs.seconds:.1f} ({tokens / middle:.1f}), {other}",
                    f"**{theirs.seconds / best.seconds:.2f}**"]
        rows.append(row + [f"{rate:.1f} {unit}", f"{100 * share:.0f} %"])
    for side in sides.values():
        side.close()
    return sides["ours"].about[0], rows


def main():
    if sys.argv[1:2] == ["--peer"]:
        path, threads, capacity, flash = sys.argv[2:]
        return peer(path, int(threads), int(capacity), int(flash))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--types", default=",".join(NAMES))
    parser.add_argument("--contexts", default="0,2048")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--decode", type=int, default=64)
    parser.add_argument("--level", default="")
    parser.add_argument("--cpu-time", action="store_true")
    parser.add_argument("--ours-only", action="store_true")
    options = parser.parse_args()
    if "SATCHEL_BENCH_PEERS" not in os.environ:
        os.environ["SATCHEL_BENCH_PEERS"] = "1"
        return beside.run_self(options.build, options.threads, sys.argv[1:], blas=False)
    options.contexts = [int(n) for n in options.contexts.split(",")]
    Times.by_cpu = options.cpu_time
    rows, roofs = [], None
    for kind in options.types.split(","):
        make_file(kind)
        roofs = roofs or beside.roofs(options.build, options.threads, options.level or "best")
        level, more = measure(options, kind, roofs)
        rows += more
    print(f"{beside.machine()}; threads: {options.threads}{', CPU time' * options.cpu_time}; level "
          f"{level}; roofs of all threads: {roofs[1]:.0f} Gop/s int8, {roofs[2]:.1f} GB/s read; "
          f"{options.rounds} rounds, the fastest (median)\n")
    peers = [] if options.ours_only else ["llama.cpp tokens/s", "ratio"]
    beside.table(["", "tokens/s", *peers, "rate", "share of the roof"], rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
