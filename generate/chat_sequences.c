/* Filters on sequences: selecting, mapping, sorting, joining. What gives a generator in Jinja gives
 * an iterator, which can be walked once and has no length. */
#include <string.h>

#include "generate/chat_parts.h"

#define FILTER(name)                                                                               \
    static bool name(chat_run *run, const chat_value *self, const chat_call *call, chat_value *out)

static bool give(const chat_text *text, chat_value *out) {
    *out = chat_of(text);
    return text != NULL;
}

static bool give_list(chat_run *run, chat_list *list, bool trusted, chat_value *out) {
    *out = sat_chat_list_value(list, CHAT_LIST, trusted);
    return sat_chat_list_done(run, list);
}

/* As Jinja's make_attrgetter: names and numbers parted by dots. */
static bool attribute_of(chat_run *run, const chat_value *item, const chat_value *path,
                         const chat_value *otherwise, chat_value *out) {
    *out = *item;
    if (path->kind == CHAT_INT)
        return sat_chat_item(run, item, path, out);
    if (path->kind != CHAT_TEXT)
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "an attribute's name is a %s",
                             sat_chat_kind(path));
    const chat_text *text = path->as.text;
    for (size_t from = 0; from <= text->length;) {
        const char *dot = memchr(text->data + from, '.', text->length - from);
        size_t end = dot ? (size_t)(dot - text->data) : text->length;
        const chat_text *name = sat_chat_part(run, text, from, end);
        if (!name)
            return false;
        chat_value key = chat_of(name), value = *out;
        int64_t number = 0;
        bool digits = end > from && end - from < 10;
        for (size_t i = from; i < end && digits; i++) {
            digits = text->data[i] >= '0' && text->data[i] <= '9';
            number = number * 10 + (text->data[i] - '0');
        }
        if (digits)
            key = chat_int(number, true);
        if (!sat_chat_item(run, &value, &key, out))
            return false;
        if (otherwise && otherwise->kind != CHAT_ABSENT && out->kind == CHAT_UNDEFINED)
            *out = *otherwise;
        from = end + 1;
    }
    return true;
}

/* What items are compared by: an attribute if one is named, in lower case unless told otherwise. */
static bool key_of(chat_run *run, const chat_value *item, const chat_value *path, bool sensitive,
                   chat_value *key) {
    *key = *item;
    if (path->kind != CHAT_ABSENT && path->kind != CHAT_NONE) {
        if (path->kind == CHAT_TEXT && memchr(path->as.text->data, ',', path->as.text->length))
            return sat_chat_fail(run, SATCHEL_UNSUPPORTED, "several attributes to sort by");
        if (!attribute_of(run, item, path, NULL, key))
            return false;
    }
    if (!sensitive && key->kind == CHAT_TEXT)
        return give(sat_chat_recase(run, key->as.text, CHAT_LOWER), key);
    return true;
}

typedef struct keyed {
    chat_value key, item;
} keyed;

/* Two keys of a sort. By attribute Jinja compares lists of one key, whose items Python takes for
 * equal before it asks for their order. */
static bool order_keys(chat_run *run, const chat_value *a, const chat_value *b, bool listed,
                       int *order) {
    bool equal = false;
    *order = 0;
    if (listed && !sat_chat_equal(run, a, b, &equal))
        return false;
    if (equal)
        return true;
    if (a->kind == CHAT_UNDEFINED || b->kind == CHAT_UNDEFINED)
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "what is to be sorted by is undefined");
    return sat_chat_compare(run, a, b, "<", order);
}

/* Stable, by merging. */
static bool sort_keyed(chat_run *run, keyed *items, size_t count, bool listed, bool reverse) {
    keyed *spare = count ? sat_chat_alloc(run, count, sizeof *spare) : NULL;
    if (count && !spare)
        return false;
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t start = 0; start < count; start += 2 * width) {
            size_t middle = start + width < count ? start + width : count;
            size_t end = middle + width < count ? middle + width : count;
            for (size_t i = start, j = middle, k = start; k < end; k++) {
                int order = 0;
                if (i < middle && j < end &&
                    !order_keys(run, &items[i].key, &items[j].key, listed, &order))
                    return false;
                if (reverse)
                    order = -order;
                spare[k] = j >= end || (i < middle && order <= 0) ? items[i++] : items[j++];
            }
        }
        memcpy(items, spare, count * sizeof *items);
    }
    return true;
}

static bool keyed_items(chat_run *run, const chat_value *self, const chat_value *path,
                        bool sensitive, keyed **out, size_t *count) {
    const chat_list *items;
    if (!sat_chat_items(run, self, &items))
        return false;
    *count = items->count;
    *out = items->count ? sat_chat_alloc(run, items->count, sizeof **out) : NULL;
    if (items->count && !*out)
        return false;
    for (size_t i = 0; i < items->count; i++) {
        (*out)[i].item = items->items[i];
        if (!key_of(run, &items->items[i], path, sensitive, &(*out)[i].key))
            return false;
    }
    return true;
}

static bool give_keyed(chat_run *run, const keyed *items, size_t count, bool trusted,
                       chat_value *out) {
    chat_list *list = sat_chat_list(run, count);
    if (!list)
        return false;
    for (size_t i = 0; i < count; i++)
        list->items[i] = items[i].item;
    return give_list(run, list, trusted, out);
}

FILTER(sort) { /* reverse, case_sensitive, attribute */
    keyed *items;
    size_t count;
    if (!keyed_items(run, self, &call->argument[2], sat_chat_truth(&call->argument[1]), &items,
                     &count) ||
        !sort_keyed(run, items, count,
                    call->argument[2].kind != CHAT_ABSENT && call->argument[2].kind != CHAT_NONE,
                    sat_chat_truth(&call->argument[0])))
        return false;
    return give_keyed(run, items, count, self->trusted, out);
}

FILTER(dictsort) { /* case_sensitive, by, reverse */
    const chat_value *by = &call->argument[1];
    bool by_value = by->kind == CHAT_TEXT && sat_chat_is(by->as.text, "value");
    if (by->kind != CHAT_ABSENT && !by_value &&
        !(by->kind == CHAT_TEXT && sat_chat_is(by->as.text, "key")))
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT,
                             "dictsort(): by is \"key\" or \"value\"");
    if (self->kind != CHAT_DICT)
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "dictsort() of a %s",
                             sat_chat_kind(self));
    chat_view view = {self->as.dict, 'i', self->trusted};
    chat_value pairs = {.kind = CHAT_VIEW, .trusted = self->trusted, .as.view = &view};
    chat_value path = chat_int(by_value, true);
    keyed *items;
    size_t count;
    if (!keyed_items(run, &pairs, &path, sat_chat_truth(&call->argument[0]), &items, &count) ||
        !sort_keyed(run, items, count, false, sat_chat_truth(&call->argument[2])))
        return false;
    return give_keyed(run, items, count, self->trusted, out);
}

static bool extreme(chat_run *run, const chat_value *self, const chat_call *call, int sign,
                    chat_value *out) { /* case_sensitive, attribute */
    keyed *items;
    size_t count, best = 0;
    if (!keyed_items(run, self, &call->argument[1], sat_chat_truth(&call->argument[0]), &items,
                     &count))
        return false;
    *out = chat_undefined(NULL);
    for (size_t i = 1; i < count; i++) {
        int order;
        if (items[i].key.kind == CHAT_UNDEFINED || items[best].key.kind == CHAT_UNDEFINED)
            return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "%s() of what is undefined",
                                 call->name);
        if (!sat_chat_compare(run, &items[i].key, &items[best].key, "<", &order))
            return false;
        if (order * sign > 0)
            best = i;
    }
    if (count)
        *out = items[best].item;
    return true;
}
FILTER(least) {
    return extreme(run, self, call, -1, out);
}
FILTER(greatest) {
    return extreme(run, self, call, 1, out);
}

FILTER(unique) { /* case_sensitive, attribute */
    keyed *items;
    size_t count, kept = 0;
    if (!keyed_items(run, self, &call->argument[1], sat_chat_truth(&call->argument[0]), &items,
                     &count))
        return false;
    chat_list *list = sat_chat_list(run, count);
    if (!list)
        return false;
    for (size_t i = 0; i < count; i++) {
        bool seen = false;
        int kind = items[i].key.kind;
        if (kind == CHAT_LIST || kind == CHAT_DICT || kind == CHAT_VIEW)
            return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "unique() of a %s",
                                 sat_chat_kind(&items[i].key));
        for (size_t j = 0; j < kept && !seen; j++)
            if (!sat_chat_equal(run, &items[j].key, &items[i].key, &seen))
                return false;
        if (seen)
            continue;
        items[kept].key = items[i].key;
        list->items[kept++] = items[i].item;
    }
    list->count = kept;
    return sat_chat_list_done(run, list) && sat_chat_iterator(run, list, out);
}

FILTER(join) { /* d, attribute */
    const chat_list *items;
    const chat_text *between = sat_chat_text(run, "", 0, true);
    if (call->argument[0].kind != CHAT_ABSENT)
        between = sat_chat_string(run, &call->argument[0]);
    if (!between || !sat_chat_items(run, self, &items))
        return false;
    const chat_value *path = &call->argument[1];
    if (path->kind != CHAT_ABSENT && path->kind != CHAT_NONE) {
        chat_list *list = sat_chat_list(run, items->count);
        if (!list)
            return false;
        for (size_t i = 0; i < items->count; i++)
            if (!attribute_of(run, &items->items[i], path, NULL, &list->items[i]))
                return false;
        items = list;
    }
    return give(sat_chat_join(run, between, items, false), out);
}

FILTER(first) {
    const chat_list *items;
    if (self->kind == CHAT_ITERATOR) { /* takes one and leaves the others */
        chat_iterator *iterator = self->as.iterator;
        *out = iterator->at < iterator->list->count ? iterator->list->items[iterator->at++]
                                                    : chat_undefined(NULL);
        return true;
    }
    if (!sat_chat_items(run, self, &items))
        return false;
    *out = items->count ? items->items[0] : chat_undefined(NULL);
    return true;
}
FILTER(last) {
    const chat_list *items;
    if (self->kind == CHAT_ITERATOR)
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "last() of a %s", sat_chat_kind(self));
    if (!sat_chat_items(run, self, &items))
        return false;
    *out = items->count ? items->items[items->count - 1] : chat_undefined(NULL);
    return true;
}

FILTER(to_list) {
    const chat_list *items;
    if (!sat_chat_items(run, self, &items))
        return false;
    *out = sat_chat_list_value(items, CHAT_LIST,
                               self->kind == CHAT_TEXT
                                   ? sat_chat_all_trusted(self->as.text, 0, self->as.text->length)
                                   : self->trusted);
    return true;
}

FILTER(reverse) {
    const chat_list *items;
    if (self->kind == CHAT_TEXT) {
        chat_value bounds[3] = {chat_none(), chat_none(), chat_int(-1, true)};
        return sat_chat_slice(run, self, bounds, out);
    }
    if (!sat_chat_items(run, self, &items))
        return false;
    chat_list *list = sat_chat_list(run, items->count);
    if (!list)
        return false;
    for (size_t i = 0; i < items->count; i++)
        list->items[i] = items->items[items->count - 1 - i];
    return sat_chat_list_done(run, list) && sat_chat_iterator(run, list, out);
}

FILTER(sum) { /* attribute, start */
    const chat_list *items;
    if (!sat_chat_items(run, self, &items))
        return false;
    *out = call->argument[1].kind == CHAT_ABSENT ? chat_int(0, true) : call->argument[1];
    const chat_value *path = &call->argument[0];
    for (size_t i = 0; i < items->count; i++) {
        chat_value item = items->items[i], before = *out;
        if (path->kind != CHAT_ABSENT && path->kind != CHAT_NONE &&
            !attribute_of(run, &items->items[i], path, NULL, &item))
            return false;
        if (item.kind == CHAT_TEXT)
            return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "sum() of texts");
        if (!sat_chat_binary(run, CHAT_ADD, &before, &item, out))
            return false;
    }
    return true;
}

FILTER(items) {
    if (self->kind != CHAT_UNDEFINED && self->kind != CHAT_DICT)
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "items() of a %s", sat_chat_kind(self));
    chat_view view = {NULL, 'i', self->trusted};
    chat_value pairs = *self;
    if (self->kind == CHAT_DICT) {
        view.dict = self->as.dict;
        pairs = (chat_value){.kind = CHAT_VIEW, .trusted = self->trusted, .as.view = &view};
    }
    const chat_list *list;
    return sat_chat_items(run, &pairs, &list) && sat_chat_iterator(run, list, out);
}

/* ------------------------------------------------------------------ map, select, reject */

static const chat_value *keyword(const chat_call *call, const char *name) {
    for (size_t i = 0; i < call->keyword_count; i++)
        if (sat_chat_is(call->keywords[2 * i].as.text, name))
            return &call->keywords[2 * i + 1];
    return NULL;
}

/* These filters take whatever is false for an empty list: none too. */
static bool items_or_none(chat_run *run, const chat_value *self, const chat_list **items) {
    if (sat_chat_truth(self))
        return sat_chat_items(run, self, items);
    *items = sat_chat_list(run, 0);
    return *items != NULL;
}

FILTER(map) {
    const chat_list *items;
    static const chat_value absent = {.kind = CHAT_ABSENT};
    const chat_value *path = call->count ? NULL : keyword(call, "attribute");
    const chat_value *otherwise = path ? keyword(call, "default") : NULL;
    const chat_native *native = NULL;
    if (path) {
        if (call->keyword_count > (otherwise ? 2u : 1u))
            return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT,
                                 "map() with more than attribute and default");
    } else if (!call->count || call->position[0].kind != CHAT_TEXT) {
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "map() wants a filter's name");
    } else {
        const chat_text *name = call->position[0].as.text;
        native = sat_chat_filter(name->data, name->length);
        if (!native)
            return sat_chat_fail(run, SATCHEL_UNSUPPORTED, "filter \"%.*s\"",
                                 (int)(name->length < 64 ? name->length : 64), name->data);
        if (native->function == map) /* natives would call each other as deep as a template likes */
            return sat_chat_fail(run, SATCHEL_UNSUPPORTED, "map() of map()");
    }
    if (!items_or_none(run, self, &items))
        return false;
    chat_list *list = sat_chat_list(run, items->count);
    if (!list)
        return false;
    for (size_t i = 0; i < items->count; i++) {
        if (path) {
            if (!attribute_of(run, &items->items[i], path, otherwise ? otherwise : &absent,
                              &list->items[i]))
                return false;
            continue;
        }
        chat_call inner = {.position = call->position + 1,
                           .count = call->count - 1,
                           .keywords = call->keywords,
                           .keyword_count = call->keyword_count};
        if (!sat_chat_work(run, 1) ||
            !sat_chat_native(run, native, &items->items[i], &inner, &list->items[i]))
            return false;
    }
    return sat_chat_list_done(run, list) && sat_chat_iterator(run, list, out);
}

static bool choose(chat_run *run, const chat_value *self, const chat_call *call, bool by_attribute,
                   bool wanted, chat_value *out) {
    const chat_list *items;
    const chat_native *test = NULL;
    size_t used = by_attribute;
    if (by_attribute && !call->count)
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "%s() wants an attribute", call->name);
    if (call->count > used) {
        const chat_value *name = &call->position[used];
        if (name->kind == CHAT_TEXT)
            test = sat_chat_test(name->as.text->data, name->as.text->length);
        if (!test)
            return sat_chat_fail(run, SATCHEL_UNSUPPORTED, "this test in %s()", call->name);
    }
    if (!items_or_none(run, self, &items))
        return false;
    chat_list *list = sat_chat_list(run, items->count);
    if (!list)
        return false;
    list->count = 0;
    for (size_t i = 0; i < items->count; i++) {
        chat_value item = items->items[i];
        if (by_attribute && !attribute_of(run, &items->items[i], &call->position[0], NULL, &item))
            return false;
        chat_value found = item;
        if (test) {
            chat_call inner = {.position = call->position + used + 1,
                               .count = call->count - used - 1,
                               .keywords = call->keywords,
                               .keyword_count = call->keyword_count};
            if (!sat_chat_native(run, test, &item, &inner, &found))
                return false;
        }
        if (!sat_chat_work(run, 1))
            return false;
        if (sat_chat_truth(&found) == wanted)
            list->items[list->count++] = items->items[i];
    }
    return sat_chat_list_done(run, list) && sat_chat_iterator(run, list, out);
}
FILTER(select_items) {
    return choose(run, self, call, false, true, out);
}
FILTER(reject_items) {
    return choose(run, self, call, false, false, out);
}
FILTER(select_by) {
    return choose(run, self, call, true, true, out);
}
FILTER(reject_by) {
    return choose(run, self, call, true, false, out);
}

static const chat_native filters[] = {
    {"dictsort", "case_sensitive,by,reverse", 0, dictsort},
    {"first", "", 0, first},
    {"items", "", 0, items},
    {"join", "d,attribute", 0, join},
    {"last", "", 0, last},
    {"list", "", 0, to_list},
    {"map", NULL, 0, map},
    {"max", "case_sensitive,attribute", 0, greatest},
    {"min", "case_sensitive,attribute", 0, least},
    {"reject", NULL, 0, reject_items},
    {"rejectattr", NULL, 0, reject_by},
    {"reverse", "", 0, reverse},
    {"select", NULL, 0, select_items},
    {"selectattr", NULL, 0, select_by},
    {"sort", "reverse,case_sensitive,attribute", 0, sort},
    {"sum", "attribute,start", 0, sum},
    {"unique", "case_sensitive,attribute", 0, unique},
};

const chat_native *sat_chat_sequence_filter(const char *name, size_t length) {
    return sat_chat_find_native(filters, SAT_COUNT(filters), name, length);
}
