/*
 * Kernels of the text encoder: matrix products on packed weights, normalisation, attention. Rows are
 * tokens, all texts of a batch packed one after the other; columns are features.
 *
 * A level (SATCHEL_CPU_*) is a table of small kernels, C first; the sat_* functions below walk
 * matrices with them in blocks that fit the caches. Callers use the functions and split the work over
 * threads by ranges of rows, strips or heads; every range gives the same bits.
 *
 * Numeric contract, kept by every level for any row count, range and thread count, bit for bit:
 *   quantized rows   blocks of 32 columns: scale = amax·(1/127), value = round-to-even(x · (127/amax)),
 *                    |value| <= 127. amax below 1e-30 gives scale 0 and values 0; a block with a NaN
 *                    or an infinity gets scale NaN, so that it shows.
 *   gemm_q8          integer sums exact per block of 32; blocks added in ascending order into one
 *                    chain per output: acc = fma((float)sum, weight_scale·row_scale, acc).
 *   gemm_f32, _f16   one chain per output, ascending k: acc = fma(a, w, acc), from 0.
 *   sums over a row  16 lanes (lane i takes elements i, i+16, …), tree i+8, i+4, i+2, i+1.
 *   softmax          2^y to 1.2e-7 relative with y = scale·log2(e)·(x − max) in float; y below
 *                    −126 counts as −126.
 *   GELU             x·Φ(x), Φ to 1e-7 absolute.
 */
#ifndef SATCHEL_GENERATE_KERNELS_H
#define SATCHEL_GENERATE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

enum {
    SAT_STRIP = 32,    /* output features in a strip, the unit of packing and of ranges */
    SAT_Q8_BLOCK = 32, /* columns that share a scale */
    SAT_ACTIVATION_NONE = 0,
    SAT_ACTIVATION_GELU = 1 /* x/2 · (1 + erf(x/√2)) */
};

/* Rows to int8: a largest magnitude below this has no useful reciprocal and counts as 0. */
#define SAT_ROW_TINY 1e-30f

/* ------------------------------------------------------------------ data */

/* A matrix of float: row r starts at data + r * stride. */
typedef struct sat_rows {
    float *data;
    size_t stride; /* floats, at least the columns used */
} sat_rows;

/* The stride to give rows of so many columns: whole cache lines, and not a multiple of 4 KiB, which would
 * put the same column of all rows into one set of the cache. */
static inline size_t sat_rows_stride(size_t columns) {
    size_t stride = (columns + 15) / 16 * 16;
    return stride % 256 ? stride : stride + 16;
}

/* Rows quantized to int8 in blocks of 32 columns. Bytes are stored in the level's own form (see
 * q8_flip): only kernels of the same table can read them. Needs columns % 32 == 0. */
typedef struct sat_q8_rows {
    uint8_t *values; /* (rows, columns) */
    float *scales;   /* (rows, columns / 32) */
    size_t columns;
} sat_q8_rows;

typedef enum sat_weight_type { SAT_WEIGHT_F32, SAT_WEIGHT_F16, SAT_WEIGHT_Q8 } sat_weight_type;

/*
 * Weights (n outputs, k inputs), packed by strips of 32 outputs, the last one padded with zeros; one
 * layout for every level. A strip holds, as k ascends,
 *   F32: [k][32] float      F16: [k][32] IEEE half
 *   Q8:  [k/32] of { float scale[32]; int32_t offset[32] = −128·Σ weights; int8_t [8][32][4] }
 * so that a register of 16, 8 or 4 outputs by 4 inputs is one load, and unsigned·signed products
 * (VNNI, activations + 128) start from `offset`.
 */
typedef struct sat_weights {
    const void *packed; /* 64-byte aligned, sat_weights_size() bytes */
    const float *bias;  /* (n), or NULL */
    size_t n, k;
    sat_weight_type type;
} sat_weights;

/* LayerNorm's parameters, for rows of n. */
typedef struct sat_norm {
    const float *gamma, *beta; /* (n) */
    float epsilon;
} sat_norm;

/* ------------------------------------------------------------------ the table of a level */

typedef struct sat_kernels {
    int32_t level;   /* SATCHEL_CPU_* */
    uint8_t q8_flip; /* quantized bytes are stored XOR this: 0x80 makes int8 + 128 */

    /* (rows, columns) of floats to bytes and scales; columns % 32 == 0. */
    void (*quantize)(uint8_t *values, size_t values_stride, float *scales, size_t scales_stride,
                     const float *x, size_t x_stride, size_t rows, size_t columns);
    /* acc (rows, 32) = (add ? acc : 0) + a · strip over `blocks` blocks of 32 inputs. */
    void (*gemm_q8)(float *acc, size_t acc_stride, int add, const uint8_t *a, size_t a_stride,
                    const float *a_scales, size_t scales_stride, const void *strip, size_t blocks,
                    size_t rows);
    /* acc (rows, 32) = (add ? acc : 0) + a · strip over k inputs. */
    void (*gemm_f32)(float *acc, size_t acc_stride, int add, const float *a, size_t a_stride,
                     const float *strip, size_t k, size_t rows);
    /* out (rows, 32) = activation(acc + bias); out may be acc. bias: 32 floats. */
    void (*finish)(float *out, size_t out_stride, const float *acc, size_t acc_stride,
                   const float *bias, int activation, size_t rows);
    /* out (rows, n) = normalise(x + residual) · gamma + beta; residual may be NULL, out may be x or
     * residual. */
    void (*add_norm)(float *out, size_t out_stride, const float *x, size_t x_stride,
                     const float *residual, size_t residual_stride, const sat_norm *norm, size_t n,
                     size_t rows);
    /* x (n) → exp(scale · (x − max x)), returns the sum; scale > 0. Up to the next multiple of 32,
     * which must be addressable, x is set to 0. */
    float (*softmax)(float *x, float scale, size_t n);
    /* out[j * 32 + i] = in[i * stride + j] for i < count <= 32, j < k; 0 for i >= count. */
    void (*transpose)(float *out, const float *in, size_t stride, size_t count, size_t k);
} sat_kernels;

/* Never NULL: the best table not above `level`, SATCHEL_CPU_*; the machine must have that level. */
const sat_kernels *sat_kernels_for(int32_t level);

/* ------------------------------------------------------------------ weights */

/* Bytes of n x k packed weights; 0 if that overflows, or if type is Q8 and k % 32 != 0. */
size_t sat_weights_size(sat_weight_type type, size_t n, size_t k);
/* Packs rows [first, first + count) of a matrix that will have n rows in all; `source` holds those
 * rows as a GGUF tensor of the same type does: float, half, or Q8_0 blocks { half scale; int8 [32] }.
 * Ranges may come in any order (Q, K and V into one matrix); each row once. Rows never given must be
 * zeroed by the caller (sat_weights_clear). */
void sat_weights_pack(void *packed, sat_weight_type type, size_t n, size_t k, const void *source,
                      size_t first, size_t count);
/* Zeroes all; call before packing. */
void sat_weights_clear(void *packed, sat_weight_type type, size_t n, size_t k);
/* Q8 only. Σ weight² of one block of 32 inputs over all outputs. */
double sat_weights_block_length(const sat_weights *weights, size_t block);
/* Q8 only. Copies one block of 32 inputs over another, for all outputs. */
void sat_weights_copy_block(void *packed, size_t n, size_t k, size_t from, size_t to);
/* Strips of a weight matrix, (n + 31) / 32. */
static inline size_t sat_weights_strips(const sat_weights *weights) {
    return weights->n / SAT_STRIP + (weights->n % SAT_STRIP != 0);
}

/* ------------------------------------------------------------------ functions */

/* Where a product goes: floats, quantized rows (needs n % 32 == 0), or both. */
typedef struct sat_output {
    sat_rows rows;  /* data NULL: not wanted */
    sat_q8_rows q8; /* values NULL: not wanted; columns = n */
    int activation; /* SAT_ACTIVATION_* */
} sat_output;

/* Rows [row, row_end) of x to q8. */
void sat_quantize(const sat_kernels *kernels, const sat_q8_rows *q8, const sat_rows *x, size_t row,
                  size_t row_end);

/* out = activation(x · weightsᵀ + bias) for rows [row, row_end) and strips [strip, strip_end) of 32
 * output features. F32 and F16 weights read x, Q8 weights read q8 (the other may be NULL). No
 * allocation; under 48 KiB of stack. */
void sat_gemm(const sat_kernels *kernels, const sat_output *out, const sat_weights *weights,
              const sat_rows *x, const sat_q8_rows *q8, size_t row, size_t row_end, size_t strip,
              size_t strip_end);

/* out = LayerNorm(x + residual) for rows [row, row_end), n columns. residual may be NULL, out may be
 * x or residual; q8 NULL or also written (n % 32 == 0). */
void sat_add_norm(const sat_kernels *kernels, const sat_rows *out, const sat_q8_rows *q8,
                  const sat_rows *x, const sat_rows *residual, const sat_norm *norm, size_t n,
                  size_t row, size_t row_end);

/* Bidirectional attention of one head in one sequence: softmax(scale · Q Kᵀ) V. Pointers are at the
 * sequence's first token and the head's first column. */
typedef struct sat_attention {
    const float *q, *k, *v; /* (length, dim) */
    size_t stride;          /* floats between tokens of q, k and v */
    size_t length, dim;
    size_t reach; /* tokens that a token sees to either side; 0: all */
    float scale;
    sat_rows out;     /* (length, dim), at the head's first column; data NULL: not wanted */
    sat_q8_rows q8;   /* whole rows: token 0 of the sequence, column 0; values NULL: not wanted */
    size_t q8_column; /* the head's first column in q8; it and dim must be multiples of 32 */
} sat_attention;

/* Bytes of scratch for sequences up to `length`, 64-byte aligned; 0 on overflow. */
size_t sat_attention_scratch(size_t length, size_t dim);
void sat_attend(const sat_kernels *kernels, const sat_attention *attention, void *scratch);

#endif
