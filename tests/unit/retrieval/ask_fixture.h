/* A language model for tests: it counts words, notes what it is asked, and writes what it is told
 * to. */
#ifndef SATCHEL_TESTS_UNIT_RETRIEVAL_ASK_FIXTURE_H
#define SATCHEL_TESTS_UNIT_RETRIEVAL_ASK_FIXTURE_H

#include "tests/unit/retrieval/fixture.h"

typedef struct fake_writer {
    const char *const *script; /* pieces, ended by NULL */
    satchel_status failing;    /* what write() returns */
    size_t fail_at;            /* 1: the first piece fails, and so on; 0: none */
    bool exact;                /* count_messages is there, and finds two more a message */
    int written, released;
    int32_t max_tokens;
    char messages[16384]; /* the last ones */
    satchel_cancel *fire; /* with the second piece */
} fake_writer;

sat_writer fake_writer_make(fake_writer *fake, int32_t context_tokens);
/* Words, and a token for each other sign. */
size_t fake_writer_count(const char *text, size_t length);

#endif
