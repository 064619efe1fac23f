/*
 * Weights of all types to the unpacked form, some rows at a time: 16 bytes of each four are
 * transposed as a matrix of 4 by 4 words in a lane of 128 bits, so that a vector holds 4 inputs of
 * as many outputs as it has words, and codes are taken out of all at once. Written with the vectors
 * that GCC and Clang make of any instruction set; every level's file includes it and compiles it
 * with its own flags. quants.c and quants_k.c say what the bytes mean.
 *
 * The file that includes it defines before
 *   LOAD(rows, at)                 16 bytes from `at` on of rows[0], rows[4], …, one a lane
 *   ZIP_LOW ZIP_HIGH (a, b)        words 0 of a and b, words 1 (2 and 3) of each lane
 *   JOIN_LOW JOIN_HIGH (a, b)      words 0 and 1 (2 and 3) of a, then of b, of each lane
 *   LOOK_UP(book, index)           book[index] of each byte, index < 16; book: 16 bytes in memory
 */
#ifndef SATCHEL_GENERATE_MATMUL_UNPACK_H
#define SATCHEL_GENERATE_MATMUL_UNPACK_H

#include <string.h>

#include "generate/matmul_kernels.h"
#include "generate/vectors.h"

enum {
    LANES = WIDTH / 4, /* of 128 bits */
    ROWS_AT_ONCE = WIDTH,
    PIECE = 16
};

typedef uint16_t half_words __attribute__((vector_size(2 * WIDTH)));
typedef int32_t signed_words __attribute__((vector_size(4 * WIDTH)));

/* ------------------------------------------------------------------ vectors */

INLINE void store_words(void *p, words x) {
    memcpy(p, &x, sizeof x);
}

INLINE words spread(uint32_t x) {
    return (words){0} + x;
}

/* Four values of a row, or two sums, as they lie in memory. */
INLINE int32_t word_at(const void *p) {
    int32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/* Four bytes of each row. */
INLINE words gather(const uint8_t *const *rows, size_t at) {
    words x = {0};
    EACH (i, ROWS_AT_ONCE)
        x[i] = sat_read_u32(rows[i] + at);
    return x;
}

/* out[i]: bytes at + 4i … at + 4i + 3 of each row. */
INLINE void transpose(words out[4], const uint8_t *const *rows, size_t at) {
    words a = LOAD(rows, at), b = LOAD(rows + 1, at), c = LOAD(rows + 2, at);
    words d = LOAD(rows + 3, at);
    words ab = ZIP_LOW(a, b), cd = ZIP_LOW(c, d);
    out[0] = JOIN_LOW(ab, cd);
    out[1] = JOIN_HIGH(ab, cd);
    ab = ZIP_HIGH(a, b);
    cd = ZIP_HIGH(c, d);
    out[2] = JOIN_LOW(ab, cd);
    out[3] = JOIN_HIGH(ab, cd);
}

INLINE words nibbles(words x, int high) {
    return (high ? x >> 4 : x) & spread(0x0f0f0f0f);
}

/* The half at `at` of each row. */
INLINE floats halves_at(const uint8_t *const *rows, size_t at) {
    half_words x = {0};
    EACH (i, ROWS_AT_ONCE)
        x[i] = (uint16_t)(rows[i][at] | rows[i][at + 1] << 8);
    return load_halves(&x);
}

INLINE void store_halves(float *out, const uint8_t *const *rows, size_t at) {
    floats x = halves_at(rows, at);
    memcpy(out, &x, sizeof x);
}

/* Weights are read by columns of a strip, which no hardware expects: so the next strip's bytes are
 * asked for while this one is unpacked, as many as are read. */
INLINE const uint8_t *prefetch(const uint8_t *ahead, const size_t count) {
    EACH (i, (int)((count + 63) / 64))
        __builtin_prefetch((const void *)((uintptr_t)ahead + 64 * (uintptr_t)i), 0, 2);
    return (const uint8_t *)((uintptr_t)ahead + count);
}

/* ------------------------------------------------------------------ blocks of 32 */

/* Bits 4i … 4i + 3 of each row's word as the bit `to` of 4 bytes. */
INLINE words bits_of_step(words x, int i, int to) {
    x = x >> (4 * i) & spread(15);
    x |= x << 7;
    x |= x << 14;
    return (x & spread(0x01010101)) << to;
}

/* Outputs from column c on of a block of a type whose codes are nibbles: 16 bytes at `at`, fifth
 * bits at `fifth` (0: none), through a book (NULL: none). */
INLINE void block_of_nibbles(sat_strip_block *out, int c, const uint8_t *const *rows, size_t at,
                             size_t fifth, const uint8_t *book) {
    words v[4], high = fifth ? gather(rows, fifth) : spread(0);
    transpose(v, rows, at);
    EACH (half, 2)
        EACH (i, 4) {
            words code = nibbles(v[i], half);
            if (fifth)
                code |= bits_of_step(high, 4 * half + i, 4);
            if (book)
                code = LOOK_UP(book, code);
            store_words(out->code[4 * half + i][c], code);
        }
}

INLINE void block_of_bytes(sat_strip_block *out, int c, const uint8_t *const *rows, size_t at) {
    EACH (half, 2) {
        words v[4];
        transpose(v, rows, at + 16 * (size_t)half);
        EACH (i, 4)
            store_words(out->code[4 * half + i][c], v[i] ^ spread(0x80808080));
    }
}

/* Half a block of 64: 8 bytes hold 16 codes. */
INLINE void block_of_nvfp4(sat_strip_block *out, int c, const uint8_t *const *rows, size_t half) {
    words v[4];
    transpose(v, rows, 4 + 16 * half);
    EACH (i, 4) {
        store_words(out->code[4 * (i / 2) + i % 2][c], LOOK_UP(sat_e2m1_codes, nibbles(v[i], 0)));
        store_words(out->code[4 * (i / 2) + i % 2 + 2][c],
                    LOOK_UP(sat_e2m1_codes, nibbles(v[i], 1)));
    }
}

INLINE void small_block(sat_strip_block *out, int c, const uint8_t *const *rows, uint32_t type,
                        size_t index) {
    if (type != SAT_GGML_MXFP4 && type != SAT_GGML_NVFP4)
        store_halves(out->scale + c, rows, 0);
    if (type == SAT_GGML_Q4_1 || type == SAT_GGML_Q5_1)
        store_halves(out->more + c, rows, 2);
    switch (type) {
    case SAT_GGML_Q4_0:
        block_of_nibbles(out, c, rows, 2, 0, NULL);
        break;
    case SAT_GGML_Q4_1:
        block_of_nibbles(out, c, rows, 4, 0, NULL);
        break;
    case SAT_GGML_Q5_0:
        block_of_nibbles(out, c, rows, 6, 2, NULL);
        break;
    case SAT_GGML_Q5_1:
        block_of_nibbles(out, c, rows, 8, 4, NULL);
        break;
    case SAT_GGML_Q8_0:
        block_of_bytes(out, c, rows, 2);
        break;
    case SAT_GGML_IQ4_NL:
        block_of_nibbles(out, c, rows, 2, 0, sat_iq4_codes);
        break;
    case SAT_GGML_MXFP4:
        EACH (i, ROWS_AT_ONCE)
            out->scale[c + i] = sat_e8m0_half(rows[i][0]);
        block_of_nibbles(out, c, rows, 1, 0, sat_e2m1_codes);
        break;
    default: /* NVFP4 */
        EACH (i, ROWS_AT_ONCE) {
            out->scale[c + i] = sat_ue4m3_half(rows[i][index % 2 * 2]);
            out->more[c + i] = sat_ue4m3_half(rows[i][index % 2 * 2 + 1]);
        }
        block_of_nvfp4(out, c, rows, index % 2);
        break;
    }
}

INLINE void small_blocks(sat_strip_block *out, uint32_t type, size_t block_bytes,
                         const uint8_t *const rows[SAT_STRIP], size_t first, size_t count,
                         const uint8_t *ahead) {
    size_t halving = type == SAT_GGML_NVFP4; /* two of ours in one of its blocks */
    for (int c = 0; c < SAT_STRIP; c += ROWS_AT_ONCE)
        for (size_t b = 0; b < count; b++) {
            const uint8_t *some[ROWS_AT_ONCE];
            EACH (i, ROWS_AT_ONCE)
                some[i] = rows[c + i] + (first + b) / (1 + halving) * block_bytes;
            small_block(&out[b], c, some, type, first + b);
            ahead = prefetch(ahead, ROWS_AT_ONCE * block_bytes / (1 + halving));
        }
}

static void unpack_32(sat_strip_block *out, uint32_t type, const uint8_t *const rows[SAT_STRIP],
                      size_t first, size_t count, const uint8_t *ahead) {
    switch (type) {
#define TYPE(name, bytes)                                                                          \
    case name:                                                                                     \
        small_blocks(out, name, bytes, rows, first, count, ahead);                                 \
        break;
        TYPE(SAT_GGML_Q4_0, 18)
        TYPE(SAT_GGML_Q4_1, 20)
        TYPE(SAT_GGML_Q5_0, 22)
        TYPE(SAT_GGML_Q5_1, 24)
        TYPE(SAT_GGML_Q8_0, 34)
        TYPE(SAT_GGML_IQ4_NL, 18)
        TYPE(SAT_GGML_MXFP4, 17)
        TYPE(SAT_GGML_NVFP4, 36)
#undef TYPE
    default:
        break;
    }
}

/* ------------------------------------------------------------------ blocks of 256 */

/* Scales of `groups` groups and what they make of minima: of their own (NULL: scale · offset). */
INLINE void store_scales(sat_strip_super *out, int c, const words *scale, const words *minimum,
                         int offset, int groups) {
    EACH (j, groups)
        store_words(&out->scale[j][c], scale[j]);
    EACH (p, groups / 2) {
        words low = minimum ? minimum[2 * p] : scale[2 * p] * spread((uint32_t)offset);
        words high = minimum ? minimum[2 * p + 1] : scale[2 * p + 1] * spread((uint32_t)offset);
        store_words(out->minimum[p][c], (low & spread(0xffff)) | high << 16);
    }
}

/* Byte j of each word. */
INLINE words byte_of(words x, int j) {
    return x >> (8 * j) & spread(255);
}

INLINE signed_words byte_signed(words x, int j) {
    return (signed_words)(x << (24 - 8 * j)) >> 24;
}

/* Codes of `width` bits from `pieces` times 16 bytes: each run of 32 bytes holds 8 / width runs of
 * 32 codes. Bits above them from `top` (NULL: none): one a code, a plane for each 32 codes, from 32
 * bytes. */
INLINE void store_planes(sat_strip_super *out, int c, const uint8_t *const *rows, size_t at,
                         int width, words (*top)[4]) {
    const int planes = 8 / width;
    const words mask = spread(0x01010101u * ((1u << width) - 1));
    EACH (piece, 2 * width) {
        words v[4];
        transpose(v, rows, at + PIECE * (size_t)piece);
        EACH (plane, planes) {
            const int run = piece / 2 * planes + plane;
            EACH (i, 4) {
                words code = v[i] >> (plane * width) & mask;
                if (top)
                    code |= (top[piece % 2][i] >> run & spread(0x01010101)) << width;
                store_words(out->code[8 * run + piece % 2 * 4 + i][c], code);
            }
        }
    }
}

INLINE void super_q2(sat_strip_super *out, int c, const uint8_t *const *rows) {
    words v[4], scale[16], minimum[16];
    transpose(v, rows, 0);
    EACH (j, 16) {
        scale[j] = byte_of(nibbles(v[j / 4], 0), j % 4);
        minimum[j] = byte_of(nibbles(v[j / 4], 1), j % 4);
    }
    store_scales(out, c, scale, minimum, 0, 16);
    store_planes(out, c, rows, 16, 2, NULL);
}

INLINE void super_q3(sat_strip_super *out, int c, const uint8_t *const *rows) {
    words top[2][4], low[2] = {gather(rows, 96), gather(rows, 100)}, high = gather(rows, 104);
    words scale[16];
    EACH (j, 16) {
        words four = nibbles(low[j / 4 % 2], j / 8);
        four |= (high >> (j / 4 * 2) & spread(0x03030303)) << 4;
        scale[j] = byte_of(four, j % 4) - spread(32);
    }
    store_scales(out, c, scale, NULL, 4, 16);
    EACH (half, 2)
        transpose(top[half], rows, 16 * (size_t)half);
    store_planes(out, c, rows, 32, 2, top);
}

/* Scales and minima of 6 bits from the first 16 bytes of a block. */
INLINE void scales_q4_q5(words scale[8], words minimum[8], const words v[4]) {
    const words six = spread(0x3f3f3f3f), upper = spread(0x30303030);
    EACH (j, 4) {
        scale[j] = byte_of(v[1] & six, j);
        minimum[j] = byte_of(v[2] & six, j);
        scale[j + 4] = byte_of(nibbles(v[3], 0) | (v[1] >> 2 & upper), j);
        minimum[j + 4] = byte_of(nibbles(v[3], 1) | (v[2] >> 2 & upper), j);
    }
}

INLINE void super_q4_q5(sat_strip_super *out, int c, const uint8_t *const *rows, int five) {
    words v[4], scale[8], minimum[8], top[2][4];
    transpose(v, rows, 0);
    scales_q4_q5(scale, minimum, v);
    store_scales(out, c, scale, minimum, 0, 8);
    if (five) {
        EACH (half, 2)
            transpose(top[half], rows, 16 + 16 * (size_t)half);
        store_planes(out, c, rows, 48, 4, top);
    } else {
        store_planes(out, c, rows, 16, 4, NULL);
    }
}

INLINE void super_q6(sat_strip_super *out, int c, const uint8_t *const *rows) {
    words v[4], scale[16];
    transpose(v, rows, 192);
    EACH (j, 16)
        scale[j] = (words)byte_signed(v[j / 4], j % 4);
    store_scales(out, c, scale, NULL, 32, 16);
    EACH (run, 2) { /* 64 bytes of lower bits and 32 of upper ones hold 128 codes */
        words high[2][4];
        EACH (half, 2)
            transpose(high[half], rows, 128 + 32 * (size_t)run + 16 * (size_t)half);
        EACH (piece, 4) {
            transpose(v, rows, 64 * (size_t)run + PIECE * (size_t)piece);
            EACH (nibble, 2)
                EACH (i, 4) {
                    words upper = high[piece % 2][i] >> (2 * (piece / 2 + 2 * nibble));
                    store_words(out->code[32 * run + 4 * piece + 16 * nibble + i][c],
                                nibbles(v[i], nibble) | (upper & spread(0x03030303)) << 4);
                }
        }
    }
}

INLINE void super_iq4(sat_strip_super *out, int c, const uint8_t *const *rows) {
    words high = gather(rows, 0) >> 16, low = gather(rows, 4), scale[8], v[4];
    EACH (j, 8)
        scale[j] =
            ((low >> (4 * j) & spread(15)) | (high >> (2 * j) & spread(3)) << 4) - spread(32);
    store_scales(out, c, scale, NULL, SAT_IQ4_OFFSET, 8);
    EACH (j, 8) {
        transpose(v, rows, 8 + PIECE * (size_t)j);
        EACH (half, 2)
            EACH (i, 4)
                store_words(out->code[8 * j + 4 * half + i][c],
                            LOOK_UP(sat_iq4_codes, nibbles(v[i], half)));
    }
}

INLINE void super_tq2(sat_strip_super *out, int c, const uint8_t *const *rows) {
    words scale[8];
    EACH (j, 8)
        scale[j] = spread(1);
    store_scales(out, c, scale, NULL, 1, 8);
    store_planes(out, c, rows, 0, 2, NULL);
}

INLINE void super_block(sat_strip_super *out, int c, const uint8_t *const *rows, uint32_t type) {
    switch (type) {
    case SAT_GGML_Q2_K:
        super_q2(out, c, rows);
        break;
    case SAT_GGML_Q3_K:
        super_q3(out, c, rows);
        break;
    case SAT_GGML_Q4_K:
        super_q4_q5(out, c, rows, 0);
        break;
    case SAT_GGML_Q5_K:
        super_q4_q5(out, c, rows, 1);
        break;
    case SAT_GGML_Q6_K:
        super_q6(out, c, rows);
        break;
    case SAT_GGML_IQ4_XS:
        super_iq4(out, c, rows);
        break;
    default: /* TQ2_0 */
        super_tq2(out, c, rows);
        break;
    }
}

INLINE void super_blocks(sat_strip_super *out, uint32_t type, size_t block_bytes, size_t d,
                         size_t least, const uint8_t *const rows[SAT_STRIP], size_t first,
                         size_t count, const uint8_t *ahead) {
    for (size_t b = 0; b < count; b++)
        for (int c = 0; c < SAT_STRIP; c += ROWS_AT_ONCE) {
            const uint8_t *some[ROWS_AT_ONCE];
            EACH (i, ROWS_AT_ONCE)
                some[i] = rows[c + i] + (first + b) * block_bytes;
            store_halves(out[b].d + c, some, d);
            if (least != d)
                store_halves(out[b].least + c, some, least);
            super_block(&out[b], c, some, type);
            ahead = prefetch(ahead, ROWS_AT_ONCE * block_bytes);
        }
}

static void unpack_256(sat_strip_super *out, uint32_t type, const uint8_t *const rows[SAT_STRIP],
                       size_t first, size_t count, const uint8_t *ahead) {
    switch (type) {
#define TYPE(name, bytes, d, least)                                                                \
    case name:                                                                                     \
        super_blocks(out, name, bytes, d, least, rows, first, count, ahead);                       \
        break;
        TYPE(SAT_GGML_Q2_K, 84, 80, 82)
        TYPE(SAT_GGML_Q3_K, 110, 108, 108)
        TYPE(SAT_GGML_Q4_K, 144, 0, 2)
        TYPE(SAT_GGML_Q5_K, 176, 0, 2)
        TYPE(SAT_GGML_Q6_K, 210, 208, 208)
        TYPE(SAT_GGML_IQ4_XS, 136, 0, 0)
        TYPE(SAT_GGML_TQ2_0, 66, 64, 64)
#undef TYPE
    default:
        break;
    }
}

#endif
