/* Kernels of clustering for NEON with the dot product extension: sdot takes four bytes of a row from a lane,
 * so 16 bytes of it serve four steps. */
#include "cluster/kernels_arm.h"
#include "cluster/kernels_sdot.h"
#include "sdk/include/satchel.h"

enum { DEPTH = 4, STEP = SAT_PANEL * DEPTH };

INLINE void products(int32x4_t dot[SAT_TILE][PAIR], const int8_t *const *rows, const int8_t *bytes,
                     size_t steps) {
    EACH (r, SAT_TILE)
        dot[r][0] = dot[r][1] = vdupq_n_s32(0);
    size_t s = 0;
    for (; s + 4 <= steps; s += 4, bytes += 4 * STEP) {
        int8x16_t x[SAT_TILE];
        EACH (r, SAT_TILE)
            x[r] = vld1q_s8(rows[r] + s * DEPTH);
#define ONE_STEP(i)                                                                                \
    do {                                                                                           \
        int8x16_t c0 = vld1q_s8(bytes + (i)*STEP), c1 = vld1q_s8(bytes + (i)*STEP + 16);           \
        EACH (r, SAT_TILE) {                                                                       \
            dot[r][0] = vdotq_laneq_s32(dot[r][0], c0, x[r], i);                                   \
            dot[r][1] = vdotq_laneq_s32(dot[r][1], c1, x[r], i);                                   \
        }                                                                                          \
    } while (0)
        ONE_STEP(0);
        ONE_STEP(1);
        ONE_STEP(2);
        ONE_STEP(3);
#undef ONE_STEP
    }
    for (; s < steps; s++, bytes += STEP) {
        int8x16_t c0 = vld1q_s8(bytes), c1 = vld1q_s8(bytes + 16);
        EACH (r, SAT_TILE) {
            int32_t four;
            memcpy(&four, rows[r] + s * DEPTH, sizeof four);
            int8x16_t x = vreinterpretq_s8_s32(vdupq_n_s32(four));
            dot[r][0] = vdotq_s32(dot[r][0], c0, x);
            dot[r][1] = vdotq_s32(dot[r][1], c1, x);
        }
    }
}

static uint32_t tile(sat_tile *tile) {
    return tile_by_columns(tile, DEPTH);
}

KERNELS(sat_cluster_kernels_dotprod, SATCHEL_CPU_DOTPROD, 0, 127, 127);
