/* Topics through the public interface: refusals, callbacks, struct sizes, lifetimes. What is
 * grouped and how it is called is tested in tests/unit/retrieval. */
#include <math.h>

#include "tests/unit/sdk/support.h"

static void add_notes(test_bed *bed) {
    test_add(bed, "bread", "Bread needs flour. The dough of flour becomes bread in the oven.");
    test_add(bed, "cake", "Flour and an oven: so does cake. Dough for cake is sweet bread dough.");
    test_add(bed, "train", "The train leaves the station. A ticket for the train is at hand.");
    test_add(bed, "tram", "The tram stops at the station. No ticket, no tram, no train.");
}

static satchel_topics *group(test_bed *bed, const satchel_topics_options *options) {
    satchel_error error;
    satchel_topics *topics = NULL;
    test_fine(satchel_store_topics(&topics, bed->store, options, &error), &error);
    return topics;
}

static void topics_are_read(void **state) {
    test_bed *bed = *state;
    add_notes(bed);
    satchel_topics_options options;
    satchel_topics_options_init(&options, sizeof options);
    options.k = 2;
    satchel_error error;
    satchel_topics *topics = group(bed, &options);
    satchel_topics_info info;
    test_fine(satchel_topics_get_info(topics, &info, sizeof info, &error), &error);
    assert_int_equal(info.chunks, 4);
    assert_int_equal(info.documents, 4);
    assert_int_equal(info.dimension, TEST_DIMENSION);
    assert_int_equal(satchel_topics_count(topics), 2);
    satchel_topic topic;
    satchel_topic_document document;
    satchel_topic_sentence sentence;
    for (size_t i = 0; i < 2; i++) {
        test_fine(satchel_topics_get(topics, i, &topic, sizeof topic, &error), &error);
        assert_int_equal(topic.chunks, 2);
        assert_true(topic.word_count > 0);
        assert_memory_equal(topic.label, topic.words[0], strlen(topic.words[0]));
        test_fine(satchel_topics_get_document(topics, i, 1, &document, sizeof document, &error),
                  &error);
        assert_int_equal(document.chunks_all, 1);
        test_fine(satchel_topics_get_sentence(topics, i, 0, &sentence, sizeof sentence, &error),
                  &error);
        assert_true(sentence.length > 0);
    }
    assert_int_equal(satchel_topics_get(topics, 2, &topic, sizeof topic, &error),
                     SATCHEL_NOT_FOUND);
    assert_null(topic.label);
    /* A caller of an earlier version, and one of a later. */
    memset(&topic, 0x5A, sizeof topic);
    test_fine(satchel_topics_get(topics, 0, &topic, offsetof(satchel_topic, words), &error),
              &error);
    assert_non_null(topic.label);
    assert_int_equal(topic.word_count, (size_t)0x5A5A5A5A5A5A5A5A);
    struct {
        satchel_topics_info known;
        uint64_t later;
    } large = {.later = 5};
    test_fine(satchel_topics_get_info(topics, &large.known, sizeof large, &error), &error);
    assert_int_equal(large.later, 0);
    /* They outlive what they were made from. */
    satchel_store_close(&bed->store);
    satchel_model_close(&bed->model);
    satchel_context_close(&bed->context);
    test_fine(satchel_topics_get(topics, 0, &topic, sizeof topic, &error), &error);
    assert_true(isfinite(topic.centroid[TEST_DIMENSION - 1]));
    satchel_topics_close(&topics);
    assert_null(topics);
    satchel_topics_close(&topics);
    satchel_topics_close(NULL);
    assert_int_equal(satchel_topics_count(NULL), 0);
}

static void mistakes_are_refused_by_name(void **state) {
    test_bed *bed = *state;
    add_notes(bed);
    satchel_error error;
    satchel_topics *topics = (satchel_topics *)bed; /* to be set to NULL */
    assert_int_equal(satchel_store_topics(NULL, bed->store, NULL, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_store_topics(&topics, NULL, NULL, &error), SATCHEL_INVALID_ARGUMENT);
    assert_null(topics);
    satchel_topics_options options;
    satchel_topics_options_init(&options, sizeof options);
#define REFUSED(field, value)                                                                      \
    do {                                                                                           \
        options.field = (value);                                                                   \
        assert_int_equal(satchel_store_topics(&topics, bed->store, &options, &error),              \
                         SATCHEL_INVALID_ARGUMENT);                                                \
        assert_non_null(strstr(error.message, #field));                                            \
        satchel_topics_options_init(&options, sizeof options);                                     \
    } while (0)
    REFUSED(k, -1);
    REFUSED(k, 1001);
    REFUSED(words, -1);
    REFUSED(words, 17);
    REFUSED(sentences, -2);
    REFUSED(sentences, 33);
    REFUSED(iterations, -2);
    REFUSED(mode, 2);
#undef REFUSED
    options.filter = "\xFF";
    assert_int_equal(satchel_store_topics(&topics, bed->store, &options, &error),
                     SATCHEL_INVALID_TEXT);
    topics = group(bed, NULL);
    satchel_topic topic;
    assert_int_equal(satchel_topics_get(topics, 0, NULL, 0, &error), SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_topics_get(NULL, 0, &topic, sizeof topic, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_topics_get_info(topics, NULL, 0, &error), SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_topics_get_document(topics, 0, 0, NULL, 0, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_topics_get_sentence(NULL, 0, 0, NULL, 0, &error),
                     SATCHEL_INVALID_ARGUMENT);
    satchel_topics_close(&topics);
}

static void a_store_without_a_model_says_so(void **state) {
    test_bed *bed = *state;
    test_add(bed, "note", "Bread needs flour.");
    satchel_error error;
    satchel_topics *topics = NULL;
    assert_int_equal(satchel_store_topics(&topics, bed->store, NULL, &error), SATCHEL_NO_MODEL);
    assert_non_null(strstr(error.message, "model"));
}

typedef struct calling {
    test_bed *bed;
    satchel_status inside; /* of a call back into the store */
    int calls, stop;
} calling;

static int32_t call_back(void *user, const satchel_event_progress *progress) {
    calling *c = user;
    satchel_store_stats stats;
    (void)progress;
    c->inside = satchel_store_get_stats(c->bed->store, &stats, sizeof stats, NULL);
    return ++c->calls == c->stop;
}

static void progress_may_not_call_back(void **state) {
    test_bed *bed = *state;
    add_notes(bed);
    calling c = {.bed = bed};
    satchel_topics_options options;
    satchel_topics_options_init(&options, sizeof options);
    options.progress = call_back;
    options.progress_user = &c;
    satchel_topics *topics = group(bed, &options);
    satchel_topics_close(&topics);
    assert_int_equal(c.inside, SATCHEL_BUSY);
    assert_true(c.calls > 4);
    const int calls = c.calls;
    for (int stop = 1; stop <= calls; stop++) {
        satchel_error error;
        c = (calling){.bed = bed, .stop = stop};
        assert_int_equal(satchel_store_topics(&topics, bed->store, &options, &error),
                         SATCHEL_CANCELLED);
        assert_null(topics);
    }
    /* And the store is free again. */
    satchel_store_stats stats;
    assert_int_equal(satchel_store_get_stats(bed->store, &stats, sizeof stats, NULL), SATCHEL_OK);
}

static void cancel_is_heeded(void **state) {
    test_bed *bed = *state;
    add_notes(bed);
    satchel_error error;
    satchel_topics_options options;
    satchel_topics_options_init(&options, sizeof options);
    satchel_cancel *cancel = NULL;
    test_fine(satchel_cancel_open(&cancel, bed->context, &error), &error);
    options.cancel = cancel;
    satchel_topics *topics = group(bed, &options);
    satchel_topics_close(&topics);
    satchel_cancel_fire(cancel);
    assert_int_equal(satchel_store_topics(&topics, bed->store, &options, &error),
                     SATCHEL_CANCELLED);
    satchel_cancel_close(&cancel);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_MODEL(topics_are_read),
        WITH_MODEL(mistakes_are_refused_by_name),
        WITHOUT_MODEL(a_store_without_a_model_says_so),
        WITH_MODEL(progress_may_not_call_back),
        WITH_MODEL(cancel_is_heeded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
