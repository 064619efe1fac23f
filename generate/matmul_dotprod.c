/* Products with weights of all types for NEON with the dot product extension. */
#include "generate/matmul_arm.h"

/* A lane of x holds the 4 inputs of a step. */
INLINE void add_products(signed_words dot[][REGISTERS], const int8_t *const *rows,
                         const uint8_t (*code)[4], const int steps, const int bits, const int M) {
    EACH (quarter, steps / 4) {
        int8x16_t x[MOST];
        EACH (i, M)
            x[i] = vld1q_s8(rows[i] + 16 * quarter);
#define STEP(lane)                                                                                 \
    EACH (c, REGISTERS) {                                                                          \
        int8x16_t w = codes_at(code + (4 * quarter + (lane)) * SAT_STRIP + 4 * c, bits);           \
        EACH (i, M)                                                                                \
            dot[i][c] = (signed_words)vdotq_laneq_s32((int32x4_t)dot[i][c], w, x[i], lane);        \
    }
        STEP(0)
        STEP(1)
        STEP(2)
        STEP(3)
#undef STEP
    }
}

INLINE signed_words dot_4(signed_words sum, words codes, int32_t x, const int bits) {
    return (signed_words)vdotq_s32((int32x4_t)sum, (int8x16_t)codes,
                                   vreinterpretq_s8_s32(vdupq_n_s32(x)));
}

#include "generate/matmul_few.h"
#include "generate/matmul_tiles.h"

KERNELS(sat_matmul_dotprod, SATCHEL_CPU_DOTPROD);
