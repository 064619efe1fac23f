/* Sequences: the room of one is taken when it is opened (pages and scratch), tokens are fed in
 * chunks, and the end can be cut off. */
#include "generate/cutter.h"
#include "generate/decoder_plan.h"

#include <string.h>

/* ------------------------------------------------------------------ room */

static unsigned form_of(const sat_weight *weight) {
    return weight->name ? 1U << sat_matrix_form(&weight->matrix) : 0;
}

/* Forms that any layer needs of each input. */
typedef struct forms {
    unsigned normed, attended, hidden;
} forms;

static forms forms_of(const sat_decoder_plan *plan) {
    forms all = {form_of(&plan->output), 0, 0};
    for (size_t i = 0; i < plan->layer_count; i++) {
        const sat_decoder_layer *layer = &plan->layers[i];
        for (int part = 0; part < layer->qkv_parts; part++)
            all.normed |= form_of(&layer->qkv[part]);
        all.normed |= form_of(&layer->gate) | form_of(&layer->up);
        all.attended |= form_of(&layer->output);
        all.hidden |= form_of(&layer->down);
    }
    return all;
}

static void cut_operands(sat_cutter *c, sat_input *input, unsigned wanted, size_t rows, size_t k) {
    for (int form = 0; form < SAT_FORMS; form++) {
        if (!(wanted & 1U << form))
            continue;
        size_t size = sat_operand_size((sat_form)form, rows, k);
        void *memory = sat_cut(c, size, 1);
        c->overflow |= size == SIZE_MAX;
        if (c->base) {
            sat_operand_init(&input->operand[form], (sat_form)form, rows, k, memory);
            if (form == SAT_FORM_FLOAT)
                input->operand[form].x = input->rows;
        }
    }
}

static sat_rows cut_rows(sat_cutter *c, size_t rows, size_t columns) {
    size_t count;
    c->overflow |= !sat_mul_size(rows, columns, &count);
    return (sat_rows){sat_cut(c, count, sizeof(float)), columns};
}

static void lay_out(sat_cutter *c, const sat_decoder *decoder, size_t rows, sat_decoder_work *w) {
    const sat_decoder_plan *plan = &decoder->plan;
    size_t queries = plan->heads * plan->head;
    forms wanted = forms_of(plan);
    memset(w, 0, sizeof *w);
    w->x = cut_rows(c, rows, plan->dimension);
    w->normed.rows = cut_rows(c, rows, plan->dimension);
    w->qkv = cut_rows(c, rows, queries + 2 * plan->kv_heads * plan->head);
    w->attended.rows = cut_rows(c, rows, queries);
    w->block = cut_rows(c, rows, plan->dimension);
    w->wide = cut_rows(c, rows, 2 * plan->ffn);
    w->hidden.rows = w->wide;
    cut_operands(c, &w->normed, wanted.normed, rows, plan->dimension);
    cut_operands(c, &w->attended, wanted.attended, rows, queries);
    cut_operands(c, &w->hidden, wanted.hidden, rows, plan->ffn);
    w->angles = sat_cut(c, 2 * rows * plan->rotated, sizeof(float));
    /* Whole cache lines, so that threads do not share one. */
    w->thread_floats = (sat_paged_attention_floats(plan) + 15) & ~(size_t)15;
    w->thread = sat_cut(c, (size_t)sat_pool_threads(decoder->context->pool) * w->thread_floats,
                        sizeof(float));
}

static sat_kv kv_of(const sat_decoder *decoder, int32_t type) {
    const sat_decoder_plan *plan = &decoder->plan;
    return (sat_kv){.context = decoder->context,
                    .memory = &decoder->context->memory,
                    .steps = decoder->steps,
                    .layers = plan->layer_count,
                    .heads = plan->kv_heads,
                    .head_dim = plan->head,
                    .type = type};
}

static size_t chunk_of(size_t capacity) {
    return capacity < SAT_CHUNK ? capacity : SAT_CHUNK;
}

uint64_t sat_sequence_need(const sat_decoder *decoder, size_t capacity, int32_t kv_type) {
    sat_kv kv = kv_of(decoder, kv_type);
    sat_cutter c = {NULL, 0, false};
    sat_decoder_work work;
    lay_out(&c, decoder, chunk_of(capacity), &work);
    size_t pages = sat_kv_size(&kv, capacity), all;
    if (c.overflow || pages == SIZE_MAX || !sat_add_size(pages, c.used, &all))
        return UINT64_MAX;
    return all;
}

/* ------------------------------------------------------------------ open and close */

static satchel_status check_room(const sat_decoder *decoder, size_t capacity, int32_t kv_type,
                                 satchel_error *error) {
    const sat_decoder_plan *plan = &decoder->plan;
    if (kv_type != SAT_KV_F32 && kv_type != SAT_KV_F16 && kv_type != SAT_KV_Q8_0) {
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "the type of keys and values is %d; F32 (0), F16 (1) and Q8_0 (8) exist",
                        (int)kv_type);
    }
    if (capacity < 1 || capacity > plan->context) {
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "room for %zu tokens was asked for; %s reads 1 to %zu", capacity,
                        decoder->file, plan->context);
    }
    sat_kv kv = kv_of(decoder, kv_type);
    if (sat_kv_size(&kv, capacity) == 0) {
        return sat_fail(error, SATCHEL_UNSUPPORTED,
                        "heads of %zu values cannot be kept as Q8_0, whose blocks have 32; use F16",
                        plan->head);
    }
    return SATCHEL_OK;
}

satchel_status sat_sequence_open(sat_sequence **out, const sat_decoder *decoder, size_t capacity,
                                 int32_t kv_type, satchel_error *error) {
    sat_memory *memory = &decoder->context->memory;
    *out = NULL;
    satchel_status status = check_room(decoder, capacity, kv_type, error);
    if (status)
        return status;
    uint64_t need = sat_sequence_need(decoder, capacity, kv_type);
    if (need > SIZE_MAX / 2)
        return sat_fail_memory(error, SIZE_MAX);
    sat_sequence *sequence = sat_calloc(memory, 1, sizeof *sequence);
    if (!sequence)
        return sat_memory_fail(memory, (size_t)need, error);
    sequence->decoder = decoder;
    sequence->capacity = capacity;
    sequence->chunk = chunk_of(capacity);
    sequence->kv = kv_of(decoder, kv_type);
    status = sat_kv_open(&sequence->kv, capacity, NULL);
    if (!status) {
        sat_cutter measured = {NULL, 0, false};
        lay_out(&measured, decoder, sequence->chunk, &sequence->work);
        sequence->scratch = sat_alloc_aligned(memory, measured.used);
        sat_cutter c = {sequence->scratch, 0, false};
        if (sequence->scratch)
            lay_out(&c, decoder, sequence->chunk, &sequence->work);
    }
    if (status || !sequence->scratch) {
        /* Given back first, so that the message names the whole need. */
        sat_sequence_close(&sequence);
        return sat_memory_fail(memory, (size_t)need, error);
    }
    *out = sequence;
    return SATCHEL_OK;
}

static void drop_adapters(sat_sequence *sequence) {
    sat_memory *memory = &sequence->decoder->context->memory;
    sat_free(memory, sequence->adapters);
    sat_free(memory, sequence->adapter_scales);
    sat_free(memory, sequence->low);
    sequence->adapters = NULL;
    sequence->adapter_scales = sequence->low = NULL;
    sequence->adapter_count = 0;
}

void sat_sequence_close(sat_sequence **slot) {
    sat_sequence *sequence = *slot;
    *slot = NULL;
    if (!sequence)
        return;
    sat_memory *memory = &sequence->decoder->context->memory;
    drop_adapters(sequence);
    sat_kv_close(&sequence->kv);
    sat_free_aligned(memory, sequence->scratch);
    sat_free(memory, sequence);
}

size_t sat_sequence_length(const sat_sequence *sequence) {
    return sequence->length;
}

size_t sat_sequence_capacity(const sat_sequence *sequence) {
    return sequence->capacity;
}

/* ------------------------------------------------------------------ adapters */

satchel_status sat_sequence_adapt(sat_sequence *sequence, const sat_adapter *const *adapters,
                                  const float *scales, size_t count, satchel_error *error) {
    sat_memory *memory = &sequence->decoder->context->memory;
    size_t rank = 1, low;
    if (sequence->length > 0) {
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "adapters change what %zu tokens in the sequence gave: cut it to 0 first",
                        sequence->length);
    }
    for (size_t i = 0; i < count; i++) {
        if (adapters[i]->decoder != sequence->decoder) {
            return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                            "adapter %zu was opened for another model", i);
        }
        rank = adapters[i]->rank > rank ? adapters[i]->rank : rank;
    }
    drop_adapters(sequence);
    if (count == 0)
        return SATCHEL_OK;
    if (!sat_mul_size(rank, sequence->chunk, &low))
        return sat_fail_memory(error, SIZE_MAX);
    sequence->adapters = sat_alloc_array(memory, count, sizeof *sequence->adapters);
    sequence->adapter_scales = sat_alloc_array(memory, count, sizeof *scales);
    sequence->low = sat_alloc_array(memory, low, sizeof *sequence->low);
    if (!sequence->adapters || !sequence->adapter_scales || !sequence->low) {
        drop_adapters(sequence);
        return sat_memory_fail(memory, low * sizeof *sequence->low, error);
    }
    memcpy(sequence->adapters, adapters, count * sizeof *sequence->adapters);
    memcpy(sequence->adapter_scales, scales, count * sizeof *scales);
    sequence->adapter_count = count;
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ tokens */

satchel_status sat_sequence_cut(sat_sequence *sequence, size_t length, satchel_error *error) {
    if (length > sequence->length) {
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "a sequence of %zu tokens cannot be cut to %zu", sequence->length, length);
    }
    sequence->length = length; /* what lies behind is written again before it is read */
    sat_kv_return(&sequence->kv, length);
    return SATCHEL_OK;
}

static satchel_status check_tokens(const sat_sequence *sequence, const int32_t *tokens,
                                   size_t count, size_t wanted, const float *logits,
                                   satchel_error *error) {
    size_t vocabulary = sequence->decoder->plan.vocabulary;
    if (count > sequence->capacity - sequence->length) {
        return sat_fail(error, SATCHEL_LIMIT,
                        "%zu tokens do not fit behind %zu in a context of %zu", count,
                        sequence->length, sequence->capacity);
    }
    if (wanted > count || (wanted > 0 && !logits)) {
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "logits of %zu tokens were asked for, %zu were given, or there is no room",
                        wanted, count);
    }
    for (size_t i = 0; i < count; i++) {
        if (tokens[i] < 0 || (size_t)tokens[i] >= vocabulary) {
            return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                            "token %d at %zu is outside the vocabulary of %zu", (int)tokens[i], i,
                            vocabulary);
        }
    }
    return SATCHEL_OK;
}

satchel_status sat_sequence_feed(sat_sequence *sequence, const int32_t *tokens, size_t count,
                                 size_t wanted, float *logits, const satchel_cancel *cancel,
                                 satchel_error *error) {
    size_t vocabulary = sequence->decoder->plan.vocabulary;
    satchel_status status = check_tokens(sequence, tokens, count, wanted, logits, error);
    if (!status)
        sat_kv_own(&sequence->kv, sequence->length, sequence->length + count);
    for (size_t done = 0, n; !status && done < count; done += n) {
        size_t left = count - done;
        n = left < sequence->chunk ? left : sequence->chunk;
        /* Those of the last `wanted` tokens that this chunk ends with, and where theirs go. */
        size_t later = left - n, here = wanted > later ? wanted - later : 0;
        float *out = logits;
        if (here > n)
            here = n;
        if (here)
            out += (done + n - here - (count - wanted)) * vocabulary;
        if (!sat_decoder_run(sequence, tokens + done, sequence->length + done, n, here, out,
                             cancel))
            status = sat_cancel_check(cancel, error);
    }
    if (!status)
        sequence->length += count;
    return status;
}
