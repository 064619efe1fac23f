/* Requests read and replies written: see bridge.h. Plain C, nothing of JNI but the types. */
#include "bridge.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ reading */

static const uint8_t *take(reader *in, size_t size) {
    if (in->bad || size > (size_t)(in->end - in->at)) {
        in->bad = true;
        return NULL;
    }
    const uint8_t *at = in->at;
    in->at += size;
    return at;
}

/* Into *value, which stays as it is where there is too little. */
static void get(reader *in, void *value, size_t size) {
    const uint8_t *at = take(in, size);
    if (at)
        memcpy(value, at, size);
}

int32_t read_i32(reader *in) {
    int32_t value = 0;
    get(in, &value, sizeof value);
    return value;
}

int64_t read_i64(reader *in) {
    int64_t value = 0;
    get(in, &value, sizeof value);
    return value;
}

float read_f32(reader *in) {
    float value = 0;
    get(in, &value, sizeof value);
    return value;
}

double read_f64(reader *in) {
    double value = 0;
    get(in, &value, sizeof value);
    return value;
}

void *read_handle(reader *in) {
    return (void *)(intptr_t)read_i64(in);
}

const char *read_bytes(reader *in, size_t *length) {
    int32_t size = read_i32(in);
    *length = 0;
    if (in->bad || size < 0)
        return NULL;
    const uint8_t *at = take(in, (size_t)size + 1);
    if (!at)
        return NULL;
    *length = (size_t)size;
    return (const char *)at;
}

const char *read_text(reader *in) {
    size_t length;
    const char *text = read_bytes(in, &length);
    if (text && memchr(text, 0, length))
        in->inside = true;
    return text;
}

const void *read_array(call *c, size_t *count) {
    int32_t n = read_i32(&c->in);
    *count = 0;
    const uint8_t *at = n > 0 ? take(&c->in, (size_t)n * 4) : NULL;
    if (!at)
        return NULL;
    // Copied, because a request has no alignment.
    void *array = keep(c, (size_t)n, 4);
    if (!array) {
        c->in.bad = true;
        return NULL;
    }
    memcpy(array, at, (size_t)n * 4);
    *count = (size_t)n;
    return array;
}

const char *const *read_texts(call *c, size_t *count) {
    int32_t n = read_i32(&c->in);
    *count = 0;
    if (n <= 0 || (size_t)n > (size_t)(c->in.end - c->in.at))
        return NULL;
    const char **texts = keep(c, (size_t)n, sizeof *texts);
    if (!texts) {
        c->in.bad = true;
        return NULL;
    }
    for (int32_t i = 0; i < n; i++)
        texts[i] = read_text(&c->in);
    *count = (size_t)n;
    return texts;
}

/* ------------------------------------------------------------------ writing */

/* A Java array holds no more than this. */
static const size_t most = INT32_MAX - 16;

static bool grow(writer *out, size_t wanted) {
    uint8_t *bytes = realloc(out->bytes, wanted);
    if (!bytes)
        return false;
    out->bytes = bytes;
    out->capacity = wanted;
    return true;
}

void write_ahead(writer *out, size_t size) {
    if (size > out->capacity - out->length && size <= most - out->length)
        grow(out, out->length + size); // else it grows step by step, or fails there
}

void *write_room(writer *out, size_t size) {
    if (out->failed)
        return NULL;
    if (size > out->capacity - out->length) {
        size_t wanted = out->capacity ? out->capacity : 256;
        out->failed = size > most - out->length;
        while (!out->failed && wanted < out->length + size)
            wanted = wanted > most / 4 ? most : wanted * 4;
        out->failed = out->failed || !grow(out, wanted);
        if (out->failed)
            return NULL;
    }
    void *room = out->bytes + out->length;
    out->length += size;
    return room;
}

static void put(writer *out, const void *bytes, size_t size) {
    void *room = write_room(out, size);
    if (room && size)
        memcpy(room, bytes, size);
}

void write_i32(writer *out, int32_t value) {
    put(out, &value, sizeof value);
}

void write_i64(writer *out, int64_t value) {
    put(out, &value, sizeof value);
}

void write_f32(writer *out, float value) {
    put(out, &value, sizeof value);
}

void write_f64(writer *out, double value) {
    put(out, &value, sizeof value);
}

void write_handle(call *c, void *handle, void (*unmake)(void *handle)) {
    write_i64(&c->out, (int64_t)(intptr_t)handle);
    c->made = handle;
    c->unmake = unmake;
}

void write_bytes(writer *out, const char *bytes, size_t length) {
    if (length > INT32_MAX) {
        out->failed = true;
        return;
    }
    write_i32(out, bytes ? (int32_t)length : -1);
    if (bytes)
        put(out, bytes, length);
}

void write_text(writer *out, const char *text) {
    write_bytes(out, text, text ? strlen(text) : 0);
}

void write_range(writer *out, const satchel_range *range) {
    // As it lies in memory, in one piece: a search has hundreds.
    put(out, range, sizeof *range);
}

_Static_assert(sizeof(satchel_range) == 4 * sizeof(int64_t), "a range is its four numbers");

/* ------------------------------------------------------------------ calls */

void *keep(call *c, size_t count, size_t size) {
    if (size && count > (SIZE_MAX - sizeof(max_align_t)) / size)
        return NULL;
    // The list's link stands in front, padded to any type's alignment.
    _Static_assert(sizeof(kept) <= sizeof(max_align_t), "a link fits in front");
    kept *block = calloc(1, sizeof(max_align_t) + count * size);
    if (!block)
        return NULL;
    block->next = c->memory;
    c->memory = block;
    return (char *)block + sizeof(max_align_t);
}

satchel_status fail(call *c, satchel_status status, const char *message) {
    c->error.code = status;
    c->error.os_code = 0;
    size_t length = strlen(message);
    if (length >= sizeof c->error.message)
        length = sizeof c->error.message - 1;
    memcpy(c->error.message, message, length);
    c->error.message[length] = '\0';
    return status;
}

satchel_status understood(call *c) {
    if (c->in.bad)
        return fail(c, SATCHEL_INTERNAL,
                    "a request from Kotlin is too short, or memory is: classes and satchel_jni "
                    "must be of one version");
    if (c->in.inside)
        return fail(c, SATCHEL_INVALID_ARGUMENT,
                    "an id, path, filter or other setting holds U+0000; only texts of documents "
                    "and prompts may");
    return SATCHEL_OK;
}
