/*
 * Tokens of a chat template. White space around tags is cut here as Jinja cuts it with trim_blocks
 * and lstrip_blocks: the line break after a block, the indentation before one, and all of it beside
 * a "-".
 */
#include <stdlib.h>
#include <string.h>

#include "generate/chat_parts.h"

typedef struct lexer {
    chat_compiler *compiler;
    const char *source;
    size_t length, at;
    char *open; /* brackets that wait to be closed */
    size_t open_count, open_capacity;
} lexer;

static bool fail_at(lexer *lex, size_t at, satchel_status status, const char *what) {
    lex->compiler->run.at = (uint32_t)at;
    return sat_chat_fail(&lex->compiler->run, status, "%s", what);
}

static chat_token *add(lexer *lex, chat_token_kind kind, size_t at, size_t length) {
    chat_compiler *compiler = lex->compiler;
    if (!sat_grow(compiler->run.memory, (void **)&compiler->tokens, &compiler->token_capacity,
                  compiler->token_count + 1, sizeof *compiler->tokens)) {
        compiler->run.status = sat_fail_memory(compiler->run.error, sizeof *compiler->tokens);
        return NULL;
    }
    chat_token *token = &compiler->tokens[compiler->token_count++];
    *token = (chat_token){.kind = (uint8_t)kind, .at = (uint32_t)at, .length = (uint32_t)length};
    return token;
}

static bool starts(const lexer *lex, size_t at, const char *literal) {
    size_t length = strlen(literal);
    return length <= lex->length - at && memcmp(lex->source + at, literal, length) == 0;
}

/* Past white space. */
static size_t skip_space(const lexer *lex, size_t at) {
    while (at < lex->length) {
        int32_t code;
        size_t size = sat_utf8_decode(lex->source + at, lex->length - at, &code);
        if (!sat_chat_space(code))
            break;
        at += size;
    }
    return at;
}

static size_t trim_end(const lexer *lex, size_t from, size_t to) {
    while (to > from) {
        int32_t code;
        size_t start = sat_chat_before(lex->source, to, &code);
        if (!sat_chat_space(code))
            break;
        to = start;
    }
    return to;
}

/* Template text [from, to) before a tag with such a sign; `block`: not before {{. */
static bool add_data(lexer *lex, size_t from, size_t to, char sign, bool block) {
    if (sign == '-') {
        to = trim_end(lex, from, to);
    } else if (sign != '+' && block) {
        size_t line = to;
        while (line > from && lex->source[line - 1] != '\n')
            line--;
        bool starting = line == 0 || lex->source[line - 1] == '\n';
        if (starting && trim_end(lex, line, to) == line)
            to = line;
    }
    if (to == from)
        return true;
    const chat_text *text = sat_chat_text(&lex->compiler->run, lex->source + from, to - from, true);
    chat_token *token = text ? add(lex, T_DATA, from, to - from) : NULL;
    if (!token)
        return false;
    token->as.text = text;
    return true;
}

/* The end of a block or comment at `at`: where the template goes on, or 0. */
static size_t block_end(const lexer *lex, size_t at, const char *end) {
    if (lex->source[at] == '+' && starts(lex, at + 1, end))
        return at + 3;
    if (lex->source[at] == '-' && starts(lex, at + 1, end))
        return skip_space(lex, at + 3);
    if (!starts(lex, at, end))
        return 0;
    at += 2;
    return at + (at < lex->length && lex->source[at] == '\n');
}

static bool skip_comment(lexer *lex, size_t start) {
    for (size_t at = start + 2; at < lex->length; at++) {
        size_t next = block_end(lex, at, "#}");
        if (next) {
            lex->at = next;
            return true;
        }
    }
    return fail_at(lex, start, SATCHEL_DAMAGED, "this comment is never closed");
}

static size_t skip_word(const lexer *lex, size_t at, const char *word) {
    at = skip_space(lex, at);
    return starts(lex, at, word) ? skip_space(lex, at + strlen(word)) : 0;
}

/* {% raw %} … {% endraw %}, if that is what stands here. */
static bool skip_raw(lexer *lex, size_t start, bool *raw) {
    size_t at = start + 2;
    at += lex->source[at] == '-' || lex->source[at] == '+';
    at = skip_word(lex, at, "raw");
    *raw = at && (starts(lex, at, "%}") || starts(lex, at, "-%}"));
    if (!*raw)
        return true;
    at = lex->source[at] == '-' ? skip_space(lex, at + 3) : at + 2;
    for (size_t from = at; at + 1 < lex->length; at++) {
        if (!starts(lex, at, "{%"))
            continue;
        char sign = lex->source[at + 2];
        size_t word = skip_word(lex, at + 2 + (sign == '-' || sign == '+'), "endraw");
        size_t next = word && word < lex->length ? block_end(lex, word, "%}") : 0;
        if (!next)
            continue;
        lex->at = next;
        return add_data(lex, from, at, sign, true);
    }
    return fail_at(lex, start, SATCHEL_DAMAGED, "\"raw\" is never closed");
}

/* ------------------------------------------------------------------ within tags */

static bool is_name(char c, bool first) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (!first && c >= '0' && c <= '9');
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* One escape after the backslash at `at`; where it ends, or 0. */
static size_t escape(lexer *lex, chat_builder *builder, size_t at, size_t end) {
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    chat_run *run = &lex->compiler->run;
    char c = lex->source[at + 1], utf8[4];
    const char *simple = c ? strchr(from, c) : NULL;
    if (c == '\n')
        return at + 2;
    if (simple)
        return sat_chat_build(run, builder, &to[simple - from], 1, NULL, true) ? at + 2 : 0;
    int32_t code = 0;
    size_t next = at + 2;
    if (c >= '0' && c <= '7') {
        for (next = at + 1; next < end && next < at + 4; next++) {
            if (lex->source[next] < '0' || lex->source[next] > '7')
                break;
            code = code * 8 + (lex->source[next] - '0');
        }
    } else if (c == 'x' || c == 'u' || c == 'U') {
        size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        uint64_t value = 0;
        for (size_t i = 0; i < digits; i++, next++) {
            int digit = next < end ? hex_digit(lex->source[next]) : -1;
            if (digit < 0) {
                fail_at(lex, at, SATCHEL_DAMAGED, "this escape lacks hexadecimal digits");
                return 0;
            }
            value = value * 16 + (uint64_t)digit;
        }
        if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) {
            fail_at(lex, at, value > 0x10FFFF ? SATCHEL_DAMAGED : SATCHEL_UNSUPPORTED,
                    "this escape stands for no character");
            return 0;
        }
        code = (int32_t)value;
    } else if (c == 'N' || (uint8_t)c >= 0x80) {
        fail_at(lex, at, SATCHEL_UNSUPPORTED, "this escape in a text");
        return 0;
    } else { /* Python keeps the backslash */
        return sat_chat_build(run, builder, lex->source + at, 2, NULL, true) ? at + 2 : 0;
    }
    return sat_chat_build(run, builder, utf8, sat_utf8_encode(code, utf8), NULL, true) ? next : 0;
}

static bool lex_string(lexer *lex) {
    size_t start = lex->at, at = start + 1;
    char quote = lex->source[start];
    chat_builder builder = {0};
    while (at < lex->length && lex->source[at] != quote) {
        if (lex->source[at] == '\\') {
            if (at + 1 >= lex->length)
                break;
            at = escape(lex, &builder, at, lex->length);
            if (!at)
                return false;
            continue;
        }
        size_t plain = at;
        while (at < lex->length && lex->source[at] != quote && lex->source[at] != '\\')
            at++;
        if (!sat_chat_build(&lex->compiler->run, &builder, lex->source + plain, at - plain, NULL,
                            true))
            return false;
    }
    if (at >= lex->length)
        return fail_at(lex, start, SATCHEL_DAMAGED, "this text is never closed");
    const chat_text *text = sat_chat_built(&lex->compiler->run, &builder);
    chat_token *token = text ? add(lex, T_STRING, start, at + 1 - start) : NULL;
    if (!token)
        return false;
    token->as.text = text;
    lex->at = at + 1;
    return true;
}

static size_t skip_digits(const lexer *lex, size_t at) {
    while (at < lex->length && lex->source[at] >= '0' && lex->source[at] <= '9')
        at++;
    return at;
}

static bool lex_number(lexer *lex) {
    size_t start = lex->at, at = skip_digits(lex, start);
    bool whole = true, after_dot = start > 0 && lex->source[start - 1] == '.';
    if (!after_dot && at + 1 < lex->length && lex->source[at] == '.' &&
        skip_digits(lex, at + 1) > at + 1) {
        at = skip_digits(lex, at + 1);
        whole = false;
    }
    if (!after_dot && at < lex->length && (lex->source[at] == 'e' || lex->source[at] == 'E')) {
        size_t exponent = at + 1;
        exponent += exponent < lex->length &&
                    (lex->source[exponent] == '+' || lex->source[exponent] == '-');
        if (skip_digits(lex, exponent) > exponent) {
            at = skip_digits(lex, exponent);
            whole = false;
        }
    }
    bool leading = whole && lex->source[start] == '0' && at - start > 1;
    if (leading || at - start > 40 || (at < lex->length && is_name(lex->source[at], true)))
        return fail_at(lex, start, SATCHEL_UNSUPPORTED, "a number in this spelling");
    chat_token *token = add(lex, whole ? T_INTEGER : T_FLOAT, start, at - start);
    if (!token)
        return false;
    char digits[48];
    memcpy(digits, lex->source + start, at - start);
    digits[at - start] = '\0';
    lex->at = at;
    if (!whole) {
        token->as.real = strtod(digits, NULL);
        return true;
    }
    for (size_t i = 0; digits[i]; i++)
        if (__builtin_mul_overflow(token->as.integer, 10, &token->as.integer) ||
            __builtin_add_overflow(token->as.integer, digits[i] - '0', &token->as.integer))
            return fail_at(lex, start, SATCHEL_UNSUPPORTED, "a number of more than 64 bits");
    return true;
}

static bool lex_operator(lexer *lex) {
    static const char *const operators[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                            "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                            ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};
    for (size_t i = 0; i < SAT_COUNT(operators); i++) {
        if (!starts(lex, lex->at, operators[i]))
            continue;
        size_t length = strlen(operators[i]);
        char c = operators[i][0];
        if (strchr("[({", c)) {
            if (!sat_grow(lex->compiler->run.memory, (void **)&lex->open, &lex->open_capacity,
                          lex->open_count + 1, 1)) {
                lex->compiler->run.status = sat_fail_memory(lex->compiler->run.error, 1);
                return false;
            }
            lex->open[lex->open_count++] = c == '[' ? ']' : c == '(' ? ')' : '}';
        } else if (strchr("])}", c)) {
            if (!lex->open_count || lex->open[--lex->open_count] != c)
                return fail_at(lex, lex->at, SATCHEL_DAMAGED, "this bracket closes nothing");
        }
        chat_token *token = add(lex, T_OPERATOR, lex->at, length);
        if (!token)
            return false;
        memcpy(token->symbol, operators[i], length + 1);
        lex->at += length;
        return true;
    }
    return fail_at(lex, lex->at, SATCHEL_DAMAGED, "a character that has no place in a tag");
}

/* To the end of a tag that begins at `start`. */
static bool lex_tag(lexer *lex, size_t start, bool block) {
    lex->open_count = 0;
    for (;;) {
        lex->at = skip_space(lex, lex->at);
        size_t at = lex->at, next = 0;
        if (at >= lex->length)
            return fail_at(lex, start, SATCHEL_DAMAGED, "this tag is never closed");
        if (!lex->open_count && block)
            next = block_end(lex, at, "%}");
        else if (!lex->open_count && starts(lex, at, "-}}"))
            next = skip_space(lex, at + 3);
        else if (!lex->open_count && starts(lex, at, "}}"))
            next = at + 2;
        if (next) {
            lex->at = next;
            return add(lex, block ? T_BLOCK_END : T_PRINT_END, at, 2) != NULL;
        }
        char c = lex->source[at];
        if (is_name(c, true)) {
            while (lex->at < lex->length && is_name(lex->source[lex->at], false))
                lex->at++;
            const chat_text *text =
                sat_chat_text(&lex->compiler->run, lex->source + at, lex->at - at, true);
            chat_token *token = text ? add(lex, T_NAME, at, lex->at - at) : NULL;
            if (!token)
                return false;
            token->as.text = text;
        } else if (c == '"' || c == '\'') {
            if (!lex_string(lex))
                return false;
        } else if (c >= '0' && c <= '9') {
            if (!lex_number(lex))
                return false;
        } else if ((uint8_t)c >= 0x80) {
            return fail_at(lex, at, SATCHEL_UNSUPPORTED, "a name that is not ASCII");
        } else if (!lex_operator(lex)) {
            return false;
        }
    }
}

static bool lex_all(lexer *lex) {
    while (lex->at < lex->length) {
        size_t from = lex->at, at = from;
        while (at < lex->length &&
               !(starts(lex, at, "{{") || starts(lex, at, "{%") || starts(lex, at, "{#"))) {
            const char *brace = memchr(lex->source + at + 1, '{', lex->length - at - 1);
            at = brace ? (size_t)(brace - lex->source) : lex->length;
        }
        if (at == lex->length)
            return add_data(lex, from, at, '+', false);
        char kind = lex->source[at + 1], sign = at + 2 < lex->length ? lex->source[at + 2] : '\0';
        if (kind == '%' && sign) {
            bool raw;
            if (!add_data(lex, from, at, sign, true) || !skip_raw(lex, at, &raw))
                return false;
            if (raw)
                continue;
        } else if (!add_data(lex, from, at, sign, kind != '{')) {
            return false;
        }
        if (kind == '#') {
            if (!skip_comment(lex, sign == '-' || sign == '+' ? at + 1 : at))
                return false;
            continue;
        }
        if (!add(lex, kind == '{' ? T_PRINT : T_BLOCK, at, 2))
            return false;
        lex->at = at + 2 + (sign == '-' || sign == '+');
        if (!lex_tag(lex, at, kind == '%'))
            return false;
    }
    return true;
}

bool sat_chat_lex(chat_compiler *compiler) {
    lexer lex = {
        .compiler = compiler, .source = compiler->chat->source, .length = compiler->chat->length};
    bool good = lex_all(&lex) && add(&lex, T_END, lex.length, 0);
    sat_free(compiler->run.memory, lex.open);
    return good;
}
