/* Checks of a decoder's steps: norms, rotary positions, gates, sums of values, halves. Every level
 * against C bit for bit, and C against double. */
#include <math.h>

#include "base/cpu.h"
#include "generate/gguf.h"
#include "generate/quants.h"
#include "generate/steps.h"
#include "tests/kernels/check.h"

static float *drawn(size_t n, int style) {
    float *x = check_buffer(n * sizeof *x, 0);
    check_fill(x, n, (check_style)(style % STYLE_COUNT));
    return x;
}

static float *copy_of(const float *x, size_t n) {
    float *y = check_buffer(n * sizeof *y, 0);
    memcpy(y, x, n * sizeof *y);
    return y;
}

/* ------------------------------------------------------------------ rows */

static void exact_norm(const float *out, const float *x, const float *weight, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    double scale = 1 / sqrt(sum / (double)n + 1e-6);
    for (size_t i = 0; i < n; i++) {
        double want = x[i] * scale * weight[i];
        EXPECT(fabs(out[i] - want) <= 4 * UNIT_ROUNDOFF * fabs(want) + 0x1p-125,
               "norm of %zu: %g at %zu, exactly %g", n, out[i], i, want);
    }
}

static void rms_norm(int32_t level) {
    const sat_step_kernels *k = sat_step_kernels_for(level);
    for (int round = 0; round < 120; round++) {
        size_t n = round < 40 ? (size_t)round + 1 : 1 + check_below(700), where;
        float *x = drawn(n, round), *weight = drawn(n, STYLE_NORMAL);
        float *got = check_output(n * 4), *want = check_output(n * 4), *place = copy_of(x, n);
        k->rms_norm(got, x, weight, n, 1e-6f);
        sat_steps_c.rms_norm(want, x, weight, n, 1e-6f);
        EXPECT(check_same_floats(got, want, n, &where), "norm of %zu: %a at %zu, C gives %a", n,
               got[where], where, want[where]);
        k->rms_norm(place, place, weight, n, 1e-6f);
        EXPECT(check_same_floats(place, want, n, &where), "norm of %zu in place", n);
        if (round % STYLE_COUNT != STYLE_HUGE)
            exact_norm(got, x, weight, n);
        check_release();
    }
}

static void turn(int32_t level) {
    const sat_step_kernels *k = sat_step_kernels_for(level);
    for (int round = 0; round < 80; round++) {
        size_t half = round < 40 ? (size_t)round : check_below(130), n = 2 * half, where;
        float *x = drawn(n, round), *angles = check_buffer(n * 4, 0);
        float *got = copy_of(x, n), *want = copy_of(x, n);
        for (size_t i = 0; i < half; i++) {
            double angle = check_uniform(-4, 4);
            angles[i] = (float)cos(angle);
            angles[half + i] = (float)sin(angle);
        }
        k->turn(got, angles, half);
        sat_steps_c.turn(want, angles, half);
        EXPECT(check_same_floats(got, want, n, &where), "turn of %zu: %a at %zu, C gives %a", half,
               got[where], where, want[where]);
        for (size_t i = 0; i < half && round % STYLE_COUNT != STYLE_HUGE; i++) {
            double a = x[i], b = x[half + i], c = angles[i], s = angles[half + i];
            double bound = 3 * UNIT_ROUNDOFF * (fabs(a) + fabs(b)) + 0x1p-147;
            EXPECT(fabs(got[i] - (a * c - b * s)) <= bound, "first of pair %zu", i);
            EXPECT(fabs(got[half + i] - (a * s + b * c)) <= bound, "second of pair %zu", i);
        }
        check_release();
    }
}

/* ------------------------------------------------------------------ gates */

/* What σ may be off by. */
#define SIGMA_ABSOLUTE 1.2e-7

static double exact_gate(double x, sat_gate function) {
    if (function == SAT_GATE_SILU)
        return x / (1 + exp(-x));
    return 0.5 * x * (1 + tanh(0.79788456080286535588 * x * (1 + 0.044715 * x * x)));
}

static void one_gate(int32_t level, float *x, size_t n, sat_gate function, bool wild) {
    float *up = drawn(n, STYLE_NORMAL), *got = copy_of(x, n), *want = copy_of(x, n);
    size_t where;
    sat_step_kernels_for(level)->gate(got, up, n, function);
    sat_steps_c.gate(want, up, n, function);
    EXPECT(check_same_floats(got, want, n, &where), "gate %d of %zu: %a at %zu, C gives %a",
           (int)function, n, got[where], where, want[where]);
    for (size_t i = 0; i < n && !wild; i++) {
        double exact = exact_gate(x[i], function) * up[i];
        double bound = fabs((double)x[i] * up[i]) * SIGMA_ABSOLUTE + 0x1p-140;
        EXPECT(fabs(got[i] - exact) <= bound + 4 * UNIT_ROUNDOFF * fabs(exact),
               "gate %d of %a: %a, exactly %a", (int)function, x[i], got[i], exact);
    }
    check_release();
}

static void gate(int32_t level) {
    static const float ends[] = {0.0f,   -0.0f, 1e-40f, -1e-40f, 88.0f,    -88.0f,
                                 104.0f, 1e5f,  -1e5f,  3.4e38f, INFINITY, NAN};
    for (int function = SAT_GATE_SILU; function <= SAT_GATE_GELU_TANH; function++) {
        for (int round = 0; round < 90; round++) {
            size_t n = round < 70 ? (size_t)round : check_below(500);
            one_gate(level, drawn(n, round), n, (sat_gate)function,
                     round % STYLE_COUNT == STYLE_HUGE || round % STYLE_COUNT == STYLE_WIDE);
        }
        for (int part = 0; part < 30; part++) { /* all of the interesting range, finely */
            enum { N = 4096 };
            float *x = check_buffer(N * sizeof *x, 0);
            for (size_t i = 0; i < N; i++)
                x[i] = (float)check_uniform(-30, 30) * (part % 2 ? 1.0f : 0.1f);
            one_gate(level, x, N, (sat_gate)function, false);
        }
        enum { ENDS = sizeof ends / sizeof *ends };
        one_gate(level, copy_of(ends, ENDS), ENDS, (sat_gate)function, true);
    }
}

/* ------------------------------------------------------------------ attention */

static void one_weigh(int32_t level, uint32_t type, size_t rows, size_t count, size_t dim) {
    size_t size = type == SAT_GGML_F32 ? 4 : 2, stride = dim + check_below(3), where;
    size_t p_stride = count + check_below(5), row_bytes = (dim + check_below(3)) * size;
    size_t outs = rows ? (rows - 1) * stride + dim : 0;
    size_t bytes = count ? (count - 1) * row_bytes + dim * size : 0;
    float *p = drawn(rows * p_stride, STYLE_NORMAL), *given = drawn(bytes / size, STYLE_NORMAL);
    uint8_t *data = (uint8_t *)given;
    if (type == SAT_GGML_F16) {
        data = check_buffer(bytes, 0);
        sat_steps_c.to_f16((uint16_t *)(void *)data, given, bytes / size);
    }
    sat_value_rows values = {data, row_bytes, type};
    float *got = check_output(outs * 4), *want = check_output(outs * 4);
    check_fill(got, outs, STYLE_NORMAL);
    memcpy(want, got, outs * 4);
    sat_step_kernels_for(level)->weigh(got, stride, p, p_stride, &values, count, dim, rows);
    sat_steps_c.weigh(want, stride, p, p_stride, &values, count, dim, rows);
    EXPECT(check_same_floats(got, want, outs, &where),
           "weigh type %u rows %zu count %zu dim %zu: %a at %zu, C gives %a", type, rows, count,
           dim, got[where], where, want[where]);
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < dim; i++) {
            double sum = 0, terms = 0;
            for (size_t j = 0; j < count; j++) {
                float value;
                sat_dequantize(type, &value, data + j * row_bytes + i * size, 1);
                sum += (double)p[r * p_stride + j] * value;
                terms += fabs((double)p[r * p_stride + j] * value);
            }
            EXPECT(fabs(got[r * stride + i] - sum) <= (double)(count + 1) * UNIT_ROUNDOFF * terms,
                   "weigh: %g, exactly %g", got[r * stride + i], sum);
        }
    check_release();
}

static void weigh(int32_t level) {
    static const uint32_t types[] = {SAT_GGML_F32, SAT_GGML_F16};
    for (int t = 0; t < 2; t++) {
        for (size_t rows = 0; rows <= 13; rows++)
            one_weigh(level, types[t], rows, 1 + check_below(64), 64 * (1 + check_below(3)));
        for (size_t dim = 1; dim <= 70; dim++)
            one_weigh(level, types[t], 1 + check_below(8), check_below(20), dim);
    }
}

/* ------------------------------------------------------------------ halves and bytes */

static bool same_halves(const uint16_t *a, const uint16_t *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i] && !((a[i] & 0x7fff) > 0x7c00 && (b[i] & 0x7fff) > 0x7c00))
            return false;
    return true;
}

static void to_f16(int32_t level) {
    const sat_step_kernels *k = sat_step_kernels_for(level);
    for (int round = 0; round < 150; round++) {
        size_t n = round < 40 ? (size_t)round : 3000;
        float *x = drawn(n, round), *back = check_buffer(n * 4, 0);
        uint16_t *got = check_buffer(n * 2, 0), *want = check_buffer(n * 2, 0);
        for (size_t i = 0; i < n; i++) {
            float span = (float)ldexp(1, (int)check_below(44) - 26);
            if (round % 3 == 0) /* halves' own range, ties, infinities, no numbers */
                x[i] = (float)check_uniform(-1, 1) * span;
            else if (round % 3 == 1)
                x[i] = (float)((int)check_below(8192) - 4096) * 0.5f * span;
            else if (i % 7 == 0)
                x[i] = i % 2 ? NAN : -INFINITY;
        }
        k->to_f16(got, x, n);
        sat_steps_c.to_f16(want, x, n);
        EXPECT(same_halves(got, want, n), "halves of %zu", n);
        for (size_t i = 0; i < n; i++) {
            sat_dequantize(SAT_GGML_F16, back + i, got + i, 1);
            if (isfinite(x[i]) && fabsf(x[i]) < 65520)
                EXPECT(fabs((double)back[i] - x[i]) <= fabs((double)x[i]) * 0x1p-11 + 0x1p-25,
                       "%a as a half is %a", x[i], back[i]);
            else if (!isnan(x[i]))
                EXPECT(isinf(back[i]) && (back[i] < 0) == (x[i] < 0), "%a is too large", x[i]);
            else
                EXPECT(isnan(back[i]), "no number became %a", back[i]);
        }
        check_release();
    }
}

static void from_q8_0(int32_t level) {
    const sat_step_kernels *k = sat_step_kernels_for(level);
    for (size_t count = 0; count < 60; count++) {
        size_t n = count * SAT_BLOCK, where;
        uint8_t *blocks = check_buffer(count * 34, 0);
        float *got = check_output(n * 4), *want = check_output(n * 4);
        check_bytes(blocks, count * 34);
        k->from_q8_0(got, blocks, count);
        sat_steps_c.from_q8_0(want, blocks, count);
        EXPECT(check_same_floats(got, want, n, &where), "%zu blocks", count);
        for (size_t i = 0; i < n; i++) {
            const uint8_t *block = blocks + i / SAT_BLOCK * 34;
            float exact = sat_read_half(block) * (float)(int8_t)block[2 + i % SAT_BLOCK];
            EXPECT(isnan(exact) ? isnan(got[i]) : got[i] == exact, "value %zu", i);
        }
        check_release();
    }
}

void check_steps(void) {
    check_run("steps rms_norm", rms_norm);
    check_run("steps turn", turn);
    check_run("steps gate", gate);
    check_run("steps weigh", weigh);
    check_run("steps to_f16", to_f16);
    check_run("steps from_q8_0", from_q8_0);
}
