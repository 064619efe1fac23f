/* An application's generator behind satchel_generate() and satchel_chat(): what its table is asked, how its
 * pieces become text, and what happens when it fails, calls back, or is closed early. */
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/sdk/support.h"

/* ------------------------------------------------------------------ a scripted generator */

typedef struct piece {
    const char *text; /* NULL: fails with `status`, or gives a length without a text if that is 0 */
    satchel_status status;
} piece;

typedef struct script {
    const piece *pieces; /* ended by an empty text */
    size_t at;
    satchel_status begin_result;
    int begun, ended, destroyed;
    char messages[1024]; /* of the last request */
    int32_t max_tokens, continues;
    float temperature;
    void (*inside)(void *user); /* called inside next */
    void *inside_user;
    char last[64]; /* the piece handed out: it may be overwritten at the next call */
} script;

static satchel_status script_begin(void *user, const satchel_generator_request *request,
                                   void **run) {
    script *s = user;
    if (s->begin_result)
        return s->begin_result;
    assert_int_equal(request->struct_size, sizeof *request);
    assert_non_null(request->options);
    assert_int_equal(strlen(request->messages), request->messages_length);
    snprintf(s->messages, sizeof s->messages, "%s", request->messages);
    s->max_tokens = request->max_tokens;
    s->continues = request->continue_answer;
    s->temperature = request->options->temperature;
    s->begun++;
    s->at = 0;
    *run = s;
    return SATCHEL_OK;
}

static satchel_status script_next(void *user, void *run, const char **text, size_t *length) {
    script *s = user;
    assert_ptr_equal(run, s);
    assert_int_equal(s->ended, s->begun - 1);
    if (s->inside)
        s->inside(s->inside_user);
    const piece *now = &s->pieces[s->at];
    *length = 1;
    if (!now->text)
        return now->status;
    s->at += now->text[0] != '\0';
    snprintf(s->last, sizeof s->last, "%s", now->text);
    *text = s->last;
    *length = strlen(s->last);
    return SATCHEL_OK;
}

static void script_end(void *user, void *run) {
    script *s = user;
    assert_ptr_equal(run, s);
    s->ended++;
}

static void script_destroy(void *user) {
    ((script *)user)->destroyed++;
}

static satchel_generator table_of(script *s) {
    return (satchel_generator){.struct_size = sizeof(satchel_generator),
                               .user = s,
                               .id = "test: scripted",
                               .context_tokens = 1000,
                               .begin = script_begin,
                               .next = script_next,
                               .end = script_end,
                               .destroy = script_destroy};
}

static satchel_model *model_of(const test_bed *bed, script *s) {
    const satchel_generator table = table_of(s);
    satchel_error error;
    satchel_model *model = NULL;
    test_fine(satchel_model_from_generator(&model, bed->context, &table, &error), &error);
    return model;
}

/* Pulls to the end; the pieces one after the other, each checked to be valid UTF-8. */
static satchel_status pull(satchel_stream *stream, char *text, size_t size, int32_t *finish,
                           satchel_error *error) {
    satchel_event event;
    size_t length = 0;
    for (;;) {
        satchel_status status = satchel_stream_next(stream, &event, sizeof event, error);
        text[length] = '\0';
        if (status)
            return status;
        if (event.kind == SATCHEL_EVENT_TOKEN) {
            assert_true(event.token->length > 0);
            assert_true(length + event.token->length < size);
            assert_int_equal(event.token->token, -1);
            assert_true((event.token->text[0] & 0xC0) != 0x80); /* begins with a character */
            memcpy(text + length, event.token->text, event.token->length);
            length += event.token->length;
        } else if (event.kind == SATCHEL_EVENT_DONE) {
            assert_int_equal(event.done->prompt_tokens, -1);
            assert_int_equal(event.done->generated_tokens, -1);
            *finish = event.done->finish;
            return SATCHEL_OK;
        }
    }
}

/* ------------------------------------------------------------------ text */

static void pieces_become_whole_characters(void **state) {
    test_bed *bed = *state;
    static const piece pieces[] = {{"Gr", 0},         {"\xC3", 0}, {"\xBC\xC3\x9F", 0},
                                   {"e \xF0\x9F", 0}, {"\x8F", 0}, {"\xA0 x\xFFy", 0},
                                   {"z\xE2\x82", 0},  {"", 0}};
    script s = {.pieces = pieces};
    satchel_model *model = model_of(bed, &s);
    satchel_error error;
    satchel_stream *stream = NULL;
    char text[64];
    int32_t finish = 0;
    test_fine(
        satchel_generate(&stream, model, "Say \"hello\"", SATCHEL_NUL_TERMINATED, NULL, &error),
        &error);
    test_fine(pull(stream, text, sizeof text, &finish, &error), &error);
    assert_string_equal(text, "Gr\xC3\xBC\xC3\x9F"
                              "e \xF0\x9F\x8F\xA0 x\xEF\xBF\xBDyz\xEF\xBF\xBD");
    assert_int_equal(finish, SATCHEL_FINISH_END);
    assert_int_equal(s.begun, 1);
    assert_int_equal(s.ended, 1); /* at the end, not when the stream is closed */
    assert_string_equal(s.messages, "[{\"role\":\"user\",\"content\":\"Say \\\"hello\\\"\"}]");
    assert_int_equal(s.max_tokens, 512);
    test_fine(pull(stream, text, sizeof text, &finish, &error), &error); /* DONE again */
    assert_string_equal(text, "");
    satchel_stream_close(&stream);
    assert_int_equal(s.ended, 1);
    satchel_model_close(&model);
    assert_int_equal(s.destroyed, 1);
}

static void a_stop_string_ends_it_across_pieces(void **state) {
    test_bed *bed = *state;
    static const piece pieces[] = {{"one tw", 0}, {"o EN", 0}, {"D three", 0}, {"", 0}};
    const char *stops[] = {"never", "END"};
    script s = {.pieces = pieces};
    satchel_model *model = model_of(bed, &s);
    satchel_generate_options options;
    satchel_generate_options_init(&options, sizeof options);
    options.stop = stops;
    options.stop_count = 2;
    options.max_tokens = 7;
    options.temperature = 0.5f;
    satchel_error error;
    satchel_stream *stream = NULL;
    char text[64];
    int32_t finish = 0;
    test_fine(satchel_generate(&stream, model, "x", 1, &options, &error), &error);
    test_fine(pull(stream, text, sizeof text, &finish, &error), &error);
    assert_string_equal(text, "one two ");
    assert_int_equal(finish, SATCHEL_FINISH_STOP);
    assert_int_equal(s.ended, 1);
    assert_int_equal(s.max_tokens, 7);
    assert_true(s.temperature == 0.5f);
    satchel_stream_close(&stream);
    /* What only looked like a stop string comes at the end. */
    static const piece almost[] = {{"one EN", 0}, {"", 0}};
    s.pieces = almost;
    test_fine(satchel_generate(&stream, model, "x", 1, &options, &error), &error);
    test_fine(pull(stream, text, sizeof text, &finish, &error), &error);
    assert_string_equal(text, "one EN");
    assert_int_equal(finish, SATCHEL_FINISH_END);
    satchel_stream_close(&stream);
    satchel_model_close(&model);
}

static void messages_are_plain(void **state) {
    test_bed *bed = *state;
    static const piece pieces[] = {{"", 0}};
    script s = {.pieces = pieces};
    satchel_model *model = model_of(bed, &s);
    satchel_error error;
    satchel_stream *stream = NULL;
    satchel_chat_options options;
    satchel_chat_options_init(&options, sizeof options);
    const char *given =
        " [ {\"role\":\"system\",\"content\":null},{\"content\":[{\"type\":\"text\","
        "\"text\":\"a\"},{\"text\":\"b\",\"apart\":true}],\"role\":\"user\"}, "
        "{\"role\":\"assistant\",\"content\":\"c\\u0001\"}]";
    options.continue_answer = 1;
    test_fine(satchel_chat(&stream, model, given, SATCHEL_NUL_TERMINATED, &options, &error),
              &error);
    assert_string_equal(s.messages, "[{\"role\":\"system\",\"content\":\"\"},{\"role\":\"user\","
                                    "\"content\":\"ab\"},{\"role\":\"assistant\",\"content\":"
                                    "\"c\\u0001\"}]");
    assert_int_equal(s.continues, 1);
    satchel_stream_close(&stream);
    assert_int_equal(s.ended, 1); /* it never ran, but it had begun */
    static const struct {
        const char *messages;
        satchel_status status;
    } wrong[] = {{"", SATCHEL_INVALID_ARGUMENT},
                 {"[]", SATCHEL_INVALID_ARGUMENT},
                 {"{}", SATCHEL_INVALID_ARGUMENT},
                 {"[1]", SATCHEL_INVALID_ARGUMENT},
                 {"[{\"content\":\"x\"}]", SATCHEL_INVALID_ARGUMENT},
                 {"[{\"role\":\"user\",\"content\":5}]", SATCHEL_INVALID_ARGUMENT},
                 {"[{\"role\":\"user\",\"content\":[{\"image\":\"x\"}]}]", SATCHEL_UNSUPPORTED},
                 {"\xFF", SATCHEL_INVALID_TEXT}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        stream = (satchel_stream *)bed;
        assert_int_equal(
            satchel_chat(&stream, model, wrong[i].messages, SATCHEL_NUL_TERMINATED, NULL, &error),
            wrong[i].status);
        assert_null(stream);
    }
    assert_int_equal(s.begun, 1);
    options.tools = "[]";
    assert_int_equal(satchel_chat(&stream, model, given, SATCHEL_NUL_TERMINATED, &options, &error),
                     SATCHEL_UNSUPPORTED);
    assert_non_null(strstr(error.message, "tools"));
    satchel_model_close(&model);
}

/* ------------------------------------------------------------------ failures */

static void failures_are_told_apart(void **state) {
    test_bed *bed = *state;
    static const piece pieces[] = {{"a", 0}, {NULL, -77}};
    script s = {.pieces = pieces, .begin_result = -5};
    satchel_model *model = model_of(bed, &s);
    satchel_error error, again;
    satchel_stream *stream = NULL;
    char text[64];
    int32_t finish;
    assert_int_equal(satchel_generate(&stream, model, "x", 1, NULL, &error), SATCHEL_CALLBACK);
    assert_null(stream);
    assert_non_null(strstr(error.message, "test: scripted"));
    assert_non_null(strstr(error.message, "begin"));
    assert_int_equal(s.ended, 0);
    s.begin_result = SATCHEL_OK;
    test_fine(satchel_generate(&stream, model, "x", 1, NULL, &error), &error);
    assert_int_equal(pull(stream, text, sizeof text, &finish, &error), SATCHEL_CALLBACK);
    assert_string_equal(text, "a");
    assert_non_null(strstr(error.message, "-77"));
    assert_int_equal(s.ended, 1); /* a failed run is over */
    assert_int_equal(pull(stream, text, sizeof text, &finish, &again), SATCHEL_CALLBACK);
    assert_string_equal(again.message, error.message);
    satchel_stream_close(&stream);
    static const struct {
        satchel_status given, expected;
    } cases[] = {{SATCHEL_CANCELLED, SATCHEL_CANCELLED},
                 {SATCHEL_OUT_OF_MEMORY, SATCHEL_OUT_OF_MEMORY},
                 {SATCHEL_OK, SATCHEL_CALLBACK}, /* a length without a text */
                 {SATCHEL_INTERNAL, SATCHEL_CALLBACK}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const piece bad[] = {{NULL, cases[i].given}};
        s.pieces = bad;
        test_fine(satchel_generate(&stream, model, "x", 1, NULL, &error), &error);
        assert_int_equal(pull(stream, text, sizeof text, &finish, &error), cases[i].expected);
        satchel_stream_close(&stream);
    }
    assert_int_equal(s.begun, s.ended);
    satchel_model_close(&model);
}

struct callback {
    satchel_model *model;
    satchel_stream *stream;
    satchel_status results[4];
};

static void call_back(void *user) {
    struct callback *back = user;
    satchel_stream *stream = NULL;
    satchel_event event;
    satchel_model_info info;
    back->results[0] = satchel_generate(&stream, back->model, "x", 1, NULL, NULL);
    back->results[1] = satchel_stream_next(back->stream, &event, sizeof event, NULL);
    back->results[2] = satchel_model_get_info(back->model, &info, sizeof info, NULL);
    back->results[3] = satchel_chat(&stream, back->model, "[]", 2, NULL, NULL);
}

static void calling_back_is_busy(void **state) {
    test_bed *bed = *state;
    static const piece pieces[] = {{"a", 0}, {"", 0}};
    script s = {.pieces = pieces};
    struct callback back = {.model = model_of(bed, &s)};
    s.inside = call_back;
    s.inside_user = &back;
    satchel_error error;
    char text[64];
    int32_t finish;
    test_fine(satchel_generate(&back.stream, back.model, "x", 1, NULL, &error), &error);
    test_fine(pull(back.stream, text, sizeof text, &finish, &error), &error);
    for (int i = 0; i < 4; i++)
        assert_int_equal(back.results[i], SATCHEL_BUSY);
    assert_string_equal(text, "a");
    satchel_stream_close(&back.stream);
    satchel_model_close(&back.model);
}

static void a_cancel_stops_it(void **state) {
    test_bed *bed = *state;
    static const piece pieces[] = {{"a", 0}, {"b", 0}, {"", 0}};
    script s = {.pieces = pieces};
    satchel_model *model = model_of(bed, &s);
    satchel_error error;
    satchel_cancel *cancel = NULL;
    satchel_stream *stream = NULL;
    satchel_event event;
    satchel_generate_options options;
    satchel_generate_options_init(&options, sizeof options);
    test_fine(satchel_cancel_open(&cancel, bed->context, &error), &error);
    options.cancel = cancel;
    test_fine(satchel_generate(&stream, model, "x", 1, &options, &error), &error);
    test_fine(satchel_stream_next(stream, &event, sizeof event, &error), &error);
    satchel_cancel_fire(cancel);
    satchel_cancel_close(&cancel); /* the stream holds it */
    assert_int_equal(satchel_stream_next(stream, &event, sizeof event, &error), SATCHEL_CANCELLED);
    assert_int_equal(s.ended, 1);
    satchel_stream_close(&stream);
    satchel_model_close(&model);
}

/* ------------------------------------------------------------------ ownership */

static void handles_close_in_any_order(void **state) {
    test_bed *bed = *state;
    static const piece pieces[] = {{"a", 0}, {"b", 0}, {"", 0}};
    script s = {.pieces = pieces};
    satchel_model *model = model_of(bed, &s);
    satchel_error error;
    satchel_stream *stream = NULL;
    satchel_event event;
    test_fine(satchel_generate(&stream, model, "x", 1, NULL, &error), &error);
    satchel_context_close(&bed->context);
    satchel_model_close(&model);
    assert_null(model);
    assert_int_equal(s.destroyed, 0);
    test_fine(satchel_stream_next(stream, &event, sizeof event, &error), &error);
    assert_int_equal(event.kind, SATCHEL_EVENT_TOKEN);
    /* In a forked child the stream says so, and closing it only forgets it. */
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int fine = satchel_stream_next(stream, &event, sizeof event, NULL) == SATCHEL_FORKED;
        satchel_stream_close(&stream);
        _exit(fine && !stream && s.ended == 0 ? 0 : 1);
    }
    int result = -1;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
    satchel_stream_close(&stream);
    assert_int_equal(s.ended, 1);
    assert_int_equal(s.destroyed, 1);
}

static void bad_tables_are_refused_and_destroyed(void **state) {
    test_bed *bed = *state;
    satchel_error error;
    for (int i = 0; i < 8; i++) {
        script s = {0};
        satchel_generator table = table_of(&s);
        satchel_model *model = (satchel_model *)bed;
        satchel_status expected = SATCHEL_INVALID_ARGUMENT;
        if (i == 0)
            table.id = NULL;
        else if (i == 1)
            table.id = "";
        else if (i == 2)
            table.context_tokens = 255;
        else if (i == 3)
            table.begin = NULL;
        else if (i == 4)
            table.next = NULL;
        else if (i == 5)
            table.end = NULL;
        else if (i == 6)
            table.id = "\xFF", expected = SATCHEL_INVALID_TEXT;
        assert_int_equal(
            satchel_model_from_generator(&model, i == 7 ? NULL : bed->context, &table, &error),
            expected);
        assert_null(model);
        assert_int_equal(s.destroyed, 1);
    }
    satchel_model *model = NULL;
    assert_int_equal(satchel_model_from_generator(&model, bed->context, NULL, &error),
                     SATCHEL_INVALID_ARGUMENT);
    script s = {0};
    const satchel_generator table = table_of(&s);
    assert_int_equal(satchel_model_from_generator(NULL, bed->context, &table, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(s.destroyed, 1);
}

static void what_it_says_of_itself(void **state) {
    test_bed *bed = *state;
    script s = {0};
    satchel_model *model = model_of(bed, &s);
    satchel_error error;
    satchel_model_info info;
    test_fine(satchel_model_get_info(model, &info, sizeof info, &error), &error);
    assert_int_equal(info.kind, SATCHEL_MODEL_GENERATOR);
    assert_string_equal(info.architecture, "custom");
    assert_string_equal(info.name, "test: scripted");
    assert_int_equal(info.context_tokens, 1000);
    assert_int_equal(info.has_chat_template, 1);
    assert_int_equal(strlen(info.fingerprint), 32);
    size_t count = 9, length = 9;
    int32_t token = 0;
    float logits[4];
    satchel_perplexity perplexity;
    assert_int_equal(satchel_model_tokenize(model, "a", 1, NULL, 0, &count, &error),
                     SATCHEL_UNSUPPORTED);
    assert_int_equal(satchel_model_detokenize(model, &token, 1, 0, NULL, 0, &length, &error),
                     SATCHEL_UNSUPPORTED);
    assert_int_equal(satchel_model_logits(model, &token, 1, logits, NULL, &error),
                     SATCHEL_UNSUPPORTED);
    assert_int_equal(satchel_model_perplexity(model, "a b", 3, &perplexity, sizeof perplexity, NULL,
                                              NULL, NULL, &error),
                     SATCHEL_UNSUPPORTED);
    assert_null(satchel_model_token(model, 0));
    satchel_text text = {"a", 1};
    assert_int_equal(satchel_model_embed(model, 0, &text, 1, logits, NULL, &error),
                     SATCHEL_WRONG_MODEL);
    satchel_store_options options;
    satchel_store_options_init(&options, sizeof options);
    options.model = model;
    char path[128];
    test_path(bed, "other.satchel", path);
    satchel_store *store = NULL;
    assert_int_equal(satchel_store_open(&store, bed->context, path, &options, &error),
                     SATCHEL_WRONG_MODEL);
    /* And an embedder does not write. */
    satchel_stream *stream = NULL;
    assert_int_equal(satchel_generate(&stream, bed->model, "x", 1, NULL, &error),
                     SATCHEL_WRONG_MODEL);
    assert_int_equal(satchel_chat(&stream, bed->model, "[]", 2, NULL, &error), SATCHEL_WRONG_MODEL);
    assert_int_equal(satchel_model_logits(bed->model, &token, 1, logits, NULL, &error),
                     SATCHEL_WRONG_MODEL);
    assert_int_equal(satchel_model_detokenize(bed->model, &token, 1, 0, NULL, 0, &length, &error),
                     SATCHEL_WRONG_MODEL);
    satchel_model_close(&model);
}

/* ------------------------------------------------------------------ options */

static void options_are_checked(void **state) {
    test_bed *bed = *state;
    script s = {0};
    satchel_model *model = model_of(bed, &s);
    satchel_error error;
    satchel_stream *stream = NULL;
    for (int i = 0; i < 16; i++) {
        satchel_generate_options options;
        satchel_generate_options_init(&options, sizeof options);
        float *numbers[] = {&options.temperature, &options.top_p,      &options.min_p,
                            &options.typical_p,   &options.repetition, &options.frequency,
                            &options.presence};
        satchel_status expected = SATCHEL_INVALID_ARGUMENT;
        if (i < 7)
            *numbers[i] = i % 2 ? 1e38f * 1e38f : (1e38f * 1e38f) - (1e38f * 1e38f);
        else if (i == 7)
            options.max_tokens = -2;
        else if (i == 8)
            options.trust_prompt = 2;
        else if (i == 9)
            options.overflow = 2;
        else if (i == 10)
            options.no_saved_kv = 2;
        else if (i == 11)
            options.stop_count = 1;
        else if (i == 12)
            options.bias_count = 1;
        else if (i == 13)
            options.schema = "{}", options.grammar = "root ::= \"a\"";
        else if (i == 14)
            options.schema = "\xFF", expected = SATCHEL_INVALID_TEXT;
        else
            options.struct_size = 3;
        assert_int_equal(satchel_generate(&stream, model, "x", 1, &options, &error), expected);
        const satchel_chat_options chat = {.struct_size = sizeof chat, .generate = &options};
        assert_int_equal(satchel_chat(&stream, model, "[{\"role\":\"user\",\"content\":\"x\"}]",
                                      SATCHEL_NUL_TERMINATED, &chat, &error),
                         expected);
        assert_null(stream);
    }
    satchel_chat_options chat = {.struct_size = sizeof chat, .continue_answer = 2};
    assert_int_equal(satchel_chat(&stream, model, "[]", 2, &chat, &error),
                     SATCHEL_INVALID_ARGUMENT);
    chat = (satchel_chat_options){.struct_size = sizeof chat, .tools = "\xFF"};
    assert_int_equal(satchel_chat(&stream, model, "[]", 2, &chat, &error), SATCHEL_INVALID_TEXT);
    chat = (satchel_chat_options){.struct_size = sizeof chat, .variables = "\xFF"};
    assert_int_equal(satchel_chat(&stream, model, "[]", 2, &chat, &error), SATCHEL_INVALID_TEXT);
    struct {
        satchel_generate_options known;
        uint64_t later;
    } longer = {.known = {.struct_size = sizeof longer}, .later = 1};
    assert_int_equal(satchel_generate(&stream, model, "x", 1, &longer.known, &error),
                     SATCHEL_UNSUPPORTED);
    assert_int_equal(satchel_generate(NULL, model, "x", 1, NULL, &error), SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_generate(&stream, NULL, "x", 1, NULL, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_generate(&stream, model, NULL, 1, NULL, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_generate(&stream, model, "\xFF", 1, NULL, &error),
                     SATCHEL_INVALID_TEXT);
    assert_int_equal(satchel_chat(NULL, model, "[]", 2, NULL, &error), SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_chat(&stream, NULL, "[]", 2, NULL, &error), SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_chat(&stream, model, NULL, 0, NULL, &error), SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(s.begun, 0);
    satchel_model_close(&model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_MODEL(pieces_become_whole_characters),
        WITH_MODEL(a_stop_string_ends_it_across_pieces),
        WITH_MODEL(messages_are_plain),
        WITH_MODEL(failures_are_told_apart),
        WITH_MODEL(calling_back_is_busy),
        WITH_MODEL(a_cancel_stops_it),
        WITH_MODEL(handles_close_in_any_order),
        WITH_MODEL(bad_tables_are_refused_and_destroyed),
        WITH_MODEL(what_it_says_of_itself),
        WITH_MODEL(options_are_checked),
    };
    return cmocka_run_group_tests_name("app generator", tests, NULL, NULL);
}
