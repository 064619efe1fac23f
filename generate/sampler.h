/*
 * Sampling: logits to a token. One chain in a fixed order: bias, penalties, the grammar's mask,
 * top-k, typical, top-p, min-p, temperature, draw. Same build, CPU level, seed and logits: same
 * tokens.
 */
#ifndef SATCHEL_GENERATE_SAMPLER_H
#define SATCHEL_GENERATE_SAMPLER_H

#include "generate/grammar.h"

typedef struct sat_sampler sat_sampler;

typedef struct sat_sampling { /* zero: greedy, the lowest id of equal ones */
    float temperature;        /* 0: greedy */
    int32_t top_k;            /* the k likeliest; 0: all */
    float top_p;              /* the likeliest that together reach p; 0 or 1: off */
    float min_p;              /* those at least p times as likely as the likeliest; 0: off */
    float typical_p;          /* those nearest to the entropy that together reach p; 0 or 1: off */
    float repetition; /* divides a seen token's logit above 0, multiplies one below; 0 or 1: off */
    float frequency;  /* taken from a token's logit for each time it was seen */
    float presence;   /* taken once */
    int32_t penalty_window; /* tokens looked back; 0: 64; −1: all */
    uint64_t seed;
    const int32_t *bias_tokens; /* (bias_count), copied */
    const float *biases;        /* added to their logits; −INFINITY: never */
    size_t bias_count;
} sat_sampling;

/* INVALID_ARGUMENT names the value that is out of range. */
satchel_status sat_sampler_open(sat_sampler **out, satchel_context *context, int32_t vocabulary,
                                const sat_sampling *sampling, satchel_error *error);
void sat_sampler_close(sat_sampler **sampler);
/* A token of the context so far, prompt or generated, for the penalties. */
satchel_status sat_sampler_see(sat_sampler *sampler, int32_t token, satchel_error *error);
/* Chooses from logits (vocabulary), which are changed. matcher (may be NULL): what may come; the
 * caller then tells it, and sat_sampler_see(), the token. INVALID_ARGUMENT: a logit that is no
 * number or +infinity, or none that may be chosen. */
satchel_status sat_sampler_choose(sat_sampler *sampler, float *logits, sat_matcher *matcher,
                                  int32_t *token, satchel_error *error);

#endif
