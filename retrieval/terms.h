/*
 * Index terms: the one tokenizer that documents, queries, match ranges and sentence scoring share,
 * its registration with FTS5, and our BM25. Private to retrieval.
 */
#ifndef SATCHEL_RETRIEVAL_TERMS_H
#define SATCHEL_RETRIEVAL_TERMS_H

#include <sqlite3.h>

#include "base/base.h"

/* Raised whenever the terms of any text change; stored in each store. A build without stemming
 * makes other terms. */
#ifdef SATCHEL_HAVE_STEMMERS
#define SAT_TERMS_VERSION 1
#else
#define SAT_TERMS_VERSION 1001
#endif

/* Calls term(user, term, length, start, end) for each index term of valid UTF-8 text, in order:
 * NFKC-casefolded, stemmed, pairs of characters where scripts have no spaces; start and end are
 * the bytes of the text it comes from. A non-zero return stops and is returned. Terms longer
 * than 64 bytes are cut at a character border. Out of memory returns SATCHEL_OUT_OF_MEMORY. */
typedef int (*sat_term_function)(void *user, const char *term, size_t length, size_t start,
                                 size_t end);

typedef struct sat_terms sat_terms; /* a tokenizer with its scratch; one thread at a time */
satchel_status sat_terms_open(sat_terms **out, sat_memory *memory, satchel_error *error);
void sat_terms_close(sat_terms **terms);
sat_memory *sat_terms_memory(const sat_terms *terms);
int sat_terms_each(sat_terms *terms, const char *text, size_t length, sat_term_function term,
                   void *user);
/* As sat_terms_each, for an index: the last character of each run of pairs is given too, through
 * `beside`, at the place of the last pair. So a query of one character, which is sought as the
 * beginning of a pair, is found at the end of a run. */
int sat_terms_index(sat_terms *terms, const char *text, size_t length, sat_term_function term,
                    sat_term_function beside, void *user);

/* True for characters whose runs give pairs: those of scripts without spaces, and Hangul
 * syllables, which have spaces but glue particles to their words. */
bool sat_term_in_pairs(int32_t code);

/* A term's prefix class: the bytes of its first five characters, if it has more and its script
 * is spaced; else 0. Terms of one class count as near matches of each other: a stemmer for every
 * language that has none. */
size_t sat_term_prefix(const char *term, size_t length);

/* Registers on a connection the FTS5 tokenizer "satchel" and the auxiliary function
 * "satchel_counts(table)": a blob that says how often each phrase of the MATCH expression stands
 * in the current row, for sat_bm25_add(). Query-time tokenizing (FTS5_TOKENIZE_QUERY) takes its
 * text verbatim as one term: match strings are built by sat_query_terms_match() from terms
 * already made. The table has the columns title, heading, body, in this order, and detail=full. */
satchel_status sat_fts_register(sqlite3 *database, sat_memory *memory, satchel_error *error);

/* What a term weighs in a query if its word only asks ("who", "wann", 什么): it stands for what
 * the text that answers does not repeat. */
#define SAT_ASKING_WEIGHT 0.2f
/* True if the word, or the characters of a script without spaces, at text[start..end) only ask.
 * scratch->failed afterwards: out of memory. asking.c */
bool sat_asks(const char *text, size_t length, size_t start, size_t end, sat_buffer *scratch);

/* The distinct terms of a query, and their distinct prefix classes. A very long query is its
 * first 256 terms. */
typedef struct sat_query_terms {
    sat_arena arena;
    struct sat_query_term {
        const char *text;
        size_t length;
        uint32_t count; /* times in the query */
        float weight;   /* 1, or SAT_ASKING_WEIGHT where it only asks */
        int prefix;     /* index of its class in prefixes, -1: none */
        bool lone;      /* one character of a script without spaces: matches all pairs with it */
    } * items;
    size_t count;
    struct sat_query_prefix {
        const char *text;
        size_t length;
    } * prefixes;
    size_t prefix_count;
    bool has_lone;
    uint16_t *term_slots, *prefix_slots; /* hash tables of index + 1 */
} sat_query_terms;

satchel_status sat_query_terms_make(sat_query_terms *out, sat_terms *terms, const char *query,
                                    size_t length, satchel_error *error);
void sat_query_terms_free(sat_query_terms *query);
/* Index of a term in the query, -1 if absent. */
int sat_query_terms_find(const sat_query_terms *query, const char *term, size_t length);
/* Indices of the lone characters of the query that a pair of characters of a text begins and
 * ends with, -1 each if absent. */
void sat_query_terms_find_lone(const sat_query_terms *query, const char *term, size_t length,
                               int found[2]);
/* Index of the prefix class that a term is of in the query's prefixes, -1 if none. */
int sat_query_terms_find_prefix(const sat_query_terms *query, const char *term, size_t length);
/* Appends an FTS5 match expression that finds rows with any of the terms or prefixes: one phrase
 * for each term, then one for each prefix. Appends nothing for a query without terms, which
 * matches nothing. */
bool sat_query_terms_match(const sat_query_terms *query, sat_buffer *out);

/*
 * Keyword scores: BM25 (k1 1.2, b 0.75) over all rows of the index at once, because a row's score
 * looks at the rows beside it. Per query term:
 *
 *   idf  = ln(1 + (N - df + 0.5) / (df + 0.5)), df being the rows that hold it, of N
 *   tf'  = tf + 0.5 (tf before + tf after), the neighbours being of the same document: a passage
 *          cut in two is found by terms spread over both halves; the row's length likewise
 *   part = idf · tf' · (k1 + 1) / (tf' + k1 (1 - b + b · length' / mean length'))
 *   score = Σ over distinct terms of weight · max(part of the term, 0.7 · part of its prefix class)
 *
 * A term in the title or in the heading counts less than one in the body (counts.h), in tf and in length.
 */
typedef struct sat_bm25 sat_bm25;

/* Every row of the index, matched or not, in order of document and ordinal. */
typedef struct sat_bm25_rows {
    size_t count;
    const float *lengths;  /* (count) by sat_fts_length() */
    const uint8_t *joined; /* (count) 1: of the same document as the row before */
} sat_bm25_rows;

/* Terms in a row, weighted by column, from the blob `sz` of the FTS5 shadow table
 * <table>_docsize; a negative number if the blob is damaged. */
float sat_fts_length(const void *docsize, size_t size);

/* The query must outlive it. */
satchel_status sat_bm25_open(sat_bm25 **out, sat_memory *memory, const sat_query_terms *query,
                             satchel_error *error);
void sat_bm25_close(sat_bm25 **bm25);
/* One row that matches sat_query_terms_match(): its index in the rows, and its satchel_counts().
 * Each row at most once, in any order. DAMAGED if the blob does not fit the query. */
satchel_status sat_bm25_add(sat_bm25 *bm25, size_t row, const void *counts, size_t size,
                            satchel_error *error);
/* Scores of all rows, 0 where nothing matches: scores (rows->count). Also the idf of each query
 * term: idf (query->count), may be NULL. Call once, after all rows are added. */
satchel_status sat_bm25_finish(sat_bm25 *bm25, const sat_bm25_rows *rows, float *scores, float *idf,
                               satchel_error *error);

/* Ranges of text (bytes, ascending, merged where they touch) that the query's terms match. Grows
 * *ranges; start and end are relative to `text`. */
typedef struct sat_match {
    size_t start, end;
    int term; /* index into the query's terms */
} sat_match;
typedef struct sat_matches {
    sat_match *items;
    size_t count, capacity;
} sat_matches;
satchel_status sat_matches_find(sat_matches *out, sat_memory *memory, sat_terms *terms,
                                const sat_query_terms *query, const char *text, size_t length,
                                satchel_error *error);
/* The best range of at most about `target` bytes to show, on sentence or word bounds, where most
 * distinct terms match. */
void sat_snippet_choose(const char *text, size_t length, const sat_matches *matches, size_t target,
                        size_t *start, size_t *end);

#endif
