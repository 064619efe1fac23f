/* Roofs of NEON: fused multiply-add, and widening products of signed bytes. */
#include <arm_neon.h>

#include "tests/kernels/roof.h"

static double float_ops(size_t rounds) {
    float32x4_t acc[12], x = vdupq_n_f32(1e-6f);
#define ZERO(i) acc[i] = vdupq_n_f32(0);
#define STEP(i)                                                                                    \
    acc[i] = vfmaq_f32(acc[i], x, x);                                                              \
    OPAQUE(acc[i]);
    TWELVE(ZERO)
    for (size_t r = 0; r < rounds; r++) {
        TWELVE(STEP)
    }
#undef ZERO
#undef STEP
    return (double)rounds * 12 * 4 * 2;
}

static double int8_ops(size_t rounds) {
    int32x4_t acc[12];
    int8x16_t x = vdupq_n_s8(1);
#define ZERO(i) acc[i] = vdupq_n_s32(0);
#define STEP(i)                                                                                    \
    do {                                                                                           \
        int16x8_t y = vmull_s8(vget_low_s8(x), vget_low_s8(x));                                    \
        OPAQUE(y);                                                                                 \
        acc[i] = vpadalq_s16(acc[i], vmlal_high_s8(y, x, x));                                      \
        OPAQUE(acc[i]);                                                                            \
    } while (0);
    TWELVE(ZERO)
    for (size_t r = 0; r < rounds; r++) {
        TWELVE(STEP)
    }
#undef ZERO
#undef STEP
    return (double)rounds * 12 * 16 * 2;
}

static void read_all(const void *data, size_t bytes) {
    const uint8_t *p = data;
    size_t quarter = bytes / 4; /* four streams */
    uint8x16_t a = vdupq_n_u8(0), b = a, c = a, d = a;
    for (size_t i = 0; i < quarter; i += 16) {
        a = vorrq_u8(a, vld1q_u8(p + i));
        b = vorrq_u8(b, vld1q_u8(p + quarter + i));
        c = vorrq_u8(c, vld1q_u8(p + 2 * quarter + i));
        d = vorrq_u8(d, vld1q_u8(p + 3 * quarter + i));
    }
    a = vorrq_u8(vorrq_u8(a, b), vorrq_u8(c, d));
    OPAQUE(a);
}

const kernel_roof kernel_roof_neon = {"smull smlal2 sadalp", float_ops, int8_ops, read_all};
