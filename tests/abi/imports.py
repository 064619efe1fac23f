#!/usr/bin/env python3
"""What the shared library needs from the system it is loaded on. TAP.

    imports.py --nm nm --readelf readelf --library LIB --privacy PrivacyInfo.xcprivacy
               [--android android-24.txt --parts ARCHIVE...]

Always: the privacy manifest names the kinds of functions that are imported, and no others. With --android
(a build with static_deps): nothing is needed but the C library, every import is one that Android has,
and the segments fit pages of 16 KB. --parts are the archives that the library was made of, without the
C++ runtime, for which the Android NDK has another.
"""
import argparse
import re
import subprocess
import sys
from pathlib import Path

import privacy

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))
from report import report  # noqa: E402

# The C library in several files, as glibc has it; the loader is one of them.
C_LIBRARY = re.compile(r"lib(c|m|pthread|dl)\.so(\.\d+)?$|ld-linux-[\w-]+\.so\.\d+$")
# What glibc's headers or the compiler for it write, and what stands in the source.
SPELLINGS = {
    "__assert_fail": "__assert2",
    "__ctype_b_loc": "isalnum",
    "__ctype_tolower_loc": "tolower",
    "__ctype_toupper_loc": "toupper",
    "__errno_location": "__errno",
    "__isoc99_sscanf": "sscanf",
    "__stack_chk_guard": "__stack_chk_fail",
    "fcntl64": "fcntl",
    "sincos": "sin",
    "sincosf": "sinf",
}
# Used only where the build finds them: by configuration, and by the headers of GNU's C++ library.
IF_FOUND = {"iconv", "iconv_close", "iconv_open", "__libc_single_threaded"}


def undefined(nm, path, *flags, weak=False):
    text = subprocess.run([nm, "--undefined-only", "--format=posix", *flags, path], check=True,
                          capture_output=True, text=True).stdout
    kinds = "Uwv" if weak else "U"
    return {parts[0].split("@")[0] for parts in map(str.split, text.splitlines())
            if len(parts) > 1 and parts[1] in kinds}


def needed(readelf, library):
    text = subprocess.run([readelf, "--dynamic", "--wide", library], check=True,
                          capture_output=True, text=True).stdout
    names = re.findall(r"\(NEEDED\).*\[(.+?)\]", text)
    other = [name for name in names if not C_LIBRARY.match(name)]
    return f"it needs {', '.join(other)}" if other or not names else ""


def alignment(readelf, library):
    text = subprocess.run([readelf, "--program-headers", "--wide", library], check=True,
                          capture_output=True, text=True).stdout
    loads = re.findall(r"^ +LOAD .* (0x[0-9a-f]+)$", text, re.M)
    wrong = [load for load in loads if int(load, 16) % 16384]
    return f"segments are aligned to {wrong or 'nothing'}" if wrong or not loads else ""


def android(nm, library, parts, list_path):
    with open(list_path, encoding="utf-8") as file:
        offered = set(re.sub(r"#.*", "", file.read()).split())
    wanted = {name for name in undefined(nm, library, "--dynamic")
              if SPELLINGS.get(name, name) not in offered and name not in IF_FOUND}
    used = {name: part for part in parts for name in undefined(nm, part)}
    return "\n".join(f"{name}, used in {used[name]}" for name in sorted(wanted) if name in used)


def main():
    parser = argparse.ArgumentParser()
    for name in ("nm", "readelf", "library", "privacy"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--android")
    parser.add_argument("--parts", nargs="*", default=[])
    options = parser.parse_args()
    imports = undefined(options.nm, options.library, "--dynamic", weak=True)
    cases = [("the privacy manifest says what is imported",
              privacy.faults(options.privacy, imports))]
    if options.android:
        cases += [
            ("nothing is needed but the C library", needed(options.readelf, options.library)),
            ("segments fit pages of 16 KB", alignment(options.readelf, options.library)),
            ("Android 24 offers every import",
             android(options.nm, options.library, options.parts, options.android)),
        ]
    return report(cases)


if __name__ == "__main__":
    raise SystemExit(main())
