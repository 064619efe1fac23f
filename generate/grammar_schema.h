/* What the files that read JSON Schema share. */
#ifndef SATCHEL_GENERATE_GRAMMAR_SCHEMA_H
#define SATCHEL_GENERATE_GRAMMAR_SCHEMA_H

#include "generate/grammar_parts.h"

enum { SAT_SCHEMA_MERGES = 20000, SAT_SCHEMA_CHAIN = 48 };

/* A schema still to be compiled into its rule. */
typedef struct sat_schema_task {
    json_t *node; /* a reference of its own */
    uint32_t rule;
    char *where; /* JSON pointer */
} sat_schema_task;

typedef struct sat_schema {
    sat_builder builder;
    json_t *root;
    json_t *rules; /* "address" → rule, of nodes that are tasks */
    sat_schema_task *tasks;
    size_t count, capacity;
    size_t merges;
} sat_schema;

void sat_schema_fail(sat_schema *self, satchel_status status, const char *where,
                     const char *keyword, const char *what);
void sat_schema_no_memory(sat_schema *self);

/* A new schema without $ref and allOf at its top that says the same; json_false() if nothing can
 * satisfy it; NULL on failure. */
json_t *sat_schema_flatten(sat_schema *self, json_t *node, const char *where, int depth);
/* Both at once. */
json_t *sat_schema_both(sat_schema *self, json_t *a, json_t *b, const char *where);
/* No value satisfies both: true only if that is certain. Flat schemas. */
bool sat_schema_disjoint(sat_schema *self, json_t *a, json_t *b, int depth);

enum {
    SAT_TYPE_NULL = 1,
    SAT_TYPE_BOOLEAN = 2,
    SAT_TYPE_INTEGER = 4,
    SAT_TYPE_NUMBER = 8, /* those that are no integers */
    SAT_TYPE_STRING = 16,
    SAT_TYPE_ARRAY = 32,
    SAT_TYPE_OBJECT = 64,
    SAT_TYPE_ANY = 127
};
/* The types that "type" names; all without one; 0: it is wrong. */
int sat_schema_types(json_t *node);

/* Numbers with bounds (grammar_number.c). integer: no fraction. */
void sat_schema_number(sat_schema *self, json_t *node, const char *where, bool integer,
                       uint32_t from, uint32_t to);

#endif
