#!/usr/bin/env python3
"""Time to the first token of a follow-up in a relaunched process, with saved KV and without.

    bench/saved_kv.py BUILD [--context N] [--question N] [--threads N] [--rounds N] [--type TYPE]
                      [--kv f16,q8_0,f32]

BUILD is configured with -Dbench=true. The model has the shape of Qwen3-0.6B and random weights
(tests/support/make_model.py, which needs the peers: scripts/setup --peers); it is kept in the cache
folder. Each round launches one process without cache_dir and one with it, for each type of keys and
values; the time is from the start of main, opening the model included. The median counts. What was
saved lies in the system's file cache, as the model does: a cold disk adds its reading time to both.
"""
import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import beside

SHAPE = "qwen3-0.6b"


def make_model(kind):
    path = beside.CACHE / f"{SHAPE}-{kind}.gguf"
    if not path.exists():
        if not beside.PYTHON.exists():
            sys.exit("no peers: scripts/setup --peers")
        half = path.with_suffix(".part")
        subprocess.run([str(beside.PYTHON), str(beside.ROOT / "tests/support/make_model.py"), SHAPE,
                        str(half), kind], check=True)
        half.rename(path)
    return path


def launch(program, model, folder, options, kv, save=False):
    words = [program, model, folder, options.threads, options.context, options.question, kv]
    said = subprocess.run([str(word) for word in words] + (["save"] if save else []), text=True,
                          stdout=subprocess.PIPE, check=True).stdout.split()
    return {"loaded": int(said[0]), "open": float(said[1]), "load": float(said[2]),
            "compute": float(said[3]), "all": float(said[4]), "logits": said[5],
            "save": float(said[6]), "saved": int(said[7])}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--context", type=int, default=2048)
    parser.add_argument("--question", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--type", default="q4_0", help="of the weights")
    parser.add_argument("--kv", default="f16,q8_0,f32", help="types of keys and values")
    options = parser.parse_args()
    program = Path(options.build) / "bench" / "saved_kv_bench"
    if not program.exists():
        sys.exit(f"no {program}: configure the build with -Dbench=true")
    model = make_model(options.type)
    print(f"{beside.machine()}; {options.threads} threads; {SHAPE} {options.type}, random weights; "
          f"a question of {options.question} tokens over {options.context}\n", flush=True)
    rows, worst = [], float("inf")
    for kv in options.kv.split(","):
        with tempfile.TemporaryDirectory(dir=beside.CACHE) as folder:
            first = launch(program, model, folder, options, kv, save=True)
            if first["saved"] < options.context // 64 * 64:
                sys.exit(f"only {first['saved']} tokens were saved")
            size = sum(file.stat().st_size for file in Path(folder).iterdir())
            runs = [(launch(program, model, "-", options, kv),
                     launch(program, model, folder, options, kv)) for _ in range(options.rounds)]
        without = statistics.median(run["all"] for run, _ in runs)
        saved = [run for _, run in runs]
        with_saved = statistics.median(run["all"] for run in saved)
        same = len({run["logits"] for pair in runs for run in pair} | {first["logits"]}) == 1
        worst = min(worst, without / with_saved)
        rows.append([kv, f"{without:.0f} ms", f"{with_saved:.0f} ms",
                     f"{statistics.median(run['load'] for run in saved):.0f} ms",
                     f"{without / with_saved:.1f}x", "same bits" if same else "OTHER LOGITS",
                     f"{size / 2**20:.0f} MiB", f"{first['save']:.0f} ms"])
    beside.table(["KV", "without", "with", "of it mapping", "faster", "logits", "saved", "saving"],
                 rows)
    print(f"least: {worst:.1f}x shorter time to the first token")


if __name__ == "__main__":
    main()
