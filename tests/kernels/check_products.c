/* Checks of the product kernels of the encoder on one strip: gemm_q8, gemm_f32, transpose. */
#include <math.h>

#include "base/cpu.h"
#include "generate/kernels_isa.h"
#include "tests/kernels/check.h"

static const size_t row_counts[] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,
                                    11, 12, 13, 14, 15, 16, 17, 28, 31, 33};
enum { ROW_COUNTS = sizeof row_counts / sizeof *row_counts };

/* Places in a buffer of `rows` rows of `columns`, `stride` apart. */
static size_t extent(size_t rows, size_t stride, size_t columns) {
    return rows ? (rows - 1) * stride + columns : 0;
}

/* ------------------------------------------------------------------ gemm_q8 */

typedef struct q8_input {
    size_t rows, blocks, stride, scales_stride;
    uint8_t *a;
    float *scales;
    sat_q8_strip_block *strip;
} q8_input;

/* Extreme bytes: activations ±127, weights −128 to 127, and the worst sign pattern for 16-bit sums. */
static void fill_q8(q8_input *in, check_style style, int extreme) {
    size_t bytes = extent(in->rows, in->stride, in->blocks * 32);
    in->a = check_buffer(bytes, 0);
    in->scales = check_buffer(extent(in->rows, in->scales_stride, in->blocks) * sizeof(float), 0);
    in->strip = check_buffer(in->blocks * sizeof *in->strip, 0);
    for (size_t i = 0; i < bytes; i++) {
        int value = extreme ? (check_random() & 1 ? 127 : -127) : (int)check_below(255) - 127;
        in->a[i] = (uint8_t)(extreme == 2 ? 127 : value);
    }
    check_fill(in->scales, extent(in->rows, in->scales_stride, in->blocks), style);
    for (size_t b = 0; b < in->blocks; b++) {
        check_fill(in->strip[b].scale, 32, style);
        for (int c = 0; c < 32; c++) {
            int32_t sum = 0;
            for (int k = 0; k < 32; k++) {
                int w = extreme == 2 ? -128
                        : extreme    ? (check_random() & 1 ? 127 : -128)
                                     : (int)check_below(256) - 128;
                in->strip[b].weights[k / 4][c][k % 4] = (int8_t)w;
                sum += w;
            }
            in->strip[b].offset[c] = -128 * sum;
        }
    }
}

/* In double, from signed bytes. *magnitude: the sum of the terms' sizes. */
static double exact_q8(const q8_input *in, size_t row, size_t column, double start,
                       double *magnitude) {
    double total = start;
    *magnitude = fabs(start);
    for (size_t b = 0; b < in->blocks; b++) {
        int64_t sum = 0;
        for (size_t k = 0; k < 32; k++)
            sum += (int64_t)(int8_t)in->a[row * in->stride + b * 32 + k] *
                   in->strip[b].weights[k / 4][column][k % 4];
        double term =
            (double)sum * in->strip[b].scale[column] * in->scales[row * in->scales_stride + b];
        total += term;
        *magnitude += fabs(term);
    }
    return total;
}

static void one_gemm_q8(int32_t level, size_t rows, size_t blocks, check_style style, int extreme,
                        int add) {
    const sat_kernels *c = sat_kernels_for(SATCHEL_CPU_C), *k = sat_kernels_for(level);
    q8_input in = {rows, blocks, blocks * 32 + check_below(3) * 5, blocks + check_below(3), 0,
                   0,    0};
    size_t acc_stride = 32 + check_below(3) * 7, size = extent(rows, acc_stride, 32), where;
    fill_q8(&in, style, extreme);
    float *start = check_output(size * sizeof(float));
    float *got = check_output(size * sizeof(float)), *want = check_output(size * sizeof(float));
    check_fill(start, size, style);
    memcpy(got, start, size * sizeof(float));
    memcpy(want, start, size * sizeof(float));
    c->gemm_q8(want, acc_stride, add, in.a, in.stride, in.scales, in.scales_stride, in.strip,
               blocks, rows);
    size_t bytes = extent(rows, in.stride, blocks * 32);
    uint8_t *flipped = check_buffer(bytes, 0);
    for (size_t i = 0; i < bytes; i++)
        flipped[i] = in.a[i] ^ k->q8_flip;
    k->gemm_q8(got, acc_stride, add, flipped, in.stride, in.scales, in.scales_stride, in.strip,
               blocks, rows);
    EXPECT(check_same_floats(got, want, size, &where),
           "rows %zu blocks %zu style %d extreme %d add %d: row %zu column %zu", rows, blocks,
           style, extreme, add, where / acc_stride, where % acc_stride);
    if (level == SATCHEL_CPU_C && (style == STYLE_NORMAL || style == STYLE_SMALL_INT))
        for (size_t r = 0; r < rows; r++)
            for (size_t n = 0; n < 32; n++) {
                double size_of_terms,
                    x = exact_q8(&in, r, n, add ? start[r * acc_stride + n] : 0, &size_of_terms);
                /* a rounding of the two scales, then one for each sum */
                double bound = ((double)blocks + 1) * UNIT_ROUNDOFF * size_of_terms;
                EXPECT(fabs(got[r * acc_stride + n] - x) <= bound,
                       "row %zu column %zu: %g, exactly %g", r, n, got[r * acc_stride + n], x);
            }
    check_release();
}

static void gemm_q8(int32_t level) {
    for (int i = 0; i < ROW_COUNTS; i++)
        for (size_t blocks = 0; blocks <= 5; blocks++)
            one_gemm_q8(level, row_counts[i], blocks, STYLE_NORMAL, 0, (int)(blocks & 1));
    for (int style = 0; style < STYLE_COUNT; style++)
        for (int extreme = 0; extreme < 3; extreme++)
            for (int add = 0; add < 2; add++)
                one_gemm_q8(level, 1 + check_below(20), 1 + check_below(9), style, extreme, add);
    one_gemm_q8(level, 19, 48, STYLE_NORMAL, 0, 0);
}

/* ------------------------------------------------------------------ gemm_f32 */

static void one_gemm_f32(int32_t level, size_t rows, size_t k_count, check_style style, int add) {
    const sat_kernels *c = sat_kernels_for(SATCHEL_CPU_C), *k = sat_kernels_for(level);
    size_t a_stride = k_count + check_below(3) * 3, acc_stride = 32 + check_below(3) * 5, where;
    size_t size = extent(rows, acc_stride, 32), a_size = extent(rows, a_stride, k_count);
    float *a = check_buffer(a_size * sizeof *a, 0);
    float *strip = check_buffer(k_count * 32 * sizeof *strip, 0);
    float *start = check_output(size * sizeof *a);
    float *got = check_output(size * sizeof *a), *want = check_output(size * sizeof *a);
    check_fill(a, a_size, style);
    check_fill(strip, k_count * 32, style);
    check_fill(start, size, style);
    memcpy(got, start, size * sizeof *a);
    memcpy(want, start, size * sizeof *a);
    k->gemm_f32(got, acc_stride, add, a, a_stride, strip, k_count, rows);
    c->gemm_f32(want, acc_stride, add, a, a_stride, strip, k_count, rows);
    EXPECT(check_same_floats(got, want, size, &where),
           "rows %zu k %zu style %d add %d: row %zu column %zu", rows, k_count, style, add,
           where / acc_stride, where % acc_stride);
    if (level == SATCHEL_CPU_C && (style == STYLE_NORMAL || style == STYLE_SMALL_INT))
        for (size_t r = 0; r < rows; r++)
            for (size_t n = 0; n < 32; n++) {
                double x = add ? start[r * acc_stride + n] : 0, size_of_terms = fabs(x);
                for (size_t j = 0; j < k_count; j++) {
                    double term = (double)a[r * a_stride + j] * strip[j * 32 + n];
                    x += term;
                    size_of_terms += fabs(term);
                }
                double bound = (double)k_count * UNIT_ROUNDOFF * size_of_terms; /* one a step */
                EXPECT(fabs(got[r * acc_stride + n] - x) <= bound,
                       "row %zu column %zu: %g, exactly %g", r, n, got[r * acc_stride + n], x);
            }
    check_release();
}

static void gemm_f32(int32_t level) {
    static const size_t depths[] = {0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 64, 67};
    for (int i = 0; i < ROW_COUNTS; i++)
        for (size_t j = 0; j < sizeof depths / sizeof *depths; j++)
            one_gemm_f32(level, row_counts[i], depths[j], STYLE_NORMAL, (int)(j & 1));
    for (int style = 0; style < STYLE_COUNT; style++)
        for (int add = 0; add < 2; add++)
            one_gemm_f32(level, 1 + check_below(30), 1 + check_below(70), style, add);
    one_gemm_f32(level, 29, 300, STYLE_NORMAL, 0);
}

/* a · b + c where rounding first to double and then to float is likely to go wrong. */
static void hard_sum(int kind, float *a, float *b, float *c) {
    int sign = check_random() & 1 ? 1 : -1;
    switch (kind) {
    case 0: /* nothing special */
        *b = (float)check_uniform(1, 2);
        *c = (float)check_uniform(-4, 4);
        break;
    case 1: /* a product of 26 bits, often just between two floats; c decides, far below a double's ulp */
        *b = (float)(1 + (double)check_below(4096) / 4096);
        *c = (float)(sign * ldexp(1, -40 - (int)check_below(60)));
        break;
    case 2: /* a product close to half the least float, and a subnormal c */
        *b = (float)ldexp(1 + sign * 0x1p-23, -75);
        *c = (float)ldexp((double)check_below(1 << 23), -149);
        break;
    default: /* cancellation */
        *b = (float)check_uniform(1, 2);
        *c = (float)(-(double)*a * *b * (1 + (int)check_below(3) * 0x1p-20));
    }
}

/* The C level computes fmaf in double where the CPU has no such instruction: against libm's. */
static void fused(int32_t level) {
    const sat_kernels *k = sat_kernels_for(level);
    for (int round = 0; round < 2000; round++) {
        float *a = check_buffer(sizeof *a, 0), *strip = check_buffer(32 * sizeof *strip, 0);
        float *got = check_output(32 * sizeof *got), want[32];
        size_t where;
        int kind = round % 4;
        a[0] = (float)(kind == 1   ? 1 + (double)check_below(4096) / 4096
                       : kind == 2 ? ldexp(1 + (check_random() & 1 ? 0x1p-23 : -0x1p-23), -75)
                                   : check_uniform(1, 2));
        for (int c = 0; c < 32; c++) {
            hard_sum(kind, a, strip + c, got + c);
            want[c] = fmaf(a[0], strip[c], got[c]);
        }
        k->gemm_f32(got, 32, 1, a, 1, strip, 1, 1);
        EXPECT(check_same_floats(got, want, 32, &where), "kind %d: %a * %a: %a, fmaf gives %a",
               kind, a[0], strip[where], got[where], want[where]);
        check_release();
    }
}

/* ------------------------------------------------------------------ transpose */

static void transpose(int32_t level) {
    const sat_kernels *k = sat_kernels_for(level);
    for (size_t count = 0; count <= 32; count++)
        for (size_t columns = 1; columns <= 65; columns += 1 + check_below(9)) {
            size_t stride = columns + check_below(3) * 3, size = extent(count, stride, columns);
            float *in = check_buffer(size * sizeof *in, 0);
            float *out = check_output(columns * 32 * sizeof *out);
            check_fill(in, size, STYLE_NORMAL);
            k->transpose(out, in, stride, count, columns);
            for (size_t j = 0; j < columns; j++)
                for (size_t i = 0; i < 32; i++) {
                    float want = i < count ? in[i * stride + j] : 0;
                    EXPECT(out[j * 32 + i] == want, "count %zu columns %zu: row %zu column %zu",
                           count, columns, i, j);
                }
            check_release();
        }
}

void check_products(void) {
    check_run("gemm_q8", gemm_q8);
    check_run("gemm_f32", gemm_f32);
    check_run("fused", fused);
    check_run("transpose", transpose);
}
