/*
 * Kernels of clustering, one table per instruction-set level.
 *
 * Two kinds. The exact ones (dot, distance, add, subtract) give the same bits on every level: they decide
 * labels, centroids and inertia. The others (quantize, dots, tile) only find out which centroids may be
 * nearest: rows and centroids are rounded to int8, and every result comes with a bound on its error
 * that holds whatever the level rounds to. So levels may differ there, and labels do not.
 *
 * The estimate. A row x, less a common centre and times a power of two that brings the largest coordinate
 * near 1, is x' = x̂ + eₓ with x̂ = scale · int8; a centroid likewise c' = ĉ + e_c. The score to be least
 * is, up to a term of x alone,
 *     s(x, c) = norm(c) − 2 x'·c'       norm(c) = ‖c'‖², or for inner products what the centre leaves
 * and |x'·c' − x̂·ĉ| <= ‖eₓ‖ ‖c'‖ + ‖x̂‖ ‖e_c‖ bounds what the int8 product leaves open.
 */
#ifndef SATCHEL_CLUSTER_KERNELS_H
#define SATCHEL_CLUSTER_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SAT_PANEL = 32,     /* centroids in a panel, the unit of packing and of skipping */
    SAT_TILE = 8,       /* rows in a tile */
    SAT_ROW_ALIGN = 64, /* int8 rows are padded with zeros to a multiple of this */
};

/* What is known of a row beside its int8 values. All in the centred, scaled space. */
typedef struct sat_point {
    float scale;  /* −2 · the row's scale */
    float error;  /* 2 ‖eₓ‖, rounded up */
    float length; /* 2 ‖x̂‖, rounded up */
    float
        square; /* Euclidean: ‖x'‖², rounded down. Inner product: 1 / (2 ‖x'‖), 0 for a zero row */
    float threshold; /* the score of the best centroid known so far, rounded up */
    int32_t sum;     /* Σ of the int8 values */
    double norm;     /* ‖x‖² by the exact kernel, neither centred nor scaled */
} sat_point;

/* What quantizing gives. */
typedef struct sat_quantized {
    float scale;   /* x̂ = scale · int8 */
    int32_t sum;   /* Σ int8 */
    double square; /* ‖x'‖², within 2⁻⁴⁰ of itself */
    double error;  /* ‖eₓ‖², rounded up */
    double length; /* ‖x̂‖², rounded up */
} sat_quantized;

/* A panel: up to 32 centroids and what bounds them together. */
typedef struct sat_panel {
    /* [steps][32][depth] bytes: value + offset, see the table. 64-byte aligned. */
    const uint8_t *bytes;
    float norm[SAT_PANEL];  /* norm(c); 1e30 in unused columns */
    float scale[SAT_PANEL]; /* ĉ = scale · value; 0 in unused columns */
    float error;            /* greatest ‖c'‖ of the panel, rounded up */
    float length; /* greatest ‖e_c‖ and what float arithmetic adds to it, rounded up */
    float slack;  /* the rest: rounding of scores, of the exact kernels */
} sat_panel;

/*
 * One tile: SAT_TILE rows against a panel. Lane r:
 *   dot[j]   = Σ value(row r)[i] · value(column j)[i], exact in int32
 *   score[j] = norm[j] + (scale_r · scale[j] · dot[j]), float, in any order of rounding
 *   margin   = error_r · panel.error + length_r · panel.length + panel.slack
 *   low      = min over j of score[j] − margin
 *   bound    = sqrt(max(0, low + square_r)); for inner products max(0, low · square_r + offset)
 *   code     = (bound + drift) · per_unit, rounded down, at most 65535
 * Rounding of bound to code need not be careful beyond 2⁻²⁰ relative of what is added; `per_unit` and
 * panel.slack allow for that.
 */
typedef struct sat_tile {
    const int8_t *rows[SAT_TILE];      /* padded to SAT_ROW_ALIGN */
    const sat_point *points[SAT_TILE]; /* unused lanes repeat a used one */
    const sat_panel *panel;
    size_t steps;                     /* ceil(dimension / depth) */
    float drift;                      /* see pass.h */
    float per_unit;                   /* codes in a unit of length */
    float offset;                     /* inner product only */
    int32_t inner;                    /* 1: inner product */
    float score[SAT_TILE][SAT_PANEL]; /* out */
    float margin[SAT_TILE];           /* out */
    float low[SAT_TILE];              /* out */
    uint16_t code[SAT_TILE];          /* out */
} sat_tile;

typedef struct sat_cluster_kernels {
    int32_t level;     /* SATCHEL_CPU_* */
    int32_t depth;     /* coordinates a panel keeps together: 4, or 8 for matrix products */
    int32_t offset;    /* added to centroid values: 128, 64 (7 bits) or 0 (signed) */
    int32_t limit;     /* centroid values lie in −limit..limit: 127, or 63 for 7 bits */
    int32_t row_limit; /* and row values in −row_limit..row_limit: 127, or 64 */

    /* out[i] = round((x[i] − centre[i]) · factor / scale) with scale = max |…| / limit (0 if all are
     * 0), |out| <= limit; `padded` bytes are written, zeros past n. centre may be NULL: zeros. All is
     * finite and differences fit a float; a row whose scale would be under 1e-30 gets 0. */
    void (*quantize)(int8_t *out, sat_quantized *result, const float *x, const float *centre,
                     float factor, int32_t limit, size_t n, size_t padded);
    /* out[r] = Σ rows[r][i] · value of centroid labels[r] [i], r < count: the centroid's bytes are stored
     * with `offset` added, as in a panel, but a row for each centroid; sum from points[r]. stride: a
     * multiple of SAT_ROW_ALIGN. */
    void (*dots)(int32_t *out, const int8_t *rows, const sat_point *points,
                 const uint8_t *centroids, const int32_t *labels, size_t stride, size_t count);
    /* Fills the outputs of a tile. Returns bit r set where low[r] <= points[r]->threshold. */
    uint32_t (*tile)(sat_tile *tile);

    /* Exact: 8 lanes of double (lane i takes elements i, i + 8, …), products exact, then the tree
     * ((0+4)+(2+6))+((1+5)+(3+7)). Same bits on every level. */
    double (*dot)(const float *a, const float *b, size_t n); /* Σ a·b */
    /* Σ (a − b)²: difference in double, its square rounded before it is added (no fma). */
    double (*distance)(const float *a, const float *b, size_t n);
    /* sums[i] ± = round-to-even(x[i] · scale), |x · scale| < 2⁵¹, scale a power of two. */
    void (*add)(int64_t *sums, const float *x, double scale, size_t n);
    void (*subtract)(int64_t *sums, const float *x, double scale, size_t n);
} sat_cluster_kernels;

/* Never NULL: the best table not above `level`, SATCHEL_CPU_*; the machine must have that level. */
const sat_cluster_kernels *sat_cluster_kernels_for(int32_t level);

/* The tables; kernels.c chooses. Those of other instruction sets are not in this build. */
extern const sat_cluster_kernels sat_cluster_kernels_c;
extern const sat_cluster_kernels sat_cluster_kernels_avx2, sat_cluster_kernels_avxvnni,
    sat_cluster_kernels_avx512;
extern const sat_cluster_kernels sat_cluster_kernels_neon, sat_cluster_kernels_dotprod,
    sat_cluster_kernels_i8mm;

#endif
