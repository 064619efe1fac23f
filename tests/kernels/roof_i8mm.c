/* Roof of the int8 matrix product extension; floats and memory are NEON's. */
#include <arm_neon.h>

#include "tests/kernels/roof.h"

static double int8_ops(size_t rounds) {
    int32x4_t acc[12];
    int8x16_t x = vdupq_n_s8(1);
#define ZERO(i) acc[i] = vdupq_n_s32(0);
#define STEP(i)                                                                                    \
    acc[i] = vmmlaq_s32(acc[i], x, x);                                                             \
    OPAQUE(acc[i]);
    TWELVE(ZERO)
    for (size_t r = 0; r < rounds; r++) {
        TWELVE(STEP)
    }
#undef ZERO
#undef STEP
    return (double)rounds * 12 * 32 * 2;
}

static double float_ops(size_t rounds) {
    return kernel_roof_neon.float_ops(rounds);
}

static void read_all(const void *data, size_t bytes) {
    kernel_roof_neon.read(data, bytes);
}

const kernel_roof kernel_roof_i8mm = {"smmla", float_ops, int8_ops, read_all};
