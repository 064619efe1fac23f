/* Fused multiply-add for kernels in portable C, fast also where the instruction set has none. */
#ifndef SATCHEL_GENERATE_FUSED_H
#define SATCHEL_GENERATE_FUSED_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__FP_FAST_FMAF) || defined(__aarch64__)
#define SAT_FAST_FMA /* fmaf is one instruction */
#endif

static inline uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

#ifndef SAT_FAST_FMA
/* `sum` is a·b + c in double, where the product is exact: rounding it again to float is what fmaf
 * gives, unless it lies exactly between two floats or the result is subnormal. */
static inline int needs_fmaf(double sum) {
    uint64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    uint32_t low = (uint32_t)bits & 0x1fffffffu, high = (uint32_t)(bits >> 32) & 0x7fffffffu;
    return (low == 0x10000000u) | (high - 1 < 0x380fffffu); /* high of FLT_MIN: 0x38100000 */
}
#endif

/* fmaf without the call that compilers make where the instruction set has none. */
static inline float fused(float a, float b, float c) {
#ifdef SAT_FAST_FMA
    return fmaf(a, b, c);
#else
    double sum = (double)a * b + c;
    return needs_fmaf(sum) ? fmaf(a, b, c) : (float)sum;
#endif
}

#endif
