/*
 * The vocabulary as a trie over bytes whose edges stand in one hash table: (node, byte) → node. Finds
 * the longest piece at a place in one walk.
 */
#ifndef SATCHEL_GENERATE_WORDPIECE_TRIE_H
#define SATCHEL_GENERATE_WORDPIECE_TRIE_H

#include "base/base.h"

/* Nodes 1 and 2 are the roots: pieces that begin a word, and pieces that go on with one. */
enum { SAT_TRIE_WORD = 1, SAT_TRIE_REST = 2 };

typedef struct sat_trie {
    sat_memory *memory;
    uint64_t *edges; /* (node << 8 | byte) << 32 | child; 0: empty */
    size_t mask;     /* slots − 1 */
    unsigned shift;  /* 64 − log2(slots) */
    size_t edge_count;
    int32_t *ids; /* by node; −1: no piece ends here */
    size_t ids_capacity;
    uint32_t nodes; /* the next free node */
} sat_trie;

satchel_status sat_trie_open(sat_trie *trie, sat_memory *memory, satchel_error *error);
void sat_trie_close(sat_trie *trie);
/* Of two pieces with one spelling the later wins, as in the original. LIMIT beyond 2^24 nodes. */
satchel_status sat_trie_add(sat_trie *trie, int root, const char *piece, size_t length, int32_t id,
                            satchel_error *error);

static inline size_t sat_trie_slot(const sat_trie *trie, uint32_t key) {
    return (size_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> trie->shift);
}

/* The child of `node` by `byte`; 0 if there is none. */
static inline uint32_t sat_trie_child(const sat_trie *trie, uint32_t node, uint8_t byte) {
    uint32_t key = node << 8 | byte;
    size_t at = sat_trie_slot(trie, key);
    for (;;) {
        uint64_t edge = trie->edges[at];
        if (edge >> 32 == key)
            return (uint32_t)edge;
        if (edge == 0)
            return 0;
        at = (at + 1) & trie->mask;
    }
}

/* The longest piece at the start of text: its id and length, or −1. */
static inline int32_t sat_trie_longest(const sat_trie *trie, int root, const char *text,
                                       size_t length, size_t *matched) {
    uint32_t node = (uint32_t)root;
    int32_t id = -1;
    for (size_t i = 0; i < length; i++) {
        node = sat_trie_child(trie, node, (uint8_t)text[i]);
        if (node == 0)
            break;
        if (trie->ids[node] >= 0) {
            id = trie->ids[node];
            *matched = i + 1;
        }
    }
    return id;
}

#endif
