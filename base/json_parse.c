/*
 * JSON text to jansson's values. jansson's own reader goes on with what it lost when an allocation
 * fails, and then writes past its buffers; here every failure ends the parse. Not recursive: values
 * that are not complete yet lie on a stack of SAT_JSON_MAX_DEPTH.
 */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_parse.h"
#include "base/text.h"

enum { NUMBER_BYTES = 512 /* of the longest number that is read */ };

#define DIGITS_OF(number) #number
#define DEEPER_THAN(levels) "nested deeper than " DIGITS_OF(levels) " levels"

typedef struct parser {
    const char *text;
    size_t length, at;
    sat_json_problem *problem;
    char *string; /* room for the longest string: as long as the text */
    size_t string_length;
} parser;

static bool fail(parser *p, size_t at, const char *what) {
    p->problem->at = at;
    p->problem->what = what;
    return false;
}

static bool no_memory(parser *p) {
    p->problem->out_of_memory = true;
    return fail(p, p->at, "out of memory");
}

static void skip_space(parser *p) {
    while (p->at < p->length && strchr(" \t\r\n", p->text[p->at]) && p->text[p->at])
        p->at++;
}

/* The next byte that counts; 0 at the end, and for a NUL, which is nowhere allowed. */
static char peek(parser *p) {
    skip_space(p);
    return p->at < p->length ? p->text[p->at] : '\0';
}

/* ------------------------------------------------------------------ strings */

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The four digits behind "\u" at `at`; -1: they are not there. */
static int32_t read_unit(const parser *p, size_t at) {
    int32_t unit = 0;
    if (p->length - at < 4)
        return -1;
    for (size_t i = 0; i < 4; i++) {
        int digit = hex_digit(p->text[at + i]);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

/* `at` is behind the backslash. Each escape is longer than what it stands for. */
static bool read_escape(parser *p) {
    static const char plain[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    size_t start = p->at - 1;
    char c = p->at < p->length ? p->text[p->at++] : '\0';
    for (size_t i = 0; i + 1 < sizeof plain; i += 2)
        if (c && plain[i] == c) {
            p->string[p->string_length++] = plain[i + 1];
            return true;
        }
    int32_t code = c == 'u' ? read_unit(p, p->at) : -1;
    if (code < 0)
        return fail(p, start, "invalid escape");
    p->at += 4;
    if (code >= 0xD800 && code <= 0xDBFF && p->length - p->at >= 6 && p->text[p->at] == '\\' &&
        p->text[p->at + 1] == 'u') {
        int32_t low = read_unit(p, p->at + 2);
        if (low >= 0xDC00 && low <= 0xDFFF) {
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
            p->at += 6;
        }
    }
    if (code >= 0xD800 && code <= 0xDFFF)
        return fail(p, start, "half a surrogate pair");
    if (code == 0)
        return fail(p, start, "\\u0000 is not allowed");
    p->string_length += sat_utf8_encode(code, p->string + p->string_length);
    return true;
}

/* Into p->string; `at` is at the quote. */
static bool read_string(parser *p) {
    size_t start = p->at++;
    p->string_length = 0;
    while (p->at < p->length) {
        char c = p->text[p->at++];
        if (c == '"')
            return true;
        if ((unsigned char)c < 0x20)
            return fail(p, p->at - 1, "a control character in a string; escape it");
        if (c != '\\')
            p->string[p->string_length++] = c;
        else if (!read_escape(p))
            return false;
    }
    return fail(p, start, "a string without its closing quote");
}

/* ------------------------------------------------------------------ numbers and words */

static size_t digits(const parser *p, size_t at) {
    size_t from = at;
    while (at < p->length && p->text[at] >= '0' && p->text[at] <= '9')
        at++;
    return at - from;
}

/* Where the number at `at` ends by JSON's grammar, or `at`: it is none. */
static size_t number_end(const parser *p, size_t at, bool *real) {
    size_t start = at, count;
    *real = false;
    at += at < p->length && p->text[at] == '-';
    count = digits(p, at);
    if (count == 0 || (count > 1 && p->text[at] == '0'))
        return start;
    at += count;
    if (at < p->length && p->text[at] == '.') {
        count = digits(p, at + 1);
        if (count == 0)
            return start;
        at += 1 + count;
        *real = true;
    }
    if (at < p->length && (p->text[at] == 'e' || p->text[at] == 'E')) {
        size_t sign = at + 1 < p->length && strchr("+-", p->text[at + 1]) && p->text[at + 1];
        count = digits(p, at + 1 + sign);
        if (count == 0)
            return start;
        at += 1 + sign + count;
        *real = true;
    }
    return at;
}

/* strtod() wants the point of the process's locale. */
static double real_of(const char *number) {
    const char *point = localeconv()->decimal_point, *dot = strchr(number, '.');
    char local[NUMBER_BYTES + 16];
    if (!dot || strlen(point) > 16)
        return strtod(number, NULL);
    size_t whole = (size_t)(dot - number), width = strlen(point);
    memcpy(local, number, whole);
    memcpy(local + whole, point, width);
    memcpy(local + whole + width, dot + 1, strlen(dot));
    return strtod(local, NULL);
}

static bool read_number(parser *p, json_t **out) {
    char copy[NUMBER_BYTES];
    bool real;
    size_t start = p->at, end = number_end(p, start, &real);
    if (end == start)
        return fail(p, start, "invalid token");
    if (end - start >= sizeof copy)
        return fail(p, start, "a number of too many digits");
    memcpy(copy, p->text + start, end - start);
    copy[end - start] = '\0';
    if (real) {
        double value = real_of(copy);
        if (!isfinite(value))
            return fail(p, start, "a real number too large");
        *out = json_real(value);
    } else {
        errno = 0;
        long long value = strtoll(copy, NULL, 10);
        if (errno == ERANGE)
            return fail(p, start, "an integer too large");
        *out = json_integer(value);
    }
    p->at = end;
    return *out || no_memory(p);
}

static bool read_word(parser *p, json_t **out) {
    static const struct {
        const char *word;
        int kind;
    } words[] = {{"true", 1}, {"false", 0}, {"null", -1}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t length = strlen(words[i].word);
        if (p->length - p->at < length || memcmp(p->text + p->at, words[i].word, length) != 0)
            continue;
        p->at += length;
        *out = words[i].kind < 0 ? json_null() : json_boolean(words[i].kind);
        return true;
    }
    return fail(p, p->at, "invalid token");
}

/* ------------------------------------------------------------------ values */

/* One that is not complete yet. */
typedef struct level {
    json_t *value;
    char *key; /* of an object: whose value is awaited, or NULL */
} level;

/* A scalar, or a new array or object that is to be filled. */
static bool read_value(parser *p, json_t **out) {
    char c = peek(p);
    *out = NULL;
    switch (c) {
    case '{':
    case '[':
        p->at++;
        *out = c == '{' ? json_object() : json_array();
        return *out || no_memory(p);
    case '"':
        if (!read_string(p))
            return false;
        *out = json_stringn_nocheck(p->string, p->string_length);
        return *out || no_memory(p);
    default:
        return c == '-' || (c >= '0' && c <= '9') ? read_number(p, out) : read_word(p, out);
    }
}

/* `"key":`, kept in the level. */
static bool read_key(parser *p, level *top) {
    char c = peek(p);
    size_t start = p->at;
    if (c != '"')
        return fail(p, start, "a key in quotes expected");
    if (!read_string(p))
        return false;
    top->key = malloc(p->string_length + 1);
    if (!top->key)
        return no_memory(p);
    memcpy(top->key, p->string, p->string_length);
    top->key[p->string_length] = '\0';
    if (json_object_get(top->value, top->key))
        return fail(p, start, "the key stands there twice");
    if (peek(p) != ':')
        return fail(p, p->at, "':' expected");
    p->at++;
    return true;
}

/* Takes `value` over. */
static bool put(parser *p, level *top, json_t *value) {
    int failed;
    if (json_is_array(top->value)) {
        failed = json_array_append_new(top->value, value);
    } else {
        failed = json_object_set_new_nocheck(top->value, top->key, value);
        free(top->key);
        top->key = NULL;
    }
    return failed == 0 || no_memory(p);
}

static char closer_of(const json_t *value) {
    return json_is_object(value) ? '}' : ']';
}

/* Gives a complete value to what it stands in, which may then be complete, too, and so on. *root is
 * set once all is. */
static bool complete(parser *p, level *stack, size_t *depth, json_t *value, json_t **root) {
    while (*depth > 0) {
        level *top = &stack[*depth - 1];
        if (!put(p, top, value))
            return false;
        char c = peek(p);
        if (c != ',' && c != closer_of(top->value))
            return fail(p, p->at,
                        json_is_object(top->value) ? "',' or '}' expected" : "',' or ']' expected");
        p->at++;
        if (c == ',')
            return json_is_array(top->value) || read_key(p, top);
        value = top->value;
        --*depth;
    }
    *root = value;
    return true;
}

json_t *sat_json_read(const char *text, size_t length, sat_json_problem *problem) {
    level stack[SAT_JSON_MAX_DEPTH];
    size_t depth = 0;
    json_t *root = NULL, *value;
    *problem = (sat_json_problem){0};
    parser p = {.text = text, .length = length, .problem = problem, .string = malloc(length + 1)};
    bool fine = p.string || no_memory(&p);
    while (fine && !root) {
        fine = read_value(&p, &value);
        if (!fine)
            break;
        if (json_is_object(value) || json_is_array(value)) {
            if (depth == SAT_JSON_MAX_DEPTH) {
                json_decref(value);
                fine = fail(&p, p.at - 1, DEEPER_THAN(SAT_JSON_MAX_DEPTH));
                break;
            }
            stack[depth++] = (level){.value = value};
            if (peek(&p) != closer_of(value)) {
                fine = json_is_array(value) || read_key(&p, &stack[depth - 1]);
                continue;
            }
            p.at++;
            depth--;
        }
        fine = complete(&p, stack, &depth, value, &root);
    }
    skip_space(&p);
    if (fine && p.at < length)
        fine = fail(&p, p.at, "something stands behind the end");
    while (depth-- > 0) {
        json_decref(stack[depth].value);
        free(stack[depth].key);
    }
    free(p.string);
    if (fine)
        return root;
    json_decref(root);
    return NULL;
}
