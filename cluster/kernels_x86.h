/*
 * What the clustering kernels for x86-64 share: the bounds of a tile's eight rows as vectors, and, for
 * levels of 256-bit registers, the tile around their products.
 */
#ifndef SATCHEL_CLUSTER_KERNELS_X86_H
#define SATCHEL_CLUSTER_KERNELS_X86_H

#include "cluster/kernels_lanes.h"

/* ------------------------------------------------------------------ bounds */

/* The fields of eight points that bounds need, a row in each lane. */
typedef struct fields {
    __m256 error, length, square, threshold;
} fields;

/* Four floats of row i, then of row i + 4. */
INLINE __m256 two_rows(const float *row, const float *other) {
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(row)), _mm_loadu_ps(other), 1);
}

INLINE fields fields_of(const sat_point *const *points) {
    _Static_assert(offsetof(sat_point, error) == 4 && offsetof(sat_point, length) == 8 &&
                       offsetof(sat_point, square) == 12 && offsetof(sat_point, threshold) == 16,
                   "fields_of() knows where fields are");
    __m256 x[4], y[4];
    EACH (i, 4) {
        x[i] = two_rows(&points[i]->scale, &points[i + 4]->scale);
        y[i] = two_rows(&points[i]->threshold, &points[i + 4]->threshold);
    }
    __m256 low01 = _mm256_unpacklo_ps(x[0], x[1]), low23 = _mm256_unpacklo_ps(x[2], x[3]);
    __m256 high01 = _mm256_unpackhi_ps(x[0], x[1]), high23 = _mm256_unpackhi_ps(x[2], x[3]);
    return (fields){.error = _mm256_shuffle_ps(low01, low23, 0xee),
                    .length = _mm256_shuffle_ps(high01, high23, 0x44),
                    .square = _mm256_shuffle_ps(high01, high23, 0xee),
                    .threshold = _mm256_shuffle_ps(_mm256_unpacklo_ps(y[0], y[1]),
                                                   _mm256_unpacklo_ps(y[2], y[3]), 0x44)};
}

/* margin, low and code of a tile from the least score of each row; returns the bits. */
INLINE uint32_t bounds(sat_tile *tile, __m256 least) {
    const sat_panel *panel = tile->panel;
    const __m256 zero = _mm256_setzero_ps();
    fields f = fields_of(tile->points);
    __m256 margin = _mm256_fmadd_ps(
        f.error, _mm256_set1_ps(panel->error),
        _mm256_fmadd_ps(f.length, _mm256_set1_ps(panel->length), _mm256_set1_ps(panel->slack)));
    __m256 low = _mm256_sub_ps(least, margin), bound;
    if (tile->inner)
        bound = _mm256_max_ps(_mm256_fmadd_ps(low, f.square, _mm256_set1_ps(tile->offset)), zero);
    else
        bound = _mm256_sqrt_ps(_mm256_max_ps(_mm256_add_ps(low, f.square), zero));
    __m256 code = _mm256_mul_ps(_mm256_add_ps(bound, _mm256_set1_ps(tile->drift)),
                                _mm256_set1_ps(tile->per_unit));
    code = _mm256_min_ps(_mm256_max_ps(code, zero), _mm256_set1_ps(65535));
    __m256i whole = _mm256_cvttps_epi32(code);
    _mm256_storeu_ps(tile->margin, margin);
    _mm256_storeu_ps(tile->low, low);
    _mm_storeu_si128((__m128i *)tile->code, _mm_packus_epi32(_mm256_castsi256_si128(whole),
                                                             _mm256_extracti128_si256(whole, 1)));
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(low, f.threshold, _CMP_LE_OQ));
}

/* ------------------------------------------------------------------ 256-bit registers */

#if !defined(__AVX512F__)

enum { DEPTH = 4, ROWS = 4, PAIR = 2 }; /* of a tile at a time: four rows by two registers */

/* Adds to dot the products of four rows and two registers of each step. Defined by each level. */
INLINE void products(__m256i dot[ROWS][PAIR], const int8_t *const *rows, const uint8_t *bytes,
                     size_t steps);

INLINE __m256i four_bytes(const int8_t *row) {
    int32_t four;
    memcpy(&four, row, sizeof four);
    return _mm256_set1_epi32(four);
}

INLINE int32_t sum_ints(__m256i x) {
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

/* Lane r: the least of x[r]'s eight lanes. */
INLINE __m256 least_of_each(const __m256 *x) {
    __m256 a[4], b[2];
    EACH (i, 4) /* rows i and i + 4, four lanes of each */
        a[i] = _mm256_min_ps(_mm256_permute2f128_ps(x[i], x[i + 4], 0x20),
                             _mm256_permute2f128_ps(x[i], x[i + 4], 0x31));
    EACH (i, 2) /* lanes of rows 2i and 2i + 1 in turn */
        b[i] = _mm256_min_ps(_mm256_unpacklo_ps(a[2 * i], a[2 * i + 1]),
                             _mm256_unpackhi_ps(a[2 * i], a[2 * i + 1]));
    return _mm256_min_ps(_mm256_shuffle_ps(b[0], b[1], 0x44), _mm256_shuffle_ps(b[0], b[1], 0xee));
}

INLINE uint32_t tile_by_quarters(sat_tile *tile, const int32_t offset) {
    const sat_panel *panel = tile->panel;
    __m256 least[SAT_TILE];
    for (int row = 0; row < SAT_TILE; row += ROWS)
        for (int col = 0; col < SAT_PANEL; col += 8 * PAIR) {
            __m256i dot[ROWS][PAIR];
            EACH (r, ROWS)
                dot[r][0] = dot[r][1] = _mm256_set1_epi32(-offset * tile->points[row + r]->sum);
            products(dot, tile->rows + row, panel->bytes + col * DEPTH, tile->steps);
            EACH (r, ROWS) {
                __m256 scale = _mm256_set1_ps(tile->points[row + r]->scale), score[PAIR];
                EACH (c, PAIR) {
                    const size_t at = (size_t)(col + 8 * c);
                    score[c] =
                        _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot[r][c]),
                                        _mm256_mul_ps(_mm256_loadu_ps(panel->scale + at), scale),
                                        _mm256_loadu_ps(panel->norm + at));
                    _mm256_storeu_ps(tile->score[row + r] + at, score[c]);
                }
                __m256 less = _mm256_min_ps(score[0], score[1]);
                least[row + r] = col == 0 ? less : _mm256_min_ps(least[row + r], less);
            }
        }
    return bounds(tile, least_of_each(least));
}

#endif

#endif
