/*
 * Models: a GGUF text encoder from a path or a descriptor, or an application's embedder. Both end
 * up as one satchel_embedder table, which is all that a store sees.
 */
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "sdk/handle.h"

enum { MIN_TOKENS = 16, MAX_DIMENSION = 8192 };

void satchel_model_options_init(satchel_model_options *options, size_t struct_size) {
    sat_options_init(options, struct_size);
}

/* ------------------------------------------------------------------ life */

static satchel_status model_new(satchel_model **out, satchel_context *context,
                                satchel_error *error) {
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
    if (model->app.destroy)
        model->app.destroy(model->app.user);
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

static satchel_status read_model_options(sat_encoder_options *out, const char *call,
                                         const satchel_model_options *options,
                                         satchel_error *error) {
    satchel_model_options known;
    satchel_status status =
        sat_options_read(&known, sizeof known, options, "satchel_model_options", error);
    if (!status)
        status = sat_check_range(call, "options.pooling", known.pooling, SATCHEL_POOLING_DEFAULT,
                                 SATCHEL_POOLING_CLS, error);
    if (!status && known.max_tokens != 0)
        status = sat_check_range(call, "options.max_tokens", known.max_tokens, MIN_TOKENS,
                                 INT32_MAX, error);
    if (!status)
        status = sat_check_string(call, "options.query_prefix", known.query_prefix, true, error);
    if (!status)
        status =
            sat_check_string(call, "options.document_prefix", known.document_prefix, true, error);
    if (status)
        return status;
    *out = (sat_encoder_options){.query_prefix = known.query_prefix,
                                 .document_prefix = known.document_prefix,
                                 .pooling = known.pooling,
                                 .max_tokens = known.max_tokens};
    return SATCHEL_OK;
}

/* Takes the mapping over, also on failure. */
static satchel_status open_mapped(satchel_model **out, satchel_context *context,
                                  sat_mapping *mapping, const char *name,
                                  const sat_encoder_options *options, satchel_error *error) {
    satchel_model *model = NULL;
    satchel_status status = model_new(&model, context, error);
    if (status) {
        sat_file_unmap(context, mapping);
        return status;
    }
    status = sat_encoder_open(&model->encoder, context, mapping, name, options, error);
    if (status) {
        sat_model_release(model);
        return status;
    }
    sat_encoder_info(model->encoder, &model->info);
    model->table = (satchel_embedder){.struct_size = sizeof model->table,
                                      .user = model,
                                      .id = model->info.fingerprint,
                                      .dimension = model->info.dimension,
                                      .max_tokens = model->info.max_tokens,
                                      .count_tokens = encoder_count,
                                      .coverage = encoder_coverage,
                                      .embed = encoder_embed};
    *out = model;
    return SATCHEL_OK;
}

satchel_status satchel_model_open(satchel_model **out, satchel_context *context, const char *path,
                                  const satchel_model_options *options, satchel_error *error) {
    satchel_status status = sat_check_pointer(__func__, "out", out, error);
    if (status)
        return status;
    *out = NULL;
    sat_encoder_options known;
    status = sat_check_context(__func__, context, error);
    if (!status)
        status = sat_check_pointer(__func__, "the path", path, error);
    if (!status)
        status = read_model_options(&known, __func__, options, error);
    if (status)
        return status;
    sat_mapping mapping = {0};
    status = sat_file_map(context, &mapping, path, error);
    if (status)
        return status;
    return open_mapped(out, context, &mapping, path, &known, error);
}

satchel_status satchel_model_open_fd(satchel_model **out, satchel_context *context, int32_t fd,
                                     uint64_t offset, uint64_t length,
                                     const satchel_model_options *options, satchel_error *error) {
    satchel_status status = sat_check_pointer(__func__, "out", out, error);
    if (status)
        return status;
    *out = NULL;
    sat_encoder_options known;
    status = sat_check_context(__func__, context, error);
    if (!status)
        status = sat_check_range(__func__, "fd", fd, 0, INT32_MAX, error);
    if (!status)
        status = read_model_options(&known, __func__, options, error);
    if (status)
        return status;
    char name[48];
    snprintf(name, sizeof name, "descriptor %" PRId32, fd);
    sat_mapping mapping = {0};
    status = sat_file_map_fd(context, &mapping, fd, offset, length, error);
    if (status)
        return status;
    return open_mapped(out, context, &mapping, name, &known, error);
}

/* ------------------------------------------------------------------ an application's embedder */

static satchel_status app_count(void *user, const char *text, size_t length, size_t *count) {
    satchel_model *model = user;
    *count = 0;
    sat_gate_enter(&model->gate);
    satchel_status status = model->app.count_tokens(model->app.user, text, length, count);
    sat_gate_leave(&model->gate);
    return status ? SATCHEL_CALLBACK : SATCHEL_OK;
}

static satchel_status app_coverage(void *user, const char *text, size_t length, float *share) {
    satchel_model *model = user;
    *share = 0;
    sat_gate_enter(&model->gate);
    satchel_status status = model->app.coverage(model->app.user, text, length, share);
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
    const size_t dimension = (size_t)model->app.dimension;
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
    satchel_status status = model->app.embed(model->app.user, role, texts, n, out, cancel);
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

/* What names this embedder's vectors: its id and dimension, hashed to the form of other models. */
static satchel_status name_vectors(satchel_model *model, const char *id, satchel_error *error) {
    sat_memory *memory = &model->context->memory;
    sat_buffer buffer;
    sat_buffer_init(&buffer, memory);
    sat_buffer_append_format(&buffer, "embedder\n%" PRId32 "\n%s", model->app.dimension, id);
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

static satchel_status open_embedder(satchel_model **out, satchel_context *context,
                                    const satchel_embedder *embedder, satchel_error *error) {
    satchel_model *model = NULL;
    satchel_status status = model_new(&model, context, error);
    if (status)
        return status;
    model->app = *embedder;
    status = name_vectors(model, embedder->id, error);
    if (status) {
        model->app.destroy = NULL; /* the caller of this function calls it */
        sat_model_release(model);
        return status;
    }
    model->app.id = model->id;
    model->info = (satchel_model_info){.name = model->id,
                                       .architecture = "custom",
                                       .fingerprint = model->fingerprint,
                                       .weight_type = "",
                                       .dimension = embedder->dimension,
                                       .max_tokens = embedder->max_tokens};
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

satchel_status satchel_model_get_info(const satchel_model *model, satchel_model_info *info,
                                      size_t size, satchel_error *error) {
    satchel_status status = sat_check_pointer(__func__, "info", info, error);
    if (status)
        return status;
    memset(info, 0, size);
    status = sat_check_model(__func__, model, error);
    if (!status)
        sat_result_write(info, size, &model->info, sizeof model->info);
    return status;
}

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
    satchel_status status = sat_check_model(__func__, model, error);
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

satchel_status satchel_model_tokenize(const satchel_model *model, const char *text, size_t length,
                                      int32_t *tokens, size_t capacity, size_t *count,
                                      satchel_error *error) {
    satchel_status status = sat_check_pointer(__func__, "count", count, error);
    if (status)
        return status;
    *count = 0;
    status = sat_check_model(__func__, model, error);
    if (!status && capacity > 0)
        status = sat_check_pointer(__func__, "tokens", tokens, error);
    if (!status)
        status = sat_check_text(__func__, "the text", text, &length, error);
    if (!status && !model->encoder)
        status = sat_fail(error, SATCHEL_UNSUPPORTED,
                          "%s: embedder '%s' belongs to the application, which has its tokens",
                          __func__, model->id);
    if (status)
        return status;
    return sat_encoder_tokenize(model->encoder, text ? text : "", length, tokens, capacity, count,
                                error);
}

const char *satchel_model_token(const satchel_model *model, int32_t token) {
    if (!model || !model->encoder || sat_is_forked(model->context))
        return NULL;
    return sat_encoder_token(model->encoder, token);
}
