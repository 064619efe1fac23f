/*
 * Sentence bounds in one pass, by the characters' categories and a few words, in the spirit of UAX
 * #29: a stop (. ! ? and those of other scripts) ends a sentence together with the quotes, brackets
 * and footnote marks that follow it, if white space comes next and what comes after that can begin
 * one. CJK stops need no white space. A point may also end an abbreviation, an initial or an
 * ordinal: word lists decide. Lines are text_line.c's. Every look forward or back is bounded or
 * goes over its text once.
 */
#include "base/text_bounds.h"

#include <string.h>
#include <utf8proc.h>

/* Longer "sentences" (tables, logs, text without stops) are cut at a clause or a space. */
enum { LONGEST = 2000, WORD = 64, REFERENCE = 24 };

/* ------------------------------------------------------------------ characters */

typedef enum stop_kind { NO_STOP, NARROW, WIDE } stop_kind;

/* Unicode's sentence terminals outside ASCII, ascending. WIDE ones end a sentence without a
 * space. */
static const struct {
    int32_t first, last;
    stop_kind kind;
} stops[] = {
    {0x0589, 0x0589, NARROW}, /* Armenian */
    {0x061D, 0x061F, NARROW}, /* Arabic */
    {0x06D4, 0x06D4, NARROW}, /* Urdu */
    {0x0700, 0x0702, NARROW}, /* Syriac */
    {0x07F9, 0x07F9, NARROW}, /* NKo */
    {0x0837, 0x0837, NARROW}, /* Samaritan */
    {0x0839, 0x0839, NARROW},  {0x083D, 0x083E, NARROW},
    {0x0964, 0x0965, WIDE},    /* danda of the Indic scripts */
    {0x0F0D, 0x0F12, NARROW},  /* Tibetan shad */
    {0x104A, 0x104A, NO_STOP}, /* Myanmar comma, for its neighbour's sake */
    {0x104B, 0x104B, WIDE},    /* Myanmar */
    {0x1362, 0x1362, NARROW},  /* Ethiopic */
    {0x1367, 0x1368, NARROW},  {0x166E, 0x166E, NARROW}, /* Canadian syllabics */
    {0x1735, 0x1736, NARROW},                            /* Philippine */
    {0x17D4, 0x17D5, WIDE},                              /* Khmer */
    {0x1803, 0x1803, NARROW},                            /* Mongolian */
    {0x1809, 0x1809, NARROW},  {0x1944, 0x1945, NARROW}, /* Limbu */
    {0x1AA8, 0x1AAB, WIDE},                              /* Tai Tham */
    {0x1B5A, 0x1B5B, WIDE},                              /* Balinese */
    {0x1B5E, 0x1B5F, WIDE},    {0x1C3B, 0x1C3C, NARROW}, /* Lepcha */
    {0x1C7E, 0x1C7F, NARROW},                            /* Ol Chiki */
    {0x2026, 0x2026, NARROW},                            /* ellipsis */
    {0x203C, 0x203D, WIDE},                              /* double exclamation, interrobang */
    {0x2047, 0x2049, WIDE},                              /* double question and mixed marks */
    {0x3002, 0x3002, WIDE},                              /* ideographic full stop */
    {0xA4FF, 0xA4FF, NARROW},                            /* Lisu */
    {0xA60E, 0xA60F, NARROW},                            /* Vai */
    {0xA6F3, 0xA6F3, NARROW},                            /* Bamum */
    {0xA6F7, 0xA6F7, NARROW},  {0xA876, 0xA877, NARROW}, /* Phags-pa */
    {0xA8CE, 0xA8CF, NARROW},                            /* Saurashtra */
    {0xA92F, 0xA92F, NARROW},                            /* Kayah Li */
    {0xA9C8, 0xA9C9, WIDE},                              /* Javanese */
    {0xAA5D, 0xAA5F, NARROW},                            /* Cham */
    {0xAAF0, 0xAAF1, NARROW},                            /* Meetei Mayek */
    {0xABEB, 0xABEB, NARROW},  {0xFE52, 0xFE52, WIDE},   /* small and full-width forms */
    {0xFE56, 0xFE57, WIDE},    {0xFF01, 0xFF01, WIDE},
    {0xFF0E, 0xFF0E, WIDE},    {0xFF1F, 0xFF1F, WIDE},
    {0xFF61, 0xFF61, WIDE},
};

static stop_kind stop_of(int32_t code) {
    if (code < 0x80)
        return code == '.' || code == '!' || code == '?' ? NARROW : NO_STOP;
    if (code < stops[0].first || (code >= 0x3041 && code < 0xA4FF))
        return NO_STOP;
    size_t low = 0, high = SAT_COUNT(stops);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (code > stops[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < SAT_COUNT(stops) && code >= stops[low].first ? stops[low].kind : NO_STOP;
}

/* The character at `at`, 0 at the end. *size gets its bytes. */
static int32_t look(const sat_splitter *s, size_t at, size_t *size) {
    int32_t code = 0;
    *size = 0;
    if (at < s->length)
        *size = sat_utf8_decode(s->text + at, s->length - at, &code);
    return code;
}

/* The character that ends before `at`, 0 at the beginning. *begin gets where it begins. */
static int32_t look_back(const sat_splitter *s, size_t at, size_t *begin) {
    int32_t code = 0;
    *begin = at;
    if (at > 0) {
        *begin = sat_utf8_border(s->text, s->length, at - 1);
        sat_utf8_decode(s->text + *begin, at - *begin, &code);
    }
    return code;
}

static bool is_word(int32_t code) {
    return sat_is_letter(code) || sat_is_digit(code) || sat_is_mark(code);
}

static bool letter_or_digit_at(const sat_splitter *s, size_t at) {
    size_t size;
    int32_t code = look(s, at, &size);
    return size > 0 && (sat_is_letter(code) || sat_is_digit(code));
}

/* Past what may stand between a stop and the end of its sentence: closing quotes and brackets. A
 * mark that opens as well as it closes (", ', “, «) closes when no word follows it. */
static size_t skip_closing(const sat_splitter *s, size_t at) {
    for (;;) {
        size_t size;
        int32_t code = look(s, at, &size);
        if (size == 0)
            return at;
        utf8proc_category_t category = utf8proc_category(code);
        bool either = code == '"' || code == '\'' || category == UTF8PROC_CATEGORY_PI;
        if (category != UTF8PROC_CATEGORY_PE && category != UTF8PROC_CATEGORY_PF &&
            !(either && !letter_or_digit_at(s, at + size)))
            return at;
        at += size;
    }
}

/* Past footnote marks glued to a stop: "[12]", "[a][b]", and ":121,154" for pages. */
static size_t skip_references(const sat_splitter *s, size_t at) {
    while (at < s->length && s->text[at] == '[') {
        size_t end = at + 1, size;
        int characters = 1;
        int32_t code = look(s, end, &size);
        while (size > 0 && characters < REFERENCE && code != '[' && code != ']' && code != '\n') {
            end += size;
            characters++;
            code = look(s, end, &size);
        }
        if (code != ']' || size == 0 || end == at + 1)
            break;
        at = end + 1;
    }
    size_t size, digit;
    int32_t code = look(s, at, &size);
    if (code != ':' && code != 0xFF1A)
        return at;
    size_t end = at + size;
    code = look(s, end, &digit);
    if (!sat_is_digit(code))
        return at;
    while (digit > 0 && (sat_is_digit(code) || code == ',' || code == '-' || code == 0x2013)) {
        end += digit;
        code = look(s, end, &digit);
    }
    return end;
}

/* ------------------------------------------------------------------ words around a point */

typedef struct word {
    char folded[WORD]; /* lower case, NUL-terminated */
    size_t begin;      /* where it begins in the text */
    size_t characters; /* 0: none, or too long to be of interest */
    bool digits;       /* only digits */
    bool initials;     /* one letter, or letters each followed by a point: "J", "U.S", "z.B" */
} word;

static void read_word(const sat_splitter *s, size_t begin, size_t end, word *out) {
    size_t length = 0, size, part = 0;
    out->begin = begin;
    out->characters = 0;
    out->digits = begin < end;
    out->initials = begin < end;
    for (size_t at = begin; at < end; at += size) {
        int32_t code = look(s, at, &size);
        if (length + 4 >= WORD) {
            out->characters = 0;
            out->digits = out->initials = false;
            break;
        }
        length += sat_utf8_encode(utf8proc_tolower(code), out->folded + length);
        out->characters++;
        out->digits &= sat_is_digit(code);
        part = code == '.' ? 0 : part + 1;
        if (part > 1 || (at == begin && !sat_is_letter(code)))
            out->initials = false;
    }
    out->folded[length] = '\0';
}

/* The word that ends before `end`: letters, digits, marks, and points that follow one of them. */
static void word_before(const sat_splitter *s, size_t end, word *out) {
    size_t begin = end, previous, further;
    while (end - begin <= WORD) {
        int32_t code = look_back(s, begin, &previous);
        if (previous == begin)
            break;
        if (!is_word(code) && !(code == '.' && is_word(look_back(s, previous, &further))))
            break;
        begin = previous;
    }
    read_word(s, begin, end, out);
}

static void word_after(const sat_splitter *s, size_t begin, word *out) {
    size_t end = begin, size;
    for (int32_t code = look(s, end, &size); size > 0 && end - begin <= WORD && is_word(code);
         code = look(s, end, &size))
        end += size;
    read_word(s, begin, end, out);
}

/* Words before a point that does not end a sentence, each list sorted by bytes. English and German
 * first, then a few of French, Spanish, Italian, Portuguese and Dutch. */
static const char *const abbreviations[] = {
    "adm", "al",   "approx", "apr",  "aug", "bijv", "bspw", "bzw",  "ca",   "capt", "cf",  "cmdr",
    "col", "dec",  "dhr",    "dott", "dr",  "dra",  "ed",   "eds",  "evtl", "feb",  "ft",  "geb",
    "gen", "gest", "ggf",    "gov",  "hl",  "hon",  "hrsg", "inkl", "jan",  "jul",  "jun", "lt",
    "maj", "mar",  "max",    "mevr", "min", "mio",  "mlle", "mme",  "mr",   "mrd",  "mrs", "ms",
    "mt",  "nov",  "oct",    "prof", "rep", "resp", "rev",  "sen",  "sep",  "sept", "sgt", "sig",
    "sog", "sr",   "sra",    "srta", "st",  "str",  "vgl",  "viz",  "vs",
};
/* Those that are only before a number: "No. 5", "Fig. A", "Vol. II", but "The answer is no.
 * Then". */
static const char *const before_numbers[] = {
    "abs", "art", "ch", "eq",  "eqs", "fig", "figs", "no",
    "nos", "nr",  "pp", "sec", "tel", "vol", "vols",
};
/* "am 3. Oktober": before and after a number whose point makes it an ordinal. */
static const char *const before_ordinals[] = {
    "ab",     "am",     "beim",   "bis", "das", "dem",  "den", "der", "des", "die",
    "diesem", "diesen", "dieser", "im",  "ins", "seit", "und", "vom", "zum", "zur",
};
static const char *const after_ordinals[] = {
    "april",       "august",   "dezember", "februar",   "jahrhundert", "jahrhunderts",
    "jahrtausend", "januar",   "juli",     "juni",      "jänner",      "mai",
    "märz",        "november", "oktober",  "september",
};
/* Words that begin a sentence after initials: "in the U.S. The", where a name would go on. */
static const char *const starters[] = {
    "a",     "after", "although", "am",    "an",     "and",    "as",      "at",    "but",
    "das",   "der",   "die",      "diese", "dieser", "dieses", "ein",     "eine",  "er",
    "es",    "for",   "from",     "he",    "her",    "his",    "however", "im",    "in",
    "it",    "its",   "on",       "she",   "sie",    "since",  "that",    "the",   "their",
    "there", "these", "they",     "this",  "those",  "we",     "when",    "while", "you",
};

/* Digits, one letter, or a Roman number. */
static bool is_number(const word *which) {
    size_t length = strlen(which->folded);
    return which->characters == 1 ||
           (length > 0 && which->folded[0] >= '0' && which->folded[0] <= '9') ||
           (length > 0 && strspn(which->folded, "ivxlcdm") == length);
}

static bool is_listed(const word *which, const char *const *list, size_t count) {
    size_t low = 0, high = which->characters ? count : 0;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(which->folded, list[middle]);
        if (order == 0)
            return true;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}
#define IS_LISTED(which, list) is_listed(which, list, SAT_COUNT(list))

/* Does the single point at `point` belong to its word? `next` is where the next word begins. */
static bool is_part_of_word(const sat_splitter *s, size_t point, size_t next) {
    word before, after, earlier;
    word_before(s, point, &before);
    if (IS_LISTED(&before, abbreviations))
        return true;
    word_after(s, next, &after);
    if (IS_LISTED(&before, before_numbers) && is_number(&after))
        return true;
    if (!before.initials && !(before.digits && before.characters <= 2))
        return false;
    if (before.initials)
        return !IS_LISTED(&after, starters);
    size_t end = before.begin, previous;
    while (end > s->start && sat_is_space(look_back(s, end, &previous)))
        end = previous;
    int32_t code = look_back(s, end, &previous);
    if (end <= s->start || code == '(' || code == '[' || code == 0xFF08)
        return true; /* "1. First", "(5. Liga)" */
    if (IS_LISTED(&after, after_ordinals))
        return true;
    word_before(s, end, &earlier);
    return IS_LISTED(&earlier, before_ordinals);
}

/* ------------------------------------------------------------------ output */

static bool is_clause_mark(int32_t code) {
    return code == ',' || code == ';' || code == ':' || code == 0x060C || code == 0x061B ||
           code == 0x3001 || code == 0xFF0C || code == 0xFF1A || code == 0xFF1B;
}

/* Where to cut a sentence that goes from start to past start + LONGEST: after the last clause of
 * the second half of that, else at its last space, else between characters. */
static size_t choose_cut(const sat_splitter *s, size_t start) {
    size_t limit = sat_utf8_border(s->text, s->length, start + LONGEST), size, previous;
    size_t clause = 0, space = 0;
    for (size_t at = sat_utf8_border(s->text, s->length, start + LONGEST / 2); at < limit;
         at += size) {
        int32_t code = look(s, at, &size), next = look(s, at + size, &previous);
        if (sat_is_space(code))
            space = at;
        else if (is_clause_mark(code) && at + size <= limit &&
                 (code >= 0x3000 || sat_is_space(next)))
            clause = at + size;
    }
    if (clause || space)
        return clause ? clause : space;
    /* Not between a letter and its marks. */
    for (size_t at = limit; at > start + LONGEST / 2; at = previous) {
        int32_t code = look(s, at, &size);
        if (!sat_is_mark(code) && code != 0x200D)
            return at;
        look_back(s, at, &previous);
    }
    return limit;
}

static size_t skip_space(const sat_splitter *s, size_t at, size_t end) {
    size_t size;
    while (at < end && sat_is_space(look(s, at, &size)))
        at += size;
    return at;
}

static size_t trim_space(const sat_splitter *s, size_t start, size_t end) {
    size_t previous;
    while (end > start && sat_is_space(look_back(s, end, &previous)))
        end = previous;
    return end;
}

/* Hands the sentence that was held back to the caller. */
static int release(sat_splitter *s) {
    size_t start = s->held_start, end = s->held_end;
    s->holds = false;
    while (end - start > LONGEST) {
        size_t cut = choose_cut(s, start);
        int result = s->sentence(s->user, start, trim_space(s, start, cut));
        if (result != 0)
            return result;
        start = skip_space(s, cut, end);
    }
    return start < end ? s->sentence(s->user, start, end) : 0;
}

/* A sentence is held back until the next begins, because what has no letter and no digit ("...",
 * "***") belongs to the one before it in its paragraph. */
static int emit(sat_splitter *s, size_t start, size_t end) {
    start = skip_space(s, start, end);
    end = trim_space(s, start, end);
    if (start >= end)
        return 0;
    size_t at = start, size;
    while (s->holds && at < end && !letter_or_digit_at(s, at)) {
        look(s, at, &size);
        at += size;
    }
    if (at == end && s->held_paragraph == s->paragraph) {
        s->held_end = end;
        return 0;
    }
    int result = s->holds ? release(s) : 0;
    s->holds = true;
    s->held_start = start;
    s->held_end = end;
    s->held_paragraph = s->paragraph;
    return result;
}

/* Ends a sentence at `end`; the next begins at `next`. */
static int cut(sat_splitter *s, size_t end, size_t next, bool paragraph) {
    int result = emit(s, s->start, end);
    s->start = next;
    s->paragraph += paragraph;
    return result;
}

/* ------------------------------------------------------------------ the pass */

/* Handles the stop at *at, whose kind is `kind`, and moves *at on. */
static int at_stop(sat_splitter *s, size_t *at, stop_kind kind) {
    size_t first = *at, size;
    int count = 0;
    bool wide = false;
    int32_t code = look(s, first, &size), stop = code;
    do {
        wide |= kind == WIDE;
        count += count < 2;
        *at += size;
        code = look(s, *at, &size);
        kind = size > 0 ? stop_of(code) : NO_STOP;
    } while (kind != NO_STOP);
    size_t closed = skip_references(s, skip_closing(s, *at));
    bool bare = stop == '.' && count == 1 && closed == *at;
    *at = closed;
    code = look(s, closed, &size);
    /* "3.14", "example.com", and the same in full width. */
    if (size > 0 && !wide && !sat_is_space(code))
        return 0;
    if (stop == 0xFF0E && count == 1 && sat_is_digit(code))
        return 0;
    sat_gap gap = sat_gap_cross(s, closed);
    *at = gap.next;
    if (gap.next == s->length)
        return 0;
    if (wide || gap.kind != SAT_GAP_SPACE)
        return cut(s, closed, gap.next, gap.kind == SAT_GAP_PARAGRAPH);
    size_t begin = gap.next; /* of the next word, behind opening quotes and brackets */
    code = look(s, begin, &size);
    while (size > 0 && sat_is_punctuation(code)) {
        begin += size;
        code = look(s, begin, &size);
    }
    if (s->has_capitals && size > 0 && utf8proc_category(code) == UTF8PROC_CATEGORY_LL)
        return 0;
    if (bare && is_part_of_word(s, first, begin))
        return 0;
    return cut(s, closed, gap.next, false);
}

int sat_text_sentences(const char *text, size_t length,
                       int (*sentence)(void *user, size_t start, size_t end), void *user) {
    sat_splitter s = {.text = text, .length = length, .sentence = sentence, .user = user};
    s.start = s.line = skip_space(&s, 0, length);
    sat_paragraph_begin(&s, s.start);
    int result = 0;
    for (size_t at = s.start, size; at < length && result == 0;) {
        int32_t code = look(&s, at, &size);
        stop_kind kind = stop_of(code);
        if (kind != NO_STOP) {
            result = at_stop(&s, &at, kind);
        } else if (sat_is_line_end(code)) {
            sat_gap gap = sat_gap_cross(&s, at);
            if (gap.kind != SAT_GAP_SPACE)
                result = cut(&s, at, gap.next, gap.kind == SAT_GAP_PARAGRAPH);
            at = gap.next;
        } else {
            at += size;
        }
    }
    if (result == 0)
        result = emit(&s, s.start, length);
    if (result == 0 && s.holds)
        result = release(&s);
    return result;
}
