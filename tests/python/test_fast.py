"""The compiled part of the binding, and what stands in for it, give the same."""
import os
import subprocess
import sys
import unittest

import support

import satchel
from satchel import _hits

PROGRAM = """
import sys
import satchel
from satchel import _hits
print(_hits._fast is not None)
with satchel.Store(sys.argv[1]) as store:
    for query in ("lease rent", "oven", "Zoë 😀", "nothing of it", ""):
        for k in (1, None):
            hits = store.search(query, k=k, filter={"path": "*"})
            print(hits.mode, len(hits))
            for hit in hits:
                print(hit, hit.start_char, hit.end_char)
for k in (-1, 2 ** 31, 2 ** 32 + 1, 2 ** 70, -2 ** 70):
    with satchel.Store(sys.argv[1]) as store:
        try:
            print(store.search("lease", k=k))
        except satchel.InvalidArgument as error:
            print(error)
"""


def built():
    """Whether the build has the compiled part: meson says so."""
    return os.environ.get("SATCHEL_TEST_FAST") == "yes"


class Fast(support.FolderTest):
    def run_program(self, pure):
        environment = {**os.environ, "PYTHONPATH": str(support.ROOT / "bindings" / "python"),
                       "PYTHONIOENCODING": "utf-8"}
        environment.pop("SATCHEL_PURE_PYTHON", None)
        if pure:
            environment["SATCHEL_PURE_PYTHON"] = "1"
        run = subprocess.run([sys.executable, "-B", "-c", PROGRAM, str(self.store_path)],
                             env=environment, capture_output=True, encoding="utf-8", check=True)
        return run.stdout.splitlines()

    @unittest.skipUnless(built(), "the compiled part was not built")
    def test_both_ways_give_the_same(self):
        with satchel.Store(self.store_path) as store:
            store.add_path(self.write_notes())
            store.add_text("a", "Zoë's lease 😀 ends. \0 The rent is paid, the lease is not.",
                           title="Ä", metadata={"author": "Zoë", "year": 3})
        fast, pure = self.run_program(False), self.run_program(True)
        self.assertEqual((fast[0], pure[0]), ("True", "False"))
        self.assertEqual(fast[1:], pure[1:])
        self.assertGreater(sum("document_id=" in line for line in fast), 5)
        self.assertEqual(sum("options.k" in line for line in fast), 5, fast[-5:])

    @unittest.skipUnless(built(), "the compiled part was not built")
    def test_wrong_arguments_are_refused(self):
        fast = _hits._fast
        results = fast.OpenResults()  # of nothing
        self.assertEqual(results.hits(satchel.Hit), [])
        for wrong in (lambda: fast.search(1), lambda: fast.search(0, "a", 0, 0, None, 0),
                      lambda: fast.search(0, b"a", 0, 0, 3, 0),
                      lambda: fast.search("0", b"a", 0, 0, None, 0),
                      lambda: results.hits(3), lambda: results.read("0"),
                      lambda: results.matches(0), lambda: results.matches(0, 3),
                      lambda: fast.bind({}, 3),
                      lambda: fast.bind({}, satchel.Hit), lambda: fast.borrowed("0")):
            self.assertRaises(TypeError, wrong)
        self.assertRaises(KeyError, fast.bind, {}, _hits.Results)
        for past in (lambda: results.read(0), lambda: results.matches(0, satchel.Range)):
            self.assertRaises(IndexError, past)
        self.assertRaises((OverflowError, IndexError), results.read, -1)
        status, message, _ = fast.search(0, b"a", 0, 0, None, 0)
        self.assertLess(status, 0)
        self.assertIn(b"store", message)


if __name__ == "__main__":
    unittest.main()
