/*
 * The forward pass of a BERT encoder (Devlin et al. 2019) over one batch, on one thread: texts stand
 * one after the other without padding, products run over all rows at once, attention text by text.
 * Every kernel gives a row the same bits whatever rows stand beside it, so a text's vector does not
 * depend on its batch.
 */
#include "generate/cutter.h"
#include "generate/encoder.h"

#include <math.h>
#include <string.h>

/* Scratch, cut from one block. Rows are tokens. Buffers are shared where their lives do not meet. */
typedef struct work {
    sat_rows x;       // (rows, dimension) the residual stream
    sat_rows qkv;     // (rows, 3 * dimension)
    sat_rows y;       // (rows, dimension) a block's output; in qkv, which is done with by then
    sat_rows wide;    // (rows, max(ffn, dimension)) attention's output, then up's; data may be NULL
    sat_q8_rows x_q8; // (rows, dimension + doubled blocks) x
    sat_q8_rows attended_q8; // (rows, dimension) attention's output; in x_q8, which has been read
    sat_q8_rows wide_q8;     // (rows, ffn) up's output
    void *attention;
} work;

/* ------------------------------------------------------------------ scratch */

static sat_q8_rows cut_q8(sat_cutter *c, size_t rows, size_t columns) {
    sat_q8_rows q8 = {.columns = columns};
    q8.values = sat_cut(c, rows, columns);
    q8.scales = sat_cut(c, rows, columns / SAT_Q8_BLOCK * sizeof(float));
    return q8;
}

static void lay_out(sat_cutter *c, const sat_plan *plan, size_t rows, size_t longest, work *w) {
    size_t d = plan->dimension, wide = plan->ffn > d ? plan->ffn : d;
    memset(w, 0, sizeof *w);
    w->x = (sat_rows){sat_cut(c, rows, d * sizeof(float)), d};
    w->qkv = (sat_rows){sat_cut(c, rows, 3 * d * sizeof(float)), 3 * d};
    w->y = (sat_rows){w->qkv.data, d};
    if (plan->attended_rows || plan->hidden_rows)
        w->wide = (sat_rows){sat_cut(c, rows, wide * sizeof(float)), wide};
    if (plan->input_q8 || plan->attended_q8) {
        w->x_q8 = cut_q8(c, rows, d + plan->doubled * SAT_Q8_BLOCK);
        w->attended_q8 = w->x_q8;
        w->attended_q8.columns = d;
    }
    if (plan->hidden_q8)
        w->wide_q8 = cut_q8(c, rows, plan->ffn);
    size_t attention = sat_attention_scratch(longest, plan->head_dimension);
    if (attention == 0)
        c->overflow = true;
    w->attention = sat_cut(c, attention, 1);
}

size_t sat_forward_scratch(const sat_plan *plan, size_t rows, size_t longest) {
    sat_cutter c = {NULL, 0, false};
    work w;
    lay_out(&c, plan, rows, longest, &w);
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

static void multiply(const pass *p, const sat_weights *weights, const sat_rows *x,
                     const sat_q8_rows *q8, const sat_output *out) {
    sat_gemm(p->kernels, out, weights, x, q8, 0, p->rows, 0, sat_weights_strips(weights));
}

/* What rounding took from the doubled blocks of a row, as blocks of their own behind the others: the
 * weights are there twice, so the product gets back most of it. */
static void double_blocks(const pass *p, const sat_doubled *doubled, size_t row) {
    const sat_kernels *kernels = p->kernels;
    size_t count = p->plan->doubled, blocks = p->plan->dimension / SAT_Q8_BLOCK;
    uint8_t *values = p->w.x_q8.values + row * p->w.x_q8.columns;
    float *scales = p->w.x_q8.scales + row * (blocks + count);
    float rest[SAT_DOUBLED * SAT_Q8_BLOCK];
    for (size_t i = 0; i < count; i++) {
        size_t block = doubled->block[i], first = block * SAT_Q8_BLOCK;
        const float *x = p->w.x.data + row * p->w.x.stride + first;
        for (size_t j = 0; j < SAT_Q8_BLOCK; j++) {
            int8_t value = (int8_t)(values[first + j] ^ kernels->q8_flip);
            rest[i * SAT_Q8_BLOCK + j] = x[j] - scales[block] * (float)value;
        }
    }
    kernels->quantize(values + p->plan->dimension, p->w.x_q8.columns, scales + blocks,
                      blocks + count, rest, sizeof rest / sizeof *rest, 1, count * SAT_Q8_BLOCK);
}

/* Sums the squared scales of each block, which say how coarse it is. */
static void observe(const pass *p, size_t input, size_t row) {
    size_t blocks = p->plan->dimension / SAT_Q8_BLOCK;
    const float *scales = p->w.x_q8.scales + row * (blocks + p->plan->doubled);
    for (size_t b = 0; b < blocks; b++)
        p->batch->observed[input * blocks + b] += (double)scales[b] * (double)scales[b];
}

/* x as input number `input` of the layers: 2i for Q, K and V of layer i, 2i + 1 for its up. */
static void quantize_input(const pass *p, size_t input, size_t row, size_t row_end) {
    const sat_layer *layer = &p->plan->layers[input / 2];
    const sat_q8_rows *q8 = &p->w.x_q8;
    size_t blocks = q8->columns / SAT_Q8_BLOCK;
    p->kernels->quantize(q8->values + row * q8->columns, q8->columns, q8->scales + row * blocks,
                         blocks, p->w.x.data + row * p->w.x.stride, p->w.x.stride, row_end - row,
                         p->plan->dimension);
    for (size_t r = row; r < row_end; r++) {
        double_blocks(p, input % 2 ? &layer->up_doubled : &layer->qkv_doubled, r);
        if (p->batch->observed)
            observe(p, input, r);
    }
}

/* x = LayerNorm(x + y), and its quantized form for the next input if that wants it. */
static void normalise(const pass *p, const sat_rows *y, const sat_norm *norm, size_t next) {
    enum { ROWS = 4 }; /* quantized while they are in the first cache */
    bool quantized = p->plan->input_q8 && next < 2 * p->plan->layer_count;
    for (size_t row = 0, end; row < p->rows; row = end) {
        end = p->rows - row < ROWS ? p->rows : row + ROWS;
        sat_add_norm(p->kernels, &p->w.x, NULL, &p->w.x, y, norm, p->plan->dimension, row, end);
        if (quantized)
            quantize_input(p, next, row, end);
    }
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
    normalise(p, NULL, &plan->embedding_norm, 0);
}

/* qkv (rows, 3 * dimension) → attended (rows, dimension), in the forms that `output` reads */
static void attend(const pass *p, const sat_layer *layer) {
    const sat_plan *plan = p->plan;
    size_t d = plan->dimension, head = plan->head_dimension;
    bool quantized = layer->output.type == SAT_WEIGHT_Q8;
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
                attention.q8 = p->w.attended_q8;
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
        sat_quantize(p->kernels, &p->w.attended_q8, &p->w.wide, 0, p->rows);
}

static void run_layer(const pass *p, size_t index) {
    const sat_layer *layer = &p->plan->layers[index];
    const work *w = &p->w;
    for (int i = 0; i < layer->qkv.parts; i++) {
        sat_output out = {.rows = {w->qkv.data + layer->qkv.column[i], w->qkv.stride}};
        multiply(p, &layer->qkv.part[i], &w->x, &w->x_q8, &out);
    }
    attend(p, layer);
    sat_output block = {.rows = w->y};
    multiply(p, &layer->output, &w->wide, &w->attended_q8, &block);
    normalise(p, &w->y, &layer->attention_norm, 2 * index + 1);

    sat_output hidden = {.activation = SAT_ACTIVATION_GELU};
    if (layer->down.type == SAT_WEIGHT_Q8)
        hidden.q8 = w->wide_q8;
    else
        hidden.rows = w->wide;
    multiply(p, &layer->up, &w->x, &w->x_q8, &hidden);
    multiply(p, &layer->down, &w->wide, &w->wide_q8, &block);
    normalise(p, &w->y, &layer->output_norm, 2 * index + 2);
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
    sat_cutter c = {scratch, 0, false};
    lay_out(&c, plan, p.rows, longest, &p.w);
    embed(&p, vector);
    for (size_t i = 0; i < plan->layer_count; i++)
        run_layer(&p, i);
    bool finite = true;
    for (size_t t = 0; t < batch->texts; t++)
        finite &= pool(&p, vector, t, out[t]);
    return finite;
}
