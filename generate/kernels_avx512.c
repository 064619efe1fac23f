/*
 * Encoder kernels for AVX-512 (F, BW, DQ, VL, VNNI). A strip of 32 outputs is two registers; tiles are
 * as many rows as leave 32 registers unspilled: 6 for int8 (sums in int32 and in float), 14 for float.
 */
#include <string.h>

#include "base/kernel.h"
#include "generate/kernels_isa.h"

/* ------------------------------------------------------------------ products */

/* M rows by 32 outputs, unsigned activations times signed weights. */
INLINE void q8_tile(float *acc, size_t acc_stride, int add, const uint8_t *a, size_t a_stride,
                    const float *a_scales, size_t scales_stride, const sat_q8_strip_block *block,
                    size_t blocks, const int M) {
    __m512 out[6][2];
    EACH (i, M) {
        out[i][0] = add ? _mm512_loadu_ps(acc + i * acc_stride) : _mm512_setzero_ps();
        out[i][1] = add ? _mm512_loadu_ps(acc + i * acc_stride + 16) : _mm512_setzero_ps();
    }
    for (size_t b = 0; b < blocks; b++, block++, a += 32, a_scales++) {
        __m512i sum[6][2];
        EACH (i, M) {
            sum[i][0] = _mm512_load_si512(block->offset);
            sum[i][1] = _mm512_load_si512(block->offset + 16);
        }
        EACH (k, 8) {
            __m512i w0 = _mm512_load_si512(block->weights[k]);
            __m512i w1 = _mm512_load_si512(block->weights[k] + 16);
            EACH (i, M) {
                int32_t four;
                memcpy(&four, a + i * a_stride + 4 * k, 4);
                __m512i x = _mm512_set1_epi32(four);
                sum[i][0] = _mm512_dpbusd_epi32(sum[i][0], x, w0);
                sum[i][1] = _mm512_dpbusd_epi32(sum[i][1], x, w1);
            }
        }
        __m512 s0 = _mm512_load_ps(block->scale), s1 = _mm512_load_ps(block->scale + 16);
        EACH (i, M) {
            __m512 scale = _mm512_set1_ps(a_scales[i * scales_stride]);
            out[i][0] =
                _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[i][0]), _mm512_mul_ps(s0, scale), out[i][0]);
            out[i][1] =
                _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[i][1]), _mm512_mul_ps(s1, scale), out[i][1]);
        }
    }
    EACH (i, M) {
        _mm512_storeu_ps(acc + i * acc_stride, out[i][0]);
        _mm512_storeu_ps(acc + i * acc_stride + 16, out[i][1]);
    }
}

static void gemm_q8_avx512(float *acc, size_t acc_stride, int add, const uint8_t *a,
                           size_t a_stride, const float *a_scales, size_t scales_stride,
                           const void *strip, size_t blocks, size_t rows) {
#define TILES(m)                                                                                   \
    for (; rows >= (m); rows -= (m)) {                                                             \
        q8_tile(acc, acc_stride, add, a, a_stride, a_scales, scales_stride, strip, blocks, m);     \
        acc += (m)*acc_stride;                                                                     \
        a += (m)*a_stride;                                                                         \
        a_scales += (m)*scales_stride;                                                             \
    }
    TILES(6)
    TILES(4)
    TILES(2)
    TILES(1)
#undef TILES
}

/* M rows by 32 outputs. */
INLINE void f32_tile(float *acc, size_t acc_stride, int add, const float *a, size_t a_stride,
                     const float *strip, size_t k, const int M) {
    __m512 out[14][2];
    EACH (i, M) {
        out[i][0] = add ? _mm512_loadu_ps(acc + i * acc_stride) : _mm512_setzero_ps();
        out[i][1] = add ? _mm512_loadu_ps(acc + i * acc_stride + 16) : _mm512_setzero_ps();
    }
    for (size_t j = 0; j < k; j++, strip += SAT_STRIP) {
        __m512 w0 = _mm512_load_ps(strip), w1 = _mm512_load_ps(strip + 16);
        EACH (i, M) {
            __m512 x = _mm512_set1_ps(a[i * a_stride + j]);
            out[i][0] = _mm512_fmadd_ps(x, w0, out[i][0]);
            out[i][1] = _mm512_fmadd_ps(x, w1, out[i][1]);
        }
    }
    EACH (i, M) {
        _mm512_storeu_ps(acc + i * acc_stride, out[i][0]);
        _mm512_storeu_ps(acc + i * acc_stride + 16, out[i][1]);
    }
}

static void gemm_f32_avx512(float *acc, size_t acc_stride, int add, const float *a, size_t a_stride,
                            const float *strip, size_t k, size_t rows) {
#define TILES(m)                                                                                   \
    for (; rows >= (m); rows -= (m)) {                                                             \
        f32_tile(acc, acc_stride, add, a, a_stride, strip, k, m);                                  \
        acc += (m)*acc_stride;                                                                     \
        a += (m)*a_stride;                                                                         \
    }
    TILES(14)
    TILES(8)
    TILES(4)
    TILES(2)
    TILES(1)
#undef TILES
}

/* ------------------------------------------------------------------ rows to bytes */

/* `count` <= 4 blocks of 32, `*_step` apart: four maxima side by side need one division and a third of
 * the shuffles. */
INLINE void quantize_four(uint8_t *out, size_t out_step, float *scale, size_t scale_step,
                          const float *x, size_t x_step, size_t count) {
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    size_t at[4]; /* past the end: the last block again */
    __m512 in[4][2];
    __m512i m[4], q[4];
    EACH (i, 4) {
        at[i] = i == 0 || (size_t)i < count ? (size_t)i : at[i - 1];
        in[i][0] = _mm512_loadu_ps(x + at[i] * x_step);
        in[i][1] = _mm512_loadu_ps(x + at[i] * x_step + 16);
        /* Magnitudes' bits order like the magnitudes, and put NaN above infinity. */
        m[i] = _mm512_max_epi32(_mm512_and_si512(_mm512_castps_si512(in[i][0]), magnitude),
                                _mm512_and_si512(_mm512_castps_si512(in[i][1]), magnitude));
    }
    __m512i a =
        _mm512_max_epi32(_mm512_unpacklo_epi32(m[0], m[1]), _mm512_unpackhi_epi32(m[0], m[1]));
    __m512i b =
        _mm512_max_epi32(_mm512_unpacklo_epi32(m[2], m[3]), _mm512_unpackhi_epi32(m[2], m[3]));
    a = _mm512_max_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    __m256i c = _mm256_max_epi32(_mm512_castsi512_si256(a), _mm512_extracti64x4_epi64(a, 1));
    __m128i d = _mm_max_epi32(_mm256_castsi256_si128(c), _mm256_extracti128_si256(c, 1));

    __m128 largest = _mm_castsi128_ps(d), none = _mm_castsi128_ps(_mm_set1_epi32(0x7fc00000));
    __mmask8 finite = _mm_cmplt_epi32_mask(d, _mm_set1_epi32(0x7f800000));
    __mmask8 usable = _mm_mask_cmp_ps_mask(finite, largest, _mm_set1_ps(SAT_ROW_TINY), _CMP_GE_OQ);
    float inverse[4], unit[4];
    _mm_storeu_ps(inverse, _mm_maskz_div_ps(usable, _mm_set1_ps(127.0f), largest));
    _mm_storeu_ps(unit,
                  _mm_mask_mov_ps(none, finite,
                                  _mm_maskz_mul_ps(usable, largest, _mm_set1_ps(1.0f / 127.0f))));
    EACH (i, 4) {
        __m512 by = _mm512_set1_ps(inverse[i]);
        scale[at[i] * scale_step] = unit[i];
        q[i] = _mm512_packs_epi32(_mm512_cvtps_epi32(_mm512_mul_ps(in[i][0], by)),
                                  _mm512_cvtps_epi32(_mm512_mul_ps(in[i][1], by)));
    }
    EACH (i, 2) {
        __m512i bytes = _mm512_permutexvar_epi32(order, _mm512_packs_epi16(q[2 * i], q[2 * i + 1]));
        bytes = _mm512_xor_si512(bytes, _mm512_set1_epi8((char)0x80));
        _mm256_storeu_si256((__m256i *)(out + at[2 * i] * out_step), _mm512_castsi512_si256(bytes));
        _mm256_storeu_si256((__m256i *)(out + at[2 * i + 1] * out_step),
                            _mm512_extracti64x4_epi64(bytes, 1));
    }
    if (finite != 0xf) /* the products were NaN, which converts to the least integer: want 0 */
        for (int i = 0; i < 4; i++)
            if (!(finite >> i & 1))
                memset(out + at[i] * out_step, 0x80, SAT_Q8_BLOCK);
}

static void quantize_avx512(uint8_t *values, size_t values_stride, float *scales,
                            size_t scales_stride, const float *x, size_t x_stride, size_t rows,
                            size_t columns) {
    size_t blocks = columns / SAT_Q8_BLOCK;
    for (; rows >= 4; rows -= 4) {
        for (size_t b = 0; b < blocks; b++)
            quantize_four(values + b * SAT_Q8_BLOCK, values_stride, scales + b, scales_stride,
                          x + b * SAT_Q8_BLOCK, x_stride, 4);
        values += 4 * values_stride;
        scales += 4 * scales_stride;
        x += 4 * x_stride;
    }
    for (; rows > 0; rows--) {
        for (size_t b = 0; b < blocks; b += 4)
            quantize_four(values + b * SAT_Q8_BLOCK, SAT_Q8_BLOCK, scales + b, 1,
                          x + b * SAT_Q8_BLOCK, SAT_Q8_BLOCK, blocks - b);
        values += values_stride;
        scales += scales_stride;
        x += x_stride;
    }
}

/* A 16x16 block: rows < 16 of them exist, columns < 16 of each. */
INLINE void transpose_block(float *out, const float *in, size_t stride, size_t rows,
                            size_t columns) {
    __mmask16 mask = (__mmask16)((1u << columns) - 1);
    __m512 r[16], t[16];
    EACH (i, 16)
        r[i] =
            (size_t)i < rows ? _mm512_maskz_loadu_ps(mask, in + i * stride) : _mm512_setzero_ps();
    EACH (i, 8) {
        t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    EACH (i, 4) {
        r[4 * i] = _mm512_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
        r[4 * i + 1] = _mm512_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
        r[4 * i + 2] = _mm512_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        r[4 * i + 3] = _mm512_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
    }
    /* 128-bit lane l of r[4i + c] now holds rows 4i to 4i+3 of column 4l + c. */
    EACH (c, 4) {
        __m512 a = _mm512_shuffle_f32x4(r[c], r[4 + c], 0x44);
        __m512 b = _mm512_shuffle_f32x4(r[c], r[4 + c], 0xee);
        __m512 d = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0x44);
        __m512 e = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0xee);
        t[c] = _mm512_shuffle_f32x4(a, d, 0x88);
        t[4 + c] = _mm512_shuffle_f32x4(a, d, 0xdd);
        t[8 + c] = _mm512_shuffle_f32x4(b, e, 0x88);
        t[12 + c] = _mm512_shuffle_f32x4(b, e, 0xdd);
    }
    EACH (i, 16)
        if ((size_t)i < columns)
            _mm512_storeu_ps(out + i * SAT_STRIP, t[i]);
}

static void transpose_avx512(float *out, const float *in, size_t stride, size_t count, size_t k) {
    for (size_t j = 0; j < k; j += 16)
        for (size_t i = 0; i < SAT_STRIP; i += 16) {
            size_t rows = i < count ? count - i : 0, columns = k - j;
            transpose_block(out + j * SAT_STRIP + i, in + (rows ? i : 0) * stride + j, stride,
                            rows < 16 ? rows : 16, columns < 16 ? columns : 16);
        }
}

/* ------------------------------------------------------------------ functions of one value */

/* These are long chains of dependent instructions. Evaluating N vectors step by step, not one after
 * the other, keeps the schedulers from filling up with instructions that wait. */

/* y = 2^max(y, -126) */
INLINE void exp2_avx512(__m512 *y, const int N) {
    static const float P[] = {SAT_EXP2_P5, SAT_EXP2_P4, SAT_EXP2_P3, SAT_EXP2_P2, SAT_EXP2_P1, 1};
    const __m512 magic = _mm512_set1_ps(SAT_ROUND_MAGIC);
    __m512 t[8], p[8];
    EACH (i, N)
        y[i] = _mm512_max_ps(y[i], _mm512_set1_ps(SAT_EXP2_LEAST));
    EACH (i, N)
        t[i] = _mm512_add_ps(y[i], magic);
    EACH (i, N)
        y[i] = _mm512_sub_ps(y[i], _mm512_sub_ps(t[i], magic));
    EACH (i, N)
        p[i] = _mm512_set1_ps(SAT_EXP2_P6);
    EACH (k, 6)
        EACH (i, N)
            p[i] = _mm512_fmadd_ps(p[i], y[i], _mm512_set1_ps(P[k]));
    EACH (i, N) {
        __m512i n = _mm512_slli_epi32(_mm512_castps_si512(t[i]), 23);
        y[i] = _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(p[i]), n));
    }
}

/* x = GELU(x) */
INLINE void gelu_avx512(__m512 *x, const int N) {
    static const float Q[] = {SAT_GELU_Q7, SAT_GELU_Q6, SAT_GELU_Q5, SAT_GELU_Q4,
                              SAT_GELU_Q3, SAT_GELU_Q2, SAT_GELU_Q1, -1};
    __m512 q[8]; /* becomes Φ(−|x|) */
    EACH (i, N)
        q[i] = _mm512_set1_ps(SAT_GELU_Q8);
    EACH (k, 8)
        EACH (i, N)
            q[i] = _mm512_fmadd_ps(q[i], _mm512_abs_ps(x[i]), _mm512_set1_ps(Q[k]));
    exp2_avx512(q, N);
    EACH (i, N) {
        __mmask16 positive = _mm512_cmp_ps_mask(x[i], _mm512_setzero_ps(), _CMP_NLT_UQ);
        q[i] = _mm512_mask_sub_ps(q[i], positive, _mm512_set1_ps(1.0f), q[i]);
        x[i] = _mm512_mul_ps(x[i], q[i]);
    }
}

/* `rows` rows of 32. */
INLINE void finish_rows(float *out, size_t out_stride, const float *acc, size_t acc_stride,
                        const float *bias, int gelu, const int rows) {
    __m512 x[8];
    EACH (r, rows) {
        const float *in = acc + r * acc_stride;
        x[2 * r] = _mm512_add_ps(_mm512_loadu_ps(in), _mm512_loadu_ps(bias));
        x[2 * r + 1] = _mm512_add_ps(_mm512_loadu_ps(in + 16), _mm512_loadu_ps(bias + 16));
    }
    if (gelu)
        gelu_avx512(x, 2 * rows);
    EACH (r, rows) {
        _mm512_storeu_ps(out + r * out_stride, x[2 * r]);
        _mm512_storeu_ps(out + r * out_stride + 16, x[2 * r + 1]);
    }
}

static void finish_avx512(float *out, size_t out_stride, const float *acc, size_t acc_stride,
                          const float *bias, int activation, size_t rows) {
    int gelu = activation == SAT_ACTIVATION_GELU;
    for (; rows >= 4; rows -= 4, out += 4 * out_stride, acc += 4 * acc_stride)
        finish_rows(out, out_stride, acc, acc_stride, bias, gelu, 4);
    for (; rows > 0; rows--, out += out_stride, acc += acc_stride)
        finish_rows(out, out_stride, acc, acc_stride, bias, gelu, 1);
}

/* ------------------------------------------------------------------ rows */

INLINE float sum_lanes(__m512 lane) {
    return sum_eight(_mm256_add_ps(_mm512_castps512_ps256(lane), _mm512_extractf32x8_ps(lane, 1)));
}

/* The lanes of a row's 16 elements from i on that exist. */
INLINE __mmask16 lanes_from(size_t n, size_t i) {
    return n - i >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << (n - i)) - 1);
}

/* R rows together: a row alone is one chain of additions after another. */
INLINE void norm_rows(float *out, size_t out_stride, const float *x, size_t x_stride,
                      const float *residual, size_t residual_stride, const sat_norm *norm, size_t n,
                      const int R) {
    __m512 sum[4], mean[4], inverse[4];
    EACH (r, R)
        sum[r] = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 mask = lanes_from(n, i);
        EACH (r, R) {
            __m512 y = _mm512_maskz_loadu_ps(mask, x + r * x_stride + i);
            if (residual)
                y = _mm512_add_ps(y,
                                  _mm512_maskz_loadu_ps(mask, residual + r * residual_stride + i));
            _mm512_mask_storeu_ps(out + r * out_stride + i, mask, y);
            sum[r] = _mm512_add_ps(sum[r], y);
        }
    }
    EACH (r, R) {
        mean[r] = _mm512_set1_ps(sum_lanes(sum[r]) / (float)n);
        sum[r] = _mm512_setzero_ps();
    }
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 mask = lanes_from(n, i);
        EACH (r, R) {
            __m512 y = _mm512_maskz_loadu_ps(mask, out + r * out_stride + i);
            y = _mm512_maskz_sub_ps(mask, y, mean[r]);
            sum[r] = _mm512_fmadd_ps(y, y, sum[r]);
        }
    }
    EACH (r, R) {
        __m128 variance = _mm_set_ss(sum_lanes(sum[r]) / (float)n + norm->epsilon);
        inverse[r] = _mm512_broadcastss_ps(_mm_div_ss(_mm_set_ss(1.0f), _mm_sqrt_ss(variance)));
    }
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 mask = lanes_from(n, i);
        __m512 gamma = _mm512_maskz_loadu_ps(mask, norm->gamma + i);
        __m512 beta = _mm512_maskz_loadu_ps(mask, norm->beta + i);
        EACH (r, R) {
            __m512 y = _mm512_maskz_loadu_ps(mask, out + r * out_stride + i);
            y = _mm512_mul_ps(_mm512_sub_ps(y, mean[r]), inverse[r]);
            _mm512_mask_storeu_ps(out + r * out_stride + i, mask, _mm512_fmadd_ps(y, gamma, beta));
        }
    }
}

static void add_norm_avx512(float *out, size_t out_stride, const float *x, size_t x_stride,
                            const float *residual, size_t residual_stride, const sat_norm *norm,
                            size_t n, size_t rows) {
    for (; rows > 0;) {
        size_t count = rows >= 4 ? 4 : 1;
        if (count == 4)
            norm_rows(out, out_stride, x, x_stride, residual, residual_stride, norm, n, 4);
        else
            norm_rows(out, out_stride, x, x_stride, residual, residual_stride, norm, n, 1);
        out += count * out_stride;
        x += count * x_stride;
        residual = residual ? residual + count * residual_stride : NULL;
        rows -= count;
    }
}

static float softmax_avx512(float *x, float scale, size_t n) {
    __m512 largest = _mm512_set1_ps(x[0]), by = _mm512_set1_ps(scale * SAT_LOG2E);
    __m512 sum = _mm512_setzero_ps(), y[4];
    size_t i;
    for (i = 0; i < n; i += 16)
        largest = _mm512_mask_max_ps(largest, lanes_from(n, i),
                                     _mm512_maskz_loadu_ps(lanes_from(n, i), x + i), largest);
    largest = _mm512_set1_ps(_mm512_reduce_max_ps(largest));
    for (i = 0; i + 64 <= n; i += 64) {
        EACH (j, 4)
            y[j] = _mm512_mul_ps(by, _mm512_sub_ps(_mm512_loadu_ps(x + i + 16 * j), largest));
        exp2_avx512(y, 4);
        EACH (j, 4) {
            _mm512_storeu_ps(x + i + 16 * j, y[j]);
            sum = _mm512_add_ps(sum, y[j]);
        }
    }
    for (; i < n; i += 16) {
        __mmask16 mask = lanes_from(n, i);
        y[0] = _mm512_mul_ps(by, _mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + i), largest));
        exp2_avx512(y, 1);
        y[0] = _mm512_maskz_mov_ps(mask, y[0]);
        _mm512_storeu_ps(x + i, y[0]);
        sum = _mm512_add_ps(sum, y[0]);
    }
    if (i % SAT_STRIP)
        _mm512_storeu_ps(x + i, _mm512_setzero_ps());
    return sum_lanes(sum);
}

const sat_kernels sat_kernels_avx512 = {
    .level = SATCHEL_CPU_AVX512,
    .q8_flip = 0x80,
    .quantize = quantize_avx512,
    .gemm_q8 = gemm_q8_avx512,
    .gemm_f32 = gemm_f32_avx512,
    .finish = finish_avx512,
    .add_norm = add_norm_avx512,
    .softmax = softmax_avx512,
    .transpose = transpose_avx512,
};
