#!/usr/bin/env python3
"""Embedding speed beside sentence-transformers (fp32, torch), interleaved, same threads.

    bench/embed.py EMBED_BENCH [--threads N] [--texts N] [--tokens N] [--rounds N]

EMBED_BENCH is the program of that name in a build folder with -Dbench=true. Needs the peers
(scripts/setup --peers) and re-executes itself with their Python. Every text has --tokens tokens
([CLS] and [SEP] included), so neither side pads. Each round runs the peer and each of our files once, in
turn; the best round counts, the median stands beside it. Shares of the roof count the products and the
attention, and set them against --threads times what one core reaches in registers.
"""
import argparse
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CACHE = Path(os.environ.get("SATCHEL_CACHE") or Path.home() / ".cache" / "satchel")
PEERS = CACHE / "peers"
KINDS = ("f32", "f16", "q8_0")


def operations(tokens):
    """Multiplications and additions for one text of all-MiniLM-L6-v2."""
    dimension, wide, layers = 384, 1536, 6
    weights = 4 * dimension * dimension + 2 * dimension * wide
    return layers * (2 * weights * tokens + 4 * tokens * tokens * dimension)


def make_texts(count, tokens):
    """Words that are one token each, `tokens` with the special ones."""
    lines = (PEERS / "all-minilm-l6-v2" / "vocab.txt").read_text(encoding="utf-8").split("\n")
    words = [line for line in lines if line.isascii() and line.isalpha() and len(line) > 2]
    rng = random.Random(7)
    return [" ".join(rng.choices(words, k=tokens - 2)) for _ in range(count)]


class Ours:
    def __init__(self, program, threads, path):
        models = [str(CACHE / f"all-minilm-l6-v2-{kind}.gguf") for kind in KINDS]
        self.child = subprocess.Popen([program, str(threads), path, *models], text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        level, floats, ints = self.child.stdout.readline().split()
        self.level, self.floats, self.ints = level, float(floats), float(ints)

    def run(self, model):
        self.child.stdin.write(f"{model}\n")
        self.child.stdin.flush()
        return float(self.child.stdout.readline())

    def close(self):
        self.child.stdin.close()
        self.child.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--texts", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()

    import torch
    import sentence_transformers

    torch.set_num_threads(options.threads)
    peer = sentence_transformers.SentenceTransformer(str(PEERS / "all-minilm-l6-v2"), device="cpu")
    texts = make_texts(options.texts, options.tokens)
    lengths = {len(peer.tokenizer(text)["input_ids"]) for text in texts}
    if lengths != {options.tokens}:
        sys.exit(f"texts have {sorted(lengths)} tokens")

    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(texts) + "\n")
        file.flush()
        ours = Ours(options.program, options.threads, file.name)

        def run_peer():
            start = time.perf_counter()
            peer.encode(texts, batch_size=32, normalize_embeddings=True, show_progress_bar=False)
            return time.perf_counter() - start

        run_peer()
        for kind in range(len(KINDS)):
            ours.run(kind)
        times = {"peer": []} | {kind: [] for kind in KINDS}
        for _ in range(options.rounds):
            times["peer"].append(run_peer())
            for i, kind in enumerate(KINDS):
                times[kind].append(ours.run(i))
        ours.close()

    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
                if line.startswith("model name")), platform.machine())
    print(f"{cpu}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; level {ours.level}; one "
          f"core: {ours.floats:.0f} GFLOP/s, {ours.ints:.0f} Gop/s int8")
    print(f"sentence-transformers {sentence_transformers.__version__}, torch {torch.__version__}, "
          f"transformers {__import__('transformers').__version__}")
    print(f"{options.texts} texts of {options.tokens} tokens, {options.threads} threads, best of "
          f"{options.rounds} rounds (median)")
    base = min(times["peer"])
    for name, found in times.items():
        best, median = min(found), statistics.median(found)
        roof = (ours.ints if name == "q8_0" else ours.floats) * options.threads
        rate = operations(options.tokens) * options.texts / best * 1e-9
        print(f"  {'sentence-transformers fp32' if name == 'peer' else 'satchel ' + name:28}"
              f"{options.texts / best:8.1f} texts/s ({options.texts / median:6.1f})"
              f"{options.tokens * options.texts / best / 1e3:8.1f} k tokens/s"
              f"{base / best:7.2f}x {rate:8.0f} Gop/s"
              + (f" {100 * rate / roof:4.0f} % of the roof" if roof else ""))


if __name__ == "__main__":
    python = PEERS / "venv" / "bin" / "python"
    if Path(sys.executable).resolve().parent != python.resolve().parent and not sys.prefix.startswith(
            str(PEERS)):
        if not python.exists():
            sys.exit("no peers: scripts/setup --peers")
        os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1",
                          TOKENIZERS_PARALLELISM="false", PYTHONDONTWRITEBYTECODE="1")
        os.execv(python, [str(python), *sys.argv])
    main()
