/*
 * Random numbers that are the same on every machine: xoshiro256** (Blackman and Vigna, 2018), its
 * state filled by SplitMix64 (Steele, Lea and Flood, 2014).
 */
#ifndef SATCHEL_BASE_RANDOM_H
#define SATCHEL_BASE_RANDOM_H

#include <stdint.h>

typedef struct sat_random {
    uint64_t state[4];
} sat_random;

/* SplitMix64's output function: every bit of x reaches every bit of the result. */
static inline uint64_t sat_random_mix(uint64_t x) {
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

#define SAT_RANDOM_STEP UINT64_C(0x9E3779B97F4A7C15) /* 2⁶⁴ over the golden ratio */

/* SplitMix64 never gives four zeros in a row, the one state that must not be. */
static inline void sat_random_seed(sat_random *random, uint64_t seed) {
    for (int i = 0; i < 4; i++)
        random->state[i] = sat_random_mix(seed += SAT_RANDOM_STEP);
}

static inline uint64_t sat_random_next(sat_random *random) {
    uint64_t *s = random->state, mixed = s[1] * 5, kept = s[1] << 17;
    mixed = ((mixed << 7) | (mixed >> 57)) * 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= kept;
    s[3] = (s[3] << 45) | (s[3] >> 19);
    return mixed;
}

/* 0 .. n − 1, each equally likely: draws of as many bits as n − 1 has until one is in range. */
static inline uint64_t sat_random_below(sat_random *random, uint64_t n) {
    if (n <= 1)
        return 0;
    int spare = __builtin_clzll(n - 1);
    uint64_t drawn;
    do
        drawn = sat_random_next(random) >> spare;
    while (drawn >= n);
    return drawn;
}

/* [0, 1), from 53 of the bits. */
static inline double sat_random_fraction(uint64_t bits) {
    return (double)(bits >> 11) * 0x1p-53;
}

#endif
