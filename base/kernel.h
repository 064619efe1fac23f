/*
 * What the files of all kernel families share: how they are compiled, and the ends of sums over lanes,
 * whose order is part of the families' numeric contracts. For files of kernels alone: its names are
 * short.
 */
#ifndef SATCHEL_BASE_KERNEL_H
#define SATCHEL_BASE_KERNEL_H

#include <stddef.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

/* Kernels are copied into each of their callers (INLINE), and loops of constant length over registers
 * are unrolled (EACH), others (ROLLED) are not. Not so under sanitizers: they check every access of every
 * copy, and compiling would take minutes. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SAT_SANITIZED
#endif
#endif
#if defined(SAT_SANITIZED) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define INLINE static __attribute__((unused))
#define EACH(i, n) for (int i = 0; i < (n); i++)
#define ROLLED
#else
#define INLINE static inline __attribute__((always_inline))
#define EACH(i, n) _Pragma("GCC unroll 16") for (int i = 0; i < (n); i++)
#define ROLLED _Pragma("GCC unroll 1")
#endif

/* Keeps a sum in one register over a loop: GCC would copy it there and back in each round. */
#if defined(__AVX512F__)
#define KEEP(x) __asm__("" : "+v"(x))
#elif defined(__x86_64__)
#define KEEP(x) __asm__("" : "+x"(x))
#else
#define KEEP(x) (void)0 /* there are enough registers */
#endif

#if defined(__AVX2__)

/* All ones in lanes below count (0 to 8). */
INLINE __m256i lanes_below(size_t count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* Lanes i + 4, i + 2, i + 1. */
INLINE float sum_eight(__m256 s) {
    __m128 h = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
    h = _mm_add_ps(h, _mm_movehl_ps(h, h));
    return _mm_cvtss_f32(_mm_add_ss(h, _mm_movehdup_ps(h)));
}

#elif defined(__aarch64__)

/* Lanes i + 2, i + 1. */
INLINE float sum_four(float32x4_t four) {
    float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

#endif
#endif
