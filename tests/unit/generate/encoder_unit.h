/* What the encoder's tests share: a context, and a tiny model on it. */
#ifndef SATCHEL_TESTS_UNIT_GENERATE_ENCODER_UNIT_H
#define SATCHEL_TESTS_UNIT_GENERATE_ENCODER_UNIT_H

#define CONTEXT_THREADS 3
#include "tests/unit/generate/context_unit.h"

#include "tests/support/tiny_model.h"
#include "tests/unit/base/failing.h"

static inline sat_encoder *open_shape(const tiny_shape *shape, const sat_encoder_options *options) {
    sat_encoder *encoder;
    satchel_error error = {0};
    if (tiny_model_open_shape(&encoder, context, shape, options, &error))
        fail_msg("%s", error.message);
    return encoder;
}

static inline satchel_text text_of(const char *text) {
    return (satchel_text){text, strlen(text)};
}

/* One text's vector. */
static inline void embed_one(sat_encoder *encoder, int32_t role, const char *text, float *out) {
    satchel_text given = text_of(text);
    assert_int_equal(sat_encoder_embed(encoder, role, &given, 1, out, NULL, NULL), SATCHEL_OK);
}

typedef struct wrong_shape {
    tiny_shape shape;
    satchel_status status;
    const char *word; /* of the message */
} wrong_shape;

static inline void refuse_shapes(const wrong_shape *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        sat_encoder *encoder;
        satchel_error error = {0};
        satchel_status status =
            tiny_model_open_shape(&encoder, context, &cases[i].shape, NULL, &error);
        if (status != cases[i].status || !strstr(error.message, cases[i].word) ||
            !strstr(error.message, "tiny.gguf"))
            fail_msg("case %zu: %d, %s", i, (int)status, error.message);
        assert_null(encoder);
    }
}

/* All that an encoder does, once. */
static inline satchel_status use_encoder(failing *f, void *user) {
    const gguf_bytes *bytes = user;
    const satchel_text texts[2] = {text_of("hello world"), text_of("the")};
    sat_mapping mapping;
    sat_encoder *encoder = NULL;
    satchel_error error = {0};
    satchel_model_info info;
    float out[2 * 64], share;
    int32_t ids[8];
    size_t count;
    assert_true(tiny_mapping(&mapping, f->context, bytes->data, bytes->size));
    failing_begin(f);
    satchel_status status = sat_encoder_open(&encoder, f->context, &mapping, "full", NULL, &error);
    if (!status) {
        sat_encoder_info(encoder, &info);
        assert_true(info.dimension <= 64);
        status = sat_encoder_embed(encoder, 1, texts, 2, out, NULL, &error);
    }
    if (!status)
        status = sat_encoder_coverage(encoder, texts[0].data, texts[0].length, &share, &error);
    if (!status)
        status =
            sat_encoder_tokenize(encoder, texts[0].data, texts[0].length, ids, 8, &count, &error);
    assert_int_equal(error.code, status);
    sat_encoder_close(&encoder);
    return status;
}

/* Where a buffer cannot grow by half it takes what it needs: not every failure is an error. */
static inline void survive_failed_allocations(const tiny_shape *shape) {
    gguf_bytes bytes;
    bytes.data = tiny_model_bytes(shape, &bytes.size);
    assert_true(fail_allocations(true, use_encoder, &bytes) > 20);
    free(bytes.data);
}

#endif
