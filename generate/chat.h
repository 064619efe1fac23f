/*
 * Chat templates: the GGUF's own Jinja template, rendered by a subset of Jinja in C. Output comes
 * in parts that are marked: the template's own text is trusted, whatever stems from messages, tools
 * or variables is not, so a user's text can never form a special token.
 *
 * The environment is that of Hugging Face's `apply_chat_template`: blocks trimmed, an immutable
 * sandbox, its tojson, raise_exception, strftime_now, {% generation %} and loop controls;
 * generate/README.md lists the subset.
 */
#ifndef SATCHEL_GENERATE_CHAT_H
#define SATCHEL_GENERATE_CHAT_H

#include "generate/tokenizer.h"

typedef struct sat_chat_template sat_chat_template;

/* Compiles a template. UNSUPPORTED names the construct, filter, test or method that is not in the
 * subset, with line and column; INVALID_TEXT if it is not UTF-8; DAMAGED if it is no template at
 * all; LIMIT if it is over 1 MiB or nested too deeply. The source is copied. */
satchel_status sat_chat_open(sat_chat_template **out, satchel_context *context, const char *source,
                             size_t length, satchel_error *error);
void sat_chat_close(sat_chat_template **chat);

typedef struct sat_chat_input {
    const char
        *messages; /* JSON array of objects: role, content (a string, or parts), tool_calls, … */
    size_t messages_length;
    const char *tools; /* JSON array of objects, or NULL */
    size_t tools_length;
    const char
        *variables; /* JSON object of further variables ("enable_thinking": false), or NULL */
    size_t variables_length;
    const char *bos, *eos;      /* spelling of these tokens; NULL: the name is undefined */
    bool add_generation_prompt; /* end with what opens the assistant's turn */
    bool
        join_parts; /* content that is a list of text parts becomes one string; others are refused */
    bool continue_last; /* the last message is the assistant's: end behind its text, without white
                         * space that the template takes away */
    int64_t now;        /* for strftime_now: Unix seconds, plus the local time's offset */
} sat_chat_input;

/* What was rendered: the text, and where trust changes. Zero it before the first use. */
typedef struct sat_chat_output {
    sat_buffer text;
    sat_text_part *parts; /* in order, without gaps; point into text */
    size_t count, capacity;
} sat_chat_output;

/*
 * Renders; what `out` held is replaced, and on failure it is empty. A template's raise_exception
 * gives INVALID_ARGUMENT with its message, as does all that raises in Python; messages give line
 * and column. Steps, memory, output and nesting are bounded (LIMIT). Safe for many threads.
 *
 * Trusted: the template's text and literals, bos and eos, numbers counted by the template itself
 * (loop.index, lengths), and the role of a message if it is a known name ("user", "assistant", …),
 * because some templates spell a turn's token with it. All else that is printed is not.
 *
 * A part of a message's content with "apart": true keeps its borders, whether parts are joined or
 * not: what of it is printed is a part of the output, or several, with `apart` set.
 */
satchel_status sat_chat_render(const sat_chat_template *chat, const sat_chat_input *input,
                               sat_chat_output *out, satchel_error *error);
void sat_chat_output_free(sat_chat_output *out);

#endif
