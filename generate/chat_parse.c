/*
 * Statements of chat templates, compiled in one pass. Bodies that come before what uses them (block
 * set, filter blocks) are jumped to and back; a loop's target, which stands before what is walked
 * over, is moved behind it.
 */
#include <string.h>

#include "generate/chat_parts.h"

/* A loop that break and continue may leave. */
struct chat_around {
    struct chat_around *outer;
    size_t next, out; /* instructions to jump to */
    int scopes, captures;
};

const char *const sat_chat_names[CHAT_NAMES] = {"loop",      "caller",    "messages",
                                                "tools",     "documents", "add_generation_prompt",
                                                "bos_token", "eos_token"};

/* ------------------------------------------------------------------ emitting */

static bool emit(chat_compiler *compiler, uint32_t at, chat_opcode op, int64_t argument) {
    return sat_chat_emit(compiler,
                         (chat_op){.op = (uint8_t)op, .argument = (int32_t)argument, .at = at});
}

/* A jump backwards. */
static bool emit_back(chat_compiler *compiler, uint32_t at, chat_opcode op, size_t to) {
    return emit(compiler, at, op, (int64_t)to - (int64_t)compiler->chat->code_count - 1);
}

static bool open_scope(chat_compiler *compiler, uint32_t at) {
    compiler->scopes++;
    return emit(compiler, at, OP_SCOPE, 0);
}
static bool close_scope(chat_compiler *compiler, uint32_t at) {
    compiler->scopes--;
    return emit(compiler, at, OP_SCOPE_END, 0);
}

/* ------------------------------------------------------------------ tokens */

static bool expect_name(chat_compiler *compiler, const char *name) {
    char expected[32];
    if (sat_chat_skip_name(compiler, name))
        return true;
    snprintf(expected, sizeof expected, "\"%s\"", name);
    return sat_chat_syntax(compiler, expected);
}

static bool end_tag(chat_compiler *compiler) {
    if (chat_here(compiler)->kind != T_BLOCK_END)
        return sat_chat_syntax(compiler, "\"%}\"");
    compiler->next++;
    return true;
}

/* ------------------------------------------------------------------ bodies */

static bool statement(chat_compiler *compiler);

/* Up to a tag that begins with one of the names (parted by spaces); it stands at that name then.
 * NULL: up to the template's end. */
static bool body(chat_compiler *compiler, const char *ends) {
    for (;;) {
        const chat_token *token = chat_here(compiler);
        int32_t index;
        compiler->run.at = token->at;
        switch (token->kind) {
        case T_END:
            return !ends || sat_chat_syntax(compiler, ends);
        case T_DATA:
            if (!sat_chat_constant(compiler, chat_of(token->as.text), &index) ||
                !emit(compiler, token->at, OP_TEXT, index))
                return false;
            compiler->next++;
            break;
        case T_PRINT:
            compiler->next++;
            if (!sat_chat_tuple(compiler, true, NULL) || !emit(compiler, token->at, OP_PRINT, 0))
                return false;
            if (chat_here(compiler)->kind != T_PRINT_END)
                return sat_chat_syntax(compiler, "\"}}\"");
            compiler->next++;
            break;
        default: /* T_BLOCK: the lexer lets nothing else stand here */
            compiler->next++;
            token = chat_here(compiler);
            if (token->kind != T_NAME)
                return sat_chat_syntax(compiler, "a statement");
            if (ends && sat_chat_among(ends, token->as.text->data, token->as.text->length))
                return true;
            if (++compiler->nesting > CHAT_NESTING)
                return sat_chat_fail(&compiler->run, SATCHEL_LIMIT, "nested more than %d deep",
                                     CHAT_NESTING);
            if (!statement(compiler))
                return false;
            compiler->nesting--;
        }
    }
}

/* The end of a tag, a body, its end tag. */
static bool block(chat_compiler *compiler, const char *end) {
    sat_chat_skip(compiler, ":");
    if (!end_tag(compiler) || !body(compiler, end))
        return false;
    compiler->next++;
    return end_tag(compiler);
}

/* Code that stores the top of the stack: names, tuples of them, attributes of namespaces. */
static bool target(chat_compiler *compiler, bool attributes, const char *stop);

static bool single_target(chat_compiler *compiler, bool attributes) {
    const chat_token *token = chat_here(compiler);
    int32_t name, attribute;
    if (sat_chat_skip(compiler, "("))
        return target(compiler, attributes, NULL) && sat_chat_expect(compiler, ")");
    if (token->kind != T_NAME || sat_chat_among("true false none True False None",
                                                token->as.text->data, token->as.text->length))
        return sat_chat_syntax(compiler, "a variable");
    compiler->run.at = token->at;
    if (sat_chat_is(token->as.text, "loop"))
        return sat_chat_fail(&compiler->run, SATCHEL_UNSUPPORTED, "setting \"loop\"");
    compiler->next++;
    if (!sat_chat_name(compiler, token->as.text, &name))
        return false;
    if (!attributes || !sat_chat_skip(compiler, "."))
        return emit(compiler, token->at, OP_STORE, name);
    const chat_token *what = chat_here(compiler);
    if (what->kind != T_NAME)
        return sat_chat_syntax(compiler, "an attribute");
    compiler->next++;
    return sat_chat_constant(compiler, chat_of(what->as.text), &attribute) &&
           emit(compiler, token->at, OP_NAME, name) &&
           emit(compiler, what->at, OP_STORE_ATTRIBUTE, attribute);
}

static bool target(chat_compiler *compiler, bool attributes, const char *stop) {
    sat_chat_template *chat = compiler->chat;
    uint32_t at = chat_here(compiler)->at;
    size_t start = chat->code_count, count = 0;
    bool tuple = false;
    if (++compiler->nesting > CHAT_NESTING)
        return sat_chat_syntax(compiler, "less nesting");
    do {
        if (count && ((stop && sat_chat_at_name(compiler, stop)) || sat_chat_at(compiler, ")")))
            break;
        if (!single_target(compiler, attributes))
            return false;
        count++;
        tuple = tuple || sat_chat_at(compiler, ",");
    } while (sat_chat_skip(compiler, ","));
    compiler->nesting--;
    if (!tuple)
        return true;
    size_t unpack = chat->code_count;
    if (count > UINT16_MAX)
        return sat_chat_syntax(compiler, "fewer variables");
    return sat_chat_emit(compiler,
                         (chat_op){.op = OP_UNPACK, .count = (uint16_t)count, .at = at}) &&
           sat_chat_rotate(compiler, start, unpack);
}

/* ------------------------------------------------------------------ statements */

static bool parse_if(chat_compiler *compiler) {
    /* Jumps to the end form a list through their arguments: there may be any number of branches. */
    size_t last = SIZE_MAX;
    sat_chat_template *chat = compiler->chat;
    for (bool more = true; more;) {
        uint32_t at = chat_here(compiler)->at;
        compiler->next++;
        if (!sat_chat_tuple(compiler, false, NULL))
            return false;
        size_t jump = chat->code_count;
        if (!emit(compiler, at, OP_JUMP_FALSE, 0))
            return false;
        sat_chat_skip(compiler, ":");
        if (!end_tag(compiler) || !body(compiler, "elif else endif"))
            return false;
        more = sat_chat_at_name(compiler, "elif");
        if (!sat_chat_at_name(compiler, "endif")) {
            size_t over = chat->code_count;
            if (!emit(compiler, at, OP_JUMP, last == SIZE_MAX ? -1 : (int64_t)last))
                return false;
            last = over;
        }
        if (!sat_chat_land(compiler, jump))
            return false;
    }
    if (sat_chat_skip_name(compiler, "else")) {
        sat_chat_skip(compiler, ":");
        if (!end_tag(compiler) || !body(compiler, "endif"))
            return false;
    }
    while (last != SIZE_MAX) {
        int32_t before = chat->code[last].argument;
        if (!sat_chat_land(compiler, last))
            return false;
        last = before < 0 ? SIZE_MAX : (size_t)before;
    }
    compiler->next++;
    return end_tag(compiler);
}

/* Whether a loop's body, from here on, speaks of `loop`. */
static bool mentions_loop(const chat_compiler *compiler) {
    size_t depth = 1;
    for (const chat_token *token = chat_here(compiler); token->kind != T_END && depth; token++) {
        bool tag = token->kind == T_NAME && token[-1].kind == T_BLOCK;
        if (tag && sat_chat_is(token->as.text, "for"))
            depth++;
        else if (tag && sat_chat_is(token->as.text, "endfor"))
            depth--;
        else if (token->kind == T_NAME && sat_chat_is(token->as.text, "loop"))
            return true;
    }
    return false;
}

/* Copies the code [from, to) to the end. */
static bool repeat_code(chat_compiler *compiler, size_t from, size_t to) {
    for (size_t i = from; i < to; i++)
        if (!sat_chat_emit(compiler, compiler->chat->code[i]))
            return false;
    return true;
}

/* for … if: with `loop` in the body the items are chosen before, since loop.last and others look
 * ahead; else one by one, so that the condition sees what the body has changed. Jinja does the
 * same. */
static bool choose_before(chat_compiler *compiler, uint32_t at, size_t target_from,
                          size_t target_to, size_t condition_from, size_t condition_to) {
    size_t next = compiler->chat->code_count + 1, out;
    if (!open_scope(compiler, at))
        return false;
    out = next;
    if (!emit(compiler, at, OP_NEXT, 0) || !emit(compiler, at, OP_FRESH, 0) ||
        !repeat_code(compiler, target_from, target_to) ||
        !repeat_code(compiler, condition_from, condition_to) ||
        !emit_back(compiler, at, OP_JUMP_FALSE, next) || !emit(compiler, at, OP_KEEP, 0) ||
        !emit_back(compiler, at, OP_JUMP, next) || !sat_chat_land(compiler, out))
        return false;
    return close_scope(compiler, at) && emit(compiler, at, OP_KEPT, 0) &&
           emit(compiler, at, OP_LOOP, 0);
}

static bool parse_for(chat_compiler *compiler) {
    sat_chat_template *chat = compiler->chat;
    uint32_t at = chat_here(compiler)->at;
    size_t target_from, condition_from, condition_to;
    struct chat_around around = {.outer = compiler->around};
    compiler->next++;
    /* Target and condition are compiled apart first and copied to where they are needed: */
    size_t skip = chat->code_count;
    if (!emit(compiler, at, OP_JUMP, 0))
        return false;
    target_from = chat->code_count;
    if (!target(compiler, false, "in") || !expect_name(compiler, "in"))
        return false;
    size_t walked_from = chat->code_count;
    if (!sat_chat_tuple(compiler, false, "recursive"))
        return false;
    condition_from = condition_to = chat->code_count;
    bool filtered = sat_chat_skip_name(compiler, "if");
    if (filtered) {
        if (!sat_chat_expression(compiler, true))
            return false;
        condition_to = chat->code_count;
    }
    if (sat_chat_at_name(compiler, "recursive")) {
        compiler->run.at = chat_here(compiler)->at;
        return sat_chat_fail(&compiler->run, SATCHEL_UNSUPPORTED, "a loop that is \"recursive\"");
    }
    sat_chat_skip(compiler, ":");
    if (!end_tag(compiler) || !sat_chat_land(compiler, skip))
        return false;
    bool mentioned = mentions_loop(compiler);
    if (!repeat_code(compiler, walked_from, condition_from) || !emit(compiler, at, OP_LOOP, 0) ||
        (filtered && mentioned &&
         !choose_before(compiler, at, target_from, walked_from, condition_from, condition_to)))
        return false;
    if (!open_scope(compiler, at) || !emit(compiler, at, OP_JUMP, 1))
        return false;
    around.out = chat->code_count; /* break jumps here, and from here to the end */
    around.next = chat->code_count + 1;
    around.scopes = compiler->scopes;
    around.captures = compiler->captures;
    if (!emit(compiler, at, OP_JUMP, 0) || !emit(compiler, at, OP_NEXT, 0) ||
        !emit(compiler, at, OP_FRESH, 0) || (mentioned && !emit(compiler, at, OP_LOOP_NAME, 0)) ||
        !repeat_code(compiler, target_from, walked_from))
        return false;
    if (filtered && !mentioned &&
        (!repeat_code(compiler, condition_from, condition_to) ||
         !emit_back(compiler, at, OP_JUMP_FALSE, around.next)))
        return false;
    compiler->around = &around;
    if (!emit(compiler, at, OP_WALKED, 0) || !body(compiler, "else endfor"))
        return false;
    compiler->around = around.outer;
    if (!emit_back(compiler, at, OP_JUMP, around.next) || !sat_chat_land(compiler, around.out) ||
        !sat_chat_land(compiler, around.next) || !close_scope(compiler, at))
        return false;
    if (sat_chat_skip_name(compiler, "else")) {
        size_t jump = chat->code_count;
        sat_chat_skip(compiler, ":");
        if (!emit(compiler, at, OP_JUMP_WALKED, 0) || !end_tag(compiler) ||
            !open_scope(compiler, at) || !body(compiler, "endfor") || !close_scope(compiler, at) ||
            !sat_chat_land(compiler, jump))
            return false;
    }
    compiler->next++;
    return emit(compiler, at, OP_LOOP_END, 0) && end_tag(compiler);
}

static bool parse_leave(chat_compiler *compiler, bool out) {
    uint32_t at = chat_here(compiler)->at;
    const struct chat_around *around = compiler->around;
    compiler->run.at = at;
    if (!around)
        return sat_chat_fail(&compiler->run, SATCHEL_DAMAGED, "\"%s\" stands in no loop",
                             out ? "break" : "continue");
    compiler->next++;
    for (int i = around->captures; i < compiler->captures; i++)
        if (!emit(compiler, at, OP_DISCARD, 0))
            return false;
    for (int i = around->scopes; i < compiler->scopes; i++)
        if (!emit(compiler, at, OP_SCOPE_END, 0))
            return false;
    return emit_back(compiler, at, OP_JUMP, out ? around->out : around->next) && end_tag(compiler);
}

/* A body whose text is then filtered and used: use code, emitted already between `use` and here,
 * follows it. */
static bool captured(chat_compiler *compiler, uint32_t at, size_t use, const char *end) {
    size_t over = compiler->chat->code_count;
    if (!emit(compiler, at, OP_JUMP, 0) || !sat_chat_land(compiler, use))
        return false;
    compiler->captures++;
    if (!emit(compiler, at, OP_CAPTURE, 0) || !open_scope(compiler, at) || !block(compiler, end) ||
        !close_scope(compiler, at) || !emit(compiler, at, OP_CAPTURED, 0))
        return false;
    compiler->captures--;
    return emit_back(compiler, at, OP_JUMP, use + 1) && sat_chat_land(compiler, over);
}

static bool parse_set(chat_compiler *compiler) {
    sat_chat_template *chat = compiler->chat;
    uint32_t at = chat_here(compiler)->at;
    compiler->next++;
    size_t start = chat->code_count;
    if (!emit(compiler, at, OP_JUMP, 0)) /* used by the block form alone */
        return false;
    size_t stores = chat->code_count;
    if (!target(compiler, true, NULL))
        return false;
    size_t value = chat->code_count;
    if (sat_chat_skip(compiler, "=")) {
        return sat_chat_tuple(compiler, true, NULL) && sat_chat_rotate(compiler, stores, value) &&
               end_tag(compiler);
    }
    if (!sat_chat_filters(compiler, false) || !sat_chat_rotate(compiler, stores, value))
        return false;
    return captured(compiler, at, start, "endset");
}

static bool parse_filter(chat_compiler *compiler) {
    uint32_t at = chat_here(compiler)->at;
    size_t start = compiler->chat->code_count;
    compiler->next++;
    return emit(compiler, at, OP_JUMP, 0) && sat_chat_filters(compiler, true) &&
           emit(compiler, at, OP_PRINT, 0) && captured(compiler, at, start, "endfilter");
}

/* What runs on its own: no loop around it can be left, no scope or capture counts. */
typedef struct inner {
    struct chat_around *around;
    int scopes, captures;
    bool in_macro, *calls;
} inner;

static inner enter_macro(chat_compiler *compiler, bool *calls) {
    inner saved = {compiler->around, compiler->scopes, compiler->captures, compiler->in_macro,
                   compiler->calls};
    compiler->around = NULL;
    compiler->scopes = compiler->captures = 0;
    compiler->in_macro = true;
    compiler->calls = calls;
    return saved;
}

static void leave_macro(chat_compiler *compiler, const inner *saved) {
    if (saved->calls && *compiler->calls) /* a macro around it knows `caller` then, too */
        *saved->calls = true;
    compiler->around = saved->around;
    compiler->scopes = saved->scopes;
    compiler->captures = saved->captures;
    compiler->in_macro = saved->in_macro;
    compiler->calls = saved->calls;
}

enum { PARAMETERS = 64 };

/* (a, b=1): names, and code that sets what was not given. */
static bool signature(chat_compiler *compiler, chat_macro_code *macro) {
    uint32_t names[PARAMETERS];
    bool defaults = false;
    if (!sat_chat_expect(compiler, "("))
        return false;
    while (!sat_chat_at(compiler, ")")) {
        if (macro->parameters && !sat_chat_expect(compiler, ","))
            return false;
        const chat_token *token = chat_here(compiler);
        int32_t name;
        if (token->kind != T_NAME)
            return sat_chat_syntax(compiler, "a parameter");
        if (macro->parameters == PARAMETERS)
            return sat_chat_syntax(compiler, "fewer parameters");
        compiler->next++;
        if (!sat_chat_name(compiler, token->as.text, &name))
            return false;
        if (sat_chat_skip(compiler, "=")) {
            size_t jump = compiler->chat->code_count;
            defaults = true;
            if (!sat_chat_emit(compiler, (chat_op){.op = OP_DEFAULT,
                                                   .more = (uint8_t)macro->parameters,
                                                   .at = token->at}) ||
                !sat_chat_expression(compiler, true) ||
                !emit(compiler, token->at, OP_STORE, name) || !sat_chat_land(compiler, jump))
                return false;
        } else if (defaults) {
            return sat_chat_syntax(compiler, "a default value");
        }
        names[macro->parameters++] = (uint32_t)name;
    }
    compiler->next++;
    if (!macro->parameters)
        return true;
    macro->names = sat_chat_alloc(&compiler->run, macro->parameters, sizeof *names);
    if (!macro->names)
        return false;
    memcpy(macro->names, names, macro->parameters * sizeof *names);
    return true;
}

/* Makes the macro whose code starts at `start`, when the program comes here. */
static bool emit_macro(chat_compiler *compiler, uint32_t at, chat_macro_code *macro, size_t start) {
    sat_chat_template *chat = compiler->chat;
    if (!sat_grow(compiler->run.memory, (void **)&chat->macros, &chat->macro_capacity,
                  chat->macro_count + 1, sizeof *macro))
        return sat_chat_no_memory(&compiler->run, chat->macro_capacity * sizeof *macro);
    macro->start = (int32_t)((int64_t)start - (int64_t)chat->code_count);
    chat->macros[chat->macro_count++] = *macro;
    return emit(compiler, at, OP_MACRO, (int64_t)chat->macro_count - 1);
}

static bool parse_macro(chat_compiler *compiler) {
    uint32_t at = chat_here(compiler)->at;
    chat_macro_code macro = {0};
    size_t jump = compiler->chat->code_count;
    int32_t name;
    compiler->next++;
    const chat_token *token = chat_here(compiler);
    if (token->kind != T_NAME)
        return sat_chat_syntax(compiler, "a macro's name");
    compiler->next++;
    if (!sat_chat_name(compiler, token->as.text, &name) || !emit(compiler, at, OP_JUMP, 0))
        return false;
    macro.name = (uint32_t)name;
    size_t start = compiler->chat->code_count;
    inner saved = enter_macro(compiler, &macro.calls);
    if (!signature(compiler, &macro) || !block(compiler, "endmacro") ||
        !emit(compiler, at, OP_RETURN, 0))
        return false;
    leave_macro(compiler, &saved);
    return sat_chat_land(compiler, jump) && emit_macro(compiler, at, &macro, start) &&
           emit(compiler, at, OP_STORE, name);
}

/* {% call(x) m(1) %}…{% endcall %}: the body is a macro, given to m as `caller`. */
static bool parse_call(chat_compiler *compiler) {
    sat_chat_template *chat = compiler->chat;
    uint32_t at = chat_here(compiler)->at;
    chat_macro_code macro = {.name = CHAT_NAME_CALLER};
    int32_t name;
    compiler->next++;
    size_t jump = chat->code_count;
    if (!emit(compiler, at, OP_JUMP, 0))
        return false;
    inner saved = enter_macro(compiler, &macro.calls);
    if (sat_chat_at(compiler, "(") && !signature(compiler, &macro))
        return false;
    leave_macro(compiler, &saved);
    /* Jump over the call's own code to the body behind it; it is moved out of the way
     * afterwards. */
    size_t call = chat->code_count;
    if (!sat_chat_expression(compiler, true))
        return false;
    size_t last = chat->code_count - 1;
    chat_op op = chat->code[last];
    if (last < call || op.op != OP_CALL)
        return sat_chat_syntax(compiler, "a call");
    chat->code_count--;
    size_t length = last - call;
    saved = enter_macro(compiler, &macro.calls);
    size_t said = chat->code_count;
    if (!block(compiler, "endcall") || !emit(compiler, at, OP_RETURN, 0))
        return false;
    leave_macro(compiler, &saved);
    if (!sat_chat_rotate(compiler, call, said))
        return false;
    size_t moved = chat->code_count - length;
    chat->code[jump].argument = (int32_t)(moved - jump - 1);
    op.argument++;
    return sat_chat_constant(compiler, chat_of(chat->names[CHAT_NAME_CALLER]), &name) &&
           emit(compiler, at, OP_CONSTANT, name) && emit_macro(compiler, at, &macro, jump + 1) &&
           sat_chat_emit(compiler, op) && emit(compiler, at, OP_PRINT, 0);
}

/* {% generation %} marks what the assistant says; here it is a scope, as the function that
 * transformers makes of it is, and no loop around it can be left. */
static bool parse_generation(chat_compiler *compiler) {
    uint32_t at = chat_here(compiler)->at;
    struct chat_around *around = compiler->around;
    compiler->next++;
    compiler->around = NULL;
    bool good =
        open_scope(compiler, at) && block(compiler, "endgeneration") && close_scope(compiler, at);
    compiler->around = around;
    return good;
}

static bool statement(chat_compiler *compiler) {
    static const struct {
        const char *name;
        bool (*parse)(chat_compiler *);
    } table[] = {{"if", parse_if},
                 {"for", parse_for},
                 {"set", parse_set},
                 {"macro", parse_macro},
                 {"call", parse_call},
                 {"filter", parse_filter},
                 {"generation", parse_generation}};
    const chat_token *token = chat_here(compiler);
    const chat_text *name = token->as.text;
    for (size_t i = 0; i < SAT_COUNT(table); i++)
        if (sat_chat_is(name, table[i].name))
            return table[i].parse(compiler);
    if (sat_chat_is(name, "break") || sat_chat_is(name, "continue"))
        return parse_leave(compiler, sat_chat_is(name, "break"));
    compiler->run.at = token->at;
    if ((name->length > 3 && memcmp(name->data, "end", 3) == 0) ||
        sat_chat_among("elif else", name->data, name->length))
        return sat_chat_fail(&compiler->run, SATCHEL_DAMAGED, "\"%.*s\" ends nothing here",
                             (int)(name->length < 64 ? name->length : 64), name->data);
    return sat_chat_fail(&compiler->run, SATCHEL_UNSUPPORTED, "the statement \"%.*s\"",
                         (int)(name->length < 64 ? name->length : 64), name->data);
}

satchel_status sat_chat_compile(sat_chat_template *chat, satchel_error *error) {
    chat_compiler compiler = {.chat = chat};
    chat_run *run = &compiler.run;
    *run = (chat_run){.chat = chat,
                      .memory = &chat->context->memory,
                      .bytes_left = CHAT_BYTES,
                      .steps_left = CHAT_STEPS,
                      .error = error};
    sat_arena_init(&run->arena, run->memory);
    bool good = true;
    for (int i = 0; i < CHAT_NAMES && good; i++) {
        int32_t index;
        const chat_text *name =
            sat_chat_text(run, sat_chat_names[i], strlen(sat_chat_names[i]), true);
        good = name && sat_chat_name(&compiler, name, &index);
    }
    good = good && sat_chat_lex(&compiler) && body(&compiler, NULL) &&
           emit(&compiler, (uint32_t)chat->length, OP_RETURN, 0);
    sat_free(run->memory, compiler.tokens);
    chat->arena = run->arena;
    return good ? SATCHEL_OK : run->status;
}
