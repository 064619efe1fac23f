#include "tests/unit/retrieval/ask_fixture.h"

size_t fake_writer_count(const char *text, size_t length) {
    size_t count = 0;
    bool word = false;
    for (size_t at = 0, size; at < length; at += size) {
        int32_t code;
        size = sat_utf8_decode(text + at, length - at, &code);
        bool letter = sat_is_letter(code) || sat_is_digit(code);
        count += letter ? !word : !sat_is_space(code);
        word = letter;
    }
    return count;
}

static satchel_status count_words(void *user, const char *text, size_t length, size_t *count,
                                  satchel_error *error) {
    *count = fake_writer_count(text, length);
    return SATCHEL_OK;
}

static satchel_status count_messages(void *user, const char *messages, size_t length, size_t *count,
                                     satchel_error *error) {
    json_t *json;
    satchel_status status =
        sat_json_parse(&json, messages, length, SATCHEL_INTERNAL, "messages", error);
    *count = 0;
    for (size_t i = 0; i < json_array_size(json); i++) {
        json_t *content = json_object_get(json_array_get(json, i), "content");
        *count += 2 + fake_writer_count(json_string_value(content), json_string_length(content));
    }
    json_decref(json);
    return status;
}

typedef struct writing {
    sat_stream stream;
    sat_memory *memory;
    fake_writer *fake;
    size_t at;
    satchel_event_progress progress;
    satchel_event_token token;
    satchel_event_done done;
} writing;

static satchel_status writing_next(sat_stream *stream, satchel_event *event, satchel_error *error) {
    writing *w = (writing *)stream;
    const char *piece = w->fake->script[w->at > 0 ? w->at - 1 : 0];
    if (w->at == 0) {
        w->progress =
            (satchel_event_progress){.phase = SATCHEL_PHASE_PREFILL, .done = 7, .total = 7};
        event->kind = SATCHEL_EVENT_PROGRESS;
        event->progress = &w->progress;
    } else if (!piece) {
        w->done = (satchel_event_done){.prompt_tokens = 70,
                                       .cached_tokens = 5,
                                       .generated_tokens = (int64_t)w->at - 1,
                                       .finish = SATCHEL_FINISH_END};
        event->kind = SATCHEL_EVENT_DONE;
        event->done = &w->done;
        return SATCHEL_OK;
    } else if (w->at == w->fake->fail_at) {
        return sat_fail(error, SATCHEL_CALLBACK, "the fake failed");
    } else {
        w->token = (satchel_event_token){
            .text = piece, .length = strlen(piece), .token = 100 + (int32_t)w->at};
        event->kind = SATCHEL_EVENT_TOKEN;
        event->token = &w->token;
        if (w->at == 2 && w->fake->fire)
            atomic_store(&w->fake->fire->fired, 1);
    }
    w->at++;
    return SATCHEL_OK;
}

static void writing_close(sat_stream *stream) {
    writing *w = (writing *)stream;
    sat_free(w->memory, w);
}

static sat_memory fake_memory;

static satchel_status begin(void *user, sat_stream **out, const char *messages, size_t length,
                            int32_t max_tokens, satchel_error *error) {
    fake_writer *fake = user;
    *out = NULL;
    fake->written++;
    fake->max_tokens = max_tokens;
    snprintf(fake->messages, sizeof fake->messages, "%.*s", (int)length, messages);
    if (fake->failing)
        return sat_fail(error, fake->failing, "the fake does not begin");
    writing *w = sat_calloc(&fake_memory, 1, sizeof *w);
    assert_non_null(w);
    w->stream = (sat_stream){writing_next, writing_close};
    w->memory = &fake_memory;
    w->fake = fake;
    *out = &w->stream;
    return SATCHEL_OK;
}

static void release(void *user) {
    fake_writer *fake = user;
    fake->released++;
}

sat_writer fake_writer_make(fake_writer *fake, int32_t context_tokens) {
    sat_memory_init(&fake_memory, NULL, 0);
    return (sat_writer){.user = fake,
                        .context_tokens = context_tokens,
                        .count = count_words,
                        .count_messages = fake->exact ? count_messages : NULL,
                        .write = begin,
                        .release = release};
}
