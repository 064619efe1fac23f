/*
 * Split ask: Satchel finds the passages and writes the messages, the app has any model answer them,
 * and Satchel finds the citations in what comes back. The "model" here is a program of one line on
 * stdin: what you type is its answer.
 *
 *     split_ask STORE QUESTION < ANSWER
 */
#include <satchel.h>
#include <stdio.h>
#include <stdlib.h>

static satchel_error error;

static void check(int fine) {
    if (fine)
        return;
    fprintf(stderr, "split_ask: %s\n", error.code ? error.message : "STORE QUESTION");
    exit(1);
}

/* Shows the events that are new in the answer so far. */
static void resolve(satchel_prepared *prepared, const char *text, size_t length, int final) {
    satchel_stream *stream = NULL;
    satchel_event event = {0};
    check(!satchel_prepared_resolve(&stream, prepared, text, length, final, &error));
    while (event.kind != SATCHEL_EVENT_DONE) {
        check(!satchel_stream_next(stream, &event, sizeof event, &error));
        if (event.kind == SATCHEL_EVENT_TOKEN)
            fwrite(event.token->text, 1, event.token->length, stdout);
        else if (event.kind == SATCHEL_EVENT_CITATION)
            printf("\n  bytes %d to %d rest on %s, bytes %d to %d%s\n",
                   (int)event.citation->answer.start, (int)event.citation->answer.end,
                   event.citation->document_id, (int)event.citation->source.start,
                   (int)event.citation->source.end,
                   event.citation->verified ? ": word for word" : "");
        else if (event.kind == SATCHEL_EVENT_REFUSAL)
            printf("the documents do not support an answer\n");
    }
    satchel_stream_close(&stream);
}

int main(int argc, char **argv) {
    satchel_context *context = NULL;
    satchel_store *store = NULL;
    satchel_prepared *prepared = NULL;
    satchel_prepared_info info;
    satchel_ask_options options;
    check(argc == 3);
    check(!satchel_context_open(&context, NULL, &error));
    check(!satchel_store_open(&store, context, argv[1], NULL, &error));
    satchel_ask_options_init(&options, sizeof options);
    options.context_tokens = 2048; /* what the model can read, less its answer */
    check(!satchel_ask_prepare(&prepared, store, argv[2], &options, &error));
    check(!satchel_prepared_get_info(prepared, &info, sizeof info, &error));
    fprintf(stderr, "%s\n\n%d passages, about %d tokens. The answer:\n", info.messages,
            (int)info.passages, (int)info.prompt_tokens);
    char answer[8192];
    size_t length = 0;
    for (int c; length < sizeof answer && (c = getchar()) != EOF;) {
        answer[length++] = (char)c;
        if (c == ' ')
            resolve(prepared, answer, length, 0);
    }
    resolve(prepared, answer, length, 1);
    satchel_prepared_close(&prepared);
    satchel_store_close(&store);
    satchel_context_close(&context);
    return 0;
}
