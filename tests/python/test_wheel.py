"""The wheel: builds without a compiler, carries the library, and works away from the checkout."""
import os
import shutil
import subprocess
import sys
import unittest
import zipfile

import support



def can_build():
    """Asked of another process: setuptools changes the one it is imported into."""
    return any(subprocess.run([sys.executable, "-c", f"import setuptools, {module}; "
                               "assert int(setuptools.__version__.split('.')[0]) >= 61"],
                              capture_output=True).returncode == 0
               for module in ("setuptools.command.bdist_wheel", "wheel.bdist_wheel"))


class Wheel(support.FolderTest):
    @unittest.skipUnless(can_build(), "no setuptools 61 with wheel")
    def test_builds_and_works(self):
        source = self.folder / "source" / "bindings" / "python"
        shutil.copytree(support.ROOT / "bindings" / "python", source,
                        ignore=shutil.ignore_patterns("__pycache__", "build", "dist", "*.egg-info"))
        header = self.folder / "source" / "sdk" / "include"
        header.mkdir(parents=True)
        shutil.copy(support.ROOT / "sdk" / "include" / "satchel.h", header)
        library = os.environ.get("SATCHEL_LIBRARY") or str(support.ROOT / "build" / "libsatchel.so")
        environment = {**os.environ, "SATCHEL_LIBRARY": library}
        # What pip runs, without pip, which would fetch what is installed already.
        subprocess.run([sys.executable, "setup.py", "-q", "bdist_wheel", "-d", str(self.folder)],
                       cwd=source, check=True, env=environment, capture_output=True)
        (wheel,) = self.folder.glob("*.whl")
        self.assertRegex(wheel.name, r"^satchel_rag-\d+\.\d+\.\d+-py3-none-(?!any)\w+\.whl$")
        installed = self.folder / "site"
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            archive.extractall(installed)
        self.assertIn("satchel/py.typed", names)
        self.assertIn("satchel/libsatchel.so", names)
        fast = os.environ.get("SATCHEL_TEST_FAST") == "yes"
        self.assertEqual("satchel/_fast.abi3.so" in names, fast)
        clean = {name: value for name, value in os.environ.items() if name != "SATCHEL_LIBRARY"}
        clean["PYTHONPATH"] = os.pathsep.join([str(installed), os.environ.get("PYTHONPATH", "")])
        program = ("import satchel; print(satchel.library_path); "
                   "s = satchel.Store('t.satchel'); s.add_text('a', 'The lease ends.'); "
                   "print(s.search('lease')[0].document_id); "
                   "print(getattr(satchel._hits._fast, '__file__', None))")
        run = subprocess.run([sys.executable, "-c", program], cwd=self.folder, env=clean,
                             check=True, capture_output=True, text=True)
        path, document, compiled = run.stdout.split()
        self.assertTrue(path.startswith(str(installed)), path)
        self.assertEqual(document, "a")
        self.assertEqual(compiled, str(installed / "satchel" / "_fast.abi3.so") if fast else "None")


class Lookup(support.FolderTest):
    def test_a_checkout_s_build_folder_is_found(self):
        checkout = self.folder / "checkout"
        shutil.copytree(support.ROOT / "bindings" / "python" / "satchel",
                        checkout / "bindings" / "python" / "satchel",
                        ignore=shutil.ignore_patterns("__pycache__"))
        (checkout / "build").mkdir()
        library = os.environ.get("SATCHEL_LIBRARY") or str(support.ROOT / "build" / "libsatchel.so")
        shutil.copy(library, checkout / "build" / "libsatchel.so")
        environment = {name: value for name, value in os.environ.items()
                       if name != "SATCHEL_LIBRARY"}
        environment["PYTHONPATH"] = str(checkout / "bindings" / "python")
        run = subprocess.run([sys.executable, "-c", "import satchel; print(satchel.library_path)"],
                             env=environment, check=True, capture_output=True, text=True)
        self.assertEqual(run.stdout.strip(), str(checkout / "build" / "libsatchel.so"))

    def test_a_missing_library_says_what_to_do(self):
        environment = {**os.environ, "SATCHEL_LIBRARY": str(self.folder / "none.so"),
                       "PYTHONPATH": str(support.ROOT / "bindings" / "python")}
        run = subprocess.run([sys.executable, "-c", "import satchel"], env=environment,
                             capture_output=True, text=True)
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("ImportError", run.stderr)
        self.assertIn("none.so", run.stderr)


if __name__ == "__main__":
    unittest.main()
