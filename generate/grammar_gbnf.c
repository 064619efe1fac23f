/* GBNF, llama.cpp's notation of grammars, to an automaton. */
#include "generate/grammar_parts.h"

#include <string.h>

typedef struct parser {
    sat_builder builder;
    const char *text;
    size_t length, at;
    int depth;
    uint32_t *slots; /* hash of a name → rule + 1 */
    size_t slot_mask;
} parser;

static void fail_at(parser *self, size_t at, satchel_status status, const char *what,
                    const char *name, size_t name_length) {
    size_t line = 1, column = 1;
    for (size_t i = 0; i < at && i < self->length; i++) {
        if (self->text[i] == '\n') {
            line++;
            column = 1;
        } else {
            column += ((uint8_t)self->text[i] & 0xC0) != 0x80;
        }
    }
    sat_builder_fail(&self->builder, status, "grammar, line %zu, column %zu: %s%s%.*s%s", line,
                     column, what, name ? " \"" : "", (int)(name_length < 80 ? name_length : 80),
                     name ? name : "", name ? "\"" : "");
}

static void fail(parser *self, const char *what) {
    fail_at(self, self->at, SATCHEL_DAMAGED, what, NULL, 0);
}

static bool more(const parser *self) {
    return self->at < self->length && !self->builder.status;
}
static char peek(const parser *self) {
    return more(self) ? self->text[self->at] : '\0';
}
static bool take(parser *self, char c) {
    if (!more(self) || self->text[self->at] != c)
        return false;
    self->at++;
    return true;
}

static void skip_space(parser *self, bool lines) {
    while (more(self)) {
        char c = self->text[self->at];
        if (c == '#') {
            while (more(self) && self->text[self->at] != '\n' && self->text[self->at] != '\r')
                self->at++;
        } else if (c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r'))) {
            self->at++;
        } else {
            return;
        }
    }
}

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

static uint32_t *slot_of(const parser *self, const char *name, size_t length) {
    size_t at = sat_hash64(name, length, 0) & self->slot_mask;
    for (; self->slots[at]; at = (at + 1) & self->slot_mask) {
        const sat_draft_rule *rule = &self->builder.rules[self->slots[at] - 1];
        if (rule->name_length == length && !memcmp(rule->name, name, length))
            break;
    }
    return &self->slots[at];
}

/* Rules without a name are those that repetition made. */
static bool rehash(parser *self, size_t size) {
    sat_memory *memory = &self->builder.context->memory;
    uint32_t *slots = sat_calloc(memory, size, sizeof *slots);
    if (!slots) {
        sat_builder_no_memory(&self->builder, size * sizeof *slots);
        return false;
    }
    sat_free(memory, self->slots);
    self->slots = slots;
    self->slot_mask = size - 1;
    for (size_t i = 0; i < self->builder.rule_count; i++) {
        const sat_draft_rule *rule = &self->builder.rules[i];
        if (rule->name)
            *slot_of(self, rule->name, rule->name_length) = (uint32_t)i + 1;
    }
    return true;
}

/* The rule of this name, new if it is not known. */
static uint32_t named_rule(parser *self, const char *name, size_t length) {
    sat_builder *builder = &self->builder;
    size_t size = self->slots ? self->slot_mask + 1 : 64;
    if (builder->status || ((!self->slots || 2 * builder->rule_count >= size) &&
                            !rehash(self, self->slots ? 2 * size : size)))
        return 0;
    uint32_t *slot = slot_of(self, name, length);
    if (*slot)
        return *slot - 1;
    uint32_t rule = sat_builder_rule(builder);
    if (builder->status)
        return 0;
    builder->rules[rule].name = name;
    builder->rules[rule].name_length = length;
    *slot = rule + 1;
    return rule;
}

/* A name; its rule, new if it is not known. */
static uint32_t rule_name(parser *self) {
    const char *name = self->text + self->at;
    size_t length = 0;
    while (self->at + length < self->length && is_word(name[length]))
        length++;
    if (!length)
        fail(self, "a rule's name is missing");
    self->at += length;
    return named_rule(self, name, length);
}

static int32_t hex(parser *self, int count) {
    uint32_t code = 0;
    for (int i = 0; i < count; i++) {
        char c = peek(self);
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) {
            fail(self, "too few hexadecimal digits");
            return 0;
        }
        code = code << 4 | (uint32_t)digit;
        self->at++;
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
        fail(self, "the digits before this are no character");
        return 0;
    }
    return (int32_t)code;
}

static int32_t character(parser *self) {
    int32_t code;
    if (!more(self)) {
        fail(self, "the grammar ends inside a literal or class");
        return 0;
    }
    self->at += sat_utf8_decode(self->text + self->at, self->length - self->at, &code);
    if (code != '\\')
        return code;
    char letter = peek(self);
    self->at += more(self);
    switch (letter) {
    case 'x':
        return hex(self, 2);
    case 'u':
        return hex(self, 4);
    case 'U':
        return hex(self, 8);
    case 't':
        return '\t';
    case 'r':
        return '\r';
    case 'n':
        return '\n';
    case '\\':
    case '"':
    case '[':
    case ']':
        return letter;
    default:
        self->at--;
        fail(self, "unknown escape");
        return 0;
    }
}

static void add(parser *self, sat_codes *codes, int32_t low, int32_t high) {
    sat_builder *builder = &self->builder;
    if (!builder->status && !sat_codes_add(&builder->context->memory, codes, low, high))
        sat_builder_no_memory(builder, 64);
}

static void whole_class(parser *self, sat_codes *codes) {
    bool negated = take(self, '^');
    while (more(self) && peek(self) != ']') {
        int32_t low = character(self), high = low;
        if (peek(self) == '-' && self->at + 1 < self->length && self->text[self->at + 1] != ']') {
            self->at++;
            high = character(self);
        }
        if (low > high)
            fail(self, "a range runs backwards");
        add(self, codes, low, high);
    }
    if (!take(self, ']'))
        fail(self, "a class is not closed");
    sat_codes_settle(codes);
    if (negated && !self->builder.status &&
        !sat_codes_negate(&self->builder.context->memory, codes))
        sat_builder_no_memory(&self->builder, 64);
}

static sat_fragment alternatives(parser *self, bool nested);

static sat_fragment symbol(parser *self) {
    sat_builder *builder = &self->builder;
    sat_fragment out = {0};
    sat_codes codes = {0};
    char c = peek(self);
    if (is_word(c)) {
        out.start = sat_builder_state(builder);
        out.end = sat_builder_after(builder, out.start, rule_name(self));
    } else if (take(self, '"')) {
        out.start = out.end = sat_builder_state(builder);
        while (more(self) && peek(self) != '"') {
            char utf8[4];
            size_t size = sat_utf8_encode(character(self), utf8);
            out.end = sat_builder_text(builder, out.end, utf8, size);
        }
        if (!take(self, '"'))
            fail(self, "a literal is not closed");
        uint32_t end = sat_builder_state(builder); /* an empty literal, too, has two states */
        sat_builder_join(builder, out.end, end);
        out.end = end;
    } else if (take(self, '[')) {
        whole_class(self, &codes);
        return sat_builder_class(builder, &codes, false);
    } else if (take(self, '.')) {
        add(self, &codes, 0, 0x10FFFF);
        return sat_builder_class(builder, &codes, false);
    } else if (take(self, '(')) {
        if (++self->depth > SAT_GRAMMAR_NESTING)
            fail_at(self, self->at, SATCHEL_LIMIT, "too many groups in groups", NULL, 0);
        skip_space(self, true);
        out = alternatives(self, true);
        self->depth--;
        if (!take(self, ')'))
            fail(self, "\")\" is missing");
    } else {
        fail_at(self, self->at, SATCHEL_UNSUPPORTED, "token references are not supported", NULL, 0);
    }
    return out;
}

static int64_t number(parser *self) {
    int64_t value = -1;
    while (peek(self) >= '0' && peek(self) <= '9') {
        value = (value < 0 ? 0 : value) * 10 + (self->text[self->at++] - '0');
        if (value > SAT_GRAMMAR_STATES)
            value = SAT_GRAMMAR_STATES;
    }
    return value;
}

/* "{m}", "{m,}", "{,n}", "{m,n}" behind the brace. */
static void counts(parser *self, bool nested, int64_t *min, int64_t *max) {
    skip_space(self, nested);
    *min = *max = number(self);
    skip_space(self, nested);
    if (take(self, ',')) {
        skip_space(self, nested);
        *max = number(self);
        skip_space(self, nested);
        if (*min < 0)
            *min = 0;
    }
    if (*min < 0 || !take(self, '}') || (*max >= 0 && *max < *min))
        fail(self, "a repetition is not {m}, {m,}, {,n} or {m,n}");
}

static sat_fragment sequence(parser *self, bool nested) {
    sat_builder *builder = &self->builder;
    sat_fragment out = {.start = sat_builder_state(builder)};
    out.end = out.start;
    while (more(self)) {
        char c = peek(self);
        if (!is_word(c) && !strchr("\"[.(<!", c))
            break;
        sat_mark mark = sat_builder_mark(builder);
        sat_fragment one = symbol(self);
        skip_space(self, nested);
        for (;;) {
            int64_t min = 0, max = -1;
            if (take(self, '+'))
                min = 1;
            else if (take(self, '?'))
                max = 1;
            else if (take(self, '{'))
                counts(self, nested, &min, &max);
            else if (!take(self, '*'))
                break;
            bool even = !builder->status && builder->free[one.start] == SAT_EVEN;
            if (even && max < 0 && min <= 1)
                sat_builder_mark_free(builder, one.start, SAT_FREE | SAT_EVEN);
            one = sat_builder_repeat(builder, mark, one, min, max);
            skip_space(self, nested);
        }
        sat_builder_join(builder, out.end, one.start);
        out.end = one.end;
    }
    return out;
}

static sat_fragment alternatives(parser *self, bool nested) {
    sat_builder *builder = &self->builder;
    sat_fragment out = {sat_builder_state(builder), sat_builder_state(builder)};
    do {
        skip_space(self, true);
        sat_fragment one = sequence(self, nested);
        sat_builder_join(builder, out.start, one.start);
        sat_builder_join(builder, one.end, out.end);
    } while (take(self, '|'));
    return out;
}

static void rule(parser *self) {
    sat_builder *builder = &self->builder;
    size_t at = self->at;
    uint32_t name = rule_name(self);
    skip_space(self, false);
    if (self->length - self->at < 3 || memcmp(self->text + self->at, "::=", 3) != 0)
        fail(self, "\"::=\" is missing");
    self->at += 3;
    skip_space(self, true);
    if (!builder->status && builder->rules[name].defined)
        fail_at(self, at, SATCHEL_DAMAGED, "a second definition of", builder->rules[name].name,
                builder->rules[name].name_length);
    if (builder->status)
        return;
    sat_fragment body = alternatives(self, false);
    sat_builder_define(builder, name, body);
    char c = peek(self);
    if (more(self) && c != '\n' && c != '\r')
        fail(self, "neither a symbol nor the end of the rule");
    skip_space(self, true);
}

satchel_status sat_grammar_from_gbnf(sat_grammar **out, satchel_context *context, const char *text,
                                     size_t length, satchel_error *error) {
    *out = NULL;
    if (length > SAT_GRAMMAR_TEXT)
        return sat_fail(error, SATCHEL_LIMIT, "the grammar has %zu bytes: at most %d are taken",
                        length, SAT_GRAMMAR_TEXT);
    size_t bad = sat_utf8_valid(text, length);
    parser self = {.text = text, .length = length};
    sat_builder *builder = &self.builder;
    sat_builder_init(builder, context, error);
    if (bad < length)
        fail_at(&self, bad, SATCHEL_DAMAGED, "not valid UTF-8", NULL, 0);
    static const char root[] = "root";
    named_rule(&self, root, sizeof root - 1);
    skip_space(&self, true);
    while (more(&self))
        rule(&self);
    for (size_t i = 0; i < builder->rule_count && !builder->status; i++) {
        const sat_draft_rule *draft = &builder->rules[i];
        if (draft->defined)
            continue;
        size_t at = draft->name == root ? length : (size_t)(draft->name - text);
        fail_at(&self, at, SATCHEL_DAMAGED, "there is no rule", draft->name, draft->name_length);
    }
    satchel_status status = sat_builder_finish(builder, out, "grammar");
    sat_builder_free(builder);
    sat_free(&context->memory, self.slots);
    return status;
}
