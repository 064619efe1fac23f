/* A generator from a file, as an application sees it: what is known of it, tokens, scores, running it. */
#include <fcntl.h>
#include <math.h>
#include <unistd.h>

#include "tests/unit/sdk/support.h"

enum { MOST = 64 };

typedef struct generator_bed {
    test_bed bed;
    satchel_model *model; /* from SATCHEL_TEST_GENERATOR */
    satchel_model_info info;
} generator_bed;

static const char *model_path(void) {
    const char *path = getenv("SATCHEL_TEST_GENERATOR");
    assert_non_null(path);
    return path;
}

static size_t tokens_of(satchel_model *model, const char *text, int32_t out[MOST]) {
    satchel_error error;
    size_t count = 0;
    test_fine(
        satchel_model_tokenize(model, text, SATCHEL_NUL_TERMINATED, out, MOST, &count, &error),
        &error);
    assert_in_range(count, 1, MOST);
    return count;
}

typedef struct answer {
    char text[2048];
    satchel_event_done done;
    int32_t token; /* of the last piece; -1: there was none */
    int progress;
} answer;

static void pull(satchel_stream *stream, answer *out) {
    satchel_error error;
    satchel_event event = {0};
    size_t length = 0;
    *out = (answer){.token = -1};
    while (event.kind != SATCHEL_EVENT_DONE) {
        test_fine(satchel_stream_next(stream, &event, sizeof event, &error), &error);
        if (event.kind == SATCHEL_EVENT_TOKEN) {
            assert_true(length + event.token->length < sizeof out->text);
            memcpy(out->text + length, event.token->text, event.token->length);
            length += event.token->length;
            out->token = event.token->token;
        } else if (event.kind == SATCHEL_EVENT_PROGRESS) {
            assert_int_equal(event.progress->phase, SATCHEL_PHASE_PREFILL);
            assert_true(event.progress->done <= event.progress->total);
            out->progress++;
        }
    }
    out->done = *event.done;
}

static void generate(satchel_model *model, const char *prompt,
                     const satchel_generate_options *options, answer *out) {
    satchel_error error;
    satchel_stream *stream = NULL;
    test_fine(satchel_generate(&stream, model, prompt, SATCHEL_NUL_TERMINATED, options, &error),
              &error);
    pull(stream, out);
    satchel_stream_close(&stream);
}

/* ------------------------------------------------------------------ what is known */

static void info_and_need_agree(void **state) {
    generator_bed *g = *state;
    satchel_error error;
    satchel_model_need need;
    assert_int_equal(g->info.kind, SATCHEL_MODEL_GENERATOR);
    assert_string_equal(g->info.architecture, "llama");
    assert_int_equal(strlen(g->info.fingerprint), 32);
    assert_int_equal(g->info.layers, 2);
    assert_int_equal(g->info.context_tokens, 300);
    assert_int_equal(g->info.trained_context, 300);
    assert_int_equal(g->info.max_tokens, 300);
    assert_int_equal(g->info.has_chat_template, 1);
    assert_int_equal(g->info.vocabulary_size, 320);
    test_fine(satchel_model_measure(g->bed.context, model_path(), &need, sizeof need, NULL, &error),
              &error);
    assert_int_equal(need.kind, SATCHEL_MODEL_GENERATOR);
    assert_int_equal(need.context_tokens, 300);
    assert_int_equal(need.file_bytes, g->info.file_bytes);
    assert_int_equal(need.weight_bytes, g->info.weight_bytes);
    assert_int_equal(need.memory_bytes, g->info.memory_bytes);
    assert_true(need.kv_bytes >= 300 * g->info.kv_bytes_a_token);
    assert_true(need.memory_bytes > need.kv_bytes);
    /* Options count; a smaller context and smaller keys and values need less. */
    satchel_model_options options;
    satchel_model_options_init(&options, sizeof options);
    satchel_model_need less;
    options.context_tokens = 128;
    options.kv_type = SATCHEL_KV_Q8_0;
    test_fine(
        satchel_model_measure(g->bed.context, model_path(), &less, sizeof less, &options, &error),
        &error);
    assert_int_equal(less.context_tokens, 128);
    assert_true(less.kv_bytes < need.kv_bytes / 2);
    /* Of an embedder too. */
    const char *embedder = getenv("SATCHEL_TEST_MODEL");
    if (embedder) {
        test_fine(satchel_model_measure(g->bed.context, embedder, &less, sizeof less, NULL, &error),
                  &error);
        assert_int_equal(less.kind, SATCHEL_MODEL_EMBEDDER);
        assert_true(less.memory_bytes > 0 && less.file_bytes >= less.weight_bytes);
    }
}

/* Running one takes no more than was foretold. */
static void memory_is_as_foretold(void **state) {
    generator_bed *g = *state;
    satchel_error error;
    satchel_context *context = NULL;
    satchel_model *model = NULL;
    satchel_context_options options;
    satchel_context_options_init(&options, sizeof options);
    options.threads = 1;
    test_fine(satchel_context_open(&context, &options, &error), &error);
    uint64_t before, peak;
    satchel_context_memory(context, &before, NULL);
    test_fine(satchel_model_open(&model, context, model_path(), NULL, &error), &error);
    answer out;
    satchel_generate_options write = {.struct_size = sizeof write, .max_tokens = -1};
    generate(model, "hello world", &write, &out);
    satchel_context_memory(context, NULL, &peak);
    const uint64_t held = peak - before;
    assert_true(held <= g->info.memory_bytes + g->info.memory_bytes / 2 + (1 << 20));
    assert_true(held + (1 << 18) >= g->info.memory_bytes / 2);
    satchel_model_close(&model);
    satchel_context_close(&context);
    /* And a limit below it is an error that names the need, before anything runs. */
    options.memory_limit = g->info.memory_bytes / 2;
    test_fine(satchel_context_open(&context, &options, &error), &error);
    assert_int_equal(satchel_model_open(&model, context, model_path(), NULL, &error),
                     SATCHEL_MEMORY_LIMIT);
    assert_null(model);
    satchel_context_close(&context);
}

struct warming {
    int64_t done, total;
    int calls, stop;
};

static int32_t see_warming(void *user, const satchel_event_progress *progress) {
    struct warming *seen = user;
    assert_int_equal(progress->phase, SATCHEL_PHASE_WARM);
    assert_true(progress->done >= seen->done);
    seen->done = progress->done;
    seen->total = progress->total;
    seen->calls++;
    return seen->stop;
}

static void options_of_opening(void **state) {
    generator_bed *g = *state;
    satchel_error error;
    satchel_model *model = NULL;
    satchel_model_options options;
    struct warming seen = {0};
    satchel_model_options_init(&options, sizeof options);
    options.warm = 1;
    options.progress = see_warming;
    options.progress_user = &seen;
    options.context_tokens = 100;
    options.chat_template = "{{ messages[0].content }}";
    test_fine(satchel_model_open(&model, g->bed.context, model_path(), &options, &error), &error);
    assert_true(seen.calls > 0 && seen.total > 0);
    assert_int_equal(seen.done, seen.total);
    satchel_model_info info;
    test_fine(satchel_model_get_info(model, &info, sizeof info, &error), &error);
    assert_int_equal(info.context_tokens, 100);
    satchel_model_close(&model);
    seen = (struct warming){.stop = 1};
    assert_int_equal(satchel_model_open(&model, g->bed.context, model_path(), &options, &error),
                     SATCHEL_CANCELLED);
    assert_null(model);
    int fd = open(model_path(), O_RDONLY);
    test_fine(satchel_model_open_fd(&model, g->bed.context, fd, 0, 0, NULL, &error), &error);
    close(fd);
    satchel_model_close(&model);
    for (int i = 0; i < 8; i++) {
        satchel_status expected = SATCHEL_INVALID_ARGUMENT;
        const char *adapters[] = {NULL, "/nonexistent/adapter.gguf"};
        satchel_model_options_init(&options, sizeof options);
        if (i == 0)
            options.context_tokens = -1;
        else if (i == 1)
            options.context_tokens = 301;
        else if (i == 2)
            options.kv_type = 4;
        else if (i == 3)
            options.warm = 2;
        else if (i == 4)
            options.adapter_count = 1;
        else if (i == 5)
            options.adapters = adapters, options.adapter_count = 1;
        else if (i == 6)
            options.adapters = adapters + 1, options.adapter_count = 1,
            expected = SATCHEL_NOT_FOUND;
        else
            options.chat_template = "\xFF", expected = SATCHEL_INVALID_TEXT;
        assert_int_equal(satchel_model_open(&model, g->bed.context, model_path(), &options, &error),
                         expected);
        assert_null(model);
    }
    const char *embedder = getenv("SATCHEL_TEST_MODEL");
    satchel_model_options_init(&options, sizeof options);
    options.chat_template = "x";
    if (embedder) {
        assert_int_equal(satchel_model_open(&model, g->bed.context, embedder, &options, &error),
                         SATCHEL_INVALID_ARGUMENT);
        assert_non_null(strstr(error.message, "chat_template"));
    }
    satchel_model_need need;
    assert_int_equal(satchel_model_measure(NULL, model_path(), &need, sizeof need, NULL, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_model_measure(g->bed.context, NULL, &need, sizeof need, NULL, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_model_measure(g->bed.context, "x", NULL, 8, NULL, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(
        satchel_model_measure(g->bed.context, "/nonexistent", &need, sizeof need, NULL, &error),
        SATCHEL_NOT_FOUND);
}

/* ------------------------------------------------------------------ tokens */

static void text_comes_back(void **state) {
    generator_bed *g = *state;
    satchel_error error;
    int32_t ids[MOST];
    char text[64];
    size_t length = 9;
    const char *given = "hello world \xC3\xA9 <|im_end|>!";
    size_t count = tokens_of(g->model, given, ids);
    test_fine(satchel_model_detokenize(g->model, ids, count, 0, text, sizeof text, &length, &error),
              &error);
    assert_int_equal(length, strlen(given)); /* the token that begins the text is left out */
    assert_memory_equal(text, given, length);
    size_t spelled = 0;
    test_fine(satchel_model_detokenize(g->model, ids, count, 1, NULL, 0, &spelled, &error), &error);
    assert_true(spelled > length); /* and here it is spelled */
    memset(text, 'x', sizeof text);
    test_fine(satchel_model_detokenize(g->model, ids, count, 0, text, 5, &length, &error), &error);
    assert_int_equal(length, strlen(given));
    assert_memory_equal(text, "hellox", 6);
    size_t all = 0;
    test_fine(satchel_model_tokenize(g->model, given, strlen(given), ids, 2, &all, &error), &error);
    assert_int_equal(all, count);
    for (size_t i = 0; i < count && i < 2; i++)
        assert_non_null(satchel_model_token(g->model, ids[i]));
    assert_string_equal(satchel_model_token(g->model, ids[0]),
                        satchel_model_token(g->model, ids[0])); /* the same, for good */
    assert_null(satchel_model_token(g->model, -1));
    assert_null(satchel_model_token(g->model, 1 << 20));
    const int32_t wrong[] = {-1, 320};
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            satchel_model_detokenize(g->model, &wrong[i], 1, 0, text, 8, &length, &error),
            SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(length, 0);
    assert_int_equal(satchel_model_detokenize(g->model, ids, 1, 2, text, 8, &length, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_model_detokenize(g->model, NULL, 1, 0, text, 8, &length, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_model_detokenize(g->model, ids, 1, 0, NULL, 8, &length, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_model_detokenize(g->model, ids, 1, 0, text, 8, NULL, &error),
                     SATCHEL_INVALID_ARGUMENT);
    test_fine(satchel_model_detokenize(g->model, NULL, 0, 0, NULL, 0, &length, &error), &error);
}

/* ------------------------------------------------------------------ scores */

static void greedy_takes_the_likeliest(void **state) {
    generator_bed *g = *state;
    satchel_error error;
    int32_t ids[MOST];
    const size_t count = tokens_of(g->model, "hello world", ids);
    const size_t size = (size_t)g->info.vocabulary_size;
    float *logits = calloc(count * size, sizeof *logits);
    assert_non_null(logits);
    test_fine(satchel_model_logits(g->model, ids, count, logits, NULL, &error), &error);
    const float *last = logits + (count - 1) * size;
    int32_t best = 0;
    for (size_t i = 1; i < size; i++)
        if (satchel_model_token(g->model, (int32_t)i) && last[i] > last[best])
            best = (int32_t)i;
    answer out;
    satchel_generate_options options = {.struct_size = sizeof options, .max_tokens = 1};
    /* The likeliest first token is said, and with the likeliest forbidden, another. */
    for (int round = 0; round < 2; round++) {
        generate(g->model, "hello world", &options, &out);
        assert_int_equal(out.done.generated_tokens, 1);
        assert_int_equal(out.done.prompt_tokens, count);
        if (round == 0 && out.token >= 0)
            assert_int_equal(out.token, best);
        if (round == 1)
            assert_int_not_equal(out.token, best);
        const float never = -INFINITY;
        static int32_t forbidden;
        static float bias;
        forbidden = best;
        bias = never;
        options.bias_tokens = &forbidden;
        options.biases = &bias;
        options.bias_count = 1;
    }
    /* Perplexity is what these logits say of the text itself. */
    double nll = 0;
    for (size_t row = 0; row + 1 < count; row++) {
        double most = -INFINITY, sum = 0;
        for (size_t i = 0; i < size; i++)
            most = logits[row * size + i] > most ? (double)logits[row * size + i] : most;
        for (size_t i = 0; i < size; i++)
            sum += exp((double)logits[row * size + i] - most);
        nll += log(sum) + most - (double)logits[row * size + (size_t)ids[row + 1]];
    }
    nll /= (double)(count - 1);
    satchel_perplexity perplexity;
    test_fine(satchel_model_perplexity(g->model, "hello world", SATCHEL_NUL_TERMINATED, &perplexity,
                                       sizeof perplexity, NULL, NULL, NULL, &error),
              &error);
    assert_int_equal(perplexity.tokens, count - 1);
    assert_true(fabs(perplexity.nll - nll) < 1e-6 * (1 + nll));
    assert_true(fabs(perplexity.perplexity - exp(nll)) < 1e-5 * exp(nll));
    free(logits);
}

static void scores_check_their_arguments(void **state) {
    generator_bed *g = *state;
    satchel_error error;
    static float logits[320];
    int32_t id = 1;
    const int32_t wrong[] = {-1, 320};
    for (int i = 0; i < 2; i++)
        assert_int_equal(satchel_model_logits(g->model, &wrong[i], 1, logits, NULL, &error),
                         SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_model_logits(g->model, NULL, 1, logits, NULL, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_model_logits(g->model, &id, 1, NULL, NULL, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_model_logits(NULL, &id, 1, logits, NULL, &error),
                     SATCHEL_INVALID_ARGUMENT);
    test_fine(satchel_model_logits(g->model, NULL, 0, NULL, NULL, &error), &error);
    int32_t *many = calloc(301, sizeof *many);
    float *rows = calloc(301 * 320, sizeof *rows);
    assert_int_equal(satchel_model_logits(g->model, many, 301, rows, NULL, &error), SATCHEL_LIMIT);
    free(many);
    free(rows);
    satchel_cancel *cancel = NULL;
    test_fine(satchel_cancel_open(&cancel, g->bed.context, &error), &error);
    satchel_cancel_fire(cancel);
    assert_int_equal(satchel_model_logits(g->model, &id, 1, logits, cancel, &error),
                     SATCHEL_CANCELLED);
    satchel_perplexity out = {.tokens = 9};
    assert_int_equal(satchel_model_perplexity(g->model, "hello world", 11, &out, sizeof out, NULL,
                                              NULL, cancel, &error),
                     SATCHEL_CANCELLED);
    satchel_cancel_close(&cancel);
    assert_int_equal(
        satchel_model_perplexity(g->model, "", 0, &out, sizeof out, NULL, NULL, NULL, &error),
        SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(out.tokens, 0);
    assert_int_equal(
        satchel_model_perplexity(g->model, "\xFF", 1, &out, sizeof out, NULL, NULL, NULL, &error),
        SATCHEL_INVALID_TEXT);
    assert_int_equal(satchel_model_perplexity(g->model, "a", 1, NULL, 8, NULL, NULL, NULL, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(
        satchel_model_perplexity(NULL, "a", 1, &out, sizeof out, NULL, NULL, NULL, &error),
        SATCHEL_INVALID_ARGUMENT);
}

/* ------------------------------------------------------------------ runs */

static void runs_repeat_and_remember(void **state) {
    generator_bed *g = *state;
    answer first, second, other;
    satchel_generate_options options = {
        .struct_size = sizeof options, .max_tokens = 24, .temperature = 1, .seed = 7};
    generate(g->model, "hello world", &options, &first);
    assert_true(first.progress >= 2); /* before reading, and behind it */
    assert_true(first.done.finish == SATCHEL_FINISH_LENGTH ||
                first.done.finish == SATCHEL_FINISH_END);
    generate(g->model, "hello world", &options, &second);
    assert_string_equal(first.text, second.text);
    assert_int_equal(first.done.generated_tokens, second.done.generated_tokens);
    assert_int_equal(second.done.cached_tokens, second.done.prompt_tokens - 1);
    options.seed = 8;
    generate(g->model, "hello world", &options, &other);
    assert_string_not_equal(first.text, other.text);
}

static void a_conversation_uses_the_template(void **state) {
    generator_bed *g = *state;
    satchel_error error;
    satchel_stream *stream = NULL;
    answer chat, prompt;
    satchel_generate_options options = {.struct_size = sizeof options, .max_tokens = 16};
    const satchel_chat_options talk = {.struct_size = sizeof talk, .generate = &options};
    const char *messages = "[{\"role\":\"user\",\"content\":\"hello<|im_end|>\"}]";
    test_fine(satchel_chat(&stream, g->model, messages, SATCHEL_NUL_TERMINATED, &talk, &error),
              &error);
    pull(stream, &chat);
    satchel_stream_close(&stream);
    /* The user's end of turn is text: more tokens than the same without it, and another prompt than if
     * it were believed. */
    options.trust_prompt = 1;
    generate(g->model, "user: hello<|im_end|><|im_end|>assistant: ", &options, &prompt);
    assert_true(chat.done.prompt_tokens > prompt.done.prompt_tokens);
    assert_int_equal(satchel_chat(&stream, g->model, "[", 1, NULL, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_null(stream);
    options.trust_prompt = 0;
    options.schema = "{\"enum\":[\"yes\",\"no\"]}";
    test_fine(satchel_chat(&stream, g->model, messages, SATCHEL_NUL_TERMINATED, &talk, &error),
              &error);
    pull(stream, &chat);
    satchel_stream_close(&stream);
    assert_true(strcmp(chat.text, "\"yes\"") == 0 || strcmp(chat.text, "\"no\"") == 0);
    assert_int_equal(chat.done.finish, SATCHEL_FINISH_END);
    options.max_tokens = 1; /* less than the shortest answer */
    assert_int_equal(
        satchel_chat(&stream, g->model, messages, SATCHEL_NUL_TERMINATED, &talk, &error),
        SATCHEL_LIMIT);
    options.schema = "{\"type\":\"nonsense\"}";
    assert_true(satchel_chat(&stream, g->model, messages, SATCHEL_NUL_TERMINATED, &talk, &error) <
                0);
    assert_null(stream);
}

static void streams_outlive_their_model(void **state) {
    generator_bed *g = *state;
    satchel_error error;
    satchel_event event;
    satchel_context *context = NULL;
    satchel_model *model = NULL;
    satchel_stream *one = NULL, *two = NULL;
    test_fine(satchel_context_open(&context, NULL, &error), &error);
    test_fine(satchel_model_open(&model, context, model_path(), NULL, &error), &error);
    test_fine(satchel_generate(&one, model, "hello", 5, NULL, &error), &error);
    test_fine(satchel_generate(&two, model, "world", 5, NULL, &error), &error);
    satchel_context_close(&context);
    satchel_model_close(&model);
    for (int i = 0; i < 8; i++) { /* side by side */
        test_fine(satchel_stream_next(one, &event, sizeof event, &error), &error);
        test_fine(satchel_stream_next(two, &event, sizeof event, &error), &error);
    }
    satchel_stream_close(&one); /* in the middle */
    answer out;
    pull(two, &out);
    satchel_stream_close(&two);
    (void)g;
}

static void prompts_that_do_not_fit(void **state) {
    generator_bed *g = *state;
    satchel_error error;
    satchel_stream *stream = NULL;
    char *prompt = calloc(1, 4001);
    for (int i = 0; i < 4000; i++)
        prompt[i] = (char)('a' + i % 26);
    assert_int_equal(satchel_generate(&stream, g->model, prompt, 4000, NULL, &error),
                     SATCHEL_LIMIT);
    assert_null(stream);
    satchel_generate_options options = {.struct_size = sizeof options, .max_tokens = 299};
    assert_int_equal(satchel_generate(&stream, g->model, "hello world", 11, &options, &error),
                     SATCHEL_LIMIT);
    options.overflow = SATCHEL_OVERFLOW_SHIFT;
    options.max_tokens = 8;
    answer out;
    generate(g->model, prompt, &options, &out);
    assert_in_range(out.done.generated_tokens, 1, 8);
    free(prompt);
}

static int with_generator(void **state) {
    static generator_bed g;
    test_bed_open(&g.bed, false);
    satchel_error error;
    test_fine(satchel_model_open(&g.model, g.bed.context, model_path(), NULL, &error), &error);
    test_fine(satchel_model_get_info(g.model, &g.info, sizeof g.info, &error), &error);
    *state = &g;
    return 0;
}

static int without_generator(void **state) {
    generator_bed *g = *state;
    satchel_model_close(&g->model);
    test_bed_close(&g->bed);
    return 0;
}

int main(void) {
#define WITH(test) cmocka_unit_test_setup_teardown(test, with_generator, without_generator)
    const struct CMUnitTest tests[] = {
        WITH(info_and_need_agree),         WITH(memory_is_as_foretold),
        WITH(options_of_opening),          WITH(text_comes_back),
        WITH(greedy_takes_the_likeliest),  WITH(scores_check_their_arguments),
        WITH(runs_repeat_and_remember),    WITH(a_conversation_uses_the_template),
        WITH(streams_outlive_their_model), WITH(prompts_that_do_not_fit),
    };
    return cmocka_run_group_tests_name("generate", tests, NULL, NULL);
}
