/* Starting threads: stack, signals, name. */
#include "base/thread.h"

#include <signal.h>
#include <stddef.h>

/* Our threads take scratch from the heap; a phone app has many of them. */
#define STACK ((size_t)512 * 1024)

bool sat_thread_start(pthread_t *thread, void *(*function)(void *user), void *user) {
    /* The application's signal handlers are for its own threads; faults stay deliverable. */
    sigset_t blocked, before;
    sigfillset(&blocked);
    static const int kept[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF};
    for (size_t i = 0; i < SAT_COUNT(kept); i++)
        sigdelset(&blocked, kept[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    pthread_attr_t attributes;
    bool sized = pthread_attr_init(&attributes) == 0, started = false;
    if (sized) {
        pthread_attr_setstacksize(&attributes, STACK);
        started = pthread_create(thread, &attributes, function, user) == 0;
        pthread_attr_destroy(&attributes);
    }
    /* A process with much thread-local storage needs more stack than that: the default then. */
    if (!started)
        started = pthread_create(thread, NULL, function, user) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

void sat_thread_name(void) {
#if defined(__linux__)
    pthread_setname_np(pthread_self(), "satchel");
#elif defined(__APPLE__)
    pthread_setname_np("satchel");
#endif
}
