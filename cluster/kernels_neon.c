/*
 * Kernels of clustering for NEON without the dot product extension. Products of two steps are added in
 * 16 bits (2 · 127² < 2¹⁵) and then, pairwise, to sums of 32: a register of them is two centroids' halves,
 * so rows go four at a time.
 */
#include "cluster/kernels_arm.h"
#include "sdk/include/satchel.h"

enum { DEPTH = 4, STEP = SAT_PANEL * DEPTH, HALF = 4 };

/* The row's four bytes, over and over. */
INLINE int8x16_t four_bytes(const int8_t *row) {
    int32_t four;
    memcpy(&four, row, sizeof four);
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
}

/* Four rows. sum[r][i]: centroids 2i and 2i + 1, two sums each. */
INLINE void four_rows(int32x4_t dot[HALF][PAIR], const int8_t *const *rows, const int8_t *bytes,
                      size_t steps) {
    int32x4_t sum[HALF][2 * PAIR];
    EACH (r, HALF)
        EACH (c, 2 * PAIR)
            sum[r][c] = vdupq_n_s32(0);
    size_t at = 0;
    for (; at + DEPTH < steps * DEPTH; at += 2 * DEPTH, bytes += 2 * STEP) {
        int8x16_t a[PAIR], b[PAIR];
        EACH (c, PAIR) {
            a[c] = vld1q_s8(bytes + 16 * c);
            b[c] = vld1q_s8(bytes + STEP + 16 * c);
        }
        EACH (r, HALF) {
            int8x16_t x = four_bytes(rows[r] + at), y = four_bytes(rows[r] + at + DEPTH);
            EACH (c, PAIR) {
                int16x8_t low = vmlal_s8(vmull_s8(vget_low_s8(a[c]), vget_low_s8(x)),
                                         vget_low_s8(b[c]), vget_low_s8(y));
                int16x8_t high = vmlal_high_s8(vmull_high_s8(a[c], x), b[c], y);
                sum[r][2 * c] = vpadalq_s16(sum[r][2 * c], low);
                sum[r][2 * c + 1] = vpadalq_s16(sum[r][2 * c + 1], high);
            }
        }
    }
    if (at < steps * DEPTH)
        EACH (r, HALF)
            EACH (c, PAIR) {
                int8x16_t a = vld1q_s8(bytes + 16 * c), x = four_bytes(rows[r] + at);
                sum[r][2 * c] =
                    vpadalq_s16(sum[r][2 * c], vmull_s8(vget_low_s8(a), vget_low_s8(x)));
                sum[r][2 * c + 1] = vpadalq_s16(sum[r][2 * c + 1], vmull_high_s8(a, x));
            }
    EACH (r, HALF)
        EACH (c, PAIR)
            dot[r][c] = vpaddq_s32(sum[r][2 * c], sum[r][2 * c + 1]);
}

INLINE void products(int32x4_t dot[SAT_TILE][PAIR], const int8_t *const *rows, const int8_t *bytes,
                     size_t steps) {
    four_rows(dot, rows, bytes, steps);
    four_rows(dot + HALF, rows + HALF, bytes, steps);
}

static uint32_t tile(sat_tile *tile) {
    return tile_by_columns(tile, DEPTH);
}

static void dots(int32_t *out, const int8_t *rows, const sat_point *points,
                 const uint8_t *centroids, const int32_t *labels, size_t stride, size_t count) {
    for (size_t r = 0; r < count; r++, rows += stride) {
        const int8_t *c = (const int8_t *)centroids + (size_t)labels[r] * stride;
        int32x4_t even = vdupq_n_s32(0), odd = even;
        for (size_t i = 0; i < stride; i += 32) {
            int8x16_t a = vld1q_s8(c + i), b = vld1q_s8(c + i + 16);
            int8x16_t x = vld1q_s8(rows + i), y = vld1q_s8(rows + i + 16);
            even = vpadalq_s16(even, vmlal_high_s8(vmull_s8(vget_low_s8(a), vget_low_s8(x)), a, x));
            odd = vpadalq_s16(odd, vmlal_high_s8(vmull_s8(vget_low_s8(b), vget_low_s8(y)), b, y));
        }
        out[r] = vaddvq_s32(vaddq_s32(even, odd));
    }
}

KERNELS(sat_cluster_kernels_neon, SATCHEL_CPU_NEON, 0, 127, 127);
