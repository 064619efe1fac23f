/*
 * Weight types of 256 weights with integer scales inside. Codes of most are stored bit-plane by
 * bit-plane: `in` holds, in each byte of a run of 32, the codes of weights 32 apart.
 */
#include <string.h>

#include "generate/quants.h"

/* code[i] = bits `width` wide: each run of 32 bytes holds 8 / width runs of 32 codes, lowest bits
 * first. */
static void unpack_planes(uint8_t *code, const uint8_t *in, int width) {
    int planes = 8 / width, mask = (1 << width) - 1;
    for (int i = 0; i < SAT_SUPER_BLOCK; i++)
        code[i] =
            (uint8_t)(in[i / (32 * planes) * 32 + i % 32] >> (i / 32 % planes * width) & mask);
}

/* Eight scales and eight minima of 6 bits in 12 bytes: four scales, four minima, whose upper two
 * bits belong to the other four; those have their lower four bits in the last four bytes. */
static void unpack_scales(sat_super_block *out, const uint8_t *in) {
    for (int j = 0; j < 4; j++) {
        out->scale[j] = in[j] & 63;
        out->minimum[j] = in[j + 4] & 63;
        out->scale[j + 4] = (int16_t)((in[j + 8] & 15) | (in[j] >> 6) << 4);
        out->minimum[j + 4] = (int16_t)(in[j + 8] >> 4 | (in[j + 4] >> 6) << 4);
    }
}

/* { scale and minimum [16], four bits each; 64 bytes of codes; half d, least } */
static void unpack_q2(sat_super_block *out, const uint8_t *in) {
    for (int j = 0; j < 16; j++) {
        out->scale[j] = in[j] & 15;
        out->minimum[j] = in[j] >> 4;
    }
    unpack_planes(out->code, in + 16, 2);
    out->d = sat_read_half(in + 80);
    out->least = sat_read_half(in + 82);
}

/* { 32 bytes of third bits; 64 bytes of codes; scale [16] of 6 bits, + 32; half d } */
static void unpack_q3(sat_super_block *out, const uint8_t *in) {
    const uint8_t *scales = in + 96;
    unpack_planes(out->code, in + 32, 2);
    for (int i = 0; i < SAT_SUPER_BLOCK; i++)
        out->code[i] |= (uint8_t)((in[i % 32] >> i / 32 & 1) << 2);
    for (int j = 0; j < 16; j++) {
        int low = scales[j % 8] >> j / 8 * 4 & 15, high = scales[8 + j % 4] >> j / 4 * 2 & 3;
        out->scale[j] = (int16_t)((low | high << 4) - 32);
    }
    out->d = sat_read_half(in + 108);
}

/* { half d, least; scales [12]; 128 bytes of codes } */
static void unpack_q4(sat_super_block *out, const uint8_t *in) {
    out->d = sat_read_half(in);
    out->least = sat_read_half(in + 2);
    unpack_scales(out, in + 4);
    unpack_planes(out->code, in + 16, 4);
}

/* { half d, least; scales [12]; 32 bytes of fifth bits; 128 bytes of codes } */
static void unpack_q5(sat_super_block *out, const uint8_t *in) {
    out->d = sat_read_half(in);
    out->least = sat_read_half(in + 2);
    unpack_scales(out, in + 4);
    unpack_planes(out->code, in + 48, 4);
    for (int i = 0; i < SAT_SUPER_BLOCK; i++)
        out->code[i] |= (uint8_t)((in[16 + i % 32] >> i / 32 & 1) << 4);
}

/* { 128 bytes of lower four bits, in runs of 64; 64 bytes of upper two; int8 scale [16]; half d
 * } */
static void unpack_q6(sat_super_block *out, const uint8_t *in) {
    uint8_t high[SAT_SUPER_BLOCK];
    unpack_planes(high, in + 128, 2);
    for (int i = 0; i < SAT_SUPER_BLOCK; i++) {
        int low = in[i / 128 * 64 + i % 64] >> (i / 64 % 2 * 4) & 15;
        out->code[i] = (uint8_t)(low | high[i] << 4);
    }
    for (int j = 0; j < 16; j++)
        out->scale[j] = (int8_t)in[192 + j];
    out->d = sat_read_half(in + 208);
}

/* { half d; upper two bits of 8 scales [2], lower four [4], + 32; 16 bytes for each 32 codes of the
 * book } */
static void unpack_iq4(sat_super_block *out, const uint8_t *in) {
    int high = in[2] | in[3] << 8;
    out->d = sat_read_half(in);
    for (int j = 0; j < 8; j++) {
        int low = in[4 + j / 2] >> j % 2 * 4 & 15;
        out->scale[j] = (int16_t)((low | (high >> 2 * j & 3) << 4) - 32);
        for (int i = 0; i < 16; i++) {
            int byte = in[8 + 16 * j + i];
            out->code[32 * j + i] = sat_iq4_codes[byte & 15];
            out->code[32 * j + i + 16] = sat_iq4_codes[byte >> 4];
        }
    }
}

/* { 64 bytes of codes; half d } */
static void unpack_tq2(sat_super_block *out, const uint8_t *in) {
    unpack_planes(out->code, in, 2);
    for (int j = 0; j < 8; j++)
        out->scale[j] = 1;
    out->d = sat_read_half(in + 64);
}

void sat_unpack_super_block(uint32_t type, sat_super_block *out, const void *row, size_t index) {
    const sat_tensor_type *known = sat_tensor_type_of(type);
    const sat_quant *quant = sat_quant_of(type);
    memset(out, 0, sizeof *out);
    if (!known || !quant)
        return;
    const uint8_t *in = (const uint8_t *)row + index * known->bytes;
    switch (type) {
    case SAT_GGML_Q2_K:
        unpack_q2(out, in);
        break;
    case SAT_GGML_Q3_K:
        unpack_q3(out, in);
        break;
    case SAT_GGML_Q4_K:
        unpack_q4(out, in);
        break;
    case SAT_GGML_Q5_K:
        unpack_q5(out, in);
        break;
    case SAT_GGML_Q6_K:
        unpack_q6(out, in);
        break;
    case SAT_GGML_IQ4_XS:
        unpack_iq4(out, in);
        break;
    case SAT_GGML_TQ2_0:
        unpack_tq2(out, in);
        break;
    default:
        break;
    }
    if (!quant->least) {
        out->least = out->d;
        for (int j = 0; j < 16; j++)
            out->minimum[j] = (int16_t)(out->scale[j] * quant->offset);
    }
}
