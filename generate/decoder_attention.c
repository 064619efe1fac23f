/*
 * Attention of a decoder over the pages of its sequence: scaled dot products (Vaswani et al. 2017),
 * grouped queries (Ainslie et al. 2023), the softmax put together page by page (Milakov and
 * Gimelshein 2018).
 *
 * A row's result depends on its position alone: it meets the pages in order from the one that holds
 * the first position it sees, each page's sum is made by itself and then joined. What other rows
 * run beside it, and how many threads there are, changes nothing.
 */
#include "generate/decoder_plan.h"

#include <math.h>
#include <string.h>

enum { QUERIES = 64 }; /* that share a page's keys and values while these are in the cache */

/* Largest score and sum so far of one query. */
typedef struct running {
    float most, sum;
} running;

static size_t block_rows(const sat_decoder_plan *plan) {
    size_t group = plan->heads / plan->kv_heads;
    return group < QUERIES ? QUERIES / group : 1;
}

size_t sat_paged_attention_floats(const sat_decoder_plan *plan) {
    size_t group = plan->heads / plan->kv_heads;
    return 2 * SAT_KV_PAGE * plan->head + 2 * block_rows(plan) * group;
}

/* One query and the keys and values (count, dim) of a page it sees; joins the page's part to
 * `out`. */
static void meet_page(const sat_sequence *sequence, const float *q, const float *keys,
                      const float *values, size_t count, running *state, float *out) {
    const sat_decoder *decoder = sequence->decoder;
    size_t dim = decoder->plan.head;
    float scale = decoder->plan.attention_scale, part[SAT_DECODER_MAX_HEAD];
    float scores[SAT_KV_PAGE];
    decoder->context->vector->dot_rows(scores, keys, q, count, dim);
    float most = scores[0];
    for (size_t i = 1; i < count; i++)
        most = scores[i] > most ? scores[i] : most;
    most *= scale;
    float sum = decoder->kernels->softmax(scores, scale, count);
    memset(part, 0, dim * sizeof *part);
    for (size_t j = 0; j < count; j++) {
        const float *value = values + j * dim;
        for (size_t i = 0; i < dim; i++)
            part[i] += scores[j] * value[i];
    }
    if (state->sum == 0) {
        *state = (running){most, sum};
        memcpy(out, part, dim * sizeof *out);
        return;
    }
    float largest = most > state->most ? most : state->most;
    float before = expf(state->most - largest), now = expf(most - largest);
    *state = (running){largest, state->sum * before + sum * now};
    for (size_t i = 0; i < dim; i++)
        out[i] = out[i] * before + part[i] * now;
}

/* Rows [row, row_end) of one key head. */
static void attend_block(const sat_paged_attention *a, size_t head, size_t row, size_t row_end,
                         float *scratch) {
    const sat_sequence *sequence = a->sequence;
    const sat_decoder_plan *plan = &sequence->decoder->plan;
    const sat_decoder_work *w = &sequence->work;
    size_t group = plan->heads / plan->kv_heads, dim = plan->head;
    size_t window = plan->layers[a->layer].window;
    size_t last = a->first + row_end, seen = 0; /* positions: the end of all, the first seen */
    float *keys_at = scratch, *values_at = scratch + SAT_KV_PAGE * dim;
    running *states = (running *)(void *)(scratch + 2 * SAT_KV_PAGE * dim);
    memset(states, 0, (row_end - row) * group * sizeof *states);
    if (window && a->first + row + 1 > window)
        seen = a->first + row + 1 - window;
    for (size_t page = seen / SAT_KV_PAGE; page * SAT_KV_PAGE < last; page++) {
        size_t start = page * SAT_KV_PAGE;
        size_t held = last - start < SAT_KV_PAGE ? last - start : SAT_KV_PAGE;
        const float *keys =
            sat_kv_load(&sequence->kv, a->layer, SAT_KV_KEY, page, head, held, keys_at);
        const float *values =
            sat_kv_load(&sequence->kv, a->layer, SAT_KV_VALUE, page, head, held, values_at);
        for (size_t r = row; r < row_end; r++) {
            size_t end = a->first + r + 1, from = window && end > window ? end - window : 0;
            size_t to = end < start + held ? end : start + held;
            from = from > start ? from : start;
            if (from >= to)
                continue;
            for (size_t g = 0; g < group; g++) {
                size_t column = (head * group + g) * dim;
                meet_page(sequence, w->qkv.data + r * w->qkv.stride + column,
                          keys + (from - start) * dim, values + (from - start) * dim, to - from,
                          &states[(r - row) * group + g],
                          w->attended.rows.data + r * w->attended.rows.stride + column);
            }
        }
    }
    for (size_t r = row; r < row_end; r++) {
        float *out = w->attended.rows.data + r * w->attended.rows.stride + head * group * dim;
        for (size_t g = 0; g < group; g++, out += dim) {
            float sum = states[(r - row) * group + g].sum;
            for (size_t i = 0; i < dim; i++)
                out[i] /= sum;
        }
    }
}

static void attend_items(void *user, int thread, size_t begin, size_t end) {
    const sat_paged_attention *a = user;
    const sat_decoder_plan *plan = &a->sequence->decoder->plan;
    const sat_decoder_work *w = &a->sequence->work;
    size_t step = block_rows(plan), blocks = (a->rows + step - 1) / step;
    float *scratch = w->thread + (size_t)thread * w->thread_floats;
    for (size_t item = begin; item < end && !sat_cancelled(a->cancel); item++) {
        /* The last rows see most: they go first, so that no thread is left with them. */
        size_t row = (blocks - 1 - item % blocks) * step;
        attend_block(a, item / blocks, row, row + step < a->rows ? row + step : a->rows, scratch);
    }
}

void sat_paged_attend(const sat_paged_attention *attention) {
    sat_paged_attention a = *attention;
    const sat_decoder *decoder = a.sequence->decoder;
    size_t step = block_rows(&decoder->plan), blocks = (a.rows + step - 1) / step;
    sat_pool_run(decoder->context->pool, SAT_PRIORITY_ANSWER, 0, decoder->plan.kv_heads * blocks, 1,
                 attend_items, &a);
}
