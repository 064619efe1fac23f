/*
 * Checked allocation. Every block is taken through a sat_memory, which counts it against the
 * context's memory limit. Sizes are products checked for overflow. All calls may return NULL.
 */
#ifndef SATCHEL_BASE_ALLOC_H
#define SATCHEL_BASE_ALLOC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct sat_memory {
    satchel_allocator allocator;
    uint64_t limit; /* bytes; 0: none */
    _Atomic uint64_t now, peak;
} sat_memory;

/* allocator may be NULL: malloc. */
void sat_memory_init(sat_memory *memory, const satchel_allocator *allocator, uint64_t limit);

void *sat_alloc(sat_memory *memory, size_t size) SAT_NODISCARD; /* size 0 gives a block too */
void *sat_calloc(sat_memory *memory, size_t count, size_t size) SAT_NODISCARD;
void *sat_alloc_array(sat_memory *memory, size_t count, size_t size) SAT_NODISCARD;
void *sat_realloc(sat_memory *memory, void *block,
                  size_t size) SAT_NODISCARD;   /* block may be NULL */
void sat_free(sat_memory *memory, void *block); /* NULL is fine */
/* 64-byte aligned, for kernels; freed with sat_free_aligned. */
void *sat_alloc_aligned(sat_memory *memory, size_t size) SAT_NODISCARD;
void sat_free_aligned(sat_memory *memory, void *block);
char *sat_strdup(sat_memory *memory, const char *text) SAT_NODISCARD;
char *sat_strndup(sat_memory *memory, const char *text, size_t length) SAT_NODISCARD;
/* Counts bytes that a library holds for us but does not take from here; false, and nothing counted, if
 * that would pass the limit. */
bool sat_memory_charge(sat_memory *memory, uint64_t size) SAT_NODISCARD;
void sat_memory_refund(sat_memory *memory, uint64_t size);
/* Why the last allocation may have failed: MEMORY_LIMIT if `size` more passes the limit, else
 * OUT_OF_MEMORY. Fills *error. */
satchel_status sat_memory_fail(sat_memory *memory, size_t size, satchel_error *error);

/* a * b and a + b into *out; false on overflow. */
static inline bool sat_mul_size(size_t a, size_t b, size_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool sat_add_size(size_t a, size_t b, size_t *out) {
    return !__builtin_add_overflow(a, b, out);
}

/* A growing byte buffer. `failed` is sticky: append freely, check once. After failure the content is
 * meaningless but still to be freed. data is NUL-terminated past length whenever it is not NULL. */
typedef struct sat_buffer {
    sat_memory *memory;
    char *data;
    size_t length, capacity;
    bool failed;
} sat_buffer;

void sat_buffer_init(sat_buffer *buffer, sat_memory *memory);
bool sat_buffer_reserve(sat_buffer *buffer, size_t more);
bool sat_buffer_append(sat_buffer *buffer, const void *data, size_t length);
bool sat_buffer_append_text(sat_buffer *buffer, const char *text);
bool sat_buffer_append_format(sat_buffer *buffer, const char *format, ...) SAT_PRINTF(2, 3);
/* Length 0, keeps the block, forgets a failure: check `failed` before. */
void sat_buffer_clear(sat_buffer *buffer);
void sat_buffer_free(sat_buffer *buffer);

/* Growing typed array: declare `T *items; size_t count, capacity;`, then before storing items[count]:
 * if (!sat_grow(memory, (void **)&items, &capacity, count + 1, sizeof *items)) → out of memory. */
bool sat_grow(sat_memory *memory, void **items, size_t *capacity, size_t need,
              size_t size) SAT_NODISCARD;

/* An arena: many small blocks, freed at once. For strings and results with one lifetime. */
typedef struct sat_arena_block sat_arena_block;
typedef struct sat_arena {
    sat_memory *memory;
    sat_arena_block *head;
    size_t used; /* bytes used in head */
} sat_arena;

void sat_arena_init(sat_arena *arena, sat_memory *memory);
void *sat_arena_alloc(sat_arena *arena, size_t size) SAT_NODISCARD; /* 16-byte aligned */
char *sat_arena_strdup(sat_arena *arena, const char *text, size_t length) SAT_NODISCARD;
void sat_arena_free(sat_arena *arena);

#endif
