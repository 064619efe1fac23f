/* Roofs of AVX-512: fused multiply-add and VNNI's dot product on full registers. */
#include <immintrin.h>

#include "tests/kernels/roof.h"

#define FLOAT_STEP(i)                                                                              \
    acc[i] = _mm512_fmadd_ps(x, x, acc[i]);                                                        \
    OPAQUE(acc[i]);
OPS(float_ops, FLOAT_STEP, __m512, __m512, _mm512_set1_ps(1e-6f), 16 * 2)

#define INT8_STEP(i)                                                                               \
    acc[i] = _mm512_dpbusd_epi32(acc[i], x, x);                                                    \
    OPAQUE(acc[i]);
OPS(int8_ops, INT8_STEP, __m512i, __m512i, _mm512_set1_epi8(1), 64 * 2)

READ_ALL(__m512i, _mm512_load_si512, _mm512_or_si512)

const kernel_roof kernel_roof_avx512 = {"vpdpbusd", float_ops, int8_ops, read_all};
