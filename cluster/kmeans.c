/* The folder's calls: sizes and defaults, and the fast mode, a sample before the whole. */
#include "cluster/cluster.h"

#include <math.h>

#include "cluster/lloyd.h"
#include "cluster/source.h"
#include "cluster/walk.h"

enum {
    DEFAULT_ITERATIONS = 25,
    MAX_DIMENSION = 65536,
    FAST_POINTS = 24,    /* sampled for each centroid */
    FAST_LEAST = 4096,   /* sampled at least */
    FAST_ITERATIONS = 2, /* over all points, after the sample */
};

size_t sat_kmeans_default_k(uint64_t count) {
    size_t k = (size_t)(sqrt((double)count) + 0.5);
    return k > 0 ? k : 1;
}

static satchel_status check_sizes(const satchel_points *points, size_t k, satchel_error *error) {
    if (points->dimension < 1 || points->dimension > MAX_DIMENSION)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "satchel_points.dimension is %d: must be 1 to %d", (int)points->dimension,
                        MAX_DIMENSION);
    if (points->count == 0)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "satchel_points.count is 0");
    if (k == 0 || k > INT32_MAX)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "k is %zu: must be 1 to %d", k, INT32_MAX);
    return SATCHEL_OK;
}

/* Points in the sample of the fast mode: enough for each centroid to find its place. */
static uint64_t sample_size(uint64_t count, size_t k) {
    uint64_t size = (uint64_t)k * FAST_POINTS;
    if (size < FAST_LEAST)
        size = FAST_LEAST;
    return size < count / 2 ? size : count;
}

/* `size` rows, one from each of as many stretches of equal length. */
static satchel_status take_sample(satchel_context *context, const satchel_points *points,
                                  uint64_t size, uint64_t seed, float *rows, satchel_error *error) {
    sat_source *source = NULL;
    sat_memory *memory = &context->memory;
    uint64_t *picks = sat_alloc_array(memory, (size_t)size, sizeof *picks);
    if (!picks)
        return sat_memory_fail(memory, (size_t)size * sizeof *picks, error);
    uint64_t count = points->count, length = count / size, rest = count % size;
    for (uint64_t i = 0; i < size; i++) {
        /* The first `rest` stretches are one longer. */
        uint64_t begin = i * length + (i < rest ? i : rest);
        picks[i] = begin + sat_hash64(&i, sizeof i, seed) % (length + (i < rest));
    }
    satchel_status status = sat_source_open(&source, context, points, SAT_UNIT, error);
    if (status == SATCHEL_OK)
        status = sat_source_fetch(source, picks, (size_t)size, rows, error);
    sat_source_close(&source);
    sat_free(memory, picks);
    return status;
}

/* What a sample does is seeding to the caller. */
static int32_t sample_progress(void *user, const satchel_kmeans_progress *progress) {
    const satchel_kmeans_options *options = user;
    satchel_kmeans_progress told = *progress;
    told.iteration = 0;
    told.iterations = options->iterations < FAST_ITERATIONS ? options->iterations : FAST_ITERATIONS;
    return options->progress(options->progress_user, &told);
}

/* Runs on a sample, the result of which starts a few iterations over all points. */
static satchel_status run_fast(satchel_context *context, int priority, const satchel_points *points,
                               size_t k, float *centroids, int32_t *labels,
                               satchel_kmeans_info *info, const satchel_kmeans_options *options,
                               satchel_error *error) {
    sat_memory *memory = &context->memory;
    satchel_kmeans_options full = *options, seeding = *options;
    if (options->progress) {
        seeding.progress = sample_progress;
        seeding.progress_user = (void *)(uintptr_t)options;
    }
    uint64_t size = sample_size(points->count, k);
    satchel_kmeans_info first = {0};
    if (size < points->count) {
        if (full.iterations > FAST_ITERATIONS)
            full.iterations = FAST_ITERATIONS;
        size_t cells, dimension = (size_t)points->dimension;
        if (!sat_mul_size((size_t)size, dimension * sizeof(float), &cells))
            return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                            "a sample of %llu points overflows "
                            "the address space",
                            (unsigned long long)size);
        float *rows = sat_alloc(memory, cells);
        if (!rows)
            return sat_memory_fail(memory, cells, error);
        satchel_status status = take_sample(context, points, size, options->seed, rows, error);
        if (status == SATCHEL_OK) {
            satchel_points sample = {.struct_size = sizeof sample,
                                     .count = size,
                                     .dimension = points->dimension,
                                     .rows = rows};
            status = sat_lloyd(context, priority, &sample, k, centroids, NULL, &first, &seeding,
                               false, error);
        }
        sat_free(memory, rows);
        if (status != SATCHEL_OK)
            return status;
        full.init = SATCHEL_INIT_GIVEN;
        full.initial = centroids;
    }
    satchel_status status = sat_lloyd(context, priority, points, k, centroids, labels, info, &full,
                                      first.iterations > 0, error);
    info->iterations += first.iterations;
    info->products += first.products;
    info->rechecks += first.rechecks;
    info->seed_ms += first.seed_ms;
    info->iterate_ms += first.iterate_ms + first.final_ms;
    return status;
}

satchel_status sat_kmeans(satchel_context *context, int priority, const satchel_points *points,
                          size_t k, float *centroids, int32_t *labels, satchel_kmeans_info *info,
                          const satchel_kmeans_options *options, satchel_error *error) {
    satchel_kmeans_options known = {0};
    satchel_kmeans_info done = {0};
    if (options)
        known = *options;
    known.iterations = known.iterations == 0  ? DEFAULT_ITERATIONS
                       : known.iterations < 0 ? 0
                                              : known.iterations;
    satchel_status status = check_sizes(points, k, error);
    if (status == SATCHEL_OK && k > points->count)
        status =
            sat_fail(error, SATCHEL_INVALID_ARGUMENT, "k is %zu, but there are only %llu points", k,
                     (unsigned long long)points->count);
    if (status == SATCHEL_OK && known.mode == SATCHEL_KMEANS_FAST)
        status = run_fast(context, priority, points, k, centroids, labels, &done, &known, error);
    else if (status == SATCHEL_OK)
        status =
            sat_lloyd(context, priority, points, k, centroids, labels, &done, &known, false, error);
    if (status == SATCHEL_OK && info)
        *info = done;
    return status;
}

satchel_status sat_kmeans_assign(satchel_context *context, int priority,
                                 const satchel_points *points, size_t k, const float *centroids,
                                 int32_t *labels, double *distances,
                                 const satchel_kmeans_options *options, satchel_error *error) {
    satchel_status status = check_sizes(points, k, error);
    if (status != SATCHEL_OK)
        return status;
    return sat_lloyd_assign(context, priority, points, k, centroids, labels, distances, options,
                            error);
}
