/* What the files of the encoder's kernel family share: tables, polynomials, strip layout. */
#ifndef SATCHEL_GENERATE_KERNELS_ISA_H
#define SATCHEL_GENERATE_KERNELS_ISA_H

#include "generate/kernels.h"
#include "sdk/include/satchel.h"

extern const sat_kernels sat_kernels_c;
extern const sat_kernels sat_kernels_avx2;    /* x86-64 only */
extern const sat_kernels sat_kernels_avx512;  /* x86-64 only */
extern const sat_kernels sat_kernels_neon;    /* AArch64 only */
extern const sat_kernels sat_kernels_dotprod; /* AArch64 only */

/* One block of 32 inputs in a strip of Q8 weights. */
typedef struct sat_q8_strip_block {
    float scale[32];
    int32_t offset[32];    /* −128·Σ weights, what activations + 128 add too much */
    int8_t weights[8][32][4];
} sat_q8_strip_block;

/*
 * e^x for x <= 0, to 1.2e-7 relative: x = n·ln2 + r, |r| <= ln2/2, 1 + r + r²·(P2 + … + P6·r⁴)
 * with minimax P (3.1e-9 before rounding), n added to the exponent. Adding SAT_EXP_MAGIC rounds to an integer and
 * leaves n in the low bits, so bits << 23 is n in the exponent's place. Below the cutoff the result is
 * 0: it would be subnormal soon, and slow.
 */
#define SAT_EXP_CUTOFF (-87.0f)
#define SAT_EXP_LOG2E 1.44269504088896341f
#define SAT_EXP_MAGIC 12582912.0f /* 1.5 · 2^23 */
#define SAT_EXP_LN2_HIGH 0.693359375f
#define SAT_EXP_LN2_LOW (-2.12194440e-4f)
#define SAT_EXP_P2 0.4999999344778496f
#define SAT_EXP_P3 0.16666520631686665f
#define SAT_EXP_P4 0.04166838804766278f
#define SAT_EXP_P5 0.008368716881814222f
#define SAT_EXP_P6 0.0013814598530322764f

/*
 * erfc(u) = e^−r(u) for u >= 0, r a polynomial without constant term: minimax fit of −ln erfc(u) on
 * [0, 4.5] with weight erfc(u), so that the absolute error of e^−r is level (1.6e-8 before rounding).
 * r rises for all u >= 0, so no clamp is needed. GELU(x) = x/2 · (x < 0 ? erfc(u) : 2 − erfc(u)) with
 * u = |x|/√2: no cancellation for negative x.
 */
#define SAT_ERF_SQRT_HALF 0.707106781186547524f
#define SAT_ERF_R1 1.1283802514865f
#define SAT_ERF_R2 0.6365977336191696f
#define SAT_ERF_R3 0.10291961262302268f
#define SAT_ERF_R4 (-0.019583958928016024f)
#define SAT_ERF_R5 0.000536931902770812f
#define SAT_ERF_R6 0.0010324025120309948f
#define SAT_ERF_R7 (-0.0003088024321463145f)
#define SAT_ERF_R8 3.144019064454499e-05f

/* Row quantization: amax below this has no useful reciprocal. */
#define SAT_Q8_TINY 1e-30f

#endif
