/*
 * The update step: centroids as means of their points. Sums are int64 in fixed point, so adding is exact and
 * its order, the threads and the blocks change nothing; only rows that moved touch them. Moved rows are
 * sorted by centroid (counting sort), so each centroid's sum belongs to one thread ("sort-inverse" of
 * Flash-KMeans, arXiv 2603.09229).
 */
#ifndef SATCHEL_CLUSTER_UPDATE_H
#define SATCHEL_CLUSTER_UPDATE_H

#include "cluster/pass.h"

typedef struct sat_sums {
    size_t k, dimension;
    int64_t *sums;    /* (k, dimension): Σ round(x · scale) */
    uint64_t *counts; /* (k) */
    double scale; /* a power of two: N · max |x| · scale < 2⁶², max |x| · scale < 2⁵¹ */
    uint8_t *changed; /* (k): since the centroids were last made */
    uint64_t *starts; /* (k + 1): scratch, events of a centroid */
    uint32_t *events; /* scratch: 2 · row + (1: leaves) */
    size_t capacity;  /* of events */
} sat_sums;

/* largest: max |x| of all points. */
satchel_status sat_sums_open(sat_sums *sums, sat_memory *memory, size_t k, size_t dimension,
                             uint64_t points, double largest, satchel_error *error);
void sat_sums_close(sat_sums *sums, sat_memory *memory);
uint64_t sat_sums_bytes(size_t k, size_t dimension);

/* Takes the moves of a chunk that sat_pass_run left there. */
satchel_status sat_sums_move(sat_sums *sums, const sat_workers *workers, const sat_chunk *chunk,
                             size_t block, satchel_error *error);

/* Makes new centroids of the sums: values (k, dimension) are changed in place where `changed` was set, moves
 * (k) gets how far each went, rounded up (0 where it did not), *shift the root of their summed squares.
 * Inner product: scaled to length 1; a sum of length 0 leaves its centroid.
 *
 * A cluster without points takes a place beside the mean of the largest cluster (ties: the lowest
 * index), off by 2⁻¹⁰ of each coordinate, alternating in sign; the largest counts as halved then, for the
 * next one without. The largest's own centroid stays its mean, so the objective does not rise. */
void sat_sums_finish(sat_sums *sums, const sat_workers *workers, bool inner, float *values,
                     double *moves, double *shift);

#endif
