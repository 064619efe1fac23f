#!/usr/bin/env python3
"""Every public C function is called by each binding, or named in reach.json with a reason. TAP.

    reach.py SOURCE_ROOT satchel.map reach.json
"""
import ast
import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "abi"))
sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))
import symbols  # noqa: E402
from report import Report  # noqa: E402

# Where a binding calls the library, and how its files end.
BINDINGS = {
    "python": ("bindings/python/satchel", (".py",)),
    "swift": ("bindings/swift/Sources/Satchel", (".swift",)),
    "kotlin": ("bindings/kotlin/jni", (".c", ".h")),
}
COMMENT_OR_STRING = re.compile(
    r'/\*.*?\*/|//[^\n]*|"""(?:\\.|[^\\])*?"""|"(?:\\.|[^"\\\n])*"', re.S)


def called_in_python(text):
    """Attributes, and names in strings that getattr() is given: all but what _declare() only
    describes."""
    names = set()
    pending = [ast.parse(text)]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "_declare":
            continue
        if isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value)
        pending.extend(ast.iter_child_nodes(node))
    return names


def called_in_c_or_swift(text):
    """Names in code; comments and strings call nothing."""
    return set(re.findall(r"\bsatchel_\w+\b", COMMENT_OR_STRING.sub(" ", text)))


def called(root, binding):
    folder, endings = BINDINGS[binding]
    names = set()
    files = [path for path in sorted((root / folder).rglob("*")) if path.suffix in endings]
    for path in files:
        text = path.read_text(encoding="utf-8")
        names |= called_in_python(text) if path.suffix == ".py" else called_in_c_or_swift(text)
    return files, names


def faults(functions, names, reasons):
    """What is wrong between what there is, what is called and what is excused."""
    found = [f"{name} is neither called nor named in reach.json"
             for name in functions if name not in names and name not in reasons]
    for name, reason in sorted(reasons.items()):
        if name not in functions:
            found.append(f"{name} of reach.json is no function of satchel.map")
        elif name in names:
            found.append(f"{name} is called; take it out of reach.json")
        if len(reason) < 10:
            found.append(f"{name} has no reason in reach.json")
    return found


def self_test():
    """The check itself: what only looks like a call is none, and each kind of fault is seen."""
    python = called_in_python('_declare("satchel_a", None)\nlibrary.satchel_b()\n'
                              'new(S, "satchel_c")\n# satchel_d\n')
    plain = called_in_c_or_swift('// satchel_a\n/* satchel_b */ f("satchel_c"); satchel_d();')
    return (python >= {"satchel_b", "satchel_c"}
            and not python & {"satchel_a", "satchel_d"}
            and plain == {"satchel_d"}
            and len(faults(["a"], set(), {})) == 1
            and len(faults(["a"], {"a"}, {"a": "a long reason"})) == 1
            and len(faults(["a"], set(), {"a": "", "b": "a long reason"})) == 2
            and not faults(["a", "b"], {"a"}, {"b": "a long reason"}))


def main():
    root, map_path, reasons_path = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    functions = symbols.map_symbols(map_path)[1]
    with open(reasons_path, encoding="utf-8") as file:
        reasons = json.load(file)
    good = self_test() and set(reasons) == set(BINDINGS)
    told = Report()
    told.check("the check finds what it is for", "" if good else "it does not")
    for binding in BINDINGS:
        files, names = called(root, binding)
        found = faults(functions, names, reasons[binding]) if files else ["no source file"]
        told.check(f"{binding} reaches all {len(functions)} functions, but {len(reasons[binding])} "
                   "with a reason", found)
    return told.end()


if __name__ == "__main__":
    raise SystemExit(main())
