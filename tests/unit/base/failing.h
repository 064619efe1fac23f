/* Memory that runs out at every allocation in turn: what is tried says so, and leaves nothing behind. */
#ifndef SATCHEL_TESTS_UNIT_BASE_FAILING_H
#define SATCHEL_TESTS_UNIT_BASE_FAILING_H

#include "tests/unit/base/unit.h"

/* Calls use(memory, user) while the k-th allocation fails, and all behind it; k rises from 1 until
 * none does. */
static inline void fail_memory(satchel_status (*use)(sat_memory *memory, void *user), void *user) {
    bool finished = false;
    for (size_t fail_at = 1; !finished; fail_at++) {
        test_allocator test = {.fail_at = fail_at, .fail_after = true};
        satchel_allocator table = test_allocator_table(&test);
        sat_memory memory;
        sat_memory_init(&memory, &table, 0);
        satchel_status status = use(&memory, user);
        finished = test.calls < fail_at;
        assert_int_equal(status, finished ? SATCHEL_OK : SATCHEL_OUT_OF_MEMORY);
        assert_allocator_clean(&test);
    }
}

typedef struct failing {
    satchel_context *context; /* of this try, with one thread */
    test_allocator allocator;
    size_t k;      /* the allocation that fails */
    bool for_good; /* and all behind it */
} failing;

/* To be called once by what is tried: from here on allocations count. */
static inline void failing_begin(failing *f) {
    f->allocator.fail_after = f->for_good;
    f->allocator.fail_at = f->allocator.calls + f->k;
}

/* Calls use(f, user) with contexts in which the k-th allocation fails; k rises from 1 until none does.
 * A failure is an error, or if `lenient` may also be lived with. Returns how many allocations there
 * were. */
static inline size_t fail_allocations(bool lenient, satchel_status (*use)(failing *f, void *user),
                                      void *user) {
    for (size_t k = 1;; k++) {
        failing f = {.k = k};
        satchel_allocator table = test_allocator_table(&f.allocator);
        satchel_context_options options = {
            .struct_size = sizeof options, .allocator = &table, .threads = 1};
        assert_int_equal(sat_context_open(&f.context, &options, NULL), SATCHEL_OK);
        satchel_status status = use(&f, user);
        assert_true(f.allocator.fail_at > 0);
        bool failed = f.allocator.calls >= f.allocator.fail_at;
        sat_context_release(f.context);
        assert_allocator_clean(&f.allocator);
        if (!failed) {
            assert_int_equal(status, SATCHEL_OK);
            return k - 1;
        }
        if (status != SATCHEL_OUT_OF_MEMORY && !(lenient && status == SATCHEL_OK))
            fail_msg("allocation %zu fails: %s", k, sat_status_name(status));
    }
}

#endif
