/*
 * Methods of dicts, lists and loops, with Python's meaning, and all methods by name (those of texts:
 * chat_text_methods.c). Of those that Python has and the subset has not, the names are known, so that
 * a call of one is an error that says so.
 */
#include "generate/chat_parts.h"

#define METHOD(name)                                                                               \
    static bool name(chat_run *run, const chat_value *self, const chat_call *call, chat_value *out)

/* ------------------------------------------------------------------ dicts and lists */

static bool view(chat_run *run, const chat_value *self, char which, chat_value *out) {
    chat_view *made = sat_chat_alloc(run, 1, sizeof *made);
    if (!made)
        return false;
    *made = (chat_view){self->as.dict, which, self->trusted};
    *out = (chat_value){.kind = CHAT_VIEW, .trusted = self->trusted, .as.view = made};
    return true;
}
METHOD(dict_items) {
    return view(run, self, 'i', out);
}
METHOD(dict_keys) {
    return view(run, self, 'k', out);
}
METHOD(dict_values) {
    return view(run, self, 'v', out);
}
METHOD(dict_get) {
    const chat_value *value;
    if (!sat_chat_dict_get(run, self->as.dict, &call->argument[0], &value))
        return false;
    *out = value ? *value : call->argument[1].kind == CHAT_ABSENT ? chat_none() : call->argument[1];
    return true;
}
METHOD(copy) {
    *out = *self; /* nothing changes it */
    return true;
}
METHOD(list_count) {
    int64_t count = 0;
    for (size_t i = 0; i < self->as.list->count; i++) {
        bool equal;
        if (!sat_chat_equal(run, &self->as.list->items[i], &call->argument[0], &equal))
            return false;
        count += equal;
    }
    *out = chat_int(count, true);
    return true;
}
METHOD(list_index) {
    for (size_t i = 0; i < self->as.list->count; i++) {
        bool equal;
        if (!sat_chat_equal(run, &self->as.list->items[i], &call->argument[0], &equal))
            return false;
        if (equal) {
            *out = chat_int((int64_t)i, true);
            return true;
        }
    }
    return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "index(): no such item");
}
/* The sandbox is immutable: the name is there, the call is refused. */
METHOD(changes) {
    return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT,
                         "%s() would change a %s, which templates may not", call->name,
                         sat_chat_kind(self));
}
METHOD(loop_cycle) {
    if (!call->count)
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "cycle() lacks arguments");
    static const chat_text index0 = {.data = "index0", .length = 6, .characters = 6};
    chat_value index;
    if (!sat_chat_loop_attribute(run, self->as.loop, &index0, &index))
        return false;
    *out = call->position[(size_t)index.as.integer % call->count];
    return true;
}

/* ------------------------------------------------------------------ by name */

static const chat_native of_dicts[] = {
    {"get", "key,default", 1, dict_get},
    {"items", "", 0, dict_items},
    {"keys", "", 0, dict_keys},
    {"values", "", 0, dict_values},
    {"copy", "", 0, copy},
    {"clear", NULL, 0, changes},
    {"pop", NULL, 0, changes},
    {"popitem", NULL, 0, changes},
    {"setdefault", NULL, 0, changes},
    {"update", NULL, 0, changes},
};
static const chat_native of_lists[] = {
    {"count", "value", 1, list_count}, {"index", "value", 1, list_index},
    {"append", NULL, 0, changes},      {"clear", NULL, 0, changes},
    {"pop", NULL, 0, changes},         {"reverse", NULL, 0, changes},
    {"insert", NULL, 0, changes},      {"sort", NULL, 0, changes},
    {"extend", NULL, 0, changes},      {"remove", NULL, 0, changes},
};
static const chat_native of_loops[] = {{"cycle", NULL, 0, loop_cycle}};

/* What Python's objects have besides. */
static const struct {
    chat_kind kind;
    const char *names;
} others[] = {
    {CHAT_TEXT, "casefold center encode expandtabs format_map isascii isidentifier islower "
                "isnumeric isprintable istitle isupper ljust maketrans rindex rjust swapcase "
                "translate zfill unescape striptags escape"},
    {CHAT_DICT, "fromkeys"},
    {CHAT_LIST, "copy"},
    {CHAT_BOOL, "real imag numerator denominator bit_length bit_count conjugate to_bytes "
                "from_bytes as_integer_ratio"},
    {CHAT_INT, "real imag numerator denominator bit_length bit_count conjugate to_bytes "
               "from_bytes as_integer_ratio"},
    {CHAT_FLOAT, "real imag conjugate as_integer_ratio fromhex hex is_integer"},
    {CHAT_RANGE_OF, "start stop step count index"},
    {CHAT_VIEW, "mapping isdisjoint"},
    {CHAT_ITERATOR, "close send throw"},
    {CHAT_LOOP, "changed"},
    {CHAT_MACRO, "name arguments catch_kwargs catch_varargs caller explicit_caller"},
};

const chat_native *sat_chat_method(chat_kind kind, const char *name, size_t length) {
    static const chat_native unknown = {"", NULL, 0, NULL};
    const chat_native *found = NULL;
    if (kind == CHAT_TEXT)
        found = sat_chat_text_method(name, length);
    else if (kind == CHAT_DICT)
        found = sat_chat_find_native(of_dicts, SAT_COUNT(of_dicts), name, length);
    else if (kind == CHAT_LIST)
        found = sat_chat_find_native(of_lists, SAT_COUNT(of_lists), name, length);
    else if (kind == CHAT_TUPLE) /* count and index alone */
        found = sat_chat_find_native(of_lists, 2, name, length);
    else if (kind == CHAT_LOOP)
        found = sat_chat_find_native(of_loops, SAT_COUNT(of_loops), name, length);
    for (size_t i = 0; i < SAT_COUNT(others) && !found; i++)
        if (others[i].kind == kind && sat_chat_among(others[i].names, name, length))
            found = &unknown;
    return found;
}
