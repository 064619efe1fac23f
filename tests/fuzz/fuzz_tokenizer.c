/*
 * Tokenizers on hostile text and hostile vocabularies. The first byte chooses a kind, whether the text is
 * trusted, and whether the rest is text for a sound vocabulary or, before the first "\n\n", changes to
 * its file: pairs of an offset (three bytes) and a byte.
 */
#include <string.h>

#include "generate/generate.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/tiny_tokenizer.h"

static satchel_context *context;

/* Tokens of a text are tokens, come back as valid UTF-8, and of untrusted text none is special. */
static void check_text(const sat_tokenizer *tokenizer, const char *text, size_t length,
                       bool trusted, bool sound) {
    sat_tokens tokens = {0};
    sat_detokenizer state = {0};
    sat_buffer out;
    sat_text_part parts[2] = {{.text = text, .length = length / 2, .trusted = trusted},
                              {.text = text + length / 2, .length = length - length / 2}};
    sat_buffer_init(&out, &context->memory);
    satchel_status status = sat_tokenizer_encode(tokenizer, parts, 2, 0, &tokens, NULL);
    FUZZ_CHECK(status == SATCHEL_OK);
    for (size_t i = 0; i < tokens.count; i++) {
        FUZZ_CHECK(tokens.ids[i] >= 0 && tokens.ids[i] < sat_tokenizer_size(tokenizer));
        FUZZ_CHECK(!sound || trusted || tokens.ids[i] == 0 || tokens.ids[i] > 4);
        FUZZ_CHECK(sat_detokenize(tokenizer, &state, tokens.ids[i], true, &out));
    }
    FUZZ_CHECK(sat_detokenize_end(&state, &out));
    FUZZ_CHECK(sat_utf8_valid(out.data, out.length) == out.length);
    sat_buffer_free(&out);
    sat_tokens_free(&tokens);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const pretokenizers[] = {"llama-bpe",    "gpt-2",       "qwen35", "smollm",
                                                "deepseek-llm", "deepseek-v3", "tekken", "default"};
    if (size == 0)
        return 0;
    if (!context)
        FUZZ_CHECK(sat_context_open(&context, NULL, NULL) == SATCHEL_OK);
    int kind = data[0] & 3;
    bool trusted = data[0] & 4, sound = data[0] & 8;
    const char *pre = pretokenizers[data[0] >> 4 & 7];
    size_t file_size, at = 1;
    uint8_t *file = tiny_tokenizer_bytes(kind, pre, &file_size);
    for (; !sound && at + 4 <= size && memcmp(data + at, "\n\n", 2) != 0; at += 4) {
        size_t offset = (size_t)data[at] << 16 | (size_t)data[at + 1] << 8 | data[at + 2];
        file[offset % file_size] = data[at + 3];
    }
    sat_gguf *gguf = NULL;
    sat_tokenizer *tokenizer = NULL;
    satchel_status status = sat_gguf_open(&gguf, context, file, file_size, "fuzz", NULL);
    if (!status)
        status = sat_tokenizer_open(&tokenizer, context, gguf, NULL);
    FUZZ_CHECK(!sound || status == SATCHEL_OK);
    if (!status)
        check_text(tokenizer, (const char *)data + at, size - at, trusted, sound);
    sat_tokenizer_close(&tokenizer);
    sat_gguf_close(&gguf);
    free(file);
    return 0;
}
