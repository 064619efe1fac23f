/*
 * GGUF inside generate: how a file's keys and tensors are held once parsed (gguf.c), looked up
 * (gguf_values.c), and the table of tensor types (gguf_types.c). Other folders use only generate.h.
 *
 * The format (version 2 and 3, little-endian), in order:
 *
 *   bytes  what
 *   4      "GGUF"
 *   4      version
 *   8      number of tensors
 *   8      number of keys
 *   ...    keys: name (8-byte length, bytes), value type (4), value
 *   ...    tensors: name, rank (4), shape (8 each, fastest first), type (4), offset (8) into the data
 *   ...    zeros up to the alignment ("general.alignment", default 32)
 *   ...    tensor data, each tensor at a multiple of the alignment
 */
#ifndef SATCHEL_GENERATE_GGUF_H
#define SATCHEL_GENERATE_GGUF_H

#include "generate/generate.h"

/* Value types by their GGUF numbers. */
enum {
    SAT_GGUF_U8 = 0,
    SAT_GGUF_I8 = 1,
    SAT_GGUF_U16 = 2,
    SAT_GGUF_I16 = 3,
    SAT_GGUF_U32 = 4,
    SAT_GGUF_I32 = 5,
    SAT_GGUF_F32 = 6,
    SAT_GGUF_BOOL = 7,
    SAT_GGUF_STRING = 8,
    SAT_GGUF_ARRAY = 9,
    SAT_GGUF_U64 = 10,
    SAT_GGUF_I64 = 11,
    SAT_GGUF_F64 = 12,
    SAT_GGUF_TYPES = 13
};

/* What is known of a tensor type: `bytes` bytes hold `block` weights. */
typedef struct sat_tensor_type {
    const char *name; /* NULL: number not in use */
    uint32_t block, bytes;
} sat_tensor_type;

/* NULL if the number is unknown. */
const sat_tensor_type *sat_tensor_type_of(uint32_t type);

typedef struct sat_gguf_key {
    const char *name; /* NUL-terminated, in the arena */
    uint32_t type;
    uint32_t element;  /* of an array */
    uint64_t count;    /* of an array; length of a string */
    uint64_t offset;   /* of the value, or of an array's first element */
    const char *text;  /* of a string, NUL-terminated, in the arena */
    uint64_t *strings; /* of an array of strings: offset of each one's length */
} sat_gguf_key;

/* Names to indices: open addressing, slots hold index + 1. */
typedef struct sat_gguf_index {
    uint32_t *slots;
    size_t mask;
} sat_gguf_index;

struct sat_gguf {
    satchel_context *context;
    const uint8_t *data;
    size_t size;
    const char *name;
    sat_arena arena;
    sat_gguf_key *keys;
    size_t key_count;
    sat_tensor *tensors;
    size_t tensor_count;
    uint64_t *offsets; /* of tensors, before the data's start is known */
    sat_gguf_index key_index, tensor_index;
};

/* Bytes of a value of fixed size; 0 for strings, arrays and unknown types. */
uint32_t sat_gguf_value_bytes(uint32_t type);

/* Feeds the names, shapes, types of all tensors, and of each one's data three samples, so that a large file
 * is not read whole when it is opened. */
void sat_gguf_sample(const sat_gguf *gguf, sat_sha256 *hash);

/* The slot that holds `name`, or the empty one where it belongs. */
uint32_t *sat_gguf_slot(const sat_gguf *gguf, const sat_gguf_index *index, const char *name);

/* GGUF is little-endian, as every machine this library runs on; bytes are put together by hand all the
 * same, because the mapping has no alignment. */
static inline uint32_t sat_read_u32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t sat_read_u64(const uint8_t *p) {
    return (uint64_t)sat_read_u32(p) | (uint64_t)sat_read_u32(p + 4) << 32;
}

#endif
