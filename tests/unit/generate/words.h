/* Small vocabularies that tests of grammars make up word by word, and grammars on the tests' context. */
#ifndef SATCHEL_TESTS_UNIT_GENERATE_WORDS_H
#define SATCHEL_TESTS_UNIT_GENERATE_WORDS_H

#include "tests/unit/generate/context_unit.h"

#include "generate/grammar.h"

enum { WORDS = 560, WORD = 48 };

typedef struct words {
    char bytes[WORDS][WORD];
    const char *text[WORDS];
    size_t lengths[WORDS];
    bool ends[WORDS];
    size_t count;
} words;

static satchel_error error;

static inline void add_word(words *all, const char *text, size_t length) {
    memcpy(all->bytes[all->count], text, length);
    all->text[all->count] = all->bytes[all->count];
    all->lengths[all->count] = length;
    all->ends[all->count++] = false;
}

/* The 256 bytes, then these. */
static inline void begin_words(words *all, const char *const *more, size_t count) {
    memset(all, 0, sizeof *all);
    for (int byte = 0; byte < 256; byte++) {
        char c = (char)byte;
        add_word(all, &c, 1);
    }
    for (size_t i = 0; i < count; i++)
        add_word(all, more[i], strlen(more[i]));
}

/* The last word is an end. */
static inline void end_words(words *all) {
    add_word(all, "</s>", 4);
    all->ends[all->count - 1] = true;
}

/* Of the first `count`. */
static inline sat_lexicon *open_words(const words *all, size_t count) {
    sat_lexicon *lexicon = NULL;
    assert_int_equal(sat_lexicon_from_bytes(&lexicon, context, all->text, all->lengths, all->ends,
                                            count, &error),
                     SATCHEL_OK);
    return lexicon;
}

/* GBNF, or a schema. */
static inline satchel_status compile_in(satchel_context *where, sat_grammar **grammar,
                                        const char *text, satchel_error *why) {
    return strstr(text, "::=") ? sat_grammar_from_gbnf(grammar, where, text, strlen(text), why)
                               : sat_grammar_from_schema(grammar, where, text, strlen(text), why);
}

static inline sat_grammar *compile(const char *text) {
    sat_grammar *grammar = NULL;
    if (compile_in(context, &grammar, text, &error))
        fail_msg("%s: %s", text, error.message);
    return grammar;
}

#endif
