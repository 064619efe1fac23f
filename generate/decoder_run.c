/*
 * The forward pass of a decoder over a chunk of tokens of one sequence: what is computed for a row
 * depends on its token, its position and the pages before it, never on the rows beside it. Products
 * run over all rows at once; a single row's small steps run on the caller, so that a token costs
 * few regions.
 */
#include "generate/decoder_plan.h"

#include <math.h>
#include <string.h>

typedef struct pass {
    sat_sequence *sequence;
    const sat_decoder *decoder;
    const sat_decoder_plan *plan;
    sat_decoder_work *w;
    const satchel_cancel *cancel;
    const int32_t *tokens;
    size_t first, rows; /* position of row 0 */
    size_t index;       /* of the layer */
    const sat_decoder_layer *layer;
} pass;

/* ------------------------------------------------------------------ rows */

static void each_row(pass *p, size_t rows, sat_pool_function function, void *user) {
    sat_pool *pool = p->decoder->context->pool;
    size_t parts = (size_t)sat_pool_threads(pool) * 4;
    if (rows == 1)
        function(user, 0, 0, 1);
    else
        sat_pool_run(pool, SAT_PRIORITY_ANSWER, 0, rows, (rows + parts - 1) / parts, function,
                     user);
}

static float *row_of(const sat_rows *rows, size_t row) {
    return rows->data + row * rows->stride;
}

static unsigned form_of(const sat_weight *weight) {
    return 1U << sat_matrix_form(&weight->matrix);
}

/* The forms of a row that products read. */
static void quantize_row(const pass *p, sat_input *input, unsigned forms, size_t row) {
    for (int form = SAT_FORM_FLOAT + 1; form < SAT_FORMS; form++) {
        if (forms & 1U << form) {
            sat_operand_quantize(p->decoder->matmul, &input->operand[form], &input->rows, row,
                                 row + 1);
        }
    }
}

/* ------------------------------------------------------------------ products */

typedef struct finish {
    const pass *p;
    const sat_weight *weight;
    const sat_input *input;
    sat_rows out;
} finish;

/* What stands behind a product: scale and bias where they could not go along, adapters. */
static void finish_rows(void *user, int thread, size_t begin, size_t end) {
    const finish *f = user;
    const sat_sequence *sequence = f->p->sequence;
    const sat_vector_kernels *vector = f->p->decoder->context->vector;
    const sat_weight *weight = f->weight;
    size_t n = weight->matrix.n;
    for (size_t row = begin; row < end && !sat_cancelled(f->p->cancel); row++) {
        float *y = row_of(&f->out, row);
        const float *x = row_of(&f->input->rows, row);
        for (size_t i = 0; weight->scale != 1 && i < n; i++)
            y[i] = y[i] * weight->scale + (weight->bias ? weight->bias[i] : 0);
        for (size_t a = 0; a < sequence->adapter_count; a++) {
            const sat_adapter_pair *pair = &sequence->adapters[a]->pairs[weight->number];
            if (pair->rank == 0)
                continue;
            float scale =
                sat_adapter_scale(sequence->adapters[a], pair, sequence->adapter_scales[a]);
            float *low = sequence->low + row * (pair->rank);
            vector->dot_rows(low, pair->a, x, pair->rank, pair->k);
            for (size_t i = 0; i < n; i++)
                y[i] += scale * vector->dot(pair->b + i * pair->rank, low, pair->rank);
        }
    }
}

static bool needs_finish(const pass *p, const sat_weight *weight) {
    if (weight->scale != 1)
        return true;
    for (size_t a = 0; a < p->sequence->adapter_count; a++)
        if (p->sequence->adapters[a]->pairs[weight->number].rank)
            return true;
    return false;
}

/* Products of one input with `count` weights, outputs one after the other in the rows of `out`. */
static void multiply(pass *p, const sat_input *input, const sat_weight *weights, size_t count,
                     sat_rows out, size_t rows) {
    sat_product products[3] = {0};
    float *at = out.data;
    for (size_t i = 0; i < count; i++) {
        products[i] = (sat_product){.matrix = &weights[i].matrix,
                                    .operand = &input->operand[sat_matrix_form(&weights[i].matrix)],
                                    .out = {at, out.stride}};
        at += weights[i].matrix.n;
    }
    sat_matmul_run(p->decoder->matmul, p->decoder->context->pool, SAT_PRIORITY_ANSWER, 0, products,
                   count, rows);
    for (size_t i = 0; i < count; i++) {
        finish f = {p, &weights[i], input, products[i].out};
        if (needs_finish(p, &weights[i]))
            each_row(p, rows, finish_rows, &f);
    }
}

/* ------------------------------------------------------------------ steps */

static void embed_rows(void *user, int thread, size_t begin, size_t end) {
    const pass *p = user;
    const sat_decoder_plan *plan = p->plan;
    const sat_vector_kernels *vector = p->decoder->context->vector;
    for (size_t row = begin; row < end; row++) {
        float *x = row_of(&p->w->x, row);
        size_t token = (size_t)p->tokens[row];
        sat_matrix_row(&plan->tokens.matrix, token, x);
        for (size_t a = 0; a < p->sequence->adapter_count; a++) {
            const sat_adapter *adapter = p->sequence->adapters[a];
            const sat_adapter_pair *pair = &adapter->tokens;
            float scale =
                pair->rank ? sat_adapter_scale(adapter, pair, p->sequence->adapter_scales[a]) : 0;
            for (size_t i = 0; pair->rank && i < plan->dimension; i++) {
                x[i] += scale * vector->dot(pair->b + i * pair->rank, pair->a + token * pair->rank,
                                            pair->rank);
            }
        }
        if (plan->embedding_scale != 1)
            vector->scale(x, plan->embedding_scale, plan->dimension);
    }
}

static float *angles_of(const pass *p, bool local, size_t row) {
    return p->w->angles + ((local ? 0 : p->rows) + row) * p->plan->rotated;
}

static void angle_rows(void *user, int thread, size_t begin, size_t end) {
    const pass *p = user;
    const sat_decoder_plan *plan = p->plan;
    bool longer = plan->has_long && p->sequence->capacity > plan->original_context;
    for (size_t row = begin; row < end; row++) {
        if (plan->window)
            sat_rope_angles(&plan->rope[SAT_ROPE_LOCAL], p->first + row, angles_of(p, true, row));
        sat_rope_angles(&plan->rope[longer ? SAT_ROPE_LONG : SAT_ROPE_GLOBAL], p->first + row,
                        angles_of(p, false, row));
    }
}

/* Adds a block's output to the residual stream and makes what the next block reads. */
typedef struct joint {
    const pass *p;
    const float *post; /* norm of the output; NULL: none */
    const float *norm; /* of the next input; NULL: none is made */
    bool add;
    unsigned forms;
    size_t skipped; /* rows before the first one */
} joint;

static void join_rows(void *user, int thread, size_t begin, size_t end) {
    const joint *j = user;
    const pass *p = j->p;
    const sat_step_kernels *steps = p->decoder->steps;
    size_t n = p->plan->dimension;
    for (size_t row = begin; row < end && !sat_cancelled(p->cancel); row++) {
        float *x = row_of(&p->w->x, row + j->skipped);
        if (j->add) {
            float *y = row_of(&p->w->block, row);
            if (j->post)
                steps->rms_norm(y, y, j->post, n, p->plan->epsilon);
            for (size_t i = 0; i < n; i++)
                x[i] += y[i];
        }
        if (j->norm) {
            steps->rms_norm(row_of(&p->w->normed.rows, row), x, j->norm, n, p->plan->epsilon);
            quantize_row(p, &p->w->normed, j->forms, row);
        }
    }
}

/* Heads of Q and K normalised and turned, K and V into the pages. */
static void place_rows(void *user, int thread, size_t begin, size_t end) {
    const pass *p = user;
    const sat_decoder_plan *plan = p->plan;
    const sat_decoder_layer *layer = p->layer;
    const sat_step_kernels *steps = p->decoder->steps;
    size_t dim = plan->head, turned = plan->heads + plan->kv_heads;
    for (size_t row = begin; row < end && !sat_cancelled(p->cancel); row++) {
        float *q = row_of(&p->w->qkv, row), *k = q + plan->heads * dim;
        const float *angles = angles_of(p, layer->window != 0, row);
        for (size_t h = 0; h < turned; h++) {
            float *head = q + h * dim;
            const float *norm = h < plan->heads ? layer->q_norm : layer->k_norm;
            if (norm)
                steps->rms_norm(head, head, norm, dim, plan->epsilon);
            if (layer->rope && plan->arch->pairs == SAT_ROPE_HALVES)
                steps->turn(head, angles, plan->rotated / 2);
            else if (layer->rope)
                sat_rope_turn_neighbours(head, angles, plan->rotated);
        }
        sat_kv_store(&p->sequence->kv, p->index, SAT_KV_KEY, p->first + row, k);
        sat_kv_store(&p->sequence->kv, p->index, SAT_KV_VALUE, p->first + row,
                     k + plan->kv_heads * dim);
    }
}

static void attended_rows(void *user, int thread, size_t begin, size_t end) {
    const pass *p = user;
    for (size_t row = begin; row < end; row++)
        quantize_row(p, &p->w->attended, form_of(&p->layer->output), row);
}

/* wide (rows, 2 · ffn): gate and up → hidden (rows, ffn) */
static void gate_rows(void *user, int thread, size_t begin, size_t end) {
    const pass *p = user;
    size_t n = p->plan->ffn;
    for (size_t row = begin; row < end && !sat_cancelled(p->cancel); row++) {
        float *gate = row_of(&p->w->wide, row);
        p->decoder->steps->gate(gate, gate + n, n, p->plan->arch->gate);
        quantize_row(p, &p->w->hidden, form_of(&p->layer->down), row);
    }
}

/* ------------------------------------------------------------------ layers */

static unsigned qkv_forms(const sat_decoder_layer *layer) {
    unsigned forms = 0;
    for (int i = 0; i < layer->qkv_parts; i++)
        forms |= form_of(&layer->qkv[i]);
    return forms;
}

static unsigned up_forms(const sat_decoder_layer *layer) {
    return form_of(&layer->up) | (layer->gate.name ? form_of(&layer->gate) : 0);
}

static void run_layer(pass *p) {
    const sat_decoder_layer *layer = p->layer;
    sat_decoder_work *w = p->w;
    multiply(p, &w->normed, layer->qkv, (size_t)layer->qkv_parts, w->qkv, p->rows);
    each_row(p, p->rows, place_rows, p);
    sat_paged_attention attention = {p->sequence, p->cancel, p->index, p->first, p->rows};
    sat_paged_attend(&attention);
    if (sat_cancelled(p->cancel))
        return;
    each_row(p, p->rows, attended_rows, p);
    multiply(p, &w->attended, &layer->output, 1, w->block, p->rows);
    joint middle = {p, layer->attn_post_norm, layer->ffn_norm, true, up_forms(layer), 0};
    each_row(p, p->rows, join_rows, &middle);

    if (layer->gate.name) {
        const sat_weight both[2] = {layer->gate, layer->up};
        multiply(p, &w->normed, both, 2, w->wide, p->rows);
    } else {
        multiply(p, &w->normed, &layer->up, 1, w->wide, p->rows);
    }
    each_row(p, p->rows, gate_rows, p);
    multiply(p, &w->hidden, &layer->down, 1, w->block, p->rows);
    bool last = p->index + 1 == p->plan->layer_count;
    joint end = {p,
                 layer->ffn_post_norm,
                 last ? NULL : layer[1].attn_norm,
                 true,
                 last ? 0 : qkv_forms(layer + 1),
                 0};
    each_row(p, p->rows, join_rows, &end);
}

static void run_head(pass *p, size_t wanted, float *logits) {
    const sat_decoder_plan *plan = p->plan;
    sat_rows out = {logits, plan->vocabulary};
    joint norm = {p, NULL, plan->output_norm, false, form_of(&plan->output), p->rows - wanted};
    each_row(p, wanted, join_rows, &norm);
    multiply(p, &p->w->normed, &plan->output, 1, out, wanted);
    for (size_t i = 0; plan->logit_cap > 0 && i < wanted * plan->vocabulary; i++)
        logits[i] = plan->logit_cap * tanhf(logits[i] / plan->logit_cap);
}

bool sat_decoder_run(sat_sequence *sequence, const int32_t *tokens, size_t first, size_t count,
                     size_t wanted, float *logits, const satchel_cancel *cancel) {
    const sat_decoder_plan *plan = &sequence->decoder->plan;
    pass p = {.sequence = sequence,
              .decoder = sequence->decoder,
              .plan = plan,
              .w = &sequence->work,
              .cancel = cancel,
              .tokens = tokens,
              .first = first,
              .rows = count};
    each_row(&p, count, embed_rows, &p);
    each_row(&p, count, angle_rows, &p);
    joint start = {&p, NULL, plan->layers[0].attn_norm, false, qkv_forms(&plan->layers[0]), 0};
    each_row(&p, count, join_rows, &start);
    for (p.index = 0; p.index < plan->layer_count; p.index++) {
        p.layer = &plan->layers[p.index];
        run_layer(&p);
        if (sat_cancelled(cancel))
            return false;
    }
    if (wanted > 0)
        run_head(&p, wanted, logits);
    return !sat_cancelled(cancel);
}
