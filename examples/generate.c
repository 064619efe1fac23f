/*
 * A language model on the device: what it needs, then an answer as it grows.
 *
 *     example-generate MODEL.gguf "The capital of France is"
 */
#include <inttypes.h>
#include <satchel.h>
#include <stdio.h>

static int failed(const char *what, const satchel_error *error) {
    fprintf(stderr, "%s: %s\n", what, error->message);
    return 1;
}

/* Goes on with a prompt; satchel_chat() takes a conversation. */
static int go_on(satchel_model *model, const char *prompt) {
    satchel_error error;
    satchel_stream *answer = NULL;
    satchel_event event = {0};
    satchel_generate_options options;
    satchel_generate_options_init(&options, sizeof options);
    options.max_tokens = 200;
    if (satchel_generate(&answer, model, prompt, SATCHEL_NUL_TERMINATED, &options, &error))
        return failed("generate", &error);
    int code = 0;
    while (!code && event.kind != SATCHEL_EVENT_DONE) {
        if (satchel_stream_next(answer, &event, sizeof event, &error))
            code = failed("answer", &error);
        else if (event.kind == SATCHEL_EVENT_TOKEN)
            fwrite(event.token->text, 1, event.token->length, stdout);
        else if (event.kind == SATCHEL_EVENT_DONE)
            printf("\n[%" PRId64 " tokens in %" PRId64 " ms]\n", event.done->generated_tokens,
                   event.done->elapsed_ms);
        fflush(stdout);
    }
    satchel_stream_close(&answer);
    return code;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s MODEL.gguf PROMPT\n", argv[0]);
        return 2;
    }
    satchel_error error;
    satchel_context *context = NULL;
    satchel_model *model = NULL;
    satchel_model_need need;
    int code = 1;
    if (satchel_context_open(&context, NULL, &error))
        return failed("context", &error);
    if (satchel_model_measure(context, argv[1], &need, sizeof need, NULL, &error))
        failed("model", &error);
    else {
        printf("[needs %.1f MB beside its file]\n", (double)need.memory_bytes / 1e6);
        if (satchel_model_open(&model, context, argv[1], NULL, &error))
            failed("model", &error);
        else
            code = go_on(model, argv[2]);
    }
    satchel_model_close(&model);
    satchel_context_close(&context);
    return code;
}
