/*
 * The vocabulary as tries of bytes: one of all tokens, and one of those that are not plain text.
 * Tokens of plain text are also kept as masks by their number of characters, for strings of bounded
 * length.
 */
#include "generate/lexicon.h"

#include <string.h>

#include "base/base.h"

static void slice(sat_lexicon *lexicon, uint32_t token, uint32_t characters, uint8_t tail) {
    uint64_t bit = UINT64_C(1) << (token % 64);
    lexicon->slices[token / 64] |= bit;
    for (size_t n = characters; n <= SAT_LEXICON_CHARACTERS; n++)
        lexicon->slices[n * lexicon->words + token / 64] |= bit;
    if (characters > SAT_LEXICON_CHARACTERS)
        lexicon->long_tokens[lexicon->long_count++] = (sat_long_token){token, characters};
    if (tail)
        lexicon->cut_tokens[lexicon->cut_count++] =
            (sat_cut_token){token, (uint16_t)(characters - 1), tail};
}

/* Room for the tokens that are listed: all of plain text would be more than ever is. */
static bool take_lists(sat_lexicon *lexicon) {
    sat_memory *memory = &lexicon->context->memory;
    size_t longs = 0, cuts = 0;
    for (uint32_t token = 0; token < lexicon->size; token++) {
        uint8_t tail;
        size_t from = lexicon->at[token], length = lexicon->at[token + 1] - from;
        uint32_t characters = sat_plain_characters(lexicon->bytes + from, length, &tail);
        longs += characters > SAT_LEXICON_CHARACTERS;
        cuts += characters && tail;
    }
    lexicon->slices = sat_calloc(memory, lexicon->words * (SAT_LEXICON_CHARACTERS + 1), 8);
    lexicon->end_mask = sat_calloc(memory, lexicon->words, 8);
    lexicon->long_tokens = sat_alloc_array(memory, longs, sizeof *lexicon->long_tokens);
    lexicon->cut_tokens = sat_alloc_array(memory, cuts, sizeof *lexicon->cut_tokens);
    return lexicon->slices && lexicon->end_mask && lexicon->long_tokens && lexicon->cut_tokens;
}

static bool build(sat_lexicon *lexicon, sat_lexicon_entry *every, sat_lexicon_entry *rest) {
    sat_memory *memory = &lexicon->context->memory;
    size_t every_count = 0, rest_count = 0;
    if (!take_lists(lexicon))
        return false;
    for (uint32_t token = 0; token < lexicon->size; token++) {
        sat_lexicon_entry one = {lexicon->bytes + lexicon->at[token],
                                 lexicon->at[token + 1] - lexicon->at[token], token, 0};
        if (lexicon->ends[token])
            lexicon->end_mask[token / 64] |= UINT64_C(1) << (token % 64);
        if (!one.length)
            continue;
        if (one.length > lexicon->longest)
            lexicon->longest = one.length;
        uint8_t tail;
        uint32_t characters = sat_plain_characters(one.bytes, one.length, &tail);
        every[every_count++] = one;
        if (characters)
            slice(lexicon, token, characters, tail);
        else
            rest[rest_count++] = one;
    }
    if (!sat_lexicon_trie_build(memory, &lexicon->every, every, every_count) ||
        !sat_lexicon_trie_build(memory, &lexicon->rest, rest, rest_count))
        return false;
    for (uint32_t i = 0; i < lexicon->every.roots; i++)
        lexicon->roots[lexicon->every.bytes[i]] = i + 1;
    return sat_lexicon_alphabets(lexicon);
}

/* What gives a token's bytes. */
typedef struct source {
    const sat_tokenizer *tokenizer;
    const char *const *text;
    const size_t *lengths;
    const bool *ends;
} source;

static const char *bytes_of(const source *from, size_t token, size_t *length) {
    if (from->tokenizer) {
        const char *bytes = sat_tokenizer_bytes(from->tokenizer, (int32_t)token, false, length);
        if (!bytes)
            *length = 0;
        if (sat_tokenizer_ends(from->tokenizer, (int32_t)token))
            *length = 0;
        return bytes;
    }
    *length = from->ends && from->ends[token] ? 0 : from->lengths[token];
    return from->text[token];
}

static bool take_bytes(sat_lexicon *lexicon, const source *from) {
    sat_memory *memory = &lexicon->context->memory;
    size_t total = 0, length;
    for (size_t i = 0; i < lexicon->size; i++) {
        bytes_of(from, i, &length);
        total += length <= SAT_LEXICON_BYTES ? length : 0;
    }
    lexicon->bytes = sat_alloc(memory, total);
    lexicon->at = sat_alloc_array(memory, lexicon->size + 1, sizeof *lexicon->at);
    lexicon->ends = sat_calloc(memory, lexicon->size, sizeof *lexicon->ends);
    if (!lexicon->bytes || !lexicon->at || !lexicon->ends)
        return false;
    size_t at = 0;
    for (size_t i = 0; i < lexicon->size; i++) {
        const char *bytes = bytes_of(from, i, &length);
        lexicon->at[i] = (uint32_t)at;
        lexicon->ends[i] = from->tokenizer ? sat_tokenizer_ends(from->tokenizer, (int32_t)i)
                                           : from->ends && from->ends[i];
        if (!length || length > SAT_LEXICON_BYTES)
            continue;
        memcpy(lexicon->bytes + at, bytes, length);
        at += length;
    }
    lexicon->at[lexicon->size] = (uint32_t)at;
    return true;
}

static satchel_status open_from(sat_lexicon **out, satchel_context *context, const source *from,
                                size_t size, satchel_error *error) {
    sat_memory *memory = &context->memory;
    *out = NULL;
    if (!size || size > INT32_MAX / SAT_LEXICON_BYTES)
        return sat_fail(error, SATCHEL_LIMIT, "a vocabulary of %zu tokens: 1 to %d can be matched",
                        size, INT32_MAX / SAT_LEXICON_BYTES);
    sat_lexicon *lexicon = sat_calloc(memory, 1, sizeof *lexicon);
    if (!lexicon)
        return sat_memory_fail(memory, sizeof *lexicon, error);
    lexicon->context = context;
    lexicon->size = size;
    lexicon->words = (size + 63) / 64;
    sat_lexicon_entry *every = sat_alloc_array(memory, size, sizeof *every);
    sat_lexicon_entry *rest = sat_alloc_array(memory, size, sizeof *rest);
    bool done = every && rest && take_bytes(lexicon, from) && build(lexicon, every, rest);
    sat_free(memory, every);
    sat_free(memory, rest);
    if (done)
        *out = lexicon;
    else
        sat_lexicon_close(&lexicon);
    return done ? SATCHEL_OK : sat_memory_fail(memory, size * sizeof *every, error);
}

satchel_status sat_lexicon_open(sat_lexicon **out, satchel_context *context,
                                const sat_tokenizer *tokenizer, satchel_error *error) {
    source from = {.tokenizer = tokenizer};
    return open_from(out, context, &from, (size_t)sat_tokenizer_size(tokenizer), error);
}

satchel_status sat_lexicon_from_bytes(sat_lexicon **out, satchel_context *context,
                                      const char *const *text, const size_t *lengths,
                                      const bool *ends, size_t count, satchel_error *error) {
    source from = {.text = text, .lengths = lengths, .ends = ends};
    return open_from(out, context, &from, count, error);
}

void sat_lexicon_close(sat_lexicon **slot) {
    sat_lexicon *lexicon = *slot;
    *slot = NULL;
    if (!lexicon)
        return;
    sat_memory *memory = &lexicon->context->memory;
    sat_free(memory, lexicon->bytes);
    sat_free(memory, lexicon->at);
    sat_free(memory, lexicon->ends);
    sat_lexicon_trie_free(memory, &lexicon->every);
    sat_lexicon_trie_free(memory, &lexicon->rest);
    sat_lexicon_alphabets_free(lexicon);
    sat_free(memory, lexicon->slices);
    sat_free(memory, lexicon->long_tokens);
    sat_free(memory, lexicon->cut_tokens);
    sat_free(memory, lexicon->end_mask);
    sat_free(memory, lexicon);
}

size_t sat_lexicon_size(const sat_lexicon *lexicon) {
    return lexicon->size;
}
