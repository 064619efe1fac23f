/*
 * The keys and values of a sequence, in pages of SAT_KV_PAGE positions. A page holds all layers:
 *
 *   [layer][key, value][head][position in the page] → one head's values, as
 *     F32, F16   (head_dim)
 *     Q8_0       (head_dim / 32) of { IEEE half scale; int8 [32] }
 *
 * so that attention reads a head's page in one run. Pages begin at multiples of SAT_KV_PAGE
 * whatever was appended when: results do not depend on how tokens came.
 *
 * A page may be lent: a mapping read in place of the sequence's own page, which stays taken and
 * empty beneath it. What writes into such a page copies it first, so that writing takes no memory.
 */
#ifndef SATCHEL_GENERATE_KV_H
#define SATCHEL_GENERATE_KV_H

#include "base/base.h"
#include "generate/steps.h"

enum { SAT_KV_PAGE = 64 };

/* Names how tokens become the bits of a page: its form, the kernels, every order of summation. Raise
 * it with any change to one of them, so that pages saved by an older library are not found. */
enum { SAT_KV_CONTRACT = 2 };

typedef struct sat_kv_slot {
    uint8_t *own;
    sat_mapping lent; /* data NULL: none */
} sat_kv_slot;

typedef struct sat_kv {
    satchel_context *context; /* gives lent pages back */
    sat_memory *memory;
    const sat_step_kernels *steps;
    size_t layers, heads, head_dim;
    int32_t type;     /* SAT_KV_* */
    size_t row_bytes; /* of one head at one position */
    size_t page_bytes;
    uint8_t **pages; /* what is read: own or lent */
    sat_kv_slot *slots;
    size_t page_count;
} sat_kv;

enum { SAT_KV_KEY = 0, SAT_KV_VALUE = 1 };

/* Bytes that `positions` positions take; 0 if the type cannot hold such heads, SIZE_MAX on
 * overflow. */
size_t sat_kv_size(const sat_kv *kv, size_t positions);
/* context, layers, heads, head_dim, type, memory and steps are set. Takes all pages. */
satchel_status sat_kv_open(sat_kv *kv, size_t positions, satchel_error *error);
void sat_kv_close(sat_kv *kv);
/* Reads `page` from a mapping of page_bytes, which is owned from here on. */
void sat_kv_lend(sat_kv *kv, size_t page, const sat_mapping *mapping);
/* Before positions [position, end) are written: pages lent there become the sequence's own, with
 * what they hold before `position`. */
void sat_kv_own(sat_kv *kv, size_t position, size_t end);
/* Gives back lent pages that hold nothing before `position`. */
void sat_kv_return(sat_kv *kv, size_t position);
/* values: (heads, head_dim) of one position. */
void sat_kv_store(const sat_kv *kv, size_t layer, int which, size_t position, const float *values);
/* The first `count` positions of a page, one head, (count, head_dim): as they are held, or as floats
 * in `scratch`, of which F32 and F16 need none. */
sat_value_rows sat_kv_load(const sat_kv *kv, size_t layer, int which, size_t page, size_t head,
                           size_t count, float *scratch);

#endif
