/*
 * What a search leaves: its hits, and what was known about the query when they were ranked, for the
 * code that answers from them. Private to retrieval.
 */
#ifndef SATCHEL_RETRIEVAL_SEARCH_H
#define SATCHEL_RETRIEVAL_SEARCH_H

#include "retrieval/fuse.h"
#include "retrieval/store.h"

typedef struct sat_hit {
    satchel_hit hit;           /* strings in the results' arena */
    satchel_range *matches;    /* (hit.match_count), in the arena */
    int64_t document;          /* row id */
    float keyword_z, vector_z; /* on the scale of the collection; 0 where not scored */
} sat_hit;

struct satchel_results {
    satchel_context *context; /* referenced */
    sat_arena arena;
    int32_t mode; /* that served */
    sat_hit *hits;
    size_t count;

    /* The query. */
    sat_query_terms terms;
    bool has_terms;
    float *idf;          /* (terms.count) over the whole store; NULL without terms */
    float *query_vector; /* (dimension); NULL where no vectors served */
    size_t dimension;
    float share;        /* of the query that the embedder knows; 0 without one */
    int64_t chunks;     /* in the store */
    int64_t candidates; /* chunks that pass the filter */
    int64_t matched;    /* of them, with a keyword of the query */
};

/* Fills the hits of chunks, best first, from reader's snapshot: text, ranges, matches, snippet.
 * Scores are set by the caller. */
satchel_status sat_results_fill(satchel_results *results, sat_connection *reader,
                                const int64_t *chunks, size_t count, satchel_error *error);

#endif
