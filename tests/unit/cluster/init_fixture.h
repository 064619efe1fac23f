/* Points, a seeding over them, and everything that must not matter to it. */
#ifndef SATCHEL_TESTS_UNIT_CLUSTER_INIT_FIXTURE_H
#define SATCHEL_TESTS_UNIT_CLUSTER_INIT_FIXTURE_H

#include "tests/unit/base/unit.h"

#include "cluster/init.h"

typedef struct points {
    size_t count, dimension;
    float *rows;
} points;

/* All zeros. */
points make_points(size_t count, size_t dimension);
/* Around `clusters` centres whose distance is `spread` times that of a row to its own, about; row i
 * belongs to centre i % clusters. */
points make_clusters(size_t count, size_t dimension, size_t clusters, float spread);

/* Everything that must not matter. */
typedef struct setting {
    int threads;
    int32_t level;
    size_t block;
    char origin; /* 'm'emory, 'f'ile, 'r'ead function */
    bool keep;   /* int8 rows */
    bool centred;
} setting;

extern const setting plain;

typedef struct run {
    satchel_context *context;
    test_allocator allocator;
    satchel_allocator table;
    sat_workers workers;
    sat_source *source;
    sat_space space;
    float *centre;
    sat_init init;
    uint64_t filled;
    char path[96];
    const points *points;
    uint64_t fail_from; /* the read function fails from this row on; 0: never */
    satchel_error error;
} run;

void open_run(run *r, const points *from, setting s, bool inner);
void close_run(run *r);

#endif
