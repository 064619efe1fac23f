/* A model's text as events: see prepare.h. */
#include <string.h>

#include "retrieval/prepare.h"

satchel_status sat_reply_open(sat_reply *out, const sat_evidence *evidence, const sat_shown *shown,
                              size_t count, const char *label, satchel_error *error) {
    sat_memory *memory = evidence->memory;
    *out = (sat_reply){.evidence = evidence, .shown = shown, .label = label};
    out->decided = !*label;
    sat_buffer_init(&out->waiting, memory);
    sat_buffer_init(&out->piece, memory);
    satchel_text *passages = sat_alloc_array(memory, count + 1, sizeof *passages);
    if (!passages)
        return sat_memory_fail(memory, (count + 1) * sizeof *passages, error);
    for (size_t i = 0; i < count; i++)
        passages[i] =
            (satchel_text){evidence->results->hits[shown[i].hit].hit.text, shown[i].length};
    satchel_status status = sat_cite_open(&out->cite, memory, passages, count, error);
    sat_free(memory, passages);
    return status;
}

void sat_reply_close(sat_reply *reply) {
    sat_cite_close(&reply->cite);
    sat_buffer_free(&reply->waiting);
    sat_buffer_free(&reply->piece);
}

/* Whether the text is the label, or may become it: white space, quotes and emphasis may stand
 * around it, and a stop behind it. */
static bool may_decline(const char *text, size_t length, const char *label, bool *whole) {
    static const char around[] = " \t\r\n\"'*_`";
    size_t at = 0, known = strlen(label);
    while (at < length && text[at] && strchr(around, text[at]))
        at++;
    size_t common = length - at < known ? length - at : known;
    *whole = common == known;
    if (memcmp(text + at, label, common) != 0)
        return false;
    for (at += common; at < length; at++)
        if (text[at] != '.' && (!text[at] || !strchr(around, text[at])))
            return false;
    return true;
}

static void decide(sat_reply *reply) {
    size_t length;
    bool whole;
    const char *text = sat_cite_text(reply->cite, &length);
    bool may = may_decline(text, length, reply->label, &whole);
    if (may && !reply->ended)
        return;
    reply->decided = true;
    reply->declined = may && whole;
}

satchel_status sat_reply_add(sat_reply *reply, const char *text, size_t length, int32_t token,
                             satchel_error *error) {
    if (length == 0)
        return SATCHEL_OK;
    reply->token.token = reply->waiting.length > 0 ? -1 : token;
    if (!sat_buffer_append(&reply->waiting, text, length))
        return sat_memory_fail(reply->evidence->memory, length, error);
    satchel_status status = sat_cite_add(reply->cite, text, length, error);
    if (!status && !reply->decided)
        decide(reply);
    return status;
}

satchel_status sat_reply_end(sat_reply *reply, satchel_error *error) {
    reply->ended = true;
    if (!reply->decided)
        decide(reply);
    return sat_cite_end(reply->cite, error);
}

satchel_status sat_reply_next(sat_reply *reply, satchel_event *event, satchel_error *error) {
    if (!reply->decided)
        return SATCHEL_OK;
    if (reply->declined) {
        if (reply->told)
            return SATCHEL_OK;
        reply->told = true;
        sat_evidence_tell_refusal(reply->evidence, &reply->refusal, event);
        reply->refusal.reason = SATCHEL_REASON_DECLINED;
        return SATCHEL_OK;
    }
    if (reply->waiting.length > 0) {
        sat_buffer swap = reply->piece;
        reply->piece = reply->waiting;
        reply->waiting = swap;
        sat_buffer_clear(&reply->waiting);
        reply->token.text = reply->piece.data;
        reply->token.length = reply->piece.length;
        event->kind = SATCHEL_EVENT_TOKEN;
        event->token = &reply->token;
        return SATCHEL_OK;
    }
    sat_citation found;
    if (!sat_cite_next(reply->cite, &found))
        return SATCHEL_OK;
    satchel_status status =
        sat_evidence_cite(reply->evidence, reply->shown[found.passage].hit, found.source_start,
                          found.source_end, &reply->citation, error);
    if (status)
        return status;
    reply->citation.answer = found.answer;
    reply->citation.verified = found.verified;
    reply->citation.score = found.score;
    reply->citations++;
    event->kind = SATCHEL_EVENT_CITATION;
    event->citation = &reply->citation;
    return SATCHEL_OK;
}
