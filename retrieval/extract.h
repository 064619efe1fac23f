/*
 * Sentences that answer: scores the sentences of a few passages against a question and says how far
 * the evidence supports the best one. Knows nothing of the store. Private to retrieval.
 *
 * cover(text): the question's units weighted by idf; a unit counts 1 where the text has one of its terms,
 * 0.7 where only another term of the prefix class stands, else 0; as a share of all. A unit is a word, or, in
 * scripts without spaces, a character with the pairs it is part of (extract_cover.c).
 *
 *   c1     cos(question, sentence)
 *   c2     cos(question, the sentence before it in the document and it, as one text)
 *   cov    cover(sentence); cov2: of both together; covC: of the whole passage
 *   Fr     the passage's fused score as a part of the first passage's
 *   g      the square of the share of the question that the embedder knows
 *
 *   score      = 0.6 g (c1 + c2) + 0.5 (cov + cov2 + Fr)
 *   confidence = max over the sentences of (g (c1 + c2) + cov2 + covC) / (2 g + 2)
 *
 * Only the 16 sentences with the most cov + cov2 + Fr are embedded and ranked: more change nothing that was
 * measured (docs/benchmarks.md).
 */
#ifndef SATCHEL_RETRIEVAL_EXTRACT_H
#define SATCHEL_RETRIEVAL_EXTRACT_H

#include "retrieval/terms.h"

enum {
    SAT_EXTRACT_PASSAGES = 6,
    SAT_EXTRACT_SENTENCES = 64, /* looked at */
    SAT_EXTRACT_EMBEDDED = 16,  /* of them, ranked */
};

typedef struct sat_passage {
    const char *text;
    size_t length;
    const char *lead; /* what stands before it in its document; its last sentence is used */
    size_t lead_length;
    float fused;
} sat_passage;

typedef struct sat_question {
    const char *text;
    size_t length;
    const sat_query_terms *terms;
    const float *idf;                 /* (terms->count) */
    const satchel_embedder *embedder; /* NULL: by terms alone */
    const float *vector;              /* (embedder->dimension) */
    float share;                      /* 0 to 1 */
} sat_question;

typedef struct sat_sentence {
    size_t passage;
    size_t start, end; /* in the passage's text */
    float score;
} sat_sentence;

typedef struct sat_extract {
    sat_sentence *sentences; /* best first, near-duplicates of better ones dropped */
    size_t count;
    float confidence; /* 0 to 1 */
} sat_extract;

/* Errors: OUT_OF_MEMORY, CANCELLED, and those of the embedder. */
satchel_status sat_extract_sentences(sat_extract *out, satchel_context *context,
                                     const sat_question *question, const sat_passage *passages,
                                     size_t count, sat_terms *terms, const satchel_cancel *cancel,
                                     satchel_error *error);
void sat_extract_free(sat_extract *extract, satchel_context *context);

/* What a text may cover of a question. */
typedef struct sat_cover_unit {
    int terms[2]; /* indices into the question's terms; the second -1 if there is one only */
    float weight; /* all weights sum to 1, unless all are 0 */
} sat_cover_unit;

typedef struct sat_cover {
    sat_cover_unit *items;
    size_t count, capacity;
} sat_cover;

satchel_status sat_cover_make(sat_cover *out, sat_memory *memory, sat_terms *terms,
                              const sat_question *question, satchel_error *error);
void sat_cover_free(sat_cover *units, sat_memory *memory);

#endif
