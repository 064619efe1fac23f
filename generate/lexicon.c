/*
 * The vocabulary as tries of bytes: tokens of plain text, which inside most strings may all come and need not be
 * walked; those with a quote or a backslash behind plain text; and all others, which no JSON string takes. Plain ones are also kept as masks by their number of
 * characters, for strings of bounded length.
 */
#include "generate/lexicon.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"

typedef struct entry {
    const char *bytes;
    uint32_t length, token;
} entry;

static int by_bytes(const void *a, const void *b) {
    const entry *x = a, *y = b;
    int order = memcmp(x->bytes, y->bytes, x->length < y->length ? x->length : y->length);
    if (order)
        return order;
    if (x->length != y->length)
        return x->length < y->length ? -1 : 1;
    return (x->token > y->token) - (x->token < y->token);
}

/* Some bytes of a character: may they be continued to a valid one? */
static bool begins_character(const uint8_t *bytes, size_t length) {
    uint8_t first = bytes[0], second = length > 1 ? bytes[1] : 0x90;
    size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || length >= size)
        return false;
    for (size_t i = 1; i < length; i++)
        if ((bytes[i] & 0xC0) != 0x80)
            return false;
    return length < 2 || !((first == 0xE0 && second < 0xA0) || (first == 0xED && second >= 0xA0) ||
                           (first == 0xF0 && second < 0x90) || (first == 0xF4 && second >= 0x90));
}

/* Characters of a token of plain text, 0 for any other; *quoting: for a quote or a backslash. */
static uint32_t plain_characters(const char *bytes, size_t length, bool *quoting) {
    uint32_t count = 0;
    *quoting = false;
    for (size_t at = 0; at < length; count++) {
        uint8_t byte = (uint8_t)bytes[at];
        *quoting = byte == '"' || byte == '\\';
        if (byte < 0x20 || *quoting)
            return 0;
        if (byte < 0x80) {
            at++;
            continue;
        }
        int32_t code;
        size_t size = sat_utf8_decode(bytes + at, length - at, &code);
        if (sat_utf8_valid(bytes + at, size) == size)
            at += size;
        else if (length - at < 4 && begins_character((const uint8_t *)bytes + at, length - at))
            at = length;
        else
            return 0;
    }
    return count;
}

static size_t shared(const entry *a, const entry *b) {
    size_t length = a->length < b->length ? a->length : b->length, i = 0;
    while (i < length && a->bytes[i] == b->bytes[i])
        i++;
    return i;
}

static bool build_trie(sat_memory *memory, sat_lexicon_trie *trie, entry *entries, size_t count) {
    qsort(entries, count, sizeof *entries, by_bytes);
    size_t nodes = 0;
    for (size_t i = 0; i < count; i++)
        nodes += entries[i].length - (i ? shared(&entries[i - 1], &entries[i]) : 0);
    trie->nodes = sat_calloc(memory, nodes + 1, sizeof *trie->nodes);
    trie->tokens = sat_alloc_array(memory, count + 1, sizeof *trie->tokens);
    if (!trie->nodes || !trie->tokens)
        return false;
    uint32_t open[SAT_LEXICON_BYTES]; /* the path's nodes */
    size_t depth = 0;
    for (size_t i = 0; i < count; i++) {
        size_t keep = i ? shared(&entries[i - 1], &entries[i]) : 0;
        while (depth > keep)
            trie->nodes[open[--depth]].next = (uint32_t)trie->count;
        for (; depth < entries[i].length; depth++) {
            sat_lexicon_node *node = &trie->nodes[trie->count];
            node->depth = (uint16_t)depth;
            node->byte = (uint8_t)entries[i].bytes[depth];
            node->first = (uint32_t)i; /* all nodes before the last one of a token have none */
            open[depth] = (uint32_t)trie->count++;
        }
        trie->tokens[i] = entries[i].token;
    }
    while (depth)
        trie->nodes[open[--depth]].next = (uint32_t)trie->count;
    trie->nodes[trie->count].first = (uint32_t)count;
    return true;
}

static void slice(sat_lexicon *lexicon, uint32_t token, uint32_t characters) {
    uint64_t bit = UINT64_C(1) << (token % 64);
    lexicon->slices[token / 64] |= bit;
    for (size_t n = characters; n <= SAT_LEXICON_SLICES; n++)
        lexicon->slices[n * lexicon->words + token / 64] |= bit;
    if (characters > SAT_LEXICON_SLICES)
        lexicon->long_tokens[lexicon->long_count++] = (sat_long_token){token, characters};
}

static bool build(sat_lexicon *lexicon, entry *plain, entry *quoting, entry *other) {
    sat_memory *memory = &lexicon->context->memory;
    lexicon->slices = sat_calloc(memory, lexicon->words * (SAT_LEXICON_SLICES + 1), 8);
    lexicon->end_mask = sat_calloc(memory, lexicon->words, 8);
    lexicon->long_tokens = sat_alloc_array(memory, lexicon->size, sizeof *lexicon->long_tokens);
    if (!lexicon->slices || !lexicon->end_mask || !lexicon->long_tokens)
        return false;
    size_t plain_count = 0, quoting_count = 0, other_count = 0;
    for (uint32_t token = 0; token < lexicon->size; token++) {
        entry one = {lexicon->bytes + lexicon->at[token],
                     lexicon->at[token + 1] - lexicon->at[token], token};
        if (lexicon->ends[token])
            lexicon->end_mask[token / 64] |= UINT64_C(1) << (token % 64);
        if (!one.length)
            continue;
        if (one.length > lexicon->longest)
            lexicon->longest = one.length;
        bool quotes;
        uint32_t characters = plain_characters(one.bytes, one.length, &quotes);
        if (characters) {
            slice(lexicon, token, characters);
            plain[plain_count++] = one;
        } else if (quotes) {
            quoting[quoting_count++] = one;
        } else {
            other[other_count++] = one;
        }
    }
    return build_trie(memory, &lexicon->plain, plain, plain_count) &&
           build_trie(memory, &lexicon->quoting, quoting, quoting_count) &&
           build_trie(memory, &lexicon->other, other, other_count);
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
    entry *plain = sat_alloc_array(memory, size, sizeof *plain);
    entry *quoting = sat_alloc_array(memory, size, sizeof *quoting);
    entry *other = sat_alloc_array(memory, size, sizeof *other);
    bool done = plain && quoting && other && take_bytes(lexicon, from) &&
                build(lexicon, plain, quoting, other);
    sat_free(memory, plain);
    sat_free(memory, quoting);
    sat_free(memory, other);
    if (done)
        *out = lexicon;
    else
        sat_lexicon_close(&lexicon);
    return done ? SATCHEL_OK : sat_memory_fail(memory, size * sizeof *plain, error);
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
    sat_free(memory, lexicon->plain.nodes);
    sat_free(memory, lexicon->plain.tokens);
    sat_free(memory, lexicon->quoting.nodes);
    sat_free(memory, lexicon->quoting.tokens);
    sat_free(memory, lexicon->other.nodes);
    sat_free(memory, lexicon->other.tokens);
    sat_free(memory, lexicon->slices);
    sat_free(memory, lexicon->long_tokens);
    sat_free(memory, lexicon->end_mask);
    sat_free(memory, lexicon);
}

size_t sat_lexicon_size(const sat_lexicon *lexicon) {
    return lexicon->size;
}
