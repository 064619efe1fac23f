/* Generators: opening a decoder with all that belongs to it, what is known of it before and after,
 * and the sequence that stays between runs. */
#include "generate/generator_parts.h"

#include <string.h>

/* ------------------------------------------------------------------ options */

enum { LEAST_CONTEXT = 2 };

static satchel_status kv_type_of(int32_t given, int32_t *type, satchel_error *error) {
    static const int32_t types[] = {SAT_KV_F16, SAT_KV_F16, SAT_KV_Q8_0, SAT_KV_F32};
    if (given < 0 || (size_t)given >= SAT_COUNT(types)) {
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "kv_type is %d; SATCHEL_KV_F16, _Q8_0 and _F32 exist", (int)given);
    }
    *type = types[given];
    return SATCHEL_OK;
}

/* Tokens that sequences get room for. */
static satchel_status capacity_of(const sat_decoder_info *about, const char *name, int32_t given,
                                  size_t *capacity, satchel_error *error) {
    int32_t most = about->context_length;
    if (given != 0 && (given < LEAST_CONTEXT || given > most)) {
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "context_tokens is %d; %s was trained for %d, and %d is the least",
                        (int)given, name, (int)most, LEAST_CONTEXT);
    }
    if (given == 0)
        given = most < SAT_GENERATOR_CONTEXT ? most : SAT_GENERATOR_CONTEXT;
    *capacity = (size_t)given;
    return SATCHEL_OK;
}

/* The type that most bytes of weights have: names the file as people do. */
static const char *weight_type_of(const sat_gguf_set *files) {
    uint32_t best = 0;
    uint64_t most = 0;
    for (uint32_t type = 0; type < 64; type++) {
        uint64_t bytes = 0;
        for (size_t p = 0; p < files->count; p++)
            for (size_t i = 0; i < sat_gguf_tensor_count(files->parts[p]); i++) {
                const sat_tensor *tensor = sat_gguf_tensor_at(files->parts[p], i);
                bytes += tensor->type == type && tensor->rank > 1 ? tensor->bytes : 0;
            }
        if (bytes > most) {
            most = bytes;
            best = type;
        }
    }
    return most ? sat_tensor_type_name(best) : "";
}

/* ------------------------------------------------------------------ adapters */

static satchel_status open_adapters(sat_generator *generator, const sat_generator_options *options,
                                    satchel_error *error) {
    sat_memory *memory = &generator->context->memory;
    size_t count = options->adapter_count;
    if (count == 0)
        return SATCHEL_OK;
    if (!options->adapters)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "adapters is NULL, adapter_count is %zu",
                        count);
    generator->adapters = sat_calloc(memory, count, sizeof *generator->adapters);
    generator->scales = sat_alloc_array(memory, count, sizeof *generator->scales);
    if (!generator->adapters || !generator->scales)
        return sat_memory_fail(memory, count * sizeof *generator->adapters, error);
    generator->adapter_count = count;
    for (size_t i = 0; i < count; i++) {
        const char *path = options->adapters[i];
        float scale = options->adapter_scales ? options->adapter_scales[i] : 1;
        if (!path)
            return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "adapters[%zu] is NULL", i);
        if (!(scale > -1e6f && scale < 1e6f))
            return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "adapter_scales[%zu] is no number", i);
        generator->scales[i] = scale;
        sat_mapping file = {0};
        satchel_status status = sat_file_map(generator->context, &file, path, error);
        if (status)
            return status;
        status = sat_adapter_open(&generator->adapters[i], generator->decoder, &file,
                                  sat_path_name(path), error);
        sat_file_unmap(generator->context, &file);
        if (status)
            return status;
    }
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ open */

static uint64_t held_bytes(const sat_generator *generator) {
    uint64_t need = sat_sequence_need(generator->decoder, generator->capacity, generator->kv_type);
    uint64_t base = generator->about.memory_bytes + generator->tokenizer_bytes + sizeof *generator;
    uint64_t logits = (uint64_t)generator->about.vocabulary * sizeof(float);
    return need > UINT64_MAX - base - logits ? UINT64_MAX : need + base + logits;
}

/* Fails now if a sequence would pass the limit: not when the first answer is waited for. */
static satchel_status check_room(const sat_generator *generator, satchel_error *error) {
    sat_memory *memory = &generator->context->memory;
    uint64_t need = sat_sequence_need(generator->decoder, generator->capacity, generator->kv_type);
    if (need > SIZE_MAX / 2)
        return sat_fail_memory(error, SIZE_MAX);
    uint64_t now = atomic_load_explicit(&memory->now, memory_order_relaxed);
    if (memory->limit && (now > memory->limit || need > memory->limit - now))
        return sat_memory_fail(memory, (size_t)need, error);
    return SATCHEL_OK;
}

static satchel_status spell(const sat_generator *generator, int32_t token, char **out,
                            satchel_error *error) {
    size_t length;
    const char *piece = sat_tokenizer_piece(generator->tokenizer, token, &length);
    if (!piece)
        return SATCHEL_OK;
    *out = sat_strndup(&generator->context->memory, piece, length);
    return *out ? SATCHEL_OK : sat_memory_fail(&generator->context->memory, length, error);
}

/* All that can be known without taking room for tokens. */
static satchel_status open_parts(sat_generator *generator, const char *name,
                                 const sat_generator_options *options, satchel_error *error) {
    sat_decoder_get_info(generator->decoder, &generator->about);
    const sat_gguf *gguf = sat_decoder_gguf(generator->decoder);
    satchel_status status = kv_type_of(options->kv_type, &generator->kv_type, error);
    if (!status) {
        status = capacity_of(&generator->about, name, options->context_tokens, &generator->capacity,
                             error);
    }
    if (!status)
        status = sat_tokenizer_open(&generator->tokenizer, generator->context, gguf, error);
    if (status)
        return status;
    generator->tokenizer_bytes = sat_tokenizer_memory(generator->tokenizer);
    generator->vocabulary = sat_tokenizer_size(generator->tokenizer);
    if (generator->vocabulary > generator->about.vocabulary) {
        return sat_fail(error, SATCHEL_DAMAGED,
                        "%s: the tokenizer has %d tokens, the weights know %d", name,
                        (int)generator->vocabulary, (int)generator->about.vocabulary);
    }
    const sat_special_tokens *special = sat_tokenizer_special(generator->tokenizer);
    status = spell(generator, special->bos, &generator->bos, error);
    if (!status)
        status = spell(generator, special->eos, &generator->eos, error);
    return status;
}

static satchel_status fill(sat_generator *generator, sat_gguf_set *files, const char *name,
                           const sat_generator_options *options, satchel_error *error) {
    generator->weight_type = weight_type_of(files);
    satchel_status status =
        sat_decoder_open(&generator->decoder, generator->context, files, name, error);
    return status ? status : open_parts(generator, name, options, error);
}

static satchel_status new_generator(sat_generator **out, satchel_context *context,
                                    sat_gguf_set *files, satchel_error *error) {
    sat_generator *generator = sat_calloc(&context->memory, 1, sizeof *generator);
    satchel_status status = SATCHEL_OK;
    *out = NULL;
    if (!generator) {
        status = sat_memory_fail(&context->memory, sizeof *generator, error);
    } else {
        int failed = pthread_mutex_init(&generator->kept_lock, NULL);
        if (!failed) {
            failed = pthread_mutex_init(&generator->lexicon_lock, NULL);
            if (failed)
                pthread_mutex_destroy(&generator->kept_lock);
        }
        if (failed) {
            sat_free(&context->memory, generator);
            status = sat_fail_errno(error, failed, "a lock could not be made");
        }
    }
    if (status) {
        sat_gguf_set_close(&files);
        return status;
    }
    generator->context = context;
    *out = generator;
    return SATCHEL_OK;
}

satchel_status sat_generator_open(sat_generator **out, satchel_context *context,
                                  sat_gguf_set *files, const char *name,
                                  const sat_generator_options *options, satchel_error *error) {
    static const sat_generator_options defaults = {0};
    sat_generator *generator;
    *out = NULL;
    if (!options)
        options = &defaults;
    satchel_status status = new_generator(&generator, context, files, error);
    if (status)
        return status;
    status = fill(generator, files, name, options, error);
    if (!status)
        status = check_room(generator, error);
    if (!status)
        status = open_adapters(generator, options, error);
    if (!status)
        status = sat_prefix_open(&generator->prefix, generator->decoder, error);
    if (!status)
        status = sat_generator_open_chat(generator, options->chat_template, error);
    if (status)
        sat_generator_close(&generator);
    *out = generator;
    return status;
}

static void free_held(sat_held *held) {
    if (held->sequence)
        sat_sequence_close(&held->sequence);
    sat_tokens_free(&held->tokens);
}

void sat_generator_close(sat_generator **slot) {
    sat_generator *generator = *slot;
    *slot = NULL;
    if (!generator)
        return;
    sat_memory *memory = &generator->context->memory;
    free_held(&generator->kept);
    sat_lexicon_close(&generator->lexicon);
    sat_chat_close(&generator->chat);
    sat_free(memory, generator->bos);
    sat_free(memory, generator->eos);
    for (size_t i = 0; i < generator->adapter_count; i++)
        sat_adapter_close(&generator->adapters[i]);
    sat_free(memory, generator->adapters);
    sat_free(memory, generator->scales);
    sat_prefix_close(&generator->prefix);
    sat_tokenizer_close(&generator->tokenizer);
    sat_decoder_close(&generator->decoder);
    pthread_mutex_destroy(&generator->kept_lock);
    pthread_mutex_destroy(&generator->lexicon_lock);
    sat_free(memory, generator);
}

/* ------------------------------------------------------------------ about */

static uint64_t kv_bytes_a_token(const sat_generator *generator) {
    uint64_t halves = generator->about.kv_bytes_a_token;
    return generator->kv_type == SAT_KV_F32    ? halves * 2
           : generator->kv_type == SAT_KV_Q8_0 ? halves / 2 / 32 * 34
                                               : halves;
}

void sat_generator_info(const sat_generator *generator, satchel_model_info *info) {
    const sat_decoder_info *about = &generator->about;
    *info = (satchel_model_info){.name = about->name,
                                 .architecture = about->architecture,
                                 .fingerprint = about->fingerprint,
                                 .weight_type = generator->weight_type,
                                 .dimension = about->dimension,
                                 .max_tokens = (int32_t)generator->capacity,
                                 .vocabulary_size = about->vocabulary,
                                 .parameter_count = about->parameters,
                                 .file_bytes = about->file_bytes,
                                 .kind = SATCHEL_MODEL_GENERATOR,
                                 .context_tokens = (int32_t)generator->capacity,
                                 .trained_context = about->context_length,
                                 .layers = about->layers,
                                 .has_chat_template = generator->chat != NULL,
                                 .weight_bytes = about->weight_bytes,
                                 .memory_bytes = held_bytes(generator),
                                 .kv_bytes_a_token = kv_bytes_a_token(generator)};
}

satchel_status sat_generator_measure(satchel_model_need *need, satchel_context *context,
                                     sat_gguf_set *files, const char *name,
                                     const sat_generator_options *options, satchel_error *error) {
    static const sat_generator_options defaults = {0};
    sat_generator *generator;
    memset(need, 0, sizeof *need);
    satchel_status status = new_generator(&generator, context, files, error);
    if (status)
        return status;
    status = fill(generator, files, name, options ? options : &defaults, error);
    if (!status) {
        *need = (satchel_model_need){.kind = SATCHEL_MODEL_GENERATOR,
                                     .context_tokens = (int32_t)generator->capacity,
                                     .file_bytes = (uint64_t)generator->about.file_bytes,
                                     .weight_bytes = generator->about.weight_bytes,
                                     .memory_bytes = held_bytes(generator),
                                     .kv_bytes = kv_bytes_a_token(generator) * generator->capacity};
    }
    sat_generator_close(&generator);
    return status;
}

const sat_tokenizer *sat_generator_tokenizer(const sat_generator *generator) {
    return generator->tokenizer;
}

int32_t sat_generator_context(const sat_generator *generator) {
    return (int32_t)generator->capacity;
}

/* ------------------------------------------------------------------ warming */

typedef struct warming {
    satchel_progress_function progress;
    void *user;
    int64_t started;
} warming;

static int32_t report_warming(void *user, uint64_t done, uint64_t total) {
    const warming *w = user;
    satchel_event_progress progress = {.phase = SATCHEL_PHASE_WARM,
                                       .done = (int64_t)done,
                                       .total = (int64_t)total,
                                       .elapsed_ms = sat_clock_ms() - w->started};
    return w->progress(w->user, &progress);
}

satchel_status sat_generator_warm(sat_generator *generator, satchel_progress_function progress,
                                  void *user, const satchel_cancel *cancel, satchel_error *error) {
    warming w = {progress, user, sat_clock_ms()};
    return sat_decoder_warm(generator->decoder, progress ? report_warming : NULL, &w, cancel,
                            error);
}

/* ------------------------------------------------------------------ what is kept */

static size_t common(const sat_tokens *kept, const int32_t *tokens, size_t most) {
    size_t length = 0;
    while (length < most && length < kept->count && kept->ids[length] == tokens[length])
        length++;
    return length;
}

satchel_status sat_generator_take(sat_generator *generator, const int32_t *tokens, size_t most,
                                  sat_held *out, satchel_error *error) {
    pthread_mutex_lock(&generator->kept_lock);
    *out = generator->kept;
    generator->kept = (sat_held){0};
    pthread_mutex_unlock(&generator->kept_lock);
    if (out->sequence)
        return sat_held_cut(out, common(&out->tokens, tokens, most), error);
    out->tokens.memory = &generator->context->memory;
    satchel_status status = sat_sequence_open(&out->sequence, generator->decoder,
                                              generator->capacity, generator->kv_type, error);
    if (!status && generator->adapter_count) {
        status = sat_sequence_adapt(out->sequence, (const sat_adapter *const *)generator->adapters,
                                    generator->scales, generator->adapter_count, error);
    }
    if (status)
        free_held(out);
    return status;
}

void sat_generator_give(sat_generator *generator, sat_held *held) {
    if (!held->sequence)
        return;
    pthread_mutex_lock(&generator->kept_lock);
    sat_held older = generator->kept;
    generator->kept = *held;
    pthread_mutex_unlock(&generator->kept_lock);
    *held = (sat_held){0};
    free_held(&older);
}

static satchel_status reserve(sat_tokens *list, size_t more, satchel_error *error) {
    size_t need;
    if (sat_add_size(list->count, more, &need) &&
        sat_grow(list->memory, (void **)&list->ids, &list->capacity, need, sizeof *list->ids))
        return SATCHEL_OK;
    return sat_memory_fail(list->memory, more * sizeof *list->ids, error);
}

static void note(sat_tokens *list, const int32_t *tokens, size_t count) {
    memcpy(list->ids + list->count, tokens, count * sizeof *list->ids);
    list->count += count;
}

satchel_status sat_held_feed(sat_held *held, const int32_t *tokens, size_t count, size_t wanted,
                             float *logits, const satchel_cancel *cancel, satchel_error *error) {
    if (count == 0)
        return SATCHEL_OK;
    satchel_status status = reserve(&held->tokens, count, error);
    if (!status)
        status = sat_sequence_feed(held->sequence, tokens, count, wanted, logits, cancel, error);
    if (!status)
        note(&held->tokens, tokens, count);
    return status;
}

satchel_status sat_held_load(sat_held *held, const sat_prefix *prefix, const int32_t *tokens,
                             size_t count, const satchel_cancel *cancel, satchel_error *error) {
    size_t from = held->tokens.count;
    if (!prefix || count <= from)
        return SATCHEL_OK;
    satchel_status status = reserve(&held->tokens, count - from, error);
    if (status)
        return status;
    size_t length = sat_prefix_load(prefix, held->sequence, tokens, count, cancel);
    note(&held->tokens, tokens + from, length - from);
    return SATCHEL_OK;
}

satchel_status sat_held_cut(sat_held *held, size_t length, satchel_error *error) {
    satchel_status status = sat_sequence_cut(held->sequence, length, error);
    if (!status)
        held->tokens.count = length;
    return status;
}

satchel_status sat_generator_lexicon(sat_generator *generator, const sat_lexicon **out,
                                     satchel_error *error) {
    satchel_status status = SATCHEL_OK;
    pthread_mutex_lock(&generator->lexicon_lock);
    if (!generator->lexicon) {
        status =
            sat_lexicon_open(&generator->lexicon, generator->context, generator->tokenizer, error);
    }
    *out = generator->lexicon;
    pthread_mutex_unlock(&generator->lexicon_lock);
    return status;
}
