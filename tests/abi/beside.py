#!/usr/bin/env python3
"""libsatchel.a with SQLite, FAISS and the other libraries inside, linked into an app that has its own. TAP.

    beside.py --static static.py --map satchel.map --include DIR --sqlite libsqlite3.a
              --whole ARCHIVE... --inside ARCHIVE... --libs NAME... -- CC...

The app defines every function that is ours, FAISS's, jansson's or utf8proc's once more, as a trap, and
links SQLite a second time, uses both copies, and shuts its own down while a store is open.
"""
import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))
from report import report  # noqa: E402

APP = r"""
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <satchel.h>
#include <sqlite3.h>

static int opened; /* databases, with the app's SQLite */

static int on_open(sqlite3 *db, char **message, const void *api) {
    (void)db, (void)message, (void)api;
    opened++;
    return SQLITE_OK;
}

static int own_sqlite(sqlite3 **db) {
    sqlite3_stmt *row = NULL;
    int fine = sqlite3_open(":memory:", db) == SQLITE_OK &&
               sqlite3_exec(*db, "create virtual table t using fts5(x);"
                                 "insert into t values ('a lease'), ('a cat');", 0, 0, 0) == 0 &&
               sqlite3_prepare_v2(*db, "select count(*) from t('lease')", -1, &row, 0) == 0 &&
               sqlite3_step(row) == SQLITE_ROW && sqlite3_column_int(row, 0) == 1;
    sqlite3_finalize(row);
    return fine;
}

static int finds(satchel_store *store) {
    satchel_results *results = NULL;
    int fine = !satchel_search(&results, store, "lease", NULL, NULL) &&
               satchel_results_count(results) == 1;
    satchel_results_close(&results);
    return fine;
}

int main(int count, char **paths) {
    sqlite3 *db = NULL;
    satchel_context *context = NULL;
    satchel_store *store = NULL;
    (void)count;
    if (sqlite3_auto_extension((void (*)(void))on_open))
        return 1;
    if (!own_sqlite(&db) || opened != 1)
        return 2;
    if (satchel_context_open(&context, NULL, NULL) ||
        satchel_store_open(&store, context, paths[1], NULL, NULL) ||
        satchel_store_add_text(store, "a", "The lease ends.", 15, NULL, NULL) ||
        satchel_store_add_text(store, "b", "The cat sleeps.", 15, NULL, NULL))
        return 3;
    if (!finds(store) || opened != 1)
        return 4; /* Satchel opened its store with the app's SQLite */
    if (sqlite3_close(db) || sqlite3_shutdown() || !finds(store))
        return 5;
    satchel_store_close(&store);
    satchel_context_close(&context);
    return 0;
}
"""
# C names of functions, and FAISS's C++ ones.
TRAPPED = re.compile(r"(sat_|faiss_|json_|hashtable_|utf8proc_|sb_|_ZN?K?5faiss)\w*$")


def traps(archives, nm="nm"):
    """An assembler file that defines all functions of ours and of FAISS."""
    names = set()
    for archive in archives:
        text = subprocess.run([nm, "--defined-only", "--extern-only", "--format=posix", archive],
                              check=True, capture_output=True, text=True).stdout
        names |= {parts[0] for parts in map(str.split, text.splitlines())
                  if len(parts) > 1 and parts[1] in "TWVu" and TRAPPED.match(parts[0])}
    lines = [".text"] + [f".globl {name}\n{name}:" for name in sorted(names)]
    return len(names), "\n".join([*lines, ".byte 0x0f, 0x0b", '.section .note.GNU-stack,""', ""])


def run(command, **options):
    made = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", **options)
    return "" if made.returncode == 0 else f"exit status {made.returncode}\n{made.stdout[-4000:]}"


def main():
    at = sys.argv.index("--")
    parser = argparse.ArgumentParser()
    for name in ("static", "map", "include", "sqlite", "objcopy", "ar"):
        parser.add_argument("--" + name, required=True)
    for name in ("whole", "inside", "libs"):
        parser.add_argument("--" + name, nargs="*", default=[])
    options = parser.parse_args(sys.argv[1:at])
    libs = ["-l" + name for name in options.libs]
    compiler = sys.argv[at + 1:]
    cases = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        library, app = folder / "libsatchel.a", folder / "app"
        cases.append(("the library takes SQLite and FAISS in", run(
            [sys.executable, "-B", options.static, "--output", library, "--map", options.map,
             "--objcopy", options.objcopy, "--ar", options.ar, "--whole", *options.whole,
             "--needed", options.sqlite, *options.inside, "--", *compiler])))
        (folder / "app.c").write_text(APP)
        number, text = traps([*options.whole, *options.inside])
        (folder / "traps.s").write_text(text)
        cases.append((f"an app with a second SQLite and {number} names of ours and FAISS's links",
                      run([*compiler, "-O1", "-I", options.include, folder / "app.c",
                           folder / "traps.s", "-o", app, library, options.sqlite, *libs])
                      if number > 500 else f"only {number} names found"))
        cases.append(("it runs, each with its own", run([app, folder / "app.satchel"])
                      if app.exists() else "not linked"))
    return report(cases)


if __name__ == "__main__":
    raise SystemExit(main())
