/*
 * The first centroids. Same seed, same rows: on every CPU, for any threads, blocks and memory.
 *
 *   RANDOM     k distinct rows, each set of them and each order equally likely.
 *   PLUS_PLUS  k-means++ (Arthur and Vassilvitskii, 2007), one draw a centroid and no trials: each
 *              is a row drawn by its loss at those before it (nearest.h says what a loss is).
 *   PARALLEL   k-means|| (Bahmani et al., 2012): five rounds that each draw about k/2 candidates,
 *              all at once, then k-means++ among the candidates, each weighted by the rows nearest
 *              to it; from 32 rows a centroid on with trials, as many as 2 + log k.
 *   DEFAULT    PARALLEL from 8 rows a centroid on, else PLUS_PLUS. On 100,000 rows and k = 1024 it
 *              takes twice as long, and Lloyd's iterations end 0.3 to 30 % lower, the more so the
 *              more the data is clustered.
 *
 * Where fewer than k distinct rows exist (or distinct directions), the rest are the first rows not
 * chosen yet. For inner products centroids are scaled to length 1; a zero row that is chosen all
 * the same becomes an axis.
 */
#ifndef SATCHEL_CLUSTER_INIT_H
#define SATCHEL_CLUSTER_INIT_H

#include "cluster/nearest.h"

typedef struct sat_init {
    const sat_workers *workers;
    sat_source *source;     /* its rows are known to be finite and within 1e30 */
    const sat_space *space; /* for estimates; space->inner: the spherical objective */
    sat_kept_rows kept;     /* values NULL: none */
    size_t k;               /* at most the source's rows and INT32_MAX */
    int32_t method;         /* SATCHEL_INIT_*, not GIVEN */
    uint64_t seed;
} sat_init;

/* Writes centroids: (k, dimension). */
satchel_status sat_init_centroids(const sat_init *init, float *centroids, satchel_error *error);
/* Bytes it holds at most, beside the kept rows; roughly, for PARALLEL. */
uint64_t sat_init_bytes(int32_t method, const sat_workers *workers, const sat_space *space,
                        uint64_t count, size_t k);

#endif
