/* A decoder's steps for NEON, AArch64's baseline; its extensions add nothing to floats. */
#include <string.h>

#include "base/kernel.h"

static inline void store_halves(void *p, float32x4_t x) {
    uint16x4_t half = vreinterpret_u16_f16(vcvt_f16_f32(x));
    memcpy(p, &half, sizeof half);
}

static inline float32x4_t four_bytes(const void *p) {
    int8x8_t bytes = vdup_n_s8(0);
    memcpy(&bytes, p, 4);
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(bytes))));
}

#define COLUMNS 4
#define AT_LEAST(x, least) (floats) vmaxnmq_f32((float32x4_t)(x), (float32x4_t)(least))
#define STORE_HALVES(p, x) store_halves(p, (float32x4_t)(x))
#define BYTES(p) (floats) four_bytes(p)

#include "generate/steps_vector.h"

STEPS(sat_steps_neon, SATCHEL_CPU_NEON);
