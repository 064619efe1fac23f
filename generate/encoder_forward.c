/*
 * The forward pass of a text encoder over one batch, on one thread: texts stand one after the other
 * without padding, products run over all rows at once, attention text by text. What a layer does
 * is what its architecture has (encoder_arch.h). Every step gives a row the same bits whatever rows
 * stand beside it, so a text's vector does not depend on its batch.
 */
#include "generate/cutter.h"
#include "generate/encoder.h"

#include <math.h>
#include <string.h>

enum {
    SLICE = 512 /* rows that run through the feed-forward network together: bounds its scratch */
};

/* Rows to multiply, in each form that some product of them needs. */
typedef struct input {
    sat_rows rows;
    sat_q8_rows q8;
    sat_operand operand[SAT_FORMS];
} input;

/* Scratch, cut from one block. Rows are tokens. Buffers are shared where their lives do not
 * meet. */
typedef struct work {
    sat_rows x;      // (rows, dimension) the residual stream
    sat_rows normed; // (rows, dimension) norms before blocks; data NULL: there are none
    sat_rows qkv;    // (rows, queries + 2 * keys)
    sat_rows y;      // (rows, dimension) a block's output; in qkv, which is done with by then
    input in;        // (rows, dimension) what a block reads: x or normed; q8 with doubled blocks
    input attended; // (rows, queries) attention's output; in in's other forms, which have been read
    input hidden;   // (slice, ffn) what down reads; rows: gate and up, (slice, ffn or 2 * ffn)
    float *angles[SAT_ENCODER_ROPES]; // (longest, rotated)
    float *place;                     // (dimension)
    sat_rows pooled;                  // (texts, dimension)
    input dense[2];                   // (texts, inputs)
    sat_rows dense_out[2];            // (texts, outputs)
    void *attention;
} work;

/* ------------------------------------------------------------------ scratch */

static sat_rows cut_rows(sat_cutter *c, size_t rows, size_t columns) {
    size_t size;
    if (!sat_mul_size(columns, sizeof(float), &size))
        c->overflow = true;
    return (sat_rows){sat_cut(c, rows, columns * sizeof(float)), columns};
}

/* Int8 forms of one or two inputs that share their room. */
static void cut_forms(sat_cutter *c, size_t rows, unsigned reads, size_t k, size_t q8_columns,
                      input *a, unsigned other_reads, size_t other_k, input *b) {
    if ((reads | other_reads) & SAT_READS_Q8) {
        size_t most = b && other_k > q8_columns ? other_k : q8_columns;
        a->q8.values = sat_cut(c, rows, most);
        a->q8.scales = sat_cut(c, rows, most / SAT_Q8_BLOCK * sizeof(float));
        a->q8.columns = q8_columns;
        if (b)
            b->q8 = (sat_q8_rows){a->q8.values, a->q8.scales, other_k};
    }
    for (int form = SAT_FORM_FLOAT; form < SAT_FORMS; form++) {
        static const unsigned bits[SAT_FORMS] = {SAT_READS_ROWS, SAT_READS_32, SAT_READS_256};
        bool first = reads & bits[form], second = b && other_reads & bits[form];
        size_t size = first ? sat_operand_size((sat_form)form, rows, k) : 0;
        size_t other = second ? sat_operand_size((sat_form)form, rows, other_k) : 0;
        void *memory = sat_cut(c, 1, size > other ? size : other);
        if (!c->base || c->overflow)
            continue;
        if (first)
            sat_operand_init(&a->operand[form], (sat_form)form, rows, k, memory);
        if (second)
            sat_operand_init(&b->operand[form], (sat_form)form, rows, other_k, memory);
    }
}

static void lay_out_dense(sat_cutter *c, const sat_plan *plan, size_t texts, work *w) {
    for (int i = 0; i < plan->dense_count; i++) {
        const sat_matrix *matrix = &plan->dense[i].matrix;
        cut_forms(c, texts, sat_encoder_reads(&plan->dense[i]), matrix->k, matrix->k, &w->dense[i],
                  0, 0, NULL);
        w->dense[i].rows = i ? w->dense_out[i - 1] : w->pooled;
        w->dense_out[i] = cut_rows(c, texts, matrix->n);
    }
}

static void lay_out(sat_cutter *c, const sat_plan *plan, size_t texts, size_t rows, size_t longest,
                    work *w) {
    size_t d = plan->dimension, slice = rows < SLICE ? rows : SLICE;
    bool before = plan->arch->parts & SAT_HAS(SAT_PART_ATTN_NORM) || plan->arch->output_norm;
    memset(w, 0, sizeof *w);
    w->x = cut_rows(c, rows, d);
    if (before)
        w->normed = cut_rows(c, rows, d);
    size_t columns = plan->queries + 2 * plan->keys; /* y needs no more than it has */
    w->qkv = cut_rows(c, rows, columns > d ? columns : d);
    w->qkv.stride = columns;
    w->y = (sat_rows){w->qkv.data, d};
    if (plan->reads_attended & SAT_READS_ROWS)
        w->attended.rows = cut_rows(c, rows, plan->queries);
    cut_forms(c, rows, plan->reads_x, d, d + plan->doubled * SAT_Q8_BLOCK, &w->in,
              plan->reads_attended, plan->queries, &w->attended);
    if (plan->reads_hidden & SAT_READS_ROWS)
        w->hidden.rows = cut_rows(c, slice, sat_encoder_gated(plan) ? 2 * plan->ffn : plan->ffn);
    cut_forms(c, slice, plan->reads_hidden, plan->ffn, plan->ffn, &w->hidden, 0, 0, NULL);
    for (int i = 0; i < SAT_ENCODER_ROPES; i++)
        if (plan->rope[i].frequencies)
            w->angles[i] = cut_rows(c, longest, plan->rotated).data;
    w->place = cut_rows(c, 1, d).data;
    w->pooled = cut_rows(c, texts, d);
    lay_out_dense(c, plan, texts, w);
    size_t attention = sat_attention_scratch(longest, plan->head_dimension);
    if (attention == 0)
        c->overflow = true;
    w->attention = sat_cut(c, attention, 1);
}

size_t sat_forward_scratch(const sat_plan *plan, size_t texts, size_t rows, size_t longest) {
    sat_cutter c = {NULL, 0, false};
    work w;
    lay_out(&c, plan, texts, rows, longest, &w);
    return c.overflow ? 0 : c.used;
}

/* ------------------------------------------------------------------ products */

typedef struct pass {
    const sat_encoder *encoder;
    const sat_kernels *kernels;
    const sat_plan *plan;
    const sat_batch *batch;
    size_t rows;
    work w;
} pass;

static float *row_of(const sat_rows *rows, size_t row) {
    return rows->data + row * rows->stride;
}

/* out (rows, outputs) = the input's rows [row, row + rows) · weightsᵀ + bias; out begins with the
 * first of them. Weights that stay mapped write floats alone. */
static void multiply(const pass *p, const sat_encoder_weight *weight, const input *in, size_t row,
                     size_t rows, const sat_output *out) {
    if (!weight->matrix.data) {
        sat_rows x = in->rows;
        sat_q8_rows q8 = in->q8;
        if (x.data)
            x.data = row_of(&x, row);
        if (q8.values) {
            q8.values += row * q8.columns;
            q8.scales += row * (q8.columns / SAT_Q8_BLOCK);
        }
        sat_gemm(p->kernels, out, &weight->packed, &x, &q8, 0, rows, 0,
                 sat_weights_strips(&weight->packed));
        return;
    }
    sat_operand operand = in->operand[sat_matrix_form(&weight->matrix)];
    operand.x = in->rows;
    operand = sat_operand_from(&operand, row);
    sat_matmul(p->encoder->matmul, &out->rows, &weight->matrix, &operand, 0, rows, 0,
               sat_matrix_strips(&weight->matrix));
    for (size_t r = 0; weight->scale != 1 && r < rows; r++) {
        float *y = row_of(&out->rows, r);
        for (size_t i = 0; i < weight->matrix.n; i++)
            y[i] = y[i] * weight->scale + (weight->bias ? weight->bias[i] : 0);
    }
}

/* The forms of rows for weights that stay mapped. */
static void quantize_mapped(const pass *p, input *in, unsigned reads, size_t row, size_t row_end) {
    if (reads & SAT_READS_32)
        sat_operand_quantize(p->encoder->matmul, &in->operand[SAT_FORM_32], &in->rows, row,
                             row_end);
    if (reads & SAT_READS_256)
        sat_operand_quantize(p->encoder->matmul, &in->operand[SAT_FORM_256], &in->rows, row,
                             row_end);
}

/* What rounding took from the doubled blocks of a row, as blocks of their own behind the others:
 * the weights are there twice, so the product gets back most of it. */
static void double_blocks(const pass *p, const sat_doubled *doubled, size_t row) {
    const sat_kernels *kernels = p->kernels;
    const sat_q8_rows *q8 = &p->w.in.q8;
    size_t count = p->plan->doubled, blocks = p->plan->dimension / SAT_Q8_BLOCK;
    uint8_t *values = q8->values + row * q8->columns;
    float *scales = q8->scales + row * (blocks + count);
    float rest[SAT_DOUBLED * SAT_Q8_BLOCK];
    for (size_t i = 0; i < count; i++) {
        size_t block = doubled->block[i], first = block * SAT_Q8_BLOCK;
        const float *x = row_of(&p->w.in.rows, row) + first;
        for (size_t j = 0; j < SAT_Q8_BLOCK; j++) {
            int8_t value = (int8_t)(values[first + j] ^ kernels->q8_flip);
            rest[i * SAT_Q8_BLOCK + j] = x[j] - scales[block] * (float)value;
        }
    }
    kernels->quantize(values + p->plan->dimension, q8->columns, scales + blocks, blocks + count,
                      rest, sizeof rest / sizeof *rest, 1, count * SAT_Q8_BLOCK);
}

/* Sums the squared scales of each block, which say how coarse it is. */
static void observe(const pass *p, size_t number, size_t row) {
    size_t blocks = p->plan->dimension / SAT_Q8_BLOCK;
    const float *scales = p->w.in.q8.scales + row * (blocks + p->plan->doubled);
    for (size_t b = 0; b < blocks; b++)
        p->batch->observed[number * blocks + b] += (double)scales[b] * (double)scales[b];
}

/* What a block reads, as input number `number` of the layers: 2i for Q, K and V of layer i, 2i + 1
 * for its up and gate. */
static void quantize_input(pass *p, size_t number, unsigned reads, size_t row, size_t row_end) {
    const sat_layer *layer = &p->plan->layers[number / 2];
    const sat_q8_rows *q8 = &p->w.in.q8;
    quantize_mapped(p, &p->w.in, reads, row, row_end);
    if (!(reads & SAT_READS_Q8))
        return;
    size_t blocks = q8->columns / SAT_Q8_BLOCK;
    p->kernels->quantize(q8->values + row * q8->columns, q8->columns, q8->scales + row * blocks,
                         blocks, row_of(&p->w.in.rows, row), p->w.in.rows.stride, row_end - row,
                         p->plan->dimension);
    for (size_t r = row; r < row_end; r++) {
        double_blocks(p, number % 2 ? &layer->up_doubled : &layer->qkv_doubled, r);
        if (p->batch->observed)
            observe(p, number, r);
    }
}

/* ------------------------------------------------------------------ norms */

/* Rows [row, row_end) of out = norm(x + residual); residual may be NULL, and is for RMSNorm. */
static void normalise(const pass *p, const sat_rows *out, const sat_rows *x,
                      const sat_rows *residual, const sat_norm *norm, size_t row, size_t row_end) {
    if (!p->plan->arch->rms) {
        sat_add_norm(p->kernels, out, NULL, x, residual, norm, p->plan->dimension, row, row_end);
        return;
    }
    for (size_t r = row; r < row_end; r++)
        p->encoder->steps->rms_norm(row_of(out, r), row_of(x, r), norm->gamma, p->plan->dimension,
                                    norm->epsilon);
}

/* Between two blocks: x = after(x + post(y)), what the next block reads is before(x). Norms without
 * gamma are left out. */
typedef struct joint {
    const sat_rows *y; /* NULL: nothing is added */
    const sat_norm *post, *after, *before;
    unsigned reads; /* forms of what the next block reads */
    size_t number;  /* of that input */
} joint;

static const sat_norm no_norm;

static void join(pass *p, const joint *j) {
    enum { ROWS = 4 }; /* quantized while they are in the first cache */
    work *w = &p->w;
    w->in.rows = j->before->gamma ? w->normed : w->x;
    for (size_t row = 0, end; row < p->rows; row = end) {
        end = p->rows - row < ROWS ? p->rows : row + ROWS;
        if (j->y && j->post->gamma)
            normalise(p, j->y, j->y, NULL, j->post, row, end);
        if (j->after->gamma) {
            normalise(p, &w->x, &w->x, j->y, j->after, row, end);
        } else if (j->y) {
            for (size_t r = row; r < end; r++) {
                float *x = row_of(&w->x, r);
                const float *y = row_of(j->y, r);
                for (size_t i = 0; i < p->plan->dimension; i++)
                    x[i] += y[i];
            }
        }
        if (j->before->gamma)
            normalise(p, &w->normed, &w->x, NULL, j->before, row, end);
        if (j->reads)
            quantize_input(p, j->number, j->reads, row, end);
    }
}

/* ------------------------------------------------------------------ embeddings */

static unsigned qkv_reads(const sat_layer *layer) {
    unsigned reads = 0;
    for (int i = 0; i < layer->qkv.parts; i++)
        reads |= sat_encoder_reads(&layer->qkv.part[i]);
    return reads;
}

static unsigned up_reads(const sat_layer *layer) {
    return sat_encoder_reads(&layer->up) | (layer->gated ? sat_encoder_reads(&layer->gate) : 0);
}

/* What is added to the token at this place of a text: position and type 0; NULL: nothing. */
static const float *place_of(const pass *p, size_t at) {
    const sat_plan *plan = p->plan;
    float *place = p->w.place;
    if (!plan->places.data)
        return plan->type;
    sat_matrix_row(&plan->places, at, place);
    for (size_t i = 0; plan->type && i < plan->dimension; i++)
        place[i] += plan->type[i];
    return place;
}

static void embed(pass *p) {
    const sat_plan *plan = p->plan;
    size_t d = plan->dimension;
    for (size_t t = 0; t < p->batch->texts; t++) {
        size_t first = p->batch->starts[t];
        for (size_t row = first; row < p->batch->starts[t + 1]; row++) {
            float *x = row_of(&p->w.x, row);
            const float *place = place_of(p, row - first);
            sat_matrix_row(&plan->tokens, (size_t)p->batch->ids[row], x);
            if (plan->embedding_scale != 1)
                for (size_t i = 0; i < d; i++)
                    x[i] *= plan->embedding_scale;
            for (size_t i = 0; place && i < d; i++)
                x[i] += place[i];
        }
    }
    joint start = {NULL,
                   &no_norm,
                   &plan->embedding_norm,
                   &plan->layers[0].attn_norm,
                   qkv_reads(&plan->layers[0]),
                   0};
    join(p, &start);
}

static void make_angles(const pass *p, size_t longest) {
    for (int i = 0; i < SAT_ENCODER_ROPES; i++)
        for (size_t at = 0; p->w.angles[i] && at < longest; at++)
            sat_rope_angles(&p->plan->rope[i], at, p->w.angles[i] + at * p->plan->rotated);
}

/* ------------------------------------------------------------------ attention */

/* Heads of Q and K normalised and turned. */
static void place_heads(const pass *p, const sat_layer *layer) {
    const sat_plan *plan = p->plan;
    const sat_step_kernels *steps = p->encoder->steps;
    size_t head = plan->head_dimension, heads = plan->heads + plan->kv_heads;
    const float *angles =
        p->w.angles[layer->reach > 0 ? SAT_ENCODER_ROPE_WINDOW : SAT_ENCODER_ROPE];
    if (!layer->q_norm && !angles)
        return;
    for (size_t t = 0; t < p->batch->texts; t++) {
        size_t first = p->batch->starts[t];
        for (size_t row = first; row < p->batch->starts[t + 1]; row++) {
            float *x = row_of(&p->w.qkv, row);
            for (size_t h = 0; h < heads; h++, x += head) {
                const float *norm = h < plan->heads ? layer->q_norm : layer->k_norm;
                if (norm)
                    steps->rms_norm(x, x, norm, head, plan->epsilon);
                if (angles)
                    steps->turn(x, angles + (row - first) * plan->rotated, plan->rotated / 2);
            }
        }
    }
}

/* qkv (rows, queries + 2 * keys) → attended (rows, queries), in the forms that `output` reads */
static void attend(pass *p, const sat_layer *layer) {
    const sat_plan *plan = p->plan;
    work *w = &p->w;
    size_t head = plan->head_dimension, group = plan->heads / plan->kv_heads;
    unsigned reads = sat_encoder_reads(&layer->output);
    bool in_place = reads == SAT_READS_Q8 && head % SAT_Q8_BLOCK == 0;
    for (size_t t = 0; t < p->batch->texts; t++) {
        size_t first = p->batch->starts[t];
        for (size_t h = 0; h < plan->heads; h++) {
            const float *row = row_of(&w->qkv, first), *k = row + plan->queries;
            sat_attention attention = {
                .q = row + h * head,
                .k = k + h / group * head,
                .v = k + plan->keys + h / group * head,
                .stride = w->qkv.stride,
                .length = p->batch->starts[t + 1] - first,
                .dim = head,
                .reach = layer->reach,
                .scale = 1.0f / sqrtf((float)head),
            };
            if (in_place) {
                attention.q8 = w->attended.q8;
                attention.q8.values += first * plan->queries;
                attention.q8.scales += first * (plan->queries / SAT_Q8_BLOCK);
                attention.q8_column = h * head;
            } else {
                attention.out = w->attended.rows;
                attention.out.data += first * attention.out.stride + h * head;
            }
            sat_attend(p->kernels, &attention, w->attention);
        }
    }
    if (reads == SAT_READS_Q8 && !in_place)
        sat_quantize(p->kernels, &w->attended.q8, &w->attended.rows, 0, p->rows);
    quantize_mapped(p, &w->attended, reads, 0, p->rows);
}

/* ------------------------------------------------------------------ feed-forward */

/* GELU of a row of n, in place. */
static void gelu(const pass *p, float *x, size_t n) {
    static const float no_bias[SAT_STRIP] = {0};
    float last[SAT_STRIP] = {0};
    size_t whole = n / SAT_STRIP, rest = n % SAT_STRIP;
    p->kernels->finish(x, SAT_STRIP, x, SAT_STRIP, no_bias, SAT_ACTIVATION_GELU, whole);
    if (rest == 0)
        return;
    memcpy(last, x + whole * SAT_STRIP, rest * sizeof *x);
    p->kernels->finish(last, SAT_STRIP, last, SAT_STRIP, no_bias, SAT_ACTIVATION_GELU, 1);
    memcpy(x + whole * SAT_STRIP, last, rest * sizeof *x);
}

/* hidden.rows: up, or gate and up one after the other → what down reads */
static void activate(pass *p, const sat_layer *layer, size_t rows) {
    const sat_plan *plan = p->plan;
    input *hidden = &p->w.hidden;
    size_t n = plan->ffn;
    unsigned reads = sat_encoder_reads(&layer->down);
    bool gated = sat_encoder_gated(plan);
    for (size_t row = 0; row < rows; row++) {
        float *x = row_of(&hidden->rows, row);
        const float *up = x + n;
        if (gated && plan->gate != SAT_GATE_GELU) {
            p->encoder->steps->gate(x, up, n, plan->gate);
        } else {
            gelu(p, x, n);
            for (size_t i = 0; gated && i < n; i++)
                x[i] *= up[i];
        }
        if (reads == SAT_READS_Q8)
            sat_quantize(p->kernels, &hidden->q8, &hidden->rows, row, row + 1);
        quantize_mapped(p, hidden, reads, row, row + 1);
    }
}

/* Rows [row, row + rows) of y. */
static void feed_forward(pass *p, const sat_layer *layer, size_t row, size_t rows) {
    work *w = &p->w;
    if (sat_encoder_fused(p->plan, layer)) {
        sat_output hidden = {.activation = SAT_ACTIVATION_GELU};
        if (sat_encoder_reads(&layer->down) == SAT_READS_Q8)
            hidden.q8 = w->hidden.q8;
        else
            hidden.rows = w->hidden.rows;
        multiply(p, &layer->up, &w->in, row, rows, &hidden);
    } else {
        sat_output gate = {.rows = w->hidden.rows}, up = gate;
        if (layer->gated) {
            up.rows.data += p->plan->ffn;
            multiply(p, &layer->gate, &w->in, row, rows, &gate);
        }
        multiply(p, &layer->up, &w->in, row, rows, &up);
        activate(p, layer, rows);
    }
    sat_output out = {.rows = {row_of(&w->y, row), w->y.stride}};
    multiply(p, &layer->down, &w->hidden, 0, rows, &out);
}

/* ------------------------------------------------------------------ the whole */

static void run_layer(pass *p, size_t index) {
    const sat_plan *plan = p->plan;
    const sat_layer *layer = &plan->layers[index];
    work *w = &p->w;
    sat_output out = {.rows = w->qkv};
    for (int i = 0; i < layer->qkv.parts; i++) {
        multiply(p, &layer->qkv.part[i], &w->in, 0, p->rows, &out);
        out.rows.data += sat_encoder_outputs(&layer->qkv.part[i]);
    }
    place_heads(p, layer);
    attend(p, layer);
    sat_output block = {.rows = w->y};
    multiply(p, &layer->output, &w->attended, 0, p->rows, &block);
    joint middle = {
        &w->y,           &layer->attn_post_norm, &layer->attn_output_norm, &layer->ffn_norm,
        up_reads(layer), 2 * index + 1};
    join(p, &middle);

    size_t rows;
    for (size_t row = 0; row < p->rows; row += rows) {
        rows = p->rows - row < SLICE ? p->rows - row : SLICE;
        feed_forward(p, layer, row, rows);
    }
    bool last = index + 1 == plan->layer_count;
    joint end = {&w->y,
                 &layer->ffn_post_norm,
                 &layer->layer_norm,
                 last ? &plan->output_norm : &layer[1].attn_norm,
                 last ? 0 : qkv_reads(layer + 1),
                 2 * index + 2};
    join(p, &end);
}

/* Mean of all tokens, special ones too, the first, or the last; the mean's divisor falls out when
 * the vector is scaled to length 1. */
static void pool(const pass *p, size_t text, float *out) {
    const sat_plan *plan = p->plan;
    size_t d = plan->dimension, first = p->batch->starts[text], end = p->batch->starts[text + 1];
    size_t row = plan->pooling == SATCHEL_POOLING_LAST ? end - 1 : first;
    memcpy(out, row_of(&p->w.in.rows, row), d * sizeof *out);
    for (row++; plan->pooling == SATCHEL_POOLING_MEAN && row < end; row++) {
        const float *x = row_of(&p->w.in.rows, row);
        for (size_t i = 0; i < d; i++)
            out[i] += x[i];
    }
}

/* Pooled vectors through the dense layers. */
static const sat_rows *run_dense(pass *p) {
    const sat_rows *rows = &p->w.pooled;
    size_t texts = p->batch->texts;
    for (int i = 0; i < p->plan->dense_count; i++) {
        const sat_encoder_weight *dense = &p->plan->dense[i];
        sat_output out = {.rows = p->w.dense_out[i]};
        quantize_mapped(p, &p->w.dense[i], sat_encoder_reads(dense), 0, texts);
        multiply(p, dense, &p->w.dense[i], 0, texts, &out);
        rows = &p->w.dense_out[i];
    }
    return rows;
}

bool sat_forward(const sat_encoder *encoder, const sat_batch *batch, void *scratch,
                 float *const *out) {
    const sat_plan *plan = &encoder->plan;
    pass p = {.encoder = encoder, .kernels = encoder->kernels, .plan = plan, .batch = batch};
    p.rows = batch->starts[batch->texts];
    size_t longest = 0;
    for (size_t t = 0; t < batch->texts; t++) {
        size_t length = batch->starts[t + 1] - batch->starts[t];
        longest = length > longest ? length : longest;
    }
    sat_cutter c = {scratch, 0, false};
    lay_out(&c, plan, batch->texts, p.rows, longest, &p.w);
    make_angles(&p, longest);
    embed(&p);
    for (size_t i = 0; i < plan->layer_count; i++)
        run_layer(&p, i);
    for (size_t t = 0; t < batch->texts; t++)
        pool(&p, t, row_of(&p.w.pooled, t));
    const sat_rows *vectors = run_dense(&p);
    bool finite = true;
    for (size_t t = 0; t < batch->texts; t++) {
        memcpy(out[t], row_of(vectors, t), plan->output * sizeof **out);
        finite &= sat_vector_normalize(encoder->context->vector, out[t], plan->output) != 0;
    }
    return finite;
}
