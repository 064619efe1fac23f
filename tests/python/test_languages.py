"""The examples that call the C ABI from other languages, built and run against an installed library as
their headers say. Every program answers the same; a language whose tools are not here is skipped."""
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import support

BUILD = os.environ.get("SATCHEL_BUILD")
EXAMPLES = support.ROOT / "examples" / "languages"


@unittest.skipUnless(BUILD, "not started by meson")
class Languages(support.FolderTest):
    @classmethod
    def setUpClass(cls):
        stage = Path(tempfile.mkdtemp(prefix="satchel-languages-"))
        cls.addClassCleanup(shutil.rmtree, stage, ignore_errors=True)
        subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", stage],
                       check=True, timeout=120)
        cls.library = next(stage.rglob("libsatchel.so.0"))
        cls.environment = {**os.environ, "LD_LIBRARY_PATH": str(cls.library.parent),
                           "PKG_CONFIG_PATH": str(cls.library.parent / "pkgconfig"),
                           "PKG_CONFIG_SYSROOT_DIR": str(stage),
                           "DENO_DIR": str(stage / "deno"), "DENO_NO_UPDATE_CHECK": "1"}

    def need(self, *tools):
        for tool in tools:
            if not shutil.which(tool):
                self.skipTest(f"no {tool} here")

    def run_tool(self, *command, expect=0):
        run = subprocess.run(list(map(str, command)), cwd=self.folder, env=self.environment,
                             stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240)
        self.assertEqual(run.returncode != 0, expect != 0, run.stdout + run.stderr)
        return run

    def check(self, *command):
        answered = self.run_tool(*command, self.store_path, "When does the lease end?")
        self.assertEqual(answered.stdout, "The lease of the flat ends in March. [lease, bytes 0-36]\n")
        refused = self.run_tool(*command, self.store_path, "Which locomotive?")
        self.assertEqual(refused.stdout, "The documents do not answer that.\n")
        failed = self.run_tool(*command, self.folder / "none" / "a.satchel", "Why?", expect=1)
        self.assertEqual(failed.stdout, "")
        self.assertIn("none/a.satchel", failed.stderr)

    def test_rust(self):
        self.need("rustc")
        self.run_tool("rustc", "-Dwarnings", EXAMPLES / "ask.rs", "-L",
                      self.library.parent, "-o", "ask")
        self.check(self.folder / "ask")

    def test_go(self):
        self.need("go", "pkg-config")
        self.run_tool("go", "vet", EXAMPLES / "ask.go")
        self.run_tool("go", "build", "-o", "ask", EXAMPLES / "ask.go")
        self.check(self.folder / "ask")

    def test_csharp(self):
        self.need("mcs", "mono")
        self.run_tool("mcs", "-unsafe", "-warnaserror", "-out:Ask.exe", EXAMPLES / "Ask.cs")
        self.check("mono", self.folder / "Ask.exe")

    def test_deno(self):
        # scripts/setup --ci puts one into the cache.
        cached = Path(os.environ.get("SATCHEL_CACHE", "")).glob("deps/deno-*/deno")
        deno = shutil.which("deno") or next(cached, None)
        if not deno:
            self.skipTest("no deno here")
        self.check(deno, "run", "--quiet", "--check", "--allow-ffi", EXAMPLES / "ask.ts",
                   self.library)


if __name__ == "__main__":
    unittest.main()
