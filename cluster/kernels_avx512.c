/*
 * Kernels of clustering for AVX-512 (F, BW, DQ, VL, VNNI). A panel's step is two registers; eight rows
 * by two registers are 16 independent sums, twice what hides the latency of vpdpbusd. Its unsigned
 * operand is the panel, value + 128; the sums start from what that adds too much.
 */
#include "cluster/kernels_x86.h"
#include "sdk/include/satchel.h"

enum { DEPTH = 4, OFFSET = 128 };

static void dots(int32_t *out, const int8_t *rows, const sat_point *points,
                 const uint8_t *centroids, const int32_t *labels, size_t stride, size_t count) {
    for (size_t r = 0; r < count; r++, rows += stride) {
        const uint8_t *c = centroids + (size_t)labels[r] * stride;
        __m512i even = _mm512_setzero_si512(), odd = even;
        size_t i = 0;
        for (; i + 128 <= stride; i += 128) {
            even =
                _mm512_dpbusd_epi32(even, _mm512_loadu_si512(c + i), _mm512_loadu_si512(rows + i));
            odd = _mm512_dpbusd_epi32(odd, _mm512_loadu_si512(c + i + 64),
                                      _mm512_loadu_si512(rows + i + 64));
        }
        if (i < stride)
            even =
                _mm512_dpbusd_epi32(even, _mm512_loadu_si512(c + i), _mm512_loadu_si512(rows + i));
        out[r] = _mm512_reduce_add_epi32(_mm512_add_epi32(even, odd)) - OFFSET * points[r].sum;
    }
}

/* Lane r: the least of x[r]'s 16 lanes. */
INLINE __m256 least_of_each(const __m512 *x) {
    __m512 a[4], b[2], c;
    EACH (i, 4) /* rows i and i + 4, 8 lanes of each */
        a[i] = _mm512_min_ps(_mm512_shuffle_f32x4(x[i], x[i + 4], 0x44),
                             _mm512_shuffle_f32x4(x[i], x[i + 4], 0xee));
    EACH (i, 2) /* rows i, i + 4, i + 2, i + 6, 4 lanes of each */
        b[i] = _mm512_min_ps(_mm512_shuffle_f32x4(a[i], a[i + 2], 0x88),
                             _mm512_shuffle_f32x4(a[i], a[i + 2], 0xdd));
    c = _mm512_min_ps(_mm512_unpacklo_ps(b[0], b[1]), _mm512_unpackhi_ps(b[0], b[1]));
    c = _mm512_min_ps(c,
                      _mm512_permute_ps(c, 0xee)); /* 128-bit lanes start with rows i and i + 1 */
    return _mm512_castps512_ps256(_mm512_permutexvar_ps(
        _mm512_setr_epi32(0, 1, 8, 9, 4, 5, 12, 13, 0, 0, 0, 0, 0, 0, 0, 0), c));
}

static uint32_t tile(sat_tile *tile) {
    const sat_panel *panel = tile->panel;
    const uint8_t *bytes = panel->bytes;
    __m512i dot[SAT_TILE][2];
    EACH (r, SAT_TILE)
        dot[r][0] = dot[r][1] = _mm512_set1_epi32(-OFFSET * tile->points[r]->sum);
#pragma GCC unroll 2
    for (size_t at = 0; at < tile->steps * DEPTH; at += DEPTH, bytes += SAT_PANEL * DEPTH) {
        __m512i c0 = _mm512_load_si512(bytes), c1 = _mm512_load_si512(bytes + 64);
        EACH (r, SAT_TILE) {
            int32_t four;
            memcpy(&four, tile->rows[r] + at, sizeof four);
            __m512i x = _mm512_set1_epi32(four);
            dot[r][0] = _mm512_dpbusd_epi32(dot[r][0], c0, x);
            dot[r][1] = _mm512_dpbusd_epi32(dot[r][1], c1, x);
            KEEP(dot[r][0]);
            KEEP(dot[r][1]);
        }
    }
    /* Points are loaded again: kept over the loop, GCC moves them out of the way and back. */
    __asm__ volatile("" ::: "memory");
    __m512 norm0 = _mm512_loadu_ps(panel->norm), norm1 = _mm512_loadu_ps(panel->norm + 16);
    __m512 scale0 = _mm512_loadu_ps(panel->scale), scale1 = _mm512_loadu_ps(panel->scale + 16);
    __m512 least[SAT_TILE];
    EACH (r, SAT_TILE) {
        __m512 scale = _mm512_set1_ps(tile->points[r]->scale);
        __m512 s0 =
            _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[r][0]), _mm512_mul_ps(scale0, scale), norm0);
        __m512 s1 =
            _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[r][1]), _mm512_mul_ps(scale1, scale), norm1);
        _mm512_storeu_ps(tile->score[r], s0);
        _mm512_storeu_ps(tile->score[r] + 16, s1);
        least[r] = _mm512_min_ps(s0, s1);
    }
    return bounds(tile, least_of_each(least));
}

KERNELS(sat_cluster_kernels_avx512, SATCHEL_CPU_AVX512, OFFSET, 127, 127);
