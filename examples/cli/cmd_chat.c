/*
 * chat: a conversation, line by line, with a model alone or over a store: then each line is a
 * question to its documents, asked with what was said before. Ctrl-C stops the answer that is being
 * written, and ends the program where a line is waited for. When the conversation has outgrown the
 * model's context, its beginning is forgotten.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

struct message {
    const char *role; /* static */
    char *text;
    size_t length;
};

struct talk {
    struct cli *cli;
    satchel_model *generator; /* over a store; NULL: cli->model talks */
    struct message *messages; /* the system's first, if there is one */
    size_t count, room;
    size_t fixed; /* messages at the start that are never forgotten */
    bool terminal;
};

/* ------------------------------------------------------------------ history */

static bool add_message(struct talk *talk, const char *role, const char *text, size_t length) {
    if (talk->count == talk->room) {
        const size_t room = talk->room ? 2 * talk->room : 16;
        struct message *grown = realloc(talk->messages, room * sizeof *grown);
        if (!grown)
            return false;
        talk->messages = grown;
        talk->room = room;
    }
    struct said copy = {0};
    if (!said_add(&copy, text, length))
        return false;
    talk->messages[talk->count++] =
        (struct message){.role = role, .text = copy.text, .length = copy.length};
    return true;
}

static void forget(struct talk *talk, size_t from, size_t count) {
    for (size_t i = from; i < from + count; i++)
        free(talk->messages[i].text);
    memmove(talk->messages + from, talk->messages + from + count,
            (talk->count - from - count) * sizeof *talk->messages);
    talk->count -= count;
}

/* The first `count` messages as JSON, to be freed; NULL when out of memory. */
static char *write_messages(const struct talk *talk, size_t count, size_t *length) {
    char *text = NULL;
    FILE *out = open_memstream(&text, length);
    if (!out)
        return NULL;
    struct json json = {.out = out};
    out_open(&json, '[');
    for (size_t i = 0; i < count; i++) {
        out_key(&json, NULL);
        out_open(&json, '{');
        out_string(&json, "role", talk->messages[i].role);
        out_text(&json, "content", talk->messages[i].text, talk->messages[i].length);
        out_close(&json, '}');
    }
    out_close(&json, ']');
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

/* ------------------------------------------------------------------ an answer */

/* What came of a message. */
struct reply {
    struct said said;
    bool refused; /* by the store */
};

static satchel_status chat_once(struct talk *talk, const struct writing *writing,
                                struct reply *reply, satchel_error *error) {
    satchel_chat_options options;
    satchel_chat_options_init(&options, sizeof options);
    options.generate = &writing->options;
    satchel_stream *stream = NULL;
    size_t length = 0;
    char *messages = write_messages(talk, talk->count, &length);
    satchel_status status = messages ? SATCHEL_OK : no_memory(error);
    if (!status)
        status = satchel_chat(&stream, talk->cli->model, messages, length, &options, error);
    if (!status)
        status = show_answer(talk->cli, stream, &reply->said, error);
    satchel_stream_close(&stream);
    free(messages);
    return status;
}

/* Asks the store the last message, with those before it as the history. */
static satchel_status ask_once(struct talk *talk, const struct writing *writing,
                               struct reply *reply, satchel_error *error) {
    struct cli *cli = talk->cli;
    const char *question = talk->messages[talk->count - 1].text;
    satchel_ask_options options;
    ask_options(cli, talk->generator, writing, &options);
    satchel_stream *stream = NULL;
    size_t length = 0;
    char *history = write_messages(talk, talk->count - 1, &length);
    satchel_status status = history ? SATCHEL_OK : no_memory(error);
    options.history = history;
    if (!status)
        status = satchel_ask(&stream, cli->store, question, &options, error);
    if (!status)
        status = show_cited(cli, stream, &reply->said, &reply->refused, error);
    satchel_stream_close(&stream);
    if (!status && reply->refused && !cli->options.json)
        show_closest(cli, question, &options);
    free(history);
    return status;
}

static satchel_status answer_once(struct talk *talk, satchel_cancel *cancel, struct reply *reply,
                                  satchel_error *error) {
    struct writing writing;
    satchel_status status = SATCHEL_IO;
    if (writing_begin(&writing, talk->cli) == EXIT_FINE) {
        writing.options.cancel = cancel;
        status = (talk->generator ? ask_once : chat_once)(talk, &writing, reply, error);
    } else {
        *error = (satchel_error){.code = SATCHEL_IO, .message = "an option's file is not there"};
    }
    writing_end(&writing);
    return status;
}

/* Forgets the oldest exchange. False: only the last message is left. */
static bool forget_oldest(struct talk *talk) {
    size_t count = 1;
    while (talk->fixed + count < talk->count &&
           strcmp(talk->messages[talk->fixed + count].role, "user") != 0)
        count++;
    if (talk->fixed + count >= talk->count)
        return false;
    forget(talk, talk->fixed, count);
    return true;
}

/* Answers the last message. An answer that was stopped stays in the history as far as it came. */
static int answer(struct talk *talk) {
    struct cli *cli = talk->cli;
    satchel_error error;
    satchel_cancel *cancel = NULL;
    if (satchel_cancel_open(&cancel, cli->context, &error))
        return report(cli, NULL, &error);
    interrupt_fires(cancel);
    struct reply reply = {0};
    struct said *said = &reply.said;
    size_t forgotten = 0;
    satchel_status status = answer_once(talk, cancel, &reply, &error);
    while (status == SATCHEL_LIMIT && said->length == 0 && forget_oldest(talk)) {
        forgotten++;
        status = answer_once(talk, cancel, &reply, &error);
    }
    interrupt_fires(cli->cancel);
    satchel_cancel_close(&cancel);
    for (size_t i = 0; i < said->length; i++) /* messages may not hold it */
        if (said->text[i] == '\0')
            said->text[i] = ' ';
    if (forgotten && !cli->options.quiet)
        fprintf(stderr, "satchel: the conversation no longer fits the model's context; its "
                        "beginning was forgotten\n");
    int code = reply.refused ? EXIT_NOTHING : EXIT_FINE;
    if (status && status != SATCHEL_CANCELLED)
        code = report(cli, NULL, &error);
    if (!reply.refused && (!status || (status == SATCHEL_CANCELLED && said->length)))
        add_message(talk, "assistant", said->text ? said->text : "", said->length);
    else
        forget(talk, talk->count - 1, 1); /* as if it had not been asked */
    free(said->text);
    return code;
}

/* ------------------------------------------------------------------ the command */

/* The next line without its end; NULL at the end of the input. To be freed. */
static char *read_line(const struct talk *talk, size_t *length) {
    const struct cli *cli = talk->cli;
    if (talk->terminal && !cli->options.json) {
        printf("%s> %s", style(cli->color_out, STYLE_LINK), style(cli->color_out, STYLE_PLAIN));
        fflush(stdout);
    }
    char *line = NULL;
    size_t size = 0;
    ssize_t count = getline(&line, &size, stdin);
    if (count < 0) {
        free(line);
        return NULL;
    }
    while (count > 0 && (line[count - 1] == '\n' || line[count - 1] == '\r'))
        line[--count] = '\0';
    *length = (size_t)count;
    return line;
}

/* Lines that begin with a slash and are known are for the tool. True: go on with the next line. */
static bool obey(struct talk *talk, const char *line, bool *over) {
    *over = strcmp(line, "/quit") == 0 || strcmp(line, "/exit") == 0;
    if (strcmp(line, "/clear") == 0) {
        forget(talk, talk->fixed, talk->count - talk->fixed);
        if (!talk->cli->options.quiet)
            fputs("satchel: the conversation was forgotten\n", stderr);
        return true;
    }
    if (strcmp(line, "/help") == 0) {
        fputs("/clear forgets the conversation, /quit or Ctrl-D ends, Ctrl-C stops an answer\n",
              stderr);
        return true;
    }
    return *over || line[0] == '\0';
}

/* With --model the argument is a store, else it is the model's file. */
static int open_talk(struct talk *talk) {
    struct cli *cli = talk->cli;
    const char *system = cli->options.system;
    int code;
    if (!cli->options.model) {
        code = open_generator(cli, cli->args[0]);
    } else if (system) {
        fputs("satchel: --system has no place with a store: the model is told what to do with its "
              "passages\n",
              stderr);
        code = EXIT_USAGE;
    } else {
        code = open_answering(cli, true, &talk->generator);
        if (code == EXIT_FINE)
            code = open_store(cli, cli->args[0], false);
    }
    if (code == EXIT_FINE && system && !add_message(talk, "system", system, strlen(system)))
        code = EXIT_FAILED;
    talk->fixed = talk->count;
    return code;
}

static int converse(struct talk *talk) {
    struct cli *cli = talk->cli;
    int code = EXIT_FINE;
    size_t length = 0;
    char *line = NULL;
    bool over = false;
    if (talk->terminal && !cli->options.quiet)
        fputs("satchel: a line is a message; /help says more\n", stderr);
    while (!over && code != EXIT_FAILED && !satchel_cancel_fired(cli->cancel) &&
           (line = read_line(talk, &length))) {
        if (!obey(talk, line, &over))
            code = add_message(talk, "user", line, length) ? answer(talk) : EXIT_FAILED;
        free(line);
    }
    if (satchel_cancel_fired(cli->cancel)) {
        fputc('\n', stdout);
        code = EXIT_INTERRUPTED;
    } else if (!over && talk->terminal && !cli->options.json) {
        fputc('\n', stdout); /* after Ctrl-D */
    }
    return code;
}

int cmd_chat(struct cli *cli) {
    struct talk talk = {.cli = cli, .terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)};
    int code = open_talk(&talk);
    if (code == EXIT_FINE)
        code = converse(&talk);
    forget(&talk, 0, talk.count);
    free(talk.messages);
    satchel_model_close(&talk.generator);
    return code;
}
