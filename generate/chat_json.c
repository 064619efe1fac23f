/*
 * JSON in chat templates: the input's values, and the filter tojson as transformers defines it
 * (json.dumps with ensure_ascii=False). What is escaped keeps its mark; brackets, commas and quotes
 * have their container's.
 */
#include <stdio.h>
#include <string.h>

#include "generate/chat_parts.h"

/* Recurses no deeper than SAT_JSON_MAX_DEPTH: sat_json_parse() has seen to it. */
bool sat_chat_from_json(chat_run *run, const json_t *json, chat_value *out) {
    *out = (chat_value){.kind = CHAT_NONE};
    switch (json_typeof(json)) {
    case JSON_NULL:
        return true;
    case JSON_TRUE:
    case JSON_FALSE:
        out->kind = CHAT_BOOL;
        out->as.boolean = json_is_true(json);
        return true;
    case JSON_INTEGER:
        *out = chat_int(json_integer_value(json), false);
        return true;
    case JSON_REAL:
        *out = chat_float(json_real_value(json), false);
        return true;
    case JSON_STRING: {
        const chat_text *text =
            sat_chat_text(run, json_string_value(json), json_string_length(json), false);
        *out = chat_of(text);
        return text != NULL;
    }
    case JSON_ARRAY: {
        chat_list *list = sat_chat_list(run, json_array_size(json));
        if (!list)
            return false;
        for (size_t i = 0; i < list->count; i++)
            if (!sat_chat_from_json(run, json_array_get(json, i), &list->items[i]))
                return false;
        *out = sat_chat_list_value(list, CHAT_LIST, false);
        return sat_chat_list_done(run, list);
    }
    case JSON_OBJECT: {
        chat_dict *dict = sat_chat_alloc(run, 1, sizeof *dict);
        size_t count = json_object_size(json);
        if (!dict)
            return false;
        dict->depth = 1;
        dict->pairs = count ? sat_chat_alloc(run, count, sizeof *dict->pairs) : NULL;
        if (count && !dict->pairs)
            return false;
        dict->capacity = count;
        /* Keys differ: the parser has refused the others, so none is looked up. */
        for (void *at = json_object_iter((json_t *)json); at && dict->count < count;
             at = json_object_iter_next((json_t *)json, at)) {
            const char *key = json_object_iter_key(at);
            const chat_text *text = sat_chat_text(run, key, strlen(key), false);
            chat_pair *pair = &dict->pairs[dict->count++];
            if (!text || !sat_chat_from_json(run, json_object_iter_value(at), &pair->value))
                return false;
            pair->key = chat_of(text);
            int depth = pair->value.kind == CHAT_DICT   ? pair->value.as.dict->depth
                        : pair->value.kind == CHAT_LIST ? pair->value.as.list->depth
                                                        : 0;
            if (dict->depth <= depth)
                dict->depth = depth + 1;
        }
        *out = (chat_value){.kind = CHAT_DICT, .as.dict = dict};
        return true;
    }
    }
    return true;
}

/* ------------------------------------------------------------------ tojson */

typedef struct writer {
    chat_run *run;
    chat_builder builder;
    const chat_text *indent; /* of one level, or NULL */
    const chat_text *comma, *colon;
    bool ascii, sorted;
} writer;

static bool put(writer *w, const char *text, chat_mark mark) {
    return sat_chat_build(w->run, &w->builder, text, strlen(text), NULL, mark);
}

static bool put_text(writer *w, const chat_text *text) {
    bool all = sat_chat_all_trusted(text, 0, text->length);
    if (!put(w, "\"", all))
        return false;
    for (size_t at = 0, size, plain = 0; at <= text->length; at += size) {
        int32_t code = 0;
        size = 1;
        if (at < text->length) {
            size = sat_utf8_decode(text->data + at, text->length - at, &code);
            if (code >= 0x20 && code != '"' && code != '\\' && (!w->ascii || code < 0x7F))
                continue;
        }
        if (at > plain && !sat_chat_build_part(w->run, &w->builder, text, plain, at))
            return false;
        plain = at + size;
        if (at == text->length)
            break;
        char escape[16];
        static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
        const char *named = code > 0 && code < 0x80 ? strchr(from, code) : NULL;
        if (named) {
            snprintf(escape, sizeof escape, "\\%c", to[named - from]);
        } else if (code < 0x10000) {
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)code);
        } else {
            unsigned over = (unsigned)code - 0x10000;
            snprintf(escape, sizeof escape, "\\u%04x\\u%04x", 0xD800 | over >> 10,
                     0xDC00 | (over & 0x3FF));
        }
        if (!put(w, escape, sat_chat_mark_of(text, at, at + size)))
            return false;
    }
    return put(w, "\"", all);
}

/* What the caller of tojson gave, in a container of such a mark. */
static bool put_given(writer *w, const chat_text *given, bool trusted) {
    return sat_chat_build(w->run, &w->builder, given->data, given->length, NULL,
                          trusted && sat_chat_all_trusted(given, 0, given->length));
}

static bool put_line(writer *w, int level, bool trusted) {
    if (!w->indent)
        return true;
    if (!put(w, "\n", trusted))
        return false;
    for (int i = 0; i < level; i++)
        if (!put_given(w, w->indent, trusted))
            return false;
    return true;
}

static bool put_separator(writer *w, const chat_text *given, const char *usual, bool trusted) {
    return given ? put_given(w, given, trusted) : put(w, usual, trusted);
}

static bool put_value(writer *w, const chat_value *value, int level);

static bool put_key(writer *w, const chat_value *key) {
    switch (key->kind) {
    case CHAT_TEXT:
        return put_text(w, key->as.text);
    case CHAT_NONE:
    case CHAT_BOOL:
    case CHAT_INT:
    case CHAT_FLOAT:
        return put(w, "\"", key->trusted) && put_value(w, key, 0) && put(w, "\"", key->trusted);
    default:
        return sat_chat_fail(w->run, SATCHEL_INVALID_ARGUMENT,
                             "tojson: a %s cannot be a key in JSON", sat_chat_kind(key));
    }
}

/* Pairs in the order of their keys: insertion into a sorted list would be quadratic, so merged. */
static bool sort_pairs(chat_run *run, chat_pair *pairs, chat_pair *spare, size_t count) {
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t start = 0; start < count; start += 2 * width) {
            size_t middle = start + width < count ? start + width : count;
            size_t end = middle + width < count ? middle + width : count;
            for (size_t i = start, j = middle, k = start; k < end; k++) {
                int order = -1;
                if (i < middle && j < end &&
                    !sat_chat_compare(run, &pairs[i].key, &pairs[j].key, "<", &order))
                    return false;
                spare[k] = j >= end || (i < middle && order <= 0) ? pairs[i++] : pairs[j++];
            }
        }
        memcpy(pairs, spare, count * sizeof *pairs);
    }
    return true;
}

static bool put_dict(writer *w, const chat_dict *dict, bool trusted, int level) {
    if (!dict->count)
        return put(w, "{}", trusted);
    const chat_pair *pairs = dict->pairs;
    if (w->sorted) {
        chat_pair *both = sat_chat_alloc(w->run, 2 * dict->count, sizeof *both);
        if (!both)
            return false;
        memcpy(both, pairs, dict->count * sizeof *both);
        if (!sort_pairs(w->run, both, both + dict->count, dict->count))
            return false;
        pairs = both;
    }
    if (!put(w, "{", trusted))
        return false;
    for (size_t i = 0; i < dict->count; i++)
        if ((i && !put_separator(w, w->comma, w->indent ? "," : ", ", trusted)) ||
            !put_line(w, level + 1, trusted) || !put_key(w, &pairs[i].key) ||
            !put_separator(w, w->colon, ": ", trusted) || !put_value(w, &pairs[i].value, level + 1))
            return false;
    return put_line(w, level, trusted) && put(w, "}", trusted);
}

/* Recurses no deeper than CHAT_VALUE_DEPTH. */
static bool put_value(writer *w, const chat_value *value, int level) {
    bool trusted = value->trusted;
    switch (value->kind) {
    case CHAT_NONE:
        return put(w, "null", trusted);
    case CHAT_BOOL:
    case CHAT_INT:
    case CHAT_FLOAT:
        return sat_chat_build_number(w->run, &w->builder, value, true);
    case CHAT_TEXT:
        return put_text(w, value->as.text);
    case CHAT_DICT:
        return put_dict(w, value->as.dict, trusted, level);
    case CHAT_LIST:
    case CHAT_TUPLE: {
        const chat_list *list = value->as.list;
        if (!list->count)
            return put(w, "[]", trusted);
        if (!put(w, "[", trusted))
            return false;
        for (size_t i = 0; i < list->count; i++)
            if ((i && !put_separator(w, w->comma, w->indent ? "," : ", ", trusted)) ||
                !put_line(w, level + 1, trusted) || !put_value(w, &list->items[i], level + 1))
                return false;
        return put_line(w, level, trusted) && put(w, "]", trusted);
    }
    default:
        return sat_chat_fail(w->run, SATCHEL_INVALID_ARGUMENT, "tojson: a %s is no JSON",
                             sat_chat_kind(value));
    }
}

/* Parameters: ensure_ascii, indent, separators, sort_keys. */
bool sat_chat_tojson(chat_run *run, const chat_value *value, const chat_call *call,
                     chat_value *out) {
    writer w = {.run = run};
    const chat_value *indent = &call->argument[1], *separators = &call->argument[2];
    w.ascii = sat_chat_truth(&call->argument[0]);
    w.sorted = sat_chat_truth(&call->argument[3]);
    if (indent->kind == CHAT_TEXT) {
        w.indent = indent->as.text;
    } else if (indent->kind == CHAT_INT || indent->kind == CHAT_BOOL) {
        int64_t width = chat_integer(indent);
        char spaces[64];
        if (width > (int64_t)sizeof spaces)
            return sat_chat_fail(run, SATCHEL_LIMIT, "tojson: indent is over %zu", sizeof spaces);
        memset(spaces, ' ', sizeof spaces);
        w.indent = sat_chat_text(run, spaces, width < 0 ? 0 : (size_t)width, true);
        if (!w.indent)
            return false;
    } else if (indent->kind != CHAT_ABSENT && indent->kind != CHAT_NONE) {
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "tojson: indent is a %s",
                             sat_chat_kind(indent));
    }
    if (separators->kind != CHAT_ABSENT && separators->kind != CHAT_NONE) {
        const chat_list *two = chat_is_list(separators) ? separators->as.list : NULL;
        if (!two || two->count != 2 || two->items[0].kind != CHAT_TEXT ||
            two->items[1].kind != CHAT_TEXT)
            return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT,
                                 "tojson: separators are not two texts");
        w.comma = two->items[0].as.text;
        w.colon = two->items[1].as.text;
    }
    if (!put_value(&w, value, 0))
        return false;
    const chat_text *text = sat_chat_built(run, &w.builder);
    *out = chat_of(text);
    return text != NULL;
}
