/* The first centroids: what is drawn, how often, and that nothing but the seed changes it. */
#include <math.h>

#include "tests/unit/cluster/init_fixture.h"

static const int32_t methods[] = {SATCHEL_INIT_RANDOM, SATCHEL_INIT_PLUS_PLUS,
                                  SATCHEL_INIT_PARALLEL};

/* The centroids of one run; the caller frees them. */
static float *seeded(const points *from, setting s, bool inner, int32_t method, size_t k,
                     uint64_t seed) {
    run r;
    open_run(&r, from, s, inner);
    r.init.method = method;
    r.init.k = k;
    r.init.seed = seed;
    float *centroids = malloc(k * from->dimension * sizeof *centroids);
    assert_non_null(centroids);
    if (sat_init_centroids(&r.init, centroids, &r.error) != SATCHEL_OK)
        fail_msg("%s", r.error.message);
    close_run(&r);
    return centroids;
}

/* The row a centroid equals; fails if there is none. */
static size_t row_of(const points *from, const float *centroid) {
    for (size_t i = 0; i < from->count; i++)
        if (memcmp(from->rows + i * from->dimension, centroid, from->dimension * 4) == 0)
            return i;
    fail_msg("a centroid is no row");
    return 0;
}

/* ------------------------------------------------------------------ only the seed matters */

static void settings_do_not_matter(void **state) {
    points from = make_clusters(1100, 50, 30, 2);
    /* Some rows many times, and some zero. */
    for (size_t i = 0; i < 1100; i += 7)
        memcpy(from.rows + i * 50, from.rows + i % 5 * 50, 50 * sizeof(float));
    memset(from.rows + 1001 * 50, 0, 50 * sizeof(float));
    static const setting settings[] = {
        {2, SATCHEL_CPU_DEFAULT, 1, 'm', true, true},
        {4, SATCHEL_CPU_DEFAULT, 1000, 'm', false, false},
        {1, SATCHEL_CPU_C, 1000, 'm', true, true},
        {3, SATCHEL_CPU_C, 1000, 'm', false, false},
        {2, SATCHEL_CPU_DEFAULT, 256, 'f', true, true},
        {1, SATCHEL_CPU_DEFAULT, 77, 'f', false, true},
        {4, SATCHEL_CPU_C, 2000, 'f', true, false},
        {2, SATCHEL_CPU_DEFAULT, 512, 'r', true, false},
        {1, SATCHEL_CPU_C, 333, 'r', true, true},
#if defined(__x86_64__)
        {2, SATCHEL_CPU_AVX2, 1000, 'm', true, true},
        {2, SATCHEL_CPU_AVXVNNI, 1000, 'm', true, true},
#elif defined(__aarch64__)
        {2, SATCHEL_CPU_NEON, 1000, 'm', true, true},
        {2, SATCHEL_CPU_DOTPROD, 1000, 'm', true, true},
#endif
    };
    static const size_t ks[] = {1, 30, 400};
    for (size_t m = 0; m < SAT_COUNT(methods); m++)
        for (size_t i = 0; i < SAT_COUNT(ks); i++)
            for (int inner = 0; inner < 2; inner++) {
                float *first = seeded(&from, plain, inner, methods[m], ks[i], 9);
                for (size_t s = 0; s < SAT_COUNT(settings); s++) {
                    if (sat_cpu_choose(settings[s].level) == 0)
                        continue; /* this machine lacks it */
                    float *other = seeded(&from, settings[s], inner, methods[m], ks[i], 9);
                    if (memcmp(first, other, ks[i] * 50 * sizeof(float)) != 0)
                        fail_msg("method %d, k %zu, inner %d: setting %zu gives others", methods[m],
                                 ks[i], inner, s);
                    free(other);
                }
                float *other = seeded(&from, plain, inner, methods[m], ks[i], 10);
                assert_int_not_equal(memcmp(first, other, ks[i] * 50 * sizeof(float)), 0);
                free(other);
                free(first);
            }
    free(from.rows);
}

/* ------------------------------------------------------------------ what is drawn, how often */

/* Σ (seen − expected)² / expected. Seeds are fixed, so these tests give the same on every run;
 * limits are those passed once in ten thousand by right draws. */
static double chi_square(const size_t *seen, const double *share, size_t cells, size_t total) {
    double sum = 0;
    for (size_t i = 0; i < cells; i++) {
        double expected = share[i] * (double)total;
        if (expected == 0)
            assert_int_equal(seen[i], 0);
        else
            sum += ((double)seen[i] - expected) * ((double)seen[i] - expected) / expected;
    }
    return sum;
}

static void random_rows_are_equally_likely(void **state) {
    enum { ROWS = 6, K = 3, SEEDS = 12000 };
    points from = make_points(ROWS, 1);
    for (size_t i = 0; i < ROWS; i++)
        from.rows[i] = (float)i;
    run r;
    open_run(&r, &from, plain, false);
    r.init.method = SATCHEL_INIT_RANDOM;
    r.init.k = K;
    size_t seen[ROWS * ROWS * ROWS] = {0};
    double share[ROWS * ROWS * ROWS];
    for (size_t i = 0; i < SAT_COUNT(share); i++) {
        size_t a = i / 36, b = i / 6 % 6, c = i % 6;
        share[i] = a != b && b != c && a != c ? 1.0 / 120 : 0;
    }
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        r.init.seed = seed;
        float c[K];
        assert_int_equal(sat_init_centroids(&r.init, c, &r.error), SATCHEL_OK);
        seen[(size_t)(c[0] * 36 + c[1] * 6 + c[2])]++;
    }
    assert_true(chi_square(seen, share, SAT_COUNT(seen), SEEDS) < 185); /* 119 degrees */
    close_run(&r);
    free(from.rows);
}

/* Each sequence of rows as often as k-means++ by its definition gives it, though all but the first
 * are drawn by losses out of date. */
static void plus_plus_draws_by_the_loss(void **state) {
    enum { ROWS = 5, K = 4, CELLS = 625, SEEDS = 20000 };
    static const float places[ROWS] = {0, 1, 1.5f, 4, 9};
    points from = make_points(ROWS, 1);
    memcpy(from.rows, places, sizeof places);
    double share[CELLS], shares = 0;
    for (size_t cell = 0; cell < CELLS; cell++) {
        size_t drawn[K] = {cell / 125, cell / 25 % 5, cell / 5 % 5, cell % 5};
        share[cell] = 1.0 / ROWS;
        for (size_t i = 1; i < K; i++) {
            double sum = 0, own = 0;
            for (size_t row = 0; row < ROWS; row++) {
                double loss = INFINITY;
                for (size_t j = 0; j < i; j++) {
                    double difference = places[row] - places[drawn[j]];
                    loss = fmin(loss, difference * difference);
                }
                sum += loss;
                own = row == drawn[i] ? loss : own;
            }
            share[cell] *= own / sum;
        }
        shares += share[cell];
    }
    assert_true(fabs(shares - 1) < 1e-12);
    run r;
    open_run(&r, &from, plain, false);
    r.init.k = K;
    static size_t seen[CELLS];
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        r.init.seed = seed;
        float c[K];
        assert_int_equal(sat_init_centroids(&r.init, c, &r.error), SATCHEL_OK);
        size_t cell = 0;
        for (size_t i = 0; i < K; i++)
            cell = cell * ROWS + row_of(&from, &c[i]);
        seen[cell]++;
    }
    /* 120 sequences; the rare ones together. */
    size_t merged[121] = {0}, cells = 1;
    double merged_share[121] = {0};
    for (size_t cell = 0; cell < CELLS; cell++) {
        if (share[cell] == 0)
            assert_int_equal(seen[cell], 0);
        size_t to = share[cell] * SEEDS < 8 ? 0 : cells++;
        merged[to] += seen[cell];
        merged_share[to] += share[cell];
    }
    assert_true(cells > 50);
    /* Mean cells − 1, deviation √(2 (cells − 1)). */
    double limit = (double)(cells - 1) + 4.2 * sqrt(2 * (double)(cells - 1));
    assert_true(chi_square(merged, merged_share, cells, SEEDS) < limit);
    close_run(&r);
    free(from.rows);
}

/* The first centroid of an inner product: by length. The second: by ‖x‖ − x·c. */
static void directions_are_drawn_by_what_they_lack(void **state) {
    enum { ROWS = 4, SEEDS = 8000 };
    static const float rows[ROWS * 2] = {2, 0, 0, 1, 0, 0, -3, 4};
    points from = make_points(ROWS, 2);
    memcpy(from.rows, rows, sizeof rows);
    double length[ROWS] = {2, 1, 0, 5}, share[ROWS * ROWS];
    for (size_t a = 0; a < ROWS; a++) {
        double sum = 0;
        for (size_t b = 0; b < ROWS; b++) {
            double dot = rows[2 * a] * rows[2 * b] + rows[2 * a + 1] * rows[2 * b + 1];
            share[a * ROWS + b] = a == 2 ? 0 : length[a] / 8 * (length[b] - dot / length[a]);
            sum += a == 2 ? 0 : length[b] - dot / length[a];
        }
        for (size_t b = 0; b < ROWS && a != 2; b++)
            share[a * ROWS + b] /= sum;
    }
    run r;
    open_run(&r, &from, plain, true);
    r.init.k = 2;
    size_t seen[ROWS * ROWS] = {0};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        r.init.seed = seed;
        float c[4];
        assert_int_equal(sat_init_centroids(&r.init, c, &r.error), SATCHEL_OK);
        size_t row[2];
        for (size_t i = 0; i < 2; i++)
            row[i] = c[2 * i] == 1 ? 0 : c[2 * i + 1] == 1 ? 1 : 3;
        seen[row[0] * ROWS + row[1]]++;
    }
    assert_true(chi_square(seen, share, SAT_COUNT(seen), SEEDS) < 27); /* 5 degrees */
    close_run(&r);
    free(from.rows);
}

/* ------------------------------------------------------------------ what comes of it */

static void centroids_are_distinct_rows(void **state) {
    points from = make_clusters(1000, 20, 7, 2);
    static const size_t ks[] = {1, 3, 100, 999, 1000};
    for (size_t m = 0; m < SAT_COUNT(methods); m++)
        for (size_t i = 0; i < SAT_COUNT(ks); i++) {
            float *centroids = seeded(&from, plain, false, methods[m], ks[i], 3);
            bool seen[1000] = {0};
            for (size_t c = 0; c < ks[i]; c++) {
                size_t row = row_of(&from, centroids + c * 20);
                assert_false(seen[row]);
                seen[row] = true;
            }
            free(centroids);
        }
    free(from.rows);
}

static double total_loss(const points *from, const float *centroids, size_t k) {
    const sat_cluster_kernels *kernels = sat_cluster_kernels_for(SATCHEL_CPU_C);
    double sum = 0;
    for (size_t i = 0; i < from->count; i++) {
        double least = INFINITY;
        for (size_t c = 0; c < k; c++)
            least =
                fmin(least, kernels->distance(from->rows + i * from->dimension,
                                              centroids + c * from->dimension, from->dimension));
        sum += least;
    }
    return sum;
}

/* Clusters a thousand times farther apart than wide: drawing by loss finds every one, equal draws
 * do not. */
static void draws_by_loss_find_all_clusters(void **state) {
    enum { CLUSTERS = 25 };
    points from = make_clusters(2500, 16, CLUSTERS, 1000);
    float *equal = seeded(&from, plain, false, SATCHEL_INIT_RANDOM, CLUSTERS, 5);
    double worst = total_loss(&from, equal, CLUSTERS);
    for (size_t m = 1; m < SAT_COUNT(methods); m++) {
        float *centroids = seeded(&from, plain, false, methods[m], CLUSTERS, 5);
        bool found[CLUSTERS] = {0};
        for (size_t c = 0; c < CLUSTERS; c++)
            found[row_of(&from, centroids + c * 16) % CLUSTERS] = true;
        for (size_t c = 0; c < CLUSTERS; c++)
            if (!found[c])
                fail_msg("method %d misses cluster %zu", (int)methods[m], c);
        assert_true(total_loss(&from, centroids, CLUSTERS) * 1000 < worst);
        free(centroids);
    }
    free(equal);
    free(from.rows);
}

static void few_distinct_rows_are_filled_up(void **state) {
    points from = make_points(300, 4);
    for (size_t i = 0; i < 300; i++)
        from.rows[i * 4 + 1] = (float)(i % 3);
    for (size_t m = 0; m < SAT_COUNT(methods); m++) {
        static const size_t ks[] = {2, 3, 10, 300};
        for (size_t i = 0; i < SAT_COUNT(ks); i++) {
            float *centroids = seeded(&from, plain, false, methods[m], ks[i], 2);
            size_t times[3] = {0};
            for (size_t c = 0; c < ks[i]; c++)
                times[row_of(&from, centroids + c * 4)]++;
            size_t distinct = (times[0] > 0) + (times[1] > 0) + (times[2] > 0);
            if (methods[m] != SATCHEL_INIT_RANDOM)
                assert_int_equal(distinct, ks[i] < 3 ? ks[i] : 3);
            if (ks[i] == 300) /* every row once */
                assert_true(times[0] == 100 && times[1] == 100 && times[2] == 100);
            free(centroids);
        }
    }
    memset(from.rows, 0, 300 * 4 * sizeof(float));
    for (size_t m = 0; m < SAT_COUNT(methods); m++)
        free(seeded(&from, plain, false, methods[m], 50, 2));
    free(from.rows);
}

static void directions_have_length_one(void **state) {
    points from = make_clusters(900, 30, 12, 2);
    for (size_t i = 0; i < 900; i += 3)
        memset(from.rows + i * 30, 0, 30 * sizeof(float));
    for (size_t m = 0; m < SAT_COUNT(methods); m++) {
        float *centroids = seeded(&from, plain, true, methods[m], 64, 2);
        for (size_t c = 0; c < 64; c++) {
            double square = 0;
            size_t others = 0;
            for (size_t d = 0; d < 30; d++) {
                square += (double)centroids[c * 30 + d] * centroids[c * 30 + d];
                others += centroids[c * 30 + d] != 0;
            }
            assert_true(fabs(square - 1) < 1e-6);
            if (methods[m] != SATCHEL_INIT_RANDOM) /* zero rows, axes then, are not drawn */
                assert_true(others > 1);
        }
        free(centroids);
    }
    memset(from.rows, 0, 900 * 30 * sizeof(float));
    for (size_t m = 0; m < SAT_COUNT(methods); m++) {
        float *centroids = seeded(&from, plain, true, methods[m], 40, 2);
        for (size_t c = 0; c < 40; c++)
            assert_true(centroids[c * 30 + c % 30] == 1);
        free(centroids);
    }
    free(from.rows);
}

static void extreme_values_are_drawn_too(void **state) {
    static const float scales[] = {1e30f, 1e-30f, 1e-42f};
    for (size_t s = 0; s < SAT_COUNT(scales); s++)
        for (size_t m = 0; m < SAT_COUNT(methods); m++)
            for (int inner = 0; inner < 2; inner++) {
                points from = make_clusters(500, 9, 5, 4);
                for (size_t i = 0; i < 500 * 9; i++)
                    from.rows[i] *= scales[s] / 5;
                float *centroids = seeded(&from, plain, inner, methods[m], 15, 4);
                setting c_level = plain;
                c_level.level = SATCHEL_CPU_C;
                float *other = seeded(&from, c_level, inner, methods[m], 15, 4);
                if (memcmp(centroids, other, 15 * 9 * sizeof(float)) != 0)
                    fail_msg("scale %g, method %d, inner %d: levels differ", (double)scales[s],
                             (int)methods[m], inner);
                for (size_t i = 0; i < 15 * 9; i++)
                    assert_true(isfinite(centroids[i]));
                free(other);
                free(centroids);
                free(from.rows);
            }
}

static void wide_rows_are_drawn_too(void **state) {
    points from = make_clusters(40, 65536, 4, 5);
    for (size_t m = 0; m < SAT_COUNT(methods); m++) {
        float *centroids = seeded(&from, plain, false, methods[m], 20, 8);
        bool seen[40] = {0};
        for (size_t c = 0; c < 20; c++) {
            size_t row = row_of(&from, centroids + c * from.dimension);
            assert_false(seen[row]);
            seen[row] = true;
        }
        free(centroids);
    }
    free(from.rows);
}

/* What is said to be needed is enough, and not absurd. */
static void memory_is_as_foretold(void **state) {
    test_needs_speed();
    points from = make_clusters(6000, 100, 50, 2);
    static const size_t ks[] = {1, 10, 150, 700, 3000, 6000};
    float *centroids = malloc(6000 * 100 * sizeof *centroids);
    assert_non_null(centroids);
    for (size_t m = 0; m < SAT_COUNT(methods); m++)
        for (size_t i = 0; i < SAT_COUNT(ks); i++) {
            run r;
            open_run(&r, &from, plain, false);
            r.init.method = methods[m];
            r.init.k = ks[i];
            uint64_t before = r.context->memory.now;
            uint64_t told = sat_init_bytes(methods[m], &r.workers, &r.space, from.count, ks[i]);
            r.context->memory.peak = before;
            assert_int_equal(sat_init_centroids(&r.init, centroids, &r.error), SATCHEL_OK);
            uint64_t used = r.context->memory.peak - before;
            if (used > told || told > 4 * used + 100000)
                fail_msg("method %d, k %zu: %llu bytes used, %llu foretold", (int)methods[m], ks[i],
                         (unsigned long long)used, (unsigned long long)told);
            close_run(&r);
        }
    free(centroids);
    free(from.rows);
}

/* ------------------------------------------------------------------ what goes wrong */

static void wrong_options_are_refused(void **state) {
    points from = make_points(10, 2);
    run r;
    open_run(&r, &from, plain, false);
    float centroids[22];
    static const size_t ks[] = {0, 11, SIZE_MAX};
    for (size_t i = 0; i < SAT_COUNT(ks); i++) {
        r.init.k = ks[i];
        assert_int_equal(sat_init_centroids(&r.init, centroids, &r.error),
                         SATCHEL_INVALID_ARGUMENT);
    }
    r.init.k = 2;
    static const int32_t wrong[] = {SATCHEL_INIT_GIVEN, 5, -1};
    for (size_t i = 0; i < SAT_COUNT(wrong); i++) {
        r.init.method = wrong[i];
        assert_int_equal(sat_init_centroids(&r.init, centroids, &r.error),
                         SATCHEL_INVALID_ARGUMENT);
    }
    r.init.method = SATCHEL_INIT_DEFAULT;
    assert_int_equal(sat_init_centroids(&r.init, centroids, &r.error), SATCHEL_OK);
    close_run(&r);
    free(from.rows);
}

static void errors_of_the_source_come_through(void **state) {
    points from = make_clusters(1000, 8, 5, 2);
    for (size_t m = 0; m < SAT_COUNT(methods); m++) {
        run r;
        open_run(&r, &from, (setting){2, SATCHEL_CPU_DEFAULT, 300, 'r', true, true}, false);
        float centroids[50 * 8];
        r.init.method = methods[m];
        r.init.k = 50;
        r.fail_from = 500;
        assert_int_equal(sat_init_centroids(&r.init, centroids, &r.error), SATCHEL_CALLBACK);
        assert_non_null(strstr(r.error.message, "SATCHEL_IO"));
        r.fail_from = 0;
        assert_int_equal(sat_init_centroids(&r.init, centroids, &r.error), SATCHEL_OK);
        close_run(&r);
    }
    free(from.rows);
}

static void cancelling_ends_it(void **state) {
    points from = make_clusters(1000, 8, 5, 2);
    for (size_t m = 0; m < SAT_COUNT(methods); m++) {
        run r;
        open_run(&r, &from, plain, false);
        satchel_cancel cancel = {.fired = 1};
        float centroids[50 * 8];
        r.workers.cancel = &cancel;
        r.init.method = methods[m];
        r.init.k = 50;
        assert_int_equal(sat_init_centroids(&r.init, centroids, &r.error), SATCHEL_CANCELLED);
        close_run(&r);
    }
    free(from.rows);
}

static void every_allocation_may_fail(void **state) {
    test_needs_speed();
    points from = make_clusters(1000, 8, 5, 2);
    for (size_t m = 0; m < SAT_COUNT(methods); m++)
        for (int inner = 0; inner < 2; inner++) {
            run r;
            open_run(&r, &from, plain, inner);
            float centroids[30 * 8];
            r.init.method = methods[m];
            r.init.k = 30;
            size_t failures = 0;
            for (;; failures++) {
                r.allocator.calls = 0;
                r.allocator.fail_at = failures + 1;
                int64_t blocks = r.allocator.blocks;
                satchel_status status = sat_init_centroids(&r.init, centroids, &r.error);
                assert_int_equal(r.allocator.blocks, blocks);
                if (status == SATCHEL_OK)
                    break;
                assert_int_equal(status, SATCHEL_OUT_OF_MEMORY);
            }
            r.allocator.fail_at = 0;
            assert_true(failures >= (methods[m] == SATCHEL_INIT_RANDOM ? 2 : 20));
            close_run(&r);
        }
    free(from.rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_do_not_matter),
        cmocka_unit_test(random_rows_are_equally_likely),
        cmocka_unit_test(plus_plus_draws_by_the_loss),
        cmocka_unit_test(directions_are_drawn_by_what_they_lack),
        cmocka_unit_test(centroids_are_distinct_rows),
        cmocka_unit_test(draws_by_loss_find_all_clusters),
        cmocka_unit_test(few_distinct_rows_are_filled_up),
        cmocka_unit_test(directions_have_length_one),
        cmocka_unit_test(extreme_values_are_drawn_too),
        cmocka_unit_test(wide_rows_are_drawn_too),
        cmocka_unit_test(memory_is_as_foretold),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(errors_of_the_source_come_through),
        cmocka_unit_test(cancelling_ends_it),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
