/* Kernels of clustering for AVX2 with AVX-VNNI: vpdpbusd on 256-bit registers. Its unsigned operand
 * is the panel, value + 128; the sums start from what that adds too much. */
#include "cluster/kernels_x86.h"
#include "sdk/include/satchel.h"

enum { OFFSET = 128 };

INLINE void products(__m256i dot[ROWS][PAIR], const int8_t *const *rows, const uint8_t *bytes,
                     size_t steps) {
    const int8_t *row[ROWS];
    EACH (r, ROWS)
        row[r] = rows[r];
#pragma GCC unroll 1 /* more, and GCC spills sums */
    for (size_t at = 0; at < steps * DEPTH; at += DEPTH, bytes += SAT_PANEL * DEPTH) {
        __m256i c0 = _mm256_load_si256((const __m256i *)bytes);
        __m256i c1 = _mm256_load_si256((const __m256i *)(bytes + 32));
        EACH (r, ROWS) {
            __m256i x = four_bytes(row[r] + at);
            dot[r][0] = _mm256_dpbusd_avx_epi32(dot[r][0], c0, x);
            dot[r][1] = _mm256_dpbusd_avx_epi32(dot[r][1], c1, x);
            KEEP(dot[r][0]);
            KEEP(dot[r][1]);
        }
    }
}

static uint32_t tile(sat_tile *tile) {
    return tile_by_quarters(tile, OFFSET);
}

static void dots(int32_t *out, const int8_t *rows, const sat_point *points,
                 const uint8_t *centroids, const int32_t *labels, size_t stride, size_t count) {
    for (size_t r = 0; r < count; r++, rows += stride) {
        const uint8_t *c = centroids + (size_t)labels[r] * stride;
        __m256i even = _mm256_setzero_si256(), odd = even;
        for (size_t i = 0; i < stride; i += 64) {
            even = _mm256_dpbusd_avx_epi32(even, _mm256_loadu_si256((const __m256i *)(c + i)),
                                           _mm256_loadu_si256((const __m256i *)(rows + i)));
            odd = _mm256_dpbusd_avx_epi32(odd, _mm256_loadu_si256((const __m256i *)(c + i + 32)),
                                          _mm256_loadu_si256((const __m256i *)(rows + i + 32)));
        }
        out[r] = sum_ints(_mm256_add_epi32(even, odd)) - OFFSET * points[r].sum;
    }
}

KERNELS(sat_cluster_kernels_avxvnni, SATCHEL_CPU_AVXVNNI, OFFSET, 127, 127);
