/*
 * Bytes of unknown encoding to UTF-8: byte order marks first, then UTF-16 that shows by its zero
 * bytes, then UTF-8, then Windows-1252, which gives every byte a meaning.
 */
#include "base/text.h"

#include <string.h>

/* Windows-1252 from 0x80 to 0x9F; the five it leaves undefined are Latin-1's controls. */
static const uint16_t windows_1252[32] = {
    0x20AC, 0x0081, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x008D, 0x017D, 0x008F, 0x0090, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x009D, 0x017E, 0x0178};

static bool append_code(sat_buffer *out, int32_t code) {
    char utf8[4];
    return sat_buffer_append(out, utf8, sat_utf8_encode(code, utf8));
}

static bool append_1252(sat_buffer *out, uint8_t byte) {
    return append_code(out, byte >= 0x80 && byte < 0xA0 ? windows_1252[byte - 0x80] : byte);
}

/* ------------------------------------------------------------------ UTF-16 and UTF-32 */

static uint32_t unit(const uint8_t *bytes, size_t size, bool big) {
    uint32_t value = 0;
    for (size_t i = 0; i < size; i++)
        value |= (uint32_t)bytes[i] << 8 * (big ? size - 1 - i : i);
    return value;
}

static bool is_high(uint32_t code) {
    return code >= 0xD800 && code <= 0xDBFF;
}
static bool is_low(uint32_t code) {
    return code >= 0xDC00 && code <= 0xDFFF;
}

/* The code point at data[at], whose unit is whole, or -1 for an unpaired surrogate. *units gets how
 * many units it takes. */
static int32_t decode_16(const uint8_t *data, size_t size, size_t at, bool big, size_t *units) {
    uint32_t first = unit(data + at, 2, big);
    *units = 1;
    if (!is_high(first))
        return is_low(first) ? -1 : (int32_t)first;
    if (size - at < 4)
        return -1;
    uint32_t second = unit(data + at + 2, 2, big);
    if (!is_low(second))
        return -1;
    *units = 2;
    return (int32_t)(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00));
}

static void append_16(sat_buffer *out, const uint8_t *data, size_t size, bool big) {
    size_t at = 0, units;
    for (; size - at >= 2 && !out->failed; at += 2 * units)
        append_code(out, decode_16(data, size, at, big, &units));
    if (at < size) /* half a unit */
        append_code(out, -1);
}

static bool is_code_point(uint32_t code) {
    return code <= 0x10FFFF && !(code >= 0xD800 && code <= 0xDFFF);
}

static void append_32(sat_buffer *out, const uint8_t *data, size_t size, bool big) {
    size_t at = 0;
    for (; size - at >= 4 && !out->failed; at += 4) {
        uint32_t code = unit(data + at, 4, big);
        append_code(out, is_code_point(code) ? (int32_t)code : -1);
    }
    if (at < size)
        append_code(out, -1);
}

/* FF FE 00 00 begins UTF-32 or UTF-16 with a NUL first: UTF-32 if all of it can be. */
static bool all_32(const uint8_t *data, size_t size, bool big) {
    if (size % 4 != 0)
        return false;
    for (size_t at = 0; at < size; at += 4)
        if (!is_code_point(unit(data + at, 4, big)))
            return false;
    return true;
}

/* UTF-16 without a mark: text in Latin letters has a zero in every other byte, all on one side.
 * Looks at the beginning for that and at the whole for unpaired surrogates. */
static bool is_plain_16(const uint8_t *data, size_t size, bool big) {
    if (size < 4 || size % 2 != 0)
        return false;
    size_t sample = size < 65536 ? size : 65536, zero = 0, odd = 0;
    for (size_t at = 0; at < sample; at += 2) {
        uint32_t code = unit(data + at, 2, big);
        zero += code < 0x100 && code != 0;
        odd += code % 0x100 == 0; /* U+0000, or the other byte order's Latin letters */
    }
    if (zero * 10 < sample / 2 * 4 || odd * 50 > sample / 2)
        return false;
    for (size_t at = 0, units; at < size; at += 2 * units)
        if (decode_16(data, size, at, big, &units) < 0)
            return false;
    return true;
}

/* ------------------------------------------------------------------ bytes */

/* UTF-8 with some bytes that are not: those bytes as Windows-1252. */
static void append_mixed(sat_buffer *out, const char *text, size_t size) {
    for (size_t at = 0; at < size && !out->failed;) {
        size_t valid = sat_utf8_valid(text + at, size - at);
        sat_buffer_append(out, text + at, valid);
        at += valid;
        if (at < size)
            append_1252(out, (uint8_t)text[at++]);
    }
}

/* Is it UTF-8 that was cut or damaged? In other encodings a sequence that is valid UTF-8 is rare;
 * here they far outnumber the bytes that are wrong. */
static bool is_mostly_utf8(const char *text, size_t size) {
    size_t good = 0, bad = 0;
    for (size_t at = 0; at < size;) {
        int32_t code;
        size_t bytes = sat_utf8_decode(text + at, size - at, &code);
        bool valid = code != 0xFFFD || (bytes == 3 && (uint8_t)text[at] == 0xEF);
        good += valid && bytes > 1;
        bad += valid ? 0 : bytes;
        at += bytes;
    }
    return good > 4 * bad;
}

satchel_status sat_text_decode(sat_buffer *out, const void *data, size_t size,
                               const char **encoding, satchel_error *error) {
    const uint8_t *bytes = data;
    const char *text = data, *name;
    if (size >= 4 && memcmp(bytes, "\xFF\xFE\0\0", 4) == 0 && all_32(bytes + 4, size - 4, false)) {
        name = "UTF-32LE";
        append_32(out, bytes + 4, size - 4, false);
    } else if (size >= 4 && memcmp(bytes, "\0\0\xFE\xFF", 4) == 0) {
        name = "UTF-32BE";
        append_32(out, bytes + 4, size - 4, true);
    } else if (size >= 2 && memcmp(bytes, "\xFF\xFE", 2) == 0) {
        name = "UTF-16LE";
        append_16(out, bytes + 2, size - 2, false);
    } else if (size >= 2 && memcmp(bytes, "\xFE\xFF", 2) == 0) {
        name = "UTF-16BE";
        append_16(out, bytes + 2, size - 2, true);
    } else if (size >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0) {
        name = "UTF-8";
        append_mixed(out, text + 3, size - 3);
    } else if (is_plain_16(bytes, size, false)) {
        name = "UTF-16LE";
        append_16(out, bytes, size, false);
    } else if (is_plain_16(bytes, size, true)) {
        name = "UTF-16BE";
        append_16(out, bytes, size, true);
    } else if (sat_utf8_valid(text, size) == size) {
        name = "UTF-8";
        sat_buffer_append(out, text, size);
    } else if (is_mostly_utf8(text, size)) {
        name = "UTF-8";
        append_mixed(out, text, size);
    } else {
        name = "windows-1252";
        for (size_t at = 0; at < size && !out->failed; at++)
            append_1252(out, bytes[at]);
    }
    if (encoding)
        *encoding = name;
    return out->failed ? sat_memory_fail(out->memory, size, error) : SATCHEL_OK;
}
