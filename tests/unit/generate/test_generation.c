/* Runs of a generator: what is written, where it ends, what each option does. */
#include "tests/support/folder.h"
#include "tests/unit/generate/generator_unit.h"

#include <math.h>

/* Text that the model is made to write, whatever it would. */
static satchel_generate_options saying(const char *grammar) {
    return (satchel_generate_options){
        .struct_size = sizeof(satchel_generate_options), .grammar = grammar, .max_tokens = 60};
}

/* ------------------------------------------------------------------ greedy */

/* The likeliest token each time, by logits asked for one by one; behind `first` tokens of the list
 * only `most` may stand, as a context that shifts has it. */
static void write_plainly(sat_generator *generator, const char *prompt, size_t count, size_t first,
                          size_t capacity, answer *out) {
    const sat_tokenizer *tokenizer = sat_generator_tokenizer(generator);
    sat_tokens tokens = tokens_of(generator, prompt);
    sat_detokenizer state = {.started = true};
    sat_buffer text;
    float *logits = calloc(400 * TINY_GENERATOR_VOCABULARY, sizeof *logits);
    int32_t list[1200];
    size_t length = tokens.count;
    assert_non_null(logits);
    memset(out, 0, sizeof *out);
    memcpy(list, tokens.ids, length * sizeof *list);
    sat_buffer_init(&text, &context->memory);
    for (size_t i = 0; i < count; i++) {
        if (length > capacity) {
            size_t newest = (capacity - first) / 2;
            memmove(list + first, list + length - newest, newest * sizeof *list);
            length = first + newest;
        }
        assert_int_equal(sat_generator_logits(generator, list, length, logits, NULL, &error), 0);
        const float *row = logits + (length - 1) * TINY_GENERATOR_VOCABULARY;
        int32_t best = 0;
        for (int32_t t = 1; t < sat_tokenizer_size(tokenizer); t++)
            if (row[t] > row[best])
                best = t;
        out->done.generated_tokens++;
        if (sat_tokenizer_ends(tokenizer, best))
            break;
        list[length++] = best;
        sat_detokenize(tokenizer, &state, best, false, &text);
    }
    sat_detokenize_end(&state, &text);
    memcpy(out->text, text.data ? text.data : "", text.length);
    out->length = text.length;
    sat_buffer_free(&text);
    free(logits);
    sat_tokens_free(&tokens);
}

static void greedy_is_the_likeliest_token_each_time(void **state) {
    static const int kinds[] = {TINY_BPE, TINY_SPM, TINY_UNIGRAM, TINY_GEMMA4};
    static const char *const prompts[] = {"hello", "a world", LONG_PROMPT};
    for (size_t k = 0; k < SAT_COUNT(kinds); k++) {
        sat_generator *generator = open_generator(&(tiny_generator){.kind = kinds[k]}, NULL);
        for (size_t i = 0; i < SAT_COUNT(prompts); i++) {
            satchel_generate_options options = {.struct_size = sizeof options, .max_tokens = 40};
            answer got, wanted;
            write_plainly(generator, prompts[i], 40, 0, 300, &wanted);
            run(generator, prompts[i], &options, &got);
            assert_string_equal(got.text, wanted.text);
            assert_int_equal(got.done.generated_tokens, wanted.done.generated_tokens);
            assert_true(got.readings >= 2);
        }
        sat_generator_close(&generator);
    }
}

static void done_says_what_was_done(void **state) {
    satchel_generate_options options = {.struct_size = sizeof options, .max_tokens = 7};
    const int32_t ends[] = {2, 3};
    const float never[] = {-INFINITY, -INFINITY};
    options.bias_tokens = ends;
    options.biases = never;
    options.bias_count = 2;
    sat_generator *generator = open_generator(NULL, NULL);
    sat_tokens tokens = tokens_of(generator, "hello world");
    answer got;
    run(generator, "hello world", &options, &got);
    assert_int_equal(got.done.prompt_tokens, tokens.count);
    assert_int_equal(got.done.cached_tokens, 0);
    assert_int_equal(got.done.generated_tokens, 7);
    assert_int_equal(got.done.finish, SATCHEL_FINISH_LENGTH);
    assert_true(got.done.prefill_ms >= 0 && got.done.generate_ms >= 0);
    assert_true(got.done.elapsed_ms >= got.done.prefill_ms);
    sat_tokens_free(&tokens);
    sat_generator_close(&generator);
}

static void an_end_token_ends_and_is_not_written(void **state) {
    const float much = 1000;
    for (int32_t end = 2; end <= 3; end++) {
        satchel_generate_options options = {
            .struct_size = sizeof options, .bias_tokens = &end, .biases = &much, .bias_count = 1};
        sat_generator *generator = open_generator(NULL, NULL);
        answer got;
        run(generator, "hello", &options, &got);
        assert_int_equal(got.length, 0);
        assert_int_equal(got.done.generated_tokens, 1);
        assert_int_equal(got.done.finish, SATCHEL_FINISH_END);
        sat_generator_close(&generator);
    }
}

static void padding_of_the_vocabulary_is_never_chosen(void **state) {
    satchel_generate_options options = {
        .struct_size = sizeof options, .max_tokens = 200, .temperature = 50, .seed = 3};
    sat_generator *generator = open_generator(NULL, NULL);
    answer got;
    for (options.seed = 0; options.seed < 5; options.seed++)
        run(generator, "hello", &options, &got); /* the sampler would refuse to see such a token */
    sat_generator_close(&generator);
}

/* ------------------------------------------------------------------ text */

static void characters_come_whole_however_tokens_cut_them(void **state) {
    static const char text[] = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z\xE4\xB8\xAD";
    satchel_generate_options options =
        saying("root ::= \"a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z\xE4\xB8\xAD\"");
    sat_generator *generator = open_generator(NULL, NULL);
    answer got;
    run(generator, "hello", &options, &got);
    assert_string_equal(got.text, text);
    assert_int_equal(got.done.finish, SATCHEL_FINISH_END);
    assert_true(got.done.generated_tokens > (int64_t)got.pieces); /* so some were held back */
    sat_generator_close(&generator);
}

static void half_a_character_at_the_end_is_replaced(void **state) {
    satchel_generate_options options = saying("root ::= \"a\xE2\x82\xAC\"");
    options.max_tokens = 3;
    sat_generator *generator = open_generator(NULL, NULL);
    answer got;
    /* Two of three bytes of the last character: a grammar would not allow it, biases do. */
    options.grammar = NULL;
    sat_tokens tokens = tokens_of(generator, "\xE2\x82\xAC");
    assert_int_equal(tokens.count, 4);
    const float much = 1000;
    options.bias_tokens = &tokens.ids[1];
    options.biases = &much;
    options.bias_count = 1;
    run(generator, "hello", &options, &got);
    assert_string_equal(got.text, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
    sat_tokens_free(&tokens);
    sat_generator_close(&generator);
}

static void what_continues_a_text_keeps_its_space(void **state) {
    sat_generator *generator = open_generator(&(tiny_generator){.kind = TINY_SPM}, NULL);
    satchel_generate_options options = saying("root ::= \" world\"");
    answer got;
    run(generator, "hello", &options, &got);
    assert_string_equal(got.text, " world");
    /* Behind a special token a text begins. */
    sat_tokens tokens = {0};
    sat_text_part part = {.text = "hello</s>", .length = 9, .trusted = true};
    sat_stream *stream;
    assert_int_equal(sat_generator_prompt(generator, &part, 1, &tokens, &error), SATCHEL_OK);
    assert_int_equal(sat_generator_run(&stream, generator, &tokens, &options, &error), 0);
    pull(stream, &got);
    assert_string_equal(got.text, "world");
    sat_generator_close(&generator);
}

/* ------------------------------------------------------------------ stop strings */

static void expect_stop(const char *said, const char *const *stops, size_t count,
                        const char *wanted, int32_t finish) {
    char grammar[200];
    answer got;
    snprintf(grammar, sizeof grammar, "root ::= \"%s\"", said);
    satchel_generate_options options = saying(grammar);
    options.stop = stops;
    options.stop_count = count;
    sat_generator *generator = open_generator(NULL, NULL);
    run(generator, "hello", &options, &got);
    if (strcmp(got.text, wanted) != 0 || got.done.finish != finish)
        fail_msg("\"%s\" gives \"%s\" (%d), not \"%s\"", said, got.text, got.done.finish, wanted);
    sat_generator_close(&generator);
}

#define EXPECT_STOP(said, wanted, finish, ...)                                                     \
    do {                                                                                           \
        static const char *const stops[] = {__VA_ARGS__};                                          \
        expect_stop(said, stops, SAT_COUNT(stops), wanted, finish);                                \
    } while (0)

static void stop_strings_end_the_answer_before_them(void **state) {
    enum { STOP = SATCHEL_FINISH_STOP, END = SATCHEL_FINISH_END };
    EXPECT_STOP("hello STOP world", "hello ", STOP, "STOP");
    EXPECT_STOP("STOP", "", STOP, "STOP");
    EXPECT_STOP("hello STO world", "hello STO world", END, "STOP");
    EXPECT_STOP("hello STO", "hello STO", END, "STOP"); /* held until the end */
    EXPECT_STOP("SSTOP x", "S", STOP, "STOP");          /* begins anew within itself */
    EXPECT_STOP("ababac x", "ab", STOP, "abac");
    EXPECT_STOP("hello world", "h", STOP, "world", "ello"); /* the one that is complete first */
    EXPECT_STOP("xyz x", "x", STOP, "xyzz", "y");
    EXPECT_STOP("xab", "", STOP, "b", "xab"); /* both complete: the longest */
    EXPECT_STOP("a\xE2\x82\xAC\xC3\xA9z", "a\xE2\x82\xAC", STOP, "\xC3\xA9");
    EXPECT_STOP("a\xE2\x82\xAC\xC3\xA9z", "a", STOP, "\xE2\x82\xAC\xC3\xA9");
}

static void text_is_held_back_only_while_it_may_stop(void **state) {
    static const char *const stops[] = {"ab!"};
    satchel_generate_options options = saying("root ::= \"xabxabx\"");
    options.stop = stops;
    options.stop_count = 1;
    sat_generator *generator = open_generator(NULL, NULL);
    sat_tokens prompt = tokens_of(generator, "hello");
    sat_stream *stream;
    assert_int_equal(sat_generator_run(&stream, generator, &prompt, &options, &error), 0);
    char all[20] = "";
    for (;;) {
        satchel_event event = {0};
        assert_int_equal(stream->next(stream, &event, &error), SATCHEL_OK);
        if (event.kind == SATCHEL_EVENT_DONE)
            break;
        if (event.kind != SATCHEL_EVENT_TOKEN)
            continue;
        strncat(all, event.token->text, event.token->length);
        size_t length = strlen(all);
        /* Nothing that has gone out ends with what may still become the stop string. */
        assert_true(all[length - 1] != 'a' && all[length - 1] != 'b');
    }
    assert_string_equal(all, "xabxabx");
    stream->close(stream);
    sat_generator_close(&generator);
}

static void wrong_stop_strings_are_refused(void **state) {
    static const char *const empty[] = {"a", ""}, *const none[] = {NULL}, *const bad[] = {"\xFF"};
    char *many = malloc(SAT_GENERATOR_STOP_BYTES + 2);
    const char *list[SAT_GENERATOR_STOPS + 1];
    assert_non_null(many);
    memset(many, 'a', SAT_GENERATOR_STOP_BYTES + 1);
    many[SAT_GENERATOR_STOP_BYTES + 1] = 0;
    for (size_t i = 0; i < SAT_COUNT(list); i++)
        list[i] = "a";
    sat_generator *generator = open_generator(NULL, NULL);
    satchel_generate_options options = {.struct_size = sizeof options};
#define REFUSE(stops, count, status, part)                                                         \
    options.stop = stops, options.stop_count = count;                                              \
    refuse(generator, "hello", &options, status, part)
    REFUSE(empty, 2, SATCHEL_INVALID_ARGUMENT, "stop[1]");
    REFUSE(none, 1, SATCHEL_INVALID_ARGUMENT, "stop[0]");
    REFUSE(NULL, 1, SATCHEL_INVALID_ARGUMENT, "stop is NULL");
    REFUSE(bad, 1, SATCHEL_INVALID_TEXT, "UTF-8");
    REFUSE(list, SAT_COUNT(list), SATCHEL_LIMIT, "65");
    list[0] = many;
    REFUSE(list, 1, SATCHEL_LIMIT, "1025");
    free(many);
    sat_generator_close(&generator);
}

/* ------------------------------------------------------------------ schema and grammar */

static const char schema[] =
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"list\":{\"type\":"
    "\"array\",\"items\":{\"type\":\"integer\"}}},\"required\":[\"name\",\"list\"]}";

static void answers_keep_to_the_schema_within_the_tokens_allowed(void **state) {
    sat_generator *generator = open_generator(NULL, NULL);
    for (int32_t most = 24; most < 120; most += 16) {
        satchel_generate_options options = {.struct_size = sizeof options,
                                            .schema = schema,
                                            .max_tokens = most,
                                            .temperature = 3,
                                            .seed = (uint64_t)most};
        answer got;
        json_t *json;
        run(generator, "hello", &options, &got);
        assert_in_range(got.done.generated_tokens, 1, most + 1);
        assert_int_equal(got.done.finish, SATCHEL_FINISH_END);
        if (sat_json_parse(&json, got.text, got.length, SATCHEL_DAMAGED, "answer", &error))
            fail_msg("%s: %s", got.text, error.message);
        assert_true(json_is_string(json_object_get(json, "name")));
        assert_true(json_is_array(json_object_get(json, "list")));
        json_decref(json);
    }
    satchel_generate_options options = {
        .struct_size = sizeof options, .schema = schema, .max_tokens = 5};
    refuse(generator, "hello", &options, SATCHEL_LIMIT, "5 are allowed");
    sat_generator_close(&generator);
}

static void the_context_is_a_budget_too(void **state) {
    sat_generator *generator = open_generator(NULL, &(sat_generator_options){.context_tokens = 60});
    satchel_generate_options options = {
        .struct_size = sizeof options, .schema = schema, .temperature = 3};
    answer got;
    run(generator, "hello", &options, &got);
    assert_int_equal(got.done.finish, SATCHEL_FINISH_END);
    assert_true(got.done.prompt_tokens + got.done.generated_tokens <= 61);
    char prompt[60] = "";
    memset(prompt, 'b', 50);
    refuse(generator, prompt, &options, SATCHEL_LIMIT, "are allowed");
    sat_generator_close(&generator);
}

static void wrong_grammars_are_refused(void **state) {
    sat_generator *generator = open_generator(NULL, NULL);
    satchel_generate_options options = {.struct_size = sizeof options, .schema = "{"};
    refuse(generator, "hello", &options, SATCHEL_DAMAGED, "");
    options = (satchel_generate_options){.struct_size = sizeof options, .grammar = "root = "};
    refuse(generator, "hello", &options, SATCHEL_DAMAGED, "");
    options.schema = "{}";
    refuse(generator, "hello", &options, SATCHEL_INVALID_ARGUMENT, "both");
    sat_generator_close(&generator);
}

/* ------------------------------------------------------------------ sampling */

static void the_same_seed_writes_the_same(void **state) {
    satchel_generate_options options = {
        .struct_size = sizeof options, .max_tokens = 30, .temperature = 1, .seed = 5};
    sat_generator *generator = open_generator(NULL, NULL);
    answer first, again, other;
    run(generator, "hello", &options, &first);
    run(generator, "hello", &options, &again);
    options.seed = 6;
    run(generator, "hello", &options, &other);
    assert_string_equal(first.text, again.text);
    assert_string_not_equal(first.text, other.text);
    sat_generator_close(&generator);
}

/* Options that leave the likeliest token alone make any temperature greedy. */
static void options_reach_the_sampler(void **state) {
    satchel_generate_options greedy = {.struct_size = sizeof greedy, .max_tokens = 20};
    sat_generator *generator = open_generator(NULL, NULL);
    answer wanted, got;
    run(generator, "hello", &greedy, &wanted);
    for (int which = 0; which < 3; which++) {
        satchel_generate_options options = greedy;
        options.temperature = 2;
        options.top_k = which == 0;
        options.top_p = which == 1 ? 1e-6f : 0;
        options.min_p = which == 2 ? 1 : 0;
        run(generator, "hello", &options, &got);
        assert_string_equal(got.text, wanted.text);
    }
    for (int which = 0; which < 5; which++) {
        satchel_generate_options options = greedy;
        const int32_t token = wanted.last;
        const float never = -INFINITY;
        options.max_tokens = 60;
        options.penalty_window = which == 4 ? -1 : 0;
        options.repetition = which == 0 ? 100 : 0;
        options.frequency = which == 1 || which == 4 ? 100 : 0;
        options.presence = which == 2 ? 100 : 0;
        options.bias_tokens = which == 3 ? &token : NULL;
        options.biases = which == 3 ? &never : NULL;
        options.bias_count = which == 3;
        answer long_one;
        satchel_generate_options plain = greedy;
        plain.max_tokens = 60;
        run(generator, "hello", &plain, &long_one);
        run(generator, "hello", &options, &got);
        assert_string_not_equal(got.text, long_one.text);
    }
    satchel_generate_options typical = greedy;
    typical.temperature = 1;
    run(generator, "hello", &typical, &wanted);
    typical.typical_p = 0.05f;
    run(generator, "hello", &typical, &got);
    assert_string_not_equal(got.text, wanted.text);
    sat_generator_close(&generator);
}

static void wrong_options_are_named(void **state) {
    static const int32_t token = 100000;
    static const float bias = 1;
    sat_generator *generator = open_generator(NULL, NULL);
    const struct {
        satchel_generate_options options;
        const char *part;
    } wrong[] = {
        {{.temperature = -1}, "temperature"},
        {{.temperature = NAN}, "temperature"},
        {{.top_k = -1}, "top_k"},
        {{.top_p = 2}, "top_p"},
        {{.min_p = -1}, "min_p"},
        {{.typical_p = 1.5f}, "typical_p"},
        {{.repetition = -1}, "repetition"},
        {{.frequency = INFINITY}, "penalty"},
        {{.presence = NAN}, "penalty"},
        {{.penalty_window = -2}, "penalty_window"},
        {{.bias_count = 1}, "bias_tokens"},
        {{.bias_tokens = &token, .biases = &bias, .bias_count = 1}, "100000"},
        {{.max_tokens = -2}, "max_tokens"},
        {{.overflow = 2}, "overflow"},
        {{.overflow = -1}, "overflow"},
    };
    for (size_t i = 0; i < SAT_COUNT(wrong); i++)
        refuse(generator, "hello", &wrong[i].options, SATCHEL_INVALID_ARGUMENT, wrong[i].part);
    sat_tokens none = {0};
    sat_stream *stream;
    assert_int_equal(sat_generator_run(&stream, generator, &none, NULL, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "empty"));
    sat_generator_close(&generator);
}

/* ------------------------------------------------------------------ the context */

static const int32_t end_tokens[] = {2, 3};
static const float never[] = {-INFINITY, -INFINITY};

static satchel_generate_options endless(int32_t most) {
    return (satchel_generate_options){.struct_size = sizeof(satchel_generate_options),
                                      .max_tokens = most,
                                      .bias_tokens = end_tokens,
                                      .biases = never,
                                      .bias_count = 2};
}

static void a_full_context_ends_the_answer_or_is_refused(void **state) {
    sat_generator *generator = open_generator(NULL, &(sat_generator_options){.context_tokens = 40});
    satchel_generate_options options = endless(-1);
    answer got;
    run(generator, "hello", &options, &got);
    assert_int_equal(got.done.finish, SATCHEL_FINISH_CONTEXT);
    assert_int_equal(got.done.prompt_tokens + got.done.generated_tokens, 40);
    options.max_tokens = 0; /* 512 do not fit: as many as do */
    run(generator, "hello", &options, &got);
    assert_int_equal(got.done.finish, SATCHEL_FINISH_CONTEXT);
    options.max_tokens = (int32_t)(40 - got.done.prompt_tokens);
    run(generator, "hello", &options, &got);
    assert_int_equal(got.done.finish, SATCHEL_FINISH_LENGTH);
    options.max_tokens++;
    refuse(generator, "hello", &options, SATCHEL_LIMIT, "context");
    options.max_tokens = 0;
    refuse(generator, LONG_PROMPT LONG_PROMPT, &options, SATCHEL_LIMIT, "context");
    sat_generator_close(&generator);
}

/* The answer beside one whose every token was computed from nothing. */
static void a_shifting_context_is_what_its_tokens_alone_give(void **state) {
    static const char *const prompts[] = {"hello", LONG_PROMPT LONG_PROMPT};
    for (size_t i = 0; i < SAT_COUNT(prompts); i++) {
        sat_generator *generator =
            open_generator(NULL, &(sat_generator_options){.context_tokens = 41});
        satchel_generate_options options = endless(150);
        options.bias_count = 0;
        options.overflow = SATCHEL_OVERFLOW_SHIFT;
        answer got, wanted;
        run(generator, prompts[i], &options, &got);
        write_plainly(generator, prompts[i], 150, 1, 41, &wanted);
        assert_string_equal(got.text, wanted.text);
        assert_true(got.done.generated_tokens > 100);
        assert_true(got.readings > 6);
        assert_int_equal(got.done.finish, SATCHEL_FINISH_LENGTH);
        sat_generator_close(&generator);
    }
}

/* ------------------------------------------------------------------ what is kept */

static void a_prompt_that_begins_alike_is_not_read_again(void **state) {
    static const int32_t kv_types[] = {SATCHEL_KV_F16, SATCHEL_KV_Q8_0, SATCHEL_KV_F32};
    static const tiny_generator shapes[] = {
        {.kind = TINY_BPE},
        {.kind = TINY_BPE, .decoder = {.arch = "gemma3", .layers = 7, .window = 30}}};
    for (size_t n = 0; n < SAT_COUNT(kv_types) * SAT_COUNT(shapes); n++) {
        const tiny_generator *shape = &shapes[n % SAT_COUNT(shapes)];
        sat_generator_options opened = {.kv_type = kv_types[n / SAT_COUNT(shapes)]};
        satchel_generate_options options = {
            .struct_size = sizeof options, .max_tokens = 30, .temperature = 1, .seed = n};
        sat_generator *used = open_generator(shape, &opened);
        sat_generator *fresh = open_generator(shape, &opened);
        answer first, again, wanted;
        char prompt[ANSWER_BYTES];
        run(used, LONG_PROMPT, &options, &first);
        assert_int_equal(first.done.cached_tokens, 0);
        /* The same, one that goes on, one that parts from it. */
        run(used, LONG_PROMPT, &options, &again);
        assert_string_equal(again.text, first.text);
        assert_int_equal(again.done.cached_tokens, again.done.prompt_tokens - 1);
        snprintf(prompt, sizeof prompt, "%s and world", LONG_PROMPT);
        run(used, prompt, &options, &again);
        run(fresh, prompt, &options, &wanted);
        assert_string_equal(again.text, wanted.text);
        assert_true(again.done.cached_tokens > 30);
        assert_int_equal(wanted.done.cached_tokens, 0);
        run(used, "hello world a hello c", &options, &again);
        run(fresh, "world", &options, &wanted);
        run(fresh, "hello world a hello c", &options, &wanted);
        assert_string_equal(again.text, wanted.text);
        assert_true(again.done.cached_tokens > 3);
        sat_generator_close(&used);
        sat_generator_close(&fresh);
    }
}

static void remove_tree(const char *folder) {
    char command[200];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    assert_int_equal(system(command), 0);
}

/* A process of its own: a context, a generator, one run. */
static void launch(const char *folder, const char *prompt, bool saved, answer *out) {
    satchel_context_options options = {
        .struct_size = sizeof options, .threads = 2, .cache_dir = folder, .cache_free_floor = 1};
    satchel_generate_options run_options = {
        .struct_size = sizeof run_options, .max_tokens = 30, .no_saved_kv = !saved};
    satchel_context *before = context;
    assert_int_equal(sat_context_open(&context, &options, &error), SATCHEL_OK);
    sat_generator *generator = open_generator(NULL, NULL);
    run(generator, prompt, &run_options, out);
    sat_generator_close(&generator);
    sat_context_release(context);
    context = before;
}

#define CONVERSATION LONG_PROMPT LONG_PROMPT LONG_PROMPT

static void another_process_goes_on_from_what_was_saved(void **state) {
    char base[TEST_FOLDER_SIZE], folder[TEST_FOLDER_SIZE + 8];
    answer wanted, first, again, plain;
    assert_true(test_folder_make(base));
    snprintf(folder, sizeof folder, "%s/kv", base);
    launch(NULL, CONVERSATION " and a", true, &wanted);
    launch(folder, CONVERSATION, false, &plain);
    launch(folder, CONVERSATION, true, &first); /* so nothing was saved before */
    assert_int_equal(first.done.cached_tokens, 0);
    assert_true(first.done.prompt_tokens > 64);
    assert_string_equal(first.text, plain.text);
    launch(folder, CONVERSATION " and a", true, &again);
    assert_true(again.done.cached_tokens >= 64);
    assert_int_equal(again.done.cached_tokens % 64, 0);
    assert_string_equal(again.text, wanted.text);
    launch(folder, CONVERSATION " and a", false, &plain);
    assert_int_equal(plain.done.cached_tokens, 0);
    assert_string_equal(plain.text, wanted.text);
    remove_tree(base);
}

static void no_more_is_kept_than_one_sequence(void **state) {
    sat_generator *generator = open_generator(NULL, NULL);
    satchel_generate_options options = endless(10);
    answer got;
    run(generator, "hello", &options, &got);
    uint64_t one = context->memory.now;
    sat_stream *streams[3];
    for (int i = 0; i < 3; i++) { /* at the same time */
        sat_tokens prompt = tokens_of(generator, "hello world");
        satchel_event event = {0};
        assert_int_equal(sat_generator_run(&streams[i], generator, &prompt, &options, &error), 0);
        for (int k = 0; k < 4; k++)
            assert_int_equal(streams[i]->next(streams[i], &event, &error), SATCHEL_OK);
    }
    assert_true(context->memory.now > one);
    answer three[3];
    for (int i = 0; i < 3; i++) {
        pull(streams[i], &three[i]);
        assert_int_equal(three[i].done.finish, SATCHEL_FINISH_LENGTH);
        assert_string_equal(three[i].text, three[0].text);
    }
    assert_in_range(context->memory.now, one / 2, one + 4096);
    sat_generator_close(&generator);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_is_the_likeliest_token_each_time),
        cmocka_unit_test(done_says_what_was_done),
        cmocka_unit_test(an_end_token_ends_and_is_not_written),
        cmocka_unit_test(padding_of_the_vocabulary_is_never_chosen),
        cmocka_unit_test(characters_come_whole_however_tokens_cut_them),
        cmocka_unit_test(half_a_character_at_the_end_is_replaced),
        cmocka_unit_test(what_continues_a_text_keeps_its_space),
        cmocka_unit_test(stop_strings_end_the_answer_before_them),
        cmocka_unit_test(text_is_held_back_only_while_it_may_stop),
        cmocka_unit_test(wrong_stop_strings_are_refused),
        cmocka_unit_test(answers_keep_to_the_schema_within_the_tokens_allowed),
        cmocka_unit_test(the_context_is_a_budget_too),
        cmocka_unit_test(wrong_grammars_are_refused),
        cmocka_unit_test(the_same_seed_writes_the_same),
        cmocka_unit_test(options_reach_the_sampler),
        cmocka_unit_test(wrong_options_are_named),
        cmocka_unit_test(a_full_context_ends_the_answer_or_is_refused),
        cmocka_unit_test(a_shifting_context_is_what_its_tokens_alone_give),
        cmocka_unit_test(a_prompt_that_begins_alike_is_not_read_again),
        cmocka_unit_test(another_process_goes_on_from_what_was_saved),
        cmocka_unit_test(no_more_is_kept_than_one_sequence),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
