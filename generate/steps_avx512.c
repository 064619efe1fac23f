/* A decoder's steps for AVX-512 (F, BW, DQ, VL). */
#define COLUMNS 4
#define AT_LEAST(x, least) (floats) _mm512_max_ps((__m512)(x), (__m512)(least))
#define STORE_HALVES(p, x)                                                                         \
    _mm256_storeu_si256(                                                                           \
        (__m256i *)(void *)(p),                                                                    \
        _mm512_cvtps_ph((__m512)(x), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC))
#define BYTES(p)                                                                                   \
    (floats) _mm512_cvtepi32_ps(                                                                   \
        _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(p))))

#include "generate/steps_vector.h"

STEPS(sat_steps_avx512, SATCHEL_CPU_AVX512);
