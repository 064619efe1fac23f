#!/usr/bin/env python3
"""Layout of the public structs and values of the public constants, kept in tests/abi/satchel.abi.

    layout.py source satchel.h OUT.c        writes a program that prints the layout
    layout.py compare satchel.abi PROGRAM   runs it and compares; prints TAP

After a deliberate change of the header: `ninja -C build abi-update`, and a line in CHANGELOG.md.
"""
import difflib
import subprocess
import sys

import header


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
    print("1..2")
    print(f"{'not ok' if changes else 'ok'} 1 - struct layouts and constants are those kept")
    for line in changes:
        print("#   " + line)
    if changes:
        print("#   deliberate? ninja -C <build folder> abi-update, and say so in CHANGELOG.md")
    frozen = "struct satchel_error size 512\n" in now
    print(f"{'ok' if frozen else 'not ok'} 2 - satchel_error is 512 bytes")
    return 1 if changes or not frozen else 0


def main():
    command, first, second = sys.argv[1:]
    if command == "source":
        return source(first, second)
    if command == "compare":
        return compare(first, second)
    raise SystemExit(__doc__)


if __name__ == "__main__":
    raise SystemExit(main())
