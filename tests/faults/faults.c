/*
 * Every k-th allocation and every k-th file call fails, k rising until a run passes without a
 * failure; once only, and for good from there on; writes cut in half. Run with interpose.so preloaded:
 *
 *     LD_PRELOAD=interpose.so faults SCENARIO memory|file|torn once|forever FOLDER MODEL [K]
 *
 * With K only that point is tried; FAULT_TRACE=1 in the environment then shows who was made to fail.
 *
 * Each run works on a fresh copy of a store that already holds two documents. A call may fail, with a
 * status and a message. It may not crash, leak, lose what was committed before, lose what it said it
 * had committed, or leave the store in a state that verify complains of.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/faults/faults.h"
#include "tests/faults/interpose.h"
#include "tests/support/fake_embedder.h"

char model_path[600];
static char folder[512], fixture[600], store_path[600], docs_path[600], points_path[600];
static int verbose; /* one point only: tell what every call said */

enum { POINTS = 40, POINT_SIZE = 3 }; /* of the file of points */

#define KEPT_ID "kept/one"
#define KEPT_TEXT "Harbour pilots board the ship two miles before the breakwater."
#define KEPT2_ID "kept/two"
#define KEPT2_TEXT "The lamp room keeps spare mantles in a tin box."
#define NEW_ID "new/guide.md"
#define NEW_TEXT                                                                                   \
    "# Keeper's guide\n\nTrim the wick at dusk.\n\n## Fog\n\nThe horn sounds every ninety "        \
    "seconds.\n\n- oil\n- wick\n\n| day | oil |\n|---|---|\n| Monday | two pints |\n"
#define NEW_HTML                                                                                   \
    "<html><head><title>Tide table</title></head><body><h1>Tides</h1><p>High water at "            \
    "<b>noon</b>.<p>Low water at six &amp; midnight.</body></html>"

/* A failed call must say why; what it says is checked here for every call of every run. */
int judge(const char *call, satchel_status status, const satchel_error *error) {
    if (status == SATCHEL_OK)
        return 1;
    if (verbose)
        fprintf(stderr, "  (%s: %s)\n", call, error->message);
    if (status > 0 || strcmp(satchel_status_name(status), "SATCHEL_UNKNOWN") == 0)
        problem(call, "returned an unknown status");
    if (error->code != status || error->message[0] == '\0')
        problem(call, "failed without filling the error");
    if (status == SATCHEL_INTERNAL || status == SATCHEL_DAMAGED || status == SATCHEL_NOT_A_STORE ||
        status == SATCHEL_TOO_NEW)
        problem(call, error->message); /* an injected fault is not damage */
    return 0;
}

/* ------------------------------------------------------------------ plain file work, no faults */

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "wb");
    must(file && fwrite(text, 1, strlen(text), file) == strlen(text) && fclose(file) == 0, path);
}

static void remove_store(void) {
    char path[640];
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(path, sizeof path, "%s%s", store_path, ends[i]);
        unlink(path);
    }
}

/* ------------------------------------------------------------------ scenarios */

int open_context(run *r) {
    satchel_error error = {0};
    satchel_context_options options;
    satchel_context_options_init(&options, sizeof options);
    options.threads = 1; /* the same calls in the same order in every run */
    return judge("context_open", satchel_context_open(&r->context, &options, &error), &error);
}

int open_all(run *r) {
    satchel_error error = {0};
    if (!open_context(r))
        return 0;
    satchel_embedder embedder;
    fake_embedder_init(&embedder, 16);
    if (!judge("model_from_embedder",
               satchel_model_from_embedder(&r->model, r->context, &embedder, &error), &error))
        return 0;
    satchel_store_options store_options;
    satchel_store_options_init(&store_options, sizeof store_options);
    store_options.model = r->model;
    return judge("store_open",
                 satchel_store_open(&r->store, r->context, store_path, &store_options, &error),
                 &error);
}

static void close_all(run *r) {
    satchel_store_close(&r->store);
    satchel_model_close(&r->model);
    satchel_context_close(&r->context);
}

static void scenario_add(run *r) {
    satchel_error error = {0};
    if (!open_all(r))
        return;
    satchel_add_options options;
    satchel_add_options_init(&options, sizeof options);
    options.media_type = "text/markdown";
    options.metadata = "{\"author\":\"Ines\",\"tags\":[\"oil\",\"fog\"],\"year\":1911}";
    r->added = judge("add_text",
                     satchel_store_add_text(r->store, NEW_ID, NEW_TEXT, SATCHEL_NUL_TERMINATED,
                                            &options, &error),
                     &error);
    r->html_added = judge("add_bytes",
                          satchel_store_add_bytes(r->store, "new/tides.html", "text/html", NEW_HTML,
                                                  strlen(NEW_HTML), NULL, &error),
                          &error);
    r->tried_removal = 1;
    r->removed = judge("remove", satchel_store_remove(r->store, KEPT2_ID, &error), &error);
    r->succeeded = r->added && r->html_added && r->removed;
}

/* Pulls a stream to its end; 1 if it got there. */
int drain(satchel_stream *stream, const char *what) {
    satchel_error error = {0};
    satchel_event event;
    for (int i = 0; i < 1000; i++) {
        if (!judge(what, satchel_stream_next(stream, &event, sizeof event, &error), &error))
            return 0;
        if (event.kind == SATCHEL_EVENT_DONE)
            return 1;
    }
    problem(what, "the stream does not end");
    return 0;
}

static void scenario_search(run *r) {
    satchel_error error = {0};
    if (!open_all(r))
        return;
    satchel_search_options options;
    satchel_search_options_init(&options, sizeof options);
    options.filter = "{\"and\":[{\"path\":\"kept/*\"},{\"not\":{\"meta.author\":\"nobody\"}}]}";
    satchel_results *results = NULL;
    int found = 0;
    if (judge("search",
              satchel_search(&results, r->store, "where do pilots board", &options, &error),
              &error)) {
        if (satchel_results_count(results) != 2)
            problem("search", "two documents are there");
        satchel_hit hit;
        found =
            judge("results_get", satchel_results_get(results, 0, &hit, sizeof hit, &error), &error);
    }
    satchel_results_close(&results);
    satchel_stream *stream = NULL;
    int asked = 0;
    if (judge("ask",
              satchel_ask(&stream, r->store, "Where do pilots board the ship?", NULL, &error),
              &error))
        asked = drain(stream, "ask");
    satchel_stream_close(&stream);
    satchel_documents *documents = NULL;
    int listed = judge("list", satchel_store_list(&documents, r->store, NULL, &error), &error);
    satchel_documents_close(&documents);
    r->succeeded = found && asked && listed;
}

static void scenario_sync(run *r) {
    satchel_error error = {0};
    if (!open_all(r))
        return;
    satchel_stream *stream = NULL;
    if (judge("sync", satchel_store_sync(&stream, r->store, docs_path, NULL, &error), &error))
        r->succeeded = drain(stream, "sync");
    satchel_stream_close(&stream);
}

static void scenario_backup(run *r) {
    satchel_error error = {0};
    if (!open_all(r))
        return;
    char path[700];
    snprintf(path, sizeof path, "%s/backup.satchel", folder);
    int copied = judge("backup", satchel_store_backup(r->store, path, NULL, &error), &error);
    int64_t problems = 0;
    int verified =
        judge("verify", satchel_store_verify(r->store, NULL, NULL, &problems, &error), &error);
    if (verified && problems != 0)
        problem("verify", "found problems in a sound store");
    r->succeeded = copied && verified;
    unlink(path);
}

/* The real encoder: open a GGUF, embed, tokenize. */
static void scenario_model(run *r) {
    satchel_error error = {0};
    if (!open_context(r))
        return;
    if (!judge("model_open", satchel_model_open(&r->model, r->context, model_path, NULL, &error),
               &error))
        return;
    satchel_model_info info = {0};
    judge("get_info", satchel_model_get_info(r->model, &info, sizeof info, &error), &error);
    satchel_text texts[2] = {{"trim the wick", 13}, {"", 0}};
    float out[2 * 4096];
    int32_t tokens[16];
    size_t count;
    r->succeeded =
        info.dimension > 0 && info.dimension <= 4096 &&
        judge("embed",
              satchel_model_embed(r->model, SATCHEL_ROLE_DOCUMENT, texts, 2, out, NULL, &error),
              &error) &&
        judge("tokenize", satchel_model_tokenize(r->model, "dusk", 4, tokens, 16, &count, &error),
              &error);
}

/* Topics of the store, and a clustering of points in a file. */
static void scenario_cluster(run *r) {
    satchel_error error = {0};
    if (!open_all(r))
        return;
    satchel_topics_options options;
    satchel_topics_options_init(&options, sizeof options);
    options.k = 2;
    satchel_topics *topics = NULL;
    int grouped =
        judge("topics", satchel_store_topics(&topics, r->store, &options, &error), &error);
    if (grouped && satchel_topics_count(topics) == 0)
        problem("topics", "two documents are there");
    satchel_topics_close(&topics);

    enum { K = 4 };
    float centroids[K][POINT_SIZE];
    const satchel_points points = {.struct_size = sizeof points,
                                   .count = POINTS,
                                   .dimension = POINT_SIZE,
                                   .path = points_path};
    int32_t labels[POINTS];
    satchel_kmeans_options kmeans;
    satchel_kmeans_options_init(&kmeans, sizeof kmeans);
    kmeans.iterations = 3;
    kmeans.init = SATCHEL_INIT_PARALLEL;
    int clustered = judge(
        "kmeans",
        satchel_kmeans(r->context, &points, K, &centroids[0][0], labels, NULL, 0, &kmeans, &error),
        &error);
    for (int i = 0; i < POINTS && clustered; i++)
        if (labels[i] < 0 || labels[i] >= K)
            problem("kmeans", "a label out of range");
    r->succeeded = grouped && clustered;
}

static const struct {
    const char *name;
    void (*run)(run *);
    int has_store;
} scenarios[] = {
    {"add", scenario_add, 1},           {"search", scenario_search, 1},
    {"sync", scenario_sync, 1},         {"backup", scenario_backup, 1},
    {"model", scenario_model, 0},       {"cluster", scenario_cluster, 1},
    {"generate", scenario_generate, 0}, {"ask", scenario_ask, 1},
    {"prepare", scenario_prepare, 1},
};

/* ------------------------------------------------------------------ after each run */

static int32_t note_problem(void *user, const char *text) {
    (void)user;
    problem("verify", text);
    return 0;
}

/* Compares the stored text of a document with `text`; NULL: it must be absent. */
static void expect_text(satchel_store *store, const char *id, const char *text) {
    satchel_error error = {0};
    char found[1024];
    int64_t length = 0;
    satchel_status status =
        satchel_document_text(store, id, 0, found, sizeof found, &length, &error);
    if (!text) {
        if (status != SATCHEL_NOT_FOUND)
            problem(id, "is there, but was removed");
    } else if (status != SATCHEL_OK) {
        problem(id, error.message);
    } else if ((size_t)length != strlen(text) || memcmp(found, text, strlen(text)) != 0) {
        problem(id, "has another text");
    }
}

static void check_store(const run *r) {
    satchel_error error = {0};
    run fresh = {0};
    if (!open_all(&fresh)) {
        problem("reopen", "failed");
        close_all(&fresh);
        return;
    }
    int64_t problems = 0, length = 0;
    if (satchel_store_verify(fresh.store, note_problem, NULL, &problems, &error) != SATCHEL_OK)
        problem("verify after the run", error.message);
    expect_text(fresh.store, KEPT_ID, KEPT_TEXT);
    if (r->removed)
        expect_text(fresh.store, KEPT2_ID, NULL);
    else if (!r->tried_removal)
        expect_text(fresh.store, KEPT2_ID, KEPT2_TEXT);
    if (r->added && satchel_document_text(fresh.store, NEW_ID, 0, NULL, 0, &length, &error))
        problem(NEW_ID, "was acknowledged and is gone");
    if (r->html_added &&
        satchel_document_text(fresh.store, "new/tides.html", 0, NULL, 0, &length, &error))
        problem("new/tides.html", "was acknowledged and is gone");
    close_all(&fresh);
}

static void make_fixture(void) {
    run r = {0};
    satchel_error error = {0};
    snprintf(store_path, sizeof store_path, "%s/fixture.satchel", folder);
    remove_store();
    must(open_all(&r), "the fixture store");
    must(satchel_store_add_text(r.store, KEPT_ID, KEPT_TEXT, SATCHEL_NUL_TERMINATED, NULL,
                                &error) == SATCHEL_OK,
         error.message);
    must(satchel_store_add_text(r.store, KEPT2_ID, KEPT2_TEXT, SATCHEL_NUL_TERMINATED, NULL,
                                &error) == SATCHEL_OK,
         error.message);
    close_all(&r);
    snprintf(fixture, sizeof fixture, "%s", store_path);
    snprintf(store_path, sizeof store_path, "%s/work.satchel", folder);
    snprintf(docs_path, sizeof docs_path, "%s/docs", folder);
    mkdir(docs_path, 0700);
    char path[700];
    snprintf(path, sizeof path, "%s/a.txt", docs_path);
    write_file(path, "Rope is coiled sunwise.\n");
    snprintf(path, sizeof path, "%s/b.md", docs_path);
    write_file(path, NEW_TEXT);
    snprintf(path, sizeof path, "%s/c.html", docs_path);
    write_file(path, NEW_HTML);
    snprintf(points_path, sizeof points_path, "%s/points.f32", folder);
    float rows[POINTS][POINT_SIZE];
    for (int i = 0; i < POINTS; i++)
        for (int d = 0; d < POINT_SIZE; d++)
            rows[i][d] = (float)((i * 7 + d * 3) % 11);
    FILE *points = fopen(points_path, "wb");
    must(points && fwrite(rows, sizeof rows, 1, points) == 1 && fclose(points) == 0, points_path);
}

int main(int argc, char **argv) {
    if (argc < 6 || !fault_arm) {
        fprintf(stderr,
                "usage: LD_PRELOAD=interpose.so %s SCENARIO memory|file|torn once|forever "
                "FOLDER MODEL [K]\n",
                argv[0]);
        return 2;
    }
    size_t chosen = 0;
    while (chosen < sizeof scenarios / sizeof *scenarios &&
           strcmp(scenarios[chosen].name, argv[1]) != 0)
        chosen++;
    must(chosen < sizeof scenarios / sizeof *scenarios, argv[1]);
    int kind = strcmp(argv[2], "memory") == 0 ? FAULT_MEMORY
               : strcmp(argv[2], "file") == 0 ? FAULT_FILE
                                              : FAULT_FILE_TORN;
    int for_good = strcmp(argv[3], "forever") == 0;
    snprintf(folder, sizeof folder, "%s", argv[4]);
    snprintf(model_path, sizeof model_path, "%s", argv[5]);
    mkdir(folder, 0700);
    if (scenarios[chosen].has_store)
        make_fixture();

    /* k = 0 is a run without a fault: it must succeed, and leaves behind what the libraries keep for
     * the life of the process. The last k is one past the last call. */
    long calls = 0, k = 0, only = argc > 6 ? atol(argv[6]) : 0;
    verbose = only > 0;
    for (;; k++) {
        run r = {0};
        long failures_before = failures;
        if (scenarios[chosen].has_store) {
            remove_store();
            copy_file(fixture, store_path);
        }
        long blocks = fault_live_blocks();
        fault_arm(kind, k, for_good);
        scenarios[chosen].run(&r);
        close_all(&r);
        calls = fault_disarm();
        if (k > 0 && fault_live_blocks() > blocks)
            problem("leak", "blocks were not freed");
        if (k == 0 && !r.succeeded)
            problem("the run without a fault", "did not succeed");
        if (scenarios[chosen].has_store)
            check_store(&r);
        if (failures > failures_before)
            fprintf(stderr, "at k = %ld of %ld\n", k, calls);
        if (failures > 50 || (k > 0 && (calls < k || only > 0)))
            break;
        if (k == 0 && only > 0)
            k = only - 1;
    }
    printf("%s %s %s: %ld points, %ld failures\n", argv[1], argv[2], argv[3], k - 1, failures);
    return failures != 0;
}
