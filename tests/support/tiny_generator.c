#include "tests/support/tiny_generator.h"

#include <stdlib.h>

#include "tests/support/tiny_model.h"

const char tiny_template[] =
    "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}";

static void add_keys(gguf_writer *writer, const void *user) {
    const tiny_generator *shape = user;
    const char *source = shape->template ? shape->template : tiny_template;
    tiny_tokenizer_keys(writer, shape->kind, NULL);
    gguf_bool(writer, "tokenizer.ggml.add_bos_token", true);
    if (*source)
        gguf_text(writer, "tokenizer.chat_template", source);
}

uint8_t *tiny_generator_bytes(const tiny_generator *given, size_t *size) {
    tiny_generator shape = given ? *given : (tiny_generator){.kind = TINY_BPE};
    shape.decoder.vocabulary = TINY_GENERATOR_VOCABULARY;
    shape.decoder.more_keys = add_keys;
    shape.decoder.more_user = &shape;
    return tiny_decoder_bytes(&shape.decoder, size);
}

satchel_status tiny_generator_files(sat_gguf_set **out, satchel_context *context,
                                    const tiny_generator *shape, satchel_error *error) {
    size_t size;
    uint8_t *bytes = tiny_generator_bytes(shape, &size);
    sat_mapping mapping;
    *out = NULL;
    satchel_status status = tiny_mapping_take(&mapping, context, bytes, size, error);
    return status ? status
                  : sat_gguf_set_open_mapped(out, context, &mapping, 1, "tiny.gguf", error);
}

satchel_status tiny_generator_open(sat_generator **out, satchel_context *context,
                                   const tiny_generator *shape,
                                   const sat_generator_options *options, satchel_error *error) {
    sat_gguf_set *files;
    *out = NULL;
    satchel_status status = tiny_generator_files(&files, context, shape, error);
    return status ? status : sat_generator_open(out, context, files, "tiny.gguf", options, error);
}
