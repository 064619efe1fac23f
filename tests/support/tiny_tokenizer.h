/*
 * Small vocabularies of every kind as GGUF files in memory, for tests. They know the letters a to z, some
 * words ("hello", "world" with and without a space before them), bytes, a few special tokens, "<think>" as
 * a user-defined marker and two spaces as user-defined text.
 */
#ifndef SATCHEL_TESTS_SUPPORT_TINY_TOKENIZER_H
#define SATCHEL_TESTS_SUPPORT_TINY_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>

#include "tests/support/gguf_writer.h"

enum { TINY_SPM, TINY_UNIGRAM, TINY_BPE, TINY_GEMMA4, TINY_KINDS };

/* The keys of a kind; more may be added before the writer is closed. pre: NULL for "llama-bpe". */
void tiny_tokenizer_keys(gguf_writer *writer, int kind, const char *pre);
/* The file; to be freed. */
uint8_t *tiny_tokenizer_bytes(int kind, const char *pre, size_t *size);

#endif
