/*
 * An embedder for tests: deterministic, without a model. Each word has a direction of its own, made
 * from its hash; a text is the normalised sum of its words', so texts that share words are near.
 */
#ifndef SATCHEL_TESTS_SUPPORT_FAKE_EMBEDDER_H
#define SATCHEL_TESTS_SUPPORT_FAKE_EMBEDDER_H

#include "sdk/include/satchel.h"

/* Fills the table. A text may have 64 tokens: a word is one, and there are two special ones. */
void fake_embedder_init(satchel_embedder *embedder, int32_t dimension);

#endif
