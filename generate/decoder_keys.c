/* Hyperparameters of a decoder: read from the keys of a GGUF file, each checked against the
 * others. */
#include "generate/decoder_plan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct keys {
    const sat_decoder *decoder;
    const sat_gguf *gguf;
    const char *arch;
    satchel_error *error;
} keys;

typedef struct key_name {
    char text[96];
} key_name;

static key_name name_of(const keys *k, const char *part) {
    key_name name;
    snprintf(name.text, sizeof name.text, "%.31s.%.60s", k->arch, part);
    return name;
}

static satchel_status wrong(const keys *k, const char *part, const char *problem) {
    key_name name = name_of(k, part);
    return sat_fail(k->error, SATCHEL_UNSUPPORTED, "%s: key %s %s", k->decoder->file, name.text,
                    problem);
}

/* An integer of 1 to `most`. otherwise 0: the key must be there. */
static satchel_status need(const keys *k, const char *part, int64_t most, size_t otherwise,
                           size_t *out) {
    key_name name = name_of(k, part);
    int64_t value = (int64_t)otherwise;
    size_t count;
    if (sat_gguf_array(k->gguf, name.text, &count))
        return wrong(k, part, "is a list: layers of different sizes are not supported");
    if (!sat_gguf_integer(k->gguf, name.text, &value) && otherwise == 0) {
        return sat_fail(k->error, SATCHEL_DAMAGED, "%s: key %s is missing; convert the model again",
                        k->decoder->file, name.text);
    }
    if (value < 1 || value > most) {
        return sat_fail(k->error, SATCHEL_UNSUPPORTED, "%s: %s is %lld, outside 1 to %lld",
                        k->decoder->file, name.text, (long long)value, (long long)most);
    }
    *out = (size_t)value;
    return SATCHEL_OK;
}

/* A number above 0, as it is or by default. */
static satchel_status number(const keys *k, const char *part, double *value) {
    key_name name = name_of(k, part);
    sat_gguf_float(k->gguf, name.text, value);
    if (!(*value > 0 && *value < 1e12))
        return wrong(k, part, "is not a number above 0");
    return SATCHEL_OK;
}

static satchel_status read_sizes(const keys *k, sat_decoder_plan *plan) {
    satchel_status status =
        need(k, "embedding_length", SAT_DECODER_MAX_DIMENSION, 0, &plan->dimension);
    if (!status)
        status = need(k, "block_count", SAT_DECODER_MAX_LAYERS, 0, &plan->layer_count);
    if (!status)
        status = need(k, "feed_forward_length", SAT_DECODER_MAX_FFN, 0, &plan->ffn);
    if (!status)
        status = need(k, "context_length", SAT_DECODER_MAX_CONTEXT, 0, &plan->context);
    if (!status)
        status = need(k, "attention.head_count", SAT_DECODER_MAX_HEADS, 0, &plan->heads);
    if (!status) {
        status =
            need(k, "attention.head_count_kv", SAT_DECODER_MAX_HEADS, plan->heads, &plan->kv_heads);
    }
    if (!status) {
        size_t head = plan->dimension / plan->heads;
        status =
            need(k, "attention.key_length", SAT_DECODER_MAX_HEAD, head ? head : 1, &plan->head);
    }
    if (!status) {
        size_t value = 0;
        status = need(k, "attention.value_length", SAT_DECODER_MAX_HEAD, plan->head, &value);
        if (!status && value != plan->head)
            return wrong(k, "attention.value_length", "is not attention.key_length");
    }
    if (!status) {
        status = need(k, "rope.dimension_count", SAT_DECODER_MAX_HEAD, plan->head, &plan->rotated);
    }
    if (status)
        return status;
    if (plan->heads % plan->kv_heads != 0)
        return wrong(k, "attention.head_count_kv", "does not divide attention.head_count");
    if (plan->rotated > plan->head || plan->rotated % 2 != 0)
        return wrong(k, "rope.dimension_count", "is odd or larger than a head");
    return SATCHEL_OK;
}

/* What changes a model's results and is not read: said, not passed over. */
static satchel_status refuse_others(const keys *k) {
    int64_t experts = 0;
    key_name name = name_of(k, "expert_count");
    if (sat_gguf_integer(k->gguf, name.text, &experts) && experts > 0)
        return wrong(k, "expert_count", "is not 0: mixtures of experts are not supported");
    return SATCHEL_OK;
}

static satchel_status read_scaling(const keys *k, sat_decoder_plan *plan) {
    sat_rope_settings *scaling = &plan->scaling;
    const char *kind = "linear";
    *scaling =
        (sat_rope_settings){.rotated = plan->rotated, .base = 10000, .factor = 1, .magnitude = 1};
    key_name name = name_of(k, "rope.scaling.type"), old = name_of(k, "rope.scale_linear");
    sat_gguf_string(k->gguf, name.text, &kind, NULL);
    sat_gguf_float(k->gguf, old.text, &scaling->factor);
    if (scaling->factor == 0)
        scaling->factor = 1;
    satchel_status status = need(k, "rope.scaling.original_context_length", SAT_DECODER_MAX_CONTEXT,
                                 plan->context, &plan->original_context);
    scaling->original = (double)plan->original_context;
    if (!status)
        status = number(k, "rope.freq_base", &scaling->base);
    if (!status)
        status = number(k, "rope.scaling.factor", &scaling->factor);
    if (!status)
        status = number(k, "rope.scaling.attn_factor", &scaling->magnitude);
    if (status)
        return status;
    if (strcmp(kind, "yarn") == 0)
        scaling->scaling = SAT_ROPE_YARN;
    else if (strcmp(kind, "none") == 0)
        scaling->factor = 1;
    else if (strcmp(kind, "linear") != 0 && strcmp(kind, "longrope") != 0)
        return wrong(k, "rope.scaling.type", "is not none, linear, yarn or longrope");
    return SATCHEL_OK;
}

static satchel_status read_windows(const keys *k, sat_decoder *decoder, sat_decoder_plan *plan) {
    const sat_arch *arch = plan->arch;
    key_name size = name_of(k, "attention.sliding_window"),
             pattern = name_of(k, "attention.sliding_window_pattern");
    int64_t window = 0;
    size_t listed = 0, every = arch->window_pattern;
    void *flags;
    satchel_status status = sat_decoder_take(decoder, plan->layer_count, 1, &flags, k->error);
    if (status)
        return status;
    plan->windowed = flags;
    sat_gguf_integer(k->gguf, size.text, &window);
    if (!arch->windowed || window == 0)
        return SATCHEL_OK;
    if (window < 0 || window > SAT_DECODER_MAX_CONTEXT)
        return wrong(k, "attention.sliding_window", "is out of range");
    plan->window = (size_t)window;
    plan->window_base = arch->window_base;
    status = number(k, "rope.freq_base_swa", &plan->window_base);
    bool list = sat_gguf_array(k->gguf, pattern.text, &listed);
    if (list && listed < plan->layer_count)
        return wrong(k, "attention.sliding_window_pattern", "is shorter than the layers are many");
    if (!status && !list) {
        status = need(k, "attention.sliding_window_pattern", SAT_DECODER_MAX_LAYERS, every, &every);
    }
    for (size_t i = 0; !status && i < plan->layer_count; i++) {
        int64_t flag = i % every < every - 1;
        if (list && !sat_gguf_array_integer(k->gguf, pattern.text, i, &flag))
            return wrong(k, "attention.sliding_window_pattern", "is not a list of flags");
        plan->windowed[i] = flag != 0;
    }
    return status;
}

satchel_status sat_decoder_read_keys(sat_decoder *decoder, satchel_error *error) {
    sat_decoder_plan *plan = &decoder->plan;
    keys k = {decoder, decoder->files->parts[0], plan->arch->name, error};
    satchel_status status = read_sizes(&k, plan);
    if (!status)
        status = refuse_others(&k);
    if (!status)
        status = read_scaling(&k, plan);
    if (!status)
        status = read_windows(&k, decoder, plan);
    if (status)
        return status;
    double epsilon = 0, cap = 0;
    key_name name = name_of(&k, "attention.layer_norm_rms_epsilon"),
             cap_name = name_of(&k, "final_logit_softcapping");
    if (!sat_gguf_float(k.gguf, name.text, &epsilon)) {
        return sat_fail(error, SATCHEL_DAMAGED, "%s: key %s is missing; convert the model again",
                        decoder->file, name.text);
    }
    if (!(epsilon >= 0 && epsilon < 1))
        return wrong(&k, "attention.layer_norm_rms_epsilon", "is outside 0 to 1");
    plan->epsilon = (float)epsilon;
    if (plan->arch->logit_cap && sat_gguf_float(k.gguf, cap_name.text, &cap) &&
        !(cap >= 0 && cap < 1e12))
        return wrong(&k, "final_logit_softcapping", "is not a number above 0");
    plan->logit_cap = (float)cap;
    size_t scaled = plan->layer_count == plan->arch->wide_scale_layers
                        ? plan->dimension / plan->heads
                        : plan->head;
    plan->attention_scale = 1.0f / sqrtf((float)(scaled ? scaled : 1));
    plan->embedding_scale = plan->arch->scaled_embedding ? sqrtf((float)plan->dimension) : 1.0f;
    return SATCHEL_OK;
}
