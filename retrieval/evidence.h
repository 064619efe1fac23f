/*
 * What the documents have to say to a question: a search, the sentences that would answer it
 * (extract.h), and whether they suffice. Every way of answering begins here. Private to retrieval.
 */
#ifndef SATCHEL_RETRIEVAL_EVIDENCE_H
#define SATCHEL_RETRIEVAL_EVIDENCE_H

#include "retrieval/extract.h"
#include "retrieval/search.h"

typedef struct sat_evidence {
    sat_store *store;
    sat_memory *memory;
    char *question, *filter;
    satchel_ask_options options; /* its pointers are NULL: the copies are here */
    satchel_cancel *cancel;

    /* Filled by the search. */
    satchel_results *results;
    int64_t search_ms;
    /* Filled by the weighing. */
    sat_extract extract;
    int32_t refused; /* SATCHEL_REASON_*; NONE: the evidence suffices */
    float threshold;
    int64_t weigh_ms;
} sat_evidence;

/* Copies what the options lead to. To be closed, also after a failure. */
satchel_status sat_evidence_open(sat_evidence *out, sat_store *store, const char *question,
                                 const satchel_ask_options *options, satchel_error *error);
void sat_evidence_close(sat_evidence *evidence);
satchel_status sat_evidence_search(sat_evidence *evidence, satchel_error *error);
/* Extracts the sentences and decides whether to refuse. After the search. */
satchel_status sat_evidence_weigh(sat_evidence *evidence, satchel_error *error);
/* The event MODE for a way of answering; `reason`: why, unless the search says otherwise. */
satchel_event_mode sat_evidence_mode(const sat_evidence *evidence, int32_t mode, int32_t reason);
satchel_event_refusal sat_evidence_refusal(const sat_evidence *evidence);
/* A citation of bytes start..end of a hit's text. Page and time are those of the bytes themselves:
 * a chunk may begin on an earlier page. The answer's range, `verified` and `score` are left 0. */
satchel_status sat_evidence_cite(const sat_evidence *evidence, size_t hit, size_t start, size_t end,
                                 satchel_event_citation *out, satchel_error *error);

#endif
