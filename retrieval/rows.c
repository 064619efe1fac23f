/*
 * The rows of a document's text: chunks with their keywords and vectors, text pieces, locators. A
 * replaced document keeps the chunks that did not change, so that one edit costs one chunk.
 */
#include <stdlib.h>
#include <string.h>

#include "retrieval/store.h"

/* A chunk as it is in the store. */
typedef struct old_chunk {
    int64_t id, start, end, vector; /* vector 0: none */
    bool current;                   /* the vector is of the store's model */
    const char *heading;
    size_t heading_length;
    sat_digest hash;
    bool kept;
} old_chunk;

typedef struct old_chunks {
    sat_memory *memory;
    sat_arena arena;
    old_chunk *items; /* in order of hash, then ordinal */
    size_t count, capacity;
    size_t *next; /* (count) at a hash's first item: the next one not yet kept */
} old_chunks;

static void old_free(old_chunks *old) {
    sat_free(old->memory, old->items);
    sat_free(old->memory, old->next);
    sat_arena_free(&old->arena);
}

static int compare_old(const void *a, const void *b) {
    const old_chunk *left = a, *right = b;
    int order = memcmp(left->hash.bytes, right->hash.bytes, sizeof left->hash.bytes);
    return order ? order : (left->start > right->start) - (left->start < right->start);
}

static satchel_status old_load(old_chunks *old, sat_connection *writer, int64_t document,
                               int64_t model, satchel_error *error) {
    bool ok = true;
    sat_query query;
    sat_query_begin(&query, writer,
                    "SELECT id, start_byte, end_byte, vector, model, heading, hash FROM chunk "
                    "WHERE document = ?1 ORDER BY ordinal");
    sat_bind_int(&query, 1, document);
    while (ok && sat_query_row(&query)) {
        ok = sat_grow(old->memory, (void **)&old->items, &old->capacity, old->count + 1,
                      sizeof *old->items);
        if (!ok)
            break;
        old_chunk *chunk = &old->items[old->count++];
        *chunk = (old_chunk){.id = sat_column_int(&query, 0),
                             .start = sat_column_int(&query, 1),
                             .end = sat_column_int(&query, 2),
                             .vector = sat_column_int(&query, 3),
                             .current = model && sat_column_int(&query, 4) == model,
                             .hash = sat_column_digest(&query, 6)};
        const char *heading = sat_column_text(&query, 5, &chunk->heading_length);
        chunk->heading = sat_arena_strdup(&old->arena, heading, chunk->heading_length);
        ok = chunk->heading != NULL;
    }
    satchel_status status = sat_query_end(&query, error);
    if (!status && ok && old->count > 0) {
        old->next = sat_alloc_array(old->memory, old->count, sizeof *old->next);
        ok = old->next != NULL;
    }
    if (!status && !ok)
        status = sat_memory_fail(old->memory, old->capacity * sizeof *old->items, error);
    if (status || old->count == 0)
        return status;
    qsort(old->items, old->count, sizeof *old->items, compare_old);
    for (size_t i = 0; i < old->count; i++)
        old->next[i] = i;
    return SATCHEL_OK;
}

/* The first chunk of this hash that is not kept yet, now kept; NULL if there is none. */
static old_chunk *old_take(old_chunks *old, const sat_digest *hash) {
    size_t low = 0, high = old->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(old->items[middle].hash.bytes, hash->bytes, sizeof hash->bytes) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == old->count)
        return NULL;
    size_t at = old->next[low];
    if (at == old->count || memcmp(old->items[at].hash.bytes, hash->bytes, sizeof hash->bytes) != 0)
        return NULL;
    old->next[low] = at + 1;
    old->items[at].kept = true;
    return &old->items[at];
}

/* ------------------------------------------------------------------ keywords */

/* FTS5 needs to be told what it indexed to forget it: the title of then, and the text of then. */
static satchel_status forget_keywords(sat_connection *writer, int64_t document,
                                      const old_chunk *chunk, const char *title,
                                      satchel_error *error) {
    sat_buffer body;
    sat_buffer_init(&body, writer->store->memory);
    satchel_status status = sat_text_read(writer, document, chunk->start, chunk->end, &body, error);
    if (!status) {
        sat_query query;
        sat_query_begin(&query, writer,
                        "INSERT INTO chunk_fts(chunk_fts, rowid, title, heading, body) "
                        "VALUES('delete', ?1, ?2, ?3, ?4)");
        sat_bind_int(&query, 1, chunk->id);
        sat_bind_text(&query, 2, title, strlen(title));
        sat_bind_text(&query, 3, chunk->heading, chunk->heading_length);
        sat_bind_text(&query, 4, body.data, body.length);
        status = sat_query_run(&query, error);
    }
    if (!status)
        status = sat_state_forget(writer, 1, error);
    sat_buffer_free(&body);
    return status;
}

static satchel_status index_keywords(sat_connection *writer, int64_t id, const char *title,
                                     const char *heading, const char *body, size_t length,
                                     satchel_error *error) {
    sat_query query;
    sat_query_begin(&query, writer,
                    "INSERT INTO chunk_fts(rowid, title, heading, body) VALUES(?1, ?2, ?3, ?4)");
    sat_bind_int(&query, 1, id);
    sat_bind_text(&query, 2, title, strlen(title));
    sat_bind_text(&query, 3, heading, strlen(heading));
    sat_bind_text(&query, 4, body, length);
    return sat_query_run(&query, error);
}

/* ------------------------------------------------------------------ chunks */

static satchel_status delete_vector(sat_connection *writer, int64_t vector, satchel_error *error) {
    sat_query query;
    if (vector == 0)
        return SATCHEL_OK;
    sat_query_begin(&query, writer,
                    "DELETE FROM vector WHERE id = ?1 AND NOT EXISTS "
                    "(SELECT 1 FROM chunk WHERE vector = ?1)");
    sat_bind_int(&query, 1, vector);
    return sat_query_run(&query, error);
}

/* Of chunks that are not kept: the rows. Their vectors wait until the new chunks have had a
 * look. */
static satchel_status delete_chunks(sat_connection *writer, const old_chunks *old,
                                    satchel_error *error) {
    satchel_status status = SATCHEL_OK;
    for (size_t i = 0; i < old->count && !status; i++) {
        if (old->items[i].kept)
            continue;
        sat_query query;
        sat_query_begin(&query, writer, "DELETE FROM chunk WHERE id = ?1");
        sat_bind_int(&query, 1, old->items[i].id);
        status = sat_query_run(&query, error);
    }
    return status;
}

static satchel_status delete_vectors(sat_connection *writer, const old_chunks *old,
                                     satchel_error *error) {
    satchel_status status = SATCHEL_OK;
    for (size_t i = 0; i < old->count && !status; i++) {
        if (!old->items[i].kept)
            status = delete_vector(writer, old->items[i].vector, error);
    }
    return status;
}

/* A vector that is there already for this text; 0 if none. */
static satchel_status find_vector(sat_connection *writer, int64_t model, const sat_digest *hash,
                                  int64_t *vector, satchel_error *error) {
    *vector = 0;
    if (model == 0)
        return SATCHEL_OK;
    sat_query query;
    sat_query_begin(&query, writer, "SELECT id FROM vector WHERE model = ?1 AND hash = ?2");
    sat_bind_int(&query, 1, model);
    sat_bind_blob(&query, 2, hash->bytes, sizeof hash->bytes);
    if (sat_query_row(&query))
        *vector = sat_column_int(&query, 0);
    return sat_query_end(&query, error);
}

/* The place of a chunk in its text: ?2 to ?9. */
static void bind_place(sat_query *query, const sat_chunk *chunk, size_t ordinal) {
    sat_bind_int(query, 2, (int64_t)ordinal);
    sat_bind_int(query, 3, (int64_t)chunk->start);
    sat_bind_int(query, 4, (int64_t)chunk->end);
    sat_bind_int(query, 5, (int64_t)chunk->start16);
    sat_bind_int(query, 6, (int64_t)chunk->end16);
    sat_bind_int(query, 7, chunk->tokens);
    sat_bind_int(query, 8, chunk->page);
    sat_bind_int(query, 9, chunk->time_ms);
}

static satchel_status insert_chunk(sat_connection *writer, sat_rows_change *change, int64_t model,
                                   size_t ordinal, satchel_error *error) {
    const sat_chunk *chunk = &change->chunks->chunks[ordinal];
    int64_t vector = 0, seq = 0;
    satchel_status status = find_vector(writer, model, &chunk->hash, &vector, error);
    if (!status && vector)
        status = sat_state_next_seq(writer, &seq, error);
    if (status)
        return status;
    sat_query query;
    sat_query_begin(&query, writer,
                    "INSERT INTO chunk(document, ordinal, start_byte, end_byte, start_utf16, "
                    "end_utf16, tokens, page, time, heading, hash, model, vector, seq) "
                    "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)");
    sat_bind_int(&query, 1, change->document);
    bind_place(&query, chunk, ordinal);
    sat_bind_text(&query, 10, chunk->heading, strlen(chunk->heading));
    sat_bind_blob(&query, 11, chunk->hash.bytes, sizeof chunk->hash.bytes);
    if (vector) {
        sat_bind_int(&query, 12, model);
        sat_bind_int(&query, 13, vector);
        sat_bind_int(&query, 14, seq);
    }
    status = sat_query_run(&query, error);
    int64_t id = sqlite3_last_insert_rowid(writer->db);
    change->reused += vector != 0;
    if (!status)
        status = index_keywords(writer, id, change->title, chunk->heading,
                                change->text->text.data + chunk->start, chunk->end - chunk->start,
                                error);
    return status;
}

static satchel_status move_chunk(sat_connection *writer, sat_rows_change *change,
                                 const old_chunk *old, size_t ordinal, bool retitled,
                                 satchel_error *error) {
    const sat_chunk *chunk = &change->chunks->chunks[ordinal];
    sat_query query;
    sat_query_begin(&query, writer,
                    "UPDATE chunk SET ordinal = ?2, start_byte = ?3, end_byte = ?4, "
                    "start_utf16 = ?5, end_utf16 = ?6, tokens = ?7, page = ?8, time = ?9 "
                    "WHERE id = ?1");
    sat_bind_int(&query, 1, old->id);
    bind_place(&query, chunk, ordinal);
    satchel_status status = sat_query_run(&query, error);
    change->reused += old->current;
    if (!status && retitled)
        status = index_keywords(writer, old->id, change->title, chunk->heading,
                                change->text->text.data + chunk->start, chunk->end - chunk->start,
                                error);
    return status;
}

/* ------------------------------------------------------------------ text pieces and locators */

static satchel_status write_piece(sat_connection *writer, int64_t document, const char *text,
                                  size_t start, size_t end, satchel_error *error) {
    sat_query query;
    if (start == end)
        return SATCHEL_OK;
    sat_query_begin(&query, writer,
                    "INSERT INTO document_text(document, start, data) VALUES(?1, ?2, ?3)");
    sat_bind_int(&query, 1, document);
    sat_bind_int(&query, 2, (int64_t)start);
    sat_bind_blob(&query, 3, text + start, end - start);
    return sat_query_run(&query, error);
}

/* Cuts only in the gaps between chunks, as soon as a piece has SAT_PIECE_BYTES. */
static satchel_status write_text(sat_connection *writer, const sat_rows_change *change,
                                 satchel_error *error) {
    const sat_buffer *text = &change->text->text;
    const sat_chunk_list *list = change->chunks;
    size_t at = 0, covered = 0; /* where the piece begins; where the chunks so far end */
    satchel_status status = SATCHEL_OK;
    for (size_t i = 0; i <= list->count && !status; i++) {
        size_t gap_end = i < list->count ? list->chunks[i].start : text->length;
        while (!status && gap_end >= covered && gap_end - at > SAT_PIECE_BYTES) {
            size_t cut = at + SAT_PIECE_BYTES > covered ? at + SAT_PIECE_BYTES : covered;
            cut = sat_utf8_border(text->data, text->length, cut);
            status = write_piece(writer, change->document, text->data, at, cut, error);
            at = cut;
        }
        if (i < list->count && list->chunks[i].end > covered)
            covered = list->chunks[i].end;
    }
    if (!status)
        status = write_piece(writer, change->document, text->data, at, text->length, error);
    return status;
}

static satchel_status delete_of(sat_connection *writer, const char *sql, int64_t document,
                                satchel_error *error) {
    sat_query query;
    sat_query_begin(&query, writer, sql);
    sat_bind_int(&query, 1, document);
    return sat_query_run(&query, error);
}

static satchel_status delete_text(sat_connection *writer, int64_t document, satchel_error *error) {
    return delete_of(writer, "DELETE FROM document_text WHERE document = ?1", document, error);
}

static satchel_status delete_locators(sat_connection *writer, int64_t document,
                                      satchel_error *error) {
    return delete_of(writer, "DELETE FROM locator WHERE document = ?1", document, error);
}

static satchel_status write_locators(sat_connection *writer, const sat_rows_change *change,
                                     satchel_error *error) {
    satchel_status status = delete_locators(writer, change->document, error);
    for (size_t i = 0; i < change->text->locator_count && !status; i++) {
        const satchel_locator *locator = &change->text->locators[i];
        sat_query query;
        sat_query_begin(&query, writer,
                        "INSERT INTO locator(document, ordinal, kind, number, start, label) "
                        "VALUES(?1, ?2, ?3, ?4, ?5, ?6)");
        sat_bind_int(&query, 1, change->document);
        sat_bind_int(&query, 2, (int64_t)i);
        sat_bind_int(&query, 3, locator->kind);
        sat_bind_int(&query, 4, locator->number);
        sat_bind_int(&query, 5, locator->start);
        if (locator->label)
            sat_bind_text(&query, 6, locator->label, strlen(locator->label));
        status = sat_query_run(&query, error);
    }
    return status;
}

/* ------------------------------------------------------------------ the whole */

/* Which old chunk each new one goes on from: taken (chunks). */
static satchel_status replace(sat_connection *writer, sat_rows_change *change, old_chunks *old,
                              old_chunk **taken, int64_t model, satchel_error *error) {
    const sat_chunk_list *list = change->chunks;
    bool retitled = old->count > 0 && strcmp(change->old_title, change->title) != 0;
    size_t fresh = 0, gone = 0;
    for (size_t i = 0; i < list->count; i++) {
        taken[i] = old_take(old, &list->chunks[i].hash);
        fresh += !taken[i];
    }
    satchel_status status = SATCHEL_OK;
    /* Keywords go first, while the text they were made of is still there. */
    for (size_t i = 0; i < old->count && !status; i++) {
        gone += !old->items[i].kept;
        if (retitled || !old->items[i].kept)
            status =
                forget_keywords(writer, change->document, &old->items[i], change->old_title, error);
    }
    if (!status)
        status = delete_chunks(writer, old, error);
    if (!status && (change->text_changed || fresh > 0 || gone > 0)) {
        status = delete_text(writer, change->document, error);
        if (!status)
            status = write_text(writer, change, error);
    }
    for (size_t i = 0; i < list->count && !status; i++)
        status = taken[i] ? move_chunk(writer, change, taken[i], i, retitled, error)
                          : insert_chunk(writer, change, model, i, error);
    if (!status)
        status = delete_vectors(writer, old, error);
    if (!status)
        status = write_locators(writer, change, error);
    return status;
}

satchel_status sat_rows_replace(sat_connection *writer, sat_rows_change *change,
                                satchel_error *error) {
    sat_memory *memory = writer->store->memory;
    old_chunks old = {.memory = memory};
    sat_arena_init(&old.arena, memory);
    old_chunk **taken = NULL;
    int64_t model = 0;
    change->reused = 0;
    satchel_status status = sat_model_id(writer, false, &model, error);
    if (!status && change->old_title)
        status = old_load(&old, writer, change->document, model, error);
    if (!status) {
        taken = sat_calloc(memory, change->chunks->count + 1, sizeof *taken);
        if (!taken)
            status = sat_memory_fail(memory, change->chunks->count * sizeof *taken, error);
    }
    if (!status)
        status = replace(writer, change, &old, taken, model, error);
    /* What a new document adds is seen by its ids; any other change may move rows. */
    if (!status)
        status = sat_state_raise(writer, change->old_title != NULL, error);
    sat_free(memory, taken);
    old_free(&old);
    return status;
}

satchel_status sat_rows_remove(sat_connection *writer, int64_t document, const char *title,
                               satchel_error *error) {
    old_chunks old = {.memory = writer->store->memory};
    sat_arena_init(&old.arena, old.memory);
    satchel_status status = old_load(&old, writer, document, 0, error);
    for (size_t i = 0; i < old.count && !status; i++)
        status = forget_keywords(writer, document, &old.items[i], title, error);
    if (!status)
        status = delete_chunks(writer, &old, error);
    if (!status)
        status = delete_vectors(writer, &old, error);
    if (!status)
        status = delete_text(writer, document, error);
    if (!status)
        status = delete_locators(writer, document, error);
    if (!status)
        status = sat_state_raise(writer, true, error);
    old_free(&old);
    return status;
}

satchel_status sat_rows_retitle(sat_connection *writer, int64_t document, const char *old_title,
                                const char *title, satchel_error *error) {
    if (strcmp(old_title, title) == 0)
        return SATCHEL_OK;
    old_chunks old = {.memory = writer->store->memory};
    sat_buffer body;
    sat_arena_init(&old.arena, old.memory);
    sat_buffer_init(&body, old.memory);
    satchel_status status = old_load(&old, writer, document, 0, error);
    for (size_t i = 0; i < old.count && !status; i++) {
        const old_chunk *chunk = &old.items[i];
        sat_buffer_clear(&body);
        status = forget_keywords(writer, document, chunk, old_title, error);
        if (!status)
            status = sat_text_read(writer, document, chunk->start, chunk->end, &body, error);
        if (!status)
            status = index_keywords(writer, chunk->id, title, chunk->heading, body.data,
                                    body.length, error);
    }
    if (!status)
        status = sat_state_raise(writer, true, error);
    sat_buffer_free(&body);
    old_free(&old);
    return status;
}
