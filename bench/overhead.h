/*
 * The C side of the measurements of what a binding adds to C: kotlin_overhead/ and python_overhead.py.
 * Each call does what a C program does, on objects that the binding opened, and takes its own time.
 */
#ifndef SATCHEL_BENCH_OVERHEAD_H
#define SATCHEL_BENCH_OVERHEAD_H

#include <satchel.h>
#include <stdint.h>

/* Nanoseconds by the clock, and of the processors by all threads: the second depends less on what else
 * the machine does. */
typedef struct overhead_time {
    int64_t clock, processors;
} overhead_time;

/* Nanoseconds of the processors so far. */
int64_t overhead_processors(void);

/*
 * A search with default options that reads all hits and matches, as a binding does; returns the number
 * of hits. `elsewhere`: by a thread that waits for searches, as a C program has one that must not
 * keep its interface waiting. For one caller at a time.
 */
int32_t overhead_search(satchel_store *store, const char *query, int32_t elsewhere,
                        overhead_time *taken);

/* A model whose generator says a word each time it is asked, so that next to nothing but the way of a
 * token is measured; NULL if it cannot be made. */
satchel_model *overhead_generator(satchel_context *context);

/* A whole stream of `most` tokens; returns how many there were. */
int32_t overhead_stream(satchel_model *model, int32_t most, overhead_time *taken);

#endif
