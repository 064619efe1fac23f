/*
 * Masks beside taking each token, with budgets; masks and places kept and forgotten; allocations
 * that fail; a small stack.
 */
#include "tests/unit/generate/words.h"

#include "generate/sampler.h"
#include "tests/unit/base/failing.h"
#include "tests/unit/base/small_stack.h"

/* All bytes, words inside and across every alphabet, words longer than any alphabet looks; the last
 * is an end. */
static void make_words(words *all) {
    static const char *const more[] = {"name",
                                       "ab",
                                       "abc",
                                       "cat",
                                       "dog",
                                       "ca",
                                       "ub-dom",
                                       "com",
                                       "a.b",
                                       "a-b_c",
                                       "x1",
                                       "1a",
                                       "AB",
                                       "Abc",
                                       "ABC1",
                                       "12",
                                       "2024",
                                       "-07-",
                                       " the",
                                       " The",
                                       "the end",
                                       "e. ",
                                       "hello, world",
                                       "A b",
                                       "\", \"",
                                       "a\"",
                                       "ab\",",
                                       "x\"}",
                                       "{\"",
                                       "\"a",
                                       "\"ab",
                                       "\\n",
                                       "a\\",
                                       "a\\\"",
                                       "\\u00",
                                       "tab\t",
                                       "line\n",
                                       "\xC3\xA9",
                                       "a\xC3\xA9",
                                       "\xC3\xA9\"",
                                       "\xC3",
                                       "a\xC3",
                                       "\xE6\x97\xA5\xE6",
                                       "\xE6\x97",
                                       "abc\xF0\x9F",
                                       "\xE6\x97\xA5\"",
                                       "\xA9",
                                       "\xA9z",
                                       "\xC3z",
                                       "http://",
                                       "://",
                                       "@",
                                       "user@",
                                       ".com",
                                       "://www.",
                                       "]}",
                                       "],",
                                       "true",
                                       "null",
                                       "0.",
                                       ".5",
                                       "e+",
                                       "\x7F",
                                       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
                                       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xC3",
                                       "                                        ",
                                       "                                \"",
                                       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."};
    begin_words(all, more, SAT_COUNT(more));
    for (int i = 0; i < 130; i++) { /* enough behind one byte to be kept */
        char word[4] = {'.', (char)('a' + i % 26), (char)('a' + i / 26), 0};
        add_word(all, word, 3);
    }
    end_words(all);
}

static sat_matcher *open_matcher(const sat_grammar *grammar, const sat_lexicon *lexicon,
                                 size_t budget) {
    sat_matcher *matcher = NULL;
    if (sat_matcher_open(&matcher, context, grammar, lexicon, budget, &error))
        fail_msg("%s", error.message);
    return matcher;
}

static uint64_t seed = 5;

/* ------------------------------------------------------------------ masks */

static const char *const grammars[] = {
    "{\"type\":\"string\"}",
    "{\"type\":\"string\",\"minLength\":2,\"maxLength\":60}",
    "{\"type\":\"string\",\"pattern\":\"^[a-z][a-z0-9-]{0,15}$\"}",
    "{\"type\":\"string\",\"pattern\":\"^[A-Za-z ]{1,50}$\"}",
    "{\"type\":\"string\",\"pattern\":\"^[a-z]{3}[a-m]{5}$\"}",
    "{\"type\":\"string\",\"pattern\":\"^\\\\w+\\\\.?\\\\w{2,}$\"}",
    "{\"type\":\"string\",\"pattern\":\"cat|dog\"}",
    "{\"type\":\"string\",\"pattern\":\"^.{2,40}$\"}",
    "{\"type\":\"string\",\"pattern\":\"^[^\\\"a]{1,40}a$\"}",
    "{\"type\":\"string\",\"pattern\":\"^(\\\\S|\\\\s){1,40}$\"}",
    "{\"type\":\"string\",\"format\":\"email\"}",
    "{\"type\":\"string\",\"format\":\"uri\"}",
    "{\"anyOf\":[{\"type\":\"string\",\"maxLength\":3},{\"enum\":[\"abcab\",\"hello, world\"]},"
    "{\"type\":\"string\",\"minLength\":5}]}",
    "{\"type\":\"object\",\"properties\":{\"ab\":{\"type\":\"string\"}},\"additionalProperties\":"
    "{\"type\":\"string\",\"maxLength\":2}}",
    "root ::= [^\"]{2,40} \"\\\"\"",
    "root ::= ([^\"\\\\] | \"\\\\\" [\"nu])* \"\\\"\" \"x\"?",
    "root ::= ([^\"]* \"\\\"\")* | [a-z]+",
    "root ::= [^\\x00-\\x1F\"\\\\\\u65E5]{1,40}",
    "root ::= [a-z]+ \"é\"? [^0-9]{0,3}",
};

/* The tokens taken so far, again. */
static void replay(sat_matcher *matcher, size_t budget, const int32_t *tokens, size_t count) {
    assert_int_equal(sat_matcher_restart(matcher, budget, &error), SATCHEL_OK);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(sat_matcher_accept(matcher, tokens[i], &error), SATCHEL_OK);
}

/* The mask has exactly the tokens that can be taken, which is found byte by byte. */
static void check_masks(const words *all, const char *text, size_t budget) {
    sat_lexicon *lexicon = open_words(all, all->count);
    sat_grammar *grammar = compile(text);
    sat_matcher *matcher = open_matcher(grammar, lexicon, budget);
    sat_matcher *other = open_matcher(grammar, lexicon, budget);
    int32_t taken[16];
    for (size_t step = 0; step < SAT_COUNT(taken) && !sat_matcher_finished(matcher); step++) {
        const uint64_t *mask;
        int32_t allowed[WORDS], count = 0;
        assert_int_equal(sat_matcher_mask(matcher, &mask, &error), SATCHEL_OK);
        for (int32_t t = 0; t < (int32_t)all->count; t++) {
            bool takes = !sat_matcher_accept(other, t, &error);
            if (takes)
                replay(other, budget, taken, step);
            if (takes != (mask[t / 64] >> (t % 64) & 1))
                fail_msg("%s, %zu tokens at most, step %zu: token %d \"%s\" is %staken", text,
                         budget, step, t, all->text[t], takes ? "" : "not ");
            if (takes && !all->ends[t])
                allowed[count++] = t;
        }
        if (!count)
            break;
        taken[step] = allowed[test_random(&seed) % (uint32_t)count];
        assert_int_equal(sat_matcher_accept(matcher, taken[step], &error), SATCHEL_OK);
        assert_int_equal(sat_matcher_accept(other, taken[step], &error), SATCHEL_OK);
    }
    sat_matcher_close(&matcher);
    sat_matcher_close(&other);
    sat_grammar_close(&grammar);
    sat_lexicon_close(&lexicon);
}

static void masks_have_what_can_be_taken(void **state) {
    static words all;
    make_words(&all);
    for (size_t g = 0; g < SAT_COUNT(grammars); g++)
        for (int round = 0; round < 3; round++)
            check_masks(&all, grammars[g], 0);
}

static void masks_keep_the_budget(void **state) {
    static words all;
    make_words(&all);
    for (size_t g = 0; g < SAT_COUNT(grammars); g++) {
        sat_grammar *grammar = compile(grammars[g]);
        size_t shortest = sat_grammar_shortest(grammar);
        sat_grammar_close(&grammar);
        for (size_t more = 0; more < 8; more += 2)
            check_masks(&all, grammars[g], shortest + more + 1);
    }
}

/* ------------------------------------------------------------------ what is kept */

static bool may_come(sat_matcher *matcher, int32_t token) {
    const uint64_t *mask;
    assert_int_equal(sat_matcher_mask(matcher, &mask, &error), SATCHEL_OK);
    return mask[token / 64] >> (token % 64) & 1;
}

/* More places than there are masks kept, in two answers: each mask is that of a matcher that made
 * no other. */
static void masks_are_made_again(void **state) {
    enum { LENGTH = 400 };
    static words all;
    make_words(&all);
    sat_lexicon *lexicon = open_words(&all, all.count);
    sat_grammar *grammar = compile("{\"type\":\"string\",\"maxLength\":400}");
    sat_matcher *matcher = open_matcher(grammar, lexicon, 0);
    static uint64_t first[LENGTH][(WORDS + 63) / 64];
    size_t bytes = (all.count + 63) / 64 * sizeof(uint64_t);
    for (int answer = 0; answer < 3; answer++) {
        assert_int_equal(sat_matcher_restart(matcher, 0, &error), SATCHEL_OK);
        assert_int_equal(sat_matcher_accept(matcher, '"', &error), SATCHEL_OK);
        for (size_t i = 0; i < LENGTH; i++) {
            const uint64_t *mask;
            assert_int_equal(sat_matcher_mask(matcher, &mask, &error), SATCHEL_OK);
            if (!answer)
                memcpy(first[i], mask, bytes);
            assert_memory_equal(mask, first[i], bytes);
            assert_int_equal(sat_matcher_accept(matcher, 'a', &error), SATCHEL_OK);
        }
        assert_false(may_come(matcher, 'a'));
        assert_true(may_come(matcher, '"'));
    }
    sat_matcher_close(&matcher);
    sat_grammar_close(&grammar);
    sat_lexicon_close(&lexicon);
}

/* So many places that all but the current one are forgotten: the text goes on, and another one
 * begins. */
static void places_are_forgotten(void **state) {
    enum { LENGTH = 40000 };
    static words all;
    make_words(&all);
    sat_lexicon *lexicon = open_words(&all, all.count);
    sat_grammar *grammar = compile("root ::= \"(\" inner \")\"\ninner ::= [a-c]{0,40000} \"!\"");
    sat_matcher *matcher = open_matcher(grammar, lexicon, 0);
    for (int answer = 0; answer < 2; answer++) {
        assert_int_equal(sat_matcher_restart(matcher, 2 * LENGTH, &error), SATCHEL_OK);
        assert_int_equal(sat_matcher_accept(matcher, '(', &error), SATCHEL_OK);
        for (size_t i = 0; i < LENGTH; i++) {
            if (i % 1000 == 0)
                assert_true(may_come(matcher, 'a') && may_come(matcher, '!') &&
                            !may_come(matcher, ')'));
            assert_int_equal(sat_matcher_accept(matcher, 'a' + (int32_t)(i % 3), &error),
                             SATCHEL_OK);
        }
        assert_true(!may_come(matcher, 'a') && may_come(matcher, '!'));
        assert_int_equal(sat_matcher_accept(matcher, '!', &error), SATCHEL_OK);
        assert_int_equal(sat_matcher_accept(matcher, ')', &error), SATCHEL_OK);
        assert_true(sat_matcher_finished(matcher));
    }
    sat_matcher_close(&matcher);
    sat_grammar_close(&grammar);
    sat_lexicon_close(&lexicon);
}

static void restarting_checks_the_budget(void **state) {
    static words all;
    make_words(&all);
    sat_lexicon *lexicon = open_words(&all, 256);
    sat_grammar *grammar = compile("root ::= \"xyz\"");
    sat_matcher *matcher = open_matcher(grammar, lexicon, 3);
    assert_int_equal(sat_matcher_accept(matcher, 'x', &error), SATCHEL_OK);
    assert_int_equal(sat_matcher_restart(matcher, 2, &error), SATCHEL_LIMIT);
    assert_int_equal(sat_matcher_restart(matcher, 3, &error), SATCHEL_OK);
    assert_int_equal(sat_matcher_shortest(matcher), 3);
    assert_true(may_come(matcher, 'x'));
    sat_matcher_close(&matcher);
    sat_grammar_close(&grammar);
    sat_lexicon_close(&lexicon);
}

/* ------------------------------------------------------------------ limits */

static void *nest_deeply(void *unused) {
    static words all;
    static char text[8192];
    make_words(&all);
    sat_lexicon *lexicon = open_words(&all, all.count);
    size_t length = 0;
    length += (size_t)snprintf(text, sizeof text, "root ::= ");
    for (int i = 0; i < 60; i++)
        text[length++] = '(';
    length += (size_t)snprintf(text + length, sizeof text - length, "\"a\" | root2");
    for (int i = 0; i < 60; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, ")?");
    snprintf(text + length, sizeof text - length, "\nroot2 ::= \"[\" root2* \"]\"");
    sat_grammar *grammar = compile(text);
    sat_matcher *matcher = open_matcher(grammar, lexicon, 400);
    while (!sat_matcher_finished(matcher) && may_come(matcher, '['))
        assert_int_equal(sat_matcher_accept(matcher, '[', &error), SATCHEL_OK);
    assert_true(may_come(matcher, ']'));
    sat_matcher_close(&matcher);
    sat_grammar_close(&grammar);
    length = 0;
    for (int i = 0; i < 30; i++)
        length += (size_t)snprintf(text + length, sizeof text - length,
                                   "{\"allOf\":[{\"items\":{}},{\"items\":");
    text[length] = '\0';
    grammar = NULL;
    assert_int_equal(sat_grammar_from_schema(&grammar, context, text, length, &error),
                     SATCHEL_DAMAGED);
    length = 0;
    for (int i = 0; i < 20; i++)
        length += (size_t)snprintf(text + length, sizeof text - length,
                                   "{\"type\":\"array\",\"allOf\":[{\"minItems\":1},{\"items\":");
    length +=
        (size_t)snprintf(text + length, sizeof text - length,
                         "{\"type\":\"string\",\"pattern\":\"^((((((((((a|b)*c)*d)*e)*f)*g)*h)"
                         "*i)*j)*k)*$\"}");
    for (int i = 0; i < 20; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "}]}");
    grammar = compile(text);
    matcher = open_matcher(grammar, lexicon, 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(sat_matcher_accept(matcher, '[', &error), SATCHEL_OK);
    assert_true(may_come(matcher, '"') && !may_come(matcher, ']'));
    sat_matcher_close(&matcher);
    sat_grammar_close(&grammar);
    sat_lexicon_close(&lexicon);
    return unused;
}

static void a_small_stack_suffices(void **state) {
    on_a_small_stack(nest_deeply, NULL);
}

typedef struct trial {
    words all;
    const char *text;
} trial;

/* Compiles, opens, masks, samples and closes; the first failure's status. */
static satchel_status everything(failing *f, void *user) {
    const trial *now = user;
    const words *all = &now->all;
    satchel_context *where = f->context;
    satchel_error unused, *why = &unused;
    f->for_good = f->k % 2;
    failing_begin(f);
    sat_grammar *grammar = NULL;
    sat_lexicon *lexicon = NULL;
    sat_matcher *matcher = NULL;
    sat_sampler *sampler = NULL;
    static const float biases[] = {1};
    static const int32_t biased[] = {'a'};
    sat_sampling sampling = {.temperature = 1,
                             .top_p = 0.9F,
                             .seed = 1,
                             .bias_tokens = biased,
                             .biases = biases,
                             .bias_count = 1};
    satchel_status status = compile_in(where, &grammar, now->text, why);
    if (!status)
        status = sat_lexicon_from_bytes(&lexicon, where, all->text, all->lengths, all->ends,
                                        all->count, why);
    if (!status)
        status = sat_matcher_open(&matcher, where, grammar, lexicon, 30, why);
    if (!status)
        status = sat_sampler_open(&sampler, where, (int32_t)all->count, &sampling, why);
    for (int i = 0; i < 40 && !status && !sat_matcher_finished(matcher); i++) {
        static float logits[WORDS];
        int32_t token;
        memset(logits, 0, sizeof logits);
        status = sat_sampler_choose(sampler, logits, matcher, &token, why);
        if (!status)
            status = sat_matcher_accept(matcher, token, why);
        if (!status)
            status = sat_sampler_see(sampler, token, why);
    }
    if (!status)
        status = sat_matcher_restart(matcher, 30, why);
    sat_sampler_close(&sampler);
    sat_matcher_close(&matcher);
    sat_lexicon_close(&lexicon);
    sat_grammar_close(&grammar);
    return status;
}

static void a_failing_allocation_leaves_nothing_behind(void **state) {
    static const char *const texts[] = {
        "{\"type\":\"object\",\"properties\":{\"ab\":{\"type\":\"string\",\"pattern\":\"^[^a-c]+$"
        "\"}},"
        "\"required\":[\"ab\"],\"additionalProperties\":{\"type\":[\"integer\",\"null\"]}}",
        "root ::= (\"a\" | [^\"é]{2,5} | root2)+\nroot2 ::= \"(\" root \")\""};
    static trial now;
    make_words(&now.all);
    for (size_t g = 0; g < SAT_COUNT(texts); g++) {
        now.text = texts[g];
        assert_true(fail_allocations(true, everything, &now) > 40);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_have_what_can_be_taken),
        cmocka_unit_test(masks_keep_the_budget),
        cmocka_unit_test(masks_are_made_again),
        cmocka_unit_test(places_are_forgotten),
        cmocka_unit_test(restarting_checks_the_budget),
        cmocka_unit_test(a_small_stack_suffices),
        cmocka_unit_test(a_failing_allocation_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
