/* embed: texts to vectors, from the arguments or line by line from the standard input. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { BATCH = 64 };

struct batch {
    char *lines[BATCH]; /* owned */
    satchel_text texts[BATCH];
    size_t count;
    float *vectors; /* (BATCH, dimension) */
    int32_t dimension;
};

static void show_vector(const struct cli *cli, const satchel_text *text, const float *vector,
                        int32_t dimension) {
    if (!cli->options.json) {
        for (int32_t i = 0; i < dimension; i++)
            printf("%s%.9g", i ? " " : "", (double)vector[i]);
        fputc('\n', stdout);
        return;
    }
    struct json json;
    out_begin(&json, stdout, "embedding");
    out_text(&json, "text", text->data, text->length);
    out_key(&json, "embedding");
    out_open(&json, '[');
    for (int32_t i = 0; i < dimension; i++)
        out_number(&json, NULL, (double)vector[i], 9);
    out_close(&json, ']');
    out_end(&json);
}

static int embed_batch(struct cli *cli, struct batch *batch) {
    satchel_error error;
    int code = EXIT_FINE;
    if (batch->count > 0 && satchel_model_embed(cli->model, cli->options.role, batch->texts,
                                                batch->count, batch->vectors, cli->cancel, &error))
        code = report(cli, NULL, &error);
    for (size_t i = 0; i < batch->count; i++) {
        if (code == EXIT_FINE)
            show_vector(cli, &batch->texts[i], batch->vectors + i * (size_t)batch->dimension,
                        batch->dimension);
        free(batch->lines[i]);
        batch->lines[i] = NULL;
    }
    batch->count = 0;
    return code;
}

/* Takes `line` over. */
static int add_line(struct cli *cli, struct batch *batch, char *line, size_t length) {
    if (!line)
        return EXIT_FAILED;
    batch->lines[batch->count] = line;
    batch->texts[batch->count] = (satchel_text){.data = line, .length = length};
    batch->count++;
    return batch->count == BATCH ? embed_batch(cli, batch) : EXIT_FINE;
}

static int embed_input(struct cli *cli, struct batch *batch) {
    int code = EXIT_FINE;
    while (code == EXIT_FINE && !satchel_cancel_fired(cli->cancel)) {
        char *line = NULL;
        size_t size = 0;
        ssize_t length = getline(&line, &size, stdin);
        if (length < 0) {
            free(line);
            break;
        }
        if (length > 0 && line[length - 1] == '\n')
            length--;
        code = add_line(cli, batch, line, (size_t)length);
    }
    return code;
}

int cmd_embed(struct cli *cli) {
    int code = open_model(cli, true);
    if (code != EXIT_FINE)
        return code;
    satchel_error error;
    satchel_model_info info;
    if (satchel_model_get_info(cli->model, &info, sizeof info, &error))
        return report(cli, NULL, &error);
    struct batch batch = {.dimension = info.dimension};
    batch.vectors = malloc(BATCH * (size_t)info.dimension * sizeof *batch.vectors);
    if (!batch.vectors)
        return EXIT_FAILED;
    for (size_t i = 0; i < cli->arg_count && code == EXIT_FINE; i++)
        code = add_line(cli, &batch, strdup(cli->args[i]), strlen(cli->args[i]));
    if (cli->arg_count == 0)
        code = embed_input(cli, &batch);
    const int last = embed_batch(cli, &batch);
    free(batch.vectors);
    return code == EXIT_FINE ? last : code;
}
