/* Verify finds what is wrong, each kind of it; backup copies a snapshot. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/retrieval/fixture.h"

#define PILOTS "Harbour pilots board the ship two miles before the breakwater."

static int setup(void **state) {
    fixture_setup(state);
    fixture *f = *state;
    fixture_add_with(f, "pilots", PILOTS, "Boarding",
                     "{\"author\":\"Ines\",\"year\":1911,\"ratio\":0.5,\"done\":true,"
                     "\"tags\":[\"sea\",\"port\"],\"none\":[]}");
    fixture_add(f, "lamps", "The lamp room keeps spare mantles in a tin box.");
    fixture_add(f, "gulls", "Möwen folgen der Fähre \xf0\x9f\x90\xa6 ans andere Ufer.");
    char text[4000] = "";
    for (int i = 0; i < 30; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text),
                 "Paragraph %d of the long note on the harbour and its %d boats.\n\n", i, i * 3);
    fixture_add(f, "long", text);
    fixture_verify(f);
    return 0;
}

static int32_t collect(void *user, const char *problem) {
    char *out = user;
    size_t length = strlen(out);
    snprintf(out + length, 4096 - length, "%s\n", problem);
    return 0;
}

static void finds_each_kind_of_damage(void **state) {
    fixture *f = *state;
    static const struct {
        const char *sql, *problem;
    } cases[] = {
        {"UPDATE chunk SET start_byte = 1 WHERE id = 1", "hash"},
        {"UPDATE chunk SET end_byte = 9999 WHERE id = 1", "impossible range"},
        {"UPDATE chunk SET end_byte = 2 WHERE id = 3", "impossible range"}, /* inside ö */
        {"UPDATE chunk SET end_utf16 = end_utf16 + 1 WHERE id = 3", "UTF-16"},
        {"UPDATE chunk SET ordinal = 7 WHERE id = 1", "is not number 0"},
        {"UPDATE chunk SET heading = 'x' WHERE id = 1", "hash"},
        {"UPDATE chunk SET hash = zeroblob(16) WHERE id = 1", "hash"},
        {"UPDATE chunk SET seq = NULL WHERE id = 1", "only a part"},
        {"UPDATE chunk SET seq = 1", "given twice"},
        {"UPDATE chunk SET seq = 1000 WHERE id = 2", "not given yet"},
        {"UPDATE chunk SET vector = 2 WHERE id = 1", "of another text"},
        {"UPDATE chunk SET model = NULL, vector = NULL, seq = NULL WHERE id = 1", "of no chunk"},
        {"UPDATE vector SET data = zeroblob(96) WHERE id = 1", "length 1"},
        {"UPDATE vector SET data = zeroblob(95) WHERE id = 1", "95 bytes"},
        {"UPDATE vector SET data = CAST(x'0000C07F' || substr(data, 5) AS BLOB) WHERE id = 2",
         "length 1"},
        {"DELETE FROM vector WHERE id = 1", "missing row"},
        {"DELETE FROM document WHERE id = 1", "missing row"},
        {"DELETE FROM chunk WHERE id = 1", "which is not there"},
        {"UPDATE document_text SET data = CAST(data || x'20' AS BLOB) WHERE document = 1",
         "bytes of text"},
        {"UPDATE document_text SET data = CAST(upper(data) AS BLOB) WHERE document = 1",
         "not the one"},
        {"UPDATE document_text SET data = CAST(substr(data, 1, 2) || x'FF' || substr(data, 4) AS "
         "BLOB) "
         "WHERE document = 1",
         "UTF-8"},
        {"UPDATE document_text SET start = 5 WHERE document = 1", "gap"},
        {"UPDATE document SET title = 'Other' WHERE id = 1", "keywords of chunk 1"},
        {"UPDATE document SET text_bytes = 5 WHERE id = 1", "bytes of text"},
        {"UPDATE document SET metadata = '{\"author\":\"Olu\"}' WHERE id = 1", "metadata rows"},
        {"UPDATE document SET metadata = 'x' WHERE id = 1", "metadata"},
        {"UPDATE meta SET value = 'Olu' WHERE key = 'author'", "metadata rows"},
        {"UPDATE meta SET value = 1912 WHERE key = 'year'", "metadata rows"},
        {"DELETE FROM meta WHERE key = 'tags' AND ordinal = 1", "metadata rows"},
        {"INSERT INTO meta VALUES(1, 'more', 0, 's', 'x')", "metadata rows"},
        {"INSERT INTO locator VALUES(1, 0, 1, 1, 5000, NULL)", "locator"},
        {"INSERT INTO chunk_fts(rowid, title, heading, body) VALUES(900, '', '', 'ghost')",
         "which is not there"},
        {"INSERT INTO chunk_fts(chunk_fts, rowid, title, heading, body) SELECT 'delete', id, "
         "title, "
         "heading, body FROM chunk_text WHERE id = 1",
         "missing in the full-text index"},
        {"UPDATE chunk_fts_docsize SET sz = x'010203' WHERE id = 1", "counts the terms"},
        {"UPDATE chunk_fts_data SET block = x'01020304' WHERE id = 1", "totals"},
        {"INSERT INTO chunk_fts(chunk_fts, rowid, title, heading, body) SELECT 'delete', id, "
         "title, "
         "heading, body FROM chunk_text WHERE id = 1;"
         "INSERT INTO chunk_fts(rowid, title, heading, body) SELECT id, title, heading, "
         "replace(body, 'two', 'six') FROM chunk_text WHERE id = 1",
         "keywords of chunk 1"},
    };
    char copy[160];
    fixture_close(f);
    snprintf(copy, sizeof copy, "%s.copy", f->store_path);
    assert_int_equal(rename(f->store_path, copy), 0);
    for (size_t i = 0; i < SAT_COUNT(cases); i++) {
        char command[512], found[4096] = "";
        int64_t count = 0;
        snprintf(command, sizeof command, "cp '%s' '%s'", copy, f->store_path);
        assert_int_equal(system(command), 0);
        fixture_sql(f, cases[i].sql);
        fixture_fine(f, fixture_open(f));
        fixture_fine(f, sat_store_verify(f->store, collect, found, &count, &f->error));
        if (count == 0 || !strstr(found, cases[i].problem))
            fail_msg("%s: %s", cases[i].sql, found);
        fixture_close(f);
    }
}

static void finds_damaged_pages(void **state) {
    fixture *f = *state;
    fixture_close(f);
    struct stat info;
    assert_int_equal(stat(f->store_path, &info), 0);
    int found = 0;
    for (long page = 1; page < info.st_size / 8192; page++) {
        char bytes[512], saved[512], report[4096] = "";
        int64_t count = 0;
        memset(bytes, 0xA5, sizeof bytes);
        FILE *file = fopen(f->store_path, "r+b");
        assert_non_null(file);
        fseek(file, page * 8192, SEEK_SET);
        assert_int_equal(fread(saved, 1, sizeof saved, file), sizeof saved);
        fseek(file, page * 8192, SEEK_SET);
        fwrite(bytes, 1, sizeof bytes, file);
        fclose(file);
        satchel_status status = fixture_open(f);
        if (!status)
            status = sat_store_verify(f->store, collect, report, &count, &f->error);
        assert_true(status == SATCHEL_OK || status == SATCHEL_DAMAGED);
        found += status == SATCHEL_DAMAGED || count > 0;
        fixture_close(f);
        file = fopen(f->store_path, "r+b");
        fseek(file, page * 8192, SEEK_SET);
        fwrite(saved, 1, sizeof saved, file);
        fclose(file);
    }
    /* A page that is not in use may be overwritten unseen; there are few. */
    assert_true(found >= info.st_size / 8192 - 3);
    fixture_fine(f, fixture_open(f));
    fixture_verify(f);
}

static int32_t stop_at_once(void *user, const char *problem) {
    ++*(int *)user;
    return 1;
}

static void the_report_can_stop(void **state) {
    fixture *f = *state;
    fixture_sql(f, "UPDATE chunk SET hash = zeroblob(16)");
    int64_t problems = 0;
    int calls = 0;
    fixture_fine(f, sat_store_verify(f->store, stop_at_once, &calls, &problems, &f->error));
    assert_int_equal(calls, 1);
    assert_true(problems >= 4);
    fixture_fine(f, sat_store_verify(f->store, NULL, NULL, &problems, &f->error));
    assert_true(problems >= 4);
}

static void verifies_read_only(void **state) {
    fixture *f = *state;
    f->read_only = true;
    fixture_fine(f, fixture_open(f));
    fixture_verify(f);
}

static void verifies_an_empty_store(void **state) {
    fixture *f = *state;
    fixture_close(f);
    remove(f->store_path);
    fixture_fine(f, fixture_open(f));
    fixture_verify(f);
}

/* ------------------------------------------------------------------ damaged stores in use */

static void expect_clean(fixture *f, const char *damage, satchel_status status) {
    if (status != SATCHEL_OK && status != SATCHEL_DAMAGED)
        fail_msg("%s: %s: %s", damage, sat_status_name(status), f->error.message);
}

static void a_damaged_store_fails_cleanly(void **state) {
    fixture *f = *state;
    static const char *const damages[] = {
        "DELETE FROM document_text",
        "UPDATE document_text SET data = x'41'",
        "DELETE FROM chunk_fts_docsize",
        "UPDATE vector SET data = x'00'",
        "DELETE FROM state",
        "UPDATE chunk SET start_byte = -5",
        "UPDATE chunk SET end_byte = 9223372036854775807",
        "UPDATE chunk SET hash = x'00'",
        "DELETE FROM chunk_fts_data WHERE id > 10",
    };
    char copy[160];
    fixture_close(f);
    snprintf(copy, sizeof copy, "%s.copy", f->store_path);
    assert_int_equal(rename(f->store_path, copy), 0);
    for (size_t i = 0; i < SAT_COUNT(damages); i++) {
        char command[512];
        fixture_close(f);
        snprintf(command, sizeof command, "cp '%s' '%s'", copy, f->store_path);
        assert_int_equal(system(command), 0);
        fixture_sql(f, damages[i]);
        satchel_status status = fixture_open(f);
        expect_clean(f, damages[i], status);
        if (status)
            continue;
        static const int32_t modes[] = {SATCHEL_SEARCH_KEYWORD, SATCHEL_SEARCH_HYBRID};
        for (size_t m = 0; m < SAT_COUNT(modes); m++) {
            const satchel_search_options options = {.mode = modes[m]};
            satchel_results *results = NULL;
            status =
                sat_store_search(&results, f->store, "the harbour pilots", 18, &options, &f->error);
            expect_clean(f, damages[i], status);
            sat_results_close(&results);
        }
        status = sat_store_add(f->store, "pilots", "text/plain", "Other", 5, NULL, &f->error);
        expect_clean(f, damages[i], status);
        status = sat_store_remove(f->store, "long", &f->error);
        expect_clean(f, damages[i], status);
        status = sat_store_maintain(f->store, 0, NULL, NULL, &f->error);
        expect_clean(f, damages[i], status);
    }
}

/* ------------------------------------------------------------------ backup */

static void backup_is_a_whole_store(void **state) {
    fixture *f = *state;
    char path[256];
    fixture_path(f, "copy.satchel", path);
    fixture_fine(f, sat_store_backup(f->store, path, NULL, &f->error));
    fixture_fails(f, sat_store_backup(f->store, path, NULL, &f->error), SATCHEL_EXISTS);
    fixture_add(f, "later", "Not in the copy.");
    strcpy(f->store_path, path);
    fixture_fine(f, fixture_open(f));
    fixture_verify(f);
    fixture_expect_documents(f, NULL, "gulls lamps long pilots");
    fixture_expect_hits(f, "breakwater", SATCHEL_SEARCH_KEYWORD, NULL, "pilots");
    fixture_add(f, "more", "It can be written too.");
    fixture_verify(f);
    char command[200];
    snprintf(command, sizeof command, "test -z \"$(ls '%s' | grep tmp)\"", f->folder);
    assert_int_equal(system(command), 0);
}

static void backup_carries_no_lease(void **state) {
    fixture *f = *state;
    char path[256], docs[256];
    fixture_write(f, "docs/a.txt", PILOTS);
    fixture_path(f, "docs", docs);
    fixture_path(f, "copy.satchel", path);
    sat_stream *stream = NULL;
    satchel_event event = {0};
    fixture_fine(f, sat_store_sync(&stream, f->store, docs, NULL, &f->error));
    fixture_fine(f, stream->next(stream, &event, &f->error));
    fixture_fine(f, sat_store_backup(f->store, path, NULL, &f->error));
    stream->close(stream);
    strcpy(f->store_path, path);
    assert_int_equal(fixture_sql_int(f, "SELECT count(*) FROM lease"), 0);
}

static int full_rename(void *user, const char *from, const char *to) {
    return ENOSPC;
}

static void a_failed_backup_leaves_nothing(void **state) {
    fixture *f = *state;
    char path[256], command[200];
    sat_file_table table = sat_file_posix;
    table.rename = full_rename;
    f->context->files = &table;
    fixture_path(f, "copy.satchel", path);
    fixture_fails(f, sat_store_backup(f->store, path, NULL, &f->error), SATCHEL_DISK_FULL);
    f->context->files = &sat_file_posix;
    satchel_cancel cancel = {.context = f->context, .fired = 1, .references = 1};
    fixture_fails(f, sat_store_backup(f->store, path, &cancel, &f->error), SATCHEL_CANCELLED);
    fixture_path(f, "none/copy.satchel", path);
    fixture_fails(f, sat_store_backup(f->store, path, NULL, &f->error), SATCHEL_NOT_FOUND);
    snprintf(command, sizeof command, "test -z \"$(ls '%s' | grep copy)\"", f->folder);
    assert_int_equal(system(command), 0);
    fixture_verify(f);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(finds_each_kind_of_damage),
        TEST(finds_damaged_pages),
        TEST(the_report_can_stop),
        TEST(verifies_read_only),
        TEST(verifies_an_empty_store),
        TEST(a_damaged_store_fails_cleanly),
        TEST(backup_is_a_whole_store),
        TEST(backup_carries_no_lease),
        TEST(a_failed_backup_leaves_nothing),
    };
    return cmocka_run_group_tests_name("verify", tests, NULL, NULL);
}
