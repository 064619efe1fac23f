/*
 * Runs an encoder from a test program in another language: reads texts on stdin, writes what comes
 * out on stdout, in the machine's byte order.
 *
 *   embed_tool embed  MODEL [role=query|document] [threads=N] [cpu=NAME] [pooling=N] [max_tokens=N]
 *                    [dimension=N]
 *       texts: each uint32 length, bytes.          out: (texts, dimension) float
 *   embed_tool tokens MODEL
 *       texts as above.                            out: per text uint32 count, int32 ids
 *   embed_tool coverage MODEL
 *       texts as above.                            out: per text float
 *   embed_tool info MODEL
 *       out: "key value" lines
 */
#include <inttypes.h>

#include "generate/generate.h"
#include "tests/support/tool.h"

const char tool_name[] = "embed_tool";

typedef struct input {
    char *data;
    satchel_text *texts;
    size_t count;
} input;

static input read_input(void) {
    size_t size;
    const char *text;
    uint32_t length;
    input in = {.data = tool_read(&size)};
    in.texts = tool_need(malloc((size / 4 + 1) * sizeof *in.texts));
    for (size_t at = 0; tool_next_block(in.data, size, &at, &text, &length);)
        in.texts[in.count++] = (satchel_text){text, length};
    return in;
}

static void embed(sat_encoder *encoder, const char *role) {
    satchel_error error;
    satchel_model_info info;
    input in = read_input();
    sat_encoder_info(encoder, &info);
    size_t columns = (size_t)info.dimension;
    float *out = tool_need(malloc((in.count * columns + 1) * sizeof *out));
    int32_t which = strcmp(role, "query") == 0 ? SATCHEL_ROLE_QUERY : SATCHEL_ROLE_DOCUMENT;
    tool_check(sat_encoder_embed(encoder, which, in.texts, in.count, out, NULL, &error), &error);
    fwrite(out, sizeof *out, in.count * columns, stdout);
    free(out);
    free(in.texts);
    free(in.data);
}

static void tokens(const sat_encoder *encoder) {
    satchel_error error;
    input in = read_input();
    for (size_t i = 0; i < in.count; i++) {
        size_t count;
        tool_check(sat_encoder_tokenize(encoder, in.texts[i].data, in.texts[i].length, NULL, 0,
                                        &count, &error),
                   &error);
        int32_t *ids = tool_need(malloc(count * sizeof *ids));
        uint32_t head = (uint32_t)count;
        tool_check(sat_encoder_tokenize(encoder, in.texts[i].data, in.texts[i].length, ids, count,
                                        &count, &error),
                   &error);
        fwrite(&head, sizeof head, 1, stdout);
        fwrite(ids, sizeof *ids, count, stdout);
        free(ids);
    }
    free(in.texts);
    free(in.data);
}

static void coverage(const sat_encoder *encoder) {
    satchel_error error;
    input in = read_input();
    for (size_t i = 0; i < in.count; i++) {
        float share;
        tool_check(
            sat_encoder_coverage(encoder, in.texts[i].data, in.texts[i].length, &share, &error),
            &error);
        fwrite(&share, sizeof share, 1, stdout);
    }
    free(in.texts);
    free(in.data);
}

static void print_info(const sat_encoder *encoder) {
    satchel_model_info info;
    sat_encoder_info(encoder, &info);
    printf("name %s\nfingerprint %s\nweight_type %s\ndimension %d\nmax_tokens %d\n"
           "vocabulary_size %" PRId64 "\nparameter_count %" PRId64 "\n",
           info.name, info.fingerprint, info.weight_type, (int)info.dimension, (int)info.max_tokens,
           info.vocabulary_size, info.parameter_count);
}

int main(int count, char **arguments) {
    if (count < 3) {
        fprintf(stderr, "usage: embed_tool embed|tokens|coverage|info MODEL [name=value ...]\n");
        return 2;
    }
    satchel_error error;
    satchel_context *context;
    sat_mapping mapping;
    sat_encoder *encoder;
    satchel_context_options options = {
        .struct_size = sizeof options,
        .threads = atoi(tool_option(count, arguments, "threads", "2")),
        .cpu_level = sat_cpu_from_name(tool_option(count, arguments, "cpu", "")),
    };
    sat_encoder_options model = {
        .pooling = atoi(tool_option(count, arguments, "pooling", "0")),
        .max_tokens = atoi(tool_option(count, arguments, "max_tokens", "0")),
        .dimension = atoi(tool_option(count, arguments, "dimension", "0")),
    };
    tool_check(sat_context_open(&context, &options, &error), &error);
    tool_check(sat_file_map(context, &mapping, arguments[2], &error), &error);
    tool_check(sat_encoder_open(&encoder, context, &mapping, arguments[2], &model, &error), &error);
    if (strcmp(arguments[1], "embed") == 0) {
        embed(encoder, tool_option(count, arguments, "role", "document"));
    } else if (strcmp(arguments[1], "tokens") == 0) {
        tokens(encoder);
    } else if (strcmp(arguments[1], "coverage") == 0) {
        coverage(encoder);
    } else {
        print_info(encoder);
    }
    sat_encoder_close(&encoder);
    sat_context_release(context);
    return 0;
}
