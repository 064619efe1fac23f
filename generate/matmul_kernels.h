/*
 * Kernels of products with weights of all types, one table per instruction-set level: rows to int8,
 * weights unpacked, and the products of tiles. matmul.h has the numeric contract.
 *
 * The unpacked form of a strip of 32 outputs, one for all types of a kind, in which a register
 * holds 4 inputs of 16, 8 or 4 outputs. Codes are unsigned and rows signed, as the dot product
 * instructions of x86 want them; the offset that codes carry is taken out by the sums of the rows'
 * values.
 */
#ifndef SATCHEL_GENERATE_MATMUL_KERNELS_H
#define SATCHEL_GENERATE_MATMUL_KERNELS_H

#include "generate/matmul.h"
#include "generate/quants.h"

/* 32 inputs of a strip. 64-byte aligned. */
typedef struct sat_strip_block {
    float scale[SAT_STRIP];
    float more[SAT_STRIP]; /* the least weight; NVFP4: scale of inputs 16 to 31 */
    uint8_t code[SAT_BLOCK / 4][SAT_STRIP][4];
} sat_strip_block;

/* 256 inputs of a strip. 64-byte aligned. With groups of 32 only the first half of scale and
 * minimum is set. */
typedef struct sat_strip_super {
    float d[SAT_STRIP];
    float least[SAT_STRIP];           /* unless it is d */
    int32_t scale[16][SAT_STRIP];     /* of each group of 16 or 32 inputs */
    int16_t minimum[8][SAT_STRIP][2]; /* of two groups */
    uint8_t code[SAT_SUPER_BLOCK / 4][SAT_STRIP][4];
} sat_strip_super;

enum {
    SAT_SUMS_32 = 2,    /* sums of a row for a block of 32, */
    SAT_SUMS_256 = 24,  /* and of 256 */
    SAT_FLOAT_ROWS = 4, /* outputs of the float kernel at a time */
    SAT_FEW = 4         /* rows with which weights are multiplied as they are unpacked */
};

/* Rows of an operand, from a row and a block on. */
typedef struct sat_operand_part {
    const int8_t *values;
    const float *scales;
    const int16_t *sums;
    size_t values_stride, scales_stride, sums_stride; /* between rows */
} sat_operand_part;

struct sat_matmul_kernels {
    int32_t level; /* SATCHEL_CPU_* */

    /* One row of k floats to values, scales and sums of blocks of 32, of 256. */
    void (*quantize_32)(int8_t *values, float *scales, int16_t *sums, const float *x, size_t k);
    void (*quantize_256)(int8_t *values, float *scales, int16_t *sums, const float *x, size_t k);
    /* Blocks [first, first + count) of 32 rows of weights, which may repeat, to out[0 … count). As
     * many bytes from `ahead` on, which need not be readable, are prefetched: what comes after the
     * 32 rows. */
    void (*unpack_32)(sat_strip_block *out, uint32_t type, const uint8_t *const rows[SAT_STRIP],
                      size_t first, size_t count, const uint8_t *ahead);
    void (*unpack_256)(sat_strip_super *out, uint32_t type, const uint8_t *const rows[SAT_STRIP],
                       size_t first, size_t count, const uint8_t *ahead);
    /* acc (rows, 32) = (add ? acc : 0) + part · strip over `blocks` blocks. */
    void (*multiply_32)(float *acc, size_t acc_stride, bool add, const sat_operand_part *part,
                        const sat_strip_block *strip, const sat_quant *quant, size_t blocks,
                        size_t rows);
    void (*multiply_256)(float *acc, size_t acc_stride, bool add, const sat_operand_part *part,
                         const sat_strip_super *strip, const sat_quant *quant, size_t blocks,
                         size_t rows);
    /* acc (rows, 32) = part · the 32 rows of weights, all `blocks` of them, for 1 to SAT_FEW rows and
     * the types of most files; false for others. NULL: there is nothing better than unpacking. `ahead`
     * as above. */
    bool (*multiply_few)(float *acc, size_t acc_stride, const sat_operand_part *part, uint32_t type,
                         const uint8_t *const rows[SAT_STRIP], size_t blocks, size_t count,
                         const uint8_t *ahead);
    /* out (rows, count) = x · weights of float type: rows of k weights at w + i · w_stride bytes,
     * count at most SAT_FLOAT_ROWS. */
    void (*multiply_float)(float *out, size_t out_stride, const float *x, size_t x_stride,
                           const uint8_t *w, size_t w_stride, uint32_t type, size_t count, size_t k,
                           size_t rows);
};

extern const sat_matmul_kernels sat_matmul_c;
extern const sat_matmul_kernels sat_matmul_avx2, sat_matmul_avxvnni, sat_matmul_avx512;
extern const sat_matmul_kernels sat_matmul_neon, sat_matmul_dotprod;

#endif
