/*
 * JSON as jansson's values, read by our own reader: jansson's recurses and does not survive failures of
 * memory. Depth is limited (freeing recurses, too), duplicate keys refused, UTF-8 checked. jansson allocates
 * with malloc (its hook is process-wide).
 */
#ifndef SATCHEL_BASE_JSON_H
#define SATCHEL_BASE_JSON_H

#include <jansson.h>

#include "base/alloc.h"

#define SAT_JSON_MAX_DEPTH 64

/* A new reference in *out, or `code` with a message that gives line and column. */
satchel_status sat_json_parse(json_t **out, const char *text, size_t length, satchel_status code,
                              const char *what, satchel_error *error);
/* Appends a JSON string literal with quotes; invalid UTF-8 is replaced by U+FFFD. */
bool sat_json_append_string(sat_buffer *buffer, const char *text, size_t length);

#endif
