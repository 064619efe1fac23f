/*
 * Loading a text encoder: hyperparameters and tensors of a GGUF file of architecture "bert", each
 * checked against the others, and the weights packed for the kernels.
 *
 * The same walk over the tensors runs twice. The first time there is no memory: it checks everything
 * and adds up what is needed. The second fills one block of that size. So a file that is too
 * large for the memory limit is refused by its whole need, before any of it is loaded.
 */
#include "generate/encoder.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct loader {
    sat_encoder *encoder;
    const char *file;
    satchel_error *error;
    uint8_t *memory; /* NULL while measuring */
    size_t used;
} loader;

/* A tensor's name without its ".weight" or ".bias". */
typedef struct stem {
    char text[48];
} stem;

static stem layer_stem(int layer, const char *part) {
    stem name;
    snprintf(name.text, sizeof name.text, "blk.%d.%.24s", layer, part);
    return name;
}

typedef struct full_name {
    char text[64];
} full_name;

static full_name name_of(const stem *of, const char *suffix) {
    full_name name;
    snprintf(name.text, sizeof name.text, "%.47s.%.8s", of->text, suffix);
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
                    load->file);
}

/* ------------------------------------------------------------------ tensors */

static satchel_status find_tensor(const loader *load, const char *name, uint64_t columns,
                                  uint64_t rows, const sat_tensor **out) {
    const sat_tensor *tensor = sat_gguf_tensor(load->encoder->gguf, name);
    if (!tensor) {
        return sat_fail(load->error, SATCHEL_DAMAGED,
                        "%s: tensor %s is missing; convert the model again", load->file, name);
    }
    if (tensor->type != SAT_GGML_F32 && tensor->type != SAT_GGML_F16 &&
        tensor->type != SAT_GGML_Q8_0) {
        return sat_fail(
            load->error, SATCHEL_UNSUPPORTED,
            "%s: tensor %s has type %s (%u); text encoders are read as F32, F16 or Q8_0",
            load->file, name, sat_tensor_type_name(tensor->type), (unsigned)tensor->type);
    }
    /* rows 0: any number of them */
    if (tensor->rank > 2 || tensor->shape[0] != columns ||
        (rows != 0 && tensor->shape[1] != rows)) {
        return sat_fail(load->error, SATCHEL_DAMAGED,
                        "%s: tensor %s has shape %llu x %llu where %llu x %llu is needed",
                        load->file, name, (unsigned long long)tensor->shape[0],
                        (unsigned long long)tensor->shape[1], (unsigned long long)columns,
                        (unsigned long long)rows);
    }
    *out = tensor;
    return SATCHEL_OK;
}

static sat_table table_of(const sat_tensor *tensor) {
    return (sat_table){.data = tensor->data,
                       .row_bytes = (size_t)(tensor->bytes / tensor->shape[1]),
                       .columns = (size_t)tensor->shape[0],
                       .rows = (size_t)tensor->shape[1],
                       .type = tensor->type};
}

/* Weights may begin at any byte of the mapping: they are copied to a place with alignment first. */
void sat_table_row(const sat_vector_kernels *vector, const sat_table *table, size_t row,
                   float *out) {
    enum { PIECE = 256 };
    const uint8_t *at = table->data + row * table->row_bytes;
    if (table->type == SAT_GGML_F32) {
        memcpy(out, at, table->columns * sizeof *out);
        return;
    }
    if (table->type == SAT_GGML_F16) {
        uint16_t half[PIECE];
        for (size_t i = 0, n; i < table->columns; i += n) {
            n = table->columns - i < PIECE ? table->columns - i : PIECE;
            memcpy(half, at + i * sizeof *half, n * sizeof *half);
            vector->from_f16(out + i, half, n);
        }
        return;
    }
    for (size_t i = 0; i < table->columns; i += SAT_Q8_BLOCK, at += 34) {
        uint16_t half;
        float scale;
        memcpy(&half, at, sizeof half);
        vector->from_f16(&scale, &half, 1);
        for (int j = 0; j < SAT_Q8_BLOCK; j++)
            out[i + (size_t)j] = scale * (float)(int8_t)at[2 + j];
    }
}

/* A vector of n floats, from `name` or zeros if it may be absent. */
static satchel_status load_vector(loader *load, const char *name, size_t n, bool optional,
                                  const float **out) {
    void *memory;
    if (!reserve(load, n * sizeof(float), &memory))
        return too_large(load);
    const sat_tensor *tensor = NULL;
    if (!optional || sat_gguf_tensor(load->encoder->gguf, name)) {
        satchel_status status = find_tensor(load, name, n, 1, &tensor);
        if (status)
            return status;
    }
    *out = memory;
    if (memory && tensor) {
        sat_table table = table_of(tensor);
        sat_table_row(load->encoder->context->vector, &table, 0, memory);
    } else if (memory) {
        memset(memory, 0, n * sizeof(float));
    }
    return SATCHEL_OK;
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

/* Packs `count` matrices (n, k) of one type, their outputs one after the other, with their
 * biases. reads_x: their input is x, of which some blocks are doubled for Q8. */
static satchel_status load_weights(loader *load, const stem *stems, size_t count, size_t n,
                                   size_t k, bool reads_x, sat_weights *out) {
    const sat_tensor *tensors[3] = {NULL};
    satchel_status status;
    for (size_t i = 0; i < count; i++) {
        status = find_tensor(load, name_of(&stems[i], "weight").text, k, n, &tensors[i]);
        if (status)
            return status;
    }
    sat_weight_type type = weight_type(tensors[0]);
    bool widened = reads_x && type == SAT_WEIGHT_Q8;
    size_t inputs = k + (widened ? load->encoder->plan.doubled * SAT_Q8_BLOCK : 0);
    size_t size = sat_weights_size(type, n * count, inputs);
    void *packed, *bias;
    if (size == 0 || !reserve(load, size, &packed) ||
        !reserve(load, n * count * sizeof(float), &bias))
        return too_large(load);
    *out = (sat_weights){packed, bias, n * count, inputs, type};
    if (packed) {
        sat_weights_clear(packed, type, n * count, inputs);
        memset(bias, 0, n * count * sizeof(float));
    }
    for (size_t i = 0; i < count; i++) {
        const sat_tensor *tensor = NULL;
        full_name bias_name = name_of(&stems[i], "bias");
        if (sat_gguf_tensor(load->encoder->gguf, bias_name.text)) {
            status = find_tensor(load, bias_name.text, n, 1, &tensor);
            if (status)
                return status;
        }
        if (packed && widened)
            pack_widened(out, tensors[i], i * n, n);
        else if (packed)
            sat_weights_pack(packed, type, n * count, k, tensors[i]->data, i * n, n);
        if (packed && tensor) {
            sat_table table = table_of(tensor);
            sat_table_row(load->encoder->context->vector, &table, 0, (float *)bias + i * n);
        }
    }
    return SATCHEL_OK;
}

static satchel_status load_norm(loader *load, const stem *of, sat_norm *norm) {
    const sat_plan *plan = &load->encoder->plan;
    satchel_status status =
        load_vector(load, name_of(of, "weight").text, plan->dimension, false, &norm->gamma);
    if (!status)
        status = load_vector(load, name_of(of, "bias").text, plan->dimension, true, &norm->beta);
    norm->epsilon = plan->epsilon;
    return status;
}

/* ------------------------------------------------------------------ layers */

static satchel_status load_qkv(loader *load, int layer, sat_qkv *qkv) {
    size_t dimension = load->encoder->plan.dimension;
    const stem stems[3] = {layer_stem(layer, "attn_q"), layer_stem(layer, "attn_k"),
                           layer_stem(layer, "attn_v")};
    uint32_t types[3];
    for (int i = 0; i < 3; i++) {
        const sat_tensor *tensor;
        satchel_status status =
            find_tensor(load, name_of(&stems[i], "weight").text, dimension, dimension, &tensor);
        if (status)
            return status;
        types[i] = tensor->type;
        qkv->column[i] = (size_t)i * dimension;
    }
    if (types[0] == types[1] && types[1] == types[2]) {
        qkv->parts = 1;
        return load_weights(load, stems, 3, dimension, dimension, true, &qkv->part[0]);
    }
    qkv->parts = 3;
    for (int i = 0; i < 3; i++) {
        satchel_status status =
            load_weights(load, &stems[i], 1, dimension, dimension, true, &qkv->part[i]);
        if (status)
            return status;
    }
    return SATCHEL_OK;
}

static satchel_status load_layer(loader *load, int index, sat_layer *layer) {
    size_t dimension = load->encoder->plan.dimension, ffn = load->encoder->plan.ffn;
    stem output = layer_stem(index, "attn_output"), up = layer_stem(index, "ffn_up"),
         down = layer_stem(index, "ffn_down"), norm = layer_stem(index, "attn_output_norm"),
         last = layer_stem(index, "layer_output_norm");
    satchel_status status = load_qkv(load, index, &layer->qkv);
    if (!status)
        status = load_weights(load, &output, 1, dimension, dimension, false, &layer->output);
    if (!status)
        status = load_weights(load, &up, 1, ffn, dimension, true, &layer->up);
    if (!status)
        status = load_weights(load, &down, 1, dimension, ffn, false, &layer->down);
    if (!status)
        status = load_norm(load, &norm, &layer->attention_norm);
    if (!status)
        status = load_norm(load, &last, &layer->output_norm);
    return status;
}

/* Position embeddings with token type 0 added: every token of a text has that type. */
static satchel_status load_places(loader *load) {
    sat_plan *plan = &load->encoder->plan;
    const sat_vector_kernels *vector = load->encoder->context->vector;
    const sat_tensor *positions, *types = NULL;
    size_t size;
    void *places, *type;
    satchel_status status =
        find_tensor(load, "position_embd.weight", plan->dimension, 0, &positions);
    if (!status && sat_gguf_tensor(load->encoder->gguf, "token_types.weight"))
        status = find_tensor(load, "token_types.weight", plan->dimension, 0, &types);
    if (status)
        return status;
    if (!sat_mul_size(plan->max_tokens, plan->dimension * sizeof(float), &size) ||
        !reserve(load, size, &places) || !reserve(load, plan->dimension * sizeof(float), &type))
        return too_large(load);
    plan->places = places;
    if (!places)
        return SATCHEL_OK;
    sat_table table = table_of(positions);
    float *row = places, *first = type;
    memset(first, 0, plan->dimension * sizeof(float));
    if (types) {
        sat_table type_table = table_of(types);
        sat_table_row(vector, &type_table, 0, first);
    }
    for (size_t p = 0; p < plan->max_tokens; p++, row += plan->dimension) {
        sat_table_row(vector, &table, p, row);
        for (size_t i = 0; i < plan->dimension; i++)
            row[i] += first[i];
    }
    return SATCHEL_OK;
}

static satchel_status load_all(loader *load) {
    sat_plan *plan = &load->encoder->plan;
    satchel_status status = load_places(load);
    if (!status) {
        const stem norm = {"token_embd_norm"};
        status = load_norm(load, &norm, &plan->embedding_norm);
    }
    for (size_t i = 0; !status && i < plan->layer_count; i++)
        status = load_layer(load, (int)i, &plan->layers[i]);
    return status;
}

/* ------------------------------------------------------------------ hyperparameters */

static satchel_status need_integer(const loader *load, const char *key, int64_t most, size_t *out) {
    int64_t value = 0;
    if (!sat_gguf_integer(load->encoder->gguf, key, &value)) {
        return sat_fail(load->error, SATCHEL_DAMAGED,
                        "%s: key %s is missing; convert the model again", load->file, key);
    }
    if (value < 1 || value > most) {
        return sat_fail(load->error, SATCHEL_UNSUPPORTED, "%s: %s is %lld, outside 1 to %lld",
                        load->file, key, (long long)value, (long long)most);
    }
    *out = (size_t)value;
    return SATCHEL_OK;
}

static satchel_status read_sizes(const loader *load, sat_plan *plan) {
    satchel_status status =
        need_integer(load, "bert.embedding_length", SAT_ENCODER_MAX_DIMENSION, &plan->dimension);
    if (!status) {
        status = need_integer(load, "bert.attention.head_count", SAT_ENCODER_MAX_DIMENSION,
                              &plan->heads);
    }
    if (!status)
        status = need_integer(load, "bert.feed_forward_length", SAT_ENCODER_MAX_FFN, &plan->ffn);
    if (!status)
        status = need_integer(load, "bert.block_count", SAT_ENCODER_MAX_LAYERS, &plan->layer_count);
    if (status)
        return status;
    if (plan->dimension % plan->heads != 0) {
        return sat_fail(load->error, SATCHEL_DAMAGED,
                        "%s: %zu heads do not divide an embedding of %zu", load->file, plan->heads,
                        plan->dimension);
    }
    plan->head_dimension = plan->dimension / plan->heads;
    if (plan->dimension % SAT_Q8_BLOCK == 0) {
        size_t blocks = plan->dimension / SAT_Q8_BLOCK;
        plan->doubled = blocks < SAT_DOUBLED ? blocks : SAT_DOUBLED;
    }
    double epsilon = 1e-12;
    sat_gguf_float(load->encoder->gguf, "bert.attention.layer_norm_epsilon", &epsilon);
    if (!(epsilon >= 0 && epsilon < 1)) {
        return sat_fail(load->error, SATCHEL_DAMAGED,
                        "%s: bert.attention.layer_norm_epsilon is %g, outside 0 to 1", load->file,
                        epsilon);
    }
    plan->epsilon = (float)epsilon;
    return SATCHEL_OK;
}

static satchel_status read_pooling(const loader *load, sat_plan *plan) {
    enum { NONE = 0, MEAN = 1, CLS = 2 };
    int64_t pooling = MEAN;
    if (plan->pooling != SATCHEL_POOLING_DEFAULT)
        return SATCHEL_OK;
    sat_gguf_integer(load->encoder->gguf, "bert.pooling_type", &pooling);
    if (pooling == CLS) {
        plan->pooling = SATCHEL_POOLING_CLS;
    } else if (pooling == MEAN || pooling == NONE) { /* none is said: the usual one */
        plan->pooling = SATCHEL_POOLING_MEAN;
    } else {
        return sat_fail(load->error, SATCHEL_UNSUPPORTED,
                        "%s: bert.pooling_type is %lld; mean (1) and CLS (2) are supported, or set "
                        "pooling in the options",
                        load->file, (long long)pooling);
    }
    return SATCHEL_OK;
}

/* The token limit: the option, else what the model was made for, else all its positions. */
static satchel_status read_limits(const loader *load, sat_plan *plan) {
    const sat_gguf *gguf = load->encoder->gguf;
    const sat_tensor *tensor;
    satchel_status status = find_tensor(load, "position_embd.weight", plan->dimension, 0, &tensor);
    if (status)
        return status;
    int64_t positions = SAT_ENCODER_MAX_POSITIONS, asked = (int64_t)plan->max_tokens, limit;
    sat_gguf_integer(gguf, "bert.context_length", &positions);
    if (positions > SAT_ENCODER_MAX_POSITIONS)
        positions = SAT_ENCODER_MAX_POSITIONS;
    if (positions > (int64_t)tensor->shape[1])
        positions = (int64_t)tensor->shape[1];
    if (positions < SAT_ENCODER_MIN_TOKENS) {
        return sat_fail(load->error, SATCHEL_UNSUPPORTED,
                        "%s: the model reads %lld tokens; at least %d are needed", load->file,
                        (long long)positions, SAT_ENCODER_MIN_TOKENS);
    }
    if (asked > positions) {
        return sat_fail(load->error, SATCHEL_INVALID_ARGUMENT,
                        "max_tokens is %lld, but %s has %lld positions", (long long)asked,
                        load->file, (long long)positions);
    }
    limit = positions;
    if (asked > 0) {
        limit = asked;
    } else if (sat_gguf_integer(gguf, "satchel.max_seq_length", &limit) &&
               (limit < SAT_ENCODER_MIN_TOKENS || limit > positions)) {
        return sat_fail(load->error, SATCHEL_DAMAGED,
                        "%s: satchel.max_seq_length is %lld, outside %d to %lld", load->file,
                        (long long)limit, SAT_ENCODER_MIN_TOKENS, (long long)positions);
    }
    plan->positions = (size_t)positions;
    plan->max_tokens = (size_t)limit;
    return SATCHEL_OK;
}

static satchel_status read_tokens(const loader *load, sat_plan *plan) {
    const sat_tensor *tensor;
    satchel_status status = find_tensor(load, "token_embd.weight", plan->dimension, 0, &tensor);
    if (status)
        return status;
    if (tensor->shape[1] < (uint64_t)sat_wordpiece_size(load->encoder->wordpiece)) {
        return sat_fail(load->error, SATCHEL_DAMAGED,
                        "%s: token_embd.weight has %llu rows for a vocabulary of %lld", load->file,
                        (unsigned long long)tensor->shape[1],
                        (long long)sat_wordpiece_size(load->encoder->wordpiece));
    }
    plan->tokens = table_of(tensor);
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ the whole */

/* What each layer's kernels read decides which forms are worth writing. */
static void choose_forms(sat_plan *plan) {
    /* Quantized heads are written in place only where they fall on whole blocks. */
    bool whole_blocks = plan->head_dimension % SAT_Q8_BLOCK == 0;
    for (size_t i = 0; i < plan->layer_count; i++) {
        const sat_layer *layer = &plan->layers[i];
        for (int p = 0; p < layer->qkv.parts; p++)
            plan->input_q8 |= layer->qkv.part[p].type == SAT_WEIGHT_Q8;
        plan->input_q8 |= layer->up.type == SAT_WEIGHT_Q8;
        plan->attended_q8 |= layer->output.type == SAT_WEIGHT_Q8;
        plan->attended_rows |= layer->output.type != SAT_WEIGHT_Q8 || !whole_blocks;
        plan->hidden_q8 |= layer->down.type == SAT_WEIGHT_Q8;
        plan->hidden_rows |= layer->down.type != SAT_WEIGHT_Q8;
    }
}

satchel_status sat_encoder_load(sat_encoder *encoder, const char *file, satchel_error *error) {
    sat_plan *plan = &encoder->plan;
    sat_memory *memory = &encoder->context->memory;
    loader load = {encoder, file, error, NULL, 0};
    satchel_status status = read_sizes(&load, plan);
    if (!status)
        status = read_pooling(&load, plan);
    if (!status)
        status = read_limits(&load, plan);
    if (!status)
        status = read_tokens(&load, plan);
    if (status)
        return status;
    plan->layers = sat_calloc(memory, plan->layer_count, sizeof *plan->layers);
    if (!plan->layers)
        return sat_memory_fail(memory, plan->layer_count * sizeof *plan->layers, error);
    status = load_all(&load);
    if (status)
        return status;
    choose_forms(plan);
    plan->memory = sat_alloc_aligned(memory, load.used);
    if (!plan->memory)
        return sat_memory_fail(memory, load.used, error);
    load.memory = plan->memory;
    load.used = 0;
    status = load_all(&load);
    if (!status && plan->input_q8)
        status = sat_encoder_double(encoder, error);
    return status;
}

void sat_encoder_unload(sat_encoder *encoder) {
    sat_memory *memory = &encoder->context->memory;
    sat_free(memory, encoder->plan.layers);
    sat_free_aligned(memory, encoder->plan.memory);
    encoder->plan.layers = NULL;
    encoder->plan.memory = NULL;
}
