/* Weight types: the table, dequantization, and the blocks of 32 with float scales. */
#include "generate/quants.h"

#include <string.h>

#include "base/vector.h"

static const sat_quant quants[] = {
    [SAT_GGML_Q4_0] = {32, 32, 8, false, 4},
    [SAT_GGML_Q4_1] = {32, 32, 0, true, 4},
    [SAT_GGML_Q5_0] = {32, 32, 16, false, 5},
    [SAT_GGML_Q5_1] = {32, 32, 0, true, 5},
    [SAT_GGML_Q8_0] = {32, 32, 128, false, 8},
    [SAT_GGML_Q2_K] = {256, 16, 0, true, 2},
    [SAT_GGML_Q3_K] = {256, 16, 4, false, 3},
    [SAT_GGML_Q4_K] = {256, 32, 0, true, 4},
    [SAT_GGML_Q5_K] = {256, 32, 0, true, 5},
    [SAT_GGML_Q6_K] = {256, 16, 32, false, 6},
    [SAT_GGML_IQ4_NL] = {32, 32, SAT_IQ4_OFFSET, false, 8},
    [SAT_GGML_IQ4_XS] = {256, 32, SAT_IQ4_OFFSET, false, 8},
    [SAT_GGML_TQ2_0] = {256, 32, 1, false, 2},
    [SAT_GGML_MXFP4] = {32, 32, SAT_E2M1_OFFSET, false, 5},
    [SAT_GGML_NVFP4] = {32, 16, SAT_E2M1_OFFSET, false, 5},
};
static const sat_quant floats = {0, 1, 0, false, 32};

/* −127 −104 −83 −65 −49 −35 −22 −10 1 13 25 38 53 69 89 113, less the offset */
const uint8_t sat_iq4_codes[16] = {1,   24,  45,  63,  79,  93,  106, 118,
                                   129, 141, 153, 166, 181, 197, 217, 241};
/* Twice 0, ½, 1, 1½, 2, 3, 4, 6, then their negatives. */
const uint8_t sat_e2m1_codes[16] = {16, 17, 18, 19, 20, 22, 24, 28, 16, 15, 14, 13, 12, 10, 8, 4};

const sat_quant *sat_quant_of(uint32_t type) {
    if (type == SAT_GGML_F32 || type == SAT_GGML_F16 || type == SAT_GGML_BF16)
        return &floats;
    if (type >= SAT_COUNT(quants) || !quants[type].block)
        return NULL;
    return &quants[type];
}

bool sat_quant_known(uint32_t type) {
    return sat_quant_of(type) != NULL;
}

/* ------------------------------------------------------------------ scales */

float sat_read_half(const uint8_t *p) {
    uint16_t half = (uint16_t)(p[0] | p[1] << 8);
    float x;
    sat_vector_kernels_for(SATCHEL_CPU_C)->from_f16(&x, &half, 1);
    return x;
}

static float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

float sat_e8m0_half(uint8_t e) {
    /* 2^(e−127), halved: the two least are subnormal. */
    return float_of(e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23);
}

float sat_ue4m3_half(uint8_t e) {
    if (e == 0x7f) /* not a number: means none */
        return 0;
    uint32_t exponent = e >> 3 & 15, fraction = e & 7;
    if (exponent == 0)
        return (float)fraction * 0x1p-10f;
    return float_of((exponent + 119) << 23 | fraction << 20); /* 2^(exponent − 8) · 1.fraction */
}

/* ------------------------------------------------------------------ blocks of 32 */

/* 16 bytes: codes 0 to 15 in the low halves, 16 to 31 in the high. */
static void unpack_nibbles(uint8_t *code, const uint8_t *in) {
    for (int i = 0; i < 16; i++) {
        code[i] = in[i] & 15;
        code[i + 16] = in[i] >> 4;
    }
}

static void add_fifth_bits(uint8_t *code, const uint8_t *in) {
    uint32_t high = sat_read_u32(in);
    for (int i = 0; i < 32; i++)
        code[i] |= (uint8_t)((high >> i & 1) << 4);
}

static void look_up(uint8_t *code, const uint8_t *book, int count) {
    for (int i = 0; i < count; i++)
        code[i] = book[code[i]];
}

/* Half a block of 64: { scale [4]; 8 bytes for each 16 codes }. */
static void unpack_nvfp4(sat_block *out, const uint8_t *row, size_t index) {
    const uint8_t *in = row + index / 2 * 36;
    size_t first = index % 2 * 2;
    for (size_t h = 0; h < 2; h++) {
        const uint8_t *bytes = in + 4 + 8 * (first + h);
        out->scale[h] = sat_ue4m3_half(in[first + h]);
        for (int i = 0; i < 8; i++) {
            out->code[16 * h + (size_t)i] = sat_e2m1_codes[bytes[i] & 15];
            out->code[16 * h + (size_t)i + 8] = sat_e2m1_codes[bytes[i] >> 4];
        }
    }
}

void sat_unpack_block(uint32_t type, sat_block *out, const void *row, size_t index) {
    const sat_tensor_type *known = sat_tensor_type_of(type);
    memset(out, 0, sizeof *out);
    if (!known || type == SAT_GGML_NVFP4) {
        if (known)
            unpack_nvfp4(out, row, index);
        return;
    }
    const uint8_t *in = (const uint8_t *)row + index * known->bytes;
    out->scale[0] = out->scale[1] =
        type == SAT_GGML_MXFP4 ? sat_e8m0_half(in[0]) : sat_read_half(in);
    switch (type) {
    case SAT_GGML_Q8_0: /* { half scale; int8 [32] } */
        for (int i = 0; i < 32; i++)
            out->code[i] = in[2 + i] ^ 0x80;
        break;
    case SAT_GGML_Q4_0: /* { half scale; 16 bytes } */
        unpack_nibbles(out->code, in + 2);
        break;
    case SAT_GGML_Q4_1: /* { half scale, least; 16 bytes } */
        out->least = sat_read_half(in + 2);
        unpack_nibbles(out->code, in + 4);
        break;
    case SAT_GGML_Q5_0: /* { half scale; fifth bits [4]; 16 bytes } */
        unpack_nibbles(out->code, in + 6);
        add_fifth_bits(out->code, in + 2);
        break;
    case SAT_GGML_Q5_1: /* { half scale, least; fifth bits [4]; 16 bytes } */
        out->least = sat_read_half(in + 2);
        unpack_nibbles(out->code, in + 8);
        add_fifth_bits(out->code, in + 4);
        break;
    case SAT_GGML_IQ4_NL: /* { half scale; 16 bytes } */
        unpack_nibbles(out->code, in + 2);
        look_up(out->code, sat_iq4_codes, 32);
        break;
    case SAT_GGML_MXFP4: /* { exponent; 16 bytes } */
        unpack_nibbles(out->code, in + 1);
        look_up(out->code, sat_e2m1_codes, 32);
        break;
    default:
        break;
    }
}

/* ------------------------------------------------------------------ to floats */

static void floats_of(uint32_t type, float *out, const uint8_t *in, size_t count) {
    if (type == SAT_GGML_F32)
        memcpy(out, in, count * sizeof *out);
    else if (type == SAT_GGML_F16)
        for (size_t i = 0; i < count; i++)
            out[i] = sat_read_half(in + 2 * i);
    else
        for (size_t i = 0; i < count; i++)
            out[i] = float_of((uint32_t)in[2 * i] << 16 | (uint32_t)in[2 * i + 1] << 24);
}

static void dequantize_block(const sat_quant *quant, uint32_t type, float *out, const void *in,
                             size_t index) {
    sat_block block;
    sat_unpack_block(type, &block, in, index);
    for (int i = 0; i < SAT_BLOCK; i++) {
        out[i] = block.scale[i / 16] * (float)(block.code[i] - quant->offset);
        if (quant->least)
            out[i] += block.least;
    }
}

static void dequantize_super_block(const sat_quant *quant, uint32_t type, float *out,
                                   const void *in, size_t index) {
    sat_super_block block;
    sat_unpack_super_block(type, &block, in, index);
    for (int i = 0; i < SAT_SUPER_BLOCK; i++) {
        int j = i / quant->group;
        out[i] = block.d * (float)block.scale[j] * (float)(block.code[i] - quant->offset);
        if (quant->least)
            out[i] -= block.least * (float)block.minimum[j];
    }
}

void sat_dequantize(uint32_t type, float *out, const void *in, size_t count) {
    const sat_quant *quant = sat_quant_of(type);
    if (!quant) {
        memset(out, 0, count * sizeof *out);
    } else if (!quant->block) {
        floats_of(type, out, in, count);
    } else {
        for (size_t b = 0; b < count / quant->block; b++)
            if (quant->block == SAT_BLOCK)
                dequantize_block(quant, type, out + b * SAT_BLOCK, in, b);
            else
                dequantize_super_block(quant, type, out + b * SAT_SUPER_BLOCK, in, b);
    }
}
