/* One pass of assignment over a chunk, block by block on the pool. */
#include "cluster/pass.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Bytes of int8 rows a thread works on: they are read once for each group and should stay in its
 * second-level cache, beside a panel in the first. */
#define BLOCK_BYTES ((size_t)256 * 1024)
/* Candidates collected before they are scored in double. */
#define CANDIDATES_PER_ROW 16
#define LARGEST_CODE 65535

typedef struct candidate {
    float low; /* lower bound on its score */
    uint32_t row, centroid;
} candidate;

typedef struct scratch {
    sat_tile tile;
    int8_t *values;        /* (block, stride), where the chunk keeps none */
    sat_point *points;     /* (block), likewise */
    int32_t *dots;         /* (block): row · own centroid */
    float *own_low;        /* (block): lower bound on the own centroid's score */
    double *best;          /* (block): least score in double so far */
    int32_t *best_label;   /* (block): whose; −1: none yet */
    uint32_t *starts;      /* (block + 2): where a row's candidates begin in `sorted` */
    uint32_t *sorted;      /* (block · CANDIDATES_PER_ROW): candidates by row */
    uint16_t *least;       /* (block): least code over a group's panels */
    uint16_t *list;        /* (groups, block): rows that need a group */
    uint32_t *list_count;  /* (groups) */
    candidate *candidates; /* (block · CANDIDATES_PER_ROW) */
    size_t candidate_count;
    sat_pass_counts counts;
} scratch;

struct sat_pass {
    const sat_workers *workers;
    const sat_space *space;
    size_t block, threads;
    scratch **scratches; /* (threads); made at first use by sat_pass_run */
    size_t groups;       /* the lists' capacity */
    uint64_t bytes;
};

typedef struct pass_job {
    sat_pass *pass;
    const sat_centroids *centroids;
    const sat_groups *groups; /* NULL: no bounds */
    sat_chunk *chunk;
    bool first;   /* rows have no labels yet */
    float offset; /* of bounds, see sat_tile */
} pass_job;

/* One block's view. */
typedef struct block {
    const pass_job *job;
    scratch *own;
    size_t begin, count; /* rows of the chunk */
    const float *rows;
    const int8_t *values;
    sat_point *points;
    int32_t *labels;
    uint16_t *codes; /* (count, groups), or NULL */
} block;

/* ------------------------------------------------------------------ bounds */

/* A score's bound as a length; see sat_tile. */
static float bound_of(const pass_job *job, const sat_point *point, float score) {
    if (job->pass->space->inner)
        return fmaxf(0, score * point->square + job->offset);
    return sqrtf(fmaxf(0, score + point->square));
}

static uint16_t code_of(const pass_job *job, const sat_point *point, float low, size_t group) {
    float code = (bound_of(job, point, low) + job->groups->drift[group]) * job->groups->per_unit;
    return code >= LARGEST_CODE ? LARGEST_CODE : (uint16_t)code;
}

/* The least code that, less its group's drift, exceeds the score. */
static uint32_t code_above(const pass_job *job, const sat_point *point, float score) {
    float code;
    if (job->pass->space->inner)
        code = (score * point->square + job->offset) * job->groups->per_unit;
    else
        code = sqrtf(fmaxf(0, score + point->square * (1 + 0x1p-20F))) * job->groups->per_unit;
    code = code * (1 + 0x1p-20F) + 2;
    return code >= LARGEST_CODE ? LARGEST_CODE : (uint32_t)fmaxf(code, 0);
}

/* ------------------------------------------------------------------ rows */

void sat_estimate_row(const sat_space *space, const float *row, int8_t *values, sat_point *point) {
    const sat_cluster_kernels *kernels = space->kernels;
    sat_quantized q;
    kernels->quantize(values, &q, row, space->centre, space->factor, kernels->row_limit,
                      space->dimension, space->stride);
    point->scale = -2 * q.scale;
    point->sum = q.sum;
    point->error = sat_above(2 * sqrt(q.error));
    point->length = sat_above(2 * sqrt(q.length));
    point->norm = kernels->dot(row, row, space->dimension);
    if (space->inner) {
        double length = sqrt(point->norm) * space->factor;
        point->square = length > FLT_MIN ? (float)(0.5 / length) : 0;
    } else {
        point->square = sat_below(q.square);
    }
}

static void quantize(const block *b, int8_t *values) {
    const sat_space *space = b->job->pass->space;
    for (size_t r = 0; r < b->count; r++)
        sat_estimate_row(space, b->rows + r * b->job->chunk->row_stride, values + r * space->stride,
                         &b->points[r]);
}

/* The threshold of each row, from its own centroid. */
static void start_rows(const block *b) {
    const pass_job *job = b->job;
    const sat_centroids *centroids = job->centroids;
    const sat_space *space = job->pass->space;
    scratch *own = b->own;
    if (job->first) {
        for (size_t r = 0; r < b->count; r++)
            b->points[r].threshold = FLT_MAX;
        return;
    }
    space->kernels->dots(own->dots, b->values, b->points, centroids->rows, b->labels, space->stride,
                         b->count);
    for (size_t r = 0; r < b->count; r++) {
        sat_point *point = &b->points[r];
        size_t c = (size_t)b->labels[r];
        float score =
            centroids->norm[c] + point->scale * (centroids->scale[c] * (float)own->dots[r]);
        float margin = point->error * centroids->length[c] + point->length * centroids->error[c] +
                       centroids->slack[c];
        point->threshold = score + margin;
        own->own_low[r] = score - margin;
    }
}

typedef uint16_t codes8 __attribute__((vector_size(16), aligned(2)));

/* Rows to the lists of the groups whose bound does not rule them out. */
static void fill_lists(const block *b) {
    const pass_job *job = b->job;
    const sat_groups *groups = job->groups;
    scratch *own = b->own;
    size_t count = groups->count, capacity = job->pass->block;
    memset(own->list_count, 0, count * sizeof *own->list_count);
    uint16_t limit[SAT_MAX_GROUPS + 8];
    for (size_t r = 0; r < b->count; r++) {
        uint32_t threshold = code_above(job, &b->points[r], b->points[r].threshold);
        const uint16_t *codes = b->codes + r * count;
        /* Saturating: a limit that reaches the greatest code rules nothing out. */
        uint16_t room = (uint16_t)(LARGEST_CODE - threshold), base = (uint16_t)threshold;
        size_t g = 0;
        for (; g < count; g++) {
            uint16_t drift = groups->codes[g];
            limit[g] = (uint16_t)(drift > room ? LARGEST_CODE : base + drift);
        }
        for (g = 0; g + 8 <= count; g += 8) {
            codes8 code, most;
            memcpy(&code, codes + g, sizeof code);
            memcpy(&most, limit + g, sizeof most);
            codes8 needed = (codes8)(code <= most);
            uint64_t half[2];
            memcpy(half, &needed, sizeof half);
            if ((half[0] | half[1]) == 0)
                continue;
            for (size_t i = 0; i < 8; i++) {
                own->list[(g + i) * capacity + own->list_count[g + i]] = (uint16_t)r;
                own->list_count[g + i] += needed[i] & 1;
            }
        }
        for (; g < count; g++) {
            own->list[g * capacity + own->list_count[g]] = (uint16_t)r;
            own->list_count[g] += codes[g] <= limit[g];
        }
    }
}

/* ------------------------------------------------------------------ double */

static double exact_score(const block *b, size_t row, size_t centroid) {
    const sat_centroids *centroids = b->job->centroids;
    const sat_space *space = b->job->pass->space;
    const float *x = b->rows + row * b->job->chunk->row_stride;
    double dot =
        space->kernels->dot(x, centroids->values + centroid * space->dimension, space->dimension);
    b->own->counts.rechecks++;
    return space->inner ? -dot : centroids->norms[centroid] - 2 * dot;
}

static void offer(const block *b, size_t row, size_t centroid) {
    scratch *own = b->own;
    double score = exact_score(b, row, centroid);
    int32_t label = (int32_t)centroid;
    if (own->best_label[row] < 0 || score < own->best[row] ||
        (score == own->best[row] && label < own->best_label[row])) {
        own->best[row] = score;
        own->best_label[row] = label;
    }
}

/* Scores the first candidate of a row: its own centroid, or the most promising. The estimates' threshold
 * then comes down to that score, in their space and rounded up. */
static void offer_first(const block *b, size_t row, size_t centroid) {
    const sat_space *space = b->job->pass->space;
    sat_point *point = &b->points[row];
    offer(b, row, centroid);
    double scale = (double)space->factor * space->factor, score, rounding;
    if (space->inner) {
        score = 2 * scale * b->own->best[row];
        rounding = fabs(score);
    } else {
        double square = scale * (b->own->best[row] + point->norm); /* ‖x' − c'‖² */
        score = square - point->square;
        rounding = fabs(square) + point->square;
    }
    rounding = 0x1p-20 * rounding + b->job->centroids->slack[centroid];
    if ((float)(score + rounding) < point->threshold)
        point->threshold = (float)(score + rounding);
}

/* Scores in double the candidates that no other has ruled out: row by row, so that each row is read once. */
static void resolve(const block *b) {
    scratch *own = b->own;
    const candidate *candidates = own->candidates;
    size_t count = own->candidate_count;
    uint32_t *starts = own->starts;
    own->candidate_count = 0;
    memset(starts, 0, (b->count + 2) * sizeof *starts);
    for (size_t i = 0; i < count; i++)
        starts[candidates[i].row + 2]++;
    for (size_t r = 0; r < b->count; r++)
        starts[r + 2] += starts[r + 1];
    for (size_t i = 0; i < count; i++)
        own->sorted[starts[candidates[i].row + 1]++] = (uint32_t)i;
    for (size_t r = 0; r < b->count; r++) {
        uint32_t begin = starts[r], end = starts[r + 1];
        if (begin == end)
            continue;
        const sat_point *point = &b->points[r];
        uint32_t lead = own->sorted[begin];
        for (uint32_t i = begin + 1; i < end; i++)
            if (candidates[own->sorted[i]].low < candidates[lead].low)
                lead = own->sorted[i];
        if (candidates[lead].low > point->threshold)
            continue;
        if (own->best_label[r] < 0)
            offer_first(b, r, b->labels[r] >= 0 ? (size_t)b->labels[r] : candidates[lead].centroid);
        for (uint32_t i = begin; i < end; i++) {
            const candidate *c = &candidates[own->sorted[i]];
            if (c->low <= point->threshold && own->best_label[r] != (int32_t)c->centroid)
                offer(b, r, c->centroid);
        }
    }
}

/* ------------------------------------------------------------------ tiles */

typedef float floats4 __attribute__((vector_size(16), aligned(4)));
typedef int32_t ints4 __attribute__((vector_size(16)));

/* The least of a panel's scores. */
static float least_of(const float *score) {
    floats4 least;
    memcpy(&least, score, sizeof least);
    for (size_t j = 4; j < SAT_PANEL; j += 4) {
        floats4 s;
        memcpy(&s, score + j, sizeof s);
        ints4 less = s < least;
        least = (floats4)(((ints4)s & less) | ((ints4)least & ~less));
    }
    float a = least[0] < least[1] ? least[0] : least[1];
    float b = least[2] < least[3] ? least[2] : least[3];
    return a < b ? a : b;
}

/* Bit j: score[j] − margin <= threshold. */
static uint32_t within(const float *score, float margin, float threshold) {
    ints4 bit = {1, 2, 4, 8}, found = {0};
    for (size_t j = 0; j < SAT_PANEL; j += 4, bit <<= 4) {
        floats4 s;
        memcpy(&s, score + j, sizeof s);
        found |= (s - margin <= threshold) & bit;
    }
    return (uint32_t)(found[0] | found[1] | found[2] | found[3]);
}

/* A row some centroid of the tile's panel may be nearest to: lane `lane` of the tile just scored. */
static void collect(const block *b, size_t lane, size_t row, size_t panel, uint16_t *code,
                    size_t group) {
    const pass_job *job = b->job;
    scratch *own = b->own;
    sat_tile *tile = &own->tile;
    const uint32_t *order = job->centroids->order + panel * SAT_PANEL;
    float *score = tile->score[lane];
    float margin = tile->margin[lane];
    sat_point *point = &b->points[row];
    if (!job->first) {
        size_t slot = job->centroids->slot[b->labels[row]];
        if (slot / SAT_PANEL == panel) {
            /* The bound is for the others. */
            score[slot % SAT_PANEL] = FLT_MAX / 4;
            float low = least_of(score) - margin;
            if (job->groups)
                *code = code_of(job, point, low, group);
            if (low > point->threshold)
                return;
        }
    }
    if (own->candidate_count + SAT_PANEL > job->pass->block * CANDIDATES_PER_ROW)
        resolve(b);
    float least = FLT_MAX / 4;
    for (uint32_t left = within(score, margin, point->threshold); left != 0; left &= left - 1) {
        size_t j = (size_t)__builtin_ctz(left);
        if (order[j] == SAT_NO_CENTROID)
            continue;
        own->candidates[own->candidate_count++] =
            (candidate){.low = score[j] - margin, .row = (uint32_t)row, .centroid = order[j]};
        least = score[j] < least ? score[j] : least;
    }
    if (least + margin < point->threshold)
        point->threshold = least + margin;
}

/* Scores `rows` (a list, or NULL: all of the block) against a panel. */
static void score_panel(const block *b, size_t panel, const uint16_t *list, size_t count,
                        size_t group) {
    const pass_job *job = b->job;
    const sat_space *space = job->pass->space;
    const sat_cluster_kernels *kernels = space->kernels;
    scratch *own = b->own;
    sat_tile *tile = &own->tile;
    tile->panel = &job->centroids->panel[panel];
    size_t real = job->centroids->count - panel * SAT_PANEL;
    own->counts.products += (uint64_t)count * (real < SAT_PANEL ? real : SAT_PANEL);
    for (size_t i = 0; i < count; i += SAT_TILE) {
        size_t rows[SAT_TILE], lanes = count - i < SAT_TILE ? count - i : SAT_TILE;
        for (size_t l = 0; l < SAT_TILE; l++) {
            size_t at = i + (l < lanes ? l : lanes - 1);
            rows[l] = list ? list[at] : at;
            tile->rows[l] = b->values + rows[l] * space->stride;
            tile->points[l] = &b->points[rows[l]];
        }
        uint32_t hits = kernels->tile(tile);
        if (lanes < SAT_TILE)
            hits &= (1U << lanes) - 1;
        for (; hits != 0; hits &= hits - 1) {
            size_t l = (size_t)__builtin_ctz(hits);
            collect(b, l, rows[l], panel, &tile->code[l], group);
        }
        if (job->groups)
            for (size_t l = 0; l < lanes; l++)
                if (tile->code[l] < own->least[rows[l]])
                    own->least[rows[l]] = tile->code[l];
    }
}

static void score_all(const block *b) {
    for (size_t p = 0; p < b->job->centroids->panels; p++)
        score_panel(b, p, NULL, b->count, 0);
}

static void score_needed(const block *b) {
    const sat_groups *groups = b->job->groups;
    scratch *own = b->own;
    for (size_t g = 0; g < groups->count; g++) {
        const uint16_t *list = own->list + g * b->job->pass->block;
        size_t count = own->list_count[g];
        if (count == 0)
            continue;
        for (size_t i = 0; i < count; i++)
            own->least[list[i]] = LARGEST_CODE;
        own->tile.drift = groups->drift[g];
        size_t end = (g + 1) * groups->span;
        end = end < b->job->centroids->panels ? end : b->job->centroids->panels;
        for (size_t p = g * groups->span; p < end; p++)
            score_panel(b, p, list, count, g);
        for (size_t i = 0; i < count; i++)
            b->codes[list[i] * groups->count + g] = own->least[list[i]];
    }
}

/* ------------------------------------------------------------------ blocks */

/* Labels of rows whose nearest centroid changed, and what that does to bounds. */
static void finish_rows(const block *b, size_t index) {
    const pass_job *job = b->job;
    sat_chunk *chunk = job->chunk;
    scratch *own = b->own;
    uint32_t moved = 0;
    for (size_t r = 0; r < b->count; r++) {
        int32_t label = own->best_label[r], from = b->labels[r];
        if (label < 0 || label == from)
            continue;
        if (job->groups && from >= 0) {
            /* The bound of its old group left the old centroid out. */
            size_t group = job->centroids->slot[from] / SAT_PANEL / job->groups->span;
            uint16_t code = code_of(job, &b->points[r], own->own_low[r], group);
            uint16_t *kept = &b->codes[r * job->groups->count + group];
            *kept = code < *kept ? code : *kept;
        }
        chunk->moved[b->begin + moved] = (uint32_t)(b->begin + r);
        chunk->from[b->begin + moved] = from;
        moved++;
        b->labels[r] = label;
    }
    chunk->moved_count[index] = moved;
    own->counts.moved += moved;
}

static void assign_block(void *user, int thread, size_t begin, size_t end) {
    const pass_job *job = user;
    const sat_pass *pass = job->pass;
    const sat_space *space = pass->space;
    sat_chunk *chunk = job->chunk;
    for (size_t index = begin; index < end; index++) {
        scratch *own = pass->scratches[thread];
        size_t first = index * pass->block;
        chunk->moved_count[index] = 0;
        if (sat_cancelled(pass->workers->cancel))
            continue;
        block b = {.job = job, .own = own, .begin = first};
        b.count = chunk->count - first < pass->block ? chunk->count - first : pass->block;
        b.rows = chunk->rows + first * chunk->row_stride;
        b.labels = chunk->labels + first;
        b.codes = job->groups ? chunk->codes + first * job->groups->count : NULL;
        int8_t *values = chunk->values ? chunk->values + first * space->stride : own->values;
        b.values = values;
        b.points = chunk->points ? chunk->points + first : own->points;
        for (size_t r = 0; r < b.count; r++)
            own->best_label[r] = -1;
        own->candidate_count = 0;
        if (!chunk->quantized)
            quantize(&b, values);
        if (job->centroids->far) {
            for (size_t r = 0; r < b.count; r++)
                for (size_t c = 0; c < job->centroids->count; c++)
                    offer(&b, r, c);
        } else {
            start_rows(&b);
            if (job->groups) {
                fill_lists(&b);
                score_needed(&b);
            } else {
                score_all(&b);
            }
            resolve(&b);
        }
        finish_rows(&b, index);
    }
}

satchel_status sat_pass_run(sat_pass *pass, const sat_centroids *centroids,
                            const sat_groups *groups, sat_chunk *chunk, sat_pass_counts *counts,
                            satchel_error *error) {
    const sat_workers *workers = pass->workers;
    pass_job job = {.pass = pass,
                    .centroids = centroids,
                    .groups = groups,
                    .chunk = chunk,
                    .first = chunk->labels[0] < 0,
                    .offset = centroids->longest};
    for (size_t t = 0; t < pass->threads; t++) {
        scratch *own = pass->scratches[t];
        own->counts = (sat_pass_counts){0};
        own->tile.steps = (pass->space->dimension + (size_t)pass->space->kernels->depth - 1) /
                          (size_t)pass->space->kernels->depth;
        own->tile.inner = pass->space->inner;
        own->tile.offset = job.offset;
        own->tile.per_unit = groups ? groups->per_unit : 0;
        own->tile.drift = 0;
    }
    size_t blocks = chunk->count / pass->block + (chunk->count % pass->block != 0);
    sat_pool_run(workers->context->pool, workers->priority, workers->threads, blocks, 1,
                 assign_block, &job);
    satchel_status status = sat_cancel_check(workers->cancel, error);
    if (status != SATCHEL_OK)
        return status;
    for (size_t t = 0; t < pass->threads; t++) {
        counts->products += pass->scratches[t]->counts.products;
        counts->rechecks += pass->scratches[t]->counts.rechecks;
        counts->moved += pass->scratches[t]->counts.moved;
    }
    if (chunk->values)
        chunk->quantized = true;
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ open and close */

size_t sat_pass_block(const sat_space *space) {
    size_t rows = BLOCK_BYTES / space->stride / SAT_UNIT * SAT_UNIT;
    if (rows < SAT_UNIT)
        return SAT_UNIT;
    return rows < SAT_MAX_BLOCK ? rows : SAT_MAX_BLOCK;
}

size_t sat_groups_span(size_t panels, size_t most) {
    return panels / most + (panels % most != 0);
}

/* Takes `size` bytes of a block laid out from `base` on; base NULL: only counts. */
static void *take(uint8_t *base, size_t *used, size_t size) {
    void *at = base ? base + *used : NULL;
    *used += (size + 63) / 64 * 64;
    return at;
}

static size_t lay_out(scratch *own, uint8_t *base, size_t rows, size_t stride, size_t groups) {
    size_t used = 0;
    scratch laid = {0};
    take(base, &used, sizeof *own);
    laid.values = take(base, &used, rows * stride);
    laid.points = take(base, &used, rows * sizeof *laid.points);
    laid.dots = take(base, &used, rows * sizeof *laid.dots);
    laid.own_low = take(base, &used, rows * sizeof *laid.own_low);
    laid.best = take(base, &used, rows * sizeof *laid.best);
    laid.best_label = take(base, &used, rows * sizeof *laid.best_label);
    laid.starts = take(base, &used, (rows + 2) * sizeof *laid.starts);
    laid.sorted = take(base, &used, rows * CANDIDATES_PER_ROW * sizeof *laid.sorted);
    laid.least = take(base, &used, rows * sizeof *laid.least);
    laid.list = take(base, &used, groups * rows * sizeof *laid.list);
    laid.list_count = take(base, &used, groups * sizeof *laid.list_count);
    laid.candidates = take(base, &used, rows * CANDIDATES_PER_ROW * sizeof *laid.candidates);
    if (own)
        *own = laid;
    return used;
}

satchel_status sat_pass_open(sat_pass **out, const sat_workers *workers, const sat_space *space,
                             size_t k, satchel_error *error) {
    *out = NULL;
    sat_memory *memory = &workers->context->memory;
    size_t threads = (size_t)sat_pool_threads(workers->context->pool);
    sat_pass *pass = sat_calloc(memory, 1, sizeof *pass + threads * sizeof *pass->scratches);
    if (!pass)
        return sat_memory_fail(memory, sizeof *pass, error);
    size_t panels = k / SAT_PANEL + (k % SAT_PANEL != 0);
    pass->workers = workers;
    pass->space = space;
    pass->block = sat_pass_block(space);
    pass->threads = threads;
    pass->groups = panels < SAT_MAX_GROUPS ? panels : SAT_MAX_GROUPS;
    pass->scratches = (scratch **)(pass + 1);
    size_t size = lay_out(NULL, NULL, pass->block, space->stride, pass->groups);
    for (size_t t = 0; t < threads; t++) {
        uint8_t *base = sat_alloc_aligned(memory, size);
        if (!base) {
            sat_pass_close(&pass);
            return sat_memory_fail(memory, size, error);
        }
        pass->scratches[t] = (scratch *)(void *)base;
        lay_out(pass->scratches[t], base, pass->block, space->stride, pass->groups);
        pass->bytes += size;
    }
    *out = pass;
    return SATCHEL_OK;
}

void sat_pass_close(sat_pass **pass) {
    if (!*pass)
        return;
    sat_memory *memory = &(*pass)->workers->context->memory;
    for (size_t t = 0; t < (*pass)->threads; t++)
        sat_free_aligned(memory, (*pass)->scratches[t]);
    sat_free(memory, *pass);
    *pass = NULL;
}

uint64_t sat_pass_bytes(const sat_pass *pass) {
    return pass->bytes;
}
