/*
 * Index terms: the one tokenizer that documents, queries, match ranges and sentence scoring share, its
 * registration with FTS5, and our BM25. Private to retrieval.
 */
#ifndef SATCHEL_RETRIEVAL_TERMS_H
#define SATCHEL_RETRIEVAL_TERMS_H

#include <sqlite3.h>

#include "base/base.h"

/* Raised whenever the terms of any text change; stored in each store. */
#define SAT_TERMS_VERSION 1

/* Calls term(user, term, length, start, end) for each index term of valid UTF-8 text, in order:
 * NFKC-casefolded, stemmed, bigrams where scripts have no spaces; start and end are the bytes of the text it
 * comes from. A non-zero return stops and is returned. Terms longer than 64 bytes are cut at a character
 * border. Out of memory returns SATCHEL_OUT_OF_MEMORY. */
typedef int (*sat_term_function)(void *user, const char *term, size_t length, size_t start,
                                 size_t end);

typedef struct sat_terms sat_terms; /* a tokenizer with its scratch; one thread at a time */
satchel_status sat_terms_open(sat_terms **out, sat_memory *memory, satchel_error *error);
void sat_terms_close(sat_terms **terms);
int sat_terms_each(sat_terms *terms, const char *text, size_t length, sat_term_function term,
                   void *user);

/* Registers on a connection the FTS5 tokenizer "satchel" and the auxiliary function
 * "satchel_bm25(table)", which gives the BM25 score (higher is better) of the current row: idf
 * ln(1 + (N - df + 0.5) / (df + 0.5)), body, heading and title columns weighted. Query-time tokenizing
 * (FTS5_TOKENIZE_QUERY) takes its text verbatim as one term: match strings are built by
 * sat_terms_match() from terms already made. */
satchel_status sat_fts_register(sqlite3 *database, sat_memory *memory, satchel_error *error);

/* The distinct terms of a query. */
typedef struct sat_query_terms {
    sat_arena arena;
    struct sat_query_term {
        const char *text;
        size_t length;
        uint32_t count; /* times in the query */
    } *items;
    size_t count, capacity;
} sat_query_terms;

satchel_status sat_query_terms_make(sat_query_terms *out, sat_terms *terms, const char *query,
                                    size_t length, satchel_error *error);
void sat_query_terms_free(sat_query_terms *query);
/* Index of a term in the query, -1 if absent. */
int sat_query_terms_find(const sat_query_terms *query, const char *term, size_t length);
/* Appends an FTS5 match expression that finds rows with any of the terms, each quoted. */
bool sat_query_terms_match(const sat_query_terms *query, sat_buffer *out);

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
void sat_snippet_choose(const char *text, size_t length, const sat_matches *matches,
                        size_t target, size_t *start, size_t *end);

#endif
