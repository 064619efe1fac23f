/* What base's unit tests share: cmocka with what it needs, and an allocator that checks the sizes
 * it is told and can be made to fail. */
#ifndef SATCHEL_TESTS_UNIT_BASE_UNIT_H
#define SATCHEL_TESTS_UNIT_BASE_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

typedef struct test_allocator {
    _Atomic size_t calls;    /* of allocate and reallocate */
    _Atomic size_t fail_at;  /* this call fails, from 1; 0: none */
    _Atomic bool fail_after; /* and all after it */
    _Atomic int64_t blocks, bytes;
    _Atomic int wrong_sizes;
} test_allocator;

/* The size stands in front of each block, to be compared with what the library says it was. */
static inline bool test_allocator_fails(test_allocator *test) {
    size_t call = ++test->calls;
    return test->fail_at && (call == test->fail_at || (test->fail_after && call > test->fail_at));
}

static inline void *test_allocate(void *user, size_t size) {
    test_allocator *test = user;
    max_align_t *block = test_allocator_fails(test) ? NULL : malloc(size + sizeof(max_align_t));
    if (!block)
        return NULL;
    memcpy(block, &size, sizeof size);
    test->blocks++;
    test->bytes += (int64_t)size;
    return block + 1;
}

static inline void test_release(void *user, void *data, size_t size) {
    test_allocator *test = user;
    max_align_t *block = (max_align_t *)data - 1;
    size_t known;
    memcpy(&known, block, sizeof known);
    test->wrong_sizes += known != size;
    test->blocks--;
    test->bytes -= (int64_t)known;
    free(block);
}

static inline void *test_reallocate(void *user, void *data, size_t old_size, size_t new_size) {
    void *moved = test_allocate(user, new_size);
    if (!moved)
        return NULL;
    memcpy(moved, data, old_size < new_size ? old_size : new_size);
    test_release(user, data, old_size);
    return moved;
}

static inline satchel_allocator test_allocator_table(test_allocator *test) {
    return (satchel_allocator){test, test_allocate, test_reallocate, test_release};
}

/* Nothing left, and no size told wrong. */
#define assert_allocator_clean(test)                                                               \
    do {                                                                                           \
        assert_int_equal((test)->blocks, 0);                                                       \
        assert_int_equal((test)->bytes, 0);                                                        \
        assert_int_equal((test)->wrong_sizes, 0);                                                  \
    } while (0)

/* Leaves a case out on an emulated processor: one that takes long there, and in which nothing depends on the
 * processor. */
static inline void test_needs_speed(void) {
    if (getenv("SATCHEL_TEST_EMULATED"))
        skip();
}

/* A small generator with a fixed seed: the same inputs in every run. */
static inline uint32_t test_random(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

#endif
