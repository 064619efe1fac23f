/*
 * Vector scores from an index generation: exact cosines of the rows that can be among the best, and
 * how the cosines of all lie. Private to retrieval.
 */
#ifndef SATCHEL_RETRIEVAL_INDEX_SEARCH_H
#define SATCHEL_RETRIEVAL_INDEX_SEARCH_H

#include "retrieval/collection.h"
#include "retrieval/fuse.h"

typedef struct sat_index_search {
    const sat_collection *collection; /* held, with a generation */
    sat_connection *reader;
    const float *query;      /* (dimension), of length 1 */
    const uint8_t *pass;     /* (collection->count) 1: passes the filter; NULL: all do */
    const float *keyword;    /* (collection->count), 0: no match; NULL: only vectors rank */
    sat_scale keyword_scale; /* of keyword */
    float weight;            /* of the vector part against it */
    size_t k;
    const satchel_cancel *cancel;
    float *vector;   /* out (collection->count): cosines, NaN: none, or not among the best */
    sat_scale scale; /* out: of the cosines of all */
} sat_index_search;

/* With generation->damaged set after DAMAGED, it is the index that is damaged, and the search can
 * be run again without it. */
satchel_status sat_index_search_run(sat_index_search *search, satchel_error *error);

#endif
