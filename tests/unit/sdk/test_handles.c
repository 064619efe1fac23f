/* Ownership: any order of closing, tables destroyed once, memory given back. */
#include <fcntl.h>
#include <unistd.h>

#include "tests/unit/sdk/support.h"

/* ------------------------------------------------------------------ embedder tables */

static void embedder_is_destroyed_once_on_success(void **state) {
    (void)state;
    satchel_error error;
    satchel_context *context = NULL;
    satchel_model *model = NULL;
    test_embedder embedder = {0};
    satchel_embedder table;
    test_embedder_table(&table, &embedder);
    test_fine(satchel_context_open(&context, NULL, &error), &error);
    test_fine(satchel_model_from_embedder(&model, context, &table, &error), &error);
    assert_int_equal(embedder.destroyed, 0);
    satchel_context_close(&context); /* before the model: it holds a reference */
    satchel_text text = {"hello", 5};
    float vector[TEST_DIMENSION];
    test_fine(satchel_model_embed(model, SATCHEL_ROLE_QUERY, &text, 1, vector, NULL, &error),
              &error);
    satchel_model_close(&model);
    assert_null(model);
    assert_int_equal(embedder.destroyed, 1);
}

static void embedder_is_destroyed_once_on_failure(void **state) {
    test_bed *bed = *state;
    satchel_error error;
    satchel_model *model = NULL;
    struct {
        const char *id;
        int32_t dimension, max_tokens;
        bool no_embed;
    } cases[] = {{NULL, 64, 64, false}, {"", 64, 64, false},     {"\xFF", 64, 64, false},
                 {"id", 0, 64, false},  {"id", 8193, 64, false}, {"id", 64, 15, false},
                 {"id", 64, 64, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_embedder embedder = {0};
        satchel_embedder table;
        test_embedder_table(&table, &embedder);
        table.id = cases[i].id;
        table.dimension = cases[i].dimension;
        table.max_tokens = cases[i].max_tokens;
        if (cases[i].no_embed)
            table.embed = NULL;
        assert_int_not_equal(satchel_model_from_embedder(&model, bed->context, &table, &error),
                             SATCHEL_OK);
        assert_null(model);
        assert_int_equal(embedder.destroyed, 1);
    }
    test_embedder embedder = {0};
    satchel_embedder table;
    test_embedder_table(&table, &embedder);
    assert_int_equal(satchel_model_from_embedder(&model, NULL, &table, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(embedder.destroyed, 1);
}

static void embedder_outlives_its_model_handle(void **state) {
    test_bed *bed = *state;
    satchel_model_close(&bed->model); /* the store holds a reference */
    assert_int_equal(bed->embedder.destroyed, 0);
    test_add(bed, "note", "The lease ends in March.");
    assert_true(bed->embedder.embedded > 0);
    satchel_store_close(&bed->store);
    assert_int_equal(bed->embedder.destroyed, 1);
}

/* ------------------------------------------------------------------ models */

static void model_info_of_an_embedder(void **state) {
    test_bed *bed = *state;
    satchel_error error;
    satchel_model_info info;
    test_fine(satchel_model_get_info(bed->model, &info, sizeof info, &error), &error);
    assert_string_equal(info.architecture, "custom");
    assert_int_equal(info.dimension, TEST_DIMENSION);
    assert_int_equal(info.max_tokens, 64);
    assert_int_equal(strlen(info.fingerprint), 32);
    /* Another id is another fingerprint; the same id and dimension the same. */
    satchel_embedder table;
    test_embedder other = {0};
    satchel_model *model = NULL;
    satchel_model_info again;
    test_embedder_table(&table, &other);
    test_fine(satchel_model_from_embedder(&model, bed->context, &table, &error), &error);
    test_fine(satchel_model_get_info(model, &again, sizeof again, &error), &error);
    assert_string_equal(info.fingerprint, again.fingerprint);
    satchel_model_close(&model);
    table.id = "test: something else";
    test_fine(satchel_model_from_embedder(&model, bed->context, &table, &error), &error);
    test_fine(satchel_model_get_info(model, &again, sizeof again, &error), &error);
    assert_string_not_equal(info.fingerprint, again.fingerprint);
    satchel_model_close(&model);
    int32_t ids[4];
    size_t count = 9;
    assert_int_equal(satchel_model_tokenize(bed->model, "a", 1, ids, 4, &count, &error),
                     SATCHEL_UNSUPPORTED);
    assert_int_equal(count, 0);
    assert_null(satchel_model_token(bed->model, 0));
}

static void embedder_rows_are_checked(void **state) {
    test_bed *bed = *state;
    satchel_error error;
    satchel_text texts[2] = {{"one", 3}, {"two three", SATCHEL_NUL_TERMINATED}};
    float rows[2][TEST_DIMENSION];
    test_fine(satchel_model_embed(bed->model, 0, texts, 2, &rows[0][0], NULL, &error), &error);
    float expected = rows[1][3];
    bed->embedder.spoil = 3; /* rows of length 3 are scaled to 1 */
    test_fine(satchel_model_embed(bed->model, 0, texts, 2, &rows[0][0], NULL, &error), &error);
    double sum = 0;
    for (int i = 0; i < TEST_DIMENSION; i++)
        sum += (double)rows[1][i] * rows[1][i];
    assert_true(sum > 0.999999 && sum < 1.000001);
    assert_true(rows[1][3] - expected < 1e-6 && expected - rows[1][3] < 1e-6);
    for (bed->embedder.spoil = 1; bed->embedder.spoil <= 2; bed->embedder.spoil++)
        assert_int_equal(satchel_model_embed(bed->model, 0, texts, 2, &rows[0][0], NULL, &error),
                         SATCHEL_CALLBACK);
    assert_non_null(strstr(error.message, "test: hashed words"));
    bed->embedder.spoil = 0;
    bed->embedder.result = -77;
    assert_int_equal(satchel_model_embed(bed->model, 0, texts, 2, &rows[0][0], NULL, &error),
                     SATCHEL_CALLBACK);
    assert_non_null(strstr(error.message, "-77"));
    texts[1] = (satchel_text){"\xFF", 1};
    bed->embedder.result = 0;
    assert_int_equal(satchel_model_embed(bed->model, 0, texts, 2, &rows[0][0], NULL, &error),
                     SATCHEL_INVALID_TEXT);
    assert_int_equal(satchel_model_embed(bed->model, 7, texts, 1, &rows[0][0], NULL, &error),
                     SATCHEL_INVALID_ARGUMENT);
    test_fine(satchel_model_embed(bed->model, 0, NULL, 0, NULL, NULL, &error), &error);
}

static void missing_and_foreign_models(void **state) {
    test_bed *bed = *state;
    satchel_error error;
    satchel_model *model = NULL;
    char path[128];
    test_path(bed, "none.gguf", path);
    assert_int_equal(satchel_model_open(&model, bed->context, path, NULL, &error),
                     SATCHEL_NOT_FOUND);
    assert_non_null(strstr(error.message, "none.gguf"));
    test_path(bed, "text.gguf", path);
    test_write(path, "this is no model at all, just some text of a certain length\n");
    assert_int_equal(satchel_model_open(&model, bed->context, path, NULL, &error), SATCHEL_DAMAGED);
    assert_null(model);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(satchel_model_open_fd(&model, bed->context, fd, 0, 0, NULL, &error),
                     SATCHEL_DAMAGED);
    assert_int_equal(satchel_model_open_fd(&model, bed->context, fd, 1 << 20, 0, NULL, &error) < 0,
                     1);
    assert_int_equal(close(fd), 0); /* still ours */
    assert_int_equal(satchel_model_open_fd(&model, bed->context, -1, 0, 0, NULL, &error),
                     SATCHEL_INVALID_ARGUMENT);
}

static void a_real_model_by_path_and_descriptor(void **state) {
    test_bed *bed = *state;
    const char *path = getenv("SATCHEL_TEST_MODEL");
    if (!path)
        skip();
    satchel_error error;
    satchel_model *by_path = NULL, *by_fd = NULL;
    test_fine(satchel_model_open(&by_path, bed->context, path, NULL, &error), &error);
    int fd = open(path, O_RDONLY);
    test_fine(satchel_model_open_fd(&by_fd, bed->context, fd, 0, 0, NULL, &error), &error);
    close(fd); /* the model does not need it any more */
    satchel_model_info info;
    test_fine(satchel_model_get_info(by_path, &info, sizeof info, &error), &error);
    assert_string_equal(info.architecture, "bert");
    float *one = calloc((size_t)info.dimension, sizeof *one);
    float *two = calloc((size_t)info.dimension, sizeof *two);
    satchel_text text = {"The lease ends in March.", SATCHEL_NUL_TERMINATED};
    test_fine(satchel_model_embed(by_path, 0, &text, 1, one, NULL, &error), &error);
    test_fine(satchel_model_embed(by_fd, 0, &text, 1, two, NULL, &error), &error);
    assert_memory_equal(one, two, (size_t)info.dimension * sizeof *one);
    double sum = 0;
    for (int i = 0; i < info.dimension; i++)
        sum += (double)one[i] * one[i];
    assert_true(sum > 0.9999 && sum < 1.0001);
    int32_t ids[64];
    size_t count = 0, again = 0;
    test_fine(satchel_model_tokenize(by_path, "lease", 5, NULL, 0, &count, &error), &error);
    assert_in_range(count, 3, 64);
    test_fine(satchel_model_tokenize(by_path, "lease", 5, ids, 64, &again, &error), &error);
    assert_int_equal(count, again);
    assert_string_equal(satchel_model_token(by_path, ids[0]), "[CLS]");
    free(one);
    free(two);
    satchel_model_close(&by_path);
    satchel_model_close(&by_fd);
}

/* ------------------------------------------------------------------ readers */

typedef struct test_reader {
    int reads, destroyed;
    satchel_status result;
} test_reader;

static satchel_status read_upper(void *user, const char *media_type, const void *data,
                                 size_t length, const satchel_reader_sink *sink, char *message,
                                 size_t message_size) {
    test_reader *reader = user;
    (void)media_type, (void)data, (void)length;
    reader->reads++;
    if (reader->result) {
        snprintf(message, message_size, "page 3 is torn");
        return reader->result;
    }
    satchel_locator locator = {.kind = SATCHEL_LOCATOR_PAGE, .number = 1};
    satchel_status status = sink->locate(sink->sink, &locator);
    const char *pages[] = {"The first page is about bread.\n\n",
                           "The second page is about trains."};
    for (int i = 0; !status && i < 2; i++) {
        locator.number = i + 1;
        status = sink->locate(sink->sink, &locator);
        if (!status)
            status = sink->text(sink->sink, pages[i], strlen(pages[i]));
    }
    return status;
}

static void reader_destroy(void *user) {
    ((test_reader *)user)->destroyed++;
}

static satchel_reader reader_table(test_reader *reader) {
    return (satchel_reader){.struct_size = sizeof(satchel_reader),
                            .user = reader,
                            .id = "test",
                            .media_types = "application/x-test",
                            .extensions = "tst",
                            .read = read_upper,
                            .destroy = reader_destroy};
}

static void readers_serve_and_are_destroyed_once(void **state) {
    test_bed *bed = *state;
    satchel_error error;
    test_reader reader = {0}, bad = {0};
    satchel_reader table = reader_table(&reader);
    test_fine(satchel_store_add_reader(bed->store, &table, &error), &error);
    satchel_reader wrong = reader_table(&bad);
    wrong.read = NULL;
    assert_int_equal(satchel_store_add_reader(bed->store, &wrong, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(bad.destroyed, 1);
    test_fine(satchel_store_add_bytes(bed->store, "book.tst", NULL, "xx", 2, NULL, &error), &error);
    assert_int_equal(reader.reads, 1);
    satchel_results *results = NULL;
    test_fine(satchel_search(&results, bed->store, "trains", NULL, &error), &error);
    satchel_hit hit;
    test_fine(satchel_results_get(results, 0, &hit, sizeof hit, &error), &error);
    assert_string_equal(hit.document_id, "book.tst");
    satchel_results_close(&results);
    reader.result = SATCHEL_DAMAGED;
    assert_int_not_equal(
        satchel_store_add_bytes(bed->store, "torn", "application/x-test", "x", 1, NULL, &error),
        SATCHEL_OK);
    assert_non_null(strstr(error.message, "page 3 is torn"));
    assert_int_equal(reader.destroyed, 0);
    satchel_store_close(&bed->store);
    assert_int_equal(reader.destroyed, 1);
}

/* ------------------------------------------------------------------ order and memory */

static void handles_close_in_any_order(void **state) {
    test_bed *bed = *state;
    test_add(bed, "note", "The lease of the flat ends in March.");
    satchel_error error;
    satchel_results *results = NULL;
    satchel_documents *documents = NULL;
    satchel_stream *answer = NULL;
    satchel_cancel *cancel = NULL;
    satchel_ask_options options;
    satchel_ask_options_init(&options, sizeof options);
    test_fine(satchel_cancel_open(&cancel, bed->context, &error), &error);
    options.cancel = cancel;
    test_fine(satchel_search(&results, bed->store, "lease", NULL, &error), &error);
    test_fine(satchel_store_list(&documents, bed->store, NULL, &error), &error);
    test_fine(satchel_ask(&answer, bed->store, "When does the lease end?", &options, &error),
              &error);
    /* The owners first. */
    satchel_context_close(&bed->context);
    satchel_model_close(&bed->model);
    satchel_store_close(&bed->store);
    satchel_cancel_close(&cancel);
    int counts[16];
    test_fine(test_drain(answer, counts, &error), &error);
    assert_int_equal(counts[SATCHEL_EVENT_MODE], 1);
    satchel_hit hit;
    satchel_document document;
    assert_int_equal(satchel_results_count(results), 1);
    test_fine(satchel_results_get(results, 0, &hit, sizeof hit, &error), &error);
    assert_string_equal(hit.document_id, "note");
    test_fine(satchel_documents_get(documents, 0, &document, sizeof document, &error), &error);
    assert_string_equal(document.id, "note");
    assert_int_equal(bed->embedder.destroyed, 0);
    satchel_stream_close(&answer);
    assert_int_equal(bed->embedder.destroyed, 1);
    satchel_documents_close(&documents);
    satchel_results_close(&results);
}

typedef struct counting {
    int64_t blocks, bytes;
} counting;

static void *count_allocate(void *user, size_t size) {
    void *block = malloc(size);
    counting *counts = user;
    if (block) {
        counts->blocks++;
        counts->bytes += (int64_t)size;
    }
    return block;
}

static void *count_reallocate(void *user, void *block, size_t old_size, size_t new_size) {
    void *moved = realloc(block, new_size);
    counting *counts = user;
    if (moved)
        counts->bytes += (int64_t)new_size - (int64_t)old_size;
    return moved;
}

static void count_release(void *user, void *block, size_t size) {
    counting *counts = user;
    counts->blocks--;
    counts->bytes -= (int64_t)size;
    free(block);
}

static void an_application_s_allocator_gets_all_back(void **state) {
    test_bed *bed = *state; /* for its folder */
    counting counts = {0};
    satchel_allocator allocator = {&counts, count_allocate, count_reallocate, count_release};
    satchel_context_options options;
    satchel_context_options_init(&options, sizeof options);
    options.allocator = &allocator;
    options.threads = 1; /* the counts are not atomic */
    satchel_error error;
    satchel_context *context = NULL;
    satchel_store *store = NULL;
    satchel_results *results = NULL;
    test_fine(satchel_context_open(&context, &options, &error), &error);
    char path[128];
    test_path(bed, "counted.satchel", path);
    test_fine(satchel_store_open(&store, context, path, NULL, &error), &error);
    test_fine(satchel_store_add_text(store, "a", "The lease ends.", 15, NULL, &error), &error);
    test_fine(satchel_search(&results, store, "lease", NULL, &error), &error);
    uint64_t now = 0, peak = 0;
    satchel_context_memory(context, &now, &peak);
    assert_true(counts.blocks > 0);
    assert_true(now > 0 && peak >= now);
    satchel_results_close(&results);
    satchel_store_close(&store);
    satchel_context_close(&context);
    assert_int_equal(counts.blocks, 0);
    assert_int_equal(counts.bytes, 0);
}

static void the_memory_limit_is_an_error_not_a_crash(void **state) {
    test_bed *bed = *state;
    const char *path = getenv("SATCHEL_TEST_MODEL");
    satchel_context_options options;
    satchel_context_options_init(&options, sizeof options);
    options.memory_limit = 64 * 1024;
    satchel_error error;
    satchel_context *context = NULL;
    test_fine(satchel_context_open(&context, &options, &error), &error);
    satchel_store *store = NULL;
    char other[128];
    test_path(bed, "limited.satchel", other);
    satchel_status status = satchel_store_open(&store, context, other, NULL, &error);
    char *text = malloc(1 << 20);
    memset(text, 'a', 1 << 20);
    if (!status)
        status = satchel_store_add_text(store, "big", text, 1 << 20, NULL, &error);
    assert_int_equal(status, SATCHEL_MEMORY_LIMIT);
    free(text);
    satchel_store_close(&store);
    satchel_context_close(&context);
    (void)path;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(embedder_is_destroyed_once_on_success),
        WITH_MODEL(embedder_is_destroyed_once_on_failure),
        WITH_MODEL(embedder_outlives_its_model_handle),
        WITH_MODEL(model_info_of_an_embedder),
        WITH_MODEL(embedder_rows_are_checked),
        WITH_MODEL(missing_and_foreign_models),
        WITH_MODEL(a_real_model_by_path_and_descriptor),
        WITH_MODEL(readers_serve_and_are_destroyed_once),
        WITH_MODEL(handles_close_in_any_order),
        WITH_MODEL(an_application_s_allocator_gets_all_back),
        WITH_MODEL(the_memory_limit_is_an_error_not_a_crash),
    };
    return cmocka_run_group_tests_name("handles", tests, NULL, NULL);
}
