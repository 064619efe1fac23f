/*
 * Weight types of GGUF: dequantization, which agrees bit for bit with the `gguf` package's, and the
 * unpacking of a block into the integers it stores. quants.c has the table and the types whose
 * scales are floats; quants_k.c those with integer scales inside a block of 256.
 *
 * Every type but the floats stores weight = scale · (code − offset) or scale · code − least, with
 * small unsigned codes; the types of a code book store an index instead, and code is what the book
 * says + offset.
 */
#ifndef SATCHEL_GENERATE_QUANTS_H
#define SATCHEL_GENERATE_QUANTS_H

#include "generate/gguf.h"

enum {
    SAT_BLOCK = 32,        /* weights of a small block */
    SAT_SUPER_BLOCK = 256, /* and of one with integer scales inside */
    SAT_E2M1_OFFSET = 16,  /* makes the codes of MXFP4 and NVFP4 positive, */
    SAT_IQ4_OFFSET = 128   /* and those of IQ4_NL and IQ4_XS */
};

/* True if weights of this type (SAT_GGML_*) can be read. */
bool sat_quant_known(uint32_t type);
/* out[i] = weight i of `count` weights from `in` on, a whole number of blocks. `in` needs no
 * alignment. Types that are not known give zeros. */
void sat_dequantize(uint32_t type, float *out, const void *in, size_t count);

/* 32 weights of a type with float scales: weight i = scale[h] · (code[i] − offset) + least, where h
 * is 0, or i / 16 for NVFP4 (whose blocks of 64 are two of these). */
typedef struct sat_block {
    float scale[2], least;
    uint8_t code[SAT_BLOCK];
} sat_block;

/* 256 weights of a type with integer scales: weight i = d · scale[j] · code[i] − least ·
 * minimum[j], j = i / 16 or i / 32. Types with an offset have minimum = scale · offset and least =
 * d. */
typedef struct sat_super_block {
    float d, least;
    int16_t scale[16], minimum[16];
    uint8_t code[SAT_SUPER_BLOCK];
} sat_super_block;

/* How the integers of a type are meant. */
typedef struct sat_quant {
    uint16_t block; /* 32, 256; 0: floats */
    uint16_t group; /* weights that share an innermost scale: 16 or 32 */
    uint8_t offset; /* 0, or a power of two, subtracted from codes */
    bool least;     /* has a least weight of its own scale */
    uint8_t bits;   /* of codes */
} sat_quant;

/* NULL if the type is not known. */
const sat_quant *sat_quant_of(uint32_t type);
/* Block `index` of a row that starts at `row`, counted in blocks of sat_quant.block weights. */
void sat_unpack_block(uint32_t type, sat_block *out, const void *row, size_t index);
void sat_unpack_super_block(uint32_t type, sat_super_block *out, const void *row, size_t index);

/* The code books, offset added. */
extern const uint8_t sat_iq4_codes[16], sat_e2m1_codes[16];
/* Their scales: 2^(e − 128), and E4M3 without a sign, halved, as codes are doubled. */
float sat_read_half(const uint8_t *p); /* little-endian, exact */
float sat_e8m0_half(uint8_t e);
float sat_ue4m3_half(uint8_t e);

#endif
