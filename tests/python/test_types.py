"""The package's type hints: they hold inside it, and they serve a program that uses it."""
import os
import shutil
import subprocess
import unittest

import support

MYPY = shutil.which("mypy")

RIGHT = """
import satchel
from typing import List

def titles(store: satchel.Store, question: str) -> List[str]:
    for event in store.ask(question):
        if isinstance(event, satchel.TokenEvent):
            print(event.text, end="")
    hits = store.search(question, k=3)
    mode: str = hits.mode
    return [mode] + [hit.title for hit in hits if hit.page is None or hit.page > 1]
"""
WRONG = {
    "hit.score.upper()": '"float" has no attribute "upper"',
    "hit.page + 1": "Unsupported operand types",
    "store.search(3)": 'Argument 1 to "search"',
    "hit.page_number": 'has no attribute "page_number"',
}


@unittest.skipUnless(MYPY, "no mypy")
class Types(support.FolderTest):
    def check(self, *arguments):
        environment = {**os.environ, "MYPYPATH": str(support.ROOT / "bindings" / "python")}
        return subprocess.run(
            [MYPY, "--strict", "--cache-dir", str(self.folder / "cache"), *arguments],
            cwd=self.folder, env=environment, capture_output=True, text=True)

    def test_the_package(self):
        run = self.check("-p", "satchel")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def test_a_program_that_uses_it(self):
        program = self.folder / "program.py"
        program.write_text(RIGHT)
        run = self.check(str(program))
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        lines = [f"    {line}" for line in WRONG]
        program.write_text("import satchel\n\ndef wrong(store: satchel.Store, hit: satchel.Hit) "
                           "-> None:\n" + "\n".join(lines) + "\n")
        run = self.check(str(program))
        self.assertEqual(run.returncode, 1, run.stdout + run.stderr)
        for line, (use, message) in enumerate(WRONG.items(), 4):
            found = [fault for fault in run.stdout.splitlines() if f"program.py:{line}:" in fault]
            self.assertTrue(any(message in fault for fault in found), (use, run.stdout))


if __name__ == "__main__":
    unittest.main()
