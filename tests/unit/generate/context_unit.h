/* The context that a program's tests run on: open_context and close_context are the group's set-up and
 * tear-down. CONTEXT_THREADS may be defined before; 0: the library's default. */
#ifndef SATCHEL_TESTS_UNIT_GENERATE_CONTEXT_UNIT_H
#define SATCHEL_TESTS_UNIT_GENERATE_CONTEXT_UNIT_H

#include "tests/unit/base/unit.h"

#ifndef CONTEXT_THREADS
#define CONTEXT_THREADS 0
#endif

static satchel_context *context;

static inline int open_context(void **state) {
    satchel_context_options options = {.struct_size = sizeof options, .threads = CONTEXT_THREADS};
    return sat_context_open(&context, &options, NULL);
}

static inline int close_context(void **state) {
    sat_context_release(context);
    return 0;
}

#endif
