/*
 * A decoder's steps with vectors of any width, written with the vectors that GCC and Clang make of an
 * instruction set: the 16 lanes of the contract are LANES / WIDTH of them. The file that includes it
 * defines before
 *   COLUMNS                  vectors of a tile in weigh(), with six rows of them in registers
 *   AT_LEAST(x, least)       x > least ? x : least, of each
 *   STORE_HALVES(p, x)       to the nearest halves
 *   BYTES(p)                 WIDTH signed bytes in memory as floats
 */
#ifndef SATCHEL_GENERATE_STEPS_VECTOR_H
#define SATCHEL_GENERATE_STEPS_VECTOR_H

#include <math.h>
#include <string.h>

#include "generate/kernels_isa.h"
#include "generate/matmul_kernels.h"
#include "generate/steps.h"
#include "generate/vectors.h"

enum { LANES = 16, PARTS = LANES / WIDTH, TILE = 6 };

typedef int32_t ints __attribute__((vector_size(4 * WIDTH)));
typedef float half_floats __attribute__((vector_size(2 * WIDTH)));
typedef double doubles __attribute__((vector_size(4 * WIDTH))); /* half as many */

/* ------------------------------------------------------------------ rows */

/* Adds 16 squares. */
INLINE void add_squares(doubles lane[2 * PARTS], const float *x) {
    EACH (j, 2 * PARTS) {
        half_floats some;
        memcpy(&some, x + j * (WIDTH / 2), sizeof some);
        doubles y = __builtin_convertvector(some, doubles);
        lane[j] += y * y;
    }
}

static void rms_norm(float *out, const float *x, const float *weight, size_t n, float epsilon) {
    doubles lane[2 * PARTS];
    double sum[LANES];
    size_t i = 0;
    EACH (j, 2 * PARTS)
        lane[j] = (doubles){0};
    for (; n - i >= LANES; i += LANES)
        add_squares(lane, x + i);
    if (i < n) {
        float last[LANES] = {0};
        memcpy(last, x + i, (n - i) * sizeof *x);
        add_squares(lane, last);
    }
    memcpy(sum, lane, sizeof sum);
    for (size_t width = LANES / 2; width > 0; width /= 2)
        for (size_t j = 0; j < width; j++)
            sum[j] += sum[j + width];
    float scale = (float)(1 / sqrt(sum[0] / (double)n + (double)epsilon));
    for (i = 0; n - i >= WIDTH; i += WIDTH)
        store_floats(out + i, load_floats(x + i) * all_floats(scale) * load_floats(weight + i));
    for (; i < n; i++)
        out[i] = x[i] * scale * weight[i];
}

static void turn(float *x, const float *angles, size_t half) {
    const float *sines = angles + half;
    size_t i = 0;
    for (; half - i >= WIDTH; i += WIDTH) {
        floats a = load_floats(x + i), b = load_floats(x + half + i);
        floats cosine = load_floats(angles + i), sine = load_floats(sines + i);
        store_floats(x + i, a * cosine - b * sine);
        store_floats(x + half + i, a * sine + b * cosine);
    }
    for (; i < half; i++) {
        float a = x[i], b = x[half + i];
        x[i] = a * angles[i] - b * sines[i];
        x[half + i] = a * sines[i] + b * angles[i];
    }
}

/* ------------------------------------------------------------------ gates */

/* x · σ(z) · up for N vectors step by step: each alone is a long chain. */
INLINE void gate_some(float *gate, const float *up, const int gelu, const int N) {
    static const float P[] = {SAT_EXP2_P5, SAT_EXP2_P4, SAT_EXP2_P3, SAT_EXP2_P2, SAT_EXP2_P1, 1};
    const words magnitude = (words){0} + 0x7fffffffu;
    const words one = (words)all_floats(1.0f);
    floats x[4], z[4], y[4], t[4], p[4];
    EACH (i, N) {
        x[i] = z[i] = load_floats(gate + i * WIDTH);
        if (gelu)
            z[i] = x[i] *
                   (all_floats(SAT_GELU_TANH_ONE) + all_floats(SAT_GELU_TANH_CUBE) * (x[i] * x[i]));
        y[i] = (floats)((words)z[i] & magnitude) * all_floats(-SAT_LOG2E);
        y[i] = AT_LEAST(y[i], all_floats(SAT_EXP2_LEAST));
    }
    EACH (i, N)
        t[i] = y[i] + all_floats(SAT_ROUND_MAGIC);
    EACH (i, N) {
        y[i] = y[i] - (t[i] - all_floats(SAT_ROUND_MAGIC));
        p[i] = all_floats(SAT_EXP2_P6);
    }
    EACH (k, 6)
        EACH (i, N)
            p[i] = fused(p[i], y[i], all_floats(P[k]));
    EACH (i, N) {
        words e = (words)p[i] + ((words)t[i] << 23);
        words negative = (words)(z[i] < all_floats(0.0f));
        floats above = (floats)((e & negative) | (one & ~negative));
        store_floats(gate + i * WIDTH,
                     x[i] * (above / (all_floats(1.0f) + (floats)e)) * load_floats(up + i * WIDTH));
    }
}

INLINE void gate_all(float *gate, const float *up, size_t n, const int gelu) {
    size_t i = 0;
    for (; n - i >= 4 * WIDTH; i += 4 * WIDTH)
        gate_some(gate + i, up + i, gelu, 4);
    for (; n - i >= WIDTH; i += WIDTH)
        gate_some(gate + i, up + i, gelu, 1);
    if (i < n) {
        float some[2][WIDTH] = {{0}};
        memcpy(some[0], gate + i, (n - i) * sizeof *gate);
        memcpy(some[1], up + i, (n - i) * sizeof *up);
        gate_some(some[0], some[1], gelu, 1);
        memcpy(gate + i, some[0], (n - i) * sizeof *gate);
    }
}

static void gate(float *x, const float *up, size_t n, sat_gate function) {
    if (function == SAT_GATE_GELU_TANH)
        gate_all(x, up, n, 1);
    else
        gate_all(x, up, n, 0);
}

/* ------------------------------------------------------------------ attention */

/* M rows by N vectors. */
INLINE void weigh_tile(float *out, size_t out_stride, const float *p, size_t p_stride,
                       const uint8_t *values, size_t row_bytes, size_t count, const bool half,
                       const int M, const int N) {
    floats sum[TILE][COLUMNS];
    EACH (i, M)
        EACH (c, N)
            sum[i][c] = all_floats(0.0f);
    for (size_t j = 0; j < count; j++, values += row_bytes) {
        floats value[COLUMNS];
        EACH (c, N)
            value[c] = half ? load_halves(values + 2 * c * WIDTH)
                            : load_floats((const float *)(const void *)values + c * WIDTH);
        EACH (i, M) {
            floats weight = all_floats(p[i * p_stride + j]);
            EACH (c, N)
                sum[i][c] = fused(weight, value[c], sum[i][c]);
        }
    }
    EACH (i, M)
        EACH (c, N)
            store_floats(out + i * out_stride + c * WIDTH, sum[i][c]);
}

/* M rows by all columns but those that fill no vector. */
INLINE void weigh_rows(float *out, size_t out_stride, const float *p, size_t p_stride,
                       const sat_value_rows *values, size_t count, size_t dim, const bool half,
                       const int M) {
    const size_t size = half ? 2 : 4;
    size_t c = 0;
    for (; dim - c >= COLUMNS * WIDTH; c += COLUMNS * WIDTH)
        weigh_tile(out + c, out_stride, p, p_stride, values->data + c * size, values->row_bytes,
                   count, half, M, COLUMNS);
    for (; dim - c >= WIDTH; c += WIDTH)
        weigh_tile(out + c, out_stride, p, p_stride, values->data + c * size, values->row_bytes,
                   count, half, M, 1);
}

/* The columns [c, dim) that fill no vector: those of a row and zeros. */
INLINE void weigh_rest(float *out, const float *p, const sat_value_rows *values, size_t count,
                       size_t c, size_t dim, const bool half) {
    const size_t size = half ? 2 : 4;
    floats sum = all_floats(0.0f);
    for (size_t j = 0; j < count; j++) {
        uint8_t some[4 * WIDTH] = {0};
        float row[WIDTH];
        memcpy(some, values->data + j * values->row_bytes + c * size, (dim - c) * size);
        memcpy(row, some, sizeof row);
        sum = fused(all_floats(p[j]), half ? load_halves(some) : load_floats(row), sum);
    }
    float last[WIDTH];
    store_floats(last, sum);
    memcpy(out + c, last, (dim - c) * sizeof *out);
}

INLINE void weigh_type(float *out, size_t out_stride, const float *p, size_t p_stride,
                       const sat_value_rows *values, size_t count, size_t dim, size_t rows,
                       const bool half) {
    size_t whole = dim - dim % WIDTH;
    for (size_t r = 0; r < rows && whole < dim; r++)
        weigh_rest(out + r * out_stride, p + r * p_stride, values, count, whole, dim, half);
#define ROWS(m)                                                                                    \
    for (; rows >= (m); rows -= (m), out += (m)*out_stride, p += (m)*p_stride)                     \
        weigh_rows(out, out_stride, p, p_stride, values, count, dim, half, m);
    ROWS(TILE)
    ROWS(4)
    ROWS(2)
    ROWS(1)
#undef ROWS
}

static void weigh(float *out, size_t out_stride, const float *p, size_t p_stride,
                  const sat_value_rows *values, size_t count, size_t dim, size_t rows) {
    if (values->type == SAT_GGML_F32)
        weigh_type(out, out_stride, p, p_stride, values, count, dim, rows, false);
    else
        weigh_type(out, out_stride, p, p_stride, values, count, dim, rows, true);
}

/* ------------------------------------------------------------------ halves and bytes */

static void to_f16(uint16_t *out, const float *x, size_t n) {
    size_t i = 0;
    for (; n - i >= WIDTH; i += WIDTH)
        STORE_HALVES(out + i, load_floats(x + i));
    if (i < n) {
        float some[WIDTH] = {0};
        uint16_t last[WIDTH];
        memcpy(some, x + i, (n - i) * sizeof *x);
        STORE_HALVES(last, load_floats(some));
        memcpy(out + i, last, (n - i) * sizeof *out);
    }
}

static void from_q8_0(float *out, const uint8_t *blocks, size_t count) {
    for (size_t b = 0; b < count; b++, blocks += 2 + SAT_BLOCK, out += SAT_BLOCK) {
        floats scale = all_floats(sat_read_half(blocks));
        EACH (i, SAT_BLOCK / WIDTH)
            store_floats(out + i * WIDTH, scale * BYTES(blocks + 2 + i * WIDTH));
    }
}

#define STEPS(name, which)                                                                         \
    const sat_step_kernels name = {                                                                \
        .level = (which),                                                                          \
        .rms_norm = rms_norm,                                                                      \
        .turn = turn,                                                                              \
        .gate = gate,                                                                              \
        .weigh = weigh,                                                                            \
        .to_f16 = to_f16,                                                                          \
        .from_q8_0 = from_q8_0,                                                                    \
    }

#endif
