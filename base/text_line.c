/*
 * Which line ends end a sentence: an empty line always; before a list item; after a heading; and
 * where whoever or whatever wrapped the text would not have broken the line, because the next
 * line's first word had room on it. That tells headings, addresses and verse from wrapped prose by
 * line lengths alone.
 */
#include "base/text_bounds.h"

#include <string.h>
#include <utf8proc.h>

/* No one wraps prose narrower than NARROWEST columns; lengths from WIDEST on are all the same. */
enum { NARROWEST = 40, WIDEST = 400 };

bool sat_is_line_end(int32_t code) {
    return (code >= '\n' && code <= '\r') || code == 0x2028 || code == 0x2029;
}

static int32_t look(const sat_splitter *s, size_t at, size_t end, size_t *size) {
    int32_t code = 0;
    *size = 0;
    if (at < end)
        *size = sat_utf8_decode(s->text + at, end - at, &code);
    return code;
}

static int columns_of(int32_t code) {
    return code < 0x300 ? 1 : utf8proc_charwidth(code);
}

/* Columns from `at` to the end of the line, at most WIDEST; those of the first word in *word. */
static int measure(const sat_splitter *s, size_t at, int *word) {
    int columns = 0;
    *word = 0;
    for (size_t size; columns < WIDEST; at += size) {
        int32_t code = look(s, at, s->length, &size);
        if (size == 0 || sat_is_line_end(code))
            break;
        /* A line may be broken between any two characters of a script without spaces. */
        if (*word == 0 && columns > 0 && (sat_is_space(code) || sat_is_unspaced(code)))
            *word = columns;
        columns += columns_of(code);
    }
    if (*word == 0)
        *word = columns;
    return columns;
}

typedef enum item_kind { NO_ITEM, MAYBE_ITEM, ITEM } item_kind;

/* Does the line at `at` begin a list item, or a heading or table row of plain text? Numbers and
 * dashes may stand at the beginning of a wrapped line too. */
static item_kind item_at(const sat_splitter *s, size_t at) {
    size_t size, next;
    int32_t code = look(s, at, s->length, &size);
    at += size;
    bool space = sat_is_space(look(s, at, s->length, &next)) && next > 0;
    switch (code) {
    case '|':
    case 0x2022: /* bullets, filled and open, round, square and triangular */
    case 0x2023:
    case 0x25AA:
    case 0x25AB:
    case 0x25A0:
    case 0x25A1:
    case 0x25B6:
    case 0x25BA:
    case 0x25CB:
    case 0x25CF:
    case 0x25E6:
    case 0x30FB: /* katakana middle dot */
        return ITEM;
    case '-':
    case '*':
    case '+':
    case 0xB7:
        return space ? ITEM : NO_ITEM;
    case 0x2013:
    case 0x2014:
        return space ? MAYBE_ITEM : NO_ITEM;
    case '#':
        for (int level = 1; level < 6 && at < s->length && s->text[at] == '#'; level++)
            at++;
        return at < s->length && s->text[at] == ' ' ? ITEM : NO_ITEM;
    case '(': /* "(1) ", "(a) " */
        code = look(s, at, s->length, &size);
        at += size;
        break;
    default:
        break;
    }
    /* "1.", "12)", "a)" and a space */
    bool number = sat_is_digit(code);
    for (int digits = 1; number && digits < 3 && sat_is_digit(look(s, at, s->length, &size));
         digits++)
        at += size;
    if (!number && !sat_is_letter(code))
        return NO_ITEM;
    code = look(s, at, s->length, &size);
    if (code != ')' && !(number && (code == '.' || code == 0x3001 || code == 0xFF0E)))
        return NO_ITEM;
    bool wide = code >= 0x3000;
    code = look(s, at + size, s->length, &next);
    return wide || (next > 0 && sat_is_space(code)) ? MAYBE_ITEM : NO_ITEM;
}

/* Can the line at `at` begin a sentence? Not in lower case, nor with a digit. */
static bool can_begin(const sat_splitter *s, size_t at) {
    size_t size;
    int32_t code = look(s, at, s->length, &size);
    while (size > 0 && sat_is_punctuation(code)) {
        at += size;
        code = look(s, at, s->length, &size);
    }
    return size > 0 && sat_is_letter(code) && utf8proc_category(code) != UTF8PROC_CATEGORY_LL &&
           utf8proc_category(code) != UTF8PROC_CATEGORY_LM;
}

/* Does the end of the line that goes from s->line to `end` end a sentence, the next line beginning
 * at `next`? */
static bool line_ends_sentence(const sat_splitter *s, size_t end, size_t next) {
    item_kind item = item_at(s, next), current = item_at(s, s->line);
    char begin = s->line < end ? s->text[s->line] : '\0';
    if (item == ITEM || (current == ITEM && (begin == '#' || begin == '|')))
        return true;
    if (item == MAYBE_ITEM && current != NO_ITEM)
        return true;
    size_t last = sat_utf8_border(s->text, s->length, end > s->line ? end - 1 : end), size;
    int32_t code = look(s, last, end, &size);
    if (item == MAYBE_ITEM && (code == ':' || code == 0xFF1A || code == ';'))
        return true;
    if (item == NO_ITEM && !can_begin(s, next))
        return false;
    utf8proc_category_t category = utf8proc_category(code);
    if (code == ',' || code == 0x060C || code == 0x3001 || code == 0xFF0C ||
        category == UTF8PROC_CATEGORY_PD || category == UTF8PROC_CATEGORY_PS)
        return false;
    int word, unused;
    int width = measure(s, next, &word), columns = measure(s, s->line, &unused);
    return columns + 1 + word <= (width > NARROWEST ? width : NARROWEST);
}

/* Line ends that the white space at *at counts: "\r\n" as one, a paragraph separator as two. Moves
 * *at past it. */
static int cross_space(const sat_splitter *s, size_t *at) {
    size_t size;
    int lines = 0;
    for (;;) {
        int32_t code = look(s, *at, s->length, &size);
        if (size == 0 || !sat_is_space(code))
            return lines;
        bool pair = code == '\r' && *at + 1 < s->length && s->text[*at + 1] == '\n';
        if (sat_is_line_end(code) && !pair && lines < 2)
            lines += code == 0x2029 ? 2 : 1;
        *at += size;
    }
}

void sat_paragraph_begin(sat_splitter *s, size_t at) {
    s->has_capitals = false;
    while (at < s->length && !s->has_capitals) {
        size_t size;
        int32_t code = look(s, at, s->length, &size);
        if (sat_is_space(code)) {
            if (cross_space(s, &at) >= 2)
                return;
        } else {
            s->has_capitals = sat_is_upper(code);
            at += size;
        }
    }
}

sat_gap sat_gap_cross(sat_splitter *s, size_t at) {
    size_t end = at;
    int lines = cross_space(s, &at);
    sat_gap gap = {.kind = SAT_GAP_SPACE, .next = at};
    if (lines >= 2)
        gap.kind = SAT_GAP_PARAGRAPH;
    else if (lines == 1 && at < s->length && line_ends_sentence(s, end, at))
        gap.kind = SAT_GAP_LINE;
    if (lines > 0)
        s->line = at;
    if (lines >= 2)
        sat_paragraph_begin(s, at);
    return gap;
}
