/*
 * BPE by merges (Sennrich et al. 2016): the pair of the lowest rank merges first. "gpt2" starts from
 * bytes, within the words of a pretokenizer; "gemma4" from characters, within lines, and spells what
 * is left over in bytes. Merges are looked up by a pair of ids.
 */
#include <string.h>

#include "generate/tokenizer_parts.h"

/* ------------------------------------------------------------------ merges */

static size_t merge_slot(const sat_tokenizer *tokenizer, int32_t left, int32_t right) {
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    key ^= key >> 29; /* the low half alone must not decide */
    size_t at = (size_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> 20) & tokenizer->merge_mask;
    for (;; at = (at + 1) & tokenizer->merge_mask) {
        const sat_bpe_merge *merge = &tokenizer->merges[at];
        if (merge->whole < 0 || (merge->left == left && merge->right == right))
            return at;
    }
}

static bool bpe_rule(const sat_tokenizer *tokenizer, const char *text, const sat_symbol *left,
                     const sat_symbol *right, uint32_t *priority, int32_t *merged) {
    if (left->id < 0 || right->id < 0)
        return false;
    const sat_bpe_merge *merge = &tokenizer->merges[merge_slot(tokenizer, left->id, right->id)];
    *merged = merge->whole;
    *priority = merge->rank;
    return merge->whole >= 0;
}

/* "left right" into the table; passed over if a part or the whole is no token. The first of two equal
 * ones counts. */
static void add_merge(sat_tokenizer *tokenizer, const char *text, size_t length, uint32_t rank) {
    char running[2 * SAT_PIECE_BYTES];
    size_t left_length, right_length;
    if (length < 3 || length > sizeof running)
        return;
    const char *space = memchr(text + 1, ' ', length - 1);
    if (!space)
        return;
    size_t left_size = (size_t)(space - text), right_size = length - left_size - 1;
    if (!sat_vocabulary_running(tokenizer, text, left_size, running, &left_length) ||
        !sat_vocabulary_running(tokenizer, space + 1, right_size, running + left_length,
                                &right_length))
        return;
    int32_t left = sat_vocabulary_find(tokenizer, running, left_length);
    int32_t right = sat_vocabulary_find(tokenizer, running + left_length, right_length);
    int32_t whole = sat_vocabulary_find(tokenizer, running, left_length + right_length);
    if (left < 0 || right < 0 || whole < 0)
        return;
    sat_bpe_merge *merge = &tokenizer->merges[merge_slot(tokenizer, left, right)];
    if (merge->whole < 0)
        *merge = (sat_bpe_merge){left, right, whole, rank};
}

static satchel_status read_merges(sat_tokenizer *tokenizer, satchel_error *error) {
    sat_memory *memory = &tokenizer->context->memory;
    size_t count, slots = 16;
    if (!sat_gguf_array(tokenizer->gguf, "tokenizer.ggml.merges", &count)) {
        return sat_fail(error, SATCHEL_DAMAGED,
                        "tokenizer.ggml.merges is missing: this vocabulary cannot be used without");
    }
    if (count > (size_t)1 << 28)
        return sat_fail(error, SATCHEL_LIMIT, "the vocabulary has %zu merges", count);
    while (slots * 3 < count * 4)
        slots *= 2;
    tokenizer->merges = sat_alloc_array(memory, slots, sizeof *tokenizer->merges);
    if (!tokenizer->merges)
        return sat_memory_fail(memory, slots * sizeof *tokenizer->merges, error);
    for (size_t i = 0; i < slots; i++)
        tokenizer->merges[i].whole = -1;
    tokenizer->merge_mask = slots - 1;
    for (size_t i = 0; i < count; i++) {
        const char *text;
        size_t length;
        if (!sat_gguf_array_string(tokenizer->gguf, "tokenizer.ggml.merges", i, &text, &length)) {
            return sat_fail(error, SATCHEL_DAMAGED,
                            "tokenizer.ggml.merges is not an array of strings");
        }
        add_merge(tokenizer, text, length, (uint32_t)i);
    }
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ encoding */

/* What became no token, in bytes. A byte that is no token either is dropped: an unknown token would be a
 * special one, made by text. */
static bool push_symbol(sat_encoding *encoding, const char *text, const sat_symbol *symbol) {
    if (symbol->id >= 0)
        return sat_tokens_push(encoding->out, symbol->id);
    for (size_t i = 0; i < symbol->length; i++) {
        int32_t id = encoding->tokenizer->byte_ids[(uint8_t)text[symbol->start + i]];
        if (id >= 0 && !sat_tokens_push(encoding->out, id))
            return false;
    }
    return true;
}

static satchel_status encode_word(sat_encoding *encoding, const char *text, size_t length) {
    const sat_tokenizer *tokenizer = encoding->tokenizer;
    size_t count = 0;
    if (!sat_grow(encoding->joined.memory, (void **)&encoding->symbols, &encoding->symbol_capacity,
                  length, sizeof *encoding->symbols))
        return sat_encoding_no_memory(encoding, length * sizeof *encoding->symbols);
    for (size_t at = 0; at < length; count++) {
        int32_t code, id;
        size_t size = 1;
        if (tokenizer->byte_level) {
            id = tokenizer->byte_ids[(uint8_t)text[at]];
        } else {
            size = sat_utf8_decode(text + at, length - at, &code);
            id = sat_vocabulary_find(tokenizer, text + at, size);
        }
        encoding->symbols[count] =
            (sat_symbol){.start = (uint32_t)at, .length = (uint32_t)size, .id = id};
        at += size;
    }
    satchel_status status = sat_merge(encoding, text, count, bpe_rule);
    for (size_t i = 0; !status && i < count; i = encoding->symbols[i].next)
        if (!push_symbol(encoding, text, &encoding->symbols[i]))
            return sat_encoding_no_memory(encoding, count * sizeof(int32_t));
    return status;
}

static satchel_status encode_bpe(sat_encoding *encoding, const char *text, size_t length) {
    const sat_tokenizer *tokenizer = encoding->tokenizer;
    sat_scanner scanner = {.text = text, .ascii = tokenizer->ascii};
    sat_pretoken_walk walk = {.length = length};
    satchel_status status = SATCHEL_OK;
    size_t start;
    while (!status && sat_pretoken_next(tokenizer->pretokenizer, &scanner, &walk, &start)) {
        size_t size = walk.at - start;
        int32_t id =
            tokenizer->whole_words ? sat_vocabulary_find(tokenizer, text + start, size) : -1;
        if (id < 0)
            status = encode_word(encoding, text + start, size);
        else if (!sat_tokens_push(encoding->out, id))
            status = sat_encoding_no_memory(encoding, sizeof id);
    }
    return status;
}

static satchel_status encode_line(sat_encoding *encoding, const char *text, size_t length) {
    satchel_status status = SATCHEL_OK;
    int32_t id = text[0] == '\n' ? sat_vocabulary_find(encoding->tokenizer, text, length) : -1;
    if (id >= 0) {
        return sat_tokens_push(encoding->out, id) ? SATCHEL_OK
                                                  : sat_encoding_no_memory(encoding, sizeof id);
    }
    for (size_t at = 0; !status && at < length;) {
        size_t stop = sat_merge_border(encoding->tokenizer, text, at, length);
        status = encode_word(encoding, text + at, stop - at);
        at = stop;
    }
    return status;
}

static satchel_status encode_gemma4(sat_encoding *encoding, const char *text, size_t length) {
    const sat_tokenizer *tokenizer = encoding->tokenizer;
    sat_scanner scanner = {.text = text, .ascii = tokenizer->ascii};
    sat_pretoken_walk walk = {.length = length};
    satchel_status status = SATCHEL_OK;
    size_t start;
    if (memmem(text, length, "\xE2\x96\x81", 3)) { /* "▁" is a space in running text */
        size_t normal;
        sat_buffer_clear(&encoding->normal);
        if (!sat_buffer_reserve(&encoding->normal, length))
            return sat_encoding_no_memory(encoding, length);
        sat_vocabulary_running(tokenizer, text, length, encoding->normal.data, &normal);
        scanner.text = encoding->normal.data;
        walk.length = normal;
    }
    while (!status && sat_pretoken_next(tokenizer->pretokenizer, &scanner, &walk, &start))
        status = encode_line(encoding, scanner.text + start, walk.at - start);
    return status;
}

satchel_status sat_bpe_open(sat_tokenizer *tokenizer, satchel_error *error) {
    const char *name = "default";
    sat_gguf_string(tokenizer->gguf, "tokenizer.ggml.pre", &name, NULL);
    tokenizer->encode = tokenizer->byte_level ? encode_bpe : encode_gemma4;
    tokenizer->pretokenizer = sat_pretokenizer_find(tokenizer->byte_level ? name : "gemma4");
    if (!tokenizer->pretokenizer || (tokenizer->byte_level && strcmp(name, "gemma4") == 0)) {
        return sat_fail(error, SATCHEL_UNSUPPORTED,
                        "tokenizer.ggml.pre is \"%.60s\": this pretokenizer is not known", name);
    }
    tokenizer->whole_words = tokenizer->pretokenizer->whole_words;
    tokenizer->special.add_bos = tokenizer->pretokenizer->add_bos;
    sat_class_ascii(tokenizer->ascii);
    return read_merges(tokenizer, error);
}
