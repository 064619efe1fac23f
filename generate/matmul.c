/*
 * Products with weights of all types: rows to int8, and the walk. A strip of 32 outputs is unpacked
 * a part of k at a time, which stays in the first cache while all rows run over it; partial sums
 * wait in the output.
 */
#include "generate/matmul.h"

#include <stdalign.h>
#include <string.h>

#include "generate/matmul_kernels.h"

enum {
    PART_BLOCKS = 16,           /* of 32 inputs: 20 KiB unpacked */
    PART_SUPER = 2,             /* of 256 inputs: 23 KiB unpacked */
    NARROW_ROWS = 64,           /* rows at a time of a strip that has less than 32 outputs */
    MOST_PREFETCHED = 64 << 10, /* of a range's first strip */
    FLOAT_ROWS = 6              /* rows at a time for float weights: they stay in the first cache */
};

const sat_matmul_kernels *sat_matmul_kernels_for(int32_t level) {
    switch (level) {
#if defined(__x86_64__)
    case SATCHEL_CPU_AVX2:
        return &sat_matmul_avx2;
    case SATCHEL_CPU_AVXVNNI:
        return &sat_matmul_avxvnni;
    case SATCHEL_CPU_AVX512:
        return &sat_matmul_avx512;
#elif defined(__aarch64__)
    case SATCHEL_CPU_NEON:
        return &sat_matmul_neon;
    case SATCHEL_CPU_DOTPROD:
    case SATCHEL_CPU_I8MM:
        return &sat_matmul_dotprod;
#endif
    default:
        return &sat_matmul_c;
    }
}

/* ------------------------------------------------------------------ matrices */

bool sat_matrix_of(sat_matrix *matrix, const sat_tensor *tensor) {
    const sat_tensor_type *type = sat_tensor_type_of(tensor->type);
    uint64_t n = tensor->shape[1] * tensor->shape[2] * tensor->shape[3];
    *matrix = (sat_matrix){0};
    /* The product of all four is known to fit int64; on 32 bits a mapped tensor's bytes fit
     * size_t. */
    if (!type || !sat_quant_known(tensor->type) || !tensor->data || tensor->shape[0] > SIZE_MAX ||
        n > SIZE_MAX)
        return false;
    matrix->data = tensor->data;
    matrix->k = (size_t)tensor->shape[0];
    matrix->n = (size_t)n;
    matrix->row_bytes = matrix->k / type->block * type->bytes;
    matrix->type = tensor->type;
    return true;
}

void sat_matrix_row(const sat_matrix *matrix, size_t row, float *out) {
    sat_dequantize(matrix->type, out, (const uint8_t *)matrix->data + row * matrix->row_bytes,
                   matrix->k);
}

sat_form sat_matrix_form(const sat_matrix *matrix) {
    const sat_quant *quant = sat_quant_of(matrix->type);
    if (!quant || !quant->block)
        return SAT_FORM_FLOAT;
    return quant->block == SAT_BLOCK ? SAT_FORM_32 : SAT_FORM_256;
}

/* ------------------------------------------------------------------ operands */

typedef struct form_sizes {
    size_t block, sums; /* columns of a block, sums of one */
} form_sizes;

static const form_sizes forms[SAT_FORMS] = {
    [SAT_FORM_FLOAT] = {1, 0},
    [SAT_FORM_32] = {SAT_BLOCK, SAT_SUMS_32},
    [SAT_FORM_256] = {SAT_SUPER_BLOCK, SAT_SUMS_256},
};

static size_t rounded(size_t bytes) { /* up to whole cache lines */
    return bytes > SIZE_MAX - 63 ? SIZE_MAX : (bytes + 63) / 64 * 64;
}

size_t sat_operand_size(sat_form form, size_t rows, size_t k) {
    size_t values, scales, sums, blocks, size;
    if (form == SAT_FORM_FLOAT)
        return 0;
    if (!sat_mul_size(rows, k, &values) || !sat_mul_size(rows, k / forms[form].block, &blocks) ||
        !sat_mul_size(blocks, sizeof(float), &scales) ||
        !sat_mul_size(blocks, forms[form].sums * sizeof(int16_t), &sums) ||
        !sat_add_size(rounded(values), rounded(scales), &size) ||
        !sat_add_size(size, rounded(sums), &size))
        return SIZE_MAX;
    return size;
}

void sat_operand_init(sat_operand *operand, sat_form form, size_t rows, size_t k, void *memory) {
    *operand = (sat_operand){.form = form, .k = k};
    if (form == SAT_FORM_FLOAT)
        return;
    char *at = memory;
    operand->values = (int8_t *)at;
    at += rounded(rows * k);
    operand->scales = (float *)at;
    at += rounded(rows * (k / forms[form].block) * sizeof(float));
    operand->sums = (int16_t *)at;
}

sat_operand sat_operand_from(const sat_operand *operand, size_t row) {
    sat_operand from = *operand;
    size_t blocks = from.k / forms[from.form].block;
    if (from.x.data)
        from.x.data += row * from.x.stride;
    if (!from.values)
        return from;
    from.values += row * from.k;
    from.scales += row * blocks;
    from.sums += row * blocks * forms[from.form].sums;
    return from;
}

void sat_operand_quantize(const sat_matmul_kernels *kernels, sat_operand *operand,
                          const sat_rows *x, size_t row, size_t row_end) {
    if (!operand->values) /* floats are read where they are */
        return;
    size_t k = operand->k, blocks = k / forms[operand->form].block;
    for (size_t r = row; r < row_end; r++) {
        int8_t *values = operand->values + r * k;
        float *scales = operand->scales + r * blocks;
        int16_t *sums = operand->sums + r * blocks * forms[operand->form].sums;
        if (operand->form == SAT_FORM_32)
            kernels->quantize_32(values, scales, sums, x->data + r * x->stride, k);
        else if (operand->form == SAT_FORM_256)
            kernels->quantize_256(values, scales, sums, x->data + r * x->stride, k);
    }
}

/* ------------------------------------------------------------------ products */

/* Rows of an operand that a strip's part is multiplied with, and where the result goes. */
typedef struct strip_run {
    const sat_operand *operand;
    float *acc; /* at the first row */
    size_t acc_stride, row, rows;
} strip_run;

static sat_operand_part part_of(const strip_run *run, size_t block) {
    const sat_operand *operand = run->operand;
    const form_sizes *form = &forms[operand->form];
    size_t blocks = operand->k / form->block;
    return (sat_operand_part){
        .values = operand->values + run->row * operand->k + block * form->block,
        .scales = operand->scales + run->row * blocks + block,
        .sums = operand->sums + (run->row * blocks + block) * form->sums,
        .values_stride = operand->k,
        .scales_stride = blocks,
        .sums_stride = blocks * form->sums,
    };
}

static void run_32(const sat_matmul_kernels *kernels, const sat_matrix *matrix,
                   const uint8_t *const rows[SAT_STRIP], const uint8_t *ahead,
                   const strip_run *run) {
    alignas(64) sat_strip_block strip[PART_BLOCKS];
    const sat_quant *quant = sat_quant_of(matrix->type);
    size_t blocks = matrix->k / SAT_BLOCK, count;
    for (size_t b = 0; b < blocks; b += count) {
        count = blocks - b < PART_BLOCKS ? blocks - b : PART_BLOCKS;
        sat_operand_part part = part_of(run, b);
        kernels->unpack_32(strip, matrix->type, rows, b, count,
                           ahead + matrix->row_bytes * SAT_STRIP / blocks * b);
        kernels->multiply_32(run->acc, run->acc_stride, b > 0, &part, strip, quant, count,
                             run->rows);
    }
}

static void run_256(const sat_matmul_kernels *kernels, const sat_matrix *matrix,
                    const uint8_t *const rows[SAT_STRIP], const uint8_t *ahead,
                    const strip_run *run) {
    alignas(64) sat_strip_super strip[PART_SUPER];
    const sat_quant *quant = sat_quant_of(matrix->type);
    size_t blocks = matrix->k / SAT_SUPER_BLOCK, count;
    for (size_t b = 0; b < blocks; b += count) {
        count = blocks - b < PART_SUPER ? blocks - b : PART_SUPER;
        sat_operand_part part = part_of(run, b);
        kernels->unpack_256(strip, matrix->type, rows, b, count,
                            ahead + matrix->row_bytes * SAT_STRIP / blocks * b);
        kernels->multiply_256(run->acc, run->acc_stride, b > 0, &part, strip, quant, count,
                              run->rows);
    }
}

static void add_bias(const strip_run *run, const float *bias, size_t width) {
    for (size_t r = 0; r < run->rows; r++)
        for (size_t c = 0; c < width; c++)
            run->acc[r * run->acc_stride + c] += bias[c];
}

/* The start of a range: nothing has been asked for yet. */
static void prefetch_strip(const sat_matrix *matrix, size_t first) {
    const char *data = (const char *)matrix->data + first * matrix->row_bytes;
    size_t rows = matrix->n - first < SAT_STRIP ? matrix->n - first : SAT_STRIP;
    size_t bytes = rows * matrix->row_bytes;
    bytes = bytes < MOST_PREFETCHED ? bytes : MOST_PREFETCHED;
    for (size_t i = 0; i < bytes; i += 64)
        __builtin_prefetch(data + i, 0, 2);
}

/* Outputs [first, first + width) of rows of an int8 operand. */
static void strip_of_integers(const sat_matmul_kernels *kernels, const sat_matrix *matrix,
                              size_t first, size_t width, const strip_run *run) {
    const uint8_t *rows[SAT_STRIP];
    for (size_t i = 0; i < SAT_STRIP; i++) /* the last repeats where there are less */
        rows[i] = (const uint8_t *)matrix->data +
                  (first + (i < width ? i : width - 1)) * matrix->row_bytes;
    /* The next strip, or what is in the cache already. */
    const uint8_t *ahead =
        rows[0] + (matrix->n - first >= 2 * SAT_STRIP ? SAT_STRIP : 0) * matrix->row_bytes;
    if (run->rows <= SAT_FEW && kernels->multiply_few) {
        sat_operand_part part = part_of(run, 0);
        size_t blocks = matrix->k / forms[run->operand->form].block;
        if (kernels->multiply_few(run->acc, run->acc_stride, &part, matrix->type, rows, blocks,
                                  run->rows, ahead))
            return;
    }
    if (run->operand->form == SAT_FORM_32)
        run_32(kernels, matrix, rows, ahead, run);
    else
        run_256(kernels, matrix, rows, ahead, run);
}

static void strip_of_floats(const sat_matmul_kernels *kernels, const sat_matrix *matrix,
                            size_t first, size_t width, const strip_run *run) {
    const sat_rows *x = &run->operand->x;
    size_t rows, count;
    for (size_t r = 0; r < run->rows; r += rows) {
        rows = run->rows - r < FLOAT_ROWS ? run->rows - r : FLOAT_ROWS;
        for (size_t c = 0; c < width; c += count) {
            count = width - c < SAT_FLOAT_ROWS ? width - c : SAT_FLOAT_ROWS;
            kernels->multiply_float(run->acc + r * run->acc_stride + c, run->acc_stride,
                                    x->data + (run->row + r) * x->stride, x->stride,
                                    (const uint8_t *)matrix->data + (first + c) * matrix->row_bytes,
                                    matrix->row_bytes, matrix->type, count, matrix->k, rows);
        }
    }
}

/* A last strip has less than 32 outputs: they are made aside. */
static void narrow_strip(const sat_matmul_kernels *kernels, const sat_rows *out,
                         const sat_matrix *matrix, const sat_operand *operand, size_t row,
                         size_t row_end, size_t first, size_t width) {
    alignas(64) float acc[NARROW_ROWS * SAT_STRIP];
    size_t rows;
    for (size_t r = row; r < row_end; r += rows) {
        rows = row_end - r < NARROW_ROWS ? row_end - r : NARROW_ROWS;
        strip_run run = {operand, acc, SAT_STRIP, r, rows};
        strip_of_integers(kernels, matrix, first, width, &run);
        for (size_t i = 0; i < rows; i++)
            memcpy(out->data + (r + i) * out->stride + first, acc + i * SAT_STRIP,
                   width * sizeof *acc);
    }
}

void sat_matmul(const sat_matmul_kernels *kernels, const sat_rows *out, const sat_matrix *matrix,
                const sat_operand *operand, size_t row, size_t row_end, size_t strip,
                size_t strip_end) {
    if (strip < strip_end)
        prefetch_strip(matrix, strip * SAT_STRIP);
    for (size_t s = strip; s < strip_end; s++) {
        size_t first = s * SAT_STRIP;
        size_t width = matrix->n - first < SAT_STRIP ? matrix->n - first : SAT_STRIP;
        strip_run run = {operand, out->data + row * out->stride + first, out->stride, row,
                         row_end - row};
        if (operand->form == SAT_FORM_FLOAT)
            strip_of_floats(kernels, matrix, first, width, &run);
        else if (width == SAT_STRIP)
            strip_of_integers(kernels, matrix, first, width, &run);
        else
            narrow_strip(kernels, out, matrix, operand, row, row_end, first, width);
        if (matrix->bias)
            add_bias(&run, matrix->bias + first, width);
    }
}

/* ------------------------------------------------------------------ over the pool */

typedef struct run_job {
    const sat_matmul_kernels *kernels;
    const sat_product *products;
    size_t count, rows;
} run_job;

/* Items are the strips of all products, one after the other. */
static void run_items(void *user, int thread, size_t begin, size_t end) {
    (void)thread;
    const run_job *job = user;
    for (size_t i = 0; i < job->count && end > 0; i++) {
        const sat_product *product = &job->products[i];
        size_t strips = sat_matrix_strips(product->matrix);
        size_t last = end < strips ? end : strips;
        if (begin < last)
            sat_matmul(job->kernels, &product->out, product->matrix, product->operand, 0, job->rows,
                       begin, last);
        begin = begin > strips ? begin - strips : 0;
        end -= last;
    }
}

void sat_matmul_run(const sat_matmul_kernels *kernels, sat_pool *pool, int priority,
                    int max_threads, const sat_product *products, size_t count, size_t rows) {
    run_job job = {kernels, products, count, rows};
    size_t strips = 0;
    for (size_t i = 0; i < count; i++)
        strips += sat_matrix_strips(products[i].matrix);
    int threads = sat_pool_threads(pool);
    if (max_threads > 0 && max_threads < threads)
        threads = max_threads;
    /* Some pieces a thread, so that one that is slow or interrupted is waited for only briefly. */
    size_t grain = strips / ((size_t)threads * 8);
    sat_pool_run(pool, priority, max_threads, strips, grain > 0 ? grain : 1, run_items, &job);
}
