/* Products with weights of all types for NEON, AArch64's baseline. */
#include "generate/matmul_arm.h"

#define LANES 1
#define STORE_HALVES(out, in) vst1q_f32(out, vcvt_f32_f16((float16x4_t)(in)))
#define LOAD(rows, at) (words) vld1q_u8((rows)[0] + (at))
#define ZIP_LOW(a, b) (words) vzip1q_u32((uint32x4_t)(a), (uint32x4_t)(b))
#define ZIP_HIGH(a, b) (words) vzip2q_u32((uint32x4_t)(a), (uint32x4_t)(b))
#define JOIN_LOW(a, b) (words) vzip1q_u64((uint64x2_t)(a), (uint64x2_t)(b))
#define JOIN_HIGH(a, b) (words) vzip2q_u64((uint64x2_t)(a), (uint64x2_t)(b))
#define LOOK_UP(book, index) (words) vqtbl1q_u8(vld1q_u8(book), (uint8x16_t)(index))

#include "generate/matmul_unpack.h"

/* M rows by 8 outputs of 4 inputs a step: products in 16 bits, |code·value| <= 2^14, added in pairs
 * to 32. */
INLINE void add_products(int32x4_t dot[][2], const int8_t *const *rows, const uint8_t (*code)[4],
                         const int steps, const uint8_t flip, const int M) {
    EACH (c, 2) {
        int32x4_t low[MOST], high[MOST]; /* outputs 0, 1 and 2, 3, two sums each */
        EACH (i, M)
            low[i] = high[i] = vdupq_n_s32(0);
        EACH (k, steps) {
            uint8x16_t bytes = vld1q_u8(code[k * SAT_STRIP + 4 * c]);
            int8x16_t w = vreinterpretq_s8_u8(veorq_u8(bytes, vdupq_n_u8(flip)));
            EACH (i, M) {
                int8x16_t x = vreinterpretq_s8_s32(vdupq_n_s32(word_at(rows[i] + 4 * k)));
                low[i] = vpadalq_s16(low[i], vmull_s8(vget_low_s8(w), vget_low_s8(x)));
                high[i] = vpadalq_s16(high[i], vmull_high_s8(w, x));
            }
        }
        EACH (i, M)
            dot[i][c] = vaddq_s32(dot[i][c], vpaddq_s32(low[i], high[i]));
    }
}

/* ------------------------------------------------------------------ floats */

/* Four weights. */
INLINE float32x4_t weights_at(const uint8_t *p, uint32_t type) {
    uint16_t half[4];
    float single[4];
    if (type == SAT_GGML_F32) {
        memcpy(single, p, sizeof single);
        return vld1q_f32(single);
    }
    memcpy(half, p, sizeof half);
    if (type == SAT_GGML_F16)
        return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(half)));
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(half), 16));
}

INLINE float sum_lanes(const float32x4_t lane[4]) {
    float32x4_t four = vaddq_f32(vaddq_f32(lane[0], lane[2]), vaddq_f32(lane[1], lane[3]));
    float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

/* Adds 16 inputs of M rows and N outputs. */
INLINE void add_floats(float32x4_t sum[][4][4], const float *x, size_t x_stride, const uint8_t *w,
                       size_t w_stride, uint32_t type, const int M, const int N) {
    const size_t four = type == SAT_GGML_F32 ? 16 : 8;
    EACH (h, 4) {
        float32x4_t weight[4];
        EACH (j, N)
            weight[j] = weights_at(w + j * w_stride + h * four, type);
        EACH (i, M) {
            float32x4_t value = vld1q_f32(x + i * x_stride + 4 * h);
            EACH (j, N)
                sum[i][j][h] = vfmaq_f32(sum[i][j][h], value, weight[j]);
        }
    }
}

/* M rows by N outputs, lanes along k. */
INLINE void float_tile(float *out, size_t out_stride, const float *x, size_t x_stride,
                       const uint8_t *w, size_t w_stride, uint32_t type, size_t k, const int M,
                       const int N) {
    const size_t size = type == SAT_GGML_F32 ? 4 : 2;
    float32x4_t sum[3][4][4];
    size_t at = 0;
    EACH (i, M)
        EACH (j, N)
            EACH (h, 4)
                sum[i][j][h] = vdupq_n_f32(0);
    for (; k - at >= 16; at += 16)
        add_floats(sum, x + at, x_stride, w + at * size, w_stride, type, M, N);
    if (at < k) { /* the rest, and zeros */
        float values[3][16] = {{0}};
        uint8_t weights[4][64] = {{0}};
        EACH (i, M)
            memcpy(values[i], x + i * x_stride + at, (k - at) * sizeof(float));
        EACH (j, N)
            memcpy(weights[j], w + j * w_stride + at * size, (k - at) * size);
        add_floats(sum, values[0], 16, weights[0], 64, type, M, N);
    }
    EACH (i, M)
        EACH (j, N)
            out[i * out_stride + j] = sum_lanes(sum[i][j]);
}

/* All rows by N outputs. */
INLINE void float_rows(float *out, size_t out_stride, const float *x, size_t x_stride,
                       const uint8_t *w, size_t w_stride, uint32_t type, size_t k, size_t rows,
                       const int N) {
    for (; rows >= 3; rows -= 3, out += 3 * out_stride, x += 3 * x_stride)
        float_tile(out, out_stride, x, x_stride, w, w_stride, type, k, 3, N);
    for (; rows > 0; rows--, out += out_stride, x += x_stride)
        float_tile(out, out_stride, x, x_stride, w, w_stride, type, k, 1, N);
}

void sat_multiply_float_neon(float *out, size_t out_stride, const float *x, size_t x_stride,
                             const uint8_t *w, size_t w_stride, uint32_t type, size_t count,
                             size_t k, size_t rows) {
#define TYPE(name)                                                                                 \
    if (type == (name)) {                                                                          \
        size_t c = 0;                                                                              \
        for (; c + 2 <= count; c += 2)                                                             \
            float_rows(out + c, out_stride, x, x_stride, w + c * w_stride, w_stride, name, k,      \
                       rows, 2);                                                                   \
        if (c < count)                                                                             \
            float_rows(out + c, out_stride, x, x_stride, w + c * w_stride, w_stride, name, k,      \
                       rows, 1);                                                                   \
    }
    TYPE(SAT_GGML_F32)
    TYPE(SAT_GGML_F16)
    TYPE(SAT_GGML_BF16)
#undef TYPE
}

/* ------------------------------------------------------------------ the table */

void sat_unpack_32_neon(sat_strip_block *out, uint32_t type, const uint8_t *const rows[SAT_STRIP],
                        size_t first, size_t count, const uint8_t *ahead) {
    unpack_32(out, type, rows, first, count, ahead);
}

void sat_unpack_256_neon(sat_strip_super *out, uint32_t type, const uint8_t *const rows[SAT_STRIP],
                         size_t first, size_t count, const uint8_t *ahead) {
    unpack_256(out, type, rows, first, count, ahead);
}

const sat_matmul_kernels sat_matmul_neon = {
    .level = SATCHEL_CPU_NEON,
    .quantize_32 = sat_quantize_32_c,
    .quantize_256 = sat_quantize_256_c,
    .unpack_32 = sat_unpack_32_neon,
    .unpack_256 = sat_unpack_256_neon,
    .multiply_32 = multiply_32,
    .multiply_256 = multiply_256,
    .multiply_float = sat_multiply_float_neon,
};
