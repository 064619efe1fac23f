/*
 * A tiny decoder made in memory, for tests: real in form, random in weights, the same bytes for the
 * same shape on every run.
 */
#ifndef SATCHEL_TESTS_SUPPORT_TINY_DECODER_H
#define SATCHEL_TESTS_SUPPORT_TINY_DECODER_H

#include "generate/decoder.h"
#include "tests/support/gguf_writer.h"

typedef struct tiny_decoder {
    const char
        *arch; /* NULL: "llama"; also qwen3, gemma3, phi3, or any name with llama's tensors */
    /* Of matrices: F32 (0), F16 (1), Q8_0 (8); of random codes Q4_0 (2), Q4_K (12), Q5_K (13),
     * Q6_K (14). */
    uint32_t type;
    size_t layers, dimension, heads, kv_heads, head, ffn, vocabulary, context, window;
    /* 0: 2, 64, 4, 2, 32, 96, 50, 300, none */
    const char *leave_out;   /* a tensor or key not written */
    const char *other_shape; /* a tensor written with one row too many */
    const char *extra;       /* a tensor more, of 32 floats */
    const char *other_key;   /* an integer key, written as this: */
    uint32_t other_value;
    const char *scaling; /* rope.scaling.type; NULL: not written */
    void (*more_keys)(gguf_writer *writer, const void *user); /* writes others; may be NULL */
    const void *more_user;
} tiny_decoder;

/* The file; the caller frees it. shape may be NULL. */
uint8_t *tiny_decoder_bytes(const tiny_decoder *shape, size_t *size);
/* A LoRA adapter of rank 4 for attn_q and ffn_down of layer 0. wrong: leaves one half out. */
uint8_t *tiny_adapter_bytes(const tiny_decoder *shape, bool wrong, size_t *size);
/* Opens bytes as files are opened; frees them. */
satchel_status tiny_decoder_open_bytes(sat_decoder **out, satchel_context *context, uint8_t *bytes,
                                       size_t size, satchel_error *error);
satchel_status tiny_decoder_open(sat_decoder **out, satchel_context *context,
                                 const tiny_decoder *shape, satchel_error *error);

#endif
