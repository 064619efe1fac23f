/* Masks beside matching byte by byte, on small vocabularies; closing in time. */
#include "tests/unit/generate/words.h"

/* All printable bytes, some others, some words; the last token is an end. */
static void make_words(words *all) {
    static const char *const more[] = {
        "{\"",      "\"}",  "\":", "\", \"", "\",\"", "name", "na",       "\"name\"", "a\"",
        "ab",       "abc",  "12",  "123",    "0.5",   "true", "null",     "[1",       "],",
        "}}",       "]]",   "[[",  "é",      "éa",    "\xC3", "\xA9",     "日",       "日本",
        "\xE6\x97", "\\n",  "\\u", "\\",     "a\\",   "  ",   ": ",       ", ",       "x\ny",
        "-1",       "e+",   "1.",  "00",     "\"\"",  "{}",   "[]",       "((",       "))",
        "aaaaaa",   "bbbb", "ba",  "hello",  "\"he",  "ld\"", "\xF0\x9F", "name\"",   "nam"};
    begin_words(all, more, SAT_COUNT(more));
    end_words(all);
}

static sat_lexicon *open_bytes(void) {
    static words bytes;
    make_words(&bytes);
    return open_words(&bytes, 256);
}

static const char *const grammars[] = {
    "{}",
    ("{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":5},"
     "\"n\":{\"type\":\"integer\"}},\"required\":[\"name\"],\"additionalProperties\":true}"),
    "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"minLength\":2,\"maxLength\":4}}",
    "{\"anyOf\":[{\"type\":\"string\",\"maxLength\":3},{\"enum\":[\"hello world\",\"abcdef\"]}]}",
    "{\"type\":\"string\",\"pattern\":\"^(ab|a)*c?$\"}",
    "{\"type\":\"string\",\"pattern\":\"ab\"}",
    "{\"type\":\"number\",\"minimum\":-1.5,\"maximum\":123}",
    "{\"type\":\"integer\",\"multipleOf\":7}",
    "root ::= (\"a\" | \"ab\" | \"b\")* \"c\"",
    "root ::= \"(\" root \")\" | [a-z0-9]{0,3}",
    "root ::= [^\"]* \"\\\"\" .{2}",
    "root ::= \"\\xE9\"* [\\u65E5\\u672C]+ | \"a\" ([^a-c] \"b\"?)+",
};

/* At random places of each grammar, the mask is what byte by byte gives. */
static void masks_equal_matching(void **state) {
    static words all;
    make_words(&all);
    sat_lexicon *lexicon = open_words(&all, all.count), *bytes = open_bytes();
    uint32_t random = 7;
    for (size_t g = 0; g < SAT_COUNT(grammars); g++) {
        sat_grammar *grammar = compile(grammars[g]);
        for (int round = 0; round < 6; round++) {
            sat_matcher *matcher = NULL;
            char text[4096];
            size_t length = 0;
            assert_int_equal(sat_matcher_open(&matcher, context, grammar, lexicon, 0, &error), 0);
            for (int step = 0; step < 12 && !sat_matcher_finished(matcher); step++) {
                const uint64_t *mask;
                uint32_t allowed[WORDS], count = 0;
                assert_int_equal(sat_matcher_mask(matcher, &mask, &error), 0);
                for (uint32_t t = 0; t < all.count; t++) {
                    sat_matcher *slow = NULL;
                    assert_int_equal(sat_matcher_open(&slow, context, grammar, bytes, 0, &error),
                                     0);
                    bool taken = true;
                    for (size_t i = 0; i < length && taken; i++)
                        taken = !sat_matcher_accept(slow, (uint8_t)text[i], &error);
                    assert_true(taken);
                    for (size_t i = 0; i < all.lengths[t] && taken && !all.ends[t]; i++)
                        taken = !sat_matcher_accept(slow, (uint8_t)all.text[t][i], &error);
                    if (all.ends[t])
                        taken = sat_matcher_may_end(slow);
                    sat_matcher_close(&slow);
                    if (taken != (mask[t / 64] >> (t % 64) & 1))
                        fail_msg("%s after \"%.*s\": token %u", grammars[g], (int)length, text, t);
                    if (taken && !all.ends[t])
                        allowed[count++] = t;
                }
                if (!count)
                    break;
                random = random * 1664525 + 1013904223;
                uint32_t chosen = allowed[(random >> 8) % count];
                memcpy(text + length, all.text[chosen], all.lengths[chosen]);
                length += all.lengths[chosen];
                assert_int_equal(sat_matcher_accept(matcher, (int32_t)chosen, &error), 0);
            }
            sat_matcher_close(&matcher);
        }
        sat_grammar_close(&grammar);
    }
    sat_lexicon_close(&lexicon);
    sat_lexicon_close(&bytes);
}

/* With every budget from the least on, random tokens come to an end within it. */
static void budgets_are_kept(void **state) {
    static words all;
    make_words(&all);
    sat_lexicon *lexicon = open_words(&all, all.count);
    uint32_t random = 11;
    for (size_t g = 0; g < SAT_COUNT(grammars); g++) {
        sat_grammar *grammar = compile(grammars[g]);
        size_t least = 1;
        sat_matcher *matcher = NULL;
        while (sat_matcher_open(&matcher, context, grammar, lexicon, least, &error)) {
            assert_int_equal(error.code, SATCHEL_LIMIT);
            assert_non_null(strstr(error.message, "tokens"));
            least++;
        }
        sat_matcher_close(&matcher);
        assert_true(least <= sat_grammar_shortest(grammar) || least == 1);
        for (size_t budget = least; budget < least + 12; budget++) {
            size_t used = 0;
            assert_int_equal(sat_matcher_open(&matcher, context, grammar, lexicon, budget, &error),
                             0);
            while (!sat_matcher_finished(matcher)) {
                const uint64_t *mask;
                uint32_t allowed[WORDS], count = 0;
                assert_int_equal(sat_matcher_mask(matcher, &mask, &error), 0);
                for (uint32_t t = 0; t < all.count; t++)
                    if (mask[t / 64] >> (t % 64) & 1)
                        allowed[count++] = t;
                assert_true(count > 0);
                random = random * 1664525 + 1013904223;
                uint32_t chosen = allowed[(random >> 8) % count];
                assert_int_equal(sat_matcher_accept(matcher, (int32_t)chosen, &error), 0);
                if (all.ends[chosen])
                    break;
                assert_true(++used <= budget);
            }
            assert_true(sat_matcher_may_end(matcher));
            sat_matcher_close(&matcher);
        }
        sat_grammar_close(&grammar);
    }
    sat_lexicon_close(&lexicon);
}

static void refused_tokens_change_nothing(void **state) {
    sat_lexicon *lexicon = open_bytes();
    sat_grammar *grammar = compile("root ::= \"ab\"");
    sat_matcher *matcher = NULL;
    assert_int_equal(sat_matcher_open(&matcher, context, grammar, lexicon, 0, &error), 0);
    assert_int_equal(sat_matcher_accept(matcher, 'b', &error), SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(sat_matcher_accept(matcher, -1, &error), SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(sat_matcher_accept(matcher, 256, &error), SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(sat_matcher_shortest(matcher), 2);
    assert_int_equal(sat_matcher_accept(matcher, 'a', &error), 0);
    assert_false(sat_matcher_may_end(matcher));
    assert_int_equal(sat_matcher_accept(matcher, 'b', &error), 0);
    assert_true(sat_matcher_may_end(matcher) && sat_matcher_finished(matcher));
    assert_int_equal(sat_matcher_accept(matcher, 'b', &error), SATCHEL_INVALID_ARGUMENT);
    sat_matcher_close(&matcher);
    sat_grammar_close(&grammar);
    sat_lexicon_close(&lexicon);
}

/* Deep nesting ends by itself: past a depth only a shortest way is left. */
static void nesting_ends(void **state) {
    sat_lexicon *lexicon = open_bytes();
    sat_grammar *grammar = compile("root ::= \"(\" root \")\" | \"x\"");
    sat_matcher *matcher = NULL;
    assert_int_equal(sat_matcher_open(&matcher, context, grammar, lexicon, 0, &error), 0);
    size_t depth = 0;
    while (depth < 100000 && !sat_matcher_accept(matcher, '(', &error))
        depth++;
    assert_in_range(depth, 100, 1000);
    const uint64_t *mask;
    assert_int_equal(sat_matcher_mask(matcher, &mask, &error), 0);
    assert_true(mask['x' / 64] >> ('x' % 64) & 1);
    assert_int_equal(sat_matcher_accept(matcher, 'x', &error), 0);
    for (size_t i = 0; i < depth; i++)
        assert_int_equal(sat_matcher_accept(matcher, ')', &error), 0);
    assert_true(sat_matcher_finished(matcher));
    sat_matcher_close(&matcher);
    sat_grammar_close(&grammar);
    sat_lexicon_close(&lexicon);
}

static void expect_failure(const char *text, satchel_status status, const char *part) {
    sat_grammar *grammar = NULL;
    memset(&error, 0, sizeof error);
    satchel_status got =
        strstr(text, "::=")
            ? sat_grammar_from_gbnf(&grammar, context, text, strlen(text), &error)
            : sat_grammar_from_schema(&grammar, context, text, strlen(text), &error);
    if (got != status || !strstr(error.message, part))
        fail_msg("%s: %d (%s)", text, got, error.message);
    assert_null(grammar);
    assert_int_equal(error.code, status);
}

static void errors_say_where(void **state) {
    expect_failure("root ::= root \"a\" | \"b\"", SATCHEL_UNSUPPORTED, "left recursion");
    expect_failure("root ::= x", SATCHEL_DAMAGED, "no rule \"x\"");
    expect_failure("x ::= \"a\"", SATCHEL_DAMAGED, "no rule \"root\"");
    expect_failure("root ::= \"a\"\nroot ::= \"b\"", SATCHEL_DAMAGED, "line 2, column 1");
    expect_failure("root ::= \"a", SATCHEL_DAMAGED, "line 1, column 12");
    expect_failure("root ::= (\"a\"", SATCHEL_DAMAGED, "\")\" is missing");
    expect_failure("root ::= [z-a]", SATCHEL_DAMAGED, "backwards");
    expect_failure("root ::= \"a\"{3,2}", SATCHEL_DAMAGED, "repetition");
    expect_failure("root ::= <think>", SATCHEL_UNSUPPORTED, "token references");
    expect_failure("root ::= \"(\" root \")\"", SATCHEL_DAMAGED, "no text");
    expect_failure("root ::= \"a\"{500000}", SATCHEL_LIMIT, "larger than");
    expect_failure("root ::= (((\"a\"{9000}){9000}){9000}){9000}", SATCHEL_DAMAGED, "no text");
    expect_failure("{\"type\":\"object\",\"properties\":{\"a\":{\"not\":{}}}}", SATCHEL_UNSUPPORTED,
                   "#/properties/a/not");
    expect_failure("{\"type\":\"text\"}", SATCHEL_DAMAGED, "type");
    expect_failure("{\"$ref\":\"#/$defs/x\"}", SATCHEL_DAMAGED, "leads nowhere");
    expect_failure("{\"$ref\":\"#\"}", SATCHEL_LIMIT, "refers to itself");
    expect_failure("{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"number\"}]}",
                   SATCHEL_UNSUPPORTED, "oneOf");
    expect_failure("{\"type\":\"string\",\"minLength\":3,\"maxLength\":2}", SATCHEL_DAMAGED,
                   "no text");
    expect_failure("{\"type\":\"string\",\"pattern\":\"(?=a)\"}", SATCHEL_UNSUPPORTED, "group");
    expect_failure("false", SATCHEL_DAMAGED, "no text");
    expect_failure("{", SATCHEL_DAMAGED, "line 1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_equal_matching),
        cmocka_unit_test(budgets_are_kept),
        cmocka_unit_test(refused_tokens_change_nothing),
        cmocka_unit_test(nesting_ends),
        cmocka_unit_test(errors_say_where),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
