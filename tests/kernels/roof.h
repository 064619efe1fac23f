/* What a level's instructions reach at best on this machine: independent chains in registers, and reads
 * of memory. For the shares that --bench prints. */
#ifndef SATCHEL_TESTS_KERNELS_ROOF_H
#define SATCHEL_TESTS_KERNELS_ROOF_H

#include <stddef.h>

#include "sdk/include/satchel.h"

typedef struct kernel_roof {
    const char *int8; /* the instructions behind int8_ops */
    /* Run `rounds` rounds and return the operations done, a multiply-add counting as two. */
    double (*float_ops)(size_t rounds);
    double (*int8_ops)(size_t rounds);
    void (*read)(const void *data, size_t bytes); /* bytes % 4096 == 0, 64-byte aligned */
    /* int8 products of the few bits that clustering makes do with; NULL: as int8_ops. */
    double (*few_bits_ops)(size_t rounds);
} kernel_roof;

extern const kernel_roof kernel_roof_avx2, kernel_roof_avxvnni, kernel_roof_avx512;
extern const kernel_roof kernel_roof_neon, kernel_roof_dotprod, kernel_roof_i8mm;

/* The roofs of a level, SATCHEL_CPU_*; NULL if none are known. */
static inline const kernel_roof *kernel_roof_for(int32_t level) {
#if defined(__x86_64__)
    return level == SATCHEL_CPU_AVX2      ? &kernel_roof_avx2
           : level == SATCHEL_CPU_AVXVNNI ? &kernel_roof_avxvnni
           : level == SATCHEL_CPU_AVX512  ? &kernel_roof_avx512
                                          : NULL;
#elif defined(__aarch64__)
    return level == SATCHEL_CPU_NEON      ? &kernel_roof_neon
           : level == SATCHEL_CPU_DOTPROD ? &kernel_roof_dotprod
           : level == SATCHEL_CPU_I8MM    ? &kernel_roof_i8mm
                                          : NULL;
#else
    return NULL;
#endif
}

/* Keeps the compiler from seeing what a vector register holds. */
#if defined(__x86_64__)
#define OPAQUE(x) __asm__ volatile("" : "+v"(x))
#else
#define OPAQUE(x) __asm__ volatile("" : "+w"(x))
#endif
/* Sixteen accumulators would not fit AVX2's registers beside the operands. */
#define TWELVE(do)                                                                                 \
    do                                                                                             \
    (0) do(1) do(2) do(3) do(4) do(5) do(6) do(7) do(8) do(9) do(10) do(11)

/* name(rounds): twelve chains of STEP(i), each of which adds to acc[i] what comes of x, in so many
 * operations. */
#define OPS(name, STEP, sums, operand, ones, operations)                                           \
    static double name(size_t rounds) {                                                            \
        sums acc[12] = {0};                                                                        \
        operand x = ones;                                                                          \
        for (size_t r = 0; r < rounds; r++) {                                                      \
            TWELVE(STEP)                                                                           \
        }                                                                                          \
        return (double)rounds * 12 * (operations);                                                 \
    }

/* read_all: four streams, each vector of which is merged into one register. */
#define READ_ALL(vector, load, merge)                                                              \
    static void read_all(const void *data, size_t bytes) {                                         \
        const uint8_t *p = data;                                                                   \
        size_t quarter = bytes / 4;                                                                \
        vector a = {0}, b = a, c = a, d = a;                                                       \
        for (size_t i = 0; i < quarter; i += sizeof(vector)) {                                     \
            a = merge(a, load(p + i));                                                             \
            b = merge(b, load(p + quarter + i));                                                   \
            c = merge(c, load(p + 2 * quarter + i));                                               \
            d = merge(d, load(p + 3 * quarter + i));                                               \
        }                                                                                          \
        a = merge(merge(a, b), merge(c, d));                                                       \
        OPAQUE(a);                                                                                 \
    }

/* Floats and memory of another level. */
#define FLOATS_AND_MEMORY_OF(roof)                                                                 \
    static double float_ops(size_t rounds) {                                                       \
        return roof.float_ops(rounds);                                                             \
    }                                                                                              \
    static void read_all(const void *data, size_t bytes) {                                         \
        roof.read(data, bytes);                                                                    \
    }

#endif
