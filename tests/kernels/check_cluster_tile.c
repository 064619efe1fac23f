/* Checks of clustering's tile: its products are exact, its scores and bounds what the contract says, and
 * the bounds hold for true scores in long double. */
#include <float.h>
#include <math.h>

#include "base/cpu.h"
#include "cluster/kernels.h"
#include "tests/kernels/check.h"

static const size_t dimensions[] = {1,  2,   3,   4,   5,   7,   8,   9,   12,  13,
                                    16, 17,  24,  28,  31,  32,  33,  60,  64,  65,
                                    96, 100, 127, 128, 133, 384, 500, 767, 768, 1000};
enum { DIMENSIONS = sizeof dimensions / sizeof *dimensions };

/* Scores, margins and bounds are a handful of float operations: relative to the sum of magnitudes. */
#define TILE_RELATIVE 0x1p-20L
#define UNUSED_NORM 1e30f

/* A tile and what it points to, in buffers that end where memory ends. */
typedef struct tile_data {
    const sat_cluster_kernels *kernels;
    size_t dimension, stride;
    sat_tile *tile;
    sat_panel *panel;
    sat_point *points[SAT_TILE];
    int8_t *rows[SAT_TILE];
    int8_t *values; /* (SAT_PANEL, stride): the centroids' */
} tile_data;

static tile_data make_tile(int32_t level, size_t dimension) {
    tile_data t = {.kernels = sat_cluster_kernels_for(level), .dimension = dimension};
    size_t depth = (size_t)t.kernels->depth, steps = (dimension + depth - 1) / depth;
    t.stride = (dimension + SAT_ROW_ALIGN - 1) / SAT_ROW_ALIGN * SAT_ROW_ALIGN;
    t.tile = check_buffer(sizeof *t.tile, 0);
    t.panel = check_buffer(sizeof *t.panel, 0);
    t.panel->bytes = check_buffer(steps * SAT_PANEL * depth, 0);
    t.values = check_buffer(SAT_PANEL * t.stride, 0);
    memset(t.values, 0, SAT_PANEL * t.stride);
    t.tile->panel = t.panel;
    t.tile->steps = steps;
    for (int r = 0; r < SAT_TILE; r++) {
        t.tile->rows[r] = t.rows[r] = check_buffer(t.stride, 0);
        t.tile->points[r] = t.points[r] = check_buffer(sizeof *t.points[r], 8 * check_below(4));
        memset(t.rows[r], 0, t.stride);
    }
    return t;
}

static void pack(tile_data *t) {
    size_t depth = (size_t)t->kernels->depth;
    uint8_t *bytes = (uint8_t *)(uintptr_t)t->panel->bytes;
    for (size_t s = 0; s < t->tile->steps; s++)
        for (size_t j = 0; j < SAT_PANEL; j++)
            for (size_t d = 0; d < depth; d++)
                bytes[(s * SAT_PANEL + j) * depth + d] =
                    (uint8_t)(t->values[j * t->stride + s * depth + d] + t->kernels->offset);
    for (int r = 0; r < SAT_TILE; r++) {
        int32_t sum = 0;
        for (size_t i = 0; i < t->stride; i++)
            sum += t->rows[r][i];
        t->points[r]->sum = sum;
    }
}

static int32_t product(const tile_data *t, int r, int j) {
    int32_t sum = 0;
    for (size_t i = 0; i < t->dimension; i++)
        sum += t->tile->rows[r][i] * t->values[(size_t)j * t->stride + i];
    return sum;
}

static void random_values(tile_data *t) {
    for (int r = 0; r < SAT_TILE; r++)
        check_values(t->rows[r], t->dimension, t->kernels->row_limit);
    for (size_t j = 0; j < SAT_PANEL; j++)
        check_values(t->values + j * t->stride, t->dimension, t->kernels->limit);
    pack(t);
}

/* With scales of 1 and norms of 0 a score is the product; below 2²⁴ floats hold it. */
static void products(int32_t level) {
    for (int round = 0; round < 4; round++)
        for (int i = 0; i < DIMENSIONS; i++) {
            tile_data t = make_tile(level, dimensions[i]);
            random_values(&t);
            for (int j = 0; j < SAT_PANEL; j++) {
                t.panel->norm[j] = 0;
                t.panel->scale[j] = 1;
            }
            t.panel->error = t.panel->length = t.panel->slack = 0;
            t.tile->drift = t.tile->per_unit = t.tile->offset = 0;
            t.tile->inner = 0;
            for (int r = 0; r < SAT_TILE; r++) {
                int32_t sum = t.points[r]->sum;
                *t.points[r] = (sat_point){.scale = 1, .sum = sum};
            }
            t.kernels->tile(t.tile);
            for (int r = 0; r < SAT_TILE; r++)
                for (int j = 0; j < SAT_PANEL; j++)
                    EXPECT(t.tile->score[r][j] == (float)product(&t, r, j),
                           "dimension %zu row %d column %d: %g, not %d", t.dimension, r, j,
                           t.tile->score[r][j], product(&t, r, j));
            check_release();
        }
}

/* ------------------------------------------------------------------ formulas */

static void random_fields(tile_data *t) {
    t->panel->error = (float)check_uniform(0, 2);
    t->panel->length = (float)check_uniform(0, 0.02);
    t->panel->slack = (float)check_uniform(0, 1e-3);
    size_t used = 1 + check_below(SAT_PANEL);
    for (size_t j = 0; j < SAT_PANEL; j++) {
        bool unused = j >= used && used > SAT_PANEL / 2;
        t->panel->norm[j] = unused ? UNUSED_NORM : (float)check_uniform(-1, 2);
        t->panel->scale[j] = unused ? 0 : (float)check_uniform(0.001, 0.01);
    }
    t->tile->drift = (float)check_uniform(0, 2);
    t->tile->per_unit = (float)check_uniform(1, check_below(4) ? 8000 : 60000);
    t->tile->offset = (float)check_uniform(0, 2);
    t->tile->inner = (int32_t)check_below(2);
    for (int r = 0; r < SAT_TILE; r++) {
        sat_point *p = t->points[r];
        p->scale = (float)check_uniform(-0.02, -0.001);
        p->error = (float)check_uniform(0, 0.1);
        p->length = (float)check_uniform(0, 2);
        p->square = check_below(8) ? (float)check_uniform(0, 2) : 0;
    }
}

static uint16_t whole(long double code) {
    return code >= 65535 ? 65535 : code <= 0 ? 0 : (uint16_t)code;
}

static long double bound_of(const sat_tile *tile, const sat_point *point, long double low) {
    long double x = tile->inner ? low * point->square + tile->offset : low + point->square;
    x = fmaxl(0, x);
    return tile->inner ? x : sqrtl(x);
}

static void check_lane(const tile_data *t, int r) {
    const sat_tile *tile = t->tile;
    const sat_point *p = tile->points[r];
    const sat_panel *panel = t->panel;
    long double margin = (long double)p->error * panel->error +
                         (long double)p->length * panel->length + panel->slack;
    long double least = INFINITY, size = 0;
    for (int j = 0; j < SAT_PANEL; j++) {
        long double term = (long double)p->scale * panel->scale[j] * product(t, r, j);
        long double score = panel->norm[j] + term, error = fabsl(panel->norm[j]) + fabsl(term);
        EXPECT(fabsl(tile->score[r][j] - score) <= error * TILE_RELATIVE,
               "dimension %zu row %d column %d: %g, exactly %Lg", t->dimension, r, j,
               tile->score[r][j], score);
        least = fminl(least, score);
        if (panel->norm[j] != UNUSED_NORM)
            size = fmaxl(size, error);
    }
    size += margin + p->square + fabsf(tile->offset);
    EXPECT(fabsl(tile->margin[r] - margin) <= margin * TILE_RELATIVE, "margin %g, exactly %Lg",
           tile->margin[r], margin);
    long double low = least - margin, off = size * TILE_RELATIVE;
    EXPECT(fabsl(tile->low[r] - low) <= off, "low %g, exactly %Lg", tile->low[r], low);
    long double most = (bound_of(tile, p, low + off) + tile->drift) * tile->per_unit;
    long double fewest = (bound_of(tile, p, low - off) + tile->drift) * tile->per_unit;
    EXPECT(tile->code[r] <= whole(most * (1 + TILE_RELATIVE)) &&
               tile->code[r] >= whole(fewest * (1 - TILE_RELATIVE)),
           "dimension %zu row %d inner %d: code %d, exactly %Lg to %Lg", t->dimension, r,
           tile->inner, tile->code[r], fewest, most);
}

static void formulas(int32_t level) {
    for (int round = 0; round < 4; round++)
        for (int i = 0; i < DIMENSIONS; i++) {
            tile_data t = make_tile(level, dimensions[i]);
            random_values(&t);
            random_fields(&t);
            size_t lanes = 1 + check_below(SAT_TILE);
            for (size_t r = lanes; r < SAT_TILE; r++) { /* repeated */
                t.tile->rows[r] = t.tile->rows[lanes - 1];
                t.tile->points[r] = t.tile->points[lanes - 1];
            }
            for (int r = 0; r < SAT_TILE; r++)
                t.points[r]->threshold = 0;
            t.kernels->tile(t.tile);
            for (int r = 0; r < SAT_TILE; r++)
                check_lane(&t, r);
            /* Bits at, just below and just above what has been found. */
            float low[SAT_TILE];
            uint32_t want = 0;
            for (int r = 0; r < SAT_TILE; r++) {
                low[r] = t.tile->low[r];
                int side = (int)check_below(3);
                if ((size_t)r < lanes)
                    t.points[r]->threshold = side == 0   ? low[r]
                                             : side == 1 ? nextafterf(low[r], INFINITY)
                                                         : nextafterf(low[r], -INFINITY);
                want |= (uint32_t)(low[r] <= t.tile->points[r]->threshold) << r;
            }
            uint32_t got = t.kernels->tile(t.tile);
            EXPECT(got == want, "dimension %zu: bits %x, not %x", t.dimension, got, want);
            EXPECT(memcmp(low, t.tile->low, sizeof low) == 0, "other bits the second time");
            check_release();
        }
}

/* ------------------------------------------------------------------ the bound */

/* A float not below x >= 0. */
static float above(double x) {
    return (float)(x * (1 + 0x1p-22)) + 0x1p-120f;
}

typedef struct estimate {
    float *x; /* (SAT_TILE, dimension) */
    float *c; /* (SAT_PANEL, dimension) */
    const float *centre;
    float factor;
} estimate;

/* Rows and centroids quantized, and their fields as an assignment fills them. */
static void fill_fields(tile_data *t, const estimate *e) {
    const sat_cluster_kernels *k = t->kernels;
    size_t n = t->dimension;
    double longest = 0, roughest = 0;
    for (size_t j = 0; j < SAT_PANEL; j++) {
        sat_quantized q;
        k->quantize(t->values + j * t->stride, &q, e->c + j * n, e->centre, e->factor, k->limit, n,
                    t->stride);
        t->panel->norm[j] = t->tile->inner ? 0 : (float)q.square;
        t->panel->scale[j] = q.scale;
        longest = fmax(longest, sqrt(q.square) * (1 + 1e-9));
        roughest = fmax(roughest, sqrt(q.error));
    }
    t->panel->error = above(longest);
    t->panel->length = above(roughest + 0x1p-20 * longest);
    t->panel->slack = above(0x1p-20 * longest * longest);
    for (int r = 0; r < SAT_TILE; r++) {
        sat_quantized q;
        k->quantize(t->rows[r], &q, e->x + (size_t)r * n, e->centre, e->factor, k->row_limit, n,
                    t->stride);
        float square = (float)(q.square * (1 - 0x1p-22));
        if (t->tile->inner)
            square = q.square > 0 ? (float)(0.5 / sqrt(q.square)) : 0;
        *t->points[r] = (sat_point){.scale = -2 * q.scale,
                                    .error = above(2 * sqrt(q.error)),
                                    .length = above(2 * sqrt(q.length)),
                                    .square = square};
    }
    pack(t);
}

/* Every true score lies within the margin of the estimate, and the codes below true distances. */
static void bound(int32_t level) {
    for (int i = 0; i < DIMENSIONS; i++)
        for (int style = 0; style < STYLE_SUBNORMAL; style++) {
            size_t n = dimensions[i];
            tile_data t = make_tile(level, n);
            estimate e = {check_buffer(SAT_TILE * n * 4, 0), check_buffer(SAT_PANEL * n * 4, 0),
                          check_buffer(n * 4, 0), 1};
            float *centre = check_buffer(n * 4, 0), most = 0;
            check_fill(centre, n, style);
            check_fill(e.x, SAT_TILE * n, style);
            check_fill(e.c, SAT_PANEL * n, style);
            for (size_t j = 0; j < SAT_PANEL * n; j++) /* some near a row, some on it */
                if (j / n < 2 * SAT_TILE)
                    e.c[j] = e.x[j % (SAT_TILE * n)] + (j / n < SAT_TILE ? 0 : 0.01f * e.c[j]);
            t.tile->inner = (int32_t)check_below(2);
            e.centre = t.tile->inner || check_below(2) ? NULL : centre;
            for (size_t j = 0; j < SAT_TILE * n; j++)
                most = fmaxf(most, fabsf(e.x[j]));
            e.factor = most > 0 ? ldexpf(1, -ilogbf(most)) : 1;
            fill_fields(&t, &e);
            t.tile->drift = (float)check_uniform(0, 1);
            t.tile->per_unit = (float)(65000 / (4 + 4 * sqrt((double)n)));
            t.tile->offset = t.panel->error;
            for (int r = 0; r < SAT_TILE; r++)
                t.points[r]->threshold = -FLT_MAX;
            t.kernels->tile(t.tile);
            for (int r = 0; r < SAT_TILE; r++) {
                long double nearest = INFINITY;
                for (int j = 0; j < SAT_PANEL; j++) {
                    long double score = 0, apart = 0, square = 0;
                    for (size_t d = 0; d < n; d++) {
                        long double o = e.centre ? e.centre[d] : 0;
                        long double a = (e.x[(size_t)r * n + d] - o) * e.factor;
                        long double b = (e.c[(size_t)j * n + d] - o) * e.factor;
                        score += (t.tile->inner ? 0 : b * b) - 2 * a * b;
                        apart += (a - b) * (a - b);
                        square += a * a;
                    }
                    if (t.tile->inner)
                        apart =
                            square > 0 ? score / (2 * sqrtl(square)) + t.tile->offset : INFINITY;
                    else
                        apart = sqrtl(apart);
                    nearest = fminl(nearest, apart);
                    EXPECT(fabsl(t.tile->score[r][j] - score) <= t.tile->margin[r],
                           "dimension %zu style %d inner %d: %g ± %g for %Lg", n, style,
                           t.tile->inner, t.tile->score[r][j], t.tile->margin[r], score);
                }
                long double limit = (nearest + t.tile->drift) * t.tile->per_unit;
                EXPECT(t.tile->code[r] <= limit * (1 + TILE_RELATIVE) + 1e-6L,
                       "dimension %zu style %d inner %d: code %d, truly %Lg", n, style,
                       t.tile->inner, t.tile->code[r], limit);
            }
            check_release();
        }
}

void check_cluster_tile(void) {
    check_run("cluster tile products", products);
    check_run("cluster tile formulas", formulas);
    check_run("cluster tile bound", bound);
}
