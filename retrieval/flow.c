/*
 * The flow writes nothing until there is text: breaks, marks and spaces before it are only noted,
 * so that empty elements leave no trace and the text never begins or ends with white space.
 */
#include "retrieval/flow.h"

#include <stdio.h>
#include <string.h>

enum {
    LABEL_MAX = 256, /* bytes of a heading's label; a heading may never be closed */
    TITLE_MAX = 1024,
};

static bool is_white(char byte) {
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r' || byte == '\f';
}

void sat_flow_init(sat_flow *flow, sat_document *document, size_t limit) {
    memset(flow, 0, sizeof *flow);
    flow->document = document;
    flow->out = &document->text;
    flow->limit = limit;
}

bool sat_flow_failed(const sat_flow *flow) {
    return flow->full || flow->out->failed;
}

static void append(sat_flow *flow, const char *text, size_t length) {
    if (sat_flow_failed(flow))
        return;
    flow->full = length > flow->limit - flow->out->length;
    if (!flow->full)
        sat_buffer_append(flow->out, text, length);
}

static void trim_end(sat_flow *flow, bool lines_too) {
    sat_buffer *out = flow->out;
    while (out->length > 0 && is_white(out->data[out->length - 1]) &&
           (lines_too || out->data[out->length - 1] != '\n'))
        out->length--;
}

/* ------------------------------------------------------------------ text */

static int32_t last_character(const sat_buffer *out) {
    if (out->length == 0)
        return ' ';
    size_t at = sat_utf8_border(out->data, out->length, out->length - 1);
    int32_t code;
    sat_utf8_decode(out->data + at, out->length - at, &code);
    return code;
}

/* Scripts without spaces wrap their lines anywhere: there a line end in the source is no space. */
static bool joins_lines(const sat_flow *flow, const char *next, size_t length) {
    int32_t code;
    sat_utf8_decode(next, length, &code);
    return sat_is_unspaced(code) && sat_is_unspaced(last_character(flow->out));
}

/* Writes what was noted, because `text` follows. */
static void settle(sat_flow *flow, const char *text, size_t length) {
    sat_buffer *out = flow->out;
    if (flow->gap > 0) {
        trim_end(flow, false);
        for (; out->length > 0 && flow->gap > 0 && !sat_flow_failed(flow); flow->gap--)
            append(flow, "\n", 1);
        flow->row_broken = flow->row_broken || flow->row_begun;
        flow->space = false;
    }
    if (flow->mark[0])
        append(flow, flow->mark, strlen(flow->mark));
    else if (flow->space && out->length > 0 &&
             !(flow->space_is_line && joins_lines(flow, text, length)))
        append(flow, " ", 1);
    flow->gap = 0;
    flow->mark[0] = '\0';
    flow->space = flow->space_is_line = false;
    flow->row_begun = flow->in_row;
    if (flow->heading_level && !flow->heading_begun) {
        flow->heading_begun = true;
        flow->heading_start = out->length;
    }
    if (flow->heading_start > out->length) /* it began with spaces that went */
        flow->heading_start = out->length;
}

static void add(sat_flow *flow, const char *text, size_t length) {
    if (length == 0)
        return;
    settle(flow, text, length);
    append(flow, text, length);
}

static void add_verbatim(sat_flow *flow, const char *text, size_t length) {
    for (size_t from = 0; from < length && !sat_flow_failed(flow);) {
        const char *line_end = memchr(text + from, '\n', length - from);
        size_t end = line_end ? (size_t)(line_end - text) : length;
        size_t stop = line_end && end > from && text[end - 1] == '\r' ? end - 1 : end;
        add(flow, text + from, stop - from);
        flow->gap += line_end != NULL;
        from = end + 1;
    }
}

static void add_words(sat_flow *flow, const char *text, size_t length) {
    for (size_t at = 0; at < length && !sat_flow_failed(flow);) {
        size_t from = at;
        for (; at < length && is_white(text[at]); at++)
            flow->space_is_line = flow->space_is_line || text[at] == '\n';
        flow->space = flow->space || at > from;
        from = at;
        while (at < length && !is_white(text[at]))
            at++;
        add(flow, text + from, at - from);
    }
}

void sat_flow_text(sat_flow *flow, const char *text, size_t length) {
    if (flow->verbatim)
        add_verbatim(flow, text, length);
    else
        add_words(flow, text, length);
}

void sat_flow_verbatim(sat_flow *flow, bool verbatim) {
    flow->verbatim = verbatim;
}

/* ------------------------------------------------------------------ breaks, lists, tables */

void sat_flow_break(sat_flow *flow, int gap) {
    if (flow->mark[0]) /* the text still stands beside its mark */
        return;
    if (gap == SAT_BREAK_PARAGRAPH && flow->heading_begun)
        sat_flow_heading_end(flow);
    if (flow->gap < (size_t)gap)
        flow->gap = (size_t)gap;
}

void sat_flow_line(sat_flow *flow) {
    if (!flow->mark[0] && (flow->gap < SAT_BREAK_PARAGRAPH || flow->verbatim))
        flow->gap++;
}

void sat_flow_list_begin(sat_flow *flow, bool ordered, uint64_t first) {
    sat_flow_break(flow, flow->list_depth ? SAT_BREAK_LINE : SAT_BREAK_PARAGRAPH);
    if (flow->list_depth < SAT_FLOW_LISTS) {
        flow->lists[flow->list_depth].ordered = ordered;
        flow->lists[flow->list_depth].next = first;
    }
    flow->list_depth++;
}

void sat_flow_list_end(sat_flow *flow) {
    flow->list_depth -= flow->list_depth > 0;
    flow->mark[0] = '\0';
    sat_flow_break(flow, flow->list_depth ? SAT_BREAK_LINE : SAT_BREAK_PARAGRAPH);
}

void sat_flow_item(sat_flow *flow, const char *box) {
    flow->mark[0] = '\0'; /* an item without text before this one */
    sat_flow_break(flow, SAT_BREAK_LINE);
    size_t depth = flow->list_depth < SAT_FLOW_LISTS ? flow->list_depth : SAT_FLOW_LISTS;
    if (depth > 0 && flow->lists[depth - 1].ordered)
        snprintf(flow->mark, sizeof flow->mark, "%llu. %s",
                 (unsigned long long)flow->lists[depth - 1].next++, box ? box : "");
    else
        snprintf(flow->mark, sizeof flow->mark, "- %s", box ? box : "");
}

void sat_flow_row(sat_flow *flow) {
    flow->mark[0] = '\0';
    sat_flow_break(flow, SAT_BREAK_LINE);
    flow->in_row = true;
    flow->row_begun = flow->row_broken = false;
}

void sat_flow_cell(sat_flow *flow) {
    if (!flow->in_row)
        sat_flow_row(flow);
    if (!flow->row_begun)
        return;
    if (flow->row_broken) { /* a layout rather than a table: cells with paragraphs in them */
        sat_flow_break(flow, SAT_BREAK_PARAGRAPH);
        return;
    }
    flow->gap = 0;
    snprintf(flow->mark, sizeof flow->mark, " | ");
}

void sat_flow_row_end(sat_flow *flow) {
    if (!flow->in_row)
        return;
    flow->mark[0] = '\0';
    if (flow->row_begun && !flow->row_broken)
        flow->gap = 0;
    flow->in_row = flow->row_begun = flow->row_broken = false;
    sat_flow_break(flow, SAT_BREAK_LINE);
}

void sat_flow_remove_nul(sat_buffer *text) {
    char *first = text->length ? memchr(text->data, '\0', text->length) : NULL;
    if (!first)
        return;
    size_t to = (size_t)(first - text->data);
    for (size_t at = to; at < text->length; at++)
        if (text->data[at])
            text->data[to++] = text->data[at];
    text->length = to;
    text->data[to] = '\0';
}

/* ------------------------------------------------------------------ headings, title */

/* Appends the words of a text, one space between them, at most `limit` bytes. */
static void append_words(sat_buffer *out, const char *text, size_t length, size_t limit) {
    size_t from = out->length, cut = sat_utf8_border(text, length, 4 * limit);
    for (size_t at = 0; at < cut && out->length - from < limit;) {
        size_t word = at;
        while (at < cut && !is_white(text[at]))
            at++;
        if (at > word && out->length > from)
            sat_buffer_append(out, " ", 1);
        sat_buffer_append(out, text + word, at - word);
        while (at < cut && is_white(text[at]))
            at++;
    }
    if (!out->failed && out->length - from > limit)
        out->length = from + sat_utf8_border(out->data + from, out->length - from, limit);
}

void sat_flow_heading_begin(sat_flow *flow, int level) {
    sat_flow_heading_end(flow);
    flow->mark[0] = '\0';
    sat_flow_break(flow, SAT_BREAK_PARAGRAPH);
    flow->heading_level = level;
    flow->heading_begun = false;
}

void sat_flow_heading_end(sat_flow *flow) {
    int level = flow->heading_level;
    bool begun = flow->heading_begun;
    flow->heading_level = 0;
    flow->heading_begun = false;
    if (!begun || sat_flow_failed(flow))
        return;
    sat_flow_break(flow, SAT_BREAK_PARAGRAPH);
    sat_buffer label;
    sat_buffer_init(&label, flow->document->memory);
    append_words(&label, flow->out->data + flow->heading_start,
                 flow->out->length - flow->heading_start, LABEL_MAX);
    if (label.failed ||
        (label.length > 0 && !sat_document_locate(flow->document, SATCHEL_LOCATOR_HEADING, level,
                                                  flow->heading_start, label.data, label.length)))
        flow->out->failed = true;
    sat_buffer_free(&label);
}

void sat_flow_title(sat_flow *flow, const char *text, size_t length) {
    sat_buffer *title = &flow->document->title;
    if (title->length > 0)
        return;
    append_words(title, text, length, TITLE_MAX);
    if (title->failed)
        flow->out->failed = true;
}

/* The first heading of level 1 serves as title where there is none. */
static void title_from_heading(sat_flow *flow) {
    const sat_document *document = flow->document;
    for (size_t i = 0; i < document->locator_count; i++) {
        const satchel_locator *locator = &document->locators[i];
        if (locator->kind == SATCHEL_LOCATOR_HEADING && locator->number == 1 && locator->label) {
            sat_flow_title(flow, locator->label, strlen(locator->label));
            return;
        }
    }
}

satchel_status sat_flow_end(sat_flow *flow, satchel_error *error) {
    sat_flow_heading_end(flow);
    if (!sat_flow_failed(flow)) {
        trim_end(flow, true);
        title_from_heading(flow);
    }
    if (flow->out->failed)
        return sat_memory_fail(flow->document->memory, flow->out->capacity, error);
    if (flow->full)
        return sat_fail(error, SATCHEL_LIMIT,
                        "its text is longer than %zu bytes, far more than its source; split it",
                        flow->limit);
    return SATCHEL_OK;
}
