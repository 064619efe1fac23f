/* Checks of products with weights of all types: rows to int8, unpacking, and sat_matmul at any
 * size, cut into any ranges, against the C reference bit for bit, and against double. */
#include <math.h>

#include "base/cpu.h"
#include "generate/matmul_kernels.h"
#include "tests/kernels/check.h"

static const uint32_t types[] = {SAT_GGML_F32,   SAT_GGML_F16,    SAT_GGML_BF16,   SAT_GGML_Q8_0,
                                 SAT_GGML_Q4_0,  SAT_GGML_Q4_1,   SAT_GGML_Q5_0,   SAT_GGML_Q5_1,
                                 SAT_GGML_Q2_K,  SAT_GGML_Q3_K,   SAT_GGML_Q4_K,   SAT_GGML_Q5_K,
                                 SAT_GGML_Q6_K,  SAT_GGML_IQ4_NL, SAT_GGML_IQ4_XS, SAT_GGML_MXFP4,
                                 SAT_GGML_NVFP4, SAT_GGML_TQ2_0};

/* ------------------------------------------------------------------ data */

static void put_half(uint8_t *at, double x) { /* toward zero; |x| in 2^-14 to 1 */
    int exponent;
    double fraction = frexp(fabs(x), &exponent);
    uint32_t half =
        (uint32_t)((x < 0 ? 0x8000 : 0) | (exponent + 14) << 10 | ((int)(fraction * 2048) & 1023));
    at[0] = (uint8_t)half;
    at[1] = (uint8_t)(half >> 8);
}

/* Where the halves of a block are that scale it; −1: none. */
static const int8_t *halves_of(uint32_t type, int8_t at[2]) {
    at[0] = at[1] = -1;
    switch (type) {
    case SAT_GGML_Q4_1:
    case SAT_GGML_Q5_1:
    case SAT_GGML_Q4_K:
    case SAT_GGML_Q5_K:
        at[1] = 2; /* fall through */
    case SAT_GGML_F16:
    case SAT_GGML_Q8_0:
    case SAT_GGML_Q4_0:
    case SAT_GGML_Q5_0:
    case SAT_GGML_IQ4_NL:
    case SAT_GGML_IQ4_XS:
        at[0] = 0;
        break;
    case SAT_GGML_Q2_K:
        at[0] = 80;
        at[1] = 82;
        break;
    case SAT_GGML_Q3_K:
        at[0] = 108;
        break;
    case SAT_GGML_TQ2_0:
        at[0] = 64;
        break;
    default:
        break;
    }
    return at;
}

/* One block of random codes. `wild`: of random bits altogether. */
static void make_block(uint8_t *block, uint32_t type, size_t bytes, bool wild) {
    int8_t halves[2];
    check_bytes(block, bytes);
    if (wild)
        return;
    for (int i = 0; i < 2; i++)
        if (halves_of(type, halves)[i] >= 0)
            put_half(block + halves[i], check_uniform(0.001, 0.01) * (check_below(2) ? 1 : -1));
    float x = (float)check_uniform(-1, 1);
    if (type == SAT_GGML_F32)
        memcpy(block, &x, 4);
    else if (type == SAT_GGML_BF16)
        memcpy(block, (const uint8_t *)&x + 2, 2);
    else if (type == SAT_GGML_Q6_K)
        put_half(block + 208, check_uniform(0.001, 0.01));
    else if (type == SAT_GGML_MXFP4)
        block[0] = (uint8_t)(115 + check_below(20));
    else if (type == SAT_GGML_NVFP4)
        for (int i = 0; i < 4; i++)
            block[i] &= 0x7e;
}

typedef struct product {
    sat_matrix matrix;
    sat_rows x;
    size_t m;
} product;

static product make_product(uint32_t type, size_t m, size_t n, size_t k, bool wild) {
    const sat_tensor_type *known = sat_tensor_type_of(type);
    product p = {.m = m, .x = {.stride = k + check_below(3) * 4}};
    size_t row_bytes = k / known->block * known->bytes, at = check_below(2); /* unaligned */
    uint8_t *data = (uint8_t *)check_buffer(n * row_bytes + at, 0) + at;
    memset(data - at, 0, at);
    for (size_t b = 0; b < n * (k / known->block); b++)
        make_block(data + b * known->bytes, type, known->bytes, wild);
    p.matrix = (sat_matrix){data, n, k, row_bytes, type, NULL};
    if (check_below(2)) {
        float *bias = check_buffer(n * sizeof *bias, 0);
        check_fill(bias, n, STYLE_NORMAL);
        p.matrix.bias = bias;
    }
    size_t floats = m ? (m - 1) * p.x.stride + k : 0;
    p.x.data = check_buffer(floats * sizeof(float), 0);
    check_fill(p.x.data, floats, STYLE_NORMAL);
    if (wild && floats)
        for (size_t i = 0; i < floats / 64; i++)
            check_fill(p.x.data + check_below(floats), 1, (check_style)check_below(STYLE_COUNT));
    return p;
}

static sat_operand make_operand(const sat_matmul_kernels *kernels, const product *p) {
    sat_operand operand;
    sat_form form = sat_matrix_form(&p->matrix);
    size_t size = sat_operand_size(form, p->m, p->matrix.k);
    sat_operand_init(&operand, form, p->m, p->matrix.k, check_buffer(size, 0));
    size_t cut = check_below(p->m + 1);
    sat_operand_quantize(kernels, &operand, &p->x, cut, p->m);
    sat_operand_quantize(kernels, &operand, &p->x, 0, cut);
    operand.x = p->x;
    return operand;
}

/* ------------------------------------------------------------------ rows to int8 */

static void quantize_rows(int32_t level, sat_form form, size_t unit, size_t sums) {
    const sat_matmul_kernels *kernels = sat_matmul_kernels_for(level), *c = &sat_matmul_c;
    for (int round = 0; round < 60; round++) {
        size_t blocks = 1 + check_below(5), k = blocks * unit;
        float *x = check_buffer(k * sizeof *x, 0);
        int8_t *values = check_buffer(k, 0), *want = check_buffer(k, 0);
        float *scales = check_output(blocks * 4), *want_scales = check_output(blocks * 4);
        int16_t *got_sums = check_buffer(blocks * sums * 2, 0);
        int16_t *want_sums = check_buffer(blocks * sums * 2, 0);
        check_fill(x, k, (check_style)(round % STYLE_COUNT));
        if (round % 5 == 4)
            x[check_below(k)] = round % 2 ? INFINITY : NAN;
        if (form == SAT_FORM_32) {
            kernels->quantize_32(values, scales, got_sums, x, k);
            c->quantize_32(want, want_scales, want_sums, x, k);
        } else {
            kernels->quantize_256(values, scales, got_sums, x, k);
            c->quantize_256(want, want_scales, want_sums, x, k);
        }
        size_t where;
        EXPECT(memcmp(values, want, k) == 0, "values of %zu columns, style %d", k,
               round % STYLE_COUNT);
        EXPECT(check_same_floats(scales, want_scales, blocks, &where), "scale %zu: %a, C gives %a",
               where, scales[where], want_scales[where]);
        EXPECT(memcmp(got_sums, want_sums, blocks * sums * 2) == 0, "sums of %zu columns", k);
        /* And as promised: within half a step, sums of what is there. */
        for (size_t i = 0; i < k; i++) {
            double step = scales[i / unit], error = fabs(values[i] * step - (double)x[i]);
            EXPECT(isnan(scales[i / unit]) || error <= 0.5001 * step + 1e-30 + 1e-6 * fabs(x[i]),
                   "value %zu: %g became %d · %g", i, x[i], values[i], step);
        }
        for (size_t b = 0; b < blocks; b++)
            for (size_t j = 0; j < sums; j++) {
                size_t width = j < unit / 16 ? 16 : 32, first = j < unit / 16 ? j : j - unit / 16;
                int sum = 0;
                for (size_t i = 0; i < width; i++)
                    sum += values[b * unit + first * width + i];
                EXPECT(got_sums[b * sums + j] == sum, "sum %zu of block %zu", j, b);
            }
        check_release();
    }
}

static void to_blocks_of_32(int32_t level) {
    quantize_rows(level, SAT_FORM_32, SAT_BLOCK, SAT_SUMS_32);
}
static void to_blocks_of_256(int32_t level) {
    quantize_rows(level, SAT_FORM_256, SAT_SUPER_BLOCK, SAT_SUMS_256);
}

/* ------------------------------------------------------------------ unpacking */

static void unpack_type(int32_t level, uint32_t type, bool wild) {
    const sat_matmul_kernels *kernels = sat_matmul_kernels_for(level);
    const sat_quant *quant = sat_quant_of(type);
    bool small = quant->block == SAT_BLOCK;
    size_t k = 512, first = check_below(2), count = 1 + check_below(k / quant->block - first);
    size_t where, size = count * (small ? sizeof(sat_strip_block) : sizeof(sat_strip_super));
    product p = make_product(type, SAT_STRIP, SAT_STRIP, k, wild);
    const uint8_t *rows[SAT_STRIP];
    for (size_t i = 0; i < SAT_STRIP; i++)
        rows[i] = (const uint8_t *)p.matrix.data + (i * 7 % SAT_STRIP) * p.matrix.row_bytes;
    void *got = check_buffer(size, 0), *want = check_buffer(size, 0);
    memset(got, 0, size);
    memset(want, 0, size);
    if (small) {
        kernels->unpack_32(got, type, rows, first, count, rows[0]);
        sat_matmul_c.unpack_32(want, type, rows, first, count, rows[0]);
        const sat_strip_block *a = got, *b = want;
        for (size_t i = 0; i < count; i++) {
            bool more = quant->least || quant->group == 16;
            EXPECT(check_same_floats(a[i].scale, b[i].scale, SAT_STRIP, &where),
                   "%s block %zu: scale of output %zu", sat_tensor_type_name(type), i, where);
            EXPECT(!more || check_same_floats(a[i].more, b[i].more, SAT_STRIP, &where),
                   "%s block %zu: least of output %zu", sat_tensor_type_name(type), i, where);
            EXPECT(memcmp(a[i].code, b[i].code, sizeof a[i].code) == 0, "%s block %zu: codes",
                   sat_tensor_type_name(type), i);
        }
    } else {
        kernels->unpack_256(got, type, rows, first, count, rows[0]);
        sat_matmul_c.unpack_256(want, type, rows, first, count, rows[0]);
        const sat_strip_super *a = got, *b = want;
        for (size_t i = 0; i < count; i++) {
            EXPECT(check_same_floats(a[i].d, b[i].d, SAT_STRIP, &where), "%s block %zu: d of %zu",
                   sat_tensor_type_name(type), i, where);
            EXPECT(!quant->least || check_same_floats(a[i].least, b[i].least, SAT_STRIP, &where),
                   "%s block %zu: least of %zu", sat_tensor_type_name(type), i, where);
            EXPECT(memcmp(a[i].scale, b[i].scale, sizeof a[i].scale) == 0, "%s block %zu: scales",
                   sat_tensor_type_name(type), i);
            EXPECT(memcmp(a[i].minimum, b[i].minimum, sizeof a[i].minimum) == 0,
                   "%s block %zu: minima", sat_tensor_type_name(type), i);
            EXPECT(memcmp(a[i].code, b[i].code, sizeof a[i].code) == 0, "%s block %zu: codes",
                   sat_tensor_type_name(type), i);
        }
    }
    check_release();
}

static void unpacking(int32_t level) {
    for (size_t t = 3; t < sizeof types / sizeof *types; t++)
        for (int round = 0; round < 6; round++)
            unpack_type(level, types[t], round % 2);
}

/* ------------------------------------------------------------------ products */

/* Each weight of a row as it is meant, and how large the terms are that it is made of. */
static void exact_row(const product *p, size_t row, double *weight, double *size) {
    const sat_quant *quant = sat_quant_of(p->matrix.type);
    const uint8_t *data = (const uint8_t *)p->matrix.data + row * p->matrix.row_bytes;
    float *values = check_buffer(p->matrix.k * sizeof *values, 0);
    sat_matrix_row(&p->matrix, row, values);
    for (size_t i = 0; i < p->matrix.k; i++) {
        double least = 0;
        if (quant->least && quant->block == SAT_BLOCK) {
            sat_block block;
            if (i % SAT_BLOCK == 0)
                sat_unpack_block(p->matrix.type, &block, data, i / SAT_BLOCK);
            least = block.least;
        } else if (quant->least) {
            sat_super_block block;
            if (i % SAT_SUPER_BLOCK == 0)
                sat_unpack_super_block(p->matrix.type, &block, data, i / SAT_SUPER_BLOCK);
            least = (double)block.least * block.minimum[i % SAT_SUPER_BLOCK / quant->group];
        }
        weight[i] = values[i];
        size[i] = fabs(values[i]) + 2 * fabs(least);
    }
}

/* Against double: with the rows as they were quantized the only error is that of float arithmetic;
 * with the rows as they were given, half a step of quantization a column beside. */
static void exact_product(const product *p, const sat_operand *operand, const float *got,
                          size_t stride) {
    size_t k = p->matrix.k, unit = operand->form == SAT_FORM_32 ? SAT_BLOCK : SAT_SUPER_BLOCK;
    double *weight = check_buffer(k * sizeof *weight, 0), *size = check_buffer(k * sizeof *size, 0);
    for (size_t c = 0; c < p->matrix.n; c++) {
        exact_row(p, c, weight, size);
        for (size_t r = 0; r < p->m; r++) {
            double start = p->matrix.bias ? p->matrix.bias[c] : 0, given = start, rounded = start;
            double terms = fabs(start), steps = 0;
            for (size_t i = 0; i < k; i++) {
                double x = p->x.data[r * p->x.stride + i], held = x, scale = 0;
                if (operand->form != SAT_FORM_FLOAT) {
                    scale = operand->scales[r * (k / unit) + i / unit];
                    held = operand->values[r * k + i] * scale;
                }
                given += x * weight[i];
                rounded += held * weight[i];
                terms += fabs(held) * size[i];
                steps += 0.5001 * scale * fabs(weight[i]);
            }
            double y = got[r * stride + c];
            double bound = ((double)k + 8) * UNIT_ROUNDOFF * terms;
            EXPECT(fabs(y - rounded) <= bound, "%s n %zu k %zu: row %zu output %zu: %g, exactly %g",
                   sat_tensor_type_name(p->matrix.type), p->matrix.n, k, r, c, y, rounded);
            EXPECT(fabs(y - given) <= bound + steps,
                   "%s n %zu k %zu: row %zu output %zu: %g, of rows as given %g",
                   sat_tensor_type_name(p->matrix.type), p->matrix.n, k, r, c, y, given);
        }
    }
}

static void one_product(int32_t level, uint32_t type, size_t m, size_t n, size_t k, bool wild) {
    const sat_matmul_kernels *kernels = sat_matmul_kernels_for(level);
    product p = make_product(type, m, n, k, wild);
    size_t stride = n + check_below(3), size = m ? (m - 1) * stride + n : 0, where;
    size_t strips = sat_matrix_strips(&p.matrix), strip = check_below(strips + 1);
    float *got = check_output(size * 4), *want = check_output(size * 4);
    float *cut = check_output(size * 4);
    sat_operand operand = make_operand(kernels, &p), c = make_operand(&sat_matmul_c, &p);
    memset(got, 0, size * 4);
    memset(want, 0, size * 4);
    memset(cut, 0, size * 4);
    sat_rows to_got = {got, stride}, to_want = {want, stride}, to_cut = {cut, stride};
    sat_matmul(kernels, &to_got, &p.matrix, &operand, 0, m, 0, strips);
    sat_matmul(&sat_matmul_c, &to_want, &p.matrix, &c, 0, m, 0, strips);
    EXPECT(check_same_floats(got, want, size, &where),
           "%s m %zu n %zu k %zu: row %zu output %zu: %a, C gives %a", sat_tensor_type_name(type),
           m, n, k, where / stride, where % stride, got[where], want[where]);
    for (size_t r = 0, rows; r < m; r += rows) {
        rows = 1 + check_below(m - r);
        sat_matmul(kernels, &to_cut, &p.matrix, &operand, r, r + rows, strip, strips);
        sat_matmul(kernels, &to_cut, &p.matrix, &operand, r, r + rows, 0, strip);
    }
    EXPECT(check_same_floats(got, cut, size, &where), "%s m %zu n %zu k %zu: cut into ranges",
           sat_tensor_type_name(type), m, n, k);
    if (!wild)
        exact_product(&p, &operand, got, stride);
    check_release();
}

static size_t unit_of(uint32_t type) {
    const sat_quant *quant = sat_quant_of(type);
    return type == SAT_GGML_NVFP4 ? 64 : quant->block ? quant->block : 1;
}

static void products_of_types(int32_t level, size_t first, size_t end) {
    static const size_t outputs[] = {1, 3, 31, 32, 33, 64, 70};
    for (size_t t = first; t < end; t++) {
        size_t unit = unit_of(types[t]);
        for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++)
            one_product(level, types[t], 1 + check_below(4), outputs[i],
                        unit * (1 + check_below(unit == 1 ? 70 : 3)), false);
        for (size_t m = 0; m <= 9; m++)
            one_product(level, types[t], m, 32, unit * (m % 2 ? 1 : 3), false);
        /* Past the parts in which rows and inputs are walked. */
        one_product(level, types[t], 67, 35, unit == 1 ? 523 : unit * (unit < 256 ? 18 : 3), false);
        for (int i = 0; i < 4; i++)
            one_product(level, types[t], 5, 40, unit * (unit == 1 ? 37 : 2), true);
    }
}

static void floats(int32_t level) {
    products_of_types(level, 0, 3);
}
static void integers(int32_t level) {
    products_of_types(level, 3, sizeof types / sizeof *types);
}

/* F32 beside double in the mean: far better than the bound. */
static void float_error(int32_t level) {
    enum { M = 7, N = 64, K = 3072 };
    const sat_matmul_kernels *kernels = sat_matmul_kernels_for(level);
    product p = make_product(SAT_GGML_F32, M, N, K, false);
    float *got = check_output(M * N * 4), weight[K];
    sat_operand operand = {.form = SAT_FORM_FLOAT, .k = K, .x = p.x};
    sat_rows out = {got, N};
    double error = 0, square = 0;
    p.matrix.bias = NULL;
    sat_matmul(kernels, &out, &p.matrix, &operand, 0, M, 0, N / SAT_STRIP);
    for (size_t c = 0; c < N; c++) {
        sat_matrix_row(&p.matrix, c, weight);
        for (size_t r = 0; r < M; r++) {
            double sum = 0;
            for (size_t i = 0; i < K; i++)
                sum += (double)p.x.data[r * p.x.stride + i] * weight[i];
            error += (got[r * N + c] - sum) * (got[r * N + c] - sum);
            square += sum * sum;
        }
    }
    EXPECT(error <= 1e-12 * square, "NMSE %g", error / square);
    check_release();
}

static void over_the_pool(int32_t level) {
    const sat_matmul_kernels *kernels = sat_matmul_kernels_for(level);
    static const uint32_t kinds[] = {SAT_GGML_Q4_0, SAT_GGML_Q8_0, SAT_GGML_Q5_1};
    enum { M = 3, K = 96, COUNT = 3 };
    sat_memory memory;
    sat_pool *pool = NULL;
    sat_product products[COUNT];
    product made[COUNT];
    float *want[COUNT];
    sat_memory_init(&memory, NULL, 0);
    if (sat_pool_open(&pool, &memory, 3, NULL)) {
        FAIL("no pool");
        return;
    }
    sat_operand operand;
    for (size_t i = 0; i < COUNT; i++) {
        size_t n = 30 + 45 * i;
        made[i] = make_product(kinds[i], M, n, K, false);
        if (i == 0)
            operand = make_operand(kernels, &made[0]);
        want[i] = check_output(M * n * 4);
        sat_rows out = {want[i], n};
        products[i] = (sat_product){&made[i].matrix, &operand, {check_output(M * n * 4), n}};
        sat_matmul(kernels, &out, &made[i].matrix, &operand, 0, M, 0,
                   sat_matrix_strips(&made[i].matrix));
    }
    sat_matmul_run(kernels, pool, SAT_PRIORITY_ANSWER, 0, products, COUNT, M);
    for (size_t i = 0; i < COUNT; i++)
        EXPECT(memcmp(products[i].out.data, want[i], M * made[i].matrix.n * 4) == 0,
               "product %zu over the pool", i);
    sat_pool_close(&pool);
    check_release();
}

static void sizes(int32_t level) {
    (void)level;
    EXPECT(sat_operand_size(SAT_FORM_FLOAT, 3, 7) == 0, "floats");
    EXPECT(sat_operand_size(SAT_FORM_32, 1, 32) == 3 * 64, "one block of 32");
    EXPECT(sat_operand_size(SAT_FORM_256, 2, 256) == 512 + 64 + 128, "two blocks of 256");
    EXPECT(sat_operand_size(SAT_FORM_32, SIZE_MAX / 16, 64) == SIZE_MAX, "overflow");
    EXPECT(sat_operand_size(SAT_FORM_256, SIZE_MAX, SIZE_MAX) == SIZE_MAX, "overflow");
    sat_tensor tensor = {"t", 99, 2, {32, 2, 1, 1}, "", 1};
    sat_matrix matrix;
    EXPECT(!sat_matrix_of(&matrix, &tensor), "an unknown type");
    tensor.type = SAT_GGML_Q4_0;
    EXPECT(sat_matrix_of(&matrix, &tensor) && matrix.n == 2 && matrix.row_bytes == 18, "Q4_0");
}

void check_matmul(void) {
    check_run("matmul rows to blocks of 32", to_blocks_of_32);
    check_run("matmul rows to blocks of 256", to_blocks_of_256);
    check_run("matmul unpacking", unpacking);
    check_run("matmul floats", floats);
    check_run("matmul float error", float_error);
    check_run("matmul integers", integers);
    check_run("matmul over the pool", over_the_pool);
    check_run("matmul sizes", sizes);
}
