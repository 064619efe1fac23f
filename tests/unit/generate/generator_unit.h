/* What the generator's tests share: a context, tiny generators on it, runs pulled to their end. */
#ifndef SATCHEL_TESTS_UNIT_GENERATE_GENERATOR_UNIT_H
#define SATCHEL_TESTS_UNIT_GENERATE_GENERATOR_UNIT_H

#define CONTEXT_THREADS 2
#include "tests/unit/generate/context_unit.h"

#include "tests/support/tiny_generator.h"

static satchel_error error;

static inline sat_generator *open_generator(const tiny_generator *shape,
                                            const sat_generator_options *options) {
    sat_generator *generator;
    if (tiny_generator_open(&generator, context, shape, options, &error))
        fail_msg("%s", error.message);
    return generator;
}

/* As satchel_cancel_open makes one. */
static inline satchel_cancel *cancel_new(void) {
    satchel_cancel *cancel = sat_calloc(&context->memory, 1, sizeof *cancel);
    assert_non_null(cancel);
    cancel->context = sat_context_retain(context);
    cancel->references = 1;
    return cancel;
}

static inline sat_tokens tokens_of(const sat_generator *generator, const char *text) {
    sat_tokens tokens = {0};
    sat_text_part part = {.text = text, .length = strlen(text)};
    assert_int_equal(sat_generator_prompt(generator, &part, 1, &tokens, &error), SATCHEL_OK);
    return tokens;
}

/* ------------------------------------------------------------------ runs */

enum { ANSWER_BYTES = 8192 };

typedef struct answer {
    satchel_status status;
    char text[ANSWER_BYTES]; /* NUL-terminated */
    size_t length, pieces, readings;
    int32_t last; /* token */
    satchel_event_done done;
} answer;

/* Pulls a run to its end; each piece is checked to be whole UTF-8. */
static inline void pull(sat_stream *stream, answer *out) {
    memset(out, 0, sizeof *out);
    for (;;) {
        satchel_event event = {0};
        out->status = stream->next(stream, &event, &error);
        if (out->status)
            break;
        if (event.kind == SATCHEL_EVENT_PROGRESS) {
            assert_int_equal(event.progress->phase, SATCHEL_PHASE_PREFILL);
            assert_true(event.progress->done <= event.progress->total);
            out->readings++;
        } else if (event.kind == SATCHEL_EVENT_TOKEN) {
            const satchel_event_token *token = event.token;
            assert_true(token->length > 0);
            assert_int_equal(sat_utf8_valid(token->text, token->length), token->length);
            assert_true(out->length + token->length < ANSWER_BYTES);
            memcpy(out->text + out->length, token->text, token->length);
            out->length += token->length;
            out->last = token->token;
            out->pieces++;
        } else {
            assert_int_equal(event.kind, SATCHEL_EVENT_DONE);
            out->done = *event.done;
            break;
        }
    }
    stream->close(stream);
}

static inline satchel_status try_run(sat_generator *generator, const char *prompt,
                                     const satchel_generate_options *options, answer *out) {
    sat_tokens tokens = tokens_of(generator, prompt);
    sat_stream *stream;
    memset(&error, 0, sizeof error);
    memset(out, 0, sizeof *out);
    satchel_status status = sat_generator_run(&stream, generator, &tokens, options, &error);
    assert_int_equal(tokens.count, 0);
    assert_null(tokens.ids);
    if (status) {
        assert_null(stream);
        return status;
    }
    pull(stream, out);
    return out->status;
}

static inline void run(sat_generator *generator, const char *prompt,
                       const satchel_generate_options *options, answer *out) {
    if (try_run(generator, prompt, options, out))
        fail_msg("%s", error.message);
}

static inline void refuse(sat_generator *generator, const char *prompt,
                          const satchel_generate_options *options, satchel_status status,
                          const char *part) {
    answer got;
    satchel_status failed = try_run(generator, prompt, options, &got);
    if (failed != status || !strstr(error.message, part))
        fail_msg("%d \"%s\" is not %d with \"%s\"", failed, error.message, status, part);
}

#define LONG_PROMPT                                                                                \
    "hello world a hello b world c hello d hello e world f hello g hello world h world i hello j " \
    "world k hello l"

#endif
