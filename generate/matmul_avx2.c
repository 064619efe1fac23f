/* Products with weights of all types for AVX2, FMA and F16C. */
#include "generate/matmul_x86.h"

enum { MOST = 4, REGISTERS = 1, FLOATS = 3, SIGNED_CODES = 1, FEW_BITS = 1 };

INLINE __m256i four_bytes(const int8_t *p) {
    return _mm256_set1_epi32(word_at(p));
}

/*
 * Unsigned·signed products in pairs give 16 bits. Codes of few bits leave room there to add several
 * steps before they are widened: 2·127·15 is 3810, and 8 of them fit; for 5 bits 4, for 6 bits 2.
 * Codes of 8 bits would overflow: they are taken as signed, |code| times ±value, which is at most
 * 2·127·128 = 32512.
 */
INLINE void add_products(signed_words dot[][REGISTERS], const int8_t *const *rows,
                         const uint8_t (*code)[4], const int steps, const int bits, const int M) {
    const __m256i ones = _mm256_set1_epi16(1);
    const int depth = bits <= 4 ? 8 : bits == 5 ? 4 : bits == 6 ? 2 : 1;
    const int run = depth < steps ? depth : steps;
    EACH (start, steps / run) {
        __m256i sum[MOST];
        EACH (k, run) {
            const int step = start * run + k;
            __m256i w = _mm256_load_si256((const __m256i *)(const void *)(code + step * SAT_STRIP));
            __m256i size = w;
            if (bits == 8) {
                w = _mm256_xor_si256(w, _mm256_set1_epi8((char)0x80));
                size = _mm256_abs_epi8(w);
            }
            EACH (i, M) {
                __m256i x = four_bytes(rows[i] + 4 * step);
                if (bits == 8)
                    x = _mm256_sign_epi8(x, w);
                x = _mm256_maddubs_epi16(size, x);
                sum[i] = k ? _mm256_add_epi16(sum[i], x) : x;
                KEEP(sum[i]);
            }
        }
        EACH (i, M) {
            dot[i][0] += (signed_words)_mm256_madd_epi16(sum[i], ones);
            KEEP(dot[i][0]);
        }
    }
}

INLINE signed_words dot_4(signed_words sum, words codes, int32_t x, const int bits) {
    __m256i w = (__m256i)codes, value = _mm256_set1_epi32(x);
    if (bits == 8) {
        value = _mm256_sign_epi8(value, w);
        w = _mm256_abs_epi8(w);
    }
    value = _mm256_maddubs_epi16(w, value);
    return sum + (signed_words)_mm256_madd_epi16(value, _mm256_set1_epi16(1));
}

INLINE signed_words add_pairs(signed_words sum, words minimum, int32_t pair) {
    return sum + (signed_words)_mm256_madd_epi16((__m256i)minimum, _mm256_set1_epi32(pair));
}

#include "generate/matmul_few.h"
#include "generate/matmul_tiles.h"

KERNELS(sat_matmul_avx2, SATCHEL_CPU_AVX2);
