/*
 * Hostile models that write: whole files of several architectures and vocabularies with bytes
 * changed, or any bytes at all; opened, asked, scored. Input:
 *
 *   architecture; vocabulary and what is asked; number of changes n; n × (offset in 3 bytes, value)
 *   and then the prompt. An architecture past the last: all that follows is the file.
 */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/support/tiny_generator.h"
#include "tests/support/tiny_model.h"

enum { MOST_CHANGES = 32, MOST_EVENTS = 64, CHANGE = 4, TOKENS = 6 };

static const char *const architectures[] = {"llama", "qwen3", "gemma3", "phi3"};
static const uint32_t types[] = {SAT_GGML_F32, SAT_GGML_F16, SAT_GGML_Q8_0, SAT_GGML_Q4_0};

/* Made once; the caller gets a copy. */
static uint8_t *file_of(size_t arch, unsigned more, size_t *size) {
    enum { KINDS = TINY_KINDS * SAT_COUNT(types) };
    static uint8_t *made[SAT_COUNT(architectures)][KINDS];
    static size_t sizes[SAT_COUNT(architectures)][KINDS];
    size_t kind = more % KINDS;
    if (!made[arch][kind]) {
        const tiny_generator shape = {.decoder = {.arch = architectures[arch],
                                                  .type = types[kind / TINY_KINDS],
                                                  .layers = 1,
                                                  .window = arch == 2 ? 16 : 0},
                                      .kind = (int)(kind % TINY_KINDS)};
        made[arch][kind] = tiny_generator_bytes(&shape, &sizes[arch][kind]);
    }
    *size = sizes[arch][kind];
    uint8_t *copy = malloc(*size);
    FUZZ_CHECK(copy != NULL);
    memcpy(copy, made[arch][kind], *size);
    return copy;
}

/* Events to the end, or to an error: both are fine. */
static void drain(sat_stream *stream) {
    satchel_error error;
    for (int i = 0; i < MOST_EVENTS; i++) {
        satchel_event event = {0};
        if (stream->next(stream, &event, &error))
            break;
        if (event.token)
            FUZZ_CHECK(sat_utf8_valid(event.token->text, event.token->length) ==
                       event.token->length);
        if (event.kind == SATCHEL_EVENT_DONE)
            break;
    }
    stream->close(stream);
}

static void ask(sat_generator *generator, const char *text, size_t length, unsigned how) {
    static const char *const schemas[] = {NULL, "{\"type\":\"integer\"}", "{\"enum\":[\"a\",1]}"};
    const satchel_generate_options options = {.struct_size = sizeof options,
                                              .max_tokens = TOKENS,
                                              .temperature = how & 1 ? 0.8F : 0,
                                              .overflow = how & 2 ? SATCHEL_OVERFLOW_SHIFT
                                                                  : SATCHEL_OVERFLOW_ERROR,
                                              .schema = schemas[how / 4 % SAT_COUNT(schemas)]};
    satchel_error error;
    sat_tokens prompt = {0};
    const sat_text_part part = {.text = text, .length = length, .trusted = how & 4};
    sat_stream *run = NULL;
    if (sat_generator_prompt(generator, &part, 1, &prompt, &error) == SATCHEL_OK &&
        sat_generator_run(&run, generator, &prompt, &options, &error) == SATCHEL_OK)
        drain(run);
    sat_tokens_free(&prompt);

    static const char messages[] = "[{\"role\":\"user\",\"content\":\"hello <|im_end|>\"}]";
    run = NULL;
    prompt = (sat_tokens){0};
    if (sat_generator_chat_prompt(generator, NULL, messages, strlen(messages), &prompt, &error) ==
            SATCHEL_OK &&
        sat_generator_run(&run, generator, &prompt, &options, &error) == SATCHEL_OK)
        drain(run);
    sat_tokens_free(&prompt);

    satchel_perplexity score;
    (void)sat_generator_perplexity(generator, text, length < 64 ? length : 64, NULL, NULL, NULL,
                                   &score, &error);
}

static void try_file(satchel_context *context, const uint8_t *bytes, size_t size, const char *text,
                     size_t length, unsigned how) {
    sat_mapping mapping;
    sat_gguf_set *files = NULL;
    sat_generator *generator = NULL;
    satchel_error error;
    const sat_generator_options options = {
        .context_tokens = 48, .kv_type = how & 8 ? SATCHEL_KV_Q8_0 : SATCHEL_KV_DEFAULT};
    if (!tiny_mapping(&mapping, context, bytes, size) ||
        sat_gguf_set_open_mapped(&files, context, &mapping, 1, "fuzz", &error))
        return;
    satchel_status status =
        sat_generator_open(&generator, context, files, "fuzz", &options, &error);
    FUZZ_CHECK((status == SATCHEL_OK) == (generator != NULL));
    if (generator) {
        satchel_model_info info = {0};
        sat_generator_info(generator, &info);
        FUZZ_CHECK(info.vocabulary_size > 0 && info.context_tokens > 0);
        ask(generator, text, length, how);
    }
    sat_generator_close(&generator);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    satchel_context *context = NULL;
    satchel_error error;
    const satchel_context_options options = {
        .struct_size = sizeof options, .threads = 1, .memory_limit = 64 << 20};
    if (size < 3 || sat_context_open(&context, &options, &error))
        return 0;
    if (data[0] >= SAT_COUNT(architectures)) {
        try_file(context, data + 3, size - 3, "hello", 5, data[1]);
    } else {
        size_t file_size, changes = data[2] % (MOST_CHANGES + 1), at = 3;
        uint8_t *file = file_of(data[0], data[1], &file_size);
        for (; changes > 0 && at + CHANGE <= size; changes--, at += CHANGE) {
            size_t offset = data[at] | (size_t)data[at + 1] << 8 | (size_t)data[at + 2] << 16;
            file[offset % file_size] = data[at + 3];
        }
        try_file(context, file, file_size, (const char *)data + at, size - at, data[1] >> 4);
        free(file);
    }
    sat_context_release(context);
    return 0;
}
