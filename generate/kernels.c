/* Encoder kernels: the table of a level, and the functions that walk rows with it. */
#include "generate/kernels.h"

#include "generate/kernels_isa.h"

const sat_kernels *sat_kernels_for(int32_t level) {
    switch (level) {
#if defined(__x86_64__)
    case SATCHEL_CPU_AVX2:
    case SATCHEL_CPU_AVXVNNI:
        return &sat_kernels_avx2;
    case SATCHEL_CPU_AVX512:
        return &sat_kernels_avx512;
#elif defined(__aarch64__)
    case SATCHEL_CPU_NEON:
        return &sat_kernels_neon;
    case SATCHEL_CPU_DOTPROD:
    case SATCHEL_CPU_I8MM:
        return &sat_kernels_dotprod;
#endif
    default:
        return &sat_kernels_c;
    }
}

void sat_quantize(const sat_kernels *kernels, const sat_q8_rows *q8, const sat_rows *x, size_t row,
                  size_t row_end) {
    size_t blocks = q8->columns / SAT_Q8_BLOCK;
    if (row < row_end)
        kernels->quantize(q8->values + row * q8->columns, q8->columns, q8->scales + row * blocks,
                          blocks, x->data + row * x->stride, x->stride, row_end - row, q8->columns);
}

void sat_add_norm(const sat_kernels *kernels, const sat_rows *out, const sat_q8_rows *q8,
                  const sat_rows *x, const sat_rows *residual, const sat_norm *norm, size_t n,
                  size_t row, size_t row_end) {
    size_t count;
    for (size_t r = row; r < row_end; r += count) {
        count = row_end - r < 4 ? row_end - r : 4;
        kernels->add_norm(out->data + r * out->stride, out->stride, x->data + r * x->stride,
                          x->stride, residual ? residual->data + r * residual->stride : NULL,
                          residual ? residual->stride : 0, norm, n, count);
        if (q8) /* while the rows are in the first cache */
            sat_quantize(kernels, q8, out, r, r + count);
    }
}
