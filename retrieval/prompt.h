/*
 * Prompts: what a language model is told, as data that an application can replace
 * (docs/prompts.md). Passages come fenced and numbered; nothing in one can close its fence. Private
 * to retrieval.
 */
#ifndef SATCHEL_RETRIEVAL_PROMPT_H
#define SATCHEL_RETRIEVAL_PROMPT_H

#include "retrieval/retrieval.h"

/* What a template is made of. */
typedef enum sat_fill {
    SAT_FILL_LITERAL,
    SAT_FILL_QUESTION,
    SAT_FILL_PASSAGES,
    SAT_FILL_REFUSAL,
    SAT_FILL_FENCE,
    SAT_FILL_NUMBER,
    SAT_FILL_TITLE,
    SAT_FILL_HEADING,
    SAT_FILL_SOURCE, /* title and heading */
    SAT_FILL_DOCUMENT,
    SAT_FILL_PAGE,
    SAT_FILL_TEXT
} sat_fill;

typedef struct sat_template_part {
    sat_fill kind;
    const char *text; /* of a LITERAL, in the prompt's arena */
    size_t length;
} sat_template_part;

typedef struct sat_template {
    sat_template_part *items;
    size_t count, capacity;
    unsigned seen; /* bits of the kinds in it */
} sat_template;

/* The default one is sat_prompt_default() of retrieval.h. */
typedef struct sat_prompt {
    sat_memory *memory;
    sat_arena arena;
    sat_template system, user, passage;
    const char *separator, *fence, *refusal;
    size_t separator_length, fence_length, refusal_length;
} sat_prompt;

/* Reads a prompt; NULL: the default, from which the keys that are not given are taken too.
 * INVALID_ARGUMENT names the key or placeholder that is wrong. */
satchel_status sat_prompt_open(sat_prompt **out, sat_memory *memory, const char *json,
                               satchel_error *error);
void sat_prompt_close(sat_prompt **prompt);
/* Earlier messages of a conversation, oldest first. */
typedef struct sat_history {
    json_t *array; /* NULL: none */
    size_t count;
} sat_history;

/* Reads a JSON array of objects with `role`, "user" or "assistant", and `content`, a string. NULL
 * or "" is an empty one. The assistant's lose their citation markers: the numbers are now other
 * passages'. */
satchel_status sat_history_read(sat_history *out, sat_memory *memory, const char *json,
                                satchel_error *error);
void sat_history_free(sat_history *history);
const char *sat_history_text(const sat_history *history, size_t index, size_t *length);
bool sat_history_is_user(const sat_history *history, size_t index);

/* A passage as it is shown: the first `length` bytes of a hit's text. */
typedef struct sat_shown {
    size_t hit; /* index into the results */
    size_t length;
} sat_shown;

typedef struct sat_prompt_input {
    const char *question;
    const satchel_results *results;
    const sat_shown *passages; /* (count) numbered from 1 in this order */
    size_t count;
    const sat_history *history;
    size_t first; /* message of the history to begin with */
} sat_prompt_input;

/*
 * Appends the messages as a JSON array of objects with `role` and `content`. With `parts` a content
 * is a list of {"type": "text", "text": …}, and what stems from a document has "apart": true, so
 * that no token need reach over its borders; else a content is one string.
 */
satchel_status sat_prompt_messages(const sat_prompt *prompt, sat_buffer *out,
                                   const sat_prompt_input *input, bool parts, satchel_error *error);
/* The text of one numbered passage, into *out: for counting. */
satchel_status sat_prompt_passage(const sat_prompt *prompt, sat_buffer *out,
                                  const sat_prompt_input *input, size_t passage,
                                  satchel_error *error);

#endif
