/*
 * Extractive answers: a search, the sentences that answer (extract.c), and the events that tell of
 * them: MODE, HITS, then a TOKEN and a CITATION for each sentence quoted, or REFUSAL, then DONE. The
 * first call searches; the call after HITS extracts.
 */
#include <string.h>

#include "retrieval/extract.h"
#include "retrieval/search.h"

#define DEFAULT_SENTENCES 3
#define MAX_SENTENCES 16
/* Where 95 % of the answerable English questions of XQuAD are answered and three quarters of those
 * whose passage was taken away are refused (docs/benchmarks.md). */
#define DEFAULT_THRESHOLD 0.46f
/* Further sentences are quoted down to this part of the best one's score. */
#define WORTH_QUOTING 0.7f
#define LEAD_BYTES 1024

typedef enum answer_state { SEARCH, HITS, EXTRACT, TOKEN, CITATION, DONE } answer_state;

typedef struct answer {
    sat_stream stream;
    sat_store *store;
    sat_memory *memory;
    char *question, *filter;
    satchel_ask_options options; /* with our copies of the strings */
    satchel_cancel *cancel;

    answer_state state;
    satchel_results *results;
    sat_extract extract;
    size_t quotes, at;     /* sentences to quote; the one at hand */
    satchel_range written; /* of the answer: the sentence at hand */
    sat_buffer piece;      /* the token's text */
    satchel_event_mode mode;
    satchel_event_token token;
    satchel_event_citation citation;
    satchel_event_refusal refusal;
    satchel_event_done done;
} answer;

/* ------------------------------------------------------------------ steps */

static satchel_status search(answer *a, satchel_event *event, satchel_error *error) {
    int64_t start = sat_clock_ms();
    const satchel_search_options options = {
        .struct_size = sizeof options,
        .mode = a->options.search_mode,
        .k = a->options.k > 0 ? a->options.k : SAT_EXTRACT_PASSAGES,
        .filter = a->filter,
        .cancel = a->cancel,
    };
    satchel_status status = sat_store_search(&a->results, a->store, a->question,
                                             SATCHEL_NUL_TERMINATED, &options, error);
    if (status)
        return status;
    a->done.search_ms = sat_clock_ms() - start;
    a->done.hits = (int64_t)a->results->count;
    a->mode.mode = SATCHEL_ANSWER_EXTRACTIVE;
    a->mode.search_mode = a->results->mode;
    a->mode.reason = a->options.mode == SATCHEL_ANSWER_EXTRACTIVE ? SATCHEL_REASON_REQUESTED
                                                                  : SATCHEL_REASON_NO_GENERATOR;
    if (a->results->mode == SATCHEL_SEARCH_KEYWORD &&
        a->options.search_mode != SATCHEL_SEARCH_KEYWORD)
        a->mode.reason = SATCHEL_REASON_NO_EMBEDDER;
    event->kind = SATCHEL_EVENT_MODE;
    event->mode = &a->mode;
    a->state = HITS;
    return SATCHEL_OK;
}

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

static satchel_status read_leads(answer *a, sat_buffer *leads, satchel_error *error) {
    sat_connection *reader = NULL;
    satchel_status status = sat_reader_begin(a->store, a->cancel, &reader, error);
    for (size_t i = 0; i < a->results->count && !status; i++)
        status = read_lead(reader, a->results->hits[i].hit.chunk, &leads[i], error);
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

static satchel_status extract_from(answer *a, const sat_buffer *leads, satchel_error *error) {
    satchel_results *results = a->results;
    sat_passage *passages = sat_alloc_array(a->memory, results->count, sizeof *passages);
    sat_terms *terms = NULL;
    satchel_status status = SATCHEL_OK;
    if (!passages)
        status = sat_memory_fail(a->memory, results->count * sizeof *passages, error);
    if (!status)
        status = sat_terms_open(&terms, a->memory, error);
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
        .text = a->question,
        .length = strlen(a->question),
        .terms = &results->terms,
        .idf = results->idf,
        .embedder = results->mode == SATCHEL_SEARCH_KEYWORD ? NULL : a->store->embedder,
        .vector = results->query_vector,
        .share = results->share,
    };
    if (!status)
        status = sat_extract_sentences(&a->extract, a->store->context, &question, passages,
                                       results->count, terms, a->cancel, error);
    sat_terms_close(&terms);
    sat_free(a->memory, passages);
    return status;
}

static satchel_status extract(answer *a, satchel_error *error) {
    size_t count = a->results->count;
    if (count == 0)
        return SATCHEL_OK;
    sat_buffer *leads = sat_calloc(a->memory, count, sizeof *leads);
    if (!leads)
        return sat_memory_fail(a->memory, count * sizeof *leads, error);
    for (size_t i = 0; i < count; i++)
        sat_buffer_init(&leads[i], a->memory);
    /* The embedder is a callback: it runs after the reader's transaction has ended. */
    satchel_status status = read_leads(a, leads, error);
    if (!status)
        status = extract_from(a, leads, error);
    for (size_t i = 0; i < count; i++)
        sat_buffer_free(&leads[i]);
    sat_free(a->memory, leads);
    return status;
}

/* Extracts, and decides whether to answer. */
static satchel_status decide(answer *a, satchel_event *event, satchel_error *error) {
    int64_t start = sat_clock_ms();
    satchel_status status = extract(a, error);
    if (status)
        return status;
    a->done.answer_ms = sat_clock_ms() - start;
    const sat_extract *found = &a->extract;
    float threshold =
        a->options.refusal_threshold != 0 ? a->options.refusal_threshold : DEFAULT_THRESHOLD;
    a->done.confidence = found->confidence;
    int32_t reason = SATCHEL_REASON_NONE;
    if (a->results->candidates == 0)
        reason = SATCHEL_REASON_EMPTY_STORE;
    else if (found->count == 0)
        reason = SATCHEL_REASON_NO_EVIDENCE;
    else if (found->confidence < threshold)
        reason = SATCHEL_REASON_WEAK_EVIDENCE;
    if (reason != SATCHEL_REASON_NONE) {
        a->refusal = (satchel_event_refusal){
            .reason = reason, .confidence = found->confidence, .threshold = threshold};
        event->kind = SATCHEL_EVENT_REFUSAL;
        event->refusal = &a->refusal;
        a->state = DONE;
        return SATCHEL_OK;
    }
    size_t most =
        a->options.max_sentences > 0 ? (size_t)a->options.max_sentences : DEFAULT_SENTENCES;
    float least = WORTH_QUOTING * found->sentences[0].score;
    while (a->quotes < found->count && a->quotes < most &&
           (a->quotes == 0 || found->sentences[a->quotes].score >= least))
        a->quotes++;
    a->done.sentences = (int64_t)a->quotes;
    a->state = TOKEN;
    return SATCHEL_OK;
}

/* The sentence at hand, on a line of its own. */
static satchel_status quote(answer *a, satchel_event *event, satchel_error *error) {
    const sat_sentence *sentence = &a->extract.sentences[a->at];
    const satchel_hit *hit = &a->results->hits[sentence->passage].hit;
    const char *text = hit->text + sentence->start;
    size_t length = sentence->end - sentence->start;
    sat_buffer_clear(&a->piece);
    if (a->at > 0) {
        sat_buffer_append(&a->piece, "\n", 1);
        a->written.end++;
        a->written.end_utf16++;
    }
    if (!sat_buffer_append(&a->piece, text, length))
        return sat_memory_fail(a->memory, length, error);
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

/* The page and the time of the sentence itself: its chunk may begin on an earlier page. */
static satchel_status find_place(answer *a, int64_t chunk, int64_t start, int32_t *page,
                                 int64_t *time_ms, satchel_error *error) {
    sat_connection *reader = NULL;
    satchel_status status = sat_reader_begin(a->store, a->cancel, &reader, error);
    if (!status)
        status = sat_place_find(reader, chunk, start, page, time_ms, error);
    sat_reader_end(reader);
    return status;
}

static satchel_status cite(answer *a, satchel_event *event, satchel_error *error) {
    const sat_sentence *sentence = &a->extract.sentences[a->at];
    const satchel_hit *hit = &a->results->hits[sentence->passage].hit;
    size_t length = sentence->end - sentence->start;
    const char *source = hit->text + sentence->start;
    const char *answered = a->piece.data + a->piece.length - length;
    satchel_range range = {.start = hit->range.start + (int64_t)sentence->start,
                           .start_utf16 = hit->range.start_utf16 +
                                          (int64_t)sat_utf16_length(hit->text, sentence->start)};
    range.end = range.start + (int64_t)length;
    range.end_utf16 = range.start_utf16 + (int64_t)sat_utf16_length(source, length);
    a->citation = (satchel_event_citation){
        .answer = a->written,
        .document_id = hit->document_id,
        .title = hit->title,
        .heading = hit->heading,
        .chunk = hit->chunk,
        .source = range,
        .hit = (int32_t)sentence->passage,
        .verified = memcmp(answered, source, length) == 0,
        .score = sentence->score,
        .page = hit->page,
        .time_ms = hit->time_ms,
    };
    satchel_status status = SATCHEL_OK;
    if (hit->page > 0 || hit->time_ms >= 0)
        status =
            find_place(a, hit->chunk, range.start, &a->citation.page, &a->citation.time_ms, error);
    if (status)
        return status;
    event->kind = SATCHEL_EVENT_CITATION;
    event->citation = &a->citation;
    a->at++;
    a->state = a->at < a->quotes ? TOKEN : DONE;
    return SATCHEL_OK;
}

static satchel_status answer_next(sat_stream *stream, satchel_event *event, satchel_error *error) {
    answer *a = (answer *)stream;
    satchel_status status = sat_cancel_check(a->cancel, error);
    if (status)
        return status;
    switch (a->state) {
    case SEARCH:
        return search(a, event, error);
    case HITS:
        event->kind = SATCHEL_EVENT_HITS;
        event->hits = a->results;
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
    a->done.elapsed_ms = a->done.search_ms + a->done.answer_ms;
    event->kind = SATCHEL_EVENT_DONE;
    event->done = &a->done;
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ open and close */

static void answer_close(sat_stream *stream) {
    answer *a = (answer *)stream;
    sat_extract_free(&a->extract, a->store->context);
    sat_results_close(&a->results);
    sat_cancel_release(a->cancel);
    sat_buffer_free(&a->piece);
    sat_free(a->memory, a->question);
    sat_free(a->memory, a->filter);
    sat_free(a->memory, a);
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
    a->store = store;
    a->memory = store->memory;
    a->options = *options;
    a->options.filter = NULL;
    a->options.cancel = NULL;
    sat_buffer_init(&a->piece, a->memory);
    a->question = sat_strdup(a->memory, question);
    a->filter = options->filter ? sat_strdup(a->memory, options->filter) : NULL;
    a->cancel = sat_cancel_retain(options->cancel);
    if (!a->question || (options->filter && !a->filter)) {
        answer_close(&a->stream);
        return sat_memory_fail(store->memory, strlen(question), error);
    }
    *out = &a->stream;
    return SATCHEL_OK;
}
