/*
 * Walks over rows on the pool: who works, and the two plain ones, before the first pass and after the
 * last. Sums are taken over units of rows, each in order, and then over units in order, so that threads and
 * blocks do not change a bit.
 */
#ifndef SATCHEL_CLUSTER_WALK_H
#define SATCHEL_CLUSTER_WALK_H

#include "base/base.h"
#include "cluster/kernels.h"

enum { SAT_UNIT = 256 }; /* rows in a unit; chunks begin at multiples of it */

typedef struct sat_workers {
    satchel_context *context;
    const sat_cluster_kernels *kernels;
    int priority; /* SAT_PRIORITY_* */
    int threads;  /* at most; 0: all of the pool */
    const satchel_cancel *cancel;
} sat_workers;

/* What is to be known before the first pass. */
typedef struct sat_survey {
    uint64_t count; /* rows so far */
    double largest; /* max |x| */
    double longest; /* max ‖x‖ */
    double square;  /* Σ ‖x‖² */
    double *sum;    /* (dimension): Σ x, roughly: for a centre */
} sat_survey;

/* Adds a chunk of rows (count, dimension). INVALID_ARGUMENT, naming the row, if a value is not finite or
 * beyond ±1e30. */
satchel_status sat_walk_survey(const sat_workers *workers, sat_survey *survey, size_t dimension,
                               const float *rows, size_t stride, size_t count,
                               satchel_error *error);

/* Squared distances, or inner products, of rows to the centroids (…, dimension) of their labels, by the exact
 * kernels: to `out` (count), if not NULL, and added to *sum. */
satchel_status sat_walk_measure(const sat_workers *workers, size_t dimension, bool inner,
                                const float *rows, size_t stride, size_t count,
                                const float *centroids, const int32_t *labels, double *out,
                                double *sum, satchel_error *error);

#endif
