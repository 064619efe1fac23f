/*
 * JSON Schema to an automaton. Every schema becomes a rule, compiled from a list of tasks, so that
 * a schema may refer to itself and depth costs no stack.
 */
#include "generate/grammar_schema.h"

#include <stdlib.h>
#include <string.h>

void sat_schema_fail(sat_schema *self, satchel_status status, const char *where,
                     const char *keyword, const char *what) {
    sat_builder_fail(&self->builder, status, "schema, #%.300s%s%s: %s", where, keyword ? "/" : "",
                     keyword ? keyword : "", what);
}

static char *join(const char *where, const char *key) {
    size_t length = strlen(where);
    size_t keep = length < 1000 ? length : 1000; /* messages show less */
    char *out = malloc(keep + strlen(key) + 2);
    if (out) {
        memcpy(out, where, keep);
        out[keep] = '/';
        strcpy(out + keep + 1, key);
    }
    return out;
}

/* The rule of a schema, which is compiled later. Takes over `node` if `own`. */
static uint32_t later(sat_schema *self, json_t *node, bool own, const char *where,
                      const char *key) {
    sat_builder *builder = &self->builder;
    char address[32];
    snprintf(address, sizeof address, "%p", (void *)node);
    json_t *known = own || json_is_boolean(node) ? NULL : json_object_get(self->rules, address);
    if (known)
        return (uint32_t)json_integer_value(known);
    if (!own)
        json_incref(node);
    uint32_t rule = sat_builder_rule(builder);
    sat_memory *memory = &builder->context->memory;
    char *path = join(where, key);
    if (!path || builder->status ||
        !sat_grow(memory, (void **)&self->tasks, &self->capacity, self->count + 1,
                  sizeof *self->tasks) ||
        (!own && json_object_set_new(self->rules, address, json_integer(rule)))) {
        free(path);
        json_decref(node);
        sat_schema_no_memory(self);
        return 0;
    }
    self->tasks[self->count++] = (sat_schema_task){node, rule, path};
    return rule;
}

/* ------------------------------------------------------------------ keywords */

static const char *const notes[] = {
    "title",      "description", "default", "examples",        "$id",
    "$schema",    "$comment",    "$defs",   "definitions",     "deprecated",
    "readOnly",   "writeOnly",   "$anchor", "nullable",        "type",
    "enum",       "const",       "example", "contentEncoding", "contentMediaType",
    "$vocabulary"};
static const struct {
    const char *name;
    int types;
} keywords[] = {
    {"properties", SAT_TYPE_OBJECT},
    {"required", SAT_TYPE_OBJECT},
    {"additionalProperties", SAT_TYPE_OBJECT},
    {"patternProperties", SAT_TYPE_OBJECT},
    {"minProperties", SAT_TYPE_OBJECT},
    {"maxProperties", SAT_TYPE_OBJECT},
    {"items", SAT_TYPE_ARRAY},
    {"prefixItems", SAT_TYPE_ARRAY},
    {"additionalItems", SAT_TYPE_ARRAY},
    {"minItems", SAT_TYPE_ARRAY},
    {"maxItems", SAT_TYPE_ARRAY},
    {"uniqueItems", SAT_TYPE_ARRAY},
    {"minLength", SAT_TYPE_STRING},
    {"maxLength", SAT_TYPE_STRING},
    {"pattern", SAT_TYPE_STRING},
    {"format", SAT_TYPE_STRING},
    {"minimum", SAT_TYPE_NUMBER | SAT_TYPE_INTEGER},
    {"maximum", SAT_TYPE_NUMBER | SAT_TYPE_INTEGER},
    {"exclusiveMinimum", SAT_TYPE_NUMBER | SAT_TYPE_INTEGER},
    {"exclusiveMaximum", SAT_TYPE_NUMBER | SAT_TYPE_INTEGER},
    {"multipleOf", SAT_TYPE_NUMBER | SAT_TYPE_INTEGER},
};

/* The types that the keywords speak of; fails on one that is not supported. */
static int spoken_of(sat_schema *self, json_t *node, const char *where) {
    const char *key;
    json_t *value;
    int types = 0;
    json_object_foreach(node, key, value) {
        bool known = !strncmp(key, "x-", 2);
        for (size_t i = 0; i < SAT_COUNT(notes) && !known; i++)
            known = !strcmp(key, notes[i]);
        for (size_t i = 0; i < SAT_COUNT(keywords) && !known; i++)
            if (!strcmp(key, keywords[i].name)) {
                types |= keywords[i].types;
                known = true;
            }
        if (!known)
            sat_schema_fail(self, SATCHEL_UNSUPPORTED, where, key, "this keyword is not supported");
    }
    return types;
}

/* A count: `otherwise` if there is none. */
static int64_t count_of(sat_schema *self, json_t *node, const char *key, const char *where,
                        int64_t otherwise) {
    json_t *value = json_object_get(node, key);
    if (!value)
        return otherwise;
    double number = json_number_value(value);
    if (!json_is_number(value) || number < 0 || number != (double)(int64_t)number) {
        sat_schema_fail(self, SATCHEL_DAMAGED, where, key, "is no count");
        return otherwise;
    }
    return number < SAT_GRAMMAR_STATES ? (int64_t)number : SAT_GRAMMAR_STATES;
}

/* ------------------------------------------------------------------ values and strings */

static uint32_t literal(sat_schema *self, uint32_t from, json_t *value) {
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!text) {
        sat_schema_no_memory(self);
        return from;
    }
    uint32_t to = sat_builder_text(&self->builder, from, text, strlen(text));
    free(text);
    return to;
}

static bool has_type(json_t *value, int types) {
    switch (json_typeof(value)) {
    case JSON_NULL:
        return types & SAT_TYPE_NULL;
    case JSON_TRUE:
    case JSON_FALSE:
        return types & SAT_TYPE_BOOLEAN;
    case JSON_STRING:
        return types & SAT_TYPE_STRING;
    case JSON_ARRAY:
        return types & SAT_TYPE_ARRAY;
    case JSON_OBJECT:
        return types & SAT_TYPE_OBJECT;
    case JSON_INTEGER:
        return types & SAT_TYPE_INTEGER;
    default:
        return types & SAT_TYPE_NUMBER;
    }
}

static void values(sat_schema *self, json_t *node, const char *where, int spoken,
                   sat_fragment body) {
    json_t *list = json_object_get(node, "enum"), *constant = json_object_get(node, "const");
    int types = sat_schema_types(node);
    if (list && !json_is_array(list))
        sat_schema_fail(self, SATCHEL_DAMAGED, where, "enum", "is no array");
    for (size_t i = 0; i < (list ? json_array_size(list) : 1); i++) {
        json_t *value = list ? json_array_get(list, i) : constant;
        if (!has_type(value, types) || (list && constant && !json_equal(value, constant)))
            continue;
        if (has_type(value, spoken)) {
            sat_schema_fail(self, SATCHEL_UNSUPPORTED, where, list ? "enum" : "const",
                            "together with other keywords for its type is not supported: leave "
                            "out the values that they forbid");
            return;
        }
        sat_builder_join(&self->builder, literal(self, body.start, value), body.end);
    }
}

static void string(sat_schema *self, json_t *node, const char *where, sat_fragment body) {
    sat_builder *builder = &self->builder;
    json_t *pattern = json_object_get(node, "pattern"), *format = json_object_get(node, "format");
    int64_t min = count_of(self, node, "minLength", where, 0);
    int64_t max = count_of(self, node, "maxLength", where, -1), least, most;
    const char *expression = json_string_value(pattern);
    if (pattern && !expression)
        sat_schema_fail(self, SATCHEL_DAMAGED, where, "pattern", "is no string");
    if (format && pattern)
        sat_schema_fail(self, SATCHEL_UNSUPPORTED, where, "format",
                        "together with a pattern is not supported");
    if (format && !pattern) {
        expression = json_is_string(format) ? sat_format_pattern(json_string_value(format)) : NULL;
        if (!expression)
            sat_schema_fail(self, SATCHEL_UNSUPPORTED, where, "format",
                            "is none of date, time, date-time, duration, uuid, email, hostname, "
                            "ipv4, ipv6, uri");
    }
    uint32_t at = sat_builder_text(builder, body.start, "\"", 1);
    if (!expression) {
        if (max < 0 || min <= max)
            sat_builder_join(builder, sat_json_body(builder, at, min, max), body.end);
        return;
    }
    at = sat_builder_regex(builder, at, expression, strlen(expression), where, &least, &most);
    if (least < min || (max >= 0 && (most < 0 || most > max)))
        sat_schema_fail(self, SATCHEL_UNSUPPORTED, where, least < min ? "minLength" : "maxLength",
                        "together with a pattern or format that does not keep it by itself");
    sat_builder_bytes(builder, at, '"', '"', body.end);
}

/* ------------------------------------------------------------------ arrays */

static void array(sat_schema *self, json_t *node, const char *where, sat_fragment body) {
    sat_builder *builder = &self->builder;
    json_t *items = json_object_get(node, "items"), *prefix = json_object_get(node, "prefixItems");
    if (json_is_array(items)) { /* before 2020-12 */
        prefix = items;
        items = json_object_get(node, "additionalItems");
    }
    size_t named = json_array_size(prefix);
    int64_t min = count_of(self, node, "minItems", where, 0);
    int64_t max = count_of(self, node, "maxItems", where, -1);
    if (json_is_true(json_object_get(node, "uniqueItems")) && max != 0 && max != 1)
        sat_schema_fail(self, SATCHEL_UNSUPPORTED, where, "uniqueItems", "is not supported");
    bool closed = json_is_false(items) || (!items && named && min <= (int64_t)named);
    if (closed && (max < 0 || max > (int64_t)named))
        max = (int64_t)named;
    uint32_t rest = 0, at = sat_builder_text(builder, body.start, "[", 1);
    if (!closed)
        rest = items && !json_is_true(items) ? later(self, items, false, where, "items")
                                             : sat_json_value_rule(builder);
    for (int64_t i = 0; !builder->status; i++) {
        if (i >= min)
            sat_builder_bytes(builder, at, ']', ']', body.end);
        if (max >= 0 && i >= max)
            return;
        char key[48];
        snprintf(key, sizeof key, "prefixItems/%lld", (long long)i);
        uint32_t rule = (size_t)i < named
                            ? later(self, json_array_get(prefix, (size_t)i), false, where, key)
                            : rest;
        uint32_t before = at;
        if (i > 0)
            before = sat_json_space(builder, sat_builder_text(builder, at, ",", 1));
        bool ring = i > 0 && max < 0 && i >= min && (size_t)i >= named;
        uint32_t next = ring ? at : sat_builder_state(builder);
        sat_builder_call(builder, before, rule, next);
        if (ring)
            return;
        at = next;
    }
}

/* ------------------------------------------------------------------ objects */

typedef struct member {
    const char *name;
    uint32_t rule;
    bool required;
} member;

typedef struct object_plan {
    member *members;
    size_t count;
    uint32_t other;           /* rule + 1 of one more member, name and value; 0: none */
    int64_t min, max, counts; /* states tell apart 0 .. counts members */
} object_plan;

static uint32_t named_member(sat_schema *self, uint32_t from, bool comma, const member *one) {
    sat_builder *builder = &self->builder;
    if (comma)
        from = sat_json_space(builder, sat_builder_text(builder, from, ",", 1));
    json_t *name = json_string(one->name);
    from = literal(self, from, name);
    json_decref(name);
    from = sat_json_space(builder, sat_builder_text(builder, from, ":", 1));
    return sat_builder_after(builder, from, one->rule);
}

/* Members that are not named, behind `count` named ones. */
static void other_members(sat_schema *self, const object_plan *plan, uint32_t at, int64_t count,
                          uint32_t end) {
    sat_builder *builder = &self->builder;
    uint32_t rule = plan->other - 1;
    for (int64_t total = count; !builder->status; total++) {
        if (plan->max >= 0 && total >= plan->max)
            return;
        bool comma = total > 0;
        uint32_t before = at;
        if (comma)
            before = sat_json_space(builder, sat_builder_text(builder, at, ",", 1));
        bool ring = plan->max < 0 && total > count;
        uint32_t next = ring ? at : sat_builder_state(builder);
        sat_builder_call(builder, before, rule, next);
        if (ring)
            return;
        /* They may be of one name: only the first adds to the members that are certain. */
        if (count + 1 >= plan->min)
            sat_builder_bytes(builder, next, '}', '}', end);
        at = next;
    }
}

/* A grid of states: so many properties passed, so many taken. */
static void grid(sat_schema *self, const object_plan *plan, sat_fragment body) {
    sat_builder *builder = &self->builder;
    size_t wide = (size_t)plan->counts + 1;
    uint32_t *row = sat_calloc(&builder->context->memory, 2 * wide, sizeof *row);
    if (!row) {
        sat_schema_no_memory(self);
        return;
    }
    uint32_t *next = row + wide; /* state + 1 */
    row[0] = sat_builder_text(builder, body.start, "{", 1) + 1;
    for (size_t i = 0; i < plan->count && !builder->status; i++) {
        memset(next, 0, wide * sizeof *next);
        for (size_t k = 0; k < wide; k++) {
            if (!row[k])
                continue;
            size_t more = k + 1 < wide ? k + 1 : k;
            bool full = plan->max >= 0 && (int64_t)k >= plan->max;
            if (!full) {
                uint32_t behind = named_member(self, row[k] - 1, k > 0, &plan->members[i]);
                if (!next[more])
                    next[more] = sat_builder_state(builder) + 1;
                sat_builder_join(builder, behind, next[more] - 1);
            }
            if (!plan->members[i].required) {
                if (!next[k])
                    next[k] = sat_builder_state(builder) + 1;
                sat_builder_join(builder, row[k] - 1, next[k] - 1);
            }
        }
        memcpy(row, next, wide * sizeof *row);
    }
    for (size_t k = 0; k < wide && !builder->status; k++) {
        if (!row[k])
            continue;
        if ((int64_t)k >= plan->min)
            sat_builder_bytes(builder, row[k] - 1, '}', '}', body.end);
        if (plan->other)
            other_members(self, plan, row[k] - 1, (int64_t)k, body.end);
    }
    sat_free(&builder->context->memory, row);
}

/* A pattern of names begins with a letter that none of the members does. */
static bool pattern_apart(const char *pattern, const object_plan *plan) {
    bool letter = pattern[0] == '^' && pattern[1] && !strchr("([.\\*+?{|$^", pattern[1]) &&
                  (!pattern[2] || !strchr("*?{|", pattern[2])) && !strchr(pattern, '|');
    for (size_t i = 0; i < plan->count && letter; i++)
        letter = plan->members[i].name[0] != pattern[1];
    return letter || !plan->count;
}

/* The rule of a member that is not named. */
static void find_other(sat_schema *self, json_t *node, const char *where, object_plan *plan) {
    sat_builder *builder = &self->builder;
    json_t *patterns = json_object_get(node, "patternProperties");
    json_t *rest = json_object_get(node, "additionalProperties");
    const char *pattern = json_object_iter_key(json_object_iter(patterns));
    uint32_t value;
    if (pattern) {
        if (json_object_size(patterns) > 1 || !pattern_apart(pattern, plan)) {
            sat_schema_fail(self, SATCHEL_UNSUPPORTED, where, "patternProperties",
                            "is supported with one pattern that begins with ^ and a letter that "
                            "no named property begins with");
            return;
        }
        value = later(self, json_object_get(patterns, pattern), false, where, "patternProperties");
    } else if (json_is_false(rest) || (!rest && plan->count)) {
        return;
    } else {
        value = rest && !json_is_true(rest)
                    ? later(self, rest, false, where, "additionalProperties")
                    : sat_json_value_rule(builder);
    }
    uint32_t rule = sat_builder_rule(builder), at;
    sat_fragment body = {.start = sat_builder_state(builder)};
    if (pattern) {
        int64_t least, most;
        at = sat_builder_text(builder, body.start, "\"", 1);
        at = sat_builder_regex(builder, at, pattern, strlen(pattern), where, &least, &most);
        at = sat_builder_text(builder, at, "\"", 1);
    } else {
        const char **names =
            sat_alloc_array(&builder->context->memory, plan->count + 1, sizeof *names);
        if (!names) {
            sat_schema_no_memory(self);
            return;
        }
        for (size_t i = 0; i < plan->count; i++)
            names[i] = plan->members[i].name;
        at = sat_json_other_name(builder, body.start, names, plan->count);
        sat_free(&builder->context->memory, names);
    }
    at = sat_json_space(builder, sat_builder_text(builder, at, ":", 1));
    body.end = sat_builder_after(builder, at, value);
    sat_builder_define(builder, rule, body);
    plan->other = rule + 1;
}

static void add_member(sat_schema *self, object_plan *plan, const char *name, json_t *schema,
                       const char *where, bool required) {
    char *path = join(where, "properties");
    if (!path) {
        sat_schema_no_memory(self);
        return;
    }
    uint32_t rule =
        schema ? later(self, schema, false, path, name) : sat_json_value_rule(&self->builder);
    plan->members[plan->count++] = (member){name, rule, required};
    free(path);
}

static void object(sat_schema *self, json_t *node, const char *where, sat_fragment body) {
    sat_builder *builder = &self->builder;
    json_t *properties = json_object_get(node, "properties"), *value;
    json_t *required = json_object_get(node, "required");
    json_t *rest = json_object_get(node, "additionalProperties");
    json_t *needs = json_object();
    size_t room = json_object_size(properties) + json_array_size(required) + 1, i;
    object_plan plan = {.members =
                            sat_alloc_array(&builder->context->memory, room, sizeof *plan.members)};
    const char *name;
    if (!plan.members || !needs) {
        sat_schema_no_memory(self);
        json_decref(needs);
        return;
    }
    json_array_foreach(required, i, value) {
        if (!json_is_string(value))
            sat_schema_fail(self, SATCHEL_DAMAGED, where, "required", "holds what is no name");
        else if (json_object_set_new(needs, json_string_value(value), json_true()))
            sat_schema_no_memory(self);
    }
    json_object_foreach(properties, name, value)
        add_member(self, &plan, name, value, where, json_object_get(needs, name) != NULL);
    json_object_foreach(needs, name, value) {
        if (json_object_get(properties, name))
            continue;
        if (json_object_get(node, "patternProperties"))
            sat_schema_fail(self, SATCHEL_UNSUPPORTED, where, "required",
                            "with patternProperties must name properties only");
        add_member(self, &plan, name, json_is_true(rest) ? NULL : rest, where, true);
    }
    plan.min = count_of(self, node, "minProperties", where, 0);
    plan.max = count_of(self, node, "maxProperties", where, -1);
    find_other(self, node, where, &plan);
    if (plan.min > (int64_t)plan.count + (plan.other != 0))
        sat_schema_fail(self, SATCHEL_UNSUPPORTED, where, "minProperties",
                        "asks for more than the named properties and one other");
    plan.counts = plan.min > plan.max ? plan.min : plan.max;
    if (plan.counts > (int64_t)plan.count)
        plan.counts = (int64_t)plan.count;
    if (plan.counts < 1)
        plan.counts = 1;
    grid(self, &plan, body);
    sat_free(&builder->context->memory, plan.members);
    json_decref(needs);
}

/* ------------------------------------------------------------------ schemas */

static void any_of(sat_schema *self, json_t *flat, const char *key, const char *where,
                   sat_fragment body) {
    sat_builder *builder = &self->builder;
    json_t *list = json_object_get(flat, key), *rest = json_copy(flat);
    json_t *kept = json_array();
    bool one = !strcmp(key, "oneOf");
    if (!rest || !kept)
        sat_schema_no_memory(self);
    json_object_del(rest, key);
    if (!json_is_array(list) || !json_array_size(list))
        sat_schema_fail(self, SATCHEL_DAMAGED, where, key, "is no list of schemas");
    for (size_t i = 0; i < json_array_size(list) && !builder->status; i++) {
        json_t *both = sat_schema_both(self, rest, json_array_get(list, i), where);
        if (!both)
            break;
        for (size_t k = 0; one && k < json_array_size(kept) && !builder->status; k++)
            if (!sat_schema_disjoint(self, json_array_get(kept, k), both, 0))
                sat_schema_fail(self, SATCHEL_UNSUPPORTED, where, key,
                                "has alternatives that may both hold: use anyOf, or tell them "
                                "apart by type or by a required constant");
        if (json_array_append(kept, both))
            sat_schema_no_memory(self);
        if (json_is_false(both))
            continue;
        sat_builder_call(builder, body.start, later(self, json_incref(both), true, where, key),
                         body.end);
        json_decref(both);
    }
    json_decref(rest);
    json_decref(kept);
}

static void types(sat_schema *self, json_t *flat, const char *where, sat_fragment body) {
    sat_builder *builder = &self->builder;
    int spoken = spoken_of(self, flat, where), kinds = sat_schema_types(flat);
    if (builder->status)
        return;
    if (json_object_get(flat, "enum") || json_object_get(flat, "const")) {
        values(self, flat, where, spoken, body);
        return;
    }
    if (kinds == SAT_TYPE_ANY && !spoken) {
        sat_builder_call(builder, body.start, sat_json_value_rule(builder), body.end);
        return;
    }
    if (!json_object_get(flat, "type"))
        kinds = spoken;
    if (kinds & SAT_TYPE_NULL)
        sat_builder_join(builder, sat_builder_text(builder, body.start, "null", 4), body.end);
    if (kinds & SAT_TYPE_BOOLEAN) {
        sat_builder_join(builder, sat_builder_text(builder, body.start, "true", 4), body.end);
        sat_builder_join(builder, sat_builder_text(builder, body.start, "false", 5), body.end);
    }
    if (kinds & (SAT_TYPE_NUMBER | SAT_TYPE_INTEGER))
        sat_schema_number(self, flat, where, !(kinds & SAT_TYPE_NUMBER), body.start, body.end);
    if (kinds & SAT_TYPE_STRING)
        string(self, flat, where, body);
    if (kinds & SAT_TYPE_ARRAY)
        array(self, flat, where, body);
    if (kinds & SAT_TYPE_OBJECT)
        object(self, flat, where, body);
}

static void compile(sat_schema *self, sat_schema_task task) {
    sat_builder *builder = &self->builder;
    const char *where = task.where;
    sat_fragment body = {sat_builder_state(builder), sat_builder_state(builder)};
    json_t *flat = sat_schema_flatten(self, task.node, where, 0);
    if (flat && !json_is_false(flat)) {
        const char *key = json_object_get(flat, "anyOf")   ? "anyOf"
                          : json_object_get(flat, "oneOf") ? "oneOf"
                                                           : NULL;
        if (key)
            any_of(self, flat, key, where, body);
        else
            types(self, flat, where, body);
    }
    json_decref(flat);
    sat_builder_define(builder, task.rule, body);
}

satchel_status sat_grammar_from_schema(sat_grammar **out, satchel_context *context,
                                       const char *json, size_t length, satchel_error *error) {
    *out = NULL;
    if (length > SAT_GRAMMAR_TEXT)
        return sat_fail(error, SATCHEL_LIMIT, "the schema has %zu bytes: at most %d are taken",
                        length, SAT_GRAMMAR_TEXT);
    sat_schema self = {0};
    satchel_status status =
        sat_json_parse(&self.root, json, length, SATCHEL_DAMAGED, "schema", error);
    if (status)
        return status;
    sat_builder_init(&self.builder, context, error);
    self.rules = json_object();
    later(&self, self.root, false, "", "");
    if (self.count)
        self.tasks[0].where[0] = '\0';
    size_t done = 0;
    for (; done < self.count && !self.builder.status; done++)
        compile(&self, self.tasks[done]);
    status = sat_builder_finish(&self.builder, out, "schema");
    for (size_t i = 0; i < self.count; i++) {
        json_decref(self.tasks[i].node);
        free(self.tasks[i].where);
    }
    sat_free(&context->memory, self.tasks);
    json_decref(self.rules);
    json_decref(self.root);
    sat_builder_free(&self.builder);
    return status;
}
