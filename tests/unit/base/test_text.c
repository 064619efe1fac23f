/* UTF-8 and UTF-16 with valid and hostile input, and classes of characters. */
#include "tests/unit/base/unit.h"

/* ------------------------------------------------------------------ UTF-8 */

static void every_code_point_goes_both_ways(void **state) {
    for (int32_t code = 0; code <= 0x10FFFF; code++) {
        char utf8[4];
        int32_t back;
        size_t size = sat_utf8_encode(code, utf8);
        bool surrogate = code >= 0xD800 && code <= 0xDFFF;
        if (size < 1 || size > 4 || sat_utf8_decode(utf8, size, &back) != size ||
            back != (surrogate ? 0xFFFD : code) || sat_utf8_valid(utf8, size) != size ||
            sat_utf16_length(utf8, size) != (surrogate || code < 0x10000 ? 1u : 2u))
            fail_msg("U+%04X", (unsigned)code);
    }
    char utf8[4];
    assert_int_equal(sat_utf8_encode(-1, utf8), 3);
    assert_memory_equal(utf8, "\uFFFD", 3);
    assert_int_equal(sat_utf8_encode(0x110000, utf8), 3);
    assert_int_equal(sat_utf8_encode(INT32_MIN, utf8), 3);
}

/* Sizes of the maximal invalid parts, from the Unicode Standard's examples (chapter 3, U+FFFD
 * substitution) and more. */
static void invalid_bytes_are_told(void **state) {
    static const struct {
        const char *bytes;
        size_t length;
        const char *sizes; /* of each piece; those of valid characters as letters: a = 1, … */
    } cases[] = {
        {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", 9, "11111111a"}, /* overlong */
        {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", 9, "11111111a"}, /* surrogates */
        {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", 9, "11111a11a"}, /* past U+10FFFF */
        {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", 9, "2132a"},     /* cut short */
        {"\xF5\x80\x80\x80", 4, "1111"},
        {"\xF8\x88\x80\x80\x80", 5, "11111"},
        {"\xFE\xFF", 2, "11"},
        {"\xC3", 1, "1"},
        {"\xE2\x82", 2, "2"},
        {"\xF0\x9F\x98", 3, "3"},
        {"\xC3\xA9\0\xF0\x9F\x98\x80", 7, "bad"},
        {"\xF4\x8F\xBF\xBF\xEF\xBF\xBF\xED\x9F\xBF", 10, "dcc"}, /* the last of each */
        {"\xF0\x90\x80\x80\xE0\xA0\x80\xC2\x80", 9, "dcb"},      /* the first of each */
    };
    for (size_t i = 0; i < SAT_COUNT(cases); i++) {
        size_t at = 0, first_invalid = cases[i].length;
        for (const char *size = cases[i].sizes; *size; size++) {
            bool valid = *size >= 'a';
            int32_t code;
            if (!valid && first_invalid == cases[i].length)
                first_invalid = at;
            size_t got = sat_utf8_decode(cases[i].bytes + at, cases[i].length - at, &code);
            assert_int_equal(got, valid ? *size - 'a' + 1 : *size - '0');
            assert_int_equal(code == 0xFFFD, !valid);
            at += got;
        }
        assert_int_equal(at, cases[i].length);
        assert_int_equal(sat_utf8_valid(cases[i].bytes, cases[i].length), first_invalid);
    }
}

static void the_first_invalid_byte_is_found(void **state) {
    char text[64];
    for (size_t at = 0; at < 40; at++) {
        memset(text, 'x', sizeof text);
        assert_int_equal(sat_utf8_valid(text, sizeof text), sizeof text);
        text[at] = '\x80';
        assert_int_equal(sat_utf8_valid(text, sizeof text), at);
        memcpy(text + at, "\xE8\xAA\x9E", 3);
        assert_int_equal(sat_utf8_valid(text, sizeof text), sizeof text);
        assert_int_equal(sat_utf8_valid(text, at + 2), at);
    }
    assert_int_equal(sat_utf8_valid("", 0), 0);
    assert_int_equal(sat_utf8_valid(NULL, 0), 0);
}

static void borders_are_between_characters(void **state) {
    static const char text[] = "aé語😀z";
    static const size_t borders[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11, 11};
    for (size_t at = 0; at < SAT_COUNT(borders); at++)
        assert_int_equal(sat_utf8_border(text, sizeof text - 1, at), borders[at]);
    assert_int_equal(sat_utf8_border(text, sizeof text - 1, SIZE_MAX), 11);
    assert_int_equal(sat_utf8_border("\x80\x80", 2, 1), 0);
    assert_int_equal(sat_utf8_border("", 0, 0), 0);
}

static void utf16_lengths(void **state) {
    assert_int_equal(sat_utf16_length("", 0), 0);
    assert_int_equal(sat_utf16_length("aé語😀z", 11), 6);
    assert_int_equal(sat_utf16_length("👩‍👩‍👧", strlen("👩‍👩‍👧")), 8);
    assert_int_equal(sat_utf16_length("a\0b", 3), 3);
}

/* ------------------------------------------------------------------ classes */

static void classes_are_unicode_s(void **state) {
    static const struct {
        bool (*is)(int32_t code);
        const char *yes, *no;
    } cases[] = {
        {sat_is_space, " \t\n\v\f\r\u00A0\u1680\u2003\u2028\u2029\u3000",
         "a.\u200B\xC2\x85"
         "\uFEFF"},
        {sat_is_letter, "aZßÄЖאعक語あ한ʰªǅ", "1 .\u0301_€²Ⅷ"},
        {sat_is_mark, "\u0301\u064E\u093E\u20DD\u3099", "a1 ´"},
        {sat_is_digit, "09٣५²½Ⅷ〇", "a.十"},
        {sat_is_punctuation, ".!?-_(«“„。、・¿#%", "a1 +$€<"},
        {sat_is_control,
         "\x01\x1B\x7F\xC2\x85"
         "\u200B\uFEFF\uE000\u00AD",
         "\t\n\ra "},
        {sat_is_upper, "AÄЖΩǅ", "aäж1語ª"},
        {sat_is_unspaced, "語㐀々〇あアーｱไລកမༀ𠀀ꀀᦀㄅ\U00030000", "aÄЖ한1。、・ ᄀא\u0E34\u0E50"},
    };
    for (size_t i = 0; i < SAT_COUNT(cases); i++)
        for (int yes = 0; yes < 2; yes++) {
            const char *text = yes ? cases[i].yes : cases[i].no;
            int32_t code;
            for (size_t left = strlen(text), size; left > 0; left -= size, text += size) {
                size = sat_utf8_decode(text, left, &code);
                if (cases[i].is(code) != yes)
                    fail_msg("case %zu: U+%04X should be %d", i, (unsigned)code, yes);
            }
        }
}

static void no_code_is_too_strange(void **state) {
    static const int32_t codes[] = {-1, INT32_MIN, INT32_MAX, 0x110000, 0xD800, 0xDFFF, 0xFFFF};
    for (size_t i = 0; i < SAT_COUNT(codes); i++) {
        assert_false(sat_is_space(codes[i]));
        assert_false(sat_is_letter(codes[i]));
        assert_false(sat_is_mark(codes[i]));
        assert_false(sat_is_digit(codes[i]));
        assert_false(sat_is_punctuation(codes[i]));
        assert_false(sat_is_upper(codes[i]));
        assert_false(sat_is_unspaced(codes[i]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_goes_both_ways),
        cmocka_unit_test(invalid_bytes_are_told),
        cmocka_unit_test(the_first_invalid_byte_is_found),
        cmocka_unit_test(borders_are_between_characters),
        cmocka_unit_test(utf16_lengths),
        cmocka_unit_test(classes_are_unicode_s),
        cmocka_unit_test(no_code_is_too_strange),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
