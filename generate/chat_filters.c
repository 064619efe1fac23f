/* Filters on one value, and what they share with methods: replacing, joining, escaping. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "generate/chat_parts.h"

#define FILTER(name)                                                                               \
    static bool name(chat_run *run, const chat_value *self, const chat_call *call, chat_value *out)

static bool give(const chat_text *text, chat_value *out) {
    *out = chat_of(text);
    return text != NULL;
}

/* ------------------------------------------------------------------ shared */

const chat_text *sat_chat_replace(chat_run *run, const chat_text *text, const chat_text *old,
                                  const chat_text *new, int64_t most) {
    chat_builder builder = {0};
    size_t from = 0, found;
    uint64_t left = most < 0 ? UINT64_MAX : (uint64_t)most;
    if (!sat_chat_work(run, text->length / 32))
        return NULL;
    if (!old->length) { /* before each character and at the end */
        for (size_t size; left; from += size) {
            int32_t code;
            left--;
            if (!sat_chat_build_text(run, &builder, new))
                return NULL;
            if (from == text->length)
                break;
            size = sat_utf8_decode(text->data + from, text->length - from, &code);
            if (!sat_chat_build_part(run, &builder, text, from, from + size))
                return NULL;
        }
    } else {
        while (left && (found = sat_chat_find(text, old, from)) != SIZE_MAX) {
            left--;
            if (!sat_chat_build_part(run, &builder, text, from, found) ||
                !sat_chat_build_text(run, &builder, new))
                return NULL;
            from = found + old->length;
        }
        if (from == 0)
            return text;
    }
    if (!sat_chat_build_part(run, &builder, text, from, text->length))
        return NULL;
    return sat_chat_built(run, &builder);
}

const chat_text *sat_chat_join(chat_run *run, const chat_text *between, const chat_list *items,
                               bool only_texts) {
    chat_builder builder = {0};
    for (size_t i = 0; i < items->count; i++) {
        const chat_value *item = &items->items[i];
        if (only_texts && item->kind != CHAT_TEXT) {
            sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "join() of a %s", sat_chat_kind(item));
            return NULL;
        }
        const chat_text *text = sat_chat_string(run, item);
        if (!text || (i && !sat_chat_build_text(run, &builder, between)) ||
            !sat_chat_build_text(run, &builder, text))
            return NULL;
    }
    return sat_chat_built(run, &builder);
}

static const chat_text *as_safe(chat_run *run, const chat_text *text) {
    chat_text *copy = text ? sat_chat_alloc(run, 1, sizeof *copy) : NULL;
    if (copy) {
        *copy = *text;
        copy->safe = true;
    }
    return copy;
}

const chat_text *sat_chat_escape(chat_run *run, const chat_text *text) {
    chat_builder builder = {0};
    size_t plain = 0;
    for (size_t at = 0; at < text->length; at++) {
        const char *named = text->data[at] == '&'    ? "&amp;"
                            : text->data[at] == '<'  ? "&lt;"
                            : text->data[at] == '>'  ? "&gt;"
                            : text->data[at] == '\'' ? "&#39;"
                            : text->data[at] == '"'  ? "&#34;"
                                                     : NULL;
        if (!named)
            continue;
        if (!sat_chat_build_part(run, &builder, text, plain, at) ||
            !sat_chat_build(run, &builder, named, strlen(named), NULL,
                            sat_chat_mark_of(text, at, at + 1)))
            return NULL;
        plain = at + 1;
    }
    if (!sat_chat_build_part(run, &builder, text, plain, text->length))
        return NULL;
    return as_safe(run, sat_chat_built(run, &builder));
}

/* ------------------------------------------------------------------ filters */

FILTER(tojson) {
    return sat_chat_tojson(run, self, call, out);
}
FILTER(length) {
    size_t count;
    if (!sat_chat_length(run, self, &count))
        return false;
    *out = chat_int((int64_t)count, true);
    return true;
}
FILTER(string) {
    return give(sat_chat_string(run, self), out);
}
FILTER(trim) {
    const chat_text *text = sat_chat_string(run, self), *set = NULL;
    const chat_value *given = &call->argument[0];
    if (!text || (given->kind != CHAT_ABSENT && given->kind != CHAT_NONE &&
                  !sat_chat_want_text(run, call, 0, &set)))
        return false;
    return give(sat_chat_strip(run, text, set, 3), out);
}
static bool recase(chat_run *run, const chat_value *self, chat_case to, chat_value *out) {
    const chat_text *text = sat_chat_string(run, self);
    return text && give(sat_chat_recase(run, text, to), out);
}
FILTER(upper) {
    return recase(run, self, CHAT_UPPER, out);
}
FILTER(lower) {
    return recase(run, self, CHAT_LOWER, out);
}
FILTER(capitalize) {
    return recase(run, self, CHAT_CAPITALIZE, out);
}
FILTER(otherwise) {
    bool missing = self->kind == CHAT_UNDEFINED ||
                   (sat_chat_truth(&call->argument[1]) && !sat_chat_truth(self));
    *out = *self;
    if (missing && call->argument[0].kind == CHAT_ABSENT)
        return give(sat_chat_text(run, "", 0, true), out);
    if (missing)
        *out = call->argument[0];
    return true;
}
FILTER(safe) {
    const chat_text *text = sat_chat_string(run, self);
    return text && give(as_safe(run, text), out);
}
FILTER(escape) {
    const chat_text *text = sat_chat_string(run, self);
    return text && give(text->safe ? text : sat_chat_escape(run, text), out);
}
FILTER(replace) {
    int64_t most;
    const chat_text *text = sat_chat_string(run, self);
    const chat_text *old = text ? sat_chat_string(run, &call->argument[0]) : NULL;
    const chat_text *new = old ? sat_chat_string(run, &call->argument[1]) : NULL;
    if (call->argument[2].kind == CHAT_NONE)
        most = -1;
    else if (!sat_chat_want_int(run, call, 2, -1, &most))
        return false;
    if (!new)
        return false;
    if (text->safe || old->safe || new->safe)
        return sat_chat_fail(run, SATCHEL_UNSUPPORTED, "replace() of Markup");
    return give(sat_chat_replace(run, text, old, new, most), out);
}

/* Lines after the first (and the first, if told so) move in. */
FILTER(indent) {
    char spaces[256];
    const chat_text *text = self->kind == CHAT_TEXT ? self->as.text : NULL, *margin;
    const chat_value *width = &call->argument[0];
    bool first = sat_chat_truth(&call->argument[1]), blank = sat_chat_truth(&call->argument[2]);
    if (!text)
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "indent() of a %s",
                             sat_chat_kind(self));
    if (width->kind == CHAT_TEXT) {
        margin = width->as.text;
    } else {
        int64_t count;
        if (!sat_chat_want_int(run, call, 0, 4, &count))
            return false;
        if (count > (int64_t)sizeof spaces)
            return sat_chat_fail(run, SATCHEL_LIMIT, "indent() by over %zu", sizeof spaces);
        memset(spaces, ' ', sizeof spaces);
        margin = sat_chat_text(run, spaces, count < 0 ? 0 : (size_t)count, true);
        if (!margin)
            return false;
    }
    if (text->safe)
        return sat_chat_fail(run, SATCHEL_UNSUPPORTED, "indent() of Markup");
    chat_builder builder = {0};
    if (first && !sat_chat_build_text(run, &builder, margin))
        return false;
    /* Jinja appends a line break before it cuts lines: an end without one is a line's end, an end
     * with one leaves an empty line. So the last round stands at the text's end. */
    for (size_t at = 0, next, line = 0; at <= text->length; at = next, line++) {
        size_t end = sat_chat_line(text, at, &next);
        bool last = next == text->length && end == next;
        if (line && (blank || end > at) && !sat_chat_build_text(run, &builder, margin))
            return false;
        if (!sat_chat_build_part(run, &builder, text, at, end))
            return false;
        if (last)
            break;
        if (!sat_chat_build(run, &builder, "\n", 1, NULL, sat_chat_mark_of(text, end, next)))
            return false;
    }
    return give(sat_chat_built(run, &builder), out);
}

/* ---- numbers */

/* int() and float() of a text: decimal digits with signs, underscores and spaces around as Python
 * reads them. */
static bool read_number(chat_run *run, const chat_text *text, bool whole, chat_value *out) {
    char digits[64];
    size_t count = 0;
    const chat_text *bare = sat_chat_strip(run, text, NULL, 3);
    out->kind = CHAT_ABSENT;
    if (!bare || bare->length >= sizeof digits)
        return bare != NULL;
    for (size_t i = 0; i < bare->length; i++) {
        char c = bare->data[i];
        bool digit = c >= '0' && c <= '9';
        if (c == '_') {
            if (!count || i + 1 == bare->length || bare->data[i - 1] < '0' ||
                bare->data[i - 1] > '9' || bare->data[i + 1] < '0' || bare->data[i + 1] > '9')
                return true;
            continue;
        }
        if (!digit && !((c == '+' || c == '-') && (!count || digits[count - 1] == 'e')) &&
            (whole || (c != '.' && c != 'e' && c != 'E')))
            return true;
        digits[count++] = c == 'E' ? 'e' : c;
    }
    digits[count] = '\0';
    char *end = NULL;
    bool trusted = sat_chat_all_trusted(text, 0, text->length);
    if (whole) {
        int64_t integer = 0;
        size_t i = count && (digits[0] == '-' || digits[0] == '+');
        if (i == count)
            return true;
        for (; i < count; i++)
            if (__builtin_mul_overflow(integer, 10, &integer) ||
                __builtin_sub_overflow(integer, digits[i] - '0', &integer))
                return sat_chat_fail(run, SATCHEL_LIMIT, "int() of more than 64 bits");
        if (digits[0] != '-' && __builtin_sub_overflow(0, integer, &integer))
            return sat_chat_fail(run, SATCHEL_LIMIT, "int() of more than 64 bits");
        *out = chat_int(integer, trusted);
        return true;
    }
    double real = strtod(digits, &end);
    if (end == digits + count && count)
        *out = chat_float(real, trusted);
    return true;
}

FILTER(to_int) {
    int64_t base;
    *out = call->argument[0].kind == CHAT_ABSENT ? chat_int(0, true) : call->argument[0];
    if (!sat_chat_want_int(run, call, 1, 10, &base))
        return false;
    if (base != 10)
        return sat_chat_fail(run, SATCHEL_UNSUPPORTED, "int() with another base than 10");
    chat_value read = {.kind = CHAT_ABSENT};
    if (self->kind == CHAT_INT || self->kind == CHAT_BOOL) {
        *out = chat_int(chat_integer(self), self->trusted);
        return true;
    }
    if (self->kind == CHAT_FLOAT) {
        read = *self;
    } else if (self->kind == CHAT_TEXT) {
        if (!read_number(run, self->as.text, true, &read))
            return false;
        if (read.kind == CHAT_INT) {
            *out = read;
            return true;
        }
        if (!read_number(run, self->as.text, false, &read))
            return false;
    } else if (self->kind == CHAT_UNDEFINED) {
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "int() of what is undefined");
    }
    if (read.kind == CHAT_FLOAT) {
        if (!(fabs(read.as.real) < 9e18))
            return sat_chat_fail(run, SATCHEL_LIMIT, "int() of more than 64 bits");
        *out = chat_int((int64_t)read.as.real, read.trusted);
    }
    return true;
}
FILTER(to_float) {
    *out = call->argument[0].kind == CHAT_ABSENT ? chat_float(0, true) : call->argument[0];
    chat_value read = {.kind = CHAT_ABSENT};
    if (self->kind == CHAT_UNDEFINED)
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "float() of what is undefined");
    if (self->kind == CHAT_TEXT && !read_number(run, self->as.text, false, &read))
        return false;
    if (self->kind == CHAT_FLOAT)
        read = *self;
    if (self->kind == CHAT_INT || self->kind == CHAT_BOOL)
        read = chat_float((double)chat_integer(self), self->trusted);
    if (read.kind == CHAT_FLOAT)
        *out = read;
    return true;
}
FILTER(absolute) {
    bool minus = chat_is_number(self) &&
                 (self->kind == CHAT_FLOAT ? signbit(self->as.real) != 0 : chat_integer(self) < 0);
    return sat_chat_negate(run, self, minus, out);
}

static const chat_native filters[] = {
    {"abs", "", 0, absolute},
    {"capitalize", "", 0, capitalize},
    {"count", "", 0, length},
    {"d", "default_value,boolean", 0, otherwise},
    {"default", "default_value,boolean", 0, otherwise},
    {"e", "", 0, escape},
    {"escape", "", 0, escape},
    {"float", "default", 0, to_float},
    {"indent", "width,first,blank", 0, indent},
    {"int", "default,base", 0, to_int},
    {"length", "", 0, length},
    {"lower", "", 0, lower},
    {"replace", "old,new,count", 2, replace},
    {"safe", "", 0, safe},
    {"string", "", 0, string},
    {"tojson", "ensure_ascii,indent,separators,sort_keys", 0, tojson},
    {"trim", "chars", 0, trim},
    {"upper", "", 0, upper},
};

const chat_native *sat_chat_filter(const char *name, size_t length_) {
    const chat_native *found = sat_chat_find_native(filters, SAT_COUNT(filters), name, length_);
    return found ? found : sat_chat_sequence_filter(name, length_);
}
