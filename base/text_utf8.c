/* UTF-8 and UTF-16: decoding, encoding, checking, borders, lengths. */
#include "base/text.h"

#include <string.h>

/* What may follow a lead byte, by Unicode's table of well-formed sequences: the number of trailing
 * bytes (0: not a lead) and the range of the first of them, which is where overlong forms,
 * surrogates and values past U+10FFFF are told apart. */
static int lead_class(uint8_t lead, uint8_t *low, uint8_t *high) {
    *low = 0x80;
    *high = 0xBF;
    if (lead >= 0xC2 && lead <= 0xDF)
        return 1;
    if (lead >= 0xE0 && lead <= 0xEF) {
        if (lead == 0xE0)
            *low = 0xA0;
        if (lead == 0xED)
            *high = 0x9F;
        return 2;
    }
    if (lead >= 0xF0 && lead <= 0xF4) {
        if (lead == 0xF0)
            *low = 0x90;
        if (lead == 0xF4)
            *high = 0x8F;
        return 3;
    }
    return 0;
}

/* Size of the well-formed prefix of a sequence at text, and whether it is whole. */
static size_t sequence(const uint8_t *text, size_t length, int32_t *code, bool *whole) {
    uint8_t low, high;
    int trail = lead_class(text[0], &low, &high);
    size_t size = 1;
    int32_t value = trail == 1 ? text[0] & 0x1F : trail == 2 ? text[0] & 0x0F : text[0] & 0x07;
    while (size <= (size_t)trail && size < length && text[size] >= low && text[size] <= high) {
        value = value << 6 | (text[size] & 0x3F);
        size++;
        low = 0x80;
        high = 0xBF;
    }
    *whole = trail > 0 && size == (size_t)trail + 1;
    *code = value;
    return size;
}

size_t sat_utf8_decode(const char *text, size_t length, int32_t *code) {
    uint8_t first = (uint8_t)text[0];
    if (first < 0x80) {
        *code = first;
        return 1;
    }
    bool whole;
    size_t size = sequence((const uint8_t *)text, length, code, &whole);
    if (!whole)
        *code = 0xFFFD;
    return size;
}

size_t sat_utf8_encode(int32_t code, char out[4]) {
    if (code < 0 || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
        code = 0xFFFD;
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3F));
        out[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3F));
    out[2] = (char)(0x80 | (code >> 6 & 0x3F));
    out[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

size_t sat_utf8_valid(const char *text, size_t length) {
    const uint8_t *bytes = (const uint8_t *)text;
    size_t at = 0;
    while (at < length) {
        /* Eight ASCII bytes at a time: most text is mostly that. */
        uint64_t word;
        while (length - at >= sizeof word) {
            memcpy(&word, bytes + at, sizeof word);
            if (word & UINT64_C(0x8080808080808080))
                break;
            at += sizeof word;
        }
        if (at == length)
            break;
        if (bytes[at] < 0x80) {
            at++;
            continue;
        }
        int32_t code;
        bool whole;
        size_t size = sequence(bytes + at, length - at, &code, &whole);
        if (!whole)
            return at;
        at += size;
    }
    return length;
}

size_t sat_utf8_border(const char *text, size_t length, size_t at) {
    if (at >= length)
        return length;
    while (at > 0 && ((uint8_t)text[at] & 0xC0) == 0x80)
        at--;
    return at;
}

size_t sat_utf16_length(const char *text, size_t length) {
    size_t units = 0;
    for (size_t i = 0; i < length; i++) {
        uint8_t byte = (uint8_t)text[i];
        /* One unit for each first byte, one more where the character needs a surrogate pair. */
        units += (size_t)((byte & 0xC0) != 0x80) + (size_t)(byte >= 0xF0);
    }
    return units;
}
