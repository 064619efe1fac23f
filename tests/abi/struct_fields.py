"""What of satchel.h a binding leaves out: fields of structs that no function which deals with the struct
reads or sets."""
import re
from pathlib import Path


def functions_with(struct, header):
    """Names of the functions that are given the struct."""
    text = Path(header).read_text(encoding="utf-8")
    declared = re.findall(r"\bSATCHEL_API\b([^;]*);", text)
    return [re.search(r"\b(satchel_\w+)\s*\(", one)[1] for one in declared
            if re.search(rf"\b{struct} \*", one)]


def missing(header, structs, members, excused, others=()):
    """Lines, one for each thing that is left out without a reason, or excused without need. `members`:
    the binding's functions as text; `others`: names of what else is left out."""
    members = list(members)
    whole = "\n".join(members)
    left = set(others)
    for struct, fields in structs:
        if not re.search(rf"\b{struct}\b", whole) and struct in excused:
            left.add(struct)
            continue
        names = "|".join([struct, *functions_with(struct, header)])
        code = "\n".join(one for one in members if re.search(rf"\b({names})\b", one))
        left |= {f"{struct}.{field}" for field in fields
                 if not re.search(rf"(\.|->)`?{field}\b", code) and not field.startswith("reserved")
                 and not (field == "struct_size" and f"{struct}_init" in whole)}
    return (sorted(left - set(excused))
            + [f"{name} is there: no excuse is needed" for name in sorted(set(excused) - left)])
