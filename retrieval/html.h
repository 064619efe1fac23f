/*
 * HTML as a stream of tokens, and its character references. Used by the HTML reader and, for the
 * HTML inside it, by the Markdown reader. Private to the readers.
 */
#ifndef SATCHEL_RETRIEVAL_HTML_H
#define SATCHEL_RETRIEVAL_HTML_H

#include "base/base.h"
#include "retrieval/flow.h"

typedef enum sat_html_kind {
    SAT_HTML_TEXT,  /* with character references */
    SAT_HTML_PLAIN, /* text without: they are not decoded */
    SAT_HTML_START, /* tag */
    SAT_HTML_END    /* tag */
} sat_html_kind;

typedef struct sat_html_token {
    sat_html_kind kind;
    size_t start, end; /* of a text; of a tag's attributes */
    char name[12];     /* of a tag, in lower case, cut */
} sat_html_token;

typedef struct sat_html {
    const char *data;
    size_t length, at;
    unsigned raw;      /* the element begun, if its content is not markup: its number, from 1 */
    unsigned unclosed; /* constructs that have no end from here on, as bits: each is sought once */
    bool plain;        /* no more markup */
} sat_html;

/* `data` is valid UTF-8. Comments, declarations and scripts yield nothing; nothing else is lost. */
void sat_html_init(sat_html *html, const char *data, size_t length);
/* False at the end. */
bool sat_html_next(sat_html *html, sat_html_token *token);
/* Finds an attribute of a start tag. The value is as it stands, with its character references. */
bool sat_html_attribute(const sat_html *html, const sat_html_token *token, const char *name,
                        size_t *start, size_t *end);

/* Decodes the character reference at text[0] == '&' to UTF-8 in out. Returns the bytes that it
 * takes, 0 if there is none. `attribute`: the stricter rule there. */
size_t sat_html_reference(const char *text, size_t length, bool attribute, char out[8],
                          size_t *out_length);
/* The text with its character references decoded, into the flow or a buffer. */
void sat_html_decode_flow(sat_flow *flow, const char *text, size_t length, bool attribute);

/* Appends a page's bytes as UTF-8. */
satchel_status sat_html_to_utf8(sat_buffer *out, const char *data, size_t length,
                                satchel_error *error);

/* The visible text of a page or a part of one, into the flow. */
void sat_html_flow(sat_flow *flow, const char *data, size_t length);

#endif
