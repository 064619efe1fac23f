/* Losses at the nearest centre, by passes on the pool; see nearest.h. */
#include "cluster/nearest.h"

#include <float.h>
#include <math.h>

/* Of ‖x‖: inner products' losses below are rounding of the centre. */
#define LEAST_LOSS 0x1p-22

typedef struct sat_nearest_scratch {
    sat_tile tile;
    int8_t *values;    /* (block, stride) */
    sat_point *points; /* (block) */
} scratch;

/* ------------------------------------------------------------------ open and close */

static size_t scratch_bytes(const sat_space *space) {
    return sizeof(scratch) + sat_pass_block(space) * (space->stride + sizeof(sat_point)) + 2 * 64;
}

static size_t units(size_t count) {
    return count / SAT_UNIT + (count % SAT_UNIT != 0);
}

uint64_t sat_nearest_bytes(const sat_workers *workers, const sat_space *space, uint64_t count,
                           bool labels) {
    uint64_t threads = (uint64_t)sat_pool_threads(workers->context->pool);
    return count * (sizeof(double) + (labels ? sizeof(int32_t) : 0)) +
           (count / SAT_UNIT + 2) * sizeof(double) + threads * (scratch_bytes(space) + 128);
}

static satchel_status make_scratch(sat_nearest *nearest, satchel_error *error) {
    sat_memory *memory = &nearest->workers->context->memory;
    const sat_space *space = nearest->space;
    size_t block = sat_pass_block(space), bytes = scratch_bytes(space);
    size_t threads = (size_t)sat_pool_threads(nearest->workers->context->pool);
    nearest->scratch = sat_calloc(memory, threads, sizeof(scratch *));
    if (!nearest->scratch)
        return sat_memory_fail(memory, threads * sizeof(scratch *), error);
    nearest->threads = threads;
    for (size_t t = 0; t < threads; t++) {
        scratch *own = nearest->scratch[t] = sat_alloc_aligned(memory, bytes);
        if (!own)
            return sat_memory_fail(memory, bytes, error);
        *own = (scratch){0};
        own->values = (int8_t *)own + (sizeof *own + 63) / 64 * 64;
        own->points = (sat_point *)(void *)(own->values + block * space->stride);
    }
    return SATCHEL_OK;
}

satchel_status sat_nearest_open(sat_nearest *nearest, const sat_workers *workers,
                                const sat_space *space, uint64_t count, bool labels,
                                const sat_kept_rows *kept, const double *weight,
                                satchel_error *error) {
    sat_memory *memory = &workers->context->memory;
    *nearest =
        (sat_nearest){.workers = workers, .space = space, .count = (size_t)count, .weight = weight};
    if (kept)
        nearest->kept = *kept;
    if (count > SIZE_MAX / 32)
        return sat_memory_fail(memory, SIZE_MAX / 2, error);
    nearest->losses = sat_alloc_array(memory, nearest->count, sizeof(double));
    nearest->sums = sat_alloc_array(memory, units(nearest->count) + 1, sizeof(double));
    if (labels)
        nearest->labels = sat_alloc_array(memory, nearest->count, sizeof(int32_t));
    satchel_status status = SATCHEL_OK;
    if (!nearest->losses || !nearest->sums || (labels && !nearest->labels))
        status = sat_memory_fail(memory, (size_t)sat_nearest_bytes(workers, space, count, labels),
                                 error);
    else
        status = make_scratch(nearest, error);
    if (status) {
        sat_nearest_close(nearest);
        return status;
    }
    for (size_t i = 0; i < nearest->count; i++)
        nearest->losses[i] = 1;
    for (size_t i = 0; i < nearest->count && labels; i++)
        nearest->labels[i] = -1;
    return SATCHEL_OK;
}

void sat_nearest_close(sat_nearest *nearest) {
    if (!nearest->workers)
        return;
    sat_memory *memory = &nearest->workers->context->memory;
    for (size_t t = 0; t < nearest->threads; t++)
        sat_free_aligned(memory, nearest->scratch[t]);
    sat_free(memory, nearest->scratch);
    sat_free(memory, nearest->losses);
    sat_free(memory, nearest->labels);
    sat_free(memory, nearest->sums);
    sat_free(memory, nearest->tried);
    sat_free(memory, nearest->gains);
    *nearest = (sat_nearest){0};
}

/* ------------------------------------------------------------------ a pass */

typedef struct add_job {
    sat_nearest *nearest;
    const sat_centroids *centres; /* NULL: lengths of rows only */
    const sat_source_block *block;
    size_t rows;   /* that a thread works on at a time */
    size_t trials; /* centres are tried, not added; 0: added */
} add_job;

/* Rows that a thread works on. */
typedef struct part {
    const add_job *job;
    scratch *own;
    const float *rows; /* (count, stride) */
    size_t count;
    int8_t *values;
    sat_point *points;
    double *losses;
    int32_t *labels;
    double *tried; /* (count, trials), or NULL */
} part;

static double loss_of(const sat_space *space, const float *row, const float *centre) {
    const sat_cluster_kernels *kernels = space->kernels;
    if (!space->inner)
        return kernels->distance(row, centre, space->dimension);
    double length = sqrt(kernels->dot(row, row, space->dimension));
    double loss = length - kernels->dot(row, centre, space->dimension);
    return loss > length * LEAST_LOSS ? loss : 0;
}

double sat_nearest_loss(const sat_nearest *nearest, const float *row, const float *centre) {
    return loss_of(nearest->space, row, centre);
}

/* The score no centre with a smaller loss can exceed, rounded up. See kernels.h for the score. */
static float threshold_of(const sat_space *space, const sat_point *point, double loss) {
    double factor = space->factor, score;
    if (loss == 0)
        return -FLT_MAX; /* nothing is smaller */
    if (space->inner) {
        if (point->square == 0) /* too short to tell */
            return FLT_MAX;
        /* −2 x'·c' where ‖x‖ − x·c is the loss; 1 / (2 square) is ‖x'‖, roughly. */
        score = 2 * factor * (factor * loss - 0.5 / point->square * (1 - 0x1p-21));
    } else {
        score = factor * factor * loss - point->square;
    }
    score += fabs(score) * 0x1p-22 + FLT_MIN;
    return score < FLT_MAX ? (float)score : FLT_MAX;
}

/* A row at a centre: the loss, if it is the least so far, or what it would be. */
static void offer(const part *p, size_t row, size_t centre) {
    const sat_nearest *nearest = p->job->nearest;
    const sat_space *space = nearest->space;
    double loss = loss_of(space, p->rows + row * p->job->block->stride,
                          p->job->centres->values + centre * space->dimension);
    int32_t label = (int32_t)(nearest->centres + centre);
    if (p->tried) {
        if (loss < p->losses[row])
            p->tried[row * p->job->trials + centre] = loss;
    } else if (loss < p->losses[row]) {
        p->losses[row] = loss;
        if (p->labels)
            p->labels[row] = label;
    } else if (loss == p->losses[row] && p->labels && label < p->labels[row]) {
        p->labels[row] = label;
    }
}

/* A row some centre of a panel may be nearer to: lane `lane` of the tile just scored. The likeliest
 * goes first: added, it rules most of the others out. */
static void offer_panel(const part *p, size_t row, size_t panel, size_t lane) {
    const sat_tile *tile = &p->own->tile;
    const float *score = tile->score[lane];
    sat_point *point = &p->points[row];
    float margin = tile->margin[lane];
    size_t first = panel * SAT_PANEL, left = p->job->centres->count - first, best = 0;
    size_t count = left < SAT_PANEL ? left : SAT_PANEL;
    for (size_t j = 1; j < count; j++)
        best = score[j] < score[best] ? j : best;
    if (score[best] - margin > point->threshold)
        return;
    offer(p, row, first + best);
    point->threshold = threshold_of(p->job->nearest->space, point, p->losses[row]);
    for (size_t j = 0; j < count; j++)
        if (j != best && score[j] - margin <= point->threshold) {
            offer(p, row, first + j);
            point->threshold = threshold_of(p->job->nearest->space, point, p->losses[row]);
        }
}

static void score_panel(const part *p, size_t panel) {
    const sat_space *space = p->job->nearest->space;
    sat_tile *tile = &p->own->tile;
    tile->panel = &p->job->centres->panel[panel];
    for (size_t i = 0; i < p->count; i += SAT_TILE) {
        size_t lanes = p->count - i < SAT_TILE ? p->count - i : SAT_TILE;
        for (size_t l = 0; l < SAT_TILE; l++) {
            size_t row = i + (l < lanes ? l : lanes - 1);
            tile->rows[l] = p->values + row * space->stride;
            tile->points[l] = &p->points[row];
        }
        uint32_t hits = space->kernels->tile(tile);
        if (lanes < SAT_TILE)
            hits &= (1U << lanes) - 1;
        for (; hits != 0; hits &= hits - 1) {
            size_t l = (size_t)__builtin_ctz(hits);
            offer_panel(p, i + l, panel, l);
        }
    }
}

static void add_to_part(const part *p, bool estimated) {
    const sat_nearest *nearest = p->job->nearest;
    const sat_space *space = nearest->space;
    const sat_centroids *centres = p->job->centres;
    size_t stride = p->job->block->stride;
    if (!centres) {
        for (size_t r = 0; r < p->count; r++) {
            const float *row = p->rows + r * stride;
            p->losses[r] = sqrt(space->kernels->dot(row, row, space->dimension));
        }
        return;
    }
    for (size_t r = 0; r < p->count && nearest->centres == 0; r++)
        p->losses[r] = INFINITY;
    for (size_t i = 0; i < p->count * p->job->trials; i++)
        p->tried[i] = INFINITY;
    if (centres->far) {
        for (size_t r = 0; r < p->count; r++)
            for (size_t c = 0; c < centres->count; c++)
                offer(p, r, c);
        return;
    }
    for (size_t r = 0; r < p->count; r++) {
        if (!estimated)
            sat_estimate_row(space, p->rows + r * stride, p->values + r * space->stride,
                             &p->points[r]);
        p->points[r].threshold = threshold_of(space, &p->points[r], p->losses[r]);
    }
    size_t depth = (size_t)space->kernels->depth;
    p->own->tile.steps = (space->dimension + depth - 1) / depth;
    p->own->tile.inner = space->inner;
    for (size_t panel = 0; panel < centres->panels; panel++)
        score_panel(p, panel);
}

static void add_parts(void *user, int thread, size_t begin, size_t end) {
    const add_job *job = user;
    sat_nearest *nearest = job->nearest;
    const sat_kept_rows *kept = &nearest->kept;
    scratch *own = nearest->scratch[thread];
    for (size_t index = begin; index < end && !sat_cancelled(nearest->workers->cancel); index++) {
        size_t at = index * job->rows, left = job->block->count - at;
        size_t first = (size_t)job->block->first + at; /* in the source */
        part p = {.job = job,
                  .own = own,
                  .rows = job->block->rows + at * job->block->stride,
                  .count = left < job->rows ? left : job->rows,
                  .values = own->values,
                  .points = own->points,
                  .losses = nearest->losses + first,
                  .labels = nearest->labels ? nearest->labels + first : NULL,
                  .tried = job->trials > 0 ? nearest->tried + first * job->trials : NULL};
        bool keep = kept->values && first + p.count <= kept->rows;
        if (keep) {
            p.values = kept->values + first * nearest->space->stride;
            p.points = kept->points + first;
        }
        add_to_part(&p, keep && first + p.count <= *kept->filled);
    }
}

/* Adds centres, or tries them. */
static satchel_status pass_over(sat_nearest *nearest, sat_source *source, float *centres,
                                size_t count, bool only_try, satchel_error *error) {
    const sat_workers *workers = nearest->workers;
    const sat_space *space = nearest->space;
    sat_memory *memory = &workers->context->memory;
    sat_centroids packed = {0};
    satchel_status status = SATCHEL_OK;
    if (count > 0) {
        status = sat_centroids_open(&packed, memory, space, centres, count, error);
        if (status)
            return status;
        for (size_t i = 0; i < count; i++)
            sat_centroids_refresh(&packed, i);
        sat_centroids_survey(&packed);
        for (size_t p = 0; p < packed.panels; p++)
            sat_centroids_pack(&packed, p);
    }
    uint64_t filled = 0;
    sat_source_block block = {0};
    add_job job = {nearest, count > 0 ? &packed : NULL, &block, sat_pass_block(space),
                   only_try ? count : 0};
    status = sat_source_rewind(source, error);
    while (!status) {
        status = sat_source_next(source, &block, error);
        if (status || block.count == 0)
            break;
        size_t parts = block.count / job.rows + (block.count % job.rows != 0);
        sat_pool_run(workers->context->pool, workers->priority, workers->threads, parts, 1,
                     add_parts, &job);
        status = sat_cancel_check(workers->cancel, error);
        /* Whole parts of this block that lie among the kept rows. */
        uint64_t end = block.first + block.count;
        if (end > nearest->kept.rows && nearest->kept.rows > block.first)
            end = block.first + (nearest->kept.rows - block.first) / job.rows * job.rows;
        filled = end <= nearest->kept.rows ? end : filled;
    }
    if (!status) {
        if (count > 0 && !packed.far && nearest->kept.values && filled > *nearest->kept.filled)
            *nearest->kept.filled = filled;
        nearest->centres += only_try ? 0 : count;
    }
    sat_centroids_close(&packed, memory);
    return status;
}

satchel_status sat_nearest_add(sat_nearest *nearest, sat_source *source, float *centres,
                               size_t count, satchel_error *error) {
    return pass_over(nearest, source, centres, count, false, error);
}

/* ------------------------------------------------------------------ trying */

static void gain_units(void *user, int thread, size_t begin, size_t end) {
    sat_nearest *nearest = user;
    (void)thread;
    size_t trials = nearest->trials;
    for (size_t u = begin; u < end; u++) {
        double *gains = nearest->gains + u * trials;
        for (size_t t = 0; t < trials; t++)
            gains[t] = 0;
        size_t row = u * SAT_UNIT, left = nearest->count - row;
        for (size_t last = row + (left < SAT_UNIT ? left : SAT_UNIT); row < last; row++) {
            const double *tried = nearest->tried + row * trials;
            double weight = nearest->weight ? nearest->weight[row] : 1;
            for (size_t t = 0; t < trials; t++)
                if (tried[t] < nearest->losses[row])
                    gains[t] += weight * (nearest->losses[row] - tried[t]);
        }
    }
}

satchel_status sat_nearest_try(sat_nearest *nearest, sat_source *source, float *centres,
                               size_t count, size_t *best, satchel_error *error) {
    const sat_workers *workers = nearest->workers;
    sat_memory *memory = &workers->context->memory;
    size_t bytes, parts = units(nearest->count);
    *best = 0;
    if (!sat_mul_size(nearest->count, SAT_PANEL * sizeof(double), &bytes))
        return sat_memory_fail(memory, SIZE_MAX / 2, error);
    if (!nearest->tried)
        nearest->tried = sat_alloc(memory, bytes);
    if (!nearest->gains)
        nearest->gains = sat_alloc_array(memory, parts, SAT_PANEL * sizeof(double));
    if (!nearest->tried || !nearest->gains)
        return sat_memory_fail(memory, bytes, error);
    satchel_status status = pass_over(nearest, source, centres, count, true, error);
    if (status)
        return status;
    nearest->trials = count;
    sat_pool_run(workers->context->pool, workers->priority, workers->threads, parts, 16, gain_units,
                 nearest);
    for (size_t u = 1; u < parts; u++)
        for (size_t t = 0; t < count; t++)
            nearest->gains[t] += nearest->gains[u * count + t];
    for (size_t t = 1; t < count; t++)
        if (nearest->gains[t] > nearest->gains[*best])
            *best = t;
    return SATCHEL_OK;
}

void sat_nearest_take(sat_nearest *nearest, size_t index) {
    const double *tried = nearest->tried + index;
    for (size_t row = 0; row < nearest->count; row++, tried += nearest->trials)
        if (*tried < nearest->losses[row])
            nearest->losses[row] = *tried;
    nearest->centres++;
}

/* ------------------------------------------------------------------ drawing */

static double weighted(const sat_nearest *nearest, size_t row) {
    return nearest->weight ? nearest->weight[row] * nearest->losses[row] : nearest->losses[row];
}

static void sum_units(void *user, int thread, size_t begin, size_t end) {
    sat_nearest *nearest = user;
    (void)thread;
    for (size_t u = begin; u < end; u++) {
        size_t row = u * SAT_UNIT, left = nearest->count - row;
        double sum = 0;
        for (size_t last = row + (left < SAT_UNIT ? left : SAT_UNIT); row < last; row++)
            sum += weighted(nearest, row);
        nearest->sums[u + 1] = sum;
    }
}

double sat_nearest_sum(sat_nearest *nearest) {
    const sat_workers *workers = nearest->workers;
    size_t count = units(nearest->count);
    sat_pool_run(workers->context->pool, workers->priority, workers->threads, count, 64, sum_units,
                 nearest);
    nearest->sums[0] = 0;
    for (size_t u = 0; u < count; u++)
        nearest->sums[u + 1] += nearest->sums[u];
    return nearest->sums[count];
}

size_t sat_nearest_draw(const sat_nearest *nearest, double fraction) {
    size_t low = 0, high = units(nearest->count); /* the unit is in [low, high) */
    double target = fraction * nearest->sums[high];
    /* The product may round up to the whole sum, which lies past all units. */
    if (!(target < nearest->sums[high]))
        target = nextafter(nearest->sums[high], 0);
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (nearest->sums[middle] <= target)
            low = middle;
        else
            high = middle;
    }
    /* sums[low] <= target < sums[low + 1], so the unit's own sum is not 0. */
    double rest = target - nearest->sums[low], sum = 0;
    size_t row = low * SAT_UNIT, left = nearest->count - row, drawn = row;
    for (size_t last = row + (left < SAT_UNIT ? left : SAT_UNIT); row < last; row++) {
        double value = weighted(nearest, row);
        if (value > 0) {
            drawn = row;
            sum += value;
            if (sum > rest)
                break;
        }
    }
    return drawn;
}
