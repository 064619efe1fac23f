/*
 * What FAISS's C API lacks for inverted lists that are kept in a file of our own: codes taken out of an index
 * that has encoded them, and an index that scans codes where they lie. In C; lists.cpp is built with FAISS.
 * Every function returns 0, or a code as the C API does, with faiss_get_last_error() telling why.
 */
#ifndef SATCHEL_FAISS_LISTS_H
#define SATCHEL_FAISS_LISTS_H

#include <stddef.h>
#include <stdint.h>

#include "IndexScalarQuantizer_c.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where a list's codes lie: `offset` bytes after the base, `rows` of them. Entries are `stride` bytes apart. */
typedef struct sat_faiss_place {
    uint64_t offset, rows;
} sat_faiss_place;

/* The ranges of coordinates that training found: (2, d), least values and widths. */
int sat_faiss_get_ranges(const FaissIndexIVFScalarQuantizer *index, float *ranges);
/* The codes of a list, (its size, d) bytes; valid until the index changes. */
int sat_faiss_get_codes(const FaissIndexIVFScalarQuantizer *index, size_t list,
                        const uint8_t **codes);
/* Gives the index these ranges, and lists that lie elsewhere: neither codes nor places are copied, both must
 * outlive it. Their rows have no ids: searches must ask for pairs of list and position. */
int sat_faiss_set_lists(FaissIndexIVFScalarQuantizer *index, const float *ranges,
                        const uint8_t *base, const sat_faiss_place *places, size_t stride);

#ifdef __cplusplus
}
#endif

#endif
