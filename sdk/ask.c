/* Asking: an extractive answer, one in a generator's words, or, split, one by the application. */
#include <string.h>

#include "sdk/handle.h"

/* A prepared question. */
struct satchel_prepared {
    satchel_store *store;
    sat_prepared *prepared;
};

void satchel_ask_options_init(satchel_ask_options *options, size_t struct_size) {
    sat_options_init(options, struct_size);
}

const char *satchel_prompt_default(void) {
    return sat_prompt_default();
}

/* ------------------------------------------------------------------ options */

static satchel_status check_ask_options(const char *call, const satchel_ask_options *options,
                                        satchel_error *error) {
    satchel_status status =
        sat_check_range(call, "options.mode", options->mode, SATCHEL_ANSWER_DEFAULT,
                        SATCHEL_ANSWER_GENERATED, error);
    if (!status)
        status = sat_check_range(call, "options.search_mode", options->search_mode,
                                 SATCHEL_SEARCH_DEFAULT, SATCHEL_SEARCH_HYBRID, error);
    if (!status)
        status = sat_check_range(call, "options.k", options->k, 0, SAT_MAX_HITS, error);
    if (!status)
        status = sat_check_range(call, "options.max_sentences", options->max_sentences, 0,
                                 INT32_MAX, error);
    if (!status)
        status = sat_check_string(call, "options.filter", options->filter, true, error);
    if (!status && options->refusal_threshold != options->refusal_threshold)
        status = sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                          "%s: options.refusal_threshold is not a number", call);
    if (!status && options->generator)
        status = sat_check_kind(call, options->generator, SATCHEL_MODEL_GENERATOR, error);
    if (!status)
        status = sat_check_string(call, "options.history", options->history, true, error);
    if (!status)
        status = sat_check_string(call, "options.prompt", options->prompt, true, error);
    if (!status)
        status = sat_check_range(call, "options.context_tokens", options->context_tokens, 0,
                                 INT32_MAX, error);
    return status;
}

static satchel_status check_ask(const char *call, satchel_store *store, const char *question,
                                const satchel_ask_options *options, satchel_ask_options *known,
                                satchel_generate_options *generate, satchel_error *error) {
    satchel_status status = sat_check_store(call, store, error);
    if (!status)
        status = sat_check_string(call, "the question", question, false, error);
    if (!status)
        status = sat_options_read(known, sizeof *known, options, "satchel_ask_options", error);
    if (!status)
        status = check_ask_options(call, known, error);
    if (!status)
        status = sat_generate_read_options(generate, call, known->generate, error);
    return status;
}

/* ------------------------------------------------------------------ a generator as a writer */

/* What an answer needs of the generator until it ends: the model, and a copy of the options. */
typedef struct asked {
    satchel_model *model;
    sat_arena arena;
    satchel_generate_options generate;
    satchel_chat_options chat;
    satchel_cancel *cancel;
} asked;

/* A copy in the arena; NULL stays NULL. *fine turns false when memory runs out. */
static void *copy(sat_arena *arena, const void *data, size_t count, size_t size, bool *fine) {
    size_t bytes;
    if (!data || !*fine)
        return NULL;
    void *made = sat_mul_size(count, size, &bytes) ? sat_arena_alloc(arena, bytes) : NULL;
    *fine = made != NULL;
    if (made && bytes > 0)
        memcpy(made, data, bytes);
    return made;
}

static const char *copy_string(sat_arena *arena, const char *text, bool *fine) {
    return copy(arena, text, text ? strlen(text) + 1 : 0, 1, fine);
}

static bool copy_options(asked *a, const satchel_generate_options *options) {
    satchel_generate_options *o = &a->generate;
    bool fine = true;
    *o = *options;
    o->bias_tokens = copy(&a->arena, o->bias_count ? o->bias_tokens : NULL, o->bias_count,
                          sizeof *o->bias_tokens, &fine);
    o->biases =
        copy(&a->arena, o->bias_count ? o->biases : NULL, o->bias_count, sizeof *o->biases, &fine);
    const char **stop =
        copy(&a->arena, o->stop_count ? o->stop : NULL, o->stop_count, sizeof *o->stop, &fine);
    for (size_t i = 0; fine && stop && i < o->stop_count; i++)
        stop[i] = copy_string(&a->arena, stop[i], &fine);
    o->stop = stop;
    o->schema = copy_string(&a->arena, o->schema, &fine);
    o->grammar = copy_string(&a->arena, o->grammar, &fine);
    return fine;
}

static satchel_status asked_count(void *user, const char *text, size_t length, size_t *count,
                                  satchel_error *error) {
    asked *a = user;
    return sat_model_count_text(a->model, text, length, count, error);
}

static satchel_status asked_count_messages(void *user, const char *messages, size_t length,
                                           size_t *count, satchel_error *error) {
    asked *a = user;
    if (!a->model->generator)
        return sat_model_count_chat(a->model, messages, length, count, error);
    sat_tokens tokens = {0};
    satchel_status status =
        sat_generator_chat_prompt(a->model->generator, &a->chat, messages, length, &tokens, error);
    *count = tokens.count;
    sat_tokens_free(&tokens);
    return status;
}

static satchel_status asked_write(void *user, sat_stream **out, const char *messages, size_t length,
                                  int32_t max_tokens, satchel_error *error) {
    asked *a = user;
    a->generate.max_tokens = max_tokens;
    return sat_model_chat(out, a->model, messages, length, &a->chat, error);
}

static void asked_release(void *user) {
    asked *a = user;
    satchel_model *model = a->model;
    sat_arena_free(&a->arena);
    sat_cancel_release(a->cancel);
    sat_free(&model->context->memory, a);
    sat_model_release(model);
}

/* Makes what retrieval needs; after success the setup's writer is to be given away. */
static satchel_status set_up(sat_ask_setup *setup, const satchel_ask_options *options,
                             const satchel_generate_options *generate, satchel_error *error) {
    satchel_model *model = options->generator;
    *setup = (sat_ask_setup){.history = options->history,
                             .prompt = options->prompt,
                             .context_tokens = options->context_tokens,
                             .max_tokens = generate->max_tokens};
    if (!model)
        return SATCHEL_OK;
    sat_memory *memory = &model->context->memory;
    asked *a = sat_calloc(memory, 1, sizeof *a);
    if (!a)
        return sat_memory_fail(memory, sizeof *a, error);
    sat_arena_init(&a->arena, memory);
    a->model = sat_model_retain(model);
    if (!copy_options(a, generate)) {
        asked_release(a);
        return sat_memory_fail(memory, sizeof *a, error);
    }
    a->cancel = sat_cancel_retain(generate->cancel ? generate->cancel : options->cancel);
    a->generate.cancel = a->cancel;
    /* Passages are to be read, not thought over aloud: templates that know the name heed it. */
    a->chat = (satchel_chat_options){.struct_size = sizeof a->chat,
                                     .generate = &a->generate,
                                     .variables =
                                         model->generator ? "{\"enable_thinking\":false}" : NULL};
    setup->writer = (sat_writer){.user = a,
                                 .context_tokens = model->info.context_tokens,
                                 .parts = model->generator != NULL,
                                 .count = asked_count,
                                 .count_messages = asked_count_messages,
                                 .write = asked_write,
                                 .release = asked_release};
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ ask */

satchel_status satchel_ask(satchel_stream **out, satchel_store *store, const char *question,
                           const satchel_ask_options *options, satchel_error *error) {
    satchel_status status = sat_check_out(__func__, "out", out, sizeof *out, error);
    satchel_ask_options known;
    satchel_generate_options generate;
    if (!status)
        status = check_ask(__func__, store, question, options, &known, &generate, error);
    if (status)
        return status;
    bool generated = known.generator && known.mode != SATCHEL_ANSWER_EXTRACTIVE;
    /* Never a silent switch to quoting when an answer in own words was asked for. */
    if (known.mode == SATCHEL_ANSWER_GENERATED && !generated)
        return sat_fail(error, SATCHEL_NO_MODEL,
                        "%s: a generated answer needs a language model, and options.generator is "
                        "NULL; give one, ask for SATCHEL_ANSWER_EXTRACTIVE, or leave the mode 0",
                        __func__);
    sat_stream *inner = NULL;
    sat_ask_setup setup;
    if (!generated) {
        status = sat_extract_answer(&inner, store->store, question, &known, error);
    } else {
        status = set_up(&setup, &known, &generate, error);
        if (!status)
            status = sat_generated_answer(&inner, store->store, question, &known, &setup, error);
    }
    return status ? status
                  : sat_stream_wrap(out, store, generated ? known.generator : NULL, inner, error);
}

/* ------------------------------------------------------------------ split ask */

satchel_status satchel_ask_prepare(satchel_prepared **out, satchel_store *store,
                                   const char *question, const satchel_ask_options *options,
                                   satchel_error *error) {
    satchel_status status = sat_check_out(__func__, "out", out, sizeof *out, error);
    satchel_ask_options known;
    satchel_generate_options generate;
    if (!status)
        status = check_ask(__func__, store, question, options, &known, &generate, error);
    if (!status && !known.generator && known.context_tokens == 0)
        status =
            sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                     "%s: options.context_tokens is 0; say how many tokens the prompt may have, "
                     "or give the generator",
                     __func__);
    if (status)
        return status;
    sat_memory *memory = &store->context->memory;
    satchel_prepared *prepared = sat_calloc(memory, 1, sizeof *prepared);
    if (!prepared)
        return sat_memory_fail(memory, sizeof *prepared, error);
    sat_ask_setup setup;
    status = set_up(&setup, &known, &generate, error);
    if (!status) {
        setup.writer.parts = false; /* for models of all kinds: contents are strings */
        status =
            sat_prepared_open(&prepared->prepared, store->store, question, &known, &setup, error);
    }
    if (status) {
        sat_free(memory, prepared);
        return status;
    }
    prepared->store = sat_handle_retain(store);
    *out = prepared;
    return SATCHEL_OK;
}

void satchel_prepared_close(satchel_prepared **prepared) {
    if (!prepared || !*prepared)
        return;
    satchel_store *store = (*prepared)->store;
    if (!sat_is_forked(store->context)) {
        sat_prepared_close(&(*prepared)->prepared);
        sat_free(&store->context->memory, *prepared);
        sat_handle_release(store);
    }
    *prepared = NULL;
}

static satchel_status check_prepared(const char *call, const satchel_prepared *prepared,
                                     satchel_error *error) {
    satchel_status status = sat_check_pointer(call, "the prepared", prepared, error);
    return status ? status : sat_check_store(call, prepared->store, error);
}

satchel_status satchel_prepared_get_info(const satchel_prepared *prepared,
                                         satchel_prepared_info *info, size_t size,
                                         satchel_error *error) {
    satchel_status status = sat_check_out(__func__, "info", info, size, error);
    if (!status)
        status = check_prepared(__func__, prepared, error);
    if (status)
        return status;
    satchel_prepared_info known;
    sat_prepared_info(prepared->prepared, &known);
    sat_result_write(info, size, &known, sizeof known);
    return SATCHEL_OK;
}

const satchel_results *satchel_prepared_results(const satchel_prepared *prepared) {
    return prepared && !sat_is_forked(prepared->store->context)
               ? sat_prepared_results(prepared->prepared)
               : NULL;
}

satchel_status satchel_prepared_get_passage(const satchel_prepared *prepared, size_t number,
                                            satchel_passage *out, size_t size,
                                            satchel_error *error) {
    satchel_status status = sat_check_out(__func__, "out", out, size, error);
    satchel_passage known;
    if (!status)
        status = check_prepared(__func__, prepared, error);
    if (!status)
        status = sat_prepared_passage(prepared->prepared, number, &known, error);
    if (!status)
        sat_result_write(out, size, &known, sizeof known);
    return status;
}

satchel_status satchel_prepared_resolve(satchel_stream **out, satchel_prepared *prepared,
                                        const char *text, size_t length, int32_t final,
                                        satchel_error *error) {
    satchel_status status = sat_check_out(__func__, "out", out, sizeof *out, error);
    if (!status)
        status = check_prepared(__func__, prepared, error);
    if (!status && length > 0)
        status = sat_check_pointer(__func__, "the text", text, error);
    if (!status)
        status = sat_check_range(__func__, "final", final, 0, 1, error);
    if (status)
        return status;
    if (length == SATCHEL_NUL_TERMINATED)
        length = strlen(text);
    sat_stream *inner = NULL;
    status = sat_prepared_resolve(&inner, prepared->prepared, text ? text : "", length, final != 0,
                                  error);
    return status ? status : sat_stream_wrap(out, prepared->store, NULL, inner, error);
}
