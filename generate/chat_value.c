/*
 * Values of chat templates: truth, equality, order, membership, how they are spelled, and how lists
 * and dicts are made. All as Python has it. Containers know their depth, which is bounded when they
 * are made: what walks down into them may recurse.
 */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

#include "generate/chat_parts.h"

const char *sat_chat_kind(const chat_value *value) {
    static const char *const names[] = {"nothing", "undefined", "NoneType", "bool",      "int",
                                        "float",   "str",       "list",     "tuple",     "dict",
                                        "range",   "dict view", "iterator", "namespace", "loop",
                                        "macro",   "function",  "method"};
    return names[value->kind];
}

bool sat_chat_truth(const chat_value *value) {
    switch (value->kind) {
    case CHAT_ABSENT:
    case CHAT_UNDEFINED:
    case CHAT_NONE:
        return false;
    case CHAT_BOOL:
        return value->as.boolean;
    case CHAT_INT:
        return value->as.integer != 0;
    case CHAT_FLOAT:
        return value->as.real != 0;
    case CHAT_TEXT:
        return value->as.text->length > 0;
    case CHAT_LIST:
    case CHAT_TUPLE:
        return value->as.list->count > 0;
    case CHAT_DICT:
        return value->as.dict->count > 0;
    case CHAT_RANGE_OF:
        return value->as.range->count > 0;
    case CHAT_VIEW:
        return value->as.view->dict->count > 0;
    default:
        return true;
    }
}

bool sat_chat_length(chat_run *run, const chat_value *value, size_t *length) {
    switch (value->kind) {
    case CHAT_UNDEFINED:
        *length = 0;
        return true;
    case CHAT_TEXT:
        *length = value->as.text->characters;
        return true;
    case CHAT_LIST:
    case CHAT_TUPLE:
        *length = value->as.list->count;
        return true;
    case CHAT_DICT:
        *length = value->as.dict->count;
        return true;
    case CHAT_RANGE_OF:
        *length = value->as.range->count;
        return true;
    case CHAT_VIEW:
        *length = value->as.view->dict->count;
        return true;
    default:
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "a %s has no length",
                             sat_chat_kind(value));
    }
}

/* ------------------------------------------------------------------ lists and dicts */

chat_list *sat_chat_list(chat_run *run, size_t count) {
    chat_list *list = sat_chat_alloc(run, 1, sizeof *list);
    if (!list)
        return NULL;
    list->count = count;
    list->items = count ? sat_chat_alloc(run, count, sizeof *list->items) : NULL;
    return count && !list->items ? NULL : list;
}

static int depth_of(const chat_value *value) {
    switch (value->kind) {
    case CHAT_LIST:
    case CHAT_TUPLE:
        return value->as.list->depth;
    case CHAT_DICT:
        return value->as.dict->depth;
    case CHAT_VIEW:
        return value->as.view->dict->depth + 1;
    case CHAT_ITERATOR:
        return value->as.iterator->list->depth;
    default:
        return 0;
    }
}

static bool deepen(chat_run *run, int *depth, const chat_value *value) {
    int below = depth_of(value);
    if (below >= CHAT_VALUE_DEPTH)
        return sat_chat_fail(run, SATCHEL_LIMIT,
                             "lists and dicts lie in each other more than %d deep",
                             CHAT_VALUE_DEPTH);
    if (*depth <= below)
        *depth = below + 1;
    return true;
}

bool sat_chat_list_done(chat_run *run, chat_list *list) {
    list->depth = 1;
    for (size_t i = 0; i < list->count; i++)
        if (!deepen(run, &list->depth, &list->items[i]))
            return false;
    return true;
}

chat_value sat_chat_list_value(const chat_list *list, chat_kind kind, bool trusted) {
    return (chat_value){.kind = (uint8_t)kind, .trusted = trusted, .as.list = list};
}

bool sat_chat_iterator(chat_run *run, const chat_list *list, chat_value *out) {
    chat_iterator *iterator = sat_chat_alloc(run, 1, sizeof *iterator);
    if (!iterator)
        return false;
    iterator->list = list;
    *out = (chat_value){.kind = CHAT_ITERATOR, .trusted = true, .as.iterator = iterator};
    return true;
}

/* Where the key stands, or count. */
static bool find_key(chat_run *run, const chat_dict *dict, const chat_value *key, size_t *index) {
    if (key->kind == CHAT_LIST || key->kind == CHAT_DICT || key->kind == CHAT_VIEW)
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "a %s cannot be a key of a dict",
                             sat_chat_kind(key));
    for (*index = 0; *index < dict->count; ++*index) {
        const chat_value *other = &dict->pairs[*index].key;
        if (other->kind == CHAT_TEXT && key->kind == CHAT_TEXT) {
            if (sat_chat_same(other->as.text, key->as.text))
                break;
            continue;
        }
        bool equal;
        if (!sat_chat_equal(run, other, key, &equal))
            return false;
        if (equal)
            break;
    }
    return sat_chat_work(run, *index / 8);
}

bool sat_chat_dict_set(chat_run *run, chat_dict *dict, const chat_value *key,
                       const chat_value *value) {
    size_t index;
    if (!find_key(run, dict, key, &index) || !deepen(run, &dict->depth, key) ||
        !deepen(run, &dict->depth, value))
        return false;
    if (index == dict->count) {
        if (dict->count == dict->capacity) {
            size_t capacity = dict->capacity ? 2 * dict->capacity : 8;
            chat_pair *pairs = sat_chat_alloc(run, capacity, sizeof *pairs);
            if (!pairs)
                return false;
            if (dict->count)
                memcpy(pairs, dict->pairs, dict->count * sizeof *pairs);
            dict->pairs = pairs;
            dict->capacity = capacity;
        }
        dict->pairs[dict->count++].key = *key;
    }
    dict->pairs[index].value = *value;
    return true;
}

bool sat_chat_dict_get(chat_run *run, const chat_dict *dict, const chat_value *key,
                       const chat_value **value) {
    size_t index;
    if (!find_key(run, dict, key, &index))
        return false;
    *value = index < dict->count ? &dict->pairs[index].value : NULL;
    return true;
}

const chat_value *sat_chat_dict_named(const chat_dict *dict, const char *name) {
    for (size_t i = 0; i < dict->count; i++)
        if (dict->pairs[i].key.kind == CHAT_TEXT && sat_chat_is(dict->pairs[i].key.as.text, name))
            return &dict->pairs[i].value;
    return NULL;
}

static bool view_items(chat_run *run, const chat_dict *dict, char which, bool trusted,
                       const chat_list **items) {
    chat_list *list = sat_chat_list(run, dict->count);
    if (!list)
        return false;
    for (size_t i = 0; i < dict->count; i++) {
        const chat_pair *pair = &dict->pairs[i];
        if (which != 'i') {
            list->items[i] = which == 'k' ? pair->key : pair->value;
            continue;
        }
        chat_list *both = sat_chat_list(run, 2);
        if (!both)
            return false;
        both->items[0] = pair->key;
        both->items[1] = pair->value;
        if (!sat_chat_list_done(run, both))
            return false;
        list->items[i] = sat_chat_list_value(both, CHAT_TUPLE, trusted);
    }
    *items = list;
    return sat_chat_list_done(run, list);
}

bool sat_chat_items(chat_run *run, const chat_value *value, const chat_list **items) {
    chat_list *list;
    switch (value->kind) {
    case CHAT_UNDEFINED:
        *items = sat_chat_list(run, 0);
        return *items != NULL;
    case CHAT_LIST:
    case CHAT_TUPLE:
        *items = value->as.list;
        return true;
    case CHAT_DICT:
        return view_items(run, value->as.dict, 'k', value->trusted, items);
    case CHAT_VIEW:
        return view_items(run, value->as.view->dict, value->as.view->which, value->trusted, items);
    case CHAT_ITERATOR: {
        chat_iterator *iterator = value->as.iterator;
        chat_list *rest = sat_chat_list(run, 0);
        if (!rest)
            return false;
        rest->count = iterator->list->count - iterator->at;
        rest->items = rest->count ? iterator->list->items + iterator->at : NULL;
        rest->depth = iterator->list->depth;
        iterator->at = iterator->list->count;
        *items = rest;
        return true;
    }
    case CHAT_TEXT: {
        const chat_text *text = value->as.text;
        list = sat_chat_list(run, text->characters);
        if (!list)
            return false;
        for (size_t i = 0, at = 0, size; at < text->length; i++, at += size) {
            int32_t code;
            size = sat_utf8_decode(text->data + at, text->length - at, &code);
            const chat_text *one = sat_chat_part(run, text, at, at + size);
            if (!one)
                return false;
            list->items[i] = chat_of(one);
        }
        list->depth = 1;
        *items = list;
        return true;
    }
    case CHAT_RANGE_OF: {
        const chat_range *range = value->as.range;
        list = sat_chat_list(run, range->count);
        if (!list)
            return false;
        for (size_t i = 0; i < range->count; i++)
            list->items[i] = chat_int(range->start + (int64_t)i * range->step, value->trusted);
        list->depth = 1;
        *items = list;
        return true;
    }
    default:
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "a %s cannot be walked over",
                             sat_chat_kind(value));
    }
}

/* ------------------------------------------------------------------ equality and order */

bool sat_chat_equal(chat_run *run, const chat_value *a, const chat_value *b, bool *equal) {
    *equal = false;
    if (!sat_chat_work(run, 1))
        return false;
    if (chat_is_number(a) && chat_is_number(b)) {
        if (a->kind != CHAT_FLOAT && b->kind != CHAT_FLOAT)
            *equal = chat_integer(a) == chat_integer(b);
        else
            *equal = (a->kind == CHAT_FLOAT ? a->as.real : (double)chat_integer(a)) ==
                     (b->kind == CHAT_FLOAT ? b->as.real : (double)chat_integer(b));
        return true;
    }
    if (a->kind != b->kind)
        return true;
    switch (a->kind) {
    case CHAT_UNDEFINED:
    case CHAT_NONE:
        *equal = true;
        return true;
    case CHAT_TEXT:
        *equal = sat_chat_same(a->as.text, b->as.text);
        return sat_chat_work(run, *equal ? a->as.text->length / 64 : 0);
    case CHAT_LIST:
    case CHAT_TUPLE: {
        const chat_list *left = a->as.list, *right = b->as.list;
        if (left->count != right->count)
            return true;
        for (size_t i = 0; i < left->count; i++)
            if (!sat_chat_equal(run, &left->items[i], &right->items[i], equal))
                return false;
            else if (!*equal)
                return true;
        *equal = true;
        return true;
    }
    case CHAT_DICT: {
        const chat_dict *left = a->as.dict, *right = b->as.dict;
        if (left->count != right->count)
            return true;
        for (size_t i = 0; i < left->count; i++) {
            const chat_value *other;
            if (!sat_chat_dict_get(run, right, &left->pairs[i].key, &other))
                return false;
            if (!other)
                return true;
            if (!sat_chat_equal(run, &left->pairs[i].value, other, equal))
                return false;
            if (!*equal)
                return true;
        }
        *equal = true;
        return true;
    }
    case CHAT_RANGE_OF:
        *equal = a->as.range->count == b->as.range->count &&
                 (!a->as.range->count ||
                  (a->as.range->start == b->as.range->start &&
                   (a->as.range->count == 1 || a->as.range->step == b->as.range->step)));
        return true;
    case CHAT_VIEW:
        return sat_chat_fail(run, SATCHEL_UNSUPPORTED, "comparing views of a dict");
    default:
        *equal = a->as.loop == b->as.loop;
        return true; /* the same object */
    }
}

bool sat_chat_compare(chat_run *run, const chat_value *a, const chat_value *b, const char *symbol,
                      int *order) {
    if (!sat_chat_work(run, 1))
        return false;
    if (chat_is_number(a) && chat_is_number(b)) {
        if (a->kind != CHAT_FLOAT && b->kind != CHAT_FLOAT) {
            int64_t left = chat_integer(a), right = chat_integer(b);
            *order = (left > right) - (left < right);
            return true;
        }
        double left = a->kind == CHAT_FLOAT ? a->as.real : (double)chat_integer(a);
        double right = b->kind == CHAT_FLOAT ? b->as.real : (double)chat_integer(b);
        if (left != left || right != right)
            return sat_chat_fail(run, SATCHEL_UNSUPPORTED, "ordering of NaN");
        *order = (left > right) - (left < right);
        return true;
    }
    if (a->kind == CHAT_TEXT && b->kind == CHAT_TEXT) {
        *order = sat_chat_order(a->as.text, b->as.text);
        return true;
    }
    if (chat_is_list(a) && a->kind == b->kind) {
        const chat_list *left = a->as.list, *right = b->as.list;
        for (size_t i = 0; i < left->count && i < right->count; i++) {
            bool equal;
            if (!sat_chat_equal(run, &left->items[i], &right->items[i], &equal))
                return false;
            if (!equal)
                return sat_chat_compare(run, &left->items[i], &right->items[i], symbol, order);
        }
        *order = (left->count > right->count) - (left->count < right->count);
        return true;
    }
    return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "%s between %s and %s", symbol,
                         sat_chat_kind(a), sat_chat_kind(b));
}

bool sat_chat_contains(chat_run *run, const chat_value *container, const chat_value *item,
                       bool *found) {
    *found = false;
    if (container->kind == CHAT_TEXT) {
        if (item->kind != CHAT_TEXT)
            return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "a %s is sought in a str",
                                 sat_chat_kind(item));
        *found = sat_chat_find(container->as.text, item->as.text, 0) != SIZE_MAX;
        return sat_chat_work(run, container->as.text->length / 64);
    }
    if (container->kind == CHAT_DICT) {
        const chat_value *value;
        if (!sat_chat_dict_get(run, container->as.dict, item, &value))
            return false;
        *found = value != NULL;
        return true;
    }
    const chat_list *items;
    if (!sat_chat_items(run, container, &items))
        return false;
    for (size_t i = 0; i < items->count && !*found; i++)
        if (!sat_chat_equal(run, &items->items[i], item, found))
            return false;
    return true;
}

/* ------------------------------------------------------------------ spelling */

static bool build(chat_run *run, chat_builder *builder, const char *text, chat_mark mark) {
    return sat_chat_build(run, builder, text, strlen(text), NULL, mark);
}

/* The shortest digits that read back as the same, in Python's layout. */
static void spell_real(char out[64], double real, bool json) {
    if (real != real) {
        snprintf(out, 64, "%s", json ? "NaN" : "nan");
        return;
    }
    if (real > DBL_MAX || real < -DBL_MAX) {
        snprintf(out, 64, "%s%s", real < 0 ? "-" : "", json ? "Infinity" : "inf");
        return;
    }
    char digits[40];
    int precision = 1;
    do
        snprintf(digits, sizeof digits, "%.*e", precision - 1, real);
    while (strtod(digits, NULL) != real && ++precision <= 17);
    int exponent = atoi(strchr(digits, 'e') + 1);
    if (exponent >= -4 && exponent < 16) {
        int decimals = precision - 1 - exponent;
        snprintf(out, 64, "%.*f", decimals < 1 ? 1 : decimals, real);
        return;
    }
    *strchr(digits, 'e') = '\0';
    snprintf(out, 64, "%se%c%02d", digits, exponent < 0 ? '-' : '+', abs(exponent));
}

bool sat_chat_build_number(chat_run *run, chat_builder *builder, const chat_value *value,
                           bool json) {
    char spelled[64];
    if (value->kind == CHAT_BOOL)
        snprintf(spelled, sizeof spelled, "%s",
                 json ? (value->as.boolean ? "true" : "false")
                      : (value->as.boolean ? "True" : "False"));
    else if (value->kind == CHAT_INT)
        snprintf(spelled, sizeof spelled, "%" PRId64, value->as.integer);
    else
        spell_real(spelled, value->as.real, json);
    return build(run, builder, spelled, value->trusted);
}

/* str.isprintable of a character. */
static bool is_printable(int32_t code) {
    if (code < 0x7F)
        return code >= ' ';
    switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
        return false;
    default:
        return true;
    }
}

/* A text in quotes. What is escaped keeps its mark; the quotes have the text's. */
static bool repr_text(chat_run *run, chat_builder *builder, const chat_text *text) {
    bool single = memchr(text->data, '\'', text->length) != NULL;
    bool twice = memchr(text->data, '"', text->length) != NULL;
    char quote = single && !twice ? '"' : '\'';
    bool all = sat_chat_all_trusted(text, 0, text->length);
    if (!sat_chat_build(run, builder, &quote, 1, NULL, all))
        return false;
    for (size_t at = 0, size; at < text->length; at += size) {
        int32_t code;
        size = sat_utf8_decode(text->data + at, text->length - at, &code);
        chat_mark mark = sat_chat_mark_of(text, at, at + size);
        char escape[16];
        if (code == quote || code == '\\')
            snprintf(escape, sizeof escape, "\\%c", (char)code);
        else if (code == '\n' || code == '\r' || code == '\t')
            snprintf(escape, sizeof escape, "\\%c", code == '\n' ? 'n' : code == '\r' ? 'r' : 't');
        else if (is_printable(code)) {
            if (!sat_chat_build_part(run, builder, text, at, at + size))
                return false;
            continue;
        } else
            snprintf(escape, sizeof escape,
                     code < 0x100     ? "\\x%02x"
                     : code < 0x10000 ? "\\u%04x"
                                      : "\\U%08x",
                     (unsigned)code);
        if (!build(run, builder, escape, mark))
            return false;
    }
    return sat_chat_build(run, builder, &quote, 1, NULL, all);
}

static bool repr_list(chat_run *run, chat_builder *builder, const chat_list *list, const char *open,
                      const char *close, bool trusted) {
    if (!build(run, builder, open, trusted))
        return false;
    for (size_t i = 0; i < list->count; i++)
        if ((i && !build(run, builder, ", ", trusted)) ||
            !sat_chat_repr(run, builder, &list->items[i]))
            return false;
    return build(run, builder, close, trusted);
}

/* Recurses no deeper than CHAT_VALUE_DEPTH. */
bool sat_chat_repr(chat_run *run, chat_builder *builder, const chat_value *value) {
    bool trusted = value->trusted;
    switch (value->kind) {
    case CHAT_UNDEFINED:
        return build(run, builder, "Undefined", trusted);
    case CHAT_NONE:
        return build(run, builder, "None", trusted);
    case CHAT_BOOL:
    case CHAT_INT:
    case CHAT_FLOAT:
        return sat_chat_build_number(run, builder, value, false);
    case CHAT_TEXT:
        if (value->as.text->safe)
            return sat_chat_fail(run, SATCHEL_UNSUPPORTED, "spelling of a list that holds Markup");
        return repr_text(run, builder, value->as.text);
    case CHAT_LIST:
        return repr_list(run, builder, value->as.list, "[", "]", trusted);
    case CHAT_TUPLE:
        return repr_list(run, builder, value->as.list, "(", value->as.list->count == 1 ? ",)" : ")",
                         trusted);
    case CHAT_DICT: {
        const chat_dict *dict = value->as.dict;
        if (!build(run, builder, "{", trusted))
            return false;
        for (size_t i = 0; i < dict->count; i++)
            if ((i && !build(run, builder, ", ", trusted)) ||
                !sat_chat_repr(run, builder, &dict->pairs[i].key) ||
                !build(run, builder, ": ", trusted) ||
                !sat_chat_repr(run, builder, &dict->pairs[i].value))
                return false;
        return build(run, builder, "}", trusted);
    }
    case CHAT_RANGE_OF: {
        const chat_range *range = value->as.range;
        char spelled[80];
        snprintf(spelled, sizeof spelled,
                 range->step == 1 ? "range(%" PRId64 ", %" PRId64 ")"
                                  : "range(%" PRId64 ", %" PRId64 ", %" PRId64 ")",
                 range->start, range->stop, range->step);
        return build(run, builder, spelled, trusted);
    }
    case CHAT_VIEW: {
        const chat_list *items;
        char which = value->as.view->which;
        return sat_chat_items(run, value, &items) && repr_list(run, builder, items,
                                                               which == 'k'   ? "dict_keys(["
                                                               : which == 'v' ? "dict_values(["
                                                                              : "dict_items([",
                                                               "])", trusted);
    }
    default:
        return sat_chat_fail(run, SATCHEL_UNSUPPORTED, "printing a %s", sat_chat_kind(value));
    }
}

const chat_text *sat_chat_string(chat_run *run, const chat_value *value) {
    if (value->kind == CHAT_TEXT)
        return value->as.text;
    chat_builder builder = {0};
    if (value->kind != CHAT_UNDEFINED && !sat_chat_repr(run, &builder, value))
        return NULL;
    return sat_chat_built(run, &builder);
}
