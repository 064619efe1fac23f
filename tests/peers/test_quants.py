#!/usr/bin/env python3
"""Dequantization of every weight type, bit for bit what the `gguf` package gives.

    test_quants.py QUANT_TOOL

Blocks are random bytes, so that every code, every inner scale and every half (subnormal, infinite, no number)
turns up, with half of the outer scales drawn from an ordinary range. llama.cpp is asked too, through
its shared library.
"""
import ctypes
import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np

from peers import Report

TYPES = ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K",
         "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4", "NVFP4", "TQ2_0")
# Where the halves of a block lie that scale it.
HALVES = {"Q8_0": (0,), "Q4_0": (0,), "Q4_1": (0, 2), "Q5_0": (0,), "Q5_1": (0, 2), "Q2_K": (80, 82),
          "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,), "IQ4_NL": (0,),
          "IQ4_XS": (0,), "TQ2_0": (64,)}
BLOCKS = 20000


def make_blocks(name, bytes_each, random):
    blocks = random.integers(0, 256, (BLOCKS, bytes_each), dtype=np.uint8)
    for at in HALVES.get(name, ()):
        ordinary = random.normal(0, 0.1, BLOCKS // 2).astype(np.float16)
        blocks[::2, at:at + 2] = ordinary.view(np.uint8).reshape(-1, 2)
        # Every half there is, subnormal ones foremost.
        small = np.arange(0, 2048, dtype=np.uint16)
        blocks[1:2 * small.size:2, at:at + 2] = small.view(np.uint8).reshape(-1, 2)
    return blocks


def same(a, b):
    return (a.view(np.uint32) == b.view(np.uint32)) | (np.isnan(a) & np.isnan(b))


def llama_dequantize(name, blocks, block_size):
    """The library's own, or None if it does not export it."""
    import llama_cpp
    folder = Path(llama_cpp.__file__).parent / "lib"
    library = ctypes.CDLL(str(folder / "libggml-base.so"))
    function = getattr(library, "dequantize_row_" + name.lower().replace("_k", "_K"), None)
    if function is None:
        return None
    out = np.empty(blocks.shape[0] * block_size, np.float32)
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    function.restype = None
    function(blocks.ctypes.data, out.ctypes.data, out.size)
    return out


def main():
    tool = sys.argv[1]
    report = Report()
    random = np.random.default_rng(20261121)
    for name in TYPES:
        kind = gguf.GGMLQuantizationType[name]
        size, bytes_each = gguf.GGML_QUANT_SIZES[kind]
        blocks = make_blocks(name, bytes_each, random)
        run = subprocess.run([tool, str(int(kind))], input=blocks.tobytes(), capture_output=True,
                             check=True)
        ours = np.frombuffer(run.stdout, np.float32)
        with np.errstate(all="ignore"):
            package = np.asarray(gguf.dequantize(blocks, kind), np.float32).reshape(-1)
        equal = same(ours, package) if ours.size == package.size else np.zeros(1, bool)
        report.check(equal.all(), f"{name} as the gguf package",
                     f"{ours.size} weights, {np.count_nonzero(~equal)} differ")
        theirs = llama_dequantize(name, blocks, size)
        if theirs is None:
            continue
        equal = same(ours, theirs)
        report.check(equal.all(), f"{name} as llama.cpp", f"{np.count_nonzero(~equal)} differ")
    report.end()


main()
