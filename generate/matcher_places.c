/* Places: closures over what reads nothing, stacks as shared frames, and the table between
 * places. */
#include "generate/matcher_parts.h"

#include <stdlib.h>
#include <string.h>

static bool failed(sat_matcher *self, size_t size) {
    if (!self->status)
        self->status = sat_memory_fail(self->memory, size, self->error);
    return false;
}

static bool too_many(sat_matcher *self, const char *what) {
    if (!self->status)
        self->status = sat_fail(self->error, SATCHEL_LIMIT,
                                "the grammar can be read in too many ways here (%s): make it less "
                                "ambiguous",
                                what);
    return false;
}

static bool grow(sat_matcher *self, void **items, size_t *capacity, size_t need, size_t size) {
    return need <= *capacity || sat_grow(self->memory, items, capacity, need, size) ||
           failed(self, need * size);
}

static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 32)) * UINT64_C(0x9E3779B97F4A7C15);
    return x ^ (x >> 29);
}

static uint64_t pair(uint32_t a, uint32_t b) {
    return (uint64_t)a << 32 | b;
}

/* ------------------------------------------------------------------ frames */

static bool rehash_frames(sat_matcher *self) {
    size_t size = self->frame_mask ? 2 * (self->frame_mask + 1) : 256;
    uint32_t *slots = sat_calloc(self->memory, size, sizeof *slots);
    if (!slots)
        return failed(self, size * sizeof *slots);
    for (size_t i = 1; i < self->frame_count; i++) {
        size_t at = mix(pair(self->frames[i].state, self->frames[i].below)) & (size - 1);
        while (slots[at])
            at = (at + 1) & (size - 1);
        slots[at] = (uint32_t)i;
    }
    sat_free(self->memory, self->frame_slots);
    self->frame_slots = slots;
    self->frame_mask = size - 1;
    return true;
}

static bool push(sat_matcher *self, uint32_t state, uint32_t below, uint32_t *frame) {
    if (2 * self->frame_count >= self->frame_mask && !rehash_frames(self))
        return false;
    size_t at = mix(pair(state, below)) & self->frame_mask;
    for (; self->frame_slots[at]; at = (at + 1) & self->frame_mask) {
        const sat_frame *known = &self->frames[self->frame_slots[at]];
        if (known->state == state && known->below == below) {
            *frame = self->frame_slots[at];
            return true;
        }
    }
    if (self->frame_count >= SAT_FRAMES_MOST)
        return too_many(self, "stacks");
    if (!grow(self, (void **)&self->frames, &self->frame_capacity, self->frame_count + 1,
              sizeof *self->frames))
        return false;
    const sat_frame *under = &self->frames[below];
    uint32_t close = self->grammar->states[state].close + under->close;
    self->frames[self->frame_count] = (sat_frame){
        state, below, close < SAT_GRAMMAR_FAR ? close : SAT_GRAMMAR_FAR, under->depth + 1};
    *frame = self->frame_slots[at] = (uint32_t)self->frame_count++;
    return true;
}

/* ------------------------------------------------------------------ closure */

static bool clear_seen(sat_matcher *self, size_t size) {
    if (size) {
        sat_free(self->memory, self->seen);
        sat_free(self->memory, self->seen_stamp);
        self->seen = sat_alloc_array(self->memory, size, sizeof *self->seen);
        self->seen_stamp = sat_calloc(self->memory, size, sizeof *self->seen_stamp);
        self->seen_mask = size - 1;
        if (!self->seen || !self->seen_stamp)
            return failed(self, size * sizeof *self->seen);
    }
    if (!++self->stamp) {
        memset(self->seen_stamp, 0, (self->seen_mask + 1) * sizeof *self->seen_stamp);
        self->stamp = 1;
    }
    self->seen_count = 0;
    return true;
}

static bool add_seen(sat_matcher *self, uint64_t key, bool *fresh) {
    if (2 * self->seen_count >= self->seen_mask) { /* larger, with what is in it */
        size_t old = self->seen_mask + 1;
        uint64_t *keys = self->seen;
        uint32_t *stamps = self->seen_stamp, stamp = self->stamp;
        self->seen = NULL;
        self->seen_stamp = NULL;
        bool done = clear_seen(self, 2 * old), ignored;
        for (size_t i = 0; i < old && done; i++)
            done = stamps[i] != stamp || add_seen(self, keys[i], &ignored);
        sat_free(self->memory, keys);
        sat_free(self->memory, stamps);
        if (!done)
            return false;
    }
    size_t at = mix(key) & self->seen_mask;
    for (; self->seen_stamp[at] == self->stamp; at = (at + 1) & self->seen_mask)
        if (self->seen[at] == key) {
            *fresh = false;
            return true;
        }
    self->seen[at] = key;
    self->seen_stamp[at] = self->stamp;
    self->seen_count++;
    *fresh = true;
    return true;
}

static bool to_do(sat_matcher *self, uint32_t state, uint32_t frame) {
    bool fresh;
    if (self->grammar->states[state].close >= SAT_GRAMMAR_FAR ||
        self->frames[frame].close >= SAT_GRAMMAR_FAR)
        return true;
    if (!add_seen(self, pair(state, frame), &fresh))
        return false;
    if (!fresh)
        return true;
    if (self->seen_count > 8 * SAT_PLACE_THREADS)
        return too_many(self, "ways");
    if (!grow(self, (void **)&self->work, &self->work_capacity, self->work_count + 1,
              sizeof *self->work))
        return false;
    self->work[self->work_count++] = (sat_thread){state, frame};
    return true;
}

/* Follows what reads nothing from the threads in `work`; those that read are found. */
static bool close_over(sat_matcher *self, bool *may_end) {
    const sat_grammar *grammar = self->grammar;
    self->found_count = 0;
    while (self->work_count) {
        sat_thread at = self->work[--self->work_count];
        const sat_state *state = &grammar->states[at.state];
        if (state->final) {
            const sat_frame *frame = &self->frames[at.frame];
            if (!at.frame)
                *may_end = true;
            else if (!to_do(self, frame->state, frame->below))
                return false;
            continue;
        }
        if (state->reads) {
            if (self->found_count >= SAT_PLACE_THREADS)
                return too_many(self, "threads");
            if (!grow(self, (void **)&self->found, &self->found_capacity, self->found_count + 1,
                      sizeof *self->found))
                return false;
            self->found[self->found_count++] = at;
        }
        for (uint32_t e = state->first; e < state[1].first; e++) {
            const sat_edge *edge = &grammar->edges[e];
            if (edge->kind == SAT_EDGE_BYTES)
                continue;
            uint32_t to = edge->to, frame = at.frame;
            if (edge->kind == SAT_EDGE_CALL) {
                uint32_t start = grammar->rules[edge->rule].start;
                if (grammar->states[start].close >= SAT_GRAMMAR_FAR ||
                    grammar->states[to].close >= SAT_GRAMMAR_FAR)
                    continue;
                /* A call that ends its rule comes back to the caller's caller: no stack for
                 * lists. */
                if (!grammar->states[to].final && !push(self, to, at.frame, &frame))
                    return false;
                to = start;
            }
            if (!to_do(self, to, frame))
                return false;
        }
    }
    return true;
}

/* ------------------------------------------------------------------ places */

static int by_state(const void *a, const void *b) {
    const sat_thread *x = a, *y = b;
    if (x->state != y->state)
        return x->state < y->state ? -1 : 1;
    return (x->frame > y->frame) - (x->frame < y->frame);
}

static uint64_t hash_found(const sat_thread *threads, size_t count, bool may_end) {
    uint64_t hash = may_end;
    for (size_t i = 0; i < count; i++)
        hash = mix(hash * 31 + pair(threads[i].state, threads[i].frame));
    return hash;
}

static bool rehash_places(sat_matcher *self) {
    size_t size = self->place_mask ? 2 * (self->place_mask + 1) : 256;
    uint32_t *slots = sat_calloc(self->memory, size, sizeof *slots);
    if (!slots)
        return failed(self, size * sizeof *slots);
    for (size_t i = 2; i < self->place_count; i++) {
        const sat_place *place = &self->places[i];
        size_t at =
            hash_found(self->threads + place->first, place->count, place->may_end) & (size - 1);
        while (slots[at])
            at = (at + 1) & (size - 1);
        slots[at] = (uint32_t)i;
    }
    sat_free(self->memory, self->place_slots);
    self->place_slots = slots;
    self->place_mask = size - 1;
    return true;
}

static sat_place measured(const sat_matcher *self, bool may_end) {
    sat_place place = {.first = (uint32_t)self->thread_count,
                       .count = (uint32_t)self->found_count,
                       .close = may_end ? 0 : SAT_GRAMMAR_FAR,
                       .may_end = may_end};
    for (size_t i = 0; i < self->found_count; i++) {
        const sat_frame *frame = &self->frames[self->found[i].frame];
        uint32_t close = self->grammar->states[self->found[i].state].close + frame->close;
        if (close < place.close)
            place.close = close;
        if (frame->depth > place.depth)
            place.depth = frame->depth;
    }
    return place;
}

/* The place of the threads found. */
static bool intern(sat_matcher *self, bool may_end, uint32_t *out) {
    if (!self->found_count && !may_end) {
        *out = SAT_PLACE_DEAD;
        return true;
    }
    if (self->found_count)
        qsort(self->found, self->found_count, sizeof *self->found, by_state);
    if (2 * self->place_count >= self->place_mask && !rehash_places(self))
        return false;
    size_t at = hash_found(self->found, self->found_count, may_end) & self->place_mask;
    for (; self->place_slots[at]; at = (at + 1) & self->place_mask) {
        const sat_place *known = &self->places[self->place_slots[at]];
        if (known->count == self->found_count && known->may_end == may_end &&
            (!known->count || !memcmp(self->threads + known->first, self->found,
                                      known->count * sizeof *self->found))) {
            *out = self->place_slots[at];
            return true;
        }
    }
    size_t classes = self->grammar->class_count, count = self->place_count;
    if (count >= SAT_PLACES_MOST || self->thread_count + self->found_count > SAT_THREADS_MOST)
        return too_many(self, "places");
    if (!grow(self, (void **)&self->places, &self->place_capacity, count + 1,
              sizeof *self->places) ||
        !grow(self, (void **)&self->table, &self->table_capacity, (count + 1) * classes,
              sizeof *self->table) ||
        !grow(self, (void **)&self->threads, &self->thread_capacity,
              self->thread_count + self->found_count, sizeof *self->threads))
        return false;
    self->places[count] = measured(self, may_end);
    if (self->found_count)
        memcpy(self->threads + self->thread_count, self->found,
               self->found_count * sizeof *self->found);
    self->thread_count += self->found_count;
    memset(self->table + count * classes, 0, classes * sizeof *self->table);
    self->place_slots[at] = *out = (uint32_t)count;
    self->place_count++;
    return true;
}

uint32_t sat_matcher_follow(sat_matcher *self, uint32_t place, uint8_t class) {
    const sat_grammar *grammar = self->grammar;
    uint8_t byte = grammar->smallest[class], low = 0, high = 255; /* bytes that lead alike */
    uint32_t next = SAT_PLACE_DEAD;
    bool may_end = false, begun = false;
    if (self->status)
        return SAT_PLACE_DEAD;
    self->work_count = 0;
    for (uint32_t i = 0; i < self->places[place].count; i++) {
        sat_thread thread = self->threads[self->places[place].first + i];
        const sat_state *state = &grammar->states[thread.state];
        for (uint32_t e = state->first; e < state[1].first; e++) {
            const sat_edge *edge = &grammar->edges[e];
            if (edge->kind != SAT_EDGE_BYTES)
                continue;
            if (byte < edge->low) {
                high = edge->low <= high ? (uint8_t)(edge->low - 1) : high;
                continue;
            }
            if (byte > edge->high) {
                low = edge->high >= low ? (uint8_t)(edge->high + 1) : low;
                continue;
            }
            low = edge->low > low ? edge->low : low;
            high = edge->high < high ? edge->high : high;
            if (!begun && !clear_seen(self, 0))
                return SAT_PLACE_DEAD;
            begun = true;
            if (!to_do(self, edge->to, thread.frame))
                return SAT_PLACE_DEAD;
        }
    }
    if (begun && (!close_over(self, &may_end) || !intern(self, may_end, &next)))
        return SAT_PLACE_DEAD;
    uint32_t *row = self->table + (size_t)place * grammar->class_count;
    for (size_t i = grammar->classes[low]; i <= grammar->classes[high]; i++)
        row[i] = next;
    return next;
}

uint32_t sat_matcher_select(sat_matcher *self, uint32_t place, bool (*keep)(const sat_state *)) {
    uint32_t out = SAT_PLACE_DEAD;
    self->found_count = 0;
    for (uint32_t i = 0; i < self->places[place].count; i++) {
        sat_thread thread = self->threads[self->places[place].first + i];
        if (!keep(&self->grammar->states[thread.state]))
            continue;
        if (!grow(self, (void **)&self->found, &self->found_capacity, self->found_count + 1,
                  sizeof *self->found))
            return SAT_PLACE_DEAD;
        self->found[self->found_count++] = thread;
    }
    return intern(self, false, &out) ? out : SAT_PLACE_DEAD;
}

static void forget(sat_matcher *self) {
    self->frame_count = 1;
    self->thread_count = 0;
    self->place_count = 2;
    if (self->frame_slots)
        memset(self->frame_slots, 0, (self->frame_mask + 1) * sizeof *self->frame_slots);
    if (self->place_slots)
        memset(self->place_slots, 0, (self->place_mask + 1) * sizeof *self->place_slots);
    for (size_t i = 0; i < self->mask_count; i++)
        self->masks[i].place = 0;
    self->walk_count = self->walk_token_count = 0;
}

bool sat_matcher_begin(sat_matcher *self) {
    size_t classes = self->grammar->class_count;
    bool may_end = false;
    if (!grow(self, (void **)&self->frames, &self->frame_capacity, 1, sizeof *self->frames) ||
        !grow(self, (void **)&self->places, &self->place_capacity, 2, sizeof *self->places) ||
        !grow(self, (void **)&self->table, &self->table_capacity, 2 * classes,
              sizeof *self->table) ||
        !clear_seen(self, 256))
        return false;
    self->frames[0] = (sat_frame){0};
    memset(self->places, 0, 2 * sizeof *self->places);
    forget(self);
    self->forgotten = false;
    return to_do(self, self->grammar->rules[0].start, 0) && close_over(self, &may_end) &&
           intern(self, may_end, &self->first) && (self->place = self->first);
}

/* The current place's stacks, lowest frame first, are written down and built again. */
bool sat_matcher_tidy(sat_matcher *self) {
    if (self->place_count < SAT_PLACES_KEPT && self->frame_count < SAT_FRAMES_KEPT)
        return true;
    sat_place place = self->places[self->place];
    size_t total = 0, at = 0;
    for (uint32_t i = 0; i < place.count; i++)
        total += self->frames[self->threads[place.first + i].frame].depth;
    uint32_t *chains = sat_alloc_array(self->memory, total + 1, sizeof *chains);
    uint32_t *heads = sat_alloc_array(self->memory, 2 * ((size_t)place.count + 1), sizeof *heads);
    bool done = chains && heads;
    if (!done)
        failed(self, total * sizeof *chains);
    for (uint32_t i = 0; i < place.count && done; i++) {
        sat_thread thread = self->threads[place.first + i];
        uint32_t depth = self->frames[thread.frame].depth;
        heads[2 * i] = thread.state;
        heads[2 * i + 1] = depth;
        for (uint32_t k = 0, frame = thread.frame; k < depth; k++) {
            chains[at + depth - 1 - k] = self->frames[frame].state;
            frame = self->frames[frame].below;
        }
        at += depth;
    }
    if (done) {
        forget(self);
        self->forgotten = true;
    }
    self->found_count = at = 0;
    for (uint32_t i = 0; i < place.count && done; i++) {
        uint32_t frame = 0;
        for (uint32_t k = 0; k < heads[2 * i + 1] && done; k++)
            done = push(self, chains[at++], frame, &frame);
        done = done && grow(self, (void **)&self->found, &self->found_capacity,
                            self->found_count + 1, sizeof *self->found);
        if (done)
            self->found[self->found_count++] = (sat_thread){heads[2 * i], frame};
    }
    done = done && intern(self, place.may_end, &self->place);
    sat_free(self->memory, chains);
    sat_free(self->memory, heads);
    return done;
}

void sat_places_free(sat_matcher *self) {
    void *const blocks[] = {self->frames, self->frame_slots, self->threads,    self->places,
                            self->table,  self->place_slots, self->work,       self->found,
                            self->seen,   self->seen_stamp,  self->walk_tokens};
    for (size_t i = 0; i < SAT_COUNT(blocks); i++)
        sat_free(self->memory, blocks[i]);
}
