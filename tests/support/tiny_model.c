/* The tiny text encoder of the tests: llama.cpp's keys and tensor names, a vocabulary of some two
 * hundred pieces, weights from a hash of their names. */
#include "tests/support/tiny_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const tiny_vocabulary[] = {
    "[PAD]", "[UNK]",   "[CLS]", "[SEP]",   "[MASK]", "[unused1]", "!",     "\"",       "#",
    "$",     "'",       "(",     ")",       ",",      "-",         ".",     "/",        ":",
    ";",     "?",       "[",     "]",       "`",      "0",         "1",     "2",        "3",
    "a",     "b",       "c",     "d",       "e",      "f",         "g",     "h",        "i",
    "j",     "k",       "l",     "m",       "n",      "o",         "p",     "q",        "r",
    "s",     "t",       "u",     "v",       "w",      "x",         "y",     "z",        "##a",
    "##b",   "##c",     "##d",   "##e",     "##f",    "##g",       "##h",   "##i",      "##j",
    "##k",   "##l",     "##m",   "##n",     "##o",    "##p",       "##q",   "##r",      "##s",
    "##t",   "##u",     "##v",   "##w",     "##x",    "##y",       "##z",   "##0",      "##1",
    "##2",   "##3",     "the",   "of",      "and",    "hello",     "world", "want",     "wanted",
    "wa",    "un",      "runn",  "##ing",   "##ed",   "##want",    "##aff", "##able",   "##ffable",
    "cafe",  "strasse", "query", "passage", "store",  "answer",    "##s",   "sentence", "sep",
    "cls",   "mask",    "好",    "你",      "世",     "ß",         "α",     "σ",        "##σ",
    "ς",     "й",       "и",     "ᄒ",      "##ᅡ",   "##ᆫ",      "क",     "##ा",      "。",
    "¿",     "😀",       "豈",    "İ",       "Hello",  "I",
};

size_t tiny_vocabulary_size(void) {
    return SAT_COUNT(tiny_vocabulary);
}

int32_t tiny_id(const char *piece) {
    int32_t id = -1; /* the last of two wins, as in the tokenizer */
    for (size_t i = 0; i < SAT_COUNT(tiny_vocabulary); i++)
        if (strcmp(tiny_vocabulary[i], piece) == 0)
            id = (int32_t)i;
    return id;
}

/* ------------------------------------------------------------------ weights */

float tiny_weight(const char *name, size_t index) {
    uint64_t x = index * UINT64_C(0x9E3779B97F4A7C15) + 0x1234567;
    for (const char *c = name; *c; c++)
        x = (x ^ (uint8_t)*c) * UINT64_C(0x100000001B3);
    x ^= x >> 31;
    x *= UINT64_C(0xBF58476D1CE4E5B9);
    x ^= x >> 29;
    float unit = (float)(x >> 40) / (float)(1 << 23) - 1; /* −1 to 1 */
    if (strstr(name, "norm.weight"))
        return 1 + 0.2f * unit;
    if (strstr(name, ".bias"))
        return 0.1f * unit;
    if (strstr(name, "position_embd") || strstr(name, "token_types"))
        return 0.2f * unit;
    return strstr(name, "token_embd") ? unit : 0.25f * unit;
}

typedef struct maker {
    gguf_writer writer;
    const tiny_shape *shape;
} maker;

static bool left_out(const maker *m, const char *name) {
    return m->shape->leave_out && strcmp(m->shape->leave_out, name) == 0;
}

/* rows 0: a vector */
static void add(maker *m, const char *name, uint32_t type, size_t rows, size_t columns) {
    if (left_out(m, name))
        return;
    if (m->shape->other_shape && strcmp(m->shape->other_shape, name) == 0) {
        rows = rows ? rows + 1 : 2;
        type = m->shape->other_type ? m->shape->other_type : type;
    }
    size_t count = columns * (rows ? rows : 1);
    if (type != 0 && type != 1 && type != 8) { /* a type that no kernel reads: zeros do */
        uint64_t shape[2] = {columns, rows};
        void *zeros = calloc(count, 1);
        if (!zeros)
            exit(1);
        gguf_tensor(&m->writer, name, type, rows ? 2 : 1, shape, zeros, count);
        free(zeros);
        return;
    }
    float *values = malloc(count * sizeof *values);
    if (!values)
        exit(1);
    for (size_t i = 0; i < count; i++)
        values[i] = tiny_weight(name, i);
    if (m->shape->outliers && strstr(name, "norm.weight") && count > TINY_OUTLIER)
        values[TINY_OUTLIER] *= TINY_OUTLIER_FACTOR;
    gguf_floats(&m->writer, name, type, rows, columns, values);
    free(values);
}

/* A matrix of rows outputs with its bias. */
static void add_linear(maker *m, int layer, const char *part, uint32_t type, size_t rows,
                       size_t columns) {
    char name[64];
    snprintf(name, sizeof name, "blk.%d.%.24s.weight", layer, part);
    add(m, name, type, rows, columns);
    snprintf(name, sizeof name, "blk.%d.%.24s.bias", layer, part);
    add(m, name, 0, 0, rows);
}

static void add_norm(maker *m, const char *stem, size_t columns) {
    char name[64];
    snprintf(name, sizeof name, "%.48s.weight", stem);
    add(m, name, 0, 0, columns);
    snprintf(name, sizeof name, "%.48s.bias", stem);
    add(m, name, 0, 0, columns);
}

static void add_tensors(maker *m) {
    const tiny_shape *s = m->shape;
    size_t d = s->dimension;
    char stem[48];
    add(m, "token_embd.weight", s->type, SAT_COUNT(tiny_vocabulary), d);
    add(m, "position_embd.weight", 0, s->positions, d);
    add(m, "token_types.weight", 0, 2, d);
    add_norm(m, "token_embd_norm", d);
    for (int i = 0; i < (int)s->layers; i++) {
        add_linear(m, i, "attn_q", s->type, d, d);
        add_linear(m, i, "attn_k", s->type, d, d);
        add_linear(m, i, "attn_v", s->mixed ? 1 : s->type, d, d);
        add_linear(m, i, "attn_output", s->mixed ? 0 : s->type, d, d);
        snprintf(stem, sizeof stem, "blk.%d.attn_output_norm", i);
        add_norm(m, stem, d);
        add_linear(m, i, "ffn_up", s->type, s->ffn, d);
        add_linear(m, i, "ffn_down", s->type, d, s->ffn);
        snprintf(stem, sizeof stem, "blk.%d.layer_output_norm", i);
        add_norm(m, stem, d);
    }
}

/* ------------------------------------------------------------------ keys */

static void add_u32(maker *m, const char *key, size_t value) {
    if (!left_out(m, key))
        gguf_u32(&m->writer, key, (uint32_t)value);
}

static void add_vocabulary(maker *m) {
    const char *tokens[SAT_COUNT(tiny_vocabulary)];
    char spellings[SAT_COUNT(tiny_vocabulary)][24];
    int32_t types[SAT_COUNT(tiny_vocabulary)];
    for (size_t i = 0; i < SAT_COUNT(tiny_vocabulary); i++) {
        const char *piece = tiny_vocabulary[i];
        bool control = i < 5;
        types[i] = control ? 3 : 1;
        if (control || m->shape->hashes)
            snprintf(spellings[i], sizeof spellings[i], "%s", piece);
        else if (strncmp(piece, "##", 2) == 0 && piece[2])
            snprintf(spellings[i], sizeof spellings[i], "%s", piece + 2);
        else
            snprintf(spellings[i], sizeof spellings[i], "\xE2\x96\x81%s", piece);
        tokens[i] = spellings[i];
    }
    gguf_text(&m->writer, "tokenizer.ggml.model", "bert");
    if (!left_out(m, "tokenizer.ggml.tokens"))
        gguf_texts(&m->writer, "tokenizer.ggml.tokens", tokens, SAT_COUNT(tokens));
    gguf_i32s(&m->writer, "tokenizer.ggml.token_type", types, SAT_COUNT(types));
    add_u32(m, "tokenizer.ggml.unknown_token_id", 1);
    add_u32(m, "tokenizer.ggml.cls_token_id", 2);
    add_u32(m, "tokenizer.ggml.seperator_token_id", 3);
    if (m->shape->cased)
        gguf_bool(&m->writer, "tokenizer.ggml.normalizer.lowercase", false);
}

uint8_t *tiny_model_bytes(const tiny_shape *given, size_t *size) {
    tiny_shape shape = given ? *given : (tiny_shape){0};
    shape.dimension = shape.dimension ? shape.dimension : 64;
    shape.heads = shape.heads ? shape.heads : 2;
    shape.ffn = shape.ffn ? shape.ffn : 128;
    shape.layers = shape.layers ? shape.layers : 2;
    shape.positions = shape.positions ? shape.positions : 64;
    maker m = {.shape = &shape};
    gguf_writer_open(&m.writer);
    if (!left_out(&m, "general.architecture"))
        gguf_text(&m.writer, "general.architecture", "bert");
    gguf_text(&m.writer, "general.name", "tiny");
    add_u32(&m, "bert.block_count", shape.layers);
    add_u32(&m, "bert.context_length", shape.positions);
    add_u32(&m, "bert.embedding_length", shape.dimension);
    add_u32(&m, "bert.feed_forward_length", shape.ffn);
    add_u32(&m, "bert.attention.head_count", shape.heads);
    gguf_f32(&m.writer, "bert.attention.layer_norm_epsilon", 1e-12f);
    if (shape.pooling)
        add_u32(&m, "bert.pooling_type", shape.pooling);
    if (shape.max_tokens)
        add_u32(&m, "satchel.max_seq_length", shape.max_tokens);
    if (shape.query_prefix)
        gguf_text(&m.writer, "satchel.prefix.query", shape.query_prefix);
    if (shape.document_prefix)
        gguf_text(&m.writer, "satchel.prefix.document", shape.document_prefix);
    add_vocabulary(&m);
    add_tensors(&m);
    return gguf_writer_close(&m.writer, size);
}

/* ------------------------------------------------------------------ opening */

bool tiny_mapping(sat_mapping *out, satchel_context *context, const void *bytes, size_t size) {
    void *copy = sat_alloc_aligned(&context->memory, size ? size : 1);
    if (!copy)
        return false;
    memcpy(copy, bytes, size);
    *out = (sat_mapping){.data = copy, .size = size, .base = copy};
    return true;
}

satchel_status tiny_model_open_shape(sat_encoder **out, satchel_context *context,
                                     const tiny_shape *shape, const sat_encoder_options *options,
                                     satchel_error *error) {
    size_t size;
    uint8_t *bytes = tiny_model_bytes(shape, &size);
    sat_mapping mapping;
    bool mapped = tiny_mapping(&mapping, context, bytes, size);
    free(bytes);
    *out = NULL;
    if (!mapped)
        return sat_fail_memory(error, size);
    return sat_encoder_open(out, context, &mapping, "tiny.gguf", options, error);
}

satchel_status tiny_model_open(sat_encoder **out, satchel_context *context, satchel_error *error) {
    return tiny_model_open_shape(out, context, NULL, NULL, error);
}
