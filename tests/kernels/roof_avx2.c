/* Roofs of AVX2: fused multiply-add, and the shortest exact way to 32 products of signed bytes. */
#include <immintrin.h>

#include "tests/kernels/roof.h"

#define ONES16 _mm256_set1_epi16(1)

#define FLOAT_STEP(i)                                                                              \
    acc[i] = _mm256_fmadd_ps(x, x, acc[i]);                                                        \
    OPAQUE(acc[i]);
OPS(float_ops, FLOAT_STEP, __m256, __m256, _mm256_set1_ps(1e-6f), 8 * 2)

#define INT8_STEP(i)                                                                               \
    do {                                                                                           \
        __m256i y = _mm256_sign_epi8(x, x);                                                        \
        OPAQUE(y);                                                                                 \
        y = _mm256_madd_epi16(_mm256_maddubs_epi16(x, y), ONES16);                                 \
        acc[i] = _mm256_add_epi32(acc[i], y);                                                      \
        OPAQUE(acc[i]);                                                                            \
    } while (0);
OPS(int8_ops, INT8_STEP, __m256i, __m256i, _mm256_set1_epi8(1), 32 * 2)

/* Unsigned by signed in 7 bits: two products are added in 16 bits before they are widened. */
#define FEW_BITS_STEP(i)                                                                           \
    do {                                                                                           \
        OPAQUE(x);                                                                                 \
        __m256i y = _mm256_maddubs_epi16(x, x);                                                    \
        OPAQUE(x);                                                                                 \
        y = _mm256_add_epi16(y, _mm256_maddubs_epi16(x, x));                                       \
        acc[i] = _mm256_add_epi32(acc[i], _mm256_madd_epi16(y, ONES16));                           \
        OPAQUE(acc[i]);                                                                            \
    } while (0);
OPS(few_bits_ops, FEW_BITS_STEP, __m256i, __m256i, _mm256_set1_epi8(1), 64 * 2)

#define LOAD(p) _mm256_load_si256((const __m256i *)(p))
READ_ALL(__m256i, LOAD, _mm256_or_si256)

const kernel_roof kernel_roof_avx2 = {"vpsignb vpmaddubsw vpmaddwd vpaddd", float_ops, int8_ops,
                                      read_all, few_bits_ops};
