/* Hashes: a fast 64-bit one for tables in memory, and a 128-bit one that names content on disk. */
#ifndef SATCHEL_BASE_HASH_H
#define SATCHEL_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t sat_hash64(const void *data, size_t size, uint64_t seed);

/* SHA-256 (FIPS 180-4), streamed. Content names in a store are its first 16 bytes: a chunk's vector is
 * reused by that name, so no one may be able to forge a collision. */
typedef struct sat_sha256 {
    uint32_t state[8];
    uint64_t length;
    uint8_t block[64];
} sat_sha256;

void sat_sha256_init(sat_sha256 *hash);
void sat_sha256_add(sat_sha256 *hash, const void *data, size_t size);
void sat_sha256_end(sat_sha256 *hash, uint8_t digest[32]);

typedef struct sat_digest {
    uint8_t bytes[16];
} sat_digest;
sat_digest sat_digest_of(const void *data, size_t size);
/* 2 * size lower-case hex digits and a NUL. */
void sat_hex(char *out, const uint8_t *bytes, size_t size);

#endif
