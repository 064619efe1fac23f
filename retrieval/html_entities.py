#!/usr/bin/env python3
"""Writes the table of HTML's named character references, as C, from the one that Python knows."""
import html.entities
import sys

names = sorted(html.entities.html5, key=lambda name: name.encode())
blob, rows = "", []
for name in names:
    codes = [ord(character) for character in html.entities.html5[name]] + [0]
    rows.append(f"    {{0x{codes[0]:X}, 0x{codes[1]:X}, {len(blob)}, {len(name)}}},")
    blob += name
assert len(blob) < 65536 and all(name.isascii() for name in names)

with open(sys.argv[1], "w", encoding="ascii") as out:
    # Characters rather than a string: C promises no string as long as this.
    out.write("/* Written by html_entities.py. */\nstatic const char entity_names[] = {\n")
    for at in range(0, len(blob), 20):
        out.write("    " + ", ".join(f"'{byte}'" for byte in blob[at:at + 20]) + ",\n")
    out.write("};\n/* First and second code point, offset and length of the name; by name. */\n"
              "static const struct {\n    uint32_t first;\n    uint16_t second, name;\n"
              "    uint8_t length;\n} entities[] = {\n")
    out.write("\n".join(rows) + "\n};\n")
