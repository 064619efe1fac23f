#!/usr/bin/env python3
"""Layout of the public structs and values of the public constants, kept in tests/abi/satchel.abi.

    layout.py source satchel.h OUT.c        writes a program that prints the layout
    layout.py compare satchel.abi PROGRAM   runs it and compares; prints TAP

After a deliberate change of the header: `ninja -C build abi-update`, and a line in CHANGELOG.md.
"""
import difflib
import subprocess
import sys
from pathlib import Path

import header

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))
from report import report  # noqa: E402


def source(header_path, out_path):
    lines = ["#include <inttypes.h>", "#include <stddef.h>", "#include <stdio.h>",
             "#include <satchel.h>", "", "int main(void) {"]
    for name, fields in header.structs(header_path):
        lines.append(f'    printf("struct {name} size %zu\\n", sizeof({name}));')
        for field in fields:
            lines.append(
                f'    printf("    {field} offset %zu size %zu\\n", offsetof({name}, {field}), '
                f"sizeof((({name} *)0)->{field}));")
    for name in header.constants(header_path):
        lines.append(f'    printf("constant {name} %" PRId64 "\\n", (int64_t){name});')
    lines += ["    return 0;", "}", ""]
    with open(out_path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines))


def current(program):
    return subprocess.run([program], check=True, capture_output=True, text=True).stdout


def compare(kept_path, program):
    with open(kept_path, encoding="utf-8") as file:
        kept = file.read()
    now = current(program)
    changes = list(difflib.unified_diff(kept.splitlines(), now.splitlines(), kept_path,
                                        "the header as it is", lineterm="", n=0))
    if changes:
        changes.insert(0, "deliberate? ninja -C <build folder> abi-update, and say so in CHANGELOG.md")
    frozen = "struct satchel_error size 512\n" in now
    return report([("struct layouts and constants are those kept", changes),
                   ("satchel_error is 512 bytes", "" if frozen else "it is not")])


def main():
    command, first, second = sys.argv[1:]
    if command == "source":
        return source(first, second)
    if command == "compare":
        return compare(first, second)
    raise SystemExit(__doc__)


if __name__ == "__main__":
    raise SystemExit(main())
