#!/usr/bin/env python3
"""The Kotlin package against a build of the library. TAP.

    run.py --build BUILD --source ROOT [--library LIBSATCHEL] [--model TINY.gguf] [--update-api] [--sum]
    run.py ... --java COMMAND

Links the native part; compiles package, tests (one in Java) and example; runs the tests with the Java
machine's checks of native code (-Xcheck:jni), which must have nothing to say; compares the public
interface with bindings/kotlin/api.txt; sees that it has every field and constant of satchel.h (tests/conformance
sees to the functions), that the native library fits Android's pages of 16 KiB and shows no name but its own,
and that older Kotlin can read the classes. All that is made lies in BUILD/kotlin; classes of sources that
have not changed are not made again.

With --java only native part and tests are run, the races left out: COMMAND is a Java machine for the
processor that the library was built for, behind an emulator. It may be empty: then the test is skipped.
"""
import argparse
import difflib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent),
                str(Path(__file__).resolve().parents[1] / "support")]
import fields  # noqa: E402
import kotlin  # noqa: E402
from kotlin import join, run  # noqa: E402
from report import Report  # noqa: E402

COMPLAINT = re.compile(r"WARNING in native method|FATAL ERROR in native method|Warning: SIGN|JNI local refs|"
                       r"WARNING: JNI|A fatal error has been detected")


class Run:
    def __init__(self, options, tools):
        self.options, self.tools, self.tap = options, tools, Report()
        self.root = Path(options.source)
        self.work = Path(options.build).resolve() / "kotlin"
        self.classes = self.work / "classes"
        self.work.mkdir(parents=True, exist_ok=True)
        # Classes stay: see kotlin.kept().
        for path in self.work.iterdir():
            if path.is_file() and path.suffix != ".key":
                path.unlink()
            elif path.is_dir() and not Path(f"{path}.key").exists():
                shutil.rmtree(path)

    def java(self, *arguments, classpath=()):
        return [*(self.options.java or "java").split(), "-Xss512k",
                f"-Ddev.satchel.library.path={self.work}", "-cp",
                join(*self.tools.runtime, self.classes, *classpath), *arguments]

    def build(self):
        library = Path(self.options.library).resolve()
        return (self.tap.check("the native part links without warnings",
                               self.tools.native(self.work, self.root, library, library.parent))
                and self.tap.check("the package compiles without warnings",
                                   self.tools.kotlinc(self.classes, kotlin.sources(self.root),
                                                      flags=["-module-name", "satchel", "-Werror",
                                                             "-Xexplicit-api=strict"])))

    def tests(self):
        source = self.root / "tests/kotlin/src"
        java, made = self.work / "java", self.work / "tests"
        why = self.tools.javac(java, [source / "Caller.java"], [self.classes])
        if not self.tap.check("Java sees it without warnings", why):
            return
        why = self.tools.kotlinc(made, [*sorted(source.glob("*.kt"))], [self.classes, java],
                                 [f"-Xfriend-paths={self.classes}", "-Werror"])
        if not self.tap.check("the tests compile", why):
            return
        scratch = self.work / "scratch"
        scratch.mkdir()
        arguments = [self.root / "tests/conformance/scenarios.json", scratch]
        if self.options.model:
            arguments.append(Path(self.options.model).resolve())
        # An emulated machine starts in seconds if it compiles little, and has no time for a thousand races.
        emulated = ["-XX:TieredStopAtLevel=1", "-Ddev.satchel.test.races=false"] if self.options.java else []
        # A fixed locale would hide a string that goes by the machine's.
        command = self.java("-Xcheck:jni", "-ea", "--add-opens=java.base/java.io=ALL-UNNAMED",
                            "-XX:+UseSerialGC", *emulated, "dev.satchel.test.MainKt", *arguments,
                            classpath=[made, java])
        log = self.work / "tests.log"
        with open(log, "w", encoding="utf-8") as file:
            try:
                status = subprocess.run([str(part) for part in command], stdout=file,
                                        stderr=subprocess.STDOUT, timeout=600,
                                        env={**os.environ, "LC_ALL": "C.UTF-8"}).returncode
            except subprocess.TimeoutExpired:
                status = -1
        told = log.read_text(encoding="utf-8", errors="replace")
        cases = list(re.finditer(r"^(not )?ok \d+ - (.*)\n((?:#.*\n)*)", told, re.M))
        for case in cases:
            self.tap.check(case[2], (case[3] or "failed") if case[1] else "")
        planned = re.search(r"^1\.\.(\d+)$", told, re.M)
        whole = planned and int(planned[1]) == len(cases) and status in (0, 1)
        self.tap.check("the tests run to their end",
                       "" if whole else "\n".join(told.splitlines()[-50:]))
        said = [line for line in told.splitlines() if COMPLAINT.search(line)]
        self.tap.check("the Java machine has no complaint of native code", "\n".join(said))

    def checker(self):
        """The Java machine's checks see a fault, if there is one: else that they are silent says nothing."""
        folder = self.work / "faulty"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "Faulty.java").write_text("""
public class Faulty {
    static native void leak(byte[] array);
    public static void main(String[] a) { System.load(a[0]); leak(new byte[1]); }
}
""")
        (folder / "faulty.c").write_text("""
#include <jni.h>
JNIEXPORT void JNICALL Java_Faulty_leak(JNIEnv *env, jclass c, jbyteArray array) {
    (void)c;
    for (int i = 0; i < 100; i++)
        (*env)->NewLocalRef(env, array);
}
""")
        why = self.tools.javac(folder / "classes", [folder / "Faulty.java"])
        made = run(["cc", "-shared", "-fPIC", "-I", self.tools.include, "-I", self.tools.include / "linux",
                    "-o", folder / "libfaulty.so", folder / "faulty.c"])
        ran = run(["java", "-Xcheck:jni", "-cp", folder / "classes", "Faulty", folder / "libfaulty.so"])
        if not why and not COMPLAINT.search(ran.stdout):
            why = made.stdout + ran.stdout + "no complaint of 100 leaked local references"
        self.tap.check("the Java machine would complain of leaked local references", why)

    def interface(self):
        lines = kotlin.interface(self.root, self.classes, self.tools.runtime)
        file = self.root / "bindings/kotlin/api.txt"
        if self.options.update_api:
            file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        kept = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        self.tap.check("the interface is that of api.txt (else scripts/test-kotlin --update-api)",
                       "\n".join(difflib.unified_diff(kept, lines, "api.txt", "as built", lineterm="", n=0)))

    def complete(self):
        jni, header = self.root / "bindings/kotlin/jni", self.root / "sdk/include/satchel.h"
        self.tap.check("every field of the library is there", "\n".join(fields.missing(header, jni)))
        constants = self.root / "bindings/kotlin/src/main/kotlin/dev/satchel/Constants.kt"
        self.tap.check("every constant of the library is there",
                       "\n".join(fields.wrong_constants(header, constants)))
        native = re.findall(r'X\(\w+,\s*"(\w+)"\)', (jni / "bridge.h").read_text(encoding="utf-8"))
        used = "".join(path.read_text(encoding="utf-8") for path in kotlin.sources(self.root))
        missing = [name for name in native if f"Native::{name}" not in used]
        self.tap.check("every native method is called", "\n".join(missing))

    def library(self):
        """What Android asks of a native library."""
        file = self.work / "libsatchel_jni.so"
        told = run(["readelf", "-lW", file]).stdout
        loads = re.findall(r"^\s*LOAD\s.*\s0x([0-9a-f]+)$", told, re.M)
        bad = [align for align in loads if int(align, 16) % 16384]
        self.tap.check("its segments lie on pages of 16 KiB", "" if loads and not bad else told)
        names = run(["nm", "-D", "--defined-only", file]).stdout
        shown = {line.split()[-1] for line in names.splitlines() if line.strip()}
        self.tap.check("it shows no name but JNI_OnLoad", "" if shown == {"JNI_OnLoad"} else names)
        told = run(["readelf", "-dW", file]).stdout
        needed = set(re.findall(r"NEEDED.*\[(.*?)\]", told))
        extra = needed - {"libsatchel.so.0", "libc.so.6"}
        self.tap.check("it needs the library and libc alone", "\n".join(sorted(extra)))

    def metadata(self):
        told = run(["javap", "-v", "-cp", self.classes, "dev.satchel.Store"]).stdout
        found = re.search(r"kotlin\.Metadata\(\s*mv=\[([\d,]+)\]", told)
        got = found[1] if found else "not found"
        wanted = kotlin.LANGUAGE.replace(".", ",")
        self.tap.check(f"Kotlin {kotlin.LANGUAGE} can read its classes",
                       "" if got.startswith(wanted) else f"the metadata's version is {got}")
        major = re.search(r"major version: (\d+)", told)
        self.tap.check("its classes are those of Java 8, which Android's tools take",
                       "" if major and int(major[1]) == 52 else told[:300])

    def example(self):
        source = self.root / "examples/kotlin/ask/Main.kt"
        made = self.work / "example"
        if not self.tap.check("the example compiles", self.tools.kotlinc(made, [source], [self.classes])):
            return
        notes, store = self.work / "notes", self.work / "notes.satchel"
        notes.mkdir()
        (notes / "lease.md").write_text("# Lease\n\nThe lease ends on 31 May 2027.\n")
        asked = run(self.java("MainKt", store, notes, "When does the lease end?", classpath=[made]))
        fine = asked.returncode == 0 and "31 May 2027. [notes/lease.md]" in asked.stdout
        self.tap.check("the example answers and cites", "" if fine else asked.stdout)
        text = source.read_text(encoding="utf-8")
        lines = text[text.index("    Store.open("):].split("\n    println")[0].splitlines()
        self.tap.check("from open to streamed cited answer in 8 lines",
                       "" if len(lines) <= 8 else f"{len(lines)} lines")

    def jar(self):
        """The package as a jar that brings its native libraries along, from an empty folder."""
        stage = self.work / "jar"
        shutil.copytree(self.classes, stage)
        machine = {"amd64": "x86_64", "x86_64": "x86_64"}.get(os.uname().machine, os.uname().machine)
        native = stage / f"native/linux-{machine}"
        native.mkdir(parents=True)
        library = Path(self.options.library).resolve()
        shutil.copyfile(library, native / "libsatchel.so.0")
        why = self.tools.native(native, self.root, library, "$ORIGIN")
        made = run(["jar", "--create", "--file", self.work / "satchel.jar", "-C", stage, "."])
        away = self.work / "away"
        away.mkdir()
        asked = run(["java", "-cp", join(*self.tools.runtime, self.work / "satchel.jar", self.work / "example"),
                     "MainKt", away / "a.satchel", self.work / "notes", "When does the lease end?"], cwd=away)
        if not why and "31 May 2027." not in asked.stdout:
            why = made.stdout + asked.stdout
        self.tap.check("a jar brings its native libraries along", why)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--library")
    parser.add_argument("--model")
    parser.add_argument("--java")
    parser.add_argument("--update-api", action="store_true")
    parser.add_argument("--sum", action="store_true")
    options = parser.parse_args()
    try:
        if options.java == "":
            raise kotlin.Missing("no Java machine for that processor: scripts/cross-arm64 brings one where "
                                 "Kotlin can be compiled")
        tools = kotlin.Tools()
    except kotlin.Missing as missing:
        print(f"1..0 # SKIP {missing}")
        if options.sum:
            print("0 passed, 0 failed, 1 skipped")
        return 0
    if not options.library:
        options.library = Path(options.build) / "libsatchel.so.0"
    if not options.model:
        model = Path(options.build) / "tests/support/tiny.gguf"
        options.model = model if model.exists() else None
    it = Run(options, tools)
    if it.build():
        it.tests()
        it.library()
        if not options.java:
            it.checker()
            it.interface()
            it.complete()
            it.metadata()
            it.example()
            it.jar()
    return it.tap.end(options.sum)


if __name__ == "__main__":
    raise SystemExit(main())
