/*
 * Inside the handles: what a satchel_model, satchel_store and satchel_stream hold, the checks that
 * every public call makes at the border, and the gate that application callbacks pass through.
 * Private to sdk.
 */
#ifndef SATCHEL_SDK_HANDLE_H
#define SATCHEL_SDK_HANDLE_H

#include <pthread.h>

#include "base/base.h"
#include "generate/generate.h"
#include "retrieval/retrieval.h"

/* ------------------------------------------------------------------ gate */

/* Lets one thread at a time into an application's callbacks, and remembers which: a public call
 * made by that thread is a callback calling back, and is answered with SATCHEL_BUSY. */
typedef struct sat_gate {
    pthread_mutex_t lock;
    pthread_cond_t left;
    pthread_t inside; /* valid while `occupied` */
    bool occupied;
} sat_gate;

satchel_status sat_gate_init(sat_gate *gate, satchel_error *error);
void sat_gate_destroy(sat_gate *gate);
void sat_gate_enter(sat_gate *gate); /* waits; never called by a thread that is inside */
void sat_gate_leave(sat_gate *gate);
bool sat_gate_is_mine(sat_gate *gate);

/* ------------------------------------------------------------------ handles */

/* A vocabulary's pieces with a NUL behind each; see sat_model_spelling(). */
typedef struct sat_spellings {
    size_t count;
    const char *at[]; /* (count) NULL: the token has none */
} sat_spellings;

/* One of four: `encoder` and `generator` come from files, the tables from the application. What is
 * not there is NULL and zero. */
struct satchel_model {
    satchel_context *context;
    satchel_model_info info; /* kind says whether it embeds or generates */
    sat_encoder *encoder;
    sat_generator *generator;
    satchel_embedder app_embedder;
    satchel_generator app_generator;
    satchel_embedder table; /* what stores are given of either embedder; its user is this model */
    char *id, *fingerprint; /* owned, for the application's */
    sat_gate gate;          /* around its callbacks */
    sat_spellings *_Atomic spellings;
    _Atomic int64_t references;
};

satchel_status sat_model_new(satchel_model **out, satchel_context *context, satchel_error *error);
satchel_model *sat_model_retain(satchel_model *model);
void sat_model_release(satchel_model *model);
/* Gives an application's model its id and a fingerprint of `kind`, `number` and id. */
satchel_status sat_model_name(satchel_model *model, const char *kind, int32_t number,
                              const char *id, satchel_error *error);

/* Reads and checks what is the same for both kinds of file. */
satchel_status sat_model_read_options(satchel_model_options *known, const char *call,
                                      const satchel_model_options *options, satchel_error *error);
/* Fill a new model from a file. The files are taken over, also on failure. */
satchel_status sat_model_fill_embedder(satchel_model *model, sat_gguf_set *files, const char *name,
                                       const satchel_model_options *options, satchel_error *error);
satchel_status sat_model_fill_generator(satchel_model *model, sat_gguf_set *files, const char *name,
                                        const satchel_model_options *options, satchel_error *error);
/* What it would take; the files are taken over, also on failure. */
satchel_status sat_model_measure_embedder(satchel_model_need *need, satchel_context *context,
                                          sat_gguf_set *files, const char *name,
                                          const satchel_model_options *options,
                                          satchel_error *error);
satchel_status sat_model_measure_generator(satchel_model_need *need, satchel_context *context,
                                           sat_gguf_set *files, const char *name,
                                           const satchel_model_options *options,
                                           satchel_error *error);

/* Of a generator from a file: a prompt's tokens, and a token as the file spells it, which lives as
 * long as the model; NULL if there is none. */
satchel_status sat_model_prompt(const satchel_model *model, const char *text, size_t length,
                                bool trusted, sat_tokens *out, satchel_error *error);
const char *sat_model_spelling(satchel_model *model, int32_t token);
/* Of any generator: tokens of a text in running text, and of messages as they are put to the model;
 * an application's that cannot count is estimated. */
satchel_status sat_model_count_text(satchel_model *model, const char *text, size_t length,
                                    size_t *count, satchel_error *error);
satchel_status sat_model_count_chat(satchel_model *model, const char *messages, size_t length,
                                    size_t *count, satchel_error *error);
/* Options of satchel_generate() and satchel_chat(), read and checked; their pointers stay the
 * caller's. */
satchel_status sat_generate_read_options(satchel_generate_options *known, const char *call,
                                         const satchel_generate_options *options,
                                         satchel_error *error);
/* As satchel_chat(), with options that are read already. What they lead to is used up when this
 * returns. The model must outlive the stream. */
satchel_status sat_model_chat(sat_stream **out, satchel_model *model, const char *messages,
                              size_t length, const satchel_chat_options *options,
                              satchel_error *error);

typedef struct sat_app_reader sat_app_reader; /* an application's reader; store.c */

struct satchel_store {
    satchel_context *context;
    satchel_model *model; /* NULL: keywords only */
    sat_store *store;
    sat_app_reader *readers; /* list, added to under readers_lock */
    pthread_mutex_t readers_lock;
    sat_gate gate; /* readers and verify's report */
    _Atomic int64_t references;
};

satchel_store *sat_handle_retain(satchel_store *store);
void sat_handle_release(satchel_store *store);

/* Wraps an inner stream, which it owns also on failure. Holds a reference to the store and to the
 * model it works with; one of them may be NULL. */
satchel_status sat_stream_wrap(satchel_stream **out, satchel_store *store, satchel_model *model,
                               sat_stream *inner, satchel_error *error);

/* ------------------------------------------------------------------ checks at the border */

/* Each gives SATCHEL_OK or fills *error; `call` is the public function's name. */
satchel_status sat_check_context(const char *call, const satchel_context *context,
                                 satchel_error *error);
satchel_status sat_check_model(const char *call, const satchel_model *model, satchel_error *error);
/* As sat_check_model; WRONG_MODEL unless it is of this kind, SATCHEL_MODEL_*. */
satchel_status sat_check_kind(const char *call, const satchel_model *model, int32_t kind,
                              satchel_error *error);
satchel_status sat_check_store(const char *call, const satchel_store *store, satchel_error *error);
satchel_status sat_check_pointer(const char *call, const char *what, const void *pointer,
                                 satchel_error *error);
/* What a call fills, a struct, a handle or a number: zeroed, so that a failure leaves it empty. */
satchel_status sat_check_out(const char *call, const char *what, void *out, size_t size,
                             satchel_error *error);
/* A length-counted text: resolves SATCHEL_NUL_TERMINATED in *length and checks the UTF-8. */
satchel_status sat_check_text(const char *call, const char *what, const char *text, size_t *length,
                              satchel_error *error);
/* A NUL-terminated string in UTF-8; NULL passes if `optional`. */
satchel_status sat_check_string(const char *call, const char *what, const char *text, bool optional,
                                satchel_error *error);
/* An enumerated value or a number that must lie in low..high. */
satchel_status sat_check_range(const char *call, const char *what, int64_t value, int64_t low,
                               int64_t high, satchel_error *error);
/* Whether a caller's struct of struct_size bytes has its first `reach` bytes: its `destroy` may
 * then be called though the call failed. A size no caller means is not believed. */
bool sat_struct_reaches(size_t struct_size, size_t reach);
/* True in a child of the process that opened the context: the handle's threads, locks and database
 * connections are not there, so closing it only forgets it. */
bool sat_is_forked(const satchel_context *context);

#endif
