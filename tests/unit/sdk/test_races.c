/* A thousand times each, with another thread in the way: streams cancelled while they are pulled, left in the
 * middle, and pulled while the model they came from is closed. Nothing may be left behind. Run under the
 * address and thread sanitizers too. */
#include <pthread.h>
#include <sched.h>

#include "tests/unit/sdk/support.h"

/* SLACK: bytes. Half the rounds leaking anything would be more. */
enum { TIMES = 1000, SLACK = 4096 };

/* What the other thread does after a while, which differs from round to round. */
typedef struct other {
    int wait; /* turns given away first */
    satchel_cancel *cancel;
    satchel_model *close;
} other;

static void *interfere(void *argument) {
    other *o = argument;
    for (int i = 0; i < o->wait; i++)
        sched_yield();
    satchel_cancel_fire(o->cancel);
    satchel_model_close(&o->close);
    return NULL;
}

static uint64_t memory_of(const test_bed *bed) {
    uint64_t now;
    satchel_context_memory(bed->context, &now, NULL);
    return now;
}

/* Pulls `most` events, or to the end if negative. */
static satchel_status pull(satchel_stream *stream, int most, satchel_error *error) {
    satchel_event event;
    for (int i = 0; i != most; i++) {
        satchel_status status = satchel_stream_next(stream, &event, sizeof event, error);
        if (status || event.kind == SATCHEL_EVENT_DONE)
            return status;
    }
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ a generator without an end */

typedef struct endless {
    _Atomic int begun, ended, destroyed;
    int pieces; /* said before the end; negative: no end */
} endless;

static satchel_status endless_begin(void *user, const satchel_generator_request *request,
                                    void **run) {
    endless *e = user;
    assert_non_null(request->messages);
    e->begun++;
    int *left = malloc(sizeof *left);
    assert_non_null(left);
    *left = e->pieces;
    *run = left;
    return SATCHEL_OK;
}

static satchel_status endless_next(void *user, void *run, const char **text, size_t *length) {
    (void)user;
    int *left = run;
    *text = "word ";
    *length = *left == 0 ? 0 : 5;
    *left -= *left > 0;
    return SATCHEL_OK;
}

static void endless_end(void *user, void *run) {
    endless *e = user;
    e->ended++;
    free(run);
}

static void endless_destroy(void *user) {
    ((endless *)user)->destroyed++;
}

static satchel_model *model_of(const test_bed *bed, endless *e) {
    const satchel_generator table = {.struct_size = sizeof table,
                                     .user = e,
                                     .id = "test: endless",
                                     .context_tokens = 1 << 20,
                                     .begin = endless_begin,
                                     .next = endless_next,
                                     .end = endless_end,
                                     .destroy = endless_destroy};
    satchel_error error;
    satchel_model *model = NULL;
    test_fine(satchel_model_from_generator(&model, bed->context, &table, &error), &error);
    return model;
}

/* ------------------------------------------------------------------ tests */

/* A stream of `model`, or a question to the store that it answers, cancelled by another thread. */
static void cancelled_once(const test_bed *bed, satchel_model *model, bool ends, int round) {
    satchel_error error;
    satchel_stream *stream = NULL;
    other o = {.wait = round % 50};
    test_fine(satchel_cancel_open(&o.cancel, bed->context, &error), &error);
    satchel_generate_options generate;
    satchel_generate_options_init(&generate, sizeof generate);
    generate.max_tokens = -1;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, interfere, &o), 0);
    satchel_status status;
    if (round % 4 == 2) {
        satchel_ask_options options;
        satchel_ask_options_init(&options, sizeof options);
        options.generator = model;
        options.refusal_threshold = -1;
        options.generate = &generate;
        options.cancel = o.cancel;
        status = satchel_ask(&stream, bed->store, "When does the lease end?", &options, &error);
    } else {
        generate.cancel = o.cancel;
        status = satchel_generate(&stream, model, "hello", 5, &generate, &error);
    }
    if (status == SATCHEL_OK)
        status = pull(stream, -1, &error);
    if (status != SATCHEL_CANCELLED && !(ends && status == SATCHEL_OK))
        fail_msg("round %d: %s", round, satchel_status_name(status));
    satchel_stream_close(&stream);
    pthread_join(thread, NULL);
    satchel_cancel_close(&o.cancel);
}

/* What is held after a run that is the same each time: a model keeps what its last one read. */
static uint64_t memory_after_a_run(const test_bed *bed, satchel_model *file) {
    satchel_error error;
    satchel_stream *stream = NULL;
    satchel_generate_options options;
    satchel_generate_options_init(&options, sizeof options);
    options.max_tokens = 1;
    test_fine(satchel_generate(&stream, file, "hello", 5, &options, &error), &error);
    test_fine(pull(stream, -1, &error), &error);
    satchel_stream_close(&stream);
    return memory_of(bed);
}

static void cancelled_streams(void **state) {
    test_bed *bed = *state;
    test_add(bed, "lease", "The lease ends in March. The rent is due on Monday.");
    endless e = {.pieces = -1};
    satchel_model *model = model_of(bed, &e), *file = NULL;
    const char *path = getenv("SATCHEL_TEST_GENERATOR");
    satchel_error error;
    assert_non_null(path);
    test_fine(satchel_model_open(&file, bed->context, path, NULL, &error), &error);
    uint64_t before = 0;
    for (int round = 0; round < TIMES; round++) {
        bool ends = round % 2; /* at the end of its context */
        cancelled_once(bed, ends ? file : model, ends, round);
        if (round == TIMES / 2) /* pools and caches are filled */
            before = memory_after_a_run(bed, file);
    }
    assert_in_range(memory_after_a_run(bed, file), 0, before + SLACK);
    assert_int_equal(e.begun, e.ended);
    satchel_model_close(&file);
    satchel_model_close(&model);
    assert_int_equal(e.destroyed, 1);
}

static void left_streams(void **state) {
    test_bed *bed = *state;
    test_add(bed, "lease", "The lease ends in March. The rent is due on Monday.");
    endless e = {.pieces = -1};
    satchel_model *model = model_of(bed, &e);
    satchel_error error;
    uint64_t before = 0;
    for (int round = 0; round < TIMES; round++) {
        satchel_stream *stream = NULL;
        satchel_ask_options options;
        satchel_ask_options_init(&options, sizeof options);
        options.generator = round % 3 ? model : NULL;
        options.refusal_threshold = -1;
        test_fine(satchel_ask(&stream, bed->store, "When does the lease end?", &options, &error),
                  &error);
        test_fine(pull(stream, round % 9, &error), &error);
        satchel_stream_close(&stream);
        assert_null(stream);
        if (round == 17)
            before = memory_of(bed);
    }
    assert_in_range(memory_of(bed), 0, before + SLACK);
    assert_int_equal(e.begun, e.ended);
    satchel_model_close(&model);
    assert_int_equal(e.destroyed, 1);
}

/* A stream keeps what it needs: the model's own handle may go at any time. */
static void models_closed_while_a_stream_is_pulled(void **state) {
    test_bed *bed = *state;
    satchel_error error;
    uint64_t before = memory_of(bed);
    for (int round = 0; round < TIMES; round++) {
        endless e = {.pieces = 20};
        other o = {.wait = round % 50, .close = model_of(bed, &e)};
        satchel_stream *stream = NULL;
        test_fine(satchel_generate(&stream, o.close, "hello", 5, NULL, &error), &error);
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, interfere, &o), 0);
        test_fine(pull(stream, -1, &error), &error);
        satchel_stream_close(&stream);
        pthread_join(thread, NULL);
        assert_int_equal(e.begun, e.ended);
        assert_int_equal(e.destroyed, 1);
    }
    assert_in_range(memory_of(bed), 0, before + SLACK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_MODEL(cancelled_streams),
        WITH_MODEL(left_streams),
        WITH_MODEL(models_closed_while_a_stream_is_pulled),
    };
    return cmocka_run_group_tests_name("races", tests, NULL, NULL);
}
