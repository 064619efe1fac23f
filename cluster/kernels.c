/* Kernels of clustering: the table of a level. */
#include "cluster/kernels.h"

#include "sdk/include/satchel.h"

const sat_cluster_kernels *sat_cluster_kernels_for(int32_t level) {
    switch (level) {
#if defined(__x86_64__)
    case SATCHEL_CPU_AVX2:
        return &sat_cluster_kernels_avx2;
    case SATCHEL_CPU_AVXVNNI:
        return &sat_cluster_kernels_avxvnni;
    case SATCHEL_CPU_AVX512:
        return &sat_cluster_kernels_avx512;
#elif defined(__aarch64__)
    case SATCHEL_CPU_NEON:
        return &sat_cluster_kernels_neon;
    case SATCHEL_CPU_DOTPROD:
        return &sat_cluster_kernels_dotprod;
    case SATCHEL_CPU_I8MM:
        return &sat_cluster_kernels_i8mm;
#endif
    default:
        return &sat_cluster_kernels_c;
    }
}
