/*
 * The automaton behind a grammar, and the builder that its two front ends share. Only grammar*.c
 * and matcher*.c include this.
 *
 * Rules are small automata over bytes: states with edges that read a byte of a range, read nothing,
 * or call a rule and go on where it ends. A front end appends states; a fragment is what lies
 * between two of them, and all its states and edges are the last ones appended, so it can be copied
 * or made a rule.
 */
#ifndef SATCHEL_GENERATE_GRAMMAR_PARTS_H
#define SATCHEL_GENERATE_GRAMMAR_PARTS_H

#include "base/base.h"
#include "generate/grammar.h"

enum {
    SAT_GRAMMAR_STATES = 400000, /* bounds on what a grammar may become */
    SAT_GRAMMAR_EDGES = 1600000,
    SAT_GRAMMAR_RULES = 100000,
    SAT_GRAMMAR_TEXT = 4 << 20, /* bytes of a schema or grammar */
    SAT_GRAMMAR_NESTING = 64,   /* groups in groups */
    SAT_GRAMMAR_FAR = 1 << 29,  /* no way to an end, or one too long to count */
    SAT_GRAMMAR_DEPTH = 256     /* frames on the stack before only a shortest way is left */
};

/* How a state takes plain text (characters that need no escape in JSON, 0x7F aside): see
 * sat_state. */
#define SAT_FREE (UINT32_MAX >> 2) /* any number of characters */
#define SAT_EVEN (UINT32_C(1) << 31)
#define SAT_WITHIN (UINT32_C(1) << 30)

enum { SAT_EDGE_EMPTY, SAT_EDGE_BYTES, SAT_EDGE_CALL };

typedef struct sat_edge {
    uint32_t to;
    uint32_t rule; /* SAT_EDGE_CALL */
    uint8_t kind, low, high;
} sat_edge;

typedef struct sat_state {
    uint32_t first; /* its edges end where the next state's begin */
    uint32_t close; /* fewest bytes to the end of its rule */
    /* n > 0: of plain text it takes n characters and no more, and of fewer each continuation;
     * SAT_FREE: any number. So tokens of plain text need not be matched one by one. */
    uint32_t free;
    bool even;   /* every character of plain text leads to one and the same state */
    bool within; /* it reads parts of such characters for an even one, else nothing of plain text */
    bool apart;  /* it reads nothing of plain text */
    bool final;  /* its rule ends here; it has no edges */
    bool reads;  /* it has edges that read bytes */
} sat_state;

typedef struct sat_rule {
    uint32_t start;
} sat_rule;

struct sat_grammar {
    satchel_context *context;
    sat_state *states; /* (state_count + 1) */
    sat_edge *edges;
    sat_rule *rules; /* rule 0 is the whole */
    size_t state_count, edge_count, rule_count;
    uint8_t classes[256];  /* bytes that no edge tells apart */
    uint8_t smallest[256]; /* of each class, its smallest byte */
    size_t class_count;
};

/* ------------------------------------------------------------------ builder */

typedef struct sat_draft_edge {
    uint32_t from;
    sat_edge edge;
} sat_draft_edge;

typedef struct sat_draft_rule {
    const char *name; /* in the source, for messages; may be NULL */
    size_t name_length;
    uint32_t start, end;
    bool defined;
} sat_draft_rule;

/* Failure is sticky: append freely, look at `status` at the end and where a loop could run long. */
typedef struct sat_builder {
    satchel_context *context;
    sat_draft_edge *edges;
    uint32_t *free; /* (state_count): sat_state.free with SAT_EVEN or SAT_WITHIN */
    sat_draft_rule *rules;
    size_t state_count, free_capacity, edge_count, edge_capacity, rule_count, rule_capacity;
    satchel_status status;
    satchel_error *error;
    uint32_t json_character, json_string, json_value; /* shared rules + 1; 0: not made yet */
} sat_builder;

typedef struct sat_fragment {
    uint32_t start, end;
} sat_fragment;

typedef struct sat_code_range {
    int32_t low, high;
} sat_code_range;

/* A set of code points: sorted, apart after sat_codes_settle(). */
typedef struct sat_codes {
    sat_code_range *ranges;
    size_t count, capacity;
} sat_codes;

void sat_builder_init(sat_builder *builder, satchel_context *context, satchel_error *error);
void sat_builder_free(sat_builder *builder);
/* Sets the builder's failure, the first one only. */
void sat_builder_fail(sat_builder *builder, satchel_status status, const char *format, ...)
    SAT_PRINTF(3, 4);
void sat_builder_no_memory(sat_builder *builder, size_t size); /* of what could not be taken */
uint32_t sat_builder_state(sat_builder *builder);
void sat_builder_join(sat_builder *builder, uint32_t from, uint32_t to); /* reads nothing */
void sat_builder_bytes(sat_builder *builder, uint32_t from, uint8_t low, uint8_t high, uint32_t to);
void sat_builder_call(sat_builder *builder, uint32_t from, uint32_t rule, uint32_t to);
uint32_t sat_builder_rule(sat_builder *builder); /* to be defined later */
void sat_builder_define(sat_builder *builder, uint32_t rule, sat_fragment body);

/* Each goes on from a state and returns the one behind. */
uint32_t sat_builder_text(sat_builder *builder, uint32_t from, const char *text, size_t length);
uint32_t sat_builder_after(sat_builder *builder, uint32_t from, uint32_t rule);
/* Reads one character of the set. json: as it stands in a JSON string, escaped where it must be. */
void sat_builder_codes(sat_builder *builder, uint32_t from, const sat_codes *codes, bool json,
                       uint32_t to);

/* Marks before a fragment is built; the fragment must be all that was appended since. */
typedef struct sat_mark {
    size_t states, edges;
} sat_mark;
sat_mark sat_builder_mark(const sat_builder *builder);
/* The fragment between min and max times (max < 0: any number). */
sat_fragment sat_builder_repeat(sat_builder *builder, sat_mark mark, sat_fragment body, int64_t min,
                                int64_t max);
/* A rule, between min and max times. */
uint32_t sat_builder_calls(sat_builder *builder, uint32_t from, uint32_t rule, int64_t min,
                           int64_t max);

/* The automaton of rule 0. `what` names the source in messages. */
satchel_status sat_builder_finish(sat_builder *builder, sat_grammar **out, const char *what);

bool sat_codes_add(sat_memory *memory, sat_codes *codes, int32_t low, int32_t high);
void sat_codes_settle(sat_codes *codes); /* sorts and joins; drops surrogates */
bool sat_codes_negate(sat_memory *memory, sat_codes *codes);
/* Reads one character, as above, and is even where the set has all plain text; the set is freed. */
sat_fragment sat_builder_class(sat_builder *builder, sat_codes *codes, bool json);
/* The state takes plain text: SAT_FREE and the like. */
void sat_builder_mark_free(sat_builder *builder, uint32_t state, uint32_t free);

/* ------------------------------------------------------------------ grammar_json.c */

/* The rest of a string behind its opening quote, closing quote included. */
uint32_t sat_json_body(sat_builder *builder, uint32_t from, int64_t min, int64_t max);
uint32_t sat_json_string_rule(sat_builder *builder);
uint32_t sat_json_value_rule(sat_builder *builder); /* anything */
uint32_t sat_json_integer(sat_builder *builder, uint32_t from);
uint32_t sat_json_number(sat_builder *builder, uint32_t from);
uint32_t sat_json_space(sat_builder *builder, uint32_t from); /* one, or none */
/* A member's name that is none of `names` (UTF-8), quotes included; without escapes. */
uint32_t sat_json_other_name(sat_builder *builder, uint32_t from, const char *const *names,
                             size_t count);
/* Integers from low to high in decimal, without leading zeros; at most 18 digits. */
void sat_json_range(sat_builder *builder, uint32_t from, int64_t low, int64_t high, uint32_t to);
/* The same with `decimals` digits behind a point: the value times ten to their number. */
void sat_json_scaled(sat_builder *builder, uint32_t from, int64_t low, int64_t high, int decimals,
                     uint32_t to);

/* ------------------------------------------------------------------ grammar_regex.c */

/* A JSON string's content, quotes not included, that the expression finds a match in. `where` is
 * the JSON pointer for messages. Fewest and most characters into *min, *max (−1: unbounded). */
uint32_t sat_builder_regex(sat_builder *builder, uint32_t from, const char *pattern, size_t length,
                           const char *where, int64_t *min, int64_t *max);
/* The pattern of a "format", or NULL. */
const char *sat_format_pattern(const char *name);

#endif
