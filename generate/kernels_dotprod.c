/* Encoder kernels for NEON with the dot product extension, which only the int8 product gains from. */
#include "base/kernel.h"
#include "generate/kernels_isa.h"

/* M rows by 8 outputs: a register holds 4 inputs of 4 outputs, a lane of x the 4 inputs of a row. */
INLINE void q8_tile(float *acc, size_t acc_stride, int add, const uint8_t *a, size_t a_stride,
                    const float *a_scales, size_t scales_stride, const sat_q8_strip_block *block,
                    size_t blocks, size_t column, const int M) {
    float32x4_t out[4][2];
    EACH (i, M)
        EACH (j, 2)
            out[i][j] = add ? vld1q_f32(acc + i * acc_stride + 4 * j) : vdupq_n_f32(0);
    for (size_t b = 0; b < blocks; b++, block++, a += SAT_Q8_BLOCK, a_scales++) {
        int32x4_t sum[4][2];
        EACH (i, M)
            EACH (j, 2)
                sum[i][j] = vdupq_n_s32(0);
        EACH (half, 2) {
            int8x16_t x[4];
            EACH (i, M)
                x[i] = vld1q_s8((const int8_t *)a + i * a_stride + 16 * half);
#define STEP(lane)                                                                                 \
    do {                                                                                           \
        int8x16_t w0 = vld1q_s8(block->weights[4 * half + (lane)][column]);                        \
        int8x16_t w1 = vld1q_s8(block->weights[4 * half + (lane)][column + 4]);                    \
        EACH (i, M) {                                                                              \
            sum[i][0] = vdotq_laneq_s32(sum[i][0], w0, x[i], lane);                                \
            sum[i][1] = vdotq_laneq_s32(sum[i][1], w1, x[i], lane);                                \
        }                                                                                          \
    } while (0)
            STEP(0);
            STEP(1);
            STEP(2);
            STEP(3);
#undef STEP
        }
        EACH (i, M)
            EACH (j, 2) {
                float32x4_t scale = vmulq_n_f32(vld1q_f32(block->scale + column + 4 * j),
                                                a_scales[i * scales_stride]);
                out[i][j] = vfmaq_f32(out[i][j], vcvtq_f32_s32(sum[i][j]), scale);
            }
    }
    EACH (i, M)
        EACH (j, 2)
            vst1q_f32(acc + i * acc_stride + 4 * j, out[i][j]);
}

static void gemm_q8_dotprod(float *acc, size_t acc_stride, int add, const uint8_t *a,
                            size_t a_stride, const float *a_scales, size_t scales_stride,
                            const void *strip, size_t blocks, size_t rows) {
#define TILES(m)                                                                                   \
    for (; rows >= (m); rows -= (m)) {                                                             \
        for (size_t column = 0; column < SAT_STRIP; column += 8)                                   \
            q8_tile(acc + column, acc_stride, add, a, a_stride, a_scales, scales_stride, strip,    \
                    blocks, column, m);                                                            \
        acc += (m)*acc_stride;                                                                     \
        a += (m)*a_stride;                                                                         \
        a_scales += (m)*scales_stride;                                                             \
    }
    TILES(4)
    TILES(2)
    TILES(1)
#undef TILES
}

const sat_kernels sat_kernels_dotprod = {
    .level = SATCHEL_CPU_DOTPROD,
    .q8_flip = 0,
    .quantize = sat_quantize_neon,
    .gemm_q8 = gemm_q8_dotprod,
    .gemm_f32 = sat_gemm_f32_neon,
    .finish = sat_finish_neon,
    .add_norm = sat_add_norm_neon,
    .softmax = sat_softmax_neon,
    .transpose = sat_transpose_neon,
};
