#!/usr/bin/env python3
"""What Kotlin adds to C: Main.kt.

    run.py BUILD EMBEDDER.gguf [--searches 10000]

BUILD is a build folder with libsatchel.so.0 in it. Needs what scripts/setup --kotlin installs.
"""
import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/kotlin"))
import kotlin  # noqa: E402


def need(why):
    if why:
        raise SystemExit(why)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--searches", type=int, default=10000)
    options = parser.parse_args()
    tools = kotlin.Tools()
    library = (options.build / "libsatchel.so.0").resolve()
    here = Path(__file__).parent
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        classes, made = work / "classes", work / "bench"
        need(tools.native(work, ROOT, library, library.parent))
        need(tools.kotlinc(classes, kotlin.sources(ROOT), flags=["-module-name", "satchel"]))
        need(tools.kotlinc(made, [here / "Main.kt"], [classes], [f"-Xfriend-paths={classes}"]))
        built = kotlin.run(["cc", "-O2", "-shared", "-fPIC", "-pthread", "-I", ROOT,
                            "-I", ROOT / "sdk/include", "-I", tools.include,
                            "-I", tools.include / "linux", "-o", work / "libbench.so",
                            here / "native.c", here.parent / "overhead.c", library,
                            f"-Wl,-rpath,{library.parent}"])
        need(built.stdout if built.returncode else "")
        # A heap of an app's size, soon filled: by default the whole run fits into a share of the machine's memory,
        # and each page of it that is touched for the first time costs more than what is put there.
        subprocess.run(["java", "-Xms64m", "-Xmx64m", f"-Ddev.satchel.library.path={work}", "-cp",
                        kotlin.join(*tools.runtime, classes, made), "dev.satchel.bench.MainKt",
                        str(options.model.resolve()), str(work), str(options.searches)], check=True)


if __name__ == "__main__":
    main()
