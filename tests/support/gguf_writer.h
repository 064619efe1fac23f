/*
 * Writes GGUF files in memory, for tests: right ones, and with the raw_ calls and the public counts
 * wrong ones too. Uses malloc; a failed allocation ends the test program.
 */
#ifndef SATCHEL_TESTS_SUPPORT_GGUF_WRITER_H
#define SATCHEL_TESTS_SUPPORT_GGUF_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct gguf_bytes {
    uint8_t *data;
    size_t size, capacity;
} gguf_bytes;

typedef struct gguf_writer {
    uint32_t version, alignment; /* set by gguf_writer_open: 3, 32 */
    uint64_t key_count, tensor_count;
    gguf_bytes keys, tensors, data;
} gguf_writer;

void gguf_writer_open(gguf_writer *writer);
/* The whole file, in a block of its exact size that the caller frees; the writer is empty after. */
uint8_t *gguf_writer_close(gguf_writer *writer, size_t *size);

void gguf_bytes_add(gguf_bytes *bytes, const void *data, size_t size);
void gguf_bytes_u32(gguf_bytes *bytes, uint32_t value);
void gguf_bytes_u64(gguf_bytes *bytes, uint64_t value);
void gguf_bytes_text(gguf_bytes *bytes, const char *text); /* length and bytes */

/* Keys. type: a value type by its GGUF number. */
void gguf_raw(gguf_writer *writer, const char *key, uint32_t type, const void *value, size_t size);
void gguf_text(gguf_writer *writer, const char *key, const char *value);
void gguf_u32(gguf_writer *writer, const char *key, uint32_t value);
void gguf_f32(gguf_writer *writer, const char *key, float value);
void gguf_bool(gguf_writer *writer, const char *key, bool value);
void gguf_texts(gguf_writer *writer, const char *key, const char *const *values, size_t count);
void gguf_i32s(gguf_writer *writer, const char *key, const int32_t *values, size_t count);

/* A tensor of raw bytes at the next aligned place of the data. shape: fastest first. */
void gguf_tensor(gguf_writer *writer, const char *name, uint32_t type, uint32_t rank,
                 const uint64_t *shape, const void *data, size_t size);
/* Its description alone, with any offset. */
void gguf_raw_tensor(gguf_writer *writer, const char *name, uint32_t type, uint32_t rank,
                     const uint64_t *shape, uint64_t offset);
/* A tensor of floats (rows, columns) stored as F32 (0), F16 (1) or Q8_0 (8); rows 0: rank 1. */
void gguf_floats(gguf_writer *writer, const char *name, uint32_t type, size_t rows, size_t columns,
                 const float *values);

/* The nearest IEEE half, ties to even. */
uint16_t gguf_half(float value);

#endif
