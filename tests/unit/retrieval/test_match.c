/* Where a query matches a text, and the snippet to show. */
#include "tests/unit/base/failing.h"
#include "tests/unit/retrieval/reading.h"

/* ------------------------------------------------------------------ helpers */

typedef struct matcher {
    satchel_context *context;
    sat_terms *terms;
    sat_query_terms query;
    sat_matches matches;
} matcher;

static matcher match(satchel_context *context, const char *query, const char *text, size_t length) {
    matcher m = {.context = context};
    assert_int_equal(sat_terms_open(&m.terms, &context->memory, NULL), SATCHEL_OK);
    assert_int_equal(sat_query_terms_make(&m.query, m.terms, query, strlen(query), NULL),
                     SATCHEL_OK);
    assert_int_equal(
        sat_matches_find(&m.matches, &context->memory, m.terms, &m.query, text, length, NULL),
        SATCHEL_OK);
    return m;
}

static void free_matcher(matcher *m) {
    sat_free(&m->context->memory, m->matches.items);
    sat_query_terms_free(&m->query);
    sat_terms_close(&m->terms);
}

/* The text with its matches in brackets. */
static void expect_matches(satchel_context *context, const char *query, const char *text,
                           const char *expected) {
    matcher m = match(context, query, text, strlen(text));
    char have[1024] = "";
    size_t at = 0;
    for (size_t i = 0; i < m.matches.count; i++) {
        const sat_match *item = &m.matches.items[i];
        assert_true(item->start >= at && item->start < item->end && item->end <= strlen(text));
        assert_true(item->term >= 0 && (size_t)item->term < m.query.count);
        sprintf(have + strlen(have), "%.*s[%.*s]", (int)(item->start - at), text + at,
                (int)(item->end - item->start), text + item->start);
        at = item->end;
    }
    strcat(have, text + at);
    if (strcmp(have, expected) != 0)
        fail_msg("%s, not %s", have, expected);
    free_matcher(&m);
}

static void expect_snippet(satchel_context *context, const char *query, const char *text,
                           size_t target, const char *expected) {
    matcher m = match(context, query, text, strlen(text));
    size_t start, end;
    sat_snippet_choose(text, strlen(text), &m.matches, target, &start, &end);
    assert_true(start <= end && end <= strlen(text));
    if (end - start != strlen(expected) || memcmp(text + start, expected, end - start) != 0)
        fail_msg("\"%.*s\", not \"%s\"", (int)(end - start), text + start, expected);
    free_matcher(&m);
}

/* ------------------------------------------------------------------ matches */

static void matches_are_the_words_as_they_stand(void **state) {
#ifdef SATCHEL_HAVE_STEMMERS
    expect_matches(*state, "run cafe", "Running to the CAF\xC3\x89s, runs.",
                   "[Running] to the [CAF\xC3\x89s], [runs].");
#endif
    expect_matches(*state, "cafe", "To the CAF\xC3\x89.", "To the [CAF\xC3\x89].");
    expect_matches(*state, "x", "no such", "no such");
    expect_matches(*state, "", "text", "text");
    expect_matches(*state, "x", "", "");
    expect_matches(*state, "fi", "a \xEF\xAC\x81 b", "a [\xEF\xAC\x81] b");
}

static void words_of_a_prefix_class_match(void **state) {
    expect_matches(*state, "Regierung", "Die Regierungen regieren", "Die [Regierungen] [regieren]");
    expect_matches(*state, "Regie", "Regierung", "Regierung"); /* too short for a class */
}

static void pairs_merge_and_lone_characters_match(void **state) {
    expect_matches(*state, "\xE5\x8C\x97\xE4\xBA\xAC\xE5\xB8\x82",
                   "\xE5\x9C\xA8\xE5\x8C\x97\xE4\xBA\xAC\xE5\xB8\x82\xE9\x87\x8C",
                   "\xE5\x9C\xA8[\xE5\x8C\x97\xE4\xBA\xAC\xE5\xB8\x82]\xE9\x87\x8C");
    expect_matches(*state, "\xE7\x8C\xAB",
                   "\xE6\x88\x91\xE5\x96\x9C\xE7\x8C\xAB, \xE7\x8C\xAB\xE5\x96\x9C; \xE7\x8C\xAB",
                   "\xE6\x88\x91\xE5\x96\x9C[\xE7\x8C\xAB], [\xE7\x8C\xAB]\xE5\x96\x9C; "
                   "[\xE7\x8C\xAB]");
}

/* ------------------------------------------------------------------ snippets */

#define FIRST "The harbour lies in the west of the town and freezes in winter. "
#define SECOND "Ships from the islands bring timber and fish to it every week. "
#define THIRD "The lighthouse keeper paints the walls of his house in spring. "
#define FOURTH "A road leads to the quarry behind the hill, where nobody works."

static void a_short_text_is_its_own_snippet(void **state) {
    expect_snippet(*state, "harbour", "  In short.  ", 240, "In short.");
    expect_snippet(*state, "x", "", 240, "");
}

static void a_snippet_is_where_most_terms_are(void **state) {
    static const char text[] = FIRST SECOND THIRD FOURTH;
    expect_snippet(*state, "lighthouse keeper walls the of", text, 64,
                   "The lighthouse keeper paints the walls of his house in spring.");
    expect_snippet(*state, "quarry hill", text, 70,
                   "A road leads to the quarry behind the hill, where nobody works.");
    expect_snippet(*state, "timber", text, 130,
                   "Ships from the islands bring timber and fish to it every week. "
                   "The lighthouse keeper paints the walls of his house in spring.");
}

static void a_snippet_without_matches_is_the_beginning(void **state) {
    static const char text[] = FIRST SECOND THIRD;
    expect_snippet(*state, "nothing", text, 140,
                   "The harbour lies in the west of the town and freezes in winter. "
                   "Ships from the islands bring timber and fish to it every week.");
    expect_snippet(*state, "nothing", text, 40, "The harbour lies in the west of the town");
}

/* Whatever the text: within it, on borders of characters, not much longer than asked for, around
 * the match that is there. */
static void snippets_keep_their_bounds(void **state) {
    static const char *const words[] = {"word",
                                        "a",
                                        "zebra",
                                        "other.",
                                        "\n\n",
                                        "x,",
                                        "\xE5\x8C\x97",
                                        "\xE4\xBA\xAC\xE3\x80\x82",
                                        "\xC3\xA9\xC3\xA9",
                                        "supercalifragilisticexpialidocious",
                                        "\xF0\x9F\x98\x80"};
    uint64_t seed = 51;
    static char text[8192];
    for (int round = 0; round < 1500; round++) {
        size_t length = 0, count = test_random(&seed) % 200, target = 8 + test_random(&seed) % 300;
        for (size_t i = 0; i < count; i++) {
            const char *word = words[test_random(&seed) % SAT_COUNT(words)];
            length +=
                (size_t)sprintf(text + length, "%s%s", word, test_random(&seed) % 4 ? " " : "");
        }
        matcher m = match(*state, "zebra \xE5\x8C\x97\xE4\xBA\xAC word", text, length);
        size_t start, end;
        sat_snippet_choose(text, length, &m.matches, target, &start, &end);
        assert_true(start <= end && end <= length && end - start <= target);
        assert_int_equal(sat_utf8_border(text, length, start), start);
        assert_int_equal(sat_utf8_border(text, length, end), end);
        bool shows = m.matches.count == 0;
        for (size_t i = 0; i < m.matches.count; i++)
            shows |= m.matches.items[i].start < end && m.matches.items[i].end > start;
        if (!shows)
            fail_msg("[%zu,%zu) of target %zu shows no match in \"%.*s\"", start, end, target,
                     (int)length, text);
        free_matcher(&m);
    }
}

typedef struct question {
    sat_terms *terms;
    sat_query_terms query;
} question;

static satchel_status find(sat_memory *memory, void *user) {
    static const char text[] = "one two one two one two one two one two one two one two";
    const question *asked = user;
    sat_matches matches = {0};
    satchel_status status =
        sat_matches_find(&matches, memory, asked->terms, &asked->query, text, strlen(text), NULL);
    sat_free(memory, matches.items);
    return status;
}

static void memory_failures_are_told(void **state) {
    satchel_context *context = *state;
    question asked;
    assert_int_equal(sat_terms_open(&asked.terms, &context->memory, NULL), SATCHEL_OK);
    assert_int_equal(sat_query_terms_make(&asked.query, asked.terms, "two", 3, NULL), SATCHEL_OK);
    fail_memory(find, &asked);
    sat_query_terms_free(&asked.query);
    sat_terms_close(&asked.terms);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_are_the_words_as_they_stand),
        cmocka_unit_test(words_of_a_prefix_class_match),
        cmocka_unit_test(pairs_merge_and_lone_characters_match),
        cmocka_unit_test(a_short_text_is_its_own_snippet),
        cmocka_unit_test(a_snippet_is_where_most_terms_are),
        cmocka_unit_test(a_snippet_without_matches_is_the_beginning),
        cmocka_unit_test(snippets_keep_their_bounds),
        cmocka_unit_test(memory_failures_are_told),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
