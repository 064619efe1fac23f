#!/usr/bin/env python3
"""The Swift package against a build of the library. TAP.

    run.py --build BUILD --source ROOT [--prefix PREFIX --libdir LIBDIR] [--model TINY.gguf]
           [--generator TINY.gguf] [--sanitize address|thread] [--update-api] [--sum]

Installs the library into BUILD/swift/stage, where SwiftPM finds it by pkg-config as it would find an
installed one; builds package and tests with warnings as errors and runs them; compares the public
interface with bindings/swift/api.txt; sees that all of it is documented, that it has every field and constant
of satchel.h (tests/conformance sees to the functions), and that the privacy manifest says what the library
imports; and builds the example in an empty package that takes this one as a git dependency, and runs it.
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
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent),
                str(Path(__file__).resolve().parents[1] / "abi")]
import api  # noqa: E402
import fields  # noqa: E402
import header  # noqa: E402
import privacy  # noqa: E402

CASE = re.compile(r"^\S+ Test (?P<name>.+?) (?:with \d+ test cases? )?"
                  r"(?P<how>passed|failed|skipped)\b")
RUN = re.compile(r"^\S+ Test run ")


class Tap:
    def __init__(self):
        self.number, self.counts = 0, {"passed": 0, "failed": 0, "skipped": 0}

    def case(self, what, how, why=""):
        """how: passed, failed or skipped."""
        self.number += 1
        self.counts[how] += 1
        skip = f" # SKIP {why}" if how == "skipped" else ""
        print(f"{'not ok' if how == 'failed' else 'ok'} {self.number} - {what}{skip}", flush=True)
        for line in why.splitlines()[:60] if how == "failed" else []:
            print("#   " + line, flush=True)

    def check(self, what, why):
        self.case(what, "failed" if why else "passed", why)

    def end(self, summed):
        print(f"1..{self.number}", flush=True)
        if summed:
            print("{passed} passed, {failed} failed, {skipped} skipped".format(**self.counts))
        return 1 if self.counts["failed"] else 0


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
        if options.sanitize:
            self.flags += ["--sanitize", options.sanitize]

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
            "LD_LIBRARY_PATH": str(self.lib),
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

    def swift(self, *arguments, scratch=None, cwd=None):
        return run(["swift", *arguments, "--scratch-path", scratch or self.scratch,
                    "--jobs", self.jobs, *self.flags], env=self.environment, cwd=cwd or self.root)


def tests(package, tap):
    built = package.swift("build", "--build-tests")
    lines = built.stdout.splitlines()
    told = [line for line in lines if "error:" in line] + lines[-20:]
    tap.check("builds without warnings, in Swift 6's language mode",
              "\n".join(told) if built.returncode else "")
    if built.returncode:
        return False
    ran = package.swift("test", "--skip-build")
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
        tap.case("the tests run to their end", "failed", "\n".join(ran.stdout.splitlines()[-60:]))
    return True


def interface(package, tap, update):
    # Where SwiftPM leaves the modules: BUILD/<triple>/debug, to which debug leads.
    modules = package.scratch / "debug" / "Modules"
    if not modules.exists():
        modules = package.scratch / "debug"
    folder = package.work / "symbols"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    target = run(["swiftc", "-print-target-info"]).stdout
    triple = re.search(r'"triple" *: *"([^"]+)"', target)[1]
    made = run(["swift", "symbolgraph-extract", "-module-name", "Satchel", "-target", triple,
                "-I", modules, "-I", package.root / "bindings/swift/Sources/CSatchel",
                "-I", package.stage / package.options.prefix.lstrip("/") / "include",
                "-minimum-access-level", "public", "-skip-synthesized-members",
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


def dependency(package, tap):
    repository, why = snapshot(package)
    consumer = package.work / "consumer"
    (consumer / "Sources/ask").mkdir(parents=True, exist_ok=True)
    (consumer / "Package.swift").write_text(f"""// swift-tools-version: 6.0
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
    shutil.copyfile(package.root / "examples/swift/ask/main.swift",
                    consumer / "Sources/ask/main.swift")
    flags, package.flags = package.flags, []  # as an app builds it
    home = package.work / "swiftpm"
    if not why:
        built = package.swift("build", "--cache-path", home / "cache", "--config-path",
                              home / "configuration", "--security-path", home / "security",
                              scratch=consumer / ".build", cwd=consumer)
        why = built.stdout if built.returncode else ""
    package.flags = flags
    tap.check("an empty package takes it as a git dependency", why)
    if why:
        return
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
    tap = Tap()
    package = Package(options)
    why = package.install()
    tap.check("the library installs", why)
    if not why and tests(package, tap) and not options.sanitize:
        interface(package, tap, options.update_api)
        complete(package, tap)
        privacy_manifest(package, tap)
        dependency(package, tap)
    return tap.end(options.sum)


if __name__ == "__main__":
    raise SystemExit(main())
