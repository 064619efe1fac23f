/* Checks of sat_attend: against C, against double, and that only its own sequence matters. */
#include <math.h>
#include <stdlib.h>

#include "base/cpu.h"
#include "tests/kernels/check.h"

typedef struct heads {
    float *qkv; /* (length, 3 * heads * dim) */
    size_t length, dim, count, stride;
} heads;

static sat_attention head_of(const heads *h, size_t head, size_t width) {
    sat_attention a = {
        .q = h->qkv + head * h->dim,
        .k = h->qkv + width + head * h->dim,
        .v = h->qkv + 2 * width + head * h->dim,
        .stride = h->stride,
        .length = h->length,
        .dim = h->dim,
        .scale = 1.0f / sqrtf((float)h->dim),
    };
    return a;
}

static void exact_head(const sat_attention *a, const float *got, size_t got_stride) {
    double *score = malloc(a->length * sizeof *score);
    for (size_t i = 0; i < a->length; i++) {
        double largest = -INFINITY, sum = 0, worst = 0;
        for (size_t j = 0; j < a->length; j++) {
            double dot = 0, size = 0;
            score[j] = -INFINITY;
            if (a->reach > 0 && (i > j ? i - j : j - i) > a->reach)
                continue;
            for (size_t d = 0; d < a->dim; d++) {
                double term = (double)a->q[i * a->stride + d] * a->k[j * a->stride + d];
                dot += term;
                size += fabs(term);
            }
            score[j] = a->scale * dot;
            largest = fmax(largest, score[j]);
            worst = fmax(worst, a->scale * size);
        }
        for (size_t j = 0; j < a->length; j++)
            sum += score[j] = exp(score[j] - largest);
        /* A score's error: a rounding for each of dim steps, and those of exp2's argument; it moves the
         * weight by as much. Then the sum over keys and the division. */
        double relative = 2 * (((double)a->dim + 6) * UNIT_ROUNDOFF * 2 * worst + EXP2_RELATIVE) +
                          ((double)a->length + 8) * UNIT_ROUNDOFF;
        for (size_t d = 0; d < a->dim; d++) {
            double out = 0, size = 0;
            for (size_t j = 0; j < a->length; j++) {
                out += score[j] / sum * a->v[j * a->stride + d];
                size += score[j] / sum * fabs(a->v[j * a->stride + d]);
            }
            EXPECT(fabs(got[i * got_stride + d] - out) <= relative * size,
                   "length %zu dim %zu: token %zu column %zu: %g, exactly %g", a->length, a->dim, i,
                   d, got[i * got_stride + d], out);
        }
    }
    free(score);
}

static void one_attention(int32_t level, size_t length, size_t dim, size_t count, size_t reach,
                          check_style style) {
    const sat_kernels *reference = sat_kernels_for(SATCHEL_CPU_C), *k = sat_kernels_for(level);
    size_t width = count * dim, stride = 3 * width + check_below(2) * 3, where;
    heads h = {NULL, length, dim, count, stride};
    size_t size = (length - 1) * stride + 3 * width;
    h.qkv = check_buffer(size * 4, 0);
    check_fill(h.qkv, size, style);
    size_t bytes = sat_attention_scratch(length, dim);
    void *scratch = check_buffer((bytes + 63) / 64 * 64, 0);
    size_t out_stride = width + check_below(2) * 5, out_size = (length - 1) * out_stride + width;
    float *got = check_output(out_size * 4), *want = check_output(out_size * 4);
    memset(got, 0, out_size * 4);
    memset(want, 0, out_size * 4);
    bool quantized = dim % 32 == 0;
    sat_q8_rows q8 = {0}, again = {0};
    if (quantized) {
        q8 = (sat_q8_rows){check_buffer(length * width, check_below(40)),
                           check_output(length * width / 32 * 4), width};
        again = (sat_q8_rows){check_buffer(length * width, 0),
                              check_buffer(length * width / 32 * 4, 0), width};
    }
    for (size_t i = 0; i < count; i++) {
        sat_attention a = head_of(&h, i, width);
        a.out = (sat_rows){got + i * dim, out_stride};
        a.q8 = q8;
        a.q8_column = i * dim;
        a.reach = reach;
        sat_attend(k, &a, scratch);
        a.out.data = want + i * dim;
        a.q8.values = NULL;
        sat_attend(reference, &a, scratch);
        if (level == SATCHEL_CPU_C && style == STYLE_NORMAL)
            exact_head(&a, got + i * dim, out_stride);
    }
    EXPECT(check_same_floats(got, want, out_size, &where),
           "length %zu dim %zu style %d: token %zu: %a, C gives %a", length, dim, style,
           where / out_stride, got[where], want[where]);
    if (quantized) {
        sat_rows rows = {got, out_stride};
        sat_quantize(k, &again, &rows, 0, length);
        EXPECT(memcmp(q8.values, again.values, length * width) == 0,
               "length %zu dim %zu: quantized", length, dim);
        EXPECT(memcmp(q8.scales, again.scales, length * width / 32 * 4) == 0,
               "length %zu dim %zu: scales", length, dim);
    }
    check_release();
}

static void attention(int32_t level) {
    static const size_t lengths[] = {1,  2,  3,  5,  7,  13, 14, 15, 16, 17, 27,
                                     28, 29, 31, 32, 33, 57, 64, 65, 96, 127};
    static const size_t dims[] = {32, 64, 16, 8, 24, 40, 1, 80, 33};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        one_attention(level, lengths[i], dims[i % 2], 2, 0, STYLE_NORMAL);
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++)
        one_attention(level, 1 + check_below(70), dims[i], 1 + check_below(3), 0, STYLE_NORMAL);
    static const size_t reaches[] = {1, 2, 4, 31, 32, 33, 64, 126, 127, 500};
    for (size_t i = 0; i < sizeof reaches / sizeof *reaches; i++) {
        one_attention(level, 127, dims[i % 4], 1, reaches[i], STYLE_NORMAL);
        one_attention(level, 1 + check_below(200), 32, 2, reaches[i], STYLE_NORMAL);
    }
    for (int style = 0; style < STYLE_COUNT; style++)
        one_attention(level, 1 + check_below(70), 32, 1, check_below(12), style);
    one_attention(level, 512, 32, 1, 0, STYLE_NORMAL);
}

void check_attention(void) {
    check_run("sat_attend", attention);
}
