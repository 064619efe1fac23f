/*
 * Backup: a copy of one snapshot, page by page, into a file beside the target that takes its name
 * only when it is whole and on the disk.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "retrieval/store.h"

#define STEP_PAGES 256

typedef struct backup {
    sat_store *store;
    const char *path;
    sat_buffer temporary; /* name of the file that is written */
    char *folder;
    const satchel_cancel *cancel;
} backup;

static int stat_path(const backup *b, const char *path) {
    sat_file_info info;
    const satchel_context *context = b->store->context;
    return context->files->stat(context->files_user, path, false, &info);
}

static satchel_status check_target(const backup *b, satchel_error *error) {
    int failed = stat_path(b, b->path);
    if (failed == 0)
        return sat_fail(error, SATCHEL_EXISTS,
                        "there is a file at '%s' already; backup does not overwrite", b->path);
    return failed == ENOENT ? SATCHEL_OK
                            : sat_fail_errno(error, failed, "cannot look at '%s'", b->path);
}

static satchel_status choose_names(backup *b, satchel_error *error) {
    uint8_t random[6];
    char hex[2 * sizeof random + 1];
    sqlite3_randomness(sizeof random, random);
    sat_hex(hex, random, sizeof random);
    size_t folder = (size_t)(sat_path_name(b->path) - b->path);
    /* "/" stays, "a/" becomes "a". */
    b->folder = folder == 0 ? sat_strdup(b->store->memory, ".")
                            : sat_strndup(b->store->memory, b->path, folder > 1 ? folder - 1 : 1);
    sat_buffer_append_format(&b->temporary, "%s.%s.tmp", b->path, hex);
    if (!b->folder || b->temporary.failed)
        return sat_memory_fail(b->store->memory, strlen(b->path), error);
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ copying */

/* The copy's own connection reports here; sat_sql_fail() names the path of a store. */
static satchel_status copy_failed(const backup *b, sqlite3 *target, int code,
                                  satchel_error *error) {
    sat_store named = {.path = (char *)b->path, .memory = b->store->memory};
    sat_connection connection = {.store = &named, .db = target};
    return sat_sql_fail(&connection, code, error);
}

static satchel_status copy_pages(const backup *b, sat_connection *reader, sqlite3 *target,
                                 satchel_error *error) {
    sqlite3_backup *copy = sqlite3_backup_init(target, "main", reader->db, "main");
    if (!copy)
        return copy_failed(b, target, sqlite3_errcode(target), error);
    satchel_status status = SATCHEL_OK;
    int code = SQLITE_OK;
    while (!status && code == SQLITE_OK) {
        status = sat_cancel_check(b->cancel, error);
        if (!status)
            code = sqlite3_backup_step(copy, STEP_PAGES);
    }
    int ended = sqlite3_backup_finish(copy);
    if (status)
        return status;
    if (code == SQLITE_DONE)
        code = ended;
    return code == SQLITE_OK ? SATCHEL_OK : copy_failed(b, target, code, error);
}

/* A backup is nobody's sync in progress, and has no index beside it: that is made anew. */
static satchel_status clear_passing(const backup *b, sqlite3 *target, satchel_error *error) {
    int code = sqlite3_exec(target,
                            "PRAGMA secure_delete=ON; DELETE FROM lease; "
                            "DELETE FROM format WHERE key = 'index'",
                            NULL, NULL, NULL);
    return code == SQLITE_OK ? SATCHEL_OK : copy_failed(b, target, code, error);
}

static satchel_status copy_store(const backup *b, sat_connection *reader, satchel_error *error) {
    sqlite3 *target = NULL;
    int code = sqlite3_open_v2(b->temporary.data, &target,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                                   SQLITE_OPEN_EXRESCODE,
                               NULL);
    satchel_status status = SATCHEL_OK;
    if (!target)
        return sat_memory_fail(b->store->memory, 0, error);
    if (code != SQLITE_OK)
        status = copy_failed(b, target, code, error);
    if (!status)
        status = copy_pages(b, reader, target, error);
    if (!status)
        status = clear_passing(b, target, error);
    code = sqlite3_close(target);
    if (!status && code != SQLITE_OK)
        status = sat_fail(error, SATCHEL_IO, "cannot close the backup '%s'", b->path);
    return status;
}

/* ------------------------------------------------------------------ publishing */

static satchel_status sync_file(const backup *b, satchel_error *error) {
    const satchel_context *context = b->store->context;
    int fd;
    int failed = context->files->open(context->files_user, b->temporary.data, SAT_OPEN_READ, &fd);
    if (!failed) {
        failed = context->files->sync(context->files_user, fd);
        int closed = context->files->close(context->files_user, fd);
        failed = failed ? failed : closed;
    }
    return failed ? sat_fail_errno(error, failed, "cannot write the backup '%s' to disk", b->path)
                  : SATCHEL_OK;
}

static satchel_status publish(const backup *b, satchel_error *error) {
    const satchel_context *context = b->store->context;
    satchel_status status = sync_file(b, error);
    if (!status)
        status = check_target(b, error);
    if (status)
        return status;
    int failed = context->files->rename(context->files_user, b->temporary.data, b->path);
    if (failed)
        return sat_fail_errno(error, failed, "cannot give the backup its name '%s'", b->path);
    failed = context->files->sync_directory(context->files_user, b->folder);
    return failed ? sat_fail_errno(error, failed, "cannot write folder '%s' to disk", b->folder)
                  : SATCHEL_OK;
}

/* SQLite removes its own files beside the copy when it closes; after a failure they may be left. */
static void clean_up(const backup *b) {
    static const char *const ends[] = {"", "-journal", "-wal", "-shm"};
    const satchel_context *context = b->store->context;
    for (size_t i = 0; i < SAT_COUNT(ends); i++) {
        char name[4096];
        int length = snprintf(name, sizeof name, "%s%s", b->temporary.data, ends[i]);
        if (length > 0 && (size_t)length < sizeof name)
            context->files->remove(context->files_user, name);
    }
}

satchel_status sat_store_backup(sat_store *store, const char *path, const satchel_cancel *cancel,
                                satchel_error *error) {
    backup b = {.store = store, .path = path, .cancel = cancel};
    if (!*path)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "the path of the backup is empty");
    sat_buffer_init(&b.temporary, store->memory);
    sat_connection *reader = NULL;
    satchel_status status = check_target(&b, error);
    if (!status)
        status = choose_names(&b, error);
    if (!status)
        status = sat_reader_begin(store, cancel, &reader, error);
    /* Reading fixes the snapshot: without it a commit in between would begin the copy anew. */
    sat_state state;
    if (!status)
        status = sat_state_read(reader, &state, error);
    if (!status) {
        status = copy_store(&b, reader, error);
        sat_reader_end(reader);
        reader = NULL;
        if (!status)
            status = publish(&b, error);
        if (status)
            clean_up(&b);
    }
    sat_reader_end(reader);
    sat_buffer_free(&b.temporary);
    sat_free(store->memory, b.folder);
    return status;
}
