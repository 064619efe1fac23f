/* Points around places, and one run of k-means over them with all that is set. */
#ifndef SATCHEL_TESTS_UNIT_CLUSTER_KMEANS_FIXTURE_H
#define SATCHEL_TESTS_UNIT_CLUSTER_KMEANS_FIXTURE_H

#include "tests/unit/base/unit.h"

#include "cluster/cluster.h"

extern uint64_t seed; /* of what is made next */
double uniform(void); /* 0 to 1 */
/* count points of n coordinates around `clusters` places, with noise. */
float *blobs(size_t count, size_t n, size_t clusters, double noise, double offset);
/* k rows, evenly spread: first centroids. */
float *spread(const float *rows, size_t count, size_t n, size_t k);

typedef struct result {
    float *centroids;
    int32_t *labels;
    satchel_kmeans_info info;
    size_t calls; /* of the allocator */
} result;

typedef struct setting {
    int32_t level, threads;
    uint64_t limit; /* of memory */
    size_t fail_at; /* this allocation fails */
    size_t count, n, k;
    const float *rows;
    satchel_kmeans_options options;
    satchel_points points; /* if count is set: used instead of rows */
} setting;

satchel_status try_run(const setting *s, result *r, satchel_error *error);
/* One that must succeed. */
result run(const setting *s);
void free_result(result *r);
void assert_same(const result *a, const result *b, const setting *s, const char *what);

#endif
