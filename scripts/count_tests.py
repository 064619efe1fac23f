#!/usr/bin/env python3
"""Sums up test runs as one line: N passed, N failed, N skipped.

    count_tests.py BUILD...

Reads the log that the last `meson test` left in each build folder. Programs that speak TAP (with a
plan, "1..N") count by test case, others count as one. A program that failed without a failing case (it
crashed, ran out of time, or stopped before its plan was done) counts as one more failure. Lists the
failures first; exit status 1 if there are any.

TAP is read here, not from meson's own summary, because meson 1.0 takes cmocka's "not ok 3 # SKIP" for
a failure.
"""

import json
import re
import sys
from pathlib import Path

CASE = re.compile(r"^(not )?ok\b *(\d*)[ -]*([^#]*)(?:# *(skip|todo)\b *(.*))?", re.I)
PLAN = re.compile(r"^1\.\.(\d+) *(# *skip)?", re.I | re.M)


def read_tap(text):
    """([(case, kind)], number planned), or (None, 0) if the text is no TAP."""
    plan = PLAN.search(text)
    if not plan:
        return None, 0
    cases = []
    for line in text.splitlines():
        match = CASE.match(line)
        if not match:
            continue
        bad, number, title, directive, reason = match.groups()
        if directive and directive.lower() == "skip":
            kind = "skipped"
        else:
            kind = "failed" if bad and not directive else "passed"
        cases.append((f"{number} {title.strip() or reason or ''}".strip(), kind))
    if plan[2] or plan[1] == "0":
        cases.append(("all", "skipped"))
    return cases, int(plan[1])


def count(build):
    totals = {"passed": 0, "failed": 0, "skipped": 0}
    failures = []
    with open(Path(build) / "meson-logs" / "testlog.json", encoding="utf-8") as file:
        runs = [json.loads(line) for line in file]
    if not runs:
        failures.append("no test was run")
    for run in runs:
        name, result = run["name"], run["result"]
        cases, planned = read_tap(run.get("stdout") or "")
        if cases is None:
            kind = {"OK": "passed", "EXPECTEDFAIL": "passed", "SKIP": "skipped"}.get(result, "failed")
            totals[kind] += 1
            if kind == "failed":
                failures.append(f"{name}: {result.lower()}, exit status {run['returncode']}")
            continue
        for case, kind in cases:
            totals[kind] += 1
            if kind == "failed":
                failures.append(f"{name}: {case}")
        stopped = result in ("TIMEOUT", "INTERRUPT") or run["returncode"] or len(cases) < planned
        if stopped and not any(kind == "failed" for _, kind in cases):
            totals["failed"] += 1
            failures.append(f"{name}: {result.lower()}, exit status {run['returncode']}, "
                            f"{len(cases)} of {planned} cases")
    totals["failed"] += not runs
    return totals, failures


def main():
    totals = {"passed": 0, "failed": 0, "skipped": 0}
    for build in sys.argv[1:]:
        part, failures = count(build)
        for kind, number in part.items():
            totals[kind] += number
        for failure in failures:
            print(f"failed: {Path(build).name}: {failure}")
    print(f"{totals['passed']} passed, {totals['failed']} failed, {totals['skipped']} skipped")
    return 1 if totals["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
