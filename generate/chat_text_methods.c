/* Methods of texts, with Python's meaning. */
#include <string.h>
#include <utf8proc.h>

#include "generate/chat_parts.h"

#define METHOD(name)                                                                               \
    static bool name(chat_run *run, const chat_value *self, const chat_call *call, chat_value *out)

static bool give(const chat_text *text, chat_value *out) {
    *out = chat_of(text);
    return text != NULL;
}

/* A piece of a text; a failure if it is Markup, whose methods escape what they are given. */
static bool refuse_markup(chat_run *run, const chat_value *self, const chat_call *call) {
    return !self->as.text->safe ||
           sat_chat_fail(run, SATCHEL_UNSUPPORTED, "%s() of Markup", call->name);
}

static bool strip(chat_run *run, const chat_value *self, const chat_call *call, chat_value *out,
                  int sides) {
    const chat_text *set = NULL;
    if (call->argument[0].kind != CHAT_ABSENT && call->argument[0].kind != CHAT_NONE &&
        !sat_chat_want_text(run, call, 0, &set))
        return false;
    return give(sat_chat_strip(run, self->as.text, set, sides), out);
}
METHOD(strip_left) {
    return strip(run, self, call, out, 1);
}
METHOD(strip_right) {
    return strip(run, self, call, out, 2);
}
METHOD(strip_both) {
    return strip(run, self, call, out, 3);
}
METHOD(upper) {
    return give(sat_chat_recase(run, self->as.text, CHAT_UPPER), out);
}
METHOD(lower) {
    return give(sat_chat_recase(run, self->as.text, CHAT_LOWER), out);
}
METHOD(capitalize) {
    return give(sat_chat_recase(run, self->as.text, CHAT_CAPITALIZE), out);
}
METHOD(title) {
    return give(sat_chat_recase(run, self->as.text, CHAT_TITLE), out);
}

/* One text or a tuple of them. */
static bool affix(chat_run *run, const chat_value *self, const chat_call *call, bool at_end,
                  bool *found) {
    const chat_text *text = self->as.text;
    const chat_value *given = &call->argument[0];
    bool many = given->kind == CHAT_TUPLE;
    *found = false;
    for (size_t i = 0; i < (many ? given->as.list->count : 1); i++) {
        const chat_value *one = many ? &given->as.list->items[i] : given;
        if (one->kind != CHAT_TEXT)
            return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "%s() wants a str, not a %s",
                                 call->name, sat_chat_kind(one));
        size_t length = one->as.text->length;
        if (length <= text->length && memcmp(text->data + (at_end ? text->length - length : 0),
                                             one->as.text->data, length) == 0)
            *found = true;
    }
    return true;
}
METHOD(starts_with) {
    bool found;
    if (!affix(run, self, call, false, &found))
        return false;
    *out = chat_bool(found);
    return true;
}
METHOD(ends_with) {
    bool found;
    if (!affix(run, self, call, true, &found))
        return false;
    *out = chat_bool(found);
    return true;
}
METHOD(remove_prefix) {
    bool found;
    const chat_text *prefix;
    if (!sat_chat_want_text(run, call, 0, &prefix) || !affix(run, self, call, false, &found))
        return false;
    return give(
        sat_chat_part(run, self->as.text, found ? prefix->length : 0, self->as.text->length), out);
}
METHOD(remove_suffix) {
    bool found;
    const chat_text *suffix;
    if (!sat_chat_want_text(run, call, 0, &suffix) || !affix(run, self, call, true, &found))
        return false;
    return give(
        sat_chat_part(run, self->as.text, 0, self->as.text->length - (found ? suffix->length : 0)),
        out);
}

/* Of the last occurrence that ends at `end` or before, or SIZE_MAX. */
static bool find_last(chat_run *run, const chat_text *text, const chat_text *part, size_t end,
                      size_t *found) {
    *found = SIZE_MAX;
    if (part->length > end)
        return true;
    for (size_t at = end - part->length;; at--) {
        if (memcmp(text->data + at, part->data, part->length) == 0) {
            *found = at;
            break;
        }
        if (at == 0)
            break;
    }
    size_t looked = end - (*found == SIZE_MAX ? 0 : *found);
    return sat_chat_work(run, looked / 8 + looked / 64 * (part->length / 64));
}

static bool find(chat_run *run, const chat_value *self, const chat_call *call, bool last,
                 int64_t *index) {
    const chat_text *text = self->as.text, *part;
    size_t at;
    if (!sat_chat_want_text(run, call, 0, &part) || !sat_chat_work(run, text->length / 64))
        return false;
    if (call->argument[1].kind != CHAT_ABSENT)
        return sat_chat_fail(run, SATCHEL_UNSUPPORTED, "%s() with a start", call->name);
    if (!last)
        at = sat_chat_find(text, part, 0);
    else if (!find_last(run, text, part, text->length, &at))
        return false;
    *index = -1;
    if (at != SIZE_MAX) {
        *index = 0;
        for (size_t i = 0; i < at; i++)
            *index += ((uint8_t)text->data[i] & 0xC0) != 0x80;
    }
    return true;
}
METHOD(find_first) {
    int64_t index = -1;
    if (!find(run, self, call, false, &index))
        return false;
    *out = chat_int(index, true);
    return true;
}
METHOD(find_from_right) {
    int64_t index = -1;
    if (!find(run, self, call, true, &index))
        return false;
    *out = chat_int(index, true);
    return true;
}
METHOD(index_of) {
    int64_t index = -1;
    if (!find(run, self, call, false, &index))
        return false;
    *out = chat_int(index, true);
    return index >= 0 || sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "index(): not found");
}
METHOD(count_of) {
    const chat_text *text = self->as.text, *part;
    if (!sat_chat_want_text(run, call, 0, &part) || !sat_chat_work(run, text->length / 32))
        return false;
    int64_t count = 0;
    if (!part->length)
        count = (int64_t)text->characters + 1;
    else
        for (size_t at = 0; (at = sat_chat_find(text, part, at)) != SIZE_MAX; at += part->length)
            count++;
    *out = chat_int(count, true);
    return true;
}

METHOD(replace) {
    const chat_text *old, *new;
    int64_t most;
    if (!refuse_markup(run, self, call) || !sat_chat_want_text(run, call, 0, &old) ||
        !sat_chat_want_text(run, call, 1, &new) || !sat_chat_want_int(run, call, 2, -1, &most))
        return false;
    return give(sat_chat_replace(run, self->as.text, old, new, most), out);
}

METHOD(join) {
    const chat_list *items;
    if (!refuse_markup(run, self, call) || !sat_chat_items(run, &call->argument[0], &items))
        return false;
    return give(sat_chat_join(run, self->as.text, items, true), out);
}

/* ------------------------------------------------------------------ splitting */

/* Bounds of the pieces first, then the list. */

typedef struct pieces {
    size_t *bounds; /* from and to in turn */
    size_t count, capacity;
} pieces;

static bool add_piece(chat_run *run, pieces *p, size_t from, size_t to) {
    if (p->count == p->capacity) {
        size_t capacity = p->capacity ? 2 * p->capacity : 16;
        size_t *bounds = sat_chat_alloc(run, capacity, 2 * sizeof *bounds);
        if (!bounds)
            return false;
        if (p->count)
            memcpy(bounds, p->bounds, p->count * 2 * sizeof *bounds);
        p->bounds = bounds;
        p->capacity = capacity;
    }
    p->bounds[2 * p->count] = from;
    p->bounds[2 * p->count++ + 1] = to;
    return true;
}

static bool give_pieces(chat_run *run, const chat_text *text, const pieces *p, bool backwards,
                        chat_value *out) {
    chat_list *list = sat_chat_list(run, p->count);
    if (!list)
        return false;
    for (size_t i = 0; i < p->count; i++) {
        size_t from = backwards ? p->count - 1 - i : i;
        const chat_text *part =
            sat_chat_part(run, text, p->bounds[2 * from], p->bounds[2 * from + 1]);
        if (!part)
            return false;
        list->items[i] = chat_of(part);
    }
    *out = sat_chat_list_value(list, CHAT_LIST, sat_chat_all_trusted(text, 0, text->length));
    return sat_chat_list_done(run, list);
}

static bool split_spaces(chat_run *run, const chat_text *text, int64_t most, pieces *p) {
    size_t at = 0, start = SIZE_MAX;
    while (at < text->length) {
        int32_t code;
        size_t size = sat_utf8_decode(text->data + at, text->length - at, &code);
        bool space = sat_chat_space(code);
        if (!space && start == SIZE_MAX) {
            start = at;
            if (most >= 0 && p->count == (uint64_t)most) /* the rest in one */
                break;
        } else if (space && start != SIZE_MAX) {
            if (!add_piece(run, p, start, at))
                return false;
            start = SIZE_MAX;
        }
        at += size;
    }
    return start == SIZE_MAX || add_piece(run, p, start, text->length);
}

static bool split_parameters(chat_run *run, const chat_value *self, const chat_call *call,
                             const chat_text **separator, int64_t *most) {
    *separator = NULL;
    if (call->argument[0].kind != CHAT_ABSENT && call->argument[0].kind != CHAT_NONE &&
        !sat_chat_want_text(run, call, 0, separator))
        return false;
    if (*separator && !(*separator)->length)
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "%s() by an empty text", call->name);
    return sat_chat_want_int(run, call, 1, -1, most) &&
           sat_chat_work(run, self->as.text->length / 32);
}

METHOD(split) {
    const chat_text *text = self->as.text, *separator;
    int64_t most;
    pieces p = {0};
    if (!split_parameters(run, self, call, &separator, &most))
        return false;
    if (!separator)
        return split_spaces(run, text, most, &p) && give_pieces(run, text, &p, false, out);
    size_t from = 0, found;
    while ((most < 0 || p.count < (uint64_t)most) &&
           (found = sat_chat_find(text, separator, from)) != SIZE_MAX) {
        if (!add_piece(run, &p, from, found))
            return false;
        from = found + separator->length;
    }
    return add_piece(run, &p, from, text->length) && give_pieces(run, text, &p, false, out);
}

METHOD(split_from_right) {
    const chat_text *text = self->as.text, *separator;
    int64_t most;
    pieces p = {0};
    if (!split_parameters(run, self, call, &separator, &most))
        return false;
    if (!separator && most >= 0)
        return sat_chat_fail(run, SATCHEL_UNSUPPORTED, "rsplit() by white space with a limit");
    if (!separator)
        return split_spaces(run, text, -1, &p) && give_pieces(run, text, &p, false, out);
    size_t end = text->length, found;
    while (most < 0 || p.count < (uint64_t)most) {
        if (!find_last(run, text, separator, end, &found))
            return false;
        if (found == SIZE_MAX)
            break;
        if (!add_piece(run, &p, found + separator->length, end))
            return false;
        end = found;
    }
    return add_piece(run, &p, 0, end) && give_pieces(run, text, &p, true, out);
}

METHOD(split_lines) {
    const chat_text *text = self->as.text;
    bool keep = sat_chat_truth(&call->argument[0]);
    pieces p = {0};
    for (size_t at = 0, next; at < text->length; at = next) {
        size_t end = sat_chat_line(text, at, &next);
        if (!add_piece(run, &p, at, keep ? next : end))
            return false;
    }
    return give_pieces(run, text, &p, false, out);
}

static bool partition(chat_run *run, const chat_value *self, const chat_call *call, bool last,
                      chat_value *out) {
    const chat_text *text = self->as.text, *separator;
    size_t found;
    if (!sat_chat_want_text(run, call, 0, &separator) || !sat_chat_work(run, text->length / 64))
        return false;
    if (!separator->length)
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "%s() by an empty text", call->name);
    if (!last)
        found = sat_chat_find(text, separator, 0);
    else if (!find_last(run, text, separator, text->length, &found))
        return false;
    size_t end = text->length, bounds[6] = {0, end, end, end, end, end};
    if (found != SIZE_MAX) {
        bounds[1] = bounds[2] = found;
        bounds[3] = bounds[4] = found + separator->length;
    } else if (last) {
        memset(bounds, 0, 5 * sizeof *bounds);
    }
    pieces p = {bounds, 3, 3};
    if (!give_pieces(run, text, &p, false, out))
        return false;
    out->kind = CHAT_TUPLE;
    return true;
}
METHOD(partition_first) {
    return partition(run, self, call, false, out);
}
METHOD(partition_last) {
    return partition(run, self, call, true, out);
}

/* ------------------------------------------------------------------ classes */

/* True if there are characters and all are of the class. */
static bool all_of(const chat_text *text, bool (*is)(int32_t), chat_value *out) {
    bool all = text->length > 0;
    for (size_t at = 0, size; at < text->length && all; at += size) {
        int32_t code;
        size = sat_utf8_decode(text->data + at, text->length - at, &code);
        all = is(code);
    }
    *out = chat_bool(all);
    return true;
}
static bool is_decimal(int32_t code) {
    return utf8proc_category(code) == UTF8PROC_CATEGORY_ND;
}
static bool is_letter_or_decimal(int32_t code) {
    return sat_is_letter(code) || sat_is_digit(code);
}
/* Superscripts and the like are digits to Python too; none is a decimal, and no table of ours has
 * them. */
static bool has_odd_digits(const chat_text *text) {
    for (size_t at = 0, size; at < text->length; at += size) {
        int32_t code;
        size = sat_utf8_decode(text->data + at, text->length - at, &code);
        utf8proc_category_t category = utf8proc_category(code);
        if (category == UTF8PROC_CATEGORY_NO || category == UTF8PROC_CATEGORY_NL)
            return true;
    }
    return false;
}
METHOD(is_digit) {
    if (has_odd_digits(self->as.text))
        return sat_chat_fail(run, SATCHEL_UNSUPPORTED, "%s() of such digits", call->name);
    return all_of(self->as.text, is_decimal, out);
}
METHOD(is_alpha) {
    return all_of(self->as.text, sat_is_letter, out);
}
METHOD(is_alnum) {
    if (has_odd_digits(self->as.text))
        return sat_chat_fail(run, SATCHEL_UNSUPPORTED, "%s() of such digits", call->name);
    return all_of(self->as.text, is_letter_or_decimal, out);
}
METHOD(is_space) {
    return all_of(self->as.text, sat_chat_space, out);
}

/* ------------------------------------------------------------------ format() */

/* "{}", "{0}" and "{name}"; no conversions, no format specifications. */
METHOD(format) {
    const chat_text *text = self->as.text;
    chat_builder builder = {0};
    size_t automatic = 0;
    if (!refuse_markup(run, self, call))
        return false;
    for (size_t at = 0; at < text->length;) {
        size_t plain = at;
        while (plain < text->length && text->data[plain] != '{' && text->data[plain] != '}')
            plain++;
        if (plain > at && !sat_chat_build_part(run, &builder, text, at, plain))
            return false;
        at = plain;
        if (at == text->length)
            break;
        char brace = text->data[at];
        if (at + 1 < text->length && text->data[at + 1] == brace) {
            if (!sat_chat_build_part(run, &builder, text, at, at + 1))
                return false;
            at += 2;
            continue;
        }
        const char *close = brace == '{' ? memchr(text->data + at, '}', text->length - at) : NULL;
        if (!close)
            return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "format(): a single '%c'", brace);
        const char *field = text->data + at + 1;
        size_t length = (size_t)(close - field), index = 0;
        const chat_value *value = NULL;
        bool number = length > 0 && length < 4, name = true;
        for (size_t i = 0; i < length; i++) {
            number = number && field[i] >= '0' && field[i] <= '9';
            index = number ? index * 10 + (size_t)(field[i] - '0') : index;
            name = name && (field[i] == '_' || (uint8_t)field[i] >= 0x80 ||
                            sat_is_letter(field[i]) || (field[i] >= '0' && field[i] <= '9'));
        }
        if (!name)
            return sat_chat_fail(run, SATCHEL_UNSUPPORTED, "format() with \"{%.*s}\"",
                                 (int)(length < 40 ? length : 40), field);
        if (!length || number) {
            index = length ? index : automatic++;
            value = index < call->count ? &call->position[index] : NULL;
        } else {
            for (size_t i = 0; i < call->keyword_count; i++) {
                const chat_text *key = call->keywords[2 * i].as.text;
                if (key->length == length && memcmp(key->data, field, length) == 0)
                    value = &call->keywords[2 * i + 1];
            }
        }
        if (!value)
            return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "format(): nothing for \"{%.*s}\"",
                                 (int)(length < 40 ? length : 40), field);
        const chat_text *spelled = sat_chat_string(run, value);
        if (!spelled || !sat_chat_build_text(run, &builder, spelled))
            return false;
        at = (size_t)(close - text->data) + 1;
    }
    return give(sat_chat_built(run, &builder), out);
}

/* ------------------------------------------------------------------ by name */

static const chat_native of_texts[] = {
    {"capitalize", "", 0, capitalize},
    {"count", "sub", 1, count_of},
    {"endswith", "suffix", 1, ends_with},
    {"find", "sub,start", 1, find_first},
    {"format", NULL, 0, format},
    {"index", "sub,start", 1, index_of},
    {"isalnum", "", 0, is_alnum},
    {"isalpha", "", 0, is_alpha},
    {"isdecimal", "", 0, is_digit},
    {"isdigit", "", 0, is_digit},
    {"isspace", "", 0, is_space},
    {"join", "iterable", 1, join},
    {"lower", "", 0, lower},
    {"lstrip", "chars", 0, strip_left},
    {"partition", "sep", 1, partition_first},
    {"removeprefix", "prefix", 1, remove_prefix},
    {"removesuffix", "suffix", 1, remove_suffix},
    {"replace", "old,new,count", 2, replace},
    {"rfind", "sub,start", 1, find_from_right},
    {"rpartition", "sep", 1, partition_last},
    {"rsplit", "sep,maxsplit", 0, split_from_right},
    {"rstrip", "chars", 0, strip_right},
    {"split", "sep,maxsplit", 0, split},
    {"splitlines", "keepends", 0, split_lines},
    {"startswith", "prefix", 1, starts_with},
    {"strip", "chars", 0, strip_both},
    {"title", "", 0, title},
    {"upper", "", 0, upper},
};

const chat_native *sat_chat_text_method(const char *name, size_t length) {
    return sat_chat_find_native(of_texts, SAT_COUNT(of_texts), name, length);
}
