/* Roofs of AVX-512: fused multiply-add and VNNI's dot product on full registers. */
#include <immintrin.h>

#include "tests/kernels/roof.h"

static double float_ops(size_t rounds) {
    __m512 acc[12], x = _mm512_set1_ps(1e-6f);
#define ZERO(i) acc[i] = _mm512_setzero_ps();
#define STEP(i)                                                                                    \
    acc[i] = _mm512_fmadd_ps(x, x, acc[i]);                                                        \
    OPAQUE(acc[i]);
    TWELVE(ZERO)
    for (size_t r = 0; r < rounds; r++) {
        TWELVE(STEP)
    }
#undef ZERO
#undef STEP
    return (double)rounds * 12 * 16 * 2;
}

static double int8_ops(size_t rounds) {
    __m512i acc[12], x = _mm512_set1_epi8(1);
#define ZERO(i) acc[i] = _mm512_setzero_si512();
#define STEP(i)                                                                                    \
    acc[i] = _mm512_dpbusd_epi32(acc[i], x, x);                                                    \
    OPAQUE(acc[i]);
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
    __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
    for (size_t i = 0; i < quarter; i += 64) {
        a = _mm512_or_si512(a, _mm512_load_si512(p + i));
        b = _mm512_or_si512(b, _mm512_load_si512(p + quarter + i));
        c = _mm512_or_si512(c, _mm512_load_si512(p + 2 * quarter + i));
        d = _mm512_or_si512(d, _mm512_load_si512(p + 3 * quarter + i));
    }
    a = _mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d));
    OPAQUE(a);
}

const kernel_roof kernel_roof_avx512 = {"vpdpbusd", float_ops, int8_ops, read_all};
