/*
 * Constrained output. A JSON Schema or a GBNF grammar becomes a byte automaton with a stack; the
 * vocabulary a trie of the tokens' bytes (the lexicon). A matcher walks both: which tokens may come
 * next is a bit mask, cached by state. Every state knows its shortest way to an end, so that an
 * answer can be closed in time.
 *
 * GBNF is llama.cpp's: rules, alternatives, groups, * + ? {m,n}, classes, escapes, comments; left
 * recursion is refused. Its token references (<think>, <[7]>) are not supported.
 *
 * JSON Schema: what comes out always validates, but not all that validates can come out:
 *   - no white space but one optional space after "," and ":";
 *   - named properties come in the schema's order; others, where additionalProperties is true or a
 *     schema (or no property is named at all), after them. With properties and no
 *     additionalProperties there are no others. Their names hold no escapes;
 *   - integers have at most 16 digits; a number with a bound has no exponent;
 *   - "pattern" is searched as JSON Schema says, over ASCII meanings of \d \w \s;
 *   - oneOf is taken where its alternatives provably exclude each other;
 *   - a schema without "type" is of the type its keywords speak of.
 * UNSUPPORTED names every keyword that cannot be kept, with its JSON pointer.
 */
#ifndef SATCHEL_GENERATE_GRAMMAR_H
#define SATCHEL_GENERATE_GRAMMAR_H

#include "generate/tokenizer.h"

typedef struct sat_grammar sat_grammar; /* immutable; shared by matchers, on any threads */
typedef struct sat_lexicon sat_lexicon; /* likewise */
typedef struct sat_matcher sat_matcher; /* one thread at a time */

/* UNSUPPORTED names what is not supported; DAMAGED says where the text is wrong; LIMIT: too
 * large. */
satchel_status sat_grammar_from_schema(sat_grammar **out, satchel_context *context,
                                       const char *json, size_t length, satchel_error *error);
satchel_status sat_grammar_from_gbnf(sat_grammar **out, satchel_context *context, const char *text,
                                     size_t length, satchel_error *error);
void sat_grammar_close(sat_grammar **grammar);
/* Fewest bytes of any text the grammar takes. */
size_t sat_grammar_shortest(const sat_grammar *grammar);

/* The vocabulary as matchers need it: made once a model, takes some tenths of a second for 150,000
 * tokens. Tokens without bytes, or with more than SAT_LEXICON_BYTES, never match. */
enum { SAT_LEXICON_BYTES = 512 };
satchel_status sat_lexicon_open(sat_lexicon **out, satchel_context *context,
                                const sat_tokenizer *tokenizer, satchel_error *error);
/* From bytes: token i is text[i], of lengths[i] bytes; ends (may be NULL): it ends a turn. */
satchel_status sat_lexicon_from_bytes(sat_lexicon **out, satchel_context *context,
                                      const char *const *text, const size_t *lengths,
                                      const bool *ends, size_t count, satchel_error *error);
void sat_lexicon_close(sat_lexicon **lexicon);
size_t sat_lexicon_size(const sat_lexicon *lexicon);

/* Holds the grammar and the lexicon, which must outlive it. budget: tokens the answer may have, its
 * end token not counted (0: any number); LIMIT at once if the shortest answer (by bytes, in the
 * fewest tokens) needs more. */
satchel_status sat_matcher_open(sat_matcher **out, satchel_context *context,
                                const sat_grammar *grammar, const sat_lexicon *lexicon,
                                size_t budget, satchel_error *error);
void sat_matcher_close(sat_matcher **matcher);
/* Another answer, with what the matcher has learnt. LIMIT as above; then restart it once more. */
satchel_status sat_matcher_restart(sat_matcher *matcher, size_t budget, satchel_error *error);
/* Bit t of *mask (64 to a word): token t may come next. End tokens may where the grammar may end.
 * When the tokens left, or the nesting allowed, only just suffice, only what still leads to an end
 * in time may come. The mask lives until the next call. UNSUPPORTED: the vocabulary has no token
 * that goes on. */
satchel_status sat_matcher_mask(sat_matcher *matcher, const uint64_t **mask, satchel_error *error);
/* Takes a token that the mask allows; INVALID_ARGUMENT otherwise, and nothing changes. */
satchel_status sat_matcher_accept(sat_matcher *matcher, int32_t token, satchel_error *error);
bool sat_matcher_may_end(const sat_matcher *matcher);
bool sat_matcher_finished(const sat_matcher *matcher);     /* nothing more may come but an end */
size_t sat_matcher_shortest(const sat_matcher *matcher);   /* fewest bytes from here to an end */
size_t sat_matcher_vocabulary(const sat_matcher *matcher); /* tokens that a mask is of */

#endif
