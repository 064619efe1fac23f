/*
 * The vector index under faults: every k-th allocation and file call fails, and kill -9 before
 * every call that changes a file, while an index is made, replaced and searched. Run with
 * interpose.so preloaded:
 *
 *     LD_PRELOAD=interpose.so index make|search memory|file|torn once|forever FOLDER [K]
 *     LD_PRELOAD=interpose.so index kill FOLDER
 *
 * Whatever fails, the store verifies afterwards, a search finds what it found without an index, and
 * upkeep then makes a whole one, with nothing left beside it. `make` begins with an index that is
 * due for another; `search` with one that is used. Linked with the library's parts, because an
 * index so small is not public.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "retrieval/collection.h"
#include "retrieval/index.h"
#include "tests/faults/interpose.h"
#include "tests/faults/report.h"
#include "tests/support/fake_embedder.h"

enum { DIMENSION = 16, FIRST = 3, ALL = 4, CHUNKS = 30, HITS = 8, QUERIES = 2 };

static char folder[512], fixture[600], store_path[600];

/* A failed call says why, and an injected fault is not damage. */
static int judge(const char *call, satchel_status status, const satchel_error *error) {
    if (status == SATCHEL_OK)
        return 1;
    if (error->code != status || error->message[0] == '\0')
        problem(call, "failed without filling the error");
    if (status == SATCHEL_INTERNAL || status == SATCHEL_DAMAGED)
        problem(call, error->message);
    return 0;
}

/* Blocks of ours that live. */
static long own_blocks;

static void *count_allocate(void *user, size_t size) {
    void *block = malloc(size);
    own_blocks += block != NULL;
    return block;
}

static void *count_reallocate(void *user, void *block, size_t old_size, size_t new_size) {
    void *moved = realloc(block, new_size);
    own_blocks += !block && moved;
    return moved;
}

static void count_release(void *user, void *block, size_t size) {
    own_blocks -= block != NULL;
    free(block);
}

/* FAISS 1.7.3 leaks what it was reading when memory or a mapping fails under it: so few blocks. */
enum { FAISS_BLOCKS = 16 };

typedef struct handle {
    satchel_context *context;
    satchel_embedder embedder;
    sat_store *store;
} handle;

static int open_store(handle *h, int with_index) {
    satchel_error error = {0};
    const satchel_allocator allocator = {
        .allocate = count_allocate, .reallocate = count_reallocate, .release = count_release};
    const satchel_context_options options = {.struct_size = sizeof options,
                                             .allocator = &allocator,
                                             .threads = 1,
                                             .cpu_level =
                                                 with_index ? SATCHEL_CPU_DEFAULT : SATCHEL_CPU_C};
    *h = (handle){0};
    fake_embedder_init(&h->embedder, DIMENSION);
    if (!judge("context", sat_context_open(&h->context, &options, &error), &error))
        return 0;
    const sat_store_setup setup = {
        .embedder = &h->embedder,
        .fingerprint = "fake",
        .model_name = "fake",
        .chunk_tokens = 12,
        .index = {.minimum = CHUNKS, .lists = 4, .probes = 4, .block_rows = 50}};
    return judge("open", sat_store_open(&h->store, h->context, store_path, &setup, &error), &error);
}

static void close_store(handle *h) {
    sat_store_close(&h->store);
    sat_context_release(h->context);
    h->context = NULL;
}

static int maintain(handle *h) {
    satchel_error error = {0};
    return judge("maintain", sat_store_maintain(h->store, 0, NULL, NULL, &error), &error);
}

static void add(handle *h, int number) {
    static char text[CHUNKS * 128];
    size_t length = 0;
    for (int i = 0; i < CHUNKS; i++)
        length +=
            (size_t)snprintf(text + length, sizeof text - length,
                             "Ledger %d entry %d, oil %d wick %d lamp %d, tide %d fog %d.\n\n",
                             number, i, i % 7, i * number % 11, i % 5, number * i % 13, i % 3);
    char id[16];
    snprintf(id, sizeof id, "ledger/%d", number);
    satchel_error error = {0};
    must(sat_store_add_text(h->store, id, text, length, NULL, &error) == SATCHEL_OK, error.message);
}

/* ------------------------------------------------------------------ files */

/* Calls each(name) for the files of the work store; returns how many. */
static int for_files(void (*each)(const char *path)) {
    char path[1200];
    const char *name = strrchr(store_path, '/') + 1;
    int count = 0;
    DIR *listing = opendir(folder);
    must(listing != NULL, folder);
    for (struct dirent *entry; (entry = readdir(listing));) {
        if (strncmp(entry->d_name, name, strlen(name)) != 0)
            continue;
        count += strstr(entry->d_name, "-index-") != NULL;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (each)
            each(path);
    }
    closedir(listing);
    return count;
}

static void remove_file(const char *path) {
    unlink(path);
}

/* A fresh copy of the fixture, with its index. */
static void restore(void) {
    char from[700], to[700];
    for_files(remove_file);
    copy_file(fixture, store_path);
    snprintf(from, sizeof from, "%s-index-1", fixture);
    snprintf(to, sizeof to, "%s-index-1", store_path);
    copy_file(from, to);
}

/* ------------------------------------------------------------------ what is found */

static const char *const queries[QUERIES] = {"oil wick lamp", "ledger 2 entry 17 tide 5"};

typedef struct findings {
    int64_t chunks[2 * QUERIES][HITS];
} findings;

/* 0 if a search failed. */
static int find(handle *h, findings *out) {
    satchel_error error = {0};
    memset(out, 0, sizeof *out);
    for (int i = 0; i < 2 * QUERIES; i++) {
        const satchel_search_options options = {.struct_size = sizeof options,
                                                .k = HITS,
                                                .mode = i % 2 ? SATCHEL_SEARCH_HYBRID
                                                              : SATCHEL_SEARCH_VECTOR};
        satchel_results *results = NULL;
        if (!judge("search",
                   sat_store_search(&results, h->store, queries[i / 2], strlen(queries[i / 2]),
                                    &options, &error),
                   &error))
            return 0;
        for (size_t j = 0; j < sat_results_count(results) && j < HITS; j++) {
            satchel_hit hit;
            must(sat_results_get(results, j, &hit, &error) == SATCHEL_OK, "a hit");
            out->chunks[i][j] = hit.chunk;
        }
        sat_results_close(&results);
    }
    return 1;
}

/* As sets: scores equal within rounding come in either order. */
static int same(const findings *a, const findings *b) {
    for (int i = 0; i < 2 * QUERIES; i++) {
        int both = 0;
        for (int j = 0; j < HITS; j++)
            for (int l = 0; l < HITS; l++)
                both += a->chunks[i][j] == b->chunks[i][l];
        if (both < HITS - 1) /* the last place may be shared */
            return 0;
    }
    return 1;
}

static findings expected;

static int32_t note_problem(void *user, const char *text) {
    (void)user;
    problem("verify", text);
    return 0;
}

static int64_t generation_of(const handle *h) {
    const sat_generation *generation = h->store->collection->generation;
    return generation ? generation->info.number : 0;
}

/* A commit that failed at its last step can have happened all the same, and this process lives:
 * else the lease would have ended with it. */
static void end_lease(handle *h) {
    satchel_error error = {0};
    sat_connection *writer;
    must(sat_writer_begin(h->store, NULL, &writer, &error) == SATCHEL_OK, error.message);
    must(sat_writer_end(writer, sat_sql_run(writer, "DELETE FROM lease", &error), &error) ==
             SATCHEL_OK,
         error.message);
}

/* After a fault: all is there, and, if it is to be `mended`, the next upkeep does it. */
static void check(int mended) {
    handle h;
    findings found;
    satchel_error error = {0};
    int64_t problems = 0;
    if (!open_store(&h, 1)) {
        problem("reopen", "failed");
        close_store(&h);
        return;
    }
    if (sat_store_verify(h.store, note_problem, NULL, &problems, &error))
        problem("verify", error.message);
    if (!find(&h, &found) || !same(&found, &expected))
        problem("search", "other hits than without an index");
    if (generation_of(&h) == 0)
        problem("search", "was served without the index");
    if (mended) {
        end_lease(&h);
        if (maintain(&h) && (!find(&h, &found) || !same(&found, &expected)))
            problem("search after upkeep", "other hits than without an index");
        if (generation_of(&h) != 2)
            problem("upkeep", "has not made the second index");
        if (for_files(NULL) != 1)
            problem("upkeep", "leaves files behind");
    }
    close_store(&h);
}

/* ------------------------------------------------------------------ set-up */

/* An index of three documents of four: the next upkeep makes another. */
static void make_fixture(void) {
    handle h;
    snprintf(store_path, sizeof store_path, "%s/fixture.satchel", folder);
    for_files(remove_file);
    must(open_store(&h, 1), "the fixture store");
    must(sat_ivf_usable(h.context), "FAISS");
    for (int i = 1; i <= FIRST; i++)
        add(&h, i);
    must(maintain(&h), "the first index");
    for (int i = FIRST + 1; i <= ALL; i++)
        add(&h, i);
    close_store(&h);
    must(open_store(&h, 0) && find(&h, &expected), "searches without an index");
    must(generation_of(&h) == 0, "an exact handle");
    close_store(&h);
    snprintf(fixture, sizeof fixture, "%s", store_path);
    snprintf(store_path, sizeof store_path, "%s/work.satchel", folder);
}

/* ------------------------------------------------------------------ failing calls */

static int run_scenario(int making) {
    handle h;
    findings found;
    int ok = open_store(&h, 1);
    if (ok && making)
        ok = maintain(&h);
    if (ok) {
        ok = find(&h, &found);
        if (ok && !same(&found, &expected))
            problem("search", "other hits than without an index");
    }
    close_store(&h);
    return ok;
}

static long run_points(int making, int kind, int for_good, long only) {
    long k = 0, calls;
    for (;; k++) {
        long before = failures;
        restore();
        long blocks = fault_live_blocks();
        int64_t sqlite_bytes = sqlite3_memory_used();
        fault_arm(kind, k, for_good);
        int ok = run_scenario(making);
        calls = fault_disarm();
        if (own_blocks != 0)
            problem("leak", "blocks of ours were not freed");
        if (sqlite3_memory_used() != sqlite_bytes)
            problem("leak", "SQLite holds more than before");
        if (k > 0 && fault_live_blocks() > blocks + FAISS_BLOCKS)
            problem("leak", "blocks were not freed");
        if (k == 0 && !ok)
            problem("the run without a fault", "did not succeed");
        check(kind != FAULT_MEMORY || k % 16 == 0);
        if (failures > before)
            fprintf(stderr, "at k = %ld of %ld\n", k, calls);
        if (failures > 50 || (k > 0 && (calls < k || only > 0)))
            return k;
        if (k == 0 && only > 0)
            k = only - 1;
    }
}

/* ------------------------------------------------------------------ kills */

static long run_kills(void) {
    for (long k = 1;; k++) {
        long before = failures;
        restore();
        pid_t child = fork();
        must(child >= 0, "a child");
        if (child == 0) {
            fault_arm(FAULT_KILL, k, 0);
            handle h;
            int ok = open_store(&h, 1) && maintain(&h);
            close_store(&h);
            _exit(ok ? 0 : 3);
        }
        int status = 0;
        waitpid(child, &status, 0);
        int whole = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        if (!whole && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
            problem("the child", "failed before it was killed");
        check(1);
        if (failures > before)
            fprintf(stderr, "killed at call %ld\n", k);
        if (whole || failures > 50)
            return k - 1;
    }
}

int main(int argc, char **argv) {
    int killing = argc > 2 && strcmp(argv[1], "kill") == 0;
    if (!fault_arm || (!killing && argc < 5)) {
        fprintf(stderr,
                "usage: LD_PRELOAD=interpose.so %s make|search memory|file|torn once|forever "
                "FOLDER [K]\n       LD_PRELOAD=interpose.so %s kill FOLDER\n",
                argv[0], argv[0]);
        return 2;
    }
    snprintf(folder, sizeof folder, "%s", argv[killing ? 2 : 4]);
    mkdir(folder, 0700);
    make_fixture();
    long points;
    if (killing) {
        points = run_kills();
    } else {
        int kind = strcmp(argv[2], "memory") == 0 ? FAULT_MEMORY
                   : strcmp(argv[2], "file") == 0 ? FAULT_FILE
                                                  : FAULT_FILE_TORN;
        points = run_points(strcmp(argv[1], "make") == 0, kind, strcmp(argv[3], "forever") == 0,
                            argc > 5 ? atol(argv[5]) : 0);
    }
    printf("index %s: %ld points, %ld failures\n", argv[1], points, failures);
    return failures != 0;
}
