/* A decoder's steps for AVX2, FMA and F16C. */
#define COLUMNS 2
#define AT_LEAST(x, least) (floats) _mm256_max_ps((__m256)(x), (__m256)(least))
#define STORE_HALVES(p, x)                                                                         \
    _mm_storeu_si128((__m128i *)(void *)(p),                                                       \
                     _mm256_cvtps_ph((__m256)(x), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC))
#define BYTES(p)                                                                                   \
    (floats) _mm256_cvtepi32_ps(                                                                   \
        _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(p))))

#include "generate/steps_vector.h"

STEPS(sat_steps_avx2, SATCHEL_CPU_AVX2);
