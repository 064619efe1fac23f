/*
 * Normalisation in pieces on the stack, so that a text of any size takes no memory but its result.
 *
 * A piece may end wherever the next character begins anew: its decomposition starts with a
 * character of combining class 0 that never joins the one before. Each piece is decomposed by
 * utf8proc, brought into canonical order here (utf8proc's own sort is quadratic in hostile runs of
 * marks) and composed by utf8proc. Unicode promises at most 30 marks in a row in real text (UAX
 * #15, stream-safe format); a run that does not fit a piece is cut, and is normalised on both sides
 * of the cut.
 */
#include "base/text.h"

#include <string.h>
#include <utf8proc.h>

enum {
    PIECE = 512,  /* code points of a piece */
    LARGEST = 64, /* code points one character decomposes into; Unicode's longest is 18 */
    /* A piece ends at the first chance from here on: soon, as ASCII goes faster between pieces. */
    ENOUGH = 8,
};

typedef struct code_piece {
    int32_t codes[PIECE + LARGEST];
    size_t count;
} code_piece;

static int combining_class(int32_t code) {
    return code < 0x300 ? 0 : utf8proc_get_property(code)->combining_class;
}

/* Neither it nor what it decomposes into joins what stands before it, in any version of Unicode:
 * class 0 and no mark; nothing that case folding drops, because what follows moves up then, nor
 * what is not assigned yet; no filler, vowel or final of a Hangul syllable, compatibility and
 * half-width forms too, no half-width voicing mark, and none of Kirat Rai's vowel signs, which are
 * letters that join. */
bool sat_text_begins_anew(int32_t code) {
    if (code < 0x300)
        return code != 0xAD;
    if ((code >= 0x115F && code <= 0x11FF) || (code >= 0x3131 && code <= 0x318E) ||
        (code >= 0xD7B0 && code <= 0xD7FF) || (code >= 0xFF9E && code <= 0xFFDC) ||
        (code >= 0x16D40 && code <= 0x16D7F))
        return false;
    const utf8proc_property_t *property = utf8proc_get_property(code);
    return property->combining_class == 0 && property->category != UTF8PROC_CATEGORY_CN &&
           property->category != UTF8PROC_CATEGORY_CF && !sat_is_mark(code);
}

/* Canonical order: within each run of characters whose class is not 0, ascending and stable. */
static void order(code_piece *piece) {
    uint8_t classes[PIECE + LARGEST];
    for (size_t i = 0; i < piece->count; i++) {
        int32_t code = piece->codes[i];
        uint8_t class = (uint8_t)combining_class(code);
        size_t at = i;
        for (; class != 0 && at > 0 && classes[at - 1] > class; at--) {
            classes[at] = classes[at - 1];
            piece->codes[at] = piece->codes[at - 1];
        }
        classes[at] = class;
        piece->codes[at] = code;
    }
}

static bool flush(code_piece *piece, sat_buffer *out) {
    order(piece);
    utf8proc_ssize_t count = utf8proc_normalize_utf32(piece->codes, (utf8proc_ssize_t)piece->count,
                                                      UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    piece->count = 0;
    if (count < 0 || !sat_buffer_reserve(out, (size_t)count * 4))
        return false;
    for (utf8proc_ssize_t i = 0; i < count; i++)
        out->length += sat_utf8_encode(piece->codes[i], out->data + out->length);
    out->data[out->length] = '\0';
    return true;
}

/* Length of the ASCII prefix. */
static size_t ascii_prefix(const char *text, size_t length) {
    size_t at = 0;
    uint64_t word;
    while (length - at >= sizeof word) {
        memcpy(&word, text + at, sizeof word);
        if (word & UINT64_C(0x8080808080808080))
            break;
        at += sizeof word;
    }
    while (at < length && (uint8_t)text[at] < 0x80)
        at++;
    return at;
}

/* ASCII is its own decomposition; folded, capitals become small. */
static bool append_ascii(sat_buffer *out, const char *text, size_t length, bool fold) {
    size_t from = out->length;
    if (!sat_buffer_append(out, text, length))
        return false;
    for (size_t i = from; fold && i < out->length; i++)
        if (out->data[i] >= 'A' && out->data[i] <= 'Z')
            out->data[i] = (char)(out->data[i] + ('a' - 'A'));
    return true;
}

static satchel_status normalize(sat_buffer *out, const char *text, size_t length,
                                utf8proc_option_t options) {
    bool fold = (options & UTF8PROC_CASEFOLD) != 0;
    code_piece piece;
    piece.count = 0;
    for (size_t at = 0; at < length && !out->failed;) {
        if (piece.count == 0) {
            /* All but the last of an ASCII run: a mark may follow and join that one. */
            size_t plain = ascii_prefix(text + at, length - at);
            if (at + plain < length)
                plain -= plain > 0;
            if (plain > 0) {
                append_ascii(out, text + at, plain, fold);
                at += plain;
                continue;
            }
        }
        int32_t code;
        size_t size = sat_utf8_decode(text + at, length - at, &code);
        int32_t *decomposed = piece.codes + piece.count;
        int boundary = 0;
        utf8proc_ssize_t count =
            utf8proc_decompose_char(code, decomposed, LARGEST, options, &boundary);
        if (count < 0 || count > LARGEST) { /* no character does; keep it as it is */
            decomposed[0] = code;
            count = 1;
        }
        if (piece.count >= PIECE ||
            (piece.count >= ENOUGH && count > 0 && sat_text_begins_anew(decomposed[0]))) {
            flush(&piece, out);
            continue; /* decompose the same character again, into an empty piece */
        }
        piece.count += (size_t)count;
        at += size;
    }
    if (piece.count > 0)
        flush(&piece, out);
    return out->failed ? SATCHEL_OUT_OF_MEMORY : SATCHEL_OK;
}

satchel_status sat_text_nfc(sat_buffer *out, const char *text, size_t length) {
    return normalize(out, text, length, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE);
}

satchel_status sat_text_casefold(sat_buffer *out, const char *text, size_t length) {
    return normalize(out, text, length,
                     UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD |
                         UTF8PROC_IGNORE);
}

const char *sat_unicode_version(void) {
    return utf8proc_unicode_version();
}
