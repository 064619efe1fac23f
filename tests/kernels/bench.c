/* --bench: what each kernel reaches on one core, beside the roof measured in the same run. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/cpu.h"
#include "cluster/kernels.h"
#include "generate/matmul_kernels.h"
#include "tests/kernels/check.h"
#include "tests/kernels/roof.h"

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Best of several runs: `body` is repeated to about 2 ms a run, 40 runs. */
#define BEST(result, body)                                                                         \
    do {                                                                                           \
        double start_ = seconds(), best_ = 1e9;                                                    \
        body;                                                                                      \
        body;                                                                                      \
        size_t times_ = 1 + (size_t)(2e-3 / ((seconds() - start_) / 2 + 1e-9));                    \
        for (int run_ = 0; run_ < 40; run_++) {                                                    \
            start_ = seconds();                                                                    \
            for (size_t i_ = 0; i_ < times_; i_++) {                                               \
                body;                                                                              \
            }                                                                                      \
            double time_ = (seconds() - start_) / (double)times_;                                  \
            best_ = time_ < best_ ? time_ : best_;                                                 \
        }                                                                                          \
        (result) = best_;                                                                          \
    } while (0)

static double float_roof, int8_roof, tile_roof, read_roof; /* GFLOP/s, Gop/s, GB/s; 0: not known */

static void row(const char *name, double amount, double time, const char *unit, double roof) {
    double rate = amount / time * 1e-9;
    printf("  %-40s %9.3f us %9.1f %s", name, time * 1e6, rate, unit);
    if (roof > 0)
        printf(" %5.0f %%", 100 * rate / roof);
    printf("\n");
}

static void *block(size_t bytes) {
    void *data = aligned_alloc(64, (bytes + 4095) / 4096 * 4096);
    if (!data)
        exit(1);
    memset(data, 0, bytes);
    return data;
}

static float *floats(size_t n) {
    float *x = block(n * sizeof *x);
    check_fill(x, n, STYLE_NORMAL);
    return x;
}

static void roofs(int32_t level) {
    enum { BYTES = 256 << 20, ROUNDS = 20000 };
    const kernel_roof *roof = kernel_roof_for(level);
    float_roof = int8_roof = tile_roof = read_roof = 0;
    if (!roof)
        return;
    double time, ops = 0;
    char *data = block(BYTES);
    BEST(time, ops = roof->float_ops(ROUNDS));
    float_roof = ops / time * 1e-9;
    BEST(time, ops = roof->int8_ops(ROUNDS));
    tile_roof = int8_roof = ops / time * 1e-9;
    if (roof->few_bits_ops) {
        BEST(time, ops = roof->few_bits_ops(ROUNDS));
        tile_roof = ops / time * 1e-9;
        printf("  roof of int8 products in few bits: %.0f Gop/s\n", tile_roof);
    }
    time = 1e9;
    for (int run = 0; run < 8; run++) {
        double start = seconds();
        roof->read(data, BYTES);
        double took = seconds() - start;
        time = took < time ? took : time;
    }
    read_roof = BYTES / time * 1e-9;
    free(data);
    printf("  roofs: %.0f GFLOP/s fused multiply-add, %.0f Gop/s int8 (%s), %.1f GB/s read\n",
           float_roof, int8_roof, roof->int8, read_roof);
}

static void bench_vector(int32_t level) {
    enum { DIM = 384, FEW = 64, MANY = 100000 };
    const sat_vector_kernels *k = sat_vector_kernels_for(level);
    float *rows = floats((size_t)MANY * DIM), *query = floats(DIM),
          *out = block(MANY * sizeof *out);
    double time;
    BEST(time, k->dot_rows(out, rows, query, FEW, DIM));
    row("dot_rows 64 x 384, in cache", FEW * DIM * 4.0, time, "GB/s  ", 0);
    time = 1e9;
    for (int run = 0; run < 8; run++) {
        double start = seconds();
        k->dot_rows(out, rows, query, MANY, DIM);
        double took = seconds() - start;
        time = took < time ? took : time;
    }
    row("dot_rows 100000 x 384, in memory", (double)MANY * DIM * 4, time, "GB/s  ", read_roof);
    BEST(time, k->from_f16(rows, (const uint16_t *)out, 4096));
    row("from_f16 4096", 4096 * 6.0, time, "GB/s  ", 0);
    free(rows);
    free(query);
    free(out);
}

static void bench_gemm(int32_t level, sat_weight_type type, size_t m, size_t n, size_t k,
                       bool gelu) {
    static const char *const names[] = {"f32", "f16", "q8"};
    const sat_kernels *kernels = sat_kernels_for(level);
    void *packed = block(sat_weights_size(type, n, k));
    float *bias = floats(n);
    sat_weights weights = {packed, bias, n, k, type};
    size_t stride = sat_rows_stride(k), out_stride = sat_rows_stride(n);
    sat_rows x = {floats(m * stride), stride}, out = {block(m * out_stride * 4), out_stride};
    sat_q8_rows q8 = {block(m * k), block(m * (k / 32) * 4), k};
    sat_q8_rows out_q8 = {block(m * n), block(m * (n / 32 + 1) * 4), n};
    sat_quantize(kernels, &q8, &x, 0, m);
    sat_output output = {.activation = gelu ? SAT_ACTIVATION_GELU : SAT_ACTIVATION_NONE};
    if (gelu)
        output.q8 = out_q8;
    else
        output.rows = out;
    double time;
    char name[64];
    BEST(time,
         sat_gemm(kernels, &output, &weights, &x, &q8, 0, m, 0, sat_weights_strips(&weights)));
    snprintf(name, sizeof name, "gemm %s m %zu n %zu k %zu%s", names[type], m, n, k,
             gelu ? ", GELU to q8" : "");
    row(name, 2.0 * (double)m * (double)n * (double)k, time, "Gop/s ",
        type == SAT_WEIGHT_Q8 ? int8_roof : float_roof);
    free(packed);
    free(bias);
    free(x.data);
    free(out.data);
    free(q8.values);
    free(q8.scales);
    free(out_q8.values);
    free(out_q8.scales);
}

/* m rows with weights of a type: share of the int8 (or float) roof, or for one row, whose weights
 * come from memory, of the bandwidth of reading. */
static void bench_matmul(int32_t level, uint32_t type, size_t m, size_t n, size_t k) {
    const sat_matmul_kernels *kernels = sat_matmul_kernels_for(level);
    const sat_tensor_type *known = sat_tensor_type_of(type);
    size_t row_bytes = k / known->block * known->bytes, stride = sat_rows_stride(n);
    sat_matrix matrix = {block(n * row_bytes), n, k, row_bytes, type, NULL};
    sat_form form = sat_matrix_form(&matrix);
    sat_rows x = {floats(m * k), k}, out = {block(m * stride * 4), stride};
    void *memory = block(sat_operand_size(form, m, k) + 64);
    sat_operand operand;
    sat_operand_init(&operand, form, m, k, memory);
    sat_operand_quantize(kernels, &operand, &x, 0, m);
    operand.x = x;
    double time = 1e9;
    char name[64];
    if (m > 1) {
        BEST(time, sat_matmul(kernels, &out, &matrix, &operand, 0, m, 0, n / SAT_STRIP));
    } else {
        for (int run = 0; run < 8; run++) {
            double start = seconds();
            sat_matmul(kernels, &out, &matrix, &operand, 0, m, 0, n / SAT_STRIP);
            double took = seconds() - start;
            time = took < time ? took : time;
        }
    }
    snprintf(name, sizeof name, "matmul %s m %zu n %zu k %zu", known->name, m, n, k);
    if (m > 1)
        row(name, 2.0 * (double)m * (double)n * (double)k, time, "Gop/s ",
            form == SAT_FORM_FLOAT ? float_roof : int8_roof);
    else
        row(name, (double)(n * row_bytes), time, "GB/s  ", read_roof);
    free((void *)(uintptr_t)matrix.data);
    free(x.data);
    free(out.data);
    free(memory);
}

static void bench_matmuls(int32_t level) {
    static const uint32_t types[] = {SAT_GGML_F32,  SAT_GGML_F16,    SAT_GGML_Q8_0, SAT_GGML_Q4_0,
                                     SAT_GGML_Q5_0, SAT_GGML_IQ4_NL, SAT_GGML_Q2_K, SAT_GGML_Q3_K,
                                     SAT_GGML_Q4_K, SAT_GGML_Q5_K,   SAT_GGML_Q6_K, SAT_GGML_IQ4_XS,
                                     SAT_GGML_NVFP4};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        bench_matmul(level, types[i], 512, 256, 1024);
        bench_matmul(level, types[i], 8, 256, 1024);
        bench_matmul(level, types[i], 1, i < 2 ? 32768 : 131072, 1024);
    }
}

static void bench_rows(int32_t level) {
    enum { M = 84, D = 384 };
    const sat_kernels *k = sat_kernels_for(level);
    float *x = floats(M * D), *more = floats(M * D), *gamma = floats(D), *beta = floats(D);
    float *out = block(M * D * 4);
    sat_q8_rows q8 = {block(M * D), block(M * D / 32 * 4), D};
    sat_rows in = {x, D}, residual = {more, D}, to = {out, D};
    sat_norm norm = {gamma, beta, 1e-12f};
    double time;
    BEST(time, sat_quantize(k, &q8, &in, 0, M));
    row("quantize 84 x 384", M * D, time, "Gval/s", 0);
    BEST(time, sat_add_norm(k, &to, &q8, &in, &residual, &norm, D, 0, M));
    row("add_norm 84 x 384, and to q8", M * D, time, "Gval/s", 0);
    BEST(time, k->finish(out, 32, x, 32, gamma, SAT_ACTIVATION_NONE, M));
    row("bias 84 x 32", M * 32, time, "Gval/s", 0);
    BEST(time, k->finish(out, 32, x, 32, gamma, SAT_ACTIVATION_GELU, M));
    row("GELU 84 x 32", M * 32, time, "Gval/s", 0);
    BEST(time, k->softmax(x, 0.2f, 128));
    row("softmax 128", 128, time, "Gval/s", 0);
    BEST(time, k->transpose(out, more, D, 32, 32));
    row("transpose 32 x 32", 1024, time, "Gval/s", 0);
    void *all[] = {x, more, gamma, beta, out, q8.values, q8.scales};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

static void bench_attention(int32_t level, size_t length, size_t dim) {
    const sat_kernels *k = sat_kernels_for(level);
    size_t width = 384;
    float *qkv = floats(length * 3 * width);
    void *scratch = block(sat_attention_scratch(length, dim));
    sat_attention a = {.q = qkv,
                       .k = qkv + width,
                       .v = qkv + 2 * width,
                       .stride = 3 * width,
                       .length = length,
                       .dim = dim,
                       .scale = 0.18f};
    a.q8 = (sat_q8_rows){block(length * width), block(length * width / 32 * 4), width};
    double time;
    char name[64];
    BEST(time, sat_attend(k, &a, scratch));
    snprintf(name, sizeof name, "attend length %zu dim %zu, to q8", length, dim);
    row(name, 4.0 * (double)(length * length * dim), time, "GFLOP/s", float_roof);
    free(qkv);
    free(scratch);
    free(a.q8.values);
    free(a.q8.scales);
}

/* 64 rows against 256 centroids: rows stay in the first cache, panels in the second. */
static void bench_tile(int32_t level, size_t dim) {
    enum { TILES = 8, PANELS = 8 };
    const sat_cluster_kernels *k = sat_cluster_kernels_for(level);
    size_t depth = (size_t)k->depth, steps = (dim + depth - 1) / depth;
    size_t stride = (dim + SAT_ROW_ALIGN - 1) / SAT_ROW_ALIGN * SAT_ROW_ALIGN;
    size_t panel_bytes = steps * SAT_PANEL * depth;
    int8_t *rows = block(TILES * SAT_TILE * stride);
    uint8_t *bytes = block(PANELS * panel_bytes);
    sat_panel panels[PANELS] = {{0}};
    sat_point points[TILES * SAT_TILE] = {{0}};
    sat_tile tile = {.steps = steps, .per_unit = 1000};
    uint32_t hits = 0;
    for (size_t p = 0; p < PANELS; p++)
        panels[p].bytes = bytes + p * panel_bytes;
    for (size_t i = 0; i < TILES * SAT_TILE; i++)
        points[i].threshold = -1;
    double time;
    char name[64];
    BEST(
        time, for (size_t p = 0; p < PANELS; p++) for (size_t t = 0; t < TILES; t++) {
            tile.panel = &panels[p];
            for (size_t r = 0; r < SAT_TILE; r++) {
                tile.rows[r] = rows + (t * SAT_TILE + r) * stride;
                tile.points[r] = &points[t * SAT_TILE + r];
            }
            hits |= k->tile(&tile);
        });
    if (hits != 0)
        exit(1);
    snprintf(name, sizeof name, "tile 64 x 256, dimension %zu", dim);
    row(name, 2.0 * TILES * SAT_TILE * PANELS * SAT_PANEL * (double)dim, time, "Gop/s ", tile_roof);
    free(rows);
    free(bytes);
}

static void bench_cluster(int32_t level) {
    enum { DIM = 384, ROWS = 64 };
    const sat_cluster_kernels *k = sat_cluster_kernels_for(level);
    float *x = floats(ROWS * DIM), *centre = floats(DIM);
    int8_t *values = block(ROWS * DIM);
    uint8_t *centroids = block(ROWS * DIM);
    int64_t *sums = block(DIM * sizeof *sums);
    sat_point points[ROWS] = {{0}};
    int32_t labels[ROWS], out[ROWS];
    sat_quantized result;
    volatile double sink = 0;
    double time;
    for (int i = 0; i < ROWS; i++)
        labels[i] = i * 7 % ROWS;
    BEST(time, k->quantize(values, &result, x, centre, 0.25f, k->row_limit, DIM, DIM));
    row("quantize 384, centred", DIM, time, "Gval/s", 0);
    BEST(time, sink = k->dot(x, centre, DIM));
    row("dot in double 384", DIM, time, "Gval/s", 0);
    BEST(time, sink = k->distance(x, centre, DIM));
    row("distance in double 384", DIM, time, "Gval/s", 0);
    BEST(time, k->add(sums, x, 0x1p20, DIM));
    row("add to sums 384", DIM, time, "Gval/s", 0);
    BEST(time, k->dots(out, values, points, centroids, labels, DIM, ROWS));
    row("64 single int8 products 384", 2.0 * ROWS * DIM, time, "Gop/s ", tile_roof);
    (void)sink;
    free(x);
    free(centre);
    free(values);
    free(centroids);
    free(sums);
}

void bench_all(void) {
    for (size_t i = 0; i < check_level_count; i++) {
        int32_t level = check_levels[i];
        bool slow = level == SATCHEL_CPU_C;
        printf("%s\n", sat_cpu_name(level));
        roofs(level);
        bench_vector(level);
        bench_gemm(level, SAT_WEIGHT_Q8, slow ? 32 : 512, 1536, 384, false);
        bench_gemm(level, SAT_WEIGHT_F32, slow ? 32 : 512, 1536, 384, false);
        if (!slow) {
            bench_gemm(level, SAT_WEIGHT_Q8, 512, 1536, 384, true);
            bench_gemm(level, SAT_WEIGHT_Q8, 512, 384, 1536, false);
            bench_gemm(level, SAT_WEIGHT_Q8, 512, 1152, 384, false);
            bench_gemm(level, SAT_WEIGHT_Q8, 512, 4096, 1024, true);
            bench_gemm(level, SAT_WEIGHT_Q8, 512, 1024, 4096, false);
            bench_gemm(level, SAT_WEIGHT_Q8, 10, 1536, 384, true);
            bench_gemm(level, SAT_WEIGHT_F32, 512, 384, 1536, false);
            bench_gemm(level, SAT_WEIGHT_F32, 512, 1024, 1024, false);
            bench_gemm(level, SAT_WEIGHT_F16, 512, 1536, 384, false);
            bench_gemm(level, SAT_WEIGHT_F16, 512, 384, 1536, false);
        }
        if (!slow)
            bench_matmuls(level);
        bench_rows(level);
        bench_tile(level, 128);
        bench_tile(level, 384);
        bench_tile(level, 768);
        bench_cluster(level);
        for (size_t length = 32; length <= 512; length *= 4)
            for (size_t dim = 32; dim <= 64; dim += 32)
                bench_attention(level, length, dim);
    }
}
