#include "tests/unit/retrieval/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/fake_embedder.h"

static satchel_status counting_embed(void *user, int32_t role, const satchel_text *texts, size_t n,
                                     float *out, const satchel_cancel *cancel) {
    fixture *f = user;
    if (f->failing)
        return f->failing;
    if (role == SATCHEL_ROLE_DOCUMENT)
        f->embedded += n;
    return f->inner.embed(f->inner.user, role, texts, n, out, cancel);
}

static satchel_status counting_count(void *user, const char *text, size_t length, size_t *count) {
    fixture *f = user;
    return f->inner.count_tokens(f->inner.user, text, length, count);
}

satchel_status fixture_open(fixture *f) {
    fixture_close(f);
    satchel_context_options options = {.struct_size = sizeof options,
                                       .threads = 2,
                                       .cpu_level = f->cpu_level,
                                       .memory_limit = f->memory_limit};
    fixture_fine(f, sat_context_open(&f->context, &options, &f->error));
    const sat_store_setup setup = {.embedder = f->keywords_only ? NULL : &f->embedder,
                                   .fingerprint = f->fingerprint,
                                   .model_name = "fake",
                                   .read_only = f->read_only,
                                   .must_exist = f->must_exist,
                                   .chunk_tokens = f->chunk_tokens,
                                   .index = f->index};
    return sat_store_open(&f->store, f->context, f->store_path, &setup, &f->error);
}

void fixture_close(fixture *f) {
    sat_store_close(&f->store);
    sat_context_release(f->context);
    f->context = NULL;
}

int fixture_setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_true(test_folder_make(f->folder));
    snprintf(f->store_path, sizeof f->store_path, "%s/store.satchel", f->folder);
    fake_embedder_init(&f->inner, 24);
    f->embedder = f->inner;
    f->embedder.user = f;
    f->embedder.embed = counting_embed;
    f->embedder.count_tokens = counting_count;
    f->fingerprint = "fake-24";
    fixture_fine(f, fixture_open(f));
    *state = f;
    return 0;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *where) {
    chmod(path, 0700);
    return remove(path);
}

int fixture_teardown(void **state) {
    fixture *f = *state;
    fixture_close(f);
    nftw(f->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

void fixture_fine(fixture *f, satchel_status status) {
    if (status)
        fail_msg("%s: %s", sat_status_name(status), f->error.message);
}

void fixture_fails(fixture *f, satchel_status status, satchel_status expected) {
    if (status != expected)
        fail_msg("%s instead of %s: %s", sat_status_name(status), sat_status_name(expected),
                 status ? f->error.message : "");
    if (expected) {
        assert_int_equal(f->error.code, expected);
        assert_true(f->error.message[0] != '\0');
    }
}

/* ------------------------------------------------------------------ documents */

void fixture_add_with(fixture *f, const char *id, const char *text, const char *title,
                      const char *metadata) {
    const satchel_add_options options = {
        .struct_size = sizeof options, .title = title, .metadata = metadata};
    fixture_fine(
        f, sat_store_add(f->store, id, "text/plain", text, strlen(text), &options, &f->error));
}

void fixture_add(fixture *f, const char *id, const char *text) {
    fixture_add_with(f, id, text, NULL, NULL);
}

satchel_results *fixture_search(fixture *f, const char *query, int32_t mode, const char *filter) {
    const satchel_search_options options = {
        .struct_size = sizeof options, .mode = mode, .filter = filter};
    satchel_results *results = NULL;
    fixture_fine(f,
                 sat_store_search(&results, f->store, query, strlen(query), &options, &f->error));
    return results;
}

static void append(char *list, size_t size, const char *prefix, const char *id) {
    size_t length = strlen(list);
    snprintf(list + length, size - length, "%s%s%s", length ? " " : "", prefix, id);
}

void fixture_expect_hits(fixture *f, const char *query, int32_t mode, const char *filter,
                         const char *ids) {
    char found[4096] = "";
    satchel_results *results = fixture_search(f, query, mode, filter);
    for (size_t i = 0; i < sat_results_count(results); i++) {
        satchel_hit hit;
        fixture_fine(f, sat_results_get(results, i, &hit, &f->error));
        append(found, sizeof found, "", hit.document_id);
    }
    sat_results_close(&results);
    assert_string_equal(found, ids);
}

void fixture_expect_documents(fixture *f, const char *filter, const char *ids) {
    char found[4096] = "";
    const satchel_list_options options = {.struct_size = sizeof options, .filter = filter};
    satchel_documents *list = NULL;
    fixture_fine(f, sat_store_list(&list, f->store, &options, &f->error));
    for (size_t i = 0; i < sat_documents_count(list); i++) {
        satchel_document document;
        fixture_fine(f, sat_documents_get(list, i, &document, &f->error));
        append(found, sizeof found, "", document.id);
    }
    sat_documents_close(&list);
    assert_string_equal(found, ids);
}

static int32_t print_problem(void *user, const char *problem) {
    print_error("problem: %s\n", problem);
    return 0;
}

void fixture_verify(fixture *f) {
    int64_t problems = -1;
    fixture_fine(f, sat_store_verify(f->store, print_problem, NULL, &problems, &f->error));
    assert_int_equal(problems, 0);
}

satchel_store_stats fixture_stats(fixture *f) {
    satchel_store_stats stats;
    fixture_fine(f, sat_store_stats(f->store, &stats, &f->error));
    return stats;
}

void fixture_expect_text(fixture *f, const char *id, const char *text) {
    int64_t length = -1;
    satchel_status status = sat_store_document_text(f->store, id, 0, NULL, 0, &length, &f->error);
    if (!text) {
        fixture_fails(f, status, SATCHEL_NOT_FOUND);
        return;
    }
    fixture_fine(f, status);
    assert_int_equal(length, strlen(text));
    char *found = calloc(1, (size_t)length + 1);
    fixture_fine(
        f, sat_store_document_text(f->store, id, 0, found, (size_t)length, &length, &f->error));
    assert_string_equal(found, text);
    free(found);
}

/* ------------------------------------------------------------------ files */

void fixture_path(const fixture *f, const char *path, char out[256]) {
    snprintf(out, 256, "%s/%s", f->folder, path);
}

void fixture_make_folder(fixture *f, const char *path) {
    char full[256];
    fixture_path(f, path, full);
    for (char *slash = full + strlen(f->folder) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        assert_true(mkdir(full, 0700) == 0 || errno == EEXIST);
        *slash = '/';
    }
    assert_true(mkdir(full, 0700) == 0 || errno == EEXIST);
}

void fixture_write_bytes(fixture *f, const char *path, const void *data, size_t size) {
    char full[256], folder[256];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash) {
        *slash = '\0';
        fixture_make_folder(f, folder);
    }
    fixture_path(f, path, full);
    FILE *file = fopen(full, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    fixture_age(f, path, 3600); /* long ago: its time can be trusted */
}

void fixture_write(fixture *f, const char *path, const char *text) {
    fixture_write_bytes(f, path, text, strlen(text));
}

void fixture_remove(fixture *f, const char *path) {
    char full[256];
    fixture_path(f, path, full);
    assert_int_equal(remove(full), 0);
}

void fixture_age(fixture *f, const char *path, int seconds) {
    char full[256];
    fixture_path(f, path, full);
    struct timespec times[2];
    clock_gettime(CLOCK_REALTIME, &times[0]);
    times[0].tv_sec -= seconds;
    times[1] = times[0];
    assert_int_equal(utimensat(AT_FDCWD, full, times, 0), 0);
}

/* ------------------------------------------------------------------ sync */

satchel_status fixture_sync(fixture *f, const char *path, const satchel_sync_options *options,
                            satchel_event_done *done, char *log) {
    static const char *const signs[] = {"", "+", "*", "-", "!", "?", "="};
    char full[256];
    sat_stream *stream = NULL;
    fixture_path(f, path, full);
    if (log)
        log[0] = '\0';
    satchel_status status = sat_store_sync(&stream, f->store, full, options, &f->error);
    while (!status) {
        satchel_event event = {0};
        status = stream->next(stream, &event, &f->error);
        if (!status && event.kind == SATCHEL_EVENT_FILE && log)
            append(log, 4096, signs[event.file->change], event.file->document_id);
        if (!status && event.kind == SATCHEL_EVENT_DONE) {
            if (done)
                *done = *event.done;
            break;
        }
    }
    if (stream)
        stream->close(stream);
    return status;
}

satchel_event_done fixture_expect_sync(fixture *f, const char *path, const char *expected) {
    char log[4096];
    satchel_event_done done = {0};
    const satchel_sync_options options = {.struct_size = sizeof options, .root = "docs"};
    fixture_fine(f, fixture_sync(f, path, &options, &done, log));
    assert_string_equal(log, expected);
    return done;
}

/* ------------------------------------------------------------------ from outside */

static int take_value(void *user, int columns, char **values, char **names) {
    int64_t *out = user;
    if (out && columns > 0 && values[0])
        *out = strtoll(values[0], NULL, 10);
    return 0;
}

static int64_t run(fixture *f, const char *sql) {
    sqlite3 *db = NULL;
    char *message = NULL;
    int64_t result = 0;
    assert_int_equal(sqlite3_open(f->store_path, &db), SQLITE_OK);
    sat_memory memory;
    sat_memory_init(&memory, NULL, 0);
    assert_int_equal(sat_fts_register(db, &memory, NULL), SATCHEL_OK);
    if (sqlite3_exec(db, sql, take_value, &result, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return result;
}

void fixture_sql(fixture *f, const char *sql) {
    run(f, sql);
}

int64_t fixture_sql_int(fixture *f, const char *sql) {
    return run(f, sql);
}
