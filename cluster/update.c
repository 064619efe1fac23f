/* Fixed-point sums, and centroids from them. */
#include "cluster/update.h"

#include <math.h>
#include <string.h>

/* Part of a coordinate by which a cluster without points stands off the largest one's mean. */
#define SPLIT 0x1p-10
/* Bits of a value in fixed point at most, so that a double's rounding trick reaches them, and of a sum. */
enum { VALUE_BITS = 51, SUM_BITS = 62 };

satchel_status sat_sums_open(sat_sums *sums, sat_memory *memory, size_t k, size_t dimension,
                             uint64_t points, double largest, satchel_error *error) {
    *sums = (sat_sums){.k = k, .dimension = dimension};
    int exponent = 0, bits = 0;
    (void)frexp(largest, &exponent); /* largest < 2^exponent */
    while (bits < 63 && (uint64_t)1 << bits < points)
        bits++;
    int room = SUM_BITS - bits < VALUE_BITS ? SUM_BITS - bits : VALUE_BITS;
    sums->scale = ldexp(1, largest > 0 ? room - exponent : 0);
    size_t cells;
    if (!sat_mul_size(k, dimension, &cells))
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "%zu centroids of %zu dimensions overflow the address space", k, dimension);
    sums->sums = sat_calloc(memory, cells, sizeof *sums->sums);
    sums->counts = sat_calloc(memory, k, sizeof *sums->counts);
    sums->changed = sat_calloc(memory, k, sizeof *sums->changed);
    sums->starts = sat_calloc(memory, k + 1, sizeof *sums->starts);
    if (!sums->sums || !sums->counts || !sums->changed || !sums->starts) {
        sat_sums_close(sums, memory);
        return sat_memory_fail(memory, cells * sizeof *sums->sums, error);
    }
    memset(sums->changed, 1, k);
    return SATCHEL_OK;
}

void sat_sums_close(sat_sums *sums, sat_memory *memory) {
    sat_free(memory, sums->sums);
    sat_free(memory, sums->counts);
    sat_free(memory, sums->changed);
    sat_free(memory, sums->starts);
    sat_free(memory, sums->events);
    *sums = (sat_sums){0};
}

uint64_t sat_sums_bytes(size_t k, size_t dimension) {
    return (uint64_t)k * (dimension * sizeof(int64_t) + 17);
}

/* ------------------------------------------------------------------ moves */

typedef struct move_job {
    sat_sums *sums;
    const sat_workers *workers;
    const sat_chunk *chunk;
} move_job;

static void move_rows(void *user, int thread, size_t begin, size_t end) {
    const move_job *job = user;
    (void)thread;
    const sat_cluster_kernels *kernels = job->workers->kernels;
    sat_sums *sums = job->sums;
    for (size_t c = begin; c < end; c++) {
        int64_t *sum = sums->sums + c * sums->dimension;
        for (uint64_t e = sums->starts[c]; e < sums->starts[c + 1]; e++) {
            const float *row =
                job->chunk->rows + (size_t)(sums->events[e] / 2) * job->chunk->row_stride;
            if (sums->events[e] & 1)
                kernels->subtract(sum, row, sums->scale, sums->dimension);
            else
                kernels->add(sum, row, sums->scale, sums->dimension);
        }
    }
}

satchel_status sat_sums_move(sat_sums *sums, const sat_workers *workers, const sat_chunk *chunk,
                             size_t block, satchel_error *error) {
    sat_memory *memory = &workers->context->memory;
    size_t blocks = chunk->count / block + (chunk->count % block != 0), events = 0;
    uint64_t *starts = sums->starts;
    memset(starts, 0, (sums->k + 1) * sizeof *starts);
    for (size_t b = 0; b < blocks; b++) {
        for (size_t i = b * block; i < b * block + chunk->moved_count[b]; i++) {
            size_t to = (size_t)chunk->labels[chunk->moved[i]];
            starts[to + 1]++;
            sums->counts[to]++;
            sums->changed[to] = 1;
            events++;
            if (chunk->from[i] >= 0) {
                size_t from = (size_t)chunk->from[i];
                starts[from + 1]++;
                sums->counts[from]--;
                sums->changed[from] = 1;
                events++;
            }
        }
    }
    if (!sat_grow(memory, (void **)&sums->events, &sums->capacity, events, sizeof *sums->events))
        return sat_memory_fail(memory, events * sizeof *sums->events, error);
    for (size_t c = 0; c < sums->k; c++)
        starts[c + 1] += starts[c];
    /* Filled from the back of each centroid's range; then starts[c + 1] is c's start: shift them. */
    for (size_t b = blocks; b-- > 0;) {
        for (size_t i = b * block + chunk->moved_count[b]; i-- > b * block;) {
            uint32_t row = chunk->moved[i];
            sums->events[--starts[(size_t)chunk->labels[row] + 1]] = 2 * row;
            if (chunk->from[i] >= 0)
                sums->events[--starts[(size_t)chunk->from[i] + 1]] = 2 * row + 1;
        }
    }
    memmove(starts, starts + 1, sums->k * sizeof *starts);
    starts[sums->k] = events;
    move_job job = {.sums = sums, .workers = workers, .chunk = chunk};
    sat_pool_run(workers->context->pool, workers->priority, workers->threads, sums->k, 1, move_rows,
                 &job);
    return sat_cancel_check(workers->cancel, error);
}

/* ------------------------------------------------------------------ centroids */

typedef struct finish_job {
    sat_sums *sums;
    const sat_workers *workers;
    bool inner;
    float *values;
    double *moves;
} finish_job;

/* Writes a coordinate; the square of its movement is added to *moved. */
static void set(float *value, double to, double *moved) {
    float rounded = (float)to;
    double step = (double)rounded - (double)*value;
    *moved += step * step;
    *value = rounded;
}

static double rounded_up(double squared_movement) {
    return sqrt(squared_movement) * (1 + 0x1p-30);
}

static void make_means(void *user, int thread, size_t begin, size_t end) {
    const finish_job *job = user;
    (void)thread;
    sat_sums *sums = job->sums;
    size_t n = sums->dimension;
    for (size_t c = begin; c < end; c++) {
        job->moves[c] = 0;
        if (!sums->changed[c] || sums->counts[c] == 0)
            continue;
        const int64_t *sum = sums->sums + c * n;
        float *value = job->values + c * n;
        double divisor = (double)sums->counts[c] * sums->scale, moved = 0;
        if (job->inner) {
            double square = 0;
            for (size_t d = 0; d < n; d++)
                square += (double)sum[d] * (double)sum[d];
            divisor = sqrt(square);
        }
        if (divisor > 0)
            for (size_t d = 0; d < n; d++)
                set(&value[d], (double)sum[d] / divisor, &moved);
        job->moves[c] = rounded_up(moved);
        sums->changed[c] = 0;
    }
}

/* Places empty cluster c beside the mean of `largest`. */
static void split(const finish_job *job, size_t c, size_t largest) {
    size_t n = job->sums->dimension;
    const float *mean = job->values + largest * n;
    float *value = job->values + c * n;
    double moved = 0, length = 0, widest = 0;
    for (size_t d = 0; d < n; d++) {
        double size = fabs((double)mean[d]); /* not fmax: GCC 12 for arm64 breaks down */
        widest = size > widest ? size : widest;
    }
    for (size_t d = 0; d < n; d++) {
        /* A coordinate of 0 moves too, or a mean of zeros could not be split. */
        double step = SPLIT * (fabs((double)mean[d]) + SPLIT * (widest > 0 ? widest : 1));
        double to = (double)mean[d] + (d % 2 == 0 ? step : -step);
        length += to * to;
        set(&value[d], to, &moved);
    }
    if (job->inner && length > 0) {
        for (size_t d = 0; d < n; d++)
            value[d] = (float)((double)value[d] / sqrt(length));
        moved = 4; /* between two points of the unit sphere */
    }
    job->moves[c] = rounded_up(moved);
}

void sat_sums_finish(sat_sums *sums, const sat_workers *workers, bool inner, float *values,
                     double *moves, double *shift) {
    finish_job job = {
        .sums = sums, .workers = workers, .inner = inner, .values = values, .moves = moves};
    sat_pool_run(workers->context->pool, workers->priority, workers->threads, sums->k, 16,
                 make_means, &job);
    /* Counts as the policy halves them; starts is free now. */
    uint64_t *counts = sums->starts;
    bool copied = false;
    for (size_t c = 0; c < sums->k; c++) {
        if (sums->counts[c] != 0)
            continue;
        if (!copied)
            memcpy(counts, sums->counts, sums->k * sizeof *counts);
        copied = true;
        size_t largest = 0;
        for (size_t i = 1; i < sums->k; i++)
            largest = counts[i] > counts[largest] ? i : largest;
        counts[c] = counts[largest] / 2;
        counts[largest] -= counts[c];
        split(&job, c, largest);
    }
    double squares = 0;
    for (size_t c = 0; c < sums->k; c++)
        squares += moves[c] * moves[c];
    *shift = sqrt(squares);
}
