/* The pool: every index exactly once, one region at a time, priorities, thread limits, and threads
 * that cannot be started. */
#include <sched.h>
#include <semaphore.h>

#include "tests/unit/base/few_threads.h"
#include "tests/unit/base/unit.h"

/* ------------------------------------------------------------------ a region that checks itself */

enum { MOST = 5000, SLOTS = 16 };

typedef struct check {
    _Atomic int times[MOST];   /* each index was visited */
    _Atomic int inside[SLOTS]; /* threads in a slot */
    _Atomic int most;          /* the highest slot used */
    _Atomic size_t done;
    _Atomic int wrong;
} check;

static void visit(void *user, int thread, size_t begin, size_t end) {
    check *c = user;
    if (thread < 0 || thread >= SLOTS || begin >= end) {
        c->wrong++;
        return;
    }
    c->wrong += c->inside[thread]++ != 0;
    for (size_t i = begin; i < end && i < MOST; i++)
        c->times[i]++;
    int most = c->most;
    while (most < thread && !atomic_compare_exchange_weak(&c->most, &most, thread)) {
    }
    c->inside[thread]--;
}

static sat_pool *open_pool(sat_memory *memory, int threads) {
    sat_pool *pool = NULL;
    satchel_error error;
    sat_memory_init(memory, NULL, 0);
    assert_int_equal(sat_pool_open(&pool, memory, threads, &error), SATCHEL_OK);
    assert_int_equal(sat_pool_threads(pool), threads);
    return pool;
}

static void close_pool(sat_pool **pool, sat_memory *memory) {
    sat_pool_close(pool);
    assert_null(*pool);
    sat_pool_close(pool);
    assert_int_equal(memory->now, 0);
}

static void each_index_once(void **state) {
    static const size_t counts[] = {0, 1, 2, 7, 64, 1000, MOST};
    static const size_t grains[] = {0, 1, 3, 64, 10000};
    static check c;
    for (int threads = 1; threads <= 8; threads++) {
        sat_memory memory;
        sat_pool *pool = open_pool(&memory, threads);
        for (size_t n = 0; n < SAT_COUNT(counts); n++)
            for (size_t g = 0; g < SAT_COUNT(grains); g++)
                for (int most = 0; most <= threads + 1; most += 2) {
                    memset(&c, 0, sizeof c);
                    sat_pool_run(pool, (int)(n % 3), most, counts[n], grains[g], visit, &c);
                    for (size_t i = 0; i < MOST; i++)
                        assert_int_equal(c.times[i], i < counts[n]);
                    assert_int_equal(c.wrong, 0);
                    assert_true(c.most < (most ? most : threads));
                }
        close_pool(&pool, &memory);
    }
}

static void add_ends(void *user, int thread, size_t begin, size_t end) {
    _Atomic size_t *sums = user;
    sums[0] += begin;
    sums[1] += end - begin;
}

static void the_largest_counts_do_not_wrap(void **state) {
    sat_memory memory;
    sat_pool *pool = open_pool(&memory, 4);
    _Atomic size_t sums[2] = {0, 0};
    size_t grain = SIZE_MAX / 3 - 7;
    sat_pool_run(pool, 0, 0, SIZE_MAX, grain, add_ends, sums);
    assert_true(sums[0] == grain + grain * 2 + grain * 3);
    assert_true(sums[1] == SIZE_MAX);
    close_pool(&pool, &memory);
}

static void bad_sizes_are_refused(void **state) {
    sat_memory memory;
    satchel_error error;
    sat_pool *pool = NULL;
    sat_memory_init(&memory, NULL, 0);
    static const int sizes[] = {0, -1, SAT_POOL_MAX_THREADS + 1, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < SAT_COUNT(sizes); i++) {
        assert_int_equal(sat_pool_open(&pool, &memory, sizes[i], &error), SATCHEL_INVALID_ARGUMENT);
        assert_null(pool);
    }
    sat_memory_init(&memory, NULL, 64);
    assert_int_equal(sat_pool_open(&pool, &memory, 4, &error), SATCHEL_MEMORY_LIMIT);
    assert_null(pool);
    assert_int_equal(memory.now, 0);
}

/* ------------------------------------------------------------------ many callers */

typedef struct caller {
    sat_pool *pool;
    int rounds;
    check c;
} caller;

enum { TURN = 100 };                 /* indices of each region */
static _Atomic(check *) running_one; /* whose region runs */

static void visit_alone(void *user, int thread, size_t begin, size_t end) {
    check *c = user, *none = NULL;
    if (!atomic_compare_exchange_strong(&running_one, &none, c) && none != c)
        c->wrong++;
    visit(user, thread, begin, end);
    if (begin % 3 == 0)
        sched_yield();
    if (atomic_fetch_add(&c->done, end - begin) + (end - begin) == TURN)
        atomic_store(&running_one, NULL); /* the region's last block */
}

static void *call_often(void *argument) {
    caller *self = argument;
    for (int round = 0; round < self->rounds; round++) {
        self->c.done = 0;
        sat_pool_run(self->pool, round % 3, 0, TURN, 1 + (size_t)round % 7, visit_alone, &self->c);
        self->c.wrong += self->c.done != TURN;
    }
    return NULL;
}

static void callers_take_turns(void **state) {
    enum { CALLERS = 5 };
    static caller callers[CALLERS];
    sat_memory memory;
    for (int threads = 1; threads <= 4; threads++) {
        sat_pool *pool = open_pool(&memory, threads);
        pthread_t ids[CALLERS];
        for (int i = 0; i < CALLERS; i++) {
            memset(&callers[i], 0, sizeof callers[i]);
            callers[i].pool = pool;
            callers[i].rounds = 200;
            assert_int_equal(pthread_create(&ids[i], NULL, call_often, &callers[i]), 0);
        }
        for (int i = 0; i < CALLERS; i++)
            pthread_join(ids[i], NULL);
        for (int i = 0; i < CALLERS; i++) {
            assert_int_equal(callers[i].c.wrong, 0);
            for (int j = 0; j < TURN; j++)
                assert_int_equal(callers[i].c.times[j], 200);
        }
        assert_int_equal(sat_pool_waiting(pool), 0);
        close_pool(&pool, &memory);
    }
}

static void one_caller_makes_many_regions(void **state) {
    static check c;
    int expected[200] = {0};
    sat_memory memory;
    sat_pool *pool = open_pool(&memory, 3);
    for (int round = 0; round < 5000; round++) {
        size_t count = (size_t)(1 + (round * 37) % 200);
        sat_pool_run(pool, round % 3, round % 4, count, 1 + (size_t)round % 5, visit, &c);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(c.times[i], ++expected[i]);
    }
    assert_int_equal(c.wrong, 0);
    close_pool(&pool, &memory);
}

/* ------------------------------------------------------------------ priorities */

static sem_t release_blocker, blocker_runs;
static char order[16];
static _Atomic int arrived;

static void block(void *user, int thread, size_t begin, size_t end) {
    sem_post(&blocker_runs);
    sem_wait(&release_blocker);
}

static void note(void *user, int thread, size_t begin, size_t end) {
    order[arrived++] = *(const char *)user;
}

typedef struct queued {
    sat_pool *pool;
    int priority;
    char name;
} queued;

static void *call_blocked(void *argument) {
    sat_pool_run(argument, SAT_PRIORITY_INDEX, 0, 1, 1, block, NULL);
    return NULL;
}

static void *call_queued(void *argument) {
    queued *self = argument;
    sat_pool_run(self->pool, self->priority, 0, 1, 1, note, &self->name);
    return NULL;
}

static void urgent_regions_go_first(void **state) {
    sat_memory memory;
    sat_pool *pool = open_pool(&memory, 2);
    sem_init(&release_blocker, 0, 0);
    sem_init(&blocker_runs, 0, 0);
    pthread_t blocker, ids[6];
    assert_int_equal(pthread_create(&blocker, NULL, call_blocked, pool), 0);
    sem_wait(&blocker_runs);
    queued callers[6] = {
        {pool, SAT_PRIORITY_INDEX, 'i'},  {pool, SAT_PRIORITY_SEARCH, 's'},
        {pool, SAT_PRIORITY_INDEX, 'j'},  {pool, SAT_PRIORITY_ANSWER, 'a'},
        {pool, SAT_PRIORITY_SEARCH, 't'}, {pool, SAT_PRIORITY_ANSWER, 'b'},
    };
    for (int i = 0; i < 6; i++) {
        assert_int_equal(pthread_create(&ids[i], NULL, call_queued, &callers[i]), 0);
        while (sat_pool_waiting(pool) != i + 1)
            sched_yield();
    }
    assert_int_equal(arrived, 0);
    sem_post(&release_blocker);
    pthread_join(blocker, NULL);
    for (int i = 0; i < 6; i++)
        pthread_join(ids[i], NULL);
    assert_string_equal(order, "abstij");
    close_pool(&pool, &memory);
    sem_destroy(&release_blocker);
    sem_destroy(&blocker_runs);
}

/* ------------------------------------------------------------------ threads */

#if defined(WRAP_PTHREAD_CREATE)
static void threads_start_when_there_is_work_for_them(void **state) {
    static check c;
    sat_memory memory;
    threads_made = 0;
    sat_pool *pool = open_pool(&memory, 4);
    assert_int_equal(threads_made, 0);
    sat_pool_run(pool, 0, 0, 100, 100, visit, &c); /* one block */
    sat_pool_run(pool, 0, 1, 100, 1, visit, &c);
    assert_int_equal(threads_made, 0);
    sat_pool_run(pool, 0, 2, 100, 1, visit, &c);
    assert_int_equal(threads_made, 1);
    sat_pool_run(pool, 0, 0, 100, 1, visit, &c);
    assert_int_equal(threads_made, 3);
    sat_pool_run(pool, 0, 0, 100, 1, visit, &c);
    assert_int_equal(threads_made, 3);
    close_pool(&pool, &memory);
    pool = open_pool(&memory, 1);
    sat_pool_run(pool, 0, 0, 100, 1, visit, &c);
    assert_int_equal(threads_made, 3);
    close_pool(&pool, &memory);
}

static void fewer_threads_do_the_same(void **state) {
    static check c;
    for (int allowed = 0; allowed <= 3; allowed++) {
        sat_memory memory;
        sat_pool *pool = open_pool(&memory, 4);
        memset(&c, 0, sizeof c);
        threads_allowed = allowed;
        for (int round = 0; round < 20; round++)
            sat_pool_run(pool, 0, 0, 1000, 7, visit, &c);
        for (size_t i = 0; i < 1000; i++)
            assert_int_equal(c.times[i], 20);
        assert_int_equal(c.wrong, 0);
        assert_true(c.most <= allowed);
        threads_allowed = MANY_THREADS;
        sat_pool_run(pool, 0, 0, 1000, 7, visit, &c); /* now they can be started */
        assert_int_equal(c.times[999], 21);
        close_pool(&pool, &memory);
    }
}
#endif

static void closing_wakes_sleepers(void **state) {
    static check c;
    for (int round = 0; round < 50; round++) {
        sat_memory memory;
        sat_pool *pool = open_pool(&memory, 4);
        sat_pool_run(pool, round % 3, 0, 4, 1, visit, &c);
        close_pool(&pool, &memory);
    }
    assert_int_equal(c.wrong, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_index_once),
        cmocka_unit_test(the_largest_counts_do_not_wrap),
        cmocka_unit_test(bad_sizes_are_refused),
        cmocka_unit_test(callers_take_turns),
        cmocka_unit_test(one_caller_makes_many_regions),
        cmocka_unit_test(urgent_regions_go_first),
#if defined(WRAP_PTHREAD_CREATE)
        cmocka_unit_test(threads_start_when_there_is_work_for_them),
        cmocka_unit_test(fewer_threads_do_the_same),
#endif
        cmocka_unit_test(closing_wakes_sleepers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
