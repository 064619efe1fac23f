/* index and sync: bring roots of a store in line with folders. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <limits.h>

#include "cli.h"

static const char *change_name(int32_t change) {
    switch (change) {
    case SATCHEL_FILE_ADDED:
        return "added";
    case SATCHEL_FILE_CHANGED:
        return "changed";
    case SATCHEL_FILE_REMOVED:
        return "removed";
    case SATCHEL_FILE_FAILED:
        return "failed";
    case SATCHEL_FILE_SKIPPED:
        return "skipped";
    case SATCHEL_FILE_RENAMED:
        return "renamed";
    default:
        return "unknown";
    }
}

typedef struct sync_job {
    struct cli *cli;
    const char *root;
    struct progress progress;
    int64_t unread_pdf; /* passed over because pdftotext is not there */
    bool failures;
} sync_job;

static bool is_pdf(const char *path) {
    const size_t length = strlen(path);
    return length > 4 && path[length - 4] == '.' && (path[length - 3] | 32) == 'p' &&
           (path[length - 2] | 32) == 'd' && (path[length - 1] | 32) == 'f';
}

static void show_file(sync_job *job, const satchel_event_file *file) {
    const struct cli *cli = job->cli;
    const bool failed = file->change == SATCHEL_FILE_FAILED;
    job->failures |= failed;
    if (file->change == SATCHEL_FILE_SKIPPED && is_pdf(file->path) && !pdf_program())
        job->unread_pdf++;
    if (cli->options.json) {
        struct json json;
        out_begin(&json, stdout, "file");
        out_string(&json, "root", job->root);
        out_string(&json, "change", change_name(file->change));
        out_string(&json, "document_id", file->document_id);
        out_string(&json, "path", file->path);
        out_string(&json, "code", satchel_status_name(file->status));
        out_string(&json, "message", file->message);
        out_integer(&json, "bytes", file->bytes);
        out_integer(&json, "chunks", file->chunks);
        out_end(&json);
        return;
    }
    /* Thousands of good files are for the summary; what went wrong is shown at once. */
    if (!failed && !cli->options.verbose)
        return;
    progress_clear(&job->progress);
    fprintf(stderr, "%s%s%s ", style(cli->color_err, failed ? STYLE_BAD : STYLE_DIM),
            change_name(file->change), style(cli->color_err, STYLE_PLAIN));
    print_string(stderr, *file->path ? file->path : file->document_id);
    if (*file->message) {
        fputs(": ", stderr);
        print_string(stderr, file->message);
    }
    fputc('\n', stderr);
}

static void show_done(const sync_job *job, const satchel_event_done *done) {
    const struct cli *cli = job->cli;
    if (cli->options.json) {
        struct json json;
        out_begin(&json, stdout, "done");
        out_string(&json, "root", job->root);
        out_integer(&json, "added", done->added);
        out_integer(&json, "changed", done->changed);
        out_integer(&json, "removed", done->removed);
        out_integer(&json, "renamed", done->renamed);
        out_integer(&json, "unchanged", done->unchanged);
        out_integer(&json, "failed", done->failed);
        out_integer(&json, "skipped", done->skipped);
        out_integer(&json, "chunks", done->chunks);
        out_integer(&json, "chunks_embedded", done->chunks_embedded);
        out_integer(&json, "chunks_reused", done->chunks_reused);
        out_integer(&json, "bytes", done->bytes);
        out_integer(&json, "elapsed_ms", done->elapsed_ms);
        out_integer(&json, "read_ms", done->read_ms);
        out_integer(&json, "keyword_ms", done->keyword_ms);
        out_integer(&json, "embed_ms", done->embed_ms);
        out_integer(&json, "write_ms", done->write_ms);
        out_end(&json);
        return;
    }
    print_string(stdout, job->root);
    const struct {
        int64_t count;
        const char *name;
    } parts[] = {{done->added, "added"},         {done->changed, "changed"},
                 {done->renamed, "renamed"},     {done->removed, "removed"},
                 {done->unchanged, "unchanged"}, {done->skipped, "passed over"},
                 {done->failed, "failed"}};
    const char *between = ": ";
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (parts[i].count) {
            printf("%s%" PRId64 " %s", between, parts[i].count, parts[i].name);
            between = ", ";
        }
    if (strcmp(between, ": ") == 0)
        fputs(": no files", stdout);
    char bytes[16], time[16];
    printf("; %" PRId64 " chunks embedded, %s in %s\n", done->chunks_embedded,
           human_bytes(bytes, (double)done->bytes),
           human_time(time, (double)done->elapsed_ms / 1000));
}

static void show_progress(sync_job *job, const satchel_event_progress *event) {
    if (!job->cli->options.json)
        progress_show(&job->progress, event);
}

static int sync_root(struct cli *cli, const char *root, const char *path) {
    satchel_sync_options options;
    satchel_sync_options_init(&options, sizeof options);
    options.root = root;
    options.keep_missing = cli->options.keep_missing;
    options.allow_removals = cli->options.allow_removals;
    options.defer_embedding = cli->options.defer;
    options.include_hidden = cli->options.hidden;
    options.max_file_bytes = cli->options.max_bytes;
    options.cancel = cli->cancel;
    sync_job job = {.cli = cli, .root = root};
    progress_begin(&job.progress, cli);

    satchel_error error;
    satchel_stream *stream = NULL;
    satchel_event event = {0};
    satchel_status status = satchel_store_sync(&stream, cli->store, path, &options, &error);
    while (!status && event.kind != SATCHEL_EVENT_DONE && !ferror(stdout)) {
        status = satchel_stream_next(stream, &event, sizeof event, &error);
        if (status)
            break;
        if (event.kind == SATCHEL_EVENT_FILE)
            show_file(&job, event.file);
        else if (event.kind == SATCHEL_EVENT_PROGRESS)
            show_progress(&job, event.progress);
    }
    progress_clear(&job.progress);
    if (!status && event.kind == SATCHEL_EVENT_DONE)
        show_done(&job, event.done);
    satchel_stream_close(&stream);
    if (status)
        return report(cli, path, &error);
    if (job.unread_pdf > 0 && !cli->options.quiet)
        fprintf(stderr,
                "satchel: %" PRId64 " PDF files were passed over; to read them install pdftotext "
                "(package poppler-utils)\n",
                job.unread_pdf);
    return job.failures ? EXIT_PARTLY : EXIT_FINE;
}

static int open_for_writing(struct cli *cli, bool create) {
    int code = open_model(cli, false);
    if (code == EXIT_FINE)
        code = open_store(cli, cli->args[0], create);
    satchel_error error;
    if (code == EXIT_FINE && pdf_register(cli->store, cli->cancel, &error))
        code = report(cli, "the PDF reader", &error);
    return code;
}

/* A later root's trouble is as bad as an earlier one's; a failure outweighs unread files. */
static int worse(int one, int other) {
    if (one == EXIT_FINE || (one == EXIT_PARTLY && other != EXIT_FINE))
        return other;
    return one;
}

/* ------------------------------------------------------------------ index */

/* The path a root of this name was last read from, into `path`; false if there is no such root. */
static bool find_root(const struct cli *cli, const char *name, char *path, size_t size) {
    char known[1100];
    for (size_t i = 0; satchel_store_get_root(cli->store, i, known, sizeof known, path, size, NULL,
                                              NULL) == SATCHEL_OK;
         i++)
        if (strcmp(known, name) == 0)
            return true;
    return false;
}

static int index_path(struct cli *cli, const char *given) {
    char *path = realpath(given, NULL);
    if (!path) {
        fputs("satchel: ", stderr);
        print_string(stderr, given);
        fprintf(stderr, ": %s\n", strerror(errno));
        return EXIT_FAILED;
    }
    const char *slash = strrchr(path, '/');
    const char *own = slash && slash[1] ? slash + 1 : "root";
    const char *root = cli->options.root ? cli->options.root : own;
    char known[PATH_MAX];
    int code;
    /* Two folders of one name: the second would take the first one's documents for gone. */
    if (!cli->options.root && find_root(cli, root, known, sizeof known) &&
        strcmp(known, path) != 0) {
        fputs("satchel: the store already has a root ", stderr);
        print_string(stderr, root);
        fputs(", read from ", stderr);
        print_string(stderr, known);
        fputs("; name this one with --root, or give --root ", stderr);
        print_string(stderr, root);
        fputs(" if the folder has moved\n", stderr);
        code = EXIT_USAGE;
    } else {
        code = sync_root(cli, root, path);
    }
    free(path);
    return code;
}

int cmd_index(struct cli *cli) {
    if (cli->options.root && cli->arg_count > 2) {
        fputs("satchel: --root names one PATH; give one\n", stderr);
        return EXIT_USAGE;
    }
    int code = open_for_writing(cli, true);
    if (code != EXIT_FINE)
        return code;
    for (size_t i = 1; i < cli->arg_count && !satchel_cancel_fired(cli->cancel); i++)
        code = worse(code, index_path(cli, cli->args[i]));
    return code;
}

/* ------------------------------------------------------------------ sync */

static bool is_wanted(const struct cli *cli, const char *root, bool *found) {
    bool wanted = cli->arg_count == 1;
    for (size_t i = 1; i < cli->arg_count; i++)
        if (strcmp(cli->args[i], root) == 0)
            wanted = found[i] = true;
    return wanted;
}

int cmd_sync(struct cli *cli) {
    int code = open_for_writing(cli, false);
    if (code != EXIT_FINE)
        return code;
    bool *found = calloc(cli->arg_count, sizeof *found);
    if (!found)
        return EXIT_FAILED;
    char name[1100], path[PATH_MAX];
    size_t roots = 0;
    while (!satchel_cancel_fired(cli->cancel) &&
           satchel_store_get_root(cli->store, roots, name, sizeof name, path, sizeof path, NULL,
                                  NULL) == SATCHEL_OK) {
        if (is_wanted(cli, name, found))
            code = worse(code, sync_root(cli, name, path));
        roots++;
    }
    for (size_t i = 1; i < cli->arg_count; i++)
        if (!found[i] && !satchel_cancel_fired(cli->cancel)) {
            fputs("satchel: the store has no root ", stderr);
            print_string(stderr, cli->args[i]);
            fputc('\n', stderr);
            code = worse(code, EXIT_NOTHING);
        }
    if (roots == 0 && code == EXIT_FINE && !cli->options.quiet)
        fputs("satchel: nothing to sync: no folder was indexed into this store\n", stderr);
    free(found);
    return code;
}
