/* The runner in C: what a scenario holds while it runs, and its steps. Uses satchel.h alone. */
#ifndef SATCHEL_TESTS_CONFORMANCE_H
#define SATCHEL_TESTS_CONFORMANCE_H

#include <jansson.h>
#include <stdbool.h>

#include "sdk/include/satchel.h"

typedef struct run {
    const char *folder;
    satchel_context *context;
    satchel_model *embedder;
    satchel_store *store;
    satchel_prepared *prepared; /* the last one */
} run;

/* Does one step. Returns a new object with what it gives; a failed call gives {"error": NAME}. NULL: the step
 * is not one that exists, or something outside the library failed. */
json_t *do_step(run *r, const json_t *step);

/* The embedder of the README, as a model. */
satchel_status open_embedder(run *r, satchel_error *error);

/* A model that says `pieces`, an array that outlives it; at a null among them it fails. */
satchel_status open_script(run *r, satchel_model **out, const json_t *pieces, satchel_error *error);

#endif
