/*
 * A run of a generator as a pulled stream: the prompt is read in stretches, then tokens are chosen
 * one by one. What the context holds is always `tokens`; what of it has been computed is `held`,
 * which follows.
 */
#include <string.h>

#include "generate/generator_parts.h"

enum {
    DEFAULT_TOKENS = 512,
    STRETCH =
        256, /* tokens of a prompt between two events: as many as run through the layers together */
    NO_LIMIT = -1
};

typedef enum run_state {
    RUN_START, /* no sequence yet */
    RUN_READ,  /* tokens are missing in the sequence */
    RUN_WRITE, /* all are there, or the last one chosen is missing */
    RUN_REST,  /* the answer has ended: what text is held goes out */
    RUN_DONE
} run_state;

typedef struct generation {
    sat_stream stream;
    sat_generator *generator;
    satchel_cancel *cancel;
    sat_tokens tokens; /* prompt and answer, less what was forgotten */
    sat_held held;
    size_t first;            /* tokens in front that are never forgotten */
    int64_t limit, answered; /* tokens of the answer, its end token not counted */
    bool shifts;
    bool fills; /* at the limit the context is full */
    bool saves; /* what was read is looked for in cache_dir, and put there */
    sat_sampler *sampler;
    sat_grammar *grammar; /* or NULL, like the matcher */
    sat_matcher *matcher;
    sat_answer_text text;
    float *logits; /* (vocabulary) behind the last token of held, if that is the last of all */
    run_state state;
    int32_t last; /* token chosen */
    int64_t started, reading_ended;
    satchel_event_progress progress;
    satchel_event_token token;
    satchel_event_done done;
} generation;

/* ------------------------------------------------------------------ open */

/* The older half of what is behind `first` goes. false: nothing of a prompt would be left. */
static bool forget_older(generation *run) {
    size_t newest = (run->generator->capacity - run->first) / 2;
    if (newest == 0)
        return false;
    memmove(run->tokens.ids + run->first, run->tokens.ids + run->tokens.count - newest,
            newest * sizeof *run->tokens.ids);
    run->tokens.count = run->first + newest;
    return true;
}

static satchel_status set_limit(generation *run, int32_t given, satchel_error *error) {
    size_t capacity = run->generator->capacity, count = run->tokens.count;
    if (given < -1) {
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "max_tokens is %d; give 1 or more, 0 for %d, -1 for as many as fit",
                        (int)given, DEFAULT_TOKENS);
    }
    run->limit = given == -1 ? NO_LIMIT : given ? given : DEFAULT_TOKENS;
    if (run->shifts) {
        const sat_special_tokens *special = sat_tokenizer_special(run->generator->tokenizer);
        run->first = capacity > 2 && run->tokens.ids[0] == special->bos;
        if (count >= capacity && !forget_older(run))
            return sat_fail(error, SATCHEL_LIMIT, "a context of %zu tokens is too small", capacity);
        return SATCHEL_OK;
    }
    if (count >= capacity) {
        return sat_fail(error, SATCHEL_LIMIT,
                        "the prompt has %zu tokens and the context %zu: there is no room for an "
                        "answer; shorten it, or open the model with more context_tokens",
                        count, capacity);
    }
    int64_t room = (int64_t)(capacity - count);
    if (given > 0 && given > room) {
        return sat_fail(error, SATCHEL_LIMIT,
                        "the prompt has %zu tokens and max_tokens is %d: the context has %zu; ask "
                        "for fewer, for -1 (as many as fit), or let it shift",
                        count, (int)given, capacity);
    }
    if (given <= 0 && (run->limit == NO_LIMIT || run->limit > room)) {
        run->limit = room;
        run->fills = true;
    }
    return SATCHEL_OK;
}

static satchel_status open_grammar(generation *run, const satchel_generate_options *options,
                                   satchel_error *error) {
    satchel_context *context = run->generator->context;
    const char *schema = options->schema, *gbnf = options->grammar;
    const sat_lexicon *lexicon;
    if (!schema && !gbnf)
        return SATCHEL_OK;
    if (schema && gbnf)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "schema and grammar are both given");
    satchel_status status =
        schema ? sat_grammar_from_schema(&run->grammar, context, schema, strlen(schema), error)
               : sat_grammar_from_gbnf(&run->grammar, context, gbnf, strlen(gbnf), error);
    if (!status)
        status = sat_generator_lexicon(run->generator, &lexicon, error);
    if (status)
        return status;
    return sat_matcher_open(&run->matcher, context, run->grammar, lexicon,
                            run->limit == NO_LIMIT ? 0 : (size_t)run->limit, error);
}

static satchel_status open_sampler(generation *run, const satchel_generate_options *o,
                                   satchel_error *error) {
    sat_sampling sampling = {.temperature = o->temperature,
                             .top_k = o->top_k,
                             .top_p = o->top_p,
                             .min_p = o->min_p,
                             .typical_p = o->typical_p,
                             .repetition = o->repetition,
                             .frequency = o->frequency,
                             .presence = o->presence,
                             .penalty_window = o->penalty_window,
                             .seed = o->seed,
                             .bias_tokens = o->bias_tokens,
                             .biases = o->biases,
                             .bias_count = o->bias_count};
    if (o->bias_count && (!o->bias_tokens || !o->biases)) {
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "bias_count is %zu, bias_tokens or biases is NULL", o->bias_count);
    }
    satchel_status status = sat_sampler_open(&run->sampler, run->generator->context,
                                             run->generator->vocabulary, &sampling, error);
    for (size_t i = 0; !status && i < run->tokens.count; i++)
        status = sat_sampler_see(run->sampler, run->tokens.ids[i], error);
    return status;
}

/* A text that is gone on with keeps the space that a text's first word would lose. */
static bool behind_text(const generation *run) {
    size_t length;
    sat_tokenizer_bytes(run->generator->tokenizer, run->tokens.ids[run->tokens.count - 1], false,
                        &length);
    return length > 0;
}

static satchel_status fill(generation *run, const satchel_generate_options *options,
                           satchel_error *error) {
    sat_memory *memory = &run->generator->context->memory;
    size_t vocabulary = (size_t)run->generator->about.vocabulary;
    if (run->tokens.count == 0)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "the prompt is empty");
    if (options->overflow < SATCHEL_OVERFLOW_ERROR || options->overflow > SATCHEL_OVERFLOW_SHIFT) {
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "overflow is %d; SATCHEL_OVERFLOW_ERROR and _SHIFT exist",
                        (int)options->overflow);
    }
    run->shifts = options->overflow == SATCHEL_OVERFLOW_SHIFT;
    run->saves = !options->no_saved_kv;
    run->done.prompt_tokens = (int64_t)run->tokens.count;
    satchel_status status = open_sampler(run, options, error);
    if (!status)
        status = set_limit(run, options->max_tokens, error);
    if (!status) {
        status = sat_answer_text_open(&run->text, memory, run->generator->tokenizer, options->stop,
                                      options->stop_count, behind_text(run), error);
    }
    if (!status)
        status = open_grammar(run, options, error);
    if (status)
        return status;
    run->logits = sat_alloc_array(memory, vocabulary, sizeof *run->logits);
    return run->logits ? SATCHEL_OK
                       : sat_memory_fail(memory, vocabulary * sizeof *run->logits, error);
}

static void close_run(sat_stream *stream) {
    generation *run = (generation *)stream;
    sat_memory *memory = &run->generator->context->memory;
    sat_generator_give(run->generator, &run->held);
    sat_sampler_close(&run->sampler);
    sat_matcher_close(&run->matcher);
    sat_grammar_close(&run->grammar);
    sat_answer_text_close(&run->text);
    sat_tokens_free(&run->tokens);
    sat_free(memory, run->logits);
    sat_cancel_release(run->cancel);
    sat_free(memory, run);
}

/* ------------------------------------------------------------------ reading */

/* The sequence comes at the first call, so that a run opened early finds what the one before it
 * leaves. */
static satchel_status start(generation *run, satchel_error *error) {
    run->started = sat_clock_ms();
    /* The last token is read in any case: its logits are wanted. */
    satchel_status status = sat_generator_take(run->generator, run->tokens.ids,
                                               run->tokens.count - 1, &run->held, error);
    if (!status && run->saves) {
        status = sat_held_load(&run->held, run->generator->prefix, run->tokens.ids,
                               run->tokens.count - 1, run->cancel, error);
    }
    if (!status)
        run->done.cached_tokens = (int64_t)run->held.tokens.count;
    return status;
}

static satchel_status read_stretch(generation *run, satchel_error *error) {
    size_t from = run->held.tokens.count, left = run->tokens.count - from;
    size_t count = left < STRETCH ? left : STRETCH, wanted = count == left;
    return sat_held_feed(&run->held, run->tokens.ids + from, count, wanted, run->logits,
                         run->cancel, error);
}

static void report_reading(generation *run, satchel_event *event) {
    run->progress = (satchel_event_progress){.phase = SATCHEL_PHASE_PREFILL,
                                             .done = (int64_t)run->held.tokens.count,
                                             .total = (int64_t)run->tokens.count,
                                             .elapsed_ms = sat_clock_ms() - run->started};
    event->kind = SATCHEL_EVENT_PROGRESS;
    event->progress = &run->progress;
}

/* ------------------------------------------------------------------ writing */

static void finish(generation *run, int32_t reason) {
    run->done.finish = reason;
    run->state = RUN_REST;
}

/* After a token that does not end the answer: is there room and need for another? */
static satchel_status go_on(generation *run, satchel_error *error) {
    if (run->text.stopped) {
        finish(run, SATCHEL_FINISH_STOP);
    } else if (run->matcher && sat_matcher_finished(run->matcher)) {
        finish(run, SATCHEL_FINISH_END);
    } else if (run->answered == run->limit) {
        bool whole = run->matcher && sat_matcher_may_end(run->matcher);
        finish(run, whole        ? SATCHEL_FINISH_END
                    : run->fills ? SATCHEL_FINISH_CONTEXT
                                 : SATCHEL_FINISH_LENGTH);
    } else if (run->tokens.count > run->generator->capacity) {
        forget_older(run); /* a context that a prompt fitted in */
        satchel_status status = sat_held_cut(&run->held, run->first, error);
        run->state = RUN_READ;
        return status;
    }
    return SATCHEL_OK;
}

static satchel_status write_token(generation *run, satchel_error *error) {
    sat_tokens *tokens = &run->tokens;
    int32_t token;
    satchel_status status = sat_cancel_check(run->cancel, error);
    if (!status && run->held.tokens.count < tokens->count)
        status = read_stretch(run, error);
    if (!status)
        status = sat_sampler_choose(run->sampler, run->logits, run->matcher, &token, error);
    if (!status)
        status = sat_sampler_see(run->sampler, token, error);
    if (!status && run->matcher)
        status = sat_matcher_accept(run->matcher, token, error);
    if (status)
        return status;
    run->done.generated_tokens++;
    if (sat_tokenizer_ends(run->generator->tokenizer, token)) {
        finish(run, SATCHEL_FINISH_END);
        return SATCHEL_OK;
    }
    if (!sat_grow(tokens->memory, (void **)&tokens->ids, &tokens->capacity, tokens->count + 1,
                  sizeof *tokens->ids) ||
        !sat_answer_text_add(&run->text, token))
        return sat_memory_fail(tokens->memory, sizeof token, error);
    tokens->ids[tokens->count++] = token;
    run->last = token;
    run->answered++;
    return go_on(run, error);
}

/* True if there is text to give out. */
static bool give_text(generation *run, satchel_event *event) {
    size_t length;
    const char *text = sat_answer_text_take(&run->text, &length);
    if (!text)
        return false;
    run->token = (satchel_event_token){.text = text, .length = length, .token = run->last};
    event->kind = SATCHEL_EVENT_TOKEN;
    event->token = &run->token;
    return true;
}

static void report_done(generation *run, satchel_event *event) {
    int64_t now = sat_clock_ms();
    if (run->saves && run->held.sequence) {
        sat_prefix_save(run->generator->prefix, run->held.sequence, run->held.tokens.ids,
                        run->held.tokens.count, run->cancel);
    }
    sat_generator_give(run->generator, &run->held);
    run->done.elapsed_ms = now - run->started;
    run->done.prefill_ms = run->reading_ended - run->started;
    run->done.generate_ms = now - run->reading_ended;
    event->kind = SATCHEL_EVENT_DONE;
    event->done = &run->done;
}

static satchel_status next_event(sat_stream *stream, satchel_event *event, satchel_error *error) {
    generation *run = (generation *)stream;
    for (;;) {
        satchel_status status = SATCHEL_OK;
        switch (run->state) {
        case RUN_START:
            status = start(run, error);
            if (status)
                return status;
            run->state = RUN_READ;
            report_reading(run, event);
            return SATCHEL_OK;
        case RUN_READ:
            status = read_stretch(run, error);
            if (status)
                return status;
            if (run->held.tokens.count == run->tokens.count) {
                run->state = RUN_WRITE;
                if (!run->reading_ended)
                    run->reading_ended = sat_clock_ms();
            }
            report_reading(run, event);
            return SATCHEL_OK;
        case RUN_WRITE:
            status = write_token(run, error);
            if (status)
                return status;
            if (give_text(run, event))
                return SATCHEL_OK;
            break;
        case RUN_REST:
            if (!sat_answer_text_end(&run->text))
                return sat_memory_fail(run->tokens.memory, 8, error);
            run->state = RUN_DONE;
            if (give_text(run, event))
                return SATCHEL_OK;
            break;
        case RUN_DONE:
            report_done(run, event);
            return SATCHEL_OK;
        }
    }
}

satchel_status sat_generator_run(sat_stream **out, sat_generator *generator, sat_tokens *prompt,
                                 const satchel_generate_options *options, satchel_error *error) {
    static const satchel_generate_options defaults = {0};
    sat_memory *memory = &generator->context->memory;
    sat_tokens tokens = *prompt;
    *prompt = (sat_tokens){0};
    *out = NULL;
    if (!options)
        options = &defaults;
    generation *run = sat_calloc(memory, 1, sizeof *run);
    if (!run) {
        sat_tokens_free(&tokens);
        return sat_memory_fail(memory, sizeof *run, error);
    }
    run->stream = (sat_stream){next_event, close_run};
    run->generator = generator;
    run->tokens = tokens;
    run->last = -1;
    run->cancel = sat_cancel_retain(options->cancel);
    satchel_status status = fill(run, options, error);
    if (status)
        close_run(&run->stream);
    else
        *out = &run->stream;
    return status;
}
