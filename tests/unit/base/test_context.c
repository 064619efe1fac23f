/* Contexts, the rules of option and result structs, cancel handles, log, and use after fork. */
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/folder.h"
#include "tests/unit/base/unit.h"

/* ------------------------------------------------------------------ structs */

typedef struct sample {
    size_t struct_size;
    int32_t a, b;
    const char *text;
} sample;

static void options_follow_the_tail_rules(void **state) {
    satchel_error error;
    sample out, expected = {.struct_size = sizeof(sample)};
    memset(&out, 0xFF, sizeof out);
    assert_int_equal(sat_options_read(&out, sizeof out, NULL, "sample", &error), SATCHEL_OK);
    assert_memory_equal(&out, &expected, sizeof out);

    struct {
        sample known;
        char later[16];
    } newer = {{.struct_size = sizeof newer, .a = 1, .b = 2, .text = "t"}, {0}};
    assert_int_equal(sat_options_read(&out, sizeof out, &newer, "sample", &error), SATCHEL_OK);
    assert_int_equal(out.struct_size, sizeof(sample));
    assert_int_equal(out.b, 2);
    assert_string_equal(out.text, "t");
    for (size_t i = 0; i < sizeof newer.later; i++) {
        newer.later[i] = 1;
        assert_int_equal(sat_options_read(&out, sizeof out, &newer, "sample", &error),
                         SATCHEL_UNSUPPORTED);
        assert_int_equal(error.code, SATCHEL_UNSUPPORTED);
        assert_non_null(strstr(error.message, "sample"));
        newer.later[i] = 0;
    }
    /* An older caller: what it does not know is zero. */
    newer.known.struct_size = offsetof(sample, b);
    assert_int_equal(sat_options_read(&out, sizeof out, &newer, "sample", &error), SATCHEL_OK);
    assert_int_equal(out.a, 1);
    assert_int_equal(out.b, 0);
    assert_null(out.text);
    static const size_t wrong[] = {0, 1, sizeof(size_t) - 1, 65537, SIZE_MAX};
    for (size_t i = 0; i < SAT_COUNT(wrong); i++) {
        newer.known.struct_size = wrong[i];
        assert_int_equal(sat_options_read(&out, sizeof out, &newer, "sample", NULL),
                         SATCHEL_INVALID_ARGUMENT);
    }
}

static void options_are_initialised(void **state) {
    sample options;
    memset(&options, 0xFF, sizeof options);
    sat_options_init(&options, offsetof(sample, text));
    assert_int_equal(options.struct_size, offsetof(sample, text));
    assert_int_equal(options.a, 0);
    assert_int_equal(options.b, 0);
    assert_int_equal((uintptr_t)options.text, UINTPTR_MAX);
    sat_options_init(&options, 3);
    assert_int_equal(options.struct_size, offsetof(sample, text));
    sat_options_init(NULL, 100);
}

static void results_are_written_to_size(void **state) {
    const sample known = {.struct_size = 7, .a = 1, .b = 2, .text = "t"};
    uint8_t out[64];
    for (size_t size = 0; size <= 48; size++) {
        memset(out, 0xEE, sizeof out);
        sat_result_write(out, size, &known, sizeof known);
        size_t shared = size < sizeof known ? size : sizeof known;
        assert_memory_equal(out, &known, shared);
        for (size_t i = shared; i < sizeof out; i++)
            assert_int_equal(out[i], i < size ? 0 : 0xEE);
    }
}

/* ------------------------------------------------------------------ open */

static void a_context_has_its_parts(void **state) {
    satchel_context *context = NULL;
    satchel_error error;
    assert_int_equal(sat_context_open(&context, NULL, &error), SATCHEL_OK);
    assert_int_equal(context->cpu_level, sat_cpu_best());
    assert_ptr_equal(context->vector, sat_vector_kernels_for(context->cpu_level));
    assert_ptr_equal(context->files, &sat_file_posix);
    int32_t cores = sat_cpu_cores();
    assert_int_equal(sat_pool_threads(context->pool), cores < 4 ? cores : 4);
    assert_int_equal(sat_context_check(context, &error), SATCHEL_OK);
    assert_true(context->memory.now >= sizeof *context);
    sat_context_release(context);
    sat_context_release(NULL);
    assert_null(sat_context_retain(NULL));
}

static void options_are_checked(void **state) {
    test_allocator test = {0};
    satchel_allocator whole = test_allocator_table(&test), none = {0}, part = whole;
    part.reallocate = NULL;
    int32_t foreign = sat_cpu_best() >= SATCHEL_CPU_NEON ? SATCHEL_CPU_AVX2 : SATCHEL_CPU_NEON;
    const struct {
        satchel_context_options options;
        satchel_status status;
        const char *names;
    } cases[] = {
        {{.threads = 1}, SATCHEL_OK, NULL},
        {{.threads = 256}, SATCHEL_OK, NULL},
        {{.allocator = &whole}, SATCHEL_OK, NULL},
        {{.allocator = &none}, SATCHEL_OK, NULL},
        {{.cpu_level = SATCHEL_CPU_C}, SATCHEL_OK, NULL},
        {{.memory_limit = 1 << 20}, SATCHEL_OK, NULL},
        {{.threads = -1}, SATCHEL_INVALID_ARGUMENT, "threads"},
        {{.threads = 257}, SATCHEL_INVALID_ARGUMENT, "threads"},
        {{.allocator = &part}, SATCHEL_INVALID_ARGUMENT, "allocator"},
        {{.cpu_level = 3}, SATCHEL_INVALID_ARGUMENT, "cpu_level"},
        {{.cpu_level = -1}, SATCHEL_INVALID_ARGUMENT, "cpu_level"},
        {{.cpu_level = foreign}, SATCHEL_UNSUPPORTED, "cpu_level"},
        {{.log_level = 5}, SATCHEL_INVALID_ARGUMENT, "log_level"},
        {{.log_level = -1}, SATCHEL_INVALID_ARGUMENT, "log_level"},
        {{.log_content = 2}, SATCHEL_INVALID_ARGUMENT, "log_content"},
        {{.memory_limit = 100}, SATCHEL_MEMORY_LIMIT, "memory_limit"},
        {{.memory_limit = sizeof(satchel_context) + 40}, SATCHEL_MEMORY_LIMIT, "memory_limit"},
    };
    for (size_t i = 0; i < SAT_COUNT(cases); i++) {
        satchel_context_options options = cases[i].options;
        options.struct_size = sizeof options;
        satchel_context *context = (satchel_context *)&options;
        satchel_error error;
        assert_int_equal(sat_context_open(&context, &options, &error), cases[i].status);
        if (cases[i].status == SATCHEL_OK) {
            assert_non_null(context);
        } else {
            assert_null(context);
            assert_non_null(strstr(error.message, cases[i].names));
            assert_int_equal(sat_context_open(&context, &options, NULL), cases[i].status);
        }
        sat_context_release(context);
    }
    assert_allocator_clean(&test);
}

static void every_failing_allocation_is_survived(void **state) {
    for (size_t k = 1;; k++) {
        test_allocator test = {.fail_at = k};
        satchel_allocator table = test_allocator_table(&test);
        satchel_context_options options = {
            .struct_size = sizeof options, .allocator = &table, .threads = 3};
        satchel_context *context;
        satchel_error error;
        satchel_status status = sat_context_open(&context, &options, &error);
        if (status == SATCHEL_OK) {
            assert_true(k > 1);
            sat_context_release(context);
            assert_allocator_clean(&test);
            return;
        }
        assert_int_equal(status, SATCHEL_OUT_OF_MEMORY);
        assert_null(context);
        assert_allocator_clean(&test);
    }
}

static void a_cache_dir_is_made_or_refused(void **state) {
    satchel_context *context;
    satchel_error error;
    char folder[TEST_FOLDER_SIZE], path[80];
    struct stat info;
    assert_true(test_folder_make(folder));
    satchel_context_options options = {
        .struct_size = sizeof options, .threads = 1, .cache_dir = path};
    snprintf(path, sizeof path, "%s/cache", folder);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(sat_context_open(&context, &options, &error), SATCHEL_OK);
        assert_non_null(context->cache);
        sat_context_release(context);
        assert_int_equal(stat(path, &info), 0);
        assert_true(S_ISDIR(info.st_mode));
    }
    rmdir(path);
    snprintf(path, sizeof path, "%s/no/cache", folder);
    assert_int_equal(sat_context_open(&context, &options, &error), SATCHEL_NOT_FOUND);
    assert_non_null(strstr(error.message, path));
    assert_null(context);
    path[0] = 0;
    assert_int_equal(sat_context_open(&context, &options, &error), SATCHEL_INVALID_ARGUMENT);
    options.cache_dir = NULL;
    assert_int_equal(sat_context_open(&context, &options, &error), SATCHEL_OK);
    assert_null(context->cache);
    sat_context_release(context);
    rmdir(folder);
}

static void references_are_counted(void **state) {
    test_allocator test = {0};
    satchel_allocator table = test_allocator_table(&test);
    satchel_context_options options = {.struct_size = sizeof options, .allocator = &table};
    satchel_context *context;
    assert_int_equal(sat_context_open(&context, &options, NULL), SATCHEL_OK);
    satchel_cancel *cancel = sat_calloc(&context->memory, 1, sizeof *cancel);
    cancel->context = sat_context_retain(context);
    cancel->references = 1;
    assert_ptr_equal(sat_cancel_retain(cancel), cancel);
    assert_null(sat_cancel_retain(NULL));
    sat_context_release(context);
    satchel_error error;
    assert_int_equal(sat_cancel_check(cancel, &error), SATCHEL_OK);
    assert_int_equal(sat_cancel_check(NULL, &error), SATCHEL_OK);
    sat_cancel_release(cancel);
    cancel->fired = 1; /* the other reference still holds it */
    assert_true(sat_cancelled(cancel));
    assert_false(sat_cancelled(NULL));
    assert_int_equal(sat_cancel_check(cancel, &error), SATCHEL_CANCELLED);
    assert_true(test.blocks > 0);
    sat_cancel_release(cancel); /* the last of the cancel, and so of the context */
    sat_cancel_release(NULL);
    assert_allocator_clean(&test);
}

/* ------------------------------------------------------------------ log */

typedef struct heard {
    int count, level;
    char message[2048];
} heard;

static void hear(void *user, int32_t level, const char *message) {
    heard *h = user;
    h->count++;
    h->level = level;
    snprintf(h->message, sizeof h->message, "%s", message);
}

static void the_log_is_filtered(void **state) {
    for (int content = 0; content < 2; content++)
        for (int32_t level = 0; level <= SATCHEL_LOG_DEBUG; level++) {
            heard h = {0};
            satchel_context_options options = {.struct_size = sizeof options,
                                               .log = hear,
                                               .log_user = &h,
                                               .log_level = level,
                                               .log_content = content};
            satchel_context *context;
            assert_int_equal(sat_context_open(&context, &options, NULL), SATCHEL_OK);
            int32_t ceiling = level ? level : SATCHEL_LOG_WARNING;
            for (int32_t at = SATCHEL_LOG_ERROR; at <= SATCHEL_LOG_DEBUG; at++) {
                h.count = 0;
                sat_log(context, at, false, "plain %d", at);
                assert_int_equal(h.count, at <= ceiling);
                if (h.count) {
                    assert_int_equal(h.level, at);
                    assert_memory_equal(h.message, "plain ", 6);
                }
                h.count = 0;
                sat_log(context, at, true, "path %s", "/home/u/diary.txt");
                assert_int_equal(h.count, at <= ceiling && content);
            }
            char text[4000];
            memset(text, 'x', sizeof text);
            text[sizeof text - 1] = '\0';
            sat_log(context, SATCHEL_LOG_ERROR, false, "%s", text);
            assert_true(strlen(h.message) >= 1000);
            sat_context_release(context);
        }
    satchel_context *context;
    assert_int_equal(sat_context_open(&context, NULL, NULL), SATCHEL_OK);
    sat_log(context, SATCHEL_LOG_ERROR, false, "no one listens");
    sat_context_release(context);
}

/* ------------------------------------------------------------------ fork and clocks */

static void nothing(void *user, int thread, size_t begin, size_t end) {}

static void a_child_of_fork_is_told(void **state) {
    satchel_context_options options = {.struct_size = sizeof options, .threads = 2};
    satchel_context *context;
    assert_int_equal(sat_context_open(&context, &options, NULL), SATCHEL_OK);
    sat_pool_run(context->pool, 0, 0, 100, 1, nothing, NULL); /* now it has a thread */
    pid_t child = fork();
    if (child == 0) {
        satchel_error error;
        bool right = sat_context_check(context, &error) == SATCHEL_FORKED &&
                     error.code == SATCHEL_FORKED && strstr(error.message, "fork");
        sat_context_release(context); /* does not wait for threads that are not there */
        _exit(right ? 0 : 1);
    }
    assert_true(child > 0);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(sat_context_check(context, NULL), SATCHEL_OK);
    sat_context_release(context);
}

static void clocks_go_on(void **state) {
    int64_t before = sat_clock_ms();
    assert_true(before > 0);
    assert_true(sat_clock_ms() >= before);
    assert_true(sat_clock_unix_ms() > INT64_C(1700000000000)); /* after 2023, in milliseconds */
    assert_true(sat_clock_unix_ms() < INT64_C(10000000000000));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_follow_the_tail_rules),
        cmocka_unit_test(options_are_initialised),
        cmocka_unit_test(results_are_written_to_size),
        cmocka_unit_test(a_context_has_its_parts),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(every_failing_allocation_is_survived),
        cmocka_unit_test(a_cache_dir_is_made_or_refused),
        cmocka_unit_test(references_are_counted),
        cmocka_unit_test(the_log_is_filtered),
        cmocka_unit_test(a_child_of_fork_is_told),
        cmocka_unit_test(clocks_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
