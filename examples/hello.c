/*
 * Hello: indexes a folder and answers a question from it, with citations.
 *
 *     hello MODEL STORE FOLDER QUESTION
 *     hello ~/.cache/satchel/all-minilm-l6-v2-q8_0.gguf docs.satchel docs "Where does it run?"
 *
 * Build: cc hello.c $(pkg-config --cflags --libs satchel) -o hello
 */
#include <inttypes.h>
#include <satchel.h>
#include <stdio.h>
#include <stdlib.h>

static satchel_error error;

static void check(int fine) {
    if (fine)
        return;
    fprintf(stderr, "hello: %s\n", error.code ? error.message : "MODEL STORE FOLDER QUESTION");
    exit(1);
}

/* Pulls a stream to its end: the answer goes to stdout as it comes, each quote with its source. */
static void drain(satchel_stream **stream) {
    satchel_event event = {0};
    while (event.kind != SATCHEL_EVENT_DONE) {
        check(!satchel_stream_next(*stream, &event, sizeof event, &error));
        if (event.token)
            printf("%.*s", (int)event.token->length, event.token->text);
        if (event.citation)
            printf(" [%s, bytes %" PRId64 "-%" PRId64 "]\n", event.citation->document_id,
                   event.citation->source.start, event.citation->source.end);
        if (event.refusal)
            printf("The documents do not answer that.\n");
    }
    satchel_stream_close(stream);
}

static int finish(satchel_store **store, satchel_model **model, satchel_context **context) {
    satchel_store_close(store);
    satchel_model_close(model);
    satchel_context_close(context);
    return 0;
}

int main(int argc, char **argv) {
    satchel_context *context = NULL;
    satchel_store *store = NULL;
    satchel_stream *stream = NULL;
    satchel_store_options options = {.struct_size = sizeof options};
    check(argc == 5 && !satchel_context_open(&context, NULL, &error));
    check(!satchel_model_open(&options.model, context, argv[1], NULL, &error));
    check(!satchel_store_open(&store, context, argv[2], &options, &error));
    check(!satchel_store_sync(&stream, store, argv[3], NULL, &error));
    drain(&stream);
    check(!satchel_ask(&stream, store, argv[4], NULL, &error));
    drain(&stream);
    return finish(&store, &options.model, &context);
}
