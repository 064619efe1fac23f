/*
 * Expressions of chat templates, compiled as they are read: operands leave a value on the stack.
 * Binary operators by precedence climbing. Jumps are relative, so a piece of code can be moved: the
 * condition of an inline if comes after its value in the source and before it in the code.
 */
#include <string.h>

#include "generate/chat_parts.h"

static bool emit(chat_compiler *compiler, uint32_t at, chat_opcode op, int more, size_t count,
                 int64_t argument) {
    if (count > UINT16_MAX) {
        compiler->run.at = at;
        return sat_chat_fail(&compiler->run, SATCHEL_LIMIT, "more than %d items", UINT16_MAX);
    }
    return sat_chat_emit(compiler, (chat_op){.op = (uint8_t)op,
                                             .more = (uint8_t)more,
                                             .count = (uint16_t)count,
                                             .argument = (int32_t)argument,
                                             .at = at});
}

static bool emit_constant(chat_compiler *compiler, uint32_t at, chat_value value) {
    int32_t index;
    return sat_chat_constant(compiler, value, &index) &&
           emit(compiler, at, OP_CONSTANT, 0, 0, index);
}

static bool unsupported(chat_compiler *compiler, const chat_token *token, const char *what) {
    compiler->run.at = token->at;
    return sat_chat_fail(&compiler->run, SATCHEL_UNSUPPORTED, "%s \"%.*s\"", what,
                         (int)(token->length < 64 ? token->length : 64),
                         compiler->chat->source + token->at);
}

static bool deeper(chat_compiler *compiler) {
    if (++compiler->nesting <= CHAT_NESTING)
        return true;
    compiler->run.at = chat_here(compiler)->at;
    return sat_chat_fail(&compiler->run, SATCHEL_LIMIT, "nested more than %d deep", CHAT_NESTING);
}

/* ------------------------------------------------------------------ operands */

static bool name_operand(chat_compiler *compiler) {
    const chat_token *token = chat_here(compiler);
    const chat_text *name = token->as.text;
    compiler->next++;
    if (sat_chat_is(name, "true") || sat_chat_is(name, "True"))
        return emit_constant(compiler, token->at, chat_bool(true));
    if (sat_chat_is(name, "false") || sat_chat_is(name, "False"))
        return emit_constant(compiler, token->at, chat_bool(false));
    if (sat_chat_is(name, "none") || sat_chat_is(name, "None"))
        return emit_constant(compiler, token->at, chat_none());
    if (sat_chat_is(name, "self") ||
        (compiler->in_macro && (sat_chat_is(name, "varargs") || sat_chat_is(name, "kwargs"))))
        return unsupported(compiler, token, "the variable");
    if (sat_chat_at(compiler, "(") &&
        sat_chat_among("lipsum cycler joiner super", name->data, name->length))
        return unsupported(compiler, token, "the function");
    int32_t index;
    if (!sat_chat_name(compiler, name, &index))
        return false;
    if (index == CHAT_NAME_CALLER && compiler->calls)
        *compiler->calls = true;
    return emit(compiler, token->at, OP_NAME, 0, 0, index);
}

static bool string_operand(chat_compiler *compiler) {
    const chat_token *token = chat_here(compiler);
    const chat_text *text = token->as.text;
    compiler->next++;
    if (chat_here(compiler)->kind == T_STRING) { /* side by side: one text */
        chat_builder builder = {0};
        if (!sat_chat_build_text(&compiler->run, &builder, text))
            return false;
        for (; chat_here(compiler)->kind == T_STRING; compiler->next++)
            if (!sat_chat_build_text(&compiler->run, &builder, chat_here(compiler)->as.text))
                return false;
        text = sat_chat_built(&compiler->run, &builder);
        if (!text)
            return false;
    }
    return emit_constant(compiler, token->at, chat_of(text));
}

static bool list_operand(chat_compiler *compiler) {
    uint32_t at = chat_here(compiler)->at;
    size_t count = 0;
    compiler->next++;
    while (!sat_chat_at(compiler, "]")) {
        if (count && !sat_chat_expect(compiler, ","))
            return false;
        if (sat_chat_at(compiler, "]"))
            break;
        if (!sat_chat_expression(compiler, true))
            return false;
        count++;
    }
    return sat_chat_expect(compiler, "]") && emit(compiler, at, OP_LIST, 0, count, 0);
}

static bool dict_operand(chat_compiler *compiler) {
    uint32_t at = chat_here(compiler)->at;
    size_t count = 0;
    compiler->next++;
    while (!sat_chat_at(compiler, "}")) {
        if (count && !sat_chat_expect(compiler, ","))
            return false;
        if (sat_chat_at(compiler, "}"))
            break;
        if (!sat_chat_expression(compiler, true) || !sat_chat_expect(compiler, ":") ||
            !sat_chat_expression(compiler, true))
            return false;
        count++;
    }
    return sat_chat_expect(compiler, "}") && emit(compiler, at, OP_DICT, 0, count, 0);
}

static bool operand(chat_compiler *compiler) {
    const chat_token *token = chat_here(compiler);
    switch (token->kind) {
    case T_NAME:
        return name_operand(compiler);
    case T_STRING:
        return string_operand(compiler);
    case T_INTEGER:
        compiler->next++;
        return emit_constant(compiler, token->at, chat_int(token->as.integer, true));
    case T_FLOAT:
        compiler->next++;
        return emit_constant(compiler, token->at, chat_float(token->as.real, true));
    default:
        break;
    }
    if (sat_chat_at(compiler, "["))
        return list_operand(compiler);
    if (sat_chat_at(compiler, "{"))
        return dict_operand(compiler);
    if (!sat_chat_skip(compiler, "("))
        return sat_chat_syntax(compiler, "an expression");
    if (sat_chat_skip(compiler, ")"))
        return emit(compiler, token->at, OP_TUPLE, 0, 0, 0);
    return sat_chat_tuple(compiler, true, NULL) && sat_chat_expect(compiler, ")");
}

/* ------------------------------------------------------------------ calls */

typedef struct arguments {
    size_t count, keywords;
    size_t ends[3]; /* where the code of the first two begins and ends */
} arguments;

static bool read_arguments(chat_compiler *compiler, arguments *given) {
    *given = (arguments){.ends = {compiler->chat->code_count}};
    if (!sat_chat_expect(compiler, "("))
        return false;
    for (bool first = true; !sat_chat_at(compiler, ")"); first = false) {
        if (!first && !sat_chat_expect(compiler, ","))
            return false;
        if (sat_chat_at(compiler, ")"))
            break;
        const chat_token *token = chat_here(compiler);
        if (sat_chat_at(compiler, "*") || sat_chat_at(compiler, "**"))
            return unsupported(compiler, token, "arguments given by");
        bool keyword = token->kind == T_NAME && token[1].kind == T_OPERATOR &&
                       strcmp(token[1].symbol, "=") == 0;
        if (keyword) {
            compiler->next += 2;
            if (!emit_constant(compiler, token->at, chat_of(token->as.text)))
                return false;
            given->keywords++;
        } else if (given->keywords) {
            return sat_chat_syntax(compiler, "a keyword argument");
        } else {
            given->count++;
        }
        if (!sat_chat_expression(compiler, true))
            return false;
        if (!keyword && given->count < 3)
            given->ends[given->count] = compiler->chat->code_count;
    }
    return sat_chat_expect(compiler, ")");
}

static bool call(chat_compiler *compiler) {
    const sat_chat_template *chat = compiler->chat;
    uint32_t at = chat_here(compiler)->at;
    const chat_op *last = &chat->code[chat->code_count - 1];
    arguments given;
    if (last->op == OP_ATTRIBUTE) {
        /* Data has no methods of its own, so the name tells whether the subset has it. */
        const chat_text *name = chat->constants[last->argument].as.text;
        static const chat_kind kinds[] = {CHAT_TEXT, CHAT_DICT, CHAT_LIST, CHAT_LOOP};
        bool known = false;
        for (size_t i = 0; i < SAT_COUNT(kinds); i++) {
            const chat_native *method = sat_chat_method(kinds[i], name->data, name->length);
            known = known || (method && method->function);
        }
        if (!known)
            return unsupported(compiler, chat_here(compiler) - 1, "the method");
    }
    return read_arguments(compiler, &given) &&
           emit(compiler, at, OP_CALL, 0, given.count, (int64_t)given.keywords);
}

static bool subscript(chat_compiler *compiler) {
    uint32_t at = chat_here(compiler)->at;
    compiler->next++;
    bool slice = false, colon = true; /* in front of the part */
    for (int part = 0; part < 3; part++) {
        bool absent = !colon || sat_chat_at(compiler, ":") || (slice && sat_chat_at(compiler, "]"));
        if (absent ? !emit_constant(compiler, at, chat_none())
                   : !sat_chat_expression(compiler, true))
            return false;
        if (part == 0 && !sat_chat_at(compiler, ":"))
            break;
        slice = true;
        colon = part < 2 && sat_chat_skip(compiler, ":");
    }
    if (sat_chat_at(compiler, ","))
        return unsupported(compiler, chat_here(compiler), "an index with");
    return sat_chat_expect(compiler, "]") &&
           emit(compiler, at, slice ? OP_SLICE : OP_ITEM, 0, 0, 0);
}

static bool postfix(chat_compiler *compiler) {
    for (;;) {
        const chat_token *token = chat_here(compiler);
        if (sat_chat_skip(compiler, ".")) {
            const chat_token *name = chat_here(compiler);
            compiler->next++;
            if (name->kind == T_INTEGER) {
                if (!emit_constant(compiler, name->at, chat_int(name->as.integer, true)) ||
                    !emit(compiler, token->at, OP_ITEM, 0, 0, 0))
                    return false;
                continue;
            }
            int32_t index;
            if (name->kind != T_NAME) {
                compiler->next--;
                return sat_chat_syntax(compiler, "a name");
            }
            if (name->length > 4 && memcmp(name->as.text->data, "__", 2) == 0)
                return unsupported(compiler, name, "the attribute");
            if (!sat_chat_constant(compiler, chat_of(name->as.text), &index) ||
                !emit(compiler, name->at, OP_ATTRIBUTE, 0, 0, index))
                return false;
        } else if (sat_chat_at(compiler, "[")) {
            if (!subscript(compiler))
                return false;
        } else if (sat_chat_at(compiler, "(")) {
            if (!call(compiler))
                return false;
        } else {
            return true;
        }
    }
}

/* ------------------------------------------------------------------ filters and tests */

/* A filter's or test's name given as a literal is checked like any other. */
static bool check_named(chat_compiler *compiler, const chat_token *filter, const arguments *given) {
    const sat_chat_template *chat = compiler->chat;
    bool by_map = sat_chat_is(filter->as.text, "map");
    bool by_attribute =
        sat_chat_among("selectattr rejectattr", filter->as.text->data, filter->as.text->length);
    if (!by_map && !by_attribute &&
        !sat_chat_among("select reject", filter->as.text->data, filter->as.text->length))
        return true;
    size_t which = by_attribute;
    if (given->count <= which || given->ends[which + 1] != given->ends[which] + 1)
        return true;
    const chat_op *op = &chat->code[given->ends[which]];
    if (op->op != OP_CONSTANT || chat->constants[op->argument].kind != CHAT_TEXT)
        return true;
    const chat_text *name = chat->constants[op->argument].as.text;
    if (by_map ? sat_chat_filter(name->data, name->length) != NULL
               : sat_chat_test(name->data, name->length) != NULL)
        return true;
    compiler->run.at = op->at;
    return sat_chat_fail(&compiler->run, SATCHEL_UNSUPPORTED, "the %s \"%.*s\"",
                         by_map ? "filter" : "test", (int)(name->length < 64 ? name->length : 64),
                         name->data);
}

bool sat_chat_filters(chat_compiler *compiler, bool first) {
    while (first || sat_chat_at(compiler, "|")) {
        compiler->next += !first;
        first = false;
        const chat_token *token = chat_here(compiler);
        arguments given = {0};
        int32_t index;
        if (token->kind != T_NAME)
            return sat_chat_syntax(compiler, "a filter's name");
        const chat_native *native = sat_chat_filter(token->as.text->data, token->as.text->length);
        if (!native)
            return unsupported(compiler, token, "the filter");
        compiler->next++;
        if (sat_chat_at(compiler, "(") &&
            (!read_arguments(compiler, &given) || !check_named(compiler, token, &given)))
            return false;
        if (given.keywords > UINT8_MAX)
            return sat_chat_syntax(compiler, "fewer keyword arguments");
        if (!sat_chat_native_index(compiler, native, &index) ||
            !emit(compiler, token->at, OP_FILTER, (int)given.keywords, given.count, index))
            return false;
    }
    return true;
}

/* After "is". */
static bool test(chat_compiler *compiler) {
    bool negated = sat_chat_skip_name(compiler, "not");
    const chat_token *token = chat_here(compiler);
    arguments given = {0};
    int32_t index;
    if (token->kind != T_NAME)
        return sat_chat_syntax(compiler, "a test's name");
    const chat_native *native = sat_chat_test(token->as.text->data, token->as.text->length);
    if (!native)
        return unsupported(compiler, token, "the test");
    compiler->next++;
    const chat_token *next = chat_here(compiler);
    if (sat_chat_at(compiler, "(")) {
        if (!read_arguments(compiler, &given))
            return false;
    } else if (((next->kind >= T_NAME && next->kind <= T_FLOAT) || sat_chat_at(compiler, "[") ||
                sat_chat_at(compiler, "{")) &&
               !sat_chat_at_name(compiler, "else") && !sat_chat_at_name(compiler, "or") &&
               !sat_chat_at_name(compiler, "and")) {
        if (sat_chat_at_name(compiler, "is"))
            return sat_chat_syntax(compiler, "no second test");
        if (!operand(compiler) || !postfix(compiler))
            return false;
        given.count = 1;
    }
    if (given.keywords > UINT8_MAX)
        return sat_chat_syntax(compiler, "fewer keyword arguments");
    return sat_chat_native_index(compiler, native, &index) &&
           emit(compiler, token->at, OP_TEST, (int)given.keywords, given.count, index) &&
           (!negated || emit(compiler, token->at, OP_NOT, 0, 0, 0));
}

/* ------------------------------------------------------------------ operators */

static bool unary(chat_compiler *compiler, bool filters) {
    uint32_t at = chat_here(compiler)->at;
    bool minus = sat_chat_at(compiler, "-");
    if (!deeper(compiler))
        return false;
    if (minus || sat_chat_at(compiler, "+")) {
        compiler->next++;
        if (!unary(compiler, false) || !emit(compiler, at, minus ? OP_MINUS : OP_PLUS, 0, 0, 0))
            return false;
    } else if (!operand(compiler)) {
        return false;
    }
    compiler->nesting--;
    if (!postfix(compiler))
        return false;
    while (filters) {
        if (sat_chat_at(compiler, "|")) {
            if (!sat_chat_filters(compiler, false))
                return false;
        } else if (sat_chat_skip_name(compiler, "is")) {
            if (!test(compiler))
                return false;
        } else if (sat_chat_at(compiler, "(")) {
            if (!call(compiler))
                return false;
        } else {
            break;
        }
    }
    return true;
}

enum { OR = 1, AND, NOT, COMPARE, SUM, TILDE, PRODUCT, POWER };
enum { CHAIN = 8 };

/* The operator at the token and its precedence; 0 if there is none. */
static int operator_here(const chat_compiler *compiler, chat_binary *op, size_t *tokens) {
    static const struct {
        const char *symbol;
        int precedence;
        chat_binary op;
    } table[] = {{"==", COMPARE, CHAT_EQ}, {"!=", COMPARE, CHAT_NE},      {"<", COMPARE, CHAT_LT},
                 {"<=", COMPARE, CHAT_LE}, {">", COMPARE, CHAT_GT},       {">=", COMPARE, CHAT_GE},
                 {"+", SUM, CHAT_ADD},     {"-", SUM, CHAT_SUB},          {"~", TILDE, CHAT_TILDE},
                 {"*", PRODUCT, CHAT_MUL}, {"/", PRODUCT, CHAT_DIV},      {"%", PRODUCT, CHAT_MOD},
                 {"**", POWER, CHAT_POW},  {"//", PRODUCT, CHAT_FLOORDIV}};
    const chat_token *token = chat_here(compiler);
    *tokens = 1;
    if (token->kind == T_OPERATOR)
        for (size_t i = 0; i < SAT_COUNT(table); i++)
            if (strcmp(table[i].symbol, token->symbol) == 0) {
                *op = table[i].op;
                return table[i].precedence;
            }
    if (token->kind != T_NAME)
        return 0;
    if (sat_chat_is(token->as.text, "or"))
        return OR;
    if (sat_chat_is(token->as.text, "and"))
        return AND;
    *op = CHAT_IN;
    if (sat_chat_is(token->as.text, "in"))
        return COMPARE;
    *op = CHAT_NOTIN;
    *tokens = 2;
    bool notin = sat_chat_is(token->as.text, "not") && token[1].kind == T_NAME &&
                 sat_chat_is(token[1].as.text, "in");
    return notin ? COMPARE : 0;
}

static bool binary(chat_compiler *compiler, int least);

/* a < b < c: each pair is compared while the one before holds. */
static bool comparisons(chat_compiler *compiler) {
    chat_binary op;
    size_t tokens, ends[CHAIN], count = 0;
    while (operator_here(compiler, &op, &tokens) == COMPARE) {
        uint32_t at = chat_here(compiler)->at;
        chat_binary after;
        compiler->next += tokens;
        if (!binary(compiler, SUM))
            return false;
        bool more = operator_here(compiler, &after, &tokens) == COMPARE;
        if (more && count == CHAIN) {
            compiler->run.at = at;
            return sat_chat_fail(&compiler->run, SATCHEL_LIMIT,
                                 "more than %d comparisons in a chain", CHAIN + 1);
        }
        if (more)
            ends[count++] = compiler->chat->code_count;
        if (!emit(compiler, at, more ? OP_CHAIN : OP_BINARY, op, 0, 0))
            return false;
    }
    while (count)
        if (!sat_chat_land(compiler, ends[--count]))
            return false;
    return true;
}

/* Operators that bind at least so tightly. */
static bool binary(chat_compiler *compiler, int least) {
    chat_binary op = CHAT_ADD;
    size_t tokens;
    if (least <= NOT && sat_chat_at_name(compiler, "not")) {
        uint32_t at = chat_here(compiler)->at;
        compiler->next++;
        if (!deeper(compiler) || !binary(compiler, NOT) || !emit(compiler, at, OP_NOT, 0, 0, 0))
            return false;
        compiler->nesting--;
    } else if (!unary(compiler, true)) {
        return false;
    }
    for (;;) {
        uint32_t at = chat_here(compiler)->at;
        int precedence = operator_here(compiler, &op, &tokens);
        if (!precedence || precedence < least)
            return true;
        if (precedence == COMPARE) {
            if (!comparisons(compiler))
                return false;
            continue;
        }
        compiler->next += tokens;
        if (precedence == OR || precedence == AND) {
            size_t jump = compiler->chat->code_count;
            if (!emit(compiler, at, precedence == OR ? OP_JUMP_TRUE_OR_POP : OP_JUMP_FALSE_OR_POP,
                      0, 0, 0) ||
                !binary(compiler, precedence + 1) || !sat_chat_land(compiler, jump))
                return false;
            continue;
        }
        if (!binary(compiler, precedence + 1) || !emit(compiler, at, OP_BINARY, op, 0, 0))
            return false;
    }
}

/* value if condition else other */
static bool inline_if(chat_compiler *compiler) {
    sat_chat_template *chat = compiler->chat;
    size_t start = chat->code_count;
    int rounds = 0;
    if (!deeper(compiler) || !binary(compiler, OR))
        return false;
    while (sat_chat_at_name(compiler, "if")) {
        uint32_t at = chat_here(compiler)->at;
        compiler->next++;
        size_t condition = chat->code_count;
        if (++rounds > CHAIN) { /* each moves all that stands before it */
            compiler->run.at = at;
            return sat_chat_fail(&compiler->run, SATCHEL_LIMIT, "more than %d inline ifs in a row",
                                 CHAIN);
        }
        if (!binary(compiler, OR))
            return false;
        size_t length = condition - start;
        if (!sat_chat_rotate(compiler, start, condition))
            return false;
        size_t value = chat->code_count - length, jump = chat->code_count;
        if (!emit(compiler, at, OP_JUMP_FALSE, 0, 0, (int64_t)length + 1) ||
            !sat_chat_rotate(compiler, value, jump))
            return false;
        size_t over = chat->code_count;
        if (!emit(compiler, at, OP_JUMP, 0, 0, 0))
            return false;
        if (sat_chat_skip_name(compiler, "else") ? !inline_if(compiler)
                                                 : !emit(compiler, at, OP_UNDEFINED, 0, 0, 0))
            return false;
        if (!sat_chat_land(compiler, over))
            return false;
    }
    compiler->nesting--;
    return true;
}

bool sat_chat_expression(chat_compiler *compiler, bool conditional) {
    return conditional ? inline_if(compiler) : binary(compiler, OR);
}

bool sat_chat_tuple(chat_compiler *compiler, bool conditional, const char *stop) {
    uint32_t at = chat_here(compiler)->at;
    size_t count = 0;
    bool commas = false;
    for (;;) {
        int kind = chat_here(compiler)->kind;
        if (count && (kind == T_PRINT_END || kind == T_BLOCK_END || sat_chat_at(compiler, ")") ||
                      (stop && sat_chat_at_name(compiler, stop))))
            break;
        if (!sat_chat_expression(compiler, conditional))
            return false;
        count++;
        if (!sat_chat_skip(compiler, ","))
            break;
        commas = true;
    }
    return !commas || emit(compiler, at, OP_TUPLE, 0, count, 0);
}
