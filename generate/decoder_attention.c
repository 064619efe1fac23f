/*
 * Attention of a decoder over the pages of its sequence: scaled dot products (Vaswani et al. 2017),
 * grouped queries (Ainslie et al. 2023), the softmax put together page by page (Milakov and
 * Gimelshein 2018).
 *
 * A row's result depends on its position alone: it meets the pages in order from the one that holds
 * the first position it sees, each page's sum is made by itself and then joined. What other rows
 * run beside it, and how many threads there are, changes nothing. So rows share a page's keys and
 * values while these are in the cache: scores are made for all rows of a block, sums for all that
 * see the same positions.
 */
#include "generate/decoder_plan.h"
#include "generate/matmul_kernels.h"

#include <math.h>
#include <string.h>

enum {
    QUERIES = 64, /* that share a page's keys and values while these are in the cache */
    /* Between scores of queries: the softmax writes up to a multiple of 32 from any position on. */
    SCORES = SAT_KV_PAGE + 32,
    SUMS = 12 /* queries whose sums are made at a time */
};

/* Largest score and sum so far of one query. */
typedef struct running {
    float most, sum;
} running;

/* Rows [row, row_end) and the queries of one key head: query q is row q / group. */
typedef struct block {
    const sat_paged_attention *attention;
    const sat_decoder *decoder;
    const sat_decoder_work *w;
    size_t head, row, row_end, group, dim, window;
    float *scores; // (queries, SCORES)
    float *parts;  // (SUMS, dim)
    running *states;
} block;

/* Positions [begin, end). */
typedef struct span {
    size_t begin, end;
} span;

static size_t block_rows(const sat_decoder_plan *plan) {
    size_t group = plan->heads / plan->kv_heads;
    return group < QUERIES ? QUERIES / group : 1;
}

size_t sat_paged_attention_floats(const sat_decoder_plan *plan) {
    size_t queries = block_rows(plan) * (plan->heads / plan->kv_heads);
    return (2 * SAT_KV_PAGE + SUMS) * plan->head + queries * (SCORES + 2);
}

/* What a row sees of the positions of a page. */
static span seen_of(const block *b, size_t row, span page) {
    size_t end = b->attention->first + row + 1;
    size_t begin = b->window && end > b->window ? end - b->window : 0;
    begin = begin > page.begin ? begin : page.begin;
    end = end < page.end ? end : page.end;
    return (span){begin, end > begin ? end : begin};
}

static const float *query_of(const block *b, size_t query) {
    const sat_rows *rows = &b->w->qkv;
    return rows->data + (b->row + query / b->group) * rows->stride +
           (b->head * b->group + query % b->group) * b->dim;
}

static float *out_of(const block *b, size_t query) {
    const sat_rows *rows = &b->w->attended.rows;
    return rows->data + (b->row + query / b->group) * rows->stride +
           (b->head * b->group + query % b->group) * b->dim;
}

/* Scores of all queries with `count` keys from key `from` on; those a row does not see too. */
static void score(const block *b, const sat_value_rows *keys, size_t from, size_t count) {
    size_t rows = b->row_end - b->row, stride = b->w->qkv.stride, n;
    for (size_t j = from; j < from + count; j += n) {
        n = from + count - j < SAT_FLOAT_ROWS ? from + count - j : SAT_FLOAT_ROWS;
        const uint8_t *at = keys->data + j * keys->row_bytes;
        if (rows == 1) /* its queries are the rows of the product */
            b->decoder->matmul->multiply_float(b->scores + j, SCORES, query_of(b, 0), b->dim, at,
                                               keys->row_bytes, keys->type, n, b->dim, b->group);
        for (size_t g = 0; g < b->group && rows > 1; g++)
            b->decoder->matmul->multiply_float(b->scores + g * SCORES + j, b->group * SCORES,
                                               query_of(b, g), stride, at, keys->row_bytes,
                                               keys->type, n, b->dim, rows);
    }
}

/* Joins a page's part, of weights relative to `most`, to what a query has so far. */
static void join(const block *b, size_t query, const float *part, running now) {
    running *state = &b->states[query];
    float *restrict out = out_of(b, query);
    if (state->sum == 0) {
        *state = now;
        memcpy(out, part, b->dim * sizeof *out);
        return;
    }
    float most = now.most > state->most ? now.most : state->most;
    float before = expf(state->most - most), weight = expf(now.most - most);
    *state = (running){most, state->sum * before + now.sum * weight};
    for (size_t i = 0; i < b->dim; i++)
        out[i] = out[i] * before + part[i] * weight;
}

/* Queries [query, end), at most SUMS, which see the same positions of a page, values[from …]. */
static void meet(const block *b, size_t query, size_t end, const sat_value_rows *values,
                 size_t from, size_t count) {
    float scale = b->decoder->plan.attention_scale;
    running now[SUMS];
    for (size_t q = query; q < end; q++) {
        float *scores = b->scores + q * SCORES + from, most = scores[0];
        for (size_t i = 1; i < count; i++)
            most = scores[i] > most ? scores[i] : most;
        float sum = b->decoder->kernels->softmax(scores, scale, count);
        now[q - query] = (running){most * scale, sum};
    }
    sat_value_rows seen = *values;
    seen.data += from * seen.row_bytes;
    b->decoder->steps->weigh(b->parts, b->dim, b->scores + query * SCORES + from, SCORES, &seen,
                             count, b->dim, end - query);
    for (size_t q = query; q < end; q++)
        join(b, q, b->parts + (q - query) * b->dim, now[q - query]);
}

/* All rows meet a page, which ends with the last one's position at most. */
static void meet_page(const block *b, const sat_value_rows *keys, const sat_value_rows *values,
                      span page) {
    size_t queries = (b->row_end - b->row) * b->group, end;
    size_t first = seen_of(b, b->row, page).begin; /* no later row sees what is before */
    score(b, keys, first - page.begin, page.end - first);
    for (size_t query = 0; query < queries; query = end) {
        span seen = seen_of(b, b->row + query / b->group, page), next = seen;
        for (end = query + 1; end < queries && end - query < SUMS; end++) {
            next = seen_of(b, b->row + end / b->group, page);
            if (next.begin != seen.begin || next.end != seen.end)
                break;
        }
        if (seen.begin < seen.end)
            meet(b, query, end, values, seen.begin - page.begin, seen.end - seen.begin);
    }
}

static void attend_block(const block *b, float *scratch) {
    const sat_paged_attention *a = b->attention;
    const sat_kv *kv = &a->sequence->kv;
    size_t queries = (b->row_end - b->row) * b->group;
    size_t last = a->first + b->row_end, first = 0; /* the end of all positions, the first seen */
    float *keys_at = scratch, *values_at = scratch + SAT_KV_PAGE * b->dim;
    memset(b->states, 0, queries * sizeof *b->states);
    if (b->window && a->first + b->row + 1 > b->window)
        first = a->first + b->row + 1 - b->window;
    for (size_t page = first / SAT_KV_PAGE; page * SAT_KV_PAGE < last; page++) {
        span held = {page * SAT_KV_PAGE, (page + 1) * SAT_KV_PAGE};
        held.end = held.end < last ? held.end : last;
        size_t count = held.end - held.begin;
        sat_value_rows keys = sat_kv_load(kv, a->layer, SAT_KV_KEY, page, b->head, count, keys_at);
        sat_value_rows values =
            sat_kv_load(kv, a->layer, SAT_KV_VALUE, page, b->head, count, values_at);
        meet_page(b, &keys, &values, held);
    }
    for (size_t q = 0; q < queries; q++) {
        float *out = out_of(b, q), sum = b->states[q].sum;
        for (size_t i = 0; i < b->dim; i++)
            out[i] /= sum;
    }
}

static void attend_items(void *user, int thread, size_t begin, size_t end) {
    const sat_paged_attention *a = user;
    const sat_decoder_plan *plan = &a->sequence->decoder->plan;
    const sat_decoder_work *w = &a->sequence->work;
    size_t step = block_rows(plan), blocks = (a->rows + step - 1) / step, dim = plan->head;
    float *scratch = w->thread + (size_t)thread * w->thread_floats;
    block b = {.attention = a,
               .decoder = a->sequence->decoder,
               .w = w,
               .group = plan->heads / plan->kv_heads,
               .dim = dim,
               .window = plan->layers[a->layer].window};
    b.parts = scratch + 2 * SAT_KV_PAGE * dim;
    b.scores = b.parts + SUMS * dim;
    b.states = (running *)(void *)(b.scores + step * b.group * SCORES);
    for (size_t item = begin; item < end && !sat_cancelled(a->cancel); item++) {
        /* The last rows see most: they go first, so that no thread is left with them. */
        b.head = item / blocks;
        b.row = (blocks - 1 - item % blocks) * step;
        b.row_end = b.row + step < a->rows ? b.row + step : a->rows;
        attend_block(&b, scratch);
    }
}

void sat_paged_attend(const sat_paged_attention *attention) {
    sat_paged_attention a = *attention;
    const sat_decoder *decoder = a.sequence->decoder;
    size_t step = block_rows(&decoder->plan), blocks = (a.rows + step - 1) / step;
    sat_pool_run(decoder->context->pool, SAT_PRIORITY_ANSWER, 0, decoder->plan.kv_heads * blocks, 1,
                 attend_items, &a);
}
