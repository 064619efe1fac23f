/*
 * A generation in the making, in steps that can be spread over many calls. No lock and no snapshot
 * is held between steps, nor while rows are clustered: what goes from the store meanwhile is in the
 * lists as a row of zeros that nobody finds, because it is not in the store.
 *
 *   gather   reads a sample of the vectors, evenly spread
 *   cluster  k-means of the sample: the centroids
 *   label    reads all vectors, block by block: their lists
 *   open     the file: keys, labels, sample, centroids; every list's place in it is known
 *   encode   reads all vectors again: FAISS makes codes, each goes to its place
 *   seal     reads the lists back for their hashes; table, header, and all of it to the disk
 *
 * Memory: the sample, 28 bytes a row, and a few blocks of rows. Not the lists.
 */
#include <math.h>
#include <string.h>

#include "cluster/cluster.h"
#include "retrieval/generation_write.h"
#include "retrieval/index.h"

/* Rows of the sample per list, and iterations: with twice as many of either, recall is the same
 * within a tenth of a percent. */
#define SAMPLE_PER_LIST 32
#define LEAST_PER_LIST 8
#define ITERATIONS 8
/* Iterations in one step of a build in slices: each call makes one pass more, for labels. */
#define STEP_ITERATIONS 2
/* Rows whose cosines tell how those of all lie. */
#define SCALE_ROWS 4096
/* Rows that tell the ranges of coordinates. */
#define RANGE_ROWS ((size_t)10000)
#define BLOCK_BYTES ((size_t)32 << 20)
#define SEED 1

enum stage { GATHER, CLUSTER, LABEL, OPEN, ENCODE, SEAL, DONE };

struct sat_index_build {
    sat_index *index;
    sat_store *store;
    sat_index_row before, made;
    enum stage stage;
    sat_generation_info info;
    sat_generation_key *keys; /* (rows) */
    int32_t *labels;          /* (rows) */
    size_t next;              /* row, sample row or list that a stage goes on with */

    float *sample; /* (sample_filled, dimension) of room for sample_room rows */
    size_t sample_room, sample_filled;
    float *centroids; /* (lists, dimension) */
    int iterations;   /* done */

    int64_t *scale_rows; /* (info.sample_count), room for SCALE_ROWS */
    float *scale;        /* (info.sample_count, dimension) */

    sat_ivf *ivf;
    sat_generation_writer file;

    float *block; /* (block_rows, dimension) */
    uint8_t *missing;
    int64_t *numbers;
    size_t block_rows;
};

const sat_index_row *sat_index_build_before(const sat_index_build *build) {
    return &build->before;
}

const sat_index_row *sat_index_build_made(const sat_index_build *build) {
    return &build->made;
}

const char *sat_index_build_file(const sat_index_build *build) {
    return build->file.path.data;
}

static void drop_block(sat_index_build *b) {
    sat_memory *memory = b->store->memory;
    sat_free_aligned(memory, b->block);
    sat_free(memory, b->missing);
    sat_free(memory, b->numbers);
    b->block = NULL;
    b->missing = NULL;
    b->numbers = NULL;
}

void sat_index_build_close(sat_index_build **handle) {
    sat_index_build *b = *handle;
    if (!b)
        return;
    *handle = NULL;
    sat_memory *memory = b->store->memory;
    sat_generation_writer_close(&b->file);
    drop_block(b);
    sat_free(memory, b->keys);
    sat_free(memory, b->labels);
    sat_free_aligned(memory, b->sample);
    sat_free_aligned(memory, b->centroids);
    sat_free(memory, b->scale_rows);
    sat_free_aligned(memory, b->scale);
    sat_ivf_close(&b->ivf);
    sat_free(memory, b);
}

/* ------------------------------------------------------------------ beginning */

static satchel_status read_keys(sat_index_build *b, sat_connection *reader, int64_t model,
                                satchel_error *error) {
    sat_memory *memory = b->store->memory;
    size_t capacity = 0;
    bool ok = true;
    sat_query query;
    sat_query_begin(&query, reader,
                    "SELECT id, seq, vector FROM chunk WHERE model = ?1 AND seq > 0 ORDER BY seq");
    sat_bind_int(&query, 1, model);
    while (ok && sat_query_row(&query)) {
        size_t at = b->info.rows;
        ok = at < INT32_MAX &&
             sat_grow(memory, (void **)&b->keys, &capacity, at + 1, sizeof *b->keys);
        if (!ok)
            break;
        b->keys[at] = (sat_generation_key){sat_column_int(&query, 0), sat_column_int(&query, 1),
                                           sat_column_int(&query, 2)};
        b->info.seq = b->keys[at].seq;
        b->info.rows++;
    }
    satchel_status status = sat_query_end(&query, error);
    if (!status && !ok)
        status = sat_memory_fail(memory, capacity * sizeof *b->keys, error);
    return status;
}

static satchel_status read_snapshot(sat_index_build *b, const satchel_cancel *cancel,
                                    satchel_error *error) {
    sat_connection *reader;
    sat_state state;
    int64_t model = 0;
    satchel_status status = sat_reader_begin(b->store, cancel, &reader, error);
    if (status)
        return status;
    status = sat_state_read(reader, &state, error);
    if (!status)
        status = sat_model_id(reader, false, &model, error);
    if (!status) {
        b->info.change = state.change;
        b->info.erased = state.erased;
        status = read_keys(b, reader, model, error);
    }
    sat_reader_end(reader);
    return status;
}

static size_t choose_lists(const sat_index_build *b) {
    size_t lists = (size_t)b->index->setup.lists;
    if (b->index->setup.lists <= 0)
        lists = (size_t)llround(4 * sqrt((double)b->info.rows));
    return lists < b->info.rows ? lists : b->info.rows;
}

/* As large a sample as memory allows. */
static satchel_status make_room(sat_index_build *b, satchel_error *error) {
    sat_memory *memory = b->store->memory;
    size_t row = b->info.dimension * sizeof(float), lists = b->info.lists, bytes = SIZE_MAX;
    for (size_t share = SAMPLE_PER_LIST; share >= LEAST_PER_LIST && !b->sample; share /= 2) {
        b->sample_room = lists < b->info.rows / share ? lists * share : b->info.rows;
        if (sat_mul_size(b->sample_room, row, &bytes))
            b->sample = sat_alloc_aligned(memory, bytes);
    }
    if (!b->sample)
        return sat_memory_fail(memory, bytes, error);
    b->centroids = sat_alloc_aligned(memory, lists * row);
    b->labels = sat_alloc_array(memory, b->info.rows, sizeof *b->labels);
    b->scale_rows = sat_alloc_array(memory, SCALE_ROWS, sizeof *b->scale_rows);
    b->scale = sat_alloc_aligned(memory, SCALE_ROWS * row);
    if (!b->centroids || !b->labels || !b->scale_rows || !b->scale)
        return sat_memory_fail(memory, lists * row, error);
    return sat_generation_writer_open(&b->file, b->store->context, &b->info, error);
}

satchel_status sat_index_build_begin(sat_index_build **out, sat_index *index,
                                     const sat_index_row *before, const satchel_cancel *cancel,
                                     satchel_error *error) {
    sat_store *store = index->store;
    *out = NULL;
    sat_index_build *b = sat_calloc(store->memory, 1, sizeof *b);
    if (!b)
        return sat_memory_fail(store->memory, sizeof *b, error);
    b->index = index;
    b->store = store;
    b->before = *before;
    b->info.number = before->number + 1;
    b->info.dimension = (size_t)store->embedder->dimension;
    b->info.fingerprint = sat_digest_of(store->fingerprint, strlen(store->fingerprint));
    satchel_status status = read_snapshot(b, cancel, error);
    if (!status && b->info.rows == 0)
        status = sat_fail(error, SATCHEL_BUSY, "the vectors have gone meanwhile");
    if (!status) {
        b->info.lists = choose_lists(b);
        status = make_room(b, error);
    }
    if (status) {
        sat_index_build_close(&b);
        return status;
    }
    *out = b;
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ blocks of rows */

static satchel_status need_block(sat_index_build *b, satchel_error *error) {
    sat_memory *memory = b->store->memory;
    size_t row = b->info.dimension * sizeof(float), fit = BLOCK_BYTES / row;
    if (b->block)
        return SATCHEL_OK;
    b->block_rows = (size_t)b->index->setup.block_rows;
    if (b->block_rows > fit)
        b->block_rows = fit;
    b->block = sat_alloc_aligned(memory, b->block_rows * row);
    b->missing = sat_alloc(memory, b->block_rows);
    b->numbers = sat_alloc_array(memory, b->block_rows, sizeof *b->numbers);
    if (!b->block || !b->missing || !b->numbers)
        return sat_memory_fail(memory, b->block_rows * row, error);
    return SATCHEL_OK;
}

/* The vectors of rows `picks` (NULL: from row `first` on) into the block. */
static satchel_status read_rows(sat_index_build *b, size_t first, const int64_t *picks,
                                size_t count, const satchel_cancel *cancel, satchel_error *error) {
    sat_connection *reader;
    satchel_status status = sat_reader_begin(b->store, cancel, &reader, error);
    if (status)
        return status;
    status = sat_index_read_vectors(reader, b->keys + first, picks, count, b->info.dimension,
                                    b->block, b->missing, error);
    sat_reader_end(reader);
    return status;
}

/* Rows from b->next on that the next block has. */
static size_t block_count(const sat_index_build *b, size_t all) {
    size_t left = all - b->next;
    return left < b->block_rows ? left : b->block_rows;
}

/* ------------------------------------------------------------------ gather, cluster */

static satchel_status gather(sat_index_build *b, const satchel_cancel *cancel,
                             satchel_error *error) {
    size_t dimension = b->info.dimension, count = block_count(b, b->sample_room);
    for (size_t i = 0; i < count; i++)
        b->numbers[i] = (int64_t)((uint64_t)(b->next + i) * b->info.rows / b->sample_room);
    satchel_status status = read_rows(b, 0, b->numbers, count, cancel, error);
    if (status)
        return status;
    for (size_t i = 0; i < count; i++) {
        if (!b->missing[i])
            memcpy(b->sample + b->sample_filled++ * dimension, b->block + i * dimension,
                   dimension * sizeof(float));
    }
    b->next += count;
    if (b->next < b->sample_room)
        return SATCHEL_OK;
    if (b->sample_filled == 0)
        return sat_fail(error, SATCHEL_BUSY, "the vectors have gone meanwhile");
    if (b->info.lists > b->sample_filled)
        b->info.lists = b->sample_filled;
    b->stage = CLUSTER;
    return SATCHEL_OK;
}

/* The ranges of coordinates, from a part of the sample; then that is not needed any more. */
static satchel_status make_lists(sat_index_build *b, satchel_error *error) {
    size_t dimension = b->info.dimension, all = b->sample_filled;
    size_t count = all < RANGE_ROWS ? all : RANGE_ROWS;
    for (size_t i = 0; i < count; i++) /* upwards: no row is overwritten before it has moved */
        memmove(b->sample + i * dimension,
                b->sample + (size_t)((uint64_t)i * all / count) * dimension,
                dimension * sizeof(float));
    satchel_status status = sat_ivf_make(&b->ivf, b->store->context, dimension, b->info.lists,
                                         b->centroids, b->sample, count, error);
    sat_free_aligned(b->store->memory, b->sample);
    b->sample = NULL;
    return status;
}

static satchel_status cluster(sat_index_build *b, bool whole, const satchel_cancel *cancel,
                              satchel_error *error) {
    size_t bytes = b->info.lists * b->info.dimension * sizeof(float);
    const satchel_points points = {.struct_size = sizeof points,
                                   .count = b->sample_filled,
                                   .dimension = (int32_t)b->info.dimension,
                                   .rows = b->sample};
    satchel_kmeans_options options = {.struct_size = sizeof options,
                                      .iterations =
                                          whole ? ITERATIONS - b->iterations : STEP_ITERATIONS,
                                      .objective = SATCHEL_KMEANS_INNER_PRODUCT,
                                      .init = SATCHEL_INIT_RANDOM,
                                      .seed = SEED,
                                      .cancel = cancel};
    if (b->iterations > 0) {
        options.init = SATCHEL_INIT_GIVEN;
        options.initial = b->centroids;
    }
    /* A step that is cancelled must leave what the one before it made. */
    float *centroids = sat_alloc_aligned(b->store->memory, bytes);
    if (!centroids)
        return sat_memory_fail(b->store->memory, bytes, error);
    satchel_kmeans_info info = {0};
    satchel_status status = sat_kmeans(b->store->context, SAT_PRIORITY_INDEX, &points,
                                       b->info.lists, centroids, NULL, &info, &options, error);
    if (status) {
        sat_free_aligned(b->store->memory, centroids);
        return status;
    }
    sat_free_aligned(b->store->memory, b->centroids);
    b->centroids = centroids;
    b->iterations += options.iterations;
    if (b->iterations < ITERATIONS && info.stop == SATCHEL_STOP_ITERATIONS)
        return SATCHEL_OK;
    b->next = 0;
    b->stage = LABEL;
    return make_lists(b, error);
}

/* ------------------------------------------------------------------ label */

/* Keeps every so many rows' vectors, which tell the scale of a query's cosines. */
static void keep_scale(sat_index_build *b, size_t count) {
    size_t stride = b->info.rows / SCALE_ROWS + 1, dimension = b->info.dimension;
    for (size_t i = (stride - b->next % stride) % stride; i < count; i += stride) {
        if (b->missing[i] || b->info.sample_count == SCALE_ROWS)
            continue;
        size_t at = b->info.sample_count++;
        b->scale_rows[at] = (int64_t)(b->next + i);
        memcpy(b->scale + at * dimension, b->block + i * dimension, dimension * sizeof(float));
    }
}

static satchel_status label(sat_index_build *b, const satchel_cancel *cancel,
                            satchel_error *error) {
    size_t count = block_count(b, b->info.rows);
    const satchel_points points = {.struct_size = sizeof points,
                                   .count = count,
                                   .dimension = (int32_t)b->info.dimension,
                                   .rows = b->block};
    const satchel_kmeans_options options = {
        .struct_size = sizeof options, .objective = SATCHEL_KMEANS_INNER_PRODUCT, .cancel = cancel};
    satchel_status status = read_rows(b, b->next, NULL, count, cancel, error);
    if (!status)
        status = sat_kmeans_assign(b->store->context, SAT_PRIORITY_INDEX, &points, b->info.lists,
                                   b->centroids, b->labels + b->next, NULL, &options, error);
    if (status)
        return status;
    keep_scale(b, count);
    b->next += count;
    if (b->next == b->info.rows)
        b->stage = OPEN;
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ open */

static satchel_status write_sample(sat_index_build *b, satchel_error *error) {
    sat_buffer sample;
    uint64_t count = b->info.sample_count;
    sat_buffer_init(&sample, b->store->memory);
    sat_buffer_append(&sample, &count, sizeof count);
    sat_buffer_append(&sample, b->scale_rows, b->info.sample_count * sizeof *b->scale_rows);
    sat_buffer_append(&sample, b->scale,
                      b->info.sample_count * b->info.dimension * sizeof *b->scale);
    satchel_status status =
        sample.failed ? sat_memory_fail(b->store->memory, SCALE_ROWS * b->info.dimension * 4, error)
                      : sat_generation_write(&b->file, SAT_SECTION_SAMPLE, sample.data, error);
    sat_buffer_free(&sample);
    return status;
}

static satchel_status write_ranges(sat_index_build *b, satchel_error *error) {
    float *ranges = sat_alloc_array(b->store->memory, 2 * b->info.dimension, sizeof *ranges);
    if (!ranges)
        return sat_memory_fail(b->store->memory, 2 * b->info.dimension * sizeof *ranges, error);
    satchel_status status = sat_ivf_ranges(b->ivf, ranges, error);
    if (!status)
        status = sat_generation_write(&b->file, SAT_SECTION_RANGES, ranges, error);
    sat_free(b->store->memory, ranges);
    return status;
}

static satchel_status create_file(sat_index_build *b, satchel_error *error) {
    sat_buffer path;
    sat_buffer_init(&path, b->store->memory);
    satchel_status status = sat_index_path(b->store, b->info.number, &path)
                                ? sat_generation_create(&b->file, path.data, b->labels, error)
                                : sat_memory_fail(b->store->memory, 64, error);
    sat_buffer_free(&path);
    return status;
}

static satchel_status open_file(sat_index_build *b, satchel_error *error) {
    satchel_status status = create_file(b, error);
    if (!status)
        status = sat_generation_write(&b->file, SAT_SECTION_KEYS, b->keys, error);
    if (!status)
        status = sat_generation_write(&b->file, SAT_SECTION_LABELS, b->labels, error);
    if (!status)
        status = write_sample(b, error);
    if (!status)
        status = sat_generation_write(&b->file, SAT_SECTION_CENTROIDS, b->centroids, error);
    if (!status)
        status = write_ranges(b, error);
    b->next = 0;
    b->stage = ENCODE;
    return status;
}

/* ------------------------------------------------------------------ encode */

static satchel_status encode(sat_index_build *b, const satchel_cancel *cancel,
                             satchel_error *error) {
    size_t count = block_count(b, b->info.rows);
    satchel_status status = read_rows(b, b->next, NULL, count, cancel, error);
    if (!status)
        status = sat_ivf_encode(b->ivf, b->block, b->labels + b->next, (int32_t)b->next, count,
                                sat_generation_write_rows, &b->file, error);
    if (status)
        return status;
    b->next += count;
    if (b->next == b->info.rows) {
        drop_block(b);
        b->stage = SEAL;
    }
    return SATCHEL_OK;
}

static satchel_status seal(sat_index_build *b, satchel_error *error) {
    bool finished;
    satchel_status status = sat_generation_seal(&b->file, &finished, &b->made.hash, error);
    if (finished) {
        b->made.number = b->info.number;
        b->stage = DONE;
    }
    return status;
}

satchel_status sat_index_build_step(sat_index_build *b, bool whole, const satchel_cancel *cancel,
                                    bool *finished, satchel_error *error) {
    satchel_status status = sat_cancel_check(cancel, error);
    *finished = false;
    if (!status && b->stage <= ENCODE)
        status = need_block(b, error);
    if (status)
        return status;
    switch (b->stage) {
    case GATHER:
        status = gather(b, cancel, error);
        break;
    case CLUSTER:
        status = cluster(b, whole, cancel, error);
        break;
    case LABEL:
        status = label(b, cancel, error);
        break;
    case OPEN:
        status = open_file(b, error);
        break;
    case ENCODE:
        status = encode(b, cancel, error);
        break;
    case SEAL:
        status = seal(b, error);
        break;
    case DONE:
        break;
    }
    *finished = !status && b->stage == DONE;
    return status;
}
