/*
 * Products with weights of all types for AArch64: 8 outputs, two registers, by a few rows at a
 * time. Codes are multiplied as signed bytes: those of 8 bits less their offset, the others as they
 * are.
 */
#ifndef SATCHEL_GENERATE_MATMUL_ARM_H
#define SATCHEL_GENERATE_MATMUL_ARM_H

#include <arm_neon.h>
#include <string.h>

#include "generate/matmul_kernels.h"

#define INLINE SAT_INLINE
#define EACH SAT_EACH

/* What the extensions do not better; in matmul_neon.c. */
void sat_unpack_32_neon(sat_strip_block *out, uint32_t type, const uint8_t *const rows[SAT_STRIP],
                        size_t first, size_t count, const uint8_t *ahead);
void sat_unpack_256_neon(sat_strip_super *out, uint32_t type, const uint8_t *const rows[SAT_STRIP],
                         size_t first, size_t count, const uint8_t *ahead);
void sat_multiply_float_neon(float *out, size_t out_stride, const float *x, size_t x_stride,
                             const uint8_t *w, size_t w_stride, uint32_t type, size_t count,
                             size_t k, size_t rows);

/* Adds to dot (M, 2) the products of M rows and `steps` steps of 4 inputs, codes XOR flip. Defined
 * by each level. */
INLINE void add_products(int32x4_t dot[][2], const int8_t *const *rows, const uint8_t (*code)[4],
                         const int steps, const uint8_t flip, const int M);

enum { MOST = 4 };

INLINE int32_t word_at(const void *p) {
    int32_t word;
    memcpy(&word, p, sizeof word);
    return word;
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
                    const int offset, const int halves, const bool least, const int M) {
    const int8_t *rows[MOST];
    const uint8_t flip = offset == 128 ? 0x80 : 0;
    float32x4_t out[MOST][2];
    EACH (i, M) {
        rows[i] = part->values + (row + i) * part->values_stride;
        EACH (c, 2)
            out[i][c] = add ? vld1q_f32(acc + i * acc_stride + 4 * c) : vdupq_n_f32(0);
    }
    for (size_t b = 0; b < blocks; b++, block++) {
        const int16_t *sums = part->sums + row * part->sums_stride + b * SAT_SUMS_32;
        const float *scales = part->scales + row * part->scales_stride + b;
        EACH (half, halves) {
            const float *unit = (half ? block->more : block->scale) + column;
            int32x4_t dot[MOST][2];
            EACH (i, M) {
                const int16_t *sum = sums + i * part->sums_stride + half;
                int32_t surplus = halves == 2 ? sum[0] : sum[0] + sum[1];
                dot[i][0] = dot[i][1] = vdupq_n_s32(flip ? 0 : -offset * surplus);
            }
            add_products(dot, rows, &block->code[4 * half][column], 8 / halves, flip, M);
            EACH (i, M)
                EACH (c, 2) {
                    float32x4_t by =
                        vmulq_n_f32(vld1q_f32(unit + 4 * c), scales[i * part->scales_stride]);
                    out[i][c] = vfmaq_f32(out[i][c], vcvtq_f32_s32(dot[i][c]), by);
                }
            EACH (i, M)
                rows[i] += 32 / halves;
        }
        if (least) {
            EACH (i, M) {
                const int16_t *sum = sums + i * part->sums_stride;
                float32x4_t both = vdupq_n_f32((float)(sum[0] + sum[1]));
                EACH (c, 2) {
                    float32x4_t by = vmulq_n_f32(vld1q_f32(block->more + column + 4 * c),
                                                 scales[i * part->scales_stride]);
                    out[i][c] = vfmaq_f32(out[i][c], both, by);
                }
            }
        }
    }
    EACH (i, M)
        EACH (c, 2)
            vst1q_f32(acc + i * acc_stride + 4 * c, out[i][c]);
}

static void multiply_32(float *acc, size_t acc_stride, bool add, const sat_operand_part *part,
                        const sat_strip_block *strip, const sat_quant *quant, size_t blocks,
                        size_t rows) {
    const int offset = quant->offset;
    if (quant->group == 16)
        TILES(tile_32, offset, 2, false);
    else if (quant->least)
        TILES(tile_32, 0, 1, true);
    else if (offset == 128)
        TILES(tile_32, 128, 1, false);
    else
        TILES(tile_32, offset, 1, false);
}

/* ------------------------------------------------------------------ blocks of 256 */

/* Σ minimum · sum of pairs of groups, for 4 outputs. */
INLINE int32x4_t pairs_of(const int16_t (*minimum)[SAT_STRIP][2], size_t column,
                          const int16_t *sums, const int pairs) {
    int32x4_t low = vdupq_n_s32(0), high = low;
    EACH (p, pairs) {
        int16x8_t m = vld1q_s16(minimum[p][column]);
        int16x8_t sum = vreinterpretq_s16_s32(vdupq_n_s32(word_at(sums + 2 * p)));
        low = vmlal_s16(low, vget_low_s16(m), vget_low_s16(sum));
        high = vmlal_high_s16(high, m, sum);
    }
    return vpaddq_s32(low, high);
}

/* One block of 256 inputs. */
INLINE void block_256(float *acc, size_t acc_stride, bool add, const int8_t *const *from,
                      const int16_t *sums, size_t sums_stride, const float *scales,
                      size_t scales_stride, const sat_strip_super *block, size_t column,
                      const int group, const int offset, const bool least, const int M) {
    const int8_t *rows[MOST];
    const uint8_t flip = offset == 128 ? 0x80 : 0;
    int32x4_t whole[MOST][2];
    EACH (i, M) {
        rows[i] = from[i];
        whole[i][0] = whole[i][1] = vdupq_n_s32(0);
    }
    SAT_ROLLED
    for (int j = 0; j < SAT_SUPER_BLOCK / group; j++) {
        int32x4_t dot[MOST][2];
        EACH (i, M)
            dot[i][0] = dot[i][1] = vdupq_n_s32(0);
        add_products(dot, rows, &block->code[j * group / 4][column], group / 4, flip, M);
        EACH (c, 2) {
            int32x4_t scale = vld1q_s32(block->scale[j] + column + 4 * c);
            EACH (i, M)
                whole[i][c] = vmlaq_s32(whole[i][c], dot[i][c], scale);
        }
        EACH (i, M)
            rows[i] += group;
    }
    if (group == 32)
        sums += 16; /* those of 32 */
    EACH (i, M)
        EACH (c, 2) {
            const size_t at = column + 4 * (size_t)c;
            float *out = acc + i * acc_stride + 4 * c;
            float scale = scales[i * scales_stride];
            float32x4_t unit = vmulq_n_f32(vld1q_f32(block->d + at), scale);
            float32x4_t sum = add ? vld1q_f32(out) : vdupq_n_f32(0);
            int32x4_t minima = vdupq_n_s32(0);
            if (!flip) /* codes taken as signed have no offset left */
                minima = pairs_of(block->minimum, at, sums + i * sums_stride,
                                  SAT_SUPER_BLOCK / group / 2);
            if (least) {
                sum = vfmaq_f32(sum, vcvtq_f32_s32(whole[i][c]), unit);
                unit = vmulq_n_f32(vld1q_f32(block->least + at), scale);
                sum = vfmsq_f32(sum, vcvtq_f32_s32(minima), unit);
            } else {
                sum = vfmaq_f32(sum, vcvtq_f32_s32(vsubq_s32(whole[i][c], minima)), unit);
            }
            vst1q_f32(out, sum);
        }
}

INLINE void tile_256(float *acc, size_t acc_stride, bool add, const sat_operand_part *part,
                     size_t row, const sat_strip_super *block, size_t blocks, size_t column,
                     const int group, const int offset, const bool least, const int M) {
    for (size_t b = 0; b < blocks; b++, block++) {
        const int8_t *rows[MOST];
        EACH (i, M)
            rows[i] = part->values + (row + i) * part->values_stride + b * SAT_SUPER_BLOCK;
        block_256(acc, acc_stride, add || b > 0, rows,
                  part->sums + row * part->sums_stride + b * SAT_SUMS_256, part->sums_stride,
                  part->scales + row * part->scales_stride + b, part->scales_stride, block, column,
                  group, offset, least, M);
    }
}

static void multiply_256(float *acc, size_t acc_stride, bool add, const sat_operand_part *part,
                         const sat_strip_super *strip, const sat_quant *quant, size_t blocks,
                         size_t rows) {
    if (quant->group == 16 && quant->least)
        TILES(tile_256, 16, 0, true);
    else if (quant->group == 16)
        TILES(tile_256, 16, 1, false);
    else if (quant->least)
        TILES(tile_256, 32, 0, true);
    else if (quant->offset == 128)
        TILES(tile_256, 32, 128, false);
    else
        TILES(tile_256, 32, 1, false);
}

#endif
