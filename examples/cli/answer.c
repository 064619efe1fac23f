/* Answers to questions: the models and options they take, the text as it comes with its marks, and the list
 * of what the marks stand for. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

struct source {
    size_t mark;                         /* what the answer calls it */
    char *document_id, *title, *heading; /* copies: event memory ends with the next event */
    satchel_range range;
    int32_t page;
    int64_t time_ms;
    bool verified;
};

struct answer {
    struct cli *cli;
    struct progress progress; /* of reading the prompt */
    bool generated;           /* the text has marks of its own */
    struct source *sources;
    size_t count, capacity;
    int64_t length; /* of the answer so far, in bytes */
    struct flow flow;
    bool begun, refused;
    bool wrote; /* generated text, whose line is to be ended */
};

/* ------------------------------------------------------------------ sources */

static bool same_source(const struct source *source, const satchel_event_citation *citation) {
    return source->range.start == citation->source.start &&
           source->range.end == citation->source.end && source->verified == citation->verified &&
           strcmp(source->document_id, citation->document_id) == 0;
}

/* The number of the citation's source, from 1; 0 when out of memory. */
static size_t number_source(struct answer *answer, const satchel_event_citation *citation) {
    for (size_t i = 0; i < answer->count; i++)
        if (same_source(&answer->sources[i], citation))
            return i + 1;
    if (answer->count == answer->capacity) {
        const size_t capacity = answer->capacity ? 2 * answer->capacity : 8;
        struct source *sources = realloc(answer->sources, capacity * sizeof *sources);
        if (!sources)
            return 0;
        answer->sources = sources;
        answer->capacity = capacity;
    }
    struct source *source = &answer->sources[answer->count];
    *source =
        (struct source){.mark = answer->generated ? (size_t)citation->hit + 1 : answer->count + 1,
                        .document_id = strdup(citation->document_id),
                        .title = strdup(citation->title ? citation->title : ""),
                        .heading = strdup(citation->heading ? citation->heading : ""),
                        .range = citation->source,
                        .page = citation->page,
                        .time_ms = citation->time_ms,
                        .verified = citation->verified != 0};
    answer->count++; /* to be freed even if a copy failed */
    return source->document_id && source->title && source->heading ? answer->count : 0;
}

static void free_sources(struct answer *answer) {
    for (size_t i = 0; i < answer->count; i++) {
        free(answer->sources[i].document_id);
        free(answer->sources[i].title);
        free(answer->sources[i].heading);
    }
    free(answer->sources);
}

static void print_sources(const struct answer *answer) {
    const bool color = answer->cli->color_out;
    printf("\nSources\n");
    for (size_t i = 0; i < answer->count; i++) {
        const struct source *source = &answer->sources[i];
        if (!source->document_id || !source->title || !source->heading)
            continue;
        printf("%s[%zu]%s %s", style(color, STYLE_LINK), source->mark, style(color, STYLE_PLAIN),
               style(color, STYLE_BOLD));
        print_string(stdout, source->document_id);
        printf("%s: ", style(color, STYLE_PLAIN));
        print_place(stdout, source->heading, source->page, source->time_ms, &source->range);
        if (!source->verified)
            fputs(" (not verbatim)", stdout);
        fputc('\n', stdout);
    }
}

/* ------------------------------------------------------------------ events for people */

static void begin(struct answer *answer) {
    if (!answer->begun)
        flow_begin(&answer->flow, answer->cli, stdout, 0);
    answer->begun = true;
}

static void end(struct answer *answer) {
    if (answer->begun)
        flow_end(&answer->flow);
    if (answer->wrote)
        fputc('\n', stdout);
    answer->begun = answer->wrote = false;
}

static void print_closest(const struct cli *cli, const satchel_results *hits) {
    const size_t count = satchel_results_count(hits);
    if (count == 0)
        return;
    printf("\nClosest passages\n");
    satchel_hit hit;
    for (size_t i = 0; i < count && i < 3; i++) {
        if (satchel_results_get(hits, i, &hit, sizeof hit, NULL))
            return;
        fputs("  ", stdout);
        print_string(stdout, hit.document_id);
        fputs(": ", stdout);
        print_place(stdout, hit.heading, hit.page, hit.time_ms, &hit.range);
        fputc('\n', stdout);
        print_passage(cli, stdout, hits, i, &hit, 4);
    }
}

static void show_refusal(const struct answer *answer, const satchel_event_refusal *refusal) {
    const bool color = answer->cli->color_out;
    fputs(style(color, STYLE_BOLD), stdout);
    switch (refusal->reason) {
    case SATCHEL_REASON_EMPTY_STORE:
        fputs("No answer: there are no documents to look in.", stdout);
        break;
    case SATCHEL_REASON_NO_EVIDENCE:
        fputs("No answer: nothing in the documents matches the question.", stdout);
        break;
    case SATCHEL_REASON_DECLINED:
        fputs("No answer: the model found none in the documents.", stdout);
        break;
    default:
        fputs("No answer: the documents do not support one.", stdout);
        break;
    }
    printf("%s", style(color, STYLE_PLAIN));
    if (refusal->reason == SATCHEL_REASON_WEAK_EVIDENCE)
        printf(" (confidence %.2f, needs %.2f; --never-refuse shows the best there is)",
               refusal->confidence, refusal->threshold);
    fputc('\n', stdout);
}

static void show_event(struct answer *answer, const satchel_event *event) {
    char mark[32];
    size_t number;
    switch (event->kind) {
    case SATCHEL_EVENT_MODE:
        answer->generated = event->mode->mode == SATCHEL_ANSWER_GENERATED;
        break;
    case SATCHEL_EVENT_TOKEN:
        if (answer->generated) { /* its lines are its own */
            print_safe(stdout, event->token->text, event->token->length, true);
            answer->wrote = true;
            fflush(stdout);
            break;
        }
        /* A piece that starts a line starts one here; line ends within it are the document's
         * wrapping. */
        if (event->token->length > 0 && event->token->text[0] == '\n')
            end(answer);
        begin(answer);
        flow_text(&answer->flow, event->token->text, event->token->length);
        answer->length += (int64_t)event->token->length;
        fflush(stdout);
        break;
    case SATCHEL_EVENT_CITATION:
        number = number_source(answer, event->citation);
        /* A citation of what was just said is marked there; any other is in the list alone. */
        if (number && !answer->generated && event->citation->answer.end == answer->length) {
            begin(answer);
            snprintf(mark, sizeof mark, " [%zu] ", number);
            flow_style(&answer->flow, style(answer->cli->color_out, STYLE_LINK));
            flow_text(&answer->flow, mark, strlen(mark));
            flow_style(&answer->flow, style(answer->cli->color_out, STYLE_PLAIN));
        }
        break;
    case SATCHEL_EVENT_REFUSAL:
        end(answer);
        answer->refused = true;
        show_refusal(answer, event->refusal);
        break;
    default:
        break;
    }
}

/* ------------------------------------------------------------------ events for programs */

static void out_citation(struct json *json, const satchel_event_citation *citation) {
    out_key(json, "answer");
    out_open(json, '{');
    out_range(json, &citation->answer);
    out_close(json, '}');
    out_string(json, "document_id", citation->document_id);
    out_string(json, "title", citation->title);
    out_string(json, "heading", citation->heading);
    out_integer(json, "chunk", citation->chunk);
    out_key(json, "source");
    out_open(json, '{');
    out_range(json, &citation->source);
    out_close(json, '}');
    out_integer(json, "hit", citation->hit);
    out_boolean(json, "verified", citation->verified);
    out_number(json, "score", citation->score, 7);
    out_integer(json, "page", citation->page);
    out_integer(json, "time_ms", citation->time_ms);
}

static void out_hits(struct json *json, const satchel_results *hits) {
    out_string(json, "search_mode", search_mode_name(satchel_results_mode(hits)));
    out_key(json, "hits");
    out_open(json, '[');
    satchel_hit hit;
    for (size_t i = 0; i < satchel_results_count(hits); i++) {
        if (satchel_results_get(hits, i, &hit, sizeof hit, NULL))
            break;
        out_key(json, NULL);
        out_open(json, '{');
        out_hit(json, hits, i, &hit);
        out_close(json, '}');
    }
    out_close(json, ']');
}

static void out_event(struct answer *answer, const satchel_event *event) {
    struct json json;
    switch (event->kind) {
    case SATCHEL_EVENT_MODE:
        answer->generated = event->mode->mode == SATCHEL_ANSWER_GENERATED;
        out_begin(&json, stdout, "mode");
        out_string(&json, "mode",
                   event->mode->mode == SATCHEL_ANSWER_GENERATED ? "generated" : "extractive");
        out_string(&json, "reason", reason_name(event->mode->reason));
        out_string(&json, "search_mode", search_mode_name(event->mode->search_mode));
        break;
    case SATCHEL_EVENT_HITS:
        out_begin(&json, stdout, "hits");
        out_hits(&json, event->hits);
        break;
    case SATCHEL_EVENT_TOKEN:
        out_begin(&json, stdout, "token");
        out_text(&json, "text", event->token->text, event->token->length);
        break;
    case SATCHEL_EVENT_CITATION:
        out_begin(&json, stdout, "citation");
        out_citation(&json, event->citation);
        break;
    case SATCHEL_EVENT_REFUSAL:
        answer->refused = true;
        out_begin(&json, stdout, "refusal");
        out_string(&json, "reason", reason_name(event->refusal->reason));
        out_number(&json, "confidence", event->refusal->confidence, 7);
        out_number(&json, "threshold", event->refusal->threshold, 7);
        break;
    case SATCHEL_EVENT_DONE:
        out_begin(&json, stdout, "done");
        out_integer(&json, "hits", event->done->hits);
        out_integer(&json, "sentences", event->done->sentences);
        out_number(&json, "confidence", event->done->confidence, 7);
        out_integer(&json, "search_ms", event->done->search_ms);
        out_integer(&json, "answer_ms", event->done->answer_ms);
        if (answer->generated)
            out_speed(&json, event->done);
        out_integer(&json, "elapsed_ms", event->done->elapsed_ms);
        break;
    default:
        return;
    }
    out_end(&json);
}

/* ------------------------------------------------------------------ showing */

satchel_status show_cited(struct cli *cli, satchel_stream *stream, struct said *said, bool *refused,
                          satchel_error *error) {
    struct answer answer = {.cli = cli};
    satchel_event event = {0};
    satchel_status status = SATCHEL_OK;
    progress_begin(&answer.progress, cli);
    while (!status && event.kind != SATCHEL_EVENT_DONE && !ferror(stdout)) {
        status = next_said(stream, &event, &answer.progress, said, error);
        if (status)
            break;
        if (cli->options.json)
            out_event(&answer, &event);
        else
            show_event(&answer, &event);
        fflush(stdout);
    }
    end(&answer);
    if (!cli->options.json && answer.count > 0)
        print_sources(&answer);
    if (!status && event.kind == SATCHEL_EVENT_DONE && event.done->prompt_tokens > 0)
        note_speed(cli, event.done);
    free_sources(&answer);
    *refused = answer.refused;
    return status;
}

void show_closest(const struct cli *cli, const char *question, const satchel_ask_options *asked) {
    satchel_search_options options;
    satchel_search_options_init(&options, sizeof options);
    options.mode = asked->search_mode;
    options.k = 3;
    options.filter = asked->filter;
    options.cancel = asked->cancel;
    satchel_results *results = NULL;
    if (satchel_search(&results, cli->store, question, &options, NULL) == SATCHEL_OK)
        print_closest(cli, results);
    satchel_results_close(&results);
}

/* ------------------------------------------------------------------ models and options */

int open_answering(struct cli *cli, bool required, satchel_model **generator) {
    satchel_model_info info;
    satchel_error error;
    const char *named = cli->options.model;
    if (named) {
        const int code = open_writing(cli, named, generator);
        if (code != EXIT_FINE)
            return code;
        if (satchel_model_get_info(*generator, &info, sizeof info, &error))
            return report(cli, named, &error);
        if (info.kind != SATCHEL_MODEL_GENERATOR && required)
            return embeds_only(named);
        if (info.kind != SATCHEL_MODEL_GENERATOR)
            satchel_model_close(generator);
    }
    if (*generator || !named)
        cli->options.model = cli->options.embedder;
    if (cli->options.mode == SATCHEL_SEARCH_KEYWORD)
        return EXIT_FINE;
    return open_model(cli, cli->options.mode == SATCHEL_SEARCH_VECTOR);
}

void ask_options(const struct cli *cli, satchel_model *generator, const struct writing *writing,
                 satchel_ask_options *options) {
    satchel_ask_options_init(options, sizeof *options);
    options->search_mode = cli->options.mode;
    options->k = (int32_t)cli->options.k;
    options->max_sentences = (int32_t)cli->options.sentences;
    options->filter = cli->options.filter;
    options->refusal_threshold = cli->options.never_refuse ? -1 : 0;
    options->cancel = writing->options.cancel;
    options->generator = generator;
    options->generate = &writing->options;
    options->prompt = writing->prompt;
}
