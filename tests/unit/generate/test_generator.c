/* Generators: opening, what is known of them, prompts and conversations as tokens, logits,
 * perplexity. */
#include "tests/unit/generate/generator_unit.h"

#include <math.h>

/* ------------------------------------------------------------------ opening */

static void the_model_is_described(void **state) {
    tiny_generator shape = {.kind = TINY_BPE, .decoder = {.arch = "qwen3", .type = 8}};
    sat_generator *generator = open_generator(&shape, NULL);
    satchel_model_info info;
    sat_generator_info(generator, &info);
    assert_string_equal(info.architecture, "qwen3");
    assert_string_equal(info.weight_type, "Q8_0");
    assert_int_equal(info.kind, SATCHEL_MODEL_GENERATOR);
    assert_int_equal(info.context_tokens, 300);
    assert_int_equal(info.max_tokens, 300);
    assert_int_equal(info.trained_context, 300);
    assert_int_equal(info.vocabulary_size, TINY_GENERATOR_VOCABULARY);
    assert_int_equal(info.layers, 2);
    assert_int_equal(info.has_chat_template, 1);
    assert_int_equal(info.kv_bytes_a_token, 2 * 2 * 2 * 32 * 2);
    assert_int_equal(sat_generator_context(generator), 300);
    sat_generator_close(&generator);
    assert_null(generator);
}

static void what_is_measured_is_what_is_held(void **state) {
    static const int32_t types[] = {SATCHEL_KV_DEFAULT, SATCHEL_KV_F16, SATCHEL_KV_Q8_0,
                                    SATCHEL_KV_F32};
    for (size_t i = 0; i < SAT_COUNT(types); i++) {
        sat_generator_options options = {.context_tokens = 200, .kv_type = types[i]};
        sat_gguf_set *files;
        satchel_model_need need;
        satchel_model_info info;
        assert_int_equal(tiny_generator_files(&files, context, NULL, &error), SATCHEL_OK);
        assert_int_equal(
            sat_generator_measure(&need, context, files, "tiny.gguf", &options, &error),
            SATCHEL_OK);
        uint64_t before = context->memory.now;
        assert_int_equal(tiny_generator_files(&files, context, NULL, &error), SATCHEL_OK);
        uint64_t with_files = context->memory.now;
        sat_generator *generator;
        assert_int_equal(
            sat_generator_open(&generator, context, files, "tiny.gguf", &options, &error),
            SATCHEL_OK);
        sat_generator_info(generator, &info);
        assert_int_equal(need.memory_bytes, info.memory_bytes);
        assert_int_equal(need.weight_bytes, info.weight_bytes);
        assert_int_equal(need.file_bytes, info.file_bytes);
        assert_int_equal(need.kv_bytes, info.kv_bytes_a_token * 200);
        answer got;
        run(generator, "hello", NULL, &got);
        uint64_t held = context->memory.now - with_files;
        assert_in_range(held, need.memory_bytes * 8 / 10, need.memory_bytes * 12 / 10);
        sat_generator_close(&generator);
        assert_int_equal(context->memory.now, before);
    }
}

static void refuse_open(const tiny_generator *shape, const sat_generator_options *options,
                        satchel_status status, const char *part) {
    sat_generator *generator;
    uint64_t before = context->memory.now;
    satchel_status got = tiny_generator_open(&generator, context, shape, options, &error);
    assert_null(generator);
    if (got != status || !strstr(error.message, part))
        fail_msg("%d \"%s\" is not %d with \"%s\"", got, error.message, status, part);
    assert_int_equal(context->memory.now, before);
}

static void wrong_options_are_named(void **state) {
    const char *const missing[] = {"/nowhere/adapter.gguf"}, *const none[] = {NULL};
    const float bad[] = {NAN};
    refuse_open(NULL, &(sat_generator_options){.context_tokens = 301}, SATCHEL_INVALID_ARGUMENT,
                "301");
    refuse_open(NULL, &(sat_generator_options){.context_tokens = 1}, SATCHEL_INVALID_ARGUMENT,
                "context_tokens");
    refuse_open(NULL, &(sat_generator_options){.context_tokens = -1}, SATCHEL_INVALID_ARGUMENT,
                "context_tokens");
    refuse_open(NULL, &(sat_generator_options){.kv_type = 4}, SATCHEL_INVALID_ARGUMENT, "kv_type");
    refuse_open(NULL, &(sat_generator_options){.kv_type = -1}, SATCHEL_INVALID_ARGUMENT, "kv_type");
    refuse_open(NULL, &(sat_generator_options){.adapter_count = 1}, SATCHEL_INVALID_ARGUMENT,
                "adapters is NULL");
    refuse_open(NULL, &(sat_generator_options){.adapters = none, .adapter_count = 1},
                SATCHEL_INVALID_ARGUMENT, "adapters[0]");
    refuse_open(NULL, &(sat_generator_options){.adapters = missing, .adapter_count = 1},
                SATCHEL_NOT_FOUND, "adapter.gguf");
    refuse_open(
        NULL,
        &(sat_generator_options){.adapters = missing, .adapter_count = 1, .adapter_scales = bad},
        SATCHEL_INVALID_ARGUMENT, "adapter_scales[0]");
    refuse_open(&(tiny_generator){.decoder = {.arch = "mamba"}}, NULL, SATCHEL_UNSUPPORTED,
                "mamba");
}

static void a_context_that_would_pass_the_limit_is_refused_before_it_is_taken(void **state) {
    satchel_context_options limited = {.struct_size = sizeof limited, .memory_limit = 2 << 20};
    tiny_generator shape = {.kind = TINY_BPE, .decoder = {.context = 100000}};
    satchel_context *old = context;
    sat_generator *generator;
    assert_int_equal(sat_context_open(&context, &limited, NULL), SATCHEL_OK);
    assert_int_equal(tiny_generator_open(&generator, context, &shape,
                                         &(sat_generator_options){.context_tokens = 90000}, &error),
                     SATCHEL_MEMORY_LIMIT);
    assert_null(generator);
    assert_int_equal(tiny_generator_open(&generator, context, &shape,
                                         &(sat_generator_options){.context_tokens = 100}, &error),
                     SATCHEL_OK);
    sat_generator_close(&generator);
    sat_context_release(context);
    context = old;
}

static int32_t follow_warming(void *user, const satchel_event_progress *progress) {
    int64_t *last = user;
    assert_int_equal(progress->phase, SATCHEL_PHASE_WARM);
    assert_true(progress->done > *last && progress->done <= progress->total);
    *last = progress->done;
    return 0;
}

static void warming_reports_bytes(void **state) {
    sat_generator *generator = open_generator(NULL, NULL);
    satchel_model_info info;
    int64_t last = 0;
    sat_generator_info(generator, &info);
    assert_int_equal(sat_generator_warm(generator, follow_warming, &last, NULL, &error),
                     SATCHEL_OK);
    assert_int_equal(last, info.file_bytes);
    assert_int_equal(sat_generator_warm(generator, NULL, NULL, NULL, &error), SATCHEL_OK);
    sat_generator_close(&generator);
}

static void adapters_come_from_paths_and_change_what_is_written(void **state) {
    char path[] = "/tmp/satchel-adapter-XXXXXX";
    tiny_generator shape = {.kind = TINY_BPE};
    size_t size;
    uint8_t *bytes = tiny_adapter_bytes(&shape.decoder, false, &size);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "wb");
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
    free(bytes);
    const char *const paths[] = {path};
    const float none[] = {0}, much[] = {3};
    answer plain, zero, adapted;
    static const float *const scales[] = {NULL};
    sat_generator *generator = open_generator(&shape, NULL);
    run(generator, "hello", NULL, &plain);
    sat_generator_close(&generator);
    generator = open_generator(
        &shape,
        &(sat_generator_options){.adapters = paths, .adapter_scales = none, .adapter_count = 1});
    run(generator, "hello", NULL, &zero);
    sat_generator_close(&generator);
    generator = open_generator(
        &shape,
        &(sat_generator_options){.adapters = paths, .adapter_scales = much, .adapter_count = 1});
    run(generator, "hello", NULL, &adapted);
    sat_generator_close(&generator);
    generator = open_generator(&shape, &(sat_generator_options){.adapters = paths,
                                                                .adapter_scales = scales[0],
                                                                .adapter_count = 1});
    sat_generator_close(&generator);
    remove(path);
    assert_string_equal(plain.text, zero.text);
    assert_string_not_equal(plain.text, adapted.text);
}

/* ------------------------------------------------------------------ prompts */

static void a_prompt_begins_once_and_does_not_end(void **state) {
    sat_generator *generator = open_generator(NULL, NULL);
    sat_tokens plain = tokens_of(generator, "hello"), spelt = {0};
    assert_true(plain.count >= 2);
    assert_int_equal(plain.ids[0], 1);
    assert_int_not_equal(plain.ids[plain.count - 1], 2);
    sat_text_part part = {.text = "<s>hello", .length = 8, .trusted = true};
    assert_int_equal(sat_generator_prompt(generator, &part, 1, &spelt, &error), SATCHEL_OK);
    assert_int_equal(spelt.count, plain.count);
    assert_memory_equal(spelt.ids, plain.ids, plain.count * sizeof *plain.ids);
    sat_tokens_free(&spelt);
    part.trusted = false; /* then it is five characters */
    assert_int_equal(sat_generator_prompt(generator, &part, 1, &spelt, &error), SATCHEL_OK);
    assert_true(spelt.count > plain.count);
    sat_tokens_free(&spelt);
    sat_tokens_free(&plain);
    sat_generator_close(&generator);
}

static sat_tokens chat_tokens(const sat_generator *generator, const satchel_chat_options *options,
                              const char *messages) {
    sat_tokens tokens = {0};
    if (sat_generator_chat_prompt(generator, options, messages, strlen(messages), &tokens, &error))
        fail_msg("%s", error.message);
    return tokens;
}

/* The tokens' text, special ones spelt. */
static void spell(const sat_generator *generator, const sat_tokens *tokens, char *out) {
    for (size_t i = 0; i < tokens->count; i++) {
        size_t length;
        const char *bytes =
            sat_tokenizer_bytes(sat_generator_tokenizer(generator), tokens->ids[i], true, &length);
        memcpy(out, bytes, length);
        out += length;
    }
    *out = 0;
}

static void expect_chat(const sat_generator *generator, const satchel_chat_options *options,
                        const char *messages, const char *wanted) {
    char text[1000];
    sat_tokens tokens = chat_tokens(generator, options, messages);
    spell(generator, &tokens, text);
    assert_string_equal(text, wanted);
    sat_tokens_free(&tokens);
}

static void conversations_are_rendered_by_the_template(void **state) {
    sat_generator *generator = open_generator(NULL, NULL);
    expect_chat(generator, NULL, "[{\"role\":\"user\",\"content\":\"hello\"}]",
                "<s>user: hello<|im_end|>assistant: ");
    sat_tokens tokens =
        chat_tokens(generator, NULL, "[{\"role\":\"user\",\"content\":\"<|im_end|></s>\"}]");
    int ends = 0;
    for (size_t i = 0; i < tokens.count; i++)
        ends += tokens.ids[i] == 2 || tokens.ids[i] == 3;
    assert_int_equal(ends, 1); /* the template's own */
    sat_tokens_free(&tokens);
    sat_generator_close(&generator);
}

static void parts_of_text_are_joined(void **state) {
    sat_generator *generator = open_generator(NULL, NULL);
    expect_chat(generator, NULL,
                "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a \"},"
                "{\"type\":\"text\",\"text\":\"hello\",\"apart\":true}]}]",
                "<s>user: a hello<|im_end|>assistant: ");
    sat_tokens tokens = {0};
    static const char image[] =
        "[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"url\":\"x\"}]}]";
    assert_int_equal(
        sat_generator_chat_prompt(generator, NULL, image, strlen(image), &tokens, &error),
        SATCHEL_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "messages[0]"));
    assert_int_equal(tokens.count, 0);
    sat_tokens_free(&tokens);
    sat_generator_close(&generator);
}

static void a_template_that_prints_lists_alone_gets_them(void **state) {
    tiny_generator shape = {.kind = TINY_BPE,
                            .template = "{% for m in messages %}{% for p in m.content %}[{{ p.text "
                                        "}}]{% endfor %}{% endfor %}"};
    sat_generator *generator = open_generator(&shape, NULL);
    expect_chat(generator, NULL,
                "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a \"},"
                "{\"type\":\"text\",\"text\":\"hello\",\"apart\":true}]}]",
                "[a ][hello]");
    sat_generator_close(&generator);
}

/* Tokens before and behind the passage are the same, whatever stands in it. */
static void no_token_reaches_over_a_passage_that_stands_apart(void **state) {
    static const char *const passages[] = {"x",   " world",         "hello", "aa",
                                           "\\n", "<|im_end|></s>", "a",     "\\u00e9"};
    static const int kinds[] = {TINY_BPE, TINY_SPM, TINY_GEMMA4};
    for (size_t k = 0; k < SAT_COUNT(kinds); k++) {
        sat_generator *generator = open_generator(&(tiny_generator){.kind = kinds[k]}, NULL);
        sat_tokens first = {0};
        size_t before = 0, behind = 0;
        for (size_t i = 0; i < SAT_COUNT(passages); i++) {
            char messages[400];
            snprintf(messages, sizeof messages,
                     "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a hell\"},"
                     "{\"type\":\"text\",\"text\":\"%s\",\"apart\":true},{\"type\":\"text\","
                     "\"text\":\"o aa\"},{\"type\":\"text\",\"text\":\"aa\",\"apart\":true}]}]",
                     passages[i]);
            sat_tokens tokens = chat_tokens(generator, NULL, messages);
            if (i == 0) { /* one token, "x": what is around it is counted */
                first = tokens;
                while (before < first.count) {
                    size_t length;
                    const char *bytes = sat_tokenizer_bytes(sat_generator_tokenizer(generator),
                                                            first.ids[before], true, &length);
                    if (length && memchr(bytes, 'x', length))
                        break;
                    before++;
                }
                behind = first.count - before - 1;
                assert_true(before > 0 && behind > 2);
                continue;
            }
            assert_true(tokens.count > before + behind);
            assert_memory_equal(tokens.ids, first.ids, before * sizeof *tokens.ids);
            assert_memory_equal(tokens.ids + tokens.count - behind,
                                first.ids + first.count - behind, behind * sizeof *tokens.ids);
            sat_tokens_free(&tokens);
        }
        sat_tokens_free(&first);
        sat_generator_close(&generator);
    }
}

static void an_answer_can_be_gone_on_with(void **state) {
    satchel_chat_options options = {.struct_size = sizeof options, .continue_answer = 1};
    sat_generator *generator = open_generator(NULL, NULL);
    expect_chat(generator, &options,
                "[{\"role\":\"user\",\"content\":\"hello\"},{\"role\":\"assistant\",\"content\":"
                "\"hello wor\"}]",
                "<s>user: hello<|im_end|>assistant: hello wor");
    expect_chat(generator, &options,
                "[{\"role\":\"user\",\"content\":\"hello\"},{\"role\":\"assistant\",\"content\":"
                "[{\"type\":\"text\",\"text\":\"hello \"},{\"type\":\"text\",\"text\":\"a\"}]}]",
                "<s>user: hello<|im_end|>assistant: hello a");
    /* What says nothing is begun. */
    expect_chat(generator, &options,
                "[{\"role\":\"user\",\"content\":\"hello\"},{\"role\":\"assistant\",\"content\":"
                "\" \"}]",
                "<s>user: hello<|im_end|>assistant: ");
    sat_tokens tokens = {0};
    static const char *const wrong[] = {"[]", "[{\"role\":\"user\",\"content\":\"hello\"}]"};
    for (size_t i = 0; i < SAT_COUNT(wrong); i++) {
        assert_int_equal(sat_generator_chat_prompt(generator, &options, wrong[i], strlen(wrong[i]),
                                                   &tokens, &error),
                         SATCHEL_INVALID_ARGUMENT);
        assert_non_null(strstr(error.message, "assistant"));
    }
    sat_tokens_free(&tokens);
    sat_generator_close(&generator);
}

static void refuse_chat(const tiny_generator *shape, const sat_generator_options *options,
                        const char *part) {
    static const char messages[] = "[{\"role\":\"user\",\"content\":\"hello\"}]";
    satchel_model_info info;
    sat_tokens tokens = {0};
    sat_generator *generator = open_generator(shape, options);
    sat_generator_info(generator, &info);
    assert_int_equal(info.has_chat_template, 0);
    assert_int_equal(
        sat_generator_chat_prompt(generator, NULL, messages, strlen(messages), &tokens, &error),
        SATCHEL_UNSUPPORTED);
    if (!strstr(error.message, part))
        fail_msg("\"%s\" lacks \"%s\"", error.message, part);
    sat_generator_close(&generator);
}

static void a_template_that_is_missing_or_unknown_is_an_error_where_it_is_needed(void **state) {
    refuse_chat(&(tiny_generator){.kind = TINY_BPE, .template = ""}, NULL, "chat_template");
    refuse_chat(&(tiny_generator){.kind = TINY_BPE, .template = "{% include 'x' %}"}, NULL,
                "include");
    refuse_chat(NULL, &(sat_generator_options){.chat_template = "{% import 'x' %}"}, "import");
    sat_generator *generator = open_generator(
        NULL, &(sat_generator_options){.chat_template =
                                           "{{ messages[0].content }}!{{ mode }}{{ tools }}"});
    satchel_chat_options options = {
        .struct_size = sizeof options, .variables = "{\"mode\": \"m\"}", .tools = "[{\"a\": 1}]"};
    expect_chat(generator, &options, "[{\"role\":\"user\",\"content\":\"hello\"}]",
                "hello!m[{'a': 1}]");
    sat_generator_close(&generator);
}

/* ------------------------------------------------------------------ scores */

enum { ROW = TINY_GENERATOR_VOCABULARY };

static float *logits_of(sat_generator *generator, const int32_t *tokens, size_t count) {
    float *logits = malloc(count * ROW * sizeof *logits);
    assert_non_null(logits);
    if (sat_generator_logits(generator, tokens, count, logits, NULL, &error))
        fail_msg("%s", error.message);
    return logits;
}

static void logits_are_those_of_the_decoder(void **state) {
    sat_generator *generator = open_generator(NULL, NULL);
    sat_tokens tokens = tokens_of(generator, LONG_PROMPT);
    float *logits = logits_of(generator, tokens.ids, tokens.count);
    sat_gguf_set *files;
    sat_decoder *decoder;
    sat_sequence *sequence;
    assert_int_equal(tiny_generator_files(&files, context, NULL, &error), SATCHEL_OK);
    assert_int_equal(sat_decoder_open(&decoder, context, files, "tiny.gguf", &error), SATCHEL_OK);
    assert_int_equal(sat_sequence_open(&sequence, decoder, tokens.count, SAT_KV_F16, &error),
                     SATCHEL_OK);
    float row[ROW];
    for (size_t i = 0; i < tokens.count; i++) {
        assert_int_equal(sat_sequence_feed(sequence, tokens.ids + i, 1, 1, row, NULL, &error),
                         SATCHEL_OK);
        assert_memory_equal(row, logits + i * ROW, sizeof row);
    }
    sat_sequence_close(&sequence);
    sat_decoder_close(&decoder);
    free(logits);
    int32_t many[301] = {0};
    float none[1];
    assert_int_equal(sat_generator_logits(generator, many, 301, none, NULL, &error), SATCHEL_LIMIT);
    assert_int_equal(sat_generator_logits(generator, many, 0, none, NULL, &error), SATCHEL_OK);
    many[0] = ROW;
    assert_int_equal(sat_generator_logits(generator, many, 1, none, NULL, &error),
                     SATCHEL_INVALID_ARGUMENT);
    sat_tokens_free(&tokens);
    sat_generator_close(&generator);
}

static double surprise(const float *row, int32_t token) {
    long double sum = 0;
    for (int i = 0; i < ROW; i++)
        sum += expl((long double)row[i]);
    return (double)(logl(sum) - (long double)row[token]);
}

/* Each token beside logits computed in a window of its own. */
static void perplexity_scores_each_token_once(void **state) {
    static const int32_t contexts[] = {300, 64, 31, 8, 3, 2};
    for (size_t c = 0; c < SAT_COUNT(contexts); c++) {
        sat_generator *generator =
            open_generator(NULL, &(sat_generator_options){.context_tokens = contexts[c]});
        sat_tokens tokens = tokens_of(generator, LONG_PROMPT);
        size_t size = (size_t)contexts[c] - 1, half = size / 2 ? size / 2 : 1, next = 1;
        double sum = 0;
        while (next < tokens.count) {
            size_t begin = next == 1 ? 1 : next - half;
            size_t end = begin + size + 1 < tokens.count ? begin + size + 1 : tokens.count;
            int32_t window[400] = {tokens.ids[0]};
            memcpy(window + 1, tokens.ids + begin, (end - begin) * sizeof *window);
            float *logits = logits_of(generator, window, end - begin);
            for (; next < end; next++)
                sum += surprise(logits + (next - begin) * ROW, tokens.ids[next]);
            free(logits);
        }
        satchel_perplexity got;
        assert_int_equal(sat_generator_perplexity(generator, LONG_PROMPT, strlen(LONG_PROMPT), NULL,
                                                  NULL, NULL, &got, &error),
                         SATCHEL_OK);
        double mean = sum / (double)(tokens.count - 1);
        assert_int_equal(got.tokens, tokens.count - 1);
        assert_true(fabs(got.nll - mean) < 1e-6);
        assert_true(fabs(got.perplexity - exp(mean)) < 1e-3);
        assert_true(fabs(got.bits_per_byte - sum / log(2) / (double)strlen(LONG_PROMPT)) < 1e-6);
        sat_tokens_free(&tokens);
        sat_generator_close(&generator);
    }
}

static int32_t follow_scores(void *user, const satchel_event_progress *progress) {
    int64_t *last = user;
    assert_int_equal(progress->phase, SATCHEL_PHASE_PREFILL);
    assert_true(progress->done > *last && progress->done <= progress->total);
    *last = progress->done;
    return progress->done > 20;
}

static void perplexity_can_be_stopped_and_needs_a_token(void **state) {
    sat_generator *generator = open_generator(NULL, &(sat_generator_options){.context_tokens = 20});
    satchel_perplexity got;
    int64_t last = 0;
    satchel_cancel *cancel = cancel_new();
    assert_int_equal(sat_generator_perplexity(generator, LONG_PROMPT, strlen(LONG_PROMPT),
                                              follow_scores, &last, NULL, &got, &error),
                     SATCHEL_CANCELLED);
    assert_true(last > 20);
    cancel->fired = 1;
    assert_int_equal(sat_generator_perplexity(generator, LONG_PROMPT, strlen(LONG_PROMPT), NULL,
                                              NULL, cancel, &got, &error),
                     SATCHEL_CANCELLED);
    sat_cancel_release(cancel);
    assert_int_equal(sat_generator_perplexity(generator, "", 0, NULL, NULL, NULL, &got, &error),
                     SATCHEL_INVALID_ARGUMENT);
    sat_generator_close(&generator);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_model_is_described),
        cmocka_unit_test(what_is_measured_is_what_is_held),
        cmocka_unit_test(wrong_options_are_named),
        cmocka_unit_test(a_context_that_would_pass_the_limit_is_refused_before_it_is_taken),
        cmocka_unit_test(warming_reports_bytes),
        cmocka_unit_test(adapters_come_from_paths_and_change_what_is_written),
        cmocka_unit_test(a_prompt_begins_once_and_does_not_end),
        cmocka_unit_test(conversations_are_rendered_by_the_template),
        cmocka_unit_test(parts_of_text_are_joined),
        cmocka_unit_test(a_template_that_prints_lists_alone_gets_them),
        cmocka_unit_test(no_token_reaches_over_a_passage_that_stands_apart),
        cmocka_unit_test(an_answer_can_be_gone_on_with),
        cmocka_unit_test(a_template_that_is_missing_or_unknown_is_an_error_where_it_is_needed),
        cmocka_unit_test(logits_are_those_of_the_decoder),
        cmocka_unit_test(perplexity_scores_each_token_once),
        cmocka_unit_test(perplexity_can_be_stopped_and_needs_a_token),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
