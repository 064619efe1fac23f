/* What the files of the vector kernel family share: the tables, and C functions that other levels use
 * for their tails. */
#ifndef SATCHEL_BASE_VECTOR_ISA_H
#define SATCHEL_BASE_VECTOR_ISA_H

#include "base/vector.h"

extern const sat_vector_kernels sat_vector_kernels_c;
extern const sat_vector_kernels sat_vector_kernels_avx2; /* x86-64 only; for AVX-512 too */
extern const sat_vector_kernels sat_vector_kernels_neon; /* AArch64 only */

void sat_from_f16_c(float *out, const uint16_t *in, size_t n);

#endif
