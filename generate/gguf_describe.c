/* What a GGUF file's keys say, as text for people and programs: the name of the type, and the value
 * as JSON. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "generate/arch.h"
#include "generate/gguf.h"

enum { SHOWN_ELEMENTS = 16, SHOWN_BYTES = 1024 };

size_t sat_gguf_key_count(const sat_gguf *gguf) {
    return gguf->key_count;
}

uint32_t sat_gguf_version(const sat_gguf *gguf) {
    return sat_read_u32(gguf->data + 4); /* behind the magic; was read when the file was opened */
}

bool sat_gguf_is_decoder(const sat_gguf *gguf) {
    const char *architecture;
    return sat_gguf_string(gguf, "general.architecture", &architecture, NULL) &&
           sat_arch_find(architecture);
}

static const char *type_name(const sat_gguf_key *key) {
    static const char *const plain[SAT_GGUF_TYPES] = {"u8",  "i8",  "u16",  "i16",    "u32",
                                                      "i32", "f32", "bool", "string", "array",
                                                      "u64", "i64", "f64"};
    static const char *const arrays[SAT_GGUF_TYPES] = {
        "array of u8",  "array of i8",  "array of u16",  "array of i16",    "array of u32",
        "array of i32", "array of f32", "array of bool", "array of string", "array of array",
        "array of u64", "array of i64", "array of f64"};
    return key->type == SAT_GGUF_ARRAY ? arrays[key->element] : plain[key->type];
}

/* JSON has no infinity and no NaN. */
static void append_float(sat_buffer *out, double value, int digits) {
    if (isfinite(value))
        sat_buffer_append_format(out, "%.*g", digits, value);
    else
        sat_buffer_append_text(out, "null");
}

/* A value of fixed size. */
static void append_number(sat_buffer *out, const uint8_t *p, uint32_t type) {
    uint32_t bits;
    uint64_t wide;
    float narrow;
    double value;
    switch (type) {
    case SAT_GGUF_U8:
        sat_buffer_append_format(out, "%u", p[0]);
        break;
    case SAT_GGUF_I8:
        sat_buffer_append_format(out, "%d", (int8_t)p[0]);
        break;
    case SAT_GGUF_U16:
        sat_buffer_append_format(out, "%u", (unsigned)(p[0] | p[1] << 8));
        break;
    case SAT_GGUF_I16:
        sat_buffer_append_format(out, "%d", (int16_t)(uint16_t)(p[0] | p[1] << 8));
        break;
    case SAT_GGUF_U32:
        sat_buffer_append_format(out, "%" PRIu32, sat_read_u32(p));
        break;
    case SAT_GGUF_I32:
        sat_buffer_append_format(out, "%" PRId32, (int32_t)sat_read_u32(p));
        break;
    case SAT_GGUF_U64:
        sat_buffer_append_format(out, "%" PRIu64, sat_read_u64(p));
        break;
    case SAT_GGUF_I64:
        sat_buffer_append_format(out, "%" PRId64, (int64_t)sat_read_u64(p));
        break;
    case SAT_GGUF_F32:
        bits = sat_read_u32(p);
        memcpy(&narrow, &bits, sizeof narrow);
        append_float(out, (double)narrow, 9);
        break;
    case SAT_GGUF_F64:
        wide = sat_read_u64(p);
        memcpy(&value, &wide, sizeof value);
        append_float(out, value, 17);
        break;
    default: /* SAT_GGUF_BOOL */
        sat_buffer_append_text(out, p[0] ? "true" : "false");
        break;
    }
}

/* True if the text was longer. */
static bool append_string(sat_buffer *out, const char *text, uint64_t length, uint64_t limit) {
    size_t end = (size_t)(length < limit ? length : limit);
    if (end < length)
        for (int back = 0; back < 3 && end > 0 && ((unsigned char)text[end] & 0xC0) == 0x80; back++)
            end--;
    sat_json_append_string(out, text, end);
    return end < length;
}

/* True if there are more elements, or one is longer. Elements that are arrays were skipped when the
 * file was read. */
static bool append_array(sat_buffer *out, const sat_gguf *gguf, const sat_gguf_key *key,
                         uint64_t elements, uint64_t bytes) {
    uint64_t shown = key->count < elements ? key->count : elements;
    if (key->element == SAT_GGUF_ARRAY)
        shown = 0;
    const uint32_t width = sat_gguf_value_bytes(key->element);
    bool cut = shown < key->count;
    sat_buffer_append_text(out, "[");
    for (uint64_t i = 0; i < shown; i++) {
        if (i > 0)
            sat_buffer_append_text(out, ",");
        if (key->element == SAT_GGUF_STRING) {
            const uint8_t *at = gguf->data + key->strings[i];
            cut |= append_string(out, (const char *)at + 8, sat_read_u64(at), bytes);
        } else {
            append_number(out, gguf->data + key->offset + i * width, key->element);
        }
    }
    sat_buffer_append_text(out, "]");
    return cut;
}

bool sat_gguf_describe(const sat_gguf *gguf, size_t index, size_t limit, sat_gguf_entry *entry,
                       sat_buffer *value) {
    const sat_gguf_key *key = &gguf->keys[index];
    *entry = (sat_gguf_entry){.name = key->name, .type = type_name(key), .count = 1};
    if (key->type == SAT_GGUF_STRING) {
        entry->count = key->count;
        entry->cut = append_string(value, key->text, key->count, limit ? limit : SHOWN_BYTES);
    } else if (key->type == SAT_GGUF_ARRAY) {
        entry->count = key->count;
        entry->cut = append_array(value, gguf, key, limit ? limit : SHOWN_ELEMENTS,
                                  limit ? limit : SHOWN_BYTES);
    } else {
        append_number(value, gguf->data + key->offset, key->type);
    }
    return !value->failed;
}
