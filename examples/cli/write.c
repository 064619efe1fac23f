/* Models that write: opening one, its options, and showing what it says as it comes. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* A text file whole, to be freed; NULL after a message. */
static char *read_text(const char *path) {
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    size_t size = 0, room = 0;
    while (file && !ferror(file) && !feof(file)) {
        if (room - size < 2) {
            room = room ? 2 * room : 4096;
            char *grown = realloc(text, room);
            if (!grown)
                break;
            text = grown;
        }
        size += fread(text + size, 1, room - size - 1, file);
    }
    if (file && feof(file) && text) {
        text[size] = '\0';
        fclose(file);
        return text;
    }
    fprintf(stderr, "satchel: cannot read ");
    print_string(stderr, path);
    fprintf(stderr, ": %s\n", strerror(errno));
    free(text);
    if (file)
        fclose(file);
    return NULL;
}

/* ------------------------------------------------------------------ open */

int open_writing(struct cli *cli, const char *path, satchel_model **out) {
    const cli_options *asked = &cli->options;
    satchel_model_options options;
    satchel_model_options_init(&options, sizeof options);
    struct progress progress;
    progress_begin(&progress, cli);
    options.context_tokens = (int32_t)asked->context;
    options.kv_type = asked->kv;
    options.adapters = &asked->adapter;
    options.adapter_count = asked->adapter ? 1 : 0;
    options.warm = asked->warm;
    options.progress = progress_callback;
    options.progress_user = &progress;
    options.cancel = cli->cancel;
    char *chat_template = NULL;
    if (asked->chat_template && !(chat_template = read_text(asked->chat_template)))
        return EXIT_FAILED;
    options.chat_template = chat_template;
    satchel_error error;
    satchel_status status = satchel_model_open(out, cli->context, path, &options, &error);
    progress_clear(&progress);
    free(chat_template);
    return status ? report(cli, path, &error) : EXIT_FINE;
}

int embeds_only(const char *path) {
    fputs("satchel: ", stderr);
    print_string(stderr, path);
    fputs(" is an embedding model: this needs one that writes\n", stderr);
    return EXIT_FAILED;
}

int open_generator(struct cli *cli, const char *path) {
    satchel_model_info info;
    satchel_error error;
    const int code = open_writing(cli, path, &cli->model);
    if (code != EXIT_FINE)
        return code;
    if (satchel_model_get_info(cli->model, &info, sizeof info, &error))
        return report(cli, path, &error);
    return info.kind == SATCHEL_MODEL_GENERATOR ? EXIT_FINE : embeds_only(path);
}

/* ------------------------------------------------------------------ options */

int writing_begin(struct writing *writing, const struct cli *cli) {
    const cli_options *asked = &cli->options;
    memset(writing, 0, sizeof *writing);
    satchel_generate_options_init(&writing->options, sizeof writing->options);
    satchel_generate_options *options = &writing->options;
    options->max_tokens = (int32_t)asked->max_tokens;
    options->temperature = (float)asked->temperature;
    options->top_k = (int32_t)asked->top_k;
    options->top_p = (float)asked->top_p;
    options->min_p = (float)asked->min_p;
    options->seed = (uint64_t)asked->seed;
    options->stop = &asked->stop;
    options->stop_count = asked->stop ? 1 : 0;
    options->trust_prompt = asked->special;
    options->cancel = cli->cancel;
    if (asked->schema && !(writing->schema = read_text(asked->schema)))
        return EXIT_FAILED;
    if (asked->grammar && !(writing->grammar = read_text(asked->grammar)))
        return EXIT_FAILED;
    if (asked->prompt && !(writing->prompt = read_text(asked->prompt)))
        return EXIT_FAILED;
    options->schema = writing->schema;
    options->grammar = writing->grammar;
    return EXIT_FINE;
}

void writing_end(struct writing *writing) {
    free(writing->schema);
    free(writing->grammar);
    free(writing->prompt);
}

/* ------------------------------------------------------------------ what it says */

static const char *finish_name(int32_t finish) {
    static const char *const names[] = {"none", "end", "length", "stop", "context"};
    return finish >= 0 && finish < (int32_t)(sizeof names / sizeof names[0]) ? names[finish]
                                                                             : "unknown";
}

void out_speed(struct json *json, const satchel_event_done *done) {
    out_integer(json, "prompt_tokens", done->prompt_tokens);
    out_integer(json, "cached_tokens", done->cached_tokens);
    out_integer(json, "generated_tokens", done->generated_tokens);
    out_integer(json, "prefill_ms", done->prefill_ms);
    out_integer(json, "generate_ms", done->generate_ms);
}

static void out_said(const satchel_event *event) {
    struct json json;
    if (event->kind == SATCHEL_EVENT_TOKEN) {
        out_begin(&json, stdout, "token");
        out_text(&json, "text", event->token->text, event->token->length);
        out_integer(&json, "token", event->token->token);
    } else if (event->kind == SATCHEL_EVENT_DONE) {
        out_begin(&json, stdout, "done");
        out_string(&json, "finish", finish_name(event->done->finish));
        out_speed(&json, event->done);
        out_integer(&json, "elapsed_ms", event->done->elapsed_ms);
    } else {
        return;
    }
    out_end(&json);
}

/* "12 tokens read (8 of them earlier) in 0.4 s, 30 written in 2.1 s: 14.3 a second" */
void note_speed(const struct cli *cli, const satchel_event_done *done) {
    if (!cli->options.verbose || done->generated_tokens < 0)
        return;
    fprintf(stderr, "satchel: %" PRId64 " tokens read (%" PRId64 " of them earlier) in %.2f s, ",
            done->prompt_tokens, done->cached_tokens, (double)done->prefill_ms / 1000);
    fprintf(stderr, "%" PRId64 " written in %.2f s", done->generated_tokens,
            (double)done->generate_ms / 1000);
    if (done->generate_ms > 0)
        fprintf(stderr, ": %.1f a second",
                (double)done->generated_tokens * 1000 / (double)done->generate_ms);
    fprintf(stderr, " (%s)\n", finish_name(done->finish));
}

bool said_add(struct said *said, const char *text, size_t length) {
    if (said->length + length + 1 > said->room) {
        const size_t room = 2 * (said->length + length) + 256;
        char *grown = realloc(said->text, room);
        if (!grown)
            return false;
        said->text = grown;
        said->room = room;
    }
    memcpy(said->text + said->length, text, length);
    said->length += length;
    said->text[said->length] = '\0';
    return true;
}

satchel_status next_said(satchel_stream *stream, satchel_event *event, struct progress *progress,
                         struct said *said, satchel_error *error) {
    satchel_status status = satchel_stream_next(stream, event, sizeof *event, error);
    while (!status && event->kind == SATCHEL_EVENT_PROGRESS && !ferror(stdout)) {
        progress_show(progress, event->progress);
        status = satchel_stream_next(stream, event, sizeof *event, error);
    }
    progress_clear(progress);
    if (!status && event->kind == SATCHEL_EVENT_TOKEN && said &&
        !said_add(said, event->token->text, event->token->length))
        status = no_memory(error);
    return status;
}

satchel_status show_answer(struct cli *cli, satchel_stream *stream, struct said *said,
                           satchel_error *error) {
    struct progress progress;
    progress_begin(&progress, cli);
    satchel_event event = {0};
    satchel_status status = SATCHEL_OK;
    while (!status && event.kind != SATCHEL_EVENT_DONE && !ferror(stdout)) {
        status = next_said(stream, &event, &progress, said, error);
        if (status)
            break;
        if (cli->options.json)
            out_said(&event);
        else if (event.kind == SATCHEL_EVENT_TOKEN)
            print_safe(stdout, event.token->text, event.token->length, true);
        fflush(stdout);
        if (event.kind == SATCHEL_EVENT_DONE)
            note_speed(cli, event.done);
    }
    if (!cli->options.json)
        fputc('\n', stdout);
    return status;
}
