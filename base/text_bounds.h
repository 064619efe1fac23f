/* What text_sentence.c and text_line.c share. Private to base. */
#ifndef SATCHEL_BASE_TEXT_BOUNDS_H
#define SATCHEL_BASE_TEXT_BOUNDS_H

#include "base/text.h"

typedef struct sat_splitter {
    const char *text;
    size_t length;
    int (*sentence)(void *user, size_t start, size_t end);
    void *user;
    size_t start;      /* of the sentence being read */
    size_t line;       /* where the text of the line being read begins */
    bool has_capitals; /* the paragraph: if not, lower case says nothing about beginnings */
    size_t paragraph, held_paragraph;
    size_t held_start, held_end; /* the sentence before, not handed over yet */
    bool holds;
} sat_splitter;

/* White space between two words: whether the line or paragraph bounds in it end a sentence. */
typedef enum sat_gap_kind { SAT_GAP_SPACE, SAT_GAP_LINE, SAT_GAP_PARAGRAPH } sat_gap_kind;
typedef struct sat_gap {
    sat_gap_kind kind;
    size_t next; /* where the text goes on */
} sat_gap;

void sat_paragraph_begin(sat_splitter *splitter, size_t at);
/* Looks at the white space at `at` and keeps account of lines. */
sat_gap sat_gap_cross(sat_splitter *splitter, size_t at);
bool sat_is_line_end(int32_t code);

#endif
