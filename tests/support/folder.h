/* A folder of a test's own, under TMPDIR where that is set. */
#ifndef SATCHEL_TESTS_SUPPORT_FOLDER_H
#define SATCHEL_TESTS_SUPPORT_FOLDER_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* Characters of its path at most, the final 0 among them. */
#define TEST_FOLDER_SIZE 64

static inline bool test_folder_make(char out[TEST_FOLDER_SIZE]) {
    const char *base = getenv("TMPDIR");
    int length = snprintf(out, TEST_FOLDER_SIZE, "%s/satchel-XXXXXX", base ? base : "/tmp");
    return length < TEST_FOLDER_SIZE && mkdtemp(out);
}

#endif
