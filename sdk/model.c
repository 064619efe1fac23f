/*
 * Models: opening a file, which says by its architecture what it is; names, references, what is
 * known. model_embedder.c and model_generator.c hold what each kind does.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sdk/handle.h"

enum { MIN_TOKENS = 16 };

void satchel_model_options_init(satchel_model_options *options, size_t struct_size) {
    sat_options_init(options, struct_size);
}

/* ------------------------------------------------------------------ life */

satchel_status sat_model_new(satchel_model **out, satchel_context *context, satchel_error *error) {
    satchel_model *model = sat_calloc(&context->memory, 1, sizeof *model);
    if (!model)
        return sat_memory_fail(&context->memory, sizeof *model, error);
    satchel_status status = sat_gate_init(&model->gate, error);
    if (status) {
        sat_free(&context->memory, model);
        return status;
    }
    model->context = sat_context_retain(context);
    atomic_init(&model->references, 1);
    *out = model;
    return SATCHEL_OK;
}

satchel_model *sat_model_retain(satchel_model *model) {
    if (model)
        atomic_fetch_add_explicit(&model->references, 1, memory_order_relaxed);
    return model;
}

void sat_model_release(satchel_model *model) {
    if (!model || atomic_fetch_sub_explicit(&model->references, 1, memory_order_acq_rel) != 1)
        return;
    satchel_context *context = model->context;
    sat_encoder_close(&model->encoder);
    sat_generator_close(&model->generator);
    if (model->app_embedder.destroy)
        model->app_embedder.destroy(model->app_embedder.user);
    if (model->app_generator.destroy)
        model->app_generator.destroy(model->app_generator.user);
    sat_free(&context->memory, atomic_load(&model->spellings));
    sat_free(&context->memory, model->id);
    sat_free(&context->memory, model->fingerprint);
    sat_gate_destroy(&model->gate);
    sat_free(&context->memory, model);
    sat_context_release(context);
}

void satchel_model_close(satchel_model **model) {
    if (!model || !*model)
        return;
    if (!sat_is_forked((*model)->context))
        sat_model_release(*model);
    *model = NULL;
}

satchel_status sat_model_name(satchel_model *model, const char *kind, int32_t number,
                              const char *id, satchel_error *error) {
    sat_memory *memory = &model->context->memory;
    sat_buffer buffer;
    sat_buffer_init(&buffer, memory);
    sat_buffer_append_format(&buffer, "%s\n%" PRId32 "\n%s", kind, number, id);
    model->id = sat_strdup(memory, id);
    model->fingerprint = sat_calloc(memory, 1, 2 * sizeof(sat_digest) + 1);
    satchel_status status = SATCHEL_OK;
    if (buffer.failed || !model->id || !model->fingerprint) {
        status = sat_memory_fail(memory, strlen(id), error);
    } else {
        sat_digest digest = sat_digest_of(buffer.data, buffer.length);
        sat_hex(model->fingerprint, digest.bytes, sizeof digest.bytes);
    }
    sat_buffer_free(&buffer);
    return status;
}

/* ------------------------------------------------------------------ files */

satchel_status sat_model_read_options(satchel_model_options *known, const char *call,
                                      const satchel_model_options *options, satchel_error *error) {
    satchel_status status =
        sat_options_read(known, sizeof *known, options, "satchel_model_options", error);
    if (!status)
        status = sat_check_range(call, "options.pooling", known->pooling, SATCHEL_POOLING_DEFAULT,
                                 SATCHEL_POOLING_LAST, error);
    if (!status && known->max_tokens != 0)
        status = sat_check_range(call, "options.max_tokens", known->max_tokens, MIN_TOKENS,
                                 INT32_MAX, error);
    if (!status)
        status = sat_check_string(call, "options.query_prefix", known->query_prefix, true, error);
    if (!status)
        status =
            sat_check_string(call, "options.document_prefix", known->document_prefix, true, error);
    if (!status)
        status = sat_check_range(call, "options.context_tokens", known->context_tokens, 0,
                                 INT32_MAX, error);
    if (!status)
        status = sat_check_range(call, "options.kv_type", known->kv_type, SATCHEL_KV_DEFAULT,
                                 SATCHEL_KV_F32, error);
    if (!status && known->adapter_count)
        status = sat_check_pointer(call, "options.adapters", known->adapters, error);
    for (size_t i = 0; !status && i < known->adapter_count; i++)
        status = sat_check_pointer(call, "one of options.adapters", known->adapters[i], error);
    if (!status)
        status = sat_check_string(call, "options.chat_template", known->chat_template, true, error);
    if (!status)
        status = sat_check_range(call, "options.warm", known->warm, 0, 1, error);
    return status ? status : sat_cancel_check(known->cancel, error);
}

/* Decoders generate; all else is left to the encoders to know or to refuse. */
static bool generates(const sat_gguf_set *files) {
    return sat_gguf_is_decoder(files->parts[0]);
}

/* Takes the files over, also on failure. */
static satchel_status open_files(satchel_model **out, satchel_context *context, sat_gguf_set *files,
                                 const char *name, const satchel_model_options *options,
                                 satchel_error *error) {
    satchel_model *model = NULL;
    satchel_status status = sat_model_new(&model, context, error);
    if (status) {
        sat_gguf_set_close(&files);
        return status;
    }
    status = (generates(files) ? sat_model_fill_generator
                               : sat_model_fill_embedder)(model, files, name, options, error);
    if (status) {
        sat_model_release(model);
        return status;
    }
    *out = model;
    return SATCHEL_OK;
}

satchel_status satchel_model_open(satchel_model **out, satchel_context *context, const char *path,
                                  const satchel_model_options *options, satchel_error *error) {
    satchel_status status = sat_check_out(__func__, "out", out, sizeof *out, error);
    satchel_model_options known;
    if (!status)
        status = sat_check_context(__func__, context, error);
    if (!status)
        status = sat_check_pointer(__func__, "the path", path, error);
    if (!status)
        status = sat_model_read_options(&known, __func__, options, error);
    if (status)
        return status;
    sat_gguf_set *files = NULL;
    status = sat_gguf_set_open(&files, context, path, error);
    return status ? status : open_files(out, context, files, path, &known, error);
}

satchel_status satchel_model_open_fd(satchel_model **out, satchel_context *context, int32_t fd,
                                     uint64_t offset, uint64_t length,
                                     const satchel_model_options *options, satchel_error *error) {
    satchel_status status = sat_check_out(__func__, "out", out, sizeof *out, error);
    satchel_model_options known;
    if (!status)
        status = sat_check_context(__func__, context, error);
    if (!status)
        status = sat_check_range(__func__, "fd", fd, 0, INT32_MAX, error);
    if (!status)
        status = sat_model_read_options(&known, __func__, options, error);
    if (status)
        return status;
    char name[48];
    snprintf(name, sizeof name, "descriptor %" PRId32, fd);
    sat_mapping mapping = {0};
    sat_gguf_set *files = NULL;
    status = sat_file_map_fd(context, &mapping, fd, offset, length, error);
    if (!status)
        status = sat_gguf_set_open_mapped(&files, context, &mapping, 1, name, error);
    return status ? status : open_files(out, context, files, name, &known, error);
}

/* ------------------------------------------------------------------ what is known */

satchel_status satchel_model_measure(satchel_context *context, const char *path,
                                     satchel_model_need *need, size_t size,
                                     const satchel_model_options *options, satchel_error *error) {
    satchel_status status = sat_check_out(__func__, "need", need, size, error);
    satchel_model_options known;
    if (!status)
        status = sat_check_context(__func__, context, error);
    if (!status)
        status = sat_check_pointer(__func__, "the path", path, error);
    if (!status)
        status = sat_model_read_options(&known, __func__, options, error);
    sat_gguf_set *files = NULL;
    if (!status)
        status = sat_gguf_set_open(&files, context, path, error);
    if (status)
        return status;
    satchel_model_need found = {0};
    status = (generates(files) ? sat_model_measure_generator : sat_model_measure_embedder)(
        &found, context, files, path, &known, error);
    if (!status)
        sat_result_write(need, size, &found, sizeof found);
    return status;
}

satchel_status satchel_model_get_info(const satchel_model *model, satchel_model_info *info,
                                      size_t size, satchel_error *error) {
    satchel_status status = sat_check_out(__func__, "info", info, size, error);
    if (!status)
        status = sat_check_model(__func__, model, error);
    if (!status)
        sat_result_write(info, size, &model->info, sizeof model->info);
    return status;
}

/* ------------------------------------------------------------------ tokens */

satchel_status satchel_model_tokenize(const satchel_model *model, const char *text, size_t length,
                                      int32_t *tokens, size_t capacity, size_t *count,
                                      satchel_error *error) {
    satchel_status status = sat_check_out(__func__, "count", count, sizeof *count, error);
    if (!status)
        status = sat_check_model(__func__, model, error);
    if (!status && capacity > 0)
        status = sat_check_pointer(__func__, "tokens", tokens, error);
    if (!status)
        status = sat_check_text(__func__, "the text", text, &length, error);
    if (!status && !model->encoder && !model->generator)
        status = sat_fail(error, SATCHEL_UNSUPPORTED,
                          "%s: '%s' belongs to the application, which has its tokens", __func__,
                          model->id);
    if (status)
        return status;
    if (model->encoder)
        return sat_encoder_tokenize(model->encoder, text ? text : "", length, tokens, capacity,
                                    count, error);
    sat_tokens found = {0};
    status = sat_model_prompt(model, text, length, false, &found, error);
    *count = status ? 0 : found.count;
    if (*count && capacity)
        memcpy(tokens, found.ids, (*count < capacity ? *count : capacity) * sizeof *tokens);
    sat_tokens_free(&found);
    return status;
}

const char *satchel_model_token(const satchel_model *model, int32_t token) {
    if (!model || sat_is_forked(model->context))
        return NULL;
    if (model->encoder)
        return sat_encoder_token(model->encoder, token);
    return model->generator ? sat_model_spelling((satchel_model *)model, token) : NULL;
}
