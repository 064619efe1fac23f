/*
 * Inverted lists of FAISS: vectors by their nearest centroid, 8 bits a coordinate. Centroids, the
 * choice of lists and the file they lie in are ours; FAISS encodes rows and scans lists, through
 * its C API and scripts/faiss/lists.h. Private to retrieval.
 *
 * FAISS's own file format is not used: reading it needs a copy of all lists, or a mapping that
 * FAISS makes, and links every kind of index it knows, 2 MB of them. Lists are scanned where the
 * generation file is mapped.
 */
#ifndef SATCHEL_RETRIEVAL_IVF_H
#define SATCHEL_RETRIEVAL_IVF_H

#include "base/base.h"

typedef struct sat_ivf sat_ivf;

/* Whether lists can be made and scanned here: FAISS in the build, a CPU that it was built for, and
 * little-endian, as the file is. */
bool sat_ivf_usable(const satchel_context *context);
void sat_ivf_close(sat_ivf **ivf);

/* ------------------------------------------------------------------ making */

/* Empty lists around centroids (lists, dimension); the ranges of coordinates are those of sample
 * (sample_count, dimension). */
satchel_status sat_ivf_make(sat_ivf **out, satchel_context *context, size_t dimension, size_t lists,
                            const float *centroids, const float *sample, size_t sample_count,
                            satchel_error *error);
/* (2, dimension): the least value and the width of each coordinate. */
satchel_status sat_ivf_ranges(const sat_ivf *ivf, float *ranges, satchel_error *error);

/* One list's share of a block of rows: codes (count, dimension), numbers (count). */
typedef satchel_status (*sat_ivf_place_function)(void *user, size_t list, const uint8_t *codes,
                                                 const int32_t *numbers, size_t count,
                                                 satchel_error *error);

/* Encodes rows (count, dimension) for the lists labels[i], and hands each list what is new in it,
 * rows in their order. Row i has number first + i. */
satchel_status sat_ivf_encode(sat_ivf *ivf, const float *rows, const int32_t *labels, int32_t first,
                              size_t count, sat_ivf_place_function place, void *user,
                              satchel_error *error);

/* ------------------------------------------------------------------ scanning */

/* A list in memory: codes (rows, dimension) at `offset` from the base. */
typedef struct sat_ivf_list {
    uint64_t offset, rows, hash; /* the last is the generation's */
} sat_ivf_list;

/* Lists that lie at `base`; ranges, base and table (lists) must outlive it. */
satchel_status sat_ivf_open(sat_ivf **out, satchel_context *context, size_t dimension, size_t lists,
                            const float *ranges, const uint8_t *base, const sat_ivf_list *table,
                            satchel_error *error);
/* The k best rows of a list by query · decoded row, best first, as positions in it, -1 past the
 * last; k is at least 1. Safe for many threads. */
satchel_status sat_ivf_scan(const sat_ivf *ivf, const float *query, size_t list, size_t k,
                            float *scores, int64_t *positions, satchel_error *error);

#endif
