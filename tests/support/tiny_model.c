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

/* Q4_0: a half and 32 codes of 4 bits, those of the second 16 weights in the upper bits; or
 * BF16. */
static void add_converted(maker *m, const char *name, uint32_t type, size_t rows, size_t columns) {
    size_t count = columns * (rows ? rows : 1), size = type == 2 ? count / 32 * 18 : count * 2;
    uint64_t shape[2] = {columns, rows};
    uint8_t *data = calloc(size + 1, 1);
    if (!data)
        exit(1);
    for (size_t i = 0; i < count; i++) {
        float value = tiny_weight(name, i), scale = 1.0f / 8;
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        if (type == 30) {
            data[2 * i] = (uint8_t)(bits >> 16);
            data[2 * i + 1] = (uint8_t)(bits >> 24);
            continue;
        }
        uint8_t *block = data + i / 32 * 18;
        uint16_t half = gguf_half(scale);
        memcpy(block, &half, sizeof half);
        int code = (int)(value / scale + 8.5f);
        code = code < 0 ? 0 : code > 15 ? 15 : code;
        block[2 + i % 16] |= (uint8_t)(code << (i % 32 < 16 ? 0 : 4));
    }
    gguf_tensor(&m->writer, name, type, rows ? 2 : 1, shape, data, size);
    free(data);
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
    if (type == 2 || type == 30) {
        add_converted(m, name, type, rows, columns);
        return;
    }
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

static bool is(const maker *m, const char *arch) {
    return strcmp(m->shape->arch, arch) == 0;
}

/* Norms stand before blocks, and nothing has a bias. */
static bool is_plain(const maker *m) {
    return is(m, "modern-bert") || is(m, "gemma-embedding");
}

/* A matrix of rows outputs with its bias. */
static void add_linear(maker *m, int layer, const char *part, uint32_t type, size_t rows,
                       size_t columns) {
    char name[64];
    snprintf(name, sizeof name, "blk.%d.%.24s.weight", layer, part);
    add(m, name, type, rows, columns);
    snprintf(name, sizeof name, "blk.%d.%.24s.bias", layer, part);
    if (!is_plain(m))
        add(m, name, 0, 0, rows);
}

static void add_norm(maker *m, const char *stem, size_t columns) {
    char name[64];
    snprintf(name, sizeof name, "%.48s.weight", stem);
    add(m, name, 0, 0, columns);
    snprintf(name, sizeof name, "%.48s.bias", stem);
    if (!is_plain(m))
        add(m, name, 0, 0, columns);
}

static void add_layer_norm(maker *m, int layer, const char *part, size_t columns) {
    char stem[48];
    snprintf(stem, sizeof stem, "blk.%d.%.24s", layer, part);
    add_norm(m, stem, columns);
}

static void add_layer(maker *m, int i) {
    const tiny_shape *s = m->shape;
    size_t d = s->dimension, head = d / s->heads;
    if (is(m, "modern-bert")) {
        if (i > 0)
            add_layer_norm(m, i, "attn_norm", d);
        add_linear(m, i, "attn_qkv", s->type, 3 * d, d);
    } else {
        size_t kv = s->kv_heads * head;
        add_linear(m, i, "attn_q", s->type, d, d);
        add_linear(m, i, "attn_k", s->type, kv, d);
        add_linear(m, i, "attn_v", s->mixed ? 1 : s->type, kv, d);
    }
    add_linear(m, i, "attn_output", s->mixed ? 0 : s->type, d, d);
    if (is(m, "gemma-embedding")) {
        add_layer_norm(m, i, "attn_norm", d);
        add_layer_norm(m, i, "attn_q_norm", head);
        add_layer_norm(m, i, "attn_k_norm", head);
        add_layer_norm(m, i, "post_attention_norm", d);
        add_layer_norm(m, i, "post_ffw_norm", d);
    }
    add_layer_norm(m, i, is_plain(m) ? "ffn_norm" : "attn_output_norm", d);
    if (is(m, "nomic-bert") || is(m, "gemma-embedding"))
        add_linear(m, i, "ffn_gate", s->type, s->ffn, d);
    add_linear(m, i, "ffn_up", s->type, is(m, "modern-bert") ? 2 * s->ffn : s->ffn, d);
    add_linear(m, i, "ffn_down", s->type, d, s->ffn);
    if (!is_plain(m))
        add_layer_norm(m, i, "layer_output_norm", d);
}

static void add_tensors(maker *m) {
    const tiny_shape *s = m->shape;
    size_t d = s->dimension;
    add(m, "token_embd.weight", s->type, SAT_COUNT(tiny_vocabulary), d);
    if (is(m, "bert"))
        add(m, "position_embd.weight", 0, s->positions, d);
    if (!is_plain(m))
        add(m, "token_types.weight", 0, 2, d);
    if (!is(m, "gemma-embedding"))
        add_norm(m, "token_embd_norm", d);
    if (is_plain(m))
        add_norm(m, "output_norm", d);
    if (s->one_more)
        add(m, s->one_more, 0, 0, d);
    if (s->dense) {
        add(m, "dense_2.weight", s->type, s->dense, d);
        add(m, "dense_3.weight", s->type, d / 2, s->dense);
    }
    for (int i = 0; i < (int)s->layers; i++)
        add_layer(m, i);
}

/* ------------------------------------------------------------------ keys */

static void add_u32(maker *m, const char *key, size_t value) {
    if (!left_out(m, key))
        gguf_u32(&m->writer, key, (uint32_t)value);
}

static void add_key(maker *m, const char *part, size_t value) {
    char key[64];
    snprintf(key, sizeof key, "%.24s.%.32s", m->shape->arch, part);
    add_u32(m, key, value);
}

/* WordPiece's pieces as SentencePiece would spell them, scores falling with the id. */
static void add_unigram(maker *m, const char *const *tokens, const int32_t *types) {
    float scores[SAT_COUNT(tiny_vocabulary)];
    uint8_t data[12 + sizeof scores];
    const uint32_t type = 6; /* F32 */
    const uint64_t count = SAT_COUNT(scores);
    for (size_t i = 0; i < SAT_COUNT(scores); i++)
        scores[i] = -2 - 0.01f * (float)i;
    memcpy(data, &type, 4);
    memcpy(data + 4, &count, 8);
    memcpy(data + 12, scores, sizeof scores);
    gguf_text(&m->writer, "tokenizer.ggml.model", "t5");
    gguf_texts(&m->writer, "tokenizer.ggml.tokens", tokens, SAT_COUNT(scores));
    gguf_i32s(&m->writer, "tokenizer.ggml.token_type", types, SAT_COUNT(scores));
    gguf_raw(&m->writer, "tokenizer.ggml.scores", 9, data, sizeof data);
    add_u32(m, "tokenizer.ggml.padding_token_id", 0);
    add_u32(m, "tokenizer.ggml.unknown_token_id", 1);
    add_u32(m, "tokenizer.ggml.bos_token_id", 2);
    add_u32(m, "tokenizer.ggml.eos_token_id", 3);
    gguf_bool(&m->writer, "tokenizer.ggml.add_space_prefix", true);
    gguf_bool(&m->writer, "tokenizer.ggml.add_bos_token", true);
    gguf_bool(&m->writer, "tokenizer.ggml.add_eos_token", true);
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
    if (m->shape->unigram) {
        types[1] = 2;
        add_unigram(m, tokens, types);
        return;
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
    shape.arch = shape.arch ? shape.arch : "bert";
    shape.kv_heads = shape.kv_heads ? shape.kv_heads : shape.heads;
    maker m = {.shape = &shape};
    gguf_writer_open(&m.writer);
    if (!left_out(&m, "general.architecture"))
        gguf_text(&m.writer, "general.architecture", shape.arch);
    gguf_text(&m.writer, "general.name", "tiny");
    add_key(&m, "block_count", shape.layers);
    add_key(&m, "context_length", shape.positions);
    add_key(&m, "embedding_length", shape.dimension);
    add_key(&m, "feed_forward_length", shape.ffn);
    add_key(&m, "attention.head_count", shape.heads);
    if (shape.kv_heads != shape.heads)
        add_key(&m, "attention.head_count_kv", shape.kv_heads);
    char epsilon[64];
    snprintf(epsilon, sizeof epsilon, "%.24s.attention.layer_norm_%sepsilon", shape.arch,
             is(&m, "gemma-embedding") ? "rms_" : "");
    gguf_f32(&m.writer, epsilon, 1e-12f);
    if (shape.window)
        add_key(&m, "attention.sliding_window", shape.window);
    if (shape.pooling)
        add_key(&m, "pooling_type", shape.pooling);
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

satchel_status tiny_mapping_take(sat_mapping *out, satchel_context *context, uint8_t *bytes,
                                 size_t size, satchel_error *error) {
    bool mapped = tiny_mapping(out, context, bytes, size);
    free(bytes);
    return mapped ? SATCHEL_OK : sat_fail_memory(error, size);
}

satchel_status tiny_model_open_shape(sat_encoder **out, satchel_context *context,
                                     const tiny_shape *shape, const sat_encoder_options *options,
                                     satchel_error *error) {
    size_t size;
    uint8_t *bytes = tiny_model_bytes(shape, &size);
    sat_mapping mapping;
    *out = NULL;
    satchel_status status = tiny_mapping_take(&mapping, context, bytes, size, error);
    return status ? status : sat_encoder_open(out, context, &mapping, "tiny.gguf", options, error);
}

satchel_status tiny_model_open(sat_encoder **out, satchel_context *context, satchel_error *error) {
    return tiny_model_open_shape(out, context, NULL, NULL, error);
}
