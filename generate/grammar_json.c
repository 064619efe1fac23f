/* JSON's own parts as fragments: strings, names, numbers, ranges of numbers, any value. */
#include "generate/grammar_parts.h"

#include <string.h>

enum { DIGITS = 16 }; /* of an integer, and of a number's whole and broken part */

/* The hex digits of \uXXXX: no surrogates, for half a pair is no character. */
static void escape_code(sat_builder *builder, uint32_t from, uint32_t to) {
    uint32_t any = sat_builder_state(builder), low = sat_builder_state(builder);
    uint32_t third = sat_builder_state(builder), fourth = sat_builder_state(builder);
    static const char first[][2] = {{'0', '9'}, {'a', 'c'}, {'e', 'f'}};
    for (size_t i = 0; i < SAT_COUNT(first); i++)
        sat_builder_bytes(builder, from, (uint8_t)first[i][0], (uint8_t)first[i][1], any);
    sat_builder_bytes(builder, from, 'd', 'd', low);
    sat_builder_bytes(builder, low, '0', '7', third);
    const uint32_t path[] = {any, third, fourth, to};
    for (size_t i = 0; i < 3; i++) {
        sat_builder_bytes(builder, path[i], '0', '9', path[i + 1]);
        sat_builder_bytes(builder, path[i], 'a', 'f', path[i + 1]);
    }
}

/* Characters beyond ASCII, and escapes: a rule, for most characters need neither. */
static uint32_t long_character(sat_builder *builder) {
    if (builder->json_character)
        return builder->json_character - 1;
    uint32_t rule = sat_builder_rule(builder);
    builder->json_character = rule + 1;
    sat_fragment body = {sat_builder_state(builder), sat_builder_state(builder)};
    sat_code_range range = {0x80, 0x10FFFF};
    sat_codes codes = {.ranges = &range, .count = 1};
    sat_builder_codes(builder, body.start, &codes, false, body.end);
    sat_builder_mark_free(builder, body.start, SAT_WITHIN);
    uint32_t slash = sat_builder_state(builder), code = sat_builder_state(builder);
    sat_builder_bytes(builder, body.start, '\\', '\\', slash);
    for (const char *letter = "\"\\/bfnrt"; *letter; letter++)
        sat_builder_bytes(builder, slash, (uint8_t)*letter, (uint8_t)*letter, body.end);
    sat_builder_bytes(builder, slash, 'u', 'u', code);
    escape_code(builder, code, body.end);
    sat_builder_define(builder, rule, body);
    return rule;
}

static void character(sat_builder *builder, uint32_t from, uint32_t to) {
    sat_builder_bytes(builder, from, 0x20, 0x21, to);
    sat_builder_bytes(builder, from, 0x23, 0x5B, to);
    sat_builder_bytes(builder, from, 0x5D, 0x7F, to);
    sat_builder_call(builder, from, long_character(builder), to);
}

uint32_t sat_json_body(sat_builder *builder, uint32_t from, int64_t min, int64_t max) {
    uint32_t end = sat_builder_state(builder), at = sat_builder_state(builder);
    sat_builder_join(builder, from, at);
    for (int64_t i = 0; !builder->status; i++) {
        if (i >= min)
            sat_builder_bytes(builder, at, '"', '"', end);
        if (max >= 0 && i >= max)
            break;
        sat_builder_mark_free(builder, at, (max < 0 ? SAT_FREE : (uint32_t)(max - i)) | SAT_EVEN);
        bool ring = max < 0 && i >= min;
        uint32_t next = ring ? at : sat_builder_state(builder);
        character(builder, at, next);
        if (ring)
            break;
        at = next;
    }
    return end;
}

uint32_t sat_json_string_rule(sat_builder *builder) {
    if (builder->json_string)
        return builder->json_string - 1;
    uint32_t rule = sat_builder_rule(builder);
    builder->json_string = rule + 1;
    sat_fragment body = {.start = sat_builder_state(builder)};
    body.end = sat_json_body(builder, sat_builder_text(builder, body.start, "\"", 1), 0, -1);
    sat_builder_define(builder, rule, body);
    return rule;
}

uint32_t sat_json_space(sat_builder *builder, uint32_t from) {
    uint32_t to = sat_builder_state(builder);
    sat_builder_bytes(builder, from, ' ', ' ', to);
    sat_builder_join(builder, from, to);
    return to;
}

/* ------------------------------------------------------------------ numbers */

/* Between min and max digits. */
static void digits(sat_builder *builder, uint32_t from, int min, int max, uint32_t to) {
    for (int i = 0;; i++) {
        if (i >= min)
            sat_builder_join(builder, from, to);
        if (i >= max)
            return;
        uint32_t next = sat_builder_state(builder);
        sat_builder_bytes(builder, from, '0', '9', next);
        from = next;
    }
}

uint32_t sat_json_integer(sat_builder *builder, uint32_t from) {
    uint32_t sign = sat_builder_state(builder), more = sat_builder_state(builder);
    uint32_t end = sat_builder_state(builder);
    sat_builder_bytes(builder, from, '-', '-', sign);
    sat_builder_join(builder, from, sign);
    sat_builder_bytes(builder, sign, '0', '0', end);
    sat_builder_bytes(builder, sign, '1', '9', more);
    digits(builder, more, 0, DIGITS - 1, end);
    return end;
}

uint32_t sat_json_number(sat_builder *builder, uint32_t from) {
    uint32_t whole = sat_json_integer(builder, from), point = sat_builder_state(builder);
    uint32_t broken = sat_builder_state(builder), mark = sat_builder_state(builder);
    uint32_t sign = sat_builder_state(builder), end = sat_builder_state(builder);
    sat_builder_join(builder, whole, broken);
    sat_builder_bytes(builder, whole, '.', '.', point);
    digits(builder, point, 1, DIGITS, broken);
    sat_builder_join(builder, broken, end);
    sat_builder_bytes(builder, broken, 'e', 'e', mark);
    sat_builder_bytes(builder, broken, 'E', 'E', mark);
    sat_builder_join(builder, mark, sign);
    sat_builder_bytes(builder, mark, '-', '-', sign);
    sat_builder_bytes(builder, mark, '+', '+', sign);
    digits(builder, sign, 1, 2, end);
    return end;
}

/* Digits at `size` places, a point before the last `decimals` of them. */
typedef struct places {
    uint32_t tails[20]; /* + 1: any digits at n places, then `to` */
    int decimals;
} places;

static void any_places(sat_builder *builder, places *all, uint32_t from, int size, char low,
                       char high);

static uint32_t places_tail(sat_builder *builder, places *all, int size) {
    if (!all->tails[size]) {
        uint32_t state = sat_builder_state(builder);
        all->tails[size] = state + 1;
        any_places(builder, all, state, size, '0', '9');
    }
    return all->tails[size] - 1;
}

/* The first of `size` places between low and high, the others any. */
static void any_places(sat_builder *builder, places *all, uint32_t from, int size, char low,
                       char high) {
    if (size == all->decimals)
        from = sat_builder_text(builder, from, ".", 1);
    sat_builder_bytes(builder, from, (uint8_t)low, (uint8_t)high,
                      places_tail(builder, all, size - 1));
}

/* Depth: at most 19 places. */
static void between(sat_builder *builder, places *all, uint32_t from, const char *low,
                    const char *high, int size) {
    static const char zeros[] = "00000000000000000000", nines[] = "99999999999999999999";
    if (builder->status || size == 0)
        return;
    size_t rest = (size_t)size - 1;
    bool low_full = !memcmp(low + 1, zeros, rest), high_full = !memcmp(high + 1, nines, rest);
    if (low_full && high_full) {
        any_places(builder, all, from, size, *low, *high);
        return;
    }
    if (size == all->decimals) {
        from = sat_builder_text(builder, from, ".", 1);
    }
    if (*low == *high) {
        uint32_t next = sat_builder_text(builder, from, low, 1);
        between(builder, all, next, low + 1, high + 1, size - 1);
        return;
    }
    char first = *low, last = *high;
    if (!low_full) {
        between(builder, all, sat_builder_text(builder, from, low, 1), low + 1, nines, size - 1);
        first++;
    }
    if (!high_full) {
        between(builder, all, sat_builder_text(builder, from, high, 1), zeros, high + 1, size - 1);
        last--;
    }
    if (first <= last)
        sat_builder_bytes(builder, from, (uint8_t)first, (uint8_t)last,
                          places_tail(builder, all, size - 1));
}

static void scaled_from_zero(sat_builder *builder, uint32_t from, int64_t low, int64_t high,
                             int decimals, uint32_t to) {
    places all = {{to + 1}, decimals};
    int64_t least = 0, most = 1;
    for (int i = 0; i <= decimals; i++)
        most *= 10;
    for (int size = decimals + 1; size <= 18; size++) {
        if (size > decimals + 1) {
            least = most;
            most *= 10;
        }
        int64_t a = low > least ? low : least, b = high < most - 1 ? high : most - 1;
        char first[24], last[24];
        if (a > b)
            continue;
        for (int i = size; i-- > 0; a /= 10, b /= 10) {
            first[i] = (char)('0' + a % 10);
            last[i] = (char)('0' + b % 10);
        }
        between(builder, &all, from, first, last, size);
    }
}

void sat_json_scaled(sat_builder *builder, uint32_t from, int64_t low, int64_t high, int decimals,
                     uint32_t to) {
    if (high >= 0)
        scaled_from_zero(builder, from, low < 0 ? 0 : low, high, decimals, to);
    if (low < 0) {
        uint32_t sign = sat_builder_text(builder, from, "-", 1);
        scaled_from_zero(builder, sign, high < 0 ? -high : 1, -low, decimals, to);
    }
}

void sat_json_range(sat_builder *builder, uint32_t from, int64_t low, int64_t high, uint32_t to) {
    sat_json_scaled(builder, from, low, high, 0, to);
}

/* ------------------------------------------------------------------ any value */

/* "[" or "{", members with commas between, and what closes it. */
static void listing(sat_builder *builder, uint32_t from, const char *open, uint32_t member,
                    const char *close, uint32_t to) {
    uint32_t first = sat_builder_text(builder, from, open, 1);
    uint32_t more = sat_builder_after(builder, first, member);
    uint32_t comma = sat_builder_text(builder, more, ",", 1);
    sat_builder_call(builder, sat_json_space(builder, comma), member, more);
    sat_builder_bytes(builder, first, (uint8_t)*close, (uint8_t)*close, to);
    sat_builder_bytes(builder, more, (uint8_t)*close, (uint8_t)*close, to);
}

uint32_t sat_json_value_rule(sat_builder *builder) {
    if (builder->json_value)
        return builder->json_value - 1;
    uint32_t rule = sat_builder_rule(builder), member = sat_builder_rule(builder);
    builder->json_value = rule + 1;
    sat_fragment pair = {.start = sat_builder_state(builder)};
    uint32_t at = sat_builder_after(builder, pair.start, sat_json_string_rule(builder));
    at = sat_json_space(builder, sat_builder_text(builder, at, ":", 1));
    pair.end = sat_builder_after(builder, at, rule);
    sat_builder_define(builder, member, pair);
    sat_fragment body = {sat_builder_state(builder), sat_builder_state(builder)};
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < SAT_COUNT(words); i++)
        sat_builder_join(builder, sat_builder_text(builder, body.start, words[i], strlen(words[i])),
                         body.end);
    sat_builder_join(builder, sat_json_number(builder, body.start), body.end);
    sat_builder_call(builder, body.start, sat_json_string_rule(builder), body.end);
    listing(builder, body.start, "[", rule, "]", body.end);
    listing(builder, body.start, "{", member, "}", body.end);
    sat_builder_define(builder, rule, body);
    return rule;
}

/* ------------------------------------------------------------------ other names */

typedef struct name_walk {
    sat_builder *builder;
    const char *const *names;
    size_t count;
    uint32_t any, end;
} name_walk;

/* The names with the first `length` bytes of names[which] so far, no escape among them: the
 * characters that follow lead deeper, all others to any name. */
static bool name_node(name_walk *walk, uint32_t state, size_t which, size_t length) {
    sat_builder *builder = walk->builder;
    sat_memory *memory = &builder->context->memory;
    sat_codes codes = {0};
    bool whole = false, deeper = false, done = true;
    for (size_t i = 0; i < walk->count && done; i++) {
        const char *name = walk->names[i];
        size_t size = strlen(name);
        if (size < length || memcmp(name, walk->names[which], length) != 0)
            continue;
        int32_t code;
        whole = whole || size == length;
        if (size > length) {
            sat_utf8_decode(name + length, size - length, &code);
            done = sat_codes_add(memory, &codes, code, code);
            deeper = true;
        }
    }
    static const sat_code_range never[] = {{0, 0x1F}, {'"', '"'}, {'\\', '\\'}};
    for (size_t i = 0; i < SAT_COUNT(never) && done; i++)
        done = sat_codes_add(memory, &codes, never[i].low, never[i].high);
    done = done && sat_codes_negate(memory, &codes);
    if (done) {
        sat_builder_mark_free(builder, state, deeper ? SAT_FREE : SAT_FREE | SAT_EVEN);
        sat_builder_codes(builder, state, &codes, false, walk->any);
        if (!whole)
            sat_builder_bytes(builder, state, '"', '"', walk->end);
    }
    sat_free(memory, codes.ranges);
    return done;
}

/* One prefix of a name, its state. */
typedef struct name_prefix {
    size_t which, length;
    uint32_t state;
} name_prefix;

uint32_t sat_json_other_name(sat_builder *builder, uint32_t from, const char *const *names,
                             size_t count) {
    sat_memory *memory = &builder->context->memory;
    uint32_t quote = sat_builder_text(builder, from, "\"", 1);
    name_walk walk = {.builder = builder, .names = names, .count = count};
    walk.any = sat_builder_state(builder);
    walk.end = sat_builder_state(builder);
    sat_builder_mark_free(builder, walk.any, SAT_FREE | SAT_EVEN);
    static const sat_code_range plain[] = {{0x20, 0x21}, {0x23, 0x5B}, {0x5D, 0x10FFFF}};
    sat_codes codes = {.ranges = (sat_code_range *)plain, .count = SAT_COUNT(plain)};
    sat_builder_codes(builder, walk.any, &codes, false, walk.any);
    sat_builder_bytes(builder, walk.any, '"', '"', walk.end);
    name_prefix *list = NULL;
    size_t listed = 0, capacity = 0;
    bool done = sat_grow(memory, (void **)&list, &capacity, 1, sizeof *list);
    if (done)
        list[listed++] = (name_prefix){0, 0, quote};
    for (size_t at = 0; at < listed && done && !builder->status; at++) {
        name_prefix prefix = list[at];
        done = name_node(&walk, prefix.state, prefix.which, prefix.length);
        size_t children = listed;
        for (size_t i = 0; i < count && done; i++) {
            const char *name = names[i];
            size_t size = strlen(name), length = prefix.length;
            if (size <= length || memcmp(name, names[prefix.which], length) != 0)
                continue;
            int32_t code;
            size_t step = sat_utf8_decode(name + length, size - length, &code);
            if (code < 0x20 || code == '"' || code == '\\')
                continue; /* such names are written with escapes, ours without */
            bool known = false;
            for (size_t k = children; k < listed && !known; k++)
                known = !memcmp(names[list[k].which], name, length + step) &&
                        list[k].length == length + step;
            if (known)
                continue;
            done = sat_grow(memory, (void **)&list, &capacity, listed + 1, sizeof *list);
            if (!done)
                break;
            uint32_t next = sat_builder_state(builder);
            sat_builder_join(builder, sat_builder_text(builder, prefix.state, name + length, step),
                             next);
            list[listed++] = (name_prefix){i, length + step, next};
        }
    }
    sat_free(memory, list);
    if (!done)
        sat_builder_no_memory(builder, 1 << 10);
    return walk.end;
}
