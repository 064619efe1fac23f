/*
 * Regular expressions of "pattern", as JSON strings: literals, ".", classes, \d \w \s and their
 * opposites, \t and the like, \xHH, \uHHHH, groups without references, alternatives, quantifiers (a
 * lazy one is as good as a greedy one here), ^ and $ at the ends of the whole or of its
 * alternatives.
 *
 * \d, \w, \s and their opposites are narrower than any reader's, so that what comes out matches
 * everywhere.
 */
#include "generate/grammar_parts.h"

#include <string.h>

typedef struct regex {
    sat_builder *builder;
    const char *text, *where;
    size_t length, at;
    int depth;
} regex;

typedef struct piece {
    sat_fragment body;
    int64_t min, max; /* characters; max < 0: unbounded */
} piece;

enum { MOST = 1 << 20 }; /* lengths and counts saturate here */

static void fail(regex *self, satchel_status status, const char *what) {
    sat_builder_fail(self->builder, status, "schema, #%s/pattern: %s at byte %zu of \"%.100s\"",
                     self->where, what, self->at + 1, self->text);
}

static bool more(const regex *self) {
    return self->at < self->length && !self->builder->status;
}

static bool take(regex *self, char c) {
    if (!more(self) || self->text[self->at] != c)
        return false;
    self->at++;
    return true;
}

static void add(regex *self, sat_codes *codes, int32_t low, int32_t high) {
    sat_builder *builder = self->builder;
    if (!builder->status && !sat_codes_add(&builder->context->memory, codes, low, high))
        sat_builder_no_memory(builder, 64);
}

static int32_t hex(regex *self, int count) {
    int32_t code = 0;
    for (int i = 0; i < count; i++) {
        char c = more(self) ? self->text[self->at] : 0;
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) {
            fail(self, SATCHEL_DAMAGED, "too few hexadecimal digits");
            return 0;
        }
        code = code * 16 + digit;
        self->at++;
    }
    return code;
}

/* A set named by a letter; false: it is none. */
static bool shorthand(regex *self, sat_codes *codes, char letter) {
    switch (letter) {
    case 'd':
        add(self, codes, '0', '9');
        return true;
    case 'D':
        add(self, codes, 0x20, '0' - 1);
        add(self, codes, '9' + 1, 0x7E);
        return true;
    case 'w':
    case 'W':
        if (letter == 'w') {
            add(self, codes, '0', '9');
            add(self, codes, 'A', 'Z');
            add(self, codes, '_', '_');
            add(self, codes, 'a', 'z');
        } else {
            add(self, codes, 0x20, '0' - 1);
            add(self, codes, '9' + 1, 'A' - 1);
            add(self, codes, 'Z' + 1, '_' - 1);
            add(self, codes, '_' + 1, 'a' - 1);
            add(self, codes, 'z' + 1, 0x7E);
        }
        return true;
    case 's':
        add(self, codes, '\t', '\r');
        add(self, codes, ' ', ' ');
        return true;
    case 'S':
        add(self, codes, 0x21, 0x7E);
        return true;
    default:
        return false;
    }
}

/* The character behind a backslash. */
static int32_t escape(regex *self) {
    char letter = self->text[self->at++];
    static const char named[] = "n\nr\rt\tf\fv\v";
    for (size_t i = 0; i + 1 < sizeof named; i += 2)
        if (named[i] == letter)
            return named[i + 1];
    if (letter == 'x')
        return hex(self, 2);
    if (letter == 'u') {
        int32_t code = hex(self, 4);
        if (code >= 0xD800 && code <= 0xDFFF)
            fail(self, SATCHEL_UNSUPPORTED, "a surrogate is not supported");
        return code;
    }
    if ((letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'z') ||
        (letter >= 'A' && letter <= 'Z')) {
        self->at--;
        fail(self, SATCHEL_UNSUPPORTED, "this escape is not supported");
        return 0;
    }
    self->at--;
    int32_t code;
    self->at += sat_utf8_decode(self->text + self->at, self->length - self->at, &code);
    return code;
}

static void whole_class(regex *self, sat_codes *codes) {
    bool negated = take(self, '^'), broad = false;
    while (more(self) && self->text[self->at] != ']') {
        int32_t low, high;
        size_t size = sat_utf8_decode(self->text + self->at, self->length - self->at, &low);
        self->at += size;
        if (low == '\\' && more(self)) {
            if (shorthand(self, codes, self->text[self->at])) {
                broad = true;
                self->at++;
                continue;
            }
            low = self->text[self->at] == 'b' ? (self->at++, '\b') : escape(self);
        }
        high = low;
        if (self->at + 1 < self->length && self->text[self->at] == '-' &&
            self->text[self->at + 1] != ']') {
            self->at++;
            self->at += sat_utf8_decode(self->text + self->at, self->length - self->at, &high);
            if (high == '\\' && more(self))
                high = escape(self);
            if (high < low)
                fail(self, SATCHEL_DAMAGED, "a range runs backwards");
        }
        add(self, codes, low, high);
    }
    if (!take(self, ']'))
        fail(self, SATCHEL_DAMAGED, "a class is not closed");
    sat_codes_settle(codes);
    if (!negated || self->builder->status)
        return;
    if (broad) { /* what a reader may count to \w and the like is left out */
        add(self, codes, 0, 0x1F);
        add(self, codes, 0x7F, 0x10FFFF);
    }
    if (!sat_codes_negate(&self->builder->context->memory, codes))
        sat_builder_no_memory(self->builder, 64);
}

static int64_t add_lengths(int64_t a, int64_t b) {
    return a < 0 || b < 0 ? -1 : a + b > MOST ? MOST : a + b;
}
static int64_t times(int64_t a, int64_t n) {
    return a == 0 || n == 0 ? 0 : a < 0 || n < 0 ? -1 : a > MOST / n ? MOST : a * n;
}

static piece alternatives(regex *self, bool top);

static piece characters(regex *self, sat_codes *codes) {
    return (piece){sat_builder_class(self->builder, codes, true), 1, 1};
}

static piece atom(regex *self) {
    sat_codes codes = {0};
    char c = self->text[self->at];
    if (c == '(') {
        self->at++;
        if (take(self, '?') && !take(self, ':'))
            fail(self, SATCHEL_UNSUPPORTED, "this kind of group is not supported");
        if (++self->depth > SAT_GRAMMAR_NESTING)
            fail(self, SATCHEL_LIMIT, "too many groups in groups");
        piece inner = alternatives(self, false);
        self->depth--;
        if (!take(self, ')'))
            fail(self, SATCHEL_DAMAGED, "a group is not closed");
        return inner;
    }
    if (strchr("*+?{", c)) {
        fail(self, SATCHEL_DAMAGED, "nothing to repeat");
    } else if (c == '^' || c == '$') {
        fail(self, SATCHEL_UNSUPPORTED, "^ and $ inside an expression are not supported");
    } else if (c == '[') {
        self->at++;
        whole_class(self, &codes);
    } else if (c == '.') {
        self->at++;
        add(self, &codes, 0, '\n' - 1);
        add(self, &codes, '\n' + 1, '\r' - 1);
        add(self, &codes, '\r' + 1, 0x2027);
        add(self, &codes, 0x202A, 0x10FFFF);
    } else if (c == '\\' && self->at + 1 < self->length) {
        self->at++;
        if (shorthand(self, &codes, self->text[self->at])) {
            self->at++;
        } else {
            int32_t code = escape(self);
            add(self, &codes, code, code);
        }
    } else if (c == '\\') {
        fail(self, SATCHEL_DAMAGED, "a backslash ends the expression");
    } else {
        int32_t code;
        self->at += sat_utf8_decode(self->text + self->at, self->length - self->at, &code);
        add(self, &codes, code, code);
    }
    return characters(self, &codes);
}

static int64_t number(regex *self) {
    int64_t value = -1;
    while (more(self) && self->text[self->at] >= '0' && self->text[self->at] <= '9') {
        value = (value < 0 ? 0 : value) * 10 + (self->text[self->at++] - '0');
        if (value > MOST)
            value = MOST;
    }
    return value;
}

static bool quantifier(regex *self, int64_t *min, int64_t *max) {
    if (take(self, '*')) {
        *min = 0, *max = -1;
    } else if (take(self, '+')) {
        *min = 1, *max = -1;
    } else if (take(self, '?')) {
        *min = 0, *max = 1;
    } else if (take(self, '{')) {
        *min = *max = number(self);
        if (take(self, ','))
            *max = number(self);
        if (*min < 0 || !take(self, '}') || (*max >= 0 && *max < *min)) {
            fail(self, SATCHEL_DAMAGED, "a repetition is not {m}, {m,} or {m,n}");
            return false;
        }
    } else {
        return false;
    }
    if (!take(self, '?') && more(self) && self->text[self->at] == '+')
        fail(self, SATCHEL_UNSUPPORTED, "possessive repetition is not supported");
    return true;
}

/* Any characters of a string, any number of them. */
static sat_fragment anything(sat_builder *builder) {
    sat_fragment out = {sat_builder_state(builder), sat_builder_state(builder)};
    sat_code_range range = {0, 0x10FFFF};
    sat_codes codes = {.ranges = &range, .count = 1};
    sat_builder_codes(builder, out.start, &codes, true, out.start);
    sat_builder_mark_free(builder, out.start, SAT_FREE | SAT_EVEN);
    sat_builder_join(builder, out.start, out.end);
    return out;
}

/* One alternative; at the top, ^ and $ say that it need not be looked for. */
static piece sequence(regex *self, bool top) {
    sat_builder *builder = self->builder;
    piece out = {.body.start = sat_builder_state(builder)};
    uint32_t at = out.body.start;
    if (top && !take(self, '^')) {
        sat_fragment before = anything(builder);
        sat_builder_join(builder, at, before.start);
        at = before.end;
        out.max = -1;
    }
    bool closed = false;
    while (more(self) && self->text[self->at] != '|' && self->text[self->at] != ')') {
        if (top && self->text[self->at] == '$' &&
            (self->at + 1 == self->length || self->text[self->at + 1] == '|')) {
            self->at++;
            closed = true;
            break;
        }
        sat_mark mark = sat_builder_mark(builder);
        piece one = atom(self);
        int64_t min = 1, max = 1;
        if (quantifier(self, &min, &max))
            one.body = sat_builder_repeat(builder, mark, one.body, min, max);
        sat_builder_join(builder, at, one.body.start);
        at = one.body.end;
        out.min = add_lengths(out.min, times(one.min, min));
        out.max = add_lengths(out.max, times(one.max, max));
    }
    if (top && !closed) {
        sat_fragment after = anything(builder);
        sat_builder_join(builder, at, after.start);
        at = after.end;
        out.max = -1;
    }
    out.body.end = at;
    return out;
}

static piece alternatives(regex *self, bool top) {
    sat_builder *builder = self->builder;
    piece out = {{sat_builder_state(builder), sat_builder_state(builder)}, -1, 0};
    do {
        piece one = sequence(self, top);
        sat_builder_join(builder, out.body.start, one.body.start);
        sat_builder_join(builder, one.body.end, out.body.end);
        if (out.min < 0 || one.min < out.min)
            out.min = one.min;
        if (out.max >= 0 && (one.max < 0 || one.max > out.max))
            out.max = one.max;
    } while (take(self, '|'));
    return out;
}

uint32_t sat_builder_regex(sat_builder *builder, uint32_t from, const char *pattern, size_t length,
                           const char *where, int64_t *min, int64_t *max) {
    regex self = {.builder = builder, .text = pattern, .where = where, .length = length};
    piece whole = alternatives(&self, true);
    if (more(&self))
        fail(&self, SATCHEL_DAMAGED, "a group is closed that was not opened");
    sat_builder_join(builder, from, whole.body.start);
    *min = whole.min;
    *max = whole.max;
    return whole.body.end;
}

#define DATE                                                                                       \
    "(19|20)[0-9]{2}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])"                                   \
    "|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
#define TIME                                                                                       \
    "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?"                                     \
    "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
#define BYTE "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define LABEL "[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?"

const char *sat_format_pattern(const char *name) {
    static const char *const formats[][2] = {
        {"date", "^" DATE "$"},
        {"time", "^" TIME "$"},
        {"date-time", "^" DATE "T" TIME "$"},
        {"duration", "^P([0-9]{1,4}D(T[0-9]{1,4}H)?|T[0-9]{1,4}[HMS])$"},
        {"uuid", "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"},
        {"email",
         "^[A-Za-z0-9_+-]{1,32}(\\.[A-Za-z0-9_+-]{1,16}){0,2}@(" LABEL "\\.){1,3}[a-z]{2,12}$"},
        {"hostname", "^(" LABEL "\\.){0,4}[a-z]([a-z0-9-]{0,30}[a-z0-9])?$"},
        {"ipv4", "^(" BYTE "\\.){3}" BYTE "$"},
        {"ipv6", "^([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}$"},
        {"uri", "^https?://(" LABEL "\\.){1,4}[a-z]{2,12}(/[A-Za-z0-9._~-]{0,64}){0,8}$"},
    };
    for (size_t i = 0; i < SAT_COUNT(formats); i++)
        if (!strcmp(name, formats[i][0]))
            return formats[i][1];
    return NULL;
}
