/* Checks of clustering's kernels on rows: the exact ones, quantizing, single int8 products. The tile has
 * a file of its own. */
#include <math.h>
#include <stdlib.h>

#include "base/cpu.h"
#include "cluster/kernels.h"
#include "tests/kernels/check.h"

static const size_t lengths[] = {0,  1,  2,  3,  5,  7,  8,   9,   15,  16,  17,  31,  32,  33,
                                 47, 48, 63, 64, 65, 96, 127, 128, 129, 191, 384, 767, 1024};
enum { LENGTHS = sizeof lengths / sizeof *lengths };

static const sat_cluster_kernels *kernels_of(int32_t level) {
    return sat_cluster_kernels_for(level);
}

static float *input(size_t n, check_style style) {
    float *x = check_buffer(n * sizeof *x, 0);
    check_fill(x, n, style);
    return x;
}

static void table(int32_t level) {
    const sat_cluster_kernels *k = kernels_of(level);
    EXPECT(k->level == level, "level %d gives kernels of level %d", level, k->level);
    EXPECT(kernels_of(0) == kernels_of(SATCHEL_CPU_C), "unknown levels are C");
    EXPECT(k->depth == 4 || k->depth == 8, "depth %d", k->depth);
    EXPECT(k->limit >= 1 && k->limit <= 127 && k->row_limit >= 1 && k->row_limit <= 127,
           "limits %d and %d", k->limit, k->row_limit);
    EXPECT(k->offset == 0 || (k->offset > k->limit && k->offset + k->limit <= 255), "offset %d",
           k->offset);
}

/* ------------------------------------------------------------------ exact */

/* Σ of lanes in double, a chain of n / 8 additions and three more; a square is rounded twice over. */
static double sum_bound(size_t n, double magnitude) {
    return ((double)n / 8 + 6) * 0x1p-53 * magnitude;
}

static void exact(int32_t level, bool distance) {
    const sat_cluster_kernels *c = kernels_of(SATCHEL_CPU_C), *k = kernels_of(level);
    for (int style = 0; style < STYLE_COUNT; style++)
        for (int i = 0; i < LENGTHS; i++) {
            size_t n = lengths[i];
            float *a = input(n, style), *b = input(n, check_below(4) ? style : STYLE_NORMAL);
            double got = (distance ? k->distance : k->dot)(a, b, n);
            double want = (distance ? c->distance : c->dot)(a, b, n);
            EXPECT(memcmp(&got, &want, sizeof got) == 0, "n %zu style %d: %a, C gives %a", n, style,
                   got, want);
            if (level == SATCHEL_CPU_C) {
                long double sum = 0, size = 0;
                for (size_t j = 0; j < n; j++) {
                    long double d = (long double)a[j] - b[j];
                    long double term = distance ? d * d : (long double)a[j] * b[j];
                    sum += term;
                    size += fabsl(term);
                }
                EXPECT(fabsl(got - sum) <= sum_bound(n, (double)size), "n %zu: %g, exactly %Lg", n,
                       got, sum);
            }
            check_release();
        }
}

static void dot(int32_t level) {
    exact(level, false);
}

static void distance(int32_t level) {
    exact(level, true);
}

/* Ties go to even, so halves and quarters of small integers are among the scales. */
static void add_subtract(int32_t level) {
    static const double scales[] = {0x1p40, 1, 0.5, 0.25, 0x1p-30};
    const sat_cluster_kernels *k = kernels_of(level);
    for (int style = 0; style < STYLE_COUNT; style++)
        for (int i = 0; i < LENGTHS; i++) {
            size_t n = lengths[i];
            float *x = input(n, style);
            double scale = scales[check_below(5)], most = 0;
            for (size_t j = 0; j < n; j++)
                most = fabs((double)x[j]) > most ? fabs((double)x[j]) : most;
            if (most * scale >= 0x1p51)
                scale = ldexp(1, 50 - ilogb(most));
            int64_t *sums = check_buffer(n * sizeof *sums, 8 * check_below(9));
            int64_t *before = check_buffer(n * sizeof *before, 0);
            check_bytes(before, n * sizeof *before);
            for (size_t j = 0; j < n; j++)
                before[j] /= 4; /* room for what is added */
            memcpy(sums, before, n * sizeof *sums);
            k->add(sums, x, scale, n);
            for (size_t j = 0; j < n; j++) {
                int64_t want = before[j] + (int64_t)rintl((long double)x[j] * scale);
                EXPECT(sums[j] == want, "n %zu style %d at %zu: %a · %a", n, style, j, x[j], scale);
            }
            k->subtract(sums, x, scale, n);
            EXPECT(memcmp(sums, before, n * sizeof *sums) == 0, "n %zu style %d: not undone", n,
                   style);
            check_release();
        }
}

/* ------------------------------------------------------------------ quantizing */

/* What a bound may exceed the true value by, relative to it and to ‖x'‖². */
#define QUANTIZE_SLACK 0x1p-18L
#define QUANTIZE_FLOOR 0x1p-76L
#define SQUARE_RELATIVE 0x1p-40L

/* One row against the same in long double. */
static void quantize_one(const sat_cluster_kernels *k, const float *x, const float *centre,
                         float factor, int32_t limit, size_t n, size_t padded, int style) {
    int8_t *out = check_output(padded);
    sat_quantized q;
    k->quantize(out, &q, x, centre, factor, limit, n, padded);
    long double error = 0, length = 0, square = 0, largest = 0;
    int32_t sum = 0;
    bool near = true, within = true;
    for (size_t j = 0; j < n; j++) {
        long double y = ((long double)x[j] - (centre ? centre[j] : 0)) * factor;
        long double e = y - (long double)q.scale * out[j];
        square += y * y;
        error += e * e;
        length += (long double)q.scale * q.scale * out[j] * out[j];
        sum += out[j];
        largest = fmaxl(largest, fabsl(y));
        within = within && abs(out[j]) <= limit;
        near = near && (q.scale == 0 || fabsl(e) <= q.scale * 0.501L);
    }
    for (size_t j = n; j < padded; j++)
        EXPECT(out[j] == 0, "n %zu: padding at %zu", n, j);
    EXPECT(within, "n %zu style %d: beyond %d", n, style, limit);
    EXPECT(near, "n %zu style %d: not the nearest", n, style);
    EXPECT(q.scale == 0 ? largest < 1e-27L
                        : fabsl(q.scale * (long double)limit - largest) <= 1e-6L * largest,
           "n %zu style %d: scale %g for %Lg", n, style, q.scale, largest);
    EXPECT(q.sum == sum, "n %zu: sum %d, not %d", n, q.sum, sum);
    EXPECT(q.error >= error && q.error <= error * (1 + QUANTIZE_SLACK) + square * QUANTIZE_FLOOR,
           "n %zu style %d: error² %g for %Lg", n, style, q.error, error);
    EXPECT(q.length >= length && q.length <= length * (1 + QUANTIZE_SLACK),
           "n %zu style %d: length² %g for %Lg", n, style, q.length, length);
    EXPECT(fabsl(q.square - square) <= square * SQUARE_RELATIVE,
           "n %zu style %d: square %g for %Lg", n, style, q.square, square);
}

static void quantize(int32_t level) {
    static const int32_t limits[] = {127, 64, 63};
    const sat_cluster_kernels *k = kernels_of(level);
    for (int style = 0; style < STYLE_COUNT; style++)
        for (int i = 0; i < LENGTHS; i++)
            for (int centred = 0; centred < 2; centred++) {
                size_t n = lengths[i];
                size_t padded = (n + SAT_ROW_ALIGN - 1) / SAT_ROW_ALIGN * SAT_ROW_ALIGN;
                float *x = input(n, style), *centre = centred ? input(n, style) : NULL, most = 0;
                for (size_t j = 0; j < n; j++) {
                    if (style == STYLE_HUGE) { /* as large as points may be */
                        x[j] *= 1e-9f;
                        if (centre)
                            centre[j] *= 1e-9f;
                    }
                    most = fmaxf(most, fabsf(x[j]));
                }
                /* The factor is chosen for all rows; one alone may be small beside it. */
                float factor =
                    most > 0x1p-100f ? ldexpf(1, -ilogbf(most) - (int)check_below(40)) : 1;
                quantize_one(k, x, centre, factor, limits[check_below(3)], n, padded, style);
                check_release();
            }
}

/* ------------------------------------------------------------------ single products */

/* Values within ±limit; now and then all at an end of it, where 16-bit sums are fullest. */
void check_values(int8_t *out, size_t n, int32_t limit) {
    int kind = (int)check_below(4);
    for (size_t i = 0; i < n; i++) {
        int32_t any = (int32_t)check_below((size_t)(2 * limit + 1)) - limit;
        out[i] = (int8_t)(kind == 0 ? limit : kind == 1 ? -limit : any);
    }
}

static void dots(int32_t level) {
    const sat_cluster_kernels *k = kernels_of(level);
    enum { ROWS = 13, CENTROIDS = 7 };
    for (size_t stride = 64; stride <= 832; stride += 64)
        for (size_t count = 0; count <= ROWS; count += 1 + check_below(3)) {
            int8_t *rows = check_buffer(count * stride, 0),
                   *values = check_buffer(CENTROIDS * stride, 0);
            uint8_t *centroids = check_buffer(CENTROIDS * stride, 0);
            sat_point *points = check_buffer(count * sizeof *points, 0);
            int32_t *labels = check_buffer(count * sizeof *labels, 0);
            int32_t *got = check_output(count * sizeof *got);
            for (size_t c = 0; c < CENTROIDS; c++)
                check_values(values + c * stride, stride, k->limit);
            for (size_t i = 0; i < CENTROIDS * stride; i++)
                centroids[i] = (uint8_t)(values[i] + k->offset);
            for (size_t r = 0; r < count; r++) {
                check_values(rows + r * stride, stride, k->row_limit);
                points[r].sum = 0;
                for (size_t i = 0; i < stride; i++)
                    points[r].sum += rows[r * stride + i];
                labels[r] = (int32_t)check_below(CENTROIDS);
            }
            k->dots(got, rows, points, centroids, labels, stride, count);
            for (size_t r = 0; r < count; r++) {
                int32_t want = 0;
                for (size_t i = 0; i < stride; i++)
                    want += rows[r * stride + i] * values[(size_t)labels[r] * stride + i];
                EXPECT(got[r] == want, "stride %zu count %zu row %zu: %d, not %d", stride, count, r,
                       got[r], want);
            }
            check_release();
        }
}

void check_cluster(void) {
    check_run("cluster table", table);
    check_run("cluster dot", dot);
    check_run("cluster distance", distance);
    check_run("cluster add, subtract", add_subtract);
    check_run("cluster quantize", quantize);
    check_run("cluster dots", dots);
}
