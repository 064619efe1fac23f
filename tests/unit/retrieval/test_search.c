/* Search: what is found, in what order, and what a hit says; ranking and the vector index by
 * parts. */
#include <math.h>
#include <pthread.h>

#include "retrieval/collection.h"
#include "tests/unit/retrieval/fixture.h"

#define PILOTS "Harbour pilots board the ship two miles before the breakwater."
#define LAMPS "The lamp room keeps spare mantles in a tin box."
#define GULLS "Gulls follow the ferry to the other shore."

static int setup(void **state) {
    fixture_setup(state);
    fixture *f = *state;
    fixture_add(f, "pilots", PILOTS);
    fixture_add(f, "lamps", LAMPS);
    fixture_add(f, "gulls", GULLS);
    return 0;
}

static void finds_by_keyword(void **state) {
    fixture *f = *state;
    fixture_expect_hits(f, "spare mantle", SATCHEL_SEARCH_KEYWORD, NULL, "lamps");
    fixture_expect_hits(f, "FERRIES", SATCHEL_SEARCH_KEYWORD, NULL, "gulls");
    fixture_expect_hits(f, "submarine", SATCHEL_SEARCH_KEYWORD, NULL, "");
}

static void finds_by_vector(void **state) {
    fixture *f = *state;
    satchel_results *results = fixture_search(f, PILOTS, SATCHEL_SEARCH_VECTOR, NULL);
    satchel_hit hit;
    assert_int_equal(sat_results_count(results), 3);
    assert_int_equal(sat_results_mode(results), SATCHEL_SEARCH_VECTOR);
    fixture_fine(f, sat_results_get(results, 0, &hit, &f->error));
    assert_string_equal(hit.document_id, "pilots");
    assert_true(fabsf(hit.vector_score - 1) < 1e-5f);
    assert_true(hit.score == hit.vector_score);
    sat_results_close(&results);
}

static void finds_by_both(void **state) {
    fixture *f = *state;
    satchel_results *results = fixture_search(f, "lamp room", SATCHEL_SEARCH_DEFAULT, NULL);
    satchel_hit hit;
    assert_int_equal(sat_results_mode(results), SATCHEL_SEARCH_HYBRID);
    assert_int_equal(sat_results_count(results), 3);
    fixture_fine(f, sat_results_get(results, 0, &hit, &f->error));
    assert_string_equal(hit.document_id, "lamps");
    assert_true(hit.keyword_score > 0);
    assert_false(isnan(hit.vector_score));
    sat_results_close(&results);
}

static void keyword_hits_have_no_vector_score(void **state) {
    fixture *f = *state;
    satchel_results *results = fixture_search(f, "lamp", SATCHEL_SEARCH_KEYWORD, NULL);
    satchel_hit hit;
    fixture_fine(f, sat_results_get(results, 0, &hit, &f->error));
    assert_true(isnan(hit.vector_score));
    assert_true(hit.score == hit.keyword_score);
    sat_results_close(&results);
}

static void a_query_of_nothing_finds_nothing(void **state) {
    fixture *f = *state;
    fixture_expect_hits(f, "", SATCHEL_SEARCH_HYBRID, NULL, "");
    fixture_expect_hits(f, " \n\t", SATCHEL_SEARCH_VECTOR, NULL, "");
    fixture_expect_hits(f, "\"' AND OR ( * ^ : -", SATCHEL_SEARCH_KEYWORD, NULL, "");
}

static void queries_are_plain_text(void **state) {
    fixture *f = *state;
    fixture_expect_hits(f, "mantles NOT lamp", SATCHEL_SEARCH_KEYWORD, NULL, "lamps");
    fixture_expect_hits(f, "body:mantles \"tin* NEAR(", SATCHEL_SEARCH_KEYWORD, NULL, "lamps");
}

static void refuses_bad_arguments(void **state) {
    fixture *f = *state;
    satchel_results *results = NULL;
    satchel_search_options options = {.mode = 9};
    fixture_fails(f, sat_store_search(&results, f->store, "x", 1, &options, &f->error),
                  SATCHEL_INVALID_ARGUMENT);
    options = (satchel_search_options){.k = 10001};
    fixture_fails(f, sat_store_search(&results, f->store, "x", 1, &options, &f->error),
                  SATCHEL_INVALID_ARGUMENT);
    options = (satchel_search_options){.filter = "{\"x\":1}"};
    fixture_fails(f, sat_store_search(&results, f->store, "x", 1, &options, &f->error),
                  SATCHEL_INVALID_FILTER);
    fixture_fails(f, sat_store_search(&results, f->store, "a\xff", 2, NULL, &f->error),
                  SATCHEL_INVALID_TEXT);
}

static void a_filter_keeps_k_hits_if_there_are_k(void **state) {
    fixture *f = *state;
    for (int i = 0; i < 60; i++) {
        char id[32], text[80];
        snprintf(id, sizeof id, "%s/%02d", i % 3 ? "many" : "few", i);
        snprintf(text, sizeof text, "The ferry number %d crosses to the shore.", i);
        fixture_add(f, id, text);
    }
    static const int32_t modes[] = {SATCHEL_SEARCH_KEYWORD, SATCHEL_SEARCH_VECTOR,
                                    SATCHEL_SEARCH_HYBRID};
    for (size_t m = 0; m < SAT_COUNT(modes); m++) {
        satchel_search_options options = {
            .mode = modes[m], .k = 20, .filter = "{\"path\":\"few/*\"}"};
        satchel_results *results = NULL;
        fixture_fine(f,
                     sat_store_search(&results, f->store, "ferry shore", 11, &options, &f->error));
        assert_int_equal(sat_results_count(results), 20);
        float before = INFINITY;
        for (size_t i = 0; i < 20; i++) {
            satchel_hit hit;
            fixture_fine(f, sat_results_get(results, i, &hit, &f->error));
            assert_memory_equal(hit.document_id, "few/", 4);
            assert_true(hit.score <= before);
            before = hit.score;
        }
        sat_results_close(&results);
    }
    fixture_expect_hits(f, "ferry", SATCHEL_SEARCH_HYBRID, "{\"path\":\"none/*\"}", "");
}

/* A filter leaves the scores of what passes as they are. */
static void a_filter_changes_no_score(void **state) {
    fixture *f = *state;
    satchel_results *all = fixture_search(f, "the ferry and the lamp", SATCHEL_SEARCH_HYBRID, NULL);
    satchel_results *some = fixture_search(f, "the ferry and the lamp", SATCHEL_SEARCH_HYBRID,
                                           "{\"path\":[\"lamps\",\"pilots\"]}");
    satchel_hit hit, other;
    assert_int_equal(sat_results_count(some), 2);
    size_t found = 0;
    for (size_t i = 0; i < sat_results_count(all); i++) {
        fixture_fine(f, sat_results_get(all, i, &hit, &f->error));
        if (strcmp(hit.document_id, "gulls") == 0)
            continue;
        fixture_fine(f, sat_results_get(some, found++, &other, &f->error));
        assert_string_equal(hit.document_id, other.document_id);
        assert_true(hit.score == other.score);
    }
    sat_results_close(&all);
    sat_results_close(&some);
}

static void a_hit_says_where_it_is(void **state) {
    fixture *f = *state;
    static const char text[] =
        "# Fähre\n\nIntro.\n\n## Zeiten \xf0\x9f\x9a\xa2\n\nDie Fähre fährt um "
        "neun. Möwen \xf0\x9f\x90\xa6 folgen.\n";
    const satchel_add_options options = {.metadata = "{\"lang\":\"de\"}", .title = "Plan"};
    fixture_fine(f, sat_store_add(f->store, "plan.md", "text/markdown", text, strlen(text),
                                  &options, &f->error));
    satchel_results *results = fixture_search(f, "Möwen", SATCHEL_SEARCH_KEYWORD, NULL);
    satchel_hit hit;
    assert_int_equal(sat_results_count(results), 1);
    fixture_fine(f, sat_results_get(results, 0, &hit, &f->error));
    assert_string_equal(hit.title, "Plan");
    assert_string_equal(hit.metadata, "{\"lang\":\"de\"}");
    assert_non_null(strstr(hit.heading, "Fähre"));
    assert_int_equal(strlen(hit.text), hit.text_length);
    char stored[256];
    int64_t length;
    fixture_fine(f, sat_store_document_text(f->store, "plan.md", hit.range.start, stored,
                                            hit.text_length, &length, &f->error));
    assert_memory_equal(stored, hit.text, hit.text_length);
    char *whole = calloc(1, (size_t)length + 1);
    fixture_fine(f, sat_store_document_text(f->store, "plan.md", 0, whole, (size_t)length, &length,
                                            &f->error));
    assert_int_equal(hit.match_count, 1);
    satchel_range range;
    fixture_fine(f, sat_results_match(results, 0, 0, &range, &f->error));
    assert_memory_equal(whole + range.start, "Möwen", strlen("Möwen"));
    assert_int_equal(range.end - range.start, strlen("Möwen"));
    assert_int_equal(range.start_utf16, sat_utf16_length(whole, (size_t)range.start));
    assert_int_equal(range.end_utf16, sat_utf16_length(whole, (size_t)range.end));
    assert_true(hit.snippet.start >= hit.range.start && hit.snippet.end <= hit.range.end);
    assert_true(hit.snippet.start <= range.start && hit.snippet.end >= range.end);
    assert_int_equal(hit.snippet.start_utf16, sat_utf16_length(whole, (size_t)hit.snippet.start));
    assert_int_equal(hit.range.end_utf16, sat_utf16_length(whole, (size_t)hit.range.end));
    assert_int_equal(hit.page, 0);
    assert_int_equal(hit.time_ms, -1);
    fixture_fails(f, sat_results_match(results, 0, 1, &range, &f->error), SATCHEL_NOT_FOUND);
    fixture_fails(f, sat_results_get(results, 1, &hit, &f->error), SATCHEL_NOT_FOUND);
    free(whole);
    sat_results_close(&results);
}

static void plain_text_knows_its_source(void **state) {
    fixture *f = *state;
    static const char bytes[] = "\xef\xbb\xbfThe anchor is weighed at dawn.";
    fixture_fine(f, sat_store_add(f->store, "x.txt", NULL, bytes, strlen(bytes), NULL, &f->error));
    satchel_results *results = fixture_search(f, "anchor", SATCHEL_SEARCH_KEYWORD, NULL);
    satchel_hit hit;
    fixture_fine(f, sat_results_get(results, 0, &hit, &f->error));
    assert_int_equal(hit.source_end - hit.source_start, hit.text_length);
    assert_memory_equal(bytes + hit.source_start, hit.text, hit.text_length);
    sat_results_close(&results);
}

static void half_embedded_stores_are_searched_whole(void **state) {
    fixture *f = *state;
    const satchel_add_options options = {.defer_embedding = 1};
    fixture_fine(f, sat_store_add(f->store, "late", "text/plain", "Tin box of spare wicks.", 23,
                                  &options, &f->error));
    satchel_results *results = fixture_search(f, "spare tin box", SATCHEL_SEARCH_HYBRID, NULL);
    satchel_hit hit;
    assert_int_equal(sat_results_mode(results), SATCHEL_SEARCH_HYBRID);
    bool found = false;
    for (size_t i = 0; i < sat_results_count(results); i++) {
        fixture_fine(f, sat_results_get(results, i, &hit, &f->error));
        if (strcmp(hit.document_id, "late") == 0)
            found = isnan(hit.vector_score) && hit.keyword_score > 0;
    }
    assert_true(found);
    sat_results_close(&results);
}

static void hits_hold_evidence_for_answers(void **state) {
    fixture *f = *state;
    satchel_results *results = fixture_search(f, "spare lamp", SATCHEL_SEARCH_HYBRID, NULL);
    assert_int_equal(results->terms.count, 2);
    assert_true(results->idf[0] > 0 && results->idf[1] > 0);
    assert_non_null(results->query_vector);
    assert_int_equal(results->dimension, 24);
    assert_true(results->share == 1);
    assert_int_equal(results->chunks, 3);
    assert_int_equal(results->candidates, 3);
    assert_int_equal(results->matched, 1);
    assert_true(results->hits[0].keyword_z > 0);
    assert_true(results->hits[0].hit.score ==
                results->hits[0].keyword_z +
                    (float)SAT_VECTOR_WEIGHT * results->share * results->hits[0].vector_z);
    sat_results_close(&results);
}

static satchel_status no_share(void *user, const char *text, size_t length, float *share) {
    *share = 0;
    return SATCHEL_OK;
}

static void a_query_unknown_to_the_embedder_is_ranked_by_keywords(void **state) {
    fixture *f = *state;
    f->embedder.coverage = no_share;
    fixture_fine(f, fixture_open(f));
    fixture_expect_hits(f, "spare ferry ferry", SATCHEL_SEARCH_HYBRID, NULL, "gulls lamps");
    fixture_expect_hits(f, "submarine", SATCHEL_SEARCH_HYBRID, NULL, "");
}

/* ------------------------------------------------------------------ in step with the store */

static void index_follows_the_store(void **state) {
    fixture *f = *state;
    uint64_t random = 7;
    char ids[40][8], words[40][24];
    bool there[40] = {false};
    for (int i = 0; i < 40; i++) {
        snprintf(ids[i], sizeof ids[i], "d%02d", i);
        snprintf(words[i], sizeof words[i], "%c%cpebble", 'a' + i / 26, 'a' + i % 26);
    }
    for (int round = 0; round < 200; round++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        int i = (int)(random >> 33) % 40;
        if (there[i] && (random >> 60) < 6) {
            fixture_fine(f, sat_store_remove(f->store, ids[i], &f->error));
            there[i] = false;
        } else {
            char text[120];
            snprintf(text, sizeof text, "%s stands in version %d of this note.", words[i], round);
            fixture_add(f, ids[i], text);
            there[i] = true;
        }
        int asked = (int)(random >> 40) % 40;
        fixture_expect_hits(f, words[asked], SATCHEL_SEARCH_KEYWORD, NULL,
                            there[asked] ? ids[asked] : "");
        satchel_results *results =
            fixture_search(f, words[asked], SATCHEL_SEARCH_VECTOR, "{\"path\":\"d*\"}");
        size_t expected = 0;
        for (int k = 0; k < 40; k++)
            expected += there[k];
        assert_int_equal(sat_results_count(results), expected < 10 ? expected : 10);
        sat_results_close(&results);
    }
    fixture_verify(f);
}

static void brute_force_gives_the_same(void **state) {
    fixture *f = *state;
    static const int32_t levels[] = {SATCHEL_CPU_C, SATCHEL_CPU_DEFAULT};
    float scores[2][3];
    for (size_t l = 0; l < 2; l++) {
        f->cpu_level = levels[l];
        fixture_fine(f, fixture_open(f));
        satchel_results *results =
            fixture_search(f, "gulls and lamps", SATCHEL_SEARCH_VECTOR, NULL);
        for (size_t i = 0; i < 3; i++) {
            satchel_hit hit;
            fixture_fine(f, sat_results_get(results, i, &hit, &f->error));
            scores[l][i] = hit.score;
        }
        sat_results_close(&results);
    }
    for (size_t i = 0; i < 3; i++)
        assert_true(fabsf(scores[0][i] - scores[1][i]) < 1e-6f);
}

static void memory_limit_is_kept(void **state) {
    fixture *f = *state;
    for (int i = 0; i < 300; i++) {
        char id[16], text[64];
        snprintf(id, sizeof id, "n%d", i);
        snprintf(text, sizeof text, "Note %d on the %d harbours of the coast", i, i * i);
        fixture_add(f, id, text);
    }
    f->memory_limit = 48 << 10;
    fixture_fine(f, fixture_open(f));
    satchel_results *results = NULL;
    fixture_fails(f, sat_store_search(&results, f->store, "harbour", 7, NULL, &f->error),
                  SATCHEL_MEMORY_LIMIT);
    assert_null(results);
    f->memory_limit = 0;
    fixture_fine(f, fixture_open(f));
    results = fixture_search(f, "harbour", SATCHEL_SEARCH_HYBRID, NULL);
    assert_int_equal(sat_results_count(results), 10);
    sat_results_close(&results);
}

typedef struct racer {
    fixture *f;
    pthread_t thread;
    int searches, wrong;
} racer;

static void *race(void *user) {
    racer *r = user;
    satchel_error error;
    for (int i = 0; i < 60; i++) {
        satchel_results *results = NULL;
        const satchel_search_options options = {.mode = i % 3 + 1};
        if (sat_store_search(&results, r->f->store, "the lamp of the ferry", 21, &options,
                             &error) ||
            sat_results_count(results) < 2)
            r->wrong++;
        sat_results_close(&results);
        r->searches++;
    }
    return NULL;
}

static void searches_run_beside_a_writer(void **state) {
    fixture *f = *state;
    racer racers[4] = {{0}};
    for (size_t i = 0; i < SAT_COUNT(racers); i++) {
        racers[i].f = f;
        assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < 40; i++) {
        char id[16], text[64];
        snprintf(id, sizeof id, "n%d", i % 8);
        snprintf(text, sizeof text, "Version %d of a note on ferry lamps", i);
        fixture_add(f, id, text);
        if (i % 5 == 4)
            fixture_fine(f, sat_store_remove(f->store, id, &f->error));
    }
    for (size_t i = 0; i < SAT_COUNT(racers); i++) {
        assert_int_equal(pthread_join(racers[i].thread, NULL), 0);
        assert_int_equal(racers[i].wrong, 0);
    }
    fixture_verify(f);
}

static void cancel_ends_a_search(void **state) {
    fixture *f = *state;
    satchel_cancel cancel = {.context = f->context, .fired = 1, .references = 1};
    const satchel_search_options options = {.cancel = &cancel};
    satchel_results *results = NULL;
    fixture_fails(f, sat_store_search(&results, f->store, "lamp", 4, &options, &f->error),
                  SATCHEL_CANCELLED);
    assert_null(results);
}

/* ------------------------------------------------------------------ ranking, by itself */

static void top_is_sorted_and_breaks_ties_by_id(void **state) {
    const float scores[] = {1, 5, NAN, 3, 5, -2, 5, 0};
    const int64_t ids[] = {10, 30, 1, 11, 20, 12, 25, 13};
    uint32_t out[8];
    assert_int_equal(sat_top(scores, ids, 8, out, 4), 4);
    assert_int_equal(out[0], 4);
    assert_int_equal(out[1], 6);
    assert_int_equal(out[2], 1);
    assert_int_equal(out[3], 3);
    assert_int_equal(sat_top(scores, ids, 8, out, 8), 7);
    assert_int_equal(out[6], 5);
    assert_int_equal(sat_top(scores, ids, 0, out, 8), 0);
    assert_int_equal(sat_top(scores, ids, 8, out, 0), 0);
    assert_int_equal(sat_top(scores, ids, 8, out, 1), 1);
    assert_int_equal(out[0], 4);
}

static void top_agrees_with_sorting(void **state) {
    enum { COUNT = 500 };
    float scores[COUNT];
    int64_t ids[COUNT];
    uint32_t out[COUNT];
    uint64_t random = 42;
    for (size_t i = 0; i < COUNT; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        scores[i] = (float)((random >> 40) % 50);
        ids[i] = (int64_t)(COUNT - i);
    }
    for (size_t k = 1; k <= COUNT; k += 37) {
        assert_int_equal(sat_top(scores, ids, COUNT, out, k), k);
        size_t ahead = 0; /* of the last one */
        for (size_t i = 0; i < COUNT; i++)
            ahead += scores[i] > scores[out[k - 1]] ||
                     (scores[i] == scores[out[k - 1]] && ids[i] < ids[out[k - 1]]);
        assert_int_equal(ahead, k - 1);
        for (size_t i = 1; i < k; i++)
            assert_true(scores[out[i - 1]] > scores[out[i]] ||
                        (scores[out[i - 1]] == scores[out[i]] && ids[out[i - 1]] < ids[out[i]]));
    }
}

static void scales_standardise(void **state) {
    float values[1000];
    for (size_t i = 0; i < 1000; i++)
        values[i] = i % 2 ? 12 : 8;
    values[0] = NAN;
    sat_scale scale = sat_scale_of(values, NULL, 1000, 1);
    assert_true(fabs(scale.mean - 10) < 0.01);
    assert_true(fabs(scale.deviation - 2) < 0.02);
    assert_true(fabsf(sat_scale_apply(scale, 14) - 2) < 0.02f);
    assert_true(sat_scale_apply(scale, NAN) == 0);
}

static void a_small_difference_among_few_stays_small(void **state) {
    const float alike[] = {0.30f, 0.31f}, apart[] = {0.1f, 0.7f}, same[] = {0.5f, 0.5f};
    sat_scale scale = sat_scale_of(alike, NULL, 2, SAT_VECTOR_PRIOR);
    assert_true(sat_scale_apply(scale, alike[1]) < 0.2f);
    scale = sat_scale_of(apart, NULL, 2, SAT_VECTOR_PRIOR);
    assert_true(sat_scale_apply(scale, apart[1]) > 1);
    scale = sat_scale_of(same, NULL, 2, SAT_VECTOR_PRIOR);
    assert_true(sat_scale_apply(scale, same[0]) == 0);
    scale = sat_scale_of(same, NULL, 0, SAT_VECTOR_PRIOR);
    assert_true(sat_scale_apply(scale, 1) == 0);
}

/* ------------------------------------------------------------------ vectors, by themselves */

enum { DIMENSION = 12, ROWS = 10000 };

static float component(size_t row, size_t i) {
    return (float)((row * 31 + i * 17) % 101) / 101.0f - 0.5f;
}

static void expect_scores(const sat_vindex *index, const float *query, const uint8_t *wanted,
                          const float *scores) {
    for (size_t row = 0; row < sat_vindex_count(index); row++) {
        int64_t chunk = sat_vindex_key(index, row).chunk;
        if (!chunk || (wanted && !wanted[row])) {
            assert_true(scores[row] == -9);
            continue;
        }
        double sum = 0;
        for (size_t i = 0; i < DIMENSION; i++)
            sum += (double)component((size_t)chunk, i) * query[i];
        assert_true(fabs(sum - scores[row]) < 1e-5);
    }
}

static void vectors_are_scored_added_and_squeezed(void **state) {
    fixture *f = *state;
    satchel_error error;
    sat_vindex *index = NULL;
    float *data = malloc(ROWS * DIMENSION * sizeof *data), *scores = malloc(ROWS * sizeof *scores);
    sat_vector_key *keys = malloc(ROWS * sizeof *keys);
    uint8_t *wanted = malloc(ROWS);
    float query[DIMENSION];
    for (size_t i = 0; i < DIMENSION; i++)
        query[i] = component(77, i);
    for (size_t row = 0; row < ROWS; row++) {
        keys[row] = (sat_vector_key){(int64_t)row + 1, (int64_t)row + 1};
        wanted[row] = row % 7 == 3 && row > 5000;
        for (size_t i = 0; i < DIMENSION; i++)
            data[row * DIMENSION + i] = component(row + 1, i);
    }
    uint64_t before = atomic_load(&f->context->memory.now);
    assert_int_equal(sat_vindex_open(&index, f->context, DIMENSION, &error), SATCHEL_OK);
    for (size_t at = 0; at < ROWS;) {
        size_t count = at % 3 == 0 ? 1 : 700;
        if (count > ROWS - at)
            count = ROWS - at;
        assert_int_equal(sat_vindex_add(index, data + at * DIMENSION, keys + at, count, &error),
                         SATCHEL_OK);
        at += count;
    }
    assert_int_equal(sat_vindex_count(index), ROWS);
    assert_true(atomic_load(&f->context->memory.now) - before >= ROWS * DIMENSION * sizeof(float));
    for (int round = 0; round < 3; round++) {
        for (int subset = 0; subset < 2; subset++) {
            for (size_t row = 0; row < ROWS; row++)
                scores[row] = -9;
            assert_int_equal(
                sat_vindex_score(index, query, subset ? wanted : NULL, scores, NULL, &error),
                SATCHEL_OK);
            expect_scores(index, query, subset ? wanted : NULL, scores);
        }
        if (round == 0) {
            for (size_t row = 0; row < ROWS; row += 2)
                sat_vindex_kill(index, row);
            assert_int_equal(sat_vindex_dead(index), ROWS / 2);
        } else if (round == 1) {
            assert_int_equal(sat_vindex_squeeze(index, &error), SATCHEL_OK);
            assert_int_equal(sat_vindex_count(index), ROWS / 2);
            assert_int_equal(sat_vindex_dead(index), 0);
        }
    }
    sat_vindex_close(&index);
    assert_int_equal(atomic_load(&f->context->memory.now), before);
    free(data);
    free(scores);
    free(keys);
    free(wanted);
}

static void rows_are_found_by_chunk(void **state) {
    sat_collection_id ids[100];
    sat_collection collection = {.count = 100, .ids = ids};
    for (uint32_t i = 0; i < 100; i++)
        ids[i] = (sat_collection_id){(int64_t)i * 3 + 5, 99 - i};
    size_t hint = 0;
    for (int64_t chunk = 0; chunk < 320; chunk++) {
        size_t fresh = 0;
        size_t expected = chunk >= 5 && (chunk - 5) % 3 == 0 && chunk < 305
                              ? (size_t)(99 - (chunk - 5) / 3)
                              : SIZE_MAX;
        assert_int_equal(sat_collection_row(&collection, chunk, &hint), expected);
        assert_int_equal(sat_collection_row(&collection, chunk, &fresh), expected);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(finds_by_keyword),
        TEST(finds_by_vector),
        TEST(finds_by_both),
        TEST(keyword_hits_have_no_vector_score),
        TEST(a_query_of_nothing_finds_nothing),
        TEST(queries_are_plain_text),
        TEST(refuses_bad_arguments),
        TEST(a_filter_keeps_k_hits_if_there_are_k),
        TEST(a_filter_changes_no_score),
        TEST(a_hit_says_where_it_is),
        TEST(plain_text_knows_its_source),
        TEST(half_embedded_stores_are_searched_whole),
        TEST(hits_hold_evidence_for_answers),
        TEST(a_query_unknown_to_the_embedder_is_ranked_by_keywords),
        TEST(index_follows_the_store),
        TEST(brute_force_gives_the_same),
        TEST(memory_limit_is_kept),
        TEST(searches_run_beside_a_writer),
        TEST(cancel_ends_a_search),
        TEST(vectors_are_scored_added_and_squeezed),
        cmocka_unit_test(top_is_sorted_and_breaks_ties_by_id),
        cmocka_unit_test(top_agrees_with_sorting),
        cmocka_unit_test(scales_standardise),
        cmocka_unit_test(a_small_difference_among_few_stays_small),
        cmocka_unit_test(rows_are_found_by_chunk),
    };
    return cmocka_run_group_tests_name("search", tests, NULL, NULL);
}
