/* The calls that add and remove one document. */
#include <string.h>

#include "retrieval/store.h"

#define MAX_GIVEN_TITLE_BYTES 4096

/* What is asked for, checked, and what is in the store already. */
typedef struct addition {
    sat_store *store;
    const satchel_add_options *options;
    const char *media_type;
    const void *data;
    size_t length;
    sat_buffer name;
    sat_incoming incoming;
    json_t *metadata;
} addition;

static satchel_status prepare(addition *add, const char *id, satchel_error *error) {
    const satchel_add_options *options = add->options;
    satchel_status status = sat_id_normalize(&add->name, id, strlen(id), "the id", error);
    if (!status)
        status = sat_metadata_parse(&add->metadata, options->metadata, error);
    if (status)
        return status;
    if (options->title) {
        size_t length = strlen(options->title);
        if (length > MAX_GIVEN_TITLE_BYTES)
            return sat_fail(error, SATCHEL_LIMIT, "the title has %zu bytes; it may have %d", length,
                            MAX_GIVEN_TITLE_BYTES);
        if (sat_utf8_valid(options->title, length) < length)
            return sat_fail(error, SATCHEL_INVALID_TEXT, "the title is not valid UTF-8");
    }
    sat_incoming *incoming = &add->incoming;
    incoming->name = add->name.data;
    incoming->title = options->title && *options->title ? options->title : NULL;
    if (options->metadata && *options->metadata)
        incoming->metadata = options->metadata;
    incoming->metadata_json = add->metadata;
    incoming->modified_ms = options->modified_ms ? options->modified_ms : sat_clock_unix_ms();
    incoming->source_size = (int64_t)add->length;
    incoming->source_hash = sat_digest_of(add->data, add->length);
    return SATCHEL_OK;
}

/* True if the document is there with these bytes, title and metadata. */
static satchel_status is_unchanged(addition *add, sat_connection *reader, bool *there,
                                   bool *unchanged, int64_t *document, satchel_error *error) {
    const sat_incoming *incoming = &add->incoming;
    *there = *unchanged = false;
    sat_query query;
    sat_query_begin(&query, reader,
                    "SELECT id, source_hash, title, title_given, metadata, media_type, modified, "
                    "root IS NULL FROM document WHERE name = ?1");
    sat_bind_text(&query, 1, incoming->name, strlen(incoming->name));
    if (sat_query_row(&query)) {
        *there = true;
        *document = sat_column_int(&query, 0);
        sat_digest hash = sat_column_digest(&query, 1);
        bool given = sat_column_int(&query, 3) != 0;
        const char *title = sat_column_text(&query, 2, NULL);
        bool same_title = incoming->title ? given && strcmp(title, incoming->title) == 0 : !given;
        *unchanged =
            same_title && memcmp(&hash, &incoming->source_hash, sizeof hash) == 0 &&
            strcmp(sat_column_text(&query, 4, NULL), incoming->metadata) == 0 &&
            (!add->media_type || strcmp(sat_column_text(&query, 5, NULL), add->media_type) == 0) &&
            (!add->options->modified_ms ||
             sat_column_int(&query, 6) == add->options->modified_ms) &&
            sat_column_int(&query, 7);
    }
    return sat_query_end(&query, error);
}

static satchel_status look(addition *add, bool *unchanged, int64_t *document,
                           satchel_error *error) {
    bool there;
    sat_connection *reader;
    satchel_status status = sat_reader_begin(add->store, add->options->cancel, &reader, error);
    if (status)
        return status;
    status = is_unchanged(add, reader, &there, unchanged, document, error);
    sat_reader_end(reader);
    if (!status && there && add->options->must_be_new)
        status =
            sat_fail(error, SATCHEL_EXISTS, "there is a document '%s' already", add->incoming.name);
    return status;
}

static satchel_status write(addition *add, int64_t *document, satchel_error *error) {
    sat_connection *writer;
    sat_written written = {0};
    satchel_status status = sat_writer_begin(add->store, add->options->cancel, &writer, error);
    if (status)
        return status;
    status = sat_ingest_write(writer, &add->incoming, &written, error);
    if (!status && written.existed && add->options->must_be_new)
        status =
            sat_fail(error, SATCHEL_EXISTS, "there is a document '%s' already", add->incoming.name);
    *document = written.document;
    return sat_writer_end(writer, status, error);
}

/* The document is committed by now: what fails here leaves it to be embedded later. */
static satchel_status embed(addition *add, int64_t document, satchel_error *error) {
    if (!add->store->embedder || add->options->defer_embedding)
        return SATCHEL_OK;
    sat_embed_slice slice = {.document = document};
    satchel_status status = SATCHEL_OK;
    while (!status && !slice.finished)
        status = sat_embed_some(add->store, &slice, NULL, add->options->cancel, error);
    return status;
}

static satchel_status add_document(addition *add, const char *id, satchel_error *error) {
    bool unchanged = false;
    int64_t document = 0;
    satchel_status status = prepare(add, id, error);
    if (!status)
        status = look(add, &unchanged, &document, error);
    if (!status && !unchanged) {
        status = sat_incoming_read(&add->incoming, add->store, add->media_type, add->data,
                                   add->length, error);
        if (!status)
            status = write(add, &document, error);
    }
    return status ? status : embed(add, document, error);
}

static satchel_status store_add(sat_store *store, const char *id, const char *media_type,
                                const void *data, size_t length, bool verbatim,
                                const satchel_add_options *options, satchel_error *error) {
    static const satchel_add_options defaults = {0};
    if (store->read_only)
        return sat_fail(error, SATCHEL_READ_ONLY,
                        "store '%s' was opened for reading only; open it without read_only",
                        store->path);
    addition add = {.store = store,
                    .options = options ? options : &defaults,
                    .media_type = media_type,
                    .data = data,
                    .length = length};
    sat_buffer_init(&add.name, store->memory);
    sat_incoming_init(&add.incoming, store->memory);
    add.incoming.verbatim = verbatim;
    satchel_status status = add_document(&add, id, error);
    sat_incoming_free(&add.incoming);
    sat_buffer_free(&add.name);
    json_decref(add.metadata);
    return status;
}

satchel_status sat_store_add(sat_store *store, const char *id, const char *media_type,
                             const void *data, size_t length, const satchel_add_options *options,
                             satchel_error *error) {
    return store_add(store, id, media_type, data, length, false, options, error);
}

satchel_status sat_store_add_text(sat_store *store, const char *id, const char *text, size_t length,
                                  const satchel_add_options *options, satchel_error *error) {
    return store_add(store, id, "text/plain", text, length, true, options, error);
}

satchel_status sat_store_remove(sat_store *store, const char *id, satchel_error *error) {
    sat_buffer name;
    sat_buffer_init(&name, store->memory);
    sat_connection *writer = NULL;
    int64_t document = 0;
    satchel_status status = sat_id_normalize(&name, id, strlen(id), "the id", error);
    if (!status)
        status = sat_writer_begin(store, NULL, &writer, error);
    if (!status) {
        sat_query query;
        sat_query_begin(&query, writer, "SELECT id FROM document WHERE name = ?1");
        sat_bind_text(&query, 1, name.data, name.length);
        if (sat_query_row(&query))
            document = sat_column_int(&query, 0);
        status = sat_query_end(&query, error);
        if (!status && !document)
            status = sat_fail(error, SATCHEL_NOT_FOUND, "there is no document '%s'", name.data);
        if (!status)
            status = sat_ingest_remove(writer, document, error);
        if (!status) {
            sat_query_begin(&query, writer, "DELETE FROM failure WHERE name = ?1");
            sat_bind_text(&query, 1, name.data, name.length);
            status = sat_query_run(&query, error);
        }
        status = sat_writer_end(writer, status, error);
    }
    sat_buffer_free(&name);
    return status;
}
