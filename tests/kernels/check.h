/*
 * Kernel checks: every kernel at every level of this machine against the C reference, and the C
 * reference against an independent computation in double. Buffers end where unmapped memory begins or
 * are surrounded by canaries, and start at any alignment of their element type.
 */
#ifndef SATCHEL_TESTS_KERNELS_CHECK_H
#define SATCHEL_TESTS_KERNELS_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/vector.h"
#include "generate/kernels.h"

/* ------------------------------------------------------------------ named error bounds */

#define UNIT_ROUNDOFF 0x1p-24 /* of float: half an ulp, relative */
/* 2^y inside softmax. */
#define EXP2_RELATIVE 1.2e-7
/* Φ inside GELU, before the product with x. */
#define PHI_ABSOLUTE 1.0e-7

/* ------------------------------------------------------------------ the harness */

/* The levels of this machine, C first. */
extern int32_t check_levels[8];
extern size_t check_level_count;

/* A case reports failures with FAIL; it goes on, and only the first few are printed. */
void check_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define FAIL(...) check_fail(__FILE__, __LINE__, __VA_ARGS__)
#define EXPECT(condition, ...)                                                                     \
    do {                                                                                           \
        if (!(condition))                                                                          \
            FAIL(__VA_ARGS__);                                                                     \
    } while (0)

/* A case runs once for each level; for the C level it compares with double, for others with C. */
typedef void check_case(int32_t level);
void check_run(const char *name, check_case *run);

/* ------------------------------------------------------------------ data */

uint32_t check_random(void);
static inline size_t check_below(size_t n) {
    return check_random() % n;
}
double check_uniform(double low, double high);

typedef enum check_style {
    STYLE_NORMAL,    /* about 1 in size */
    STYLE_SMALL_INT, /* −8 to 8: exact ties in rounding */
    STYLE_WIDE,      /* exponents −60 to 60 */
    STYLE_SUBNORMAL, /* subnormal and least normal */
    STYLE_ZERO,      /* mostly +0 and −0 */
    STYLE_HUGE,      /* up to the largest float */
    STYLE_COUNT
} check_style;
void check_fill(float *x, size_t n, check_style style);
void check_bytes(void *out, size_t n);

/* `bytes` followed by `tail` bytes and then by unmapped memory; all around is canaries. Freed when the
 * case ends. tail 0: reading one byte too far crashes. */
void *check_buffer(size_t bytes, size_t tail);
/* Output: some canaries behind it, so that it starts at any multiple of 4 bytes. */
static inline void *check_output(size_t bytes) {
    return check_buffer(bytes, 4 * check_below(17));
}
/* Fails if anything around any buffer of this case has been written. */
void check_canaries(void);
/* Frees the case's buffers, checking their canaries first. */
void check_release(void);

/* Equal bits, where any NaN equals any other. */
bool check_same_floats(const float *a, const float *b, size_t n, size_t *where);

/* ------------------------------------------------------------------ cases */

void check_vector(void);
void check_products(void);
void check_rows(void);
void check_gemm(void);
void check_attention(void);
void check_matmul(void);
void check_steps(void);
void check_cluster(void);
void check_cluster_tile(void);

/* Values within ±limit, all at one end of it now and then. */
void check_values(int8_t *out, size_t n, int32_t limit);

void bench_all(void);

#endif
