/*
 * The tokenizer of the HTML standard, as far as text needs it: tags with attributes, comments,
 * elements whose content is not markup. One pass, no memory, no tree: what a page says does not
 * depend on how its tags nest, and a tree's size and depth would be the page's to choose.
 *
 * Where markup never ends, browsers drop the rest of the page; here it is text. Scripts and styles
 * are the exception: what follows one that never ends is code.
 */
#include <string.h>

#include "retrieval/html.h"

/* Elements whose content is not markup, and what becomes of it. The index is the bit in
 * `unclosed`. */
static const struct raw_element {
    const char *name;
    enum { DROP, DECODE, KEEP } content;
} raw_elements[] = {
    {"script", DROP},  {"style", DROP},      {"iframe", DROP}, {"noembed", DROP},
    {"title", DECODE}, {"textarea", DECODE}, {"xmp", KEEP},
};
#define COMMENT_BIT (1u << SAT_COUNT(raw_elements))

static bool is_white(char byte) {
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r' || byte == '\f';
}
static bool is_alpha(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}
static char lower(char byte) {
    return byte >= 'A' && byte <= 'Z' ? (char)(byte + ('a' - 'A')) : byte;
}

/* Compares without regard to ASCII case; `name` is in lower case. */
static bool begins_with(const char *text, size_t length, const char *name) {
    size_t i = 0;
    for (; name[i]; i++)
        if (i >= length || lower(text[i]) != name[i])
            return false;
    return true;
}

void sat_html_init(sat_html *html, const char *data, size_t length) {
    memset(html, 0, sizeof *html);
    html->data = data;
    html->length = length;
}

/* ------------------------------------------------------------------ tags */

typedef struct attribute {
    size_t name, name_end, value, value_end;
} attribute;

typedef enum tag_part { PART_ATTRIBUTE, PART_END, PART_END_EMPTY, PART_UNFINISHED } tag_part;

/* The next part of a tag, from *at on; *at moves behind it. */
static tag_part next_part(const sat_html *html, size_t *at, attribute *out) {
    const char *data = html->data;
    size_t length = html->length, i = *at;
    bool slash = false;
    for (; i < length && (is_white(data[i]) || data[i] == '/'); i++)
        slash = data[i] == '/';
    if (i == length)
        return PART_UNFINISHED;
    if (data[i] == '>') {
        *at = i + 1;
        return slash ? PART_END_EMPTY : PART_END;
    }
    out->name = i++;
    while (i < length && !is_white(data[i]) && data[i] != '/' && data[i] != '>' && data[i] != '=')
        i++;
    *at = out->name_end = out->value = out->value_end = i;
    while (i < length && is_white(data[i]))
        i++;
    if (i == length || data[i] != '=')
        return PART_ATTRIBUTE;
    i++;
    while (i < length && is_white(data[i]))
        i++;
    char quote = i < length ? data[i] : '\0';
    if (quote == '"' || quote == '\'') {
        const char *end = memchr(data + i + 1, quote, length - i - 1);
        if (!end)
            return PART_UNFINISHED;
        out->value = i + 1;
        out->value_end = (size_t)(end - data);
        *at = out->value_end + 1;
        return PART_ATTRIBUTE;
    }
    out->value = i;
    while (i < length && !is_white(data[i]) && data[i] != '>')
        i++;
    *at = out->value_end = i;
    return PART_ATTRIBUTE;
}

static void copy_name(sat_html_token *token, const char *name, size_t length) {
    size_t i = 0;
    for (; i < length && i + 1 < sizeof token->name; i++)
        token->name[i] = lower(name[i]);
    token->name[i] = '\0';
}

/* Reads the tag whose name begins at `name`; false if it never ends. */
static bool read_tag(sat_html *html, size_t name, sat_html_token *token, bool *empty) {
    size_t at = name;
    while (at < html->length && !is_white(html->data[at]) && html->data[at] != '/' &&
           html->data[at] != '>')
        at++;
    copy_name(token, html->data + name, at - name);
    token->start = at;
    attribute unused;
    tag_part part;
    while ((part = next_part(html, &at, &unused)) == PART_ATTRIBUTE)
        ;
    if (part == PART_UNFINISHED)
        return false;
    *empty = part == PART_END_EMPTY;
    token->end = html->at = at;
    return true;
}

bool sat_html_attribute(const sat_html *html, const sat_html_token *token, const char *name,
                        size_t *start, size_t *end) {
    size_t at = token->start, length = strlen(name);
    attribute found;
    while (next_part(html, &at, &found) == PART_ATTRIBUTE) {
        if (found.name_end - found.name == length &&
            begins_with(html->data + found.name, length, name)) {
            *start = found.value;
            *end = found.value_end;
            return true;
        }
    }
    return false;
}

/* ------------------------------------------------------------------ what is not markup */

/* The next '<' of an end tag of the element; html->length if there is none. */
static size_t find_end_tag(sat_html *html, size_t element) {
    const char *name = raw_elements[element].name;
    size_t length = strlen(name);
    for (size_t at = html->at; !(html->unclosed >> element & 1) && at < html->length; at++) {
        const char *mark = memchr(html->data + at, '<', html->length - at);
        if (!mark)
            break;
        at = (size_t)(mark - html->data);
        size_t left = html->length - at;
        if (left > length + 2 && mark[1] == '/' && begins_with(mark + 2, left - 2, name) &&
            (is_white(mark[2 + length]) || mark[2 + length] == '/' || mark[2 + length] == '>'))
            return at;
    }
    html->unclosed |= 1u << element; /* nor is there one behind any later start */
    return html->length;
}

/* The content of a raw element; false if it yields nothing. */
static bool read_raw(sat_html *html, sat_html_token *token) {
    size_t element = html->raw - 1;
    html->raw = 0;
    size_t end = find_end_tag(html, element);
    if (end == html->length && raw_elements[element].content != DROP)
        return false; /* never closed: markup like any other */
    token->kind = raw_elements[element].content == DECODE ? SAT_HTML_TEXT : SAT_HTML_PLAIN;
    token->start = html->at;
    token->end = html->at = end;
    return raw_elements[element].content != DROP;
}

/* Moves behind a comment that begins at html->at; false if it never ends. */
static bool skip_comment(sat_html *html) {
    const char *data = html->data;
    size_t at = html->at + 4, length = html->length;
    if (begins_with(data + at, length - at, ">") || begins_with(data + at, length - at, "->")) {
        html->at = at + (data[at] == '>' ? 1 : 2);
        return true;
    }
    while (!(html->unclosed & COMMENT_BIT)) {
        const char *dashes = at < length ? memmem(data + at, length - at, "--", 2) : NULL;
        if (!dashes) {
            html->unclosed |= COMMENT_BIT;
            break;
        }
        at = (size_t)(dashes - data) + 2;
        size_t end = at + (at < length && data[at] == '!');
        if (end < length && data[end] == '>') {
            html->at = end + 1;
            return true;
        }
        at--; /* "--->" */
    }
    return false;
}

/* Moves behind the next '>'; false if there is none. */
static bool skip_declaration(sat_html *html) {
    const char *end = memchr(html->data + html->at, '>', html->length - html->at);
    if (end)
        html->at = (size_t)(end - html->data) + 1;
    return end != NULL;
}

/* ------------------------------------------------------------------ tokens */

static bool text_token(sat_html *html, sat_html_token *token, sat_html_kind kind, size_t end) {
    token->kind = kind;
    token->start = html->at;
    token->end = html->at = end;
    return true;
}

/* Where the text at html->at ends: at a '<' that begins markup. */
static size_t text_end(const sat_html *html) {
    for (size_t at = html->at; at < html->length; at++) {
        const char *mark = memchr(html->data + at, '<', html->length - at);
        if (!mark)
            break;
        at = (size_t)(mark - html->data);
        char next = at + 1 < html->length ? mark[1] : '\0';
        if (is_alpha(next) || next == '!' || next == '?' || next == '/')
            return at;
    }
    return html->length;
}

static bool start_tag(sat_html *html, sat_html_token *token) {
    bool empty;
    token->kind = SAT_HTML_START;
    if (!read_tag(html, html->at + 1, token, &empty))
        return false;
    for (size_t i = 0; i < SAT_COUNT(raw_elements) && !empty; i++)
        if (strcmp(token->name, raw_elements[i].name) == 0)
            html->raw = (unsigned)i + 1;
    if (strcmp(token->name, "plaintext") == 0)
        html->plain = true;
    return true;
}

/* The markup at html->at. 1: a token; 0: nothing to yield; -1: it never ends. */
static int markup(sat_html *html, sat_html_token *token) {
    const char *mark = html->data + html->at;
    size_t left = html->length - html->at;
    if (left > 1 && is_alpha(mark[1]))
        return start_tag(html, token) ? 1 : -1;
    if (left > 2 && mark[1] == '/' && is_alpha(mark[2])) {
        bool empty;
        token->kind = SAT_HTML_END;
        return read_tag(html, html->at + 2, token, &empty) ? 1 : -1;
    }
    if (begins_with(mark, left, "<!--") && skip_comment(html))
        return 0;
    if (begins_with(mark, left, "<![cdata[")) {
        const char *end = memmem(mark, left, "]]>", 3);
        if (!end)
            return -1;
        html->at += 9;
        text_token(html, token, SAT_HTML_PLAIN, (size_t)(end - html->data));
        html->at += 3;
        return 1;
    }
    return skip_declaration(html) ? 0 : -1;
}

bool sat_html_next(sat_html *html, sat_html_token *token) {
    while (html->at < html->length) {
        if (html->raw) {
            if (read_raw(html, token))
                return true;
            continue;
        }
        if (html->plain)
            return text_token(html, token, SAT_HTML_PLAIN, html->length);
        size_t end = text_end(html);
        if (end > html->at)
            return text_token(html, token, SAT_HTML_TEXT, end);
        int result = markup(html, token);
        if (result > 0)
            return true;
        html->plain = result < 0;
    }
    return false;
}
