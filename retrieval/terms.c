/*
 * The tokenizer: text to index terms.
 *
 * Text is folded (NFKC, case, marks of Latin and Greek letters) and cut into runs of letters,
 * digits and marks; anything else ends a run. A run of a script written without spaces gives its
 * overlapping pairs of characters, or the character when it stands alone; any other run is one
 * term, stemmed if it is all ASCII letters.
 *
 * Folding changes lengths, so the text is folded in the smallest pieces that normalisation allows
 * and every character that comes out knows the bytes its piece came from. ASCII, which is most
 * text, is its own fold but for capitals and takes a short way.
 */
#include "retrieval/terms.h"

#include <string.h>
#include <utf8proc.h>

#ifdef SATCHEL_HAVE_STEMMERS
#include <libstemmer.h>
#endif

enum {
    TERM_MAX = 64,      /* bytes of a term; the rest of a longer one is left out */
    PREFIX = 5,         /* characters of a prefix class */
    CACHED = 20,        /* longest word whose stem is remembered */
    CACHE_SLOTS = 1024, /* a power of two; most words of a text are few, and stemming is slow */
};

typedef struct cached_stem {
    uint8_t length, stem_length; /* length 0: empty */
    char word[CACHED], stem[CACHED + 2];
} cached_stem;

typedef enum run_kind { NO_RUN, WORD_RUN, PAIR_RUN } run_kind;

struct sat_terms {
    sat_memory *memory;
    struct sb_stemmer *stemmer; /* NULL in a build without stemming */
    sat_buffer folded;          /* scratch */
    cached_stem cache[CACHE_SLOTS];
};

/* One pass over a text. */
typedef struct term_run {
    sat_terms *terms;
    sat_term_function term, beside; /* the latter may be NULL */
    void *user;
    run_kind kind;
    size_t start, end; /* bytes of the text that the run comes from */
    bool plain;        /* a word of ASCII letters alone */
    bool cut;          /* a word longer than TERM_MAX */
    size_t length;     /* of word */
    char word[TERM_MAX];
    /* The character before, in a run of pairs. */
    size_t count, last_start, last_end, last_length;
    char last[4];
} term_run;

/* ------------------------------------------------------------------ stems */

#ifdef SATCHEL_HAVE_STEMMERS
static int emit_stem(term_run *run) {
    sat_terms *terms = run->terms;
    cached_stem *slot = NULL;
    if (run->length <= CACHED) {
        slot = &terms->cache[sat_hash64(run->word, run->length, 0) & (CACHE_SLOTS - 1)];
        if (slot->length == run->length && memcmp(slot->word, run->word, run->length) == 0)
            return run->term(run->user, slot->stem, slot->stem_length, run->start, run->end);
    }
    const sb_symbol *stem =
        sb_stemmer_stem(terms->stemmer, (const sb_symbol *)run->word, (int)run->length);
    if (!stem)
        return SATCHEL_OUT_OF_MEMORY;
    size_t length = (size_t)sb_stemmer_length(terms->stemmer);
    if (slot && length <= sizeof slot->stem) {
        slot->length = (uint8_t)run->length;
        slot->stem_length = (uint8_t)length;
        memcpy(slot->word, run->word, run->length);
        memcpy(slot->stem, stem, length);
    }
    return length ? run->term(run->user, (const char *)stem, length, run->start, run->end) : 0;
}
#endif

/* ------------------------------------------------------------------ runs */

static int end_run(term_run *run) {
    run_kind kind = run->kind;
    run->kind = NO_RUN;
    if (kind == PAIR_RUN) {
        sat_term_function term = run->count == 1 ? run->term : run->beside;
        return term ? term(run->user, run->last, run->last_length, run->last_start, run->last_end)
                    : 0;
    }
    if (kind == NO_RUN)
        return 0;
#ifdef SATCHEL_HAVE_STEMMERS
    if (run->plain && !run->cut)
        return emit_stem(run);
#endif
    return run->term(run->user, run->word, run->length, run->start, run->end);
}

static void begin_run(term_run *run, run_kind kind, size_t start) {
    run->kind = kind;
    run->start = start;
    run->plain = true;
    run->cut = false;
    run->length = run->count = 0;
}

static void add_to_word(term_run *run, const char *bytes, size_t length, size_t end) {
    run->end = end;
    run->cut = run->cut || length > TERM_MAX - run->length;
    if (run->cut)
        return;
    memcpy(run->word + run->length, bytes, length);
    run->length += length;
}

static int add_to_pairs(term_run *run, const char *bytes, size_t length, size_t start, size_t end) {
    int result = 0;
    if (run->count > 0) {
        char pair[8];
        memcpy(pair, run->last, run->last_length);
        memcpy(pair + run->last_length, bytes, length);
        result = run->term(run->user, pair, run->last_length + length, run->last_start, end);
    }
    memcpy(run->last, bytes, length);
    run->last_length = length;
    run->last_start = start;
    run->last_end = end;
    run->count = run->count < 2 ? run->count + 1 : 2;
    return result;
}

bool sat_term_in_pairs(int32_t code) {
    return sat_is_unspaced(code) || (code >= 0xAC00 && code <= 0xD7A3);
}

/* A folded character, and the bytes of the text it comes from. */
static int add_character(term_run *run, int32_t code, const char *bytes, size_t length,
                         size_t start, size_t end) {
    run_kind kind;
    if (sat_term_in_pairs(code))
        kind = PAIR_RUN;
    else if (sat_is_letter(code) || sat_is_digit(code))
        kind = WORD_RUN;
    else if (sat_is_mark(code))
        kind = run->kind; /* goes with what it follows */
    else
        kind = NO_RUN;
    if (kind != run->kind) {
        int result = end_run(run);
        if (result)
            return result;
        if (kind != NO_RUN)
            begin_run(run, kind, start);
    }
    if (kind == PAIR_RUN)
        return add_to_pairs(run, bytes, length, start, end);
    if (kind == WORD_RUN) {
        run->plain = run->plain && code >= 'a' && code <= 'z';
        add_to_word(run, bytes, length, end);
    }
    return 0;
}

/* ------------------------------------------------------------------ text */

/* 0: ends a run; else the folded character. */
static const char ascii_fold[128] = {
    ['0'] = '0', ['1'] = '1', ['2'] = '2', ['3'] = '3', ['4'] = '4', ['5'] = '5', ['6'] = '6',
    ['7'] = '7', ['8'] = '8', ['9'] = '9', ['a'] = 'a', ['b'] = 'b', ['c'] = 'c', ['d'] = 'd',
    ['e'] = 'e', ['f'] = 'f', ['g'] = 'g', ['h'] = 'h', ['i'] = 'i', ['j'] = 'j', ['k'] = 'k',
    ['l'] = 'l', ['m'] = 'm', ['n'] = 'n', ['o'] = 'o', ['p'] = 'p', ['q'] = 'q', ['r'] = 'r',
    ['s'] = 's', ['t'] = 't', ['u'] = 'u', ['v'] = 'v', ['w'] = 'w', ['x'] = 'x', ['y'] = 'y',
    ['z'] = 'z', ['A'] = 'a', ['B'] = 'b', ['C'] = 'c', ['D'] = 'd', ['E'] = 'e', ['F'] = 'f',
    ['G'] = 'g', ['H'] = 'h', ['I'] = 'i', ['J'] = 'j', ['K'] = 'k', ['L'] = 'l', ['M'] = 'm',
    ['N'] = 'n', ['O'] = 'o', ['P'] = 'p', ['Q'] = 'q', ['R'] = 'r', ['S'] = 's', ['T'] = 't',
    ['U'] = 'u', ['V'] = 'v', ['W'] = 'w', ['X'] = 'x', ['Y'] = 'y', ['Z'] = 'z'};

static bool is_ascii(char byte) {
    return (uint8_t)byte < 0x80;
}

/* Takes ASCII from `at` on, but leaves a character that a mark may follow. Returns where it
 * stopped. */
static size_t add_ascii(term_run *run, const char *text, size_t length, size_t at, int *result) {
    while (at < length && is_ascii(text[at]) && (at + 1 == length || is_ascii(text[at + 1]))) {
        char folded = ascii_fold[(uint8_t)text[at]];
        if (run->kind != WORD_RUN || !folded) {
            if (run->kind != NO_RUN && (*result = end_run(run)) != 0)
                return at;
            if (!folded) {
                at++;
                continue;
            }
            begin_run(run, WORD_RUN, at);
        }
        if (folded <= '9')
            run->plain = false;
        at++;
        if (run->length < TERM_MAX && !run->cut)
            run->word[run->length++] = folded;
        else
            run->cut = true;
        run->end = at;
    }
    return at;
}

/* Characters that fold to themselves when the next one begins anew: the bulk of non-ASCII text. */
static bool is_own_fold(int32_t code) {
    return (code >= 0x4E00 && code <= 0x9FFF) || (code >= 0xAC00 && code <= 0xD7A3) ||
           (code >= 0x3041 && code <= 0x3096) || (code >= 0x30A1 && code <= 0x30FA) ||
           (code >= 0x0430 && code <= 0x045F) || (code >= 0x00E0 && code <= 0x00FF && code != 0xF7);
}

/* The end of the smallest piece at `at` that may be normalised by itself. *own: it is one character
 * that is its own fold. */
static size_t piece_end(const char *text, size_t length, size_t at, bool *own) {
    int32_t code;
    at += sat_utf8_decode(text + at, length - at, &code);
    *own = is_own_fold(code);
    while (at < length) {
        size_t size = sat_utf8_decode(text + at, length - at, &code);
        if (sat_text_begins_anew(code))
            break;
        *own = false;
        at += size;
    }
    return at;
}

/* Latin and Greek blocks: there marks are dropped, so that "fuhren" finds "führen". In other
 * scripts a mark makes another letter (Cyrillic и and й) or is a vowel. */
static bool is_latin_or_greek(int32_t code) {
    return code < 0x0250 || (code >= 0x0370 && code <= 0x03FF) ||
           (code >= 0x1E00 && code <= 0x1FFF) || (code >= 0x2C60 && code <= 0x2C7F) ||
           (code >= 0xA720 && code <= 0xA7FF) || (code >= 0xAB30 && code <= 0xAB6F);
}

/* The letter without its marks. */
static int32_t base_letter(int32_t code) {
    int32_t decomposed[8];
    int boundary = 0;
    if (code < 0xC0)
        return code;
    utf8proc_ssize_t count = utf8proc_decompose_char(code, decomposed, SAT_COUNT(decomposed),
                                                     UTF8PROC_DECOMPOSE, &boundary);
    bool fits = count > 0 && count <= (utf8proc_ssize_t)SAT_COUNT(decomposed);
    return fits && is_latin_or_greek(decomposed[0]) ? decomposed[0] : code;
}

static int add_piece(term_run *run, const char *text, size_t start, size_t end, bool own) {
    sat_buffer *folded = &run->terms->folded;
    const char *bytes = text + start;
    size_t length = end - start;
    if (!own) {
        sat_buffer_clear(folded);
        if (sat_text_casefold(folded, bytes, length))
            return SATCHEL_OUT_OF_MEMORY;
        bytes = folded->data;
        length = folded->length;
    }
    bool drop_marks = false;
    for (size_t at = 0, size; at < length; at += size) {
        int32_t code;
        char letter[4];
        size = sat_utf8_decode(bytes + at, length - at, &code);
        if (code >= 0x0300 && code <= 0x036F && drop_marks)
            continue;
        drop_marks = is_latin_or_greek(code) && sat_is_letter(code);
        if (drop_marks)
            code = base_letter(code);
        int result = add_character(run, code, letter, sat_utf8_encode(code, letter), start, end);
        if (result)
            return result;
    }
    return 0;
}

int sat_terms_index(sat_terms *terms, const char *text, size_t length, sat_term_function term,
                    sat_term_function beside, void *user) {
    term_run run = {.terms = terms, .term = term, .beside = beside, .user = user};
    int result = 0;
    for (size_t at = 0; at < length && !result;) {
        at = add_ascii(&run, text, length, at, &result);
        if (at == length || result)
            break;
        bool own;
        size_t end = piece_end(text, length, at, &own);
        result = add_piece(&run, text, at, end, own);
        at = end;
    }
    return result ? result : end_run(&run);
}

int sat_terms_each(sat_terms *terms, const char *text, size_t length, sat_term_function term,
                   void *user) {
    return sat_terms_index(terms, text, length, term, NULL, user);
}

size_t sat_term_prefix(const char *term, size_t length) {
    size_t at = 0;
    for (size_t characters = 0; characters < PREFIX && at < length; characters++) {
        int32_t code;
        at += sat_utf8_decode(term + at, length - at, &code);
        if (characters == 0 && sat_term_in_pairs(code))
            return 0;
    }
    return at < length ? at : 0;
}

/* ------------------------------------------------------------------ the tokenizer */

satchel_status sat_terms_open(sat_terms **out, sat_memory *memory, satchel_error *error) {
    *out = NULL;
    sat_terms *terms = sat_calloc(memory, 1, sizeof *terms);
    if (!terms)
        return sat_memory_fail(memory, sizeof *terms, error);
    terms->memory = memory;
    sat_buffer_init(&terms->folded, memory);
#ifdef SATCHEL_HAVE_STEMMERS
    terms->stemmer = sb_stemmer_new("english", "UTF_8");
    if (!terms->stemmer) {
        sat_terms_close(&terms);
        return sat_fail_memory(error, 0);
    }
#endif
    *out = terms;
    return SATCHEL_OK;
}

void sat_terms_close(sat_terms **terms) {
    if (!*terms)
        return;
#ifdef SATCHEL_HAVE_STEMMERS
    sb_stemmer_delete((*terms)->stemmer);
#endif
    sat_buffer_free(&(*terms)->folded);
    sat_free((*terms)->memory, *terms);
    *terms = NULL;
}

sat_memory *sat_terms_memory(const sat_terms *terms) {
    return terms->memory;
}
