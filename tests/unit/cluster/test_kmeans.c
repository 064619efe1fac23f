/*
 * k-means: labels and centroids against a plain implementation in double, the same bits at every level,
 * with any threads, memory and source, and what goes wrong.
 */
#include <float.h>
#include <math.h>

#include "tests/unit/base/unit.h"

#include "cluster/cluster.h"

/* ------------------------------------------------------------------ data */

static uint64_t seed;

static double uniform(void) {
    return test_random(&seed) * 0x1p-31;
}

static double normal(void) {
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += uniform();
    return sum;
}

/* count points of n coordinates around `clusters` places, with noise. */
static float *blobs(size_t count, size_t n, size_t clusters, double noise, double offset) {
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

/* k rows, evenly spread: first centroids. */
static float *spread(const float *rows, size_t count, size_t n, size_t k) {
    float *centroids = malloc(k * n * sizeof *centroids);
    for (size_t i = 0; i < k; i++)
        memcpy(centroids + i * n, rows + i * (count / k) * n, n * sizeof *centroids);
    return centroids;
}

/* ------------------------------------------------------------------ one run */

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

static satchel_status try_run(const setting *s, result *r, satchel_error *error) {
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

static void free_result(result *r) {
    free(r->centroids);
    free(r->labels);
}

static result run(const setting *s) {
    result r = {0};
    satchel_error error = {0};
    if (try_run(s, &r, &error) != SATCHEL_OK)
        fail_msg("%s", error.message);
    return r;
}

static void assert_same(const result *a, const result *b, const setting *s, const char *what) {
    if (memcmp(a->labels, b->labels, s->count * sizeof *a->labels) != 0)
        fail_msg("labels differ: %s", what);
    if (memcmp(a->centroids, b->centroids, s->k * s->n * sizeof *a->centroids) != 0)
        fail_msg("centroids differ: %s", what);
    if (a->info.inertia != b->info.inertia || a->info.iterations != b->info.iterations ||
        a->info.stop != b->info.stop || a->info.empty != b->info.empty)
        fail_msg("inertia %.17g and %.17g, or iterations, differ: %s", a->info.inertia,
                 b->info.inertia, what);
}

/* ------------------------------------------------------------------ a plain implementation */

static double plain_score(const float *x, const float *c, size_t n, bool inner) {
    long double sum = 0;
    for (size_t d = 0; d < n; d++)
        sum += inner ? -(long double)x[d] * c[d]
                     : ((long double)x[d] - c[d]) * ((long double)x[d] - c[d]);
    return (double)sum;
}

static double length(const float *x, size_t n) {
    return sqrt(-plain_score(x, x, n, true));
}

/* Every label is the nearest of the result's centroids, but for ties in double; inertia is theirs. */
static void assert_nearest(const setting *s, const float *rows, const result *r) {
    bool inner = s->options.objective == SATCHEL_KMEANS_INNER_PRODUCT;
    double inertia = 0, size = 0;
    for (size_t i = 0; i < s->count; i++) {
        const float *x = rows + i * s->n;
        size_t label = (size_t)r->labels[i];
        assert_in_range(r->labels[i], 0, s->k - 1);
        double own = plain_score(x, r->centroids + label * s->n, s->n, inner);
        inertia += own;
        for (size_t c = 0; c < s->k; c++) {
            const float *centroid = r->centroids + c * s->n;
            double reach = length(x, s->n) + length(centroid, s->n);
            double tie = 0x1p-40 * reach * reach, other = plain_score(x, centroid, s->n, inner);
            size = fmax(size, reach * reach);
            if (other < own - tie)
                fail_msg("row %zu: label %zu at %.17g, but %zu at %.17g", i, label, own, c, other);
        }
    }
    inertia = inner ? -inertia : inertia;
    assert_true(fabs(inertia - r->info.inertia) <= 0x1p-40 * size * (double)s->count);
}

/* Lloyd's iterations in the plainest way, in double, but for centroids, which are rounded to float. The data is
 * such that no cluster loses all of its points. */
static void plain_lloyd(const setting *s, float *centroids, int32_t *labels, int iterations) {
    bool inner = s->options.objective == SATCHEL_KMEANS_INNER_PRODUCT;
    double *sums = malloc(s->n * sizeof *sums);
    for (int iteration = 0; iteration <= iterations; iteration++) {
        for (size_t i = 0; i < s->count; i++) {
            double best = INFINITY;
            for (size_t c = 0; c < s->k; c++) {
                double score = plain_score(s->rows + i * s->n, centroids + c * s->n, s->n, inner);
                if (score < best) {
                    best = score;
                    labels[i] = (int32_t)c;
                }
            }
        }
        for (size_t c = 0; c < s->k && iteration < iterations; c++) {
            double count = 0, square = 0;
            memset(sums, 0, s->n * sizeof *sums);
            for (size_t i = 0; i < s->count; i++) {
                if (labels[i] != (int32_t)c)
                    continue;
                count++;
                for (size_t d = 0; d < s->n; d++)
                    sums[d] += (double)s->rows[i * s->n + d];
            }
            assert_true(count > 0);
            for (size_t d = 0; d < s->n; d++)
                square += sums[d] * sums[d];
            for (size_t d = 0; d < s->n; d++)
                centroids[c * s->n + d] = (float)(sums[d] / (inner ? sqrt(square) : count));
        }
    }
    free(sums);
}

/* ------------------------------------------------------------------ exactness */

static void labels_are_nearest_in_double(void **state) {
    (void)state;
    static const struct {
        size_t count, n, k;
        double noise, offset;
    } shapes[] = {
        {700, 17, 33, 0.6, 0},  {513, 1, 7, 0.5, 0},        {300, 3, 300, 1, 0},
        {900, 64, 65, 1, 0},    {257, 130, 1, 1, 0},        {600, 40, 100, 1, 1e4},
        {400, 9, 40, 1e-3, -7}, {2500, 384, 129, 1.5, 0.1}, {64, 700, 9, 1, 0},
    };
    for (size_t i = 0; i < SAT_COUNT(shapes); i++) {
        for (int32_t objective = 0; objective < 2; objective++) {
            seed = 100 + i;
            setting s = {.count = shapes[i].count, .n = shapes[i].n, .k = shapes[i].k};
            float *rows = blobs(s.count, s.n, s.k / 2 + 1, shapes[i].noise, shapes[i].offset);
            float *initial = spread(rows, s.count, s.n, s.k);
            s.rows = rows;
            s.options = (satchel_kmeans_options){
                .iterations = 4, .objective = objective, .initial = initial};
            result r = run(&s);
            assert_nearest(&s, rows, &r);
            free_result(&r);
            free(rows);
            free(initial);
        }
    }
}

static void iterations_are_lloyds(void **state) {
    (void)state;
    for (int32_t objective = 0; objective < 2; objective++) {
        seed = 7;
        setting s = {.count = 2000, .n = 24, .k = 9};
        float *rows = blobs(s.count, s.n, 12, 0.7, 0.5), *initial = spread(rows, 2000, 24, 9);
        s.rows = rows;
        for (size_t c = 0; c < s.k && objective == SATCHEL_KMEANS_INNER_PRODUCT; c++) {
            double size = length(initial + c * s.n, s.n);
            for (size_t d = 0; d < s.n; d++)
                initial[c * s.n + d] = (float)((double)initial[c * s.n + d] / size);
        }
        s.options =
            (satchel_kmeans_options){.iterations = 9, .objective = objective, .initial = initial};
        result r = run(&s);
        assert_true(r.info.iterations >= 3);
        int32_t *labels = malloc(s.count * sizeof *labels);
        plain_lloyd(&s, initial, labels, 9);
        assert_memory_equal(r.labels, labels, s.count * sizeof *labels);
        for (size_t i = 0; i < s.k * s.n; i++)
            assert_true(fabsf(r.centroids[i] - initial[i]) <= 0x1p-22F * (1 + fabsf(initial[i])));
        free(labels);
        free_result(&r);
        free(rows);
        free(initial);
    }
}

static void ties_go_to_the_lowest_index(void **state) {
    (void)state;
    /* Whole numbers: every score is exact, and most rows are as near to several centroids. */
    seed = 3;
    setting s = {.count = 800, .n = 6, .k = 70};
    float *rows = malloc(s.count * s.n * sizeof *rows);
    for (size_t i = 0; i < s.count * s.n; i++)
        rows[i] = (float)(int)(uniform() * 3);
    float *initial = spread(rows, s.count, s.n, s.k);
    s.rows = rows;
    s.options = (satchel_kmeans_options){.iterations = -1, .initial = initial};
    result r = run(&s);
    int32_t *labels = malloc(s.count * sizeof *labels);
    plain_lloyd(&s, initial, labels, 0);
    assert_memory_equal(r.labels, labels, s.count * sizeof *labels);
    free(labels);
    free_result(&r);
    free(rows);
    free(initial);
}

static void values_of_any_size_are_exact(void **state) {
    (void)state;
    static const double scales[] = {1e29, 1e12, 1e-12, 1e-30, 1e-41};
    for (size_t i = 0; i < SAT_COUNT(scales); i++) {
        seed = 11;
        setting s = {.count = 500, .n = 20, .k = 40};
        float *rows = blobs(s.count, s.n, 20, 0.5, 0);
        for (size_t d = 0; d < s.count * s.n; d++)
            rows[d] = (float)((double)rows[d] * scales[i]);
        float *initial = spread(rows, s.count, s.n, s.k);
        s.rows = rows;
        s.options = (satchel_kmeans_options){.iterations = 5, .initial = initial};
        result r = run(&s);
        assert_nearest(&s, rows, &r);
        free_result(&r);
        free(rows);
        free(initial);
    }
}

static void a_far_first_centroid_is_exact(void **state) {
    (void)state;
    seed = 12;
    setting s = {.count = 400, .n = 10, .k = 5};
    float *rows = blobs(s.count, s.n, 5, 0.5, 0), *initial = spread(rows, s.count, s.n, s.k);
    for (size_t d = 0; d < s.n; d++)
        initial[d] = 1e30F;
    s.rows = rows;
    s.options = (satchel_kmeans_options){.iterations = -1, .initial = initial};
    result r = run(&s);
    assert_nearest(&s, rows, &r);
    assert_int_equal(r.info.empty, 1);
    free_result(&r);
    s.options.iterations = 6;
    r = run(&s);
    assert_nearest(&s, rows, &r);
    assert_int_equal(r.info.empty, 0);
    free_result(&r);
    free(rows);
    free(initial);
}

static void inertia_never_rises(void **state) {
    (void)state;
    seed = 21;
    setting s = {.count = 3000, .n = 30, .k = 90};
    float *rows = blobs(s.count, s.n, 20, 1, 0), *initial = spread(rows, s.count, s.n, s.k);
    /* Some start together: clusters that lose their points on the way are filled again. */
    memcpy(initial + s.n, initial, s.n * sizeof *initial);
    memcpy(initial + 2 * s.n, initial, s.n * sizeof *initial);
    s.rows = rows;
    double last = INFINITY;
    for (int32_t i = 0; i < 20; i++) {
        s.options = (satchel_kmeans_options){.iterations = i > 0 ? i : -1, .initial = initial};
        result r = run(&s);
        /* Means rounded to float: 2⁻²⁴ of a coordinate off, squared, for each coordinate. */
        assert_true(r.info.inertia <= last * (1 + 0x1p-30));
        last = r.info.inertia;
        assert_int_equal(r.info.empty, i == 0 ? 2 : 0);
        free_result(&r);
    }
    free(rows);
    free(initial);
}

static void more_clusters_than_distinct_points(void **state) {
    (void)state;
    setting s = {.count = 60, .n = 4, .k = 10};
    float *rows = calloc(s.count * s.n, sizeof *rows);
    for (size_t i = 0; i < s.count; i++)
        rows[i * s.n] = (float)(i % 3);
    s.rows = rows;
    for (int32_t objective = 0; objective < 2; objective++) {
        for (int32_t init = SATCHEL_INIT_RANDOM; init <= SATCHEL_INIT_PARALLEL; init++) {
            s.options = (satchel_kmeans_options){
                .iterations = 50, .objective = objective, .init = init, .seed = 5};
            result r = run(&s);
            assert_nearest(&s, rows, &r);
            if (objective == SATCHEL_KMEANS_EUCLIDEAN) {
                assert_true(r.info.inertia == 0);
                assert_int_equal(r.info.empty, 7);
            }
            free_result(&r);
        }
    }
    /* All equal, and all zero. */
    memset(rows, 0, s.count * s.n * sizeof *rows);
    s.options = (satchel_kmeans_options){.iterations = 50};
    result r = run(&s);
    assert_true(r.info.inertia == 0);
    free_result(&r);
    free(rows);
}

/* ------------------------------------------------------------------ the same bits */

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

/* ------------------------------------------------------------------ modes and stops */

static void fast_mode_comes_close(void **state) {
    (void)state;
    seed = 61;
    setting s = {.count = 20000, .n = 16, .k = 50};
    float *rows = blobs(s.count, s.n, 50, 0.4, 0), *initial = spread(rows, s.count, s.n, s.k);
    s.rows = rows;
    s.options = (satchel_kmeans_options){.iterations = 25, .initial = initial};
    result exact = run(&s);
    s.options.mode = SATCHEL_KMEANS_FAST;
    result fast = run(&s);
    assert_nearest(&s, rows, &fast); /* its labels are exact, if not its centroids */
    assert_true(fast.info.inertia <= exact.info.inertia * 1.1);
    assert_true(fast.info.products < exact.info.products);
    s.threads = 1;
    result again = run(&s);
    assert_same(&fast, &again, &s, "threads, fast mode");
    free_result(&exact);
    free_result(&fast);
    free_result(&again);
    free(rows);
    free(initial);
}

static void it_stops_when_nothing_changes_or_little(void **state) {
    (void)state;
    seed = 71;
    setting s = {.count = 1000, .n = 8, .k = 6};
    float *rows = blobs(s.count, s.n, 6, 0.1, 0);
    s.rows = rows;
    s.options = (satchel_kmeans_options){.iterations = 1000, .seed = 4};
    result r = run(&s);
    assert_int_equal(r.info.stop, SATCHEL_STOP_UNCHANGED);
    assert_true(r.info.iterations < 1000);
    int32_t all = r.info.iterations;
    free_result(&r);
    s.options.tolerance = 1e-2;
    r = run(&s);
    assert_true(r.info.stop == SATCHEL_STOP_TOLERANCE || r.info.iterations == all);
    assert_true(r.info.iterations <= all);
    assert_nearest(&s, rows, &r);
    free_result(&r);
    s.options = (satchel_kmeans_options){.iterations = 1, .seed = 4};
    r = run(&s);
    assert_int_equal(r.info.iterations, 1);
    free_result(&r);
    free(rows);
}

typedef struct watch {
    int32_t calls, last, stop_at;
    uint64_t moved;
} watch;

static int32_t on_progress(void *user, const satchel_kmeans_progress *progress) {
    watch *w = user;
    assert_true(progress->iteration == w->last + 1 || w->calls == 0 ||
                progress->iteration == progress->iterations + 1);
    w->last = progress->iteration;
    w->moved = progress->moved;
    return ++w->calls == w->stop_at;
}

static void progress_is_told_and_can_stop(void **state) {
    (void)state;
    seed = 81;
    setting s = {.count = 2000, .n = 12, .k = 30};
    float *rows = blobs(s.count, s.n, 30, 1, 0);
    watch w = {0};
    s.rows = rows;
    s.options =
        (satchel_kmeans_options){.iterations = 5, .progress = on_progress, .progress_user = &w};
    result r = run(&s);
    assert_int_equal(w.calls, 7);
    assert_int_equal(w.last, 6);
    free_result(&r);
    w = (watch){.stop_at = 3};
    satchel_error error = {0};
    r = (result){0};
    assert_int_equal(try_run(&s, &r, &error), SATCHEL_CANCELLED);
    assert_int_equal(w.calls, 3);
    free_result(&r);
    free(rows);
}

/* ------------------------------------------------------------------ errors */

static void bad_input_is_named(void **state) {
    (void)state;
    seed = 91;
    setting good = {.count = 600, .n = 5, .k = 4};
    float *rows = blobs(good.count, good.n, 4, 1, 0), *initial = spread(rows, 600, 5, 4);
    good.rows = rows;
    satchel_error error = {0};
    result r = {0};
    static const float odd[] = {NAN, INFINITY, -INFINITY, 2e30F};
    for (size_t i = 0; i < SAT_COUNT(odd); i++) {
        float kept = rows[577 * 5 + 3];
        rows[577 * 5 + 3] = odd[i];
        assert_int_equal(try_run(&good, &r, &error), SATCHEL_INVALID_ARGUMENT);
        assert_non_null(strstr(error.message, "row 577, coordinate 3"));
        free_result(&r);
        rows[577 * 5 + 3] = kept;
        setting s = good;
        s.options.initial = initial;
        kept = initial[2 * 5 + 1];
        initial[2 * 5 + 1] = odd[i];
        assert_int_equal(try_run(&s, &r, &error), SATCHEL_INVALID_ARGUMENT);
        assert_non_null(strstr(error.message, "centroid 2, coordinate 1"));
        free_result(&r);
        initial[2 * 5 + 1] = kept;
    }
    setting s = good;
    s.k = 601;
    assert_int_equal(try_run(&s, &r, &error), SATCHEL_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "only 600 points"));
    free_result(&r);
    s = good;
    s.options.init = SATCHEL_INIT_GIVEN;
    assert_int_equal(try_run(&s, &r, &error), SATCHEL_INVALID_ARGUMENT);
    free_result(&r);
    s = good;
    memset(initial + 5, 0, 5 * sizeof *initial);
    s.options.initial = initial;
    s.options.objective = SATCHEL_KMEANS_INNER_PRODUCT;
    assert_int_equal(try_run(&s, &r, &error), SATCHEL_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "centroid 1 has length 0"));
    free_result(&r);
    s = good;
    s.limit = 100000;
    s.k = 500;
    assert_int_equal(try_run(&s, &r, &error), SATCHEL_MEMORY_LIMIT);
    free_result(&r);
    free(rows);
    free(initial);
}

static void every_failed_allocation_is_survived(void **state) {
    (void)state;
    test_needs_speed();
    for (int32_t mode = SATCHEL_KMEANS_EXACT; mode <= SATCHEL_KMEANS_FAST; mode++) {
        seed = 95;
        setting s = {.count = 9000, .n = 3, .k = 40, .threads = 2};
        float *rows = blobs(s.count, s.n, 40, 1, 0);
        s.rows = rows;
        s.options = (satchel_kmeans_options){.iterations = 2, .mode = mode};
        result whole = run(&s);
        for (s.fail_at = 1; s.fail_at <= whole.calls; s.fail_at++) {
            satchel_error error = {0};
            result r = {0};
            satchel_status status = try_run(&s, &r, &error);
            /* A thread that cannot be started is done without. */
            if (status == SATCHEL_OK)
                assert_same(&whole, &r, &s, "after a failed allocation");
            else
                assert_int_equal(status, SATCHEL_OUT_OF_MEMORY);
            free_result(&r);
        }
        free_result(&whole);
        free(rows);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_are_nearest_in_double),
        cmocka_unit_test(iterations_are_lloyds),
        cmocka_unit_test(ties_go_to_the_lowest_index),
        cmocka_unit_test(values_of_any_size_are_exact),
        cmocka_unit_test(a_far_first_centroid_is_exact),
        cmocka_unit_test(inertia_never_rises),
        cmocka_unit_test(more_clusters_than_distinct_points),
        cmocka_unit_test(same_bits_everywhere),
        cmocka_unit_test(a_file_gives_the_same_bits),
        cmocka_unit_test(assign_agrees_with_the_last_labels),
        cmocka_unit_test(fast_mode_comes_close),
        cmocka_unit_test(it_stops_when_nothing_changes_or_little),
        cmocka_unit_test(progress_is_told_and_can_stop),
        cmocka_unit_test(bad_input_is_named),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
