/* Cuts one block of scratch into 64-byte aligned pieces. The same calls run twice: without a base
 * they measure, with one they hand out. */
#ifndef SATCHEL_GENERATE_CUTTER_H
#define SATCHEL_GENERATE_CUTTER_H

#include "base/base.h"

typedef struct sat_cutter {
    uint8_t *base; /* NULL while measuring */
    size_t used;
    bool overflow;
} sat_cutter;

/* NULL while measuring. */
static inline void *sat_cut(sat_cutter *c, size_t count, size_t size) {
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

#endif
