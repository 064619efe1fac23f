/*
 * Products with weights of all types on registers of 256 bits: 8 outputs by a few rows at a time.
 * The file that includes it defines before
 *   MOST                      rows of a tile: what 16 registers hold
 *   SIGNED_CODES              1: codes of 8 bits are taken as signed, without offset
 *   add_products(dot, rows, code, steps, bits, M)
 *                             adds the products of M rows and `steps` steps of 4 inputs
 *   add_pairs(sum, a, b)      sum + products of pairs of int16
 */
#ifndef SATCHEL_GENERATE_MATMUL_256_H
#define SATCHEL_GENERATE_MATMUL_256_H

/* What codes of this many bits carry that products do not take out by themselves. */
INLINE int offset_of(const int offset, const int bits) {
    return SIGNED_CODES && bits == 8 ? 0 : offset;
}

/* Rows of one call, cut into tiles of MOST, 2 and 1. */
#define TILES(tile, ...)                                                                           \
    do {                                                                                           \
        size_t row = 0;                                                                            \
        for (; rows - row >= MOST; row += MOST)                                                    \
            for (size_t column = 0; column < SAT_STRIP; column += 8)                               \
                tile(acc + row * acc_stride + column, acc_stride, add, part, row, strip, blocks,   \
                     column, __VA_ARGS__, MOST);                                                   \
        for (; rows - row >= 2; row += 2)                                                          \
            for (size_t column = 0; column < SAT_STRIP; column += 8)                               \
                tile(acc + row * acc_stride + column, acc_stride, add, part, row, strip, blocks,   \
                     column, __VA_ARGS__, 2);                                                      \
        if (rows > row)                                                                            \
            for (size_t column = 0; column < SAT_STRIP; column += 8)                               \
                tile(acc + row * acc_stride + column, acc_stride, add, part, row, strip, blocks,   \
                     column, __VA_ARGS__, 1);                                                      \
    } while (0)

/* ------------------------------------------------------------------ blocks of 32 */

INLINE void tile_32(float *acc, size_t acc_stride, bool add, const sat_operand_part *part,
                    size_t row, const sat_strip_block *block, size_t blocks, size_t column,
                    const int offset, const int bits, const int halves, const bool least,
                    const int M) {
    const int8_t *rows[MOST];
    __m256 out[MOST];
    EACH (i, M) {
        rows[i] = part->values + (row + i) * part->values_stride;
        out[i] = add ? _mm256_loadu_ps(acc + i * acc_stride) : _mm256_setzero_ps();
    }
    for (size_t b = 0; b < blocks; b++, block++) {
        const int16_t *sums = part->sums + row * part->sums_stride + b * SAT_SUMS_32;
        const float *scales = part->scales + row * part->scales_stride + b;
        EACH (half, halves) {
            __m256i dot[MOST];
            __m256 unit = _mm256_load_ps((half ? block->more : block->scale) + column);
            EACH (i, M)
                dot[i] = _mm256_set1_epi32(surplus(sums + i * part->sums_stride + half,
                                                   offset_of(offset, bits), 3 - halves));
            add_products(dot, rows, &block->code[4 * half][column], 8 / halves, bits, M);
            EACH (i, M) {
                __m256 by = _mm256_mul_ps(unit, _mm256_set1_ps(scales[i * part->scales_stride]));
                out[i] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot[i]), by, out[i]);
            }
            EACH (i, M)
                rows[i] += 32 / halves;
        }
        if (least) {
            __m256 unit = _mm256_load_ps(block->more + column);
            EACH (i, M) {
                __m256 by = _mm256_mul_ps(unit, _mm256_set1_ps(scales[i * part->scales_stride]));
                int32_t sum = -surplus(sums + i * part->sums_stride, 1, 2);
                out[i] = _mm256_fmadd_ps(_mm256_set1_ps((float)sum), by, out[i]);
            }
        }
    }
    EACH (i, M)
        _mm256_storeu_ps(acc + i * acc_stride, out[i]);
}

static void multiply_32(float *acc, size_t acc_stride, bool add, const sat_operand_part *part,
                        const sat_strip_block *strip, const sat_quant *quant, size_t blocks,
                        size_t rows) {
    const int offset = quant->offset;
    if (quant->group == 16)
        TILES(tile_32, offset, 5, 2, false);
    else if (quant->least)
        TILES(tile_32, 0, 5, 1, true);
    else if (quant->bits == 4)
        TILES(tile_32, offset, 4, 1, false);
    else if (quant->bits == 5)
        TILES(tile_32, offset, 5, 1, false);
    else
        TILES(tile_32, offset, 8, 1, false);
}

/* ------------------------------------------------------------------ blocks of 256 */

/* One block of 256 inputs. */
INLINE void block_256(float *acc, size_t acc_stride, bool add, const int8_t *const *from,
                      const int16_t *sums, size_t sums_stride, const float *scales,
                      size_t scales_stride, const sat_strip_super *block, size_t column,
                      const int group, const int bits, const bool least, const int M) {
    const int8_t *rows[MOST];
    __m256i whole[MOST], minima[MOST];
    EACH (i, M) {
        rows[i] = from[i];
        whole[i] = minima[i] = _mm256_setzero_si256();
    }
    SAT_ROLLED
    for (int j = 0; j < SAT_SUPER_BLOCK / group; j++) {
        __m256i dot[MOST];
        __m256i scale = _mm256_load_si256((const __m256i *)(block->scale[j] + column));
        EACH (i, M)
            dot[i] = _mm256_setzero_si256();
        add_products(dot, rows, &block->code[j * group / 4][column], group / 4, bits, M);
        EACH (i, M) {
            whole[i] = _mm256_add_epi32(whole[i], _mm256_mullo_epi32(dot[i], scale));
            KEEP(whole[i]);
        }
        EACH (i, M)
            rows[i] += group;
    }
    if (group == 32)
        sums += 16; /* those of 32 */
    /* Codes taken as signed have no offset left. */
    const int pairs = SIGNED_CODES && bits == 8 ? 0 : SAT_SUPER_BLOCK / group / 2;
    SAT_ROLLED
    for (int p = 0; p < pairs; p++) {
        __m256i m = _mm256_load_si256((const __m256i *)&block->minimum[p][column]);
        EACH (i, M) {
            __m256i sum = _mm256_set1_epi32(word_at(sums + i * sums_stride + 2 * p));
            minima[i] = add_pairs(minima[i], m, sum);
            KEEP(minima[i]);
        }
    }
    EACH (i, M) {
        float *out = acc + i * acc_stride;
        __m256 scale = _mm256_set1_ps(scales[i * scales_stride]);
        __m256 unit = _mm256_mul_ps(_mm256_load_ps(block->d + column), scale);
        __m256 sum = add ? _mm256_loadu_ps(out) : _mm256_setzero_ps();
        if (least) {
            sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(whole[i]), unit, sum);
            unit = _mm256_mul_ps(_mm256_load_ps(block->least + column), scale);
            sum = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(minima[i]), unit, sum);
        } else {
            whole[i] = _mm256_sub_epi32(whole[i], minima[i]);
            sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(whole[i]), unit, sum);
        }
        _mm256_storeu_ps(out, sum);
    }
}

INLINE void tile_256(float *acc, size_t acc_stride, bool add, const sat_operand_part *part,
                     size_t row, const sat_strip_super *block, size_t blocks, size_t column,
                     const int group, const int bits, const bool least, const int M) {
    for (size_t b = 0; b < blocks; b++, block++) {
        const int8_t *rows[MOST];
        EACH (i, M)
            rows[i] = part->values + (row + i) * part->values_stride + b * SAT_SUPER_BLOCK;
        block_256(acc, acc_stride, add || b > 0, rows,
                  part->sums + row * part->sums_stride + b * SAT_SUMS_256, part->sums_stride,
                  part->scales + row * part->scales_stride + b, part->scales_stride, block, column,
                  group, bits, least, M);
    }
}

static void multiply_256(float *acc, size_t acc_stride, bool add, const sat_operand_part *part,
                         const sat_strip_super *strip, const sat_quant *quant, size_t blocks,
                         size_t rows) {
    if (quant->group == 16 && quant->least) /* Q2_K */
        TILES(tile_256, 16, 4, true);
    else if (quant->group == 16 && quant->bits <= 4) /* Q3_K */
        TILES(tile_256, 16, 4, false);
    else if (quant->group == 16) /* Q6_K */
        TILES(tile_256, 16, 6, false);
    else if (quant->least && quant->bits == 4) /* Q4_K */
        TILES(tile_256, 32, 4, true);
    else if (quant->least) /* Q5_K */
        TILES(tile_256, 32, 5, true);
    else if (quant->bits == 8) /* IQ4_XS */
        TILES(tile_256, 32, 8, false);
    else /* TQ2_0 */
        TILES(tile_256, 32, 4, false);
}

/* ------------------------------------------------------------------ floats */

/* Eight weights. */
INLINE __m256 weights_at(const uint8_t *p, uint32_t type) {
    if (type == SAT_GGML_F32)
        return _mm256_loadu_ps((const float *)(const void *)p);
    __m128i half = _mm_loadu_si128((const __m128i *)(const void *)p);
    if (type == SAT_GGML_F16)
        return _mm256_cvtph_ps(half);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}

INLINE float sum_lanes(__m256 low, __m256 high) {
    __m256 s = _mm256_add_ps(low, high);
    __m128 h = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
    h = _mm_add_ps(h, _mm_movehl_ps(h, h));
    return _mm_cvtss_f32(_mm_add_ss(h, _mm_movehdup_ps(h)));
}

/* Adds 16 inputs of M rows and N outputs. */
INLINE void add_floats(__m256 sum[][4][2], const float *x, size_t x_stride, const uint8_t *w,
                       size_t w_stride, uint32_t type, const int M, const int N) {
    const size_t eight = type == SAT_GGML_F32 ? 32 : 16;
    EACH (h, 2) {
        __m256 weight[4];
        EACH (j, N)
            weight[j] = weights_at(w + j * w_stride + h * eight, type);
        EACH (i, M) {
            __m256 value = _mm256_loadu_ps(x + i * x_stride + 8 * h);
            EACH (j, N) {
                sum[i][j][h] = _mm256_fmadd_ps(value, weight[j], sum[i][j][h]);
                KEEP(sum[i][j][h]);
            }
        }
    }
}

/* M rows by N outputs, lanes along k. */
INLINE void float_tile(float *out, size_t out_stride, const float *x, size_t x_stride,
                       const uint8_t *w, size_t w_stride, uint32_t type, size_t k, const int M,
                       const int N) {
    const size_t size = type == SAT_GGML_F32 ? 4 : 2;
    __m256 sum[3][4][2];
    size_t at = 0;
    EACH (i, M)
        EACH (j, N)
            sum[i][j][0] = sum[i][j][1] = _mm256_setzero_ps();
    for (; k - at >= 16; at += 16) {
        add_floats(sum, x + at, x_stride, w + at * size, w_stride, type, M, N);
        if (M < 3) /* few rows: the next outputs' weights */
            EACH (j, N)
                __builtin_prefetch(w + (j + N) * w_stride + at * size, 0, 2);
    }
    if (at < k) { /* the rest, and zeros */
        float values[3][16] = {{0}};
        uint8_t weights[4][64] = {{0}};
        EACH (i, M)
            memcpy(values[i], x + i * x_stride + at, (k - at) * sizeof(float));
        EACH (j, N)
            memcpy(weights[j], w + j * w_stride + at * size, (k - at) * size);
        add_floats(sum, values[0], 16, weights[0], 64, type, M, N);
    }
    EACH (i, M)
        EACH (j, N)
            out[i * out_stride + j] = sum_lanes(sum[i][j][0], sum[i][j][1]);
}

/* All rows by N outputs. */
INLINE void float_rows(float *out, size_t out_stride, const float *x, size_t x_stride,
                       const uint8_t *w, size_t w_stride, uint32_t type, size_t k, size_t rows,
                       const int N) {
    for (; rows >= 3; rows -= 3, out += 3 * out_stride, x += 3 * x_stride)
        float_tile(out, out_stride, x, x_stride, w, w_stride, type, k, 3, N);
    for (; rows > 0; rows--, out += out_stride, x += x_stride)
        float_tile(out, out_stride, x, x_stride, w, w_stride, type, k, 1, N);
}

static void multiply_float(float *out, size_t out_stride, const float *x, size_t x_stride,
                           const uint8_t *w, size_t w_stride, uint32_t type, size_t count, size_t k,
                           size_t rows) {
#define TYPE(name)                                                                                 \
    if (type == (name)) {                                                                          \
        size_t c = 0;                                                                              \
        if (rows == 1 && count == 4) {                                                             \
            float_tile(out, out_stride, x, x_stride, w, w_stride, name, k, 1, 4);                  \
            c = 4;                                                                                 \
        }                                                                                          \
        for (; c + 2 <= count; c += 2)                                                             \
            float_rows(out + c, out_stride, x, x_stride, w + c * w_stride, w_stride, name, k,      \
                       rows, 2);                                                                   \
        if (c < count)                                                                             \
            float_rows(out + c, out_stride, x, x_stride, w + c * w_stride, w_stride, name, k,      \
                       rows, 1);                                                                   \
    }
    TYPE(SAT_GGML_F32)
    TYPE(SAT_GGML_F16)
    TYPE(SAT_GGML_BF16)
#undef TYPE
}

#endif
