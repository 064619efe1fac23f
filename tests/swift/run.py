#!/usr/bin/env python3
"""The Swift package against a build of the library. TAP.

    run.py --build BUILD --source ROOT [--prefix PREFIX --libdir LIBDIR] [--model TINY.gguf]
           [--generator TINY.gguf] [--sanitize address|thread] [--update-api] [--sum]

Installs the library into BUILD/swift/stage, where SwiftPM finds it by pkg-config as it would find an
installed one; builds package, tests and bench/swift_overhead with warnings as errors and runs the tests;
compares the public interface with bindings/swift/api.txt; sees that all of it is documented, that it has
every field and constant of satchel.h (tests/conformance sees to the functions), and that the privacy manifest
says what the library imports; checks the examples of the documentation; and builds examples/swift/ask in an
empty package that takes this one as a git dependency, and runs it. With --sanitize: only the tests, once it
is sure that the sanitizer sees a fault.
"""
import argparse
import difflib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent),
                str(Path(__file__).resolve().parents[1] / "abi"),
                str(Path(__file__).resolve().parents[1] / "support")]
import api  # noqa: E402
import fields  # noqa: E402
import header  # noqa: E402
import privacy  # noqa: E402
from report import Report  # noqa: E402

CASE = re.compile(r"^\S+ Test (?P<name>.+?) (?:with \d+ test cases? )?"
                  r"(?P<how>passed|failed|skipped)\b")
RUN = re.compile(r"^\S+ Test run ")


# The tests are Swift Testing's alone. XCTest, run beside it with nothing to do, leaks.
WITHOUT_XCTEST = ["--disable-xctest"]


def run(command, **options):
    return subprocess.run([str(part) for part in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", **options)


class Package:
    def __init__(self, options):
        self.options = options
        self.root = Path(options.source)
        self.work = Path(options.build) / "swift"
        self.stage = self.work / "stage"
        self.scratch = self.work / ("build-" + options.sanitize if options.sanitize else "build")
        self.jobs = os.environ.get("SATCHEL_JOBS") or str(os.cpu_count())
        self.flags = ["-Xswiftc", "-warnings-as-errors"]
        self.flags += (["--sanitize", options.sanitize] if options.sanitize
                       else ["-debug-info-format", "none"])

    def install(self):
        """The library as an app finds it; returns what went wrong."""
        shutil.rmtree(self.stage, ignore_errors=True)
        made = run(["meson", "install", "-C", self.options.build, "--no-rebuild", "--quiet",
                    "--destdir", self.stage])
        if made.returncode:
            return made.stdout
        prefix = self.stage / self.options.prefix.lstrip("/")
        self.lib = prefix / self.options.libdir
        description = self.lib / "pkgconfig" / "satchel.pc"
        description.write_text(re.sub(r"^prefix=.*$", f"prefix={prefix}", description.read_text(),
                                      flags=re.M))
        self._forget_old_header(prefix / "include" / "satchel.h")
        self.environment = {
            **os.environ, "PKG_CONFIG_PATH": str(description.parent),
            "LD_LIBRARY_PATH": str(self.lib), "ASAN_OPTIONS": "detect_leaks=1",
            "TSAN_OPTIONS": f"suppressions={self.root}/tests/swift/tsan.supp",
            "SATCHEL_SCENARIOS": str(self.root / "tests/conformance/scenarios.json"),
        }
        for name in ("model", "generator"):
            path = getattr(self.options, name)
            if path:
                self.environment[f"SATCHEL_TEST_{name.upper()}"] = str(Path(path).resolve())
        return ""

    def _forget_old_header(self, header):
        """SwiftPM does not see that a system library's header has changed: then all is built anew."""
        module = self.root / "bindings/swift/Sources/CSatchel/module.modulemap"
        digest = hashlib.sha256(header.read_bytes() + module.read_bytes()).hexdigest()
        stamp = self.work / "header.stamp"
        if not stamp.exists() or stamp.read_text() != digest:
            for old in (*self.work.glob("build*"), self.work / "consumer"):
                shutil.rmtree(old, ignore_errors=True)
            stamp.write_text(digest)

    def includes(self):
        """For the compiler alone: where the modules of the package and of the library are."""
        # Where SwiftPM leaves the modules: BUILD/<triple>/debug, to which debug leads.
        modules = self.scratch / "debug" / "Modules"
        for folder in (modules if modules.exists() else self.scratch / "debug",
                       self.root / "bindings/swift/Sources/CSatchel",
                       self.stage / self.options.prefix.lstrip("/") / "include"):
            yield from ("-I", folder)

    def swift(self, *arguments, **environment):
        return run(["swift", *arguments, "--scratch-path", self.scratch, "--jobs", self.jobs,
                    *self.flags], env={**self.environment, **environment}, cwd=self.root)


FAULTS = re.compile(r"^.*(?:Address|Leak|Thread)Sanitizer.*$", re.M)


def sanitizer(package, tap):
    """What a sanitizer does not see, it cannot rule out."""
    ran = package.swift("test", *WITHOUT_XCTEST, "--skip-build", "--filter", "FaultTests",
                        SATCHEL_FAULTS="1")
    seen = "LeakSanitizer" if package.options.sanitize == "address" else "data race"
    fine = ran.returncode != 0 and seen in ran.stdout
    tap.check("the sanitizer sees a fault", "" if fine else ran.stdout)


def tests(package, tap):
    # The program that measures has no test of its own: it is compiled beside the others.
    bench = {} if package.options.sanitize else {"SATCHEL_BENCH": "1"}
    built = package.swift("build", "--build-tests", *WITHOUT_XCTEST, **bench)
    lines = built.stdout.splitlines()
    told = [line for line in lines if "error:" in line] + lines[-20:]
    tap.check("builds without warnings, in Swift 6's language mode",
              "\n".join(told) if built.returncode else "")
    if built.returncode:
        return False
    if package.options.sanitize:
        sanitizer(package, tap)
    ran = package.swift("test", *WITHOUT_XCTEST, "--skip-build", "--skip", "FaultTests", **bench)
    cases, issues = [], {}
    for line in ran.stdout.splitlines():
        issue = re.match(r"^\S+ Test (\S+)(?: \(.*?\))?.* recorded an issue", line)
        case = CASE.match(line)
        if issue:
            issues.setdefault(issue[1], []).append(line)
        elif case and not RUN.match(line):
            cases.append((case["name"], case["how"]))
    for name, how in cases:
        tap.case(name, how, "\n".join(issues.get(name.split()[0], [])))
    if not cases or (ran.returncode and all(how != "failed" for _, how in cases)):
        faults = FAULTS.search(ran.stdout)
        told = ran.stdout[faults.start():] if faults else "\n".join(ran.stdout.splitlines()[-60:])
        tap.case("the tests run to their end", "failed", told)
    return True


def interface(package, tap, update):
    folder = package.work / "symbols"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    target = run(["swiftc", "-print-target-info"]).stdout
    triple = re.search(r'"triple" *: *"([^"]+)"', target)[1]
    made = run(["swift", "symbolgraph-extract", "-module-name", "Satchel", "-target", triple,
                *package.includes(), "-minimum-access-level", "public", "-skip-synthesized-members",
                "-output-dir", folder], env=package.environment)
    graph = folder / "Satchel.symbols.json"
    if made.returncode or not graph.exists():
        tap.case("the interface can be read", "failed", made.stdout)
        return
    lines, bare = api.read(graph)
    file = package.root / "bindings/swift/api.txt"
    if update:
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    kept = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    tap.check("the interface is that of api.txt (else scripts/test-swift --update-api)",
              "\n".join(difflib.unified_diff(kept, lines, "api.txt", "as built", lineterm="", n=0)))
    tap.check("all of it is documented", "\n".join(bare))


def examples(package, tap):
    """What cannot be built here is parsed, what stands in the documentation is type-checked."""
    parsed = run(["swiftc", "-parse", "-swift-version", "6",
                  *sorted((package.root / "examples/swift/notes").glob("*.swift"))])
    tap.check("the notes app parses", parsed.stdout)
    folder = package.work / "documentation"
    folder.mkdir(exist_ok=True)
    for name in ("README.md", "docs/swift.md"):
        text = (package.root / name).read_text(encoding="utf-8")
        blocks = [block for block in re.findall(r"^```swift\n(.*?)^```", text, re.M | re.S)
                  if "Store(path:" in block]
        for block in blocks:
            whole = block if "import Satchel\n" in block else "import Satchel\n" + block
            (folder / "main.swift").write_text(whole, encoding="utf-8")
            made = run(["swiftc", "-typecheck", "-swift-version", "6", "-warnings-as-errors",
                        *package.includes(), folder / "main.swift"])
            tap.check(f"{name}: an example compiles", made.stdout if made.returncode else "")
        if not blocks:
            tap.case(f"{name} has an example", "failed")


def complete(package, tap):
    file = package.root / "sdk/include/satchel.h"
    missing = fields.missing(file, package.root / "bindings/swift/Sources/Satchel",
                             header.structs(file), header.constants(file))
    tap.check("every field and constant of the library is there", "\n".join(missing))


def privacy_manifest(package, tap):
    nm = run(["nm", "-D", "--undefined-only", package.lib / "libsatchel.so"])
    imports = {line.split()[-1].split("@")[0] for line in nm.stdout.splitlines() if line.strip()}
    manifest = package.root / "bindings/swift/Sources/Satchel/PrivacyInfo.xcprivacy"
    tap.check("the privacy manifest says what is imported", privacy.faults(manifest, imports))


def snapshot(package):
    """The package alone, as a git repository with a version; remade only when it has changed."""
    files = [package.root / "Package.swift"]
    files += sorted(path for path in (package.root / "bindings/swift").rglob("*")
                    if path.is_file() and ".build" not in path.parts)
    digest = hashlib.sha256()
    for path in files:
        digest.update(str(path.relative_to(package.root)).encode() + b"\0" + path.read_bytes())
    repository, stamp = package.work / "satchel", package.work / "satchel.stamp"
    if stamp.exists() and stamp.read_text() == digest.hexdigest():
        return repository, ""
    for old in (repository, package.work / "consumer", package.work / "swiftpm"):
        shutil.rmtree(old, ignore_errors=True)
    for path in files:
        copy = repository / path.relative_to(package.root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    git = ["git", "-C", repository, "-c", "user.name=test", "-c", "user.email=test@localhost",
           "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "as it is now"],
                    ["tag", "0.1.0"]):
        made = run([*git, *command])
        if made.returncode:
            return repository, made.stdout
    stamp.write_text(digest.hexdigest())
    return repository, ""


def consumer(package):
    """The example in an empty package that depends on this one; what went wrong."""
    repository, why = snapshot(package)
    folder = package.work / "consumer"
    (folder / "Sources/ask").mkdir(parents=True, exist_ok=True)
    (folder / "Package.swift").write_text(f"""// swift-tools-version: 6.0
import PackageDescription
let package = Package(
    name: "consumer",
    platforms: [.macOS(.v12)],
    dependencies: [.package(url: "{repository.as_uri()}", from: "0.1.0")],
    targets: [
        .executableTarget(
            name: "ask", dependencies: [.product(name: "Satchel", package: "satchel")])
    ]
)
""")
    shutil.copyfile(package.root / "examples/swift/ask/main.swift", folder / "Sources/ask/main.swift")
    if why:
        return why
    home = package.work / "swiftpm"
    built = run(["swift", "build", "--jobs", package.jobs, "--scratch-path", folder / ".build",
                 "--cache-path", home / "cache", "--config-path", home / "configuration",
                 "--security-path", home / "security", "-debug-info-format", "none",
                 "--disable-index-store"], env=package.environment, cwd=folder)
    return built.stdout if built.returncode else ""


def dependency(package, tap, why):
    tap.check("an empty package takes it as a git dependency", why)
    if why:
        return
    consumer = package.work / "consumer"
    notes, store = consumer / "notes", consumer / "notes.satchel"
    notes.mkdir(exist_ok=True)
    (notes / "lease.md").write_text("# Lease\n\nThe lease ends on 31 May 2027.\n")
    for old in consumer.glob("notes.satchel*"):
        old.unlink()
    asked = run([consumer / ".build/debug/ask", store, notes, "When does the lease end?"],
                env=package.environment)
    fine = asked.returncode == 0 and "31 May 2027. [notes/lease.md]" in asked.stdout
    tap.check("the example answers and cites", "" if fine else asked.stdout)
    text = (package.root / "examples/swift/ask/main.swift").read_text(encoding="utf-8")
    lines = text[text.index("let store ="):].split("\n}\n")[0].splitlines()
    tap.check("from open to streamed cited answer in 8 lines",
              "" if len(lines) + 1 <= 8 else f"{len(lines) + 1} lines")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--prefix", default="/usr/local")
    parser.add_argument("--libdir")
    parser.add_argument("--model")
    parser.add_argument("--generator")
    parser.add_argument("--sanitize", choices=["address", "thread"])
    parser.add_argument("--update-api", action="store_true")
    parser.add_argument("--sum", action="store_true")
    options = parser.parse_args()
    if not shutil.which("swift"):
        print("1..0 # SKIP no Swift toolchain: put swift 6 into PATH")
        if options.sum:
            print("0 passed, 0 failed, 1 skipped")
        return 0
    if not options.libdir:
        told = json.loads(run(["meson", "introspect", "--buildoptions", options.build]).stdout)
        values = {option["name"]: option["value"] for option in told}
        options.prefix, options.libdir = values["prefix"], values["libdir"]
    for name, made in (("model", "support/tiny.gguf"),
                       ("generator", "unit/generate/tiny_generator.gguf")):
        path = Path(options.build) / "tests" / made
        if not getattr(options, name) and path.exists():
            setattr(options, name, path)
    tap = Report()
    package = Package(options)
    why = package.install()
    tap.check("the library installs", why)
    if why or options.sanitize:
        if not why:
            tests(package, tap)
        return tap.end(options.sum)
    # Neither build keeps all processors busy: they go on side by side, unless one at a time is asked for.
    with ThreadPoolExecutor() as beside:
        built = beside.submit(consumer, package)
        if package.jobs == "1":
            built.result()
        if tests(package, tap):
            interface(package, tap, options.update_api)
            complete(package, tap)
            examples(package, tap)
            privacy_manifest(package, tap)
            dependency(package, tap, built.result())
    return tap.end(options.sum)


if __name__ == "__main__":
    raise SystemExit(main())
