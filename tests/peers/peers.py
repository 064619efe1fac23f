"""What the peers tests share: reporting in TAP, and the encoder through tests/support/embed_tool."""
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np

CACHE = Path(os.environ["SATCHEL_CACHE"])
ORIGINAL = CACHE / "peers" / "all-minilm-l6-v2"
KINDS = ("f32", "f16", "q8_0")


def model(kind):
    return CACHE / f"all-minilm-l6-v2-{kind}.gguf"


class Report:
    """Test Anything Protocol on stdout; the exit status follows."""

    def __init__(self):
        self.count = self.failed = 0

    def check(self, good, name, detail=""):
        self.count += 1
        self.failed += not good
        print(f"{'' if good else 'not '}ok {self.count} - {name}", flush=True)
        if detail:
            print("\n".join(f"# {line}" for line in detail.split("\n")), flush=True)

    def end(self):
        print(f"1..{self.count}")
        sys.exit(1 if self.failed else 0)


class Tool:
    """The encoder of a file, by the test program."""

    def __init__(self, program, path):
        self.program, self.path = program, path

    def run(self, mode, texts, **options):
        coded = [text.encode() for text in texts]
        data = b"".join(struct.pack("=I", len(text)) + text for text in coded)
        command = [self.program, mode, str(self.path)]
        command += [f"{name}={value}" for name, value in options.items()]
        return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout

    def info(self):
        return dict(line.split(" ", 1) for line in self.run("info", []).decode().splitlines())

    def embed(self, texts, **options):
        out = np.frombuffer(self.run("embed", texts, **options), np.float32)
        return out.reshape(len(texts), -1)

    def tokens(self, texts):
        out, ids, at = self.run("tokens", texts), [], 0
        for _ in texts:
            count = struct.unpack_from("=I", out, at)[0]
            ids.append(list(struct.unpack_from(f"={count}i", out, at + 4)))
            at += 4 + 4 * count
        return ids


def cosines(a, b):
    """Row by row, in double."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def worst(values, texts, count=3):
    order = np.argsort(values)[:count]
    return "\n".join(f"{values[i]:.7f} {texts[i][:50]!r}" for i in order)
