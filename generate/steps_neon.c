/* A decoder's steps for NEON, AArch64's baseline; its extensions add nothing to floats. */
#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

static inline float32x4_t four_halves(const void *p) {
    uint16x4_t half;
    memcpy(&half, p, sizeof half);
    return vcvt_f32_f16(vreinterpret_f16_u16(half));
}

static inline void store_halves(void *p, float32x4_t x) {
    uint16x4_t half = vreinterpret_u16_f16(vcvt_f16_f32(x));
    memcpy(p, &half, sizeof half);
}

static inline float32x4_t four_bytes(const void *p) {
    int8x8_t bytes = vdup_n_s8(0);
    memcpy(&bytes, p, 4);
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(bytes))));
}

#define WIDTH 4
#define COLUMNS 4
#define FMA(a, b, c) (floats) vfmaq_f32((float32x4_t)(c), (float32x4_t)(a), (float32x4_t)(b))
#define AT_LEAST(x, least) (floats) vmaxnmq_f32((float32x4_t)(x), (float32x4_t)(least))
#define HALVES(p) (floats) four_halves(p)
#define STORE_HALVES(p, x) store_halves(p, (float32x4_t)(x))
#define BYTES(p) (floats) four_bytes(p)

#include "generate/steps_vector.h"

STEPS(sat_steps_neon, SATCHEL_CPU_NEON);
