/* What the files of the fault tests share: one run of a scenario, and how its calls are judged. */
#ifndef SATCHEL_TESTS_FAULTS_H
#define SATCHEL_TESTS_FAULTS_H

#include "sdk/include/satchel.h"
#include "tests/faults/report.h"

typedef struct run {
    satchel_context *context;
    satchel_model *model;
    satchel_store *store;
    int tried_removal;
    int added, html_added, removed; /* acknowledged with SATCHEL_OK */
    int succeeded;                  /* every call of the scenario did */
} run;

extern char model_path[600]; /* of a GGUF, or "none" */

/* 1: the call succeeded. A failed call must say why. */
int judge(const char *call, satchel_status status, const satchel_error *error);
int open_context(run *r);
/* A context, an embedder and the store. */
int open_all(run *r);
/* Pulls a stream to its end; 1 if it got there. */
int drain(satchel_stream *stream, const char *what);

/* generators.c */
void scenario_generate(run *r);
void scenario_ask(run *r);
void scenario_prepare(run *r);

#endif
