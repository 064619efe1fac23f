/*
 * Extractive answers: a search, the sentences that answer (extract.c), and the events that tell of
 * them: MODE, HITS, then a TOKEN and a CITATION for each sentence quoted, or REFUSAL, then DONE. The
 * first call searches; the call after HITS extracts.
 */
#include <string.h>

#include "retrieval/evidence.h"

#define DEFAULT_SENTENCES 3
#define MAX_SENTENCES 16
/* Further sentences are quoted down to this part of the best one's score. */
#define WORTH_QUOTING 0.7f

typedef enum answer_state { SEARCH, HITS, EXTRACT, TOKEN, CITATION, DONE } answer_state;

typedef struct answer {
    sat_stream stream;
    sat_evidence evidence;
    sat_account account;

    answer_state state;
    size_t quotes, at;     /* sentences to quote; the one at hand */
    satchel_range written; /* of the answer: the sentence at hand */
    sat_buffer piece;      /* the token's text */
    satchel_event_token token;
    satchel_event_citation citation;
} answer;

/* ------------------------------------------------------------------ steps */

/* Extracts, and decides whether to answer. */
static satchel_status decide(answer *a, satchel_event *event, satchel_error *error) {
    sat_evidence *evidence = &a->evidence;
    satchel_status status = sat_account_weigh(&a->account, evidence, event, error);
    if (status)
        return status;
    const sat_extract *found = &evidence->extract;
    a->account.done.answer_ms = evidence->weigh_ms;
    if (evidence->refused) {
        a->state = DONE;
        return SATCHEL_OK;
    }
    size_t most = evidence->options.max_sentences > 0 ? (size_t)evidence->options.max_sentences
                                                      : DEFAULT_SENTENCES;
    float least = WORTH_QUOTING * found->sentences[0].score;
    while (a->quotes < found->count && a->quotes < most &&
           (a->quotes == 0 || found->sentences[a->quotes].score >= least))
        a->quotes++;
    a->account.done.sentences = (int64_t)a->quotes;
    a->state = TOKEN;
    return SATCHEL_OK;
}

/* The sentence at hand, on a line of its own. */
static satchel_status quote(answer *a, satchel_event *event, satchel_error *error) {
    const sat_sentence *sentence = &a->evidence.extract.sentences[a->at];
    const satchel_hit *hit = &a->evidence.results->hits[sentence->passage].hit;
    const char *text = hit->text + sentence->start;
    size_t length = sentence->end - sentence->start;
    sat_buffer_clear(&a->piece);
    if (a->at > 0) {
        sat_buffer_append(&a->piece, "\n", 1);
        a->written.end++;
        a->written.end_utf16++;
    }
    if (!sat_buffer_append(&a->piece, text, length))
        return sat_memory_fail(a->evidence.memory, length, error);
    a->written.start = a->written.end;
    a->written.start_utf16 = a->written.end_utf16;
    a->written.end += (int64_t)length;
    a->written.end_utf16 += (int64_t)sat_utf16_length(text, length);
    a->token = (satchel_event_token){.text = a->piece.data, .length = a->piece.length, .token = -1};
    event->kind = SATCHEL_EVENT_TOKEN;
    event->token = &a->token;
    a->state = CITATION;
    return SATCHEL_OK;
}

static satchel_status cite(answer *a, satchel_event *event, satchel_error *error) {
    const sat_evidence *evidence = &a->evidence;
    const sat_sentence *sentence = &evidence->extract.sentences[a->at];
    size_t length = sentence->end - sentence->start;
    const char *source = evidence->results->hits[sentence->passage].hit.text + sentence->start;
    const char *answered = a->piece.data + a->piece.length - length;
    satchel_status status = sat_evidence_cite(evidence, sentence->passage, sentence->start,
                                              sentence->end, &a->citation, error);
    if (status)
        return status;
    a->citation.answer = a->written;
    a->citation.verified = memcmp(answered, source, length) == 0;
    a->citation.score = sentence->score;
    event->kind = SATCHEL_EVENT_CITATION;
    event->citation = &a->citation;
    a->at++;
    a->state = a->at < a->quotes ? TOKEN : DONE;
    return SATCHEL_OK;
}

static satchel_status answer_next(sat_stream *stream, satchel_event *event, satchel_error *error) {
    answer *a = (answer *)stream;
    satchel_status status = sat_cancel_check(a->evidence.cancel, error);
    if (status)
        return status;
    switch (a->state) {
    case SEARCH:
        status = sat_account_search(&a->account, &a->evidence, SATCHEL_ANSWER_EXTRACTIVE,
                                    SATCHEL_REASON_NO_GENERATOR, event, error);
        a->state = status ? SEARCH : HITS;
        return status;
    case HITS:
        sat_evidence_tell_hits(&a->evidence, event);
        a->state = EXTRACT;
        return SATCHEL_OK;
    case EXTRACT:
        status = decide(a, event, error);
        return status || a->state == DONE ? status : quote(a, event, error);
    case TOKEN:
        return quote(a, event, error);
    case CITATION:
        return cite(a, event, error);
    case DONE:
        break;
    }
    sat_account_done(&a->account, event);
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ open and close */

static void answer_close(sat_stream *stream) {
    answer *a = (answer *)stream;
    sat_memory *memory = a->evidence.memory;
    sat_evidence_close(&a->evidence);
    sat_buffer_free(&a->piece);
    sat_free(memory, a);
}

satchel_status sat_extract_answer(sat_stream **out, sat_store *store, const char *question,
                                  const satchel_ask_options *options, satchel_error *error) {
    static const satchel_ask_options defaults = {0};
    *out = NULL;
    if (!options)
        options = &defaults;
    if (options->mode < SATCHEL_ANSWER_DEFAULT || options->mode > SATCHEL_ANSWER_GENERATED)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "there is no answer mode %d",
                        (int)options->mode);
    if (options->mode == SATCHEL_ANSWER_GENERATED)
        return sat_fail(error, SATCHEL_NO_MODEL,
                        "a generated answer needs a language model, and none is there; ask with "
                        "SATCHEL_ANSWER_EXTRACTIVE for quoted sentences");
    if (options->max_sentences < 0 || options->max_sentences > MAX_SENTENCES)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "max_sentences is %d: it takes 1 to %d, or 0 for the default",
                        (int)options->max_sentences, MAX_SENTENCES);
    answer *a = sat_calloc(store->memory, 1, sizeof *a);
    if (!a)
        return sat_memory_fail(store->memory, sizeof *a, error);
    a->stream = (sat_stream){answer_next, answer_close};
    sat_buffer_init(&a->piece, store->memory);
    satchel_status status = sat_evidence_open(&a->evidence, store, question, options, error);
    if (status) {
        answer_close(&a->stream);
        return status;
    }
    *out = &a->stream;
    return SATCHEL_OK;
}
