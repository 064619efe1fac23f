/*
 * The sentences that show a topic: of the chunks nearest to its centroid, those sentences whose own
 * vectors are nearest, without near-duplicates, one of a chunk as far as there are enough chunks.
 * Sentences that hold more of the topic's telling words are embedded first, because embedding is
 * what costs.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "retrieval/alike.h"
#include "retrieval/topics.h"

enum {
    CHUNKS = 16,        /* of a topic that are split */
    CHUNKS_FOR_ONE = 4, /* or so many for each sentence wanted */
    EMBEDDED = 32,      /* sentences of a topic that are embedded */
    EMBEDDED_FOR_ONE = 8,
    FEWEST_BYTES = 24, /* headings, captions and crumbs are shorter */
    MOST_BYTES = 300,
    FEWEST_TERMS = 4,
};
/* Sentences this near to each other say the same. */
#define SAME_COSINE 0.95f

typedef struct sentence {
    satchel_topic_sentence shown;
    size_t chunk; /* number among the topic's */
    size_t order;
    sat_term_set terms;
    float weight;  /* of the telling words in it */
    size_t vector; /* row */
    bool fits;     /* in length and terms */
} sentence;

typedef struct quoting {
    sat_grouping *grouping;
    sat_arena arena; /* of the topic at hand */
    sat_terms *terms;
    const sat_topic *topic;
    sentence *items;
    size_t count, capacity;
    /* The chunk being split. */
    const sat_topic_text *chunk;
    size_t number;
    const satchel_topic_document *document;
    int64_t id;
    /* The sentence whose terms are gathered. */
    uint64_t *hashes;
    size_t hash_count, hash_capacity;
    bool failed; /* out of memory */
} quoting;

/* ------------------------------------------------------------------ candidates */

static int add_hash(void *user, const char *term, size_t length, size_t start, size_t end) {
    quoting *q = user;
    (void)start;
    (void)end;
    if (!sat_grow(q->grouping->memory, (void **)&q->hashes, &q->hash_capacity, q->hash_count + 1,
                  sizeof *q->hashes))
        return SATCHEL_OUT_OF_MEMORY;
    q->hashes[q->hash_count++] = sat_hash64(term, length, 0);
    return 0;
}

static int compare_telling(const void *key, const void *item) {
    uint64_t hash = *(const uint64_t *)key, term = ((const sat_telling *)item)->term;
    return (hash > term) - (hash < term);
}

/* The sum of the telling words' weights, less the longer the sentence is. */
static float telling_weight(const sat_topic *topic, const sat_term_set *terms) {
    float sum = 0;
    for (size_t i = 0; i < terms->count; i++) {
        const sat_telling *found = bsearch(&terms->hashes[i], topic->telling, topic->telling_count,
                                           sizeof *topic->telling, compare_telling);
        sum += found ? found->weight : 0;
    }
    return sum / sqrtf((float)terms->count + 1);
}

static bool weigh_sentence(quoting *q, sentence *item) {
    q->hash_count = 0;
    if (sat_terms_each(q->terms, item->shown.text, item->shown.length, add_hash, q))
        return false;
    size_t distinct = sat_hashes_distinct(q->hashes, q->hash_count);
    uint64_t *hashes = sat_arena_alloc(&q->arena, (distinct + 1) * sizeof *hashes);
    if (!hashes)
        return false;
    if (distinct > 0)
        memcpy(hashes, q->hashes, distinct * sizeof *hashes);
    item->terms = (sat_term_set){hashes, distinct};
    item->weight = telling_weight(q->topic, &item->terms);
    item->fits = item->shown.length >= FEWEST_BYTES && item->shown.length <= MOST_BYTES &&
                 distinct >= FEWEST_TERMS;
    return true;
}

static int add_sentence(void *user, size_t start, size_t end) {
    quoting *q = user;
    const satchel_range *place = &q->chunk->range;
    const char *text = q->chunk->text.data;
    q->failed = !sat_grow(q->grouping->memory, (void **)&q->items, &q->capacity, q->count + 1,
                          sizeof *q->items);
    if (q->failed)
        return 1;
    sentence *item = &q->items[q->count];
    satchel_range range = {.start = place->start + (int64_t)start,
                           .end = place->start + (int64_t)end,
                           .start_utf16 =
                               place->start_utf16 + (int64_t)sat_utf16_length(text, start)};
    range.end_utf16 = range.start_utf16 + (int64_t)sat_utf16_length(text + start, end - start);
    *item = (sentence){.chunk = q->number, .order = q->count};
    item->shown = (satchel_topic_sentence){
        .text = sat_arena_strdup(&q->arena, text + start, end - start),
        .length = end - start,
        .document_id = q->document->id,
        .title = q->document->title,
        .heading = q->chunk->heading,
        .chunk = q->id,
        .range = range,
        .page = q->chunk->page,
        .time_ms = q->chunk->time_ms,
    };
    q->failed = !item->shown.text || !weigh_sentence(q, item);
    q->count++;
    return q->failed;
}

/* The sentences of the chunks at the centre, in one snapshot. */
static satchel_status split_chunks(quoting *q, satchel_error *error) {
    sat_grouping *g = q->grouping;
    size_t wanted = CHUNKS_FOR_ONE * (size_t)g->options.sentences;
    wanted = wanted < CHUNKS ? CHUNKS : wanted;
    wanted = wanted < q->topic->count ? wanted : q->topic->count;
    sat_topic_text chunk = {0};
    sat_buffer_init(&chunk.text, g->memory);
    sat_connection *reader = NULL;
    satchel_status status = sat_reader_begin(g->store, g->options.cancel, &reader, error);
    for (size_t i = 0; i < wanted && !status; i++) {
        const sat_topic_chunk *grouped = &g->chunks[q->topic->first + i];
        status = sat_topic_text_read(g, reader, grouped->chunk, true, &chunk, error);
        if (status || !chunk.found || chunk.text.length == 0)
            continue;
        q->chunk = &chunk;
        q->number = i;
        q->document = &g->documents[grouped->document];
        q->id = grouped->chunk;
        (void)sat_text_sentences(chunk.text.data, chunk.text.length, add_sentence, q);
        if (q->failed)
            status = sat_memory_fail(g->memory, chunk.text.length, error);
    }
    sat_reader_end(reader);
    sat_buffer_free(&chunk.text);
    return status;
}

/* ------------------------------------------------------------------ choice */

static int by_weight(const void *a, const void *b) {
    const sentence *left = a, *right = b;
    if (left->fits != right->fits)
        return left->fits ? -1 : 1;
    if (left->weight != right->weight)
        return left->weight > right->weight ? -1 : 1;
    return (left->order > right->order) - (left->order < right->order);
}

static int by_score(const void *a, const void *b) {
    const sentence *left = a, *right = b;
    if (left->shown.score != right->shown.score)
        return left->shown.score > right->shown.score ? -1 : 1;
    return (left->order > right->order) - (left->order < right->order);
}

/* Keeps the sentences most worth embedding; crumbs only where there is nothing else. */
static void keep_telling(quoting *q) {
    size_t wanted = EMBEDDED_FOR_ONE * (size_t)q->grouping->options.sentences, fitting = 0;
    wanted = wanted < EMBEDDED ? EMBEDDED : wanted;
    qsort(q->items, q->count, sizeof *q->items, by_weight);
    while (fitting < q->count && q->items[fitting].fits)
        fitting++;
    if (fitting > 0)
        q->count = fitting;
    q->count = q->count < wanted ? q->count : wanted;
}

static satchel_status embed_sentences(quoting *q, float *vectors, satchel_error *error) {
    sat_grouping *g = q->grouping;
    const satchel_embedder *embedder = g->store->embedder;
    const sat_vector_kernels *kernels = g->store->context->vector;
    const size_t dimension = (size_t)embedder->dimension;
    satchel_text *texts = sat_arena_alloc(&q->arena, (q->count + 1) * sizeof *texts);
    if (!texts)
        return sat_memory_fail(g->memory, q->count * sizeof *texts, error);
    for (size_t i = 0; i < q->count; i++)
        texts[i] = (satchel_text){q->items[i].shown.text, q->items[i].shown.length};
    satchel_status status = embedder->embed(embedder->user, SATCHEL_ROLE_DOCUMENT, texts, q->count,
                                            vectors, g->options.cancel);
    if (status)
        return sat_fail(error, status, "the embedder failed on the sentences of a topic: %s",
                        sat_status_name(status));
    for (size_t i = 0; i < q->count; i++) {
        float score = kernels->dot(vectors + i * dimension, q->topic->shown.centroid, dimension);
        q->items[i].vector = i;
        q->items[i].shown.score = isfinite(score) ? score : -1; /* the application's vectors */
    }
    qsort(q->items, q->count, sizeof *q->items, by_score);
    return SATCHEL_OK;
}

static bool says_the_same(const quoting *q, const float *vectors, const sentence *a,
                          const sentence *b) {
    const size_t dimension = (size_t)q->grouping->store->embedder->dimension;
    const sat_vector_kernels *kernels = q->grouping->store->context->vector;
    return sat_term_sets_alike(&a->terms, &b->terms) ||
           kernels->dot(vectors + a->vector * dimension, vectors + b->vector * dimension,
                        dimension) >= SAME_COSINE;
}

/* The best to the front; returns how many. */
static size_t choose(quoting *q, const float *vectors) {
    const size_t wanted = (size_t)q->grouping->options.sentences;
    size_t chosen = 0;
    for (int round = 0; round < 2; round++) { /* one of a chunk; then any */
        for (size_t i = chosen; i < q->count && chosen < wanted; i++) {
            bool passed = false;
            for (size_t j = 0; j < chosen && !passed; j++)
                passed = (round == 0 && q->items[j].chunk == q->items[i].chunk) ||
                         says_the_same(q, vectors, &q->items[i], &q->items[j]);
            if (passed)
                continue;
            /* The others move back one place: their order stays. */
            sentence next = q->items[i];
            memmove(&q->items[chosen + 1], &q->items[chosen], (i - chosen) * sizeof next);
            q->items[chosen++] = next;
        }
    }
    qsort(q->items, chosen, sizeof *q->items, by_score);
    return chosen;
}

static satchel_status hand_over(quoting *q, sat_topic *topic, size_t count, satchel_error *error) {
    sat_grouping *g = q->grouping;
    sat_arena *arena = &g->topics->arena;
    topic->sentences = sat_arena_alloc(arena, (count + 1) * sizeof *topic->sentences);
    if (!topic->sentences)
        return sat_memory_fail(g->memory, count * sizeof *topic->sentences, error);
    sat_connection *reader = NULL;
    satchel_status status = sat_reader_begin(g->store, g->options.cancel, &reader, error);
    for (size_t i = 0; i < count && !status; i++) {
        satchel_topic_sentence *shown = &topic->sentences[i];
        *shown = q->items[i].shown;
        shown->text = sat_arena_strdup(arena, shown->text, shown->length);
        if (!shown->text)
            status = sat_memory_fail(g->memory, shown->length, error);
        else if (shown->page > 0 || shown->time_ms >= 0)
            status = sat_place_find(reader, shown->chunk, shown->range.start, &shown->page,
                                    &shown->time_ms, error);
    }
    sat_reader_end(reader);
    if (!status)
        topic->shown.sentence_count = count;
    return status;
}

static satchel_status quote_topic(quoting *q, sat_topic *topic, satchel_error *error) {
    sat_grouping *g = q->grouping;
    q->topic = topic;
    q->count = 0;
    satchel_status status = split_chunks(q, error);
    if (status || q->count == 0)
        return status;
    keep_telling(q);
    size_t floats;
    float *vectors = sat_mul_size(q->count, (size_t)g->store->embedder->dimension, &floats)
                         ? sat_alloc_array(g->memory, floats, sizeof *vectors)
                         : NULL; /* (sentences, dimension) */
    if (!vectors)
        return sat_memory_fail(g->memory, q->count * sizeof *vectors, error);
    status = embed_sentences(q, vectors, error);
    if (!status)
        status = hand_over(q, topic, choose(q, vectors), error);
    sat_free(g->memory, vectors);
    return status;
}

/* ------------------------------------------------------------------ the whole */

satchel_status sat_topics_quote(sat_grouping *g, satchel_error *error) {
    quoting q = {.grouping = g};
    satchel_status status = sat_terms_open(&q.terms, g->memory, error);
    for (size_t i = 0; i < g->topics->count && !status; i++) {
        sat_arena_init(&q.arena, g->memory);
        status = quote_topic(&q, &g->topics->items[i], error);
        sat_arena_free(&q.arena);
        if (!status)
            status =
                sat_topics_progress(g, SATCHEL_PHASE_DESCRIBE, ++g->steps_done, g->steps, error);
    }
    sat_terms_close(&q.terms);
    sat_free(g->memory, q.items);
    sat_free(g->memory, q.hashes);
    return status;
}
