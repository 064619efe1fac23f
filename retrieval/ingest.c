/* Adding, replacing, renaming and removing one document. */
#include <string.h>

#include "retrieval/store.h"

/* A title stands in the full-text index once per chunk. */
#define MAX_TITLE_BYTES 512
#define MAX_DOCUMENT_BYTES ((size_t)1 << 30)

/* ------------------------------------------------------------------ reading and cutting */

void sat_incoming_init(sat_incoming *incoming, sat_memory *memory) {
    *incoming = (sat_incoming){.metadata = "{}", .source_modified_ns = -1};
    sat_document_init(&incoming->document, memory);
    incoming->chunks.memory = memory;
    sat_arena_init(&incoming->chunks.arena, memory);
}

void sat_incoming_free(sat_incoming *incoming) {
    sat_document_free(&incoming->document);
    sat_chunk_list_free(&incoming->chunks);
}

/* A byte order mark or NULs in a string are part of it, where in a file they tell its encoding. */
static satchel_status take_verbatim(sat_incoming *incoming, const void *data, size_t length,
                                    satchel_error *error) {
    sat_document *document = &incoming->document;
    document->media_type = "text/plain";
    document->source_start = 0;
    sat_buffer_append(&document->text, data, length);
    return document->text.failed ? sat_memory_fail(document->memory, length, error) : SATCHEL_OK;
}

static satchel_status read_bytes(sat_incoming *incoming, sat_store *store, const char *media_type,
                                 const void *data, size_t length, satchel_error *error) {
    /* Application readers run one at a time; the built-in ones need no turn. */
    static const sat_readers none = {0};
    pthread_mutex_lock(&store->reader_lock);
    bool turn = store->readers.count > 0;
    if (!turn)
        pthread_mutex_unlock(&store->reader_lock);
    satchel_status status =
        sat_document_read(&incoming->document, store->context, turn ? &store->readers : &none,
                          media_type, incoming->name, data, length, error);
    if (turn)
        pthread_mutex_unlock(&store->reader_lock);
    return status;
}

satchel_status sat_incoming_read(sat_incoming *incoming, sat_store *store, const char *media_type,
                                 const void *data, size_t length, satchel_error *error) {
    if (length > MAX_DOCUMENT_BYTES)
        return sat_fail(error, SATCHEL_LIMIT, "document '%s' has %zu bytes; it may have %zu",
                        incoming->name, length, MAX_DOCUMENT_BYTES);
    satchel_status status = incoming->verbatim
                                ? take_verbatim(incoming, data, length, error)
                                : read_bytes(incoming, store, media_type, data, length, error);
    if (status)
        return status;
    const sat_buffer *text = &incoming->document.text;
    if (text->length > MAX_DOCUMENT_BYTES)
        return sat_fail(error, SATCHEL_LIMIT,
                        "the text of document '%s' has %zu bytes; it may have %zu", incoming->name,
                        text->length, MAX_DOCUMENT_BYTES);
    return sat_chunk_document(&incoming->chunks, store->memory, &incoming->document,
                              store->embedder, store->budget, error);
}

/* ------------------------------------------------------------------ titles */

/* A reader's title on one line and of bounded length; the last part of the id if it has none. */
static bool make_title(sat_buffer *out, const sat_incoming *incoming) {
    if (incoming->title)
        return sat_buffer_append_text(out, incoming->title);
    const sat_buffer *title = &incoming->document.title;
    size_t end = title->length;
    if (end > MAX_TITLE_BYTES)
        end = sat_utf8_border(title->data, title->length, MAX_TITLE_BYTES);
    bool space = false;
    for (size_t at = 0; at < end;) {
        int32_t code;
        size_t size = sat_utf8_decode(title->data + at, end - at, &code);
        if (sat_is_space(code) || sat_is_control(code) || code < 0x20) {
            space = out->length > 0;
        } else {
            if (space)
                sat_buffer_append(out, " ", 1);
            sat_buffer_append(out, title->data + at, size);
            space = false;
        }
        at += size;
    }
    if (out->length == 0)
        sat_buffer_append_text(out, sat_path_name(incoming->name));
    return !out->failed;
}

/* ------------------------------------------------------------------ rows of documents */

/* What is in the store under a name. */
typedef struct known_document {
    int64_t id; /* 0: none */
    const char *title;
    sat_digest text_hash;
} known_document;

static satchel_status find(sat_connection *writer, const char *name, sat_arena *arena,
                           known_document *known, satchel_error *error) {
    bool ok = true;
    sat_query query;
    *known = (known_document){0};
    sat_query_begin(&query, writer, "SELECT id, title, text_hash FROM document WHERE name = ?1");
    sat_bind_text(&query, 1, name, strlen(name));
    if (sat_query_row(&query)) {
        known->id = sat_column_int(&query, 0);
        known->title = sat_column_copy(&query, 1, arena);
        known->text_hash = sat_column_digest(&query, 2);
        ok = known->title != NULL;
    }
    satchel_status status = sat_query_end(&query, error);
    return status || ok ? status : sat_memory_fail(arena->memory, 0, error);
}

/* Inserts the document's row, or updates it; ?16 is the id of the row to update. */
static satchel_status write_row(sat_connection *writer, const sat_incoming *incoming,
                                const char *title, const sat_digest *text_hash, int64_t *id,
                                satchel_error *error) {
    const sat_document *document = &incoming->document;
    const char *media_type = document->media_type ? document->media_type : "text/plain";
    int64_t model = 0;
    satchel_status status = sat_model_id(writer, true, &model, error);
    if (status)
        return status;
    sat_query query;
    sat_query_begin(
        &query, writer,
        *id ? "UPDATE document SET name = ?1, root = ?2, title = ?3, title_given = ?4, "
              "media_type = ?5, metadata = ?6, modified = ?7, source_size = ?8, "
              "source_modified = ?9, source_hash = ?10, source_start = ?11, text_bytes = ?12, "
              "text_hash = ?13, budget = ?14, counter = ?15 WHERE id = ?16"
            : "INSERT INTO document(name, root, title, title_given, media_type, metadata, "
              "modified, source_size, source_modified, source_hash, source_start, text_bytes, "
              "text_hash, budget, counter) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, "
              "?12, ?13, ?14, ?15)");
    sat_bind_text(&query, 1, incoming->name, strlen(incoming->name));
    if (incoming->root)
        sat_bind_int(&query, 2, incoming->root);
    sat_bind_text(&query, 3, title, strlen(title));
    sat_bind_int(&query, 4, incoming->title != NULL);
    sat_bind_text(&query, 5, media_type, strlen(media_type));
    sat_bind_text(&query, 6, incoming->metadata, strlen(incoming->metadata));
    sat_bind_int(&query, 7, incoming->modified_ms);
    sat_bind_int(&query, 8, incoming->source_size);
    sat_bind_int(&query, 9, incoming->source_modified_ns);
    sat_bind_blob(&query, 10, incoming->source_hash.bytes, sizeof incoming->source_hash.bytes);
    sat_bind_int(&query, 11, document->source_start);
    sat_bind_int(&query, 12, (int64_t)document->text.length);
    sat_bind_blob(&query, 13, text_hash->bytes, sizeof text_hash->bytes);
    sat_bind_int(&query, 14, writer->store->budget);
    if (model)
        sat_bind_int(&query, 15, model);
    if (*id)
        sat_bind_int(&query, 16, *id);
    status = sat_query_run(&query, error);
    if (!status && !*id)
        *id = sqlite3_last_insert_rowid(writer->db);
    return status;
}

static satchel_status forget_failure(sat_connection *writer, const char *name,
                                     satchel_error *error) {
    sat_query query;
    sat_query_begin(&query, writer, "DELETE FROM failure WHERE name = ?1");
    sat_bind_text(&query, 1, name, strlen(name));
    return sat_query_run(&query, error);
}

static satchel_status write_document(sat_connection *writer, const sat_incoming *incoming,
                                     const known_document *known, const char *title,
                                     sat_written *written, satchel_error *error) {
    const sat_buffer *text = &incoming->document.text;
    sat_digest text_hash = sat_digest_of(text->data ? text->data : "", text->length);
    written->document = known->id;
    written->existed = known->id != 0;
    written->chunks = (int64_t)incoming->chunks.count;
    satchel_status status =
        write_row(writer, incoming, title, &text_hash, &written->document, error);
    sat_rows_change change = {
        .document = written->document,
        .old_title = known->title,
        .title = title,
        .text_changed = !known->id || memcmp(&known->text_hash, &text_hash, sizeof text_hash) != 0,
        .text = &incoming->document,
        .chunks = &incoming->chunks};
    if (!status)
        status = sat_rows_replace(writer, &change, error);
    written->chunks_reused = change.reused;
    if (!status)
        status = sat_metadata_write(writer, written->document, incoming->metadata_json, error);
    if (!status)
        status = forget_failure(writer, incoming->name, error);
    return status;
}

satchel_status sat_ingest_write(sat_connection *writer, const sat_incoming *incoming,
                                sat_written *written, satchel_error *error) {
    sat_memory *memory = writer->store->memory;
    sat_arena arena;
    sat_buffer title;
    known_document known;
    *written = (sat_written){0};
    sat_arena_init(&arena, memory);
    sat_buffer_init(&title, memory);
    satchel_status status = find(writer, incoming->name, &arena, &known, error);
    if (!status && !make_title(&title, incoming))
        status = sat_memory_fail(memory, MAX_TITLE_BYTES, error);
    if (!status)
        status =
            write_document(writer, incoming, &known, title.data ? title.data : "", written, error);
    sat_buffer_free(&title);
    sat_arena_free(&arena);
    return status;
}

/* ------------------------------------------------------------------ rename, remove */

/* The title that a document had for want of a better one follows its name. */
static satchel_status renamed_title(sat_connection *writer, int64_t document, const char *name,
                                    sat_arena *arena, char **old_title, const char **title,
                                    satchel_error *error) {
    char *old_name = NULL;
    int64_t given = 0;
    bool found = false;
    sat_query query;
    sat_query_begin(&query, writer, "SELECT name, title, title_given FROM document WHERE id = ?1");
    sat_bind_int(&query, 1, document);
    if (sat_query_row(&query)) {
        found = true;
        old_name = sat_column_copy(&query, 0, arena);
        *old_title = sat_column_copy(&query, 1, arena);
        given = sat_column_int(&query, 2);
    }
    satchel_status status = sat_query_end(&query, error);
    if (status)
        return status;
    if (!found)
        return sat_fail(error, SATCHEL_NOT_FOUND, "there is no document to rename to '%s'", name);
    if (!old_name || !*old_title)
        return sat_memory_fail(arena->memory, strlen(name), error);
    bool by_name = !given && strcmp(*old_title, sat_path_name(old_name)) == 0;
    *title = by_name ? sat_path_name(name) : *old_title;
    return SATCHEL_OK;
}

/* A file that takes a name takes it from a document that the app had put there. */
static satchel_status clear_name(sat_connection *writer, int64_t document, const char *name,
                                 satchel_error *error) {
    int64_t other = 0;
    sat_query query;
    sat_query_begin(&query, writer, "SELECT id FROM document WHERE name = ?1 AND id <> ?2");
    sat_bind_text(&query, 1, name, strlen(name));
    sat_bind_int(&query, 2, document);
    if (sat_query_row(&query))
        other = sat_column_int(&query, 0);
    satchel_status status = sat_query_end(&query, error);
    return status || !other ? status : sat_ingest_remove(writer, other, error);
}

satchel_status sat_ingest_rename(sat_connection *writer, int64_t document, const char *name,
                                 int64_t modified_ms, int64_t source_modified_ns,
                                 satchel_error *error) {
    sat_arena arena;
    sat_arena_init(&arena, writer->store->memory);
    char *old_title = NULL;
    const char *title = NULL;
    satchel_status status =
        renamed_title(writer, document, name, &arena, &old_title, &title, error);
    if (!status)
        status = clear_name(writer, document, name, error);
    if (!status) {
        sat_query query;
        sat_query_begin(&query, writer,
                        "UPDATE document SET name = ?2, title = ?3, modified = ?4, "
                        "source_modified = ?5 WHERE id = ?1");
        sat_bind_int(&query, 1, document);
        sat_bind_text(&query, 2, name, strlen(name));
        sat_bind_text(&query, 3, title, strlen(title));
        sat_bind_int(&query, 4, modified_ms);
        sat_bind_int(&query, 5, source_modified_ns);
        status = sat_query_run(&query, error);
    }
    if (!status)
        status = sat_rows_retitle(writer, document, old_title, title, error);
    if (!status)
        status = forget_failure(writer, name, error);
    if (!status) /* paths in filters have changed */
        status = sat_state_raise(writer, false, error);
    sat_arena_free(&arena);
    return status;
}

satchel_status sat_ingest_remove(sat_connection *writer, int64_t document, satchel_error *error) {
    sat_arena arena;
    sat_arena_init(&arena, writer->store->memory);
    char *title = NULL;
    bool found = false;
    sat_query query;
    sat_query_begin(&query, writer, "SELECT title FROM document WHERE id = ?1");
    sat_bind_int(&query, 1, document);
    if (sat_query_row(&query)) {
        found = true;
        title = sat_column_copy(&query, 0, &arena);
    }
    satchel_status status = sat_query_end(&query, error);
    if (!status && found && !title)
        status = sat_memory_fail(writer->store->memory, 0, error);
    if (!status && found)
        status = sat_rows_remove(writer, document, title, error);
    static const char *const statements[] = {"DELETE FROM meta WHERE document = ?1",
                                             "DELETE FROM document WHERE id = ?1"};
    for (size_t i = 0; i < SAT_COUNT(statements) && !status && found; i++) {
        sat_query_begin(&query, writer, statements[i]);
        sat_bind_int(&query, 1, document);
        status = sat_query_run(&query, error);
    }
    sat_arena_free(&arena);
    return status;
}
