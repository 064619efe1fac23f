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
import struct
import subprocess
import sys

STB_GLOBAL, STB_GNU_UNIQUE, SHT_SYMTAB = 1, 10, 2


def public_symbols(path):
    """The names between `global:` and `local:` of a version script."""
    with open(path, encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
    listed = re.search(r"global:(.*?)local:", text, flags=re.S).group(1)
    return [name.strip() for name in listed.split(";") if name.strip()]


def make_unique_global(path):
    """Turns GNU-unique symbols (static members of C++ templates) into plain global ones, in place:
    objcopy makes only those local."""
    with open(path, "r+b") as file:
        data = bytearray(file.read())
        if data[:6] != b"\x7fELF\x02\x01":
            return  # 64-bit little-endian ELF is the only kind that has been tried
        (sections,) = struct.unpack_from("<Q", data, 0x28)
        size, count = struct.unpack_from("<HH", data, 0x3A)
        for section in range(sections, sections + size * count, size):
            (kind,) = struct.unpack_from("<I", data, section + 4)
            if kind != SHT_SYMTAB:
                continue
            start, length = struct.unpack_from("<QQ", data, section + 0x18)
            for symbol in range(start, start + length, 24):
                if data[symbol + 4] >> 4 == STB_GNU_UNIQUE:
                    data[symbol + 4] = STB_GLOBAL << 4 | data[symbol + 4] & 15
        file.seek(0)
        file.write(data)


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
    make_unique_global(merged)
    subprocess.run([options.objcopy, "--keep-global-symbols=" + keep, merged], check=True)
    if os.path.exists(options.output):
        os.remove(options.output)
    subprocess.run([options.ar, "rcsD", options.output, merged], check=True)


if __name__ == "__main__":
    main()
