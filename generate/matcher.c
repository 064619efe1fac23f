/* Matching: what is open and when it must close, masks kept, taking a token. */
#include "generate/matcher_parts.h"

#include <string.h>

/* ------------------------------------------------------------------ the closing text */

/* The lengths of the tokens that the text begins with, shortest first. */
static size_t beginnings(const sat_lexicon *lexicon, const uint8_t *text, size_t length,
                         uint16_t *lengths) {
    const sat_lexicon_trie *trie = &lexicon->every;
    size_t count = 0;
    uint32_t at = length ? lexicon->roots[text[0]] : 0;
    for (size_t depth = 1; at; depth++) {
        const sat_lexicon_node *node = &trie->nodes[--at];
        if (node->first < node[1].first)
            lengths[count++] = (uint16_t)depth;
        if (depth == length)
            break;
        uint32_t child = node->child, end = child + node->children;
        while (child < end && trie->bytes[child] != text[depth])
            child++;
        at = child < end ? child + 1 : 0;
    }
    return count;
}

typedef struct closing {
    uint8_t *text;
    uint32_t *places;
    uint32_t *tokens; /* (length + 1) */
} closing;

/* The byte of a shortest way. */
static bool closing_byte(sat_matcher *self, uint32_t place, uint8_t *byte, uint32_t *next) {
    const sat_grammar *grammar = self->grammar;
    for (size_t class = 0; class < grammar->class_count; class ++) {
        *byte = grammar->smallest[class];
        *next = sat_matcher_step(self, place, *byte);
        if (self->status)
            return false;
        if (*next != SAT_PLACE_DEAD && self->places[*next].close + 1 == self->places[place].close)
            return true;
    }
    self->status = sat_fail(self->error, SATCHEL_INTERNAL, "a place without a way to an end");
    return false;
}

static bool spell(sat_matcher *self, uint32_t place, closing *out, size_t length) {
    size_t new = length; /* from here on the places have been counted before */
    for (size_t i = 0; i < length; i++) {
        out->places[i] = place;
        if (self->places[place].tokens && i < new)
            new = i;
        if (!closing_byte(self, place, &out->text[i], &place))
            return false;
    }
    out->places[length] = place;
    out->tokens[length] = 0;
    for (size_t i = new; i < length; i++)
        out->tokens[i] = self->places[out->places[i]].tokens - 1;
    for (size_t i = new; i-- > 0;) {
        uint16_t lengths[SAT_LEXICON_BYTES];
        size_t count = beginnings(self->lexicon, out->text + i, length - i, lengths);
        out->tokens[i] = SAT_GRAMMAR_FAR;
        for (size_t k = 0; k < count; k++)
            if (out->tokens[i + lengths[k]] + 1 < out->tokens[i])
                out->tokens[i] = out->tokens[i + lengths[k]] + 1;
        self->places[out->places[i]].tokens = out->tokens[i] + 1;
    }
    self->places[place].tokens = 1;
    return true;
}

uint32_t sat_matcher_tokens(sat_matcher *self, uint32_t place) {
    if (self->places[place].tokens)
        return self->places[place].tokens - 1;
    size_t length = self->places[place].close;
    closing out = {.text = sat_alloc(self->memory, length + 1),
                   .places = sat_alloc_array(self->memory, length + 1, sizeof *out.places),
                   .tokens = sat_alloc_array(self->memory, length + 1, sizeof *out.tokens)};
    bool done = out.text && out.places && out.tokens;
    if (!done && !self->status)
        self->status = sat_memory_fail(self->memory, length, self->error);
    done = done && spell(self, place, &out, length);
    sat_free(self->memory, out.text);
    sat_free(self->memory, out.places);
    sat_free(self->memory, out.tokens);
    return done ? self->places[place].tokens - 1 : SAT_GRAMMAR_FAR;
}

bool sat_matcher_in_time(sat_matcher *self, uint32_t place, size_t left) {
    size_t close = self->places[place].close;
    if (self->single && close <= left)
        return true;
    /* No token spells more than `longest` bytes: most that cannot be in time are seen here. */
    if (close / self->lexicon->longest > left)
        return false;
    return sat_matcher_tokens(self, place) <= left;
}

/* ------------------------------------------------------------------ masks */

static bool is_empty(const sat_matcher *self, const uint64_t *bits) {
    for (size_t i = 0; i < self->lexicon->words; i++)
        if (bits[i])
            return false;
    return true;
}

/* A slot for the current place: a new one, or that asked for longest ago. */
static sat_mask *new_slot(sat_matcher *self) {
    sat_mask *slot = &self->masks[0];
    if (self->mask_count < SAT_MASKS_KEPT) {
        slot = &self->masks[self->mask_count];
        slot->bits = sat_alloc_array(self->memory, self->lexicon->words, sizeof *slot->bits);
        if (slot->bits) {
            slot->place = 0;
            self->mask_count++;
            return slot;
        }
        slot = &self->masks[0];
        if (!self->mask_count) {
            self->status = sat_memory_fail(self->memory, self->lexicon->words * 8, self->error);
            return NULL;
        }
    }
    for (size_t i = 1; i < self->mask_count; i++)
        if (self->masks[i].used < slot->used)
            slot = &self->masks[i];
    if (slot->place)
        self->places[slot->place].mask = 0;
    slot->place = 0;
    return slot;
}

static sat_mask *plain_mask(sat_matcher *self) {
    uint32_t known = self->places[self->place].mask;
    sat_mask *slot = known ? &self->masks[known - 1] : new_slot(self);
    if (!slot)
        return NULL;
    slot->used = ++self->clock;
    if (known)
        return slot;
    if (!sat_matcher_fill(self, NULL, slot->bits, &slot->furthest))
        return NULL;
    slot->empty = is_empty(self, slot->bits);
    slot->place = self->place;
    self->places[self->place].mask = (uint32_t)(slot - self->masks) + 1;
    return slot;
}

static bool finished(const sat_matcher *self) {
    return self->ended || !self->places[self->place].count ||
           (self->limited && !self->left && self->places[self->place].may_end);
}

/* What a token must meet now, beyond the grammar. */
static sat_condition condition_now(const sat_matcher *self) {
    const sat_place *place = &self->places[self->place];
    return (sat_condition){.timed = self->limited,
                           .left = self->limited && self->left ? self->left - 1 : 0,
                           .closer = place->depth > SAT_GRAMMAR_DEPTH,
                           .close = place->close};
}

satchel_status sat_matcher_mask(sat_matcher *self, const uint64_t **mask, satchel_error *error) {
    self->error = error;
    self->status = SATCHEL_OK;
    *mask = NULL;
    if (finished(self)) {
        *mask = self->lexicon->end_mask;
        return SATCHEL_OK;
    }
    if (!sat_matcher_tidy(self))
        return self->status;
    sat_condition wanted = condition_now(self);
    bool empty;
    /* Where even the shortest way takes all that is left, the mask without conditions is no
     * help. */
    bool tight = wanted.closer || (wanted.timed && self->places[self->place].close > wanted.left);
    sat_mask *plain = tight ? NULL : plain_mask(self);
    if (self->status)
        return self->status;
    if (plain && (!wanted.timed || (self->single && plain->furthest <= wanted.left))) {
        *mask = plain->bits;
        empty = plain->empty;
    } else {
        uint32_t furthest;
        if (!sat_matcher_fill(self, &wanted, self->scratch, &furthest))
            return self->status;
        *mask = self->scratch;
        empty = is_empty(self, self->scratch);
    }
    if (empty && !self->places[self->place].may_end) {
        *mask = NULL;
        return sat_fail(error, SATCHEL_UNSUPPORTED,
                        "no token of the vocabulary goes on as the grammar asks: it lacks tokens "
                        "of single bytes");
    }
    return SATCHEL_OK;
}

satchel_status sat_matcher_accept(sat_matcher *self, int32_t token, satchel_error *error) {
    const sat_lexicon *lexicon = self->lexicon;
    self->error = error;
    self->status = SATCHEL_OK;
    if (token < 0 || (size_t)token >= lexicon->size)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "token %d: the vocabulary has %zu", token,
                        lexicon->size);
    if (lexicon->ends[token] && self->places[self->place].may_end) {
        self->ended = true;
        return SATCHEL_OK;
    }
    if (!sat_matcher_tidy(self))
        return self->status;
    uint32_t from = lexicon->at[token], to = lexicon->at[token + 1], place = self->place;
    if (from == to || finished(self))
        place = SAT_PLACE_DEAD;
    for (uint32_t i = from; i < to && place != SAT_PLACE_DEAD; i++)
        place = sat_matcher_step(self, place, (uint8_t)lexicon->bytes[i]);
    sat_condition wanted = condition_now(self);
    bool allowed =
        !self->status && place != SAT_PLACE_DEAD && sat_matcher_meets(self, &wanted, place);
    if (self->status)
        return self->status;
    if (!allowed)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "token %d is not among those that may come here: ask for the mask", token);
    self->place = place;
    self->left -= self->limited;
    return SATCHEL_OK;
}

bool sat_matcher_may_end(const sat_matcher *self) {
    return self->places[self->place].may_end;
}

bool sat_matcher_finished(const sat_matcher *self) {
    return finished(self);
}

size_t sat_matcher_shortest(const sat_matcher *self) {
    return self->places[self->place].close;
}

size_t sat_matcher_vocabulary(const sat_matcher *self) {
    return self->lexicon->size;
}

/* ------------------------------------------------------------------ open and close */

/* Back to the beginning, with what is known of the grammar's places. */
static bool start(sat_matcher *self, size_t budget) {
    self->ended = false;
    self->limited = false;
    self->place = self->first;
    if (!budget)
        return true;
    self->limited = true;
    self->left = budget;
    uint32_t need = sat_matcher_tokens(self, self->place);
    if (self->status)
        return false;
    if (need >= SAT_GRAMMAR_FAR)
        self->status = sat_fail(self->error, SATCHEL_UNSUPPORTED,
                                "the vocabulary cannot spell the shortest answer that the grammar "
                                "takes: it lacks tokens of single bytes");
    else if (need > budget)
        self->status = sat_fail(self->error, SATCHEL_LIMIT,
                                "the shortest answer that the grammar takes has %u bytes, %u "
                                "tokens: %zu are allowed",
                                (unsigned)self->places[self->place].close, (unsigned)need, budget);
    return !self->status;
}

satchel_status sat_matcher_restart(sat_matcher *self, size_t budget, satchel_error *error) {
    self->error = error;
    self->status = SATCHEL_OK;
    if (self->forgotten && !sat_matcher_begin(self))
        return self->status;
    start(self, budget);
    return self->status;
}

/* Closing texts are made of the smallest bytes of classes: is each of those a token? */
static bool has_singles(const sat_grammar *grammar, const sat_lexicon *lexicon) {
    bool token[256] = {false}, used[256] = {false};
    for (size_t byte = 0; byte < 256; byte++) {
        const sat_lexicon_node *node = &lexicon->every.nodes[lexicon->roots[byte]]; /* the next */
        token[byte] = lexicon->roots[byte] && node[-1].first < node->first;
    }
    for (size_t i = 0; i < grammar->edge_count; i++)
        for (int byte = grammar->edges[i].low; byte <= grammar->edges[i].high; byte++)
            used[grammar->classes[byte]] |= grammar->edges[i].kind == SAT_EDGE_BYTES;
    for (size_t class = 0; class < grammar->class_count; class ++)
        if (used[class] && !token[grammar->smallest[class]])
            return false;
    return true;
}

static bool open_with_budget(sat_matcher *self, size_t budget) {
    const sat_lexicon *lexicon = self->lexicon;
    self->scratch = sat_alloc_array(self->memory, lexicon->words, sizeof *self->scratch);
    self->path = sat_alloc_array(self->memory, lexicon->longest + 2, sizeof *self->path);
    if (!self->scratch || !self->path) {
        self->status = sat_memory_fail(self->memory, lexicon->words * 8, self->error);
        return false;
    }
    if (!lexicon->longest) {
        self->status =
            sat_fail(self->error, SATCHEL_UNSUPPORTED, "no token of the vocabulary has bytes");
        return false;
    }
    self->single = has_singles(self->grammar, lexicon);
    sat_matcher_alphabets(self);
    if (!sat_matcher_begin(self))
        return false;
    return start(self, budget);
}

satchel_status sat_matcher_open(sat_matcher **out, satchel_context *context,
                                const sat_grammar *grammar, const sat_lexicon *lexicon,
                                size_t budget, satchel_error *error) {
    *out = NULL;
    sat_matcher *self = sat_calloc(&context->memory, 1, sizeof *self);
    if (!self)
        return sat_memory_fail(&context->memory, sizeof *self, error);
    self->context = context;
    self->memory = &context->memory;
    self->grammar = grammar;
    self->lexicon = lexicon;
    self->error = error;
    satchel_status status = SATCHEL_OK;
    if (open_with_budget(self, budget)) {
        *out = self;
        return SATCHEL_OK;
    }
    status = self->status;
    sat_matcher_close(&self);
    return status;
}

void sat_matcher_close(sat_matcher **slot) {
    sat_matcher *self = *slot;
    *slot = NULL;
    if (!self)
        return;
    sat_places_free(self);
    for (size_t i = 0; i < self->mask_count; i++)
        sat_free(self->memory, self->masks[i].bits);
    sat_free(self->memory, self->scratch);
    sat_free(self->memory, self->path);
    sat_free(self->memory, self);
}
