/* The vocabulary as matchers walk it. Only lexicon*.c and matcher*.c include this. */
#ifndef SATCHEL_GENERATE_LEXICON_H
#define SATCHEL_GENERATE_LEXICON_H

#include "base/base.h"
#include "generate/grammar.h"

enum {
    SAT_LEXICON_CHARACTERS = 32, /* told apart in tokens; of longer ones, the first so many */
    SAT_LEXICON_ALPHABETS = 13
};

/* A byte on the way to a token. A node's children lie one behind the other, and what is below the
 * first of them right behind all of them: a walk looks at the bytes of children that lead nowhere,
 * and at nothing else of them. */
typedef struct sat_lexicon_node {
    uint32_t child; /* the first */
    uint32_t first; /* its tokens end where the next node's begin */
    uint16_t children;
} sat_lexicon_node;

typedef struct sat_lexicon_trie {
    uint8_t *bytes;          /* (count) */
    sat_lexicon_node *nodes; /* (count + 1) */
    uint32_t *tokens;
    uint32_t count, roots; /* nodes; the first so many have no parent */
} sat_lexicon_trie;

/* Where tokens leave an alphabet: behind so many of its characters, with this byte. */
typedef struct sat_lexicon_exit {
    /* A root of the alphabet's trie; with no characters before it, of that of every token. */
    uint32_t node;
    uint8_t characters, byte;
} sat_lexicon_exit;

/* A set of characters, the tokens made of them alone, and how all other tokens leave it. Where
 * every character of the set leads to one and the same place, the tokens inside need not be walked,
 * and of the others only what comes behind the set, and only where it leaves with a byte that leads
 * on. */
typedef struct sat_alphabet {
    bool bytes[128];  /* the set's ASCII */
    uint64_t *inside; /* (words): tokens of it alone, of at most SAT_LEXICON_CHARACTERS */
    size_t inside_count;
    /* What tokens have behind the set's characters, or behind the first SAT_LEXICON_CHARACTERS of
     * them: those with the same number of characters before it share their nodes. */
    sat_lexicon_trie leaving;
    sat_lexicon_exit *exits; /* by number of characters */
    size_t exit_count;
} sat_alphabet;

/* A token of plain text that ends within a character. */
typedef struct sat_cut_token {
    uint32_t token;
    uint16_t characters; /* before the one that is cut */
    uint8_t tail;        /* bytes of that one */
} sat_cut_token;

typedef struct sat_long_token {
    uint32_t token, characters;
} sat_long_token;

struct sat_lexicon {
    satchel_context *context;
    size_t size, words; /* tokens; 64-bit words of a mask */
    size_t longest;     /* bytes */
    char *bytes;
    uint32_t *at; /* (size + 1): where a token's bytes begin */
    bool *ends;
    uint64_t *end_mask;     /* (words) */
    sat_lexicon_trie every; /* all tokens */
    uint32_t roots[256];    /* node + 1 of a first byte; 0: no token begins with it */
    sat_lexicon_trie rest;  /* those that are not plain text */
    /* Plain text: whole characters that JSON does not escape, the last one perhaps cut short. As
     * masks (SAT_LEXICON_CHARACTERS + 1, words): tokens of at most n characters; the first: all. */
    uint64_t *slices;
    sat_long_token *long_tokens; /* of more than SAT_LEXICON_CHARACTERS */
    size_t long_count;
    sat_cut_token *cut_tokens;
    size_t cut_count;
    /* The first is plain text; the others are of ASCII alone, those with more tokens first. */
    sat_alphabet alphabets[SAT_LEXICON_ALPHABETS];
    size_t alphabet_count;
};

/* What a trie is made of. */
typedef struct sat_lexicon_entry {
    const char *bytes;
    uint32_t length, token;
    uint32_t part; /* entries of different parts share no nodes; those of lower ones come first */
} sat_lexicon_entry;
/* Sorts the entries. Roots are in the order of parts and bytes. */
bool sat_lexicon_trie_build(sat_memory *memory, sat_lexicon_trie *trie, sat_lexicon_entry *entries,
                            size_t count);
void sat_lexicon_trie_free(sat_memory *memory, sat_lexicon_trie *trie);

/* lexicon_alphabets.c: from a lexicon whose tries are made. */
bool sat_lexicon_alphabets(sat_lexicon *lexicon);
void sat_lexicon_alphabets_free(sat_lexicon *lexicon);
/* Characters of a token of plain text, 0 for any other; *tail: bytes of the last one if it is
 * cut. */
uint32_t sat_plain_characters(const char *bytes, size_t length, uint8_t *tail);

#endif
