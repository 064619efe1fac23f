/*
 * A tiny generator made in memory, for tests: a decoder of random weights with a small vocabulary
 * and a chat template. What it writes is noise, but the same noise each time.
 */
#ifndef SATCHEL_TESTS_SUPPORT_TINY_GENERATOR_H
#define SATCHEL_TESTS_SUPPORT_TINY_GENERATOR_H

#include "generate/generate.h"
#include "tests/support/tiny_decoder.h"
#include "tests/support/tiny_tokenizer.h"

/* More tokens than any of the vocabularies has: the last ones have no spelling. */
enum { TINY_GENERATOR_VOCABULARY = 320 };

/* "<s>user: text<|im_end|>assistant: " */
extern const char tiny_template[];

typedef struct tiny_generator {
    tiny_decoder decoder; /* its vocabulary is set */
    int kind;             /* TINY_* of the vocabulary */
    const char *template; /* NULL: tiny_template; "": none is written */
} tiny_generator;

/* shape and options may be NULL: a BPE vocabulary. */
uint8_t *tiny_generator_bytes(const tiny_generator *shape, size_t *size);
satchel_status tiny_generator_files(sat_gguf_set **out, satchel_context *context,
                                    const tiny_generator *shape, satchel_error *error);
satchel_status tiny_generator_open(sat_generator **out, satchel_context *context,
                                   const tiny_generator *shape,
                                   const sat_generator_options *options, satchel_error *error);

#endif
