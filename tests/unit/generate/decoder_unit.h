/* What the decoder's tests share: a context, tiny decoders on it, tokens. */
#ifndef SATCHEL_TESTS_UNIT_GENERATE_DECODER_UNIT_H
#define SATCHEL_TESTS_UNIT_GENERATE_DECODER_UNIT_H

#define CONTEXT_THREADS 3
#include "tests/unit/generate/context_unit.h"

#include "tests/support/tiny_decoder.h"

enum { VOCABULARY = 50, LENGTH = 280 }; /* longer than a chunk, and than four pages */

static int32_t tokens[LENGTH];

static inline void make_tokens(void) {
    uint64_t random = 7;
    for (int i = 0; i < LENGTH; i++)
        tokens[i] = (int32_t)(test_random(&random) % VOCABULARY);
}

/* The group's set-up. */
static inline int open_all(void **state) {
    make_tokens();
    return open_context(state);
}

static inline sat_decoder *open_decoder(const tiny_decoder *shape) {
    sat_decoder *decoder;
    satchel_error error = {0};
    if (tiny_decoder_open(&decoder, context, shape, &error))
        fail_msg("%s", error.message);
    return decoder;
}

static inline sat_sequence *open_sequence(const sat_decoder *decoder, size_t capacity,
                                          int32_t type) {
    sat_sequence *sequence;
    satchel_error error = {0};
    if (sat_sequence_open(&sequence, decoder, capacity, type, &error))
        fail_msg("%s", error.message);
    return sequence;
}

/* Feeds tokens [from, to) in calls of `step`; logits (LENGTH, VOCABULARY) gets theirs. */
static inline void feed(sat_sequence *sequence, size_t from, size_t to, size_t step,
                        float *logits) {
    satchel_error error = {0};
    for (size_t at = from, n; at < to; at += n) {
        n = to - at < step ? to - at : step;
        if (sat_sequence_feed(sequence, tokens + at, n, n, logits + at * VOCABULARY, NULL, &error))
            fail_msg("%s", error.message);
    }
}

static inline float *logits_new(void) {
    float *logits = calloc((size_t)LENGTH * VOCABULARY, sizeof *logits);
    assert_non_null(logits);
    return logits;
}

#define LOGITS_BYTES ((size_t)LENGTH * VOCABULARY * sizeof(float))

#endif
