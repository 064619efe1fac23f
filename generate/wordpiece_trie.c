/* Building the vocabulary's trie. */
#include "generate/wordpiece_trie.h"

#include <string.h>

enum { FIRST_SLOTS = 1024, MAX_NODES = 1 << 24 };

static void put_edge(sat_trie *trie, uint64_t edge) {
    size_t at = sat_trie_slot(trie, (uint32_t)(edge >> 32));
    while (trie->edges[at])
        at = (at + 1) & trie->mask;
    trie->edges[at] = edge;
}

/* A table of `slots` (a power of two) with the edges of the old one. */
static bool resize(sat_trie *trie, size_t slots) {
    uint64_t *old = trie->edges;
    size_t old_slots = old ? trie->mask + 1 : 0;
    uint64_t *edges = sat_calloc(trie->memory, slots, sizeof *edges);
    if (!edges)
        return false;
    trie->edges = edges;
    trie->mask = slots - 1;
    trie->shift = 64 - (unsigned)__builtin_ctzll(slots);
    for (size_t i = 0; i < old_slots; i++)
        if (old[i])
            put_edge(trie, old[i]);
    sat_free(trie->memory, old);
    return true;
}

static bool new_node(sat_trie *trie, uint32_t *node) {
    if (!sat_grow(trie->memory, (void **)&trie->ids, &trie->ids_capacity, (size_t)trie->nodes + 1,
                  sizeof *trie->ids))
        return false;
    trie->ids[trie->nodes] = -1;
    *node = trie->nodes++;
    return true;
}

satchel_status sat_trie_open(sat_trie *trie, sat_memory *memory, satchel_error *error) {
    memset(trie, 0, sizeof *trie);
    trie->memory = memory;
    uint32_t node = 0;
    bool ok = resize(trie, FIRST_SLOTS);
    while (ok && node < SAT_TRIE_REST) /* node 0 means "none" */
        ok = new_node(trie, &node);
    if (!ok) {
        sat_trie_close(trie);
        return sat_memory_fail(memory, FIRST_SLOTS * sizeof *trie->edges, error);
    }
    return SATCHEL_OK;
}

void sat_trie_close(sat_trie *trie) {
    if (trie->memory) {
        sat_free(trie->memory, trie->edges);
        sat_free(trie->memory, trie->ids);
    }
    memset(trie, 0, sizeof *trie);
}

satchel_status sat_trie_add(sat_trie *trie, int root, const char *piece, size_t length, int32_t id,
                            satchel_error *error) {
    uint32_t node = (uint32_t)root;
    for (size_t i = 0; i < length; i++) {
        uint32_t child = sat_trie_child(trie, node, (uint8_t)piece[i]);
        if (child == 0) {
            if (trie->nodes >= MAX_NODES) {
                return sat_fail(error, SATCHEL_LIMIT, "the vocabulary is larger than %d nodes",
                                MAX_NODES);
            }
            /* At most half full, so that a miss is found after a step or two. */
            if (trie->edge_count * 2 >= trie->mask + 1 && !resize(trie, (trie->mask + 1) * 2)) {
                return sat_memory_fail(trie->memory, (trie->mask + 1) * 2 * sizeof *trie->edges,
                                       error);
            }
            if (!new_node(trie, &child)) {
                return sat_memory_fail(trie->memory, trie->ids_capacity * 2 * sizeof *trie->ids,
                                       error);
            }
            uint32_t key = node << 8 | (uint8_t)piece[i];
            put_edge(trie, (uint64_t)key << 32 | child);
            trie->edge_count++;
        }
        node = child;
    }
    if (length > 0)
        trie->ids[node] = id;
    return SATCHEL_OK;
}
