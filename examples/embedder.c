/*
 * Bring your own embedder: any code that turns text into unit vectors can serve a store. This one
 * hashes words and their letter triples into 256 buckets, so "lease" is near "leases". An app would
 * call a platform framework or an accelerator here.
 *
 *     embedder STORE QUERY
 */
#include <ctype.h>
#include <math.h>
#include <satchel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIMENSION = 256, MAX_TOKENS = 512 };

static satchel_error error;

static void check(int fine) {
    if (fine)
        return;
    fprintf(stderr, "embedder: %s\n", error.code ? error.message : "STORE QUERY");
    exit(1);
}

/* ------------------------------------------------------------------ the embedder */

static void add_feature(float *vector, const char *bytes, size_t size, float weight) {
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (uint32_t)tolower((unsigned char)bytes[i])) * 16777619u;
    vector[hash % DIMENSION] += weight;
}

static void embed_one(const satchel_text *text, float *vector) {
    memset(vector, 0, DIMENSION * sizeof *vector);
    vector[0] = 1e-3f; /* so that an empty text has a direction too */
    for (size_t at = 0; at < text->length;) {
        size_t end = at;
        while (end < text->length && isalnum((unsigned char)text->data[end]))
            end++;
        if (end > at)
            add_feature(vector, text->data + at, end - at, 1);
        for (size_t i = at; i + 3 <= end; i++)
            add_feature(vector, text->data + i, 3, 0.5f);
        at = end + 1;
    }
    float length = 0;
    for (int i = 0; i < DIMENSION; i++)
        length += vector[i] * vector[i];
    for (int i = 0; i < DIMENSION; i++)
        vector[i] /= sqrtf(length);
}

/* out: (n, DIMENSION) */
static satchel_status embed(void *user, int32_t role, const satchel_text *texts, size_t n,
                            float *out, const satchel_cancel *cancel) {
    (void)user, (void)role; /* this one treats questions and documents alike */
    for (size_t i = 0; i < n; i++) {
        if (satchel_cancel_fired(cancel))
            return SATCHEL_CANCELLED;
        embed_one(&texts[i], out + i * DIMENSION);
    }
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ in use */

int main(int argc, char **argv) {
    const satchel_embedder embedder = {.struct_size = sizeof embedder,
                                       .id = "example: hashed words and letter triples, 256",
                                       .dimension = DIMENSION,
                                       .max_tokens = MAX_TOKENS,
                                       .embed = embed};
    static const char *const notes[][2] = {
        {"lease", "The lease of the flat ends in March."},
        {"bread", "Bread needs flour, water, salt and time."},
        {"train", "The night train to Vienna leaves at ten."},
    };
    satchel_context *context = NULL;
    satchel_store *store = NULL;
    satchel_store_options options = {.struct_size = sizeof options};
    check(argc == 3 && !satchel_context_open(&context, NULL, &error));
    check(!satchel_model_from_embedder(&options.model, context, &embedder, &error));
    check(!satchel_store_open(&store, context, argv[1], &options, &error));
    for (size_t i = 0; i < sizeof notes / sizeof notes[0]; i++)
        check(!satchel_store_add_text(store, notes[i][0], notes[i][1], SATCHEL_NUL_TERMINATED, NULL,
                                      &error));

    satchel_search_options search = {.struct_size = sizeof search, .mode = SATCHEL_SEARCH_VECTOR};
    satchel_results *results = NULL;
    check(!satchel_search(&results, store, argv[2], &search, &error));
    satchel_hit hit;
    for (size_t i = 0; i < satchel_results_count(results); i++) {
        check(!satchel_results_get(results, i, &hit, sizeof hit, &error));
        printf("%.3f %s: %.*s\n", hit.vector_score, hit.document_id, (int)hit.text_length,
               hit.text);
    }
    satchel_results_close(&results);
    satchel_store_close(&store);
    satchel_model_close(&options.model);
    satchel_context_close(&context);
    return 0;
}
