#include "tests/support/fake_embedder.h"

#include <math.h>
#include <string.h>

static int is_word(unsigned char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte >= 0x80;
}

/* The next word at or after *at into start and end; 0 if there is none. */
static int next_word(const char *text, size_t length, size_t *at, size_t *start, size_t *end) {
    while (*at < length && !is_word((unsigned char)text[*at]))
        ++*at;
    *start = *at;
    while (*at < length && is_word((unsigned char)text[*at]))
        ++*at;
    *end = *at;
    return *end > *start;
}

static uint64_t scramble(uint64_t x) {
    x ^= x >> 30;
    x *= UINT64_C(0xBF58476D1CE4E5B9);
    x ^= x >> 27;
    x *= UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

static void add_word(float *row, size_t dimension, const char *word, size_t length) {
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)word[i];
        if (byte >= 'A' && byte <= 'Z')
            byte += 'a' - 'A';
        hash = (hash ^ byte) * UINT64_C(0x100000001B3);
    }
    for (size_t i = 0; i < dimension; i++)
        row[i] += (float)(int32_t)(scramble(hash + i) >> 32) / 2147483648.0f;
}

static void embed_text(float *row, size_t dimension, const satchel_text *text) {
    size_t at = 0, start, end;
    double square = 0;
    memset(row, 0, dimension * sizeof *row);
    row[0] = 0.01f; /* the special tokens: a text without words has a direction too */
    while (next_word(text->data, text->length, &at, &start, &end))
        add_word(row, dimension, text->data + start, end - start);
    for (size_t i = 0; i < dimension; i++)
        square += (double)row[i] * row[i];
    for (size_t i = 0; i < dimension; i++)
        row[i] = (float)(row[i] / sqrt(square));
}

static satchel_status embed(void *user, int32_t role, const satchel_text *texts, size_t n,
                            float *out, const satchel_cancel *cancel) {
    size_t dimension = (size_t)(uintptr_t)user;
    for (size_t i = 0; i < n; i++)
        embed_text(out + i * dimension, dimension, &texts[i]);
    return SATCHEL_OK;
}

static satchel_status count_tokens(void *user, const char *text, size_t length, size_t *count) {
    size_t at = 0, start, end;
    *count = 2;
    while (next_word(text, length, &at, &start, &end))
        ++*count;
    return SATCHEL_OK;
}

void fake_embedder_init(satchel_embedder *embedder, int32_t dimension) {
    *embedder = (satchel_embedder){.struct_size = sizeof *embedder,
                                   .user = (void *)(uintptr_t)dimension,
                                   .id = "fake",
                                   .dimension = dimension,
                                   .max_tokens = 64,
                                   .count_tokens = count_tokens,
                                   .embed = embed};
}
