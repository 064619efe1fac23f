/*
 * The tensors of a decoder: found by the names its architecture has, checked for type and shape,
 * and taken where they are mapped. Norms and biases are copied as floats. A tensor that has no
 * place is an error: it would change the results.
 */
#include "generate/decoder_plan.h"

#include <stdio.h>
#include <string.h>

typedef struct loader {
    sat_decoder *decoder;
    sat_decoder_plan *plan;
    satchel_error *error;
} loader;

typedef struct tensor_name {
    char text[64];
} tensor_name;

static tensor_name layer_tensor(size_t layer, const char *stem, const char *suffix) {
    tensor_name name;
    snprintf(name.text, sizeof name.text, "blk.%u.%.32s.%.8s", (unsigned)layer, stem, suffix);
    return name;
}

/* Sizes a tensor's shape is made of. */
typedef enum extent { ROW, DIMENSION, QUERIES, KEYS, FUSED, HEAD, FFN } extent;

static size_t size_of(const sat_decoder_plan *plan, extent of) {
    switch (of) {
    case DIMENSION:
        return plan->dimension;
    case QUERIES:
        return plan->heads * plan->head;
    case KEYS:
        return plan->kv_heads * plan->head;
    case FUSED:
        return (plan->heads + 2 * plan->kv_heads) * plan->head;
    case HEAD:
        return plan->head;
    case FFN:
        return plan->ffn;
    case ROW:
        break;
    }
    return 1;
}

/* rows ROW: a vector of `columns`. */
static const struct part_shape {
    const char *stem;
    extent columns, rows;
} shapes[SAT_PARTS] = {
    [SAT_PART_ATTN_NORM] = {"attn_norm", DIMENSION, ROW},
    [SAT_PART_QKV] = {"attn_qkv", DIMENSION, FUSED},
    [SAT_PART_Q] = {"attn_q", DIMENSION, QUERIES},
    [SAT_PART_K] = {"attn_k", DIMENSION, KEYS},
    [SAT_PART_V] = {"attn_v", DIMENSION, KEYS},
    [SAT_PART_Q_NORM] = {"attn_q_norm", HEAD, ROW},
    [SAT_PART_K_NORM] = {"attn_k_norm", HEAD, ROW},
    [SAT_PART_ATTN_OUTPUT] = {"attn_output", QUERIES, DIMENSION},
    [SAT_PART_ATTN_POST_NORM] = {"post_attention_norm", DIMENSION, ROW},
    [SAT_PART_FFN_NORM] = {"ffn_norm", DIMENSION, ROW},
    [SAT_PART_GATE] = {"ffn_gate", DIMENSION, FFN},
    [SAT_PART_UP] = {"ffn_up", DIMENSION, FFN},
    [SAT_PART_DOWN] = {"ffn_down", FFN, DIMENSION},
    [SAT_PART_FFN_POST_NORM] = {"post_ffw_norm", DIMENSION, ROW},
};

/* ------------------------------------------------------------------ tensors */

/* In whichever file it is; marks it taken. */
static const sat_tensor *look_up(const loader *load, const char *name) {
    const sat_gguf_set *files = load->decoder->files;
    size_t part;
    const sat_tensor *tensor = sat_gguf_set_tensor(files, name, &part);
    if (tensor)
        load->decoder->taken[part][tensor - files->parts[part]->tensors] = 1;
    return tensor;
}

static satchel_status misshapen(const loader *load, const sat_tensor *tensor, size_t columns,
                                size_t rows) {
    return sat_fail(load->error, SATCHEL_DAMAGED,
                    "%s: tensor %s has shape %llu x %llu x %llu where %zu x %zu is needed",
                    load->decoder->file, tensor->name, (unsigned long long)tensor->shape[0],
                    (unsigned long long)tensor->shape[1],
                    (unsigned long long)(tensor->shape[2] * tensor->shape[3]), columns, rows);
}

/* rows 0: any number. *out stays NULL if it is not there and may be absent. */
static satchel_status find(const loader *load, const char *name, size_t columns, size_t rows,
                           bool optional, const sat_tensor **out) {
    const sat_tensor *tensor = look_up(load, name);
    *out = NULL;
    if (!tensor && optional)
        return SATCHEL_OK;
    if (!tensor) {
        return sat_fail(load->error, SATCHEL_DAMAGED,
                        "%s: tensor %s is missing; convert the model again", load->decoder->file,
                        name);
    }
    if (tensor->rank > 2 || tensor->shape[0] != columns || (rows && tensor->shape[1] != rows))
        return misshapen(load, tensor, columns, rows);
    *out = tensor;
    return SATCHEL_OK;
}

static satchel_status unreadable(const loader *load, const sat_tensor *tensor) {
    return sat_fail(load->error, SATCHEL_UNSUPPORTED,
                    "%s: tensor %s has type %s (%u), which is not read; use another quantization",
                    load->decoder->file, tensor->name, sat_tensor_type_name(tensor->type),
                    (unsigned)tensor->type);
}

/* A vector as floats; NULL if it may be absent and is. */
static satchel_status load_vector(const loader *load, const char *name, size_t n, bool optional,
                                  const float **out) {
    const sat_tensor *tensor;
    sat_matrix matrix;
    *out = NULL;
    satchel_status status = find(load, name, n, 1, optional, &tensor);
    if (status || !tensor)
        return status;
    if (!sat_matrix_of(&matrix, tensor))
        return unreadable(load, tensor);
    void *values;
    status = sat_decoder_take(load->decoder, n, sizeof(float), &values, load->error);
    if (status)
        return status;
    sat_matrix_row(&matrix, 0, values);
    *out = values;
    return SATCHEL_OK;
}

static satchel_status take_weight(const loader *load, const sat_tensor *tensor, sat_weight *out) {
    *out = (sat_weight){.scale = 1, .name = tensor->name};
    if (!sat_matrix_of(&out->matrix, tensor))
        return unreadable(load, tensor);
    out->number = load->plan->weight_count++;
    return SATCHEL_OK;
}

/* "<stem>.weight" of a layer with its bias and scale; out->name NULL if it may be absent and is. */
static satchel_status load_weight(const loader *load, size_t layer, sat_part part, size_t widen,
                                  bool optional, sat_weight *out) {
    const struct part_shape *shape = &shapes[part];
    const sat_tensor *tensor;
    size_t rows = size_of(load->plan, shape->rows) * widen;
    tensor_name name = layer_tensor(layer, shape->stem, "weight");
    memset(out, 0, sizeof *out);
    satchel_status status =
        find(load, name.text, size_of(load->plan, shape->columns), rows, optional, &tensor);
    if (status || !tensor)
        return status;
    status = take_weight(load, tensor, out);
    if (!status && load->plan->arch->biases & SAT_HAS(part)) {
        name = layer_tensor(layer, shape->stem, "bias");
        status = load_vector(load, name.text, rows, true, &out->bias);
    }
    if (!status) {
        const float *scale;
        name = layer_tensor(layer, shape->stem, "scale");
        status = load_vector(load, name.text, 1, true, &scale);
        if (!status && scale)
            out->scale = *scale;
    }
    out->matrix.bias = out->scale == 1 ? out->bias : NULL;
    return status;
}

static satchel_status load_norm(const loader *load, size_t layer, sat_part part,
                                const float **out) {
    if (!(load->plan->arch->parts & SAT_HAS(part)))
        return SATCHEL_OK;
    tensor_name name = layer_tensor(layer, shapes[part].stem, "weight");
    return load_vector(load, name.text, size_of(load->plan, shapes[part].columns), false, out);
}

/* ------------------------------------------------------------------ layers */

static satchel_status load_qkv(const loader *load, size_t index, sat_decoder_layer *layer) {
    static const sat_part parts[3] = {SAT_PART_Q, SAT_PART_K, SAT_PART_V};
    satchel_status status = load_weight(load, index, SAT_PART_QKV, 1, true, &layer->qkv[0]);
    if (status)
        return status;
    layer->qkv_parts = 1;
    if (layer->qkv[0].name)
        return SATCHEL_OK;
    layer->qkv_parts = 3;
    for (int i = 0; !status && i < 3; i++)
        status = load_weight(load, index, parts[i], 1, false, &layer->qkv[i]);
    return status;
}

static satchel_status load_layer(const loader *load, size_t index, sat_decoder_layer *layer) {
    const sat_decoder_plan *plan = load->plan;
    const sat_arch *arch = plan->arch;
    satchel_status status = load_qkv(load, index, layer);
    if (!status)
        status = load_weight(load, index, SAT_PART_ATTN_OUTPUT, 1, false, &layer->output);
    if (!status && !arch->gate_in_up)
        status = load_weight(load, index, SAT_PART_GATE, 1, false, &layer->gate);
    if (!status)
        status = load_weight(load, index, SAT_PART_UP, arch->gate_in_up ? 2 : 1, false, &layer->up);
    if (!status)
        status = load_weight(load, index, SAT_PART_DOWN, 1, false, &layer->down);
    if (!status)
        status = load_norm(load, index, SAT_PART_ATTN_NORM, &layer->attn_norm);
    if (!status)
        status = load_norm(load, index, SAT_PART_Q_NORM, &layer->q_norm);
    if (!status)
        status = load_norm(load, index, SAT_PART_K_NORM, &layer->k_norm);
    if (!status)
        status = load_norm(load, index, SAT_PART_ATTN_POST_NORM, &layer->attn_post_norm);
    if (!status)
        status = load_norm(load, index, SAT_PART_FFN_NORM, &layer->ffn_norm);
    if (!status)
        status = load_norm(load, index, SAT_PART_FFN_POST_NORM, &layer->ffn_post_norm);
    layer->rope = !arch->no_rope_every || (index + 1) % arch->no_rope_every != 0;
    layer->window = plan->windowed[index] ? plan->window : 0;
    return status;
}

/* ------------------------------------------------------------------ the model's own */

static satchel_status load_tables(const loader *load) {
    sat_decoder_plan *plan = load->plan;
    const sat_tensor *tensor, *output;
    satchel_status status = find(load, "token_embd.weight", plan->dimension, 0, false, &tensor);
    if (!status)
        status = take_weight(load, tensor, &plan->tokens);
    if (status)
        return status;
    if (tensor->shape[1] > SAT_DECODER_MAX_VOCABULARY) {
        return sat_fail(load->error, SATCHEL_UNSUPPORTED, "%s: token_embd.weight has %llu rows",
                        load->decoder->file, (unsigned long long)tensor->shape[1]);
    }
    plan->vocabulary = (size_t)tensor->shape[1];
    status = find(load, "output.weight", plan->dimension, plan->vocabulary, true, &output);
    if (!status) /* a model without a head of its own uses the table */
        status = take_weight(load, output ? output : tensor, &plan->output);
    if (!status && plan->arch->head_bias) {
        status = load_vector(load, "output.bias", plan->vocabulary, true, &plan->output.bias);
        plan->output.matrix.bias = plan->output.bias;
    }
    if (!status) {
        status =
            load_vector(load, "output_norm.weight", plan->dimension, false, &plan->output_norm);
    }
    return status;
}

static satchel_status make_rope(const loader *load, int which, const sat_rope_settings *settings) {
    void *frequencies;
    satchel_status status = sat_decoder_take(load->decoder, settings->rotated / 2, sizeof(double),
                                             &frequencies, load->error);
    if (status)
        return status;
    if (!sat_rope_init(&load->plan->rope[which], settings, frequencies)) {
        return sat_fail(load->error, SATCHEL_DAMAGED,
                        "%s: the rope keys and factors give frequencies that are no numbers",
                        load->decoder->file);
    }
    return SATCHEL_OK;
}

static satchel_status load_ropes(const loader *load) {
    sat_decoder_plan *plan = load->plan;
    sat_rope_settings settings = plan->scaling;
    const float *freqs = NULL, *longer = NULL, *shorter = NULL;
    satchel_status status = SATCHEL_OK;
    size_t half = plan->rotated / 2;
    if (plan->arch->rope_freqs)
        status = load_vector(load, "rope_freqs.weight", half, true, &freqs);
    if (!status && plan->arch->rope_long)
        status = load_vector(load, "rope_factors_long.weight", half, true, &longer);
    if (!status && plan->arch->rope_long)
        status = load_vector(load, "rope_factors_short.weight", half, true, &shorter);
    settings.factors = freqs ? freqs : shorter;
    if (!status)
        status = make_rope(load, SAT_ROPE_GLOBAL, &settings);
    plan->has_long = !freqs && (longer || shorter);
    settings.factors = longer;
    if (!status && plan->has_long)
        status = make_rope(load, SAT_ROPE_LONG, &settings);
    if (!status && plan->window) {
        settings.factors = NULL;
        settings.base = plan->window_base;
        settings.factor = 1;
        settings.scaling = SAT_ROPE_LINEAR;
        status = make_rope(load, SAT_ROPE_LOCAL, &settings);
    }
    return status;
}

static satchel_status refuse_unknown(const loader *load) {
    const sat_decoder *decoder = load->decoder;
    for (size_t i = 0; i < decoder->files->count; i++) {
        const sat_gguf *part = decoder->files->parts[i];
        for (size_t t = 0; t < part->tensor_count; t++) {
            if (decoder->taken[i][t])
                continue;
            return sat_fail(load->error, SATCHEL_UNSUPPORTED,
                            "%s: tensor %s has no place in architecture %s as it is known here",
                            decoder->file, part->tensors[t].name, load->plan->arch->name);
        }
    }
    return SATCHEL_OK;
}

satchel_status sat_decoder_load(sat_decoder *decoder, satchel_error *error) {
    sat_decoder_plan *plan = &decoder->plan;
    loader load = {decoder, plan, error};
    void *layers;
    satchel_status status =
        sat_decoder_take(decoder, plan->layer_count, sizeof *plan->layers, &layers, error);
    if (status)
        return status;
    plan->layers = layers;
    status = load_tables(&load);
    if (!status)
        status = load_ropes(&load);
    for (size_t i = 0; !status && i < plan->layer_count; i++)
        status = load_layer(&load, i, &plan->layers[i]);
    return status ? status : refuse_unknown(&load);
}
