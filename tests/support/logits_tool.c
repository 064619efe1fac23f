/*
 * Runs a decoder from a test program in another language: token ids in, logits out, in the
 * machine's byte order.
 *
 *   logits_tool logits MODEL [name=value ...]
 *       stdin: int32 ids. stdout: (count, vocabulary) float, of all tokens
 *   logits_tool greedy MODEL [tokens=64] [name=value ...]
 *       stdin: int32 ids. stdout: int32 ids that follow
 *   logits_tool speed MODEL [tokens=32] [name=value ...]
 *       stdin: int32 ids. stdout: "prefill N decode N", in tokens a second; and
 *       "prefill_cpu N decode_cpu N", in tokens a second of CPU time
 *   logits_tool info MODEL
 *
 *   threads=N cpu=NAME kv=f32|f16|q8_0 capacity=N
 *   split=N               tokens of one call; default: all
 *   adapter=FILE scale=X  a LoRA adapter
 */
#include <inttypes.h>
#include <time.h>

#include "generate/decoder.h"
#include "tests/support/tool.h"

const char tool_name[] = "logits_tool";

typedef struct program {
    int count;
    char **arguments;
    satchel_context *context;
    sat_decoder *decoder;
    sat_adapter *adapter;
    sat_sequence *sequence;
    sat_decoder_info info;
    int32_t *ids;
    size_t id_count;
} program;

static const char *option(const program *p, const char *name, const char *otherwise) {
    return tool_option(p->count, p->arguments, name, otherwise);
}

static long number(const program *p, const char *name, long otherwise) {
    const char *text = option(p, name, NULL);
    return text ? atol(text) : otherwise;
}

static void read_ids(program *p) {
    size_t size;
    p->ids = (int32_t *)(void *)tool_read(&size);
    p->id_count = size / sizeof *p->ids;
}

static void open_model(program *p) {
    satchel_error error;
    sat_gguf_set *files;
    tool_check(sat_gguf_set_open(&files, p->context, p->arguments[2], &error), &error);
    tool_check(sat_decoder_open(&p->decoder, p->context, files, p->arguments[2], &error), &error);
    sat_decoder_get_info(p->decoder, &p->info);
}

static void open_sequence(program *p, size_t room) {
    satchel_error error;
    const char *kv = option(p, "kv", "f32"), *adapter = option(p, "adapter", NULL);
    int32_t type = strcmp(kv, "f16") == 0    ? SAT_KV_F16
                   : strcmp(kv, "q8_0") == 0 ? SAT_KV_Q8_0
                                             : SAT_KV_F32;
    size_t capacity = (size_t)number(p, "capacity", (long)room);
    tool_check(sat_sequence_open(&p->sequence, p->decoder, capacity, type, &error), &error);
    if (adapter) {
        float scale = (float)atof(option(p, "scale", "1"));
        sat_mapping mapping;
        tool_check(sat_file_map(p->context, &mapping, adapter, &error), &error);
        tool_check(sat_adapter_open(&p->adapter, p->decoder, &mapping, adapter, &error), &error);
        sat_file_unmap(p->context, &mapping);
        const sat_adapter *list[] = {p->adapter};
        tool_check(sat_sequence_adapt(p->sequence, list, &scale, 1, &error), &error);
    }
}

/* Feeds all, in calls of `split`. logits: of all (count, vocabulary), or of the last. */
static void feed(program *p, const int32_t *ids, size_t count, bool all, float *logits) {
    satchel_error error;
    size_t split = (size_t)number(p, "split", 0), vocabulary = (size_t)p->info.vocabulary;
    if (split == 0)
        split = count;
    for (size_t at = 0, n; at < count; at += n) {
        n = count - at < split ? count - at : split;
        size_t wanted = all ? n : at + n == count;
        float *out = all ? logits + at * vocabulary : logits;
        tool_check(
            sat_sequence_feed(p->sequence, ids + at, n, wanted, wanted ? out : NULL, NULL, &error),
            &error);
    }
}

static void run_logits(program *p) {
    size_t floats = p->id_count * (size_t)p->info.vocabulary;
    float *logits = tool_need(malloc(floats * sizeof *logits));
    open_sequence(p, p->id_count);
    feed(p, p->ids, p->id_count, true, logits);
    fwrite(logits, sizeof *logits, floats, stdout);
    free(logits);
}

static int32_t best(const float *logits, int32_t count) {
    int32_t most = 0;
    for (int32_t i = 1; i < count; i++)
        if (logits[i] > logits[most])
            most = i;
    return most;
}

static void run_greedy(program *p) {
    long tokens = number(p, "tokens", 64);
    float *logits = tool_need(malloc((size_t)p->info.vocabulary * sizeof *logits));
    open_sequence(p, p->id_count + (size_t)tokens);
    feed(p, p->ids, p->id_count, false, logits);
    for (long i = 0; i < tokens; i++) {
        int32_t next = best(logits, p->info.vocabulary);
        fwrite(&next, sizeof next, 1, stdout);
        if (i + 1 < tokens)
            feed(p, &next, 1, false, logits);
    }
    free(logits);
}

typedef struct moment {
    double wall, cpu;
} moment;

static double seconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* CPU time of all threads too: on a busy machine the wall's says little. */
static moment look(void) {
    return (moment){seconds(CLOCK_MONOTONIC), seconds(CLOCK_PROCESS_CPUTIME_ID)};
}

static void run_speed(program *p) {
    long tokens = number(p, "tokens", 32);
    satchel_error error;
    float *logits = tool_need(malloc((size_t)p->info.vocabulary * sizeof *logits));
    open_sequence(p, p->id_count + (size_t)tokens);
    tool_check(sat_decoder_warm(p->decoder, NULL, NULL, NULL, &error), &error);
    feed(p, p->ids, 1, false, logits);
    tool_check(sat_sequence_cut(p->sequence, 0, &error), &error);
    moment start = look();
    feed(p, p->ids, p->id_count, false, logits);
    moment middle = look();
    for (long i = 0; i < tokens; i++) {
        int32_t next = best(logits, p->info.vocabulary);
        feed(p, &next, 1, false, logits);
    }
    moment end = look();
    printf("prefill %.2f decode %.2f\n", (double)p->id_count / (middle.wall - start.wall),
           (double)tokens / (end.wall - middle.wall));
    printf("prefill_cpu %.2f decode_cpu %.2f\n", (double)p->id_count / (middle.cpu - start.cpu),
           (double)tokens / (end.cpu - middle.cpu));
    free(logits);
}

static void run_info(const program *p) {
    const sat_decoder_info *info = &p->info;
    printf("architecture %s\nname %s\nvocabulary %d\ncontext_length %d\ndimension %d\nlayers %d\n"
           "parameters %" PRId64 "\nfile_bytes %" PRId64 "\nweight_bytes %" PRIu64
           "\nmemory_bytes %" PRIu64 "\nkv_bytes_a_token %" PRIu64 "\nfingerprint %s\n",
           info->architecture, info->name, (int)info->vocabulary, (int)info->context_length,
           (int)info->dimension, (int)info->layers, info->parameters, info->file_bytes,
           info->weight_bytes, info->memory_bytes, info->kv_bytes_a_token, info->fingerprint);
}

int main(int count, char **arguments) {
    static const struct {
        const char *name;
        void (*run)(program *p);
    } modes[] = {{"logits", run_logits}, {"greedy", run_greedy}, {"speed", run_speed}};
    program p = {.count = count, .arguments = arguments};
    satchel_error error;
    bool known = false;
    if (count < 3) {
        fprintf(stderr, "usage: logits_tool logits|greedy|speed|info MODEL [name=value ...]\n");
        return 2;
    }
    satchel_context_options options = {
        .struct_size = sizeof options,
        .threads = (int32_t)number(&p, "threads", 1),
        .cpu_level = sat_cpu_from_name(option(&p, "cpu", "")),
    };
    tool_check(sat_context_open(&p.context, &options, &error), &error);
    open_model(&p);
    if (strcmp(arguments[1], "info") == 0) {
        run_info(&p);
        known = true;
    } else {
        read_ids(&p);
    }
    for (size_t i = 0; i < SAT_COUNT(modes); i++) {
        if (strcmp(arguments[1], modes[i].name) == 0) {
            modes[i].run(&p);
            known = true;
        }
    }
    free(p.ids);
    sat_sequence_close(&p.sequence);
    sat_adapter_close(&p.adapter);
    sat_decoder_close(&p.decoder);
    sat_context_release(p.context);
    return known ? 0 : 2;
}
