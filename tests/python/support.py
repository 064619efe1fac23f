"""What the Python tests share. SATCHEL_LIBRARY, SATCHEL_TOOL and SATCHEL_TEST_MODEL come from
meson."""
import os
import re
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bindings" / "python"))

TINY_MODEL = os.environ.get("SATCHEL_TEST_MODEL")
TOOL = os.environ.get("SATCHEL_TOOL") or str(ROOT / "build" / "satchel")

NOTES = {
    "lease.md": "# Flat\n\nThe lease of the flat ends in March. The rent is due on Monday.\n\n"
                "## Deposit\n\nThe deposit is three rents. It is paid back within six weeks.\n",
    "bread.txt": "Bread needs flour, water, salt and time. The oven must be hot.\n",
    "train.txt": "The night train to Vienna leaves at ten. It has a sleeping car.\n",
}


class HashEmbedder:
    """Words into buckets: the same words, the same direction."""

    dimension = 64
    id = "tests: hashed words"

    def __init__(self):
        self.texts = []

    def embed(self, texts):
        self.texts += texts
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(rows, texts):
            row[0] = 0.01
            for word in re.findall(r"\w+", text.lower()):
                row[1 + sum(ord(c) * 31 ** i for i, c in enumerate(word)) % 63] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class FolderTest(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="satchel-python-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.store_path = self.folder / "test.satchel"

    def write_notes(self, name="notes"):
        folder = self.folder / name
        folder.mkdir()
        for file, text in NOTES.items():
            (folder / file).write_text(text, encoding="utf-8")
        return folder
