"""Puts libsatchel into the wheel, and beside it the binding's compiled part where that was built. Nothing is
compiled here: they are what meson built, or what lies at SATCHEL_LIBRARY."""

import os
import re
import shutil
import sys
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # setuptools before 70.1
    from wheel.bdist_wheel import bdist_wheel

HERE = Path(__file__).resolve().parent
NAME = "libsatchel.dylib" if sys.platform == "darwin" else "libsatchel.so"
FAST = "_fast.abi3.so"


def library():
    chosen = os.environ.get("SATCHEL_LIBRARY") or HERE.parents[1] / "build" / NAME
    if not Path(chosen).is_file():
        raise SystemExit(f"{chosen} is not there: run scripts/setup, or set SATCHEL_LIBRARY")
    return Path(chosen).resolve()


def version():
    """The library's own version, from its header; from PKG-INFO in a source archive."""
    header = HERE.parents[1] / "sdk" / "include" / "satchel.h"
    if header.is_file():
        text = header.read_text(encoding="utf-8")
        return ".".join(re.search(rf"SATCHEL_VERSION_{part} (\d+)", text).group(1)
                        for part in ("MAJOR", "MINOR", "PATCH"))
    return re.search(r"^Version: (.*)$", (HERE / "PKG-INFO").read_text(), re.M).group(1)


class BuildWithLibrary(build_py):
    def run(self):
        super().run()
        package = Path(self.build_lib) / "satchel"
        shutil.copyfile(library(), package / NAME)
        fast = library().parent / "bindings" / "python" / FAST
        if fast.is_file():
            shutil.copyfile(fast, package / FAST)


class PlatformWheel(bdist_wheel):
    """Any Python 3, but only this platform."""

    def get_tag(self):
        return ("py3", "none", super().get_tag()[2])


class WithLibrary(Distribution):
    def has_ext_modules(self):
        return True  # for the platform's folder, though nothing is compiled


setup(version=version(), distclass=WithLibrary,
      cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": PlatformWheel})
