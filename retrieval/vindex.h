/*
 * Vectors in memory, scored against a query by inner product: exact, over FAISS's flat index where
 * the build and the CPU have it, else over our own kernels. Rows are appended, die, and are
 * squeezed out later. It knows nothing of SQLite: collection.c fills it. Private to retrieval.
 */
#ifndef SATCHEL_RETRIEVAL_VINDEX_H
#define SATCHEL_RETRIEVAL_VINDEX_H

#include "base/base.h"

typedef struct sat_vindex sat_vindex;

/* What a row stands for. */
typedef struct sat_vector_key {
    int64_t chunk; /* 0: the row is dead */
    int64_t seq;   /* chunk.seq at loading */
} sat_vector_key;

satchel_status sat_vindex_open(sat_vindex **out, satchel_context *context, size_t dimension,
                               satchel_error *error);
void sat_vindex_close(sat_vindex **index);
/* Rows, dead ones included. */
size_t sat_vindex_count(const sat_vindex *index);
size_t sat_vindex_dead(const sat_vindex *index);
sat_vector_key sat_vindex_key(const sat_vindex *index, size_t row);
/* Appends rows: data (count, dimension). All or none. */
satchel_status sat_vindex_add(sat_vindex *index, const float *data, const sat_vector_key *keys,
                              size_t count, satchel_error *error);
void sat_vindex_kill(sat_vindex *index, size_t row);
/* Removes dead rows: the others move up, in order. After a failure the index is empty. */
satchel_status sat_vindex_squeeze(sat_vindex *index, satchel_error *error);
void sat_vindex_clear(sat_vindex *index);
/* scores[row] of the rows with wanted[row] != 0 (NULL: of all that live); others are not touched.
 * Safe for many threads while nothing is added. Uses the context's pool. */
satchel_status sat_vindex_score(const sat_vindex *index, const float *query, const uint8_t *wanted,
                                float *scores, const satchel_cancel *cancel, satchel_error *error);

/* ------------------------------------------------------------------ segments: vrows.c */

/* A block of rows of one dimension: what FAISS, or we, hold. */
typedef struct sat_vrows sat_vrows;
satchel_status sat_vrows_open(sat_vrows **out, satchel_context *context, size_t dimension,
                              satchel_error *error);
void sat_vrows_close(sat_vrows *rows);
satchel_status sat_vrows_add(sat_vrows *rows, const float *data, size_t count,
                             satchel_error *error);
/* (count, dimension) of all rows added. */
const float *sat_vrows_data(const sat_vrows *rows);
/* out[i] = row picks[i] · query, i < count. False if FAISS failed. */
bool sat_vrows_score(const sat_vrows *rows, const float *query, const int64_t *picks, size_t count,
                     float *out);
/* "faiss" or "exact": what serves on this CPU. */
const char *sat_vrows_name(const satchel_context *context);

/* ------------------------------------------------------------------ FAISS: vrows.c */

/* Whether this build has FAISS and this CPU what it was built for. */
bool sat_faiss_usable(const satchel_context *context);
#ifdef SATCHEL_HAVE_FAISS
/* The status of a call of FAISS's C API that has just failed on this thread. */
satchel_status sat_faiss_fail(satchel_error *error);
#endif

#endif
