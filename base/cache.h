/*
 * A folder of blobs that may vanish. What can be computed again is kept there under a key that
 * names all it was computed from; a blob is given back whole or not at all. Many threads and many
 * processes may use one folder; it may be emptied or deleted at any moment.
 *
 * A blob is one file, "satchel-<key in hex>.blob", in the machine's byte order:
 *
 *      0  "SATBLOB" and a NUL
 *      8  uint32 version of this form: 1
 *     12  uint32 size of this header: 128
 *     16  key (32 bytes)
 *     48  uint64 size of the content
 *     56  uint64 sat_hash64 of the content, seed 0
 *     64  zeros
 *    120  uint64 sat_hash64 of the 120 bytes before, seed 0
 *    128  content
 *
 * It is written as "satchel-<key>-<number>.tmp" and renamed. Files of other names are none of ours
 * and are left alone. The checksum finds damage; it does not keep out someone who may write to the
 * folder.
 */
#ifndef SATCHEL_BASE_CACHE_H
#define SATCHEL_BASE_CACHE_H

#include "base/file.h"

enum { SAT_CACHE_KEY = 32, SAT_CACHE_HEADER = 128 };

typedef struct sat_cache_key {
    uint8_t bytes[SAT_CACHE_KEY];
} sat_cache_key;

typedef struct sat_cache sat_cache;

/* Makes the folder, for its owner alone, if it is missing; its parent must exist. limit: bytes in
 * it at most; what is there and more goes at once. free_floor: bytes that stay free on the volume.
 * 0: defaults. The context outlives it. */
satchel_status sat_cache_open(sat_cache **out, struct satchel_context *context, const char *folder,
                              uint64_t limit, uint64_t free_floor, satchel_error *error);
void sat_cache_close(sat_cache **cache); /* mappings stay valid */

/* A blob of `size` bytes, checked: out->data is the content, 64-byte aligned; sat_file_unmap gives
 * it back. NOT_FOUND if there is none; one that is damaged, cut short or foreign is deleted and
 * logged, and not found. Other statuses say that it could not be read now. */
satchel_status sat_cache_map(sat_cache *cache, const sat_cache_key *key, size_t size,
                             sat_mapping *out, satchel_error *error);
/* Whether one of that size seems to be there; what is in it is not looked at. */
bool sat_cache_has(sat_cache *cache, const sat_cache_key *key, size_t size);
/* Notes a use: of two blobs, the one noted last stays longer. */
void sat_cache_touch(sat_cache *cache, const sat_cache_key *key);
/* Writes a blob: whole or not at all. Makes room by deleting what was not used for longest, but
 * none of kept[0..kept_count). LIMIT: there is no room without those. DISK_FULL: the volume would
 * have less than the floor. Others: what the file system said. */
satchel_status sat_cache_put(sat_cache *cache, const sat_cache_key *key, const void *data,
                             size_t size, const sat_cache_key *kept, size_t kept_count,
                             satchel_error *error);
/* Deletes every blob and what others are writing; goes on past what cannot be deleted, and gives the
 * first error. What is written while it runs may stay. */
satchel_status sat_cache_clear(sat_cache *cache, satchel_error *error);

#endif
