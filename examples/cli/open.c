/* The context, the model and the store as the options ask, and how errors are reported. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"

static int exit_code(satchel_status status) {
    switch (status) {
    case SATCHEL_OK:
        return EXIT_FINE;
    case SATCHEL_CANCELLED:
        return EXIT_INTERRUPTED;
    case SATCHEL_BUSY:
    case SATCHEL_LOCKED:
        return EXIT_BUSY;
    case SATCHEL_DAMAGED:
    case SATCHEL_NOT_A_STORE:
        return EXIT_DAMAGED;
    case SATCHEL_INVALID_ARGUMENT:
    case SATCHEL_INVALID_FILTER:
    case SATCHEL_INVALID_TEXT:
        return EXIT_USAGE;
    default:
        return EXIT_FAILED;
    }
}

satchel_status no_memory(satchel_error *error) {
    *error = (satchel_error){.code = SATCHEL_OUT_OF_MEMORY, .message = "out of memory"};
    return SATCHEL_OUT_OF_MEMORY;
}

int report(struct cli *cli, const char *what, const satchel_error *error) {
    fflush(stdout);
    if (error->code == SATCHEL_CANCELLED) {
        if (!cli->options.quiet)
            fputs("satchel: interrupted; what was committed stays\n", stderr);
    } else {
        fprintf(stderr, "%ssatchel:%s ", style(cli->color_err, STYLE_BAD),
                style(cli->color_err, STYLE_PLAIN));
        if (what) {
            print_string(stderr, what);
            fputs(": ", stderr);
        }
        print_string(stderr, error->message);
        fprintf(stderr, " (%s)\n", satchel_status_name(error->code));
        if (error->code == SATCHEL_CONFIRM_REMOVALS)
            fputs("satchel: if the files are really gone, say so with --allow-removals\n", stderr);
    }
    if (cli->options.json) {
        struct json json;
        out_begin(&json, stdout, "error");
        out_string(&json, "code", satchel_status_name(error->code));
        out_integer(&json, "status", error->code);
        out_string(&json, "what", what);
        out_string(&json, "message", error->message);
        out_end(&json);
    }
    return exit_code(error->code);
}

char *join_args(const struct cli *cli, size_t first) {
    size_t size = 1;
    for (size_t i = first; i < cli->arg_count; i++)
        size += strlen(cli->args[i]) + 1;
    char *joined = malloc(size);
    if (!joined)
        return NULL;
    char *at = joined;
    for (size_t i = first; i < cli->arg_count; i++) {
        const size_t length = strlen(cli->args[i]);
        if (i > first)
            *at++ = ' ';
        memcpy(at, cli->args[i], length);
        at += length;
    }
    *at = '\0';
    return joined;
}

/* ------------------------------------------------------------------ model */

static bool is_file(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && !S_ISDIR(info.st_mode);
}

/* The model that was named, else the one that scripts/setup leaves in the cache. False: none. */
static bool model_path(const struct cli *cli, char *out, size_t size) {
    const char *named = cli->options.model;
    if (!named)
        named = getenv("SATCHEL_MODEL");
    if (named && *named)
        return snprintf(out, size, "%s", named) < (int)size;
    const char *file = "all-minilm-l6-v2-q8_0.gguf";
    const char *cache = getenv("SATCHEL_CACHE");
    const char *home = getenv("HOME");
    int used;
    if (cache && *cache)
        used = snprintf(out, size, "%s/%s", cache, file);
    else if (home && *home)
        used = snprintf(out, size, "%s/.cache/satchel/%s", home, file);
    else
        return false;
    return used > 0 && used < (int)size && is_file(out);
}

int open_model(struct cli *cli, bool required) {
    char path[4096];
    if (cli->options.no_model)
        return EXIT_FINE;
    if (!model_path(cli, path, sizeof path)) {
        if (required) {
            fputs("satchel: this needs an embedding model: give one with --model or SATCHEL_MODEL, "
                  "or run scripts/setup\n",
                  stderr);
            return EXIT_FAILED;
        }
        if (!cli->options.quiet)
            fputs("satchel: no embedding model, so by keywords alone; give one with --model or "
                  "SATCHEL_MODEL, or run scripts/setup\n",
                  stderr);
        return EXIT_FINE;
    }
    satchel_error error;
    if (satchel_model_open(&cli->model, cli->context, path, NULL, &error))
        return report(cli, path, &error);
    return EXIT_FINE;
}

/* ------------------------------------------------------------------ store */

int open_store(struct cli *cli, const char *path, bool create) {
    satchel_store_options options;
    satchel_store_options_init(&options, sizeof options);
    options.model = cli->model;
    options.must_exist = !create;
    satchel_error error;
    satchel_status status = satchel_store_open(&cli->store, cli->context, path, &options, &error);
    /* On read-only media, or in another user's folder, reading may still do. */
    if (!create && (status == SATCHEL_PERMISSION || status == SATCHEL_READ_ONLY)) {
        options.read_only = 1;
        status = satchel_store_open(&cli->store, cli->context, path, &options, &error);
    }
    if (status == SATCHEL_NOT_FOUND && !create) {
        const int code = report(cli, path, &error);
        fprintf(stderr, "satchel: make a store first: satchel index ");
        print_string(stderr, path);
        fputs(" FOLDER\n", stderr);
        return code;
    }
    return status ? report(cli, path, &error) : EXIT_FINE;
}
