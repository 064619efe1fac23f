/* What the references of the kernel families share, each function a numeric contract of its own. */
#ifndef SATCHEL_GENERATE_REFERENCE_H
#define SATCHEL_GENERATE_REFERENCE_H

#include "generate/fused.h"
#include "generate/kernels_isa.h"

/* `count` values to int8 and their scale. */
static inline void quantize_values(int8_t *values, float *scale, const float *x, int count) {
    uint32_t largest = 0; /* of the magnitudes' bits, which order like the magnitudes */
    for (int i = 0; i < count; i++) {
        uint32_t magnitude = bits_of(x[i]) & 0x7fffffffu;
        largest = magnitude > largest ? magnitude : largest;
    }
    float amax = float_of(largest);
    if (largest >= 0x7f800000u || amax < SAT_ROW_TINY) {
        memset(values, 0, (size_t)count);
        *scale = largest >= 0x7f800000u ? float_of(0x7fc00000u) : 0.0f;
        return;
    }
    float inverse = 127.0f / amax;
    *scale = amax * (1.0f / 127.0f);
    for (int i = 0; i < count; i++) /* |x·inverse| < 128: the sum rounds to an integer */
        values[i] = (int8_t)(bits_of(x[i] * inverse + SAT_ROUND_MAGIC) & 0xffu);
}

/* 2^max(y, −126) for y <= 0 */
static inline float exp2_c(float y) {
    y = y > SAT_EXP2_LEAST ? y : SAT_EXP2_LEAST;
    float t = y + SAT_ROUND_MAGIC;
    float f = y - (t - SAT_ROUND_MAGIC);
    float p = SAT_EXP2_P6;
    p = fused(p, f, SAT_EXP2_P5);
    p = fused(p, f, SAT_EXP2_P4);
    p = fused(p, f, SAT_EXP2_P3);
    p = fused(p, f, SAT_EXP2_P2);
    p = fused(p, f, SAT_EXP2_P1);
    p = fused(p, f, 1.0f);
    return float_of(bits_of(p) + (bits_of(t) << 23));
}

/* Lanes i + 8, i + 4, i + 2, i + 1. */
static inline float sum_lanes(const float lane[16]) {
    float s[8];
    for (int i = 0; i < 8; i++)
        s[i] = lane[i] + lane[i + 8];
    for (int i = 0; i < 4; i++)
        s[i] += s[i + 4];
    return (s[0] + s[2]) + (s[1] + s[3]);
}

#endif
