/*
 * Reader of GGUF files: parses a mapping once, checks every length, count and offset against the bytes
 * that are there, and answers look-ups by name. Tensor data is not touched.
 *
 * The file is untrusted. All reads go through the cursor; counts are bounded by the bytes that are left
 * before anything is allocated for them, so a short file cannot ask for much memory.
 */
#include "generate/gguf.h"

#include <string.h>

enum {
    MAX_NESTING = 8,       /* arrays of arrays are skipped, not offered */
    MIN_KEY_BYTES = 13,    /* empty name, type, one-byte value */
    MIN_TENSOR_BYTES = 32, /* empty name, rank, one dimension, type, offset */
    MAX_NAME = 65535,
    MAX_ALIGNMENT = 1 << 20,
    DEFAULT_ALIGNMENT = 32
};

/* ------------------------------------------------------------------ cursor */

typedef struct cursor {
    const sat_gguf *gguf;
    uint64_t at;
    satchel_error *error;
} cursor;

static uint64_t left(const cursor *c) {
    return c->gguf->size - c->at;
}

static satchel_status damaged(const cursor *c, uint64_t at, const char *what) {
    return sat_fail(
        c->error, SATCHEL_DAMAGED,
        "%s: %s (byte %llu); the file is damaged or not a complete GGUF file: get it again",
        c->gguf->name, what, (unsigned long long)at);
}

static bool take(cursor *c, void *out, size_t size) {
    if (left(c) < size)
        return false;
    memcpy(out, c->gguf->data + c->at, size);
    c->at += size;
    return true;
}

static bool take_u32(cursor *c, uint32_t *out) {
    uint8_t bytes[4];
    if (!take(c, bytes, sizeof bytes))
        return false;
    *out = sat_read_u32(bytes);
    return true;
}
static bool take_u64(cursor *c, uint64_t *out) {
    uint8_t bytes[8];
    if (!take(c, bytes, sizeof bytes))
        return false;
    *out = sat_read_u64(bytes);
    return true;
}

/* A string's bytes in the mapping. */
static bool take_string(cursor *c, const char **text, uint64_t *length) {
    uint64_t n;
    if (!take_u64(c, &n) || n > left(c))
        return false;
    *text = (const char *)c->gguf->data + c->at;
    *length = n;
    c->at += n;
    return true;
}

/* A name: short, without NUL, copied. */
static satchel_status take_name(cursor *c, sat_gguf *gguf, const char **out, const char *what) {
    uint64_t at = c->at, length;
    const char *text;
    if (!take_string(c, &text, &length))
        return damaged(c, at, what);
    if (length > MAX_NAME || memchr(text, 0, (size_t)length))
        return damaged(c, at, what);
    char *copy = sat_arena_strdup(&gguf->arena, text, (size_t)length);
    if (!copy)
        return sat_memory_fail(&gguf->context->memory, (size_t)length + 1, c->error);
    *out = copy;
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ name index */

static satchel_status index_open(sat_gguf_index *index, sat_gguf *gguf, size_t count,
                                 satchel_error *error) {
    size_t slots = 16, bytes;
    while (slots / 2 < count)
        slots *= 2; /* count is bounded by the file's size: no overflow */
    if (!sat_mul_size(slots, sizeof *index->slots, &bytes))
        return sat_fail_memory(error, SIZE_MAX);
    index->slots = sat_calloc(&gguf->context->memory, slots, sizeof *index->slots);
    if (!index->slots)
        return sat_memory_fail(&gguf->context->memory, bytes, error);
    index->mask = slots - 1;
    return SATCHEL_OK;
}

static bool index_add(sat_gguf *gguf, sat_gguf_index *index, const char *name, size_t i) {
    uint32_t *slot = sat_gguf_slot(gguf, index, name);
    if (*slot)
        return false;
    *slot = (uint32_t)i + 1;
    return true;
}

/* ------------------------------------------------------------------ keys */

static satchel_status skip_fixed(cursor *c, uint32_t type, uint64_t count) {
    uint64_t bytes;
    uint64_t at = c->at;
    if (__builtin_mul_overflow(count, (uint64_t)sat_gguf_value_bytes(type), &bytes) ||
        bytes > left(c))
        return damaged(c, at, "an array runs past the end");
    if (type == SAT_GGUF_BOOL) {
        for (uint64_t i = 0; i < bytes; i++)
            if (c->gguf->data[at + i] > 1)
                return damaged(c, at + i, "a boolean is neither 0 nor 1");
    }
    c->at += bytes;
    return SATCHEL_OK;
}

static satchel_status array_head(cursor *c, uint32_t *element, uint64_t *count) {
    uint64_t at = c->at;
    if (!take_u32(c, element) || !take_u64(c, count))
        return damaged(c, at, "an array's head runs past the end");
    if (*element >= SAT_GGUF_TYPES)
        return damaged(c, at, "an array's element type is unknown");
    /* Every element takes a byte at least (strings and arrays more), so a count beyond the bytes that
     * are left is false whatever it counts. */
    uint64_t least = sat_gguf_value_bytes(*element);
    if (*element == SAT_GGUF_STRING)
        least = 8;
    else if (*element == SAT_GGUF_ARRAY)
        least = 12;
    if (*count > left(c) / least)
        return damaged(c, at, "an array's count is larger than the file");
    return SATCHEL_OK;
}

/* Steps over the elements of an array whose head has been read. Nested arrays are walked with a stack
 * of what is left on each level. */
static satchel_status skip_elements(cursor *c, uint32_t element, uint64_t count) {
    uint64_t rest[MAX_NESTING];
    int depth = 0;
    for (;;) {
        if (element == SAT_GGUF_STRING) {
            for (uint64_t i = 0; i < count; i++) {
                const char *text;
                uint64_t length, at = c->at;
                if (!take_string(c, &text, &length))
                    return damaged(c, at, "a string runs past the end");
            }
        } else if (element != SAT_GGUF_ARRAY) {
            satchel_status status = skip_fixed(c, element, count);
            if (status)
                return status;
        } else if (count > 0) {
            if (depth == MAX_NESTING)
                return damaged(c, c->at, "arrays are nested too deep");
            rest[depth++] = count;
        }
        while (depth > 0 && rest[depth - 1] == 0)
            depth--;
        if (depth == 0)
            return SATCHEL_OK;
        rest[depth - 1]--;
        satchel_status status = array_head(c, &element, &count);
        if (status)
            return status;
    }
}

static satchel_status take_string_array(cursor *c, sat_gguf *gguf, sat_gguf_key *key) {
    sat_memory *memory = &gguf->context->memory;
    if (key->count == 0)
        return SATCHEL_OK;
    key->strings = sat_alloc_array(memory, (size_t)key->count, sizeof *key->strings);
    if (!key->strings)
        return sat_memory_fail(memory, (size_t)key->count * sizeof *key->strings, c->error);
    for (uint64_t i = 0; i < key->count; i++) {
        const char *text;
        uint64_t length, at = c->at;
        key->strings[i] = at;
        if (!take_string(c, &text, &length))
            return damaged(c, at, "a string runs past the end");
    }
    return SATCHEL_OK;
}

static satchel_status take_value(cursor *c, sat_gguf *gguf, sat_gguf_key *key) {
    uint64_t at = c->at;
    if (!take_u32(c, &key->type))
        return damaged(c, at, "a key has no value type");
    key->offset = c->at;
    switch (key->type) {
    case SAT_GGUF_STRING: {
        const char *text;
        if (!take_string(c, &text, &key->count))
            return damaged(c, key->offset, "a string runs past the end");
        key->text = sat_arena_strdup(&gguf->arena, text, (size_t)key->count);
        if (!key->text)
            return sat_memory_fail(&gguf->context->memory, (size_t)key->count + 1, c->error);
        return SATCHEL_OK;
    }
    case SAT_GGUF_ARRAY: {
        satchel_status status = array_head(c, &key->element, &key->count);
        key->offset = c->at;
        if (status)
            return status;
        return key->element == SAT_GGUF_STRING ? take_string_array(c, gguf, key)
                                               : skip_elements(c, key->element, key->count);
    }
    default:
        if (sat_gguf_value_bytes(key->type) == 0)
            return damaged(c, at, "a key's value type is unknown");
        return skip_fixed(c, key->type, 1);
    }
}

static satchel_status take_keys(cursor *c, sat_gguf *gguf, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        sat_gguf_key *key = &gguf->keys[i];
        uint64_t at = c->at;
        satchel_status status = take_name(c, gguf, &key->name, "a key's name is damaged");
        if (status)
            return status;
        gguf->key_count = (size_t)i + 1; /* from here on close() frees what the value holds */
        if (!index_add(gguf, &gguf->key_index, key->name, (size_t)i))
            return damaged(c, at, "a key appears twice");
        status = take_value(c, gguf, key);
        if (status)
            return status;
    }
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ tensors */

/* Size of a tensor from its shape; false if it does not fit 64 bits or the type's blocks. A type that
 * is not known keeps size 0. */
static bool measure(sat_tensor *tensor) {
    const sat_tensor_type *type = sat_tensor_type_of(tensor->type);
    uint64_t elements = 1;
    for (uint32_t d = 0; d < tensor->rank; d++)
        if (tensor->shape[d] == 0 || __builtin_mul_overflow(elements, tensor->shape[d], &elements))
            return false;
    if (elements > INT64_MAX)
        return false;
    if (!type)
        return true;
    return tensor->shape[0] % type->block == 0 &&
           !__builtin_mul_overflow(elements / type->block, (uint64_t)type->bytes, &tensor->bytes);
}

static satchel_status take_tensors(cursor *c, sat_gguf *gguf, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        sat_tensor *tensor = &gguf->tensors[i];
        uint64_t at = c->at;
        satchel_status status = take_name(c, gguf, &tensor->name, "a tensor's name is damaged");
        if (status)
            return status;
        if (!index_add(gguf, &gguf->tensor_index, tensor->name, (size_t)i))
            return damaged(c, at, "a tensor appears twice");
        at = c->at;
        if (!take_u32(c, &tensor->rank) || tensor->rank < 1 || tensor->rank > 4)
            return damaged(c, at, "a tensor's rank is not 1 to 4");
        for (uint32_t d = 0; d < 4; d++) {
            tensor->shape[d] = 1;
            if (d < tensor->rank && !take_u64(c, &tensor->shape[d]))
                return damaged(c, at, "a tensor's shape runs past the end");
        }
        if (!take_u32(c, &tensor->type) || !take_u64(c, &gguf->offsets[i]))
            return damaged(c, at, "a tensor's description runs past the end");
        if (!measure(tensor))
            return damaged(c, at, "a tensor's shape is impossible for its type");
    }
    gguf->tensor_count = (size_t)count;
    return SATCHEL_OK;
}

static satchel_status place_tensors(cursor *c, sat_gguf *gguf) {
    int64_t alignment = DEFAULT_ALIGNMENT;
    if (sat_gguf_integer(gguf, "general.alignment", &alignment) &&
        (alignment < 1 || alignment > MAX_ALIGNMENT || (alignment & (alignment - 1)) != 0)) {
        return sat_fail(c->error, SATCHEL_DAMAGED,
                        "%s: general.alignment is %lld, not a power of two up to %d", gguf->name,
                        (long long)alignment, MAX_ALIGNMENT);
    }
    uint64_t step = (uint64_t)alignment;
    /* size <= SIZE_MAX / 2 by any mapping, so rounding up cannot overflow. */
    uint64_t start = (c->at + step - 1) / step * step;
    uint64_t room = start < gguf->size ? gguf->size - start : 0;
    for (size_t i = 0; i < gguf->tensor_count; i++) {
        sat_tensor *tensor = &gguf->tensors[i];
        uint64_t offset = gguf->offsets[i];
        if (offset % step != 0 || offset > room || tensor->bytes > room - offset) {
            return sat_fail(c->error, SATCHEL_DAMAGED,
                            "%s: tensor %s (%llu bytes at %llu of the data, which begins at byte "
                            "%llu) does not lie inside the file of %llu bytes: get it again",
                            gguf->name, tensor->name, (unsigned long long)tensor->bytes,
                            (unsigned long long)offset, (unsigned long long)start,
                            (unsigned long long)gguf->size);
        }
        tensor->data = tensor->bytes ? gguf->data + start + offset : NULL;
    }
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ open and close */

static satchel_status take_header(cursor *c, uint64_t *tensors, uint64_t *keys) {
    const char *name = c->gguf->name;
    char magic[4];
    uint32_t version;
    if (!take(c, magic, sizeof magic) || memcmp(magic, "GGUF", 4) != 0) {
        return sat_fail(c->error, SATCHEL_DAMAGED,
                        "%s is not a GGUF file: it does not begin with \"GGUF\"", name);
    }
    if (!take_u32(c, &version))
        return damaged(c, 4, "the version is missing");
    if (version != 0 && (version & 0xffff) == 0) {
        return sat_fail(c->error, SATCHEL_UNSUPPORTED,
                        "%s is a big-endian GGUF file; convert it to little-endian", name);
    }
    if (version != 2 && version != 3) {
        return sat_fail(c->error, SATCHEL_UNSUPPORTED,
                        "%s is GGUF version %u; this build reads versions 2 and 3", name,
                        (unsigned)version);
    }
    if (!take_u64(c, tensors) || !take_u64(c, keys))
        return damaged(c, 8, "the counts are missing");
    if (*keys > left(c) / MIN_KEY_BYTES || *tensors > left(c) / MIN_TENSOR_BYTES ||
        *keys > UINT32_MAX / 4 || *tensors > UINT32_MAX / 4)
        return damaged(c, 8, "the counts of keys and tensors are larger than the file");
    return SATCHEL_OK;
}

static satchel_status parse(sat_gguf *gguf, satchel_error *error) {
    sat_memory *memory = &gguf->context->memory;
    cursor c = {gguf, 0, error};
    uint64_t tensors, keys;
    satchel_status status = take_header(&c, &tensors, &keys);
    if (status)
        return status;
    /* Entries are zeroed: close() may meet a half-filled array. One spare, so that none is empty. */
    gguf->keys = sat_calloc(memory, (size_t)keys + 1, sizeof *gguf->keys);
    gguf->tensors = sat_calloc(memory, (size_t)tensors + 1, sizeof *gguf->tensors);
    gguf->offsets = sat_calloc(memory, (size_t)tensors + 1, sizeof *gguf->offsets);
    if (!gguf->keys || !gguf->tensors || !gguf->offsets)
        return sat_memory_fail(memory, (size_t)(keys + tensors) * sizeof *gguf->tensors, error);
    status = index_open(&gguf->key_index, gguf, (size_t)keys, error);
    if (!status)
        status = index_open(&gguf->tensor_index, gguf, (size_t)tensors, error);
    if (!status)
        status = take_keys(&c, gguf, keys);
    if (!status)
        status = take_tensors(&c, gguf, tensors);
    if (!status)
        status = place_tensors(&c, gguf);
    sat_free(memory, gguf->offsets);
    gguf->offsets = NULL;
    return status;
}

satchel_status sat_gguf_open(sat_gguf **out, satchel_context *context, const void *data,
                             size_t size, const char *name, satchel_error *error) {
    *out = NULL;
    if (size > SIZE_MAX / 2)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "%s: impossible size", name);
    sat_gguf *gguf = sat_calloc(&context->memory, 1, sizeof *gguf);
    if (!gguf)
        return sat_memory_fail(&context->memory, sizeof *gguf, error);
    gguf->context = context;
    gguf->data = data;
    gguf->size = size;
    sat_arena_init(&gguf->arena, &context->memory);
    gguf->name = sat_arena_strdup(&gguf->arena, name, strlen(name));
    satchel_status status = gguf->name ? parse(gguf, error)
                                       : sat_memory_fail(&context->memory, strlen(name) + 1, error);
    if (status)
        sat_gguf_close(&gguf);
    *out = gguf;
    return status;
}

void sat_gguf_close(sat_gguf **slot) {
    sat_gguf *gguf = *slot;
    *slot = NULL;
    if (!gguf)
        return;
    sat_memory *memory = &gguf->context->memory;
    for (size_t i = 0; i < gguf->key_count; i++)
        sat_free(memory, gguf->keys[i].strings);
    sat_free(memory, gguf->keys);
    sat_free(memory, gguf->tensors);
    sat_free(memory, gguf->offsets);
    sat_free(memory, gguf->key_index.slots);
    sat_free(memory, gguf->tensor_index.slots);
    sat_arena_free(&gguf->arena);
    sat_free(memory, gguf);
}
