/*
 * Topics: a store's chunks grouped by meaning, each group with a label and sentences in the
 * documents' own words. Three steps, a file each: topics.c loads the vectors and clusters them,
 * topic_words.c finds the words that tell a topic from the rest, topic_sentences.c the sentences at
 * its centre. Private to retrieval.
 */
#ifndef SATCHEL_RETRIEVAL_TOPICS_H
#define SATCHEL_RETRIEVAL_TOPICS_H

#include "retrieval/store.h"

enum {
    SAT_TOPICS_MOST = 1000,
    SAT_TOPIC_WORDS = 4, /* in a label, by default */
    SAT_TOPIC_WORDS_MOST = 16,
    SAT_TOPIC_SENTENCES = 3, /* by default */
    SAT_TOPIC_SENTENCES_MOST = 32,
    SAT_TOPIC_TELLING = 64, /* words that a topic's sentences are weighed by */
};

/* A term that tells a topic from the rest. */
typedef struct sat_telling {
    uint64_t term; /* its hash */
    float weight;
} sat_telling;

typedef struct sat_topic {
    satchel_topic shown;
    satchel_topic_document *documents; /* (shown.document_count) */
    satchel_topic_sentence *sentences; /* (shown.sentence_count) */
    size_t first, count;               /* its chunks in the grouping, nearest first */
    sat_telling *telling;              /* by term; in the grouping's arena */
    size_t telling_count;
} sat_topic;

/* What is handed out; all memory in the arena. */
struct satchel_topics {
    satchel_context *context; /* referenced */
    sat_arena arena;
    satchel_topics_info info;
    sat_topic *items;
    size_t count;
};

typedef struct sat_topic_chunk {
    int64_t chunk;
    uint32_t document; /* index into the grouping's documents */
    int32_t topic;
    float cosine; /* with the topic's centroid */
} sat_topic_chunk;

/* The work. */
typedef struct sat_grouping {
    sat_store *store;
    sat_memory *memory;
    sat_arena arena; /* what ends with the work */
    satchel_topics_options options;
    satchel_topics *topics;
    sat_topic_chunk *chunks; /* (count) by topic, then nearest first */
    size_t count;
    satchel_topic_document *documents; /* (document_count) strings in the topics' arena */
    size_t document_count, document_capacity;
    int64_t started, steps_done, steps;
} sat_grouping;

/* A chunk as the store has it now. */
typedef struct sat_topic_text {
    satchel_range range;
    const char *heading; /* in the topics' arena; NULL unless asked for */
    int32_t page;
    int64_t time_ms;
    sat_buffer text;
    bool found; /* it may have gone since it was grouped */
} sat_topic_text;

satchel_status sat_topic_text_read(sat_grouping *grouping, sat_connection *reader, int64_t chunk,
                                   bool with_heading, sat_topic_text *out, satchel_error *error);

/* Tells the application, and asks whether to go on. No transaction may be open. */
satchel_status sat_topics_progress(sat_grouping *grouping, int32_t phase, int64_t done,
                                   int64_t total, satchel_error *error);

/* Fills words, label and telling of all topics. */
satchel_status sat_topics_label(sat_grouping *grouping, satchel_error *error);
/* True for words that stand in any text and tell nothing: "the", "und", "pour"; casefolded. */
bool sat_is_function_word(const char *word, size_t length);
/* Fills the sentences of all topics. */
satchel_status sat_topics_quote(sat_grouping *grouping, satchel_error *error);

#endif
