/* See cite_source.h. */
#include "retrieval/cite_source.h"

#include <math.h>
#include <string.h>

enum { LEAST_QUOTED = 8 }; /* bytes: shorter ones stand everywhere */

/* ------------------------------------------------------------------ byte for byte */

/* A letter or digit of a script whose words have borders. */
static bool in_word(const char *text, size_t length, size_t at) {
    int32_t code;
    sat_utf8_decode(text + at, length - at, &code);
    return (sat_is_letter(code) && !sat_is_unspaced(code)) || sat_is_digit(code) ||
           sat_is_mark(code);
}

static bool cuts_word(const char *text, size_t length, size_t at) {
    return at > 0 && at < length && in_word(text, length, at) &&
           in_word(text, length, sat_utf8_border(text, length, at - 1));
}

/* Where `said` stands in the passage as whole words; false: nowhere. */
static bool stands(const sat_cited *passage, const char *said, size_t length, size_t *start) {
    size_t from = 0;
    while (length > 0 && length <= passage->length - from) {
        const char *found = memmem(passage->text + from, passage->length - from, said, length);
        if (!found)
            return false;
        *start = (size_t)(found - passage->text);
        if (!cuts_word(passage->text, passage->length, *start) &&
            !cuts_word(passage->text, passage->length, *start + length))
            return true;
        from = *start + 1;
    }
    return false;
}

static size_t without_stop(const char *said, size_t length) {
    static const char *const stops[] = {".", "!", "?", ",", ";", ":", "…", "。", "！", "？"};
    for (size_t i = 0; i < SAT_COUNT(stops); i++) {
        size_t size = strlen(stops[i]);
        if (length > size && memcmp(said + length - size, stops[i], size) == 0)
            return length - size;
    }
    return length;
}

static bool stands_somehow(const sat_cited *passage, const char *said, size_t length, size_t *start,
                           size_t *end) {
    if (!stands(passage, said, length, start)) {
        size_t shorter = without_stop(said, length);
        if (shorter == length || !stands(passage, said, shorter, start))
            return false;
        length = shorter;
    }
    *end = *start + length;
    return true;
}

/* ------------------------------------------------------------------ quotations */

static const struct {
    const char *open, *close, *other;
} marks[] = {
    {"\"", "\"", "\""}, {"“", "”", "”"},    {"„", "“", "”"},    {"«", "»", "»"},
    {"»", "«", "«"},    {"「", "」", "」"}, {"『", "』", "』"},
};

static size_t starts_with(const char *text, size_t length, const char *what) {
    size_t size = strlen(what);
    return size <= length && memcmp(text, what, size) == 0 ? size : 0;
}

/* The next quotation from *at on: its inside; *at goes behind it. False: none is left. */
static bool next_quotation(const char *text, size_t length, size_t *at, size_t *start,
                           size_t *end) {
    for (; *at < length; ++*at) {
        for (size_t i = 0; i < SAT_COUNT(marks); i++) {
            size_t open = starts_with(text + *at, length - *at, marks[i].open);
            for (size_t to = *at + open; open > 0 && to < length; to++) {
                size_t close = starts_with(text + to, length - to, marks[i].close);
                if (!close)
                    close = starts_with(text + to, length - to, marks[i].other);
                if (!close)
                    continue;
                *start = *at + open;
                *end = to;
                *at = to + close;
                return true;
            }
        }
    }
    return false;
}

/* Everything quoted, of some length, stands in the passage: the longest of it is the source. */
static bool quotations_stand(const sat_cited *passage, const char *said, size_t length,
                             sat_citation *out) {
    bool any = false;
    size_t longest = 0, at = 0, start, end, source_start, source_end;
    while (next_quotation(said, length, &at, &start, &end)) {
        if (end - start < LEAST_QUOTED)
            continue;
        if (!stands_somehow(passage, said + start, end - start, &source_start, &source_end))
            return false;
        if (source_end - source_start > longest) {
            longest = source_end - source_start;
            out->source_start = source_start;
            out->source_end = source_end;
        }
        any = true;
    }
    return any;
}

/* ------------------------------------------------------------------ terms in common */

static int add_term(void *user, const char *term, size_t length, size_t start, size_t end) {
    sat_cite_scratch *scratch = user;
    (void)start, (void)end;
    if (!sat_grow(scratch->memory, (void **)&scratch->hashes, &scratch->capacity,
                  scratch->count + 1, sizeof *scratch->hashes))
        return SATCHEL_OUT_OF_MEMORY;
    scratch->hashes[scratch->count++] = sat_hash64(term, length, 0);
    return 0;
}

/* The distinct terms of a text, into the scratch's hashes. */
static satchel_status find_terms(sat_cite_scratch *scratch, const char *text, size_t length,
                                 satchel_error *error) {
    scratch->count = 0;
    if (sat_terms_each(scratch->terms, text, length, add_term, scratch))
        return sat_memory_fail(scratch->memory, length, error);
    scratch->count = sat_hashes_distinct(scratch->hashes, scratch->count);
    return SATCHEL_OK;
}

typedef struct split {
    sat_cite_scratch *scratch;
    sat_cited *passage;
} split;

static int add_sentence(void *user, size_t start, size_t end) {
    split *self = user;
    sat_cited *passage = self->passage;
    if (!sat_grow(self->scratch->memory, (void **)&passage->sentences, &passage->capacity,
                  passage->count + 1, sizeof *passage->sentences))
        return SATCHEL_OUT_OF_MEMORY;
    passage->sentences[passage->count++] = (struct sat_cited_sentence){.start = start, .end = end};
    return 0;
}

static satchel_status take_apart(sat_cite_scratch *scratch, sat_cited *passage,
                                 satchel_error *error) {
    split self = {scratch, passage};
    passage->count = 0;
    if (sat_text_sentences(passage->text, passage->length, add_sentence, &self))
        return sat_memory_fail(scratch->memory, passage->length, error);
    for (size_t i = 0; i < passage->count; i++) {
        struct sat_cited_sentence *sentence = &passage->sentences[i];
        satchel_status status = find_terms(scratch, passage->text + sentence->start,
                                           sentence->end - sentence->start, error);
        if (status)
            return status;
        size_t bytes = scratch->count * sizeof *scratch->hashes;
        sentence->terms.hashes = sat_arena_alloc(&scratch->arena, bytes);
        if (!sentence->terms.hashes)
            return sat_memory_fail(scratch->memory, bytes, error);
        if (bytes > 0)
            memcpy(sentence->terms.hashes, scratch->hashes, bytes);
        sentence->terms.count = scratch->count;
    }
    passage->ready = true;
    return SATCHEL_OK;
}

static size_t in_common(const uint64_t *a, size_t a_count, const uint64_t *b, size_t b_count) {
    size_t i = 0, j = 0, both = 0;
    while (i < a_count && j < b_count) {
        uint64_t left = a[i], right = b[j];
        both += left == right;
        i += left <= right;
        j += right <= left;
    }
    return both;
}

satchel_status sat_cite_find(sat_cite_scratch *scratch, sat_cited *passage, const char *text,
                             size_t length, sat_citation *out, satchel_error *error) {
    out->source_start = 0;
    out->source_end = passage->length;
    out->score = 0;
    out->verified = stands_somehow(passage, text, length, &out->source_start, &out->source_end) ||
                    quotations_stand(passage, text, length, out);
    if (out->verified) {
        out->score = 1;
        return SATCHEL_OK;
    }
    out->source_start = 0; /* a first quotation may have stood, and a second not */
    out->source_end = passage->length;
    satchel_status status = passage->ready ? SATCHEL_OK : take_apart(scratch, passage, error);
    if (!status)
        status = find_terms(scratch, text, length, error);
    for (size_t i = 0; i < passage->count && !status; i++) {
        const struct sat_cited_sentence *sentence = &passage->sentences[i];
        size_t both = in_common(scratch->hashes, scratch->count, sentence->terms.hashes,
                                sentence->terms.count);
        if (both == 0)
            continue;
        float score = (float)both / sqrtf((float)scratch->count * (float)sentence->terms.count);
        if (score <= out->score)
            continue;
        out->score = score;
        out->source_start = sentence->start;
        out->source_end = sentence->end;
    }
    return status;
}
