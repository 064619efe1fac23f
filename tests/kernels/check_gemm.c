/* Checks of packing and of sat_gemm: all weight types, odd sizes, any cut into ranges, outputs as floats
 * and as quantized rows; and of sat_quantize and sat_add_norm on ranges. */
#include <math.h>

#include "base/cpu.h"
#include "tests/kernels/check.h"

static void *aligned_buffer(size_t bytes) { /* 64-byte aligned, then unmapped memory */
    return check_buffer((bytes + 63) / 64 * 64, 0);
}

static uint16_t half_of(double x) { /* toward zero, and to 0 what is not a normal half; |x| <= 1 */
    int exponent;
    if (fabs(x) < 0x1p-14)
        return 0;
    double fraction = frexp(fabs(x), &exponent); /* [0.5, 1) */
    return (uint16_t)((x < 0 ? 0x8000 : 0) | (exponent + 14) << 10 |
                      ((int)(fraction * 2048) & 1023));
}

static double half_value(uint16_t h) {
    double value = h & 0x7fff ? ldexp(1024 + (h & 1023), (h >> 10 & 31) - 25) : 0;
    return h & 0x8000 ? -value : value;
}

/* A weight matrix as a GGUF tensor holds it, what it means in double, and packed. */
typedef struct matrix {
    sat_weights weights;
    double *values; /* (n, k) */
} matrix;

static size_t row_bytes(sat_weight_type type, size_t k) {
    return type == SAT_WEIGHT_F32 ? k * 4 : type == SAT_WEIGHT_F16 ? k * 2 : k / 32 * 34;
}

static matrix make_matrix(sat_weight_type type, size_t n, size_t k, bool bias) {
    matrix m = {.values = check_buffer(n * k * sizeof(double), 0)};
    size_t bytes = row_bytes(type, k), size = sat_weights_size(type, n, k);
    uint8_t *source = check_buffer(n * bytes, 0);
    for (size_t r = 0; r < n; r++)
        for (size_t i = 0; i < k; i++) {
            double *value = m.values + r * k + i;
            if (type == SAT_WEIGHT_F32) {
                float x = (float)check_uniform(-1, 1);
                memcpy(source + r * bytes + i * 4, &x, 4);
                *value = x;
            } else if (type == SAT_WEIGHT_F16) {
                uint16_t h = half_of(check_uniform(-1, 1));
                memcpy(source + r * bytes + i * 2, &h, 2);
                *value = half_value(h);
            } else {
                uint8_t *block = source + r * bytes + i / 32 * 34;
                if (i % 32 == 0) {
                    uint16_t h = half_of(check_uniform(0.001, 0.01));
                    memcpy(block, &h, 2);
                }
                block[2 + i % 32] = (uint8_t)check_random();
                uint16_t h;
                memcpy(&h, block, 2);
                *value = half_value(h) * (int8_t)block[2 + i % 32];
            }
        }
    void *packed = aligned_buffer(size);
    sat_weights_clear(packed, type, n, k);
    size_t cut = check_below(n + 1); /* in two pieces, the second first */
    sat_weights_pack(packed, type, n, k, source + cut * bytes, cut, n - cut);
    sat_weights_pack(packed, type, n, k, source, 0, cut);
    float *b = NULL;
    if (bias) {
        b = check_buffer(n * sizeof *b, 0);
        check_fill(b, n, STYLE_NORMAL);
    }
    m.weights = (sat_weights){packed, b, n, k, type};
    return m;
}

typedef struct product {
    size_t m, n, k;
    sat_rows x;
    sat_q8_rows q8;
} product;

/* Into fresh buffers; `cuts`: in random pieces of rows and strips, in random order of strips. */
static void multiply(const sat_kernels *k, const product *p, const sat_weights *weights,
                     bool from_q8, int activation, float *rows, size_t stride, uint8_t *values,
                     float *scales, bool cuts) {
    sat_output out = {{rows, stride}, {values, scales, p->n}, activation};
    size_t strips = sat_weights_strips(weights), cut_row = cuts ? check_below(p->m + 1) : p->m;
    size_t cut_strip = cuts ? check_below(strips + 1) : strips;
    const sat_q8_rows *q8 = from_q8 ? &p->q8 : NULL;
    const sat_rows *x = from_q8 ? NULL : &p->x;
    sat_gemm(k, &out, weights, x, q8, cut_row, p->m, 0, cut_strip);
    sat_gemm(k, &out, weights, x, q8, 0, cut_row, cut_strip, strips);
    sat_gemm(k, &out, weights, x, q8, 0, cut_row, 0, cut_strip);
    sat_gemm(k, &out, weights, x, q8, cut_row, p->m, cut_strip, strips);
}

static double exact_gelu(double x) {
    return 0.5 * x * erfc(-x * 0.70710678118654752440);
}

/* The product of x as it is (quantized or not) and the matrix, in double. */
static void exact_product(const product *p, const matrix *m, bool from_q8, uint8_t flip,
                          int activation, const float *got, size_t stride) {
    for (size_t r = 0; r < p->m; r++)
        for (size_t c = 0; c < p->n; c++) {
            double sum = m->weights.bias ? m->weights.bias[c] : 0, size = fabs(sum);
            for (size_t i = 0; i < p->k; i++) {
                double a = p->x.data[r * p->x.stride + i];
                if (from_q8)
                    a = (double)(int8_t)(p->q8.values[r * p->k + i] ^ flip) *
                        p->q8.scales[r * (p->k / 32) + i / 32];
                sum += a * m->values[c * p->k + i];
                size += fabs(a * m->values[c * p->k + i]);
            }
            double bound = ((double)p->k + 2) * /* a rounding a step, and the bias */
                           UNIT_ROUNDOFF * size;
            double want = activation ? exact_gelu(sum) : sum;
            if (activation) /* GELU's slope is below 1.13 */
                bound = 1.13 * bound + PHI_ABSOLUTE * fabs(sum) + UNIT_ROUNDOFF * fabs(want);
            float y = got[r * stride + c];
            EXPECT(fabs(y - want) <= bound, "m %zu n %zu k %zu: row %zu column %zu: %g, exactly %g",
                   p->m, p->n, p->k, r, c, y, want);
        }
}

static void one_gemm(int32_t level, sat_weight_type type, size_t m, size_t n, size_t k,
                     int activation) {
    bool from_q8 = type == SAT_WEIGHT_Q8;
    const sat_kernels *reference = sat_kernels_for(SATCHEL_CPU_C),
                      *kernels = sat_kernels_for(level);
    size_t x_stride = k + check_below(2) * 3, stride = n + check_below(2) * 5, where;
    matrix w = make_matrix(type, n, k, check_random() & 1);
    product p = {m, n, k, {check_buffer(((m ? m - 1 : 0) * x_stride + k) * 4, 0), x_stride}, {0}};
    product c = p;
    check_fill(p.x.data, (m ? m - 1 : 0) * x_stride + k, STYLE_NORMAL);
    if (from_q8) {
        p.q8 = (sat_q8_rows){check_buffer(m * k, 0), check_buffer(m * (k / 32) * 4, 0), k};
        c.q8 = (sat_q8_rows){check_buffer(m * k, 0), check_buffer(m * (k / 32) * 4, 0), k};
        sat_quantize(kernels, &p.q8, &p.x, 0, m / 2);
        sat_quantize(kernels, &p.q8, &p.x, m / 2, m);
        sat_quantize(reference, &c.q8, &c.x, 0, m);
    }
    size_t size = m ? (m - 1) * stride + n : 0, bytes = n % 32 == 0 ? m * n : 0;
    float *got = check_output(size * 4), *want = check_output(size * 4),
          *cut = check_output(size * 4);
    uint8_t *got_q8 = NULL, *want_q8 = NULL;
    float *got_scales = NULL, *want_scales = NULL;
    memset(got, 0, size * 4);
    memset(want, 0, size * 4);
    memset(cut, 0, size * 4);
    if (bytes) {
        got_q8 = check_buffer(bytes, check_below(40));
        want_q8 = check_buffer(bytes, check_below(40));
        got_scales = check_output(bytes / 32 * 4);
        want_scales = check_output(bytes / 32 * 4);
    }
    multiply(kernels, &p, &w.weights, from_q8, activation, got, stride, got_q8, got_scales, false);
    multiply(reference, &c, &w.weights, from_q8, activation, want, stride, want_q8, want_scales,
             false);
    EXPECT(check_same_floats(got, want, size, &where),
           "type %d m %zu n %zu k %zu activation %d: row %zu column %zu: %a, C gives %a", type, m,
           n, k, activation, where / stride, where % stride, got[where], want[where]);
    multiply(kernels, &p, &w.weights, from_q8, activation, cut, stride, NULL, NULL, true);
    EXPECT(check_same_floats(got, cut, size, &where), "type %d m %zu n %zu k %zu: cut into ranges",
           type, m, n, k);
    if (bytes) {
        sat_rows rows = {got, stride};
        sat_q8_rows again = {check_buffer(bytes, 0), check_buffer(bytes / 32 * 4, 0), n};
        sat_quantize(kernels, &again, &rows, 0, m);
        EXPECT(memcmp(got_q8, again.values, bytes) == 0, "m %zu n %zu: quantized output", m, n);
        EXPECT(memcmp(got_scales, again.scales, bytes / 32 * 4) == 0,
               "m %zu n %zu: output's scales", m, n);
        memset(again.values, 0, bytes); /* quantized output alone */
        multiply(kernels, &p, &w.weights, from_q8, activation, NULL, 0, again.values, again.scales,
                 true);
        EXPECT(memcmp(got_q8, again.values, bytes) == 0, "m %zu n %zu: quantized output alone", m,
               n);
        for (size_t i = 0; i < bytes; i++)
            got_q8[i] ^= kernels->q8_flip;
        EXPECT(memcmp(got_q8, want_q8, bytes) == 0, "m %zu n %zu: quantized output, C", m, n);
    }
    exact_product(&p, &w, from_q8, kernels->q8_flip, activation, got, stride);
    check_release();
}

static void gemm_type(int32_t level, sat_weight_type type) {
    static const size_t outputs[] = {1, 2, 3, 15, 16, 17, 31, 32, 33, 64, 65, 96};
    size_t unit = type == SAT_WEIGHT_Q8 ? 32 : 1;
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++)
        one_gemm(level, type, 1 + check_below(20), outputs[i], unit * (1 + check_below(7)),
                 (int)(i & 1));
    for (size_t m = 0; m <= 8; m++)
        one_gemm(level, type, m, 32, unit * 3, 0);
    /* past the blocks in which rows and inputs are walked */
    one_gemm(level, type, 97, 64, type == SAT_WEIGHT_Q8 ? 17 * 32 : 193, 1);
    one_gemm(level, type, 193, 33, type == SAT_WEIGHT_Q8 ? 33 * 32 : 400, 0);
}

static void gemm_f32(int32_t level) {
    gemm_type(level, SAT_WEIGHT_F32);
}
static void gemm_f16(int32_t level) {
    gemm_type(level, SAT_WEIGHT_F16);
}
static void gemm_q8(int32_t level) {
    gemm_type(level, SAT_WEIGHT_Q8);
}

/* A block of inputs copied over another: its weights count for both. */
static void copied_block(int32_t level) {
    enum { M = 5, N = 70, K = 128, FROM = 1, TO = 3 };
    const sat_kernels *kernels = sat_kernels_for(level);
    matrix w = make_matrix(SAT_WEIGHT_Q8, N, K, false);
    product p = {M, N, K, {check_buffer(M * K * 4, 0), K}, {0}};
    float *got = check_output(M * N * 4);
    double length = 0;
    check_fill(p.x.data, M * K, STYLE_NORMAL);
    p.q8 = (sat_q8_rows){check_buffer(M * K, 0), check_buffer(M * (K / 32) * 4, 0), K};
    sat_quantize(kernels, &p.q8, &p.x, 0, M);
    sat_weights_copy_block((void *)(uintptr_t)w.weights.packed, N, K, FROM, TO);
    for (size_t r = 0; r < N; r++)
        for (size_t i = 0; i < 32; i++) {
            double value = w.values[r * K + FROM * 32 + i];
            w.values[r * K + TO * 32 + i] = value;
            length += value * value;
        }
    for (size_t block = FROM; block <= TO; block += TO - FROM)
        EXPECT(fabs(sat_weights_block_length(&w.weights, block) - length) <= 1e-9 * length,
               "block %zu: %g, not %g", block, sat_weights_block_length(&w.weights, block), length);
    multiply(kernels, &p, &w.weights, true, 0, got, N, NULL, NULL, false);
    exact_product(&p, &w, true, kernels->q8_flip, 0, got, N);
    check_release();
}

static void sizes(int32_t level) {
    (void)level;
    EXPECT(sat_weights_size(SAT_WEIGHT_F32, 33, 7) == 2 * 32 * 7 * 4, "F32");
    EXPECT(sat_weights_size(SAT_WEIGHT_F16, 32, 7) == 32 * 7 * 2, "F16");
    EXPECT(sat_weights_size(SAT_WEIGHT_Q8, 1, 64) == 2 * 1280, "Q8");
    EXPECT(sat_weights_size(SAT_WEIGHT_Q8, 32, 33) == 0, "Q8 with a part of a block");
    EXPECT(sat_weights_size(SAT_WEIGHT_F32, SIZE_MAX / 2, 64) == 0, "overflow");
    EXPECT(sat_weights_size(SAT_WEIGHT_Q8, SIZE_MAX, 1024) == 0, "overflow");
    EXPECT(sat_weights_size(SAT_WEIGHT_F16, 64, SIZE_MAX / 64) == 0, "overflow");
    EXPECT(sat_attention_scratch(SIZE_MAX / 8, 64) == 0, "overflow");
    EXPECT(sat_attention_scratch(512, SIZE_MAX / 8) == 0, "overflow");
    EXPECT(sat_attention_scratch(SIZE_MAX, SIZE_MAX) == 0, "overflow");
}

/* sat_add_norm: any range of rows gives the same bits, and what sat_quantize makes of the rows. */
static void norm_ranges(int32_t level) {
    const sat_kernels *k = sat_kernels_for(level);
    enum { M = 11, N = 96 };
    float *x = check_buffer(M * N * 4, 0), *more = check_buffer(M * N * 4, 0);
    float *gamma = check_buffer(N * 4, 0), *beta = check_buffer(N * 4, 0);
    float *whole = check_output(M * N * 4), *parts = check_output(M * N * 4);
    sat_q8_rows q8 = {check_buffer(M * N, 0), check_buffer(M * N / 32 * 4, 0), N};
    sat_q8_rows again = {check_buffer(M * N, 0), check_buffer(M * N / 32 * 4, 0), N};
    check_fill(x, M * N, STYLE_NORMAL);
    check_fill(more, M * N, STYLE_NORMAL);
    check_fill(gamma, N, STYLE_NORMAL);
    check_fill(beta, N, STYLE_NORMAL);
    sat_norm norm = {gamma, beta, 1e-5f};
    sat_rows in = {x, N}, residual = {more, N}, out = {whole, N}, cut = {parts, N};
    sat_add_norm(k, &out, &q8, &in, &residual, &norm, N, 0, M);
    for (size_t row = 0, count; row < M; row += count) {
        count = 1 + check_below(M - row);
        sat_add_norm(k, &cut, NULL, &in, &residual, &norm, N, row, row + count);
    }
    EXPECT(memcmp(whole, parts, M * N * 4) == 0, "parts differ from the whole");
    sat_quantize(k, &again, &out, 0, M);
    EXPECT(memcmp(q8.values, again.values, M * N) == 0, "quantized rows");
    EXPECT(memcmp(q8.scales, again.scales, M * N / 32 * 4) == 0, "scales");
}

void check_gemm(void) {
    check_run("sizes", sizes);
    check_run("sat_gemm f32", gemm_f32);
    check_run("sat_gemm f16", gemm_f16);
    check_run("sat_gemm q8", gemm_q8);
    check_run("sat_weights_copy_block", copied_block);
    check_run("sat_add_norm ranges", norm_ranges);
}
