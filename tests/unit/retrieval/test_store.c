/* Opening a store, adding and removing documents, and what is left in the file afterwards. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/retrieval/fixture.h"

#define PILOTS "Harbour pilots board the ship two miles before the breakwater."
#define LAMPS "The lamp room keeps spare mantles in a tin box."

static void adds_a_document(void **state) {
    fixture *f = *state;
    fixture_add(f, "notes/pilots.txt", PILOTS);
    fixture_expect_text(f, "notes/pilots.txt", PILOTS);
    satchel_store_stats stats = fixture_stats(f);
    assert_int_equal(stats.documents, 1);
    assert_int_equal(stats.chunks, 1);
    assert_int_equal(stats.chunks_embedded, 1);
    assert_int_equal(stats.chunks_pending, 0);
    assert_int_equal(stats.text_bytes, strlen(PILOTS));
    assert_int_equal(stats.format_version, 1);
    assert_int_equal(stats.has_model, 1);
    assert_int_equal(stats.dimension, 24);
    assert_true(stats.file_bytes > 0);
    fixture_verify(f);
}

static void keeps_documents_when_reopened(void **state) {
    fixture *f = *state;
    fixture_add(f, "a", PILOTS);
    fixture_fine(f, fixture_open(f));
    fixture_expect_text(f, "a", PILOTS);
    fixture_expect_hits(f, "pilots", SATCHEL_SEARCH_HYBRID, NULL, "a");
    fixture_verify(f);
}

static void replaces_a_document(void **state) {
    fixture *f = *state;
    fixture_add(f, "a", PILOTS);
    fixture_add(f, "a", LAMPS);
    fixture_expect_text(f, "a", LAMPS);
    fixture_expect_hits(f, "pilots", SATCHEL_SEARCH_KEYWORD, NULL, "");
    fixture_expect_hits(f, "mantles", SATCHEL_SEARCH_KEYWORD, NULL, "a");
    assert_int_equal(fixture_stats(f).documents, 1);
    fixture_verify(f);
}

static void unchanged_document_costs_nothing(void **state) {
    fixture *f = *state;
    fixture_add(f, "a", PILOTS);
    int64_t change = fixture_sql_int(f, "SELECT change FROM state");
    size_t embedded = f->embedded;
    fixture_add(f, "a", PILOTS);
    assert_int_equal(fixture_sql_int(f, "SELECT change FROM state"), change);
    assert_int_equal(f->embedded, embedded);
}

static void another_title_is_a_change(void **state) {
    fixture *f = *state;
    fixture_add(f, "a", PILOTS);
    size_t embedded = f->embedded;
    fixture_add_with(f, "a", PILOTS, "Boarding", NULL);
    assert_int_equal(f->embedded, embedded); /* the vector stays */
    fixture_expect_hits(f, "boarding ground", SATCHEL_SEARCH_KEYWORD, NULL, "a");
    fixture_verify(f);
}

static void keeps_the_vectors_of_chunks_that_stay(void **state) {
    fixture *f = *state;
    char text[8192] = "";
    for (int i = 0; i < 40; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text),
                 "Paragraph number %d tells of the sea, of the wind and of the %d gulls that "
                 "follow the ferry to the other shore.\n\n",
                 i, i * 7);
    fixture_add(f, "long", text);
    int64_t chunks = fixture_stats(f).chunks;
    assert_true(chunks > 8);
    size_t before = f->embedded;
    memcpy(strstr(text, "number 20"), "number 99", 9);
    fixture_add(f, "long", text);
    assert_true(f->embedded > before);
    assert_true(f->embedded - before <= 3);
    fixture_expect_text(f, "long", text);
    fixture_verify(f);
}

static void keeps_a_text_of_many_pieces(void **state) {
    fixture *f = *state;
    size_t size = 300000;
    char *text = calloc(1, size + 1);
    for (size_t at = 0; at + 64 < size;)
        at += (size_t)snprintf(text + at, size - at, "Line %zu of the long log; grüße %s\n%s", at,
                               at % 3 ? "über" : "日本語", at % 11 ? "" : "\n");
    fixture_add(f, "log", text);
    fixture_expect_text(f, "log", text);
    assert_true(fixture_sql_int(f, "SELECT count(*) FROM document_text") > 4);
    char part[100];
    int64_t length;
    fixture_fine(
        f, sat_store_document_text(f->store, "log", 65500, part, sizeof part, &length, &f->error));
    assert_memory_equal(part, text + 65500, sizeof part);
    fixture_verify(f);
    const char *rest = strchr(text + 1000, '\n') + 1;
    memmove(text, rest, strlen(rest) + 1);
    fixture_add(f, "log", text);
    fixture_expect_text(f, "log", text);
    fixture_verify(f);
    free(text);
}

static void removes_everything_of_a_document(void **state) {
    fixture *f = *state;
    fixture_add_with(f, "a", PILOTS, NULL, "{\"tags\":[\"sea\",\"port\"]}");
    fixture_add(f, "b", LAMPS);
    fixture_fine(f, sat_store_remove(f->store, "a", &f->error));
    fixture_expect_text(f, "a", NULL);
    fixture_expect_text(f, "b", LAMPS);
    fixture_verify(f);
    fixture_fine(f, sat_store_remove(f->store, "b", &f->error));
    static const char *const tables[] = {"document", "document_text",    "chunk", "vector", "meta",
                                         "locator",  "chunk_fts_docsize"};
    for (size_t i = 0; i < SAT_COUNT(tables); i++) {
        char sql[64];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", tables[i]);
        if (fixture_sql_int(f, sql) != 0)
            fail_msg("rows are left in %s", tables[i]);
    }
    fixture_fails(f, sat_store_remove(f->store, "a", &f->error), SATCHEL_NOT_FOUND);
    fixture_verify(f);
}

static void equal_texts_share_a_vector(void **state) {
    fixture *f = *state;
    fixture_add(f, "a", PILOTS);
    fixture_add(f, "b", PILOTS);
    assert_int_equal(f->embedded, 1);
    assert_int_equal(fixture_sql_int(f, "SELECT count(*) FROM vector"), 1);
    fixture_fine(f, sat_store_remove(f->store, "a", &f->error));
    assert_int_equal(fixture_sql_int(f, "SELECT count(*) FROM vector"), 1);
    fixture_verify(f);
    fixture_fine(f, sat_store_remove(f->store, "b", &f->error));
    assert_int_equal(fixture_sql_int(f, "SELECT count(*) FROM vector"), 0);
}

static void ids_are_compared_in_nfc(void **state) {
    fixture *f = *state;
    fixture_add(f, "caf\xc3\xa9", PILOTS);
    fixture_add(f, "cafe\xcc\x81", LAMPS);
    assert_int_equal(fixture_stats(f).documents, 1);
    fixture_expect_text(f, "cafe\xcc\x81", LAMPS);
    fixture_expect_text(f, "caf\xc3\xa9", LAMPS);
}

static void refuses_bad_ids(void **state) {
    fixture *f = *state;
    char long_id[1026];
    memset(long_id, 'x', sizeof long_id - 1);
    long_id[1025] = '\0';
    fixture_fails(f, sat_store_add(f->store, "", NULL, "x", 1, NULL, &f->error),
                  SATCHEL_INVALID_ARGUMENT);
    fixture_fails(f, sat_store_add(f->store, "a\nb", NULL, "x", 1, NULL, &f->error),
                  SATCHEL_INVALID_ARGUMENT);
    fixture_fails(f, sat_store_add(f->store, "a\xff", NULL, "x", 1, NULL, &f->error),
                  SATCHEL_INVALID_TEXT);
    fixture_fails(f, sat_store_add(f->store, long_id, NULL, "x", 1, NULL, &f->error),
                  SATCHEL_INVALID_ARGUMENT);
    long_id[1024] = '\0';
    fixture_add(f, long_id, PILOTS);
    fixture_expect_text(f, long_id, PILOTS);
}

static void refuses_bad_metadata(void **state) {
    fixture *f = *state;
    static const char *const bad[] = {"[1]",         "{\"a\":null}",      "{\"a\":{\"b\":1}}",
                                      "{\"a\":[1]}", "{\"a\":1,\"a\":2}", "{",
                                      "\"x\"",       "{\"\":1}"};
    for (size_t i = 0; i < SAT_COUNT(bad); i++) {
        const satchel_add_options options = {.metadata = bad[i]};
        fixture_fails(f, sat_store_add(f->store, "a", NULL, PILOTS, 10, &options, &f->error),
                      SATCHEL_INVALID_METADATA);
    }
    assert_int_equal(fixture_stats(f).documents, 0);
}

static void must_be_new_refuses_a_known_id(void **state) {
    fixture *f = *state;
    const satchel_add_options options = {.must_be_new = 1};
    fixture_fine(f,
                 sat_store_add(f->store, "a", NULL, PILOTS, strlen(PILOTS), &options, &f->error));
    fixture_fails(f, sat_store_add(f->store, "a", NULL, LAMPS, strlen(LAMPS), &options, &f->error),
                  SATCHEL_EXISTS);
    fixture_expect_text(f, "a", PILOTS);
}

static void an_empty_text_is_a_document(void **state) {
    fixture *f = *state;
    fixture_add(f, "empty", "");
    fixture_add(f, "blank", " \n\n ");
    fixture_expect_text(f, "empty", "");
    fixture_expect_documents(f, NULL, "blank empty");
    fixture_verify(f);
}

static void deferred_chunks_are_embedded_by_maintain(void **state) {
    fixture *f = *state;
    const satchel_add_options options = {.defer_embedding = 1};
    int64_t pending;
    fixture_fine(f,
                 sat_store_add(f->store, "a", NULL, PILOTS, strlen(PILOTS), &options, &f->error));
    assert_int_equal(f->embedded, 0);
    assert_int_equal(fixture_stats(f).chunks_pending, 1);
    fixture_expect_hits(f, "pilots", SATCHEL_SEARCH_HYBRID, NULL, "a");
    fixture_fine(f, sat_store_maintain(f->store, 0, NULL, &pending, &f->error));
    assert_int_equal(pending, 0);
    assert_int_equal(f->embedded, 1);
    fixture_verify(f);
}

static void a_failing_embedder_leaves_the_document(void **state) {
    fixture *f = *state;
    f->failing = SATCHEL_CALLBACK;
    fixture_fails(f, sat_store_add(f->store, "a", NULL, PILOTS, strlen(PILOTS), NULL, &f->error),
                  SATCHEL_CALLBACK);
    fixture_expect_hits(f, "pilots", SATCHEL_SEARCH_KEYWORD, NULL, "a");
    assert_int_equal(fixture_stats(f).chunks_pending, 1);
    f->failing = SATCHEL_OK;
    fixture_add(f, "a", PILOTS); /* unchanged, but not embedded yet */
    assert_int_equal(fixture_stats(f).chunks_pending, 0);
}

static void another_model_takes_over_by_and_by(void **state) {
    fixture *f = *state;
    fixture_add(f, "a", PILOTS);
    fixture_add(f, "b", LAMPS);
    f->fingerprint = "fake-24-v2";
    fixture_fine(f, fixture_open(f));
    satchel_store_stats stats = fixture_stats(f);
    assert_int_equal(stats.chunks_embedded, 0);
    assert_int_equal(stats.chunks_pending, 2);
    satchel_results *results = fixture_search(f, "pilots", SATCHEL_SEARCH_HYBRID, NULL);
    assert_int_equal(sat_results_count(results), 1);
    assert_int_equal(sat_results_mode(results), SATCHEL_SEARCH_KEYWORD);
    sat_results_close(&results);
    fixture_fine(f, sat_store_maintain(f->store, 0, NULL, NULL, &f->error));
    assert_int_equal(fixture_stats(f).chunks_embedded, 2);
    assert_int_equal(fixture_sql_int(f, "SELECT count(*) FROM vector"), 2); /* old ones went */
    results = fixture_search(f, "pilots", SATCHEL_SEARCH_HYBRID, NULL);
    assert_int_equal(sat_results_mode(results), SATCHEL_SEARCH_HYBRID);
    sat_results_close(&results);
    fixture_verify(f);
}

static void refuses_a_known_model_of_another_dimension(void **state) {
    fixture *f = *state;
    fixture_add(f, "a", PILOTS);
    f->embedder.dimension = 12;
    f->inner.user = (void *)(uintptr_t)12;
    fixture_fails(f, fixture_open(f), SATCHEL_WRONG_MODEL);
    assert_null(f->store);
}

static void works_without_a_model(void **state) {
    fixture *f = *state;
    f->keywords_only = true;
    fixture_fine(f, fixture_open(f));
    fixture_add(f, "a", PILOTS);
    fixture_expect_hits(f, "pilots", SATCHEL_SEARCH_HYBRID, NULL, "a");
    fixture_fails(f, sat_store_maintain(f->store, 0, NULL, NULL, &f->error), SATCHEL_NO_MODEL);
    satchel_results *results = NULL;
    const satchel_search_options options = {.mode = SATCHEL_SEARCH_VECTOR};
    fixture_fails(f, sat_store_search(&results, f->store, "x", 1, &options, &f->error),
                  SATCHEL_NO_MODEL);
    fixture_verify(f);
    /* A model given later finds it to embed, and cuts it anew with its own tokens. */
    f->keywords_only = false;
    fixture_fine(f, fixture_open(f));
    assert_int_equal(fixture_stats(f).chunks_pending, 1);
    fixture_fine(f, sat_store_maintain(f->store, 0, NULL, NULL, &f->error));
    assert_int_equal(fixture_stats(f).chunks_pending, 0);
    fixture_verify(f);
}

static void another_budget_cuts_again(void **state) {
    fixture *f = *state;
    char text[6000] = "";
    for (int i = 0; i < 60; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text),
                 "Sentence number %d is about the harbour and its %d boats. ", i, i * 3);
    fixture_add(f, "a", text);
    int64_t coarse = fixture_stats(f).chunks;
    f->chunk_tokens = 32;
    fixture_fine(f, fixture_open(f));
    assert_int_equal(fixture_stats(f).chunks, coarse);
    fixture_fine(f, sat_store_maintain(f->store, 0, NULL, NULL, &f->error));
    assert_true(fixture_stats(f).chunks > coarse);
    assert_int_equal(fixture_stats(f).chunks_pending, 0);
    fixture_expect_text(f, "a", text);
    fixture_verify(f);
}

/* ------------------------------------------------------------------ opening */

static void opening_writes_nothing(void **state) {
    fixture *f = *state;
    fixture_add(f, "a", PILOTS);
    fixture_close(f);
    struct stat before, after;
    assert_int_equal(stat(f->store_path, &before), 0);
    int64_t counter = fixture_sql_int(f, "PRAGMA data_version");
    fixture_fine(f, fixture_open(f));
    fixture_expect_hits(f, "pilots", SATCHEL_SEARCH_HYBRID, NULL, "a");
    fixture_close(f);
    assert_int_equal(stat(f->store_path, &after), 0);
    assert_int_equal(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    assert_int_equal(before.st_size, after.st_size);
    assert_int_equal(fixture_sql_int(f, "PRAGMA data_version"), counter);
}

static void must_exist_creates_nothing(void **state) {
    fixture *f = *state;
    fixture_close(f);
    remove(f->store_path);
    f->must_exist = true;
    fixture_fails(f, fixture_open(f), SATCHEL_NOT_FOUND);
    f->must_exist = false;
    f->read_only = true;
    fixture_fails(f, fixture_open(f), SATCHEL_NOT_FOUND);
    assert_int_equal(access(f->store_path, F_OK), -1);
}

static void initialises_an_empty_file(void **state) {
    fixture *f = *state;
    fixture_close(f);
    fixture_write(f, "store.satchel", "");
    fixture_fine(f, fixture_open(f));
    fixture_add(f, "a", PILOTS);
    fixture_verify(f);
}

static void refuses_files_of_others(void **state) {
    fixture *f = *state;
    fixture_close(f);
    fixture_write(f, "store.satchel",
                  "This is a letter, not a database. It is longer than a header "
                  "of SQLite's, which has one hundred bytes, so that it is "
                  "looked at in earnest.");
    fixture_fails(f, fixture_open(f), SATCHEL_NOT_A_STORE);
    fixture_write(f, "store.satchel", "abc");
    fixture_fails(f, fixture_open(f), SATCHEL_NOT_A_STORE);
    fixture_remove(f, "store.satchel");
    fixture_sql(f, "CREATE TABLE notes(text)");
    fixture_fails(f, fixture_open(f), SATCHEL_NOT_A_STORE);
    assert_int_equal(fixture_sql_int(f, "SELECT count(*) FROM sqlite_schema"), 1);
    fixture_remove(f, "store.satchel");
    fixture_make_folder(f, "store.satchel");
    fixture_fails(f, fixture_open(f), SATCHEL_NOT_A_STORE);
}

static void refuses_a_newer_format(void **state) {
    fixture *f = *state;
    fixture_close(f);
    fixture_sql(f, "PRAGMA user_version=2");
    fixture_fails(f, fixture_open(f), SATCHEL_TOO_NEW);
}

static void refuses_a_changed_schema(void **state) {
    fixture *f = *state;
    static const char *const changes[] = {
        "DROP TABLE lease", "CREATE TABLE more(x)",
        "CREATE TRIGGER t AFTER INSERT ON document BEGIN SELECT 1; END",
        "DROP VIEW chunk_text; CREATE VIEW chunk_text(id, title, heading, body) AS "
        "SELECT 1, 2, 3, 4",
        "DELETE FROM format"};
    for (size_t i = 0; i < SAT_COUNT(changes); i++) {
        fixture_close(f);
        remove(f->store_path);
        fixture_fine(f, fixture_open(f));
        fixture_close(f);
        fixture_sql(f, changes[i]);
        fixture_fails(f, fixture_open(f), SATCHEL_DAMAGED);
    }
}

static void reads_only_when_told(void **state) {
    fixture *f = *state;
    fixture_add(f, "a", PILOTS);
    f->read_only = true;
    fixture_fine(f, fixture_open(f));
    fixture_expect_hits(f, "pilots", SATCHEL_SEARCH_HYBRID, NULL, "a");
    fixture_fails(f, sat_store_add(f->store, "b", NULL, LAMPS, 5, NULL, &f->error),
                  SATCHEL_READ_ONLY);
    fixture_fails(f, sat_store_remove(f->store, "a", &f->error), SATCHEL_READ_ONLY);
    fixture_fails(f, sat_store_maintain(f->store, 0, NULL, NULL, &f->error), SATCHEL_READ_ONLY);
    sat_stream *stream = NULL;
    fixture_fails(f, sat_store_sync(&stream, f->store, f->folder, NULL, &f->error),
                  SATCHEL_READ_ONLY);
    fixture_verify(f);
}

static void other_terms_are_indexed_anew_by_the_first_write(void **state) {
    fixture *f = *state;
    fixture_add(f, "a", PILOTS);
    fixture_close(f);
    /* As if an older version had made other terms of it. */
    fixture_sql(f, "UPDATE format SET value = '0' WHERE key = 'terms';"
                   "INSERT INTO chunk_fts(chunk_fts, rowid, title, heading, body) SELECT 'delete', "
                   "id, title, heading, body FROM chunk_text;"
                   "INSERT INTO chunk_fts(rowid, title, heading, body) SELECT id, title, heading, "
                   "'other words' FROM chunk_text");
    fixture_fine(f, fixture_open(f));
    fixture_expect_hits(f, "pilots", SATCHEL_SEARCH_KEYWORD, NULL, "");
    fixture_add(f, "b", LAMPS);
    fixture_expect_hits(f, "pilots", SATCHEL_SEARCH_KEYWORD, NULL, "a");
    fixture_verify(f);
}

static void two_handles_see_each_other(void **state) {
    fixture *f = *state;
    fixture_add(f, "a", PILOTS);
    fixture_expect_hits(f, "pilots", SATCHEL_SEARCH_HYBRID, NULL, "a");
    sat_store *other = NULL;
    const sat_store_setup setup = {.embedder = &f->embedder, .fingerprint = f->fingerprint};
    fixture_fine(f, sat_store_open(&other, f->context, f->store_path, &setup, &f->error));
    fixture_fine(f, sat_store_add(other, "b", NULL, LAMPS, strlen(LAMPS), NULL, &f->error));
    fixture_expect_hits(f, "spare mantles", SATCHEL_SEARCH_KEYWORD, NULL, "b");
    satchel_results *results = fixture_search(f, "spare mantles", SATCHEL_SEARCH_VECTOR, NULL);
    assert_int_equal(sat_results_count(results), 2);
    sat_results_close(&results);
    fixture_fine(f, sat_store_remove(other, "a", &f->error));
    fixture_expect_hits(f, "pilots", SATCHEL_SEARCH_VECTOR, NULL, "b");
    sat_store_close(&other);
    fixture_verify(f);
}

/* In a child that is not root, so that permissions hold. */
static int read_as_nobody(fixture *f) {
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        return 77;
    f->store = NULL; /* the parent's */
    f->context = NULL;
    f->read_only = true;
    if (fixture_open(f)) {
        print_error("%s\n", f->error.message);
        return 1;
    }
    satchel_results *results = NULL;
    if (sat_store_search(&results, f->store, "pilots", 6, NULL, &f->error)) {
        print_error("%s\n", f->error.message);
        return 2;
    }
    int found = sat_results_count(results) == 1;
    sat_results_close(&results);
    fixture_close(f);
    return found ? 0 : 3;
}

static int in_child(fixture *f, int (*run)(fixture *f)) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(run(f));
    int result = 0;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    return WEXITSTATUS(result);
}

static void reads_from_a_folder_that_cannot_be_written(void **state) {
    fixture *f = *state;
    fixture_add(f, "a", PILOTS);
    fixture_close(f);
    assert_int_equal(chmod(f->store_path, 0444), 0);
    assert_int_equal(chmod(f->folder, 0555), 0);
    assert_int_equal(in_child(f, read_as_nobody), 0);
    assert_int_equal(chmod(f->folder, 0700), 0);
}

static int write_as_nobody(fixture *f) {
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        return 77;
    f->store = NULL;
    f->context = NULL;
    satchel_status status = fixture_open(f);
    return status == SATCHEL_PERMISSION ? 0 : 1;
}

static void a_file_that_cannot_be_written_is_a_matter_of_permission(void **state) {
    fixture *f = *state;
    fixture_add(f, "a", PILOTS);
    fixture_close(f);
    assert_int_equal(chmod(f->store_path, 0444), 0);
    assert_int_equal(chmod(f->folder, 0555), 0);
    assert_int_equal(in_child(f, write_as_nobody), 0);
    assert_int_equal(chmod(f->folder, 0700), 0);
}

static void maintain_keeps_its_budget(void **state) {
    fixture *f = *state;
    const satchel_add_options options = {.defer_embedding = 1};
    for (int i = 0; i < 30; i++) {
        char id[16], text[64];
        snprintf(id, sizeof id, "n%d", i);
        snprintf(text, sizeof text, "Note %d on the %d harbours of the coast", i, i * i);
        fixture_fine(
            f, sat_store_add(f->store, id, "text/plain", text, strlen(text), &options, &f->error));
    }
    /* However small the budgets, it gets there, and what is embedded stays so. */
    int64_t pending = 30;
    for (int calls = 0; pending > 0; calls++) {
        int64_t before = pending;
        assert_true(calls < 10000);
        fixture_fine(f, sat_store_maintain(f->store, 1, NULL, &pending, &f->error));
        assert_true(pending <= before);
    }
    assert_int_equal(f->embedded, 30);
    fixture_verify(f);
}

static void maintain_sweeps_out_what_was_removed(void **state) {
    fixture *f = *state;
    size_t size = 4 << 20;
    char *text = malloc(size + 1);
    uint64_t random = 1;
    for (size_t i = 0; i < size; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        text[i] = i % 61 == 60 ? '\n' : i % 9 == 8 ? ' ' : (char)('a' + (random >> 40) % 26);
    }
    text[size] = '\0';
    f->keywords_only = true;
    fixture_fine(f, fixture_open(f));
    fixture_add(f, "large", text);
    fixture_fine(f, sat_store_remove(f->store, "large", &f->error));
    f->keywords_only = false;
    fixture_fine(f, fixture_open(f));
    int64_t pages = fixture_sql_int(f, "PRAGMA page_count");
    assert_true(fixture_sql_int(f, "PRAGMA freelist_count") > 300);
    fixture_fine(f, sat_store_maintain(f->store, 0, NULL, NULL, &f->error));
    assert_true(fixture_sql_int(f, "PRAGMA page_count") < pages / 10);
    assert_int_equal(fixture_sql_int(f, "SELECT forgotten FROM state"), 0);
    fixture_verify(f);
    free(text);
}

static satchel_status say(const satchel_reader_sink *sink, const char *text) {
    return sink->text(sink->sink, text, strlen(text));
}
static satchel_status read_first(void *user, const char *media_type, const void *data,
                                 size_t length, const satchel_reader_sink *sink, char *message,
                                 size_t message_size) {
    return say(sink, "the first reader");
}
static satchel_status read_second(void *user, const char *media_type, const void *data,
                                  size_t length, const satchel_reader_sink *sink, char *message,
                                  size_t message_size) {
    return length > 3 ? SATCHEL_UNSUPPORTED : say(sink, "the second reader");
}

static void the_last_reader_goes_first(void **state) {
    fixture *f = *state;
    satchel_reader reader = {.struct_size = sizeof reader,
                             .id = "first",
                             .media_types = "application/x-a",
                             .extensions = "a",
                             .read = read_first};
    fixture_fine(f, sat_store_add_reader(f->store, &reader, &f->error));
    reader.id = "second";
    reader.read = read_second;
    fixture_fine(f, sat_store_add_reader(f->store, &reader, &f->error));
    fixture_fine(f, sat_store_add(f->store, "x.a", NULL, "abc", 3, NULL, &f->error));
    fixture_expect_text(f, "x.a", "the second reader");
    fixture_fine(f, sat_store_add(f->store, "y.a", NULL, "abcd", 4, NULL, &f->error));
    fixture_expect_text(f, "y.a", "the first reader");
}

static void given_text_stays_byte_for_byte(void **state) {
    fixture *f = *state;
    static const char text[] = "\xef\xbb\xbf"
                               "a\0b\0c\0 harbour\r\n";
    size_t length = sizeof text - 1;
    char found[64];
    int64_t stored = 0;
    fixture_fine(f, sat_store_add_text(f->store, "a", text, length, NULL, &f->error));
    fixture_fine(
        f, sat_store_document_text(f->store, "a", 0, found, sizeof found, &stored, &f->error));
    assert_int_equal(stored, length);
    assert_memory_equal(found, text, length);
    fixture_verify(f);
}

static void works_at_a_path_with_odd_characters(void **state) {
    fixture *f = *state;
    fixture_close(f);
    fixture_make_folder(f, "a b%20?#&");
    snprintf(f->store_path, sizeof f->store_path, "%s/a b%%20?#&/st\xc3\xb6re?mode=ro", f->folder);
    fixture_fine(f, fixture_open(f));
    fixture_add(f, "a", PILOTS);
    f->read_only = true;
    fixture_fine(f, fixture_open(f));
    fixture_expect_text(f, "a", PILOTS);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(adds_a_document),
        TEST(keeps_documents_when_reopened),
        TEST(replaces_a_document),
        TEST(unchanged_document_costs_nothing),
        TEST(another_title_is_a_change),
        TEST(keeps_the_vectors_of_chunks_that_stay),
        TEST(keeps_a_text_of_many_pieces),
        TEST(removes_everything_of_a_document),
        TEST(equal_texts_share_a_vector),
        TEST(ids_are_compared_in_nfc),
        TEST(refuses_bad_ids),
        TEST(refuses_bad_metadata),
        TEST(must_be_new_refuses_a_known_id),
        TEST(an_empty_text_is_a_document),
        TEST(deferred_chunks_are_embedded_by_maintain),
        TEST(a_failing_embedder_leaves_the_document),
        TEST(another_model_takes_over_by_and_by),
        TEST(refuses_a_known_model_of_another_dimension),
        TEST(works_without_a_model),
        TEST(another_budget_cuts_again),
        TEST(opening_writes_nothing),
        TEST(must_exist_creates_nothing),
        TEST(initialises_an_empty_file),
        TEST(refuses_files_of_others),
        TEST(refuses_a_newer_format),
        TEST(refuses_a_changed_schema),
        TEST(reads_only_when_told),
        TEST(other_terms_are_indexed_anew_by_the_first_write),
        TEST(two_handles_see_each_other),
        TEST(reads_from_a_folder_that_cannot_be_written),
        TEST(a_file_that_cannot_be_written_is_a_matter_of_permission),
        TEST(maintain_keeps_its_budget),
        TEST(maintain_sweeps_out_what_was_removed),
        TEST(the_last_reader_goes_first),
        TEST(given_text_stays_byte_for_byte),
        TEST(works_at_a_path_with_odd_characters),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
