/*
 * Search: the query's terms and vector, the filter, keyword and vector scores over the whole
 * collection, their fusion, and the best k. The embedder is called first, with nothing held; the
 * rest happens in one snapshot.
 */
#include "retrieval/search.h"

#include <math.h>
#include <string.h>

#include "retrieval/collection.h"
#include "retrieval/index.h"
#include "retrieval/index_search.h"

#define DEFAULT_K 10
#define MAX_K 10000
/* Passages that tell the scale of a large store. */
#define SAMPLE_ROWS ((size_t)4096)

typedef struct search {
    sat_store *store;
    const char *query;
    size_t length, k;
    int32_t mode;
    const satchel_cancel *cancel;
    sat_filter filter;
    satchel_results *results;
    sat_connection *reader;
    /* (collection->count) */
    const sat_collection *collection; /* held while not NULL */
    uint8_t *pass;                    /* 1: passes the filter; NULL: all do */
    size_t passing;
    sat_scratch *scratch; /* where keyword, vector and score lie */
    uint8_t *sample;      /* 1: tells the scale of the vectors; NULL: all do */
    bool matches;         /* a chunk of the store has a keyword of the query */
    float *keyword;       /* BM25, 0: no match */
    float *vector;        /* cosine, NaN: none; NULL without vectors */
    float *score;         /* what ranks, NaN: not a hit */
    sat_scale keyword_scale, vector_scale;
    uint32_t *best; /* rows, best first */
    size_t found;
} search;

/* ------------------------------------------------------------------ the query */

static bool is_blank(const char *text, size_t length) {
    for (size_t at = 0; at < length;) {
        int32_t code;
        at += sat_utf8_decode(text + at, length - at, &code);
        if (!sat_is_space(code) && !sat_is_control(code))
            return false;
    }
    return true;
}

static satchel_status callback_failed(const search *s, satchel_status status,
                                      satchel_error *error) {
    if (status == SATCHEL_CANCELLED)
        return sat_fail(error, status, "cancelled while embedding the query");
    return sat_fail(error, status < 0 ? status : SATCHEL_CALLBACK,
                    "the embedder '%s' failed with %s on the query; search by keyword instead",
                    s->store->model_name, sat_status_name(status));
}

static satchel_status embed_query(search *s, satchel_error *error) {
    const satchel_embedder *embedder = s->store->embedder;
    satchel_results *results = s->results;
    size_t dimension = (size_t)embedder->dimension;
    results->query_vector = sat_alloc_aligned(&results->context->memory, dimension * sizeof(float));
    if (!results->query_vector)
        return sat_memory_fail(&results->context->memory, dimension * sizeof(float), error);
    results->dimension = dimension;
    results->share = 1;
    satchel_status status = SATCHEL_OK;
    if (embedder->coverage)
        status = embedder->coverage(embedder->user, s->query, s->length, &results->share);
    if (!(results->share >= 0)) /* NaN too */
        results->share = 0;
    if (results->share > 1)
        results->share = 1;
    const satchel_text text = {s->query, s->length};
    if (!status)
        status = embedder->embed(embedder->user, SATCHEL_ROLE_QUERY, &text, 1,
                                 results->query_vector, s->cancel);
    if (status)
        return callback_failed(s, status, error);
    if (!sat_vector_normalize(s->store->context->vector, results->query_vector, dimension))
        return sat_fail(error, SATCHEL_CALLBACK,
                        "the embedder '%s' gave a vector of length 0 or not of numbers",
                        s->store->model_name);
    return SATCHEL_OK;
}

static satchel_status make_terms(search *s, satchel_error *error) {
    sat_terms *terms;
    satchel_results *results = s->results;
    satchel_status status = sat_connection_terms(s->reader, &terms, error);
    if (!status)
        status = sat_query_terms_make(&results->terms, terms, s->query, s->length, error);
    results->has_terms = !status;
    return status;
}

/* ------------------------------------------------------------------ filter */

static satchel_status apply_filter(search *s, satchel_error *error) {
    const sat_collection *collection = s->collection;
    s->passing = collection->count;
    if (s->filter.all)
        return SATCHEL_OK;
    sat_memory *memory = s->store->memory;
    sat_buffer sql;
    s->passing = 0;
    s->pass = sat_calloc(memory, collection->count + 1, 1);
    if (!s->pass)
        return sat_memory_fail(memory, collection->count, error);
    sat_buffer_init(&sql, memory);
    if (!sat_buffer_append_text(&sql, "SELECT d.id FROM document d WHERE ") ||
        !sat_buffer_append(&sql, s->filter.condition.data, s->filter.condition.length) ||
        !sat_buffer_append_text(&sql, " ORDER BY d.id")) {
        sat_buffer_free(&sql);
        return sat_memory_fail(memory, s->filter.condition.length, error);
    }
    /* Rows and documents both come by the document's row id. */
    size_t row = 0;
    sat_query query;
    sat_query_begin_text(&query, s->reader, sql.data, sql.length);
    sat_filter_bind(&s->filter, &query);
    while (sat_query_row(&query)) {
        int64_t document = sat_column_int(&query, 0);
        while (row < collection->count && collection->document[row] < document)
            row++;
        for (; row < collection->count && collection->document[row] == document; row++) {
            s->pass[row] = 1;
            s->passing++;
        }
    }
    satchel_status status = sat_query_end(&query, error);
    sat_buffer_free(&sql);
    return status;
}

static bool passes(const search *s, size_t row) {
    return !s->pass || s->pass[row];
}

/* ------------------------------------------------------------------ keyword scores */

static satchel_status match_rows(search *s, sat_bm25 *bm25, const sat_buffer *match,
                                 satchel_error *error) {
    satchel_status status = SATCHEL_OK;
    size_t hint = 0;
    sat_query query;
    sat_query_begin(&query, s->reader,
                    "SELECT rowid, satchel_counts(chunk_fts) FROM chunk_fts "
                    "WHERE chunk_fts MATCH ?1 ORDER BY rowid");
    sat_bind_text(&query, 1, match->data, match->length);
    while (!status && sat_query_row(&query)) {
        size_t size, row = sat_collection_row(s->collection, sat_column_int(&query, 0), &hint);
        const void *counts = sat_column_blob(&query, 1, &size);
        if (row != SIZE_MAX)
            status = sat_bm25_add(bm25, row, counts, size, error);
        s->matches = true;
    }
    satchel_status ended = sat_query_end(&query, status ? NULL : error);
    return status ? status : ended;
}

static satchel_status score_keywords(search *s, satchel_error *error) {
    const sat_collection *collection = s->collection;
    satchel_results *results = s->results;
    sat_memory *memory = s->store->memory;
    memset(s->keyword, 0, collection->count * sizeof *s->keyword);
    size_t terms = results->terms.count;
    if (terms == 0 || collection->count == 0)
        return SATCHEL_OK;
    results->idf = sat_calloc(memory, terms, sizeof *results->idf);
    sat_buffer match;
    sat_bm25 *bm25 = NULL;
    sat_buffer_init(&match, memory);
    satchel_status status = SATCHEL_OK;
    if (!results->idf || !sat_query_terms_match(&results->terms, &match))
        status = sat_memory_fail(memory, terms * 16, error);
    if (!status)
        status = sat_bm25_open(&bm25, memory, &results->terms, error);
    if (!status)
        status = match_rows(s, bm25, &match, error);
    const sat_bm25_rows rows = {collection->count, collection->length, collection->joined};
    if (!status)
        status = sat_bm25_finish(bm25, &rows, s->keyword, results->idf, error);
    sat_bm25_close(&bm25);
    sat_buffer_free(&match);
    return status;
}

/* ------------------------------------------------------------------ vector scores */

/* From the lists of the index: the cosines of rows that can be among the best. */
static satchel_status score_indexed(search *s, satchel_error *error) {
    const sat_collection *collection = s->collection;
    bool hybrid = s->results->mode == SATCHEL_SEARCH_HYBRID;
    sat_index_search indexed = {.collection = collection,
                                .reader = s->reader,
                                .query = s->results->query_vector,
                                .pass = s->pass,
                                .keyword = hybrid ? s->keyword : NULL,
                                .keyword_scale = s->keyword_scale,
                                .weight = (float)SAT_VECTOR_WEIGHT * s->results->share,
                                .k = s->k < collection->count ? s->k : collection->count,
                                .cancel = s->cancel};
    indexed.vector = s->vector = s->keyword + collection->count;
    satchel_status status = sat_index_search_run(&indexed, error);
    s->vector_scale = indexed.scale;
    return status;
}

/*
 * The scale is that of the whole store, with a filter too: else a filter would change what a score
 * means. In a large store a sample tells the scale as well, and the rows that pass are the only
 * others to score.
 */
static satchel_status choose_sample(search *s, satchel_error *error) {
    const sat_collection *collection = s->collection;
    if (!s->pass || collection->embedded <= 2 * SAMPLE_ROWS)
        return SATCHEL_OK;
    s->sample = sat_calloc(s->store->memory, collection->count, 1);
    if (!s->sample)
        return sat_memory_fail(s->store->memory, collection->count, error);
    size_t stride = collection->count / SAMPLE_ROWS;
    for (size_t row = 0; row < collection->count; row += stride)
        s->sample[row] = 1;
    return SATCHEL_OK;
}

/* Rows of the vector index to score: NULL for all. */
static satchel_status wanted_vectors(const search *s, uint8_t **out, satchel_error *error) {
    const sat_collection *collection = s->collection;
    size_t vectors = sat_vindex_count(collection->vectors);
    *out = NULL;
    if (!s->sample)
        return SATCHEL_OK;
    uint8_t *wanted = sat_calloc(s->store->memory, vectors + 1, 1);
    if (!wanted)
        return sat_memory_fail(s->store->memory, vectors, error);
    for (size_t row = 0; row < collection->count; row++) {
        if (collection->vector[row] != SAT_NO_VECTOR && (s->pass[row] || s->sample[row]))
            wanted[collection->vector[row]] = 1;
    }
    *out = wanted;
    return SATCHEL_OK;
}

static satchel_status score_exactly(search *s, satchel_error *error) {
    const sat_collection *collection = s->collection;
    sat_memory *memory = s->store->memory;
    size_t vectors = sat_vindex_count(collection->vectors);
    uint8_t *wanted = NULL;
    s->vector = s->keyword + collection->count;
    float *scores = sat_alloc_array(memory, vectors + 1, sizeof *scores);
    satchel_status status = SATCHEL_OK;
    if (!scores)
        status = sat_memory_fail(memory, vectors * sizeof(float), error);
    if (!status)
        status = choose_sample(s, error);
    if (!status)
        status = wanted_vectors(s, &wanted, error);
    if (!status)
        status = sat_vindex_score(collection->vectors, s->results->query_vector, wanted, scores,
                                  s->cancel, error);
    for (size_t row = 0; row < collection->count && !status; row++) {
        uint32_t at = collection->vector[row];
        s->vector[row] = at == SAT_NO_VECTOR || (wanted && !wanted[at]) ? NAN : scores[at];
    }
    if (!status)
        s->vector_scale = sat_scale_of(s->vector, s->sample, collection->count, SAT_VECTOR_PRIOR);
    sat_free(memory, wanted);
    sat_free(memory, scores);
    return status;
}

/* ------------------------------------------------------------------ ranking */

static float fused(const search *s, size_t row) {
    bool vector = s->vector && !isnan(s->vector[row]) && s->results->share > 0;
    switch (s->results->mode) {
    case SATCHEL_SEARCH_VECTOR:
        return s->vector ? s->vector[row] : NAN;
    case SATCHEL_SEARCH_KEYWORD:
        return s->keyword[row] > 0 ? s->keyword[row] : NAN;
    default:
        if (!vector && !(s->keyword[row] > 0))
            return NAN;
        return sat_scale_apply(s->keyword_scale, s->keyword[row]) +
               (float)SAT_VECTOR_WEIGHT * s->results->share *
                   (s->vector ? sat_scale_apply(s->vector_scale, s->vector[row]) : 0);
    }
}

static satchel_status rank(search *s, satchel_error *error) {
    const sat_collection *collection = s->collection;
    sat_memory *memory = s->store->memory;
    size_t count = collection->count;
    size_t k = s->k < count ? s->k : count;
    s->score = s->keyword + 2 * count;
    s->best = sat_alloc_array(memory, k + 1, sizeof *s->best);
    if (!s->best)
        return sat_memory_fail(memory, k * sizeof *s->best, error);
    for (size_t row = 0; row < count; row++) {
        s->score[row] = passes(s, row) ? fused(s, row) : NAN;
        s->results->matched += passes(s, row) && s->keyword[row] > 0;
    }
    s->found = sat_top(s->score, collection->chunk, count, s->best, k);
    return SATCHEL_OK;
}

static satchel_status score_all(search *s, satchel_error *error) {
    satchel_results *results = s->results;
    bool vectors = results->query_vector && s->collection->embedded > 0;
    results->chunks = (int64_t)s->collection->count;
    if (results->mode == SATCHEL_SEARCH_HYBRID && !vectors)
        results->mode = SATCHEL_SEARCH_KEYWORD;
    s->scratch = sat_collection_scratch(s->store->collection, 3 * s->collection->count + 1);
    if (!s->scratch)
        return sat_memory_fail(s->store->memory, 3 * s->collection->count * sizeof(float), error);
    s->keyword = s->scratch->values;
    satchel_status status = apply_filter(s, error);
    results->candidates = (int64_t)s->passing;
    if (!status)
        status = score_keywords(s, error);
    if (!status && s->matches) /* else all scores are 0 */
        s->keyword_scale = sat_scale_of(s->keyword, NULL, s->collection->count, SAT_KEYWORD_PRIOR);
    if (!status && vectors)
        status = s->collection->generation ? score_indexed(s, error) : score_exactly(s, error);
    return status ? status : rank(s, error);
}

/* ------------------------------------------------------------------ hits */

static satchel_status fill(search *s, satchel_error *error) {
    sat_memory *memory = s->store->memory;
    int64_t *chunks = sat_alloc_array(memory, s->found + 1, sizeof *chunks);
    if (!chunks)
        return sat_memory_fail(memory, s->found * sizeof *chunks, error);
    for (size_t i = 0; i < s->found; i++)
        chunks[i] = s->collection->chunk[s->best[i]];
    satchel_status status = sat_results_fill(s->results, s->reader, chunks, s->found, error);
    for (size_t i = 0; i < s->found && !status; i++) {
        size_t row = s->best[i];
        sat_hit *hit = &s->results->hits[i];
        hit->hit.score = s->score[row];
        hit->hit.keyword_score = s->keyword[row];
        hit->hit.vector_score = s->vector ? s->vector[row] : NAN;
        hit->keyword_z = sat_scale_apply(s->keyword_scale, s->keyword[row]);
        hit->vector_z = s->vector ? sat_scale_apply(s->vector_scale, s->vector[row]) : 0;
    }
    sat_free(memory, chunks);
    return status;
}

/* What one snapshot gave. */
static void free_scores(search *s) {
    sat_memory *memory = s->store->memory;
    sat_free(memory, s->pass);
    sat_free(memory, s->sample);
    sat_free(memory, s->best);
    sat_collection_give_scratch(s->store->collection, s->scratch);
    s->scratch = NULL;
    s->pass = s->sample = NULL;
    s->keyword = s->vector = s->score = NULL;
    s->best = NULL;
}

/* *again: a damaged index was met, and will not be met again. */
static satchel_status search_snapshot(search *s, bool *again, satchel_error *error) {
    sat_collection *collection = s->store->collection;
    satchel_status status = sat_collection_begin(collection, s->reader, error);
    *again = false;
    if (status)
        return status;
    s->collection = collection;
    status = score_all(s, error);
    if (!status)
        status = fill(s, error);
    *again = status == SATCHEL_DAMAGED && collection->generation && collection->generation->damaged;
    if (*again)
        sat_index_distrust(s->store->index, collection->generation);
    sat_collection_end(collection);
    if (*again)
        sat_collection_forget(collection);
    return status;
}

static satchel_status run(search *s, satchel_error *error) {
    satchel_status status = SATCHEL_OK;
    bool again = false;
    if (is_blank(s->query, s->length))
        return SATCHEL_OK;
    if (s->store->embedder && s->results->mode != SATCHEL_SEARCH_KEYWORD)
        status = embed_query(s, error);
    if (!status)
        status = sat_reader_begin(s->store, s->cancel, &s->reader, error);
    if (!status)
        status = make_terms(s, error);
    if (!status)
        status = search_snapshot(s, &again, error);
    if (again) {
        free_scores(s);
        sat_free(s->store->memory, s->results->idf);
        s->results->idf = NULL;
        s->results->mode = s->mode;
        status = sat_reader_renew(s->reader, error);
        if (!status)
            status = search_snapshot(s, &again, error);
    }
    sat_reader_end(s->reader);
    free_scores(s);
    return status;
}

/* The mode that is asked for, or its default. */
static satchel_status choose_mode(search *s, int32_t mode, satchel_error *error) {
    bool model = s->store->embedder != NULL;
    if (mode < SATCHEL_SEARCH_DEFAULT || mode > SATCHEL_SEARCH_HYBRID)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "there is no search mode %d", (int)mode);
    if (mode == SATCHEL_SEARCH_VECTOR && !model)
        return sat_fail(error, SATCHEL_NO_MODEL,
                        "vector search needs a model; open the store with one, or search by "
                        "keyword");
    s->mode = mode != SATCHEL_SEARCH_DEFAULT ? mode : SATCHEL_SEARCH_HYBRID;
    if (!model)
        s->mode = SATCHEL_SEARCH_KEYWORD;
    return SATCHEL_OK;
}

satchel_status sat_store_search(satchel_results **out, sat_store *store, const char *query,
                                size_t length, const satchel_search_options *options,
                                satchel_error *error) {
    static const satchel_search_options defaults = {0};
    *out = NULL;
    if (!options)
        options = &defaults;
    if (length == SATCHEL_NUL_TERMINATED)
        length = strlen(query);
    search s = {.store = store,
                .query = query,
                .length = length,
                .k = options->k > 0 ? (size_t)options->k : DEFAULT_K,
                .cancel = options->cancel};
    if (s.k > MAX_K)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "k is %zu; at most %d hits can be had",
                        s.k, MAX_K);
    size_t valid = sat_utf8_valid(query, length);
    if (valid < length)
        return sat_fail(error, SATCHEL_INVALID_TEXT, "the query is not valid UTF-8 at byte %zu",
                        valid);
    satchel_status status = choose_mode(&s, options->mode, error);
    if (!status)
        status = sat_filter_compile(&s.filter, store->memory, options->filter, error);
    if (status)
        return status;
    s.results = sat_calloc(store->memory, 1, sizeof *s.results);
    if (!s.results) {
        sat_filter_free(&s.filter);
        return sat_memory_fail(store->memory, sizeof *s.results, error);
    }
    s.results->context = sat_context_retain(store->context);
    sat_arena_init(&s.results->arena, store->memory);
    s.results->mode = s.mode;
    status = run(&s, error);
    sat_filter_free(&s.filter);
    if (status) {
        sat_results_close(&s.results);
        return status;
    }
    *out = s.results;
    return SATCHEL_OK;
}
