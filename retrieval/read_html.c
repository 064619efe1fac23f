/*
 * HTML to text: what a reader of the page would see, in the order of the source. Blocks become
 * paragraphs, list items and table rows lines; white space collapses but for <pre>; images give
 * their alternative text; scripts, templates, hidden elements and ruby readings are left out.
 */
#include "retrieval/html.h"

#include <string.h>

/* Text is shorter than its page, but for list numbers: "<li>a" gives "1000000. a". */
enum { MOST_GROWTH = 4 };

#define MAX_HTML_BYTES (UINT64_C(1) << 30)

typedef enum element_kind {
    INLINE, /* and all unknown elements */
    ANCHOR,
    BLOCK,
    BREAK,
    CELL,
    HEADING,
    IMAGE,
    ITEM,
    LINE,
    LIST,
    ORDERED_LIST,
    PARAGRAPH,
    PRE,
    READING, /* of a ruby: left out */
    ROW,
    RUBY,
    RULE,
    TEMPLATE,
    TITLE,
} element_kind;

static const struct element {
    const char *name;
    element_kind kind;
    bool implied_end; /* its end tag may be missing */
} elements[] = {
    {"a", ANCHOR, false},
    {"address", BLOCK, false},
    {"article", BLOCK, false},
    {"aside", BLOCK, false},
    {"blockquote", BLOCK, false},
    {"body", BLOCK, false},
    {"br", BREAK, false},
    {"caption", LINE, false},
    {"center", BLOCK, false},
    {"dd", LINE, true},
    {"details", BLOCK, false},
    {"dialog", BLOCK, false},
    {"dir", LIST, false},
    {"div", BLOCK, false},
    {"dl", BLOCK, false},
    {"dt", LINE, true},
    {"fieldset", BLOCK, false},
    {"figcaption", BLOCK, false},
    {"figure", BLOCK, false},
    {"footer", BLOCK, false},
    {"form", BLOCK, false},
    {"h1", HEADING, false},
    {"h2", HEADING, false},
    {"h3", HEADING, false},
    {"h4", HEADING, false},
    {"h5", HEADING, false},
    {"h6", HEADING, false},
    {"head", BLOCK, false},
    {"header", BLOCK, false},
    {"hr", RULE, false},
    {"img", IMAGE, false},
    {"legend", LINE, false},
    {"li", ITEM, true},
    {"listing", PRE, false},
    {"main", BLOCK, false},
    {"menu", LIST, false},
    {"nav", BLOCK, false},
    {"ol", ORDERED_LIST, false},
    {"optgroup", LINE, true},
    {"option", LINE, true},
    {"p", PARAGRAPH, true},
    {"plaintext", PRE, false},
    {"pre", PRE, false},
    {"rp", READING, true},
    {"rt", READING, true},
    {"rtc", READING, true},
    {"ruby", RUBY, false},
    {"search", BLOCK, false},
    {"section", BLOCK, false},
    {"select", LINE, false},
    {"summary", LINE, false},
    {"table", BLOCK, false},
    {"tbody", LINE, true},
    {"td", CELL, true},
    {"template", TEMPLATE, false},
    {"textarea", BLOCK, false},
    {"tfoot", LINE, true},
    {"th", CELL, true},
    {"thead", LINE, true},
    {"title", TITLE, false},
    {"tr", ROW, true},
    {"ul", LIST, false},
    {"xmp", PRE, false},
};

static const struct element other = {"", INLINE, false};

static const struct element *find_element(const char *name) {
    size_t low = 0, high = SAT_COUNT(elements);
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(name, elements[middle].name);
        if (order == 0)
            return &elements[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return &other;
}

typedef struct page {
    sat_html html;
    sat_flow *flow;
    size_t pre;      /* depth */
    bool pre_begins; /* a line end right after <pre> does not count */
    bool in_title, after_anchor;
    /* An element that is left out with all in it. */
    char skipped[12];  /* "": none */
    size_t skip_depth; /* elements of that name that are open in it */
    bool skip_implied; /* its end tag may be missing */
} page;

/* ------------------------------------------------------------------ elements left out */

static bool is_void(const char *name) {
    static const char *const names[] = {"area",  "base", "br",   "col",   "embed",  "hr",    "img",
                                        "input", "link", "meta", "param", "source", "track", "wbr"};
    for (size_t i = 0; i < SAT_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static bool has_attribute(const page *p, const sat_html_token *tag, const char *name) {
    size_t start, end;
    return sat_html_attribute(&p->html, tag, name, &start, &end);
}

/* True if the start tag begins, or is, what is left out. */
static bool begin_skip(page *p, const sat_html_token *tag, const struct element *element) {
    if (element->kind != TEMPLATE && element->kind != READING && !has_attribute(p, tag, "hidden"))
        return false;
    if (is_void(tag->name))
        return true;
    memcpy(p->skipped, tag->name, sizeof p->skipped);
    p->skip_depth = 1;
    p->skip_implied = element->implied_end;
    return true;
}

/* A tag inside of what is left out: true if it is left out too. */
static bool go_on_skipping(page *p, const sat_html_token *tag, const struct element *element) {
    bool same = strcmp(tag->name, p->skipped) == 0;
    bool start = tag->kind == SAT_HTML_START;
    if (p->skip_implied) {
        /* The next of its kind ends it, and so does the end of what it lies in. */
        bool ends =
            same || (start ? element->implied_end && element->kind == find_element(p->skipped)->kind
                           : element->kind != INLINE && element->kind != ANCHOR);
        if (ends)
            p->skipped[0] = '\0';
        return !ends;
    }
    if (same)
        p->skip_depth += start ? 1 : (size_t)-1;
    if (p->skip_depth == 0)
        p->skipped[0] = '\0';
    return true;
}

/* ------------------------------------------------------------------ tags */

static void image(page *p, const sat_html_token *tag) {
    size_t start, end;
    if (!sat_html_attribute(&p->html, tag, "alt", &start, &end))
        return;
    sat_flow_text(p->flow, " ", 1);
    sat_html_decode_flow(p->flow, p->html.data + start, end - start, true);
    sat_flow_text(p->flow, " ", 1);
}

static uint64_t first_number(const page *p, const sat_html_token *tag) {
    size_t start, end;
    uint64_t number = 0;
    if (!sat_html_attribute(&p->html, tag, "start", &start, &end))
        return 1;
    for (; start < end && p->html.data[start] >= '0' && p->html.data[start] <= '9'; start++)
        number = number > UINT32_MAX ? number : number * 10 + (uint64_t)(p->html.data[start] - '0');
    return number;
}

static void start_tag(page *p, const sat_html_token *tag, const struct element *element) {
    sat_flow *flow = p->flow;
    switch (element->kind) {
    case ANCHOR: /* links side by side are words apart */
        if (p->after_anchor)
            sat_flow_text(flow, " ", 1);
        break;
    case BLOCK:
    case PARAGRAPH:
    case RULE:
        sat_flow_break(flow, SAT_BREAK_PARAGRAPH);
        break;
    case BREAK:
        sat_flow_line(flow);
        break;
    case CELL:
        sat_flow_cell(flow);
        break;
    case HEADING:
        sat_flow_heading_begin(flow, tag->name[1] - '0');
        break;
    case IMAGE:
        image(p, tag);
        break;
    case ITEM:
        sat_flow_item(flow, NULL);
        break;
    case LINE:
        sat_flow_break(flow, SAT_BREAK_LINE);
        break;
    case LIST:
        sat_flow_list_begin(flow, false, 0);
        break;
    case ORDERED_LIST:
        sat_flow_list_begin(flow, true, first_number(p, tag));
        break;
    case PRE:
        sat_flow_break(flow, SAT_BREAK_PARAGRAPH);
        p->pre_begins = true;
        sat_flow_verbatim(flow, ++p->pre > 0);
        break;
    case ROW:
        sat_flow_row(flow);
        break;
    case TITLE:
        p->in_title = true;
        break;
    default:
        break;
    }
}

static void end_tag(page *p, const struct element *element) {
    sat_flow *flow = p->flow;
    switch (element->kind) {
    case BLOCK:
    case PARAGRAPH:
        sat_flow_break(flow, SAT_BREAK_PARAGRAPH);
        break;
    case BREAK: /* browsers read </br> so */
        sat_flow_line(flow);
        break;
    case HEADING:
        sat_flow_heading_end(flow);
        sat_flow_break(flow, SAT_BREAK_PARAGRAPH);
        break;
    case ITEM:
    case LINE:
        sat_flow_break(flow, SAT_BREAK_LINE);
        break;
    case LIST:
    case ORDERED_LIST:
        sat_flow_list_end(flow);
        break;
    case PRE:
        p->pre -= p->pre > 0;
        sat_flow_verbatim(flow, p->pre > 0);
        sat_flow_break(flow, SAT_BREAK_PARAGRAPH);
        break;
    case ROW:
        sat_flow_row_end(flow);
        break;
    default:
        break;
    }
}

/* ------------------------------------------------------------------ text */

static void set_title(page *p, const char *text, size_t length) {
    /* Decoded by a flow of its own, into a document of its own. */
    sat_document scratch;
    sat_document_init(&scratch, p->flow->document->memory);
    sat_flow words;
    sat_flow_init(&words, &scratch, p->flow->limit);
    sat_html_decode_flow(&words, text, length, false);
    if (sat_flow_failed(&words))
        p->flow->out->failed = true;
    else
        sat_flow_title(p->flow, scratch.text.data, scratch.text.length);
    sat_document_free(&scratch);
}

static void add_text(page *p, const sat_html_token *token) {
    const char *data = p->html.data + token->start;
    size_t length = token->end - token->start;
    if (p->pre_begins) {
        size_t line_end = length > 1 && data[0] == '\r' && data[1] == '\n' ? 2
                          : length > 0 && data[0] == '\n'                  ? 1
                                                                           : 0;
        data += line_end;
        length -= line_end;
    }
    if (p->in_title)
        set_title(p, data, length);
    else if (token->kind == SAT_HTML_PLAIN)
        sat_flow_text(p->flow, data, length);
    else
        sat_html_decode_flow(p->flow, data, length, false);
}

void sat_html_flow(sat_flow *flow, const char *data, size_t length) {
    page p = {.flow = flow};
    sat_html_init(&p.html, data, length);
    bool verbatim = flow->verbatim;
    sat_html_token token;
    while (!sat_flow_failed(flow) && sat_html_next(&p.html, &token)) {
        if (token.kind == SAT_HTML_TEXT || token.kind == SAT_HTML_PLAIN) {
            if (!p.skipped[0])
                add_text(&p, &token);
            p.pre_begins = p.after_anchor = p.in_title = false;
            continue;
        }
        const struct element *element = find_element(token.name);
        p.pre_begins = p.in_title = false;
        if (p.skipped[0] && go_on_skipping(&p, &token, element))
            continue;
        if (token.kind == SAT_HTML_END)
            end_tag(&p, element);
        else if (!begin_skip(&p, &token, element))
            start_tag(&p, &token, element);
        p.after_anchor = token.kind == SAT_HTML_END && element->kind == ANCHOR;
    }
    sat_flow_verbatim(flow, verbatim);
}

/* ------------------------------------------------------------------ reader */

satchel_status sat_read_html(sat_document *document, satchel_context *context, const void *data,
                             size_t length, satchel_error *error) {
#ifndef SATCHEL_HAVE_HTML
    return sat_fail(
        error, SATCHEL_UNSUPPORTED,
        "this build has no HTML reader; build with -Dhtml=enabled, or register a reader "
        "for text/html");
#else
    if (length > MAX_HTML_BYTES)
        return sat_fail(error, SATCHEL_LIMIT,
                        "an HTML page of %zu bytes; the reader takes at most %llu: split it",
                        length, (unsigned long long)MAX_HTML_BYTES);
    sat_buffer utf8;
    sat_buffer_init(&utf8, document->memory);
    satchel_status status = sat_html_to_utf8(&utf8, data, length, error);
    if (!status) {
        sat_flow_remove_nul(&utf8); /* as the standard has it */
        sat_flow flow;
        sat_flow_init(&flow, document, MOST_GROWTH * utf8.length + 64);
        sat_html_flow(&flow, utf8.data, utf8.length);
        status = sat_flow_end(&flow, error);
    }
    sat_buffer_free(&utf8);
    document->source_start = -1;
    document->media_type = "text/html";
    return status;
#endif
}
