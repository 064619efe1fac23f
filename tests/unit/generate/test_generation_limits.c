/* Runs that are cancelled, that run out of memory, and on a small stack: an error, nothing lost,
 * nothing leaked. */
#include "tests/unit/base/failing.h"
#include "tests/unit/base/small_stack.h"
#include "tests/unit/generate/generator_unit.h"

#include <pthread.h>

#include "tests/support/tiny_model.h"

/* ------------------------------------------------------------------ cancelling */

static satchel_status next(sat_stream *stream, satchel_event *event) {
    *event = (satchel_event){0};
    return stream->next(stream, event, &error);
}

static void a_fired_handle_ends_the_run_where_it_stands(void **state) {
    sat_generator *generator = open_generator(NULL, NULL);
    satchel_generate_options plain = {.struct_size = sizeof plain, .max_tokens = 20};
    answer wanted, got;
    run(generator, LONG_PROMPT, &plain, &wanted);
    /* Before anything, before the prompt, between tokens. */
    for (int calls = 0; calls < 8; calls++) {
        satchel_cancel *cancel = cancel_new();
        satchel_generate_options options = plain;
        sat_tokens prompt = tokens_of(generator, LONG_PROMPT);
        sat_stream *stream;
        satchel_event event;
        options.cancel = cancel;
        assert_int_equal(sat_generator_run(&stream, generator, &prompt, &options, &error), 0);
        for (int i = 0; i < calls; i++)
            assert_int_equal(next(stream, &event), SATCHEL_OK);
        cancel->fired = 1;
        satchel_status status = next(stream, &event);
        if (calls == 0) { /* that call only says where the run begins */
            assert_int_equal(status, SATCHEL_OK);
            status = next(stream, &event);
        }
        assert_int_equal(status, SATCHEL_CANCELLED);
        sat_cancel_release(cancel); /* the run holds its own reference */
        stream->close(stream);
        run(generator, LONG_PROMPT, &plain, &got);
        assert_string_equal(got.text, wanted.text);
        assert_true(got.done.cached_tokens > 0);
    }
    sat_generator_close(&generator);
}

static void *fire(void *user) {
    satchel_cancel *cancel = user;
    cancel->fired = 1;
    return NULL;
}

/* Whatever the moment: what is kept is a whole beginning, and serves the next run. */
static void a_cancel_from_another_thread_leaves_what_is_kept_whole(void **state) {
    tiny_generator shape = {.kind = TINY_BPE, .decoder = {.layers = 10, .ffn = 512}};
    sat_generator *generator = open_generator(&shape, NULL);
    satchel_generate_options plain = {.struct_size = sizeof plain, .max_tokens = 8};
    answer wanted, got;
    run(generator, LONG_PROMPT, &plain, &wanted);
    for (int round = 0; round < 6; round++) {
        satchel_cancel *cancel = cancel_new();
        satchel_generate_options options = plain;
        pthread_t thread;
        options.cancel = cancel;
        run(generator, "world", &plain, &got); /* another beginning */
        sat_tokens prompt = tokens_of(generator, LONG_PROMPT);
        sat_stream *stream;
        assert_int_equal(sat_generator_run(&stream, generator, &prompt, &options, &error), 0);
        assert_int_equal(pthread_create(&thread, NULL, fire, cancel), 0);
        pull(stream, &got);
        pthread_join(thread, NULL);
        assert_true(got.status == SATCHEL_OK || got.status == SATCHEL_CANCELLED);
        sat_cancel_release(cancel);
        run(generator, LONG_PROMPT, &plain, &got);
        assert_string_equal(got.text, wanted.text);
    }
    sat_generator_close(&generator);
}

static void a_run_closed_in_the_middle_gives_its_sequence_back(void **state) {
    sat_generator *generator = open_generator(NULL, NULL);
    satchel_generate_options options = {.struct_size = sizeof options, .max_tokens = 20};
    answer wanted, got;
    run(generator, LONG_PROMPT, &options, &wanted);
    uint64_t before = context->memory.now;
    for (int calls = 0; calls < 6; calls++) {
        sat_tokens prompt = tokens_of(generator, LONG_PROMPT);
        sat_stream *stream;
        satchel_event event;
        assert_int_equal(sat_generator_run(&stream, generator, &prompt, &options, &error), 0);
        for (int i = 0; i < calls; i++)
            assert_int_equal(next(stream, &event), SATCHEL_OK);
        stream->close(stream);
        assert_int_equal(context->memory.now, before);
        run(generator, LONG_PROMPT, &options, &got);
        assert_string_equal(got.text, wanted.text);
    }
    sat_generator_close(&generator);
}

/* ------------------------------------------------------------------ memory */

static const char *const stops[] = {"never"};
static const char messages[] = "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":"
                               "\"hello\",\"apart\":true}]}]";

/* All that a generator does, once. */
static satchel_status use_all(failing *f, void *user) {
    const gguf_bytes *tiny = user;
    satchel_generate_options options = {.struct_size = sizeof options,
                                        .max_tokens = 30,
                                        .schema = "{\"type\":\"boolean\"}",
                                        .stop = stops,
                                        .stop_count = 1};
    satchel_perplexity perplexity;
    float logits[2 * TINY_GENERATOR_VOCABULARY];
    int32_t two[] = {1, 20};
    sat_mapping mapping;
    sat_gguf_set *files;
    sat_generator *generator = NULL;
    sat_tokens prompt = {0};
    sat_stream *stream = NULL;
    failing_begin(f);
    memset(&error, 0, sizeof error);
    if (!tiny_mapping(&mapping, f->context, tiny->data, tiny->size))
        return SATCHEL_OUT_OF_MEMORY;
    satchel_status status =
        sat_gguf_set_open_mapped(&files, f->context, &mapping, 1, "tiny.gguf", &error);
    if (!status)
        status = sat_generator_open(&generator, f->context, files, "tiny.gguf", NULL, &error);
    if (status)
        return status;
    status =
        sat_generator_chat_prompt(generator, NULL, messages, strlen(messages), &prompt, &error);
    if (!status)
        status = sat_generator_run(&stream, generator, &prompt, &options, &error);
    sat_tokens_free(&prompt);
    for (satchel_event event = {0}; !status && event.kind != SATCHEL_EVENT_DONE;)
        status = next(stream, &event);
    if (stream)
        stream->close(stream);
    if (!status)
        status = sat_generator_logits(generator, two, 2, logits, NULL, &error);
    if (!status)
        status =
            sat_generator_perplexity(generator, "hello", 5, NULL, NULL, NULL, &perplexity, &error);
    sat_generator_close(&generator);
    return status;
}

/* A template that cannot be tried is taken as it is. */
static void each_allocation_may_fail(void **state) {
    gguf_bytes tiny;
    tiny.data = tiny_generator_bytes(NULL, &tiny.size);
    assert_true(fail_allocations(true, use_all, &tiny) > 60);
    free(tiny.data);
}

/* ------------------------------------------------------------------ stack */

static void *use_it(void *user) {
    sat_generator *generator = user;
    satchel_generate_options options = {
        .struct_size = sizeof options, .max_tokens = 20, .schema = "{}", .temperature = 2};
    sat_tokens prompt = {0};
    satchel_event event;
    satchel_error failed = {0};
    sat_stream *stream;
    satchel_status status =
        sat_generator_chat_prompt(generator, NULL, messages, strlen(messages), &prompt, &failed);
    if (!status)
        status = sat_generator_run(&stream, generator, &prompt, &options, &failed);
    if (status)
        return generator;
    do {
        event = (satchel_event){0};
        status = stream->next(stream, &event, &failed);
    } while (!status && event.kind != SATCHEL_EVENT_DONE);
    stream->close(stream);
    return status ? generator : NULL;
}

static void half_a_mebibyte_of_stack_is_enough(void **state) {
    sat_generator *generator = open_generator(NULL, NULL);
    assert_null(on_a_small_stack(use_it, generator));
    sat_generator_close(&generator);
}

/* Many threads, one generator. */
static void threads_write_side_by_side(void **state) {
    sat_generator *generator = open_generator(NULL, NULL);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_it, generator), 0);
    for (int i = 0; i < 4; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    sat_generator_close(&generator);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fired_handle_ends_the_run_where_it_stands),
        cmocka_unit_test(a_cancel_from_another_thread_leaves_what_is_kept_whole),
        cmocka_unit_test(a_run_closed_in_the_middle_gives_its_sequence_back),
        cmocka_unit_test(each_allocation_may_fail),
        cmocka_unit_test(half_a_mebibyte_of_stack_is_enough),
        cmocka_unit_test(threads_write_side_by_side),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
