"""Models that write: a GGUF file, and generators written in Python."""
import gc
import os
import threading
import unittest

import numpy as np

import support
import satchel

TINY = os.environ.get("SATCHEL_TEST_GENERATOR")


@unittest.skipUnless(TINY, "SATCHEL_TEST_GENERATOR is not set")
class FileGenerator(unittest.TestCase):
    def setUp(self):
        self.model = satchel.Model(TINY)
        self.addCleanup(self.model.close)

    def test_info_and_need(self):
        info = self.model.info
        self.assertEqual((self.model.kind, info.architecture), ("generator", "llama"))
        self.assertEqual(self.model.context_tokens, 300)
        self.assertTrue(info.has_chat_template)
        self.assertIn("context=300", repr(self.model))
        need = satchel.Model.measure(TINY)
        self.assertEqual((need.kind, need.context_tokens), ("generator", 300))
        self.assertEqual(need.file_bytes, os.path.getsize(TINY))
        self.assertEqual(need.memory_bytes, info.memory_bytes)
        less = satchel.Model.measure(TINY, context_tokens=100, kv_type="q8_0")
        self.assertLess(less.kv_bytes, need.kv_bytes / 3)
        with self.assertRaises(satchel.WrongModel):
            self.model.embed("text")
        with self.assertRaises(satchel.WrongModel):
            satchel.Store(":none:", embedder=self.model)
        with self.assertRaises(ValueError):
            satchel.Model(TINY, kv_type="q3")

    def test_adapters_with_scales_and_without(self):
        with self.assertRaisesRegex(satchel.NotFound, "none.gguf"):
            satchel.Model(TINY, adapters=["none.gguf"])
        with self.assertRaisesRegex(satchel.NotFound, "none.gguf"):
            satchel.Model(TINY, adapters=[("none.gguf", 0.5)])
        with self.assertRaisesRegex(satchel.InvalidArgument, r"adapter_scales\[0\]"):
            satchel.Model(TINY, adapters=[("none.gguf", float("nan"))])
        with self.assertRaisesRegex(ValueError, "all adapters, or to none"):
            satchel.Model(TINY, adapters=["none.gguf", ("none.gguf", 0.5)])

    def test_tokens_come_back(self):
        text = "hello world é <|im_end|> 日本\0!"
        ids = self.model.tokenize(text)
        self.assertEqual(self.model.detokenize(ids), text)
        self.assertGreater(len(self.model.detokenize(ids, special=True)), len(text))
        self.assertEqual(self.model.detokenize([]), "")
        self.assertEqual(self.model.detokenize(self.model.tokenize("x" * 200)), "x" * 200)
        with self.assertRaises(satchel.InvalidArgument):
            self.model.detokenize([10 ** 6])

    def test_logits(self):
        ids = self.model.tokenize("hello world")
        logits = self.model.logits(ids)
        self.assertEqual(logits.dtype, np.float32)
        self.assertEqual(logits.shape, (len(ids), self.model.info.vocabulary_size))
        np.testing.assert_array_equal(logits, self.model.logits(np.array(ids)))
        np.testing.assert_array_equal(logits[:2], self.model.logits(ids[:2]))
        self.assertEqual(self.model.logits([]).shape, (0, self.model.info.vocabulary_size))
        shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
        p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        nll = -np.mean([p[i, ids[i + 1]] for i in range(len(ids) - 1)])
        found = self.model.perplexity("hello world")
        self.assertAlmostEqual(found.nll, nll, places=5)
        self.assertAlmostEqual(found.perplexity, np.exp(nll), delta=1e-4 * np.exp(nll))
        with self.assertRaises(ValueError):
            self.model.logits(np.zeros((2, 2), np.int32))
        with self.assertRaises(satchel.LimitReached):
            self.model.logits([1] * 301)

    def test_generates_pieces_of_text(self):
        generation = self.model.generate("hello world", max_tokens=20, temperature=1, seed=3)
        pieces = list(generation)
        self.assertTrue(all(isinstance(piece, str) and piece for piece in pieces))
        self.assertEqual(generation.done.generated_tokens, 20)
        self.assertEqual(generation.done.finish, "length")
        self.assertTrue(generation.closed)
        options = satchel.GenerateOptions(max_tokens=20, temperature=1, seed=3)
        self.assertEqual(self.model.generate("hello world", options).text(), "".join(pieces))
        self.assertNotEqual(self.model.generate("hello world", options, seed=4).text(),
                            "".join(pieces))
        with self.assertRaises(TypeError):
            self.model.generate("x", no_such_option=1)
        with self.assertRaises(satchel.InvalidArgument):
            self.model.generate("x", top_p=-1)

    def test_options_take_effect(self):
        text = self.model.generate("hello", max_tokens=30).text()
        stop = text[len(text) // 2]
        cut = self.model.generate("hello", max_tokens=30, stop=stop)
        self.assertEqual(cut.text(), text[:text.index(stop)])
        self.assertEqual(cut.done.finish, "stop")
        chosen = self.model.generate("hello", schema={"enum": ["yes", "no"]}).text()
        self.assertIn(chosen, ('"yes"', '"no"'))
        self.assertEqual(self.model.generate("hello", grammar='root ::= "ab" "c"').text(), "abc")
        first = self.model.tokenize("hello")[-1]
        only = {i: -np.inf for i in range(self.model.info.vocabulary_size)
                if i != first and self.model.token(i) is not None}
        self.assertEqual(self.model.generate("hello", max_tokens=1, bias=only).text(),
                         self.model.detokenize([first]))

    def test_chat(self):
        messages = [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hello"}]
        seen = []
        chat = self.model.chat(messages, max_tokens=8, progress=seen.append)
        text = chat.text()
        self.assertEqual(seen[-1].phase, "prefill")
        self.assertEqual(seen[-1].done, seen[-1].total)
        messages += [{"role": "assistant", "content": text}, {"role": "user", "content": "world"}]
        more = self.model.chat(messages, max_tokens=8)
        more.text()
        self.assertGreater(more.done.cached_tokens, 10)  # the first exchange is still there
        self.assertEqual(self.model.chat("hello", max_tokens=4).text(),
                         self.model.chat([{"role": "user", "content": "hello"}],
                                         max_tokens=4).text())
        with self.assertRaises(satchel.InvalidArgument):
            self.model.chat([1])

    def test_leaving_early_closes_the_stream(self):
        generation = self.model.generate("hello", max_tokens=200)
        next(generation)
        generation.close()
        self.assertEqual(list(generation), [])
        for _ in self.model.generate("hello", max_tokens=200):
            break
        gc.collect()
        cancel = satchel.Cancel()
        generation = self.model.generate("hello", max_tokens=-1, cancel=cancel)
        next(generation)
        cancel.fire()
        with self.assertRaises(satchel.Cancelled):
            list(generation)

    def test_progress_may_interrupt(self):
        def stop(_):
            raise KeyboardInterrupt
        with self.assertRaises(KeyboardInterrupt):
            self.model.generate("hello", progress=stop).text()
        with self.assertRaises(KeyboardInterrupt):
            satchel.Model(TINY, warm=True, progress=stop)
        with self.assertRaises(KeyboardInterrupt):
            self.model.perplexity("hello world", progress=stop)

    def test_many_threads(self):
        expected = self.model.generate("hello", max_tokens=30).text()
        texts = []

        def run():
            texts.append(self.model.generate("hello", max_tokens=30).text())
        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(texts, [expected] * 4)

    def test_saved_keys_and_values(self):
        import tempfile
        with tempfile.TemporaryDirectory() as folder:
            cache = os.path.join(folder, "cache")
            with satchel.Context(cache_dir=cache) as context, \
                    satchel.Model(TINY, context=context) as model:
                text = model.generate("hello " * 100, max_tokens=4).text()
            self.assertTrue(os.path.isdir(cache))
            with satchel.Context(cache_dir=cache) as context, \
                    satchel.Model(TINY, context=context) as model:
                answer = model.generate("hello " * 100, max_tokens=4)
                self.assertEqual(answer.text(), text)
                self.assertEqual(answer.done.cached_tokens, 64)

    def test_what_was_saved_can_be_deleted(self):
        import tempfile

        def cached(context):
            with satchel.Model(TINY, context=context) as model:
                answer = model.generate("hello " * 100, max_tokens=4)
                answer.text()
                return answer.done.cached_tokens

        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "notes.txt"), "w", encoding="utf-8"):
                pass
            with satchel.Context(cache_dir=folder) as context:
                for _ in range(2):
                    self.assertEqual(cached(context), 0)
                    self.assertGreater(len(os.listdir(folder)), 1)
                    self.assertGreater(cached(context), 0)
                    context.clear_cache()
                    self.assertEqual(os.listdir(folder), ["notes.txt"])
        with satchel.Context() as context:
            context.clear_cache()  # nothing is saved: nothing to do


class Echo:
    """Says what it was asked, word by word."""

    id = "tests: echo"
    context_tokens = 500

    def __init__(self):
        self.closed = 0

    def generate(self, messages, options=None, max_tokens=0, cancelled=None):
        self.options, self.max_tokens = options, max_tokens
        try:
            for word in messages[-1]["content"].split():
                if cancelled():
                    return
                yield ""
                yield word + " "
        finally:
            self.closed += 1


class OwnGenerator(unittest.TestCase):
    def test_echoes(self):
        echo = Echo()
        with satchel.Model.from_generator(echo) as model:
            self.assertEqual((model.kind, model.context_tokens, model.info.name),
                             ("generator", 500, "tests: echo"))
            generation = model.chat("Grüße an 日本", max_tokens=9, stop=["never"], temperature=0.5)
            self.assertEqual(list(generation), ["Grüße ", "an ", "日本 "])
            self.assertEqual(generation.done.finish, "end")
            self.assertIsNone(generation.done.prompt_tokens)
            self.assertEqual((echo.max_tokens, echo.options.stop, echo.options.temperature),
                             (9, ("never",), 0.5))
            self.assertEqual(model.generate("one two three", stop="two").text(), "one ")
            generation = model.generate("one two three")
            self.assertEqual(next(generation), "one ")
            generation.close()
            self.assertEqual(echo.closed, 3)
            with self.assertRaises(satchel.Unsupported):
                model.tokenize("x")

    def test_returns_it_whole_or_fails(self):
        class Whole:
            def generate(self, messages):
                if messages[0]["content"] == "fail":
                    raise RuntimeError("out of ideas")
                return "all at once"
        with satchel.Model.from_generator(Whole()) as model:
            self.assertEqual(list(model.generate("x")), ["all at once"])
            with self.assertRaises(satchel.CallbackFailed) as caught:
                model.generate("fail")
            self.assertIsInstance(caught.exception.__cause__, RuntimeError)

    def test_fails_midway(self):
        class Midway:
            def generate(self, messages):
                yield "a"
                raise KeyError("b")
        with satchel.Model.from_generator(Midway()) as model:
            generation = model.generate("x")
            self.assertEqual(next(generation), "a")
            with self.assertRaises(satchel.CallbackFailed) as caught:
                next(generation)
            self.assertIsInstance(caught.exception.__cause__, KeyError)


@unittest.skipUnless(TINY, "SATCHEL_TEST_GENERATOR is not set")
class Inspect(unittest.TestCase):
    def test_keys_and_tensors(self):
        file = satchel.inspect(TINY)
        self.assertEqual((file.version, file.parts), (3, 1))
        self.assertEqual(file.file_bytes, os.path.getsize(TINY))
        key = file.keys["general.architecture"]
        self.assertEqual((key.type, key.value, key.cut), ("string", "llama", False))
        tokens = file.keys["tokenizer.ggml.tokens"]
        self.assertEqual((tokens.type, len(tokens.value), tokens.cut), ("array of string", 16, True))
        whole = satchel.inspect(TINY, limit=-1).keys["tokenizer.ggml.tokens"]
        self.assertEqual((len(whole.value), whole.cut), (tokens.count, False))
        by_name = {tensor.name: tensor for tensor in file.tensors}
        table = by_name["token_embd.weight"]
        self.assertEqual((table.type, table.shape), ("F32", (64, 320)))
        with open(TINY, "rb") as raw:
            raw.seek(table.offset)
            row = np.frombuffer(raw.read(64 * 4), np.float32)
        self.assertTrue(np.isfinite(row).all() and row.any())
        with self.assertRaises(satchel.NotFound):
            satchel.inspect(TINY + ".none")


if __name__ == "__main__":
    unittest.main()
