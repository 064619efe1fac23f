/*
 * Two hashes. sat_hash64: two lanes of state and one 64x64->128 bit multiplication for every 16
 * bytes; the same on every machine, because chunk bounds are chosen by it. sat_sha256: FIPS 180-4.
 */
#include "base/hash.h"

#include <string.h>

/* ------------------------------------------------------------------ 64 bits */

/* Odd numbers with evenly spread bits: 2^64 / golden ratio, and fractions of square roots of 2,
 * 3. */
#define K0 UINT64_C(0x9E3779B97F4A7C15)
#define K1 UINT64_C(0x6A09E667F3BCC909)
#define K2 UINT64_C(0xBB67AE8584CAA73B)

static uint64_t load_le(const uint8_t *bytes, size_t size) {
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static void multiply(uint64_t a, uint64_t b, uint64_t *low, uint64_t *high) {
#if defined(__SIZEOF_INT128__)
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    *low = (uint64_t)product;
    *high = (uint64_t)(product >> 64);
#else
    uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
    uint64_t middle = a1 * b0 + (a0 * b0 >> 32);
    uint64_t carry = a0 * b1 + (uint32_t)middle;
    *low = a * b;
    *high = a1 * b1 + (middle >> 32) + (carry >> 32);
#endif
}

/* Takes in 16 bytes. What went into the product stays in the state beside it, so that a factor of
 * zero, which input can be made to give, loses nothing. */
static void take(uint64_t state[2], uint64_t first, uint64_t second) {
    uint64_t low, high;
    uint64_t x = state[0] ^ first, y = state[1] ^ second;
    multiply(x ^ K1, y ^ K2, &low, &high);
    state[0] = y + low;
    state[1] = (x << 29 | x >> 35) + high;
}

uint64_t sat_hash64(const void *data, size_t size, uint64_t seed) {
    const uint8_t *bytes = data;
    uint64_t state[2] = {seed ^ K0, seed + (uint64_t)size * K0};
    size_t left = size;
    for (; left > 16; left -= 16, bytes += 16)
        take(state, load_le(bytes, 8), load_le(bytes + 8, 8));
    if (left > 8)
        take(state, load_le(bytes, 8), load_le(bytes + 8, left - 8));
    else
        take(state, load_le(bytes, left), 0);
    take(state, K2, K0);
    uint64_t hash = state[0] ^ state[1];
    hash = (hash ^ hash >> 32) * K0;
    hash = (hash ^ hash >> 29) * K1;
    return hash ^ hash >> 32;
}

/* ------------------------------------------------------------------ SHA-256 */

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t value, int bits) {
    return value >> bits | value << (32 - bits);
}

static void compress(uint32_t state[8], const uint8_t block[64]) {
    uint32_t w[64];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (int i = 0; i < 64; i++) {
        uint32_t s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
        uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + round_constants[i] + w[i];
        uint32_t s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
        uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + t1;
        d = c, c = b, b = a, a = t1 + t2;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

void sat_sha256_init(sat_sha256 *hash) {
    /* The first 32 bits of the fractional parts of the square roots of the first 8 primes. */
    static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memcpy(hash->state, initial, sizeof initial);
    hash->length = 0;
}

void sat_sha256_add(sat_sha256 *hash, const void *data, size_t size) {
    const uint8_t *bytes = data;
    size_t held = (size_t)(hash->length % 64);
    hash->length += size;
    if (held && size) {
        size_t part = size < 64 - held ? size : 64 - held;
        memcpy(hash->block + held, bytes, part);
        bytes += part;
        size -= part;
        if (held + part < 64)
            return;
        compress(hash->state, hash->block);
    }
    for (; size >= 64; size -= 64, bytes += 64)
        compress(hash->state, bytes);
    if (size)
        memcpy(hash->block, bytes, size);
}

void sat_sha256_end(sat_sha256 *hash, uint8_t digest[32]) {
    uint64_t bits = hash->length * 8;
    size_t held = (size_t)(hash->length % 64);
    hash->block[held++] = 0x80;
    if (held > 56) {
        memset(hash->block + held, 0, 64 - held);
        compress(hash->state, hash->block);
        held = 0;
    }
    memset(hash->block + held, 0, 56 - held);
    for (int i = 0; i < 8; i++)
        hash->block[56 + i] = (uint8_t)(bits >> (56 - 8 * i));
    compress(hash->state, hash->block);
    for (int i = 0; i < 32; i++)
        digest[i] = (uint8_t)(hash->state[i / 4] >> (24 - 8 * (i % 4)));
}

sat_digest sat_digest_of(const void *data, size_t size) {
    sat_sha256 hash;
    uint8_t whole[32];
    sat_digest digest;
    sat_sha256_init(&hash);
    sat_sha256_add(&hash, data, size);
    sat_sha256_end(&hash, whole);
    memcpy(digest.bytes, whole, sizeof digest.bytes);
    return digest;
}

void sat_hex(char *out, const uint8_t *bytes, size_t size) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * size] = '\0';
}
