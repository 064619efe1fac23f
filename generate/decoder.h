/*
 * The decoder inside generate: a plan per architecture, described as data, that loading makes of a
 * file and the forward pass runs; sequences with their KV cache.
 *
 *   arch.h arch_*.c       what an architecture is: tensors, norms, rope; one small file each
 *   decoder_plan.h        the plan: what loading leaves and running reads
 *   decoder_load.c        tensors checked and taken; decoder_keys.c: hyperparameters
 *   decoder.c             opening, what is known, warming
 *   sequence.c            sequences: room, cutting, feeding in chunks
 *   decoder_run.c         the forward pass over a chunk
 *   decoder_attention.c   attention over the pages
 *   kv.h kv.c             pages of keys and values, F32, F16 or Q8_0
 *   rope.h rope.c         rotary positions
 *   lora.c                adapters
 */
#ifndef SATCHEL_GENERATE_DECODER_H
#define SATCHEL_GENERATE_DECODER_H

#include "generate/generate.h"

typedef struct sat_decoder sat_decoder;
typedef struct sat_adapter sat_adapter;
typedef struct sat_sequence sat_sequence;

enum { SAT_KV_F32 = 0, SAT_KV_F16 = 1, SAT_KV_Q8_0 = 8 };

typedef struct sat_decoder_info {
    char architecture[32], name[96]; /* cut where longer */
    int32_t vocabulary, context_length, dimension, layers;
    int64_t parameters, file_bytes;
    uint64_t weight_bytes;     /* read for one token */
    uint64_t memory_bytes;     /* anonymous, loaded, without sequences */
    uint64_t kv_bytes_a_token; /* at SAT_KV_F16 */
    char fingerprint[33];
} sat_decoder_info;

/* ------------------------------------------------------------------ models */

/* files: opened by sat_gguf_set_open; owned from here on, also on failure. Weights stay mapped;
 * nothing of them is read but norms and biases. Reading architecture, keys and tensors is all it
 * takes, so this returns at once; sat_decoder_warm brings weights into memory. */
satchel_status sat_decoder_open(sat_decoder **out, satchel_context *context, sat_gguf_set *files,
                                const char *name, satchel_error *error);
void sat_decoder_close(sat_decoder **decoder);
void sat_decoder_get_info(const sat_decoder *decoder, sat_decoder_info *info);
/* The file with the model's keys: tokenizer, template. Lives as long as the decoder. */
const sat_gguf *sat_decoder_gguf(const sat_decoder *decoder);
/* What a decoder of these files, which stay the caller's, would need. */
satchel_status sat_decoder_measure(sat_decoder_info *info, satchel_context *context,
                                   sat_gguf_set *files, const char *name, satchel_error *error);
/* Called with weights read so far, in bytes; non-zero stops with CANCELLED. */
typedef int32_t (*sat_decoder_progress)(void *user, uint64_t done, uint64_t total);
/* Touches all weights once, so that the first token does not wait for storage. progress may be
 * NULL. */
satchel_status sat_decoder_warm(const sat_decoder *decoder, sat_decoder_progress progress,
                                void *user, const satchel_cancel *cancel, satchel_error *error);

/* ------------------------------------------------------------------ adapters */

/* A LoRA adapter (Hu et al. 2021) in GGUF, for this decoder, which must outlive it. The mapping is
 * the caller's again afterwards: what is needed is copied. */
satchel_status sat_adapter_open(sat_adapter **out, const sat_decoder *decoder,
                                const sat_mapping *file, const char *name, satchel_error *error);
void sat_adapter_close(sat_adapter **adapter); /* after the sequences that use it */

/* ------------------------------------------------------------------ sequences */

/* Room for `capacity` tokens at most, all of it taken now. MEMORY_LIMIT names the need. One thread
 * at a time; sequences of one decoder share nothing but the pool. */
satchel_status sat_sequence_open(sat_sequence **out, const sat_decoder *decoder, size_t capacity,
                                 int32_t kv_type, satchel_error *error);
void sat_sequence_close(sat_sequence **sequence);
/* The bytes that would take; UINT64_MAX if no machine has them. */
uint64_t sat_sequence_need(const sat_decoder *decoder, size_t capacity, int32_t kv_type);
size_t sat_sequence_length(const sat_sequence *sequence);
size_t sat_sequence_capacity(const sat_sequence *sequence);
/* Adapters and their scales, from the first token on: the sequence must be empty. count 0: none. */
satchel_status sat_sequence_adapt(sat_sequence *sequence, const sat_adapter *const *adapters,
                                  const float *scales, size_t count, satchel_error *error);
/* Forgets all tokens from `length` on. */
satchel_status sat_sequence_cut(sat_sequence *sequence, size_t length, satchel_error *error);
/* Appends tokens. logits: (wanted, vocabulary) of the last `wanted` tokens, or NULL with 0. Results
 * do not depend on how tokens are split into calls: bit for bit. After an error or a cancel, which
 * is obeyed within one token's time, nothing has been appended. */
satchel_status sat_sequence_feed(sat_sequence *sequence, const int32_t *tokens, size_t count,
                                 size_t wanted, float *logits, const satchel_cancel *cancel,
                                 satchel_error *error);

#endif
