/* What the encoder's tests share: a context, and a tiny model on it. */
#ifndef SATCHEL_TESTS_UNIT_GENERATE_ENCODER_UNIT_H
#define SATCHEL_TESTS_UNIT_GENERATE_ENCODER_UNIT_H

#define CONTEXT_THREADS 3
#include "tests/unit/generate/context_unit.h"

#include "tests/support/tiny_model.h"

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

#endif
