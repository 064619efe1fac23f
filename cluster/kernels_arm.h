/*
 * What the clustering kernels for AArch64 share: the tile around a level's products, eight rows by eight
 * centroids at a time, 16 sums of four.
 */
#ifndef SATCHEL_CLUSTER_KERNELS_ARM_H
#define SATCHEL_CLUSTER_KERNELS_ARM_H

#include "cluster/kernels_lanes.h"

enum { COLUMNS = 8, PAIR = COLUMNS / 4 };

/* Sets dot to the products of eight rows and the eight centroids of each step from `bytes` on. Defined by
 * each level. */
INLINE void products(int32x4_t dot[SAT_TILE][PAIR], const int8_t *const *rows, const int8_t *bytes,
                     size_t steps);

INLINE uint32_t tile_by_columns(sat_tile *tile, const size_t depth) {
    const sat_panel *panel = tile->panel;
    float32x4_t least[SAT_TILE];
    for (size_t column = 0; column < SAT_PANEL; column += COLUMNS) {
        int32x4_t dot[SAT_TILE][PAIR];
        products(dot, tile->rows, (const int8_t *)panel->bytes + column * depth, tile->steps);
        EACH (r, SAT_TILE) {
            float scale = tile->points[r]->scale;
            float32x4_t score[PAIR];
            EACH (c, PAIR) {
                const size_t at = column + 4 * (size_t)c;
                score[c] = vfmaq_f32(vld1q_f32(panel->norm + at), vcvtq_f32_s32(dot[r][c]),
                                     vmulq_n_f32(vld1q_f32(panel->scale + at), scale));
                vst1q_f32(tile->score[r] + at, score[c]);
            }
            float32x4_t less = vminq_f32(score[0], score[1]);
            least[r] = column == 0 ? less : vminq_f32(least[r], less);
        }
    }
    float one[SAT_TILE];
    EACH (r, SAT_TILE)
        one[r] = vminvq_f32(least[r]);
    return sat_tile_bounds(tile, one);
}

#endif
