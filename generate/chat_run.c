/*
 * Runs a chat template's code: a stack of values, scopes of variables, loops, captured text, and
 * frames of macros. All are lists with bounds; nothing recurses on what a template or its input
 * holds.
 */
#include <string.h>

#include "generate/chat_parts.h"

struct chat_loop {
    const chat_list *list;
    size_t next; /* items given out */
    bool walked;
    chat_value *kept; /* by a condition */
    size_t kept_count;
};

struct chat_frame { /* what a macro returns to */
    size_t next;
    chat_scope *scope;
    size_t loops, builders;
};

/* ------------------------------------------------------------------ the stack and variables */

static bool push(chat_run *run, chat_value value) {
    if (run->height == CHAT_STACK)
        return sat_chat_fail(run, SATCHEL_LIMIT, "more than %d values at once", CHAT_STACK);
    run->stack[run->height++] = value;
    return true;
}

static chat_value pop(chat_run *run) {
    return run->stack[--run->height];
}

static bool open_scope(chat_run *run, chat_scope *parent) {
    chat_scope *scope = run->spare;
    if (scope)
        run->spare = scope->parent;
    else if (!(scope = sat_chat_alloc(run, 1, sizeof *scope)))
        return false;
    scope->parent = parent;
    scope->count = 0;
    scope->kept = false;
    run->scope = scope;
    return true;
}

/* A scope that no macro has kept serves again. */
static void close_scope(chat_run *run) {
    chat_scope *scope = run->scope;
    run->scope = scope->parent;
    if (!scope->kept) {
        scope->parent = run->spare;
        run->spare = scope;
    }
}

bool sat_chat_store(chat_run *run, uint32_t name, chat_value value) {
    chat_scope *scope = run->scope;
    for (uint32_t i = 0; i < scope->count; i++)
        if (scope->slots[i].name == name) {
            scope->slots[i].value = value;
            return true;
        }
    if (scope->count == scope->capacity) {
        uint32_t capacity = scope->capacity ? 2 * scope->capacity : 8;
        chat_slot *slots = sat_chat_alloc(run, capacity, sizeof *slots);
        if (!slots)
            return false;
        if (scope->count)
            memcpy(slots, scope->slots, scope->count * sizeof *slots);
        scope->slots = slots;
        scope->capacity = capacity;
    }
    scope->slots[scope->count++] = (chat_slot){name, value};
    return true;
}

static bool load(chat_run *run, uint32_t name) {
    const chat_text *text = run->chat->names[name];
    size_t looked = 0;
    for (const chat_scope *scope = run->scope; scope; scope = scope->parent) {
        looked += scope->count;
        for (uint32_t i = 0; i < scope->count; i++)
            if (scope->slots[i].name == name && scope->slots[i].value.kind != CHAT_ABSENT)
                return push(run, scope->slots[i].value);
            else if (scope->slots[i].name == name)
                goto missing; /* a parameter that was not given hides what is outside */
    }
    const chat_native *native = sat_chat_global(text->data, text->length);
    if (native)
        return push(run,
                    (chat_value){.kind = CHAT_FUNCTION, .trusted = true, .as.function = native});
missing:
    if (!sat_chat_work(run, looked / 16))
        return false;
    char *spelled = sat_chat_alloc(run, text->length + 1, 1);
    if (!spelled)
        return false;
    memcpy(spelled, text->data, text->length);
    return push(run, chat_undefined(spelled));
}

static bool store_attribute(chat_run *run, const chat_value *name) {
    chat_value space = pop(run), value = pop(run);
    if (space.kind != CHAT_NAMESPACE)
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT,
                             "an attribute of a %s cannot be set, only a namespace's",
                             sat_chat_kind(&space));
    if (name->as.text->length && name->as.text->data[0] == '_')
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT,
                             "a namespace takes no names with \"_\" in front");
    return sat_chat_dict_set(run, &space.as.space->dict, name, &value);
}

static bool unpack(chat_run *run, size_t count) {
    chat_value value = pop(run);
    const chat_list *items;
    if (!sat_chat_items(run, &value, &items))
        return false;
    if (items->count != count)
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "%zu values for %zu variables",
                             items->count, count);
    for (size_t i = count; i-- > 0;)
        if (!push(run, items->items[i]))
            return false;
    return true;
}

/* ------------------------------------------------------------------ loops */

bool sat_chat_loop_attribute(chat_run *run, const chat_loop *loop, const chat_text *name,
                             chat_value *out) {
    int64_t index0 = (int64_t)loop->next - 1, count = (int64_t)loop->list->count;
    const chat_value *items = loop->list->items;
    if (sat_chat_is(name, "index"))
        *out = chat_int(index0 + 1, true);
    else if (sat_chat_is(name, "index0"))
        *out = chat_int(index0, true);
    else if (sat_chat_is(name, "revindex"))
        *out = chat_int(count - index0, true);
    else if (sat_chat_is(name, "revindex0"))
        *out = chat_int(count - index0 - 1, true);
    else if (sat_chat_is(name, "first"))
        *out = chat_bool(index0 == 0);
    else if (sat_chat_is(name, "last"))
        *out = chat_bool(index0 == count - 1);
    else if (sat_chat_is(name, "length"))
        *out = chat_int(count, true);
    else if (sat_chat_is(name, "depth"))
        *out = chat_int(1, true);
    else if (sat_chat_is(name, "depth0"))
        *out = chat_int(0, true);
    else if (sat_chat_is(name, "previtem"))
        *out = index0 > 0 ? items[index0 - 1] : chat_undefined("the first item's previtem");
    else if (sat_chat_is(name, "nextitem"))
        *out = index0 + 1 < count ? items[index0 + 1] : chat_undefined("the last item's nextitem");
    else
        out->kind = CHAT_ABSENT;
    return run->status == SATCHEL_OK;
}

static bool open_loop(chat_run *run) {
    chat_value value = pop(run);
    chat_loop *loop = sat_chat_alloc(run, 1, sizeof *loop);
    if (!loop || !sat_chat_items(run, &value, &loop->list))
        return false;
    if (!sat_grow(run->memory, (void **)&run->loops, &run->loop_capacity, run->loop_count + 1,
                  sizeof *run->loops))
        return sat_chat_no_memory(run, run->loop_capacity * sizeof *run->loops);
    run->loops[run->loop_count++] = loop;
    return true;
}

static bool keep_item(chat_run *run, chat_loop *loop) {
    if (!loop->kept) {
        loop->kept = sat_chat_alloc(run, loop->list->count, sizeof *loop->kept);
        if (!loop->kept)
            return false;
    }
    loop->kept[loop->kept_count++] = loop->list->items[loop->next - 1];
    return true;
}

static bool end_keeping(chat_run *run) {
    chat_loop *loop = run->loops[--run->loop_count];
    chat_list *list = sat_chat_list(run, 0);
    if (!list)
        return false;
    list->items = loop->kept;
    list->count = loop->kept_count;
    return sat_chat_list_done(run, list) && push(run, sat_chat_list_value(list, CHAT_LIST, true));
}

/* ------------------------------------------------------------------ text */

static chat_builder *builder(chat_run *run) {
    return &run->builders[run->builder_count - 1];
}

static bool capture(chat_run *run) {
    if (!sat_grow(run->memory, (void **)&run->builders, &run->builder_capacity,
                  run->builder_count + 1, sizeof *run->builders))
        return sat_chat_no_memory(run, run->builder_capacity * sizeof *run->builders);
    run->builders[run->builder_count++] = (chat_builder){0};
    return true;
}

static bool end_capture(chat_run *run) {
    const chat_text *text = sat_chat_built(run, builder(run));
    run->builder_count--;
    return text && push(run, chat_of(text));
}

static bool print(chat_run *run, const chat_value *value) {
    const chat_text *text = sat_chat_string(run, value);
    return text && sat_chat_build_text(run, builder(run), text);
}

/* ------------------------------------------------------------------ macros */

static bool make_macro(chat_run *run, size_t next, int32_t index) {
    chat_macro *macro = sat_chat_alloc(run, 1, sizeof *macro);
    if (!macro)
        return false;
    macro->code = &run->chat->macros[index];
    macro->start = (size_t)((int64_t)next - 1 + macro->code->start);
    macro->scope = run->scope;
    for (chat_scope *scope = run->scope; scope && !scope->kept; scope = scope->parent)
        scope->kept = true;
    return push(run, (chat_value){.kind = CHAT_MACRO, .trusted = true, .as.macro = macro});
}

/* Parameters become the first variables of the macro's scope, in their order. */
static bool bind(chat_run *run, const chat_macro_code *code, const chat_call *call) {
    const chat_text *macro = run->chat->names[code->name];
    int length = (int)(macro->length < 64 ? macro->length : 64);
    if (call->count > code->parameters)
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT,
                             "macro \"%.*s\" takes %d arguments, %zu are given", length,
                             macro->data, code->parameters, call->count);
    for (size_t i = 0; i < code->parameters; i++) {
        chat_value value = {.kind = CHAT_ABSENT, .trusted = true};
        if (!sat_chat_store(run, code->names[i], i < call->count ? call->position[i] : value))
            return false;
    }
    if (run->scope->count != code->parameters)
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "macro \"%.*s\" has a parameter twice",
                             length, macro->data);
    chat_value caller = {.kind = CHAT_ABSENT, .trusted = true};
    for (size_t i = 0; i < call->keyword_count; i++) {
        const chat_text *name = call->keywords[2 * i].as.text;
        size_t found = 0;
        while (found < code->parameters &&
               !sat_chat_same(run->chat->names[code->names[found]], name))
            found++;
        if (found == code->parameters && code->calls && sat_chat_is(name, "caller")) {
            caller = call->keywords[2 * i + 1];
            continue;
        }
        if (found == code->parameters || run->scope->slots[found].value.kind != CHAT_ABSENT)
            return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT,
                                 "macro \"%.*s\" cannot take \"%.*s\" so", length, macro->data,
                                 (int)(name->length < 64 ? name->length : 64), name->data);
        run->scope->slots[found].value = call->keywords[2 * i + 1];
    }
    return !code->calls || sat_chat_store(run, CHAT_NAME_CALLER, caller);
}

static bool enter_macro(chat_run *run, const chat_macro *macro, const chat_call *call,
                        size_t *next) {
    if (run->frame_count == CHAT_FRAMES)
        return sat_chat_fail(run, SATCHEL_LIMIT, "macros call each other more than %d deep",
                             CHAT_FRAMES);
    run->frames[run->frame_count++] =
        (chat_frame){*next, run->scope, run->loop_count, run->builder_count};
    *next = macro->start;
    return open_scope(run, macro->scope) && bind(run, macro->code, call) && capture(run);
}

static bool leave_macro(chat_run *run, size_t *next) {
    const chat_frame *frame = &run->frames[--run->frame_count];
    if (!end_capture(run))
        return false;
    close_scope(run);
    run->scope = frame->scope;
    run->loop_count = frame->loops;
    run->builder_count = frame->builders;
    *next = frame->next;
    return true;
}

/* Arguments and keywords lie on the stack, what is called (or filtered) below them. */
static chat_call arguments(chat_run *run, size_t count, size_t keywords) {
    run->height -= count + 2 * keywords;
    const chat_value *first = run->stack + run->height;
    return (chat_call){
        .position = first, .count = count, .keywords = first + count, .keyword_count = keywords};
}

static bool call(chat_run *run, const chat_op *op, size_t *next) {
    chat_call given = arguments(run, op->count, (size_t)op->argument);
    chat_value callee = pop(run), out = chat_none();
    switch (callee.kind) {
    case CHAT_MACRO:
        return enter_macro(run, callee.as.macro, &given, next);
    case CHAT_FUNCTION:
        return sat_chat_native(run, callee.as.function, &callee, &given, &out) && push(run, out);
    case CHAT_METHOD:
        return sat_chat_native(run, callee.as.method->native, &callee.as.method->self, &given,
                               &out) &&
               push(run, out);
    case CHAT_UNDEFINED:
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "%s is undefined",
                             callee.as.name ? callee.as.name : "what is called");
    default:
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "a %s cannot be called",
                             sat_chat_kind(&callee));
    }
}

static bool call_native(chat_run *run, const chat_op *op) {
    chat_call given = arguments(run, op->count, op->more);
    chat_value self = pop(run), out = chat_none();
    return sat_chat_native(run, run->chat->natives[op->argument], &self, &given, &out) &&
           push(run, out);
}

/* ------------------------------------------------------------------ instructions */

static bool make_list(chat_run *run, size_t count, chat_kind kind) {
    chat_list *list = sat_chat_list(run, count);
    if (!list)
        return false;
    run->height -= count;
    if (count)
        memcpy(list->items, run->stack + run->height, count * sizeof *list->items);
    return sat_chat_list_done(run, list) && push(run, sat_chat_list_value(list, kind, true));
}

static bool make_dict(chat_run *run, size_t count) {
    chat_dict *dict = sat_chat_alloc(run, 1, sizeof *dict);
    if (!dict)
        return false;
    dict->depth = 1;
    run->height -= 2 * count;
    const chat_value *pairs = run->stack + run->height;
    for (size_t i = 0; i < count; i++)
        if (!sat_chat_dict_set(run, dict, &pairs[2 * i], &pairs[2 * i + 1]))
            return false;
    return push(run, (chat_value){.kind = CHAT_DICT, .trusted = true, .as.dict = dict});
}

/* Those that only work on the stack. */
static bool operate(chat_run *run, const chat_op *op) {
    chat_value a, b, out = chat_none();
    switch (op->op) {
    case OP_ATTRIBUTE:
        a = pop(run);
        return sat_chat_attribute(run, &a, run->chat->constants[op->argument].as.text, &out) &&
               push(run, out);
    case OP_ITEM:
        b = pop(run);
        a = pop(run);
        return sat_chat_item(run, &a, &b, &out) && push(run, out);
    case OP_SLICE: {
        chat_value bounds[3];
        for (int i = 2; i >= 0; i--)
            bounds[i] = pop(run);
        a = pop(run);
        return sat_chat_slice(run, &a, bounds, &out) && push(run, out);
    }
    case OP_NOT:
        a = pop(run);
        return push(run, chat_bool(!sat_chat_truth(&a)));
    case OP_MINUS:
    case OP_PLUS:
        a = pop(run);
        return sat_chat_negate(run, &a, op->op == OP_MINUS, &out) && push(run, out);
    case OP_BINARY:
        b = pop(run);
        a = pop(run);
        return sat_chat_binary(run, (chat_binary)op->more, &a, &b, &out) && push(run, out);
    case OP_LIST:
        return make_list(run, op->count, CHAT_LIST);
    case OP_TUPLE:
        return make_list(run, op->count, CHAT_TUPLE);
    case OP_DICT:
        return make_dict(run, op->count);
    case OP_UNPACK:
        return unpack(run, op->count);
    case OP_FILTER:
    case OP_TEST:
        return call_native(run, op);
    default:
        return sat_chat_fail(run, SATCHEL_INTERNAL, "instruction %d", op->op);
    }
}

/* Loops, and scopes for their rounds. *jump: whether the instruction jumps. */
static bool loop_step(chat_run *run, const chat_op *op, bool *jump) {
    if (op->op == OP_LOOP)
        return open_loop(run);
    if (op->op == OP_KEPT)
        return end_keeping(run);
    chat_loop *loop = run->loops[run->loop_count - 1];
    chat_scope *parent;
    switch (op->op) {
    case OP_NEXT:
        *jump = loop->next >= loop->list->count;
        return *jump || push(run, loop->list->items[loop->next++]);
    case OP_LOOP_NAME:
        return sat_chat_store(run, CHAT_NAME_LOOP,
                              (chat_value){.kind = CHAT_LOOP, .trusted = true, .as.loop = loop});
    case OP_FRESH:
        parent = run->scope->parent;
        close_scope(run);
        return open_scope(run, parent);
    case OP_KEEP:
        return keep_item(run, loop);
    case OP_WALKED:
        loop->walked = true;
        return true;
    case OP_JUMP_WALKED:
        *jump = loop->walked;
        return true;
    default:
        run->loop_count--;
        return true; /* OP_LOOP_END */
    }
}

/* Jumps, or goes on, by what is on top of the stack. */
static bool jump_step(chat_run *run, const chat_op *op, bool *jump) {
    chat_value *top = run->stack + run->height - 1, a, b, out;
    switch (op->op) {
    case OP_JUMP:
        *jump = true;
        return true;
    case OP_JUMP_FALSE:
        *jump = !sat_chat_truth(top);
        run->height--;
        return true;
    case OP_JUMP_FALSE_OR_POP:
    case OP_JUMP_TRUE_OR_POP:
        *jump = sat_chat_truth(top) == (op->op == OP_JUMP_TRUE_OR_POP);
        run->height -= !*jump;
        return true;
    case OP_DEFAULT:
        *jump = run->scope->slots[op->more].value.kind != CHAT_ABSENT;
        return true;
    default: /* OP_CHAIN */
        b = pop(run);
        a = pop(run);
        if (!sat_chat_binary(run, (chat_binary)op->more, &a, &b, &out))
            return false;
        *jump = !out.as.boolean;
        return push(run, *jump ? out : b);
    }
}

static bool step(chat_run *run, const chat_op *op, size_t *next) {
    const sat_chat_template *chat = run->chat;
    bool jump = false, good;
    chat_value value;
    switch (op->op) {
    case OP_TEXT:
        return sat_chat_build_text(run, builder(run), chat->constants[op->argument].as.text);
    case OP_PRINT:
        value = pop(run);
        return print(run, &value);
    case OP_CONSTANT:
        return push(run, chat->constants[op->argument]);
    case OP_UNDEFINED:
        return push(run, chat_undefined("what the inline if gives"));
    case OP_NAME:
        return load(run, (uint32_t)op->argument);
    case OP_STORE:
        value = pop(run);
        return sat_chat_store(run, (uint32_t)op->argument, value);
    case OP_STORE_ATTRIBUTE:
        return store_attribute(run, &chat->constants[op->argument]);
    case OP_POP:
        run->height--;
        return true;
    case OP_CALL:
        return call(run, op, next);
    case OP_SCOPE:
        return open_scope(run, run->scope);
    case OP_SCOPE_END:
        close_scope(run);
        return true;
    case OP_CAPTURE:
        return capture(run);
    case OP_CAPTURED:
        return end_capture(run);
    case OP_DISCARD:
        run->builder_count--;
        return true;
    case OP_MACRO:
        return make_macro(run, *next, op->argument);
    case OP_LOOP:
    case OP_NEXT:
    case OP_LOOP_NAME:
    case OP_FRESH:
    case OP_KEEP:
    case OP_KEPT:
    case OP_WALKED:
    case OP_JUMP_WALKED:
    case OP_LOOP_END:
        good = loop_step(run, op, &jump);
        break;
    case OP_JUMP:
    case OP_JUMP_FALSE:
    case OP_JUMP_FALSE_OR_POP:
    case OP_JUMP_TRUE_OR_POP:
    case OP_DEFAULT:
    case OP_CHAIN:
        good = jump_step(run, op, &jump);
        break;
    default:
        return operate(run, op);
    }
    if (jump)
        *next = (size_t)((int64_t)*next + op->argument);
    return good;
}

bool sat_chat_execute(chat_run *run) {
    const sat_chat_template *chat = run->chat;
    run->stack = sat_alloc_array(run->memory, CHAT_STACK, sizeof *run->stack);
    run->frames = sat_alloc_array(run->memory, CHAT_FRAMES, sizeof *run->frames);
    bool good = run->stack && run->frames
                    ? capture(run)
                    : sat_chat_no_memory(run, CHAT_STACK * sizeof *run->stack);
    for (size_t next = 0; good;) {
        const chat_op *op = &chat->code[next++];
        run->at = op->at;
        if (op->op == OP_RETURN) {
            if (!run->frame_count)
                break;
            good = leave_macro(run, &next);
        } else {
            good = sat_chat_work(run, 1) && step(run, op, &next);
        }
    }
    sat_free(run->memory, run->stack);
    sat_free(run->memory, run->frames);
    sat_free(run->memory, run->loops);
    return good;
}
