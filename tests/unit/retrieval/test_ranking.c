/* How hits rank: scales, stores of a few notes, question words, and scripts without spaces. */
#include "tests/unit/retrieval/fixture.h"

#include <math.h>

static void from_64_values_on_a_scale_is_mean_and_deviation(void **state) {
    float values[65];
    for (size_t i = 0; i < 65; i++)
        values[i] = i % 2 ? 3 : 1;
    sat_scale scale = sat_scale_of(values, NULL, 64, 100);
    assert_true(fabs(scale.mean - 2) < 1e-9 && fabs(scale.deviation - 1) < 1e-9);
    values[64] = NAN; /* not known: does not count */
    scale = sat_scale_of(values, NULL, 65, 100);
    assert_true(fabs(scale.mean - 2) < 1e-9 && fabs(scale.deviation - 1) < 1e-9);
}

static void among_fewer_the_prior_counts_the_more_the_fewer(void **state) {
    float values[64];
    double before = INFINITY;
    for (size_t i = 0; i < 64; i++)
        values[i] = i % 2 ? 3 : 1;
    for (size_t count = 2; count <= 64; count += 2) {
        double deviation = sat_scale_of(values, NULL, count, 5).deviation;
        assert_true(deviation < before && deviation >= 1);
        before = deviation;
    }
    /* 32 values of variance 1 and 4 of variance 25. */
    assert_true(fabs(sat_scale_of(values, NULL, 32, 5).deviation - sqrt(132 / 36.0)) < 1e-9);
}

/* The first hit of a hybrid search. */
static void expect_first(fixture *f, const char *query, const char *id) {
    satchel_results *results = fixture_search(f, query, SATCHEL_SEARCH_HYBRID, NULL);
    satchel_hit hit;
    assert_true(sat_results_count(results) > 0);
    fixture_fine(f, sat_results_get(results, 0, &hit, &f->error));
    if (strcmp(hit.document_id, id) != 0)
        fail_msg("'%s' finds %s first, not %s", query, hit.document_id, id);
    assert_true(isfinite(hit.score));
    sat_results_close(&results);
}

static void a_store_of_a_few_notes_finds_the_right_one(void **state) {
    fixture *f = *state;
    fixture_add(f, "lease", "The lease of the flat ends on 31 March.");
    expect_first(f, "When the lease ends", "lease");
    fixture_add(f, "bread", "Bread wants flour, water, salt and time.");
    expect_first(f, "When the lease ends", "lease");
    expect_first(f, "What bread wants", "bread");
    fixture_add(f, "train", "The night train to Vienna leaves at nine.");
    expect_first(f, "When the lease ends", "lease");
    expect_first(f, "What bread wants", "bread");
    expect_first(f, "When the train leaves", "train");
    expect_first(f, "vienna", "train");
}

/* Words that every note has say nothing, however few notes there are. */
static void a_rare_word_beats_common_ones(void **state) {
    fixture *f = *state;
    fixture_add(f, "a", "What is to be done about the house and the garden in the spring.");
    fixture_add(f, "b",
                "What is to be done about the house and the garden in the autumn, briefly.");
    expect_first(f, "what is to be done about the house in autumn", "b");
    expect_first(f, "spring", "a");
}

static void question_words_do_not_decide(void **state) {
    fixture *f = *state;
    fixture_add(f, "asks", "Wofür? Wofür nur? Wer, wie, was, wofür.");
    fixture_add(f, "answers", "Das Geld ist für die Miete.");
    for (int i = 0; i < 3; i++) {
        static const char *const questions[] = {"Wofür ist das Geld?", "WOFUR ist das Geld?",
                                                "Wofu\xCC\x88r ist Geld?"};
        fixture_expect_hits(f, questions[i], SATCHEL_SEARCH_KEYWORD, NULL, "answers asks");
    }
}

static void typed_without_marks_it_is_found(void **state) {
    fixture *f = *state;
    fixture_add(f, "a", "Die Brücke führt über den Fluß.");
    fixture_add(f, "b", "Der Weg durch den Wald.");
    fixture_expect_hits(f, "brucke", SATCHEL_SEARCH_KEYWORD, NULL, "a");
    fixture_expect_hits(f, "FUHRT", SATCHEL_SEARCH_KEYWORD, NULL, "a");
    fixture_expect_hits(f, "fluss", SATCHEL_SEARCH_KEYWORD, NULL, "a");
}

/* The bytes that a query's first match covers in the only hit for a document. */
static void expect_match(fixture *f, const char *query, const char *filter, int64_t start,
                         int64_t end) {
    satchel_results *results = fixture_search(f, query, SATCHEL_SEARCH_KEYWORD, filter);
    satchel_range range;
    assert_int_equal(sat_results_count(results), 1);
    fixture_fine(f, sat_results_match(results, 0, 0, &range, &f->error));
    assert_int_equal(range.start, start);
    assert_int_equal(range.end, end);
    sat_results_close(&results);
}

static void one_character_is_found_wherever_it_stands(void **state) {
    fixture *f = *state;
    fixture_add(f, "first", "猫が好き");
    fixture_add(f, "last", "白猫");
    fixture_add(f, "middle", "黒猫と犬");
    fixture_add(f, "alone", "A word: 猫!");
    fixture_add(f, "none", "犬が好き");
    satchel_results *results = fixture_search(f, "猫", SATCHEL_SEARCH_KEYWORD, NULL);
    assert_int_equal(sat_results_count(results), 4);
    sat_results_close(&results);
    expect_match(f, "猫", "{\"path\":\"first\"}", 0, 3);
    expect_match(f, "猫", "{\"path\":\"last\"}", 3, 6);
    expect_match(f, "猫", "{\"path\":\"middle\"}", 3, 6);
    expect_match(f, "猫", "{\"path\":\"alone\"}", 8, 11);
    fixture_expect_hits(f, "白猫", SATCHEL_SEARCH_KEYWORD, NULL, "last");
    fixture_fine(f, sat_store_remove(f->store, "last", &f->error));
    results = fixture_search(f, "猫", SATCHEL_SEARCH_KEYWORD, NULL);
    assert_int_equal(sat_results_count(results), 3);
    sat_results_close(&results);
    fixture_verify(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_64_values_on_a_scale_is_mean_and_deviation),
        cmocka_unit_test(among_fewer_the_prior_counts_the_more_the_fewer),
#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        STORE_TEST(a_store_of_a_few_notes_finds_the_right_one),
        STORE_TEST(a_rare_word_beats_common_ones),
        STORE_TEST(question_words_do_not_decide),
        STORE_TEST(typed_without_marks_it_is_found),
        STORE_TEST(one_character_is_found_wherever_it_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
