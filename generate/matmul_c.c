/* Products with weights of all types in portable C: the reference of every other level. */
#include <string.h>

#include "generate/matmul_kernels.h"
#include "generate/reference.h"

/* ------------------------------------------------------------------ rows to int8 */

static int16_t sum_of(const int8_t *values, int count) {
    int sum = 0;
    for (int i = 0; i < count; i++)
        sum += values[i];
    return (int16_t)sum;
}

static void quantize_32_c(int8_t *values, float *scales, int16_t *sums, const float *x, size_t k) {
    for (; k > 0; k -= SAT_BLOCK) {
        quantize_values(values, scales++, x, SAT_BLOCK);
        *sums++ = sum_of(values, 16);
        *sums++ = sum_of(values + 16, 16);
        values += SAT_BLOCK;
        x += SAT_BLOCK;
    }
}

static void quantize_256_c(int8_t *values, float *scales, int16_t *sums, const float *x, size_t k) {
    for (; k > 0; k -= SAT_SUPER_BLOCK) {
        quantize_values(values, scales++, x, SAT_SUPER_BLOCK);
        for (int j = 0; j < 16; j++)
            *sums++ = sum_of(values + 16 * j, 16);
        for (int j = 0; j < 8; j++)
            *sums++ = sum_of(values + 32 * j, 32);
        values += SAT_SUPER_BLOCK;
        x += SAT_SUPER_BLOCK;
    }
}

/* ------------------------------------------------------------------ weights */

static void unpack_32_c(sat_strip_block *out, uint32_t type, const uint8_t *const rows[SAT_STRIP],
                        size_t first, size_t count, const uint8_t *ahead) {
    (void)ahead;
    for (size_t b = 0; b < count; b++)
        for (int c = 0; c < SAT_STRIP; c++) {
            sat_block block;
            sat_unpack_block(type, &block, rows[c], first + b);
            out[b].scale[c] = block.scale[0];
            out[b].more[c] = type == SAT_GGML_NVFP4 ? block.scale[1] : block.least;
            for (int i = 0; i < SAT_BLOCK / 4; i++)
                memcpy(out[b].code[i][c], block.code + 4 * i, 4);
        }
}

static void unpack_256_c(sat_strip_super *out, uint32_t type, const uint8_t *const rows[SAT_STRIP],
                         size_t first, size_t count, const uint8_t *ahead) {
    (void)ahead;
    int groups = SAT_SUPER_BLOCK / sat_quant_of(type)->group;
    for (size_t b = 0; b < count; b++)
        for (int c = 0; c < SAT_STRIP; c++) {
            sat_super_block block;
            sat_unpack_super_block(type, &block, rows[c], first + b);
            out[b].d[c] = block.d;
            out[b].least[c] = block.least;
            for (int j = 0; j < groups; j++) {
                out[b].scale[j][c] = block.scale[j];
                out[b].minimum[j / 2][c][j % 2] = block.minimum[j];
            }
            for (int i = 0; i < SAT_SUPER_BLOCK / 4; i++)
                memcpy(out[b].code[i][c], block.code + 4 * i, 4);
        }
}

/* ------------------------------------------------------------------ products */

/* Σ code · value over `steps` steps of 4 inputs, for all outputs. */
static void dot(int32_t sum[SAT_STRIP], const int8_t *values, const uint8_t code[][SAT_STRIP][4],
                int steps) {
    for (int c = 0; c < SAT_STRIP; c++)
        sum[c] = 0;
    for (int i = 0; i < steps; i++, values += 4)
        for (int c = 0; c < SAT_STRIP; c++)
            sum[c] += values[0] * code[i][c][0] + values[1] * code[i][c][1] +
                      values[2] * code[i][c][2] + values[3] * code[i][c][3];
}

static void multiply_32_c(float *acc, size_t acc_stride, bool add, const sat_operand_part *part,
                          const sat_strip_block *strip, const sat_quant *quant, size_t blocks,
                          size_t rows) {
    for (size_t r = 0; r < rows; r++) {
        const int8_t *values = part->values + r * part->values_stride;
        const float *scale = part->scales + r * part->scales_stride;
        const int16_t *sums = part->sums + r * part->sums_stride;
        float *out = acc + r * acc_stride;
        if (!add)
            memset(out, 0, SAT_STRIP * sizeof *out);
        for (size_t b = 0; b < blocks; b++, values += SAT_BLOCK, sums += SAT_SUMS_32) {
            int32_t sum[2][SAT_STRIP];
            const sat_strip_block *block = &strip[b];
            dot(sum[0], values, block->code, 4);
            dot(sum[1], values + 16, block->code + 4, 4);
            for (int c = 0; c < SAT_STRIP; c++) {
                int32_t low = sum[0][c] - quant->offset * sums[0];
                int32_t high = sum[1][c] - quant->offset * sums[1];
                float unit = block->scale[c] * scale[b], more = block->more[c] * scale[b];
                if (quant->group == 16) {
                    out[c] = fused((float)low, unit, out[c]);
                    out[c] = fused((float)high, more, out[c]);
                } else {
                    out[c] = fused((float)(low + high), unit, out[c]);
                    if (quant->least)
                        out[c] = fused((float)(sums[0] + sums[1]), more, out[c]);
                }
            }
        }
    }
}

static void multiply_256_c(float *acc, size_t acc_stride, bool add, const sat_operand_part *part,
                           const sat_strip_super *strip, const sat_quant *quant, size_t blocks,
                           size_t rows) {
    int groups = SAT_SUPER_BLOCK / quant->group;
    for (size_t r = 0; r < rows; r++) {
        const int8_t *values = part->values + r * part->values_stride;
        const float *scale = part->scales + r * part->scales_stride;
        const int16_t *sums = part->sums + r * part->sums_stride;
        float *out = acc + r * acc_stride;
        if (!add)
            memset(out, 0, SAT_STRIP * sizeof *out);
        for (size_t b = 0; b < blocks; b++, values += SAT_SUPER_BLOCK, sums += SAT_SUMS_256) {
            const sat_strip_super *block = &strip[b];
            const int16_t *of_groups = quant->group == 16 ? sums : sums + 16;
            int32_t whole[SAT_STRIP] = {0}, least[SAT_STRIP] = {0}, sum[SAT_STRIP];
            for (int j = 0; j < groups; j++) {
                dot(sum, values + j * quant->group, block->code + j * quant->group / 4,
                    quant->group / 4);
                for (int c = 0; c < SAT_STRIP; c++) {
                    whole[c] += block->scale[j][c] * sum[c];
                    least[c] += block->minimum[j / 2][c][j % 2] * of_groups[j];
                }
            }
            for (int c = 0; c < SAT_STRIP; c++) {
                float unit = block->d[c] * scale[b];
                if (quant->least) {
                    out[c] = fused((float)whole[c], unit, out[c]);
                    out[c] = fused((float)least[c], -(block->least[c] * scale[b]), out[c]);
                } else {
                    out[c] = fused((float)(whole[c] - least[c]), unit, out[c]);
                }
            }
        }
    }
}

/* ------------------------------------------------------------------ floats */

static void multiply_float_c(float *out, size_t out_stride, const float *x, size_t x_stride,
                             const uint8_t *w, size_t w_stride, uint32_t type, size_t count,
                             size_t k, size_t rows) {
    size_t bytes = type == SAT_GGML_F32 ? 4 : 2;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < count; c++) {
            float lane[16] = {0}, weight[16];
            for (size_t i = 0; i < k; i += 16) {
                size_t n = k - i < 16 ? k - i : 16;
                sat_dequantize(type, weight, w + c * w_stride + i * bytes, n);
                for (size_t j = 0; j < 16; j++)
                    lane[j] =
                        fused(j < n ? x[r * x_stride + i + j] : 0, j < n ? weight[j] : 0, lane[j]);
            }
            out[r * out_stride + c] = sum_lanes(lane);
        }
}

const sat_matmul_kernels sat_matmul_c = {
    .level = SATCHEL_CPU_C,
    .quantize_32 = quantize_32_c,
    .quantize_256 = quantize_256_c,
    .unpack_32 = unpack_32_c,
    .unpack_256 = unpack_256_c,
    .multiply_32 = multiply_32_c,
    .multiply_256 = multiply_256_c,
    .multiply_float = multiply_float_c,
};
