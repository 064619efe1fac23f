/* generate: goes on with a prompt, from the arguments or the standard input. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static char *read_input(void) {
    struct said prompt = {0};
    char block[4096];
    size_t length;
    bool fine = said_add(&prompt, "", 0);
    while (fine && (length = fread(block, 1, sizeof block, stdin)) > 0)
        fine = said_add(&prompt, block, length);
    if (fine && !ferror(stdin))
        return prompt.text;
    free(prompt.text);
    return NULL;
}

int cmd_generate(struct cli *cli) {
    int code = open_generator(cli, cli->args[0]);
    if (code != EXIT_FINE)
        return code;
    char *prompt = cli->arg_count > 1 ? join_args(cli, 1) : read_input();
    if (!prompt) {
        fputs("satchel: cannot read the prompt\n", stderr);
        return EXIT_FAILED;
    }
    struct writing writing;
    code = writing_begin(&writing, cli);
    satchel_error error;
    satchel_stream *stream = NULL;
    satchel_status status = SATCHEL_OK;
    if (code == EXIT_FINE)
        status = satchel_generate(&stream, cli->model, prompt, SATCHEL_NUL_TERMINATED,
                                  &writing.options, &error);
    if (code == EXIT_FINE && !status)
        status = show_answer(cli, stream, NULL, &error);
    if (status)
        code = report(cli, NULL, &error);
    satchel_stream_close(&stream);
    writing_end(&writing);
    free(prompt);
    return code;
}
