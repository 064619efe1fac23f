/*
 * Products with weights of all types, tile by tile: some rows by REGISTERS vectors of outputs, written
 * with the vectors that GCC and Clang make of any instruction set. Every level's file includes it, after
 * matmul_unpack.h and matmul_few.h (and what these need), and defines before
 *   MOST                  rows of a tile: what the registers hold; 4 or 6
 *   REGISTERS             vectors of outputs of a tile
 *   FLOATS                rows of a tile of float weights, 3 or 6, by 2 or 4 outputs
 *   SIGNED_CODES          1: codes of 8 bits are taken as signed, without offset
 *   FEW_BITS              1: add_products gains from knowing that codes have less than 8 bits
 *   add_products(dot, rows, code, steps, bits, M)
 *                         adds the products of M rows and `steps` steps of 4 inputs
 *   add_pairs(sum, minimum, pair)
 *                         adds the products of pairs of int16
 *   sum_lanes(lane)       the tree over 16 lanes
 *   quantize_block(values, scale, sums, x, count)
 *                         one block of 32 or 256 of a row; sums of each 16
 */
#ifndef SATCHEL_GENERATE_MATMUL_TILES_H
#define SATCHEL_GENERATE_MATMUL_TILES_H

enum { PARTS = 16 / WIDTH, TILE_OUTPUTS = WIDTH * REGISTERS };

/* What codes of this many bits carry that products do not take out by themselves. */
INLINE int offset_of(const int offset, const int bits) {
    return SIGNED_CODES && bits == 8 ? 0 : offset;
}

/* What `offset` adds too much to the sum of 32 codes times values, or of 16. */
INLINE int32_t surplus(const int16_t *sums, int offset, const int halves) {
    return -offset * (halves == 2 ? sums[0] + sums[1] : sums[0]);
}

INLINE signed_words all_words(int32_t x) {
    return (signed_words){0} + x;
}

INLINE floats to_floats(signed_words x) {
    return __builtin_convertvector(x, floats);
}

/* ------------------------------------------------------------------ rows to int8 */

static void quantize_32(int8_t *values, float *scales, int16_t *sums, const float *x, size_t k) {
    for (size_t i = 0; i < k; i += SAT_BLOCK)
        quantize_block(values + i, scales++, sums + i / 16, x + i, SAT_BLOCK);
}

static void quantize_256(int8_t *values, float *scales, int16_t *sums, const float *x, size_t k) {
    for (size_t i = 0; i < k; i += SAT_SUPER_BLOCK, sums += SAT_SUMS_256) {
        quantize_block(values + i, scales++, sums, x + i, SAT_SUPER_BLOCK);
        for (int j = 0; j < 8; j++)
            sums[16 + j] = (int16_t)(sums[2 * j] + sums[2 * j + 1]);
    }
}

/* ------------------------------------------------------------------ tiles */

/* Rows of one call, cut into tiles. */
#define ROWS(tile, m, ...)                                                                         \
    for (; rows - row >= (m); row += (m))                                                          \
        for (size_t column = 0; column < SAT_STRIP; column += TILE_OUTPUTS)                        \
            tile(acc + row * acc_stride + column, acc_stride, add, part, row, strip, blocks,       \
                 column, __VA_ARGS__, m);
#define TILES(tile, ...)                                                                           \
    do {                                                                                           \
        size_t row = 0;                                                                            \
        ROWS(tile, MOST, __VA_ARGS__)                                                              \
        if (MOST > 4)                                                                              \
            ROWS(tile, (MOST > 4 ? 4 : MOST), __VA_ARGS__)                                         \
        ROWS(tile, 2, __VA_ARGS__)                                                                 \
        ROWS(tile, 1, __VA_ARGS__)                                                                 \
    } while (0)

/* ------------------------------------------------------------------ blocks of 32 */

INLINE void tile_32(float *acc, size_t acc_stride, bool add, const sat_operand_part *part,
                    size_t row, const sat_strip_block *block, size_t blocks, size_t column,
                    const int offset, const int bits, const int halves, const bool least,
                    const int M) {
    const int8_t *rows[MOST];
    floats out[MOST][REGISTERS];
    EACH (i, M) {
        rows[i] = part->values + (row + i) * part->values_stride;
        EACH (c, REGISTERS)
            out[i][c] = add ? load_floats(acc + i * acc_stride + c * WIDTH) : all_floats(0);
    }
    for (size_t b = 0; b < blocks; b++, block++) {
        const int16_t *sums = part->sums + row * part->sums_stride + b * SAT_SUMS_32;
        const float *scales = part->scales + row * part->scales_stride + b;
        EACH (half, halves) {
            const float *unit = (half ? block->more : block->scale) + column;
            signed_words dot[MOST][REGISTERS];
            EACH (i, M)
                EACH (c, REGISTERS)
                    dot[i][c] = all_words(surplus(sums + i * part->sums_stride + half,
                                                  offset_of(offset, bits), 3 - halves));
            add_products(dot, rows, &block->code[4 * half][column], 8 / halves, bits, M);
            EACH (i, M)
                EACH (c, REGISTERS) {
                    floats by =
                        load_floats(unit + c * WIDTH) * all_floats(scales[i * part->scales_stride]);
                    out[i][c] = fused(to_floats(dot[i][c]), by, out[i][c]);
                }
            EACH (i, M)
                rows[i] += 32 / halves;
        }
        if (least) {
            EACH (i, M) {
                floats sum = all_floats((float)-surplus(sums + i * part->sums_stride, 1, 2));
                EACH (c, REGISTERS) {
                    floats by = load_floats(block->more + column + c * WIDTH) *
                                all_floats(scales[i * part->scales_stride]);
                    out[i][c] = fused(sum, by, out[i][c]);
                }
            }
        }
    }
    EACH (i, M)
        EACH (c, REGISTERS)
            store_floats(acc + i * acc_stride + c * WIDTH, out[i][c]);
}

static void multiply_32(float *acc, size_t acc_stride, bool add, const sat_operand_part *part,
                        const sat_strip_block *strip, const sat_quant *quant, size_t blocks,
                        size_t rows) {
    const int offset = quant->offset;
    if (quant->group == 16)
        TILES(tile_32, offset, 5, 2, false);
    else if (quant->least)
        TILES(tile_32, 0, 5, 1, true);
    else if ((FEW_BITS || SIGNED_CODES) && quant->bits == 8)
        TILES(tile_32, offset, 8, 1, false);
    else if (FEW_BITS && quant->bits == 4)
        TILES(tile_32, offset, 4, 1, false);
    else
        TILES(tile_32, offset, 5, 1, false);
}

/* ------------------------------------------------------------------ blocks of 256 */

/* One block of 256 inputs. */
INLINE void block_256(float *acc, size_t acc_stride, bool add, const int8_t *const *from,
                      const int16_t *sums, size_t sums_stride, const float *scales,
                      size_t scales_stride, const sat_strip_super *block, size_t column,
                      const int group, const int bits, const bool least, const int M) {
    const int8_t *rows[MOST];
    signed_words whole[MOST][REGISTERS], minima[MOST][REGISTERS];
    EACH (i, M) {
        rows[i] = from[i];
        EACH (c, REGISTERS)
            whole[i][c] = minima[i][c] = all_words(0);
    }
    ROLLED
    for (int j = 0; j < SAT_SUPER_BLOCK / group; j++) {
        signed_words dot[MOST][REGISTERS];
        EACH (i, M)
            EACH (c, REGISTERS)
                dot[i][c] = all_words(0);
        add_products(dot, rows, &block->code[j * group / 4][column], group / 4, bits, M);
        EACH (c, REGISTERS) {
            signed_words scale;
            memcpy(&scale, block->scale[j] + column + c * WIDTH, sizeof scale);
            EACH (i, M) {
                whole[i][c] += dot[i][c] * scale;
                KEEP(whole[i][c]);
            }
        }
        EACH (i, M)
            rows[i] += group;
    }
    if (group == 32)
        sums += 16; /* those of 32 */
    /* Codes taken as signed have no offset left. */
    const int pairs = SIGNED_CODES && bits == 8 ? 0 : SAT_SUPER_BLOCK / group / 2;
    ROLLED
    for (int p = 0; p < pairs; p++) {
        EACH (i, M) {
            int32_t pair = word_at(sums + i * sums_stride + 2 * p);
            EACH (c, REGISTERS) {
                words minimum;
                memcpy(&minimum, block->minimum[p] + column + c * WIDTH, sizeof minimum);
                minima[i][c] = add_pairs(minima[i][c], minimum, pair);
                KEEP(minima[i][c]);
            }
        }
    }
    EACH (i, M)
        EACH (c, REGISTERS) {
            const size_t at = column + c * WIDTH;
            float *out = acc + i * acc_stride + c * WIDTH;
            floats scale = all_floats(scales[i * scales_stride]);
            floats unit = load_floats(block->d + at) * scale;
            floats sum = add ? load_floats(out) : all_floats(0);
            if (least) {
                sum = fused(to_floats(whole[i][c]), unit, sum);
                unit = load_floats(block->least + at) * scale;
                sum = fused(to_floats(minima[i][c]), -unit, sum);
            } else {
                sum = fused(to_floats(whole[i][c] - minima[i][c]), unit, sum);
            }
            store_floats(out, sum);
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
    else if (FEW_BITS && quant->group == 16 && quant->bits <= 4) /* Q3_K */
        TILES(tile_256, 16, 4, false);
    else if (quant->group == 16) /* Q6_K */
        TILES(tile_256, 16, 6, false);
    else if (FEW_BITS && quant->least && quant->bits == 4) /* Q4_K */
        TILES(tile_256, 32, 4, true);
    else if (quant->least) /* Q5_K */
        TILES(tile_256, 32, 5, true);
    else if ((FEW_BITS || SIGNED_CODES) && quant->bits == 8) /* IQ4_XS */
        TILES(tile_256, 32, 8, false);
    else /* TQ2_0 */
        TILES(tile_256, 32, 4, false);
}

/* ------------------------------------------------------------------ floats */

/* A vector of weights. */
INLINE floats weights_at(const uint8_t *p, uint32_t type) {
    half_words high;
    if (type == SAT_GGML_F32)
        return load_floats((const float *)(const void *)p);
    if (type == SAT_GGML_F16)
        return load_halves(p);
    memcpy(&high, p, sizeof high);
    return (floats)(__builtin_convertvector(high, words) << 16);
}

/* Adds 16 inputs of M rows and N outputs. */
INLINE void add_floats(floats sum[][4][PARTS], const float *x, size_t x_stride, const uint8_t *w,
                       size_t w_stride, uint32_t type, const int M, const int N) {
    const size_t size = type == SAT_GGML_F32 ? 4 : 2;
    EACH (h, PARTS) {
        floats weight[4];
        EACH (j, N)
            weight[j] = weights_at(w + j * w_stride + h * WIDTH * size, type);
        EACH (i, M) {
            floats value = load_floats(x + i * x_stride + h * WIDTH);
            EACH (j, N) {
                sum[i][j][h] = fused(value, weight[j], sum[i][j][h]);
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
    floats sum[FLOATS][4][PARTS];
    size_t at = 0;
    EACH (i, M)
        EACH (j, N)
            EACH (h, PARTS)
                sum[i][j][h] = all_floats(0);
    for (; k - at >= 16; at += 16) {
        add_floats(sum, x + at, x_stride, w + at * size, w_stride, type, M, N);
        if (M < 3) /* few rows: the next outputs' weights */
            EACH (j, N)
                __builtin_prefetch(w + (j + N) * w_stride + at * size, 0, 2);
    }
    if (at < k) { /* the rest, and zeros */
        float values[FLOATS][16] = {{0}};
        uint8_t weights[4][64] = {{0}};
        EACH (i, M)
            memcpy(values[i], x + i * x_stride + at, (k - at) * sizeof(float));
        EACH (j, N)
            memcpy(weights[j], w + j * w_stride + at * size, (k - at) * size);
        add_floats(sum, values[0], 16, weights[0], 64, type, M, N);
    }
    EACH (i, M)
        EACH (j, N)
            out[i * out_stride + j] = sum_lanes(sum[i][j]);
}

/* All rows by N outputs. */
INLINE void float_rows(float *out, size_t out_stride, const float *x, size_t x_stride,
                       const uint8_t *w, size_t w_stride, uint32_t type, size_t k, size_t rows,
                       const int N) {
    for (; rows >= FLOATS; rows -= FLOATS, out += FLOATS * out_stride, x += FLOATS * x_stride)
        float_tile(out, out_stride, x, x_stride, w, w_stride, type, k, FLOATS, N);
    for (; rows >= 2; rows -= 2, out += 2 * out_stride, x += 2 * x_stride)
        float_tile(out, out_stride, x, x_stride, w, w_stride, type, k, 2, N);
    if (rows)
        float_tile(out, out_stride, x, x_stride, w, w_stride, type, k, 1, N);
}

/* All rows by all outputs. */
INLINE void float_strip(float *out, size_t out_stride, const float *x, size_t x_stride,
                        const uint8_t *w, size_t w_stride, uint32_t type, size_t count, size_t k,
                        size_t rows) {
    const int N = FLOATS > 4 ? 4 : 2;
    size_t c = 0;
    if (N < 4 && rows == 1 && count == 4) {
        float_tile(out, out_stride, x, x_stride, w, w_stride, type, k, 1, 4);
        return;
    }
    for (; count - c >= (size_t)N; c += (size_t)N)
        float_rows(out + c, out_stride, x, x_stride, w + c * w_stride, w_stride, type, k, rows, N);
    for (; c < count; c++)
        float_rows(out + c, out_stride, x, x_stride, w + c * w_stride, w_stride, type, k, rows, 1);
}

static void multiply_float(float *out, size_t out_stride, const float *x, size_t x_stride,
                           const uint8_t *w, size_t w_stride, uint32_t type, size_t count, size_t k,
                           size_t rows) {
    if (type == SAT_GGML_F32)
        float_strip(out, out_stride, x, x_stride, w, w_stride, SAT_GGML_F32, count, k, rows);
    else if (type == SAT_GGML_F16)
        float_strip(out, out_stride, x, x_stride, w, w_stride, SAT_GGML_F16, count, k, rows);
    else
        float_strip(out, out_stride, x, x_stride, w, w_stride, SAT_GGML_BF16, count, k, rows);
}

#define KERNELS(name, which)                                                                       \
    const sat_matmul_kernels name = {                                                              \
        .level = (which),                                                                          \
        .quantize_32 = quantize_32,                                                                \
        .quantize_256 = quantize_256,                                                              \
        .unpack_32 = unpack_32,                                                                    \
        .unpack_256 = unpack_256,                                                                  \
        .multiply_32 = multiply_32,                                                                \
        .multiply_256 = multiply_256,                                                              \
        .multiply_few = multiply_few,                                                              \
        .multiply_float = multiply_float,                                                          \
    }

#endif
