/* JSON: what is refused and where, depth, and strings written. */
#include "tests/unit/base/unit.h"

static satchel_status parse(json_t **out, const char *text, satchel_error *error) {
    return sat_json_parse(out, text, strlen(text), SATCHEL_INVALID_FILTER, "the filter", error);
}

static void values_are_parsed(void **state) {
    json_t *value;
    satchel_error error;
    assert_int_equal(parse(&value, "{\"a\": [1, 2.5, true, null, \"é😀\\u00e9\"]}", &error),
                     SATCHEL_OK);
    json_t *list = json_object_get(value, "a");
    assert_int_equal(json_integer_value(json_array_get(list, 0)), 1);
    assert_true(json_real_value(json_array_get(list, 1)) == 2.5);
    assert_string_equal(json_string_value(json_array_get(list, 4)), "é😀é");
    json_decref(value);
    assert_int_equal(parse(&value, "\"alone\"", &error), SATCHEL_OK);
    assert_string_equal(json_string_value(value), "alone");
    json_decref(value);
}

static void mistakes_are_refused_where_they_are(void **state) {
    static const struct {
        const char *text, *where;
    } cases[] = {
        {"", "line 1, column"},
        {"{", "line 1, column"},
        {"{\n  \"a\": 1,\n  b\n}", "line 3, column"},
        {"{\"a\": 1, \"a\": 2}", "line 1, column"},
        {"[1] [2]", "line 1, column"},
        {"[1,]", "line 1, column"},
        {"{\"a\": \"\\u0000\"}", "line 1, column"},
        {"{\"a\": \"\\ud800\"}", "line 1, column"},
        {"[1e999]", "line 1, column"},
        {"[99999999999999999999999]", "line 1, column"},
        {"[\"a\nb\"]", "line 1, column"},
        {"nul", "line 1, column"},
        {"\n\n  [\"é\xFF\"]", "line 3, column 6"},
        {"[\"\xC0\x80\"]", "line 1, column 3"},
        {"[\"\xED\xA0\x80\"]", "line 1, column 3"},
    };
    for (size_t i = 0; i < SAT_COUNT(cases); i++) {
        json_t *value = (json_t *)&value;
        satchel_error error;
        assert_int_equal(parse(&value, cases[i].text, &error), SATCHEL_INVALID_FILTER);
        assert_null(value);
        assert_int_equal(error.code, SATCHEL_INVALID_FILTER);
        assert_memory_equal(error.message, "the filter, ", 12);
        assert_non_null(strstr(error.message, cases[i].where));
        assert_int_equal(parse(&value, cases[i].text, NULL), SATCHEL_INVALID_FILTER);
    }
    json_t *value;
    satchel_error error;
    assert_int_equal(sat_json_parse(&value, "[1]\0", 4, SATCHEL_INVALID_METADATA, "x", &error),
                     SATCHEL_INVALID_METADATA);
    assert_int_equal(sat_json_parse(&value, NULL, 0, SATCHEL_INVALID_METADATA, "x", &error),
                     SATCHEL_INVALID_METADATA);
    /* The text is as long as its length says, not to a NUL. */
    assert_int_equal(sat_json_parse(&value, "[1]]]]", 3, SATCHEL_INVALID_METADATA, "x", &error),
                     SATCHEL_OK);
    json_decref(value);
}

/* Texts made of bits of JSON, and such with bytes changed: taken or refused as jansson does it, with
 * the same values. */
static void what_is_read_is_what_jansson_reads(void **state) {
    static const char *const bits[] = {
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"a\"",
        "\"b\"",
        "\"\"",
        "1",
        "-0",
        "-",
        "01",
        "1.5",
        "1e5",
        "1E-3",
        "1.",
        ".5",
        "1e",
        "1e999",
        "1e-999",
        "true",
        "false",
        "null",
        "tru",
        " ",
        "\n",
        "\t\r",
        "\\",
        "\"\\u00e9\"",
        "\"\\ud83d\\ude00\"",
        "\"\\n\\/\"",
        "\"\\x\"",
        "\"\\ud800\"",
        "\"\\u0000\"",
        "\"é😀\"",
        "\"",
        "{\"a\":1}",
        "[1,2]",
        "{\"k\":[]}",
        "[{},[]]",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "123456789.123456789e-5",
        "\x0b",
        "\"\x1f\"",
        "\x7f",
        "1 ",
    };
    uint64_t random = 5;
    size_t taken = 0;
    for (int round = 0; round < 300000; round++) {
        char text[400];
        size_t length = 0;
        for (size_t n = test_random(&random) % 9; n-- > 0;) {
            const char *bit = bits[test_random(&random) % SAT_COUNT(bits)];
            memcpy(text + length, bit, strlen(bit));
            length += strlen(bit);
        }
        if (length > 0 && test_random(&random) % 4 == 0)
            text[test_random(&random) % length] = (char)(1 + test_random(&random) % 127);
        json_t *ours = NULL,
               *theirs = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
        satchel_status status = sat_json_parse(&ours, text, length, SATCHEL_IO, "x", NULL);
        if ((status == SATCHEL_OK) != (theirs != NULL) || (ours && !json_equal(ours, theirs)))
            fail_msg("'%.*s': %s", (int)length, text, sat_status_name(status));
        taken += ours != NULL;
        json_decref(ours);
        json_decref(theirs);
    }
    assert_true(taken > 1000);
}

static void depth_is_limited(void **state) {
    enum { DEEP = 1000000 };
    char *text = malloc(2 * DEEP + 1);
    json_t *value;
    satchel_error error;
    for (int depth = SAT_JSON_MAX_DEPTH - 1; depth <= SAT_JSON_MAX_DEPTH + 1; depth++)
        for (int object = 0; object < 2; object++) {
            text[0] = '\0';
            for (int i = 0; i < depth; i++)
                strcat(text, object && i + 1 < depth ? "{\"k\":" : "[");
            for (int i = depth; i-- > 0;)
                strcat(text, object && i + 1 < depth ? "}" : "]");
            satchel_status status = parse(&value, text, &error);
            if (depth <= SAT_JSON_MAX_DEPTH) {
                assert_int_equal(status, SATCHEL_OK);
                json_decref(value);
            } else {
                assert_int_equal(status, SATCHEL_INVALID_FILTER);
                assert_non_null(strstr(error.message, "deeper than 64"));
            }
        }
    memset(text, '[', DEEP);
    text[DEEP] = '\0';
    assert_int_equal(parse(&value, text, &error), SATCHEL_INVALID_FILTER);
    assert_non_null(strstr(error.message, "line 1, column 65"));
    free(text);
    /* Brackets in strings are no depth, and escaped quotes do not end strings. */
    char inside[400] = "[\"\\\"";
    for (int i = 0; i < 100; i++)
        strcat(inside, "[");
    strcat(inside, "\\\\\", \"");
    for (int i = 0; i < 100; i++)
        strcat(inside, "{");
    strcat(inside, "\"]");
    assert_int_equal(parse(&value, inside, &error), SATCHEL_OK);
    assert_int_equal(json_string_length(json_array_get(value, 0)), 102);
    json_decref(value);
}

static void strings_are_written(void **state) {
    sat_memory memory;
    sat_memory_init(&memory, NULL, 0);
    sat_buffer out;
    sat_buffer_init(&out, &memory);
    static const char text[] = "a\"b\\c/\b\f\n\r\t\x01\x1F\x7Fé語😀\0z";
    assert_true(sat_json_append_string(&out, text, sizeof text - 1));
    assert_string_equal(out.data, "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0001\\u001f\x7Fé語😀\\u0000z\"");
    sat_buffer_clear(&out);
    assert_true(sat_json_append_string(&out, "\xFFx\xC3", 3));
    assert_string_equal(out.data, "\"\uFFFDx\uFFFD\"");
    sat_buffer_clear(&out);
    assert_true(sat_json_append_string(&out, NULL, 0));
    assert_string_equal(out.data, "\"\"");
    sat_buffer_free(&out);
    memory.limit = 80;
    assert_false(sat_json_append_string(&out, text, sizeof text - 1) &&
                 sat_json_append_string(&out, text, sizeof text - 1));
    assert_true(out.failed);
    sat_buffer_free(&out);
}

static void what_is_written_is_read_back(void **state) {
    sat_memory memory;
    sat_memory_init(&memory, NULL, 0);
    sat_buffer out;
    sat_buffer_init(&out, &memory);
    char text[2000];
    size_t length = 0;
    for (int32_t code = 1; code < 0x300; code++)
        length += sat_utf8_encode(code, text + length);
    sat_json_append_string(&out, text, length);
    json_t *value;
    satchel_error error;
    assert_int_equal(sat_json_parse(&value, out.data, out.length, SATCHEL_INTERNAL, "text", &error),
                     SATCHEL_OK);
    assert_int_equal(json_string_length(value), length);
    assert_memory_equal(json_string_value(value), text, length);
    json_decref(value);
    sat_buffer_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_parsed),
        cmocka_unit_test(mistakes_are_refused_where_they_are),
        cmocka_unit_test(what_is_read_is_what_jansson_reads),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(strings_are_written),
        cmocka_unit_test(what_is_written_is_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
