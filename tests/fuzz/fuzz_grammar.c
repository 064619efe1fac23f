/* Hostile schemas and grammars, and random tokens under the mask of those that are taken. */
#include <string.h>

#include "generate/grammar.h"
#include "tests/fuzz/fuzz.h"

enum { BYTES = 256, STEPS = 24 };

/* Every byte, an end token, and some words. */
static sat_lexicon *open_words(satchel_context *context) {
    static const char *const more[] = {"\"a", "\":", "],", "{\"", "\", \"", "12", "abc", "\xC3"};
    enum { COUNT = BYTES + sizeof more / sizeof *more };
    static const bool ends[COUNT + 1] = {[COUNT] = true};
    char bytes[BYTES];
    const char *text[COUNT + 1];
    size_t lengths[COUNT + 1];
    for (int i = 0; i <= COUNT; i++) {
        if (i < BYTES)
            bytes[i] = (char)i;
        text[i] = i < BYTES ? &bytes[i] : i < COUNT ? more[i - BYTES] : "";
        lengths[i] = i < BYTES ? 1 : strlen(text[i]);
    }
    sat_lexicon *lexicon = NULL;
    satchel_error error;
    sat_lexicon_from_bytes(&lexicon, context, text, lengths, ends, COUNT + 1, &error);
    return lexicon;
}

static void walk(satchel_context *context, const sat_grammar *grammar, const sat_lexicon *lexicon,
                 size_t budget, uint32_t random) {
    sat_matcher *matcher = NULL;
    satchel_error error;
    satchel_status status = sat_matcher_open(&matcher, context, grammar, lexicon, budget, &error);
    FUZZ_CHECK(status == SATCHEL_OK || status == SATCHEL_LIMIT || status == SATCHEL_MEMORY_LIMIT);
    size_t size = sat_lexicon_size(lexicon);
    for (int step = 0; step < STEPS && matcher && !sat_matcher_finished(matcher); step++) {
        const uint64_t *mask;
        uint32_t allowed[512], count = 0;
        status = sat_matcher_mask(matcher, &mask, &error);
        FUZZ_CHECK(status != SATCHEL_INTERNAL && status != SATCHEL_UNSUPPORTED);
        if (status)
            break;
        for (uint32_t t = 0; t < size; t++)
            if (mask[t / 64] >> (t % 64) & 1)
                allowed[count++] = t;
        FUZZ_CHECK(count > 0);
        random = random * 1664525 + 1013904223;
        status = sat_matcher_accept(matcher, (int32_t)allowed[(random >> 8) % count], &error);
        FUZZ_CHECK(status != SATCHEL_INVALID_ARGUMENT && status != SATCHEL_INTERNAL);
        if (status)
            break;
    }
    sat_matcher_close(&matcher);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    satchel_context_options options = {
        .struct_size = sizeof options, .threads = 1, .memory_limit = 256 << 20};
    satchel_context *context = NULL;
    satchel_error error;
    if (size > 1 << 14 || sat_context_open(&context, &options, &error))
        return 0;
    sat_lexicon *lexicon = open_words(context);
    for (int kind = 0; kind < 2 && lexicon; kind++) {
        sat_grammar *grammar = NULL;
        const char *text = (const char *)data;
        satchel_status status =
            kind ? sat_grammar_from_gbnf(&grammar, context, text, size, &error)
                 : sat_grammar_from_schema(&grammar, context, text, size, &error);
        FUZZ_CHECK((status == SATCHEL_OK) == (grammar != NULL));
        FUZZ_CHECK(status == SATCHEL_OK || status == SATCHEL_UNSUPPORTED ||
                   status == SATCHEL_DAMAGED || status == SATCHEL_LIMIT ||
                   status == SATCHEL_MEMORY_LIMIT);
        if (grammar) {
            walk(context, grammar, lexicon, 0, (uint32_t)size);
            if (sat_grammar_shortest(grammar) < 2000)
                walk(context, grammar, lexicon, sat_grammar_shortest(grammar) + 5, 1);
        }
        sat_grammar_close(&grammar);
    }
    sat_lexicon_close(&lexicon);
    sat_context_release(context);
    return 0;
}
