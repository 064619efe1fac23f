/* The batches of a sync: files read and cut with nothing held, then committed together. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "retrieval/sync.h"

/* A file changed so shortly before it was read may be changed again within the same tick of its
 * file system's clock: its time says nothing, and the next sync looks at its bytes. */
#define FRESH_NS (2 * INT64_C(1000000000))
/* Of a file that no reader knows by name: enough to see that it is not text. */
#define SNIFF_BYTES 4096

int64_t sat_sync_clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void sat_sync_clear_batch(sat_sync *sync) {
    for (size_t i = 0; i < sync->count; i++)
        sat_incoming_free(&sync->items[i].incoming);
    sync->count = sync->told = 0;
    sat_arena_free(&sync->arena);
    sat_arena_init(&sync->arena, sync->store->memory);
}

/* Failures that are the sync's, not the file's. */
static bool is_ours(satchel_status status) {
    return status == SATCHEL_OUT_OF_MEMORY || status == SATCHEL_MEMORY_LIMIT ||
           status == SATCHEL_CANCELLED || status == SATCHEL_INTERNAL;
}

/* ------------------------------------------------------------------ reading */

static satchel_status name_item(sat_sync *sync, sat_batch_item *item, satchel_error *error) {
    sat_buffer text;
    satchel_error failure = {0};
    sat_buffer_init(&text, sync->store->memory);
    satchel_status status = sat_scan_name(&sync->scan, item->file->relative, &text, &failure);
    if (is_ours(status)) {
        sat_error_copy(error, &failure);
        sat_buffer_free(&text);
        return status;
    }
    if (status) { /* no id: as it is, with what is not UTF-8 replaced */
        sat_buffer_clear(&text);
        sat_buffer_append_format(&text, "%s/%s", sync->root, item->file->relative);
        for (size_t at = sat_utf8_valid(text.data ? text.data : "", text.length); at < text.length;
             at = sat_utf8_valid(text.data, text.length))
            text.data[at] = '?';
    }
    item->name = text.failed
                     ? NULL
                     : sat_arena_strdup(&sync->arena, text.data ? text.data : "", text.length);
    sat_buffer_clear(&text);
    if (sat_scan_path(&sync->scan, item->file->relative, &text))
        item->path = sat_arena_strdup(&sync->arena, text.data, text.length);
    sat_buffer_free(&text);
    return item->name && item->path ? SATCHEL_OK : sat_memory_fail(sync->store->memory, 0, error);
}

/* UNSUPPORTED if the first bytes of a large file of unknown kind are not text. */
static satchel_status sniff(sat_sync *sync, const sat_batch_item *item, satchel_error *error) {
    sat_store *store = sync->store;
    pthread_mutex_lock(&store->reader_lock);
    bool known = sat_reader_known(&store->readers, item->name);
    pthread_mutex_unlock(&store->reader_lock);
    if (known || item->file->size <= 16 * SNIFF_BYTES)
        return SATCHEL_OK;
    const sat_file_table *files = store->context->files;
    void *user = store->context->files_user;
    char bytes[SNIFF_BYTES];
    size_t size = 0;
    int fd;
    int failed = files->open(user, item->path, SAT_OPEN_READ, &fd);
    if (failed)
        return sat_fail_errno(error, failed, "cannot open the file");
    failed = files->read_at(user, fd, bytes, sizeof bytes, 0, &size);
    files->close(user, fd);
    if (failed)
        return sat_fail_errno(error, failed, "cannot read the file");
    static const sat_readers none = {0};
    sat_document document;
    sat_document_init(&document, store->memory);
    satchel_status status =
        sat_document_read(&document, store->context, &none, NULL, item->name, bytes, size, error);
    sat_document_free(&document);
    return status;
}

/* The stored hash of the document's source; false if it is new. */
static satchel_status stored_hash(sat_sync *sync, const sat_batch_item *item, sat_digest *hash,
                                  satchel_error *error) {
    sat_connection *reader;
    satchel_status status = sat_reader_begin(sync->store, sync->cancel, &reader, error);
    if (status)
        return status;
    sat_query query;
    sat_query_begin(&query, reader, "SELECT source_hash FROM document WHERE id = ?1");
    sat_bind_int(&query, 1, item->file->document);
    *hash = (sat_digest){{0}};
    if (sat_query_row(&query))
        *hash = sat_column_digest(&query, 0);
    status = sat_query_end(&query, error);
    sat_reader_end(reader);
    return status;
}

/* A missing document of this content and kind: then the file was renamed, and need not be read. */
static sat_missing *find_renamed(sat_sync *sync, const sat_batch_item *item,
                                 const sat_digest *hash) {
    if (sync->options.keep_missing || item->file->document)
        return NULL;
    sat_missing *missing = sat_scan_find_missing(&sync->scan, hash);
    if (!missing ||
        strcasecmp(sat_path_extension(missing->name), sat_path_extension(item->name)) != 0)
        return NULL;
    missing->taken = true;
    return missing;
}

static satchel_status read_bytes(sat_sync *sync, sat_batch_item *item, sat_buffer *bytes,
                                 satchel_error *error) {
    sat_file_info info = {0};
    satchel_status status = sniff(sync, item, error);
    if (!status)
        status = sat_file_read(sync->store->context, item->path,
                               (uint64_t)sync->scan.max_file_bytes, bytes, &info, error);
    if (status)
        return status;
    item->modified_ns = info.modified_ns;
    if (info.modified_ns >= sat_clock_unix_ms() * 1000000 - FRESH_NS)
        item->modified_ns = -1;
    sat_incoming *incoming = &item->incoming;
    incoming->name = item->name;
    incoming->root = sync->scan.root_id;
    incoming->metadata_json = sync->no_metadata;
    incoming->modified_ms = info.modified_ns / 1000000;
    incoming->source_size = (int64_t)bytes->length;
    incoming->source_modified_ns = item->modified_ns;
    incoming->source_hash = sat_digest_of(bytes->data ? bytes->data : "", bytes->length);
    return SATCHEL_OK;
}

static satchel_status read_item(sat_sync *sync, sat_batch_item *item, satchel_error *error) {
    sat_buffer bytes;
    sat_incoming *incoming = &item->incoming;
    sat_buffer_init(&bytes, sync->store->memory);
    satchel_status status = read_bytes(sync, item, &bytes, error);
    sat_digest stored = {{0}};
    if (!status && item->file->document)
        status = stored_hash(sync, item, &stored, error);
    if (!status) {
        item->event.bytes = (int64_t)bytes.length;
        if (item->file->document && memcmp(&stored, &incoming->source_hash, sizeof stored) == 0) {
            item->kind = SAT_BATCH_TOUCH;
            item->quiet = true;
        } else if ((item->missing = find_renamed(sync, item, &incoming->source_hash)) != NULL) {
            item->kind = SAT_BATCH_RENAME;
        } else {
            item->kind = SAT_BATCH_WRITE;
            status = sat_incoming_read(incoming, sync->store, NULL, bytes.data ? bytes.data : "",
                                       bytes.length, error);
        }
    }
    sat_buffer_free(&bytes);
    return status;
}

/* One file into the batch. */
static satchel_status take_item(sat_sync *sync, const sat_scan_item *file, satchel_error *error) {
    sat_batch_item *item = &sync->items[sync->count];
    *item = (sat_batch_item){.file = file};
    sat_incoming_init(&item->incoming, sync->store->memory);
    sync->count++;
    satchel_status status = name_item(sync, item, error);
    if (status)
        return status;
    item->event.path = item->path;
    item->event.document_id = item->name;
    item->event.message = "";
    item->event.bytes = file->size;
    if (file->status) { /* found by the scan */
        item->kind = SAT_BATCH_FAIL;
        sat_fail(&item->failure, file->status, "%s", file->message);
        item->event.change = file->skipped ? SATCHEL_FILE_SKIPPED : SATCHEL_FILE_FAILED;
        return SATCHEL_OK;
    }
    status = read_item(sync, item, &item->failure);
    if (!status)
        return SATCHEL_OK;
    if (is_ours(status)) {
        sat_error_copy(error, &item->failure);
        return status;
    }
    item->kind = SAT_BATCH_FAIL;
    item->quiet = status == SATCHEL_NOT_FOUND; /* gone since the scan */
    item->event.change = status == SATCHEL_UNSUPPORTED || status == SATCHEL_LIMIT
                             ? SATCHEL_FILE_SKIPPED
                             : SATCHEL_FILE_FAILED;
    sat_incoming_free(&item->incoming);
    sat_incoming_init(&item->incoming, sync->store->memory);
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ writing */

static satchel_status write_failure(sat_sync *sync, sat_connection *writer,
                                    const sat_batch_item *item, satchel_error *error) {
    const sat_scan_item *file = item->file;
    if (file->status || item->quiet) /* it is known, or cannot be */
        return SATCHEL_OK;
    sat_query query;
    sat_query_begin(&query, writer,
                    "INSERT INTO failure(name, root, path, status, message, size, modified, "
                    "readers, skipped, noted) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) "
                    "ON CONFLICT(name) DO UPDATE SET root = ?2, path = ?3, status = ?4, "
                    "message = ?5, size = ?6, modified = ?7, readers = ?8, skipped = ?9, "
                    "noted = ?10 RETURNING id");
    sat_bind_text(&query, 1, item->name, strlen(item->name));
    sat_bind_int(&query, 2, sync->scan.root_id);
    sat_bind_text(&query, 3, item->path, strlen(item->path));
    sat_bind_int(&query, 4, item->failure.code);
    sat_bind_text(&query, 5, item->failure.message, strlen(item->failure.message));
    sat_bind_int(&query, 6, file->size);
    sat_bind_int(&query, 7, file->modified_ns);
    sat_bind_int(&query, 8, sync->scan.readers);
    sat_bind_int(&query, 9, item->event.change == SATCHEL_FILE_SKIPPED);
    sat_bind_int(&query, 10, sat_clock_unix_ms());
    int64_t id = 0;
    while (sat_query_row(&query))
        id = sat_column_int(&query, 0);
    satchel_status status = sat_query_end(&query, error);
    return status ? status : sat_scan_note_failure(&sync->scan, id, error);
}

static satchel_status touch(sat_connection *writer, const sat_batch_item *item,
                            satchel_error *error) {
    sat_query query;
    sat_query_begin(&query, writer,
                    "UPDATE document SET source_modified = ?2, modified = ?3 WHERE id = ?1 AND "
                    "source_modified <> ?2");
    sat_bind_int(&query, 1, item->file->document);
    sat_bind_int(&query, 2, item->modified_ns);
    sat_bind_int(&query, 3, item->incoming.modified_ms);
    return sat_query_run(&query, error);
}

static satchel_status rename_document(sat_connection *writer, const sat_batch_item *item,
                                      satchel_error *error) {
    return sat_ingest_rename(writer, item->missing->document, item->name,
                             item->incoming.modified_ms, item->modified_ns, error);
}

static satchel_status write_item(sat_sync *sync, sat_connection *writer, sat_batch_item *item,
                                 satchel_error *error) {
    sat_written written = {0};
    satchel_status status;
    switch (item->kind) {
    case SAT_BATCH_WRITE:
        status = sat_ingest_write(writer, &item->incoming, &written, error);
        item->event.change = written.existed ? SATCHEL_FILE_CHANGED : SATCHEL_FILE_ADDED;
        item->event.chunks = written.chunks;
        sync->done.chunks_reused += written.chunks_reused;
        return status;
    case SAT_BATCH_RENAME:
        item->event.change = SATCHEL_FILE_RENAMED;
        return rename_document(writer, item, error);
    case SAT_BATCH_TOUCH:
        return touch(writer, item, error);
    default:
        return write_failure(sync, writer, item, error);
    }
}

/* A batch that only repeats what is known needs no transaction. */
static bool has_writes(const sat_sync *sync) {
    for (size_t i = 0; i < sync->count; i++) {
        const sat_batch_item *item = &sync->items[i];
        if (item->kind != SAT_BATCH_FAIL || (!item->file->status && !item->quiet))
            return true;
    }
    return false;
}

static satchel_status commit(sat_sync *sync, satchel_error *error) {
    sat_connection *writer;
    int64_t start = sat_sync_clock_ns();
    satchel_status status = sat_writer_begin(sync->store, sync->cancel, &writer, error);
    if (status)
        return status;
    status = sat_lease_renew(&sync->lease, writer, error);
    for (size_t i = 0; i < sync->count && !status; i++)
        status = write_item(sync, writer, &sync->items[i], error);
    int64_t written = sat_sync_clock_ns();
    status = sat_writer_end(writer, status, error);
    sync->keyword_ns += written - start;
    sync->write_ns += sat_sync_clock_ns() - written;
    return status;
}

static void count_item(sat_sync *sync, sat_batch_item *item) {
    satchel_event_done *done = &sync->done;
    if (item->kind == SAT_BATCH_FAIL) {
        item->event.status = item->failure.code;
        item->event.message = item->failure.message;
    } else {
        done->bytes += item->event.bytes;
    }
    if (item->kind == SAT_BATCH_TOUCH)
        done->unchanged++;
    if (item->quiet)
        return;
    done->chunks += item->event.chunks;
    done->added += item->event.change == SATCHEL_FILE_ADDED;
    done->changed += item->event.change == SATCHEL_FILE_CHANGED;
    done->renamed += item->event.change == SATCHEL_FILE_RENAMED;
    done->failed += item->event.change == SATCHEL_FILE_FAILED;
    done->skipped += item->event.change == SATCHEL_FILE_SKIPPED;
}

satchel_status sat_sync_batch(sat_sync *sync, satchel_error *error) {
    sat_scan *scan = &sync->scan;
    int64_t bytes = 0, start = sat_sync_clock_ns();
    satchel_status status = SATCHEL_OK;
    sat_sync_clear_batch(sync);
    while (!status && sync->next_item < scan->count && sync->count < SAT_BATCH_FILES &&
           bytes < SAT_BATCH_BYTES &&
           sat_sync_clock_ns() - start < SAT_BATCH_MS * INT64_C(1000000)) {
        const sat_scan_item *file = &scan->items[sync->next_item];
        status = sat_cancel_check(sync->cancel, error);
        if (!status)
            status = take_item(sync, file, error);
        if (!status) {
            sync->next_item++;
            bytes += file->size;
        }
    }
    sync->read_ns += sat_sync_clock_ns() - start;
    if (!status && has_writes(sync))
        status = commit(sync, error);
    sync->bytes_done += bytes;
    for (size_t i = 0; i < sync->count && !status; i++)
        count_item(sync, &sync->items[i]);
    return status;
}

/* ------------------------------------------------------------------ removals */

/* Removes the document if it is still the one that was missing. */
static satchel_status remove_one(sat_sync *sync, sat_connection *writer, const sat_missing *missing,
                                 bool *removed, satchel_error *error) {
    sat_query query;
    sat_query_begin(&query, writer,
                    "SELECT 1 FROM document WHERE id = ?1 AND root = ?2 AND name = ?3 AND "
                    "source_hash = ?4");
    sat_bind_int(&query, 1, missing->document);
    sat_bind_int(&query, 2, sync->scan.root_id);
    sat_bind_text(&query, 3, missing->name, strlen(missing->name));
    sat_bind_blob(&query, 4, missing->hash.bytes, sizeof missing->hash.bytes);
    *removed = sat_query_row(&query);
    satchel_status status = sat_query_end(&query, error);
    return status || !*removed ? status : sat_ingest_remove(writer, missing->document, error);
}

static satchel_status remove_batch(sat_sync *sync, sat_connection *writer, size_t *next,
                                   satchel_error *error) {
    sat_scan *scan = &sync->scan;
    satchel_status status = sat_lease_renew(&sync->lease, writer, error);
    for (; !status && *next < scan->missing_count && sync->count < SAT_BATCH_FILES; ++*next) {
        const sat_missing *missing = &scan->missing[*next];
        bool removed = false;
        if (missing->taken)
            continue;
        status = sat_cancel_check(sync->cancel, error);
        if (!status)
            status = remove_one(sync, writer, missing, &removed, error);
        if (status || !removed)
            continue;
        sat_batch_item *item = &sync->items[sync->count++];
        *item = (sat_batch_item){.event = {.change = SATCHEL_FILE_REMOVED,
                                           .path = "",
                                           .document_id = missing->name,
                                           .message = ""}};
        sat_incoming_init(&item->incoming, sync->store->memory);
    }
    return status;
}

satchel_status sat_sync_remove_some(sat_sync *sync, satchel_error *error) {
    sat_connection *writer;
    size_t next = sync->next_missing;
    sat_sync_clear_batch(sync);
    satchel_status status = sat_writer_begin(sync->store, sync->cancel, &writer, error);
    if (status)
        return status;
    status = remove_batch(sync, writer, &next, error);
    int64_t start = sat_sync_clock_ns();
    status = sat_writer_end(writer, status, error);
    sync->write_ns += sat_sync_clock_ns() - start;
    if (!status) {
        sync->next_missing = next;
        sync->done.removed += (int64_t)sync->count;
    }
    return status;
}

/* ------------------------------------------------------------------ failures */

static int compare_ids(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* Failures of this root that the scan did not meet again and this sync did not note. */
static satchel_status find_stale_failures(sat_sync *sync, sat_connection *reader, int64_t **ids,
                                          size_t *count, satchel_error *error) {
    sat_scan *scan = &sync->scan;
    size_t capacity = 0;
    bool ok = true;
    if (scan->failure_count > 0)
        qsort(scan->failures, scan->failure_count, sizeof *scan->failures, compare_ids);
    sat_query query;
    sat_query_begin(&query, reader, "SELECT id, name FROM failure WHERE root = ?1");
    sat_bind_int(&query, 1, scan->root_id);
    while (ok && sat_query_row(&query)) {
        int64_t id = sat_column_int(&query, 0);
        if (scan->failure_count > 0 &&
            bsearch(&id, scan->failures, scan->failure_count, sizeof id, compare_ids))
            continue;
        if (sat_scan_is_kept(scan, sat_column_text(&query, 1, NULL)))
            continue;
        ok = sat_grow(sync->store->memory, (void **)ids, &capacity, *count + 1, sizeof **ids);
        if (ok)
            (*ids)[(*count)++] = id;
    }
    satchel_status status = sat_query_end(&query, error);
    return status || ok ? status
                        : sat_memory_fail(sync->store->memory, capacity * sizeof **ids, error);
}

satchel_status sat_sync_forget_failures(sat_sync *sync, satchel_error *error) {
    int64_t *ids = NULL;
    size_t count = 0;
    sat_connection *connection;
    if (sync->scan.single)
        return SATCHEL_OK;
    satchel_status status = sat_reader_begin(sync->store, sync->cancel, &connection, error);
    if (status)
        return status;
    status = find_stale_failures(sync, connection, &ids, &count, error);
    sat_reader_end(connection);
    if (!status && count > 0) {
        status = sat_writer_begin(sync->store, sync->cancel, &connection, error);
        for (size_t i = 0; i < count && !status; i++) {
            sat_query query;
            sat_query_begin(&query, connection, "DELETE FROM failure WHERE id = ?1");
            sat_bind_int(&query, 1, ids[i]);
            status = sat_query_run(&query, error);
        }
        if (connection)
            status = sat_writer_end(connection, status, error);
    }
    sat_free(sync->store->memory, ids);
    return status;
}
