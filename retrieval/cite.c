/* See cite.h. The text is walked once, character by character; nothing is decided before the
 * characters are there that decide it, so pieces do not matter. */
#include "retrieval/cite.h"

#include <string.h>

#include "retrieval/cite_source.h"

enum {
    MARKER_BYTES = 64, /* of the longest marker */
    LOOK_BACK = 2048,  /* bytes: how far before a marker its sentence may begin */
    FEW_LETTERS =
        12, /* before a marker: too few to be what it stands for, if the sentence goes on */
    MOST_CITATIONS = 4096,
    STALE_PASSAGES = 999, /* an earlier answer's number is taken to be a passage's up to here */
};

/* What a marker, or several side by side, stands for before it is known. */
typedef struct group {
    bool open, ahead;  /* ahead: it stands for what follows, from `end` on */
    size_t start, end; /* bytes */
    uint8_t *passages; /* (passages) 1: it names this one */
} group;

struct sat_cite {
    sat_memory *memory;
    sat_buffer text;
    size_t at;   /* walked so far */
    size_t line; /* where the line at hand begins */
    bool ended;

    group group;
    size_t last_start, last_end; /* the range that the last group stood for */
    size_t behind;               /* the last group's end */
    bool led;                    /* the last group stood for what followed it */
    bool stopped;                /* ahead: a stop was seen, whose sentence may be over */

    size_t known_byte; /* a place whose UTF-16 offset is known */
    int64_t known_unit;

    sat_cite_scratch scratch;
    sat_cited *passages;
    size_t passage_count;

    sat_citation *found;
    size_t found_count, found_capacity, taken, total;
};

/* ------------------------------------------------------------------ characters */

static int32_t character(const sat_cite *c, size_t at, size_t *size) {
    int32_t code;
    *size = sat_utf8_decode(c->text.data + at, c->text.length - at, &code);
    return code;
}

static bool is_stop(int32_t code) {
    switch (code) {
    case '.':
    case '!':
    case '?':
    case 0x2026: /* … */
    case 0x061F: /* Arabic ? */
    case 0x06D4: /* Urdu . */
    case 0x0964: /* danda */
    case 0x3002: /* ideographic . */
    case 0xFF01:
    case 0xFF0E:
    case 0xFF1F:
    case 0xFF61:
        return true;
    default:
        return false;
    }
}

/* Between two markers of one group. */
static bool is_between(int32_t code) {
    return code == ' ' || code == '\t' || code == 0xA0 || code == ',' || code == ';' ||
           code == 0x3001 || code == 0xFF0C || code == 0xFF1B;
}

/* Letters and digits; characters that are words by themselves count for three. */
static size_t letters(const char *text, size_t length) {
    size_t count = 0;
    for (size_t at = 0; at < length;) {
        int32_t code;
        at += sat_utf8_decode(text + at, length - at, &code);
        if (sat_is_letter(code) || sat_is_digit(code))
            count += sat_is_unspaced(code) ? 3 : 1;
    }
    return count;
}

/* ------------------------------------------------------------------ markers */

static int digit_of(int32_t code) {
    if (code >= '0' && code <= '9')
        return code - '0';
    return code >= 0xFF10 && code <= 0xFF19 ? code - 0xFF10 : -1;
}

static int32_t closer_of(int32_t code) {
    switch (code) {
    case '[':
        return ']';
    case 0xFF3B: /* full-width [ */
        return 0xFF3D;
    case 0x3010: /* black lenticular */
        return 0x3011;
    case 0x3014: /* tortoise shell */
        return 0x3015;
    case 0x3016: /* white lenticular */
        return 0x3017;
    default:
        return 0;
    }
}

typedef enum verdict { NO_MARKER, MARKER, MORE } verdict;

static void name_passages(const sat_cite *c, size_t first, size_t last, uint8_t *named) {
    for (size_t n = first; n >= 1 && n <= last && n <= c->passage_count; n++)
        named[n - 1] = 1;
}

/* Reads what the bracket at `at` opens: numbers, single or from–to, between commas. With `named`
 * (passages) the passages are marked in it. *any: one of the numbers is a passage's. */
static verdict read_marker(const sat_cite *c, size_t at, size_t *end, uint8_t *named, bool *any) {
    size_t size, limit = at + MARKER_BYTES, number = 0, from = 0;
    int32_t closer = closer_of(character(c, at, &size));
    bool digits = false, spaced = false, range = false;
    *any = false;
    if (!closer)
        return NO_MARKER;
    for (at += size; at < limit; at += size) {
        if (at >= c->text.length)
            return c->ended ? NO_MARKER : MORE;
        int32_t code = character(c, at, &size);
        int digit = digit_of(code);
        if (digit >= 0) {
            number = digits ? number * 10 + (size_t)digit : (size_t)digit;
            if (number > 1000000 || (digits && spaced)) /* "[1 2]" */
                return NO_MARKER;
            digits = true;
            spaced = false;
            continue;
        }
        if (code == ' ' || code == 0x3000) {
            spaced = true;
            continue;
        }
        bool dash = code == '-' || code == 0x2010 || code == 0x2011 || code == 0x2013;
        if (!digits || (dash && range))
            return NO_MARKER;
        digits = false;
        if (dash) {
            from = number;
            range = true;
            continue;
        }
        if (code != closer && !is_between(code))
            return NO_MARKER;
        if (!range)
            from = number;
        if (named)
            name_passages(c, from, number, named);
        *any |= from >= 1 && from <= number && from <= c->passage_count;
        range = spaced = false;
        if (code == closer) {
            *end = at + size;
            return MARKER;
        }
    }
    return NO_MARKER;
}

void sat_cite_strip(sat_buffer *out, const char *text, size_t length) {
    const sat_cite all = {.text = {.data = (char *)text, .length = length},
                          .ended = true,
                          .passage_count = STALE_PASSAGES};
    size_t from = 0, size;
    for (size_t at = 0; at < length; at += size) {
        size_t end, spaces = at;
        bool any;
        character(&all, at, &size);
        if (read_marker(&all, at, &end, NULL, &any) != MARKER || !any)
            continue;
        while (spaces > from && (text[spaces - 1] == ' ' || text[spaces - 1] == '\t'))
            spaces--;
        sat_buffer_append(out, text + from, spaces - from);
        from = end;
        size = end - at;
    }
    sat_buffer_append(out, text + from, length - from);
}

/* ------------------------------------------------------------------ ranges */

static void trim(const sat_cite *c, size_t *start, size_t *end) {
    static const char lead[] = " \t\r\n-*#>.,;:)]|", tail[] = " \t\r\n([,;:*|";
    const char *text = c->text.data;
    for (;;) { /* what belongs to the sentence or the marker before, and marks of lists */
        size_t size;
        int32_t code = *start < *end ? character(c, *start, &size) : 0;
        bool ascii = code > 0 && code < 0x80 && strchr(lead, code);
        bool other = code >= 0x80 && (sat_is_space(code) || is_stop(code) || is_between(code) ||
                                      code == 0x2022 || code == 0xFF09 || code == 0xFF1A);
        if (!ascii && !other)
            break;
        *start += size;
    }
    while (*end > *start) {
        size_t at = sat_utf8_border(text, c->text.length, *end - 1), size;
        int32_t code = character(c, at, &size);
        bool ascii = code > 0 && code < 0x80 && strchr(tail, code);
        bool other = code >= 0x80 && (sat_is_space(code) || is_between(code) || code == 0xFF08);
        if (!ascii && !other)
            break;
        *end = at;
    }
}

/* The last sentence that says something, and the first. */
typedef struct sentences {
    const char *text;
    size_t start, end, first_end, count;
} sentences;

static int keep_sentence(void *user, size_t start, size_t end) {
    sentences *s = user;
    if (s->count++ == 0)
        s->first_end = end;
    if (letters(s->text + start, end - start) > 0) {
        s->start = start;
        s->end = end;
    }
    return 0;
}

static int64_t unit_of(const sat_cite *c, size_t byte) {
    const char *text = c->text.data;
    if (byte < c->known_byte)
        return (int64_t)sat_utf16_length(text, byte);
    return c->known_unit + (int64_t)sat_utf16_length(text + c->known_byte, byte - c->known_byte);
}

/* The group stands for start..end: one citation for each passage it names. */
static satchel_status give(sat_cite *c, size_t start, size_t end, satchel_error *error) {
    group *g = &c->group;
    satchel_status status = SATCHEL_OK;
    const satchel_range answer = {(int64_t)start, (int64_t)end, unit_of(c, start), unit_of(c, end)};
    for (size_t i = 0; i < c->passage_count && !status; i++) {
        if (!g->passages[i] || c->total >= MOST_CITATIONS)
            continue;
        if (!sat_grow(c->memory, (void **)&c->found, &c->found_capacity, c->found_count + 1,
                      sizeof *c->found))
            return sat_memory_fail(c->memory, (c->found_count + 1) * sizeof *c->found, error);
        sat_citation *citation = &c->found[c->found_count];
        *citation = (sat_citation){.answer = answer, .passage = i};
        status = sat_cite_find(&c->scratch, &c->passages[i], c->text.data + start, end - start,
                               citation, error);
        c->found_count += status == SATCHEL_OK;
        c->total++;
    }
    c->last_start = start;
    c->last_end = end;
    c->behind = g->end;
    c->known_unit = unit_of(c, start);
    c->known_byte = start;
    g->open = g->ahead = c->led = false;
    if (c->passage_count > 0)
        memset(g->passages, 0, c->passage_count);
    return status;
}

/* The group stood for what follows, and that ends at `end`. */
static satchel_status give_ahead(sat_cite *c, size_t end, satchel_error *error) {
    size_t start = c->group.end;
    trim(c, &start, &end);
    if (letters(c->text.data + start, end - start) == 0) { /* nothing followed: the marker itself */
        start = c->group.start;
        end = c->group.end;
    }
    satchel_status status = give(c, start, end, error);
    c->led = true;
    return status;
}

/* Waits for what follows. */
static satchel_status look_ahead(sat_cite *c) {
    c->group.ahead = true;
    c->group.open = c->stopped = false;
    return SATCHEL_OK;
}

static bool ends_with_stop(const sat_cite *c, size_t start, size_t end) {
    size_t size;
    return end > start &&
           is_stop(character(c, sat_utf8_border(c->text.data, c->text.length, end - 1), &size));
}

static bool has_digit(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (text[i] >= '0' && text[i] <= '9')
            return true;
    return false;
}

/* The group is complete; `next` is the character that follows, 0 at the end of the text. */
static satchel_status close_group(sat_cite *c, int32_t next, satchel_error *error) {
    group *g = &c->group;
    const char *text = c->text.data;
    size_t since = c->behind > c->line ? c->behind : c->line;
    bool goes_on = next != 0 && next != '\n' && !is_stop(next);
    bool alone = letters(text + since, g->start - since) == 0; /* nothing on the line since */
    if (alone && c->behind > c->line)
        return give(c, c->last_start, c->last_end, error); /* "… [1]. [2]" */
    bool led = c->led && c->last_end <= g->start && ends_with_stop(c, c->last_start, c->last_end) &&
               letters(text + c->last_end, g->start - c->last_end) == 0; /* "[1] … . [2] …" */
    if ((alone || led) && goes_on)
        return look_ahead(c);
    size_t window =
        g->start > LOOK_BACK ? sat_utf8_border(text, c->text.length, g->start - LOOK_BACK) : 0;
    sentences s = {.text = text + window};
    (void)sat_text_sentences(text + window, g->start - window, keep_sentence, &s);
    size_t start = window + s.start, end = window + s.end;
    bool first = start >= c->behind; /* no marker before it in its sentence */
    if (!first)
        start = c->behind;
    if (end < start)
        end = start;
    trim(c, &start, &end);
    size_t said = letters(text + start, end - start);
    if (said == 0)
        return give(c, g->start, g->end, error);
    if (first && said < FEW_LETTERS && goes_on && !ends_with_stop(c, start, end) &&
        !has_digit(text + start, end - start))
        return look_ahead(c);
    return give(c, start, end, error);
}

/* ------------------------------------------------------------------ walking */

static satchel_status on_marker(sat_cite *c, size_t start, size_t end, satchel_error *error) {
    satchel_status status = SATCHEL_OK;
    bool any;
    if (c->group.ahead)
        status = give_ahead(c, start, error);
    if (!c->group.open)
        c->group.start = start;
    c->group.open = true;
    c->group.end = end;
    (void)read_marker(c, start, &end, c->group.passages, &any);
    return status;
}

/* A sentence that a marker began may be over before the character at `at`. */
static satchel_status watch_ahead(sat_cite *c, int32_t code, size_t at, size_t size,
                                  satchel_error *error) {
    size_t from = c->group.end;
    if (code == '\n' || at - from > LOOK_BACK)
        return give_ahead(c, at, error);
    if (is_stop(code)) {
        c->stopped = true;
        return SATCHEL_OK;
    }
    if (!c->stopped || sat_is_space(code) || sat_is_punctuation(code))
        return SATCHEL_OK;
    c->stopped = false;
    sentences s = {.text = c->text.data + from};
    (void)sat_text_sentences(c->text.data + from, at + size - from, keep_sentence, &s);
    return s.count > 1 ? give_ahead(c, from + s.first_end, error) : SATCHEL_OK;
}

static satchel_status walk(sat_cite *c, satchel_error *error) {
    satchel_status status = SATCHEL_OK;
    while (c->at < c->text.length && !status) {
        size_t size, end = c->at;
        int32_t code = character(c, c->at, &size);
        bool any;
        verdict what = read_marker(c, c->at, &end, NULL, &any);
        if (what == MORE)
            return SATCHEL_OK;
        if (what == MARKER && any) {
            status = on_marker(c, c->at, end, error);
            c->at = end;
            continue;
        }
        if (c->group.open && !is_between(code))
            status = close_group(c, code, error);
        if (!status && c->group.ahead)
            status = watch_ahead(c, code, c->at, size, error);
        c->at += size;
        if (code == '\n')
            c->line = c->at;
    }
    if (c->ended && !status && c->group.open)
        status = close_group(c, 0, error);
    if (c->ended && !status && c->group.ahead)
        status = give_ahead(c, c->text.length, error);
    return status;
}

/* ------------------------------------------------------------------ interface */

satchel_status sat_cite_open(sat_cite **out, sat_memory *memory, const satchel_text *passages,
                             size_t count, satchel_error *error) {
    *out = NULL;
    sat_cite *c = sat_calloc(memory, 1, sizeof *c);
    if (!c)
        return sat_memory_fail(memory, sizeof *c, error);
    c->memory = c->scratch.memory = memory;
    sat_buffer_init(&c->text, memory);
    sat_arena_init(&c->scratch.arena, memory);
    c->passages = sat_calloc(memory, count + 1, sizeof *c->passages);
    c->group.passages = sat_calloc(memory, count + 1, 1);
    satchel_status status = SATCHEL_OK;
    if (!c->passages || !c->group.passages)
        status = sat_memory_fail(memory, (count + 1) * sizeof *c->passages, error);
    if (!status)
        status = sat_terms_open(&c->scratch.terms, memory, error);
    if (status) {
        sat_cite_close(&c);
        return status;
    }
    for (size_t i = 0; i < count; i++)
        c->passages[i] = (sat_cited){.text = passages[i].data, .length = passages[i].length};
    c->passage_count = count;
    *out = c;
    return SATCHEL_OK;
}

void sat_cite_close(sat_cite **handle) {
    sat_cite *c = *handle;
    if (!c)
        return;
    *handle = NULL;
    for (size_t i = 0; i < c->passage_count; i++)
        sat_free(c->memory, c->passages[i].sentences);
    sat_free(c->memory, c->passages);
    sat_free(c->memory, c->group.passages);
    sat_free(c->memory, c->found);
    sat_free(c->memory, c->scratch.hashes);
    sat_terms_close(&c->scratch.terms);
    sat_arena_free(&c->scratch.arena);
    sat_buffer_free(&c->text);
    sat_free(c->memory, c);
}

satchel_status sat_cite_add(sat_cite *c, const char *text, size_t length, satchel_error *error) {
    if (length > 0 && !sat_buffer_append(&c->text, text, length))
        return sat_memory_fail(c->memory, length, error);
    return walk(c, error);
}

satchel_status sat_cite_end(sat_cite *c, satchel_error *error) {
    c->ended = true;
    return walk(c, error);
}

bool sat_cite_next(sat_cite *c, sat_citation *out) {
    if (c->taken == c->found_count) {
        c->taken = c->found_count = 0;
        return false;
    }
    *out = c->found[c->taken++];
    return true;
}

const char *sat_cite_text(const sat_cite *c, size_t *length) {
    *length = c->text.length;
    return c->text.data ? c->text.data : "";
}
