/*
 * Keys and values saved in the context's cache_dir, page by page, and mapped from there. A page's
 * key is a chain of hashes over all that its bits depend on: the model's fingerprint, adapters and
 * their scales, the type of keys and values, the form of pages and of arithmetic
 * (SAT_KV_CONTRACT), the build and the machine's functions of libm, the CPU level, and all tokens
 * up to its end. So what is mapped is what a run would have computed, bit for bit.
 *
 * Saving and loading cannot fail a run: what is missing or damaged is computed, what cannot be
 * written is not saved, and the log says why.
 */
#ifndef SATCHEL_GENERATE_PREFIX_H
#define SATCHEL_GENERATE_PREFIX_H

#include "generate/decoder.h"

typedef struct sat_prefix sat_prefix; /* of one decoder; any number of threads */

/* OK with *out NULL if the context has no cache_dir; the calls below take that, and do nothing. The
 * decoder outlives it. */
satchel_status sat_prefix_open(sat_prefix **out, const sat_decoder *decoder, satchel_error *error);
void sat_prefix_close(sat_prefix **prefix);

/* The sequence holds tokens[0 .. its length): maps the saved whole pages that go on from there,
 * the one it stands in the middle of included. Returns the tokens that are now in the sequence, at
 * most `count`; logits of the last of them need it to be cut off and fed again. A cancel ends it
 * early. The sequence's adapters are those the pages must have been made with. */
size_t sat_prefix_load(const sat_prefix *prefix, sat_sequence *sequence, const int32_t *tokens,
                       size_t count, const satchel_cancel *cancel);
/* Saves the whole pages of tokens[0 .. count), which the sequence holds, that are not there yet.
 * Returns how many tokens from the first on are saved now. */
size_t sat_prefix_save(const sat_prefix *prefix, const sat_sequence *sequence,
                       const int32_t *tokens, size_t count, const satchel_cancel *cancel);

#endif
