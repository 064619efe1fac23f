#include "tests/support/tiny_tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PIECES = 400, BLOCK = 512, NODES = 8 };

typedef struct list {
    char text[MAX_PIECES][16];
    const char *pointers[MAX_PIECES];
    int32_t types[MAX_PIECES];
    float scores[MAX_PIECES];
    size_t count;
} list;

static void add(list *pieces, const char *text, int32_t type, float score) {
    snprintf(pieces->text[pieces->count], sizeof pieces->text[0], "%s", text);
    pieces->pointers[pieces->count] = pieces->text[pieces->count];
    pieces->types[pieces->count] = type;
    pieces->scores[pieces->count++] = score;
}

static size_t utf8(char *out, unsigned code) {
    if (code < 128) {
        out[0] = (char)code;
        out[1] = 0;
        return 1;
    }
    out[0] = (char)(0xC0 | code >> 6);
    out[1] = (char)(0x80 | (code & 63));
    out[2] = 0;
    return 2;
}

/* The alphabet of byte-level BPE, in the order of bytes. */
static void add_alphabet(list *pieces) {
    unsigned next = 256;
    for (unsigned byte = 0; byte < 256; byte++) {
        bool plain = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
        char text[4];
        utf8(text, plain ? byte : next++);
        add(pieces, text, 1, 0);
    }
}

static void add_bytes(list *pieces) {
    for (unsigned byte = 0; byte < 256; byte++) {
        char text[16];
        snprintf(text, sizeof text, "<0x%02X>", byte);
        add(pieces, text, 6, 0);
    }
}

/* Words and what they are merged from; "_" is the kind's space. */
static const char *const words[] = {"he", "ll",    "hell",   "hello", "_hello", "wo", "wor",
                                    "ld", "world", "_world", "aa",    "aaaa",   "__"};
static const char *const merges[] = {"h e",  "l l",       "he ll",   "hell o",  "_ hello", "w o",
                                     "wo r", "l d",       "wor ld",  "_ world", "a a",     "aa aa",
                                     "_ _",  "x nothing", "nothing", " ",       ""};

static void spaced(char *out, size_t size, const char *text, const char *space) {
    size_t at = 0;
    for (; *text && at + 4 < size; text++)
        at += (size_t)snprintf(out + at, size - at, "%.*s", *text == '_' ? 3 : 1,
                               *text == '_' ? space : text);
    out[at] = 0;
}

static void add_words(list *pieces, const char *space) {
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char text[16];
        spaced(text, sizeof text, words[i], space);
        add(pieces, text, 1, -1.5F - (float)i / 10);
    }
}

static void add_letters(list *pieces, const char *space) {
    for (char c = 'a'; c <= 'z'; c++) {
        char text[2] = {c, 0};
        add(pieces, text, 1, -8);
    }
    add(pieces, space, 1, -7);
}

static void add_merges(gguf_writer *writer, const char *space) {
    enum { COUNT = sizeof merges / sizeof *merges };
    char text[COUNT][24];
    const char *pointers[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        spaced(text[i], sizeof text[i], merges[i], space);
        pointers[i] = text[i];
    }
    gguf_texts(writer, "tokenizer.ggml.merges", pointers, COUNT);
}

/* A key of the charsmap: each node gets a block of its own, so that no two meet. */
static void add_key(uint32_t *units, const char *key, uint32_t value, unsigned *nodes) {
    uint32_t at = BLOCK;
    for (; *key; key++) {
        at ^= (uint8_t)*key;
        uint32_t to = ++*nodes * BLOCK;
        units[at] = (at ^ to) << 10 | (key[1] ? 0 : 1 << 8) | (uint8_t)*key;
        at = to;
    }
    units[at] = 1u << 31 | value;
}

/* "A" becomes "a", the ligature U+FB01 "fi", a tab a space. */
static void add_charsmap(gguf_writer *writer) {
    static const char strings[] = "a\0fi\0 ";
    uint32_t units[BLOCK * NODES] = {BLOCK << 10};
    unsigned nodes = 1;
    gguf_bytes bytes = {0};
    add_key(units, "A", 0, &nodes);
    add_key(units, "\xEF\xAC\x81", 2, &nodes);
    add_key(units, "\t", 5, &nodes);
    gguf_bytes_u32(&bytes, 0); /* element type: U8 */
    gguf_bytes_u64(&bytes, 4 + sizeof units + sizeof strings);
    gguf_bytes_u32(&bytes, sizeof units);
    gguf_bytes_add(&bytes, units, sizeof units);
    gguf_bytes_add(&bytes, strings, sizeof strings);
    gguf_raw(writer, "tokenizer.ggml.precompiled_charsmap", 9, bytes.data, bytes.size);
    free(bytes.data);
}

void tiny_tokenizer_keys(gguf_writer *writer, int kind, const char *pre) {
    static const char *const models[TINY_KINDS] = {"llama", "t5", "gpt2", "gemma4"};
    static const char lower[] = "\xE2\x96\x81"; /* U+2581 */
    const char *space = kind == TINY_BPE ? "\xC4\xA0" : lower;
    list *pieces = calloc(1, sizeof *pieces);
    if (!pieces)
        abort();
    gguf_text(writer, "tokenizer.ggml.model", models[kind]);
    gguf_text(writer, "tokenizer.ggml.pre", pre ? pre : "llama-bpe");
    add(pieces, "<unk>", 2, 0);
    add(pieces, "<s>", 3, 0);
    add(pieces, "</s>", 3, 0);
    add(pieces, "<|im_end|>", 3, 0);
    add(pieces, "<think>", 4, 0);
    if (kind == TINY_BPE)
        add_alphabet(pieces);
    else
        add_letters(pieces, space);
    if (kind == TINY_SPM || kind == TINY_GEMMA4)
        add_bytes(pieces);
    if (kind == TINY_GEMMA4)
        add(pieces, "\n", 1, 0), add(pieces, "\n\n", 1, 0);
    add_words(pieces, space);
    add(pieces, "  ", 4, 0);
    gguf_texts(writer, "tokenizer.ggml.tokens", pieces->pointers, pieces->count);
    gguf_i32s(writer, "tokenizer.ggml.token_type", pieces->types, pieces->count);
    gguf_u32(writer, "tokenizer.ggml.unknown_token_id", 0);
    gguf_u32(writer, "tokenizer.ggml.bos_token_id", 1);
    gguf_u32(writer, "tokenizer.ggml.eos_token_id", 2);
    if (kind == TINY_SPM || kind == TINY_UNIGRAM) {
        gguf_bytes bytes = {0};
        gguf_bytes_u32(&bytes, 6); /* element type: F32 */
        gguf_bytes_u64(&bytes, pieces->count);
        gguf_bytes_add(&bytes, pieces->scores, pieces->count * sizeof(float));
        gguf_raw(writer, "tokenizer.ggml.scores", 9, bytes.data, bytes.size);
        free(bytes.data);
    } else {
        add_merges(writer, space);
    }
    if (kind == TINY_UNIGRAM) {
        gguf_bool(writer, "tokenizer.ggml.add_space_prefix", true);
        gguf_bool(writer, "tokenizer.ggml.remove_extra_whitespaces", true);
        add_charsmap(writer);
    }
    free(pieces);
}

uint8_t *tiny_tokenizer_bytes(int kind, const char *pre, size_t *size) {
    gguf_writer writer;
    gguf_writer_open(&writer);
    tiny_tokenizer_keys(&writer, kind, pre);
    return gguf_writer_close(&writer, size);
}
