/* What the tests of the store share: a context, a store in a folder of its own, an embedder that
 * counts, files to sync. */
#ifndef SATCHEL_TESTS_UNIT_RETRIEVAL_FIXTURE_H
#define SATCHEL_TESTS_UNIT_RETRIEVAL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "retrieval/search.h"
#include "retrieval/store.h"
#include "tests/support/folder.h"

typedef struct fixture {
    char folder[TEST_FOLDER_SIZE];
    char store_path[128];
    satchel_context *context;
    satchel_embedder inner, embedder; /* the fake one, and the one that counts and fails */
    const char *fingerprint;
    size_t embedded;        /* texts */
    satchel_status failing; /* what embed returns */
    sat_store *store;
    bool keywords_only, read_only, must_exist;
    int32_t chunk_tokens, cpu_level;
    uint64_t memory_limit;
    sat_index_setup index;
    satchel_error error;
} fixture;

/* cmocka set-up and tear-down: a fresh folder and an open store with the embedder. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
/* Opens the store with what the fixture says now; closes it first if it is open. */
satchel_status fixture_open(fixture *f);
void fixture_close(fixture *f);

/* Each fails the test with the message unless the status is as expected. */
void fixture_fine(fixture *f, satchel_status status);
void fixture_fails(fixture *f, satchel_status status, satchel_status expected);

void fixture_add(fixture *f, const char *id, const char *text);
void fixture_add_with(fixture *f, const char *id, const char *text, const char *title,
                      const char *metadata);
satchel_results *fixture_search(fixture *f, const char *query, int32_t mode, const char *filter);
/* "a b c": the ids of the hits or documents, in order. */
void fixture_expect_hits(fixture *f, const char *query, int32_t mode, const char *filter,
                         const char *ids);
void fixture_expect_documents(fixture *f, const char *filter, const char *ids);
/* No problem in the whole store. */
void fixture_verify(fixture *f);
satchel_store_stats fixture_stats(fixture *f);
void fixture_expect_text(fixture *f, const char *id, const char *text); /* NULL: NOT_FOUND */

/* Paths are below the fixture's folder. */
void fixture_write(fixture *f, const char *path, const char *text);
void fixture_write_bytes(fixture *f, const char *path, const void *data, size_t size);
void fixture_remove(fixture *f, const char *path);
void fixture_make_folder(fixture *f, const char *path);
void fixture_path(const fixture *f, const char *path, char out[256]);
/* The modification time of a file: so many seconds ago. */
void fixture_age(fixture *f, const char *path, int seconds);

/* A sync to its end. `log`, 4,096 bytes, gets "+id" added, "*id" changed, "-id" removed, "!id"
 * failed, "?id" skipped, "=id" renamed, space-separated, in order of the events. */
satchel_status fixture_sync(fixture *f, const char *path, const satchel_sync_options *options,
                            satchel_event_done *done, char *log);
/* Syncs `path` as root "docs" and compares the log. */
satchel_event_done fixture_expect_sync(fixture *f, const char *path, const char *log);

/* Runs one statement on the store's file from outside. */
void fixture_sql(fixture *f, const char *sql);
int64_t fixture_sql_int(fixture *f, const char *sql);

#endif
