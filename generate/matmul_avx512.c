/*
 * Products with weights of all types for AVX-512 (F, BW, DQ, VL, VNNI). A strip of 32 outputs is
 * two registers; tiles are up to six rows, whose integer sums and partial results fit 32 registers.
 */
#include "generate/matmul_x86.h"

/* ------------------------------------------------------------------ blocks of 32 */

/* Adds to dot the products of M rows and `steps` steps of 4 inputs. */
INLINE void add_products(__m512i dot[][2], const int8_t *const *rows,
                         const uint8_t code[][SAT_STRIP][4], const int steps, const int M) {
    EACH (k, steps) {
        __m512i w0 = _mm512_load_si512(code[k]), w1 = _mm512_load_si512(code[k][16]);
        EACH (i, M) {
            __m512i x = _mm512_set1_epi32(word_at(rows[i] + 4 * k));
            dot[i][0] = _mm512_dpbusd_epi32(dot[i][0], w0, x);
            dot[i][1] = _mm512_dpbusd_epi32(dot[i][1], w1, x);
            KEEP(dot[i][0]);
            KEEP(dot[i][1]);
        }
    }
}

/* out += (float)dot · (unit · row's scale) */
INLINE void add_scaled(__m512 out[2], const __m512i dot[2], const float *unit, __m512 scale) {
    EACH (j, 2)
        out[j] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[j]),
                                 _mm512_mul_ps(_mm512_load_ps(unit + 16 * j), scale), out[j]);
}

INLINE void tile_32(float *acc, size_t acc_stride, bool add, const sat_operand_part *part,
                    size_t row, const sat_strip_block *block, size_t blocks, int offset,
                    const int halves, const bool least, const int M) {
    const int8_t *rows[6];
    __m512 out[6][2];
    EACH (i, M) {
        rows[i] = part->values + (row + i) * part->values_stride;
        EACH (j, 2)
            out[i][j] = add ? _mm512_loadu_ps(acc + i * acc_stride + 16 * j) : _mm512_setzero_ps();
    }
    for (size_t b = 0; b < blocks; b++, block++) {
        const int16_t *sums = part->sums + row * part->sums_stride + b * SAT_SUMS_32;
        const float *scales = part->scales + row * part->scales_stride + b;
        EACH (half, halves) {
            __m512i dot[6][2];
            EACH (i, M)
                dot[i][0] = dot[i][1] = _mm512_set1_epi32(
                    surplus(sums + i * part->sums_stride + half, offset, 3 - halves));
            add_products(dot, rows, block->code + 4 * half, 8 / halves, M);
            EACH (i, M) {
                __m512 scale = _mm512_set1_ps(scales[i * part->scales_stride]);
                add_scaled(out[i], dot[i], half ? block->more : block->scale, scale);
                if (least) {
                    __m512i sum = _mm512_set1_epi32(-surplus(sums + i * part->sums_stride, 1, 2));
                    __m512i both[2] = {sum, sum};
                    add_scaled(out[i], both, block->more, scale);
                }
                rows[i] += 32 / halves;
            }
        }
    }
    EACH (i, M)
        EACH (j, 2)
            _mm512_storeu_ps(acc + i * acc_stride + 16 * j, out[i][j]);
}

#define TILES(tile, most, ...)                                                                     \
    size_t row = 0;                                                                                \
    for (; rows - row >= (most); row += (most))                                                    \
        tile(acc + row * acc_stride, acc_stride, add, part, row, strip, blocks, __VA_ARGS__,       \
             most);                                                                                \
    if (rows - row >= 4) {                                                                         \
        tile(acc + row * acc_stride, acc_stride, add, part, row, strip, blocks, __VA_ARGS__, 4);   \
        row += 4;                                                                                  \
    }                                                                                              \
    if (rows - row >= 2) {                                                                         \
        tile(acc + row * acc_stride, acc_stride, add, part, row, strip, blocks, __VA_ARGS__, 2);   \
        row += 2;                                                                                  \
    }                                                                                              \
    if (rows > row)                                                                                \
        tile(acc + row * acc_stride, acc_stride, add, part, row, strip, blocks, __VA_ARGS__, 1);

static void multiply_32(float *acc, size_t acc_stride, bool add, const sat_operand_part *part,
                        const sat_strip_block *strip, const sat_quant *quant, size_t blocks,
                        size_t rows) {
    if (quant->group == 16) {
        TILES(tile_32, 6, quant->offset, 2, false)
    } else if (quant->least) {
        TILES(tile_32, 6, 0, 1, true)
    } else {
        TILES(tile_32, 6, quant->offset, 1, false)
    }
}

/* ------------------------------------------------------------------ blocks of 256 */

/* One block of 256 inputs. */
INLINE void block_256(float *acc, size_t acc_stride, bool add, const int8_t *const *from,
                      const int16_t *sums, size_t sums_stride, const float *scales,
                      size_t scales_stride, const sat_strip_super *block, const int group,
                      const bool least, const int M) {
    const int8_t *rows[6];
    __m512i whole[6][2], minima[6][2];
    EACH (i, M) {
        rows[i] = from[i];
        whole[i][0] = whole[i][1] = minima[i][0] = minima[i][1] = _mm512_setzero_si512();
    }
    SAT_ROLLED
    for (int j = 0; j < SAT_SUPER_BLOCK / group; j++) {
        __m512i dot[6][2];
        EACH (i, M)
            dot[i][0] = dot[i][1] = _mm512_setzero_si512();
        add_products(dot, rows, block->code + j * group / 4, group / 4, M);
        EACH (c, 2) {
            __m512i scale = _mm512_load_si512(block->scale[j] + 16 * c);
            EACH (i, M) {
                whole[i][c] = _mm512_add_epi32(whole[i][c], _mm512_mullo_epi32(dot[i][c], scale));
                KEEP(whole[i][c]);
            }
        }
        EACH (i, M)
            rows[i] += group;
    }
    if (group == 32)
        sums += 16; /* those of 32 */
    SAT_ROLLED
    for (int p = 0; p < SAT_SUPER_BLOCK / group / 2; p++) {
        __m512i m0 = _mm512_load_si512(block->minimum[p]);
        __m512i m1 = _mm512_load_si512(block->minimum[p][16]);
        EACH (i, M) {
            __m512i sum = _mm512_set1_epi32(word_at(sums + i * sums_stride + 2 * p));
            minima[i][0] = _mm512_dpwssd_epi32(minima[i][0], m0, sum);
            minima[i][1] = _mm512_dpwssd_epi32(minima[i][1], m1, sum);
            KEEP(minima[i][0]);
            KEEP(minima[i][1]);
        }
    }
    EACH (i, M)
        EACH (c, 2) {
            float *out = acc + i * acc_stride + 16 * c;
            __m512 scale = _mm512_set1_ps(scales[i * scales_stride]);
            __m512 unit = _mm512_mul_ps(_mm512_load_ps(block->d + 16 * c), scale);
            __m512 sum = add ? _mm512_loadu_ps(out) : _mm512_setzero_ps();
            if (least) {
                sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole[i][c]), unit, sum);
                unit = _mm512_mul_ps(_mm512_load_ps(block->least + 16 * c), scale);
                sum = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(minima[i][c]), unit, sum);
            } else {
                sum = _mm512_fmadd_ps(
                    _mm512_cvtepi32_ps(_mm512_sub_epi32(whole[i][c], minima[i][c])), unit, sum);
            }
            _mm512_storeu_ps(out, sum);
        }
}

INLINE void tile_256(float *acc, size_t acc_stride, bool add, const sat_operand_part *part,
                     size_t row, const sat_strip_super *block, size_t blocks, const int group,
                     const bool least, const int M) {
    for (size_t b = 0; b < blocks; b++, block++) {
        const int8_t *rows[6];
        EACH (i, M)
            rows[i] = part->values + (row + i) * part->values_stride + b * SAT_SUPER_BLOCK;
        block_256(acc, acc_stride, add || b > 0, rows,
                  part->sums + row * part->sums_stride + b * SAT_SUMS_256, part->sums_stride,
                  part->scales + row * part->scales_stride + b, part->scales_stride, block, group,
                  least, M);
    }
}

static void multiply_256(float *acc, size_t acc_stride, bool add, const sat_operand_part *part,
                         const sat_strip_super *strip, const sat_quant *quant, size_t blocks,
                         size_t rows) {
    if (quant->group == 16 && quant->least) {
        TILES(tile_256, 6, 16, true)
    } else if (quant->group == 16) {
        TILES(tile_256, 6, 16, false)
    } else if (quant->least) {
        TILES(tile_256, 6, 32, true)
    } else {
        TILES(tile_256, 6, 32, false)
    }
}

/* ------------------------------------------------------------------ floats */

INLINE __m512 weights_at(const uint8_t *p, uint32_t type, __mmask16 mask) {
    if (type == SAT_GGML_F32)
        return _mm512_maskz_loadu_ps(mask, p);
    __m256i half = _mm256_maskz_loadu_epi16(mask, p);
    if (type == SAT_GGML_F16)
        return _mm512_cvtph_ps(half);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

INLINE float sum_lanes(__m512 lane) {
    __m256 s = _mm256_add_ps(_mm512_castps512_ps256(lane), _mm512_extractf32x8_ps(lane, 1));
    __m128 h = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
    h = _mm_add_ps(h, _mm_movehl_ps(h, h));
    return _mm_cvtss_f32(_mm_add_ss(h, _mm_movehdup_ps(h)));
}

/* M rows by N outputs, lanes along k. */
INLINE void float_tile(float *out, size_t out_stride, const float *x, size_t x_stride,
                       const uint8_t *w, size_t w_stride, uint32_t type, size_t k, const int M,
                       const int N) {
    const size_t bytes = type == SAT_GGML_F32 ? 4 : 2;
    __m512 sum[6][SAT_FLOAT_ROWS];
    EACH (i, M)
        EACH (j, N)
            sum[i][j] = _mm512_setzero_ps();
    for (size_t at = 0; at < k; at += 16) {
        __mmask16 mask = k - at >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << (k - at)) - 1);
        __m512 weight[SAT_FLOAT_ROWS];
        EACH (j, N) {
            weight[j] = weights_at(w + j * w_stride + at * bytes, type, mask);
            if (M < 6) /* few rows: the next outputs' weights */
                __builtin_prefetch(w + (j + N) * w_stride + at * bytes, 0, 2);
        }
        EACH (i, M) {
            __m512 value = _mm512_maskz_loadu_ps(mask, x + i * x_stride + at);
            EACH (j, N)
                sum[i][j] = _mm512_fmadd_ps(value, weight[j], sum[i][j]);
        }
    }
    EACH (i, M)
        EACH (j, N)
            out[i * out_stride + j] = sum_lanes(sum[i][j]);
}

INLINE void float_rows(float *out, size_t out_stride, const float *x, size_t x_stride,
                       const uint8_t *w, size_t w_stride, uint32_t type, size_t k, size_t rows,
                       const int N) {
    for (; rows >= 6; rows -= 6, out += 6 * out_stride, x += 6 * x_stride)
        float_tile(out, out_stride, x, x_stride, w, w_stride, type, k, 6, N);
    for (; rows >= 2; rows -= 2, out += 2 * out_stride, x += 2 * x_stride)
        float_tile(out, out_stride, x, x_stride, w, w_stride, type, k, 2, N);
    if (rows)
        float_tile(out, out_stride, x, x_stride, w, w_stride, type, k, 1, N);
}

static void multiply_float(float *out, size_t out_stride, const float *x, size_t x_stride,
                           const uint8_t *w, size_t w_stride, uint32_t type, size_t count, size_t k,
                           size_t rows) {
#define TYPE(name)                                                                                 \
    if (type == (name)) {                                                                          \
        if (count == SAT_FLOAT_ROWS)                                                               \
            float_rows(out, out_stride, x, x_stride, w, w_stride, name, k, rows, SAT_FLOAT_ROWS);  \
        else                                                                                       \
            for (size_t c = 0; c < count; c++)                                                     \
                float_rows(out + c, out_stride, x, x_stride, w + c * w_stride, w_stride, name, k,  \
                           rows, 1);                                                               \
    }
    TYPE(SAT_GGML_F32)
    TYPE(SAT_GGML_F16)
    TYPE(SAT_GGML_BF16)
#undef TYPE
}

const sat_matmul_kernels sat_matmul_avx512 = {
    .level = SATCHEL_CPU_AVX512,
    .quantize_32 = quantize_32,
    .quantize_256 = quantize_256,
    .unpack_32 = unpack_32,
    .unpack_256 = unpack_256,
    .multiply_32 = multiply_32,
    .multiply_256 = multiply_256,
    .multiply_float = multiply_float,
};
