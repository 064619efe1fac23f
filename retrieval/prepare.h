/*
 * A question made ready for a language model: its evidence, the passages and the history that fit,
 * and the messages; and the model's text on its way back, as events. Private to retrieval; the
 * types that sdk needs are in retrieval.h.
 */
#ifndef SATCHEL_RETRIEVAL_PREPARE_H
#define SATCHEL_RETRIEVAL_PREPARE_H

#include "retrieval/cite.h"
#include "retrieval/evidence.h"
#include "retrieval/prompt.h"

/* ------------------------------------------------------------------ the model's text: reply.c */

/* Text in, events out: TOKEN as the text comes, CITATION once the sentence of a marker is known,
 * and REFUSAL if all the model wrote is the prompt's refusal, whose text is then kept back. */
typedef struct sat_reply {
    const sat_evidence *evidence;
    const sat_shown *shown;
    const char *label; /* of a refusal; "": none */
    sat_cite *cite;
    sat_buffer waiting, piece; /* text to hand out; that of the last TOKEN */
    bool decided, declined, told, ended;
    int64_t citations;
    satchel_event_token token;
    satchel_event_citation citation;
    satchel_event_refusal refusal;
} sat_reply;

satchel_status sat_reply_open(sat_reply *out, const sat_evidence *evidence, const sat_shown *shown,
                              size_t count, const char *label, satchel_error *error);
void sat_reply_close(sat_reply *reply);
/* More text, whole characters. token: its id, or -1. */
satchel_status sat_reply_add(sat_reply *reply, const char *text, size_t length, int32_t token,
                             satchel_error *error);
satchel_status sat_reply_end(sat_reply *reply, satchel_error *error);
/* The next event that is due; *event is left alone if none is. */
satchel_status sat_reply_next(sat_reply *reply, satchel_event *event, satchel_error *error);

/* ------------------------------------------------------------------ the prompt: prepare.c */

struct sat_prepared {
    int references; /* its owner's, and one for each stream of resolving */
    sat_evidence evidence;
    sat_memory *memory;
    sat_prompt *prompt;
    sat_history history;
    sat_writer writer;
    int64_t budget;     /* tokens of the prompt at most */
    int32_t max_tokens; /* of the answer; -1: as many as fit */

    sat_shown *shown;
    size_t shown_count, first; /* first: message of the history to begin with */
    sat_buffer messages;
    int64_t prompt_tokens;

    sat_reply reply;
    bool opened, told_mode, told_hits, told_refusal, final; /* of resolving */
};

/* Copies and checks; nothing is searched yet. The writer is taken over, also on failure. */
satchel_status sat_prepared_begin(sat_prepared **out, sat_store *store, const char *question,
                                  const satchel_ask_options *options, const sat_ask_setup *setup,
                                  satchel_error *error);
/* After the search: picks what fits and writes the messages. LIMIT: not even one sentence of one
 * passage fits. */
satchel_status sat_prepared_fill(sat_prepared *prepared, satchel_error *error);
satchel_status sat_prepared_reply(sat_prepared *prepared, satchel_error *error);

#endif
