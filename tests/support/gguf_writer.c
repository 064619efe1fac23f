/* Writing GGUF files for tests. */
#include "tests/support/gguf_writer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void gguf_bytes_add(gguf_bytes *bytes, const void *data, size_t size) {
    if (bytes->capacity - bytes->size < size) {
        bytes->capacity = (bytes->size + size) * 2 + 64;
        bytes->data = realloc(bytes->data, bytes->capacity);
        if (!bytes->data) {
            fprintf(stderr, "gguf_writer: out of memory\n");
            exit(1);
        }
    }
    if (size > 0)
        memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

void gguf_bytes_u32(gguf_bytes *bytes, uint32_t value) {
    uint8_t little[4];
    for (int i = 0; i < 4; i++)
        little[i] = (uint8_t)(value >> 8 * i);
    gguf_bytes_add(bytes, little, sizeof little);
}

void gguf_bytes_u64(gguf_bytes *bytes, uint64_t value) {
    gguf_bytes_u32(bytes, (uint32_t)value);
    gguf_bytes_u32(bytes, (uint32_t)(value >> 32));
}

void gguf_bytes_text(gguf_bytes *bytes, const char *text) {
    gguf_bytes_u64(bytes, strlen(text));
    gguf_bytes_add(bytes, text, strlen(text));
}

static void pad(gguf_bytes *bytes, size_t alignment) {
    static const uint8_t zero = 0;
    while (bytes->size % alignment)
        gguf_bytes_add(bytes, &zero, 1);
}

void gguf_writer_open(gguf_writer *writer) {
    memset(writer, 0, sizeof *writer);
    writer->version = 3;
    writer->alignment = 32;
}

uint8_t *gguf_writer_close(gguf_writer *writer, size_t *size) {
    gguf_bytes file = {0};
    gguf_bytes_add(&file, "GGUF", 4);
    gguf_bytes_u32(&file, writer->version);
    gguf_bytes_u64(&file, writer->tensor_count);
    gguf_bytes_u64(&file, writer->key_count);
    gguf_bytes_add(&file, writer->keys.data, writer->keys.size);
    gguf_bytes_add(&file, writer->tensors.data, writer->tensors.size);
    if (writer->data.size > 0) {
        pad(&file, writer->alignment);
        gguf_bytes_add(&file, writer->data.data, writer->data.size);
    }
    free(writer->keys.data);
    free(writer->tensors.data);
    free(writer->data.data);
    memset(writer, 0, sizeof *writer);
    /* Exact, so that a sanitizer sees the first byte read behind it. */
    uint8_t *exact = malloc(file.size);
    if (!exact) {
        fprintf(stderr, "gguf_writer: out of memory\n");
        exit(1);
    }
    memcpy(exact, file.data, file.size);
    *size = file.size;
    free(file.data);
    return exact;
}

/* ------------------------------------------------------------------ keys */

static void head(gguf_writer *writer, const char *key, uint32_t type) {
    gguf_bytes_text(&writer->keys, key);
    gguf_bytes_u32(&writer->keys, type);
    writer->key_count++;
}

void gguf_raw(gguf_writer *writer, const char *key, uint32_t type, const void *value, size_t size) {
    head(writer, key, type);
    gguf_bytes_add(&writer->keys, value, size);
}

void gguf_text(gguf_writer *writer, const char *key, const char *value) {
    head(writer, key, 8);
    gguf_bytes_text(&writer->keys, value);
}

void gguf_u32(gguf_writer *writer, const char *key, uint32_t value) {
    head(writer, key, 4);
    gguf_bytes_u32(&writer->keys, value);
}

void gguf_f32(gguf_writer *writer, const char *key, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    head(writer, key, 6);
    gguf_bytes_u32(&writer->keys, bits);
}

void gguf_bool(gguf_writer *writer, const char *key, bool value) {
    uint8_t byte = value;
    gguf_raw(writer, key, 7, &byte, 1);
}

static void array_head(gguf_writer *writer, const char *key, uint32_t element, size_t count) {
    head(writer, key, 9);
    gguf_bytes_u32(&writer->keys, element);
    gguf_bytes_u64(&writer->keys, count);
}

void gguf_texts(gguf_writer *writer, const char *key, const char *const *values, size_t count) {
    array_head(writer, key, 8, count);
    for (size_t i = 0; i < count; i++)
        gguf_bytes_text(&writer->keys, values[i]);
}

void gguf_i32s(gguf_writer *writer, const char *key, const int32_t *values, size_t count) {
    array_head(writer, key, 5, count);
    for (size_t i = 0; i < count; i++)
        gguf_bytes_u32(&writer->keys, (uint32_t)values[i]);
}

/* ------------------------------------------------------------------ tensors */

void gguf_raw_tensor(gguf_writer *writer, const char *name, uint32_t type, uint32_t rank,
                     const uint64_t *shape, uint64_t offset) {
    gguf_bytes_text(&writer->tensors, name);
    gguf_bytes_u32(&writer->tensors, rank);
    for (uint32_t d = 0; d < rank; d++)
        gguf_bytes_u64(&writer->tensors, shape[d]);
    gguf_bytes_u32(&writer->tensors, type);
    gguf_bytes_u64(&writer->tensors, offset);
    writer->tensor_count++;
}

void gguf_tensor(gguf_writer *writer, const char *name, uint32_t type, uint32_t rank,
                 const uint64_t *shape, const void *data, size_t size) {
    pad(&writer->data, writer->alignment);
    gguf_raw_tensor(writer, name, type, rank, shape, writer->data.size);
    gguf_bytes_add(&writer->data, data, size);
}

uint16_t gguf_half(float value) {
    uint16_t sign = signbit(value) ? 0x8000 : 0;
    double magnitude = fabs((double)value);
    int exponent;
    if (isnan(value))
        return 0x7e00;
    if (magnitude >= 65520)
        return (uint16_t)(sign | 0x7c00);
    if (magnitude == 0)
        return sign;
    frexp(magnitude, &exponent); /* magnitude = f · 2^exponent, 1/2 <= f < 1 */
    if (exponent < -13)
        exponent = -13;                                        /* subnormal: steps of 2^-24 */
    double steps = nearbyint(ldexp(magnitude, 11 - exponent)); /* 11 bits; ties to even */
    double bits = ldexp((double)(exponent + 13), 10) + steps;  /* a carry moves into the exponent */
    return (uint16_t)(sign | (uint16_t)bits);
}

static void quantize_q8(gguf_bytes *out, const float *values, size_t count) {
    for (size_t b = 0; b < count; b += 32) {
        float most = 0;
        int8_t bytes[32];
        for (size_t i = 0; i < 32; i++)
            most = fmaxf(most, fabsf(values[b + i]));
        float scale = most / 127;
        for (size_t i = 0; i < 32; i++)
            bytes[i] = scale > 0 ? (int8_t)lrintf(values[b + i] / scale) : 0;
        uint16_t half = gguf_half(scale);
        gguf_bytes_add(out, &half, sizeof half);
        gguf_bytes_add(out, bytes, sizeof bytes);
    }
}

void gguf_floats(gguf_writer *writer, const char *name, uint32_t type, size_t rows, size_t columns,
                 const float *values) {
    uint64_t shape[2] = {columns, rows};
    size_t count = columns * (rows ? rows : 1);
    gguf_bytes raw = {0};
    if (type == 8) {
        quantize_q8(&raw, values, count);
    } else {
        for (size_t i = 0; i < count; i++) {
            uint16_t half = gguf_half(values[i]);
            gguf_bytes_add(&raw, type == 1 ? (const void *)&half : (const void *)&values[i],
                           type == 1 ? sizeof half : sizeof *values);
        }
    }
    gguf_tensor(writer, name, type, rows ? 2 : 1, shape, raw.data, raw.size);
    free(raw.data);
}
