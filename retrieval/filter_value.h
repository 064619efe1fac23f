/* Values in filters: their kinds, and times. Private to retrieval. */
#ifndef SATCHEL_RETRIEVAL_FILTER_VALUE_H
#define SATCHEL_RETRIEVAL_FILTER_VALUE_H

#include "base/base.h"

/* 's'tring, 'n'umber, 'b'oolean as meta.kind has them; 0 for anything else. */
char sat_filter_kind(const json_t *value);
/* An array with an item of this kind. */
bool sat_filter_has_kind(const json_t *array, char kind);
bool sat_filter_is_strings(const json_t *value); /* an array of strings */
bool sat_filter_is_scalars(const json_t *value); /* an array of strings, numbers and booleans */
/* Unix milliseconds from a number, or from "2025-01-31", "2025-01-31T12:30", "…:00", "….250", with
 * "Z", "+01:00" or nothing (UTC) after it. False if it is neither. */
bool sat_filter_time(const json_t *value, int64_t *ms);

#endif
