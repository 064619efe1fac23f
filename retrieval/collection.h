/*
 * The collection in memory: one row per chunk in the order of the texts, with what ranking needs of
 * each, and the vectors. A vector's place is a row of the index generation, if there is one, or
 * beyond them a row of the vectors held in memory: those that are newer, or all. Both come by
 * chunk.seq. Derived from the store at the first search and kept in line with it by its counters;
 * shared by all searches of a store. Private to retrieval.
 */
#ifndef SATCHEL_RETRIEVAL_COLLECTION_H
#define SATCHEL_RETRIEVAL_COLLECTION_H

#include "retrieval/generation.h"
#include "retrieval/store.h"
#include "retrieval/vindex.h"

#define SAT_NO_VECTOR UINT32_MAX

typedef struct sat_collection_id {
    int64_t chunk;
    uint32_t row;
} sat_collection_id;

typedef struct sat_collection {
    sat_store *store;
    pthread_rwlock_t lock;
    int64_t change, erased; /* of the state it shows; -1: none */
    int64_t model;          /* row id of the vectors' model; 0: none */
    size_t count, capacity;
    /* (count), in order of document and ordinal. */
    int64_t *chunk, *document;
    float *length;          /* in terms, by sat_fts_length() */
    uint8_t *joined;        /* 1: of the same document as the row before */
    uint32_t *vector;       /* its place, or SAT_NO_VECTOR */
    sat_collection_id *ids; /* (count), by chunk */
    sat_vindex *vectors;    /* in memory; NULL without an embedder */
    size_t embedded;        /* rows with a vector */

    sat_generation *generation; /* NULL: all vectors are in memory */
    uint8_t *dead;              /* (its rows) 1: not in the store any more */
    size_t dead_count;
    int64_t missed; /* number of a generation whose file was not there; 0: none */

    struct sat_scratch *_Atomic spare; /* see sat_collection_scratch() */
} sat_collection;

/* Room for scores, a few for each row. The last one given back is kept: in a large store, pages
 * that are new for every search cost more than what is written there. */
typedef struct sat_scratch {
    size_t count;
    float values[]; /* (count) */
} sat_scratch;

satchel_status sat_collection_open(sat_collection **out, sat_store *store, satchel_error *error);
void sat_collection_close(sat_collection **collection);

/*
 * Brings the collection in line with reader's snapshot and holds it so, for reading, until end. It
 * may take a newer snapshot, so nothing is read in it before. Errors: IO, DAMAGED, MEMORY_LIMIT, …
 */
satchel_status sat_collection_begin(sat_collection *collection, sat_connection *reader,
                                    satchel_error *error);
void sat_collection_end(sat_collection *collection);

/* The next begin looks at everything anew: the generation was found damaged. */
void sat_collection_forget(sat_collection *collection);

/* NULL when out of memory. The values are undefined. */
sat_scratch *sat_collection_scratch(sat_collection *collection, size_t count);
void sat_collection_give_scratch(sat_collection *collection, sat_scratch *scratch); /* or NULL */

/* Rows of the generation: places below it are its rows. */
static inline size_t sat_collection_indexed(const sat_collection *collection) {
    return collection->generation ? collection->generation->info.rows : 0;
}

/* The row of a chunk, SIZE_MAX if there is none. *hint: 0 at first; speeds up ascending chunks. */
size_t sat_collection_row(const sat_collection *collection, int64_t chunk, size_t *hint);

/* ------------------------------------------------------------------ collection_vectors.c */

/* Brings the vectors in line. NOT_FOUND: the index that the snapshot names is gone; in a newer
 * snapshot there may be another, and if not, all vectors are loaded. */
satchel_status sat_collection_refresh_vectors(sat_collection *collection, sat_connection *reader,
                                              const sat_state *state, bool erased,
                                              satchel_error *error);

#endif
