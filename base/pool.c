/*
 * Thread pool.
 *
 * Callers take turns: each puts itself into a queue sorted by priority and arrival, and runs its
 * region when it is first and no region is running. A region's blocks are handed out by one atomic
 * counter, to the caller and to those workers that come in time.
 *
 * `gate` says who is inside the running region: a worker enters by adding 1 while the gate's OPEN
 * bit is set and leaves by subtracting 1; the caller, out of blocks, clears OPEN and waits for the
 * count to fall to 0. So a worker that wakes too late is not waited for, and the region's fields
 * change only while nobody is inside.
 */
#include "base/pool.h"

#include <time.h>
#include <unistd.h>

#include "base/thread.h"

/* How long a thread out of work looks for more before it sleeps: the gap between two regions of one
 * forward pass is shorter, a wake-up through the kernel costs about as much. */
#define SPIN_NS 50000
#define OPEN ((uint32_t)1 << 31)

typedef struct worker {
    sat_pool *pool;
    pthread_t thread;
    pthread_cond_t wake;
    bool asleep; /* under pool->lock */
    int index;   /* its thread number, from 1 */
} worker;

typedef struct waiter { /* a caller in the queue, on its own stack */
    struct waiter *next;
    int priority;
} waiter;

typedef struct region {
    sat_pool_function function;
    void *user;
    size_t count, grain, blocks;
    int threads; /* that may enter, the caller included */
    bool spin;
} region;

struct sat_pool {
    sat_memory *memory;
    pid_t process;
    int threads; /* at most, the caller included */
    int started; /* workers that run; under lock */
    pthread_mutex_t lock;
    pthread_cond_t turn; /* a region ended, or the queue moved */
    pthread_cond_t left; /* the last worker left a closed gate */
    waiter *queue;       /* under lock, as is `running` */
    bool running;
    region region; /* written by its caller while the gate is closed and empty */
    _Atomic size_t next_block;
    _Atomic uint32_t gate;
    _Atomic uint64_t generation; /* counts regions; changed under lock */
    _Atomic bool stop;
    worker workers[];
};

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void work(sat_pool *pool, int thread) {
    const region *now = &pool->region;
    for (;;) {
        size_t block = atomic_fetch_add_explicit(&pool->next_block, 1, memory_order_relaxed);
        if (block >= now->blocks)
            return;
        size_t begin = block * now->grain, left = now->count - begin;
        now->function(now->user, thread, begin, begin + (left < now->grain ? left : now->grain));
    }
}

/* Takes part in the region that runs, if it is open and has a seat for this worker. */
static bool take_part(sat_pool *pool, int index) {
    uint32_t gate = atomic_load_explicit(&pool->gate, memory_order_relaxed);
    do {
        if (!(gate & OPEN))
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&pool->gate, &gate, gate + 1,
                                                    memory_order_acq_rel, memory_order_relaxed));
    bool spin = pool->region.spin;
    if (index < pool->region.threads)
        work(pool, index);
    if (atomic_fetch_sub_explicit(&pool->gate, 1, memory_order_acq_rel) == 1) {
        /* Closed and now empty: the caller may be asleep. */
        pthread_mutex_lock(&pool->lock);
        pthread_cond_signal(&pool->left);
        pthread_mutex_unlock(&pool->lock);
    }
    return spin;
}

static bool news(sat_pool *pool, uint64_t seen) {
    return atomic_load_explicit(&pool->generation, memory_order_acquire) != seen ||
           atomic_load_explicit(&pool->stop, memory_order_relaxed);
}

static void *worker_main(void *argument) {
    worker *self = argument;
    sat_pool *pool = self->pool;
    uint64_t seen = 0;
    bool spin = false;
    sat_thread_name();
    for (;;) {
        if (spin) {
            int64_t until = now_ns() + SPIN_NS;
            while (!news(pool, seen) && now_ns() < until)
                relax();
        }
        if (!news(pool, seen)) {
            pthread_mutex_lock(&pool->lock);
            self->asleep = true;
            while (!news(pool, seen))
                pthread_cond_wait(&self->wake, &pool->lock);
            self->asleep = false;
            pthread_mutex_unlock(&pool->lock);
        }
        if (atomic_load_explicit(&pool->stop, memory_order_relaxed))
            return NULL;
        seen = atomic_load_explicit(&pool->generation, memory_order_acquire);
        spin = take_part(pool, self->index);
    }
}

/* Starts workers until `threads` are there with the caller; stops at the first that cannot be.
 * Called with the lock held. */
static void start_workers(sat_pool *pool, int threads) {
    if (pool->started >= threads - 1)
        return;
    while (pool->started < threads - 1) {
        worker *next = &pool->workers[pool->started];
        next->pool = pool;
        next->index = pool->started + 1;
        next->asleep = false;
        if (pthread_cond_init(&next->wake, NULL) != 0)
            break;
        if (!sat_thread_start(&next->thread, worker_main, next)) {
            pthread_cond_destroy(&next->wake);
            break;
        }
        pool->started++;
    }
}

satchel_status sat_pool_open(sat_pool **out, sat_memory *memory, int threads,
                             satchel_error *error) {
    *out = NULL;
    if (threads < 1 || threads > SAT_POOL_MAX_THREADS)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "a pool of %d threads: ask for 1 to %d",
                        threads, SAT_POOL_MAX_THREADS);
    size_t size = sizeof(sat_pool) + (size_t)(threads - 1) * sizeof(worker);
    sat_pool *pool = sat_calloc(memory, 1, size);
    if (!pool)
        return sat_memory_fail(memory, size, error);
    int failed = pthread_mutex_init(&pool->lock, NULL);
    if (failed == 0 && (failed = pthread_cond_init(&pool->turn, NULL)) != 0)
        pthread_mutex_destroy(&pool->lock);
    if (failed == 0 && (failed = pthread_cond_init(&pool->left, NULL)) != 0) {
        pthread_cond_destroy(&pool->turn);
        pthread_mutex_destroy(&pool->lock);
    }
    if (failed != 0) {
        sat_free(memory, pool);
        return sat_fail_errno(error, failed, "the thread pool's locks cannot be made");
    }
    pool->memory = memory;
    pool->process = getpid();
    pool->threads = threads;
    *out = pool;
    return SATCHEL_OK;
}

void sat_pool_close(sat_pool **out) {
    sat_pool *pool = *out;
    if (!pool)
        return;
    *out = NULL;
    /* In a child of fork() the workers do not exist and the locks may be held for ever. */
    if (pool->process == getpid()) {
        pthread_mutex_lock(&pool->lock);
        atomic_store_explicit(&pool->stop, true, memory_order_relaxed);
        for (int i = 0; i < pool->started; i++)
            pthread_cond_signal(&pool->workers[i].wake);
        pthread_mutex_unlock(&pool->lock);
        for (int i = 0; i < pool->started; i++) {
            pthread_join(pool->workers[i].thread, NULL);
            pthread_cond_destroy(&pool->workers[i].wake);
        }
        pthread_cond_destroy(&pool->left);
        pthread_cond_destroy(&pool->turn);
        pthread_mutex_destroy(&pool->lock);
    }
    sat_free(pool->memory, pool);
}

int sat_pool_threads(const sat_pool *pool) {
    return pool->threads;
}

int sat_pool_waiting(sat_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    int count = 0;
    for (const waiter *at = pool->queue; at; at = at->next)
        count++;
    pthread_mutex_unlock(&pool->lock);
    return count;
}

/* Queues behind all of the same or a more urgent priority and waits for the turn. Called and
 * returns with the lock held. */
static void take_turn(sat_pool *pool, int priority) {
    waiter self = {.priority = priority};
    waiter **at = &pool->queue;
    while (*at && (*at)->priority <= priority)
        at = &(*at)->next;
    self.next = *at;
    *at = &self;
    while (pool->running || pool->queue != &self)
        pthread_cond_wait(&pool->turn, &pool->lock);
    pool->queue = self.next;
    pool->running = true;
}

void sat_pool_run(sat_pool *pool, int priority, int max_threads, size_t count, size_t grain,
                  sat_pool_function function, void *user) {
    if (count == 0)
        return;
    if (grain == 0)
        grain = 1;
    size_t blocks = count / grain + (count % grain != 0);
    int threads = max_threads > 0 && max_threads < pool->threads ? max_threads : pool->threads;
    if ((size_t)threads > blocks)
        threads = (int)blocks;

    pthread_mutex_lock(&pool->lock);
    take_turn(pool, priority);
    start_workers(pool, threads);
    int helpers = threads - 1 < pool->started ? threads - 1 : pool->started;
    bool spin = priority != SAT_PRIORITY_INDEX;
    pool->region = (region){.function = function,
                            .user = user,
                            .count = count,
                            .grain = grain,
                            .blocks = blocks,
                            .threads = helpers + 1,
                            .spin = spin};
    atomic_store_explicit(&pool->next_block, 0, memory_order_relaxed);
    if (helpers > 0) {
        atomic_store_explicit(&pool->gate, OPEN, memory_order_release);
        atomic_fetch_add_explicit(&pool->generation, 1, memory_order_release);
        for (int i = 0; i < helpers; i++)
            if (pool->workers[i].asleep)
                pthread_cond_signal(&pool->workers[i].wake);
    }
    pthread_mutex_unlock(&pool->lock);

    work(pool, 0);

    if (helpers > 0) {
        uint32_t inside = atomic_fetch_and_explicit(&pool->gate, ~OPEN, memory_order_acq_rel);
        inside &= ~OPEN;
        if (inside && spin) {
            int64_t until = now_ns() + SPIN_NS;
            do {
                relax();
                inside = atomic_load_explicit(&pool->gate, memory_order_acquire);
            } while (inside && now_ns() < until);
        }
    }
    pthread_mutex_lock(&pool->lock);
    while (helpers > 0 && atomic_load_explicit(&pool->gate, memory_order_acquire) != 0)
        pthread_cond_wait(&pool->left, &pool->lock);
    pool->running = false;
    if (pool->queue)
        pthread_cond_broadcast(&pool->turn);
    pthread_mutex_unlock(&pool->lock);
}
