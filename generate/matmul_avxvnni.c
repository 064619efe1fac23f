/* Products with weights of all types for AVX2 with AVX-VNNI, whose dot products need no room in 16
 * bits. */
#include "generate/matmul_x86.h"

enum { MOST = 6, REGISTERS = 1, FLOATS = 3, SIGNED_CODES = 0, FEW_BITS = 0 };

INLINE signed_words dot_4(signed_words sum, words codes, int32_t x, const int bits) {
    (void)bits;
    return (signed_words)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)codes,
                                                 _mm256_set1_epi32(x));
}

INLINE void add_products(signed_words dot[][REGISTERS], const int8_t *const *rows,
                         const uint8_t (*code)[4], const int steps, const int bits, const int M) {
    EACH (k, steps) {
        words w = (words)_mm256_load_si256((const __m256i *)(const void *)(code + k * SAT_STRIP));
        EACH (i, M) {
            dot[i][0] = dot_4(dot[i][0], w, word_at(rows[i] + 4 * k), bits);
            KEEP(dot[i][0]);
        }
    }
}

INLINE signed_words add_pairs(signed_words sum, words minimum, int32_t pair) {
    return (signed_words)_mm256_dpwssd_avx_epi32((__m256i)sum, (__m256i)minimum,
                                                 _mm256_set1_epi32(pair));
}

#include "generate/matmul_few.h"
#include "generate/matmul_tiles.h"

KERNELS(sat_matmul_avxvnni, SATCHEL_CPU_AVXVNNI);
