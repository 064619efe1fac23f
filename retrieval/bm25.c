/*
 * BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009) over all rows at
 * once, with context and prefix classes as terms.h says. The work grows with the rows that match,
 * not with the index, but for one pass over the rows' lengths.
 */
#include <math.h>
#include <string.h>

#include "retrieval/counts.h"
#include "retrieval/terms.h"

#define K1 1.2
#define B 0.75
#define NEIGHBOUR 0.5 /* what a neighbour's terms count, of one's own */
#define PREFIX 0.7    /* what a term of the same prefix class counts, of the term itself */

/* One phrase (a term, or a prefix class) in one row. */
typedef struct posting {
    uint32_t row, phrase;
    float count;
} posting;

struct sat_bm25 {
    sat_memory *memory;
    const sat_query_terms *query;
    size_t phrases;
    posting *postings;
    size_t count, capacity;
};

satchel_status sat_bm25_open(sat_bm25 **out, sat_memory *memory, const sat_query_terms *query,
                             satchel_error *error) {
    *out = sat_calloc(memory, 1, sizeof **out);
    if (!*out)
        return sat_memory_fail(memory, sizeof **out, error);
    (*out)->memory = memory;
    (*out)->query = query;
    (*out)->phrases = query->count + query->prefix_count;
    return SATCHEL_OK;
}

void sat_bm25_close(sat_bm25 **bm25) {
    if (!*bm25)
        return;
    sat_free((*bm25)->memory, (*bm25)->postings);
    sat_free((*bm25)->memory, *bm25);
    *bm25 = NULL;
}

satchel_status sat_bm25_add(sat_bm25 *bm25, size_t row, const void *counts, size_t size,
                            satchel_error *error) {
    if (size != bm25->phrases * sizeof(float) || row > UINT32_MAX)
        return sat_fail(
            error, SATCHEL_DAMAGED,
            "full-text search: counts of %zu bytes for a query of %zu phrases; check the "
            "store",
            size, bm25->phrases);
    for (size_t phrase = 0; phrase < bm25->phrases; phrase++) {
        float count;
        memcpy(&count, (const char *)counts + phrase * sizeof count, sizeof count);
        if (!(count > 0))
            continue;
        if (!sat_grow(bm25->memory, (void **)&bm25->postings, &bm25->capacity, bm25->count + 1,
                      sizeof *bm25->postings))
            return sat_memory_fail(bm25->memory, bm25->capacity * sizeof *bm25->postings, error);
        bm25->postings[bm25->count++] = (posting){(uint32_t)row, (uint32_t)phrase, count};
    }
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ scores */

/* Postings by phrase: those of phrase p are sorted[first[p]] up to sorted[first[p + 1]]. The
 * scratch is zero outside of the term at hand. */
typedef struct scoring {
    const sat_bm25 *bm25;
    const sat_bm25_rows *rows;
    double mean;        /* length of a row with its context */
    posting *sorted;    /* (count) */
    size_t *first;      /* (phrases + 1) */
    double exact, near; /* weights of the term at hand and of its prefix class */
    double *context;    /* (rows) scratch: tf with context */
    double *near_part;  /* (rows) scratch: score of the prefix class */
    double *total;      /* (rows) */
} scoring;

static bool has_before(const sat_bm25_rows *rows, size_t row) {
    return row > 0 && rows->joined[row];
}
static bool has_after(const sat_bm25_rows *rows, size_t row) {
    return row + 1 < rows->count && rows->joined[row + 1];
}

static double context_length(const sat_bm25_rows *rows, size_t row) {
    double length = rows->lengths[row];
    if (has_before(rows, row))
        length += NEIGHBOUR * rows->lengths[row - 1];
    if (has_after(rows, row))
        length += NEIGHBOUR * rows->lengths[row + 1];
    return length;
}

static double mean_length(const sat_bm25_rows *rows) {
    double sum = 0;
    for (size_t row = 0; row < rows->count; row++)
        sum += context_length(rows, row);
    return sum > 0 ? sum / (double)rows->count : 1;
}

static double idf(size_t rows, size_t df) {
    return log(1 + ((double)rows - (double)df + 0.5) / ((double)df + 0.5));
}

/* Counting sort: phrases are few. */
static void sort_postings(scoring *s) {
    const sat_bm25 *bm25 = s->bm25;
    memset(s->first, 0, (bm25->phrases + 1) * sizeof *s->first);
    for (size_t i = 0; i < bm25->count; i++)
        s->first[bm25->postings[i].phrase + 1]++;
    for (size_t phrase = 0; phrase < bm25->phrases; phrase++)
        s->first[phrase + 1] += s->first[phrase];
    for (size_t i = 0; i < bm25->count; i++)
        s->sorted[s->first[bm25->postings[i].phrase]++] = bm25->postings[i];
    for (size_t phrase = bm25->phrases; phrase > 0; phrase--)
        s->first[phrase] = s->first[phrase - 1];
    s->first[0] = 0;
}

static size_t rows_with(const scoring *s, size_t phrase) {
    return s->first[phrase + 1] - s->first[phrase];
}

typedef void (*row_visit)(scoring *s, size_t row, double count);

/* Visits each row that holds the phrase, with its count, and the rows beside it, with their
 * share of it: some rows more than once. */
static void each_row(scoring *s, size_t phrase, row_visit visit) {
    for (size_t i = s->first[phrase]; i < s->first[phrase + 1]; i++) {
        size_t row = s->sorted[i].row;
        double count = s->sorted[i].count;
        visit(s, row, count);
        if (has_before(s->rows, row))
            visit(s, row - 1, NEIGHBOUR * count);
        if (has_after(s->rows, row))
            visit(s, row + 1, NEIGHBOUR * count);
    }
}

static void add_context(scoring *s, size_t row, double count) {
    s->context[row] += count;
}

/* Takes the row's tf out of the scratch and gives its score without the idf: 0 at a later visit. */
static double take_part(scoring *s, size_t row) {
    double tf = s->context[row];
    s->context[row] = 0;
    if (tf == 0)
        return 0;
    double length = context_length(s->rows, row);
    return tf * (K1 + 1) / (tf + K1 * (1 - B + B * length / s->mean));
}

static void keep_near(scoring *s, size_t row, double count) {
    s->near_part[row] += s->near * take_part(s, row);
}

/* Adds the better of both; at a later visit there is nothing left of either. */
static void add_better(scoring *s, size_t row, double count) {
    double exact = s->exact * take_part(s, row);
    s->total[row] += exact > s->near_part[row] ? exact : s->near_part[row];
    s->near_part[row] = 0;
}

static void add_term(scoring *s, size_t term) {
    const sat_query_terms *query = s->bm25->query;
    size_t near = query->count + (size_t)query->items[term].prefix;
    bool has_near = query->items[term].prefix >= 0;
    double weight = query->items[term].weight;
    s->exact = weight * idf(s->rows->count, rows_with(s, term));
    s->near = has_near ? weight * PREFIX * idf(s->rows->count, rows_with(s, near)) : 0;
    if (has_near) {
        each_row(s, near, add_context);
        each_row(s, near, keep_near);
    }
    each_row(s, term, add_context);
    each_row(s, term, add_better);
    if (has_near)
        each_row(s, near, add_better); /* rows that have the prefix class alone */
}

static satchel_status allocate(scoring *s, satchel_error *error) {
    sat_memory *memory = s->bm25->memory;
    size_t rows = s->rows->count;
    s->sorted = sat_alloc_array(memory, s->bm25->count, sizeof *s->sorted);
    s->first = sat_alloc_array(memory, s->bm25->phrases + 1, sizeof *s->first);
    s->context = sat_calloc(memory, rows, sizeof *s->context);
    s->near_part = sat_calloc(memory, rows, sizeof *s->near_part);
    s->total = sat_calloc(memory, rows, sizeof *s->total);
    if (s->sorted && s->first && s->context && s->near_part && s->total)
        return SATCHEL_OK;
    return sat_memory_fail(memory, rows * sizeof(double), error);
}

satchel_status sat_bm25_finish(sat_bm25 *bm25, const sat_bm25_rows *rows, float *scores,
                               float *idf_out, satchel_error *error) {
    for (size_t i = 0; i < bm25->count; i++)
        if (bm25->postings[i].row >= rows->count)
            return sat_fail(error, SATCHEL_INTERNAL, "full-text search: row %u of %zu",
                            bm25->postings[i].row, rows->count);
    scoring s = {.bm25 = bm25, .rows = rows};
    if (bm25->count == 0) { /* nothing to spread over the rows */
        memset(scores, 0, rows->count * sizeof *scores);
        for (size_t term = 0; term < bm25->query->count && idf_out; term++)
            idf_out[term] = (float)idf(rows->count, 0);
        return SATCHEL_OK;
    }
    satchel_status status = allocate(&s, error);
    if (!status) {
        sort_postings(&s);
        s.mean = mean_length(rows);
        for (size_t term = 0; term < bm25->query->count; term++) {
            add_term(&s, term);
            if (idf_out)
                idf_out[term] = (float)idf(rows->count, rows_with(&s, term));
        }
        for (size_t row = 0; row < rows->count; row++)
            scores[row] = (float)s.total[row];
    }
    sat_free(bm25->memory, s.sorted);
    sat_free(bm25->memory, s.first);
    sat_free(bm25->memory, s.context);
    sat_free(bm25->memory, s.near_part);
    sat_free(bm25->memory, s.total);
    return status;
}
