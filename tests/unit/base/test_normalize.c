/* Normalisation: known pairs, and pieces against utf8proc on the whole text. */
#include <utf8proc.h>

#include "tests/unit/base/failing.h"
#include "tests/unit/base/small_stack.h"

typedef satchel_status (*normalizer)(sat_buffer *out, const char *text, size_t length);

static void assert_gives(normalizer normalize, const char *text, const char *expected) {
    sat_memory memory;
    sat_memory_init(&memory, NULL, 0);
    sat_buffer out;
    sat_buffer_init(&out, &memory);
    sat_buffer_append_text(&out, "<");
    assert_int_equal(normalize(&out, text, strlen(text)), SATCHEL_OK);
    assert_string_equal(out.data + 1, expected);
    assert_int_equal(out.data[0], '<');
    sat_buffer_free(&out);
    assert_int_equal(memory.now, 0);
}

static void nfc_pairs(void **state) {
    static const char *const pairs[][2] = {
        {"", ""},
        {"plain", "plain"},
        {"e\u0301", "\u00E9"},
        {"\u212B", "\u00C5"},              /* angstrom sign */
        {"\u1E9B\u0323", "\u1E9B\u0323"},  /* keeps the long s */
        {"D\u0323\u0307", "\u1E0C\u0307"}, /* D, dot below, dot above */
        {"D\u0307\u0323", "\u1E0C\u0307"}, /* reordered */
        {"\u1112\u1161\u11AB", "\uD55C"},  /* Hangul from jamo */
        {"\uD558\u11AB", "\uD55C"},        /* LV and a final */
        {"\u0958", "\u0915\u093C"},        /* excluded from composition */
        {"\u0344", "\u0308\u0301"},
        {"\u09C7\u09BE", "\u09CB"}, /* two vowel signs of class 0 */
        {"\uFB01", "\uFB01"},       /* a ligature is no canonical form */
        {"\u2126", "\u03A9"},
        {"\uF900", "\u8C48"},
        {"a\u0315\u0300\u05AEb", "\u00E0\u05AE\u0315b"},
        {"a\u00ADb", "a\u00ADb"},
    };
    for (size_t i = 0; i < SAT_COUNT(pairs); i++)
        assert_gives(sat_text_nfc, pairs[i][0], pairs[i][1]);
}

static void casefold_pairs(void **state) {
    static const char *const pairs[][2] = {
        {"", ""},
        {"Plain TEXT 42", "plain text 42"},
        {"Straße", "strasse"},
        {"STRASSE", "strasse"},
        {"ẞ", "ss"},
        {"ＡＢＣ　１２３", "abc 123"},
        {"ﬁnance", "finance"},
        {"Ǆ", "dž"},
        {"\u212B", "å"},
        {"A\u030A", "å"},
        {"Ω\u2126", "ωω"},
        {"ΣΊΣΥΦΟΣ", "σίσυφοσ"},
        {"ς", "σ"},
        {"x²", "x2"},
        {"½", "1\u20442"},
        {"co\u00ADop", "coop"}, /* soft hyphen */
        {"zero\u200Bwidth", "zerowidth"},
        {"a\u200D\u0301", "á"}, /* what stood between is dropped */
        {"\uFEFFbom", "bom"},
        {"ｶﾞ", "ガ"}, /* half-width with its voicing mark */
        {"か\u3099", "が"},
        {"㌔", "キロ"},
        {"①", "1"},
        {"Ⅷ", "viii"},
        {"한국어", "한국어"},
        {"İ", "i\u0307"},
        {"مرحبا", "مرحبا"},
        {"हिन्दी", "हिन्दी"},
        {"Ａ\u0301", "á"},
    };
    for (size_t i = 0; i < SAT_COUNT(pairs); i++)
        assert_gives(sat_text_casefold, pairs[i][0], pairs[i][1]);
}

/* Random text of characters that interact, of all lengths around a piece's. */
static void pieces_equal_the_whole(void **state) {
    static const int32_t ranges[][2] = {
        {0x20, 0x7E},       {0xA0, 0x24F},      {0x300, 0x36F},   {0x370, 0x3FF},
        {0x5D0, 0x5EA},     {0x610, 0x65F},     {0x900, 0x9FF},   {0xB00, 0xBFF},
        {0xE00, 0xEFF},     {0xF00, 0xFFF},     {0x1100, 0x11FF}, {0x1E00, 0x1FFF},
        {0x2000, 0x206F},   {0x2100, 0x218F},   {0x3000, 0x30FF}, {0x3130, 0x318F},
        {0x3300, 0x33FF},   {0x4E00, 0x4E40},   {0xAC00, 0xAD00}, {0xF900, 0xFA00},
        {0xFB00, 0xFDFF},   {0xFE20, 0xFE2F},   {0xFF00, 0xFFEF}, {0x1D150, 0x1D170},
        {0x11100, 0x11140}, {0x1F600, 0x1F610},
    };
    sat_memory memory;
    sat_memory_init(&memory, NULL, 0);
    sat_buffer text, out;
    sat_buffer_init(&text, &memory);
    sat_buffer_init(&out, &memory);
    uint64_t seed = 2024;
    for (int round = 0; round < 1000; round++) {
        sat_buffer_clear(&text);
        size_t count = test_random(&seed) % 1500, kinds = 1 + test_random(&seed) % 4, kind[4];
        for (size_t i = 0; i < kinds; i++)
            kind[i] = test_random(&seed) % SAT_COUNT(ranges);
        int marks = 0;
        for (size_t i = 0; i < count; i++) {
            const int32_t *range = ranges[kind[test_random(&seed) % kinds]];
            int32_t code =
                range[0] + (int32_t)(test_random(&seed) % (uint32_t)(range[1] - range[0] + 1));
            /* Longer runs of marks are cut, on purpose. */
            bool joins = !sat_text_begins_anew(code);
            marks = joins ? marks + 1 : 0;
            if (marks > 30) {
                code = 'x';
                marks = 0;
            }
            char utf8[4];
            sat_buffer_append(&text, utf8, sat_utf8_encode(code, utf8));
        }
        for (int fold = 0; fold < 2; fold++) {
            sat_buffer_clear(&out);
            assert_int_equal((fold ? sat_text_casefold
                                   : sat_text_nfc)(&out, text.data ? text.data : "", text.length),
                             SATCHEL_OK);
            utf8proc_uint8_t *whole = NULL;
            utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
            if (fold)
                options |= UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE;
            utf8proc_ssize_t length =
                utf8proc_map((const utf8proc_uint8_t *)(text.data ? text.data : ""),
                             (utf8proc_ssize_t)text.length, &whole, options);
            assert_int_equal(length, out.length);
            if (length > 0)
                assert_memory_equal(out.data, whole, length);
            free(whole);
        }
    }
    sat_buffer_free(&text);
    sat_buffer_free(&out);
}

/* Cut where sat_text_begins_anew allows it, the parts' forms are the whole's. */
static void text_may_be_cut_where_it_begins_anew(void **state) {
    sat_memory memory;
    sat_memory_init(&memory, NULL, 0);
    sat_buffer whole, parts;
    sat_buffer_init(&whole, &memory);
    sat_buffer_init(&parts, &memory);
    static const char *const before[] = {"a",  "e\u0302", "\u1100", "\uAC00",
                                         "カ", "ｶ",       "\u09C7", "ﬁ"};
    for (int32_t code = 1; code < 0x30000; code++) {
        if (!sat_text_begins_anew(code) || (code >= 0xD800 && code <= 0xDFFF) ||
            (code >= 0x3400 && code < 0xA000) || (code >= 0xAC10 && code < 0xD700))
            continue;
        for (size_t i = 0; i < SAT_COUNT(before); i++) {
            char text[40];
            size_t head = strlen(before[i]);
            memcpy(text, before[i], head);
            size_t length = head + sat_utf8_encode(code, text + head);
            memcpy(text + length, "\u0301", 2);
            length += 2;
            sat_buffer_clear(&whole);
            sat_buffer_clear(&parts);
            sat_text_casefold(&whole, text, length);
            sat_text_casefold(&parts, text, head);
            sat_text_casefold(&parts, text + head, length - head);
            if (whole.length != parts.length || memcmp(whole.data, parts.data, whole.length) != 0)
                fail_msg("U+%04X joins %s", (unsigned)code, before[i]);
        }
    }
    sat_buffer_free(&whole);
    sat_buffer_free(&parts);
}

/* ------------------------------------------------------------------ hostile input */

static void hostile(void) {
    enum { SIZE = 1 << 18 };
    sat_memory memory;
    sat_memory_init(&memory, NULL, 0);
    sat_buffer out;
    sat_buffer_init(&out, &memory);
    char *text = malloc(SIZE);
    /* Marks in falling order of class, no base; the longest decomposition; jamo; half-width
     * marks. */
    static const char *const patterns[] = {"\u0301\u0323", "\uFDFA",  "\u1161", "\u09BE",
                                           "\uFF9E",       "\u0345",  "\xCC",   "\xFF",
                                           "\u00AD",       "\xF0\x9F"};
    for (size_t p = 0; p < SAT_COUNT(patterns); p++) {
        size_t length = 0, size = strlen(patterns[p]);
        for (; length + size <= SIZE; length += size)
            memcpy(text + length, patterns[p], size);
        for (int fold = 0; fold < 2; fold++) {
            sat_buffer_clear(&out);
            assert_int_equal((fold ? sat_text_casefold : sat_text_nfc)(&out, text, length),
                             SATCHEL_OK);
            assert_int_equal(sat_utf8_valid(out.data ? out.data : "", out.length), out.length);
        }
    }
    sat_buffer_free(&out);
    free(text);
}

static void *hostile_thread(void *argument) {
    hostile();
    return NULL;
}

static void a_small_stack_is_enough(void **state) {
    on_a_small_stack(hostile_thread, NULL);
}

static satchel_status fold(sat_memory *memory, void *user) {
    char text[4000];
    sat_buffer out;
    for (size_t i = 0; i < sizeof text; i += 2)
        memcpy(text + i, "\u00E9", 2);
    sat_buffer_init(&out, memory);
    satchel_status status = sat_text_casefold(&out, text, sizeof text);
    sat_buffer_free(&out);
    return status;
}

static void running_out_of_memory_is_told(void **state) {
    fail_memory(fold, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nfc_pairs),
        cmocka_unit_test(casefold_pairs),
        cmocka_unit_test(pieces_equal_the_whole),
        cmocka_unit_test(text_may_be_cut_where_it_begins_anew),
        cmocka_unit_test(a_small_stack_is_enough),
        cmocka_unit_test(running_out_of_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
