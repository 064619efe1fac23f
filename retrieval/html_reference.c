/* HTML's character references: &amp; &#8212; &#x2014; and the 2,231 names of the HTML standard. */
#include <string.h>

#include "retrieval/html.h"
#include "retrieval/html_entities.inc"

enum {
    LONGEST_NAME = 32,      /* with its semicolon */
    LONGEST_UNFINISHED = 6, /* some old names need no semicolon */
};

static bool is_alpha(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}
static bool is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}

/* Index of a name in the table, -1 if it is none. */
static int find(const char *name, size_t length) {
    size_t low = 0, high = SAT_COUNT(entities);
    while (low < high) {
        size_t middle = (low + high) / 2, have = entities[middle].length;
        int order =
            memcmp(name, entity_names + entities[middle].name, length < have ? length : have);
        if (order == 0 && length == have)
            return (int)middle;
        if (order < 0 || (order == 0 && length < have))
            high = middle;
        else
            low = middle + 1;
    }
    return -1;
}

static size_t named(const char *text, size_t length, bool attribute, char out[8],
                    size_t *out_length) {
    size_t run = 0;
    while (run < length && run < LONGEST_NAME && (is_alpha(text[run]) || is_digit(text[run])))
        run++;
    int found = run < length && text[run] == ';' ? find(text, run + 1) : -1;
    size_t used = run + 1;
    for (size_t prefix = run < LONGEST_UNFINISHED ? run : LONGEST_UNFINISHED;
         found < 0 && prefix >= 2; prefix--) {
        found = find(text, prefix);
        used = prefix;
    }
    if (found < 0)
        return 0;
    /* In an attribute "&copy=1" is a piece of an address. */
    if (attribute && text[used - 1] != ';' && used < length &&
        (text[used] == '=' || is_alpha(text[used]) || is_digit(text[used])))
        return 0;
    *out_length = sat_utf8_encode((int32_t)entities[found].first, out);
    if (entities[found].second)
        *out_length += sat_utf8_encode(entities[found].second, out + *out_length);
    return used;
}

static int hex_value(char byte) {
    if (is_digit(byte))
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static size_t numeric(const char *text, size_t length, char out[8], size_t *out_length) {
    /* The numbers 0x80 to 0x9F mean Windows-1252 there; 0 keeps what stands there. */
    static const uint16_t windows_1252[32] = {
        0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
        0x2039, 0x0152, 0,      0x017D, 0,      0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
        0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178};
    size_t at = 0;
    int base = 10;
    if (at < length && (text[at] | 0x20) == 'x') {
        base = 16;
        at++;
    }
    size_t first = at;
    int32_t code = 0;
    for (; at < length; at++) {
        int digit = hex_value(text[at]);
        if (digit < 0 || digit >= base)
            break;
        code = code > 0x10FFFF ? code : code * base + digit;
    }
    if (at == first)
        return 0;
    if (code >= 0x80 && code <= 0x9F && windows_1252[code - 0x80])
        code = windows_1252[code - 0x80];
    if (code == 0)
        code = 0xFFFD;
    *out_length = sat_utf8_encode(code, out);
    return at + (at < length && text[at] == ';');
}

size_t sat_html_reference(const char *text, size_t length, bool attribute, char out[8],
                          size_t *out_length) {
    if (length < 3)
        return 0;
    size_t used;
    if (text[1] == '#') {
        used = numeric(text + 2, length - 2, out, out_length);
        return used ? used + 2 : 0;
    }
    used = named(text + 1, length - 1, attribute, out, out_length);
    return used ? used + 1 : 0;
}

void sat_html_decode_flow(sat_flow *flow, const char *text, size_t length, bool attribute) {
    for (size_t at = 0, from = 0; from < length && !sat_flow_failed(flow);) {
        const char *mark = memchr(text + at, '&', length - at);
        size_t stop = mark ? (size_t)(mark - text) : length;
        char decoded[8];
        size_t size,
            used = mark ? sat_html_reference(mark, length - stop, attribute, decoded, &size) : 0;
        if (mark && !used) { /* an ampersand like any other */
            at = stop + 1;
            if (at < length)
                continue;
            stop = length;
        }
        sat_flow_text(flow, text + from, stop - from);
        if (used)
            sat_flow_text(flow, decoded, size);
        at = from = stop + used;
    }
}
