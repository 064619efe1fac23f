/* Syncing a folder: what is added, changed, removed, renamed, and what is left alone. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/retrieval/fixture.h"

#define PILOTS "Harbour pilots board the ship two miles before the breakwater.\n"
#define LAMPS "The lamp room keeps spare mantles in a tin box.\n"
#define GULLS "Gulls follow the ferry to the other shore.\n"

static void write_folder(fixture *f) {
    fixture_write(f, "docs/b.txt", PILOTS);
    fixture_write(f, "docs/a.md", "# Lamps\n\n" LAMPS);
    fixture_write(f, "docs/sub/c.txt", GULLS);
}

static void adds_a_folder(void **state) {
    fixture *f = *state;
    write_folder(f);
    satchel_event_done done = fixture_expect_sync(f, "docs",
                                                  "+docs/a.md +docs/b.txt "
                                                  "+docs/sub/c.txt");
    assert_int_equal(done.added, 3);
    assert_int_equal(done.chunks, 3);
    assert_int_equal(done.chunks_embedded, 3);
    assert_int_equal(done.failed + done.skipped + done.changed + done.removed, 0);
    assert_true(done.bytes > 100);
    fixture_expect_text(f, "docs/b.txt", PILOTS);
    fixture_expect_hits(f, "ferry", SATCHEL_SEARCH_KEYWORD, NULL, "docs/sub/c.txt");
    fixture_expect_documents(f, "{\"root\":\"docs\"}", "docs/a.md docs/b.txt docs/sub/c.txt");
    char name[32], path[256], expected[256];
    int64_t documents;
    fixture_path(f, "docs", expected);
    fixture_fine(f, sat_store_root(f->store, 0, name, sizeof name, path, sizeof path, &documents,
                                   &f->error));
    assert_string_equal(name, "docs");
    assert_string_equal(path, expected);
    assert_int_equal(documents, 3);
    fixture_fails(
        f, sat_store_root(f->store, 1, name, sizeof name, path, sizeof path, &documents, &f->error),
        SATCHEL_NOT_FOUND);
    assert_int_equal(fixture_sql_int(f, "SELECT count(*) FROM lease"), 0);
    fixture_verify(f);
}

static void second_sync_does_nothing(void **state) {
    fixture *f = *state;
    write_folder(f);
    fixture_expect_sync(f, "docs", "+docs/a.md +docs/b.txt +docs/sub/c.txt");
    size_t embedded = f->embedded;
    int64_t change = fixture_sql_int(f, "SELECT change FROM state");
    satchel_event_done done = fixture_expect_sync(f, "docs", "");
    assert_int_equal(done.unchanged, 3);
    assert_int_equal(done.bytes, 0); /* no file was read */
    assert_int_equal(f->embedded, embedded);
    assert_int_equal(fixture_sql_int(f, "SELECT change FROM state"), change);
}

static void only_what_changed_is_embedded_again(void **state) {
    fixture *f = *state;
    write_folder(f);
    fixture_expect_sync(f, "docs", "+docs/a.md +docs/b.txt +docs/sub/c.txt");
    f->embedded = 0;
    fixture_write(f, "docs/b.txt", "Pilots leave the ship at the last buoy.\n");
    satchel_event_done done = fixture_expect_sync(f, "docs", "*docs/b.txt");
    assert_int_equal(done.changed, 1);
    assert_int_equal(done.unchanged, 2);
    assert_int_equal(f->embedded, 1);
    fixture_expect_text(f, "docs/b.txt", "Pilots leave the ship at the last buoy.\n");
    fixture_verify(f);
}

static void another_time_alone_is_no_change(void **state) {
    fixture *f = *state;
    write_folder(f);
    fixture_expect_sync(f, "docs", "+docs/a.md +docs/b.txt +docs/sub/c.txt");
    fixture_age(f, "docs/b.txt", 500);
    satchel_event_done done = fixture_expect_sync(f, "docs", "");
    assert_int_equal(done.unchanged, 3);
    assert_true(done.bytes > 0); /* its bytes were looked at */
    done = fixture_expect_sync(f, "docs", "");
    assert_int_equal(done.bytes, 0);
}

/* Within the tick of a file system's clock two writes have one time. */
static void a_fresh_file_is_looked_at_again(void **state) {
    fixture *f = *state;
    fixture_write(f, "docs/a.txt", "one two three\n");
    fixture_age(f, "docs/a.txt", 0);
    struct stat info;
    char path[256];
    fixture_path(f, "docs/a.txt", path);
    assert_int_equal(stat(path, &info), 0);
    fixture_expect_sync(f, "docs", "+docs/a.txt");
    fixture_write(f, "docs/a.txt", "one two four!\n");
    const struct timespec times[2] = {info.st_mtim, info.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    fixture_expect_sync(f, "docs", "*docs/a.txt");
    fixture_expect_text(f, "docs/a.txt", "one two four!\n");
}

static void removes_what_is_gone(void **state) {
    fixture *f = *state;
    write_folder(f);
    fixture_add(f, "docs/by-the-app", "The app's own.");
    fixture_expect_sync(f, "docs", "+docs/a.md +docs/b.txt +docs/sub/c.txt");
    fixture_remove(f, "docs/b.txt");
    satchel_event_done done = fixture_expect_sync(f, "docs", "-docs/b.txt");
    assert_int_equal(done.removed, 1);
    fixture_expect_documents(f, NULL, "docs/a.md docs/by-the-app docs/sub/c.txt");
    fixture_verify(f);
}

static void a_rename_keeps_the_vectors(void **state) {
    fixture *f = *state;
    write_folder(f);
    fixture_expect_sync(f, "docs", "+docs/a.md +docs/b.txt +docs/sub/c.txt");
    f->embedded = 0;
    fixture_remove(f, "docs/b.txt");
    fixture_write(f, "docs/moved/pilots.txt", PILOTS);
    int64_t chunk = fixture_sql_int(f, "SELECT c.id FROM chunk c JOIN document d ON "
                                       "d.id = c.document WHERE d.name = 'docs/b.txt'");
    satchel_event_done done = fixture_expect_sync(f, "docs", "=docs/moved/pilots.txt");
    assert_int_equal(done.renamed, 1);
    assert_int_equal(done.added + done.removed, 0);
    assert_int_equal(f->embedded, 0);
    assert_int_equal(fixture_sql_int(f, "SELECT c.id FROM chunk c JOIN document d ON d.id = "
                                        "c.document WHERE d.name = 'docs/moved/pilots.txt'"),
                     chunk);
    fixture_expect_documents(f, "{\"title\":\"pilots.txt\"}", "docs/moved/pilots.txt");
    fixture_expect_text(f, "docs/b.txt", NULL);
    assert_int_equal(fixture_expect_sync(f, "docs", "").unchanged, 3);
    fixture_verify(f);
}

static void a_rename_takes_the_name_of_what_the_app_added(void **state) {
    fixture *f = *state;
    write_folder(f);
    fixture_expect_sync(f, "docs", "+docs/a.md +docs/b.txt +docs/sub/c.txt");
    fixture_add(f, "docs/new.txt", "Something else.");
    fixture_remove(f, "docs/b.txt");
    fixture_write(f, "docs/new.txt", PILOTS);
    fixture_expect_sync(f, "docs", "=docs/new.txt");
    fixture_expect_text(f, "docs/new.txt", PILOTS);
    fixture_expect_documents(f, NULL, "docs/a.md docs/new.txt docs/sub/c.txt");
    fixture_verify(f);
}

static void another_kind_of_file_is_read_anew(void **state) {
    fixture *f = *state;
    fixture_write(f, "docs/a.txt", "# Title\n\nBody of the text.\n");
    fixture_expect_sync(f, "docs", "+docs/a.txt");
    fixture_remove(f, "docs/a.txt");
    fixture_write(f, "docs/a.md", "# Title\n\nBody of the text.\n");
    fixture_expect_sync(f, "docs", "+docs/a.md -docs/a.txt");
    fixture_verify(f);
}

static void keep_missing_keeps(void **state) {
    fixture *f = *state;
    write_folder(f);
    fixture_expect_sync(f, "docs", "+docs/a.md +docs/b.txt +docs/sub/c.txt");
    fixture_remove(f, "docs/b.txt");
    fixture_write(f, "docs/new.txt", PILOTS);
    const satchel_sync_options options = {.root = "docs", .keep_missing = 1};
    char log[4096];
    fixture_fine(f, fixture_sync(f, "docs", &options, NULL, log));
    assert_string_equal(log, "+docs/new.txt");
    fixture_expect_text(f, "docs/b.txt", PILOTS);
    assert_int_equal(fixture_sql_int(f, "SELECT count(*) FROM vector"), 3); /* shared */
}

static void asks_before_it_removes_much(void **state) {
    fixture *f = *state;
    char path[32], log[4096];
    for (int i = 0; i < 10; i++) {
        snprintf(path, sizeof path, "docs/%d.txt", i);
        fixture_write(f, path, path);
    }
    satchel_sync_options options = {.root = "docs"};
    fixture_fine(f, fixture_sync(f, "docs", &options, NULL, NULL));
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "docs/%d.txt", i);
        fixture_remove(f, path);
    }
    fixture_write(f, "docs/new.txt", LAMPS);
    fixture_fails(f, fixture_sync(f, "docs", &options, NULL, log), SATCHEL_CONFIRM_REMOVALS);
    assert_string_equal(log, "+docs/new.txt");
    assert_int_equal(fixture_stats(f).documents, 11);
    assert_int_equal(fixture_sql_int(f, "SELECT count(*) FROM lease"), 0);
    options.allow_removals = 1;
    fixture_fine(f, fixture_sync(f, "docs", &options, NULL, log));
    assert_string_equal(log, "-docs/0.txt -docs/1.txt -docs/2.txt");
    /* A fifth of them goes without asking. */
    options.allow_removals = 0;
    fixture_remove(f, "docs/3.txt");
    fixture_fine(f, fixture_sync(f, "docs", &options, NULL, log));
    assert_string_equal(log, "-docs/3.txt");
    fixture_verify(f);
}

static void a_folder_that_is_gone_removes_nothing(void **state) {
    fixture *f = *state;
    write_folder(f);
    fixture_expect_sync(f, "docs", "+docs/a.md +docs/b.txt +docs/sub/c.txt");
    const satchel_sync_options options = {.root = "docs", .allow_removals = 1};
    fixture_fails(f, fixture_sync(f, "elsewhere", &options, NULL, NULL), SATCHEL_NOT_FOUND);
    assert_int_equal(fixture_stats(f).documents, 3);
}

/* The file table of a device where one folder cannot be listed and one file cannot be read. */
static int locked_list(void *user, const char *path, int (*entry)(void *, const char *),
                       void *entry_user) {
    return strstr(path, "/sub") ? EACCES : sat_file_posix.list(user, path, entry, entry_user);
}
static int locked_open(void *user, const char *path, int mode, int *fd) {
    return strstr(path, "a.md") ? EACCES : sat_file_posix.open(user, path, mode, fd);
}

static void what_cannot_be_read_stays(void **state) {
    fixture *f = *state;
    write_folder(f);
    fixture_expect_sync(f, "docs", "+docs/a.md +docs/b.txt +docs/sub/c.txt");
    fixture_remove(f, "docs/sub/c.txt"); /* which cannot be seen */
    fixture_write(f, "docs/a.md", "# Lamps\n\nOther words.");
    sat_file_table table = sat_file_posix;
    table.list = locked_list;
    table.open = locked_open;
    f->context->files = &table;
    satchel_event_done done = fixture_expect_sync(f, "docs", "!docs/a.md !docs/sub");
    assert_int_equal(done.failed, 2);
    fixture_expect_documents(f, NULL, "docs/a.md docs/b.txt docs/sub/c.txt");
    assert_int_equal(fixture_stats(f).failures, 1);
    satchel_documents *list = NULL;
    satchel_document document;
    fixture_fine(f, sat_store_list(&list, f->store, NULL, &f->error));
    fixture_fine(f, sat_documents_get(list, 0, &document, &f->error));
    assert_non_null(document.failure);
    sat_documents_close(&list);
    /* It passes without the file changing. */
    f->context->files = &sat_file_posix;
    fixture_expect_sync(f, "docs", "*docs/a.md -docs/sub/c.txt");
    assert_int_equal(fixture_stats(f).failures, 0);
    fixture_verify(f);
}

static int failing_reads;

static satchel_status fail_to_read(void *user, const char *media_type, const void *data,
                                   size_t length, const satchel_reader_sink *sink, char *message,
                                   size_t message_size) {
    failing_reads++;
    if (length > 5 && memcmp(data, "good:", 5) == 0)
        return sink->text(sink->sink, (const char *)data + 5, length - 5);
    snprintf(message, message_size, "not a scroll");
    return SATCHEL_DAMAGED;
}

static void one_bad_file_does_not_stop_it(void **state) {
    fixture *f = *state;
    const satchel_reader reader = {.struct_size = sizeof reader,
                                   .id = "scroll",
                                   .media_types = "application/x-scroll",
                                   .extensions = "scroll",
                                   .read = fail_to_read};
    fixture_fine(f, sat_store_add_reader(f->store, &reader, &f->error));
    fixture_write(f, "docs/bad.scroll", "broken");
    fixture_write(f, "docs/good.scroll", "good:The scroll tells of lamps.");
    fixture_write(f, "docs/text.txt", PILOTS);
    failing_reads = 0;
    fixture_expect_sync(f, "docs", "!docs/bad.scroll +docs/good.scroll +docs/text.txt");
    assert_int_equal(failing_reads, 2);
    assert_int_equal(fixture_stats(f).failures, 1);
    /* Told again, not tried again. */
    fixture_expect_sync(f, "docs", "!docs/bad.scroll");
    assert_int_equal(failing_reads, 2);
    fixture_write(f, "docs/bad.scroll", "good:Mended it is.");
    fixture_expect_sync(f, "docs", "+docs/bad.scroll");
    assert_int_equal(fixture_stats(f).failures, 0);
    fixture_write(f, "docs/bad.scroll", "broken again");
    fixture_expect_sync(f, "docs", "!docs/bad.scroll");
    fixture_expect_text(f, "docs/bad.scroll", "Mended it is.");
    fixture_remove(f, "docs/bad.scroll");
    fixture_expect_sync(f, "docs", "-docs/bad.scroll");
    assert_int_equal(fixture_stats(f).failures, 0);
    fixture_verify(f);
}

static void files_without_a_reader_are_skipped(void **state) {
    fixture *f = *state;
    static char bytes[200000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 7919 % 251);
    fixture_write_bytes(f, "docs/large.bin", bytes, sizeof bytes);
    fixture_write_bytes(f, "docs/small.bin", bytes, 600);
    fixture_write(f, "docs/README", PILOTS); /* no extension, but text */
    satchel_event_done done =
        fixture_expect_sync(f, "docs", "+docs/README ?docs/large.bin ?docs/small.bin");
    assert_int_equal(done.skipped, 2);
    assert_int_equal(fixture_stats(f).failures, 0);
    fixture_expect_sync(f, "docs", "?docs/large.bin ?docs/small.bin");
    /* Another reader might take them. */
    const satchel_reader reader = {.struct_size = sizeof reader,
                                   .id = "bin",
                                   .media_types = "application/octet-stream",
                                   .extensions = "bin",
                                   .read = fail_to_read};
    fixture_fine(f, sat_store_add_reader(f->store, &reader, &f->error));
    fixture_expect_sync(f, "docs", "!docs/large.bin !docs/small.bin");
}

static void too_large_files_are_skipped(void **state) {
    fixture *f = *state;
    write_folder(f);
    const satchel_sync_options options = {.root = "docs", .max_file_bytes = 50};
    char log[4096];
    fixture_fine(f, fixture_sync(f, "docs", &options, NULL, log));
    assert_string_equal(log, "?docs/a.md ?docs/b.txt +docs/sub/c.txt");
}

static void hidden_links_and_stores_are_passed_over(void **state) {
    fixture *f = *state;
    char target[256], link[256];
    write_folder(f);
    fixture_write(f, "docs/.hidden.txt", LAMPS);
    fixture_write(f, "docs/.git/config.txt", LAMPS);
    fixture_write(f, "docs/other.satchel", LAMPS);
    fixture_path(f, "docs/b.txt", target);
    fixture_path(f, "docs/link.txt", link);
    assert_int_equal(symlink(target, link), 0);
    fixture_path(f, "docs/sub", target);
    fixture_path(f, "docs/loop", link);
    assert_int_equal(symlink("..", link), 0);
    fixture_path(f, "docs/pipe.txt", link);
    assert_int_equal(mkfifo(link, 0600), 0);
    fixture_expect_sync(f, "docs", "+docs/a.md +docs/b.txt +docs/sub/c.txt");
    const satchel_sync_options options = {.root = "docs", .include_hidden = 1};
    char log[4096];
    fixture_fine(f, fixture_sync(f, "docs", &options, NULL, log));
    assert_string_equal(log, "+docs/.hidden.txt +docs/.git/config.txt");
    /* Passed over again, they are not gone. */
    fixture_expect_sync(f, "docs", "");
}

static void the_folder_of_the_store_can_be_synced(void **state) {
    fixture *f = *state;
    fixture_write(f, "a.txt", PILOTS);
    const satchel_sync_options options = {.root = "all"};
    char log[4096];
    fixture_fine(f, fixture_sync(f, "", &options, NULL, log));
    assert_string_equal(log, "+all/a.txt");
    fixture_add(f, "x", LAMPS);
    fixture_verify(f);
}

static void a_link_that_is_the_path_is_followed(void **state) {
    fixture *f = *state;
    char link[256];
    write_folder(f);
    fixture_path(f, "way", link);
    assert_int_equal(symlink("docs", link), 0);
    char log[4096];
    fixture_fine(f, fixture_sync(f, "way", NULL, NULL, log));
    assert_string_equal(log, "+way/a.md +way/b.txt +way/sub/c.txt");
}

static void one_file_can_be_synced(void **state) {
    fixture *f = *state;
    char log[4096];
    write_folder(f);
    fixture_fine(f, fixture_sync(f, "docs/b.txt", NULL, NULL, log));
    assert_string_equal(log, "+b.txt");
    fixture_expect_text(f, "b.txt", PILOTS);
    fixture_expect_sync(f, "docs", "+docs/a.md +docs/b.txt +docs/sub/c.txt");
    fixture_write(f, "docs/b.txt", LAMPS);
    fixture_expect_sync(f, "docs/b.txt", "*docs/b.txt"); /* the others stay */
    assert_int_equal(fixture_stats(f).documents, 4);
}

static void names_are_ids_in_nfc(void **state) {
    fixture *f = *state;
    char log[4096];
    fixture_write(f, "docs/e\xcc\x81t\xc3\xa9.txt", PILOTS);
    fixture_write(f, "docs/bad\xff.txt", LAMPS);
    fixture_write(f, "docs/new\nline.txt", LAMPS);
    fixture_fine(f, fixture_sync(f, "docs", NULL, NULL, log));
    assert_string_equal(log, "!docs/bad?.txt +docs/\xc3\xa9t\xc3\xa9.txt !docs/new\nline.txt");
    assert_int_equal(fixture_expect_sync(f, "docs", "!docs/bad?.txt !docs/new\nline.txt").unchanged,
                     1);
    fixture_write(f, "docs/\xc3\xa9t\xc3\xa9.txt", GULLS); /* the same id, in NFC */
    fixture_expect_sync(f, "docs",
                        "!docs/bad?.txt !docs/\xc3\xa9t\xc3\xa9.txt "
                        "!docs/new\nline.txt *docs/\xc3\xa9t\xc3\xa9.txt");
    fixture_expect_text(f, "docs/\xc3\xa9t\xc3\xa9.txt", GULLS);
}

static void takes_over_what_the_app_added(void **state) {
    fixture *f = *state;
    write_folder(f);
    fixture_add(f, "docs/b.txt", "Something else.");
    fixture_expect_sync(f, "docs", "+docs/a.md *docs/b.txt +docs/sub/c.txt");
    fixture_expect_text(f, "docs/b.txt", PILOTS);
}

static void refuses_bad_roots(void **state) {
    fixture *f = *state;
    static const char *const bad[] = {"a/b", ".", "..", "a\nb"};
    sat_stream *stream = NULL;
    for (size_t i = 0; i < SAT_COUNT(bad); i++) {
        const satchel_sync_options options = {.root = bad[i]};
        fixture_fails(f, sat_store_sync(&stream, f->store, f->folder, &options, &f->error),
                      SATCHEL_INVALID_ARGUMENT);
    }
    fixture_fails(f, sat_store_sync(&stream, f->store, "", NULL, &f->error),
                  SATCHEL_INVALID_ARGUMENT);
    fixture_fails(f, sat_store_sync(&stream, f->store, "/", NULL, &f->error),
                  SATCHEL_INVALID_ARGUMENT);
}

/* ------------------------------------------------------------------ streams and leases */

static void progress_is_told(void **state) {
    fixture *f = *state;
    char full[256];
    write_folder(f);
    fixture_path(f, "docs", full);
    sat_stream *stream = NULL;
    fixture_fine(f, sat_store_sync(&stream, f->store, full, NULL, &f->error));
    int phases[4] = {0}, files = 0;
    for (;;) {
        satchel_event event = {0};
        fixture_fine(f, stream->next(stream, &event, &f->error));
        if (event.kind == SATCHEL_EVENT_DONE)
            break;
        if (event.kind == SATCHEL_EVENT_FILE) {
            files++;
            assert_memory_equal(event.file->path, full, strlen(full));
            assert_int_equal(event.file->chunks, 1);
        } else {
            assert_int_equal(event.kind, SATCHEL_EVENT_PROGRESS);
            assert_in_range(event.progress->phase, 1, 3);
            phases[event.progress->phase]++;
            assert_true(event.progress->total == -1 ||
                        event.progress->done <= event.progress->total);
        }
    }
    assert_int_equal(files, 3);
    assert_true(phases[1] > 0 && phases[2] > 0 && phases[3] > 0);
    stream->close(stream);
}

static void a_second_sync_is_busy_at_once(void **state) {
    fixture *f = *state;
    char full[256];
    write_folder(f);
    fixture_path(f, "docs", full);
    sat_stream *first = NULL;
    satchel_event event = {0};
    fixture_fine(f, sat_store_sync(&first, f->store, full, NULL, &f->error));
    fixture_fine(f, first->next(first, &event, &f->error));
    fixture_fails(f, fixture_sync(f, "docs", NULL, NULL, NULL), SATCHEL_BUSY);
    fixture_add(f, "x", LAMPS); /* one document may be added in between */
    first->close(first);
    fixture_fine(f, fixture_sync(f, "docs", NULL, NULL, NULL));
    fixture_verify(f);
}

static void a_closed_sync_goes_on_with_the_next(void **state) {
    fixture *f = *state;
    char path[32], full[256];
    for (int i = 0; i < 200; i++) {
        snprintf(path, sizeof path, "docs/%03d.txt", i);
        fixture_write(f, path, path);
    }
    fixture_path(f, "docs", full);
    sat_stream *stream = NULL;
    fixture_fine(f, sat_store_sync(&stream, f->store, full, NULL, &f->error));
    for (int i = 0; i < 30; i++) {
        satchel_event event = {0};
        fixture_fine(f, stream->next(stream, &event, &f->error));
    }
    stream->close(stream);
    int64_t before = fixture_stats(f).documents;
    assert_true(before > 0 && before < 200);
    fixture_verify(f);
    satchel_event_done done = {0};
    fixture_fine(f, fixture_sync(f, "docs", NULL, &done, NULL));
    assert_int_equal(done.added, 200 - before);
    assert_int_equal(done.unchanged, before);
    assert_int_equal(fixture_stats(f).chunks_pending, 0);
    fixture_verify(f);
}

static void a_cancelled_sync_stops(void **state) {
    fixture *f = *state;
    write_folder(f);
    satchel_cancel *cancel = sat_calloc(&f->context->memory, 1, sizeof *cancel);
    cancel->context = sat_context_retain(f->context);
    atomic_init(&cancel->references, 1);
    atomic_init(&cancel->fired, 1);
    const satchel_sync_options options = {.cancel = cancel};
    fixture_fails(f, fixture_sync(f, "docs", &options, NULL, NULL), SATCHEL_CANCELLED);
    sat_cancel_release(cancel);
    fixture_fine(f, fixture_sync(f, "docs", NULL, NULL, NULL));
}

static void a_dead_owner_holds_no_lease(void **state) {
    fixture *f = *state;
    write_folder(f);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(0);
    waitpid(child, NULL, 0);
    char sql[256];
    snprintf(sql, sizeof sql,
             "INSERT INTO lease VALUES(1, x'00', %d, 1, (strftime('%%s','now') + 60) * 1000)",
             (int)child);
    fixture_sql(f, sql);
    fixture_fine(f, fixture_sync(f, "docs", NULL, NULL, NULL));
    /* The number of a process that lives, but started at another time. */
    snprintf(sql, sizeof sql,
             "INSERT INTO lease VALUES(1, x'00', %d, 1, (strftime('%%s','now') + 60) * 1000)",
             (int)getpid());
    fixture_sql(f, sql);
    fixture_fine(f, fixture_sync(f, "docs", NULL, NULL, NULL));
    /* One that lives, but has not renewed it. */
    snprintf(sql, sizeof sql,
             "INSERT INTO lease VALUES(1, x'00', %d, 0, (strftime('%%s','now') - 1) * 1000)",
             (int)getpid());
    fixture_sql(f, sql);
    fixture_fine(f, fixture_sync(f, "docs", NULL, NULL, NULL));
    snprintf(sql, sizeof sql,
             "INSERT INTO lease VALUES(1, x'00', %d, 0, (strftime('%%s','now') + 60) * 1000)",
             (int)getpid());
    fixture_sql(f, sql);
    fixture_fails(f, fixture_sync(f, "docs", NULL, NULL, NULL), SATCHEL_BUSY);
}

static void a_sync_that_lost_its_lease_stops(void **state) {
    fixture *f = *state;
    char path[32], full[256];
    for (int i = 0; i < 100; i++) {
        snprintf(path, sizeof path, "docs/%03d.txt", i);
        fixture_write(f, path, path);
    }
    fixture_path(f, "docs", full);
    sat_stream *stream = NULL;
    satchel_status status = SATCHEL_OK;
    satchel_event event = {0};
    fixture_fine(f, sat_store_sync(&stream, f->store, full, NULL, &f->error));
    fixture_fine(f, stream->next(stream, &event, &f->error));
    fixture_sql(f, "UPDATE lease SET owner = x'01'");
    while (!status && event.kind != SATCHEL_EVENT_DONE)
        status = stream->next(stream, &event, &f->error);
    fixture_fails(f, status, SATCHEL_BUSY);
    stream->close(stream);
    assert_int_equal(fixture_sql_int(f, "SELECT count(*) FROM lease"), 1); /* the other's */
    fixture_verify(f);
}

static void deferred_sync_embeds_nothing(void **state) {
    fixture *f = *state;
    write_folder(f);
    const satchel_sync_options options = {.root = "docs", .defer_embedding = 1};
    fixture_fine(f, fixture_sync(f, "docs", &options, NULL, NULL));
    assert_int_equal(f->embedded, 0);
    assert_int_equal(fixture_stats(f).chunks_pending, 3);
    fixture_expect_sync(f, "docs", "");
    assert_int_equal(fixture_stats(f).chunks_pending, 0);
}

static void a_failing_embedder_ends_it_with_keywords_there(void **state) {
    fixture *f = *state;
    write_folder(f);
    f->failing = SATCHEL_CALLBACK;
    fixture_fails(f, fixture_sync(f, "docs", NULL, NULL, NULL), SATCHEL_CALLBACK);
    fixture_expect_hits(f, "ferry", SATCHEL_SEARCH_KEYWORD, NULL, "docs/sub/c.txt");
    f->failing = SATCHEL_OK;
    fixture_expect_sync(f, "docs", "");
    assert_int_equal(fixture_stats(f).chunks_pending, 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(adds_a_folder),
        TEST(second_sync_does_nothing),
        TEST(only_what_changed_is_embedded_again),
        TEST(another_time_alone_is_no_change),
        TEST(a_fresh_file_is_looked_at_again),
        TEST(removes_what_is_gone),
        TEST(a_rename_keeps_the_vectors),
        TEST(a_rename_takes_the_name_of_what_the_app_added),
        TEST(another_kind_of_file_is_read_anew),
        TEST(keep_missing_keeps),
        TEST(asks_before_it_removes_much),
        TEST(a_folder_that_is_gone_removes_nothing),
        TEST(what_cannot_be_read_stays),
        TEST(one_bad_file_does_not_stop_it),
        TEST(files_without_a_reader_are_skipped),
        TEST(too_large_files_are_skipped),
        TEST(hidden_links_and_stores_are_passed_over),
        TEST(the_folder_of_the_store_can_be_synced),
        TEST(a_link_that_is_the_path_is_followed),
        TEST(one_file_can_be_synced),
        TEST(names_are_ids_in_nfc),
        TEST(takes_over_what_the_app_added),
        TEST(refuses_bad_roots),
        TEST(progress_is_told),
        TEST(a_second_sync_is_busy_at_once),
        TEST(a_closed_sync_goes_on_with_the_next),
        TEST(a_cancelled_sync_stops),
        TEST(a_dead_owner_holds_no_lease),
        TEST(a_sync_that_lost_its_lease_stops),
        TEST(deferred_sync_embeds_nothing),
        TEST(a_failing_embedder_ends_it_with_keywords_there),
    };
    return cmocka_run_group_tests_name("sync", tests, NULL, NULL);
}
