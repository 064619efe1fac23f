/* See evidence.h. */
#include "retrieval/evidence.h"

#include <string.h>

/* Where 95 % of the answerable English questions of XQuAD are answered and three quarters of those
 * whose passage was taken away are refused (docs/benchmarks.md). */
#define DEFAULT_THRESHOLD 0.46f
#define LEAD_BYTES 1024

/* ------------------------------------------------------------------ search */

satchel_status sat_evidence_search(sat_evidence *e, satchel_error *error) {
    int64_t start = sat_clock_ms();
    const satchel_search_options options = {
        .struct_size = sizeof options,
        .mode = e->options.search_mode,
        .k = e->options.k > 0 ? e->options.k : SAT_EXTRACT_PASSAGES,
        .filter = e->filter,
        .cancel = e->cancel,
    };
    satchel_status status = sat_store_search(&e->results, e->store, e->question,
                                             SATCHEL_NUL_TERMINATED, &options, error);
    e->search_ms = sat_clock_ms() - start;
    return status;
}

void sat_evidence_tell_mode(const sat_evidence *e, int32_t mode, int32_t reason,
                            satchel_event_mode *out, satchel_event *event) {
    bool by_keywords = e->results->mode == SATCHEL_SEARCH_KEYWORD &&
                       e->options.search_mode != SATCHEL_SEARCH_KEYWORD;
    *out = (satchel_event_mode){.mode = mode,
                                .reason = by_keywords ? SATCHEL_REASON_NO_EMBEDDER : reason,
                                .search_mode = e->results->mode};
    event->kind = SATCHEL_EVENT_MODE;
    event->mode = out;
}

void sat_evidence_tell_hits(const sat_evidence *e, satchel_event *event) {
    event->kind = SATCHEL_EVENT_HITS;
    event->hits = e->results;
}

/* ------------------------------------------------------------------ extraction */

/* The text before a hit's chunk, into *out; nothing if the chunk is gone by now. */
static satchel_status read_lead(sat_connection *reader, int64_t chunk, sat_buffer *out,
                                satchel_error *error) {
    sat_query query;
    int64_t document = 0, end = 0;
    sat_query_begin(&query, reader, "SELECT document, start_byte FROM chunk WHERE id = ?1");
    sat_bind_int(&query, 1, chunk);
    if (sat_query_row(&query)) {
        document = sat_column_int(&query, 0);
        end = sat_column_int(&query, 1);
    }
    satchel_status status = sat_query_end(&query, error);
    if (status || end <= 0)
        return status;
    int64_t start = end > LEAD_BYTES ? end - LEAD_BYTES : 0;
    return sat_text_read(reader, document, start, end, out, error);
}

static satchel_status read_leads(sat_evidence *e, sat_buffer *leads, satchel_error *error) {
    sat_connection *reader = NULL;
    satchel_status status = sat_reader_begin(e->store, e->cancel, &reader, error);
    for (size_t i = 0; i < e->results->count && !status; i++)
        status = read_lead(reader, e->results->hits[i].hit.chunk, &leads[i], error);
    sat_reader_end(reader);
    return status;
}

/* A lead may begin inside a character. */
static size_t skip_half_character(const sat_buffer *lead) {
    size_t skip = 0;
    while (skip < lead->length && skip < 4 && ((uint8_t)lead->data[skip] & 0xC0) == 0x80)
        skip++;
    return skip;
}

static satchel_status extract_from(sat_evidence *e, const sat_buffer *leads, satchel_error *error) {
    satchel_results *results = e->results;
    sat_passage *passages = sat_alloc_array(e->memory, results->count, sizeof *passages);
    sat_terms *terms = NULL;
    satchel_status status = SATCHEL_OK;
    if (!passages)
        status = sat_memory_fail(e->memory, results->count * sizeof *passages, error);
    if (!status)
        status = sat_terms_open(&terms, e->memory, error);
    for (size_t i = 0; i < results->count && !status; i++) {
        const sat_hit *hit = &results->hits[i];
        size_t skip = skip_half_character(&leads[i]);
        passages[i] = (sat_passage){
            .text = hit->hit.text,
            .length = hit->hit.text_length,
            .lead = leads[i].length ? leads[i].data + skip : "",
            .lead_length = leads[i].length - skip,
            .fused = results->mode == SATCHEL_SEARCH_KEYWORD ? hit->keyword_z : hit->hit.score,
        };
    }
    const sat_question question = {
        .text = e->question,
        .length = strlen(e->question),
        .terms = &results->terms,
        .idf = results->idf,
        .embedder = results->mode == SATCHEL_SEARCH_KEYWORD ? NULL : e->store->embedder,
        .vector = results->query_vector,
        .share = results->share,
    };
    if (!status)
        status = sat_extract_sentences(&e->extract, e->store->context, &question, passages,
                                       results->count, terms, e->cancel, error);
    sat_terms_close(&terms);
    sat_free(e->memory, passages);
    return status;
}

static satchel_status extract(sat_evidence *e, satchel_error *error) {
    size_t count = e->results->count;
    if (count == 0)
        return SATCHEL_OK;
    sat_buffer *leads = sat_calloc(e->memory, count, sizeof *leads);
    if (!leads)
        return sat_memory_fail(e->memory, count * sizeof *leads, error);
    for (size_t i = 0; i < count; i++)
        sat_buffer_init(&leads[i], e->memory);
    /* The embedder is a callback: it runs after the reader's transaction has ended. */
    satchel_status status = read_leads(e, leads, error);
    if (!status)
        status = extract_from(e, leads, error);
    for (size_t i = 0; i < count; i++)
        sat_buffer_free(&leads[i]);
    sat_free(e->memory, leads);
    return status;
}

satchel_status sat_evidence_weigh(sat_evidence *e, satchel_error *error) {
    int64_t start = sat_clock_ms();
    satchel_status status = extract(e, error);
    if (status)
        return status;
    e->weigh_ms = sat_clock_ms() - start;
    e->threshold =
        e->options.refusal_threshold != 0 ? e->options.refusal_threshold : DEFAULT_THRESHOLD;
    if (e->results->candidates == 0)
        e->refused = SATCHEL_REASON_EMPTY_STORE;
    else if (e->extract.count == 0)
        e->refused = SATCHEL_REASON_NO_EVIDENCE;
    else if (e->extract.confidence < e->threshold)
        e->refused = SATCHEL_REASON_WEAK_EVIDENCE;
    return SATCHEL_OK;
}

void sat_evidence_tell_refusal(const sat_evidence *e, satchel_event_refusal *out,
                               satchel_event *event) {
    *out = (satchel_event_refusal){
        .reason = e->refused, .confidence = e->extract.confidence, .threshold = e->threshold};
    event->kind = SATCHEL_EVENT_REFUSAL;
    event->refusal = out;
}

/* ------------------------------------------------------------------ citations */

satchel_status sat_evidence_cite(const sat_evidence *e, size_t index, size_t start, size_t end,
                                 satchel_event_citation *out, satchel_error *error) {
    const satchel_hit *hit = &e->results->hits[index].hit;
    satchel_range range = {.start = hit->range.start + (int64_t)start,
                           .end = hit->range.start + (int64_t)end,
                           .start_utf16 = hit->range.start_utf16 +
                                          (int64_t)sat_utf16_length(hit->text, start)};
    range.end_utf16 = range.start_utf16 + (int64_t)sat_utf16_length(hit->text + start, end - start);
    *out = (satchel_event_citation){.document_id = hit->document_id,
                                    .title = hit->title,
                                    .heading = hit->heading,
                                    .chunk = hit->chunk,
                                    .source = range,
                                    .hit = (int32_t)index,
                                    .page = hit->page,
                                    .time_ms = hit->time_ms};
    if (hit->page <= 0 && hit->time_ms < 0)
        return SATCHEL_OK;
    sat_connection *reader = NULL;
    satchel_status status = sat_reader_begin(e->store, e->cancel, &reader, error);
    if (!status)
        status = sat_place_find(reader, hit->chunk, range.start, &out->page, &out->time_ms, error);
    sat_reader_end(reader);
    return status;
}

/* ------------------------------------------------------------------ the library's own answers */

satchel_status sat_account_search(sat_account *account, sat_evidence *e, int32_t mode,
                                  int32_t otherwise, satchel_event *event, satchel_error *error) {
    satchel_status status = sat_evidence_search(e, error);
    if (status)
        return status;
    account->done.search_ms = e->search_ms;
    account->done.hits = (int64_t)e->results->count;
    sat_evidence_tell_mode(e, mode, e->options.mode == mode ? SATCHEL_REASON_REQUESTED : otherwise,
                           &account->mode, event);
    return SATCHEL_OK;
}

satchel_status sat_account_weigh(sat_account *account, sat_evidence *e, satchel_event *event,
                                 satchel_error *error) {
    satchel_status status = sat_evidence_weigh(e, error);
    if (status)
        return status;
    account->done.confidence = e->extract.confidence;
    if (e->refused)
        sat_evidence_tell_refusal(e, &account->refusal, event);
    return SATCHEL_OK;
}

void sat_account_done(sat_account *account, satchel_event *event) {
    account->done.elapsed_ms = account->done.search_ms + account->done.answer_ms;
    event->kind = SATCHEL_EVENT_DONE;
    event->done = &account->done;
}

/* ------------------------------------------------------------------ open and close */

satchel_status sat_evidence_open(sat_evidence *out, sat_store *store, const char *question,
                                 const satchel_ask_options *options, satchel_error *error) {
    *out = (sat_evidence){.store = store,
                          .memory = store->memory,
                          .options = {.mode = options->mode,
                                      .search_mode = options->search_mode,
                                      .k = options->k,
                                      .max_sentences = options->max_sentences,
                                      .refusal_threshold = options->refusal_threshold},
                          .cancel = sat_cancel_retain(options->cancel)};
    out->question = sat_strdup(out->memory, question);
    out->filter = options->filter ? sat_strdup(out->memory, options->filter) : NULL;
    if (!out->question || (options->filter && !out->filter))
        return sat_memory_fail(out->memory, strlen(question), error);
    return SATCHEL_OK;
}

void sat_evidence_close(sat_evidence *e) {
    if (!e->store)
        return;
    sat_extract_free(&e->extract, e->store->context);
    sat_results_close(&e->results);
    sat_cancel_release(e->cancel);
    sat_free(e->memory, e->question);
    sat_free(e->memory, e->filter);
    *e = (sat_evidence){0};
}
