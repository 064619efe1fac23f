/*
 * The Satchel side of bench/generate.py: feeds a decoder tokens when told to. A process of its own,
 * so that its threads' CPU time can be told from the peer's.
 *
 *   generate_bench THREADS MODEL CAPACITY [LEVEL]
 *
 * After loading it prints one line: the CPU level, and the bytes of weights read for one token. Then
 * for each line on stdin
 *   prefill COUNT           tokens 0 to COUNT - 1 at once, logits of the last
 *   decode CONTEXT COUNT    COUNT tokens behind CONTEXT others one at a time, logits of each
 * it prints the seconds and the seconds of CPU time of all threads. Token i is 3 + 7919·i mod 50,000,
 * so that the peer is fed the same.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "generate/decoder.h"

typedef struct bench {
    satchel_context *context;
    sat_decoder *decoder;
    sat_sequence *sequence;
    int32_t *tokens;
    float *logits;
} bench;

typedef struct moment {
    double wall, cpu;
} moment;

static void check(satchel_status status, const satchel_error *error) {
    if (status) {
        fprintf(stderr, "generate_bench: %s\n", error->message);
        exit(1);
    }
}

static double seconds(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static moment now(void) {
    return (moment){seconds(CLOCK_MONOTONIC), seconds(CLOCK_PROCESS_CPUTIME_ID)};
}

static void report(moment start) {
    moment end = now();
    printf("%.6f %.6f\n", end.wall - start.wall, end.cpu - start.cpu);
    fflush(stdout);
}

static void cut(bench *b, size_t length) {
    satchel_error error;
    check(sat_sequence_cut(b->sequence, length, &error), &error);
}

/* Tokens [from, to), logits of the last one if wanted. */
static void feed(bench *b, size_t from, size_t to, bool wanted) {
    satchel_error error;
    check(sat_sequence_feed(b->sequence, b->tokens + from, to - from, wanted,
                            wanted ? b->logits : NULL, NULL, &error),
          &error);
}

static void prefill(bench *b, size_t count) {
    cut(b, 0);
    moment start = now();
    feed(b, 0, count, true);
    report(start);
}

static void decode(bench *b, size_t length, size_t count) {
    size_t held = sat_sequence_length(b->sequence);
    if (held < length)
        feed(b, held, length, false);
    else
        cut(b, length);
    moment start = now();
    for (size_t i = length; i < length + count; i++)
        feed(b, i, i + 1, true);
    report(start);
}

static void open_all(bench *b, char **arguments, size_t capacity, const char *level) {
    satchel_error error;
    sat_gguf_set *files;
    sat_decoder_info info;
    satchel_context_options options = {.struct_size = sizeof options,
                                       .threads = atoi(arguments[1]),
                                       .cpu_level = sat_cpu_from_name(level)};
    check(sat_context_open(&b->context, &options, &error), &error);
    check(sat_gguf_set_open(&files, b->context, arguments[2], &error), &error);
    check(sat_decoder_open(&b->decoder, b->context, files, arguments[2], &error), &error);
    check(sat_decoder_warm(b->decoder, NULL, NULL, NULL, &error), &error);
    check(sat_sequence_open(&b->sequence, b->decoder, capacity, SAT_KV_F16, &error), &error);
    sat_decoder_get_info(b->decoder, &info);
    b->tokens = calloc(capacity, sizeof *b->tokens);
    b->logits = calloc((size_t)info.vocabulary, sizeof *b->logits);
    if (!b->tokens || !b->logits) {
        fprintf(stderr, "generate_bench: out of memory\n");
        exit(1);
    }
    for (size_t i = 0; i < capacity; i++)
        b->tokens[i] = (int32_t)(3 + 7919 * i % 50000);
    printf("%s %" PRIu64 "\n", sat_cpu_name(b->context->cpu_level), info.weight_bytes);
    fflush(stdout);
}

int main(int count, char **arguments) {
    bench b = {0};
    char mode[16];
    size_t capacity = count > 3 ? (size_t)atol(arguments[3]) : 0, length, tokens;
    if (count < 4 || count > 5 || capacity == 0) {
        fprintf(stderr, "usage: generate_bench THREADS MODEL CAPACITY [LEVEL]\n");
        return 2;
    }
    open_all(&b, arguments, capacity, count == 5 ? arguments[4] : "");
    while (scanf("%15s %zu", mode, &tokens) == 2) {
        if (mode[0] == 'p')
            prefill(&b, tokens);
        else if (scanf("%zu", &length) == 1)
            decode(&b, tokens, length);
    }
    free(b.tokens);
    free(b.logits);
    sat_sequence_close(&b.sequence);
    sat_decoder_close(&b.decoder);
    sat_context_release(b.context);
    return 0;
}
