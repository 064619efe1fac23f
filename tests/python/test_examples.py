"""The C examples, built and run as their headers say, and the rule for hello."""
import os
import re
import subprocess
import unittest

import support

HELLO = os.environ.get("SATCHEL_HELLO")
EMBEDDER = os.environ.get("SATCHEL_EXAMPLE_EMBEDDER")
READER = os.environ.get("SATCHEL_EXAMPLE_READER")
GENERATE = os.environ.get("SATCHEL_EXAMPLE_GENERATE")
GENERATOR = os.environ.get("SATCHEL_TEST_GENERATOR")
SPLIT_ASK = os.environ.get("SATCHEL_EXAMPLE_SPLIT_ASK")

SUBTITLES = """1
00:00:01,000 --> 00:00:03,500
Good evening, and welcome aboard.

2
00:01:05,250 --> 00:01:08,000
The night train to Vienna
leaves in two minutes.
"""


class Examples(support.FolderTest):
    def run_example(self, program, *arguments, expect=0, stdin=""):
        run = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True,
                             input=stdin, timeout=120)
        self.assertEqual(run.returncode, expect, run.stdout + run.stderr)
        return run.stdout

    def test_main_of_hello_has_at_most_12_lines(self):
        source = (support.ROOT / "examples" / "hello.c").read_text()
        body = re.search(r"int main\(int argc, char \*\*argv\) \{\n(.*?)\n\}", source, re.S)[1]
        lines = body.splitlines()
        self.assertLessEqual(len(lines), 12)
        for line in lines:
            self.assertLessEqual(line.count(";"), 1, line)

    @unittest.skipUnless(HELLO and support.TINY_MODEL, "not started by meson")
    def test_hello(self):
        out = self.run_example(HELLO, support.TINY_MODEL, self.store_path, self.write_notes(),
                               "When does the lease of the flat end?")
        self.assertIn("The lease of the flat ends in March.", out)
        self.assertRegex(out, r"\[notes/lease\.md, bytes \d+-\d+\]")
        self.run_example(HELLO, expect=1)

    @unittest.skipUnless(EMBEDDER, "not started by meson")
    def test_embedder(self):
        out = self.run_example(EMBEDDER, self.store_path, "leases of flats").splitlines()
        self.assertEqual(len(out), 3)
        self.assertIn("lease: The lease of the flat", out[0])

    @unittest.skipUnless(READER, "not started by meson")
    def test_reader(self):
        film = self.folder / "film.srt"
        film.write_text(SUBTITLES)
        out = self.run_example(READER, self.store_path, film, "Vienna")
        self.assertIn("film.srt at ", out)
        self.assertIn("leaves in two minutes.", out)
        self.assertNotIn("-->", out)
        broken = self.folder / "broken.srt"
        broken.write_text("no times here\n")
        out = self.run_example(READER, self.folder / "b.satchel", broken, "times")
        self.assertIn("no line with times", out)

    @unittest.skipUnless(GENERATE and GENERATOR, "not started by meson")
    def test_generate(self):
        out = self.run_example(GENERATE, GENERATOR, "hello")
        self.assertRegex(out, r"^\[needs \d+\.\d MB beside its file\]\n")
        self.assertRegex(out, r"\n\[[1-9]\d* tokens in \d+ ms\]\n$")
        self.run_example(GENERATE, self.folder / "none.gguf", "hello", expect=1)
        self.run_example(GENERATE, expect=2)

    @unittest.skipUnless(SPLIT_ASK and support.TOOL, "not started by meson")
    def test_split_ask(self):
        subprocess.run([support.TOOL, "index", self.store_path, self.write_notes(), "--no-model",
                        "--quiet"], check=True, timeout=120, capture_output=True)
        question = "When does the lease of the flat end?"
        out = self.run_example(SPLIT_ASK, self.store_path, question,
                               stdin="The lease of the flat ends in March [1]. So it is said.")
        at = len("The lease of the flat ends in March")
        self.assertIn(f"  bytes 0 to {at} rest on notes/lease.md, bytes 6 to {6 + at}: word for "
                      "word\n", out)
        said = "".join(line for line in out.splitlines(keepends=True)
                       if not line.startswith("  bytes"))
        self.assertEqual(said.replace("\n", ""),
                         "The lease of the flat ends in March [1]. So it is said.")
        self.assertEqual(self.run_example(SPLIT_ASK, self.store_path, question, stdin="NO_ANSWER"),
                         "the documents do not support an answer\n")
        self.run_example(SPLIT_ASK, expect=1)


if __name__ == "__main__":
    unittest.main()
