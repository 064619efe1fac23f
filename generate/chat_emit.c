/*
 * What all parts of the template compiler write and read by: instructions, constants, variables and native
 * functions of the code that grows, and the tokens before it.
 */
#include <string.h>

#include "generate/chat_parts.h"

/* ------------------------------------------------------------------ emitting */

bool sat_chat_emit(chat_compiler *compiler, chat_op op) {
    sat_chat_template *chat = compiler->chat;
    if (!sat_grow(compiler->run.memory, (void **)&chat->code, &chat->code_capacity,
                  chat->code_count + 1, sizeof op))
        return sat_chat_no_memory(&compiler->run, chat->code_capacity * sizeof op);
    chat->code[chat->code_count++] = op;
    return true;
}

bool sat_chat_constant(chat_compiler *compiler, chat_value value, int32_t *index) {
    sat_chat_template *chat = compiler->chat;
    if (!sat_grow(compiler->run.memory, (void **)&chat->constants, &chat->constant_capacity,
                  chat->constant_count + 1, sizeof value))
        return sat_chat_no_memory(&compiler->run, chat->constant_capacity * sizeof value);
    *index = (int32_t)chat->constant_count;
    chat->constants[chat->constant_count++] = value;
    return true;
}

bool sat_chat_name(chat_compiler *compiler, const chat_text *text, int32_t *index) {
    sat_chat_template *chat = compiler->chat;
    for (size_t i = 0; i < chat->name_count; i++)
        if (sat_chat_same(chat->names[i], text)) {
            *index = (int32_t)i;
            return true;
        }
    if (chat->name_count == CHAT_VARIABLES)
        return sat_chat_fail(&compiler->run, SATCHEL_LIMIT, "more than %d variables",
                             CHAT_VARIABLES);
    if (!sat_grow(compiler->run.memory, (void **)&chat->names, &chat->name_capacity,
                  chat->name_count + 1, sizeof *chat->names))
        return sat_chat_no_memory(&compiler->run, chat->name_capacity * sizeof *chat->names);
    *index = (int32_t)chat->name_count;
    chat->names[chat->name_count++] = text;
    return true;
}

bool sat_chat_native_index(chat_compiler *compiler, const chat_native *native, int32_t *index) {
    sat_chat_template *chat = compiler->chat;
    for (size_t i = 0; i < chat->native_count; i++)
        if (chat->natives[i] == native) {
            *index = (int32_t)i;
            return true;
        }
    if (!sat_grow(compiler->run.memory, (void **)&chat->natives, &chat->native_capacity,
                  chat->native_count + 1, sizeof *chat->natives))
        return sat_chat_no_memory(&compiler->run, chat->native_capacity * sizeof *chat->natives);
    *index = (int32_t)chat->native_count;
    chat->natives[chat->native_count++] = native;
    return true;
}

bool sat_chat_land(chat_compiler *compiler, size_t jump) {
    compiler->chat->code[jump].argument = (int32_t)(compiler->chat->code_count - jump - 1);
    return true;
}

static void reverse(chat_op *code, size_t count) {
    for (size_t i = 0; i < count / 2; i++) {
        chat_op other = code[i];
        code[i] = code[count - 1 - i];
        code[count - 1 - i] = other;
    }
}

bool sat_chat_rotate(chat_compiler *compiler, size_t a, size_t b) {
    sat_chat_template *chat = compiler->chat;
    reverse(chat->code + a, b - a);
    reverse(chat->code + b, chat->code_count - b);
    reverse(chat->code + a, chat->code_count - a);
    return true;
}

/* ------------------------------------------------------------------ tokens */

bool sat_chat_at_name(const chat_compiler *compiler, const char *name) {
    const chat_token *token = chat_here(compiler);
    return token->kind == T_NAME && sat_chat_is(token->as.text, name);
}
bool sat_chat_at(const chat_compiler *compiler, const char *symbol) {
    const chat_token *token = chat_here(compiler);
    return token->kind == T_OPERATOR && strcmp(token->symbol, symbol) == 0;
}
bool sat_chat_skip_name(chat_compiler *compiler, const char *name) {
    bool at = sat_chat_at_name(compiler, name);
    compiler->next += at;
    return at;
}
bool sat_chat_skip(chat_compiler *compiler, const char *symbol) {
    bool at = sat_chat_at(compiler, symbol);
    compiler->next += at;
    return at;
}
bool sat_chat_expect(chat_compiler *compiler, const char *symbol) {
    char expected[16];
    if (sat_chat_skip(compiler, symbol))
        return true;
    snprintf(expected, sizeof expected, "\"%s\"", symbol);
    return sat_chat_syntax(compiler, expected);
}

bool sat_chat_syntax(chat_compiler *compiler, const char *expected) {
    const chat_token *token = chat_here(compiler);
    compiler->run.at = token->at;
    if (token->kind == T_END)
        return sat_chat_fail(&compiler->run, SATCHEL_DAMAGED, "%s is expected, the template ends",
                             expected);
    return sat_chat_fail(&compiler->run, SATCHEL_DAMAGED, "%s is expected, not \"%.*s\"", expected,
                         (int)(token->length < 40 ? token->length : 40),
                         compiler->chat->source + token->at);
}
