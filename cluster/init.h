/* The first centroids. Same seed, same rows: on every CPU, for any threads, blocks and memory. */
#ifndef SATCHEL_CLUSTER_INIT_H
#define SATCHEL_CLUSTER_INIT_H

#include "cluster/pass.h"
#include "cluster/source.h"

typedef struct sat_init {
    const sat_workers *workers;
    sat_source *source;
    const sat_survey *survey; /* of all points: checked, finite */
    const sat_space *space;   /* for estimates; space->inner: the spherical objective */
    sat_pass *pass;           /* scratch for passes over up to k centroids */
    uint64_t memory_budget;   /* bytes; 0: what speed asks for */
    size_t k;
    int32_t method; /* SATCHEL_INIT_*, not GIVEN; DEFAULT chooses by size */
    uint64_t seed;
} sat_init;

/* Writes centroids: (k, dimension); of length 1 for the spherical objective. */
satchel_status sat_init_centroids(const sat_init *init, float *centroids, satchel_error *error);

#endif
