/* The vector index: the same answers as without it, while the store changes, and how it is renewed. */
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/retrieval/index_fixture.h"

static void answers_as_the_exact_tier(void **state) {
    fixture *f = index_ready(state);
    index_maintain(f);
    assert_int_equal(index_number(f), 1);
    index_expect_served(f);
    assert_int_equal(sat_vindex_count(f->store->collection->vectors), 0);
    fixture_verify(f);
}

/* Of the ten best of the exact tier, how many in a hundred are found. */
static size_t recall(fixture *f, int32_t mode, const char *filter) {
    size_t right = 0, all = 0;
    for (int q = 0; q < 40; q++) {
        index_hits found, expected;
        char query[128];
        index_query(q, query);
        index_search(f, false, query, mode, filter, 10, &found);
        index_search(f, true, query, mode, filter, 10, &expected);
        assert_int_equal(found.count, 10);
        float last = expected.hits[9].score;
        for (size_t i = 0; i < 10; i++)
            right += found.hits[i].score >= last - 1e-3f * fabsf(last);
        all += 10;
    }
    assert_true(index_serves(f));
    return right * 100 / all;
}

static void finds_most_with_few_probes(void **state) {
    fixture *f = index_ready(state);
    f->index.probes = 0; /* the default */
    fixture_fine(f, fixture_open(f));
    index_maintain(f);
    size_t plain = recall(f, SATCHEL_SEARCH_VECTOR, NULL);
    size_t filtered = recall(f, SATCHEL_SEARCH_VECTOR, "{\"path\":\"odd/*\"}");
    size_t hybrid = recall(f, SATCHEL_SEARCH_HYBRID, NULL);
    print_message("# recall: %zu, with a filter %zu, with keywords %zu of 100\n", plain, filtered,
                  hybrid);
    /* Words are random directions here: harder than embeddings, which have 98 and more. */
    assert_true(plain >= 95);
    assert_true(filtered >= 95);
    assert_true(hybrid >= 98);
}

static void small_stores_have_none(void **state) {
    fixture *f = index_ready(state);
    f->index.minimum = INDEX_DOCUMENTS * INDEX_CHUNKS + 1;
    fixture_fine(f, fixture_open(f));
    index_maintain(f);
    assert_int_equal(index_number(f), 0);
    assert_int_equal(index_files(f), 0);
    index_expect_exact(f);
    assert_false(index_serves(f));
}

static void newer_rows_are_found(void **state) {
    fixture *f = index_ready(state);
    index_maintain(f);
    index_expect_exact(f); /* takes the generation */
    index_add(f, 101);
    fixture_add(f, "odd/new", "word12 word13 word14 word15 word16");
    index_maintain(f); /* too little for a new one */
    assert_int_equal(index_number(f), 1);
    index_expect_served(f);
    assert_int_equal(sat_vindex_count(f->store->collection->vectors), INDEX_CHUNKS + 1);
    fixture_verify(f);
    /* And by a handle that opens now. */
    fixture_fine(f, fixture_open(f));
    index_expect_served(f);
}

static void removed_rows_are_not_found(void **state) {
    fixture *f = index_ready(state);
    index_maintain(f);
    index_expect_exact(f);
    fixture_fine(f, sat_store_remove(f->store, "even/4", &f->error));
    fixture_fine(f, sat_store_remove(f->store, "odd/7", &f->error));
    index_expect_served(f);
    assert_int_equal(f->store->collection->dead_count, 2 * INDEX_CHUNKS);
    fixture_fine(f, fixture_open(f));
    index_expect_exact(f);
    assert_int_equal(f->store->collection->dead_count, 2 * INDEX_CHUNKS);
    fixture_verify(f);
}

static void replaced_rows_are_found_once(void **state) {
    fixture *f = index_ready(state);
    index_maintain(f);
    index_expect_exact(f);
    char *text = index_text(4, INDEX_CHUNKS), *other = index_text(104, INDEX_CHUNKS);
    /* Half of it stays, half is new. */
    char *half = strstr(text + strlen(text) / 2, "\n\n");
    assert_non_null(half);
    half[2] = '\0';
    char *both = malloc(strlen(text) + strlen(other) + 1);
    sprintf(both, "%s%s", text, strstr(other + strlen(other) / 2, "\n\n") + 2);
    fixture_add(f, "even/4", both);
    free(text);
    free(other);
    free(both);
    index_expect_served(f);
    assert_in_range(f->store->collection->dead_count, 40, 60);
    fixture_verify(f);
}

static void is_renewed_when_a_quarter_is_new(void **state) {
    fixture *f = index_ready(state);
    index_maintain(f);
    for (int i = 0; i < INDEX_DOCUMENTS / 4 - 1; i++)
        index_add(f, 200 + i);
    index_maintain(f);
    assert_int_equal(index_number(f), 1);
    index_add(f, 300);
    index_maintain(f);
    assert_int_equal(index_number(f), 2);
    assert_int_equal(index_files(f), 1);
    index_expect_served(f);
    assert_int_equal(f->store->collection->generation->info.rows,
                     (INDEX_DOCUMENTS + INDEX_DOCUMENTS / 4) * INDEX_CHUNKS);
    fixture_verify(f);
}

static void is_renewed_when_a_quarter_is_gone_and_then_dropped(void **state) {
    fixture *f = index_ready(state);
    index_maintain(f);
    char id[32];
    for (int i = 0; i < INDEX_DOCUMENTS / 4; i++) {
        snprintf(id, sizeof id, "%s/%d", i % 2 ? "odd" : "even", i);
        fixture_fine(f, sat_store_remove(f->store, id, &f->error));
    }
    index_maintain(f);
    assert_int_equal(index_number(f), 2);
    index_expect_served(f);
    assert_int_equal(f->store->collection->dead_count, 0);
    for (int i = INDEX_DOCUMENTS / 4; i < INDEX_DOCUMENTS - 5; i++) {
        snprintf(id, sizeof id, "%s/%d", i % 2 ? "odd" : "even", i);
        fixture_fine(f, sat_store_remove(f->store, id, &f->error));
    }
    index_expect_exact(f);
    index_maintain(f);
    assert_int_equal(index_number(f), 0);
    assert_int_equal(index_files(f), 0);
    index_expect_exact(f);
    assert_false(index_serves(f));
    /* The next one does not take an old name. */
    for (int i = 0; i < 10; i++)
        index_add(f, 400 + i);
    index_maintain(f);
    assert_int_equal(index_number(f), 3);
    index_expect_exact(f);
    fixture_verify(f);
}

static void is_made_in_slices(void **state) {
    fixture *f = index_ready(state);
    int calls = 0;
    while (index_number(f) == 0 && calls++ < 1000)
        fixture_fine(f, sat_store_maintain(f->store, 1, NULL, NULL, &f->error));
    assert_in_range(calls, 3, 999);
    assert_int_equal(index_files(f), 1);
    index_expect_served(f);
}

static void rows_may_go_while_it_is_made(void **state) {
    fixture *f = index_ready(state);
    for (int calls = 0; index_number(f) == 0 && calls < 1000; calls++) {
        fixture_fine(f, sat_store_maintain(f->store, 1, NULL, NULL, &f->error));
        char id[32];
        snprintf(id, sizeof id, "even/%d", 2 * calls);
        if (calls < 3)
            fixture_fine(f, sat_store_remove(f->store, id, &f->error));
        if (calls == 3)
            index_add(f, 500);
    }
    assert_int_equal(index_number(f), 1);
    index_expect_served(f);
    fixture_verify(f);
}

static void closing_leaves_no_half_file(void **state) {
    fixture *f = index_ready(state);
    for (int calls = 0; index_files(f) == 0 && calls < 1000; calls++)
        fixture_fine(f, sat_store_maintain(f->store, 1, NULL, NULL, &f->error));
    assert_int_equal(index_files(f), 1);
    bool whole = index_number(f) != 0;
    fixture_fine(f, fixture_open(f));
    assert_int_equal(index_files(f), whole);
    index_maintain(f);
    assert_int_equal(index_number(f), 1);
    assert_int_equal(index_files(f), 1);
}

static void another_handle_takes_the_new_one(void **state) {
    fixture *f = index_ready(state);
    index_maintain(f);
    index_expect_exact(f);
    fixture other = *f;
    other.store = NULL;
    other.context = NULL;
    fixture_fine(&other, fixture_open(&other));
    index_expect_exact(&other);
    /* Its generation is replaced, and the file removed, while it holds it. */
    for (int i = 0; i < INDEX_DOCUMENTS / 2; i++)
        index_add(f, 200 + i);
    index_maintain(f);
    assert_int_equal(index_number(f), 2);
    assert_int_equal(other.store->collection->generation->info.number, 1);
    index_expect_exact(&other);
    assert_int_equal(other.store->collection->generation->info.number, 2);
    fixture_close(&other);
}

typedef struct searcher {
    fixture *f;
    _Atomic int stop, searches, failures;
} searcher;

static void *search_until_stopped(void *user) {
    searcher *s = user;
    for (int q = 0; !atomic_load(&s->stop); q++) {
        const satchel_search_options options = {.struct_size = sizeof options,
                                                .mode = q % 2 ? SATCHEL_SEARCH_VECTOR
                                                              : SATCHEL_SEARCH_HYBRID};
        char query[128];
        satchel_results *results = NULL;
        index_query(q % 10, query);
        if (sat_store_search(&results, s->f->store, query, strlen(query), &options, NULL) ||
            sat_results_count(results) != 10)
            atomic_fetch_add(&s->failures, 1);
        sat_results_close(&results);
        atomic_fetch_add(&s->searches, 1);
    }
    return NULL;
}

static void searches_go_on_while_it_is_made(void **state) {
    fixture *f = index_ready(state);
    searcher s = {.f = f};
    pthread_t threads[2];
    for (size_t i = 0; i < SAT_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, search_until_stopped, &s), 0);
    index_maintain(f);
    for (int i = 0; i < 7; i++)
        index_add(f, 200 + i);
    fixture_fine(f, sat_store_remove(f->store, "even/4", &f->error));
    index_maintain(f);
    int seen = atomic_load(&s.searches);
    for (int waits = 0; atomic_load(&s.searches) < seen + 4 && waits < 10000; waits++)
        usleep(1000);
    atomic_store(&s.stop, 1);
    for (size_t i = 0; i < SAT_COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&s.failures), 0);
    assert_int_equal(index_number(f), 2);
    index_expect_served(f);
}

static void a_missing_file_is_made_anew(void **state) {
    fixture *f = index_ready(state);
    index_maintain(f);
    char path[256];
    index_path(f, path);
    fixture_close(f);
    assert_int_equal(remove(path), 0);
    fixture_fine(f, fixture_open(f));
    index_expect_exact(f);
    assert_false(index_serves(f));
    fixture_verify(f);
    index_maintain(f);
    assert_int_equal(index_number(f), 2);
    index_expect_served(f);
}

static int64_t size_of(const char *path) {
    struct stat info;
    return stat(path, &info) ? 0 : (int64_t)info.st_size;
}

static void stats_count_its_file(void **state) {
    fixture *f = index_ready(state);
    satchel_store_stats before, after;
    char path[256], log[256];
    index_maintain(f);
    index_path(f, path);
    snprintf(log, sizeof log, "%s-wal", f->store_path);
    fixture_fine(f, sat_store_stats(f->store, &after, &f->error));
    int64_t index = size_of(path);
    assert_true(index > INDEX_DOCUMENTS * INDEX_CHUNKS * 32);
    assert_int_equal(after.file_bytes, size_of(f->store_path) + size_of(log) + index);
    before = after;
    assert_int_equal(remove(path), 0);
    fixture_fine(f, sat_store_stats(f->store, &after, &f->error));
    assert_int_equal(after.file_bytes, before.file_bytes - index);
}

static void another_model_does_not_use_it(void **state) {
    fixture *f = index_ready(state);
    index_maintain(f);
    f->fingerprint = "fake-of-another-kind";
    fixture_fine(f, fixture_open(f));
    index_hits hits;
    char query[128];
    index_search(f, false, index_query(1, query), SATCHEL_SEARCH_VECTOR, NULL, 10, &hits);
    assert_int_equal(hits.count, 0);
    assert_false(index_serves(f));
    index_maintain(f); /* embeds all anew */
    assert_int_equal(index_number(f), 2);
    index_expect_served(f);
    fixture_verify(f);
}

static void read_only_handles_use_it(void **state) {
    fixture *f = index_ready(state);
    f->read_only = true;
    fixture_fine(f, fixture_open(f));
    index_expect_exact(f);
    assert_false(index_serves(f));
    f->read_only = false;
    fixture_fine(f, fixture_open(f));
    index_maintain(f);
    f->read_only = true;
    fixture_fine(f, fixture_open(f));
    index_expect_served(f);
    fixture_fails(f, sat_store_maintain(f->store, 0, NULL, NULL, &f->error), SATCHEL_READ_ONLY);
    fixture_verify(f);
}

/* Another handle, on a copy of the store beside it. */
static void open_backup(fixture *f, fixture *other) {
    char copy[256];
    fixture_path(f, "copy.satchel", copy);
    fixture_fine(f, sat_store_backup(f->store, copy, NULL, &f->error));
    *other = *f;
    other->store = NULL;
    other->context = NULL;
    strcpy(other->store_path, copy);
    fixture_fine(other, fixture_open(other));
}

static void backups_go_without(void **state) {
    fixture *f = index_ready(state);
    index_maintain(f);
    fixture other;
    open_backup(f, &other);
    assert_int_equal(index_number(&other), 0);
    index_expect_exact(&other);
    fixture_verify(&other);
    index_maintain(&other);
    assert_int_equal(index_number(&other), 1);
    index_expect_exact(&other);
    fixture_close(&other);
    index_expect_served(f);
}

/* A file of the same number from elsewhere is not taken for it. */
static void files_of_other_stores_are_refused(void **state) {
    fixture *f = index_ready(state);
    index_maintain(f);
    char path[256], other_path[256];
    index_path(f, path);
    fixture other;
    open_backup(f, &other);
    fixture_fine(&other, sat_store_remove(other.store, "even/4", &other.error));
    index_maintain(&other);
    index_path(&other, other_path);
    fixture_close(&other);
    fixture_close(f);
    assert_int_equal(rename(other_path, path), 0);
    fixture_fine(f, fixture_open(f));
    index_expect_exact(f);
    assert_false(index_serves(f));
    index_maintain(f);
    assert_int_equal(index_number(f), 2);
    index_expect_served(f);
}

static void syncs_renew_it_and_pass_it_over(void **state) {
    fixture *f = index_ready(state);
    for (int i = 0; i < 4; i++) {
        char path[64];
        snprintf(path, sizeof path, "notes/%d.txt", i);
        char *text = index_text(600 + i, INDEX_CHUNKS);
        fixture_write(f, path, text);
        free(text);
    }
    fixture_expect_sync(f, "notes", "+docs/0.txt +docs/1.txt +docs/2.txt +docs/3.txt");
    assert_int_equal(index_number(f), 1);
    index_expect_served(f);
    /* The folder of the store itself: neither the store nor its index are documents. */
    const satchel_sync_options options = {.struct_size = sizeof options, .root = "all"};
    char log[4096];
    fixture_fine(f, fixture_sync(f, "", &options, NULL, log));
    assert_string_equal(log, "+all/notes/0.txt +all/notes/1.txt +all/notes/2.txt +all/notes/3.txt");
}

/* Another handle has the lease: a sync is not disturbed, and takes it from a build. */
static void gives_way_to_a_sync(void **state) {
    fixture *f = index_ready(state);
    fixture other = *f;
    other.store = NULL;
    other.context = NULL;
    fixture_fine(&other, fixture_open(&other));
    sat_lease sync = {0}, builder = {.for_index = true}, second = {.for_index = true};
    fixture_fine(f, sat_lease_take(&sync, other.store, NULL, &f->error));
    index_maintain(f);
    assert_int_equal(index_number(f), 0);
    fixture_fails(f, sat_lease_take(&builder, f->store, NULL, &f->error), SATCHEL_BUSY);
    sat_lease_drop(&sync, other.store);
    fixture_fine(f, sat_lease_take(&builder, other.store, NULL, &f->error));
    fixture_fails(f, sat_lease_take(&second, f->store, NULL, &f->error), SATCHEL_BUSY);
    index_maintain(f);
    assert_int_equal(index_number(f), 0);
    fixture_fine(f, sat_lease_take(&sync, f->store, NULL, &f->error));
    sat_lease_drop(&builder, other.store);
    sat_connection *writer;
    fixture_fine(f, sat_writer_begin(f->store, NULL, &writer, &f->error));
    fixture_fine(f, sat_lease_renew(&sync, writer, &f->error));
    sat_writer_abandon(writer);
    sat_lease_drop(&sync, f->store);
    fixture_close(&other);
    index_maintain(f);
    assert_int_equal(index_number(f), 1);
}

/* However short: what is told as left says when all is done. */
static void calls_with_little_time_finish_it(void **state) {
    fixture *f = index_ready(state);
    int64_t pending = 1;
    for (int calls = 0; pending > 0; calls++) {
        assert_true(calls < 100000);
        fixture_fine(f, sat_store_maintain(f->store, 1, NULL, &pending, &f->error));
    }
    assert_int_equal(index_number(f), 1);
    index_expect_served(f);
}

static void a_cancel_stops_it_and_loses_nothing(void **state) {
    fixture *f = index_ready(state);
    satchel_cancel cancel = {.context = f->context};
    atomic_store(&cancel.references, 1);
    atomic_store(&cancel.fired, 1);
    fixture_fails(f, sat_store_maintain(f->store, 0, &cancel, NULL, &f->error), SATCHEL_CANCELLED);
    assert_int_equal(index_number(f), 0);
    index_maintain(f);
    assert_int_equal(index_number(f), 1);
    index_hits hits;
    char query[128];
    index_search(f, false, index_query(1, query), SATCHEL_SEARCH_VECTOR, NULL, 10, &hits);
    const satchel_search_options options = {
        .struct_size = sizeof options, .mode = SATCHEL_SEARCH_VECTOR, .cancel = &cancel};
    satchel_results *results = NULL;
    fixture_fails(f,
                  sat_store_search(&results, f->store, query, strlen(query), &options, &f->error),
                  SATCHEL_CANCELLED);
}

/* Equal texts have one vector, found as often as it is used. */
static void equal_texts_are_all_found(void **state) {
    fixture *f = index_ready(state);
    for (int i = 0; i < 12; i++) {
        char id[32];
        snprintf(id, sizeof id, "same/%02d", i);
        fixture_add(f, id, "word3 word4 word5 word6 word7");
    }
    index_maintain(f);
    fixture_add(f, "same/12", "word3 word4 word5 word6 word7"); /* newer */
    index_hits hits;
    index_search(f, false, "word3 word4 word5 word6 word7", SATCHEL_SEARCH_VECTOR, NULL, 13, &hits);
    assert_true(index_serves(f));
    assert_int_equal(hits.count, 13);
    for (int i = 0; i < 13; i++) {
        char id[32];
        snprintf(id, sizeof id, "same/%02d", i);
        assert_string_equal(hits.hits[i].id, id); /* ties: the older first */
        assert_true(hits.hits[i].vector == hits.hits[0].vector);
    }
}

static void stays_within_the_memory_limit(void **state) {
    fixture *f = index_ready(state);
    /* All that a store needs, but not the blocks of rows that a build takes. */
    f->memory_limit = 3 << 20;
    f->index.block_rows = 100000;
    fixture_fine(f, fixture_open(f));
    fixture_fails(f, sat_store_maintain(f->store, 0, NULL, NULL, &f->error), SATCHEL_MEMORY_LIMIT);
    assert_int_equal(index_number(f), 0);
    assert_int_equal(index_files(f), 0);
    index_expect_exact(f);
}

static void other_cpus_go_without(void **state) {
    fixture *f = index_ready(state);
    index_maintain(f);
    f->cpu_level = SATCHEL_CPU_C;
    fixture_fine(f, fixture_open(f));
    index_expect_exact(f);
#if defined(__x86_64__)
    assert_false(index_serves(f));
#endif
    for (int i = 0; i < INDEX_DOCUMENTS; i++)
        index_add(f, 200 + i);
    index_maintain(f);
    assert_int_equal(index_number(f), 1); /* left as it is */
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, index_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(answers_as_the_exact_tier),
        TEST(finds_most_with_few_probes),
        TEST(small_stores_have_none),
        TEST(newer_rows_are_found),
        TEST(removed_rows_are_not_found),
        TEST(replaced_rows_are_found_once),
        TEST(is_renewed_when_a_quarter_is_new),
        TEST(is_renewed_when_a_quarter_is_gone_and_then_dropped),
        TEST(is_made_in_slices),
        TEST(rows_may_go_while_it_is_made),
        TEST(closing_leaves_no_half_file),
        TEST(another_handle_takes_the_new_one),
        TEST(searches_go_on_while_it_is_made),
        TEST(a_missing_file_is_made_anew),
        TEST(stats_count_its_file),
        TEST(another_model_does_not_use_it),
        TEST(read_only_handles_use_it),
        TEST(backups_go_without),
        TEST(files_of_other_stores_are_refused),
        TEST(syncs_renew_it_and_pass_it_over),
        TEST(gives_way_to_a_sync),
        TEST(calls_with_little_time_finish_it),
        TEST(a_cancel_stops_it_and_loses_nothing),
        TEST(equal_texts_are_all_found),
        TEST(stays_within_the_memory_limit),
        TEST(other_cpus_go_without),
    };
    return cmocka_run_group_tests_name("index", tests, NULL, index_group_teardown);
}
