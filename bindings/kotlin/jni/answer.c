/* Searching, asking, split asking, and the events of streams. */
#include "bridge.h"

#include <string.h>

/* Of a usual hit, with its text. */
#define HIT_BYTES 1024

/* ------------------------------------------------------------------ results */

/* Where the words of a query stand in a hit: a search has hundreds. So they lie in 8 bytes each, counted from
 * the hit's own start, or as ranges do where one is farther off. */
static void write_matches(writer *out, const satchel_results *results, size_t index,
                          const satchel_hit *hit) {
    size_t begin = out->length, count = hit->match_count;
    write_i32(out, (int32_t)count);
    write_i32(out, true);
    uint8_t *room = count <= INT32_MAX / 8 ? write_room(out, count * 8) : NULL;
    bool fits = room != NULL;
    for (size_t m = 0; m < count && fits; m++) {
        satchel_range match;
        if (satchel_results_get_match(results, index, m, &match, NULL) != SATCHEL_OK) {
            out->failed = true;
            return;
        }
        uint64_t start = (uint64_t)(match.start - hit->range.start);
        uint64_t end = (uint64_t)(match.end - hit->range.start);
        uint64_t start_utf16 = (uint64_t)(match.start_utf16 - hit->range.start_utf16);
        uint64_t end_utf16 = (uint64_t)(match.end_utf16 - hit->range.start_utf16);
        fits = (start | end | start_utf16 | end_utf16) <= UINT16_MAX;
        const uint16_t four[] = {(uint16_t)start, (uint16_t)end, (uint16_t)start_utf16,
                                 (uint16_t)end_utf16};
        memcpy(room + m * sizeof four, four, sizeof four);
    }
    if (fits || out->failed)
        return;
    out->length = begin;
    write_i32(out, (int32_t)count);
    write_i32(out, false);
    for (size_t m = 0; m < count; m++) {
        satchel_range match;
        if (satchel_results_get_match(results, index, m, &match, NULL) != SATCHEL_OK)
            out->failed = true;
        else
            write_range(out, &match);
    }
}

static void write_hit(writer *out, const satchel_results *results, size_t index) {
    satchel_hit hit;
    if (satchel_results_get(results, index, &hit, sizeof hit, NULL) != SATCHEL_OK) {
        out->failed = true;
        return;
    }
    write_range(out, &hit.range);
    write_text(out, hit.document_id);
    write_text(out, hit.title);
    write_text(out, hit.heading);
    write_bytes(out, hit.text, hit.text_length);
    write_range(out, &hit.snippet);
    write_i64(out, hit.chunk);
    write_f32(out, hit.score);
    write_f32(out, hit.keyword_score);
    write_f32(out, hit.vector_score);
    write_i32(out, hit.page);
    write_text(out, hit.metadata);
    write_i64(out, hit.time_ms);
    write_i64(out, hit.source_start);
    write_i64(out, hit.source_end);
    write_matches(out, results, index, &hit);
}

void write_results(writer *out, const satchel_results *results) {
    size_t count = satchel_results_count(results);
    write_i32(out, satchel_results_mode(results));
    write_i32(out, (int32_t)count);
    write_ahead(out, count * HIT_BYTES);
    for (size_t i = 0; i < count; i++)
        write_hit(out, results, i);
}

satchel_status op_search(call *c) {
    satchel_store *store = read_handle(&c->in);
    const char *query = read_text(&c->in);
    satchel_search_options options;
    satchel_search_options_init(&options, sizeof options);
    options.mode = read_i32(&c->in);
    options.k = read_i32(&c->in);
    options.filter = read_text(&c->in);
    options.cancel = read_handle(&c->in);
    satchel_results *results = NULL;
    satchel_status status = understood(c);
    if (!status)
        status = satchel_search(&results, store, query, &options, &c->error);
    if (!status)
        write_results(&c->out, results);
    satchel_results_close(&results);
    return status;
}

/* ------------------------------------------------------------------ asking */

/* Reads what Kotlin's AskOptions wrote; *generate is room for what it leads to. */
static satchel_status read_ask(call *c, satchel_ask_options *options,
                               satchel_generate_options *generate) {
    satchel_ask_options_init(options, sizeof *options);
    reader *in = &c->in;
    options->mode = read_i32(in);
    options->search_mode = read_i32(in);
    options->k = read_i32(in);
    options->max_sentences = read_i32(in);
    options->filter = read_text(in);
    options->refusal_threshold = read_f32(in);
    options->generator = read_handle(in);
    options->history = read_text(in);
    options->prompt = read_text(in);
    options->context_tokens = read_i32(in);
    options->cancel = read_handle(in);
    if (read_i32(in)) {
        read_generate(c, generate, NULL);
        options->generate = generate;
    }
    return understood(c);
}

satchel_status op_ask(call *c) {
    satchel_store *store = read_handle(&c->in);
    const char *question = read_text(&c->in);
    satchel_ask_options options;
    satchel_generate_options generate;
    satchel_status status = read_ask(c, &options, &generate);
    satchel_stream *stream;
    if (!status)
        status = satchel_ask(&stream, store, question, &options, &c->error);
    if (!status)
        write_handle(c, stream, unmake_stream);
    return status;
}

static void unmake_prepared(void *made) {
    satchel_prepared *prepared = made;
    satchel_prepared_close(&prepared);
}

satchel_status op_ask_prepare(call *c) {
    satchel_store *store = read_handle(&c->in);
    const char *question = read_text(&c->in);
    satchel_ask_options options;
    satchel_generate_options generate;
    satchel_status status = read_ask(c, &options, &generate);
    satchel_prepared *prepared;
    if (!status)
        status = satchel_ask_prepare(&prepared, store, question, &options, &c->error);
    if (status)
        return status;
    write_handle(c, prepared, unmake_prepared);
    writer *out = &c->out;
    satchel_prepared_info info;
    status = satchel_prepared_get_info(prepared, &info, sizeof info, &c->error);
    if (status)
        return status;
    write_bytes(out, info.messages, info.messages_length);
    write_i64(out, info.prompt_tokens);
    write_i32(out, info.refused);
    write_f32(out, info.confidence);
    write_i32(out, info.search_mode);
    write_results(out, satchel_prepared_results(prepared));
    write_i32(out, (int32_t)info.passages);
    for (int64_t i = 1; i <= info.passages; i++) {
        satchel_passage passage;
        status =
            satchel_prepared_get_passage(prepared, (size_t)i, &passage, sizeof passage, &c->error);
        if (status)
            return status;
        write_i64(out, passage.hit);
        write_range(out, &passage.range);
    }
    return SATCHEL_OK;
}

satchel_status op_prepared_close(call *c) {
    unmake_prepared(read_handle(&c->in));
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ events */

static void write_citation(writer *out, const satchel_event_citation *citation) {
    write_range(out, &citation->answer);
    write_text(out, citation->document_id);
    write_text(out, citation->title);
    write_text(out, citation->heading);
    write_i64(out, citation->chunk);
    write_range(out, &citation->source);
    write_i32(out, citation->hit);
    write_i32(out, citation->verified);
    write_f32(out, citation->score);
    write_i32(out, citation->page);
    write_i64(out, citation->time_ms);
}

static void write_done(writer *out, const satchel_event_done *done) {
    const int64_t values[] = {
        done->elapsed_ms,    done->added,           done->changed,          done->removed,
        done->renamed,       done->unchanged,       done->failed,           done->skipped,
        done->chunks,        done->chunks_embedded, done->chunks_reused,    done->bytes,
        done->read_ms,       done->keyword_ms,      done->embed_ms,         done->write_ms,
        done->hits,          done->sentences,       done->search_ms,        done->answer_ms,
        done->prompt_tokens, done->cached_tokens,   done->generated_tokens, done->prefill_ms,
        done->generate_ms};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        write_i64(out, values[i]);
    write_f32(out, done->confidence);
    write_i32(out, done->finish);
}

static void write_event(writer *out, const satchel_event *event) {
    write_i32(out, event->kind);
    switch (event->kind) {
    case SATCHEL_EVENT_MODE:
        write_i32(out, event->mode->mode);
        write_i32(out, event->mode->reason);
        write_i32(out, event->mode->search_mode);
        break;
    case SATCHEL_EVENT_HITS:
        write_results(out, event->hits);
        break;
    case SATCHEL_EVENT_TOKEN:
        write_bytes(out, event->token->text, event->token->length);
        write_i32(out, event->token->token);
        break;
    case SATCHEL_EVENT_CITATION:
        write_citation(out, event->citation);
        break;
    case SATCHEL_EVENT_REFUSAL:
        write_i32(out, event->refusal->reason);
        write_f32(out, event->refusal->confidence);
        write_f32(out, event->refusal->threshold);
        break;
    case SATCHEL_EVENT_PROGRESS:
        write_progress(out, event->progress);
        break;
    case SATCHEL_EVENT_FILE:
        write_i32(out, event->file->change);
        write_i32(out, event->file->status);
        write_text(out, event->file->path);
        write_text(out, event->file->document_id);
        write_text(out, event->file->message);
        write_i64(out, event->file->bytes);
        write_i64(out, event->file->chunks);
        break;
    case SATCHEL_EVENT_DONE:
        write_done(out, event->done);
        break;
    default: // of a later version: Kotlin passes over it
        break;
    }
}

satchel_status op_stream_next(call *c) {
    satchel_event event;
    satchel_status status =
        satchel_stream_next(read_handle(&c->in), &event, sizeof event, &c->error);
    if (!status)
        write_event(&c->out, &event);
    return status;
}

satchel_status op_stream_close(call *c) {
    unmake_stream(read_handle(&c->in));
    return SATCHEL_OK;
}

satchel_status op_prepared_resolve(call *c) {
    satchel_prepared *prepared = read_handle(&c->in);
    size_t length;
    const char *text = read_bytes(&c->in, &length);
    int32_t final = read_i32(&c->in);
    satchel_stream *stream;
    satchel_status status = understood(c);
    if (!status)
        status = satchel_prepared_resolve(&stream, prepared, text, length, final, &c->error);
    if (!status)
        write_handle(c, stream, unmake_stream);
    return status;
}
