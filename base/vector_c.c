/*
 * Vector kernels in portable C: the reference every other level must equal bit for bit, and the
 * fallback of machines without SIMD. The 8 lanes are what a 256-bit register holds, so compilers can
 * vectorise these loops without changing a result.
 */
#include "base/vector_isa.h"

#include <string.h>

static float dot_c(const float *a, const float *b, size_t n) {
    float lane[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; j++)
            lane[j] += a[i + j] * b[i + j];
    for (int j = 0; i < n; i++, j++)
        lane[j] += a[i] * b[i];
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) +
           ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

static void dot_rows_c(float *out, const float *rows, const float *query, size_t count, size_t n) {
    for (size_t r = 0; r < count; r++)
        out[r] = dot_c(rows + r * n, query, n);
}

static void scale_c(float *a, float scale, size_t n) {
    for (size_t i = 0; i < n; i++)
        a[i] *= scale;
}

static uint32_t half_bits(uint32_t h) {
    uint32_t sign = (h & 0x8000u) << 16, magnitude = h & 0x7fffu;
    if (magnitude >= 0x7c00u) /* infinity; a NaN is made quiet, as the instructions do */
        return sign | 0x7f800000u | (magnitude & 0x3ffu) << 13 |
               (magnitude > 0x7c00u ? 0x00400000u : 0);
    if (magnitude >= 0x0400u)
        return sign | ((magnitude << 13) + 0x38000000u);
    /* Subnormal: the magnitude times 2^-24, exact and normal in single precision. */
    float value = (float)magnitude * 0x1p-24f;
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return sign | bits;
}

void sat_from_f16_c(float *out, const uint16_t *in, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = half_bits(in[i]);
        memcpy(out + i, &bits, sizeof bits);
    }
}

const sat_vector_kernels sat_vector_kernels_c = {
    .dot = dot_c,
    .dot_rows = dot_rows_c,
    .scale = scale_c,
    .from_f16 = sat_from_f16_c,
};
