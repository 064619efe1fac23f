/*
 * The words that tell a topic from the rest. A term's weight in a topic is
 *
 *   p · ln(p / r)     p: the part of the topic's chunks that hold it
 *                     r: the part of all other chunks that hold it
 *
 * its share of the divergence of the topic from the rest: what is frequent here and rare elsewhere.
 * Chunks count, not occurrences, so that one long list makes no label; and a word of one document
 * alone counts less, because a topic is what documents have in common. Terms are those of the
 * full-text index; shown is the form of the word that stands most often in the texts.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "retrieval/topics.h"

#define LONE_DOCUMENT 0.3 /* what a word of one document counts among several */

enum {
    SAMPLE = 512, /* chunks of a topic that are read: rates need no more */
    SURFACE = 40, /* bytes of a word that may be shown */
};

typedef struct word {
    const char *term; /* in the arena */
    uint64_t hash;
    double rate; /* part of all chunks with it; each topic counts by its share */
    uint32_t length;
    uint32_t chunk;         /* number of the last one with it */
    uint32_t here;          /* chunks of the topic at hand with it */
    uint32_t document;      /* of the first of them */
    bool several;           /* others are of other documents */
    int32_t lead;           /* how far `surface` is ahead of other forms: a running majority */
    uint8_t surface_length; /* 0: none that may be shown */
    char surface[SURFACE];
} word;

/* A word in a topic. */
typedef struct presence {
    uint32_t word;
    uint32_t here; /* chunks of the topic with it */
    bool several;  /* of several documents */
    double weight;
} presence;

typedef struct counting {
    sat_grouping *grouping;
    sat_arena arena; /* terms */
    sat_terms *terms;
    word *words;
    size_t count, capacity;
    uint32_t *slots; /* hash table of index + 1 */
    size_t slot_count;
    uint32_t *touched; /* words of the topic at hand */
    size_t touched_count, touched_capacity;
    presence *found; /* of all topics, one after the other */
    size_t found_count, found_capacity;
    size_t *found_end; /* (topics) */
    uint32_t *sampled; /* (topics) chunks read */
    uint32_t chunk;    /* number of the chunk at hand, from 1 */
    uint32_t document; /* and its document */
    const char *text;
} counting;

/* ------------------------------------------------------------------ counting */

static bool grow_slots(counting *c) {
    size_t wanted = c->slot_count ? 2 * c->slot_count : 1024;
    uint32_t *slots = sat_calloc(c->grouping->memory, wanted, sizeof *slots);
    if (!slots)
        return false;
    for (size_t i = 0; i < c->count; i++) {
        size_t at = c->words[i].hash & (wanted - 1);
        while (slots[at])
            at = (at + 1) & (wanted - 1);
        slots[at] = (uint32_t)i + 1;
    }
    sat_free(c->grouping->memory, c->slots);
    c->slots = slots;
    c->slot_count = wanted;
    return true;
}

static word *find_word(counting *c, const char *term, size_t length) {
    if (4 * (c->count + 1) > 3 * c->slot_count && !grow_slots(c))
        return NULL;
    uint64_t hash = sat_hash64(term, length, 0);
    size_t at = hash & (c->slot_count - 1);
    for (; c->slots[at]; at = (at + 1) & (c->slot_count - 1)) {
        word *known = &c->words[c->slots[at] - 1];
        if (known->hash == hash && known->length == length &&
            memcmp(known->term, term, length) == 0)
            return known;
    }
    if (!sat_grow(c->grouping->memory, (void **)&c->words, &c->capacity, c->count + 1,
                  sizeof *c->words))
        return NULL;
    char *copy = sat_arena_strdup(&c->arena, term, length);
    if (!copy)
        return NULL;
    word *added = &c->words[c->count++];
    *added = (word){.term = copy, .hash = hash, .length = (uint32_t)length};
    c->slots[at] = (uint32_t)c->count;
    return added;
}

/* The form that has stood there more often than all others together, if there is one: in one walk
 * and without a list of forms. */
static void vote(word *w, const char *surface, size_t length) {
    if (length == 0 || length > SURFACE)
        return;
    if (w->surface_length == length && memcmp(w->surface, surface, length) == 0) {
        w->lead++;
    } else if (w->lead > 0) {
        w->lead--;
    } else {
        memcpy(w->surface, surface, length);
        w->surface_length = (uint8_t)length;
        w->lead = 1;
    }
}

static int count_term(void *user, const char *term, size_t length, size_t start, size_t end) {
    counting *c = user;
    word *w = find_word(c, term, length);
    if (!w)
        return SATCHEL_OUT_OF_MEMORY;
    vote(w, c->text + start, end - start);
    if (w->chunk == c->chunk)
        return 0;
    w->chunk = c->chunk;
    if (w->here++ > 0) {
        w->several = w->several || w->document != c->document;
        return 0;
    }
    w->document = c->document;
    w->several = false;
    if (!sat_grow(c->grouping->memory, (void **)&c->touched, &c->touched_capacity,
                  c->touched_count + 1, sizeof *c->touched))
        return SATCHEL_OUT_OF_MEMORY;
    c->touched[c->touched_count++] = (uint32_t)(w - c->words);
    return 0;
}

/* Chunks spread evenly over the topic, from its centre to its border. */
static satchel_status count_chunks(counting *c, size_t index, satchel_error *error) {
    sat_grouping *g = c->grouping;
    const sat_topic *topic = &g->topics->items[index];
    size_t wanted = topic->count < SAMPLE ? topic->count : SAMPLE;
    sat_topic_text chunk = {0};
    sat_buffer_init(&chunk.text, g->memory);
    sat_connection *reader = NULL;
    satchel_status status = sat_reader_begin(g->store, g->options.cancel, &reader, error);
    for (size_t i = 0; i < wanted && !status; i++) {
        size_t at = topic->first + (size_t)((uint64_t)i * topic->count / wanted);
        status = sat_topic_text_read(g, reader, g->chunks[at].chunk, false, &chunk, error);
        if (status || !chunk.found || chunk.text.length == 0)
            continue;
        c->chunk++;
        c->sampled[index]++;
        c->document = g->chunks[at].document;
        c->text = chunk.text.data;
        if (sat_terms_each(c->terms, chunk.text.data, chunk.text.length, count_term, c))
            status = sat_memory_fail(g->memory, chunk.text.length, error);
    }
    sat_reader_end(reader);
    sat_buffer_free(&chunk.text);
    return status;
}

static satchel_status count_topic(counting *c, size_t index, satchel_error *error) {
    sat_grouping *g = c->grouping;
    satchel_status status = count_chunks(c, index, error);
    if (status)
        return status;
    if (!sat_grow(g->memory, (void **)&c->found, &c->found_capacity,
                  c->found_count + c->touched_count, sizeof *c->found))
        return sat_memory_fail(g->memory, c->touched_count * sizeof *c->found, error);
    for (size_t i = 0; i < c->touched_count; i++) {
        word *w = &c->words[c->touched[i]];
        w->rate += g->topics->items[index].shown.share * w->here / c->sampled[index];
        c->found[c->found_count++] =
            (presence){.word = c->touched[i], .here = w->here, .several = w->several};
        w->here = 0;
    }
    c->touched_count = 0;
    c->found_end[index] = c->found_count;
    return sat_topics_progress(g, SATCHEL_PHASE_DESCRIBE, ++g->steps_done, g->steps, error);
}

/* ------------------------------------------------------------------ weighing */

/* Whether the word may stand in a label: no number, no lone letter, no function word. */
static bool is_showable(const word *w, sat_buffer *folded) {
    size_t at = 0, letters = 0;
    while (at < w->surface_length) {
        int32_t code;
        at += sat_utf8_decode(w->surface + at, w->surface_length - at, &code);
        if (sat_is_space(code) || sat_is_control(code))
            return false;
        letters += sat_is_letter(code);
    }
    if (letters < 2)
        return false;
    sat_buffer_clear(folded);
    if (sat_text_casefold(folded, w->surface, w->surface_length))
        return false;
    return !sat_is_function_word(folded->data, folded->length);
}

static int by_weight(const void *a, const void *b) {
    const presence *left = a, *right = b;
    if (left->weight != right->weight)
        return left->weight > right->weight ? -1 : 1;
    return (left->word > right->word) - (left->word < right->word);
}

static int by_term(const void *a, const void *b) {
    const sat_telling *left = a, *right = b;
    return (left->term > right->term) - (left->term < right->term);
}

/* Weighs the words of a topic and sorts them, best first; returns how many tell anything. */
static size_t weigh(const counting *c, size_t index, presence *found, size_t count) {
    const sat_topic *topic = &c->grouping->topics->items[index];
    const double share = topic->shown.share, sampled = c->sampled[index];
    const double others = (double)c->chunk - sampled;
    /* One chunk's own words say nothing of a topic, unless the topic is hardly more. */
    const uint32_t least = c->sampled[index] < 4 ? 1 : 2;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        const word *w = &c->words[found[i].word];
        double p = found[i].here / sampled;
        double rest = share < 1 ? fmax(0, w->rate - share * p) / (1 - share) : 0;
        double r = (rest * others + 0.5) / (others + 1);
        if (found[i].here < least || p <= r)
            continue;
        const bool lone = topic->shown.document_count > 1 && !found[i].several;
        found[kept] = found[i]; /* never ahead of i */
        found[kept++].weight = p * log(p / r) * (lone ? LONE_DOCUMENT : 1);
    }
    qsort(found, kept, sizeof *found, by_weight);
    return kept;
}

/* True if both say much the same in a label: "Vertrag" and "Verträge", or pairs of characters that
 * overlap. */
static bool is_close(const word *a, const word *b) {
    size_t left = sat_term_prefix(a->term, a->length), right = sat_term_prefix(b->term, b->length);
    if (left > 0 && left == right && memcmp(a->term, b->term, left) == 0)
        return true;
    int32_t code;
    size_t first = sat_utf8_decode(a->surface, a->surface_length, &code);
    if (!sat_is_unspaced(code) || first >= a->surface_length)
        return false;
    size_t second = sat_utf8_decode(b->surface, b->surface_length, &code);
    if (!sat_is_unspaced(code) || second >= b->surface_length)
        return false;
    size_t a_rest = a->surface_length - first, b_rest = b->surface_length - second;
    return (a_rest == second && memcmp(a->surface + first, b->surface, second) == 0) ||
           (b_rest == first && memcmp(b->surface + second, a->surface, first) == 0);
}

/* The words chosen into the topic, one by one and joined. */
static satchel_status write_label(counting *c, sat_topic *topic, const uint32_t *chosen,
                                  size_t count, satchel_error *error) {
    sat_arena *arena = &c->grouping->topics->arena;
    const char **words = sat_arena_alloc(arena, (count + 1) * sizeof *words);
    char *label = sat_arena_alloc(arena, count * (SURFACE + 2) + 1);
    if (!words || !label)
        return sat_memory_fail(c->grouping->memory, count * (SURFACE + 2), error);
    char *at = label;
    for (size_t i = 0; i < count; i++) {
        const word *w = &c->words[chosen[i]];
        words[i] = sat_arena_strdup(arena, w->surface, w->surface_length);
        if (!words[i])
            return sat_memory_fail(c->grouping->memory, w->surface_length, error);
        if (i > 0) {
            *at++ = ',';
            *at++ = ' ';
        }
        memcpy(at, w->surface, w->surface_length);
        at += w->surface_length;
    }
    *at = '\0';
    topic->shown.label = label;
    topic->shown.words = words;
    topic->shown.word_count = count;
    return SATCHEL_OK;
}

static satchel_status label_topic(counting *c, size_t index, sat_buffer *folded,
                                  satchel_error *error) {
    sat_grouping *g = c->grouping;
    sat_topic *topic = &g->topics->items[index];
    size_t begin = index > 0 ? c->found_end[index - 1] : 0;
    presence *found = c->found + begin;
    size_t count = weigh(c, index, found, c->found_end[index] - begin), chosen_count = 0;
    uint32_t chosen[SAT_TOPIC_WORDS_MOST];
    topic->telling = sat_arena_alloc(&g->arena, SAT_TOPIC_TELLING * sizeof *topic->telling);
    if (!topic->telling)
        return sat_memory_fail(g->memory, SAT_TOPIC_TELLING * sizeof *topic->telling, error);
    for (size_t i = 0; i < count && topic->telling_count < SAT_TOPIC_TELLING; i++) {
        const word *w = &c->words[found[i].word];
        if (!is_showable(w, folded)) {
            if (folded->failed)
                return sat_memory_fail(g->memory, SURFACE, error);
            continue;
        }
        topic->telling[topic->telling_count++] =
            (sat_telling){.term = w->hash, .weight = (float)found[i].weight};
        bool close = false;
        for (size_t j = 0; j < chosen_count && !close; j++)
            close = is_close(w, &c->words[chosen[j]]);
        if (!close && chosen_count < (size_t)g->options.words)
            chosen[chosen_count++] = found[i].word;
    }
    qsort(topic->telling, topic->telling_count, sizeof *topic->telling, by_term);
    return write_label(c, topic, chosen, chosen_count, error);
}

/* ------------------------------------------------------------------ the whole */

satchel_status sat_topics_label(sat_grouping *g, satchel_error *error) {
    const size_t topics = g->topics->count;
    counting c = {.grouping = g};
    sat_buffer folded;
    sat_buffer_init(&folded, g->memory);
    sat_arena_init(&c.arena, g->memory);
    c.found_end = sat_arena_alloc(&c.arena, (topics + 1) * sizeof *c.found_end);
    c.sampled = sat_arena_alloc(&c.arena, (topics + 1) * sizeof *c.sampled);
    satchel_status status = SATCHEL_OK;
    if (!c.found_end || !c.sampled)
        status = sat_memory_fail(g->memory, topics * sizeof *c.found_end, error);
    else
        memset(c.sampled, 0, topics * sizeof *c.sampled);
    if (!status)
        status = sat_terms_open(&c.terms, g->memory, error);
    for (size_t i = 0; i < topics && !status; i++)
        status = count_topic(&c, i, error);
    for (size_t i = 0; i < topics && !status; i++)
        status = label_topic(&c, i, &folded, error);
    sat_terms_close(&c.terms);
    sat_free(g->memory, c.words);
    sat_free(g->memory, c.slots);
    sat_free(g->memory, c.touched);
    sat_free(g->memory, c.found);
    sat_arena_free(&c.arena);
    sat_buffer_free(&folded);
    return status;
}
