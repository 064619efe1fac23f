"""Points for the benchmarks of clustering and of the vector index: real embeddings and synthetic
ones. The same on every run."""
import os
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("SATCHEL_CACHE") or Path.home() / ".cache" / "satchel")
NOISE = 0.3  # length of the noise on repeated embeddings, which have length 1
BLOCK = 65536


def texts_of(data):
    """Documents and questions of the collections under `data`."""
    from retrieval_quality import read_cranfield, read_npl, read_xquad

    out = []
    for read, name in ((read_cranfield, "cranfield"), (read_npl, "npl")):
        documents, queries, _ = read(os.path.join(data, name))
        out += [*documents.values(), *queries.values()]
    for language in ("en", "de", "zh"):
        passages, questions = read_xquad(os.path.join(data, "xquad"), language)
        out += [*passages.values(), *(question for question, _, _ in questions.values())]
    return out


def embeddings(data):
    """all-MiniLM-L6-v2 (F32) of the texts under `data`, by Satchel: (texts, 384), rows of length 1.
    Kept in the cache folder; with the file there, `data` need not exist."""
    path = CACHE / "bench" / "minilm-f32.npy"
    if not path.exists():
        import satchel

        texts = texts_of(data)
        print(f"embedding {len(texts)} texts, once", file=sys.stderr, flush=True)
        with satchel.Model(str(CACHE / "all-minilm-l6-v2-f32.gguf")) as model:
            made = model.embed(texts)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with open(part, "wb") as file:
            np.save(file, made)
        part.rename(path)
    return np.load(path)


def repeated(base, count, seed=1):
    """`count` rows: those of `base` over and over, each with Gaussian noise of length NOISE, of
    length 1 again."""
    rng = np.random.default_rng(seed)
    dimension = base.shape[1]
    out = np.empty((count, dimension), np.float32)
    for begin in range(0, count, BLOCK):
        rows = out[begin:begin + BLOCK]
        rng.standard_normal(out=rows, dtype=np.float32)
        rows *= NOISE / np.sqrt(dimension)
        rows += base[np.arange(begin, begin + len(rows)) % len(base)]
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return out


def synthetic_blocks(count, dimension, groups=4096, seed=2):
    """Rows in blocks: overlapping Gaussian groups of unlike size. The variance falls as 1/i along
    directions that are not the axes, as that of embeddings does."""
    rng = np.random.default_rng(seed)
    spread = (np.arange(1, dimension + 1) ** -0.5).astype(np.float32)
    turn = np.linalg.qr(rng.standard_normal((dimension, dimension)))[0].astype(np.float32)
    turn = spread[:, None] * turn  # (directions, coordinates)
    centres = rng.standard_normal((groups, dimension), dtype=np.float32)
    weights = np.arange(1, groups + 1) ** -0.5
    weights /= weights.sum()
    for begin in range(0, count, BLOCK):
        size = min(BLOCK, count - begin)
        rows = rng.standard_normal((size, dimension), dtype=np.float32)
        rows *= np.float32(0.7)
        rows += centres[rng.choice(groups, size, p=weights)]
        yield rows @ turn


def synthetic(count, dimension):
    return np.concatenate(list(synthetic_blocks(count, dimension)))


def blobs(count, dimension, groups=1024, spread=1.0, seed=5):
    """Rows around `groups` centres of equal weight, as scikit-learn's make_blobs draws them: centres
    uniform in a cube of side 20, Gaussian groups of standard deviation `spread` in each coordinate."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(-10, 10, (groups, dimension)).astype(np.float32)
    out = np.empty((count, dimension), np.float32)
    for begin in range(0, count, BLOCK):
        rows = out[begin:begin + BLOCK]
        rng.standard_normal(out=rows, dtype=np.float32)
        rows *= np.float32(spread)
        rows += centres[rng.integers(groups, size=len(rows))]
    return out


def first_centroids(points, k, seed=3):
    """k rows, each once."""
    picks = np.random.default_rng(seed).choice(len(points), k, replace=False)
    return np.ascontiguousarray(points[picks])
