/* The table of a decoder's steps for a level. */
#include "generate/steps.h"

#include "sdk/include/satchel.h"

const sat_step_kernels *sat_step_kernels_for(int32_t level) {
    switch (level) {
#if defined(__x86_64__)
    case SATCHEL_CPU_AVX2:
    case SATCHEL_CPU_AVXVNNI:
        return &sat_steps_avx2;
    case SATCHEL_CPU_AVX512:
        return &sat_steps_avx512;
#elif defined(__aarch64__)
    case SATCHEL_CPU_NEON:
    case SATCHEL_CPU_DOTPROD:
    case SATCHEL_CPU_I8MM:
        return &sat_steps_neon;
#endif
    default:
        return &sat_steps_c;
    }
}
