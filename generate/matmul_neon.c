/* Products with weights of all types for NEON, AArch64's baseline. */
#include "generate/matmul_arm.h"

/* Products in 16 bits, |code·value| <= 2^14, added in pairs to 32. */
INLINE void add_products(signed_words dot[][REGISTERS], const int8_t *const *rows,
                         const uint8_t (*code)[4], const int steps, const int bits, const int M) {
    EACH (c, REGISTERS) {
        int32x4_t low[MOST], high[MOST]; /* outputs 0, 1 and 2, 3, two sums each */
        EACH (i, M)
            low[i] = high[i] = vdupq_n_s32(0);
        EACH (k, steps) {
            int8x16_t w = codes_at(code + k * SAT_STRIP + 4 * c, bits);
            EACH (i, M) {
                int8x16_t x = vreinterpretq_s8_s32(vdupq_n_s32(word_at(rows[i] + 4 * k)));
                low[i] = vpadalq_s16(low[i], vmull_s8(vget_low_s8(w), vget_low_s8(x)));
                high[i] = vpadalq_s16(high[i], vmull_high_s8(w, x));
            }
        }
        EACH (i, M)
            dot[i][c] += (signed_words)vpaddq_s32(low[i], high[i]);
    }
}

INLINE signed_words dot_4(signed_words sum, words codes, int32_t x, const int bits) {
    int8x16_t w = (int8x16_t)codes, value = vreinterpretq_s8_s32(vdupq_n_s32(x));
    int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(w), vget_low_s8(value)));
    int32x4_t high = vpaddlq_s16(vmull_high_s8(w, value));
    return sum + (signed_words)vpaddq_s32(low, high);
}

#include "generate/matmul_few.h"
#include "generate/matmul_tiles.h"

KERNELS(sat_matmul_neon, SATCHEL_CPU_NEON);
