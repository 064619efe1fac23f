/* What the levels of x86-64 share in products with weights of all types: unpacking, rows to int8,
 * sums over lanes. */
#ifndef SATCHEL_GENERATE_MATMUL_X86_H
#define SATCHEL_GENERATE_MATMUL_X86_H

#include "base/kernel.h"
#include "generate/matmul_kernels.h"

INLINE __m128i piece(const uint8_t *p) {
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}
INLINE __m256i two_pieces(const uint8_t *low, const uint8_t *high) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(piece(low)), piece(high), 1);
}

#if defined(__AVX512F__)
#define LOAD(rows, at)                                                                             \
    (words)                                                                                        \
        _mm512_inserti64x4(_mm512_castsi256_si512(two_pieces((rows)[0] + (at), (rows)[4] + (at))), \
                           two_pieces((rows)[8] + (at), (rows)[12] + (at)), 1)
#define ZIP_LOW(a, b) (words) _mm512_unpacklo_epi32((__m512i)(a), (__m512i)(b))
#define ZIP_HIGH(a, b) (words) _mm512_unpackhi_epi32((__m512i)(a), (__m512i)(b))
#define JOIN_LOW(a, b) (words) _mm512_unpacklo_epi64((__m512i)(a), (__m512i)(b))
#define JOIN_HIGH(a, b) (words) _mm512_unpackhi_epi64((__m512i)(a), (__m512i)(b))
#define LOOK_UP(book, index)                                                                       \
    (words) _mm512_shuffle_epi8(_mm512_broadcast_i32x4(piece(book)), (__m512i)(index))
#else
#define LOAD(rows, at) (words) two_pieces((rows)[0] + (at), (rows)[4] + (at))
#define ZIP_LOW(a, b) (words) _mm256_unpacklo_epi32((__m256i)(a), (__m256i)(b))
#define ZIP_HIGH(a, b) (words) _mm256_unpackhi_epi32((__m256i)(a), (__m256i)(b))
#define JOIN_LOW(a, b) (words) _mm256_unpacklo_epi64((__m256i)(a), (__m256i)(b))
#define JOIN_HIGH(a, b) (words) _mm256_unpackhi_epi64((__m256i)(a), (__m256i)(b))
#define LOOK_UP(book, index)                                                                       \
    (words) _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(piece(book)), (__m256i)(index))
#endif

#include "generate/matmul_unpack.h"

/* ------------------------------------------------------------------ rows to int8 */

INLINE __m256i magnitudes(const float *x) {
    return _mm256_and_si256(_mm256_castps_si256(_mm256_loadu_ps(x)), _mm256_set1_epi32(0x7fffffff));
}

/* The largest magnitude of `count` floats; magnitudes' bits order like them and put NaN above
 * infinity. */
INLINE float largest_of(const float *x, const int count) {
    __m256i a = magnitudes(x), b = magnitudes(x + 8);
    for (int i = 16; i < count; i += 16) {
        a = _mm256_max_epi32(a, magnitudes(x + i));
        b = _mm256_max_epi32(b, magnitudes(x + i + 8));
    }
    a = _mm256_max_epi32(a, b);
    __m128i m = _mm_max_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4e));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0xb1));
    return _mm_cvtss_f32(_mm_castsi128_ps(m));
}

/* 32 values, and the sums of both halves. */
INLINE void round_32(int8_t *values, int16_t *sums, const float *x, __m256 inverse) {
    __m256i q[4];
    EACH (i, 4)
        q[i] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8 * i), inverse));
    __m256i all =
        _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
    all = _mm256_permutevar8x32_epi32(all, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    _mm256_storeu_si256((__m256i *)values, all);
    __m256i s = _mm256_maddubs_epi16(_mm256_set1_epi8(1), all);
    s = _mm256_madd_epi16(s, _mm256_set1_epi16(1));
    s = _mm256_add_epi32(s, _mm256_shuffle_epi32(s, 0x4e));
    s = _mm256_add_epi32(s, _mm256_shuffle_epi32(s, 0xb1));
    sums[0] = (int16_t)_mm_cvtsi128_si32(_mm256_castsi256_si128(s));
    sums[1] = (int16_t)_mm_cvtsi128_si32(_mm256_extracti128_si256(s, 1));
}

/* One block of 32 or 256; sums of each 16. */
INLINE void quantize_block(int8_t *values, float *scale, int16_t *sums, const float *x,
                           const int count) {
    float amax = largest_of(x, count);
    if (!(amax >= SAT_ROW_TINY) || amax > 3.4028234e38f) {
        memset(values, 0, (size_t)count);
        memset(sums, 0, (size_t)count / 16 * sizeof *sums);
        *scale = amax < SAT_ROW_TINY ? 0.0f
                                     : _mm_cvtss_f32(_mm_castsi128_ps(_mm_set1_epi32(0x7fc00000)));
        return;
    }
    __m256 inverse = _mm256_set1_ps(127.0f / amax);
    *scale = amax * (1.0f / 127.0f);
    for (int i = 0; i < count; i += 32)
        round_32(values + i, sums + i / 16, x + i, inverse);
}

/* ------------------------------------------------------------------ floats */

INLINE float sum_lanes(const floats *lane) {
#if defined(__AVX512F__)
    __m512 all = (__m512)lane[0];
    return sum_eight(_mm256_add_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1)));
#else
    return sum_eight(_mm256_add_ps((__m256)lane[0], (__m256)lane[1]));
#endif
}

#endif
