/* A context of one thread in the state of a program's tests: open_context and close_context are the
 * group's set-up and tear-down. */
#ifndef SATCHEL_TESTS_UNIT_RETRIEVAL_CONTEXT_UNIT_H
#define SATCHEL_TESTS_UNIT_RETRIEVAL_CONTEXT_UNIT_H

#include "tests/unit/base/unit.h"

static inline int open_context(void **state) {
    satchel_context_options options = {.struct_size = sizeof options, .threads = 1};
    satchel_context *context = NULL;
    if (sat_context_open(&context, &options, NULL))
        return -1;
    *state = context;
    return 0;
}

static inline int close_context(void **state) {
    satchel_context *context = *state;
    uint64_t left = context->memory.now;
    sat_context_release(context);
    return left > 4096; /* the context itself */
}

#endif
