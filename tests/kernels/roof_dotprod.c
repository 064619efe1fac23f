/* Roof of the dot product extension; floats and memory are NEON's. */
#include <arm_neon.h>

#include "tests/kernels/roof.h"

#define INT8_STEP(i)                                                                               \
    acc[i] = vdotq_s32(acc[i], x, x);                                                              \
    OPAQUE(acc[i]);
OPS(int8_ops, INT8_STEP, int32x4_t, int8x16_t, vdupq_n_s8(1), 16 * 2)
FLOATS_AND_MEMORY_OF(kernel_roof_neon)

const kernel_roof kernel_roof_dotprod = {"sdot", float_ops, int8_ops, read_all};
