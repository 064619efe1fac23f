/* The C side of the measurements of what a binding adds to C: see overhead.h. */
#include "bench/overhead.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

static int64_t read_clock(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int64_t overhead_processors(void) {
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

static overhead_time start(void) {
    overhead_time now = {.processors = overhead_processors()};
    now.clock = read_clock(CLOCK_MONOTONIC);
    return now;
}

static overhead_time since(overhead_time begin) {
    overhead_time taken = {.clock = read_clock(CLOCK_MONOTONIC) - begin.clock};
    taken.processors = overhead_processors() - begin.processors;
    return taken;
}

/* ------------------------------------------------------------------ searching */

/* The number of hits. */
static size_t search(satchel_store *store, const char *query) {
    satchel_results *results = NULL;
    satchel_search_options options;
    satchel_search_options_init(&options, sizeof options);
    size_t count = 0;
    if (satchel_search(&results, store, query, &options, NULL) == SATCHEL_OK)
        count = satchel_results_count(results);
    for (size_t i = 0; i < count; i++) {
        satchel_hit hit;
        satchel_range match;
        if (satchel_results_get(results, i, &hit, sizeof hit, NULL) != SATCHEL_OK)
            continue;
        for (size_t m = 0; m < hit.match_count; m++)
            satchel_results_get_match(results, i, m, &match, NULL);
    }
    satchel_results_close(&results);
    return count;
}

static struct {
    pthread_mutex_t lock;
    pthread_cond_t asked, answered;
    satchel_store *store;
    const char *query; /* NULL: nothing to do */
    size_t count;
    bool runs;
} other = {
    PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0, 0};

static void *serve(void *unused) {
    (void)unused;
    pthread_mutex_lock(&other.lock);
    for (;;) {
        while (!other.query)
            pthread_cond_wait(&other.asked, &other.lock);
        const char *query = other.query;
        pthread_mutex_unlock(&other.lock);
        size_t count = search(other.store, query);
        pthread_mutex_lock(&other.lock);
        other.count = count;
        other.query = NULL;
        pthread_cond_signal(&other.answered);
    }
    return NULL;
}

static size_t search_elsewhere(satchel_store *store, const char *query) {
    pthread_mutex_lock(&other.lock);
    pthread_t thread;
    if (!other.runs && pthread_create(&thread, NULL, serve, NULL)) {
        pthread_mutex_unlock(&other.lock);
        return 0;
    }
    other.runs = true;
    other.store = store;
    other.query = query;
    pthread_cond_signal(&other.asked);
    while (other.query)
        pthread_cond_wait(&other.answered, &other.lock);
    size_t count = other.count;
    pthread_mutex_unlock(&other.lock);
    return count;
}

int32_t overhead_search(satchel_store *store, const char *query, int32_t elsewhere,
                        overhead_time *taken) {
    overhead_time begin = start();
    size_t count = elsewhere ? search_elsewhere(store, query) : search(store, query);
    *taken = since(begin);
    return (int32_t)count;
}

/* ------------------------------------------------------------------ streaming */

static satchel_status begin(void *user, const satchel_generator_request *request, void **run) {
    (void)user;
    int32_t *left = malloc(sizeof *left);
    if (!left)
        return SATCHEL_OUT_OF_MEMORY;
    *left = request->max_tokens;
    *run = left;
    return SATCHEL_OK;
}

static satchel_status next(void *user, void *run, const char **text, size_t *length) {
    (void)user;
    int32_t *left = run;
    *text = "word ";
    *length = (*left)-- > 0 ? 5 : 0;
    return SATCHEL_OK;
}

static void end(void *user, void *run) {
    (void)user;
    free(run);
}

satchel_model *overhead_generator(satchel_context *context) {
    const satchel_generator table = {.struct_size = sizeof table,
                                     .id = "word",
                                     .context_tokens = 1 << 20,
                                     .begin = begin,
                                     .next = next,
                                     .end = end};
    satchel_model *model = NULL;
    satchel_model_from_generator(&model, context, &table, NULL);
    return model;
}

int32_t overhead_stream(satchel_model *model, int32_t most, overhead_time *taken) {
    static const char messages[] = "[{\"role\":\"user\",\"content\":\"Speak.\"}]";
    overhead_time begin = start();
    satchel_generate_options generate;
    satchel_generate_options_init(&generate, sizeof generate);
    generate.max_tokens = most;
    satchel_chat_options options;
    satchel_chat_options_init(&options, sizeof options);
    options.generate = &generate;
    satchel_stream *stream = NULL;
    satchel_event event = {0};
    int32_t tokens = 0;
    if (satchel_chat(&stream, model, messages, sizeof messages - 1, &options, NULL) == SATCHEL_OK)
        while (satchel_stream_next(stream, &event, sizeof event, NULL) == SATCHEL_OK &&
               event.kind != SATCHEL_EVENT_DONE)
            tokens += event.token != NULL;
    satchel_stream_close(&stream);
    *taken = since(begin);
    return tokens;
}
