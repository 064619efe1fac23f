/* Topics: what is grouped, how it is called, what is quoted, and what is left out. */
#include <math.h>

#include "tests/unit/retrieval/fixture.h"

/* Three subjects with words of their own, and the small words of all texts. */
static const char *const subjects[3][5] = {
    {"The baker kneads dough, flour and yeast: bread for the oven.",
     "Flour, yeast, dough: a baker has bread and an oven.",
     "Oven and bread, dough of flour, yeast by a baker.",
     "Baker, give the dough flour; bread without yeast, oven without bread.",
     "Dough, yeast, bread: good when oven, baker and flour are."},
    {"The train at the station: platform, ticket, carriage, conductor.",
     "Conductor and carriage, train and platform, ticket and station.",
     "A ticket, says the conductor; train, carriage, platform, station.",
     "Station and platform have train, carriage, conductor and ticket.",
     "Which carriage, conductor; platform, train, station, ticket?"},
    {"The tenant pays rent; deposit, landlord, lease.",
     "A lease: landlord, rent, and the tenant with a deposit.",
     "Rent, landlord, deposit, tenant: so says the lease.",
     "Without rent: tenant, landlord, deposit and lease.",
     "Deposit, rent and lease; tenant and landlord."},
};
static const char *const own_words[3] = {"bread flour oven dough baker yeast rise",
                                         "train station platform carriage conductor ticket",
                                         "tenant deposit landlord lease rent"};

static void add_subjects(fixture *f) {
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 5 - i; j++) { /* 5, 4 and 3 documents */
            char id[16];
            snprintf(id, sizeof id, "%c/%d", "btl"[i], j);
            fixture_add_with(f, id, subjects[i][j], "Title", NULL);
        }
}

static satchel_topics *group(fixture *f, const satchel_topics_options *options) {
    static const satchel_topics_options defaults = {.struct_size = sizeof defaults};
    satchel_topics *topics = NULL;
    fixture_fine(f, sat_store_topics(&topics, f->store, options ? options : &defaults, &f->error));
    assert_non_null(topics);
    return topics;
}

static satchel_topics *group_in(fixture *f, int32_t k) {
    const satchel_topics_options options = {.struct_size = sizeof options, .k = k};
    return group(f, &options);
}

static satchel_topic topic_at(const satchel_topics *topics, size_t index) {
    satchel_topic topic;
    assert_int_equal(sat_topics_get(topics, index, &topic, NULL), SATCHEL_OK);
    return topic;
}

static satchel_topic_sentence sentence_at(const satchel_topics *topics, size_t index, size_t at) {
    satchel_topic_sentence sentence;
    assert_int_equal(sat_topics_get_sentence(topics, index, at, &sentence, NULL), SATCHEL_OK);
    return sentence;
}

static satchel_topic_document document_at(const satchel_topics *topics, size_t index, size_t at) {
    satchel_topic_document document;
    assert_int_equal(sat_topics_get_document(topics, index, at, &document, NULL), SATCHEL_OK);
    return document;
}

static bool is_own_word(const char *words, const char *word) {
    const char *at = strstr(words, word);
    size_t length = strlen(word);
    return at && (at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0');
}

static void subjects_become_topics(void **state) {
    fixture *f = *state;
    add_subjects(f);
    satchel_topics *topics = group_in(f, 3);
    assert_int_equal(sat_topics_count(topics), 3);
    satchel_topics_info info;
    sat_topics_get_info(topics, &info);
    assert_int_equal(info.chunks, 12);
    assert_int_equal(info.pending, 0);
    assert_int_equal(info.documents, 12);
    assert_int_equal(info.dimension, f->embedder.dimension);
    for (size_t i = 0; i < 3; i++) { /* the largest first: bread, trains, leases */
        satchel_topic topic = topic_at(topics, i);
        assert_int_equal(topic.chunks, 5 - i);
        assert_int_equal(topic.document_count, 5 - i);
        assert_true(fabs(topic.share - (double)(5 - i) / 12) < 1e-12);
        assert_true(topic.cohesion > 0.3 && topic.cohesion <= 1.0001);
        double square = 0;
        for (int32_t d = 0; d < info.dimension; d++)
            square += (double)topic.centroid[d] * topic.centroid[d];
        assert_true(fabs(square - 1) < 1e-5);
        for (size_t j = 0; j < topic.document_count; j++) {
            satchel_topic_document document = document_at(topics, i, j);
            assert_int_equal(document.id[0], "btl"[i]);
            assert_string_equal(document.title, "Title");
            assert_int_equal(document.chunks, 1);
            assert_int_equal(document.chunks_all, 1);
        }
    }
    sat_topics_close(&topics);
    assert_null(topics);
}

static void labels_are_words_of_the_topic_alone(void **state) {
    fixture *f = *state;
    add_subjects(f);
    satchel_topics *topics = group_in(f, 3);
    for (size_t i = 0; i < 3; i++) {
        satchel_topic topic = topic_at(topics, i);
        char joined[256] = "";
        assert_int_equal(topic.word_count, 4);
        for (size_t j = 0; j < topic.word_count; j++) {
            if (!is_own_word(own_words[i], topic.words[j]))
                fail_msg("topic %zu: \"%s\" is no word of it", i, topic.words[j]);
            snprintf(joined + strlen(joined), sizeof joined - strlen(joined), "%s%s",
                     j > 0 ? ", " : "", topic.words[j]);
        }
        assert_string_equal(topic.label, joined);
    }
    sat_topics_close(&topics);
}

static void sentences_stand_in_their_documents(void **state) {
    fixture *f = *state;
    add_subjects(f);
    /* Two sentences of a text, and letters that are two units of UTF-16 before the second. */
    fixture_add(f, "b/9",
                "\xF0\x9F\x8D\x9E first. The baker shapes the dough of flour for the oven.");
    satchel_topics *topics = group_in(f, 3);
    bool astral = false;
    for (size_t i = 0; i < 3; i++) {
        satchel_topic topic = topic_at(topics, i);
        assert_int_equal(topic.sentence_count, 3);
        float before = 2;
        for (size_t j = 0; j < topic.sentence_count; j++) {
            satchel_topic_sentence s = sentence_at(topics, i, j);
            char text[256];
            int64_t length;
            fixture_fine(f, sat_store_document_text(f->store, s.document_id, s.range.start, text,
                                                    s.length, &length, &f->error));
            assert_int_equal(s.range.end - s.range.start, s.length);
            assert_memory_equal(text, s.text, s.length);
            assert_true(s.score <= before);
            before = s.score;
            assert_int_equal(s.page, 0);
            assert_int_equal(s.time_ms, -1);
            assert_int_equal(s.document_id[0], "btl"[i]);
            astral = astral || s.range.start != s.range.start_utf16;
            if (s.range.start != s.range.start_utf16)
                assert_int_equal(s.range.start - s.range.start_utf16, 2);
            assert_int_equal(s.range.end_utf16 - s.range.start_utf16, s.length);
        }
    }
    sat_topics_close(&topics);
    satchel_topics_options options = {.struct_size = sizeof options, .k = 3, .sentences = 32};
    topics = group(f, &options);
    for (size_t j = 0; j < topic_at(topics, 0).sentence_count; j++) {
        satchel_topic_sentence s = sentence_at(topics, 0, j);
        astral = astral || s.range.start != s.range.start_utf16;
    }
    assert_true(astral);
    sat_topics_close(&topics);
}

static void what_is_said_twice_is_quoted_once(void **state) {
    fixture *f = *state;
    add_subjects(f);
    for (int i = 0; i < 4; i++) {
        char id[16];
        snprintf(id, sizeof id, "copy/%d", i);
        fixture_add(f, id, subjects[0][0]);
    }
    satchel_topics_options options = {.struct_size = sizeof options, .k = 3, .sentences = 32};
    satchel_topics *topics = group(f, &options);
    satchel_topic topic = topic_at(topics, 0);
    assert_int_equal(topic.chunks, 9);
    assert_int_equal(topic.sentence_count, 5); /* of 9 chunks, 5 of which are alike */
    sat_topics_close(&topics);
}

static void sentences_need_no_embedding_if_none_are_wanted(void **state) {
    fixture *f = *state;
    add_subjects(f);
    size_t before = f->embedded;
    satchel_topics_options options = {.struct_size = sizeof options, .k = 3, .sentences = -1};
    satchel_topics *topics = group(f, &options);
    assert_int_equal(f->embedded, before);
    assert_int_equal(topic_at(topics, 0).sentence_count, 0);
    assert_int_equal(topic_at(topics, 0).word_count, 4);
    sat_topics_close(&topics);
}

static void the_number_of_topics_has_bounds(void **state) {
    fixture *f = *state;
    satchel_topics *topics = group(f, NULL);
    assert_int_equal(sat_topics_count(topics), 0); /* nothing there, nothing wrong */
    sat_topics_close(&topics);
    fixture_add(f, "one", "The bread needs flour.");
    topics = group(f, NULL);
    assert_int_equal(sat_topics_count(topics), 1);
    assert_true(topic_at(topics, 0).word_count > 0);
    sat_topics_close(&topics);
    add_subjects(f);
    topics = group(f, NULL); /* 13 chunks: a third */
    assert_true(sat_topics_count(topics) <= 4 && sat_topics_count(topics) >= 3);
    sat_topics_close(&topics);
    topics = group_in(f, 1000); /* more than chunks: each its own, or with its like */
    assert_true(sat_topics_count(topics) > 8 && sat_topics_count(topics) <= 13);
    sat_topics_close(&topics);
}

static void equal_chunks_leave_no_empty_topic(void **state) {
    fixture *f = *state;
    for (int i = 0; i < 6; i++) {
        char id[16];
        snprintf(id, sizeof id, "same/%d", i);
        fixture_add(f, id, "The bread needs flour and water.");
    }
    satchel_topics *topics = group_in(f, 4);
    int64_t chunks = 0;
    for (size_t i = 0; i < sat_topics_count(topics); i++) {
        assert_true(topic_at(topics, i).chunks > 0);
        chunks += topic_at(topics, i).chunks;
    }
    assert_int_equal(chunks, 6);
    sat_topics_close(&topics);
}

static void a_filter_chooses_the_documents(void **state) {
    fixture *f = *state;
    add_subjects(f);
    satchel_topics_options options = {
        .struct_size = sizeof options, .k = 2, .filter = "{\"path\":[\"b/*\",\"l/*\"]}"};
    satchel_topics *topics = group(f, &options);
    satchel_topics_info info;
    sat_topics_get_info(topics, &info);
    assert_int_equal(info.chunks, 8);
    assert_int_equal(info.pending, 0);
    assert_int_equal(document_at(topics, 0, 0).id[0], 'b');
    assert_int_equal(document_at(topics, 1, 0).id[0], 'l');
    sat_topics_close(&topics);
    options.filter = "{\"nonsense\":1}";
    fixture_fails(f, sat_store_topics(&topics, f->store, &options, &f->error),
                  SATCHEL_INVALID_FILTER);
    assert_null(topics);
}

static void pending_chunks_are_counted(void **state) {
    fixture *f = *state;
    const satchel_add_options defer = {.struct_size = sizeof defer, .defer_embedding = 1};
    fixture_fine(f, sat_store_add_text(f->store, "later", "Words.", 6, &defer, &f->error));
    satchel_topics *topics = group(f, NULL);
    satchel_topics_info info;
    sat_topics_get_info(topics, &info);
    assert_int_equal(sat_topics_count(topics), 0);
    assert_int_equal(info.chunks, 0);
    assert_int_equal(info.pending, 1);
    sat_topics_close(&topics);
    add_subjects(f);
    topics = group(f, NULL);
    sat_topics_get_info(topics, &info);
    assert_int_equal(info.chunks, 12);
    assert_int_equal(info.pending, 1);
    sat_topics_close(&topics);
}

static void a_store_without_a_model_has_no_topics(void **state) {
    fixture *f = *state;
    add_subjects(f);
    f->keywords_only = true;
    fixture_fine(f, fixture_open(f));
    satchel_topics *topics = NULL;
    const satchel_topics_options options = {.struct_size = sizeof options};
    fixture_fails(f, sat_store_topics(&topics, f->store, &options, &f->error), SATCHEL_NO_MODEL);
    assert_null(topics);
    assert_non_null(strstr(f->error.message, "model"));
}

static void append_all(char *out, size_t size, const satchel_topics *topics) {
    out[0] = '\0';
    for (size_t i = 0; i < sat_topics_count(topics); i++) {
        satchel_topic topic = topic_at(topics, i);
        size_t used = strlen(out);
        used += (size_t)snprintf(out + used, size - used, "%s|%.17g|", topic.label, topic.cohesion);
        for (size_t j = 0; j < topic.sentence_count; j++) {
            satchel_topic_sentence s = sentence_at(topics, i, j);
            used += (size_t)snprintf(out + used, size - used, "%s:%d|", s.document_id,
                                     (int)s.range.start);
        }
    }
}

static void the_same_everywhere(void **state) {
    fixture *f = *state;
    char first[4096], second[4096];
    add_subjects(f);
    satchel_topics *topics = group_in(f, 4);
    append_all(first, sizeof first, topics);
    sat_topics_close(&topics);
    f->cpu_level = SATCHEL_CPU_C;
    fixture_fine(f, fixture_open(f));
    topics = group_in(f, 4);
    append_all(second, sizeof second, topics);
    sat_topics_close(&topics);
    assert_string_equal(first, second);
}

/* ------------------------------------------------------------------ progress */

typedef struct watch {
    fixture *f;
    int32_t phase;   /* the last */
    int64_t done;    /* in it */
    int calls, stop; /* stop at this call */
    bool interfere;  /* remove and replace documents while it works */
} watch;

static int32_t on_progress(void *user, const satchel_event_progress *event) {
    watch *w = user;
    assert_true(event->phase >= w->phase);
    if (event->phase == w->phase)
        assert_true(event->done >= w->done);
    assert_true(event->total < 0 || event->done <= event->total);
    if (w->interfere && event->phase == SATCHEL_PHASE_CLUSTER && w->phase != event->phase) {
        fixture_fine(w->f, sat_store_remove(w->f->store, "b/0", &w->f->error));
        fixture_add(w->f, "t/0", "Nothing of it is left.");
    }
    w->phase = event->phase;
    w->done = event->done;
    return ++w->calls == w->stop;
}

static void progress_tells_of_all_phases(void **state) {
    fixture *f = *state;
    add_subjects(f);
    watch w = {.f = f};
    satchel_topics_options options = {
        .struct_size = sizeof options, .k = 3, .progress = on_progress, .progress_user = &w};
    satchel_topics *topics = group(f, &options);
    sat_topics_close(&topics);
    assert_int_equal(w.phase, SATCHEL_PHASE_DESCRIBE);
    assert_int_equal(w.done, 6);
    const int calls = w.calls;
    assert_true(calls > 8);
    for (int stop = 1; stop <= calls; stop++) { /* at each of them it can be ended */
        w = (watch){.f = f, .stop = stop};
        fixture_fails(f, sat_store_topics(&topics, f->store, &options, &f->error),
                      SATCHEL_CANCELLED);
        assert_null(topics);
        assert_int_equal(w.calls, stop);
    }
}

static void documents_may_go_while_it_works(void **state) {
    fixture *f = *state;
    add_subjects(f);
    watch w = {.f = f, .interfere = true};
    satchel_topics_options options = {.struct_size = sizeof options,
                                      .k = 3,
                                      .sentences = 32,
                                      .progress = on_progress,
                                      .progress_user = &w};
    satchel_topics *topics = group(f, &options);
    for (size_t i = 0; i < sat_topics_count(topics); i++)
        for (size_t j = 0; j < topic_at(topics, i).sentence_count; j++) {
            satchel_topic_sentence s = sentence_at(topics, i, j);
            assert_string_not_equal(s.document_id, "b/0");
            assert_string_not_equal(s.document_id, "t/0");
        }
    sat_topics_close(&topics);
}

static void a_failing_embedder_is_reported(void **state) {
    fixture *f = *state;
    add_subjects(f);
    f->failing = SATCHEL_CALLBACK;
    satchel_topics *topics = NULL;
    const satchel_topics_options options = {.struct_size = sizeof options, .k = 3};
    fixture_fails(f, sat_store_topics(&topics, f->store, &options, &f->error), SATCHEL_CALLBACK);
    assert_null(topics);
}

static void past_the_last_is_not_found(void **state) {
    fixture *f = *state;
    add_subjects(f);
    satchel_topics *topics = group_in(f, 3);
    satchel_topic topic;
    satchel_topic_document document;
    satchel_topic_sentence sentence;
    assert_int_equal(sat_topics_get(topics, 3, &topic, &f->error), SATCHEL_NOT_FOUND);
    assert_int_equal(sat_topics_get_document(topics, 0, 5, &document, &f->error),
                     SATCHEL_NOT_FOUND);
    assert_int_equal(sat_topics_get_document(topics, 9, 0, &document, &f->error),
                     SATCHEL_NOT_FOUND);
    assert_int_equal(sat_topics_get_sentence(topics, 0, 3, &sentence, &f->error),
                     SATCHEL_NOT_FOUND);
    sat_topics_close(&topics);
}

int main(void) {
#define ON_A_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        ON_A_STORE(subjects_become_topics),
        ON_A_STORE(labels_are_words_of_the_topic_alone),
        ON_A_STORE(sentences_stand_in_their_documents),
        ON_A_STORE(what_is_said_twice_is_quoted_once),
        ON_A_STORE(sentences_need_no_embedding_if_none_are_wanted),
        ON_A_STORE(the_number_of_topics_has_bounds),
        ON_A_STORE(equal_chunks_leave_no_empty_topic),
        ON_A_STORE(a_filter_chooses_the_documents),
        ON_A_STORE(pending_chunks_are_counted),
        ON_A_STORE(a_store_without_a_model_has_no_topics),
        ON_A_STORE(the_same_everywhere),
        ON_A_STORE(progress_tells_of_all_phases),
        ON_A_STORE(documents_may_go_while_it_works),
        ON_A_STORE(a_failing_embedder_is_reported),
        ON_A_STORE(past_the_last_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
