/* Opening and closing a store, its readers, its roots, its figures and its documents' text. */
#include "retrieval/store.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "retrieval/collection.h"
#include "retrieval/index.h"

/* ------------------------------------------------------------------ open and close */

static satchel_status make_locks(sat_store *store, satchel_error *error) {
    pthread_mutex_t *locks[] = {&store->writer_lock, &store->pool_lock, &store->reader_lock};
    for (size_t i = 0; i < SAT_COUNT(locks); i++) {
        int failed = pthread_mutex_init(locks[i], NULL);
        if (failed) {
            while (i-- > 0)
                pthread_mutex_destroy(locks[i]);
            return sat_fail_errno(error, failed, "cannot make a lock");
        }
    }
    return SATCHEL_OK;
}

static satchel_status copy_setup(sat_store *store, const char *path, const sat_store_setup *setup,
                                 satchel_error *error) {
    sat_memory *memory = store->memory;
    store->read_only = setup->read_only;
    store->embedder = setup->embedder;
    store->budget = setup->chunk_tokens > 0 ? setup->chunk_tokens : SAT_DEFAULT_BUDGET;
    store->path = sat_strdup(memory, path);
    bool ok = store->path != NULL;
    if (setup->embedder) {
        const satchel_embedder *embedder = setup->embedder;
        if (!setup->fingerprint || embedder->dimension < 1 ||
            embedder->dimension > SAT_MAX_DIMENSION || embedder->max_tokens < 1)
            return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                            "the embedder has no fingerprint, or dimension %d or max_tokens %d is "
                            "out of range",
                            (int)embedder->dimension, (int)embedder->max_tokens);
        if (setup->chunk_tokens <= 0 || store->budget > embedder->max_tokens)
            store->budget = embedder->max_tokens;
        store->fingerprint = sat_strdup(memory, setup->fingerprint);
        store->model_name = sat_strdup(memory, setup->model_name ? setup->model_name : "");
        ok = ok && store->fingerprint && store->model_name;
    }
    return ok ? SATCHEL_OK : sat_memory_fail(memory, strlen(path), error);
}

/* What is at the path, without opening it. */
static satchel_status look(const sat_store *store, bool must_exist, satchel_error *error) {
    const satchel_context *context = store->context;
    sat_file_info info = {0};
    int failed = context->files->stat(context->files_user, store->path, true, &info);
    if (failed == ENOENT && !must_exist && !store->read_only)
        return SATCHEL_OK;
    if (failed == ENOENT)
        return sat_fail(error, SATCHEL_NOT_FOUND, "there is no store at '%s'", store->path);
    if (failed == EPERM)
        return sat_fail(error, SATCHEL_LOCKED, "store '%s' is locked by data protection",
                        store->path);
    if (failed)
        return sat_fail_errno(error, failed, "cannot look at store '%s'", store->path);
    if (!info.is_regular)
        return sat_fail(error, SATCHEL_NOT_A_STORE, "'%s' is not a regular file", store->path);
    return SATCHEL_OK;
}

static satchel_status open_writable(sat_store *store, satchel_error *error) {
    satchel_status status = sat_connection_open(&store->writer, store, true, error);
    if (!status && sqlite3_db_readonly(store->writer->db, "main") == 1)
        status = sat_fail(error, SATCHEL_PERMISSION,
                          "store '%s' may not be written by this user; open it with read_only",
                          store->path);
    bool stale = false;
    if (!status)
        status = sat_schema_open(store->writer, true, &stale, error);
    store->terms_stale = stale;
    return status;
}

static bool has_log(const sat_store *store) {
    char *log = NULL;
    sat_file_info info = {0};
    sat_buffer path;
    sat_buffer_init(&path, store->memory);
    if (sat_buffer_append_text(&path, store->path) && sat_buffer_append_text(&path, "-wal"))
        log = path.data;
    const satchel_context *context = store->context;
    bool there =
        !log || (context->files->stat(context->files_user, log, true, &info) == 0 && info.size > 0);
    sat_buffer_free(&path);
    return there;
}

static satchel_status try_reading(sat_store *store, satchel_error *error) {
    sat_connection *reader = NULL;
    bool stale = false;
    satchel_status status = sat_connection_open(&reader, store, false, error);
    if (!status)
        status = sat_schema_open(reader, false, &stale, error);
    store->terms_stale = stale;
    if (status) {
        if (reader)
            sat_connection_close(reader);
        return status;
    }
    store->idle = reader;
    store->idle_count = 1;
    return SATCHEL_OK;
}

/*
 * WAL needs files beside the store even to read it. Where none can be made (read-only media), the
 * store is opened as a file that never changes; not when a log is there, because it would be passed
 * over.
 */
static satchel_status open_readable(sat_store *store, satchel_error *error) {
    satchel_error failure = {0};
    satchel_status status = try_reading(store, &failure);
    switch (status) {
    case SATCHEL_PERMISSION:
    case SATCHEL_READ_ONLY:
    case SATCHEL_NOT_FOUND:
    case SATCHEL_IO:
        if (has_log(store))
            break;
        store->immutable = true;
        return try_reading(store, error);
    default:
        break;
    }
    if (status)
        sat_error_copy(error, &failure);
    return status;
}

/* The path as SQLite made it absolute: later connections must not depend on the current folder. */
static satchel_status resolve_path(sat_store *store, satchel_error *error) {
    const sat_connection *connection = store->writer ? store->writer : store->idle;
    const char *name = sqlite3_db_filename(connection->db, "main");
    char *path = name && *name ? sat_strdup(store->memory, name) : NULL;
    if (!path)
        return name && *name ? sat_memory_fail(store->memory, strlen(name), error) : SATCHEL_OK;
    sat_free(store->memory, store->path);
    store->path = path;
    return SATCHEL_OK;
}

/* A model of the same name but another dimension is found now, not in the midst of a search. */
static satchel_status check_model(sat_store *store, satchel_error *error) {
    sat_connection *reader;
    int64_t id;
    satchel_status status = sat_reader_begin(store, NULL, &reader, error);
    if (status)
        return status;
    status = sat_model_id(reader, false, &id, error);
    sat_reader_end(reader);
    return status;
}

satchel_status sat_store_open(sat_store **out, satchel_context *context, const char *path,
                              const sat_store_setup *setup, satchel_error *error) {
    *out = NULL;
    satchel_status status = sat_context_check(context, error);
    if (status)
        return status;
    if (!path || !*path || strcmp(path, ":memory:") == 0)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "the path of a store names a file");
    if (sqlite3_libversion_number() < SAT_SQLITE_MINIMUM)
        return sat_fail(error, SATCHEL_UNSUPPORTED, "SQLite %s is too old; Satchel needs 3.37",
                        sqlite3_libversion());
    if (sqlite3_threadsafe() == 0)
        return sat_fail(error, SATCHEL_UNSUPPORTED,
                        "this SQLite was built without threads; Satchel needs them");
    sat_memory *memory = &context->memory;
    sat_store *store = sat_calloc(memory, 1, sizeof *store);
    if (!store)
        return sat_memory_fail(memory, sizeof *store, error);
    store->context = context;
    store->memory = memory;
    status = make_locks(store, error);
    if (status) {
        sat_free(memory, store);
        return status;
    }
    sat_context_retain(context);
    status = copy_setup(store, path, setup, error);
    if (!status)
        status = sat_collection_open(&store->collection, store, error);
    if (!status)
        status = sat_index_open(&store->index, store, setup, error);
    if (!status)
        status = look(store, setup->must_exist, error);
    if (!status)
        status = store->read_only ? open_readable(store, error) : open_writable(store, error);
    if (!status)
        status = resolve_path(store, error);
    if (!status && store->embedder)
        status = check_model(store, error);
    if (status) {
        sat_store_close(&store);
        return status;
    }
    *out = store;
    return SATCHEL_OK;
}

void sat_store_close(sat_store **handle) {
    sat_store *store = *handle;
    if (!store)
        return;
    *handle = NULL;
    while (store->idle) {
        sat_connection *reader = store->idle;
        store->idle = reader->next;
        sat_connection_close(reader);
    }
    /* Last: the connection that can write folds the log into the file. */
    sat_connection_close(store->writer);
    sat_collection_close(&store->collection);
    sat_index_close(&store->index);
    satchel_context *context = store->context;
    sat_memory *memory = store->memory;
    sat_free(memory, store->readers.readers);
    sat_free(memory, store->path);
    sat_free(memory, store->fingerprint);
    sat_free(memory, store->model_name);
    pthread_mutex_destroy(&store->writer_lock);
    pthread_mutex_destroy(&store->pool_lock);
    pthread_mutex_destroy(&store->reader_lock);
    sat_free(memory, store);
    sat_context_release(context);
}

/* ------------------------------------------------------------------ readers */

satchel_status sat_store_add_reader(sat_store *store, const satchel_reader *reader,
                                    satchel_error *error) {
    pthread_mutex_lock(&store->reader_lock);
    sat_readers *readers = &store->readers;
    bool ok = sat_grow(store->memory, (void **)&readers->readers, &readers->capacity,
                       readers->count + 1, sizeof *readers->readers);
    if (ok)
        readers->readers[readers->count++] = *reader;
    pthread_mutex_unlock(&store->reader_lock);
    return ok ? SATCHEL_OK : sat_memory_fail(store->memory, sizeof *reader, error);
}

int64_t sat_readers_signature(sat_store *store) {
    uint64_t sum = SAT_CHUNKER_VERSION;
    pthread_mutex_lock(&store->reader_lock);
    for (size_t i = 0; i < store->readers.count; i++) {
        const char *id = store->readers.readers[i].id;
        sum = sat_hash64(id, strlen(id), sum);
    }
    pthread_mutex_unlock(&store->reader_lock);
    return (int64_t)sum;
}

/* ------------------------------------------------------------------ roots and figures */

/* Cuts at a character border. */
static void copy_text(char *out, size_t size, const char *text, size_t length) {
    if (!out || size == 0)
        return;
    size_t end = length < size ? length : size - 1;
    if (end < length) {
        while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80)
            end--;
    }
    memcpy(out, text, end);
    out[end] = '\0';
}

satchel_status sat_store_root(sat_store *store, size_t index, char *name, size_t name_size,
                              char *path, size_t path_size, int64_t *documents,
                              satchel_error *error) {
    copy_text(name, name_size, "", 0);
    copy_text(path, path_size, "", 0);
    if (documents)
        *documents = 0;
    sat_connection *reader;
    satchel_status status = sat_reader_begin(store, NULL, &reader, error);
    if (status)
        return status;
    sat_query query;
    sat_query_begin(&query, reader,
                    "SELECT name, path, (SELECT count(*) FROM document WHERE root = r.id) "
                    "FROM root r ORDER BY id LIMIT 1 OFFSET ?1");
    sat_bind_int(&query, 1, index > INT64_MAX ? INT64_MAX : (int64_t)index);
    bool found = sat_query_row(&query);
    if (found) {
        size_t length;
        const char *text = sat_column_text(&query, 0, &length);
        copy_text(name, name_size, text, length);
        text = sat_column_text(&query, 1, &length);
        copy_text(path, path_size, text, length);
        if (documents)
            *documents = sat_column_int(&query, 2);
    }
    status = sat_query_end(&query, error);
    sat_reader_end(reader);
    if (!status && !found)
        status = sat_fail(error, SATCHEL_NOT_FOUND, "the store has no root %zu", index);
    return status;
}

/* 0: there is none. */
static int64_t file_bytes(const sat_store *store, const sat_buffer *path) {
    sat_file_info info = {0};
    const satchel_context *context = store->context;
    if (path->failed || context->files->stat(context->files_user, path->data, true, &info) != 0)
        return 0;
    return (int64_t)info.size;
}

/* The store, its log, and its vector index. */
static int64_t all_bytes(const sat_store *store, const sat_index_row *index) {
    sat_buffer path;
    sat_buffer_init(&path, store->memory);
    sat_buffer_append_text(&path, store->path);
    int64_t bytes = file_bytes(store, &path);
    sat_buffer_append_text(&path, "-wal");
    bytes += file_bytes(store, &path);
    sat_buffer_clear(&path);
    if (index->hash) {
        sat_index_path(store, index->number, &path);
        bytes += file_bytes(store, &path);
    }
    sat_buffer_free(&path);
    return bytes;
}

static satchel_status read_stats(sat_connection *reader, satchel_store_stats *stats,
                                 satchel_error *error) {
    int64_t model = 0;
    satchel_status status =
        sat_sql_int(reader, "SELECT count(*) FROM document", &stats->documents, error);
    if (!status)
        status = sat_sql_int(reader, "SELECT count(*) FROM chunk", &stats->chunks, error);
    if (!status)
        status = sat_sql_int(reader, "SELECT coalesce(sum(text_bytes), 0) FROM document",
                             &stats->text_bytes, error);
    if (!status)
        status = sat_sql_int(reader, "SELECT count(*) FROM failure WHERE skipped = 0",
                             &stats->failures, error);
    if (!status)
        status = sat_model_id(reader, false, &model, error);
    if (status || !model)
        return status;
    sat_query query;
    sat_query_begin(&query, reader, "SELECT count(*) FROM chunk WHERE model = ?1");
    sat_bind_int(&query, 1, model);
    if (sat_query_row(&query))
        stats->chunks_embedded = sat_column_int(&query, 0);
    return sat_query_end(&query, error);
}

satchel_status sat_store_stats(sat_store *store, satchel_store_stats *stats, satchel_error *error) {
    *stats = (satchel_store_stats){.format_version = SAT_FORMAT_VERSION};
    sat_connection *reader;
    sat_index_row index;
    satchel_status status = sat_reader_begin(store, NULL, &reader, error);
    if (status)
        return status;
    status = read_stats(reader, stats, error);
    if (!status)
        status = sat_index_read(reader, &index, error);
    sat_reader_end(reader);
    if (status) {
        *stats = (satchel_store_stats){0};
        return status;
    }
    stats->file_bytes = all_bytes(store, &index);
    if (store->embedder) {
        stats->has_model = 1;
        stats->dimension = store->embedder->dimension;
        stats->chunks_pending = stats->chunks - stats->chunks_embedded;
    }
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ text */

satchel_status sat_text_read(sat_connection *connection, int64_t document, int64_t start,
                             int64_t end, sat_buffer *out, satchel_error *error) {
    int64_t at = start;
    sat_query query;
    sat_query_begin(&query, connection,
                    "SELECT start, data FROM document_text WHERE document = ?1 AND start < ?3 AND "
                    "start >= (SELECT max(start) FROM document_text WHERE document = ?1 AND "
                    "start <= ?2) ORDER BY start");
    sat_bind_int(&query, 1, document);
    sat_bind_int(&query, 2, start);
    sat_bind_int(&query, 3, end);
    bool ok = true;
    while (at < end && ok && sat_query_row(&query)) {
        size_t length;
        int64_t first = sat_column_int(&query, 0);
        const char *data = sat_column_blob(&query, 1, &length);
        if (first > at || (int64_t)length < at - first)
            break; /* a gap */
        int64_t until = first + (int64_t)length < end ? first + (int64_t)length : end;
        ok = sat_buffer_append(out, data + (at - first), (size_t)(until - at));
        at = until;
    }
    satchel_status status = sat_query_end(&query, error);
    if (!status && !ok)
        status = sat_memory_fail(out->memory, (size_t)(end - start), error);
    if (!status && at < end)
        status = sat_fail(error, SATCHEL_DAMAGED,
                          "store '%s': the text of document %" PRId64 " ends at byte %" PRId64
                          " of %" PRId64 "; run verify",
                          connection->store->path, document, at, end);
    return status;
}

satchel_status sat_place_find(sat_connection *connection, int64_t chunk, int64_t start,
                              int32_t *page, int64_t *time_ms, satchel_error *error) {
    sat_query query;
    sat_query_begin(&query, connection,
                    "SELECT kind, number FROM locator WHERE document = "
                    "(SELECT document FROM chunk WHERE id = ?1) AND start <= ?2 ORDER BY ordinal");
    sat_bind_int(&query, 1, chunk);
    sat_bind_int(&query, 2, start);
    while (sat_query_row(&query)) {
        int64_t kind = sat_column_int(&query, 0);
        if (kind == SATCHEL_LOCATOR_PAGE || kind == SATCHEL_LOCATOR_SLIDE)
            *page = (int32_t)sat_column_int(&query, 1);
        else if (kind == SATCHEL_LOCATOR_TIME)
            *time_ms = sat_column_int(&query, 1);
    }
    return sat_query_end(&query, error);
}

static satchel_status find_text(sat_connection *reader, const char *name, size_t name_length,
                                int64_t *document, int64_t *length, satchel_error *error) {
    sat_query query;
    sat_query_begin(&query, reader, "SELECT id, text_bytes FROM document WHERE name = ?1");
    sat_bind_text(&query, 1, name, name_length);
    bool found = sat_query_row(&query);
    if (found) {
        *document = sat_column_int(&query, 0);
        *length = sat_column_int(&query, 1);
    }
    satchel_status status = sat_query_end(&query, error);
    if (!status && !found)
        status = sat_fail(error, SATCHEL_NOT_FOUND, "there is no document '%s'", name);
    return status;
}

satchel_status sat_store_document_text(sat_store *store, const char *id, int64_t start, char *text,
                                       size_t capacity, int64_t *length, satchel_error *error) {
    int64_t whole = 0, document = 0;
    if (length)
        *length = 0;
    if (start < 0)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "start is negative");
    sat_buffer name, data;
    sat_buffer_init(&name, store->memory);
    sat_buffer_init(&data, store->memory);
    sat_connection *reader = NULL;
    satchel_status status = sat_id_normalize(&name, id, strlen(id), "the id", error);
    if (!status)
        status = sat_reader_begin(store, NULL, &reader, error);
    if (!status)
        status = find_text(reader, name.data, name.length, &document, &whole, error);
    if (!status && start < whole && capacity > 0) {
        int64_t end = (uint64_t)(whole - start) < capacity ? whole : start + (int64_t)capacity;
        status = sat_text_read(reader, document, start, end, &data, error);
    }
    sat_reader_end(reader);
    if (!status && data.length > 0)
        memcpy(text, data.data, data.length);
    if (!status && length)
        *length = whole;
    sat_buffer_free(&name);
    sat_buffer_free(&data);
    return status;
}
