/* Where a passage bears out what was said: the part of cite.h that looks at passages. */
#ifndef SATCHEL_RETRIEVAL_CITE_SOURCE_H
#define SATCHEL_RETRIEVAL_CITE_SOURCE_H

#include "retrieval/alike.h"
#include "retrieval/cite.h"

/* A passage, its sentences and their terms; taken apart when it is first cited. */
typedef struct sat_cited {
    const char *text;
    size_t length;
    bool ready;
    struct sat_cited_sentence {
        size_t start, end;
        sat_term_set terms; /* in the arena */
    } * sentences;
    size_t count, capacity;
} sat_cited;

typedef struct sat_cite_scratch {
    sat_memory *memory;
    sat_terms *terms;
    sat_arena arena;
    uint64_t *hashes;
    size_t count, capacity;
} sat_cite_scratch;

/* Fills in source, verified and score of what was said in text[0..length). */
satchel_status sat_cite_find(sat_cite_scratch *scratch, sat_cited *passage, const char *text,
                             size_t length, sat_citation *out, satchel_error *error);

#endif
