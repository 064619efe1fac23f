/*
 * Vector kernels for AVX2 and F16C, which AVX-512 machines use too: the 8 lanes of the contract are one
 * 256-bit register, and from memory these kernels are as fast as it delivers.
 */
#include "base/kernel.h"
#include "base/vector_isa.h"

/* R rows of n, `stride` apart, together: one load of b serves all, and R chains of additions hide their
 * latency. out: (R), `step` apart. */
INLINE void dots(float *out, size_t step, const float *rows, size_t stride, const float *b,
                 size_t n, const int R) {
    __m256 lane[4];
    size_t i = 0;
    EACH (r, R)
        lane[r] = _mm256_setzero_ps();
    for (; i + 8 <= n; i += 8) {
        __m256 y = _mm256_loadu_ps(b + i);
        EACH (r, R)
            lane[r] = _mm256_add_ps(
                lane[r], _mm256_mul_ps(_mm256_loadu_ps(rows + (size_t)r * stride + i), y));
    }
    if (i < n) { /* a lane without an element adds +0, which changes nothing: no lane is −0 */
        __m256i mask = lanes_below(n - i);
        __m256 y = _mm256_maskload_ps(b + i, mask);
        EACH (r, R)
            lane[r] = _mm256_add_ps(
                lane[r], _mm256_mul_ps(_mm256_maskload_ps(rows + (size_t)r * stride + i, mask), y));
    }
    EACH (r, R)
        out[(size_t)r * step] = sum_eight(lane[r]);
}

static float dot_avx2(const float *a, const float *b, size_t n) {
    float out;
    dots(&out, 0, a, 0, b, n, 1);
    return out;
}

static void dot_rows_avx2(float *out, const float *rows, const float *query, size_t count,
                          size_t n) {
    /* A row from each quarter: four streams get more out of memory than one (1.5 times, measured). */
    size_t quarter = count / 4;
    for (size_t r = 0; r < quarter; r++)
        dots(out + r, quarter, rows + r * n, quarter * n, query, n, 4);
    for (size_t r = 4 * quarter; r < count; r++)
        dots(out + r, 0, rows + r * n, 0, query, n, 1);
}

static void scale_avx2(float *a, float scale, size_t n) {
    __m256 by = _mm256_set1_ps(scale);
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(a + i, _mm256_mul_ps(_mm256_loadu_ps(a + i), by));
    for (; i < n; i++)
        a[i] *= scale;
}

static void from_f16_avx2(float *out, const uint16_t *in, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(in + i))));
    for (; i < n; i++)
        out[i] = _cvtsh_ss(in[i]);
}

const sat_vector_kernels sat_vector_kernels_avx2 = {
    .dot = dot_avx2,
    .dot_rows = dot_rows_avx2,
    .scale = scale_avx2,
    .from_f16 = from_f16_avx2,
};
