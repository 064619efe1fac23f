/* The tiny decoder of the tests: llama.cpp's keys and tensor names, weights from a hash of their
 * names. */
#include "tests/support/tiny_decoder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/tiny_model.h"

typedef struct maker {
    gguf_writer writer;
    tiny_decoder shape;
} maker;

static bool is(const char *text, const char *other) {
    return text && strcmp(text, other) == 0;
}

static tiny_decoder filled(const tiny_decoder *given) {
    tiny_decoder shape = given ? *given : (tiny_decoder){0};
    shape.arch = shape.arch ? shape.arch : "llama";
    shape.layers = shape.layers ? shape.layers : 2;
    shape.dimension = shape.dimension ? shape.dimension : 64;
    shape.heads = shape.heads ? shape.heads : 4;
    shape.kv_heads = shape.kv_heads ? shape.kv_heads : 2;
    shape.head = shape.head ? shape.head : 32;
    shape.ffn = shape.ffn ? shape.ffn : 96;
    shape.vocabulary = shape.vocabulary ? shape.vocabulary : 50;
    shape.context = shape.context ? shape.context : 300;
    return shape;
}

/* Blocks of random codes, scaled so that weights are about as large as others'. */
static void add_codes(maker *m, const char *name, uint32_t type, size_t rows, size_t columns) {
    static const struct {
        size_t type, weights, bytes, scale, least; /* where halves stand; least 0: there is none */
        float size;
    } known[] = {{2, 32, 18, 0, 0, 0.03f},
                 {12, 256, 144, 0, 2, 0.0005f},
                 {13, 256, 176, 0, 2, 0.00025f},
                 {14, 256, 210, 208, 0, 0.0001f}};
    const uint64_t shape[2] = {columns, rows};
    size_t kind = 0;
    while (known[kind].type != type)
        kind++;
    size_t bytes = known[kind].bytes, size = rows * (columns / known[kind].weights) * bytes;
    uint8_t *data = malloc(size);
    if (!data)
        exit(1);
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(int)(tiny_weight(name, i) * 1e4f);
    for (size_t at = 0; at < size; at += bytes) {
        float spread = 1 + tiny_weight(name, at);
        uint16_t scale = gguf_half(known[kind].size * spread);
        uint16_t least = gguf_half(known[kind].size * spread * 8);
        memcpy(data + at + known[kind].scale, &scale, sizeof scale);
        if (known[kind].least)
            memcpy(data + at + known[kind].least, &least, sizeof least);
    }
    gguf_tensor(&m->writer, name, type, 2, shape, data, size);
    free(data);
}

static void add_floats(maker *m, const char *name, uint32_t type, size_t rows, size_t columns) {
    if (is(m->shape.leave_out, name))
        return;
    if (is(m->shape.other_shape, name))
        rows = rows ? rows + 1 : 2;
    if (rows && type != 0 && type != 1 && type != 8) {
        add_codes(m, name, type, rows, columns);
        return;
    }
    size_t count = columns * (rows ? rows : 1);
    float *values = malloc(count * sizeof *values);
    if (!values)
        exit(1);
    for (size_t i = 0; i < count; i++)
        values[i] = tiny_weight(name, i);
    gguf_floats(&m->writer, name, type, rows, columns, values);
    free(values);
}

/* rows 0: a vector */
static void add(maker *m, size_t layer, const char *stem, size_t rows, size_t columns) {
    char name[64];
    snprintf(name, sizeof name, "blk.%u.%.32s.weight", (unsigned)layer, stem);
    add_floats(m, name, rows ? m->shape.type : 0, rows, columns);
}

static void add_layer(maker *m, size_t i) {
    const tiny_decoder *s = &m->shape;
    bool gemma = is(s->arch, "gemma3"), fused = is(s->arch, "phi3");
    size_t d = s->dimension, q = s->heads * s->head, kv = s->kv_heads * s->head;
    add(m, i, "attn_norm", 0, d);
    if (fused) {
        add(m, i, "attn_qkv", q + 2 * kv, d);
    } else {
        add(m, i, "attn_q", q, d);
        add(m, i, "attn_k", kv, d);
        add(m, i, "attn_v", kv, d);
    }
    if (gemma || is(s->arch, "qwen3")) {
        add(m, i, "attn_q_norm", 0, s->head);
        add(m, i, "attn_k_norm", 0, s->head);
    }
    add(m, i, "attn_output", d, q);
    if (gemma)
        add(m, i, "post_attention_norm", 0, d);
    add(m, i, "ffn_norm", 0, d);
    if (!fused)
        add(m, i, "ffn_gate", s->ffn, d);
    add(m, i, "ffn_up", fused ? 2 * s->ffn : s->ffn, d);
    add(m, i, "ffn_down", d, s->ffn);
    if (gemma)
        add(m, i, "post_ffw_norm", 0, d);
}

static void key(maker *m, const char *part, size_t value) {
    char name[96];
    snprintf(name, sizeof name, "%.40s.%.50s", m->shape.arch, part);
    if (is(m->shape.other_key, part))
        value = m->shape.other_value;
    if (!is(m->shape.leave_out, part))
        gguf_u32(&m->writer, name, (uint32_t)value);
}

static void add_keys(maker *m) {
    const tiny_decoder *s = &m->shape;
    char name[96];
    if (!is(s->leave_out, "general.architecture"))
        gguf_text(&m->writer, "general.architecture", s->arch);
    gguf_text(&m->writer, "general.name", "tiny");
    key(m, "block_count", s->layers);
    key(m, "context_length", s->context);
    key(m, "embedding_length", s->dimension);
    key(m, "feed_forward_length", s->ffn);
    key(m, "attention.head_count", s->heads);
    key(m, "attention.head_count_kv", s->kv_heads);
    key(m, "attention.key_length", s->head);
    key(m, "attention.value_length", s->head);
    key(m, "rope.dimension_count", s->head);
    if (s->window)
        key(m, "attention.sliding_window", s->window);
    if (is(s->other_key, "expert_count"))
        key(m, "expert_count", 0);
    snprintf(name, sizeof name, "%.40s.attention.layer_norm_rms_epsilon", s->arch);
    if (!is(s->leave_out, "attention.layer_norm_rms_epsilon"))
        gguf_f32(&m->writer, name, 1e-5f);
    snprintf(name, sizeof name, "%.40s.rope.scaling.type", s->arch);
    if (s->scaling)
        gguf_text(&m->writer, name, s->scaling);
    if (s->more_keys)
        s->more_keys(&m->writer, s->more_user);
}

uint8_t *tiny_decoder_bytes(const tiny_decoder *given, size_t *size) {
    maker m = {.shape = filled(given)};
    const tiny_decoder *s = &m.shape;
    gguf_writer_open(&m.writer);
    add_keys(&m);
    add_floats(&m, "token_embd.weight", s->type, s->vocabulary, s->dimension);
    add_floats(&m, "output_norm.weight", 0, 0, s->dimension);
    if (!is(s->arch, "gemma3"))
        add_floats(&m, "output.weight", s->type, s->vocabulary, s->dimension);
    for (size_t i = 0; i < s->layers; i++)
        add_layer(&m, i);
    if (s->extra)
        add_floats(&m, s->extra, 0, 0, 32);
    return gguf_writer_close(&m.writer, size);
}

uint8_t *tiny_adapter_bytes(const tiny_decoder *given, bool wrong, size_t *size) {
    enum { RANK = 4 };
    maker m = {.shape = filled(given)};
    const tiny_decoder *s = &m.shape;
    gguf_writer_open(&m.writer);
    gguf_text(&m.writer, "general.type", "adapter");
    gguf_text(&m.writer, "general.architecture", s->arch);
    gguf_text(&m.writer, "adapter.type", "lora");
    gguf_f32(&m.writer, "adapter.lora.alpha", 8);
    add_floats(&m, "blk.0.attn_q.weight.lora_a", 0, RANK, s->dimension);
    add_floats(&m, "blk.0.attn_q.weight.lora_b", 0, s->heads * s->head, RANK);
    add_floats(&m, "blk.0.ffn_down.weight.lora_a", 0, RANK, s->ffn);
    if (!wrong)
        add_floats(&m, "blk.0.ffn_down.weight.lora_b", 0, s->dimension, RANK);
    return gguf_writer_close(&m.writer, size);
}

satchel_status tiny_decoder_open_bytes(sat_decoder **out, satchel_context *context, uint8_t *bytes,
                                       size_t size, satchel_error *error) {
    sat_mapping mapping;
    sat_gguf_set *files;
    *out = NULL;
    satchel_status status = tiny_mapping_take(&mapping, context, bytes, size, error);
    if (!status)
        status = sat_gguf_set_open_mapped(&files, context, &mapping, 1, "tiny.gguf", error);
    return status ? status : sat_decoder_open(out, context, files, "tiny.gguf", error);
}

satchel_status tiny_decoder_open(sat_decoder **out, satchel_context *context,
                                 const tiny_decoder *shape, satchel_error *error) {
    size_t size;
    uint8_t *bytes = tiny_decoder_bytes(shape, &size);
    return tiny_decoder_open_bytes(out, context, bytes, size, error);
}
