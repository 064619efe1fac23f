/* The `satchel` tool: picks the command, runs it, and turns Ctrl-C into a clean end. */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli.h"

const struct command commands[] = {
    {"index", "STORE PATH...", "add folders or files to a store, or bring them up to date",
     "Each PATH becomes a root of the store, named after the folder; documents are called\n"
     "root/relative/path. Only what has changed since the last time is read and embedded, and\n"
     "documents whose files are gone are removed. Keywords come first, so that a search works\n"
     "while embedding goes on. Interrupting loses at most the last batch.\n"
     "Text, Markdown and HTML are read, and PDF where pdftotext (poppler-utils) is installed.\n"
     "\n"
     "Examples:\n"
     "  satchel index notes.satchel ~/notes ~/work/docs\n"
     "  satchel index notes.satchel manual.pdf\n"
     "  satchel index notes.satchel ~/b/docs --root b-docs     two folders called docs\n"
     "  satchel index notes.satchel ~/notes --json | jq 'select(.change==\"failed\")'\n",
     2, SIZE_MAX, cmd_index},
    {"sync", "STORE [ROOT...]", "bring the store's folders up to date",
     "Goes over the folders that were indexed before, all or the named ones, each at the path it\n"
     "was last read from.\n"
     "\n"
     "Examples:\n"
     "  satchel sync notes.satchel\n"
     "  satchel sync notes.satchel notes\n"
     "  satchel sync notes.satchel --allow-removals      after deleting many files\n",
     1, SIZE_MAX, cmd_sync},
    {"ask", "STORE QUESTION...", "answer a question with quotes from the documents",
     "Prints the sentences that answer, word for word, with numbered citations: document, "
     "heading,\n"
     "page and bytes. When the documents do not support an answer it says so, shows what came\n"
     "closest, and exits with 1. With --model and a language model, the model answers in its own\n"
     "words and cites the passages it was shown.\n"
     "\n"
     "Examples:\n"
     "  satchel ask notes.satchel \"When does the lease end?\"\n"
     "  satchel ask notes.satchel when does the lease end\n"
     "  satchel ask notes.satchel \"When does the lease end?\" --model qwen3-0.6b.gguf\n"
     "  satchel ask notes.satchel \"Who signed?\" --model qwen3-0.6b.gguf --max-tokens 100\n"
     "  satchel ask notes.satchel \"Who signed?\" --filter '{\"path\":\"notes/contracts/*\"}'\n"
     "  satchel ask notes.satchel \"Who signed?\" --json | jq -r 'select(.type==\"token\").text'\n",
     2, SIZE_MAX, cmd_ask},
    {"search", "STORE WORDS...", "find passages",
     "Finds the passages that fit best, by keywords and by meaning together. Words are plain "
     "text;\n"
     "there is no query syntax.\n"
     "\n"
     "Examples:\n"
     "  satchel search notes.satchel lease deposit -k 5\n"
     "  satchel search notes.satchel \"error 0x80\" --mode keyword\n"
     "  satchel search notes.satchel lease --filter '{\"modified\":{\"gte\":\"2024-01-01\"}}'\n"
     "  satchel search notes.satchel lease --json | jq -r .document_id\n",
     2, SIZE_MAX, cmd_search},
    {"cluster", "STORE", "show what the documents are about, by topic",
     "Groups the passages by meaning. Each topic has a label, the words that are frequent in it "
     "and "
     "rare\n"
     "elsewhere; its size; the documents most in it; and the sentences nearest to its centre.\n"
     "\n"
     "Without -k the number of topics is the cube root of the number of passages, but 5 to 20, so "
     "that\n"
     "the list can be read: 5 up to about 150 passages, 10 for 1,000, 20 from 8,000 on; of fewer "
     "than\n"
     "15 passages, a third. The same store and seed give the same topics on every machine.\n"
     "Passages that are not embedded yet are left out, and counted.\n"
     "\n"
     "Examples:\n"
     "  satchel cluster notes.satchel\n"
     "  satchel cluster notes.satchel -k 8 --representatives 5\n"
     "  satchel cluster notes.satchel --filter '{\"path\":\"notes/2024/*\"}'\n"
     "  satchel cluster notes.satchel --json | jq -r 'select(.label).label'\n",
     1, 1, cmd_cluster},
    {"list", "STORE", "list the documents",
     "Examples:\n"
     "  satchel list notes.satchel\n"
     "  satchel list notes.satchel --filter '{\"path\":\"notes/2024/*\"}' --limit 20\n"
     "  satchel list notes.satchel --json | jq -r 'select(.failure).id'\n",
     1, 1, cmd_list},
    {"text", "STORE DOCUMENT", "print a document's text as it was read",
     "This is the text that byte offsets of hits and citations count in.\n"
     "\n"
     "Examples:\n"
     "  satchel text notes.satchel notes/lease.md\n"
     "  satchel text notes.satchel notes/lease.md | tail -c +121 | head -c 125   bytes 120-245\n",
     2, 2, cmd_text},
    {"remove", "STORE DOCUMENT...", "remove documents",
     "Removes documents with their keywords and vectors. A document of an indexed folder comes "
     "back at\n"
     "the next index or sync while its file is there.\n"
     "\n"
     "Examples:\n"
     "  satchel remove notes.satchel notes/old.md\n",
     2, SIZE_MAX, cmd_remove},
    {"stats", "STORE", "say what a store holds",
     "Examples:\n"
     "  satchel stats notes.satchel\n"
     "  satchel stats notes.satchel --json | jq .chunks_pending\n",
     1, 1, cmd_stats},
    {"verify", "STORE", "check a store for damage",
     "Checks SQLite's structure, keywords against text, chunk bounds and vectors. Changes "
     "nothing.\n"
     "Exits with 4 if there is a problem.\n"
     "\n"
     "Examples:\n"
     "  satchel verify notes.satchel\n",
     1, 1, cmd_verify},
    {"backup", "STORE NEWFILE", "copy a store, also while it is in use",
     "Copying the file by other means may miss what still lies in its -wal.\n"
     "\n"
     "Examples:\n"
     "  satchel backup notes.satchel /media/stick/notes.satchel\n",
     2, 2, cmd_backup},
    {"embed", "[TEXT...]", "turn texts into vectors",
     "Each TEXT, or each line of the standard input if there is none, becomes one line of numbers: "
     "a\n"
     "vector of length 1 from the embedding model.\n"
     "\n"
     "Examples:\n"
     "  satchel embed \"a lease for a flat\"\n"
     "  satchel embed --role query --json < questions.txt\n",
     0, SIZE_MAX, cmd_embed},
    {"generate", "MODEL [PROMPT...]", "let a language model go on with a text",
     "MODEL is a GGUF file. The prompt is given as it is, without the model's chat format; "
     "without\n"
     "one the standard input is read. By default the likeliest token is taken each time.\n"
     "\n"
     "Examples:\n"
     "  satchel generate qwen3-0.6b.gguf \"The capital of France is\" --max-tokens 20\n"
     "  satchel generate qwen3-0.6b.gguf \"Name three trees as JSON:\" --schema trees.json\n"
     "  satchel generate qwen3-0.6b.gguf --temperature 0.8 --seed 7 < prompt.txt\n",
     1, SIZE_MAX, cmd_generate},
    {"chat", "MODEL | STORE", "talk with a language model, about your documents too",
     "A line is a message; the model remembers the conversation until /clear, and its beginning "
     "is\n"
     "forgotten when it no longer fits. Ctrl-C stops an answer, /quit or Ctrl-D ends.\n"
     "With --model the argument is a store: each line is a question to its documents, asked with "
     "the\n"
     "conversation so far, and answered with citations as ask does it.\n"
     "\n"
     "Examples:\n"
     "  satchel chat qwen3-0.6b.gguf\n"
     "  satchel chat qwen3-0.6b.gguf --system \"Answer in one sentence.\"\n"
     "  satchel chat notes.satchel --model qwen3-0.6b.gguf\n"
     "  echo \"What is a lease?\" | satchel chat qwen3-0.6b.gguf --json\n",
     1, 1, cmd_chat},
    {"inspect", "FILE.gguf", "show what is in a model's file",
     "Shows keys, tensors, weight types and the memory that the model would need, also of files "
     "that\n"
     "cannot be opened as models here. Of a model split into parts, give the first.\n"
     "\n"
     "Examples:\n"
     "  satchel inspect qwen3-0.6b.gguf\n"
     "  satchel inspect qwen3-0.6b.gguf --context 32768 --kv q8_0\n"
     "  satchel inspect qwen3-0.6b.gguf --json | jq 'select(.type==\"need\").memory_bytes'\n",
     1, 1, cmd_inspect},
    {NULL, NULL, NULL, NULL, 0, 0, NULL},
};

const struct command *find_command(const char *name) {
    for (const struct command *command = commands; command->name; command++)
        if (strcmp(command->name, name) == 0)
            return command;
    return NULL;
}

/* ------------------------------------------------------------------ surroundings */

/* Fired from the signal handler: that is one atomic store each. */
static satchel_cancel *volatile interrupt_cancel, *volatile program_cancel;

static void on_interrupt(int signal) {
    satchel_cancel_fire(interrupt_cancel);
    if (signal != SIGINT)
        satchel_cancel_fire(program_cancel);
}

void interrupt_fires(satchel_cancel *cancel) {
    interrupt_cancel = cancel;
    struct sigaction action = {.sa_handler = on_interrupt};
    action.sa_flags = (int)SA_RESETHAND; /* a second Ctrl-C ends at once */
    if (cancel != program_cancel) /* stops one answer: what is written meanwhile is to arrive */
        action.sa_flags |= SA_RESTART;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static void catch_signals(struct cli *cli) {
    program_cancel = cli->cancel;
    interrupt_fires(cli->cancel);
    /* A reader that has gone shows as a write error, on our own terms. */
    signal(SIGPIPE, SIG_IGN);
}

static bool may_color(const struct cli *cli, int fd) {
    if (cli->options.color != COLOR_AUTO)
        return cli->options.color == COLOR_ALWAYS;
    const char *no = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return isatty(fd) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

static void look_around(struct cli *cli) {
    cli->color_out = !cli->options.json && may_color(cli, STDOUT_FILENO);
    cli->color_err = may_color(cli, STDERR_FILENO);
    struct winsize window;
    if (isatty(STDOUT_FILENO)) {
        cli->width = 80;
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col >= 20)
            cli->width = window.ws_col;
    }
}

static void log_line(void *user, int32_t level, const char *message) {
    (void)user;
    static const char *const names[] = {"", "error", "warning", "info", "debug"};
    fprintf(stderr, "satchel: %s: ", level >= 1 && level <= 4 ? names[level] : "log");
    print_string(stderr, message);
    fputc('\n', stderr);
}

static int open_context(struct cli *cli) {
    satchel_context_options options;
    satchel_context_options_init(&options, sizeof options);
    options.threads = (int32_t)cli->options.threads;
    options.cache_dir = cli->options.cache;
    if (cli->options.verbose) {
        options.log = log_line;
        options.log_level = SATCHEL_LOG_DEBUG;
        options.log_content = 1;
    }
    satchel_error error;
    if (satchel_context_open(&cli->context, &options, &error) ||
        satchel_cancel_open(&cli->cancel, cli->context, &error))
        return report(cli, NULL, &error);
    return EXIT_FINE;
}

static int run(struct cli *cli, const struct command *command) {
    look_around(cli);
    int code = open_context(cli);
    if (code == EXIT_FINE) {
        catch_signals(cli);
        code = command->run(cli);
    }
    interrupt_cancel = NULL;
    program_cancel = NULL;
    satchel_store_close(&cli->store);
    satchel_model_close(&cli->model);
    satchel_cancel_close(&cli->cancel);
    satchel_context_close(&cli->context);
    return code;
}

/* What was printed must have arrived: a full disk is no success. */
static int end_output(int code) {
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    if (errno != EPIPE)
        fprintf(stderr, "satchel: cannot write the output: %s\n", strerror(errno));
    return EXIT_FAILED;
}

static int print_version(const struct cli *cli) {
    if (cli->options.json) {
        struct json json;
        out_begin(&json, stdout, "version");
        out_string(&json, "version", satchel_version());
        out_end(&json);
    } else {
        printf("satchel %s\n", satchel_version());
    }
    return EXIT_FINE;
}

static int usage(const struct command *command, const char *what) {
    fprintf(stderr, "satchel: %s\nusage: satchel %s %s\nsee: satchel %s --help\n", what,
            command->name, command->arguments, command->name);
    return EXIT_USAGE;
}

static int main_command(struct cli *cli, const struct command *command, int count, char **words) {
    if (!parse_options(cli, command, count, words))
        return EXIT_USAGE;
    if (cli->options.help) {
        print_command_help(stdout, command);
        return EXIT_FINE;
    }
    if (cli->options.version)
        return print_version(cli);
    if (cli->arg_count < command->least)
        return usage(command, "something is missing");
    if (cli->arg_count > command->most)
        return usage(command, "too many arguments");
    return run(cli, command);
}

int main(int argc, char **argv) {
    setlocale(LC_CTYPE, ""); /* numbers stay as JSON wants them */
    struct cli cli = {0};
    const char *name = argc > 1 ? argv[1] : "--help";
    if (name[0] == '-') {
        if (!parse_options(&cli, NULL, argc - 1, argv + 1))
            return EXIT_USAGE;
        if (cli.options.version)
            return end_output(print_version(&cli));
        print_help(argc > 1 ? stdout : stderr);
        return end_output(argc > 1 && cli.options.help ? EXIT_FINE : EXIT_USAGE);
    }
    if (strcmp(name, "help") == 0) {
        const struct command *about = argc > 2 ? find_command(argv[2]) : NULL;
        if (about)
            print_command_help(stdout, about);
        else
            print_help(stdout);
        return end_output(EXIT_FINE);
    }
    const struct command *command = find_command(name);
    if (!command) {
        fputs("satchel: no command ", stderr);
        print_string(stderr, name);
        fputs("; see: satchel --help\n", stderr);
        return EXIT_USAGE;
    }
    return end_output(main_command(&cli, command, argc - 2, argv + 2));
}
