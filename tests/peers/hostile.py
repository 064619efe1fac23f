"""Random and hostile strings for tokenizers: the same on every run."""
import random
import unicodedata

from texts import ODD, WORDS

CATEGORIES = {}
for code in range(0x110000):
    if not 0xD800 <= code < 0xE000:
        CATEGORIES.setdefault(unicodedata.category(chr(code)), []).append(chr(code))

SPACES = [" ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", " \n ", "\u3000", "\xa0", "\x85", "\u2028",
          "\x0b", "\x0c", "\u2581", " \u2581 "]
BITS = ["'s", "'S", "'ll", "'LL", "'re", "'Ve", "'m", "'t", "'d", "'x", "'", "don't", "I'm", "123",
        "1234", "12345678", "3.14", "0", "½", "Ⅳ", "٣", "HTTPServer", "camelCase", "ABCdef", "aBC",
        "É", "éÉcole", "中文Abc", "Abc中文", "ﬁ", "=", "==", "//", "/*", "*/", "{}", "();", "...", "!!!",
        "\n\n\n", "    ", "\t\t", "😀", "👩‍👩‍👧", "e\u0301", "\u0301", "नमस्ते", "กำ", "ﷺ", "Ａ１", "㎏", "\u200b",
        "\ufeff", "\x00", "\x1f", "\x7f", "\ufffd", "\U0010ffff", "\ue000", "\U0002ebf0", "。", "「", "“", "—",
        "<0x0A>", "<0x41>", "Ġ", "Ċ", "ġ", "ö", "ÿ", "Ã", "[PAD", "<|", "|>", "</", "<", ">", "[", "]"]


def strings(count, specials=(), seed=1):
    """`count` strings; some hold one of `specials`, whole or in parts."""
    rng = random.Random(seed)
    words = sum((text.split(" ") for text in WORDS.values()), [])
    kinds = list(CATEGORIES)
    specials = list(specials) or ["<s>"]
    out = [text for text in ODD if len(text) < 3000]
    out += BITS + SPACES + [a + b for a in BITS[:30] for b in SPACES]

    def piece():
        kind = rng.randrange(12)
        if kind < 3:
            return rng.choice(words)
        if kind == 3:
            return rng.choice(SPACES)
        if kind == 4:
            return rng.choice(BITS)
        if kind == 5:
            return rng.choice(CATEGORIES[rng.choice(kinds)])
        if kind == 6:
            return "".join(chr(rng.randrange(0x20, 0x7F)) for _ in range(rng.randrange(1, 12)))
        if kind == 7:
            return rng.choice("aA0 \n.'") * rng.randrange(1, 60)
        if kind == 8:
            return "".join(rng.choice("ab \n1'.A") for _ in range(rng.randrange(1, 20)))
        if kind == 9:
            text = rng.choice(specials)
            return text if rng.random() < 0.5 else text[:rng.randrange(len(text) + 1)]
        if kind == 10:
            return rng.choice(words).upper() + rng.choice(words)
        return " " + rng.choice(words)

    while len(out) < count:
        out.append("".join(piece() for _ in range(rng.randrange(1, 14))))
    return out[:count]


def invalid(count, seed=2):
    """Bytes that are mostly no UTF-8."""
    rng = random.Random(seed)
    parts = [b"\x80", b"\xc0\xaf", b"\xe2\x96", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xff", b"a", b" ",
             "é".encode(), "😀".encode(), b"\xf4\x90\x80\x80", b"\xc3", b"\xe0\x80\x80"]
    return [b"".join(rng.choice(parts) for _ in range(rng.randrange(1, 12))) for _ in range(count)]
