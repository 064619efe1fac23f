/* Hyperparameters from a GGUF file's keys, "<architecture>.<part>", each checked; what is missing
 * or wrong is named in the error. */
#ifndef SATCHEL_GENERATE_KEYS_H
#define SATCHEL_GENERATE_KEYS_H

#include "generate/generate.h"

typedef struct sat_keys {
    const sat_gguf *gguf;
    const char *file, *arch; /* for messages; what keys begin with */
    satchel_error *error;
} sat_keys;

typedef struct sat_key_name {
    char text[96];
} sat_key_name;

sat_key_name sat_key(const sat_keys *keys, const char *part);
/* UNSUPPORTED: "<file>: key <arch>.<part> <problem>". */
satchel_status sat_key_wrong(const sat_keys *keys, const char *part, const char *problem);
/* An integer of 1 to `most`. otherwise: where it is missing; 0: it must be there. */
satchel_status sat_key_size(const sat_keys *keys, const char *part, int64_t most, size_t otherwise,
                            size_t *out);
/* A number above 0; *value stays where it is missing. */
satchel_status sat_key_number(const sat_keys *keys, const char *part, double *value);
/* The epsilon of norms, 0 to 1. otherwise: where it is missing; below 0: it must be there. */
satchel_status sat_key_epsilon(const sat_keys *keys, const char *part, double otherwise,
                               float *out);
/* attention.sliding_window, 0 if there is none, and which layers have it: those that
 * attention.sliding_window_pattern lists, or all but every n-th, the first of each n if full_first,
 * else the last; n is the key's or `every`. */
satchel_status sat_key_windows(const sat_keys *keys, int64_t most, size_t every, bool full_first,
                               size_t layers, uint8_t *windowed, size_t *window);

#endif
