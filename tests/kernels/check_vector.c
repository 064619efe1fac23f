/* Checks of base's vector kernels. */
#include <math.h>

#include "base/cpu.h"
#include "tests/kernels/check.h"

static const size_t lengths[] = {0,  1,  2,  3,  5,  7,  8,  9,   15,  16,  17,  31,  32,
                                 33, 47, 48, 63, 64, 65, 96, 127, 128, 129, 384, 767, 1024};
enum { LENGTHS = sizeof lengths / sizeof *lengths };

static float *input(size_t n, check_style style) {
    float *x = check_buffer(n * sizeof *x, 0);
    check_fill(x, n, style);
    return x;
}

/* Lanes of 8, each a chain of n/8 sums of rounded products, then 3 levels. */
static double dot_bound(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += fabs((double)a[i] * b[i]);
    return ((double)n / 8 + 5) * UNIT_ROUNDOFF * sum;
}

static double exact_dot(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

static void dot(int32_t level) {
    const sat_vector_kernels *c = sat_vector_kernels_for(SATCHEL_CPU_C);
    const sat_vector_kernels *k = sat_vector_kernels_for(level);
    for (int style = 0; style < STYLE_COUNT; style++)
        for (int i = 0; i < LENGTHS; i++) {
            size_t n = lengths[i], where;
            float *a = input(n, style), *b = input(n, style);
            float got = k->dot(a, b, n), want = c->dot(a, b, n);
            EXPECT(check_same_floats(&got, &want, 1, &where), "n %zu style %d: %a, C gives %a", n,
                   style, got, want);
            if (level == SATCHEL_CPU_C && (style == STYLE_NORMAL || style == STYLE_SMALL_INT))
                EXPECT(fabs(got - exact_dot(a, b, n)) <= dot_bound(a, b, n),
                       "n %zu: %g, exactly %g", n, got, exact_dot(a, b, n));
            check_release();
        }
}

static void dot_rows(int32_t level) {
    static const size_t counts[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 13};
    const sat_vector_kernels *c = sat_vector_kernels_for(SATCHEL_CPU_C);
    const sat_vector_kernels *k = sat_vector_kernels_for(level);
    for (int i = 0; i < LENGTHS; i++)
        for (size_t j = 0; j < sizeof counts / sizeof *counts; j++) {
            size_t n = lengths[i], count = counts[j], where;
            check_style style = (check_style)check_below(STYLE_COUNT);
            float *rows = input(count * n, style), *query = input(n, style);
            float *got = check_output(count * sizeof *got),
                  *want = check_output(count * sizeof *got);
            k->dot_rows(got, rows, query, count, n);
            c->dot_rows(want, rows, query, count, n);
            EXPECT(check_same_floats(got, want, count, &where), "n %zu count %zu style %d: row %zu",
                   n, count, style, where);
            for (size_t r = 0; r < count;
                 r++) { /* and a row's result does not depend on the others */
                float alone = k->dot(rows + r * n, query, n);
                EXPECT(check_same_floats(&alone, got + r, 1, &where), "n %zu: row %zu alone", n, r);
            }
            check_release();
        }
}

static void scale(int32_t level) {
    const sat_vector_kernels *k = sat_vector_kernels_for(level);
    for (int style = 0; style < STYLE_COUNT; style++)
        for (int i = 0; i < LENGTHS; i++) {
            size_t n = lengths[i], where;
            float *got = check_output(n * sizeof *got), *want = check_output(n * sizeof *got);
            float by = (float)check_uniform(-3, 3);
            check_fill(got, n, style);
            for (size_t j = 0; j < n; j++) /* the product of two floats is exact in double */
                want[j] = (float)((double)got[j] * by);
            k->scale(got, by, n);
            EXPECT(check_same_floats(got, want, n, &where), "n %zu style %d at %zu", n, style,
                   where);
            check_release();
        }
}

/* Sign, exponent and fraction of a half, taken apart without bit tricks. */
static double half_value(uint16_t h) {
    int sign = h >> 15, exponent = h >> 10 & 31, fraction = h & 1023;
    double value = exponent == 31  ? (fraction ? (double)NAN : (double)INFINITY)
                   : exponent == 0 ? ldexp(fraction, -24)
                                   : ldexp(1024 + fraction, exponent - 25);
    return sign ? -value : value;
}

static void from_f16(int32_t level) {
    const sat_vector_kernels *c = sat_vector_kernels_for(SATCHEL_CPU_C);
    const sat_vector_kernels *k = sat_vector_kernels_for(level);
    enum { ALL = 65536 };
    uint16_t *all = check_buffer(ALL * sizeof *all, 0);
    float *got = check_output(ALL * sizeof *got), *want = check_output(ALL * sizeof *got);
    for (int i = 0; i < ALL; i++)
        all[i] = (uint16_t)i;
    k->from_f16(got, all, ALL);
    c->from_f16(want, all, ALL);
    EXPECT(memcmp(got, want, ALL * sizeof *got) == 0, "differs from C"); /* also NaNs' payloads */
    for (int i = 0; i < ALL; i++) {
        double value = half_value((uint16_t)i);
        EXPECT(isnan(value) ? isnan(got[i])
                            : got[i] == value && !signbit(got[i]) == !signbit(value),
               "half %04x gives %g", i, got[i]);
    }
    check_release();
    for (int i = 0; i < LENGTHS; i++) {
        size_t n = lengths[i], where;
        uint16_t *in = check_buffer(n * sizeof *in, 0);
        check_bytes(in, n * sizeof *in);
        got = check_output(n * sizeof *got);
        want = check_output(n * sizeof *got);
        k->from_f16(got, in, n);
        c->from_f16(want, in, n);
        EXPECT(check_same_floats(got, want, n, &where), "n %zu at %zu", n, where);
        check_release();
    }
}

static void normalize(int32_t level) {
    const sat_vector_kernels *k = sat_vector_kernels_for(level);
    const sat_vector_kernels *c = sat_vector_kernels_for(SATCHEL_CPU_C);
    for (int i = 1; i < LENGTHS; i++) {
        size_t n = lengths[i], where;
        float *a = check_output(n * sizeof *a), *b = check_output(n * sizeof *a);
        check_fill(a, n, STYLE_NORMAL);
        a[0] = 1;
        memcpy(b, a, n * sizeof *a);
        EXPECT(sat_vector_normalize(k, a, n), "n %zu", n);
        EXPECT(sat_vector_normalize(c, b, n), "n %zu", n);
        EXPECT(check_same_floats(a, b, n, &where), "n %zu at %zu", n, where);
        double length = sqrt(exact_dot(a, a, n));
        EXPECT(fabs(length - 1) < 3 * UNIT_ROUNDOFF, "n %zu: length 1%+g", n, length - 1);
        for (size_t j = 0; j < n; j++)
            a[j] = 0;
        EXPECT(!sat_vector_normalize(k, a, n), "zeros have no direction");
        a[n - 1] = INFINITY;
        EXPECT(!sat_vector_normalize(k, a, n), "infinite");
        a[n - 1] = NAN;
        EXPECT(!sat_vector_normalize(k, a, n), "not a number");
        a[n - 1] = 3e38f; /* the squares do not fit a float */
        EXPECT(sat_vector_normalize(k, a, n) && fabsf(a[n - 1] - 1) < 1e-6f, "large");
        check_release();
    }
}

/* A level the CPU lacks, or none, must still give a table of the level itself or below. */
static void dispatch(int32_t level) {
    EXPECT(sat_vector_kernels_for(0) == sat_vector_kernels_for(SATCHEL_CPU_C),
           "unknown levels are C");
    EXPECT(sat_kernels_for(12345)->level == SATCHEL_CPU_C, "unknown levels are C");
    /* Levels that add nothing to a family use the one below. */
    int32_t encoder = level == SATCHEL_CPU_AVXVNNI ? SATCHEL_CPU_AVX2
                      : level == SATCHEL_CPU_I8MM  ? SATCHEL_CPU_DOTPROD
                                                   : level;
    EXPECT(sat_kernels_for(level)->level == encoder, "level %d gives kernels of level %d", level,
           sat_kernels_for(level)->level);
}

void check_vector(void) {
    check_run("dispatch", dispatch);
    check_run("dot", dot);
    check_run("dot_rows", dot_rows);
    check_run("scale", scale);
    check_run("from_f16", from_f16);
    check_run("normalize", normalize);
}
