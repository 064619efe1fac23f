"""Models: a GGUF file, and embedders written in Python."""
import os
import threading
import unittest

import numpy as np

import support
import satchel


@unittest.skipUnless(support.TINY_MODEL, "SATCHEL_TEST_MODEL is not set")
class GgufModel(unittest.TestCase):
    def setUp(self):
        self.model = satchel.Model(support.TINY_MODEL)
        self.addCleanup(self.model.close)

    def test_info(self):
        info = self.model.info
        self.assertEqual(info.architecture, "bert")
        self.assertEqual(info.name, "tiny")
        self.assertEqual(self.model.dimension, 32)
        self.assertEqual(info.dimension, 32)
        self.assertGreater(info.vocabulary_size, 80)
        self.assertEqual(info.file_bytes, os.path.getsize(support.TINY_MODEL))
        self.assertIn("tiny", repr(self.model))

    def test_vectors_are_unit_rows(self):
        vectors = self.model.embed(["The lease ends.", "Bread", "", "日本 🏠"])
        self.assertEqual(vectors.dtype, np.float32)
        self.assertEqual(vectors.shape, (4, 32))
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        np.testing.assert_array_equal(self.model.embed("Bread"), self.model.embed(["Bread"])[0])
        self.assertEqual(self.model.embed([]).shape, (0, 32))

    def test_a_text_s_vector_does_not_depend_on_its_company(self):
        texts = [f"lease number {i} of the flat" for i in range(40)] + ["a" * 500]
        together = self.model.embed(texts)
        for i in (0, 7, 40):
            np.testing.assert_allclose(together[i], self.model.embed(texts[i]), atol=1e-5)

    def test_writes_to_a_given_array_without_a_copy(self):
        whole = np.zeros((6, 32), dtype=np.float32)
        out = self.model.embed(["one", "two"], out=whole[2:4])
        self.assertIs(out.base, whole)
        self.assertTrue(np.all(whole[:2] == 0) and np.all(whole[4:] == 0))
        np.testing.assert_array_equal(whole[2:4], self.model.embed(["one", "two"]))
        for wrong in (np.zeros((2, 31), np.float32), np.zeros((2, 32)),
                      np.zeros((2, 64), np.float32)[:, ::2]):
            with self.assertRaises(ValueError):
                self.model.embed(["one", "two"], out=wrong)

    def test_tokenize(self):
        ids = self.model.tokenize("lease")
        self.assertEqual(len(ids), 3)
        self.assertEqual(self.model.token(ids[0]), "[CLS]")
        self.assertEqual(self.model.token(ids[2]), "[SEP]")
        self.assertIn("lease", self.model.token(ids[1]))
        self.assertIsNone(self.model.token(10 ** 6))
        self.assertEqual(len(self.model.tokenize("")), 2)
        # Without truncation: far past what the model reads.
        self.assertGreater(len(self.model.tokenize("lease " * 1000)), 1000)

    def test_from_descriptor(self):
        with open(support.TINY_MODEL, "rb") as file:
            other = satchel.Model.from_fd(file.fileno())
        self.assertEqual(other.info.fingerprint, self.model.info.fingerprint)
        np.testing.assert_array_equal(other.embed("bread"), self.model.embed("bread"))

    def test_options_change_the_fingerprint(self):
        cls = satchel.Model(support.TINY_MODEL, pooling="cls")
        self.assertNotEqual(cls.info.fingerprint, self.model.info.fingerprint)
        with self.assertRaises(ValueError):
            satchel.Model(support.TINY_MODEL, pooling="median")
        prefixed = satchel.Model(support.TINY_MODEL, query_prefix="question: ")
        np.testing.assert_allclose(prefixed.embed("lease", role="query"),
                                   self.model.embed("question: lease"), atol=1e-5)
        np.testing.assert_allclose(prefixed.embed("lease"), self.model.embed("lease"), atol=1e-5)
        with self.assertRaises(ValueError):
            self.model.embed("a", role="chorus")

    def test_lone_surrogates_are_refused(self):
        with self.assertRaises(satchel.InvalidText):
            self.model.embed(["fine", "\ud800"])
        with self.assertRaises(satchel.InvalidText):
            self.model.tokenize("\udfff")

    def test_cancel(self):
        cancel = satchel.Cancel()
        self.assertFalse(cancel.fired)
        cancel.fire()
        self.assertTrue(cancel.fired)
        with self.assertRaises(satchel.Cancelled) as caught:
            self.model.embed(["text"], cancel=cancel)
        self.assertEqual(caught.exception.status, "SATCHEL_CANCELLED")
        self.assertLess(caught.exception.code, 0)

    def test_many_threads(self):
        expected = self.model.embed(["lease", "bread"])
        wrong = []

        def work():
            for _ in range(20):
                if not np.array_equal(self.model.embed(["lease", "bread"]), expected):
                    wrong.append(1)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])

    def test_closing_during_calls(self):
        texts = ["the lease of the flat ends in march"] * 200
        outcomes = []

        def work():
            try:
                while True:
                    self.model.embed(texts)
            except satchel.Closed:
                outcomes.append("closed")
            except BaseException as problem:  # pragma: no cover
                outcomes.append(problem)

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        self.model.close()  # waits for the calls inside
        for thread in threads:
            thread.join()
        self.assertEqual(outcomes, ["closed"] * 3)
        self.assertTrue(self.model.closed)
        self.model.close()  # again: nothing
        with self.assertRaises(satchel.Closed):
            self.model.embed("a")


class Failures(support.FolderTest):
    def test_missing_file(self):
        with self.assertRaises(satchel.NotFound) as caught:
            satchel.Model(self.folder / "none.gguf")
        problem = caught.exception
        self.assertEqual(problem.status, "SATCHEL_NOT_FOUND")
        self.assertIn("none.gguf", problem.message)
        self.assertNotEqual(problem.os_code, 0)
        self.assertIsInstance(problem, satchel.SatchelError)

    def test_not_a_model(self):
        path = self.folder / "text.gguf"
        path.write_text("no model at all, only some words in a file")
        with self.assertRaises(satchel.Damaged):
            satchel.Model(path)


class PythonEmbedder(unittest.TestCase):
    def test_serves_as_a_model(self):
        embedder = support.HashEmbedder()
        model = satchel.Model.from_embedder(embedder)
        self.assertEqual(model.info.architecture, "custom")
        self.assertEqual(model.dimension, 64)
        vectors = model.embed(["bread", "water"])
        np.testing.assert_allclose(vectors, embedder.embed(["bread", "water"]), atol=1e-6)
        with self.assertRaises(satchel.Unsupported):
            model.tokenize("bread")

    def test_only_embed_is_needed(self):
        class Bare:
            def embed(self, texts):
                return [[3.0, 4.0]] * len(texts)

        model = satchel.Model.from_embedder(Bare())
        self.assertEqual(model.dimension, 2)
        np.testing.assert_allclose(model.embed("x"), [0.6, 0.8], atol=1e-6)  # scaled to length 1

    def test_role_is_passed_where_it_is_taken(self):
        class Roles(support.HashEmbedder):
            def embed(self, texts, role):
                self.role = role
                return super().embed(texts)

        embedder = Roles()
        model = satchel.Model.from_embedder(embedder)
        model.embed("a", role="query")
        self.assertEqual(embedder.role, "query")
        model.embed("a")
        self.assertEqual(embedder.role, "document")

    def test_its_exception_is_the_cause(self):
        class Broken(support.HashEmbedder):
            def embed(self, texts):
                raise RuntimeError("the accelerator is on fire")

        model = satchel.Model.from_embedder(Broken())
        with self.assertRaises(satchel.CallbackFailed) as caught:
            model.embed("a")
        self.assertIsInstance(caught.exception.__cause__, RuntimeError)

    def test_keyboard_interrupt_passes_through(self):
        class Interrupted(support.HashEmbedder):
            def embed(self, texts):
                raise KeyboardInterrupt

        model = satchel.Model.from_embedder(Interrupted())
        with self.assertRaises(KeyboardInterrupt):
            model.embed("a")

    def test_wrong_shapes_are_refused(self):
        class Wrong(support.HashEmbedder):
            def embed(self, texts):
                return np.zeros((len(texts), 3))

        model = satchel.Model.from_embedder(Wrong())
        with self.assertRaises(satchel.CallbackFailed) as caught:
            model.embed("a")
        self.assertIn("(1, 64)", str(caught.exception.__cause__))

    def test_zero_and_nan_are_refused(self):
        class Spoiled(support.HashEmbedder):
            def embed(self, texts):
                return np.full((len(texts), 64), self.value)

        embedder = Spoiled()
        model = satchel.Model.from_embedder(embedder)
        for embedder.value in (0.0, np.nan, np.inf):
            with self.assertRaises(satchel.CallbackFailed):
                model.embed("a")

    def test_is_let_go_when_the_model_is(self):
        from satchel import _callbacks
        before = len(_callbacks._bridges)
        model = satchel.Model.from_embedder(support.HashEmbedder())
        self.assertEqual(len(_callbacks._bridges), before + 1)
        model.close()
        self.assertEqual(len(_callbacks._bridges), before)


class Contexts(unittest.TestCase):
    def test_context(self):
        context = satchel.Context(threads=1, cpu_level="c")
        self.assertEqual(context.threads, 1)
        self.assertEqual(context.cpu, "c")
        now, peak = context.memory()
        self.assertGreater(now, 0)
        self.assertGreaterEqual(peak, now)

    def test_log(self):
        lines = []
        context = satchel.Context(log=lambda level, text: lines.append((level, text)),
                                  log_level="debug")
        context.close()
        self.assertTrue(lines)
        self.assertIn(lines[0][0], ("info", "debug"))

    def test_fork_gets_a_context_of_its_own(self):
        model = satchel.Model.from_embedder(support.HashEmbedder())
        child = os.fork()
        if child == 0:
            status = 1
            try:
                try:
                    model.embed("a")
                except satchel.Forked:
                    fresh = satchel.Model.from_embedder(support.HashEmbedder())
                    if fresh.embed("a").shape == (64,):
                        model.close()
                        status = 0
            finally:
                os._exit(status)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertEqual(model.embed("a").shape, (64,))


if __name__ == "__main__":
    unittest.main()
