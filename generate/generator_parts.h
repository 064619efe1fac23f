/* Inside the generator: what its runs and its prompts share. Only generator*.c and generation*.c
 * include this. */
#ifndef SATCHEL_GENERATE_GENERATOR_PARTS_H
#define SATCHEL_GENERATE_GENERATOR_PARTS_H

#include <pthread.h>

#include "generate/chat.h"
#include "generate/decoder.h"
#include "generate/generate.h"
#include "generate/prefix.h"
#include "generate/sampler.h"

/* A sequence and the tokens that are in it: both are one's own, or both are the generator's. */
typedef struct sat_held {
    sat_sequence *sequence;
    sat_tokens tokens; /* as many as the sequence is long */
} sat_held;

struct sat_generator {
    satchel_context *context;
    sat_decoder *decoder;
    sat_tokenizer *tokenizer;
    sat_decoder_info about;
    size_t capacity;    /* of its sequences, in tokens */
    int32_t kv_type;    /* SAT_KV_* */
    int32_t vocabulary; /* tokens with a spelling: those that may be chosen */
    uint64_t tokenizer_bytes;
    const char *weight_type;
    sat_adapter **adapters; /* (adapter_count) */
    float *scales;
    size_t adapter_count;
    sat_prefix *prefix; /* NULL: the context has no cache_dir */

    sat_chat_template *chat; /* NULL: chat_error says why */
    satchel_error chat_error;
    char *bos, *eos;  /* their spelling, or NULL */
    bool joins_parts; /* content that is a list is joined for the template */

    pthread_mutex_t kept_lock; /* guards kept; never held while anything is computed */
    sat_held kept;             /* of the last run; sequence NULL: there is none, or a run has it */
    pthread_mutex_t lexicon_lock; /* held while it is made */
    sat_lexicon *lexicon;         /* NULL until a grammar needs it */
};

/* A sequence that holds as many of tokens[0..most) as one that is kept does, from the first on; or
 * an empty one. */
satchel_status sat_generator_take(sat_generator *generator, const int32_t *tokens, size_t most,
                                  sat_held *out, satchel_error *error);
/* Gives it back, whatever is in it; *held is empty after. */
void sat_generator_give(sat_generator *generator, sat_held *held);
/* Feeds tokens and notes them. As sat_sequence_feed. */
satchel_status sat_held_feed(sat_held *held, const int32_t *tokens, size_t count, size_t wanted,
                             float *logits, const satchel_cancel *cancel, satchel_error *error);
/* Takes what is saved of tokens[0..count) over, as sat_prefix_load. */
satchel_status sat_held_load(sat_held *held, const sat_prefix *prefix, const int32_t *tokens,
                             size_t count, const satchel_cancel *cancel, satchel_error *error);
satchel_status sat_held_cut(sat_held *held, size_t length, satchel_error *error);
/* The vocabulary for matchers, made at the first call. */
satchel_status sat_generator_lexicon(sat_generator *generator, const sat_lexicon **out,
                                     satchel_error *error);
/* Reads the file's chat template, or the one given; what is wrong with it is kept in chat_error.
 * Fails for want of memory alone. */
satchel_status sat_generator_open_chat(sat_generator *generator, const char *given,
                                       satchel_error *error);

/* ------------------------------------------------------------------ text (generation_text.c) */

/* Tokens to the text of an answer, given out as it becomes certain. */
typedef struct sat_answer_text {
    const sat_tokenizer *tokenizer; /* NULL: text comes as bytes */
    sat_detokenizer state;
    sat_buffer pending;  /* text that is not given out yet; [0, ready) is certain */
    size_t ready, given; /* [0, given) was given out by the call before */
    char **stops;
    size_t *stop_lengths;
    size_t stop_count, longest_stop;
    bool stopped; /* a stop string was found: pending ends before it */
} sat_answer_text;

/* Copies the stop strings. INVALID_ARGUMENT, INVALID_TEXT, LIMIT. tokenizer NULL: text comes as
 * bytes. behind_text: the answer goes on with a text. */
satchel_status sat_answer_text_open(sat_answer_text *text, sat_memory *memory,
                                    const sat_tokenizer *tokenizer, const char *const *stops,
                                    size_t count, bool behind_text, satchel_error *error);
void sat_answer_text_close(sat_answer_text *text);
/* Takes a token, or bytes; end: none more come, and all that is held is given out. false: out of
 * memory. */
bool sat_answer_text_add(sat_answer_text *text, int32_t token);
bool sat_answer_text_add_bytes(sat_answer_text *text, const char *bytes, size_t length);
bool sat_answer_text_end(sat_answer_text *text);
/* What can be given out now, once; length 0: nothing. Lives until the next call. */
const char *sat_answer_text_take(sat_answer_text *text, size_t *length);

#endif
