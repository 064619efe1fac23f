/*
 * Kernels of a decoder's steps between its products: norms, rotary positions, gates, and what
 * attention does besides the scores (those are products of float type, matmul_kernels.h).
 *
 * Numeric contract, the same bits at every level:
 *   rms_norm   Σ x² in double, 16 lanes: lane i takes i, i + 16, …; tree i+8, i+4, i+2, i+1; the
 *              scale is rounded to float once, out = (x · scale) · weight.
 *   turn       first = a·cos − b·sin, second = a·sin + b·cos, each product rounded.
 *   gate       SiLU: (x · σ(x)) · up, tanh form of GELU: (x · σ(1.595769…·(x + 0.044715·x³))) · up;
 *              σ to 1.2e-7 absolute, from 2^y as in kernels.h.
 *   weigh      one chain per output, rows of values ascending: out = fma(p, value, out).
 */
#ifndef SATCHEL_GENERATE_STEPS_H
#define SATCHEL_GENERATE_STEPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "generate/arch.h"

/* Values of one head at consecutive positions: (positions, dim), F32 or F16. */
typedef struct sat_value_rows {
    const uint8_t *data;
    size_t row_bytes;
    uint32_t type; /* SAT_GGML_F32, SAT_GGML_F16 */
} sat_value_rows;

typedef struct sat_step_kernels {
    int32_t level; /* SATCHEL_CPU_* */

    /* RMSNorm (Zhang and Sennrich 2019) of n values; out may be x. */
    void (*rms_norm)(float *out, const float *x, const float *weight, size_t n, float epsilon);
    /* Turns pairs (x[i], x[half + i]); angles: half cosines, then half sines. */
    void (*turn)(float *x, const float *angles, size_t half);
    /* gate[i] = function(gate[i]) · up[i] */
    void (*gate)(float *gate, const float *up, size_t n, sat_gate function);
    /* out (rows, dim) = p (rows, count) · values */
    void (*weigh)(float *out, size_t out_stride, const float *p, size_t p_stride,
                  const sat_value_rows *values, size_t count, size_t dim, size_t rows);
    /* The nearest IEEE halves, ties to even; too large becomes infinite, no number stays none. */
    void (*to_f16)(uint16_t *out, const float *x, size_t n);
    /* Blocks of 32 { half scale; int8 [32] } to floats, scale · value. */
    void (*from_q8_0)(float *out, const uint8_t *blocks, size_t count);
} sat_step_kernels;

/* Never NULL: the best table not above `level`, SATCHEL_CPU_*; the machine must have that level. */
const sat_step_kernels *sat_step_kernels_for(int32_t level);

extern const sat_step_kernels sat_steps_c;
extern const sat_step_kernels sat_steps_avx2, sat_steps_avx512; /* x86-64 only */
extern const sat_step_kernels sat_steps_neon;                   /* AArch64 only */

/* (1 + tanh z) / 2 is σ(2z): the tanh form of GELU (Hendrycks and Gimpel 2016) is x · σ(x · (ONE + CUBE · x²))
 * with these two, √(8/π) and √(8/π) · 0.044715. */
#define SAT_GELU_TANH_ONE 1.5957691216057308f
#define SAT_GELU_TANH_CUBE 0.0713548162726009f

#endif
