/*
 * Sync as a pulled stream: scan, keywords in batches, removals, then embedding in slices. Each
 * next() works until there is something to tell. What is committed stays, so a sync that is cut off
 * goes on with the next one.
 */
#include "retrieval/sync.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "retrieval/index.h"

#define DEFAULT_MAX_FILE_BYTES ((int64_t)256 << 20)
#define MAX_ROOT_BYTES 255
/* Folders are listed, and documents cut again, for so long between two words of progress. */
#define STEP_MS 100
/* Roots of up to so many documents lose files without asking. */
#define SMALL_ROOT 5

/* ------------------------------------------------------------------ beginning */

static satchel_status write_root(sat_sync *sync, satchel_error *error) {
    sat_connection *writer;
    satchel_status status = sat_writer_begin(sync->store, sync->cancel, &writer, error);
    if (status)
        return status;
    sat_query query;
    sat_query_begin(&query, writer,
                    "INSERT INTO root(name, path, synced) VALUES(?1, ?2, ?3) "
                    "ON CONFLICT(name) DO UPDATE SET path = ?2, synced = ?3 RETURNING id");
    sat_bind_text(&query, 1, sync->root, strlen(sync->root));
    sat_bind_text(&query, 2, sync->base, strlen(sync->base));
    sat_bind_int(&query, 3, sync->started_ms);
    while (sat_query_row(&query))
        sync->scan.root_id = sat_column_int(&query, 0);
    status = sat_query_end(&query, error);
    return sat_writer_end(writer, status, error);
}

static satchel_status begin(sat_sync *sync, satchel_error *error) {
    sync->began = sat_clock_ms();
    sync->started_ms = sat_clock_unix_ms();
    sat_scan *scan = &sync->scan;
    scan->base = sync->base;
    scan->root = sync->root;
    scan->include_hidden = sync->options.include_hidden != 0;
    scan->max_file_bytes =
        sync->options.max_file_bytes > 0 ? sync->options.max_file_bytes : DEFAULT_MAX_FILE_BYTES;
    satchel_status status = sat_lease_take(&sync->lease, sync->store, sync->cancel, error);
    if (!status)
        status = sat_scan_begin(scan, error);
    scan->bare = scan->single && !sync->root_given;
    if (!status)
        status = write_root(sync, error);
    return status;
}

/* ------------------------------------------------------------------ progress */

static void begin_phase(sat_sync *sync, int32_t phase) {
    sync->phase = phase;
    sync->phase_began = sat_clock_ms();
}

static void tell_progress(sat_sync *sync, int64_t done, int64_t total, int64_t bytes_done,
                          int64_t bytes_total) {
    sync->has_progress = true;
    sync->progress = (satchel_event_progress){.phase = sync->phase,
                                              .done = done,
                                              .total = total,
                                              .bytes_done = bytes_done,
                                              .bytes_total = bytes_total,
                                              .elapsed_ms = sat_clock_ms() - sync->phase_began};
}

/* ------------------------------------------------------------------ steps */

static satchel_status scan_folders(sat_sync *sync, satchel_error *error) {
    sat_scan *scan = &sync->scan;
    int64_t until = sat_clock_ms() + STEP_MS;
    bool finished = false;
    satchel_status status = SATCHEL_OK;
    do {
        status = sat_scan_step(scan, sync->cancel, &finished, error);
    } while (!status && !finished && sat_clock_ms() < until);
    if (status)
        return status;
    tell_progress(sync, scan->files, finished ? scan->files : -1, 0, 0);
    if (finished) {
        sync->done.unchanged = scan->unchanged;
        sync->step = SAT_SYNC_KEYWORDS;
    }
    return SATCHEL_OK;
}

static satchel_status index_files(sat_sync *sync, satchel_error *error) {
    sat_scan *scan = &sync->scan;
    if (sync->phase != SATCHEL_PHASE_KEYWORDS)
        begin_phase(sync, SATCHEL_PHASE_KEYWORDS);
    if (sync->next_item == scan->count) {
        sat_scan_sort_missing(scan);
        sync->step = SAT_SYNC_REMOVE;
        return SATCHEL_OK;
    }
    satchel_status status = sat_sync_batch(sync, error);
    if (!status)
        tell_progress(sync, (int64_t)sync->next_item, (int64_t)scan->count, sync->bytes_done,
                      scan->bytes);
    return status;
}

/* Before anything is removed: does the store lose so much that someone should look? */
static satchel_status check_removals(const sat_sync *sync, satchel_error *error) {
    const sat_scan *scan = &sync->scan;
    int64_t gone = 0;
    for (size_t i = 0; i < scan->missing_count; i++)
        gone += !scan->missing[i].taken;
    if (sync->options.allow_removals || scan->documents <= SMALL_ROOT ||
        gone * 5 <= scan->documents)
        return SATCHEL_OK;
    return sat_fail(error, SATCHEL_CONFIRM_REMOVALS,
                    "%" PRId64 " of the %" PRId64 " documents of root '%s' are no longer in '%s'; "
                    "nothing was removed: sync with allow_removals if they are to go, with "
                    "keep_missing if they are to stay, or give another folder its own root name",
                    gone, scan->documents, sync->root, sync->base);
}

static satchel_status remove_missing(sat_sync *sync, satchel_error *error) {
    satchel_status status = SATCHEL_OK;
    bool keep = sync->options.keep_missing || sync->scan.single;
    if (!keep && sync->next_missing == 0)
        status = check_removals(sync, error);
    if (!status && !keep && sync->next_missing < sync->scan.missing_count)
        return sat_sync_remove_some(sync, error);
    if (!status)
        status = sat_sync_forget_failures(sync, error);
    if (!status)
        sync->step = sync->store->embedder && !sync->options.defer_embedding ? SAT_SYNC_RECUT
                                                                             : SAT_SYNC_SWEEP;
    return status;
}

static satchel_status cut_again(sat_sync *sync, satchel_error *error) {
    bool finished = false;
    satchel_status status =
        sat_recut(sync->store, sat_clock_ms() + STEP_MS, sync->cancel, &finished, error);
    if (status || !finished)
        return status;
    status = sat_embed_pending(sync->store, &sync->pending, error);
    begin_phase(sync, SATCHEL_PHASE_EMBED);
    if (!status && sync->pending > 0)
        tell_progress(sync, 0, sync->pending, 0, 0);
    sync->step = SAT_SYNC_EMBED;
    return status;
}

static satchel_status embed_slice(sat_sync *sync, satchel_error *error) {
    sat_embed_slice slice = {0};
    satchel_status status = sat_embed_some(sync->store, &slice, &sync->lease, sync->cancel, error);
    if (status)
        return status;
    sync->done.chunks_embedded += slice.embedded - slice.reused;
    sync->done.chunks_reused += slice.reused;
    sync->done.embed_ms += slice.embed_ms;
    sync->write_ns += slice.write_ms * 1000000;
    sync->embedded += slice.embedded;
    /* Others may add in between. */
    if (sync->pending < sync->embedded)
        sync->pending = sync->embedded;
    if (slice.embedded > 0)
        tell_progress(sync, sync->embedded, sync->pending, 0, 0);
    if (slice.finished)
        sync->step = SAT_SYNC_INDEX;
    return SATCHEL_OK;
}

/* The vector index makes search faster, not better: a sync that cannot make it has done its work
 * all the same, and upkeep will tell why. */
static satchel_status renew_index(sat_sync *sync, satchel_error *error) {
    bool finished = true;
    satchel_error failure = {0};
    satchel_status status =
        sat_index_maintain(sync->store->index, &sync->lease, sat_clock_ms() + STEP_MS, sync->cancel,
                           &finished, &failure);
    if (status == SATCHEL_CANCELLED || status == SATCHEL_BUSY) {
        sat_error_copy(error, &failure);
        return status;
    }
    if (status)
        sat_log(sync->store->context, SATCHEL_LOG_WARNING, true, "no vector index: %s",
                failure.message);
    if (status || finished)
        sync->step = SAT_SYNC_SWEEP;
    return SATCHEL_OK;
}

static satchel_status sweep(sat_sync *sync, satchel_error *error) {
    sync->step = SAT_SYNC_DONE;
    return sat_sweep(sync->store, 0, sync->cancel, error);
}

static void finish(sat_sync *sync, satchel_event *event) {
    sat_lease_drop(&sync->lease, sync->store);
    sync->done.elapsed_ms = sat_clock_ms() - sync->began;
    sync->done.read_ms = sync->read_ns / 1000000;
    sync->done.keyword_ms = sync->keyword_ns / 1000000;
    sync->done.write_ms = sync->write_ns / 1000000;
    event->kind = SATCHEL_EVENT_DONE;
    event->done = &sync->done;
}

static satchel_status step(sat_sync *sync, satchel_error *error) {
    satchel_status status = sat_cancel_check(sync->cancel, error);
    if (status)
        return status;
    switch (sync->step) {
    case SAT_SYNC_BEGIN:
        status = begin(sync, error);
        begin_phase(sync, SATCHEL_PHASE_SCAN);
        sync->step = SAT_SYNC_SCAN;
        return status;
    case SAT_SYNC_SCAN:
        return scan_folders(sync, error);
    case SAT_SYNC_KEYWORDS:
        return index_files(sync, error);
    case SAT_SYNC_REMOVE:
        return remove_missing(sync, error);
    case SAT_SYNC_RECUT:
        return cut_again(sync, error);
    case SAT_SYNC_EMBED:
        return embed_slice(sync, error);
    case SAT_SYNC_INDEX:
        return renew_index(sync, error);
    default:
        return sweep(sync, error);
    }
}

/* ------------------------------------------------------------------ the stream */

static bool tell_file(sat_sync *sync, satchel_event *event) {
    while (sync->told < sync->count) {
        const sat_batch_item *item = &sync->items[sync->told++];
        if (item->quiet)
            continue;
        event->kind = SATCHEL_EVENT_FILE;
        event->file = &item->event;
        return true;
    }
    return false;
}

static satchel_status sync_next(sat_stream *stream, satchel_event *event, satchel_error *error) {
    sat_sync *sync = (sat_sync *)stream;
    satchel_status status = sat_context_check(sync->store->context, error);
    while (!status) {
        if (tell_file(sync, event))
            return SATCHEL_OK;
        if (sync->has_progress) {
            sync->has_progress = false;
            event->kind = SATCHEL_EVENT_PROGRESS;
            event->progress = &sync->progress;
            return SATCHEL_OK;
        }
        if (sync->step == SAT_SYNC_DONE) {
            finish(sync, event);
            return SATCHEL_OK;
        }
        status = step(sync, error);
    }
    sat_lease_drop(&sync->lease, sync->store);
    return status;
}

static void sync_close(sat_stream *stream) {
    sat_sync *sync = (sat_sync *)stream;
    sat_memory *memory = sync->store->memory;
    sat_lease_drop(&sync->lease, sync->store);
    if (sync->items)
        sat_sync_clear_batch(sync);
    sat_arena_free(&sync->arena);
    sat_scan_free(&sync->scan);
    sat_free(memory, sync->items);
    sat_free(memory, sync->base);
    sat_free(memory, sync->root);
    json_decref(sync->no_metadata);
    sat_cancel_release(sync->cancel);
    sat_free(memory, sync);
}

/* ------------------------------------------------------------------ opening */

/* Absolute, and without slashes at the end: what root.path and events show. */
static satchel_status resolve_base(sat_sync *sync, const char *path, satchel_error *error) {
    sat_memory *memory = sync->store->memory;
    char *absolute = NULL;
    if (!*path)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "the path to sync is empty");
    /* Only a relative path needs to be asked for: a link keeps the name it was given by. */
    if (path[0] != '/') {
        absolute = sat_alloc(memory, PATH_MAX);
        if (!absolute)
            return sat_memory_fail(memory, PATH_MAX, error);
        if (!realpath(path, absolute)) {
            satchel_status status = sat_fail_errno(error, errno, "cannot find '%s'", path);
            sat_free(memory, absolute);
            return status;
        }
        path = absolute;
    }
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    sync->base = sat_strndup(memory, path, length);
    sat_free(memory, absolute);
    return sync->base ? SATCHEL_OK : sat_memory_fail(memory, length, error);
}

static satchel_status choose_root(sat_sync *sync, const char *given, satchel_error *error) {
    sat_memory *memory = sync->store->memory;
    const char *name = given && *given ? given : sat_path_name(sync->base);
    sync->root_given = given && *given;
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strchr(name, '/') ||
        strlen(name) > MAX_ROOT_BYTES)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "'%s' cannot be the name of a root; give one of 1 to %d bytes without '/'",
                        name, MAX_ROOT_BYTES);
    sat_buffer text;
    sat_buffer_init(&text, memory);
    satchel_status status =
        sat_id_normalize(&text, name, strlen(name), "the name of the root", error);
    if (!status) {
        sync->root = sat_strndup(memory, text.data, text.length);
        if (!sync->root)
            status = sat_memory_fail(memory, text.length, error);
    }
    sat_buffer_free(&text);
    return status;
}

satchel_status sat_store_sync(sat_stream **out, sat_store *store, const char *path,
                              const satchel_sync_options *options, satchel_error *error) {
    *out = NULL;
    if (store->read_only)
        return sat_fail(error, SATCHEL_READ_ONLY,
                        "store '%s' was opened for reading only; open it without read_only",
                        store->path);
    sat_sync *sync = sat_calloc(store->memory, 1, sizeof *sync);
    if (!sync)
        return sat_memory_fail(store->memory, sizeof *sync, error);
    sync->stream = (sat_stream){.next = sync_next, .close = sync_close};
    sync->store = store;
    if (options)
        sync->options = *options;
    sync->cancel = sat_cancel_retain(sync->options.cancel);
    sat_arena_init(&sync->arena, store->memory);
    sat_scan_init(&sync->scan, store);
    satchel_status status = resolve_base(sync, path, error);
    if (!status)
        status = choose_root(sync, sync->options.root, error);
    sync->options.root = NULL; /* the caller's */
    if (!status) {
        sync->items = sat_calloc(store->memory, SAT_BATCH_FILES, sizeof *sync->items);
        sync->no_metadata = json_object();
        if (!sync->items || !sync->no_metadata)
            status = sat_memory_fail(store->memory, SAT_BATCH_FILES * sizeof *sync->items, error);
    }
    if (status) {
        sync_close(&sync->stream);
        return status;
    }
    *out = &sync->stream;
    return SATCHEL_OK;
}
