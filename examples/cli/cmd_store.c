/* list, text, remove, stats, verify, backup: looking into a store and keeping it. */
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

/* ------------------------------------------------------------------ list */

static void show_document(const struct cli *cli, const satchel_document *document) {
    if (cli->options.json) {
        struct json json;
        out_begin(&json, stdout, "document");
        out_string(&json, "id", document->id);
        out_string(&json, "title", document->title);
        out_string(&json, "media_type", document->media_type);
        out_integer(&json, "text_bytes", document->text_bytes);
        out_integer(&json, "chunks", document->chunks);
        out_integer(&json, "chunks_embedded", document->chunks_embedded);
        out_integer(&json, "modified_ms", document->modified_ms);
        out_string(&json, "failure", document->failure);
        out_object(&json, "metadata", document->metadata);
        out_end(&json);
        return;
    }
    char bytes[16];
    printf("%8s  ", human_bytes(bytes, (double)document->text_bytes));
    print_string(stdout, document->id);
    if (document->failure) {
        printf("  %s", style(cli->color_out, STYLE_BAD));
        print_string(stdout, document->failure);
        printf("%s", style(cli->color_out, STYLE_PLAIN));
    }
    fputc('\n', stdout);
}

int cmd_list(struct cli *cli) {
    int code = open_store(cli, cli->args[0], false);
    if (code != EXIT_FINE)
        return code;
    satchel_list_options options;
    satchel_list_options_init(&options, sizeof options);
    options.filter = cli->options.filter;
    options.limit = cli->options.limit;
    satchel_error error;
    satchel_documents *documents = NULL;
    if (satchel_store_list(&documents, cli->store, &options, &error))
        return report(cli, NULL, &error);
    const size_t count = satchel_documents_count(documents);
    code = count ? EXIT_FINE : EXIT_NOTHING;
    satchel_document document;
    for (size_t i = 0; i < count && !ferror(stdout); i++) {
        if (satchel_documents_get(documents, i, &document, sizeof document, &error)) {
            code = report(cli, NULL, &error);
            break;
        }
        show_document(cli, &document);
    }
    satchel_documents_close(&documents);
    return code;
}

/* ------------------------------------------------------------------ text */

static void show_text(const struct cli *cli, const char *id, const char *text, size_t length) {
    if (cli->options.json) {
        struct json json;
        out_begin(&json, stdout, "text");
        out_string(&json, "id", id);
        out_integer(&json, "length", (int64_t)length);
        out_text(&json, "text", text, length);
        out_end(&json);
    } else if (cli->width > 0) {
        print_safe(stdout, text, length, true);
        fputc('\n', stdout);
    } else {
        fwrite(text, 1, length, stdout); /* byte for byte: offsets count in it */
    }
}

int cmd_text(struct cli *cli) {
    int code = open_store(cli, cli->args[0], false);
    if (code != EXIT_FINE)
        return code;
    const char *id = cli->args[1];
    satchel_error error;
    int64_t length = 0;
    satchel_status status = satchel_document_text(cli->store, id, 0, NULL, 0, &length, &error);
    char *text = NULL;
    if (!status) {
        text = malloc((size_t)length + 1);
        if (!text)
            return EXIT_FAILED;
        int64_t now = 0;
        status = satchel_document_text(cli->store, id, 0, text, (size_t)length, &now, &error);
        length = now < length ? now : length; /* it may have been replaced in between */
    }
    if (status == SATCHEL_NOT_FOUND) {
        report(cli, id, &error);
        code = EXIT_NOTHING;
    } else if (status) {
        code = report(cli, id, &error);
    } else {
        show_text(cli, id, text, (size_t)length);
    }
    free(text);
    return code;
}

/* ------------------------------------------------------------------ remove */

int cmd_remove(struct cli *cli) {
    int code = open_store(cli, cli->args[0], false);
    for (size_t i = 1; code != EXIT_FAILED && i < cli->arg_count; i++) {
        const char *id = cli->args[i];
        satchel_error error;
        if (!cli->store || satchel_cancel_fired(cli->cancel))
            break;
        const satchel_status status = satchel_store_remove(cli->store, id, &error);
        if (status == SATCHEL_NOT_FOUND) {
            report(cli, id, &error);
            code = EXIT_NOTHING;
        } else if (status) {
            return report(cli, id, &error);
        } else if (cli->options.json) {
            struct json json;
            out_begin(&json, stdout, "removed");
            out_string(&json, "id", id);
            out_end(&json);
        } else if (!cli->options.quiet) {
            fputs("removed ", stdout);
            print_string(stdout, id);
            fputc('\n', stdout);
        }
    }
    return code;
}

/* ------------------------------------------------------------------ stats */

static void stats_roots(const struct cli *cli) {
    char name[1100], path[PATH_MAX];
    int64_t documents;
    for (size_t i = 0; satchel_store_get_root(cli->store, i, name, sizeof name, path, sizeof path,
                                              &documents, NULL) == SATCHEL_OK;
         i++) {
        if (cli->options.json) {
            struct json json;
            out_begin(&json, stdout, "root");
            out_string(&json, "name", name);
            out_string(&json, "path", path);
            out_integer(&json, "documents", documents);
            out_end(&json);
        } else {
            printf("root       ");
            print_string(stdout, name);
            printf(", %" PRId64 " documents, from ", documents);
            print_string(stdout, path);
            fputc('\n', stdout);
        }
    }
}

static void out_stats(const satchel_store_stats *stats, const satchel_model_info *model) {
    struct json json;
    out_begin(&json, stdout, "stats");
    out_integer(&json, "documents", stats->documents);
    out_integer(&json, "chunks", stats->chunks);
    out_integer(&json, "chunks_embedded", stats->chunks_embedded);
    out_integer(&json, "chunks_pending", stats->chunks_pending);
    out_integer(&json, "text_bytes", stats->text_bytes);
    out_integer(&json, "file_bytes", stats->file_bytes);
    out_integer(&json, "failures", stats->failures);
    out_integer(&json, "format_version", stats->format_version);
    out_integer(&json, "dimension", stats->dimension);
    out_string(&json, "model", model->name);
    out_string(&json, "model_fingerprint", model->fingerprint);
    out_end(&json);
}

int cmd_stats(struct cli *cli) {
    cli->options.quiet = 1; /* without a model there is just less to say */
    int code = open_model(cli, false);
    if (code == EXIT_FINE)
        code = open_store(cli, cli->args[0], false);
    if (code != EXIT_FINE)
        return code;
    satchel_error error;
    satchel_store_stats stats;
    if (satchel_store_get_stats(cli->store, &stats, sizeof stats, &error))
        return report(cli, NULL, &error);
    satchel_model_info model = {0};
    if (cli->model)
        satchel_model_get_info(cli->model, &model, sizeof model, NULL);
    if (cli->options.json) {
        out_stats(&stats, &model);
    } else {
        char text[16], file[16];
        printf("documents  %" PRId64 "\n", stats.documents);
        printf("text       %s, in files of %s\n", human_bytes(text, (double)stats.text_bytes),
               human_bytes(file, (double)stats.file_bytes));
        printf("chunks     %" PRId64, stats.chunks);
        if (stats.has_model)
            printf(", %" PRId64 " embedded, %" PRId64 " pending", stats.chunks_embedded,
                   stats.chunks_pending);
        fputc('\n', stdout);
        if (cli->model) {
            printf("model      ");
            print_string(stdout, model.name);
            printf(", %s, %" PRId32 " dimensions\n", model.weight_type, model.dimension);
        } else {
            puts("model      none: keywords alone");
        }
        if (stats.failures)
            printf("unread     %" PRId64 " files; see: satchel list --json\n", stats.failures);
    }
    stats_roots(cli);
    return EXIT_FINE;
}

/* ------------------------------------------------------------------ verify, backup */

static int32_t show_problem(void *user, const char *problem) {
    struct cli *cli = user;
    if (cli->options.json) {
        struct json json;
        out_begin(&json, stdout, "problem");
        out_string(&json, "message", problem);
        out_end(&json);
    } else {
        print_string(stdout, problem);
        fputc('\n', stdout);
    }
    return satchel_cancel_fired(cli->cancel);
}

int cmd_verify(struct cli *cli) {
    int code = open_store(cli, cli->args[0], false);
    if (code != EXIT_FINE)
        return code;
    satchel_error error;
    int64_t problems = 0;
    if (satchel_store_verify(cli->store, show_problem, cli, &problems, &error))
        return report(cli, NULL, &error);
    if (cli->options.json) {
        struct json json;
        out_begin(&json, stdout, "verified");
        out_integer(&json, "problems", problems);
        out_end(&json);
    } else if (problems == 0) {
        puts("No problems.");
    } else {
        printf("%" PRId64 " problems. Take a backup, then index the folders into a new store.\n",
               problems);
    }
    return problems ? EXIT_DAMAGED : EXIT_FINE;
}

int cmd_backup(struct cli *cli) {
    int code = open_store(cli, cli->args[0], false);
    if (code != EXIT_FINE)
        return code;
    satchel_error error;
    if (satchel_store_backup(cli->store, cli->args[1], cli->cancel, &error))
        return report(cli, cli->args[1], &error);
    if (cli->options.json) {
        struct json json;
        out_begin(&json, stdout, "backup");
        out_string(&json, "path", cli->args[1]);
        out_end(&json);
    }
    return EXIT_FINE;
}
