/*
 * The text encoder's interface: opening a GGUF file, what is known about it, tokens. The parts: loading
 * (encoder_load.c), batching (encoder_embed.c), the forward pass (encoder_forward.c).
 */
#include "generate/encoder.h"

#include <string.h>

/* ------------------------------------------------------------------ open */

/* Prefixes: the option, else the file's, else none. */
static satchel_status read_prefix(sat_encoder *encoder, int32_t role, const char *option,
                                  const char *key, satchel_error *error) {
    const char *text = "";
    size_t length = 0;
    sat_gguf_string(encoder->gguf, key, &text, &length);
    if (option) {
        text = option;
        length = strlen(option);
    }
    encoder->prefix[role] = sat_strndup(&encoder->context->memory, text, length);
    if (!encoder->prefix[role])
        return sat_memory_fail(&encoder->context->memory, length + 1, error);
    encoder->prefix_length[role] = length;
    satchel_error inner = {0};
    satchel_status status = sat_wordpiece_encode(encoder->wordpiece, encoder->prefix[role], length,
                                                 NULL, 0, &encoder->prefix_tokens[role], &inner);
    if (status) {
        return sat_fail(error, option ? SATCHEL_INVALID_ARGUMENT : SATCHEL_DAMAGED,
                        "the %s prefix: %s", role == SATCHEL_ROLE_QUERY ? "query" : "document",
                        inner.message);
    }
    return SATCHEL_OK;
}

static satchel_status check_options(const sat_encoder_options *options, satchel_error *error) {
    if (options->pooling < SATCHEL_POOLING_DEFAULT || options->pooling > SATCHEL_POOLING_CLS) {
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "pooling is %d; SATCHEL_POOLING_MEAN (1) and _CLS (2) exist",
                        (int)options->pooling);
    }
    if (options->max_tokens != 0 && options->max_tokens < SAT_ENCODER_MIN_TOKENS) {
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "max_tokens is %d; at least %d",
                        (int)options->max_tokens, SAT_ENCODER_MIN_TOKENS);
    }
    return SATCHEL_OK;
}

/* The weight type that holds most of the parameters, and how many there are. */
static void count_parameters(sat_encoder *encoder) {
    uint64_t by_type[SAT_GGML_Q8_0 + 1] = {0}, most = 0;
    encoder->weight_type = "";
    for (size_t i = 0; i < sat_gguf_tensor_count(encoder->gguf); i++) {
        const sat_tensor *tensor = sat_gguf_tensor_at(encoder->gguf, i);
        uint64_t elements = 1;
        for (uint32_t d = 0; d < tensor->rank; d++)
            elements *= tensor->shape[d]; /* the reader checked that this fits */
        if (!__builtin_add_overflow(encoder->parameters, (int64_t)elements, &encoder->parameters) &&
            tensor->type <= SAT_GGML_Q8_0)
            by_type[tensor->type] += elements;
    }
    for (uint32_t type = 0; type <= SAT_GGML_Q8_0; type++) {
        if (by_type[type] > most) {
            most = by_type[type];
            encoder->weight_type = sat_tensor_type_name(type);
        }
    }
}

/* ------------------------------------------------------------------ fingerprint */

static void add_text(sat_sha256 *hash, const char *text, size_t length) {
    uint64_t size = length;
    sat_sha256_add(hash, &size, sizeof size);
    sat_sha256_add(hash, text, length);
}

/* Names the vectors: whatever changes them changes it. */
static void make_fingerprint(sat_encoder *encoder) {
    const sat_plan *plan = &encoder->plan;
    int64_t settings[] = {(int64_t)plan->dimension, (int64_t)plan->layer_count,
                          (int64_t)plan->heads, plan->pooling, (int64_t)plan->max_tokens};
    sat_sha256 hash;
    sat_sha256_init(&hash);
    add_text(&hash, "bert", 4);
    sat_sha256_add(&hash, settings, sizeof settings);
    sat_sha256_add(&hash, &plan->epsilon, sizeof plan->epsilon);
    for (int role = 0; role < 2; role++)
        add_text(&hash, encoder->prefix[role], encoder->prefix_length[role]);
    sat_wordpiece_fingerprint(encoder->wordpiece, &hash);
    sat_gguf_sample(encoder->gguf, &hash);
    uint8_t digest[32];
    sat_sha256_end(&hash, digest);
    sat_hex(encoder->fingerprint, digest, (sizeof encoder->fingerprint - 1) / 2);
}

static satchel_status fill(sat_encoder *encoder, const char *file,
                           const sat_encoder_options *options, satchel_error *error) {
    satchel_context *context = encoder->context;
    const char *architecture = "";
    satchel_status status = check_options(options, error);
    if (!status) {
        status = sat_gguf_open(&encoder->gguf, context, encoder->mapping.data,
                               encoder->mapping.size, file, error);
    }
    if (status)
        return status;
    sat_gguf_string(encoder->gguf, "general.architecture", &architecture, NULL);
    if (strcmp(architecture, "bert") != 0) {
        return sat_fail(error, SATCHEL_UNSUPPORTED,
                        "%s holds a model of architecture \"%.60s\"; text encoders of architecture "
                        "\"bert\" are supported",
                        file, architecture);
    }
    encoder->name = "";
    sat_gguf_string(encoder->gguf, "general.name", &encoder->name, NULL);
    satchel_error inner = {0};
    status = sat_wordpiece_open(&encoder->wordpiece, context, encoder->gguf, &inner);
    if (status)
        return sat_fail(error, status, "%s: %s", file, inner.message);
    encoder->plan.pooling = options->pooling;
    encoder->plan.max_tokens = (size_t)options->max_tokens;
    status = sat_encoder_load(encoder, file, error);
    if (!status) {
        status = read_prefix(encoder, SATCHEL_ROLE_QUERY, options->query_prefix,
                             "satchel.prefix.query", error);
    }
    if (!status) {
        status = read_prefix(encoder, SATCHEL_ROLE_DOCUMENT, options->document_prefix,
                             "satchel.prefix.document", error);
    }
    if (status)
        return status;
    for (int role = 0; role < 2; role++) {
        if (encoder->prefix_tokens[role] + SAT_ENCODER_MIN_TOKENS > encoder->plan.max_tokens) {
            return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                            "%s: a prefix of %zu tokens leaves no room in %zu", file,
                            encoder->prefix_tokens[role], encoder->plan.max_tokens);
        }
    }
    count_parameters(encoder);
    make_fingerprint(encoder);
    return SATCHEL_OK;
}

satchel_status sat_encoder_open(sat_encoder **out, satchel_context *context, sat_mapping *mapping,
                                const char *name, const sat_encoder_options *options,
                                satchel_error *error) {
    static const sat_encoder_options none = {0};
    *out = NULL;
    sat_encoder *encoder = sat_calloc(&context->memory, 1, sizeof *encoder);
    if (!encoder) {
        sat_file_unmap(context, mapping);
        return sat_memory_fail(&context->memory, sizeof *encoder, error);
    }
    encoder->context = context;
    encoder->mapping = *mapping;
    memset(mapping, 0, sizeof *mapping);
    encoder->kernels = sat_kernels_for(context->cpu_level);
    satchel_status status = fill(encoder, name, options ? options : &none, error);
    if (status)
        sat_encoder_close(&encoder);
    *out = encoder;
    return status;
}

void sat_encoder_close(sat_encoder **slot) {
    sat_encoder *encoder = *slot;
    *slot = NULL;
    if (!encoder)
        return;
    satchel_context *context = encoder->context;
    sat_encoder_unload(encoder);
    sat_wordpiece_close(&encoder->wordpiece);
    sat_gguf_close(&encoder->gguf);
    sat_free(&context->memory, encoder->prefix[0]);
    sat_free(&context->memory, encoder->prefix[1]);
    sat_file_unmap(context, &encoder->mapping);
    sat_free(&context->memory, encoder);
}

/* ------------------------------------------------------------------ about */

void sat_encoder_info(const sat_encoder *encoder, satchel_model_info *info) {
    *info = (satchel_model_info){
        .name = encoder->name,
        .architecture = "bert",
        .fingerprint = encoder->fingerprint,
        .weight_type = encoder->weight_type,
        .dimension = (int32_t)encoder->plan.dimension,
        /* The longest text: a document's prefix takes its tokens from the model's limit. */
        .max_tokens =
            (int32_t)(encoder->plan.max_tokens - encoder->prefix_tokens[SATCHEL_ROLE_DOCUMENT]),
        .vocabulary_size = sat_wordpiece_size(encoder->wordpiece),
        .parameter_count = encoder->parameters,
        .file_bytes = (int64_t)encoder->mapping.size,
    };
}

satchel_status sat_encoder_tokenize(const sat_encoder *encoder, const char *text, size_t length,
                                    int32_t *tokens, size_t capacity, size_t *count,
                                    satchel_error *error) {
    sat_wordpiece_special special = sat_wordpiece_specials(encoder->wordpiece);
    bool room = capacity > 0;
    *count = 0;
    satchel_status status =
        sat_wordpiece_encode(encoder->wordpiece, text, length, room ? tokens + 1 : NULL,
                             room ? capacity - 1 : 0, count, error);
    if (status)
        return status;
    *count += 2;
    if (room)
        tokens[0] = special.cls;
    if (*count <= capacity)
        tokens[*count - 1] = special.sep;
    return SATCHEL_OK;
}

const char *sat_encoder_token(const sat_encoder *encoder, int32_t token) {
    return sat_wordpiece_token(encoder->wordpiece, token);
}

/* ------------------------------------------------------------------ coverage */

satchel_status sat_encoder_coverage(const sat_encoder *encoder, const char *text, size_t length,
                                    float *share, satchel_error *error) {
    return sat_wordpiece_share(encoder->wordpiece, text, length, share, error);
}
