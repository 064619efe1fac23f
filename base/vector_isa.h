/* What the files of the vector kernel family share: the tables, and the C functions that other
 * levels use where they have nothing better. */
#ifndef SATCHEL_BASE_VECTOR_ISA_H
#define SATCHEL_BASE_VECTOR_ISA_H

#include "base/vector.h"

extern const sat_vector_kernels sat_vector_kernels_c;
extern const sat_vector_kernels sat_vector_kernels_avx2;   /* x86-64 only */
extern const sat_vector_kernels sat_vector_kernels_avx512; /* x86-64 only */
extern const sat_vector_kernels sat_vector_kernels_neon;   /* AArch64 only */

float sat_dot_c(const float *a, const float *b, size_t n);
void sat_dot_rows_c(float *out, const float *rows, const float *query, size_t count, size_t n);
void sat_scale_c(float *a, float scale, size_t n);
void sat_from_f16_c(float *out, const uint16_t *in, size_t n);

#endif
