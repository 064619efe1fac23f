/* Streams, callbacks and cancel: what a caller may count on while a call runs. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>

#include "tests/unit/sdk/support.h"

/* A folder with one document. */
static void make_docs(const test_bed *bed, char folder[128]) {
    char path[128];
    test_path(bed, "docs", folder);
    mkdir(folder, 0700);
    test_path(bed, "docs/a.txt", path);
    test_write(path, "Bread needs flour.");
}

/* ------------------------------------------------------------------ streams */

static void done_is_given_again(void **state) {
    test_bed *bed = *state;
    test_add(bed, "note", "The lease of the flat ends in March.");
    satchel_error error;
    satchel_stream *stream = NULL;
    int counts[16];
    test_fine(satchel_ask(&stream, bed->store, "When does the lease end?", NULL, &error), &error);
    test_fine(test_drain(stream, counts, &error), &error);
    assert_int_equal(counts[SATCHEL_EVENT_MODE], 1);
    assert_int_equal(counts[SATCHEL_EVENT_HITS], 1);
    assert_int_equal(counts[SATCHEL_EVENT_DONE], 1);
    satchel_event first, second;
    test_fine(satchel_stream_next(stream, &first, sizeof first, &error), &error);
    test_fine(satchel_stream_next(stream, &second, sizeof second, &error), &error);
    assert_int_equal(first.kind, SATCHEL_EVENT_DONE);
    assert_int_equal(second.kind, SATCHEL_EVENT_DONE);
    assert_non_null(second.done);
    assert_int_equal(first.done->hits, second.done->hits);
    /* A wrong size is the caller's mistake; the stream goes on. */
    assert_int_equal(satchel_stream_next(stream, &first, 1, &error), SATCHEL_INVALID_ARGUMENT);
    test_fine(satchel_stream_next(stream, &first, sizeof first, &error), &error);
    satchel_stream_close(&stream);
    assert_null(stream);
}

static void an_error_is_given_again(void **state) {
    test_bed *bed = *state;
    satchel_error error, again;
    satchel_stream *stream = NULL;
    satchel_cancel *cancel = NULL;
    char folder[128];
    make_docs(bed, folder);
    test_fine(satchel_cancel_open(&cancel, bed->context, &error), &error);
    satchel_sync_options options;
    satchel_sync_options_init(&options, sizeof options);
    options.cancel = cancel;
    test_fine(satchel_store_sync(&stream, bed->store, folder, &options, &error), &error);
    satchel_cancel_fire(cancel);
    assert_int_equal(satchel_cancel_fired(cancel), 1);
    satchel_event event;
    satchel_status status = SATCHEL_OK;
    do
        status = satchel_stream_next(stream, &event, sizeof event, &error);
    while (!status && event.kind != SATCHEL_EVENT_DONE);
    assert_int_equal(status, SATCHEL_CANCELLED);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(satchel_stream_next(stream, &event, sizeof event, &again),
                         SATCHEL_CANCELLED);
        assert_int_equal(again.code, SATCHEL_CANCELLED);
        assert_string_equal(again.message, error.message);
        assert_int_equal(event.kind, 0);
    }
    /* The failed stream no longer holds the writer's place. */
    satchel_stream *second = NULL;
    int counts[16];
    test_fine(satchel_store_sync(&second, bed->store, folder, NULL, &error), &error);
    test_fine(test_drain(second, counts, &error), &error);
    assert_int_equal(counts[SATCHEL_EVENT_FILE], 1);
    satchel_stream_close(&second);
    satchel_stream_close(&stream);
    satchel_cancel_close(&cancel);
}

static void a_stream_keeps_its_store(void **state) {
    test_bed *bed = *state;
    char folder[128];
    make_docs(bed, folder);
    satchel_error error;
    satchel_stream *stream = NULL;
    int counts[16];
    test_fine(satchel_store_sync(&stream, bed->store, folder, NULL, &error), &error);
    satchel_store_close(&bed->store);
    test_fine(test_drain(stream, counts, &error), &error);
    assert_int_equal(counts[SATCHEL_EVENT_FILE], 1);
    satchel_stream_close(&stream);
}

static void generated_answers_need_a_generator(void **state) {
    test_bed *bed = *state;
    satchel_error error;
    satchel_stream *stream = NULL;
    satchel_ask_options options;
    satchel_ask_options_init(&options, sizeof options);
    test_add(bed, "note", "The lease of the flat ends in March.");
    options.mode = SATCHEL_ANSWER_GENERATED;
    assert_int_equal(satchel_ask(&stream, bed->store, "q", &options, &error), SATCHEL_NO_MODEL);
    assert_null(stream);
    options.mode = SATCHEL_ANSWER_EXTRACTIVE;
    test_fine(satchel_ask(&stream, bed->store, "q", &options, &error), &error);
    satchel_event event;
    test_fine(satchel_stream_next(stream, &event, sizeof event, &error), &error);
    assert_int_equal(event.kind, SATCHEL_EVENT_MODE);
    assert_int_equal(event.mode->mode, SATCHEL_ANSWER_EXTRACTIVE);
    assert_int_equal(event.mode->reason, SATCHEL_REASON_REQUESTED);
    satchel_stream_close(&stream);
}

/* ------------------------------------------------------------------ cancel */

static void a_fired_handle_stops_calls(void **state) {
    test_bed *bed = *state;
    satchel_error error;
    satchel_cancel *cancel = NULL;
    test_fine(satchel_cancel_open(&cancel, bed->context, &error), &error);
    assert_int_equal(satchel_cancel_fired(cancel), 0);
    satchel_cancel_fire(cancel);
    satchel_cancel_fire(cancel);
    satchel_search_options options;
    satchel_search_options_init(&options, sizeof options);
    options.cancel = cancel;
    satchel_results *results = NULL;
    assert_int_equal(satchel_search(&results, bed->store, "q", &options, &error),
                     SATCHEL_CANCELLED);
    satchel_text text = {"a", 1};
    float vector[TEST_DIMENSION];
    assert_int_equal(satchel_model_embed(bed->model, 0, &text, 1, vector, cancel, &error),
                     SATCHEL_CANCELLED);
    satchel_add_options add;
    satchel_add_options_init(&add, sizeof add);
    add.cancel = cancel;
    assert_int_equal(satchel_store_add_text(bed->store, "id", "text", 4, &add, &error),
                     SATCHEL_CANCELLED);
    satchel_cancel_close(&cancel);
    assert_null(cancel);
}

/* ------------------------------------------------------------------ callbacks */

typedef struct calling_back {
    test_bed *bed;
    satchel_status search, embed, stats, next;
    satchel_stream *stream;
} calling_back;

static void call_back(void *user) {
    calling_back *calls = user;
    satchel_results *results = NULL;
    satchel_text text = {"a", 1};
    float vector[TEST_DIMENSION];
    satchel_store_stats stats;
    satchel_event event;
    calls->search = satchel_search(&results, calls->bed->store, "q", NULL, NULL);
    calls->embed = satchel_model_embed(calls->bed->model, 0, &text, 1, vector, NULL, NULL);
    calls->stats = satchel_store_get_stats(calls->bed->store, &stats, sizeof stats, NULL);
    if (calls->stream)
        calls->next = satchel_stream_next(calls->stream, &event, sizeof event, NULL);
}

static void calling_back_is_busy(void **state) {
    test_bed *bed = *state;
    calling_back calls = {.bed = bed};
    bed->embedder.inside = call_back;
    bed->embedder.inside_user = &calls;
    test_add(bed, "note", "The lease ends in March.");
    assert_int_equal(calls.search, SATCHEL_BUSY);
    assert_int_equal(calls.embed, SATCHEL_BUSY);
    assert_int_equal(calls.stats, SATCHEL_BUSY);
    /* From within a stream of the store too. */
    satchel_error error;
    memset(&calls, 0, sizeof calls);
    calls.bed = bed;
    test_fine(satchel_ask(&calls.stream, bed->store, "lease?", NULL, &error), &error);
    int counts[16];
    test_fine(test_drain(calls.stream, counts, &error), &error);
    assert_int_equal(calls.next, SATCHEL_BUSY);
    satchel_stream_close(&calls.stream);
    /* And after the callback all is as before. */
    bed->embedder.inside = NULL;
    satchel_results *results = NULL;
    test_fine(satchel_search(&results, bed->store, "lease", NULL, &error), &error);
    satchel_results_close(&results);
}

static satchel_status busy_read(void *user, const char *media_type, const void *data, size_t length,
                                const satchel_reader_sink *sink, char *message,
                                size_t message_size) {
    (void)media_type, (void)message, (void)message_size;
    calling_back *calls = user;
    call_back(calls);
    return sink->text(sink->sink, data, length);
}

static void readers_that_call_back_are_busy(void **state) {
    test_bed *bed = *state;
    calling_back calls = {.bed = bed};
    satchel_reader reader = {.struct_size = sizeof reader,
                             .user = &calls,
                             .id = "busy",
                             .media_types = "application/x-busy",
                             .read = busy_read};
    satchel_error error;
    test_fine(satchel_store_add_reader(bed->store, &reader, &error), &error);
    test_fine(satchel_store_add_bytes(bed->store, "a", "application/x-busy", "some text", 9, NULL,
                                      &error),
              &error);
    assert_int_equal(calls.search, SATCHEL_BUSY);
    assert_int_equal(calls.stats, SATCHEL_BUSY);
    assert_int_equal(calls.embed, SATCHEL_OK); /* the model is not waiting for this thread */
}

struct crowd {
    test_bed *bed;
    atomic_int inside, most, failures;
};

static void one_at_a_time(void *user) {
    struct crowd *crowd = user;
    const int now = atomic_fetch_add(&crowd->inside, 1) + 1;
    int most = atomic_load(&crowd->most);
    while (now > most && !atomic_compare_exchange_weak(&crowd->most, &most, now))
        continue;
    nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    atomic_fetch_sub(&crowd->inside, 1);
}

static void *search_often(void *user) {
    struct crowd *crowd = user;
    for (int i = 0; i < 25; i++) {
        satchel_results *results = NULL;
        if (satchel_search(&results, crowd->bed->store, "lease bread", NULL, NULL) ||
            satchel_results_count(results) == 0)
            atomic_fetch_add(&crowd->failures, 1);
        satchel_results_close(&results);
    }
    return NULL;
}

static void callbacks_run_one_at_a_time(void **state) {
    test_bed *bed = *state;
    test_add(bed, "one", "The lease ends in March.");
    test_add(bed, "two", "Bread needs flour.");
    struct crowd crowd = {.bed = bed};
    bed->embedder.inside = one_at_a_time;
    bed->embedder.inside_user = &crowd;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, search_often, &crowd), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&crowd.failures), 0);
    assert_int_equal(atomic_load(&crowd.most), 1);
}

static void a_failing_embedder_keeps_the_document(void **state) {
    test_bed *bed = *state;
    satchel_error error;
    bed->embedder.result = -5;
    assert_int_equal(
        satchel_store_add_text(bed->store, "note", "The lease ends.", 15, NULL, &error),
        SATCHEL_CALLBACK);
    bed->embedder.result = 0;
    satchel_results *results = NULL;
    satchel_search_options options;
    satchel_search_options_init(&options, sizeof options);
    options.mode = SATCHEL_SEARCH_KEYWORD;
    test_fine(satchel_search(&results, bed->store, "lease", &options, &error), &error);
    assert_int_equal(satchel_results_count(results), 1);
    satchel_results_close(&results);
    int64_t pending = -1;
    test_fine(satchel_store_maintain(bed->store, 0, NULL, &pending, &error), &error);
    assert_int_equal(pending, 0);
    satchel_store_stats stats;
    test_fine(satchel_store_get_stats(bed->store, &stats, sizeof stats, &error), &error);
    assert_int_equal(stats.chunks_embedded, 1);
}

/* ------------------------------------------------------------------ the calls themselves */

static void a_document_s_life(void **state) {
    test_bed *bed = *state;
    satchel_error error;
    const char *text = "Caf\xC3\xA9: the lease \xF0\x9F\x8F\xA0 ends in March.";
    satchel_add_options add;
    satchel_add_options_init(&add, sizeof add);
    add.title = "Lease";
    add.metadata = "{\"author\":\"Ada\",\"year\":1843}";
    test_fine(satchel_store_add_text(bed->store, "notes/lease", text, strlen(text), &add, &error),
              &error);
    add.must_be_new = 1;
    assert_int_equal(
        satchel_store_add_text(bed->store, "notes/lease", text, strlen(text), &add, &error),
        SATCHEL_EXISTS);
    add.metadata = "{\"deep\":{\"er\":1}}";
    assert_int_equal(satchel_store_add_text(bed->store, "x", text, strlen(text), &add, &error),
                     SATCHEL_INVALID_METADATA);

    char part[8] = {0};
    int64_t length = 0;
    test_fine(satchel_document_text(bed->store, "notes/lease", 0, NULL, 0, &length, &error),
              &error);
    assert_int_equal(length, strlen(text));
    test_fine(satchel_document_text(bed->store, "notes/lease", 7, part, 3, &length, &error),
              &error);
    assert_string_equal(part, "the");
    assert_int_equal(satchel_document_text(bed->store, "none", 0, NULL, 0, &length, &error),
                     SATCHEL_NOT_FOUND);

    satchel_results *results = NULL;
    satchel_hit hit;
    satchel_range match;
    test_fine(satchel_search(&results, bed->store, "march", NULL, &error), &error);
    assert_int_equal(satchel_results_mode(results), SATCHEL_SEARCH_HYBRID);
    test_fine(satchel_results_get(results, 0, &hit, sizeof hit, &error), &error);
    assert_string_equal(hit.title, "Lease");
    assert_int_equal(hit.range.start, 0);
    assert_int_equal(hit.range.end, strlen(text));
    assert_memory_equal(hit.text, text + hit.range.start, hit.text_length);
    assert_true(hit.match_count >= 1);
    test_fine(satchel_results_get_match(results, 0, 0, &match, &error), &error);
    assert_memory_equal(text + match.start, "March", 5);
    assert_int_equal(match.start - match.start_utf16, 3); /* é: one byte more, the house: two */
    assert_int_equal(satchel_results_get(results, 1, &hit, sizeof hit, &error), SATCHEL_NOT_FOUND);
    assert_int_equal(satchel_results_get_match(results, 0, hit.match_count + 99, &match, &error),
                     SATCHEL_NOT_FOUND);
    satchel_results_close(&results);

    satchel_list_options list;
    satchel_list_options_init(&list, sizeof list);
    list.filter = "{\"meta.author\":\"Ada\"}";
    satchel_documents *documents = NULL;
    test_fine(satchel_store_list(&documents, bed->store, &list, &error), &error);
    assert_int_equal(satchel_documents_count(documents), 1);
    satchel_documents_close(&documents);
    list.filter = "{\"nonsense\":1}";
    assert_int_equal(satchel_store_list(&documents, bed->store, &list, &error),
                     SATCHEL_INVALID_FILTER);

    char copy[128];
    test_path(bed, "copy.satchel", copy);
    test_fine(satchel_store_backup(bed->store, copy, NULL, &error), &error);
    assert_int_equal(satchel_store_backup(bed->store, copy, NULL, &error), SATCHEL_EXISTS);
    int64_t problems = -1;
    test_fine(satchel_store_verify(bed->store, NULL, NULL, &problems, &error), &error);
    assert_int_equal(problems, 0);
    test_fine(satchel_store_remove(bed->store, "notes/lease", &error), &error);
    assert_int_equal(satchel_store_remove(bed->store, "notes/lease", &error), SATCHEL_NOT_FOUND);

    satchel_store *second = NULL;
    satchel_store_options options;
    satchel_store_options_init(&options, sizeof options);
    options.must_exist = 1;
    test_fine(satchel_store_open(&second, bed->context, copy, &options, &error), &error);
    test_fine(satchel_document_text(second, "notes/lease", 0, NULL, 0, &length, &error), &error);
    satchel_store_close(&second);
    test_path(bed, "absent.satchel", copy);
    assert_int_equal(satchel_store_open(&second, bed->context, copy, &options, &error),
                     SATCHEL_NOT_FOUND);
}

static void text_is_kept_byte_for_byte(void **state) {
    test_bed *bed = *state;
    satchel_error error;
    /* Neither a byte order mark nor NULs may make a given text into another: offsets count in it.
     * */
    const struct {
        const char *data;
        size_t length;
    } texts[] = {{"\xEF\xBB\xBFmarked text", 14},
                 {"a\0b\0c\0d\0", 8},
                 {"line\r\nend\rline\n", 15},
                 {"  spaces stay  ", 15},
                 {"e\xCC\x81 is not composed", 19}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char out[64];
        int64_t length = 0;
        test_fine(
            satchel_store_add_text(bed->store, "t", texts[i].data, texts[i].length, NULL, &error),
            &error);
        test_fine(satchel_document_text(bed->store, "t", 0, out, sizeof out, &length, &error),
                  &error);
        assert_int_equal(length, texts[i].length);
        assert_memory_equal(out, texts[i].data, texts[i].length);
    }
}

static void roots_are_listed(void **state) {
    test_bed *bed = *state;
    char folder[128], name[32], from[128];
    make_docs(bed, folder);
    satchel_error error;
    satchel_stream *stream = NULL;
    int counts[16];
    test_fine(satchel_store_sync(&stream, bed->store, folder, NULL, &error), &error);
    test_fine(test_drain(stream, counts, &error), &error);
    satchel_stream_close(&stream);
    int64_t documents = 0;
    test_fine(satchel_store_get_root(bed->store, 0, name, sizeof name, from, sizeof from,
                                     &documents, &error),
              &error);
    assert_string_equal(name, "docs");
    assert_string_equal(from, folder);
    assert_int_equal(documents, 1);
    test_fine(satchel_store_get_root(bed->store, 0, name, 3, NULL, 0, NULL, &error), &error);
    assert_string_equal(name, "do");
    assert_int_equal(satchel_store_get_root(bed->store, 1, name, sizeof name, from, sizeof from,
                                            &documents, &error),
                     SATCHEL_NOT_FOUND);
}

static void without_a_model_keywords_serve(void **state) {
    test_bed *bed = *state;
    satchel_error error;
    test_add(bed, "note", "The lease ends in March.");
    satchel_search_options options;
    satchel_search_options_init(&options, sizeof options);
    satchel_results *results = NULL;
    options.mode = SATCHEL_SEARCH_HYBRID;
    test_fine(satchel_search(&results, bed->store, "lease", &options, &error), &error);
    assert_int_equal(satchel_results_mode(results), SATCHEL_SEARCH_KEYWORD);
    assert_int_equal(satchel_results_count(results), 1);
    satchel_results_close(&results);
    options.mode = SATCHEL_SEARCH_VECTOR;
    assert_int_equal(satchel_search(&results, bed->store, "lease", &options, &error),
                     SATCHEL_NO_MODEL);
    assert_int_equal(satchel_store_maintain(bed->store, 0, NULL, NULL, &error), SATCHEL_NO_MODEL);
    satchel_store_stats stats;
    test_fine(satchel_store_get_stats(bed->store, &stats, sizeof stats, &error), &error);
    assert_int_equal(stats.documents, 1);
    assert_int_equal(stats.has_model, 0);
    assert_int_equal(stats.chunks_pending, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_MODEL(done_is_given_again),
        WITH_MODEL(an_error_is_given_again),
        WITH_MODEL(a_stream_keeps_its_store),
        WITH_MODEL(generated_answers_need_a_generator),
        WITH_MODEL(a_fired_handle_stops_calls),
        WITH_MODEL(calling_back_is_busy),
        WITH_MODEL(readers_that_call_back_are_busy),
        WITH_MODEL(callbacks_run_one_at_a_time),
        WITH_MODEL(a_failing_embedder_keeps_the_document),
        WITH_MODEL(a_document_s_life),
        WITH_MODEL(text_is_kept_byte_for_byte),
        WITH_MODEL(roots_are_listed),
        WITHOUT_MODEL(without_a_model_keywords_serve),
    };
    return cmocka_run_group_tests_name("calls", tests, NULL, NULL);
}
