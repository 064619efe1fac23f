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
/* Each makes *event the one of its name. MODE: for a way of answering; `reason`: why, unless the
 * search says otherwise. */
void sat_evidence_tell_mode(const sat_evidence *evidence, int32_t mode, int32_t reason,
                            satchel_event_mode *out, satchel_event *event);
void sat_evidence_tell_hits(const sat_evidence *evidence, satchel_event *event);
void sat_evidence_tell_refusal(const sat_evidence *evidence, satchel_event_refusal *out,
                               satchel_event *event);
/* A citation of bytes start..end of a hit's text. Page and time are those of the bytes themselves:
 * a chunk may begin on an earlier page. The answer's range, `verified` and `score` are left 0. */
satchel_status sat_evidence_cite(const sat_evidence *evidence, size_t hit, size_t start, size_t end,
                                 satchel_event_citation *out, satchel_error *error);

/* The library's own answers, extractive or generated, begin and end alike. */
typedef struct sat_account {
    satchel_event_mode mode;
    satchel_event_refusal refusal;
    satchel_event_done done;
} sat_account;

/* Searches; the event is MODE. `otherwise`: the reason where `mode` was not asked for. */
satchel_status sat_account_search(sat_account *account, sat_evidence *evidence, int32_t mode,
                                  int32_t otherwise, satchel_event *event, satchel_error *error);
/* Weighs; the event is REFUSAL if the evidence does not suffice. */
satchel_status sat_account_weigh(sat_account *account, sat_evidence *evidence, satchel_event *event,
                                 satchel_error *error);
void sat_account_done(sat_account *account, satchel_event *event);

#endif
