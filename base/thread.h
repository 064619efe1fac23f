/* Starting a thread of the library's own, the same way everywhere. */
#ifndef SATCHEL_BASE_THREAD_H
#define SATCHEL_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>

#include "base/status.h"

/* Starts `function` on a small stack (512 KiB; the default where thread-local storage needs more), with
 * the application's signals blocked, named "satchel" in debuggers. False if there cannot be one:
 * every caller has a way to go on without. The caller joins it. */
bool sat_thread_start(pthread_t *thread, void *(*function)(void *user), void *user) SAT_NODISCARD;
/* To be called first in `function`. */
void sat_thread_name(void);

#endif
