/* Topics: the vectors of a store's chunks, clustered; see topics.h for the steps. */
#include "retrieval/topics.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/cluster.h"

/* Few chunks are clustered from several seeds, and the best is kept: with so few, one seed may be
 * unlucky, and a run costs nothing. */
#define RESTARTS 4
#define RESTART_PRODUCTS ((uint64_t)1 << 20) /* chunks · topics */

enum { FEWEST_BY_DEFAULT = 5, MOST_BY_DEFAULT = 20, CHUNKS_FOR_A_TOPIC = 3 };

satchel_status sat_topics_progress(sat_grouping *grouping, int32_t phase, int64_t done,
                                   int64_t total, satchel_error *error) {
    const satchel_topics_options *options = &grouping->options;
    const satchel_event_progress event = {.phase = phase,
                                          .done = done,
                                          .total = total,
                                          .elapsed_ms = sat_clock_ms() - grouping->started};
    if (options->progress && options->progress(options->progress_user, &event) != 0)
        return sat_fail(error, SATCHEL_CANCELLED, "the progress function ended the grouping");
    return sat_cancel_check(options->cancel, error);
}

/* ------------------------------------------------------------------ loading */

/* The chunks that the filter lets pass, with their vectors (NULL where there is none yet). The
 * filter's own parameters come first. */
static bool build_sql(sat_buffer *sql, const sat_filter *filter, const char *select,
                      const char *order) {
    sat_buffer_append_text(sql, select);
    sat_buffer_append_format(sql,
                             " FROM document d JOIN chunk c ON c.document = d.id "
                             "LEFT JOIN vector v ON v.id = c.vector AND c.model = ?%zu WHERE ",
                             filter->count + 1);
    sat_buffer_append(sql, filter->condition.data, filter->condition.length);
    sat_buffer_append_text(sql, order);
    return !sql->failed;
}

static satchel_status begin(sat_query *query, sat_connection *reader, const sat_filter *filter,
                            sat_buffer *sql, int64_t model, const char *select, const char *order,
                            satchel_error *error) {
    sat_buffer_clear(sql);
    if (!build_sql(sql, filter, select, order))
        return sat_memory_fail(sql->memory, filter->condition.length, error);
    sat_query_begin_text(query, reader, sql->data, sql->length);
    sat_filter_bind(filter, query);
    if (model)
        sat_bind_int(query, (int)filter->count + 1, model);
    return SATCHEL_OK;
}

/* Rows come by document: the one at hand, or a new one. */
static bool note_document(sat_grouping *g, sat_query *query) {
    sat_arena *arena = &g->topics->arena;
    if (!sat_grow(g->memory, (void **)&g->documents, &g->document_capacity, g->document_count + 1,
                  sizeof *g->documents))
        return false;
    satchel_topic_document *document = &g->documents[g->document_count++];
    *document = (satchel_topic_document){.id = sat_column_copy(query, 2, arena),
                                         .title = sat_column_copy(query, 3, arena)};
    return document->id && document->title;
}

/* True for a vector as the store keeps them: finite, of about length 1. */
static bool is_unit(const sat_vector_kernels *kernels, const float *vector, size_t dimension) {
    float square = kernels->dot(vector, vector, dimension);
    return square > 0.9f && square < 1.1f;
}

static satchel_status read_rows(sat_grouping *g, sat_query *query, float *vectors,
                                satchel_error *error) {
    const size_t dimension = (size_t)g->store->embedder->dimension;
    const sat_vector_kernels *kernels = g->store->context->vector;
    int64_t document = 0, damaged = 0;
    size_t filled = 0;
    bool ok = true;
    while (ok && !damaged && filled < g->count && sat_query_row(query)) {
        float *vector = vectors + filled * dimension;
        if (!sat_column_floats(query, 4, vector, dimension) || !is_unit(kernels, vector, dimension))
            damaged = sat_column_int(query, 0);
        if (filled == 0 || sat_column_int(query, 1) != document)
            ok = note_document(g, query);
        if (!ok || damaged)
            break;
        document = sat_column_int(query, 1);
        g->documents[g->document_count - 1].chunks_all++;
        g->chunks[filled++] = (sat_topic_chunk){.chunk = sat_column_int(query, 0),
                                                .document = (uint32_t)(g->document_count - 1)};
    }
    satchel_status status = sat_query_end(query, error);
    if (!status && !ok)
        status = sat_memory_fail(g->memory, g->document_capacity * sizeof *g->documents, error);
    if (!status && damaged)
        status = sat_fail(error, SATCHEL_DAMAGED,
                          "store '%s': the vector of chunk %" PRId64 " is no unit vector of %zu "
                          "dimensions; run verify",
                          g->store->path, damaged, dimension);
    g->count = filled;
    return status;
}

/* Chunks and vectors (count, dimension) in one snapshot. */
static satchel_status load_from(sat_grouping *g, sat_connection *reader, const sat_filter *filter,
                                float **vectors, satchel_error *error) {
    const size_t dimension = (size_t)g->store->embedder->dimension;
    int64_t model = 0, all = 0, embedded = 0;
    size_t floats = 0;
    sat_buffer sql;
    sat_query query;
    sat_buffer_init(&sql, g->memory);
    satchel_status status = sat_model_id(reader, false, &model, error);
    if (!status)
        status =
            begin(&query, reader, filter, &sql, model, "SELECT count(*), count(v.id)", "", error);
    if (!status) {
        if (sat_query_row(&query)) {
            all = sat_column_int(&query, 0);
            embedded = sat_column_int(&query, 1);
        }
        status = sat_query_end(&query, error);
    }
    g->topics->info.pending = all - embedded;
    if (!status && embedded > 0) {
        if (embedded > INT32_MAX || !sat_mul_size((size_t)embedded, dimension, &floats))
            status = sat_memory_fail(g->memory, SIZE_MAX, error);
        if (!status) {
            *vectors = sat_alloc_array(g->memory, floats, sizeof **vectors);
            g->chunks = sat_alloc_array(g->memory, (size_t)embedded, sizeof *g->chunks);
            if (!*vectors || !g->chunks)
                status = sat_memory_fail(g->memory, floats * sizeof **vectors, error);
        }
        if (!status)
            status = begin(&query, reader, filter, &sql, model,
                           "SELECT c.id, d.id, d.name, d.title, v.data",
                           " AND v.id IS NOT NULL ORDER BY d.id, c.ordinal", error);
        if (!status) {
            g->count = (size_t)embedded;
            status = read_rows(g, &query, *vectors, error);
        }
    }
    sat_buffer_free(&sql);
    return status;
}

static satchel_status load(sat_grouping *g, float **vectors, satchel_error *error) {
    sat_filter filter;
    satchel_status status = sat_filter_compile(&filter, g->memory, g->options.filter, error);
    if (status)
        return status;
    sat_connection *reader = NULL;
    status = sat_reader_begin(g->store, g->options.cancel, &reader, error);
    if (!status)
        status = load_from(g, reader, &filter, vectors, error);
    sat_reader_end(reader);
    sat_filter_free(&filter);
    return status;
}

satchel_status sat_topic_text_read(sat_grouping *grouping, sat_connection *reader, int64_t chunk,
                                   bool with_heading, sat_topic_text *out, satchel_error *error) {
    int64_t document = 0;
    bool ok = true;
    sat_query query;
    out->found = false;
    sat_buffer_clear(&out->text);
    sat_query_begin(&query, reader,
                    "SELECT document, start_byte, end_byte, start_utf16, end_utf16, page, time, "
                    "heading FROM chunk WHERE id = ?1");
    sat_bind_int(&query, 1, chunk);
    if (sat_query_row(&query)) {
        out->found = true;
        document = sat_column_int(&query, 0);
        out->range = (satchel_range){sat_column_int(&query, 1), sat_column_int(&query, 2),
                                     sat_column_int(&query, 3), sat_column_int(&query, 4)};
        out->page = (int32_t)sat_column_int(&query, 5);
        out->time_ms = sat_column_int(&query, 6);
        out->heading = with_heading ? sat_column_copy(&query, 7, &grouping->topics->arena) : NULL;
        ok = !with_heading || out->heading;
    }
    satchel_status status = sat_query_end(&query, error);
    if (!status && !ok)
        status = sat_memory_fail(grouping->memory, 0, error);
    if (!status && out->found)
        status =
            sat_text_read(reader, document, out->range.start, out->range.end, &out->text, error);
    return status;
}

/* ------------------------------------------------------------------ clustering */

/* The cube root grows as slowly as patience: 125 chunks make 5 topics, 1,000 make 10, 8,000 make
 * 20. */
static size_t default_topics(size_t chunks) {
    size_t topics = (size_t)lround(cbrt((double)chunks));
    topics = topics < FEWEST_BY_DEFAULT ? FEWEST_BY_DEFAULT : topics;
    topics = topics > MOST_BY_DEFAULT ? MOST_BY_DEFAULT : topics;
    size_t fitting = chunks / CHUNKS_FOR_A_TOPIC;
    topics = topics > fitting ? fitting : topics;
    return topics ? topics : 1;
}

typedef struct clustering {
    sat_grouping *grouping;
    size_t k;
    int run, runs;
    int64_t shown; /* passes told of: the fast mode counts twice from the beginning */
    float *centroids, *best_centroids; /* (k, dimension) */
    int32_t *labels, *best_labels;     /* (chunks) */
} clustering;

static int32_t on_iteration(void *user, const satchel_kmeans_progress *progress) {
    clustering *c = user;
    /* Seeding, the iterations, the final pass. */
    const int64_t passes = (int64_t)progress->iterations + 2;
    const int64_t done = c->run * passes + progress->iteration + 1;
    c->shown = done > c->shown ? done : c->shown;
    return sat_topics_progress(c->grouping, SATCHEL_PHASE_CLUSTER, c->shown, c->runs * passes,
                               NULL) != SATCHEL_OK;
}

static satchel_status run_clustering(clustering *c, const float *vectors, satchel_error *error) {
    sat_grouping *g = c->grouping;
    const satchel_points points = {.struct_size = sizeof points,
                                   .count = g->count,
                                   .dimension = g->store->embedder->dimension,
                                   .rows = vectors};
    satchel_kmeans_options options = {.struct_size = sizeof options,
                                      .iterations = g->options.iterations,
                                      .objective = SATCHEL_KMEANS_INNER_PRODUCT,
                                      .mode = g->options.mode,
                                      .progress = on_iteration,
                                      .progress_user = c,
                                      .cancel = g->options.cancel};
    double best = 0;
    c->runs = (uint64_t)g->count * c->k <= RESTART_PRODUCTS && c->k > 1 ? RESTARTS : 1;
    for (c->run = 0; c->run < c->runs; c->run++) {
        satchel_kmeans_info info = {0};
        options.seed = g->options.seed + (uint64_t)c->run;
        satchel_status status = sat_kmeans(g->store->context, SAT_PRIORITY_INDEX, &points, c->k,
                                           c->centroids, c->labels, &info, &options, error);
        if (status)
            return status;
        if (c->run > 0 && info.inertia <= best)
            continue;
        best = info.inertia;
        g->topics->info.iterations = info.iterations;
        float *centroids = c->centroids;
        int32_t *labels = c->labels;
        c->centroids = c->best_centroids;
        c->labels = c->best_labels;
        c->best_centroids = centroids;
        c->best_labels = labels;
    }
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ order */

static int by_topic_and_cosine(const void *a, const void *b) {
    const sat_topic_chunk *left = a, *right = b;
    if (left->topic != right->topic)
        return left->topic < right->topic ? -1 : 1;
    if (left->cosine != right->cosine)
        return left->cosine > right->cosine ? -1 : 1;
    return (left->chunk > right->chunk) - (left->chunk < right->chunk);
}

typedef struct cluster_size {
    int32_t label;
    size_t count, first; /* the first chunk it has: of equal sizes, in the order of the documents */
} cluster_size;

static int by_size(const void *a, const void *b) {
    const cluster_size *left = a, *right = b;
    if (left->count != right->count)
        return left->count > right->count ? -1 : 1;
    return (left->first > right->first) - (left->first < right->first);
}

/* Makes topics of the clusters that have a chunk, the largest first, and sorts the chunks. */
static satchel_status make_topics(sat_grouping *g, const clustering *c, const float *vectors,
                                  satchel_error *error) {
    satchel_topics *topics = g->topics;
    const size_t dimension = (size_t)g->store->embedder->dimension;
    const sat_vector_kernels *kernels = g->store->context->vector;
    cluster_size *sizes = sat_arena_alloc(&g->arena, c->k * sizeof *sizes);
    int32_t *rank = sat_arena_alloc(&g->arena, c->k * sizeof *rank);
    topics->items = sat_arena_alloc(&topics->arena, c->k * sizeof *topics->items);
    float *centroids = sat_arena_alloc(&topics->arena, c->k * dimension * sizeof *centroids);
    if (!sizes || !rank || !topics->items || !centroids)
        return sat_memory_fail(g->memory, c->k * dimension * sizeof *centroids, error);
    for (size_t k = 0; k < c->k; k++)
        sizes[k] = (cluster_size){(int32_t)k, 0, g->count};
    for (size_t i = 0; i < g->count; i++) {
        cluster_size *size = &sizes[c->best_labels[i]];
        if (size->count++ == 0)
            size->first = i;
    }
    qsort(sizes, c->k, sizeof *sizes, by_size);
    for (size_t k = 0; k < c->k; k++)
        rank[sizes[k].label] = (int32_t)k;
    size_t first = 0;
    for (size_t k = 0; k < c->k && sizes[k].count > 0; k++) {
        float *centroid = centroids + k * dimension;
        memcpy(centroid, c->best_centroids + (size_t)sizes[k].label * dimension,
               dimension * sizeof *centroid);
        topics->items[k] = (sat_topic){.first = first, .count = sizes[k].count};
        topics->items[k].shown = (satchel_topic){.label = "",
                                                 .chunks = (int64_t)sizes[k].count,
                                                 .share = (double)sizes[k].count / (double)g->count,
                                                 .centroid = centroid};
        first += sizes[k].count;
        topics->count++;
    }
    for (size_t i = 0; i < g->count; i++) {
        sat_topic_chunk *chunk = &g->chunks[i];
        chunk->topic = rank[c->best_labels[i]];
        sat_topic *topic = &topics->items[chunk->topic];
        chunk->cosine = kernels->dot(vectors + i * dimension, topic->shown.centroid, dimension);
    }
    qsort(g->chunks, g->count, sizeof *g->chunks, by_topic_and_cosine);
    for (size_t k = 0; k < topics->count; k++) {
        sat_topic *topic = &topics->items[k];
        for (size_t i = 0; i < topic->count; i++)
            topic->shown.cohesion += (double)g->chunks[topic->first + i].cosine;
        topic->shown.cohesion /= (double)topic->count;
    }
    return SATCHEL_OK;
}

static satchel_status cluster(sat_grouping *g, const float *vectors, satchel_error *error) {
    size_t wanted = g->options.k > 0 ? (size_t)g->options.k : default_topics(g->count);
    clustering c = {.grouping = g, .k = wanted < g->count ? wanted : g->count};
    size_t floats;
    if (!sat_mul_size(c.k, (size_t)g->store->embedder->dimension, &floats))
        return sat_memory_fail(g->memory, SIZE_MAX, error);
    float *centroids = sat_alloc_array(g->memory, 2 * floats, sizeof *centroids);
    int32_t *labels = sat_alloc_array(g->memory, 2 * g->count, sizeof *labels);
    satchel_status status = SATCHEL_OK;
    if (!centroids || !labels)
        status = sat_memory_fail(g->memory, 2 * floats * sizeof *centroids, error);
    if (!status) {
        c.centroids = centroids;
        c.best_centroids = centroids + floats;
        c.labels = labels;
        c.best_labels = labels + g->count;
        status = run_clustering(&c, vectors, error);
    }
    if (!status)
        status = make_topics(g, &c, vectors, error);
    sat_free(g->memory, centroids);
    sat_free(g->memory, labels);
    return status;
}

/* ------------------------------------------------------------------ documents */

static int by_chunks(const void *a, const void *b) {
    const satchel_topic_document *left = a, *right = b;
    if (left->chunks != right->chunks)
        return left->chunks > right->chunks ? -1 : 1;
    if (left->chunks_all != right->chunks_all)
        return left->chunks_all < right->chunks_all ? -1 : 1;
    return strcmp(left->id, right->id);
}

static int by_number(const void *a, const void *b) {
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static satchel_status list_documents(sat_grouping *g, sat_topic *topic, uint32_t *scratch,
                                     satchel_error *error) {
    size_t distinct = 0;
    for (size_t i = 0; i < topic->count; i++)
        scratch[i] = g->chunks[topic->first + i].document;
    qsort(scratch, topic->count, sizeof *scratch, by_number);
    for (size_t i = 0; i < topic->count; i++)
        distinct += i == 0 || scratch[i] != scratch[i - 1];
    topic->documents = sat_arena_alloc(&g->topics->arena, distinct * sizeof *topic->documents);
    if (!topic->documents)
        return sat_memory_fail(g->memory, distinct * sizeof *topic->documents, error);
    size_t listed = 0;
    for (size_t i = 0; i < topic->count; i++) {
        if (i == 0 || scratch[i] != scratch[i - 1])
            topic->documents[listed++] = g->documents[scratch[i]];
        topic->documents[listed - 1].chunks++;
    }
    topic->shown.document_count = distinct;
    qsort(topic->documents, distinct, sizeof *topic->documents, by_chunks);
    return SATCHEL_OK;
}

static satchel_status describe(sat_grouping *g, satchel_error *error) {
    satchel_topics *topics = g->topics;
    uint32_t *scratch = sat_alloc_array(g->memory, g->count + 1, sizeof *scratch);
    satchel_status status = SATCHEL_OK;
    if (!scratch)
        status = sat_memory_fail(g->memory, g->count * sizeof *scratch, error);
    for (size_t k = 0; k < topics->count && !status; k++)
        status = list_documents(g, &topics->items[k], scratch, error);
    sat_free(g->memory, scratch);
    g->steps = (int64_t)topics->count * (g->options.sentences > 0 ? 2 : 1);
    if (!status)
        status = sat_topics_label(g, error);
    if (!status && g->options.sentences > 0)
        status = sat_topics_quote(g, error);
    return status;
}

/* ------------------------------------------------------------------ the whole */

static void set_defaults(satchel_topics_options *options) {
    if (options->words == 0)
        options->words = SAT_TOPIC_WORDS;
    if (options->sentences == 0)
        options->sentences = SAT_TOPIC_SENTENCES;
}

static satchel_status group(sat_grouping *g, satchel_error *error) {
    satchel_topics_info *info = &g->topics->info;
    float *vectors = NULL; /* (count, dimension) */
    int64_t start = sat_clock_ms();
    g->started = start;
    satchel_status status = sat_topics_progress(g, SATCHEL_PHASE_LOAD, 0, -1, error);
    if (!status)
        status = load(g, &vectors, error);
    info->chunks = (int64_t)g->count;
    info->documents = (int64_t)g->document_count;
    info->dimension = g->store->embedder->dimension;
    if (!status)
        status = sat_topics_progress(g, SATCHEL_PHASE_LOAD, info->chunks, info->chunks, error);
    info->read_ms = sat_clock_ms() - start;
    start = g->started = sat_clock_ms();
    if (!status && g->count > 0)
        status = cluster(g, vectors, error);
    info->cluster_ms = sat_clock_ms() - start;
    start = g->started = sat_clock_ms();
    sat_free(g->memory, vectors);
    if (!status && g->count > 0)
        status = describe(g, error);
    info->describe_ms = sat_clock_ms() - start;
    return status;
}

satchel_status sat_store_topics(satchel_topics **out, sat_store *store,
                                const satchel_topics_options *options, satchel_error *error) {
    *out = NULL;
    if (!store->embedder)
        return sat_fail(error, SATCHEL_NO_MODEL,
                        "store '%s' is open without an embedding model: topics are made of "
                        "vectors; give the model in the options of satchel_store_open()",
                        store->path);
    satchel_topics *topics = sat_calloc(store->memory, 1, sizeof *topics);
    if (!topics)
        return sat_memory_fail(store->memory, sizeof *topics, error);
    topics->context = sat_context_retain(store->context);
    sat_arena_init(&topics->arena, store->memory);
    sat_grouping grouping = {
        .store = store, .memory = store->memory, .options = *options, .topics = topics};
    sat_arena_init(&grouping.arena, store->memory);
    set_defaults(&grouping.options);
    satchel_status status = group(&grouping, error);
    sat_free(store->memory, grouping.chunks);
    sat_free(store->memory, grouping.documents);
    sat_arena_free(&grouping.arena);
    if (status)
        sat_topics_close(&topics);
    *out = topics;
    return status;
}

/* ------------------------------------------------------------------ reading */

size_t sat_topics_count(const satchel_topics *topics) {
    return topics->count;
}

void sat_topics_get_info(const satchel_topics *topics, satchel_topics_info *info) {
    *info = topics->info;
}

satchel_status sat_topics_get(const satchel_topics *topics, size_t index, satchel_topic *out,
                              satchel_error *error) {
    if (index >= topics->count)
        return sat_fail(error, SATCHEL_NOT_FOUND, "there is no topic %zu; there are %zu", index,
                        topics->count);
    *out = topics->items[index].shown;
    return SATCHEL_OK;
}

satchel_status sat_topics_get_document(const satchel_topics *topics, size_t index, size_t document,
                                       satchel_topic_document *out, satchel_error *error) {
    satchel_topic topic = {0};
    satchel_status status = sat_topics_get(topics, index, &topic, error);
    if (status)
        return status;
    if (document >= topic.document_count)
        return sat_fail(error, SATCHEL_NOT_FOUND, "topic %zu has no document %zu; it has %zu",
                        index, document, topic.document_count);
    *out = topics->items[index].documents[document];
    return SATCHEL_OK;
}

satchel_status sat_topics_get_sentence(const satchel_topics *topics, size_t index, size_t sentence,
                                       satchel_topic_sentence *out, satchel_error *error) {
    satchel_topic topic = {0};
    satchel_status status = sat_topics_get(topics, index, &topic, error);
    if (status)
        return status;
    if (sentence >= topic.sentence_count)
        return sat_fail(error, SATCHEL_NOT_FOUND, "topic %zu has no sentence %zu; it has %zu",
                        index, sentence, topic.sentence_count);
    *out = topics->items[index].sentences[sentence];
    return SATCHEL_OK;
}

void sat_topics_close(satchel_topics **handle) {
    satchel_topics *topics = *handle;
    if (!topics)
        return;
    *handle = NULL;
    satchel_context *context = topics->context;
    sat_arena_free(&topics->arena);
    sat_free(&context->memory, topics);
    sat_context_release(context);
}
