/*
 * Where points come from, as blocks: memory (no copy), a file (read ahead by a thread of its own
 * while the caller computes), or an application's function (on the calling thread). Every pass
 * gives the same blocks: `block` rows each, the last one shorter.
 *
 * A source is used by one thread at a time. After an error, rewind or close it.
 */
#ifndef SATCHEL_CLUSTER_SOURCE_H
#define SATCHEL_CLUSTER_SOURCE_H

#include "base/base.h"

enum { SAT_MAX_DIMENSION = 65536 };

typedef struct sat_source sat_source;

typedef struct sat_source_block {
    const float *rows; /* (count, dimension); valid until the next call on the source */
    size_t stride;     /* floats */
    uint64_t first;    /* index of its first row */
    size_t count;      /* rows; 0 past the end */
} sat_source_block;

/* Checks `points` (struct_size read, exactly one origin, sizes that do not overflow, a file long
 * enough). block: rows in a block, at least 1; ignored for points in memory, which are one block.
 * `points` is copied, what it points to must live as long. */
satchel_status sat_source_open(sat_source **out, satchel_context *context,
                               const satchel_points *points, size_t block, satchel_error *error);
void sat_source_close(sat_source **source); /* NULL inside is fine */
uint64_t sat_source_count(const sat_source *source);
size_t sat_source_dimension(const sat_source *source);
/* True if all rows lie in memory: then every block is the whole, and the pointers never change. */
bool sat_source_in_memory(const sat_source *source);
/* Bytes of buffers it holds. */
uint64_t sat_source_bytes(const sat_source *source);
/* Starts a pass from row 0; reading ahead begins. */
satchel_status sat_source_rewind(sat_source *source, satchel_error *error);
/* The next block of the pass that rewind started; without one there is none: count 0. */
satchel_status sat_source_next(sat_source *source, sat_source_block *block, satchel_error *error);
/* Copies single rows, indices rising (the same one twice is fine), to out: (count, dimension). Ends
 * a pass that is under way. */
satchel_status sat_source_fetch(sat_source *source, const uint64_t *rows, size_t count, float *out,
                                satchel_error *error);

#endif
