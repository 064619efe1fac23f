/* Building automata: states, edges, rules, copies of fragments, characters as UTF-8. */
#include "generate/grammar_parts.h"

#include <stdlib.h>
#include <string.h>

void sat_builder_init(sat_builder *builder, satchel_context *context, satchel_error *error) {
    memset(builder, 0, sizeof *builder);
    builder->context = context;
    builder->error = error;
}

void sat_builder_free(sat_builder *builder) {
    sat_memory *memory = &builder->context->memory;
    sat_free(memory, builder->edges);
    sat_free(memory, builder->free);
    sat_free(memory, builder->rules);
}

void sat_builder_fail(sat_builder *builder, satchel_status status, const char *format, ...) {
    if (builder->status)
        return;
    va_list arguments;
    va_start(arguments, format);
    builder->status = sat_fail_v(builder->error, status, 0, format, arguments);
    va_end(arguments);
}

void sat_builder_no_memory(sat_builder *builder, size_t size) {
    if (!builder->status)
        builder->status = sat_memory_fail(&builder->context->memory, size, builder->error);
}

static bool room(sat_builder *builder, void **items, size_t *capacity, size_t count, size_t size,
                 size_t limit, const char *what) {
    if (builder->status)
        return false;
    if (count >= limit) {
        sat_builder_fail(builder, SATCHEL_LIMIT,
                         "the grammar becomes larger than %zu %s: make its repetitions shorter or "
                         "its lists smaller",
                         limit, what);
        return false;
    }
    if (count < *capacity)
        return true;
    if (!sat_grow(&builder->context->memory, items, capacity, count + 1, size)) {
        sat_builder_no_memory(builder, (count + 1) * size);
        return false;
    }
    return true;
}

uint32_t sat_builder_state(sat_builder *builder) {
    if (!room(builder, (void **)&builder->free, &builder->free_capacity, builder->state_count,
              sizeof *builder->free, SAT_GRAMMAR_STATES, "states"))
        return 0;
    builder->free[builder->state_count] = 0;
    return (uint32_t)builder->state_count++;
}

static void add_edge(sat_builder *builder, uint32_t from, sat_edge edge) {
    if (room(builder, (void **)&builder->edges, &builder->edge_capacity, builder->edge_count,
             sizeof *builder->edges, SAT_GRAMMAR_EDGES, "edges"))
        builder->edges[builder->edge_count++] = (sat_draft_edge){from, edge};
}

void sat_builder_join(sat_builder *builder, uint32_t from, uint32_t to) {
    add_edge(builder, from, (sat_edge){.kind = SAT_EDGE_EMPTY, .to = to});
}

void sat_builder_bytes(sat_builder *builder, uint32_t from, uint8_t low, uint8_t high,
                       uint32_t to) {
    add_edge(builder, from, (sat_edge){.kind = SAT_EDGE_BYTES, .low = low, .high = high, .to = to});
}

void sat_builder_call(sat_builder *builder, uint32_t from, uint32_t rule, uint32_t to) {
    add_edge(builder, from, (sat_edge){.kind = SAT_EDGE_CALL, .rule = rule, .to = to});
}

uint32_t sat_builder_rule(sat_builder *builder) {
    if (!room(builder, (void **)&builder->rules, &builder->rule_capacity, builder->rule_count,
              sizeof *builder->rules, SAT_GRAMMAR_RULES, "rules"))
        return 0;
    builder->rules[builder->rule_count] = (sat_draft_rule){0};
    return (uint32_t)builder->rule_count++;
}

void sat_builder_define(sat_builder *builder, uint32_t rule, sat_fragment body) {
    uint32_t end = sat_builder_state(builder); /* an end of its own: without edges for good */
    sat_builder_join(builder, body.end, end);
    if (builder->status)
        return;
    builder->rules[rule].start = body.start;
    builder->rules[rule].end = end;
    builder->rules[rule].defined = true;
}

uint32_t sat_builder_text(sat_builder *builder, uint32_t from, const char *text, size_t length) {
    for (size_t i = 0; i < length && !builder->status; i++) {
        uint32_t to = sat_builder_state(builder);
        sat_builder_bytes(builder, from, (uint8_t)text[i], (uint8_t)text[i], to);
        from = to;
    }
    return from;
}

uint32_t sat_builder_after(sat_builder *builder, uint32_t from, uint32_t rule) {
    uint32_t to = sat_builder_state(builder);
    sat_builder_call(builder, from, rule, to);
    return to;
}

/* ------------------------------------------------------------------ sets of characters */

bool sat_codes_add(sat_memory *memory, sat_codes *codes, int32_t low, int32_t high) {
    if (low > high)
        return true;
    if (codes->count >= codes->capacity &&
        !sat_grow(memory, (void **)&codes->ranges, &codes->capacity, codes->count + 1,
                  sizeof *codes->ranges))
        return false;
    codes->ranges[codes->count++] = (sat_code_range){low, high};
    return true;
}

static int by_low(const void *a, const void *b) {
    const sat_code_range *x = a, *y = b;
    return (x->low > y->low) - (x->low < y->low);
}

void sat_codes_settle(sat_codes *codes) {
    if (!codes->count)
        return;
    qsort(codes->ranges, codes->count, sizeof *codes->ranges, by_low);
    size_t kept = 0;
    for (size_t i = 1; i < codes->count; i++) {
        if (codes->ranges[i].low <= codes->ranges[kept].high + 1) {
            if (codes->ranges[i].high > codes->ranges[kept].high)
                codes->ranges[kept].high = codes->ranges[i].high;
        } else {
            codes->ranges[++kept] = codes->ranges[i];
        }
    }
    codes->count = kept + 1;
}

bool sat_codes_negate(sat_memory *memory, sat_codes *codes) {
    sat_codes_settle(codes);
    sat_codes out = {0};
    int32_t next = 0;
    bool done = true;
    for (size_t i = 0; i < codes->count && done; i++) {
        done = sat_codes_add(memory, &out, next, codes->ranges[i].low - 1);
        next = codes->ranges[i].high + 1;
    }
    done = done && sat_codes_add(memory, &out, next, 0x10FFFF);
    sat_free(memory, codes->ranges);
    *codes = out;
    return done;
}

static bool have(const sat_codes *codes, int32_t low, int32_t high) {
    for (size_t i = 0; i < codes->count; i++)
        if (codes->ranges[i].low <= low && codes->ranges[i].high >= high)
            return true;
    return false;
}

/* Surrogates are no characters, in the set or not. */
static bool have_plain_text(const sat_codes *codes) {
    return have(codes, 0x20, 0x21) && have(codes, 0x23, 0x5B) && have(codes, 0x5D, 0x7E) &&
           have(codes, 0x80, 0xD7FF) && have(codes, 0xE000, 0x10FFFF);
}

void sat_builder_mark_free(sat_builder *builder, uint32_t state, uint32_t free) {
    if (!builder->status)
        builder->free[state] = free;
}

sat_fragment sat_builder_class(sat_builder *builder, sat_codes *codes, bool json) {
    sat_codes_settle(codes);
    sat_fragment out = {sat_builder_state(builder), sat_builder_state(builder)};
    sat_builder_codes(builder, out.start, codes, json, out.end);
    if (have_plain_text(codes))
        sat_builder_mark_free(builder, out.start, SAT_EVEN);
    sat_free(&builder->context->memory, codes->ranges);
    codes->ranges = NULL;
    return out;
}

/* Characters low to high, all of `size` bytes, from `from`. `tails[n]` reads n continuation bytes
 * of any kind and ends at `to`: made when first needed, so that wide ranges share them. */
typedef struct utf8_tails {
    uint32_t states[4]; /* + 1; [0] is `to` */
} utf8_tails;

static uint32_t tail(sat_builder *builder, utf8_tails *tails, int size) {
    int made = size;
    while (!tails->states[made])
        made--;
    for (; made < size; made++) {
        uint32_t state = sat_builder_state(builder);
        sat_builder_bytes(builder, state, 0x80, 0xBF, tails->states[made] - 1);
        tails->states[made + 1] = state + 1;
    }
    return tails->states[size] - 1;
}

/* Bytes i.. of characters between two encodings of `size` bytes, which agree before i. */
static void utf8_between(sat_builder *builder, utf8_tails *tails, uint32_t from, const uint8_t *low,
                         const uint8_t *high, int size) {
    static const uint8_t least[3] = {0x80, 0x80, 0x80}, most[3] = {0xBF, 0xBF, 0xBF};
    if (builder->status)
        return;
    size_t rest = (size_t)size - 1;
    bool low_full = !memcmp(low + 1, least, rest), high_full = !memcmp(high + 1, most, rest);
    int first = low[0], last = high[0];
    if (first == last && !(low_full && high_full)) {
        uint32_t next = sat_builder_state(builder);
        sat_builder_bytes(builder, from, low[0], low[0], next);
        utf8_between(builder, tails, next, low + 1, high + 1, size - 1);
        return;
    }
    if (!low_full) {
        uint32_t next = sat_builder_state(builder);
        sat_builder_bytes(builder, from, low[0], low[0], next);
        utf8_between(builder, tails, next, low + 1, most, size - 1);
        first++;
    }
    if (!high_full) {
        uint32_t next = sat_builder_state(builder);
        sat_builder_bytes(builder, from, high[0], high[0], next);
        utf8_between(builder, tails, next, least, high + 1, size - 1);
        last--;
    }
    if (first <= last)
        sat_builder_bytes(builder, from, (uint8_t)first, (uint8_t)last,
                          tail(builder, tails, size - 1));
}

static void utf8_range(sat_builder *builder, utf8_tails *tails, uint32_t from, int32_t low,
                       int32_t high) {
    static const sat_code_range sizes[] = {
        {0, 0x7F}, {0x80, 0x7FF}, {0x800, 0xD7FF}, {0xE000, 0xFFFF}, {0x10000, 0x10FFFF}};
    for (size_t i = 0; i < SAT_COUNT(sizes); i++) {
        int32_t a = low > sizes[i].low ? low : sizes[i].low;
        int32_t b = high < sizes[i].high ? high : sizes[i].high;
        char first[4], last[4];
        if (a > b)
            continue;
        int size = (int)sat_utf8_encode(a, first);
        sat_utf8_encode(b, last);
        utf8_between(builder, tails, from, (const uint8_t *)first, (const uint8_t *)last, size);
    }
}

/* One character as JSON writes it behind a backslash. */
static void escaped(sat_builder *builder, uint32_t slash, int32_t code, uint32_t to) {
    static const char named[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (size_t i = 0; i + 1 < sizeof named; i += 2)
        if (named[i] == (char)code) {
            sat_builder_bytes(builder, slash, (uint8_t)named[i + 1], (uint8_t)named[i + 1], to);
            return;
        }
    char text[8];
    snprintf(text, sizeof text, "u%04x", (unsigned)code & 0xFFFF);
    uint32_t at = sat_builder_text(builder, slash, text, 5);
    sat_builder_join(builder, at, to);
}

void sat_builder_codes(sat_builder *builder, uint32_t from, const sat_codes *codes, bool json,
                       uint32_t to) {
    utf8_tails tails = {{to + 1}};
    uint32_t slash = 0;
    bool slashed = false;
    for (size_t i = 0; i < codes->count && !builder->status; i++) {
        int32_t low = codes->ranges[i].low, high = codes->ranges[i].high;
        if (!json) {
            utf8_range(builder, &tails, from, low, high);
            continue;
        }
        for (int32_t code = low; code <= high && code <= '\\'; code++) {
            if (code >= 0x20 && code != '"' && code != '\\')
                continue;
            if (!slashed) {
                slash = sat_builder_state(builder);
                sat_builder_bytes(builder, from, '\\', '\\', slash);
                slashed = true;
            }
            escaped(builder, slash, code, to);
        }
        static const sat_code_range plain[] = {{0x20, 0x21}, {0x23, 0x5B}, {0x5D, 0x10FFFF}};
        for (size_t k = 0; k < SAT_COUNT(plain); k++) {
            int32_t a = low > plain[k].low ? low : plain[k].low;
            int32_t b = high < plain[k].high ? high : plain[k].high;
            if (a <= b)
                utf8_range(builder, &tails, from, a, b);
        }
    }
}

/* ------------------------------------------------------------------ repetition */

sat_mark sat_builder_mark(const sat_builder *builder) {
    return (sat_mark){builder->state_count, builder->edge_count};
}

/* A copy of the states and edges between two marks. */
static sat_fragment copy(sat_builder *builder, sat_mark from, sat_mark to, sat_fragment body) {
    uint32_t shift = (uint32_t)(builder->state_count - from.states);
    for (size_t i = from.states; i < to.states && !builder->status; i++) {
        uint32_t state = sat_builder_state(builder);
        if (!builder->status)
            builder->free[state] = builder->free[i];
    }
    for (size_t i = from.edges; i < to.edges && !builder->status; i++) {
        sat_draft_edge edge = builder->edges[i];
        edge.edge.to += shift;
        add_edge(builder, edge.from + shift, edge.edge);
    }
    return (sat_fragment){body.start + shift, body.end + shift};
}

uint32_t sat_builder_calls(sat_builder *builder, uint32_t from, uint32_t rule, int64_t min,
                           int64_t max) {
    for (int64_t i = 0; i < min && !builder->status; i++)
        from = sat_builder_after(builder, from, rule);
    if (max < 0) {
        uint32_t loop = sat_builder_state(builder), end = sat_builder_state(builder);
        sat_builder_join(builder, from, loop);
        sat_builder_call(builder, loop, rule, loop);
        sat_builder_join(builder, loop, end);
        return end;
    }
    uint32_t end = sat_builder_state(builder);
    for (int64_t i = min; i < max && !builder->status; i++) {
        sat_builder_join(builder, from, end);
        from = sat_builder_after(builder, from, rule);
    }
    sat_builder_join(builder, from, end);
    return end;
}

sat_fragment sat_builder_repeat(sat_builder *builder, sat_mark mark, sat_fragment body, int64_t min,
                                int64_t max) {
    if (min == 1 && max == 1)
        return body;
    sat_mark end = sat_builder_mark(builder);
    int64_t copies = max >= 0 ? max : min > 1 ? min : 1;
    sat_fragment out;
    if (copies > 2 && end.states - mark.states > 8) { /* large: called, not copied */
        uint32_t rule = sat_builder_rule(builder);
        sat_builder_define(builder, rule, body);
        out.start = sat_builder_state(builder);
        out.end = sat_builder_calls(builder, out.start, rule, min, max);
        return out;
    }
    out.start = sat_builder_state(builder);
    out.end = sat_builder_state(builder);
    uint32_t at = out.start;
    bool used = false;
    for (int64_t i = 0; i < copies && !builder->status; i++) {
        sat_fragment one = used ? copy(builder, mark, end, body) : body;
        used = true;
        if (i >= min)
            sat_builder_join(builder, at, out.end);
        sat_builder_join(builder, at, one.start);
        at = one.end;
        if (max < 0 && i + 1 == copies) /* the last copy runs in a ring */
            sat_builder_join(builder, at, one.start);
    }
    sat_builder_join(builder, at, out.end);
    return out;
}
