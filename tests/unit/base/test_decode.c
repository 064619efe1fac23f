/* Bytes of unknown encoding to UTF-8. */
#include "tests/unit/base/unit.h"

static void assert_decodes(const char *bytes, size_t size, const char *encoding,
                           const char *expected, size_t length) {
    sat_memory memory;
    sat_memory_init(&memory, NULL, 0);
    sat_buffer out;
    sat_buffer_init(&out, &memory);
    const char *name = NULL;
    satchel_error error;
    /* A copy of the exact size: a sanitizer sees a read past its end. */
    char *exact = malloc(size ? size : 1);
    memcpy(exact, bytes, size);
    assert_int_equal(sat_text_decode(&out, exact, size, &name, &error), SATCHEL_OK);
    free(exact);
    assert_string_equal(name, encoding);
    assert_int_equal(out.length, length);
    if (length)
        assert_memory_equal(out.data, expected, length);
    sat_buffer_free(&out);
}
#define DECODES(bytes, encoding, expected)                                                         \
    assert_decodes(bytes, sizeof(bytes) - 1, encoding, expected, sizeof(expected) - 1)

static void utf8(void **state) {
    DECODES("", "UTF-8", "");
    DECODES("plain", "UTF-8", "plain");
    DECODES("Grüße, 語 😀", "UTF-8", "Grüße, 語 😀");
    DECODES("\xEF\xBB\xBFGrüße", "UTF-8", "Grüße");
    DECODES("\xEF\xBB\xBF", "UTF-8", "");
    DECODES("a\0b", "UTF-8", "a\0b");
    /* With a byte order mark it is UTF-8, even if damaged. */
    DECODES("\xEF\xBB\xBFGr\xFC\xDF"
            "e",
            "UTF-8", "Grüße");
}

static void damaged_utf8_keeps_what_is_good(void **state) {
    DECODES("äöüÄÖÜß\xE4 and \xC3", "windows-1252", "Ã¤Ã¶Ã¼Ã„Ã–ÃœÃŸä and Ã");
    DECODES("äöüÄÖÜßäöü\xE4 and \x80", "UTF-8", "äöüÄÖÜßäöüä and €");
    DECODES("語語語語語語語語語\xE8\xAA", "UTF-8", "語語語語語語語語語èª");
}

static void utf16_with_a_mark(void **state) {
    DECODES("\xFF\xFEH\0i\0\xAC\x20", "UTF-16LE", "Hi€");
    DECODES("\xFE\xFF\0H\0i\x20\xAC", "UTF-16BE", "Hi€");
    DECODES("\xFF\xFE\x3D\xD8\x00\xDE", "UTF-16LE", "😀");
    DECODES("\xFE\xFF\xD8\x3D\xDE\x00", "UTF-16BE", "😀");
    DECODES("\xFF\xFE", "UTF-16LE", "");
    DECODES("\xFE\xFF", "UTF-16BE", "");
    /* Unpaired surrogates, in the middle and at the end, and half a unit. */
    DECODES("\xFF\xFE\x3D\xD8"
            "A\0",
            "UTF-16LE",
            "\uFFFD"
            "A");
    DECODES("\xFF\xFE\x00\xDE"
            "A\0",
            "UTF-16LE",
            "\uFFFD"
            "A");
    DECODES("\xFF\xFE\x3D\xD8\x3D\xD8\x00\xDE", "UTF-16LE", "\uFFFD😀");
    DECODES("\xFF\xFE"
            "A\0\x3D\xD8",
            "UTF-16LE", "A\uFFFD");
    DECODES("\xFF\xFE"
            "A\0B",
            "UTF-16LE", "A\uFFFD");
}

static void utf16_without_a_mark(void **state) {
    DECODES("H\0e\0l\0l\0o\0 \0\xAC\x20", "UTF-16LE", "Hello €");
    DECODES("\0H\0e\0l\0l\0o\0 \x20\xAC", "UTF-16BE", "Hello €");
    DECODES("H\0i\0 \0\xFC\0\r\0\n\0", "UTF-16LE", "Hi ü\r\n");
    /* A NUL here and there is no UTF-16, nor is an odd number of bytes. */
    DECODES("Hello\0World\0!!", "UTF-8", "Hello\0World\0!!");
    DECODES("H\0e\0l\0l\0o", "UTF-8", "H\0e\0l\0l\0o");
    DECODES("\0\0\0\0", "UTF-8", "\0\0\0\0");
}

static void utf32(void **state) {
    DECODES("\xFF\xFE\0\0H\0\0\0\x00\xF6\x01\0", "UTF-32LE", "H😀");
    DECODES("\0\0\xFE\xFF\0\0\0H\0\x01\xF6\x00", "UTF-32BE", "H😀");
    DECODES("\xFF\xFE\0\0", "UTF-32LE", "");
    DECODES("\0\0\xFE\xFF\0\0\xD8\0\0\x11\0\0\0\0", "UTF-32BE", "\uFFFD\uFFFD\uFFFD");
    /* Not UTF-32: UTF-16 that begins with a NUL. */
    DECODES("\xFF\xFE\0\0H\0i\0", "UTF-16LE", "\0Hi");
    DECODES("\xFF\xFE\0\0H\0", "UTF-16LE", "\0H");
}

static void windows_1252(void **state) {
    DECODES("Gr\xFC\xDF"
            "e",
            "windows-1252", "Grüße");
    DECODES("\x93quoted\x94 \x96 \x80 100", "windows-1252", "“quoted” – € 100");
    DECODES("\x81\x8D\x8F\x90\x9D", "windows-1252",
            "\xC2\x81"
            "\xC2\x8D"
            "\xC2\x8F"
            "\xC2\x90"
            "\xC2\x9D");
    char all[256], expected[1024];
    size_t length = 0;
    static const char high[] = "€\xC2\x81"
                               "‚ƒ„…†‡ˆ‰Š‹Œ\xC2\x8D"
                               "Ž\xC2\x8F"
                               "\xC2\x90"
                               "‘’“”•–—˜™š›œ\xC2\x9D"
                               "žŸ";
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    for (int i = 0; i < 0x80; i++)
        expected[length++] = (char)i;
    memcpy(expected + length, high, sizeof high - 1);
    length += sizeof high - 1;
    for (int i = 0xA0; i < 0x100; i++)
        length += sat_utf8_encode(i, expected + length);
    assert_decodes(all, sizeof all, "windows-1252", expected, length);
}

/* Whatever the bytes, the result is valid UTF-8. */
static void any_bytes_become_text(void **state) {
    sat_memory memory;
    sat_memory_init(&memory, NULL, 0);
    sat_buffer out;
    sat_buffer_init(&out, &memory);
    uint64_t seed = 99;
    static const char marks[][5] = {"", "\xFF\xFE", "\xFE\xFF", "\xEF\xBB\xBF", "\xFF\xFE\0\0"};
    for (int round = 0; round < 20000; round++) {
        uint8_t bytes[64];
        size_t size = test_random(&seed) % sizeof bytes, mark = test_random(&seed) % 5;
        uint32_t mask = test_random(&seed) % 3 ? 0xFF : 0x7F;
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)(test_random(&seed) & mask);
        memcpy(bytes, marks[mark], mark < 4 ? strlen(marks[mark]) : 4);
        uint8_t *exact = malloc(size + 1);
        memcpy(exact, bytes, size);
        sat_buffer_clear(&out);
        assert_int_equal(sat_text_decode(&out, exact, size, NULL, NULL), SATCHEL_OK);
        assert_int_equal(sat_utf8_valid(out.data ? out.data : "", out.length), out.length);
        free(exact);
    }
    sat_buffer_free(&out);
}

static void running_out_of_memory_is_told(void **state) {
    sat_memory memory;
    satchel_error error;
    sat_memory_init(&memory, NULL, 200);
    char text[1000];
    memset(text, '\xFC', sizeof text);
    sat_buffer out;
    sat_buffer_init(&out, &memory);
    assert_int_equal(sat_text_decode(&out, text, sizeof text, NULL, &error), SATCHEL_MEMORY_LIMIT);
    sat_buffer_free(&out);
    assert_int_equal(memory.now, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8),
        cmocka_unit_test(damaged_utf8_keeps_what_is_good),
        cmocka_unit_test(utf16_with_a_mark),
        cmocka_unit_test(utf16_without_a_mark),
        cmocka_unit_test(utf32),
        cmocka_unit_test(windows_1252),
        cmocka_unit_test(any_bytes_become_text),
        cmocka_unit_test(running_out_of_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
