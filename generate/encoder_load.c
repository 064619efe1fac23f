/*
 * Loading a text encoder: the tensors that its architecture has, each checked against the sizes,
 * and weights of F32, F16 and Q8_0 packed for the kernels; others, and the tables of tokens and
 * positions, stay where they are mapped. A tensor that has no place is an error: it would change
 * the results.
 *
 * The same walk over the tensors runs twice. The first time there is no memory: it checks
 * everything and adds up what is needed. The second fills one block of that size. So a file that is
 * too large for the memory limit is refused by its whole need, before any of it is loaded.
 */
#include "generate/encoder.h"

#include <stdio.h>
#include <string.h>

#include "generate/quants.h"

typedef struct loader {
    sat_encoder *encoder;
    sat_plan *plan;
    satchel_error *error;
    uint8_t *memory; /* NULL while measuring */
    size_t used;
} loader;

/* A tensor's name without its ".weight" or ".bias". */
typedef struct stem {
    char text[48];
} stem;

static stem stem_of(const char *name) {
    stem made;
    snprintf(made.text, sizeof made.text, "%.40s", name);
    return made;
}

typedef struct full_name {
    char text[64];
} full_name;

static full_name name_of(const stem *of, const char *suffix) {
    full_name name;
    snprintf(name.text, sizeof name.text, "%.47s.%.8s", of->text, suffix);
    return name;
}

static const char *const part_names[SAT_PARTS] = {
    [SAT_PART_ATTN_NORM] = "attn_norm",
    [SAT_PART_QKV] = "attn_qkv",
    [SAT_PART_Q] = "attn_q",
    [SAT_PART_K] = "attn_k",
    [SAT_PART_V] = "attn_v",
    [SAT_PART_Q_NORM] = "attn_q_norm",
    [SAT_PART_K_NORM] = "attn_k_norm",
    [SAT_PART_ATTN_OUTPUT] = "attn_output",
    [SAT_PART_ATTN_POST_NORM] = "post_attention_norm",
    [SAT_PART_FFN_NORM] = "ffn_norm",
    [SAT_PART_GATE] = "ffn_gate",
    [SAT_PART_UP] = "ffn_up",
    [SAT_PART_DOWN] = "ffn_down",
    [SAT_PART_FFN_POST_NORM] = "post_ffw_norm",
    [SAT_PART_ATTN_OUTPUT_NORM] = "attn_output_norm",
    [SAT_PART_LAYER_NORM] = "layer_output_norm",
};

static stem layer_stem(size_t layer, sat_part part) {
    stem name;
    snprintf(name.text, sizeof name.text, "blk.%u.%.24s", (unsigned)layer, part_names[part]);
    return name;
}

/* ------------------------------------------------------------------ memory */

/* The next `size` bytes, 64-byte aligned; NULL while measuring. False on overflow. */
static bool reserve(loader *load, size_t size, void **out) {
    size_t rounded;
    if (!sat_add_size(size, 63, &rounded))
        return false;
    rounded &= ~(size_t)63;
    *out = load->memory ? load->memory + load->used : NULL;
    return sat_add_size(load->used, rounded, &load->used);
}

static satchel_status too_large(const loader *load) {
    return sat_fail(load->error, SATCHEL_LIMIT, "%s: the model is larger than the address space",
                    load->encoder->file);
}

/* ------------------------------------------------------------------ tensors */

static bool is_there(const loader *load, const char *name) {
    return sat_gguf_tensor(load->encoder->gguf, name) != NULL;
}

/* rows 0: any number of them. */
static satchel_status find_tensor(const loader *load, const char *name, uint64_t columns,
                                  uint64_t rows, const sat_tensor **out) {
    const sat_encoder *encoder = load->encoder;
    const sat_tensor *tensor = sat_gguf_tensor(encoder->gguf, name);
    if (!tensor) {
        return sat_fail(load->error, SATCHEL_DAMAGED,
                        "%s: tensor %s is missing; convert the model again", encoder->file, name);
    }
    if (!sat_quant_known(tensor->type)) {
        return sat_fail(load->error, SATCHEL_UNSUPPORTED,
                        "%s: tensor %s has type %s (%u), which is not read; use another "
                        "quantization",
                        encoder->file, name, sat_tensor_type_name(tensor->type),
                        (unsigned)tensor->type);
    }
    if (tensor->rank > 2 || tensor->shape[0] != columns ||
        (rows != 0 && tensor->shape[1] != rows) || !tensor->data) {
        return sat_fail(load->error, SATCHEL_DAMAGED,
                        "%s: tensor %s has shape %llu x %llu where %llu x %llu is needed",
                        encoder->file, name, (unsigned long long)tensor->shape[0],
                        (unsigned long long)tensor->shape[1], (unsigned long long)columns,
                        (unsigned long long)rows);
    }
    encoder->taken[tensor - encoder->gguf->tensors] = 1;
    *out = tensor;
    return SATCHEL_OK;
}

static satchel_status find_matrix(const loader *load, const char *name, uint64_t columns,
                                  uint64_t rows, sat_matrix *out) {
    const sat_tensor *tensor = NULL;
    satchel_status status = find_tensor(load, name, columns, rows, &tensor);
    if (!status && !sat_matrix_of(out, tensor))
        return too_large(load);
    return status;
}

/* The first row of `name` (rows, n; rows 0: any number), or zeros if it may be absent and is. */
static satchel_status load_row(loader *load, const char *name, size_t n, size_t rows, bool optional,
                               const float **out) {
    sat_matrix matrix;
    void *memory;
    if (!reserve(load, n * sizeof(float), &memory))
        return too_large(load);
    *out = memory;
    if (optional && !is_there(load, name)) {
        if (memory)
            memset(memory, 0, n * sizeof(float));
        return SATCHEL_OK;
    }
    satchel_status status = find_matrix(load, name, n, rows, &matrix);
    if (!status && memory)
        sat_matrix_row(&matrix, 0, memory);
    return status;
}

static satchel_status load_norm(loader *load, const stem *of, sat_norm *norm) {
    const sat_plan *plan = load->plan;
    satchel_status status =
        load_row(load, name_of(of, "weight").text, plan->dimension, 1, false, &norm->gamma);
    if (!status && !plan->arch->rms)
        status = load_row(load, name_of(of, "bias").text, plan->dimension, 1, true, &norm->beta);
    norm->epsilon = plan->epsilon;
    return status;
}

/* ------------------------------------------------------------------ weights */

/* Matrices with k inputs, one after the other in one product. */
typedef struct group {
    stem stems[3];
    size_t n[3], count; /* outputs of each */
    size_t k;
    bool biased;  /* biases may be there */
    bool reads_x; /* their input is x, of which some blocks are doubled for Q8 */
} group;

static bool is_packed(uint32_t type) {
    return type == SAT_GGML_F32 || type == SAT_GGML_F16 || type == SAT_GGML_Q8_0;
}

static sat_weight_type weight_type(const sat_tensor *tensor) {
    switch (tensor->type) {
    case SAT_GGML_F32:
        return SAT_WEIGHT_F32;
    case SAT_GGML_F16:
        return SAT_WEIGHT_F16;
    default:
        return SAT_WEIGHT_Q8;
    }
}

/* Packs a matrix of Q8_0 (n, k) row by row, with blocks of zeros behind its own. */
static void pack_widened(const sat_weights *to, const sat_tensor *tensor, size_t first, size_t n) {
    enum { BLOCK_BYTES = 34, MOST = SAT_ENCODER_MAX_DIMENSION / SAT_Q8_BLOCK + SAT_DOUBLED };
    uint8_t row[MOST * BLOCK_BYTES] = {0};
    size_t bytes = (size_t)tensor->shape[0] / SAT_Q8_BLOCK * BLOCK_BYTES;
    for (size_t i = 0; i < n; i++) {
        memcpy(row, (const uint8_t *)tensor->data + i * bytes, bytes);
        sat_weights_pack((void *)(uintptr_t)to->packed, to->type, to->n, to->k, row, first + i, 1);
    }
}

/* A bias of n values at `out`, if there is one. */
static satchel_status read_bias(const loader *load, const group *of, size_t index, float *out) {
    full_name name = name_of(&of->stems[index], "bias");
    sat_matrix matrix;
    if (!of->biased || !is_there(load, name.text))
        return SATCHEL_OK;
    satchel_status status = find_matrix(load, name.text, of->n[index], 1, &matrix);
    if (!status && out)
        sat_matrix_row(&matrix, 0, out);
    return status;
}

static satchel_status pack_weights(loader *load, const group *of, const sat_tensor *const *tensors,
                                   sat_weights *out) {
    sat_weight_type type = weight_type(tensors[0]);
    bool widened = of->reads_x && type == SAT_WEIGHT_Q8;
    size_t inputs = of->k + (widened ? load->plan->doubled * SAT_Q8_BLOCK : 0), n = 0, first = 0;
    for (size_t i = 0; i < of->count; i++)
        n += of->n[i];
    size_t size = sat_weights_size(type, n, inputs);
    void *packed, *bias;
    if (size == 0 || !reserve(load, size, &packed) || !reserve(load, n * sizeof(float), &bias))
        return too_large(load);
    *out = (sat_weights){packed, bias, n, inputs, type};
    if (packed) {
        sat_weights_clear(packed, type, n, inputs);
        memset(bias, 0, n * sizeof(float));
    }
    for (size_t i = 0; i < of->count; first += of->n[i++]) {
        satchel_status status = read_bias(load, of, i, bias ? (float *)bias + first : NULL);
        if (status)
            return status;
        if (packed && widened)
            pack_widened(out, tensors[i], first, of->n[i]);
        else if (packed)
            sat_weights_pack(packed, type, n, of->k, tensors[i]->data, first, of->n[i]);
    }
    return SATCHEL_OK;
}

/* One matrix that stays where it is, with its bias and its scale. */
static satchel_status map_weights(loader *load, const group *of, const sat_tensor *tensor,
                                  sat_encoder_weight *out) {
    full_name scale_name = name_of(&of->stems[0], "scale");
    void *bias = NULL;
    if (!sat_matrix_of(&out->matrix, tensor))
        return too_large(load);
    out->scale = 1;
    if (of->biased && is_there(load, name_of(&of->stems[0], "bias").text) &&
        !reserve(load, of->n[0] * sizeof(float), &bias))
        return too_large(load);
    satchel_status status = read_bias(load, of, 0, bias);
    if (!status && is_there(load, scale_name.text)) {
        sat_matrix scale;
        status = find_matrix(load, scale_name.text, 1, 1, &scale);
        if (!status)
            sat_matrix_row(&scale, 0, &out->scale);
    }
    out->bias = bias;
    out->matrix.bias = out->scale == 1 ? out->bias : NULL;
    return status;
}

/* "<stem>.weight" of all; several are of one type that is packed. */
static satchel_status load_weights(loader *load, const group *of, sat_encoder_weight *out) {
    const sat_tensor *tensors[3] = {NULL};
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < of->count; i++) {
        satchel_status status =
            find_tensor(load, name_of(&of->stems[i], "weight").text, of->k, of->n[i], &tensors[i]);
        if (status)
            return status;
    }
    return is_packed(tensors[0]->type) ? pack_weights(load, of, tensors, &out->packed)
                                       : map_weights(load, of, tensors[0], out);
}

static satchel_status load_part(loader *load, size_t layer, sat_part part, size_t n, size_t k,
                                bool reads_x, sat_encoder_weight *out) {
    group of = {.stems = {layer_stem(layer, part)},
                .n = {n},
                .count = 1,
                .k = k,
                .biased = load->plan->arch->biases & SAT_HAS(part),
                .reads_x = reads_x};
    return load_weights(load, &of, out);
}

/* ------------------------------------------------------------------ layers */

static satchel_status load_qkv(loader *load, size_t layer, sat_qkv *qkv) {
    static const sat_part parts[3] = {SAT_PART_Q, SAT_PART_K, SAT_PART_V};
    const sat_plan *plan = load->plan;
    const size_t n[3] = {plan->queries, plan->keys, plan->keys};
    stem fused = layer_stem(layer, SAT_PART_QKV);
    qkv->parts = 1;
    if (is_there(load, name_of(&fused, "weight").text)) {
        return load_part(load, layer, SAT_PART_QKV, plan->queries + 2 * plan->keys, plan->dimension,
                         true, &qkv->part[0]);
    }
    group all = {.count = 3,
                 .k = plan->dimension,
                 .biased = plan->arch->biases & SAT_HAS(SAT_PART_Q),
                 .reads_x = true};
    bool together = true;
    uint32_t type = 0;
    for (int i = 0; i < 3; i++) {
        const sat_tensor *tensor;
        all.stems[i] = layer_stem(layer, parts[i]);
        all.n[i] = n[i];
        satchel_status status = find_tensor(load, name_of(&all.stems[i], "weight").text,
                                            plan->dimension, n[i], &tensor);
        if (status)
            return status;
        type = i ? type : tensor->type;
        together &= is_packed(type) && tensor->type == type;
    }
    if (together)
        return load_weights(load, &all, &qkv->part[0]);
    qkv->parts = 3;
    for (int i = 0; i < 3; i++) {
        satchel_status status =
            load_part(load, layer, parts[i], n[i], plan->dimension, true, &qkv->part[i]);
        if (status)
            return status;
    }
    return SATCHEL_OK;
}

static satchel_status load_layer_norm(loader *load, size_t layer, sat_part part, sat_norm *norm) {
    const sat_encoder_arch *arch = load->plan->arch;
    stem of = layer_stem(layer, part);
    bool bare = arch->bare_first && layer == 0 && part == SAT_PART_ATTN_NORM &&
                !is_there(load, name_of(&of, "weight").text);
    return arch->parts & SAT_HAS(part) && !bare ? load_norm(load, &of, norm) : SATCHEL_OK;
}

static satchel_status load_head_norm(loader *load, size_t layer, sat_part part, const float **out) {
    stem of = layer_stem(layer, part);
    if (!(load->plan->arch->parts & SAT_HAS(part)))
        return SATCHEL_OK;
    return load_row(load, name_of(&of, "weight").text, load->plan->head_dimension, 1, false, out);
}

static satchel_status load_norms(loader *load, size_t index, sat_layer *layer) {
    const struct {
        sat_part part;
        sat_norm *norm;
    } norms[] = {
        {SAT_PART_ATTN_NORM, &layer->attn_norm},
        {SAT_PART_ATTN_POST_NORM, &layer->attn_post_norm},
        {SAT_PART_ATTN_OUTPUT_NORM, &layer->attn_output_norm},
        {SAT_PART_FFN_NORM, &layer->ffn_norm},
        {SAT_PART_FFN_POST_NORM, &layer->ffn_post_norm},
        {SAT_PART_LAYER_NORM, &layer->layer_norm},
    };
    satchel_status status = SATCHEL_OK;
    for (size_t i = 0; i < SAT_COUNT(norms) && !status; i++)
        status = load_layer_norm(load, index, norms[i].part, norms[i].norm);
    if (!status)
        status = load_head_norm(load, index, SAT_PART_Q_NORM, &layer->q_norm);
    return status ? status : load_head_norm(load, index, SAT_PART_K_NORM, &layer->k_norm);
}

static satchel_status load_layer(loader *load, size_t index, sat_layer *layer) {
    const sat_plan *plan = load->plan;
    size_t d = plan->dimension, up = plan->arch->gate_in_up ? 2 * plan->ffn : plan->ffn;
    satchel_status status = load_qkv(load, index, &layer->qkv);
    if (!status) {
        status =
            load_part(load, index, SAT_PART_ATTN_OUTPUT, d, plan->queries, false, &layer->output);
    }
    layer->gated = plan->arch->parts & SAT_HAS(SAT_PART_GATE);
    if (!status && layer->gated)
        status = load_part(load, index, SAT_PART_GATE, plan->ffn, d, true, &layer->gate);
    if (!status)
        status = load_part(load, index, SAT_PART_UP, up, d, true, &layer->up);
    if (!status)
        status = load_part(load, index, SAT_PART_DOWN, d, plan->ffn, false, &layer->down);
    return status ? status : load_norms(load, index, layer);
}

/* ------------------------------------------------------------------ the model's own */

static satchel_status load_tables(loader *load) {
    sat_plan *plan = load->plan;
    const sat_encoder *encoder = load->encoder;
    satchel_status status =
        find_matrix(load, "token_embd.weight", plan->dimension, 0, &plan->tokens);
    if (!status && plan->tokens.n < (uint64_t)encoder->tokens.size) {
        status = sat_fail(load->error, SATCHEL_DAMAGED,
                          "%s: token_embd.weight has %zu rows for a vocabulary of %lld",
                          encoder->file, plan->tokens.n, (long long)encoder->tokens.size);
    }
    if (!status && plan->arch->positions)
        status = find_matrix(load, "position_embd.weight", plan->dimension, 0, &plan->places);
    if (!status && plan->arch->token_types)
        status = load_row(load, "token_types.weight", plan->dimension, 0, true, &plan->type);
    const stem first = stem_of("token_embd_norm"), last = stem_of("output_norm");
    if (!status && plan->arch->embedding_norm)
        status = load_norm(load, &first, &plan->embedding_norm);
    if (!status && plan->arch->output_norm)
        status = load_norm(load, &last, &plan->output_norm);
    return status;
}

static satchel_status load_rope(loader *load, int which, double base, double factor) {
    sat_plan *plan = load->plan;
    sat_rope_settings settings = plan->scaling;
    void *frequencies;
    if (!reserve(load, plan->rotated / 2 * sizeof(double), &frequencies))
        return too_large(load);
    settings.base = base;
    settings.factor = factor;
    if (frequencies && !sat_rope_init(&plan->rope[which], &settings, frequencies)) {
        return sat_fail(load->error, SATCHEL_DAMAGED,
                        "%s: the rope keys give frequencies that are no numbers",
                        load->encoder->file);
    }
    return SATCHEL_OK;
}

static satchel_status load_ropes(loader *load) {
    const sat_plan *plan = load->plan;
    satchel_status status = SATCHEL_OK;
    if (plan->rotated > 0)
        status = load_rope(load, SAT_ENCODER_ROPE, plan->scaling.base, plan->scaling.factor);
    if (!status && plan->rotated > 0 && plan->window > 0)
        status = load_rope(load, SAT_ENCODER_ROPE_WINDOW, plan->window_base, 1);
    return status;
}

/* Layers behind pooling: the first reads the model's width, the last one's outputs are the
 * vector. */
static satchel_status load_dense(loader *load) {
    static const char *const names[2] = {"dense_2", "dense_3"};
    sat_plan *plan = load->plan;
    size_t width = plan->dimension;
    plan->dense_count = 0;
    for (int i = 0; i < 2 && plan->arch->dense; i++) {
        group of = {.stems = {stem_of(names[i])}, .count = 1, .k = width, .biased = true};
        sat_encoder_weight *dense = &plan->dense[plan->dense_count];
        full_name name = name_of(&of.stems[0], "weight");
        const sat_tensor *tensor;
        if (!is_there(load, name.text))
            continue;
        satchel_status status = find_tensor(load, name.text, width, 0, &tensor);
        if (!status && tensor->shape[1] > SAT_ENCODER_MAX_FFN) {
            status = sat_fail(load->error, SATCHEL_UNSUPPORTED, "%s: tensor %s has %llu rows",
                              load->encoder->file, name.text, (unsigned long long)tensor->shape[1]);
        }
        if (status)
            return status;
        memset(dense, 0, sizeof *dense);
        of.n[0] = width = (size_t)tensor->shape[1];
        status = map_weights(load, &of, tensor, dense);
        if (status)
            return status;
        plan->dense_count++;
    }
    plan->output = width;
    return SATCHEL_OK;
}

static satchel_status load_all(loader *load) {
    sat_plan *plan = load->plan;
    satchel_status status = load_tables(load);
    if (!status)
        status = load_ropes(load);
    for (size_t i = 0; !status && i < plan->layer_count; i++)
        status = load_layer(load, i, &plan->layers[i]);
    return status ? status : load_dense(load);
}

/* Whether a tensor is the weight or bias of one that vectors do not need. */
static bool is_unused(const sat_encoder_arch *arch, const char *name) {
    for (size_t i = 0; i < SAT_COUNT(arch->unused) && arch->unused[i]; i++) {
        size_t length = strlen(arch->unused[i]);
        if (strncmp(name, arch->unused[i], length) == 0 &&
            (strcmp(name + length, ".weight") == 0 || strcmp(name + length, ".bias") == 0))
            return true;
    }
    return false;
}

static satchel_status refuse_unknown(const loader *load) {
    const sat_gguf *gguf = load->encoder->gguf;
    for (size_t i = 0; i < gguf->tensor_count; i++) {
        const char *name = gguf->tensors[i].name;
        if (load->encoder->taken[i] || is_unused(load->plan->arch, name))
            continue;
        return sat_fail(load->error, SATCHEL_UNSUPPORTED,
                        "%s: tensor %s has no place in architecture %s as it is known here",
                        load->encoder->file, name, load->plan->arch->name);
    }
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ the whole */

/* What the layers' kernels read decides which forms are worth writing. */
static void choose_forms(sat_plan *plan) {
    for (size_t i = 0; i < plan->layer_count; i++) {
        const sat_layer *layer = &plan->layers[i];
        for (int p = 0; p < layer->qkv.parts; p++)
            plan->reads_x |= sat_encoder_reads(&layer->qkv.part[p]);
        plan->reads_x |= sat_encoder_reads(&layer->up);
        if (layer->gated)
            plan->reads_x |= sat_encoder_reads(&layer->gate);
        plan->reads_attended |= sat_encoder_reads(&layer->output);
        plan->reads_hidden |= sat_encoder_reads(&layer->down);
        if (!sat_encoder_fused(plan, layer)) /* up's output is activated aside */
            plan->reads_hidden |= SAT_READS_ROWS;
    }
    /* Quantized heads are written in place only where they fall on whole blocks. */
    if (plan->head_dimension % SAT_Q8_BLOCK != 0 || plan->reads_attended != SAT_READS_Q8)
        plan->reads_attended |= SAT_READS_ROWS;
}

satchel_status sat_encoder_load(sat_encoder *encoder, satchel_error *error) {
    sat_plan *plan = &encoder->plan;
    sat_memory *memory = &encoder->context->memory;
    loader load = {encoder, plan, error, NULL, 0};
    size_t tensors = encoder->gguf->tensor_count;
    encoder->taken = sat_calloc(memory, tensors + 1, 1);
    if (!encoder->taken)
        return sat_memory_fail(memory, tensors + 1, error);
    satchel_status status = load_all(&load);
    if (!status)
        status = refuse_unknown(&load);
    if (status)
        return status;
    choose_forms(plan);
    plan->memory = sat_alloc_aligned(memory, load.used);
    if (!plan->memory)
        return sat_memory_fail(memory, load.used, error);
    load.memory = plan->memory;
    load.used = 0;
    status = load_all(&load);
    if (!status && plan->reads_x & SAT_READS_Q8)
        status = sat_encoder_double(encoder, error);
    return status;
}

void sat_encoder_unload(sat_encoder *encoder) {
    sat_memory *memory = &encoder->context->memory;
    sat_free(memory, encoder->taken);
    sat_free(memory, encoder->plan.layers);
    sat_free_aligned(memory, encoder->plan.memory);
    encoder->taken = NULL;
    encoder->plan.layers = NULL;
    encoder->plan.memory = NULL;
}
