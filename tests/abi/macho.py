#!/usr/bin/env python3
"""Exports and imports of a library for Apple's systems, as scripts/zig-macos links it. TAP.

    macho.py LIBRARY satchel.map PrivacyInfo.xcprivacy

Reads the Mach-O file itself (Apple: "Mach-O Programming Topics", <mach-o/loader.h>, <mach-o/nlist.h>).
"""
import struct
import sys
from pathlib import Path

import privacy
import symbols

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))
from report import report  # noqa: E402

MAGIC_64, ARM64 = 0xFEEDFACF, 0x0100000C
LC_SYMTAB, LC_LOAD_DYLIB = 0x2, 0xC
# What zig's linker adds to every library, and Apple's keeps to itself.
LINKERS_OWN = {"__dso_handle", "_mh_dylib_header"}
N_STAB, N_PRIVATE, N_TYPE, N_EXTERNAL = 0xE0, 0x10, 0x0E, 0x01


def read(path):
    """(exported names, imported names, libraries), names without their leading underscore."""
    with open(path, "rb") as file:
        data = file.read()
    magic, cpu, _, _, commands = struct.unpack_from("<5I", data)
    if magic != MAGIC_64 or cpu != ARM64:
        raise SystemExit(f"{path}: no 64-bit Mach-O file for arm64")
    exported, imported, libraries = set(), set(), []
    at = 32
    for _ in range(commands):
        command, size = struct.unpack_from("<2I", data, at)
        if command == LC_LOAD_DYLIB:
            start = at + struct.unpack_from("<I", data, at + 8)[0]
            libraries.append(data[start:data.index(b"\0", start)].decode())
        elif command == LC_SYMTAB:
            table, count, strings, _ = struct.unpack_from("<4I", data, at + 8)
            for index in range(count):
                name, kind = struct.unpack_from("<IB", data, table + 16 * index)
                if kind & N_STAB or not kind & N_EXTERNAL or kind & N_PRIVATE:
                    continue
                start = strings + name
                text = data[start:data.index(b"\0", start)].decode().removeprefix("_")
                (exported if kind & N_TYPE else imported).add(text.split("$")[0])
        at += size
    return exported, imported, libraries


def main():
    library, map_path, manifest = sys.argv[1:]
    exported, imported, libraries = read(library)
    exported -= LINKERS_OWN
    listed = set(symbols.map_symbols(map_path)[1])
    sqlite = {name for name in imported if name.startswith("sqlite3_")}
    other = [name for name in libraries if "libSystem" not in name]
    cases = [
        ("it exports what satchel.map lists", "" if exported == listed else
         f"missing {sorted(listed - exported)}, too many {sorted(exported - listed)[:40]}"),
        ("it needs the system's library alone", "" if libraries and not other else str(libraries)),
        ("of what it imports, the manifest names what needs reasons",
         privacy.faults(manifest, imported)),
    ]
    print(f"# {len(imported)} imports, {len(sqlite)} of them SQLite's: "
          f"{' '.join(sorted(imported - sqlite))}")
    return report(cases)


if __name__ == "__main__":
    raise SystemExit(main())
