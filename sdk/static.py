#!/usr/bin/env python3
"""Makes libsatchel.a: all our objects linked into one, with every symbol but the public ones local.

An app may carry its own SQLite, FAISS or jansson, or a function that happens to be called like one of
ours; a plain archive of our objects would clash with them. Usage:

    static.py --output libsatchel.a --map satchel.map --objcopy objcopy --ar ar
              --whole LIB… --needed LIB… -- CC…

Members of --whole archives are all taken, members of --needed archives only where they are used.
"""
import argparse
import os
import re
import subprocess
import sys


def public_symbols(path):
    """The names between `global:` and `local:` of a version script."""
    with open(path, encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
    listed = re.search(r"global:(.*?)local:", text, flags=re.S).group(1)
    return [name.strip() for name in listed.split(";") if name.strip()]


def main():
    at = sys.argv.index("--")
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("output", "map", "objcopy", "ar"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--whole", nargs="+", required=True)
    parser.add_argument("--needed", nargs="*", default=[])
    options = parser.parse_args(sys.argv[1:at])
    compiler = sys.argv[at + 1:]

    folder = options.output + ".p"
    os.makedirs(folder, exist_ok=True)
    merged = os.path.join(folder, "satchel.o")
    keep = os.path.join(folder, "keep.txt")
    with open(keep, "w", encoding="utf-8") as file:
        file.write("\n".join(public_symbols(options.map)) + "\n")
    # Section groups (C++ templates, inline functions) are dissolved: the final link would otherwise
    # drop our copy of one in favour of the app's, which our now local references cannot reach.
    subprocess.run(
        compiler
        + ["-r", "-nostdlib", "-o", merged, "-Wl,--force-group-allocation", "-Wl,--whole-archive"]
        + options.whole
        + ["-Wl,--no-whole-archive", "-Wl,--start-group"]
        + options.needed
        + ["-Wl,--end-group"],
        check=True,
    )
    subprocess.run([options.objcopy, "--keep-global-symbols=" + keep, merged], check=True)
    if os.path.exists(options.output):
        os.remove(options.output)
    subprocess.run([options.ar, "rcsD", options.output, merged], check=True)


if __name__ == "__main__":
    main()
