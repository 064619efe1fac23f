/* Products of single rows with sdot, for the levels that have it. */
#ifndef SATCHEL_CLUSTER_KERNELS_SDOT_H
#define SATCHEL_CLUSTER_KERNELS_SDOT_H

#include "cluster/kernels_arm.h"

static void dots(int32_t *out, const int8_t *rows, const sat_point *points,
                 const uint8_t *centroids, const int32_t *labels, size_t stride, size_t count) {
    for (size_t r = 0; r < count; r++, rows += stride) {
        const int8_t *c = (const int8_t *)centroids + (size_t)labels[r] * stride;
        int32x4_t sum[4] = {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)};
        for (size_t i = 0; i < stride; i += 64)
            EACH (j, 4)
                sum[j] = vdotq_s32(sum[j], vld1q_s8(c + i + 16 * j), vld1q_s8(rows + i + 16 * j));
        out[r] = vaddvq_s32(vaddq_s32(vaddq_s32(sum[0], sum[1]), vaddq_s32(sum[2], sum[3])));
    }
}

#endif
