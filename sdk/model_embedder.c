/*
 * Models that embed: a text encoder from a file, or an application's embedder. Both end up as one
 * satchel_embedder table, which is all that a store sees.
 */
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "sdk/handle.h"

enum { MIN_TOKENS = 16, MAX_DIMENSION = 8192 };

/* ------------------------------------------------------------------ encoders */

static satchel_status encoder_count(void *user, const char *text, size_t length, size_t *count) {
    satchel_model *model = user;
    return sat_encoder_tokenize(model->encoder, text, length, NULL, 0, count, NULL);
}

static satchel_status encoder_coverage(void *user, const char *text, size_t length, float *share) {
    satchel_model *model = user;
    return sat_encoder_coverage(model->encoder, text, length, share, NULL);
}

static satchel_status encoder_embed(void *user, int32_t role, const satchel_text *texts, size_t n,
                                    float *out, const satchel_cancel *cancel) {
    satchel_model *model = user;
    satchel_error error = {0};
    satchel_status status = sat_encoder_embed(model->encoder, role, texts, n, out, cancel, &error);
    /* The table carries a status alone, so the reason would be lost without this line. */
    if (status && status != SATCHEL_CANCELLED)
        sat_log(model->context, SATCHEL_LOG_WARNING, false, "embedding failed: %s", error.message);
    return status;
}

static satchel_status check_options(const satchel_model_options *options, const char *name,
                                    satchel_error *error) {
    if (options->adapter_count || options->chat_template)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "%s embeds text: options.%s is for models that generate", name,
                        options->adapter_count ? "adapters" : "chat_template");
    return SATCHEL_OK;
}

satchel_status sat_model_fill_embedder(satchel_model *model, sat_gguf_set *files, const char *name,
                                       const satchel_model_options *options, satchel_error *error) {
    satchel_status status = check_options(options, name, error);
    if (!status && files->count > 1)
        status = sat_fail(error, SATCHEL_UNSUPPORTED,
                          "%s: an embedder that is split into %zu files; join them first", name,
                          files->count);
    sat_mapping mapping = {0};
    if (!status) {
        mapping = files->mappings[0]; /* the encoder parses it itself */
        files->mappings[0] = (sat_mapping){0};
    }
    sat_gguf_set_close(&files);
    if (status)
        return status;
    const sat_encoder_options known = {.query_prefix = options->query_prefix,
                                       .document_prefix = options->document_prefix,
                                       .pooling = options->pooling,
                                       .max_tokens = options->max_tokens,
                                       .dimension = options->dimension};
    status = sat_encoder_open(&model->encoder, model->context, &mapping, name, &known, error);
    if (status)
        return status;
    sat_encoder_info(model->encoder, &model->info);
    model->info.kind = SATCHEL_MODEL_EMBEDDER;
    model->table = (satchel_embedder){.struct_size = sizeof model->table,
                                      .user = model,
                                      .id = model->info.fingerprint,
                                      .dimension = model->info.dimension,
                                      .max_tokens = model->info.max_tokens,
                                      .count_tokens = encoder_count,
                                      .coverage = encoder_coverage,
                                      .embed = encoder_embed};
    return SATCHEL_OK;
}

satchel_status sat_model_measure_embedder(satchel_model_need *need, satchel_context *context,
                                          sat_gguf_set *files, const char *name,
                                          const satchel_model_options *options,
                                          satchel_error *error) {
    for (size_t p = 0; p < files->count; p++) {
        need->file_bytes += files->mappings[p].size;
        for (size_t i = 0; i < sat_gguf_tensor_count(files->parts[p]); i++)
            need->weight_bytes += sat_gguf_tensor_at(files->parts[p], i)->bytes;
    }
    need->kind = SATCHEL_MODEL_EMBEDDER;
    /* Opening packs the weights, and how tightly depends on the machine: it is opened to be seen. */
    const uint64_t before = atomic_load_explicit(&context->memory.now, memory_order_relaxed);
    satchel_model *model = NULL;
    satchel_status status = sat_model_new(&model, context, error);
    if (status) {
        sat_gguf_set_close(&files);
        return status;
    }
    status = sat_model_fill_embedder(model, files, name, options, error);
    const uint64_t after = atomic_load_explicit(&context->memory.now, memory_order_relaxed);
    need->memory_bytes = after > before ? after - before : 0;
    sat_model_release(model);
    return status;
}

/* ------------------------------------------------------------------ an application's embedder */

static satchel_status app_count(void *user, const char *text, size_t length, size_t *count) {
    satchel_model *model = user;
    *count = 0;
    sat_gate_enter(&model->gate);
    satchel_status status =
        model->app_embedder.count_tokens(model->app_embedder.user, text, length, count);
    sat_gate_leave(&model->gate);
    return status ? SATCHEL_CALLBACK : SATCHEL_OK;
}

static satchel_status app_coverage(void *user, const char *text, size_t length, float *share) {
    satchel_model *model = user;
    *share = 0;
    sat_gate_enter(&model->gate);
    satchel_status status =
        model->app_embedder.coverage(model->app_embedder.user, text, length, share);
    sat_gate_leave(&model->gate);
    if (status)
        return SATCHEL_CALLBACK;
    if (!(*share >= 0)) /* NaN too */
        *share = 0;
    if (*share > 1)
        *share = 1;
    return SATCHEL_OK;
}

/* The rows come from code we do not know: what is not a direction is refused here, and small
 * departures from length 1 are mended, so that everything behind can count on unit vectors. */
static satchel_status check_rows(const satchel_model *model, float *rows, size_t n,
                                 satchel_error *error) {
    const size_t dimension = (size_t)model->app_embedder.dimension;
    for (size_t row = 0; row < n; row++)
        if (!sat_vector_normalize(model->context->vector, rows + row * dimension, dimension))
            return sat_fail(error, SATCHEL_CALLBACK,
                            "embedder '%s' gave a vector of length 0 or with a value that is not "
                            "finite, for text %zu of %zu",
                            model->id, row + 1, n);
    return SATCHEL_OK;
}

static satchel_status app_embed_checked(satchel_model *model, int32_t role,
                                        const satchel_text *texts, size_t n, float *out,
                                        const satchel_cancel *cancel, satchel_error *error) {
    sat_gate_enter(&model->gate);
    satchel_status status =
        model->app_embedder.embed(model->app_embedder.user, role, texts, n, out, cancel);
    sat_gate_leave(&model->gate);
    if (status == SATCHEL_CANCELLED)
        return sat_fail(error, status, "embedder '%s' was cancelled", model->id);
    if (status == SATCHEL_OUT_OF_MEMORY)
        return sat_fail(error, status, "embedder '%s' ran out of memory", model->id);
    if (status)
        return sat_fail(error, SATCHEL_CALLBACK, "embedder '%s' failed with %s (%" PRId32 ")",
                        model->id, satchel_status_name(status), status);
    return check_rows(model, out, n, error);
}

static satchel_status app_embed(void *user, int32_t role, const satchel_text *texts, size_t n,
                                float *out, const satchel_cancel *cancel) {
    satchel_model *model = user;
    satchel_error error = {0};
    satchel_status status = app_embed_checked(model, role, texts, n, out, cancel, &error);
    if (status && status != SATCHEL_CANCELLED)
        sat_log(model->context, SATCHEL_LOG_WARNING, false, "%s", error.message);
    return status;
}

static satchel_status check_embedder(const char *call, const satchel_embedder *embedder,
                                     satchel_error *error) {
    satchel_status status = sat_check_string(call, "embedder.id", embedder->id, false, error);
    if (!status && embedder->id[0] == '\0')
        status =
            sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                     "%s: embedder.id is empty; it must name the model and its settings", call);
    if (!status && !embedder->embed)
        status = sat_fail(error, SATCHEL_INVALID_ARGUMENT, "%s: embedder.embed is NULL", call);
    if (!status)
        status = sat_check_range(call, "embedder.dimension", embedder->dimension, 1, MAX_DIMENSION,
                                 error);
    if (!status)
        status = sat_check_range(call, "embedder.max_tokens", embedder->max_tokens, MIN_TOKENS,
                                 INT32_MAX, error);
    return status;
}

static satchel_status open_embedder(satchel_model **out, satchel_context *context,
                                    const satchel_embedder *embedder, satchel_error *error) {
    satchel_model *model = NULL;
    satchel_status status = sat_model_new(&model, context, error);
    if (status)
        return status;
    model->app_embedder = *embedder;
    status = sat_model_name(model, "embedder", embedder->dimension, embedder->id, error);
    if (status) {
        model->app_embedder.destroy = NULL; /* the caller of this function calls it */
        sat_model_release(model);
        return status;
    }
    model->app_embedder.id = model->id;
    model->info = (satchel_model_info){.name = model->id,
                                       .architecture = "custom",
                                       .fingerprint = model->fingerprint,
                                       .weight_type = "",
                                       .dimension = embedder->dimension,
                                       .max_tokens = embedder->max_tokens,
                                       .kind = SATCHEL_MODEL_EMBEDDER};
    model->table = (satchel_embedder){.struct_size = sizeof model->table,
                                      .user = model,
                                      .id = model->fingerprint,
                                      .dimension = embedder->dimension,
                                      .max_tokens = embedder->max_tokens,
                                      .count_tokens = embedder->count_tokens ? app_count : NULL,
                                      .coverage = embedder->coverage ? app_coverage : NULL,
                                      .embed = app_embed};
    *out = model;
    return SATCHEL_OK;
}

satchel_status satchel_model_from_embedder(satchel_model **out, satchel_context *context,
                                           const satchel_embedder *embedder, satchel_error *error) {
    if (out)
        *out = NULL;
    satchel_status status = sat_check_pointer(__func__, "the embedder", embedder, error);
    if (status)
        return status;
    satchel_embedder known;
    status = sat_check_pointer(__func__, "out", out, error);
    if (!status)
        status = sat_check_context(__func__, context, error);
    if (!status)
        status = sat_options_read(&known, sizeof known, embedder, "satchel_embedder", error);
    if (!status)
        status = check_embedder(__func__, &known, error);
    if (!status)
        status = open_embedder(out, context, &known, error);
    /* `destroy` is promised on failure too, but can be read only from a struct that reaches it. */
    const size_t reach = offsetof(satchel_embedder, destroy) + sizeof embedder->destroy;
    if (status && sat_struct_reaches(embedder->struct_size, reach) && embedder->destroy)
        embedder->destroy(embedder->user);
    return status;
}

/* ------------------------------------------------------------------ use */

/* Checks every text and, where one is NUL-terminated, copies the list with its lengths filled in:
 * *counted is then the caller's to free, else it stays NULL. */
static satchel_status check_texts(const char *call, sat_memory *memory, const satchel_text *texts,
                                  size_t n, satchel_text **counted, satchel_error *error) {
    for (size_t i = 0; i < n; i++) {
        size_t length = texts[i].length;
        satchel_status status = sat_check_text(call, "a text", texts[i].data, &length, error);
        if (status)
            return status;
        if (length == texts[i].length)
            continue;
        if (!*counted) {
            *counted = sat_alloc_array(memory, n, sizeof **counted);
            if (!*counted)
                return sat_memory_fail(memory, n * sizeof **counted, error);
            memcpy(*counted, texts, n * sizeof **counted);
        }
        (*counted)[i].length = length;
    }
    return SATCHEL_OK;
}

satchel_status satchel_model_embed(satchel_model *model, int32_t role, const satchel_text *texts,
                                   size_t n, float *out, const satchel_cancel *cancel,
                                   satchel_error *error) {
    satchel_status status = sat_check_kind(__func__, model, SATCHEL_MODEL_EMBEDDER, error);
    if (!status)
        status = sat_check_range(__func__, "role", role, SATCHEL_ROLE_DOCUMENT, SATCHEL_ROLE_QUERY,
                                 error);
    if (status || n == 0)
        return status;
    status = sat_check_pointer(__func__, "texts", texts, error);
    if (!status)
        status = sat_check_pointer(__func__, "out", out, error);
    size_t values, bytes;
    if (!status && (!sat_mul_size(n, (size_t)model->info.dimension, &values) ||
                    !sat_mul_size(values, sizeof *out, &bytes)))
        status =
            sat_fail(error, SATCHEL_INVALID_ARGUMENT, "%s: %zu texts are too many", __func__, n);
    sat_memory *memory = model ? &model->context->memory : NULL;
    satchel_text *counted = NULL;
    if (!status)
        status = check_texts(__func__, memory, texts, n, &counted, error);
    if (!status)
        status = sat_cancel_check(cancel, error);
    if (!status) {
        const satchel_text *use = counted ? counted : texts;
        status = model->encoder
                     ? sat_encoder_embed(model->encoder, role, use, n, out, cancel, error)
                     : app_embed_checked(model, role, use, n, out, cancel, error);
    }
    if (counted)
        sat_free(memory, counted);
    return status;
}
