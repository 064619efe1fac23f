/* The border: versions, NULLs, struct sizes, UTF-8, fork. */
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/sdk/support.h"

static void version_is_the_project_s(void **state) {
    (void)state;
    assert_string_equal(satchel_version(), PROJECT_VERSION);
    assert_int_equal(satchel_version_at_least(SATCHEL_VERSION_MAJOR, SATCHEL_VERSION_MINOR,
                                              SATCHEL_VERSION_PATCH),
                     1);
    assert_int_equal(satchel_version_at_least(0, 0, 99), 1);
    assert_int_equal(satchel_version_at_least(SATCHEL_VERSION_MAJOR, SATCHEL_VERSION_MINOR,
                                              SATCHEL_VERSION_PATCH + 1),
                     0);
    assert_int_equal(satchel_version_at_least(SATCHEL_VERSION_MAJOR + 1, 0, 0), 0);
}

static void features_and_status_names(void **state) {
    (void)state;
    assert_int_equal(satchel_has_feature("encoder"), 1);
    assert_int_equal(satchel_has_feature("no such part"), 0);
    assert_int_equal(satchel_has_feature(NULL), 0);
    assert_string_equal(satchel_status_name(SATCHEL_OK), "SATCHEL_OK");
    assert_string_equal(satchel_status_name(SATCHEL_INTERNAL), "SATCHEL_INTERNAL");
    assert_string_equal(satchel_status_name(-1000), "SATCHEL_UNKNOWN");
    for (satchel_status status = SATCHEL_INTERNAL; status <= SATCHEL_OK; status++)
        assert_string_not_equal(satchel_status_name(status), "SATCHEL_UNKNOWN");
}

static void options_are_zero_but_their_size(void **state) {
    (void)state;
    satchel_search_options options;
    memset(&options, 0x5A, sizeof options);
    satchel_search_options_init(&options, sizeof options);
    assert_int_equal(options.struct_size, sizeof options);
    assert_int_equal(options.k, 0);
    assert_null(options.filter);
    satchel_search_options_init(NULL, sizeof options); /* harmless */
}

static void close_accepts_null(void **state) {
    (void)state;
    satchel_context *context = NULL;
    satchel_store *store = NULL;
    satchel_context_close(NULL);
    satchel_context_close(&context);
    satchel_model_close(NULL);
    satchel_store_close(NULL);
    satchel_store_close(&store);
    satchel_stream_close(NULL);
    satchel_results_close(NULL);
    satchel_documents_close(NULL);
    satchel_cancel_close(NULL);
    satchel_cancel_fire(NULL);
    assert_int_equal(satchel_cancel_fired(NULL), 0);
    assert_int_equal(satchel_results_count(NULL), 0);
    assert_int_equal(satchel_documents_count(NULL), 0);
}

static void nulls_are_refused_by_name(void **state) {
    test_bed *bed = *state;
    satchel_error error;
    satchel_results *results = (satchel_results *)bed; /* to be set to NULL */
    assert_int_equal(satchel_search(NULL, bed->store, "q", NULL, &error), SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_search(&results, NULL, "q", NULL, &error), SATCHEL_INVALID_ARGUMENT);
    assert_null(results);
    assert_int_equal(error.code, SATCHEL_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "satchel_search"));
    assert_int_equal(satchel_search(&results, bed->store, NULL, NULL, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "query"));
    assert_int_equal(satchel_search(&results, bed->store, NULL, NULL, NULL),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_store_add_text(bed->store, NULL, "t", 1, NULL, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_store_add_text(bed->store, "id", NULL, 1, NULL, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_store_add_bytes(bed->store, "id", NULL, NULL, 1, NULL, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_stream_next(NULL, NULL, 0, &error), SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_store_get_stats(bed->store, NULL, 8, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_store_open(&(satchel_store *){NULL}, bed->context, NULL, NULL, &error),
                     SATCHEL_INVALID_ARGUMENT);
}

static void unknown_option_bytes_are_refused(void **state) {
    test_bed *bed = *state;
    struct {
        satchel_search_options known;
        uint64_t later;
    } options;
    memset(&options, 0, sizeof options);
    satchel_search_options_init(&options.known, sizeof options);
    satchel_error error;
    satchel_results *results = NULL;
    test_fine(satchel_search(&results, bed->store, "q", &options.known, &error), &error);
    satchel_results_close(&results);
    options.later = 1;
    assert_int_equal(satchel_search(&results, bed->store, "q", &options.known, &error),
                     SATCHEL_UNSUPPORTED);
    options.known.struct_size = 3;
    assert_int_equal(satchel_search(&results, bed->store, "q", &options.known, &error),
                     SATCHEL_INVALID_ARGUMENT);
}

static void older_shorter_structs_work(void **state) {
    test_bed *bed = *state;
    test_add(bed, "note", "The lease ends in March.");
    satchel_error error;
    satchel_results *results = NULL;
    /* An option struct that ends after `mode`, and a hit that ends after `document_id`. */
    satchel_search_options options;
    satchel_search_options_init(&options, sizeof options);
    options.struct_size = offsetof(satchel_search_options, k);
    options.k = 999999; /* past its end: not looked at */
    options.mode = SATCHEL_SEARCH_KEYWORD;
    test_fine(satchel_search(&results, bed->store, "lease", &options, &error), &error);
    satchel_hit hit;
    memset(&hit, 0x5A, sizeof hit);
    test_fine(satchel_results_get(results, 0, &hit, sizeof hit.document_id, &error), &error);
    assert_string_equal(hit.document_id, "note");
    assert_int_equal(((unsigned char *)&hit)[sizeof hit.document_id], 0x5A); /* untouched */
    struct {
        satchel_hit hit;
        uint64_t later;
    } longer = {.later = 7};
    test_fine(satchel_results_get(results, 0, &longer.hit, sizeof longer, &error), &error);
    assert_int_equal(longer.later, 0); /* a field of a later version: zero */
    satchel_results_close(&results);
}

static void values_out_of_range_are_refused(void **state) {
    test_bed *bed = *state;
    satchel_error error;
    satchel_results *results = NULL;
    satchel_search_options options;
    satchel_search_options_init(&options, sizeof options);
    options.k = 10001;
    assert_int_equal(satchel_search(&results, bed->store, "q", &options, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "10001"));
    options.k = 0;
    options.mode = 9;
    assert_int_equal(satchel_search(&results, bed->store, "q", &options, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_store_maintain(bed->store, -1, NULL, NULL, &error),
                     SATCHEL_INVALID_ARGUMENT);
    satchel_store_options store_options;
    satchel_store_options_init(&store_options, sizeof store_options);
    store_options.encryption_key = "key";
    satchel_store *store = NULL;
    assert_int_equal(
        satchel_store_open(&store, bed->context, bed->store_path, &store_options, &error),
        SATCHEL_UNSUPPORTED);
    assert_null(store);
}

static void text_must_be_utf8(void **state) {
    test_bed *bed = *state;
    satchel_error error;
    satchel_results *results = NULL;
    assert_int_equal(
        satchel_store_add_text(bed->store, "id", "abc\xFF", SATCHEL_NUL_TERMINATED, NULL, &error),
        SATCHEL_INVALID_TEXT);
    assert_non_null(strstr(error.message, "byte 3"));
    assert_int_equal(satchel_store_add_text(bed->store, "\xC3", "a", 1, NULL, &error),
                     SATCHEL_INVALID_TEXT);
    assert_int_equal(satchel_search(&results, bed->store, "\xED\xA0\x80", NULL, &error),
                     SATCHEL_INVALID_TEXT); /* a surrogate */
    satchel_stream *stream = NULL;
    assert_int_equal(satchel_ask(&stream, bed->store, "\x80", NULL, &error), SATCHEL_INVALID_TEXT);
    assert_null(stream);
    assert_int_equal(satchel_store_remove(bed->store, "\x80", &error), SATCHEL_INVALID_TEXT);
}

static void handles_do_not_survive_fork(void **state) {
    test_bed *bed = *state;
    test_add(bed, "note", "The lease ends in March.");
    satchel_stream *stream = NULL;
    satchel_error error;
    test_fine(satchel_ask(&stream, bed->store, "When does the lease end?", NULL, &error), &error);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        satchel_results *results = NULL;
        satchel_event event;
        satchel_model *model = bed->model;
        float vector[TEST_DIMENSION];
        satchel_text text = {"a", 1};
        int failed = 0;
        failed |= satchel_search(&results, bed->store, "q", NULL, &error) != SATCHEL_FORKED;
        failed |= satchel_stream_next(stream, &event, sizeof event, NULL) != SATCHEL_FORKED;
        failed |= satchel_model_embed(model, 0, &text, 1, vector, NULL, NULL) != SATCHEL_FORKED;
        satchel_stream_close(&stream);
        satchel_store_close(&bed->store);
        satchel_model_close(&bed->model);
        satchel_context_close(&bed->context);
        failed |= stream || bed->store || bed->model || bed->context;
        _exit(failed);
    }
    int how = 1;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_int_equal(how, 0);
    /* The parent's handles are as they were. */
    int counts[16];
    test_fine(test_drain(stream, counts, &error), &error);
    satchel_stream_close(&stream);
    test_add(bed, "other", "Bread needs salt.");
}

static void errors_are_cut_at_a_border(void **state) {
    test_bed *bed = *state;
    char path[3000];
    memset(path, 0, sizeof path);
    for (size_t i = 0; i + 3 < sizeof path; i += 3)
        memcpy(path + i, "€", 3);
    satchel_error error;
    satchel_model *model = NULL;
    assert_int_not_equal(satchel_model_open(&model, bed->context, path, NULL, &error), SATCHEL_OK);
    const size_t length = strlen(error.message);
    assert_in_range(length, 1, sizeof error.message - 1);
    /* The message ends in a whole character: no trailing byte of a cut one. */
    size_t last = length;
    while (last > 0 && (error.message[last - 1] & 0xC0) == 0x80)
        last--;
    if (last < length)
        assert_int_equal(length - (last - 1), 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_is_the_project_s),
        cmocka_unit_test(features_and_status_names),
        cmocka_unit_test(options_are_zero_but_their_size),
        cmocka_unit_test(close_accepts_null),
        WITH_MODEL(nulls_are_refused_by_name),
        WITH_MODEL(unknown_option_bytes_are_refused),
        WITH_MODEL(older_shorter_structs_work),
        WITH_MODEL(values_out_of_range_are_refused),
        WITH_MODEL(text_must_be_utf8),
        WITH_MODEL(handles_do_not_survive_fork),
        WITH_MODEL(errors_are_cut_at_a_border),
    };
    return cmocka_run_group_tests_name("border", tests, NULL, NULL);
}
