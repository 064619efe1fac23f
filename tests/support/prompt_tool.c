/*
 * Tokens of a question's prompt, with the vocabulary of a file and any chat template, for a test program in
 * another language: a JSON object a line on stdin, one a line on stdout.
 *
 *   prompt_tool MODEL
 *
 *   in:  {"template": "…", "bos": "<s>" or null, "eos": …}   from here on prompts go through this template
 *        {"title": "…", "text": "…"}       the default prompt with this passage first and another behind it
 *   out: {"status": "SATCHEL_OK", "ids": […]} or {"status": "…", "error": "…"}
 *
 * The file needs a vocabulary only.
 */
#include "generate/generator_parts.h"
#include "retrieval/prompt.h"
#include "retrieval/search.h"
#include "tests/support/tool.h"

const char tool_name[] = "prompt_tool";

static json_t *failed(satchel_status status, const satchel_error *error) {
    return json_pack("{s:s, s:s}", "status", sat_status_name(status), "error", error->message);
}

static json_t *take_template(sat_generator *generator, const json_t *line) {
    satchel_error error = {0};
    const char *bos = json_string_value(json_object_get(line, "bos"));
    const char *eos = json_string_value(json_object_get(line, "eos"));
    sat_chat_close(&generator->chat);
    sat_free(&generator->context->memory, generator->bos);
    sat_free(&generator->context->memory, generator->eos);
    generator->bos = bos ? sat_strdup(&generator->context->memory, bos) : NULL;
    generator->eos = eos ? sat_strdup(&generator->context->memory, eos) : NULL;
    tool_check(sat_generator_open_chat(
                   generator, json_string_value(json_object_get(line, "template")), &error),
               &error);
    return generator->chat ? json_pack("{s:s, s:[]}", "status", "SATCHEL_OK", "ids")
                           : failed(generator->chat_error.code, &generator->chat_error);
}

static json_t *write_prompt(const sat_generator *generator, const json_t *line) {
    static const char behind[] = "Another passage, which stands behind the first one.";
    const json_t *text = json_object_get(line, "text");
    const size_t lengths[2] = {json_string_length(text), sizeof behind - 1};
    sat_hit hits[2] = {{.hit = {.document_id = "a",
                                .title = json_string_value(json_object_get(line, "title")),
                                .heading = "",
                                .text = json_string_value(text),
                                .text_length = lengths[0]}},
                       {.hit = {.document_id = "b",
                                .title = "Another",
                                .heading = "",
                                .text = behind,
                                .text_length = lengths[1]}}};
    const sat_shown shown[2] = {{0, lengths[0]}, {1, lengths[1]}};
    const satchel_results results = {.hits = hits, .count = 2};
    const sat_prompt_input input = {.question = "What does the first passage say?",
                                    .results = &results,
                                    .passages = shown,
                                    .count = 2};
    const satchel_chat_options options = {.struct_size = sizeof options,
                                          .variables = "{\"enable_thinking\":false}"};
    sat_memory *memory = &generator->context->memory;
    sat_prompt *prompt = NULL;
    sat_buffer messages;
    sat_tokens tokens = {0};
    satchel_error error = {0};
    sat_buffer_init(&messages, memory);
    satchel_status status = sat_prompt_open(&prompt, memory, NULL, &error);
    if (!status)
        status = sat_prompt_messages(prompt, &messages, &input, true, &error);
    if (!status)
        status = sat_generator_chat_prompt(generator, &options, messages.data, messages.length,
                                           &tokens, &error);
    json_t *ids = json_array();
    for (size_t i = 0; i < tokens.count; i++)
        json_array_append_new(ids, json_integer(tokens.ids[i]));
    sat_tokens_free(&tokens);
    sat_buffer_free(&messages);
    sat_prompt_close(&prompt);
    if (!status)
        return json_pack("{s:s, s:o}", "status", "SATCHEL_OK", "ids", ids);
    json_decref(ids);
    return failed(status, &error);
}

static json_t *answer(void *user, const json_t *line) {
    return json_object_get(line, "template") ? take_template(user, line) : write_prompt(user, line);
}

int main(int count, char **arguments) {
    satchel_context *context = NULL;
    satchel_error error = {0};
    sat_mapping mapping;
    sat_gguf *gguf = NULL;
    sat_generator generator = {0}; /* what prompts need of one */
    if (count != 2) {
        fprintf(stderr, "usage: prompt_tool MODEL\n");
        return 2;
    }
    tool_check(sat_context_open(&context, NULL, &error), &error);
    tool_check(sat_file_map(context, &mapping, arguments[1], &error), &error);
    tool_check(sat_gguf_open(&gguf, context, mapping.data, mapping.size, arguments[1], &error),
               &error);
    generator.context = context;
    tool_check(sat_tokenizer_open(&generator.tokenizer, context, gguf, &error), &error);
    tool_answer_lines(answer, &generator);
    sat_free(&context->memory, generator.bos);
    sat_free(&context->memory, generator.eos);
    sat_chat_close(&generator.chat);
    sat_tokenizer_close(&generator.tokenizer);
    sat_gguf_close(&gguf);
    sat_file_unmap(context, &mapping);
    sat_context_release(context);
    return 0;
}
