"""What of satchel.h the Swift package leaves out: constants that no line of it names, and fields of structs
that no function which deals with the struct reads or sets."""
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "abi"))
import struct_fields  # noqa: E402

# What is left out, and why.
EXCUSED = {
    "satchel_allocator": "Swift allocates for itself; ContextOptions.memoryLimit bounds the library",
    "satchel_context_options.allocator": "as satchel_allocator",
    "satchel_store_options.encryption_key": "reserved: unsupported unless NULL",
    "satchel_store_options.encryption_key_size": "as encryption_key",
    "satchel_generator_request.struct_size": "the library fills it in",
    "satchel_generator_request.cancel": "GeneratorTable reads it, beside GeneratorRequest",
    "satchel_reader_sink.struct_size": "the library fills it in",
    "satchel_locator.start": "the library ignores what a reader gives",
    "satchel_prepared_info.search_mode": "SearchResults.mode says it",
    "satchel_points.stride": "rows stand one behind the other",
}
# Constants that are nil in Swift, plain numbers there, told apart by pointers, or for C programs alone.
EXCUSED_CONSTANTS = re.compile(
    r"SATCHEL_(\w+_DEFAULT|REASON_NONE|CPU_\w+|EVENT_(?!DONE)\w+|VERSION_\w+|NUL_TERMINATED)$")


def _members(sources):
    """The functions of the package as text, each with what stands before it in its type."""
    for path in sorted(Path(sources).glob("*.swift")):
        text = re.sub(r"//[^\n]*", "", path.read_text(encoding="utf-8"))
        for outer in re.split(r"^\}$", text, flags=re.M):
            alone = re.search(r"^(?:\w+ )*func ", outer, re.M)
            yield from [outer] if alone else re.split(r"^ {4}\}$", outer, flags=re.M)


def missing(header, sources, structs, constants):
    """Lines, one for each thing that is left out without a reason, or excused without need."""
    members = list(_members(sources))
    whole = "\n".join(members)
    unnamed = {constant for constant in constants if not re.search(rf"\b{constant}\b", whole)
               and not EXCUSED_CONSTANTS.match(constant)}
    return struct_fields.missing(header, structs, members, EXCUSED, unnamed)
