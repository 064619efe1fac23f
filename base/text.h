/*
 * Text: UTF-8 and UTF-16, Unicode properties and normalisation through utf8proc, words and sentence
 * bounds. Nothing here changes the stored text; normalised forms live only in the index.
 */
#ifndef SATCHEL_BASE_TEXT_H
#define SATCHEL_BASE_TEXT_H

#include "base/alloc.h"

/* Decodes the code point at text[0..length) (length > 0) into *code and returns its size in bytes,
 * 1 to 4. Invalid bytes give U+FFFD and the size of the maximal invalid part, as Unicode
 * advises. */
size_t sat_utf8_decode(const char *text, size_t length, int32_t *code);
/* Writes code as UTF-8, returns its size. Surrogates and out of range give U+FFFD. */
size_t sat_utf8_encode(int32_t code, char out[4]);
/* Offset of the first invalid byte, or `length` if all is valid. Strict: no surrogates, no
 * overlong. */
size_t sat_utf8_valid(const char *text, size_t length);
/* Largest border <= at: never inside a character. text is valid UTF-8. */
size_t sat_utf8_border(const char *text, size_t length, size_t at);
/* UTF-16 code units of valid UTF-8. */
size_t sat_utf16_length(const char *text, size_t length);

/* General classes, by utf8proc category and script ranges. */
bool sat_is_space(int32_t code);       /* Z*, and the C0 white space */
bool sat_is_letter(int32_t code);      /* L* */
bool sat_is_mark(int32_t code);        /* M* */
bool sat_is_digit(int32_t code);       /* N* */
bool sat_is_punctuation(int32_t code); /* P* */
bool sat_is_control(int32_t code);     /* Cc, Cf, Co, Cs but not \t \n \r */
bool sat_is_upper(int32_t code);       /* Lu, Lt */
/* A letter (no mark, no digit) of a script written without spaces: Han, Hiragana, Katakana, Thai,
 * Lao, Khmer, Myanmar, … */
bool sat_is_unspaced(int32_t code);

/* Appends the NFC of valid UTF-8. OUT_OF_MEMORY or OK; text may not lie in the buffer. Runs of more
 * than some hundred combining marks are normalised in parts. */
satchel_status sat_text_nfc(sat_buffer *out, const char *text, size_t length);
/* Appends the NFKC casefold (default ignorables removed). */
satchel_status sat_text_casefold(sat_buffer *out, const char *text, size_t length);
/* About what a subword vocabulary makes of a text: a token for so many letters of a word, for each
 * three digits, for each character of a script without spaces, and for each other character. English
 * has six letters to a token, German with an English vocabulary four. */
size_t sat_text_estimate_tokens(const char *text, size_t length, size_t letters_per_token);
/* True if normalisation never joins this character with what stands before it: text cut before such
 * characters may be normalised in parts. */
bool sat_text_begins_anew(int32_t code);
const char *sat_unicode_version(void); /* of utf8proc */

/*
 * Sentences: calls sentence(user, start, end) for each, trimmed of white space, in order; they
 * cover every character that is not white space. Bounds: terminators of all scripts with closing
 * marks, an empty line, list items and lines that cannot be one sentence; not after abbreviations,
 * initials, ordinals, in numbers. Lower case goes on, except in paragraphs without any capital. A
 * sentence of more than 2,000 bytes is cut at a clause or a space. A non-zero return stops and is
 * returned.
 */
int sat_text_sentences(const char *text, size_t length,
                       int (*sentence)(void *user, size_t start, size_t end), void *user);

/*
 * Decodes bytes of unknown encoding to UTF-8, losing nothing: BOM of UTF-8, UTF-16 LE/BE or UTF-32,
 * UTF-16 without BOM if plain, valid UTF-8 (a few bad bytes among many good characters are read as
 * Windows-1252), else Windows-1252 with Latin-1 for its holes. *encoding (may be NULL) gets a
 * static name ("UTF-8", "UTF-16LE", "windows-1252", …). Unpaired surrogates become U+FFFD.
 */
satchel_status sat_text_decode(sat_buffer *out, const void *data, size_t size,
                               const char **encoding, satchel_error *error);

#endif
