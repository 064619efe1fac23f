/* k-means: the same bits at every level, with any threads, memory and source. */
#include <math.h>

#include "tests/unit/cluster/kmeans_fixture.h"

static satchel_status read_rows(void *user, uint64_t first, size_t count, float *out) {
    const setting *s = user;
    memcpy(out, s->rows + first * s->n, count * s->n * sizeof *out);
    return SATCHEL_OK;
}

static void same_bits_everywhere(void **state) {
    (void)state;
    static const int32_t levels[] = {SATCHEL_CPU_C,      SATCHEL_CPU_AVX2, SATCHEL_CPU_AVXVNNI,
                                     SATCHEL_CPU_AVX512, SATCHEL_CPU_NEON, SATCHEL_CPU_DOTPROD,
                                     SATCHEL_CPU_I8MM};
    for (int32_t objective = 0; objective < 2; objective++) {
        seed = 31;
        setting s = {.count = 5000, .n = 52, .k = 150};
        float *rows = blobs(s.count, s.n, 60, 0.8, 0.2);
        s.rows = rows;
        s.options = (satchel_kmeans_options){.iterations = 8, .objective = objective, .seed = 9};
        result first = run(&s);
        for (size_t i = 0; i < SAT_COUNT(levels); i++) {
            if (sat_cpu_choose(levels[i]) == SATCHEL_CPU_DEFAULT)
                continue;
            setting t = s;
            t.level = levels[i];
            for (t.threads = 1; t.threads <= 4; t.threads += 3) {
                result r = run(&t);
                assert_same(&first, &r, &s, sat_cpu_name(levels[i]));
                free_result(&r);
            }
        }
        /* Too little memory for bounds or kept rows, then for some of them. */
        for (uint64_t budget = 1; budget < (4 << 20); budget *= 8) {
            setting t = s;
            t.options.memory_budget = budget;
            result r = run(&t);
            assert_same(&first, &r, &s, "memory budget");
            free_result(&r);
            t.points = (satchel_points){.struct_size = sizeof t.points,
                                        .count = s.count,
                                        .dimension = (int32_t)s.n,
                                        .read = read_rows,
                                        .user = &s};
            r = run(&t);
            assert_same(&first, &r, &s, "function");
            free_result(&r);
        }
        free_result(&first);
        free(rows);
    }
}

static void a_file_gives_the_same_bits(void **state) {
    (void)state;
    seed = 41;
    setting s = {.count = 4000, .n = 33, .k = 64};
    float *rows = blobs(s.count, s.n, 30, 0.8, 0);
    char path[] = "/tmp/satchel-kmeans-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "wb");
    assert_int_equal(fwrite("head", 1, 4, file), 4);
    assert_int_equal(fwrite(rows, sizeof *rows, s.count * s.n, file), s.count * s.n);
    fclose(file);
    s.rows = rows;
    for (int32_t mode = SATCHEL_KMEANS_EXACT; mode <= SATCHEL_KMEANS_FAST; mode++) {
        s.options = (satchel_kmeans_options){.iterations = 7, .seed = 2, .mode = mode};
        s.points = (satchel_points){0};
        result memory = run(&s);
        s.points = (satchel_points){.struct_size = sizeof s.points,
                                    .count = s.count,
                                    .dimension = (int32_t)s.n,
                                    .path = path,
                                    .offset = 4};
        s.options.memory_budget = 200000; /* small blocks */
        result r = run(&s);
        assert_same(&memory, &r, &s, "file");
        free_result(&r);
        free_result(&memory);
    }
    remove(path);
    free(rows);
}

static void assign_agrees_with_the_last_labels(void **state) {
    (void)state;
    for (int32_t objective = 0; objective < 2; objective++) {
        seed = 51;
        setting s = {.count = 1500, .n = 48, .k = 77};
        float *rows = blobs(s.count, s.n, 40, 0.9, 0);
        s.rows = rows;
        s.options = (satchel_kmeans_options){.iterations = 3, .objective = objective};
        result r = run(&s);
        satchel_context *context = NULL;
        assert_int_equal(sat_context_open(&context, NULL, NULL), SATCHEL_OK);
        satchel_points points = {.struct_size = sizeof points,
                                 .count = s.count,
                                 .dimension = (int32_t)s.n,
                                 .rows = rows};
        int32_t *labels = malloc(s.count * sizeof *labels);
        double *distances = malloc(s.count * sizeof *distances), sum = 0;
        assert_int_equal(sat_kmeans_assign(context, SAT_PRIORITY_SEARCH, &points, s.k, r.centroids,
                                           labels, distances, &s.options, NULL),
                         SATCHEL_OK);
        assert_memory_equal(labels, r.labels, s.count * sizeof *labels);
        for (size_t i = 0; i < s.count; i++)
            sum += distances[i];
        assert_true(fabs(sum - r.info.inertia) <= 1e-12 * fabs(sum));
        sat_context_release(context);
        free(labels);
        free(distances);
        free_result(&r);
        free(rows);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits_everywhere),
        cmocka_unit_test(a_file_gives_the_same_bits),
        cmocka_unit_test(assign_agrees_with_the_last_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
