/*
 * What the machine reaches in registers with several threads at once: and in reading memory: the
 * roofs that bench/kmeans.py and bench/generate.py set their figures against.
 *
 *   roof THREADS LEVEL
 *
 * Prints GFLOP/s of fused multiply-adds, Gop/s of int8 dot products and GB/s of reading memory of all
 * threads together with the instructions of a CPU level (its name, as "avx2", or "best"), and the name
 * of those; "0 0 0" if not known.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/kernels/roof.h"

enum { MOST_THREADS = 64, TRIES = 400, ROUNDS = 500000, READS = 12, BYTES = 256 << 20 };

typedef enum kind { FLOAT, INT8, READ } kind;

typedef struct job {
    const kernel_roof *roof;
    kind kind;
    void *data;
    double best; /* operations a second */
    pthread_t thread;
} job;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* The best of many short tries: the other threads are at work meanwhile, but pauses do not count. */
static void *measure(void *of) {
    job *it = of;
    for (int i = 0; i < (it->kind == READ ? READS : TRIES); i++) {
        double start = now(), ops = BYTES;
        if (it->kind == READ)
            it->roof->read(it->data, BYTES);
        else
            ops = (it->kind == INT8 ? it->roof->int8_ops : it->roof->float_ops)(ROUNDS);
        double rate = ops / (now() - start);
        it->best = rate > it->best ? rate : it->best;
    }
    return NULL;
}

static double together(const kernel_roof *roof, kind kind, int threads) {
    job jobs[MOST_THREADS] = {0};
    double sum = 0;
    for (int i = 0; i < threads; i++) {
        jobs[i] = (job){.roof = roof, .kind = kind};
        if (kind == READ) {
            jobs[i].data = aligned_alloc(64, BYTES);
            if (!jobs[i].data) {
                fprintf(stderr, "roof: out of memory\n");
                exit(1);
            }
            memset(jobs[i].data, 1, BYTES);
        }
    }
    for (int i = 0; i < threads; i++) {
        if (pthread_create(&jobs[i].thread, NULL, measure, &jobs[i]) != 0) {
            fprintf(stderr, "roof: cannot start a thread\n");
            exit(1);
        }
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(jobs[i].thread, NULL);
        free(jobs[i].data);
        sum += jobs[i].best;
    }
    return sum * 1e-9;
}

int main(int count, char **arguments) {
    int threads = count == 3 ? atoi(arguments[1]) : 0;
    if (threads < 1 || threads > MOST_THREADS) {
        fprintf(stderr, "usage: roof THREADS LEVEL\n");
        return 2;
    }
    satchel_context *context = NULL;
    const kernel_roof *roof = NULL;
    bool best = strcmp(arguments[2], "best") == 0;
    /* The levels' names are the library's; a level that the machine lacks is refused by it. */
    for (int32_t level = SATCHEL_CPU_C; level <= SATCHEL_CPU_I8MM && !roof; level++) {
        satchel_context_options options = {.struct_size = sizeof options,
                                           .cpu_level = best ? SATCHEL_CPU_DEFAULT : level};
        if (satchel_context_open(&context, &options, NULL) != SATCHEL_OK)
            continue;
        if (best || strcmp(satchel_context_cpu_name(context), arguments[2]) == 0)
            roof = kernel_roof_for(satchel_context_cpu_level(context));
        satchel_context_close(&context);
    }
    if (!roof)
        printf("0 0 0\n");
    else
        printf("%.1f %.1f %.1f %s\n", together(roof, FLOAT, threads), together(roof, INT8, threads),
               together(roof, READ, threads), roof->int8);
    return 0;
}
