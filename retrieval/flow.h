/*
 * Text from markup: a flow of words, line and paragraph breaks, list marks, table cells and
 * headings that becomes a document's text. What the Markdown and HTML readers have in common.
 * Private to the readers.
 */
#ifndef SATCHEL_RETRIEVAL_FLOW_H
#define SATCHEL_RETRIEVAL_FLOW_H

#include "retrieval/document.h"

/* Deeper lists count on in the innermost of these. */
#define SAT_FLOW_LISTS 64

enum { SAT_BREAK_NONE = 0, SAT_BREAK_LINE = 1, SAT_BREAK_PARAGRAPH = 2 };

typedef struct sat_flow {
    sat_document *document;
    sat_buffer *out; /* the document's text */
    size_t limit;    /* bytes of text; more is a failure */
    bool full;       /* it was reached */
    /* What is to be written before the next text. */
    size_t gap;         /* line ends: SAT_BREAK_*, more in verbatim text */
    bool space;         /* white space between words, */
    bool space_is_line; /* with a line end of the source in it */
    char mark[32];      /* list mark or cell bar; "": none */

    bool verbatim;                      /* white space is kept */
    bool in_row, row_begun, row_broken; /* table row: it has text, and a line end in it */
    struct {
        bool ordered;
        uint64_t next;
    } lists[SAT_FLOW_LISTS];
    size_t list_depth;
    int heading_level;  /* 0: in no heading */
    bool heading_begun; /* its first text stands at heading_start */
    size_t heading_start;
} sat_flow;

void sat_flow_init(sat_flow *flow, sat_document *document, size_t limit);
/* Ends what is open. OUT_OF_MEMORY, MEMORY_LIMIT or LIMIT if something went wrong on the way. */
satchel_status sat_flow_end(sat_flow *flow, satchel_error *error);
/* True when going on is of no use. */
bool sat_flow_failed(const sat_flow *flow);

/* Running text, UTF-8: white space collapses, unless it is verbatim. */
void sat_flow_text(sat_flow *flow, const char *text, size_t length);
/* The next text begins a line or a paragraph. */
void sat_flow_break(sat_flow *flow, int gap);
/* A line break; two make a paragraph. */
void sat_flow_line(sat_flow *flow);
void sat_flow_verbatim(sat_flow *flow, bool verbatim);

void sat_flow_list_begin(sat_flow *flow, bool ordered, uint64_t first);
void sat_flow_list_end(sat_flow *flow);
/* The next text is an item of the innermost list; `box` is NULL, "[ ] " or "[x] ". */
void sat_flow_item(sat_flow *flow, const char *box);
void sat_flow_row(sat_flow *flow);
void sat_flow_cell(sat_flow *flow);
void sat_flow_row_end(sat_flow *flow);

/* What comes up to the end is a heading: it gets a locator, and its words as label. */
void sat_flow_heading_begin(sat_flow *flow, int level);
void sat_flow_heading_end(sat_flow *flow);

/* Takes the NUL characters out of a text: no markup has a meaning for them. */
void sat_flow_remove_nul(sat_buffer *text);

/* Sets the document's title, white space collapsed, if it has none and there are words in it. */
void sat_flow_title(sat_flow *flow, const char *text, size_t length);

#endif
