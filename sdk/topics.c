/* Topics of a store: checks at the border, then retrieval. */
#include "sdk/handle.h"

enum { MOST_TOPICS = 1000, MOST_WORDS = 16, MOST_SENTENCES = 32 };

void satchel_topics_options_init(satchel_topics_options *options, size_t struct_size) {
    sat_options_init(options, struct_size);
}

static satchel_status check_topics_options(const char *call, const satchel_topics_options *options,
                                           satchel_error *error) {
    satchel_status status = sat_check_range(call, "options.k", options->k, 0, MOST_TOPICS, error);
    if (!status)
        status = sat_check_range(call, "options.words", options->words, 0, MOST_WORDS, error);
    if (!status)
        status = sat_check_range(call, "options.sentences", options->sentences, -1, MOST_SENTENCES,
                                 error);
    if (!status)
        status =
            sat_check_range(call, "options.iterations", options->iterations, -1, INT32_MAX, error);
    if (!status)
        status = sat_check_range(call, "options.mode", options->mode, SATCHEL_KMEANS_EXACT,
                                 SATCHEL_KMEANS_FAST, error);
    if (!status)
        status = sat_check_string(call, "options.filter", options->filter, true, error);
    if (!status)
        status = sat_cancel_check(options->cancel, error);
    return status;
}

typedef struct topics_call {
    satchel_store *store;
    satchel_progress_function progress;
    void *user;
} topics_call;

static int32_t app_progress(void *user, const satchel_event_progress *progress) {
    topics_call *call = user;
    sat_gate_enter(&call->store->gate);
    int32_t stop = call->progress(call->user, progress);
    sat_gate_leave(&call->store->gate);
    return stop;
}

satchel_status satchel_store_topics(satchel_topics **out, satchel_store *store,
                                    const satchel_topics_options *options, satchel_error *error) {
    satchel_status status = sat_check_out(__func__, "out", out, sizeof *out, error);
    satchel_topics_options known;
    if (!status)
        status = sat_check_store(__func__, store, error);
    if (!status)
        status = sat_options_read(&known, sizeof known, options, "satchel_topics_options", error);
    if (!status)
        status = check_topics_options(__func__, &known, error);
    if (status)
        return status;
    topics_call call = {.store = store, .progress = known.progress, .user = known.progress_user};
    if (known.progress) {
        known.progress = app_progress;
        known.progress_user = &call;
    }
    return sat_store_topics(out, store->store, &known, error);
}

/* ------------------------------------------------------------------ reading */

/* What every getter does first: the output cleared, the handle there. */
static satchel_status check_get(const char *call, const satchel_topics *topics, void *out,
                                size_t size, satchel_error *error) {
    satchel_status status = sat_check_out(call, "out", out, size, error);
    return status ? status : sat_check_pointer(call, "the topics", topics, error);
}

size_t satchel_topics_count(const satchel_topics *topics) {
    return topics ? sat_topics_count(topics) : 0;
}

satchel_status satchel_topics_get_info(const satchel_topics *topics, satchel_topics_info *info,
                                       size_t size, satchel_error *error) {
    satchel_topics_info known = {0};
    satchel_status status = check_get(__func__, topics, info, size, error);
    if (status)
        return status;
    sat_topics_get_info(topics, &known);
    sat_result_write(info, size, &known, sizeof known);
    return SATCHEL_OK;
}

satchel_status satchel_topics_get(const satchel_topics *topics, size_t index, satchel_topic *topic,
                                  size_t size, satchel_error *error) {
    satchel_topic known = {0};
    satchel_status status = check_get(__func__, topics, topic, size, error);
    if (!status)
        status = sat_topics_get(topics, index, &known, error);
    if (!status)
        sat_result_write(topic, size, &known, sizeof known);
    return status;
}

satchel_status satchel_topics_get_document(const satchel_topics *topics, size_t index,
                                           size_t document, satchel_topic_document *out,
                                           size_t size, satchel_error *error) {
    satchel_topic_document known = {0};
    satchel_status status = check_get(__func__, topics, out, size, error);
    if (!status)
        status = sat_topics_get_document(topics, index, document, &known, error);
    if (!status)
        sat_result_write(out, size, &known, sizeof known);
    return status;
}

satchel_status satchel_topics_get_sentence(const satchel_topics *topics, size_t index,
                                           size_t sentence, satchel_topic_sentence *out,
                                           size_t size, satchel_error *error) {
    satchel_topic_sentence known = {0};
    satchel_status status = check_get(__func__, topics, out, size, error);
    if (!status)
        status = sat_topics_get_sentence(topics, index, sentence, &known, error);
    if (!status)
        sat_result_write(out, size, &known, sizeof known);
    return status;
}

void satchel_topics_close(satchel_topics **topics) {
    if (topics)
        sat_topics_close(topics);
}
