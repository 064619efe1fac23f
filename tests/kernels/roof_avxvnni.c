/* Roof of AVX-VNNI's dot product on 256-bit registers; floats and memory are AVX2's. */
#include <immintrin.h>

#include "tests/kernels/roof.h"

#define INT8_STEP(i)                                                                               \
    acc[i] = _mm256_dpbusd_avx_epi32(acc[i], x, x);                                                \
    OPAQUE(acc[i]);
OPS(int8_ops, INT8_STEP, __m256i, __m256i, _mm256_set1_epi8(1), 32 * 2)
FLOATS_AND_MEMORY_OF(kernel_roof_avx2)

const kernel_roof kernel_roof_avxvnni = {"vpdpbusd, 256 bits", float_ops, int8_ops, read_all};
