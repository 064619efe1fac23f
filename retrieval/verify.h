/* Parts of verify: collecting problems, and checking keywords. Private to retrieval. */
#ifndef SATCHEL_RETRIEVAL_VERIFY_H
#define SATCHEL_RETRIEVAL_VERIFY_H

#include "retrieval/store.h"

/* Problems are collected while a snapshot is held and told when it is not. */
typedef struct sat_problems {
    sat_arena arena;
    char **texts; /* the first ones; all are counted */
    size_t stored, capacity;
    int64_t count;
    bool out_of_memory;
} sat_problems;

void sat_problem(sat_problems *problems, const char *format, ...) SAT_PRINTF(2, 3);

/* The index generation that the store names, whole, if it is there: verify_index.c */
satchel_status sat_verify_index(sat_connection *reader, sat_problems *problems,
                                satchel_error *error);

/* What the full-text index should hold, chunk by chunk, to be compared with what it holds: sums of
 * hashes over (term, column, position), so that order does not matter. */
typedef struct sat_keyword_sum {
    int64_t chunk;
    uint64_t expected, found;
    uint32_t terms[3]; /* per column */
    bool indexed;      /* a row of sizes is there */
} sat_keyword_sum;

typedef struct sat_keyword_sums {
    sat_memory *memory;
    sat_keyword_sum *items; /* ascending chunk, once sorted */
    size_t count, capacity;
} sat_keyword_sums;

/* Adds a chunk with the terms of its three columns. */
satchel_status sat_keyword_sums_add(sat_keyword_sums *sums, sat_terms *terms, int64_t chunk,
                                    const satchel_text columns[3], satchel_error *error);
/* Compares with the full-text index and its tables of sizes. Sorts the sums. */
satchel_status sat_keyword_sums_compare(sat_keyword_sums *sums, sat_connection *reader,
                                        sat_problems *problems, satchel_error *error);

#endif
