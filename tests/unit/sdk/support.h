/*
 * What the tests of the public interface share: a folder of their own, an embedder, shorthands. The
 * tests see the library as an application does, through satchel.h and the shared library.
 */
#ifndef SATCHEL_TESTS_UNIT_SDK_SUPPORT_H
#define SATCHEL_TESTS_UNIT_SDK_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sdk/include/satchel.h"
#include "tests/support/folder.h"

enum { TEST_DIMENSION = 64 };

/* An embedder that hashes words, and counts what is asked of it. */
typedef struct test_embedder {
    int embedded, destroyed;    /* texts; calls of destroy */
    satchel_status result;      /* what embed returns */
    int spoil;                  /* 1: zeros, 2: NaN, 3: rows of length 3 */
    void (*inside)(void *user); /* called inside embed */
    void *inside_user;
} test_embedder;

void test_embedder_table(satchel_embedder *table, test_embedder *state);

/* Fails the test with the library's message unless status is SATCHEL_OK. */
void test_fine(satchel_status status, const satchel_error *error);

/* A context, a model over the embedder and a store in a folder of its own. */
typedef struct test_bed {
    char folder[TEST_FOLDER_SIZE];
    char store_path[96];
    test_embedder embedder;
    satchel_context *context;
    satchel_model *model;
    satchel_store *store;
} test_bed;

void test_bed_open(test_bed *bed, bool with_model);
void test_bed_close(test_bed *bed); /* also removes the folder */
/* Set-ups and the tear-down of a test: a bed in its state, with the model or without one. */
int test_with_model(void **state);
int test_without_model(void **state);
int test_done(void **state);
#define WITH_MODEL(test) cmocka_unit_test_setup_teardown(test, test_with_model, test_done)
#define WITHOUT_MODEL(test) cmocka_unit_test_setup_teardown(test, test_without_model, test_done)

void test_path(const test_bed *bed, const char *name, char out[128]);
void test_write(const char *path, const char *text);
void test_add(test_bed *bed, const char *id, const char *text);

/* Pulls a stream to DONE; counts the events of each kind, of SATCHEL_EVENT_*. */
satchel_status test_drain(satchel_stream *stream, int counts[16], satchel_error *error);

#endif
