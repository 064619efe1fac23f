/* Losses of rows at the centres chosen so far, beside a plain search. */
#include <math.h>

#include "tests/unit/cluster/init_fixture.h"

static void losses_are_those_of_a_plain_search(void **state) {
    points from = make_clusters(1500, 37, 11, 3);
    for (size_t d = 0; d < from.dimension; d++) {
        from.rows[700 * from.dimension + d] = from.rows[3 * from.dimension + d];
        from.rows[900 * from.dimension + d] = 0;
    }
    enum { CENTRES = 90, FIRST = 41 };
    static float centres[CENTRES * 37];
    static const int32_t levels[] = {SATCHEL_CPU_DEFAULT, SATCHEL_CPU_C};
    for (int variant = 0; variant < 8; variant++) {
        bool inner = variant & 1, centred = variant & 2;
        run r;
        open_run(&r, &from, (setting){2, levels[variant / 4], 300, 'r', true, centred}, inner);
        for (size_t c = 0; c < CENTRES; c++) {
            /* Rows far apart, some twice. */
            const float *row = from.rows + (c % 70) * 19 * from.dimension;
            double length = inner ? sqrt(r.workers.kernels->dot(row, row, from.dimension)) : 1;
            for (size_t d = 0; d < from.dimension; d++)
                centres[c * from.dimension + d] = (float)(row[d] / length);
        }
        sat_nearest nearest;
        assert_int_equal(sat_nearest_open(&nearest, &r.workers, &r.space, from.count, true,
                                          &r.init.kept, NULL, &r.error),
                         SATCHEL_OK);
        size_t parts[] = {0, 1, FIRST, CENTRES};
        for (size_t p = 0; p + 1 < SAT_COUNT(parts); p++)
            assert_int_equal(sat_nearest_add(&nearest, r.source,
                                             centres + parts[p] * from.dimension,
                                             parts[p + 1] - parts[p], &r.error),
                             SATCHEL_OK);
        assert_true(r.filled > 0 && r.filled <= from.count / 2);
        double sum = 0;
        for (size_t i = 0; i < from.count; i++) {
            const float *row = from.rows + i * from.dimension;
            double least = INFINITY;
            int32_t label = -1;
            for (size_t c = 0; c < CENTRES; c++) {
                const float *centre = centres + c * from.dimension;
                double loss;
                if (inner) {
                    double length = sqrt(r.workers.kernels->dot(row, row, from.dimension));
                    loss = length - r.workers.kernels->dot(row, centre, from.dimension);
                    loss = loss > length * 0x1p-22 ? loss : 0;
                } else {
                    loss = r.workers.kernels->distance(row, centre, from.dimension);
                }
                if (loss < least) {
                    least = loss;
                    label = (int32_t)c;
                }
            }
            if (nearest.losses[i] != least || nearest.labels[i] != label)
                fail_msg("variant %d, row %zu: %g at %d, not %g at %d", variant, i,
                         nearest.losses[i], (int)nearest.labels[i], least, (int)label);
            sum += least;
        }
        assert_true(fabs(sat_nearest_sum(&nearest) - sum) <= 1e-12 * sum);
        sat_nearest_close(&nearest);
        close_run(&r);
    }
    free(from.rows);
}

/* Whole numbers: many centres are equally far, and estimates cannot tell which comes first. */
static void ties_go_to_the_lowest_centre(void **state) {
    enum { CENTRES = 60 };
    points from = make_points(1000, 2);
    float centres[CENTRES * 2];
    for (size_t i = 0; i < from.count * 2; i++)
        from.rows[i] = (float)(sat_random_mix(i + 1) % 41);
    for (size_t i = 0; i < CENTRES * 2; i++)
        centres[i] = (float)(sat_random_mix(i + 9999) % 41);
    run r;
    open_run(&r, &from, plain, false);
    sat_nearest nearest;
    assert_int_equal(sat_nearest_open(&nearest, &r.workers, &r.space, from.count, true,
                                      &r.init.kept, NULL, &r.error),
                     SATCHEL_OK);
    assert_int_equal(sat_nearest_add(&nearest, r.source, centres, CENTRES, &r.error), SATCHEL_OK);
    size_t ties = 0;
    for (size_t i = 0; i < from.count; i++) {
        double least = INFINITY;
        int32_t label = -1;
        for (size_t c = 0; c < CENTRES; c++) {
            double loss = r.workers.kernels->distance(from.rows + i * 2, centres + c * 2, 2);
            ties += loss == least;
            label = loss < least ? (int32_t)c : label;
            least = fmin(loss, least);
        }
        assert_int_equal(nearest.labels[i], label);
        assert_true(nearest.losses[i] == least);
    }
    assert_true(ties > 100);
    sat_nearest_close(&nearest);
    close_run(&r);
    free(from.rows);
}

static void the_best_of_centres_tried_is_taken(void **state) {
    enum { FIRST = 5, TRIALS = 32, ROWS = 1500, WIDE = 37 };
    points from = make_clusters(ROWS, WIDE, 40, 3);
    double weight[ROWS];
    for (size_t i = 0; i < ROWS; i++)
        weight[i] = (double)(i % 4);
    for (size_t trials = 1; trials <= TRIALS; trials += 31) {
        run r;
        open_run(&r, &from, (setting){2, SATCHEL_CPU_DEFAULT, 1, 'm', true, true}, false);
        const sat_cluster_kernels *kernels = r.workers.kernels;
        sat_nearest nearest;
        assert_int_equal(sat_nearest_open(&nearest, &r.workers, &r.space, ROWS, false, &r.init.kept,
                                          weight, &r.error),
                         SATCHEL_OK);
        assert_int_equal(sat_nearest_add(&nearest, r.source, from.rows, FIRST, &r.error),
                         SATCHEL_OK);
        for (int round = 0; round < 3; round++) {
            double before[ROWS], gains[TRIALS] = {0};
            memcpy(before, nearest.losses, sizeof before);
            float *centres = from.rows + (size_t)(100 * (round + 1)) * WIDE;
            size_t best, expected = 0;
            assert_int_equal(sat_nearest_try(&nearest, r.source, centres, trials, &best, &r.error),
                             SATCHEL_OK);
            assert_memory_equal(before, nearest.losses, sizeof before);
            for (size_t t = 0; t < trials; t++) {
                for (size_t i = 0; i < ROWS; i++) {
                    double loss = kernels->distance(from.rows + i * WIDE, centres + t * WIDE, WIDE);
                    gains[t] += weight[i] * fmax(0, before[i] - loss);
                }
                expected = gains[t] > gains[expected] ? t : expected;
            }
            assert_int_equal(best, expected);
            sat_nearest_take(&nearest, best);
            for (size_t i = 0; i < ROWS; i++) {
                double loss = kernels->distance(from.rows + i * WIDE, centres + best * WIDE, WIDE);
                assert_true(nearest.losses[i] == fmin(before[i], loss));
            }
        }
        sat_nearest_close(&nearest);
        close_run(&r);
    }
    free(from.rows);
}

/* Rows too far apart for float estimates: double decides alone. */
static void far_centres_are_scored_in_double(void **state) {
    points from = make_points(600, 3);
    for (size_t i = 0; i < from.count * 3; i++)
        from.rows[i] = i / 3 % 3 == 0 ? 1e30f : (float)(i % 100) * 1e-30f;
    run r;
    open_run(&r, &from, plain, false);
    r.space.factor = 1; /* leaves the centres beyond what floats can score */
    sat_nearest nearest;
    assert_int_equal(sat_nearest_open(&nearest, &r.workers, &r.space, from.count, true,
                                      &r.init.kept, NULL, &r.error),
                     SATCHEL_OK);
    float centres[6];
    memcpy(centres, from.rows, 3 * sizeof(float));
    memcpy(centres + 3, from.rows + 3, 3 * sizeof(float));
    assert_int_equal(sat_nearest_add(&nearest, r.source, centres, 2, &r.error), SATCHEL_OK);
    assert_int_equal(r.filled, 0);
    for (size_t i = 0; i < from.count; i++) {
        assert_int_equal(nearest.labels[i], i % 3 != 0);
        assert_true(nearest.losses[i] ==
                    r.workers.kernels->distance(from.rows + i * 3, centres + (i % 3 != 0) * 3, 3));
    }
    sat_nearest_close(&nearest);
    close_run(&r);
    free(from.rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_are_those_of_a_plain_search),
        cmocka_unit_test(ties_go_to_the_lowest_centre),
        cmocka_unit_test(the_best_of_centres_tried_is_taken),
        cmocka_unit_test(far_centres_are_scored_in_double),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
