/*
 * Encoder kernels in portable C: the reference of every other level. Products and sums that SIMD
 * levels fuse are fused here too, through fused(), so that all levels give the same bits.
 */
#include <string.h>

#include "generate/reference.h"

/* acc[0..32) += a · w */
static inline void fused_strip(float *acc, float a, const float *w) {
#ifdef SAT_FAST_FMA
    for (int c = 0; c < SAT_STRIP; c++)
        acc[c] = fmaf(a, w[c], acc[c]);
#else
    double sum[SAT_STRIP];
    int rare = 0;
    for (int c = 0; c < SAT_STRIP; c++)
        sum[c] = (double)a * w[c] + acc[c];
    for (int c = 0; c < SAT_STRIP; c++)
        rare |= needs_fmaf(sum[c]);
    if (rare) {
        for (int c = 0; c < SAT_STRIP; c++)
            acc[c] = fmaf(a, w[c], acc[c]);
    } else {
        for (int c = 0; c < SAT_STRIP; c++)
            acc[c] = (float)sum[c];
    }
#endif
}

/* ------------------------------------------------------------------ products */

static void quantize_c(uint8_t *values, size_t values_stride, float *scales, size_t scales_stride,
                       const float *x, size_t x_stride, size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r++)
        for (size_t b = 0; b < columns / SAT_Q8_BLOCK; b++)
            quantize_values((int8_t *)values + r * values_stride + b * SAT_Q8_BLOCK,
                            scales + r * scales_stride + b, x + r * x_stride + b * SAT_Q8_BLOCK,
                            SAT_Q8_BLOCK);
}

static void gemm_q8_c(float *acc, size_t acc_stride, int add, const uint8_t *a, size_t a_stride,
                      const float *a_scales, size_t scales_stride, const void *strip, size_t blocks,
                      size_t rows) {
    const sat_q8_strip_block *block = strip;
    for (size_t r = 0; r < rows; r++) {
        float *out = acc + r * acc_stride;
        if (!add)
            memset(out, 0, SAT_STRIP * sizeof *out);
        for (size_t b = 0; b < blocks; b++) {
            int32_t sum[SAT_STRIP] = {0};
            for (int k = 0; k < 8; k++) {
                int8_t x[4];
                memcpy(x, a + r * a_stride + b * SAT_Q8_BLOCK + 4 * (size_t)k, 4);
                for (int c = 0; c < SAT_STRIP; c++) {
                    const int8_t *w = block[b].weights[k][c];
                    sum[c] += x[0] * w[0] + x[1] * w[1] + x[2] * w[2] + x[3] * w[3];
                }
            }
            float scale = a_scales[r * scales_stride + b];
            for (int c = 0; c < SAT_STRIP; c++)
                out[c] = fused((float)sum[c], block[b].scale[c] * scale, out[c]);
        }
    }
}

static void gemm_f32_c(float *acc, size_t acc_stride, int add, const float *a, size_t a_stride,
                       const float *strip, size_t k, size_t rows) {
    for (size_t r = 0; r < rows; r++) {
        float sum[SAT_STRIP] = {0};
        if (add)
            memcpy(sum, acc + r * acc_stride, sizeof sum);
        for (size_t i = 0; i < k; i++)
            fused_strip(sum, a[r * a_stride + i], strip + i * SAT_STRIP);
        memcpy(acc + r * acc_stride, sum, sizeof sum);
    }
}

static void transpose_c(float *out, const float *in, size_t stride, size_t count, size_t k) {
    for (size_t j = 0; j < k; j++) {
        for (size_t i = 0; i < count; i++)
            out[j * SAT_STRIP + i] = in[i * stride + j];
        for (size_t i = count; i < SAT_STRIP; i++)
            out[j * SAT_STRIP + i] = 0;
    }
}

/* ------------------------------------------------------------------ functions of one value */

static inline float gelu_c(float x) {
    float u = fabsf(x);
    float q = SAT_GELU_Q8;
    q = fused(q, u, SAT_GELU_Q7);
    q = fused(q, u, SAT_GELU_Q6);
    q = fused(q, u, SAT_GELU_Q5);
    q = fused(q, u, SAT_GELU_Q4);
    q = fused(q, u, SAT_GELU_Q3);
    q = fused(q, u, SAT_GELU_Q2);
    q = fused(q, u, SAT_GELU_Q1);
    float below = exp2_c(fused(q, u, -1.0f)); /* Φ(−|x|) */
    return x * (x < 0 ? below : 1.0f - below);
}

static void finish_c(float *out, size_t out_stride, const float *acc, size_t acc_stride,
                     const float *bias, int activation, size_t rows) {
    for (size_t r = 0; r < rows; r++)
        for (int c = 0; c < SAT_STRIP; c++) {
            float x = acc[r * acc_stride + c] + bias[c];
            out[r * out_stride + c] = activation == SAT_ACTIVATION_GELU ? gelu_c(x) : x;
        }
}

/* ------------------------------------------------------------------ rows */

static void add_norm_c(float *out, size_t out_stride, const float *x, size_t x_stride,
                       const float *residual, size_t residual_stride, const sat_norm *norm,
                       size_t n, size_t rows) {
    for (size_t r = 0; r < rows; r++, out += out_stride, x += x_stride) {
        float lane[16] = {0};
        for (size_t i = 0; i < n; i++) {
            out[i] = residual ? x[i] + residual[r * residual_stride + i] : x[i];
            lane[i % 16] += out[i];
        }
        float mean = sum_lanes(lane) / (float)n;
        memset(lane, 0, sizeof lane);
        for (size_t i = 0; i < n; i++) {
            float d = out[i] - mean;
            lane[i % 16] = fused(d, d, lane[i % 16]);
        }
        float inverse = 1.0f / sqrtf(sum_lanes(lane) / (float)n + norm->epsilon);
        for (size_t i = 0; i < n; i++)
            out[i] = fused((out[i] - mean) * inverse, norm->gamma[i], norm->beta[i]);
    }
}

static float softmax_c(float *x, float scale, size_t n) {
    float largest = x[0], lane[16] = {0}, base2 = scale * SAT_LOG2E;
    for (size_t i = 1; i < n; i++)
        largest = x[i] > largest ? x[i] : largest;
    for (size_t i = 0; i < n; i++) {
        x[i] = exp2_c(base2 * (x[i] - largest));
        lane[i % 16] += x[i];
    }
    for (size_t i = n; i % SAT_STRIP; i++)
        x[i] = 0;
    return sum_lanes(lane);
}

const sat_kernels sat_kernels_c = {
    .level = SATCHEL_CPU_C,
    .q8_flip = 0,
    .quantize = quantize_c,
    .gemm_q8 = gemm_q8_c,
    .gemm_f32 = gemm_f32_c,
    .finish = finish_c,
    .add_norm = add_norm_c,
    .softmax = softmax_c,
    .transpose = transpose_c,
};
