/*
 * From a draft to an automaton: states that only lead on are skipped, every state learns its
 * shortest way to the end of its rule (Knuth's generalisation of Dijkstra's algorithm, 1977), rules
 * that would call themselves before reading anything are refused, bytes that no edge tells apart
 * become one class.
 */
#include "generate/grammar_parts.h"

#include <string.h>

#define NONE UINT32_MAX
#define PENDING (UINT32_MAX - 1)

typedef struct heap_item {
    uint32_t key, state;
} heap_item;

/* An edge as seen from a state it leads to, or from the start of the rule it calls. */
typedef struct back_edge {
    uint32_t from;
    uint32_t other; /* the state that must also be known, or NONE */
    uint8_t cost;
} back_edge;

typedef struct finishing {
    sat_builder *builder;
    sat_memory *memory;
    sat_grammar *grammar;
    uint32_t *alias;
    uint32_t *back_first; /* (state_count + 1) */
    back_edge *back;
    heap_item *heap;
    size_t heap_count;
} finishing;

static bool settle_edges(finishing *self) {
    sat_builder *builder = self->builder;
    sat_grammar *grammar = self->grammar;
    size_t count = builder->state_count;
    grammar->states = sat_calloc(self->memory, count + 1, sizeof *grammar->states);
    grammar->edges = sat_calloc(self->memory, builder->edge_count + 1, sizeof *grammar->edges);
    grammar->rules = sat_calloc(self->memory, builder->rule_count + 1, sizeof *grammar->rules);
    if (!grammar->states || !grammar->edges || !grammar->rules)
        return false;
    grammar->state_count = count;
    grammar->edge_count = builder->edge_count;
    grammar->rule_count = builder->rule_count;
    for (size_t i = 0; i < builder->edge_count; i++)
        grammar->states[builder->edges[i].from + 1].first++;
    for (size_t i = 0; i < count; i++) {
        grammar->states[i + 1].first += grammar->states[i].first;
        grammar->states[i].free = builder->free[i] & SAT_FREE;
        grammar->states[i].even = builder->free[i] & SAT_EVEN;
        grammar->states[i].within = builder->free[i] & SAT_WITHIN;
        grammar->states[i].close = SAT_GRAMMAR_FAR;
    }
    uint32_t *next = sat_alloc_array(self->memory, count + 1, sizeof *next);
    if (!next)
        return false;
    for (size_t i = 0; i < count; i++)
        next[i] = grammar->states[i].first;
    for (size_t i = 0; i < builder->edge_count; i++)
        grammar->edges[next[builder->edges[i].from]++] = builder->edges[i].edge;
    sat_free(self->memory, next);
    for (size_t i = 0; i < builder->rule_count; i++) {
        grammar->rules[i].start = builder->rules[i].start;
        grammar->states[builder->rules[i].end].final = true;
    }
    return true;
}

/* The one state that a state without a choice leads to. */
static uint32_t onward(const sat_grammar *grammar, uint32_t state) {
    const sat_state *at = &grammar->states[state];
    return !at->final && at[1].first - at->first == 1 &&
                   grammar->edges[at->first].kind == SAT_EDGE_EMPTY
               ? grammar->edges[at->first].to
               : NONE;
}

static bool skip_passages(finishing *self) {
    sat_grammar *grammar = self->grammar;
    self->alias = sat_alloc_array(self->memory, grammar->state_count + 1, sizeof *self->alias);
    if (!self->alias)
        return false;
    for (size_t i = 0; i < grammar->state_count; i++)
        self->alias[i] = NONE;
    for (size_t i = 0; i < grammar->state_count; i++) {
        if (self->alias[i] != NONE)
            continue;
        uint32_t at = (uint32_t)i, to, end;
        for (;; at = to) {
            self->alias[at] = PENDING;
            to = onward(grammar, at);
            if (to == NONE || self->alias[to] != NONE) {
                end = to == NONE ? at : self->alias[to] == PENDING ? to : self->alias[to];
                break; /* a ring of passages leads nowhere: any of its states will do */
            }
        }
        for (at = (uint32_t)i; self->alias[at] == PENDING; at = to) {
            self->alias[at] = end;
            to = onward(grammar, at);
            if (to == NONE)
                break;
        }
    }
    for (size_t i = 0; i < grammar->edge_count; i++)
        grammar->edges[i].to = self->alias[grammar->edges[i].to];
    for (size_t i = 0; i < grammar->rule_count; i++)
        grammar->rules[i].start = self->alias[grammar->rules[i].start];
    for (size_t i = 0; i < grammar->state_count; i++) {
        sat_state *state = &grammar->states[i];
        state->apart = true;
        for (uint32_t e = state->first; e < state[1].first; e++) {
            const sat_edge *edge = &grammar->edges[e];
            bool reads = edge->kind == SAT_EDGE_BYTES;
            bool special = edge->high < 0x20 ||
                           (edge->low == edge->high && (edge->low == '"' || edge->low == '\\'));
            state->reads |= reads;
            state->apart &= !reads || special;
        }
    }
    return true;
}

/* ------------------------------------------------------------------ shortest ways */

static void count_back(finishing *self, bool place) {
    sat_grammar *grammar = self->grammar;
    for (size_t i = 0; i < grammar->state_count; i++)
        for (uint32_t e = grammar->states[i].first; e < grammar->states[i + 1].first; e++) {
            const sat_edge *edge = &grammar->edges[e];
            bool call = edge->kind == SAT_EDGE_CALL;
            uint32_t start = call ? grammar->rules[edge->rule].start : NONE;
            if (!place) {
                self->back_first[edge->to + 1]++;
                if (call)
                    self->back_first[start + 1]++;
                continue;
            }
            self->back[self->back_first[edge->to]++] =
                (back_edge){(uint32_t)i, start, edge->kind == SAT_EDGE_BYTES};
            if (call)
                self->back[self->back_first[start]++] = (back_edge){(uint32_t)i, edge->to, 0};
        }
}

static void heap_push(finishing *self, uint32_t key, uint32_t state) {
    size_t at = self->heap_count++;
    while (at && self->heap[(at - 1) / 2].key > key) {
        self->heap[at] = self->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    self->heap[at] = (heap_item){key, state};
}

static heap_item heap_pop(finishing *self) {
    heap_item top = self->heap[0], last = self->heap[--self->heap_count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < self->heap_count; at = child) {
        if (child + 1 < self->heap_count && self->heap[child + 1].key < self->heap[child].key)
            child++;
        if (self->heap[child].key >= last.key)
            break;
        self->heap[at] = self->heap[child];
    }
    self->heap[at] = last;
    return top;
}

static bool find_shortest(finishing *self) {
    sat_grammar *grammar = self->grammar;
    size_t count = grammar->state_count;
    self->back_first = sat_calloc(self->memory, count + 2, sizeof *self->back_first);
    self->back = sat_alloc_array(self->memory, 2 * grammar->edge_count + 1, sizeof *self->back);
    self->heap =
        sat_alloc_array(self->memory, 2 * grammar->edge_count + count + 1, sizeof *self->heap);
    if (!self->back_first || !self->back || !self->heap)
        return false;
    count_back(self, false);
    for (size_t i = 0; i < count; i++)
        self->back_first[i + 1] += self->back_first[i];
    count_back(self, true); /* back_first[i] is now where state i's edges end */
    for (size_t i = 0; i < count; i++)
        if (grammar->states[i].final)
            heap_push(self, 0, (uint32_t)i);
    while (self->heap_count) {
        heap_item item = heap_pop(self);
        if (grammar->states[item.state].close != SAT_GRAMMAR_FAR || item.key >= SAT_GRAMMAR_FAR)
            continue;
        grammar->states[item.state].close = item.key;
        uint32_t first = item.state ? self->back_first[item.state - 1] : 0;
        for (uint32_t i = first; i < self->back_first[item.state]; i++) {
            const back_edge *edge = &self->back[i];
            uint32_t other = edge->other == NONE ? 0 : grammar->states[edge->other].close;
            if (other != SAT_GRAMMAR_FAR && grammar->states[edge->from].close == SAT_GRAMMAR_FAR)
                heap_push(self, item.key + other + edge->cost, edge->from);
        }
    }
    return true;
}

/* ------------------------------------------------------------------ left recursion */

typedef struct visit {
    uint32_t state, edge;
    bool onward; /* a call that may read nothing: its way behind is to be looked at too */
} visit;

/* Tarjan's strongly connected components over what can be reached without reading: a call inside
 * one comes back to itself. */
static bool find_left_recursion(finishing *self, uint32_t *culprit) {
    sat_grammar *grammar = self->grammar;
    size_t count = grammar->state_count;
    uint32_t *index = sat_calloc(self->memory, count + 1, sizeof *index); /* 0: not seen */
    uint32_t *low = sat_calloc(self->memory, count + 1, sizeof *low);
    uint32_t *component = sat_calloc(self->memory, count + 1, sizeof *component);
    uint32_t *open = sat_alloc_array(self->memory, count + 1, sizeof *open);
    visit *path = sat_alloc_array(self->memory, count + 1, sizeof *path);
    bool done = index && low && component && open && path;
    size_t open_count = 0, depth = 0;
    uint32_t clock = 0, components = 0;
    for (size_t root = 0; root < count && done; root++) {
        if (index[root])
            continue;
        path[depth++] = (visit){(uint32_t)root, grammar->states[root].first, false};
        index[root] = low[root] = ++clock;
        open[open_count++] = (uint32_t)root;
        while (depth) {
            visit *at = &path[depth - 1];
            if (at->edge == grammar->states[at->state + 1].first) {
                uint32_t state = at->state;
                depth--;
                if (depth && low[state] < low[path[depth - 1].state])
                    low[path[depth - 1].state] = low[state];
                if (low[state] == index[state]) {
                    components++;
                    do
                        component[open[--open_count]] = components;
                    while (open[open_count] != state);
                }
                continue;
            }
            const sat_edge *edge = &grammar->edges[at->edge];
            uint32_t to = edge->to;
            bool call = edge->kind == SAT_EDGE_CALL;
            if (call && !at->onward) {
                to = grammar->rules[edge->rule].start;
                at->onward = grammar->states[to].close == 0;
                at->edge += !at->onward;
            } else {
                at->onward = false;
                at->edge++;
            }
            if (edge->kind == SAT_EDGE_BYTES)
                continue;
            if (!index[to]) {
                path[depth++] = (visit){to, grammar->states[to].first, false};
                index[to] = low[to] = ++clock;
                open[open_count++] = to;
            } else if (!component[to] && index[to] < low[at->state]) {
                low[at->state] = index[to];
            }
        }
    }
    *culprit = NONE;
    for (size_t i = 0; i < count && done; i++)
        for (uint32_t e = grammar->states[i].first; e < grammar->states[i + 1].first; e++)
            if (grammar->edges[e].kind == SAT_EDGE_CALL &&
                component[grammar->rules[grammar->edges[e].rule].start] == component[i])
                *culprit = grammar->edges[e].rule;
    sat_free(self->memory, index);
    sat_free(self->memory, low);
    sat_free(self->memory, component);
    sat_free(self->memory, open);
    sat_free(self->memory, path);
    return done;
}

/* ------------------------------------------------------------------ the whole */

static void find_classes(sat_grammar *grammar) {
    bool cut[257] = {true};
    for (size_t i = 0; i < grammar->edge_count; i++)
        if (grammar->edges[i].kind == SAT_EDGE_BYTES)
            cut[grammar->edges[i].low] = cut[grammar->edges[i].high + 1] = true;
    for (int byte = 0; byte < 256; byte++) {
        if (cut[byte])
            grammar->smallest[grammar->class_count++] = (uint8_t)byte;
        grammar->classes[byte] = (uint8_t)(grammar->class_count - 1);
    }
}

static bool finish(finishing *self, const char *what) {
    sat_builder *builder = self->builder;
    uint32_t culprit;
    if (!settle_edges(self) || !skip_passages(self) || !find_shortest(self) ||
        !find_left_recursion(self, &culprit)) {
        builder->status =
            sat_memory_fail(self->memory, builder->edge_count * sizeof(back_edge), builder->error);
        return false;
    }
    const sat_draft_rule *rule = culprit == NONE ? NULL : &builder->rules[culprit];
    if (rule && rule->name)
        sat_builder_fail(builder, SATCHEL_UNSUPPORTED,
                         "%s: rule \"%.*s\" comes back to itself before it reads anything (left "
                         "recursion)",
                         what, (int)(rule->name_length < 80 ? rule->name_length : 80), rule->name);
    else if (rule)
        sat_builder_fail(builder, SATCHEL_UNSUPPORTED,
                         "%s: a part refers back to itself with nothing between", what);
    else if (self->grammar->states[self->grammar->rules[0].start].close >= SAT_GRAMMAR_FAR)
        sat_builder_fail(builder, SATCHEL_DAMAGED, "%s: no text can satisfy it", what);
    find_classes(self->grammar);
    return !builder->status;
}

satchel_status sat_builder_finish(sat_builder *builder, sat_grammar **out, const char *what) {
    sat_memory *memory = &builder->context->memory;
    *out = NULL;
    if (builder->status)
        return builder->status;
    finishing self = {.builder = builder, .memory = memory};
    self.grammar = sat_calloc(memory, 1, sizeof *self.grammar);
    if (!self.grammar)
        return sat_memory_fail(memory, sizeof *self.grammar, builder->error);
    self.grammar->context = builder->context;
    if (finish(&self, what)) {
        *out = self.grammar;
        self.grammar = NULL;
    }
    sat_free(memory, self.alias);
    sat_free(memory, self.back_first);
    sat_free(memory, self.back);
    sat_free(memory, self.heap);
    sat_grammar_close(&self.grammar);
    return builder->status;
}

void sat_grammar_close(sat_grammar **slot) {
    sat_grammar *grammar = *slot;
    *slot = NULL;
    if (!grammar)
        return;
    sat_memory *memory = &grammar->context->memory;
    sat_free(memory, grammar->states);
    sat_free(memory, grammar->edges);
    sat_free(memory, grammar->rules);
    sat_free(memory, grammar);
}

size_t sat_grammar_shortest(const sat_grammar *grammar) {
    return grammar->states[grammar->rules[0].start].close;
}
