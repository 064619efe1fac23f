/*
 * Checked allocation. Each block carries its size in a header in front of it, because the public
 * allocator's reallocate and release are told sizes and the memory limit has to give bytes back.
 */
#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In front of every block; as wide as malloc's alignment, so that what follows keeps it. */
typedef union header {
    size_t size; /* of the whole, header included */
    max_align_t align;
} header;

#define ALIGNMENT ((size_t)64)
/* No object is larger (pointer differences must fit), so sums of two sizes below it never wrap. */
#define SIZE_LIMIT ((size_t)PTRDIFF_MAX / 2)

static void *system_allocate(void *user, size_t size) {
    return malloc(size);
}
static void *system_reallocate(void *user, void *block, size_t old_size, size_t new_size) {
    return realloc(block, new_size);
}
static void system_release(void *user, void *block, size_t size) {
    free(block);
}

void sat_memory_init(sat_memory *memory, const satchel_allocator *allocator, uint64_t limit) {
    static const satchel_allocator system = {NULL, system_allocate, system_reallocate,
                                             system_release};
    memory->allocator = allocator ? *allocator : system;
    memory->limit = limit;
    atomic_init(&memory->now, 0);
    atomic_init(&memory->peak, 0);
}

/* Counts `size` more bytes, or refuses. A compare-and-swap, not an add that is taken back: a large
 * refused request must not make a small one on another thread fail. */
bool sat_memory_charge(sat_memory *memory, uint64_t size) {
    uint64_t now = atomic_load_explicit(&memory->now, memory_order_relaxed), next;
    do {
        if (__builtin_add_overflow(now, size, &next) || (memory->limit && next > memory->limit))
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&memory->now, &now, next, memory_order_relaxed,
                                                    memory_order_relaxed));
    uint64_t peak = atomic_load_explicit(&memory->peak, memory_order_relaxed);
    while (peak < next &&
           !atomic_compare_exchange_weak_explicit(&memory->peak, &peak, next, memory_order_relaxed,
                                                  memory_order_relaxed)) {
    }
    return true;
}

void sat_memory_refund(sat_memory *memory, uint64_t size) {
    atomic_fetch_sub_explicit(&memory->now, size, memory_order_relaxed);
}

void *sat_alloc(sat_memory *memory, size_t size) {
    if (size > SIZE_LIMIT)
        return NULL;
    size_t whole = size + sizeof(header);
    if (!sat_memory_charge(memory, whole))
        return NULL;
    header *block = memory->allocator.allocate(memory->allocator.user, whole);
    if (!block) {
        sat_memory_refund(memory, whole);
        return NULL;
    }
    block->size = whole;
    return block + 1;
}

void *sat_alloc_array(sat_memory *memory, size_t count, size_t size) {
    size_t bytes;
    return sat_mul_size(count, size, &bytes) ? sat_alloc(memory, bytes) : NULL;
}

void *sat_calloc(sat_memory *memory, size_t count, size_t size) {
    void *block = sat_alloc_array(memory, count, size);
    return block ? memset(block, 0, count * size) : NULL;
}

void *sat_realloc(sat_memory *memory, void *block, size_t size) {
    if (!block)
        return sat_alloc(memory, size);
    if (size > SIZE_LIMIT)
        return NULL;
    header *old = (header *)block - 1;
    size_t before = old->size, after = size + sizeof(header);
    if (after > before && !sat_memory_charge(memory, after - before))
        return NULL;
    header *moved = memory->allocator.reallocate(memory->allocator.user, old, before, after);
    if (!moved) {
        if (after > before)
            sat_memory_refund(memory, after - before);
        return NULL;
    }
    if (after < before)
        sat_memory_refund(memory, before - after);
    moved->size = after;
    return moved + 1;
}

void sat_free(sat_memory *memory, void *block) {
    if (!block)
        return;
    header *whole = (header *)block - 1;
    size_t size = whole->size;
    memory->allocator.release(memory->allocator.user, whole, size);
    sat_memory_refund(memory, size);
}

/* The pointer that sat_free wants stands right before the aligned block. */
void *sat_alloc_aligned(sat_memory *memory, size_t size) {
    size_t bytes;
    if (!sat_add_size(size, ALIGNMENT + sizeof(void *), &bytes))
        return NULL;
    char *block = sat_alloc(memory, bytes);
    if (!block)
        return NULL;
    size_t skip = sizeof(void *) + ALIGNMENT - 1;
    skip -= ((uintptr_t)block + skip) % ALIGNMENT;
    memcpy(block + skip - sizeof(void *), &block, sizeof(void *));
    return block + skip;
}

void sat_free_aligned(sat_memory *memory, void *block) {
    if (!block)
        return;
    void *origin;
    memcpy(&origin, (char *)block - sizeof(void *), sizeof(void *));
    sat_free(memory, origin);
}

char *sat_strndup(sat_memory *memory, const char *text, size_t length) {
    size_t size;
    if (!sat_add_size(length, 1, &size))
        return NULL;
    char *copy = sat_alloc(memory, size);
    if (!copy)
        return NULL;
    if (length)
        memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

char *sat_strdup(sat_memory *memory, const char *text) {
    return sat_strndup(memory, text, strlen(text));
}

satchel_status sat_memory_fail(sat_memory *memory, size_t size, satchel_error *error) {
    uint64_t now = atomic_load_explicit(&memory->now, memory_order_relaxed);
    if (memory->limit && (now >= memory->limit || size > memory->limit - now ||
                          memory->limit - now - size < sizeof(header)))
        return sat_fail(error, SATCHEL_MEMORY_LIMIT,
                        "the context's memory limit of %llu bytes would be passed: %llu are held "
                        "and %zu more are needed; raise memory_limit or work on less",
                        (unsigned long long)memory->limit, (unsigned long long)now, size);
    return sat_fail_memory(error, size);
}

/* ------------------------------------------------------------------ buffer */

void sat_buffer_init(sat_buffer *buffer, sat_memory *memory) {
    *buffer = (sat_buffer){.memory = memory};
}

bool sat_buffer_reserve(sat_buffer *buffer, size_t more) {
    if (buffer->failed)
        return false;
    size_t need; /* with the NUL */
    if (!sat_add_size(buffer->length, more, &need) || !sat_add_size(need, 1, &need)) {
        buffer->failed = true;
        return false;
    }
    if (buffer->data && need <= buffer->capacity)
        return true;
    size_t grown = buffer->capacity < 64 ? 64 : buffer->capacity + buffer->capacity / 2;
    char *data = NULL;
    if (grown > need)
        data = sat_realloc(buffer->memory, buffer->data, grown);
    if (!data) { /* what is asked for may fit where half as much again does not */
        grown = need;
        data = sat_realloc(buffer->memory, buffer->data, grown);
    }
    if (!data) {
        buffer->failed = true;
        return false;
    }
    buffer->data = data;
    buffer->capacity = grown;
    data[buffer->length] = '\0';
    return true;
}

bool sat_buffer_append(sat_buffer *buffer, const void *data, size_t length) {
    if (!sat_buffer_reserve(buffer, length))
        return false;
    if (length)
        memcpy(buffer->data + buffer->length, data, length);
    buffer->length += length;
    buffer->data[buffer->length] = '\0';
    return true;
}

bool sat_buffer_append_text(sat_buffer *buffer, const char *text) {
    return sat_buffer_append(buffer, text, strlen(text));
}

bool sat_buffer_append_format(sat_buffer *buffer, const char *format, ...) {
    if (!sat_buffer_reserve(buffer, 0))
        return false;
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    size_t room = buffer->capacity - buffer->length;
    int need = vsnprintf(buffer->data + buffer->length, room, format, arguments);
    if (need >= 0 && (size_t)need >= room) {
        if (sat_buffer_reserve(buffer, (size_t)need))
            vsnprintf(buffer->data + buffer->length, (size_t)need + 1, format, again);
    }
    va_end(again);
    va_end(arguments);
    if (need < 0)
        buffer->failed = true;
    if (buffer->failed) {
        buffer->data[buffer->length] = '\0';
        return false;
    }
    buffer->length += (size_t)need;
    return true;
}

void sat_buffer_clear(sat_buffer *buffer) {
    buffer->length = 0;
    buffer->failed = false;
    if (buffer->data)
        buffer->data[0] = '\0';
}

void sat_buffer_free(sat_buffer *buffer) {
    sat_free(buffer->memory, buffer->data);
    sat_buffer_init(buffer, buffer->memory);
}

bool sat_grow(sat_memory *memory, void **items, size_t *capacity, size_t need, size_t size) {
    if (need <= *capacity)
        return true;
    size_t grown = *capacity + *capacity / 2, bytes;
    if (grown < 8)
        grown = 8;
    if (grown < need)
        grown = need;
    if (!sat_mul_size(grown, size, &bytes))
        return false;
    /* items points to a T *, whatever T is: read and written as bytes. */
    void *block;
    memcpy(&block, items, sizeof block);
    block = sat_realloc(memory, block, bytes);
    if (!block)
        return false;
    memcpy(items, &block, sizeof block);
    *capacity = grown;
    return true;
}

/* ------------------------------------------------------------------ arena */

struct sat_arena_block {
    sat_arena_block *next;
    size_t size; /* of what follows */
};

enum { ARENA_FIRST = 4096, ARENA_LARGEST = 256 * 1024, ARENA_ALIGN = 16 };
/* Where a block's space begins, so that it stays aligned. */
#define ARENA_HEADER ((sizeof(sat_arena_block) + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN)

void sat_arena_init(sat_arena *arena, sat_memory *memory) {
    *arena = (sat_arena){.memory = memory};
}

void *sat_arena_alloc(sat_arena *arena, size_t size) {
    if (size > SIZE_LIMIT - ARENA_ALIGN)
        return NULL;
    size = (size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    sat_arena_block *head = arena->head;
    if (head && size <= head->size - arena->used) {
        void *block = (char *)head + ARENA_HEADER + arena->used;
        arena->used += size;
        return block;
    }
    size_t room = head ? head->size * 2 : ARENA_FIRST;
    if (room > ARENA_LARGEST)
        room = ARENA_LARGEST;
    bool apart = size > room / 2; /* large: a block of its own */
    if (apart)
        room = size;
    sat_arena_block *block = sat_alloc(arena->memory, ARENA_HEADER + room);
    if (!block)
        return NULL;
    block->size = room;
    if (apart && head) { /* behind head, whose free space stays in use */
        block->next = head->next;
        head->next = block;
    } else {
        block->next = head;
        arena->head = block;
        arena->used = size;
    }
    return (char *)block + ARENA_HEADER;
}

char *sat_arena_strdup(sat_arena *arena, const char *text, size_t length) {
    if (length > SIZE_LIMIT - 2 * ARENA_ALIGN)
        return NULL;
    char *copy = sat_arena_alloc(arena, length + 1);
    if (!copy)
        return NULL;
    if (length)
        memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

void sat_arena_free(sat_arena *arena) {
    for (sat_arena_block *block = arena->head, *next; block; block = next) {
        next = block->next;
        sat_free(arena->memory, block);
    }
    sat_arena_init(arena, arena->memory);
}
