/*
 * What the clustering kernels of several levels share: the scalar ends of quantizing and of a tile. Every
 * level's file includes it and compiles it with its own flags.
 */
#ifndef SATCHEL_CLUSTER_KERNELS_ROWS_H
#define SATCHEL_CLUSTER_KERNELS_ROWS_H

#include <math.h>
#include <string.h>

#include "cluster/kernels.h"

/* Added to a double below 2⁵¹ in size this leaves the nearest integer, ties to even, in the low bits: the
 * rounding mode is that of every process, to nearest. */
#define SAT_ROUND_MAGIC64 0x1.8p52
#define SAT_ROUND_BITS64 0x4338000000000000 /* its bits */

static inline int64_t sat_round_to_even(double x) {
    int64_t bits;
    x += SAT_ROUND_MAGIC64;
    memcpy(&bits, &x, sizeof bits);
    return bits - SAT_ROUND_BITS64;
}

/* The scale of a row whose greatest magnitude is about `largest`. Too small to have a useful reciprocal: 0
 * and values of 0, and the error holds all of the row. */
static inline float sat_quantize_scale(float largest, int32_t limit, double *inverse) {
    float scale = largest / (float)limit;
    if (!(scale >= 1e-30f)) {
        *inverse = 0;
        return 0;
    }
    *inverse = 1 / (double)scale;
    return scale;
}

/*
 * The bounds, from sums in double. A coordinate y is off by 2⁻⁵² |y| at most (difference, factor), its error e
 * by that and 2⁻⁵³ |e|, sums of 2¹⁶ terms by 2⁻³⁶ relative; (a + b)² <= (1 + t) a² + (1 + 1/t) b² with
 * t = 2⁻²¹ brings the two together. Products scale · value are exact.
 */
static inline void sat_quantize_result(sat_quantized *result, float scale, int32_t sum,
                                       int32_t values, double squares, double errors) {
    result->scale = scale;
    result->sum = sum;
    result->square = squares;
    result->error = errors * (1 + 0x1p-20) + squares * 0x1p-80;
    result->length = (double)scale * scale * values * (1 + 0x1p-50);
}

static inline float sat_at_least(float x, float least) {
    return x > least ? x : least;
}

/* margin, low and code of a tile from the least score of each row; returns the bits. */
static inline uint32_t sat_tile_bounds(sat_tile *tile, const float *least) {
    uint32_t bits = 0;
    for (int r = 0; r < SAT_TILE; r++) {
        const sat_point *point = tile->points[r];
        float margin = point->error * tile->panel->error + point->length * tile->panel->length +
                       tile->panel->slack;
        float low = least[r] - margin, bound;
        if (tile->inner)
            bound = sat_at_least(low * point->square + tile->offset, 0);
        else
            bound = sqrtf(sat_at_least(low + point->square, 0));
        float code = sat_at_least((bound + tile->drift) * tile->per_unit, 0);
        tile->margin[r] = margin;
        tile->low[r] = low;
        tile->code[r] = (uint16_t)(code < 65535 ? code : 65535);
        bits |= (uint32_t)(low <= point->threshold) << r;
    }
    return bits;
}

#endif
