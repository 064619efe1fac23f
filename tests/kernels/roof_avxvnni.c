/* Roof of AVX-VNNI's dot product on 256-bit registers; floats and memory are AVX2's. */
#include <immintrin.h>

#include "tests/kernels/roof.h"

static double int8_ops(size_t rounds) {
    __m256i acc[12], x = _mm256_set1_epi8(1);
#define ZERO(i) acc[i] = _mm256_setzero_si256();
#define STEP(i)                                                                                    \
    acc[i] = _mm256_dpbusd_avx_epi32(acc[i], x, x);                                                \
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
    return kernel_roof_avx2.float_ops(rounds);
}

static void read_all(const void *data, size_t bytes) {
    kernel_roof_avx2.read(data, bytes);
}

const kernel_roof kernel_roof_avxvnni = {"vpdpbusd, 256 bits", float_ops, int8_ops, read_all};
