/* Sentences that answer: scores and confidence against values computed by hand, what counts as covered, and
 * what is not quoted twice. */
#include "tests/unit/retrieval/context_unit.h"

#include <math.h>
#include <string.h>

#include "retrieval/extract.h"

enum { MOST_TERMS = 32 };

/* A question, its passages, and what was extracted. */
typedef struct asked {
    satchel_context *context;
    sat_terms *terms;
    sat_query_terms query;
    float idf[MOST_TERMS];
    sat_question question;
    sat_passage passages[4];
    size_t count;
    sat_extract found;
} asked;

static void ask(asked *a, satchel_context *context, const char *question) {
    memset(a, 0, sizeof *a);
    a->context = context;
    assert_int_equal(sat_terms_open(&a->terms, &context->memory, NULL), SATCHEL_OK);
    assert_int_equal(sat_query_terms_make(&a->query, a->terms, question, strlen(question), NULL),
                     SATCHEL_OK);
    assert_true(a->query.count <= MOST_TERMS);
    for (size_t i = 0; i < a->query.count; i++)
        a->idf[i] = 1;
    a->question = (sat_question){
        .text = question, .length = strlen(question), .terms = &a->query, .idf = a->idf};
}

static void give(asked *a, const char *lead, const char *text, float fused) {
    a->passages[a->count++] = (sat_passage){.text = text,
                                            .length = strlen(text),
                                            .lead = lead,
                                            .lead_length = strlen(lead),
                                            .fused = fused};
}

static void extract(asked *a) {
    assert_int_equal(sat_extract_sentences(&a->found, a->context, &a->question, a->passages,
                                           a->count, a->terms, NULL, NULL),
                     SATCHEL_OK);
}

static void done(asked *a) {
    sat_extract_free(&a->found, a->context);
    sat_query_terms_free(&a->query);
    sat_terms_close(&a->terms);
}

static void expect(const asked *a, size_t rank, const char *text, double score) {
    assert_true(rank < a->found.count);
    const sat_sentence *sentence = &a->found.sentences[rank];
    assert_int_equal(sentence->end - sentence->start, strlen(text));
    assert_memory_equal(a->passages[sentence->passage].text + sentence->start, text, strlen(text));
    if (fabs(sentence->score - score) > 1e-5)
        fail_msg("\"%s\" scores %.6f, not %.6f", text, (double)sentence->score, score);
}

static void expect_confidence(const asked *a, double confidence) {
    if (fabs(a->found.confidence - confidence) > 1e-5)
        fail_msg("confidence %.6f, not %.6f", (double)a->found.confidence, confidence);
}

static void terms_alone_score_by_the_formula(void **state) {
    asked a;
    ask(&a, *state, "red fox sleeps"); /* weights 1/4, 1/4, 1/2 */
    a.idf[2] = 2;
    give(&a, "", "The red fox runs. It sleeps at night.", 4);
    give(&a, "", "A fox.", 1);
    extract(&a);
    assert_int_equal(a.found.count, 3);
    expect(&a, 0, "It sleeps at night.", 0.5 * (0.5 + 1 + 1));
    expect(&a, 1, "The red fox runs.", 0.5 * (0.5 + 0.5 + 1));
    expect(&a, 2, "A fox.", 0.5 * (0.25 + 0.25 + 0.25));
    expect_confidence(&a, (1 + 1) / 2.0); /* of the first: cov2 1, covC 1 */
    done(&a);
}

static void confidence_is_that_of_the_best_supported_sentence(void **state) {
    asked a;
    ask(&a, *state, "red fox sleeps");
    give(&a, "", "A red bird. It is far from here. It sang. A fox.", 1);
    extract(&a);
    /* covC is 2/3 for all; cov2 is 1/3 where one of the words stands. */
    expect_confidence(&a, (1 / 3.0 + 2 / 3.0) / 2);
    done(&a);
}

static void the_sentence_before_the_passage_counts(void **state) {
    asked a;
    ask(&a, *state, "red fox sleeps");
    give(&a, "Something else. The red fox ran.", "It sleeps.", 1);
    extract(&a);
    assert_int_equal(a.found.count, 1);
    expect(&a, 0, "It sleeps.", 0.5 * (1 / 3.0 + 1 + 1));
    expect_confidence(&a, (1 + 1 / 3.0) / 2); /* the passage itself covers a third */
    done(&a);
}

/* Vectors by a word of the text: "near" lies at the question, "half" at cosine 0.6, others at 0. */
static satchel_status embed_words(void *user, int32_t role, const satchel_text *texts, size_t n,
                                  float *out, const satchel_cancel *cancel) {
    *(size_t *)user += n;
    for (size_t i = 0; i < n; i++) {
        char text[256];
        assert_true(texts[i].length < sizeof text);
        memcpy(text, texts[i].data, texts[i].length);
        text[texts[i].length] = '\0';
        float cosine = strstr(text, "near") ? 1 : strstr(text, "half") ? 0.6f : 0;
        out[2 * i] = cosine;
        out[2 * i + 1] = sqrtf(1 - cosine * cosine);
    }
    return SATCHEL_OK;
}

static const float question_vector[2] = {1, 0};

static void use_embedder(asked *a, satchel_embedder *embedder, size_t *embedded, float share) {
    *embedded = 0;
    *embedder = (satchel_embedder){.struct_size = sizeof *embedder,
                                   .user = embedded,
                                   .id = "words",
                                   .dimension = 2,
                                   .max_tokens = 64,
                                   .embed = embed_words};
    a->question.embedder = embedder;
    a->question.vector = question_vector;
    a->question.share = share;
}

static void cosines_count_by_the_square_of_the_share(void **state) {
    asked a;
    satchel_embedder embedder;
    size_t embedded;
    ask(&a, *state, "red fox");
    use_embedder(&a, &embedder, &embedded, 0.5f); /* g is 1/4 */
    give(&a, "", "The half moon. A near red sky.", 2);
    extract(&a);
    assert_int_equal(embedded, 3); /* the first sentence, the second, both as one text */
    assert_int_equal(a.found.count, 2);
    expect(&a, 0, "A near red sky.", 0.6 * 0.25 * (1 + 1) + 0.5 * (0.5 + 0.5 + 1));
    expect(&a, 1, "The half moon.", 0.6 * 0.25 * (0.6 + 0.6) + 0.5 * (0 + 0 + 1));
    expect_confidence(&a, (0.25 * 2 + 0.5 + 0.5) / 2.5);
    done(&a);
}

static void a_share_of_nothing_needs_no_vectors(void **state) {
    asked a;
    satchel_embedder embedder;
    size_t embedded;
    ask(&a, *state, "red fox");
    use_embedder(&a, &embedder, &embedded, 0);
    give(&a, "", "A near red sky.", 2);
    extract(&a);
    assert_int_equal(embedded, 0);
    expect(&a, 0, "A near red sky.", 0.5 * (0.5 + 0.5 + 1));
    done(&a);
}

static void few_sentences_are_embedded(void **state) {
    asked a;
    satchel_embedder embedder;
    size_t embedded;
    char text[4096] = "";
    for (int i = 0; i < 80; i++) /* all alike to the question, all different */
        snprintf(text + strlen(text), sizeof text - strlen(text), "Word%d and thing%d. ", i, i);
    ask(&a, *state, "red fox");
    use_embedder(&a, &embedder, &embedded, 1);
    give(&a, "", text, 2);
    extract(&a);
    assert_int_equal(embedded, 2 * SAT_EXTRACT_EMBEDDED - 1);
    assert_int_equal(a.found.count, SAT_EXTRACT_EMBEDDED);
    done(&a);
}

static void a_near_form_counts_less(void **state) {
    asked a;
    ask(&a, *state, "Regierung"); /* no stemmer for German: five letters in common */
    give(&a, "", "Die Regierungen tagen.", 1);
    extract(&a);
    expect(&a, 0, "Die Regierungen tagen.", 0.5 * (0.7 + 0.7 + 1));
    expect_confidence(&a, 0.7);
    done(&a);
}

static void words_that_ask_count_little(void **state) {
    asked a;
    ask(&a, *state, "Who sang?"); /* 0.2 and 1 */
    give(&a, "", "She sang. Who?", 1);
    extract(&a);
    expect(&a, 0, "She sang.", 0.5 * (1 / 1.2 + 1 / 1.2 + 1));
    done(&a);
}

static void without_spaces_characters_are_covered(void **state) {
    asked a;
    ask(&a, *state, "北京大学"); /* four characters, three pairs */
    give(&a, "", "北京。", 1);
    extract(&a);
    expect(&a, 0, "北京。", 0.5 * (0.5 + 0.5 + 1));
    done(&a);

    ask(&a, *state, "什么大学"); /* the pair 么大 says nothing; 什 and 么 weigh 0.2 each */
    give(&a, "", "大学很好。", 1);
    extract(&a);
    expect(&a, 0, "大学很好。", 0.5 * (2 / 2.4 + 2 / 2.4 + 1));
    done(&a);
}

static void what_was_said_is_not_said_again(void **state) {
    asked a;
    ask(&a, *state, "red fox");
    give(&a, "", "The red fox sleeps in its den today.", 3);
    give(&a, "", "The red fox sleeps in its den today, too.", 2); /* all terms of the shorter */
    give(&a, "", "The red fox hunts at night.", 1);
    extract(&a);
    assert_int_equal(a.found.count, 2);
    assert_int_equal(a.found.sentences[0].passage, 0);
    assert_int_equal(a.found.sentences[1].passage, 2);
    done(&a);
}

/* Behind a filter even the best passage may lie below the mean of the store. */
static void passages_below_the_mean_are_ranked_by_their_sentences(void **state) {
    static const float fused[][2] = {{-0.5f, -2}, {0, 0}, {0, -1}};
    for (size_t i = 0; i < SAT_COUNT(fused); i++) {
        asked a;
        ask(&a, *state, "red fox");
        give(&a, "", "A red sky.", fused[i][0]);
        give(&a, "", "The red fox.", fused[i][1]);
        extract(&a);
        assert_int_equal(a.found.count, 2);
        expect(&a, 0, "The red fox.", 0.5 * (1 + 1));
        expect(&a, 1, "A red sky.", 0.5 * (0.5 + 0.5));
        expect_confidence(&a, 1);
        done(&a);
    }
}

static void nothing_gives_nothing(void **state) {
    asked a;
    ask(&a, *state, "red fox");
    extract(&a);
    assert_int_equal(a.found.count, 0);
    expect_confidence(&a, 0);
    give(&a, "", "  \n ", 1);
    extract(&a);
    assert_int_equal(a.found.count, 0);
    done(&a);
    ask(&a, *state, "?!");
    give(&a, "", "A red sky.", 1);
    extract(&a);
    expect_confidence(&a, 0);
    done(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(terms_alone_score_by_the_formula),
        cmocka_unit_test(confidence_is_that_of_the_best_supported_sentence),
        cmocka_unit_test(the_sentence_before_the_passage_counts),
        cmocka_unit_test(cosines_count_by_the_square_of_the_share),
        cmocka_unit_test(a_share_of_nothing_needs_no_vectors),
        cmocka_unit_test(few_sentences_are_embedded),
        cmocka_unit_test(a_near_form_counts_less),
        cmocka_unit_test(words_that_ask_count_little),
        cmocka_unit_test(without_spaces_characters_are_covered),
        cmocka_unit_test(what_was_said_is_not_said_again),
        cmocka_unit_test(passages_below_the_mean_are_ranked_by_their_sentences),
        cmocka_unit_test(nothing_gives_nothing),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
