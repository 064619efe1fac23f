/* Tries of the vocabulary's bytes, from its sorted tokens, block of children by block. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "generate/lexicon.h"

static int by_bytes(const void *a, const void *b) {
    const sat_lexicon_entry *x = a, *y = b;
    if (x->part != y->part)
        return x->part < y->part ? -1 : 1;
    int order = memcmp(x->bytes, y->bytes, x->length < y->length ? x->length : y->length);
    if (order)
        return order;
    if (x->length != y->length)
        return x->length < y->length ? -1 : 1;
    return (x->token > y->token) - (x->token < y->token);
}

static size_t shared(const sat_lexicon_entry *a, const sat_lexicon_entry *b) {
    size_t length = a->length < b->length ? a->length : b->length, i = 0;
    while (a->part == b->part && i < length && a->bytes[i] == b->bytes[i])
        i++;
    return i;
}

/* A node whose children are still to be made: the entries through it. */
typedef struct pending {
    uint32_t node, from, to, depth; /* of its children's bytes */
} pending;

typedef struct building {
    sat_lexicon_trie *trie;
    const sat_lexicon_entry *entries;
    pending *stack;
    size_t count;
    uint32_t tokens;
} building;

/* The children of entries from..to, which agree before `depth` and are longer. */
static uint32_t block(building *self, uint32_t from, uint32_t to, uint32_t depth) {
    sat_lexicon_trie *trie = self->trie;
    const sat_lexicon_entry *entries = self->entries;
    uint32_t made = trie->count;
    size_t below = self->count;
    while (from < to) {
        uint32_t first = from, node = trie->count++;
        char byte = entries[first].bytes[depth];
        trie->bytes[node] = (uint8_t)byte;
        trie->nodes[node].first = self->tokens;
        for (; from < to && entries[from].bytes[depth] == byte &&
               entries[from].part == entries[first].part;
             from++)
            if (entries[from].length == depth + 1)
                trie->tokens[self->tokens++] = entries[from].token;
        first += self->tokens - trie->nodes[node].first; /* the shortest come first */
        if (first < from)
            self->stack[self->count++] = (pending){node, first, from, depth + 1};
    }
    for (size_t last = self->count; below + 1 < last; below++) { /* the first is to be taken next */
        pending swapped = self->stack[below];
        self->stack[below] = self->stack[--last];
        self->stack[last] = swapped;
    }
    return trie->count - made;
}

bool sat_lexicon_trie_build(sat_memory *memory, sat_lexicon_trie *trie, sat_lexicon_entry *entries,
                            size_t count) {
    if (count)
        qsort(entries, count, sizeof *entries, by_bytes);
    size_t nodes = 0;
    for (size_t i = 0; i < count; i++)
        nodes += entries[i].length - (i ? shared(&entries[i - 1], &entries[i]) : 0);
    trie->bytes = sat_alloc(memory, nodes);
    trie->nodes = sat_calloc(memory, nodes + 1, sizeof *trie->nodes);
    trie->tokens = sat_alloc_array(memory, count, sizeof *trie->tokens);
    building self = {.trie = trie,
                     .entries = entries,
                     .stack = sat_alloc_array(memory, nodes, sizeof *self.stack)};
    bool done = trie->bytes && trie->nodes && trie->tokens && self.stack;
    if (done)
        trie->roots = block(&self, 0, (uint32_t)count, 0);
    while (done && self.count) {
        pending next = self.stack[--self.count];
        trie->nodes[next.node].child = trie->count;
        trie->nodes[next.node].children = (uint16_t)block(&self, next.from, next.to, next.depth);
    }
    if (done)
        trie->nodes[trie->count].first = self.tokens;
    sat_free(memory, self.stack);
    return done;
}

void sat_lexicon_trie_free(sat_memory *memory, sat_lexicon_trie *trie) {
    sat_free(memory, trie->bytes);
    sat_free(memory, trie->nodes);
    sat_free(memory, trie->tokens);
}
