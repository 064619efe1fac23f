"""Finds the JDK and the Kotlin compiler, and calls them: for run.py and the overhead measurement."""
import os
import re
import shutil
import subprocess
from pathlib import Path

# Published classes can be read by projects two Kotlin versions behind the compiler here.
LANGUAGE = "2.2"


def run(command, **options):
    return subprocess.run([str(part) for part in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", **options)


class Missing(Exception):
    """What to say when the tests are skipped."""


class Tools:
    def __init__(self):
        if not shutil.which("javac"):
            raise Missing("no JDK: install default-jdk-headless")
        home = Path(os.environ.get("JAVA_HOME") or Path(os.path.realpath(shutil.which("javac"))).parents[1])
        self.include = home / "include"
        if not (self.include / "jni.h").exists():
            raise Missing(f"no jni.h in {self.include}: install default-jdk-headless")
        cache = Path(os.environ.get("SATCHEL_CACHE") or Path.home() / ".cache/satchel")
        found = sorted((cache / "deps").glob("kotlin-*/compiler.jar"))
        if not found:
            raise Missing("no Kotlin compiler: run scripts/setup --kotlin")
        folder = found[-1].parent
        self.compiler = folder / "compiler.jar"
        self.runtime = [folder / "kotlin-stdlib.jar", folder / "kotlinx-coroutines-core.jar"]

    def kotlinc(self, out, sources, classpath=(), flags=()):
        """Compiles; returns what went wrong."""
        made = run(["java", "-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp",
                    f"{self.compiler}:{self.runtime[0]}", "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler",
                    "-no-stdlib", "-no-reflect",
                    "-language-version", LANGUAGE, "-api-version", LANGUAGE, "-jvm-target", "1.8",
                    "-jvm-default=no-compatibility",
                    "-Xsuppress-version-warnings", "-cp", join(*self.runtime, *classpath),
                    "-d", out, *flags, *sources])
        return made.stdout if made.returncode else ""

    def javac(self, out, sources, classpath=()):
        made = run(["javac", "-Xlint:all", "-Werror", "-d", out, "-cp",
                    join(*self.runtime, *classpath), *sources])
        return made.stdout if made.returncode else ""

    def native(self, out, root, library, path):
        """Links satchel_jni into the folder `out`; it finds the library in `path`. Returns what went
        wrong."""
        compiler = (os.environ.get("CC") or shutil.which("cc") or "gcc").split()
        made = run([*compiler, "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-fPIC",
                    "-fvisibility=hidden", "-shared", "-o", out / "libsatchel_jni.so",
                    "-I", root / "sdk/include", "-I", self.include, "-I", self.include / "linux",
                    *sorted((root / "bindings/kotlin/jni").glob("*.c")), library,
                    f"-Wl,-rpath,{path}", "-Wl,-z,max-page-size=16384,-z,relro,-z,now",
                    "-Wl,--no-undefined,--gc-sections"])
        return made.stdout if made.returncode else ""


def join(*parts):
    return ":".join(str(part) for part in parts)


def sources(root):
    return sorted((root / "bindings/kotlin/src/main/kotlin").rglob("*.kt"))


def interface(classes, runtime):
    """The public interface as Java sees it: lines, sorted. Left out are the package `internal` and what
    Kotlin gives a mangled name because it is internal."""
    files = [path for path in sorted(Path(classes).rglob("*.class"))
             if "internal" not in path.parts and not re.search(r"\$\d|\$\w+\$", path.stem)]
    told = run(["javap", "-public", "-cp", join(classes, *runtime), *files])
    lines, name, hidden = [], "", False
    for line in told.stdout.splitlines():
        line = line.strip().rstrip("{").strip()
        head = re.match(r"(?:public )?.*?\b(?:class|interface) (dev\.satchel\.[\w.$]+)", line)
        if line.startswith("Compiled from") or line in ("", "}"):
            continue
        if head and "(" not in line:
            name, hidden = head[1], not line.startswith("public")
            if not hidden:
                lines.append(line)
        elif not hidden and not re.search(r"\$satchel\b|dev\.satchel\.internal\.|access\$", line):
            lines.append(f"{name}: {line.rstrip(';')}")
    return sorted(lines)
