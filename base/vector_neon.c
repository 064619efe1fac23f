/* Vector kernels for NEON; the dot product extension adds nothing to floats. The 8 lanes of the contract
 * are two registers. */
#include <string.h>

#include "base/kernel.h"
#include "base/vector_isa.h"

typedef struct lanes {
    float32x4_t low, high; /* 0 to 3, 4 to 7 */
} lanes;

INLINE lanes load8(const float *x) {
    lanes y = {vld1q_f32(x), vld1q_f32(x + 4)};
    return y;
}

/* The product is rounded before it is added: no vfmaq here. */
INLINE lanes add_product(lanes sum, lanes a, lanes b) {
    sum.low = vaddq_f32(sum.low, vmulq_f32(a.low, b.low));
    sum.high = vaddq_f32(sum.high, vmulq_f32(a.high, b.high));
    return sum;
}

INLINE float sum_lanes(lanes s) {
    return sum_four(vaddq_f32(s.low, s.high));
}

/* R rows of n, `stride` apart, together: one load of b serves all, and R chains of additions hide their
 * latency. out: (R), `step` apart. */
INLINE void dots(float *out, size_t step, const float *rows, size_t stride, const float *b,
                 size_t n, const int R) {
    lanes sum[4];
    size_t i = 0;
    EACH (r, R)
        sum[r].low = sum[r].high = vdupq_n_f32(0);
    for (; i + 8 <= n; i += 8) {
        lanes y = load8(b + i);
        EACH (r, R)
            sum[r] = add_product(sum[r], load8(rows + (size_t)r * stride + i), y);
    }
    if (i < n) { /* a lane without an element adds +0, which changes nothing: no lane is −0 */
        float last[8] = {0}, query[8] = {0};
        memcpy(query, b + i, (n - i) * sizeof *b);
        EACH (r, R) {
            memcpy(last, rows + (size_t)r * stride + i, (n - i) * sizeof *rows);
            sum[r] = add_product(sum[r], load8(last), load8(query));
        }
    }
    EACH (r, R)
        out[(size_t)r * step] = sum_lanes(sum[r]);
}

static float dot_neon(const float *a, const float *b, size_t n) {
    float out;
    dots(&out, 0, a, 0, b, n, 1);
    return out;
}

static void dot_rows_neon(float *out, const float *rows, const float *query, size_t count,
                          size_t n) {
    /* A row from each quarter: four streams get more out of memory than one (1.5 times, measured). */
    size_t quarter = count / 4;
    for (size_t r = 0; r < quarter; r++)
        dots(out + r, quarter, rows + r * n, quarter * n, query, n, 4);
    for (size_t r = 4 * quarter; r < count; r++)
        dots(out + r, 0, rows + r * n, 0, query, n, 1);
}

static void scale_neon(float *a, float scale, size_t n) {
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        vst1q_f32(a + i, vmulq_n_f32(vld1q_f32(a + i), scale));
    for (; i < n; i++)
        a[i] *= scale;
}

static void from_f16_neon(float *out, const uint16_t *in, size_t n) {
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        vst1q_f32(out + i, vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(in + i))));
    if (i < n)
        sat_from_f16_c(out + i, in + i, n - i);
}

const sat_vector_kernels sat_vector_kernels_neon = {
    .dot = dot_neon,
    .dot_rows = dot_rows_neon,
    .scale = scale_neon,
    .from_f16 = from_f16_neon,
};
