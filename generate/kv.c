/* Pages of keys and values. */
#include "generate/kv.h"

#include <math.h>
#include <string.h>

#include "generate/decoder.h"
#include "generate/gguf.h"

enum { BLOCK = 32, BLOCK_BYTES = 34 };

static size_t row_bytes(const sat_kv *kv) {
    switch (kv->type) {
    case SAT_KV_F32:
        return kv->head_dim * sizeof(float);
    case SAT_KV_F16:
        return kv->head_dim * sizeof(uint16_t);
    case SAT_KV_Q8_0:
        return kv->head_dim % BLOCK ? 0 : kv->head_dim / BLOCK * BLOCK_BYTES;
    default:
        return 0;
    }
}

static size_t page_bytes(const sat_kv *kv) {
    size_t bytes = row_bytes(kv);
    if (!sat_mul_size(bytes, SAT_KV_PAGE * 2, &bytes) || !sat_mul_size(bytes, kv->heads, &bytes) ||
        !sat_mul_size(bytes, kv->layers, &bytes))
        return SIZE_MAX;
    return bytes;
}

static size_t pages_of(size_t positions) {
    return positions / SAT_KV_PAGE + (positions % SAT_KV_PAGE != 0);
}

size_t sat_kv_size(const sat_kv *kv, size_t positions) {
    size_t bytes = page_bytes(kv);
    if (bytes == SIZE_MAX || !sat_mul_size(bytes, pages_of(positions), &bytes))
        return SIZE_MAX;
    return bytes;
}

satchel_status sat_kv_open(sat_kv *kv, size_t positions, satchel_error *error) {
    kv->row_bytes = row_bytes(kv);
    kv->page_bytes = page_bytes(kv);
    kv->page_count = 0;
    size_t count = pages_of(positions), all = sat_kv_size(kv, positions);
    kv->pages = sat_calloc(kv->memory, count, sizeof *kv->pages);
    kv->slots = sat_calloc(kv->memory, count, sizeof *kv->slots);
    if (!kv->pages || !kv->slots)
        return sat_memory_fail(kv->memory, all, error);
    for (size_t i = 0; i < count; i++) {
        kv->pages[i] = kv->slots[i].own = sat_alloc_aligned(kv->memory, kv->page_bytes);
        if (!kv->pages[i])
            return sat_memory_fail(kv->memory, (count - i) * kv->page_bytes, error);
        kv->page_count = i + 1;
    }
    return SATCHEL_OK;
}

void sat_kv_close(sat_kv *kv) {
    sat_kv_return(kv, 0);
    for (size_t i = 0; i < kv->page_count; i++)
        sat_free_aligned(kv->memory, kv->slots[i].own);
    sat_free(kv->memory, kv->slots);
    sat_free(kv->memory, kv->pages);
    kv->pages = NULL;
    kv->slots = NULL;
    kv->page_count = 0;
}

/* ------------------------------------------------------------------ lent pages */

static void give_back(sat_kv *kv, size_t page) {
    kv->pages[page] = kv->slots[page].own;
    sat_file_unmap(kv->context, &kv->slots[page].lent);
}

void sat_kv_lend(sat_kv *kv, size_t page, const sat_mapping *mapping) {
    if (kv->slots[page].lent.data)
        give_back(kv, page);
    kv->slots[page].lent = *mapping;
    /* Not written while it is lent: sat_kv_own comes first. */
    kv->pages[page] = (uint8_t *)(uintptr_t)mapping->data;
}

void sat_kv_own(sat_kv *kv, size_t position, size_t end) {
    for (size_t page = position / SAT_KV_PAGE; page < pages_of(end); page++) {
        if (!kv->slots[page].lent.data)
            continue;
        if (page * SAT_KV_PAGE < position)
            memcpy(kv->slots[page].own, kv->pages[page], kv->page_bytes);
        give_back(kv, page);
    }
}

void sat_kv_return(sat_kv *kv, size_t position) {
    for (size_t page = pages_of(position); page < kv->page_count; page++)
        if (kv->slots[page].lent.data)
            give_back(kv, page);
}

/* ------------------------------------------------------------------ rows */

static void quantize(const sat_step_kernels *steps, uint8_t *out, const float *x) {
    float most = 0;
    uint16_t half;
    for (int i = 0; i < BLOCK; i++) {
        float size = fabsf(x[i]);
        if (!(size <= most)) /* a NaN wins and stays */
            most = size;
    }
    float scale = most / 127, inverse = scale > 0 ? 127 / most : 0;
    steps->to_f16(&half, &scale, 1);
    memcpy(out, &half, sizeof half);
    for (int i = 0; i < BLOCK; i++) {
        float value = x[i] * inverse;
        /* Compared so that what is no number becomes 0: its cast would be undefined. The largest
         * may come out a little above 127. */
        out[2 + i] = (uint8_t)(int8_t)(value > -127.5f && value < 127.5f ? lrintf(value) : 0);
    }
}

static uint8_t *row_at(const sat_kv *kv, size_t layer, int which, size_t page, size_t head,
                       size_t place) {
    size_t row = ((layer * 2 + (size_t)which) * kv->heads + head) * SAT_KV_PAGE + place;
    return kv->pages[page] + row * kv->row_bytes;
}

void sat_kv_store(const sat_kv *kv, size_t layer, int which, size_t position, const float *values) {
    size_t page = position / SAT_KV_PAGE, place = position % SAT_KV_PAGE, n = kv->head_dim;
    for (size_t head = 0; head < kv->heads; head++, values += n) {
        uint8_t *row = row_at(kv, layer, which, page, head, place);
        if (kv->type == SAT_KV_F32) {
            memcpy(row, values, kv->row_bytes);
        } else if (kv->type == SAT_KV_F16) {
            kv->steps->to_f16((uint16_t *)(void *)row, values, n);
        } else {
            for (size_t i = 0; i < n; i += BLOCK, row += BLOCK_BYTES)
                quantize(kv->steps, row, values + i);
        }
    }
}

sat_value_rows sat_kv_load(const sat_kv *kv, size_t layer, int which, size_t page, size_t head,
                           size_t count, float *scratch) {
    const uint8_t *row = row_at(kv, layer, which, page, head, 0);
    if (kv->type != SAT_KV_Q8_0)
        return (sat_value_rows){row, kv->row_bytes,
                                kv->type == SAT_KV_F32 ? SAT_GGML_F32 : SAT_GGML_F16};
    kv->steps->from_q8_0(scratch, row, count * (kv->head_dim / BLOCK));
    return (sat_value_rows){(const uint8_t *)scratch, kv->head_dim * sizeof(float), SAT_GGML_F32};
}
