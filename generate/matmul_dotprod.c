/* Products with weights of all types for NEON with the dot product extension. */
#include "generate/matmul_arm.h"

/* M rows by 8 outputs: a lane of x holds the 4 inputs of a step. */
INLINE void add_products(int32x4_t dot[][2], const int8_t *const *rows, const uint8_t (*code)[4],
                         const int steps, const uint8_t flip, const int M) {
    EACH (quarter, steps / 4) {
        int8x16_t x[MOST];
        EACH (i, M)
            x[i] = vld1q_s8(rows[i] + 16 * quarter);
#define STEP(lane)                                                                                 \
    do {                                                                                           \
        const uint8_t(*at)[4] = code + (4 * quarter + (lane)) * SAT_STRIP;                         \
        int8x16_t w0 = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(at[0]), vdupq_n_u8(flip)));           \
        int8x16_t w1 = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(at[4]), vdupq_n_u8(flip)));           \
        EACH (i, M) {                                                                              \
            dot[i][0] = vdotq_laneq_s32(dot[i][0], w0, x[i], lane);                                \
            dot[i][1] = vdotq_laneq_s32(dot[i][1], w1, x[i], lane);                                \
        }                                                                                          \
    } while (0)
        STEP(0);
        STEP(1);
        STEP(2);
        STEP(3);
#undef STEP
    }
}

const sat_matmul_kernels sat_matmul_dotprod = {
    .level = SATCHEL_CPU_DOTPROD,
    .quantize_32 = sat_quantize_32_c,
    .quantize_256 = sat_quantize_256_c,
    .unpack_32 = sat_unpack_32_neon,
    .unpack_256 = sat_unpack_256_neon,
    .multiply_32 = multiply_32,
    .multiply_256 = multiply_256,
    .multiply_float = sat_multiply_float_neon,
};
