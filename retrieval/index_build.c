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
/* Read back at once, or one list if that is larger. */
#define SEAL_BYTES ((size_t)16 << 20)
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
    sat_ivf_list *table; /* (lists) */
    uint64_t *filled;    /* (lists) rows written */

    float *block; /* (block_rows, dimension) */
    uint8_t *missing;
    int64_t *numbers;
    size_t block_rows;

    sat_buffer path; /* the file's temporary name */
    int fd;          /* -1: not open */
    bool created;
};

const sat_index_row *sat_index_build_before(const sat_index_build *build) {
    return &build->before;
}

const sat_index_row *sat_index_build_made(const sat_index_build *build) {
    return &build->made;
}

const char *sat_index_build_file(const sat_index_build *build) {
    return build->path.data;
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
    const satchel_context *context = b->store->context;
    if (b->fd >= 0)
        context->files->close(context->files_user, b->fd);
    if (b->created)
        context->files->remove(context->files_user, b->path.data);
    drop_block(b);
    sat_free(memory, b->keys);
    sat_free(memory, b->labels);
    sat_free_aligned(memory, b->sample);
    sat_free_aligned(memory, b->centroids);
    sat_free(memory, b->scale_rows);
    sat_free_aligned(memory, b->scale);
    sat_ivf_close(&b->ivf);
    sat_free(memory, b->table);
    sat_free(memory, b->filled);
    sat_buffer_free(&b->path);
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
    b->table = sat_calloc(memory, lists, sizeof *b->table);
    b->filled = sat_calloc(memory, lists, sizeof *b->filled);
    b->scale_rows = sat_alloc_array(memory, SCALE_ROWS, sizeof *b->scale_rows);
    b->scale = sat_alloc_aligned(memory, SCALE_ROWS * row);
    if (!b->centroids || !b->labels || !b->table || !b->filled || !b->scale_rows || !b->scale)
        return sat_memory_fail(memory, lists * row, error);
    return SATCHEL_OK;
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
    b->fd = -1;
    b->before = *before;
    b->info.number = before->number + 1;
    b->info.dimension = (size_t)store->embedder->dimension;
    b->info.fingerprint = sat_digest_of(store->fingerprint, strlen(store->fingerprint));
    sat_buffer_init(&b->path, store->memory);
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

static satchel_status write_at(sat_index_build *b, const void *data, size_t size, uint64_t at,
                               satchel_error *error) {
    const satchel_context *context = b->store->context;
    int failed = context->files->write_at(context->files_user, b->fd, data, size, at);
    return failed
               ? sat_fail_errno(error, failed, "cannot write the vector index '%s'", b->path.data)
               : SATCHEL_OK;
}

static satchel_status write_section(sat_index_build *b, int kind, const void *data,
                                    satchel_error *error) {
    b->info.sections[kind].hash =
        sat_hash64(data, (size_t)b->info.sections[kind].size, (uint64_t)kind);
    return write_at(b, data, (size_t)b->info.sections[kind].size, b->info.sections[kind].offset,
                    error);
}

static satchel_status create_file(sat_index_build *b, satchel_error *error) {
    const satchel_context *context = b->store->context;
    uint8_t random[6];
    char hex[2 * sizeof random + 1];
    sqlite3_randomness(sizeof random, random);
    sat_hex(hex, random, sizeof random);
    sat_buffer_clear(&b->path);
    sat_index_path(b->store, b->info.number, &b->path);
    sat_buffer_append_format(&b->path, ".%s.tmp", hex);
    if (b->path.failed)
        return sat_memory_fail(b->store->memory, 64, error);
    int failed = context->files->open(context->files_user, b->path.data, SAT_OPEN_CREATE, &b->fd);
    if (failed) {
        b->fd = -1;
        return sat_fail_errno(error, failed, "cannot make the vector index '%s'", b->path.data);
    }
    b->created = true;
    return SATCHEL_OK;
}

/* Each list's place in the file. */
static bool place_lists(sat_index_build *b) {
    uint64_t at = 0;
    for (size_t i = 0; i < b->info.rows; i++)
        b->table[b->labels[i]].rows++;
    for (size_t i = 0; i < b->info.lists; i++) {
        b->table[i].offset = at;
        at += sat_generation_list_size(b->table[i].rows, b->info.dimension);
    }
    b->info.sections[SAT_SECTION_LISTS].size = at;
    return sat_generation_lay_out(&b->info);
}

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
                      : write_section(b, SAT_SECTION_SAMPLE, sample.data, error);
    sat_buffer_free(&sample);
    return status;
}

static satchel_status write_ranges(sat_index_build *b, satchel_error *error) {
    float *ranges = sat_alloc_array(b->store->memory, 2 * b->info.dimension, sizeof *ranges);
    if (!ranges)
        return sat_memory_fail(b->store->memory, 2 * b->info.dimension * sizeof *ranges, error);
    satchel_status status = sat_ivf_ranges(b->ivf, ranges, error);
    if (!status)
        status = write_section(b, SAT_SECTION_RANGES, ranges, error);
    sat_free(b->store->memory, ranges);
    return status;
}

static satchel_status open_file(sat_index_build *b, satchel_error *error) {
    if (!place_lists(b))
        return sat_memory_fail(b->store->memory, SIZE_MAX, error);
    satchel_status status = create_file(b, error);
    if (!status)
        status = write_section(b, SAT_SECTION_KEYS, b->keys, error);
    if (!status)
        status = write_section(b, SAT_SECTION_LABELS, b->labels, error);
    if (!status)
        status = write_sample(b, error);
    if (!status)
        status = write_section(b, SAT_SECTION_CENTROIDS, b->centroids, error);
    if (!status)
        status = write_ranges(b, error);
    b->next = 0;
    b->stage = ENCODE;
    return status;
}

/* ------------------------------------------------------------------ encode */

static satchel_status place_rows(void *user, size_t list, const uint8_t *codes,
                                 const int32_t *numbers, size_t count, satchel_error *error) {
    sat_index_build *b = user;
    const sat_ivf_list *entry = &b->table[list];
    size_t dimension = b->info.dimension;
    uint64_t filled = b->filled[list];
    if (count > entry->rows - filled)
        return sat_fail(error, SATCHEL_INTERNAL, "a list has more rows than were counted");
    uint64_t begin = b->info.sections[SAT_SECTION_LISTS].offset + entry->offset;
    uint64_t numbers_at = begin + sat_generation_numbers_at(entry->rows, dimension);
    b->filled[list] += count;
    satchel_status status =
        write_at(b, codes, count * dimension, begin + filled * dimension, error);
    if (!status)
        status = write_at(b, numbers, count * sizeof *numbers,
                          numbers_at + filled * sizeof *numbers, error);
    return status;
}

static satchel_status encode(sat_index_build *b, const satchel_cancel *cancel,
                             satchel_error *error) {
    size_t count = block_count(b, b->info.rows);
    satchel_status status = read_rows(b, b->next, NULL, count, cancel, error);
    if (!status)
        status = sat_ivf_encode(b->ivf, b->block, b->labels + b->next, (int32_t)b->next, count,
                                place_rows, b, error);
    if (status)
        return status;
    b->next += count;
    if (b->next == b->info.rows) {
        drop_block(b);
        b->next = 0;
        b->stage = SEAL;
    }
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ seal */

static satchel_status hash_list(sat_index_build *b, int fd, size_t list, sat_buffer *buffer,
                                satchel_error *error) {
    const satchel_context *context = b->store->context;
    size_t done = 0,
           size = (size_t)sat_generation_list_size(b->table[list].rows, b->info.dimension);
    uint64_t at = b->info.sections[SAT_SECTION_LISTS].offset + b->table[list].offset;
    sat_buffer_clear(buffer);
    if (!sat_buffer_reserve(buffer, size + 1))
        return sat_memory_fail(b->store->memory, size, error);
    int failed = context->files->read_at(context->files_user, fd, buffer->data, size, at, &done);
    if (failed)
        return sat_fail_errno(error, failed, "cannot read the vector index '%s'", b->path.data);
    if (done < size)
        return sat_fail(error, SATCHEL_IO, "the vector index '%s' became shorter", b->path.data);
    b->table[list].hash = sat_hash64(buffer->data, size, list);
    return SATCHEL_OK;
}

/* Reads back what was written: the hashes are those of what the file holds. */
static satchel_status hash_lists(sat_index_build *b, satchel_error *error) {
    const satchel_context *context = b->store->context;
    uint64_t done = 0;
    satchel_status status = SATCHEL_OK;
    sat_buffer buffer;
    int fd;
    int failed = context->files->open(context->files_user, b->path.data, SAT_OPEN_READ, &fd);
    if (failed)
        return sat_fail_errno(error, failed, "cannot open the vector index '%s'", b->path.data);
    sat_buffer_init(&buffer, b->store->memory);
    for (; b->next < b->info.lists && done < SEAL_BYTES && !status; b->next++) {
        done += sat_generation_list_size(b->table[b->next].rows, b->info.dimension);
        status = hash_list(b, fd, b->next, &buffer, error);
    }
    sat_buffer_free(&buffer);
    context->files->close(context->files_user, fd);
    return status;
}

static satchel_status close_file(sat_index_build *b, satchel_error *error) {
    const satchel_context *context = b->store->context;
    uint8_t header[SAT_GENERATION_HEADER];
    satchel_status status = write_section(b, SAT_SECTION_TABLE, b->table, error);
    if (status)
        return status;
    b->made = (sat_index_row){b->info.number, sat_generation_header(&b->info, header)};
    status = write_at(b, header, sizeof header, 0, error);
    if (status)
        return status;
    int failed = context->files->sync(context->files_user, b->fd);
    int closed = context->files->close(context->files_user, b->fd);
    b->fd = -1;
    failed = failed ? failed : closed;
    if (failed)
        return sat_fail_errno(error, failed, "cannot write the vector index '%s' to disk",
                              b->path.data);
    b->stage = DONE;
    return SATCHEL_OK;
}

static satchel_status seal(sat_index_build *b, satchel_error *error) {
    satchel_status status = hash_lists(b, error);
    if (!status && b->next == b->info.lists)
        status = close_file(b, error);
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
