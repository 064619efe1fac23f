/* ask: one question, answered in the documents' words or in a language model's. */
#include <stdlib.h>

#include "cli.h"

static int ask(struct cli *cli, satchel_model *generator, const struct writing *writing) {
    char *question = join_args(cli, 1);
    if (!question)
        return EXIT_FAILED;
    satchel_ask_options options;
    ask_options(cli, generator, writing, &options);
    satchel_error error;
    satchel_stream *stream = NULL;
    bool refused = false;
    satchel_status status = satchel_ask(&stream, cli->store, question, &options, &error);
    if (!status)
        status = show_cited(cli, stream, NULL, &refused, &error);
    satchel_stream_close(&stream);
    int code = refused ? EXIT_NOTHING : EXIT_FINE;
    if (status)
        code = report(cli, NULL, &error);
    if (refused && !cli->options.json)
        show_closest(cli, question, &options);
    free(question);
    return code;
}

int cmd_ask(struct cli *cli) {
    satchel_model *generator = NULL;
    struct writing writing;
    int code = writing_begin(&writing, cli);
    if (code == EXIT_FINE)
        code = open_answering(cli, false, &generator);
    if (code == EXIT_FINE)
        code = open_store(cli, cli->args[0], false);
    if (code == EXIT_FINE)
        code = ask(cli, generator, &writing);
    satchel_model_close(&generator);
    writing_end(&writing);
    return code;
}
