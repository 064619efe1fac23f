/*
 * Encoder kernels for AVX2, FMA and F16C. With 16 registers, tiles are 4 rows by 8 outputs for int8 (sums
 * in int32 and in float) and 6 by 16 for float: a strip of 32 is walked in four and in two parts.
 */
#include <string.h>

#include "base/kernel.h"
#include "generate/kernels_isa.h"

/* ------------------------------------------------------------------ products */

/* M rows by 8 outputs. Unsigned·signed products of |w| and ±a: pairs stay below 2·128·127 = 32512, so
 * 16 bits do not saturate. It must be |w|, as weights reach −128 and activations do not. */
INLINE void q8_tile(float *acc, size_t acc_stride, int add, const uint8_t *a, size_t a_stride,
                    const float *a_scales, size_t scales_stride, const sat_q8_strip_block *block,
                    size_t blocks, size_t column, const int M) {
    const __m256i ones = _mm256_set1_epi16(1);
    __m256 out[4];
    EACH (i, M)
        out[i] = add ? _mm256_loadu_ps(acc + i * acc_stride) : _mm256_setzero_ps();
    for (size_t b = 0; b < blocks; b++, block++, a += SAT_Q8_BLOCK, a_scales++) {
        __m256i sum[4];
        EACH (i, M)
            sum[i] = _mm256_setzero_si256();
        EACH (k, 8) {
            __m256i w = _mm256_load_si256((const __m256i *)block->weights[k][column]);
            __m256i size = _mm256_abs_epi8(w);
            EACH (i, M) {
                int32_t four;
                memcpy(&four, a + i * a_stride + 4 * k, 4);
                __m256i x = _mm256_sign_epi8(_mm256_set1_epi32(four), w);
                x = _mm256_madd_epi16(_mm256_maddubs_epi16(size, x), ones);
                sum[i] = _mm256_add_epi32(sum[i], x);
                /* GCC would turn the eight sums into a tree, which needs more registers than
                 * there are. */
                __asm__("" : "+x"(sum[i]));
            }
        }
        __m256 scale = _mm256_load_ps(block->scale + column);
        EACH (i, M) {
            __m256 by = _mm256_mul_ps(scale, _mm256_set1_ps(a_scales[i * scales_stride]));
            out[i] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[i]), by, out[i]);
        }
    }
    EACH (i, M)
        _mm256_storeu_ps(acc + i * acc_stride, out[i]);
}

static void gemm_q8_avx2(float *acc, size_t acc_stride, int add, const uint8_t *a, size_t a_stride,
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
    TILES(4)
    TILES(2)
    TILES(1)
#undef TILES
}

/* M rows by 16 outputs. */
INLINE void f32_tile(float *acc, size_t acc_stride, int add, const float *a, size_t a_stride,
                     const float *strip, size_t k, const int M) {
    __m256 out[6][2];
    EACH (i, M) {
        out[i][0] = add ? _mm256_loadu_ps(acc + i * acc_stride) : _mm256_setzero_ps();
        out[i][1] = add ? _mm256_loadu_ps(acc + i * acc_stride + 8) : _mm256_setzero_ps();
    }
    for (size_t j = 0; j < k; j++, strip += SAT_STRIP) {
        __m256 w0 = _mm256_load_ps(strip), w1 = _mm256_load_ps(strip + 8);
        EACH (i, M) {
            __m256 x = _mm256_broadcast_ss(a + i * a_stride + j);
            out[i][0] = _mm256_fmadd_ps(x, w0, out[i][0]);
            out[i][1] = _mm256_fmadd_ps(x, w1, out[i][1]);
        }
    }
    EACH (i, M) {
        _mm256_storeu_ps(acc + i * acc_stride, out[i][0]);
        _mm256_storeu_ps(acc + i * acc_stride + 8, out[i][1]);
    }
}

static void gemm_f32_avx2(float *acc, size_t acc_stride, int add, const float *a, size_t a_stride,
                          const float *strip, size_t k, size_t rows) {
#define TILES(m)                                                                                   \
    for (; rows >= (m); rows -= (m)) {                                                             \
        f32_tile(acc, acc_stride, add, a, a_stride, strip, k, m);                                  \
        f32_tile(acc + 16, acc_stride, add, a, a_stride, strip + 16, k, m);                        \
        acc += (m)*acc_stride;                                                                     \
        a += (m)*a_stride;                                                                         \
    }
    TILES(6)
    TILES(4)
    TILES(2)
    TILES(1)
#undef TILES
}

/* ------------------------------------------------------------------ rows to bytes, keys to strips */

/* `count` <= 4 blocks of 32, `*_step` apart: four maxima side by side need one division and a third of
 * the shuffles. */
INLINE void quantize_four(uint8_t *out, size_t out_step, float *scale, size_t scale_step,
                          const float *x, size_t x_step, size_t count) {
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    size_t at[4]; /* past the end: the last block again */
    __m256i m[4];
    EACH (i, 4) {
        at[i] = i == 0 || (size_t)i < count ? (size_t)i : at[i - 1];
        const __m256i *in = (const __m256i *)(x + at[i] * x_step);
        /* Magnitudes' bits order like the magnitudes, and put NaN above infinity. */
        m[i] = _mm256_max_epi32(
            _mm256_max_epi32(_mm256_and_si256(_mm256_loadu_si256(in), magnitude),
                             _mm256_and_si256(_mm256_loadu_si256(in + 1), magnitude)),
            _mm256_max_epi32(_mm256_and_si256(_mm256_loadu_si256(in + 2), magnitude),
                             _mm256_and_si256(_mm256_loadu_si256(in + 3), magnitude)));
    }
    __m256i a =
        _mm256_max_epi32(_mm256_unpacklo_epi32(m[0], m[1]), _mm256_unpackhi_epi32(m[0], m[1]));
    __m256i b =
        _mm256_max_epi32(_mm256_unpacklo_epi32(m[2], m[3]), _mm256_unpackhi_epi32(m[2], m[3]));
    a = _mm256_max_epi32(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
    __m128i c = _mm_max_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));

    __m128 largest = _mm_castsi128_ps(c), none = _mm_castsi128_ps(_mm_set1_epi32(0x7fc00000));
    __m128 finite = _mm_castsi128_ps(_mm_cmplt_epi32(c, _mm_set1_epi32(0x7f800000)));
    __m128 usable = _mm_and_ps(finite, _mm_cmpge_ps(largest, _mm_set1_ps(SAT_ROW_TINY)));
    float inverse[4], unit[4];
    _mm_storeu_ps(inverse, _mm_and_ps(usable, _mm_div_ps(_mm_set1_ps(127.0f), largest)));
    __m128 scaled = _mm_and_ps(usable, _mm_mul_ps(largest, _mm_set1_ps(1.0f / 127.0f)));
    _mm_storeu_ps(unit, _mm_blendv_ps(none, scaled, finite));
    EACH (i, 4) {
        const float *in = x + at[i] * x_step;
        __m256 by = _mm256_set1_ps(inverse[i]);
        __m256i q[4];
        EACH (j, 4)
            q[j] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(in + 8 * j), by));
        __m256i bytes =
            _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
        bytes = _mm256_permutevar8x32_epi32(bytes, order);
        _mm256_storeu_si256((__m256i *)(out + at[i] * out_step), bytes);
        scale[at[i] * scale_step] = unit[i];
    }
    if (_mm_movemask_ps(finite) !=
        0xf) /* the products were NaN, which gives the least byte: want 0 */
        for (int i = 0; i < 4; i++)
            if (!(_mm_movemask_ps(finite) >> i & 1))
                memset(out + at[i] * out_step, 0, SAT_Q8_BLOCK);
}

static void quantize_avx2(uint8_t *values, size_t values_stride, float *scales,
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

/* An 8x8 block: rows <= 8 of them exist, columns <= 8 of each. */
INLINE void transpose_block(float *out, const float *in, size_t stride, size_t rows,
                            size_t columns) {
    __m256i mask = lanes_below(columns);
    __m256 r[8], t[8];
    EACH (i, 8)
        r[i] = (size_t)i < rows ? _mm256_maskload_ps(in + i * stride, mask) : _mm256_setzero_ps();
    EACH (i, 4) {
        t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    EACH (i, 2) {
        r[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
        r[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
        r[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        r[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
    }
    /* 128-bit lane l of r[4i + c] now holds rows 4i to 4i+3 of column 4l + c. */
    EACH (c, 4) {
        t[c] = _mm256_permute2f128_ps(r[c], r[4 + c], 0x20);
        t[4 + c] = _mm256_permute2f128_ps(r[c], r[4 + c], 0x31);
    }
    EACH (i, 8)
        if ((size_t)i < columns)
            _mm256_storeu_ps(out + i * SAT_STRIP, t[i]);
}

static void transpose_avx2(float *out, const float *in, size_t stride, size_t count, size_t k) {
    for (size_t j = 0; j < k; j += 8)
        for (size_t i = 0; i < SAT_STRIP; i += 8) {
            size_t rows = i < count ? count - i : 0, columns = k - j;
            transpose_block(out + j * SAT_STRIP + i, in + (rows ? i : 0) * stride + j, stride,
                            rows < 8 ? rows : 8, columns < 8 ? columns : 8);
        }
}

/* ------------------------------------------------------------------ functions of one value */

/* These are long chains of dependent instructions. Evaluating N vectors step by step, not one after
 * the other, keeps the schedulers from filling up with instructions that wait. */

/* y = 2^max(y, -126) */
INLINE void exp2_avx2(__m256 *y, const int N) {
    static const float P[] = {SAT_EXP2_P5, SAT_EXP2_P4, SAT_EXP2_P3, SAT_EXP2_P2, SAT_EXP2_P1, 1};
    const __m256 magic = _mm256_set1_ps(SAT_ROUND_MAGIC);
    __m256 t[4], p[4];
    EACH (i, N)
        y[i] = _mm256_max_ps(y[i], _mm256_set1_ps(SAT_EXP2_LEAST));
    EACH (i, N)
        t[i] = _mm256_add_ps(y[i], magic);
    EACH (i, N)
        y[i] = _mm256_sub_ps(y[i], _mm256_sub_ps(t[i], magic));
    EACH (i, N)
        p[i] = _mm256_set1_ps(SAT_EXP2_P6);
    EACH (k, 6)
        EACH (i, N)
            p[i] = _mm256_fmadd_ps(p[i], y[i], _mm256_set1_ps(P[k]));
    EACH (i, N) {
        __m256i n = _mm256_slli_epi32(_mm256_castps_si256(t[i]), 23);
        y[i] = _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p[i]), n));
    }
}

/* x = GELU(x) */
INLINE void gelu_avx2(__m256 *x, const int N) {
    static const float Q[] = {SAT_GELU_Q7, SAT_GELU_Q6, SAT_GELU_Q5, SAT_GELU_Q4,
                              SAT_GELU_Q3, SAT_GELU_Q2, SAT_GELU_Q1, -1};
    const __m256 sign = _mm256_set1_ps(-0.0f);
    __m256 q[4]; /* becomes Φ(−|x|) */
    EACH (i, N)
        q[i] = _mm256_set1_ps(SAT_GELU_Q8);
    EACH (k, 8)
        EACH (i, N)
            q[i] = _mm256_fmadd_ps(q[i], _mm256_andnot_ps(sign, x[i]), _mm256_set1_ps(Q[k]));
    exp2_avx2(q, N);
    EACH (i, N) {
        __m256 negative = _mm256_cmp_ps(x[i], _mm256_setzero_ps(), _CMP_LT_OQ);
        __m256 above = _mm256_sub_ps(_mm256_set1_ps(1.0f), q[i]);
        x[i] = _mm256_mul_ps(x[i], _mm256_blendv_ps(above, q[i], negative));
    }
}

static void finish_avx2(float *out, size_t out_stride, const float *acc, size_t acc_stride,
                        const float *bias, int activation, size_t rows) {
    for (size_t r = 0; r < rows; r++, out += out_stride, acc += acc_stride) {
        __m256 x[4];
        EACH (i, 4)
            x[i] = _mm256_add_ps(_mm256_loadu_ps(acc + 8 * i), _mm256_loadu_ps(bias + 8 * i));
        if (activation == SAT_ACTIVATION_GELU)
            gelu_avx2(x, 4);
        EACH (i, 4)
            _mm256_storeu_ps(out + 8 * i, x[i]);
    }
}

/* ------------------------------------------------------------------ rows */

/* 16 elements from x + i, or what there is of them up to n and zeros. */
INLINE void load16(__m256 y[2], const float *x, size_t i, size_t n) {
    size_t left = n - i;
    if (left >= 16) {
        y[0] = _mm256_loadu_ps(x + i);
        y[1] = _mm256_loadu_ps(x + i + 8);
    } else {
        y[0] = _mm256_maskload_ps(x + i, lanes_below(left));
        y[1] =
            left > 8 ? _mm256_maskload_ps(x + i + 8, lanes_below(left - 8)) : _mm256_setzero_ps();
    }
}

INLINE void store16(float *x, size_t i, size_t n, const __m256 y[2]) {
    size_t left = n - i;
    if (left >= 16) {
        _mm256_storeu_ps(x + i, y[0]);
        _mm256_storeu_ps(x + i + 8, y[1]);
    } else {
        _mm256_maskstore_ps(x + i, lanes_below(left), y[0]);
        if (left > 8)
            _mm256_maskstore_ps(x + i + 8, lanes_below(left - 8), y[1]);
    }
}

INLINE float sum_lanes(const __m256 lane[2]) {
    return sum_eight(_mm256_add_ps(lane[0], lane[1]));
}

/* R rows together: a row alone is one chain of additions after another. */
INLINE void norm_rows(float *out, size_t out_stride, const float *x, size_t x_stride,
                      const float *residual, size_t residual_stride, const sat_norm *norm, size_t n,
                      const int R) {
    __m256 sum[2][2], y[2], more[2], mean[2], inverse[2];
    EACH (r, R)
        sum[r][0] = sum[r][1] = _mm256_setzero_ps();
    for (size_t i = 0; i < n; i += 16)
        EACH (r, R) {
            load16(y, x + r * x_stride, i, n);
            if (residual) {
                load16(more, residual + r * residual_stride, i, n);
                EACH (j, 2)
                    y[j] = _mm256_add_ps(y[j], more[j]);
            }
            store16(out + r * out_stride, i, n, y);
            EACH (j, 2)
                sum[r][j] = _mm256_add_ps(sum[r][j], y[j]);
        }
    EACH (r, R) {
        mean[r] = _mm256_set1_ps(sum_lanes(sum[r]) / (float)n);
        sum[r][0] = sum[r][1] = _mm256_setzero_ps();
    }
    for (size_t i = 0; i < n; i += 16)
        EACH (r, R) {
            load16(y, out + r * out_stride, i, n);
            EACH (j, 2)
                y[j] = _mm256_sub_ps(y[j], mean[r]);
            if (n - i < 16) { /* lanes past the end count as 0 */
                size_t left = n - i;
                y[0] = _mm256_and_ps(y[0], _mm256_castsi256_ps(lanes_below(left)));
                y[1] =
                    _mm256_and_ps(y[1], _mm256_castsi256_ps(lanes_below(left > 8 ? left - 8 : 0)));
            }
            EACH (j, 2)
                sum[r][j] = _mm256_fmadd_ps(y[j], y[j], sum[r][j]);
        }
    EACH (r, R) {
        __m128 variance = _mm_set_ss(sum_lanes(sum[r]) / (float)n + norm->epsilon);
        inverse[r] = _mm256_broadcastss_ps(_mm_div_ss(_mm_set_ss(1.0f), _mm_sqrt_ss(variance)));
    }
    for (size_t i = 0; i < n; i += 16) {
        __m256 gamma[2], beta[2];
        load16(gamma, norm->gamma, i, n);
        load16(beta, norm->beta, i, n);
        EACH (r, R) {
            load16(y, out + r * out_stride, i, n);
            EACH (j, 2) {
                y[j] = _mm256_mul_ps(_mm256_sub_ps(y[j], mean[r]), inverse[r]);
                y[j] = _mm256_fmadd_ps(y[j], gamma[j], beta[j]);
            }
            store16(out + r * out_stride, i, n, y);
        }
    }
}

static void add_norm_avx2(float *out, size_t out_stride, const float *x, size_t x_stride,
                          const float *residual, size_t residual_stride, const sat_norm *norm,
                          size_t n, size_t rows) {
    while (rows > 0) {
        size_t count = rows >= 2 ? 2 : 1;
        if (count == 2)
            norm_rows(out, out_stride, x, x_stride, residual, residual_stride, norm, n, 2);
        else
            norm_rows(out, out_stride, x, x_stride, residual, residual_stride, norm, n, 1);
        out += count * out_stride;
        x += count * x_stride;
        residual = residual ? residual + count * residual_stride : NULL;
        rows -= count;
    }
}

static float softmax_avx2(float *x, float scale, size_t n) {
    __m256 largest = _mm256_set1_ps(x[0]), by = _mm256_set1_ps(scale * SAT_LOG2E);
    __m256 sum[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()}, y[4];
    size_t i;
    for (i = 0; i + 8 <= n; i += 8)
        largest = _mm256_max_ps(_mm256_loadu_ps(x + i), largest);
    for (; i < n; i++) /* the same maximum in any order */
        largest = _mm256_max_ps(_mm256_set1_ps(x[i]), largest);
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(largest), _mm256_extractf128_ps(largest, 1));
    four = _mm_max_ps(four, _mm_movehl_ps(four, four));
    four = _mm_max_ss(four, _mm_movehdup_ps(four));
    largest = _mm256_broadcastss_ps(four);
    for (i = 0; i + 32 <= n; i += 32) {
        EACH (j, 4)
            y[j] = _mm256_mul_ps(by, _mm256_sub_ps(_mm256_loadu_ps(x + i + 8 * j), largest));
        exp2_avx2(y, 4);
        EACH (j, 4) {
            _mm256_storeu_ps(x + i + 8 * j, y[j]);
            sum[j % 2] = _mm256_add_ps(sum[j % 2], y[j]);
        }
    }
    if (i < n) { /* the padding is readable and becomes 0 */
        size_t left = n - i;
        EACH (j, 4) {
            __m256i mask = lanes_below(left < 8 * (size_t)j ? 0 : left - 8 * (size_t)j);
            y[j] = _mm256_maskload_ps(x + i + 8 * j, mask);
            y[j] = _mm256_mul_ps(by, _mm256_sub_ps(y[j], largest));
            exp2_avx2(y + j, 1);
            y[j] = _mm256_and_ps(y[j], _mm256_castsi256_ps(mask));
            _mm256_storeu_ps(x + i + 8 * j, y[j]);
            sum[j % 2] = _mm256_add_ps(sum[j % 2], y[j]);
        }
    }
    return sum_lanes(sum);
}

const sat_kernels sat_kernels_avx2 = {
    .level = SATCHEL_CPU_AVX2,
    .q8_flip = 0,
    .quantize = quantize_avx2,
    .gemm_q8 = gemm_q8_avx2,
    .gemm_f32 = gemm_f32_avx2,
    .finish = finish_avx2,
    .add_norm = add_norm_avx2,
    .softmax = softmax_avx2,
    .transpose = transpose_avx2,
};
