"""The binding against the header: layouts, constants, functions, defaults."""
import ctypes
import re
import sys
import unittest

import support

sys.path.insert(0, str(support.ROOT / "tests" / "abi"))
import header  # noqa: E402

import satchel  # noqa: E402
from satchel import _callbacks, _constants, _native, _structs, errors  # noqa: E402

HEADER = support.ROOT / "sdk" / "include" / "satchel.h"

# Public functions that the binding does not call, and why.
NOT_CALLED = {"satchel_context_cpu_level": "Context.cpu gives the name of the same level"}


def kept_layout():
    """{struct: (size, {field: (offset, size)})} and {constant: value} from
    tests/abi/satchel.abi."""
    structs, constants, current = {}, {}, None
    for line in (support.ROOT / "tests" / "abi" / "satchel.abi").read_text().splitlines():
        words = line.split()
        if words[0] == "struct":
            current = structs[words[1]] = (int(words[3]), {})
        elif words[0] == "constant":
            constants[words[1]] = int(words[2])
        else:
            current[1][words[0]] = (int(words[2]), int(words[4]))
    return structs, constants


class Abi(unittest.TestCase):
    def test_structs_have_the_header_s_layout(self):
        structs, _ = kept_layout()
        missing = set(structs) - set(_structs.NAMES)
        self.assertEqual(missing, {"satchel_allocator"})  # see _structs.NAMES
        for name, kind in _structs.NAMES.items():
            size, fields = structs[name]
            self.assertEqual(ctypes.sizeof(kind), size, name)
            self.assertEqual([field[0] for field in kind._fields_], list(fields), name)
            for field, (offset, width) in fields.items():
                place = getattr(kind, field)
                self.assertEqual((place.offset, place.size), (offset, width), f"{name}.{field}")

    def test_constants_have_the_header_s_values(self):
        _, constants = kept_layout()
        for name, value in _constants.CONSTANTS.items():
            self.assertEqual(value, constants[name], name)
        for family in ("SEARCH", "ANSWER", "REASON", "EVENT", "PHASE", "FILE", "POOLING", "ROLE",
                       "CPU", "LOG", "LOCATOR", "KMEANS", "INIT", "STOP", "MODEL", "KV",
                       "OVERFLOW", "FINISH"):
            ours = {name for name in _constants.CONSTANTS if name.startswith(f"SATCHEL_{family}_")}
            theirs = {name for name in constants if name.startswith(f"SATCHEL_{family}_")}
            self.assertEqual(ours, theirs)

    def test_every_status_has_an_exception(self):
        _, constants = kept_layout()
        statuses = {name for name, value in constants.items()
                    if value < 0 and name != "SATCHEL_NUL_TERMINATED"}
        self.assertEqual(statuses, set(errors.BY_STATUS))
        for name, kind in errors.BY_STATUS.items():
            code = constants[name]
            self.assertEqual(_structs.string(_native.library.satchel_status_name(code)), name)
            problem = kind("message", code, name, 0)
            self.assertEqual((problem.code, problem.status, problem.message),
                             (code, name, "message"))
            self.assertIn(kind.__name__, satchel.__all__)

    def test_every_function_is_called(self):
        source = "".join(path.read_text() for path in
                         (support.ROOT / "bindings" / "python" / "satchel").glob("*.py"))
        called = set(re.findall(r"(?:library|_quick)\.(satchel_\w+)", source))
        called |= set(re.findall(r'"(satchel_\w+_options_init)"', source))
        declared = set(header.functions(HEADER))
        self.assertEqual(declared - called - set(NOT_CALLED), set())
        self.assertEqual(called - declared, set())
        self.assertEqual(set(NOT_CALLED) & called, set())

    def test_everything_public_is_exported(self):
        for name in satchel.__all__:
            self.assertTrue(hasattr(satchel, name), name)
        self.assertTrue(issubclass(satchel.NotFound, LookupError))
        self.assertIsNotNone(_callbacks.Embedder)

    def test_version(self):
        major, minor, patch = (re.search(rf"SATCHEL_VERSION_{part} (\d+)", HEADER.read_text())[1]
                               for part in ("MAJOR", "MINOR", "PATCH"))
        self.assertEqual(satchel.version(), f"{major}.{minor}.{patch}")
        self.assertTrue(satchel.has_feature("encoder"))
        self.assertFalse(satchel.has_feature("no such part"))


if __name__ == "__main__":
    unittest.main()
