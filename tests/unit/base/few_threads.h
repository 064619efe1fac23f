/* Threads that cannot be started, where the build wraps pthread_create (WRAP_PTHREAD_CREATE). */
#ifndef SATCHEL_TESTS_UNIT_BASE_FEW_THREADS_H
#define SATCHEL_TESTS_UNIT_BASE_FEW_THREADS_H

#include <errno.h>
#include <pthread.h>

enum { MANY_THREADS = 1000 };

static _Atomic int threads_allowed = MANY_THREADS;
static _Atomic int threads_made;

#if defined(WRAP_PTHREAD_CREATE)
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *argument) {
    if (threads_allowed <= 0)
        return EAGAIN;
    threads_allowed--;
    threads_made++;
    return __real_pthread_create(thread, attributes, start, argument);
}
#endif

#endif
