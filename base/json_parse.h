/* JSON text to jansson's values, for base/json.c alone: sat_json_parse() checks UTF-8 before. */
#ifndef SATCHEL_BASE_JSON_PARSE_H
#define SATCHEL_BASE_JSON_PARSE_H

#include "base/json.h"

typedef struct sat_json_problem {
    size_t at; /* byte */
    const char *what;
    bool out_of_memory;
} sat_json_problem;

/* A new reference, or NULL and *problem. The text is valid UTF-8. Refused: more levels than
 * SAT_JSON_MAX_DEPTH, duplicate keys. */
json_t *sat_json_read(const char *text, size_t length, sat_json_problem *problem);

#endif
