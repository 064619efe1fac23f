/*
 * Pass 2: chunks that have no vector of the store's model get one, a slice at a time. A slice is
 * picked in a snapshot, embedded with nothing held, and committed if its chunks are still the same.
 */
#include <math.h>
#include <string.h>

#include "retrieval/store.h"

/* Chunks in a slice: enough for the encoder to batch well, few enough for a prompt cancel, and
 * little to lose in a kill. */
#define SLICE_CHUNKS ((size_t)64)
/* A chunk of several thousand tokens takes an encoder long: fewer of them. */
#define SLICE_BYTES ((size_t)256 << 10)

typedef struct pick {
    int64_t chunk, document, start, end;
    const char *heading;
    sat_digest hash;
    size_t text_start, text_end; /* in the slice's buffer; empty if a vector is there already */
    size_t row;                  /* of the embeddings; shared by equal chunks */
    bool stored;                 /* a vector for this text is in the store */
} pick;

typedef struct work {
    sat_store *store;
    sat_embed_slice *slice;
    const satchel_cancel *cancel;
    sat_arena arena;
    pick *picks;
    size_t count, capacity;
    sat_buffer texts;
    size_t rows;    /* texts to embed */
    float *vectors; /* (rows, dimension) */
} work;

/* ------------------------------------------------------------------ picking */

static const char pick_of_document[] =
    "SELECT id, document, start_byte, end_byte, heading, hash FROM chunk "
    "WHERE document = ?1 AND model IS NOT ?2 ORDER BY ordinal LIMIT ?3";
/* The newest first. seq is NULL wherever model is: said here, so that the index gives the order. */
static const char pick_new[] =
    "SELECT id, document, start_byte, end_byte, heading, hash FROM chunk "
    "WHERE model IS NULL AND seq IS NULL AND ?1 = 0 AND ?2 >= 0 ORDER BY id DESC LIMIT ?3";
static const char pick_of_other_model[] =
    "SELECT id, document, start_byte, end_byte, heading, hash FROM chunk "
    "WHERE model IN (SELECT id FROM model WHERE id <> ?2) AND ?1 = 0 LIMIT ?3";

static satchel_status pick_chunks(work *w, sat_connection *reader, const char *sql, int64_t model,
                                  size_t limit, satchel_error *error) {
    sat_memory *memory = w->store->memory;
    bool ok = true;
    sat_query query;
    sat_query_begin(&query, reader, sql);
    sat_bind_int(&query, 1, w->slice->document);
    sat_bind_int(&query, 2, model);
    sat_bind_int(&query, 3, (int64_t)(limit - w->count));
    while (ok && sat_query_row(&query)) {
        ok = sat_grow(memory, (void **)&w->picks, &w->capacity, w->count + 1, sizeof *w->picks);
        if (!ok)
            break;
        pick *p = &w->picks[w->count++];
        *p = (pick){.chunk = sat_column_int(&query, 0),
                    .document = sat_column_int(&query, 1),
                    .start = sat_column_int(&query, 2),
                    .end = sat_column_int(&query, 3),
                    .heading = sat_column_copy(&query, 4, &w->arena),
                    .hash = sat_column_digest(&query, 5)};
        ok = p->heading != NULL;
    }
    satchel_status status = sat_query_end(&query, error);
    return status || ok ? status : sat_memory_fail(memory, w->capacity * sizeof *w->picks, error);
}

static satchel_status has_vector(sat_connection *reader, int64_t model, const sat_digest *hash,
                                 bool *found, satchel_error *error) {
    sat_query query;
    sat_query_begin(&query, reader, "SELECT 1 FROM vector WHERE model = ?1 AND hash = ?2");
    sat_bind_int(&query, 1, model);
    sat_bind_blob(&query, 2, hash->bytes, sizeof hash->bytes);
    *found = sat_query_row(&query);
    return sat_query_end(&query, error);
}

/* The row of an equal chunk before this one, or a new one. */
static bool share_row(work *w, size_t at) {
    for (size_t i = 0; i < at; i++) {
        if (!w->picks[i].stored &&
            memcmp(&w->picks[i].hash, &w->picks[at].hash, sizeof(sat_digest)) == 0) {
            w->picks[at].row = w->picks[i].row;
            return true;
        }
    }
    w->picks[at].row = w->rows++;
    return false;
}

/* The texts of the picked chunks; ends early, with fewer picks, once they are long. */
static satchel_status read_texts(work *w, sat_connection *reader, int64_t model,
                                 satchel_error *error) {
    sat_memory *memory = w->store->memory;
    sat_buffer body;
    sat_buffer_init(&body, memory);
    satchel_status status = SATCHEL_OK;
    for (size_t i = 0; i < w->count && !status; i++) {
        pick *p = &w->picks[i];
        if (w->texts.length > SLICE_BYTES) {
            w->count = i;
            w->slice->finished = false;
            break;
        }
        status = has_vector(reader, model, &p->hash, &p->stored, error);
        if (status || p->stored || share_row(w, i))
            continue;
        sat_buffer_clear(&body);
        status = sat_text_read(reader, p->document, p->start, p->end, &body, error);
        p->text_start = w->texts.length;
        if (!status && !sat_chunk_embed_text(&w->texts, p->heading, body.data, body.length))
            status = sat_memory_fail(memory, body.length, error);
        p->text_end = w->texts.length;
    }
    sat_buffer_free(&body);
    return status;
}

static satchel_status choose(work *w, satchel_error *error) {
    size_t limit = w->slice->limit ? w->slice->limit : SLICE_CHUNKS;
    int64_t model = 0;
    sat_connection *reader;
    satchel_status status = sat_reader_begin(w->store, w->cancel, &reader, error);
    if (status)
        return status;
    status = sat_model_id(reader, false, &model, error);
    if (!status && w->slice->document) {
        status = pick_chunks(w, reader, pick_of_document, model, limit, error);
    } else if (!status) {
        status = pick_chunks(w, reader, pick_new, model, limit, error);
        if (!status && w->count < limit)
            status = pick_chunks(w, reader, pick_of_other_model, model, limit, error);
    }
    w->slice->finished = w->count < limit;
    if (!status)
        status = read_texts(w, reader, model, error);
    sat_reader_end(reader);
    return status;
}

/* ------------------------------------------------------------------ embedding */

/* The embedder promises unit vectors; what is a little off is put right. */
static satchel_status check_vectors(const work *w, size_t dimension, satchel_error *error) {
    const sat_vector_kernels *kernels = w->store->context->vector;
    for (size_t i = 0; i < w->rows; i++) {
        float *vector = w->vectors + i * dimension;
        float square = kernels->dot(vector, vector, dimension);
        if (fabsf(square - 1) <= 1e-4f)
            continue;
        if (!sat_vector_normalize(kernels, vector, dimension))
            return sat_fail(error, SATCHEL_CALLBACK,
                            "the embedder '%s' gave a vector of length 0 or not of numbers",
                            w->store->model_name);
    }
    return SATCHEL_OK;
}

static satchel_status run_embedder(work *w, const satchel_text *texts, satchel_error *error) {
    const satchel_embedder *embedder = w->store->embedder;
    size_t dimension = (size_t)embedder->dimension;
    satchel_status status = embedder->embed(embedder->user, SATCHEL_ROLE_DOCUMENT, texts, w->rows,
                                            w->vectors, w->cancel);
    if (status == SATCHEL_CANCELLED)
        return sat_fail(error, status, "cancelled while embedding");
    if (status)
        return sat_fail(error, status < 0 ? status : SATCHEL_CALLBACK,
                        "the embedder '%s' failed with %s; the documents stay, found by keyword",
                        w->store->model_name, sat_status_name(status));
    return check_vectors(w, dimension, error);
}

static satchel_status embed(work *w, satchel_error *error) {
    sat_memory *memory = w->store->memory;
    size_t bytes = w->rows * (size_t)w->store->embedder->dimension * sizeof(float);
    satchel_text *texts = sat_calloc(memory, w->rows, sizeof *texts);
    w->vectors = sat_alloc_aligned(memory, bytes);
    satchel_status status = SATCHEL_OK;
    if (!texts || !w->vectors)
        status = sat_memory_fail(memory, bytes, error);
    for (size_t i = 0; i < w->count && !status; i++) {
        const pick *p = &w->picks[i];
        if (p->text_end > p->text_start)
            texts[p->row] =
                (satchel_text){w->texts.data + p->text_start, p->text_end - p->text_start};
    }
    if (!status)
        status = run_embedder(w, texts, error);
    sat_free(memory, texts);
    return status;
}

/* ------------------------------------------------------------------ committing */

static void encode_floats(float *data, size_t count) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, data + i, 4);
        bits = __builtin_bswap32(bits);
        memcpy(data + i, &bits, 4);
    }
#else
    (void)data;
    (void)count;
#endif
}

/* Whether the chunk is still there, with this text and without a vector. */
static satchel_status is_pending(sat_connection *writer, const pick *p, int64_t model,
                                 bool *pending, int64_t *old_vector, satchel_error *error) {
    sat_query query;
    *pending = false;
    *old_vector = 0;
    sat_query_begin(&query, writer, "SELECT hash, vector, model FROM chunk WHERE id = ?1");
    sat_bind_int(&query, 1, p->chunk);
    if (sat_query_row(&query)) {
        sat_digest hash = sat_column_digest(&query, 0);
        *old_vector = sat_column_int(&query, 1);
        *pending = memcmp(&hash, &p->hash, sizeof hash) == 0 &&
                   (sat_column_is_null(&query, 2) || sat_column_int(&query, 2) != model);
    }
    return sat_query_end(&query, error);
}

/* The row of the vector for this text: the one in the store, or a new one. 0: there was one when
 * the slice was picked and it is gone; the chunk stays pending. */
static satchel_status store_vector(work *w, sat_connection *writer, const pick *p, int64_t model,
                                   int64_t *vector, satchel_error *error) {
    size_t dimension = (size_t)w->store->embedder->dimension;
    sat_query query;
    *vector = 0;
    sat_query_begin(&query, writer, "SELECT id FROM vector WHERE model = ?1 AND hash = ?2");
    sat_bind_int(&query, 1, model);
    sat_bind_blob(&query, 2, p->hash.bytes, sizeof p->hash.bytes);
    if (sat_query_row(&query))
        *vector = sat_column_int(&query, 0);
    satchel_status status = sat_query_end(&query, error);
    if (status || *vector || p->stored)
        return status;
    sat_query_begin(&query, writer, "INSERT INTO vector(model, hash, data) VALUES(?1, ?2, ?3)");
    sat_bind_int(&query, 1, model);
    sat_bind_blob(&query, 2, p->hash.bytes, sizeof p->hash.bytes);
    sat_bind_blob(&query, 3, w->vectors + p->row * dimension, dimension * sizeof(float));
    status = sat_query_run(&query, error);
    *vector = sqlite3_last_insert_rowid(writer->db);
    return status;
}

static satchel_status link_vector(sat_connection *writer, const pick *p, int64_t model,
                                  int64_t vector, int64_t old_vector, satchel_error *error) {
    int64_t seq;
    sat_query query;
    satchel_status status = sat_state_next_seq(writer, &seq, error);
    if (status)
        return status;
    sat_query_begin(&query, writer,
                    "UPDATE chunk SET model = ?2, vector = ?3, seq = ?4 WHERE id = ?1");
    sat_bind_int(&query, 1, p->chunk);
    sat_bind_int(&query, 2, model);
    sat_bind_int(&query, 3, vector);
    sat_bind_int(&query, 4, seq);
    status = sat_query_run(&query, error);
    if (!status && old_vector) {
        sat_query_begin(&query, writer,
                        "DELETE FROM vector WHERE id = ?1 AND NOT EXISTS "
                        "(SELECT 1 FROM chunk WHERE vector = ?1)");
        sat_bind_int(&query, 1, old_vector);
        status = sat_query_run(&query, error);
    }
    return status;
}

static satchel_status save(work *w, sat_connection *writer, const sat_lease *lease,
                           satchel_error *error) {
    int64_t model = 0;
    bool erased = false;
    satchel_status status = lease ? sat_lease_renew(lease, writer, error) : SATCHEL_OK;
    if (!status)
        status = sat_model_id(writer, true, &model, error);
    for (size_t i = 0; i < w->count && !status; i++) {
        const pick *p = &w->picks[i];
        bool pending;
        int64_t vector = 0, old_vector;
        status = is_pending(writer, p, model, &pending, &old_vector, error);
        if (!status && pending)
            status = store_vector(w, writer, p, model, &vector, error);
        if (status || !vector)
            continue;
        status = link_vector(writer, p, model, vector, old_vector, error);
        erased |= old_vector != 0;
        w->slice->embedded++;
        w->slice->reused += p->stored;
    }
    return status ? status : sat_state_raise(writer, erased, error);
}

satchel_status sat_embed_some(sat_store *store, sat_embed_slice *slice, const sat_lease *lease,
                              const satchel_cancel *cancel, satchel_error *error) {
    work w = {.store = store, .slice = slice, .cancel = cancel};
    sat_arena_init(&w.arena, store->memory);
    sat_buffer_init(&w.texts, store->memory);
    slice->embedded = slice->reused = slice->embed_ms = slice->write_ms = 0;
    slice->finished = false;
    satchel_status status = choose(&w, error);
    if (!status && w.rows > 0) {
        int64_t start = sat_clock_ms();
        status = embed(&w, error);
        slice->embed_ms = sat_clock_ms() - start;
        if (!status)
            encode_floats(w.vectors, w.rows * (size_t)store->embedder->dimension);
    }
    if (!status && w.count > 0) {
        int64_t start = sat_clock_ms();
        sat_connection *writer;
        status = sat_writer_begin(store, cancel, &writer, error);
        if (!status)
            status = sat_writer_end(writer, save(&w, writer, lease, error), error);
        slice->write_ms = sat_clock_ms() - start;
    }
    if (status)
        slice->embedded = slice->reused = 0;
    sat_free_aligned(store->memory, w.vectors);
    sat_free(store->memory, w.picks);
    sat_buffer_free(&w.texts);
    sat_arena_free(&w.arena);
    return status;
}

satchel_status sat_embed_pending(sat_store *store, int64_t *pending, satchel_error *error) {
    satchel_store_stats stats;
    satchel_status status = sat_store_stats(store, &stats, error);
    *pending = status ? 0 : stats.chunks_pending;
    return status;
}
