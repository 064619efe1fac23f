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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "generate/generate.h"

typedef struct input {
    char *data;
    satchel_text *texts;
    size_t count;
} input;

static void fail(const satchel_error *error) {
    fprintf(stderr, "embed_tool: %s\n", error->message);
    exit(1);
}

static void *need(void *block) {
    if (!block) {
        fprintf(stderr, "embed_tool: out of memory\n");
        exit(1);
    }
    return block;
}

static input read_input(void) {
    input in = {NULL, NULL, 0};
    size_t size = 0, capacity = 0, got;
    do {
        if (size == capacity) {
            capacity = capacity ? capacity * 2 : 65536;
            in.data = need(realloc(in.data, capacity));
        }
        got = fread(in.data + size, 1, capacity - size, stdin);
        size += got;
    } while (got > 0);
    in.texts = need(malloc((size / 4 + 1) * sizeof *in.texts));
    for (size_t at = 0; at < size;) {
        uint32_t length;
        if (size - at < 4) {
            break;
        }
        memcpy(&length, in.data + at, 4);
        at += 4;
        if (length > size - at) {
            fprintf(stderr, "embed_tool: the input is cut short\n");
            exit(1);
        }
        in.texts[in.count++] = (satchel_text){in.data + at, length};
        at += length;
    }
    return in;
}

static const char *option(int count, char **arguments, const char *name, const char *otherwise) {
    size_t length = strlen(name);
    for (int i = 3; i < count; i++) {
        if (strncmp(arguments[i], name, length) == 0 && arguments[i][length] == '=') {
            return arguments[i] + length + 1;
        }
    }
    return otherwise;
}

static void embed(sat_encoder *encoder, const char *role) {
    satchel_error error;
    satchel_model_info info;
    input in = read_input();
    sat_encoder_info(encoder, &info);
    size_t columns = (size_t)info.dimension;
    float *out = need(malloc((in.count * columns + 1) * sizeof *out));
    int32_t which = strcmp(role, "query") == 0 ? SATCHEL_ROLE_QUERY : SATCHEL_ROLE_DOCUMENT;
    if (sat_encoder_embed(encoder, which, in.texts, in.count, out, NULL, &error)) {
        fail(&error);
    }
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
        if (sat_encoder_tokenize(encoder, in.texts[i].data, in.texts[i].length, NULL, 0, &count,
                                 &error)) {
            fail(&error);
        }
        int32_t *ids = need(malloc(count * sizeof *ids));
        uint32_t head = (uint32_t)count;
        if (sat_encoder_tokenize(encoder, in.texts[i].data, in.texts[i].length, ids, count, &count,
                                 &error)) {
            fail(&error);
        }
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
        if (sat_encoder_coverage(encoder, in.texts[i].data, in.texts[i].length, &share, &error)) {
            fail(&error);
        }
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
        .threads = atoi(option(count, arguments, "threads", "2")),
        .cpu_level = sat_cpu_from_name(option(count, arguments, "cpu", "")),
    };
    sat_encoder_options model = {
        .pooling = atoi(option(count, arguments, "pooling", "0")),
        .max_tokens = atoi(option(count, arguments, "max_tokens", "0")),
        .dimension = atoi(option(count, arguments, "dimension", "0")),
    };
    if (sat_context_open(&context, &options, &error) ||
        sat_file_map(context, &mapping, arguments[2], &error) ||
        sat_encoder_open(&encoder, context, &mapping, arguments[2], &model, &error)) {
        fail(&error);
    }
    if (strcmp(arguments[1], "embed") == 0) {
        embed(encoder, option(count, arguments, "role", "document"));
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
