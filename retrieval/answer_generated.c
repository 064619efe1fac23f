/*
 * Answers in a model's own words: MODE, HITS, then REFUSAL, or PROGRESS while the prompt is read and
 * TOKEN and CITATION as the answer is written, then DONE. The first call searches; the call after
 * HITS weighs the evidence and begins to write.
 */
#include "retrieval/prepare.h"

typedef enum state { SEARCH, HITS, WEIGH, WRITE, DONE } state;

typedef struct generated {
    sat_stream stream;
    sat_prepared *prepared;
    state state;
    sat_stream *writing; /* the model's */
    sat_account account;
} generated;

/* Refuses, or sets the model to work. */
static satchel_status begin(generated *g, satchel_event *event, satchel_error *error) {
    sat_prepared *p = g->prepared;
    satchel_status status = sat_account_weigh(&g->account, &p->evidence, event, error);
    if (status)
        return status;
    if (p->evidence.refused) {
        g->state = DONE;
        return SATCHEL_OK;
    }
    status = sat_prepared_fill(p, error);
    if (!status)
        status = sat_prepared_reply(p, error);
    if (!status)
        status = p->writer.write(p->writer.user, &g->writing, p->messages.data, p->messages.length,
                                 p->max_tokens, error);
    g->account.done.prompt_tokens = p->prompt_tokens;
    g->state = WRITE;
    return status;
}

/* Takes one event of the model's. */
static satchel_status read_one(generated *g, satchel_event *event, satchel_error *error) {
    sat_reply *reply = &g->prepared->reply;
    satchel_event inner = {0};
    satchel_status status = g->writing->next(g->writing, &inner, error);
    if (status)
        return status;
    if (inner.kind == SATCHEL_EVENT_TOKEN)
        return sat_reply_add(reply, inner.token->text, inner.token->length, inner.token->token,
                             error);
    if (inner.kind == SATCHEL_EVENT_PROGRESS) {
        event->kind = inner.kind;
        event->progress = inner.progress;
    } else if (inner.kind == SATCHEL_EVENT_DONE) {
        satchel_event_done *done = &g->account.done;
        done->prompt_tokens = inner.done->prompt_tokens;
        done->cached_tokens = inner.done->cached_tokens;
        done->generated_tokens = inner.done->generated_tokens;
        done->prefill_ms = inner.done->prefill_ms;
        done->generate_ms = inner.done->generate_ms;
        done->finish = inner.done->finish;
        return sat_reply_end(reply, error);
    }
    return SATCHEL_OK;
}

static satchel_status write_on(generated *g, satchel_event *event, satchel_error *error) {
    sat_reply *reply = &g->prepared->reply;
    satchel_status status = sat_reply_next(reply, event, error);
    while (!status && event->kind == 0 && !reply->ended) {
        status = sat_cancel_check(g->prepared->evidence.cancel, error);
        if (!status)
            status = read_one(g, event, error);
        if (!status && event->kind == 0)
            status = sat_reply_next(reply, event, error);
    }
    if (!status && event->kind == 0)
        g->state = DONE;
    return status;
}

static satchel_status answer_on(generated *g, satchel_event *event, satchel_error *error) {
    satchel_status status = SATCHEL_OK;
    if (g->state == WEIGH)
        status = begin(g, event, error);
    if (!status && g->state == WRITE)
        status = write_on(g, event, error);
    return status;
}

static satchel_status generated_next(sat_stream *stream, satchel_event *event,
                                     satchel_error *error) {
    generated *g = (generated *)stream;
    satchel_status status = sat_cancel_check(g->prepared->evidence.cancel, error);
    if (status)
        return status;
    if (g->state == SEARCH) {
        status = sat_account_search(&g->account, &g->prepared->evidence, SATCHEL_ANSWER_GENERATED,
                                    SATCHEL_REASON_GENERATOR, event, error);
        g->state = status ? SEARCH : HITS;
        return status;
    }
    if (g->state == HITS) {
        sat_evidence_tell_hits(&g->prepared->evidence, event);
        g->state = WEIGH;
        return SATCHEL_OK;
    }
    int64_t start = sat_clock_ms(); /* the time between calls is the application's */
    status = answer_on(g, event, error);
    g->account.done.answer_ms += sat_clock_ms() - start;
    if (status || event->kind != 0)
        return status;
    g->account.done.sentences = g->prepared->reply.citations;
    sat_account_done(&g->account, event);
    return SATCHEL_OK;
}

static void generated_close(sat_stream *stream) {
    generated *g = (generated *)stream;
    sat_memory *memory = g->prepared->memory;
    if (g->writing)
        g->writing->close(g->writing);
    sat_prepared_close(&g->prepared);
    sat_free(memory, g);
}

satchel_status sat_generated_answer(sat_stream **out, sat_store *store, const char *question,
                                    const satchel_ask_options *options, const sat_ask_setup *setup,
                                    satchel_error *error) {
    *out = NULL;
    sat_prepared *prepared = NULL;
    satchel_status status = sat_prepared_begin(&prepared, store, question, options, setup, error);
    if (status)
        return status;
    generated *g = sat_calloc(prepared->memory, 1, sizeof *g);
    if (!g) {
        status = sat_memory_fail(prepared->memory, sizeof *g, error);
        sat_prepared_close(&prepared);
        return status;
    }
    g->stream = (sat_stream){generated_next, generated_close};
    g->prepared = prepared;
    *out = &g->stream;
    return SATCHEL_OK;
}
