/*
 * The forward pass of a BERT encoder (Devlin et al. 2019) over one batch, on one thread: texts stand
 * one after the other without padding, products run over all rows at once, attention text by text.
 * Every kernel gives a row the same bits whatever rows stand beside it, so a text's vector does not
 * depend on its batch.
 */
#include "generate/encoder.h"

#include <math.h>
#include <string.h>

/* Scratch, cut from one block. Rows are tokens. Buffers are shared where their lives do not meet. */
typedef struct work {
    sat_rows x;    // (rows, dimension) the residual stream
    sat_rows qkv;  // (rows, 3 * dimension)
    sat_rows y;    // (rows, dimension) a block's output; in qkv, which is done with by then
    sat_rows wide; // (rows, max(ffn, dimension)) attention's output, then up's; data may be NULL
    sat_q8_rows narrow_q8; // (rows, dimension) x, then attention's output, then x again
    sat_q8_rows wide_q8;   // (rows, ffn) up's output
    void *attention;
} work;

/* ------------------------------------------------------------------ scratch */

typedef struct cutter {
    uint8_t *base; /* NULL while measuring */
    size_t used;
    bool overflow;
} cutter;

static void *cut(cutter *c, size_t count, size_t size) {
    size_t bytes, padded, end;
    if (!sat_mul_size(count, size, &bytes) || !sat_add_size(bytes, 63, &padded) ||
        !sat_add_size(c->used, padded & ~(size_t)63, &end)) {
        c->overflow = true;
        return NULL;
    }
    void *piece = c->base ? c->base + c->used : NULL;
    c->used = end;
    return piece;
}

static sat_q8_rows cut_q8(cutter *c, size_t rows, size_t columns) {
    sat_q8_rows q8 = {.columns = columns};
    q8.values = cut(c, rows, columns);
    q8.scales = cut(c, rows, columns / SAT_Q8_BLOCK * sizeof(float));
    return q8;
}

static void lay_out(cutter *c, const sat_plan *plan, size_t rows, size_t longest, bool exact,
                    work *w) {
    size_t d = plan->dimension, wide = plan->ffn > d ? plan->ffn : d;
    memset(w, 0, sizeof *w);
    w->x = (sat_rows){cut(c, rows, d * sizeof(float)), d};
    w->qkv = (sat_rows){cut(c, rows, 3 * d * sizeof(float)), 3 * d};
    w->y = (sat_rows){w->qkv.data, d};
    if (exact || plan->attended_rows || plan->hidden_rows)
        w->wide = (sat_rows){cut(c, rows, wide * sizeof(float)), wide};
    if (!exact && (plan->input_q8 || plan->attended_q8))
        w->narrow_q8 = cut_q8(c, rows, d);
    if (!exact && plan->hidden_q8)
        w->wide_q8 = cut_q8(c, rows, plan->ffn);
    size_t attention = sat_attention_scratch(longest, plan->head_dimension);
    if (attention == 0)
        c->overflow = true;
    w->attention = cut(c, attention, 1);
}

size_t sat_forward_scratch(const sat_plan *plan, size_t rows, size_t longest, bool exact) {
    cutter c = {NULL, 0, false};
    work w;
    lay_out(&c, plan, rows, longest, exact, &w);
    return c.overflow ? 0 : c.used;
}

/* ------------------------------------------------------------------ steps */

typedef struct pass {
    const sat_kernels *kernels;
    const sat_plan *plan;
    const sat_batch *batch;
    size_t rows;
    work w;
} pass;

/* Whether these weights read quantized rows. */
static bool reads_q8(const pass *p, const sat_weights *weights) {
    return weights->type == SAT_WEIGHT_Q8 && !p->batch->exact;
}

/* Where the quantized form of x goes, if any layer reads it. */
static const sat_q8_rows *input_q8(const pass *p) {
    return p->plan->input_q8 && !p->batch->exact ? &p->w.narrow_q8 : NULL;
}

static void multiply(const pass *p, const sat_weights *weights, const sat_rows *x,
                     const sat_q8_rows *q8, const sat_output *out) {
    sat_gemm(p->kernels, out, weights, x, reads_q8(p, weights) ? q8 : NULL, 0, p->rows, 0,
             sat_weights_strips(weights));
}

static void embed(const pass *p, const sat_vector_kernels *vector) {
    const sat_plan *plan = p->plan;
    size_t d = plan->dimension;
    for (size_t t = 0; t < p->batch->texts; t++) {
        size_t first = p->batch->starts[t];
        for (size_t row = first; row < p->batch->starts[t + 1]; row++) {
            float *x = p->w.x.data + row * d;
            const float *place = plan->places + (row - first) * d;
            sat_table_row(vector, &plan->tokens, (size_t)p->batch->ids[row], x);
            for (size_t i = 0; i < d; i++)
                x[i] += place[i];
        }
    }
    sat_add_norm(p->kernels, &p->w.x, input_q8(p), &p->w.x, NULL, &plan->embedding_norm, d, 0,
                 p->rows);
}

/* qkv (rows, 3 * dimension) → attended (rows, dimension), in the forms that `output` reads */
static void attend(const pass *p, const sat_layer *layer) {
    const sat_plan *plan = p->plan;
    size_t d = plan->dimension, head = plan->head_dimension;
    bool quantized = reads_q8(p, &layer->output);
    bool in_place = quantized && head % SAT_Q8_BLOCK == 0;
    for (size_t t = 0; t < p->batch->texts; t++) {
        size_t first = p->batch->starts[t];
        for (size_t h = 0; h < plan->heads; h++) {
            const float *q = p->w.qkv.data + first * p->w.qkv.stride + h * head;
            sat_attention attention = {
                .q = q,
                .k = q + d,
                .v = q + 2 * d,
                .stride = p->w.qkv.stride,
                .length = p->batch->starts[t + 1] - first,
                .dim = head,
                .scale = 1.0f / sqrtf((float)head),
            };
            if (in_place) {
                attention.q8 = p->w.narrow_q8;
                attention.q8.values += first * d;
                attention.q8.scales += first * (d / SAT_Q8_BLOCK);
                attention.q8_column = h * head;
            } else {
                attention.out = p->w.wide;
                attention.out.data += first * p->w.wide.stride + h * head;
            }
            sat_attend(p->kernels, &attention, p->w.attention);
        }
    }
    if (quantized && !in_place)
        sat_quantize(p->kernels, &p->w.narrow_q8, &p->w.wide, 0, p->rows);
}

static void run_layer(const pass *p, const sat_layer *layer) {
    const work *w = &p->w;
    size_t d = p->plan->dimension;
    for (int i = 0; i < layer->qkv.parts; i++) {
        sat_output out = {.rows = {w->qkv.data + layer->qkv.column[i], w->qkv.stride}};
        multiply(p, &layer->qkv.part[i], &w->x, &w->narrow_q8, &out);
    }
    attend(p, layer);
    sat_output block = {.rows = w->y};
    multiply(p, &layer->output, &w->wide, &w->narrow_q8, &block);
    sat_add_norm(p->kernels, &w->x, input_q8(p), &w->x, &w->y, &layer->attention_norm, d, 0,
                 p->rows);

    sat_output hidden = {.activation = SAT_ACTIVATION_GELU};
    if (reads_q8(p, &layer->down))
        hidden.q8 = w->wide_q8;
    else
        hidden.rows = w->wide;
    multiply(p, &layer->up, &w->x, &w->narrow_q8, &hidden);
    multiply(p, &layer->down, &w->wide, &w->wide_q8, &block);
    sat_add_norm(p->kernels, &w->x, input_q8(p), &w->x, &w->y, &layer->output_norm, d, 0, p->rows);
}

/* Mean of all tokens, special ones too, or the first; the mean's divisor falls out when the vector is
 * scaled to length 1. */
static bool pool(const pass *p, const sat_vector_kernels *vector, size_t text, float *out) {
    size_t d = p->plan->dimension;
    size_t first = p->batch->starts[text], end = p->batch->starts[text + 1];
    const float *x = p->w.x.data + first * d;
    memcpy(out, x, d * sizeof *out);
    if (p->plan->pooling == SATCHEL_POOLING_MEAN) {
        for (size_t row = first + 1; row < end; row++) {
            x += d;
            for (size_t i = 0; i < d; i++)
                out[i] += x[i];
        }
    }
    return sat_vector_normalize(vector, out, d);
}

bool sat_forward(const sat_kernels *kernels, const sat_vector_kernels *vector, const sat_plan *plan,
                 const sat_batch *batch, void *scratch, float *const *out) {
    pass p = {.kernels = kernels, .plan = plan, .batch = batch};
    p.rows = batch->starts[batch->texts];
    size_t longest = 0;
    for (size_t t = 0; t < batch->texts; t++) {
        size_t length = batch->starts[t + 1] - batch->starts[t];
        longest = length > longest ? length : longest;
    }
    cutter c = {scratch, 0, false};
    lay_out(&c, plan, p.rows, longest, batch->exact, &p.w);
    embed(&p, vector);
    for (size_t i = 0; i < plan->layer_count; i++)
        run_layer(&p, &plan->layers[i]);
    bool finite = true;
    for (size_t t = 0; t < batch->texts; t++)
        finite &= pool(&p, vector, t, out[t]);
    return finite;
}
