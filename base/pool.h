/*
 * Thread pool. It runs one parallel region at a time; regions queue by priority, then by arrival.
 * The calling thread takes part, so a pool of one thread starts none. Threads start at the first
 * region that has use for them; if one cannot be started the region runs on fewer. Blocking I/O
 * never runs on pool workers. Idle workers sleep.
 */
#ifndef SATCHEL_BASE_POOL_H
#define SATCHEL_BASE_POOL_H

#include <pthread.h>

#include "base/alloc.h"

typedef struct sat_pool sat_pool;

enum { SAT_PRIORITY_ANSWER = 0, SAT_PRIORITY_SEARCH = 1, SAT_PRIORITY_INDEX = 2 };

#define SAT_POOL_MAX_THREADS 256

/* Work items are indices 0..count-1, handed out in blocks of `grain` (at least 1). `thread` is
 * 0..sat_pool_threads()-1 and names a per-thread scratch slot. */
typedef void (*sat_pool_function)(void *user, int thread, size_t begin, size_t end);

satchel_status sat_pool_open(sat_pool **out, sat_memory *memory, int threads, satchel_error *error);
void sat_pool_close(sat_pool **pool);
int sat_pool_threads(const sat_pool *pool);
/* Runs function over 0..count-1 and returns when all is done. max_threads 0: all. Never fails: with
 * no help it all runs on the caller. Not to be called from inside a region. */
void sat_pool_run(sat_pool *pool, int priority, int max_threads, size_t count, size_t grain,
                  sat_pool_function function, void *user);

/* Callers that wait for their turn now: long work at a low priority may look and yield early. */
int sat_pool_waiting(sat_pool *pool);

#endif
