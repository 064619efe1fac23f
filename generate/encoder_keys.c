/* Hyperparameters of a text encoder: read from the keys of a GGUF file, each checked against the
 * others and the options. */
#include "generate/encoder.h"

#include <math.h>
#include <string.h>

#include "generate/keys.h"

static satchel_status read_heads(const sat_keys *k, sat_plan *plan) {
    size_t head, value = 0;
    satchel_status status =
        sat_key_size(k, "attention.head_count", SAT_ENCODER_MAX_DIMENSION, 0, &plan->heads);
    if (!status) {
        status = sat_key_size(k, "attention.head_count_kv", SAT_ENCODER_MAX_DIMENSION, plan->heads,
                              &plan->kv_heads);
    }
    if (status)
        return status;
    int64_t given;
    sat_key_name name = sat_key(k, "attention.key_length");
    if (!sat_gguf_integer(k->gguf, name.text, &given) && plan->dimension % plan->heads != 0) {
        return sat_fail(k->error, SATCHEL_DAMAGED,
                        "%s: %zu heads do not divide an embedding of %zu", k->file, plan->heads,
                        plan->dimension);
    }
    head = plan->dimension / plan->heads;
    status = sat_key_size(k, "attention.key_length", SAT_ENCODER_MAX_DIMENSION, head ? head : 1,
                          &plan->head_dimension);
    if (!status) {
        status = sat_key_size(k, "attention.value_length", SAT_ENCODER_MAX_DIMENSION,
                              plan->head_dimension, &value);
    }
    if (status)
        return status;
    if (value != plan->head_dimension)
        return sat_key_wrong(k, "attention.value_length", "is not attention.key_length");
    if (plan->heads % plan->kv_heads != 0)
        return sat_key_wrong(k, "attention.head_count_kv", "does not divide attention.head_count");
    plan->queries = plan->heads * plan->head_dimension; /* both factors are at most 8,192 */
    plan->keys = plan->kv_heads * plan->head_dimension;
    if (plan->queries > SAT_ENCODER_MAX_FFN)
        return sat_key_wrong(k, "attention.key_length", "makes heads too wide");
    return SATCHEL_OK;
}

static satchel_status read_sizes(const sat_keys *k, sat_plan *plan) {
    satchel_status status =
        sat_key_size(k, "embedding_length", SAT_ENCODER_MAX_DIMENSION, 0, &plan->dimension);
    if (!status)
        status = sat_key_size(k, "feed_forward_length", SAT_ENCODER_MAX_FFN, 0, &plan->ffn);
    if (!status)
        status = sat_key_size(k, "block_count", SAT_ENCODER_MAX_LAYERS, 0, &plan->layer_count);
    if (!status)
        status = read_heads(k, plan);
    if (status)
        return status;
    if (plan->dimension % SAT_Q8_BLOCK == 0) {
        size_t blocks = plan->dimension / SAT_Q8_BLOCK;
        plan->doubled = blocks < SAT_DOUBLED ? blocks : SAT_DOUBLED;
    }
    const sat_encoder_arch *arch = plan->arch;
    plan->embedding_scale = arch->scaled_embedding ? sqrtf((float)plan->dimension) : 1.0f;
    return sat_key_epsilon(
        k, arch->rms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon",
        arch->epsilon, &plan->epsilon);
}

/* What changes a model's results and is not read: said, not passed over. */
static satchel_status refuse_others(const sat_keys *k) {
    int64_t experts = 0;
    bool causal = false;
    sat_key_name expert_name = sat_key(k, "expert_count"),
                 causal_name = sat_key(k, "attention.causal");
    if (sat_gguf_integer(k->gguf, expert_name.text, &experts) && experts > 0)
        return sat_key_wrong(k, "expert_count", "is not 0: mixtures of experts are not supported");
    if (sat_gguf_bool(k->gguf, causal_name.text, &causal) && causal)
        return sat_key_wrong(k, "attention.causal", "is true: an encoder sees both sides");
    return SATCHEL_OK;
}

static satchel_status read_gate(const sat_keys *k, sat_plan *plan) {
    const char *name = NULL;
    sat_key_name key = sat_key(k, "hidden_activation");
    plan->gate = plan->arch->gate;
    if (!plan->arch->activation_key || !sat_gguf_string(k->gguf, key.text, &name, NULL))
        return SATCHEL_OK;
    if (strcmp(name, "silu") == 0 || strcmp(name, "swish") == 0)
        plan->gate = SAT_GATE_SILU;
    else if (strcmp(name, "gelu") == 0)
        plan->gate = SAT_GATE_GELU;
    else
        return sat_key_wrong(k, "hidden_activation", "is neither gelu nor silu");
    return SATCHEL_OK;
}

static satchel_status read_rope(const sat_keys *k, sat_plan *plan) {
    const char *kind = "linear";
    sat_rope_settings *scaling = &plan->scaling;
    *scaling = (sat_rope_settings){.base = 10000, .factor = 1, .magnitude = 1};
    if (!plan->arch->rope)
        return SATCHEL_OK;
    satchel_status status = sat_key_size(k, "rope.dimension_count", SAT_ENCODER_MAX_DIMENSION,
                                         plan->head_dimension, &plan->rotated);
    if (!status)
        status = sat_key_number(k, "rope.freq_base", &scaling->base);
    if (!status)
        status = sat_key_number(k, "rope.scaling.factor", &scaling->factor);
    if (status)
        return status;
    if (plan->rotated > plan->head_dimension || plan->rotated % 2 != 0)
        return sat_key_wrong(k, "rope.dimension_count", "is odd or larger than a head");
    sat_key_name name = sat_key(k, "rope.scaling.type");
    sat_gguf_string(k->gguf, name.text, &kind, NULL);
    if (strcmp(kind, "none") == 0)
        scaling->factor = 1;
    else if (strcmp(kind, "linear") != 0)
        return sat_key_wrong(k, "rope.scaling.type", "is neither none nor linear");
    scaling->rotated = plan->rotated;
    return SATCHEL_OK;
}

static satchel_status read_windows(const sat_keys *k, sat_plan *plan) {
    uint8_t windowed[SAT_ENCODER_MAX_LAYERS];
    if (!plan->arch->windowed)
        return SATCHEL_OK;
    satchel_status status =
        sat_key_windows(k, SAT_ENCODER_MAX_POSITIONS, plan->arch->window_pattern,
                        plan->arch->full_first, plan->layer_count, windowed, &plan->window);
    if (status || plan->window == 0)
        return status;
    if (plan->window == 1)
        return sat_key_wrong(k, "attention.sliding_window", "is 1: a token would see itself only");
    for (size_t i = 0; i < plan->layer_count; i++)
        plan->layers[i].reach = windowed[i] ? plan->window / 2 : 0;
    plan->window_base = plan->arch->window_base;
    return sat_key_number(k, "rope.freq_base_swa", &plan->window_base);
}

static satchel_status read_pooling(const sat_keys *k, sat_plan *plan) {
    enum { NONE = 0 }; /* the others are numbered as SATCHEL_POOLING_* */
    int64_t pooling = NONE;
    sat_key_name name = sat_key(k, "pooling_type");
    if (plan->pooling != SATCHEL_POOLING_DEFAULT)
        return SATCHEL_OK;
    sat_gguf_integer(k->gguf, name.text, &pooling);
    if (pooling == NONE) /* none is said: the usual one */
        pooling = SATCHEL_POOLING_MEAN;
    if (pooling < SATCHEL_POOLING_MEAN || pooling > SATCHEL_POOLING_LAST) {
        return sat_fail(k->error, SATCHEL_UNSUPPORTED,
                        "%s: %s is %lld; mean (1), CLS (2) and last (3) are supported, or set "
                        "pooling in the options",
                        k->file, name.text, (long long)pooling);
    }
    plan->pooling = (int32_t)pooling;
    return SATCHEL_OK;
}

/* The token limit: the option, else what the model was made for, else all its positions. */
static satchel_status read_limits(const sat_keys *k, sat_plan *plan) {
    int64_t positions = SAT_ENCODER_MAX_POSITIONS, asked = (int64_t)plan->max_tokens, limit;
    sat_key_name name = sat_key(k, "context_length");
    if (!sat_gguf_integer(k->gguf, name.text, &positions) && !plan->arch->positions) {
        return sat_fail(k->error, SATCHEL_DAMAGED, "%s: key %s is missing; convert the model again",
                        k->file, name.text);
    }
    const sat_tensor *table = sat_gguf_tensor(k->gguf, "position_embd.weight");
    if (plan->arch->positions && table && positions > (int64_t)table->shape[1])
        positions = (int64_t)table->shape[1];
    if (positions > SAT_ENCODER_MAX_POSITIONS)
        positions = SAT_ENCODER_MAX_POSITIONS;
    if (positions < SAT_ENCODER_MIN_TOKENS) {
        return sat_fail(k->error, SATCHEL_UNSUPPORTED,
                        "%s: the model reads %lld tokens; at least %d are needed", k->file,
                        (long long)positions, SAT_ENCODER_MIN_TOKENS);
    }
    if (asked > positions) {
        return sat_fail(k->error, SATCHEL_INVALID_ARGUMENT,
                        "max_tokens is %lld, but %s has %lld positions", (long long)asked, k->file,
                        (long long)positions);
    }
    limit = positions;
    if (asked > 0) {
        limit = asked;
    } else if (sat_gguf_integer(k->gguf, "satchel.max_seq_length", &limit) &&
               (limit < SAT_ENCODER_MIN_TOKENS || limit > positions)) {
        return sat_fail(k->error, SATCHEL_DAMAGED,
                        "%s: satchel.max_seq_length is %lld, outside %d to %lld", k->file,
                        (long long)limit, SAT_ENCODER_MIN_TOKENS, (long long)positions);
    }
    plan->positions = (size_t)positions;
    plan->max_tokens = (size_t)limit;
    return SATCHEL_OK;
}

satchel_status sat_encoder_read_keys(sat_encoder *encoder, satchel_error *error) {
    sat_plan *plan = &encoder->plan;
    sat_memory *memory = &encoder->context->memory;
    sat_keys k = {encoder->gguf, encoder->file, plan->arch->name, error};
    satchel_status status = read_sizes(&k, plan);
    if (status)
        return status;
    plan->layers = sat_calloc(memory, plan->layer_count, sizeof *plan->layers);
    if (!plan->layers)
        return sat_memory_fail(memory, plan->layer_count * sizeof *plan->layers, error);
    status = refuse_others(&k);
    if (!status)
        status = read_gate(&k, plan);
    if (!status)
        status = read_rope(&k, plan);
    if (!status)
        status = read_windows(&k, plan);
    if (!status)
        status = read_pooling(&k, plan);
    return status ? status : read_limits(&k, plan);
}
