/*
 * The Satchel side of bench/embed.py: embeds a file's lines when told to, and measures the machine's
 * roof in the same run. A process of its own, so that no other library's threads spin beside it.
 *
 *   embed_bench THREADS LINES MODEL...
 *
 * After loading it prints one line: CPU level, GFLOP/s of fused multiply-adds and Gop/s of int8 dot
 * products that one core reaches (0: not known). Then for each line on stdin, the number of a
 * model, it embeds all texts as documents and prints the seconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sdk/include/satchel.h"
#include "tests/kernels/roof.h"

enum { MOST_MODELS = 8 };

typedef struct texts {
    char *data;
    satchel_text *items;
    size_t count;
} texts;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void die(const char *message) {
    fprintf(stderr, "embed_bench: %s\n", message);
    exit(1);
}

static texts read_texts(const char *path) {
    texts in = {NULL, NULL, 0};
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0)
        die("cannot read the texts");
    long size = ftell(file);
    rewind(file);
    in.data = malloc((size_t)size + 1);
    in.items = malloc(((size_t)size + 1) * sizeof *in.items);
    if (!in.data || !in.items || fread(in.data, 1, (size_t)size, file) != (size_t)size)
        die("cannot read the texts");
    fclose(file);
    in.data[size] = 0;
    for (char *at = in.data; *at; in.count++) {
        size_t length = strcspn(at, "\n");
        in.items[in.count] = (satchel_text){at, length};
        at += length + (at[length] == '\n');
    }
    return in;
}

/* The best of several tries, in 1e9 operations a second. */
static double best_rate(double (*run)(size_t rounds)) {
    double best = 0;
    for (int i = 0; i < 20; i++) {
        double start = now(), operations = run(1000000), rate = operations / (now() - start) * 1e-9;
        best = rate > best ? rate : best;
    }
    return best;
}

int main(int count, char **arguments) {
    if (count < 4 || count > 3 + MOST_MODELS)
        die("usage: embed_bench THREADS LINES MODEL...");
    satchel_context *context = NULL;
    satchel_model *models[MOST_MODELS];
    satchel_model_info info = {0};
    satchel_error error;
    satchel_context_options options = {.struct_size = sizeof options,
                                       .threads = atoi(arguments[1])};
    texts in = read_texts(arguments[2]);
    if (satchel_context_open(&context, &options, &error))
        die(error.message);
    for (int i = 3; i < count; i++)
        if (satchel_model_open(&models[i - 3], context, arguments[i], NULL, &error))
            die(error.message);
    if (satchel_model_get_info(models[0], &info, sizeof info, &error))
        die(error.message);
    float *out = malloc((in.count + 1) * (size_t)info.dimension * sizeof *out);
    if (!out)
        die("out of memory");
    const kernel_roof *roof = kernel_roof_for(satchel_context_cpu_level(context));
    printf("%s %.0f %.0f\n", satchel_context_cpu_name(context),
           roof ? best_rate(roof->float_ops) : 0, roof ? best_rate(roof->int8_ops) : 0);
    fflush(stdout);
    for (int model; scanf("%d", &model) == 1 && model >= 0 && model < count - 3;) {
        double start = now();
        if (satchel_model_embed(models[model], SATCHEL_ROLE_DOCUMENT, in.items, in.count, out, NULL,
                                &error))
            die(error.message);
        printf("%.6f\n", now() - start);
        fflush(stdout);
    }
    for (int i = 0; i < count - 3; i++)
        satchel_model_close(&models[i]);
    satchel_context_close(&context);
    free(out);
    free(in.items);
    free(in.data);
    return 0;
}
