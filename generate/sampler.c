/*
 * The sampling chain. Nothing is sorted as a whole: top-k keeps a heap of k, typical and top-p take
 * the best from a heap until they have enough.
 */
#include "generate/sampler.h"

#include <math.h>
#include <string.h>

#include "base/base.h"

enum { WINDOW = 64 };

typedef struct candidate {
    double key; /* what the step at hand orders by */
    float logit;
    int32_t id;
} candidate;

struct sat_sampler {
    satchel_context *context;
    sat_sampling sampling;
    int32_t vocabulary;
    int32_t *bias_tokens;
    float *biases;
    uint32_t *counts; /* (vocabulary): times seen in the window */
    int32_t *window;  /* (window_size): a ring; NULL: everything counts */
    size_t window_size, window_at, window_count;
    candidate *candidates; /* (vocabulary) */
    sat_random random;
};

static satchel_status bad(satchel_error *error, const char *name, double value, const char *range) {
    return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "sampling: %s is %g: %s", name, value, range);
}

static satchel_status check(const sat_sampling *s, int32_t vocabulary, satchel_error *error) {
    static const char share[] = "must lie between 0 and 1";
    const struct {
        const char *name;
        float value;
    } shares[] = {{"top_p", s->top_p}, {"min_p", s->min_p}, {"typical_p", s->typical_p}};
    if (vocabulary <= 0)
        return bad(error, "the vocabulary", vocabulary, "must be positive");
    if (!(s->temperature >= 0) || isinf(s->temperature))
        return bad(error, "temperature", (double)s->temperature, "must be 0 or more");
    if (s->top_k < 0)
        return bad(error, "top_k", s->top_k, "must be 0 or more");
    for (size_t i = 0; i < SAT_COUNT(shares); i++)
        if (!(shares[i].value >= 0 && shares[i].value <= 1))
            return bad(error, shares[i].name, (double)shares[i].value, share);
    if (!(s->repetition >= 0) || isinf(s->repetition))
        return bad(error, "repetition", (double)s->repetition, "must be 0 (off) or more");
    if (!isfinite(s->frequency) || !isfinite(s->presence))
        return bad(error, "a penalty", (double)(s->frequency + s->presence), "must be finite");
    if (s->penalty_window < -1)
        return bad(error, "penalty_window", s->penalty_window, "must be -1 (all) or more");
    for (size_t i = 0; i < s->bias_count; i++) {
        if (s->bias_tokens[i] < 0 || s->bias_tokens[i] >= vocabulary)
            return bad(error, "a biased token", s->bias_tokens[i], "is not in the vocabulary");
        if (isnan(s->biases[i]) || (isinf(s->biases[i]) && s->biases[i] > 0))
            return bad(error, "a bias", (double)s->biases[i], "must be finite or -infinity");
    }
    return SATCHEL_OK;
}

static bool take_parts(sat_sampler *self, const sat_sampling *sampling) {
    sat_memory *memory = &self->context->memory;
    size_t vocabulary = (size_t)self->vocabulary, biases = sampling->bias_count;
    self->counts = sat_calloc(memory, vocabulary, sizeof *self->counts);
    self->candidates = sat_alloc_array(memory, vocabulary, sizeof *self->candidates);
    self->bias_tokens = sat_alloc_array(memory, biases, sizeof *self->bias_tokens);
    self->biases = sat_alloc_array(memory, biases, sizeof *self->biases);
    if (sampling->penalty_window >= 0) {
        self->window_size = sampling->penalty_window ? (size_t)sampling->penalty_window : WINDOW;
        self->window = sat_alloc_array(memory, self->window_size, sizeof *self->window);
        if (!self->window)
            return false;
    }
    if (!self->counts || !self->candidates || !self->bias_tokens || !self->biases)
        return false;
    if (biases) {
        memcpy(self->bias_tokens, sampling->bias_tokens, biases * sizeof *self->bias_tokens);
        memcpy(self->biases, sampling->biases, biases * sizeof *self->biases);
    }
    return true;
}

satchel_status sat_sampler_open(sat_sampler **out, satchel_context *context, int32_t vocabulary,
                                const sat_sampling *sampling, satchel_error *error) {
    *out = NULL;
    satchel_status status = check(sampling, vocabulary, error);
    if (status)
        return status;
    sat_memory *memory = &context->memory;
    sat_sampler *self = sat_calloc(memory, 1, sizeof *self);
    if (!self)
        return sat_memory_fail(memory, sizeof *self, error);
    self->context = context;
    self->vocabulary = vocabulary;
    self->sampling = *sampling;
    sat_random_seed(&self->random, sampling->seed);
    if (!take_parts(self, sampling)) {
        sat_sampler_close(&self);
        return sat_memory_fail(memory, (size_t)vocabulary * sizeof(candidate), error);
    }
    *out = self;
    return SATCHEL_OK;
}

void sat_sampler_close(sat_sampler **slot) {
    sat_sampler *self = *slot;
    *slot = NULL;
    if (!self)
        return;
    sat_memory *memory = &self->context->memory;
    sat_free(memory, self->counts);
    sat_free(memory, self->candidates);
    sat_free(memory, self->bias_tokens);
    sat_free(memory, self->biases);
    sat_free(memory, self->window);
    sat_free(memory, self);
}

satchel_status sat_sampler_see(sat_sampler *self, int32_t token, satchel_error *error) {
    if (token < 0 || token >= self->vocabulary)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "token %d: the vocabulary has %d", token,
                        self->vocabulary);
    if (self->window) {
        if (self->window_count == self->window_size)
            self->counts[self->window[self->window_at]]--;
        else
            self->window_count++;
        self->window[self->window_at] = token;
        self->window_at = (self->window_at + 1) % self->window_size;
    }
    self->counts[token] += self->counts[token] < UINT32_MAX;
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ heaps */

/* Larger keys come first, of equal ones the lower id. */
static bool before(const candidate *a, const candidate *b) {
    return a->key != b->key ? a->key > b->key : a->id < b->id;
}

/* Lets items[at] sink. first: the root comes before all others; else behind them. */
static void sink(candidate *items, size_t at, size_t count, bool first) {
    candidate moved = items[at];
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && before(&items[child + 1], &items[child]) == first)
            child++;
        if (before(&items[child], &moved) != first)
            break;
        items[at] = items[child];
    }
    items[at] = moved;
}

static void heapify(candidate *items, size_t count, bool first) {
    for (size_t i = count / 2; i-- > 0;)
        sink(items, i, count, first);
}

static size_t top_k(candidate *items, size_t count, size_t k) {
    if (!k || k >= count)
        return count;
    heapify(items, k, false); /* the least of the best k lies at the root */
    for (size_t i = k; i < count; i++) {
        if (!before(&items[i], &items[0]))
            continue;
        items[0] = items[i];
        sink(items, 0, k, false);
    }
    return k;
}

static double sum_of(const candidate *items, size_t count, double *largest) {
    double sum = 0;
    *largest = (double)items[0].logit;
    for (size_t i = 1; i < count; i++)
        if ((double)items[i].logit > *largest)
            *largest = (double)items[i].logit;
    for (size_t i = 0; i < count; i++)
        sum += exp((double)items[i].logit - *largest);
    return sum;
}

/* Moves the first by key to the front until they hold `share` of all; returns how many. They gather
 * behind the heap, which shrinks, and are turned to the front in the end. */
static size_t take_share(candidate *items, size_t count, double share) {
    double largest, sum = sum_of(items, count, &largest), taken = 0;
    size_t left = count;
    heapify(items, count, true);
    while (left) {
        candidate best = items[0];
        items[0] = items[--left];
        sink(items, 0, left, true);
        items[left] = best;
        taken += exp((double)best.logit - largest);
        if (taken >= share * sum)
            break;
    }
    for (size_t i = 0, k = count - 1; i < k; i++, k--) { /* best first */
        candidate swapped = items[i];
        items[i] = items[k];
        items[k] = swapped;
    }
    return count - left;
}

/* Locally typical sampling (Meister and others, 2022): nearest to the expected surprise. */
static size_t typical(candidate *items, size_t count, double share) {
    double largest, sum = sum_of(items, count, &largest), entropy = 0;
    for (size_t i = 0; i < count; i++) {
        double surprise = log(sum) + largest - (double)items[i].logit;
        entropy += exp(-surprise) * surprise;
    }
    for (size_t i = 0; i < count; i++)
        items[i].key = -fabs(log(sum) + largest - (double)items[i].logit - entropy);
    count = take_share(items, count, share);
    for (size_t i = 0; i < count; i++)
        items[i].key = (double)items[i].logit;
    return count;
}

static size_t min_p(candidate *items, size_t count, double share) {
    double largest;
    size_t kept = 0;
    sum_of(items, count, &largest);
    for (size_t i = 0; i < count; i++)
        if ((double)items[i].logit >= largest + log(share))
            items[kept++] = items[i];
    return kept;
}

static int32_t draw(sat_sampler *self, const candidate *items, size_t count) {
    double largest, sum = 0, temperature = (double)self->sampling.temperature;
    sum_of(items, count, &largest);
    for (size_t i = 0; i < count; i++)
        sum += exp(((double)items[i].logit - largest) / temperature);
    double left = sat_random_fraction(sat_random_next(&self->random)) * sum;
    size_t last = 0;
    for (size_t i = 0; i < count; i++) {
        double weight = exp(((double)items[i].logit - largest) / temperature);
        if (weight > 0)
            last = i; /* rounding may leave a rest behind all of them */
        if ((left -= weight) < 0)
            break;
    }
    return items[last].id;
}

/* ------------------------------------------------------------------ the chain */

static void bias_and_penalties(sat_sampler *self, float *logits) {
    const sat_sampling *s = &self->sampling;
    for (size_t i = 0; i < s->bias_count; i++)
        logits[self->bias_tokens[i]] += self->biases[i];
    bool divides = s->repetition > 0 && s->repetition != 1;
    if (!divides && s->frequency == 0 && s->presence == 0)
        return;
    for (int32_t t = 0; t < self->vocabulary; t++) {
        if (!self->counts[t])
            continue;
        if (divides)
            logits[t] = logits[t] > 0 ? logits[t] / s->repetition : logits[t] * s->repetition;
        logits[t] -= (float)self->counts[t] * s->frequency + s->presence;
    }
}

static satchel_status gather(sat_sampler *self, const float *logits, const uint64_t *mask,
                             size_t masked, size_t *count, satchel_error *error) {
    *count = 0;
    for (int32_t t = 0; t < self->vocabulary; t++) {
        if (isnan(logits[t]) || (isinf(logits[t]) && logits[t] > 0))
            return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                            "the logit of token %d is %g: the model's weights are damaged, or its "
                            "sums too large",
                            t, (double)logits[t]);
        size_t bit = (size_t)t;
        if (mask && (bit >= masked || !(mask[bit / 64] >> (bit % 64) & 1)))
            continue;
        if (!isinf(logits[t]))
            self->candidates[(*count)++] = (candidate){(double)logits[t], logits[t], t};
    }
    if (*count)
        return SATCHEL_OK;
    return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                    mask ? "the grammar allows no token that the biases leave"
                         : "no token may be chosen: all logits are -infinity");
}

satchel_status sat_sampler_choose(sat_sampler *self, float *logits, sat_matcher *matcher,
                                  int32_t *token, satchel_error *error) {
    const sat_sampling *s = &self->sampling;
    const uint64_t *mask = NULL;
    candidate *items = self->candidates;
    size_t count;
    *token = -1;
    satchel_status status = matcher ? sat_matcher_mask(matcher, &mask, error) : SATCHEL_OK;
    if (status)
        return status;
    bias_and_penalties(self, logits);
    status =
        gather(self, logits, mask, matcher ? sat_matcher_vocabulary(matcher) : 0, &count, error);
    if (status)
        return status;
    if (s->temperature == 0) {
        const candidate *best = &items[0];
        for (size_t i = 1; i < count; i++)
            if (before(&items[i], best))
                best = &items[i];
        *token = best->id;
        return SATCHEL_OK;
    }
    count = top_k(items, count, (size_t)s->top_k);
    if (s->typical_p > 0 && s->typical_p < 1)
        count = typical(items, count, (double)s->typical_p);
    if (s->top_p > 0 && s->top_p < 1)
        count = take_share(items, count, (double)s->top_p);
    if (s->min_p > 0)
        count = min_p(items, count, (double)s->min_p);
    *token = draw(self, items, count);
    return SATCHEL_OK;
}
