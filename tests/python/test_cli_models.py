"""The commands of the satchel tool that let a model write: generate, chat, inspect, and ask and chat
over a store."""
import fcntl
import json
import os
import signal
import struct
import subprocess
import termios
import time
import unittest

import support
from test_cli import Tool

GENERATOR = os.environ.get("SATCHEL_TEST_GENERATOR")

@unittest.skipUnless(GENERATOR, "SATCHEL_TEST_GENERATOR is not set")
class Generators(Tool):
    """generate, chat and inspect, on a model that writes noise."""

    def setUp(self):
        super().setUp()
        self.model = GENERATOR

    def test_generate(self):
        pieces = self.objects("generate", self.model, "hello", "world", "--max-tokens", 9,
                              "--temperature", 1, "--seed", 5)
        done = pieces.pop()
        self.assertEqual((done["type"], done["finish"], done["generated_tokens"]),
                         ("done", "length", 9))
        self.assertEqual({piece["type"] for piece in pieces}, {"token"})
        again = self.objects("generate", self.model, "--max-tokens", 9, "--temperature", 1,
                             "--seed", 5, stdin=b"hello world")
        self.assertEqual([p["text"] for p in pieces], [p["text"] for p in again[:-1]])

    def test_generate_follows_a_schema(self):
        schema = self.folder / "schema.json"
        schema.write_text('{"enum": ["yes", "no"]}')
        self.assertIn(self.out("generate", self.model, "hello", "--schema", schema),
                      ('"yes"\n', '"no"\n'))
        self.run_tool("generate", self.model, "hello", "--schema", self.folder / "none", expect=3)
        self.run_tool("generate", self.model, "hello", "--top-p", "2", expect=2)
        self.run_tool("generate", self.folder / "none.gguf", "hello", expect=3)

    def test_chat_remembers_and_forgets(self):
        said = self.objects("chat", self.model, "--max-tokens", 3, "--system", "be kind",
                            stdin=b"hello\n\nworld\n/clear\nhello\n/quit\nnever\n")
        done = [o for o in said if o["type"] == "done"]
        self.assertEqual(len(done), 3)
        self.assertGreater(done[1]["prompt_tokens"], done[0]["prompt_tokens"])
        self.assertGreater(done[1]["cached_tokens"], 0)
        self.assertEqual(done[2]["prompt_tokens"], done[0]["prompt_tokens"])

    def test_chat_forgets_its_beginning_when_full(self):
        run = self.run_tool("chat", self.model, "--max-tokens", 20, stdin=b"hello there\n" * 30)
        self.assertIn("beginning was forgotten", run.stderr.decode())

    def test_inspect(self):
        objects = self.objects("inspect", self.model)
        self.assertEqual(objects[0]["type"], "file")
        keys = {o["name"]: o for o in objects if o["type"] == "key"}
        self.assertEqual(keys["general.architecture"]["value"], "llama")
        self.assertTrue(keys["tokenizer.ggml.tokens"]["cut"])
        tensors = [o for o in objects if o["type"] == "tensor"]
        self.assertEqual(len(tensors), objects[0]["tensors"])
        self.assertEqual((objects[-1]["type"], objects[-1]["context_tokens"]), ("need", 300))
        less = self.objects("inspect", self.model, "--context", 100, "--kv", "q8_0")[-1]
        self.assertLess(less["kv_bytes"], objects[-1]["kv_bytes"] / 3)
        whole = {o.get("name"): o for o in self.objects("inspect", self.model, "--full")}
        self.assertEqual(len(whole["tokenizer.ggml.tokens"]["value"]),
                         whole["tokenizer.ggml.tokens"]["count"])
        text = self.out("inspect", self.model)
        self.assertIn("blk.0.attn_q.weight", text)
        self.assertIn("it writes", text)


QUESTION = "When does the lease of the flat end?"
ANSWER = "The lease of the flat ends in March [1]."
#: Short: the tiny model's context holds 300 tokens, and its tokens are bytes.
PROMPT = {"system": "", "user": "{passages} {question}", "passage": "{number} {text}",
          "refusal": "NONE"}


@unittest.skipUnless(GENERATOR, "SATCHEL_TEST_GENERATOR is not set")
class Answering(Tool):
    """ask and chat over a store, with a model whose noise a grammar turns into sentences."""

    def setUp(self):
        super().setUp()
        notes = self.folder / "notes"
        notes.mkdir()
        (notes / "lease.md").write_text("# Flat\n\nThe lease of the flat ends in March.\n")
        self.run_tool("index", self.store, notes, "--no-model")
        prompt = self.folder / "prompt.json"
        prompt.write_text(json.dumps(PROMPT))
        self.common = ["--model", GENERATOR, "--prompt", prompt]
        self.keywords = [*self.common, "--no-model"]

    def saying(self, rule):
        """Options that make the model write what the rule allows."""
        path = self.folder / "said.gbnf"
        path.write_text(f"root ::= {rule}\n")
        return ["--grammar", path]

    def ask(self, *options, **more):
        return self.objects("ask", self.store, QUESTION, *self.keywords, "--never-refuse",
                            *options, **more)

    def chat(self, lines, *options, **more):
        return self.objects("chat", self.store, *self.keywords, *options,
                            stdin="".join(line + "\n" for line in lines).encode(), **more)

    @staticmethod
    def said(objects):
        return "".join(o["text"] for o in objects if o["type"] == "token")

    # ------------------------------------------------------------ ask

    def test_ask_writes_and_cites(self):
        objects = self.ask(*self.saying(f'"{ANSWER}"'))
        self.assertEqual((objects[0]["mode"], objects[0]["reason"], objects[0]["search_mode"]),
                         ("generated", "no_embedder", "keyword"))
        self.assertEqual(self.said(objects), ANSWER)
        (citation,) = [o for o in objects if o["type"] == "citation"]
        self.assertEqual((citation["document_id"], citation["verified"]), ("notes/lease.md", True))
        self.assertGreater(objects[-1]["prompt_tokens"], 50)
        text = self.out("ask", self.store, QUESTION, *self.keywords, "--never-refuse",
                        *self.saying(f'"{ANSWER}"'))
        self.assertTrue(text.startswith(ANSWER + "\n\nSources\n[1] notes/lease.md: Flat"), text)

    def test_a_model_that_finds_nothing(self):
        run = self.run_tool("ask", self.store, QUESTION, *self.keywords, "--never-refuse",
                            *self.saying('"NONE"'), expect=1)
        self.assertIn("the model found none", run.stdout.decode())
        self.assertIn("Closest passages", run.stdout.decode())
        refused = self.ask(*self.saying('"NONE"'), expect=1)
        self.assertEqual([o["reason"] for o in refused if o["type"] == "refusal"], ["declined"])

    def test_options_of_writing(self):
        chance = ["--temperature", 1, "--max-tokens", 9]
        one = self.ask(*chance, "--seed", 5)
        self.assertEqual(one[-1]["generated_tokens"], 9)
        self.assertEqual(self.said(self.ask(*chance, "--seed", 5)), self.said(one))
        others = {self.said(self.ask(*chance, "--seed", seed)) for seed in range(6, 12)}
        self.assertGreater(len(others), 1)
        likeliest = self.said(self.ask("--max-tokens", 9))
        for narrow in (["--top-k", 1], ["--top-p", "0.000001"], ["--min-p", 1]):
            self.assertEqual(self.said(self.ask(*chance, "--seed", 5, *narrow)), likeliest, narrow)
        schema = self.folder / "schema.json"
        schema.write_text('{"enum": ["yes", "no"]}')
        self.assertIn(self.said(self.ask("--schema", schema)), ('"yes"', '"no"'))
        self.assertEqual(self.said(self.ask(*self.saying('"one two"'), "--stop", "two")), "one ")
        self.assertEqual(self.ask("--context", 60, expect=3)[-1]["code"], "SATCHEL_LIMIT")
        cache = self.folder / "cache"
        self.assertEqual(self.ask(*chance, "--cache", cache)[-1]["cached_tokens"], 0)
        self.assertGreater(self.ask(*chance, "--cache", cache)[-1]["cached_tokens"], 0)

    def test_wrong_options(self):
        self.run_tool("ask", self.store, QUESTION, *self.keywords, "--top-p", 2, expect=2)
        bad = self.folder / "bad.json"
        bad.write_text('{"user": "{who}"}')
        run = self.run_tool("ask", self.store, QUESTION, "--no-model", "--model", GENERATOR,
                            "--prompt", bad, expect=2)
        self.assertIn("{who}", run.stderr.decode())
        self.run_tool("ask", self.store, QUESTION, "--no-model", "--prompt", self.folder / "none",
                      expect=3)

    @unittest.skipUnless(support.TINY_MODEL, "SATCHEL_TEST_MODEL is not set")
    def test_a_model_that_writes_and_one_that_embeds(self):
        store = str(self.folder / "both.satchel")
        self.run_tool("index", store, self.folder / "notes", "--model", support.TINY_MODEL)
        both = [*self.common, "--embedder", support.TINY_MODEL, "--never-refuse"]
        mode = self.objects("ask", store, QUESTION, *both, *self.saying(f'"{ANSWER}"'))[0]
        self.assertEqual((mode["mode"], mode["search_mode"]), ("generated", "hybrid"))
        line = (QUESTION + "\n").encode()
        mode = self.objects("chat", store, *both, *self.saying(f'"{ANSWER}"'), stdin=line)[0]
        self.assertEqual((mode["mode"], mode["search_mode"]), ("generated", "hybrid"))
        # The file of --model says what it is.
        mode = self.objects("ask", store, QUESTION, "--model", support.TINY_MODEL,
                            "--never-refuse")[0]
        self.assertEqual((mode["mode"], mode["search_mode"]), ("extractive", "hybrid"))
        self.run_tool("chat", store, "--model", support.TINY_MODEL, stdin=line, expect=3)

    # ------------------------------------------------------------ chat

    def test_chat_asks_with_what_was_said(self):
        follow = "So when does the lease end?"
        objects = self.chat([QUESTION, "", follow, "/clear", follow, "/quit", "never"],
                            *self.saying('"In March [1]."'), "--never-refuse")
        self.assertEqual(self.said(objects), 3 * "In March [1].")
        self.assertEqual([o["document_id"] for o in objects if o["type"] == "citation"],
                         3 * ["notes/lease.md"])
        first, second, third = [o["prompt_tokens"] for o in objects if o["type"] == "done"]
        self.assertGreater(second, third + 20)  # the first question and answer stand before it
        self.assertLess(abs(first - third), 20)

    def test_chat_goes_on_after_a_refusal(self):
        objects = self.chat(["zyzzyva?", QUESTION], *self.saying(f'"{ANSWER}"'))
        self.assertEqual([o["reason"] for o in objects if o["type"] == "refusal"], ["no_evidence"])
        alone = self.chat([QUESTION], *self.saying(f'"{ANSWER}"'))
        self.assertEqual(objects[-1]["prompt_tokens"], alone[-1]["prompt_tokens"])
        text = self.out("chat", self.store, *self.keywords, *self.saying(f'"{ANSWER}"'),
                        stdin=f"{QUESTION}\nzyzzyva?\n".encode(), expect=1)
        self.assertIn(ANSWER + "\n\nSources\n[1] notes/lease.md", text)
        self.assertIn("No answer: nothing in the documents matches", text)

    def test_chat_needs_a_store(self):
        none = self.folder / "none.satchel"
        self.run_tool("chat", none, *self.keywords, expect=3)
        self.assertFalse(none.exists())
        run = self.run_tool("chat", self.store, *self.keywords, "--system", "be kind", expect=2)
        self.assertIn("--system", run.stderr.decode())

    def test_an_interrupt_stops_one_answer(self):
        """The answer is longer than the pipe that nobody reads: it cannot have ended when the
        signal comes, and the next one is whole."""
        arguments = ["chat", self.store, *self.keywords, "--never-refuse", "--json",
                     "--max-tokens", "-1", *self.saying("[A-Z]{180}")]
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        room = fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
        tool = subprocess.Popen([support.TOOL, *map(str, arguments)], stdin=subprocess.PIPE,
                                stdout=write, stderr=subprocess.PIPE, env=self.environment)
        os.close(write)
        tool.stdin.write(f"{QUESTION}\n/clear\n{QUESTION}\n".encode())
        tool.stdin.close()

        def waiting():
            return struct.unpack("i", fcntl.ioctl(read, termios.FIONREAD, bytes(4)))[0]

        while waiting() < room - 200 and tool.poll() is None:
            time.sleep(0.01)
        tool.send_signal(signal.SIGINT)
        out = b""
        while piece := os.read(read, 65536):
            out += piece
        self.assertEqual(tool.wait(120), 0, tool.stderr.read())
        tool.stderr.close()
        objects = [json.loads(line) for line in out.decode().splitlines()]
        starts = [i for i, o in enumerate(objects) if o["type"] == "mode"]
        self.assertEqual(len(starts), 2)
        stopped, whole = objects[:starts[1]], objects[starts[1]:]
        self.assertNotIn("done", [o["type"] for o in stopped])
        self.assertLess(len(self.said(stopped)), 180)
        self.assertEqual((whole[-1]["type"], len(self.said(whole))), ("done", 180))


if __name__ == "__main__":
    unittest.main()
