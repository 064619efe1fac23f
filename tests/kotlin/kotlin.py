"""Finds the JDK and the Kotlin compiler, and calls them: for run.py and the overhead measurement."""
import hashlib
import os
import re
import shutil
import subprocess
import weakref
from pathlib import Path

# Published classes can be read by projects two Kotlin versions behind the compiler here.
LANGUAGE = "2.2"


def run(command, **options):
    return subprocess.run([str(part) for part in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", **options)


def kept(out, command, inputs, make):
    """Runs `make`, which fills the folder `out` and returns what went wrong, unless `out` was made by
    the same command of the same inputs, which are files and folders."""
    digest = hashlib.sha256("\n".join(str(part) for part in command).encode())
    for path in map(Path, inputs):
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                digest.update(f"\n{file}\n".encode() + file.read_bytes())
    key = Path(f"{out}.key")
    if Path(out).is_dir() and key.exists() and key.read_text() == digest.hexdigest():
        return ""
    key.unlink(missing_ok=True)
    shutil.rmtree(out, ignore_errors=True)
    Path(out).mkdir(parents=True)
    why = make()
    if not why:
        key.write_text(digest.hexdigest())
    return why


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
        self.process = None

    def kotlinc(self, out, sources, classpath=(), flags=()):
        """Compiles; returns what went wrong. Classes that are there of the same sources stay."""
        arguments = ["-no-stdlib", "-no-reflect",
                     "-language-version", LANGUAGE, "-api-version", LANGUAGE, "-jvm-target", "1.8",
                     "-jvm-default=no-compatibility", "-Xsuppress-version-warnings",
                     "-cp", join(*self.runtime, *classpath), "-d", out, *flags, *sources]
        return kept(out, [self.compiler, *arguments], [*sources, *classpath],
                    lambda: self._compile(out, arguments))

    def _compile(self, out, arguments):
        if not self.process:
            self.process = subprocess.Popen(
                ["java", "-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp",
                 f"{self.compiler}:{self.runtime[0]}", Path(__file__).with_name("Compile.java")],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            weakref.finalize(self, self.process.stdin.close)
        file = Path(f"{out}.arguments")
        file.write_text("".join(f"{argument}\n" for argument in arguments), encoding="utf-8")
        try:
            print(file, file=self.process.stdin, flush=True)
            code = self.process.stdout.readline().strip()
        except BrokenPipeError:
            code = ""
        if not code:
            return "the compiler ended: " + self.process.communicate()[1]
        told = Path(f"{file}.told").read_text(encoding="utf-8", errors="replace")
        return "" if code == "0" else told or f"the compiler's exit status is {code}"

    def javac(self, out, sources, classpath=()):
        command = ["javac", "-Xlint:all", "-Werror", "-d", out, "-cp",
                   join(*self.runtime, *classpath), *sources]

        def compile():
            made = run(command)
            return made.stdout if made.returncode else ""

        return kept(out, command, [*sources, *classpath], compile)

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


def _hidden(root):
    """Classes that nobody outside makes: simple names. In class files their constructors are public."""
    pattern = r"class (\w+)(?:<[^>]*>)?(?: @\w+)* (?:internal|private) constructor"
    return {name for path in sources(root) for name in re.findall(pattern, path.read_text(encoding="utf-8"))}


def interface(root, classes, runtime):
    """The public interface as Java sees it: lines, sorted. Left out are the package `internal`, what
    Kotlin gives a mangled name because it is internal, its constructors, and those made for its
    default values."""
    internal = _hidden(root)
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
            continue
        made = f"public {name}(" in line and re.split(r"[.$]", name)[-1] in internal
        if not (hidden or made
                or re.search(r"\$satchel\b|dev\.satchel\.internal\.|access\$|\$default\(|DefaultConstructorMarker",
                             line)):
            lines.append(f"{name}: {line.rstrip(';')}")
    return sorted(lines)
