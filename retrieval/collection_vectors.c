/* The collection's vectors: which index generation serves, which of its rows still live, and what
 * has to be held in memory beside it. */
#include <inttypes.h>

#include "retrieval/collection.h"
#include "retrieval/index.h"

/* Vectors read from the store before they are handed to the index. */
#define LOAD_ROWS ((size_t)128)

/* ------------------------------------------------------------------ the generation */

static void drop_generation(sat_collection *collection) {
    sat_generation_release(collection->generation);
    sat_free(collection->store->memory, collection->dead);
    collection->generation = NULL;
    collection->dead = NULL;
    collection->dead_count = 0;
    /* What lay beside it is not all, and begins elsewhere. */
    sat_vindex_clear(collection->vectors);
}

static satchel_status take_generation(sat_collection *collection, sat_generation *generation,
                                      satchel_error *error) {
    drop_generation(collection);
    collection->dead = sat_calloc(collection->store->memory, generation->info.rows, 1);
    if (!collection->dead) {
        sat_generation_release(generation);
        return sat_memory_fail(collection->store->memory, generation->info.rows, error);
    }
    collection->generation = generation;
    return SATCHEL_OK;
}

/* The generation that the snapshot names, if it can be used; else none. */
static satchel_status choose_generation(sat_collection *collection, sat_connection *reader,
                                        bool *fresh, satchel_error *error) {
    sat_index_row row = {0};
    sat_generation *generation = NULL;
    satchel_status status = SATCHEL_OK;
    satchel_error failure = {0};
    *fresh = false;
    if (collection->model && sat_ivf_usable(collection->store->context))
        status = sat_index_read(reader, &row, error);
    if (status)
        return status;
    if (row.hash)
        status = sat_index_get(collection->store->index, &row, &generation, &failure);
    if (status == SATCHEL_NOT_FOUND && collection->missed != row.number) {
        collection->missed = row.number;
        return status;
    }
    if (status == SATCHEL_OUT_OF_MEMORY || status == SATCHEL_MEMORY_LIMIT) {
        sat_error_copy(error, &failure);
        return status;
    }
    /* Without it search is exact, from the store alone. */
    if (status)
        sat_log(collection->store->context, SATCHEL_LOG_WARNING, true, "%s", failure.message);
    if (generation == collection->generation) {
        sat_generation_release(generation);
        return SATCHEL_OK;
    }
    if (!generation) {
        drop_generation(collection);
        return SATCHEL_OK;
    }
    *fresh = true;
    return take_generation(collection, generation, error);
}

/* ------------------------------------------------------------------ the dead */

static size_t place_count(const sat_collection *collection) {
    return sat_collection_indexed(collection) + sat_vindex_count(collection->vectors);
}

static int64_t place_seq(const sat_collection *collection, size_t place) {
    size_t indexed = sat_collection_indexed(collection);
    return place < indexed ? collection->generation->keys[place].seq
                           : sat_vindex_key(collection->vectors, place - indexed).seq;
}

static void kill_place(sat_collection *collection, size_t place) {
    size_t indexed = sat_collection_indexed(collection);
    if (place >= indexed) {
        sat_vindex_kill(collection->vectors, place - indexed);
    } else if (!collection->dead[place]) {
        collection->dead[place] = 1;
        collection->dead_count++;
    }
}

/* Kills places whose chunk is gone or has another vector. Places and chunks both come by seq, which
 * is never given twice, so one walk beside the index of the store does. */
static satchel_status drop_vectors(sat_collection *collection, sat_connection *reader,
                                   satchel_error *error) {
    size_t place = 0, count = place_count(collection);
    if (count == 0)
        return SATCHEL_OK;
    sat_query query;
    sat_query_begin(&query, reader,
                    "SELECT seq FROM chunk WHERE model = ?1 AND seq IS NOT NULL AND seq <= ?2 "
                    "ORDER BY seq");
    sat_bind_int(&query, 1, collection->model);
    sat_bind_int(&query, 2, place_seq(collection, count - 1));
    while (sat_query_row(&query)) {
        int64_t seq = sat_column_int(&query, 0);
        while (place < count && place_seq(collection, place) < seq)
            kill_place(collection, place++);
        if (place < count && place_seq(collection, place) == seq)
            place++;
    }
    satchel_status status = sat_query_end(&query, error);
    if (status)
        return status;
    while (place < count)
        kill_place(collection, place++);
    if (sat_vindex_dead(collection->vectors) > sat_vindex_count(collection->vectors) / 4)
        status = sat_vindex_squeeze(collection->vectors, error);
    return status;
}

/* ------------------------------------------------------------------ the new */

/* The highest seq that is here: all that the store has above it is new. */
static int64_t last_seq(const sat_collection *collection) {
    size_t count = sat_vindex_count(collection->vectors);
    if (count > 0)
        return sat_vindex_key(collection->vectors, count - 1).seq;
    return collection->generation ? collection->generation->info.seq : 0;
}

/* Fails before the work if the memory limit cannot hold what is to come. */
static satchel_status check_memory(const sat_collection *collection, sat_connection *reader,
                                   int64_t after, satchel_error *error) {
    sat_memory *memory = collection->store->memory;
    if (memory->limit == 0)
        return SATCHEL_OK;
    int64_t rows = 0;
    sat_query query;
    sat_query_begin(&query, reader, "SELECT count(*) FROM chunk WHERE model = ?1 AND seq > ?2");
    sat_bind_int(&query, 1, collection->model);
    sat_bind_int(&query, 2, after);
    if (sat_query_row(&query))
        rows = sat_column_int(&query, 0);
    satchel_status status = sat_query_end(&query, error);
    uint64_t row_bytes =
        (uint64_t)collection->store->embedder->dimension * sizeof(float) + sizeof(sat_vector_key);
    uint64_t need = (uint64_t)rows * row_bytes;
    if (!status && need > memory->limit - atomic_load(&memory->now))
        status = sat_memory_fail(memory, need, error);
    return status;
}

static satchel_status read_vectors(sat_collection *collection, sat_connection *reader, float *block,
                                   sat_vector_key *keys, int64_t after, satchel_error *error) {
    size_t dimension = (size_t)collection->store->embedder->dimension, filled = 0;
    satchel_status status = SATCHEL_OK;
    sat_query query;
    sat_query_begin(&query, reader,
                    "SELECT c.id, c.seq, v.data FROM chunk c JOIN vector v ON v.id = c.vector "
                    "WHERE c.model = ?1 AND c.seq > ?2 ORDER BY c.seq");
    sat_bind_int(&query, 1, collection->model);
    sat_bind_int(&query, 2, after);
    while (!status && sat_query_row(&query)) {
        if (!sat_column_floats(&query, 2, block + filled * dimension, dimension)) {
            status = sat_fail(error, SATCHEL_DAMAGED,
                              "store '%s': the vector of chunk %" PRId64
                              " has not %zu dimensions; run verify",
                              collection->store->path, sat_column_int(&query, 0), dimension);
            break;
        }
        keys[filled++] = (sat_vector_key){sat_column_int(&query, 0), sat_column_int(&query, 1)};
        if (filled == LOAD_ROWS) {
            status = sat_vindex_add(collection->vectors, block, keys, filled, error);
            filled = 0;
        }
    }
    satchel_status ended = sat_query_end(&query, status ? NULL : error);
    if (!status)
        status = ended;
    if (!status && filled > 0)
        status = sat_vindex_add(collection->vectors, block, keys, filled, error);
    return status;
}

/* Appends the vectors that came after the last one here. */
static satchel_status load_vectors(sat_collection *collection, sat_connection *reader,
                                   satchel_error *error) {
    sat_memory *memory = collection->store->memory;
    int64_t after = last_seq(collection);
    satchel_status status = check_memory(collection, reader, after, error);
    if (status)
        return status;
    size_t bytes = LOAD_ROWS * (size_t)collection->store->embedder->dimension * sizeof(float);
    float *block = sat_alloc(memory, bytes);
    sat_vector_key *keys = sat_alloc_array(memory, LOAD_ROWS, sizeof *keys);
    if (!block || !keys)
        status = sat_memory_fail(memory, bytes, error);
    else
        status = read_vectors(collection, reader, block, keys, after, error);
    sat_free(memory, block);
    sat_free(memory, keys);
    return status;
}

/* ------------------------------------------------------------------ which row has which */

static void map_vectors(sat_collection *collection) {
    size_t indexed = sat_collection_indexed(collection), count = place_count(collection), hint = 0;
    int64_t before = 0;
    for (size_t i = 0; i < collection->count; i++)
        collection->vector[i] = SAT_NO_VECTOR;
    collection->embedded = 0;
    for (size_t place = 0; place < count; place++) {
        int64_t chunk = 0;
        if (place >= indexed)
            chunk = sat_vindex_key(collection->vectors, place - indexed).chunk;
        else if (!collection->dead[place])
            chunk = collection->generation->keys[place].chunk;
        if (chunk <= before)
            hint = 0; /* not ascending here: search them all */
        before = chunk;
        size_t row = chunk ? sat_collection_row(collection, chunk, &hint) : SIZE_MAX;
        if (row != SIZE_MAX) {
            collection->vector[row] = (uint32_t)place;
            collection->embedded++;
        }
    }
}

satchel_status sat_collection_refresh_vectors(sat_collection *collection, sat_connection *reader,
                                              const sat_state *state, bool erased,
                                              satchel_error *error) {
    int64_t model = 0;
    bool fresh = false;
    satchel_status status = sat_model_id(reader, false, &model, error);
    if (status)
        return status;
    if (model != collection->model) {
        drop_generation(collection);
        collection->model = model;
    }
    status = choose_generation(collection, reader, &fresh, error);
    if (status || !model) {
        if (!status)
            map_vectors(collection);
        return status;
    }
    /* A generation newly taken may hold what went since it was begun. */
    if (fresh)
        erased = collection->generation->info.erased != state->erased;
    if (erased)
        status = drop_vectors(collection, reader, error);
    if (!status)
        status = load_vectors(collection, reader, error);
    if (!status)
        map_vectors(collection);
    return status;
}
