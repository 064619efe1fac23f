/* The steps of scenarios: arguments from JSON, one public call, its result to JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/conformance/conformance.h"

enum { PATH = 1024 };

/* ------------------------------------------------------------------ arguments */

static const char *text_of(const json_t *step, const char *key) {
    return json_string_value(json_object_get(step, key));
}

static int64_t number_of(const json_t *step, const char *key) {
    return json_integer_value(json_object_get(step, key));
}

static int32_t flag_of(const json_t *step, const char *key) {
    return json_is_true(json_object_get(step, key));
}

/* JSON text of an argument that is an object, or NULL. To be freed. */
static char *object_of(const json_t *step, const char *key) {
    const json_t *value = json_object_get(step, key);
    return value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
}

static const char *path_of(const run *r, const char *name, char out[PATH]) {
    snprintf(out, PATH, "%s/%s", r->folder, name ? name : "");
    return out;
}

/* The bytes of "hex", or of "text". To be freed. */
static char *bytes_of(const json_t *step, size_t *length) {
    const char *hex = text_of(step, "hex");
    const json_t *text = json_object_get(step, "text");
    *length = hex ? strlen(hex) / 2 : json_string_length(text);
    char *bytes = malloc(*length + 1);
    if (!bytes)
        return NULL;
    if (hex)
        for (size_t i = 0; i < *length; i++) {
            const char two[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
            bytes[i] = (char)strtoul(two, NULL, 16);
        }
    else
        memcpy(bytes, json_string_value(text), *length);
    return bytes;
}

/* ------------------------------------------------------------------ names of values */

typedef struct name {
    int32_t value;
    const char *name;
} name;

static const name search_modes[] = {{SATCHEL_SEARCH_KEYWORD, "keyword"},
                                    {SATCHEL_SEARCH_VECTOR, "vector"},
                                    {SATCHEL_SEARCH_HYBRID, "hybrid"},
                                    {0, NULL}};
static const name answer_modes[] = {{SATCHEL_ANSWER_EXTRACTIVE, "extractive"},
                                    {SATCHEL_ANSWER_GENERATED, "generated"},
                                    {SATCHEL_ANSWER_EXTERNAL, "external"},
                                    {0, NULL}};
static const name reasons[] = {{SATCHEL_REASON_NONE, "none"},
                               {SATCHEL_REASON_REQUESTED, "requested"},
                               {SATCHEL_REASON_NO_GENERATOR, "no_generator"},
                               {SATCHEL_REASON_EMPTY_STORE, "empty_store"},
                               {SATCHEL_REASON_NO_EVIDENCE, "no_evidence"},
                               {SATCHEL_REASON_WEAK_EVIDENCE, "weak_evidence"},
                               {SATCHEL_REASON_NO_EMBEDDER, "no_embedder"},
                               {SATCHEL_REASON_GENERATOR, "generator"},
                               {SATCHEL_REASON_DECLINED, "declined"},
                               {0, NULL}};
static const name changes[] = {{SATCHEL_FILE_ADDED, "added"},
                               {SATCHEL_FILE_CHANGED, "changed"},
                               {SATCHEL_FILE_REMOVED, "removed"},
                               {SATCHEL_FILE_FAILED, "failed"},
                               {SATCHEL_FILE_SKIPPED, "skipped"},
                               {SATCHEL_FILE_RENAMED, "renamed"},
                               {0, NULL}};
static const name stops[] = {{SATCHEL_STOP_ITERATIONS, "iterations"},
                             {SATCHEL_STOP_UNCHANGED, "unchanged"},
                             {SATCHEL_STOP_TOLERANCE, "tolerance"},
                             {0, NULL}};

static const char *name_of(const name *names, int32_t value) {
    for (; names->name; names++)
        if (names->value == value)
            return names->name;
    return "?";
}

/* 0, the default, for an argument that is not given. */
static int32_t value_of(const name *names, const json_t *step, const char *key) {
    const char *wanted = text_of(step, key);
    for (; wanted && names->name; names++)
        if (strcmp(names->name, wanted) == 0)
            return names->value;
    return wanted ? -1 : 0;
}

static const char *status_of(satchel_status status) {
    return satchel_status_name(status) + strlen("SATCHEL_");
}

/* ------------------------------------------------------------------ results */

static json_t *result(satchel_status status) {
    return status ? json_pack("{ss}", "error", status_of(status)) : json_object();
}

static json_t *range_of(satchel_range range) {
    return json_pack("[IIII]", (json_int_t)range.start, (json_int_t)range.end,
                     (json_int_t)range.start_utf16, (json_int_t)range.end_utf16);
}

/* ------------------------------------------------------------------ files */

static void make_parents(char *path) {
    for (char *at = path + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        mkdir(path, 0777);
        *at = '/';
    }
}

static json_t *write_file(run *r, const json_t *step) {
    char path[PATH];
    path_of(r, text_of(step, "name"), path);
    make_parents(path);
    bool inside = json_object_get(step, "offset") != NULL;
    FILE *file = fopen(path, inside ? "r+b" : "wb");
    if (!file)
        return NULL;
    size_t length;
    char *bytes = bytes_of(step, &length);
    if (inside)
        fseek(file, (long)number_of(step, "offset"), SEEK_SET);
    bool written = bytes && fwrite(bytes, 1, length, file) == length;
    free(bytes);
    return fclose(file) == 0 && written ? json_object() : NULL;
}

static json_t *delete_file(run *r, const json_t *step) {
    char path[PATH];
    return remove(path_of(r, text_of(step, "name"), path)) == 0 ? json_object() : NULL;
}

/* ------------------------------------------------------------------ store */

static json_t *open_store(run *r, const json_t *step) {
    char path[PATH];
    const satchel_store_options options = {.struct_size = sizeof options,
                                           .model = flag_of(step, "embedder") ? r->embedder : NULL,
                                           .read_only = flag_of(step, "read_only"),
                                           .must_exist = flag_of(step, "must_exist"),
                                           .chunk_tokens =
                                               (int32_t)number_of(step, "chunk_tokens")};
    return result(satchel_store_open(&r->store, r->context, path_of(r, text_of(step, "path"), path),
                                     &options, NULL));
}

static json_t *close_store(run *r, const json_t *step) {
    (void)step;
    satchel_store_close(&r->store);
    return json_object();
}

static json_t *add(run *r, const json_t *step) {
    char *metadata = object_of(step, "metadata");
    const satchel_add_options options = {.struct_size = sizeof options,
                                         .title = text_of(step, "title"),
                                         .metadata = metadata,
                                         .must_be_new = flag_of(step, "must_be_new")};
    size_t length;
    char *bytes = bytes_of(step, &length);
    if (!bytes)
        return NULL;
    satchel_status status;
    if (strcmp(text_of(step, "do"), "add_bytes") == 0) {
        status = satchel_store_add_bytes(r->store, text_of(step, "id"), text_of(step, "media_type"),
                                         bytes, length, &options, NULL);
    } else {
        satchel_add_options text = options;
        text.media_type = text_of(step, "media_type");
        status = satchel_store_add_text(r->store, text_of(step, "id"), bytes, length, &text, NULL);
    }
    free(bytes);
    free(metadata);
    return result(status);
}

static json_t *remove_document(run *r, const json_t *step) {
    return result(satchel_store_remove(r->store, text_of(step, "id"), NULL));
}

static json_t *read_text(run *r, const json_t *step) {
    int64_t length = 0;
    satchel_status status =
        satchel_document_text(r->store, text_of(step, "id"), 0, NULL, 0, &length, NULL);
    if (status)
        return result(status);
    char *text = malloc((size_t)length + 1);
    if (!text)
        return NULL;
    status = satchel_document_text(r->store, text_of(step, "id"), 0, text, (size_t)length, &length,
                                   NULL);
    json_t *out =
        status ? result(status) : json_pack("{so}", "text", json_stringn(text, (size_t)length));
    free(text);
    return out;
}

static json_t *list(run *r, const json_t *step) {
    char *filter = object_of(step, "filter");
    const satchel_list_options options = {.struct_size = sizeof options, .filter = filter};
    satchel_documents *documents = NULL;
    satchel_status status = satchel_store_list(&documents, r->store, &options, NULL);
    free(filter);
    if (status)
        return result(status);
    json_t *found = json_array();
    for (size_t i = 0; i < satchel_documents_count(documents); i++) {
        satchel_document d;
        satchel_documents_get(documents, i, &d, sizeof d, NULL);
        json_array_append_new(found,
                              json_pack("{ss ss ss sI sI}", "id", d.id, "title", d.title,
                                        "media_type", d.media_type, "text_bytes",
                                        (json_int_t)d.text_bytes, "chunks", (json_int_t)d.chunks));
    }
    satchel_documents_close(&documents);
    return json_pack("{so}", "documents", found);
}

static json_t *stats(run *r, const json_t *step) {
    (void)step;
    satchel_store_stats s;
    satchel_status status = satchel_store_get_stats(r->store, &s, sizeof s, NULL);
    if (status)
        return result(status);
    return json_pack("{sI sI sI sI}", "documents", (json_int_t)s.documents, "chunks",
                     (json_int_t)s.chunks, "chunks_embedded", (json_int_t)s.chunks_embedded,
                     "chunks_pending", (json_int_t)s.chunks_pending);
}

static json_t *verify(run *r, const json_t *step) {
    (void)step;
    int64_t problems = 0;
    satchel_status status = satchel_store_verify(r->store, NULL, NULL, &problems, NULL);
    return status ? result(status) : json_pack("{sI}", "problems", (json_int_t)problems);
}

static json_t *backup(run *r, const json_t *step) {
    char path[PATH];
    return result(
        satchel_store_backup(r->store, path_of(r, text_of(step, "to"), path), NULL, NULL));
}

/* ------------------------------------------------------------------ search */

static json_t *hit_of(const satchel_results *results, size_t i) {
    satchel_hit hit;
    satchel_results_get(results, i, &hit, sizeof hit, NULL);
    json_t *matches = json_array();
    for (size_t m = 0; m < hit.match_count; m++) {
        satchel_range range;
        satchel_results_get_match(results, i, m, &range, NULL);
        json_array_append_new(matches, range_of(range));
    }
    return json_pack("{ss ss ss so so so si so}", "id", hit.document_id, "title", hit.title,
                     "heading", hit.heading, "range", range_of(hit.range), "snippet",
                     range_of(hit.snippet), "text", json_stringn(hit.text, hit.text_length), "page",
                     (int)hit.page, "matches", matches);
}

static json_t *search(run *r, const json_t *step) {
    char *filter = object_of(step, "filter");
    const satchel_search_options options = {.struct_size = sizeof options,
                                            .mode = value_of(search_modes, step, "mode"),
                                            .k = (int32_t)number_of(step, "k"),
                                            .filter = filter};
    satchel_results *results = NULL;
    satchel_status status =
        satchel_search(&results, r->store, text_of(step, "query"), &options, NULL);
    free(filter);
    if (status)
        return result(status);
    json_t *hits = json_array();
    for (size_t i = 0; i < satchel_results_count(results); i++)
        json_array_append_new(hits, hit_of(results, i));
    json_t *out = json_pack("{ss so}", "mode", name_of(search_modes, satchel_results_mode(results)),
                            "hits", hits);
    satchel_results_close(&results);
    return out;
}

/* ------------------------------------------------------------------ streams */

/* NULL for what is left out. */
static json_t *event_of(const satchel_event *event) {
    switch (event->kind) {
    case SATCHEL_EVENT_MODE:
        return json_pack("[ssss]", "mode", name_of(answer_modes, event->mode->mode),
                         name_of(reasons, event->mode->reason),
                         name_of(search_modes, event->mode->search_mode));
    case SATCHEL_EVENT_HITS:
        return json_pack("[sI]", "hits", (json_int_t)satchel_results_count(event->hits));
    case SATCHEL_EVENT_TOKEN:
        return json_pack("[so]", "token", json_stringn(event->token->text, event->token->length));
    case SATCHEL_EVENT_CITATION:
        return json_pack("[ssioob]", "citation", event->citation->document_id,
                         (int)event->citation->hit, range_of(event->citation->answer),
                         range_of(event->citation->source), (int)event->citation->verified);
    case SATCHEL_EVENT_REFUSAL:
        return json_pack("[ss]", "refusal", name_of(reasons, event->refusal->reason));
    case SATCHEL_EVENT_DONE:
        return json_pack("[sII]", "done", (json_int_t)event->done->hits,
                         (json_int_t)event->done->sentences);
    default:
        return NULL;
    }
}

/* All events of an answer; closes the stream. `cancel` is fired after `after` of them, if after > 0. */
static json_t *events_of(satchel_stream *stream, satchel_cancel *cancel, int64_t after) {
    json_t *events = json_array();
    satchel_status status = SATCHEL_OK;
    for (bool done = false; !done && !status;) {
        satchel_event event;
        status = satchel_stream_next(stream, &event, sizeof event, NULL);
        json_t *told = status ? NULL : event_of(&event);
        if (told)
            json_array_append_new(events, told);
        done = !status && event.kind == SATCHEL_EVENT_DONE;
        if (told && after > 0 && (int64_t)json_array_size(events) == after)
            satchel_cancel_fire(cancel);
    }
    satchel_stream_close(&stream);
    json_t *out = result(status);
    json_object_set_new(out, "events", events);
    return out;
}

/* What `ask` and `prepare` share. The filter is to be freed. */
static satchel_ask_options ask_options_of(const json_t *step, char *filter) {
    return (satchel_ask_options){.struct_size = sizeof(satchel_ask_options),
                                 .mode = value_of(answer_modes, step, "mode"),
                                 .search_mode = value_of(search_modes, step, "search_mode"),
                                 .k = (int32_t)number_of(step, "k"),
                                 .max_sentences = (int32_t)number_of(step, "max_sentences"),
                                 .filter = filter,
                                 .refusal_threshold =
                                     (float)json_number_value(json_object_get(step, "threshold")),
                                 .context_tokens = (int32_t)number_of(step, "context_tokens")};
}

static json_t *ask(run *r, const json_t *step) {
    char *filter = object_of(step, "filter");
    satchel_ask_options options = ask_options_of(step, filter);
    const json_t *pieces = json_object_get(step, "pieces");
    satchel_cancel *cancel = NULL;
    satchel_model *generator = NULL;
    satchel_stream *stream = NULL;
    satchel_status status = satchel_cancel_open(&cancel, r->context, NULL);
    if (!status && pieces)
        status = open_script(r, &generator, pieces, NULL);
    options.cancel = cancel;
    options.generator = generator;
    if (!status)
        status = satchel_ask(&stream, r->store, text_of(step, "question"), &options, NULL);
    free(filter);
    json_t *out =
        status ? result(status) : events_of(stream, cancel, number_of(step, "cancel_after"));
    satchel_model_close(&generator);
    satchel_cancel_close(&cancel);
    return out;
}

static json_t *prepare(run *r, const json_t *step) {
    char *filter = object_of(step, "filter");
    const satchel_ask_options options = ask_options_of(step, filter);
    satchel_prepared_close(&r->prepared);
    satchel_status status =
        satchel_ask_prepare(&r->prepared, r->store, text_of(step, "question"), &options, NULL);
    free(filter);
    satchel_prepared_info info;
    if (!status)
        status = satchel_prepared_get_info(r->prepared, &info, sizeof info, NULL);
    return status ? result(status)
                  : json_pack("{sI ss}", "passages", (json_int_t)info.passages, "refused",
                              name_of(reasons, info.refused));
}

static json_t *resolve(run *r, const json_t *step) {
    const json_t *text = json_object_get(step, "text");
    satchel_stream *stream = NULL;
    satchel_status status =
        satchel_prepared_resolve(&stream, r->prepared, json_string_value(text),
                                 json_string_length(text), flag_of(step, "final"), NULL);
    return status ? result(status) : events_of(stream, NULL, 0);
}

static json_t *sync_folder(run *r, const json_t *step) {
    char path[PATH];
    const satchel_sync_options options = {.struct_size = sizeof options,
                                          .root = text_of(step, "root"),
                                          .allow_removals = flag_of(step, "allow_removals")};
    satchel_stream *stream = NULL;
    satchel_status status = satchel_store_sync(
        &stream, r->store, path_of(r, text_of(step, "folder"), path), &options, NULL);
    json_t *files = json_array(), *done = NULL;
    while (!status && !done) {
        satchel_event event;
        status = satchel_stream_next(stream, &event, sizeof event, NULL);
        if (!status && event.kind == SATCHEL_EVENT_FILE)
            json_array_append_new(files, json_pack("[sss]", event.file->document_id,
                                                   name_of(changes, event.file->change),
                                                   status_of(event.file->status)));
        if (!status && event.kind == SATCHEL_EVENT_DONE)
            done = json_pack("[IIIIIII]", (json_int_t)event.done->added,
                             (json_int_t)event.done->changed, (json_int_t)event.done->removed,
                             (json_int_t)event.done->renamed, (json_int_t)event.done->unchanged,
                             (json_int_t)event.done->failed, (json_int_t)event.done->skipped);
    }
    satchel_stream_close(&stream);
    json_t *out = result(status);
    json_object_set_new(out, "files", files);
    if (done)
        json_object_set_new(out, "done", done);
    return out;
}

/* ------------------------------------------------------------------ models and clusters */

static json_t *open_model(run *r, const json_t *step) {
    char path[PATH];
    satchel_model *model = NULL;
    satchel_status status =
        satchel_model_open(&model, r->context, path_of(r, text_of(step, "path"), path), NULL, NULL);
    satchel_model_close(&model);
    return result(status);
}

/* (rows, columns) floats of an array of arrays. To be freed. */
static float *rows_of(const json_t *array, size_t *columns) {
    size_t rows = json_array_size(array);
    *columns = json_array_size(json_array_get(array, 0));
    float *out = calloc(rows * *columns + 1, sizeof *out);
    for (size_t i = 0; out && i < rows; i++)
        for (size_t j = 0; j < *columns; j++)
            out[i * *columns + j] =
                (float)json_number_value(json_array_get(json_array_get(array, i), j));
    return out;
}

static json_t *kmeans(run *r, const json_t *step) {
    size_t dimension, same, k = (size_t)number_of(step, "k");
    const json_t *points = json_object_get(step, "points");
    float *rows = rows_of(points, &dimension);
    float *initial = rows_of(json_object_get(step, "initial"), &same);
    float *centroids = calloc(k * dimension + 1, sizeof *centroids);
    int32_t *labels = calloc(json_array_size(points) + 1, sizeof *labels);
    if (!rows || !initial || !centroids || !labels)
        return NULL;
    const satchel_points given = {.struct_size = sizeof given,
                                  .count = json_array_size(points),
                                  .dimension = (int32_t)dimension,
                                  .rows = rows};
    const satchel_kmeans_options options = {.struct_size = sizeof options,
                                            .iterations = (int32_t)number_of(step, "iterations"),
                                            .initial = same ? initial : NULL};
    satchel_kmeans_info info;
    satchel_status status = satchel_kmeans(r->context, &given, k, centroids, labels, &info,
                                           sizeof info, &options, NULL);
    json_t *out = result(status);
    if (!status) {
        json_t *list = json_array();
        for (uint64_t i = 0; i < given.count; i++)
            json_array_append_new(list, json_integer(labels[i]));
        json_object_set_new(out, "labels", list);
        json_object_set_new(out, "iterations", json_integer(info.iterations));
        json_object_set_new(out, "stop", json_string(name_of(stops, info.stop)));
    }
    free(rows);
    free(initial);
    free(centroids);
    free(labels);
    return out;
}

/* ------------------------------------------------------------------ all of them */

json_t *do_step(run *r, const json_t *step) {
    static const struct {
        const char *name;
        json_t *(*run)(run *r, const json_t *step);
    } steps[] = {
        {"open", open_store},
        {"close", close_store},
        {"write", write_file},
        {"damage", write_file},
        {"delete", delete_file},
        {"add_text", add},
        {"add_bytes", add},
        {"remove", remove_document},
        {"text", read_text},
        {"list", list},
        {"stats", stats},
        {"search", search},
        {"ask", ask},
        {"prepare", prepare},
        {"resolve", resolve},
        {"sync", sync_folder},
        {"verify", verify},
        {"backup", backup},
        {"open_model", open_model},
        {"kmeans", kmeans},
    };
    const char *wanted = text_of(step, "do");
    for (size_t i = 0; wanted && i < sizeof steps / sizeof *steps; i++)
        if (strcmp(steps[i].name, wanted) == 0)
            return steps[i].run(r, step);
    fprintf(stderr, "there is no step '%s'\n", wanted ? wanted : "");
    return NULL;
}
