/* Search results: fetching what a hit shows, and reading it. */
#include <math.h>
#include <string.h>

#include "retrieval/search.h"

/* Bytes of a hit that are worth showing at first. */
#define SNIPPET_BYTES 240

/* ------------------------------------------------------------------ filling */

/* Byte ranges in a chunk's text to ranges in the document, ascending: UTF-16 units are counted on
 * from the last place. */
typedef struct place {
    const char *text;
    size_t at; /* bytes */
    int64_t at16;
    const satchel_range *chunk;
} place;

static void go_to(place *p, size_t at, int64_t *byte, int64_t *unit) {
    if (at < p->at)
        *p = (place){p->text, 0, 0, p->chunk};
    p->at16 += (int64_t)sat_utf16_length(p->text + p->at, at - p->at);
    p->at = at;
    *byte = p->chunk->start + (int64_t)at;
    *unit = p->chunk->start_utf16 + p->at16;
}

static satchel_range range_of(place *p, size_t start, size_t end) {
    satchel_range range;
    go_to(p, start, &range.start, &range.start_utf16);
    go_to(p, end, &range.end, &range.end_utf16);
    return range;
}

static satchel_status mark(satchel_results *results, sat_connection *reader, sat_hit *out,
                           satchel_error *error) {
    sat_memory *memory = results->arena.memory;
    satchel_hit *hit = &out->hit;
    sat_matches matches = {0};
    sat_terms *terms;
    satchel_status status = sat_connection_terms(reader, &terms, error);
    if (!status && results->has_terms)
        status = sat_matches_find(&matches, memory, terms, &results->terms, hit->text,
                                  hit->text_length, error);
    if (!status && matches.count > 0) {
        out->matches = sat_arena_alloc(&results->arena, matches.count * sizeof *out->matches);
        if (!out->matches)
            status = sat_memory_fail(memory, matches.count * sizeof *out->matches, error);
    }
    if (!status) {
        place p = {.text = hit->text, .chunk = &hit->range};
        for (size_t i = 0; i < matches.count; i++)
            out->matches[i] = range_of(&p, matches.items[i].start, matches.items[i].end);
        hit->match_count = matches.count;
        size_t start, end;
        sat_snippet_choose(hit->text, hit->text_length, &matches, SNIPPET_BYTES, &start, &end);
        hit->snippet = range_of(&p, start, end);
    }
    sat_free(memory, matches.items);
    return status;
}

static satchel_status fetch_row(satchel_results *results, sat_connection *reader, int64_t chunk,
                                sat_hit *out, satchel_error *error) {
    satchel_hit *hit = &out->hit;
    bool found = false, ok = true;
    sat_query query;
    sat_query_begin(&query, reader,
                    "SELECT d.id, d.name, d.title, d.metadata, d.source_start, c.heading, "
                    "c.start_byte, c.end_byte, c.start_utf16, c.end_utf16, c.page, c.time "
                    "FROM chunk c JOIN document d ON d.id = c.document WHERE c.id = ?1");
    sat_bind_int(&query, 1, chunk);
    if (sat_query_row(&query)) {
        found = true;
        out->document = sat_column_int(&query, 0);
        hit->chunk = chunk;
        hit->document_id = sat_column_copy(&query, 1, &results->arena);
        hit->title = sat_column_copy(&query, 2, &results->arena);
        hit->metadata = sat_column_copy(&query, 3, &results->arena);
        hit->heading = sat_column_copy(&query, 5, &results->arena);
        hit->range = (satchel_range){sat_column_int(&query, 6), sat_column_int(&query, 7),
                                     sat_column_int(&query, 8), sat_column_int(&query, 9)};
        hit->page = (int32_t)sat_column_int(&query, 10);
        hit->time_ms = sat_column_int(&query, 11);
        int64_t source = sat_column_int(&query, 4);
        hit->source_start = source < 0 ? -1 : source + hit->range.start;
        hit->source_end = source < 0 ? -1 : source + hit->range.end;
        ok = hit->document_id && hit->title && hit->metadata && hit->heading;
    }
    satchel_status status = sat_query_end(&query, error);
    if (!status && !ok)
        status = sat_memory_fail(results->arena.memory, 0, error);
    if (!status && (!found || hit->range.start < 0 || hit->range.end < hit->range.start))
        status = sat_fail(error, SATCHEL_DAMAGED, "store '%s': chunk %lld is missing; run verify",
                          reader->store->path, (long long)chunk);
    return status;
}

satchel_status sat_results_fill(satchel_results *results, sat_connection *reader,
                                const int64_t *chunks, size_t count, satchel_error *error) {
    sat_memory *memory = results->arena.memory;
    sat_buffer text;
    sat_buffer_init(&text, memory);
    satchel_status status = SATCHEL_OK;
    results->hits = sat_arena_alloc(&results->arena, (count + 1) * sizeof *results->hits);
    if (!results->hits)
        return sat_memory_fail(memory, count * sizeof *results->hits, error);
    memset(results->hits, 0, (count + 1) * sizeof *results->hits);
    for (size_t i = 0; i < count && !status; i++) {
        sat_hit *out = &results->hits[i];
        status = sat_cancel_check(reader->cancel, error);
        if (!status)
            status = fetch_row(results, reader, chunks[i], out, error);
        sat_buffer_clear(&text);
        if (!status)
            status = sat_text_read(reader, out->document, out->hit.range.start, out->hit.range.end,
                                   &text, error);
        if (status)
            break;
        out->hit.text = sat_arena_strdup(&results->arena, text.data ? text.data : "", text.length);
        out->hit.text_length = text.length;
        status = out->hit.text ? mark(results, reader, out, error)
                               : sat_memory_fail(memory, text.length, error);
    }
    sat_buffer_free(&text);
    if (!status)
        results->count = count;
    return status;
}

/* ------------------------------------------------------------------ reading */

size_t sat_results_count(const satchel_results *results) {
    return results->count;
}

int32_t sat_results_mode(const satchel_results *results) {
    return results->mode;
}

static satchel_status check_index(const satchel_results *results, size_t index,
                                  satchel_error *error) {
    if (index < results->count)
        return SATCHEL_OK;
    return sat_fail(error, SATCHEL_NOT_FOUND, "there is no hit %zu; there are %zu", index,
                    results->count);
}

satchel_status sat_results_get(const satchel_results *results, size_t index, satchel_hit *hit,
                               satchel_error *error) {
    satchel_status status = check_index(results, index, error);
    if (!status)
        *hit = results->hits[index].hit;
    return status;
}

satchel_status sat_results_match(const satchel_results *results, size_t index, size_t match,
                                 satchel_range *range, satchel_error *error) {
    satchel_status status = check_index(results, index, error);
    if (status)
        return status;
    const sat_hit *hit = &results->hits[index];
    if (match >= hit->hit.match_count)
        return sat_fail(error, SATCHEL_NOT_FOUND, "hit %zu has no match %zu; it has %zu", index,
                        match, hit->hit.match_count);
    *range = hit->matches[match];
    return SATCHEL_OK;
}

void sat_results_close(satchel_results **handle) {
    satchel_results *results = *handle;
    if (!results)
        return;
    *handle = NULL;
    satchel_context *context = results->context;
    if (results->has_terms)
        sat_query_terms_free(&results->terms);
    sat_free(&context->memory, results->idf);
    sat_free_aligned(&context->memory, results->query_vector);
    sat_arena_free(&results->arena);
    sat_free(&context->memory, results);
    sat_context_release(context);
}
