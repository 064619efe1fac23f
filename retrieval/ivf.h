/*
 * Inverted lists of FAISS: vectors by their nearest centroid, 8 bits a coordinate. The centroids and
 * the lists' choice are ours; FAISS encodes rows and scans lists, through its C API. It knows nothing
 * of files but the one it maps: generation.c says where things lie in it. Private to retrieval.
 *
 * FAISS has no call that takes encoded rows, save for reading what it has written itself. So a
 * generation file keeps the lists as FAISS writes them, after a head that is FAISS's too: then they are
 * mapped, not read, and no second copy of them is ever made. The head is small, its every byte known from
 * the dimension, the centroids, the ranges of coordinates and the sizes of lists, and it is compared
 * before FAISS sees it.
 */
#ifndef SATCHEL_RETRIEVAL_IVF_H
#define SATCHEL_RETRIEVAL_IVF_H

#include "base/base.h"

typedef struct sat_ivf sat_ivf;

/* Whether lists can be made and scanned here: FAISS in the build, a CPU that it was built for, and
 * little-endian, as its files are. */
bool sat_ivf_usable(const satchel_context *context);
/* Bytes of one vector in a list: its code and its row number. */
size_t sat_ivf_row_bytes(size_t dimension);
void sat_ivf_close(sat_ivf **ivf);

/* ------------------------------------------------------------------ making */

/* Empty lists around centroids (lists, dimension); the ranges of coordinates are those of sample
 * (sample_count, dimension). */
satchel_status sat_ivf_make(sat_ivf **out, satchel_context *context, size_t dimension, size_t lists,
                            const float *centroids, const float *sample, size_t sample_count,
                            satchel_error *error);

/* One list's share of a block of rows: codes (count, dimension) bytes, numbers (count) int64. */
typedef satchel_status (*sat_ivf_place_function)(void *user, size_t list, const uint8_t *codes,
                                                 const uint8_t *numbers, size_t count,
                                                 satchel_error *error);

/* Encodes rows (count, dimension) for the lists labels[i] >= 0, at most INT32_MAX bytes of them, and
 * hands each list what is new in it, rows in their order. */
satchel_status sat_ivf_encode(sat_ivf *ivf, const float *rows, const int32_t *labels,
                              const int64_t *numbers, size_t count, sat_ivf_place_function place,
                              void *user, satchel_error *error);

/* The head of a file with lists of these sizes. */
size_t sat_ivf_head_size(size_t dimension, size_t lists);
satchel_status sat_ivf_head(const sat_ivf *ivf, const uint64_t *sizes, sat_buffer *out,
                            satchel_error *error);

/* ------------------------------------------------------------------ scanning */

/* Maps the lists of an open file, which it closes in any case, with the head at `offset`. `head` is that
 * head in memory, `sizes` what the lists must have. DAMAGED if the head is not what it must be. */
satchel_status sat_ivf_open(sat_ivf **out, satchel_context *context, int fd, uint64_t offset,
                            const uint8_t *head, size_t dimension, size_t lists,
                            const uint64_t *sizes, satchel_error *error);
/* (lists, dimension) */
const float *sat_ivf_centroids(const sat_ivf *ivf);
/* The k best rows of a list by query · decoded row, best first; k is at most the list's size. Safe for
 * many threads. */
satchel_status sat_ivf_scan(const sat_ivf *ivf, const float *query, size_t list, size_t k,
                            float *scores, int64_t *numbers, satchel_error *error);

#endif
