/*
 * kill -9 in the middle of an ingest, at random points: half of them just before a call that changes a
 * file (interpose.so counts these), half at a random moment. The child adds documents, replaces and
 * removes them and syncs a folder; it reports each acknowledged change through a pipe. After each
 * kill the store must verify, hold every acknowledged document with its exact text, and not hold what was
 * acknowledged as removed; the next round goes on with the same store.
 *
 *     LD_PRELOAD=interpose.so kill ROUNDS FOLDER [SEED]
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sdk/include/satchel.h"
#include "tests/faults/interpose.h"
#include "tests/faults/report.h"
#include "tests/support/fake_embedder.h"

#define DOCUMENTS 24

static char store_path[600], docs_path[600];

/* What the parent knows of a document: the version last acknowledged, and the one last begun (which
 * may or may not have been committed when the child died). 0: absent. */
static struct { int acknowledged, begun; } known[DOCUMENTS];

typedef struct report {
    int32_t document, version, acknowledged;
} report;

static uint64_t state;
static uint32_t next_random(void) { /* xorshift64* */
    state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
    return (uint32_t)((state * 0x2545F4914F6CDD1Dull) >> 32);
}

static size_t make_text(char *out, size_t size, int document, int version) {
    size_t length = 0;
    for (int i = 0; i <= (document * 7 + version) % 40; i++)
        length +=
            (size_t)snprintf(out + length, size - length,
                             "Entry %d of ledger %d, revision %d: %d barrels of oil came "
                             "ashore.%s",
                             i, document, version, i * 13 + document, i % 5 == 4 ? "\n\n" : " ");
    return length;
}

static int open_store(satchel_context **context, satchel_model **model, satchel_store **store,
                      satchel_error *error) {
    satchel_embedder embedder;
    fake_embedder_init(&embedder, 16);
    satchel_store_options options;
    satchel_store_options_init(&options, sizeof options);
    if (satchel_context_open(context, NULL, error) ||
        satchel_model_from_embedder(model, *context, &embedder, error))
        return 0;
    options.model = *model;
    return satchel_store_open(store, *context, store_path, &options, error) == SATCHEL_OK;
}

static void ingest(int pipe_end, uint32_t seed) {
    static char text[8192];
    satchel_context *context = NULL;
    satchel_model *model = NULL;
    satchel_store *store = NULL;
    satchel_error error = {0};
    state = seed | 1;
    if (!open_store(&context, &model, &store, &error)) {
        fprintf(stderr, "child: %s\n", error.message);
        _exit(3);
    }
    for (int i = 0; i < 60; i++) {
        report r = {(int32_t)(next_random() % DOCUMENTS), 0, 0};
        r.version = next_random() % 4 == 0 ? 0 : (int32_t)(1 + next_random() % 1000);
        char id[32];
        snprintf(id, sizeof id, "ledger/%d", r.document);
        (void)!write(pipe_end, &r, sizeof r);
        satchel_status status;
        if (r.version == 0) {
            status = satchel_store_remove(store, id, &error);
            if (status == SATCHEL_NOT_FOUND)
                status = SATCHEL_OK;
        } else {
            size_t length = make_text(text, sizeof text, r.document, r.version);
            status = satchel_store_add_text(store, id, text, length, NULL, &error);
        }
        if (status) {
            fprintf(stderr, "child: %s\n", error.message);
            _exit(3);
        }
        r.acknowledged = 1;
        (void)!write(pipe_end, &r, sizeof r);
        if (i % 20 == 10) {
            satchel_stream *stream = NULL;
            satchel_event event = {0};
            if (satchel_store_sync(&stream, store, docs_path, NULL, &error) == SATCHEL_OK)
                while (!satchel_stream_next(stream, &event, sizeof event, &error) &&
                       event.kind != SATCHEL_EVENT_DONE)
                    ;
            satchel_stream_close(&stream);
        }
    }
    satchel_store_close(&store);
    satchel_model_close(&model);
    satchel_context_close(&context);
    _exit(0);
}

static int32_t note_problem(void *user, const char *text) {
    (void)user;
    problem("verify", text);
    return 0;
}

static int version_matches(satchel_store *store, int document, int version) {
    static char expected[8192], found[8192];
    char id[32];
    int64_t length = 0;
    satchel_error error;
    snprintf(id, sizeof id, "ledger/%d", document);
    satchel_status status =
        satchel_document_text(store, id, 0, found, sizeof found, &length, &error);
    if (version == 0)
        return status == SATCHEL_NOT_FOUND;
    size_t want = make_text(expected, sizeof expected, document, version);
    return status == SATCHEL_OK && (size_t)length == want && memcmp(found, expected, want) == 0;
}

static void check(void) {
    satchel_context *context = NULL;
    satchel_model *model = NULL;
    satchel_store *store = NULL;
    satchel_error error = {0};
    if (!open_store(&context, &model, &store, &error)) {
        problem("reopen", error.message);
    } else {
        int64_t problems = 0;
        if (satchel_store_verify(store, note_problem, NULL, &problems, &error))
            problem("verify", error.message);
        for (int i = 0; i < DOCUMENTS; i++) {
            if (version_matches(store, i, known[i].acknowledged))
                known[i].begun = known[i].acknowledged;
            else if (version_matches(store, i, known[i].begun))
                known[i].acknowledged = known[i].begun;
            else
                problem("a committed document", "is lost, stale or cut");
        }
    }
    satchel_store_close(&store);
    satchel_model_close(&model);
    satchel_context_close(&context);
}

int main(int argc, char **argv) {
    if (argc < 3 || !fault_arm) {
        fprintf(stderr, "usage: LD_PRELOAD=interpose.so %s ROUNDS FOLDER [SEED]\n", argv[0]);
        return 2;
    }
    int rounds = atoi(argv[1]);
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : (uint64_t)time(NULL);
    printf("seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    state = seed * 2 + 1;
    mkdir(argv[2], 0700);
    snprintf(store_path, sizeof store_path, "%s/killed.satchel", argv[2]);
    snprintf(docs_path, sizeof docs_path, "%s/docs", argv[2]);
    mkdir(docs_path, 0700);
    for (int i = 0; i < 6; i++) {
        char path[640];
        snprintf(path, sizeof path, "%s/%d.txt", docs_path, i);
        FILE *file = fopen(path, "wb");
        if (!file)
            return 2;
        fprintf(file, "Page %d of the pilot book.\n", i);
        fclose(file);
    }

    int killed = 0;
    for (int round = 0; round < rounds && failures == 0; round++) {
        int ends[2];
        if (pipe(ends))
            return 2;
        uint32_t child_seed = next_random();
        int by_call = round % 2 == 0;
        long point = 1 + (long)(next_random() % 1500);
        pid_t child = fork();
        if (child < 0)
            return 2;
        if (child == 0) {
            close(ends[0]);
            if (by_call)
                fault_arm(FAULT_KILL, point, 0);
            ingest(ends[1], child_seed);
        }
        close(ends[1]);
        if (!by_call) {
            struct timespec moment = {0, (long)(next_random() % 150000) * 1000};
            nanosleep(&moment, NULL);
            kill(child, SIGKILL);
        }
        report r;
        while (read(ends[0], &r, sizeof r) == (ssize_t)sizeof r) {
            known[r.document].begun = r.version;
            if (r.acknowledged)
                known[r.document].acknowledged = r.version;
        }
        close(ends[0]);
        int status = 0;
        waitpid(child, &status, 0);
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
            killed++;
        else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            problem("the child", "failed before it was killed");
        check();
    }
    printf("%d rounds, %d killed, %ld failures\n", rounds, killed, failures);
    return failures != 0 || killed * 2 < rounds;
}
