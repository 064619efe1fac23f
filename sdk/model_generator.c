/*
 * Models that generate: a decoder from a file, or an application's generator. Tokens, scores, and what
 * asking needs to know of either; generate.c runs them.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "sdk/handle.h"

enum {
    MIN_CONTEXT = 256,   /* of an application's generator */
    LETTERS_A_TOKEN = 4, /* where it cannot count: too many do less harm than too few */
    MESSAGE_TOKENS = 8   /* what a template puts around a message, about */
};

/* ------------------------------------------------------------------ files */

static sat_generator_options options_of(const satchel_model_options *options) {
    return (sat_generator_options){.context_tokens = options->context_tokens,
                                   .kv_type = options->kv_type,
                                   .adapters = options->adapters,
                                   .adapter_scales = options->adapter_scales,
                                   .adapter_count = options->adapter_count,
                                   .chat_template = options->chat_template};
}

satchel_status sat_model_fill_generator(satchel_model *model, sat_gguf_set *files, const char *name,
                                        const satchel_model_options *options,
                                        satchel_error *error) {
    const sat_generator_options known = options_of(options);
    satchel_status status =
        sat_generator_open(&model->generator, model->context, files, name, &known, error);
    if (status)
        return status;
    sat_generator_info(model->generator, &model->info);
    model->info.kind = SATCHEL_MODEL_GENERATOR;
    return options->warm ? sat_generator_warm(model->generator, options->progress,
                                              options->progress_user, options->cancel, error)
                         : SATCHEL_OK;
}

satchel_status sat_model_measure_generator(satchel_model_need *need, satchel_context *context,
                                           sat_gguf_set *files, const char *name,
                                           const satchel_model_options *options,
                                           satchel_error *error) {
    const sat_generator_options known = options_of(options);
    satchel_status status = sat_generator_measure(need, context, files, name, &known, error);
    need->kind = SATCHEL_MODEL_GENERATOR;
    return status;
}

/* As sat_check_kind for a generator; UNSUPPORTED if it is the application's, which has its tokens. */
static satchel_status check_file(const char *call, const satchel_model *model,
                                 satchel_error *error) {
    satchel_status status = sat_check_kind(call, model, SATCHEL_MODEL_GENERATOR, error);
    if (!status && !model->generator)
        status = sat_fail(error, SATCHEL_UNSUPPORTED,
                          "%s: generator '%s' belongs to the application, which has its tokens",
                          call, model->id);
    return status;
}

/* ------------------------------------------------------------------ tokens */

satchel_status sat_model_prompt(const satchel_model *model, const char *text, size_t length,
                                bool trusted, sat_tokens *out, satchel_error *error) {
    const sat_text_part part = {.text = text ? text : "", .length = length, .trusted = trusted};
    return sat_generator_prompt(model->generator, &part, 1, out, error);
}

/* Spellings lie in the file without a NUL: the first call copies them all, whoever comes second keeps
 * the first one's. */
const char *sat_model_spelling(satchel_model *model, int32_t token) {
    const sat_tokenizer *tokenizer = sat_generator_tokenizer(model->generator);
    const int32_t size = sat_tokenizer_size(tokenizer);
    if (token < 0 || token >= size)
        return NULL;
    sat_spellings *have = atomic_load_explicit(&model->spellings, memory_order_acquire);
    if (!have) {
        sat_memory *memory = &model->context->memory;
        size_t bytes = 0, length;
        for (int32_t id = 0; id < size; id++)
            if (sat_tokenizer_piece(tokenizer, id, &length))
                bytes += length + 1;
        sat_spellings *made =
            sat_alloc(memory, sizeof *made + (size_t)size * sizeof *made->at + bytes);
        if (!made)
            return NULL;
        made->count = (size_t)size;
        char *text = (char *)(made->at + size);
        for (int32_t id = 0; id < size; id++) {
            const char *piece = sat_tokenizer_piece(tokenizer, id, &length);
            made->at[id] = piece ? text : NULL;
            if (!piece)
                continue;
            memcpy(text, piece, length);
            text[length] = '\0';
            text += length + 1;
        }
        if (atomic_compare_exchange_strong_explicit(&model->spellings, &have, made,
                                                    memory_order_acq_rel, memory_order_acquire))
            have = made;
        else
            sat_free(memory, made);
    }
    return have->at[token];
}

satchel_status satchel_model_detokenize(const satchel_model *model, const int32_t *tokens,
                                        size_t count, int32_t special, char *text, size_t capacity,
                                        size_t *length, satchel_error *error) {
    satchel_status status = sat_check_out(__func__, "length", length, sizeof *length, error);
    if (!status)
        status = check_file(__func__, model, error);
    if (!status && count > 0)
        status = sat_check_pointer(__func__, "tokens", tokens, error);
    if (!status)
        status = sat_check_range(__func__, "special", special, 0, 1, error);
    if (!status && capacity > 0)
        status = sat_check_pointer(__func__, "the text", text, error);
    if (status)
        return status;
    const sat_tokenizer *tokenizer = sat_generator_tokenizer(model->generator);
    sat_detokenizer state = {0};
    sat_buffer out;
    sat_buffer_init(&out, &model->context->memory);
    for (size_t i = 0; !status && i < count; i++) {
        status = sat_check_range(__func__, "a token", tokens[i], 0,
                                 (int64_t)sat_tokenizer_size(tokenizer) - 1, error);
        if (!status && !sat_detokenize(tokenizer, &state, tokens[i], special != 0, &out))
            status = sat_memory_fail(&model->context->memory, out.length, error);
    }
    if (!status && !sat_detokenize_end(&state, &out))
        status = sat_memory_fail(&model->context->memory, out.length, error);
    if (!status) {
        *length = out.length;
        const size_t written = out.length < capacity ? out.length : capacity;
        if (written)
            memcpy(text, out.data, written);
    }
    sat_buffer_free(&out);
    return status;
}

/* ------------------------------------------------------------------ scores */

satchel_status satchel_model_logits(satchel_model *model, const int32_t *tokens, size_t count,
                                    float *logits, const satchel_cancel *cancel,
                                    satchel_error *error) {
    satchel_status status = check_file(__func__, model, error);
    if (status || count == 0)
        return status;
    status = sat_check_pointer(__func__, "tokens", tokens, error);
    if (!status)
        status = sat_check_pointer(__func__, "logits", logits, error);
    const int64_t last = model->info.vocabulary_size - 1;
    for (size_t i = 0; !status && i < count; i++)
        status = sat_check_range(__func__, "a token", tokens[i], 0, last, error);
    if (!status)
        status = sat_cancel_check(cancel, error);
    return status ? status
                  : sat_generator_logits(model->generator, tokens, count, logits, cancel, error);
}

satchel_status satchel_model_perplexity(satchel_model *model, const char *text, size_t length,
                                        satchel_perplexity *out, size_t size,
                                        satchel_progress_function progress, void *user,
                                        const satchel_cancel *cancel, satchel_error *error) {
    satchel_status status = sat_check_out(__func__, "out", out, size, error);
    if (!status)
        status = check_file(__func__, model, error);
    if (!status)
        status = sat_check_text(__func__, "the text", text, &length, error);
    if (!status)
        status = sat_cancel_check(cancel, error);
    satchel_perplexity known = {0};
    if (!status)
        status = sat_generator_perplexity(model->generator, text ? text : "", length, progress,
                                          user, cancel, &known, error);
    if (!status)
        sat_result_write(out, size, &known, sizeof known);
    return status;
}

/* ------------------------------------------------------------------ an application's generator */

static satchel_status check_table(const char *call, const satchel_generator *table,
                                  satchel_error *error) {
    satchel_status status = sat_check_string(call, "generator.id", table->id, false, error);
    if (!status && table->id[0] == '\0')
        status =
            sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                     "%s: generator.id is empty; it must name the model and its settings", call);
    if (!status && (!table->begin || !table->next || !table->end))
        status = sat_fail(error, SATCHEL_INVALID_ARGUMENT, "%s: generator.%s is NULL", call,
                          !table->begin  ? "begin"
                          : !table->next ? "next"
                                         : "end");
    if (!status)
        status = sat_check_range(call, "generator.context_tokens", table->context_tokens,
                                 MIN_CONTEXT, INT32_MAX, error);
    return status;
}

static satchel_status open_table(satchel_model **out, satchel_context *context,
                                 const satchel_generator *table, satchel_error *error) {
    satchel_model *model = NULL;
    satchel_status status = sat_model_new(&model, context, error);
    if (status)
        return status;
    status = sat_model_name(model, "generator", table->context_tokens, table->id, error);
    if (status) {
        sat_model_release(model);
        return status;
    }
    model->app_generator = *table;
    model->app_generator.id = model->id;
    model->info = (satchel_model_info){.name = model->id,
                                       .architecture = "custom",
                                       .fingerprint = model->fingerprint,
                                       .weight_type = "",
                                       .max_tokens = table->context_tokens,
                                       .kind = SATCHEL_MODEL_GENERATOR,
                                       .context_tokens = table->context_tokens,
                                       .has_chat_template = 1};
    *out = model;
    return SATCHEL_OK;
}

satchel_status satchel_model_from_generator(satchel_model **out, satchel_context *context,
                                            const satchel_generator *generator,
                                            satchel_error *error) {
    if (out)
        *out = NULL;
    satchel_status status = sat_check_pointer(__func__, "the generator", generator, error);
    if (status)
        return status;
    satchel_generator known;
    status = sat_check_pointer(__func__, "out", out, error);
    if (!status)
        status = sat_check_context(__func__, context, error);
    if (!status)
        status = sat_options_read(&known, sizeof known, generator, "satchel_generator", error);
    if (!status)
        status = check_table(__func__, &known, error);
    if (!status)
        status = open_table(out, context, &known, error);
    /* `destroy` is promised on failure too, but can be read only from a struct that reaches it. */
    const size_t reach = offsetof(satchel_generator, destroy) + sizeof generator->destroy;
    if (status && sat_struct_reaches(generator->struct_size, reach) && generator->destroy)
        generator->destroy(generator->user);
    return status;
}

/* ------------------------------------------------------------------ counting */

satchel_status sat_model_count_text(satchel_model *model, const char *text, size_t length,
                                    size_t *count, satchel_error *error) {
    *count = 0;
    if (model->generator) {
        sat_tokens tokens = {0};
        const sat_text_part part = {.text = text, .length = length};
        satchel_status status = sat_tokenizer_encode(sat_generator_tokenizer(model->generator),
                                                     &part, 1, SAT_ENCODE_BARE, &tokens, error);
        *count = tokens.count;
        sat_tokens_free(&tokens);
        return status;
    }
    const satchel_generator *table = &model->app_generator;
    if (!table->count_tokens) {
        *count = sat_text_estimate_tokens(text, length, LETTERS_A_TOKEN);
        return SATCHEL_OK;
    }
    sat_gate_enter(&model->gate);
    satchel_status status = table->count_tokens(table->user, text, length, count);
    sat_gate_leave(&model->gate);
    return status ? sat_fail(error, SATCHEL_CALLBACK,
                             "generator '%s': count_tokens() failed with %s (%" PRId32 ")",
                             model->id, satchel_status_name(status), status)
                  : SATCHEL_OK;
}

struct counting {
    satchel_model *model;
    size_t count;
};

static satchel_status count_message(void *user, const char *role, const char *content,
                                    size_t length, satchel_error *error) {
    struct counting *counting = user;
    size_t count;
    (void)role;
    satchel_status status = sat_model_count_text(counting->model, content, length, &count, error);
    counting->count += count + MESSAGE_TOKENS;
    return status;
}

satchel_status sat_model_count_chat(satchel_model *model, const char *messages, size_t length,
                                    size_t *count, satchel_error *error) {
    *count = 0;
    if (model->generator) {
        sat_tokens tokens = {0};
        satchel_status status =
            sat_generator_chat_prompt(model->generator, NULL, messages, length, &tokens, error);
        *count = tokens.count;
        sat_tokens_free(&tokens);
        return status;
    }
    struct counting counting = {.model = model};
    satchel_status status =
        sat_messages_read(model->context, messages, length, count_message, &counting, error);
    *count = counting.count;
    return status;
}
