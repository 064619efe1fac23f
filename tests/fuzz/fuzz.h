/*
 * Fuzz targets: each file defines LLVMFuzzerTestOneInput. With -Dfuzz=true (clang) they are linked with
 * libFuzzer; in ordinary builds with replay.c, which runs the committed corpus through them.
 */
#ifndef SATCHEL_TESTS_FUZZ_FUZZ_H
#define SATCHEL_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An invariant that does not hold is a finding. */
#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
