/*
 * How masks are made. In general by a walk over the trie of all tokens, each node of which is one
 * look-up in the table between places. Most of the time the grammar stays within one set of
 * characters for a while, each of which leads to the same place as the others: then the places
 * behind one, two, ... of them are a chain, the tokens inside the set need no look at all, and of
 * the others only those that leave the set with a byte that the chain's place takes. Where plain
 * text may come but leads to different places, its tokens are taken as a whole, too, and the rest
 * is walked.
 */
#include "generate/matcher_parts.h"

#include <string.h>

static void set_bit(uint64_t *bits, uint32_t token) {
    bits[token / 64] |= UINT64_C(1) << (token % 64);
}

/* A mask that is being made. */
typedef struct making {
    sat_matcher *matcher;
    const sat_condition *wanted; /* may be NULL */
    uint64_t *bits;
    uint32_t furthest;
    bool keeping; /* tokens are added to matcher->walk_tokens, up to `room` of them */
    size_t room;
} making;

static void reaches(making *self, uint32_t close) {
    if (close > self->furthest)
        self->furthest = close;
}

bool sat_matcher_meets(sat_matcher *self, const sat_condition *wanted, uint32_t place) {
    if (wanted->closer && self->places[place].close >= wanted->close)
        return false;
    return !wanted->timed || sat_matcher_in_time(self, place, wanted->left);
}

/* ------------------------------------------------------------------ walking */

/* A node's tokens, which lead to a place. */
static inline void take_tokens(making *self, const sat_lexicon_trie *trie, uint32_t node,
                               uint32_t place) {
    uint32_t first = trie->nodes[node].first, end = trie->nodes[node + 1].first;
    if (first == end || (self->wanted && !sat_matcher_meets(self->matcher, self->wanted, place)))
        return;
    reaches(self, self->matcher->places[place].close);
    sat_matcher *matcher = self->matcher;
    self->keeping = self->keeping && self->room - matcher->walk_token_count >= end - first;
    if (self->keeping)
        memcpy(matcher->walk_tokens + matcher->walk_token_count, trie->tokens + first,
               (end - first) * sizeof *trie->tokens);
    matcher->walk_token_count += self->keeping ? end - first : 0;
    do
        set_bit(self->bits, trie->tokens[first]);
    while (++first < end);
}

/* From a place, the nodes from `at` to `end`, which are siblings, and all that is below them. */
static bool walk(making *self, const sat_lexicon_trie *trie, uint32_t at, uint32_t end,
                 uint32_t place) {
    sat_matcher *matcher = self->matcher;
    const uint8_t *class_of = matcher->grammar->classes, *bytes = trie->bytes;
    const sat_lexicon_node *nodes = trie->nodes;
    size_t classes = matcher->grammar->class_count, depth = 0;
    sat_step *path = matcher->path;
    const uint32_t *row = matcher->table + place * classes;
    for (;;) {
        if (at == end) { /* back to where siblings are left */
            if (!depth)
                return !matcher->status;
            at = path[--depth].at;
            end = path[depth].end;
            place = path[depth].place;
            row = matcher->table + place * classes;
        }
        uint32_t node = at++, to = row[class_of[bytes[node]]];
        if (to == SAT_PLACE_DEAD)
            continue;
        if (to == SAT_PLACE_UNKNOWN) {
            to = sat_matcher_follow(matcher, place, class_of[bytes[node]]);
            if (matcher->status)
                return false;
            row = matcher->table + place * classes; /* the table may have moved */
            if (to == SAT_PLACE_DEAD)
                continue;
        }
        take_tokens(self, trie, node, to);
        row = matcher->table + place * classes; /* it may have moved there, too */
        if (!nodes[node].children)
            continue;
        if (at < end)
            path[depth++] = (sat_step){at, end, place};
        at = nodes[node].child;
        end = at + nodes[node].children;
        place = to;
        row = matcher->table + place * classes;
    }
}

/* ------------------------------------------------------------------ walks kept */

/* Makes room for one more; what was kept may have to go. */
static void begin_keeping(making *self) {
    sat_matcher *matcher = self->matcher;
    if (matcher->walk_count == SAT_WALKS_KEPT ||
        matcher->walk_token_count + SAT_WALK_ROOM > SAT_WALK_TOKENS)
        matcher->walk_count = matcher->walk_token_count = 0;
    self->room = matcher->walk_token_count + SAT_WALK_ROOM;
    self->keeping =
        sat_grow(matcher->memory, (void **)&matcher->walk_tokens, &matcher->walk_token_capacity,
                 self->room, sizeof *matcher->walk_tokens); /* without room it is just not kept */
}

/* A node, which leads from `from` to `to`, and all that is below it. */
static bool walk_kept(making *self, const sat_lexicon_trie *trie, uint32_t node, uint32_t from,
                      uint32_t to) {
    sat_matcher *matcher = self->matcher;
    if (self->wanted || !trie->nodes[node].children)
        return walk(self, trie, node, node + 1, from);
    for (size_t i = 0; i < matcher->walk_count; i++) {
        const sat_walk *known = &matcher->walks[i];
        if (known->trie != trie || known->node != node || known->place != to)
            continue;
        for (uint32_t k = 0; k < known->count; k++)
            set_bit(self->bits, matcher->walk_tokens[known->first + k]);
        reaches(self, known->furthest);
        return true;
    }
    uint32_t before = self->furthest;
    begin_keeping(self);
    self->furthest = 0;
    size_t first = matcher->walk_token_count;
    bool done = walk(self, trie, node, node + 1, from);
    size_t count = matcher->walk_token_count - first;
    if (done && self->keeping && count >= SAT_WALK_LEAST)
        matcher->walks[matcher->walk_count++] =
            (sat_walk){trie, node, to, (uint32_t)first, (uint32_t)count, self->furthest};
    else
        matcher->walk_token_count = first;
    self->keeping = false;
    reaches(self, before);
    return done;
}

/* ------------------------------------------------------------------ chains */

/* Places behind 0, 1, ... count characters of an alphabet, whichever they are. */
typedef struct chain {
    const sat_alphabet *alphabet;
    uint32_t places[SAT_LEXICON_CHARACTERS + 1];
    uint32_t count;
    bool plain;
} chain;

/* Does every character of plain text lead to one and the same place? */
static bool is_even(const sat_matcher *self, uint32_t place) {
    const sat_place *at = &self->places[place];
    bool even = false;
    for (uint32_t i = 0; i < at->count; i++) {
        const sat_state *state = &self->grammar->states[self->threads[at->first + i].state];
        if (!state->even && !state->within && !state->apart)
            return false;
        even |= state->even;
    }
    return even;
}

/* The place behind every byte of the alphabet; SAT_PLACE_DEAD if there is no such. */
static uint32_t common_place(sat_matcher *self, size_t alphabet, uint32_t place) {
    const uint8_t *classes = self->alphabet_classes[alphabet];
    uint32_t common = SAT_PLACE_DEAD;
    for (size_t i = 0; i < self->alphabet_class_counts[alphabet]; i++) {
        uint32_t to = sat_matcher_step(self, place, self->grammar->smallest[classes[i]]);
        if (to == SAT_PLACE_DEAD || (i && to != common))
            return SAT_PLACE_DEAD;
        common = to;
    }
    return common;
}

static uint32_t next_place(sat_matcher *self, const chain *made, size_t alphabet, uint32_t place) {
    if (made->plain)
        return is_even(self, place) ? sat_matcher_step(self, place, 'a') : SAT_PLACE_DEAD;
    return common_place(self, alphabet, place);
}

/* No token of the alphabet goes on from here. */
static bool is_outside(sat_matcher *self, const chain *made, size_t alphabet, uint32_t place) {
    const uint8_t *classes = self->alphabet_classes[alphabet];
    for (size_t i = 0; i < self->alphabet_class_counts[alphabet]; i++)
        if (sat_matcher_step(self, place, self->grammar->smallest[classes[i]]) != SAT_PLACE_DEAD)
            return false;
    for (int byte = 0x80; made->plain && byte < 0x100; byte++)
        if (sat_matcher_step(self, place, (uint8_t)byte) != SAT_PLACE_DEAD)
            return false;
    return true;
}

static bool make_chain(sat_matcher *self, size_t alphabet, uint32_t place, chain *out) {
    out->alphabet = &self->lexicon->alphabets[alphabet];
    out->plain = alphabet == 0;
    out->places[0] = place;
    for (out->count = 0; out->count < SAT_LEXICON_CHARACTERS; out->count++) {
        uint32_t from = out->places[out->count];
        bool ring = out->count && from == out->places[out->count - 1];
        uint32_t to = ring ? from : next_place(self, out, alphabet, from);
        if (to == SAT_PLACE_DEAD)
            break;
        out->places[out->count + 1] = to;
    }
    return out->count && !self->status &&
           (out->count == SAT_LEXICON_CHARACTERS ||
            is_outside(self, out, alphabet, out->places[out->count]));
}

/* Of several alphabets the one with the most tokens. */
static bool find_chain(sat_matcher *self, uint32_t place, chain *out) {
    for (size_t i = 1; i < self->lexicon->alphabet_count && !self->status; i++)
        if (make_chain(self, i, place, out))
            return true;
    return false;
}

/* Tokens that end within a character lead further from an end than whole characters do: one by
 * one. */
static bool cut_tokens(making *self, const chain *along) {
    sat_matcher *matcher = self->matcher;
    const sat_lexicon *lexicon = matcher->lexicon;
    for (size_t i = 0; i < lexicon->cut_count && !matcher->status; i++) {
        sat_cut_token cut = lexicon->cut_tokens[i];
        if (cut.characters >= along->count)
            continue; /* longer ones are met where the others leave the chain */
        self->bits[cut.token / 64] &= ~(UINT64_C(1) << (cut.token % 64));
        uint32_t place = along->places[cut.characters];
        const char *end = lexicon->bytes + lexicon->at[cut.token + 1];
        for (const char *byte = end - cut.tail; byte < end && place != SAT_PLACE_DEAD; byte++)
            place = sat_matcher_step(matcher, place, (uint8_t)*byte);
        if (place != SAT_PLACE_DEAD && sat_matcher_meets(matcher, self->wanted, place)) {
            set_bit(self->bits, cut.token);
            reaches(self, matcher->places[place].close);
        }
    }
    return !matcher->status;
}

enum { CUT_BYTES = 3 }; /* that a character cut short still needs, at most */

/* Tokens of the alphabet alone. */
static bool take_inside(making *self, const chain *along) {
    sat_matcher *matcher = self->matcher;
    size_t words = matcher->lexicon->words;
    const uint64_t *inside = along->alphabet->inside, *slices = matcher->lexicon->slices;
    bool loose = true; /* cut characters need no look */
    for (uint32_t k = 1, to; k <= along->count; k = to + 1) {
        to = k;
        if (self->wanted) { /* lengths that meet it, one behind the other */
            while (to <= along->count &&
                   sat_matcher_meets(matcher, self->wanted, along->places[to]))
                to++;
            if (to == k) {
                loose = false;
                continue;
            }
            to--;
        } else {
            to = along->count;
        }
        const uint64_t *less = slices + (k - 1) * words, *most = slices + to * words;
        for (size_t i = 0; i < words; i++)
            self->bits[i] |= inside[i] & most[i] & (k > 1 ? ~less[i] : ~UINT64_C(0));
        for (uint32_t i = k; i <= to; i++) {
            uint32_t close = matcher->places[along->places[i]].close;
            reaches(self, close + (along->plain ? CUT_BYTES : 0));
            loose = loose && (!self->wanted || (!self->wanted->closer && matcher->single &&
                                                close + CUT_BYTES <= self->wanted->left));
        }
    }
    if (matcher->status || loose || !along->plain)
        return !matcher->status;
    return cut_tokens(self, along);
}

/* Tokens that leave the alphabet behind some characters of it. */
static bool take_leaving(making *self, const chain *along) {
    sat_matcher *matcher = self->matcher;
    const sat_alphabet *alphabet = along->alphabet;
    for (size_t i = 0; i < alphabet->exit_count; i++) {
        sat_lexicon_exit exit = alphabet->exits[i];
        if (exit.characters > along->count)
            break;
        uint32_t place = along->places[exit.characters];
        uint32_t to = sat_matcher_step(matcher, place, exit.byte);
        if (matcher->status)
            return false;
        const sat_lexicon_trie *trie =
            exit.characters ? &alphabet->leaving : &matcher->lexicon->every;
        if (to != SAT_PLACE_DEAD && !walk_kept(self, trie, exit.node, place, to))
            return false;
    }
    return true;
}

/* ------------------------------------------------------------------ free places */

static bool not_free(const sat_state *state) {
    return !state->free;
}

/* Plain tokens by their number of characters, where all of them meet the condition. Sets *rest: the
 * place of the threads that must walk them. */
static bool slice(making *self, uint32_t place, uint32_t *rest) {
    sat_matcher *matcher = self->matcher;
    const sat_lexicon *lexicon = matcher->lexicon;
    const sat_place *here = &matcher->places[place];
    uint32_t most = 0, far = 0;
    for (uint32_t i = 0; i < here->count; i++) {
        sat_thread thread = matcher->threads[here->first + i];
        const sat_state *state = &matcher->grammar->states[thread.state];
        if (!state->free)
            continue;
        if (state->free > most)
            most = state->free;
        /* The name of an object's member may add a byte. */
        uint32_t close = state->close + matcher->frames[thread.frame].close + CUT_BYTES + 1;
        if (close > far)
            far = close;
    }
    *rest = place;
    if (!most ||
        (self->wanted && (self->wanted->closer || !matcher->single || far > self->wanted->left)))
        return false;
    reaches(self, far);
    size_t n = most == SAT_FREE ? 0 : most < SAT_LEXICON_CHARACTERS ? most : SAT_LEXICON_CHARACTERS;
    const uint64_t *from = lexicon->slices + n * lexicon->words;
    for (size_t i = 0; i < lexicon->words; i++)
        self->bits[i] |= from[i];
    for (size_t i = 0; n == SAT_LEXICON_CHARACTERS && i < lexicon->long_count; i++)
        if (lexicon->long_tokens[i].characters <= most)
            set_bit(self->bits, lexicon->long_tokens[i].token);
    *rest = n ? sat_matcher_select(matcher, place, not_free) : SAT_PLACE_DEAD;
    return true;
}

bool sat_matcher_fill(sat_matcher *self, const sat_condition *wanted, uint64_t *bits,
                      uint32_t *furthest) {
    const sat_lexicon *lexicon = self->lexicon;
    making mask = {.matcher = self, .wanted = wanted, .bits = bits};
    uint32_t place = self->place, rest;
    chain along;
    memset(bits, 0, lexicon->words * sizeof *bits);
    bool done;
    if (is_even(self, place) && make_chain(self, 0, place, &along)) {
        done = take_inside(&mask, &along) && take_leaving(&mask, &along);
    } else if (slice(&mask, place, &rest)) {
        done = walk(&mask, &lexicon->rest, 0, lexicon->rest.roots, place);
        if (done && rest != SAT_PLACE_DEAD)
            done = walk(&mask, &lexicon->every, 0, lexicon->every.roots, rest);
    } else if (find_chain(self, place, &along)) {
        done = take_inside(&mask, &along) && take_leaving(&mask, &along);
    } else {
        done = walk(&mask, &lexicon->every, 0, lexicon->every.roots, place);
    }
    for (size_t i = 0; self->places[place].may_end && i < lexicon->words; i++)
        bits[i] |= lexicon->end_mask[i];
    *furthest = mask.furthest;
    return done && !self->status;
}

void sat_matcher_alphabets(sat_matcher *self) {
    const sat_lexicon *lexicon = self->lexicon;
    for (size_t i = 0; i < lexicon->alphabet_count; i++) {
        bool seen[256] = {false};
        self->alphabet_class_counts[i] = 0;
        for (size_t byte = 0; byte < 128; byte++) {
            uint8_t class = self->grammar->classes[byte];
            if (!lexicon->alphabets[i].bytes[byte] || seen[class])
                continue;
            seen[class] = true;
            self->alphabet_classes[i][self->alphabet_class_counts[i]++] = class;
        }
    }
}
