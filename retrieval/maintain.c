/*
 * Upkeep within a time budget: documents cut for another embedder are cut again from their stored
 * text, pending chunks are embedded, the vector index is renewed, forgotten keywords are swept out,
 * and free pages go back to the file system.
 */
#include <string.h>

#include "retrieval/index.h"

/* ------------------------------------------------------------------ cutting again */

/* A document as it is stored, to be cut again. */
typedef struct stored {
    int64_t id, text_bytes;
    char *title;
    sat_digest text_hash;
    sat_document document;
    sat_chunk_list chunks;
} stored;

/* The next document after `after` whose chunks are of another embedder or budget. */
static satchel_status find_stale(stored *s, sat_connection *reader, int64_t after,
                                 satchel_error *error) {
    int64_t model = 0;
    satchel_status status = sat_model_id(reader, false, &model, error);
    if (status)
        return status;
    bool ok = true;
    sat_query query;
    sat_query_begin(&query, reader,
                    "SELECT id, title, text_bytes, text_hash, media_type, source_start "
                    "FROM document WHERE id > ?1 AND (budget <> ?2 OR counter IS NOT ?3) "
                    "ORDER BY id LIMIT 1");
    sat_bind_int(&query, 1, after);
    sat_bind_int(&query, 2, reader->store->budget);
    sat_bind_int(&query, 3, model);
    if (sat_query_row(&query)) {
        s->id = sat_column_int(&query, 0);
        s->title = sat_column_copy(&query, 1, &s->document.arena);
        s->text_bytes = sat_column_int(&query, 2);
        s->text_hash = sat_column_digest(&query, 3);
        s->document.media_type = sat_column_copy(&query, 4, &s->document.arena);
        s->document.source_start = sat_column_int(&query, 5);
        ok = s->title && s->document.media_type;
    }
    status = sat_query_end(&query, error);
    return status || ok ? status : sat_memory_fail(reader->store->memory, 0, error);
}

static satchel_status load_locators(stored *s, sat_connection *reader, satchel_error *error) {
    sat_document *document = &s->document;
    bool ok = true;
    sat_query query;
    sat_query_begin(&query, reader,
                    "SELECT kind, number, start, label FROM locator WHERE document = ?1 "
                    "ORDER BY ordinal");
    sat_bind_int(&query, 1, s->id);
    while (ok && sat_query_row(&query)) {
        ok = sat_grow(document->memory, (void **)&document->locators, &document->locator_capacity,
                      document->locator_count + 1, sizeof *document->locators);
        if (!ok)
            break;
        satchel_locator *locator = &document->locators[document->locator_count++];
        *locator = (satchel_locator){.kind = (int32_t)sat_column_int(&query, 0),
                                     .number = sat_column_int(&query, 1),
                                     .start = sat_column_int(&query, 2)};
        if (!sat_column_is_null(&query, 3)) {
            locator->label = sat_column_copy(&query, 3, &document->arena);
            ok = locator->label != NULL;
        }
    }
    satchel_status status = sat_query_end(&query, error);
    return status || ok ? status : sat_memory_fail(document->memory, 0, error);
}

static satchel_status load_stale(stored *s, sat_store *store, int64_t after,
                                 const satchel_cancel *cancel, satchel_error *error) {
    sat_connection *reader;
    satchel_status status = sat_reader_begin(store, cancel, &reader, error);
    if (status)
        return status;
    status = find_stale(s, reader, after, error);
    if (!status && s->id)
        status = sat_text_read(reader, s->id, 0, s->text_bytes, &s->document.text, error);
    if (!status && s->id)
        status = load_locators(s, reader, error);
    sat_reader_end(reader);
    return status;
}

/* In the meantime the document may have been removed or replaced. */
static satchel_status is_same(const stored *s, sat_connection *writer, bool *same,
                              satchel_error *error) {
    sat_query query;
    sat_query_begin(&query, writer,
                    "SELECT 1 FROM document WHERE id = ?1 AND text_hash = ?2 AND title = ?3");
    sat_bind_int(&query, 1, s->id);
    sat_bind_blob(&query, 2, s->text_hash.bytes, sizeof s->text_hash.bytes);
    sat_bind_text(&query, 3, s->title, strlen(s->title));
    *same = sat_query_row(&query);
    return sat_query_end(&query, error);
}

static satchel_status save_chunks(const stored *s, sat_connection *writer, satchel_error *error) {
    bool same;
    int64_t model = 0;
    satchel_status status = is_same(s, writer, &same, error);
    if (status || !same)
        return status;
    sat_rows_change change = {.document = s->id,
                              .old_title = s->title,
                              .title = s->title,
                              .text = &s->document,
                              .chunks = &s->chunks};
    status = sat_model_id(writer, true, &model, error);
    if (!status)
        status = sat_rows_replace(writer, &change, error);
    if (status)
        return status;
    sat_query query;
    sat_query_begin(&query, writer, "UPDATE document SET budget = ?2, counter = ?3 WHERE id = ?1");
    sat_bind_int(&query, 1, s->id);
    sat_bind_int(&query, 2, writer->store->budget);
    sat_bind_int(&query, 3, model);
    return sat_query_run(&query, error);
}

static satchel_status recut_next(sat_store *store, int64_t *after, const satchel_cancel *cancel,
                                 bool *finished, satchel_error *error) {
    stored s = {.chunks = {.memory = store->memory}};
    sat_document_init(&s.document, store->memory);
    sat_arena_init(&s.chunks.arena, store->memory);
    satchel_status status = load_stale(&s, store, *after, cancel, error);
    *finished = !status && s.id == 0;
    if (!status && s.id) {
        *after = s.id;
        status = sat_chunk_document(&s.chunks, store->memory, &s.document, store->embedder,
                                    store->budget, error);
        sat_connection *writer;
        if (!status)
            status = sat_writer_begin(store, cancel, &writer, error);
        if (!status)
            status = sat_writer_end(writer, save_chunks(&s, writer, error), error);
    }
    sat_document_free(&s.document);
    sat_chunk_list_free(&s.chunks);
    return status;
}

satchel_status sat_recut(sat_store *store, int64_t deadline, const satchel_cancel *cancel,
                         bool *finished, satchel_error *error) {
    satchel_status status = SATCHEL_OK;
    int64_t after = 0;
    /* Without an embedder there is no measure better than the one that was used. */
    *finished = store->embedder == NULL;
    while (!status && !*finished && sat_has_turn(deadline, after != 0))
        status = recut_next(store, &after, cancel, finished, error);
    return status;
}

/* ------------------------------------------------------------------ sweeping */

/* Pages of the full-text index that one transaction merges. */
#define MERGE_PAGES "256"
/* Stores of up to so many chunks are swept as soon as there is anything to sweep: it costs
 * little. */
#define SMALL_STORE 2000

/* FTS5 only marks what it forgets, and drops it when it merges the segment where it stands. A store
 * is worth merging whole when a fifth of it is such. */
static satchel_status wants_sweep(sat_store *store, const satchel_cancel *cancel,
                                  int64_t *forgotten, satchel_error *error) {
    sat_state state;
    int64_t chunks = 0;
    sat_connection *reader;
    *forgotten = 0;
    satchel_status status = sat_reader_begin(store, cancel, &reader, error);
    if (status)
        return status;
    status = sat_state_read(reader, &state, error);
    if (!status && state.forgotten > 0)
        status = sat_sql_int(reader, "SELECT count(*) FROM chunk", &chunks, error);
    sat_reader_end(reader);
    if (!status && state.forgotten > 0 &&
        (chunks <= SMALL_STORE || state.forgotten * 5 >= chunks + state.forgotten))
        *forgotten = state.forgotten;
    return status;
}

/* Merges a part: the first call brings all segments to one level, the next ones go on. FTS5 tells
 * by its changes whether there was anything left to do. */
static satchel_status merge_some(sat_connection *writer, bool first, bool *finished,
                                 satchel_error *error) {
    int before = sqlite3_total_changes(writer->db);
    satchel_status status = sat_sql_run(
        writer,
        first ? "INSERT INTO chunk_fts(chunk_fts, rank) VALUES('merge', -" MERGE_PAGES ")"
              : "INSERT INTO chunk_fts(chunk_fts, rank) VALUES('merge', " MERGE_PAGES ")",
        error);
    *finished = sqlite3_total_changes(writer->db) - before < 2;
    return status;
}

static satchel_status sweep_keywords(sat_store *store, int64_t deadline,
                                     const satchel_cancel *cancel, satchel_error *error) {
    int64_t forgotten;
    bool finished = false;
    satchel_status status = wants_sweep(store, cancel, &forgotten, error);
    for (bool first = true; !status && forgotten > 0 && !finished && sat_has_turn(deadline, true);
         first = false) {
        sat_connection *writer;
        status = sat_writer_begin(store, cancel, &writer, error);
        if (status)
            break;
        status = merge_some(writer, first, &finished, error);
        if (!status && finished)
            status = sat_state_forget(writer, -forgotten, error);
        status = sat_writer_end(writer, status, error);
    }
    return status;
}

/* Whether more than a fifth of the file is free, and enough to be worth it. */
static satchel_status has_free_pages(sat_connection *connection, bool *much, satchel_error *error) {
    int64_t free_pages = 0, pages = 0;
    satchel_status status = sat_sql_int(connection, "PRAGMA freelist_count", &free_pages, error);
    if (!status)
        status = sat_sql_int(connection, "PRAGMA page_count", &pages, error);
    *much = free_pages > 256 && free_pages > pages / 5;
    return status;
}

static satchel_status give_back_pages(sat_store *store, int64_t deadline,
                                      const satchel_cancel *cancel, satchel_error *error) {
    bool much = false;
    sat_connection *connection;
    satchel_status status = sat_reader_begin(store, cancel, &connection, error);
    if (!status) {
        status = has_free_pages(connection, &much, error);
        sat_reader_end(connection);
    }
    while (!status && much && sat_has_turn(deadline, true)) {
        status = sat_writer_begin(store, cancel, &connection, error);
        if (status)
            break;
        status = sat_sql_run(connection, "PRAGMA incremental_vacuum(256)", error);
        if (!status)
            status = has_free_pages(connection, &much, error);
        status = sat_writer_end(connection, status, error);
    }
    return status;
}

satchel_status sat_sweep(sat_store *store, int64_t deadline, const satchel_cancel *cancel,
                         satchel_error *error) {
    satchel_status status = sweep_keywords(store, deadline, cancel, error);
    if (!status && sat_has_turn(deadline, true))
        status = give_back_pages(store, deadline, cancel, error);
    return status;
}

/* ------------------------------------------------------------------ the whole */

/* As many chunks as fit the time that is left, by what the last slice took. */
static size_t slice_limit(int64_t deadline, const sat_embed_slice *last) {
    if (deadline == 0)
        return 0;
    if (last->embedded <= last->reused)
        return 8;
    int64_t left = deadline - sat_clock_ms();
    int64_t fit = left * (last->embedded - last->reused) /
                  (last->embed_ms + last->write_ms > 0 ? last->embed_ms + last->write_ms : 1);
    return fit < 1 ? 1 : fit > 64 ? 64 : (size_t)fit;
}

satchel_status sat_store_maintain(sat_store *store, int64_t budget_ms, const satchel_cancel *cancel,
                                  int64_t *pending, satchel_error *error) {
    if (pending)
        *pending = 0;
    if (!store->embedder)
        return sat_fail(error, SATCHEL_NO_MODEL,
                        "store '%s' was opened without a model: there is nothing to embed with",
                        store->path);
    if (store->read_only)
        return sat_fail(error, SATCHEL_READ_ONLY, "store '%s' was opened for reading only",
                        store->path);
    int64_t deadline = budget_ms > 0 ? sat_clock_ms() + budget_ms : 0;
    bool cut, indexed = false;
    sat_embed_slice slice = {0};
    satchel_status status = sat_recut(store, deadline, cancel, &cut, error);
    bool worked = !cut;
    while (!status && !slice.finished && sat_has_turn(deadline, worked)) {
        slice.limit = slice_limit(deadline, &slice);
        status = sat_embed_some(store, &slice, NULL, cancel, error);
        worked = worked || !slice.finished || slice.embedded > 0;
    }
    if (!status && slice.finished && sat_has_turn(deadline, worked))
        status = sat_index_maintain(store->index, NULL, deadline, cancel, &indexed, error);
    if (!status && indexed && sat_has_turn(deadline, worked))
        status = sat_sweep(store, deadline, cancel, error);
    if (!status && pending)
        status = sat_embed_pending(store, pending, error);
    if (!status && pending && *pending == 0 && !indexed)
        *pending = 1; // not a chunk, but not all is done either
    return status;
}
