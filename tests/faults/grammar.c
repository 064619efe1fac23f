/*
 * Every k-th allocation fails while grammars are compiled, jansson's among them, which the
 * allocator of a context does not see. Run with interpose.so preloaded: grammar once|forever. What
 * compiles all the same must be the grammar that it is without failures: a schema that loses a
 * keyword would let through what it forbids.
 */
#include <stdio.h>
#include <string.h>

#include "generate/grammar.h"
#include "tests/faults/interpose.h"

/* What is compiled, and a text that only a weaker grammar would take. */
static const char *const cases[][2] = {
    {"{\"allOf\":[{\"type\":\"integer\",\"minimum\":3},{\"maximum\":20},{\"minimum\":5}]}", "4"},
    {"{\"allOf\":[{\"enum\":[1,2,\"a\"]},{\"enum\":[2,\"b\"]}]}", "1"},
    {"{\"allOf\":[{\"type\":[\"string\",\"null\"]},{\"type\":[\"null\",\"integer\"]}]}", "\"a\""},
    {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"null\"}},\"additionalProperties\":"
     "false,"
     "\"allOf\":[{\"required\":[\"a\"]},{\"properties\":{\"a\":{\"$ref\":\"#/$defs/x\"}}}],"
     "\"$defs\":{\"x\":{\"title\":\"t\"}}}",
     "{}"},
    {"{\"oneOf\":[{\"type\":\"object\",\"properties\":{\"k\":{\"const\":1},\"v\":{}},"
     "\"required\":[\"k\"],\"additionalProperties\":false},{\"type\":\"array\",\"items\":"
     "{\"type\":\"string\",\"maxLength\":2},\"maxItems\":2}]}",
     "[\"abc\"]"},
    {"{\"type\":\"object\",\"additionalProperties\":{\"const\":{\"a\":[1,\"b\"]}},"
     "\"properties\":{\"q\":{\"anyOf\":[{\"maxLength\":1},{\"type\":\"null\"}]}}}",
     "{\"q\":\"aa\"}"},
    {"root ::= [a-c]{2,3} | \"x\" inner\ninner ::= \"y\" root?", "xz"},
};

static long problems;

static satchel_status compile(satchel_context *context, const char *text, sat_grammar **grammar,
                              satchel_error *error) {
    return strstr(text, "::=")
               ? sat_grammar_from_gbnf(grammar, context, text, strlen(text), error)
               : sat_grammar_from_schema(grammar, context, text, strlen(text), error);
}

static sat_lexicon *byte_lexicon(satchel_context *context) {
    static char bytes[256];
    static const char *text[256];
    static size_t lengths[256];
    sat_lexicon *lexicon = NULL;
    satchel_error error;
    for (int i = 0; i < 256; i++) {
        bytes[i] = (char)i;
        text[i] = &bytes[i];
        lengths[i] = 1;
    }
    sat_lexicon_from_bytes(&lexicon, context, text, lengths, NULL, 256, &error);
    return lexicon;
}

static bool takes(satchel_context *context, const sat_grammar *grammar, const sat_lexicon *lexicon,
                  const char *text) {
    sat_matcher *matcher = NULL;
    satchel_error error;
    if (sat_matcher_open(&matcher, context, grammar, lexicon, 0, &error))
        return true;
    bool taken = true;
    for (; *text && taken; text++)
        taken = !sat_matcher_accept(matcher, (uint8_t)*text, &error);
    taken = taken && sat_matcher_may_end(matcher);
    sat_matcher_close(&matcher);
    return taken;
}

int main(int count, char **arguments) {
    int for_good = count > 1 && !strcmp(arguments[1], "forever");
    satchel_context *context = NULL;
    satchel_error error;
    if (!fault_arm || !fault_disarm || !fault_live_blocks ||
        sat_context_open(&context, NULL, &error)) {
        fprintf(stderr, "run with interpose.so preloaded\n");
        return 2;
    }
    sat_lexicon *lexicon = byte_lexicon(context);
    for (size_t i = 0; lexicon && i < sizeof cases / sizeof *cases; i++) {
        sat_grammar *grammar = NULL;
        size_t shortest = 0;
        if (!compile(context, cases[i][0], &grammar, &error))
            shortest = sat_grammar_shortest(grammar);
        if (!grammar || takes(context, grammar, lexicon, cases[i][1])) {
            fprintf(stderr, "%s takes %s\n", cases[i][0], cases[i][1]);
            problems++;
        }
        sat_grammar_close(&grammar);
        for (long k = 1, seen = k; seen >= k; k++) {
            long live = fault_live_blocks();
            fault_arm(FAULT_MEMORY, k, for_good);
            satchel_status status = compile(context, cases[i][0], &grammar, &error);
            seen = fault_disarm();
            bool wrong = status ? status != SATCHEL_OUT_OF_MEMORY || grammar != NULL
                                : sat_grammar_shortest(grammar) != shortest ||
                                      takes(context, grammar, lexicon, cases[i][1]);
            sat_grammar_close(&grammar);
            if (wrong || fault_live_blocks() != live || (seen < k && status)) {
                fprintf(stderr, "%s: allocation %ld: %d (%s), %ld blocks left\n", cases[i][0], k,
                        status, status ? error.message : "", fault_live_blocks() - live);
                problems++;
            }
        }
    }
    problems += !lexicon;
    sat_lexicon_close(&lexicon);
    sat_context_release(context);
    return problems != 0;
}
