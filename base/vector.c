/* Vector kernels: the table of a level, and what is built on the kernels. */
#include "base/vector.h"

#include <math.h>

#include "base/cpu.h"
#include "base/vector_isa.h"

const sat_vector_kernels *sat_vector_kernels_for(int32_t level) {
    switch (level) {
#if defined(__x86_64__)
    case SATCHEL_CPU_AVX2:
    case SATCHEL_CPU_AVXVNNI:
    case SATCHEL_CPU_AVX512:
        return &sat_vector_kernels_avx2;
#elif defined(__aarch64__)
    case SATCHEL_CPU_NEON:
    case SATCHEL_CPU_DOTPROD:
    case SATCHEL_CPU_I8MM:
        return &sat_vector_kernels_neon;
#endif
    default:
        return &sat_vector_kernels_c;
    }
}

int sat_vector_normalize(const sat_vector_kernels *kernels, float *a, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * a[i];
    /* The sum of squares of floats cannot overflow a double, but 1/length can overflow a float. */
    double inverse = 1 / sqrt(sum);
    if (!(inverse > 0 && inverse <= 3.4e38))
        return 0;
    kernels->scale(a, (float)inverse, n);
    return 1;
}
