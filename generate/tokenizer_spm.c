/*
 * SentencePiece's BPE ("llama"): every neighbouring pair that spells a token may merge, the one of the
 * highest score first; what is left over is spelt in bytes. There are no words: a fragment is one stretch,
 * cut only where no token could reach over.
 */
#include <string.h>

#include "generate/tokenizer_parts.h"

/* Scores as numbers that are the smaller the more urgent: the order of floats, turned around. */
static uint32_t urgency(float score) {
    uint32_t bits;
    if (score == 0)
        score = 0; /* −0 */
    memcpy(&bits, &score, sizeof bits);
    bits = bits & 0x80000000u ? bits : ~bits & 0x7FFFFFFFu;
    return bits < SAT_NO_MERGE ? bits : SAT_NO_MERGE - 1;
}

static bool spm_rule(const sat_tokenizer *tokenizer, const char *text, const sat_symbol *left,
                     const sat_symbol *right, uint32_t *priority, int32_t *merged) {
    *merged =
        sat_vocabulary_find(tokenizer, text + left->start, (size_t)left->length + right->length);
    if (*merged < 0)
        return false;
    *priority = urgency(tokenizer->pieces[*merged].score);
    return true;
}

/* A character that is no token: its bytes, or one unknown token where a byte is missing. */
static bool push_bytes(sat_encoding *encoding, const char *text, size_t length) {
    const sat_tokenizer *tokenizer = encoding->tokenizer;
    for (size_t i = 0; i < length; i++) {
        if (tokenizer->byte_ids[(uint8_t)text[i]] < 0) {
            return tokenizer->special.unknown < 0 ||
                   sat_tokens_push(encoding->out, tokenizer->special.unknown);
        }
    }
    for (size_t i = 0; i < length; i++)
        if (!sat_tokens_push(encoding->out, tokenizer->byte_ids[(uint8_t)text[i]]))
            return false;
    return true;
}

static satchel_status encode_stretch(sat_encoding *encoding, const char *text, size_t length) {
    size_t count = 0;
    if (!sat_grow(encoding->joined.memory, (void **)&encoding->symbols, &encoding->symbol_capacity,
                  length, sizeof *encoding->symbols))
        return sat_encoding_no_memory(encoding, length * sizeof *encoding->symbols);
    for (size_t at = 0; at < length; count++) {
        int32_t code;
        size_t size = sat_utf8_decode(text + at, length - at, &code);
        encoding->symbols[count] = (sat_symbol){
            .start = (uint32_t)at,
            .length = (uint32_t)size,
            .id = sat_vocabulary_find(encoding->tokenizer, text + at, size),
        };
        at += size;
    }
    satchel_status status = sat_merge(encoding, text, count, spm_rule);
    for (size_t i = 0; !status && i < count; i = encoding->symbols[i].next) {
        const sat_symbol *symbol = &encoding->symbols[i];
        bool pushed = symbol->id >= 0 ? sat_tokens_push(encoding->out, symbol->id)
                                      : push_bytes(encoding, text + symbol->start, symbol->length);
        if (!pushed)
            return sat_encoding_no_memory(encoding, count * sizeof(int32_t));
    }
    return status;
}

/* The fragment with a space before it and "▁" as spaces, as pieces have it. */
static bool normalise(sat_encoding *encoding, const char *text, size_t length) {
    const sat_tokenizer *tokenizer = encoding->tokenizer;
    sat_buffer *out = &encoding->normal;
    sat_buffer_clear(out);
    if (!sat_buffer_reserve(out, length + 1))
        return false;
    if (tokenizer->space_prefix && encoding->after_special)
        sat_buffer_append(out, " ", 1);
    for (size_t at = 0; at < length;) {
        size_t consumed, replaced;
        const char *by =
            sat_charsmap_find(&tokenizer->charsmap, text + at, length - at, &consumed, &replaced);
        if (!by) {
            int32_t code;
            by = text + at;
            consumed = replaced = sat_utf8_decode(text + at, length - at, &code);
            if (code == 0x2581) {
                by = " ";
                replaced = 1;
            }
        }
        sat_buffer_append(out, by, replaced);
        at += consumed;
    }
    return !out->failed;
}

static satchel_status encode_spm(sat_encoding *encoding, const char *text, size_t length) {
    const sat_tokenizer *tokenizer = encoding->tokenizer;
    satchel_status status = SATCHEL_OK;
    if (!normalise(encoding, text, length))
        return sat_encoding_no_memory(encoding, length);
    const char *normal = encoding->normal.data;
    size_t end = encoding->normal.length;
    if (end > INT32_MAX) {
        return sat_fail(encoding->error, SATCHEL_LIMIT, "the text is longer than 2 GiB");
    }
    for (size_t at = 0; !status && at < end;) {
        size_t stop = sat_merge_border(tokenizer, normal, at, end);
        status = encode_stretch(encoding, normal + at, stop - at);
        at = stop;
    }
    return status;
}

satchel_status sat_spm_open(sat_tokenizer *tokenizer, satchel_error *error) {
    tokenizer->encode = encode_spm;
    tokenizer->space_prefix =
        sat_vocabulary_flag(tokenizer->gguf, "tokenizer.ggml.add_space_prefix", true);
    tokenizer->special.add_bos = true;
    return sat_charsmap_open(&tokenizer->charsmap, tokenizer->gguf, error);
}
