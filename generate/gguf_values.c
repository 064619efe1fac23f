/* Look-ups in a parsed GGUF file: tensors and values by name. */
#include "generate/gguf.h"

#include <string.h>

static const char *name_at(const sat_gguf *gguf, const sat_gguf_index *index, size_t i) {
    return index == &gguf->key_index ? gguf->keys[i].name : gguf->tensors[i].name;
}

uint32_t *sat_gguf_slot(const sat_gguf *gguf, const sat_gguf_index *index, const char *name) {
    size_t at = (size_t)sat_hash64(name, strlen(name), 0) & index->mask;
    while (index->slots[at] && strcmp(name_at(gguf, index, index->slots[at] - 1), name) != 0)
        at = (at + 1) & index->mask;
    return &index->slots[at];
}

uint32_t sat_gguf_value_bytes(uint32_t type) {
    static const uint8_t bytes[SAT_GGUF_TYPES] = {
        [SAT_GGUF_U8] = 1,  [SAT_GGUF_I8] = 1,  [SAT_GGUF_U16] = 2, [SAT_GGUF_I16] = 2,
        [SAT_GGUF_U32] = 4, [SAT_GGUF_I32] = 4, [SAT_GGUF_F32] = 4, [SAT_GGUF_BOOL] = 1,
        [SAT_GGUF_U64] = 8, [SAT_GGUF_I64] = 8, [SAT_GGUF_F64] = 8,
    };
    return type < SAT_GGUF_TYPES ? bytes[type] : 0;
}

const sat_tensor *sat_gguf_tensor(const sat_gguf *gguf, const char *name) {
    uint32_t slot = *sat_gguf_slot(gguf, &gguf->tensor_index, name);
    return slot ? &gguf->tensors[slot - 1] : NULL;
}

size_t sat_gguf_tensor_count(const sat_gguf *gguf) {
    return gguf->tensor_count;
}

const sat_tensor *sat_gguf_tensor_at(const sat_gguf *gguf, size_t index) {
    return index < gguf->tensor_count ? &gguf->tensors[index] : NULL;
}

static const sat_gguf_key *find(const sat_gguf *gguf, const char *name) {
    uint32_t slot = *sat_gguf_slot(gguf, &gguf->key_index, name);
    return slot ? &gguf->keys[slot - 1] : NULL;
}

static bool widen(const uint8_t *p, uint32_t type, int64_t *value) {
    switch (type) {
    case SAT_GGUF_U8:
        *value = p[0];
        return true;
    case SAT_GGUF_I8:
        *value = (int8_t)p[0];
        return true;
    case SAT_GGUF_U16:
        *value = (uint16_t)(p[0] | p[1] << 8);
        return true;
    case SAT_GGUF_I16:
        *value = (int16_t)(uint16_t)(p[0] | p[1] << 8);
        return true;
    case SAT_GGUF_U32:
        *value = sat_read_u32(p);
        return true;
    case SAT_GGUF_I32:
        *value = (int32_t)sat_read_u32(p);
        return true;
    case SAT_GGUF_U64:
    case SAT_GGUF_I64: {
        uint64_t wide = sat_read_u64(p);
        if (type == SAT_GGUF_U64 && wide > INT64_MAX)
            return false;
        *value = (int64_t)wide;
        return true;
    }
    default:
        return false;
    }
}

bool sat_gguf_integer(const sat_gguf *gguf, const char *name, int64_t *value) {
    const sat_gguf_key *key = find(gguf, name);
    return key && widen(gguf->data + key->offset, key->type, value);
}

static bool widen_float(const uint8_t *p, uint32_t type, double *value) {
    if (type == SAT_GGUF_F32) {
        float narrow;
        uint32_t bits = sat_read_u32(p);
        memcpy(&narrow, &bits, sizeof narrow);
        *value = narrow;
        return true;
    }
    if (type == SAT_GGUF_F64) {
        uint64_t bits = sat_read_u64(p);
        memcpy(value, &bits, sizeof *value);
        return true;
    }
    return false;
}

bool sat_gguf_float(const sat_gguf *gguf, const char *name, double *value) {
    const sat_gguf_key *key = find(gguf, name);
    return key && widen_float(gguf->data + key->offset, key->type, value);
}

bool sat_gguf_bool(const sat_gguf *gguf, const char *name, bool *value) {
    const sat_gguf_key *key = find(gguf, name);
    if (!key || key->type != SAT_GGUF_BOOL)
        return false;
    *value = gguf->data[key->offset] != 0;
    return true;
}

bool sat_gguf_string(const sat_gguf *gguf, const char *name, const char **value, size_t *length) {
    const sat_gguf_key *key = find(gguf, name);
    if (!key || key->type != SAT_GGUF_STRING)
        return false;
    *value = key->text;
    if (length)
        *length = (size_t)key->count;
    return true;
}

bool sat_gguf_array(const sat_gguf *gguf, const char *name, size_t *count) {
    const sat_gguf_key *key = find(gguf, name);
    if (!key || key->type != SAT_GGUF_ARRAY)
        return false;
    *count = (size_t)key->count;
    return true;
}

bool sat_gguf_array_string(const sat_gguf *gguf, const char *name, size_t index, const char **value,
                           size_t *length) {
    const sat_gguf_key *key = find(gguf, name);
    if (!key || !key->strings || index >= key->count)
        return false;
    uint64_t at = key->strings[index];
    *value = (const char *)gguf->data + at + 8;
    *length = (size_t)sat_read_u64(gguf->data + at);
    return true;
}

bool sat_gguf_array_integer(const sat_gguf *gguf, const char *name, size_t index, int64_t *value) {
    const sat_gguf_key *key = find(gguf, name);
    if (!key || key->type != SAT_GGUF_ARRAY || index >= key->count)
        return false;
    return widen(gguf->data + key->offset + index * sat_gguf_value_bytes(key->element),
                 key->element, value);
}

bool sat_gguf_array_float(const sat_gguf *gguf, const char *name, size_t index, double *value) {
    const sat_gguf_key *key = find(gguf, name);
    if (!key || key->type != SAT_GGUF_ARRAY || index >= key->count)
        return false;
    const uint8_t *p = gguf->data + key->offset + index * sat_gguf_value_bytes(key->element);
    int64_t whole;
    if (widen_float(p, key->element, value))
        return true;
    if (!widen(p, key->element, &whole))
        return false;
    *value = (double)whole;
    return true;
}

bool sat_gguf_array_bytes(const sat_gguf *gguf, const char *name, const uint8_t **data,
                          size_t *size) {
    const sat_gguf_key *key = find(gguf, name);
    if (!key || key->type != SAT_GGUF_ARRAY ||
        (key->element != SAT_GGUF_U8 && key->element != SAT_GGUF_I8))
        return false;
    *data = gguf->data + key->offset;
    *size = (size_t)key->count;
    return true;
}
