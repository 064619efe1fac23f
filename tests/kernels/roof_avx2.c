/* Roofs of AVX2: fused multiply-add, and the shortest exact way to 32 products of signed bytes. */
#include <immintrin.h>

#include "tests/kernels/roof.h"

static double float_ops(size_t rounds) {
    __m256 acc[12], x = _mm256_set1_ps(1e-6f);
#define ZERO(i) acc[i] = _mm256_setzero_ps();
#define STEP(i)                                                                                    \
    acc[i] = _mm256_fmadd_ps(x, x, acc[i]);                                                        \
    OPAQUE(acc[i]);
    TWELVE(ZERO)
    for (size_t r = 0; r < rounds; r++) {
        TWELVE(STEP)
    }
#undef ZERO
#undef STEP
    return (double)rounds * 12 * 8 * 2;
}

static double int8_ops(size_t rounds) {
    __m256i acc[12], x = _mm256_set1_epi8(1), ones = _mm256_set1_epi16(1);
#define ZERO(i) acc[i] = _mm256_setzero_si256();
#define STEP(i)                                                                                    \
    do {                                                                                           \
        __m256i y = _mm256_sign_epi8(x, x);                                                        \
        OPAQUE(y);                                                                                 \
        y = _mm256_madd_epi16(_mm256_maddubs_epi16(x, y), ones);                                   \
        acc[i] = _mm256_add_epi32(acc[i], y);                                                      \
        OPAQUE(acc[i]);                                                                            \
    } while (0);
    TWELVE(ZERO)
    for (size_t r = 0; r < rounds; r++) {
        TWELVE(STEP)
    }
#undef ZERO
#undef STEP
    return (double)rounds * 12 * 32 * 2;
}

/* Unsigned by signed in 7 bits: two products are added in 16 bits before they are widened. */
static double few_bits_ops(size_t rounds) {
    __m256i acc[12], x = _mm256_set1_epi8(1), ones = _mm256_set1_epi16(1);
#define ZERO(i) acc[i] = _mm256_setzero_si256();
#define STEP(i)                                                                                    \
    do {                                                                                           \
        OPAQUE(x);                                                                                 \
        __m256i y = _mm256_maddubs_epi16(x, x);                                                    \
        OPAQUE(x);                                                                                 \
        y = _mm256_add_epi16(y, _mm256_maddubs_epi16(x, x));                                       \
        acc[i] = _mm256_add_epi32(acc[i], _mm256_madd_epi16(y, ones));                             \
        OPAQUE(acc[i]);                                                                            \
    } while (0);
    TWELVE(ZERO)
    for (size_t r = 0; r < rounds; r++) {
        TWELVE(STEP)
    }
#undef ZERO
#undef STEP
    return (double)rounds * 12 * 64 * 2;
}

static void read_all(const void *data, size_t bytes) {
    const char *p = data;
    size_t quarter = bytes / 4; /* four streams */
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    for (size_t i = 0; i < quarter; i += 32) {
        a = _mm256_or_si256(a, _mm256_load_si256((const __m256i *)(p + i)));
        b = _mm256_or_si256(b, _mm256_load_si256((const __m256i *)(p + quarter + i)));
        c = _mm256_or_si256(c, _mm256_load_si256((const __m256i *)(p + 2 * quarter + i)));
        d = _mm256_or_si256(d, _mm256_load_si256((const __m256i *)(p + 3 * quarter + i)));
    }
    a = _mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d));
    OPAQUE(a);
}

const kernel_roof kernel_roof_avx2 = {"vpsignb vpmaddubsw vpmaddwd vpaddd", float_ops, int8_ops,
                                      read_all, few_bits_ops};
