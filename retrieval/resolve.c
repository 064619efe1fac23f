/*
 * Split ask: everything up to the messages at once, for a model that the application runs itself;
 * and that model's text as the events of an answer.
 */
#include <string.h>

#include "retrieval/prepare.h"

/* ------------------------------------------------------------------ prepare */

satchel_status sat_prepared_open(sat_prepared **out, sat_store *store, const char *question,
                                 const satchel_ask_options *options, const sat_ask_setup *setup,
                                 satchel_error *error) {
    sat_prepared *p = NULL;
    satchel_status status = sat_prepared_begin(&p, store, question, options, setup, error);
    if (!status)
        status = sat_evidence_search(&p->evidence, error);
    if (!status)
        status = sat_evidence_weigh(&p->evidence, error);
    if (!status)
        status = sat_prepared_fill(p, error);
    if (!status)
        status = sat_prepared_reply(p, error);
    if (status)
        sat_prepared_close(&p);
    *out = p;
    return status;
}

void sat_prepared_info(const sat_prepared *p, satchel_prepared_info *info) {
    *info = (satchel_prepared_info){.messages = p->messages.data,
                                    .messages_length = p->messages.length,
                                    .passages = (int64_t)p->shown_count,
                                    .prompt_tokens = p->prompt_tokens,
                                    .refused = p->evidence.refused,
                                    .confidence = p->evidence.extract.confidence,
                                    .search_mode = p->evidence.results->mode};
}

const satchel_results *sat_prepared_results(const sat_prepared *p) {
    return p->evidence.results;
}

satchel_status sat_prepared_passage(const sat_prepared *p, size_t number, satchel_passage *out,
                                    satchel_error *error) {
    if (number < 1 || number > p->shown_count)
        return sat_fail(error, SATCHEL_NOT_FOUND,
                        "there is no passage %zu; they are numbered 1 to %zu", number,
                        p->shown_count);
    const sat_shown *shown = &p->shown[number - 1];
    const satchel_hit *hit = &p->evidence.results->hits[shown->hit].hit;
    *out = (satchel_passage){
        .hit = (int64_t)shown->hit,
        .range = {.start = hit->range.start,
                  .end = hit->range.start + (int64_t)shown->length,
                  .start_utf16 = hit->range.start_utf16,
                  .end_utf16 = hit->range.start_utf16 +
                               (int64_t)sat_utf16_length(hit->text, shown->length)}};
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ resolve */

typedef struct resolving {
    sat_stream stream;
    sat_prepared *prepared;
    satchel_event_mode mode;
    satchel_event_refusal refusal;
    satchel_event_done done;
} resolving;

/* What is due and not told yet, whichever stream asks. */
static satchel_status resolving_next(sat_stream *stream, satchel_event *event,
                                     satchel_error *error) {
    resolving *r = (resolving *)stream;
    sat_prepared *p = r->prepared;
    if (!p->told_mode) {
        p->told_mode = true;
        sat_evidence_tell_mode(&p->evidence, SATCHEL_ANSWER_EXTERNAL, SATCHEL_REASON_REQUESTED,
                               &r->mode, event);
        return SATCHEL_OK;
    }
    if (!p->told_hits) {
        p->told_hits = true;
        sat_evidence_tell_hits(&p->evidence, event);
        return SATCHEL_OK;
    }
    if (p->evidence.refused && !p->told_refusal) {
        p->told_refusal = true;
        sat_evidence_tell_refusal(&p->evidence, &r->refusal, event);
        return SATCHEL_OK;
    }
    satchel_status status = sat_reply_next(&p->reply, event, error);
    if (status || event->kind != 0)
        return status;
    const sat_evidence *evidence = &p->evidence;
    r->done = (satchel_event_done){
        .hits = (int64_t)evidence->results->count,
        .sentences = p->reply.citations,
        .search_ms = evidence->search_ms,
        .answer_ms = evidence->weigh_ms,
        .elapsed_ms = evidence->search_ms + evidence->weigh_ms,
        .confidence = evidence->extract.confidence,
        .prompt_tokens = p->prompt_tokens,
        .cached_tokens = -1,
        .generated_tokens = -1,
        .finish = p->final ? SATCHEL_FINISH_END : SATCHEL_FINISH_NONE,
    };
    event->kind = SATCHEL_EVENT_DONE;
    event->done = &r->done;
    return SATCHEL_OK;
}

static void resolving_close(sat_stream *stream) {
    resolving *r = (resolving *)stream;
    sat_prepared *prepared = r->prepared;
    sat_free(prepared->memory, r);
    sat_prepared_close(&prepared);
}

/* A character at the end of which only the first bytes are there. */
static bool is_begun(const char *text, size_t length) {
    uint8_t lead = length > 0 ? (uint8_t)text[0] : 0;
    size_t size = lead >= 0xF0 && lead <= 0xF4 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || length >= size)
        return false;
    for (size_t i = 1; i < length; i++)
        if (((uint8_t)text[i] & 0xC0) != 0x80)
            return false;
    return true;
}

/* Takes in what is new of the text so far. */
static satchel_status take(sat_prepared *p, const char *text, size_t length, bool final,
                           satchel_error *error) {
    size_t known;
    const char *before = sat_cite_text(p->reply.cite, &known);
    if (p->final)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "the text was final; prepare the question anew for another answer");
    if (length < known || memcmp(text, before, known) != 0)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "the text must begin with the %zu bytes that were given before: give all "
                        "of the answer so far each time",
                        known);
    size_t valid = sat_utf8_valid(text + known, length - known);
    if (known + valid < length &&
        (final || !is_begun(text + known + valid, length - known - valid)))
        return sat_fail(error, SATCHEL_INVALID_TEXT, "the text is not valid UTF-8 at byte %zu",
                        known + valid);
    satchel_status status = sat_reply_add(&p->reply, text + known, valid, -1, error);
    if (!status && final) {
        p->final = true;
        status = sat_reply_end(&p->reply, error);
    }
    return status;
}

satchel_status sat_prepared_resolve(sat_stream **out, sat_prepared *p, const char *text,
                                    size_t length, bool final, satchel_error *error) {
    *out = NULL;
    resolving *r = sat_calloc(p->memory, 1, sizeof *r);
    if (!r)
        return sat_memory_fail(p->memory, sizeof *r, error);
    r->stream = (sat_stream){resolving_next, resolving_close};
    satchel_status status = take(p, text, length, final, error);
    if (status) {
        sat_free(p->memory, r);
        return status;
    }
    r->prepared = p;
    p->references++;
    *out = &r->stream;
    return SATCHEL_OK;
}
