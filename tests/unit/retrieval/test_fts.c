/* Keyword search: FTS5 with our tokenizer, and BM25 against a direct computation. */
#include "tests/unit/base/failing.h"
#include "tests/unit/retrieval/reading.h"

#include <math.h>
#include <sqlite3.h>

/* ------------------------------------------------------------------ helpers */

typedef struct row {
    int document;
    const char *title, *heading, *body;
} row;

typedef struct index_fixture {
    satchel_context *context;
    sqlite3 *db;
    sat_terms *terms;
    size_t count;
    float lengths[512];
    uint8_t joined[512];
} index_fixture;

static void run_sql(sqlite3 *db, const char *sql) {
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    return statement;
}

/* Rows of one document stand together; chunk i has rowid i + 1. */
static index_fixture make_index(satchel_context *context, const row *rows, size_t count) {
    index_fixture f = {.context = context, .count = count};
    assert_true(count <= 512);
    assert_int_equal(sqlite3_open(":memory:", &f.db), SQLITE_OK);
    assert_int_equal(sat_fts_register(f.db, &context->memory, NULL), SATCHEL_OK);
    assert_int_equal(sat_terms_open(&f.terms, &context->memory, NULL), SATCHEL_OK);
    run_sql(f.db, "CREATE TABLE chunk_text(id INTEGER PRIMARY KEY, title, heading, body);"
                  "CREATE VIRTUAL TABLE chunk_fts USING fts5(title, heading, body, "
                  "content='chunk_text', content_rowid='id', tokenize='satchel')");
    sqlite3_stmt *text = prepare(f.db, "INSERT INTO chunk_text VALUES (?1, ?2, ?3, ?4)");
    sqlite3_stmt *index =
        prepare(f.db, "INSERT INTO chunk_fts(rowid, title, heading, body) VALUES (?1, ?2, ?3, ?4)");
    for (size_t i = 0; i < count; i++) {
        sqlite3_stmt *both[] = {text, index};
        for (int s = 0; s < 2; s++) {
            sqlite3_bind_int64(both[s], 1, (sqlite3_int64)i + 1);
            sqlite3_bind_text(both[s], 2, rows[i].title ? rows[i].title : "", -1, SQLITE_STATIC);
            sqlite3_bind_text(both[s], 3, rows[i].heading ? rows[i].heading : "", -1,
                              SQLITE_STATIC);
            sqlite3_bind_text(both[s], 4, rows[i].body, -1, SQLITE_STATIC);
            assert_int_equal(sqlite3_step(both[s]), SQLITE_DONE);
            sqlite3_reset(both[s]);
        }
        f.joined[i] = i > 0 && rows[i].document == rows[i - 1].document;
    }
    sqlite3_finalize(text);
    sqlite3_finalize(index);
    sqlite3_stmt *sizes = prepare(f.db, "SELECT id, sz FROM chunk_fts_docsize ORDER BY id");
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(sqlite3_step(sizes), SQLITE_ROW);
        assert_int_equal(sqlite3_column_int64(sizes, 0), i + 1);
        f.lengths[i] =
            sat_fts_length(sqlite3_column_blob(sizes, 1), (size_t)sqlite3_column_bytes(sizes, 1));
        assert_true(f.lengths[i] >= 0);
    }
    sqlite3_finalize(sizes);
    run_sql(f.db, "INSERT INTO chunk_fts(chunk_fts) VALUES('integrity-check')");
    return f;
}

static void free_index(index_fixture *f) {
    sat_terms_close(&f->terms);
    assert_int_equal(sqlite3_close(f->db), SQLITE_OK);
}

/* Scores of all rows; weights, when given, replace those of the query's terms. */
static void search(index_fixture *f, const char *text, float *scores, float *idf,
                   const float *weights) {
    sat_query_terms query;
    sat_bm25 *bm25;
    satchel_error error;
    assert_int_equal(sat_query_terms_make(&query, f->terms, text, strlen(text), NULL), SATCHEL_OK);
    for (size_t i = 0; weights && i < query.count; i++)
        query.items[i].weight = weights[i];
    assert_int_equal(sat_bm25_open(&bm25, &f->context->memory, &query, NULL), SATCHEL_OK);
    sat_buffer match;
    sat_buffer_init(&match, &f->context->memory);
    assert_true(sat_query_terms_match(&query, &match));
    if (match.length > 0) {
        sqlite3_stmt *find =
            prepare(f->db, "SELECT rowid, satchel_counts(chunk_fts) FROM chunk_fts "
                           "WHERE chunk_fts MATCH ?1");
        sqlite3_bind_text(find, 1, match.data, (int)match.length, SQLITE_STATIC);
        int code;
        while ((code = sqlite3_step(find)) == SQLITE_ROW)
            assert_int_equal(sat_bm25_add(bm25, (size_t)sqlite3_column_int64(find, 0) - 1,
                                          sqlite3_column_blob(find, 1),
                                          (size_t)sqlite3_column_bytes(find, 1), NULL),
                             SATCHEL_OK);
        if (code != SQLITE_DONE)
            fail_msg("%s: %s", match.data, sqlite3_errmsg(f->db));
        sqlite3_finalize(find);
    }
    const sat_bm25_rows rows = {f->count, f->lengths, f->joined};
    if (sat_bm25_finish(bm25, &rows, scores, idf, &error))
        fail_msg("%s", error.message);
    sat_buffer_free(&match);
    sat_bm25_close(&bm25);
    sat_query_terms_free(&query);
}

/* "2 1": the rows that match, best first. */
static void expect_rows(index_fixture *f, const char *text, const char *expected) {
    float scores[512];
    char have[512] = "";
    search(f, text, scores, NULL, NULL);
    for (;;) {
        size_t best = f->count;
        for (size_t i = 0; i < f->count; i++)
            if (scores[i] > 0 && (best == f->count || scores[i] > scores[best]))
                best = i;
        if (best == f->count)
            break;
        snprintf(have + strlen(have), sizeof have - strlen(have), "%s%zu", have[0] ? " " : "",
                 best);
        scores[best] = 0;
    }
    if (strcmp(have, expected) != 0)
        fail_msg("\"%s\" found \"%s\", not \"%s\"", text, have, expected);
}

/* ------------------------------------------------------------------ finding */

static void words_are_found_in_all_their_forms(void **state) {
    static const row rows[] = {{1, NULL, NULL, "The cat was running."},
                               {2, NULL, NULL, "Dogs run; caf\xC3\xA9."},
                               {3, NULL, NULL, "\xE6\x88\x91\xE5\x9C\xA8\xE5\x8C\x97\xE4\xBA\xAC."},
                               {4, NULL, NULL, "\xE5\x8D\x97\xE4\xBA\xAC"},
                               {5, NULL, NULL, ""}};
    index_fixture f = make_index(*state, rows, SAT_COUNT(rows));
#ifdef SATCHEL_HAVE_STEMMERS
    expect_rows(&f, "RUN", "1 0"); /* the shorter row first */
#endif
    expect_rows(&f, "cafe", "1");
    expect_rows(&f, "\xE5\x8C\x97\xE4\xBA\xAC", "2");
    expect_rows(&f, "\xE4\xBA\xAC", "3 2"); /* at the end of a run */
    expect_rows(&f, "\xE5\x8C\x97", "2");
    expect_rows(&f, "\xE4\xBA\xAC\xE5\x8C\x97", "");
    expect_rows(&f, "nothing of this", "");
    expect_rows(&f, "", "");
    expect_rows(&f, "?!", "");
    free_index(&f);
}

static void korean_words_are_found_with_their_particles(void **state) {
    static const row rows[] = {
        {1, NULL, NULL, "\xED\x95\x99\xEA\xB5\x90\xEC\x97\x90\xEC\x84\x9C"}, /* at school */
        {2, NULL, NULL, "\xEC\xA7\x91\xEC\x97\x90\xEC\x84\x9C"}};            /* at home */
    index_fixture f = make_index(*state, rows, SAT_COUNT(rows));
    expect_rows(&f, "\xED\x95\x99\xEA\xB5\x90", "0"); /* school */
    expect_rows(&f, "\xEC\xA7\x91", "1");             /* home */
    free_index(&f);
}

static void a_query_is_never_syntax(void **state) {
    static const row rows[] = {{1, NULL, NULL, "near and or not col title"},
                               {2, NULL, NULL, "other"}};
    index_fixture f = make_index(*state, rows, SAT_COUNT(rows));
    expect_rows(&f, "\"NEAR\" AND", "0");
    expect_rows(&f, "title: -other* NOT ^x", "0 1");
    expect_rows(&f, "(((", "");
    expect_rows(&f, "a\"b OR '; DROP TABLE x", "0");
    free_index(&f);
}

static void prefixes_stand_in_for_stems(void **state) {
    static const row rows[] = {{1, NULL, NULL, "Die Regierungen tagen"},
                               {2, NULL, NULL, "Die Regierung tagt"},
                               {3, NULL, NULL, "Der Regen"}};
    index_fixture f = make_index(*state, rows, SAT_COUNT(rows));
    expect_rows(&f, "Regierung", "1 0"); /* the word itself first */
    free_index(&f);
}

static void titles_and_headings_count_less_than_text(void **state) {
    static const row rows[] = {{1, "zebra", "", "one two three four five"},
                               {2, "", "zebra", "one two three four five"},
                               {3, "", "", "zebra two three four five six"},
                               {4, "", "", "nothing of the kind"}};
    index_fixture f = make_index(*state, rows, SAT_COUNT(rows));
    expect_rows(&f, "zebra", "2 1 0");
    free_index(&f);
}

static void a_neighbour_lends_its_terms(void **state) {
    static const row rows[] = {{1, NULL, NULL, "alpha x"},   {1, NULL, NULL, "beta x"},
                               {1, NULL, NULL, "gamma x"},   {1, NULL, NULL, "delta x"},
                               {2, NULL, NULL, "epsilon x"}, {3, NULL, NULL, "x x"}};
    index_fixture f = make_index(*state, rows, SAT_COUNT(rows));
    float scores[6];
    search(&f, "gamma epsilon", scores, NULL, NULL);
    assert_true(scores[2] > scores[1] && scores[1] > 0);
    assert_true(scores[1] == scores[3] || fabsf(scores[1] - scores[3]) < 0.2f);
    assert_true(scores[0] == 0);
    assert_true(scores[4] > 0 && scores[5] == 0); /* another document is no neighbour */
    free_index(&f);
}

/* ------------------------------------------------------------------ scores */

enum { VOCABULARY = 40, MOST_WORDS = 30 };

/* Words that stemming leaves alone; every third has a long one of its prefix class beside it. */
static void random_word(uint64_t *seed, char out[16]) {
    uint32_t which = test_random(seed) % VOCABULARY;
    which = which * (test_random(seed) % VOCABULARY) / VOCABULARY; /* low ones are common */
    snprintf(out, 16, which % 3 == 0 ? "%c%cqqk%c7" : "%c%cq%c", (char)('a' + which % 7),
             (char)('b' + which / 7), (char)('a' + test_random(seed) % 3));
}

static size_t count_words(const char *text, const char *word, size_t prefix) {
    size_t count = 0;
    for (const char *at = text; *at;) {
        size_t length = strcspn(at, " ");
        if (prefix ? length >= prefix && memcmp(at, word, prefix) == 0
                   : length == strlen(word) && memcmp(at, word, length) == 0)
            count++;
        at += length + (at[length] != '\0');
    }
    return count;
}

static size_t length_of(const char *text) {
    size_t words = 0;
    for (const char *at = text; *at; at++)
        words += *at != ' ' && (at == text || at[-1] == ' ');
    return words;
}

/* A value of row i with what its neighbours lend. */
static double with_context(const double *values, const uint8_t *joined, size_t count, size_t i) {
    double value = values[i];
    if (i > 0 && joined[i])
        value += 0.5 * values[i - 1];
    if (i + 1 < count && joined[i + 1])
        value += 0.5 * values[i + 1];
    return value;
}

static double part(const double *tf, const double *lengths, const uint8_t *joined, size_t count,
                   size_t i) {
    double df = 0, mean = 0;
    for (size_t r = 0; r < count; r++) {
        df += tf[r] > 0;
        mean += with_context(lengths, joined, count, r) / (double)count;
    }
    double f = with_context(tf, joined, count, i);
    double length = with_context(lengths, joined, count, i);
    return log(1 + ((double)count - df + 0.5) / (df + 0.5)) * f * 2.2 /
           (f + 1.2 * (0.25 + 0.75 * length / mean));
}

static void scores_are_those_of_the_formula(void **state) {
    uint64_t seed = 41;
    for (int round = 0; round < 30; round++) {
        enum { ROWS = 60 };
        static char bodies[ROWS][MOST_WORDS * 16];
        row rows[ROWS];
        int document = 0;
        for (size_t i = 0; i < ROWS; i++) {
            bodies[i][0] = '\0';
            size_t words = test_random(&seed) % MOST_WORDS;
            for (size_t w = 0; w < words; w++) {
                char word[16];
                random_word(&seed, word);
                sprintf(bodies[i] + strlen(bodies[i]), "%s%s", w ? " " : "", word);
            }
            document += test_random(&seed) % 3 == 0;
            rows[i] = (row){document, NULL, NULL, bodies[i]};
        }
        index_fixture f = make_index(*state, rows, ROWS);
        char query[6][16], text[120] = "";
        for (size_t q = 0; q < 6; q++) {
            random_word(&seed, query[q]);
            sprintf(text + strlen(text), "%s ", query[q]);
        }
        double lengths[ROWS], tf[ROWS], near[ROWS];
        for (size_t i = 0; i < ROWS; i++) {
            lengths[i] = (double)length_of(bodies[i]);
            assert_true(f.lengths[i] == (float)lengths[i]);
        }
        float scores[ROWS];
        search(&f, text, scores, NULL, NULL);
        for (size_t i = 0; i < ROWS; i++) {
            double expected = 0;
            for (size_t q = 0; q < 6; q++) {
                bool again = false;
                for (size_t before = 0; before < q; before++)
                    again |= strcmp(query[before], query[q]) == 0;
                if (again)
                    continue;
                bool has_near = strlen(query[q]) > 5;
                for (size_t r = 0; r < ROWS; r++) {
                    tf[r] = (double)count_words(bodies[r], query[q], 0);
                    near[r] = has_near ? (double)count_words(bodies[r], query[q], 5) : 0;
                }
                double exact = part(tf, lengths, f.joined, ROWS, i);
                double other = has_near ? 0.7 * part(near, lengths, f.joined, ROWS, i) : 0;
                expected += exact > other ? exact : other;
            }
            if (fabs(scores[i] - expected) > 1e-4 * (1 + expected))
                fail_msg("row %zu scores %.6f, not %.6f", i, scores[i], expected);
        }
        free_index(&f);
    }
}

static void a_common_term_still_scores(void **state) {
    static const row rows[] = {
        {1, NULL, NULL, "same a"}, {2, NULL, NULL, "same b"}, {3, NULL, NULL, "same same"}};
    index_fixture f = make_index(*state, rows, SAT_COUNT(rows));
    float scores[3], idf[2];
    search(&f, "same zq", scores, idf, NULL);
    assert_true(scores[2] > scores[0] && scores[0] == scores[1] && scores[0] > 0);
    assert_true(fabs(idf[0] - log(1 + 0.5 / 3.5)) < 1e-6);
    assert_true(fabs(idf[1] - log(1 + 3.5 / 0.5)) < 1e-6); /* of a term that is nowhere */
    free_index(&f);
}

static void weights_scale_the_part_of_a_term(void **state) {
    static const row rows[] = {{1, NULL, NULL, "left x"}, {2, NULL, NULL, "right x"}};
    index_fixture f = make_index(*state, rows, SAT_COUNT(rows));
    float plain[2], weighted[2];
    search(&f, "left right", plain, NULL, (const float[]){1, 1});
    search(&f, "left right", weighted, NULL, (const float[]){0.25f, 1});
    assert_true(fabsf(weighted[0] - plain[0] / 4) < 1e-6f);
    assert_true(weighted[1] == plain[1]);
    free_index(&f);
}

static void words_that_ask_weigh_little(void **state) {
    sat_terms *terms;
    satchel_context *context = *state;
    sat_query_terms query;
    assert_int_equal(sat_terms_open(&terms, &context->memory, NULL), SATCHEL_OK);
    assert_int_equal(sat_query_terms_make(&query, terms, "Who sang who? Regierung", 23, NULL),
                     SATCHEL_OK);
    assert_int_equal(query.count, 3);
    assert_int_equal(query.items[0].count, 2);
    assert_true(query.items[0].weight < 0.5f && query.items[1].weight == 1);
    assert_int_equal(query.items[1].prefix, -1);
    assert_int_equal(query.items[2].prefix, 0);
    assert_int_equal(query.prefix_count, 1);
    assert_memory_equal(query.prefixes[0].text, "regie", 5);
    assert_int_equal(sat_query_terms_find(&query, "sang", 4), 1);
    assert_int_equal(sat_query_terms_find(&query, "sing", 4), -1);
    assert_int_equal(sat_query_terms_find_prefix(&query, "regierungen", 11), 0);
    assert_int_equal(sat_query_terms_find_prefix(&query, "regie", 5), -1);
    sat_query_terms_free(&query);
    sat_terms_close(&terms);
}

static void a_long_query_is_its_first_terms(void **state) {
    static const row rows[] = {
        {1, NULL, NULL, "w0"}, {2, NULL, NULL, "w255"}, {3, NULL, NULL, "w256"}};
    index_fixture f = make_index(*state, rows, SAT_COUNT(rows));
    static char text[100000];
    size_t length = 0;
    for (int i = 0; i < 10000; i++)
        length += (size_t)sprintf(text + length, "w%d ", i);
    expect_rows(&f, text, "0 1");
    free_index(&f);
}

/* ------------------------------------------------------------------ errors */

static void damaged_counts_and_sizes_are_told(void **state) {
    satchel_context *context = *state;
    sat_terms *terms;
    sat_query_terms query;
    sat_bm25 *bm25;
    assert_int_equal(sat_terms_open(&terms, &context->memory, NULL), SATCHEL_OK);
    assert_int_equal(sat_query_terms_make(&query, terms, "a b", 3, NULL), SATCHEL_OK);
    assert_int_equal(sat_bm25_open(&bm25, &context->memory, &query, NULL), SATCHEL_OK);
    const float counts[3] = {1, 1, 1};
    assert_int_equal(sat_bm25_add(bm25, 0, counts, 12, NULL), SATCHEL_DAMAGED);
    assert_int_equal(sat_bm25_add(bm25, 0, counts, 7, NULL), SATCHEL_DAMAGED);
    assert_int_equal(sat_bm25_add(bm25, 5, counts, 8, NULL), SATCHEL_OK);
    float scores[2];
    const sat_bm25_rows rows = {2, (const float[]){1, 1}, (const uint8_t[]){0, 0}};
    assert_int_equal(sat_bm25_finish(bm25, &rows, scores, NULL, NULL), SATCHEL_INTERNAL);
    sat_bm25_close(&bm25);
    sat_query_terms_free(&query);
    sat_terms_close(&terms);

    assert_true(sat_fts_length("\1\2\3", 3) > 3);
    assert_true(sat_fts_length("\0\0\x81\x00", 4) == 128);
    assert_true(sat_fts_length("", 0) < 0);
    assert_true(sat_fts_length("\1\2", 2) < 0);
    assert_true(sat_fts_length("\1\2\x83", 3) < 0);
    assert_true(sat_fts_length("\1\2\3\4", 4) < 0);
    assert_true(sat_fts_length("\x80\x80\x80\x80\x80\x80\x80\x80\x01\1\2", 11) < 0);
}

static void counts_refuse_a_table_that_is_not_ours(void **state) {
    satchel_context *context = *state;
    sqlite3 *db;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(sat_fts_register(db, &context->memory, NULL), SATCHEL_OK);
    run_sql(db, "CREATE VIRTUAL TABLE other USING fts5(body, tokenize='satchel');"
                "INSERT INTO other VALUES('x')");
    char *message = NULL;
    assert_int_equal(sqlite3_exec(db,
                                  "SELECT satchel_counts(other) FROM other WHERE other MATCH 'x'",
                                  NULL, NULL, &message),
                     SQLITE_ERROR);
    assert_non_null(strstr(message, "satchel_counts"));
    sqlite3_free(message);
    assert_int_equal(
        sqlite3_exec(db, "CREATE VIRTUAL TABLE bad USING fts5(body, tokenize='satchel option')",
                     NULL, NULL, NULL),
        SQLITE_ERROR);
    sqlite3_close(db);
}

static satchel_status use_all(sat_memory *memory, void *user) {
    sat_terms *terms;
    sat_query_terms query = {0};
    sat_bm25 *bm25 = NULL;
    sqlite3 *db;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(sat_fts_register(db, memory, NULL), SATCHEL_OK);
    int code = sqlite3_exec(db,
                            "CREATE VIRTUAL TABLE t USING fts5(a, b, c, tokenize='satchel');"
                            "INSERT INTO t VALUES('', '', 'caf\xC3\xA9 running')",
                            NULL, NULL, NULL);
    satchel_status status = code ? SATCHEL_OUT_OF_MEMORY : SATCHEL_OK;
    assert_true(code == SQLITE_OK || code == SQLITE_NOMEM);
    if (sat_terms_open(&terms, memory, NULL))
        status = SATCHEL_OUT_OF_MEMORY;
    if (!status)
        status = sat_query_terms_make(&query, terms, "runs regierung", 14, NULL);
    if (!status)
        status = sat_bm25_open(&bm25, memory, &query, NULL);
    for (size_t r = 0; r < 200 && !status; r++)
        status = sat_bm25_add(bm25, r, (const float[]){1, 2, 3}, 12, NULL);
    float lengths[200] = {1}, scores[200];
    uint8_t joined[200] = {0};
    const sat_bm25_rows rows = {200, lengths, joined};
    if (!status)
        status = sat_bm25_finish(bm25, &rows, scores, NULL, NULL);
    sat_bm25_close(&bm25);
    sat_query_terms_free(&query);
    sat_terms_close(&terms);
    sqlite3_close(db);
    return status;
}

static void memory_failures_are_told(void **state) {
    fail_memory(use_all, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_found_in_all_their_forms),
        cmocka_unit_test(korean_words_are_found_with_their_particles),
        cmocka_unit_test(a_query_is_never_syntax),
        cmocka_unit_test(prefixes_stand_in_for_stems),
        cmocka_unit_test(titles_and_headings_count_less_than_text),
        cmocka_unit_test(a_neighbour_lends_its_terms),
        cmocka_unit_test(scores_are_those_of_the_formula),
        cmocka_unit_test(a_common_term_still_scores),
        cmocka_unit_test(weights_scale_the_part_of_a_term),
        cmocka_unit_test(words_that_ask_weigh_little),
        cmocka_unit_test(a_long_query_is_its_first_terms),
        cmocka_unit_test(damaged_counts_and_sizes_are_told),
        cmocka_unit_test(counts_refuse_a_table_that_is_not_ours),
        cmocka_unit_test(memory_failures_are_told),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
