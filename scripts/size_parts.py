#!/usr/bin/env python3
"""Size of the stripped library by part, from the linker's map. For scripts/sizes.

    size_parts.py [--title TITLE] [--strip strip] [--limit BYTES] TITLE=BUILD...

Links each build folder's library once more with a map, strips it, and prints one Markdown table with a
column for each build, in kB. Exit status 1 if a library is larger than --limit (given once a build).
"""
import argparse
import collections
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

# Sections that stand for no object: the linker makes or merges them.
UNWIND = {".eh_frame", ".eh_frame_hdr", ".gcc_except_table"}
LEFT_OUT = (".debug", ".comment", ".bss", ".tbss", ".symtab", ".strtab", ".shstrtab", ".note.GNU",
            ".gnu.debuglink", ".stab", ".gnu_debug")
PARTS = [
    (r"retrieval/libsat_retrieval\.a\.p/faiss_shim", "BLAS for FAISS"),
    (r"(^|/)base/|libsat_base", "own code: base"),
    (r"(^|/)cluster/|libsat_cluster", "own code: cluster"),
    (r"(^|/)generate/|libsat_generate", "own code: generate"),
    (r"(^|/)retrieval/|libsat_retrieval", "own code: retrieval"),
    (r"(^|/)sdk/|libsat_sdk", "own code: sdk"),
    (r"libsatchel_faiss", "FAISS"),
    (r"libsqlite3", "SQLite"),
    (r"libutf8proc", "utf8proc"),
    (r"libjansson", "jansson"),
    (r"libmd4c", "md4c"),
    (r"libstemmer", "stemmers"),
    (r"libstdc\+\+|libsupc\+\+", "C++ runtime"),
    (r"libgcc", "compiler's runtime"),
]
TABLES, REST = "unwind tables", "relocations, symbols, padding"
ORDER = ["own code: base", "own code: cluster", "own code: generate", "own code: retrieval",
         "own code: sdk", "FAISS", "BLAS for FAISS", "C++ runtime", "compiler's runtime", "SQLite",
         "utf8proc", "jansson", "md4c", "stemmers", TABLES, REST]


def part_of(path):
    for pattern, part in PARTS:
        if re.search(pattern, path):
            return part
    return REST


def read_map(text):
    """Bytes in the file by part."""
    text = text[text.index("Linker script and memory map"):]
    text = re.sub(r"^( \.?\S+)\n +(?=0x)", r"\1 ", text, flags=re.M)  # long names are wrapped
    sizes = collections.Counter()
    section = None
    for line in text.splitlines():
        if line.startswith("/DISCARD/"):
            section = None
        heading = re.match(r"(\.\S+)", line)
        if heading:
            section = heading.group(1)
        entry = re.match(r" \S+\s+0x([0-9a-f]+)\s+0x([0-9a-f]+) (\S.*)$", line)
        if not entry or not section or not int(entry.group(1), 16):
            continue
        if section.startswith(LEFT_OUT):
            continue
        if section in UNWIND:
            part = TABLES
        elif section.startswith((".text", ".rodata", ".data", ".tdata", ".init_array")):
            part = part_of(entry.group(3))
        else:
            part = REST
        sizes[part] += int(entry.group(2), 16)
    return sizes


def measure(build, strip):
    library = next(name for name in ("libsatchel.so.0", "libsatchel.so")
                   if (Path(build) / name).exists())
    command = subprocess.run(["ninja", "-C", build, "-t", "commands", library], check=True,
                             capture_output=True, text=True).stdout.splitlines()[-1]
    with tempfile.TemporaryDirectory() as folder:
        made, map_path = Path(folder) / "made.so", Path(folder) / "map"
        words = shlex.split(command.split(" && ")[0])
        words[words.index("-o") + 1] = str(made)
        subprocess.run([*words, f"-Wl,-Map={map_path}"], check=True, cwd=build)
        subprocess.run([strip, "-s", made], check=True)
        total = made.stat().st_size
        sizes = read_map(map_path.read_text(encoding="utf-8", errors="replace"))
    del sizes[REST]
    sizes[REST] = total - sum(sizes.values())
    return total, sizes


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--title", default="kB, stripped")
    parser.add_argument("--strip", default="strip")
    parser.add_argument("--limit", type=int, action="append", default=[])
    parser.add_argument("builds", nargs="+")
    options = parser.parse_args()
    columns = []
    for build in options.builds:
        title, folder = build.split("=", 1)
        columns.append((title, *measure(folder, options.strip)))
    print(f"| {options.title} | " + " | ".join(title for title, _, _ in columns) + " |")
    print("|---|" + "--:|" * len(columns))
    for part in ORDER:
        if any(sizes[part] for _, _, sizes in columns):
            print(f"| {part} | " + " | ".join(
                f"{sizes[part] / 1000:.0f}" if sizes[part] else "" for _, _, sizes in columns) + " |")
    print("| **all** | " + " | ".join(f"**{total / 1000:.0f}**" for _, total, _ in columns) + " |")
    over = [f"{title}: {total} bytes are more than {limit}"
            for (title, total, _), limit in zip(columns, options.limit) if total > limit]
    print(*over, sep="\n", file=sys.stderr, end="\n" if over else "")
    return 1 if over else 0


if __name__ == "__main__":
    raise SystemExit(main())
