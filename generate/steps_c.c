/* A decoder's steps in portable C: the reference of every other level. */
#include <math.h>
#include <string.h>

#include "generate/gguf.h"
#include "generate/quants.h"
#include "generate/reference.h"
#include "generate/steps.h"

static void rms_norm_c(float *out, const float *x, const float *weight, size_t n, float epsilon) {
    double lane[16] = {0};
    for (size_t i = 0; i < n; i++) /* products of two floats are exact in double */
        lane[i % 16] += (double)x[i] * (double)x[i];
    for (size_t width = 8; width > 0; width /= 2)
        for (size_t i = 0; i < width; i++)
            lane[i] += lane[i + width];
    float scale = (float)(1 / sqrt(lane[0] / (double)n + (double)epsilon));
    for (size_t i = 0; i < n; i++)
        out[i] = x[i] * scale * weight[i];
}

static void turn_c(float *x, const float *angles, size_t half) {
    for (size_t i = 0; i < half; i++) {
        float a = x[i], b = x[half + i], cosine = angles[i], sine = angles[half + i];
        x[i] = a * cosine - b * sine;
        x[half + i] = a * sine + b * cosine;
    }
}

/* ------------------------------------------------------------------ gates */

/* 1 / (1 + e^−x), from the exponential of −|x| alone, so that nothing overflows. */
static float sigma(float x) {
    float e = exp2_c(fabsf(x) * -SAT_LOG2E);
    return (x < 0 ? e : 1.0f) / (1.0f + e);
}

static void gate_c(float *gate, const float *up, size_t n, sat_gate function) {
    for (size_t i = 0; i < n; i++) {
        float x = gate[i], z = x;
        if (function == SAT_GATE_GELU_TANH)
            z = x * (SAT_GELU_TANH_ONE + SAT_GELU_TANH_CUBE * (x * x));
        gate[i] = x * sigma(z) * up[i];
    }
}

/* ------------------------------------------------------------------ attention */

static void weigh_c(float *out, size_t out_stride, const float *p, size_t p_stride,
                    const sat_value_rows *values, size_t count, size_t dim, size_t rows) {
    enum { SOME = 32 };
    size_t bytes = values->type == SAT_GGML_F32 ? 4 : 2, n;
    for (size_t at = 0; at < dim; at += n) {
        float value[SOME];
        n = dim - at < SOME ? dim - at : SOME;
        for (size_t r = 0; r < rows; r++)
            memset(out + r * out_stride + at, 0, n * sizeof *out);
        for (size_t j = 0; j < count; j++) {
            sat_dequantize(values->type, value, values->data + j * values->row_bytes + at * bytes,
                           n);
            for (size_t r = 0; r < rows; r++)
                for (size_t i = 0; i < n; i++) {
                    float *o = out + r * out_stride + at + i;
                    *o = fused(p[r * p_stride + j], value[i], *o);
                }
        }
    }
}

static uint16_t half_of(float value) {
    uint32_t bits = bits_of(value);
    uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u);
    if (magnitude >= 0x477ff000u) /* 65520 */
        return (uint16_t)(sign | 0x7c00u);
    if (magnitude < 0x38800000u) /* subnormal: steps of 2^-24, rounded by the addition */
        return (uint16_t)(sign | (bits_of(float_of(magnitude) + 0.5f) - 0x3f000000u));
    magnitude += 0xfffu + (magnitude >> 13 & 1);
    return (uint16_t)(sign | (magnitude - 0x38000000u) >> 13);
}

static void to_f16_c(uint16_t *out, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        out[i] = half_of(x[i]);
}

static void from_q8_0_c(float *out, const uint8_t *blocks, size_t count) {
    for (size_t b = 0; b < count; b++, blocks += 2 + SAT_BLOCK)
        for (size_t i = 0; i < SAT_BLOCK; i++)
            *out++ = sat_read_half(blocks) * (float)(int8_t)blocks[2 + i];
}

const sat_step_kernels sat_steps_c = {
    .level = SATCHEL_CPU_C,
    .rms_norm = rms_norm_c,
    .turn = turn_c,
    .gate = gate_c,
    .weigh = weigh_c,
    .to_f16 = to_f16_c,
    .from_q8_0 = from_q8_0_c,
};
