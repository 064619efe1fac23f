/* The collection in memory: loading, and keeping it in line with the store. */
#include "retrieval/collection.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Snapshots tried before a search keeps all others out while it runs. */
#define MAX_TRIES 8

satchel_status sat_collection_open(sat_collection **out, sat_store *store, satchel_error *error) {
    *out = NULL;
    sat_collection *collection = sat_calloc(store->memory, 1, sizeof *collection);
    if (!collection)
        return sat_memory_fail(store->memory, sizeof *collection, error);
    int failed = pthread_rwlock_init(&collection->lock, NULL);
    if (failed) {
        sat_free(store->memory, collection);
        return sat_fail_errno(error, failed, "cannot make a lock");
    }
    collection->store = store;
    collection->change = collection->erased = -1;
    if (store->embedder) {
        satchel_status status = sat_vindex_open(&collection->vectors, store->context,
                                                (size_t)store->embedder->dimension, error);
        if (status) {
            sat_collection_close(&collection);
            return status;
        }
    }
    *out = collection;
    return SATCHEL_OK;
}

void sat_collection_close(sat_collection **handle) {
    sat_collection *collection = *handle;
    if (!collection)
        return;
    *handle = NULL;
    sat_memory *memory = collection->store->memory;
    sat_vindex_close(&collection->vectors);
    sat_generation_release(collection->generation);
    sat_free(memory, collection->dead);
    sat_free(memory, atomic_load(&collection->spare));
    sat_free(memory, collection->chunk);
    sat_free(memory, collection->document);
    sat_free(memory, collection->length);
    sat_free(memory, collection->joined);
    sat_free(memory, collection->vector);
    sat_free(memory, collection->ids);
    pthread_rwlock_destroy(&collection->lock);
    sat_free(memory, collection);
}

size_t sat_collection_row(const sat_collection *collection, int64_t chunk, size_t *hint) {
    size_t low = *hint, high = collection->count;
    const sat_collection_id *ids = collection->ids;
    /* Mostly it is the next one: look there before halving the rest. */
    size_t step = 1;
    while (low + step < high && ids[low + step - 1].chunk < chunk) {
        low += step;
        step *= 2;
    }
    if (low + step < high)
        high = low + step;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ids[middle].chunk < chunk)
            low = middle + 1;
        else
            high = middle;
    }
    *hint = low;
    return low < collection->count && ids[low].chunk == chunk ? ids[low].row : SIZE_MAX;
}

/* ------------------------------------------------------------------ rows */

static bool grow_rows(sat_collection *collection, size_t need) {
    sat_memory *memory = collection->store->memory;
    struct {
        void **items;
        size_t size;
    } arrays[] = {{(void **)&collection->chunk, sizeof(int64_t)},
                  {(void **)&collection->document, sizeof(int64_t)},
                  {(void **)&collection->length, sizeof(float)},
                  {(void **)&collection->joined, 1},
                  {(void **)&collection->vector, sizeof(uint32_t)},
                  {(void **)&collection->ids, sizeof(sat_collection_id)}};
    if (need <= collection->capacity)
        return true;
    size_t capacity = collection->capacity;
    for (size_t i = 0; i < SAT_COUNT(arrays); i++) {
        capacity = collection->capacity; /* the same for all, so that they grow alike */
        if (!sat_grow(memory, arrays[i].items, &capacity, need, arrays[i].size))
            return false;
    }
    collection->capacity = capacity;
    return true;
}

static int compare_ids(const void *a, const void *b) {
    const sat_collection_id *left = a, *right = b;
    return (left->chunk > right->chunk) - (left->chunk < right->chunk);
}

/* Appends the chunks of all documents after the last one here. */
static satchel_status load_rows(sat_collection *collection, sat_connection *reader,
                                satchel_error *error) {
    sat_query query;
    size_t before = collection->count;
    int64_t last = before ? collection->document[before - 1] : 0, damaged = 0;
    bool ok = true, sorted = true;
    sat_query_begin(&query, reader,
                    "SELECT c.document, c.id, s.sz FROM chunk c LEFT JOIN chunk_fts_docsize s "
                    "ON s.id = c.id WHERE c.document > ?1 ORDER BY c.document, c.ordinal");
    sat_bind_int(&query, 1, last);
    while (ok && !damaged && sat_query_row(&query)) {
        size_t at = collection->count, size;
        if (at >= UINT32_MAX - 1 || !grow_rows(collection, at + 1)) {
            ok = false;
            break;
        }
        const void *sizes = sat_column_blob(&query, 2, &size);
        collection->document[at] = sat_column_int(&query, 0);
        collection->chunk[at] = sat_column_int(&query, 1);
        collection->length[at] = sat_fts_length(sizes, size);
        collection->joined[at] = at > 0 && collection->document[at] == collection->document[at - 1];
        collection->vector[at] = SAT_NO_VECTOR;
        collection->ids[at] = (sat_collection_id){collection->chunk[at], (uint32_t)at};
        if (at > 0 && collection->ids[at].chunk < collection->ids[at - 1].chunk)
            sorted = false;
        if (size == 0 || !(collection->length[at] >= 0))
            damaged = collection->chunk[at];
        collection->count++;
    }
    satchel_status status = sat_query_end(&query, error);
    if (!status && !ok)
        status = sat_memory_fail(collection->store->memory, collection->capacity * 64, error);
    if (!status && damaged)
        status = sat_fail(error, SATCHEL_DAMAGED,
                          "store '%s': the keywords of chunk %" PRId64 " are missing; run verify",
                          collection->store->path, damaged);
    if (!status && !sorted)
        qsort(collection->ids, collection->count, sizeof *collection->ids, compare_ids);
    return status;
}

/* ------------------------------------------------------------------ in line with the store */

/* Under the exclusive lock. */
static satchel_status refresh(sat_collection *collection, sat_connection *reader,
                              const sat_state *state, satchel_error *error) {
    bool erased = collection->erased != state->erased;
    /* Until it is done it shows no state: a failure in the midst must not pass for one. */
    collection->change = collection->erased = -1;
    if (erased)
        collection->count = 0;
    satchel_status status = load_rows(collection, reader, error);
    if (!status && collection->vectors)
        status = sat_collection_refresh_vectors(collection, reader, state, erased, error);
    if (status == SATCHEL_NOT_FOUND) /* an index that another one has replaced: look again */
        return sat_reader_renew(reader, error);
    if (status)
        return status;
    collection->change = state->change;
    collection->erased = state->erased;
    return SATCHEL_OK;
}

satchel_status sat_collection_begin(sat_collection *collection, sat_connection *reader,
                                    satchel_error *error) {
    sat_state state;
    satchel_status status;
    for (int tries = 0; tries < MAX_TRIES; tries++) {
        status = sat_state_read(reader, &state, error);
        if (status)
            return status;
        pthread_rwlock_rdlock(&collection->lock);
        if (collection->change == state.change)
            return SATCHEL_OK;
        pthread_rwlock_unlock(&collection->lock);
        pthread_rwlock_wrlock(&collection->lock);
        if (collection->change < state.change)
            status = refresh(collection, reader, &state, error);
        else if (collection->change > state.change) /* another search saw a later commit */
            status = sat_reader_renew(reader, error);
        pthread_rwlock_unlock(&collection->lock);
        if (status)
            return status;
    }
    /* Commits come faster than that: this search runs alone. */
    pthread_rwlock_wrlock(&collection->lock);
    state.change = -2;
    status = sat_reader_renew(reader, error);
    while (!status && collection->change != state.change) {
        status = sat_state_read(reader, &state, error);
        if (!status && collection->change != state.change)
            status = refresh(collection, reader, &state, error);
    }
    if (status)
        pthread_rwlock_unlock(&collection->lock);
    return status;
}

void sat_collection_end(sat_collection *collection) {
    pthread_rwlock_unlock(&collection->lock);
}

void sat_collection_forget(sat_collection *collection) {
    pthread_rwlock_wrlock(&collection->lock);
    collection->change = -1;
    pthread_rwlock_unlock(&collection->lock);
}

sat_scratch *sat_collection_scratch(sat_collection *collection, size_t count) {
    sat_memory *memory = collection->store->memory;
    sat_scratch *scratch = atomic_exchange(&collection->spare, NULL);
    size_t bytes;
    if (scratch && scratch->count >= count)
        return scratch;
    sat_free(memory, scratch);
    if (!sat_mul_size(count, sizeof *scratch->values, &bytes) ||
        !sat_add_size(bytes, sizeof *scratch, &bytes))
        return NULL;
    scratch = sat_alloc(memory, bytes);
    if (scratch)
        scratch->count = count;
    return scratch;
}

void sat_collection_give_scratch(sat_collection *collection, sat_scratch *scratch) {
    if (scratch)
        sat_free(collection->store->memory, atomic_exchange(&collection->spare, scratch));
}
