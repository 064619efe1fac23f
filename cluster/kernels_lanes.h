/*
 * The exact kernels of clustering and quantizing, for every level that has vectors: written once on the
 * compiler's own vector types, in registers as wide as the flags of the including file allow.
 */
#ifndef SATCHEL_CLUSTER_KERNELS_LANES_H
#define SATCHEL_CLUSTER_KERNELS_LANES_H

#include "base/kernel.h"
#include "cluster/kernels_rows.h"

#if defined(__AVX512F__)
#define SAT_WIDTH 8 /* doubles in a register */
#elif defined(__AVX2__)
#define SAT_WIDTH 4
#else
#define SAT_WIDTH 2
#endif

enum { LANES = 8, PARTS = LANES / SAT_WIDTH, BLOCK = 64 };

typedef double doubles __attribute__((vector_size(8 * SAT_WIDTH)));
typedef int64_t longs __attribute__((vector_size(8 * SAT_WIDTH)));
typedef int32_t ints __attribute__((vector_size(4 * SAT_WIDTH)));
/* The same in memory, at any address. */
typedef int64_t stored_longs __attribute__((vector_size(8 * SAT_WIDTH), aligned(8), may_alias));
typedef int32_t stored_ints __attribute__((vector_size(4 * SAT_WIDTH), aligned(4), may_alias));

/* Through intrinsics: compilers make two of a 512-bit conversion. */
INLINE doubles widen(const float *x) {
#if defined(__AVX512F__)
    return (doubles)_mm512_cvtps_pd(_mm256_loadu_ps(x));
#elif defined(__AVX2__)
    return (doubles)_mm256_cvtps_pd(_mm_loadu_ps(x));
#else
    return (doubles)vcvt_f64_f32(vld1_f32(x));
#endif
}

INLINE double sum_lanes(const doubles *part) {
    double lane[LANES];
    memcpy(lane, part, sizeof lane);
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) +
           ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

/* ------------------------------------------------------------------ exact */

INLINE void add_products(doubles *lane, const float *a, const float *b) {
    EACH (p, PARTS)
        lane[p] += widen(a + p * SAT_WIDTH) * widen(b + p * SAT_WIDTH);
}

INLINE void add_squares(doubles *lane, const float *a, const float *b) {
    EACH (p, PARTS) {
        doubles d = widen(a + p * SAT_WIDTH) - widen(b + p * SAT_WIDTH);
        lane[p] += d * d;
    }
}

/* Lanes without an element add +0, which changes nothing: no lane is −0. */
#define SAT_OVER_LANES(step)                                                                       \
    doubles lane[PARTS] = {{0}};                                                                   \
    size_t i = 0;                                                                                  \
    for (; i + LANES <= n; i += LANES)                                                             \
        step(lane, a + i, b + i);                                                                  \
    if (i < n) {                                                                                   \
        float last_a[LANES] = {0}, last_b[LANES] = {0};                                            \
        memcpy(last_a, a + i, (n - i) * sizeof *a);                                                \
        memcpy(last_b, b + i, (n - i) * sizeof *b);                                                \
        step(lane, last_a, last_b);                                                                \
    }                                                                                              \
    return sum_lanes(lane);

static double dot(const float *a, const float *b, size_t n) {
    SAT_OVER_LANES(add_products)
}

static double distance(const float *a, const float *b, size_t n) {
    SAT_OVER_LANES(add_squares)
}

#undef SAT_OVER_LANES

/* The integers nearest to x · scale, see sat_round_to_even. */
INLINE longs rounded(const float *x, double scale) {
    return (longs)(widen(x) * scale + SAT_ROUND_MAGIC64) - SAT_ROUND_BITS64;
}

static void add(int64_t *sums, const float *x, double scale, size_t n) {
    size_t i = 0;
    for (; i + SAT_WIDTH <= n; i += SAT_WIDTH)
        *(stored_longs *)(sums + i) += rounded(x + i, scale);
    for (; i < n; i++)
        sums[i] += sat_round_to_even((double)x[i] * scale);
}

static void subtract(int64_t *sums, const float *x, double scale, size_t n) {
    size_t i = 0;
    for (; i + SAT_WIDTH <= n; i += SAT_WIDTH)
        *(stored_longs *)(sums + i) -= rounded(x + i, scale);
    for (; i < n; i++)
        sums[i] -= sat_round_to_even((double)x[i] * scale);
}

/* ------------------------------------------------------------------ quantizing */

typedef struct quantizing {
    doubles squares[2], errors[2];
    ints sum, values;
    double factor, inverse, scale;
} quantizing;

INLINE void quantize_block(int8_t *out, quantizing *q, const float *x, const float *centre) {
    int32_t values[BLOCK];
    for (int i = 0; i < BLOCK; i += 2 * SAT_WIDTH)
        EACH (part, 2) {
            int at = i + part * SAT_WIDTH;
            doubles y = widen(x + at);
            if (centre)
                y -= widen(centre + at);
            y *= q->factor;
            doubles near = (y * q->inverse + SAT_ROUND_MAGIC64) - SAT_ROUND_MAGIC64;
            ints value = __builtin_convertvector(near, ints);
            doubles e = y - near * q->scale;
            *(stored_ints *)(values + at) = value;
            q->sum += value;
            q->values += value * value;
            q->squares[part] += y * y;
            q->errors[part] += e * e;
        }
    for (int i = 0; i < BLOCK; i++)
        out[i] = (int8_t)values[i];
}

/* The bits of a magnitude order like the magnitude; integers, unlike floats, have a maximum that
 * compilers may take in any order. */
INLINE float largest_difference(const float *x, const float *centre, size_t n) {
    int32_t most = 0;
    float largest;
    for (size_t i = 0; i < n; i++) {
        float y = centre ? x[i] - centre[i] : x[i];
        int32_t bits;
        memcpy(&bits, &y, sizeof bits);
        bits &= 0x7fffffff;
        most = bits > most ? bits : most;
    }
    memcpy(&largest, &most, sizeof largest);
    return largest;
}

INLINE void quantize_row(int8_t *out, sat_quantized *result, const float *x, const float *centre,
                         float factor, int32_t limit, size_t n, size_t padded) {
    quantizing q = {.factor = factor};
    float scale =
        sat_quantize_scale(fabsf(largest_difference(x, centre, n) * factor), limit, &q.inverse);
    q.scale = scale;
    size_t i = 0;
    for (; i + BLOCK <= n; i += BLOCK)
        quantize_block(out + i, &q, x + i, centre ? centre + i : NULL);
    if (i < padded)
        memset(out + i, 0, padded - i);
    if (i < n) {
        float last[BLOCK] = {0}, last_centre[BLOCK] = {0};
        int8_t bytes[BLOCK];
        memcpy(last, x + i, (n - i) * sizeof *x);
        if (centre)
            memcpy(last_centre, centre + i, (n - i) * sizeof *x);
        quantize_block(bytes, &q, last, last_centre);
        memcpy(out + i, bytes, n - i);
    }
    q.squares[0] += q.squares[1];
    q.errors[0] += q.errors[1];
    double squares = 0, errors = 0;
    int32_t sum = 0, values = 0;
    EACH (j, SAT_WIDTH) {
        squares += q.squares[0][j];
        errors += q.errors[0][j];
        sum += q.sum[j];
        values += q.values[j];
    }
    sat_quantize_result(result, scale, sum, values, squares, errors);
}

static void quantize(int8_t *out, sat_quantized *result, const float *x, const float *centre,
                     float factor, int32_t limit, size_t n, size_t padded) {
    if (centre)
        quantize_row(out, result, x, centre, factor, limit, n, padded);
    else
        quantize_row(out, result, x, NULL, factor, limit, n, padded);
}

/* The table of a level, of the functions above and its own dots() and tile(). */
#define KERNELS(name, cpu, panel_offset, panel_limit, most_of_row)                                 \
    const sat_cluster_kernels name = {                                                             \
        .level = (cpu),                                                                            \
        .depth = DEPTH,                                                                            \
        .offset = (panel_offset),                                                                  \
        .limit = (panel_limit),                                                                    \
        .row_limit = (most_of_row),                                                                \
        .quantize = quantize,                                                                      \
        .dots = dots,                                                                              \
        .tile = tile,                                                                              \
        .dot = dot,                                                                                \
        .distance = distance,                                                                      \
        .add = add,                                                                                \
        .subtract = subtract,                                                                      \
    }

#endif
