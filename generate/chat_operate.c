/* Operators of chat templates: arithmetic, comparison, items, slices, attributes. */
#include <math.h>
#include <string.h>

#include "generate/chat_parts.h"

static const char *const symbols[] = {"+",  "-",  "*", "/",  "//", "%",  "**", "~",
                                      "==", "!=", "<", "<=", ">",  ">=", "in", "not in"};

static bool too_large(chat_run *run, const char *symbol) {
    return sat_chat_fail(run, SATCHEL_LIMIT, "the result of %s does not fit in 64 bits", symbol);
}

static bool undefined_used(chat_run *run, const chat_value *value) {
    return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "%s is undefined",
                         value->as.name ? value->as.name : "what is used here");
}

static bool integer_power(chat_run *run, int64_t base, int64_t exponent, int64_t *out) {
    int64_t result = 1;
    while (exponent > 0) {
        if (exponent & 1 && __builtin_mul_overflow(result, base, &result))
            return too_large(run, "**");
        exponent >>= 1;
        if (exponent && __builtin_mul_overflow(base, base, &base))
            return too_large(run, "**");
    }
    *out = result;
    return true;
}

static bool integers(chat_run *run, chat_binary op, int64_t a, int64_t b, int64_t *out) {
    bool overflow = false;
    switch (op) {
    case CHAT_ADD:
        overflow = __builtin_add_overflow(a, b, out);
        break;
    case CHAT_SUB:
        overflow = __builtin_sub_overflow(a, b, out);
        break;
    case CHAT_MUL:
        overflow = __builtin_mul_overflow(a, b, out);
        break;
    case CHAT_POW:
        return integer_power(run, a, b, out);
    default: /* FLOORDIV, MOD: rounded down */
        if (b == 0)
            return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "division by zero");
        if (b == -1) { /* INT64_MIN / -1 traps */
            overflow = op == CHAT_FLOORDIV && __builtin_sub_overflow(0, a, out);
            if (op == CHAT_MOD)
                *out = 0;
            break;
        }
        *out = op == CHAT_FLOORDIV ? a / b : a % b;
        if (a % b != 0 && (a % b < 0) != (b < 0))
            *out = op == CHAT_FLOORDIV ? *out - 1 : *out + b;
    }
    return !overflow || too_large(run, symbols[op]);
}

static bool reals(chat_run *run, chat_binary op, double a, double b, double *out) {
    switch (op) {
    case CHAT_ADD:
        *out = a + b;
        return true;
    case CHAT_SUB:
        *out = a - b;
        return true;
    case CHAT_MUL:
        *out = a * b;
        return true;
    case CHAT_POW:
        if (a == 0 && b < 0)
            return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "0 to a negative power");
        if (a < 0 && b != floor(b))
            return sat_chat_fail(run, SATCHEL_UNSUPPORTED, "complex numbers");
        *out = pow(a, b);
        return true;
    default:
        if (b == 0)
            return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "division by zero");
        if (op == CHAT_DIV) {
            *out = a / b;
            return true;
        }
        double rest = fmod(a, b);
        if (rest != 0 && (rest < 0) != (b < 0))
            rest += b;
        *out = op == CHAT_MOD ? rest : floor((a - rest) / b + 0.5);
        return true;
    }
}

static bool arithmetic(chat_run *run, chat_binary op, const chat_value *a, const chat_value *b,
                       chat_value *out) {
    bool trusted = a->trusted && b->trusted;
    bool whole = a->kind != CHAT_FLOAT && b->kind != CHAT_FLOAT && op != CHAT_DIV &&
                 !(op == CHAT_POW && chat_integer(b) < 0);
    if (whole) {
        int64_t result = 0;
        if (!integers(run, op, chat_integer(a), chat_integer(b), &result))
            return false;
        *out = chat_int(result, trusted);
        return true;
    }
    double result = 0;
    if (!reals(run, op, a->kind == CHAT_FLOAT ? a->as.real : (double)chat_integer(a),
               b->kind == CHAT_FLOAT ? b->as.real : (double)chat_integer(b), &result))
        return false;
    *out = chat_float(result, trusted);
    return true;
}

/* A text without the flag of Markup. */
static const chat_text *plain(chat_run *run, const chat_text *text) {
    if (!text || !text->safe)
        return text;
    chat_text *copy = sat_chat_alloc(run, 1, sizeof *copy);
    if (!copy)
        return NULL;
    *copy = *text;
    copy->safe = false;
    return copy;
}

/* Markup + text escapes the text. */
static bool add_texts(chat_run *run, const chat_text *a, const chat_text *b, chat_value *out) {
    bool safe = a->safe || b->safe;
    if (safe && !a->safe)
        a = sat_chat_escape(run, a);
    if (a && safe && !b->safe)
        b = sat_chat_escape(run, b);
    const chat_text *sum = a && b ? sat_chat_concat(run, a, b) : NULL;
    if (!sum)
        return false;
    if (safe) {
        chat_text *marked = sat_chat_alloc(run, 1, sizeof *marked);
        if (!marked)
            return false;
        *marked = *sum;
        marked->safe = true;
        sum = marked;
    }
    *out = chat_of(sum);
    return true;
}

static bool repeat(chat_run *run, const chat_value *value, int64_t times, chat_value *out) {
    size_t count = times < 0 ? 0 : (size_t)times, total;
    if (value->kind == CHAT_TEXT) {
        const chat_text *text = value->as.text;
        if (text->safe)
            return sat_chat_fail(run, SATCHEL_UNSUPPORTED, "* on Markup");
        chat_builder builder = {0};
        if (!sat_mul_size(count, text->length, &total) || !sat_chat_work(run, total / 16))
            return run->status ? false : sat_chat_fail(run, SATCHEL_LIMIT, "a text grows too long");
        for (size_t i = 0; i < count && text->length; i++)
            if (!sat_chat_build_text(run, &builder, text))
                return false;
        const chat_text *built = sat_chat_built(run, &builder);
        *out = chat_of(built);
        return built != NULL;
    }
    const chat_list *list = value->as.list;
    if (!sat_mul_size(count, list->count, &total))
        return sat_chat_fail(run, SATCHEL_LIMIT, "a list grows too long");
    chat_list *made = sat_chat_list(run, total);
    if (!made)
        return false;
    for (size_t i = 0; i < total; i++)
        made->items[i] = list->items[i % list->count];
    *out = sat_chat_list_value(made, value->kind, value->trusted);
    return sat_chat_list_done(run, made);
}

static bool add_lists(chat_run *run, const chat_value *a, const chat_value *b, chat_value *out) {
    const chat_list *left = a->as.list, *right = b->as.list;
    size_t total;
    if (!sat_add_size(left->count, right->count, &total))
        return sat_chat_fail(run, SATCHEL_LIMIT, "a list grows too long");
    chat_list *made = sat_chat_list(run, total);
    if (!made)
        return false;
    if (left->count)
        memcpy(made->items, left->items, left->count * sizeof *made->items);
    if (right->count)
        memcpy(made->items + left->count, right->items, right->count * sizeof *made->items);
    *out = sat_chat_list_value(made, a->kind, a->trusted && b->trusted);
    return sat_chat_list_done(run, made);
}

static bool compare(chat_run *run, chat_binary op, const chat_value *a, const chat_value *b,
                    bool *result) {
    int order = 0;
    switch (op) {
    case CHAT_EQ:
        return sat_chat_equal(run, a, b, result);
    case CHAT_NE:
        if (!sat_chat_equal(run, a, b, result))
            return false;
        *result = !*result;
        return true;
    case CHAT_IN:
    case CHAT_NOTIN:
        if (!sat_chat_contains(run, b, a, result))
            return false;
        *result ^= op == CHAT_NOTIN;
        return true;
    default:
        break;
    }
    if (a->kind == CHAT_UNDEFINED || b->kind == CHAT_UNDEFINED)
        return undefined_used(run, a->kind == CHAT_UNDEFINED ? a : b);
    if (!sat_chat_compare(run, a, b, symbols[op], &order))
        return false;
    *result = op == CHAT_LT   ? order < 0
              : op == CHAT_LE ? order <= 0
              : op == CHAT_GT ? order > 0
                              : order >= 0;
    return true;
}

bool sat_chat_binary(chat_run *run, chat_binary op, const chat_value *a, const chat_value *b,
                     chat_value *out) {
    if (op == CHAT_TILDE) {
        const chat_text *left = plain(run, sat_chat_string(run, a));
        const chat_text *right = left ? plain(run, sat_chat_string(run, b)) : NULL;
        const chat_text *both = right ? sat_chat_concat(run, left, right) : NULL;
        *out = chat_of(both);
        return both != NULL;
    }
    if (op >= CHAT_EQ) {
        bool result = false;
        if (!compare(run, op, a, b, &result))
            return false;
        *out = chat_bool(result);
        return true;
    }
    if (a->kind == CHAT_UNDEFINED || b->kind == CHAT_UNDEFINED)
        return undefined_used(run, a->kind == CHAT_UNDEFINED ? a : b);
    if (chat_is_number(a) && chat_is_number(b))
        return arithmetic(run, op, a, b, out);
    if (op == CHAT_ADD && a->kind == CHAT_TEXT && b->kind == CHAT_TEXT)
        return add_texts(run, a->as.text, b->as.text, out);
    if (op == CHAT_ADD && chat_is_list(a) && a->kind == b->kind)
        return add_lists(run, a, b, out);
    if (op == CHAT_MUL) {
        bool left = chat_is_list(a) || a->kind == CHAT_TEXT;
        bool right = chat_is_list(b) || b->kind == CHAT_TEXT;
        if (left && (b->kind == CHAT_INT || b->kind == CHAT_BOOL))
            return repeat(run, a, chat_integer(b), out);
        if (right && (a->kind == CHAT_INT || a->kind == CHAT_BOOL))
            return repeat(run, b, chat_integer(a), out);
    }
    if (op == CHAT_MOD && a->kind == CHAT_TEXT)
        return sat_chat_fail(run, SATCHEL_UNSUPPORTED, "formatting a text by %%");
    return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "%s between %s and %s", symbols[op],
                         sat_chat_kind(a), sat_chat_kind(b));
}

bool sat_chat_negate(chat_run *run, const chat_value *value, bool minus, chat_value *out) {
    if (value->kind == CHAT_UNDEFINED)
        return undefined_used(run, value);
    if (!chat_is_number(value))
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "%s of a %s", minus ? "-" : "+",
                             sat_chat_kind(value));
    if (value->kind == CHAT_FLOAT) {
        *out = chat_float(minus ? -value->as.real : value->as.real, value->trusted);
        return true;
    }
    int64_t integer = chat_integer(value);
    if (minus && __builtin_sub_overflow(0, integer, &integer))
        return too_large(run, "-");
    *out = chat_int(integer, value->trusted);
    return true;
}

/* ------------------------------------------------------------------ items */

/* An index from the end if negative; false if there is no such item. */
static bool resolve(int64_t index, size_t count, size_t *at) {
    if (index < 0 && __builtin_add_overflow(index, (int64_t)count, &index))
        return false;
    if (index < 0 || (uint64_t)index >= count)
        return false;
    *at = (size_t)index;
    return true;
}

static bool list_item(chat_run *run, const chat_value *value, int64_t index, chat_value *out) {
    size_t at;
    if (value->kind == CHAT_TEXT) {
        const chat_text *text = value->as.text;
        if (!resolve(index, text->characters, &at))
            return true;
        if (!sat_chat_work(run, text->characters == text->length ? 0 : text->length / 64))
            return false;
        size_t from = sat_chat_offset(text, at);
        int32_t code;
        size_t size = sat_utf8_decode(text->data + from, text->length - from, &code);
        const chat_text *part = sat_chat_part(run, text, from, from + size);
        *out = chat_of(part);
        return part != NULL;
    }
    if (value->kind == CHAT_RANGE_OF) {
        const chat_range *range = value->as.range;
        if (resolve(index, range->count, &at))
            *out = chat_int(range->start + (int64_t)at * range->step, value->trusted);
        return true;
    }
    if (resolve(index, value->as.list->count, &at))
        *out = value->as.list->items[at];
    return true;
}

/* A method or another thing of Python's objects by that name; UNDEFINED if there is none. */
static bool python_attribute(chat_run *run, const chat_value *value, const chat_text *name,
                             chat_value *out) {
    const chat_native *native = sat_chat_method((chat_kind)value->kind, name->data, name->length);
    if (!native)
        return true;
    if (!native->function)
        return sat_chat_fail(run, SATCHEL_UNSUPPORTED, "%s \"%.*s\" of a %s",
                             value->kind == CHAT_LOOP ? "attribute" : "method",
                             (int)(name->length < 100 ? name->length : 100), name->data,
                             sat_chat_kind(value));
    chat_method *method = sat_chat_alloc(run, 1, sizeof *method);
    if (!method)
        return false;
    *method = (chat_method){*value, native};
    *out = (chat_value){.kind = CHAT_METHOD, .trusted = true, .as.method = method};
    return true;
}

static const char *name_of(chat_run *run, const chat_text *text) {
    size_t length = text->length < 100 ? sat_utf8_border(text->data, text->length, text->length)
                                       : sat_utf8_border(text->data, text->length, 100);
    char *name = sat_chat_alloc(run, length + 1, 1);
    if (name)
        memcpy(name, text->data, length);
    return name;
}

static bool other_attribute(chat_run *run, const chat_value *value, const chat_text *name,
                            chat_value *out) {
    if (name->length > 4 && memcmp(name->data, "__", 2) == 0 &&
        memcmp(name->data + name->length - 2, "__", 2) == 0)
        return sat_chat_fail(run, SATCHEL_UNSUPPORTED, "Python's attributes with \"__\"");
    if (value->kind == CHAT_LOOP) {
        if (!sat_chat_loop_attribute(run, value->as.loop, name, out))
            return false;
        if (out->kind != CHAT_ABSENT)
            return true;
        *out = chat_undefined(NULL);
    }
    return python_attribute(run, value, name, out);
}

static bool base_of(chat_run *run, const chat_value *value) {
    return value->kind == CHAT_UNDEFINED ? undefined_used(run, value) : true;
}

bool sat_chat_item(chat_run *run, const chat_value *value, const chat_value *key, chat_value *out) {
    const chat_text *name = key->kind == CHAT_TEXT ? key->as.text : NULL;
    *out = chat_undefined(NULL);
    if (!base_of(run, value))
        return false;
    if (value->kind == CHAT_DICT) {
        if (key->kind == CHAT_LIST || key->kind == CHAT_DICT) /* cannot be hashed: no such item */
            return true;
        const chat_value *found;
        if (!sat_chat_dict_get(run, value->as.dict, key, &found))
            return false;
        if (found) {
            *out = *found;
            return true;
        }
    } else if (value->kind == CHAT_NAMESPACE && name) {
        return sat_chat_attribute(run, value, name, out);
    } else if (chat_is_list(value) || value->kind == CHAT_TEXT || value->kind == CHAT_RANGE_OF) {
        if (key->kind == CHAT_INT || key->kind == CHAT_BOOL)
            return list_item(run, value, chat_integer(key), out);
    }
    if (!name)
        return true;
    out->as.name = name_of(run, name);
    return out->as.name && other_attribute(run, value, name, out);
}

bool sat_chat_attribute(chat_run *run, const chat_value *value, const chat_text *name,
                        chat_value *out) {
    *out = chat_undefined(NULL);
    if (!base_of(run, value))
        return false;
    out->as.name = name_of(run, name);
    if (!out->as.name)
        return false;
    chat_value key = chat_of(name);
    const chat_value *found = NULL;
    if (value->kind == CHAT_NAMESPACE) {
        if (!sat_chat_dict_get(run, &value->as.space->dict, &key, &found))
            return false;
        if (found)
            *out = *found;
        return true;
    }
    if (!other_attribute(run, value, name, out) || out->kind != CHAT_UNDEFINED)
        return run->status == SATCHEL_OK;
    if (value->kind == CHAT_DICT) {
        if (!sat_chat_dict_get(run, value->as.dict, &key, &found))
            return false;
        if (found)
            *out = *found;
    }
    return true;
}

/* ------------------------------------------------------------------ slices */

bool sat_chat_slice(chat_run *run, const chat_value *value, const chat_value bounds[3],
                    chat_value *out) {
    *out = chat_undefined(NULL);
    if (!base_of(run, value))
        return false;
    if (value->kind == CHAT_RANGE_OF)
        return sat_chat_fail(run, SATCHEL_UNSUPPORTED, "a slice of range()");
    if (!chat_is_list(value) && value->kind != CHAT_TEXT)
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "a slice of a %s",
                             sat_chat_kind(value));
    for (int i = 0; i < 3; i++)
        if (bounds[i].kind != CHAT_NONE && bounds[i].kind != CHAT_INT &&
            bounds[i].kind != CHAT_BOOL)
            return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "a slice bounded by a %s",
                                 sat_chat_kind(&bounds[i]));
    int64_t step = bounds[2].kind == CHAT_NONE ? 1 : chat_integer(&bounds[2]);
    if (step == 0)
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "a slice with step 0");
    size_t length;
    if (!sat_chat_length(run, value, &length))
        return false;
    int64_t count = (int64_t)length;
    int64_t limits[2] = {step > 0 ? 0 : count - 1, step > 0 ? count : -1};
    for (int i = 0; i < 2; i++) {
        if (bounds[i].kind == CHAT_NONE)
            continue;
        int64_t bound = chat_integer(&bounds[i]);
        if (bound < 0)
            bound = bound < -count ? -1 : bound + count;
        else if (bound > count)
            bound = count;
        if (step > 0 && bound < 0)
            bound = 0;
        if (step < 0 && bound >= count)
            bound = count - 1;
        limits[i] = bound;
    }
    int64_t from = limits[0], to = limits[1];
    size_t items = 0;
    if (step > 0 && from < to)
        items = (size_t)((to - from - 1) / step + 1);
    if (step < 0 && from > to)
        items = (size_t)((from - to - 1) / (step == INT64_MIN ? INT64_MAX : -step) + 1);
    if (value->kind == CHAT_TEXT) {
        const chat_text *text = value->as.text, *result;
        if (!sat_chat_work(run, text->characters == text->length ? 0 : text->length / 32))
            return false;
        if (step == 1) {
            result = items ? sat_chat_part(run, text, sat_chat_offset(text, (size_t)from),
                                           sat_chat_offset(text, (size_t)to))
                           : sat_chat_part(run, text, 0, 0);
        } else {
            chat_builder builder = {0};
            const chat_list *all = NULL;
            if (!sat_chat_items(run, value, &all))
                return false;
            for (size_t i = 0; i < items; i++)
                if (!sat_chat_build_text(run, &builder,
                                         all->items[from + (int64_t)i * step].as.text))
                    return false;
            result = sat_chat_built(run, &builder);
        }
        *out = chat_of(result);
        return result != NULL;
    }
    chat_list *list = sat_chat_list(run, items);
    if (!list)
        return false;
    for (size_t i = 0; i < items; i++)
        list->items[i] = value->as.list->items[from + (int64_t)i * step];
    *out = sat_chat_list_value(list, value->kind, value->trusted);
    return sat_chat_list_done(run, list);
}
