"""What of satchel.h the Kotlin package leaves out: fields that no native method reads or sets, and constants
that no enumeration has, with their number."""
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "abi"))
import header as abi_header  # noqa: E402
import struct_fields  # noqa: E402

# What is left out, and why.
EXCUSED = {
    "satchel_allocator": "Java allocates for itself; ContextOptions.memoryLimit bounds the library",
    "satchel_context_options.allocator": "as satchel_allocator",
    "satchel_store_options.encryption_key": "reserved: unsupported unless NULL",
    "satchel_store_options.encryption_key_size": "as encryption_key",
    "satchel_generator_request.struct_size": "the library fills it in",
    "satchel_reader_sink.struct_size": "the library fills it in",
    "satchel_locator.start": "the library ignores what a reader gives",
    "satchel_points.stride": "rows stand one behind the other",
    "satchel_error": "write_failure() hands it on with every failure, by the call",
    **{f"satchel_event_{event}": "write_event() reads it by the event"
       for event in ("mode", "token", "refusal", "file")},
}
# How the constants of each enumeration begin in C.
FAMILIES = {
    "SearchMode": "SEARCH", "AnswerMode": "ANSWER", "Reason": "REASON", "Phase": "PHASE", "FileChange": "FILE",
    "FinishReason": "FINISH", "Overflow": "OVERFLOW", "Pooling": "POOLING", "KVType": "KV", "ModelKind": "MODEL",
    "Role": "ROLE", "LogLevel": "LOG", "KMeansObjective": "KMEANS", "KMeansMode": "KMEANS", "KMeansInit": "INIT",
    "KMeansStop": "STOP",
}
# Constants that are null in Kotlin, plain numbers there, or for C programs alone; statuses have a test in
# Kotlin, locators are functions of ReaderOutput, events classes.
EXCUSED_CONSTANTS = re.compile(r"SATCHEL_(\w+_DEFAULT|CPU_\w+|EVENT_\w+|LOCATOR_\w+|VERSION_\w+|NUL_TERMINATED)$")


def _numbers(header):
    """name -> number, of the enumerations but that of statuses."""
    found = {name: int(number) for name, number in
             re.findall(r"\b(SATCHEL_\w+) = (-?\d+)", Path(header).read_text(encoding="utf-8"))}
    return {name: number for name, number in found.items() if number >= 0 and name != "SATCHEL_OK"}


def wrong_constants(header, source):
    """Lines, one for each constant that one side lacks, or has with another number."""
    text = re.sub(r"//[^\n]*|/\*.*?\*/", "", Path(source).read_text(encoding="utf-8"), flags=re.S)
    there = {}
    for name, body in re.findall(r"enum class (\w+)\(override val code: Int\) : Coded \{(.*?)\}", text, re.S):
        for constant, number in re.findall(r"\b([A-Z_0-9]+)\((-?\d+)\)", body):
            if constant != "UNKNOWN":
                there[f"SATCHEL_{FAMILIES.get(name, name)}_{constant}"] = int(number)
    wanted = {name: number for name, number in _numbers(header).items() if not EXCUSED_CONSTANTS.match(name)}
    return [f"{name}: {wanted.get(name, 'none')} in C, {there.get(name, 'none')} in Kotlin"
            for name in sorted({*wanted, *there}) if wanted.get(name) != there.get(name)]


def _members(folder):
    for path in sorted(Path(folder).glob("*.c")):
        text = re.sub(r"//[^\n]*|/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.S)
        yield from re.split(r"^\}$", text, flags=re.M)


def missing(header, folder):
    """Lines, one for each field that is left out without a reason, or excused without need."""
    return struct_fields.missing(header, abi_header.structs(header), _members(folder), EXCUSED)
