/* How many tokens a text has, about, where nobody can count them. */
#include "base/text.h"

size_t sat_text_estimate_tokens(const char *text, size_t length, size_t letters_per_token) {
    size_t tokens = 0, letters = 0, digits = 0;
    for (size_t at = 0, size; at <= length; at += size) {
        int32_t code = ' ';
        size = at < length ? sat_utf8_decode(text + at, length - at, &code) : 1;
        bool unspaced = sat_is_unspaced(code), letter = !unspaced && sat_is_letter(code);
        bool digit = sat_is_digit(code);
        if (sat_is_mark(code))
            continue;
        if (!letter) {
            tokens += (letters + letters_per_token - 1) / letters_per_token;
            letters = 0;
        }
        if (!digit) {
            tokens += (digits + 2) / 3;
            digits = 0;
        }
        letters += letter;
        digits += digit;
        tokens += !letter && !digit && !sat_is_space(code);
    }
    return tokens;
}
