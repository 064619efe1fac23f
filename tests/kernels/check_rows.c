/* Checks of the encoder's kernels on rows: quantize, finish (bias, GELU), add_norm, softmax. */
#include <math.h>

#include "base/cpu.h"
#include "tests/kernels/check.h"

static size_t extent(size_t rows, size_t stride, size_t columns) {
    return rows ? (rows - 1) * stride + columns : 0;
}

/* ------------------------------------------------------------------ quantize */

static void exact_quantize(const float *x, const int8_t *values, float scale) {
    double amax = 0;
    bool finite = true;
    for (int i = 0; i < 32; i++) {
        finite &= isfinite(x[i]) != 0;
        amax = fmax(amax, fabs(x[i]));
    }
    if (!finite)
        EXPECT(isnan(scale), "a block that is not finite has scale %g", scale);
    else if (amax < 1e-30)
        EXPECT(scale == 0, "amax %g has scale %g", amax, scale);
    else
        EXPECT(fabs(scale - amax / 127) <= 3 * UNIT_ROUNDOFF * scale, "amax %g has scale %g", amax,
               scale);
    for (int i = 0; i < 32; i++) {
        EXPECT(values[i] != -128, "value -128");
        if (!finite || amax < 1e-30)
            EXPECT(values[i] == 0, "value %d in a block without scale", values[i]);
        else /* half a step, and what rounding the reciprocal moves */
            EXPECT(fabs(x[i] - (double)scale * values[i]) <=
                       scale * (0.5 + 127 * 8 * UNIT_ROUNDOFF),
                   "%g became %d times %g", x[i], values[i], scale);
    }
}

static void one_quantize(int32_t level, size_t rows, size_t columns, int style) {
    const sat_kernels *c = sat_kernels_for(SATCHEL_CPU_C), *k = sat_kernels_for(level);
    size_t blocks = columns / 32, x_stride = columns + check_below(3) * 5, where;
    size_t stride = columns + check_below(3) * 9, scales_stride = blocks + check_below(3);
    size_t size = extent(rows, x_stride, columns), bytes = extent(rows, stride, columns);
    size_t scales = extent(rows, scales_stride, blocks);
    float *x = check_buffer(size * sizeof *x, 0);
    uint8_t *got = check_buffer(bytes, check_below(70)),
            *want = check_buffer(bytes, check_below(70));
    float *got_scales = check_output(scales * sizeof *x),
          *want_scales = check_output(scales * sizeof *x);
    check_fill(x, size, style < STYLE_COUNT ? (check_style)style : STYLE_NORMAL);
    if (style == STYLE_COUNT && size) { /* one bad number in some blocks */
        static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
        for (size_t i = 0; i < rows * blocks; i += 2)
            x[check_below(size)] = bad[check_below(4)];
    }
    memset(got, 0x33, bytes);
    memset(want, 0x33, bytes);
    check_fill(got_scales, scales, STYLE_NORMAL);
    memcpy(want_scales, got_scales, scales * sizeof *x);
    k->quantize(got, stride, got_scales, scales_stride, x, x_stride, rows, columns);
    c->quantize(want, stride, want_scales, scales_stride, x, x_stride, rows, columns);
    EXPECT(check_same_floats(got_scales, want_scales, scales, &where),
           "rows %zu columns %zu style %d: "
           "scale %zu: %g, C gives %g",
           rows, columns, style, where, got_scales[where], want_scales[where]);
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < columns; i++)
            got[r * stride + i] ^= k->q8_flip;
    EXPECT(memcmp(got, want, bytes) == 0, "rows %zu columns %zu style %d: values", rows, columns,
           style);
    for (size_t r = 0; r < rows; r++)
        for (size_t b = 0; b < blocks; b++)
            exact_quantize(x + r * x_stride + b * 32, (const int8_t *)got + r * stride + b * 32,
                           got_scales[r * scales_stride + b]);
    check_release();
}

static void quantize(int32_t level) {
    for (size_t rows = 0; rows <= 9; rows++)
        for (size_t blocks = 0; blocks <= 5; blocks++)
            one_quantize(level, rows, blocks * 32, STYLE_NORMAL);
    for (int style = 0; style <= STYLE_COUNT; style++)
        for (int i = 0; i < 8; i++)
            one_quantize(level, 1 + check_below(12), 32 * (1 + check_below(6)), style);
}

/* ------------------------------------------------------------------ finish */

static double exact_gelu(double x) {
    return 0.5 * x * erfc(-x * 0.70710678118654752440);
}

static void one_finish(int32_t level, size_t rows, check_style style, int activation,
                       bool in_place) {
    const sat_kernels *c = sat_kernels_for(SATCHEL_CPU_C), *k = sat_kernels_for(level);
    size_t acc_stride = 32 + check_below(3) * 4, size = extent(rows, acc_stride, 32), where;
    size_t out_stride = in_place ? acc_stride : 32 + check_below(3) * 7;
    size_t out_size = extent(rows, out_stride, 32);
    float *acc = check_output(size * sizeof *acc), *bias = check_buffer(32 * sizeof *bias, 0);
    float *got = check_output(out_size * sizeof *acc), *want = check_output(out_size * sizeof *acc);
    check_fill(acc, size, style);
    check_fill(bias, 32, style);
    if (style == STYLE_NORMAL)
        for (size_t i = 0; i < size; i++)
            acc[i] *= 4;
    if (in_place)
        memcpy(got, acc, size * sizeof *acc);
    k->finish(got, out_stride, in_place ? got : acc, acc_stride, bias, activation, rows);
    if (!in_place) /* gaps between rows */
        memcpy(want, got, out_size * sizeof *acc);
    else
        memcpy(want, acc, size * sizeof *acc);
    c->finish(want, out_stride, acc, acc_stride, bias, activation, rows);
    EXPECT(check_same_floats(got, want, out_size, &where),
           "rows %zu style %d activation %d: %a, C gives %a", rows, style, activation, got[where],
           want[where]);
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < 32; i++) {
            float x = acc[r * acc_stride + i] + bias[i], y = got[r * out_stride + i];
            if (!isfinite(x))
                continue;
            double want_y = activation ? exact_gelu(x) : x;
            double bound = fabs(x) * PHI_ABSOLUTE + UNIT_ROUNDOFF * fabs(want_y) + 0x1p-149;
            EXPECT(fabs(y - want_y) <= (activation ? bound : 0), "%a gives %a, exactly %a", x, y,
                   want_y);
        }
    check_release();
}

static void finish(int32_t level) {
    for (size_t rows = 0; rows <= 13; rows++)
        for (int style = 0; style < STYLE_COUNT; style++)
            for (int activation = 0; activation < 2; activation++)
                one_finish(level, rows, style, activation, check_random() & 1);
}

/* All of GELU's interesting range, finely; and far outside. */
static void gelu(int32_t level) {
    const sat_kernels *k = sat_kernels_for(level), *c = sat_kernels_for(SATCHEL_CPU_C);
    enum { ROWS = 512 };
    static const float ends[] = {0.0f,    -0.0f,    1e-40f,   -1e-40f,  1e-20f, -1e-20f,
                                 13.5f,   -13.5f,   50.0f,    -50.0f,   1e10f,  -1e10f,
                                 3.4e38f, -3.4e38f, INFINITY, -INFINITY};
    float *x = check_output(ROWS * 32 * sizeof *x), *got = check_output(ROWS * 32 * sizeof *x);
    float *want = check_output(ROWS * 32 * sizeof *x), zero[32] = {0};
    double worst = 0, worst_at = 0;
    size_t where;
    for (int part = 0; part < 40; part++) {
        for (int i = 0; i < ROWS * 32; i++)
            x[i] = (float)(check_uniform(-10, 10) * (part & 1 ? 1 : 0.1));
        if (part == 0)
            memcpy(x, ends, sizeof ends);
        k->finish(got, 32, x, 32, zero, SAT_ACTIVATION_GELU, ROWS);
        c->finish(want, 32, x, 32, zero, SAT_ACTIVATION_GELU, ROWS);
        EXPECT(check_same_floats(got, want, ROWS * 32, &where), "%a: %a, C gives %a", x[where],
               got[where], want[where]);
        for (int i = 0; i < ROWS * 32; i++) {
            if (isinf(x[i])) {
                EXPECT(x[i] > 0 ? got[i] == INFINITY : got[i] <= 0, "%g gives %g", x[i], got[i]);
                continue;
            }
            double phi_error = fabs(got[i] - exact_gelu(x[i])) - UNIT_ROUNDOFF * fabs(got[i]);
            phi_error = x[i] == 0 ? fabs(got[i]) : phi_error / fabs(x[i]);
            if (phi_error > worst) {
                worst = phi_error;
                worst_at = x[i];
            }
        }
    }
    EXPECT(worst <= PHI_ABSOLUTE, "error of phi %.3g at %g", worst, worst_at);
    check_release();
}

/* ------------------------------------------------------------------ add_norm */

static void one_norm(int32_t level, size_t rows, size_t n, check_style style, bool residual,
                     int alias) {
    const sat_kernels *c = sat_kernels_for(SATCHEL_CPU_C), *k = sat_kernels_for(level);
    size_t stride = n + check_below(3) * 3, size = extent(rows, stride, n), where;
    float *gamma = check_buffer(n * sizeof *gamma, 0), *beta = check_buffer(n * sizeof *beta, 0);
    float *x = check_buffer(size * sizeof *x, 0), *more = check_buffer(size * sizeof *x, 0);
    float *got = check_output(size * sizeof *x), *want = check_output(size * sizeof *x);
    sat_norm norm = {gamma, beta, 1e-12f};
    check_fill(gamma, n, STYLE_NORMAL);
    check_fill(beta, n, STYLE_NORMAL);
    check_fill(x, size, style);
    check_fill(more, size, style);
    if (style == STYLE_NORMAL && n > 1) /* far from 0 on average, as activations are */
        for (size_t i = 0; i < size; i++)
            x[i] += 0.3f;
    const float *input = x, *second = residual ? more : NULL;
    memcpy(got, alias == 2 ? more : x, size * sizeof *x);
    memcpy(want, got, size * sizeof *x);
    if (alias == 1)
        input = got;
    if (alias == 2 && residual)
        second = got;
    k->add_norm(got, stride, input, stride, second, stride, &norm, n, rows);
    c->add_norm(want, stride, x, stride, residual ? more : NULL, stride, &norm, n, rows);
    EXPECT(check_same_floats(got, want, size, &where),
           "rows %zu n %zu style %d alias %d: %a, C gives %a", rows, n, style, alias, got[where],
           want[where]);
    if (level == SATCHEL_CPU_C && style == STYLE_NORMAL && n > 8)
        for (size_t r = 0; r < rows; r++) {
            double mean = 0, variance = 0;
            for (size_t i = 0; i < n; i++)
                mean += x[r * stride + i] + (residual ? (double)more[r * stride + i] : 0);
            mean /= (double)n;
            for (size_t i = 0; i < n; i++) {
                double d = x[r * stride + i] + (residual ? (double)more[r * stride + i] : 0) - mean;
                variance += d * d;
            }
            double deviation = sqrt(variance / (double)n + 1e-12);
            for (size_t i = 0; i < n; i++) {
                double y = x[r * stride + i] + (residual ? (double)more[r * stride + i] : 0);
                double z = (y - mean) / deviation, exact = z * gamma[i] + beta[i];
                /* chains of n/16 in mean and variance, and about ten roundings */
                double bound = ((double)n / 16 + 14) * UNIT_ROUNDOFF *
                               (fabs(gamma[i]) * (fabs(z) + 4) + fabs(exact));
                EXPECT(fabs(got[r * stride + i] - exact) <= bound, "n %zu at %zu: %g, exactly %g",
                       n, i, got[r * stride + i], exact);
            }
        }
    check_release();
}

static void add_norm(int32_t level) {
    static const size_t widths[] = {1,  2,  3,  5,  7,  8,  15,  16,  17,
                                    31, 32, 33, 47, 48, 64, 100, 384, 390};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        for (size_t rows = 0; rows <= 6; rows++)
            one_norm(level, rows, widths[i], STYLE_NORMAL, check_random() & 1, (int)check_below(3));
    for (int style = 0; style < STYLE_COUNT; style++)
        for (int i = 0; i < 6; i++)
            one_norm(level, 1 + check_below(6), 1 + check_below(100), style, i & 1, i % 3);
    one_norm(level, 5, 4096, STYLE_NORMAL, true, 0);
}

/* ------------------------------------------------------------------ softmax */

static void one_softmax(int32_t level, size_t n, check_style style, double spread) {
    const sat_kernels *c = sat_kernels_for(SATCHEL_CPU_C), *k = sat_kernels_for(level);
    size_t padded = (n + 31) / 32 * 32, where;
    float *x = check_output(padded * sizeof *x), *got = check_output(padded * sizeof *x);
    float *want = check_output(padded * sizeof *x), scale = (float)check_uniform(0.05, 1);
    check_fill(x, padded, style);
    if (style == STYLE_NORMAL)
        for (size_t i = 0; i < n; i++)
            x[i] *= (float)spread;
    memcpy(got, x, padded * sizeof *x);
    memcpy(want, x, padded * sizeof *x);
    float sum = k->softmax(got, scale, n), want_sum = c->softmax(want, scale, n);
    EXPECT(check_same_floats(got, want, padded, &where), "n %zu style %d at %zu: %a, C gives %a", n,
           style, where, got[where], want[where]);
    EXPECT(check_same_floats(&sum, &want_sum, 1, &where), "n %zu style %d: sum %a, C gives %a", n,
           style, sum, want_sum);
    double largest = x[0], total = 0;
    for (size_t i = 1; i < n; i++)
        largest = x[i] > largest ? x[i] : largest;
    for (size_t i = 0; i < n; i++) {
        /* exp2's own error, and y's: two roundings of the product, one of the difference */
        double y = fmax((double)scale * (x[i] - largest), -1e30), exact = exp(y);
        double bound = (EXP2_RELATIVE + 4 * UNIT_ROUNDOFF * fabs(y)) * exact + 0x1p-125;
        EXPECT(fabs(got[i] - exact) <= bound, "exp(%g) gives %g, exactly %g", y, got[i], exact);
        total += got[i];
    }
    EXPECT(fabs(sum - total) <= ((double)n / 16 + 5) * UNIT_ROUNDOFF * total,
           "n %zu: sum %g, exactly %g", n, sum, total);
    for (size_t i = n; i < padded; i++)
        EXPECT(got[i] == 0, "padding at %zu of %zu is %g", i, n, got[i]);
    check_release();
}

static void softmax(int32_t level) {
    for (size_t n = 1; n <= 140; n++)
        one_softmax(level, n, STYLE_NORMAL, n % 3 == 0 ? 1 : n % 3 == 1 ? 10 : 200);
    for (int style = 0; style < STYLE_COUNT; style++)
        for (int i = 0; i < 5; i++)
            one_softmax(level, 1 + check_below(200), style, 5);
    one_softmax(level, 512, STYLE_NORMAL, 8);
}

void check_rows(void) {
    check_run("quantize", quantize);
    check_run("finish", finish);
    check_run("gelu", gelu);
    check_run("add_norm", add_norm);
    check_run("softmax", softmax);
}
