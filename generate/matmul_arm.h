/* What the levels of AArch64 share in products with weights of all types: unpacking, rows to int8,
 * minima, sums over lanes. */
#ifndef SATCHEL_GENERATE_MATMUL_ARM_H
#define SATCHEL_GENERATE_MATMUL_ARM_H

#include <string.h>

#include "base/kernel.h"
#include "generate/matmul_kernels.h"

#define LOAD(rows, at) (words) vld1q_u8((rows)[0] + (at))
#define ZIP_LOW(a, b) (words) vzip1q_u32((uint32x4_t)(a), (uint32x4_t)(b))
#define ZIP_HIGH(a, b) (words) vzip2q_u32((uint32x4_t)(a), (uint32x4_t)(b))
#define JOIN_LOW(a, b) (words) vzip1q_u64((uint64x2_t)(a), (uint64x2_t)(b))
#define JOIN_HIGH(a, b) (words) vzip2q_u64((uint64x2_t)(a), (uint64x2_t)(b))
#define LOOK_UP(book, index) (words) vqtbl1q_u8(vld1q_u8(book), (uint8x16_t)(index))

#include "generate/matmul_unpack.h"

/* Codes are multiplied as signed bytes: those of 8 bits less their offset, the others as they are. */
enum { MOST = 4, REGISTERS = 2, FLOATS = 3, SIGNED_CODES = 1, FEW_BITS = 0 };

INLINE int8x16_t codes_at(const uint8_t (*code)[4], const int bits) {
    uint8x16_t bytes = vld1q_u8(code[0]);
    return vreinterpretq_s8_u8(bits == 8 ? veorq_u8(bytes, vdupq_n_u8(0x80)) : bytes);
}

INLINE signed_words add_pairs(signed_words sum, words minimum, int32_t pair) {
    int16x8_t m = (int16x8_t)minimum, by = vreinterpretq_s16_s32(vdupq_n_s32(pair));
    int32x4_t low = vmull_s16(vget_low_s16(m), vget_low_s16(by)), high = vmull_high_s16(m, by);
    return sum + (signed_words)vpaddq_s32(low, high);
}

INLINE float sum_lanes(const floats lane[4]) {
    return sum_four((float32x4_t)((lane[0] + lane[2]) + (lane[1] + lane[3])));
}

/* ------------------------------------------------------------------ rows to int8 */

/* The largest magnitude's bits, which order like the magnitudes and put NaN above infinity. */
INLINE uint32_t largest_of(const float *x, const int count) {
    uint32x4_t most = vdupq_n_u32(0);
    for (int i = 0; i < count; i += 4) {
        uint32x4_t bits = vreinterpretq_u32_f32(vld1q_f32(x + i));
        most = vmaxq_u32(most, vandq_u32(bits, vdupq_n_u32(0x7fffffff)));
    }
    return vmaxvq_u32(most);
}

/* 16 values, and their sum. */
INLINE int16_t round_16(int8_t *values, const float *x, float inverse) {
    int16x4_t q[4];
    EACH (i, 4)
        q[i] = vmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x + 4 * i), inverse)));
    int8x16_t all =
        vcombine_s8(vmovn_s16(vcombine_s16(q[0], q[1])), vmovn_s16(vcombine_s16(q[2], q[3])));
    vst1q_s8(values, all);
    return vaddlvq_s8(all);
}

/* One block of 32 or 256; sums of each 16. */
INLINE void quantize_block(int8_t *values, float *scale, int16_t *sums, const float *x,
                           const int count) {
    uint32_t bits = largest_of(x, count), none = 0x7fc00000;
    float amax;
    memcpy(&amax, &bits, sizeof amax);
    if (bits >= 0x7f800000 || amax < SAT_ROW_TINY) {
        memset(values, 0, (size_t)count);
        memset(sums, 0, (size_t)count / 16 * sizeof *sums);
        *scale = 0;
        if (bits >= 0x7f800000)
            memcpy(scale, &none, sizeof none);
        return;
    }
    *scale = amax * (1.0f / 127.0f);
    for (int i = 0; i < count; i += 16)
        sums[i / 16] = round_16(values + i, x + i, 127.0f / amax);
}

#endif
