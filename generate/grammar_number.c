/*
 * Numbers between bounds, as digits. Whole parts that lie between the bounds with any fraction;
 * whole numbers; and values of few decimals next to bounds that are no integers, each checked as
 * the double it is read as.
 */
#include "generate/grammar_schema.h"

#include <math.h>

#define MOST 999999999999999.0 /* 15 digits: every one of them is exact in a double */
enum { MULTIPLES = 4096 };

typedef struct bounds {
    double low, high;
    bool low_open, high_open, bounded;
} bounds;

static bool read_bounds(sat_schema *self, json_t *node, const char *where, bounds *out) {
    static const char *const names[] = {"minimum", "exclusiveMinimum", "maximum",
                                        "exclusiveMaximum"};
    *out = (bounds){-MOST, MOST, false, false, false};
    for (int i = 0; i < 4; i++) {
        json_t *value = json_object_get(node, names[i]);
        if (!value)
            continue;
        if (!json_is_number(value)) {
            sat_schema_fail(self, SATCHEL_UNSUPPORTED, where, names[i], "must be a number");
            return false;
        }
        double bound = json_number_value(value);
        out->bounded = true;
        if (i < 2 && (bound > out->low || (bound == out->low && i == 1))) {
            out->low = bound;
            out->low_open = i == 1;
        } else if (i >= 2 && (bound < out->high || (bound == out->high && i == 3))) {
            out->high = bound;
            out->high_open = i == 3;
        }
    }
    return true;
}

static bool inside(const bounds *range, double value) {
    return (range->low_open ? value > range->low : value >= range->low) &&
           (range->high_open ? value < range->high : value <= range->high);
}

/* The first and last n with n / scale between the bounds. */
static bool limits(const bounds *range, double scale, int64_t *first, int64_t *last) {
    double low = range->low * scale, high = range->high * scale;
    if (low > MOST || high < -MOST)
        return false;
    *first = (int64_t)floor(low < -MOST ? -MOST : low) - 1;
    *last = (int64_t)ceil(high > MOST ? MOST : high) + 1;
    for (int i = 0; i < 4 && !inside(range, (double)*first / scale); i++)
        ++*first;
    for (int i = 0; i < 4 && !inside(range, (double)*last / scale); i++)
        --*last;
    return *first <= *last && inside(range, (double)*first / scale) &&
           inside(range, (double)*last / scale);
}

static void multiples(sat_schema *self, json_t *node, const char *where, const bounds *range,
                      uint32_t from, uint32_t to) {
    sat_builder *builder = &self->builder;
    double step = json_number_value(json_object_get(node, "multipleOf"));
    int64_t first, last, m = (int64_t)step;
    if (!(step >= 1) || step > MULTIPLES || step != (double)m) {
        sat_schema_fail(self, SATCHEL_UNSUPPORTED, where, "multipleOf",
                        "is supported for integers from 1 to 4096");
        return;
    }
    if (range->bounded) {
        if (!limits(range, 1, &first, &last))
            return;
        if ((last - first) / m > MULTIPLES) {
            sat_schema_fail(self, SATCHEL_UNSUPPORTED, where, "multipleOf",
                            "is supported between bounds with at most 4,096 multiples");
            return;
        }
        int64_t n = first - first % m;
        for (n += n < first ? m : 0; n <= last; n += m)
            sat_json_range(builder, from, n, n, to);
        return;
    }
    /* A state for each remainder. */
    uint32_t states = sat_builder_state(builder);
    for (int64_t i = 1; i < m; i++)
        sat_builder_state(builder);
    uint32_t sign = sat_builder_state(builder);
    sat_builder_join(builder, from, sign);
    sat_builder_bytes(builder, from, '-', '-', sign);
    sat_builder_bytes(builder, sign, '0', '0', to);
    for (int digit = 0; digit < 10 && !builder->status; digit++) {
        uint8_t byte = (uint8_t)('0' + digit);
        if (digit)
            sat_builder_bytes(builder, sign, byte, byte, states + (uint32_t)(digit % m));
        for (int64_t i = 0; i < m; i++)
            sat_builder_bytes(builder, states + (uint32_t)i, byte, byte,
                              states + (uint32_t)((i * 10 + digit) % m));
    }
    sat_builder_join(builder, states, to);
}

/* Whole parts from first to last with one to six digits behind the point. first >= 0. */
static void with_fraction(sat_builder *builder, uint32_t from, int64_t first, int64_t last,
                          uint32_t to) {
    uint32_t whole = sat_builder_state(builder);
    sat_json_range(builder, from, first, last, whole);
    uint32_t at = sat_builder_text(builder, whole, ".", 1);
    for (int i = 0; i < 6; i++) {
        uint32_t next = sat_builder_state(builder);
        sat_builder_bytes(builder, at, '0', '9', next);
        sat_builder_join(builder, next, to);
        at = next;
    }
}

void sat_schema_number(sat_schema *self, json_t *node, const char *where, bool integer,
                       uint32_t from, uint32_t to) {
    sat_builder *builder = &self->builder;
    bounds range;
    int64_t first, last;
    if (!read_bounds(self, node, where, &range))
        return;
    if (json_object_get(node, "multipleOf")) {
        multiples(self, node, where, &range, from, to);
        return;
    }
    if (!range.bounded) {
        sat_builder_join(builder,
                         integer ? sat_json_integer(builder, from) : sat_json_number(builder, from),
                         to);
        return;
    }
    bool whole = limits(&range, 1, &first, &last);
    if (whole)
        sat_json_range(builder, from, first, last, to);
    if (integer)
        return;
    /* n and what lies between n and n + 1, where both are inside: nine digits and six are exact
     * enough that none is read as n + 1. */
    int64_t near = 999999999;
    int64_t low = whole ? (first > 0 ? first : 0) : 0, high = whole ? last - 1 : -1;
    if (whole && low <= (high < near ? high : near))
        with_fraction(builder, from, low, high < near ? high : near, to);
    int64_t negative_low = whole ? (last < 0 ? -last : 0) : 0;
    int64_t negative_high = whole ? -first - 1 : -1;
    if (whole && negative_low <= (negative_high < near ? negative_high : near))
        with_fraction(builder, sat_builder_text(builder, from, "-", 1), negative_low,
                      negative_high < near ? negative_high : near, to);
    double width = range.high - range.low;
    int decimals = width >= 0.1 ? 2 : width >= 0.001 ? 4 : 8;
    double scale = decimals == 2 ? 1e2 : decimals == 4 ? 1e4 : 1e8;
    bool exact = range.low == floor(range.low) && range.high == floor(range.high);
    if ((!exact || !whole || last - first < 2) && fabs(range.low) * scale < MOST &&
        fabs(range.high) * scale < MOST && limits(&range, scale, &first, &last))
        sat_json_scaled(builder, from, first, last, decimals, to);
}
