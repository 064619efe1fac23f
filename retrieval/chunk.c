/*
 * Chunks: where a document is cut.
 *
 * A document that fits is one chunk. Else no chunk goes over a heading of level 1 or 2; what lies
 * between two of those is a span. A span that fits is one chunk. Else it is cut into as few chunks
 * as hold it, of about equal size, at headings rather than between paragraphs, there rather than
 * between sentences.
 *
 * Even cuts move when anything in the span grows or shrinks. So a long span is first parted into
 * blocks at places chosen by the hash of their paragraph alone, on average three chunks apart: an
 * edit moves cuts in its block and nowhere else (content-defined chunking, as in Muthitacharoen,
 * Chen and Mazières, "A Low-bandwidth Network File System", 2001).
 */
#include "retrieval/chunk.h"

#include <math.h>
#include <string.h>

enum {
    BLOCK_CHUNKS = 3, /* of a block, on average */
    LONG_SPAN = 8,    /* in chunks: from here on a span is parted into blocks */
    SPLIT_LEVEL = 2,  /* headings up to this level part chunks */
};

/* What it costs to cut at a place, by what begins there; in units of a chunk's size. */
static const double cut_cost[] = {[SAT_BEGIN_PIECE] = 0.5,
                                  [SAT_BEGIN_SENTENCE] = 0.3,
                                  [SAT_BEGIN_PARAGRAPH] = 0.12,
                                  [SAT_BEGIN_SECTION] = 0};

typedef struct chunker {
    sat_units *units;
    sat_chunk_list *out;
    const sat_document *document;
    size_t locator; /* the next one to pass */
    int32_t page;
    int64_t time_ms;
    size_t at, at16; /* a place in bytes and in UTF-16 units */
    sat_buffer scratch;
    satchel_error *error;
} chunker;

bool sat_chunk_embed_text(sat_buffer *out, const char *heading, const char *text, size_t length) {
    if (heading && heading[0]) {
        sat_buffer_append_text(out, heading);
        sat_buffer_append_text(out, "\n\n");
    }
    return sat_buffer_append(out, text, length);
}

/* ------------------------------------------------------------------ one chunk */

/* The section that all of both lies in. */
static uint32_t common_section(const sat_units *units, uint32_t a, uint32_t b) {
    /* A parent stands before its children: go up from whichever stands later. */
    while (a != b && a != SAT_NO_SECTION && b != SAT_NO_SECTION) {
        if (a > b)
            a = units->sections[a].parent;
        else
            b = units->sections[b].parent;
    }
    return a == b ? a : SAT_NO_SECTION;
}

/* The section that all units lie in, but for headings with nothing under them. */
static uint32_t section_of(const sat_units *units, size_t first, size_t end) {
    bool found = false;
    uint32_t section = SAT_NO_SECTION;
    for (size_t i = first; i < end; i++) {
        uint32_t at = units->units[i].section;
        if (found && at == units->units[i - 1].section)
            continue;
        if (at != SAT_NO_SECTION && units->sections[at].empty)
            continue;
        section = found ? common_section(units, section, at) : at;
        found = true;
    }
    return found ? section : units->units[end - 1].section;
}

static void pass_locators(chunker *c, size_t start) {
    const sat_document *document = c->document;
    for (; c->locator < document->locator_count; c->locator++) {
        const satchel_locator *locator = &document->locators[c->locator];
        if (locator->start > (int64_t)start)
            return;
        if (locator->kind == SATCHEL_LOCATOR_PAGE || locator->kind == SATCHEL_LOCATOR_SLIDE)
            c->page = (int32_t)locator->number;
        else if (locator->kind == SATCHEL_LOCATOR_TIME)
            c->time_ms = locator->number;
    }
}

static size_t utf16_at(chunker *c, size_t place) {
    c->at16 += sat_utf16_length(c->units->text + c->at, place - c->at);
    c->at = place;
    return c->at16;
}

static satchel_status add_chunk(chunker *c, size_t first, size_t end) {
    const sat_units *units = c->units;
    sat_chunk_list *out = c->out;
    if (!sat_grow(out->memory, (void **)&out->chunks, &out->capacity, out->count + 1,
                  sizeof *out->chunks))
        return sat_memory_fail(out->memory, out->capacity * sizeof *out->chunks, c->error);
    uint32_t section = section_of(units, first, end);
    sat_chunk *chunk = &out->chunks[out->count++];
    *chunk = (sat_chunk){.start = units->units[first].start,
                         .end = units->units[end - 1].end,
                         .heading = section == SAT_NO_SECTION ? "" : units->sections[section].path,
                         .tokens = units->overhead};
    if (section != SAT_NO_SECTION)
        chunk->tokens += units->sections[section].path_tokens;
    for (size_t i = first; i < end; i++)
        chunk->tokens += units->units[i].tokens;
    chunk->start16 = utf16_at(c, chunk->start);
    chunk->end16 = utf16_at(c, chunk->end);
    pass_locators(c, chunk->start);
    chunk->page = c->page;
    chunk->time_ms = c->time_ms;
    sat_buffer_clear(&c->scratch);
    if (!sat_chunk_embed_text(&c->scratch, chunk->heading, units->text + chunk->start,
                              chunk->end - chunk->start))
        return sat_memory_fail(out->memory, chunk->end - chunk->start, c->error);
    chunk->hash = sat_digest_of(c->scratch.data, c->scratch.length);
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ cuts */

static uint64_t tokens_of(const sat_units *units, size_t first, size_t end) {
    uint64_t tokens = 0;
    for (size_t i = first; i < end; i++)
        tokens += units->units[i].tokens;
    return tokens;
}

/* Where the chunk that begins at `first` ends, when `left` tokens up to `end` do not fit one. */
static size_t choose_cut(const sat_units *units, size_t first, size_t end, uint64_t left) {
    double room = units->room;
    uint64_t chunks = (left + units->room - 1) / units->room;
    double even = (double)left / (double)chunks, best_cost = INFINITY;
    /* Less than this, and the rest would take a chunk more. */
    uint64_t least = left - (chunks - 1) * units->room;
    uint64_t tokens = units->units[first].tokens;
    size_t best = 0, at = first + 1;
    for (; at < end && tokens <= units->room; at++) {
        double cost = fabs((double)tokens - even) / room + cut_cost[units->units[at].begin];
        if (tokens >= least && cost < best_cost) {
            best_cost = cost;
            best = at;
        }
        tokens += units->units[at].tokens;
    }
    if (best)
        return best;
    /* No place will do: the last one that fits, or behind the first unit. */
    return at > first + 1 && tokens > units->room ? at - 1 : at;
}

/* Cuts what lies between two places that are cuts already. */
static satchel_status cut_block(chunker *c, size_t first, size_t end) {
    const sat_units *units = c->units;
    satchel_status status = SATCHEL_OK;
    uint64_t left = tokens_of(units, first, end);
    while (first < end && !status) {
        size_t at = left <= units->room ? end : choose_cut(units, first, end, left);
        status = add_chunk(c, first, at);
        left -= tokens_of(units, first, at);
        first = at;
    }
    return status;
}

/* The end of the paragraph at `at`, or of the sentence in a paragraph longer than a chunk, which
 * goes on up to *long_end. */
static size_t paragraph_end(const sat_units *units, size_t at, size_t end, size_t *long_end,
                            uint64_t *tokens) {
    if (at >= *long_end) {
        size_t next = at + 1;
        while (next < end && units->units[next].begin < SAT_BEGIN_PARAGRAPH)
            next++;
        *tokens = tokens_of(units, at, next);
        if (*tokens <= units->room)
            return next;
        *long_end = next;
    }
    *tokens = units->units[at].tokens;
    return at + 1;
}

/* True if a block begins with this paragraph, whatever stands around it: with a chance in
 * proportion to its size, so that blocks have one size in all texts. */
static bool is_anchor(const sat_units *units, size_t first, size_t end, uint64_t tokens) {
    const sat_unit *unit = &units->units[first];
    if (unit->begin == SAT_BEGIN_SECTION)
        return true;
    uint64_t hash =
        sat_hash64(units->text + unit->start, units->units[end - 1].end - unit->start, 0);
    double chance = (double)tokens / ((double)BLOCK_CHUNKS * units->room);
    return (double)(hash >> 11) < chance * 0x1p53;
}

/* A span: no chunk goes over its bounds. */
static satchel_status cut_span(chunker *c, size_t first, size_t end) {
    const sat_units *units = c->units;
    uint64_t left = tokens_of(units, first, end), half = units->room / 2, block = 0;
    if (left <= (uint64_t)LONG_SPAN * units->room)
        return cut_block(c, first, end);
    satchel_status status = SATCHEL_OK;
    for (size_t at = first, long_end = 0; at < end && !status;) {
        uint64_t tokens;
        size_t next = paragraph_end(units, at, end, &long_end, &tokens);
        /* Neither the block before nor what is left at the end may be too small. */
        if (block >= half && left >= half && is_anchor(units, at, next, tokens)) {
            status = cut_block(c, first, at);
            first = at;
            block = 0;
        }
        block += tokens;
        left -= tokens;
        at = next;
    }
    return status ? status : cut_block(c, first, end);
}

/* True if a span begins here: at a heading of a level that parts chunks, unless what stands
 * before it in its span is nothing but headings that it lies under. */
static bool begins_span(const sat_units *units, size_t first, size_t at) {
    if (units->units[at].begin != SAT_BEGIN_SECTION)
        return false;
    uint32_t section = units->units[at].section;
    if (units->sections[section].level > SPLIT_LEVEL)
        return false;
    for (size_t i = first; i < at; i++) {
        uint32_t before = units->units[i].section;
        if (before == SAT_NO_SECTION || !units->sections[before].empty ||
            common_section(units, before, section) != before)
            return true;
    }
    return false;
}

static satchel_status cut_document(chunker *c) {
    const sat_units *units = c->units;
    size_t count = units->count, first = 0;
    if (count == 0)
        return SATCHEL_OK;
    if (tokens_of(units, 0, count) <= units->room)
        return add_chunk(c, 0, count);
    satchel_status status = SATCHEL_OK;
    for (size_t at = 1; at < count && !status; at++) {
        if (begins_span(units, first, at)) {
            status = cut_span(c, first, at);
            first = at;
        }
    }
    return status ? status : cut_span(c, first, count);
}

satchel_status sat_chunk_document(sat_chunk_list *out, sat_memory *memory,
                                  const sat_document *document, const satchel_embedder *embedder,
                                  int32_t budget, satchel_error *error) {
    memset(out, 0, sizeof *out);
    out->memory = memory;
    sat_arena_init(&out->arena, memory);
    sat_units units;
    satchel_status status =
        sat_units_make(&units, memory, document, embedder, budget, &out->arena, error);
    if (!status) {
        chunker c = {
            .units = &units, .out = out, .document = document, .time_ms = -1, .error = error};
        sat_buffer_init(&c.scratch, memory);
        status = cut_document(&c);
        sat_buffer_free(&c.scratch);
    }
    sat_units_free(&units);
    if (status)
        sat_chunk_list_free(out);
    return status;
}

void sat_chunk_list_free(sat_chunk_list *list) {
    if (!list->memory)
        return;
    sat_free(list->memory, list->chunks);
    sat_arena_free(&list->arena);
    memset(list, 0, sizeof *list);
}
