/*
 * Encoder kernels: attention of one head, as two matrix products on packed keys and values with a
 * softmax between. A chunk of queries at a time, all keys at once: for the encoder's lengths the
 * chunk's scores fit the second cache, and no running maximum is needed.
 */
#include <float.h>
#include <string.h>

#include "base/alloc.h"
#include "generate/kernels_isa.h"

enum {
    QUERIES = 28,    /* queries at a time: twice 14, the widest level's tile */
    SCORES_SKEW = 16 /* keeps rows of scores from falling into one set of the cache */
};

static size_t round_up(size_t n) {
    return (n + SAT_STRIP - 1) / SAT_STRIP * SAT_STRIP;
}

size_t sat_attention_scratch(size_t length, size_t dim) {
    size_t keys, values, scores, size;
    if (length > SIZE_MAX / 64 || dim > SIZE_MAX / 64)
        return 0;
    if (!sat_mul_size(round_up(length), dim, &keys) ||
        !sat_mul_size(length, round_up(dim), &values) ||
        !sat_mul_size(round_up(length) + SCORES_SKEW, QUERIES, &scores) ||
        !sat_add_size(keys, values, &size) || !sat_add_size(size, scores, &size) ||
        !sat_add_size(size, QUERIES * SAT_STRIP, &size) ||
        !sat_mul_size(size, sizeof(float), &size))
        return 0;
    return size;
}

/* values (strips of dim, length, 32), the last strip padded with zeros */
static void pack_values(float *values, const sat_attention *attention) {
    for (size_t column = 0; column < attention->dim; column += SAT_STRIP) {
        size_t width = attention->dim - column < SAT_STRIP ? attention->dim - column : SAT_STRIP;
        for (size_t j = 0; j < attention->length; j++, values += SAT_STRIP) {
            memcpy(values, attention->v + j * attention->stride + column, width * sizeof *values);
            if (width < SAT_STRIP)
                memset(values + width, 0, (SAT_STRIP - width) * sizeof *values);
        }
    }
}

/* What a query does not see, of scores [low, high): least before the softmax, 0 after. */
static void fill_unseen(float *scores, const sat_attention *attention, size_t query, size_t low,
                        size_t high, float value) {
    size_t reach = attention->reach;
    for (size_t j = low; query > reach && j < query - reach; j++)
        scores[j] = value;
    for (size_t j = query + reach + 1; j < high; j++)
        scores[j] = value;
}

void sat_attend(const sat_kernels *kernels, const sat_attention *attention, void *scratch) {
    size_t length = attention->length, dim = attention->dim, stride = attention->stride;
    size_t padded = round_up(length), row = padded + SCORES_SKEW;
    float *keys = scratch;                        // (padded / 32, dim, 32)
    float *values = keys + padded * dim;          // (ceil(dim / 32), length, 32)
    float *out = values + length * round_up(dim); // (QUERIES, 32)
    float *scores = out + QUERIES * SAT_STRIP;    // (QUERIES, row)

    for (size_t j = 0; j < length; j += SAT_STRIP)
        kernels->transpose(keys + j * dim, attention->k + j * stride, stride,
                           length - j < SAT_STRIP ? length - j : SAT_STRIP, dim);
    pack_values(values, attention);

    bool windowed = attention->reach > 0 && attention->reach < length;
    for (size_t first = 0; first < length; first += QUERIES) {
        size_t count = length - first < QUERIES ? length - first : QUERIES;
        float inverse[QUERIES];
        /* Keys that some query of the chunk sees, from a whole strip on. */
        size_t low = 0, high = length;
        if (windowed) {
            low = first > attention->reach ? (first - attention->reach) / SAT_STRIP * SAT_STRIP : 0;
            if (length - first - count > attention->reach)
                high = first + count + attention->reach;
        }
        for (size_t j = low; j < high; j += SAT_STRIP)
            kernels->gemm_f32(scores + j, row, 0, attention->q + first * stride, stride,
                              keys + j * dim, dim, count);
        for (size_t i = 0; i < count; i++) {
            float *of = scores + i * row;
            if (windowed)
                fill_unseen(of, attention, first + i, low, high, -FLT_MAX);
            inverse[i] = 1.0f / kernels->softmax(of + low, attention->scale, high - low);
            if (windowed)
                fill_unseen(of, attention, first + i, low, high, 0);
        }
        for (size_t column = 0; column < dim; column += SAT_STRIP) {
            size_t width = dim - column < SAT_STRIP ? dim - column : SAT_STRIP;
            kernels->gemm_f32(out, SAT_STRIP, 0, scores + low, row,
                              values + column * length + low * SAT_STRIP, high - low, count);
            for (size_t i = 0; i < count; i++)
                for (size_t c = 0; c < SAT_STRIP; c++)
                    out[i * SAT_STRIP + c] *= inverse[i];
            if (attention->out.data)
                for (size_t i = 0; i < count; i++)
                    memcpy(attention->out.data + (first + i) * attention->out.stride + column,
                           out + i * SAT_STRIP, width * sizeof *out);
            if (attention->q8.values) {
                const sat_q8_rows *q8 = &attention->q8;
                size_t blocks = q8->columns / SAT_Q8_BLOCK, at = attention->q8_column + column;
                kernels->quantize(q8->values + first * q8->columns + at, q8->columns,
                                  q8->scales + first * blocks + at / SAT_Q8_BLOCK, blocks, out,
                                  SAT_STRIP, count, SAT_STRIP);
            }
        }
    }
}
