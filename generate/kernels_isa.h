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

/* What the dot product extension does not better. */
void sat_quantize_neon(uint8_t *values, size_t values_stride, float *scales, size_t scales_stride,
                       const float *x, size_t x_stride, size_t rows, size_t columns);
void sat_gemm_f32_neon(float *acc, size_t acc_stride, int add, const float *a, size_t a_stride,
                       const float *strip, size_t k, size_t rows);
void sat_finish_neon(float *out, size_t out_stride, const float *acc, size_t acc_stride,
                     const float *bias, int activation, size_t rows);
void sat_add_norm_neon(float *out, size_t out_stride, const float *x, size_t x_stride,
                       const float *residual, size_t residual_stride, const sat_norm *norm,
                       size_t n, size_t rows);
float sat_softmax_neon(float *x, float scale, size_t n);
void sat_transpose_neon(float *out, const float *in, size_t stride, size_t count, size_t k);

/* One block of 32 inputs in a strip of Q8 weights. */
typedef struct sat_q8_strip_block {
    float scale[32];
    int32_t offset[32]; /* −128·Σ weights, what activations + 128 add too much */
    int8_t weights[8][32][4];
} sat_q8_strip_block;

/*
 * 2^y for y <= 0, to 1.2e-7 relative: y = n + f with |f| <= 1/2, 1 + f·(P1 + … + P6·f⁵) with minimax P
 * (2e-9 before rounding), n added to the exponent. Adding SAT_ROUND_MAGIC rounds to an integer and leaves
 * n in the low bits, so bits << 23 is n in the exponent's place. y below −126 counts as −126: the
 * result would be subnormal. Softmax puts log2 e into its scale.
 */
#define SAT_EXP2_LEAST (-126.0f)
#define SAT_ROUND_MAGIC 12582912.0f /* 1.5 · 2^23 */
#define SAT_LOG2E 1.44269504088896341f
#define SAT_EXP2_P1 0.6931471824645996f
#define SAT_EXP2_P2 0.24022647738456726f
#define SAT_EXP2_P3 0.055503323674201965f
#define SAT_EXP2_P4 0.00961843691766262f
#define SAT_EXP2_P5 0.001339887734502554f
#define SAT_EXP2_P6 0.00015353360504377633f

/*
 * GELU(x) = x·Φ(x), and Φ(−u) = erfc(u/√2)/2 = 2^(−1 + u·(Q1 + … + Q8·u⁷)) for u >= 0: a minimax fit of
 * the logarithm with weight Φ(−u), so that the absolute error of Φ is level (8e-9 before rounding, 1e-7
 * after). The exponent falls for all u >= 0, so no clamp is needed, and negative x, which take Φ(−u)
 * as it is, lose nothing to cancellation.
 */
#define SAT_GELU_Q1 (-1.1511051654815674f)
#define SAT_GELU_Q2 (-0.4592081904411316f)
#define SAT_GELU_Q3 (-0.052496179938316345f)
#define SAT_GELU_Q4 0.00706342002376914f
#define SAT_GELU_Q5 (-0.0001369363599224016f)
#define SAT_GELU_Q6 (-0.00018618024478200823f)
#define SAT_GELU_Q7 3.937769361073151e-05f
#define SAT_GELU_Q8 (-2.8349129479465773e-06f)

#endif
