#!/usr/bin/env python3
"""Exported symbols: the header, satchel.map, libsatchel.so and libsatchel.a must name the same.

    symbols.py --header satchel.h --map satchel.map --nm nm [--shared lib] [--static lib]

Prints TAP, one test per pair.
"""
import argparse
import re
import subprocess
import sys
from pathlib import Path

import header

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))
from report import report  # noqa: E402


def map_symbols(path):
    with open(path, encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
    if re.search(r"\*", text.split("local:")[0]):
        raise SystemExit(f"{path}: a wildcard in the global part hides what is exported")
    node = re.match(r"\s*(\w+)\s*\{", text).group(1)
    listed = re.search(r"global:(.*?)local:", text, flags=re.S).group(1)
    return node, sorted(name.strip() for name in listed.split(";") if name.strip())


def library_symbols(nm, path, dynamic, node):
    flags = ["--dynamic"] if dynamic else []
    text = subprocess.run([nm, "--defined-only", "--extern-only", "--format=posix", *flags, path],
                          check=True, capture_output=True, text=True).stdout
    names = set()
    for line in text.splitlines():
        parts = line.split()
        if len(parts) < 2 or line.endswith(":"):
            continue
        name = parts[0].split("@")[0]
        if parts[1] == "A" and name == node:
            continue  # the version node itself
        names.add(name)
    return sorted(names)


def main():
    parser = argparse.ArgumentParser()
    for name in ("header", "map", "nm"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--shared")
    parser.add_argument("--static")
    options = parser.parse_args()
    declared = header.functions(options.header)
    node, listed = map_symbols(options.map)
    cases = [("the header declares what satchel.map lists", declared)]
    if options.shared:
        cases.append(("the shared library exports what satchel.map lists",
                      library_symbols(options.nm, options.shared, True, node)))
    if options.static:
        cases.append(("the static library exposes what satchel.map lists",
                      library_symbols(options.nm, options.static, False, node)))
    good = bool(listed) and all(name.startswith("satchel_") for name in listed)
    return report([
        *((what, [*(f"missing: {name}" for name in sorted(set(listed) - set(names))),
                  *(f"not in satchel.map: {name}" for name in sorted(set(names) - set(listed)))])
          for what, names in cases),
        ("every public name starts with satchel_", "" if good else " ".join(listed) or "none")])


if __name__ == "__main__":
    raise SystemExit(main())
