/*
 * Merging neighbours until none merge: the heart of BPE, by rank or by score. Words of a few symbols are
 * scanned for the most urgent pair again and again, which is fastest there; longer stretches use a binary
 * heap. Stale heap entries are told by their size: a symbol only grows, and a merged one has length 0.
 */
#include <string.h>

#include "generate/tokenizer_parts.h"

enum { SHORT = 24 };

static void look_up(const sat_tokenizer *tokenizer, const char *text, sat_merge_rule *rule,
                    sat_symbol *left, const sat_symbol *right) {
    if (!rule(tokenizer, text, left, right, &left->priority, &left->merged))
        left->priority = SAT_NO_MERGE;
}

static void merge_short(const sat_tokenizer *tokenizer, const char *text, sat_symbol *symbols,
                        size_t count, sat_merge_rule *rule) {
    for (size_t i = 0; i + 1 < count; i++)
        look_up(tokenizer, text, rule, &symbols[i], &symbols[i + 1]);
    size_t left = count;
    while (left > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < left; i++)
            if (symbols[i].priority < symbols[best].priority)
                best = i;
        sat_symbol *symbol = &symbols[best];
        if (symbol->priority == SAT_NO_MERGE)
            break;
        symbol->length += symbol[1].length;
        symbol->id = symbol->merged;
        left--;
        memmove(symbol + 1, symbol + 2, (left - best - 1) * sizeof *symbol);
        if (best + 1 < left)
            look_up(tokenizer, text, rule, symbol, symbol + 1);
        if (best > 0)
            look_up(tokenizer, text, rule, symbol - 1, symbol);
    }
    for (size_t i = 0; i < left; i++)
        symbols[i].next = (uint32_t)(i + 1 < left ? i + 1 : count);
}

/* ------------------------------------------------------------------ the heap */

static void sift_down(sat_candidate *heap, size_t count, size_t at) {
    sat_candidate moved = heap[at];
    for (;;) {
        size_t child = at * 2 + 1;
        if (child >= count)
            break;
        if (child + 1 < count && heap[child + 1].key < heap[child].key)
            child++;
        if (heap[child].key >= moved.key)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

static void sift_up(sat_candidate *heap, size_t at) {
    sat_candidate moved = heap[at];
    while (at > 0 && heap[(at - 1) / 2].key > moved.key) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = moved;
}

static bool propose(sat_encoding *encoding, const char *text, sat_merge_rule *rule, size_t left,
                    sat_candidate *out) {
    const sat_symbol *a = &encoding->symbols[left], *b = &encoding->symbols[a->next];
    uint32_t priority;
    if (!rule(encoding->tokenizer, text, a, b, &priority, &out->merged))
        return false;
    out->key = (uint64_t)priority << 32 | left;
    out->size = a->length + b->length;
    return true;
}

static satchel_status merge_long(sat_encoding *encoding, const char *text, size_t count,
                                 sat_merge_rule *rule) {
    sat_memory *memory = encoding->joined.memory;
    sat_symbol *symbols = encoding->symbols;
    size_t entries = 0;
    /* A pop adds at most two: the heap holds no more than 2 × count. */
    if (!sat_grow(memory, (void **)&encoding->heap, &encoding->heap_capacity, count * 2,
                  sizeof *encoding->heap))
        return sat_encoding_no_memory(encoding, count * 2 * sizeof *encoding->heap);
    sat_candidate *heap = encoding->heap;
    for (size_t i = 0; i < count; i++) {
        symbols[i].previous = (uint32_t)(i > 0 ? i - 1 : count);
        symbols[i].next = (uint32_t)(i + 1);
        if (i + 1 < count && propose(encoding, text, rule, i, &heap[entries]))
            entries++;
    }
    for (size_t i = entries / 2; i-- > 0;)
        sift_down(heap, entries, i);
    while (entries > 0) {
        sat_candidate top = heap[0];
        heap[0] = heap[--entries];
        if (entries > 0)
            sift_down(heap, entries, 0);
        size_t at = (size_t)(top.key & UINT32_MAX);
        sat_symbol *left = &symbols[at];
        if (left->length == 0 || left->next == count ||
            left->length + symbols[left->next].length != top.size)
            continue;
        sat_symbol *right = &symbols[left->next];
        left->length = top.size;
        left->id = top.merged;
        left->next = right->next;
        right->length = 0;
        if (left->next < count)
            symbols[left->next].previous = (uint32_t)at;
        if (left->previous < count && propose(encoding, text, rule, left->previous, &heap[entries]))
            sift_up(heap, entries++);
        if (left->next < count && propose(encoding, text, rule, at, &heap[entries]))
            sift_up(heap, entries++);
    }
    return SATCHEL_OK;
}

satchel_status sat_merge(sat_encoding *encoding, const char *text, size_t count,
                         sat_merge_rule *rule) {
    if (count > SHORT)
        return merge_long(encoding, text, count, rule);
    merge_short(encoding->tokenizer, text, encoding->symbols, count, rule);
    return SATCHEL_OK;
}

size_t sat_merge_border(const sat_tokenizer *tokenizer, const char *text, size_t at, size_t end) {
    for (size_t i = at + 1; i < end; i++)
        if (text[i] == ' ' && !tokenizer->joins_space[(uint8_t)text[i - 1]])
            return i;
    return end;
}
