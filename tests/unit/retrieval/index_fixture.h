/* A store with enough vectors for an index, beside fixture.h: its documents, an exact twin to
 * compare with, and its index file. */
#ifndef SATCHEL_TESTS_UNIT_RETRIEVAL_INDEX_FIXTURE_H
#define SATCHEL_TESTS_UNIT_RETRIEVAL_INDEX_FIXTURE_H

#include "retrieval/collection.h"
#include "retrieval/index.h"
#include "tests/unit/retrieval/fixture.h"

#define INDEX_DOCUMENTS 24
#define INDEX_CHUNKS 100 /* of each */

/* As fixture_setup(), with an index from 1,000 vectors on and 24 documents of 100 chunks, embedded;
 * no index yet. */
int index_setup(void **state);
/* What each test begins with: its fixture. Skips the test where the CPU cannot run FAISS. */
fixture *index_ready(void **state);
/* Removes what the first set-up made for all: to be given to the group. */
int index_group_teardown(void **state);
/* A text of `chunks` paragraphs, a chunk each; which ones depends on `number`. To be freed. */
char *index_text(int number, int chunks);
void index_add(fixture *f, int number);
/* maintain() to its end. */
void index_maintain(fixture *f);
/* Number of the generation that the store names; 0: none. */
int64_t index_number(fixture *f);
/* Whether the last search was served by it. */
bool index_serves(const fixture *f);
void index_path(fixture *f, char out[256]);
int index_files(fixture *f); /* with a name of an index, temporary or not */

typedef struct index_hits {
    size_t count;
    struct {
        char id[32];
        int64_t start;
        float score, keyword, vector;
    } hits[200];
} index_hits;

/* `cpu_level` SATCHEL_CPU_C: from a second, exact handle. */
void index_search(fixture *f, bool exactly, const char *query, int32_t mode, const char *filter,
                  int32_t k, index_hits *out);
/* The same hits; where scores are equal within rounding, in any order. */
void index_expect_same(const index_hits *found, const index_hits *expected, const char *query);
/* Query `number` of many. */
const char *index_query(int number, char out[128]);
/* Searches of all kinds give what the exact handle gives; needs all lists to be probed. */
void index_expect_exact(fixture *f);
void index_expect_exact_for(fixture *f, int queries); /* of the six */
/* And it is the index that gives it. */
void index_expect_served(fixture *f);

#endif
