/*
 * Vectors as wide as the flags of the including file allow, for kernels written once for all levels with
 * the vectors that GCC and Clang make of any instruction set; and what these have no operator for.
 */
#ifndef SATCHEL_GENERATE_VECTORS_H
#define SATCHEL_GENERATE_VECTORS_H

#include <stdint.h>
#include <string.h>

#include "base/kernel.h"

#if defined(__AVX512F__)
enum { WIDTH = 16 }; /* floats of a vector */
#elif defined(__AVX2__)
enum { WIDTH = 8 };
#else
enum { WIDTH = 4 };
#endif

typedef float floats __attribute__((vector_size(4 * WIDTH)));
typedef uint32_t words __attribute__((vector_size(4 * WIDTH)));

INLINE floats load_floats(const float *p) {
    floats x;
    memcpy(&x, p, sizeof x);
    return x;
}

INLINE void store_floats(float *p, floats x) {
    memcpy(p, &x, sizeof x);
}

INLINE floats all_floats(float x) {
    return (floats){0} + x;
}

/* a · b + c, rounded once */
INLINE floats fused(floats a, floats b, floats c) {
#if defined(__AVX512F__)
    return (floats)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
    return (floats)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return (floats)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#endif
}

/* WIDTH halves in memory, exact. */
INLINE floats load_halves(const void *p) {
#if defined(__AVX512F__)
    return (floats)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
#elif defined(__AVX2__)
    return (floats)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
#else
    uint16x4_t half;
    memcpy(&half, p, sizeof half);
    return (floats)vcvt_f32_f16(vreinterpret_f16_u16(half));
#endif
}

#endif
