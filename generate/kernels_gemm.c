/*
 * Encoder kernels: packing weights into strips of 32 outputs, and the product of many rows with them.
 * The product keeps one strip's part of the weights in the first cache and runs a chunk of rows over
 * it; partial sums stay in a small buffer, so cutting k changes no bit.
 */
#include <stdalign.h>
#include <string.h>

#include "base/alloc.h"
#include "base/vector.h"
#include "generate/kernels_isa.h"

enum {
    CHUNK_ROWS = 96,  /* a multiple of the int8 tiles' rows; 12 KiB of partial sums */
    CHUNK_K = 192,    /* inputs at a time for float weights: 24 KiB of a strip; a multiple of 32 */
    CHUNK_BLOCKS = 16 /* blocks at a time for Q8 weights: 20 KiB of a strip */
};

/* ------------------------------------------------------------------ packing */

static size_t input_bytes(sat_weight_type type) {
    /* bytes of one strip for one input, or for one block of 32 inputs */
    switch (type) {
    case SAT_WEIGHT_F32:
        return SAT_STRIP * sizeof(float);
    case SAT_WEIGHT_F16:
        return SAT_STRIP * sizeof(uint16_t);
    default:
        return sizeof(sat_q8_strip_block);
    }
}

static size_t input_count(sat_weight_type type, size_t k) {
    return type == SAT_WEIGHT_Q8 ? k / SAT_Q8_BLOCK : k;
}

size_t sat_weights_size(sat_weight_type type, size_t n, size_t k) {
    size_t strips = n / SAT_STRIP + (n % SAT_STRIP != 0), size;
    if (type == SAT_WEIGHT_Q8 && k % SAT_Q8_BLOCK)
        return 0;
    if (!sat_mul_size(strips, input_bytes(type), &size) ||
        !sat_mul_size(size, input_count(type, k), &size))
        return 0;
    return size;
}

void sat_weights_clear(void *packed, sat_weight_type type, size_t n, size_t k) {
    memset(packed, 0, sat_weights_size(type, n, k));
}

static void pack_q8(sat_q8_strip_block *strip, size_t column, const uint8_t *source,
                    size_t blocks) {
    for (size_t b = 0; b < blocks; b++, source += 34) { /* { half scale; int8 [32] } */
        uint16_t half;
        int32_t sum = 0;
        int8_t values[SAT_Q8_BLOCK];
        memcpy(&half, source, sizeof half);
        memcpy(values, source + 2, sizeof values);
        for (int i = 0; i < SAT_Q8_BLOCK; i++)
            sum += values[i];
        for (int i = 0; i < 8; i++)
            memcpy(strip[b].weights[i][column], values + 4 * i, 4);
        strip[b].offset[column] = -128 * sum;
        sat_vector_kernels_for(SATCHEL_CPU_C)->from_f16(&strip[b].scale[column], &half, 1);
    }
}

void sat_weights_pack(void *packed, sat_weight_type type, size_t n, size_t k, const void *source,
                      size_t first, size_t count) {
    size_t strip_bytes = sat_weights_size(type, SAT_STRIP, k);
    for (size_t i = 0; i < count; i++) {
        size_t column = (first + i) % SAT_STRIP;
        char *strip = (char *)packed + (first + i) / SAT_STRIP * strip_bytes;
        if (type == SAT_WEIGHT_F32) {
            const char *row = (const char *)source + i * k * sizeof(float);
            for (size_t j = 0; j < k; j++)
                memcpy((float *)strip + j * SAT_STRIP + column, row + j * sizeof(float),
                       sizeof(float));
        } else if (type == SAT_WEIGHT_F16) {
            const char *row = (const char *)source + i * k * sizeof(uint16_t);
            for (size_t j = 0; j < k; j++)
                memcpy((uint16_t *)strip + j * SAT_STRIP + column, row + j * sizeof(uint16_t),
                       sizeof(uint16_t));
        } else {
            size_t blocks = k / SAT_Q8_BLOCK;
            pack_q8((sat_q8_strip_block *)strip, column, (const uint8_t *)source + i * blocks * 34,
                    blocks);
        }
    }
}

double sat_weights_block_length(const sat_weights *weights, size_t block) {
    size_t blocks = weights->k / SAT_Q8_BLOCK;
    const sat_q8_strip_block *strip = weights->packed;
    double sum = 0;
    for (size_t s = 0; s < sat_weights_strips(weights); s++, strip += blocks)
        for (size_t n = 0; n < SAT_STRIP; n++) {
            int32_t squares = 0;
            for (size_t i = 0; i < 8; i++)
                for (size_t j = 0; j < 4; j++)
                    squares += strip[block].weights[i][n][j] * strip[block].weights[i][n][j];
            sum += (double)strip[block].scale[n] * (double)strip[block].scale[n] * squares;
        }
    return sum;
}

void sat_weights_copy_block(void *packed, size_t n, size_t k, size_t from, size_t to) {
    size_t blocks = k / SAT_Q8_BLOCK;
    sat_q8_strip_block *strip = packed;
    for (size_t s = 0; s < (n + SAT_STRIP - 1) / SAT_STRIP; s++, strip += blocks)
        strip[to] = strip[from];
}

/* ------------------------------------------------------------------ products */

/* acc (rows, 32) = x · strip, in parts of k that stay in the first cache. */
static void multiply(const sat_kernels *kernels, float *acc, const sat_weights *weights,
                     const char *strip, const sat_rows *x, const sat_q8_rows *q8, size_t row,
                     size_t rows) {
    alignas(64) float unpacked[CHUNK_K * SAT_STRIP];
    if (weights->type == SAT_WEIGHT_Q8) {
        size_t blocks = weights->k / SAT_Q8_BLOCK, count;
        for (size_t b = 0; b < blocks; b += count) {
            count = blocks - b < CHUNK_BLOCKS ? blocks - b : CHUNK_BLOCKS;
            kernels->gemm_q8(acc, SAT_STRIP, b > 0,
                             q8->values + row * q8->columns + b * SAT_Q8_BLOCK, q8->columns,
                             q8->scales + row * blocks + b, blocks,
                             strip + b * sizeof(sat_q8_strip_block), count, rows);
        }
        return;
    }
    size_t count;
    for (size_t k = 0; k < weights->k; k += count) {
        const float *part = (const float *)strip + k * SAT_STRIP;
        count = weights->k - k < CHUNK_K ? weights->k - k : CHUNK_K;
        if (weights->type == SAT_WEIGHT_F16) {
            sat_vector_kernels_for(kernels->level)
                ->from_f16(unpacked, (const uint16_t *)strip + k * SAT_STRIP, count * SAT_STRIP);
            part = unpacked;
        }
        kernels->gemm_f32(acc, SAT_STRIP, k > 0, x->data + row * x->stride + k, x->stride, part,
                          count, rows);
    }
}

void sat_gemm(const sat_kernels *kernels, const sat_output *out, const sat_weights *weights,
              const sat_rows *x, const sat_q8_rows *q8, size_t row, size_t row_end, size_t strip,
              size_t strip_end) {
    alignas(64) float acc[CHUNK_ROWS * SAT_STRIP];
    size_t strip_bytes = sat_weights_size(weights->type, SAT_STRIP, weights->k);
    for (size_t s = strip; s < strip_end; s++) {
        size_t column = s * SAT_STRIP, rows;
        size_t width = weights->n - column < SAT_STRIP ? weights->n - column : SAT_STRIP;
        float bias[SAT_STRIP] = {0};
        if (weights->bias)
            memcpy(bias, weights->bias + column, width * sizeof *bias);
        for (size_t r = row; r < row_end; r += rows) {
            rows = row_end - r < CHUNK_ROWS ? row_end - r : CHUNK_ROWS;
            multiply(kernels, acc, weights, (const char *)weights->packed + s * strip_bytes, x, q8,
                     r, rows);
            float *target = acc;
            size_t stride = SAT_STRIP;
            if (out->rows.data && width == SAT_STRIP) {
                target = out->rows.data + r * out->rows.stride + column;
                stride = out->rows.stride;
            }
            kernels->finish(target, stride, acc, SAT_STRIP, bias, out->activation, rows);
            if (out->rows.data && width < SAT_STRIP)
                for (size_t i = 0; i < rows; i++)
                    memcpy(out->rows.data + (r + i) * out->rows.stride + column,
                           acc + i * SAT_STRIP, width * sizeof *acc);
            if (out->q8.values) {
                size_t blocks = out->q8.columns / SAT_Q8_BLOCK;
                kernels->quantize(out->q8.values + r * out->q8.columns + column, out->q8.columns,
                                  out->q8.scales + r * blocks + s, blocks, target, stride, rows,
                                  SAT_STRIP);
            }
        }
    }
}
