/* Prompts: text and conversations to tokens. */
#include <string.h>
#include <time.h>

#include "generate/generator_parts.h"

satchel_status sat_generator_prompt(const sat_generator *generator, const sat_text_part *parts,
                                    size_t count, sat_tokens *out, satchel_error *error) {
    const sat_special_tokens *special = sat_tokenizer_special(generator->tokenizer);
    size_t first = out->count;
    satchel_status status =
        sat_tokenizer_encode(generator->tokenizer, parts, count, SAT_ENCODE_AROUND, out, error);
    if (status) {
        out->count = first;
        return status;
    }
    /* A text that ends is not gone on with. */
    if (special->add_eos && out->count > first && out->ids[out->count - 1] == special->eos)
        out->count--;
    if (special->add_bos && out->count > first + 1 && out->ids[first + 1] == special->bos) {
        memmove(out->ids + first, out->ids + first + 1,
                (out->count - first - 1) * sizeof *out->ids);
        out->count--;
    }
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ the template */

/* Templates ask strftime_now() for local time. */
static int64_t local_seconds(void) {
    time_t now = (time_t)(sat_clock_unix_ms() / 1000);
    struct tm local;
    return localtime_r(&now, &local) ? (int64_t)now + local.tm_gmtoff : (int64_t)now;
}

static sat_chat_input input_of(const sat_generator *generator, const char *messages,
                               size_t length) {
    return (sat_chat_input){.messages = messages,
                            .messages_length = length,
                            .bos = generator->bos,
                            .eos = generator->eos,
                            .add_generation_prompt = true,
                            .now = local_seconds()};
}

/* Whether the template prints such content. */
static bool shows(const sat_generator *generator, const char *messages, const char *needle) {
    sat_chat_input input = input_of(generator, messages, strlen(messages));
    sat_chat_output out = {0};
    bool found = !sat_chat_render(generator->chat, &input, &out, NULL) && out.text.data &&
                 strstr(out.text.data, needle);
    sat_chat_output_free(&out);
    return found;
}

/* Most templates want content as one string; a few look for parts alone, and get them as they
 * came. */
static bool wants_parts(const sat_generator *generator) {
#define NEEDLE "needle in the content"
    return !shows(generator, "[{\"role\":\"user\",\"content\":\"" NEEDLE "\"}]", NEEDLE) &&
           shows(generator,
                 "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"" NEEDLE "\"}]}]",
                 NEEDLE);
#undef NEEDLE
}

satchel_status sat_generator_open_chat(sat_generator *generator, const char *given,
                                       satchel_error *error) {
    const char *source = given;
    size_t length = given ? strlen(given) : 0;
    if (!source && !sat_gguf_string(sat_decoder_gguf(generator->decoder), "tokenizer.chat_template",
                                    &source, &length)) {
        sat_fail(&generator->chat_error, SATCHEL_UNSUPPORTED,
                 "the model's file has no chat template (key tokenizer.chat_template): it is "
                 "perhaps not trained for conversations; give a template in the options of the "
                 "model (chat_template), or a plain prompt");
        return SATCHEL_OK;
    }
    satchel_status status =
        sat_chat_open(&generator->chat, generator->context, source, length, &generator->chat_error);
    if (status == SATCHEL_OUT_OF_MEMORY || status == SATCHEL_MEMORY_LIMIT) {
        sat_error_copy(error, &generator->chat_error);
        return status;
    }
    if (!status)
        generator->joins_parts = !wants_parts(generator);
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ conversations */

static satchel_status no_template(const sat_generator *generator, satchel_error *error) {
    sat_error_copy(error, &generator->chat_error);
    return generator->chat_error.code;
}

satchel_status sat_generator_chat_prompt(const sat_generator *generator,
                                         const satchel_chat_options *options, const char *messages,
                                         size_t length, sat_tokens *out, satchel_error *error) {
    static const satchel_chat_options defaults = {0};
    if (!generator->chat)
        return no_template(generator, error);
    if (!options)
        options = &defaults;
    sat_chat_input input = input_of(generator, messages, length);
    input.tools = options->tools;
    input.tools_length = options->tools ? strlen(options->tools) : 0;
    input.variables = options->variables;
    input.variables_length = options->variables ? strlen(options->variables) : 0;
    input.join_parts = generator->joins_parts;
    input.continue_last = options->continue_answer != 0;
    sat_chat_output rendered = {0};
    satchel_status status = sat_chat_render(generator->chat, &input, &rendered, error);
    size_t first = out->count;
    if (!status) { /* the template's text has the tokens around it, as apply_chat_template's */
        status = sat_tokenizer_encode(generator->tokenizer, rendered.parts, rendered.count,
                                      SAT_ENCODE_BARE, out, error);
    }
    if (status)
        out->count = first;
    sat_chat_output_free(&rendered);
    return status;
}
