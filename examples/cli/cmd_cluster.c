/* cluster: what the documents are about, for people or as JSON. */
#include <inttypes.h>
#include <string.h>

#include "cli.h"

enum { DOCUMENTS_SHOWN = 3 };

/* ------------------------------------------------------------------ for programs */

static satchel_status out_documents(struct json *json, const satchel_topics *topics, size_t index,
                                    size_t count, satchel_error *error) {
    out_key(json, "documents");
    out_open(json, '[');
    satchel_topic_document document;
    for (size_t i = 0; i < count; i++) {
        const satchel_status status =
            satchel_topics_get_document(topics, index, i, &document, sizeof document, error);
        if (status)
            return status;
        out_key(json, NULL);
        out_open(json, '{');
        out_string(json, "id", document.id);
        out_string(json, "title", document.title);
        out_integer(json, "chunks", document.chunks);
        out_integer(json, "chunks_all", document.chunks_all);
        out_close(json, '}');
    }
    out_close(json, ']');
    return SATCHEL_OK;
}

static satchel_status out_sentences(struct json *json, const satchel_topics *topics, size_t index,
                                    size_t count, satchel_error *error) {
    out_key(json, "sentences");
    out_open(json, '[');
    satchel_topic_sentence sentence;
    for (size_t i = 0; i < count; i++) {
        const satchel_status status =
            satchel_topics_get_sentence(topics, index, i, &sentence, sizeof sentence, error);
        if (status)
            return status;
        out_key(json, NULL);
        out_open(json, '{');
        out_text(json, "text", sentence.text, sentence.length);
        out_number(json, "score", (double)sentence.score, 4);
        out_string(json, "document_id", sentence.document_id);
        out_string(json, "title", sentence.title);
        out_string(json, "heading", sentence.heading);
        out_integer(json, "chunk", sentence.chunk);
        out_range(json, &sentence.range);
        out_integer(json, "page", sentence.page);
        out_integer(json, "time_ms", sentence.time_ms);
        out_close(json, '}');
    }
    out_close(json, ']');
    return SATCHEL_OK;
}

static satchel_status out_topic(const satchel_topics *topics, size_t index,
                                const satchel_topic *topic, satchel_error *error) {
    struct json json;
    out_begin(&json, stdout, "topic");
    out_string(&json, "label", topic->label);
    out_key(&json, "words");
    out_open(&json, '[');
    for (size_t i = 0; i < topic->word_count; i++)
        out_string(&json, NULL, topic->words[i]);
    out_close(&json, ']');
    out_integer(&json, "chunks", topic->chunks);
    out_number(&json, "share", topic->share, 4);
    out_number(&json, "cohesion", topic->cohesion, 4);
    satchel_status status = out_documents(&json, topics, index, topic->document_count, error);
    if (!status)
        status = out_sentences(&json, topics, index, topic->sentence_count, error);
    out_end(&json);
    return status;
}

/* ------------------------------------------------------------------ for people */

static satchel_status print_documents(const struct cli *cli, const satchel_topics *topics,
                                      size_t index, size_t count, satchel_error *error) {
    satchel_topic_document document;
    printf("    %s", style(cli->color_out, STYLE_LINK));
    for (size_t i = 0; i < count && i < DOCUMENTS_SHOWN; i++) {
        const satchel_status status =
            satchel_topics_get_document(topics, index, i, &document, sizeof document, error);
        if (status)
            return status;
        fputs(i > 0 ? ", " : "", stdout);
        print_string(stdout, document.id);
        if (document.chunks_all > 1)
            printf(" (%" PRId64 " of %" PRId64 ")", document.chunks, document.chunks_all);
    }
    if (count > DOCUMENTS_SHOWN)
        printf(" and %zu more", count - DOCUMENTS_SHOWN);
    printf("%s\n", style(cli->color_out, STYLE_PLAIN));
    return SATCHEL_OK;
}

static void print_sentence(const struct cli *cli, const satchel_topic_sentence *sentence) {
    struct flow flow;
    flow_begin(&flow, cli, stdout, 4);
    flow_text(&flow, "- ", 2);
    flow_text(&flow, sentence->text, sentence->length);
    flow_end(&flow);
    printf("    %s", style(cli->color_out, STYLE_DIM));
    print_string(stdout, sentence->document_id);
    fputs(": ", stdout);
    print_place(stdout, sentence->heading, sentence->page, sentence->time_ms, &sentence->range);
    printf("%s\n", style(cli->color_out, STYLE_PLAIN));
}

static satchel_status print_topic(const struct cli *cli, const satchel_topics *topics, size_t index,
                                  const satchel_topic *topic, satchel_error *error) {
    const bool color = cli->color_out;
    printf("%2zu. %s", index + 1, style(color, STYLE_BOLD));
    print_string(stdout, topic->word_count > 0 ? topic->label : "(no word stands out)");
    printf("%s  %s%" PRId64 " passages, %.0f %%%s\n", style(color, STYLE_PLAIN),
           style(color, STYLE_DIM), topic->chunks, 100 * topic->share, style(color, STYLE_PLAIN));
    satchel_status status = print_documents(cli, topics, index, topic->document_count, error);
    satchel_topic_sentence sentence;
    for (size_t i = 0; i < topic->sentence_count && !status; i++) {
        status = satchel_topics_get_sentence(topics, index, i, &sentence, sizeof sentence, error);
        if (!status)
            print_sentence(cli, &sentence);
    }
    fputc('\n', stdout);
    return status;
}

/* ------------------------------------------------------------------ all of them */

/* What a person should know of the passages that are not in any topic. */
static void note_pending(const struct cli *cli, const satchel_topics_info *info) {
    if (info->pending == 0 || cli->options.quiet)
        return;
    if (info->chunks == 0)
        fprintf(stderr,
                "satchel: none of the %" PRId64 " passages is embedded with this model; embed "
                "them: satchel sync ",
                info->pending);
    else
        fprintf(stderr,
                "satchel: %" PRId64 " of %" PRId64 " passages are not embedded yet, and left out; "
                "embed them: satchel sync ",
                info->pending, info->pending + info->chunks);
    print_string(stderr, cli->args[0]);
    fputc('\n', stderr);
}

static int show_topics(struct cli *cli, const satchel_topics *topics) {
    satchel_error error;
    satchel_topics_info info;
    const size_t count = satchel_topics_count(topics);
    satchel_status status = satchel_topics_get_info(topics, &info, sizeof info, &error);
    if (!status && !cli->options.json && count > 0)
        printf("%zu topics in %" PRId64 " passages of %" PRId64 " documents\n\n", count,
               info.chunks, info.documents);
    for (size_t i = 0; i < count && !status && !ferror(stdout); i++) {
        satchel_topic topic;
        status = satchel_topics_get(topics, i, &topic, sizeof topic, &error);
        if (!status)
            status = cli->options.json ? out_topic(topics, i, &topic, &error)
                                       : print_topic(cli, topics, i, &topic, &error);
    }
    if (status)
        return report(cli, NULL, &error);
    if (cli->options.json) {
        struct json json;
        out_begin(&json, stdout, "topics");
        out_integer(&json, "topics", (int64_t)count);
        out_integer(&json, "chunks", info.chunks);
        out_integer(&json, "pending", info.pending);
        out_integer(&json, "documents", info.documents);
        out_integer(&json, "iterations", info.iterations);
        out_end(&json);
    } else if (count == 0) {
        puts("Nothing to group.");
    }
    note_pending(cli, &info);
    return count ? EXIT_FINE : EXIT_NOTHING;
}

int cmd_cluster(struct cli *cli) {
    int code = open_model(cli, true);
    if (code == EXIT_FINE)
        code = open_store(cli, cli->args[0], false);
    if (code != EXIT_FINE)
        return code;
    struct progress progress;
    progress_begin(&progress, cli);
    satchel_topics_options options;
    satchel_topics_options_init(&options, sizeof options);
    options.k = (int32_t)cli->options.k;
    options.sentences = (int32_t)cli->options.representatives;
    options.iterations = (int32_t)cli->options.iterations;
    options.seed = (uint64_t)cli->options.seed;
    options.mode = cli->options.fast ? SATCHEL_KMEANS_FAST : SATCHEL_KMEANS_EXACT;
    options.filter = cli->options.filter;
    options.progress = progress_callback;
    options.progress_user = &progress;
    options.cancel = cli->cancel;
    satchel_error error;
    satchel_topics *topics = NULL;
    const satchel_status status = satchel_store_topics(&topics, cli->store, &options, &error);
    progress_clear(&progress);
    code = status ? report(cli, NULL, &error) : show_topics(cli, topics);
    satchel_topics_close(&topics);
    return code;
}
