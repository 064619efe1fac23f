/* The sampling chain: each step beside a plain calculation, and draws beside their probabilities. */
#include "tests/unit/generate/context_unit.h"

#include <math.h>

#include "generate/sampler.h"

enum { TOKENS = 50, DRAWS = 20000 };

static satchel_error error;

static void some_logits(float *logits, uint32_t seed) {
    for (int i = 0; i < TOKENS; i++) {
        seed = seed * 1664525 + 1013904223;
        logits[i] = (float)(seed >> 8) / (float)(1 << 24) * 8 - 4;
    }
    logits[7] = logits[3]; /* a tie */
}

static sat_sampler *open_sampler(sat_sampling sampling) {
    sat_sampler *sampler = NULL;
    if (sat_sampler_open(&sampler, context, TOKENS, &sampling, &error))
        fail_msg("%s", error.message);
    return sampler;
}

static int32_t choose(sat_sampler *sampler, const float *logits) {
    float copy[TOKENS];
    int32_t token;
    memcpy(copy, logits, sizeof copy);
    if (sat_sampler_choose(sampler, copy, NULL, &token, &error))
        fail_msg("%s", error.message);
    return token;
}

static void softmax(const float *logits, double temperature, const bool *keep, double *out) {
    double sum = 0;
    for (int i = 0; i < TOKENS; i++)
        sum += out[i] = keep[i] ? exp((double)logits[i] / temperature) : 0;
    for (int i = 0; i < TOKENS; i++)
        out[i] /= sum;
}

/* Draws come only from those kept, each about as often as it should: 6 standard deviations. */
static void expect_draws(sat_sampling sampling, const float *logits, const bool *keep) {
    double wanted[TOKENS];
    int found[TOKENS] = {0};
    softmax(logits, (double)sampling.temperature, keep, wanted);
    sat_sampler *sampler = open_sampler(sampling);
    for (int i = 0; i < DRAWS; i++)
        found[choose(sampler, logits)]++;
    for (int i = 0; i < TOKENS; i++) {
        double mean = wanted[i] * DRAWS, width = 6 * sqrt(mean * (1 - wanted[i])) + (mean > 0);
        if (fabs(found[i] - mean) > width)
            fail_msg("token %d: %d draws, %g wanted", i, found[i], mean);
    }
    sat_sampler_close(&sampler);
}

/* Tokens by probability, ties by id. */
static void order(const double *keys, int *ids) {
    for (int i = 0; i < TOKENS; i++) {
        int at = i;
        for (; at && keys[ids[at - 1]] < keys[i]; at--)
            ids[at] = ids[at - 1];
        ids[at] = i;
    }
}

static void greedy_takes_the_first_of_the_largest(void **state) {
    float logits[TOKENS] = {0};
    logits[20] = logits[9] = 3;
    sat_sampler *sampler = open_sampler((sat_sampling){0});
    assert_int_equal(choose(sampler, logits), 9);
    sat_sampler_close(&sampler);
}

static void temperature_shapes_the_draws(void **state) {
    float logits[TOKENS];
    bool keep[TOKENS];
    memset(keep, 1, sizeof keep);
    some_logits(logits, 1);
    expect_draws((sat_sampling){.temperature = 1, .seed = 1}, logits, keep);
    expect_draws((sat_sampling){.temperature = 0.4F, .seed = 2}, logits, keep);
    expect_draws((sat_sampling){.temperature = 3, .seed = 3}, logits, keep);
}

static void top_k_keeps_the_likeliest(void **state) {
    for (int k = 1; k < 2 * TOKENS; k += 7) {
        float logits[TOKENS];
        double keys[TOKENS];
        bool keep[TOKENS] = {false};
        int ids[TOKENS];
        some_logits(logits, (uint32_t)k);
        for (int i = 0; i < TOKENS; i++)
            keys[i] = (double)logits[i];
        order(keys, ids);
        for (int i = 0; i < k && i < TOKENS; i++)
            keep[ids[i]] = true;
        expect_draws((sat_sampling){.temperature = 1, .top_k = k, .seed = 5}, logits, keep);
    }
}

static void keep_share(const double *keys, const double *chances, double share, bool *keep) {
    int ids[TOKENS];
    double sum = 0;
    order(keys, ids);
    memset(keep, 0, TOKENS);
    for (int i = 0; i < TOKENS && sum < share; i++) {
        keep[ids[i]] = true;
        sum += chances[ids[i]];
    }
}

static void top_p_keeps_a_share(void **state) {
    bool all[TOKENS], keep[TOKENS];
    memset(all, 1, sizeof all);
    for (int step = 1; step < 10; step++) {
        float logits[TOKENS];
        double chances[TOKENS];
        some_logits(logits, (uint32_t)step);
        softmax(logits, 1, all, chances);
        keep_share(chances, chances, step / 10.0, keep);
        expect_draws((sat_sampling){.temperature = 1, .top_p = (float)step / 10, .seed = 6}, logits,
                     keep);
    }
}

static void typical_keeps_the_expected(void **state) {
    bool all[TOKENS], keep[TOKENS];
    memset(all, 1, sizeof all);
    for (int step = 2; step < 10; step++) {
        float logits[TOKENS];
        double chances[TOKENS], keys[TOKENS], entropy = 0;
        some_logits(logits, (uint32_t)step);
        softmax(logits, 1, all, chances);
        for (int i = 0; i < TOKENS; i++)
            entropy -= chances[i] * log(chances[i]);
        for (int i = 0; i < TOKENS; i++)
            keys[i] = -fabs(-log(chances[i]) - entropy);
        keep_share(keys, chances, step / 10.0, keep);
        expect_draws((sat_sampling){.temperature = 1, .typical_p = (float)step / 10, .seed = 6},
                     logits, keep);
    }
}

static void min_p_keeps_those_near_the_best(void **state) {
    float logits[TOKENS], largest = -100;
    bool keep[TOKENS];
    some_logits(logits, 4);
    for (int i = 0; i < TOKENS; i++)
        largest = fmaxf(largest, logits[i]);
    for (int step = 1; step < 10; step++) {
        for (int i = 0; i < TOKENS; i++)
            keep[i] = exp((double)logits[i] - (double)largest) >= (double)((float)step / 10);
        expect_draws((sat_sampling){.temperature = 1, .min_p = (float)step / 10, .seed = 8}, logits,
                     keep);
    }
}

static void penalties_reach_back(void **state) {
    float logits[TOKENS] = {0};
    logits[1] = 4, logits[2] = 3, logits[3] = -1;
    sat_sampler *sampler = open_sampler((sat_sampling){.repetition = 2, .penalty_window = 3});
    assert_int_equal(choose(sampler, logits), 1);
    assert_int_equal(sat_sampler_see(sampler, 1, &error), 0); /* 4 / 2 < 3 */
    assert_int_equal(choose(sampler, logits), 2);
    for (int i = 0; i < 3; i++)
        assert_int_equal(sat_sampler_see(sampler, 5, &error), 0);
    assert_int_equal(choose(sampler, logits), 1); /* out of the window */
    assert_int_equal(sat_sampler_see(sampler, TOKENS, &error), SATCHEL_INVALID_ARGUMENT);
    sat_sampler_close(&sampler);
    sampler = open_sampler((sat_sampling){.frequency = 0.5F, .penalty_window = -1});
    assert_int_equal(sat_sampler_see(sampler, 1, &error), 0);
    assert_int_equal(choose(sampler, logits), 1); /* 3.5 */
    for (int i = 0; i < 200; i++)
        assert_int_equal(sat_sampler_see(sampler, i % 2 ? 1 : 40, &error), 0);
    assert_int_equal(choose(sampler, logits), 2);
    sat_sampler_close(&sampler);
    sampler = open_sampler((sat_sampling){.presence = 1.5F});
    assert_int_equal(sat_sampler_see(sampler, 1, &error), 0);
    assert_int_equal(choose(sampler, logits), 2);
    sat_sampler_close(&sampler);
}

static void biases_are_added(void **state) {
    float logits[TOKENS] = {0};
    const int32_t tokens[] = {4, 1};
    const float biases[] = {2, -INFINITY};
    logits[1] = 5, logits[2] = 1;
    sat_sampler *sampler =
        open_sampler((sat_sampling){.bias_tokens = tokens, .biases = biases, .bias_count = 2});
    assert_int_equal(choose(sampler, logits), 4);
    sat_sampler_close(&sampler);
}

static void seeds_repeat(void **state) {
    float logits[TOKENS];
    int differ = 0;
    some_logits(logits, 9);
    sat_sampling sampling = {.temperature = 1, .top_p = 0.9F, .typical_p = 0.95F, .seed = 42};
    sat_sampler *a = open_sampler(sampling), *b = open_sampler(sampling);
    sampling.seed = 43;
    sat_sampler *c = open_sampler(sampling);
    for (int i = 0; i < 200; i++) {
        int32_t token = choose(a, logits);
        assert_int_equal(token, choose(b, logits));
        differ += token != choose(c, logits);
    }
    assert_true(differ > 50);
    sat_sampler_close(&a);
    sat_sampler_close(&b);
    sat_sampler_close(&c);
}

static void a_matcher_limits_the_choice(void **state) {
    const char *text[TOKENS];
    size_t lengths[TOKENS];
    static char bytes[TOKENS];
    for (int i = 0; i < TOKENS; i++) {
        bytes[i] = (char)('a' + i);
        text[i] = &bytes[i];
        lengths[i] = 1;
    }
    sat_lexicon *lexicon = NULL;
    sat_grammar *grammar = NULL;
    sat_matcher *matcher = NULL;
    static const char rule[] = "root ::= [bd]{3}";
    assert_int_equal(
        sat_lexicon_from_bytes(&lexicon, context, text, lengths, NULL, TOKENS - 5, &error), 0);
    assert_int_equal(sat_grammar_from_gbnf(&grammar, context, rule, sizeof rule - 1, &error), 0);
    assert_int_equal(sat_matcher_open(&matcher, context, grammar, lexicon, 0, &error), 0);
    float logits[TOKENS];
    sat_sampler *sampler = open_sampler((sat_sampling){.temperature = 1, .seed = 3});
    for (int i = 0; i < 3; i++) {
        int32_t token;
        some_logits(logits, (uint32_t)i);
        logits[TOKENS - 1] = 100; /* not in the lexicon */
        assert_int_equal(sat_sampler_choose(sampler, logits, matcher, &token, &error), 0);
        assert_true(token == 1 || token == 3);
        assert_int_equal(sat_matcher_accept(matcher, token, &error), 0);
    }
    assert_true(sat_matcher_finished(matcher));
    sat_sampler_close(&sampler);
    sat_matcher_close(&matcher);
    sat_grammar_close(&grammar);
    sat_lexicon_close(&lexicon);
}

static void what_is_wrong_is_named(void **state) {
    const int32_t outside = TOKENS;
    const float zero = 0;
    const struct {
        sat_sampling sampling;
        const char *part;
    } cases[] = {
        {{.temperature = -1}, "temperature"},
        {{.temperature = NAN}, "temperature"},
        {{.top_k = -1}, "top_k"},
        {{.top_p = 1.5F}, "top_p"},
        {{.min_p = -0.1F}, "min_p"},
        {{.typical_p = NAN}, "typical_p"},
        {{.repetition = -1}, "repetition"},
        {{.frequency = INFINITY}, "penalty"},
        {{.penalty_window = -2}, "penalty_window"},
        {{.bias_tokens = &outside, .biases = &zero, .bias_count = 1}, "biased token"},
    };
    sat_sampler *sampler = NULL;
    for (size_t i = 0; i < SAT_COUNT(cases); i++) {
        assert_int_equal(sat_sampler_open(&sampler, context, TOKENS, &cases[i].sampling, &error),
                         SATCHEL_INVALID_ARGUMENT);
        assert_non_null(strstr(error.message, cases[i].part));
        assert_null(sampler);
    }
    for (int greedy = 0; greedy < 2; greedy++) {
        float logits[TOKENS];
        int32_t token;
        sampler = open_sampler((sat_sampling){.temperature = (float)!greedy});
        some_logits(logits, 1);
        logits[12] = NAN;
        assert_int_equal(sat_sampler_choose(sampler, logits, NULL, &token, &error),
                         SATCHEL_INVALID_ARGUMENT);
        assert_non_null(strstr(error.message, "token 12"));
        for (int i = 0; i < TOKENS; i++)
            logits[i] = -INFINITY;
        assert_int_equal(sat_sampler_choose(sampler, logits, NULL, &token, &error),
                         SATCHEL_INVALID_ARGUMENT);
        assert_int_equal(token, -1);
        sat_sampler_close(&sampler);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_takes_the_first_of_the_largest),
        cmocka_unit_test(temperature_shapes_the_draws),
        cmocka_unit_test(top_k_keeps_the_likeliest),
        cmocka_unit_test(top_p_keeps_a_share),
        cmocka_unit_test(typical_keeps_the_expected),
        cmocka_unit_test(min_p_keeps_those_near_the_best),
        cmocka_unit_test(penalties_reach_back),
        cmocka_unit_test(biases_are_added),
        cmocka_unit_test(seeds_repeat),
        cmocka_unit_test(a_matcher_limits_the_choice),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
