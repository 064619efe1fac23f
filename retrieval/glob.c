/*
 * Glob patterns over code points, without recursion: a star that fails later is given one character
 * more, and only the last star needs to be remembered.
 */
#include "retrieval/store.h"

/* Reads the set that starts after '[' at *at. False if it is not closed: '[' then stands for
 * itself. */
static bool match_set(const char *pattern, size_t length, size_t *at, int32_t code, bool *matches) {
    size_t i = *at;
    bool inverted = i < length && (pattern[i] == '^' || pattern[i] == '!');
    bool found = false;
    i += inverted;
    for (size_t first = i; i < length; first = SIZE_MAX) {
        if (pattern[i] == ']' && i != first) {
            *at = i + 1;
            *matches = found != inverted;
            return true;
        }
        int32_t low, high;
        i += sat_utf8_decode(pattern + i, length - i, &low);
        high = low;
        if (i + 1 < length && pattern[i] == '-' && pattern[i + 1] != ']') {
            i++;
            i += sat_utf8_decode(pattern + i, length - i, &high);
        }
        found |= low <= code && code <= high;
    }
    return false;
}

/* Whether the element of the pattern at *at, not a star, matches the character; moves *at past
 * it. */
static bool match_one(const char *pattern, size_t length, size_t *at, int32_t code) {
    int32_t wanted;
    size_t next = *at + sat_utf8_decode(pattern + *at, length - *at, &wanted);
    bool matches = false;
    if (wanted == '?') {
        *at = next;
        return true;
    }
    if (wanted == '[' && match_set(pattern, length, &next, code, &matches)) {
        *at = next;
        return matches;
    }
    *at = next;
    return wanted == code;
}

bool sat_glob_match(const char *pattern, size_t pattern_length, const char *text,
                    size_t text_length) {
    size_t p = 0, t = 0;
    size_t star = SIZE_MAX, star_text = 0; /* after the last star, and where it stopped taking */
    while (t < text_length) {
        if (p < pattern_length && pattern[p] == '*') {
            star = ++p;
            star_text = t;
            continue;
        }
        int32_t code;
        size_t size = sat_utf8_decode(text + t, text_length - t, &code);
        if (p < pattern_length && match_one(pattern, pattern_length, &p, code)) {
            t += size;
            continue;
        }
        if (star == SIZE_MAX)
            return false;
        p = star;
        star_text += sat_utf8_decode(text + star_text, text_length - star_text, &code);
        t = star_text;
    }
    while (p < pattern_length && pattern[p] == '*')
        p++;
    return p == pattern_length;
}
