/*
 * A generator: a model that writes. It joins a decoder, its tokenizer, its chat template and the
 * adapters given with it, and runs them as pulled streams.
 *
 *   generator_parts.h     what is inside
 *   generator.c           opening, what is known, memory, the sequence kept between runs
 *   generator_prompt.c    prompts and conversations as tokens
 *   generator_score.c     logits and perplexity
 *   generation.c          a run: prefill, sampling, the context's policy
 *   generation_text.c     tokens to text: whole characters, stop strings
 *   generation_app.c      a run of an application's generator
 */
#ifndef SATCHEL_GENERATE_GENERATOR_H
#define SATCHEL_GENERATE_GENERATOR_H

#include "generate/tokenizer.h"

typedef struct sat_gguf_set sat_gguf_set; /* generate.h, which includes this */

/* Many threads may use one: runs share the weights and the pool, each has a sequence of its own. It
 * must outlive its runs. */
typedef struct sat_generator sat_generator;

enum {
    SAT_GENERATOR_CONTEXT = 8192, /* tokens at most where the options are silent */
    SAT_GENERATOR_STOPS = 64,     /* stop strings at most */
    SAT_GENERATOR_STOP_BYTES = 1024
};

typedef struct sat_generator_options { /* zero: defaults */
    int32_t context_tokens;      /* 2 or more; 0: the file's own, SAT_GENERATOR_CONTEXT at most */
    int32_t kv_type;             /* SATCHEL_KV_* */
    const char *const *adapters; /* (adapter_count) paths of LoRA adapters in GGUF */
    const float *adapter_scales; /* (adapter_count), or NULL: 1 each */
    size_t adapter_count;
    const char *chat_template; /* instead of the file's own, NULL: the file's */
} sat_generator_options;

/* files: opened by sat_gguf_set_open; owned from here on, also on failure. options may be NULL. A
 * chat template that is missing or unsupported is no error here, but where a conversation is asked
 * for. MEMORY_LIMIT: a sequence of context_tokens would pass the context's limit, before any of it
 * is taken. */
satchel_status sat_generator_open(sat_generator **out, satchel_context *context,
                                  sat_gguf_set *files, const char *name,
                                  const sat_generator_options *options, satchel_error *error);
void sat_generator_close(sat_generator **generator);
/* Strings live as long as the generator. */
void sat_generator_info(const sat_generator *generator, satchel_model_info *info);
/* What a generator of these files would need; files are owned from here on, also on failure. */
satchel_status sat_generator_measure(satchel_model_need *need, satchel_context *context,
                                     sat_gguf_set *files, const char *name,
                                     const sat_generator_options *options, satchel_error *error);
/* Reads all weights once. progress (may be NULL): SATCHEL_PHASE_WARM, done and total in bytes. */
satchel_status sat_generator_warm(sat_generator *generator, satchel_progress_function progress,
                                  void *user, const satchel_cancel *cancel, satchel_error *error);
const sat_tokenizer *sat_generator_tokenizer(const sat_generator *generator);
int32_t sat_generator_context(const sat_generator *generator); /* tokens */

/* ------------------------------------------------------------------ prompts */

/* Appends the tokens of a prompt, with the token that begins a text where the file asks for one
 * (and none twice, if trusted text spells it), never with one that ends it. */
satchel_status sat_generator_prompt(const sat_generator *generator, const sat_text_part *parts,
                                    size_t count, sat_tokens *out, satchel_error *error);
/*
 * Appends the tokens of a conversation, rendered by the chat template; all that is in messages,
 * tools and variables is text and never a special token. options may be NULL. Messages are a JSON
 * array; content is a string or a list of parts {"type": "text", "text": "…", "apart": true}. Text
 * parts are joined to one string, unless the template prints lists alone. No token reaches over the
 * borders of a part that is `apart`: the tokens around it are the same whatever it says.
 * UNSUPPORTED: the file has no template, or one outside the subset.
 */
satchel_status sat_generator_chat_prompt(const sat_generator *generator,
                                         const satchel_chat_options *options, const char *messages,
                                         size_t length, sat_tokens *out, satchel_error *error);

/* ------------------------------------------------------------------ scores */

/* logits: (count, vocabulary_size); row i is of what comes behind tokens[i]. LIMIT: more than the
 * context. */
satchel_status sat_generator_logits(sat_generator *generator, const int32_t *tokens, size_t count,
                                    float *logits, const satchel_cancel *cancel,
                                    satchel_error *error);
/* Perplexity of a text, in windows of the context's size that overlap by half: each token is scored
 * once, all but those of the first window with half a window before them. progress (may be NULL):
 * SATCHEL_PHASE_PREFILL, tokens scored of all. */
satchel_status sat_generator_perplexity(sat_generator *generator, const char *text, size_t length,
                                        satchel_progress_function progress, void *user,
                                        const satchel_cancel *cancel, satchel_perplexity *out,
                                        satchel_error *error);

/* ------------------------------------------------------------------ runs */

/*
 * A run. Events: PROGRESS (SATCHEL_PHASE_PREFILL: tokens of the prompt that are done, of all)
 * before each stretch of it and at its end, TOKEN, DONE. prompt is taken over and emptied, also on
 * failure; options (may be NULL) are copied. Fails up front: INVALID_ARGUMENT (an option out of
 * range, an empty prompt), LIMIT (the prompt leaves no room for an answer, or the shortest that the
 * schema takes is longer than max_tokens or the room), UNSUPPORTED and DAMAGED (schema or grammar).
 *
 * Cancelled within one token's time, also during prefill. At the end, after an error and when
 * closed, the sequence goes back to the generator, which keeps the last one: a run whose tokens
 * begin alike goes on from there, with the same bits as from the start. With a cache_dir, whole
 * pages of keys and values are saved before DONE, and found again by runs of other processes.
 *
 * When the context is full: with SATCHEL_OVERFLOW_ERROR the answer ends (SATCHEL_FINISH_CONTEXT);
 * with SATCHEL_OVERFLOW_SHIFT the older half of what is behind the token that begins the text is
 * forgotten and the rest computed anew, exactly as if it had been all there was.
 */
satchel_status sat_generator_run(sat_stream **out, sat_generator *generator, sat_tokens *prompt,
                                 const satchel_generate_options *options, satchel_error *error);

/* ------------------------------------------------------------------ an application's generator */

/* Calls each() for the messages of a JSON array, in order; content is one string, of parts the
 * parts joined. What each() returns ends it. INVALID_ARGUMENT, UNSUPPORTED (a part that is no
 * text). */
typedef satchel_status (*sat_message_function)(void *user, const char *role, const char *content,
                                               size_t length, satchel_error *error);
satchel_status sat_messages_read(satchel_context *context, const char *messages, size_t length,
                                 sat_message_function each, void *user, satchel_error *error);

/* A run of an application's generator; begin() is called here, next() and end() later, so the
 * table's functions and `user` must serve until the stream is closed. Events: TOKEN, in whole
 * characters and ended at stop strings, and DONE, whose counts of tokens are -1. options are read,
 * and not kept but for `cancel`. continues: the last message is the assistant's. What the table
 * fails with is CALLBACK, but for CANCELLED and OUT_OF_MEMORY. */
satchel_status sat_app_generation_open(sat_stream **out, satchel_context *context,
                                       const satchel_generator *table, const char *messages,
                                       size_t length, const satchel_generate_options *options,
                                       bool continues, satchel_error *error);

#endif
