"""The public interface of the Swift package as text, one declaration a line, from the symbol graph that
the compiler writes; and which of it has no documentation."""
import json


def _location(symbol):
    """Of what we wrote; what the compiler makes up has no place in a file."""
    return symbol.get("location", {}).get("uri")


def read(path):
    """([line], [undocumented name]) of a symbol graph, sorted."""
    with open(path, encoding="utf-8") as file:
        graph = json.load(file)
    lines, bare = [], []
    for symbol in graph["symbols"]:
        if not _location(symbol):
            continue
        name = ".".join(symbol["pathComponents"])
        declaration = "".join(part["spelling"] for part in symbol["declarationFragments"])
        lines.append(f"{name}: {' '.join(declaration.split())}")
        if not symbol.get("docComment"):
            bare.append(name)
    return sorted(lines), sorted(bare)
