/*
 * Markdown to text, through md4c: GitHub's dialect, with the YAML front matter that many files
 * begin with. Marks of emphasis, links and images go, their words stay; code is kept as it is; HTML
 * inside is read as HTML. Autolinks are left off: the words are there without them.
 *
 * md4c takes time in proportion to lines times depth for nested containers, and repeats link
 * addresses and empty table cells without bound. A file that makes it do much more work than it has
 * bytes is read as plain text instead: Markdown is readable as it stands.
 */
#include <limits.h>
#include <string.h>

#include "retrieval/html.h"

#ifdef SATCHEL_HAVE_MARKDOWN
#include <md4c.h>

#define MAX_MARKDOWN_BYTES (UINT64_C(64) << 20)

enum {
    MOST_DEPTH = 200,  /* containers inside each other */
    WORK_PER_BYTE = 8, /* callbacks and bytes of addresses, for each byte of the source */
    WORK_AT_LEAST = 65536,
    MOST_GROWTH = 4,   /* list numbers and cell bars make the text longer than its source */
    PADDING = 16,      /* md4c 0.4.8 looks past the end in some broken links */
    TOO_MUCH_WORK = 1, /* what a callback returns to stop md4c */
    FAILED = 2,
};

typedef struct markdown {
    sat_flow *flow;
    uint64_t work;   /* left */
    sat_buffer html; /* a run of raw HTML */
} markdown;

/* ------------------------------------------------------------------ callbacks */

/* Reads the raw HTML collected so far: it comes in pieces, one for each line. */
static void flush_html(markdown *m) {
    if (m->html.length > 0 && !m->html.failed)
        sat_html_flow(m->flow, m->html.data, m->html.length);
    if (m->html.failed)
        m->flow->out->failed = true;
    m->html.length = 0;
}

static int proceed(markdown *m, uint64_t work) {
    if (sat_flow_failed(m->flow))
        return FAILED;
    if (work > m->work)
        return TOO_MUCH_WORK;
    m->work -= work;
    return 0;
}

static int enter_block(MD_BLOCKTYPE type, void *detail, void *user) {
    markdown *m = user;
    sat_flow *flow = m->flow;
    flush_html(m);
    switch (type) {
    case MD_BLOCK_QUOTE:
    case MD_BLOCK_P:
    case MD_BLOCK_HR:
    case MD_BLOCK_HTML:
    case MD_BLOCK_TABLE:
        sat_flow_break(flow, SAT_BREAK_PARAGRAPH);
        break;
    case MD_BLOCK_UL:
        sat_flow_list_begin(flow, false, 0);
        break;
    case MD_BLOCK_OL:
        sat_flow_list_begin(flow, true, ((MD_BLOCK_OL_DETAIL *)detail)->start);
        break;
    case MD_BLOCK_LI: {
        const MD_BLOCK_LI_DETAIL *item = detail;
        sat_flow_item(flow, !item->is_task ? NULL : item->task_mark == ' ' ? "[ ] " : "[x] ");
        break;
    }
    case MD_BLOCK_H:
        sat_flow_heading_begin(flow, (int)((MD_BLOCK_H_DETAIL *)detail)->level);
        break;
    case MD_BLOCK_CODE:
        sat_flow_break(flow, SAT_BREAK_PARAGRAPH);
        sat_flow_verbatim(flow, true);
        break;
    case MD_BLOCK_TR:
        sat_flow_row(flow);
        break;
    case MD_BLOCK_TH:
    case MD_BLOCK_TD:
        sat_flow_cell(flow);
        break;
    default:
        break;
    }
    return proceed(m, 1);
}

static int leave_block(MD_BLOCKTYPE type, void *detail, void *user) {
    markdown *m = user;
    sat_flow *flow = m->flow;
    flush_html(m);
    switch (type) {
    case MD_BLOCK_UL:
    case MD_BLOCK_OL:
        sat_flow_list_end(flow);
        break;
    case MD_BLOCK_H:
        sat_flow_heading_end(flow);
        break;
    case MD_BLOCK_CODE:
        sat_flow_verbatim(flow, false);
        sat_flow_break(flow, SAT_BREAK_PARAGRAPH);
        break;
    case MD_BLOCK_TR:
        sat_flow_row_end(flow);
        break;
    case MD_BLOCK_QUOTE:
    case MD_BLOCK_P:
    case MD_BLOCK_HTML:
    case MD_BLOCK_TABLE:
        sat_flow_break(flow, SAT_BREAK_PARAGRAPH);
        break;
    default:
        break;
    }
    return proceed(m, 1);
}

static int enter_span(MD_SPANTYPE type, void *detail, void *user) {
    markdown *m = user;
    flush_html(m);
    uint64_t work = 1;
    if (type == MD_SPAN_A) {
        const MD_SPAN_A_DETAIL *link = detail;
        work += (uint64_t)link->href.size + link->title.size;
    } else if (type == MD_SPAN_IMG) {
        const MD_SPAN_IMG_DETAIL *image = detail;
        work += (uint64_t)image->src.size + image->title.size;
    }
    return proceed(m, work);
}

static int leave_span(MD_SPANTYPE type, void *detail, void *user) {
    flush_html(user);
    return proceed(user, 1);
}

static int add_text(MD_TEXTTYPE type, const MD_CHAR *text, MD_SIZE size, void *user) {
    markdown *m = user;
    char decoded[8];
    size_t length;
    if (type == MD_TEXT_HTML) {
        sat_buffer_append(&m->html, text, size);
        return proceed(m, 1);
    }
    flush_html(m);
    switch (type) {
    case MD_TEXT_BR:
        sat_flow_line(m->flow);
        break;
    case MD_TEXT_SOFTBR:
        sat_flow_text(m->flow, "\n", 1);
        break;
    case MD_TEXT_ENTITY:
        if (sat_html_reference(text, size, false, decoded, &length) == size)
            sat_flow_text(m->flow, decoded, length);
        else
            sat_flow_text(m->flow, text, size);
        break;
    default:
        sat_flow_text(m->flow, text, size);
        break;
    }
    return proceed(m, 1);
}

/* ------------------------------------------------------------------ what is not Markdown */

typedef struct line {
    size_t start, end, next;
} line;

static line line_at(const char *text, size_t length, size_t start) {
    const char *end = memchr(text + start, '\n', length - start);
    line found = {.start = start, .end = end ? (size_t)(end - text) : length};
    found.next = end ? found.end + 1 : length;
    while (found.end > start && strchr(" \t\r", text[found.end - 1]))
        found.end--;
    return found;
}

static bool line_is(const char *text, line at, const char *what) {
    size_t length = strlen(what);
    return at.end - at.start == length && memcmp(text + at.start, what, length) == 0;
}

/* "title: …" of the front matter. */
static void take_title(sat_flow *flow, const char *text, line at) {
    static const char key[] = "title:";
    size_t length = sizeof key - 1;
    if (at.end - at.start <= length || memcmp(text + at.start, key, length) != 0)
        return;
    size_t start = at.start + length, end = at.end;
    while (start < end && (text[start] == ' ' || text[start] == '\t'))
        start++;
    char quote = start < end ? text[start] : '\0';
    if ((quote == '"' || quote == '\'') && end - start >= 2 && text[end - 1] == quote) {
        start++;
        end--;
    }
    sat_flow_title(flow, text + start, end - start);
}

/* The length of a YAML front matter: from a first line "---" to a line "---" or "...". It begins
 * with a key, so that a rule at the top is not taken for one. */
static size_t front_matter(sat_flow *flow, const char *text, size_t length) {
    line first = line_at(text, length, 0);
    if (!line_is(text, first, "---") || first.next == length)
        return 0;
    line at = line_at(text, length, first.next);
    const char *colon = memchr(text + at.start, ':', at.end - at.start);
    if (!colon && !line_is(text, at, "---") && text[at.start] != '#')
        return 0;
    size_t end = 0;
    for (; !end; at = line_at(text, length, at.next)) {
        if (line_is(text, at, "---") || line_is(text, at, "..."))
            end = at.next;
        else if (at.next == length)
            return 0;
    }
    for (at = line_at(text, length, first.next); at.next < end; at = line_at(text, length, at.next))
        take_title(flow, text, at);
    return end;
}

static bool is_blank(const char *text, line at, size_t i) {
    return i >= at.end || text[i] == ' ' || text[i] == '\t';
}

/* The length of a mark that opens a container at text[i]: ">", "-", "12."; 0: there is none. */
static size_t container_mark(const char *text, line at, size_t i) {
    if (text[i] == '>')
        return 1;
    if (strchr("-+*", text[i]))
        return is_blank(text, at, i + 1);
    size_t end = i;
    while (end < at.end && text[end] >= '0' && text[end] <= '9')
        end++;
    bool numbered = end > i && end < at.end && (text[end] == '.' || text[end] == ')') &&
                    is_blank(text, at, end + 1);
    return numbered ? end + 1 - i : 0;
}

/* True if some line opens more containers than any document has inside each other: marks of
 * quotes and lists before its text, two columns of indentation counted as one. */
static bool is_too_deep(const char *text, size_t length) {
    line at;
    for (size_t start = 0; start < length; start = at.next) {
        at = line_at(text, length, start);
        size_t marks = 0, columns = 0, mark = 1;
        for (size_t i = at.start; i < at.end && mark > 0; i += mark) {
            mark = 1;
            if (text[i] == ' ' || text[i] == '\t') {
                columns += text[i] == '\t' ? 4 : 1;
                continue;
            }
            mark = container_mark(text, at, i);
            marks += mark > 0;
            if (mark > 0 && marks + columns / 2 > MOST_DEPTH)
                return true;
        }
    }
    return false;
}

/* ------------------------------------------------------------------ reader */

/* OK, or UNSUPPORTED (without a message) if it is better read as plain text. */
static satchel_status parse(sat_flow *flow, const char *text, size_t length, satchel_error *error) {
    if (is_too_deep(text, length))
        return SATCHEL_UNSUPPORTED;
    markdown m = {.flow = flow, .work = WORK_AT_LEAST + (uint64_t)length * WORK_PER_BYTE};
    sat_buffer_init(&m.html, flow->document->memory);
    MD_PARSER parser = {
        .flags = MD_FLAG_TABLES | MD_FLAG_STRIKETHROUGH | MD_FLAG_TASKLISTS,
        .enter_block = enter_block,
        .leave_block = leave_block,
        .enter_span = enter_span,
        .leave_span = leave_span,
        .text = add_text,
    };
    int result = md_parse(text, (MD_SIZE)length, &parser, &m);
    flush_html(&m);
    sat_buffer_free(&m.html);
    if (result == TOO_MUCH_WORK || (result == FAILED && flow->full))
        return SATCHEL_UNSUPPORTED;
    if (result < 0)
        return sat_fail_memory(error, length); /* md4c has no other failure */
    return sat_flow_end(flow, error);
}
#endif

satchel_status sat_read_markdown(sat_document *document, satchel_context *context, const void *data,
                                 size_t length, satchel_error *error) {
#ifndef SATCHEL_HAVE_MARKDOWN
    return sat_fail(
        error, SATCHEL_UNSUPPORTED,
        "this build has no Markdown reader; build with -Dmarkdown=enabled, or add it as "
        "text/plain");
#else
    if (length > MAX_MARKDOWN_BYTES)
        return sat_fail(
            error, SATCHEL_LIMIT,
            "a Markdown file of %zu bytes; the reader takes at most %llu: split it, or add "
            "it as text/plain",
            length, (unsigned long long)MAX_MARKDOWN_BYTES);
    static const char padding[PADDING] = "\n";
    document->source_start = -1;
    document->media_type = "text/markdown";
    sat_buffer utf8;
    sat_buffer_init(&utf8, document->memory);
    satchel_status status = sat_text_decode(&utf8, data, length, NULL, error);
    if (!status) {
        sat_flow_remove_nul(&utf8);
        size_t size = utf8.length;
        sat_flow flow;
        sat_flow_init(&flow, document, MOST_GROWTH * size + 64);
        if (size > UINT_MAX || !sat_buffer_append(&utf8, padding, sizeof padding)) {
            status = sat_memory_fail(document->memory, size, error);
        } else {
            size_t front = front_matter(&flow, utf8.data, size);
            status = parse(&flow, utf8.data + front, size - front, error);
        }
    }
    sat_buffer_free(&utf8);
    if (status == SATCHEL_UNSUPPORTED) {
        sat_document_clear(document);
        return sat_read_text(document, context, data, length, error);
    }
    return status;
#endif
}
