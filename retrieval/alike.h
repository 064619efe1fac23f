/*
 * Texts that say the same: two are near-duplicates if they share nearly all the terms of the one
 * that has fewer. Private to retrieval.
 */
#ifndef SATCHEL_RETRIEVAL_ALIKE_H
#define SATCHEL_RETRIEVAL_ALIKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The distinct terms of a text by their hashes, ascending. */
typedef struct sat_term_set {
    uint64_t *hashes;
    size_t count;
} sat_term_set;

/* Sorts hashes (count) and drops repeated ones; returns how many are left. */
size_t sat_hashes_distinct(uint64_t *hashes, size_t count);
/* True if they share nine tenths of the terms of the one that has fewer; false if that has none. */
bool sat_term_sets_alike(const sat_term_set *a, const sat_term_set *b);

#endif
