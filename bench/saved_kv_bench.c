/*
 * One launch of an application that answers a question over a context: how long until the logits
 * of the first token of the answer are there, from the start of main.
 *
 *   saved_kv_bench MODEL FOLDER|- THREADS CONTEXT QUESTION f16|q8_0|f32 [save]
 *
 * FOLDER: the cache_dir; -: none. With "save" the context's keys and values are saved at the end.
 * Prints: tokens loaded, ms until the model is open, ms of loading, ms of computing, ms of all, a
 * hash of the logits, ms of saving, tokens saved.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/random.h"
#include "generate/prefix.h"

static double now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void check(satchel_status status, const satchel_error *error) {
    if (status) {
        fprintf(stderr, "saved_kv_bench: %s\n", error->message);
        exit(1);
    }
}

static void *need(void *block) {
    if (!block)
        exit(1);
    return block;
}

int main(int count, char **arguments) {
    double start = now_ms();
    if (count < 7) {
        fprintf(stderr, "usage: saved_kv_bench MODEL FOLDER|- THREADS CONTEXT QUESTION TYPE\n");
        return 2;
    }
    satchel_error error;
    satchel_context *context;
    const char *folder = strcmp(arguments[2], "-") == 0 ? NULL : arguments[2];
    satchel_context_options options = {.struct_size = sizeof options,
                                       .threads = atoi(arguments[3]),
                                       .cache_dir = folder,
                                       .cache_free_floor = 1};
    size_t before = (size_t)atol(arguments[4]), all = before + (size_t)atol(arguments[5]);
    const char *type = arguments[6];
    int32_t kv = strcmp(type, "f32") == 0    ? SAT_KV_F32
                 : strcmp(type, "q8_0") == 0 ? SAT_KV_Q8_0
                                             : SAT_KV_F16;
    check(sat_context_open(&context, &options, &error), &error);
    sat_gguf_set *files;
    sat_decoder *decoder;
    sat_sequence *sequence;
    sat_prefix *prefix;
    check(sat_gguf_set_open(&files, context, arguments[1], &error), &error);
    check(sat_decoder_open(&decoder, context, files, arguments[1], &error), &error);
    check(sat_sequence_open(&sequence, decoder, all + 64, kv, &error), &error);
    check(sat_prefix_open(&prefix, decoder, &error), &error);
    double opened = now_ms();

    sat_decoder_info info;
    sat_decoder_get_info(decoder, &info);
    int32_t *tokens = need(calloc(all, sizeof *tokens));
    float *logits = need(calloc((size_t)info.vocabulary, sizeof *logits));
    sat_random random;
    sat_random_seed(&random, 1);
    for (size_t i = 0; i < all; i++)
        tokens[i] = (int32_t)(sat_random_next(&random) % (uint64_t)info.vocabulary);

    size_t loaded = sat_prefix_load(prefix, sequence, tokens, all - 1, NULL);
    double loading = now_ms();
    check(sat_sequence_feed(sequence, tokens + loaded, all - loaded, 1, logits, NULL, &error),
          &error);
    double computed = now_ms();
    size_t saved = 0;
    if (count > 7 && strcmp(arguments[7], "save") == 0)
        saved = sat_prefix_save(prefix, sequence, tokens, before, NULL);
    printf("%zu %.2f %.2f %.2f %.2f %016llx %.2f %zu\n", loaded, opened - start, loading - opened,
           computed - loading, computed - start,
           (unsigned long long)sat_hash64(logits, (size_t)info.vocabulary * sizeof *logits, 0),
           now_ms() - computed, saved);
    sat_sequence_close(&sequence);
    sat_prefix_close(&prefix);
    sat_decoder_close(&decoder);
    sat_context_release(context);
    free(tokens);
    free(logits);
    return 0;
}
