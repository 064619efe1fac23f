/*
 * Search in an index generation. The lists whose centroids are nearest give candidates by their
 * codes; the best of these get their cosine from the vectors in the store, as do all rows newer
 * than the generation. What the exact tier would rank first is then among them, as far as the lists
 * that were looked into hold it.
 *
 * Ranking by keywords too needs the cosines of rows that no list gave: those that match so well
 * that even a cosine just below the lists' worst would bring them among the k best. Keyword scores
 * are all known, so these rows are too (the threshold algorithm: R. Fagin, A. Lotem, M. Naor,
 * "Optimal Aggregation Algorithms for Middleware", 2001).
 */
#include "retrieval/index_search.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "retrieval/index.h"

/* Lists looked into: this part of all, and at least so many. */
#define PROBE_PART 40
#define LEAST_PROBES ((size_t)16)
/* Candidates whose exact cosine is taken, for k hits. Codes are off by thousandths. */
#define CANDIDATES(k) (2 * (k) + 64)
/* Rows in the lists, for each candidate, at least. */
#define ROWS_PER_CANDIDATE 4
/* So few rows that pass a filter are read from the store, without lists: one in so many, within
 * limits. */
#define DIRECT_PART 64
#define LEAST_DIRECT ((size_t)512)
#define MOST_DIRECT ((size_t)4096)
/* Rows found by keyword whose cosines are taken, best matches first. */
#define MOST_KEYWORD_ROWS ((size_t)2048)
/* Vectors read from the store at once. */
#define READ_ROWS ((size_t)128)

typedef struct work {
    sat_index_search *s;
    const sat_collection *collection;
    sat_generation *generation;
    sat_memory *memory;
    size_t dimension, rows;
    uint8_t *wanted;  /* (rows) of the generation that live and pass; NULL: all */
    size_t available; /* of them */
    float lowest;     /* no row of the generation without a cosine has a greater one */

    float *centroid;   /* (lists) their scores, NaN: holds nothing wanted */
    int64_t *list_ids; /* (lists) 0, 1, … */
    uint32_t *probes;  /* (probe_count) lists, nearest first */
    size_t probe_count;
    size_t *begin; /* (probe_count + 1) where a list's rows stand in found */
    size_t want;
    float *found;       /* (begin[probe_count]) scores by code, NaN: not wanted */
    int64_t *found_row; /* their rows; first their positions in the list */
    _Atomic bool damaged;
    _Atomic satchel_status failed; /* the last failure of a thread */
} work;

/* ------------------------------------------------------------------ exact cosines */

static satchel_status score_block(work *w, const int64_t *places, size_t count, float *block,
                                  uint8_t *missing, satchel_error *error) {
    const sat_collection *collection = w->collection;
    const sat_generation_key *keys = w->generation->keys;
    int64_t picks[READ_ROWS];
    float scores[READ_ROWS];
    sat_vrows *rows = NULL;
    satchel_status status = sat_index_read_vectors(w->s->reader, keys, places, count, w->dimension,
                                                   block, missing, error);
    /* By what scores in the exact tier: equal vectors get equal cosines, wherever they lie. */
    if (!status)
        status = sat_vrows_open(&rows, collection->store->context, w->dimension, error);
    if (!status)
        status = sat_vrows_add(rows, block, count, error);
    for (size_t i = 0; i < count; i++)
        picks[i] = (int64_t)i;
    if (!status && !sat_vrows_score(rows, w->s->query, picks, count, scores))
        status = sat_fail(error, SATCHEL_INTERNAL, "the vector index failed to score");
    sat_vrows_close(rows);
    for (size_t i = 0; i < count && !status; i++) {
        size_t hint = 0, row = sat_collection_row(collection, keys[places[i]].chunk, &hint);
        if (row == SIZE_MAX || collection->vector[row] != (uint32_t)places[i])
            continue;
        if (missing[i])
            return sat_fail(error, SATCHEL_DAMAGED,
                            "store '%s': the vector of chunk %lld is missing; run verify",
                            collection->store->path, (long long)collection->chunk[row]);
        w->s->vector[row] = scores[i];
    }
    return status;
}

/* The cosines of places of the generation. */
static satchel_status score_places(work *w, const int64_t *places, size_t count,
                                   satchel_error *error) {
    size_t bytes = READ_ROWS * w->dimension * sizeof(float);
    uint8_t missing[READ_ROWS];
    float *block = sat_alloc_aligned(w->memory, bytes);
    if (!block)
        return sat_memory_fail(w->memory, bytes, error);
    satchel_status status = SATCHEL_OK;
    for (size_t at = 0; at < count && !status; at += READ_ROWS) {
        status = sat_cancel_check(w->s->cancel, error);
        if (!status)
            status = score_block(w, places + at, count - at < READ_ROWS ? count - at : READ_ROWS,
                                 block, missing, error);
    }
    sat_free_aligned(w->memory, block);
    return status;
}

/* Rows of the collection, by the index (uint32) that sat_top() gives. */
static satchel_status score_rows(work *w, const uint32_t *rows, size_t count,
                                 satchel_error *error) {
    int64_t *places = sat_alloc_array(w->memory, count + 1, sizeof *places);
    if (!places)
        return sat_memory_fail(w->memory, count * sizeof *places, error);
    for (size_t i = 0; i < count; i++)
        places[i] = w->collection->vector[rows[i]];
    satchel_status status = score_places(w, places, count, error);
    sat_free(w->memory, places);
    return status;
}

/* ------------------------------------------------------------------ newer rows, and the scale */

static sat_scale join_scales(sat_scale a, size_t a_count, sat_scale b, size_t b_count) {
    if (b_count == 0)
        return a;
    if (a_count == 0)
        return b;
    double share = (double)b_count / ((double)a_count + (double)b_count);
    double apart = b.mean - a.mean;
    double variance = (1 - share) * a.deviation * a.deviation + share * b.deviation * b.deviation +
                      share * (1 - share) * apart * apart;
    return (sat_scale){a.mean + share * apart, sqrt(variance)};
}

/* The scale of the generation's living rows, from the sample that it keeps. */
static satchel_status score_sample(work *w, sat_scale *scale, satchel_error *error) {
    const sat_generation *g = w->generation;
    size_t count = g->info.sample_count;
    float *scores = sat_alloc_array(w->memory, count + 1, sizeof *scores);
    if (!scores)
        return sat_memory_fail(w->memory, count * sizeof *scores, error);
    w->collection->store->context->vector->dot_rows(scores, g->sample, w->s->query, count,
                                                    w->dimension);
    for (size_t i = 0; i < count; i++)
        if (w->collection->dead[g->sample_rows[i]])
            scores[i] = NAN;
    *scale = sat_scale_of(scores, NULL, count, 0);
    sat_free(w->memory, scores);
    return SATCHEL_OK;
}

/* All rows newer than the generation are scored. */
static satchel_status score_newer(work *w, satchel_error *error) {
    const sat_collection *collection = w->collection;
    size_t count = sat_vindex_count(collection->vectors);
    sat_scale scale = {0};
    satchel_status status = score_sample(w, &scale, error);
    w->s->scale = scale;
    if (status || count == 0)
        return status;
    float *scores = sat_alloc_array(w->memory, count, sizeof *scores);
    if (!scores)
        return sat_memory_fail(w->memory, count * sizeof *scores, error);
    for (size_t i = 0; i < count; i++)
        scores[i] = NAN;
    status = sat_vindex_score(collection->vectors, w->s->query, NULL, scores, w->s->cancel, error);
    for (size_t row = 0; row < collection->count && !status; row++) {
        uint32_t place = collection->vector[row];
        if (place != SAT_NO_VECTOR && place >= w->rows)
            w->s->vector[row] = scores[place - w->rows];
    }
    if (!status)
        w->s->scale = join_scales(scale, w->rows - collection->dead_count,
                                  sat_scale_of(scores, NULL, count, 0),
                                  count - sat_vindex_dead(collection->vectors));
    sat_free(w->memory, scores);
    return status;
}

/* ------------------------------------------------------------------ which rows, which lists */

static satchel_status choose_rows(work *w, satchel_error *error) {
    const sat_collection *collection = w->collection;
    w->available = w->rows - collection->dead_count;
    if (!w->s->pass && collection->dead_count == 0)
        return SATCHEL_OK;
    w->wanted = sat_calloc(w->memory, w->rows, 1);
    if (!w->wanted)
        return sat_memory_fail(w->memory, w->rows, error);
    w->available = 0;
    for (size_t row = 0; row < collection->count; row++) {
        /* Places that have no row here are dead, and not wanted. */
        uint32_t place = collection->vector[row];
        if (place < w->rows && (!w->s->pass || w->s->pass[row])) {
            w->wanted[place] = 1;
            w->available++;
        }
    }
    return SATCHEL_OK;
}

/* So few that lists would only be in the way. */
static bool are_few(const work *w) {
    size_t few = w->rows / DIRECT_PART;
    few = few < LEAST_DIRECT ? LEAST_DIRECT : few > MOST_DIRECT ? MOST_DIRECT : few;
    return w->s->pass && w->available <= few;
}

static satchel_status score_few(work *w, satchel_error *error) {
    int64_t *places = sat_alloc_array(w->memory, w->available + 1, sizeof *places);
    if (!places)
        return sat_memory_fail(w->memory, w->available * sizeof *places, error);
    size_t count = 0;
    for (size_t place = 0; place < w->rows; place++)
        if (w->wanted[place])
            places[count++] = (int64_t)place;
    satchel_status status = score_places(w, places, count, error);
    sat_free(w->memory, places);
    w->lowest = -INFINITY;
    return status;
}

/* What each list holds of what is wanted goes into counts (lists). */
static void count_wanted(const work *w, size_t *counts) {
    const sat_generation *g = w->generation;
    for (size_t i = 0; i < g->info.lists; i++)
        counts[i] = w->wanted ? 0 : (size_t)g->table[i].rows;
    for (size_t row = 0; row < w->rows && w->wanted; row++)
        counts[g->labels[row]] += w->wanted[row];
}

/* Lists by nearness, until they hold enough. The rarer the rows that pass, the farther the best of
 * them lie: lists are taken in proportion to the root. */
static size_t choose_probes(work *w, const size_t *counts) {
    const sat_generation *g = w->generation;
    size_t lists = g->info.lists, share = lists / PROBE_PART;
    size_t most = (size_t)w->collection->store->index->setup.probes;
    if (most == 0)
        most = share < LEAST_PROBES ? LEAST_PROBES : share;
    most = (size_t)ceil((double)most * sqrt((double)w->rows / (double)w->available));
    for (;; most *= 2) {
        size_t found =
            sat_top(w->centroid, w->list_ids, lists, w->probes, most < lists ? most : lists);
        size_t rows = 0;
        for (size_t i = 0; i < found; i++)
            rows += counts[w->probes[i]];
        if (most >= lists || found < most || rows >= ROWS_PER_CANDIDATE * w->want)
            return found;
    }
}

static satchel_status choose_lists(work *w, satchel_error *error) {
    const sat_generation *g = w->generation;
    size_t lists = g->info.lists;
    size_t *counts = sat_alloc_array(w->memory, lists, sizeof *counts);
    w->centroid = sat_alloc_array(w->memory, lists, sizeof *w->centroid);
    w->list_ids = sat_alloc_array(w->memory, lists, sizeof *w->list_ids);
    w->probes = sat_alloc_array(w->memory, lists, sizeof *w->probes);
    w->begin = sat_alloc_array(w->memory, lists + 1, sizeof *w->begin);
    if (!counts || !w->centroid || !w->list_ids || !w->probes || !w->begin) {
        sat_free(w->memory, counts);
        return sat_memory_fail(w->memory, lists * sizeof *counts, error);
    }
    w->collection->store->context->vector->dot_rows(w->centroid, g->centroids, w->s->query, lists,
                                                    w->dimension);
    count_wanted(w, counts);
    for (size_t i = 0; i < lists; i++) {
        w->list_ids[i] = (int64_t)i;
        if (counts[i] == 0)
            w->centroid[i] = NAN;
    }
    w->want = CANDIDATES(w->s->k) < w->available ? CANDIDATES(w->s->k) : w->available;
    w->probe_count = choose_probes(w, counts);
    sat_free(w->memory, counts);
    /* Where some rows are not wanted, any may be the best that is: then all of a list are had. */
    size_t at = 0;
    for (size_t i = 0; i < w->probe_count; i++) {
        size_t rows = (size_t)g->table[w->probes[i]].rows;
        w->begin[i] = at;
        at += w->wanted || rows < w->want ? rows : w->want;
    }
    w->begin[w->probe_count] = at;
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ scanning lists */

static void scan_lists(void *user, int thread, size_t begin, size_t end) {
    work *w = user;
    for (size_t i = begin; i < end && !sat_cancelled(w->s->cancel); i++) {
        size_t list = w->probes[i], at = w->begin[i], count = w->begin[i + 1] - at;
        if (!sat_generation_check(w->generation, list)) {
            atomic_store(&w->damaged, true);
            return;
        }
        satchel_status status = sat_ivf_scan(w->generation->ivf, w->s->query, list, count,
                                             w->found + at, w->found_row + at, NULL);
        if (status) {
            atomic_store(&w->failed, status);
            return;
        }
        const int32_t *numbers = sat_generation_numbers(w->generation, list);
        for (size_t j = at; j < at + count; j++) {
            int64_t row = w->found_row[j] < 0 ? -1 : numbers[w->found_row[j]];
            w->found_row[j] = row;
            if (row < 0 || (w->wanted && !w->wanted[row]))
                w->found[j] = NAN;
        }
    }
}

static satchel_status score_best(work *w, satchel_error *error) {
    size_t total = w->begin[w->probe_count];
    uint32_t *best = sat_alloc_array(w->memory, w->want + 1, sizeof *best);
    int64_t *places = sat_alloc_array(w->memory, w->want + 1, sizeof *places);
    satchel_status status = SATCHEL_OK;
    if (!best || !places)
        status = sat_memory_fail(w->memory, w->want * sizeof *places, error);
    size_t count = status ? 0 : sat_top(w->found, w->found_row, total, best, w->want);
    for (size_t i = 0; i < count; i++)
        places[i] = w->found_row[best[i]];
    if (!status)
        status = score_places(w, places, count, error);
    w->lowest = INFINITY;
    for (size_t i = 0; i < count && !status; i++) {
        size_t hint = 0;
        size_t row = sat_collection_row(w->collection, w->generation->keys[places[i]].chunk, &hint);
        if (row != SIZE_MAX && w->s->vector[row] < w->lowest)
            w->lowest = w->s->vector[row];
    }
    sat_free(w->memory, best);
    sat_free(w->memory, places);
    return status;
}

static satchel_status score_lists(work *w, satchel_error *error) {
    satchel_status status = choose_lists(w, error);
    if (status)
        return status;
    size_t total = w->begin[w->probe_count];
    w->found = sat_alloc_array(w->memory, total + 1, sizeof *w->found);
    w->found_row = sat_alloc_array(w->memory, total + 1, sizeof *w->found_row);
    if (!w->found || !w->found_row)
        return sat_memory_fail(w->memory, total * sizeof *w->found_row, error);
    sat_pool_run(w->collection->store->context->pool, SAT_PRIORITY_SEARCH, 0, w->probe_count, 4,
                 scan_lists, w);
    status = sat_cancel_check(w->s->cancel, error);
    if (!status && atomic_load(&w->damaged))
        status = sat_fail(error, SATCHEL_DAMAGED, "the vector index of store '%s' is damaged",
                          w->collection->store->path);
    if (!status && atomic_load(&w->failed))
        status = sat_fail(error, atomic_load(&w->failed),
                          "a list of the vector index could not be scanned");
    return status ? status : score_best(w, error);
}

/* ------------------------------------------------------------------ rows found by keyword */

static float fused(const sat_index_search *s, size_t row, float cosine) {
    return sat_scale_apply(s->keyword_scale, s->keyword[row]) +
           s->weight * sat_scale_apply(s->scale, cosine);
}

static bool passes(const sat_index_search *s, size_t row) {
    return !s->pass || s->pass[row];
}

/* The k-th best sum of those known; -infinity if there are not so many. scratch: (count). */
static float kth_best(const work *w, float *scratch, uint32_t *best) {
    const sat_index_search *s = w->s;
    for (size_t row = 0; row < w->collection->count; row++)
        scratch[row] =
            passes(s, row) && !isnan(s->vector[row]) ? fused(s, row, s->vector[row]) : NAN;
    size_t count = sat_top(scratch, w->collection->chunk, w->collection->count, best, s->k);
    return count < s->k || count == 0 ? -INFINITY : scratch[best[count - 1]];
}

/* Takes the cosines of the `most` best matches that have none and could still reach `least`. */
static satchel_status score_matches(work *w, float least, size_t most, float *scratch,
                                    uint32_t *best, satchel_error *error) {
    const sat_index_search *s = w->s;
    for (size_t row = 0; row < w->collection->count; row++) {
        bool open = s->keyword[row] > 0 && isnan(s->vector[row]) && passes(s, row) &&
                    w->collection->vector[row] != SAT_NO_VECTOR;
        scratch[row] = open && fused(s, row, w->lowest) >= least ? s->keyword[row] : NAN;
    }
    size_t count = sat_top(scratch, w->collection->chunk, w->collection->count, best, most);
    return score_rows(w, best, count, error);
}

static satchel_status score_keyword_rows(work *w, satchel_error *error) {
    const sat_index_search *s = w->s;
    size_t room = s->k > MOST_KEYWORD_ROWS ? s->k : MOST_KEYWORD_ROWS;
    float *scratch = sat_alloc_array(w->memory, w->collection->count + 1, sizeof *scratch);
    uint32_t *best = sat_alloc_array(w->memory, room, sizeof *best);
    satchel_status status = SATCHEL_OK;
    if (!scratch || !best)
        status = sat_memory_fail(w->memory, w->collection->count * sizeof *scratch, error);
    /* The best matches first: with them the bar is high, and few more can reach it. */
    if (!status)
        status = score_matches(w, -INFINITY, s->k, scratch, best, error);
    if (!status)
        status = score_matches(w, kth_best(w, scratch, best), room, scratch, best, error);
    sat_free(w->memory, scratch);
    sat_free(w->memory, best);
    return status;
}

/* ------------------------------------------------------------------ the whole */

satchel_status sat_index_search_run(sat_index_search *search, satchel_error *error) {
    const sat_collection *collection = search->collection;
    work w = {.s = search,
              .collection = collection,
              .generation = collection->generation,
              .memory = collection->store->memory,
              .dimension = collection->generation->info.dimension,
              .rows = collection->generation->info.rows,
              .lowest = -INFINITY};
    for (size_t row = 0; row < collection->count; row++)
        search->vector[row] = NAN;
    satchel_status status = score_newer(&w, error);
    if (!status)
        status = choose_rows(&w, error);
    if (!status && w.available > 0)
        status = are_few(&w) ? score_few(&w, error) : score_lists(&w, error);
    if (!status && search->keyword && search->k > 0)
        status = score_keyword_rows(&w, error);
    sat_free(w.memory, w.wanted);
    sat_free(w.memory, w.centroid);
    sat_free(w.memory, w.list_ids);
    sat_free(w.memory, w.probes);
    sat_free(w.memory, w.begin);
    sat_free(w.memory, w.found);
    sat_free(w.memory, w.found_row);
    return status;
}
