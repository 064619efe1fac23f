/* Errors: codes, messages that are always valid UTF-8 and terminated, the system's numbers. */
#include <errno.h>

#include "tests/unit/base/unit.h"

static void a_failure_fills_the_error(void **state) {
    satchel_error error;
    memset(&error, 0xFF, sizeof error);
    assert_int_equal(sat_fail(&error, SATCHEL_BUSY, "%s is %d", "this", 3), SATCHEL_BUSY);
    assert_int_equal(error.code, SATCHEL_BUSY);
    assert_int_equal(error.os_code, 0);
    assert_string_equal(error.message, "this is 3");
    assert_int_equal(sat_fail(NULL, SATCHEL_BUSY, "%s", "no one listens"), SATCHEL_BUSY);
    satchel_error copy;
    sat_error_copy(&copy, &error);
    sat_error_copy(NULL, &error);
    assert_memory_equal(&copy, &error, sizeof copy);
    sat_error_clear(&copy);
    sat_error_clear(NULL);
    assert_int_equal(copy.code, SATCHEL_OK);
    assert_string_equal(copy.message, "");
    assert_int_equal(sizeof error, 512);
}

static void a_long_message_is_cut_between_characters(void **state) {
    static const char *const characters[] = {"x", "é", "語", "😀"};
    for (size_t c = 0; c < SAT_COUNT(characters); c++)
        for (int shift = 0; shift < 8; shift++) {
            char text[4096];
            snprintf(text, sizeof text, "%.*s", shift, "........");
            while (strlen(text) + 5 < sizeof text)
                strcat(text, characters[c]);
            satchel_error error;
            memset(&error, 0xFF, sizeof error);
            sat_fail(&error, SATCHEL_IO, "%s", text);
            size_t length = strnlen(error.message, sizeof error.message);
            assert_true(length < sizeof error.message && length > sizeof error.message - 6);
            assert_int_equal(sat_utf8_valid(error.message, length), length);
            assert_memory_equal(error.message, text, length);
        }
}

static void invalid_text_is_replaced(void **state) {
    satchel_error error;
    sat_fail(&error, SATCHEL_IO, "<%s>", "a\xFF\xC3(\xED\xA0\x80");
    assert_string_equal(error.message, "<a\uFFFD\uFFFD(\uFFFD\uFFFD\uFFFD>");
}

static void system_errors_choose_the_status(void **state) {
    static const struct {
        int os_code;
        satchel_status status;
    } cases[] = {
        {ENOENT, SATCHEL_NOT_FOUND},     {ENOTDIR, SATCHEL_NOT_FOUND}, {EEXIST, SATCHEL_EXISTS},
        {ENOSPC, SATCHEL_DISK_FULL},     {EDQUOT, SATCHEL_DISK_FULL},  {EACCES, SATCHEL_PERMISSION},
        {EPERM, SATCHEL_PERMISSION},     {EROFS, SATCHEL_PERMISSION},  {EIO, SATCHEL_IO},
        {ENOMEM, SATCHEL_OUT_OF_MEMORY}, {EMFILE, SATCHEL_IO},         {99999, SATCHEL_IO},
    };
    for (size_t i = 0; i < SAT_COUNT(cases); i++) {
        satchel_error error;
        satchel_status status = sat_fail_errno(&error, cases[i].os_code, "cannot open %s", "notes");
        assert_int_equal(status, cases[i].status);
        assert_int_equal(error.code, cases[i].status);
        assert_int_equal(error.os_code, cases[i].os_code);
        assert_memory_equal(error.message, "cannot open notes: ", 19);
        assert_true(strlen(error.message) > 19);
        assert_int_equal(sat_fail_errno(NULL, cases[i].os_code, "x"), cases[i].status);
    }
}

static void a_long_path_leaves_the_reason(void **state) {
    char path[2000];
    for (int shift = 0; shift < 3; shift++) {
        memset(path, 'p', sizeof path);
        for (size_t i = (size_t)shift; i + 4 < sizeof path; i += 3)
            memcpy(path + i, "語", 3);
        path[sizeof path - 8] = '\0';
        satchel_error error;
        sat_fail_errno(&error, ENOSPC, "%s", path);
        size_t length = strlen(error.message);
        assert_true(length < sizeof error.message);
        assert_int_equal(sat_utf8_valid(error.message, length), length);
        assert_string_equal(error.message + length - strlen(strerror(ENOSPC)), strerror(ENOSPC));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_fills_the_error),
        cmocka_unit_test(a_long_message_is_cut_between_characters),
        cmocka_unit_test(invalid_text_is_replaced),
        cmocka_unit_test(system_errors_choose_the_status),
        cmocka_unit_test(a_long_path_leaves_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
