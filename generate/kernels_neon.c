/*
 * Encoder kernels for NEON. With 32 registers of 4 floats, tiles are 3 rows by 8 outputs for int8 and 8
 * by 8 for float: a strip of 32 is walked in four parts.
 */
#include <math.h>
#include <string.h>

#include "base/kernel.h"
#include "generate/kernels_isa.h"

/* ------------------------------------------------------------------ products */

/* M rows by 8 outputs. Two products of bytes fit 16 bits (2·128·127 = 32512), so they are added before
 * widening; sum lanes 2c and 2c+1 are output c's. */
INLINE void q8_tile(float *acc, size_t acc_stride, int add, const uint8_t *a, size_t a_stride,
                    const float *a_scales, size_t scales_stride, const sat_q8_strip_block *block,
                    size_t blocks, size_t column, const int M) {
    float32x4_t out[3][2];
    EACH (i, M)
        EACH (j, 2)
            out[i][j] = add ? vld1q_f32(acc + i * acc_stride + 4 * j) : vdupq_n_f32(0);
    for (size_t b = 0; b < blocks; b++, block++, a += SAT_Q8_BLOCK, a_scales++) {
        int32x4_t sum[3][4];
        EACH (i, M)
            EACH (j, 4)
                sum[i][j] = vdupq_n_s32(0);
#pragma GCC unroll 1 /* unrolled, GCC mixes the steps and runs out of registers */
        for (int k = 0; k < 8; k += 2) {
            int8x16_t w[2][2]; /* inputs 4k to 4k+3 and the next four, by 4 outputs each */
            EACH (j, 2) {
                w[0][j] = vld1q_s8(block->weights[k][column + 4 * j]);
                w[1][j] = vld1q_s8(block->weights[k + 1][column + 4 * j]);
            }
            EACH (i, M) {
                int32_t four[2];
                memcpy(four, a + i * a_stride + 4 * k, 8);
                int8x16_t x0 = vreinterpretq_s8_s32(vdupq_n_s32(four[0]));
                int8x16_t x1 = vreinterpretq_s8_s32(vdupq_n_s32(four[1]));
                EACH (j, 2) {
                    int16x8_t low = vmull_s8(vget_low_s8(w[0][j]), vget_low_s8(x0));
                    int16x8_t high = vmull_high_s8(w[0][j], x0);
                    low = vmlal_s8(low, vget_low_s8(w[1][j]), vget_low_s8(x1));
                    high = vmlal_high_s8(high, w[1][j], x1);
                    sum[i][2 * j] = vpadalq_s16(sum[i][2 * j], low);
                    sum[i][2 * j + 1] = vpadalq_s16(sum[i][2 * j + 1], high);
                }
            }
        }
        EACH (i, M)
            EACH (j, 2) {
                int32x4_t s = vpaddq_s32(sum[i][2 * j], sum[i][2 * j + 1]);
                float32x4_t scale = vmulq_n_f32(vld1q_f32(block->scale + column + 4 * j),
                                                a_scales[i * scales_stride]);
                out[i][j] = vfmaq_f32(out[i][j], vcvtq_f32_s32(s), scale);
            }
    }
    EACH (i, M)
        EACH (j, 2)
            vst1q_f32(acc + i * acc_stride + 4 * j, out[i][j]);
}

static void gemm_q8_neon(float *acc, size_t acc_stride, int add, const uint8_t *a, size_t a_stride,
                         const float *a_scales, size_t scales_stride, const void *strip,
                         size_t blocks, size_t rows) {
#define TILES(m)                                                                                   \
    for (; rows >= (m); rows -= (m)) {                                                             \
        for (size_t column = 0; column < SAT_STRIP; column += 8)                                   \
            q8_tile(acc + column, acc_stride, add, a, a_stride, a_scales, scales_stride, strip,    \
                    blocks, column, m);                                                            \
        acc += (m)*acc_stride;                                                                     \
        a += (m)*a_stride;                                                                         \
        a_scales += (m)*scales_stride;                                                             \
    }
    TILES(3)
    TILES(1)
#undef TILES
}

/* M rows by 8 outputs. */
INLINE void f32_tile(float *acc, size_t acc_stride, int add, const float *a, size_t a_stride,
                     const float *strip, size_t k, const int M) {
    float32x4_t out[8][2];
    EACH (i, M)
        EACH (j, 2)
            out[i][j] = add ? vld1q_f32(acc + i * acc_stride + 4 * j) : vdupq_n_f32(0);
    size_t at = 0;
    for (; at + 4 <= k; at += 4, strip += 4 * SAT_STRIP) {
        float32x4_t x[8];
        EACH (i, M)
            x[i] = vld1q_f32(a + i * a_stride + at);
#define STEP(lane)                                                                                 \
    do {                                                                                           \
        float32x4_t w0 = vld1q_f32(strip + (lane)*SAT_STRIP);                                      \
        float32x4_t w1 = vld1q_f32(strip + (lane)*SAT_STRIP + 4);                                  \
        EACH (i, M) {                                                                              \
            out[i][0] = vfmaq_laneq_f32(out[i][0], w0, x[i], lane);                                \
            out[i][1] = vfmaq_laneq_f32(out[i][1], w1, x[i], lane);                                \
        }                                                                                          \
    } while (0)
        STEP(0);
        STEP(1);
        STEP(2);
        STEP(3);
#undef STEP
    }
    for (; at < k; at++, strip += SAT_STRIP) {
        float32x4_t w0 = vld1q_f32(strip), w1 = vld1q_f32(strip + 4);
        EACH (i, M) {
            out[i][0] = vfmaq_n_f32(out[i][0], w0, a[i * a_stride + at]);
            out[i][1] = vfmaq_n_f32(out[i][1], w1, a[i * a_stride + at]);
        }
    }
    EACH (i, M)
        EACH (j, 2)
            vst1q_f32(acc + i * acc_stride + 4 * j, out[i][j]);
}

void sat_gemm_f32_neon(float *acc, size_t acc_stride, int add, const float *a, size_t a_stride,
                       const float *strip, size_t k, size_t rows) {
#define TILES(m)                                                                                   \
    for (; rows >= (m); rows -= (m)) {                                                             \
        for (size_t column = 0; column < SAT_STRIP; column += 8)                                   \
            f32_tile(acc + column, acc_stride, add, a, a_stride, strip + column, k, m);            \
        acc += (m)*acc_stride;                                                                     \
        a += (m)*a_stride;                                                                         \
    }
    TILES(8)
    TILES(4)
    TILES(2)
    TILES(1)
#undef TILES
}

/* ------------------------------------------------------------------ rows to bytes, keys to strips */

static void quantize_block(uint8_t *values, float *scale, const float *x) {
    float32x4_t in[8];
    uint32x4_t m = vdupq_n_u32(0);
    EACH (i, 8) {
        in[i] = vld1q_f32(x + 4 * i);
        /* Magnitudes' bits order like the magnitudes, and put NaN above infinity. */
        m = vmaxq_u32(m, vreinterpretq_u32_f32(vabsq_f32(in[i])));
    }
    uint32_t bits = vmaxvq_u32(m);
    float largest, inverse = 0;
    memcpy(&largest, &bits, sizeof largest);
    if (bits >= 0x7f800000u) {
        *scale = NAN;
        memset(values, 0, SAT_Q8_BLOCK);
        return;
    }
    *scale = 0;
    if (largest >= SAT_ROW_TINY) {
        inverse = 127.0f / largest;
        *scale = largest * (1.0f / 127.0f);
    }
    EACH (i, 2) {
        int16x4_t q[4];
        EACH (j, 4)
            q[j] = vmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(in[4 * i + j], inverse)));
        int8x8_t low = vmovn_s16(vcombine_s16(q[0], q[1]));
        int8x8_t high = vmovn_s16(vcombine_s16(q[2], q[3]));
        vst1q_u8(values + 16 * i, vreinterpretq_u8_s8(vcombine_s8(low, high)));
    }
}

void sat_quantize_neon(uint8_t *values, size_t values_stride, float *scales, size_t scales_stride,
                       const float *x, size_t x_stride, size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r++)
        for (size_t b = 0; b < columns / SAT_Q8_BLOCK; b++)
            quantize_block(values + r * values_stride + b * SAT_Q8_BLOCK,
                           scales + r * scales_stride + b, x + r * x_stride + b * SAT_Q8_BLOCK);
}

INLINE void transpose_block(float *out, const float *in, size_t stride) { /* 4x4 */
    float32x4_t r[4], t[4];
    EACH (i, 4)
        r[i] = vld1q_f32(in + i * stride);
    EACH (i, 2) {
        t[2 * i] = vtrn1q_f32(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = vtrn2q_f32(r[2 * i], r[2 * i + 1]);
    }
    EACH (i, 2) {
        float64x2_t a = vreinterpretq_f64_f32(t[i]), b = vreinterpretq_f64_f32(t[2 + i]);
        vst1q_f32(out + i * SAT_STRIP, vreinterpretq_f32_f64(vtrn1q_f64(a, b)));
        vst1q_f32(out + (2 + i) * SAT_STRIP, vreinterpretq_f32_f64(vtrn2q_f64(a, b)));
    }
}

void sat_transpose_neon(float *out, const float *in, size_t stride, size_t count, size_t k) {
    size_t whole = count / 4 * 4, j = 0;
    for (; j + 4 <= k; j += 4)
        for (size_t i = 0; i < whole; i += 4)
            transpose_block(out + j * SAT_STRIP + i, in + i * stride + j, stride);
    for (; j < k; j++)
        for (size_t i = 0; i < whole; i++)
            out[j * SAT_STRIP + i] = in[i * stride + j];
    for (j = 0; j < k; j++)
        for (size_t i = whole; i < SAT_STRIP; i++)
            out[j * SAT_STRIP + i] = i < count ? in[i * stride + j] : 0;
}

/* ------------------------------------------------------------------ functions of one value */

/* These are long chains of dependent instructions: four vectors are evaluated step by step, not one
 * after the other. */

/* y = 2^max(y, -126) */
INLINE void exp2_neon(float32x4_t y[4]) {
    static const float P[] = {SAT_EXP2_P5, SAT_EXP2_P4, SAT_EXP2_P3, SAT_EXP2_P2, SAT_EXP2_P1, 1};
    const float32x4_t magic = vdupq_n_f32(SAT_ROUND_MAGIC);
    float32x4_t t[4], p[4];
    EACH (i, 4) {
        y[i] = vmaxnmq_f32(y[i], vdupq_n_f32(SAT_EXP2_LEAST)); /* NaN counts as least, as in C */
        t[i] = vaddq_f32(y[i], magic);
        y[i] = vsubq_f32(y[i], vsubq_f32(t[i], magic));
        p[i] = vdupq_n_f32(SAT_EXP2_P6);
    }
    EACH (k, 6)
        EACH (i, 4)
            p[i] = vfmaq_f32(vdupq_n_f32(P[k]), p[i], y[i]);
    EACH (i, 4) {
        uint32x4_t n = vshlq_n_u32(vreinterpretq_u32_f32(t[i]), 23);
        y[i] = vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(p[i]), n));
    }
}

/* x = GELU(x) */
INLINE void gelu_neon(float32x4_t x[4]) {
    static const float Q[] = {SAT_GELU_Q7, SAT_GELU_Q6, SAT_GELU_Q5, SAT_GELU_Q4,
                              SAT_GELU_Q3, SAT_GELU_Q2, SAT_GELU_Q1, -1};
    float32x4_t q[4]; /* becomes Φ(−|x|) */
    EACH (i, 4)
        q[i] = vdupq_n_f32(SAT_GELU_Q8);
    EACH (k, 8)
        EACH (i, 4)
            q[i] = vfmaq_f32(vdupq_n_f32(Q[k]), q[i], vabsq_f32(x[i]));
    exp2_neon(q);
    EACH (i, 4) {
        float32x4_t above = vsubq_f32(vdupq_n_f32(1), q[i]);
        x[i] = vmulq_f32(x[i], vbslq_f32(vcltzq_f32(x[i]), q[i], above));
    }
}

void sat_finish_neon(float *out, size_t out_stride, const float *acc, size_t acc_stride,
                     const float *bias, int activation, size_t rows) {
    for (size_t r = 0; r < rows; r++, out += out_stride, acc += acc_stride)
        for (int c = 0; c < SAT_STRIP; c += 16) {
            float32x4_t x[4];
            EACH (i, 4)
                x[i] = vaddq_f32(vld1q_f32(acc + c + 4 * i), vld1q_f32(bias + c + 4 * i));
            if (activation == SAT_ACTIVATION_GELU)
                gelu_neon(x);
            EACH (i, 4)
                vst1q_f32(out + c + 4 * i, x[i]);
        }
}

/* ------------------------------------------------------------------ rows */

/* 16 elements from x + i, or what there is of them up to n and zeros. */
INLINE void load16(float32x4_t y[4], const float *x, size_t i, size_t n) {
    float last[16] = {0};
    if (n - i < 16) {
        memcpy(last, x + i, (n - i) * sizeof *x);
        x = last;
        i = 0;
    }
    EACH (j, 4)
        y[j] = vld1q_f32(x + i + 4 * j);
}

INLINE void store16(float *x, size_t i, size_t n, const float32x4_t y[4]) {
    float last[16];
    float *to = n - i < 16 ? last : x + i;
    EACH (j, 4)
        vst1q_f32(to + 4 * j, y[j]);
    if (n - i < 16)
        memcpy(x + i, last, (n - i) * sizeof *x);
}

INLINE float sum_lanes(const float32x4_t lane[4]) {
    return sum_four(vaddq_f32(vaddq_f32(lane[0], lane[2]), vaddq_f32(lane[1], lane[3])));
}

static void norm_row(float *out, const float *x, const float *residual, const sat_norm *norm,
                     size_t n) {
    float32x4_t sum[4], y[4], more[4], gamma[4];
    EACH (j, 4)
        sum[j] = vdupq_n_f32(0);
    for (size_t i = 0; i < n; i += 16) {
        load16(y, x, i, n);
        if (residual) {
            load16(more, residual, i, n);
            EACH (j, 4)
                y[j] = vaddq_f32(y[j], more[j]);
        }
        store16(out, i, n, y);
        EACH (j, 4)
            sum[j] = vaddq_f32(sum[j], y[j]);
    }
    float32x4_t mean = vdupq_n_f32(sum_lanes(sum) / (float)n);
    EACH (j, 4)
        sum[j] = vdupq_n_f32(0);
    for (size_t i = 0; i < n; i += 16) {
        load16(y, out, i, n);
        EACH (j, 4)
            y[j] = vsubq_f32(y[j], mean);
        if (n - i < 16) { /* lanes past the end count as 0 */
            float last[16];
            store16(last, 0, n - i, y);
            load16(y, last, 0, n - i);
        }
        EACH (j, 4)
            sum[j] = vfmaq_f32(sum[j], y[j], y[j]);
    }
    float inverse = 1.0f / sqrtf(sum_lanes(sum) / (float)n + norm->epsilon);
    for (size_t i = 0; i < n; i += 16) {
        load16(y, out, i, n);
        load16(gamma, norm->gamma, i, n);
        load16(more, norm->beta, i, n);
        EACH (j, 4)
            y[j] = vfmaq_f32(more[j], vmulq_n_f32(vsubq_f32(y[j], mean), inverse), gamma[j]);
        store16(out, i, n, y);
    }
}

void sat_add_norm_neon(float *out, size_t out_stride, const float *x, size_t x_stride,
                       const float *residual, size_t residual_stride, const sat_norm *norm,
                       size_t n, size_t rows) {
    for (size_t r = 0; r < rows; r++)
        norm_row(out + r * out_stride, x + r * x_stride,
                 residual ? residual + r * residual_stride : NULL, norm, n);
}

float sat_softmax_neon(float *x, float scale, size_t n) {
    float32x4_t largest = vdupq_n_f32(x[0]), by = vdupq_n_f32(scale * SAT_LOG2E), sum[4];
    size_t i;
    for (i = 0; i + 4 <= n; i += 4) { /* not vmaxq: a NaN is passed over, as in C */
        float32x4_t y = vld1q_f32(x + i);
        largest = vbslq_f32(vcgtq_f32(y, largest), y, largest);
    }
    for (; i < n; i++) {
        float32x4_t y = vdupq_n_f32(x[i]);
        largest = vbslq_f32(vcgtq_f32(y, largest), y, largest);
    }
    largest = vdupq_n_f32(vmaxvq_f32(largest));
    EACH (j, 4)
        sum[j] = vdupq_n_f32(0);
    for (i = 0; i < n; i += 16) {
        float32x4_t y[4];
        load16(y, x, i, n);
        EACH (j, 4)
            y[j] = vmulq_f32(by, vsubq_f32(y[j], largest));
        exp2_neon(y);
        if (n - i < 16) { /* lanes past the end become 0 */
            float last[16];
            store16(last, 0, n - i, y);
            load16(y, last, 0, n - i);
        }
        EACH (j, 4) {
            vst1q_f32(x + i + 4 * j, y[j]); /* the padding is there to be written */
            sum[j] = vaddq_f32(sum[j], y[j]);
        }
    }
    if (i % SAT_STRIP)
        memset(x + i, 0, 16 * sizeof *x);
    return sum_lanes(sum);
}

const sat_kernels sat_kernels_neon = {
    .level = SATCHEL_CPU_NEON,
    .q8_flip = 0,
    .quantize = sat_quantize_neon,
    .gemm_q8 = gemm_q8_neon,
    .gemm_f32 = sat_gemm_f32_neon,
    .finish = sat_finish_neon,
    .add_norm = sat_add_norm_neon,
    .softmax = sat_softmax_neon,
    .transpose = sat_transpose_neon,
};
