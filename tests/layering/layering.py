#!/usr/bin/env python3
"""Rejects includes against the arrows between the folders. TAP, one test per folder.

    layering.py SOURCE_ROOT        checks the tree
    layering.py --self-test        checks the checker: it must reject what is wrong
"""
import os
import re
import sys

PUBLIC = "sdk/include/satchel.h"
# folder: the folders it may include. Every folder may include itself and the public header, which is
# the vocabulary; its own entry says what else.
ARROWS = {
    "base": [],
    "cluster": ["base"],
    "generate": ["base"],
    "retrieval": ["cluster", "base"],
    "sdk": ["base", "cluster", "generate", "retrieval"],
    "bindings": [],
    "examples": [],
    "bench": ["base", "cluster", "generate", "retrieval", "sdk", "bench", "tests"],
    "tests": ["base", "cluster", "generate", "retrieval", "sdk", "bench", "tests"],
}
# Outside users: they see the public header as an installed one, and the files beside them.
OUTSIDE = ("bindings", "examples")
# Their other headers are private to the folder: from outside only the one named after it.
ONE_INTERFACE = ("cluster", "generate", "retrieval")
FREE = ("bench", "tests")
SUFFIXES = (".c", ".h", ".cc", ".cpp", ".hpp", ".inc", ".m", ".mm", ".swift")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*(?:include|import)[ \t]*(["<])([^">]+)[">]', re.M)


def judge(path, bracket, target, exists):
    """Why `path` (root-relative) may not include `target`, or None. exists(p): a file of the tree."""
    folder = path.split("/")[0]
    if path == PUBLIC:
        return "the public header includes nothing of ours" if bracket == '"' else None
    if bracket == "<":
        if target == "satchel.h" or not exists(target):
            return None
        return "our own files are included with quotes"
    beside = os.path.normpath(os.path.join(os.path.dirname(path), target))
    if folder in OUTSIDE:
        if target == "satchel.h" or target == PUBLIC:
            return None
        if exists(beside) and beside.startswith(os.path.dirname(path) + "/"):
            return None
        return "outside users see only satchel.h and the files beside them"
    if target == PUBLIC:
        return None
    if not exists(target):
        if exists(beside):
            return f'write it from the root: "{beside}"'
        return "no such file in the tree; system headers take angle brackets"
    to = target.split("/")[0]
    if to != folder and to not in ARROWS[folder]:
        return f"{folder} may not include {to}"
    if (to != folder and folder not in FREE and to in ONE_INTERFACE
            and target != f"{to}/{to}.h"):
        return f"from outside {to} include its interface, {to}/{to}.h"
    return None


def check_folder(root, folder):
    problems, files = [], 0
    for where, folders, names in os.walk(os.path.join(root, folder)):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "build"]
        for name in sorted(names):
            if not name.endswith(SUFFIXES):
                continue
            files += 1
            full = os.path.join(where, name)
            path = os.path.relpath(full, root)
            with open(full, encoding="utf-8", errors="replace") as file:
                text = file.read()
            for match in INCLUDE.finditer(text):
                why = judge(path, match.group(1), match.group(2),
                            lambda p: os.path.isfile(os.path.join(root, p)))
                if why:
                    line = text.count("\n", 0, match.start()) + 1
                    problems.append(f"{path}:{line}: {match.group(2)}: {why}")
    return files, problems


def check_tree(root):
    print(f"1..{len(ARROWS)}")
    failed = False
    for number, folder in enumerate(ARROWS, 1):
        files, problems = check_folder(root, folder)
        failed |= bool(problems)
        print(f"{'not ok' if problems else 'ok'} {number} - {folder}: {files} files")
        for problem in problems:
            print("#   " + problem)
    return 1 if failed else 0


def self_test():
    tree = {PUBLIC, "base/base.h", "base/text.h", "retrieval/retrieval.h", "retrieval/terms.h",
            "generate/generate.h", "examples/cli/cli.h", "sdk/handle.h", "tests/faults/interpose.h"}
    cases = [
        # path, bracket, target, allowed
        ("base/text.c", '"', "base/base.h", True),
        ("base/text.c", '"', PUBLIC, True),
        ("base/text.c", "<", "string.h", True),
        ("base/text.c", '"', "base.h", False),
        ("base/text.c", '"', "retrieval/retrieval.h", False),
        ("base/text.c", "<", "base/base.h", False),
        ("base/text.c", '"', "string.h", False),
        ("retrieval/a.c", '"', "retrieval/terms.h", True),
        ("retrieval/a.c", '"', "base/text.h", True),
        ("retrieval/a.c", '"', "generate/generate.h", False),
        ("generate/a.c", '"', "retrieval/retrieval.h", False),
        ("generate/a.c", '"', "sdk/handle.h", False),
        ("sdk/a.c", '"', "retrieval/retrieval.h", True),
        ("sdk/a.c", '"', "retrieval/terms.h", False),
        ("tests/a.c", '"', "retrieval/terms.h", True),
        ("tests/faults/a.c", '"', "interpose.h", False),
        ("examples/cli/main.c", '"', "cli.h", True),
        ("examples/cli/main.c", "<", "satchel.h", True),
        ("examples/cli/main.c", '"', "base/base.h", False),
        ("examples/cli/main.c", '"', "../../base/base.h", False),
        ("bindings/x.c", '"', "sdk/handle.h", False),
        (PUBLIC, '"', "base/base.h", False),
        (PUBLIC, "<", "stdint.h", True),
    ]
    print(f"1..{len(cases)}")
    failed = False
    for number, (path, bracket, target, allowed) in enumerate(cases, 1):
        good = (judge(path, bracket, target, tree.__contains__) is None) == allowed
        failed |= not good
        verb = "may" if allowed else "may not"
        print(f"{'ok' if good else 'not ok'} {number} - {path} {verb} include {bracket}{target}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(self_test() if sys.argv[1:] == ["--self-test"] else check_tree(sys.argv[1]))
