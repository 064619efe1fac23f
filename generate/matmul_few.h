/*
 * Products of one to four rows with weights of the types that most files have (Q4_0, Q8_0, Q4_K, Q6_K):
 * what is unpacked is multiplied at once, in registers, where matmul_tiles.h writes it down for many
 * rows. The same integers and the same chain of floats, so the same bits. Included after
 * matmul_unpack.h by every level's file, which defines before
 *   SIGNED_CODES          as in matmul_tiles.h
 *   dot_4(sum, codes, x, bits)
 *                         sum + codes · the 4 signed values in the word x, of each output
 *   add_pairs(sum, minimum, pair)
 *                         adds the products of pairs of int16
 */
#ifndef SATCHEL_GENERATE_MATMUL_FEW_H
#define SATCHEL_GENERATE_MATMUL_FEW_H

enum { FEW_TILE = 4 };

/* Rows of an operand at one block. */
typedef struct few_rows {
    const int8_t *values[FEW_TILE];
    const int16_t *sums[FEW_TILE];
    const float *scales[FEW_TILE];
} few_rows;

INLINE floats floats_of_halves(words x) {
    half_words half = __builtin_convertvector(x, half_words);
    return load_halves(&half);
}

/* out += sum · (unit · row's scale) */
INLINE floats add_scaled(floats out, signed_words sum, floats unit, float scale) {
    return fused(__builtin_convertvector(sum, floats), unit * ((floats){0} + scale), out);
}

INLINE void few_q4_0(floats *out, const uint8_t *const *rows, const few_rows *x, const int M) {
    words v[4];
    signed_words dot[FEW_TILE];
    transpose(v, rows, 2);
    EACH (m, M)
        dot[m] = (signed_words){0} - 8 * (x->sums[m][0] + x->sums[m][1]);
    EACH (half, 2)
        EACH (i, 4)
            EACH (m, M)
                dot[m] = dot_4(dot[m], nibbles(v[i], half),
                               word_at(x->values[m] + 16 * half + 4 * i), 4);
    floats unit = halves_at(rows, 0);
    EACH (m, M)
        out[m] = add_scaled(out[m], dot[m], unit, x->scales[m][0]);
}

INLINE void few_q8_0(floats *out, const uint8_t *const *rows, const few_rows *x, const int M) {
    signed_words dot[FEW_TILE];
    EACH (m, M)
        dot[m] = (signed_words){0} - (SIGNED_CODES ? 0 : 128 * (x->sums[m][0] + x->sums[m][1]));
    EACH (half, 2) {
        words v[4];
        transpose(v, rows, 2 + 16 * (size_t)half);
        EACH (i, 4)
            EACH (m, M)
                dot[m] = dot_4(dot[m], SIGNED_CODES ? v[i] : v[i] ^ spread(0x80808080),
                               word_at(x->values[m] + 16 * half + 4 * i), 8);
    }
    floats unit = halves_at(rows, 0);
    EACH (m, M)
        out[m] = add_scaled(out[m], dot[m], unit, x->scales[m][0]);
}

INLINE void few_q4_k(floats *out, const uint8_t *const *rows, const few_rows *x, const int M) {
    words v[4], scale[8], minimum[8];
    signed_words whole[FEW_TILE], minima[FEW_TILE];
    transpose(v, rows, 0);
    floats d = floats_of_halves(v[0] & spread(0xffff)), least = floats_of_halves(v[0] >> 16);
    scales_q4_q5(scale, minimum, v);
    EACH (m, M)
        whole[m] = minima[m] = (signed_words){0};
    EACH (p, 4)
        EACH (m, M)
            minima[m] = add_pairs(minima[m], minimum[2 * p] | minimum[2 * p + 1] << 16,
                                  word_at(x->sums[m] + 16 + 2 * p));
    EACH (j, 4) { /* 32 bytes hold two groups of 32 */
        signed_words low[FEW_TILE], high[FEW_TILE];
        EACH (m, M)
            low[m] = high[m] = (signed_words){0};
        EACH (half, 2) {
            transpose(v, rows, 16 + 32 * (size_t)j + 16 * (size_t)half);
            EACH (i, 4)
                EACH (m, M) {
                    const int8_t *at = x->values[m] + 64 * j + 16 * half + 4 * i;
                    low[m] = dot_4(low[m], nibbles(v[i], 0), word_at(at), 4);
                    high[m] = dot_4(high[m], nibbles(v[i], 1), word_at(at + 32), 4);
                }
        }
        EACH (m, M)
            whole[m] +=
                low[m] * (signed_words)scale[2 * j] + high[m] * (signed_words)scale[2 * j + 1];
    }
    EACH (m, M) {
        out[m] = add_scaled(out[m], whole[m], d, x->scales[m][0]);
        out[m] = add_scaled(out[m], minima[m], -least, x->scales[m][0]);
    }
}

INLINE void few_q6_k(floats *out, const uint8_t *const *rows, const few_rows *x, const int M) {
    words v[4], scales[4];
    signed_words whole[FEW_TILE];
    transpose(scales, rows, 192);
    EACH (m, M)
        whole[m] = (signed_words){0};
    EACH (run, 2) { /* 64 bytes of lower bits and 32 of upper ones hold 128 codes */
        words upper[2][4];
        EACH (half, 2)
            transpose(upper[half], rows, 128 + 32 * (size_t)run + 16 * (size_t)half);
        EACH (piece, 4) {
            transpose(v, rows, 64 * (size_t)run + PIECE * (size_t)piece);
            EACH (nibble, 2) { /* a group of 16 */
                const int group = 8 * run + piece + 4 * nibble;
                signed_words scale = byte_signed(scales[group / 4], group % 4), dot[FEW_TILE];
                EACH (m, M)
                    dot[m] = (signed_words){0} - 32 * x->sums[m][group];
                EACH (i, 4) {
                    words top = upper[piece % 2][i] >> (2 * (piece / 2 + 2 * nibble));
                    words code = nibbles(v[i], nibble) | (top & spread(0x03030303)) << 4;
                    EACH (m, M)
                        dot[m] = dot_4(dot[m], code, word_at(x->values[m] + 16 * group + 4 * i), 6);
                }
                EACH (m, M)
                    whole[m] += dot[m] * scale;
            }
        }
    }
    floats d = floats_of_halves(gather(rows, 206) >> 16);
    EACH (m, M)
        out[m] = add_scaled(out[m], whole[m], d, x->scales[m][0]);
}

/* M rows by a strip. */
INLINE void few_tile(float *acc, size_t acc_stride, const sat_operand_part *part, size_t row,
                     uint32_t type, size_t block_bytes, const uint8_t *const rows[SAT_STRIP],
                     size_t blocks, const uint8_t *ahead, const int M) {
    const size_t block = type == SAT_GGML_Q4_K || type == SAT_GGML_Q6_K ? 256 : 32;
    const size_t sums = block == 256 ? SAT_SUMS_256 : SAT_SUMS_32;
    for (int c = 0; c < SAT_STRIP; c += ROWS_AT_ONCE) {
        const uint8_t *some[ROWS_AT_ONCE];
        few_rows x;
        floats out[FEW_TILE];
        EACH (i, ROWS_AT_ONCE)
            some[i] = rows[c + i];
        EACH (m, M) {
            x.values[m] = part->values + (row + m) * part->values_stride;
            x.sums[m] = part->sums + (row + m) * part->sums_stride;
            x.scales[m] = part->scales + (row + m) * part->scales_stride;
            out[m] = (floats){0};
        }
        for (size_t b = 0; b < blocks; b++) {
            if (type == SAT_GGML_Q4_0)
                few_q4_0(out, some, &x, M);
            else if (type == SAT_GGML_Q8_0)
                few_q8_0(out, some, &x, M);
            else if (type == SAT_GGML_Q4_K)
                few_q4_k(out, some, &x, M);
            else
                few_q6_k(out, some, &x, M);
            EACH (i, ROWS_AT_ONCE)
                some[i] += block_bytes;
            EACH (m, M) {
                x.values[m] += block;
                x.sums[m] += sums;
                x.scales[m]++;
            }
            ahead = prefetch(ahead, ROWS_AT_ONCE * block_bytes);
        }
        EACH (m, M)
            memcpy(acc + (row + m) * acc_stride + c, &out[m], sizeof out[m]);
    }
}

static bool multiply_few(float *acc, size_t acc_stride, const sat_operand_part *part, uint32_t type,
                         const uint8_t *const rows[SAT_STRIP], size_t blocks, size_t count,
                         const uint8_t *ahead) {
    size_t row = 0;
    switch (type) {
#define TYPE(name, bytes)                                                                          \
    case name:                                                                                     \
        for (; count - row >= 4; row += 4)                                                         \
            few_tile(acc, acc_stride, part, row, name, bytes, rows, blocks, ahead, 4);             \
        if (count - row >= 2) {                                                                    \
            few_tile(acc, acc_stride, part, row, name, bytes, rows, blocks, ahead, 2);             \
            row += 2;                                                                              \
        }                                                                                          \
        if (count > row)                                                                           \
            few_tile(acc, acc_stride, part, row, name, bytes, rows, blocks, ahead, 1);             \
        return true;
        TYPE(SAT_GGML_Q4_0, 18)
        TYPE(SAT_GGML_Q8_0, 34)
        TYPE(SAT_GGML_Q4_K, 144)
        TYPE(SAT_GGML_Q6_K, 210)
#undef TYPE
    default:
        return false;
    }
}

#endif
