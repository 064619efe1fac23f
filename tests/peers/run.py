#!/usr/bin/env python3
"""Runs a peers test with the Python that has the peers, or skips it.

    run.py SCRIPT [ARGUMENT...]

Peers are what Satchel is compared with; scripts/setup --peers puts them into the cache folder
(SATCHEL_CACHE, default ~/.cache/satchel).
"""
import os
import sys
from pathlib import Path


def main():
    cache = Path(os.environ.get("SATCHEL_CACHE") or Path.home() / ".cache" / "satchel")
    python = cache / "peers" / "venv" / "bin" / "python"
    needed = [python, cache / "peers" / "all-minilm-l6-v2" / "model.safetensors"]
    needed += [cache / f"all-minilm-l6-v2-{kind}.gguf" for kind in ("f32", "f16", "q8_0")]
    missing = [str(path) for path in needed if not path.exists()]
    if missing:
        print(f"1..0 # SKIP no {missing[0]}: scripts/setup --peers", flush=True)
        return 0
    # Nothing here may go to a network, and no peer may use more threads than ours.
    environment = dict(os.environ, SATCHEL_CACHE=str(cache), HF_HUB_OFFLINE="1",
                       TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false",
                       OMP_NUM_THREADS="2", PYTHONDONTWRITEBYTECODE="1")
    os.execve(python, [str(python), *sys.argv[1:]], environment)


if __name__ == "__main__":
    sys.exit(main())
