/* See extract.h. */
#include "retrieval/extract.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "retrieval/alike.h"

#define NEAR_TERM 0.7f /* a term of the same prefix class only */

/* A sentence on its way: the candidates, and before each passage's first the one that leads to it. */
typedef struct candidate {
    size_t passage, start, end;
    const char *text;            /* of its own length end - start */
    int previous;                /* index of the sentence before it in its document, -1: none */
    bool lead;                   /* only there to be a previous one */
    bool chosen;                 /* to be embedded and ranked */
    size_t text_self, text_pair; /* indices into the texts to embed */
    float cosine, pair_cosine;   /* c1, c2 */
    float cover, pair_cover;     /* cov, cov2 */
    float score;
    sat_term_set terms; /* in the arena */
} candidate;

typedef struct work {
    satchel_context *context;
    sat_memory *memory;
    const sat_question *question;
    const sat_passage *passages;
    sat_terms *terms;
    sat_arena arena;
    candidate *items;
    size_t count, capacity, wanted; /* wanted: without leads */
    size_t passage;                 /* being split */
    sat_cover units;
    float *found;         /* (candidates, question terms) 0, NEAR_TERM or 1 */
    float *passage_cover; /* (passages) covC */
} work;

/* ------------------------------------------------------------------ sentences */

static int add_sentence(void *user, size_t start, size_t end) {
    work *self = user;
    if (self->wanted == SAT_EXTRACT_SENTENCES)
        return 1;
    if (!sat_grow(self->memory, (void **)&self->items, &self->capacity, self->count + 1,
                  sizeof *self->items))
        return SATCHEL_OUT_OF_MEMORY;
    candidate *item = &self->items[self->count];
    *item = (candidate){.passage = self->passage,
                        .start = start,
                        .end = end,
                        .text = self->passages[self->passage].text + start,
                        .previous = -1};
    if (self->count > 0 && item[-1].passage == self->passage)
        item->previous = (int)self->count - 1;
    self->count++;
    self->wanted++;
    return 0;
}

typedef struct last_sentence {
    size_t start, end;
} last_sentence;

static int keep_last(void *user, size_t start, size_t end) {
    *(last_sentence *)user = (last_sentence){start, end};
    return 0;
}

static satchel_status split_passage(work *self, size_t index, satchel_error *error) {
    const sat_passage *passage = &self->passages[index];
    self->passage = index;
    last_sentence last = {0, 0};
    if (passage->lead_length > 0)
        (void)sat_text_sentences(passage->lead, passage->lead_length, keep_last, &last);
    if (last.end > last.start) {
        if (!sat_grow(self->memory, (void **)&self->items, &self->capacity, self->count + 1,
                      sizeof *self->items))
            return sat_memory_fail(self->memory, (self->count + 1) * sizeof *self->items, error);
        self->items[self->count++] = (candidate){.passage = index,
                                                 .start = last.start,
                                                 .end = last.end,
                                                 .text = passage->lead + last.start,
                                                 .previous = -1,
                                                 .lead = true};
    }
    int code = sat_text_sentences(passage->text, passage->length, add_sentence, self);
    if (code == SATCHEL_OUT_OF_MEMORY)
        return sat_memory_fail(self->memory, (self->count + 1) * sizeof *self->items, error);
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ terms */

typedef struct term_scan {
    const sat_query_terms *query;
    float *found; /* (question terms) */
    uint64_t *hashes;
    size_t count, capacity;
    sat_memory *memory;
} term_scan;

static int scan_term(void *user, const char *term, size_t length, size_t start, size_t end) {
    term_scan *scan = user;
    int index = sat_query_terms_find(scan->query, term, length);
    if (index >= 0)
        scan->found[index] = 1;
    int lone[2];
    sat_query_terms_find_lone(scan->query, term, length, lone);
    for (int i = 0; i < 2; i++)
        if (lone[i] >= 0)
            scan->found[lone[i]] = 1;
    int prefix = sat_query_terms_find_prefix(scan->query, term, length);
    if (prefix >= 0)
        for (size_t i = 0; i < scan->query->count; i++)
            if (scan->query->items[i].prefix == prefix && scan->found[i] < NEAR_TERM)
                scan->found[i] = NEAR_TERM;
    if (!sat_grow(scan->memory, (void **)&scan->hashes, &scan->capacity, scan->count + 1,
                  sizeof *scan->hashes))
        return SATCHEL_OUT_OF_MEMORY;
    scan->hashes[scan->count++] = sat_hash64(term, length, 0);
    return 0;
}

/* The distinct terms of a sentence, and which of the question's it has. */
static satchel_status find_terms(work *self, size_t index, term_scan *scan, satchel_error *error) {
    candidate *item = &self->items[index];
    scan->found = self->found + index * self->question->terms->count;
    scan->count = 0;
    if (sat_terms_each(self->terms, item->text, item->end - item->start, scan_term, scan))
        return sat_memory_fail(self->memory, item->end - item->start, error);
    if (scan->count == 0)
        return SATCHEL_OK;
    size_t distinct = sat_hashes_distinct(scan->hashes, scan->count);
    uint64_t *hashes = sat_arena_alloc(&self->arena, distinct * sizeof *hashes);
    if (!hashes)
        return sat_memory_fail(self->memory, distinct * sizeof *hashes, error);
    memcpy(hashes, scan->hashes, distinct * sizeof *hashes);
    item->terms = (sat_term_set){hashes, distinct};
    return SATCHEL_OK;
}

/* How far found (question terms) has the unit. */
static float unit_found(const sat_cover_unit *unit, const float *found) {
    float first = found[unit->terms[0]];
    return unit->terms[1] < 0 ? first : fmaxf(first, found[unit->terms[1]]);
}

static satchel_status cover_terms(work *self, satchel_error *error) {
    const sat_query_terms *query = self->question->terms;
    const sat_cover *units = &self->units;
    size_t n = query->count, cells;
    satchel_status status =
        sat_cover_make(&self->units, self->memory, self->terms, self->question, error);
    if (status)
        return status;
    if (!sat_mul_size(self->count, n, &cells))
        return sat_memory_fail(self->memory, SIZE_MAX, error);
    self->found = sat_calloc(self->memory, cells + 1, sizeof *self->found);
    float *best = sat_arena_alloc(&self->arena, (units->count + 1) * sizeof *best);
    if (!self->found || !best)
        return sat_memory_fail(self->memory, cells * sizeof *self->found, error);
    term_scan scan = {.query = query, .memory = self->memory};
    for (size_t i = 0; i < self->count && !status; i++)
        status = find_terms(self, i, &scan, error);
    sat_free(self->memory, scan.hashes);
    if (status)
        return status;

    size_t i = 0;
    while (i < self->count) { /* passage by passage: it has a unit where it has it best */
        size_t passage = self->items[i].passage;
        memset(best, 0, units->count * sizeof *best);
        for (; i < self->count && self->items[i].passage == passage; i++) {
            candidate *item = &self->items[i];
            const float *own = self->found + i * n;
            const float *before =
                item->previous >= 0 ? self->found + (size_t)item->previous * n : own;
            for (size_t u = 0; u < units->count && !item->lead; u++) {
                float here = unit_found(&units->items[u], own);
                float both = fmaxf(here, unit_found(&units->items[u], before));
                item->cover += units->items[u].weight * here;
                item->pair_cover += units->items[u].weight * both;
                best[u] = fmaxf(best[u], here);
            }
        }
        for (size_t u = 0; u < units->count; u++)
            self->passage_cover[passage] += units->items[u].weight * best[u];
    }
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ choice */

/* Fused scores are standardised, so behind a filter, or where all passages are alike, even the first may
 * have one of 0 or less: no part of that says anything. */
static float part_of_first(const work *self, const candidate *item) {
    float first = self->passages[0].fused;
    return first > 0 ? fmaxf(self->passages[item->passage].fused / first, -1) : 0;
}

static int better(const void *a, const void *b) {
    const candidate *left = a, *right = b;
    if (left->score != right->score)
        return left->score < right->score ? 1 : -1;
    if (left->passage != right->passage)
        return left->passage > right->passage ? 1 : -1;
    return (left->start > right->start) - (left->start < right->start);
}

/* Marks the sentences worth embedding, by what costs nothing. */
static satchel_status choose(work *self, satchel_error *error) {
    candidate *order = sat_arena_alloc(&self->arena, (self->wanted + 1) * sizeof *order);
    if (!order)
        return sat_memory_fail(self->memory, self->wanted * sizeof *order, error);
    size_t count = 0;
    for (size_t i = 0; i < self->count; i++) {
        if (self->items[i].lead)
            continue;
        order[count] = self->items[i];
        order[count].text_self = i; /* where it came from */
        order[count].score =
            order[count].cover + order[count].pair_cover + part_of_first(self, &order[count]);
        count++;
    }
    qsort(order, count, sizeof *order, better);
    for (size_t i = 0; i < count && i < SAT_EXTRACT_EMBEDDED; i++)
        self->items[order[i].text_self].chosen = true;
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ vectors */

/* Cosines of the question to each sentence and to each with the one before it. */
static satchel_status embed_sentences(work *self, const satchel_cancel *cancel,
                                      satchel_error *error) {
    const satchel_embedder *embedder = self->question->embedder;
    size_t dimension = (size_t)embedder->dimension, n = 0;
    satchel_text *texts =
        sat_arena_alloc(&self->arena, 2 * (size_t)SAT_EXTRACT_EMBEDDED * sizeof *texts);
    if (!texts)
        return sat_memory_fail(self->memory, 2 * SAT_EXTRACT_EMBEDDED * sizeof *texts, error);
    for (size_t i = 0; i < self->count; i++) {
        candidate *item = &self->items[i];
        if (!item->chosen)
            continue;
        item->text_self = item->text_pair = n;
        texts[n++] = (satchel_text){item->text, item->end - item->start};
        if (item->previous < 0)
            continue;
        const candidate *before = &self->items[item->previous];
        item->text_pair = n;
        if (!before->lead) { /* as they stand in the document */
            texts[n++] = (satchel_text){before->text, item->end - before->start};
            continue;
        }
        size_t first = before->end - before->start, second = item->end - item->start;
        char *pair = sat_arena_alloc(&self->arena, first + 1 + second);
        if (!pair)
            return sat_memory_fail(self->memory, first + 1 + second, error);
        memcpy(pair, before->text, first);
        pair[first] = '\n';
        memcpy(pair + first + 1, item->text, second);
        texts[n++] = (satchel_text){pair, first + 1 + second};
    }
    size_t floats;
    float *vectors = sat_mul_size(n, dimension, &floats)
                         ? sat_alloc_array(self->memory, floats, sizeof *vectors)
                         : NULL; /* (n, dimension) */
    if (!vectors)
        return sat_memory_fail(self->memory, n * dimension * sizeof *vectors, error);
    satchel_status status =
        embedder->embed(embedder->user, SATCHEL_ROLE_DOCUMENT, texts, n, vectors, cancel);
    if (status)
        sat_fail(error, status, "the embedder failed on the sentences of an answer: %s",
                 sat_status_name(status));
    for (size_t i = 0; i < self->count && !status; i++) {
        candidate *item = &self->items[i];
        if (!item->chosen)
            continue;
        const sat_vector_kernels *kernels = self->context->vector;
        item->cosine =
            kernels->dot(self->question->vector, vectors + item->text_self * dimension, dimension);
        item->pair_cosine =
            kernels->dot(self->question->vector, vectors + item->text_pair * dimension, dimension);
    }
    sat_free(self->memory, vectors);
    return status;
}

/* ------------------------------------------------------------------ ranking */

static satchel_status rank(work *self, sat_extract *out, satchel_error *error) {
    float share = self->question->embedder ? self->question->share : 0, g = share * share;
    candidate *items = self->items;
    size_t count = 0;
    for (size_t i = 0; i < self->count; i++) {
        if (!items[i].chosen)
            continue;
        candidate *item = &items[i];
        float cosines = g * (item->cosine + item->pair_cosine);
        item->score =
            0.6f * cosines + 0.5f * (item->cover + item->pair_cover + part_of_first(self, item));
        float evidence =
            (cosines + item->pair_cover + self->passage_cover[item->passage]) / (2 * g + 2);
        out->confidence = fminf(1, fmaxf(out->confidence, evidence));
        items[count++] = *item; /* never ahead of i */
    }
    qsort(items, count, sizeof *items, better);
    out->sentences = sat_alloc_array(self->memory, count + 1, sizeof *out->sentences);
    if (!out->sentences)
        return sat_memory_fail(self->memory, (count + 1) * sizeof *out->sentences, error);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        bool repeated = false;
        for (size_t j = 0; j < kept && !repeated; j++)
            repeated = sat_term_sets_alike(&items[i].terms, &items[j].terms);
        if (repeated)
            continue;
        items[kept] = items[i];
        out->sentences[kept++] =
            (sat_sentence){items[i].passage, items[i].start, items[i].end, items[i].score};
    }
    out->count = kept;
    return SATCHEL_OK;
}

satchel_status sat_extract_sentences(sat_extract *out, satchel_context *context,
                                     const sat_question *question, const sat_passage *passages,
                                     size_t count, sat_terms *terms, const satchel_cancel *cancel,
                                     satchel_error *error) {
    *out = (sat_extract){0};
    if (count == 0)
        return SATCHEL_OK;
    work self = {.context = context,
                 .memory = &context->memory,
                 .question = question,
                 .passages = passages,
                 .terms = terms};
    sat_arena_init(&self.arena, self.memory);
    satchel_status status = SATCHEL_OK;
    self.passage_cover = sat_arena_alloc(&self.arena, count * sizeof *self.passage_cover);
    if (!self.passage_cover)
        status = sat_memory_fail(self.memory, count * sizeof *self.passage_cover, error);
    for (size_t i = 0; i < count && !status; i++) {
        self.passage_cover[i] = 0;
        status = split_passage(&self, i, error);
    }
    if (!status && self.wanted > 0) {
        status = cover_terms(&self, error);
        if (!status)
            status = choose(&self, error);
        if (!status && question->embedder && question->share > 0)
            status = embed_sentences(&self, cancel, error);
        if (!status)
            status = sat_cancel_check(cancel, error);
        if (!status)
            status = rank(&self, out, error);
    }
    sat_free(self.memory, self.items);
    sat_free(self.memory, self.found);
    sat_cover_free(&self.units, self.memory);
    sat_arena_free(&self.arena);
    if (status)
        sat_extract_free(out, context);
    return status;
}

void sat_extract_free(sat_extract *extract, satchel_context *context) {
    sat_free(&context->memory, extract->sentences);
    *extract = (sat_extract){0};
}
