"""Text encoders with random weights, of every architecture and weight type, beside a float64 model and
llama.cpp on the same file.

    test_encoders.py EMBED_TOOL SUPPORT_FOLDER
"""
import random
import sys
import tempfile
from pathlib import Path

import numpy as np

import llama_peer
from peers import Report, Tool

sys.path.insert(0, str(Path(sys.argv[2])))
import make_encoder  # noqa: E402
from reference_encoder import Encoder  # noqa: E402

F32_BAR = 1e-9  # to the float64 model
# To llama.cpp. It takes GELU, and halves' tables of SiLU, from less than floats.
PEER_BAR = {"nomic-bert": 1e-8}
PEER_BAR_TABLES = 1e-5
RATIO = 1.05  # our error over llama.cpp's, both to the float64 model
TYPES = ("f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q2_k", "q3_k", "q4_k", "q5_k",
         "q6_k", "iq4_nl", "iq4_xs", "mxfp4", "nvfp4", "tq2_0")
# One of each architecture, with widths that every weight type fits.
TYPED = ("bert", "xlm-roberta", "nomic", "modern", "gemma")
PREFIXES = {"nomic-bert": ("search_query: ", "search_document: "),
            "gemma-embedding": ("task: search result | query: ", "title: none | text: ")}
LIMIT = 256  # context of the models


def prefix_of(name, role):
    return PREFIXES.get(make_encoder.spec(name)["arch"], ("", ""))[role == "document"]


def make_texts():
    rng = random.Random(5)
    words = list(make_encoder.WORDS) + ["lamp", "3:45", "x-ray"]
    texts = ["", "z", "the lease of the flat ends in march", "  two  spaces ", "Upper CASE \u00e9t\u00e9"]
    return texts + [" ".join(rng.choices(words, k=k)) for k in (2, 6, 15, 16, 17, 33, 60, 130, 400)]


def cut(ids):
    return ids if len(ids) <= LIMIT else ids[:LIMIT - 1] + ids[-1:]


def errors(a, b):
    """NMSE text by text, of vectors of length 1."""
    return ((np.asarray(a, np.float64) - b) ** 2).sum(1)


def check_architectures(report, program, folder, texts):
    for name in make_encoder.SPECS:
        path = folder / f"{name}.gguf"
        arch = make_encoder.make(name, path)["arch"]
        tool, model = Tool(program, path), Encoder(path)
        for role in ("query", "document"):
            ids = [cut(row) for row in tool.tokens([prefix_of(name, role) + t for t in texts])]
            truth = np.stack([model.embed(row) for row in ids])
            got = tool.embed(texts, role=role)
            worst = errors(got, truth).max()
            report.check(worst <= F32_BAR, f"{name}, {role}: the float64 model's vectors",
                         f"NMSE {worst:.2g} at worst; {min(map(len, ids))} to "
                         f"{max(map(len, ids))} tokens")
            alone = np.concatenate([tool.embed([text], role=role, threads=1) for text in texts])
            plain = tool.embed(texts[::-1], role=role, cpu="c", threads=3)[::-1]
            report.check((alone == got).all() and (plain == got).all(),
                         f"{name}, {role}: the same bits alone, in any order, in plain C")
        peer = llama_peer.embeddings(path, ids, LIMIT)
        apart, own = errors(got, peer).max(), errors(peer, truth).max()
        bar = PEER_BAR.get(arch, PEER_BAR_TABLES)
        report.check(apart <= bar, f"{name}: llama.cpp's vectors",
                     f"NMSE {apart:.2g} at worst; llama.cpp to the float64 model {own:.2g}")
        plain = [text for text in texts if text.isascii() and text]
        expected = llama_peer.tokens(path, plain)
        report.check(tool.tokens(plain) == expected, f"{name}: llama.cpp's tokens")


def check_dimension(report, program, folder, texts):
    """The first values of a vector, scaled to length 1 again."""
    for name in ("gemma", "nomic"):
        tool, model = Tool(program, folder / f"{name}.gguf"), Encoder(folder / f"{name}.gguf")
        ids = [cut(row) for row in tool.tokens([prefix_of(name, "document") + t for t in texts])]
        for dimension in (1, 96, 256):
            truth = np.stack([model.embed(row, dimension) for row in ids])
            got = tool.embed(texts, dimension=dimension)
            worst = errors(got, truth).max()
            report.check(got.shape[1] == dimension and worst <= F32_BAR,
                         f"{name}: the first {dimension} values", f"NMSE {worst:.2g} at worst")


def check_types(report, program, folder, texts):
    texts = texts[2:10]
    for kind in TYPES:
        own, other, lines = [], [], []
        for name in TYPED:
            path = folder / "typed.gguf"
            make_encoder.make(name, path, kind)
            tool, model = Tool(program, path), Encoder(path)
            ids = tool.tokens([prefix_of(name, "document") + text for text in texts])
            truth = np.stack([model.embed(row) for row in ids])
            own.append(errors(tool.embed(texts), truth).mean())
            other.append(errors(llama_peer.embeddings(path, ids, LIMIT), truth).mean())
            lines.append(f"{name}: NMSE {own[-1]:.3g}, llama.cpp {other[-1]:.3g}")
        ratio = float(np.exp(np.mean(np.log(np.divide(own, other)))))
        report.check(ratio <= RATIO, f"{kind}: no farther from the float64 model than llama.cpp",
                     "\n".join(lines + [f"ratio {ratio:.3f}"]))


def main():
    report, program, texts = Report(), sys.argv[1], make_texts()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        check_architectures(report, program, folder, texts)
        check_dimension(report, program, folder, texts)
        check_types(report, program, folder, texts)
    report.end()


if __name__ == "__main__":
    main()
