#!/usr/bin/env python3
"""The public functions and types, as libabigail reads them from debug information, kept in
tests/abi/satchel.abi.xml.

    dump.py compare INCLUDE satchel.abi.xml LIBRARY                            prints TAP
    dump.py update INCLUDE satchel.abi.xml LIBRARY satchel.abi LAYOUT_PROGRAM  writes both files

After a deliberate change of the header: `ninja -C build abi-update` with abigail-tools installed, and
what it then asks for in CHANGELOG.md. docs/abi.md says what may change.
"""
import re
import subprocess
import sys
from pathlib import Path


import changelog
import layout

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))
from report import report  # noqa: E402

# Nothing that names a machine or moves with an unrelated edit.
WRITE = ["--drop-private-types", "--no-show-locs", "--no-corpus-path", "--no-comp-dir-path",
         "--no-elf-needed", "--type-id-style", "hash"]


def compare(include, kept, library):
    """The difference as text, and whether it would break callers."""
    run = subprocess.run(["abidiff", "--drop-private-types", "--headers-dir2", include,
                          "--no-show-locs", kept, library], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True)
    return (run.stdout or f"abidiff: {run.returncode}") if run.returncode else "", run.returncode & 8


def main():
    command, include, kept, library = sys.argv[1:5]
    if command == "compare":
        changes, breaks = compare(include, kept, library)
        told = f"{'callers would break' if breaks else 'a change'}; deliberate? docs/abi.md"
        return report([("functions and their types are those kept",
                        [told, *changes.splitlines()] if changes else "")])
    if command == "update":
        layout_path, program = sys.argv[5:]
        text = subprocess.run(["abidw", *WRITE, "--headers-dir", include, library], check=True,
                              capture_output=True, text=True).stdout
        text = re.sub(r"(<abi-instr [^>]*path=')[^']*/", r"\1", text)
        Path(kept).write_text(re.sub(r"^ +", "", text, flags=re.M), encoding="utf-8")
        with open(layout_path, "w", encoding="utf-8") as file:
            file.write(layout.current(program))
        print(f"CHANGELOG.md must say: ABI: `{changelog.digest(layout_path, kept)}`")
        return 0
    raise SystemExit(__doc__)


if __name__ == "__main__":
    raise SystemExit(main())
