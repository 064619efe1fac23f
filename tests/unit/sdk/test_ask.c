/* Asking with an application's generator, and split: events, citations, refusals, options, handles. */
#include "tests/unit/sdk/support.h"

static const char lease[] = "The lease ends on 31 May 2027. Notice must be given in writing.";

/* ------------------------------------------------------------------ a generator by script */

typedef struct script {
    const char *text;
    size_t step; /* bytes a piece: characters are cut */
    size_t at;
    int begun, ended, destroyed, counted;
    int32_t max_tokens;
    float temperature;
    char messages[8192];
    satchel_status failing;
    void (*inside)(void *user); /* called inside each callback */
    void *inside_user;
} script;

static void call_inside(const script *s) {
    if (s->inside)
        s->inside(s->inside_user);
}

static satchel_status count(void *user, const char *text, size_t length, size_t *count) {
    script *s = user;
    (void)text;
    s->counted++;
    call_inside(s);
    *count = length / 4 + 1;
    return SATCHEL_OK;
}

static satchel_status begin(void *user, const satchel_generator_request *request, void **run) {
    script *s = user;
    s->begun++;
    call_inside(s);
    s->at = 0;
    s->max_tokens = request->max_tokens;
    s->temperature = request->options->temperature;
    snprintf(s->messages, sizeof s->messages, "%.*s", (int)request->messages_length,
             request->messages);
    *run = s;
    return SATCHEL_OK;
}

static satchel_status next(void *user, void *run, const char **text, size_t *length) {
    script *s = run;
    assert_ptr_equal(user, run);
    call_inside(s);
    if (s->failing && s->at > 0)
        return s->failing;
    size_t left = strlen(s->text) - s->at;
    *length = left < s->step ? left : s->step;
    *text = s->text + s->at;
    s->at += *length;
    return SATCHEL_OK;
}

static void end(void *user, void *run) {
    script *s = run;
    assert_ptr_equal(user, run);
    s->ended++;
}

static void destroy(void *user) {
    script *s = user;
    s->destroyed++;
}

static satchel_model *generator(test_bed *bed, script *s) {
    const satchel_generator table = {.struct_size = sizeof table,
                                     .user = s,
                                     .id = "test: a script",
                                     .context_tokens = 2000,
                                     .count_tokens = count,
                                     .begin = begin,
                                     .next = next,
                                     .end = end,
                                     .destroy = destroy};
    satchel_model *model = NULL;
    satchel_error error;
    test_fine(satchel_model_from_generator(&model, bed->context, &table, &error), &error);
    return model;
}

static satchel_ask_options asking(satchel_model *model) {
    satchel_ask_options options;
    satchel_ask_options_init(&options, sizeof options);
    options.generator = model;
    options.refusal_threshold = -1;
    return options;
}

/* ------------------------------------------------------------------ answers */

static void an_application_s_generator_answers(void **state) {
    test_bed *bed = *state;
    test_add(bed, "lease", lease);
    for (size_t step = 1; step < 8; step++) {
        script s = {.text = "Ça: the lease ends on 31 May 2027 [1]. Encore 🙂.", .step = step};
        satchel_model *model = generator(bed, &s);
        satchel_ask_options options = asking(model);
        satchel_stream *stream = NULL;
        satchel_event event = {0};
        satchel_error error;
        test_fine(satchel_ask(&stream, bed->store, "When does the lease end?", &options, &error),
                  &error);
        satchel_model_close(&model); /* the stream holds it */
        char text[256] = "";
        int citations = 0;
        while (event.kind != SATCHEL_EVENT_DONE) {
            test_fine(satchel_stream_next(stream, &event, sizeof event, &error), &error);
            if (event.kind == SATCHEL_EVENT_MODE) {
                assert_int_equal(event.mode->mode, SATCHEL_ANSWER_GENERATED);
                assert_int_equal(event.mode->reason, SATCHEL_REASON_GENERATOR);
            } else if (event.kind == SATCHEL_EVENT_TOKEN) {
                size_t used = strlen(text);
                snprintf(text + used, sizeof text - used, "%.*s", (int)event.token->length,
                         event.token->text);
            } else if (event.kind == SATCHEL_EVENT_CITATION) {
                citations++;
                assert_string_equal(event.citation->document_id, "lease");
                assert_int_equal(event.citation->answer.start, 0);
                assert_int_equal(event.citation->answer.end, 34);
                assert_int_equal(event.citation->answer.end_utf16, 33);
                assert_int_equal(event.citation->source.start, 0);
                assert_int_equal(event.citation->source.end, 30);
            }
        }
        assert_string_equal(text, s.text);
        assert_int_equal(citations, 1);
        assert_int_equal(event.done->finish, SATCHEL_FINISH_END);
        assert_int_equal(event.done->sentences, 1);
        assert_int_equal(s.begun, 1);
        assert_int_equal(s.max_tokens, 500);
        assert_true(s.counted > 0);
        assert_non_null(strstr(s.messages, "Question: When does the lease end?"));
        satchel_stream_close(&stream);
        assert_int_equal(s.ended, 1);
        assert_int_equal(s.destroyed, 1);
    }
}

static void options_reach_the_generator(void **state) {
    test_bed *bed = *state;
    test_add(bed, "lease", lease);
    script s = {.text = "In May [1].", .step = 100};
    satchel_model *model = generator(bed, &s);
    satchel_ask_options options = asking(model);
    satchel_generate_options generate;
    satchel_generate_options_init(&generate, sizeof generate);
    generate.max_tokens = 77;
    generate.temperature = 0.5f;
    options.generate = &generate;
    options.mode = SATCHEL_ANSWER_GENERATED;
    options.history = "[{\"role\":\"user\",\"content\":\"Hello there\"}]";
    options.prompt = "{\"system\":\"Be brief.\",\"refusal\":\"NONE\"}";
    satchel_stream *stream = NULL;
    satchel_error error;
    int counts[16];
    test_fine(satchel_ask(&stream, bed->store, "When does the lease end?", &options, &error),
              &error);
    memset(&generate, 0xAA, sizeof generate); /* it was copied */
    test_fine(test_drain(stream, counts, &error), &error);
    satchel_stream_close(&stream);
    assert_int_equal(s.max_tokens, 77);
    assert_true(s.temperature == 0.5f);
    assert_non_null(strstr(s.messages, "Hello there"));
    assert_non_null(strstr(s.messages, "Be brief."));
    assert_int_equal(counts[SATCHEL_EVENT_CITATION], 1);

    options.generate = NULL; /* sentences are quoted where that is asked for */
    options.mode = SATCHEL_ANSWER_EXTRACTIVE;
    test_fine(satchel_ask(&stream, bed->store, "When does the lease end?", &options, &error),
              &error);
    test_fine(test_drain(stream, counts, &error), &error);
    satchel_stream_close(&stream);
    assert_int_equal(s.begun, 1);
    satchel_model_close(&model);
    assert_int_equal(s.destroyed, 1);
}

static void a_generator_that_fails_or_declines_is_told(void **state) {
    test_bed *bed = *state;
    test_add(bed, "lease", lease);
    script s = {.text = "In May.", .step = 2, .failing = SATCHEL_IO};
    satchel_model *model = generator(bed, &s);
    satchel_ask_options options = asking(model);
    satchel_stream *stream = NULL;
    satchel_error error;
    int counts[16];
    test_fine(satchel_ask(&stream, bed->store, "When does the lease end?", &options, &error),
              &error);
    assert_int_equal(test_drain(stream, counts, &error), SATCHEL_CALLBACK);
    satchel_stream_close(&stream);
    assert_int_equal(s.ended, 1);
    s = (script){.text = "NO_ANSWER", .step = 2};
    test_fine(satchel_ask(&stream, bed->store, "When does the lease end?", &options, &error),
              &error);
    test_fine(test_drain(stream, counts, &error), &error);
    assert_int_equal(counts[SATCHEL_EVENT_REFUSAL], 1);
    assert_int_equal(counts[SATCHEL_EVENT_TOKEN], 0);
    satchel_stream_close(&stream);
    satchel_model_close(&model);
}

static void wrong_options_are_refused(void **state) {
    test_bed *bed = *state;
    satchel_error error;
    satchel_stream *stream = NULL;
    satchel_prepared *prepared = NULL;
    satchel_ask_options options = asking(bed->model); /* an embedder */
    assert_int_equal(satchel_ask(&stream, bed->store, "q", &options, &error), SATCHEL_WRONG_MODEL);
    options = asking(NULL);
    options.mode = SATCHEL_ANSWER_GENERATED;
    assert_int_equal(satchel_ask(&stream, bed->store, "q", &options, &error), SATCHEL_NO_MODEL);
    options.mode = SATCHEL_ANSWER_EXTERNAL;
    assert_int_equal(satchel_ask(&stream, bed->store, "q", &options, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_null(stream);
    script s = {.text = "", .step = 1};
    satchel_model *model = generator(bed, &s);
    options = asking(model);
    options.history = "{}";
    assert_int_equal(satchel_ask(&stream, bed->store, "q", &options, &error),
                     SATCHEL_INVALID_ARGUMENT);
    options.history = NULL;
    options.prompt = "{\"user\":\"{who}\"}";
    assert_int_equal(satchel_ask(&stream, bed->store, "q", &options, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "{who}"));
    options.prompt = NULL;
    options.context_tokens = -1;
    assert_int_equal(satchel_ask(&stream, bed->store, "q", &options, &error),
                     SATCHEL_INVALID_ARGUMENT);
    options = asking(NULL);
    assert_int_equal(satchel_ask_prepare(&prepared, bed->store, "q", &options, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "context_tokens"));
    assert_int_equal(satchel_ask_prepare(NULL, bed->store, "q", &options, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_null(prepared);
    assert_non_null(strstr(satchel_prompt_default(), "{fence}"));
    satchel_model_close(&model);
    assert_int_equal(s.destroyed, 1);
    assert_int_equal(s.begun, 0);
}

/* ------------------------------------------------------------------ calling back */

struct back {
    test_bed *bed;
    script *s;
    satchel_model *model;
    satchel_stream *stream;     /* the one being pulled, or NULL */
    satchel_prepared *prepared; /* an earlier one */
    int calls;
    bool from_embedder;
    int wrong; /* the first call that was not answered as it should be; 0: none */
    satchel_status got;
};

static void expect(struct back *b, int call, satchel_status got, satchel_status wanted) {
    if (got != wanted && !b->wrong) {
        b->wrong = call;
        b->got = got;
    }
}

/* What waits for the callback is busy; what does not goes on. */
static void call_back(void *user) {
    struct back *b = user;
    satchel_store *store = b->bed->store;
    const satchel_status of_store = b->from_embedder ? SATCHEL_BUSY : SATCHEL_OK;
    const satchel_status of_model = b->from_embedder ? SATCHEL_OK : SATCHEL_BUSY;
    satchel_ask_options options = asking(NULL);
    satchel_prepared *prepared = NULL;
    satchel_stream *stream = NULL;
    satchel_event event;
    int counts[16];
    b->calls++;
    b->s->inside = NULL; /* once at a time */
    b->bed->embedder.inside = NULL;
    expect(b, 1, satchel_ask(&stream, store, "When does the lease end?", &options, NULL), of_store);
    if (stream)
        expect(b, 2, test_drain(stream, counts, NULL), SATCHEL_OK);
    satchel_stream_close(&stream);
    options.generator = b->model;
    expect(b, 3, satchel_ask(&stream, store, "When does the lease end?", &options, NULL),
           SATCHEL_BUSY);
    options.context_tokens = 1000;
    expect(b, 4, satchel_ask_prepare(&prepared, store, "When?", &options, NULL), SATCHEL_BUSY);
    expect(b, 5, satchel_prepared_resolve(&stream, b->prepared, "In May", 6, 0, NULL), of_store);
    if (stream)
        expect(b, 6, test_drain(stream, counts, NULL), SATCHEL_OK);
    satchel_stream_close(&stream);
    expect(b, 7, satchel_generate(&stream, b->model, "x", 1, NULL, NULL), of_model);
    satchel_stream_close(&stream);
    expect(b, 8,
           satchel_chat(&stream, b->model, "[{\"role\":\"user\",\"content\":\"x\"}]",
                        SATCHEL_NUL_TERMINATED, NULL, NULL),
           of_model);
    satchel_stream_close(&stream);
    if (b->stream)
        expect(b, 9, satchel_stream_next(b->stream, &event, sizeof event, NULL), SATCHEL_BUSY);
    if (b->from_embedder)
        b->bed->embedder.inside = call_back;
    else
        b->s->inside = call_back;
}

static void calling_back_is_busy(void **state) {
    test_bed *bed = *state;
    satchel_error error;
    int counts[16];
    test_add(bed, "lease", lease);
    for (int from_embedder = 0; from_embedder < 2; from_embedder++) {
        script s = {.text = "The lease ends on 31 May 2027 [1].", .step = 9};
        struct back b = {
            .bed = bed, .s = &s, .model = generator(bed, &s), .from_embedder = from_embedder};
        satchel_ask_options options = asking(NULL);
        options.context_tokens = 1000;
        test_fine(satchel_ask_prepare(&b.prepared, bed->store, "When does the lease end?", &options,
                                      &error),
                  &error);
        s.inside_user = bed->embedder.inside_user = &b;
        if (from_embedder)
            bed->embedder.inside = call_back;
        else
            s.inside = call_back;
        options.generator = b.model;
        options.context_tokens = 0;
        satchel_prepared *prepared = NULL;
        test_fine(satchel_ask_prepare(&prepared, bed->store, "When does the lease end?", &options,
                                      &error),
                  &error);
        satchel_prepared_close(&prepared);
        assert_true(b.calls > 0);
        int before = b.calls;
        test_fine(satchel_ask(&b.stream, bed->store, "When does the lease end?", &options, &error),
                  &error);
        test_fine(test_drain(b.stream, counts, &error), &error);
        assert_int_equal(counts[SATCHEL_EVENT_CITATION], 1);
        assert_true(b.calls > before + (from_embedder ? 0 : 3));
        if (b.wrong)
            fail_msg("call %d from the %s gave %d", b.wrong,
                     from_embedder ? "embedder" : "generator", b.got);
        bed->embedder.inside = NULL;
        satchel_stream_close(&b.stream);
        satchel_prepared_close(&b.prepared);
        satchel_model_close(&b.model);
        assert_int_equal(s.destroyed, 1);
        assert_int_equal(s.begun, s.ended);
    }
}

/* ------------------------------------------------------------------ split */

static void a_split_answer_has_the_same_events(void **state) {
    test_bed *bed = *state;
    test_add(bed, "lease", lease);
    satchel_ask_options options = asking(NULL);
    options.context_tokens = 1000;
    satchel_prepared *prepared = NULL;
    satchel_prepared_info info;
    satchel_passage passage;
    satchel_hit hit;
    satchel_error error;
    test_fine(
        satchel_ask_prepare(&prepared, bed->store, "When does the lease end?", &options, &error),
        &error);
    test_fine(satchel_prepared_get_info(prepared, &info, sizeof info, &error), &error);
    assert_int_equal(info.passages, 1);
    assert_int_equal(info.refused, 0);
    assert_int_equal(strlen(info.messages), info.messages_length);
    assert_non_null(strstr(info.messages, "[1]\\n~~~~~"));
    test_fine(satchel_prepared_get_passage(prepared, 1, &passage, sizeof passage, &error), &error);
    test_fine(satchel_results_get(satchel_prepared_results(prepared), (size_t)passage.hit, &hit,
                                  sizeof hit, &error),
              &error);
    assert_string_equal(hit.document_id, "lease");
    assert_int_equal(satchel_prepared_get_passage(prepared, 2, &passage, sizeof passage, &error),
                     SATCHEL_NOT_FOUND);
    static const char text[] = "The lease ends on 31 May 2027 [1].";
    satchel_stream *stream = NULL;
    int counts[16];
    test_fine(satchel_prepared_resolve(&stream, prepared, text, 10, 0, &error), &error);
    test_fine(test_drain(stream, counts, &error), &error);
    satchel_stream_close(&stream);
    assert_int_equal(counts[SATCHEL_EVENT_MODE], 1);
    assert_int_equal(counts[SATCHEL_EVENT_TOKEN], 1);
    assert_int_equal(counts[SATCHEL_EVENT_CITATION], 0);
    test_fine(satchel_prepared_resolve(&stream, prepared, text, SATCHEL_NUL_TERMINATED, 1, &error),
              &error);
    satchel_prepared_close(&prepared); /* the stream holds what it needs */
    satchel_store_close(&bed->store);
    test_fine(test_drain(stream, counts, &error), &error);
    satchel_stream_close(&stream);
    assert_int_equal(counts[SATCHEL_EVENT_MODE], 0);
    assert_int_equal(counts[SATCHEL_EVENT_CITATION], 1);
    assert_null(prepared);
}

static void nothing_is_no_prepared(void **state) {
    (void)state;
    satchel_error error;
    satchel_prepared *none = NULL;
    satchel_prepared_info info;
    satchel_passage passage;
    satchel_stream *stream = NULL;
    satchel_prepared_close(&none);
    satchel_prepared_close(NULL);
    assert_null(satchel_prepared_results(NULL));
    assert_int_equal(satchel_prepared_get_info(NULL, &info, sizeof info, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_prepared_get_passage(NULL, 1, &passage, sizeof passage, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_prepared_resolve(&stream, NULL, "x", 1, 0, &error),
                     SATCHEL_INVALID_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_MODEL(an_application_s_generator_answers),
        WITH_MODEL(options_reach_the_generator),
        WITH_MODEL(a_generator_that_fails_or_declines_is_told),
        WITH_MODEL(wrong_options_are_refused),
        WITH_MODEL(calling_back_is_busy),
        WITH_MODEL(a_split_answer_has_the_same_events),
        WITH_MODEL(nothing_is_no_prepared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
