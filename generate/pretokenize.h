/*
 * Pretokenizers: how byte-level BPE cuts a text into words before it merges. A model's own definition is a
 * list of regular expressions; here each is a scanner over code points and their Unicode categories.
 *
 * A pretokenizer is a list of levels. The first level cuts the text into pieces, the next cuts each of
 * these on its own, and so on; a level never sees past the end of the piece it is given.
 */
#ifndef SATCHEL_GENERATE_PRETOKENIZE_H
#define SATCHEL_GENERATE_PRETOKENIZE_H

#include "base/base.h"

enum { SAT_PRETOKEN_LEVELS = 6 };

/* Classes of code points, as bits. White space has no other class. */
enum {
    SAT_CLASS_LETTER = 1,      /* L */
    SAT_CLASS_MARK = 2,        /* M */
    SAT_CLASS_NUMBER = 4,      /* N */
    SAT_CLASS_PUNCTUATION = 8, /* P */
    SAT_CLASS_SYMBOL = 16,     /* S */
    SAT_CLASS_SPACE = 32,      /* White_Space */
    SAT_CLASS_OTHER = 64,      /* C, unassigned too */
    SAT_CLASS_UPPER = 128,     /* Lu Lt Lm Lo M: what may stand in a word's capitals */
    SAT_CLASS_LOWER = 256      /* Ll Lm Lo M */
};

typedef struct sat_scanner {
    const char *text;      /* valid UTF-8 */
    const uint16_t *ascii; /* (128) classes of ASCII */
} sat_scanner;

/* The end of the piece that begins at `at` (at < end). */
typedef size_t sat_scan_level(const sat_scanner *scanner, size_t at, size_t end);

typedef struct sat_pretokenizer {
    sat_scan_level *levels[SAT_PRETOKEN_LEVELS]; /* up to the first NULL */
    bool whole_words;                            /* a word that is a token needs no merging */
    bool add_bos;                                /* where the file does not say */
} sat_pretokenizer;

/* By the name in tokenizer.ggml.pre; NULL if it is not known. */
const sat_pretokenizer *sat_pretokenizer_find(const char *name);

uint16_t sat_class_of(int32_t code);
void sat_class_ascii(uint16_t ascii[128]);

/* A walk over the words of text[0..length). Zero `ends`, set `length`. */
typedef struct sat_pretoken_walk {
    size_t ends[SAT_PRETOKEN_LEVELS];
    size_t at, length;
} sat_pretoken_walk;
/* The next word is text[*start..walk->at); false at the end. */
bool sat_pretoken_next(const sat_pretokenizer *pretokenizer, const sat_scanner *scanner,
                       sat_pretoken_walk *walk, size_t *start);

#endif
