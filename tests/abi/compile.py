#!/usr/bin/env python3
"""The public header compiles alone, first and twice, as C11 and C++17, without a warning. TAP.

    compile.py INCLUDE_FOLDER c|c++ COMPILER…
"""
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))
from report import Report  # noqa: E402

STANDARDS = {"c": ["c11", "gnu11", "c17"], "c++": ["c++17", "c++20"]}
FLAGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror", "-fsyntax-only"]
ALONE = "#include <satchel.h>\n#include <satchel.h>\n"
# Every constant and option struct in use, as an app would write it.
USED = ALONE + """
int check(satchel_store *store);
int check(satchel_store *store) {
    satchel_search_options options;
    satchel_search_options_init(&options, sizeof options);
    options.mode = SATCHEL_SEARCH_HYBRID;
    satchel_results *results = NULL;
    satchel_error error;
    satchel_status status = satchel_search(&results, store, "q", &options, &error);
    satchel_results_close(&results);
    return status == SATCHEL_OK ? 0 : (int)error.code;
}
"""


def main():
    include, language, *compiler = sys.argv[1:]
    cases = [(standard, what, text) for standard in STANDARDS[language]
             for what, text in (("alone", ALONE), ("in use", USED))]
    told = Report()
    for standard, what, text in cases:
        command = [*compiler, f"-std={standard}", *FLAGS, "-I", include, "-x", language, "-"]
        run = subprocess.run(command, input=text, capture_output=True, text=True)
        told.check(f"{standard}, {what}", run.returncode and (run.stderr or "it fails"))
    return told.end()


if __name__ == "__main__":
    raise SystemExit(main())
