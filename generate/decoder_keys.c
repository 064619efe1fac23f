/* Hyperparameters of a decoder: read from the keys of a GGUF file, each checked against the
 * others. */
#include "generate/decoder_plan.h"

#include <math.h>
#include <string.h>

#include "generate/keys.h"

static satchel_status read_sizes(const sat_keys *k, sat_decoder_plan *plan) {
    satchel_status status =
        sat_key_size(k, "embedding_length", SAT_DECODER_MAX_DIMENSION, 0, &plan->dimension);
    if (!status)
        status = sat_key_size(k, "block_count", SAT_DECODER_MAX_LAYERS, 0, &plan->layer_count);
    if (!status)
        status = sat_key_size(k, "feed_forward_length", SAT_DECODER_MAX_FFN, 0, &plan->ffn);
    if (!status)
        status = sat_key_size(k, "context_length", SAT_DECODER_MAX_CONTEXT, 0, &plan->context);
    if (!status)
        status = sat_key_size(k, "attention.head_count", SAT_DECODER_MAX_HEADS, 0, &plan->heads);
    if (!status) {
        status = sat_key_size(k, "attention.head_count_kv", SAT_DECODER_MAX_HEADS, plan->heads,
                              &plan->kv_heads);
    }
    if (!status) {
        size_t head = plan->dimension / plan->heads;
        status = sat_key_size(k, "attention.key_length", SAT_DECODER_MAX_HEAD, head ? head : 1,
                              &plan->head);
    }
    if (!status) {
        size_t value = 0;
        status =
            sat_key_size(k, "attention.value_length", SAT_DECODER_MAX_HEAD, plan->head, &value);
        if (!status && value != plan->head)
            return sat_key_wrong(k, "attention.value_length", "is not attention.key_length");
    }
    if (!status) {
        status = sat_key_size(k, "rope.dimension_count", SAT_DECODER_MAX_HEAD, plan->head,
                              &plan->rotated);
    }
    if (status)
        return status;
    if (plan->heads % plan->kv_heads != 0)
        return sat_key_wrong(k, "attention.head_count_kv", "does not divide attention.head_count");
    if (plan->rotated > plan->head || plan->rotated % 2 != 0)
        return sat_key_wrong(k, "rope.dimension_count", "is odd or larger than a head");
    return SATCHEL_OK;
}

/* What changes a model's results and is not read: said, not passed over. */
static satchel_status refuse_others(const sat_keys *k) {
    int64_t experts = 0;
    sat_key_name name = sat_key(k, "expert_count");
    if (sat_gguf_integer(k->gguf, name.text, &experts) && experts > 0)
        return sat_key_wrong(k, "expert_count", "is not 0: mixtures of experts are not supported");
    return SATCHEL_OK;
}

static satchel_status read_scaling(const sat_keys *k, sat_decoder_plan *plan) {
    sat_rope_settings *scaling = &plan->scaling;
    const char *kind = "linear";
    *scaling =
        (sat_rope_settings){.rotated = plan->rotated, .base = 10000, .factor = 1, .magnitude = 1};
    sat_key_name name = sat_key(k, "rope.scaling.type"), old = sat_key(k, "rope.scale_linear");
    sat_gguf_string(k->gguf, name.text, &kind, NULL);
    sat_gguf_float(k->gguf, old.text, &scaling->factor);
    if (scaling->factor == 0)
        scaling->factor = 1;
    satchel_status status =
        sat_key_size(k, "rope.scaling.original_context_length", SAT_DECODER_MAX_CONTEXT,
                     plan->context, &plan->original_context);
    scaling->original = (double)plan->original_context;
    if (!status)
        status = sat_key_number(k, "rope.freq_base", &scaling->base);
    if (!status)
        status = sat_key_number(k, "rope.scaling.factor", &scaling->factor);
    if (!status)
        status = sat_key_number(k, "rope.scaling.attn_factor", &scaling->magnitude);
    if (status)
        return status;
    if (strcmp(kind, "yarn") == 0)
        scaling->scaling = SAT_ROPE_YARN;
    else if (strcmp(kind, "none") == 0)
        scaling->factor = 1;
    else if (strcmp(kind, "linear") != 0 && strcmp(kind, "longrope") != 0)
        return sat_key_wrong(k, "rope.scaling.type", "is not none, linear, yarn or longrope");
    return SATCHEL_OK;
}

static satchel_status read_windows(const sat_keys *k, sat_decoder *decoder,
                                   sat_decoder_plan *plan) {
    const sat_arch *arch = plan->arch;
    void *flags;
    satchel_status status = sat_decoder_take(decoder, plan->layer_count, 1, &flags, k->error);
    plan->windowed = flags;
    if (status || !arch->windowed)
        return status;
    status = sat_key_windows(k, SAT_DECODER_MAX_CONTEXT, arch->window_pattern, false,
                             plan->layer_count, plan->windowed, &plan->window);
    plan->window_base = arch->window_base;
    return status || !plan->window ? status
                                   : sat_key_number(k, "rope.freq_base_swa", &plan->window_base);
}

satchel_status sat_decoder_read_keys(sat_decoder *decoder, satchel_error *error) {
    sat_decoder_plan *plan = &decoder->plan;
    sat_keys k = {decoder->files->parts[0], decoder->file, plan->arch->name, error};
    satchel_status status = read_sizes(&k, plan);
    if (!status)
        status = refuse_others(&k);
    if (!status)
        status = read_scaling(&k, plan);
    if (!status)
        status = read_windows(&k, decoder, plan);
    if (status)
        return status;
    double cap = 0;
    sat_key_name cap_name = sat_key(&k, "final_logit_softcapping");
    status = sat_key_epsilon(&k, "attention.layer_norm_rms_epsilon", -1, &plan->epsilon);
    if (status)
        return status;
    if (plan->arch->logit_cap && sat_gguf_float(k.gguf, cap_name.text, &cap) &&
        !(cap >= 0 && cap < 1e12))
        return sat_key_wrong(&k, "final_logit_softcapping", "is not a number above 0");
    plan->logit_cap = (float)cap;
    size_t scaled = plan->layer_count == plan->arch->wide_scale_layers
                        ? plan->dimension / plan->heads
                        : plan->head;
    plan->attention_scale = 1.0f / sqrtf((float)(scaled ? scaled : 1));
    plan->embedding_scale = plan->arch->scaled_embedding ? sqrtf((float)plan->dimension) : 1.0f;
    return SATCHEL_OK;
}
