/* Running on a stack as small as the library promises to do with. */
#ifndef SATCHEL_TESTS_UNIT_BASE_SMALL_STACK_H
#define SATCHEL_TESTS_UNIT_BASE_SMALL_STACK_H

#include <pthread.h>

#include "tests/unit/base/unit.h"

/* Calls run(user) on a thread of its own with 512 KiB; gives what it returns. */
static inline void *on_a_small_stack(void *(*run)(void *user), void *user) {
    pthread_attr_t attributes;
    pthread_t thread;
    void *result;
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstacksize(&attributes, 512 * 1024), 0);
    assert_int_equal(pthread_create(&thread, &attributes, run, user), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    pthread_attr_destroy(&attributes);
    return result;
}

#endif
