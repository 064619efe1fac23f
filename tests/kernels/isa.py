#!/usr/bin/env python3
"""Only the files of an instruction-set level may hold its instructions: a kernel's flags that leak into
another file would crash older CPUs, and no test on this machine would notice.

usage: isa.py ARCHIVE...    disassembles static libraries, judging each member by its name
"""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))
from report import report  # noqa: E402

WIDE = re.compile(r"%zmm|%k[1-7]\b|%[xy]mm(1[6-9]|2\d|3[01])\b")
# What a member may not hold. Names in order: the first that fits a member's name decides.
X86 = [
    ("avx512", None),
    ("avxvnni", WIDE),
    ("avx2", re.compile(WIDE.pattern + r"|vpdp")),
    ("", re.compile(r"%[yz]mm|^v(?!err|erw)[a-z0-9]+")),
]
ARM = [
    ("i8mm", None),
    ("dotprod", re.compile(r"^(su|us|[su])mmla\b|^(su|us)dot\b")),
    ("", re.compile(r"^(su|us|[su])(dot|mmla)\b")),
]


def disassemble(archive):
    """What the first objdump that knows the archive's architecture makes of it."""
    for tool in ("objdump", "aarch64-linux-gnu-objdump", "llvm-objdump"):
        if shutil.which(tool):
            process = subprocess.run([tool, "-d", "--no-show-raw-insn", archive],
                                     capture_output=True, text=True)
            if process.returncode == 0 and "\t" in process.stdout:
                return process.stdout
    return ""


def members(archive):
    """(member, rules, instruction) for all instructions of an archive."""
    member, rules = None, []
    for line in disassemble(archive).splitlines():
        head = re.match(r"(\S+):\s+file format (\S+)", line)
        if head:
            member = os.path.basename(head[1])
            rules = X86 if "x86-64" in head[2] else ARM if "aarch64" in head[2] else []
            continue
        fields = line.split("\t")
        if len(fields) >= 2 and re.match(r"\s*[0-9a-f]+:\s*$", fields[0]):
            yield member, rules, " ".join(fields[1:])


def main(archives):
    counts, offences = {}, {}
    for archive in archives:
        for member, rules, instruction in members(archive):
            counts[member] = counts.get(member, 0) + 1
            bad = next((rule for name, rule in rules if name in member), None)
            if bad and bad.search(instruction):
                offences.setdefault(member, []).append(instruction)
    if not counts:
        print("1..0 # SKIP no objdump for this architecture")
        return 0
    return report((f"{member}: {count} instructions", offences.get(member, [])[:3])
                  for member, count in sorted(counts.items()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
