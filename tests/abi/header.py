"""Reads satchel.h: what functions, structs and constants it declares. Shared by the ABI tests.

This is no C parser. It knows the plain style in which the header is written, and fails loudly on
what it does not know, so that nothing can leave the tests unseen.
"""
import re


def _without_comments(path):
    with open(path, encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", " ", file.read(), flags=re.S)
    # Marks of what may be NULL do not change what is declared.
    text = re.sub(r"\b_(?:Nullable|Nonnull)\b", "", text)
    return re.sub(r"//[^\n]*", " ", text)


def functions(path):
    """Names of all functions marked SATCHEL_API, sorted."""
    text = re.sub(r"^\s*#.*$", "", _without_comments(path), flags=re.M)
    names = re.findall(r"\bSATCHEL_API\b[^;({]*?\b(\w+)\s*\(", text)
    if len(names) != len(re.findall(r"\bSATCHEL_API\b", text)):
        raise SystemExit(f"{path}: a SATCHEL_API declaration is not understood")
    return sorted(names)


def _field_names(struct, body):
    for declaration in body.split(";"):
        declaration = " ".join(declaration.split())
        if not declaration:
            continue
        pointer = re.search(r"\(\s*\*\s*(\w+)\s*\)\s*\(", declaration)
        if pointer:
            yield pointer.group(1)
            continue
        for part in declaration.split(","):
            name = re.search(r"(\w+)\s*(\[\s*\w+\s*\])?\s*$", part)
            if not name:
                raise SystemExit(f"{struct}: the field '{declaration}' is not understood")
            yield name.group(1)


def structs(path):
    """[(struct name, [field names])] in the order of the header."""
    text = _without_comments(path)
    found = []
    for match in re.finditer(r"\btypedef\s+struct\s+(\w+)\s*\{(.*?)\}\s*(\w+)\s*;", text, re.S):
        found.append((match.group(3), list(_field_names(match.group(3), match.group(2)))))
    if len(found) != len(re.findall(r"\bstruct\s+\w*\s*\{", text)):
        raise SystemExit(f"{path}: a struct is not understood")
    return found


def constants(path):
    """Names of all enumerators, and of macros that stand for a number, in the order of the
    header."""
    text = _without_comments(path)
    names = []
    for body in re.findall(r"\benum\s*\w*\s*\{(.*?)\}", text, re.S):
        for part in body.split(","):
            part = part.strip()
            if part:
                names.append(re.match(r"\w+", part).group(0))
    names += re.findall(r"^#define\s+(SATCHEL_VERSION_\w+)\s+\d+", text, re.M)
    names += re.findall(r"^#define\s+(SATCHEL_NUL_TERMINATED)\s", text, re.M)
    return names
