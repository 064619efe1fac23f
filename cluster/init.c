/*
 * Seeding.
 *
 * k-means++ without a pass for each centroid: rows are drawn by losses that may be out of date, and
 * a draw is accepted with probability (loss now) / (loss then), found by looking at the centroids
 * since. Losses only fall, so what is accepted is distributed exactly as if each draw knew all
 * centroids; how many are drawn before the next pass brings losses up to date changes speed alone.
 * So a pass takes up many centroids, and costs what a pass of assignment to as many does.
 */
#include "cluster/init.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"

enum {
    MOST_AT_ONCE = 256, /* centroids between two passes; a panel at least */
    FETCH_FLOATS =
        1 << 20, /* rows drawn between two passes have no more floats than this, roughly */
    ROUNDS = 5,  /* of k-means|| */
    MOST_TRIALS = 16,
    TRIALS_FROM = 32,  /* rows to a centroid: trials among candidates cost little beside them */
    PARALLEL_FROM = 8, /* rows to a centroid: candidates are few beside them */
};

typedef struct drawn {
    uint64_t row;
    size_t place; /* in the order of drawing */
} drawn;

/* k-means++ over the rows of one source. */
typedef struct plus_plus {
    const sat_init *init;
    sat_memory *memory;
    sat_source *source;
    sat_nearest nearest;
    sat_random random;
    size_t k, chosen, dimension;
    uint64_t *rows;   /* (k): those chosen */
    float *centroids; /* (k, dimension) */
    size_t most;      /* centroids between two passes */
    drawn *draws;     /* (room) */
    size_t *slots;    /* (room): draw → row of `fetched` */
    uint64_t *sorted; /* (room): distinct rows */
    float *fetched;   /* (room, dimension) */
    size_t room;
} plus_plus;

static int compare_drawn(const void *a, const void *b) {
    const drawn *x = a, *y = b;
    if (x->row != y->row)
        return x->row < y->row ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

static int compare_rows(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Makes centroid `index` of a row, which may lie in the same place. */
static void make_centroid(const sat_space *space, float *centroid, const float *row, size_t index) {
    size_t n = space->dimension;
    double length = 0;
    if (!space->inner) {
        memmove(centroid, row, n * sizeof *centroid);
        return;
    }
    length = sqrt(space->kernels->dot(row, row, n));
    if (length > 0) {
        for (size_t d = 0; d < n; d++)
            centroid[d] = (float)((double)row[d] / length);
    } else {
        memset(centroid, 0, n * sizeof *centroid);
        centroid[index % n] = 1;
    }
}

/* ------------------------------------------------------------------ random rows */

/* A set of row numbers by open addressing; UINT64_MAX: free. */
static bool insert(uint64_t *table, size_t mask, uint64_t row) {
    size_t at = (size_t)sat_random_mix(row) & mask;
    while (table[at] != UINT64_MAX) {
        if (table[at] == row)
            return false;
        at = (at + 1) & mask;
    }
    table[at] = row;
    return true;
}

/* Floyd's sampling: each set of k of `count` rows equally likely, with k draws; then shuffled. */
static satchel_status sample(const sat_init *init, uint64_t count, drawn *draws,
                             satchel_error *error) {
    sat_memory *memory = &init->workers->context->memory;
    size_t k = init->k, size = 2, bytes;
    while (size / 2 < k)
        size *= 2; /* k fits in 31 bits */
    uint64_t *table = NULL;
    if (sat_mul_size(size, sizeof *table, &bytes))
        table = sat_alloc(memory, bytes);
    if (!table)
        return sat_memory_fail(memory, size, error);
    memset(table, 0xff, bytes);
    sat_random random;
    sat_random_seed(&random, init->seed);
    for (size_t i = 0; i < k; i++) {
        uint64_t last = count - k + i, row = sat_random_below(&random, last + 1);
        if (!insert(table, size - 1, row)) {
            row = last;
            insert(table, size - 1, row);
        }
        draws[i] = (drawn){row, i};
    }
    sat_free(memory, table);
    for (size_t i = k; i > 1; i--) {
        size_t other = (size_t)sat_random_below(&random, i);
        uint64_t row = draws[i - 1].row;
        draws[i - 1].row = draws[other].row;
        draws[other].row = row;
    }
    return SATCHEL_OK;
}

static satchel_status random_rows(const sat_init *init, float *centroids, satchel_error *error) {
    sat_memory *memory = &init->workers->context->memory;
    size_t n = init->space->dimension;
    drawn *draws = sat_alloc_array(memory, init->k, sizeof *draws);
    if (!draws)
        return sat_memory_fail(memory, init->k * sizeof *draws, error);
    satchel_status status = sample(init, sat_source_count(init->source), draws, error);
    if (!status)
        qsort(draws, init->k, sizeof *draws, compare_drawn);
    for (size_t i = 0; i < init->k && !status; i++) {
        float *to = centroids + draws[i].place * n;
        status = sat_source_fetch(init->source, &draws[i].row, 1, to, error);
        if (!status)
            make_centroid(init->space, to, to, draws[i].place);
        if (!status)
            status = sat_cancel_check(init->workers->cancel, error);
    }
    sat_free(memory, draws);
    return status;
}

/* ------------------------------------------------------------------ k-means++ */

static size_t most_at_once(size_t dimension) {
    size_t most = FETCH_FLOATS / dimension;
    return most < SAT_TILE ? SAT_TILE : most > MOST_AT_ONCE ? MOST_AT_ONCE : most;
}

/* Rows drawn for so many centroids: some will not be accepted. */
static size_t room_for(size_t centroids) {
    return centroids + centroids / 4 + SAT_TILE;
}

static satchel_status plus_plus_open(plus_plus *p, const sat_init *init, const sat_space *space,
                                     sat_source *source, bool labels, const sat_kept_rows *kept,
                                     const double *weight, float *centroids, satchel_error *error) {
    sat_memory *memory = &init->workers->context->memory;
    size_t n = space->dimension, most = most_at_once(n);
    *p = (plus_plus){.init = init,
                     .memory = memory,
                     .source = source,
                     .k = init->k,
                     .dimension = n,
                     .centroids = centroids,
                     .most = most,
                     .room = room_for(most)};
    sat_random_seed(&p->random, init->seed);
    p->rows = sat_alloc_array(memory, p->k, sizeof *p->rows);
    p->draws = sat_alloc_array(memory, p->room, sizeof *p->draws);
    p->slots = sat_alloc_array(memory, p->room, sizeof *p->slots);
    p->sorted = sat_alloc_array(memory, p->room, sizeof *p->sorted);
    p->fetched = sat_alloc_array(memory, p->room * n, sizeof *p->fetched);
    if (!p->rows || !p->draws || !p->slots || !p->sorted || !p->fetched)
        return sat_memory_fail(memory, p->room * n * sizeof *p->fetched, error);
    return sat_nearest_open(&p->nearest, init->workers, space, sat_source_count(source), labels,
                            kept, weight, error);
}

static void plus_plus_close(plus_plus *p) {
    sat_nearest_close(&p->nearest);
    sat_free(p->memory, p->rows);
    sat_free(p->memory, p->draws);
    sat_free(p->memory, p->slots);
    sat_free(p->memory, p->sorted);
    sat_free(p->memory, p->fetched);
}

static void choose(plus_plus *p, uint64_t row, const float *values) {
    make_centroid(p->nearest.space, p->centroids + p->chosen * p->dimension, values, p->chosen);
    p->rows[p->chosen++] = row;
}

/* Draws `count` rows by the losses as they are and fetches those there are, each once. */
static satchel_status draw_rows(plus_plus *p, size_t count, size_t *distinct,
                                satchel_error *error) {
    for (size_t i = 0; i < count; i++) {
        double fraction = sat_random_fraction(sat_random_next(&p->random));
        p->draws[i] = (drawn){sat_nearest_draw(&p->nearest, fraction), i};
    }
    /* In order, each once: a function or a file is read forwards. */
    qsort(p->draws, count, sizeof *p->draws, compare_drawn);
    *distinct = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || p->draws[i].row != p->draws[i - 1].row)
            p->sorted[(*distinct)++] = p->draws[i].row;
        p->slots[p->draws[i].place] = *distinct - 1;
    }
    return sat_source_fetch(p->source, p->sorted, *distinct, p->fetched, error);
}

/* Accepts of `count` drawn rows, in the order they were drawn, those that the centroids chosen
 * meanwhile let through; at most `most`. */
static void accept_rows(plus_plus *p, size_t count, size_t most) {
    size_t first = p->chosen;
    for (size_t i = 0; i < count && p->chosen - first < most; i++) {
        uint64_t row = p->sorted[p->slots[i]];
        const float *values = p->fetched + p->slots[i] * p->dimension;
        double limit = sat_random_fraction(sat_random_next(&p->random)) * p->nearest.losses[row];
        bool accepted = true;
        for (size_t c = first; c < p->chosen && accepted; c++)
            accepted =
                sat_nearest_loss(&p->nearest, values, p->centroids + c * p->dimension) > limit;
        if (accepted)
            choose(p, row, values);
    }
}

/* The first rows not chosen yet, where no loss is left to draw by. */
static satchel_status fill_up(plus_plus *p, satchel_error *error) {
    size_t before = p->chosen;
    qsort(p->rows, before, sizeof *p->rows, compare_rows);
    size_t at = 0;
    for (uint64_t row = 0; p->chosen < p->k; row++) {
        while (at < before && p->rows[at] < row)
            at++;
        if (at < before && p->rows[at] == row)
            continue;
        satchel_status status = sat_source_fetch(p->source, &row, 1, p->fetched, error);
        if (status)
            return status;
        choose(p, row, p->fetched);
    }
    return SATCHEL_OK;
}

/* Chooses until there are `until` centroids. */
static satchel_status plus_plus_run(plus_plus *p, size_t until, satchel_error *error) {
    satchel_status status = SATCHEL_OK;
    if (p->chosen == 0 && p->nearest.space->inner)
        status = sat_nearest_add(&p->nearest, p->source, NULL, 0, error);
    while (!status && p->chosen < until) {
        if (!(sat_nearest_sum(&p->nearest) > 0))
            return fill_up(p, error);
        /* Losses fall fast at first: as many again as there are, up to what a pass is worth. */
        size_t first = p->chosen, most = first < SAT_TILE ? SAT_TILE : first, count, distinct;
        most = most < p->most ? most : p->most;
        most = first == 0 ? 1 : most < until - first ? most : until - first;
        count = first == 0 ? 1 : room_for(most);
        status = draw_rows(p, count, &distinct, error);
        if (status)
            break;
        accept_rows(p, count, most);
        if (p->chosen < p->k)
            status = sat_nearest_add(&p->nearest, p->source, p->centroids + first * p->dimension,
                                     p->chosen - first, error);
    }
    return status;
}

/* The same with trials (as scikit-learn does): of a few rows drawn, the one that takes most off the
 * sum. A row is chosen at a time, so this is for few rows, in memory. */
static satchel_status plus_plus_try(plus_plus *p, satchel_error *error) {
    size_t trials = 2;
    for (size_t k = p->k; k > 2 && trials < MOST_TRIALS; k = k * 3 / 8) /* 2 + log k, roughly */
        trials++;
    satchel_status status = plus_plus_run(p, 1, error);
    while (!status && p->chosen < p->k) {
        if (!(sat_nearest_sum(&p->nearest) > 0))
            return fill_up(p, error);
        size_t distinct, best = 0;
        status = draw_rows(p, trials, &distinct, error);
        if (!status)
            status = sat_nearest_try(&p->nearest, p->source, p->fetched, distinct, &best, error);
        if (status)
            break;
        choose(p, p->sorted[best], p->fetched + best * p->dimension);
        sat_nearest_take(&p->nearest, best);
    }
    return status;
}

/* ------------------------------------------------------------------ k-means|| */

typedef struct candidates {
    uint64_t *rows; /* (count), of the source */
    size_t count, capacity;
    float *values; /* (count, dimension): as centroids */
    size_t values_capacity;
} candidates;

/* One round: each row by itself, with probability wanted · loss / sum, is a candidate. What decides
 * is a number made of seed, round and row. */
static satchel_status draw_round(const plus_plus *p, candidates *c, uint64_t key, double wanted,
                                 double sum, satchel_error *error) {
    for (size_t row = 0; row < p->nearest.count; row++) {
        double loss = p->nearest.losses[row];
        uint64_t bits = sat_random_mix(key + (row + 1) * SAT_RANDOM_STEP);
        if (!(loss > 0) || sat_random_fraction(bits) * sum >= wanted * loss)
            continue;
        if (c->count >= INT32_MAX)
            break; /* labels end here */
        if (!sat_grow(p->memory, (void **)&c->rows, &c->capacity, c->count + 1, sizeof *c->rows))
            return sat_memory_fail(p->memory, c->count * sizeof *c->rows, error);
        c->rows[c->count++] = row;
    }
    return SATCHEL_OK;
}

/* Fetches candidates from `first` on and takes them up as centres. */
static satchel_status add_candidates(plus_plus *p, candidates *c, size_t first,
                                     satchel_error *error) {
    size_t n = p->dimension, floats;
    if (!sat_mul_size(c->count, n, &floats) ||
        !sat_grow(p->memory, (void **)&c->values, &c->values_capacity, floats, sizeof(float)))
        return sat_memory_fail(p->memory, c->count, error);
    float *values = c->values + first * n;
    size_t count = c->count - first;
    satchel_status status = sat_source_fetch(p->source, c->rows + first, count, values, error);
    for (size_t i = 0; i < count && !status; i++)
        make_centroid(p->nearest.space, values + i * n, values + i * n, first + i);
    return status ? status : sat_nearest_add(&p->nearest, p->source, values, count, error);
}

/* Counts the rows nearest to each candidate and drops those without any: the same row as another,
 * drawn in the same round. weight: (count). */
static void weigh_candidates(const plus_plus *p, candidates *c, double *weight) {
    size_t n = p->dimension, kept = 0;
    for (size_t i = 0; i < p->nearest.count; i++)
        weight[p->nearest.labels[i]]++;
    for (size_t i = 0; i < c->count; i++) {
        if (weight[i] == 0)
            continue;
        weight[kept] = weight[i];
        c->rows[kept] = c->rows[i];
        memmove(c->values + kept * n, c->values + i * n, n * sizeof(float));
        kept++;
    }
    c->count = kept;
}

/* k-means++ among the candidates. */
static satchel_status choose_candidates(const plus_plus *p, const candidates *c,
                                        const double *weight, float *centroids,
                                        satchel_error *error) {
    const sat_init *init = p->init;
    size_t n = p->dimension;
    sat_space space = *p->nearest.space;
    float *zeros = NULL;
    if (space.inner) {
        /* Scaled to length 1, they have another space than the rows. */
        space.centre = zeros = sat_calloc(p->memory, n, sizeof *zeros);
        if (!zeros)
            return sat_memory_fail(p->memory, n * sizeof *zeros, error);
        space.factor = 1;
        space.point_length = 1 + 0x1p-20;
    }
    satchel_points points = {.struct_size = sizeof points,
                             .count = c->count,
                             .dimension = (int32_t)n,
                             .rows = c->values};
    uint64_t filled = 0;
    sat_kept_rows kept = {.rows = c->count, .filled = &filled};
    size_t bytes = c->count * sizeof *kept.points, values;
    if (sat_mul_size(c->count, space.stride, &values)) {
        kept.values = sat_alloc_aligned(p->memory, values);
        kept.points = sat_alloc_aligned(p->memory, bytes);
    }
    sat_source *source = NULL;
    satchel_status status = SATCHEL_OK;
    if (!kept.values || !kept.points)
        status = sat_memory_fail(p->memory, bytes, error);
    if (!status)
        status = sat_source_open(&source, init->workers->context, &points, c->count, error);
    if (!status) {
        plus_plus among;
        status =
            plus_plus_open(&among, init, &space, source, false, &kept, weight, centroids, error);
        /* Trials cost k passes over the candidates: where rows are many, next to nothing. */
        if (!status && p->nearest.count / init->k >= TRIALS_FROM)
            status = plus_plus_try(&among, error);
        else if (!status)
            status = plus_plus_run(&among, init->k, error);
        plus_plus_close(&among);
    }
    sat_source_close(&source);
    sat_free_aligned(p->memory, kept.values);
    sat_free_aligned(p->memory, kept.points);
    sat_free(p->memory, zeros);
    return status;
}

static satchel_status draw_candidates(plus_plus *p, candidates *c, satchel_error *error) {
    /* The first candidate, from where the first centroid went. */
    if (!sat_grow(p->memory, (void **)&c->rows, &c->capacity, 1, sizeof *c->rows) ||
        !sat_grow(p->memory, (void **)&c->values, &c->values_capacity, p->dimension, sizeof(float)))
        return sat_memory_fail(p->memory, p->dimension * sizeof(float), error);
    c->rows[0] = p->rows[0];
    memcpy(c->values, p->centroids, p->dimension * sizeof(float));
    c->count = 1;
    for (int round = 0; round < ROUNDS; round++) {
        double sum = sat_nearest_sum(&p->nearest);
        uint64_t key = sat_random_next(&p->random);
        size_t first = c->count;
        if (!(sum > 0))
            break;
        satchel_status status = draw_round(p, c, key, (double)p->k / 2 + 1, sum, error);
        if (!status && c->count > first)
            status = add_candidates(p, c, first, error);
        if (status)
            return status;
    }
    return SATCHEL_OK;
}

static satchel_status parallel(plus_plus *p, satchel_error *error) {
    satchel_status status = plus_plus_run(p, 1, error);
    if (status || p->chosen == p->k)
        return status;
    candidates c = {0};
    double *weight = NULL;
    status = draw_candidates(p, &c, error);
    if (!status && !(weight = sat_calloc(p->memory, c.count, sizeof *weight)))
        status = sat_memory_fail(p->memory, c.count * sizeof *weight, error);
    if (!status)
        weigh_candidates(p, &c, weight);
    if (!status && c.count >= p->k) {
        status = choose_candidates(p, &c, weight, p->centroids, error);
    } else if (!status) {
        /* All of them, and the rest one by one. */
        memcpy(p->centroids, c.values, c.count * p->dimension * sizeof *p->centroids);
        memcpy(p->rows, c.rows, c.count * sizeof *p->rows);
        p->chosen = c.count;
        status = plus_plus_run(p, p->k, error);
    }
    sat_free(p->memory, weight);
    sat_free(p->memory, c.rows);
    sat_free(p->memory, c.values);
    return status;
}

/* ------------------------------------------------------------------ the call */

static int32_t method_of(int32_t method, uint64_t count, size_t k) {
    if (method != SATCHEL_INIT_DEFAULT)
        return method;
    return count / PARALLEL_FROM >= k ? SATCHEL_INIT_PARALLEL : SATCHEL_INIT_PLUS_PLUS;
}

satchel_status sat_init_centroids(const sat_init *init, float *centroids, satchel_error *error) {
    uint64_t count = sat_source_count(init->source);
    int32_t method = method_of(init->method, count, init->k);
    if (init->k == 0 || init->k > count || init->k > INT32_MAX)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "k is %zu: must be 1 to %llu, the points",
                        init->k, (unsigned long long)count);
    if (method == SATCHEL_INIT_RANDOM)
        return random_rows(init, centroids, error);
    bool labels = method == SATCHEL_INIT_PARALLEL;
    if (!labels && method != SATCHEL_INIT_PLUS_PLUS)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "satchel_kmeans_options.init is %d: see SATCHEL_INIT_*", (int)method);
    plus_plus p;
    satchel_status status = plus_plus_open(&p, init, init->space, init->source, labels, &init->kept,
                                           NULL, centroids, error);
    if (!status)
        status = labels ? parallel(&p, error) : plus_plus_run(&p, init->k, error);
    plus_plus_close(&p);
    return status;
}

uint64_t sat_init_bytes(int32_t method, const sat_workers *workers, const sat_space *space,
                        uint64_t count, size_t k) {
    enum { ODDS = 16384 }; /* headers of blocks, small arrays */
    method = method_of(method, count, k);
    if (method == SATCHEL_INIT_RANDOM)
        return k * (sizeof(drawn) + 4 * sizeof(uint64_t)) + ODDS;
    size_t n = space->dimension, most = most_at_once(n);
    bool labels = method == SATCHEL_INIT_PARALLEL;
    uint64_t row = n * sizeof(float), room = room_for(most);
    uint64_t own = k * sizeof(uint64_t) + room * (row + 4 * sizeof(uint64_t)) + ODDS;
    uint64_t bytes = sat_nearest_bytes(workers, space, count, labels) + own;
    if (!labels)
        return bytes + sat_centroids_bytes(space, most);
    /* About 5/2 k candidates, in arrays that double when they are full; a round's as centroids;
     * then their own losses. */
    uint64_t drawn_rows = ROUNDS * (k / 2 + 1) + k / 8 + 256;
    drawn_rows = drawn_rows < count ? drawn_rows : count;
    uint64_t candidate = 3 * (row + sizeof(uint64_t)) + space->stride + sizeof(sat_point) +
                         (SAT_PANEL + 2) * sizeof(double);
    return bytes + own + drawn_rows * candidate + sat_nearest_bytes(workers, space, 0, false) +
           sat_centroids_bytes(space, k / 2 + most);
}
