/*
 * The text encoder's interface: opening a GGUF file, what is known about it. The parts: tokens
 * (encoder_tokens.c), loading (encoder_keys.c, encoder_load.c), batching (encoder_embed.c), the
 * forward pass (encoder_forward.c).
 */
#include "generate/encoder.h"

#include <string.h>

/* ------------------------------------------------------------------ open */

/* Prefixes: the option, else the file's, else the architecture's, else none. */
static satchel_status read_prefix(sat_encoder *encoder, int32_t role, const char *option,
                                  const char *key, satchel_error *error) {
    const char *text = encoder->plan.arch->prefix[role];
    size_t length = text ? strlen(text) : 0;
    sat_gguf_string(encoder->gguf, key, &text, &length);
    if (option) {
        text = option;
        length = strlen(option);
    }
    encoder->prefix[role] = sat_strndup(&encoder->context->memory, text ? text : "", length);
    if (!encoder->prefix[role])
        return sat_memory_fail(&encoder->context->memory, length + 1, error);
    encoder->prefix_length[role] = length;
    satchel_error inner = {0};
    satchel_status status = sat_encoder_count(encoder, encoder->prefix[role], length,
                                              &encoder->prefix_tokens[role], &inner);
    if (status == SATCHEL_INVALID_TEXT) {
        return sat_fail(error, option ? SATCHEL_INVALID_ARGUMENT : SATCHEL_DAMAGED,
                        "the %s prefix: %s", role == SATCHEL_ROLE_QUERY ? "query" : "document",
                        inner.message);
    }
    return status ? sat_fail(error, status, "%s", inner.message) : SATCHEL_OK;
}

static satchel_status read_prefixes(sat_encoder *encoder, const sat_encoder_options *options,
                                    satchel_error *error) {
    satchel_status status = read_prefix(encoder, SATCHEL_ROLE_QUERY, options->query_prefix,
                                        "satchel.prefix.query", error);
    if (!status) {
        status = read_prefix(encoder, SATCHEL_ROLE_DOCUMENT, options->document_prefix,
                             "satchel.prefix.document", error);
    }
    for (int role = 0; role < 2 && !status; role++) {
        if (encoder->prefix_tokens[role] + SAT_ENCODER_MIN_TOKENS > encoder->plan.max_tokens) {
            status = sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                              "%s: a prefix of %zu tokens leaves no room in %zu", encoder->file,
                              encoder->prefix_tokens[role], encoder->plan.max_tokens);
        }
    }
    return status;
}

static satchel_status check_options(const sat_encoder_options *options, satchel_error *error) {
    if (options->pooling < SATCHEL_POOLING_DEFAULT || options->pooling > SATCHEL_POOLING_LAST) {
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "pooling is %d; SATCHEL_POOLING_MEAN (1), _CLS (2) and _LAST (3) exist",
                        (int)options->pooling);
    }
    if (options->max_tokens != 0 && options->max_tokens < SAT_ENCODER_MIN_TOKENS) {
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "max_tokens is %d; at least %d",
                        (int)options->max_tokens, SAT_ENCODER_MIN_TOKENS);
    }
    if (options->dimension < 0) {
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "dimension is %d; 0 is all of a vector",
                        (int)options->dimension);
    }
    return SATCHEL_OK;
}

/* The first so many values of the model's vectors. */
static satchel_status cut_output(sat_encoder *encoder, int32_t dimension, satchel_error *error) {
    if ((size_t)dimension > encoder->plan.output) {
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "dimension is %d, but vectors of %s have %zu values", (int)dimension,
                        encoder->file, encoder->plan.output);
    }
    if (dimension > 0)
        encoder->plan.output = (size_t)dimension;
    return SATCHEL_OK;
}

/* The weight type that holds most of the parameters, and how many there are. */
static void count_parameters(sat_encoder *encoder) {
    enum { TYPES = 64 };
    uint64_t by_type[TYPES] = {0}, most = 0;
    encoder->weight_type = "";
    for (size_t i = 0; i < sat_gguf_tensor_count(encoder->gguf); i++) {
        const sat_tensor *tensor = sat_gguf_tensor_at(encoder->gguf, i);
        uint64_t elements = 1;
        for (uint32_t d = 0; d < tensor->rank; d++)
            elements *= tensor->shape[d]; /* the reader checked that this fits */
        if (!__builtin_add_overflow(encoder->parameters, (int64_t)elements, &encoder->parameters) &&
            tensor->type < TYPES)
            by_type[tensor->type] += elements;
    }
    for (uint32_t type = 0; type < TYPES; type++) {
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

/* What plain BERT has none of, so that its fingerprints stay as they were. */
static void add_more(const sat_plan *plan, sat_sha256 *hash) {
    if (plan->output != plan->dimension)
        sat_sha256_add(hash, &(uint64_t){plan->output}, sizeof(uint64_t));
    if (plan->kv_heads != plan->heads || plan->queries != plan->dimension)
        sat_sha256_add(hash, &(uint64_t){plan->kv_heads}, sizeof(uint64_t));
    if (plan->gate != plan->arch->gate)
        sat_sha256_add(hash, &(int32_t){(int32_t)plan->gate}, sizeof(int32_t));
    for (size_t i = 0; plan->window && i < plan->layer_count; i++)
        sat_sha256_add(hash, &(uint64_t){plan->layers[i].reach}, sizeof(uint64_t));
    for (int i = 0; i < SAT_ENCODER_ROPES; i++)
        if (plan->rope[i].frequencies)
            sat_sha256_add(hash, plan->rope[i].frequencies, plan->rotated / 2 * sizeof(double));
}

/* Names the vectors: whatever changes them changes it. */
static void make_fingerprint(sat_encoder *encoder) {
    const sat_plan *plan = &encoder->plan;
    int64_t settings[] = {(int64_t)plan->dimension, (int64_t)plan->layer_count,
                          (int64_t)plan->heads, plan->pooling, (int64_t)plan->max_tokens};
    sat_sha256 hash;
    sat_sha256_init(&hash);
    add_text(&hash, plan->arch->name, strlen(plan->arch->name));
    sat_sha256_add(&hash, settings, sizeof settings);
    sat_sha256_add(&hash, &plan->epsilon, sizeof plan->epsilon);
    for (int role = 0; role < 2; role++)
        add_text(&hash, encoder->prefix[role], encoder->prefix_length[role]);
    sat_encoder_tokens_fingerprint(encoder, &hash);
    sat_gguf_sample(encoder->gguf, &hash);
    add_more(plan, &hash);
    uint8_t digest[32];
    sat_sha256_end(&hash, digest);
    sat_hex(encoder->fingerprint, digest, (sizeof encoder->fingerprint - 1) / 2);
}

static satchel_status choose_arch(sat_encoder *encoder, satchel_error *error) {
    const char *architecture = "";
    sat_gguf_string(encoder->gguf, "general.architecture", &architecture, NULL);
    encoder->plan.arch = sat_encoder_arch_find(architecture);
    if (encoder->plan.arch)
        return SATCHEL_OK;
    return sat_fail(error, SATCHEL_UNSUPPORTED,
                    "%s holds a model of architecture \"%.60s\"; text encoders of these are "
                    "supported: %s",
                    encoder->file, architecture, sat_encoder_arch_names);
}

static satchel_status fill(sat_encoder *encoder, const sat_encoder_options *options,
                           satchel_error *error) {
    satchel_context *context = encoder->context;
    satchel_error inner = {0};
    satchel_status status = check_options(options, error);
    if (!status) {
        status = sat_gguf_open(&encoder->gguf, context, encoder->mapping.data,
                               encoder->mapping.size, encoder->file, error);
    }
    if (!status)
        status = choose_arch(encoder, error);
    if (status)
        return status;
    encoder->name = "";
    sat_gguf_string(encoder->gguf, "general.name", &encoder->name, NULL);
    status = sat_encoder_tokens_open(&encoder->tokens, context, encoder->gguf, &inner);
    if (status)
        return sat_fail(error, status, "%s: %s", encoder->file, inner.message);
    encoder->plan.pooling = options->pooling;
    encoder->plan.max_tokens = (size_t)options->max_tokens;
    status = sat_encoder_read_keys(encoder, error);
    if (!status)
        status = sat_encoder_load(encoder, error);
    if (!status)
        status = cut_output(encoder, options->dimension, error);
    if (!status)
        status = read_prefixes(encoder, options, error);
    if (status)
        return status;
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
    encoder->file = name;
    encoder->kernels = sat_kernels_for(context->cpu_level);
    encoder->matmul = sat_matmul_kernels_for(context->cpu_level);
    encoder->steps = sat_step_kernels_for(context->cpu_level);
    satchel_status status = fill(encoder, options ? options : &none, error);
    encoder->file = NULL;
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
    sat_encoder_tokens_close(&encoder->tokens, context);
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
        .architecture = encoder->plan.arch->name,
        .fingerprint = encoder->fingerprint,
        .weight_type = encoder->weight_type,
        .dimension = (int32_t)encoder->plan.output,
        /* The longest text: a document's prefix takes its tokens from the model's limit. */
        .max_tokens =
            (int32_t)(encoder->plan.max_tokens - encoder->prefix_tokens[SATCHEL_ROLE_DOCUMENT]),
        .vocabulary_size = encoder->tokens.size,
        .parameter_count = encoder->parameters,
        .file_bytes = (int64_t)encoder->mapping.size,
    };
}
