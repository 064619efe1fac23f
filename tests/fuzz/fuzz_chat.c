/* Hostile chat templates and messages: the template, then, after a line of "====", messages in
 * JSON. */
#include <string.h>

#include "generate/chat.h"
#include "tests/fuzz/fuzz.h"

/* A letter of the input's own: no template makes it up. */
#define LETTER "\xEA\x80\x80"

static const char usual[] =
    "[{\"role\": \"system\", \"content\": \"" LETTER
    " <|x|>\"}, {\"role\": \"user\", \"content\": [{\"type\": "
    "\"text\", \"text\": \"a" LETTER
    "\"}]}, {\"role\": \"assistant\", \"content\": null, \"tool_calls\": [{\"id\": "
    "\"" LETTER "\", \"function\": {\"name\": \"f\", \"arguments\": {\"" LETTER
    "\": [1, 2.5, true, \"b" LETTER "\"]}}}]}]";

static void check(const sat_chat_output *out, bool own) {
    size_t at = 0;
    for (size_t i = 0; i < out->count; i++) {
        const sat_text_part *part = &out->parts[i];
        FUZZ_CHECK(part->length > 0 && part->text == out->text.data + at);
        FUZZ_CHECK(sat_utf8_valid(part->text, part->length) == part->length);
        FUZZ_CHECK(!own || !part->trusted || !memmem(part->text, part->length, LETTER, 3));
        at += part->length;
    }
    FUZZ_CHECK(at == out->text.length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    satchel_context_options options = {
        .struct_size = sizeof options, .threads = 1, .memory_limit = 64 << 20};
    satchel_context *context = NULL;
    satchel_error error;
    if (sat_context_open(&context, &options, &error))
        return 0;
    const char *source = (const char *)data, *messages = usual;
    size_t length = size, messages_length = sizeof usual - 1;
    const char *border = memmem(data, size, "\n====\n", 6);
    if (border) {
        length = (size_t)(border - source);
        messages = border + 6;
        messages_length = size - length - 6;
    }
    sat_chat_template *chat = NULL;
    satchel_status status = sat_chat_open(&chat, context, source, length, &error);
    FUZZ_CHECK((status == SATCHEL_OK) == (chat != NULL));
    FUZZ_CHECK(status == SATCHEL_OK || status == SATCHEL_UNSUPPORTED || status == SATCHEL_DAMAGED ||
               status == SATCHEL_INVALID_TEXT || status == SATCHEL_LIMIT ||
               status == SATCHEL_MEMORY_LIMIT);
    /* Not if the template can spell the letter: by itself, or by an escape. */
    bool own = !memchr(source, 0xEA, length) && !memchr(source, '\\', length);
    for (int generate = 0; generate < 2 && chat; generate++) {
        sat_chat_output out = {0};
        sat_chat_input input = {.messages = messages,
                                .messages_length = messages_length,
                                .tools = generate ? "[{\"type\": \"function\", \"function\": {}}]"
                                                  : NULL,
                                .tools_length = generate ? 38 : 0,
                                .bos = "<s>",
                                .eos = "</s>",
                                .add_generation_prompt = generate};
        status = sat_chat_render(chat, &input, &out, &error);
        FUZZ_CHECK(status != SATCHEL_INTERNAL);
        FUZZ_CHECK(status == SATCHEL_OK || !out.count);
        check(&out, own);
        sat_chat_output_free(&out);
    }
    sat_chat_close(&chat);
    sat_context_release(context);
    return 0;
}
