/* Roofs of NEON: fused multiply-add, and widening products of signed bytes. */
#include <arm_neon.h>

#include "tests/kernels/roof.h"

#define FLOAT_STEP(i)                                                                              \
    acc[i] = vfmaq_f32(acc[i], x, x);                                                              \
    OPAQUE(acc[i]);
OPS(float_ops, FLOAT_STEP, float32x4_t, float32x4_t, vdupq_n_f32(1e-6f), 4 * 2)

#define INT8_STEP(i)                                                                               \
    do {                                                                                           \
        int16x8_t y = vmull_s8(vget_low_s8(x), vget_low_s8(x));                                    \
        OPAQUE(y);                                                                                 \
        acc[i] = vpadalq_s16(acc[i], vmlal_high_s8(y, x, x));                                      \
        OPAQUE(acc[i]);                                                                            \
    } while (0);
OPS(int8_ops, INT8_STEP, int32x4_t, int8x16_t, vdupq_n_s8(1), 16 * 2)

READ_ALL(uint8x16_t, vld1q_u8, vorrq_u8)

const kernel_roof kernel_roof_neon = {"smull smlal2 sadalp", float_ops, int8_ops, read_all};
