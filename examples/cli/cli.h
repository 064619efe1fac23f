/*
 * The `satchel` tool: what its files share. The tool is an application like any other: it sees
 * satchel.h alone.
 *
 *   main.c       commands, running one, signals, exit codes
 *   options.c    options: one table for parsing and for --help
 *   help.c       --help, for the tool and for each command
 *   open.c       context, model and store as the options ask; errors
 *   output.c     text for people: colours, wrapping, nothing that could drive the terminal
 *   json.c       text for programs: one JSON object a line
 *   progress.c   the progress bar, or plain lines
 *   write.c      models that write: opening one, its options, showing what it says
 *   answer.c     answers to questions: models, options, showing them with their sources
 *   pdf.c        a reader for PDF through pdftotext
 *   cmd_*.c      the commands
 */
#ifndef SATCHEL_CLI_H
#define SATCHEL_CLI_H

#include <satchel.h>
#include <stdbool.h>
#include <stdio.h>

/* ------------------------------------------------------------------ exit codes */

enum {
    EXIT_FINE = 0,
    EXIT_NOTHING = 1,      /* nothing found: no hit, no such document, or the answer was refused */
    EXIT_USAGE = 2,        /* the command line is wrong */
    EXIT_FAILED = 3,       /* it could not be done; the message says why */
    EXIT_DAMAGED = 4,      /* the store is damaged, or is no store */
    EXIT_PARTLY = 5,       /* done, but some files could not be read */
    EXIT_BUSY = 6,         /* another writer is at work; try again later */
    EXIT_INTERRUPTED = 130 /* Ctrl-C */
};

/* ------------------------------------------------------------------ options and commands */

enum { COLOR_AUTO = 0, COLOR_ALWAYS = 1, COLOR_NEVER = 2 };

typedef struct cli_options {
    int32_t json, quiet, verbose, help, version; /* flags */
    int32_t no_model, defer, hidden, keep_missing, allow_removals, never_refuse, fast;
    const char *model, *embedder, *filter, *root;
    int32_t mode, role, color; /* SATCHEL_SEARCH_*, SATCHEL_ROLE_*, COLOR_* */
    int64_t k, limit, sentences, threads, max_bytes, iterations, seed, representatives;
    /* Models that write. */
    const char *stop, *schema, *grammar, *adapter, *chat_template, *system, *cache, *prompt;
    int64_t max_tokens, top_k, context;
    double temperature, top_p, min_p;
    int32_t kv, special, full, warm;
} cli_options;

struct cli {
    cli_options options;
    const char *const *args; /* what is left: the store, paths, words */
    size_t arg_count;
    bool color_out, color_err; /* escapes may be written there */
    int width;                 /* of the terminal on stdout; 0: not a terminal */
    satchel_context *context;
    satchel_cancel *cancel;
    satchel_model *model; /* NULL: keywords only */
    satchel_store *store;
};

struct command {
    const char *name;
    const char *arguments; /* "STORE PATH..." */
    const char *summary;   /* one line */
    const char *details;   /* for --help: what, then examples */
    size_t least, most;    /* arguments */
    int (*run)(struct cli *cli);
};

extern const struct command commands[]; /* ended by a NULL name */
const struct command *find_command(const char *name);

/* Parses everything after the command's name. The positional arguments are moved to the front of
 * `words`. False after a message to stderr. */
bool parse_options(struct cli *cli, const struct command *command, int count, char **words);
void print_options(FILE *out, const struct command *command); /* the options part of --help */

void print_help(FILE *out);
void print_command_help(FILE *out, const struct command *command);

int cmd_index(struct cli *cli);
int cmd_sync(struct cli *cli);
int cmd_ask(struct cli *cli);
int cmd_search(struct cli *cli);
int cmd_cluster(struct cli *cli);
int cmd_list(struct cli *cli);
int cmd_text(struct cli *cli);
int cmd_remove(struct cli *cli);
int cmd_stats(struct cli *cli);
int cmd_verify(struct cli *cli);
int cmd_backup(struct cli *cli);
int cmd_embed(struct cli *cli);
int cmd_generate(struct cli *cli);
int cmd_chat(struct cli *cli);
int cmd_inspect(struct cli *cli);

/* From here on Ctrl-C fires this handle instead; a second one ends the program. */
void interrupt_fires(satchel_cancel *cancel);

/* ------------------------------------------------------------------ open.c */

/* Each returns EXIT_FINE, or an exit code after reporting the error. */
int open_model(struct cli *cli, bool required);
int open_store(struct cli *cli, const char *path, bool create);
/* Reports on stderr, and as an object with --json; returns the exit code that fits. */
int report(struct cli *cli, const char *what, const satchel_error *error);
satchel_status no_memory(satchel_error *error); /* what the library says of it */
/* "a b c" of the arguments from `first` on; to be freed; NULL when out of memory. */
char *join_args(const struct cli *cli, size_t first);

/* ------------------------------------------------------------------ output.c */

enum { STYLE_PLAIN = 0, STYLE_BOLD, STYLE_DIM, STYLE_GOOD, STYLE_BAD, STYLE_LINK };

/* The escape sequence for a style, or "" where colours are off. */
const char *style(bool color, int style);
/* Decodes one code point of UTF-8; invalid bytes give U+FFFD. Returns bytes read, at least 1. */
size_t decode(const char *text, size_t length, uint32_t *code);
/* Writes text so that it cannot drive a terminal: control characters become U+FFFD, invalid bytes
 * too, direction overrides vanish. Line ends become spaces unless `lines`. */
void print_safe(FILE *out, const char *text, size_t length, bool lines);
void print_string(FILE *out, const char *text); /* print_safe of a whole string on one line */

/* Words flowing into lines of the terminal's width; without a terminal, one long line. */
struct flow {
    FILE *out;
    int indent, width, column;
    char word[512];
    size_t used;
    int columns; /* of the word */
    bool space;  /* before the word */
};

void flow_begin(struct flow *flow, const struct cli *cli, FILE *out, int indent);
void flow_text(struct flow *flow, const char *text, size_t length);
void flow_style(struct flow *flow, const char *escape); /* takes no room */
void flow_end(struct flow *flow);                       /* ends the line */

/* The passage of a hit with its matches in bold; NULL results: without. */
void print_passage(const struct cli *cli, FILE *out, const satchel_results *results, size_t index,
                   const satchel_hit *hit, int indent);
/* "Guide > Install, page 3, bytes 120-245" */
void print_place(FILE *out, const char *heading, int32_t page, int64_t time_ms,
                 const satchel_range *range);
/* "1.2 MB", "3:07" */
const char *human_bytes(char out[16], double bytes);
const char *human_time(char out[16], double seconds);

/* ------------------------------------------------------------------ json.c */

struct json {
    FILE *out;
    bool first;
};

void out_begin(struct json *json, FILE *out, const char *type); /* {"type":"..." */
void out_end(struct json *json);                                /* } and the line's end */
void out_text(struct json *json, const char *key, const char *text, size_t length);
void out_string(struct json *json, const char *key, const char *text); /* NULL: null */
void out_integer(struct json *json, const char *key, int64_t value);
void out_number(struct json *json, const char *key, double value, int digits);
void out_boolean(struct json *json, const char *key, bool value);
void out_object(struct json *json, const char *key, const char *text); /* JSON as it is; NULL: {} */
void out_range(struct json *json,
               const satchel_range *range); /* start, end, start_utf16, end_utf16 */
void out_key(struct json *json, const char *key);
void out_open(struct json *json, char bracket);
void out_close(struct json *json, char bracket);
void out_hit(struct json *json, const satchel_results *results, size_t index,
             const satchel_hit *hit);
/* Names as JSON has them: "hybrid", "weak_evidence". */
const char *search_mode_name(int32_t mode);
const char *reason_name(int32_t reason);

/* ------------------------------------------------------------------ progress.c */

struct progress {
    const struct cli *cli;
    bool terminal, drawn;
    int32_t phase;
    int64_t shown_ms; /* when a line was last written */
};

void progress_begin(struct progress *progress, const struct cli *cli);
void progress_show(struct progress *progress, const satchel_event_progress *event);
void progress_clear(struct progress *progress); /* before other output */
int32_t progress_callback(void *progress, const satchel_event_progress *event); /* for options */

/* ------------------------------------------------------------------ write.c */

/* Each opens a model as the options of models that write ask, and returns an exit code, after a
 * report: open_generator to cli->model, which must be one that writes; open_writing to *out, which
 * may be of either kind. */
int open_generator(struct cli *cli, const char *path);
int open_writing(struct cli *cli, const char *path, satchel_model **out);
int embeds_only(const char *path); /* the report that it does not write */

/* How to write, as the options ask; to be ended also after a failure. */
struct writing {
    satchel_generate_options options;
    char *schema, *grammar, *prompt; /* read from files */
};
int writing_begin(struct writing *writing, const struct cli *cli);
void writing_end(struct writing *writing);

/* A growing text, NUL-terminated; `text` is to be freed. Zero it before use. */
struct said {
    char *text;
    size_t length, room;
};
bool said_add(struct said *said, const char *text, size_t length); /* false: out of memory */
/* The next event but progress, which is shown; a token's text is added to *said (may be NULL). */
satchel_status next_said(satchel_stream *stream, satchel_event *event, struct progress *progress,
                         struct said *said, satchel_error *error);
/* Shows a model's text as it comes, and adds it to *said (may be NULL). */
satchel_status show_answer(struct cli *cli, satchel_stream *stream, struct said *said,
                           satchel_error *error);
/* How fast it was, with --verbose. */
void note_speed(const struct cli *cli, const satchel_event_done *done);
void out_speed(struct json *json, const satchel_event_done *done);

/* ------------------------------------------------------------------ answer.c */

/* --model names a model that writes, or else the embedder: the file says which. A model that writes
 * goes to *generator, and the embedder is then --embedder's or the usual one. `required`: an
 * embedder will not do. An exit code, after a report. */
int open_answering(struct cli *cli, bool required, satchel_model **generator);
/* What the options say of questions. Points into *writing. */
void ask_options(const struct cli *cli, satchel_model *generator, const struct writing *writing,
                 satchel_ask_options *options);
/* Shows an answer as it comes, then its sources; adds its text to *said (may be NULL). */
satchel_status show_cited(struct cli *cli, satchel_stream *stream, struct said *said, bool *refused,
                          satchel_error *error);
/* After a refusal: what came closest, found again because the events are gone. */
void show_closest(const struct cli *cli, const char *question, const satchel_ask_options *asked);

/* ------------------------------------------------------------------ pdf.c */

/* Where pdftotext is, or NULL; static. */
const char *pdf_program(void);
/* Registers the reader with the store if pdftotext is there. */
satchel_status pdf_register(satchel_store *store, satchel_cancel *cancel, satchel_error *error);

#endif
