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
    satchel_event_mode mode;
    satchel_event_refusal refusal;
    satchel_event_done done;
} generated;

static satchel_status search(generated *g, satchel_event *event, satchel_error *error) {
    sat_evidence *evidence = &g->prepared->evidence;
    satchel_status status = sat_evidence_search(evidence, error);
    if (status)
        return status;
    g->done.search_ms = evidence->search_ms;
    g->done.hits = (int64_t)evidence->results->count;
    g->mode = sat_evidence_mode(evidence, SATCHEL_ANSWER_GENERATED,
                                evidence->options.mode == SATCHEL_ANSWER_GENERATED
                                    ? SATCHEL_REASON_REQUESTED
                                    : SATCHEL_REASON_GENERATOR);
    event->kind = SATCHEL_EVENT_MODE;
    event->mode = &g->mode;
    g->state = HITS;
    return SATCHEL_OK;
}

/* Refuses, or sets the model to work. */
static satchel_status begin(generated *g, satchel_event *event, satchel_error *error) {
    sat_prepared *p = g->prepared;
    satchel_status status = sat_evidence_weigh(&p->evidence, error);
    if (status)
        return status;
    g->done.confidence = p->evidence.extract.confidence;
    if (p->evidence.refused) {
        g->refusal = sat_evidence_refusal(&p->evidence);
        event->kind = SATCHEL_EVENT_REFUSAL;
        event->refusal = &g->refusal;
        g->state = DONE;
        return SATCHEL_OK;
    }
    status = sat_prepared_fill(p, error);
    if (!status)
        status = sat_prepared_reply(p, error);
    if (!status)
        status = p->writer.write(p->writer.user, &g->writing, p->messages.data, p->messages.length,
                                 p->max_tokens, error);
    g->done.prompt_tokens = p->prompt_tokens;
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
        const satchel_event_done *done = inner.done;
        g->done.prompt_tokens = done->prompt_tokens;
        g->done.cached_tokens = done->cached_tokens;
        g->done.generated_tokens = done->generated_tokens;
        g->done.prefill_ms = done->prefill_ms;
        g->done.generate_ms = done->generate_ms;
        g->done.finish = done->finish;
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
    if (g->state == SEARCH)
        return search(g, event, error);
    if (g->state == HITS) {
        event->kind = SATCHEL_EVENT_HITS;
        event->hits = g->prepared->evidence.results;
        g->state = WEIGH;
        return SATCHEL_OK;
    }
    int64_t start = sat_clock_ms(); /* the time between calls is the application's */
    status = answer_on(g, event, error);
    g->done.answer_ms += sat_clock_ms() - start;
    if (status || event->kind != 0)
        return status;
    g->done.sentences = g->prepared->reply.citations;
    g->done.elapsed_ms = g->done.search_ms + g->done.answer_ms;
    event->kind = SATCHEL_EVENT_DONE;
    event->done = &g->done;
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
