#include "tests/unit/retrieval/index_fixture.h"

#include <dirent.h>
#include <math.h>

static uint64_t scramble(uint64_t x) {
    x = (x ^ x >> 31) * UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 29) * UINT64_C(0xBF58476D1CE4E5B9);
    return x ^ x >> 32;
}

/* A paragraph of one topic of 40, with words of its own and of all. */
static size_t write_paragraph(char *out, size_t size, uint64_t seed) {
    size_t length = 0;
    unsigned topic = (unsigned)(scramble(seed) % 40);
    for (int i = 0; i < 12; i++) {
        uint64_t word = scramble(seed * 31 + (uint64_t)i);
        unsigned from = i < 8 ? topic * 12 + (unsigned)(word % 12) : (unsigned)(word % 3000) + 1000;
        length += (size_t)snprintf(out + length, size - length, "%sword%u", i ? " " : "", from);
    }
    return length + (size_t)snprintf(out + length, size - length, ".\n\n");
}

char *index_text(int number, int chunks) {
    size_t size = (size_t)chunks * 160 + 1, length = 0;
    char *text = malloc(size);
    assert_non_null(text);
    text[0] = '\0';
    for (int i = 0; i < chunks; i++)
        length += write_paragraph(text + length, size - length,
                                  (uint64_t)number * 1000 + (uint64_t)i + 1);
    return text;
}

void index_add(fixture *f, int number) {
    char id[32];
    snprintf(id, sizeof id, "%s/%d", number % 2 ? "odd" : "even", number);
    char *text = index_text(number, INDEX_CHUNKS);
    const satchel_add_options options = {.struct_size = sizeof options, .defer_embedding = 1};
    fixture_fine(
        f, sat_store_add(f->store, id, "text/plain", text, strlen(text), &options, &f->error));
    free(text);
}

void index_maintain(fixture *f) {
    int64_t pending = -1;
    fixture_fine(f, sat_store_maintain(f->store, 0, NULL, &pending, &f->error));
    assert_int_equal(pending, 0);
}

/* The store that every test begins with, made once. */
static char *made;
static size_t made_size;

static void make_store(fixture *f) {
    f->index = (sat_index_setup){.minimum = INT64_MAX};
    fixture_fine(f, fixture_open(f));
    for (int i = 0; i < INDEX_DOCUMENTS; i++)
        index_add(f, i);
    index_maintain(f);
    assert_int_equal(fixture_stats(f).chunks_embedded, INDEX_DOCUMENTS * INDEX_CHUNKS);
    fixture_close(f);
    FILE *file = fopen(f->store_path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    made_size = (size_t)ftell(file);
    rewind(file);
    made = malloc(made_size);
    assert_non_null(made);
    assert_int_equal(fread(made, 1, made_size, file), made_size);
    fclose(file);
}

int index_group_teardown(void **state) {
    free(made);
    made = NULL;
    return 0;
}

int index_setup(void **state) {
    if (fixture_setup(state) != 0)
        return -1;
    fixture *f = *state;
    f->chunk_tokens = 16;
    if (made) {
        fixture_close(f);
        fixture_write_bytes(f, "store.satchel", made, made_size);
    } else {
        make_store(f);
    }
    f->index = (sat_index_setup){.minimum = 1000, .lists = 48, .probes = 48, .block_rows = 700};
    fixture_fine(f, fixture_open(f));
    return 0;
}

fixture *index_ready(void **state) {
    fixture *f = *state;
    if (!sat_ivf_usable(f->context))
        skip();
    return f;
}

int64_t index_number(fixture *f) {
    sat_index_row row;
    sat_connection *reader;
    fixture_fine(f, sat_reader_begin(f->store, NULL, &reader, &f->error));
    fixture_fine(f, sat_index_read(reader, &row, &f->error));
    sat_reader_end(reader);
    return row.hash ? row.number : 0;
}

bool index_serves(const fixture *f) {
    return f->store->collection->generation != NULL;
}

void index_path(fixture *f, char out[256]) {
    snprintf(out, 256, "%s-index-%lld", f->store_path, (long long)index_number(f));
}

int index_files(fixture *f) {
    int count = 0;
    DIR *folder = opendir(f->folder);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));)
        count += strstr(entry->d_name, "-index-") != NULL;
    closedir(folder);
    return count;
}

/* ------------------------------------------------------------------ searches */

static sat_store *open_exact(fixture *f, satchel_context **context) {
    satchel_context_options options = {
        .struct_size = sizeof options, .threads = 1, .cpu_level = SATCHEL_CPU_C};
    const sat_store_setup setup = {.embedder = &f->embedder,
                                   .fingerprint = f->fingerprint,
                                   .model_name = "fake",
                                   .must_exist = true,
                                   .read_only = true,
                                   .chunk_tokens = f->chunk_tokens};
    sat_store *store = NULL;
    fixture_fine(f, sat_context_open(context, &options, &f->error));
    fixture_fine(f, sat_store_open(&store, *context, f->store_path, &setup, &f->error));
    return store;
}

static void search_store(fixture *f, sat_store *store, const char *query, int32_t mode,
                         const char *filter, int32_t k, index_hits *out) {
    const satchel_search_options options = {
        .struct_size = sizeof options, .mode = mode, .filter = filter, .k = k};
    satchel_results *results = NULL;
    fixture_fine(f, sat_store_search(&results, store, query, strlen(query), &options, &f->error));
    out->count = sat_results_count(results);
    assert_true(out->count <= SAT_COUNT(out->hits));
    for (size_t i = 0; i < out->count; i++) {
        satchel_hit hit;
        fixture_fine(f, sat_results_get(results, i, &hit, &f->error));
        snprintf(out->hits[i].id, sizeof out->hits[i].id, "%s", hit.document_id);
        out->hits[i].start = hit.range.start;
        out->hits[i].score = hit.score;
        out->hits[i].keyword = hit.keyword_score;
        out->hits[i].vector = hit.vector_score;
    }
    sat_results_close(&results);
}

void index_search(fixture *f, bool exactly, const char *query, int32_t mode, const char *filter,
                  int32_t k, index_hits *out) {
    if (!exactly) {
        search_store(f, f->store, query, mode, filter, k, out);
        return;
    }
    satchel_context *context = NULL;
    sat_store *store = open_exact(f, &context);
    search_store(f, store, query, mode, filter, k, out);
    assert_null(store->collection->generation);
    sat_store_close(&store);
    sat_context_release(context);
}

static bool has_hit(const index_hits *hits, const char *id, int64_t start) {
    for (size_t i = 0; i < hits->count; i++)
        if (hits->hits[i].start == start && strcmp(hits->hits[i].id, id) == 0)
            return true;
    return false;
}

void index_expect_same(const index_hits *found, const index_hits *expected, const char *query) {
    if (found->count != expected->count)
        fail_msg("%s: %zu hits instead of %zu", query, found->count, expected->count);
    if (found->count == 0)
        return;
    float last = expected->hits[expected->count - 1].score;
    for (size_t i = 0; i < found->count; i++) {
        const float close = 2e-4f * fmaxf(1, fabsf(expected->hits[i].score));
        if (!(fabsf(found->hits[i].score - expected->hits[i].score) <= close))
            fail_msg("%s: hit %zu has score %f instead of %f", query, i,
                     (double)found->hits[i].score, (double)expected->hits[i].score);
        if (!isnan(expected->hits[i].vector))
            assert_true(!isnan(found->hits[i].vector));
        /* Only those as good as the last may be others. */
        if (expected->hits[i].score > last + close &&
            !has_hit(found, expected->hits[i].id, expected->hits[i].start))
            fail_msg("%s: hit %zu, %s at %lld, is missing", query, i, expected->hits[i].id,
                     (long long)expected->hits[i].start);
        for (size_t j = 0; j < i; j++)
            assert_false(found->hits[i].start == found->hits[j].start &&
                         strcmp(found->hits[i].id, found->hits[j].id) == 0);
    }
}

const char *index_query(int number, char out[128]) {
    char text[200];
    write_paragraph(text, sizeof text, 900000 + (uint64_t)number);
    /* The first words: of a topic, but for every third one. */
    size_t words = 0, at = 0;
    while (text[at] && words < (number % 3 ? 5u : 11u))
        words += text[at++] == ' ';
    snprintf(out, 128, "%.*s", (int)at, text);
    return out;
}

void index_expect_exact_for(fixture *f, int queries) {
    static const char *const filters[] = {NULL, "{\"path\":\"odd/*\"}", "{\"path\":\"even/4\"}",
                                          "{\"path\":\"nowhere\"}"};
    static const int32_t modes[] = {SATCHEL_SEARCH_VECTOR, SATCHEL_SEARCH_HYBRID,
                                    SATCHEL_SEARCH_KEYWORD};
    satchel_context *context = NULL;
    sat_store *exact = open_exact(f, &context);
    for (int q = 0; q < queries; q++) {
        for (size_t i = 0; i < SAT_COUNT(filters); i++) {
            for (size_t m = 0; m < SAT_COUNT(modes); m++) {
                index_hits found, expected;
                char query[128];
                int32_t k = q % 3 == 0 ? 3 : q % 3 == 1 ? 10 : 150;
                index_query(q, query);
                search_store(f, f->store, query, modes[m], filters[i], k, &found);
                search_store(f, exact, query, modes[m], filters[i], k, &expected);
                index_expect_same(&found, &expected, query);
            }
        }
    }
    sat_store_close(&exact);
    sat_context_release(context);
}

void index_expect_exact(fixture *f) {
    index_expect_exact_for(f, 6);
}

void index_expect_served(fixture *f) {
    index_expect_exact(f);
    assert_true(index_serves(f));
}
