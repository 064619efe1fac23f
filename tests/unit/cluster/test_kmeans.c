/* k-means: labels and centroids against a plain implementation in double, when it stops, and what goes wrong. */
#include <float.h>
#include <math.h>

#include "tests/unit/cluster/kmeans_fixture.h"

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
        cmocka_unit_test(fast_mode_comes_close),
        cmocka_unit_test(it_stops_when_nothing_changes_or_little),
        cmocka_unit_test(progress_is_told_and_can_stop),
        cmocka_unit_test(bad_input_is_named),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
