/*
 * Sequences of tiny decoders: the same bits however tokens are split, after cutting, on any number
 * of threads; cancelling; adapters; what wrong calls get. That the numbers are right is for
 * tests/peers.
 */
#include "tests/unit/generate/decoder_unit.h"

static const tiny_decoder shapes[] = {
    {.arch = "llama"},
    {.arch = "qwen3", .type = 8, .kv_heads = 4},
    {.arch = "gemma3", .layers = 7, .window = 70, .type = 1},
    {.arch = "phi3", .kv_heads = 1, .type = 8},
    {.arch = "smollm3", .layers = 5, .head = 64, .dimension = 96},
};
static const int32_t kv_types[] = {SAT_KV_F32, SAT_KV_F16, SAT_KV_Q8_0};

/* ------------------------------------------------------------------ the same bits */

static void logits_do_not_depend_on_the_split(void **state) {
    static const size_t steps[] = {1, 7, 64, 100};
    float *whole = logits_new(), *parts = logits_new();
    for (size_t s = 0; s < SAT_COUNT(shapes); s++) {
        sat_decoder *decoder = open_decoder(&shapes[s]);
        for (size_t k = 0; k < SAT_COUNT(kv_types); k++) {
            sat_sequence *one = open_sequence(decoder, LENGTH, kv_types[k]);
            feed(one, 0, LENGTH, LENGTH, whole);
            assert_int_equal(sat_sequence_length(one), LENGTH);
            sat_sequence_close(&one);
            for (size_t i = 0; i < SAT_COUNT(steps); i++) {
                sat_sequence *other = open_sequence(decoder, LENGTH, kv_types[k]);
                feed(other, 0, LENGTH, steps[i], parts);
                assert_memory_equal(whole, parts, LOGITS_BYTES);
                sat_sequence_close(&other);
            }
        }
        sat_decoder_close(&decoder);
    }
    free(whole);
    free(parts);
}

/* All logits of a decoder on a context of its own. */
static void logits_at(const tiny_decoder *shape, int32_t level, int32_t kv_type, float *logits) {
    satchel_context_options options = {
        .struct_size = sizeof options, .threads = 2, .cpu_level = level};
    satchel_context *before = context;
    assert_int_equal(sat_context_open(&context, &options, NULL), SATCHEL_OK);
    assert_int_equal(context->cpu_level, level);
    sat_decoder *decoder = open_decoder(shape);
    sat_sequence *sequence = open_sequence(decoder, LENGTH, kv_type);
    feed(sequence, 0, LENGTH, 90, logits);
    sat_sequence_close(&sequence);
    sat_decoder_close(&decoder);
    sat_context_release(context);
    context = before;
}

static void logits_do_not_depend_on_threads(void **state) {
    float *many = logits_new(), *single = logits_new();
    satchel_context_options options = {.struct_size = sizeof options, .threads = 1};
    satchel_context *three = context;
    for (size_t s = 0; s < SAT_COUNT(shapes); s++) {
        sat_decoder *decoder = open_decoder(&shapes[s]);
        sat_sequence *sequence = open_sequence(decoder, LENGTH, SAT_KV_F16);
        feed(sequence, 0, LENGTH, 90, many);
        sat_sequence_close(&sequence);
        sat_decoder_close(&decoder);
        assert_int_equal(sat_context_open(&context, &options, NULL), SATCHEL_OK);
        decoder = open_decoder(&shapes[s]);
        sequence = open_sequence(decoder, LENGTH, SAT_KV_F16);
        feed(sequence, 0, LENGTH, 90, single);
        sat_sequence_close(&sequence);
        sat_decoder_close(&decoder);
        sat_context_release(context);
        context = three;
        assert_memory_equal(many, single, LOGITS_BYTES);
    }
    free(many);
    free(single);
}

/* Every kernel gives the C reference's bits, so a decoder does. */
static void logits_are_the_same_at_every_level(void **state) {
    static const int32_t levels[] = {SATCHEL_CPU_AVX2, SATCHEL_CPU_AVXVNNI, SATCHEL_CPU_AVX512,
                                     SATCHEL_CPU_NEON, SATCHEL_CPU_DOTPROD, SATCHEL_CPU_I8MM};
    static const uint32_t types[] = {SAT_GGML_F32,  SAT_GGML_F16,  SAT_GGML_Q8_0, SAT_GGML_Q4_0,
                                     SAT_GGML_Q4_K, SAT_GGML_Q6_K, SAT_GGML_Q5_K};
    float *reference = logits_new(), *got = logits_new();
    satchel_context *best = context;
    size_t compared = 0;
    for (size_t t = 0; t < SAT_COUNT(types); t++) {
        size_t s = t % SAT_COUNT(shapes);
        tiny_decoder shape = shapes[s];
        shape.type = types[t];
        if (types[t] > SAT_GGML_Q8_0) { /* blocks of 256 */
            shape.dimension = shape.ffn = 256;
            shape.heads = 8;
            shape.head = 32;
        }
        logits_at(&shape, SATCHEL_CPU_C, kv_types[t % SAT_COUNT(kv_types)], reference);
        for (size_t l = 0; l < SAT_COUNT(levels); l++) {
            if (sat_cpu_choose(levels[l]) != levels[l])
                continue;
            logits_at(&shape, levels[l], kv_types[t % SAT_COUNT(kv_types)], got);
            if (memcmp(reference, got, LOGITS_BYTES) != 0)
                fail_msg("%s, type %u: level %s gives other logits than C",
                         shape.arch ? shape.arch : "llama", types[t], sat_cpu_name(levels[l]));
            compared++;
        }
    }
    context = best;
    if (best->cpu_level != SATCHEL_CPU_C)
        assert_true(compared > 0);
    free(reference);
    free(got);
}

static void what_was_cut_off_leaves_nothing(void **state) {
    float *straight = logits_new(), *again = logits_new();
    for (size_t s = 0; s < SAT_COUNT(shapes); s++) {
        sat_decoder *decoder = open_decoder(&shapes[s]);
        sat_sequence *sequence = open_sequence(decoder, LENGTH, SAT_KV_F16);
        feed(sequence, 0, LENGTH, LENGTH, straight);
        for (size_t length = 0; length < LENGTH; length += 67) {
            /* Other tokens stand there in between. */
            assert_int_equal(sat_sequence_cut(sequence, length, NULL), SATCHEL_OK);
            int32_t others[5] = {1, 2, 3, 4, 5};
            assert_int_equal(sat_sequence_feed(sequence, others, 5, 0, NULL, NULL, NULL),
                             SATCHEL_OK);
            assert_int_equal(sat_sequence_cut(sequence, length, NULL), SATCHEL_OK);
            memcpy(again, straight, LOGITS_BYTES);
            memset(again + length * VOCABULARY, 0, (LENGTH - length) * VOCABULARY * sizeof *again);
            feed(sequence, length, LENGTH, 50, again);
            assert_memory_equal(straight, again, LOGITS_BYTES);
        }
        sat_sequence_close(&sequence);
        sat_decoder_close(&decoder);
    }
    free(straight);
    free(again);
}

static void only_the_wanted_logits_are_written(void **state) {
    float *all = logits_new(), *some = logits_new();
    sat_decoder *decoder = open_decoder(&shapes[0]);
    sat_sequence *sequence = open_sequence(decoder, LENGTH, SAT_KV_F32);
    feed(sequence, 0, LENGTH, LENGTH, all);
    for (size_t wanted = 0; wanted <= LENGTH; wanted += 20) {
        sat_sequence_cut(sequence, 0, NULL);
        for (size_t i = 0; i < LENGTH * VOCABULARY; i++)
            some[i] = -7;
        assert_int_equal(sat_sequence_feed(sequence, tokens, LENGTH, wanted, some, NULL, NULL),
                         SATCHEL_OK);
        assert_memory_equal(some, all + (LENGTH - wanted) * VOCABULARY,
                            wanted * VOCABULARY * sizeof *some);
        for (size_t i = wanted * VOCABULARY; i < LENGTH * VOCABULARY; i++)
            assert_true(some[i] == -7);
    }
    sat_sequence_close(&sequence);
    sat_decoder_close(&decoder);
    free(all);
    free(some);
}

static void a_window_hides_what_is_before_it(void **state) {
    /* All layers windowed but the sixth, of which there is none: logits 70 · layers tokens on do
     * not know the first token. */
    tiny_decoder shape = {.arch = "gemma3", .layers = 2, .window = 70};
    float *before = logits_new(), *after = logits_new();
    sat_decoder *decoder = open_decoder(&shape);
    sat_sequence *sequence = open_sequence(decoder, LENGTH, SAT_KV_F32);
    feed(sequence, 0, LENGTH, LENGTH, before);
    int32_t first = tokens[0];
    tokens[0] = (first + 1) % VOCABULARY;
    sat_sequence_cut(sequence, 0, NULL);
    feed(sequence, 0, LENGTH, LENGTH, after);
    tokens[0] = first;
    size_t reach = (2 * 69 + 1) * VOCABULARY;
    assert_memory_not_equal(before + reach - VOCABULARY, after + reach - VOCABULARY,
                            VOCABULARY * sizeof *before);
    assert_memory_equal(before + reach, after + reach, LOGITS_BYTES - reach * sizeof *before);
    sat_sequence_close(&sequence);
    sat_decoder_close(&decoder);
    free(before);
    free(after);
}

/* ------------------------------------------------------------------ cancelling */

static void a_cancelled_feed_appends_nothing(void **state) {
    float *whole = logits_new(), *again = logits_new();
    satchel_error error;
    struct satchel_cancel cancel = {.context = context};
    sat_decoder *decoder = open_decoder(&shapes[0]);
    sat_sequence *sequence = open_sequence(decoder, LENGTH, SAT_KV_F16);
    feed(sequence, 0, LENGTH, LENGTH, whole);
    sat_sequence_cut(sequence, 0, NULL);
    feed(sequence, 0, 100, 100, again);
    cancel.fired = 1;
    assert_int_equal(sat_sequence_feed(sequence, tokens + 100, 150, 0, NULL, &cancel, &error),
                     SATCHEL_CANCELLED);
    assert_int_equal(sat_sequence_length(sequence), 100);
    feed(sequence, 100, LENGTH, 60, again);
    assert_memory_equal(whole, again, LOGITS_BYTES);
    sat_sequence_close(&sequence);
    sat_decoder_close(&decoder);
    free(whole);
    free(again);
}

static void *fire(void *user) {
    struct satchel_cancel *cancel = user;
    cancel->fired = 1;
    return NULL;
}

static void a_cancel_from_another_thread_leaves_a_whole_sequence(void **state) {
    tiny_decoder shape = {.layers = 12, .ffn = 512};
    float *whole = logits_new(), *again = logits_new();
    sat_decoder *decoder = open_decoder(&shape);
    sat_sequence *sequence = open_sequence(decoder, LENGTH, SAT_KV_F16);
    feed(sequence, 0, LENGTH, LENGTH, whole);
    for (int round = 0; round < 5; round++) {
        struct satchel_cancel cancel = {.context = context};
        pthread_t thread;
        sat_sequence_cut(sequence, 0, NULL);
        feed(sequence, 0, 10, 10, again);
        assert_int_equal(pthread_create(&thread, NULL, fire, &cancel), 0);
        satchel_status status =
            sat_sequence_feed(sequence, tokens + 10, LENGTH - 10, 0, NULL, &cancel, NULL);
        pthread_join(thread, NULL);
        assert_true(status == SATCHEL_OK || status == SATCHEL_CANCELLED);
        assert_int_equal(sat_sequence_length(sequence), status ? 10 : LENGTH);
        sat_sequence_cut(sequence, 10, NULL);
        feed(sequence, 10, LENGTH, LENGTH, again);
        assert_memory_equal(whole, again, LOGITS_BYTES);
    }
    sat_sequence_close(&sequence);
    sat_decoder_close(&decoder);
    free(whole);
    free(again);
}

static int32_t stop_at_once(void *user, uint64_t done, uint64_t total) {
    *(uint64_t *)user = total;
    return done > 0;
}

static int32_t go_on(void *user, uint64_t done, uint64_t total) {
    uint64_t *last = user;
    assert_true(done > *last && done <= total);
    *last = done;
    return 0;
}

static void warming_reports_and_stops(void **state) {
    struct satchel_cancel cancel = {.context = context, .fired = 1};
    satchel_error error;
    sat_decoder_info info;
    uint64_t seen = 0;
    sat_decoder *decoder = open_decoder(NULL);
    sat_decoder_get_info(decoder, &info);
    assert_int_equal(sat_decoder_warm(decoder, go_on, &seen, NULL, &error), SATCHEL_OK);
    assert_int_equal(seen, info.file_bytes);
    assert_int_equal(sat_decoder_warm(decoder, stop_at_once, &seen, NULL, &error),
                     SATCHEL_CANCELLED);
    assert_int_equal(sat_decoder_warm(decoder, NULL, NULL, &cancel, &error), SATCHEL_CANCELLED);
    sat_decoder_close(&decoder);
}

/* ------------------------------------------------------------------ adapters */

static sat_adapter *open_adapter(const sat_decoder *decoder, const tiny_decoder *shape) {
    size_t size;
    uint8_t *bytes = tiny_adapter_bytes(shape, false, &size);
    sat_mapping file = {.data = bytes, .size = size};
    sat_adapter *adapter;
    satchel_error error = {0};
    if (sat_adapter_open(&adapter, decoder, &file, "adapter.gguf", &error))
        fail_msg("%s", error.message);
    free(bytes); /* what is needed is copied */
    return adapter;
}

static void adapters_change_logits_and_can_be_left(void **state) {
    float *plain = logits_new(), *adapted = logits_new(), *again = logits_new();
    static const float one = 1, halves[2] = {0.5f, 0.5f}, none = 0;
    sat_decoder *decoder = open_decoder(&shapes[0]);
    sat_adapter *adapter = open_adapter(decoder, &shapes[0]);
    const sat_adapter *list[2] = {adapter, adapter};
    sat_sequence *sequence = open_sequence(decoder, LENGTH, SAT_KV_F32);
    feed(sequence, 0, LENGTH, LENGTH, plain);
    assert_int_equal(sat_sequence_adapt(sequence, list, &one, 1, NULL), SATCHEL_INVALID_ARGUMENT);
    sat_sequence_cut(sequence, 0, NULL);
    assert_int_equal(sat_sequence_adapt(sequence, list, &one, 1, NULL), SATCHEL_OK);
    feed(sequence, 0, LENGTH, LENGTH, adapted);
    assert_memory_not_equal(plain, adapted, LOGITS_BYTES);
    sat_sequence_cut(sequence, 0, NULL);
    feed(sequence, 0, LENGTH, 33, again);
    assert_memory_equal(adapted, again, LOGITS_BYTES);
    sat_sequence_cut(sequence, 0, NULL);
    assert_int_equal(sat_sequence_adapt(sequence, list, halves, 2, NULL), SATCHEL_OK);
    feed(sequence, 0, LENGTH, LENGTH, again);
    for (size_t i = 0; i < LENGTH * VOCABULARY; i++)
        assert_true(again[i] - adapted[i] < 0.01f && adapted[i] - again[i] < 0.01f);
    sat_sequence_cut(sequence, 0, NULL);
    assert_int_equal(sat_sequence_adapt(sequence, list, &none, 1, NULL), SATCHEL_OK);
    feed(sequence, 0, LENGTH, LENGTH, again);
    assert_memory_equal(plain, again, LOGITS_BYTES);
    sat_sequence_cut(sequence, 0, NULL);
    assert_int_equal(sat_sequence_adapt(sequence, NULL, NULL, 0, NULL), SATCHEL_OK);
    feed(sequence, 0, LENGTH, LENGTH, again);
    assert_memory_equal(plain, again, LOGITS_BYTES);
    sat_sequence_close(&sequence);
    sat_adapter_close(&adapter);
    sat_decoder_close(&decoder);
    free(plain);
    free(adapted);
    free(again);
}

static void refuse_adapter(const sat_decoder *decoder, const tiny_decoder *of, bool wrong,
                           satchel_status status, const char *part) {
    size_t size;
    uint8_t *bytes = tiny_adapter_bytes(of, wrong, &size);
    sat_mapping file = {.data = bytes, .size = size};
    sat_adapter *adapter = NULL;
    satchel_error error = {0};
    assert_int_equal(sat_adapter_open(&adapter, decoder, &file, "adapter.gguf", &error), status);
    assert_null(adapter);
    if (!strstr(error.message, part))
        fail_msg("\"%s\" does not name %s", error.message, part);
    free(bytes);
}

static void adapters_of_other_models_are_refused(void **state) {
    tiny_decoder wider = {.dimension = 96}, other = {.arch = "qwen3"};
    sat_decoder *decoder = open_decoder(NULL), *second = open_decoder(NULL);
    refuse_adapter(decoder, &wider, false, SATCHEL_DAMAGED, "blk.0.attn_q.weight");
    refuse_adapter(decoder, &other, false, SATCHEL_INVALID_ARGUMENT, "qwen3");
    refuse_adapter(decoder, NULL, true, SATCHEL_DAMAGED, "blk.0.ffn_down.weight");
    sat_adapter *adapter = open_adapter(second, NULL);
    const sat_adapter *list[] = {adapter};
    const float one = 1;
    sat_sequence *sequence = open_sequence(decoder, 10, SAT_KV_F32);
    assert_int_equal(sat_sequence_adapt(sequence, list, &one, 1, NULL), SATCHEL_INVALID_ARGUMENT);
    sat_sequence_close(&sequence);
    sat_adapter_close(&adapter);
    sat_decoder_close(&second);
    /* A model's file is no adapter. */
    size_t size;
    uint8_t *bytes = tiny_decoder_bytes(NULL, &size);
    sat_mapping file = {.data = bytes, .size = size};
    assert_int_equal(sat_adapter_open(&adapter, decoder, &file, "tiny.gguf", NULL),
                     SATCHEL_UNSUPPORTED);
    free(bytes);
    sat_decoder_close(&decoder);
}

/* ------------------------------------------------------------------ wrong calls */

static void wrong_tokens_and_full_contexts_are_refused(void **state) {
    float logits[VOCABULARY];
    int32_t wrong[2] = {3, VOCABULARY};
    satchel_error error;
    sat_decoder *decoder = open_decoder(NULL);
    sat_sequence *sequence = open_sequence(decoder, 10, SAT_KV_F32);
    assert_int_equal(sat_sequence_feed(sequence, wrong, 2, 1, logits, NULL, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "50"));
    wrong[1] = -1;
    assert_int_equal(sat_sequence_feed(sequence, wrong, 2, 1, logits, NULL, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(sat_sequence_feed(sequence, tokens, 2, 3, logits, NULL, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(sat_sequence_feed(sequence, tokens, 11, 1, logits, NULL, &error),
                     SATCHEL_LIMIT);
    assert_int_equal(sat_sequence_length(sequence), 0);
    assert_int_equal(sat_sequence_feed(sequence, tokens, 10, 1, logits, NULL, &error), SATCHEL_OK);
    assert_int_equal(sat_sequence_feed(sequence, tokens, 1, 1, logits, NULL, &error),
                     SATCHEL_LIMIT);
    assert_int_equal(sat_sequence_feed(sequence, tokens, 0, 0, NULL, NULL, &error), SATCHEL_OK);
    assert_int_equal(sat_sequence_cut(sequence, 11, &error), SATCHEL_INVALID_ARGUMENT);
    sat_sequence_close(&sequence);
    sat_decoder_close(&decoder);
}

static void rooms_that_do_not_fit_are_refused(void **state) {
    tiny_decoder odd = {.head = 48};
    satchel_error error;
    sat_sequence *sequence;
    sat_decoder *decoder = open_decoder(&odd);
    assert_int_equal(sat_sequence_open(&sequence, decoder, 0, SAT_KV_F16, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(sat_sequence_open(&sequence, decoder, 301, SAT_KV_F16, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "300"));
    assert_int_equal(sat_sequence_open(&sequence, decoder, 100, 2, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(sat_sequence_open(&sequence, decoder, 100, SAT_KV_Q8_0, &error),
                     SATCHEL_UNSUPPORTED);
    assert_null(sequence);
    sat_decoder_close(&decoder);
}

static void the_need_is_known_and_kept_to(void **state) {
    test_allocator test = {0};
    satchel_allocator table = test_allocator_table(&test);
    satchel_context_options options = {
        .struct_size = sizeof options, .threads = 1, .memory_limit = 4 << 20};
    options.allocator = &table;
    satchel_context *normal = context;
    satchel_error error = {0};
    assert_int_equal(sat_context_open(&context, &options, NULL), SATCHEL_OK);
    tiny_decoder shape = {.context = 100000};
    sat_decoder *decoder = open_decoder(&shape);
    sat_sequence *sequence;
    uint64_t need = sat_sequence_need(decoder, 50000, SAT_KV_F16);
    assert_int_equal(sat_sequence_open(&sequence, decoder, 50000, SAT_KV_F16, &error),
                     SATCHEL_MEMORY_LIMIT);
    char number[32];
    snprintf(number, sizeof number, "%llu", (unsigned long long)need);
    if (!strstr(error.message, number))
        fail_msg("\"%s\" does not name %s", error.message, number);
    /* What is said is what is taken, but for the handle and the list of pages. */
    int64_t before = test.bytes;
    need = sat_sequence_need(decoder, 1000, SAT_KV_F16);
    sequence = open_sequence(decoder, 1000, SAT_KV_F16);
    int64_t taken = test.bytes - before;
    assert_true(taken >= (int64_t)need && taken < (int64_t)need + 8192);
    float *logits = logits_new();
    feed(sequence, 0, 200, 50, logits);
    free(logits);
    assert_int_equal(test.bytes - before, taken); /* feeding takes nothing */
    sat_sequence_close(&sequence);
    sat_decoder_close(&decoder);
    sat_context_release(context);
    context = normal;
    assert_allocator_clean(&test);
}

static void every_failed_allocation_is_an_error(void **state) {
    test_allocator test = {0};
    satchel_allocator table = test_allocator_table(&test);
    satchel_context_options options = {.struct_size = sizeof options, .threads = 1};
    options.allocator = &table;
    satchel_context *normal = context;
    assert_int_equal(sat_context_open(&context, &options, NULL), SATCHEL_OK);
    bool done = false;
    int64_t before = test.bytes;
    for (size_t k = 1; !done; k++) {
        sat_decoder *decoder = NULL;
        sat_sequence *sequence = NULL;
        sat_adapter *adapter = NULL;
        const float one = 1;
        size_t size;
        uint8_t *bytes = tiny_adapter_bytes(NULL, false, &size);
        sat_mapping file = {.data = bytes, .size = size};
        test.calls = 0;
        test.fail_at = k;
        satchel_status status = tiny_decoder_open(&decoder, context, NULL, NULL);
        if (!status)
            status = sat_sequence_open(&sequence, decoder, 100, SAT_KV_F16, NULL);
        if (!status)
            status = sat_adapter_open(&adapter, decoder, &file, "adapter.gguf", NULL);
        if (!status) {
            const sat_adapter *list[] = {adapter};
            status = sat_sequence_adapt(sequence, list, &one, 1, NULL);
        }
        if (!status)
            status = sat_sequence_feed(sequence, tokens, 20, 0, NULL, NULL, NULL);
        done = test.calls < k;
        assert_int_equal(status, done ? SATCHEL_OK : SATCHEL_OUT_OF_MEMORY);
        sat_sequence_close(&sequence);
        sat_adapter_close(&adapter);
        if (decoder)
            sat_decoder_close(&decoder);
        test.fail_at = 0;
        assert_int_equal(test.bytes, before);
        free(bytes);
    }
    sat_context_release(context);
    context = normal;
    assert_allocator_clean(&test);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_do_not_depend_on_the_split),
        cmocka_unit_test(logits_do_not_depend_on_threads),
        cmocka_unit_test(logits_are_the_same_at_every_level),
        cmocka_unit_test(what_was_cut_off_leaves_nothing),
        cmocka_unit_test(only_the_wanted_logits_are_written),
        cmocka_unit_test(a_window_hides_what_is_before_it),
        cmocka_unit_test(a_cancelled_feed_appends_nothing),
        cmocka_unit_test(a_cancel_from_another_thread_leaves_a_whole_sequence),
        cmocka_unit_test(warming_reports_and_stops),
        cmocka_unit_test(adapters_change_logits_and_can_be_left),
        cmocka_unit_test(adapters_of_other_models_are_refused),
        cmocka_unit_test(wrong_tokens_and_full_contexts_are_refused),
        cmocka_unit_test(rooms_that_do_not_fit_are_refused),
        cmocka_unit_test(the_need_is_known_and_kept_to),
        cmocka_unit_test(every_failed_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, open_all, close_context);
}
