/* Kernels of clustering for NEON with int8 matrix products: smmla multiplies two rows by two centroids over
 * eight coordinates, which therefore lie together in panels. */
#include "cluster/kernels_arm.h"
#include "cluster/kernels_sdot.h"
#include "sdk/include/satchel.h"

enum { DEPTH = 8, STEP = SAT_PANEL * DEPTH, ROW_PAIRS = SAT_TILE / 2, COLUMN_PAIRS = COLUMNS / 2 };

/* A step: x[r] holds eight bytes of rows 2r and 2r + 1. */
INLINE void multiply(int32x4_t sum[ROW_PAIRS][COLUMN_PAIRS], const int8x16_t *x,
                     const int8_t *bytes) {
    EACH (c, COLUMN_PAIRS) {
        int8x16_t column = vld1q_s8(bytes + 16 * c);
        EACH (r, ROW_PAIRS)
            sum[r][c] = vmmlaq_s32(sum[r][c], x[r], column);
        /* Or GCC loads the columns of two steps first, and runs out of registers. */
        __asm__ volatile("" ::: "memory");
    }
}

INLINE int8x16_t halves(int64x2_t x) {
    return vreinterpretq_s8_s64(x);
}

INLINE void products(int32x4_t dot[SAT_TILE][PAIR], const int8_t *const *rows, const int8_t *bytes,
                     size_t steps) {
    int32x4_t sum[ROW_PAIRS][COLUMN_PAIRS]; /* row 2r: columns 2c, 2c + 1; row 2r + 1: the same */
    EACH (r, ROW_PAIRS)
        EACH (c, COLUMN_PAIRS)
            sum[r][c] = vdupq_n_s32(0);
    size_t s = 0;
    for (; s + 2 <= steps; s += 2, bytes += 2 * STEP) {
        int8x16_t now[ROW_PAIRS], next[ROW_PAIRS];
        EACH (r, ROW_PAIRS) {
            int64x2_t a = vreinterpretq_s64_s8(vld1q_s8(rows[2 * r] + s * DEPTH));
            int64x2_t b = vreinterpretq_s64_s8(vld1q_s8(rows[2 * r + 1] + s * DEPTH));
            now[r] = halves(vzip1q_s64(a, b));
            next[r] = halves(vzip2q_s64(a, b));
        }
        multiply(sum, now, bytes);
        multiply(sum, next, bytes + STEP);
    }
    if (s < steps) {
        int8x16_t last[ROW_PAIRS];
        EACH (r, ROW_PAIRS)
            last[r] =
                vcombine_s8(vld1_s8(rows[2 * r] + s * DEPTH), vld1_s8(rows[2 * r + 1] + s * DEPTH));
        multiply(sum, last, bytes);
    }
    EACH (r, ROW_PAIRS)
        EACH (c, PAIR) {
            int64x2_t a = vreinterpretq_s64_s32(sum[r][2 * c]);
            int64x2_t b = vreinterpretq_s64_s32(sum[r][2 * c + 1]);
            dot[2 * r][c] = vreinterpretq_s32_s64(vzip1q_s64(a, b));
            dot[2 * r + 1][c] = vreinterpretq_s32_s64(vzip2q_s64(a, b));
        }
}

static uint32_t tile(sat_tile *tile) {
    return tile_by_columns(tile, DEPTH);
}

KERNELS(sat_cluster_kernels_i8mm, SATCHEL_CPU_I8MM, 0, 127, 127);
