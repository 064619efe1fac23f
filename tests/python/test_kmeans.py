"""satchel.kmeans against a plain float64 reference; the same bits whatever it runs on."""
import threading
import unittest

import numpy as np

import support
import satchel

#: A label may differ from the reference's only where both centroids are this near to equally near.
TIE = 2.0 ** -40


def spread(count, dimension, groups, seed, noise=0.35):
    """Points around centres, with duplicates and rows of zeros among them."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(groups, dimension))
    x = centres[random.integers(groups, size=count)]
    x = (x + noise * random.normal(size=x.shape)).astype(np.float32)
    x[count // 3] = x[0]
    x[count // 2] = 0
    return x


def scores(x, centroids, inner):
    """(N, k) to be least: squared distances, or inner products turned round; in double."""
    x, centroids = x.astype(np.float64), centroids.astype(np.float64)
    if inner:
        return -(x @ centroids.T)
    return ((x[:, None, :] - centroids[None, :, :]) ** 2).sum(axis=2)


def reference(x, centroids, iterations, inner=False):
    """Lloyd's iterations as the textbook has them. Only for runs that never empty a cluster."""
    centroids = centroids.astype(np.float64)
    if inner:
        centroids = centroids / np.linalg.norm(centroids, axis=1, keepdims=True)
    for _ in range(iterations):
        labels = scores(x, centroids, inner).argmin(axis=1)
        for k in range(len(centroids)):
            members = x[labels == k].astype(np.float64)
            assert len(members) > 0, "the reference lost a cluster: choose another seed"
            centroids[k] = members.sum(axis=0) if inner else members.mean(axis=0)
            if inner:
                centroids[k] /= np.linalg.norm(centroids[k])
        centroids = centroids.astype(np.float32).astype(np.float64)
    return centroids


class KMeansTest(unittest.TestCase):
    def assert_labels(self, x, centroids, labels, inner=False):
        """Each label is a nearest centroid's, the lowest of equals, ties aside."""
        all_scores = scores(x, centroids, inner)
        chosen = all_scores[np.arange(len(x)), labels]
        size = (np.linalg.norm(x.astype(np.float64), axis=1)
                + np.linalg.norm(centroids.astype(np.float64), axis=1).max()) ** 2
        np.testing.assert_array_less(chosen - all_scores.min(axis=1), TIE * size + 1e-300)
        differ = labels != all_scores.argmin(axis=1)
        self.assertLess(differ.mean(), 0.01)

    def assert_same(self, a, b):
        self.assertEqual(a.centroids.tobytes(), b.centroids.tobytes())
        self.assertEqual(a.labels.tobytes(), b.labels.tobytes())
        self.assertEqual(np.float64(a.inertia).tobytes(), np.float64(b.inertia).tobytes())
        self.assertEqual((a.iterations, a.stop, a.empty), (b.iterations, b.stop, b.empty))


class Exactness(KMeansTest):
    SHAPES = [(50, 1, 3), (333, 7, 5), (700, 33, 16), (1500, 64, 40), (900, 130, 100)]

    def test_against_the_reference(self):
        for count, dimension, k in self.SHAPES:
            for iterations in (1, 4):
                with self.subTest(count=count, dimension=dimension, k=k, iterations=iterations):
                    x = spread(count, dimension, 5 * k, seed=k)
                    init = x[1:count // 3:(count // 3 - 1) // k][:k]
                    found = satchel.kmeans(x, init=init, iterations=iterations)
                    self.assertEqual(found.centroids.shape, (k, dimension))
                    self.assertEqual(found.labels.dtype, np.int32)
                    self.assertEqual(found.empty, 0)
                    expected = reference(x, init, found.iterations)
                    np.testing.assert_allclose(found.centroids, expected, rtol=1e-5, atol=1e-5)
                    self.assert_labels(x, found.centroids, found.labels)
                    nearest = scores(x, found.centroids, False)
                    inertia = nearest[np.arange(count), found.labels].sum()
                    self.assertAlmostEqual(found.inertia / inertia, 1, delta=1e-12)

    def test_spherical(self):
        x = spread(800, 48, 12, seed=4)
        init = x[:12] + np.float32(0.01)
        found = satchel.kmeans(x, init=init, iterations=3, objective="inner_product")
        np.testing.assert_allclose(np.linalg.norm(found.centroids, axis=1), 1, atol=1e-6)
        expected = reference(x, init, found.iterations, inner=True)
        np.testing.assert_allclose(found.centroids, expected, atol=1e-5)
        self.assert_labels(x, found.centroids, found.labels, inner=True)
        products = -scores(x, found.centroids, True)[np.arange(len(x)), found.labels]
        self.assertAlmostEqual(found.inertia / products.sum(), 1, delta=1e-12)

    def test_a_fixed_point_has_its_means_as_centroids(self):
        x = spread(2000, 20, 8, seed=9)
        found = satchel.kmeans(x, 8, iterations=1000, seed=1)
        self.assertEqual(found.stop, "unchanged")
        for k in range(8):
            np.testing.assert_allclose(found.centroids[k], x[found.labels == k].mean(
                axis=0, dtype=np.float64), rtol=1e-5, atol=1e-6)

    def test_inertia_never_rises(self):
        x = spread(1200, 24, 30, seed=2, noise=0.8)
        before = np.inf
        for iterations in range(0, 16):
            found = satchel.kmeans(x, 30, init="random", iterations=iterations, seed=5)
            self.assertLessEqual(found.iterations, iterations)
            self.assertLessEqual(found.inertia, before * (1 + 1e-9))
            before = found.inertia

    def test_ties_go_to_the_lowest_index(self):
        x = np.zeros((5, 3), dtype=np.float32)
        x[:, 0] = [0, 1, 0, 1, 0.5]
        labels, distances = satchel.kmeans_assign(x, [[1, 0, 0], [0, 0, 0], [1, 0, 0], [0, 0, 0]])
        self.assertEqual(labels.tolist(), [1, 0, 1, 0, 0])
        self.assertEqual(distances.tolist(), [0, 0, 0, 0, 0.25])

    def test_assign(self):
        x = spread(600, 40, 10, seed=3)
        centroids = spread(90, 40, 10, seed=8)
        for objective, inner in ((None, False), ("inner_product", True)):
            labels, distances = satchel.kmeans_assign(x, centroids, objective=objective)
            self.assertEqual((labels.dtype, distances.dtype), (np.int32, np.float64))
            self.assert_labels(x, centroids, labels, inner)
            chosen = scores(x, centroids, inner)[np.arange(len(x)), labels]
            np.testing.assert_allclose(distances, -chosen if inner else chosen, rtol=1e-12,
                                       atol=1e-12)
        # More centroids than points, and no points at all, are no mistakes here.
        self.assertEqual(len(satchel.kmeans_assign(x[:3], centroids)[0]), 3)
        empty, distances = satchel.kmeans_assign(x[:0], centroids)
        self.assertEqual((empty.shape, distances.shape), ((0,), (0,)))

    def test_fast_mode_gives_labels_of_its_own_centroids(self):
        x = spread(5000, 16, 20, seed=6)
        fast = satchel.kmeans(x, 20, mode="fast", seed=2)
        exact = satchel.kmeans(x, 20, seed=2)
        self.assert_labels(x, fast.centroids, fast.labels)
        self.assertLess(fast.inertia, 1.5 * exact.inertia)


class SameBits(KMeansTest):
    def setUp(self):
        self.x = spread(3000, 50, 25, seed=11)
        self.options = dict(k=25, seed=3, iterations=12)
        self.expected = satchel.kmeans(self.x, **self.options)

    def test_over_threads(self):
        for threads in (1, 2):
            with satchel.Context(threads=threads) as context:
                self.assert_same(self.expected,
                                 satchel.kmeans(self.x, context=context, **self.options))
            self.assert_same(self.expected,
                             satchel.kmeans(self.x, threads=threads, **self.options))

    def test_over_cpu_levels(self):
        tried = 0
        for level in ("c", "avx2", "avxvnni", "avx512", "neon", "dotprod", "i8mm"):
            try:
                context = satchel.Context(cpu_level=level)
            except satchel.Unsupported:
                continue
            tried += 1
            with context, self.subTest(level=level):
                self.assert_same(self.expected,
                                 satchel.kmeans(self.x, context=context, **self.options))
                labels, distances = satchel.kmeans_assign(self.x, self.expected.centroids,
                                                          context=context)
                self.assertEqual(labels.tobytes(), self.expected.labels.tobytes())
                self.assertAlmostEqual(distances.sum() / self.expected.inertia, 1, delta=1e-12)
        self.assertGreaterEqual(tried, 1)

    def test_over_ways_to_give_the_points(self):
        x = self.x
        wide = np.zeros((len(x), 60), dtype=np.float32)
        wide[:, 5:55] = x
        for given in (x.astype(np.float64), x.tolist(), np.asfortranarray(x), wide[:, 5:55],
                      np.repeat(x, 2, axis=0)[::2], x[::-1][::-1]):
            self.assert_same(self.expected, satchel.kmeans(given, **self.options))

    def test_read_only_arrays_are_taken_and_left_alone(self):
        x = self.x.copy()
        x.flags.writeable = False
        self.assert_same(self.expected, satchel.kmeans(x, **self.options))
        self.assertEqual(x.tobytes(), self.x.tobytes())

    def test_the_seed_decides(self):
        self.assert_same(self.expected, satchel.kmeans(self.x, **self.options))
        other = satchel.kmeans(self.x, 25, seed=4, iterations=12)
        self.assertNotEqual(other.centroids.tobytes(), self.expected.centroids.tobytes())


class Files(support.FolderTest, KMeansTest):
    def setUp(self):
        super().setUp()
        self.x = spread(4000, 32, 12, seed=21)
        self.path = self.folder / "points.f32"
        self.path.write_bytes(b"HEADER" + self.x.astype("<f4").tobytes())
        self.file = dict(dimension=32, offset=6)

    def test_same_bits_as_in_memory_whatever_the_budget(self):
        for init in ("random", "k-means++", "parallel"):
            options = dict(k=12, seed=5, iterations=6, init=init)
            expected = satchel.kmeans(self.x, **options)
            for budget in (None, 1 << 20, 1 << 14):
                with self.subTest(init=init, budget=budget):
                    found = satchel.kmeans(self.path, memory_budget=budget, **options, **self.file)
                    self.assert_same(expected, found)

    def test_memmap(self):
        mapped = np.memmap(self.path, dtype="<f4", mode="r", offset=6, shape=(4000, 32))
        self.assert_same(satchel.kmeans(self.x, 5), satchel.kmeans(mapped, 5))

    def test_assign(self):
        found = satchel.kmeans(self.x, 12)
        labels, distances = satchel.kmeans_assign(str(self.path), found.centroids, offset=6,
                                                  memory_budget=1 << 16)
        self.assertEqual(labels.tobytes(), found.labels.tobytes())
        some, _ = satchel.kmeans_assign(self.path, found.centroids, offset=6, count=10)
        self.assertEqual(some.tolist(), labels[:10].tolist())

    def test_refusals(self):
        with self.assertRaisesRegex(ValueError, "dimension"):
            satchel.kmeans(self.path, 3)
        with self.assertRaisesRegex(ValueError, "whole number"):
            satchel.kmeans(self.path, 3, dimension=32)
        with self.assertRaises(satchel.Damaged):
            satchel.kmeans(self.path, 3, count=4001, **self.file)
        with self.assertRaises(FileNotFoundError):
            satchel.kmeans(self.folder / "none", 3, dimension=32)
        with self.assertRaises(satchel.NotFound):
            satchel.kmeans(self.folder / "none", 3, dimension=32, count=9)
        with self.assertRaisesRegex(ValueError, "file"):
            satchel.kmeans(self.x, 3, offset=6)
        broken = self.x.copy()
        broken[3999, 31] = np.nan
        self.path.write_bytes(broken.tobytes())
        with self.assertRaisesRegex(satchel.InvalidArgument, "row 3999"):
            satchel.kmeans(self.path, 3, dimension=32, memory_budget=1 << 16)


class Seeding(KMeansTest):
    def test_k_has_a_default(self):
        x = spread(400, 5, 4, seed=1)
        self.assertEqual(len(satchel.kmeans(x).centroids), 20)
        self.assertEqual(len(satchel.kmeans(x, init=x[:7]).centroids), 7)

    def test_no_iterations_leave_the_seeds(self):
        x = spread(300, 9, 6, seed=2)
        given = satchel.kmeans(x, init=x[:6], iterations=0)
        self.assertEqual(given.centroids.tobytes(), np.ascontiguousarray(x[:6]).tobytes())
        self.assertEqual(given.iterations, 0)
        self.assert_labels(x, given.centroids, given.labels)
        rows = {row.tobytes() for row in x}
        for init in ("random", "k-means++", "parallel"):
            found = satchel.kmeans(x, 30, init=init, iterations=0, seed=7)
            self.assertTrue(all(row.tobytes() in rows for row in found.centroids), init)

    def test_random_rows_are_distinct(self):
        x = np.arange(50, dtype=np.float32)[:, None] * np.ones((1, 3), dtype=np.float32)
        found = satchel.kmeans(x, 50, init="random", iterations=0)
        self.assertEqual(sorted(found.centroids[:, 0].tolist()), list(range(50)))
        self.assertEqual(found.inertia, 0)

    def test_plus_plus_finds_groups_far_apart(self):
        random = np.random.default_rng(5)
        x = np.concatenate([random.normal(size=(100, 4)) + 1000 * k for k in range(10)])
        for init in ("k-means++", "parallel", None):
            found = satchel.kmeans(x, 10, init=init, seed=1)
            groups = found.labels.reshape(10, 100)
            self.assertTrue((groups == groups[:, :1]).all(), init)
            self.assertEqual(len(set(groups[:, 0].tolist())), 10)


class Odd(KMeansTest):
    def test_refusals_say_what(self):
        x = spread(100, 6, 3, seed=1)
        for match, arguments in (
                ("k is 0", dict(k=0)),
                ("only 100 points", dict(k=101)),
                ("iterations", dict(k=2, iterations=-5)),
                ("tolerance", dict(k=2, tolerance=-1.0)),
                ("tolerance", dict(k=2, tolerance=float("nan"))),
                ("threads", dict(k=2, threads=-1))):
            with self.subTest(**arguments):
                with self.assertRaisesRegex(satchel.InvalidArgument, match):
                    satchel.kmeans(x, **arguments)
        for match, arguments in (
                ("init has shape", dict(k=4, init=x[:3])),
                ("init has shape", dict(init=x[:3, :5])),
                ("none of 'random'", dict(k=2, init="best")),
                ("objective", dict(k=2, objective="cosine-ish")),
                ("mode", dict(k=2, mode="slow")),
                ("seed", dict(k=2, seed=-1)),
                ("k is -1", dict(k=-1)),
                ("dimension is 7", dict(k=2, dimension=7))):
            with self.subTest(**{name: str(value)[:20] for name, value in arguments.items()}):
                with self.assertRaisesRegex(ValueError, match):
                    satchel.kmeans(x, **arguments)
        for shape in ((6,), (2, 3, 6), ()):
            with self.assertRaisesRegex(ValueError, "shape"):
                satchel.kmeans(np.zeros(shape, dtype=np.float32), 1)
        with self.assertRaisesRegex(satchel.InvalidArgument, "count"):
            satchel.kmeans(x[:0], 1)
        with self.assertRaisesRegex(satchel.InvalidArgument, "dimension"):
            satchel.kmeans(x[:, :0], 1)
        with self.assertRaisesRegex(ValueError, "dimension"):
            satchel.kmeans_assign(x, x[:3, :5])
        with self.assertRaises(ValueError):
            satchel.kmeans([["a", "b"]], 1)

    def test_values_that_are_no_numbers(self):
        x = spread(100, 6, 3, seed=1)
        for value in (np.nan, np.inf, -np.inf, 3e30):
            broken = x.copy()
            broken[41, 2] = value
            with self.assertRaisesRegex(satchel.InvalidArgument, "row 41"):
                satchel.kmeans(broken, 3)
            with self.assertRaisesRegex(satchel.InvalidArgument, "row 41"):
                satchel.kmeans_assign(broken, x[:3])
            with self.assertRaisesRegex(satchel.InvalidArgument, "centroid"):
                satchel.kmeans(x, init=broken[40:43])
            with self.assertRaisesRegex(satchel.InvalidArgument, "centroid"):
                satchel.kmeans_assign(x, broken[40:43])
        big = x.astype(np.float64)
        big[41, 2] = 1e300  # infinity as a float
        with self.assertRaisesRegex(satchel.InvalidArgument, "row 41"):
            satchel.kmeans(big, 3)

    def test_duplicates(self):
        x = np.ones((40, 4), dtype=np.float32)
        found = satchel.kmeans(x, 5)
        self.assertEqual(found.inertia, 0)
        self.assertEqual(set(found.labels.tolist()), {0})
        self.assertEqual(found.empty, 4)
        np.testing.assert_array_equal(found.centroids[0], x[0])
        pairs = np.repeat(np.arange(8, dtype=np.float32)[:, None], 5, axis=0)
        found = satchel.kmeans(pairs, 8, seed=3)
        self.assertEqual(found.inertia, 0)
        self.assertEqual(found.empty, 0)

    def test_empty_clusters_are_given_a_place(self):
        x = spread(500, 8, 5, seed=7)
        far = np.full((3, 8), 1e4, dtype=np.float32)
        init = np.concatenate([x[:5], far])
        first = satchel.kmeans(x, init=init, iterations=0)
        self.assertEqual(first.empty, 3)
        found = satchel.kmeans(x, init=init, iterations=20)
        self.assertEqual(found.empty, 0)
        self.assertEqual(set(found.labels.tolist()), set(range(8)))
        self.assertLess(found.inertia, first.inertia)
        self.assert_same(found, satchel.kmeans(x, init=init, iterations=20, threads=1))

    def test_as_many_clusters_as_points(self):
        x = spread(30, 3, 4, seed=1)
        x[15] += 1  # no two alike
        x[10] += 1
        found = satchel.kmeans(x, 30)
        self.assertEqual(found.inertia, 0)
        self.assertEqual(found.empty, 0)

    def test_one_point(self):
        found = satchel.kmeans(np.array([[3.0, 4.0]]), 1)
        self.assertEqual(found.centroids.tolist(), [[3, 4]])
        self.assertAlmostEqual(satchel.kmeans(np.array([[3.0, 4.0]]), 1,
                                              objective="inner_product").inertia, 5, places=5)

    def test_far_from_the_origin_and_tiny(self):
        for offset, scale in ((1e6, 1.0), (0.0, 1e-20), (0.0, 1e18)):
            x = (spread(300, 12, 6, seed=3).astype(np.float64) * scale + offset).astype(np.float32)
            found = satchel.kmeans(x, 6, seed=1)
            self.assert_labels(x, found.centroids, found.labels)

    def test_tolerance_stops_early(self):
        x = spread(3000, 10, 40, seed=5, noise=1.0)
        exact = satchel.kmeans(x, 40, init="random", iterations=200)
        early = satchel.kmeans(x, 40, init="random", iterations=200, tolerance=0.05)
        self.assertEqual(early.stop, "tolerance")
        self.assertLess(early.iterations, exact.iterations)


class Calls(KMeansTest):
    def test_the_result_unpacks(self):
        x = spread(200, 4, 3, seed=1)
        found = satchel.kmeans(x, 3, iterations=2)
        centroids, labels, inertia = found
        self.assertIs(centroids, found.centroids)
        self.assertIs(labels, found.labels)
        self.assertEqual(inertia, found.inertia)
        self.assertGreater(found.info.memory_bytes, 0)
        self.assertGreaterEqual(found.info.rechecks, len(x))

    def test_progress(self):
        seen = []
        found = satchel.kmeans(spread(900, 8, 9, seed=1), 9, init="random", iterations=50,
                               progress=seen.append)
        steps = [p.iteration for p in seen]
        self.assertEqual(steps, sorted(steps))
        self.assertEqual(steps[0], 0)
        self.assertEqual(steps[-1], 51)
        self.assertTrue(all(p.iterations == 50 for p in seen))
        self.assertIn(found.iterations, steps)
        shifts = [p.shift for p in seen if 0 < p.iteration <= found.iterations]
        self.assertGreater(shifts[0], 0)

    def test_what_progress_raises_ends_it(self):
        x = spread(900, 8, 9, seed=1)

        def fail(p):
            raise RuntimeError("enough")

        def interrupt(p):
            raise KeyboardInterrupt

        with self.assertRaises(satchel.Cancelled) as raised:
            satchel.kmeans(x, 9, progress=fail)
        self.assertIsInstance(raised.exception.__cause__, RuntimeError)
        with self.assertRaises(KeyboardInterrupt):
            satchel.kmeans(x, 9, progress=interrupt)

    def test_cancel(self):
        x = spread(900, 8, 9, seed=1)
        with satchel.Cancel() as cancel:
            with self.assertRaises(satchel.Cancelled):
                satchel.kmeans(x, 9, cancel=cancel, progress=lambda p: cancel.fire())
            with self.assertRaises(satchel.Cancelled):
                satchel.kmeans_assign(x, x[:9], cancel=cancel)

    def test_many_threads_of_python(self):
        x = spread(2000, 16, 10, seed=2)
        expected = satchel.kmeans(x, 10)
        found = []
        threads = [threading.Thread(target=lambda: found.append(satchel.kmeans(x, 10)))
                   for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(found), 4)
        for one in found:
            self.assert_same(expected, one)

    def test_the_memory_limit_holds(self):
        with satchel.Context(memory_limit=1 << 14) as context:
            with self.assertRaises(satchel.MemoryLimit):
                satchel.kmeans(spread(5000, 64, 4, seed=1), 50, context=context)


if __name__ == "__main__":
    unittest.main()
