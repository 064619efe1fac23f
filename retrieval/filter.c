/*
 * Filters: JSON to a SQL condition with bound parameters. Nothing of the JSON's text goes into the
 * SQL. The walk keeps its own stack, so depth costs no C stack. docs/filters.md is the reference.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "retrieval/filter_value.h"
#include "retrieval/store.h"

#define MAX_FILTER_BYTES ((size_t)1 << 20)
#define MAX_DEPTH 32
/* SQLite nests one level per OR; its own limit is 1,000. */
#define MAX_CONDITIONS 500
#define MAX_VALUES 10000

/* One open object or array. */
typedef struct frame {
    json_t *node;
    void *entry;  /* object: the entry that is being compiled */
    size_t index; /* array: likewise */
    size_t done;  /* entries compiled */
    bool any;     /* joined by OR, not AND */
} frame;

typedef struct compiler {
    sat_filter *filter;
    satchel_error *error;
    frame frames[MAX_DEPTH];
    size_t depth;
    size_t conditions;
} compiler;

/* ------------------------------------------------------------------ errors say where */

static void append_place(const compiler *c, sat_buffer *out) {
    sat_buffer_append_text(out, "filter");
    for (size_t i = 0; i < c->depth; i++) {
        const frame *f = &c->frames[i];
        if (json_is_array(f->node))
            sat_buffer_append_format(out, "[%zu]", f->index);
        else if (f->entry)
            sat_buffer_append_format(out, ".%s", json_object_iter_key(f->entry));
    }
}

static satchel_status wrong(compiler *c, const char *message) {
    sat_buffer place;
    sat_buffer_init(&place, c->filter->arena.memory);
    append_place(c, &place);
    satchel_status status = sat_fail(c->error, SATCHEL_INVALID_FILTER, "%s: %s",
                                     place.failed || !place.data ? "filter" : place.data, message);
    sat_buffer_free(&place);
    return status;
}

static satchel_status no_memory(compiler *c) {
    return sat_memory_fail(c->filter->arena.memory, 0, c->error);
}

/* ------------------------------------------------------------------ SQL */

static void sql(compiler *c, const char *text) {
    sat_buffer_append_text(&c->filter->condition, text);
}

/* Appends "?n" for a new value. NULL: out of memory, or too many. */
static struct sat_filter_value *parameter(compiler *c) {
    sat_filter *filter = c->filter;
    if (!sat_grow(filter->arena.memory, (void **)&filter->values, &filter->capacity,
                  filter->count + 1, sizeof *filter->values))
        return NULL;
    struct sat_filter_value *value = &filter->values[filter->count++];
    *value = (struct sat_filter_value){0};
    sat_buffer_append_format(&filter->condition, "?%zu", filter->count);
    return value;
}

static satchel_status text_parameter(compiler *c, const char *text, size_t length) {
    struct sat_filter_value *value = parameter(c);
    if (!value)
        return no_memory(c);
    value->kind = SAT_FILTER_TEXT;
    value->text = sat_arena_strdup(&c->filter->arena, text, length);
    value->length = length;
    return value->text ? SATCHEL_OK : no_memory(c);
}

static satchel_status integer_parameter(compiler *c, int64_t integer) {
    struct sat_filter_value *value = parameter(c);
    if (!value)
        return no_memory(c);
    value->kind = SAT_FILTER_INTEGER;
    value->integer = integer;
    return SATCHEL_OK;
}

/* A string, number or boolean. */
static satchel_status json_parameter(compiler *c, const json_t *json) {
    if (json_is_string(json))
        return text_parameter(c, json_string_value(json), json_string_length(json));
    if (json_is_real(json)) {
        struct sat_filter_value *value = parameter(c);
        if (!value)
            return no_memory(c);
        value->kind = SAT_FILTER_REAL;
        value->real = json_real_value(json);
        return SATCHEL_OK;
    }
    return integer_parameter(c,
                             json_is_boolean(json) ? json_is_true(json) : json_integer_value(json));
}

/* Ids and the names of roots are kept in NFC, so what is compared with them is brought to it. */
static satchel_status name_parameter(compiler *c, const json_t *json, bool nfc) {
    if (!nfc)
        return json_parameter(c, json);
    sat_buffer text;
    sat_buffer_init(&text, c->filter->arena.memory);
    satchel_status status = sat_text_nfc(&text, json_string_value(json), json_string_length(json))
                                ? no_memory(c)
                                : SATCHEL_OK;
    if (!status)
        status = text_parameter(c, text.data ? text.data : "", text.length);
    sat_buffer_free(&text);
    return status;
}

/* "?1, ?2, …" of the items for which `kind` is 0 or theirs. */
static satchel_status list_parameters(compiler *c, const json_t *array, char kind, bool nfc) {
    size_t i, written = 0;
    json_t *item;
    satchel_status status = SATCHEL_OK;
    json_array_foreach(array, i, item) {
        if (status || (kind && sat_filter_kind(item) != kind))
            continue;
        if (written++ > 0)
            sql(c, ", ");
        status = name_parameter(c, item, nfc);
    }
    return status;
}

/* ------------------------------------------------------------------ fields of a document */

typedef struct field {
    const char *key, *column;
    bool globs;    /* plain values are patterns */
    bool optional; /* may be absent: "exists" makes sense */
    bool nfc;      /* kept in normal form C */
} field;

static const field fields[] = {
    {"path", "d.name", true, false, true},
    {"title", "d.title", false, false, false},
    {"media_type", "d.media_type", false, false, false},
    {"root", "coalesce((SELECT r.name FROM root r WHERE r.id = d.root), '')", false, true, true},
};

/* With a literal beginning the index on names narrows the search down. */
static satchel_status glob_condition(compiler *c, const char *column, bool nfc,
                                     const json_t *json) {
    const char *pattern = json_string_value(json);
    size_t literal = strcspn(pattern, "*?[");
    satchel_status status = SATCHEL_OK;
    sql(c, "(");
    if (strcmp(column, "d.name") == 0 && literal > 0 && (unsigned char)pattern[0] < 0x80) {
        /* Only the ASCII part: NFC leaves it as it is. */
        size_t ascii = 0;
        while (ascii < literal && (unsigned char)pattern[ascii] < 0x80)
            ascii++;
        /* The last character may compose with a mark that follows it. */
        ascii -= ascii < literal || pattern[literal] != '\0';
        if (ascii > 0) {
            char *end = sat_arena_strdup(&c->filter->arena, pattern, ascii);
            if (!end)
                return no_memory(c);
            sql(c, "d.name >= ");
            status = text_parameter(c, pattern, ascii);
            end[ascii - 1]++;
            sql(c, " AND d.name < ");
            if (!status)
                status = text_parameter(c, end, ascii);
            sql(c, " AND ");
        }
    }
    sql(c, "satchel_glob(");
    if (!status)
        status = name_parameter(c, json, nfc);
    sql(c, ", ");
    sql(c, column);
    sql(c, "))");
    return status;
}

static satchel_status globs_condition(compiler *c, const char *column, bool nfc,
                                      const json_t *patterns) {
    size_t i;
    json_t *item;
    satchel_status status = SATCHEL_OK;
    if (json_is_string(patterns))
        return glob_condition(c, column, nfc, patterns);
    sql(c, json_array_size(patterns) ? "(" : "(0");
    json_array_foreach(patterns, i, item) {
        if (++c->conditions > MAX_CONDITIONS)
            return wrong(c, "too many patterns; at most 500 conditions in all");
        if (i > 0)
            sql(c, " OR ");
        if (!status)
            status = glob_condition(c, column, nfc, item);
    }
    sql(c, ")");
    return status;
}

static satchel_status equals_condition(compiler *c, const field *f, const json_t *value,
                                       bool inverted) {
    sql(c, "(");
    sql(c, f->column);
    sql(c, inverted ? " NOT IN (" : " IN (");
    satchel_status status = json_is_string(value) ? name_parameter(c, value, f->nfc)
                                                  : list_parameters(c, value, 0, f->nfc);
    sql(c, "))");
    return status;
}

/* ------------------------------------------------------------------ metadata */

/* "d.id IN (SELECT document FROM meta WHERE key = ? AND …": the caller adds the rest and "))". */
static satchel_status begin_meta(compiler *c, const char *key, bool inverted) {
    sql(c, inverted ? "(d.id NOT IN (SELECT m.document FROM meta m WHERE m.key = "
                    : "(d.id IN (SELECT m.document FROM meta m WHERE m.key = ");
    return text_parameter(c, key, strlen(key));
}

static void kind_condition(compiler *c, char kind) {
    const char text[] = {' ', 'A', 'N', 'D', ' ', 'm',  '.',  'k',  'i',
                         'n', 'd', ' ', '=', ' ', '\'', kind, '\'', '\0'};
    sql(c, text);
}

static satchel_status meta_equals(compiler *c, const char *key, const json_t *value,
                                  bool inverted) {
    static const char kinds[] = {'s', 'n', 'b'};
    bool first = true;
    satchel_status status = SATCHEL_OK;
    if (!json_is_array(value)) {
        status = begin_meta(c, key, inverted);
        kind_condition(c, sat_filter_kind(value));
        sql(c, " AND m.value = ");
        if (!status)
            status = json_parameter(c, value);
        sql(c, "))");
        return status;
    }
    /* Values of different kinds are compared each with its own. */
    sql(c, "(");
    for (size_t i = 0; i < sizeof kinds && !status; i++) {
        if (!sat_filter_has_kind(value, kinds[i]))
            continue;
        if (!first)
            sql(c, " OR ");
        first = false;
        status = begin_meta(c, key, false);
        kind_condition(c, kinds[i]);
        sql(c, " AND m.value IN (");
        if (!status)
            status = list_parameters(c, value, kinds[i], false);
        sql(c, ")))");
    }
    sql(c, first ? "0)" : ")");
    return status;
}

static satchel_status meta_exists(compiler *c, const char *key, bool exists) {
    satchel_status status = begin_meta(c, key, !exists);
    sql(c, "))");
    return status;
}

static satchel_status meta_compare(compiler *c, const char *key, const char *operator,
                                   const json_t * value) {
    satchel_status status = begin_meta(c, key, false);
    kind_condition(c, sat_filter_kind(value));
    sql(c, " AND m.value ");
    sql(c, operator);
    sql(c, " ");
    if (!status)
        status = json_parameter(c, value);
    sql(c, "))");
    return status;
}

static satchel_status meta_globs(compiler *c, const char *key, const json_t *patterns) {
    satchel_status status = begin_meta(c, key, false);
    sql(c, " AND m.kind = 's' AND ");
    if (!status)
        status = globs_condition(c, "m.value", false, patterns);
    sql(c, "))");
    return status;
}

/* ------------------------------------------------------------------ operators */

static const struct {
    const char *name, *sql;
} comparisons[] = {{"gte", ">="}, {"gt", ">"}, {"lte", "<="}, {"lt", "<"}};

static const char *comparison(const char *name) {
    for (size_t i = 0; i < SAT_COUNT(comparisons); i++) {
        if (strcmp(comparisons[i].name, name) == 0)
            return comparisons[i].sql;
    }
    return NULL;
}

static satchel_status modified_condition(compiler *c, const char *operator, const json_t * value) {
    int64_t ms;
    if (!operator)
        return wrong(c, "'modified' takes gte, gt, lte and lt");
    if (!sat_filter_time(value, &ms))
        return wrong(c, "a time is Unix milliseconds, or a string like \"2025-01-31\" or "
                        "\"2025-01-31T12:30:00Z\"");
    sql(c, "(d.modified ");
    sql(c, operator);
    sql(c, " ");
    satchel_status status = integer_parameter(c, ms);
    sql(c, ")");
    return status;
}

static satchel_status field_operator(compiler *c, const field *f, const char *name,
                                     const json_t *value) {
    const char *operator= comparison(name);
    if (operator) {
        if (!json_is_string(value))
            return wrong(c, "compares with a string only");
        sql(c, "(");
        sql(c, f->column);
        sql(c, operator);
        satchel_status status = name_parameter(c, value, f->nfc);
        sql(c, ")");
        return status;
    }
    if (strcmp(name, "ne") == 0)
        return json_is_string(value) ? equals_condition(c, f, value, true)
                                     : wrong(c, "'ne' takes a string");
    if (strcmp(name, "in") == 0)
        return sat_filter_is_strings(value) ? equals_condition(c, f, value, false)
                                            : wrong(c, "'in' takes an array of strings");
    if (strcmp(name, "glob") == 0)
        return json_is_string(value) || sat_filter_is_strings(value)
                   ? globs_condition(c, f->column, f->nfc, value)
                   : wrong(c, "'glob' takes a string or an array of strings");
    if (strcmp(name, "exists") == 0 && f->optional) {
        if (!json_is_boolean(value))
            return wrong(c, "'exists' takes true or false");
        sql(c, json_is_true(value) ? "(d.root IS NOT NULL)" : "(d.root IS NULL)");
        return SATCHEL_OK;
    }
    return wrong(c, f->optional
                        ? "unknown operator; there are gte, gt, lte, lt, ne, in, glob, exists"
                        : "unknown operator; there are gte, gt, lte, lt, ne, in, glob");
}

static satchel_status meta_operator(compiler *c, const char *key, const char *name,
                                    const json_t *value) {
    const char *operator= comparison(name);
    char kind = sat_filter_kind(value);
    if (operator)
        return kind == 's' || kind == 'n' ? meta_compare(c, key, operator, value)
                                          : wrong(c, "compares with a string or a number only");
    if (strcmp(name, "ne") == 0)
        return kind ? meta_equals(c, key, value, true)
                    : wrong(c, "'ne' takes a string, a number or a boolean");
    if (strcmp(name, "in") == 0)
        return sat_filter_is_scalars(value)
                   ? meta_equals(c, key, value, false)
                   : wrong(c, "'in' takes an array of strings, numbers and booleans");
    if (strcmp(name, "glob") == 0)
        return json_is_string(value) || sat_filter_is_strings(value)
                   ? meta_globs(c, key, value)
                   : wrong(c, "'glob' takes a string or an array of strings");
    if (strcmp(name, "exists") == 0)
        return json_is_boolean(value) ? meta_exists(c, key, json_is_true(value))
                                      : wrong(c, "'exists' takes true or false");
    return wrong(c, "unknown operator; there are gte, gt, lte, lt, ne, in, glob, exists");
}

/* ------------------------------------------------------------------ one condition */

static const field *find_field(const char *key) {
    for (size_t i = 0; i < SAT_COUNT(fields); i++) {
        if (strcmp(fields[i].key, key) == 0)
            return &fields[i];
    }
    return NULL;
}

/* {"gte": …, "lt": …}: all must hold. The object is a frame while it is compiled, for the
 * messages. */
static satchel_status operators(compiler *c, const char *key, const field *f, json_t *object) {
    satchel_status status = SATCHEL_OK;
    bool modified = strcmp(key, "modified") == 0;
    if (json_object_size(object) == 0)
        return wrong(c, "an empty object; it needs an operator such as \"gte\"");
    if (c->depth == MAX_DEPTH)
        return wrong(c, "nested deeper than 32 levels");
    frame *top = &c->frames[c->depth++];
    *top = (frame){.node = object, .entry = json_object_iter(object)};
    sql(c, "(");
    for (; top->entry && !status; top->entry = json_object_iter_next(object, top->entry)) {
        const char *name = json_object_iter_key(top->entry);
        const json_t *value = json_object_iter_value(top->entry);
        if (top->done++ > 0)
            sql(c, " AND ");
        if (++c->conditions > MAX_CONDITIONS)
            return wrong(c, "too many conditions; at most 500");
        status = modified ? modified_condition(c, comparison(name), value)
                 : f      ? field_operator(c, f, name, value)
                          : meta_operator(c, key + strlen("meta."), name, value);
    }
    if (status)
        return status;
    sql(c, ")");
    c->depth--;
    return SATCHEL_OK;
}

static satchel_status condition(compiler *c, const char *key, json_t *value) {
    const field *f = find_field(key);
    bool meta = strncmp(key, "meta.", 5) == 0 && key[5] != '\0';
    if (!f && !meta && strcmp(key, "modified") != 0)
        return wrong(c, "unknown key; there are path, title, media_type, root, modified, "
                        "meta.<key>, and, or, not");
    if (++c->conditions > MAX_CONDITIONS)
        return wrong(c, "too many conditions; at most 500");
    if (json_is_object(value))
        return operators(c, key, f, value);
    if (json_is_array(value) && json_array_size(value) > MAX_VALUES)
        return wrong(c, "too many values; at most 10,000");
    if (meta)
        return sat_filter_kind(value) || sat_filter_is_scalars(value)
                   ? meta_equals(c, key + 5, value, false)
                   : wrong(c,
                           "takes a string, a number, a boolean, an array of those, or an object "
                           "of operators");
    if (!f)
        return wrong(c,
                     "'modified' takes an object of operators, such as {\"gte\": \"2025-01-31\"}");
    if (!json_is_string(value) && !sat_filter_is_strings(value))
        return wrong(c, "takes a string, an array of strings, or an object of operators");
    return f->globs ? globs_condition(c, f->column, f->nfc, value)
                    : equals_condition(c, f, value, false);
}

/* ------------------------------------------------------------------ and, or, not */

static satchel_status push(compiler *c, json_t *node, bool any) {
    if (c->depth == MAX_DEPTH)
        return wrong(c, "nested deeper than 32 levels");
    c->frames[c->depth++] = (frame){.node = node, .any = any};
    sql(c, "(");
    return SATCHEL_OK;
}

static void pop(compiler *c) {
    const frame *top = &c->frames[--c->depth];
    if (top->done == 0)
        sql(c, top->any ? "0" : "1"); /* of none: any fails, all holds */
    sql(c, ")");
}

static satchel_status step_array(compiler *c, frame *top) {
    if (top->done == json_array_size(top->node)) {
        pop(c);
        return SATCHEL_OK;
    }
    if (top->done > 0)
        sql(c, top->any ? " OR " : " AND ");
    top->index = top->done++;
    json_t *item = json_array_get(top->node, top->index);
    if (++c->conditions > MAX_CONDITIONS)
        return wrong(c, "too many conditions; at most 500");
    return json_is_object(item) ? push(c, item, false) : wrong(c, "is not a filter object");
}

static satchel_status step_object(compiler *c, frame *top) {
    top->entry =
        top->entry ? json_object_iter_next(top->node, top->entry) : json_object_iter(top->node);
    if (!top->entry) {
        pop(c);
        return SATCHEL_OK;
    }
    if (top->done++ > 0)
        sql(c, " AND ");
    const char *key = json_object_iter_key(top->entry);
    json_t *value = json_object_iter_value(top->entry);
    if (strcmp(key, "and") == 0 || strcmp(key, "or") == 0)
        return json_is_array(value) ? push(c, value, key[0] == 'o')
                                    : wrong(c, "takes an array of filters");
    if (strcmp(key, "not") == 0) {
        sql(c, "NOT ");
        return json_is_object(value) ? push(c, value, false) : wrong(c, "takes a filter object");
    }
    return condition(c, key, value);
}

static satchel_status compile(compiler *c, json_t *json) {
    if (!json_is_object(json))
        return wrong(c, "is not a JSON object");
    satchel_status status = push(c, json, false);
    while (!status && c->depth > 0) {
        frame *top = &c->frames[c->depth - 1];
        status = json_is_array(top->node) ? step_array(c, top) : step_object(c, top);
    }
    if (!status && c->filter->count > MAX_VALUES)
        status = wrong(c, "too many values; at most 10,000");
    if (!status && c->filter->condition.failed)
        status = no_memory(c);
    return status;
}

satchel_status sat_filter_compile(sat_filter *out, sat_memory *memory, const char *json,
                                  satchel_error *error) {
    *out = (sat_filter){0};
    sat_arena_init(&out->arena, memory);
    sat_buffer_init(&out->condition, memory);
    compiler c = {.filter = out, .error = error};
    satchel_status status = SATCHEL_OK;
    if (!json || !*json) {
        out->all = true;
        if (!sat_buffer_append_text(&out->condition, "1"))
            status = no_memory(&c);
    } else if (strlen(json) > MAX_FILTER_BYTES) {
        status = sat_fail(error, SATCHEL_INVALID_FILTER, "filter: has %zu bytes; at most %zu",
                          strlen(json), MAX_FILTER_BYTES);
    } else {
        json_t *parsed = NULL;
        status =
            sat_json_parse(&parsed, json, strlen(json), SATCHEL_INVALID_FILTER, "filter", error);
        if (!status)
            status = compile(&c, parsed);
        out->all = !status && json_object_size(parsed) == 0;
        json_decref(parsed);
    }
    if (status)
        sat_filter_free(out);
    return status;
}

void sat_filter_free(sat_filter *filter) {
    sat_memory *memory = filter->arena.memory;
    if (!memory)
        return;
    sat_free(memory, filter->values);
    sat_buffer_free(&filter->condition);
    sat_arena_free(&filter->arena);
    *filter = (sat_filter){0};
}

void sat_filter_bind(const sat_filter *filter, sat_query *query) {
    for (size_t i = 0; i < filter->count; i++) {
        const struct sat_filter_value *value = &filter->values[i];
        if (value->kind == SAT_FILTER_TEXT)
            sat_bind_text(query, (int)i + 1, value->text, value->length);
        else if (value->kind == SAT_FILTER_INTEGER)
            sat_bind_int(query, (int)i + 1, value->integer);
        else
            sat_bind_real(query, (int)i + 1, value->real);
    }
}
