/* Lloyd's iterations: memory, passes and updates in turn, and the final labels. */
#include "cluster/lloyd.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "cluster/init.h"
#include "cluster/pass.h"
#include "cluster/source.h"
#include "cluster/update.h"

enum {
    FAST_SETTLED = 100,   /* fast mode stops when no more than one in so many points moves */
    CHUNK_ROWS = 1 << 18, /* of points in memory worked on between two updates of sums */
};
/* Working memory for points that are read in blocks, when the caller does not say. */
#define STREAM_BUDGET ((uint64_t)256 << 20)
/* A block read from a file: large enough for the disk, small enough for the third-level cache. */
#define READ_BYTES ((uint64_t)8 << 20)

/* All of one clustering. */
typedef struct clustering {
    sat_memory *memory;
    sat_workers workers;
    sat_source *source;
    satchel_points points;
    satchel_kmeans_options options;
    sat_space space;
    float *centre;
    uint64_t count;
    size_t k, dimension;
    float *values; /* (k, dimension): the caller's centroids */

    sat_centroids centroids;
    sat_sums sums;
    sat_pass *pass;
    double *moves; /* (k) */

    int32_t *labels, *own_labels; /* own: where the caller wants none */
    int8_t *int8;                 /* (resident, stride) */
    sat_point *kept;              /* (resident) */
    uint64_t resident, quantized; /* rows whose int8 values are kept; that are filled in */
    uint16_t *codes;              /* (count, groups.count) */
    sat_groups groups;            /* count 0: no bounds are kept */
    bool grouped;                 /* codes are in use */
    bool once;                    /* one pass only: nothing is kept */
    uint32_t *moved, *moved_count;
    int32_t *from;
    size_t chunk; /* rows */

    sat_survey survey;
    satchel_kmeans_info info;
    double shift;
    int64_t started;
} clustering;

/* ------------------------------------------------------------------ open */

/* How memory is shared out. Without a budget everything that makes passes faster is kept. */
static satchel_status take_memory(clustering *c, int32_t *labels, satchel_error *error) {
    sat_memory *memory = c->memory;
    bool in_memory = sat_source_in_memory(c->source);
    size_t panels = c->centroids.panels, block = sat_pass_block(&c->space), chunk_blocks;
    if (in_memory)
        c->chunk = (size_t)(c->count < CHUNK_ROWS ? c->count : CHUNK_ROWS);
    chunk_blocks = c->chunk / block + 1;

    uint64_t fixed = sat_centroids_bytes(&c->space, c->k) + sat_sums_bytes(c->k, c->dimension) +
                     sat_pass_bytes(c->pass) + sat_source_bytes(c->source) +
                     c->k * sizeof *c->moves + c->chunk * 16 + chunk_blocks * 4 +
                     (labels ? 0 : c->count * sizeof *labels);
    bool given = c->options.init == SATCHEL_INIT_GIVEN ||
                 (c->options.init == SATCHEL_INIT_DEFAULT && c->options.initial);
    if (!c->once && !given)
        fixed += sat_init_bytes(c->options.init, &c->workers, &c->space, c->count, c->k);
    uint64_t row = c->space.stride + sizeof *c->kept, left = UINT64_MAX;
    uint64_t budget = c->options.memory_budget;
    if (budget == 0 && !in_memory)
        budget = STREAM_BUDGET;
    if (budget == 0 && memory->limit != 0)
        budget = memory->limit > memory->now ? memory->limit - memory->now : 1;
    if (budget != 0)
        left = budget > fixed ? budget - fixed : 0;
    uint64_t groups = panels < SAT_MAX_GROUPS ? panels : SAT_MAX_GROUPS;
    if (c->once)
        groups = left = 0;
    /* Bounds save more than kept int8 rows, until there are some. */
    uint64_t for_codes = left / 5 * 3;
    if (left >= c->count * row && left - c->count * row > for_codes)
        for_codes = left - c->count * row;
    if (for_codes / c->count / sizeof *c->codes < groups)
        groups = for_codes / c->count / sizeof *c->codes;
    if (groups > 0) {
        c->groups.span = sat_groups_span(panels, (size_t)groups);
        c->groups.count = sat_groups_span(panels, c->groups.span);
        left -= c->count * c->groups.count * sizeof *c->codes;
    }
    c->resident = left / row < c->count ? left / row / block * block : c->count;

    uint64_t need = fixed + c->count * c->groups.count * sizeof *c->codes + c->resident * row;
    c->info.memory_bytes = need;
    bool fits = need <= SIZE_MAX / 2;
    if (fits) {
        if (!labels)
            labels = c->own_labels =
                sat_alloc_array(memory, (size_t)c->count, sizeof *c->own_labels);
        c->labels = labels;
        c->moves = sat_calloc(memory, c->k, sizeof *c->moves);
        c->moved = sat_alloc_array(memory, c->chunk, sizeof *c->moved);
        c->from = sat_alloc_array(memory, c->chunk, sizeof *c->from);
        c->moved_count = sat_alloc_array(memory, chunk_blocks, sizeof *c->moved_count);
        if (c->resident > 0) {
            c->int8 = sat_alloc_aligned(memory, (size_t)(c->resident * c->space.stride));
            c->kept = sat_alloc_aligned(memory, (size_t)(c->resident * sizeof *c->kept));
        }
        if (c->groups.count > 0) {
            size_t codes = (size_t)(c->count * c->groups.count) * sizeof *c->codes;
            c->codes = sat_alloc_aligned(memory, codes);
            c->groups.drift = sat_calloc(memory, c->groups.count, sizeof *c->groups.drift);
            c->groups.codes = sat_calloc(memory, c->groups.count, sizeof *c->groups.codes);
            if (c->codes)
                memset(c->codes, 0, codes);
        }
    }
    if (!fits || !c->labels || !c->moves || !c->moved || !c->from || !c->moved_count ||
        (c->resident > 0 && (!c->int8 || !c->kept)) ||
        (c->groups.count > 0 && (!c->codes || !c->groups.drift || !c->groups.codes)))
        return sat_memory_fail(memory, fits ? (size_t)need : SIZE_MAX / 2, error);
    for (uint64_t i = 0; i < c->count; i++)
        c->labels[i] = -1;
    return SATCHEL_OK;
}

static void make_workers(clustering *c, satchel_context *context, int priority,
                         const satchel_kmeans_options *options) {
    if (options)
        c->options = *options;
    c->started = sat_clock_ms();
    c->memory = &context->memory;
    c->workers = (sat_workers){.context = context,
                               .kernels = sat_cluster_kernels_for(context->cpu_level),
                               .priority = priority,
                               .threads = c->options.threads,
                               .cancel = c->options.cancel};
}

/* Finite and in range, or INVALID_ARGUMENT. */
static satchel_status check_centroids(const float *centroids, size_t k, size_t dimension,
                                      satchel_error *error) {
    for (size_t i = 0; i < k * dimension; i++)
        if (!(fabsf(centroids[i]) <= 1e30F))
            return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                            "centroid %zu, coordinate %zu is %g: values must be finite and within "
                            "1e+30",
                            i / dimension, i % dimension, (double)centroids[i]);
    return SATCHEL_OK;
}

/* The next rows to work on: what the source gives, or a part of what lies in memory. */
static satchel_status next_block(clustering *c, uint64_t at, sat_source_block *block,
                                 satchel_error *error) {
    if (at == 0 || !sat_source_in_memory(c->source)) {
        satchel_status status = at == 0 ? sat_source_rewind(c->source, error) : SATCHEL_OK;
        if (status == SATCHEL_OK)
            status = sat_source_next(c->source, block, error);
        if (status != SATCHEL_OK)
            return status;
    } else {
        block->rows += block->count * block->stride;
        block->first = at;
    }
    uint64_t left = c->count - at;
    if (sat_source_in_memory(c->source))
        block->count = (size_t)(left < CHUNK_ROWS ? left : CHUNK_ROWS);
    return SATCHEL_OK;
}

/* The checking pass: values, and where and how large they are. */
static satchel_status survey(clustering *c, satchel_error *error) {
    c->survey.sum = sat_calloc(c->memory, c->dimension, sizeof *c->survey.sum);
    c->centre = sat_calloc(c->memory, c->dimension, sizeof *c->centre);
    if (!c->survey.sum || !c->centre)
        return sat_memory_fail(c->memory, c->dimension * sizeof *c->survey.sum, error);
    sat_source_block block = {0};
    for (uint64_t at = 0; at < c->count; at += block.count) {
        satchel_status status = next_block(c, at, &block, error);
        if (status == SATCHEL_OK)
            status = sat_walk_survey(&c->workers, &c->survey, c->dimension, block.rows,
                                     block.stride, block.count, error);
        if (status != SATCHEL_OK)
            return status;
    }
    double widest = 0;
    for (size_t d = 0; d < c->dimension; d++) {
        c->centre[d] = (float)(c->survey.sum[d] / (double)c->count);
        double size = fabs((double)c->centre[d]); /* not fmax: GCC 12 for arm64 breaks down */
        widest = size > widest ? size : widest;
    }
    int exponent = 0;
    (void)frexp(c->survey.largest + widest, &exponent);
    exponent = exponent < -120 ? -120 : exponent > 120 ? 120 : exponent;
    c->space.factor = ldexpf(1, c->survey.largest > 0 ? -exponent : 0);
    c->space.centre = c->centre;
    c->space.point_length = c->survey.longest;
    return SATCHEL_OK;
}

/* Opens everything but the centroids' values. */
static satchel_status open_clustering(clustering *c, const satchel_points *points, size_t k,
                                      float *values, int32_t *labels, satchel_error *error) {
    c->count = points->count;
    c->dimension = (size_t)points->dimension;
    c->k = k;
    c->values = values;
    c->space =
        (sat_space){.kernels = c->workers.kernels,
                    .dimension = c->dimension,
                    .stride = (c->dimension + SAT_ROW_ALIGN - 1) / SAT_ROW_ALIGN * SAT_ROW_ALIGN,
                    .inner = c->options.objective == SATCHEL_KMEANS_INNER_PRODUCT};
    /* A block of the source: whole blocks of a pass, a small part of the budget. */
    uint64_t bytes = READ_BYTES, row = c->dimension * sizeof(float);
    if (c->options.memory_budget != 0 && c->options.memory_budget / 16 < bytes)
        bytes = c->options.memory_budget / 16;
    size_t unit = sat_pass_block(&c->space), rows = (size_t)(bytes / row / unit * unit);
    c->chunk = rows > 0 ? rows : SAT_UNIT;
    satchel_status status =
        sat_source_open(&c->source, c->workers.context, points, c->chunk, error);
    if (status == SATCHEL_OK)
        status = survey(c, error);
    if (status == SATCHEL_OK)
        status = sat_pass_open(&c->pass, &c->workers, &c->space, k, error);
    if (status == SATCHEL_OK)
        status = sat_centroids_open(&c->centroids, c->memory, &c->space, values, k, error);
    if (status == SATCHEL_OK)
        status = take_memory(c, labels, error);
    return status;
}

static void close_clustering(clustering *c) {
    sat_memory *memory = c->memory;
    sat_source_close(&c->source);
    sat_pass_close(&c->pass);
    sat_centroids_close(&c->centroids, memory);
    sat_sums_close(&c->sums, memory);
    sat_free(memory, c->survey.sum);
    sat_free(memory, c->centre);
    sat_free(memory, c->moves);
    sat_free(memory, c->own_labels);
    sat_free(memory, c->moved);
    sat_free(memory, c->from);
    sat_free(memory, c->moved_count);
    sat_free_aligned(memory, c->int8);
    sat_free_aligned(memory, c->kept);
    sat_free_aligned(memory, c->codes);
    sat_free(memory, c->groups.drift);
    sat_free(memory, c->groups.codes);
}

/* ------------------------------------------------------------------ passes */

/* The chunk of a source's block, with what is kept of its rows. */
static sat_chunk chunk_of(clustering *c, const sat_source_block *block) {
    sat_chunk chunk = {.rows = block->rows,
                       .row_stride = block->stride,
                       .count = block->count,
                       .labels = c->labels + block->first,
                       .moved = c->moved,
                       .from = c->from,
                       .moved_count = c->moved_count};
    if (block->first + block->count <= c->resident) {
        chunk.values = c->int8 + block->first * c->space.stride;
        chunk.points = c->kept + block->first;
        chunk.quantized = block->first + block->count <= c->quantized;
    }
    if (c->codes)
        chunk.codes = c->codes + block->first * c->groups.count;
    return chunk;
}

enum { PASS_UPDATE = 1, PASS_MEASURE = 2, PASS_ASSIGN = 4 };

/* Walks over all points. ASSIGN: new labels; UPDATE: moves into the sums; MEASURE: distances to
 * `out` (may be NULL) and the inertia. */
static satchel_status walk(clustering *c, int what, double *out, uint64_t *moved,
                           satchel_error *error) {
    sat_pass_counts counts = {0};
    sat_source_block block = {0};
    satchel_status status = SATCHEL_OK;
    for (uint64_t at = 0; at < c->count && status == SATCHEL_OK; at += block.count) {
        status = next_block(c, at, &block, error);
        if (status != SATCHEL_OK)
            break;
        sat_chunk chunk = chunk_of(c, &block);
        if (what & PASS_ASSIGN) {
            status = sat_pass_run(c->pass, &c->centroids, c->grouped ? &c->groups : NULL, &chunk,
                                  &counts, error);
            if (status == SATCHEL_OK && chunk.quantized)
                c->quantized = block.first + block.count > c->quantized ? block.first + block.count
                                                                        : c->quantized;
        }
        if (status == SATCHEL_OK && (what & PASS_UPDATE))
            status = sat_sums_move(&c->sums, &c->workers, &chunk, sat_pass_block(&c->space), error);
        if (status == SATCHEL_OK && (what & PASS_MEASURE))
            status = sat_walk_measure(&c->workers, c->dimension, c->space.inner, block.rows,
                                      block.stride, block.count, c->values, chunk.labels,
                                      out ? out + block.first : NULL, &c->info.inertia, error);
    }
    c->info.products += counts.products;
    c->info.rechecks += counts.rechecks;
    if (moved)
        *moved = counts.moved;
    return status;
}

typedef struct refresh_job {
    sat_centroids *centroids;
    const double *moves; /* NULL: all */
} refresh_job;

static void refresh(void *user, int thread, size_t begin, size_t end) {
    const refresh_job *job = user;
    (void)thread;
    for (size_t i = begin; i < end; i++)
        if (!job->moves || job->moves[i] > 0)
            sat_centroids_refresh(job->centroids, i);
}

static void pack(void *user, int thread, size_t begin, size_t end) {
    const refresh_job *job = user;
    (void)thread;
    for (size_t p = begin; p < end; p++) {
        bool changed = !job->moves;
        for (size_t j = p * SAT_PANEL; j < (p + 1) * SAT_PANEL && !changed; j++) {
            uint32_t i = job->centroids->order[j];
            changed = i != SAT_NO_CENTROID && job->moves[i] > 0;
        }
        if (changed)
            sat_centroids_pack(job->centroids, p);
    }
}

/* Takes up new centroid values: those that moved, or all (moves NULL). */
static void take_up(clustering *c, const double *moves) {
    refresh_job job = {.centroids = &c->centroids, .moves = moves};
    sat_pool *pool = c->workers.context->pool;
    sat_pool_run(pool, c->workers.priority, c->workers.threads, c->k, 16, refresh, &job);
    sat_centroids_survey(&c->centroids);
    sat_pool_run(pool, c->workers.priority, c->workers.threads, c->centroids.panels, 1, pack, &job);
}

/* Puts neighbours together and starts keeping bounds. */
static satchel_status start_bounds(clustering *c, satchel_error *error) {
    if (c->groups.count == 0)
        return SATCHEL_OK;
    satchel_status status = sat_centroids_sort(&c->centroids, c->memory, error);
    if (status != SATCHEL_OK)
        return status;
    refresh_job job = {.centroids = &c->centroids};
    sat_pool_run(c->workers.context->pool, c->workers.priority, c->workers.threads,
                 c->centroids.panels, 1, pack, &job);
    /* No bound exceeds twice the longest vectors; as much again is room for drift. */
    double reach = c->centroids.longest;
    if (!c->space.inner) {
        double square = c->workers.kernels->dot(c->centre, c->centre, c->dimension);
        reach += (c->survey.longest + sqrt(square)) * c->space.factor;
    } else {
        reach *= 2;
    }
    c->groups.per_unit = (float)(65535 / (2 * reach + FLT_MIN));
    c->grouped = isfinite(c->groups.per_unit);
    return SATCHEL_OK;
}

/* Bounds of a group have aged by its greatest movement. */
static void age_bounds(clustering *c) {
    for (size_t g = 0; g < c->groups.count; g++) {
        double most = 0;
        size_t begin = g * c->groups.span * SAT_PANEL, end = begin + c->groups.span * SAT_PANEL;
        for (size_t s = begin; s < end && s < c->k; s++)
            most = fmax(most, c->moves[c->centroids.order[s]]);
        float drift = c->groups.drift[g] + (float)(most * c->space.factor);
        c->groups.drift[g] = drift * (1 + 0x1p-22F);
        float code = drift * (1 + 0x1p-20F) * c->groups.per_unit + 1;
        c->groups.codes[g] = code >= 65535 ? 65535 : (uint16_t)code;
    }
}

static satchel_status report(clustering *c, int32_t iteration, uint64_t moved,
                             satchel_error *error) {
    satchel_kmeans_progress progress = {.iteration = iteration,
                                        .iterations = c->options.iterations,
                                        .moved = moved,
                                        .shift = c->shift,
                                        .elapsed_ms = sat_clock_ms() - c->started};
    if (c->options.progress && c->options.progress(c->options.progress_user, &progress) != 0)
        return sat_fail(error, SATCHEL_CANCELLED, "the progress function asked to stop");
    return SATCHEL_OK;
}

/* Σ over coordinates of their variance, over D. Exact sums, one order: same bits everywhere. */
static double mean_variance(const clustering *c) {
    double means = 0;
    for (size_t d = 0; d < c->dimension; d++) {
        int64_t sum = 0;
        for (size_t i = 0; i < c->k; i++)
            sum += c->sums.sums[i * c->dimension + d];
        double mean = (double)sum / c->sums.scale / (double)c->count;
        means += mean * mean;
    }
    double variance = c->survey.square / (double)c->count - means;
    return variance > 0 ? variance / (double)c->dimension : 0;
}

static satchel_status iterate(clustering *c, satchel_error *error) {
    c->info.stop = SATCHEL_STOP_ITERATIONS;
    for (int32_t i = 1; i <= c->options.iterations; i++) {
        uint64_t moved;
        satchel_status status = walk(c, PASS_ASSIGN | PASS_UPDATE, NULL, &moved, error);
        if (status != SATCHEL_OK)
            return status;
        /* Fast mode: settled, all but a few on borders. */
        bool settled = c->options.mode == SATCHEL_KMEANS_FAST && moved <= c->count / FAST_SETTLED;
        if (moved == 0) {
            c->info.stop = SATCHEL_STOP_UNCHANGED;
            return SATCHEL_OK;
        }
        sat_sums_finish(&c->sums, &c->workers, c->space.inner, c->values, c->moves, &c->shift);
        take_up(c, c->moves);
        c->info.iterations = i;
        if (c->grouped)
            age_bounds(c);
        else if (i == 1)
            status = start_bounds(c, error);
        if (status == SATCHEL_OK)
            status = report(c, i, moved, error);
        if (status != SATCHEL_OK)
            return status;
        if (settled || (c->options.tolerance > 0 &&
                        c->shift * c->shift <= c->options.tolerance * mean_variance(c))) {
            c->info.stop = SATCHEL_STOP_TOLERANCE;
            return SATCHEL_OK;
        }
    }
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ calls */

/* Writes the first centroids. */
static satchel_status seed(clustering *c, satchel_error *error) {
    int32_t method = c->options.init;
    if (method == SATCHEL_INIT_DEFAULT && c->options.initial)
        method = SATCHEL_INIT_GIVEN;
    if (method != SATCHEL_INIT_GIVEN) {
        sat_init init = {.workers = &c->workers,
                         .source = c->source,
                         .space = &c->space,
                         .kept = {.values = c->int8,
                                  .points = c->kept,
                                  .rows = c->resident,
                                  .filled = &c->quantized},
                         .k = c->k,
                         .method = method,
                         .seed = c->options.seed};
        return sat_init_centroids(&init, c->values, error);
    }
    if (!c->options.initial)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "SATCHEL_INIT_GIVEN needs satchel_kmeans_options.initial");
    memmove(c->values, c->options.initial, c->k * c->dimension * sizeof *c->values);
    satchel_status status = check_centroids(c->values, c->k, c->dimension, error);
    for (size_t i = 0; i < c->k && c->space.inner && status == SATCHEL_OK; i++) {
        float *value = c->values + i * c->dimension;
        double length = sqrt(c->workers.kernels->dot(value, value, c->dimension));
        if (!(length > 0))
            return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                            "initial centroid %zu has length 0: inner products need a direction",
                            i);
        for (size_t d = 0; d < c->dimension; d++)
            value[d] = (float)((double)value[d] / length);
    }
    return status;
}

satchel_status sat_lloyd(satchel_context *context, int priority, const satchel_points *points,
                         size_t k, float *centroids, int32_t *labels, satchel_kmeans_info *info,
                         const satchel_kmeans_options *options, bool near, satchel_error *error) {
    clustering c = {0};
    make_workers(&c, context, priority, options);
    satchel_status status = open_clustering(&c, points, k, centroids, labels, error);
    if (status == SATCHEL_OK)
        status = sat_sums_open(&c.sums, c.memory, k, c.dimension, c.count, c.survey.largest, error);
    if (status == SATCHEL_OK)
        status = seed(&c, error);
    if (status == SATCHEL_OK) {
        take_up(&c, NULL);
        status = near ? start_bounds(&c, error) : SATCHEL_OK;
    }
    if (status == SATCHEL_OK)
        status = report(&c, 0, 0, error);
    int64_t seeded = sat_clock_ms();
    c.info.seed_ms = seeded - c.started;
    if (status == SATCHEL_OK)
        status = iterate(&c, error);
    int64_t iterated = sat_clock_ms();
    c.info.iterate_ms = iterated - seeded;
    if (status == SATCHEL_OK) {
        uint64_t moved = 0;
        int assign = c.info.stop == SATCHEL_STOP_UNCHANGED ? 0 : PASS_ASSIGN | PASS_UPDATE;
        status = walk(&c, assign | PASS_MEASURE, NULL, &moved, error);
        if (status == SATCHEL_OK)
            status = report(&c, c.options.iterations + 1, moved, error);
    }
    c.info.final_ms = sat_clock_ms() - iterated;
    for (size_t i = 0; i < k && status == SATCHEL_OK; i++)
        c.info.empty += c.sums.counts[i] == 0;
    close_clustering(&c);
    *info = c.info;
    return status;
}

satchel_status sat_lloyd_assign(satchel_context *context, int priority,
                                const satchel_points *points, size_t k, const float *centroids,
                                int32_t *labels, double *distances,
                                const satchel_kmeans_options *options, satchel_error *error) {
    clustering c = {.once = true};
    make_workers(&c, context, priority, options);
    satchel_status status = check_centroids(centroids, k, (size_t)points->dimension, error);
    /* Read only; the field is not const for those that move centroids. */
    if (status == SATCHEL_OK)
        status = open_clustering(&c, points, k, (float *)(uintptr_t)centroids, labels, error);
    if (status == SATCHEL_OK) {
        take_up(&c, NULL);
        status = walk(&c, PASS_ASSIGN | (distances ? PASS_MEASURE : 0), distances, NULL, error);
    }
    close_clustering(&c);
    return status;
}
