/*
 * Alphabets: what tokens are made of one set of characters, and where the others leave it. Grammars
 * mostly stay within such a set for a while (the text of a string, a name, a slug), so that a mask
 * is a few operations on whole sets of tokens and a look at those that leave.
 */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "generate/lexicon.h"

/* Pairs of ends of ranges; the last is what a URI need not escape. */
static const char *const sets[] = {
    "az",       "az09",       "AZ",     "AZ09",     "azAZ",           "azAZ09",
    "azAZ09__", "azAZ09__--", "azAZ  ", "azAZ09  ", "azAZ09--__..~~",
};
_Static_assert(SAT_COUNT(sets) + 2 == SAT_LEXICON_ALPHABETS, "plain text, its ASCII, and those");

/* ------------------------------------------------------------------ plain text */

static bool plain_byte(uint8_t byte) {
    return byte >= 0x20 && byte < 0x7F && byte != '"' && byte != '\\';
}

/* How a character of several bytes goes on: how many bytes follow, and between which the next
 * lies. */
typedef struct pending {
    uint8_t left, low, high;
} pending;

static bool begin(uint8_t byte, pending *out) {
    *out = (pending){byte >= 0xF0 ? 3 : byte >= 0xE0 ? 2 : 1, 0x80, 0xBF};
    if (byte == 0xE0)
        out->low = 0xA0;
    else if (byte == 0xED)
        out->high = 0x9F;
    else if (byte == 0xF0)
        out->low = 0x90;
    else if (byte == 0xF4)
        out->high = 0x8F;
    return byte >= 0xC2 && byte <= 0xF4;
}

static bool go_on(uint8_t byte, pending *state) {
    if (byte < state->low || byte > state->high)
        return false;
    *state = (pending){state->left - 1, 0x80, 0xBF};
    return true;
}

uint32_t sat_plain_characters(const char *bytes, size_t length, uint8_t *tail) {
    uint32_t count = 0;
    pending state = {0};
    *tail = 0;
    for (size_t at = 0; at < length; at++) {
        uint8_t byte = (uint8_t)bytes[at];
        bool fits = state.left ? go_on(byte, &state) : plain_byte(byte) || begin(byte, &state);
        if (!fits)
            return 0;
        if (state.left) {
            count += !*tail;
            ++*tail;
        } else {
            count += !*tail;
            *tail = 0;
        }
    }
    return count;
}

/* ------------------------------------------------------------------ alphabets */

/* How a token begins. */
typedef struct beginning {
    uint32_t characters, length; /* of the set, at most SAT_LEXICON_CHARACTERS; their bytes */
    bool broken;                 /* what follows is no character: no grammar takes it */
} beginning;

static beginning begin_of(const sat_alphabet *alphabet, bool plain, const char *bytes,
                          size_t length) {
    beginning out = {0};
    pending state = {0};
    for (size_t i = 0; i < length; i++) {
        uint8_t byte = (uint8_t)bytes[i];
        if (state.left) {
            out.broken = !go_on(byte, &state);
        } else if (out.characters < SAT_LEXICON_CHARACTERS &&
                   (byte < 128 ? alphabet->bytes[byte] : plain && begin(byte, &state))) {
            out.characters++;
        } else {
            return out;
        }
        if (out.broken)
            return out;
        out.length++;
    }
    return out;
}

/* Tokens inside are marked, those that leave behind the set's characters are put into entries; how
 * many. */
static size_t sort_out(const sat_lexicon *lexicon, sat_alphabet *out, bool plain,
                       sat_lexicon_entry *entries) {
    size_t count = 0;
    out->inside_count = 0;
    for (uint32_t token = 0; token < lexicon->size; token++) {
        const char *bytes = lexicon->bytes + lexicon->at[token];
        uint32_t length = lexicon->at[token + 1] - lexicon->at[token];
        beginning start = begin_of(out, plain, bytes, length);
        if (!start.characters || start.broken)
            continue;
        if (start.length == length) {
            out->inside[token / 64] |= UINT64_C(1) << (token % 64);
            out->inside_count++;
            continue;
        }
        if (entries)
            entries[count] = (sat_lexicon_entry){bytes + start.length, length - start.length, token,
                                                 start.characters};
        count++;
    }
    return count;
}

static bool is_inside(const sat_alphabet *alphabet, bool plain, uint8_t byte) {
    pending state;
    return byte < 128 ? alphabet->bytes[byte] : plain && begin(byte, &state);
}

static bool make_exits(const sat_lexicon *lexicon, sat_alphabet *out, bool plain,
                       const sat_lexicon_entry *entries) {
    const sat_lexicon_trie *every = &lexicon->every, *leaving = &out->leaving;
    out->exits = sat_alloc_array(&lexicon->context->memory, every->roots + leaving->roots,
                                 sizeof *out->exits);
    if (!out->exits)
        return false;
    for (uint32_t i = 0; i < every->roots; i++)
        if (!is_inside(out, plain, every->bytes[i]))
            out->exits[out->exit_count++] = (sat_lexicon_exit){i, 0, every->bytes[i]};
    size_t entry = 0;
    for (uint32_t i = 0; i < leaving->roots; i++) {
        uint32_t part = entries[entry].part;
        char byte = entries[entry].bytes[0];
        out->exits[out->exit_count++] = (sat_lexicon_exit){i, (uint8_t)part, (uint8_t)byte};
        while (entries[entry].part == part && entries[entry].bytes[0] == byte)
            entry++; /* to the next root's; one more entry stands behind all */
    }
    return true;
}

static bool make_alphabet(const sat_lexicon *lexicon, sat_alphabet *out, bool plain) {
    sat_memory *memory = &lexicon->context->memory;
    out->inside = sat_calloc(memory, lexicon->words, sizeof *out->inside);
    if (!out->inside)
        return false;
    size_t count = sort_out(lexicon, out, plain, NULL);
    sat_lexicon_entry *entries = sat_alloc_array(memory, count + 1, sizeof *entries);
    bool done = entries != NULL;
    if (done) {
        sort_out(lexicon, out, plain, entries);
        entries[count] = (sat_lexicon_entry){"", 0, 0, UINT32_MAX};
    }
    done = done && sat_lexicon_trie_build(memory, &out->leaving, entries, count) &&
           make_exits(lexicon, out, plain, entries);
    sat_free(memory, entries);
    return done;
}

static int by_count(const void *a, const void *b) {
    const sat_alphabet *x = a, *y = b;
    return (x->inside_count < y->inside_count) - (x->inside_count > y->inside_count);
}

bool sat_lexicon_alphabets(sat_lexicon *lexicon) {
    bool done = true;
    for (size_t i = 0; i < SAT_LEXICON_ALPHABETS && done; i++) {
        sat_alphabet *alphabet = &lexicon->alphabets[i];
        bool all = i == 0 || i == SAT_LEXICON_ALPHABETS - 1;
        lexicon->alphabet_count = i + 1;
        for (int byte = 0; byte < 128; byte++)
            alphabet->bytes[byte] = all && plain_byte((uint8_t)byte);
        for (const char *range = all ? "" : sets[i - 1]; *range; range += 2)
            for (int byte = range[0]; byte <= range[1]; byte++)
                alphabet->bytes[byte] = true;
        done = make_alphabet(lexicon, alphabet, i == 0);
    }
    if (done)
        qsort(lexicon->alphabets + 1, lexicon->alphabet_count - 1, sizeof *lexicon->alphabets,
              by_count);
    return done;
}

void sat_lexicon_alphabets_free(sat_lexicon *lexicon) {
    sat_memory *memory = &lexicon->context->memory;
    for (size_t i = 0; i < lexicon->alphabet_count; i++) {
        sat_free(memory, lexicon->alphabets[i].inside);
        sat_free(memory, lexicon->alphabets[i].exits);
        sat_lexicon_trie_free(memory, &lexicon->alphabets[i].leaving);
    }
}
