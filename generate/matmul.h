/*
 * Products with weights as a GGUF file holds them, of any type: out (rows, n) = x (rows, k) · Wᵀ.
 * Weights stay where they are mapped; a strip of 32 outputs is unpacked a few hundred inputs at a
 * time into the first cache, and all rows run over it, so weights are read once, whether one row is
 * multiplied or many.
 *
 *   matmul.h            what callers use
 *   matmul_kernels.h    the table of a level, the unpacked form
 *   matmul.c            the walk over strips; rows to int8
 *   matmul_c.c          the reference; matmul_<isa>.c the levels
 *   matmul_unpack.h     weights of all types to the unpacked form, with the widest vectors,
 *   matmul_tiles.h      many rows by what was unpacked,
 *   matmul_few.h        and few rows by the most common types as they are unpacked: for any level
 *
 * Numeric contract, for every type, the same bits for any number of rows, range, thread, and level:
 *   F32, F16, BF16   16 lanes: lane i is one chain acc = fma(x, w, acc) over k = i, i + 16, …
 *                    (past the end of k: zeros), from 0; then the tree i+8, i+4, i+2, i+1.
 *   blocks of 32     rows are quantized in blocks of 32 columns: scale = amax·(1/127), value =
 *                    round-to-even(x·(127/amax)). Integer sums of a block are exact. One chain per
 *                    output, blocks ascending: acc = fma((float)sum, weight_scale·row_scale, acc),
 *                    then, if the type has a least weight, acc = fma((float)Σ values,
 *                    weight_least·row_scale, acc). NVFP4: a sum and a step for each 16.
 *   blocks of 256    rows are quantized in blocks of 256 alike. A = Σ scale·(Σ code·value) and
 *                    B = Σ minimum·(Σ value) are exact in int32. acc = fma((float)(A − B),
 *                    d·row_scale, acc), or for types with a least weight acc = fma((float)A,
 *                    d·row_scale, acc), then acc = fma((float)B, −(least·row_scale), acc).
 * A block of a row whose amax is below 1e-30 counts as 0; one with a NaN or an infinity makes NaN.
 * The bias is added last.
 */
#ifndef SATCHEL_GENERATE_MATMUL_H
#define SATCHEL_GENERATE_MATMUL_H

#include "generate/generate.h"
#include "generate/kernels.h"

/* A weight matrix (n outputs, k inputs) in a file: row r starts at data + r · row_bytes. Needs no
 * alignment. */
typedef struct sat_matrix {
    const void *data;
    size_t n, k, row_bytes;
    uint32_t type;     /* SAT_GGML_* */
    const float *bias; /* (n), or NULL */
} sat_matrix;

/* False if the tensor's type cannot be multiplied. Rank 1 is (1, k), rank 3 and 4 are taken as
 * their rows. */
bool sat_matrix_of(sat_matrix *matrix, const sat_tensor *tensor);
/* Row r as floats, (k): an embedding. */
void sat_matrix_row(const sat_matrix *matrix, size_t row, float *out);

/* How rows are held for a type: as they are, or quantized in blocks of 32 or of 256. */
typedef enum sat_form { SAT_FORM_FLOAT, SAT_FORM_32, SAT_FORM_256, SAT_FORMS } sat_form;

sat_form sat_matrix_form(const sat_matrix *matrix);

/* The kernels of a level, SATCHEL_CPU_*: never NULL. */
typedef struct sat_matmul_kernels sat_matmul_kernels;
const sat_matmul_kernels *sat_matmul_kernels_for(int32_t level);

/* Rows to multiply, in one form. Products of several matrices may share it. */
typedef struct sat_operand {
    sat_form form;
    size_t k;
    sat_rows x;     /* SAT_FORM_FLOAT: (rows, k), the caller's */
    int8_t *values; /* (rows, k) */
    float *scales;  /* (rows, k / 32 or k / 256) */
    /* Σ values. Of 32: (rows, k / 32, 2), of 16 each; of 256: (rows, k / 256, 24), of 16 each, then
     * of 32 each. */
    int16_t *sums;
} sat_operand;

/* Bytes that `rows` rows of k need in this form, 0 for floats; SIZE_MAX on overflow. */
size_t sat_operand_size(sat_form form, size_t rows, size_t k);
/* Lays an operand out in `memory`, sat_operand_size() bytes, 64-byte aligned. For floats that is
 * all: operand->x = the rows. k % 32 == 0, or k % 256 == 0, as the form says. */
void sat_operand_init(sat_operand *operand, sat_form form, size_t rows, size_t k, void *memory);
/* Fills rows [row, row_end) from x (not for floats). */
void sat_operand_quantize(const sat_matmul_kernels *kernels, sat_operand *operand,
                          const sat_rows *x, size_t row, size_t row_end);

/* The operand from a row on, of which that is row 0. */
sat_operand sat_operand_from(const sat_operand *operand, size_t row);

/* The unit of ranges: strips of 32 outputs. */
static inline size_t sat_matrix_strips(const sat_matrix *matrix) {
    return matrix->n / SAT_STRIP + (matrix->n % SAT_STRIP != 0);
}

/* out (rows, n) = operand · matrixᵀ + bias for rows [row, row_end) and strips [strip, strip_end).
 * The operand's form is the matrix's. No allocation; under 80 KiB of stack. */
void sat_matmul(const sat_matmul_kernels *kernels, const sat_rows *out, const sat_matrix *matrix,
                const sat_operand *operand, size_t row, size_t row_end, size_t strip,
                size_t strip_end);

/* One product of several that run in one region of the pool. */
typedef struct sat_product {
    const sat_matrix *matrix;
    const sat_operand *operand;
    sat_rows out;
} sat_product;

/* All of `count` products of `rows` rows, cut into pieces of about equal work over the pool's
 * threads (max_threads 0: all). */
void sat_matmul_run(const sat_matmul_kernels *kernels, sat_pool *pool, int priority,
                    int max_threads, const sat_product *products, size_t count, size_t rows);

#endif
