/*
 * Kernels of clustering in portable C: the reference of the exact ones, which every other level must equal
 * bit for bit, and of the form of the others. Simple loops over eight lanes, which compilers
 * can turn into vectors without changing a result.
 */
#include <math.h>
#include <string.h>

#include "cluster/kernels.h"
#include "cluster/kernels_rows.h"
#include "sdk/include/satchel.h"

enum { LANES = 8, DEPTH = 4 };

/* ------------------------------------------------------------------ exact */

static double sum_lanes(const double *lane) {
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) +
           ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

static double dot_c(const float *a, const float *b, size_t n) {
    double lane[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++)
            lane[j] += (double)a[i + j] * b[i + j];
    for (int j = 0; i < n; i++, j++)
        lane[j] += (double)a[i] * b[i];
    return sum_lanes(lane);
}

static double distance_c(const float *a, const float *b, size_t n) {
    double lane[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) {
            double d = (double)a[i + j] - b[i + j];
            lane[j] += d * d;
        }
    for (int j = 0; i < n; i++, j++) {
        double d = (double)a[i] - b[i];
        lane[j] += d * d;
    }
    return sum_lanes(lane);
}

static void add_c(int64_t *sums, const float *x, double scale, size_t n) {
    for (size_t i = 0; i < n; i++)
        sums[i] += sat_round_to_even((double)x[i] * scale);
}

static void subtract_c(int64_t *sums, const float *x, double scale, size_t n) {
    for (size_t i = 0; i < n; i++)
        sums[i] -= sat_round_to_even((double)x[i] * scale);
}

/* ------------------------------------------------------------------ candidates */

static void quantize_c(int8_t *out, sat_quantized *result, const float *x, const float *centre,
                       float factor, int32_t limit, size_t n, size_t padded) {
    float largest = 0;
    for (size_t i = 0; i < n; i++) {
        float y = fabsf((x[i] - (centre ? centre[i] : 0)) * factor);
        largest = y > largest ? y : largest;
    }
    double inverse, squares = 0, errors = 0;
    int32_t sum = 0, values = 0;
    float scale = sat_quantize_scale(largest, limit, &inverse);
    for (size_t i = 0; i < n; i++) {
        double y = ((double)x[i] - (centre ? centre[i] : 0)) * factor;
        int32_t q = (int32_t)sat_round_to_even(y * inverse);
        double e = y - q * (double)scale;
        out[i] = (int8_t)q;
        sum += q;
        values += q * q;
        squares += y * y;
        errors += e * e;
    }
    if (padded > n)
        memset(out + n, 0, padded - n);
    sat_quantize_result(result, scale, sum, values, squares, errors);
}

static void dots_c(int32_t *out, const int8_t *rows, const sat_point *points,
                   const uint8_t *centroids, const int32_t *labels, size_t stride, size_t count) {
    for (size_t r = 0; r < count; r++, rows += stride) {
        const int8_t *c = (const int8_t *)centroids + (size_t)labels[r] * stride;
        int32_t sum = 0;
        for (size_t i = 0; i < stride; i++)
            sum += rows[i] * c[i];
        out[r] = sum;
    }
}

static uint32_t tile_c(sat_tile *tile) {
    const sat_panel *panel = tile->panel;
    float least[SAT_TILE];
    for (int r = 0; r < SAT_TILE; r++) {
        const int8_t *row = tile->rows[r], *bytes = (const int8_t *)panel->bytes;
        int32_t dot[SAT_PANEL] = {0};
        for (size_t s = 0; s < tile->steps; s++, row += DEPTH, bytes += SAT_PANEL * DEPTH)
            for (int j = 0; j < SAT_PANEL; j++)
                for (int d = 0; d < DEPTH; d++)
                    dot[j] += row[d] * bytes[j * DEPTH + d];
        float scale = tile->points[r]->scale;
        for (int j = 0; j < SAT_PANEL; j++) {
            float score = panel->norm[j] + scale * panel->scale[j] * (float)dot[j];
            tile->score[r][j] = score;
            least[r] = j == 0 || score < least[r] ? score : least[r];
        }
    }
    return sat_tile_bounds(tile, least);
}

const sat_cluster_kernels sat_cluster_kernels_c = {
    .level = SATCHEL_CPU_C,
    .depth = DEPTH,
    .offset = 0,
    .limit = 127,
    .row_limit = 127,
    .quantize = quantize_c,
    .dots = dots_c,
    .tile = tile_c,
    .dot = dot_c,
    .distance = distance_c,
    .add = add_c,
    .subtract = subtract_c,
};
