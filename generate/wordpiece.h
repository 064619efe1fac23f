/*
 * WordPiece inside generate: a tokenizer fed piece by piece, so that a prefix and a text are read as
 * one string without being copied together.
 */
#ifndef SATCHEL_GENERATE_WORDPIECE_H
#define SATCHEL_GENERATE_WORDPIECE_H

#include "generate/generate.h"

enum { SAT_WORD_CHARACTERS = 100 }; /* a longer word is unknown, as in the original */

/* How much of a text the vocabulary knows, in characters. */
typedef struct sat_wordpiece_known {
    double known, all;
} sat_wordpiece_known;

typedef struct sat_wordpiece_feed {
    const sat_wordpiece *wordpiece;
    sat_wordpiece_known *known; /* summed up if not NULL */
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

/*
 * The share of a text that the vocabulary knows, 0 to 1. Of a word of n characters cut into m pieces the
 * characters of pieces longer than one count, divided by √m, because a word in shreds is poorly
 * known and single letters are where spelling falls back to. The share is their sum over the sum of
 * all n; words without a letter or a number are passed over, an unknown word counts 0.
 */
satchel_status sat_wordpiece_share(const sat_wordpiece *wordpiece, const char *text, size_t length,
                                   float *share, satchel_error *error);

/* Ids of the special tokens. */
typedef struct sat_wordpiece_special {
    int32_t unknown, cls, sep;
} sat_wordpiece_special;
sat_wordpiece_special sat_wordpiece_specials(const sat_wordpiece *wordpiece);
/* Feeds what decides its output: vocabulary, special ids, settings. */
void sat_wordpiece_fingerprint(const sat_wordpiece *wordpiece, sat_sha256 *hash);

#endif
