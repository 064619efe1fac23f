/* Several schemas as one: references followed, allOf joined keyword by keyword, and the proof that
 * two schemas exclude each other. */
#include "generate/grammar_schema.h"

#include <string.h>

void sat_schema_no_memory(sat_schema *self) {
    if (!self->builder.status)
        self->builder.status = sat_fail_memory(self->builder.error, 256);
}

static const char *const type_names[] = {"null",   "boolean", "integer", "number",
                                         "string", "array",   "object"};

static int type_of(json_t *name) {
    for (size_t i = 0; json_is_string(name) && i < SAT_COUNT(type_names); i++)
        if (!strcmp(json_string_value(name), type_names[i]))
            return i == 3 ? SAT_TYPE_NUMBER | SAT_TYPE_INTEGER : 1 << i;
    return 0;
}

int sat_schema_types(json_t *node) {
    json_t *type = json_object_get(node, "type");
    int types = 0;
    if (!type)
        return SAT_TYPE_ANY;
    for (size_t i = 0; i < json_array_size(type); i++) {
        int one = type_of(json_array_get(type, i));
        if (!one)
            return 0;
        types |= one;
    }
    types |= json_is_array(type) ? 0 : type_of(type);
    json_t *nullable = json_object_get(node, "nullable");
    return types && json_is_true(nullable) ? types | SAT_TYPE_NULL : types;
}

/* `out`, or NULL where something was not done; jansson refuses what it is given as NULL. */
static json_t *whole(json_t *out, bool done) {
    if (done && out)
        return out;
    json_decref(out);
    return NULL;
}

static json_t *types_json(int types) {
    json_t *out = json_array();
    bool done = true;
    for (size_t i = 0; i < SAT_COUNT(type_names) && done; i++)
        if ((types & 1 << i) && !(i == 2 && (types & SAT_TYPE_NUMBER)))
            done = !json_array_append_new(out, json_string(type_names[i]));
    return whole(out, done);
}

static json_t *all_of(json_t *a, json_t *b) {
    json_t *list = json_array(), *out = json_object();
    bool done = !json_array_append(list, a) && !json_array_append(list, b);
    list = whole(list, done);
    return whole(out, list && !json_object_set_new(out, "allOf", list));
}

/* What `schema` says of a property it does not name: NULL: anything. */
static json_t *others(json_t *schema) {
    if (json_object_get(schema, "patternProperties"))
        return NULL;
    return json_object_get(schema, "additionalProperties");
}

static bool merge_properties(json_t *out, json_t *a, json_t *b) {
    json_t *sides[2] = {a, b}, *merged = json_object();
    for (int side = 0; side < 2; side++) {
        json_t *mine = json_object_get(sides[side], "properties"), *value;
        json_t *theirs = json_object_get(sides[1 - side], "properties");
        json_t *rest = others(sides[1 - side]);
        const char *name;
        json_object_foreach(mine, name, value) {
            json_t *other = json_object_get(theirs, name);
            other = other ? other : rest;
            if (json_object_get(merged, name))
                continue;
            json_t *both =
                other ? all_of(side ? other : value, side ? value : other) : json_incref(value);
            if (json_object_set_new(merged, name, both))
                return json_decref(merged), false;
        }
    }
    return !json_object_set_new(out, "properties", merged);
}

static json_t *common(json_t *a, json_t *b) {
    json_t *out = json_array(), *x, *y;
    size_t i, k;
    bool done = true;
    json_array_foreach(a, i, x) {
        json_array_foreach(b, k, y) {
            if (json_equal(x, y)) {
                done = done && !json_array_append(out, x);
                break;
            }
        }
    }
    return whole(out, done);
}

/* The larger or the smaller of two numbers. */
static json_t *tighter(json_t *a, json_t *b, bool larger) {
    bool first = (json_number_value(a) > json_number_value(b)) == larger;
    return json_incref(first ? a : b);
}

/* One keyword that both have. NULL: they cannot be joined, or, where *can is true, no memory. */
static json_t *merge_keyword(const char *key, json_t *a, json_t *b, bool *can) {
    static const char *const lower[] = {"minimum",  "exclusiveMinimum", "minLength",
                                        "minItems", "minProperties",    NULL};
    static const char *const upper[] = {"maximum",  "exclusiveMaximum", "maxLength",
                                        "maxItems", "maxProperties",    NULL};
    static const char *const notes[] = {
        "title", "description", "default", "examples",   "$id",      "$schema",   "$comment",
        "$defs", "definitions", "$anchor", "deprecated", "readOnly", "writeOnly", NULL};
    *can = true;
    for (int i = 0; lower[i]; i++)
        if (!strcmp(key, lower[i]) || !strcmp(key, upper[i]))
            return (*can = json_is_number(a) && json_is_number(b))
                       ? tighter(a, b, !strcmp(key, lower[i]))
                       : NULL;
    for (int i = 0; notes[i]; i++)
        if (!strcmp(key, notes[i]))
            return json_incref(a);
    if (json_equal(a, b))
        return json_incref(a);
    if (!strcmp(key, "enum"))
        return common(a, b);
    if (!strcmp(key, "items") && !json_is_array(a) && !json_is_array(b))
        return all_of(a, b);
    if (!strcmp(key, "uniqueItems"))
        return json_true();
    if (!strcmp(key, "additionalProperties")) {
        if (json_is_false(a) || json_is_false(b))
            return json_false();
        return json_is_true(a) ? json_incref(b) : json_is_true(b) ? json_incref(a) : all_of(a, b);
    }
    if (!strcmp(key, "required")) {
        *can = json_is_array(a) && json_is_array(b);
        json_t *out = *can ? json_copy(a) : NULL;
        return whole(out, !json_array_extend(out, b));
    }
    *can = false;
    return NULL;
}

/* `b` into `out`. *never: nothing can satisfy both. */
static bool merge(sat_schema *self, json_t *out, json_t *b, const char *where, bool *never) {
    if (++self->merges > SAT_SCHEMA_MERGES) {
        sat_schema_fail(self, SATCHEL_LIMIT, where, "allOf", "leads to too many joined schemas");
        return false;
    }
    int types = sat_schema_types(out) & sat_schema_types(b);
    bool typed = json_object_get(out, "type") || json_object_get(b, "type"), done = true;
    json_t *before = json_copy(out), *value;
    const char *key;
    if (json_object_get(out, "properties") || json_object_get(b, "properties"))
        done = before && merge_properties(out, before, b);
    json_object_foreach(b, key, value) {
        bool can;
        json_t *mine = json_object_get(out, key);
        if (!strcmp(key, "properties") || !strcmp(key, "type"))
            continue;
        if (!mine) {
            done = done && !json_object_set(out, key, value);
            continue;
        }
        json_t *joined = merge_keyword(key, mine, value, &can);
        if (!can && !strcmp(key, "const")) {
            *never = true;
            continue;
        }
        if (!can) {
            sat_schema_fail(self, SATCHEL_UNSUPPORTED, where, key,
                            "twice for one value (allOf, $ref) cannot be joined");
            break;
        }
        done = done && !json_object_set_new(out, key, joined);
    }
    if (typed && done)
        done = !json_object_set_new(out, "type", types_json(types));
    *never = *never || (typed && !types);
    json_decref(before);
    if (!done)
        sat_schema_no_memory(self);
    return !self->builder.status;
}

/* "#/a/b~1c" in the document. */
static json_t *resolve(sat_schema *self, const char *pointer, const char *where) {
    json_t *at = self->root;
    const char *text = pointer;
    if (*text++ != '#' || (*text && *text != '/')) {
        sat_schema_fail(self, SATCHEL_UNSUPPORTED, where, "$ref",
                        "leads out of the schema: only #/... is supported");
        return NULL;
    }
    while (at && *text) {
        char name[512];
        size_t length = 0;
        for (text++; *text && *text != '/' && length + 1 < sizeof name; text++) {
            char c = *text;
            if (c == '~' && (text[1] == '0' || text[1] == '1'))
                c = *++text == '0' ? '~' : '/';
            name[length++] = c;
        }
        name[length] = '\0';
        if (*text && *text != '/')
            at = NULL;
        else if (json_is_array(at)) {
            size_t index = 0;
            for (size_t i = 0; i < length && index < 1 << 20; i++)
                index = name[i] >= '0' && name[i] <= '9' ? index * 10 + (size_t)(name[i] - '0')
                                                         : 1 << 20;
            at = json_array_get(at, index);
        } else
            at = json_object_get(at, name);
    }
    if (!at)
        sat_schema_fail(self, SATCHEL_DAMAGED, where, "$ref", "leads nowhere");
    return at;
}

json_t *sat_schema_flatten(sat_schema *self, json_t *node, const char *where, int depth) {
    if (depth > SAT_SCHEMA_CHAIN) {
        sat_schema_fail(self, SATCHEL_LIMIT, where, "$ref",
                        "refers to itself, or through too many others");
        return NULL;
    }
    if (json_is_true(node))
        return json_object();
    if (json_is_false(node))
        return json_false();
    if (!json_is_object(node)) {
        sat_schema_fail(self, SATCHEL_DAMAGED, where, NULL, "is neither an object nor a boolean");
        return NULL;
    }
    if (!sat_schema_types(node)) {
        sat_schema_fail(self, SATCHEL_DAMAGED, where, "type", "names no type of JSON Schema");
        return NULL;
    }
    json_t *out = json_copy(node), *ref = json_object_get(node, "$ref");
    json_t *list = json_object_get(node, "allOf");
    bool never = false;
    if (!out) {
        sat_schema_no_memory(self);
        return NULL;
    }
    json_object_del(out, "$ref"); /* deleting takes no memory */
    json_object_del(out, "allOf");
    for (size_t i = 0; i < json_array_size(list) + (ref != NULL); i++) {
        json_t *part = i < json_array_size(list) ? json_array_get(list, i) : NULL;
        if (!part)
            part = json_is_string(ref) ? resolve(self, json_string_value(ref), where) : NULL;
        if (!part)
            sat_schema_fail(self, SATCHEL_DAMAGED, where, "$ref", "is no string");
        json_t *flat = part ? sat_schema_flatten(self, part, where, depth + 1) : NULL;
        if (flat && !json_is_false(flat) && !merge(self, out, flat, where, &never)) {
            json_decref(flat);
            flat = NULL;
        }
        never = never || json_is_false(flat);
        json_decref(flat);
        if (!flat) {
            json_decref(out);
            return NULL;
        }
    }
    if (!never)
        return out;
    json_decref(out);
    return json_false();
}

json_t *sat_schema_both(sat_schema *self, json_t *a, json_t *b, const char *where) {
    json_t *both = all_of(a, b);
    if (!both) {
        sat_schema_no_memory(self);
        return NULL;
    }
    json_t *out = sat_schema_flatten(self, both, where, 0);
    json_decref(both);
    return out;
}

/* ------------------------------------------------------------------ exclusion */

/* The values of enum or const as an array with a reference of its own, or NULL. Where memory is
 * out, there are fewer proofs that schemas exclude each other, and no wrong ones. */
static json_t *values_of(json_t *schema) {
    json_t *list = json_object_get(schema, "enum"), *one = json_object_get(schema, "const");
    if (list || !one)
        return json_incref(list);
    list = json_array();
    return whole(list, !json_array_append(list, one));
}

static int type_of_value(json_t *value) {
    switch (json_typeof(value)) {
    case JSON_NULL:
        return SAT_TYPE_NULL;
    case JSON_TRUE:
    case JSON_FALSE:
        return SAT_TYPE_BOOLEAN;
    case JSON_STRING:
        return SAT_TYPE_STRING;
    case JSON_ARRAY:
        return SAT_TYPE_ARRAY;
    case JSON_OBJECT:
        return SAT_TYPE_OBJECT;
    default:
        return SAT_TYPE_INTEGER | SAT_TYPE_NUMBER;
    }
}

static int value_types(json_t *schema) {
    json_t *list = values_of(schema), *value;
    int types = sat_schema_types(schema), of_values = 0;
    size_t i;
    json_array_foreach(list, i, value) of_values |= type_of_value(value);
    if (list)
        types &= of_values;
    json_decref(list);
    return types;
}

static bool values_disjoint(json_t *a, json_t *b) {
    json_t *x = values_of(a), *y = values_of(b), *both = x && y ? common(x, y) : NULL, *value;
    bool disjoint = both && !json_array_size(both);
    size_t i;
    json_array_foreach(x, i, value) disjoint =
        disjoint && !json_is_number(value) && !json_is_array(value) && !json_is_object(value);
    json_decref(x);
    json_decref(y);
    json_decref(both);
    return disjoint;
}

static bool requires(json_t *schema, const char *name) {
    json_t *list = json_object_get(schema, "required"), *one;
    size_t i;
    json_array_foreach(list, i, one) if (json_is_string(one) &&
                                         !strcmp(json_string_value(one), name)) return true;
    return false;
}

static bool above(json_t *a, json_t *b, const char *min, const char *max) {
    json_t *low = json_object_get(a, min), *high = json_object_get(b, max);
    return json_is_number(low) && json_is_number(high) &&
           json_number_value(low) > json_number_value(high);
}

static bool objects_disjoint(sat_schema *self, json_t *a, json_t *b, int depth) {
    json_t *list = json_object_get(a, "required"), *name;
    size_t i;
    json_array_foreach(list, i, name) {
        const char *text = json_string_value(name);
        json_t *x = text ? json_object_get(json_object_get(a, "properties"), text) : NULL;
        json_t *y = text ? json_object_get(json_object_get(b, "properties"), text) : NULL;
        if (text && !y && json_is_false(others(b)))
            return true; /* the one must have what the other must not */
        if (!x || !y)
            continue;
        json_t *flat_x = sat_schema_flatten(self, x, "", 0);
        json_t *flat_y = sat_schema_flatten(self, y, "", 0);
        bool apart = flat_x && flat_y && requires(b, text) &&
                     sat_schema_disjoint(self, flat_x, flat_y, depth + 1);
        json_decref(flat_x);
        json_decref(flat_y);
        if (apart)
            return true;
    }
    return false;
}

bool sat_schema_disjoint(sat_schema *self, json_t *a, json_t *b, int depth) {
    if (json_is_false(a) || json_is_false(b))
        return true;
    if (depth > 8)
        return false;
    int types = value_types(a) & value_types(b);
    if (!types || values_disjoint(a, b))
        return true;
    if (!(types & ~(SAT_TYPE_INTEGER | SAT_TYPE_NUMBER)))
        return above(a, b, "minimum", "maximum") || above(b, a, "minimum", "maximum");
    if (types == SAT_TYPE_STRING)
        return above(a, b, "minLength", "maxLength") || above(b, a, "minLength", "maxLength");
    if (types == SAT_TYPE_ARRAY)
        return above(a, b, "minItems", "maxItems") || above(b, a, "minItems", "maxItems");
    return types == SAT_TYPE_OBJECT &&
           (objects_disjoint(self, a, b, depth) || objects_disjoint(self, b, a, depth));
}
