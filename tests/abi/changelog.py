#!/usr/bin/env python3
"""No change of the ABI without a line in CHANGELOG.md. TAP.

    changelog.py CHANGELOG.md satchel.map satchel.abi satchel.abi.xml before.txt

Two things hold it: the newest section names the digest of the kept ABI, so that a change of it reaches for
that section; and every function, struct and constant stands in CHANGELOG.md by name, but those of before.txt,
which are older than this rule. A list may say `satchel_gguf_open`, `_close` for satchel_gguf_close.
"""
import hashlib
import re
import sys
from pathlib import Path

import symbols

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))
from report import report  # noqa: E402


def digest(*paths):
    sum_ = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            sum_.update(file.read())
    return sum_.hexdigest()[:16]


def newest(text):
    """The first section that is about a version."""
    sections = re.split(r"^## ", text, flags=re.M)
    return sections[1] if len(sections) > 1 else ""


def named(text):
    """All names in backquotes, `_endings` joined to any beginning of the name in full before them."""
    names, before = set(), ""
    for quoted in re.findall(r"`([^`]+)`", text):
        for word in re.findall(r"\w+", quoted):
            if word.startswith("_"):
                parts = before.split("_")
                names |= {"_".join(parts[:n]) + word for n in range(1, len(parts))}
            else:
                names.add(word)
                before = word if word.lower().startswith("satchel_") else before
    return names


def public(map_path, abi_path):
    with open(abi_path, encoding="utf-8") as file:
        text = file.read()
    return (set(symbols.map_symbols(map_path)[1])
            | set(re.findall(r"^struct (\w+)", text, re.M))
            | set(re.findall(r"^constant (\w+)", text, re.M)))


def main():
    changelog_path, map_path, abi_path, xml_path, before_path = sys.argv[1:]
    with open(changelog_path, encoding="utf-8") as file:
        text = file.read()
    with open(before_path, encoding="utf-8") as file:
        before = set(re.sub(r"#.*", "", file.read()).split())
    wanted = f"ABI: `{digest(abi_path, xml_path)}`"
    missing = sorted(public(map_path, abi_path) - before - named(text))
    seen = named("`satchel_a_open`, `_close`, `_get_info`; `SATCHEL_B`")
    cases = [
        ("the newest section names the ABI as it is", [] if wanted in newest(text) else [
            f"say what changed in CHANGELOG.md, and there: {wanted}"]),
        ("what is new is named", [f"not in CHANGELOG.md: {name}" for name in missing]),
        ("the check finds names", [] if {"satchel_a_close", "satchel_a_get_info", "SATCHEL_B"}
         <= seen and "satchel_c" not in seen and not named("satchel_a") else [str(seen)]),
    ]
    return report(cases)


if __name__ == "__main__":
    raise SystemExit(main())
