/*
 * Kernels of clustering for AVX2. vpmaddubsw adds two products in 16 bits, saturating: the panel's bytes are
 * unsigned in 7 bits, value + 64 with |value| <= 63, and rows stay within ±64, so that two such sums can
 * be added in 16 bits (4 · 127 · 64 < 2¹⁵) before vpmaddwd widens them. That is 1.3 times as fast as rows
 * within ±127, which must be widened one by one; the bounds take care of what is rounded off.
 */
#include "cluster/kernels_x86.h"
#include "sdk/include/satchel.h"

enum { OFFSET = 64, LIMIT = 63, ROW_LIMIT = 64 };

INLINE __m256i load(const void *at) {
    return _mm256_loadu_si256((const __m256i *)at);
}

/* What one step or two add to eight sums. */
INLINE __m256i widened(__m256i x) {
    return _mm256_madd_epi16(x, _mm256_set1_epi16(1));
}

INLINE void products(__m256i dot[ROWS][PAIR], const int8_t *const *rows, const uint8_t *bytes,
                     size_t steps) {
    enum { STEP = SAT_PANEL * DEPTH };
    const int8_t *row[ROWS];
    EACH (r, ROWS)
        row[r] = rows[r];
    size_t at = 0;
#pragma GCC unroll 1 /* more, and GCC spills sums */
    for (; at + DEPTH < steps * DEPTH; at += 2 * DEPTH, bytes += 2 * STEP) {
        __m256i c[2][PAIR];
        EACH (p, PAIR) {
            c[0][p] = load(bytes + 32 * p);
            c[1][p] = load(bytes + STEP + 32 * p);
        }
        EACH (r, ROWS) {
            __m256i x = four_bytes(row[r] + at), y = four_bytes(row[r] + at + DEPTH);
            EACH (p, PAIR) {
                __m256i both = _mm256_add_epi16(_mm256_maddubs_epi16(c[0][p], x),
                                                _mm256_maddubs_epi16(c[1][p], y));
                dot[r][p] = _mm256_add_epi32(dot[r][p], widened(both));
                KEEP(dot[r][p]);
            }
        }
    }
    if (at < steps * DEPTH)
        EACH (r, ROWS)
            EACH (p, PAIR)
                dot[r][p] = _mm256_add_epi32(
                    dot[r][p],
                    widened(_mm256_maddubs_epi16(load(bytes + 32 * p), four_bytes(row[r] + at))));
}

static uint32_t tile(sat_tile *tile) {
    return tile_by_quarters(tile, OFFSET);
}

static void dots(int32_t *out, const int8_t *rows, const sat_point *points,
                 const uint8_t *centroids, const int32_t *labels, size_t stride, size_t count) {
    for (size_t r = 0; r < count; r++, rows += stride) {
        const uint8_t *c = centroids + (size_t)labels[r] * stride;
        __m256i sum = _mm256_setzero_si256();
        for (size_t i = 0; i < stride; i += 64)
            sum = _mm256_add_epi32(
                sum, widened(_mm256_add_epi16(
                         _mm256_maddubs_epi16(load(c + i), load(rows + i)),
                         _mm256_maddubs_epi16(load(c + i + 32), load(rows + i + 32)))));
        out[r] = sum_ints(sum) - OFFSET * points[r].sum;
    }
}

KERNELS(sat_cluster_kernels_avx2, SATCHEL_CPU_AVX2, OFFSET, LIMIT, ROW_LIMIT);
