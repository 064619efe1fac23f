/*
 * WordPiece inside generate: a tokenizer fed piece by piece, so that a prefix and a text are read as
 * one string without being copied together.
 */
#ifndef SATCHEL_GENERATE_WORDPIECE_H
#define SATCHEL_GENERATE_WORDPIECE_H

#include "generate/generate.h"

enum { SAT_WORD_CHARACTERS = 100 }; /* a longer word is unknown, as in the original */

typedef struct sat_wordpiece_feed {
    const sat_wordpiece *wordpiece;
    int32_t *ids;
    size_t limit; /* ids has room for so many; more are only counted */
    size_t count;
    bool only_head; /* stop once `limit` ids are there: count is then not the full count */
    size_t characters, length; /* of the word so far; at most SAT_WORD_CHARACTERS are kept */
    size_t run;                /* where the word's last run of combining marks begins */
    char word[SAT_WORD_CHARACTERS * 4];
} sat_wordpiece_feed;

void sat_wordpiece_begin(sat_wordpiece_feed *feed, const sat_wordpiece *wordpiece, int32_t *ids,
                         size_t limit, bool only_head);
/* The next part of the text; cut only between characters. INVALID_TEXT if it is not UTF-8. */
satchel_status sat_wordpiece_add(sat_wordpiece_feed *feed, const char *text, size_t length,
                                 satchel_error *error);
/* Ends the last word; feed->count is final. */
void sat_wordpiece_end(sat_wordpiece_feed *feed);

/* Ids of the special tokens. */
typedef struct sat_wordpiece_special {
    int32_t unknown, cls, sep;
} sat_wordpiece_special;
sat_wordpiece_special sat_wordpiece_specials(const sat_wordpiece *wordpiece);
/* A token's spelling without the mark of its layout. */
const char *sat_wordpiece_piece(const sat_wordpiece *wordpiece, int32_t id, size_t *length);
/* Feeds what decides its output: vocabulary, special ids, settings. */
void sat_wordpiece_fingerprint(const sat_wordpiece *wordpiece, sat_sha256 *hash);

#endif
