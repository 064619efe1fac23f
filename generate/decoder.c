/* The decoder's interface: opening files, what is known of them, warming. */
#include "generate/decoder_plan.h"

#include <string.h>

satchel_status sat_decoder_take(sat_decoder *decoder, size_t count, size_t size, void **out,
                                satchel_error *error) {
    size_t bytes;
    *out = NULL;
    if (!sat_mul_size(count, size, &bytes))
        return sat_fail_memory(error, SIZE_MAX);
    *out = sat_arena_alloc(&decoder->arena, bytes ? bytes : 1);
    if (!*out)
        return sat_memory_fail(&decoder->context->memory, bytes, error);
    memset(*out, 0, bytes);
    decoder->arena_bytes += bytes;
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ open */

static satchel_status choose_arch(sat_decoder *decoder, satchel_error *error) {
    const char *name = NULL;
    if (!sat_gguf_string(decoder->files->parts[0], "general.architecture", &name, NULL)) {
        return sat_fail(error, SATCHEL_DAMAGED,
                        "%s: key general.architecture is missing; convert the model again",
                        decoder->file);
    }
    decoder->plan.arch = sat_arch_find(name);
    if (!decoder->plan.arch) {
        return sat_fail(error, SATCHEL_UNSUPPORTED,
                        "%s holds a model of architecture \"%.60s\"; decoders of these are "
                        "supported: %s",
                        decoder->file, name, sat_arch_names);
    }
    return SATCHEL_OK;
}

static uint64_t tensor_bytes(const sat_weight *weight) {
    return weight->name ? (uint64_t)weight->matrix.n * weight->matrix.row_bytes : 0;
}

/* The tokens' table counts only as a head: of it one row is read. */
static void count_weights(sat_decoder *decoder) {
    const sat_decoder_plan *plan = &decoder->plan;
    decoder->weight_bytes = tensor_bytes(&plan->output);
    for (size_t i = 0; i < plan->layer_count; i++) {
        const sat_decoder_layer *layer = &plan->layers[i];
        const sat_weight *weights[] = {&layer->qkv[0], &layer->qkv[1], &layer->qkv[2],
                                       &layer->output, &layer->gate,   &layer->up,
                                       &layer->down};
        for (size_t w = 0; w < SAT_COUNT(weights); w++)
            decoder->weight_bytes += tensor_bytes(weights[w]);
    }
    for (size_t p = 0; p < decoder->files->count; p++) {
        const sat_gguf *part = decoder->files->parts[p];
        for (size_t t = 0; t < part->tensor_count; t++) {
            const uint64_t *shape = part->tensors[t].shape;
            decoder->parameters += (int64_t)(shape[0] * shape[1] * shape[2] * shape[3]);
        }
    }
}

/* Names what a sequence of tokens gives: whatever changes logits changes it. */
static void make_fingerprint(sat_decoder *decoder) {
    const sat_decoder_plan *plan = &decoder->plan;
    uint64_t sizes[] = {plan->dimension,   plan->heads,           plan->kv_heads, plan->head,
                        plan->ffn,         plan->vocabulary,      plan->rotated,  plan->window,
                        plan->layer_count, plan->original_context};
    float scales[] = {plan->epsilon, plan->attention_scale, plan->embedding_scale, plan->logit_cap};
    sat_sha256 hash;
    sat_sha256_init(&hash);
    sat_sha256_add(&hash, plan->arch->name, strlen(plan->arch->name) + 1);
    sat_sha256_add(&hash, sizes, sizeof sizes);
    sat_sha256_add(&hash, scales, sizeof scales);
    sat_sha256_add(&hash, plan->windowed, plan->layer_count);
    for (int i = 0; i < SAT_ROPES; i++) {
        if (plan->rope[i].frequencies) {
            sat_sha256_add(&hash, plan->rope[i].frequencies,
                           plan->rotated / 2 * sizeof *plan->rope[i].frequencies);
            sat_sha256_add(&hash, &plan->rope[i].magnitude, sizeof plan->rope[i].magnitude);
        }
    }
    for (size_t i = 0; i < decoder->files->count; i++)
        sat_gguf_sample(decoder->files->parts[i], &hash);
    uint8_t digest[32];
    sat_sha256_end(&hash, digest);
    sat_hex(decoder->fingerprint, digest, (sizeof decoder->fingerprint - 1) / 2);
}

static satchel_status fill(sat_decoder *decoder, const char *name, satchel_error *error) {
    sat_memory *memory = &decoder->context->memory;
    const sat_gguf_set *files = decoder->files;
    satchel_status status = SATCHEL_OK;
    decoder->file = sat_arena_strdup(&decoder->arena, name, strlen(name));
    decoder->taken = sat_calloc(memory, files->count, sizeof *decoder->taken);
    if (!decoder->file || !decoder->taken)
        return sat_memory_fail(memory, strlen(name) + files->count * sizeof(void *), error);
    for (size_t i = 0; !status && i < files->count; i++) {
        void *taken;
        status = sat_decoder_take(decoder, files->parts[i]->tensor_count, 1, &taken, error);
        decoder->taken[i] = taken;
    }
    if (!status)
        status = choose_arch(decoder, error);
    if (!status)
        status = sat_decoder_read_keys(decoder, error);
    if (!status)
        status = sat_decoder_load(decoder, error);
    if (status)
        return status;
    count_weights(decoder);
    make_fingerprint(decoder);
    return SATCHEL_OK;
}

static void free_decoder(sat_decoder *decoder) {
    sat_memory *memory = &decoder->context->memory;
    sat_free(memory, decoder->taken);
    sat_arena_free(&decoder->arena);
    sat_free(memory, decoder);
}

/* The files stay the caller's. */
static satchel_status make(sat_decoder **out, satchel_context *context, sat_gguf_set *files,
                           const char *name, satchel_error *error) {
    *out = NULL;
    sat_decoder *decoder = sat_calloc(&context->memory, 1, sizeof *decoder);
    if (!decoder)
        return sat_memory_fail(&context->memory, sizeof *decoder, error);
    decoder->context = context;
    decoder->files = files;
    decoder->kernels = sat_kernels_for(context->cpu_level);
    decoder->matmul = sat_matmul_kernels_for(context->cpu_level);
    decoder->steps = sat_step_kernels_for(context->cpu_level);
    sat_arena_init(&decoder->arena, &context->memory);
    satchel_status status = fill(decoder, name, error);
    if (status)
        free_decoder(decoder);
    else
        *out = decoder;
    return status;
}

satchel_status sat_decoder_open(sat_decoder **out, satchel_context *context, sat_gguf_set *files,
                                const char *name, satchel_error *error) {
    satchel_status status = make(out, context, files, name, error);
    if (status)
        sat_gguf_set_close(&files);
    return status;
}

void sat_decoder_close(sat_decoder **slot) {
    sat_decoder *decoder = *slot;
    *slot = NULL;
    if (!decoder)
        return;
    sat_gguf_set_close(&decoder->files);
    free_decoder(decoder);
}

/* ------------------------------------------------------------------ about */

static void copy_text(char *out, size_t size, const char *text) {
    size_t length = strlen(text), most = size - 1;
    if (length > most)
        length = sat_utf8_border(text, length, most);
    memcpy(out, text, length);
    out[length] = 0;
}

void sat_decoder_get_info(const sat_decoder *decoder, sat_decoder_info *info) {
    const sat_decoder_plan *plan = &decoder->plan;
    const char *name = "";
    memset(info, 0, sizeof *info);
    sat_gguf_string(decoder->files->parts[0], "general.name", &name, NULL);
    copy_text(info->architecture, sizeof info->architecture, plan->arch->name);
    if (sat_utf8_valid(name, strlen(name)) == strlen(name))
        copy_text(info->name, sizeof info->name, name);
    info->vocabulary = (int32_t)plan->vocabulary;
    info->context_length = (int32_t)plan->context;
    info->dimension = (int32_t)plan->dimension;
    info->layers = (int32_t)plan->layer_count;
    info->parameters = decoder->parameters;
    for (size_t i = 0; i < decoder->files->count; i++)
        info->file_bytes += (int64_t)decoder->files->mappings[i].size;
    info->weight_bytes = decoder->weight_bytes;
    info->memory_bytes = sizeof *decoder + decoder->arena_bytes;
    info->kv_bytes_a_token =
        (uint64_t)plan->layer_count * 2 * plan->kv_heads * plan->head * sizeof(uint16_t);
    memcpy(info->fingerprint, decoder->fingerprint, sizeof info->fingerprint);
}

const sat_gguf *sat_decoder_gguf(const sat_decoder *decoder) {
    return decoder->files->parts[0];
}

satchel_status sat_decoder_measure(sat_decoder_info *info, satchel_context *context,
                                   sat_gguf_set *files, const char *name, satchel_error *error) {
    sat_decoder *decoder;
    satchel_status status = make(&decoder, context, files, name, error);
    if (status)
        return status;
    sat_decoder_get_info(decoder, info);
    free_decoder(decoder);
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ warming */

satchel_status sat_decoder_warm(const sat_decoder *decoder, sat_decoder_progress progress,
                                void *user, const satchel_cancel *cancel, satchel_error *error) {
    enum { STEP = 4096, REPORT = 8 << 20 };
    uint64_t total = 0, done = 0;
    volatile uint8_t sink = 0; /* reading is the purpose */
    for (size_t i = 0; i < decoder->files->count; i++)
        total += decoder->files->mappings[i].size;
    for (size_t i = 0; i < decoder->files->count; i++) {
        const sat_mapping *mapping = &decoder->files->mappings[i];
        for (size_t at = 0; at < mapping->size;) {
            size_t end = mapping->size - at < REPORT ? mapping->size : at + REPORT;
            satchel_status status = sat_cancel_check(cancel, error);
            if (status)
                return status;
            done += end - at;
            for (; at < end; at += STEP)
                sink = (uint8_t)(sink + mapping->data[at]);
            at = end;
            if (progress && progress(user, done, total))
                return sat_fail(error, SATCHEL_CANCELLED, "warming %s was stopped", decoder->file);
        }
    }
    return SATCHEL_OK;
}
