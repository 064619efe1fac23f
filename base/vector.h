/*
 * Kernels on vectors of float, one table per instruction-set level. C is the reference
 * (vector_c.c); vector_<isa>.c override it. Sums run in 8 fixed lanes and a fixed tree on every
 * level (lane i sums elements i, i+8, i+16, …; then ((0+4)+(2+6))+((1+5)+(3+7))), products are rounded
 * before they are added, so that every level gives the same bits.
 */
#ifndef SATCHEL_BASE_VECTOR_H
#define SATCHEL_BASE_VECTOR_H

#include <stddef.h>
#include <stdint.h>

typedef struct sat_vector_kernels {
    /* Σ a[i]·b[i] */
    float (*dot)(const float *a, const float *b, size_t n);
    /* out[r] = Σ rows[r][i]·query[i] for r < count; rows: (count, n) */
    void (*dot_rows)(float *out, const float *rows, const float *query, size_t count, size_t n);
    /* a[i] *= scale */
    void (*scale)(float *a, float scale, size_t n);
    /* IEEE half to single, exact */
    void (*from_f16)(float *out, const uint16_t *in, size_t n);
} sat_vector_kernels;

/* Never NULL; `level` is SATCHEL_CPU_*. */
const sat_vector_kernels *sat_vector_kernels_for(int32_t level);
/* Scales a to length 1 (double accumulation); false if its length is 0 or not finite. */
int sat_vector_normalize(const sat_vector_kernels *kernels, float *a, size_t n);

#endif
