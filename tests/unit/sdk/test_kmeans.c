/* Clustering through the public interface: what it gives, what it refuses and why, callbacks, struct
 * sizes. That the labels are exact is tested in tests/unit/cluster and tests/python. */
#include <math.h>
#include <unistd.h>

#include "tests/unit/sdk/support.h"

enum { COUNT = 400, DIMENSION = 24, K = 7 };

typedef struct points_bed {
    satchel_context *context;
    float rows[COUNT][DIMENSION];
    satchel_points points;
    float centroids[K][DIMENSION];
    int32_t labels[COUNT];
    satchel_kmeans_info info;
    satchel_error error;
} points_bed;

static uint32_t next_random(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static int points_setup(void **state) {
    points_bed *bed = calloc(1, sizeof *bed);
    if (!bed || satchel_context_open(&bed->context, NULL, NULL))
        return -1;
    uint32_t random = 7;
    for (int i = 0; i < COUNT; i++)
        for (int d = 0; d < DIMENSION; d++) {
            float place = (i % K) == d % K ? 4.0f : 0.0f;
            bed->rows[i][d] = place + (float)next_random(&random) / (1 << 24);
        }
    bed->points = (satchel_points){.struct_size = sizeof bed->points,
                                   .count = COUNT,
                                   .dimension = DIMENSION,
                                   .rows = &bed->rows[0][0]};
    *state = bed;
    return 0;
}

static int points_teardown(void **state) {
    points_bed *bed = *state;
    satchel_context_close(&bed->context);
    free(bed);
    return 0;
}

static satchel_status cluster(points_bed *bed, size_t k, const satchel_kmeans_options *options) {
    return satchel_kmeans(bed->context, &bed->points, k, &bed->centroids[0][0], bed->labels,
                          &bed->info, sizeof bed->info, options, &bed->error);
}

/* The call is refused, and the message has the word. */
static void refused(points_bed *bed, satchel_status status, const char *word) {
    assert_int_equal(status, SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(bed->error.code, SATCHEL_INVALID_ARGUMENT);
    if (!strstr(bed->error.message, word))
        fail_msg("\"%s\" does not say \"%s\"", bed->error.message, word);
}

static void groups_are_found(void **state) {
    points_bed *bed = *state;
    satchel_kmeans_options options;
    satchel_kmeans_options_init(&options, sizeof options);
    options.initial = &bed->rows[0][0]; /* one of each group */
    test_fine(cluster(bed, K, &options), &bed->error);
    assert_int_equal(bed->info.empty, 0);
    assert_true(bed->info.iterations >= 1 && bed->info.iterations <= 25);
    assert_int_equal(bed->info.stop, SATCHEL_STOP_UNCHANGED);
    double inertia = 0;
    for (int i = 0; i < COUNT; i++) {
        assert_in_range(bed->labels[i], 0, K - 1);
        assert_int_equal(bed->labels[i], bed->labels[i % K]); /* as they were made */
        for (int d = 0; d < DIMENSION; d++) {
            double difference = (double)bed->rows[i][d] - bed->centroids[bed->labels[i]][d];
            inertia += difference * difference;
        }
    }
    assert_true(fabs(inertia - bed->info.inertia) < 1e-9 * inertia);
    /* The same labels again for the same centroids, and distances that sum to the inertia. */
    int32_t labels[COUNT];
    double distances[COUNT], sum = 0;
    test_fine(satchel_kmeans_assign(bed->context, &bed->points, K, &bed->centroids[0][0], labels,
                                    distances, NULL, &bed->error),
              &bed->error);
    assert_memory_equal(labels, bed->labels, sizeof labels);
    for (int i = 0; i < COUNT; i++)
        sum += distances[i];
    assert_true(fabs(sum - bed->info.inertia) < 1e-9 * sum);
}

static void default_k_is_the_root(void **state) {
    (void)state;
    assert_int_equal(satchel_kmeans_default_k(0), 1);
    assert_int_equal(satchel_kmeans_default_k(1), 1);
    assert_int_equal(satchel_kmeans_default_k(2), 1);
    assert_int_equal(satchel_kmeans_default_k(3), 2);
    assert_int_equal(satchel_kmeans_default_k(10000), 100);
    assert_int_equal(satchel_kmeans_default_k(UINT64_C(1000000)), 1000);
    assert_true(satchel_kmeans_default_k(UINT64_MAX) >= UINT32_MAX);
    assert_int_equal(satchel_has_feature("kmeans"), 1);
}

/* ------------------------------------------------------------------ refusals */

static void nulls_are_refused_by_name(void **state) {
    points_bed *bed = *state;
    float *centroids = &bed->centroids[0][0];
    refused(bed, satchel_kmeans(NULL, &bed->points, K, centroids, NULL, NULL, 0, NULL, &bed->error),
            "context");
    refused(bed, satchel_kmeans(bed->context, NULL, K, centroids, NULL, NULL, 0, NULL, &bed->error),
            "points");
    refused(bed,
            satchel_kmeans(bed->context, &bed->points, K, NULL, NULL, NULL, 0, NULL, &bed->error),
            "centroids");
    refused(bed,
            satchel_kmeans_assign(bed->context, &bed->points, K, NULL, bed->labels, NULL, NULL,
                                  &bed->error),
            "centroids");
    refused(bed,
            satchel_kmeans_assign(bed->context, NULL, K, centroids, bed->labels, NULL, NULL,
                                  &bed->error),
            "points");
    assert_int_equal(satchel_kmeans(bed->context, NULL, K, centroids, NULL, NULL, 0, NULL, NULL),
                     SATCHEL_INVALID_ARGUMENT);
    /* Nothing but the centroids has to be taken. */
    test_fine(
        satchel_kmeans(bed->context, &bed->points, K, centroids, NULL, NULL, 0, NULL, &bed->error),
        &bed->error);
    test_fine(satchel_kmeans_assign(bed->context, &bed->points, K, centroids, NULL, NULL, NULL,
                                    &bed->error),
              &bed->error);
}

static satchel_status read_nothing(void *user, uint64_t first, size_t count, float *out) {
    (void)user, (void)first, (void)count, (void)out;
    return SATCHEL_OK;
}

static void points_come_from_one_place(void **state) {
    points_bed *bed = *state;
    const float *rows = bed->points.rows;
    bed->points.rows = NULL;
    refused(bed, cluster(bed, K, NULL), "nowhere");
    bed->points.rows = rows;
    bed->points.path = "file";
    refused(bed, cluster(bed, K, NULL), "several");
    bed->points.path = NULL;
    bed->points.read = read_nothing;
    refused(bed, cluster(bed, K, NULL), "several");
    bed->points.rows = NULL;
    bed->points.offset = 4;
    refused(bed, cluster(bed, K, NULL), "offset");
    bed->points.offset = 0;
    bed->points.stride = DIMENSION + 1;
    refused(bed, cluster(bed, K, NULL), "stride");
    bed->points.read = NULL;
    bed->points.rows = rows;
    bed->points.stride = DIMENSION - 1;
    refused(bed, cluster(bed, K, NULL), "stride");
}

static void sizes_have_bounds(void **state) {
    points_bed *bed = *state;
    refused(bed, cluster(bed, 0, NULL), "k is 0");
    refused(bed, cluster(bed, COUNT + 1, NULL), "only 400 points");
    refused(bed, cluster(bed, SIZE_MAX, NULL), "k is");
    bed->points.count = 0;
    refused(bed, cluster(bed, 1, NULL), "count");
    bed->points.count = UINT64_MAX;
    refused(bed, cluster(bed, 1, NULL), "addressed");
    bed->points.count = UINT64_MAX / sizeof(float) / DIMENSION + 2; /* the product is small again */
    refused(bed, cluster(bed, 1, NULL), "addressed");
    bed->points.count = COUNT;
    bed->points.stride = SIZE_MAX / 2;
    refused(bed, cluster(bed, 1, NULL), "addressed");
    bed->points.stride = 0;
    for (int i = 0; i < 3; i++) {
        bed->points.dimension = (int32_t[]){0, -1, 65537}[i];
        refused(bed, cluster(bed, 1, NULL), "dimension");
    }
    bed->points.dimension = DIMENSION;
    /* Labelling no points is no mistake. */
    bed->points.count = 0;
    test_fine(satchel_kmeans_assign(bed->context, &bed->points, K, &bed->centroids[0][0],
                                    bed->labels, NULL, NULL, &bed->error),
              &bed->error);
}

static void values_must_be_finite(void **state) {
    points_bed *bed = *state;
    const float bad[] = {NAN, INFINITY, -INFINITY, 2e30f};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const float before = bed->rows[123][5];
        bed->rows[123][5] = bad[i];
        refused(bed, cluster(bed, K, NULL), "row 123");
        refused(bed,
                satchel_kmeans_assign(bed->context, &bed->points, K, &bed->rows[0][0], bed->labels,
                                      NULL, NULL, &bed->error),
                "row 123");
        bed->rows[123][5] = before;
        satchel_kmeans_options options;
        satchel_kmeans_options_init(&options, sizeof options);
        float initial[K][DIMENSION];
        memcpy(initial, bed->rows, sizeof initial);
        initial[3][2] = bad[i];
        options.initial = &initial[0][0];
        refused(bed, cluster(bed, K, &options), "centroid");
        refused(bed,
                satchel_kmeans_assign(bed->context, &bed->points, K, &initial[0][0], bed->labels,
                                      NULL, NULL, &bed->error),
                "centroid");
    }
}

static void options_have_bounds(void **state) {
    points_bed *bed = *state;
    satchel_kmeans_options options;
    satchel_kmeans_options_init(&options, sizeof options);
    assert_int_equal(options.struct_size, sizeof options);
#define REFUSED(field, value)                                                                      \
    do {                                                                                           \
        options.field = (value);                                                                   \
        refused(bed, cluster(bed, K, &options), #field);                                           \
        satchel_kmeans_options_init(&options, sizeof options);                                     \
    } while (0)
    REFUSED(iterations, -2);
    REFUSED(objective, 2);
    REFUSED(objective, -1);
    REFUSED(mode, 2);
    REFUSED(init, 5);
    REFUSED(init, -1);
    REFUSED(init, SATCHEL_INIT_GIVEN); /* without initial centroids */
    REFUSED(threads, -1);
    REFUSED(tolerance, -1e-9);
    REFUSED(tolerance, NAN);
#undef REFUSED
    options.initial = &bed->rows[0][0];
    options.init = SATCHEL_INIT_RANDOM;
    refused(bed, cluster(bed, K, &options), "initial");
    options.init = SATCHEL_INIT_GIVEN;
    test_fine(cluster(bed, K, &options), &bed->error);
}

/* ------------------------------------------------------------------ struct sizes */

static void a_later_caller_s_fields_are_refused_unless_zero(void **state) {
    points_bed *bed = *state;
    struct {
        satchel_kmeans_options known;
        uint64_t later;
    } options = {.later = 0};
    struct {
        satchel_points known;
        uint64_t later;
    } points = {.known = bed->points};
    options.known.struct_size = sizeof options;
    points.known.struct_size = sizeof points;
    float *centroids = &bed->centroids[0][0];
    test_fine(satchel_kmeans(bed->context, &points.known, K, centroids, NULL, NULL, 0,
                             &options.known, &bed->error),
              &bed->error);
    options.later = 1;
    assert_int_equal(satchel_kmeans(bed->context, &points.known, K, centroids, NULL, NULL, 0,
                                    &options.known, &bed->error),
                     SATCHEL_UNSUPPORTED);
    options.later = 0;
    points.later = 1;
    assert_int_equal(satchel_kmeans(bed->context, &points.known, K, centroids, NULL, NULL, 0,
                                    &options.known, &bed->error),
                     SATCHEL_UNSUPPORTED);
    points.later = 0;
    points.known.struct_size = 3;
    refused(
        bed,
        satchel_kmeans(bed->context, &points.known, K, centroids, NULL, NULL, 0, NULL, &bed->error),
        "struct_size");
}

static void an_earlier_caller_s_structs_are_enough(void **state) {
    points_bed *bed = *state;
    /* As it was before everything after `init`. */
    satchel_kmeans_options options;
    memset(&options, 0x5A, sizeof options);
    const size_t old = offsetof(satchel_kmeans_options, initial);
    satchel_kmeans_options_init(&options, old);
    assert_int_equal(options.struct_size, old);
    options.iterations = 3;
    options.init = SATCHEL_INIT_RANDOM;
    test_fine(cluster(bed, K, &options), &bed->error);
    assert_true(bed->info.iterations <= 3);
    satchel_points points = bed->points;
    points.struct_size = offsetof(satchel_points, path);
    points.path = "not looked at";
    test_fine(satchel_kmeans(bed->context, &points, K, &bed->centroids[0][0], NULL, NULL, 0, NULL,
                             &bed->error),
              &bed->error);
    /* The info's first field alone; nothing behind it is touched. */
    satchel_kmeans_info info;
    memset(&info, 0x5A, sizeof info);
    test_fine(satchel_kmeans(bed->context, &bed->points, K, &bed->centroids[0][0], NULL, &info,
                             sizeof info.inertia, &options, &bed->error),
              &bed->error);
    assert_true(info.inertia == bed->info.inertia);
    assert_int_equal(info.iterations, 0x5A5A5A5A);
    /* A larger one is filled up with zeros, also on failure. */
    struct {
        satchel_kmeans_info known;
        uint8_t later[16];
    } large;
    for (size_t k = K;; k = 0) {
        memset(&large, 0x5A, sizeof large);
        satchel_status status =
            satchel_kmeans(bed->context, &bed->points, k, &bed->centroids[0][0], NULL, &large.known,
                           sizeof large, &options, &bed->error);
        for (size_t i = 0; i < sizeof large.later; i++)
            assert_int_equal(large.later[i], 0);
        if (k == 0) {
            assert_int_equal(status, SATCHEL_INVALID_ARGUMENT);
            assert_int_equal(large.known.stop, 0);
            break;
        }
        test_fine(status, &bed->error);
        assert_true(large.known.inertia == bed->info.inertia);
    }
}

/* ------------------------------------------------------------------ sources */

typedef struct reading {
    const points_bed *bed;
    int passes, fail_at, calls;
} reading;

static satchel_status read_rows(void *user, uint64_t first, size_t count, float *out) {
    reading *r = user;
    if (first == 0)
        r->passes++;
    assert_true(first + count <= COUNT);
    if (++r->calls == r->fail_at)
        return SATCHEL_IO;
    memcpy(out, r->bed->rows[first], count * sizeof r->bed->rows[0]);
    return SATCHEL_OK;
}

static void a_function_and_a_file_give_the_same_bits(void **state) {
    points_bed *bed = *state;
    satchel_kmeans_options options;
    satchel_kmeans_options_init(&options, sizeof options);
    options.init = SATCHEL_INIT_GIVEN;
    options.initial = &bed->rows[0][0];
    test_fine(cluster(bed, K, &options), &bed->error);
    float centroids[K][DIMENSION];
    int32_t labels[COUNT];
    const double inertia = bed->info.inertia;
    memcpy(centroids, bed->centroids, sizeof centroids);
    memcpy(labels, bed->labels, sizeof labels);

    reading r = {.bed = bed};
    const satchel_points memory = bed->points;
    bed->points.rows = NULL;
    bed->points.read = read_rows;
    bed->points.user = &r;
    test_fine(cluster(bed, K, &options), &bed->error);
    assert_true(r.passes > 1);
    assert_memory_equal(centroids, bed->centroids, sizeof centroids);
    assert_memory_equal(labels, bed->labels, sizeof labels);
    assert_true(inertia == bed->info.inertia);

    char path[] = "/tmp/satchel-kmeans-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "HEAD", 4), 4);
    const void *rows = memory.rows;
    assert_int_equal(write(fd, rows, sizeof bed->rows), sizeof bed->rows);
    close(fd);
    bed->points = memory;
    bed->points.rows = NULL;
    bed->points.path = path;
    bed->points.offset = 4;
    options.memory_budget = 1 << 16;
    test_fine(cluster(bed, K, &options), &bed->error);
    assert_memory_equal(centroids, bed->centroids, sizeof centroids);
    assert_memory_equal(labels, bed->labels, sizeof labels);
    assert_true(inertia == bed->info.inertia);
    bed->points.count = COUNT + 1;
    assert_int_equal(cluster(bed, K, &options), SATCHEL_DAMAGED);
    bed->points.count = COUNT;
    assert_int_equal(unlink(path), 0);
    assert_int_equal(cluster(bed, K, &options), SATCHEL_NOT_FOUND);
}

static void a_failing_read_ends_it(void **state) {
    points_bed *bed = *state;
    bed->points.rows = NULL;
    bed->points.read = read_rows;
    for (int fail_at = 1; fail_at <= 3; fail_at++) {
        reading r = {.bed = bed, .fail_at = fail_at};
        bed->points.user = &r;
        assert_int_equal(cluster(bed, K, NULL), SATCHEL_CALLBACK);
        assert_int_equal(r.calls, fail_at);
    }
}

/* ------------------------------------------------------------------ progress and cancel */

typedef struct watching {
    int calls, stop;
    int32_t last, iterations;
    satchel_cancel *cancel; /* fired in the call `stop` */
} watching;

static int32_t watch(void *user, const satchel_kmeans_progress *progress) {
    watching *w = user;
    assert_true(progress->iteration >= w->last);
    assert_true(progress->iteration <= progress->iterations + 1);
    assert_true(progress->shift >= 0 && progress->elapsed_ms >= 0);
    w->last = progress->iteration;
    w->iterations = progress->iterations;
    if (++w->calls != w->stop)
        return 0;
    satchel_cancel_fire(w->cancel);
    return w->cancel == NULL;
}

static void progress_tells_and_stops(void **state) {
    points_bed *bed = *state;
    watching w = {0};
    satchel_kmeans_options options;
    satchel_kmeans_options_init(&options, sizeof options);
    options.init = SATCHEL_INIT_RANDOM;
    options.progress = watch;
    options.progress_user = &w;
    test_fine(cluster(bed, K, &options), &bed->error);
    assert_int_equal(w.iterations, 25);
    assert_int_equal(w.last, 26); /* the final labels */
    const int calls = w.calls;
    assert_true(calls >= 3);
    for (int stop = 1; stop <= calls; stop++) {
        w = (watching){.stop = stop};
        assert_int_equal(cluster(bed, K, &options), SATCHEL_CANCELLED);
        assert_int_equal(w.calls, stop);
    }
}

static void cancel_stops(void **state) {
    points_bed *bed = *state;
    watching w = {.stop = 1};
    satchel_kmeans_options options;
    satchel_kmeans_options_init(&options, sizeof options);
    test_fine(satchel_cancel_open(&w.cancel, bed->context, &bed->error), &bed->error);
    options.init = SATCHEL_INIT_RANDOM;
    options.progress = watch;
    options.progress_user = &w;
    options.cancel = w.cancel;
    assert_int_equal(cluster(bed, K, &options), SATCHEL_CANCELLED);
    assert_int_equal(w.calls, 1); /* it ended within the next pass */
    assert_int_equal(cluster(bed, K, &options), SATCHEL_CANCELLED);
    assert_int_equal(w.calls, 1); /* it did not even begin */
    assert_int_equal(satchel_kmeans_assign(bed->context, &bed->points, K, &bed->centroids[0][0],
                                           bed->labels, NULL, &options, &bed->error),
                     SATCHEL_CANCELLED);
    satchel_cancel_close(&w.cancel);
}

static void the_memory_limit_holds(void **state) {
    points_bed *bed = *state;
    satchel_context_options limited;
    satchel_context_options_init(&limited, sizeof limited);
    limited.memory_limit = 16384;
    satchel_context *context = NULL;
    test_fine(satchel_context_open(&context, &limited, &bed->error), &bed->error);
    assert_int_equal(satchel_kmeans(context, &bed->points, K, &bed->centroids[0][0], bed->labels,
                                    NULL, 0, NULL, &bed->error),
                     SATCHEL_MEMORY_LIMIT);
    satchel_context_close(&context);
    uint64_t before, after;
    satchel_context_memory(bed->context, &before, NULL);
    test_fine(cluster(bed, K, NULL), &bed->error);
    assert_true(bed->info.memory_bytes > 0);
    satchel_context_memory(bed->context, &after, NULL);
    assert_true(after == before); /* nothing is kept */
}

int main(void) {
#define ON_POINTS(test) cmocka_unit_test_setup_teardown(test, points_setup, points_teardown)
    const struct CMUnitTest tests[] = {
        ON_POINTS(groups_are_found),
        cmocka_unit_test(default_k_is_the_root),
        ON_POINTS(nulls_are_refused_by_name),
        ON_POINTS(points_come_from_one_place),
        ON_POINTS(sizes_have_bounds),
        ON_POINTS(values_must_be_finite),
        ON_POINTS(options_have_bounds),
        ON_POINTS(a_later_caller_s_fields_are_refused_unless_zero),
        ON_POINTS(an_earlier_caller_s_structs_are_enough),
        ON_POINTS(a_function_and_a_file_give_the_same_bits),
        ON_POINTS(a_failing_read_ends_it),
        ON_POINTS(progress_tells_and_stops),
        ON_POINTS(cancel_stops),
        ON_POINTS(the_memory_limit_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
