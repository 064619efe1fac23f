"""k-means beside a reference in float64, and beside FAISS and scikit-learn, on real embeddings.

    test_kmeans.py EMBED_TOOL LIBRARY

A label may differ from the reference's only where the two distances agree to within 2⁻⁴⁰ (‖x‖ +
‖c‖)². Lloyd's iterations are followed one at a time: the centroids after i + 1 of them must be
the means under the labels after i, so that no step is checked against itself.
"""
import os
import random
import sys
from pathlib import Path

import numpy as np

from peers import Report, Tool, model
import texts as made_up

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "bindings" / "python"), str(ROOT / "bench")]
os.environ["SATCHEL_LIBRARY"] = sys.argv[2]
import satchel  # noqa: E402
import vectors  # noqa: E402

TIE = 2.0 ** -40
ROUNDING = 1e-9  # of inertia: centroids are rounded to float
NORMAL = dict(objective="euclidean")
SPHERICAL = dict(objective="inner_product")


# ---------------------------------------------------------------- points


def real_points(tool):
    """Embeddings of texts in many languages, 6,000 with noise."""
    rng = random.Random(5)
    words = [text.split(" ") for text in made_up.WORDS.values()]
    lines = [" ".join(rng.choice(words[i % len(words)]) for _ in range(3 + i % 20))
             for i in range(800)]
    return vectors.repeated(Tool(tool, model("f32")).embed(lines), 6000)


def cases(real):
    """name -> (points, initial centroids, iterations, options)"""
    rng = np.random.default_rng(9)
    first = vectors.first_centroids
    narrow, few = np.ascontiguousarray(real[:, :37]), real[:300]
    wide = np.hstack([real[:3000], real[3000:]])
    away = real + np.float32(100)
    yield "384 wide, K=256", (real, first(real, 256), 8, NORMAL)
    yield "384 wide, K=1000", (real, first(real, 1000), 4, NORMAL)
    yield "inner product, K=100", (real, first(real, 100), 6, SPHERICAL)
    yield "37 wide, K=100", (narrow, first(narrow, 100), 6, NORMAL)
    yield "768 wide, K=63", (wide, first(wide, 63), 6, NORMAL)
    yield "1 wide, K=5", (real[:, :1].copy(), first(real[:, :1], 5), 6, NORMAL)
    yield "K=1", (real, first(real, 1), 3, NORMAL)
    yield "K=N", (few, few.copy(), 2, NORMAL)
    yield "K=N-1", (few, few[:-1].copy(), 3, NORMAL)
    yield "N=1", (real[:1], real[1:2].copy(), 2, NORMAL)
    yield "far from the origin", (away, first(away, 100), 5, NORMAL)
    for name, factor in (("tiny values", 1e-18), ("huge values", 1e15)):
        scaled = real * np.float32(factor)
        yield name, (scaled, first(scaled, 50), 4, NORMAL)
    unlike = real * np.exp(rng.standard_normal((1, 384)) * 3).astype(np.float32)
    yield "coordinates of unlike size", (unlike, first(unlike, 50), 5, NORMAL)
    lengths = real * np.exp(rng.standard_normal((len(real), 1)) * 3).astype(np.float32)
    yield "rows of unlike length", (lengths, first(lengths, 50), 5, NORMAL)
    yield "rows of unlike length, inner product", (lengths, first(real, 50), 5, SPHERICAL)
    whole = rng.integers(-2, 3, (4000, 6)).astype(np.float32)
    yield "many ties", (whole, first(np.unique(whole, axis=0), 64), 5, NORMAL)


# ---------------------------------------------------------------- the reference


def scores(points, centroids, spherical):
    """What is to be least, in float64: (points, centroids), and what it is measured by."""
    x, c = points.astype(np.float64), centroids.astype(np.float64)
    products = x @ c.T
    size = (np.linalg.norm(x, axis=1)[:, None] + np.linalg.norm(c, axis=1)) ** 2
    return (-products if spherical else (c * c).sum(1) - 2 * products), size


def wrong_labels(points, centroids, labels, spherical):
    """(labels that are no tie, labels that differ)."""
    found, size = scores(points, centroids, spherical)
    rows, best = np.arange(len(points)), found.argmin(1)
    worse = found[rows, labels] - found[rows, best]
    allowed = TIE * np.maximum(size[rows, labels], size[rows, best])
    return int((worse > allowed).sum()), int((best != labels).sum())


def inertia_of(points, centroids, labels, spherical):
    x, c = points.astype(np.float64), centroids.astype(np.float64)[labels]
    return float((x * c).sum() if spherical else ((x - c) ** 2).sum())


def mean_error(points, labels, centroids, spherical):
    """Greatest distance of a centroid from the mean of its points, by what float rounds; clusters
    without points, which may lie anywhere, are left out."""
    counts = np.bincount(labels, minlength=len(centroids))
    sums = np.zeros(centroids.shape)
    np.add.at(sums, labels, points.astype(np.float64))
    there = counts > 0
    means = sums[there] / counts[there, None]
    if spherical:
        means /= np.linalg.norm(means, axis=1, keepdims=True)
    largest = np.abs(points).max() if not spherical else 1.0
    # A float's rounding, and that of the fixed point in which the sums are kept.
    allowed = 2.0 ** -23 * np.abs(means) + 2.0 ** -30 * largest
    return float((np.abs(centroids[there] - means) / allowed).max())


# ---------------------------------------------------------------- checks


def follow(report, name, points, initial, iterations, options):
    """Lloyd's iterations, one at a time."""
    spherical = options is SPHERICAL
    wrong = differ = 0
    worst, said, inertias = 0.0, 0.0, []
    before = scores(points, initial, spherical)[0].argmin(1)
    for i in range(1, iterations + 1):
        it = satchel.kmeans(points, len(initial), init=initial, iterations=i, **options)
        one, two = wrong_labels(points, it.centroids, it.labels, spherical)
        wrong, differ = wrong + one, differ + two
        value = inertia_of(points, it.centroids, it.labels, spherical)
        if value != it.inertia:
            said = max(said, abs(it.inertia - value) / max(abs(value), 1e-300))
        inertias.append(it.inertia)
        worst = max(worst, mean_error(points, before, it.centroids, spherical))
        before = it.labels
    sign = -1 if spherical else 1
    rises = [i for i in range(1, len(inertias))
             if sign * (inertias[i] - inertias[i - 1]) > ROUNDING * abs(inertias[i - 1])]
    report.check(wrong == 0, f"{name}: labels", f"{differ} ties decided otherwise")
    report.check(worst <= 1, f"{name}: centroids are the means", f"{worst:.3f} of what is allowed")
    report.check(said < ROUNDING, f"{name}: inertia is that of the centroids",
                 f"relative error {said:.2g}")
    report.check(not rises, f"{name}: inertia never rises", f"{inertias}")


def same_bits(report, real):
    """Levels, threads and memory budgets."""
    initial = vectors.first_centroids(real, 256)
    ways = [dict(threads=2), dict(threads=1), dict(threads=3), dict(threads=2, cpu_level="c")]
    best = satchel.Context().cpu
    ways += [dict(threads=2, cpu_level=level)
             for level in ("avx2", "avxvnni", "avx512", "neon", "dotprod", "i8mm") if usable(level)]
    found = set()
    for way in ways:
        for budget in (None, 4 << 20):
            with satchel.Context(**way) as context:
                it = satchel.kmeans(real, 256, init=initial, iterations=5, context=context,
                                    memory_budget=budget)
            found.add((it.centroids.tobytes(), it.labels.tobytes(), it.inertia))
    report.check(len(found) == 1, "same bits at every level, for any threads and memory",
                 f"{len(ways)} ways, two budgets; best level {best}")


def usable(level):
    try:
        satchel.Context(cpu_level=level).close()
    except satchel.SatchelError:
        return False
    return True


def beside_faiss(report, real):
    """FAISS's labels for our centroids differ only where float cannot tell."""
    import faiss

    it = satchel.kmeans(real, 256, init=vectors.first_centroids(real, 256), iterations=10)
    index = faiss.IndexFlatL2(real.shape[1])
    index.add(it.centroids)
    theirs = index.search(real, 1)[1][:, 0]
    found, size = scores(real, it.centroids, False)
    rows = np.arange(len(real))
    far = np.abs(found[rows, theirs] - found[rows, it.labels]) > 1e-5 * size[rows, it.labels]
    better = found[rows, theirs] < found[rows, it.labels] - TIE * size[rows, it.labels]
    report.check(not far.any() and not better.any(), "faiss-cpu finds the same labels",
                 f"{int((theirs != it.labels).sum())} differ, within float's rounding")
    theirs = faiss.Kmeans(real.shape[1], 256, niter=10, seed=1, max_points_per_centroid=10 ** 9,
                          min_points_per_centroid=1)
    theirs.train(real, init_centroids=vectors.first_centroids(real, 256))
    compare(report, "faiss-cpu", real, it, theirs.centroids)


def beside_sklearn(report, real):
    from sklearn.cluster import KMeans

    initial = vectors.first_centroids(real, 256)
    it = satchel.kmeans(real, 256, init=initial, iterations=10)
    theirs = KMeans(256, init=initial, n_init=1, max_iter=10, tol=0, algorithm="lloyd").fit(real)
    compare(report, "scikit-learn", real, it, theirs.cluster_centers_)


def compare(report, name, points, ours, theirs):
    """Float rounding, and where clusters go that lose all their points, part the ways a little."""
    there = scores(points, theirs, False)[0].min(1).sum()
    here = scores(points, ours.centroids, False)[0].min(1).sum()
    shift = float((points.astype(np.float64) ** 2).sum())
    difference = (here - there) / (there + shift)
    report.check(abs(difference) < 2e-3, f"the objective of {name} from the same start",
                 f"Satchel's is {100 * difference:+.4f} % of it")


def main():
    report = Report()
    real = real_points(sys.argv[1])
    for name, (points, initial, iterations, options) in cases(real):
        follow(report, name, points, np.ascontiguousarray(initial), iterations, options)
    same_bits(report, real)
    beside_faiss(report, real)
    beside_sklearn(report, real)
    report.end()


if __name__ == "__main__":
    main()
