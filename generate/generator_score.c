/* What a generator thinks of given tokens: logits, and the perplexity of a text. */
#include <math.h>
#include <string.h>

#include "generate/generator_parts.h"

satchel_status sat_generator_logits(sat_generator *generator, const int32_t *tokens, size_t count,
                                    float *logits, const satchel_cancel *cancel,
                                    satchel_error *error) {
    sat_held held;
    if (count == 0)
        return SATCHEL_OK;
    if (count > generator->capacity) {
        return sat_fail(error, SATCHEL_LIMIT, "%zu tokens, the context has %zu", count,
                        generator->capacity);
    }
    satchel_status status = sat_generator_take(generator, tokens, 0, &held, error);
    if (!status)
        status = sat_held_feed(&held, tokens, count, count, logits, cancel, error);
    sat_generator_give(generator, &held);
    return status;
}

/* ------------------------------------------------------------------ perplexity */

/* Rows of logits at a time: as many as run through the layers together, if they take no more than
 * 32 MiB. */
enum { MOST_ROWS = 256, LEAST_ROWS = 16, FLOATS = 8 << 20 };

typedef struct scoring {
    sat_generator *generator;
    sat_held held;
    const int32_t *tokens; /* the text's, the one that begins it included */
    size_t count, first;   /* first: tokens that every window begins with, 0 or 1 */
    float *logits;         /* (rows, vocabulary) */
    size_t rows, vocabulary;
    double sum; /* of surprises, in nats */
    int64_t scored;
    satchel_progress_function progress;
    void *user;
    const satchel_cancel *cancel;
    int64_t started;
    satchel_error *error;
} scoring;

/* −log of the share that softmax gives the token. */
static double surprise(const float *logits, size_t count, int32_t token) {
    double largest = (double)logits[0], sum = 0;
    for (size_t i = 1; i < count; i++)
        if ((double)logits[i] > largest)
            largest = (double)logits[i];
    for (size_t i = 0; i < count; i++)
        sum += exp((double)logits[i] - largest);
    return log(sum) + largest - (double)logits[token];
}

/* Feeds tokens[from, to) and scores what follows each of them, up to and with tokens[to]. */
static satchel_status score(scoring *s, size_t from, size_t to) {
    satchel_status status = SATCHEL_OK;
    for (size_t at = from, n; !status && at < to; at += n) {
        n = to - at < s->rows ? to - at : s->rows;
        status = sat_held_feed(&s->held, s->tokens + at, n, n, s->logits, s->cancel, s->error);
        for (size_t i = 0; !status && i < n; i++) {
            s->sum += surprise(s->logits + i * s->vocabulary, s->vocabulary, s->tokens[at + i + 1]);
            s->scored++;
        }
    }
    return status;
}

static satchel_status report(const scoring *s) {
    satchel_event_progress progress = {.phase = SATCHEL_PHASE_PREFILL,
                                       .done = s->scored,
                                       .total = (int64_t)s->count - 1,
                                       .elapsed_ms = sat_clock_ms() - s->started};
    if (!s->progress || !s->progress(s->user, &progress))
        return SATCHEL_OK;
    return sat_fail(s->error, SATCHEL_CANCELLED, "the progress function stopped the perplexity");
}

/*
 * Token `next` is the first that is not scored. A window's tokens are the first ones of the text,
 * if it has any, then `size` in a row; all are fed but the last, which is only looked for. A window
 * begins half its size before what it is to score.
 */
static satchel_status score_windows(scoring *s) {
    size_t size = s->generator->capacity - s->first, half = size / 2 ? size / 2 : 1;
    satchel_status status = SATCHEL_OK;
    for (size_t next = 1; !status && next < s->count;) {
        bool whole = next == 1;
        size_t begin = whole ? s->first : next - half;
        size_t end = s->count - begin > size + 1 ? begin + size + 1 : s->count;
        status = sat_held_cut(&s->held, 0, s->error);
        if (!status && whole) {
            status = score(s, 0, end - 1);
        } else if (!status) {
            status = sat_held_feed(&s->held, s->tokens, s->first, 0, NULL, s->cancel, s->error);
            if (!status) { /* what the window before has scored */
                status = sat_held_feed(&s->held, s->tokens + begin, next - 1 - begin, 0, NULL,
                                       s->cancel, s->error);
            }
            if (!status)
                status = score(s, next - 1, end - 1);
        }
        next = end;
        if (!status)
            status = report(s);
    }
    return status;
}

static satchel_status score_tokens(scoring *s) {
    sat_memory *memory = &s->generator->context->memory;
    size_t values;
    s->vocabulary = (size_t)s->generator->about.vocabulary;
    s->rows = FLOATS / s->vocabulary;
    s->rows = s->rows < LEAST_ROWS ? LEAST_ROWS : s->rows > MOST_ROWS ? MOST_ROWS : s->rows;
    s->logits = sat_mul_size(s->vocabulary, s->rows, &values)
                    ? sat_alloc_array(memory, values, sizeof *s->logits)
                    : NULL;
    if (!s->logits)
        return sat_memory_fail(memory, s->vocabulary * s->rows * sizeof *s->logits, s->error);
    satchel_status status = sat_generator_take(s->generator, s->tokens, 0, &s->held, s->error);
    if (!status)
        status = score_windows(s);
    sat_generator_give(s->generator, &s->held);
    sat_free(memory, s->logits);
    return status;
}

satchel_status sat_generator_perplexity(sat_generator *generator, const char *text, size_t length,
                                        satchel_progress_function progress, void *user,
                                        const satchel_cancel *cancel, satchel_perplexity *out,
                                        satchel_error *error) {
    sat_tokens tokens = {0};
    sat_text_part part = {.text = text, .length = length};
    memset(out, 0, sizeof *out);
    satchel_status status = sat_generator_prompt(generator, &part, 1, &tokens, error);
    if (!status && tokens.count < 2) {
        status = sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                          "a text of %zu bytes has %zu tokens: there is none to score", length,
                          tokens.count);
    }
    if (!status) {
        const sat_special_tokens *special = sat_tokenizer_special(generator->tokenizer);
        scoring s = {.generator = generator,
                     .tokens = tokens.ids,
                     .count = tokens.count,
                     .first = special->add_bos,
                     .progress = progress,
                     .user = user,
                     .cancel = cancel,
                     .started = sat_clock_ms(),
                     .error = error};
        status = score_tokens(&s);
        if (!status) {
            size_t unscored = 0; /* bytes of a first token that nothing stands before */
            if (!s.first)
                sat_tokenizer_bytes(generator->tokenizer, tokens.ids[0], false, &unscored);
            size_t bytes = length > unscored ? length - unscored : 1;
            *out = (satchel_perplexity){.tokens = s.scored,
                                        .perplexity = exp(s.sum / (double)s.scored),
                                        .nll = s.sum / (double)s.scored,
                                        .bits_per_byte = s.sum / log(2) / (double)bytes,
                                        .elapsed_ms = sat_clock_ms() - s.started};
        }
    }
    sat_tokens_free(&tokens);
    return status;
}
