/*
 * The Satchel side of bench/vector_index.py: a store whose vectors are given, its index, and
 * searches in it.
 *
 *   index_bench THREADS STORE VECTORS QUERIES DIMENSION OUT
 *
 * VECTORS and QUERIES are files of float rows. Row i is the vector of the chunk "v<i>", a thousand
 * chunks a document; query i is asked as "q<i>". An embedder looks the rows up, so no model runs.
 * Then a command a line on stdin, each answered by a line:
 *
 *   open LISTS PROBES   (re)opens the store; 0: as many as suit  -> seconds
 *   fill                adds the documents that are not there    -> seconds
 *   build               upkeep, until nothing is due             -> seconds
 *   search K            asks every query, one after the other; row numbers go to OUT,
 *                       (queries, K) int64, -1 where there is no hit
 *                                              -> seconds, and microseconds: median, 99 %
 *   memory              -> bytes that the library holds, and held at most
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "retrieval/retrieval.h"
#include "sdk/include/satchel.h"

enum { DOCUMENT_ROWS = 1000, WORD_TOKENS = 40, CHUNK_TOKENS = 60, WORD_BYTES = 24 };

typedef struct rows {
    const float *data; /* (count, dimension) */
    size_t count;
} rows;

typedef struct bench {
    satchel_context *context;
    sat_store *store;
    const char *path, *out;
    size_t dimension;
    rows vectors, queries;
    satchel_embedder embedder;
} bench;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void die(const char *message) {
    fprintf(stderr, "index_bench: %s\n", message);
    exit(1);
}

static rows map_rows(const char *path, size_t dimension) {
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) != 0 || status.st_size == 0)
        die("cannot read the vectors");
    size_t size = (size_t)status.st_size;
    void *data = mmap(NULL, size, PROT_READ, MAP_SHARED, file, 0);
    if (data == MAP_FAILED)
        die("cannot map the vectors");
    close(file);
    return (rows){data, size / sizeof(float) / dimension};
}

/* ------------------------------------------------------------------ the embedder */

/* Every word is long enough that two do not fit a chunk. */
static satchel_status count_tokens(void *user, const char *text, size_t length, size_t *count) {
    *count = 0;
    for (size_t i = 0; i < length; i++)
        *count += text[i] == 'v' || text[i] == 'q' ? WORD_TOKENS : 0;
    return SATCHEL_OK;
}

static satchel_status embed(void *user, int32_t role, const satchel_text *texts, size_t n,
                            float *out, const satchel_cancel *cancel) {
    const bench *it = user;
    for (size_t i = 0; i < n; i++) {
        char word[WORD_BYTES] = {0};
        memcpy(word, texts[i].data,
               texts[i].length < WORD_BYTES - 1 ? texts[i].length : WORD_BYTES - 1);
        const rows *from = word[0] == 'q' ? &it->queries : &it->vectors;
        size_t row = (size_t)strtoull(word + 1, NULL, 10);
        if (row >= from->count)
            return SATCHEL_INVALID_ARGUMENT;
        memcpy(out + i * it->dimension, from->data + row * it->dimension,
               it->dimension * sizeof *out);
    }
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ commands */

static void open_store(bench *it, int lists, int probes) {
    satchel_error error;
    sat_store_close(&it->store);
    sat_store_setup setup = {.embedder = &it->embedder,
                             .fingerprint = it->embedder.id,
                             .model_name = it->embedder.id,
                             .chunk_tokens = CHUNK_TOKENS,
                             .index = {.minimum = 1, .lists = lists, .probes = probes}};
    if (sat_store_open(&it->store, it->context, it->path, &setup, &error))
        die(error.message);
}

static void fill(bench *it) {
    satchel_error error;
    char *text = malloc((size_t)DOCUMENT_ROWS * WORD_BYTES);
    if (!text)
        die("out of memory");
    satchel_add_options options = {.struct_size = sizeof options};
    for (size_t begin = 0; begin < it->vectors.count; begin += DOCUMENT_ROWS) {
        char id[WORD_BYTES];
        size_t length = 0;
        for (size_t i = begin; i < begin + DOCUMENT_ROWS && i < it->vectors.count; i++)
            length += (size_t)snprintf(text + length, WORD_BYTES, "v%zu\n\n", i);
        snprintf(id, sizeof id, "d%zu", begin / DOCUMENT_ROWS);
        if (sat_store_add_text(it->store, id, text, length, &options, &error))
            die(error.message);
    }
    free(text);
}

static void build(bench *it) {
    satchel_error error;
    int64_t pending;
    if (sat_store_maintain(it->store, 0, NULL, &pending, &error))
        die(error.message);
}

static void search_one(bench *it, size_t query, int32_t k, int64_t *found) {
    satchel_error error;
    satchel_results *results;
    char text[WORD_BYTES];
    satchel_search_options options = {
        .struct_size = sizeof options, .mode = SATCHEL_SEARCH_VECTOR, .k = k};
    int length = snprintf(text, sizeof text, "q%zu", query);
    if (sat_store_search(&results, it->store, text, (size_t)length, &options, &error))
        die(error.message);
    for (size_t i = 0; i < (size_t)k; i++) {
        satchel_hit hit;
        found[i] = -1;
        if (i < sat_results_count(results)) {
            if (sat_results_get(results, i, &hit, &error))
                die(error.message);
            found[i] = strtoll(hit.text + 1, NULL, 10);
        }
    }
    sat_results_close(&results);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void search(bench *it, int32_t k) {
    size_t count = it->queries.count;
    int64_t *found = malloc(count * (size_t)k * sizeof *found);
    double *took = malloc(count * sizeof *took);
    FILE *out = fopen(it->out, "wb");
    if (!found || !took || !out)
        die("no memory, or OUT cannot be written");
    double start = now();
    for (size_t i = 0; i < count; i++) {
        double before = now();
        search_one(it, i, k, found + i * (size_t)k);
        took[i] = now() - before;
    }
    double seconds = now() - start;
    if (fwrite(found, sizeof *found, count * (size_t)k, out) != count * (size_t)k || fclose(out))
        die("OUT cannot be written");
    qsort(took, count, sizeof *took, by_value);
    printf("%.6f %.1f %.1f\n", seconds, took[count / 2] * 1e6, took[count * 99 / 100] * 1e6);
    free(found);
    free(took);
}

static void obey(bench *it, const char *line) {
    int a, b;
    double start = now();
    if (sscanf(line, "open %d %d", &a, &b) == 2)
        open_store(it, a, b);
    else if (sscanf(line, "search %d", &a) == 1 && a > 0) {
        search(it, a);
        return;
    } else if (strcmp(line, "fill\n") == 0)
        fill(it);
    else if (strcmp(line, "build\n") == 0)
        build(it);
    else if (strcmp(line, "memory\n") == 0) {
        uint64_t held, peak;
        satchel_context_memory(it->context, &held, &peak);
        printf("%" PRIu64 " %" PRIu64 "\n", held, peak);
        return;
    } else
        die("what is that?");
    printf("%.6f\n", now() - start);
}

int main(int count, char **arguments) {
    if (count != 7 || atoi(arguments[5]) < 1)
        die("usage: index_bench THREADS STORE VECTORS QUERIES DIMENSION OUT");
    satchel_error error;
    satchel_context_options options = {.struct_size = sizeof options,
                                       .threads = atoi(arguments[1])};
    bench it = {.path = arguments[2], .out = arguments[6], .dimension = (size_t)atoi(arguments[5])};
    it.vectors = map_rows(arguments[3], it.dimension);
    it.queries = map_rows(arguments[4], it.dimension);
    it.embedder = (satchel_embedder){.struct_size = sizeof it.embedder,
                                     .user = &it,
                                     .id = "bench",
                                     .dimension = (int32_t)it.dimension,
                                     .max_tokens = CHUNK_TOKENS,
                                     .count_tokens = count_tokens,
                                     .embed = embed};
    if (satchel_context_open(&it.context, &options, &error))
        die(error.message);
    char line[64];
    while (fgets(line, sizeof line, stdin)) {
        obey(&it, line);
        fflush(stdout);
    }
    sat_store_close(&it.store);
    satchel_context_close(&it.context);
    return 0;
}
