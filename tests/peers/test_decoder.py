"""Decoders with random weights, of every architecture and weight type, beside a float64 model and
llama.cpp on the same file.

    test_decoder.py LOGITS_TOOL SUPPORT_FOLDER
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import llama_peer
from peers import Report

sys.path.insert(0, str(Path(sys.argv[2])))
import make_model  # noqa: E402
from reference_model import Model, nmse  # noqa: E402

TOOL = sys.argv[1]
TOKENS = 96
F32_BAR = 1e-9           # to the float64 model
PEER_BAR, GELU_BAR = 1e-8, 1e-6  # to llama.cpp; its GELU is a table of halves
RATIO = 1.05             # our error over llama.cpp's, both to the float64 model
TYPES = ("f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q2_k", "q3_k", "q4_k", "q5_k",
         "q6_k", "iq4_nl", "iq4_xs", "mxfp4", "nvfp4", "tq2_0")
# Widths that every weight type fits; shapes, norms and rope differ. Errors of random models vary,
# so a type is judged by all of them together.
TYPED = ("llama", "qwen3", "gemma3", "smollm3", "phi3", "qwen2-yarn")


def tool(mode, path, ids, **options):
    command = [TOOL, mode, str(path)] + [f"{name}={value}" for name, value in options.items()]
    data = np.asarray(ids, np.int32).tobytes()
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout


def ours(path, tokens, **options):
    out = np.frombuffer(tool("logits", path, tokens, **options), np.float32)
    return out.reshape(len(tokens), -1)


def tokens_of(name, count=TOKENS):
    return np.random.default_rng(len(name)).integers(3, 320, count)


def capacities(name):
    """Rooms to try; with two tables of rope factors the room chooses."""
    if not make_model.spec(name)["long_factors"]:
        return (128,)
    original = make_model.spec(name)["original"]
    return (original, 256)


def peer_capacity(room):
    """llama.cpp rounds a context up; the room that chooses must not be crossed by that."""
    return room if room % 256 == 0 else 256


def check_architectures(report, folder):
    for name in make_model.SPECS:
        if make_model.spec(name)["large"]:
            continue
        path = folder / f"{name}.gguf"
        make_model.make(name, path)
        for room in capacities(name):
            tokens = tokens_of(name, min(TOKENS, room))
            truth = Model(path).logits(tokens, room)
            got = ours(path, tokens, capacity=room)
            error = nmse(got, truth)
            report.check(error <= F32_BAR, f"{name}, room {room}: the float64 model's logits",
                         f"NMSE {error:.2g}")
            parts = [ours(path, tokens, capacity=room, split=n, threads=t)
                     for n, t in ((1, 2), (7, 1), (33, 2))]
            report.check(all((part == got).all() for part in parts),
                         f"{name}, room {room}: the same bits however tokens are split")
            if room != peer_capacity(room) and len(capacities(name)) > 1:
                continue
            peer = llama_peer.logits(path, tokens, peer_capacity(room))
            apart = nmse(got, peer)
            bar = GELU_BAR if name.startswith("gemma3") else PEER_BAR
            report.check(apart <= bar, f"{name}, room {room}: llama.cpp's logits",
                         f"NMSE {apart:.2g}; llama.cpp to the float64 model "
                         f"{nmse(peer, truth):.2g}")


def check_kv(report, folder):
    """Keys and values as halves: rounding is all that changes, as in llama.cpp."""
    own = other = 0.0
    for name in TYPED:
        path, tokens = folder / f"{name}.gguf", tokens_of(name)
        truth = Model(path).logits(tokens)
        own += nmse(ours(path, tokens, kv="f16"), truth)
        other += nmse(llama_peer.logits(path, tokens, 256, kv=llama_peer.F16), truth)
    report.check(own <= RATIO * other, "F16 keys and values: no worse than llama.cpp's",
                 f"NMSE {own / len(TYPED):.2g}, llama.cpp {other / len(TYPED):.2g}")
    worst = 0.0
    for name in TYPED:
        path, tokens = folder / f"{name}.gguf", tokens_of(name)
        full = ours(path, tokens)
        one, many = (ours(path, tokens, kv="q8_0", split=n) for n in (1, 50))
        report.check((one == many).all(), f"{name}: Q8_0 keys and values, split or not")
        worst = max(worst, nmse(one, full))
    report.check(worst <= 2e-3, "Q8_0 keys and values stay near F32", f"NMSE {worst:.2g}")


def check_types(report, folder):
    for kind in TYPES:
        own, other, lines = [], [], []
        for name in TYPED:
            path, tokens = folder / "typed.gguf", tokens_of(name)
            make_model.make(name, path, kind)
            truth = Model(path).logits(tokens)
            own.append(nmse(ours(path, tokens), truth))
            other.append(nmse(llama_peer.logits(path, tokens, 256), truth))
            lines.append(f"{name}: NMSE {own[-1]:.3g}, llama.cpp {other[-1]:.3g}")
        ratio = float(np.exp(np.mean(np.log(np.divide(own, other)))))
        report.check(ratio <= RATIO, f"{kind}: no farther from the float64 model than llama.cpp",
                     "\n".join(lines + [f"ratio {ratio:.3f}"]))


def check_greedy(report, folder):
    """Texts may part where llama.cpp's first two tokens lie nearer than its own error."""
    for kind in ("f32", "f16", "q8_0", "q4_k"):
        for name in TYPED:
            path, tokens = folder / "greedy.gguf", tokens_of(name, 32)
            make_model.make(name, path, kind)
            chosen, rows = llama_peer.greedy(path, tokens, 64, 256)
            own = np.frombuffer(tool("greedy", path, tokens, tokens=64), np.int32)
            apart = np.flatnonzero(own != chosen)
            detail = "all 64 equal"
            good = len(apart) == 0
            if not good:
                at = int(apart[0])
                context = np.concatenate([tokens, chosen[:at]]).astype(np.int64)
                truth = Model(path).logits(context)[-1]
                error = np.abs(rows[at] - truth).max()
                second, first = np.sort(rows[at])[-2:]
                good = first - second <= 2 * error
                detail = f"apart at {at}: margin {first - second:.2g}, its error {error:.2g}"
            report.check(good, f"{name}, {kind}: llama.cpp's 64 likeliest tokens", detail)


def check_adapters(report, folder):
    for name in ("llama", "gemma3", "phi3", "qwen2"):
        path, adapter = folder / f"{name}.gguf", folder / "adapter.gguf"
        tokens = tokens_of(name)
        for scale in (1.0, 0.5):
            make_model.make_adapter(name, adapter)
            truth = Model(path, adapter, scale).logits(tokens)
            got = ours(path, tokens, adapter=adapter, scale=scale)
            error = nmse(got, truth)
            changed = nmse(ours(path, tokens), truth)
            report.check(error <= F32_BAR < changed, f"{name}, adapter · {scale}: merged weights",
                         f"NMSE {error:.2g}; without the adapter {changed:.2g}")
            peer = llama_peer.logits(path, tokens, 256, adapter=adapter, scale=scale)
            apart = nmse(got, peer)
            bar = GELU_BAR if name == "gemma3" else PEER_BAR
            report.check(apart <= bar, f"{name}, adapter · {scale}: llama.cpp's logits",
                         f"NMSE {apart:.2g}")
    make_model.make_adapter("llama", adapter, embedding=True)
    path, tokens = folder / "llama.gguf", tokens_of("llama")
    got = ours(path, tokens, adapter=adapter, split=5)
    error = nmse(got, Model(path, adapter).logits(tokens))
    apart = nmse(got, llama_peer.logits(path, tokens, 256, adapter=adapter))
    report.check(max(error, apart) <= PEER_BAR, "llama: an adapter of the token table",
                 f"NMSE {error:.2g}, to llama.cpp {apart:.2g}")
    make_model.make("llama", folder / "typed.gguf", "q4_k")
    make_model.make_adapter("llama", adapter, layers=[1])
    path = folder / "typed.gguf"
    truth = Model(path, adapter).logits(tokens)
    own = nmse(ours(path, tokens, adapter=adapter), truth)
    other = nmse(llama_peer.logits(path, tokens, 256, adapter=adapter), truth)
    report.check(own <= 1.2 * other, "llama: an adapter of one layer on Q4_K",
                 f"NMSE {own:.3g}, llama.cpp {other:.3g}")


def check_parts(report, folder):
    whole, tokens = ours(folder / "qwen3.gguf", tokens_of("qwen3")), tokens_of("qwen3")
    make_model.make("qwen3", folder / "split.gguf", parts=3)
    paths = sorted(folder.glob("split-*-of-*.gguf"))
    got = ours(paths[0], tokens)
    report.check(len(paths) > 1 and (got == whole).all(), "a split file: the same bits",
                 f"{len(paths)} files")


def main():
    report = Report()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        check_architectures(report, folder)
        check_kv(report, folder)
        check_types(report, folder)
        check_greedy(report, folder)
        check_adapters(report, folder)
        check_parts(report, folder)
    report.end()


if __name__ == "__main__":
    main()
