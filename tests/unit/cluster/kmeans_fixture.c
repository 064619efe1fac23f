/* Points for k-means, and runs of it. */
#include "tests/unit/cluster/kmeans_fixture.h"

uint64_t seed;

double uniform(void) {
    return test_random(&seed) * 0x1p-31;
}

static double normal(void) {
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += uniform();
    return sum;
}

float *blobs(size_t count, size_t n, size_t clusters, double noise, double offset) {
    float *rows = malloc(count * n * sizeof *rows), *places = malloc(clusters * n * sizeof *places);
    for (size_t i = 0; i < clusters * n; i++)
        places[i] = (float)normal();
    for (size_t r = 0; r < count; r++) {
        const float *place = places + (size_t)(uniform() * (double)clusters) * n;
        for (size_t d = 0; d < n; d++)
            rows[r * n + d] = (float)((double)place[d] + noise * normal() + offset);
    }
    free(places);
    return rows;
}

float *spread(const float *rows, size_t count, size_t n, size_t k) {
    float *centroids = malloc(k * n * sizeof *centroids);
    for (size_t i = 0; i < k; i++)
        memcpy(centroids + i * n, rows + i * (count / k) * n, n * sizeof *centroids);
    return centroids;
}

satchel_status try_run(const setting *s, result *r, satchel_error *error) {
    test_allocator counted = {.fail_at = s->fail_at};
    satchel_allocator table = test_allocator_table(&counted);
    satchel_context *context = NULL;
    satchel_context_options options = {.struct_size = sizeof options,
                                       .cpu_level = s->level,
                                       .threads = s->threads,
                                       .memory_limit = s->limit,
                                       .allocator = &table};
    satchel_status status = sat_context_open(&context, &options, error);
    if (status != SATCHEL_OK) {
        assert_allocator_clean(&counted);
        return status;
    }
    satchel_points points = s->points;
    if (points.count == 0)
        points = (satchel_points){.struct_size = sizeof points,
                                  .count = s->count,
                                  .dimension = (int32_t)s->n,
                                  .rows = s->rows};
    r->centroids = malloc(s->k * s->n * sizeof *r->centroids + 1);
    r->labels = malloc(s->count * sizeof *r->labels + 1);
    status = sat_kmeans(context, SAT_PRIORITY_INDEX, &points, s->k, r->centroids, r->labels,
                        &r->info, &s->options, error);
    r->calls = counted.calls;
    sat_context_release(context);
    assert_allocator_clean(&counted);
    return status;
}

void free_result(result *r) {
    free(r->centroids);
    free(r->labels);
}

result run(const setting *s) {
    result r = {0};
    satchel_error error = {0};
    if (try_run(s, &r, &error) != SATCHEL_OK)
        fail_msg("%s", error.message);
    return r;
}

void assert_same(const result *a, const result *b, const setting *s, const char *what) {
    if (memcmp(a->labels, b->labels, s->count * sizeof *a->labels) != 0)
        fail_msg("labels differ: %s", what);
    if (memcmp(a->centroids, b->centroids, s->k * s->n * sizeof *a->centroids) != 0)
        fail_msg("centroids differ: %s", what);
    if (a->info.inertia != b->info.inertia || a->info.iterations != b->info.iterations ||
        a->info.stop != b->info.stop || a->info.empty != b->info.empty)
        fail_msg("inertia %.17g and %.17g, or iterations, differ: %s", a->info.inertia,
                 b->info.inertia, what);
}
