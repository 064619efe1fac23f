/*
 * Text for people. Documents come from anywhere, so nothing of them reaches a terminal unfiltered:
 * an escape sequence in a file name or a sentence could otherwise move the cursor, rename the
 * window or fake a prompt.
 */
#include <inttypes.h>
#include <string.h>

#include "cli.h"

const char *style(bool color, int which) {
    static const char *const escapes[] = {"\033[0m",  "\033[1m",  "\033[2m",
                                          "\033[32m", "\033[31m", "\033[36m"};
    return color ? escapes[which] : "";
}

size_t decode(const char *text, size_t length, uint32_t *code) {
    const unsigned char *s = (const unsigned char *)text;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t size = s[0] < 0x80   ? 1
                  : s[0] < 0xC2 ? 0
                  : s[0] < 0xE0 ? 2
                  : s[0] < 0xF0 ? 3
                  : s[0] < 0xF5 ? 4
                                : 0;
    *code = 0xFFFD;
    if (size == 0 || size > length)
        return 1;
    uint32_t value = size == 1 ? s[0] : s[0] & (0x7Fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return i;
        value = value << 6 | (s[i] & 0x3Fu);
    }
    if (value < least[size] || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000))
        return 1;
    *code = value;
    return size;
}

static bool is_control(uint32_t code) {
    return code < 0x20 || (code >= 0x7F && code < 0xA0);
}

/* Marks that change the direction of what follows, also of our own text after it. */
static bool is_override(uint32_t code) {
    return (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

static bool is_blank(uint32_t code) {
    return code == ' ' || (code >= '\t' && code <= '\r') || code == 0x85 || code == 0x2028 ||
           code == 0x2029;
}

/* Scripts and signs that terminals draw two columns wide, and between which a line may end. */
static bool is_wide(uint32_t code) {
    return (code >= 0x1100 && code <= 0x115F) || (code >= 0x2E80 && code <= 0xA4CF) ||
           (code >= 0xAC00 && code <= 0xD7A3) || (code >= 0xF900 && code <= 0xFAFF) ||
           (code >= 0xFE30 && code <= 0xFE6F) || (code >= 0xFF00 && code <= 0xFF60) ||
           (code >= 0x1F300 && code <= 0x1FAFF) || (code >= 0x20000 && code <= 0x3FFFD);
}

void print_safe(FILE *out, const char *text, size_t length, bool lines) {
    for (size_t at = 0; at < length;) {
        uint32_t code;
        size_t size = decode(text + at, length - at, &code);
        if (is_blank(code) && !(lines && (code == '\n' || code == '\t')))
            fputc(' ', out);
        else if (code == '\n' || code == '\t')
            fputc((int)code, out);
        else if (is_control(code) || code == 0xFFFD)
            fputs("\xEF\xBF\xBD", out);
        else if (!is_override(code))
            fwrite(text + at, 1, size, out);
        at += size;
    }
}

void print_string(FILE *out, const char *text) {
    print_safe(out, text, strlen(text), false);
}

/* ------------------------------------------------------------------ flowing text */

void flow_begin(struct flow *flow, const struct cli *cli, FILE *out, int indent) {
    *flow = (struct flow){.out = out, .indent = indent};
    if (cli->width > 0)
        flow->width = cli->width > 100 ? 100 : cli->width;
    fprintf(out, "%*s", indent, "");
    flow->column = indent;
}

static void flush_word(struct flow *flow) {
    if (flow->used == 0)
        return;
    const int room = flow->space ? 1 : 0;
    if (flow->width > 0 && flow->column > flow->indent &&
        flow->column + room + flow->columns > flow->width) {
        fprintf(flow->out, "\n%*s", flow->indent, "");
        flow->column = flow->indent;
    } else if (flow->space && flow->column > flow->indent) {
        fputc(' ', flow->out);
        flow->column++;
    }
    fwrite(flow->word, 1, flow->used, flow->out);
    flow->column += flow->columns;
    flow->used = 0;
    flow->columns = 0;
    flow->space = false;
}

static void add_to_word(struct flow *flow, const char *bytes, size_t size, int columns) {
    if (flow->used + size > sizeof flow->word)
        flush_word(flow);
    memcpy(flow->word + flow->used, bytes, size);
    flow->used += size;
    flow->columns += columns;
}

void flow_style(struct flow *flow, const char *escape) {
    add_to_word(flow, escape, strlen(escape), 0);
}

void flow_text(struct flow *flow, const char *text, size_t length) {
    for (size_t at = 0; at < length;) {
        uint32_t code;
        size_t size = decode(text + at, length - at, &code);
        if (is_blank(code)) {
            flush_word(flow);
            flow->space = true;
        } else if (is_control(code) || code == 0xFFFD) {
            add_to_word(flow, "\xEF\xBF\xBD", 3, 1);
        } else if (is_wide(code)) {
            flush_word(flow);
            add_to_word(flow, text + at, size, 2);
        } else if (!is_override(code)) {
            add_to_word(flow, text + at, size, 1);
        }
        at += size;
    }
}

void flow_end(struct flow *flow) {
    flush_word(flow);
    fputc('\n', flow->out);
}

/* ------------------------------------------------------------------ hits */

void print_passage(const struct cli *cli, FILE *out, const satchel_results *results, size_t index,
                   const satchel_hit *hit, int indent) {
    struct flow flow;
    flow_begin(&flow, cli, out, indent);
    /* The snippet where there is one; offsets are the document's, the text is the chunk's. */
    const bool cut = hit->snippet.end > hit->snippet.start;
    int64_t at = cut ? hit->snippet.start : hit->range.start;
    const int64_t end = cut ? hit->snippet.end : hit->range.end;
    const int64_t base = hit->range.start;
    if (at > hit->range.start)
        flow_text(&flow, "… ", strlen("… "));
    for (size_t i = 0; results && i < hit->match_count; i++) {
        satchel_range match;
        if (satchel_results_get_match(results, index, i, &match, NULL))
            break;
        if (match.start < at || match.end > end)
            continue;
        flow_text(&flow, hit->text + (at - base), (size_t)(match.start - at));
        flow_style(&flow, style(cli->color_out, STYLE_BOLD));
        flow_text(&flow, hit->text + (match.start - base), (size_t)(match.end - match.start));
        flow_style(&flow, style(cli->color_out, STYLE_PLAIN));
        at = match.end;
    }
    flow_text(&flow, hit->text + (at - base), (size_t)(end - at));
    if (end < hit->range.end)
        flow_text(&flow, " …", strlen(" …"));
    flow_end(&flow);
}

void print_place(FILE *out, const char *heading, int32_t page, int64_t time_ms,
                 const satchel_range *range) {
    if (heading && *heading) {
        print_string(out, heading);
        fputs(", ", out);
    }
    if (page > 0)
        fprintf(out, "page %" PRId32 ", ", page);
    char text[16];
    if (time_ms >= 0)
        fprintf(out, "at %s, ", human_time(text, (double)time_ms / 1000));
    fprintf(out, "bytes %" PRId64 "-%" PRId64, range->start, range->end);
}

/* ------------------------------------------------------------------ numbers */

const char *human_bytes(char out[16], double bytes) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    size_t unit = 0;
    while (bytes >= 999.5 && unit + 1 < sizeof units / sizeof units[0]) {
        bytes /= 1000;
        unit++;
    }
    snprintf(out, 16, unit == 0 || bytes >= 99.5 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
    return out;
}

const char *human_time(char out[16], double seconds) {
    if (!(seconds >= 0))
        seconds = 0;
    if (seconds > 359999)
        seconds = 359999;
    const unsigned whole = (unsigned)(seconds + 0.5) % 360000;
    if (whole >= 3600)
        snprintf(out, 16, "%u:%02u:%02u", whole / 3600 % 100, whole / 60 % 60, whole % 60);
    else
        snprintf(out, 16, "%u:%02u", whole / 60 % 60, whole % 60);
    return out;
}
