/*
 * LoRA adapters: for a weight W of the model two small matrices a (rank, k) and b (n, rank), and W
 * x becomes W x + scale · alpha / rank · b (a x). Named "<tensor>.lora_a" and ".lora_b". The token
 * table's are the other way round, a by token; they change what is looked up, not a head that is
 * the same table.
 */
#include "generate/decoder_plan.h"

#include <string.h>

typedef struct loader {
    sat_adapter *adapter;
    const sat_gguf *gguf;
    const char *file;
    uint8_t *taken; /* by tensor */
    satchel_error *error;
} loader;

enum { MAX_NAME = 128, MAX_RANK = 4096 };

static const sat_tensor *half(const loader *load, const char *weight, const char *suffix) {
    char name[MAX_NAME];
    size_t length = strlen(weight), end = strlen(suffix);
    if (length + end >= sizeof name)
        return NULL;
    memcpy(name, weight, length);
    memcpy(name + length, suffix, end + 1);
    const sat_tensor *tensor = sat_gguf_tensor(load->gguf, name);
    if (tensor)
        load->taken[tensor - load->gguf->tensors] = 1;
    return tensor;
}

/* All rows as floats, in the adapter's memory. */
static satchel_status copy(const loader *load, const sat_tensor *tensor, const float **out) {
    sat_matrix matrix;
    if (!sat_matrix_of(&matrix, tensor)) {
        return sat_fail(load->error, SATCHEL_UNSUPPORTED,
                        "%s: tensor %s has type %s (%u), which is not read", load->file,
                        tensor->name, sat_tensor_type_name(tensor->type), (unsigned)tensor->type);
    }
    /* It lies in the file, and a weight takes at least a fifth of a byte there: no overflow. */
    size_t bytes = matrix.n * matrix.k * sizeof(float);
    float *values = sat_arena_alloc(&load->adapter->arena, bytes);
    if (!values)
        return sat_memory_fail(&load->adapter->decoder->context->memory, bytes, load->error);
    for (size_t row = 0; row < matrix.n; row++)
        sat_matrix_row(&matrix, row, values + row * matrix.k);
    *out = values;
    return SATCHEL_OK;
}

/* The pair of a weight (n, k), if the file has one. tokens: as the token table's stand. */
static satchel_status load_pair(const loader *load, const char *weight, size_t n, size_t k,
                                bool tokens, sat_adapter_pair *pair) {
    const sat_tensor *a = half(load, weight, ".lora_a"), *b = half(load, weight, ".lora_b");
    if (!a && !b)
        return SATCHEL_OK;
    if (!a || !b) {
        return sat_fail(load->error, SATCHEL_DAMAGED, "%s: of %s only %s is there", load->file,
                        weight, a ? ".lora_a" : ".lora_b");
    }
    uint64_t rank = b->shape[0];
    bool fits = tokens ? a->shape[0] == rank && a->shape[1] == n && b->shape[1] == k
                       : a->shape[1] == rank && a->shape[0] == k && b->shape[1] == n;
    if (!fits || a->rank > 2 || b->rank > 2 || rank > MAX_RANK) {
        return sat_fail(load->error, SATCHEL_DAMAGED,
                        "%s: the adapter of %s has shapes %llu x %llu and %llu x %llu, which do "
                        "not fit %zu x %zu: it is for another model",
                        load->file, weight, (unsigned long long)a->shape[0],
                        (unsigned long long)a->shape[1], (unsigned long long)b->shape[0],
                        (unsigned long long)b->shape[1], k, n);
    }
    satchel_status status = copy(load, a, &pair->a);
    if (!status)
        status = copy(load, b, &pair->b);
    pair->rank = status ? 0 : (size_t)rank;
    pair->k = k;
    pair->n = n;
    if (pair->rank > load->adapter->rank)
        load->adapter->rank = pair->rank;
    return status;
}

static satchel_status load_weight(const loader *load, const sat_weight *weight) {
    if (!weight->name)
        return SATCHEL_OK;
    return load_pair(load, weight->name, weight->matrix.n, weight->matrix.k, false,
                     &load->adapter->pairs[weight->number]);
}

static satchel_status load_pairs(const loader *load) {
    const sat_decoder_plan *plan = &load->adapter->decoder->plan;
    satchel_status status = load_pair(load, plan->tokens.name, plan->vocabulary, plan->dimension,
                                      true, &load->adapter->tokens);
    /* A head that is the token table has the table's name, and no pair of its own. */
    if (!status && strcmp(plan->output.name, plan->tokens.name) != 0)
        status = load_weight(load, &plan->output);
    for (size_t i = 0; !status && i < plan->layer_count; i++) {
        const sat_decoder_layer *layer = &plan->layers[i];
        const sat_weight *weights[] = {&layer->qkv[0], &layer->qkv[1], &layer->qkv[2],
                                       &layer->output, &layer->gate,   &layer->up,
                                       &layer->down};
        for (size_t w = 0; !status && w < SAT_COUNT(weights); w++)
            status = load_weight(load, weights[w]);
    }
    return status;
}

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), most = strlen(end);
    return length >= most && strcmp(text + length - most, end) == 0;
}

static satchel_status refuse_unknown(const loader *load) {
    for (size_t i = 0; i < load->gguf->tensor_count; i++) {
        const char *name = load->gguf->tensors[i].name;
        /* Trained norms come along in some adapters and are passed over, as in llama.cpp. */
        if (load->taken[i] || ends_with(name, "_norm.weight"))
            continue;
        return sat_fail(load->error, SATCHEL_UNSUPPORTED,
                        "%s: tensor %s changes nothing that this model has", load->file, name);
    }
    return SATCHEL_OK;
}

static satchel_status check_keys(const loader *load) {
    const char *general = "", *kind = "", *architecture = "";
    const char *arch = load->adapter->decoder->plan.arch->name;
    size_t count;
    sat_gguf_string(load->gguf, "general.type", &general, NULL);
    sat_gguf_string(load->gguf, "adapter.type", &kind, NULL);
    sat_gguf_string(load->gguf, "general.architecture", &architecture, NULL);
    if (strcmp(general, "adapter") != 0 || strcmp(kind, "lora") != 0) {
        return sat_fail(load->error, SATCHEL_UNSUPPORTED,
                        "%s is not a LoRA adapter: general.type is \"%.40s\", adapter.type "
                        "\"%.40s\"",
                        load->file, general, kind);
    }
    if (strcmp(architecture, arch) != 0) {
        return sat_fail(load->error, SATCHEL_INVALID_ARGUMENT,
                        "%s adapts models of architecture \"%.60s\", this one is %s", load->file,
                        architecture, arch);
    }
    if (sat_gguf_array(load->gguf, "adapter.alora.invocation_tokens", &count)) {
        return sat_fail(load->error, SATCHEL_UNSUPPORTED,
                        "%s is an activated adapter (adapter.alora.invocation_tokens), which is "
                        "not supported",
                        load->file);
    }
    return SATCHEL_OK;
}

/* Adapters are small: all of them goes in, not samples. */
static void make_fingerprint(const loader *load) {
    sat_sha256 hash;
    sat_sha256_init(&hash);
    sat_sha256_add(&hash, &load->adapter->alpha, sizeof load->adapter->alpha);
    sat_gguf_sample(load->gguf, &hash);
    for (size_t i = 0; i < load->gguf->tensor_count; i++) {
        const sat_tensor *tensor = &load->gguf->tensors[i];
        uint64_t all = tensor->data ? sat_hash64(tensor->data, (size_t)tensor->bytes, i) : 0;
        sat_sha256_add(&hash, &all, sizeof all);
    }
    sat_sha256_end(&hash, load->adapter->fingerprint);
}

static satchel_status fill(const loader *load) {
    sat_memory *memory = &load->adapter->decoder->context->memory;
    uint32_t count = load->adapter->decoder->plan.weight_count;
    double alpha = 0;
    satchel_status status = check_keys(load);
    if (status)
        return status;
    sat_gguf_float(load->gguf, "adapter.lora.alpha", &alpha);
    if (!(alpha > -1e12 && alpha < 1e12))
        return sat_fail(load->error, SATCHEL_DAMAGED, "%s: adapter.lora.alpha is no number",
                        load->file);
    load->adapter->alpha = (float)alpha;
    load->adapter->pairs = sat_calloc(memory, count, sizeof *load->adapter->pairs);
    if (!load->adapter->pairs)
        return sat_memory_fail(memory, count * sizeof *load->adapter->pairs, load->error);
    status = load_pairs(load);
    if (!status)
        status = refuse_unknown(load);
    if (!status)
        make_fingerprint(load);
    return status;
}

satchel_status sat_adapter_open(sat_adapter **out, const sat_decoder *decoder,
                                const sat_mapping *file, const char *name, satchel_error *error) {
    sat_memory *memory = &decoder->context->memory;
    sat_gguf *gguf = NULL;
    *out = NULL;
    sat_adapter *adapter = sat_calloc(memory, 1, sizeof *adapter);
    if (!adapter)
        return sat_memory_fail(memory, sizeof *adapter, error);
    adapter->decoder = decoder;
    sat_arena_init(&adapter->arena, memory);
    satchel_status status =
        sat_gguf_open(&gguf, decoder->context, file->data, file->size, name, error);
    if (!status) {
        loader load = {adapter, gguf, name, NULL, error};
        load.taken = sat_calloc(memory, gguf->tensor_count + 1, 1);
        status = load.taken ? fill(&load) : sat_memory_fail(memory, gguf->tensor_count, error);
        sat_free(memory, load.taken);
    }
    sat_gguf_close(&gguf);
    if (status)
        sat_adapter_close(&adapter);
    *out = adapter;
    return status;
}

void sat_adapter_close(sat_adapter **slot) {
    sat_adapter *adapter = *slot;
    *slot = NULL;
    if (!adapter)
        return;
    sat_memory *memory = &adapter->decoder->context->memory;
    sat_free(memory, adapter->pairs);
    sat_arena_free(&adapter->arena);
    sat_free(memory, adapter);
}
