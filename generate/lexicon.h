/* The vocabulary as matchers walk it. Only lexicon.c and matcher*.c include this. */
#ifndef SATCHEL_GENERATE_LEXICON_H
#define SATCHEL_GENERATE_LEXICON_H

#include "generate/grammar.h"

/* Characters told apart in tokens of plain text; longer ones are listed. */
enum { SAT_LEXICON_SLICES = 32 };

/* A byte on the way to a token; in the order of a walk in depth, so that a node's subtree ends at `next`. */
typedef struct sat_lexicon_node {
    uint32_t next;
    uint32_t first; /* its tokens end where the next node's begin */
    uint16_t depth; /* of the byte: 0 is a token's first */
    uint8_t byte;
} sat_lexicon_node;

typedef struct sat_lexicon_trie {
    sat_lexicon_node *nodes; /* (count + 1) */
    uint32_t *tokens;
    size_t count;
} sat_lexicon_trie;

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
    /* Tokens of plain text: whole characters that JSON does not escape, the last one perhaps cut short. */
    sat_lexicon_trie plain;
    sat_lexicon_trie quoting; /* the first byte that is not plain text is a quote or a backslash */
    sat_lexicon_trie other;
    uint64_t *
        slices; /* (SAT_LEXICON_SLICES + 1, words): plain tokens of at most n characters; the first: all */
    sat_long_token *long_tokens; /* of more than SAT_LEXICON_SLICES */
    size_t long_count;
    uint64_t *end_mask; /* (words) */
};

#endif
