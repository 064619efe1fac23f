/*
 * Products with weights of all types for AVX-512 (F, BW, DQ, VL, VNNI). A strip of 32 outputs is
 * two registers; tiles are up to six rows, whose integer sums and partial results fit 32 registers.
 */
#include "generate/matmul_x86.h"

enum { MOST = 6, REGISTERS = 2, FLOATS = 6, SIGNED_CODES = 0, FEW_BITS = 0 };

INLINE signed_words dot_4(signed_words sum, words codes, int32_t x, const int bits) {
    (void)bits;
    return (signed_words)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)codes, _mm512_set1_epi32(x));
}

INLINE void add_products(signed_words dot[][REGISTERS], const int8_t *const *rows,
                         const uint8_t (*code)[4], const int steps, const int bits, const int M) {
    EACH (k, steps) {
        words w[REGISTERS];
        EACH (c, REGISTERS)
            w[c] = (words)_mm512_load_si512(code + k * SAT_STRIP + 16 * c);
        EACH (i, M)
            EACH (c, REGISTERS) {
                dot[i][c] = dot_4(dot[i][c], w[c], word_at(rows[i] + 4 * k), bits);
                KEEP(dot[i][c]);
            }
    }
}

INLINE signed_words add_pairs(signed_words sum, words minimum, int32_t pair) {
    return (signed_words)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)minimum,
                                             _mm512_set1_epi32(pair));
}

#include "generate/matmul_few.h"
#include "generate/matmul_tiles.h"

KERNELS(sat_matmul_avx512, SATCHEL_CPU_AVX512);
