/* The vector index: segments of rows with the chunks they stand for. */
#include "retrieval/vindex.h"

#include <string.h>

/* Rows of a segment: the unit of growth, of parallel scoring and of looking at the cancel
 * handle. */
#define SEGMENT_ROWS ((size_t)4096)

typedef struct segment {
    sat_vrows *rows;
    size_t count;
} segment;

/* Every segment but the last is full, so that row r lies in segment r / SEGMENT_ROWS. */
struct sat_vindex {
    satchel_context *context;
    size_t dimension;
    segment *segments;
    size_t segment_count, segment_capacity;
    sat_vector_key *keys; /* (count) */
    size_t count, capacity, dead;
};

satchel_status sat_vindex_open(sat_vindex **out, satchel_context *context, size_t dimension,
                               satchel_error *error) {
    *out = NULL;
    sat_vindex *index = sat_calloc(&context->memory, 1, sizeof *index);
    if (!index)
        return sat_memory_fail(&context->memory, sizeof *index, error);
    index->context = context;
    index->dimension = dimension;
    *out = index;
    return SATCHEL_OK;
}

void sat_vindex_close(sat_vindex **handle) {
    sat_vindex *index = *handle;
    if (!index)
        return;
    *handle = NULL;
    sat_memory *memory = &index->context->memory;
    sat_vindex_clear(index);
    sat_free(memory, index->segments);
    sat_free(memory, index->keys);
    sat_free(memory, index);
}

void sat_vindex_clear(sat_vindex *index) {
    for (size_t i = 0; i < index->segment_count; i++)
        sat_vrows_close(index->segments[i].rows);
    index->segment_count = 0;
    index->count = index->dead = 0;
}

size_t sat_vindex_count(const sat_vindex *index) {
    return index->count;
}
size_t sat_vindex_dead(const sat_vindex *index) {
    return index->dead;
}
sat_vector_key sat_vindex_key(const sat_vindex *index, size_t row) {
    return index->keys[row];
}

void sat_vindex_kill(sat_vindex *index, size_t row) {
    if (index->keys[row].chunk) {
        index->keys[row].chunk = 0;
        index->dead++;
    }
}

/* The segment that takes the next row. */
static satchel_status last_segment(sat_vindex *index, segment **out, satchel_error *error) {
    sat_memory *memory = &index->context->memory;
    segment *last = index->segment_count ? &index->segments[index->segment_count - 1] : NULL;
    if (last && last->count < SEGMENT_ROWS) {
        *out = last;
        return SATCHEL_OK;
    }
    if (!sat_grow(memory, (void **)&index->segments, &index->segment_capacity,
                  index->segment_count + 1, sizeof *index->segments))
        return sat_memory_fail(memory, sizeof *index->segments, error);
    last = &index->segments[index->segment_count];
    *last = (segment){0};
    satchel_status status = sat_vrows_open(&last->rows, index->context, index->dimension, error);
    if (status)
        return status;
    index->segment_count++;
    *out = last;
    return SATCHEL_OK;
}

/* Rows that fit the last segment; at most SEGMENT_ROWS - its count. */
static satchel_status add_block(sat_vindex *index, const float *data, const sat_vector_key *keys,
                                size_t count, size_t *added, satchel_error *error) {
    segment *last = NULL;
    satchel_status status = last_segment(index, &last, error);
    if (status)
        return status;
    size_t fit = SEGMENT_ROWS - last->count;
    *added = count < fit ? count : fit;
    status = sat_vrows_add(last->rows, data, *added, error);
    if (status)
        return status;
    last->count += *added;
    memcpy(index->keys + index->count, keys, *added * sizeof *keys);
    index->count += *added;
    return SATCHEL_OK;
}

satchel_status sat_vindex_add(sat_vindex *index, const float *data, const sat_vector_key *keys,
                              size_t count, satchel_error *error) {
    sat_memory *memory = &index->context->memory;
    if (!sat_grow(memory, (void **)&index->keys, &index->capacity, index->count + count,
                  sizeof *index->keys))
        return sat_memory_fail(memory, count * sizeof *index->keys, error);
    size_t before = index->count, added;
    for (size_t done = 0; done < count; done += added) {
        satchel_status status = add_block(index, data + done * index->dimension, keys + done,
                                          count - done, &added, error);
        if (status) {
            /* Rows cannot be taken back: those that went in die. */
            for (size_t row = before; row < index->count; row++)
                sat_vindex_kill(index, row);
            return status;
        }
    }
    return SATCHEL_OK;
}

satchel_status sat_vindex_squeeze(sat_vindex *index, satchel_error *error) {
    sat_memory *memory = &index->context->memory;
    sat_vindex fresh = {.context = index->context, .dimension = index->dimension};
    satchel_status status = SATCHEL_OK;
    size_t dimension = index->dimension;
    for (size_t s = 0; s < index->segment_count; s++) {
        segment *old = &index->segments[s];
        const float *data = sat_vrows_data(old->rows);
        for (size_t i = 0; i < old->count && !status;) {
            /* Runs of living rows move together. */
            const sat_vector_key *keys = index->keys + s * SEGMENT_ROWS + i;
            size_t run = 0;
            while (i + run < old->count && keys[run].chunk)
                run++;
            if (run > 0)
                status = sat_vindex_add(&fresh, data + i * dimension, keys, run, error);
            i += run ? run : 1;
        }
        sat_vrows_close(old->rows); /* at once: both are never whole in memory */
    }
    index->segment_count = 0;
    index->count = index->dead = 0;
    if (status) {
        sat_vindex_clear(&fresh);
        sat_free(memory, fresh.segments);
        sat_free(memory, fresh.keys);
        return status;
    }
    sat_free(memory, index->segments);
    sat_free(memory, index->keys);
    *index = fresh;
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ scoring */

typedef struct scoring {
    const sat_vindex *index;
    const float *query;
    const uint8_t *wanted;
    float *scores;
    const satchel_cancel *cancel;
    int64_t *picks; /* (threads, SEGMENT_ROWS) rows of a segment to score */
    float *found;   /* (threads, SEGMENT_ROWS) their scores */
    _Atomic int failed;
} scoring;

static void score_segments(void *user, int thread, size_t begin, size_t end) {
    scoring *work = user;
    const sat_vindex *index = work->index;
    int64_t *picks = work->picks + (size_t)thread * SEGMENT_ROWS;
    float *found = work->found + (size_t)thread * SEGMENT_ROWS;
    for (size_t s = begin; s < end && !sat_cancelled(work->cancel); s++) {
        size_t first = s * SEGMENT_ROWS, count = 0;
        for (size_t i = 0; i < index->segments[s].count; i++) {
            if (index->keys[first + i].chunk && (!work->wanted || work->wanted[first + i]))
                picks[count++] = (int64_t)i;
        }
        if (count == 0)
            continue;
        if (!sat_vrows_score(index->segments[s].rows, work->query, picks, count, found))
            atomic_store(&work->failed, 1);
        for (size_t i = 0; i < count; i++)
            work->scores[first + (size_t)picks[i]] = found[i];
    }
}

satchel_status sat_vindex_score(const sat_vindex *index, const float *query, const uint8_t *wanted,
                                float *scores, const satchel_cancel *cancel, satchel_error *error) {
    if (index->segment_count == 0)
        return SATCHEL_OK;
    sat_memory *memory = &index->context->memory;
    size_t threads = (size_t)sat_pool_threads(index->context->pool);
    /* One segment needs no more than its own rows, and no help. */
    size_t width = index->segment_count == 1 ? index->segments[0].count : SEGMENT_ROWS;
    if (index->segment_count == 1)
        threads = 1;
    scoring work = {
        .index = index, .query = query, .wanted = wanted, .scores = scores, .cancel = cancel};
    work.picks = sat_alloc_array(memory, threads * width, sizeof *work.picks);
    work.found = sat_alloc_array(memory, threads * width, sizeof *work.found);
    satchel_status status = SATCHEL_OK;
    if (!work.picks || !work.found)
        status = sat_memory_fail(memory, threads * width * sizeof *work.picks, error);
    else if (threads == 1)
        score_segments(&work, 0, 0, index->segment_count);
    else
        sat_pool_run(index->context->pool, SAT_PRIORITY_SEARCH, 0, index->segment_count, 1,
                     score_segments, &work);
    sat_free(memory, work.picks);
    sat_free(memory, work.found);
    if (!status)
        status = sat_cancel_check(cancel, error);
    if (!status && atomic_load(&work.failed))
        status = sat_fail(error, SATCHEL_INTERNAL, "the vector index failed to score");
    return status;
}
