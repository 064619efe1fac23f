#!/usr/bin/env python3
"""Runs unittest modules and reports in TAP, one line per test, for meson.

    tap.py MODULE...        modules beside this file, without .py
"""
import os
import sys
import traceback
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))


class TapResult(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.number = 0

    def _line(self, good, test, directive=""):
        self.number += 1
        name = test.id().replace("#", "")
        print(f"{'ok' if good else 'not ok'} {self.number} - {name}{directive}", flush=True)

    def _because(self, error):
        for line in "".join(traceback.format_exception(*error)).splitlines():
            print("#   " + line, flush=True)

    def addSuccess(self, test):
        self._line(True, test)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self._line(False, test)
        self._because(error)

    def addError(self, test, error):
        super().addError(test, error)
        self._line(False, test)
        self._because(error)

    def addSkip(self, test, reason):
        self._line(True, test, f" # SKIP {reason}")

    def addSubTest(self, test, subtest, error):
        if error is not None:
            super().addSubTest(test, subtest, error)
            print(f"#   {subtest.id()}")
            self._because(error)
            self.broken = True

    def startTest(self, test):
        super().startTest(test)
        self.broken = False

    def stopTest(self, test):
        super().stopTest(test)
        if self.broken:
            self._line(False, test)


def main():
    sys.path.insert(0, HERE)
    sys.dont_write_bytecode = True
    suite = unittest.defaultTestLoader.loadTestsFromNames(sys.argv[1:])
    count = suite.countTestCases()
    print(f"1..{count}", flush=True)
    result = TapResult()
    suite.run(result)
    return 0 if result.wasSuccessful() and result.number == count and count > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
