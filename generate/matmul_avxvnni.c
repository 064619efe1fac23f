/* Products with weights of all types for AVX2 with AVX-VNNI, whose dot products need no room in 16
 * bits. */
#include "generate/matmul_x86.h"

enum { MOST = 6, SIGNED_CODES = 0 };

INLINE void add_products(__m256i *dot, const int8_t *const *rows, const uint8_t (*code)[4],
                         const int steps, const int bits, const int M) {
    (void)bits;
    EACH (k, steps) {
        __m256i w = _mm256_load_si256((const __m256i *)(const void *)(code + k * SAT_STRIP));
        EACH (i, M) {
            dot[i] =
                _mm256_dpbusd_avx_epi32(dot[i], w, _mm256_set1_epi32(word_at(rows[i] + 4 * k)));
            KEEP(dot[i]);
        }
    }
}

INLINE __m256i add_pairs(__m256i sum, __m256i a, __m256i b) {
    return _mm256_dpwssd_avx_epi32(sum, a, b);
}

#include "generate/matmul_256.h"

const sat_matmul_kernels sat_matmul_avxvnni = {
    .level = SATCHEL_CPU_AVXVNNI,
    .quantize_32 = quantize_32,
    .quantize_256 = quantize_256,
    .unpack_32 = unpack_32,
    .unpack_256 = unpack_256,
    .multiply_32 = multiply_32,
    .multiply_256 = multiply_256,
    .multiply_float = multiply_float,
};
