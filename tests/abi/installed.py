#!/usr/bin/env python3
"""The library as `meson install` leaves it: pkg-config's answers build a program against the shared
and against the static library, also beside functions of an app that are called like ours. TAP.

    installed.py BUILD PREFIX LIBDIR EXAMPLE.c COMPILER...
"""
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))
from report import Report  # noqa: E402

# What an app may well have, too: none of it may clash with what is inside the static library.
CLASH = """
#include <stddef.h>
#include <satchel.h>
void *sat_alloc(size_t size) { (void)size; return NULL; }
int sat_fail = 7;
int sat_utf8_valid(void) { return 1; }
void faiss_Index_free(void) {}
void sgemm_(void) {}
int main(void) {
    satchel_context *context = NULL;
    satchel_error error;
    if (satchel_context_open(&context, NULL, &error))
        return 1;
    satchel_store *store = NULL;
    satchel_status status = satchel_store_open(&store, context, STORE, NULL, &error);
    if (!status)
        status = satchel_store_add_text(store, "a", "The lease ends.", 15, NULL, &error);
    satchel_results *results = NULL;
    if (!status)
        status = satchel_search(&results, store, "lease", NULL, &error);
    int fine = !status && satchel_results_count(results) == 1 && sat_fail == 7;
    satchel_results_close(&results);
    satchel_store_close(&store);
    satchel_context_close(&context);
    return !fine;
}
"""


class Commands(Report):
    def check(self, what, *commands, **options):
        why = ""
        for command in commands:
            run = subprocess.run(command, capture_output=True, text=True, **options)
            if run.returncode:
                why = f"{shlex.join(map(str, command))}\n{run.stdout}{run.stderr}"
                break
        super().check(what, why)


def main():
    build, prefix, libdir, example, *compiler = sys.argv[1:]
    tap = Commands()
    with tempfile.TemporaryDirectory() as name:
        stage = Path(name) / "stage"
        installed = stage / prefix.lstrip("/")
        lib = installed / libdir
        tap.check("installs", ["meson", "install", "-C", build, "--no-rebuild", "--quiet",
                               "--destdir", stage])
        environment = {**os.environ, "PKG_CONFIG_PATH": str(lib / "pkgconfig"),
                       "PKG_CONFIG_SYSROOT_DIR": str(stage)}

        def flags(*which):
            out = subprocess.run(["pkg-config", *which, "satchel"], env=environment, check=True,
                                 capture_output=True, text=True).stdout
            # The staging folder is put before the system's own folders too.
            return [f.replace(f"-L{stage}/usr/lib", "-L/usr/lib") if "satchel" not in f else f
                    for f in shlex.split(out)] if prefix != "/usr" else shlex.split(out)

        tap.check("the tool runs from where it is installed", [installed / "bin" / "satchel",
                                                               "--version"])
        shared = Path(name) / "shared"
        tap.check("a program with the shared library",
                  [*compiler, example, "-o", shared, *flags("--cflags", "--libs"),
                   f"-Wl,-rpath,{lib}"],
                  ["sh", "-c", f"'{shared}' 2>&1 | grep -q QUESTION"])
        private = [flag for flag in flags("--cflags", "--libs", "--static")
                   if flag != "-lsatchel"]
        static = Path(name) / "static"
        tap.check("a program with the static library",
                  [*compiler, example, "-o", static, *private[:1], lib / "libsatchel.a",
                   *private[1:]],
                  ["sh", "-c", f"! ldd '{static}' | grep -q libsatchel"],
                  ["sh", "-c", f"'{static}' 2>&1 | grep -q QUESTION"])
        source, clash = Path(name) / "clash.c", Path(name) / "clash"
        source.write_text(CLASH)
        tap.check("beside functions called like ours, with the static library",
                  [*compiler, f'-DSTORE="{name}/test.satchel"', source, "-o", clash, *private[:1],
                   lib / "libsatchel.a", *private[1:]],
                  [clash])
    return tap.end()


if __name__ == "__main__":
    raise SystemExit(main())
