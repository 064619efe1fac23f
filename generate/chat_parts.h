/*
 * Inside chat templates: values and their marks, a rendering under way, compiled code. A template
 * is lexed (chat_lex.c), compiled to code for a small stack machine (chat_parse.c,
 * chat_expression.c), and run (chat_run.c).
 *
 * Everything a rendering makes lies in one arena and is freed with it. Values do not change once
 * made, except namespaces. Calls return false after a failure, which the rendering then holds.
 */
#ifndef SATCHEL_GENERATE_CHAT_PARTS_H
#define SATCHEL_GENERATE_CHAT_PARTS_H

#include "generate/chat.h"

typedef struct chat_run chat_run;

/* ------------------------------------------------------------------ limits */

enum {
    CHAT_SOURCE_LIMIT = 1 << 20, /* bytes of a template */
    CHAT_NESTING = 100,          /* of blocks, and of expressions within expressions */
    CHAT_VALUE_DEPTH = 128,      /* of lists and dicts in each other */
    CHAT_FRAMES = 200,           /* macro calls within macro calls */
    CHAT_STACK = 8192,           /* values under way */
    CHAT_VARIABLES = 4096,       /* names in a template */
    CHAT_RANGE = 100000,         /* items of range(), as in Jinja's sandbox */
};
#define CHAT_STEPS UINT64_C(20000000)   /* plus 100 for each byte of input */
#define CHAT_BYTES (UINT64_C(64) << 20) /* arena of a rendering, plus 64 for each byte */

/* ------------------------------------------------------------------ values */

typedef enum chat_kind {
    CHAT_ABSENT, /* an argument not given; never seen by a template */
    CHAT_UNDEFINED,
    CHAT_NONE,
    CHAT_BOOL,
    CHAT_INT,
    CHAT_FLOAT,
    CHAT_TEXT,
    CHAT_LIST,
    CHAT_TUPLE,
    CHAT_DICT,
    CHAT_RANGE_OF,
    CHAT_VIEW,     /* what keys(), values() and items() give */
    CHAT_ITERATOR, /* what map, select, … give: can be walked once */
    CHAT_NAMESPACE,
    CHAT_LOOP,
    CHAT_MACRO,
    CHAT_FUNCTION,
    CHAT_METHOD,
} chat_kind;

/* What is known of where a byte comes from: CHAT_TRUSTED, or bits. */
typedef uint8_t chat_mark;
enum {
    CHAT_UNTRUSTED = 0,
    CHAT_TRUSTED = 1, /* the template's own; has no other bit */
    CHAT_APART = 2,   /* times 1 to CHAT_APARTS: of a part that stands apart, counted round */
    CHAT_APARTS = 63,
    CHAT_CONTINUED = 128 /* of the message that the answer goes on with */
};

/* Room after a text, into which the next concatenation can go on. */
typedef struct chat_tail {
    size_t used, capacity;
    char *data;
    chat_mark *marks; /* NULL: all as the text is */
} chat_tail;

typedef struct chat_text {
    const char *data;       /* valid UTF-8, no NUL after it */
    const chat_mark *marks; /* one a byte; NULL: all as `mark` says */
    size_t length, characters;
    chat_tail *tail; /* or NULL */
    chat_mark mark;
    bool safe; /* Markup, by the filters safe and escape */
} chat_text;

typedef struct chat_list chat_list;
typedef struct chat_dict chat_dict;
typedef struct chat_range chat_range;
typedef struct chat_view chat_view;
typedef struct chat_iterator chat_iterator;
typedef struct chat_namespace chat_namespace;
typedef struct chat_loop chat_loop;
typedef struct chat_macro chat_macro;
typedef struct chat_method chat_method;
typedef struct chat_native chat_native;

typedef struct chat_value {
    uint8_t kind;
    bool trusted; /* of numbers and containers when printed; texts have marks of their own */
    union {
        bool boolean;
        int64_t integer;
        double real;
        const chat_text *text;
        const chat_list *list; /* LIST, TUPLE */
        const chat_dict *dict;
        const chat_range *range;
        const chat_view *view;
        chat_iterator *iterator;
        chat_namespace *space;
        const chat_loop *loop;
        const chat_macro *macro;
        const chat_native *function;
        const chat_method *method;
        const char *name; /* UNDEFINED: of what, for messages; or NULL */
    } as;
} chat_value;

struct chat_list {
    size_t count;
    chat_value *items;
    int depth; /* of containers, this one included */
};
typedef struct chat_pair {
    chat_value key, value;
} chat_pair;
struct chat_dict {
    size_t count, capacity;
    chat_pair *pairs; /* in order of insertion */
    int depth;
};
struct chat_range {
    int64_t start, stop, step;
    size_t count;
};
struct chat_view {
    const chat_dict *dict;
    char which; /* k, v, i */
    bool trusted;
};
struct chat_iterator {
    const chat_list *list;
    size_t at;
};
struct chat_namespace {
    chat_dict dict;
};
struct chat_method {
    chat_value self;
    const chat_native *native;
};

static inline chat_value chat_none(void) {
    return (chat_value){.kind = CHAT_NONE, .trusted = true};
}
static inline chat_value chat_undefined(const char *name) {
    return (chat_value){.kind = CHAT_UNDEFINED, .trusted = true, .as.name = name};
}
static inline chat_value chat_bool(bool boolean) { /* a template's own finding */
    return (chat_value){.kind = CHAT_BOOL, .trusted = true, .as.boolean = boolean};
}
static inline chat_value chat_int(int64_t integer, bool trusted) {
    return (chat_value){.kind = CHAT_INT, .trusted = trusted, .as.integer = integer};
}
static inline chat_value chat_float(double real, bool trusted) {
    return (chat_value){.kind = CHAT_FLOAT, .trusted = trusted, .as.real = real};
}
static inline chat_value chat_of(const chat_text *text) {
    return (chat_value){.kind = CHAT_TEXT, .trusted = true, .as.text = text};
}
static inline bool chat_is_number(const chat_value *value) {
    return value->kind == CHAT_BOOL || value->kind == CHAT_INT || value->kind == CHAT_FLOAT;
}
static inline bool chat_is_list(const chat_value *value) {
    return value->kind == CHAT_LIST || value->kind == CHAT_TUPLE;
}
/* Of BOOL and INT. */
static inline int64_t chat_integer(const chat_value *value) {
    return value->kind == CHAT_BOOL ? value->as.boolean : value->as.integer;
}

/* ------------------------------------------------------------------ a rendering */

typedef struct chat_slot {
    uint32_t name;
    chat_value value;
} chat_slot;
/* Variables of a block; a macro keeps the scope it was made in. */
typedef struct chat_scope {
    struct chat_scope *parent;
    chat_slot *slots;
    uint32_t count, capacity;
    bool kept; /* by a macro */
} chat_scope;

/* Text that grows; the bottom of all is the output. */
typedef struct chat_builder {
    char *data;
    chat_mark *marks; /* NULL while all bytes are as `mark` says */
    size_t length, capacity;
    chat_mark mark;
} chat_builder;

typedef struct chat_frame chat_frame;

struct chat_run {
    const sat_chat_template *chat;
    sat_memory *memory;
    sat_arena arena;
    uint64_t bytes_left, steps_left;
    satchel_status status;
    satchel_error *error;
    uint32_t at; /* where in the source the instruction comes from */
    int64_t now;
    bool continues; /* the last message's text is marked CHAT_CONTINUED */

    chat_value *stack;
    size_t height;
    chat_builder *builders;
    size_t builder_count, builder_capacity;
    chat_loop **loops;
    size_t loop_count, loop_capacity;
    chat_frame *frames;
    size_t frame_count;
    chat_scope *scope, *spare;
};

/* Records a failure with line and column, returns false. */
bool sat_chat_fail(chat_run *run, satchel_status status, const char *format, ...) SAT_PRINTF(3, 4);
bool sat_chat_no_memory(chat_run *run, size_t size); /* as well */
/* Zeroed, or NULL after a failure. */
void *sat_chat_alloc(chat_run *run, size_t count, size_t size) SAT_NODISCARD;
/* Counts work that is not in proportion to what is allocated. */
bool sat_chat_work(chat_run *run, size_t steps);
const char *sat_chat_kind(const chat_value *value); /* as Python names the type */

/* ------------------------------------------------------------------ texts (chat_text.c) */

bool sat_chat_build(chat_run *run, chat_builder *builder, const char *data, size_t length,
                    const chat_mark *marks, chat_mark mark);
bool sat_chat_build_text(chat_run *run, chat_builder *builder, const chat_text *text);
/* Bytes [from, to) of a text, at borders of characters. */
bool sat_chat_build_part(chat_run *run, chat_builder *builder, const chat_text *text, size_t from,
                         size_t to);
const chat_text *sat_chat_built(chat_run *run, const chat_builder *builder);
/* A text of its own, all of one mark. Copies. NULL after a failure. */
const chat_text *sat_chat_text(chat_run *run, const char *data, size_t length, chat_mark mark);
const chat_text *sat_chat_part(chat_run *run, const chat_text *text, size_t from, size_t to);
const chat_text *sat_chat_concat(chat_run *run, const chat_text *a, const chat_text *b);
/* Byte offset of a character; `index` <= characters. */
size_t sat_chat_offset(const chat_text *text, size_t index);
bool sat_chat_same(const chat_text *a, const chat_text *b);
bool sat_chat_is(const chat_text *text, const char *literal);
int sat_chat_order(const chat_text *a, const chat_text *b); /* by code points */
/* Of the first occurrence in [from, length), or SIZE_MAX. */
size_t sat_chat_find(const chat_text *text, const chat_text *part, size_t from);
bool sat_chat_all_trusted(const chat_text *text, size_t from, size_t to);
/* The mark of what is made of some bytes: of the first that is not trusted, if there is one. */
chat_mark sat_chat_mark_of(const chat_text *text, size_t from, size_t to);

bool sat_chat_space(int32_t code); /* str.isspace */
size_t sat_chat_before(const char *data, size_t at,
                       int32_t *code); /* where the character before starts */
/* As str.strip: of white space, or of the characters of `set`. sides: 1 left, 2 right. */
const chat_text *sat_chat_strip(chat_run *run, const chat_text *text, const chat_text *set,
                                int sides);
typedef enum chat_case { CHAT_UPPER, CHAT_LOWER, CHAT_CAPITALIZE, CHAT_TITLE } chat_case;
const chat_text *sat_chat_recase(chat_run *run, const chat_text *text, chat_case to);
/* Lines as str.splitlines: the end of the line at `from` without its break, and where the next
 * begins. */
size_t sat_chat_line(const chat_text *text, size_t from, size_t *next);

/* ------------------------------------------------------------------ values (chat_value.c) */

bool sat_chat_truth(const chat_value *value);
bool sat_chat_equal(chat_run *run, const chat_value *a, const chat_value *b, bool *equal);
/* < 0, 0, > 0; a failure where Python compares not. */
bool sat_chat_compare(chat_run *run, const chat_value *a, const chat_value *b, const char *symbol,
                      int *order);
bool sat_chat_contains(chat_run *run, const chat_value *container, const chat_value *item,
                       bool *found);
bool sat_chat_length(chat_run *run, const chat_value *value, size_t *length);
/* What a for loop walks over; an iterator is used up. */
bool sat_chat_items(chat_run *run, const chat_value *value, const chat_list **items);
/* As str(): the text itself, or spelled. */
const chat_text *sat_chat_string(chat_run *run, const chat_value *value);
bool sat_chat_repr(chat_run *run, chat_builder *builder, const chat_value *value);
bool sat_chat_build_number(chat_run *run, chat_builder *builder, const chat_value *value,
                           bool json);

chat_list *sat_chat_list(chat_run *run, size_t count); /* items undefined until set */
/* After its items are set: the depth, or a failure. */
bool sat_chat_list_done(chat_run *run, chat_list *list);
chat_value sat_chat_list_value(const chat_list *list, chat_kind kind, bool trusted);
bool sat_chat_iterator(chat_run *run, const chat_list *list, chat_value *out);
bool sat_chat_dict_set(chat_run *run, chat_dict *dict, const chat_value *key,
                       const chat_value *value);
bool sat_chat_dict_get(chat_run *run, const chat_dict *dict, const chat_value *key,
                       const chat_value **value);
const chat_value *sat_chat_dict_named(const chat_dict *dict, const char *name);

/* ------------------------------------------------------------------ operators (chat_operate.c) */

typedef enum chat_binary {
    CHAT_ADD,
    CHAT_SUB,
    CHAT_MUL,
    CHAT_DIV,
    CHAT_FLOORDIV,
    CHAT_MOD,
    CHAT_POW,
    CHAT_TILDE,
    CHAT_EQ,
    CHAT_NE,
    CHAT_LT,
    CHAT_LE,
    CHAT_GT,
    CHAT_GE,
    CHAT_IN,
    CHAT_NOTIN,
} chat_binary;
bool sat_chat_binary(chat_run *run, chat_binary op, const chat_value *a, const chat_value *b,
                     chat_value *out);
bool sat_chat_negate(chat_run *run, const chat_value *value, bool minus, chat_value *out);
/* value[key], value.name, value[from:to:step] as Jinja's sandbox resolves them. */
bool sat_chat_item(chat_run *run, const chat_value *value, const chat_value *key, chat_value *out);
bool sat_chat_attribute(chat_run *run, const chat_value *value, const chat_text *name,
                        chat_value *out);
bool sat_chat_slice(chat_run *run, const chat_value *value, const chat_value bounds[3],
                    chat_value *out);

/* ------------------------------------------------------------------ messages (chat_messages.c) */

/* The messages as the template sees them. If the answer goes on with the last one, `continues` or
 * *generate is set: an empty one is left out, and the template opens the turn. */
bool sat_chat_messages(chat_run *run, const sat_chat_input *input, const chat_list *given,
                       chat_value *out, bool *generate);

/* ------------------------------------------------------------------ natives */

enum { CHAT_ARGUMENTS = 5 };
/* Arguments of a call; keywords are names and values in turn. */
typedef struct chat_call {
    const char *name;
    const chat_value *position;
    size_t count;
    const chat_value *keywords;
    size_t keyword_count;
    chat_value argument[CHAT_ARGUMENTS]; /* by the native's parameters; ABSENT if not given */
} chat_call;
typedef bool chat_function(chat_run *run, const chat_value *self, const chat_call *call,
                           chat_value *out);
/* A filter, test, method or global function. */
struct chat_native {
    const char *name;
    const char *parameters; /* names parted by commas; NULL: takes what comes */
    int required;
    chat_function *function;
};
/* Binds the arguments, then calls. */
bool sat_chat_native(chat_run *run, const chat_native *native, const chat_value *self,
                     chat_call *call, chat_value *out);
const chat_native *sat_chat_find_native(const chat_native *table, size_t count, const char *name,
                                        size_t length);
/* NULL if there is none. */
const chat_native *sat_chat_filter(const char *name, size_t length);
const chat_native *sat_chat_sequence_filter(const char *name, size_t length);
const chat_native *sat_chat_test(const char *name, size_t length);
const chat_native *sat_chat_global(const char *name, size_t length);
const chat_native *sat_chat_text_method(const char *name, size_t length);
/* The method of such a value; a native without function is Python's, and not in the subset. */
const chat_native *sat_chat_method(chat_kind kind, const char *name, size_t length);
/* One of the names in a list parted by spaces. */
bool sat_chat_among(const char *names, const char *name, size_t length);
bool sat_chat_tojson(chat_run *run, const chat_value *value, const chat_call *call,
                     chat_value *out);
bool sat_chat_from_json(chat_run *run, const json_t *json, chat_value *out);
/* The text of a text argument, or a failure that names what wanted it. */
bool sat_chat_want_text(chat_run *run, const chat_call *call, size_t index, const chat_text **text);
bool sat_chat_want_int(chat_run *run, const chat_call *call, size_t index, int64_t otherwise,
                       int64_t *integer);
const chat_text *sat_chat_replace(chat_run *run, const chat_text *text, const chat_text *old,
                                  const chat_text *new, int64_t most);
const chat_text *sat_chat_escape(chat_run *run, const chat_text *text); /* for HTML; gives Markup */
const chat_text *sat_chat_join(chat_run *run, const chat_text *between, const chat_list *items,
                               bool only_texts);

/* ------------------------------------------------------------------ code */

typedef enum chat_opcode {
    OP_TEXT,     /* prints constant `argument` */
    OP_PRINT,    /* prints the top */
    OP_CONSTANT, /* pushes constant `argument` */
    OP_UNDEFINED,
    OP_NAME,            /* pushes variable `argument` */
    OP_STORE,           /* pops into it */
    OP_STORE_ATTRIBUTE, /* pops into attribute `argument` of the namespace below, pops that too */
    OP_POP,
    OP_UNPACK, /* pops a sequence of `count`, pushes its items, first on top */
    OP_ATTRIBUTE,
    OP_ITEM,
    OP_SLICE,
    OP_CALL,   /* `count` arguments, `argument` keywords */
    OP_FILTER, /* `argument` native; `count` arguments, `more` keywords */
    OP_TEST,
    OP_NOT,
    OP_MINUS,
    OP_PLUS,
    OP_BINARY, /* by `more` */
    OP_CHAIN,  /* comparison `more`: jumps with false, or goes on with its right side */
    OP_LIST,
    OP_TUPLE,
    OP_DICT,
    OP_JUMP,
    OP_JUMP_FALSE,        /* pops */
    OP_JUMP_FALSE_OR_POP, /* and */
    OP_JUMP_TRUE_OR_POP,  /* or */
    OP_SCOPE,
    OP_SCOPE_END,
    OP_LOOP,      /* pops what to walk over */
    OP_NEXT,      /* pushes the next item or jumps */
    OP_LOOP_NAME, /* sets the variable `loop` */
    OP_FRESH,     /* a new scope for the next round */
    OP_KEEP,      /* pops, keeps the item under way for the loop proper */
    OP_KEPT,      /* ends the loop, pushes the list of those kept */
    OP_LOOP_END,
    OP_WALKED,      /* the body is entered */
    OP_JUMP_WALKED, /* if it ever was */
    OP_CAPTURE,
    OP_CAPTURED, /* pushes the text */
    OP_DISCARD,
    OP_MACRO,   /* pushes the macro `argument` */
    OP_DEFAULT, /* jumps if parameter `more` was given */
    OP_RETURN,
} chat_opcode;

typedef struct chat_op {
    uint8_t op, more;
    uint16_t count;
    int32_t argument; /* jumps: relative to the next instruction */
    uint32_t at;      /* offset in the source */
} chat_op;

typedef struct chat_macro_code {
    uint32_t name; /* a constant */
    int32_t start; /* relative to its OP_MACRO: both may be moved together */
    uint16_t parameters;
    uint32_t *names; /* of the parameters */
    bool calls;      /* knows `caller` */
} chat_macro_code;

struct chat_macro {
    const chat_macro_code *code;
    size_t start;
    chat_scope *scope;
};

struct sat_chat_template {
    satchel_context *context;
    sat_arena arena;
    char *source; /* line breaks made one */
    size_t length;
    chat_op *code;
    size_t code_count, code_capacity;
    chat_value *constants;
    size_t constant_count, constant_capacity;
    const chat_text **names; /* of variables */
    size_t name_count, name_capacity;
    const chat_native **natives;
    size_t native_count, native_capacity;
    chat_macro_code *macros;
    size_t macro_count, macro_capacity;
};

/* Names every template knows, in this order. */
enum {
    CHAT_NAME_LOOP,
    CHAT_NAME_CALLER,
    CHAT_NAME_MESSAGES,
    CHAT_NAME_TOOLS,
    CHAT_NAME_DOCUMENTS,
    CHAT_NAME_GENERATE,
    CHAT_NAME_BOS,
    CHAT_NAME_EOS,
    CHAT_NAMES,
};
extern const char *const sat_chat_names[CHAT_NAMES];

satchel_status sat_chat_compile(sat_chat_template *chat, satchel_error *error);
/* Sets a variable of the innermost scope. */
bool sat_chat_store(chat_run *run, uint32_t name, chat_value value);
/* Runs all code; the output is builder 0. */
bool sat_chat_execute(chat_run *run);
bool sat_chat_loop_attribute(chat_run *run, const chat_loop *loop, const chat_text *name,
                             chat_value *out);
/* Line and column of an offset, from 1, columns in characters. */
void sat_chat_locate(const sat_chat_template *chat, size_t at, size_t *line, size_t *column);

/* ------------------------------------------------------------------ tokens (chat_lex.c) */

typedef enum chat_token_kind {
    T_END,
    T_DATA,
    T_PRINT,     /* {{ */
    T_PRINT_END, /* }} */
    T_BLOCK,     /* {% */
    T_BLOCK_END, /* %} */
    T_NAME,
    T_STRING,
    T_INTEGER,
    T_FLOAT,
    T_OPERATOR,
} chat_token_kind;

typedef struct chat_token {
    uint8_t kind;
    char symbol[3]; /* "==", NUL-terminated */
    uint32_t at, length;
    union {
        const chat_text *text; /* DATA, NAME, STRING */
        int64_t integer;
        double real;
    } as;
} chat_token;

/* Compiling: tokens, where the parser stands, what surrounds it. */
typedef struct chat_compiler {
    sat_chat_template *chat;
    chat_run run; /* for texts and failures: `at` is the token's */
    chat_token *tokens;
    size_t token_count, token_capacity;
    size_t next;
    int nesting;
    int scopes, captures;       /* open at this place, for break and continue */
    struct chat_around *around; /* the innermost loop within this macro */
    bool in_macro, *calls;
} chat_compiler;

bool sat_chat_lex(chat_compiler *compiler);
bool sat_chat_emit(chat_compiler *compiler, chat_op op);
bool sat_chat_constant(chat_compiler *compiler, chat_value value, int32_t *index);
bool sat_chat_name(chat_compiler *compiler, const chat_text *text, int32_t *index);
bool sat_chat_native_index(chat_compiler *compiler, const chat_native *native, int32_t *index);
/* Exchanges the code [a, b) with [b, end). */
bool sat_chat_rotate(chat_compiler *compiler, size_t a, size_t b);
/* Points the jump at `jump` to the next instruction. */
bool sat_chat_land(chat_compiler *compiler, size_t jump);
bool sat_chat_syntax(chat_compiler *compiler, const char *expected); /* a failure at the token */

static inline const chat_token *chat_here(const chat_compiler *compiler) {
    return &compiler->tokens[compiler->next];
}
bool sat_chat_at_name(const chat_compiler *compiler, const char *name);
bool sat_chat_at(const chat_compiler *compiler, const char *symbol);
bool sat_chat_skip_name(chat_compiler *compiler, const char *name);
bool sat_chat_skip(chat_compiler *compiler, const char *symbol);
bool sat_chat_expect(chat_compiler *compiler, const char *symbol);

bool sat_chat_expression(chat_compiler *compiler, bool conditional);
/* One expression, or several with commas: a tuple. `stop`: a name that ends it, or NULL. */
bool sat_chat_tuple(chat_compiler *compiler, bool conditional, const char *stop);
/* Filters after |, on what is on the stack. first: one without | before it. */
bool sat_chat_filters(chat_compiler *compiler, bool first);

#endif
